"""Whether the leaves of a hub exclude each other under it: triples counted, and tested in strata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from atlas.association import benjamini_hochberg, lower_tail, upper_tail
from atlas.firings import Firings
from atlas.tracking import Track, untracked

Floats = npt.NDArray[np.float64]
HubRole = Literal["parent", "modifier"]
MIN_EXPECTED = 10.0
PARENT_COVER = 0.8
MODIFIER_COVER = 0.3
MODIFIER_LIFT = 10.0
MAX_LEAVES = 256


@dataclass(frozen=True)
class Candidate:
    """A hub and its leaves, by feature index."""

    hub: int
    leaves: tuple[int, ...]


@dataclass(frozen=True)
class Evidence:
    """What the triples say of one candidate; see `schema` for each number's meaning.

    Attributes
    ----------
    testable_pairs, depleted_pairs, enriched_pairs, covered_leaves : int
    leaf_association : float or None
        Median over leaf pairs of log2((n_hij + .5) / (n_hi n_hj / n_h + .5)), bits.
    coverage : float or None
        sum_i n_hi / n_h.
    hub_given_leaf : float or None
        Median over leaves of n_hi / n_i. These three are None where the candidate was not examined.
    hub_role : str or None
        What the hub is to its leaves, see `role_of_hub`.
    """

    testable_pairs: int = 0
    depleted_pairs: int = 0
    enriched_pairs: int = 0
    covered_leaves: int = 0
    leaf_association: float | None = None
    coverage: float | None = None
    hub_given_leaf: float | None = None
    hub_role: HubRole | None = None


@dataclass(frozen=True)
class _Triples:
    """Testable leaf pairs of one candidate: places of the leaves, c, E and V of each, and the summary."""

    i: npt.NDArray[np.int64]
    j: npt.NDArray[np.int64]
    joint: npt.NDArray[np.int64]
    expected: Floats
    variance: Floats
    association: float | None
    coverage: float | None
    hub_given_leaf: float | None
    hub_role: HubRole | None


def leaf_evidence(
    firings: Firings,
    labels: npt.NDArray[np.integer],
    candidates: Sequence[Candidate],
    *,
    q: float = 0.05,
    track: Track = untracked,
) -> list[Evidence]:
    """Return the evidence for each candidate.

    Under independence of leaves i and j given hub h within a stratum d,
    E = sum_d n_hid n_hjd / n_hd, with the variance of the same null. Both tails are tested where
    E >= 10, each as a family of its own with Benjamini-Hochberg over the distinct (hub, pair).
    It says whether leaves exclude or attract each other under the hub; features that are words
    are exclusive for free, since a position holds one word.

    Parameters
    ----------
    labels
        Stratum of each token: spans of documents, or vocabulary items.
    candidates
        Hubs with their leaves; one that is given again is examined once. More than 256 leaves are not
        examined: all counts are 0, the rest None.
    q
        False-discovery rate of each family.
    track
        Told of the candidates done.
    """
    labels, place = np.asarray(labels), np.full(firings.n_tokens, -1, np.int32)
    distinct = list(dict.fromkeys(candidates))
    triples = []
    with track("structure", total=len(distinct), unit="subgraphs") as advance:
        for candidate in distinct:
            triples.append(_triples(firings, labels, candidate, place))
            advance(1)
    depleted, enriched = _claims(distinct, triples, q)
    summaries = [_summary(*row) for row in zip(triples, depleted, enriched, strict=True)]
    found = dict(zip(distinct, summaries, strict=True))
    return [found[candidate] for candidate in candidates]


def role_of_hub(
    joint: npt.NDArray[np.int64], leaf: npt.NDArray[np.int64], *, hub: int, n_tokens: int
) -> HubRole | None:
    """Return whether a hub is the parent of its leaves, or modifies them; None where it does neither.

    `parent`: P(hub given leaf) >= .8 for more than half of the leaves, so the hub fires nearly
    wherever they do. `modifier`: for more than half of them both conditionals are below .3 and the
    lift N n_hi / (n_h n_i) is 10 or more, so hub and leaf mostly fire apart, and together far more
    than by chance. Says what the firings are like, not what either feature means; on a backbone with
    a high cut the lift is high anyway.

    Parameters
    ----------
    joint
        n_hi, tokens on which the hub fires with each leaf, shape (n_leaves,).
    leaf
        n_i, firings of each leaf, shape (n_leaves,).
    hub
        n_h, firings of the hub.
    n_tokens
        N, tokens kept.
    """
    given_leaf, given_hub = joint / np.maximum(leaf, 1), joint / max(hub, 1)
    lift = n_tokens * joint / np.maximum(float(hub) * leaf, 1)
    if 2 * int((given_leaf >= PARENT_COVER).sum()) > len(leaf):
        return "parent"
    apart = (given_leaf < MODIFIER_COVER) & (given_hub < MODIFIER_COVER) & (lift >= MODIFIER_LIFT)
    return "modifier" if 2 * int(apart.sum()) > len(leaf) else None


def _triples(
    firings: Firings, labels: npt.NDArray[np.integer], candidate: Candidate, place: npt.NDArray[np.int32]
) -> _Triples:
    k, n_rows = len(candidate.leaves), int(firings.firing_count[candidate.hub])
    if not 2 <= k <= MAX_LEAVES or n_rows == 0:
        none, nothing = np.zeros(0, np.int64), np.zeros(0)
        return _Triples(none, none, none, nothing, nothing, None, None, None, None)
    leaves = np.asarray(candidate.leaves, np.int64)
    joint, expected, variance = _sums(firings.indptr, np.asarray(firings.rows), labels, candidate.hub, leaves, place)
    with_hub, counts = np.diag(joint), firings.firing_count[leaves]
    i, j = np.nonzero(~np.tri(k, dtype=bool))
    ratio = (joint[i, j] + 0.5) / (with_hub[i] * with_hub[j] / n_rows + 0.5)
    association = float(np.median(np.log2(ratio)))
    test = (expected[i, j] >= MIN_EXPECTED) & (variance[i, j] > 0)  # no variance, nothing to test
    i, j = i[test], j[test]
    return _Triples(
        i,
        j,
        joint[i, j],
        expected[i, j],
        variance[i, j],
        association,
        float(with_hub.sum() / n_rows),
        float(np.median(with_hub / np.maximum(counts, 1))),
        role_of_hub(with_hub, counts, hub=n_rows, n_tokens=firings.n_tokens),
    )


@numba.njit(cache=True, nogil=True)
def _sums(indptr, rows, labels, hub, leaves, place):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return c, E and V of each pair of leaves i < j given the hub, with n_hi on the diagonal of c.

    The leaves' firings are found on the hub's rows, and these gone through a stratum at a time: pairs are
    added up of leaves that fire on the same row, and in the same stratum. `place` is -1 throughout, before and after.
    """
    own = rows[indptr[hub] : indptr[hub + 1]]
    size, k = len(own), len(leaves)
    strata = labels[own]
    order = np.argsort(strata, kind="mergesort")  # stable: a stratum's rows stand together
    ends, firing = _by_row(indptr, rows, own, leaves, place)
    joint, expected, variance = np.zeros((k, k), np.int64), np.zeros((k, k)), np.zeros((k, k))
    inside, spread = np.zeros(k), np.zeros(k)
    low = 0
    while low < size:
        high = low
        while high < size and strata[order[high]] == strata[order[low]]:
            here = firing[ends[order[high]] : ends[order[high] + 1]]
            for at, i in enumerate(here):
                for j in here[at:]:
                    joint[i, j] += 1
                inside[i] += 1
            high += 1
        t = np.float64(high - low)
        weight = t * t * max(t - 1, 1)
        for i in range(k):
            spread[i] = inside[i] * (t - inside[i])
        for i in range(k):
            if inside[i] > 0:
                share, part = inside[i] / t, spread[i] / weight
                for j in range(i + 1, k):
                    expected[i, j] += share * inside[j]
                    variance[i, j] += part * spread[j]
        inside[:] = 0
        low = high
    return joint, expected, variance


@numba.njit(cache=True, nogil=True)
def _by_row(indptr, rows, own, leaves, place):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the leaves that fire on row r of the hub, `firing[ends[r]:ends[r + 1]]`: their numbers, ascending."""
    most = 0
    for leaf in leaves:
        most += min(len(own), indptr[leaf + 1] - indptr[leaf])
    row, number, n = np.empty(most, np.int32), np.empty(most, np.int32), 0
    ends = np.zeros(len(own) + 1, np.int64)
    for r, token in enumerate(own):
        place[token] = r
    for k, leaf in enumerate(leaves):
        for token in rows[indptr[leaf] : indptr[leaf + 1]]:
            r = place[token]
            if r >= 0:
                row[n], number[n] = r, k
                ends[r + 1] += 1
                n += 1
    for token in own:
        place[token] = -1
    ends = np.cumsum(ends)
    firing, filled = np.empty(n, np.int32), ends.copy()
    for r, k in zip(row[:n], number[:n]):  # noqa: B905 - strict does not compile
        firing[filled[r]] = k
        filled[r] += 1
    return ends, firing


def _claims(
    candidates: Sequence[Candidate], triples: Sequence[_Triples], q: float
) -> tuple[list[npt.NDArray[np.bool_]], list[npt.NDArray[np.bool_]]]:
    """Return for each candidate which testable pairs are depleted and which enriched."""
    if not triples:
        return [], []
    keys = np.concatenate([_keys(candidate, triple) for candidate, triple in zip(candidates, triples, strict=True)])
    first, back = _distinct(keys)
    ends = np.cumsum([len(triple.i) for triple in triples])[:-1]
    columns = (np.concatenate([getattr(one, name) for one in triples]) for name in ("joint", "expected", "variance"))
    tested = [column[first] for column in columns]
    lower, upper = (
        np.split((benjamini_hochberg(tail(*tested)) <= q)[back], ends) for tail in (lower_tail, upper_tail)
    )
    return lower, upper


def _distinct(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the place of the first of each distinct row, and of each row its place among these."""
    order = np.lexsort(keys.T)
    new = np.append(True, (np.diff(keys[order], axis=0) != 0).any(axis=1))[: len(keys)]
    back = np.empty(len(keys), np.int64)
    back[order] = np.cumsum(new) - 1
    return order[new], back


def _keys(candidate: Candidate, triple: _Triples) -> npt.NDArray[np.int64]:
    leaves = np.asarray(candidate.leaves, np.int64)
    pair = np.sort(np.column_stack([leaves[triple.i], leaves[triple.j]]), axis=1)
    return np.column_stack([np.full(len(pair), candidate.hub, np.int64), pair])


def _summary(triple: _Triples, depleted: npt.NDArray[np.bool_], enriched: npt.NDArray[np.bool_]) -> Evidence:
    return Evidence(
        testable_pairs=len(triple.i),
        depleted_pairs=int(depleted.sum()),
        enriched_pairs=int(enriched.sum()),
        covered_leaves=len(np.union1d(triple.i, triple.j)),
        leaf_association=triple.association,
        coverage=triple.coverage,
        hub_given_leaf=triple.hub_given_leaf,
        hub_role=triple.hub_role,
    )
