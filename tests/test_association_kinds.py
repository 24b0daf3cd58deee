"""The three kinds of edges: what is enumerated, against plain loops; planted exclusion and subjects; odd corpora."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sample_of, stored
from worlds import planted_run, store

from atlas.artifacts import Run
from atlas.association import associate, table
from atlas.association.backbone import strongest
from atlas.association.sample import Null, band_sums
from atlas.association.testing import CO_OCCURS, CO_TOPIC, EXCLUDES, Gates, test_pairs
from atlas.counting.passes import Settings
from atlas.counting.stage import count
from atlas.errors import BackendError, InputError

OPEN = Gates(q=1.0, min_joint=1, min_lift=0.0, min_firings=1, max_density=1.0)


def null_of(
    firing: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], i: int, j: int
) -> tuple[float, float, float, float]:
    """Return (E, E without crowding, V, c) of METHODS section 4 written out, for firings without runs."""
    e = e0 = v = 0.0
    for d in np.unique(labels):
        some = firing[labels == d]
        t, x, y, level = len(some), some[:, i].sum(), some[:, j].sum(), some.sum(1)
        rho = t * (level * (level - 1)).sum() / level.sum() ** 2 if level.sum() else 1.0
        e, e0 = e + rho * x * y / t, e0 + x * y / t
        if t > 1:
            v += rho * x * y * (t - x) * (t - y) / (t * t * (t - 1))
    return e, e0, v, float((firing[:, i] & firing[:, j]).sum())


@settings(max_examples=20)  # each writes its firings
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2**12, 2**30]), st.sampled_from([1, 2]))
def test_bands_hold_every_pair_and_those_that_fall_short(seed: int, memory: int, threads: int) -> None:
    """E, E without crowding and V of each pair, and the depleted ones, never seen together or not: as written out."""
    rng = np.random.default_rng(seed)
    labels = np.unique(rng.integers(0, 5, int(rng.integers(10, 80))), return_inverse=True)[1]
    labels.sort()
    firing = rng.random((len(labels), 6)) < rng.choice([0.15, 0.5], 6)
    firing[:, 1] &= ~firing[:, 0]
    alive = np.flatnonzero(firing.any(0) & (rng.random(6) < 0.9))
    seen, short, n_expected = {}, {}, 0
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, before))
    with TemporaryDirectory() as directory:
        sample = sample_of(stored(Path(directory), firing, np.zeros(len(labels), int)), labels)
        null = Null.of(sample, alive)
        null.runs.autocorrelation[:] = 0
        for band in sample.bands(memory=memory):
            sums = band_sums(sample, null, band, min_expected=1.5, share=0.5)
            n_expected += sums.n_expected
            columns = (band.rows, band.columns, sums.expected, sums.expected_uncorrected, sums.variance)
            seen |= {(a, b): (e, e0, v, c) for a, b, e, e0, v, c in zip(*columns, band.joint_count, strict=True)}
            short |= {(a, b): (e, e0, v, c) for a, b, c, e, e0, v, _ in zip(*sums.depleted, strict=True)}
    numba.set_num_threads(before)
    only = firing.copy()
    only[:, np.setdiff1d(np.arange(6), alive)] = False
    wanted = {(i, j): null_of(only, labels, i, j) for i in range(6) for j in range(i + 1, 6)}
    assert set(seen) == {(i, j) for i, j in wanted if (firing[:, i] & firing[:, j]).any()}
    for pair, found in seen.items():
        assert found == pytest.approx(wanted[pair] if set(pair) <= set(alive) else (0, 0, 0, found[3]))
    expected = {pair: least for pair, (e, e0, _, _) in wanted.items() if (least := min(e, e0)) >= 1.5}
    assert n_expected == len(expected)
    assert set(short) == {pair for pair, least in expected.items() if wanted[pair][3] <= 0.5 * least}
    for pair, found in short.items():
        assert found == pytest.approx(wanted[pair])


def exclusive_world(n_documents: int = 40, length: int = 400) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return firings and documents: 0 and 1 never together, 2 and 3 half as often as by chance, 4 to 23 independent.

    24 and 25 are rare and never meet: not enough is expected of them. 26 and 27 are always together.
    """
    rng = np.random.default_rng(31)
    n = n_documents * length
    firing = rng.random((n, 28)) < 0.05
    which = rng.random(n)
    firing[:, 0], firing[:, 1] = which < 0.08, which > 0.92
    firing[:, 2] = rng.random(n) < 0.08
    firing[:, 3] = rng.random(n) < np.where(firing[:, 2], 0.02, 0.08)
    which = rng.random(n)
    firing[:, 24], firing[:, 25] = which < 0.005, which > 0.995
    firing[:, 27] = firing[:, 26]
    return firing, np.arange(n_documents).repeat(length)


def rows_of(run: Run, **given: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the table of edges by kind."""
    rows = associate(run, **given).table("edges").to_pylist()
    return {kind: [row for row in rows if row["kind"] == kind] for kind in (CO_OCCURS, CO_TOPIC, EXCLUDES)}


def test_pairs_that_lack_joint_firings_exclude_each_other(tmp_path: Path) -> None:
    """Never together, or a quarter as often as expected; the family is the pairs expected on five tokens or more."""
    firing, document = exclusive_world()
    with Run(tmp_path / "run") as run:
        store(run, firing, document)
        count(run)
        found = rows_of(run)
        figures = run.artifact("30-edges").results["kinds"]
        assert not rows_of(run, excludes=False)[EXCLUDES]
    assert {(row["a"], row["b"]) for row in found[EXCLUDES]} == {(0, 1), (2, 3)}
    never = found[EXCLUDES][0]
    assert (never["joint_count"], never["lift_d"], never["lift"], never["jaccard"]) == (0, 0, 0, 0)
    assert never["expected"] == pytest.approx(0.08 * 0.08 * len(firing), rel=0.1)
    assert never["phi_d"] == pytest.approx(never["phi"], abs=0.01)
    assert never["phi_d"] == pytest.approx(-0.08 / 0.92, abs=0.01)
    expected = sum(null_of(firing, document, i, j)[1] >= 5 for i in range(28) for j in range(i + 1, 28))
    assert figures[EXCLUDES]["tests"] == expected < 28 * 27 // 2
    assert figures[EXCLUDES]["control_significant"] == 0
    assert {(row["a"], row["b"]) for row in found[CO_OCCURS]} == {(26, 27)}
    together = found[CO_OCCURS][0]
    assert [together[name] for name in ("phi", "phi_ratio", "jaccard", "npmi")] == pytest.approx([1] * 4)


def topic_world() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return firings and documents: six subjects of four features, each in a fifth of 120 documents, and 40 of none.

    Features 0 and 1 of the first subject fire together, and 4 and 5 of the second exclude each other.
    """
    rng = np.random.default_rng(32)
    subject = rng.random((120, 6)) < 0.2
    rate = np.where(subject, 0.12, 0.003).repeat(4, axis=1)
    document = np.arange(120).repeat(200)
    firing = rng.random((len(document), 64)) < np.hstack([rate, np.full((120, 40), 0.05)])[document]
    firing[:, 1] = firing[:, 0] & (rng.random(len(document)) < 0.8)
    firing[:, 5] &= ~firing[:, 4]
    return firing, document


def test_features_of_one_subject(tmp_path: Path) -> None:
    """Pairs of one subject, but for those that fire together or exclude each other on the token; no others."""
    firing, document = topic_world()
    with Run(tmp_path / "run") as run:
        store(run, firing, document)
        count(run)
        found = rows_of(run, target_degree=100)
    pairs = {kind: {(row["a"], row["b"]) for row in rows} for kind, rows in found.items()}
    assert pairs[CO_OCCURS] == {(0, 1)}
    assert pairs[EXCLUDES] == {(4, 5)}
    same = {(i, j) for i in range(24) for j in range(i + 1, 24) if i // 4 == j // 4} - {(0, 1), (4, 5)}
    assert pairs[CO_TOPIC] <= same
    assert len(pairs[CO_TOPIC]) >= 0.9 * len(same)
    assert all(row["lift"] >= 2 and 0.8 <= row["lift_d"] < 1.25 for row in found[CO_TOPIC])


def test_one_document_has_no_subjects(tmp_path: Path) -> None:
    """The unit of a subject is the document: within one alone nothing can be told, and edges are found as ever."""
    firing, _ = topic_world()
    with Run(tmp_path / "run") as run:
        store(run, firing, np.zeros(len(firing), int))
        count(run)
        found = rows_of(run)
    assert not found[CO_TOPIC]
    assert (0, 1) in {(row["a"], row["b"]) for row in found[CO_OCCURS]}


def test_only_the_backbone_of_the_other_kinds_is_written(tmp_path: Path) -> None:
    """Mean degree .5 over 64 features: 16 edges of one subject, the strongest; the cuts are recorded."""
    firing, document = topic_world()
    with Run(tmp_path / "run") as run:
        store(run, firing, document)
        count(run)
        found = rows_of(run, target_degree=0.5)
        figures = run.artifact("30-edges").results["kinds"]
    assert [row["kept_by"] for row in found[CO_TOPIC]] == ["phi"] * 16
    assert [row["kept_by"] for row in found[EXCLUDES]] == ["phi_d"]
    assert min(row["phi"] for row in found[CO_TOPIC]) == figures[CO_TOPIC]["cut"]
    assert figures[CO_TOPIC]["significant"] > 16 == figures[CO_TOPIC]["kept"]
    assert figures[EXCLUDES]["cut"] == found[EXCLUDES][0]["phi_d"]


def test_one_basis_of_the_backbone(tmp_path: Path) -> None:
    """Asked for the contextual part, of the edges on the backbone those stay, and its cut is that of the whole."""
    with Run(tmp_path / "run") as run:
        planted_run(run)
        count(run)
        whole = associate(run, control="none")
        wanted = [row["basis"] == "contextual" and row["kept_by"] is not None
                  for row in whole.table("edges").to_pylist()]  # fmt: skip
        part = associate(run, control="none", basis="contextual")
        assert 0 < sum(wanted) == part.results["n_edges"]
        assert [row["kept_by"] is not None for row in part.table("edges").to_pylist()] == wanted
        assert part.results["phi_cut"] == whole.results["phi_cut"]
        assert set(part.results["basis"]) == {"contextual"}
        with pytest.raises(InputError, match="no edge of the backbone is untested"):
            associate(run, control="none", basis="untested")


def test_strongest_never_decides_between_ties() -> None:
    """Three of five tie at the second place: with room for two the first alone stays, with room for four all four."""
    strength = np.array([0.3, 0.5, 0.3, 0.1, 0.3])
    assert strongest(strength, "phi", n_alive=2, target_degree=2).edges.tolist() == [False, True, False, False, False]
    assert strongest(strength, "phi", n_alive=2, target_degree=4).edges.tolist() == [True, True, True, False, True]
    none = strongest(np.ones(3), "phi", n_alive=2, target_degree=2)
    assert (none.edges.any(), none.cut) == (False, None)


@pytest.mark.parametrize(("prune", "remedy"), [(3, "--no-excludes"), (9, "--prune 5")])
def test_pruned_counts_are_refused_for_depletion(tmp_path: Path, prune: int, remedy: str) -> None:
    """A pair that was left out would look like one that is never seen."""
    with Run(tmp_path / "run") as run:
        planted_run(run, n_documents=10)
        count(run, prune=prune)
        with pytest.raises(InputError, match=f"fewer than {prune} tokens") as caught:
            associate(run)
        if prune <= Gates().min_joint:
            associate(run, excludes=False, control="none")
    assert remedy in caught.value.remedy


def test_the_table_is_the_same_in_any_memory_and_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of one feature, pieces of one row, two threads: the same rows, in order of (a, b), and no NaN."""
    firing, document = topic_world()
    with Run(tmp_path / "run") as run:
        store(run, firing, document)
        count(run)
        whole = associate(run, control="none").table("edges")
        monkeypatch.setattr(table, "_ROWS", 1)
        tested = Settings(memory=2**22, threads=2)
        pieces = associate(run, control="none", seed=1, settings=tested).table("edges")
    assert pieces.equals(whole)
    keys = list(zip(whole["a"].to_pylist(), whole["b"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))
    assert not any(np.isnan(whole[name].drop_null().to_numpy()).any() for name in ("phi_d", "lift_t", "q", "g2"))


def test_documents_of_one_token_are_named(tmp_path: Path) -> None:
    """Where every document has one token, no pair can be tested within it."""
    rng = np.random.default_rng(33)
    firing = rng.random((3000, 5)) < 0.05
    firing[:, 1] = firing[:, 0]
    with Run(tmp_path / "run") as run:
        store(run, firing, np.arange(3000))
        count(run)
        with pytest.raises(InputError, match="every document has one token"):
            associate(run)


def test_features_that_are_dead_or_always_on_are_listed_and_not_tested(tmp_path: Path) -> None:
    """Faults 46 and 47: both are counted; asked for with --max-density 1, one that is always on has no edge."""
    firing, document = exclusive_world()
    firing[:, 4] = True
    firing[:, 5] = False
    firing[:10, 5] = True
    with Run(tmp_path / "run") as run:
        store(run, firing, document)
        count(run)
        figures = associate(run, control="none").results
        assert (figures["n_dead"], figures["dense"], figures["n_alive"]) == (1, [4], 26)
        rows = associate(run, control="none", gates=Gates(max_density=1.0)).table("edges")
    assert not {4, 5} & {*rows["a"].to_pylist(), *rows["b"].to_pylist()}


@pytest.mark.parametrize(("k", "says"), [(4, "with TopK"), (None, "since tokens differ in how many")])
def test_fault_50_the_baseline_is_noted(tmp_path: Path, k: int | None, says: str) -> None:
    """Exactly k firings a token: rho is (k - 1) / k, and the run says so; uneven tokens have one above 1."""
    rng = np.random.default_rng(34)
    level = rng.random((16000, 60)) + np.where(rng.random((16000, 1)) < 0.1, 0.2, 0)
    firing = level > 0.95 if k is None else level >= np.sort(level, axis=1)[:, -k, None]
    firing[:, 0] = firing[:, 1]
    firing[:, 2] = firing[:, 3] = level[:, 3] > 0.97
    document = np.arange(40).repeat(400)
    if k is not None:
        firing[:, :4] = False
        firing[:, :2] = (level[:, :1] > 0.97).repeat(2, axis=1)
        rest = level[:, 4:]
        for row in range(len(firing)):
            order = np.argsort(-rest[row])
            firing[row, 4:] = False
            firing[row, 4 + order[: k - 2 * firing[row, 0]]] = True
    with Run(tmp_path / "run") as run:
        store(run, firing, document)
        count(run)
        figures = associate(run, control="none").results
    assert says in figures["baseline"]
    if k is not None:
        assert figures["crowding"] == pytest.approx((k - 1) / k, rel=1e-9)


def test_settings_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is counted with the run's memory, threads and device, and so is it tested."""
    from atlas.association import stage

    asked = []

    def watched(*given: Any, **named: Any) -> Any:
        asked.append(named["settings"])
        return counting(*given, **named)

    counting = stage.count_shards
    monkeypatch.setattr(stage, "count_shards", watched)
    chosen = Settings(memory=2**28, threads=1, device="cpu")
    with Run(tmp_path / "run") as run:
        planted_run(run, n_documents=10)
        count(run)
        associate(run, settings=chosen, control="shift")
        with pytest.raises(BackendError):  # no machine has a hundred
            associate(run, settings=replace(chosen, device="cuda:99"))
        assert run.artifact("30-edges").parameters["control"] == "shift"  # what was there is still there
    assert asked == [chosen]


def test_the_test_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    """Each row is added up by one thread in one order: the same bits."""
    firing, document = exclusive_world(n_documents=10)
    sample = sample_of(stored(tmp_path / "run", firing, document), document)
    found = [test_pairs(sample, gates=OPEN, settings=Settings(threads=n, memory=2**24)).pairs for n in (1, 2)]
    for kind in (CO_OCCURS, CO_TOPIC, EXCLUDES):
        one, two = (replace(some[kind], n_tests=0).__dict__ for some in found)
        for name, values in one.items():
            assert np.array_equal(values, two[name]), name


def test_pairs_stream_through_bounded_memory(tmp_path: Path) -> None:
    """4.3 million pairs, 52 MB on disk, are tested in 16 MiB given: at no time are 24 MiB of arrays held."""
    rng = np.random.default_rng(35)
    firing = rng.integers(0, 50, (8000, 3000), np.uint8) == 0
    document = np.arange(20).repeat(400)
    sample = sample_of(stored(tmp_path / "run", firing, document), document)
    assert sample.pairs.stat().st_size > 50e6
    tracemalloc.start()
    found = test_pairs(sample, gates=Gates(), settings=Settings(memory=2**24))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n_seen > 4e6
    assert peak < 24 * 2**20
