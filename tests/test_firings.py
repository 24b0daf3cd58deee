"""Firings on disk: the index by feature in bounded memory, the sample of contexts, and damaged files."""

from __future__ import annotations

import os
import resource
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from worlds import shards_of

from atlas.artifacts import Artifact, Run, Spec
from atlas.counting.stage import count
from atlas.errors import ArtifactError, CapacityError, InputError
from atlas.files import read_arrays, write_arrays
from atlas.firings import BY_FEATURE, CONTEXTS, TOKENS, Firings, build_index, shard_path, write_shard
from atlas.indexing import context_bands, feature_bands, priority, reservoir_size
from atlas.mapped import ArrayFile, StreamedArrays
from atlas.shards import Shard, check_shard, shard_paths

D_SAE = 12


def random_firing(seed: int, n: int = 200, d: int = D_SAE) -> np.ndarray[Any, Any]:
    """Features from never to almost always firing."""
    rng = np.random.default_rng(seed)
    firing: np.ndarray[Any, Any] = rng.random((n, d)) < np.linspace(0, 0.9, d)
    return firing


def write(directory: Path, firing: np.ndarray[Any, Any], *, size: int = 64, **settings: Any) -> list[Shard]:
    """Write the firings as shards of `size` tokens with their index; activations depend on token and feature alone."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    parts = shards_of(firing, firing[:, 0], seed=0, size=size)
    shards = [with_values(shard, size * number) for number, shard in enumerate(parts)]
    for number, shard in enumerate(shards):
        write_shard(directory, number, shard, d_sae=firing.shape[1])
    build_index(directory, n_shards=len(shards), d_sae=firing.shape[1], **settings)
    return shards


def with_values(shard: Shard, first: int) -> Shard:
    rows = first + np.repeat(np.arange(shard.n_tokens), np.diff(shard.indptr))
    values = np.random.default_rng(9).standard_normal((first + shard.n_tokens, 64)).astype(np.float32)
    items = (first + np.arange(shard.n_tokens)).astype(np.int32)
    return replace(shard, token_id=items, position=items, activations=values[rows, shard.ids])


def dense(shards: list[Shard], d: int = D_SAE) -> np.ndarray[Any, Any]:
    """Return the activations, NaN where a feature does not fire: float32, shape (n_tokens, d)."""
    out = np.full((sum(shard.n_tokens for shard in shards), d), np.nan, np.float32)
    first = 0
    for shard in shards:
        out[first + np.repeat(np.arange(shard.n_tokens), np.diff(shard.indptr)), shard.ids] = shard.activations
        first += shard.n_tokens
    return out


# ---- the index


@given(st.data())
def test_the_index_holds_the_dense_firings_for_any_budget(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any number of tokens and features, shards of any size, bands from one feature to all: the same bytes."""
    root = tmp_path_factory.mktemp("index")
    firing = random_firing(data.draw(st.integers(0, 99)), data.draw(st.integers(0, 50)), data.draw(st.integers(1, 20)))
    d = firing.shape[1]
    shards = write(root / "whole", firing, size=data.draw(st.integers(1, 60)))
    write(root / "cut", firing, size=data.draw(st.integers(1, 60)), memory=data.draw(st.integers(1, 2000)))
    for name in (BY_FEATURE, TOKENS):
        assert (root / "whole" / name).read_bytes() == (root / "cut" / name).read_bytes()
    expected, firings = dense(shards, d), Firings(root / "whole")
    assert firings.n_tokens == len(firing)
    assert firings.token_id.tolist() == list(range(len(firing)))
    for feature in range(d):
        rows = np.flatnonzero(~np.isnan(expected[:, feature]))
        assert firings.tokens_of(feature).tolist() == rows.tolist()
        assert firings.activations_of(feature).tolist() == expected[rows, feature].tolist()
    assert sorted(path.name for path in (root / "cut").iterdir() if path.is_file()) == [BY_FEATURE, TOKENS]


def test_memory_is_the_budget_and_a_few_shards(tmp_path: Path) -> None:
    """An index of 2.9 MB, built and read with 300 kB: what Python and numpy allocate at once."""
    rng = np.random.default_rng(1)
    firing = rng.random((20_000, 60)) < 0.3
    write(tmp_path, firing, size=500)

    def allocated(work: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def build(memory: int) -> int:
        return allocated(lambda: build_index(tmp_path, n_shards=40, d_sae=60, memory=memory))

    budget, shard = 300_000, shard_path(tmp_path, 0).stat().st_size
    assert build(2**30) > 8 * firing.sum()
    assert build(budget) < budget + 3 * shard
    firings = Firings(tmp_path)
    assert allocated(lambda: firings.medians(memory=budget)) < budget + 100_000  # and one feature's values, twice
    assert allocated(lambda: list(map(len, map(vars, firings.shards())))) < 4 * shard


def test_the_index_is_read_by_the_library(tmp_path: Path) -> None:
    """Streamed files are safetensors, and what was never written is zero."""
    write(tmp_path / "run", random_firing(1))
    stored = read_arrays(tmp_path / "run" / BY_FEATURE)
    assert {name: str(array.dtype) for name, array in stored.items()} == {
        "indptr": "int64", "tokens": "uint32", "activations": "float32",
    }  # fmt: skip
    with StreamedArrays(tmp_path / "s", {"x": ((4, 2), "float32"), "y": ((0,), "int32")}, metadata={"a": "b"}) as out:
        out.write("x", np.ones((2, 2)), at=1)
        with pytest.raises(ValueError, match="do not fit"):
            out.write("x", np.ones((2, 2)), at=3)
    assert read_arrays(tmp_path / "s")["x"].tolist() == [[0, 0], [1, 1], [1, 1], [0, 0]]
    with ArrayFile(tmp_path / "s") as stored_file:
        assert stored_file.metadata == {"a": "b"}
        some = np.zeros((2, 2), np.float32)
        stored_file.read_rows("x", 2, some)
        assert some.tolist() == [[1, 1], [0, 0]]


def test_fault_26_a_disk_that_fills_up_leaves_no_half_index(tmp_path: Path) -> None:
    """The limit on file size stands in for the disk: in the header, while writing, and when it is raised."""
    write(tmp_path / "run", random_firing(1))
    before = (tmp_path / "run" / BY_FEATURE).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (50, 4000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(CapacityError, match="no room left") as caught:
                build_index(tmp_path / "run", n_shards=4, d_sae=D_SAE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.exit_code == 5
        assert not list((tmp_path / "run").glob(".*"))
    build_index(tmp_path / "run", n_shards=4, d_sae=D_SAE)
    assert (tmp_path / "run" / BY_FEATURE).read_bytes() == before


def test_shards_that_change_while_they_are_read_are_noticed(tmp_path: Path) -> None:
    """A feature has other firings in the second pass than in the first."""
    write(tmp_path, random_firing(1))
    counts = Firings(tmp_path).firing_count
    for wrong in (counts + 1, counts - (counts > 0)):
        with pytest.raises(ArtifactError, match="changed while they were read"):
            list(feature_bands(shard_paths(tmp_path), wrong, memory=2**20))
    with pytest.raises(ArtifactError, match="changed while they were read"):
        list(context_bands(shard_paths(tmp_path), counts + 1, reservoir=1000, memory=2**20))


# ---- medians


@pytest.mark.parametrize("settings", [{}, {"reservoir": 3}], ids=["index", "reservoir"])
@pytest.mark.parametrize("memory", [1, 500, 2**20])
def test_medians_are_those_of_the_positive_activations(tmp_path: Path, settings: Any, memory: int) -> None:
    """Exact, from the index and from the shards, and 0 where a feature never fires positively."""
    firing = random_firing(2)
    shards = write(tmp_path / "run", firing, **settings)
    expected = dense(shards)
    found = Firings(tmp_path / "run").medians(memory=memory)
    assert found.dtype == np.float32
    for feature in range(D_SAE):
        values = expected[:, feature][expected[:, feature] > 0]
        assert found[feature] == (np.median(values) if len(values) else 0)
    assert found[0] == 0
    assert (found[1:] > 0).all()


# ---- the reservoir of contexts


def test_a_reservoir_at_least_as_large_keeps_every_firing(tmp_path: Path) -> None:
    """K >= n: the sample is the index."""
    firing = random_firing(4)
    write(tmp_path / "all", firing)
    write(tmp_path / "some", firing, reservoir=len(firing))
    whole, sample = Firings(tmp_path / "all"), Firings(tmp_path / "some")
    for feature in range(D_SAE):
        for one, other in zip(whole.contexts_of(feature), sample.contexts_of(feature), strict=True):
            assert one.tolist() == other.tolist()
            assert one.dtype == other.dtype


@given(st.integers(1, 30), st.integers(1, 250), st.integers(1, 3000))
def test_the_sample_depends_on_neither_shards_nor_bands(
    tmp_path_factory: pytest.TempPathFactory, reservoir: int, size: int, memory: int
) -> None:
    """The same bytes; each feature keeps its firings of smallest priority, ascending, with their activations."""
    root = tmp_path_factory.mktemp("sample")
    firing = random_firing(5)
    write(root / "one", firing, size=64, reservoir=reservoir)
    shards = write(root / "other", firing, size=size, reservoir=reservoir, memory=memory)
    assert (root / "one" / CONTEXTS).read_bytes() == (root / "other" / CONTEXTS).read_bytes()
    firings, expected = Firings(root / "one"), dense(shards)
    assert firings.reservoir == reservoir
    assert firings.firing_count.tolist() == firing.sum(0).tolist()
    for feature in range(D_SAE):
        rows, activations = firings.contexts_of(feature)
        order = sorted(np.flatnonzero(firing[:, feature]), key=lambda row: priority(0, row, feature))
        assert rows.tolist() == sorted(order[:reservoir])
        assert activations.tolist() == expected[rows, feature].tolist()


def test_the_sample_is_uniform_and_its_features_are_independent(tmp_path: Path) -> None:
    """Of 400 features that fire on each of 240 tokens, 60 kept: rows are hit evenly, and jointly as by chance."""
    n, d, kept = 240, 400, 60
    write_shard(tmp_path, 0, full_shard(n, d), d_sae=d)
    build_index(tmp_path, n_shards=1, d_sae=d, reservoir=kept)
    hits = np.zeros((d, n))
    for feature in range(d):
        hits[feature, Firings(tmp_path).contexts_of(feature)[0]] = 1
    assert (hits.sum(1) == kept).all()
    share = kept / n  # each row is hit by Binomial(d, share) features
    statistic = ((hits.sum(0) - d * share) ** 2 / (d * share * (1 - share))).sum()
    assert 0.01 < scipy.stats.chi2.sf(statistic, n - 1) < 0.99
    joint = (hits @ hits.T)[np.triu_indices(d, 1)]  # hypergeometric for two independent samples
    expected = scipy.stats.hypergeom(n, kept, kept)
    assert abs(joint.mean() - expected.mean()) < 0.05
    assert abs(joint.var() / expected.var() - 1) < 0.05


def full_shard(n: int, d: int) -> Shard:
    rows = np.arange(n, dtype=np.int32)
    ids = np.tile(np.arange(d, dtype=np.int32), n)
    return Shard(rows, rows, rows, np.arange(n + 1, dtype=np.int64) * d, ids, np.ones(n * d, np.float32))


def test_another_seed_gives_another_sample(tmp_path: Path) -> None:
    """And the same seed the same one."""
    write(tmp_path, random_firing(6))
    counts = Firings(tmp_path).firing_count

    def sample(seed: int) -> list[int]:
        bands = context_bands(shard_paths(tmp_path), counts, reservoir=5, memory=2**20, seed=seed)
        return [row for band in bands for row in band.tokens.tolist()]

    assert sample(1) == sample(1) != sample(2)


def test_a_run_with_a_reservoir_says_what_it_cannot_answer(tmp_path: Path) -> None:
    """Every access to the index names the run's size and the option; shards and counts are there."""
    firing = random_firing(7)
    write(tmp_path, firing)
    write(tmp_path / "run", firing, reservoir=3)
    assert not (tmp_path / "run" / BY_FEATURE).exists()
    firings = Firings(tmp_path / "run")
    for ask in (
        lambda: firings.indptr,
        lambda: firings.rows,
        lambda: firings.tokens_of(1),
        lambda: firings.activations_of(1),
        lambda: firings.joint_tokens(1, 2),
        firings.require_index,
    ):
        with pytest.raises(InputError, match="keeps a reservoir of 3 contexts per feature") as caught:
            ask()
        assert "--contexts all" in caught.value.remedy
        assert caught.value.exit_code == 3
    assert sum(shard.n_tokens for shard in firings.shards()) == len(firing)


@pytest.mark.parametrize("text", ["", "All", "reservoir", "reservoir:", "reservoir:0", "reservoir:-1", "reservoir:x",
                                  "reservoir:4294967296", "reservoir:٣", "reservoir:1\n"])  # fmt: skip
def test_contexts_are_all_or_a_reservoir(text: str) -> None:
    """Anything else is refused with what is expected."""
    assert reservoir_size("all") is None
    assert reservoir_size("reservoir:64") == 64
    with pytest.raises(InputError, match="expected all or reservoir:K"):
        reservoir_size(text)


# ---- bad input


def stored(run: Run, change: Any = None) -> Artifact:
    """Write an artifact; `change` is done to the directory before its sums are taken."""
    firing = random_firing(8)

    def compute(directory: Path) -> dict[str, Any]:
        for number, shard in enumerate(shards_of(firing, firing[:, 0], seed=0, size=64)):
            write_shard(directory, number, shard, d_sae=D_SAE)
        build_index(directory, n_shards=4, d_sae=D_SAE)
        if change is not None:
            change(directory)
        return {}

    return run.produce(Spec("10-activations", {}), compute)


def falling(arrays: dict[str, Any]) -> None:
    start = np.flatnonzero(np.diff(arrays["indptr"]) > 1)[0]
    low = arrays["indptr"][start]
    arrays["ids"][[low, low + 1]] = arrays["ids"][[low + 1, low]]


def set_entry(name: str, place: int, value: Any) -> Any:
    def change(arrays: dict[str, Any]) -> None:
        arrays[name][place] = value

    return change


def drop(arrays: dict[str, Any]) -> None:
    arrays["ids"] = arrays["ids"][:-1]


def widen(arrays: dict[str, Any]) -> None:
    arrays["activations"] = arrays["activations"].astype(np.float64)


BREAKS = [
    (falling, r"ids of token \d+ are not strictly ascending"),
    (set_entry("ids", -1, D_SAE), rf"feature {D_SAE} on token \d+, expected 0\.\.{D_SAE - 1}"),
    (set_entry("ids", 0, -1), rf"feature -1 on token \d+, expected 0\.\.{D_SAE - 1}"),
    (set_entry("activations", 5, np.nan), r"activation of feature \d+ on token \d+ is nan"),
    (set_entry("activations", 5, -np.inf), r"activation of feature \d+ on token \d+ is -inf"),
    (set_entry("indptr", 3, 10**12), "the row pointer of token 2 does not ascend"),
    (set_entry("indptr", 3, -1), "the row pointer of token 2 does not ascend"),
    (set_entry("indptr", 0, 1), "lengths .* do not fit 64 tokens"),
    (drop, "lengths .* do not fit 64 tokens"),
    (widen, "holds .*float64.*, expected"),
]


def broken(directory: Path, change: Any) -> None:
    path = shard_path(directory, 2)
    arrays = {name: array.copy() for name, array in read_arrays(path).items()}
    change(arrays)
    write_arrays(path, arrays)


@pytest.mark.parametrize(("change", "message"), BREAKS)
def test_a_shard_that_breaks_its_contract_is_named_with_the_place(tmp_path: Path, change: Any, message: str) -> None:
    """By every reader: the stage that counts, the index and the sample; a sum that fits does not help."""
    with Run(tmp_path) as run:
        artifact = stored(run, lambda directory: broken(directory, change))
        where = rf"10-activations/shards/shard-00002\.safetensors: {message}"
        with pytest.raises(InputError, match=where) as caught:
            count(run)
    assert caught.value.remedy
    assert "\n" not in caught.value.cause
    for reservoir in (None, 3):
        with pytest.raises(InputError, match=where):
            build_index(artifact.path, n_shards=4, d_sae=D_SAE, reservoir=reservoir)


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    """By the run, which knows its size, and by the reader alone; also one cut in its header, or emptied."""
    with Run(tmp_path) as run:
        artifact = stored(run)
    path = shard_path(artifact.path, 2)
    for size in (path.stat().st_size - 4, 100, 5, 0):
        os.truncate(path, size)
        with pytest.raises(ArtifactError, match=rf"shard-00002\.safetensors.*cut off: {size} bytes") as caught:
            list(Firings(artifact.path).shards())
        assert "does damaged shards anew" in caught.value.remedy
        with Run(tmp_path) as run, pytest.raises(ArtifactError, match=r"shard-00002\.safetensors has \d+ bytes"):
            count(run)


def test_a_shard_of_another_sae_is_noticed(tmp_path: Path) -> None:
    """By its sum; and by the number of firings where the sums are not looked at."""
    with Run(tmp_path / "run") as run:
        artifact = stored(run)
    write(tmp_path / "other", random_firing(99))
    shutil.copy(shard_path(tmp_path / "other", 1), shard_path(artifact.path, 1))
    with Run(tmp_path / "run") as run, pytest.raises(ArtifactError, match=r"shard-00001\.safetensors"):
        count(run)
    with pytest.raises(ArtifactError, match="firings in the shards, expected 200 and"):
        list(Firings(artifact.path).shards())


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    """In the middle and at the end."""
    write(tmp_path, random_firing(1))
    shard_path(tmp_path, 3).unlink()
    with pytest.raises(ArtifactError, match=r"192 tokens and .* expected 200 and"):
        list(Firings(tmp_path).shards())
    shard_path(tmp_path, 1).unlink()
    with pytest.raises(ArtifactError, match=r"shard-00001\.safetensors: missing among 2 shards"):
        list(Firings(tmp_path).shards())


def test_checking_finds_the_first_fault_in_an_empty_shard(tmp_path: Path) -> None:
    """No tokens, or none that fires, is no fault; a row pointer of none is."""
    none = np.zeros(0, np.int32)
    empty = Shard(none, none, none, np.zeros(1, np.int64), none, np.zeros(0, np.float32))
    check_shard(empty, d_sae=1, place="here")
    with pytest.raises(InputError, match="here: lengths"):
        check_shard(replace(empty, indptr=np.zeros(0, np.int64)), d_sae=1, place="here")
