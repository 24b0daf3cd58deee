"""The largest of many values, without putting all of them in order."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

FEW = 64
"""Places up to which they are held in order while the values are gone through once."""


def largest(values: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.int64]:
    """Return the places of the k largest values, the largest first, of equal ones the first.

    What `argsort(-values, kind="stable")[:k]` gives, in O(n + k log k).

    Parameters
    ----------
    values
        Shape (n,).
    k
        1 or more.

    Returns
    -------
    int64, shape (min(k, n),)
    """
    if len(values) <= k:
        return np.argsort(-values, kind="stable")
    if k <= FEW:
        found: npt.NDArray[np.int64] = _few(values, k)
        return found
    least = np.partition(values, len(values) - k)[len(values) - k]
    above = np.flatnonzero(values > least)
    above = above[np.argsort(-values[above], kind="stable")]
    return np.concatenate([above, np.flatnonzero(values == least)[: k - len(above)]])


@numba.njit(cache=True, nogil=True)
def _few(values, k):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the places of the k largest of more values: what is no larger than the last of k comes after it."""
    best, places = np.empty(k), np.empty(k, np.int64)
    for place in range(len(values)):
        value, at = values[place], min(place, k)
        if at == k:
            if not value > best[k - 1]:
                continue
            at = k - 1
        while at > 0 and best[at - 1] < value:
            best[at], places[at] = best[at - 1], places[at - 1]
            at -= 1
        best[at], places[at] = value, place
    return places
