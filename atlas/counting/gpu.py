"""Row-wise counting on a GPU: a row's counters in shared memory, all totals in the device's memory, exact."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from atlas.counting.counter import Counter, doubled_id, wrong_ids
from atlas.counting.cuda import CudaEngine, Engine, bytes_a_pair
from atlas.counting.ranked import Ranked, pairs_of_rows, rows_with, rule_counts
from atlas.counting.scheme import Scheme, join_ranges
from atlas.errors import CapacityError, InputError

logger = logging.getLogger("atlas")

SPARSE = 0.25
"""A row with fewer increments in a chunk than this share of its columns goes straight to the totals: a guess from
the rates of global atomics and of clearing and reading shared counters, to be measured."""
MINIMUM = 256
"""Firings of a chunk below which no smaller one is tried."""
_MOST = 2**30
"""Most firings of a chunk: places in it are 32 bit."""
_EMITTED = 2**24
"""Counters looked through at once when pairs are emitted."""
_NOWHERE = 2**32 - 1


@dataclass(frozen=True)
class _Firings:
    """What an update was given: `indptr` on the device, the others there or, as numpy's, on the host."""

    indptr: Any
    ids: Any
    levels: Any
    amounts: Any


@dataclass(frozen=True)
class _Chunk:
    """Some tokens on the device.

    Attributes
    ----------
    indptr : int64, shape (n_tokens + 1,), not from 0
    ranks : uint32, shape (n,): rank << bits | level, ascending within a token
    amounts : int64, shape (n,) or (0,), in that order
    bounds : uint32, shape (n_tiles * n_tokens,): where each tile of columns begins in each token
    fired : int64, shape (d << bits,): firings of each rank and level
    lanes
        Threads that share a token.
    """

    indptr: Any
    ranks: Any
    amounts: Any
    bounds: Any
    fired: Any
    lanes: int

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return len(self.indptr) - 1

    @property
    def mean(self) -> float:
        """Firings of a token, on average."""
        return len(self.ranks) / self.n_tokens


class GpuCounter(Counter):
    """Counter whose totals, int64, lie in the memory of a CUDA device: one triangle of `2 ** bits` a pair.

    Parameters
    ----------
    scheme, rows, first_token
        See `Counter`.
    device
        Number of the CUDA device, as `choose_device` returns it.
    memory
        Bytes of the device that the totals may take; by default seven eighths of what is free.
    chunk
        Firings counted at once; by default as many as fill half the device's L2 with ranks. Wide SAEs gain
        from larger ones: every chunk goes once through the counters of the rows that it counts.
    shared_bytes
        Shared memory of a block, see `CudaEngine`.
    segment
        Firings of one row that one block counts; by default enough that counting outweighs clearing.
    sparse
        See `SPARSE`; 0 sends no row straight to the totals.
    engine
        A device in place of the one that `device` names.

    Raises
    ------
    CapacityError
        The totals of these rows do not fit (fault 25): the rows that do are named.
    """

    def __init__(
        self,
        scheme: Scheme,
        *,
        rows: tuple[int, int] | None = None,
        first_token: int = 0,
        device: int = 0,
        memory: int | None = None,
        chunk: int | None = None,
        shared_bytes: int | None = None,
        segment: int | None = None,
        sparse: float = SPARSE,
        engine: Engine | None = None,
    ) -> None:
        super().__init__(scheme, rows=rows, first_token=first_token)
        self._engine: Engine = engine or CudaEngine(device, sums=scheme.sums, shared_bytes=shared_bytes)
        self._device = device
        self._chunk = self._told = min(chunk or max(self._engine.l2_bytes // 8, 2**16), _MOST)
        self._segment, self._sparse = segment, sparse
        self._tile = self._engine.shared_bytes // ((4 << scheme.bits) + 16 * scheme.sums)
        self._done = 0
        with self._engine.use():
            self._allocate(memory)

    def _allocate(self, memory: int | None) -> None:
        xp, (low, high), scheme = self._engine.xp, self.rows, self.scheme
        self._engine.release()
        free = self._engine.free_bytes() // 8 * 7
        allowed = free if memory is None else min(memory, free)
        n_pairs = pairs_of_rows(low, high)
        needed = n_pairs * bytes_a_pair(scheme)
        try:
            if needed <= allowed:
                self._joint = xp.zeros(n_pairs << scheme.bits, xp.int64)
                self._sums = xp.zeros((2, n_pairs if scheme.sums else 0), xp.int64)
                self._fired = xp.zeros(scheme.d_sae << scheme.bits, xp.int64)
                self._rank = xp.asarray(scheme.rank)
                return
        except self._engine.out_of_memory:  # the memory is in pieces, or another process was faster
            allowed = min(allowed, needed - 1)
        fits = rows_with(low, allowed // bytes_a_pair(scheme))
        raise CapacityError(
            f"counting ranks {low} to {high - 1} takes {needed / 2**30:.3g} GiB of the GPU's memory, "
            f"{allowed / 2**30:.3g} GiB can be had",
            f"count ranks {low} to {fits - 1} first, then the others, or count on the CPU"
            if fits > low
            else "free memory of the GPU, or count on the CPU",
        )

    @property
    def firing_count(self) -> npt.NDArray[np.int64]:
        """Tokens on which each feature fires under each rule, by feature: int64, shape (n_rules, d)."""
        with self._engine.use():
            counters = self._engine.asnumpy(self._fired).reshape(self.scheme.d_sae, 1 << self.scheme.bits)
        return self._firing_count + rule_counts(counters)[:, self.scheme.rank]

    def update(
        self, indptr: Any, ids: Any, levels: Any = None, amounts: Any = None, *, first_token: int | None = None
    ) -> None:
        """Count a run of tokens; see `Counter.update`.

        Arrays may be numpy's, CuPy's, or have DLPack or the CUDA array interface (torch's CUDA tensors): those
        that lie on the device do not pass through the host.

        Raises
        ------
        CapacityError
            Not even a small chunk fits on the device. The tokens before it stay counted, and `covered` says so.
        """
        names = ("indptr", "ids", "levels", "amounts")
        start = self._next if first_token is None else first_token
        with self._engine.use():
            given = [None if one is None else self._engine.take(one) for one in (indptr, ids, levels, amounts)]
            for name, one in zip(names, given, strict=True):
                if one is not None and (one.ndim != 1 or (len(one) and one.dtype.kind not in "iub")):
                    raise InputError(
                        f"{name} have shape {one.shape} and type {one.dtype}", "give one dimension of integers"
                    )
            self._done = 0
            try:
                super().update(*given, first_token=first_token)
            except CapacityError:
                self.covered = join_ranges(self.covered, [(start, start + self._done)])
                self._next = start + self._done
                raise

    def _count(self, indptr: Any, ids: Any, levels: Any, amounts: Any) -> None:
        xp = self._engine.xp
        given = _Firings(xp.asarray(indptr).astype(xp.int64), ids, levels, amounts)
        lengths = given.indptr[1:] - given.indptr[:-1]
        if int(lengths.min()) < 0:
            raise InputError(f"the row pointer falls at token {int(lengths.argmin())}", "give ascending places")
        if int(lengths.max()) > self.scheme.d_sae:
            raise doubled_id(int(lengths.argmax()))

        def check(at: int, stop: int) -> None:
            self._prepare(given, at, stop)

        def count(at: int, stop: int) -> None:
            chunk = self._prepare(given, at, stop)
            if chunk is not None:
                self._add_chunk(chunk)
            self._done = stop

        n = len(indptr) - 1
        if self._stop(given.indptr, 0) < n or not self._attempt(count, given.indptr, 0, n):
            for work in (check, count):  # several chunks: none is counted before all are checked
                at = 0
                while at < n:
                    stop = self._stop(given.indptr, at)
                    at = stop if self._attempt(work, given.indptr, at, stop) else at
        if self._chunk < self._told:
            logger.warning("the GPU's memory is short: firings are counted %d at a time from here on", self._chunk)
            self._told = self._chunk

    def _stop(self, indptr: Any, at: int) -> int:
        """Return one past the last token of the chunk that begins at token `at`; it holds a token at least."""
        fits = int(self._engine.xp.searchsorted(indptr, int(indptr[at]) + self._chunk, side="right")) - 1
        return min(max(fits, at + 1), len(indptr) - 1)

    def _attempt(self, work: Callable[[int, int], None], indptr: Any, at: int, stop: int) -> bool:
        """Return whether the work on a chunk fitted in the device's memory; if not, chunks are smaller from now on."""
        try:
            work(at, stop)
        except self._engine.out_of_memory:
            pass  # its arrays live until this block ends
        else:
            return True
        self._engine.release()
        tried = min(self._chunk, int(indptr[stop]) - int(indptr[at]))
        if stop == at + 1 or tried <= MINIMUM:
            raise CapacityError(
                f"the GPU's memory does not hold a chunk of {tried} firings beside the counts",
                f"count fewer rows at once than {self.rows[1] - self.rows[0]}, or count on the CPU",
            )
        self._chunk = max(tried // 2, MINIMUM)
        return False

    def _prepare(self, given: _Firings, at: int, stop: int) -> _Chunk | None:
        """Return tokens with their ranks sorted, or None where nothing fires; raise `InputError` for wrong ids."""
        engine, xp, scheme = self._engine, self._engine.xp, self.scheme
        indptr = given.indptr[at : stop + 1]
        places = slice(int(indptr[0]), int(indptr[-1]))
        n, n_tokens = places.stop - places.start, stop - at
        if n == 0:
            return None
        lanes = min(max(8, 1 << (n // n_tokens // 2).bit_length() >> 1), 32, engine.threads)
        n_tiles = -(-self.rows[1] // self._tile)
        ids, levels, amounts = (
            self._narrow(array, places, dtype)
            for array, dtype in ((given.ids, xp.int32), (given.levels, xp.uint8), (given.amounts, xp.int64))
        )
        packed, ranks = xp.empty(n, xp.uint32), xp.empty(n, xp.uint32)
        in_order = xp.empty(n if scheme.sums else 0, xp.int64)
        bounds = xp.empty(n_tiles * n_tokens, xp.uint32)
        fired = xp.zeros(scheme.d_sae << scheme.bits, xp.uint32)
        faults = xp.asarray(np.full(2, _NOWHERE, np.uint32))
        bits = np.uint32(scheme.bits)
        self._stride(
            "relabel", n, ids, levels, self._rank, np.uint32(n), np.uint32(scheme.d_sae), bits, packed, fired, faults
        )
        self._stride(
            "sort_tokens", n_tokens * lanes, indptr, packed, amounts, np.uint32(n_tokens), bits, np.uint32(lanes),
            np.uint32(self._tile), np.uint32(n_tiles), ranks, in_order, bounds, faults,
        )  # fmt: skip
        outside, doubled = (int(fault) for fault in engine.asnumpy(faults))
        if outside != _NOWHERE:
            raise wrong_ids(int(ids.min()), int(ids.max()), scheme.d_sae)
        if doubled != _NOWHERE:
            raise doubled_id(at + doubled)
        return _Chunk(indptr, ranks, in_order, bounds, fired.astype(xp.int64), lanes)

    def _narrow(self, array: Any, places: slice, dtype: Any) -> Any:
        """Return a part of an array on the device in the kernels' type; ids that it cannot hold are refused."""
        xp = self._engine.xp
        if array is None:
            return xp.empty(0, dtype)
        some = xp.asarray(array[places])
        if dtype is xp.int32 and some.dtype != xp.int32:
            low, high = int(some.min()), int(some.max())
            if low < 0 or high >= self.scheme.d_sae:
                raise wrong_ids(low, high, self.scheme.d_sae)
        return xp.ascontiguousarray(some.astype(dtype, copy=False))

    def _stride(self, name: str, work: int, *args: Any) -> None:
        """Start a kernel whose threads stride over its work."""
        block = min(self._engine.threads, 256)
        self._engine.launch(name, min(-(-work // block), self._engine.blocks), block, 0, *args)

    def _add_chunk(self, chunk: _Chunk) -> None:
        """Add a chunk to the totals: all that takes memory comes before the first addition."""
        engine, xp, (low, high) = self._engine, self._engine.xp, self.rows
        bits, lanes = np.uint32(self.scheme.bits), np.uint32(chunk.lanes)
        bound, n_tokens = (np.uint32(low), np.uint32(high)), np.uint32(chunk.n_tokens)
        totals = (self._joint, self._sums, np.int64(pairs_of_rows(low, high)))
        if high > max(low, 1):
            heavy, first_entry, first_item, segment = self._plan(chunk)
            n_entries, n_items = int(first_entry[-1]), int(first_item[-1])
            item = xp.searchsorted(first_item, xp.arange(n_items, dtype=xp.int64), side="right") - 1 + low
            item_row, first_item = item.astype(xp.uint32), first_item.astype(xp.uint32)
            first_entry = first_entry.astype(xp.uint32)
            free = first_entry[:-1].copy()
            places, tokens = xp.empty(n_entries, xp.uint32), xp.empty(n_entries, xp.uint32)
            tile = min(self._tile, high - 1)
            shared = tile * ((4 << self.scheme.bits) + 16 * self.scheme.sums)
            if n_items:
                self._stride(
                    "invert", chunk.n_tokens * chunk.lanes, chunk.indptr, chunk.ranks, heavy, n_tokens, bits, lanes,
                    *bound, free, places, tokens,
                )  # fmt: skip
                engine.launch(
                    "count_rows", n_items, engine.threads, shared, item_row, first_item, first_entry, places, tokens,
                    chunk.bounds, chunk.ranks, chunk.amounts, n_tokens, bound[0], bits, lanes, np.uint32(self._tile),
                    np.uint32(segment), *totals,
                )  # fmt: skip
            if self._sparse:
                self._stride(
                    "count_pairs", chunk.n_tokens * chunk.lanes, chunk.indptr, chunk.ranks, chunk.amounts, heavy,
                    n_tokens, *bound, bits, lanes, *totals,
                )  # fmt: skip
        self._fired += chunk.fired

    def _plan(self, chunk: _Chunk) -> tuple[Any, Any, Any, int]:
        """Return which rows are counted in shared memory, their first places and work items, and a segment's size."""
        xp, (low, high) = self._engine.xp, self.rows
        ranks = xp.arange(low, high, dtype=xp.int64)
        firings = chunk.fired.reshape(self.scheme.d_sae, 1 << self.scheme.bits)[low:high].sum(1, dtype=xp.int64)
        heavy = (firings > 0) & (ranks > 0) & (firings * (chunk.mean / 2) >= ranks * self._sparse)
        entries = firings * heavy
        segment = self._segment or max(1024, int(8 * min(self._tile, high) / chunk.mean))
        items = (entries + (segment - 1)) // segment * ((ranks + (self._tile - 1)) // self._tile)
        nothing = xp.zeros(1, xp.int64)
        first_entry, first_item = (xp.concatenate([nothing, xp.cumsum(some)]) for some in (entries, items))
        return heavy.astype(xp.uint8), first_entry, first_item, segment

    def _add(self, other: Self) -> None:
        with self._engine.use():
            for name in ("_joint", "_sums"):
                ours, theirs = getattr(self, name).reshape(-1), getattr(other, name).reshape(-1)
                for first in range(0, len(ours), _EMITTED):  # in pieces: another device's pass through the host
                    piece = theirs[first : first + _EMITTED]
                    if other._device != self._device:
                        with other._engine.use():
                            piece = other._engine.asnumpy(piece)
                    ours[first : first + _EMITTED] += self._engine.xp.asarray(piece)

    def ranked(self, *, prune: int = 1) -> Iterator[Ranked]:
        """Yield the pairs seen on `prune` tokens or more, some rows at a time; see `Counter.ranked`.

        Raises
        ------
        CapacityError
            Not even one row's pairs fit on the device beside the totals.
        """
        low, (_, high) = self.rows[0], self.rows
        at_once = _EMITTED >> self.scheme.bits
        while low < high:
            stop = min(max(rows_with(low, at_once), low + 1), high)
            block = self._emit(low, stop, prune)
            if block is not None:
                yield block
                low = stop
            elif stop == low + 1:
                raise CapacityError(
                    f"the GPU's memory does not hold the pairs of rank {low} beside the counts",
                    f"count fewer rows at once than {high - self.rows[0]}",
                )
            else:
                self._engine.release()
                at_once = pairs_of_rows(low, stop) // 2

    def _emit(self, low: int, high: int, prune: int) -> Ranked | None:
        """Return the pairs of some rows, or None where that takes more memory than there is."""
        engine, xp, bits = self._engine, self._engine.xp, self.scheme.bits
        with engine.use():
            try:
                first, last = (pairs_of_rows(self.rows[0], row) for row in (low, high))
                counters = self._joint[first << bits : last << bits].reshape(-1, 1 << bits)
                seen = sum((counters[:, level] for level in range(1, 1 << bits)), counters[:, 0])
                kept = xp.flatnonzero(seen >= max(prune, 1))
                ranks = xp.arange(low, high + 1, dtype=xp.int64)
                starts = ranks * (ranks - 1) // 2 - low * (low - 1) // 2
                columns = kept - starts[xp.searchsorted(starts, kept, side="right") - 1]
                sums = self._sums[:, first:last].take(kept, axis=1) if self.scheme.sums else self._sums
                return Ranked(
                    low,
                    engine.asnumpy(xp.searchsorted(kept, starts)).astype(np.int64),
                    engine.asnumpy(columns.astype(xp.uint32)),
                    rule_counts(engine.asnumpy(counters[kept])),
                    engine.asnumpy(sums),
                )
            except engine.out_of_memory:
                return None
