"""Row-wise counting on the CPU: one row of the triangle live at a time, so increments stay in cache.

Phases of an update, with P the increments (pairs of firings on a token) and n the firings:

1. relabel features by rank, hottest first, and sort each token's ranks: O(n log L0)
2. invert: for each feature the places where it fires: O(n)
3. for each feature r, in parallel: walk its tokens and add 1 to `row_r[j]` for every hotter j of
   the token: P increments, each into a row of r counters

Rows are independent, so there are no atomics and the result is the same on any number of threads.
"""

from __future__ import annotations

import os
from typing import Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.counts import PairCounts
from atlas.errors import CapacityError, InputError

_LIMIT = 2**31 - 1


@numba.njit(cache=True, nogil=True)
def _invert(indptr, ranks, counts):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return for each rank the places in `ranks` where it stands, and each place's token start."""
    starts = np.zeros(len(counts) + 1, np.int64)
    for r in range(len(counts)):
        starts[r + 1] = starts[r] + counts[r]
    free = starts[:-1].copy()
    places = np.empty(len(ranks), np.int64)
    first = np.empty(len(ranks), np.int64)
    for t in range(len(indptr) - 1):
        for k in range(indptr[t], indptr[t + 1]):
            r = ranks[k]
            places[free[r]] = k
            first[free[r]] = indptr[t]
            free[r] += 1
    return starts, places, first


@numba.njit(cache=True, nogil=True)
def _relabel(indptr, ids, rank):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return each token's ranks in ascending order, and the first token with a doubled id or -1."""
    ranks = np.empty(len(ids), np.uint32)
    for t in range(len(indptr) - 1):
        lo, hi = indptr[t], indptr[t + 1]
        for k in range(lo, hi):
            ranks[k] = rank[ids[k]]
        ranks[lo:hi].sort()
        for k in range(lo + 1, hi):
            if ranks[k] == ranks[k - 1]:
                return ranks, t
    return ranks, -1


@numba.njit(cache=True, parallel=True, nogil=True)
def _add_rows(starts, places, first, ranks, triangle, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the increments of rows `low` to `high - 1` to their part of the triangle."""
    base = np.int64(low) * (low - 1) // 2
    for row in numba.prange(low, high):
        offset = np.int64(row) * (row - 1) // 2 - base
        counters = triangle[offset : offset + row]
        for place in range(starts[row], starts[row + 1]):
            for k in range(first[place], places[place]):
                counters[ranks[k]] += 1


@numba.njit(cache=True, nogil=True)
def _emit(triangle, order, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return lower feature, higher feature and count of every pair seen in rows `low` to `high - 1`."""
    n = 0
    for value in triangle:
        n += value > 0
    a = np.empty(n, np.int32)
    b = np.empty(n, np.int32)
    c = np.empty(n, np.int64)
    at = 0
    k = 0
    for row in range(low, high):
        for column in range(row):
            if triangle[k] > 0:
                x, y = order[row], order[column]
                a[at], b[at], c[at] = min(x, y), max(x, y), triangle[k]
                at += 1
            k += 1
    return a, b, c


class RowwiseCounter:
    """Counter of firings and pairs; counters of disjoint tokens merge (a commutative monoid).

    Parameters
    ----------
    order
        Features from the most to the least frequent, int, shape (d,). Any permutation gives exact
        counts; a good one keeps the hot counters in cache. Only counters of one order merge.
    rows
        Half-open range of ranks whose rows are counted; all by default. Ranges partition the work
        where the whole triangle does not fit in memory.
    memory
        Bytes that the triangle may take.

    Raises
    ------
    CapacityError
        The counters of these rows do not fit in `memory` (fault 25).

    Notes
    -----
    Counters are int32, safe below 2^31 tokens a counter (asserted); results are int64.
    """

    def __init__(
        self,
        order: npt.NDArray[np.integer],
        *,
        rows: tuple[int, int] | None = None,
        memory: int | None = None,
    ) -> None:
        self.order = np.asarray(order, np.int32)
        d = len(self.order)
        if not np.array_equal(np.sort(self.order), np.arange(d)):
            raise InputError("the order of features is not a permutation", "give every feature exactly once")
        self.rows = (0, d) if rows is None else rows
        size = triangle_size(*self.rows)
        if memory is not None and 4 * size > memory:
            fits = rows_that_fit(self.rows[0], memory)
            raise CapacityError(
                f"counting ranks {self.rows[0]} to {self.rows[1]} needs {4 * size / 2**30:.1f} GiB, "
                f"{memory / 2**30:.1f} GiB are allowed",
                f"raise --memory, or count ranks {self.rows[0]} to {fits} first",
            )
        self._rank = np.empty(d, np.uint32)
        self._rank[self.order] = np.arange(d, dtype=np.uint32)
        self._triangle = np.zeros(size, np.int32)
        self._firing_count = np.zeros(d, np.int64)
        self.n_tokens = 0

    def update(self, indptr: npt.NDArray[np.int64], ids: npt.NDArray[np.integer], levels: None = None) -> None:
        """Count a run of tokens.

        Parameters
        ----------
        indptr
            int64, shape (n + 1,): token t's firings are `ids[indptr[t]:indptr[t + 1]]`.
        ids
            Features that fire, in any order, each at most once a token.
        levels
            Firing rules beyond `any`; not counted by this backend yet.

        Raises
        ------
        InputError
            An id is out of range or twice in one token, or the counters would overflow (fault 44).
        """
        if levels is not None:
            raise InputError("this counter knows the firing rule `any` alone", "leave levels out")
        d = len(self.order)
        if len(ids) and not (ids.min() >= 0 and ids.max() < d):
            raise InputError(f"feature {ids.min()}..{ids.max()}, expected 0..{d - 1}", "check the SAE's width")
        if self.n_tokens + len(indptr) - 1 > _LIMIT:
            raise InputError(f"over {_LIMIT} tokens in one counter", "count the tokens in parts and merge")
        ranks, doubled = _relabel(indptr, ids, self._rank)
        if doubled >= 0:
            raise InputError(
                f"token {doubled} names a feature twice", "the firings are damaged: run the activations again"
            )
        self.n_tokens += len(indptr) - 1
        counts = np.bincount(ranks, minlength=d)
        self._firing_count[self.order] += counts
        starts, places, first = _invert(indptr, ranks, counts)
        _add_rows(starts, places, first, ranks, self._triangle, *self.rows)

    def merge(self, other: Self) -> None:
        """Add the counts of other tokens.

        Raises
        ------
        InputError
            The other counter has another order or other rows (fault 43).
        """
        if self.rows != other.rows or not np.array_equal(self.order, other.order):
            raise InputError(
                "the counters rank the features differently, or count other rows",
                "make all parts with one order of features",
            )
        if self.n_tokens + other.n_tokens > _LIMIT:
            raise InputError(f"over {_LIMIT} tokens in one counter", "merge the finished counts instead")
        self.n_tokens += other.n_tokens
        self._firing_count += other._firing_count
        self._triangle += other._triangle

    def pairs(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return (a, b, joint_count) of every pair seen in these rows, a < b, in order of rank."""
        a, b, c = _emit(self._triangle, self.order, *self.rows)
        return a, b, c

    def finalize(self) -> PairCounts:
        """Return the counts by feature index."""
        return assemble(self._firing_count, [self.pairs()])


def triangle_size(low: int, high: int) -> int:
    """Return the number of counters of rows `low` to `high - 1`, row r having r."""
    return high * (high - 1) // 2 - low * (low - 1) // 2


def rows_that_fit(low: int, memory: int) -> int:
    """Return the largest `high` such that the rows `low` to `high - 1` fit in `memory` bytes."""
    counters = memory // 4 + low * (low - 1) // 2
    high = int((1 + np.sqrt(1 + 8 * counters)) // 2)
    while triangle_size(low, high) * 4 > memory:
        high -= 1
    return max(high, low)


def assemble(
    firing_count: npt.NDArray[np.int64],
    parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]],
) -> PairCounts:
    """Return counts sorted by (a, b) from the pairs of disjoint ranges of rows."""
    a, b, c = (np.concatenate([part[k] for part in parts]) for k in range(3))
    order = np.argsort(a.astype(np.int64) * len(firing_count) + b)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(a, minlength=len(firing_count)))]).astype(np.int64)
    return PairCounts(firing_count.copy(), indptr, b[order], c[order])


def use_threads(threads: int | None) -> int:
    """Set the number of counting threads (all cores by default) and return it."""
    chosen = min(threads or os.cpu_count() or 1, int(numba.config.NUMBA_NUM_THREADS))
    numba.set_num_threads(chosen)
    return chosen
