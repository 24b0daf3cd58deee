"""Sets of tokens as bits: 1.25 MB for ten million, which stays in a cache where four bytes a token do not."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
ONE, LOW = np.uint64(1), np.uint64(63)
_WORD = np.uint64(6)
_FIVES, _THREES, _FIFTEENS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_ONES = np.uint64(0x0101010101010101)
_2, _4, _56 = np.uint64(2), np.uint64(4), np.uint64(56)
FEW = 48
"""Keys up to which a sort by insertion is the faster one."""


def no_marks(n_tokens: int) -> Bits:
    """Return the empty set: uint64, shape (n_tokens // 64 + 1,)."""
    return np.zeros(n_tokens // 64 + 1, np.uint64)


def marks_of(on: npt.NDArray[np.bool_]) -> Bits:
    """Return the set of the tokens where `on` is true."""
    packed = np.zeros(8 * (len(on) // 64 + 1), np.uint8)
    packed[: -(-len(on) // 8)] = np.packbits(on, bitorder="little")
    return packed.view("<u8").astype(np.uint64)


@numba.njit(cache=True, nogil=True, inline="always")
def has(bits, token):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return 1 where a token (uint32 or uint64) is in the set, 0 where not: int64."""
    at = np.uint64(token)
    return np.int64((bits[np.int64(at >> _WORD)] >> (at & LOW)) & ONE)


@numba.njit(cache=True, nogil=True, inline="always")
def add(bits, token):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Put a token into the set."""
    at = np.uint64(token)
    bits[np.int64(at >> _WORD)] |= ONE << (at & LOW)


@numba.njit(cache=True, nogil=True)
def clear_all(bits, tokens):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Empty the words of the set that hold some tokens."""
    for token in tokens:
        bits[np.int64(np.uint64(token) >> _WORD)] = np.uint64(0)


@numba.njit(cache=True, nogil=True)
def hits(bits, tokens, found):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the places of the tokens that are in the set to `found`, and return how many: no branch to guess."""
    n = 0
    for e in range(len(tokens)):
        found[n] = e
        n += has(bits, tokens[e])
    return n


@numba.njit(cache=True, nogil=True, inline="always")
def population(word):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the number of bits of a word: int64."""
    word = word - ((word >> ONE) & _FIVES)
    word = (word & _THREES) + ((word >> _2) & _THREES)
    word = (word + (word >> _4)) & _FIFTEENS
    return np.int64((word * _ONES) >> _56)


@numba.njit(cache=True, nogil=True)
def listed(bits):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the tokens of the set, int64, ascending, and how many are before each word, int64."""
    before, n = np.empty(len(bits), np.int64), 0
    for w in range(len(bits)):
        before[w] = n
        n += population(bits[w])
    tokens, n = np.empty(n, np.int64), 0
    for w in range(len(bits)):
        word = bits[w]
        while word:
            less = word - ONE
            tokens[n] = 64 * w + population(word ^ less) - 1
            word &= less
            n += 1
    return tokens, before


@numba.njit(cache=True, nogil=True, inline="always")
def place_of(bits, before, token):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the place of a token of the set in what `listed` gives."""
    at = np.uint64(token)
    w = np.int64(at >> _WORD)
    return before[w] + population(bits[w] & ((ONE << (at & LOW)) - ONE))


@numba.njit(cache=True, nogil=True)
def sorted_order(keys):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the stable order of keys (uint32): by insertion if few, else digit by digit, eight bits each."""
    n = len(keys)
    order = np.arange(n)
    if n <= FEW:
        for k in range(1, n):
            key, at = keys[k], k
            while at > 0 and keys[order[at - 1]] > key:
                order[at] = order[at - 1]
                at -= 1
            order[at] = k
        return order
    other, count = np.empty(n, np.int64), np.empty(257, np.int64)
    for shift in range(0, 32, 8):
        count[:] = 0
        for k in range(n):
            count[((keys[k] >> np.uint32(shift)) & np.uint32(255)) + 1] += 1
        if count.max() == n:
            continue
        for digit in range(256):
            count[digit + 1] += count[digit]
        for place in order:
            digit = (keys[place] >> np.uint32(shift)) & np.uint32(255)
            other[count[digit]] = place
            count[digit] += 1
        order, other = other, order
    return order
