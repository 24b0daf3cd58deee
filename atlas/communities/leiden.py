"""Leiden communities under the constant Potts model: found by igraph, polished by leidenalg, nested by levels."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import igraph
import leidenalg
import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
POLISHING = 2
"""Rounds of leidenalg from a partition that igraph left stable: each takes ten times as long as one of igraph's."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give igraph a generator of its own while the block runs; the global one is untouched."""
    igraph.set_random_number_generator(random.Random(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)


def partition(graph: igraph.Graph, *, resolution: float, seed: int, n_iterations: int = -1) -> Labels:
    """Return the community of each node that maximises sum_c [w_c - gamma n_c (n_c - 1) / 2].

    gamma is the mean internal weight below which a community falls apart; the constant Potts
    model has no resolution limit. Leiden is a heuristic: the same seed gives the same result,
    another seed may give another.

    Parameters
    ----------
    graph
        Undirected, edge attribute `phi` as weight; a negative weight drives its ends apart.
    resolution
        gamma, in units of phi per pair.
    seed
        Seed of the order in which nodes are visited.
    n_iterations
        Rounds of Leiden, each from the one before; negative: until a round changes nothing.

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
        found = graph.community_leiden("CPM", weights="phi", resolution=resolution, n_iterations=n_iterations)
    return np.asarray(found.membership, np.int64)


def polish(graph: igraph.Graph, membership: Labels, *, resolution: float, seed: int) -> Labels:
    """Return the membership after leidenalg went on from it for two rounds.

    The objective is that of `partition` and never falls. Where the graph has negative weights, it is
    the multiplex form: the edges of positive weight are one layer, those of negative weight, by their
    size, another with layer weight -1 and resolution 0. The two layers' sum is the same objective.

    Parameters
    ----------
    graph, resolution, seed
        As in `partition`.
    membership
        Where to begin, int64, shape (n_nodes,).

    References
    ----------
    Traag, Waltman, van Eck 2019, doi:10.1038/s41598-019-41695-z; Traag, Bruggeman 2009,
    doi:10.1103/PhysRevE.80.036115 (negative links).
    """
    if graph.ecount() == 0:
        return membership
    phi = np.asarray(graph.es["phi"])
    start = {"initial_membership": membership.tolist()}
    kind = leidenalg.CPMVertexPartition
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(seed)
    if (phi >= 0).all():
        found = kind(graph, weights="phi", resolution_parameter=resolution, **start)
        optimiser.optimise_partition(found, n_iterations=POLISHING)
    else:
        positive, negative = (_edges_where(graph, keep) for keep in (phi >= 0, phi < 0))
        found = kind(positive, weights="phi", resolution_parameter=resolution, **start)
        apart = kind(negative, weights=(-phi[phi < 0]).tolist(), resolution_parameter=0, **start)
        optimiser.optimise_partition_multiplex([found, apart], layer_weights=[1, -1], n_iterations=POLISHING)
    return np.asarray(found.membership, np.int64)


def quality(graph: igraph.Graph, membership: Labels, *, resolution: float) -> float:
    """Return sum_c [w_c - gamma n_c (n_c - 1) / 2] over the weight of all edges: 1 at most, 0 without edges.

    It compares partitions at one resolution, not across resolutions. Negative weights count in w_c,
    and by their size in the weight of all edges.
    """
    phi = np.asarray(graph.es["phi"] if graph.ecount() else [], np.float64)
    size = np.bincount(membership).astype(np.float64)
    inside = float(phi[inner(graph, membership)].sum() - resolution * np.sum(size * (size - 1) / 2))
    return inside / float(np.abs(phi).sum()) if graph.ecount() else 0.0


def inner(graph: igraph.Graph, membership: Labels) -> npt.NDArray[np.bool_]:
    """Return for each edge whether its ends share a community: bool, shape (n_edges,)."""
    a, b = ends(graph)
    same: npt.NDArray[np.bool_] = membership[a] == membership[b]
    return same


def ends(graph: igraph.Graph) -> tuple[Labels, Labels]:
    """Return the two nodes of each edge: int64, shape (n_edges,) each."""
    both = np.array(graph.get_edgelist(), np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def within(graph: igraph.Graph, above: Labels, together: npt.NDArray[np.bool_] | None = None) -> igraph.Graph:
    """Return the graph with the edges inside the communities of `above` alone, and all nodes.

    What Leiden finds there lies inside the communities of `above`: at gamma > 0 two nodes without a
    path of edges between them are worth less together than apart. `together` leaves out more edges.
    """
    keep = inner(graph, above)
    return _edges_where(graph, keep if together is None else keep & together)


def nested_partition(graph: igraph.Graph, *, resolutions: Sequence[float], seed: int) -> list[Labels]:
    """Return one partition for each resolution, each strictly inside the one before.

    The finer partition is found inside each community of the coarser, so a community never has
    two parents. Communities are numbered by size, the largest 0; ties by their lowest member.
    It is one run of one seed, neither a consensus nor polished.

    Parameters
    ----------
    resolutions
        Ascending: coarse first.
    """
    levels: list[Labels] = []
    above = np.zeros(graph.vcount(), np.int64)
    for resolution in resolutions:
        above = by_size(partition(within(graph, above), resolution=resolution, seed=seed))
        levels.append(above)
    return levels


def by_size(membership: Labels) -> Labels:
    """Return the membership renumbered, largest community 0, ties by lowest member."""
    _, first, label, size = np.unique(membership, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(size), np.int64)
    rank[np.lexsort((first, -size))] = np.arange(len(size))
    return rank[label]


def _edges_where(graph: igraph.Graph, keep: npt.NDArray[np.bool_]) -> igraph.Graph:
    return graph.subgraph_edges(np.flatnonzero(keep).tolist(), delete_vertices=False)
