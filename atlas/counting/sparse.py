"""Row-wise counting on the CPU into sparse rows: for widths whose triangle is far larger than memory.

The firings are gathered first, and counted when rows are asked for:

1. `invert` all of them: tokens of each rank, ranks of each token: O(n) for n firings
2. for each row in parallel: walk its tokens and add 1 for every hotter feature of the token, into one
   row of counters that each thread has for itself: P increments
3. take each counter that is large enough, and set it back to 0: the row from end to end where many are
   used, its tokens a second time where few are

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

from atlas.counting.counter import INT32_TOKENS, Counter, check_rows, doubled_id, wrong_ids
from atlas.counting.inverted import AHEAD, CACHE_LINE, Inverted, as_amounts, balanced, invert, prefetch
from atlas.counting.ranked import Ranked, rule_counts
from atlas.counting.scheme import Scheme
from atlas.errors import InputError

_SCANNED = 2  # a row with more increments than half of its counters is gone through from end to end
_FEWEST, _MOST = 2**17, 2**21  # pairs whose rows are emitted at once: few enough to stay in a cache


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
        check_rows(indptr, levels, self.scheme.bits)
        if int(ids.min()) < 0 or int(ids.max()) >= d:
            raise wrong_ids(int(ids.min()), int(ids.max()), d)
        level = np.zeros(0, np.uint8) if levels is None else np.array(levels, np.uint8)
        amount = np.zeros(0, np.int32) if amounts is None else as_amounts(amounts).copy()
        doubled, fired = _tally(indptr, ids, level, self.scheme.bits, d)
        if doubled >= 0:
            raise doubled_id(doubled)
        self._firing_count += rule_counts(fired)
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
        """Yield rows in ranges that stay in a cache; see `Counter.ranked`."""
        low, high = self.rows
        prune = max(prune, 1)  # 0 would keep columns that no slot is there for
        if low == high:
            return
        index, scheme, threads = self._inverted(), self.scheme, numba.get_num_threads()
        n_rules, several = len(scheme.rules), scheme.bits > 0 or scheme.sums
        near = np.zeros((threads, 0 if several else high), np.uint16)  # where no row of a range has more tokens
        counters = np.zeros((threads, 0 if several else high), np.int32)
        most = np.diff(index.starts)
        packed = np.zeros((threads, high if several else 0), np.uint64)
        wide = np.zeros((threads, n_rules, high if several else 0), np.int64)
        taken = np.empty((threads, high + 1 if several else 0), np.uint64)
        sums = np.zeros((threads, high if scheme.sums else 0, 2), np.int64)
        steps, segment = packed_steps(scheme.bits), min(2 ** (64 // n_rules) - 1, INT32_TOKENS)
        room = np.minimum(index.work, np.arange(scheme.d_sae))  # no row has more pairs than that
        room[most < prune] = 0  # a feature that fires less often has no pair to keep
        before = np.concatenate([[0], np.cumsum(room)])
        for start, stop in ranges(before, low, high, _block_pairs(scheme.d_sae, threads)):
            bounds = balanced(index.work, start, stop, threads)
            # one more a part: where the next pair would go is written before it is known to be one
            slots = before[bounds] - before[start] + np.arange(len(bounds))
            columns = np.empty(slots[-1], np.uint32)
            counts = np.empty((n_rules, slots[-1]), np.int64)
            added = np.empty((2, slots[-1] if scheme.sums else 0), np.int64)
            lists = (index.starts, index.begins, index.hotter, index.ranks, index.work)
            if several:
                found = _rows_with_rules(
                    bounds, slots, room, *lists, index.levels, index.amounts, index.shift, prune, steps,
                    segment, packed, taken, wide, sums, columns, counts, added,
                )  # fmt: skip
            else:
                small = int(most[start:stop].max()) < 2**16
                found = _rows(bounds, slots, room, *lists, prune, near if small else counters, columns, counts[0])
            for part in range(threads):
                indptr = np.concatenate([[0], np.cumsum(found[bounds[part] - start : bounds[part + 1] - start])])
                at = slice(slots[part], slots[part] + indptr[-1])
                yield Ranked(
                    int(bounds[part]), indptr, columns[at], counts[:, at], added[:, at] if scheme.sums else added
                )

    def _inverted(self) -> Inverted:
        """Return the inverted index of everything that was gathered."""
        empty = (np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint8), np.zeros(0, np.int32))
        lengths, ids, levels, amounts = (np.concatenate(some) for some in zip(*(self._chunks or [empty]), strict=True))
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        if not len(ids):
            nothing = np.zeros(self.scheme.d_sae + 1, np.int64)
            return Inverted(nothing, ids, ids, ids, levels, np.zeros((2, 0), np.int32), 1, nothing[1:])
        some_levels, some_amounts = levels if self.scheme.bits else None, amounts if self.scheme.sums else None
        return invert(self.scheme, indptr, ids, some_levels, some_amounts, overwrite=True)


def sparse_bytes(scheme: Scheme, *, n_tokens: int, n_firings: int, threads: int) -> int:
    """Return the bytes that a `SparseCounter` takes at most: what it keeps, its index, counters and blocks.

    Formula: 16 bytes a token (lengths and row pointer) and 8 for each thread; 16 a firing (its id twice while
    chunks are joined, where its token begins, its place there), 3 more with further rules, 16 more with sums; a
    row of counters for each thread; two blocks of finished pairs.
    """
    several = scheme.bits > 0 or scheme.sums
    row = (16 + 8 * len(scheme.rules) if several else 6) + 16 * scheme.sums
    firing = 16 + 3 * (scheme.bits > 0) + 16 * scheme.sums
    block = _block_pairs(scheme.d_sae, threads) * (4 + 8 * len(scheme.rules) + 16 * scheme.sums)
    token = 16 + 8 * threads
    return token * n_tokens + firing * n_firings + threads * scheme.d_sae * (row + 8) + 2 * block + 40 * scheme.d_sae


def _block_pairs(d_sae: int, threads: int) -> int:
    """Return how many pairs to emit at once, unless one row may have more: some rows for each thread, at least."""
    return min(max(4 * threads * d_sae, _FEWEST), _MOST)


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
def _tally(indptr, ids, levels, bits, d):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the first token that names a feature twice or -1, and each feature's firings by level."""
    seen = np.full(d, -1, np.int32)
    fired = np.zeros((d, 1 << bits), np.int64)
    for t in range(len(indptr) - 1):
        for k in range(indptr[t], indptr[t + 1]):
            feature = ids[k]
            if seen[feature] == t:
                return t, fired
            seen[feature] = t
            fired[feature, levels[k] if len(levels) else 0] += 1
    return -1, fired


@numba.njit(cache=True, parallel=True, nogil=True)
def _rows(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    bounds, slots, room, starts, begins, hotter, ranks, work, prune, all_counters, columns, counts
):
    """Write the pairs of some rows, and return how many each has; the counters are 0 before and after."""
    low = bounds[0]
    found = np.zeros(bounds[-1] - low, np.int64)
    step = np.int64(CACHE_LINE // ranks.itemsize)
    for part in numba.prange(len(bounds) - 1):
        counters = all_counters[part]
        at = np.uint64(slots[part])
        for row in range(bounds[part], bounds[part + 1]):
            if room[row] == 0:
                continue
            before, stop = at, starts[row + 1]
            for place in range(starts[row], stop):
                if place + AHEAD < stop:
                    ahead = np.int64(begins[place + AHEAD])
                    prefetch(ranks, ahead)
                    prefetch(ranks, ahead + step)
                begin = np.uint64(begins[place])
                for k in range(begin, begin + np.uint64(hotter[place])):
                    counters[ranks[k]] += 1
            if work[row] > row // _SCANNED:
                for column in range(row):
                    columns[at] = column  # written always, kept where seen: a branch would be mispredicted
                    counts[at] = counters[column]
                    at += np.uint64(counters[column] >= prune)
                counters[:row] = 0
                found[row - low] = at - before
                continue
            for place in range(starts[row], stop):
                begin = np.uint64(begins[place])
                for k in range(begin, begin + np.uint64(hotter[place])):
                    seen = counters[ranks[k]]
                    counters[ranks[k]] = 0
                    columns[at] = ranks[k]
                    counts[at] = seen
                    at += np.uint64(seen >= prune)
            found[row - low] = at - before
    return found


def packed_steps(bits: int) -> npt.NDArray[np.uint64]:
    """Return what a pair of levels adds to its packed counter: uint64, shape (2 ** bits, 2 ** bits).

    A counter has a field of `64 // (bits + 1)` bits for each rule, `any` the lowest; entry (l, m) has a 1 in the
    field of `any` and of each rule whose bit is set in `l & m`.
    """
    field = 64 // (bits + 1)
    level = np.arange(1 << bits, dtype=np.uint64)
    both = level[:, None] & level
    steps = np.ones_like(both)
    for bit in range(bits):
        steps += (both >> np.uint64(bit) & np.uint64(1)) << np.uint64(field * (bit + 1))
    return steps


@numba.njit(cache=True, parallel=True, nogil=True)
def _rows_with_rules(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    bounds, slots, room, starts, begins, hotter, ranks, work, levels, amounts, shift, prune, steps, segment,
    all_packed, all_taken, all_wide, all_sums, columns, counts, added,
):  # fmt: skip
    """Do as `_rows`, the counters of all rules packed in one number, and with sums of activations beside them.

    After `segment` tokens, before a field can overflow, the fields are added to counters of their own.
    """
    low = bounds[0]
    found = np.zeros(bounds[-1] - low, np.int64)
    any_mask = ~np.uint64(0) >> np.uint64(64 - 64 // len(counts))
    for part in numba.prange(len(bounds) - 1):
        packed, taken, wide, sums = all_packed[part], all_taken[part], all_wide[part], all_sums[part]
        at = slots[part]
        for row in range(bounds[part], bounds[part + 1]):
            if room[row] == 0:
                continue
            first, last = starts[row], starts[row + 1]
            long = last - first > segment
            for start in range(first, last, segment):
                stop = min(start + segment, last)
                if sums.shape[0]:
                    _add_sums(start, stop, begins, hotter, ranks, amounts, shift, sums)
                _add_packed(start, stop, begins, hotter, ranks, levels, shift, steps, packed)
                if long:
                    _widen(row, packed, wide)
            if long or work[row] > row // _SCANNED:
                n = _take_row(row, prune, any_mask, long, packed, wide, taken, columns[at:])
            else:
                n = _take_seen(
                    first, last, begins, hotter, ranks, shift, prune, any_mask, packed, taken, columns[at:]
                )
            _unpack(row, n, long, taken, wide, sums, columns[at:], counts[:, at:], added[:, at:])
            if sums.shape[0]:
                _clear_sums(first, last, begins, hotter, ranks, shift, sums)
            found[row - low] = n
            at += n
    return found


@numba.njit(cache=True, nogil=True)
def _add_packed(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    start, stop, begins, hotter, ranks, levels, shift, steps, packed
):
    """Add to the packed counters for a row's tokens from place `start` to `stop`."""
    step = np.int64(CACHE_LINE // ranks.itemsize)
    one, bits = np.uint64(1), np.uint64(shift)
    lowest, n_levels = (one << bits) - one, np.uint64(steps.shape[1])
    flat = steps.reshape(steps.size)
    for place in range(start, stop):
        if place + AHEAD < stop:
            ahead = np.int64(begins[place + AHEAD])
            prefetch(ranks, ahead)
            prefetch(ranks, ahead + step)
            prefetch(ranks, ahead + 2 * step)
            prefetch(ranks, ahead + 3 * step)
        own = np.uint64(levels[place]) * n_levels if len(levels) else np.uint64(0)
        begin = np.uint64(begins[place])
        if own == 0:  # then no pair passes a further rule, and nothing is looked up
            for k in range(begin, begin + np.uint64(hotter[place])):
                packed[np.uint64(ranks[k]) & lowest] += one
            continue
        for k in range(begin, begin + np.uint64(hotter[place])):
            value = np.uint64(ranks[k])
            packed[value & lowest] += flat[own + (value >> bits)]


@numba.njit(cache=True, nogil=True)
def _add_sums(start, stop, begins, hotter, ranks, amounts, shift, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add both activations of each pair for a row's tokens from place `start` to `stop`."""
    lowest = (np.uint64(1) << np.uint64(shift)) - np.uint64(1)
    for place in range(start, stop):
        begin = np.uint64(begins[place])
        for k in range(begin, begin + np.uint64(hotter[place])):
            sums[ranks[k] & lowest, 0] += amounts[0, place]
            sums[ranks[k] & lowest, 1] += amounts[1, k]


@numba.njit(cache=True, nogil=True)
def _widen(row, packed, wide):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add the fields of a row's packed counters to its wide ones, and set them to 0."""
    field = np.uint64(64 // len(wide))
    mask = ~np.uint64(0) >> (np.uint64(64) - field)
    for rule in range(len(wide)):
        for column in range(row):
            wide[rule, column] += np.int64(packed[column] >> (field * np.uint64(rule)) & mask)
    packed[:row] = 0


@numba.njit(cache=True, nogil=True)
def _take_row(row, prune, any_mask, long, packed, wide, taken, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Go through a row from end to end; write the columns to keep and their counters, and return how many."""
    n = 0
    for column in range(row):
        columns[n] = column  # written always, kept where seen: a branch would be mispredicted
        taken[n] = packed[column]
        n += (wide[0, column] if long else np.int64(packed[column] & any_mask)) >= prune
    packed[:row] = 0
    return n


@numba.njit(cache=True, nogil=True)
def _take_seen(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    first, last, begins, hotter, ranks, shift, prune, any_mask, packed, taken, columns
):
    """Do as `_take_row` by a second walk through the row's tokens."""
    lowest = (np.uint64(1) << np.uint64(shift)) - np.uint64(1)
    n = 0
    for place in range(first, last):
        begin = np.uint64(begins[place])
        for k in range(begin, begin + np.uint64(hotter[place])):
            column = np.uint64(ranks[k]) & lowest
            value = packed[column]
            packed[column] = 0
            columns[n] = column
            taken[n] = value
            n += np.int64(value & any_mask) >= prune
    return n


@numba.njit(cache=True, nogil=True)
def _clear_sums(first, last, begins, hotter, ranks, shift, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set the sums of a row's columns to 0 by one more walk: those that were pruned, too."""
    lowest = (np.uint64(1) << np.uint64(shift)) - np.uint64(1)
    for place in range(first, last):
        begin = np.uint64(begins[place])
        for k in range(begin, begin + np.uint64(hotter[place])):
            sums[ranks[k] & lowest] = 0


@numba.njit(cache=True, nogil=True)
def _unpack(row, n, long, taken, wide, sums, columns, counts, added):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the counts by rule and the sums of the columns that were taken, and set their counters to 0."""
    field = np.uint64(64 // len(wide))
    mask = ~np.uint64(0) >> (np.uint64(64) - field)
    for rule in range(len(wide)):
        for i in range(n):
            counts[rule, i] = np.int64(taken[i] >> (field * np.uint64(rule)) & mask)
        if long:
            for i in range(n):
                counts[rule, i] += wide[rule, columns[i]]
            wide[rule, :row] = 0
    if sums.shape[0]:
        for i in range(n):
            added[0, i] = sums[columns[i], 0]
            added[1, i] = sums[columns[i], 1]
