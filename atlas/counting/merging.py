"""Merging of partial counts: the rows of all parts added, a range of rows at a time, in bounded memory.

Phases of one range of rows, with n the entries of all parts in it:

1. read the parts' rows into one array: O(n)
2. for each row, in parallel: add the entries into one dense row of totals that each thread has for itself,
   a bit noting each column that was met: O(n)
3. go through the bits, which gives the columns in order, and clear them again: O(n + d / 64) a row

Addition of integers is associative and commutative, so neither the order of the parts nor how they were
merged before changes the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.partial import StoredBlocks, part_of
from atlas.counting.ranked import Counted, Ranked
from atlas.counting.scheme import Scheme, join_ranges, require_same
from atlas.errors import CapacityError, InputError

_COPIES = 4  # of an entry at the most: as read, gathered, added up, and as it is given out
_ROWS = 2**16  # rows whose sizes are looked at, at most
_DE_BRUIJN = 0x03F79D71B4CB0A89
"""A de Bruijn sequence: its product with a single bit has a different top six bits for each of the 64."""


class Rows(Protocol):
    """A range of one part's rows, in memory or on disk."""

    @property
    def low(self) -> int:
        """Rank of the first row."""
        ...

    @property
    def high(self) -> int:
        """One past the rank of the last row."""
        ...

    def indptr(self, low: int, high: int) -> npt.NDArray[np.int64]:
        """Return where the rows `low` to `high - 1` begin and end among the pairs."""
        ...

    def read(self, low: int, high: int) -> Ranked:
        """Return the rows `low` to `high - 1`."""
        ...


def merge_counted(parts: Sequence[Counted], *, prune: int = 1, memory: int) -> Counted:
    """Return the counts of all parts' tokens together.

    Formula: firing counts, joint counts of every rule and joint sums are added. Each part must have been
    counted with one scheme, and without pruning: a pair below the limit in every part may be above it in all.

    Parameters
    ----------
    parts
        Counts of disjoint tokens, in any order; their blocks are gone through whenever the result's are.
    prune
        Pairs with fewer joint tokens than this in all parts together are left out.
    memory
        Bytes for one range of rows. It does not change the result's pairs, only how they are cut into blocks.

    Raises
    ------
    InputError
        There is no part, the schemes differ, or tokens are counted twice (fault 43).
    CapacityError
        Not even one row of totals fits (fault 25).
    """
    if not parts:
        raise InputError("no partial counts to merge", "count at least one part")
    first = parts[0]
    for other in parts[1:]:
        require_same(first.scheme.description(), other.scheme.description())
    covered = join_ranges(*(part.covered for part in parts))
    firing_count = np.zeros_like(first.firing_count)
    for part in parts:
        firing_count += part.firing_count
    _budget(first.scheme, memory)
    blocks = _Merged(first.scheme, [part.blocks for part in parts], prune, memory)
    return Counted(first.scheme, firing_count, covered, blocks)


class _Held:
    """Rows that are in memory."""

    def __init__(self, block: Ranked) -> None:
        self._block = block
        self.low, self.high = block.low, block.high

    def indptr(self, low: int, high: int) -> npt.NDArray[np.int64]:
        return self._block.indptr[low - self.low : high - self.low + 1]

    def read(self, low: int, high: int) -> Ranked:
        return part_of(self._block, low, high)


class _Merged:
    """The merged rows, made anew each time that they are gone through."""

    def __init__(self, scheme: Scheme, parts: list[Iterable[Ranked]], prune: int, memory: int) -> None:
        self._scheme, self._parts, self._prune, self._memory = scheme, parts, prune, memory

    def __iter__(self) -> Iterator[Ranked]:
        d, width = self._scheme.d_sae, _width(self._scheme)
        threads, entries = _budget(self._scheme, self._memory)
        totals = np.zeros((threads, d, width), np.int64)
        met = np.zeros((threads, (d + 63) // 64), np.uint64)
        pieces = [_pieces(part) for part in self._parts]
        current = [next(each) for each in pieces] if d else []
        low = 0
        while low < d:
            high = _rows_that_fit(current, low, entries)
            yield self._add(current, low, high, totals, met)
            low = high
            current = [next(more) if each.high == low < d else each for each, more in zip(current, pieces, strict=True)]

    def _add(self, pieces: Sequence[Rows], low: int, high: int, totals: Any, met: Any) -> Ranked:
        """Return the sum of the pieces' rows `low` to `high - 1`."""
        n_rules, summed = len(self._scheme.rules), self._scheme.sums
        places = np.zeros((len(pieces), high - low + 1), np.int64)
        before = 0
        for p, piece in enumerate(pieces):
            indptr = piece.indptr(low, high)
            places[p] = indptr - indptr[0] + before
            before = int(places[p, -1])
        columns, values = np.empty(before, np.uint32), np.empty((before, totals.shape[2]), np.int64)
        for p, piece in enumerate(pieces):
            block, at = piece.read(low, high), slice(places[p, 0], places[p, -1])
            columns[at] = block.columns
            values[at, :n_rules] = block.joint_count.T
            if summed:
                values[at, n_rules:] = block.joint_sum.T
        starts = (places - places[:, :1]).sum(0)
        bounds = np.searchsorted(starts, np.linspace(0, before, len(totals) + 1)).astype(np.int64)
        bounds[0], bounds[-1] = 0, high - low
        out_columns, out_values = np.empty_like(columns), np.empty_like(values)
        n_kept = np.zeros(high - low, np.int64)
        _add_rows(
            bounds, places, starts, columns, values, low, self._prune, totals, met, _LOWEST_BIT,
            out_columns, out_values, n_kept,
        )  # fmt: skip
        n = _close_gaps(starts, n_kept, out_columns, out_values)
        return Ranked(
            low,
            np.concatenate([[0], np.cumsum(n_kept)]).astype(np.int64),
            out_columns[:n].copy(),
            np.ascontiguousarray(out_values[:n, :n_rules].T),
            np.ascontiguousarray(out_values[:n, n_rules:].T) if summed else np.zeros((2, 0), np.int64),
        )


def _pieces(blocks: Iterable[Ranked]) -> Iterator[Rows]:
    if isinstance(blocks, StoredBlocks):
        yield from blocks.files
    else:
        yield from (_Held(block) for block in blocks if block.high > block.low)


def _width(scheme: Scheme) -> int:
    """Return the totals of a pair."""
    return len(scheme.rules) + 2 * scheme.sums


def _budget(scheme: Scheme, memory: int) -> tuple[int, int]:
    """Return how many threads have their row of totals, and how many entries fit beside them."""
    d, width = scheme.d_sae, _width(scheme)
    row, entry = d * (8 * width) + d // 8 + 8, _COPIES * (4 + 8 * width)
    if row + entry > memory:
        raise CapacityError(
            f"one row of {d} totals does not fit in {memory} bytes", f"give --memory {2 * (row + entry)} or more"
        )
    threads = max(1, min(numba.get_num_threads(), memory // 2 // row))
    return threads, max(1, (memory - threads * row) // entry)


def _rows_that_fit(pieces: Sequence[Rows], low: int, entries: int) -> int:
    """Return one past the last row from `low` on that is in every piece and with which `entries` fit, at least one."""
    high = min(min(piece.high for piece in pieces), low + _ROWS)
    before = np.zeros(high - low + 1, np.int64)
    for piece in pieces:
        indptr = piece.indptr(low, high)
        before += indptr - indptr[0]
    return low + max(1, int(np.searchsorted(before, entries, side="right")) - 1)


@numba.njit(cache=True, parallel=True, nogil=True)
def _add_rows(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    bounds, places, starts, columns, values, low, prune, totals, met, lowest_bit, out_columns, out_values, n_kept
):
    """Write each row's totals, those of `prune` or more, from `starts` on; rows between two bounds are one thread's."""
    width = values.shape[1]
    one = np.uint64(1)
    for thread in numba.prange(len(bounds) - 1):
        for row in range(bounds[thread], bounds[thread + 1]):
            for p in range(len(places)):
                for k in range(places[p, row], places[p, row + 1]):
                    column = columns[k]
                    met[thread, column >> 6] |= one << np.uint64(column & 63)
                    for v in range(width):
                        totals[thread, column, v] += values[k, v]
            at = starts[row]
            for word in range((low + row + 63) // 64):
                left = met[thread, word]
                met[thread, word] = 0
                while left:
                    bit = left & (~left + one)
                    left ^= bit
                    column = 64 * word + lowest_bit[(bit * np.uint64(_DE_BRUIJN)) >> np.uint64(58)]
                    if totals[thread, column, 0] >= prune:
                        out_columns[at] = column
                        for v in range(width):
                            out_values[at, v] = totals[thread, column, v]
                        at += 1
                    totals[thread, column, :] = 0
            n_kept[row] = at - starts[row]


@numba.njit(cache=True, nogil=True)
def _close_gaps(starts, n_kept, columns, values):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Move the rows up to each other, and return how many entries they have."""
    at = 0
    for row in range(len(n_kept)):
        for k in range(starts[row], starts[row] + n_kept[row]):
            columns[at] = columns[k]
            for v in range(values.shape[1]):
                values[at, v] = values[k, v]
            at += 1
    return at


def _lowest_bits() -> npt.NDArray[np.int64]:
    """Return which bit has which top six bits after the product with the de Bruijn sequence."""
    table = np.zeros(64, np.int64)
    for bit in range(64):
        table[((1 << bit) * _DE_BRUIJN & 2**64 - 1) >> 58] = bit
    return table


_LOWEST_BIT = _lowest_bits()
