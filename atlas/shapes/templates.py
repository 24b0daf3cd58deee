"""Code lengths: which ideal graph says most shortly what a community's graph is, and by how many bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import igraph
import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from atlas.shapes.placements import EXACT, Matrix, has_ring, path_edges, two_part_lengths

Template = Literal["star", "chain", "ring", "bipartite", "core-periphery", "undetermined"]
Floats = npt.NDArray[np.float64]
MIN_SIZE = 4
MOST_PLACED = 1000
MIN_MARGIN = 2.0
ROUNDING = 1e-9
"""Lengths are sums of logarithms: a margin this little below two bits is one of two bits."""


@dataclass(frozen=True)
class Description:
    """The shortest description of a graph by an ideal one.

    Attributes
    ----------
    template : str
        The ideal graph; `undetermined` where the margin is below two bits.
    margin_bits : float
        Bits by which the shortest template beats the next one and the random graph; 0 where the
        random graph is the shortest.
    lengths : dict of str to float
        Bits of each template that was placed, and of `random`. A template that could not have beaten
        the random graph wherever it was placed is left out.
    """

    template: Template
    margin_bits: float
    lengths: dict[str, float]


def describe(graph: igraph.Graph, *, exact: int = EXACT) -> Description | None:
    """Return how a graph is described most shortly; None below four nodes.

    The length of a template with M edges, laid over a graph of n nodes and m edges so that k edges
    fall together, N = n (n - 1) / 2:

        log2 (ways to place its roles) + log2 C(M, M - k) + log2 C(N - M, m - k) + (M - k) + (m - k)

    that is, the roles, which edges are missing, which are extra, and the two counts, a bit for each
    unit. The random graph takes log2 C(N, m). The placement is the one with the most edges together
    (of a two-part template, the shortest over the sizes of its parts).

    star: a hub and its leaves, n ways. clique: one way. chain: n! / 2 ways. ring: (n - 1)! / 2 ways;
    a ring with an edge missing is a chain, which it describes in exactly as many ways, so a ring is
    placed only where it closes. bipartite: each node of one part with each of the other, two or more
    in each. core-periphery: a core of two or more, each with all nodes, and two or more around it
    without edges among themselves. The parts are any two: 2^(n-1) - 1 - n and 2^n - 2 - 2n ways.

    A clique is nothing but the random graph with all edges, so it never beats it: density alone
    speaks for it. Above 1,000 nodes star and clique alone are placed. A margin says that the ideal is
    a shorter description, not why.

    Parameters
    ----------
    graph
        Simple and undirected.
    exact
        Nodes up to which every placement is gone through, in 2^n steps; larger graphs are searched.

    References
    ----------
    Rissanen 1978, doi:10.1016/0005-1098(78)90005-5 (two-part codes); Borgatti, Everett 2000,
    doi:10.1016/S0378-8733(99)00019-2 (core and periphery).
    """
    n, m = graph.vcount(), graph.ecount()
    if n < MIN_SIZE:
        return None
    random = float(_choose(n * (n - 1) / 2, m))
    lengths: dict[str, float] = {**_one_role(graph), "random": random}
    if n <= MOST_PLACED:
        adjacency = np.zeros((n, n), np.int64)
        ends = np.asarray(graph.get_edgelist(), np.int64).reshape(-1, 2)
        adjacency[ends[:, 0], ends[:, 1]] = adjacency[ends[:, 1], ends[:, 0]] = 1
        lengths |= _paths(adjacency, m, random, exact) | _two_parts(adjacency, m, random, exact)
    found = sorted((bits, name) for name, bits in lengths.items() if name != "random")
    best, name = found[0]
    margin = max(min(random, found[1][0]) - best, 0.0)
    template: Template = name if margin >= MIN_MARGIN - ROUNDING else "undetermined"  # type: ignore[assignment]  # of its keys
    return Description(template, margin, lengths)


def _one_role(graph: igraph.Graph) -> dict[str, float]:
    n, m = graph.vcount(), graph.ecount()
    degree = np.asarray(graph.degree(), np.int64)
    star = math.log2(n) + float(_differing(n, m, n - 1, int(degree.max())))
    clique = float(_differing(n, m, n * (n - 1) // 2, m))
    return {"star": star, "clique": clique}


def _paths(adjacency: Matrix, m: int, random: float, exact: int) -> dict[str, float]:
    """Return the lengths of chain and ring, where even the best placement thinkable beats the random graph."""
    n = len(adjacency)
    ways = (math.lgamma(n + 1) / math.log(2) - 1, math.lgamma(n) / math.log(2) - 1)
    most = min(int(np.minimum(adjacency.sum(0), 2).sum()) // 2, n - 1)
    found = {}
    if ways[0] + float(_differing(n, m, n - 1, most)) < random:
        found["chain"] = ways[0] + float(_differing(n, m, n - 1, path_edges(adjacency, exact=exact)))
    if m >= n and ways[1] + float(_differing(n, m, n, n)) < random and has_ring(adjacency, exact=exact):
        found["ring"] = ways[1] + float(_differing(n, m, n, n))
    return found


def _two_parts(adjacency: Matrix, m: int, random: float, exact: int) -> dict[str, float]:
    """Return the lengths of the two-part templates, where their best placement thinkable beats the random graph."""
    n = len(adjacency)

    def bipartite(part: npt.NDArray[np.int64], between: npt.NDArray[np.int64]) -> Floats:
        return math.log2(2 ** (n - 1) - 1 - n) + _differing(n, m, part * (n - part), between)

    def core_periphery(core: npt.NDArray[np.int64], covered: npt.NDArray[np.int64]) -> Floats:
        ideal = core * (core - 1) // 2 + core * (n - core)
        return math.log2(2**n - 2 - 2 * n) + _differing(n, m, ideal, covered)

    sizes = np.arange(2, n - 1)
    thinkable = min(
        float(bipartite(sizes, np.minimum(m, sizes * (n - sizes))).min()),
        float(core_periphery(sizes, np.minimum(m, sizes * (sizes - 1) // 2 + sizes * (n - sizes))).min()),
    )
    if thinkable >= random:
        return {}
    cut, core = two_part_lengths(adjacency, bipartite, core_periphery, exact=exact)
    return {"bipartite": cut, "core-periphery": core}


def _differing(n: int, m: int, ideal: npt.ArrayLike, together: npt.ArrayLike) -> Floats:
    """Return the bits that say which edges are missing from the ideal and which are extra, and how many."""
    ideal, together = np.asarray(ideal), np.asarray(together)
    missing, extra = ideal - together, m - together
    bits: Floats = _choose(ideal, missing) + _choose(n * (n - 1) / 2 - ideal, extra) + missing + extra
    return bits


def _choose(n: npt.ArrayLike, k: npt.ArrayLike) -> Floats:
    """Return log2 of the ways to choose k of n."""
    n, k = np.asarray(n, np.float64), np.asarray(k, np.float64)
    bits: Floats = (gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)) / np.log(2)
    return bits
