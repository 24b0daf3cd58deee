"""The planted world W8: graphs of a known shape with edge noise, and random connected graphs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import igraph
import numpy as np

Edges = set[tuple[int, int]]
ADDED, REMOVED = 0.08, 0.05
"""Share of the absent pairs that is added, and of the edges that is removed."""
SIZES = range(4, 21)
PHI = 0.3


def star(n: int) -> Edges:
    """Return the edges of a hub, node 0, to all others."""
    return {(0, i) for i in range(1, n)}


def clique(n: int) -> Edges:
    """Return all pairs."""
    return set(combinations(range(n), 2))


def chain(n: int) -> Edges:
    """Return the edges of a path."""
    return {(i, i + 1) for i in range(n - 1)}


def ring(n: int) -> Edges:
    """Return the edges of a cycle."""
    return chain(n) | {(0, n - 1)}


def bipartite(n: int) -> Edges:
    """Return all pairs between two halves."""
    return {(i, j) for i in range(n // 2) for j in range(n // 2, n)}


def core_periphery(n: int) -> Edges:
    """Return all pairs in which at least one node is of the core, a third of the nodes."""
    return {(i, j) for i, j in combinations(range(n), 2) if i < n // 3}


ARCHETYPES: dict[str, tuple[Callable[[int], Edges], int]] = {
    "star": (star, 4),
    "clique": (clique, 4),
    "chain": (chain, 4),
    "ring": (ring, 5),
    "bipartite": (bipartite, 6),
    "core-periphery": (core_periphery, 6),
}
"""Each shape and its smallest number of nodes: below, it is another one (two halves of two are a ring)."""


def noisy(edges: Edges, n: int, rng: np.random.Generator) -> Edges:
    """Return a graph with each absent pair added with probability .08, and each edge removed with .05."""
    chance = rng.random(n * (n - 1) // 2)
    pairs = zip(combinations(range(n), 2), chance.tolist(), strict=True)
    return {pair for pair, draw in pairs if (draw >= REMOVED if pair in edges else draw < ADDED)}


def random_connected(n: int, rng: np.random.Generator) -> Edges:
    """Return a random tree (of Prüfer's sequences, each as likely) and further edges, their number uniform.

    n is 3 or more.
    """
    edges = _prufer(rng.integers(0, n, n - 2).tolist(), n)
    absent = sorted(clique(n) - edges)
    more = int(rng.integers(0, len(absent) + 1))
    return edges | {absent[k] for k in rng.permutation(len(absent))[:more].tolist()}


def _prufer(sequence: list[int], n: int) -> Edges:
    degree = [1 + sequence.count(node) for node in range(n)]
    edges = set()
    for node in sequence:
        leaf = degree.index(1)
        edges.add((min(leaf, node), max(leaf, node)))
        degree[leaf] -= 1
        degree[node] -= 1
    one, two = (node for node in range(n) if degree[node] == 1)
    return edges | {(one, two)}


def largest_component(edges: Edges, n: int) -> igraph.Graph:
    """Return the largest component as a graph with `index` and `phi`, as communities are."""
    graph = igraph.Graph(n, sorted(edges))
    graph.vs["index"] = list(range(n))
    graph.es["phi"] = [PHI] * graph.ecount()
    return graph.connected_components().giant()


def planted_graphs(seed: int, *, small: bool = False) -> list[tuple[str, int, igraph.Graph]]:
    """Return (shape, planted nodes, largest component) of every shape and size, and of random connected graphs.

    Parameters
    ----------
    small
        Two graphs of each instead of five.
    """
    rng = np.random.default_rng([seed, 8])
    found = []
    for n in SIZES:
        for _ in range(2 if small else 5):
            for name, (edges, smallest) in ARCHETYPES.items():
                if n >= smallest:
                    found.append((name, n, largest_component(noisy(edges(n), n, rng), n)))
            found.append(("random", n, largest_component(random_connected(n, rng), n)))
    return found
