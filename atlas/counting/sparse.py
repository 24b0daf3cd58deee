"""Row-wise counting on the CPU into sparse rows: for widths whose triangle is far larger than memory.

The firings are gathered first, and counted when rows are asked for:

1. `invert` all of them: tokens of each rank, ranks of each token: O(n) for n firings
2. for each row in parallel: walk its tokens and add 1 for every hotter feature of the token, into one
   row of counters that each thread has for itself: P increments
3. walk them again, take each counter that is large enough, and set it back to 0: P reads

A row is finished when it is emitted, so pruning is exact: every token of these firings was seen. What
bounds it is the rate of random increments, and the writing where most pairs are seen once. Columns stand in the
order in which they were found, since whoever orders pairs by feature orders them anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.counter import INT32_TOKENS, Counter, doubled_id, wrong_ids
from atlas.counting.inverted import Inverted, as_amounts, balanced, invert, prefetch
from atlas.counting.ranked import Ranked
from atlas.counting.scheme import Scheme
from atlas.errors import InputError

_AHEAD = 4  # tokens between the one that is added and the one that is fetched
_LINE = 64  # bytes of a cache line
BLOCK_PAIRS = 2**21
"""Pairs, at most, whose rows are emitted at once, unless a single row may have more."""


class SparseCounter(Counter):
    """Keeps the firings, and counts them row by row when asked: `sparse_bytes` says how much memory that takes.

    Parameters
    ----------
    scheme, rows, first_token
        As `Counter` takes them.

    Raises
    ------
    InputError
        More than 2^31 - 1 tokens (fault 44): count them in parts, and merge the finished counts.
    """

    def __init__(self, scheme: Scheme, *, rows: tuple[int, int] | None = None, first_token: int = 0) -> None:
        super().__init__(scheme, rows=rows, first_token=first_token)
        self._chunks: list[tuple[npt.NDArray[Any], ...]] = []

    def _count(self, indptr: Any, ids: Any, levels: Any, amounts: Any) -> None:
        d = self.scheme.d_sae
        self._require_room(len(indptr) - 1)
        if int(ids.min()) < 0 or int(ids.max()) >= d:
            raise wrong_ids(int(ids.min()), int(ids.max()), d)
        doubled = _first_doubled(indptr, ids, d)
        if doubled >= 0:
            raise doubled_id(doubled)
        level = np.zeros(0, np.uint8) if levels is None else np.array(levels, np.uint8)
        amount = np.zeros(0, np.int32) if amounts is None else as_amounts(amounts).copy()
        self._firing_count[0] += np.bincount(ids, minlength=d)
        for bit in range(self.scheme.bits):
            self._firing_count[bit + 1] += np.bincount(ids[(level >> bit & 1).astype(bool)], minlength=d)
        self._chunks.append((np.diff(indptr), np.array(ids, np.uint32), level, amount))

    def _add(self, other: Self) -> None:
        self._require_room(other.n_tokens)
        self._chunks += other._chunks

    def _require_room(self, n_tokens: int) -> None:
        if self.n_tokens + n_tokens > INT32_TOKENS:
            raise InputError(
                f"over {INT32_TOKENS} tokens in one counter", "count the tokens in parts, and merge the finished counts"
            )

    def ranked(self, *, prune: int = 1) -> Iterator[Ranked]:
        """Yield rows in ranges of at most about two million pairs; see `Counter.ranked`."""
        low, high = self.rows
        if low == high:
            return
        index, scheme, threads = self._inverted(), self.scheme, numba.get_num_threads()
        counters = np.zeros((threads, high), np.int32)
        by_level = np.zeros((threads, high << scheme.bits if scheme.bits else 0), np.int32)
        sums = np.zeros((threads, 2, high if scheme.sums else 0), np.int64)
        room = np.minimum(index.work, np.arange(scheme.d_sae))  # no row has more pairs than that
        room[np.diff(index.starts) < prune] = 0  # a feature that fires less often has no pair to keep
        before = np.concatenate([[0], np.cumsum(room)])
        for start, stop in ranges(before, low, high, BLOCK_PAIRS):
            bounds = balanced(index.work, start, stop, threads)
            # one more a part: where the next pair would go is written before it is known to be one
            slots = before[bounds] - before[start] + np.arange(len(bounds))
            columns = np.empty(slots[-1], np.uint32)
            counts = np.empty((len(scheme.rules), slots[-1]), np.int64)
            added = np.empty((2, slots[-1] if scheme.sums else 0), np.int64)
            lists = (index.starts, index.tokens, index.indptr, index.ranks)
            if scheme.bits or scheme.sums:
                found = _rows_with_rules(
                    bounds, slots, room, *lists, index.levels, index.amounts, scheme.bits, prune,
                    counters, by_level, sums, columns, counts, added,
                )  # fmt: skip
            else:
                found = _rows(bounds, slots, room, *lists, prune, counters, columns, counts[0])
            for part in range(threads):
                rows = slice(bounds[part] - start, bounds[part + 1] - start)
                indptr = np.concatenate([[0], np.cumsum(found[rows])])
                at = slice(slots[part], slots[part] + indptr[-1])
                some = added[:, at] if scheme.sums else added
                yield Ranked(int(bounds[part]), indptr, columns[at].copy(), counts[:, at].copy(), some.copy())

    def _inverted(self) -> Inverted:
        """Return the inverted index of everything that was gathered."""
        empty = (np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint8), np.zeros(0, np.int32))
        lengths, ids, levels, amounts = (np.concatenate(some) for some in zip(*(self._chunks or [empty]), strict=True))
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        if not len(ids):
            nothing = np.zeros(self.scheme.d_sae + 1, np.int64)
            return Inverted(nothing, ids, indptr, ids, levels, np.zeros((2, 0), np.int32), nothing[1:])
        some_levels, some_amounts = levels if self.scheme.bits else None, amounts if self.scheme.sums else None
        return invert(self.scheme, indptr, ids, some_levels, some_amounts, overwrite=True)


def sparse_bytes(scheme: Scheme, *, n_tokens: int, n_firings: int, threads: int) -> int:
    """Return the bytes that a `SparseCounter` takes at most: what it keeps, its index, counters and blocks.

    Formula: 16 bytes a token (lengths and row pointer), 12 a firing (its id twice while chunks are joined, its
    token), 3 more with further rules, 16 more with sums; a row of counters for each thread; two blocks.
    """
    width = 1 << scheme.bits
    row = 4 * (1 + width * (width > 1)) + 16 * scheme.sums
    firing = 12 + 3 * (width > 1) + 16 * scheme.sums
    block = BLOCK_PAIRS * (4 + 8 * len(scheme.rules) + 16 * scheme.sums)
    return 16 * n_tokens + firing * n_firings + threads * scheme.d_sae * row + 2 * block + 40 * scheme.d_sae


def ranges(before: npt.NDArray[np.int64], low: int, high: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of rows that have room for `limit` pairs together, or are one row.

    Row r has room for `before[r + 1] - before[r]`.
    """
    while low < high:
        stop = int(np.searchsorted(before, before[low] + limit, side="right")) - 1
        stop = min(max(stop, low + 1), high)
        yield low, stop
        low = stop


@numba.njit(cache=True, nogil=True)
def _first_doubled(indptr, ids, d):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the first token that names a feature twice, or -1."""
    seen = np.full(d, -1, np.int32)
    for t in range(len(indptr) - 1):
        for k in range(indptr[t], indptr[t + 1]):
            if seen[ids[k]] == t:
                return t
            seen[ids[k]] = t
    return -1


@numba.njit(cache=True, parallel=True, nogil=True)
def _rows(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    bounds, slots, room, starts, tokens, indptr, ranks, prune, all_counters, columns, counts
):
    """Write the pairs of some rows, and return how many each has; the counters are 0 before and after."""
    low = bounds[0]
    found = np.zeros(bounds[-1] - low, np.int64)
    step = np.int64(_LINE // ranks.itemsize)
    one = np.uint64(1)
    for part in numba.prange(len(bounds) - 1):
        counters = all_counters[part]
        at = np.uint64(slots[part])
        for row in range(bounds[part], bounds[part + 1]):
            if room[row] == 0:
                continue
            before, stop, limit = at, starts[row + 1], np.uint32(row)
            for place in range(starts[row], stop):
                if place + _AHEAD < stop:
                    ahead = indptr[tokens[place + _AHEAD]]
                    prefetch(ranks, ahead)
                    prefetch(ranks, ahead + step)
                k = np.uint64(indptr[tokens[place]])
                while ranks[k] < limit:
                    counters[ranks[k]] += 1
                    k += one
            for place in range(starts[row], stop):
                k = np.uint64(indptr[tokens[place]])
                while ranks[k] < limit:
                    seen = counters[ranks[k]]
                    counters[ranks[k]] = 0
                    columns[at] = ranks[k]  # written always, kept where seen: a branch would be mispredicted
                    counts[at] = seen
                    at += np.uint64(seen >= prune)
                    k += one
            found[row - low] = at - before
    return found


@numba.njit(cache=True, parallel=True, nogil=True)
def _rows_with_rules(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    bounds, slots, room, starts, tokens, indptr, ranks, levels, amounts, bits, prune,
    all_counters, all_levels, all_sums, columns, counts, added,
):  # fmt: skip
    """Do as `_rows`, with counters by level and sums of activations beside the counters of all."""
    low = bounds[0]
    found = np.zeros(bounds[-1] - low, np.int64)
    shift = np.uint64(bits)
    for part in numba.prange(len(bounds) - 1):
        counters, by_level, sums = all_counters[part], all_levels[part], all_sums[part]
        at = slots[part]
        for row in range(bounds[part], bounds[part + 1]):
            if room[row] == 0:
                continue
            before, limit = at, np.uint64(row) << shift
            for place in range(starts[row], starts[row + 1]):
                k = np.uint64(indptr[tokens[place]])
                while ranks[k] < limit:
                    column = ranks[k] >> shift
                    counters[column] += 1
                    if bits:
                        by_level[(column << shift) + (np.uint64(ranks[k]) & np.uint64(levels[place]))] += 1
                    if sums.shape[1]:
                        sums[0, column] += amounts[0, place]
                        sums[1, column] += amounts[1, k]
                    k += np.uint64(1)
            for place in range(starts[row], starts[row + 1]):
                k = np.uint64(indptr[tokens[place]])
                while ranks[k] < limit:
                    column = ranks[k] >> shift
                    if counters[column] >= prune:
                        columns[at] = column
                        _take(column, bits, counters, by_level, sums, counts[:, at], added[:, at : at + 1])
                        at += 1
                    if counters[column]:
                        _clear(column, bits, counters, by_level, sums)
                    k += np.uint64(1)
            found[row - low] = at - before
    return found


@numba.njit(cache=True, nogil=True)
def _take(column, bits, counters, by_level, sums, counts, added):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write a column's counts by rule and its sums."""
    counts[:] = 0
    counts[0] = counters[column]
    for level in range(1, 1 << bits):
        for bit in range(bits):
            counts[bit + 1] += (level >> bit & 1) * by_level[(np.int64(column) << bits) + level]
    if sums.shape[1]:
        added[0, 0] = sums[0, column]
        added[1, 0] = sums[1, column]


@numba.njit(cache=True, nogil=True)
def _clear(column, bits, counters, by_level, sums):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Set a column's counters back to 0."""
    counters[column] = 0
    if bits:
        first = np.int64(column) << bits
        by_level[first : first + (1 << bits)] = 0
    if sums.shape[1]:
        sums[0, column] = 0
        sums[1, column] = 0
