"""The benchmarks: a seeded generator, methods that agree to the last count, and a command that prints its tables."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # benchmarks are no part of what is installed

from benchmarks import counting
from benchmarks.cases import Case
from benchmarks.measure import Measured, size_of
from benchmarks.methods import as_matrix
from benchmarks.registry import METHODS, Size
from benchmarks.report import Outcome, document
from benchmarks.synthetic import GROUP, Firing, synthetic


def same(one: Firing, other: Firing) -> bool:
    return one.d == other.d and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("indptr", "ids", "levels", "activations")
    )


def test_a_seed_decides_the_firings() -> None:
    """The same seed gives the same arrays, another one others."""
    first = synthetic(50, 200, l0=10, rules=True, seed=3)
    assert same(first, synthetic(50, 200, l0=10, rules=True, seed=3))
    assert not np.array_equal(first.ids, synthetic(50, 200, l0=10, rules=True, seed=4).ids)


def test_firings_ascend_within_tokens_that_vary_in_size() -> None:
    """No feature twice on a token, sizes around L0, densities that differ by orders of magnitude."""
    firing = synthetic(3000, 1000, l0=30, seed=1)
    assert (firing.indptr.dtype, firing.ids.dtype) == (np.int64, np.int32)
    for start, stop in zip(firing.indptr[:-1], firing.indptr[1:], strict=True):
        assert (np.diff(firing.ids[start:stop]) > 0).all()
    sizes = np.diff(firing.indptr)
    assert sizes.mean() == pytest.approx(30, rel=0.05)
    assert np.log(sizes).std() == pytest.approx(0.5, rel=0.1)
    assert firing.ids.min() >= 0
    assert firing.ids.max() < 1000
    density = np.sort(np.bincount(firing.ids, minlength=1000))
    assert density[-10] > 50 * max(1, density[100])


def test_planted_groups_fire_together() -> None:
    """Members of a clique meet far more often than their frequencies say, a hub meets each of its leaves."""
    firing = synthetic(5000, 400, l0=10, grouped=0.6, seed=2)
    matrix = as_matrix(firing, np.int64)
    joint = (matrix.T @ matrix).toarray()
    single = joint.diagonal()
    members = np.random.default_rng(2)
    members.standard_normal(5000)
    planted = members.permutation(400)[: 400 // 2].reshape(-1, GROUP)
    expected = np.maximum(single[:, None] * single[None, :] / firing.n_tokens, 1e-9)
    lift = joint / expected
    cliques = [np.median([lift[a, b] for a, b in combinations(group, 2)]) for group in planted[1::2]]
    stars = [np.median([lift[group[0], leaf] for leaf in group[1:]]) for group in planted[::2]]
    assert min(np.median(cliques), np.median(stars)) > 5


def test_levels_are_nested_and_not() -> None:
    """abs:3 implies abs:1.5; rel:0.5 neither implies it nor follows from it; a rule's firings are those of its bit."""
    firing = synthetic(500, 300, l0=20, rules=True)
    assert firing.levels is not None
    assert firing.activations is not None
    low, high, relative = (firing.levels >> bit & 1 for bit in range(3))
    assert np.array_equal(low.astype(bool), firing.activations > 1.5)
    assert (low >= high).all()
    assert (low > relative).any()
    assert (high > relative).any()
    assert (relative > low).any()
    passing = firing.passing(3)
    assert len(passing.ids) == passing.indptr[-1] == relative.sum()
    assert np.array_equal(firing.passing(0).ids, firing.ids)


def test_firings_survive_a_folder(tmp_path: Path) -> None:
    """What is saved is what is loaded, with its first tokens where they are."""
    firing = synthetic(40, 100, l0=8, rules=True)
    firing.save(tmp_path / "here")
    assert same(Firing.load(tmp_path / "here"), firing)
    assert np.array_equal(firing.head(10).ids, firing.ids[: firing.indptr[10]])


@pytest.mark.parametrize("name", [name for name in METHODS if not name.startswith("floor")])
def test_every_method_gives_the_same_counts(name: str) -> None:
    """Entry by entry equal to the dense int64 product; pruned ones to its larger entries."""
    firing = synthetic(400, 90, l0=12, rules=True, seed=5)
    dense = as_matrix(firing, np.int64).toarray()
    joint = np.triu(dense.T @ dense, 1)
    a, b = np.nonzero(joint >= (5 if METHODS[name].pruned else 1))
    try:
        method = METHODS[name].make(firing, 1, 2**30)
        method.warm()
        method.count(lambda lap: None)
    except ImportError as error:
        pytest.skip(str(error))
    assert method.entries().tolist() == np.stack([a, b, joint[a, b]], axis=1).tolist()
    assert method.summary() == (len(a), joint[a, b].sum())
    assert method.work == joint.sum()


def test_sizes_are_counted() -> None:
    """Tokens {0, 1, 2}, {1, 2} and {}: three pairs are seen, in four increments."""
    firing = Firing(4, np.array([0, 3, 5, 5]), np.array([0, 1, 2, 1, 2], np.int32))
    assert size_of(firing) == Size(4, 3, 5, 3)
    assert firing.increments == 4


def test_ratios_are_of_one_round() -> None:
    """1/2, 3/1 and 4/1 have the median 3; the medians themselves would give 3 by 1, but 2 by 4 in memory."""
    firings = Case("16k", "by hand", lambda seed, scale: synthetic(1, 4), ())
    rounds = {
        ("scipy", 1): [Measured(seconds=s, work=1, peak=p) for s, p in ((1, 8), (3, 2), (4, 2))],
        ("ours", 1): [Measured(seconds=s, work=1, peak=p) for s, p in ((2, 4), (1, 4), (1, 4))],
        ("dense", 1): [Measured(seconds=5, work=1)] * 3,
        ("mkl", 1): [Measured(failure="does not fit (needs 9 GB)")],
    }
    case = Case(firings.name, firings.title, firings.make, tuple(rounds))
    tokens = {"scipy": 10, "ours": 10, "dense": 5, "mkl": 10}
    fresh = {run: some[0] for run, some in rounds.items()}
    outcome = Outcome(case, Size(4, 10, 20, 3), 2, 2**24, tokens, rounds, fresh)
    assert outcome.ratios(("scipy", 1), ("ours", 1)) == [0.5, 3, 4]
    assert outcome.ratios(("scipy", 1), ("ours", 1), measure="memory") == [2, 0.5, 0.5]
    text = document([outcome], command="command", machine="a machine", versions="none", repeats=3)
    assert "| 16k | SciPy's time by ours | 3.00x | 0.500x | at least 10 |" in text
    assert "does not fit (needs 9 GB)" in text
    assert "| ~10.00 |" in text
    assert "is timed on the first 5 tokens" in text
    assert "MKL `gram_matrix_mkl` is not exact here: counts may reach 16,777,216." in text


def test_the_command_prints_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the input to the tables, each method in a process of its own."""
    options = ["--scale", "0.001", "--repeats", "1", "--threads", "1", "--methods", "ours", "scipy", "floor"]
    written = ["--json", str(tmp_path / "all.json"), "--markdown", str(tmp_path / "all.md")]
    counting.main(["--cases", "planted", "growth-L0-12", *options, *written])
    out = capsys.readouterr().out
    assert out.startswith("`python -m benchmarks.counting --cases planted")
    assert "| planted | SciPy's time by ours |" in out
    assert "200 tokens" in out
    assert "### Growth" in out
    assert str(tmp_path) not in out
    assert (tmp_path / "all.md").read_text("utf8") in out
    assert '"failure": ""' in (tmp_path / "all.json").read_text("utf8")


def test_growth_is_drawn(tmp_path: Path) -> None:
    """A plot with a panel for each thing that grows."""
    pytest.importorskip("matplotlib")
    from benchmarks.report import plot

    case = Case("growth-d-64", "d = 64", lambda seed, scale: synthetic(1, 4), (("ours", 1),), "d", 64)
    measured = {("ours", 1): [Measured(seconds=1, work=1)]}
    plot([Outcome(case, Size(64, 10, 20, 3), 2, 2, {"ours": 10}, measured, {})], tmp_path / "growth.svg")
    assert "<svg" in (tmp_path / "growth.svg").read_text("utf8")
