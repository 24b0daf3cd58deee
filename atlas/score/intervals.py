"""How sure a figure is: Wilson's interval of a share, and the bootstrap over seeds of what varies with the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054
DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval.

    Attributes
    ----------
    value, low, high : float or None
        None where there is nothing to take a figure of.
    n : int
        What it is over: trials of a share, worlds of a mean or a ratio.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def wilson(hits: int, trials: int) -> Interval:
    """Return a share with Wilson's 95 % interval; it takes the trials for independent.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    References
    ----------
    Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    if trials == 0:
        return Interval(None, None, None, 0)
    p, z2 = hits / trials, Z * Z / trials
    half = Z * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials))
    middle = p + z2 / 2
    low, high = (middle - half) / (1 + z2), (middle + half) / (1 + z2)
    return Interval(p, min(p, max(0.0, low)), max(p, min(1.0, high)), trials)


def bootstrap_mean(values: Sequence[float]) -> Interval:
    """Return a mean over worlds with its 95 % percentile interval over resampled worlds."""
    return bootstrap_ratio(values, [1] * len(values))


def bootstrap_ratio(hits: Sequence[float], trials: Sequence[float]) -> Interval:
    """Return sum(hits) / sum(trials) over worlds, with its 95 % percentile interval over resampled worlds.

    Pairs of one world hang together, so worlds are resampled, not pairs. One world has no spread to
    resample: its interval is the value itself, and says nothing.

    Parameters
    ----------
    hits, trials
        Of each world.

    References
    ----------
    Efron 1979, doi:10.1214/aos/1176344552.
    """
    top, bottom = np.asarray(hits, np.float64), np.asarray(trials, np.float64)
    if bottom.sum() == 0:
        return Interval(None, None, None, len(top))
    drawn = np.random.default_rng(0).integers(0, len(top), (DRAWS, len(top)))
    sums = bottom[drawn].sum(1)
    ratios = top[drawn].sum(1)[sums > 0] / sums[sums > 0]
    low, high = np.percentile(ratios, [2.5, 97.5]).tolist()
    return Interval(float(top.sum() / bottom.sum()), low, high, len(top))
