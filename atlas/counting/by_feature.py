"""Pairs by rank become pairs by feature: sorted by (a, b), in bands of features that fit in memory.

Phases, with n the pairs and B the bands; each is parallel over ranges of features:

1. count the pairs of each lower feature: n reads
2. for each band: put its pairs into the rows of their lower features: B n reads, n scattered writes
3. sort each row by the higher feature: through a row of places where it is dense, else by comparison
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.counts import PairCounts
from atlas.counting.ranked import Counted

_DENSE = 24  # a row with more than d / 24 pairs is sorted through a row of places


@dataclass(frozen=True)
class Band:
    """The pairs whose lower feature is in a range.

    Attributes
    ----------
    low, high
        Half-open range of lower features.
    columns : int32, shape (n,)
        Higher features, ascending within each lower one.
    joint_count : int64, shape (n_rules, n)
        Tokens on which both fire, by rule.
    joint_sum : int64, shape (2, n) or (2, 0)
        Activations of the lower and of the higher feature added over those tokens.
    """

    low: int
    high: int
    columns: npt.NDArray[np.int32]
    joint_count: npt.NDArray[np.int64]
    joint_sum: npt.NDArray[np.int64]


def row_pointer(counted: Counted) -> npt.NDArray[np.int64]:
    """Return where each lower feature's pairs begin when pairs are sorted: int64, shape (d + 1,)."""
    d, order = counted.scheme.d_sae, counted.scheme.order
    found = np.zeros((numba.get_num_threads(), d), np.int64)
    for block in counted.blocks:
        _tally(block.low, block.indptr, block.columns, order, _cuts(block.indptr), found)
    return np.concatenate([[0], np.cumsum(found.sum(0))]).astype(np.int64)


def bands(counted: Counted, indptr: npt.NDArray[np.int64], *, memory: int) -> Iterator[Band]:
    """Yield the pairs sorted by (a, b), in bands that take at most about `memory` bytes, or are one feature.

    Parameters
    ----------
    counted
        Its blocks are gone through once a band.
    indptr
        As `row_pointer` gives it.
    """
    d, order, sums = counted.scheme.d_sae, counted.scheme.order, counted.scheme.sums
    n_rules = len(counted.scheme.rules)
    limit = max(1, memory // (4 + 8 * n_rules + 16 * sums + 1))
    low = 0
    while low < d:
        high = min(d, max(low + 1, int(np.searchsorted(indptr, indptr[low] + limit, side="right")) - 1))
        n = int(indptr[high] - indptr[low])
        columns = np.empty(n, np.int32)
        counts = np.empty((n_rules, n), np.int64)
        added = np.empty((2, n if sums else 0), np.int64)
        free = indptr[low:high] - indptr[low]
        cuts = low + np.searchsorted(
            indptr[low:high], np.linspace(indptr[low], indptr[high], numba.get_num_threads() + 1)
        )
        cuts[[0, -1]] = low, high
        for block in counted.blocks if n else ():
            _scatter(
                block.low, block.indptr, block.columns, block.joint_count, block.joint_sum, order, cuts, low,
                free, columns, counts, added,
            )  # fmt: skip
        _sort_rows(indptr[low : high + 1] - indptr[low], cuts - low, d, columns, counts, added)
        yield Band(low, high, columns, counts, added)
        low = high


def finalize(counted: Counted) -> PairCounts:
    """Return the counts by feature, all in memory."""
    indptr = row_pointer(counted)
    some = list(bands(counted, indptr, memory=2**62))
    columns = np.concatenate([band.columns for band in some]) if len(some) != 1 else some[0].columns
    counts = np.concatenate([band.joint_count for band in some], axis=1) if len(some) != 1 else some[0].joint_count
    sums = np.concatenate([band.joint_sum for band in some], axis=1) if len(some) != 1 else some[0].joint_sum
    further: dict[str, npt.NDArray[np.int64]] = {}
    for rule, firing, joint in zip(counted.scheme.rules[1:], counted.firing_count[1:], counts[1:], strict=True):
        further |= {f"firing_count:{rule}": firing.copy(), f"joint_count:{rule}": joint}
    if counted.scheme.sums:
        further |= {"joint_sum_a": sums[0], "joint_sum_b": sums[1]}
    return PairCounts(counted.firing_count[0].copy(), indptr, columns, counts[0], further)


def _cuts(indptr: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return bounds of ranges of a block's rows with about equal numbers of pairs, one a thread."""
    cuts = np.searchsorted(indptr, np.linspace(0, indptr[-1], numba.get_num_threads() + 1)).astype(np.int64)
    cuts[[0, -1]] = 0, len(indptr) - 1
    return np.maximum.accumulate(cuts)


@numba.njit(cache=True, parallel=True, nogil=True)
def _tally(first, indptr, columns, order, cuts, found):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add each pair to the count of its lower feature; `found` has a row for each range of rows."""
    for part in numba.prange(len(cuts) - 1):
        counts = found[part]
        for row in range(cuts[part], cuts[part + 1]):
            feature = order[first + row]
            for at in range(indptr[row], indptr[row + 1]):
                counts[min(feature, order[columns[at]])] += 1


@numba.njit(cache=True, parallel=True, nogil=True)
def _scatter(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    first, indptr, columns, joint, sums, order, cuts, low, free, out_columns, out_counts, out_sums
):
    """Put the pairs of a block into the rows of their lower features; each thread has a range of features."""
    for part in numba.prange(len(cuts) - 1):
        start, stop = cuts[part], cuts[part + 1]
        for row in range(len(indptr) - 1):
            feature = order[first + row]
            for at in range(indptr[row], indptr[row + 1]):
                other = order[columns[at]]
                a = min(feature, other)
                if a < start or a >= stop:
                    continue
                slot = free[a - low]
                free[a - low] = slot + 1
                out_columns[slot] = max(feature, other)
                for rule in range(len(joint)):
                    out_counts[rule, slot] = joint[rule, at]
                if sums.shape[1]:
                    flip = np.int64(a != feature)
                    out_sums[0, slot] = sums[flip, at]
                    out_sums[1, slot] = sums[1 - flip, at]


@numba.njit(cache=True, parallel=True, nogil=True)
def _sort_rows(indptr, cuts, d, columns, counts, sums):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Sort each row by its columns."""
    for part in numba.prange(len(cuts) - 1):
        places = np.full(d, -1, np.int32)
        for row in range(cuts[part], cuts[part + 1]):
            low, high = indptr[row], indptr[row + 1]
            n = high - low
            if n < 2:
                continue
            if n > d // _DENSE:
                for i in range(n):
                    places[columns[low + i]] = i
                order = np.empty(n, np.int64)
                k = 0
                for column in range(d):
                    if places[column] >= 0:
                        order[k] = places[column]
                        places[column] = -1
                        k += 1
            else:
                keys = np.empty(n, np.uint64)  # sorting a column and its place in one number needs no indirection
                for i in range(n):
                    keys[i] = np.uint64(columns[low + i]) << np.uint64(32) | np.uint64(i)
                keys.sort()
                order = np.empty(n, np.int64)
                for i in range(n):
                    order[i] = np.int64(keys[i] & np.uint64(2**32 - 1))
            columns[low:high] = columns[low:high][order]
            for rule in range(len(counts)):
                counts[rule, low:high] = counts[rule, low:high][order]
            if sums.shape[1]:
                sums[0, low:high] = sums[0, low:high][order]
                sums[1, low:high] = sums[1, low:high][order]
