"""The null of independence within strata: expectation, variance, corrections and tails of a joint count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.special import betainc, gammainc, gammaincc

Floats = npt.NDArray[np.float64]
LAGS = 16
"""Lags in tokens over which runs of firing are corrected for."""


@dataclass(frozen=True)
class Strata:
    """How often each feature fires in each stratum.

    Attributes
    ----------
    counts : CSR of int64, shape (n_strata, d)
        Firings n_id of feature i in stratum d.
    sizes : int64, shape (n_strata,)
        Tokens T_d.
    crowding : float64, shape (n_strata,)
        rho_d of the stratum; 1 where tokens do not differ in how many features fire.
    """

    counts: scipy.sparse.csr_matrix
    sizes: npt.NDArray[np.int64]
    crowding: Floats


def crowding(labels: npt.NDArray[np.integer], firing: npt.NDArray[np.integer], *, n_strata: int) -> Floats:
    """Return rho_d = T_d sum_t L_t (L_t - 1) / (sum_t L_t)^2, the correction for uneven tokens.

    Tokens on which many features fire hold more pairs than independent firings of even tokens
    would: without this factor independent features look associated. A TopK SAE has (k-1)/k.
    Genuine cliques raise it, so it errs on the strict side.

    Parameters
    ----------
    labels
        Stratum of each token, shape (N,).
    firing
        L_t, alive features that fire on each token, shape (N,).

    Returns
    -------
    float64, shape (n_strata,)
        0 where no token has two firings; 1 where nothing fires.
    """
    sizes = np.bincount(labels, minlength=n_strata).astype(np.float64)
    level = np.asarray(firing, np.float64)
    total = np.bincount(labels, level, minlength=n_strata)
    pairs = np.bincount(labels, level * (level - 1), minlength=n_strata)
    return np.divide(sizes * pairs, total**2, out=np.ones(n_strata), where=total > 0)


@numba.njit(cache=True, parallel=True, nogil=True)
def _lagged(indptr, rows, labels, lags):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how often each feature fires again l tokens later in the same stratum, l = 1..lags."""
    d = len(indptr) - 1
    out = np.zeros((d, lags), np.int64)
    for i in numba.prange(d):
        for k in range(indptr[i], indptr[i + 1]):
            other = k + 1
            while other < indptr[i + 1] and np.int64(rows[other]) - np.int64(rows[k]) <= lags:
                if labels[rows[other]] == labels[rows[k]]:
                    out[i, np.int64(rows[other]) - np.int64(rows[k]) - 1] += 1
                other += 1
    return out


def autocorrelation(
    indptr: npt.NDArray[np.int64],
    rows: npt.NDArray[Any],
    labels: npt.NDArray[np.integer],
    strata: Strata,
    *,
    lags: int = LAGS,
) -> Floats:
    """Return r_i(l), the correlation of a feature's firing with itself l tokens later in its stratum.

    r_i(l) = (C_i(l) - sum_d (T_d - l) n (n-1) / (T_d (T_d-1))) / sum_d n (T_d - n) / T_d, where
    C_i(l) counts firings l apart in one stratum: 0 on average where firings are exchangeable.

    Parameters
    ----------
    indptr, rows
        Rows on which each feature fires, ascending (the index by feature).
    labels
        Stratum of each row.

    Returns
    -------
    float64, shape (d, lags)
    """
    seen = _lagged(indptr, np.asarray(rows), np.asarray(labels), lags).astype(np.float64)
    n = strata.counts.astype(np.float64)
    size = strata.sizes.astype(np.float64)
    rows_of = np.repeat(np.arange(n.shape[0]), np.diff(n.indptr))
    t = size[rows_of]
    again = n.copy()
    again.data = np.divide(n.data * (n.data - 1), t * (t - 1), out=np.zeros_like(t), where=t > 1)
    spread = n.copy()
    spread.data = n.data * (t - n.data) / t
    room = np.maximum(size[:, None] - np.arange(1, lags + 1), 0)
    chance = again.T @ room
    scale = np.asarray(spread.sum(axis=0)).ravel()[:, None]
    out: Floats = np.divide(seen - chance, scale, out=np.zeros_like(seen), where=scale > 0)
    return out


class Expectations:
    """Expected joint counts and their variance under the null, for blocks of features.

    Parameters
    ----------
    strata
        Firings per stratum.
    memory
        Bytes under which the strata are held dense, which is faster where they are well filled.

    Notes
    -----
    E_ij = sum_d rho_d n_id n_jd / T_d and
    V_ij = sum_d rho_d n_id n_jd (T_d-n_id)(T_d-n_jd) / (T_d^2 (T_d-1)), a stratum of one token giving 0.
    rho_d is in the variance, too: with it in the mean alone the matched tail is too thin, and of 12,720
    independent pairs on uneven tokens 20 were significant at lift 1 (none with both; the suite simulates it).
    """

    def __init__(self, strata: Strata, *, memory: int = 2**29) -> None:
        n = strata.counts.astype(np.float64)
        size = strata.sizes.astype(np.float64)
        spread = n.copy()
        spread.data = n.data * (size[np.repeat(np.arange(n.shape[0]), np.diff(n.indptr))] - n.data)
        single = np.maximum(size - 1, 1)
        self._weights = (
            strata.crowding / np.maximum(size, 1),
            1 / np.maximum(size, 1),
            strata.crowding * (size > 1) / (np.maximum(size, 1) ** 2 * single),
        )
        dense = n.shape[0] * n.shape[1] * 16 <= memory
        self._dense = (n.toarray(), spread.toarray()) if dense else None
        self._sparse = (n, spread)

    def block(self, features: npt.NDArray[np.integer]) -> tuple[Floats, Floats, Floats]:
        """Return (expected, expected without the crowding factor, variance) of features against all.

        Returns
        -------
        three arrays of float64, shape (len(features), d)
        """
        out = []
        for which, weight in zip((0, 0, 1), self._weights, strict=True):
            if self._dense is not None:
                whole = self._dense[which]
                out.append((whole[:, features] * weight[:, None]).T @ whole)
            else:
                some = self._sparse[which][:, features].multiply(weight[:, None]).T.tocsr()
                out.append((some @ self._sparse[which]).toarray())
        return out[0], out[1], out[2]


@numba.njit(cache=True, parallel=True, nogil=True)
def _pair_sums(indptr, strata, counts, sizes, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    expected = np.zeros(len(a))
    variance = np.zeros(len(a))
    for k in numba.prange(len(a)):
        i, j = indptr[a[k]], indptr[b[k]]
        while i < indptr[a[k] + 1] and j < indptr[b[k] + 1]:
            if strata[i] < strata[j]:
                i += 1
            elif strata[i] > strata[j]:
                j += 1
            else:
                t = np.float64(sizes[strata[i]])
                x, y = np.float64(counts[i]), np.float64(counts[j])
                expected[k] += x * y / t
                if t > 1:
                    variance[k] += x * y * (t - x) * (t - y) / (t * t * (t - 1))
                i += 1
                j += 1
    return expected, variance


def pair_expectations(strata: Strata, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Return (E, V) of chosen pairs alone, without the crowding factor; for many sparse strata.

    Cost is the sum over the pairs of both features' filled strata; nothing dense is made.
    """
    columns = strata.counts.tocsc()
    columns.sort_indices()
    return _pair_sums(columns.indptr, columns.indices, columns.data, strata.sizes, a, b)  # type: ignore[no-any-return]


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


def lower_tail(joint: npt.NDArray[np.integer], expected: Floats, variance: Floats) -> Floats:
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
