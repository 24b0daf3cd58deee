"""How many peaks a feature's activations have: Hartigan's dip, the peaks of a smoothed density, and the class."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import diptest
import numpy as np
import numpy.typing as npt
from scipy.fft import dct, idct
from scipy.signal import find_peaks

Floats = npt.NDArray[np.float64]
Magnitude = Literal["set", "variable", "multi-peak", "unclear"]

CLASSES: tuple[Magnitude, ...] = ("set", "variable", "multi-peak", "unclear")
MIN_COUNT = 200
"""Positive activations below which a feature has no class."""
MAX_CV = 0.35
"""Coefficient of variation up to which one peak is a `set`."""
DIP_LEVEL = 0.01
"""p-value of the dip below which there is more than one peak."""
DIP_SAMPLE = 2**15
"""Most activations that the dip is taken of; its table of p-values ends at 72,000."""
BINS = 32
_CELLS = 1024
_HALVINGS = 12
_TAIL = 0.999
"""Quantile up to which the density is smoothed: a peak beyond it has too small a share to count."""
MIN_PROMINENCE = 0.2
MIN_NOISE = 1.5
MIN_SHARE = 0.05


@dataclass(frozen=True)
class Peaks:
    """The peaks of a smoothed density, from the smallest activation on.

    Attributes
    ----------
    at, prominence : float64, shape (n_peaks,)
        Where each is highest; how far it stands above the higher of its two valleys, over its height.
    edges : float64, shape (n_peaks + 1,)
        0, the valleys between neighbouring peaks, and the largest activation.
    share : float64, shape (n_peaks,)
        Share of the activations between its edges.
    """

    at: Floats
    prominence: Floats
    edges: Floats
    share: Floats

    def label(self, values: Floats) -> npt.NDArray[np.int64]:
        """Return the peak that each activation belongs to; one on a valley belongs to the lower."""
        return np.searchsorted(self.edges[1:-1], values, side="left")


def dip(values: Floats, *, rng: np.random.Generator) -> tuple[float, float]:
    """Return Hartigan's dip of a sample and its p-value.

    The dip is the largest distance between the sample's distribution function and the nearest one that has a
    single peak. Its p-value is read from a table for the uniform distribution, which of all one-peaked ones has
    the largest dips: for others it is too large, so that a small one can be believed. It says that there is more
    than one peak, and neither how many nor where.

    Parameters
    ----------
    values
        float64, shape (n,), ascending. Equal ones have dip 0 and p-value 1.
    rng
        Draws `DIP_SAMPLE` of them, without replacement, where there are more.

    References
    ----------
    Hartigan, Hartigan 1985, doi:10.1214/aos/1176346577.
    """
    if len(values) > DIP_SAMPLE:
        values = values[np.sort(rng.choice(len(values), DIP_SAMPLE, replace=False))]
    if not len(values) or values[0] == values[-1]:
        return 0.0, 1.0
    found, p = diptest.diptest(values, sort_x=False)
    return float(found), float(np.clip(p, 0.0, 1.0))


def bandwidth(values: Floats) -> float:
    """Return Silverman's bandwidth, .9 min(standard deviation, interquartile range / 1.34) n^(-1/5).

    References
    ----------
    Silverman 1986, Density Estimation for Statistics and Data Analysis, section 3.4.2.
    """
    deviation = float(values.std())
    spread = min(deviation, (quantile(values, 0.75) - quantile(values, 0.25)) / 1.34) or deviation
    return 0.9 * spread * math.pow(len(values), -0.2)


def quantile(values: Floats, share: float) -> float:
    """Return a quantile of ascending values: the one at place `share` (n - 1), rounded."""
    return float(values[round(share * (len(values) - 1))])


def find_density_peaks(values: Floats) -> Peaks:
    """Return the peaks of a Gaussian kernel density on [0, max], with at least one of them.

    The sample is counted into 1,024 cells up to its .999 quantile, and smoothed by a cosine transform, which
    reflects it at both ends: a density that is highest at 0 has its peak there. A local maximum is a peak where it
    stands above its higher valley by `MIN_PROMINENCE` of its height, and by `MIN_NOISE` in the square root of the
    activations that make it up, and where `MIN_SHARE` of the activations or more lie between its valleys; the one of
    the smallest share is given up first, and its activations go to its neighbours.

    Parameters
    ----------
    values
        float64, shape (n,), ascending, none below 0, n >= 1.
    """
    width, top = bandwidth(values), quantile(values, _TAIL)
    if width <= 1e-9 * max(top, 1e-300):  # one value, but for rounding
        middle = np.median(values)
        return Peaks(np.array([middle]), np.ones(1), np.array([0.0, values[-1]]), np.ones(1))
    end = top + 4 * width
    density = _smoothed(_transformed(values, top, end), width, end)
    places, prominence = _maxima(density)
    relative = prominence / density[places]
    held = density[places] * (2 * np.sqrt(np.pi) * width * _CELLS / end)  # activations that make up the height
    noise = np.sqrt(held) - np.sqrt(held * (1 - relative))
    wanted = (relative >= MIN_PROMINENCE) & (noise >= MIN_NOISE)
    places, relative = places[wanted], relative[wanted]
    while True:
        valleys = np.array([low + np.argmin(density[low:high]) for low, high in itertools.pairwise(places)])
        edges = np.concatenate([[0.0], (valleys + 0.5) * (end / _CELLS), [values[-1]]])
        bounds = np.concatenate([[0], np.searchsorted(values, edges[1:-1], side="right"), [len(values)]])
        share = np.diff(bounds) / len(values)
        if len(places) == 1 or share.min() >= MIN_SHARE:
            at = np.minimum((places + 0.5) * (end / _CELLS), values[-1])
            return Peaks(at, relative, edges, share)
        keep = np.arange(len(places)) != share.argmin()
        places, relative = places[keep], relative[keep]


def one_peaked_copy(values: Floats, *, rng: np.random.Generator) -> Floats:
    """Return as many values from the density of a sample when it is smoothed until it has one peak: ascending.

    The null of the classes on real features: all of a feature's skew, threshold and tail, and no second peak. The
    bandwidth is the smallest at which the kernel density has one local maximum.

    References
    ----------
    Silverman 1981, doi:10.1111/j.2517-6161.1981.tb01155.x (the critical bandwidth).
    """
    width, top = bandwidth(values), quantile(values, _TAIL)
    if width <= 1e-9 * max(top, 1e-300):
        return values
    end = top + 4 * width
    transformed = _transformed(values, top, end)
    low, high = 0.1 * width, end
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        one = len(_maxima(_smoothed(transformed, middle, end))[0]) == 1
        low, high = (low, middle) if one else (middle, high)
    drawn = rng.choice(values, len(values)) + high * rng.standard_normal(len(values))
    return np.sort(np.abs(drawn))


def _transformed(values: Floats, top: float, end: float) -> Floats:
    """Return the cosine transform of the counts of the values up to `top` in cells on [0, end]."""
    inside = values[values <= top]
    cells = np.minimum((inside * (_CELLS / end)).astype(np.int64), _CELLS - 1)
    return np.asarray(dct(np.bincount(cells, minlength=_CELLS).astype(np.float64)), np.float64)


def _smoothed(transformed: Floats, width: float, end: float) -> Floats:
    """Return the counts of the cells, smoothed by a Gaussian and reflected at both ends."""
    waves = np.exp(-0.5 * (np.arange(_CELLS) * np.pi * width / end) ** 2)
    return np.maximum(idct(transformed * waves), 0.0)


def _maxima(density: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the cells of the local maxima, ends included, and how far each stands above its higher valley."""
    padded = np.concatenate([[0.0], density, [0.0]])
    places, found = find_peaks(padded, prominence=1e-9 * padded.max())
    return places - 1, found["prominences"]


def magnitude_class(cv: float, dip_p: float, n_peaks: int) -> Magnitude:
    """Return the class of a feature's activations.

    `set`: one peak by both tests (dip p >= .01, one peak of the density), and cv <= .35; `variable`: the same with
    a larger cv; `multi-peak`: more than one by both; `unclear`: the two disagree.
    """
    if dip_p < DIP_LEVEL and n_peaks > 1:
        return "multi-peak"
    if dip_p < DIP_LEVEL or n_peaks > 1:
        return "unclear"
    return "set" if cv <= MAX_CV else "variable"


def histogram(values: Floats) -> tuple[list[int], float]:
    """Return counts in 32 bins of one width from 0 on, and where the last one ends.

    That is the .995 quantile; what lies beyond is counted in the last bin.

    Parameters
    ----------
    values
        float64, shape (n,), ascending, none below 0, n >= 1.
    """
    high = quantile(values, 0.995) or 1.0
    bins = np.minimum((values * (BINS / high)).astype(np.int64), BINS - 1)
    return np.bincount(bins, minlength=BINS).tolist(), high
