"""Behaviour by hand and against the slow way: evidence, verdicts, agreement, logic, interference, means."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, rankdata
from worlds import store

from atlas.artifacts import Run
from atlas.behaviour import means
from atlas.behaviour.agreement import agreement, cramers_v, mutual_information
from atlas.behaviour.components import components, covariance
from atlas.behaviour.evidence import Evidence, Subgraph, gather_evidence, judged
from atlas.behaviour.held_out import Fired, HeldOut
from atlas.behaviour.interference import interference
from atlas.behaviour.logic import Index, find_logic, informations, shares
from atlas.behaviour.means import community_means
from atlas.behaviour.pairs import pair_strengths
from atlas.behaviour.verdicts import verdict
from atlas.counting.counts import PairCounts
from atlas.firings import Firings
from atlas.marks import listed, no_marks
from atlas.score.readings import planted_readings

LENGTH = 200


def half_of(place: Path, firing: np.ndarray[Any, Any], items: np.ndarray[Any, Any], *, odd: bool = False) -> HeldOut:
    """Store dense firings in documents of 200 tokens, and return all of them, or every second document."""
    document = np.arange(len(firing)) // LENGTH
    with Run(place) as run:
        firings = Firings(store(run, firing, document, items=items).path)
    some = np.unique(document)[1::2] if odd else np.unique(document)
    return HeldOut.of(
        firings, documents=some, item=items.astype(np.int32), stratum=document.astype(np.int32), window=LENGTH
    )


def dense(half: HeldOut) -> np.ndarray[Any, Any]:
    """Return the activations of the half as a matrix, 0 where a feature does not fire."""
    found = np.zeros((half.firings.n_tokens, half.firings.d_sae))
    for feature in range(half.firings.d_sae):
        rows, values = half.firings.contexts_of(feature)
        found[rows, feature] = values
    found[np.setdiff1d(np.arange(len(found)), listed(half.marks)[0])] = 0
    return found


def drawn(seed: int, n_documents: int = 8, d: int = 6) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return firings of features that share a few items, and the items."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 6, n_documents * LENGTH)
    return rng.random((len(items), d)) < rng.uniform(0.05, 0.4, (6, d))[items], items


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8)
def test_strengths_are_rank_correlations_within_items(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Against ranks centred item by item; joint counts are those of the half alone."""
    half = half_of(tmp_path_factory.mktemp("half"), *drawn(seed), odd=True)
    activations = dense(half)
    members = np.arange(6)
    found = pair_strengths(half, [members])
    for place, (a, b) in zip(found.places(members), combinations(range(6), 2), strict=True):
        both = (activations[:, a] > 0) & (activations[:, b] > 0)
        assert found.joint_count[place] == both.sum()
        if both.sum() < 20:
            assert np.isnan(found.correlation[place])
            continue
        ranks = [rankdata(activations[both, feature]) for feature in (a, b)]
        for item in np.unique(half.item[both]):
            for rank in ranks:
                rank[half.item[both] == item] -= rank[half.item[both] == item].mean()
        expected = (ranks[0] @ ranks[1]) / np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
        assert found.correlation[place] == pytest.approx(expected)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8)
def test_evidence_is_what_its_words_say(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Joint tokens, lift, the commonest item's share, overlap and trend, each the slow way."""
    half = half_of(tmp_path_factory.mktemp("half"), *drawn(seed), odd=True)
    members = np.arange(6)
    one = Subgraph(members, 0)
    found = gather_evidence(half, [one], pair_strengths(half, [members]), directions=None, seed=0)[0]
    firing = dense(half) > 0
    level = firing.sum(1)
    joint = level >= 2
    assert found.joint_tokens == joint.sum()
    pairs = (level * (level - 1) // 2).sum()
    per = np.array([firing[half.stratum == s].sum(0) for s in range(8)])
    assert found.joint_lift == pytest.approx(pairs / ((per.sum(1) ** 2 - (per**2).sum(1)).sum() / (2 * LENGTH)))
    assert found.item_share == pytest.approx(np.bincount(half.item[joint]).max() / joint.sum())
    profile = np.array([np.bincount(half.item[firing[:, m]], minlength=6) / firing[:, m].sum() for m in members])
    overlap = [np.minimum(profile[i], profile[j]).sum() for i, j in combinations(range(6), 2)]
    assert found.item_overlap == pytest.approx(np.mean(overlap))
    some = level > 0
    x, y = half.place[some].astype(np.float64), level[some].astype(np.float64)
    for item in range(6):
        of = half.item[some] == item
        x[of] -= x[of].mean()
        y[of] -= y[of].mean()
    assert found.position_trend == pytest.approx((x @ y) / np.sqrt((x @ x) * (y @ y)), abs=1e-9)
    assert found.hub_leaf_cosine is None


def test_components_are_those_of_the_rebuilt_activations(tmp_path: Path) -> None:
    """The places are the scores of a singular value decomposition of a W, up to their signs."""
    half = half_of(tmp_path, *drawn(3))
    members, rng = np.arange(6), np.random.default_rng(0)
    directions = rng.standard_normal((6, 10))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    fired = Fired.of(half, members, no_marks(half.firings.n_tokens))
    weights = components(covariance([fired], 6), directions @ directions.T)
    activations = dense(half)[fired.tokens]
    rebuilt = activations @ directions
    rebuilt -= rebuilt.mean(0)
    left, sizes, _ = np.linalg.svd(rebuilt, full_matrices=False)
    places = activations @ weights
    places -= places.mean(0)
    assert np.abs(places) == pytest.approx(np.abs(left[:, :2] * sizes[:2]), abs=1e-8)


def test_items_predict_what_they_decide(tmp_path: Path) -> None:
    """Each item has a feature of its own: R2 is near 1, of permuted items near 0; of chance firings neither is."""
    items = np.random.default_rng(0).integers(0, 6, 16 * LENGTH)
    own = items[:, None] == np.arange(6)
    chance = np.random.default_rng(1).random((len(items), 6)) < 0.2
    half = half_of(tmp_path, np.hstack([own, chance]), items)
    sets = [Subgraph(np.arange(6), 0), Subgraph(np.arange(6, 12), 6)]
    strengths = pair_strengths(half, [one.members for one in sets])
    first, second = gather_evidence(half, sets, strengths, directions=np.eye(12, dtype=np.float32), seed=0)
    assert first.item_r2 is not None
    assert second.item_r2 is not None
    assert first.item_r2 > 0.5 > 0.1 > abs(first.item_r2_null or 0)
    assert abs(second.item_r2) < 0.1
    assert first.hub_leaf_cosine == first.leaf_leaf_cosine == 0
    assert first.strength_pairs == 0  # no two ever fire together
    assert verdict(6, first)[0] == "neither"


BASE: dict[str, Any] = {
    "judged_members": 5, "joint_tokens": 200, "joint_lift": 9.0, "item_share": 0.2, "strength_pairs": 4,
    "strength_correlation": 0.1, "position_trend": 0.0, "position_z": 0.1, "item_r2": 0.5, "item_r2_null": -0.02,
}  # fmt: skip
RIVALS = {"item_share": 0.95, "strength_correlation": -0.2, "position_trend": -0.2, "position_z": -6.0}


@pytest.mark.parametrize(
    ("changed", "expected", "why"),
    [
        ({}, "composition", "different items"),
        (RIVALS, "ambiguity", "one item"),
        (RIVALS | {"strength_correlation": 0.2}, "undetermined", "falls with context alone"),
        (RIVALS | {"position_z": -1.0}, "undetermined", "a trade-off alone"),
        (RIVALS | {"item_share": 0.2}, "undetermined", "falls with context alone"),
        ({"item_share": 0.95}, "neither", "one item, no rivalry"),
        ({"item_r2": 0.01}, "neither", "items say nothing"),
        ({"joint_lift": 1.1}, "neither", "no more together than chance"),
        ({"joint_tokens": 49}, "undetermined", "few joint tokens"),
        ({"judged_members": 3}, "undetermined", "members with fewer than 20 firings"),
        ({"strength_correlation": None}, "undetermined", "no two members"),
    ],
)
def test_the_rule_of_the_verdict(changed: dict[str, Any], expected: str, why: str) -> None:
    """One case for each branch; neither phi nor the association of leaves nor the shape is among what it reads."""
    called, reason = verdict(5, Evidence(**BASE | changed))
    assert called == expected
    assert reason.startswith(why)


def test_members_that_fire_too_rarely_leave_a_subgraph_undetermined(tmp_path: Path) -> None:
    """Nineteen firings on the half are too few; one such member of five is left out, of two decides."""
    rng = np.random.default_rng(0)
    firing = rng.random((20 * LENGTH, 5)) < 0.1
    firing[:, 4] = False
    firing[LENGTH : LENGTH + 19, 4] = True  # in the second document
    half = half_of(tmp_path, firing, rng.integers(0, 5, len(firing)), odd=True)
    assert judged(half, np.arange(5)).tolist() == [0, 1, 2, 3]
    sets = [Subgraph(np.arange(5), 0), Subgraph(np.array([3, 4]), 3)]
    strengths = pair_strengths(half, [judged(half, one.members) for one in sets])
    whole, pair = gather_evidence(half, sets, strengths, directions=None, seed=0)
    assert (whole.judged_members, pair.judged_members) == (4, 1)
    assert verdict(5, whole)[1] == "no more together than chance"
    assert verdict(2, pair) == ("undetermined", "members with fewer than 20 firings")


def test_agreement_by_hand() -> None:
    """V and information of a table, against scipy's chi squared; 1 where shape decides, its null where it does not."""
    counts = np.array([[30, 10, 0], [5, 25, 0]])
    squared = chi2_contingency(counts[:, :2], correction=False).statistic
    assert cramers_v(counts) == pytest.approx(np.sqrt(squared / 70))
    assert mutual_information(np.array([[7, 0], [0, 7]])) == pytest.approx(1)
    shapes = ["star", "clique"] * 40
    same = ["composition", "ambiguity"] * 40
    found, cells = agreement(shapes, same, [4] * 80, seed=0)
    assert (found.cramers_v, found.p, found.subgraphs) == (pytest.approx(1), 0.001, 80)
    assert found.explained is not None
    assert found.explained > 0.95
    table = {(cell.shape, cell.verdict): (cell.count, cell.by_chance) for cell in cells}
    assert table["star", "composition"] == (40, 20.0)
    assert table["star", "undetermined"] == (0, None)
    rng = np.random.default_rng(0)
    apart, _ = agreement(shapes, rng.permutation(same).tolist(), [4] * 80, seed=0)
    assert apart.p is not None
    assert apart.p > 0.05


def test_agreement_by_size_alone_is_not_more_than_size() -> None:
    """Pairs are one shape and compose, large ones another and do not: among equal sizes nothing is left."""
    shapes, verdicts = ["pair"] * 30 + ["clique"] * 30, ["composition"] * 30 + ["neither"] * 30
    found, _ = agreement(shapes, verdicts, [2] * 30 + [8] * 30, seed=0)
    assert (found.p, found.p_same_size) == (0.001, 1.0)


def test_without_two_verdicts_nothing_agrees() -> None:
    """All undetermined, or all of one kind, or no subgraph at all: counts, and no association."""
    for verdicts in (["undetermined"] * 4, ["neither"] * 4):
        found, cells = agreement(["star", None, "clique", "star"], verdicts, [4] * 4, seed=0)
        assert found.cramers_v is None
        assert sum(cell.count for cell in cells) == 3
    assert agreement([], [], [], seed=0)[1] == []


def pair_counts(firing: np.ndarray[Any, Any]) -> PairCounts:
    both = firing.T.astype(np.int64) @ firing.astype(np.int64)
    d = len(both)
    columns = [np.flatnonzero(both[a] * (np.arange(d) > a)) for a in range(d)]
    indptr = np.concatenate([[0], np.cumsum([len(some) for some in columns])])
    joint = np.concatenate([both[a, some] for a, some in enumerate(columns)])
    return PairCounts(np.diag(both), indptr, np.concatenate(columns).astype(np.int32), joint)


def test_logic_that_was_planted_is_found_and_a_union_is_not_taken_for_it(tmp_path: Path) -> None:
    """c = a and b, c = a xor b, c = a or b of exclusive ones; of permuted outputs none is claimed."""
    rng = np.random.default_rng(0)
    n = 40 * LENGTH
    a, b = rng.random((2, n)) < 0.1
    one = rng.random(n) < 0.1
    other = ~one & (rng.random(n) < 0.1)
    noise = rng.random(n) < 0.01
    firing = np.column_stack([a, b, (a & b) | noise, (a ^ b) | noise, one, other, one | other, noise])
    items = rng.integers(0, 10, n)
    half = half_of(tmp_path, firing, items)
    known = (half.firings.indptr, np.asarray(half.firings.rows), half.stratum, half.item, pair_counts(firing))
    near = [np.array([i for i in range(8) if i != c]) for c in range(8)]
    found = find_logic(Index(*known), near)
    claims = set(zip(found.a.tolist(), found.b.tolist(), found.c.tolist(), found.kind.tolist(), strict=True))
    assert {(0, 1, 2, "AND"), (0, 1, 3, "XOR"), (4, 5, 6, "OR")} <= claims
    assert (0, 1) not in {claim[:2] for claim in claims if claim[3] == "OR"}
    assert found.looked_at == 8 * 21
    exclusive = found.kind == "XOR"
    assert set(found.basis[found.kind != "OR"]) == {"contextual"}  # items are drawn by themselves
    assert (found.q[exclusive] <= 0.05).all()
    assert not len(find_logic(Index(*known, 0), near).kind)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_information_and_shares_are_those_of_the_columns(seed: int) -> None:
    """Against the joint distribution of three columns of firings, cell by cell."""
    rng = np.random.default_rng(seed)
    a, b, c = (rng.random((3, 400)) < rng.uniform(0.1, 0.6, (3, 1))).astype(np.int64)
    counts = np.array([[a.sum(), b.sum(), c.sum(), a @ b, a @ c, b @ c, (a * b * c).sum()]])

    def information(x: np.ndarray[Any, Any]) -> float:
        return mutual_information(np.array([[((x == i) & (c == j)).sum() for j in (0, 1)] for i in (0, 1)]))

    for kind, value in enumerate((a & b, a ^ b, a | b)):
        found, apart = informations(counts, np.array([kind]), 400)
        assert found[0] == pytest.approx(information(value))
        assert apart[0] == pytest.approx(information(a) + information(b))
    both, alone, _ = shares(counts)
    assert both[0] == pytest.approx((a * b * c).sum() / max(1, a @ b))
    assert alone[0] == pytest.approx((a * (1 - b) * c).sum() / max(1, (a * (1 - b)).sum()))


def test_interference_is_the_shift_within_items() -> None:
    """By hand: two items, on each the activation is 2 higher where the other fires; the items' own means say less.

    Shuffled on-states of a larger sample are claimed by chance only.
    """
    rows = np.concatenate([np.arange(8), [0, 1, 4]]).astype(np.uint32)
    values = np.array([3, 3, 1, 1, 13, 11, 11, 11, 1, 1, 1], np.float32)
    items = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32)
    found = interference(np.array([0, 8, 11]), rows, values, items, np.array([[0, 1]]))
    assert found.shift[0, 0] == pytest.approx(2 / values[:8].std())
    assert np.isnan(found.shift[0, 1])  # b fires nowhere without a
    flat = interference(np.array([0, 8, 11]), rows, np.full(11, 3, np.float32), items, np.array([[0, 1]]))
    assert np.isnan(flat.shift).all()  # constant activations shift nowhere
    assert np.isnan(flat.q).all()
    rng = np.random.default_rng(0)
    n, d = 4000, 20
    firing = rng.random((d, n)) < 0.3
    strength = np.where(firing[1], 1.0, 0.0) + rng.random((d, n))
    indptr = np.concatenate([[0], np.cumsum(firing.sum(1))])
    index = (indptr, np.nonzero(firing)[1].astype(np.uint32), strength[firing].astype(np.float32))
    items, pairs = rng.integers(0, 9, n).astype(np.int32), np.array(list(combinations(range(d), 2)))
    real = interference(*index, items, pairs)
    with_one = (pairs == 1).any(1)
    assert (np.nanmin(real.q[with_one], axis=1) <= 0.05).all()
    assert (real.q[~with_one] <= 0.05).mean() < 0.02
    assert (interference(*index, items, pairs, shuffle=1).q <= 0.05).mean() < 0.02


def test_means_by_hand(tmp_path: Path) -> None:
    """Equal directions have a mean of length 1 along which all of them lies, two at right angles one of .71.

    The item under which the members fire comes first; the nearest feature is the one that was made so.
    """
    items = np.random.default_rng(0).integers(0, 6, 8 * LENGTH)
    half = half_of(tmp_path, items[:, None] == np.arange(6), items)
    directions = np.eye(6, 8, dtype=np.float32)
    directions[1] = directions[0]
    directions[4] = (directions[2] + directions[3] + 0.1 * directions[5]) / np.sqrt(2.01)
    communities = [np.array([0, 1]), np.array([2, 3])]
    names = [f"w{i}" for i in range(6)]
    same, apart = community_means(half, communities, directions, np.arange(6), names=names, seed=0)
    assert (same.mean_norm, same.direction_share, same.activation_share) == (1, 1, pytest.approx(1))
    assert set(same.mean_items[:2]) == {"w0", "w1"}
    assert apart.mean_norm == pytest.approx(np.sqrt(0.5))
    assert apart.direction_share == pytest.approx(0.5)
    assert apart.mean_features[0] == 4
    assert apart.mean_cosine == pytest.approx(2 / np.sqrt(2 * 2.01), abs=1e-6)
    assert same.mean_norm_p < 0.2 < apart.mean_norm_p


def test_rival_readings_are_planted_as_they_are_called() -> None:
    """Same seed, same world; readings fire on one item, and more of them together where there is little context."""
    one, again = (planted_readings(3, small=True) for _ in range(2))
    assert one.sets == again.sets
    assert (one.sample.firing == again.sample.firing).all()
    firing, document = one.sample.firing, one.sample.document
    starts = np.flatnonzero(np.diff(document, prepend=-1))
    place = np.arange(len(document)) - np.repeat(starts, np.diff([*starts, len(document)]))
    early, late = [], []
    for planted in one.sets:
        if planted.kind == "ambiguity":
            own = firing[:, planted.members]
            assert len(np.unique(one.sample.items[own.any(1)])) == 1
            level = own.sum(1)
            early.append(level[(level > 0) & (place < 20)].mean())
            late.append(level[(level > 0) & (place > 150)].mean())
    assert np.mean(early) > np.mean(late) + 0.3


@pytest.mark.parametrize("most", [1, 50, 10_000])
def test_a_covariance_is_the_same_by_runs_of_tokens(most: int, tmp_path: Path) -> None:
    """To the last bit, however few firings are held at once; no token is left out or comes twice."""
    half = half_of(tmp_path, *drawn(1))
    members, scratch = np.arange(6), no_marks(half.firings.n_tokens)
    whole = Fired.of(half, members, scratch)
    parts = list(Fired.windows(half, members, scratch, most=most))
    assert np.concatenate([part.tokens for part in parts]).tolist() == whole.tokens.tolist()
    assert np.concatenate([part.member for part in parts]).tolist() == whole.member.tolist()
    assert (covariance(parts, 6) == covariance([whole], 6)).all()


def test_items_of_means_are_the_same_by_parts_of_the_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two items at a time, and all at once."""
    firing, items = drawn(2)
    half = half_of(tmp_path, firing, items)
    directions = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    known: dict[str, Any] = {"names": [f"w{i}" for i in range(6)], "seed": 0}
    asked = half, [np.array([0, 1]), np.array([2, 5])], directions, np.arange(6)
    whole = community_means(*asked, **known)
    monkeypatch.setattr(means, "ROOM", 2 * 8 * 8)
    assert community_means(*asked, **known) == whole
    assert all(one.mean_items for one in whole)
