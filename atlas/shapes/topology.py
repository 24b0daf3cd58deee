"""The numbers that a community's graph alone decides, by igraph: the oracle of the Cypher queries."""

from __future__ import annotations

from dataclasses import dataclass

import igraph
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Topology:
    """Numbers of one subgraph of n nodes and m edges with degrees d and weights phi.

    A weight that is missing or negative counts as 0. A node's strength is the sum of its weights.

    Attributes
    ----------
    size, n_edges : int
        n and m.
    components : int
        Connected components: 1 for any community, since Leiden's are connected.
    density : float
        2m / (n (n - 1)); 0 below two nodes.
    centralization : float
        sum(d_max - d_i) / ((n - 1)(n - 2)): star 1, clique and ring 0; 0 below three nodes.
    clustering : float
        Mean local clustering, 0 for nodes of degree below two.
    triangles : int
        Closed triads.
    diameter : int
        Longest shortest path, within components where there are several.
    degree_ratio : float
        Largest over mean degree; n - 1 without edges, 0 for one node.
    strength : float
        Mean phi of the edges; 0 without edges.
    weighted_density : float
        Mean weight over all pairs of nodes.
    weighted_centralization : float
        Freeman's sum over strengths, over the same for a star whose edges all have the largest weight.
    weighted_clustering : float
        Mean local clustering in which a triad counts by its two edges at the node.
    leaf_ratio : float or None
        Mean weight between two leaves over the mean between hub and leaf: 0 for a star, 1 for a
        clique of equal weights. None below three nodes, or where the hub has no edge.
    hub : int
        Node with the highest degree; ties go to the larger sum of phi, then to the lower index.

    References
    ----------
    Freeman 1978, doi:10.1016/0378-8733(78)90021-7; Barrat, Barthelemy, Pastor-Satorras, Vespignani
    2004, doi:10.1073/pnas.0400087101 (weighted clustering).
    """

    size: int
    n_edges: int
    components: int
    density: float
    centralization: float
    clustering: float
    triangles: int
    diameter: int
    degree_ratio: float
    strength: float
    weighted_density: float
    weighted_centralization: float
    weighted_clustering: float
    leaf_ratio: float | None
    hub: int


@dataclass(frozen=True)
class Degrees:
    """What the class of a community is read from: the fields of the same names of `Topology`."""

    size: int
    n_edges: int
    density: float
    centralization: float
    hub: int


def degrees_of(graph: igraph.Graph, membership: npt.NDArray[np.int64]) -> list[Degrees]:
    """Return the numbers of each community at once: those of `topology` for each induced subgraph.

    Parameters
    ----------
    graph
        Simple, edge attribute `phi`, node attribute `index`.
    membership
        Number of each node's community, from 0 without gaps, or -1; shape (n_nodes,).
    """
    k = int(membership.max(initial=-1)) + 1
    if k == 0:
        return []
    ends = np.asarray(graph.get_edgelist(), np.int64).reshape(-1, 2)
    phi = np.asarray(graph.es["phi"] if len(ends) else [], np.float64)
    inside = (membership[ends[:, 0]] == membership[ends[:, 1]]) & (membership[ends[:, 0]] >= 0)
    halves, weights = ends[inside].ravel(), phi[inside].repeat(2)
    degree = np.bincount(halves, minlength=len(membership))
    strength = np.bincount(halves, weights, minlength=len(membership))
    index = np.asarray(graph.vs["index"], np.int64)
    order = np.lexsort((index, -np.round(strength, 12), -degree, membership))
    order = order[membership[order] >= 0]
    hub = order[np.flatnonzero(np.diff(membership[order], prepend=-1))]
    n = np.bincount(membership[order], minlength=k)
    m = np.bincount(membership[ends[inside, 0]], minlength=k)
    pairs, triads = n * (n - 1), (n - 1) * (n - 2)
    density = np.divide(2 * m, pairs, out=np.zeros(k), where=pairs > 0)
    centralization = np.divide(n * degree[hub] - 2 * m, triads, out=np.zeros(k), where=triads > 0)
    columns = (n, m, density, centralization, index[hub])
    return [Degrees(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def topology(graph: igraph.Graph) -> Topology:
    """Return the numbers of a simple graph with edge attribute `phi`, node attribute `index`."""
    n, m = graph.vcount(), graph.ecount()
    degree = np.asarray(graph.degree(), np.int64)
    phi = np.asarray(graph.es["phi"], np.float64) if m else np.zeros(0)
    strength = np.asarray(graph.strength(weights="phi")) if m else np.zeros(n)
    index = np.asarray(graph.vs["index"], np.int64)
    hub = int(np.lexsort((index, -np.round(strength, 12), -degree))[0])
    spread = int((degree.max() - degree).sum())
    local = graph.transitivity_local_undirected(mode="zero")
    weighted = _weighted(_of_positive(graph, phi), hub)
    return Topology(
        size=n,
        n_edges=m,
        components=len(graph.connected_components()),
        density=2 * m / (n * (n - 1)) if n > 1 else 0.0,
        centralization=spread / ((n - 1) * (n - 2)) if n > 2 else 0.0,
        clustering=float(np.mean(local)),
        triangles=len(graph.list_triangles()) if m else 0,
        diameter=int(graph.diameter()),
        degree_ratio=n * int(degree.max()) / (2 * m) if m else float(n - 1),
        strength=float(phi.mean()) if m else 0.0,
        weighted_density=weighted[0],
        weighted_centralization=weighted[1],
        weighted_clustering=weighted[2],
        leaf_ratio=weighted[3],
        hub=int(index[hub]),
    )


def _of_positive(graph: igraph.Graph, phi: npt.NDArray[np.float64]) -> igraph.Graph:
    if (phi > 0).all():
        return graph
    return graph.subgraph_edges(np.flatnonzero(phi > 0).tolist(), delete_vertices=False)


def _weighted(graph: igraph.Graph, hub: int) -> tuple[float, float, float, float | None]:
    """Return density, centralization, clustering and leaf ratio by weight, of a graph of positive weights."""
    n, m = graph.vcount(), graph.ecount()
    if m == 0:
        return 0.0, 0.0, 0.0, None
    phi = np.asarray(graph.es["phi"], np.float64)
    strength: npt.NDArray[np.float64] = np.asarray(graph.strength(weights="phi"), np.float64)
    density = 2 * float(phi.sum()) / (n * (n - 1))
    local = graph.transitivity_local_undirected(mode="zero", weights="phi")
    if n < 3:
        return density, 0.0, float(np.mean(local)), None
    spread = float((strength.max() - strength).sum()) / ((n - 1) * (n - 2) * float(phi.max()))
    with_hub = float(strength[hub]) / (n - 1)
    between = 2 * (float(phi.sum()) - float(strength[hub])) / ((n - 1) * (n - 2))
    ratio = max(between, 0.0) / with_hub if with_hub > 0 else None
    return density, spread, float(np.mean(local)), ratio
