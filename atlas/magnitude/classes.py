"""The class of each feature's activations, one feature after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.association.fdr import benjamini_hochberg
from atlas.firings import Firings
from atlas.magnitude import modality
from atlas.magnitude.modality import Floats, Peaks
from atlas.tracking import Track, untracked

Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[Any]


@dataclass
class Classified:
    """What was found of each feature; of those with too few activations only what is not of their peaks.

    Attributes
    ----------
    threshold : float64, shape (d,)
        Taken off the activations.
    count : int64, shape (d,)
        Positive activations looked at.
    mean, cv : float64, shape (d,)
        Of these, above the threshold; NaN without any.
    dip, dip_p : float64; n_peaks : int64; magnitude : str; shape (d,)
        NaN, 0 and "" where there are fewer than 200.
    histogram, high : list, shape (d,)
        Counts by bin and where the last one ends; None without any.
    peaks : dict of feature to Peaks
        Of features with two or more: multi-peak ones, and those of the unclear that the dip says nothing of.
    control : str, shape (d,)
        The class of a copy that has one peak.
    again : str, shape (n_parts, d), or None
        The class without each part of the documents; "" where fewer than 200 are left.
    """

    threshold: Floats
    count: Integers
    mean: Floats
    cv: Floats
    dip: Floats
    dip_p: Floats
    n_peaks: Integers
    magnitude: Texts
    histogram: list[list[int] | None]
    high: list[float | None]
    control: Texts
    again: Texts | None
    peaks: dict[int, Peaks] = field(default_factory=dict)

    @classmethod
    def empty(cls, threshold: Floats, n_parts: int | None) -> Classified:
        """Return it before any feature was looked at."""
        d = len(threshold)
        mean, cv, dip, dip_p = np.full((4, d), np.nan)
        count, n_peaks = np.zeros((2, d), np.int64)
        magnitude, control = np.full((2, d), "", "<U10")
        again = None if n_parts is None else np.full((n_parts, d), "", "<U10")
        nothing: tuple[list[Any], list[Any]] = ([None] * d, [None] * d)
        return cls(threshold, count, mean, cv, dip, dip_p, n_peaks, magnitude, *nothing, control, again)

    @property
    def classified(self) -> Integers:
        """The features that have a class, ascending."""
        return np.flatnonzero(self.magnitude != "")

    def positive(self, firings: Firings, feature: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return rows and values above the threshold of a feature's positive activations, by row."""
        rows, activations = firings.contexts_of(feature)
        some = activations > 0
        values = activations[some].astype(np.float64) - self.threshold[feature]
        return rows[some].astype(np.int64), np.maximum(values, 0.0)

    def columns(self) -> dict[str, Any]:
        """Return the columns of `magnitude` that are of activations alone."""
        d, known = len(self.count), self.classified
        dip_q = np.full(d, np.nan)
        dip_q[known] = benjamini_hochberg(self.dip_p[known])
        return {
            "index": np.arange(d),
            "magnitude": [name or None for name in self.magnitude.tolist()],
            "positive_count": self.count,
            "activation_threshold": self.threshold,
            "magnitude_mean": _optional(self.mean),
            "magnitude_cv": _optional(self.cv),
            "dip": _optional(self.dip),
            "dip_p": _optional(self.dip_p),
            "dip_q": _optional(dip_q),
            "n_peaks": [n or None for n in self.n_peaks.tolist()],
            "histogram": self.histogram,
            "histogram_high": self.high,
        }

    def kept(self) -> float | None:
        """Return how often a feature has its class again without a part of the documents, of those that have any."""
        if self.again is None:
            return None
        there = (self.again != "") & (self.magnitude != "")
        return float((self.again == self.magnitude)[there].mean()) if there.any() else None


def classify(
    firings: Firings, threshold: Floats, *, parts: Integers | None, seed: int, track: Track = untracked
) -> Classified:
    """Return the class of each feature, its histogram and its peaks, holding the activations of one at a time.

    Parameters
    ----------
    threshold
        What is taken off each feature's activations, float64, shape (d_sae,).
    parts
        Part of each document, or None; the classes are found again without each part.
    seed
        Seed of the activations that the dip is taken of, where there are too many.
    """
    n_parts = None if parts is None else int(parts.max()) + 1
    found = Classified.empty(threshold, n_parts)
    with track("magnitude", total=firings.d_sae, unit="features") as advance:
        for feature in range(firings.d_sae):
            rows, values = found.positive(firings, feature)
            order = np.argsort(values, kind="stable")
            _one(found, feature, values[order], seed)
            if parts is not None and found.again is not None and len(rows) >= modality.MIN_COUNT:
                part = parts[firings.document[rows[order]]]
                for number in range(len(found.again)):
                    found.again[number, feature] = _class_of(values[order][part != number], seed)
            advance(1)
    return found


def _one(found: Classified, feature: int, values: Floats, seed: int) -> None:
    """Fill in what is found of one feature's values, which ascend."""
    found.count[feature] = len(values)
    if not len(values):
        return
    found.mean[feature] = values.mean()
    found.cv[feature] = values.std() / found.mean[feature] if found.mean[feature] > 0 else 0.0
    found.histogram[feature], found.high[feature] = modality.histogram(values)
    if len(values) < modality.MIN_COUNT:
        return
    rng = np.random.default_rng([seed, feature])
    found.dip[feature], found.dip_p[feature] = modality.dip(values, rng=rng)
    found.control[feature] = _class_of(modality.one_peaked_copy(values, rng=rng), seed)
    peaks = modality.find_density_peaks(values)
    found.n_peaks[feature] = len(peaks.at)
    name = modality.magnitude_class(found.cv[feature], found.dip_p[feature], len(peaks.at))
    found.magnitude[feature] = name
    if len(peaks.at) > 1:
        found.peaks[feature] = peaks


def _class_of(values: Floats, seed: int) -> str:
    """Return the class of ascending values; "" where they are too few."""
    if len(values) < modality.MIN_COUNT:
        return ""
    mean = float(values.mean())
    cv = float(values.std()) / mean if mean > 0 else 0.0
    _, p = modality.dip(values, rng=np.random.default_rng(seed))
    return modality.magnitude_class(cv, p, len(modality.find_density_peaks(values).at))


def _optional(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
