"""Row-wise counting on the CPU into a dense triangle: one row is live at a time, so increments stay in cache.

Phases of an update, with P the increments (pairs of firings on a token) and n the firings:

1. `invert`: tokens of each rank, ranks of each token in ascending order: O(n)
2. for each row r, in parallel: walk its tokens and add 1 to `row_r[j]` for every hotter j of the
   token: P increments, each into a row of r counters, of which the hot ones are used most

Rows are independent, so there are no atomics and the result is the same on any number of threads. What
bounds it is the rate of random increments in the level of cache that holds a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.counter import INT32_TOKENS, Counter
from atlas.counting.inverted import AHEAD, CACHE_LINE, Inverted, balanced, invert, prefetch
from atlas.counting.ranked import Ranked, pairs_of_rows, rows_with
from atlas.counting.scheme import Scheme
from atlas.errors import CapacityError

CHUNK_FIRINGS = 4_000_000
"""Firings inverted at once: the triangle is gone through once a chunk, the chunk stays in the last cache."""
_SWEPT = 4  # a row with more increments than a quarter of its cells is swept from end to end
_BLOCK_CELLS = 2**18  # cells of the triangle that are gone through at once when rows are emitted: they fit a cache


class TriangleCounter(Counter):
    """Counts into the dense triangle of the rows: 4 bytes a cell and level, 16 more with sums.

    Parameters
    ----------
    scheme, rows, first_token
        As `Counter` takes them.
    memory
        Bytes that the triangle may take.

    Raises
    ------
    CapacityError
        The cells of these rows do not fit in `memory` (fault 25).

    Notes
    -----
    Cells are 32 bits below 2^31 tokens and become 64 bits when a merge or an update goes past that.
    """

    def __init__(
        self,
        scheme: Scheme,
        *,
        rows: tuple[int, int] | None = None,
        first_token: int = 0,
        memory: int | None = None,
    ) -> None:
        super().__init__(scheme, rows=rows, first_token=first_token)
        low, high = self.rows
        need = pairs_of_rows(low, high) * cell_bytes(scheme)
        if memory is not None and need > memory:
            raise CapacityError(
                f"counting ranks {low} to {high} needs {need / 2**30:.1f} GiB, {memory / 2**30:.1f} GiB are allowed",
                f"raise --memory, or count ranks {low} to {rows_that_fit(scheme, low, memory)} first",
            )
        cells = pairs_of_rows(low, high)
        self._cells = np.zeros((1 << scheme.bits, cells), np.int32)  # a plane for each level
        self._sums = np.zeros((2, cells if scheme.sums else 0), np.int64)

    def _count(self, indptr: Any, ids: Any, levels: Any, amounts: Any) -> None:
        if self.n_tokens + len(indptr) - 1 > INT32_TOKENS:
            self._cells = self._cells.astype(np.int64, copy=False)
        index = invert(self.scheme, indptr, ids, levels, amounts)
        self._firing_count += firing_counts(self.scheme, index)
        self._add_inverted(index)

    def _add_inverted(self, index: Inverted) -> None:
        low, high = self.rows
        bounds = balanced(index.work, low, high, 16 * numba.get_num_threads())
        _add_rows(
            bounds, index.starts, index.begins, index.hotter, index.ranks, index.levels, index.amounts,
            index.work, index.shift, self._cells, self._sums, low,
        )  # fmt: skip

    def _add(self, other: Self) -> None:
        if self.n_tokens + other.n_tokens > INT32_TOKENS:
            self._cells = self._cells.astype(np.int64, copy=False)
        self._cells += other._cells
        self._sums += other._sums

    def ranked(self, *, prune: int = 1) -> Iterator[Ranked]:
        """Yield rows in ranges of some rows; see `Counter.ranked`."""
        low, high = self.rows
        prune = max(prune, 1)
        start = low
        while start < high:
            stop = max(start + 1, rows_with(start, _BLOCK_CELLS))
            stop = min(stop, high)
            first = pairs_of_rows(low, start)
            at = slice(first, pairs_of_rows(low, stop))
            cells, sums = self._cells[:, at], self._sums[:, at] if self.scheme.sums else self._sums
            yield Ranked(start, *_emit(start, stop, cells, sums, self.scheme.bits, prune))
            start = stop


def firing_counts(scheme: Scheme, index: Inverted) -> npt.NDArray[np.int64]:
    """Return how often each feature fires in a chunk under each rule: int64, shape (n_rules, d)."""
    counts = np.empty((len(scheme.rules), scheme.d_sae), np.int64)
    counts[0, scheme.order] = np.diff(index.starts)
    for bit in range(scheme.bits):
        passing = np.concatenate([[0], np.cumsum(index.levels >> bit & 1, dtype=np.int64)])
        counts[bit + 1, scheme.order] = np.diff(passing[index.starts])
    return counts


def cell_bytes(scheme: Scheme) -> int:
    """Return the bytes of one pair's counters."""
    return (4 << scheme.bits) + 16 * scheme.sums


def rows_that_fit(scheme: Scheme, low: int, memory: int) -> int:
    """Return the largest `high` such that the rows `low` to `high - 1` fit in `memory` bytes."""
    return min(rows_with(low, memory // cell_bytes(scheme)), scheme.d_sae)


@numba.njit(cache=True, parallel=True, nogil=True)
def _add_rows(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    bounds, starts, begins, hotter, ranks, levels, amounts, work, shift, cells, sums, low
):
    """Add the increments of each row to its cells, each in the plane of the pair's level.

    A row with many increments is counted in 16 bits, which stay in the nearest cache, and added to its cells
    from end to end: cells lie in memory, where additions in no order would each wait for their line.
    """
    base = np.int64(low) * (low - 1) // 2
    step = np.int64(CACHE_LINE // ranks.itemsize)
    bits, lowest = np.uint64(shift), (np.uint64(1) << np.uint64(shift)) - np.uint64(1)
    plain = not len(levels) and not sums.shape[1]
    for part in numba.prange(len(bounds) - 1):
        near = np.zeros(bounds[part + 1], np.uint16)
        for row in range(bounds[part], bounds[part + 1]):
            first = np.int64(row) * (row - 1) // 2 - base
            counters = cells[0, first : first + row]
            stop = starts[row + 1]
            if plain and work[row] > row // _SWEPT and stop - starts[row] < 2**16:
                _sweep(row, starts[row], stop, begins, hotter, ranks, near, counters)
                continue
            for at in range(starts[row], stop):
                if at + AHEAD < stop:
                    ahead = np.int64(begins[at + AHEAD])
                    prefetch(ranks, ahead)
                    prefetch(ranks, ahead + step)
                begin = np.uint64(begins[at])
                if plain:
                    for k in range(begin, begin + np.uint64(hotter[at])):
                        counters[ranks[k]] += 1
                    continue
                for k in range(begin, begin + np.uint64(hotter[at])):
                    cell = first + np.int64(ranks[k] & lowest)
                    level = np.uint64(0)
                    if len(levels):
                        level = (np.uint64(ranks[k]) >> bits) & np.uint64(levels[at])
                    cells[level, cell] += 1
                    if sums.shape[1]:
                        sums[0, cell] += amounts[0, at]
                        sums[1, cell] += amounts[1, k]


@numba.njit(cache=True, nogil=True)
def _sweep(row, start, stop, begins, hotter, ranks, near, counters):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count a row in 16 bits, add it to its cells from end to end, and set the 16 bits to 0."""
    step = np.int64(CACHE_LINE // ranks.itemsize)
    for at in range(start, stop):
        if at + AHEAD < stop:
            ahead = np.int64(begins[at + AHEAD])
            prefetch(ranks, ahead)
            prefetch(ranks, ahead + step)
            prefetch(ranks, ahead + 2 * step)
        begin = np.uint64(begins[at])
        for k in range(begin, begin + np.uint64(hotter[at])):
            near[ranks[k]] += np.uint16(1)
    for column in range(row):
        counters[column] += near[column]
    near[:row] = 0


@numba.njit(cache=True, parallel=True, nogil=True)
def _emit(low, high, cells, sums, bits, prune):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return indptr, columns, counts by rule and sums of the pairs seen `prune` times or more."""
    base = np.int64(low) * (low - 1) // 2
    found = np.empty(cells.shape[1], np.uint32)  # each row's columns at the row's cells
    indptr = np.zeros(high - low + 1, np.int64)
    for row in numba.prange(low, high):
        first = np.int64(row) * (row - 1) // 2 - base
        slot = np.uint64(first)
        mine = cells[0, first : first + row]
        if len(cells) == 1:
            for column in range(row):
                found[slot] = column  # written always, kept where seen: a branch would be mispredicted
                slot += np.uint64(mine[column] >= prune)
        else:
            for column in range(row):
                seen = np.int64(mine[column])
                for level in range(1, len(cells)):
                    seen += cells[level, first + column]
                found[slot] = column
                slot += np.uint64(seen >= prune)
        indptr[row - low + 1] = np.int64(slot) - first
    for row in range(high - low):
        indptr[row + 1] += indptr[row]
    columns = np.empty(indptr[-1], np.uint32)
    counts = np.zeros((bits + 1, indptr[-1]), np.int64)
    added = np.empty((2, indptr[-1] if sums.shape[1] else 0), np.int64)
    for row in numba.prange(low, high):
        first = np.int64(row) * (row - 1) // 2 - base
        start, stop = indptr[row - low], indptr[row - low + 1]
        columns[start:stop] = found[first : first + stop - start]
        if len(cells) == 1 and not sums.shape[1]:
            mine = cells[0, first : first + row]
            for at in range(start, stop):
                counts[0, at] = mine[columns[at]]
            continue
        for at in range(start, stop):
            cell = first + np.int64(columns[at])
            counts[0, at] = cells[0, cell]
            for level in range(1, len(cells)):
                seen = cells[level, cell]
                counts[0, at] += seen
                for bit in range(bits):
                    counts[bit + 1, at] += (level >> bit & 1) * seen
            if sums.shape[1]:
                added[0, at] = sums[0, cell]
                added[1, at] = sums[1, cell]
    return indptr, columns, counts, added
