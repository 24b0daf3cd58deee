"""The numbers that a community's graph alone decides, by igraph: the oracle of the Cypher queries."""

from __future__ import annotations

from dataclasses import dataclass

import igraph
import numpy as np


@dataclass(frozen=True)
class Topology:
    """Numbers of one subgraph of n nodes and m edges with degrees d.

    Attributes
    ----------
    size, n_edges : int
        n and m.
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
    strength : float
        Mean phi of the edges; 0 without edges.
    hub : int
        Node with the highest degree; ties go to the larger sum of phi, then to the lower index.

    References
    ----------
    Freeman 1978, doi:10.1016/0378-8733(78)90021-7.
    """

    size: int
    n_edges: int
    density: float
    centralization: float
    clustering: float
    triangles: int
    diameter: int
    strength: float
    hub: int


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
    return Topology(
        size=n,
        n_edges=m,
        density=2 * m / (n * (n - 1)) if n > 1 else 0.0,
        centralization=spread / ((n - 1) * (n - 2)) if n > 2 else 0.0,
        clustering=float(np.mean(local)),
        triangles=len(graph.list_triangles()) if m else 0,
        diameter=int(graph.diameter()),
        strength=float(phi.mean()) if m else 0.0,
        hub=int(index[hub]),
    )
