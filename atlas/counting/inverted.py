"""Inverted index of a chunk: for each rank its tokens, and each token's ranks in ascending order.

Phases, with n the firings of the chunk and T the threads; each is parallel, and the result is the same
for any T:

1. `_tally`: check ids; firings of each rank in each of T stretches of tokens, and of each token in each
   of T stretches of ranks: O(n)
2. `_list_tokens`: write each firing's token into the list of its rank: n scattered writes
3. `_sort_tokens`: go through the lists from the hottest rank on and write the rank into its token: n
   scattered writes, and no sorting, since ranks arrive in order
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from atlas.counting.counter import check_rows, doubled_id, wrong_ids
from atlas.counting.scheme import Scheme
from atlas.errors import InputError

AHEAD = 8
"""Tokens between the one whose ranks are walked and the one whose ranks are fetched."""
CACHE_LINE = 64
"""Bytes that are fetched at once."""


@dataclass(frozen=True)
class Inverted:
    """The firings of a chunk, by rank and by token.

    Attributes
    ----------
    starts : int64, shape (d + 1,)
        The tokens of rank r are entries `starts[r]:starts[r + 1]` of `begins` and `hotter`.
    begins, hotter : uint32, shape (nnz,)
        For each token of a rank, tokens ascending: where its ranks begin in `ranks`, and how many of them are
        hotter. The hotter ones are `ranks[begins[k]:begins[k] + hotter[k]]`.
    ranks : uint16 or uint32, shape (nnz,)
        `level << shift | rank` of each firing, ranks ascending within a token.
    levels : uint8, shape (nnz,) or (0,)
        Level of each firing in the order of `begins`, where there are further rules.
    amounts : int32, shape (2, nnz) or (2, 0)
        Activation of each firing in the order of `begins`, and of `ranks`, where they are summed.
    shift : int
        Bits of a rank.
    work : int64, shape (d,)
        Increments that each row asks for: hotter features on its tokens.
    """

    starts: npt.NDArray[np.int64]
    begins: npt.NDArray[np.uint32]
    hotter: npt.NDArray[np.uint32]
    ranks: npt.NDArray[np.unsignedinteger[Any]]
    levels: npt.NDArray[np.uint8]
    amounts: npt.NDArray[np.int32]
    shift: int
    work: npt.NDArray[np.int64]


def invert(
    scheme: Scheme,
    indptr: npt.NDArray[np.int64],
    ids: npt.NDArray[Any],
    levels: npt.NDArray[np.uint8] | None,
    amounts: npt.NDArray[np.integer] | None,
    *,
    overwrite: bool = False,
) -> Inverted:
    """Return the inverted index of a chunk.

    Parameters
    ----------
    indptr, ids, levels, amounts
        As `Counter.update` takes them.
    overwrite
        Whether `ids`, which must then be uint32, may be overwritten by the ranks.

    Raises
    ------
    InputError
        An id is out of range, or twice in one token; an amount does not fit in 31 bits.
    """
    d, nnz, threads = scheme.d_sae, len(ids), numba.get_num_threads()
    if nnz >= 2**32:
        raise InputError(f"{nnz} firings at once, at most {2**32 - 1}", "count the tokens in parts, and merge")
    indptr = np.ascontiguousarray(indptr, np.int64)
    level = np.zeros(0, np.uint8) if levels is None else np.ascontiguousarray(levels, np.uint8)
    amount = np.zeros(0, np.int32) if amounts is None else as_amounts(amounts)
    check_rows(indptr, levels, scheme.bits)
    stretches = np.searchsorted(indptr, np.linspace(0, nnz, threads + 1)).astype(np.int64)
    stretches[[0, -1]] = 0, len(indptr) - 1
    if int(ids.min()) < 0 or int(ids.max()) >= d:
        raise wrong_ids(int(ids.min()), int(ids.max()), d)
    rank = scheme.rank
    places = _tally(stretches, indptr, ids, rank, d)
    starts = np.zeros(d + 1, np.int64)
    np.cumsum(places.sum(0), out=starts[1:])
    np.cumsum(places[:-1], axis=0, out=places[1:])  # where each stretch's part of a rank's list begins
    places[0] = 0
    places += starts[:-1]
    tokens, by_rank = np.empty(nnz, np.uint32), np.empty(len(level), np.uint8)
    amounts_both = np.empty((2, len(amount)), np.int32)
    _list_tokens(stretches, indptr, ids, rank, level, amount, places, tokens, by_rank, amounts_both[0])
    ranges = np.searchsorted(starts, np.linspace(0, nnz, threads + 1)).astype(np.int64)
    ranges[[0, -1]] = 0, d
    shift = max(d - 1, 1).bit_length()
    kind = np.uint16 if shift + scheme.bits <= 16 else np.uint32
    ranks: npt.NDArray[Any] = ids if overwrite else np.empty(nnz, kind)
    free = _places_in_tokens(ranges, starts, tokens, indptr)
    hotter, work = np.empty(nnz, np.uint32), np.zeros(d, np.int64)
    doubled = _sort_tokens(ranges, starts, tokens, hotter, by_rank, shift, free, indptr, ranks, amounts_both, work)
    if doubled.min() < len(indptr):
        raise doubled_id(int(doubled.min()))
    return Inverted(starts, tokens, hotter, ranks, by_rank, amounts_both, shift, work)


def as_amounts(amounts: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Return amounts as int32; `InputError` where one is too large for that."""
    if len(amounts) and (int(amounts.max()) >= 2**31 or int(amounts.min()) < -(2**31)):
        raise InputError("an activation beyond 2097151 does not fit the fixed point of sums", "count without sums")
    return np.ascontiguousarray(amounts, np.int32)


@numba.njit(cache=True, parallel=True, nogil=True)
def _tally(stretches, indptr, ids, rank, d):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the firings of each rank in each stretch of tokens: int64, shape (n_stretches, d)."""
    n = len(stretches) - 1
    counts = np.zeros((n, d), np.int64)
    for s in numba.prange(n):
        for k in range(indptr[stretches[s]], indptr[stretches[s + 1]]):
            counts[s, rank[ids[k]]] += 1
    return counts


@numba.njit(cache=True, parallel=True, nogil=True)
def _list_tokens(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    stretches, indptr, ids, rank, level, amount, places, tokens, by_rank, amounts
):
    """Write each firing's token, level and amount into its rank's list; `places` is where each list goes on."""
    for s in numba.prange(len(stretches) - 1):
        free = places[s]
        for t in range(stretches[s], stretches[s + 1]):
            for k in range(indptr[t], indptr[t + 1]):
                r = rank[ids[k]]
                at = free[r]
                free[r] = at + 1
                tokens[at] = t
                if len(level):
                    by_rank[at] = level[k]
                if len(amount):
                    amounts[at] = amount[k]


@numba.njit(cache=True, parallel=True, nogil=True)
def _places_in_tokens(ranges, starts, tokens, indptr):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return where each range of ranks begins within each token: int64, shape (n_ranges, n_tokens)."""
    n, n_tokens = len(ranges) - 1, len(indptr) - 1
    free = np.zeros((n, n_tokens), np.int64)
    for g in numba.prange(n - 1):
        for at in range(starts[ranges[g]], starts[ranges[g + 1]]):
            free[g + 1, tokens[at]] += 1
    for t in range(n_tokens):
        free[0, t] = indptr[t]
        for g in range(1, n):
            free[g, t] += free[g - 1, t]
    return free


@numba.njit(cache=True, parallel=True, nogil=True)
def _sort_tokens(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    ranges, starts, tokens, hotter, by_rank, shift, free, indptr, ranks, amounts, work
):
    """Write each rank into its tokens; return for each range the first token with a doubled id, or one too many.

    `tokens` becomes where each token begins.
    """
    n = len(ranges) - 1
    doubled = np.full(n, free.shape[1] + 1, np.int64)
    for g in numba.prange(n):
        slots = free[g]
        for r in range(ranges[g], ranges[g + 1]):
            before = np.int64(-1)
            total = np.int64(0)
            for at in range(starts[r], starts[r + 1]):
                t = np.int64(tokens[at])
                if t == before:
                    doubled[g] = min(doubled[g], t)
                before = t
                k = slots[t]
                slots[t] = k + 1
                hotter[at] = k - indptr[t]
                total += k - indptr[t]
                tokens[at] = indptr[t]
                value = np.int64(r)
                if len(by_rank):
                    value |= np.int64(by_rank[at]) << shift
                ranks[k] = value
                if amounts.shape[1]:
                    amounts[1, k] = amounts[0, at]
            work[r] = total
    return doubled


def balanced(work: npt.NDArray[np.int64], low: int, high: int, parts: int) -> npt.NDArray[np.int64]:
    """Return bounds of ranges of the rows `low` to `high - 1` with about equal work: int64, shape (parts + 1,)."""
    done = np.concatenate([[0], np.cumsum(work[low:high])])
    bounds = low + np.searchsorted(done, np.linspace(0, done[-1], parts + 1)).astype(np.int64)
    bounds[[0, -1]] = low, high
    return bounds


@intrinsic
def prefetch(typingctx, array, index):  # type: ignore[no-untyped-def]
    """Ask the processor for the cache line of `array[index]`, which need not exist; changes nothing."""
    signature = types.void(array, types.int64)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, word(0), word(3), word(1)])  # to read, keep near, data
        return context.get_dummy_value()

    return signature, generate
