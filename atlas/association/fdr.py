"""False-discovery rates over a family of which only the small p-values are at hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

FDR = ("bh", "by")
"""Benjamini-Hochberg, and Benjamini-Yekutieli, which holds under any dependence."""


def benjamini_hochberg(p: npt.NDArray[np.float64], *, n_tests: int | None = None) -> npt.NDArray[np.float64]:
    """Return the adjusted p-values q_(k) = min over j >= k of p_(j) m / j.

    Parameters
    ----------
    p
        p-values, shape (n,): all of the family, or every one up to some bound. A q below that
        bound is then exact; the others are upper bounds.
    n_tests
        Size m of the family, n by default; the ones left out count as tested.

    Returns
    -------
    float64, shape (n,), in [0, 1]

    Notes
    -----
    Controls the expected share of false ones among those claimed, for independent or positively
    dependent tests; it does not say which ones are false.

    References
    ----------
    Benjamini, Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    return _step_up(p, 1.0, n_tests)


def benjamini_yekutieli(p: npt.NDArray[np.float64], *, n_tests: int | None = None) -> npt.NDArray[np.float64]:
    """Return the adjusted p-values q_(k) = min over j >= k of p_(j) m H_m / j, H_m = 1 + 1/2 + ... + 1/m.

    Parameters and result as in `benjamini_hochberg`, of which it is the strict form: it holds under
    any dependence of the tests, at the price of a factor H_m (16.7 for ten million pairs).

    References
    ----------
    Benjamini, Yekutieli 2001, doi:10.1214/aos/1013699998.
    """
    m = len(p) if n_tests is None else n_tests
    return _step_up(p, float(digamma(m + 1) + np.euler_gamma) if m else 1.0, n_tests)


def adjusted(p: npt.NDArray[np.float64], fdr: str, *, n_tests: int | None = None) -> npt.NDArray[np.float64]:
    """Return the p-values adjusted as `fdr` says: `bh` or `by`."""
    return {"bh": benjamini_hochberg, "by": benjamini_yekutieli}[fdr](p, n_tests=n_tests)


def _step_up(p: npt.NDArray[np.float64], factor: float, n_tests: int | None) -> npt.NDArray[np.float64]:
    m = len(p) if n_tests is None else n_tests
    if m < len(p):
        raise ValueError(f"{len(p)} p-values in a family of {m}")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (m * factor) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(q, 1.0)
