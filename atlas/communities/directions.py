"""How far communities agree with the tree of decoder directions, beside directions drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from atlas.communities.agreement import adjusted_mutual_information
from atlas.communities.leiden import Labels

Floats = npt.NDArray[np.float64]
MOST = 2000
"""Features compared at most: time and memory of a tree grow with their square (2,000: 100 MiB)."""
DRAWS = 20


def choose_features(coarse: Labels, *, most: int = MOST, seed: int) -> Labels:
    """Return the nodes that are compared: those of coarse communities of two or more, at most `most`.

    Where there are more, whole communities are drawn at random until the next would be too many; one
    that alone is too large is passed over. Finer levels nest, so their communities are whole, too.

    Returns
    -------
    int64, ascending
    """
    sizes = np.bincount(coarse, minlength=1)
    left, chosen = most, []
    for number in np.random.default_rng(seed).permutation(np.flatnonzero(sizes >= 2)):
        if sizes[number] <= left:
            chosen.append(number)
            left -= sizes[number]
    return np.flatnonzero(np.isin(coarse, chosen))


def decoder_tree(directions: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return the tree of decoder directions: average linkage on the cosine distance.

    Parameters
    ----------
    directions
        Shape (n, d_in), n >= 2, of any length.

    Returns
    -------
    float64, shape (n - 1, 4)
        As scipy's `linkage`: the two parts joined, their distance, and how many features they hold.
    """
    unit = _unit(np.asarray(directions, np.float64))
    tree: Floats = linkage(np.maximum(squareform(1 - unit @ unit.T, checks=False), 0), "average")
    return tree


@dataclass(frozen=True)
class Agreement:
    """How far one level agrees with the tree of decoder directions.

    Attributes
    ----------
    ami : float
        Adjusted mutual information with the tree, cut into as many parts as the level has communities.
    null_mean, null_highest : float
        Of the same for random directions.
    p : float
        Share of the draws that reach `ami`, the real one counted in.
    """

    ami: float
    null_mean: float
    null_highest: float
    p: float


def decoder_agreement(
    directions: npt.NDArray[np.floating[Any]], levels: Sequence[Labels], *, seed: int, n_draws: int = DRAWS
) -> list[Agreement]:
    """Return for each level the AMI of its communities with a tree of the decoder directions.

    The tree is cut into as many parts as the level has communities, lone features counted. Beside it
    stands the same for directions from a Gaussian of the same mean and covariance, scaled to length 1
    as decoder directions are: what the level's sizes and the spectrum alone would give. A high AMI says
    that features which fire together also write similar directions; it does not say which comes from
    which.

    Parameters
    ----------
    directions
        Decoder directions of the features compared, shape (n, d_in).
    levels
        Community of each of them on each level, shape (n,).
    seed
        Seed of the draws.

    Returns
    -------
    list of Agreement
        In the order of the levels; empty for fewer than three features.

    References
    ----------
    Li et al. 2025, arXiv:2410.19750 (geometry beside co-occurrence).
    """
    if len(directions) < 3:
        return []
    real = _unit(np.asarray(directions, np.float64))
    mean = real.mean(axis=0)
    centred = real - mean
    rng = np.random.default_rng(seed)
    null = np.empty((n_draws, len(levels)))
    for draw in range(n_draws):
        null[draw] = _compare(mean + rng.standard_normal((len(real),) * 2) @ centred / np.sqrt(len(real)), levels)
    ami = _compare(real, levels)
    reached = (null >= ami).sum(axis=0)
    columns = (ami, null.mean(axis=0), null.max(axis=0), (1 + reached) / (1 + n_draws))
    return [Agreement(*map(float, row)) for row in zip(*columns, strict=True)]


def _compare(directions: Floats, levels: Sequence[Labels]) -> list[float]:
    tree = decoder_tree(directions)
    cuts = (fcluster(tree, len(np.unique(level)), "maxclust").astype(np.int64) for level in levels)
    return [adjusted_mutual_information(level, cut) for level, cut in zip(levels, cuts, strict=True)]


def _unit(rows: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, np.finfo(float).tiny)
