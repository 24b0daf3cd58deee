"""The order of parents and children: which pairs are direct, and how deep each feature lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse


def direct_pairs(parent: npt.NDArray[np.integer], child: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Return which pairs the transitive reduction keeps: bool, shape (n,).

    A pair is direct where no way of two pairs or more leads from the parent to the child. Of a graph without
    cycles, which this must be, the reduction is unique, and every ancestor is still reached through direct
    pairs. A child may have several direct parents.

    Features that are the same are not joined to one before. They need not be: each of two equal features under
    one parent is its direct child, each of two equal parents is a direct parent, and no pair is lost by it.
    And they must not be: to be the same is not transitive. In a chain of near-equal features the ends are parent
    and child, and a feature between the two may be a child of one end and a parent of the other; as one node
    the chain would be its own ancestor.

    Cost is that of log2(depth) sparse products.

    References
    ----------
    Aho, Garey, Ullman 1972, doi:10.1137/0201008.
    """
    if len(parent) == 0:
        return np.zeros(0, bool)
    edges, p, c = _graph(parent, child)
    around = _reached(edges) @ edges
    return ~np.asarray(around[p, c]).ravel()


def n_ancestors(parent: npt.NDArray[np.integer], child: npt.NDArray[np.integer]) -> int:
    """Return how many pairs of features a way of one pair or more leads between, from above to below.

    As many as the pairs themselves where they are their own transitive closure. What is more follows from others
    alone and is not claimed: a feature that covers most of a parent need not cover a rare child of it.
    """
    return int(_reached(_graph(parent, child)[0]).nnz) if len(parent) else 0


def depths(
    parent: npt.NDArray[np.integer], child: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the features that are parent or child of any, ascending, and the depth of each.

    The depth is the number of pairs on the longest way down to the feature: 0 for a root, and more for a child
    than for each of its parents.
    """
    nodes, place = np.unique(np.concatenate([parent, child]).astype(np.int64), return_inverse=True)
    p, c = np.split(place.ravel(), 2)
    depth = np.zeros(len(nodes), np.int64)
    while True:
        deeper = depth.copy()
        np.maximum.at(deeper, c, depth[p] + 1)
        if np.array_equal(deeper, depth):
            return nodes, depth
        depth = deeper


def _reached(edges: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Return the transitive closure: each product doubles the longest way that is known."""
    reached = edges
    while True:
        further = reached + reached @ reached
        if further.nnz == reached.nnz:
            return reached
        reached = further


def _graph(
    parent: npt.NDArray[np.integer], child: npt.NDArray[np.integer]
) -> tuple[scipy.sparse.csr_matrix, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs as a matrix of bools over the features that have any, and the places of both in it."""
    nodes, place = np.unique(np.concatenate([parent, child]), return_inverse=True)
    p, c = np.split(place.ravel(), 2)
    return scipy.sparse.csr_matrix((np.ones(len(p), bool), (p, c)), shape=(len(nodes),) * 2), p, c
