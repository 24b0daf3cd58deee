"""The largest of many values, without putting all of them in order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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
    least = np.partition(values, len(values) - k)[len(values) - k]
    above = np.flatnonzero(values > least)
    above = above[np.argsort(-values[above], kind="stable")]
    return np.concatenate([above, np.flatnonzero(values == least)[: k - len(above)]])
