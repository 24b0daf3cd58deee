"""Where features fire, as they do or shuffled, and the points that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from atlas.rings.candidates import FeatureSet, ItemSet, Rules
from atlas.rings.centroids import MIN_HALF, MIN_TOKENS, Centroids, Directions, Fired
from atlas.rings.geometry import Points, cosines
from atlas.rings.sums import Floats, Integers

PERMUTED = 200
"""Permutations of the points' names that a claim is held against."""


@dataclass(frozen=True)
class Candidate:
    """A set of points and the features that they are rebuilt from.

    Attributes
    ----------
    kind : str
        `items` or `members`.
    points : Points
    features : int64, ascending
    source : FeatureSet
    found_in : int
        Sets of features that give these points.
    items : int64
        The vocabulary items, or of members the features that are points.
    """

    kind: str
    points: Points
    features: Integers
    source: FeatureSet
    found_in: int
    items: Integers


def item_points(some: ItemSet, features: Integers, known: Centroids, *, directions: Directions) -> Candidate | None:
    """Return the centroids of items, rebuilt from all features that are about them; None of fewer than two features.

    Likeness is the cosine of the items' mean activations over these features.

    Parameters
    ----------
    features
        The live features with a twentieth or more of their activation on the items, as `Centroids.about` finds them: a
        distributed code is gathered whole, also where no set of the graph holds all of it.
    """
    if len(features) < 2:
        return None
    first, second = known.profiles(some.items, features)
    points = _points(known, some.items, first, second, rows_of(directions, features))
    return Candidate("items", points, features, some.source, some.found_in, some.items)


def _points(known: Centroids, items: Integers, first: Floats, second: Floats, directions: Floats) -> Points:
    names = tuple(known.vocabulary.names[one] for one in items.tolist())
    n = known.vocabulary.n[:, items].sum(0)
    return Points(names, n, first @ directions, second @ directions, cosines(first + second))


def permuted_points(
    candidate: Candidate, known: Centroids, fired: Fired, directions: Directions, *, seed: Sequence[int]
) -> list[Points]:
    """Return the points of items whose names are permuted over their tokens, within each half of the documents.

    What the features do on these tokens stays, which item a token is does not. The space is turned so that it has no
    more dimensions than there are features: all that is asked of the points are distances and angles.
    """
    vocabulary = known.vocabulary
    tokens = vocabulary.tokens_of(candidate.items)
    label = np.searchsorted(candidate.items, vocabulary.item[tokens])
    half = vocabulary.half[tokens]
    rows, columns, values = [], [], []
    for column, feature in enumerate(candidate.features.tolist()):
        own, activations = fired(feature)
        place = np.searchsorted(tokens, own)
        on = tokens[np.minimum(place, len(tokens) - 1)] == own
        rows.append(place[on])
        columns.append(np.full(int(on.sum()), column))
        values.append(activations[on])
    row, member, value = (np.concatenate(parts) for parts in (rows, columns, values))
    order = np.argsort(row, kind="stable")
    row, member, value = row[order], member[order], value[order].astype(np.float64)
    width = len(candidate.features)
    rng = np.random.default_rng(list(seed))
    k = len(candidate.items)
    n = vocabulary.n[:, candidate.items].astype(np.float64)
    turned = np.asarray(np.linalg.qr(rows_of(directions, candidate.features).T, mode="r"), np.float64).T
    found = []
    for _ in range(PERMUTED):
        drawn = label.copy()
        for side in (0, 1):
            drawn[half == side] = rng.permutation(drawn[half == side])
        cell = ((half * k + drawn) * width)[row] + member
        means = np.bincount(cell, value, minlength=2 * k * width).reshape(2, k, width) / n[:, :, None]
        found.append(_points(known, candidate.items, means[0], means[1], turned))
    return found


def member_points(
    some: FeatureSet,
    fired: Fired,
    half: npt.NDArray[np.int8],
    directions: Directions,
    rules: Rules,
    number: npt.NDArray[np.int32],
) -> Candidate | None:
    """Return the centroids of a set's members; None where too few have tokens enough.

    Of each token on which the set fires the strongest member is taken, by size, the lower index of two equal ones; the
    point of a member is the mean of the activations rebuilt from the whole set over its tokens. Likeness is how often
    two members fire together, over the geometric mean of their firings.

    Parameters
    ----------
    half
        Half of the documents of each token.
    directions
        Rows of the decoder, shape (d_sae, d_in).
    number
        -1 throughout, int32, shape (n_tokens,); the same afterwards.
    """
    n = len(some.features)
    parts = [fired(feature) for feature in some.features.tolist()]
    rows = np.concatenate([part[0] for part in parts]).astype(np.int64)
    values = np.concatenate([part[1] for part in parts]).astype(np.float64)
    member = np.repeat(np.arange(n), [len(part[0]) for part in parts])
    tokens, at, strongest = _by_token(rows, member, values, number)
    side = half[tokens].astype(np.int64)
    count = np.bincount(side * n + strongest, minlength=2 * n).reshape(2, n)
    kept = np.flatnonzero((count.sum(0) >= MIN_TOKENS) & (count.min(0) >= MIN_HALF))
    if not rules.min_points <= len(kept) <= rules.max_points:
        return None
    cell = (side[at] * n + strongest[at]) * n + member
    sums = np.bincount(cell, values, minlength=2 * n * n).reshape(2, n, n)
    own = rows_of(directions, some.features)
    first, second = (sums[one][kept] / count[one][kept, None] @ own for one in (0, 1))
    joint = _joint(member, at, len(tokens), n)
    size = np.sqrt(np.maximum(np.diag(joint), 1))
    features = some.features[kept]
    names = tuple(str(one) for one in features.tolist())
    likeness = (joint / np.outer(size, size))[np.ix_(kept, kept)]
    points = Points(names, count.sum(0)[kept], first, second, likeness)
    return Candidate("members", points, some.features, some, 1, features)


def rows_of(directions: Directions, features: Integers) -> Floats:
    """Return the decoder directions of some features: float64, shape (n_features, d_in)."""
    return np.asarray(directions[features], np.float64)


@numba.njit(cache=True, nogil=True)
def _by_token(rows, member, values, number):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the distinct tokens as they come, each firing's place among them, and the strongest member of each."""
    tokens, at, n = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64), 0
    for k in range(len(rows)):
        if number[rows[k]] < 0:
            number[rows[k]] = n
            tokens[n] = rows[k]
            n += 1
        at[k] = number[rows[k]]
    strongest, most = np.full(n, -1, np.int64), np.empty(n)
    for k in range(len(rows)):
        if strongest[at[k]] < 0 or abs(values[k]) > most[at[k]]:
            strongest[at[k]], most[at[k]] = member[k], abs(values[k])
    for token in tokens[:n]:
        number[token] = -1
    return tokens[:n], at, strongest


@numba.njit(cache=True, nogil=True)
def _joint(member, at, n_tokens, n):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return on how many tokens each two members fire: float64, shape (n, n)."""
    ends = np.zeros(n_tokens + 1, np.int64)
    for token in at:
        ends[token + 1] += 1
    ends = np.cumsum(ends)
    firing, filled, found = np.empty(len(at), np.int32), ends.copy(), np.zeros((n, n))
    for k in range(len(at)):
        firing[filled[at[k]]] = member[k]
        filled[at[k]] += 1
    for token in range(n_tokens):
        here = firing[ends[token] : ends[token + 1]]
        for one in here:
            for other in here:
                found[one, other] += 1.0
    return found


def distinct_members(sets: Sequence[FeatureSet], rules: Rules) -> list[FeatureSet]:
    """Return the communities and decoder clusters of a size that can be a manifold of members, overlapping ones once.

    Of sets whose Jaccard index is .5 or more the first stays: fine before middle, coarse and decoder. Neighbourhoods of
    features are left out: every member of a community has its own, and they are nearly the same.
    """
    order = {"fine": 0, "middle": 1, "coarse": 2, "decoder": 3}
    some = [one for one in sets
            if one.source in order and rules.min_points <= len(one.features) <= rules.max_points]  # fmt: skip
    kept: list[set[int]] = []
    found = []
    holders: dict[int, list[int]] = {}
    for one in sorted(some, key=lambda one: (order[one.source], one.number)):
        own = set(one.features.tolist())
        near = {number for feature in own for number in holders.get(feature, ())}
        if any(len(own & kept[number]) >= rules.min_overlap * len(own | kept[number]) for number in near):
            continue
        for feature in own:
            holders.setdefault(feature, []).append(len(kept))
        kept.append(own)
        found.append(one)
    return found

