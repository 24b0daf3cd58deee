"""The stage `20-counts`: every way to count writes the same bytes, rules mean what they say, memory holds."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import fire, plan, store

from atlas.artifacts import Run
from atlas.counting import passes
from atlas.counting.counts import PairCounts
from atlas.counting.passes import Settings, Spool, Work
from atlas.counting.plan import Plan, plan_counts, plan_gpu
from atlas.counting.ranked import Ranked
from atlas.counting.rules import Rules, fixed_point, rule_name, rule_names
from atlas.counting.scheme import Scheme
from atlas.counting.stage import count
from atlas.errors import BackendError, CapacityError, InputError
from atlas.files import read_arrays, write_arrays
from atlas.firings import Firings

GIB = 2**30
RULES = ("rel:0.5", "abs:1.5", "abs:0.5")


def activations_of(run: Run) -> Firings:
    """Store the standard world with a threshold for each feature."""
    world = plan()
    firing = fire(world, n_documents=12, length=400, seed=3)
    artifact = store(run, firing, np.arange(12).repeat(400), seed=3)
    return Firings(artifact.path)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    with Run(tmp_path / "run") as opened:
        activations_of(opened)
        yield opened


def with_thresholds(run: Run, threshold: np.ndarray[Any, Any]) -> None:
    """Store the world with JumpReLU thresholds beside it, as an artifact of its own."""
    from atlas.artifacts import Spec

    before = run.artifact("10-activations")
    kept = {path.relative_to(before.path): path.read_bytes() for path in before.path.rglob("*") if path.is_file()}

    def compute(directory: Path) -> dict[str, Any]:
        for name, content in kept.items():
            if name.name != "manifest.json":
                (directory / name).parent.mkdir(exist_ok=True)
                (directory / name).write_bytes(content)
        write_arrays(directory / "encoder.safetensors", {"threshold": threshold.astype(np.float32)})
        return before.results

    run.produce(Spec("10-activations", {"planted": "thresholds"}), compute)


def by_hand(firings: Firings, passes_rule: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Any:
    """Return the dense int64 product of the firings that pass a rule on the dense activations."""
    dense = np.zeros((firings.n_tokens, firings.d_sae), np.float32)
    for feature in range(firings.d_sae):
        dense[firings.tokens_of(feature), feature] = firings.activations_of(feature)
    fires = passes_rule(dense).astype(np.int64)
    return dense, fires, fires.T @ fires


def test_rules_of_one_pass_equal_dense_products(run: Run) -> None:
    """abs compares a - theta, rel a with the median of its feature; counts and sums are those of dense products."""
    d = Firings(run.artifact("10-activations").path).d_sae
    threshold = np.linspace(0, 0.8, d)
    with_thresholds(run, threshold)
    artifact = count(run, rules=RULES, sums=True)
    firings = Firings(run.artifact("10-activations").path)
    counts = PairCounts.of(read_arrays(artifact.path / "pairs.safetensors"))
    theta = threshold.astype(np.float32)
    dense, fires, joint = by_hand(firings, lambda a: a > 0)
    a, b = np.nonzero(np.triu(joint, 1))
    assert np.array_equal(counts.rows, a)
    assert np.array_equal(counts.columns, b)
    assert np.array_equal(counts.joint_count, joint[a, b])
    medians = np.array([np.median(dense[dense[:, k] > 0, k]) if (dense[:, k] > 0).any() else 0 for k in range(d)])
    for rule, passing in {
        "abs:0.5": lambda x: (x > 0) & (x > theta + np.float32(0.5)),
        "abs:1.5": lambda x: (x > 0) & (x > theta + np.float32(1.5)),
        "rel:0.5": lambda x: (x > 0) & (x >= np.float32(0.5) * medians.astype(np.float32)),
    }.items():
        _, some, expected = by_hand(firings, passing)
        assert np.array_equal(counts.further[f"joint_count:{rule}"], expected[a, b]), rule
        assert np.array_equal(counts.further[f"firing_count:{rule}"], some.sum(0)), rule
        assert artifact.results["n_firings"][rule] == some.sum()
    fixed = np.rint(dense.astype(np.float64) * 1024).astype(np.int64)
    assert np.array_equal(counts.further["joint_sum_a"], (fixed.T @ fires)[a, b])
    assert np.array_equal(counts.further["joint_sum_b"], (fires.T @ fixed)[a, b])


def plans(d: int) -> dict[str, Plan]:
    return {
        "triangle": Plan("triangle", ((0, d),), 1, 10**6, 0),
        "small chunks": Plan("triangle", ((0, d),), 1, 50, 0),
        "panels": Plan("panels", ((0, 7), (7, 8), (8, d)), 1, 10**6, 0),
        "sparse": Plan("sparse", ((0, d),), 1, 10**6, 0),
        "sparse runs": Plan("sparse", ((0, d),), 2, 10**6, 0),
    }


@pytest.mark.parametrize("prune", [1, 6])
def test_every_way_to_count_writes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prune: int
) -> None:
    """Triangle, panels, sparse rows and merged runs of tokens, in memory or spooled: one artifact, one digest."""
    digests = {}
    for name, chosen in plans(Scheme(np.arange(55)).d_sae).items():
        for memory in (GIB, 1):
            monkeypatch.setattr(passes, "plan_counts", lambda *_, chosen=chosen, **__: chosen)
            monkeypatch.setattr(passes.Spool, "__init__", spool_of(memory))
            with Run(tmp_path / f"{name} {memory}") as run:
                d = activations_of(run).d_sae
                assert d == 55
                found = count(run, rules=("rel:0.5",), sums=True, prune=prune)
                digests[name, memory] = found.digest
                assert not [path for path in found.path.rglob("*") if "scratch" in str(path)]
    assert len(set(digests.values())) == 1


def spool_of(limit: int) -> Callable[..., None]:
    original = Spool.__init__

    def init(self: Spool, folder: Path, **_: Any) -> None:
        original(self, folder, limit=limit)

    return init


def test_pruned_pairs_are_the_rare_ones(run: Run, tmp_path: Path) -> None:
    """`prune` leaves out what was seen on fewer tokens in all, and nothing else."""
    whole = PairCounts.of(read_arrays(count(run).path / "pairs.safetensors"))
    pruned = PairCounts.of(read_arrays(count(run, prune=9).path / "pairs.safetensors"))
    keep = whole.joint_count >= 9
    assert 0 < keep.sum() < whole.n_pairs
    assert np.array_equal(pruned.columns, whole.columns[keep])
    assert np.array_equal(pruned.joint_count, whole.joint_count[keep])
    assert np.array_equal(pruned.firing_count, whole.firing_count)


def test_the_plan_is_said_and_does_not_change_the_artifact(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The estimate is printed with the memory that was given; more memory finds the artifact done."""
    with caplog.at_level(logging.INFO, "atlas"):
        first = count(run, settings=Settings(memory=GIB, threads=1))
        assert count(run, settings=Settings(memory=2 * GIB)).digest == first.digest
    assert any("a dense triangle, one pass; about " in line for line in caplog.messages)
    assert any("done already" in line for line in caplog.messages)
    assert (first.made["counted_as"], first.made["memory_given_mib"]) == ("triangle", 1024)
    assert 0 < first.made["memory_estimated_mib"] < 1024


@pytest.mark.parametrize(
    ("d", "n_tokens", "n_firings", "memory", "strategy"),
    [
        (4608, 10_000, 320_000, 4 * GIB, "sparse"),
        (16384, 400_000, 40_000_000, 4 * GIB, "triangle"),
        (16384, 10_000_000, 1_000_000_000, 4 * GIB, "triangle"),
        (65536, 10_000_000, 1_000_000_000, 4 * GIB, "panels"),
        (131072, 200_000, 20_000_000, 4 * GIB, "sparse"),
        (1_000_000, 200_000, 20_000_000, 4 * GIB, "sparse"),
        (1_000_000, 10_000_000, 1_000_000_000, 4 * GIB, "sparse"),
    ],
)
def test_the_plan_fits_the_memory_given(
    d: int, n_tokens: int, n_firings: int, memory: int, strategy: str
) -> None:
    """Each width gets what is quickest of what fits: the estimate stays below the memory, the parts cover the work."""
    found = plan_counts(Scheme(np.arange(d)), n_tokens=n_tokens, n_firings=n_firings, memory=memory, threads=2)
    assert found.strategy == strategy
    assert found.estimate <= memory
    assert (found.panels[0][0], found.panels[-1][1]) == (0, d)
    assert all(before[1] == after[0] for before, after in zip(found.panels, found.panels[1:], strict=False))
    assert (found.parts > 1) == (n_firings == 1_000_000_000 and d == 1_000_000)


def test_too_little_memory_names_what_would_fit() -> None:
    """Fault 25: the error names the memory; with that much there is a plan."""
    scheme = Scheme(np.arange(1_000_000))
    with pytest.raises(CapacityError, match="at least") as caught:
        plan_counts(scheme, n_tokens=10**6, n_firings=10**8, memory=2**20, threads=2)
    enough = int(caught.value.remedy.split()[2].removesuffix("M")) * 2**20
    assert plan_counts(scheme, n_tokens=10**6, n_firings=10**8, memory=enough, threads=2).parts > 1


def test_a_gpu_counts_in_panels_of_rows_that_fit() -> None:
    """Totals are 8 bytes a pair: what does not fit at once is counted in ranges of rows, and no row is an error."""
    scheme = Scheme(np.arange(2000))
    sizes = {"n_tokens": 10, "n_firings": 100, "memory": GIB}
    assert plan_gpu(scheme, **sizes, free=2**30).panels == ((0, 2000),)
    panels = plan_gpu(scheme, **sizes, free=4_000_000).panels
    assert (panels[0][0], panels[-1][1], len(panels)) == (0, 2000, 5)
    with pytest.raises(CapacityError, match="a row of"):
        plan_gpu(scheme, **sizes, free=4000)


def test_the_spool_gives_back_what_it_took_again_and_again(tmp_path: Path) -> None:
    """Beyond its limit blocks lie in files; going through it again gives the same blocks in the same order."""
    blocks = [
        Ranked(low, np.array([0, low, low + 1]), np.arange(low + 1, dtype=np.uint32),
               np.full((1, low + 1), low + 1), np.zeros((2, 0), np.int64))
        for low in (0, 2, 4)
    ]  # fmt: skip
    spool = Spool(tmp_path / "rows", limit=blocks[0].nbytes + blocks[1].nbytes)
    spool.take(blocks)
    assert len(list((tmp_path / "rows").iterdir())) == 1
    for _ in range(2):
        for before, after in zip(blocks, spool, strict=True):
            assert before.low == after.low
            assert np.array_equal(before.joint_count, after.joint_count)
            assert after.joint_sum.shape == (2, 0)


@pytest.mark.parametrize("text", ["", "some", "abs", "abs:", "abs:x", "rel:-1", "abs:nan", "rel:inf", "any:1"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    """One line says what a rule looks like."""
    with pytest.raises(InputError, match=r"expected any, abs:T or rel:q"):
        rule_name(text)


def test_rules_have_one_name_and_one_order() -> None:
    """The same rules in any order and spelling are the same specification."""
    assert rule_names(["rel:0.50", "abs:1.5", "any", "rel:.5"]) == ("any", "abs:1.5", "rel:0.5")
    assert rule_names([]) == ("any",)
    assert rule_names(["abs:1.2345678", "abs:1000001", "abs:-0", "abs:0"])[1:] == (
        "abs:0", "abs:1.2345678", "abs:1000001",
    )  # fmt: skip


def test_too_many_rules_are_refused(run: Run) -> None:
    """A pair has a counter for every combination of rules: five rules at most."""
    with pytest.raises(InputError, match="at most 5"):
        count(run, rules=[f"abs:{k}" for k in range(1, 6)])


def test_more_features_than_ranks_and_rules_in_32_bits_are_refused() -> None:
    """Fault 44: a rank is packed with a bit for each further rule."""
    with pytest.raises(InputError, match="do not fit in 32 bits"):
        Scheme(np.broadcast_to(np.int32(0), 2**28 + 1), ("any", "abs:1", "abs:2", "abs:3", "abs:4"))


def test_a_rule_that_nothing_passes_is_refused(run: Run) -> None:
    """Fault 45: counts of nothing are no counts, and what was finished before stays."""
    before = run.artifact("10-activations").digest
    with pytest.raises(InputError, match="no firing passes the rule rel:1000000"):
        count(run, rules=("rel:1000000",))
    assert run.artifact("10-activations").digest == before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"settings": Settings(memory=2**20)}, CapacityError),
        ({"settings": Settings(device="cuda:77")}, BackendError),
        ({"prune": 0}, InputError),
    ],
)
def test_counts_are_not_given_up_for_what_is_refused(run: Run, options: dict[str, Any], error: type[Exception]) -> None:
    """Faults 21 and 25: a request that cannot be met leaves the counts of another request as they are."""
    before = count(run).digest
    with pytest.raises(error):
        count(run, **{"rules": ("rel:0.7",), **options})
    assert run.artifact("20-counts").digest == before


def test_an_activation_beyond_the_fixed_point_is_refused() -> None:
    """Two to the 21 and more would not fit in 31 bits: on any device the same line says so."""
    with pytest.raises(InputError, match="fixed point"):
        fixed_point(np.array([1, 2.0**21], np.float32))


def test_sums_round_to_the_nearest_unit() -> None:
    """1/1024 is the unit; half a unit goes to the even one."""
    found = fixed_point(np.array([0, 1 / 1024, 1.0, 0.4 / 1024, 2.5 / 1024], np.float32))
    assert found.tolist() == [0, 1, 1024, 0, 2]


def test_work_is_cut_at_shards_with_about_equal_firings(run: Run) -> None:
    """Pieces follow each other, cover every token once, and none is empty."""
    firings = Firings(run.artifact("10-activations").path)
    work = Work.of(firings, None, Scheme(np.arange(firings.d_sae)), Rules(("any",), ()))
    for parts in (1, 2, 5):
        pieces = list(work.split(parts))
        assert sum((piece.shards for piece in pieces), ()) == work.shards
        assert all(piece.n_tokens for piece in pieces)
    assert replace(work, shards=work.shards[:1]).n_tokens == 3000


_WIDE = """
import json, sys
from pathlib import Path
import numpy as np
import psutil
from atlas.artifacts import Run, Spec
from atlas.counting.passes import Settings
from atlas.counting.stage import count
from atlas.indexing import build_index
from atlas.shards import Shard, write_shard

def store(run, d, n, l0):
    def compute(directory):
        rng = np.random.default_rng(0)
        for k in range(n // 500):
            ids = [np.sort(rng.choice(d, l0, replace=False)) for _ in range(500)]
            at = np.arange(500, dtype=np.int32)
            write_shard(directory, k, Shard(at, at * 0 + k, at, np.arange(501) * l0,
                        np.concatenate(ids).astype(np.int32), np.ones(500 * l0, np.float32)), d_sae=d)
        build_index(directory, n_shards=n // 500, d_sae=d)
        return {}
    run.produce(Spec("10-activations", {"d": d}), compute)

folder, d, n, l0, mebi = Path(sys.argv[1]), *map(int, sys.argv[2:])
with Run(folder / "small") as run:
    store(run, 700, 500, 5)
    count(run, settings=Settings(mebi * 2**20))  # compiles, and starts the threads
with Run(folder / "wide") as run:
    store(run, d, n, l0)
    before = psutil.Process().memory_info().rss
    found = count(run, settings=Settings(mebi * 2**20))
    print(json.dumps(found.made | found.results | {"beyond_mib": found.made["peak_memory_mib"] - before / 2**20}))
"""


def test_a_wide_sae_is_counted_in_the_memory_given(tmp_path: Path) -> None:
    """A triangle of 34 GB in 280 MiB: the peak beyond the start stays below what was given."""
    d, n, l0, mebi = 131_072, 4000, 80, 280
    asked = [sys.executable, "-c", _WIDE, str(tmp_path), str(d), str(n), str(l0), str(mebi)]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["counted_as"], found["n_increments"]) == ("sparse", n * l0 * (l0 - 1) // 2)
    assert found["beyond_mib"] < mebi
