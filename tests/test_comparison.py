"""Comparison: features find themselves under other numbers, chance finds few, and rates stand beside rates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import fire, plan, store

from atlas.artifacts import Artifact, Run
from atlas.association import associate
from atlas.communities import cluster
from atlas.comparison import compare
from atlas.comparison.matching import (
    Q,
    false_rate,
    matched,
    nearest_directions,
    nearest_firings,
    random_directions,
)
from atlas.comparison.rates import ratios
from atlas.comparison.reading import Population
from atlas.comparison.structures import Features, Pairs, Sets, Structures
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.files import read_arrays
from atlas.firings import Firings
from atlas.ingest.baselines import baseline
from atlas.shapes import structure
from atlas.tracking import untracked

N_DOCUMENTS, LENGTH = 60, 400


def test_the_false_rate_by_hand() -> None:
    """Real values .9, .8, .5 and decoys .6, .5: one over one, one over two, three over three."""
    assert false_rate(np.array([0.5, 0.9, 0.8]), np.array([0.6, 0.5])).tolist() == [1.0, 0.5, 0.5]
    assert false_rate(np.zeros(0), np.array([0.1])).tolist() == []
    many = false_rate(np.linspace(0.5, 1, 100), np.array([0.52]))
    assert many[-1] == pytest.approx(1 / 96)  # none of the 96 above the decoy: no less than at the 96th
    assert np.all(np.diff(many) <= 0)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_mutual_nearest_directions_are_those_of_all_pairs(seed: int) -> None:
    """Against the whole matrix of cosines, over some of the features of each run."""
    rng = np.random.default_rng(seed)
    rows, other = rng.standard_normal((30, 5)), rng.standard_normal((25, 5))
    index, other_index = (np.sort(rng.choice(n, n - 4, replace=False)) for n in (30, 25))
    found = nearest_directions(rows, other, index, other_index)
    unit = [some / np.linalg.norm(some, axis=1, keepdims=True) for some in (rows, other)]
    cosine = unit[0][index] @ unit[1][other_index].T
    for place in range(len(index)):
        best = int(cosine[place].argmax())
        mutual = cosine[:, best].argmax() == place and cosine[place, best] > 0
        assert found.partner[place] == (other_index[best] if mutual else -1)
        assert found.best[place] == pytest.approx(cosine[place, best], abs=1e-6)


def test_a_relabelled_decoder_is_matched_and_a_random_one_is_not() -> None:
    """Directions that crowd into six dimensions, with noise and other numbers; the null crowds as they do."""
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((300, 6)) @ rng.standard_normal((6, 32)) + 0.3 * rng.standard_normal((300, 32))).astype(
        np.float32
    )
    order = rng.permutation(300)
    other = rows[order] + 0.05 * rng.standard_normal(rows.shape).astype(np.float32)
    every = np.arange(300)
    null = random_directions(other, every, seed=0)
    found = matched(nearest_directions(rows, other, every, every), nearest_directions(rows, null, every, every))
    assert len(found.index) >= 290
    assert np.mean(order[found.other] == found.index) == 1
    assert found.median > 0.95 > found.median_null > 0.5
    fresh = random_directions(other, every, seed=5)
    chance = matched(nearest_directions(rows, fresh, every, every), nearest_directions(rows, null, every, every))
    assert len(chance.index) <= 5


def planted(path: Path, firing: np.ndarray[Any, Any], *, seed: int, first: int = 0) -> Run:
    run = Run(path).__enter__()
    store(run, firing, first + np.arange(N_DOCUMENTS).repeat(LENGTH), seed=seed, items=np.arange(len(firing)) % 50)
    return run


def finish(run: Run) -> None:
    count(run)
    associate(run)
    cluster(run)
    structure(run)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Yield a planted run, the same features under other numbers with a firing in twenty lost, and a shuffled one."""
    place = tmp_path_factory.mktemp("comparison")
    world = plan()
    firing = fire(world, n_documents=N_DOCUMENTS, length=LENGTH, seed=3)
    rng = np.random.default_rng(4)
    order = rng.permutation(world.d_sae)
    again = (firing & (rng.random(firing.shape) < 0.95))[:, order]
    with ExitStack() as stack:
        one, two = planted(place / "one", firing, seed=1), planted(place / "two", again, seed=2)
        for run in (one, two):
            stack.push(run)
            finish(run)
        shuffled = stack.enter_context(Run(place / "shuffled"))
        baseline("shuffled", one, shuffled, seed=5)
        yield {"world": world, "order": order, "firing": firing, "one": one, "two": two, "shuffled": shuffled,
               "relabelled": compare(one, two), "control": compare(one, shuffled)}  # fmt: skip


def row(artifact: Artifact, structure: str, of: str) -> dict[str, Any]:
    rows = artifact.table("comparison").to_pylist()
    return next(one for one in rows if (one["structure"], one["of"]) == (structure, of))


def test_phi_over_two_runs_is_that_of_all_pairs(runs: dict[str, Any]) -> None:
    """Against numpy's correlation of the two dense matrices."""
    one, two = (Firings(runs[name].path / "10-activations") for name in ("one", "two"))
    every = np.flatnonzero(one.firing_count), np.flatnonzero(two.firing_count)
    found = nearest_firings(one, two, *every, track=untracked, label="")
    dense = np.zeros((two.n_tokens, two.d_sae), bool)
    for feature in range(two.d_sae):
        dense[two.tokens_of(feature), feature] = True
    phi = np.corrcoef(runs["firing"][:, every[0]].T, dense[:, every[1]].T)[: len(every[0]), len(every[0]) :]
    assert np.allclose(found.best, phi.max(axis=1))
    mutual = found.mutual
    assert np.array_equal(found.partner[mutual], every[1][phi.argmax(axis=1)[mutual]])


def test_features_find_themselves_under_other_numbers(runs: dict[str, Any]) -> None:
    """By firings every one that fires; by decoder none, since the directions are drawn anew."""
    found = runs["relabelled"]
    rows = found.table("matches").to_pylist()
    assert {one["by"] for one in rows} == {"firings"}
    assert all(runs["order"][one["other"]] == one["index"] and one["phi_q"] <= Q for one in rows)
    assert len(rows) == found.results["matched_by_firings"] == runs["world"].d_sae - 1
    assert found.results["matched_by_decoder"] == found.results["matched_by_both"] == 0
    assert found.results["median_phi"] > 0.9 > 0.2 > found.results["median_phi_null"]


def test_structures_survive_among_matched_features_and_hardly_by_chance(runs: dict[str, Any]) -> None:
    """Edges, communities, and the hubs of stars; permuted matches keep few."""
    edges = row(runs["relabelled"], "edges", "CO_OCCURS")
    assert edges["matched"] == edges["count"] > 20
    assert edges["survives"] >= 0.9 * edges["count"]
    assert edges["survives_by_chance"] < 0.2 * edges["count"]
    assert edges["low"] < 1 < edges["high"]
    hubs = row(runs["relabelled"], "egos", "hub-spoke")
    assert hubs["count"] == hubs["survives"] == len(runs["world"].stars)
    communities = runs["relabelled"].table("community_matches").to_pylist()
    assert communities
    assert np.mean([one["overlap"] >= 0.5 for one in communities]) > 0.9
    assert all(one["overlap_p"] <= 0.1 for one in communities if one["matched"] >= 4)


def test_a_shuffled_run_has_none_of_it(runs: dict[str, Any]) -> None:
    """The same decoder, so all are matched by it; no edge is left, and the ratio's interval says so."""
    found = runs["control"]
    assert found.results["control"] == "shuffled"
    assert found.results["matched_by_firings"] == 0
    assert found.results["matched_by_decoder"] == runs["world"].d_sae - 1
    edges = row(found, "edges", "CO_OCCURS")
    assert edges["other_count"] == edges["survives"] == 0
    assert edges["rate"] == pytest.approx(1000 * edges["count"] / found.results["n_alive"])
    assert edges["ratio"] == pytest.approx((edges["count"] + 0.5) / 0.5)
    assert edges["high"] > edges["low"] > 5


def test_other_text_is_said_and_not_matched_by_firings(
    runs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 43: the same features on other tokens; with directions of another width none is matched, rates remain."""

    def narrow(path: Path) -> dict[str, Any]:
        return {"W_dec": read_arrays(path)["W_dec"][:, : 8 if "other" in path.parts else 16]}

    with ExitStack() as stack:
        other = planted(tmp_path / "other", runs["firing"][:, runs["order"]], seed=1, first=1)
        stack.push(other)
        finish(other)
        found = compare(runs["one"], other)
        monkeypatch.setattr("atlas.comparison.stage.read_arrays", narrow)
        apart = compare(runs["one"], other, name="narrow")
    assert found.results["matched_by_firings"] is None
    assert any("different tokens" in note for note in found.results["notes"])
    assert apart.results["matched"] == apart.table("matches").num_rows == 0
    assert [note.split(":")[0] for note in apart.results["notes"]] == [
        "not matched by decoder", "not matched by firings"
    ]  # fmt: skip
    assert "of 16 and 8 numbers" in apart.results["notes"][0]
    edges = row(apart, "edges", "CO_OCCURS")
    assert edges["other_count"] > 0
    assert edges["survives"] is None


def test_a_run_beside_itself_and_names_that_are_none_are_refused(runs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="beside itself"):
        compare(runs["one"], runs["one"])
    with pytest.raises(InputError, match="no name"):
        compare(runs["one"], runs["two"], name="../two")


def test_survival_by_hand() -> None:
    """Five features, of which 0 to 3 are matched with 10 to 13."""
    match = np.array([10, 11, 12, 13, -1])
    assert Features(np.array([0, 1, 4])).survival(Features(np.array([10, 14])), match) == (2, 1)
    pairs = Pairs(np.array([0, 1, 2]), np.array([1, 2, 4]))
    assert pairs.survival(Pairs(np.array([10, 13]), np.array([11, 12])), match) == (2, 1)
    turned = Pairs(np.array([11]), np.array([10]))
    assert pairs.survival(turned, match) == (2, 1)
    directed = Pairs(np.array([0, 1]), np.array([1, 2]), directed=True)
    assert directed.survival(Pairs(np.array([11]), np.array([10]), directed=True), match) == (2, 0)
    sets = Sets([np.array([0, 1, 2]), np.array([3, 4]), np.array([1, 2, 3])])
    others = Sets([np.array([10, 11, 20]), np.array([12, 13])])
    overlap, which, testable = sets.overlaps(others, match)
    assert overlap == pytest.approx([2 / 3, 1 / 2, 2 / 3])  # 20 is matched with nothing, and so left out
    assert which.tolist() == [0, 1, 1]
    assert testable.tolist() == [True, False, True]
    assert sets.survival(others, match) == (2, 2)


def test_the_interval_of_a_ratio_covers_it() -> None:
    """Of 300 pairs of Poisson counts of one rate, about 95 % of the intervals hold 1; none is infinite."""
    rng = np.random.default_rng(0)
    alive = np.arange(10)
    counts = rng.poisson(12, (300, 2))

    def some(side: int) -> Structures:
        return {("communities", f"{n:03}"): Sets([alive] * k) for n, k in enumerate(counts[:, side])}

    group = Population(alive, alive)
    found = ratios(some(0), some(1), group, group, seed=0).values()
    assert 0.92 <= np.mean([one.low <= 1 <= one.high for one in found]) <= 0.99
    none = ratios({("egos", "x"): Features(alive[:0])}, {}, group, group, seed=0)["egos", "x"]
    assert none.ratio == 1
    assert 0 < none.low < 0.1
    assert none.high < np.inf


def test_a_hub_makes_the_interval_of_edges_wider() -> None:
    """Forty edges of one feature are less sure than forty of eighty."""
    alive = np.arange(100)
    star = {("edges", "x"): Pairs(np.zeros(40, np.int64), np.arange(1, 41))}
    apart = {("edges", "x"): Pairs(np.arange(40), np.arange(40, 80))}
    group = Population(alive, alive)
    wide, narrow = (ratios(one, apart, group, group, seed=0)["edges", "x"] for one in (star, apart))
    assert wide.ratio == narrow.ratio == 1
    assert wide.high / wide.low > 2 * narrow.high / narrow.low


