"""What sets the firings of one peak apart from the feature's others: an item, a neighbour, a ring, uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom, norm, rankdata

from atlas.association.fdr import benjamini_hochberg
from atlas.magnitude.modality import Peaks
from atlas.magnitude.uncertainty import permutation_z

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Cause = Literal["token", "neighbour", "ring", "uncertainty", "tokens", "intrinsic"]

CAUSES: tuple[Cause, ...] = ("token", "neighbour", "ring", "uncertainty", "tokens", "intrinsic")
"""In the order in which they are asked for."""
MIN_LIFT = 3.0
"""How many times as often a mark must be inside a peak as outside."""
MIN_COVER = 0.5
"""Share of the peak's firings that must have it."""
MIN_AUC = 0.64
"""Probability that a firing of the peak has the higher entropy: half a standard deviation between two normals."""
MIN_EXPLAINED = 0.5
"""Share of the variance of lying in the peak that the items must predict on other documents."""
_PRIOR = 2.0  # firings' worth of the mean that an item's share is drawn towards


@dataclass(frozen=True)
class Marks:
    """Things that a feature's firings may have, several at once (items, neighbours, rings), counted by peak.

    Attributes
    ----------
    names : int64, shape (n_marks,)
        What each is.
    counts : int64, shape (n_marks, n_peaks)
        Firings of each peak that have it.
    """

    names: Integers
    counts: Integers

    @classmethod
    def of_items(cls, items: Integers, label: Integers, n_peaks: int) -> Marks:
        """Return the distinct items of firings as marks."""
        names, item = np.unique(items, return_inverse=True)
        counts = np.bincount(item * n_peaks + label, minlength=len(names) * n_peaks)
        return cls(names, counts.reshape(len(names), n_peaks))


@dataclass(frozen=True)
class Typical:
    """The mark most typical of a peak, and what its test is of.

    Attributes
    ----------
    name : int
        The mark.
    inside, outside : int
        Firings of the peak, and the feature's others, that have it.
    n_inside, n_outside : int
        Firings of the peak, and the others.
    looked_at : int
        Marks that it was chosen among.
    """

    name: int
    inside: int
    outside: int
    n_inside: int
    n_outside: int
    looked_at: int

    @property
    def lift(self) -> float:
        """Share inside over share outside, half a firing added to each."""
        return (self.inside + 0.5) / (self.n_inside + 1) / ((self.outside + 0.5) / (self.n_outside + 1))

    @property
    def p(self) -> float:
        """Hypergeometric upper tail, times the number of marks looked at.

        The null: which of the feature's firings lie in the peak has nothing to do with the mark.
        """
        marked, n = self.inside + self.outside, self.n_inside + self.n_outside
        return float(min(1.0, self.looked_at * hypergeom.sf(self.inside - 1, n, marked, self.n_inside)))

    def marks_peak(self, q: float, level: float) -> bool:
        """Return whether it sets the peak apart: significant, on most of the peak, and three times as often there."""
        return q <= level and self.inside >= MIN_COVER * self.n_inside and self.lift >= MIN_LIFT


def most_typical(marks: Marks, sizes: Integers, peak: int, *, least: int = 5) -> Typical | None:
    """Return the mark that goes best with lying in a peak, by the correlation phi; None where none is positive.

    Parameters
    ----------
    sizes
        Firings of each peak, shape (n_peaks,).
    least
        Firings that a mark must have to be looked at.
    """
    total, hits = marks.counts.sum(1), marks.counts[:, peak]
    n, k = int(sizes.sum()), int(sizes[peak])
    enough = (total >= least) & (total < n)
    if not enough.any() or k == n:
        return None
    spread = np.sqrt(np.maximum(total * (n - total), 1) * float(k * (n - k)))
    phi = np.where(enough, (n * hits.astype(np.float64) - total * float(k)) / spread, -1.0)
    best = int(phi.argmax())
    if phi[best] <= 0:
        return None
    found = int(hits[best])
    return Typical(int(marks.names[best]), found, int(total[best]) - found, k, n - k, int(enough.sum()))


def explained_by_items(items: Integers, inside: Bools, half: Integers) -> float | None:
    """Return the share of the variance of lying in a peak that the item predicts on documents it was not learned on.

    On each half of the documents the share of an item's firings that lie in the peak is learned, drawn towards the
    half's mean by two firings; 1 - (squared errors on the other half) / (squared distances from the learned mean).
    Near 0 where items say nothing, and it can be negative: learning costs. None where a half has no firing, or all
    lie on one side.

    Parameters
    ----------
    items, inside, half
        Item, membership and half (0 or 1) of the document of each firing, shape (n_firings,).
    """
    _, item = np.unique(items, return_inverse=True)
    size = int(item.max()) + 1
    n = np.array([np.bincount(item[half == side], minlength=size) for side in (0, 1)], np.float64)
    s = np.array([np.bincount(item[(half == side) & inside], minlength=size) for side in (0, 1)], np.float64)
    error = total = 0.0
    for side in (0, 1):
        if not n[side].sum():
            return None
        mean = s[side].sum() / n[side].sum()
        learned = (s[side] + _PRIOR * mean) / (n[side] + _PRIOR)
        hits, misses = s[1 - side], n[1 - side] - s[1 - side]
        error += float((hits * (1 - learned) ** 2 + misses * learned**2).sum())
        total += float(hits.sum() * (1 - mean) ** 2 + misses.sum() * mean**2)
    return 1 - error / total if total > 0 else None


@dataclass(frozen=True)
class Surroundings:
    """What is known of one feature's firings, beside their activations.

    Attributes
    ----------
    label : int64, shape (n_firings,)
        Peak of each.
    items : int64, shape (n_firings,)
        Vocabulary item of each, case and outer spaces merged.
    half : int64, shape (n_firings,)
        Half of the documents, 0 or 1, that each is in.
    stratum : int, shape (n_firings,)
        Span of a document that each is in, ascending.
    neighbours, rings : Marks
        Its neighbours, and the rings that it is on: a firing has a ring where a partner on it fires, too.
    entropy : float32, shape (n_firings,), or None
        Of the model's next token, nats.
    """

    label: Integers
    items: Integers
    half: Integers
    stratum: npt.NDArray[np.integer]
    neighbours: Marks
    rings: Marks
    entropy: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Evidence:
    """What each question found of one peak; the q values come once all peaks are there."""

    feature: int
    peak: int
    row: dict[str, Any]
    token: Typical | None
    explained: float | None
    neighbour: Typical | None
    ring: Typical | None
    entropy: tuple[float, float, float] | None


def examine(feature: int, peaks: Peaks, around: Surroundings) -> list[Evidence]:
    """Return the evidence for each peak of a feature."""
    sizes = np.bincount(around.label, minlength=len(peaks.at))
    items = Marks.of_items(around.items, around.label, len(peaks.at))
    ranks = None if around.entropy is None else rankdata(around.entropy)
    found = []
    for peak in range(len(peaks.at)):
        inside = around.label == peak
        row = {
            "at": float(peaks.at[peak]),
            "low": float(peaks.edges[peak]),
            "high": float(peaks.edges[peak + 1]),
            "firings": int(inside.sum()),
            "share": float(inside.mean()),
            "prominence": float(peaks.prominence[peak]),
        }
        found.append(
            Evidence(
                feature,
                peak,
                row,
                most_typical(items, sizes, peak),
                explained_by_items(around.items, inside, around.half),
                most_typical(around.neighbours, sizes, peak),
                most_typical(around.rings, sizes, peak),
                None if ranks is None or around.entropy is None else _surer(around, ranks, inside),
            )
        )
    return found


def _surer(around: Surroundings, ranks: npt.NDArray[np.float64], inside: Bools) -> tuple[float, float, float]:
    """Return (difference of mean entropies, AUC, p) of a peak's firings against the feature's others.

    The null permutes which firings lie in the peak within spans of documents; one-sided.
    """
    assert around.entropy is not None
    k, n = int(inside.sum()), len(inside)
    values = around.entropy.astype(np.float64)
    difference = float(values[inside].mean() - values[~inside].mean())
    auc = (float(ranks[inside].sum()) - k * (k + 1) / 2) / (k * (n - k))
    z = permutation_z(inside.astype(np.float64), ranks, around.stratum)
    return difference, auc, float(norm.sf(z))


def explain(evidence: Sequence[Evidence], *, q: float) -> list[dict[str, Any]]:
    """Return the rows of `peaks` but for names: evidence, q values and cause of each peak.

    Each question is a family of its own: Benjamini-Hochberg over the peaks that it could be asked of.

    Parameters
    ----------
    q
        False-discovery rate within each question.
    """
    typical = {name: _adjusted([getattr(one, name) for one in evidence]) for name in ("token", "neighbour", "ring")}
    entropy = _by_row([None if one.entropy is None else one.entropy[2] for one in evidence])
    rows = []
    for number, one in enumerate(evidence):
        row = {"index": one.feature, "peak": one.peak, **one.row, "tokens_explained": one.explained}
        answers = {
            name: (found := getattr(one, name)) is not None and found.marks_peak(typical[name][number], q)
            for name in typical
        }
        for name, prefix in (("token", "token"), ("neighbour", "neighbour"), ("ring", "partner")):
            row |= _columns(prefix, getattr(one, name), typical[name][number])
        row["token"], row["neighbour"], row["manifold"] = (
            None if found is None else found.name for found in (one.token, one.neighbour, one.ring)
        )
        difference, auc, _ = one.entropy or (None, None, None)
        row |= {"entropy_difference": difference, "entropy_auc": auc, "entropy_q": entropy[number]}
        answers["uncertainty"] = auc is not None and auc >= MIN_AUC and entropy[number] <= q
        answers["tokens"] = one.explained is not None and one.explained >= MIN_EXPLAINED
        row["cause"] = next((name for name in CAUSES if answers.get(name)), "intrinsic")
        rows.append(row)
    return rows


def _columns(prefix: str, found: Typical | None, q: float | None) -> dict[str, Any]:
    shares = (None, None) if found is None else (found.inside / found.n_inside, found.outside / found.n_outside)
    columns = {f"{prefix}_share": shares[0], f"{prefix}_share_outside": shares[1], f"{prefix}_q": q}
    return columns | ({"neighbour_lift": None if found is None else found.lift} if prefix == "neighbour" else {})


def _adjusted(found: Sequence[Typical | None]) -> list[Any]:
    return _by_row([None if one is None else one.p for one in found])


def _by_row(p: Sequence[float | None]) -> list[Any]:
    """Return the adjusted p-values in place, None where there is none."""
    asked = [number for number, one in enumerate(p) if one is not None]
    adjusted = benjamini_hochberg(np.array([p[number] for number in asked], np.float64))
    found: list[float | None] = [None] * len(p)
    for number, value in zip(asked, adjusted.tolist(), strict=True):
        found[number] = value
    return found
