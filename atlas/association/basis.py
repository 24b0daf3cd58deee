"""What the tokens alone explain of an edge: the same null with vocabulary items as strata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from atlas.association.common import meet
from atlas.association.fdr import benjamini_hochberg
from atlas.association.null import Floats, lower_tail, upper_tail
from atlas.firings import Firings

RARE = 5
"""Items seen on fewer tokens are left out: a token seen once explains itself."""
LEXICAL, CONTEXTUAL = 1.2, 1.5
BASES = ("lexical", "contextual", "mixed", "untested")
_PAIRS = 2**20  # pairs at once


@dataclass(frozen=True)
class WithinItems:
    """The lift within vocabulary items of each pair, and what it says.

    Attributes
    ----------
    lift_t : masked float64, shape (n,)
        Joint firings over expected on items seen often enough; masked where none are expected.
    basis : int8, shape (n,)
        Place in `BASES`: `lexical` (lift_t < 1.2), `contextual` (lift_t >= 1.5 and significant), `mixed`, or
        `untested` where less than half of the joint firings are on such items.
    """

    lift_t: Any
    basis: npt.NDArray[np.int8]


def within_items(
    firings: Firings,
    a: npt.NDArray[np.integer],
    b: npt.NDArray[np.integer],
    joint_count: npt.NDArray[np.integer],
    *,
    q: float,
    depleted: bool = False,
) -> WithinItems:
    """Return what the tokens alone explain of the joint firings of each pair, or of their lack.

    E_t = sum_v n_iv n_jv / T_v over the vocabulary items v with T_v >= 5; the joint count is that
    on the same items: all joint firings but those on rarer ones, which are few and counted. A pair
    near 1 is a fact of the vocabulary (two features of one word), not of contexts; both are real,
    and different.

    Parameters
    ----------
    a, b, joint_count
        The pairs, shape (n,), and their joint firings on all tokens.
    q
        False-discovery rate of the test within items, over these pairs.
    depleted
        Whether the lack of joint firings is to be explained. Then the thresholds are upside down: `lexical`
        (lift_t > 1/1.2, or none expected: features of different words exclude each other for free,
        since a position holds one), `contextual` (lift_t <= 1/1.5 and significant in the lower tail);
        `untested` is a pair of which one feature has less than half of its firings on such items.
    """
    labels, sizes = _frequent(firings)
    some = np.unique(np.concatenate([a, b]))
    indptr, rows = firings.indptr, np.asarray(firings.rows)
    place = np.full(firings.d_sae, -1, np.int64)
    place[some] = np.arange(len(some))
    index = _by_stratum(some, indptr, rows, labels)
    rare = _rare_rows(some, indptr, rows, labels)
    n_rare, n = np.diff(rare[0]), firings.firing_count[some]
    enough = 2 * (n - n_rare) >= n
    lift, p, tested = np.empty(len(a)), np.empty(len(a)), np.empty(len(a), bool)
    for low in range(0, len(a), _PAIRS):
        at = slice(low, low + _PAIRS)
        i, j = place[a[at]], place[b[at]]
        expected, variance = _pair_sums(*index, sizes, i, j)
        joint = joint_count[at] - _intersections(*rare, i, j)
        lift[at] = np.divide(joint, expected, out=np.full(len(joint), np.nan), where=expected > 0)
        p[at] = (lower_tail if depleted else upper_tail)(joint, expected, variance)
        tested[at] = enough[i] & enough[j] if depleted else (2 * joint >= joint_count[at]) & (expected > 0)
    return WithinItems(np.ma.masked_invalid(lift), _basis(lift, benjamini_hochberg(p) <= q, tested, depleted))


def _basis(
    lift: Floats, significant: npt.NDArray[np.bool_], tested: npt.NDArray[np.bool_], depleted: bool
) -> npt.NDArray[np.int8]:
    """Return the place in `BASES` of each pair."""
    basis = np.full(len(lift), BASES.index("mixed"), np.int8)
    if depleted:
        explained, left = ~(lift <= 1 / LEXICAL), lift <= 1 / CONTEXTUAL
    else:
        explained, left = lift < LEXICAL, lift >= CONTEXTUAL
    basis[explained] = BASES.index("lexical")
    basis[left & significant] = BASES.index("contextual")
    basis[~tested] = BASES.index("untested")
    return basis


def _frequent(firings: Firings) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return each token's place among the items seen often enough, -1 for others, and how often each is seen."""
    items = np.asarray(firings.token_id)
    seen = np.bincount(items) if len(items) else np.zeros(1, np.int64)
    frequent = np.flatnonzero(seen >= RARE)
    stratum = np.full(len(seen), -1, np.int32)
    stratum[frequent] = np.arange(len(frequent))
    return stratum[items], seen[frequent].astype(np.int64)


def _by_stratum(
    features: npt.NDArray[np.integer],
    indptr: npt.NDArray[np.int64],
    rows: npt.NDArray[np.integer],
    labels: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return (indptr, strata, counts) of some features: how often each fires in each stratum, ascending."""
    ends = np.concatenate([[0], np.cumsum(_n_strata(features, indptr, rows, labels))])
    strata, counts = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.int32)
    _fill(features, indptr, rows, labels, ends, strata, counts)
    return ends, strata, counts


@numba.njit(cache=True, parallel=True, nogil=True)
def _n_strata(features, indptr, rows, labels):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    out = np.zeros(len(features), np.int64)
    for i in numba.prange(len(features)):
        own = np.unique(labels[rows[indptr[features[i]] : indptr[features[i] + 1]]])
        out[i] = len(own) - np.searchsorted(own, 0)
    return out


@numba.njit(cache=True, parallel=True, nogil=True)
def _fill(features, indptr, rows, labels, ends, strata, counts):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in numba.prange(len(features)):
        own = np.sort(labels[rows[indptr[features[i]] : indptr[features[i] + 1]]])
        at = ends[i] - 1
        for k in range(np.searchsorted(own, 0), len(own)):
            if at < ends[i] or strata[at] != own[k]:
                at += 1
                strata[at], counts[at] = own[k], 0
            counts[at] += 1


@numba.njit(cache=True, parallel=True, nogil=True)
def _pair_sums(indptr, strata, counts, sizes, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return E and V of each pair: both features' strata are gone through side by side."""
    expected = np.zeros(len(a))
    variance = np.zeros(len(a))
    for k in numba.prange(len(a)):
        i_end, j_end = indptr[a[k] + 1], indptr[b[k] + 1]
        i, j = meet(strata, indptr[a[k]], i_end, indptr[b[k]], j_end)
        while i < i_end and j < j_end:
            t = np.float64(sizes[strata[i]])
            x, y = np.float64(counts[i]), np.float64(counts[j])
            expected[k] += x * y / t
            if t > 1:
                variance[k] += x * y * (t - x) * (t - y) / (t * t * (t - 1))
            i, j = meet(strata, i + 1, i_end, j + 1, j_end)
    return expected, variance


@numba.njit(cache=True, parallel=True, nogil=True)
def _rare_rows(features, indptr, rows, labels):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return (indptr, rows) of some features: their rows on items seen too seldom, ascending."""
    ends = np.zeros(len(features) + 1, np.int64)
    for i in numba.prange(len(features)):
        for k in range(indptr[features[i]], indptr[features[i] + 1]):
            ends[i + 1] += labels[rows[k]] < 0
    ends = np.cumsum(ends)
    rare = np.empty(ends[-1], rows.dtype)
    for i in numba.prange(len(features)):
        at = ends[i]
        for k in range(indptr[features[i]], indptr[features[i] + 1]):
            if labels[rows[k]] < 0:
                rare[at] = rows[k]
                at += 1
    return ends, rare


@numba.njit(cache=True, parallel=True, nogil=True)
def _intersections(indptr, rows, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return for each pair the number of rows that both ascending lists hold."""
    out = np.zeros(len(a), np.int64)
    for k in numba.prange(len(a)):
        i_end, j_end = indptr[a[k] + 1], indptr[b[k] + 1]
        i, j = meet(rows, indptr[a[k]], i_end, indptr[b[k]], j_end)
        while i < i_end and j < j_end:
            out[k] += 1
            i, j = meet(rows, i + 1, i_end, j + 1, j_end)
    return out
