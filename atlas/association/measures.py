"""Association measures of a pair of features, from its 2x2 table of firings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

Floats = npt.NDArray[np.float64]


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom, with 0 where the bottom is 0."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom != 0)


def correlation(joint: Floats, count_a: Floats, count_b: Floats, *, n_tokens: float) -> Floats:
    """Return phi = (N c - n_a n_b) / sqrt(n_a n_b (N-n_a)(N-n_b)); 0 where a feature fires on all tokens or none."""
    n, a, b = n_tokens, count_a, count_b
    return np.clip(_ratio(n * joint - a * b, np.sqrt(a * b) * np.sqrt((n - a) * (n - b))), -1, 1)


def measures(
    joint: npt.NDArray[np.integer],
    count_a: npt.NDArray[np.integer],
    count_b: npt.NDArray[np.integer],
    *,
    n_tokens: int,
) -> dict[str, Floats]:
    """Return every association measure of METHODS section 3 that the 2x2 table alone decides.

    With N tokens, n_a and n_b firings and c joint firings:

    * `jaccard` c/(n_a+n_b-c), `dice` 2c/(n_a+n_b), `overlap` c/min, `cosine` c/sqrt(n_a n_b)
    * `phi` (N c - n_a n_b) / sqrt(n_a n_b (N-n_a)(N-n_b)), the correlation of the two firings,
      and `phi_ratio`, phi over the largest (for phi < 0: the smallest) that the margins allow
    * `lift` N c/(n_a n_b), `pmi` log2 lift, `npmi` pmi / -log2(c/N)
    * `g2` the signed log-likelihood ratio of the table
    * `p_a_given_b` c/n_b, `p_b_given_a` c/n_a

    Rank by phi or g2. Ranking by pmi or overlap puts rare pairs first, and a jaccard cut cannot
    see a hub with many exclusive spokes (1/k each). None of these is a test: pairs of one subject
    have high lift without ever needing each other.

    Parameters
    ----------
    joint, count_a, count_b
        Joint and single firings of each pair, integers, shape (n,), unit tokens.
    n_tokens
        Kept tokens N.

    Returns
    -------
    dict of float64, shape (n,)
        0/0 is 0, and so are the logarithms of a pair never seen; never NaN.

    References
    ----------
    Dunning 1993, "Accurate methods for the statistics of surprise and coincidence" (g2).
    """
    c, a, b = (np.asarray(x, np.float64) for x in (joint, count_a, count_b))
    n = float(n_tokens)
    phi = correlation(c, a, b, n_tokens=n)
    lift = _ratio(n * c, a * b)
    pmi = np.log2(lift, out=np.zeros_like(lift), where=lift > 0)
    information = -np.log2(_ratio(c, np.full_like(c, n)), out=np.zeros_like(c), where=c > 0)
    return {
        "jaccard": _ratio(c, a + b - c),
        "dice": _ratio(2 * c, a + b),
        "overlap": _ratio(c, np.minimum(a, b)),
        "cosine": _ratio(c, np.sqrt(a * b)),
        "phi": phi,
        "phi_ratio": np.clip(_ratio(phi, _phi_bound(phi, a, b, n)), -1, 1),
        "lift": lift,
        "pmi": pmi,
        "npmi": np.clip(_ratio(pmi, information), -1, 1),
        "g2": _signed_g2(c, a, b, n),
        "p_a_given_b": _ratio(c, b),
        "p_b_given_a": _ratio(c, a),
    }


def _phi_bound(phi: Floats, a: Floats, b: Floats, n: float) -> Floats:
    """Return the size of the most extreme phi of the same sign that the margins allow."""
    largest = np.minimum(a, b)
    smallest = np.maximum(0.0, a + b - n)
    extreme = np.where(phi >= 0, largest, smallest)
    return np.abs(correlation(extreme, a, b, n_tokens=n))


def _signed_g2(c: Floats, a: Floats, b: Floats, n: float) -> Floats:
    """Return 2 sum O ln(O/E) over the four cells, negative where c is below its expectation."""
    total = np.zeros_like(c)
    for observed, row, column in (
        (c, a, b), (a - c, a, n - b), (b - c, n - a, b), (n - a - b + c, n - a, n - b)
    ):  # fmt: skip
        expected = row * column / n
        total += xlogy(observed, _ratio(observed, expected))
    return np.where(c * n >= a * b, 2 * total, -2 * total) + 0.0
