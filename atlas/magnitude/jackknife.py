"""How sure the shares of the classes are: the documents in ten parts, and everything again without each."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import t

PARTS = 10


def document_parts(
    document: npt.NDArray[np.integer], *, seed: int, n_parts: int = PARTS
) -> npt.NDArray[np.int64] | None:
    """Return the part of each document, parts of about as many tokens; None for fewer documents than parts.

    Parameters
    ----------
    document
        Document of each token.
    """
    sizes = np.bincount(document, minlength=1)
    if (sizes > 0).sum() < n_parts:
        return None
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    part, held = np.empty(len(sizes), np.int64), np.zeros(n_parts, np.int64)
    for one in order.tolist():
        part[one] = held.argmin()
        held[part[one]] += sizes[one]
    return part


def jackknife_interval(share: float, without: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a share, from its values without each of g parts of the documents.

    share ± t sqrt((g - 1)/g sum (x_k - mean x)^2), t with g - 1 degrees of freedom, within [0, 1]. A bootstrap would
    draw documents twice, and equal activations are peaks to the dip.

    References
    ----------
    Efron, Stein 1981, doi:10.1214/aos/1176345462.
    """
    g = len(without)
    half = float(t.ppf(0.975, g - 1)) * math.sqrt((g - 1) / g * float(((without - without.mean()) ** 2).sum()))
    return max(0.0, share - half), min(1.0, share + half)
