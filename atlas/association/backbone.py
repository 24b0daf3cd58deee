"""The backbone: the significant edges that are strong enough to be a graph worth drawing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FLOOR = 0.1
TARGET_DEGREE = 15.0


def choose_phi_cut(
    phi: npt.NDArray[np.float64],
    *,
    n_features: int,
    target_degree: float = TARGET_DEGREE,
    floor: float = FLOOR,
) -> float:
    """Return the smallest cut on a grid of .01, not below `floor`, that leaves `target_degree` or less.

    Significance is a floor, not a graph: on real features nearly a tenth of all pairs pass, and
    the graph of those is one ball. The mean degree counts all alive features, those without any
    edge included.

    Parameters
    ----------
    phi
        phi of the significant pairs, shape (n,).
    n_features
        Alive features.
    target_degree
        Mean degree that may not be exceeded, in edges per feature.

    Returns
    -------
    float
        The cut; edges with phi >= cut are kept.
    """
    limit = int(target_degree * n_features / 2)
    grid = np.round(np.arange(floor, 1.0, 0.01), 2)
    kept = len(phi) - np.searchsorted(np.sort(phi), grid, side="left")
    below = np.flatnonzero(kept <= limit)
    return float(grid[below[0]]) if below.size else float(grid[-1])
