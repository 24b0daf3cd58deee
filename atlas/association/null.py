"""The null of independence within strata: its two corrections, and the tails of a joint count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import betainc, gammainc, gammaincc

Floats = npt.NDArray[np.float64]
LAGS = 16
"""Lags in tokens over which runs of firing are corrected for."""


def crowding(sizes: npt.NDArray[np.integer], total: Floats, pairs: Floats) -> Floats:
    """Return rho_d = T_d sum_t L_t (L_t - 1) / (sum_t L_t)^2, the correction for uneven tokens.

    Tokens on which many features fire hold more pairs than independent firings of even tokens
    would: without this factor independent features look associated. A TopK SAE has (k-1)/k.
    Genuine cliques raise it, so it errs on the strict side where more joint firings than expected
    are looked for, and on the other where fewer are.

    Parameters
    ----------
    sizes, total, pairs
        T_d, sum_t L_t and sum_t L_t (L_t - 1) of each stratum, where L_t alive features fire on
        token t; shape (n_strata,).

    Returns
    -------
    float64, shape (n_strata,)
        0 where no token has two firings; 1 where nothing fires.
    """
    return np.divide(sizes * pairs, total**2, out=np.ones(len(sizes)), where=total > 0)


@dataclass(frozen=True)
class Runs:
    """How the firings of each feature follow each other within strata.

    Attributes
    ----------
    autocorrelation : float64, shape (d, lags)
        r_i(l), the correlation of a feature's firing with itself l tokens later in its stratum.
    spread : float64, shape (d,)
        sum_d n_id (T_d - n_id) / T_d, the squares of its firing about its rate in each stratum.
    """

    autocorrelation: Floats
    spread: Floats

    def lumps(self, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> Floats:
        """Return kappa = 1 + 2 sum_l r_a(l) r_b(l) of each pair: joint firings that come together, in tokens."""
        kappa: Floats = 1 + 2 * np.einsum("ij,ij->i", self.autocorrelation[a], self.autocorrelation[b])
        return kappa


def runs_of(
    features: npt.NDArray[np.integer],
    indptr: npt.NDArray[np.int64],
    rows: npt.NDArray[Any],
    labels: npt.NDArray[np.integer],
    sizes: npt.NDArray[np.int64],
    *,
    lags: int = LAGS,
) -> Runs:
    """Return the autocorrelations and the spread of some features; 0 for all others.

    r_i(l) = (C_i(l) - sum_d (T_d - l) n (n-1) / (T_d (T_d-1))) / sum_d n (T_d - n) / T_d, where
    C_i(l) counts firings l apart in one stratum: 0 on average where firings are exchangeable, and 0
    for a feature that fires on all tokens of its strata or none.

    Parameters
    ----------
    features
        Features asked for, shape (k,).
    indptr, rows
        Rows on which each feature fires, ascending (the index by feature); d features.
    labels
        Stratum of each row, equal ones standing together.
    sizes
        Tokens T_d of each stratum.
    """
    return Runs(*_runs(np.asarray(features), indptr, np.asarray(rows), np.asarray(labels), sizes, lags))


@numba.njit(cache=True, parallel=True, nogil=True)
def _runs(features, indptr, rows, labels, sizes, lags):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    d = len(indptr) - 1
    out, spread = np.zeros((d, lags)), np.zeros(d)
    for place in numba.prange(len(features)):
        i = features[place]
        seen, chance = np.zeros(lags, np.int64), np.zeros(lags)
        end = indptr[i + 1]
        start = k = indptr[i]
        while start < end:
            stratum = labels[rows[start]]
            while k < end and labels[rows[k]] == stratum:
                other = k + 1
                while other < end and np.int64(rows[other]) - np.int64(rows[k]) <= lags:
                    if labels[rows[other]] != stratum:
                        break
                    seen[np.int64(rows[other]) - np.int64(rows[k]) - 1] += 1
                    other += 1
                k += 1
            n, t = np.float64(k - start), np.float64(sizes[stratum])
            spread[i] += n * (t - n) / t
            if t > 1:
                for lag in range(min(lags, sizes[stratum] - 1)):
                    chance[lag] += (t - lag - 1) * n * (n - 1) / (t * (t - 1))
            start = k
        if spread[i] > 0:
            for lag in range(lags):
                out[i, lag] = (seen[lag] - chance[lag]) / spread[i]
    return out, spread


def _shapes(expected: Floats, variance: Floats) -> tuple[Any, Any, Any]:
    """Return masks (binomial, poisson, negative binomial) by how the variance compares."""
    close = np.abs(variance - expected) <= 1e-6 * expected
    return (variance < expected) & ~close, close, (variance > expected) & ~close


def upper_tail(joint: npt.NDArray[np.integer], expected: Floats, variance: Floats) -> Floats:
    """Return P(X >= c), X matched to mean and variance, one tail at every size.

    X is binomial where the variance is below the mean, Poisson where it equals it, negative
    binomial above. Where c exceeds the matched binomial's number of trials (the match is of two
    moments only), the Poisson tail stands in. Variance 0 is untestable: 1.

    Parameters
    ----------
    joint, expected, variance
        c, its mean and its variance under the null, shape (n,), unit tokens and tokens^2.

    Returns
    -------
    float64, shape (n,), in [0, 1]
    """
    c, e, v = (np.asarray(x, np.float64) for x in (joint, expected, variance))
    out = np.ones(len(c))
    some = (c > 0) & (v > 0) & (e > 0)
    binomial, poisson, negative = (mask & some for mask in _shapes(e, v))
    trials = np.divide(e * e, e - v, out=np.zeros_like(e), where=binomial)
    poisson |= binomial & (c > trials)
    binomial &= ~poisson
    out[poisson] = gammainc(c[poisson], e[poisson])
    m = binomial
    out[m] = betainc(c[m], trials[m] - c[m] + 1, 1 - v[m] / e[m])
    m = negative
    out[m] = betainc(c[m], e[m] ** 2 / (v[m] - e[m]), 1 - e[m] / v[m])
    return np.clip(out, 0, 1)


def lumped_lower_tail(joint: npt.NDArray[np.integer], expected: Floats, variance: Floats, lumps: Floats) -> Floats:
    """Return P(X <= c) where joint firings come in lumps of kappa tokens: that of c / kappa lumps.

    A matched X of single firings has next to no chance of 0 where two features fire in bursts, of which a
    few are expected to meet and none does: of 3,160 independent pairs in bursts of 20 tokens 38 would
    lack joint firings. kappa below 1 counts as 1.

    Parameters
    ----------
    joint, expected, variance
        As in `lower_tail`; the variance includes kappa.
    lumps
        kappa, shape (n,).
    """
    kappa = np.maximum(lumps, 1)
    return lower_tail(joint / kappa, expected / kappa, variance / kappa**2)


def lower_tail(joint: npt.NDArray[Any], expected: Floats, variance: Floats) -> Floats:
    """Return P(X <= c) for the same matched X as `upper_tail`; untestable pairs give 1."""
    c, e, v = (np.asarray(x, np.float64) for x in (joint, expected, variance))
    out = np.ones(len(c))
    some = (v > 0) & (e > 0)
    binomial, poisson, negative = (mask & some for mask in _shapes(e, v))
    trials = np.divide(e * e, e - v, out=np.zeros_like(e), where=binomial)
    binomial &= c < trials
    out[poisson] = gammaincc(c[poisson] + 1, e[poisson])
    m = binomial
    out[m] = betainc(trials[m] - c[m], c[m] + 1, v[m] / e[m])
    m = negative
    out[m] = betainc(e[m] ** 2 / (v[m] - e[m]), c[m] + 1, e[m] / v[m])
    return np.clip(out, 0, 1)
