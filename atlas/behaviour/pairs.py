"""Pairs of features on the held-out half: joint firings, and whether the two activations trade off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from atlas.association import benjamini_hochberg
from atlas.behaviour.held_out import Floats, HeldOut, Integers
from atlas.kept import Arrays, Keep, computed
from atlas.marks import add, clear_all, has, hits, no_marks, sorted_order
from atlas.tracking import Track, untracked

MIN_JOINT = 20
"""Joint firings from which the correlation of two activations is looked at."""
MAX_JOINT = 512
"""Joint firings that it is made of at most: of more, every second, third and so on."""


@dataclass(frozen=True)
class PairStrengths:
    """What two features do on the tokens where both fire.

    Attributes
    ----------
    keys : int64, shape (n_pairs,)
        Lower index times d plus higher index, ascending.
    joint_count : int64, shape (n_pairs,)
        Tokens of the half on which both fire.
    correlation : float64, shape (n_pairs,)
        Rank correlation of the two activations within items; NaN where there is none.
    trades_off, adds_up : bool, shape (n_pairs,)
        Whether it is significantly below, or above 0.
    """

    d: int
    keys: Integers
    joint_count: Integers
    correlation: Floats
    trades_off: npt.NDArray[np.bool_]
    adds_up: npt.NDArray[np.bool_]

    def places(self, members: npt.NDArray[np.integer]) -> Integers:
        """Return where each pair i < j of a set, row by row, is in the arrays."""
        i, j = np.triu_indices(len(members), 1)
        low, high = np.minimum(members[i], members[j]), np.maximum(members[i], members[j])
        found: Integers = np.searchsorted(self.keys, low.astype(np.int64) * self.d + high)
        return found


def pair_strengths(
    half: HeldOut,
    sets: Sequence[npt.NDArray[np.integer]],
    *,
    q: float = 0.05,
    track: Track = untracked,
    keep: Keep = computed,
) -> PairStrengths:
    """Return what every pair of every set does; a pair that is in several sets is looked at once.

    The sizes of the two activations on the tokens where both fire are ranked, and the ranks' means of each item taken
    off: T = sum over items of the products, r = T / sqrt(S_a S_b). With the ranks permuted within items T has mean 0
    and variance sum_v S_av S_bv / (n_v - 1); its tails are normal, each a family of its own. Two activations that
    share a token's budget trade off; so do two that one direction was split into. It says nothing of how often they
    fire together, nor, of a signed SAE, with which signs, which are a convention.

    Parameters
    ----------
    q
        False-discovery rate over the distinct pairs with 20 joint firings or more.
    keep
        Keeps what was measured of the pairs, as `pairs`.
    """
    d = half.firings.d_sae
    keys = _distinct(sets, d)
    measured = keep("pairs", lambda: _measured(half, keys, track))
    z, tested = measured["z"], np.isfinite(measured["z"])
    lower, upper = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
    lower[tested] = benjamini_hochberg(ndtr(z[tested])) <= q
    upper[tested] = benjamini_hochberg(ndtr(-z[tested])) <= q
    return PairStrengths(d, keys, measured["joint"], measured["correlation"], lower, upper)


def _measured(half: HeldOut, keys: Integers, track: Track) -> Arrays:
    """Return joint firings, r and z of each pair, in one pass over the commoner features."""
    d = half.firings.d_sae
    low, high = keys // d, keys % d
    swap = half.firing_count[low] < half.firing_count[high]
    common, rare = np.where(swap, high, low), np.where(swap, low, high)
    order = np.lexsort((rare, common))
    joint = np.zeros(len(keys), np.int64)
    correlation, z = np.full(len(keys), np.nan), np.full(len(keys), np.nan)
    stored = half.firings
    fixed = (stored.indptr, np.asarray(stored.rows), half.activations, half.marks, half.item)
    place, marks = np.zeros(stored.n_tokens, np.int32), no_marks(stored.n_tokens)
    cuts = np.flatnonzero(np.diff(common[order], prepend=-1, append=-1))
    with track("behaviour: pairs", total=len(keys), unit="pairs") as advance:
        for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            some = order[start:end]
            own = _of_feature(*fixed, common[some[0]], rare[some], place, marks, MIN_JOINT)
            joint[some], correlation[some], z[some] = own
            advance(end - start)
    return {"joint": joint, "correlation": correlation, "z": z}


def _distinct(sets: Sequence[npt.NDArray[np.integer]], d: int) -> Integers:
    found = [np.zeros(0, np.int64)]
    for members in sets:
        i, j = np.triu_indices(len(members), 1)
        low, high = np.minimum(members[i], members[j]), np.maximum(members[i], members[j])
        found.append(np.unique(low.astype(np.int64) * d + high))
    return np.unique(np.concatenate(found))


@numba.njit(cache=True, nogil=True)
def _of_feature(indptr, rows, activations, on, item, feature, others, place, marks, least):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return joint firings, r and z of a feature with others. `marks` has none, before and after."""
    joint = np.zeros(len(others), np.int64)
    correlation, z = np.full(len(others), np.nan), np.full(len(others), np.nan)
    start, most = indptr[feature], 0
    for e in range(start, indptr[feature + 1]):
        if has(on, rows[e]):
            add(marks, rows[e])
            place[rows[e]] = e - start
    for other in others:
        most = max(most, indptr[other + 1] - indptr[other])
    found = np.empty(most + 1, np.int64)
    for number, other in enumerate(others):
        first = indptr[other]
        n = hits(marks, rows[first : indptr[other + 1]], found)
        joint[number] = n
        if n >= least:
            step = (n + MAX_JOINT - 1) // MAX_JOINT
            size = (n + step - 1) // step
            a, b, v = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.uint32)
            for at in range(size):
                e = first + found[at * step]
                a[at], b[at] = abs(activations[e]), abs(activations[start + place[rows[e]]])
                v[at] = item[rows[e]]
            correlation[number], z[number] = _correlate(_ranks(a), _ranks(b), v)
    clear_all(marks, rows[start : indptr[feature + 1]])
    return joint, correlation, z


@numba.njit(cache=True, nogil=True)
def _correlate(a, b, v):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return r and z of two columns within groups; NaN where nothing varies within any."""
    order, n = sorted_order(v), len(v)
    total = varied_a = varied_b = variance = 0.0
    low = 0
    while low < n:
        high = low
        sum_a = sum_b = 0.0
        while high < n and v[order[high]] == v[order[low]]:
            sum_a += a[order[high]]
            sum_b += b[order[high]]
            high += 1
        size = high - low
        if size > 1:
            s_a = s_b = s_ab = 0.0
            for k in order[low:high]:
                one, two = a[k] - sum_a / size, b[k] - sum_b / size
                s_a, s_b, s_ab = s_a + one * one, s_b + two * two, s_ab + one * two
            total += s_ab
            varied_a += s_a
            varied_b += s_b
            variance += s_a * s_b / (size - 1)
        low = high
    if variance <= 0:
        return np.nan, np.nan
    return total / np.sqrt(varied_a * varied_b), total / np.sqrt(variance)


@numba.njit(cache=True, nogil=True)
def _ranks(values):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the ranks of sizes, float32, equal ones sharing the mean of theirs."""
    order = sorted_order(values.view(np.uint32))  # of numbers that are not negative the bits have their order
    ranks, low = np.empty(len(values)), 0
    while low < len(values):
        high = low
        while high < len(values) and values[order[high]] == values[order[low]]:
            high += 1
        for k in order[low:high]:
            ranks[k] = (low + high - 1) / 2
        low = high
    return ranks
