"""Interference: whether a feature's activation is larger or smaller where its neighbour fires, too."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from atlas.association import benjamini_hochberg
from atlas.behaviour.held_out import Floats, Integers
from atlas.marks import add, clear_all, hits, no_marks
from atlas.tracking import Track, untracked


@dataclass(frozen=True)
class Interference:
    """Of each direction of each pair: the shift of the first when the second is on.

    Attributes
    ----------
    shift : float64, shape (n_pairs, 2)
        Of a by b, and of b by a, in standard deviations of the one that is shifted; NaN where no item has both kinds
        of tokens.
    q : float64, shape (n_pairs, 2)
        Adjusted over all that are not NaN, two-sided.
    """

    shift: Floats
    q: Floats


def interference(
    indptr: Integers,
    rows: npt.NDArray[np.uint32],
    activations: npt.NDArray[np.float32],
    item: npt.NDArray[np.int32],
    pairs: Integers,
    *,
    shuffle: int | None = None,
    track: Track = untracked,
) -> Interference:
    """Return how far each feature of a pair is shifted where the other fires, within vocabulary items.

    On the tokens v of each item on which i fires, n of them with j and m without: T = sum_v n m / (n + m) (mean with -
    mean without), the shift is T over sum_v n m / (n + m), over the standard deviation of i's activations, all by
    size: of a signed SAE, too, a shift up is a stronger firing. If j's
    firing is permuted over i's tokens of an item, T has mean 0 and variance sum_v n m / (n + m) s_v^2; its tails are
    normal. Says that the two are not independent in strength, not which of them acts on the other.

    Parameters
    ----------
    indptr, rows, activations
        The index by feature.
    item
        Item of each token.
    pairs
        int64, shape (n_pairs, 2).
    shuffle
        Where given, the seed by which j's firing is permuted so before: what is claimed then is false.
    """
    directed = np.concatenate([pairs, pairs[:, ::-1]])
    order = np.argsort(directed[:, 0], kind="stable")
    cuts = np.flatnonzero(np.diff(directed[order, 0], prepend=-1, append=-1))
    found = np.full((len(directed), 2), np.nan)
    place, marks = np.zeros(len(item), np.int32), no_marks(len(item))
    with track("behaviour: interference", total=len(directed), unit="pairs") as advance:
        for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            some = directed[order[start:end]]
            i = int(some[0, 0])
            rng = np.random.default_rng([shuffle or 0, i])
            known = (indptr, rows, activations, item, i, some[:, 1], place, marks)
            found[order[start:end]] = _shifts(*known, rng, shuffle is not None)
            advance(end - start)
    shift, z = (found[:, column].reshape(2, -1).T for column in (0, 1))
    q, tested = np.full(z.shape, np.nan), np.isfinite(z)
    q[tested] = benjamini_hochberg(2 * ndtr(-np.abs(z[tested])))
    return Interference(shift, q)


@numba.njit(cache=True, nogil=True)
def _shifts(indptr, rows, activations, item, i, others, place, marks, rng, permuted):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return shift and z of feature i where each of the others fires; `marks` has none, before and after.

    The tokens of i are put in order of item once; of every other feature only its own tokens are gone through.
    """
    own = rows[indptr[i] : indptr[i + 1]]
    order = np.argsort(item[own], kind="mergesort")
    value = np.abs(activations[indptr[i] : indptr[i + 1]].astype(np.float64))[order]
    spread = value.std()
    group, first, mean, varied = _grouped(item[own][order], value)
    most = 0
    for k in range(len(own)):
        place[own[order[k]]] = k
        add(marks, own[k])
    for j in others:
        most = max(most, indptr[j + 1] - indptr[j])
    n_groups, seen = len(mean), np.empty(most + 1, np.int64)
    found, swapped = np.full((len(others), 2), np.nan), np.empty(len(own), np.int64)
    n_on, summed, touched = np.zeros(n_groups, np.int64), np.zeros(n_groups), np.empty(n_groups, np.int64)
    for number, j in enumerate(others):
        n_touched, tokens = 0, rows[indptr[j] : indptr[j + 1]]
        for at in seen[: hits(marks, tokens, seen)]:
            k = place[tokens[at]]
            g = group[k]
            if n_on[g] == 0:
                touched[n_touched] = g
                n_touched += 1
            n_on[g] += 1
            summed[g] += value[k]
        total = weight = variance = 0.0
        for g in touched[:n_touched]:
            low, size, n = first[g], first[g + 1] - first[g], n_on[g]
            if permuted:
                summed[g] = _drawn(value[low : low + size], n, swapped, rng)
            if n < size:
                share = n * (size - n) / size
                total += summed[g] - n * mean[g]
                weight += share
                variance += share * varied[g] / (size - 1)
            n_on[g], summed[g] = 0, 0.0
        if variance > 1e-12 and spread > 0:
            found[number, 0] = total / weight / spread
            found[number, 1] = total / np.sqrt(variance)
    clear_all(marks, own)
    return found


@numba.njit(cache=True, nogil=True)
def _drawn(value, n, swapped, rng):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the sum of n values drawn without replacement; they are put back in their order."""
    total = 0.0
    for k in range(n):
        other = k + int(rng.random() * (len(value) - k))
        value[k], value[other] = value[other], value[k]
        total += value[k]
        swapped[k] = other
    for k in range(n - 1, -1, -1):
        other = swapped[k]
        value[k], value[other] = value[other], value[k]
    return total


@numba.njit(cache=True, nogil=True)
def _grouped(item, value):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return of tokens in order of item the number of each one's group; of groups the start, mean and squares."""
    group, first = np.empty(len(item), np.int64), np.empty(len(item) + 1, np.int64)
    n = 0
    for k in range(len(item)):
        if k == 0 or item[k] != item[k - 1]:
            first[n] = k
            n += 1
        group[k] = n - 1
    first[n] = len(item)
    mean, varied = np.empty(n), np.empty(n)
    for g in range(n):
        some = value[first[g] : first[g + 1]]
        mean[g] = some.mean()
        varied[g] = ((some - mean[g]) ** 2).sum()
    return group, first, mean, varied
