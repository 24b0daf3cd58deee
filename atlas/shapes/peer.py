"""What Clarke, Bhatnagar and Bloom (2024) compute: their edge cut, their clusters, their three scores.

They publish a number for each feature's subgraph, and the cuts, but no list of edges: the scores can
be held against what they published, the clusters cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from atlas.communities.leiden import by_size

Integers = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]
SMALLEST, LARGEST = 150, 200
TOLERANCE = 1e-3


@dataclass(frozen=True)
class PeerCut:
    """The cut that their rule chooses.

    Attributes
    ----------
    cut : float
        Smallest Jaccard index of an edge.
    largest : int
        Features of the largest component at that cut.
    in_range : bool
        Whether they are as many as the rule aims at; if not, no midpoint gave as many, and this one came closest.
    """

    cut: float
    largest: int
    in_range: bool


def peer_scores(
    *,
    size: npt.ArrayLike,
    density: npt.ArrayLike,
    degree_ratio: npt.ArrayLike,
    clustering: npt.ArrayLike,
    diameter: npt.ArrayLike,
) -> Floats:
    """Return their three scores of each subgraph: hub and spoke, strongly connected, linear.

    The point (density, min(degree_ratio, n - 1), clustering, diameter) is held against the ideals
    (2/n, n - 1, 0, 2), (1, 1, 1, 1) and (2/(n - 1), 2, 0, n - 1); a score is 1 - distance / sum of
    the three Euclidean distances. They are here for comparison, not for the classes: the ideal hub
    has a ratio of n - 1, where a star has n / 2, and the axes are not scaled, so that one further
    edge turns a star into "strongly connected".

    Parameters
    ----------
    size
        n, the features of the subgraph.
    density
        2m / (n (n - 1)).
    degree_ratio
        Largest over mean degree; n - 1 where there is no edge.
    clustering
        Mean local clustering, 0 for degree below two.
    diameter
        Longest shortest path; n - 1 where the subgraph is not connected.

    Returns
    -------
    float64, shape (..., 3), within [0, 1]
        1/3 each where all three distances are 0; 0 each for a single feature.

    References
    ----------
    Clarke, Bhatnagar, Bloom 2024, Compositionality and Ambiguity: Latent Co-occurrence and
    Interpretable Subspaces.
    """
    given = (np.asarray(value, np.float64) for value in (size, density, degree_ratio, clustering, diameter))
    n, *point = np.broadcast_arrays(*given)
    point[1] = np.minimum(point[1], n - 1)
    others = np.maximum(n - 1, 1)
    one, none, two = np.ones_like(n), np.zeros_like(n), np.full_like(n, 2)
    ideals = ((2 / np.maximum(n, 1), n - 1, none, two), (one, one, one, one), (2 / others, two, none, n - 1))
    squares = [sum((x - y) ** 2 for x, y in zip(point, ideal, strict=True)) for ideal in ideals]
    distances = np.sqrt(np.stack(squares, -1))
    total = distances.sum(-1, keepdims=True)
    share = np.divide(distances, total, out=np.full_like(distances, 2 / 3), where=total > 0)
    return np.asarray(np.where(n[..., None] > 1, 1 - share, 0.0), np.float64)


def peer_cut(
    a: Integers, b: Integers, jaccard: Floats, *, low: int = SMALLEST, high: int = LARGEST, tolerance: float = TOLERANCE
) -> PeerCut:
    """Return the edge cut that their rule chooses, by bisection of [0, 1].

    The first midpoint whose largest component has `low` to `high` features; where the interval gets
    narrower than `tolerance` before, the midpoint whose largest component came closest to the
    middle of the two. A size is aimed at, and nothing about the data: another SAE gets another cut.

    Parameters
    ----------
    a, b
        Ends of each pair, shape (n_pairs,).
    jaccard
        Tokens with both over tokens with either, shape (n_pairs,), within [0, 1].
    """
    bottom, top = 0.0, 1.0
    best: PeerCut | None = None
    while best is None or top - bottom > tolerance:
        middle = (bottom + top) / 2
        largest = _largest(a, b, jaccard, middle)
        found = PeerCut(middle, largest, low <= largest <= high)
        if found.in_range:
            return found
        bottom, top = (bottom, middle) if found.largest < low else (middle, top)
        if best is None or abs(found.largest - (low + high) / 2) < abs(best.largest - (low + high) / 2):
            best = found
    return best


def peer_clusters(a: Integers, b: Integers, jaccard: Floats, *, cut: float, n_features: int) -> npt.NDArray[np.int64]:
    """Return the connected component of each feature over the pairs with jaccard >= cut.

    Numbered by size, the largest 0, ties by the lowest member; a feature without an edge is alone.

    Returns
    -------
    int64, shape (n_features,)
    """
    kept = jaccard >= cut
    ends = np.asarray(a)[kept], np.asarray(b)[kept]
    graph = scipy.sparse.coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(n_features, n_features))
    return by_size(connected_components(graph, directed=False)[1].astype(np.int64))


def _largest(a: Integers, b: Integers, jaccard: Floats, cut: float) -> int:
    n_features = int(max(np.max(a, initial=0), np.max(b, initial=0))) + 1
    return int(np.bincount(peer_clusters(a, b, jaccard, cut=cut, n_features=n_features)).max())
