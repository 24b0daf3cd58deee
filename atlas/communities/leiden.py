"""Leiden communities under the constant Potts model, each level found inside the coarser one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import igraph
import numpy as np
import numpy.typing as npt


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give igraph a generator of its own while the block runs; the global one is untouched."""
    igraph.set_random_number_generator(random.Random(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)


def partition(graph: igraph.Graph, *, resolution: float, seed: int) -> npt.NDArray[np.int64]:
    """Return the community of each node that maximises sum_c [w_c - gamma n_c (n_c - 1) / 2].

    gamma is the mean internal weight below which a community falls apart; the constant Potts
    model has no resolution limit. Leiden is a heuristic: the same seed gives the same result,
    another seed may give another.

    Parameters
    ----------
    graph
        Undirected, edge attribute `phi` as weight.
    resolution
        gamma, in units of phi per pair.
    seed
        Seed of the order in which nodes are visited.

    Returns
    -------
    int64, shape (n_nodes,)

    References
    ----------
    Traag, Waltman, van Eck 2019, doi:10.1038/s41598-019-41695-z; Traag, Van Dooren, Nesterov
    2011, doi:10.1103/PhysRevE.84.016114.
    """
    if graph.ecount() == 0:
        return np.arange(graph.vcount())
    with seeded(seed):
        found = graph.community_leiden(objective_function="CPM", weights="phi", resolution=resolution, n_iterations=-1)
    return np.asarray(found.membership, np.int64)


def nested_partition(graph: igraph.Graph, *, resolutions: Sequence[float], seed: int) -> list[npt.NDArray[np.int64]]:
    """Return one partition for each resolution, each strictly inside the one before.

    The finer partition is found inside each community of the coarser, so a community never has
    two parents. Communities are numbered by size, the largest 0; ties by their lowest member.

    Parameters
    ----------
    resolutions
        Ascending: coarse first.
    """
    levels: list[npt.NDArray[np.int64]] = []
    above = np.zeros(graph.vcount(), np.int64)
    for resolution in resolutions:
        inside = np.empty(graph.vcount(), np.int64)
        used = 0
        for members in _groups(above):
            part = partition(graph.induced_subgraph(members.tolist()), resolution=resolution, seed=seed)
            inside[members] = part + used
            used += int(part.max()) + 1
        above = by_size(inside)
        levels.append(above)
    return levels


def by_size(membership: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the membership renumbered, largest community 0, ties by lowest member."""
    _, first, label, size = np.unique(membership, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(size), np.int64)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return rank[label]


def _groups(membership: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    order = np.argsort(membership, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(membership[order])) + 1)
