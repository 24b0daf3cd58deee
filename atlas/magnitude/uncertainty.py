"""Where the model is unsure: the entropy of its next token against a feature's firings and their strength."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from atlas.association.fdr import benjamini_hochberg
from atlas.firings import Firings
from atlas.tracking import Track, untracked

Floats = npt.NDArray[np.float64]
Strata = npt.NDArray[np.integer]
CONTROLS = ("permute", "shift")
"""Entropies permuted within spans of documents, or shifted in a circle, which keeps how near tokens are alike."""


@dataclass(frozen=True)
class Uncertainty:
    """The entropy of the next token against each of some features; NaN where it cannot be told.

    Attributes
    ----------
    correlation, difference : float64, shape (n,)
        Rank correlation with the activation over the feature's firings; mean entropy where it fires less that of
        the other tokens of the same spans, in nats.
    correlation_p, difference_p : float64, shape (n,)
        Two-sided, under permutation within spans.
    """

    correlation: Floats
    correlation_p: Floats
    difference: Floats
    difference_p: Floats

    def claims(self, q: float) -> tuple[int, int]:
        """Return how many features have a correlation, and a difference, at a false-discovery rate."""
        return tuple(  # type: ignore[return-value]  # two of them
            int((benjamini_hochberg(p[np.isfinite(p)]) <= q).sum()) for p in (self.correlation_p, self.difference_p)
        )


def permutation_z(x: Floats, y: Floats, stratum: Strata) -> float:
    """Return z = sum_d cov_d / sqrt(sum_d V_d): how far x and y go together within strata, against permutation.

    cov_d = sum (x - mean_d x)(y - mean_d y) over the entries of stratum d, V_d = SS_d(x) SS_d(y) / (n_d - 1) its
    variance when y is permuted within d. 0 where nothing varies within any stratum.

    Parameters
    ----------
    x, y
        float64, shape (n,).
    stratum
        Of each entry, ascending, shape (n,).
    """
    starts = np.flatnonzero(np.diff(stratum, prepend=-1))
    n = np.diff(starts, append=len(stratum))
    x = x - np.repeat(np.add.reduceat(x, starts) / n, n)
    y = y - np.repeat(np.add.reduceat(y, starts) / n, n)
    squares = np.add.reduceat(x * x, starts) * np.add.reduceat(y * y, starts)
    variance = float((squares / np.maximum(n - 1, 1)).sum())
    return float((x * y).sum() / np.sqrt(variance)) if variance > 1e-12 else 0.0


class Spans:
    """The entropies of a corpus by span: what every feature is held against.

    Parameters
    ----------
    entropy
        Of each token, nats, shape (n_tokens,).
    stratum
        Span of each token, ascending from 0, shape (n_tokens,).
    """

    def __init__(self, entropy: npt.NDArray[np.floating], stratum: Strata) -> None:
        self.entropy = np.asarray(entropy, np.float64)
        self.stratum = stratum
        self.sizes = np.bincount(stratum).astype(np.float64)
        self.total = np.bincount(stratum, self.entropy)
        squares = np.bincount(stratum, (self.entropy - (self.total / self.sizes)[stratum]) ** 2)
        self.variance = squares / np.maximum(self.sizes - 1, 1)

    def difference(self, rows: npt.NDArray[np.integer]) -> tuple[float, float]:
        """Return (difference, z) of the mean entropy on a feature's firings less that of the other tokens.

        difference = (1/n) sum_d (S_d - n_d (E_d - S_d) / (T_d - n_d)) over spans that have other tokens, E_d and S_d
        being the sums of all entropies and of those on the firings; z holds sum_d S_d against firings placed anew
        at random in each span.
        """
        spans, n = np.unique(self.stratum[rows], return_counts=True)
        own = np.bincount(self.stratum[rows], self.entropy[rows], minlength=len(self.sizes))[spans]
        size, total = self.sizes[spans], self.total[spans]
        free = n < size
        n, own, size, total = n[free], own[free], size[free], total[free]
        variance = float((n * (1 - n / size) * self.variance[spans[free]]).sum())
        if not len(n) or variance <= 1e-12:
            return np.nan, np.nan
        difference = float((own - n * (total - own) / (size - n)).sum() / n.sum())
        return difference, float((own - n * total / size).sum() / np.sqrt(variance))

    def control(self, how: str, rng: np.random.Generator) -> Spans:
        """Return the same with entropies that have nothing to do with the firings: permuted or shifted in spans."""
        starts = np.concatenate([[0], np.cumsum(self.sizes).astype(np.int64)])
        if how == "permute":
            order = np.lexsort((rng.random(len(self.entropy)), self.stratum))
        else:
            size = self.sizes.astype(np.int64)[self.stratum]
            by = rng.integers(0, self.sizes.astype(np.int64))[self.stratum]
            first = starts[self.stratum]
            order = first + (np.arange(len(size)) - first + by) % size
        return Spans(self.entropy[order], self.stratum)


def uncertainty(
    firings: Firings,
    features: npt.NDArray[np.integer],
    spans: Spans,
    *,
    track: Track = untracked,
    label: str = "uncertainty",
) -> Uncertainty:
    """Return how a feature's firings, and their strength, go with the entropy of the model's next token.

    Both are held against permutation within spans of documents of up to 512 tokens: an uncertain text that a
    feature fires in throughout says nothing. Neither says why: mostly it is which tokens the feature fires on.

    Parameters
    ----------
    features
        The features to look at, shape (n,).
    track
        Told of the features done, under `label`.
    """
    found = np.full((4, len(features)), np.nan)
    with track(label, total=len(features), unit="features") as advance:
        for place, (rows, activations) in enumerate(_firings(firings, features)):
            entropies, stratum = spans.entropy[rows], spans.stratum[rows]
            difference, z = spans.difference(rows)
            found[2:, place] = difference, 2 * norm.sf(abs(z))
            x, y = rankdata(activations), rankdata(entropies)
            found[0, place] = _correlation(x, y)
            found[1, place] = 2 * norm.sf(abs(permutation_z(x, y, stratum)))
            advance(1)
    found[1, np.isnan(found[0])] = np.nan
    return Uncertainty(*found)


def _firings(
    firings: Firings, features: npt.NDArray[np.integer]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Yield rows and activations of each feature where it is positive."""
    for feature in features.tolist():
        rows, activations = firings.contexts_of(feature)
        positive = activations > 0
        yield rows[positive].astype(np.int64), activations[positive]


def _correlation(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt(float((x * x).sum() * (y * y).sum()))
    return float(np.clip((x * y).sum() / spread, -1, 1)) if spread > 0 else np.nan
