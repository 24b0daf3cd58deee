"""What random connected graphs show: the p-value of a centralization, and how often chance gives each class."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import igraph
import numba
import numpy as np
import numpy.typing as npt

from atlas.shapes.classes import CommunityShape, Rules, community_shape
from atlas.shapes.exclusivity import Evidence
from atlas.shapes.topology import Topology, topology

SMALLEST, ENUMERATED = 4, 7
DRAWS = 1000
MOST_BETWEEN = 250
MOST_NEAR = 4096
"""Nodes up to which a matrix, 16 MiB at most, says beside the lists which pairs are joined."""


@dataclass(frozen=True)
class ConnectedGraph:
    """One connected graph up to isomorphism, and in how many ways its nodes can be labelled."""

    graph: igraph.Graph
    labelled: int


@functools.cache
def connected_graphs(n: int) -> tuple[ConnectedGraph, ...]:
    """Return all connected graphs on n nodes, n at most 7: 1, 1, 2, 6, 21, 112, 853 of them.

    A graph can be labelled in n! / (its automorphisms) ways.

    References
    ----------
    Read, Wilson 1998, An Atlas of Graphs, Oxford University Press.
    """
    atlas = (igraph.Graph.Atlas(number) for number in range(1253))
    found = [graph for graph in atlas if graph.vcount() == n and graph.is_connected()]
    for graph in found:
        graph.vs["index"] = range(n)
        graph.es["phi"] = 1.0
    return tuple(ConnectedGraph(graph, math.factorial(n) // graph.count_automorphisms()) for graph in found)


def chance_of(shape: CommunityShape, size: int, rules: Rules | None = None) -> float | None:
    """Return the share of random connected graphs on `size` nodes with this class; None above 7 nodes.

    All labelled connected graphs are equally likely, whatever their number of edges. `hub-spoke`
    and `star-like` are one class here, the star: topology alone does not tell them apart. A star is
    42, 15 and 12 % of the graphs on 4, 5 and 6 nodes.
    """
    if not 2 <= size <= ENUMERATED:
        return None
    return _rates(size, rules or Rules()).get("star-like" if shape == "hub-spoke" else shape, 0.0)


def centralization_p(numbers: Topology, *, seed: int = 0, draws: int = DRAWS) -> float | None:
    """Return how often a random connected graph of as many nodes and edges is as centralized, or more.

    Every labelled connected graph with n nodes and m edges is equally likely. Exact up to 7 nodes;
    above, (1 + draws that are as centralized) / (1 + draws). Given n and m, the centralization is
    the largest degree by another name. Meaningless for an ego subgraph, whose hub is given.

    Parameters
    ----------
    numbers
        Of a subgraph; None is returned where it is not connected, and below four nodes, where all
        graphs with as many edges are as centralized.
    seed
        Seed of the draws, for each n and m their own.
    draws
        Random graphs for each n and m.
    """
    n, m = numbers.size, numbers.n_edges
    if numbers.components != 1 or n < SMALLEST:
        return None
    largest = round((numbers.centralization * (n - 1) * (n - 2) + 2 * m) / n)
    if n <= ENUMERATED:
        degrees, ways = _enumerated(n, m)
        return float(ways[degrees >= largest].sum() / ways.sum())
    drawn = largest_degrees(n, m, seed=seed, draws=draws)
    return float((1 + (drawn >= largest).sum()) / (1 + draws))


@functools.cache
def largest_degrees(n: int, m: int, *, seed: int = 0, draws: int = DRAWS) -> npt.NDArray[np.int64]:
    """Return the largest degrees of random connected graphs with n nodes and m edges.

    A Markov chain over these graphs: a random edge is replaced by a random pair without one, and
    the step is taken where the graph stays connected. Steps and their reverse are equally likely,
    so all the graphs are. It starts at a random tree with further edges at random. With
    r = min(m, n (n - 1) / 2 - m), 10 r steps come before the first draw and r / 2 between two, 250 at
    most: draws depend on each other a little, those from large graphs more.

    Returns
    -------
    int64, shape (draws,)

    References
    ----------
    Anari, Liu, Oveis Gharan, Vinzant 2019, doi:10.1145/3313276.3316385: such walks mix in about
    r log r steps (connected graphs with m edges are the bases of a matroid).
    """
    absent = n * (n - 1) // 2 - m
    if absent == 0:
        return np.full(draws, n - 1)
    state = np.random.SeedSequence([seed, n, m]).generate_state(1)[0]
    rank = min(m, absent)
    between = min((rank + 1) // 2, MOST_BETWEEN)
    near = np.zeros((n, n) if n <= MOST_NEAR else (0, 0), np.bool_)
    drawn: npt.NDArray[np.int64] = _walk(n, m, draws, 10 * rank, between, np.uint32(state), near)
    return drawn


@functools.cache
def _rates(size: int, rules: Rules) -> dict[CommunityShape, float]:
    rates: dict[CommunityShape, float] = {}
    graphs = connected_graphs(size)
    every = sum(one.labelled for one in graphs)
    for one in graphs:
        shape = community_shape(topology(one.graph), Evidence(), rules)
        rates[shape] = rates.get(shape, 0.0) + one.labelled / every
    return rates


@functools.cache
def _enumerated(n: int, m: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the largest degree of each connected graph with n nodes and m edges, and its labellings."""
    graphs = [one for one in connected_graphs(n) if one.graph.ecount() == m]
    return np.array([one.graph.maxdegree() for one in graphs]), np.array([one.labelled for one in graphs])


@numba.njit(cache=True, nogil=True)
def _detach(half, at, first, after, before):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    if before[half] >= 0:
        after[before[half]] = after[half]
    else:
        first[at[half]] = after[half]
    if after[half] >= 0:
        before[after[half]] = before[half]


@numba.njit(cache=True, nogil=True)
def _attach(half, node, at, first, after, before):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    at[half] = node
    before[half] = -1
    after[half] = first[node]
    if first[node] >= 0:
        before[first[node]] = half
    first[node] = half


@numba.njit(cache=True, nogil=True)
def _joined(x, y, at, first, after, near):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    if len(near):
        return near[x, y]
    half = first[x]
    while half >= 0:
        if at[half ^ 1] == y:
            return True
        half = after[half]
    return False


@numba.njit(cache=True, nogil=True)
def _join(x, y, near, joined):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    if len(near):
        near[x, y] = near[y, x] = joined


@numba.njit(cache=True, nogil=True)
def _share(x, y, at, first, after, near):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return whether two nodes have a common neighbour: False, too, where no matrix tells."""
    half = first[x] if len(near) else -1
    while half >= 0:
        if near[at[half ^ 1], y]:
            return True
        half = after[half]
    return False


@numba.njit(cache=True, nogil=True)
def _reaches(x, y, at, first, after, seen, stamp, queue, span):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return whether y can be reached from x, looking from both, one node of each in turn."""
    queue[0, 0], queue[1, 0] = x, y
    seen[x], seen[y] = stamp, stamp + 1
    span[:, 0], span[:, 1] = 0, 1
    while True:
        for side in range(2):
            if span[side, 0] == span[side, 1]:
                return False
            half = first[queue[side, span[side, 0]]]
            span[side, 0] += 1
            while half >= 0:
                other = at[half ^ 1]
                if seen[other] == stamp + 1 - side:
                    return True
                if seen[other] != stamp + side:
                    seen[other] = stamp + side
                    queue[side, span[side, 1]] = other
                    span[side, 1] += 1
                half = after[half]


@numba.njit(cache=True, nogil=True)
def _begin(n, m, near):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return a random tree with further edges at random, as half-edges in lists."""
    at = np.empty(2 * m, np.int64)
    after, before = np.full(2 * m, -1), np.full(2 * m, -1)
    first = np.full(n, -1)
    order = np.random.permutation(n)
    for edge in range(m):
        x, y = 0, 0
        if edge < n - 1:
            x, y = order[edge + 1], order[np.random.randint(0, edge + 1)]
        else:
            while x == y or _joined(x, y, at, first, after, near):
                x, y = np.random.randint(0, n), np.random.randint(0, n)
        _join(x, y, near, True)
        _attach(2 * edge, x, at, first, after, before)
        _attach(2 * edge + 1, y, at, first, after, before)
    return at, first, after, before


@numba.njit(cache=True, nogil=True)
def _move(edge, x, y, at, first, after, before):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    for half, node in ((2 * edge, x), (2 * edge + 1, y)):
        _detach(half, at, first, after, before)
        _attach(half, node, at, first, after, before)


@numba.njit(cache=True, nogil=True)
def _walk(n, m, draws, before_first, between, seed, near):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Walk over connected graphs, and note the largest degree every `between` steps after `before_first`.

    Half-edges 2e and 2e + 1 of edge e hang in a doubly linked list at each node; `near`, all False, or without
    rows where it would be too large, is kept as the adjacency matrix.
    """
    np.random.seed(seed)
    at, first, after, before = _begin(n, m, near)
    degree = np.bincount(at, minlength=n)
    seen, stamp = np.full(n, -1), 0
    queue, span = np.empty((2, n), np.int64), np.empty((2, 2), np.int64)
    out = np.empty(draws, np.int64)
    for step in range(before_first + draws * between):
        edge = np.random.randint(0, m)
        u, v = at[2 * edge], at[2 * edge + 1]
        x, y = 0, 0
        while x == y or _joined(x, y, at, first, after, near):
            x, y = np.random.randint(0, n), np.random.randint(0, n)
        _move(edge, x, y, at, first, after, before)
        _join(u, v, near, False)
        _join(x, y, near, True)
        stamp += 2
        if _share(u, v, at, first, after, near) or _reaches(u, v, at, first, after, seen, stamp, queue, span):
            degree[u] -= 1
            degree[v] -= 1
            degree[x] += 1
            degree[y] += 1
        else:
            _move(edge, u, v, at, first, after, before)
            _join(x, y, near, False)
            _join(u, v, near, True)
        walked = step + 1 - before_first
        if walked > 0 and walked % between == 0:
            out[walked // between - 1] = degree.max()
    return out
