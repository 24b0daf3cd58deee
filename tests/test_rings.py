"""Rings by hand, random frames, items without words, and a planted world in which every figure is known."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.ranking import largest
from atlas.rings import FeatureSet, Points, Rules, item_sets, measure, named, tried
from atlas.rings.centroids import Centroids, Vocabulary, centroids, joined
from atlas.rings.cyclic import match, order_p
from atlas.rings.geometry import chance, closure, cosines, figures, random_frames, ring_statistic, simplex_share
from atlas.rings.others import HELIX_AXES, bends, helix_scores
from atlas.rings.picture import as_svg
from atlas.rings.sums import Sums
from atlas.score.manifolds import PlantedManifold, judge_claims
from atlas.tracking import untracked

RULES = Rules()


def points_of(coordinates: np.ndarray, likeness: np.ndarray | None = None, *, noise: float = 0.0) -> Points:
    k = len(coordinates)
    rng = np.random.default_rng(0)
    other = coordinates + noise * rng.standard_normal(coordinates.shape)
    like = cosines(coordinates) if likeness is None else likeness
    return Points(tuple(f"w{i}" for i in range(k)), np.full(k, 50), coordinates, other, like)


def circle(k: int) -> np.ndarray:
    """A tuning curve's points: the first harmonic twice as long as the second, two small ones beside."""
    angle = 2 * np.pi * np.arange(k) / k
    return np.stack([np.cos(angle), np.sin(angle), 0.5 * np.cos(2 * angle), 0.5 * np.sin(2 * angle)], -1)


def test_a_regular_polygon_is_as_round_as_can_be() -> None:
    """Radius CV 0, even gaps, and a score that is the share of variance on the plane: .8 of 1 + 1/4."""
    coordinates = circle(12)
    share = coordinates.var(0) / coordinates.var(0).sum()
    found = figures(coordinates, share, RULES)
    assert found.radius_cv[0] == pytest.approx(0, abs=1e-9)
    assert found.gap[0] == pytest.approx(1)
    assert found.score[0] == pytest.approx(0.8)
    assert found.eligible.tolist() == [True, *[False] * 5]  # 3 and 4 are alike, and have .2: too little
    assert found.passing(12, RULES)[0]
    assert simplex_share(5) == 0.5


def test_points_on_half_a_circle_leave_a_gap_that_no_ring_has() -> None:
    """By hand: eight points over half a circle leave the other half, four even gaps of eight and a bit."""
    angle = np.pi * np.arange(8) / 7
    half = np.column_stack([np.cos(angle), np.sin(angle) - 0.6, np.zeros(8), np.zeros(8)])
    found = figures(half, np.array([0.5, 0.5, 0, 0]), RULES)
    assert found.gap[0] > 2.5
    assert not found.passing(8, RULES).any()


@given(st.integers(0, 10_000), st.integers(6, 20))
def test_random_frames_keep_every_variance_and_covariance(seed: int, k: int) -> None:
    """The null differs from the points in their figure alone."""
    rng = np.random.default_rng(seed)
    coordinates = rng.standard_normal((k, 4)) * [3, 2, 1, 0.5]
    drawn = random_frames(coordinates, 3, rng)
    centred = coordinates - coordinates.mean(0)
    assert np.allclose(drawn.mean(1), 0)
    assert np.allclose(drawn.swapaxes(1, 2) @ drawn, centred.T @ centred)


def test_the_null_gives_uniform_p_values_to_random_points() -> None:
    """Of 300 sets of Gaussian points about one in twenty has p < .05: the search over planes is in the null."""
    rng = np.random.default_rng(5)
    share, few = np.array([0.4, 0.3, 0.2, 0.1]), 0
    for _ in range(300):
        coordinates = random_frames(rng.standard_normal((9, 4)), 1, rng)[0]
        coordinates *= np.sqrt(share) / coordinates.std(0)
        statistic = ring_statistic(share, 9, replace(RULES, max_radius_cv=9.0, max_gap=99.0))
        few += chance(float(statistic(coordinates[None], 0.0)[0]), statistic, coordinates, rng) < 0.05
    assert 4 <= few <= 28  # binomial: 15 +- 3.8


@pytest.mark.parametrize("k", [6, 9, 12, 16])
def test_a_ring_is_found_and_a_bent_line_is_none(k: int) -> None:
    """Round, closed, rare among random frames; the same points opened at one place lose closure, and the name."""
    judged = measure(points_of(circle(k), noise=0.03), RULES, items=True)
    assert judged is not None
    found = named([tried(judged, RULES, seed=(1,))], RULES)[0]
    assert found.geometry == "ring"
    assert found.closure == pytest.approx(1, abs=0.3)
    steps = np.diff(found.order) % k
    assert set(steps.tolist()) in ({1}, {k - 1})
    apart = cosines(circle(k)).copy()
    order = list(found.order)
    angle = np.arctan2(*found.places.held_out[:, [1, 0]].T)
    gaps = np.mod(angle[np.roll(order, -1)] - angle[order], 2 * np.pi)
    ends = order[int(gaps.argmax())], order[(int(gaps.argmax()) + 1) % k]
    apart[ends] = apart[ends[::-1]] = apart.min()
    opened = measure(points_of(circle(k), apart, noise=0.03), RULES, items=True)
    assert opened is not None
    assert "ring" not in opened.met


def test_closure_is_of_the_widest_pair() -> None:
    """By hand: four points, the pair across the widest gap a fifth as alike as the others."""
    angle = np.array([0.0, 1.0, 2.0, 3.0])
    likeness = np.array([[1, 0.5, 0.0, 0.1], [0.5, 1, 0.5, 0], [0, 0.5, 1, 0.5], [0.1, 0, 0.5, 1]])
    assert closure(np.arange(4), angle, likeness, baseline=False) == pytest.approx(0.2)
    assert closure(np.arange(4), angle, likeness - 0.3, baseline=True) == pytest.approx(0.2)
    assert closure(np.arange(4), angle, np.eye(4), baseline=False) is None


def test_a_simplex_and_a_line_are_no_rings() -> None:
    """Equal distances are a simplex; points along one component a line, in their order."""
    corners = measure(points_of(4 * np.eye(9), noise=0.02), RULES, items=True)
    assert corners is not None
    assert named([tried(corners, RULES, seed=(1,))], RULES)[0].geometry == "simplex"
    rng = np.random.default_rng(2)
    along = np.column_stack([np.arange(10.0), *(0.3 * rng.standard_normal((3, 10)))])
    line = measure(points_of(along, noise=0.02), RULES, items=True)
    assert line is not None
    found = named([tried(line, RULES, seed=(1,))], RULES)[0]
    assert found.geometry == "line"
    assert list(found.order) in (list(range(10)), list(range(9, -1, -1)))


def test_parabolas_are_arcs_and_screws_are_helices() -> None:
    """R^2 of a parabola is 1; a screw of two turns has its whole score along its axis."""
    t = np.linspace(-1, 1, 12)
    parabola = np.column_stack([t, 0.7 * t**2, np.zeros(12), np.zeros(12)])
    assert bends(parabola)[0] == pytest.approx(1)
    turn = 2 * np.pi * np.linspace(0, 2, 16)
    screw = np.column_stack([np.linspace(-1, 1, 16), 0.7 * np.cos(turn), 0.7 * np.sin(turn), np.zeros(16)])
    share = screw.var(0) / screw.var(0).sum()
    scores = helix_scores(screw, share)
    assert HELIX_AXES[int(scores.argmax())] == (0, 1, 2)
    assert scores.max() > 0.95


def test_members_can_be_a_ring_and_nothing_else() -> None:
    """Their centroids lie along their own directions: what looks like an arc is made by construction."""
    t = np.linspace(-1, 1, 12)
    parabola = np.column_stack([t, t**2, 0.1 * np.sin(9 * t), 0.1 * np.cos(7 * t)])
    for items, met in ((True, True), (False, False)):
        judged = measure(points_of(parabola), RULES, items=items)
        assert judged is not None
        assert ("arc" in judged.met) == met


def known_of(means: np.ndarray, *, whole: np.ndarray | None = None) -> Centroids:
    """Centroids with ten tokens of each item in each half."""
    n_items = len(means)
    vocabulary = Vocabulary(
        tuple(f"w{i}" for i in range(n_items)),
        np.repeat(np.arange(n_items), 20),
        np.tile([0, 1], 10 * n_items).astype(np.int8),
        np.full((2, n_items), 10),
    )
    slots = np.arange(2 * n_items)
    sums = Sums.of(((slots, np.repeat(column * 10, 2)) for column in means.T), None)
    return Centroids(vocabulary, sums, means.sum(0) * 20 if whole is None else whole)


def test_items_are_where_a_set_fires_alike_and_nowhere_else() -> None:
    """A plateau of six and a drop by half is a candidate; a slope is none, nor are five items, nor a drop to 60 %."""
    means = np.zeros((30, 4))
    means[:6, 0], means[6:, 0] = [9, 8, 7, 6, 5, 5], 2
    means[:, 1] = np.linspace(9, 1, 30)
    means[:5, 2], means[5:, 2] = 5, 1
    means[:6, 3], means[6:, 3] = 5, 3
    sets = [FeatureSet("fine", number, np.array([number])) for number in range(4)]
    found, n_small = item_sets(sets, known_of(means), RULES)
    assert [one.items.tolist() for one in found] == [[0, 1, 2, 3, 4, 5]]
    assert found[0].drop == pytest.approx(2.5)
    assert found[0].source.number == 0
    assert n_small == 1


def test_overlapping_sets_of_items_count_once() -> None:
    """Three sets of features give two sets of items with a Jaccard index of 6/7: the commoner stays."""
    means = np.zeros((20, 3))
    means[:6, 0] = means[:6, 1] = means[:7, 2] = 4
    sets = [FeatureSet("ego", number, np.array([number])) for number in range(3)]
    found, _ = item_sets(sets, known_of(means), RULES)
    assert [(one.items.tolist(), one.found_in) for one in found] == [([0, 1, 2, 3, 4, 5], 3)]


def test_two_words_of_one_spelling_stay_apart() -> None:
    """`May` and `may` on other features are two items; `June` and `june` on the same are one; rare ones go along."""
    texts = {0: " May", 1: "may", 2: " June", 3: "june", 4: "JUNE", 5: "rare"}
    token_id = np.repeat([0, 1, 2, 3, 4, 5], [30, 30, 30, 30, 4, 4])
    half = np.tile([0, 1], 64).astype(np.int8)
    fires = {0: [0], 1: [1], 2: [2, 3, 4]}
    rows = {feature: np.flatnonzero(np.isin(token_id, own)) for feature, own in fires.items()}

    def fired(feature: int) -> tuple[np.ndarray, np.ndarray]:
        return rows[feature], np.ones(len(rows[feature]), np.float32)

    spelled = Vocabulary.of(token_id, texts, half)
    found = centroids(fired, spelled, 3, join=joined(fired, spelled, 3, track=untracked), track=untracked)
    assert found.vocabulary.names == ("May", "may", "june")
    assert found.vocabulary.n.tolist() == [[15, 15, 32], [15, 15, 32]]
    means = [found.strength(np.array([feature])).tolist() for feature in range(3)]
    assert means == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    (about,) = found.about([np.array([2])], min_share=0.5, among=np.ones(3, bool))
    assert about.tolist() == [2]


def test_known_lists_are_matched_in_any_spelling() -> None:
    """Five and three quarters of the items; names alone decide, and a list of other words has none."""
    days = ["Mon", "tuesday", "Wed", "thursday", "friday", "Sat"]
    found = match([*days, "cat"])
    assert found is not None
    assert (found.name, found.places) == ("weekdays", (0, 1, 2, 3, 4, 5, None))
    assert match(["monday", "tuesday", "wednesday", "thursday", "a", "b"]) is None
    assert match(["cat", "dog", "cow", "hen", "pig", "fox"]) is None


@pytest.mark.parametrize("turned", [1, -1])
def test_the_p_value_of_an_order_is_exact_for_few_items(turned: int) -> None:
    """Seven days in order on a regular heptagon: 14 of 5,040 orders are as good, and of a shuffled week many."""
    week = match(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
    assert week is not None
    angle = turned * 2 * np.pi * np.arange(7) / 7
    small = 0.01 * np.random.default_rng(0).standard_normal((7, 2))
    ring = np.column_stack([np.cos(angle), np.sin(angle), small])
    assert order_p(ring, week, np.random.default_rng(0)) <= 14 / 5040 + 1e-9
    assert order_p(ring[[0, 3, 6, 1, 5, 2, 4]], week, np.random.default_rng(0)) > 0.01


def test_claims_are_judged_against_what_was_planted() -> None:
    """A ring found, one missed, a line called ring, a part of a ring, and items that are not planted together."""
    planted = (
        PlantedManifold("ring", (1, 2, 3, 4)),
        PlantedManifold("ring", tuple(range(20, 34))),
        PlantedManifold("line", (9, 10, 11)),
    )
    claims = [("ring", frozenset({"w1", "w2", "w3"})), ("ring", frozenset({"w9", "w10", "w11"})),
              ("arc", frozenset({"w20", "w9", "w40"})), ("arc", frozenset({"w20", "w21", "w22", "w23", "w40"})),
              ("simplex", frozenset({"w40", "w41"}))]  # fmt: skip
    assert judge_claims(planted, claims) == {
        "manifolds: ring": (1, 2), "manifolds: line": (0, 1), "manifolds: line called ring": (1, 1),
        "manifolds: ring claims that are one": (1, 2), "manifolds: arc claims that are one": (0, 2),
        "manifolds: claims of a part": (1, 4), "manifolds: claims of items not planted together": (1, 4),
    }  # fmt: skip


def test_the_picture_holds_every_item_escaped() -> None:
    """Two panels of XML: points of both halves, names with signs, and a direction for each feature."""
    import xml.etree.ElementTree as ET

    items = [{"item": f"<{i}>", "x": float(i), "y": 1.0, "fitted_x": 0.0, "fitted_y": 0.0} for i in range(6)]
    members = [{"x": 0.5, "y": 0.1}, {"x": 0.0, "y": 0.0}]
    manifold = {"plane": [1, 2], "p": None, "q": None, "geometry": "ring", "n_points": 6, "points": "items",
                "size": 2, "plane_variance": 0.5, "simplex_variance": 0.4, "radius_cv": 0.1}  # fmt: skip
    root = ET.fromstring(as_svg(manifold, items, members))
    said = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert {"<0>", "<5>"} <= set(said)
    assert sum(one.tag.endswith("circle") for one in root.iter()) == 13
    assert sum(one.tag.endswith("line") and not one.tag.endswith("polyline") for one in root.iter()) == 2


def test_item_means_lie_on_disk(tmp_path: Path) -> None:
    """Three million numbers, 38 MB on disk, are made and asked for with less than 6 MiB of arrays; as in memory."""
    rng = np.random.default_rng(0)
    n_tokens, n_items, d_sae = 100_000, 5_000, 400
    token_id, half = rng.permutation(np.repeat(np.arange(n_items), 20)), np.tile([0, 1], n_tokens // 2).astype(np.int8)
    vocabulary = Vocabulary.of(token_id, {item: f" w{item}" for item in range(n_items)}, half)

    def fired(feature: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(np.random.default_rng(feature).random(n_tokens) < 0.15)
        return rows, np.ones(len(rows), np.float32)

    held = centroids(fired, vocabulary, d_sae, track=untracked)
    sets, items = [np.arange(30), np.arange(370, 400)], [np.arange(6), np.arange(50, 60)]
    known = [held.strength(features) for features in sets]
    wanted = held.about(items, min_share=0.0013, among=np.ones(d_sae, bool))
    tracemalloc.start()
    found = centroids(fired, vocabulary, d_sae, room=tmp_path / "sums", track=untracked)
    strengths = [found.strength(features) for features in sets]
    about = found.about(items, min_share=0.0013, among=np.ones(d_sae, bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) > 35e6
    assert peak < 6 * 2**20
    assert (np.array(strengths) == np.array(known)).all()
    assert [one.tolist() for one in about] == [one.tolist() for one in wanted]
    assert all(0 < len(one) < d_sae for one in about)


@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=40), k=st.integers(1, 45))
def test_the_largest_are_as_a_stable_sort_has_them(values: list[int], k: int) -> None:
    """Of equal values the first, whether some or all of them are among the k."""
    whole = np.array(values, np.float64)
    assert largest(whole, k).tolist() == np.argsort(-whole, kind="stable")[:k].tolist()
