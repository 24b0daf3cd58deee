"""Random connected graphs: enumerated, drawn, and the p-values and chance rates that they give."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from functools import cache

import igraph
import networkx
import numpy as np
import pytest
import scipy.stats

from atlas.communities.stage import graph_of
from atlas.shapes import (
    Evidence,
    Rules,
    centralization_p,
    chance,
    chance_of,
    community_shape,
    connected_graphs,
    graph_evidence,
    topology,
)
from atlas.shapes.chance import largest_degrees


def weighted(graph: igraph.Graph, phi: float = 0.3) -> igraph.Graph:
    graph = graph.copy()
    graph.vs["index"] = range(graph.vcount())
    graph.es["phi"] = phi
    return graph


def test_all_connected_graphs_are_there() -> None:
    """Their numbers, up to isomorphism and labelled, are OEIS A001349 and A001187."""
    counted = [(len(connected_graphs(n)), sum(one.labelled for one in connected_graphs(n))) for n in range(1, 8)]
    assert counted == [(1, 1), (1, 1), (2, 4), (6, 38), (21, 728), (112, 26704), (853, 1866256)]


def shape_by_hand(n: int, m: int, degree: list[int]) -> str:
    """Return the class as the rule says it, in whole numbers: density 4/5, centralization 3/5."""
    if n < 4:
        return {(2, 1): "pair", (3, 3): "triangle"}.get((n, m), "undetermined")
    if 5 * 2 * m >= 4 * n * (n - 1):
        return "fully connected"
    return "star-like" if 5 * (n * max(degree) - 2 * m) >= 3 * (n - 1) * (n - 2) else "undetermined"


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7])
def test_numbers_of_every_connected_graph_equal_plain_loops(n: int) -> None:
    """All 996 graphs, weighted at random: degrees, triads, distances, weights and class by loops over dictionaries."""
    rng = np.random.default_rng(n)
    for one in connected_graphs(n):
        edges = one.graph.get_edgelist()
        phi = rng.uniform(0.1, 1, len(edges))
        found = topology(graph_of(np.arange(n), *np.array(edges, np.int64).reshape(-1, 2).T, phi))
        weight = {frozenset(edge): w for edge, w in zip(edges, phi, strict=True)}
        near = {i: [j for j in range(n) if frozenset((i, j)) in weight] for i in range(n)}
        degree = [len(near[i]) for i in range(n)]
        strength = [sum(weight[frozenset((i, j))] for j in near[i]) for i in range(n)]
        triads = {i: [pair for pair in itertools.combinations(near[i], 2) if frozenset(pair) in weight] for i in near}
        other = networkx.Graph(edges)
        other.add_nodes_from(range(n))
        assert (found.size, found.n_edges, found.components) == (n, len(edges), 1)
        assert found.triangles == sum(map(len, triads.values())) / 3
        assert found.diameter == networkx.diameter(other)
        assert community_shape(found, Evidence()) == shape_by_hand(n, len(edges), degree)
        assert found.degree_ratio == pytest.approx(max(degree) * n / sum(degree) if edges else n - 1)
        hub = min(range(n), key=lambda i: (-degree[i], -round(strength[i], 12), i))
        assert found.hub == hub
        clustering = sum(len(triads[i]) / math.comb(degree[i], 2) for i in range(n) if degree[i] > 1) / n
        assert found.clustering == pytest.approx(clustering)
        barrat = 0.0
        for i in (i for i in range(n) if degree[i] > 1):
            both = sum(weight[frozenset((i, j))] + weight[frozenset((i, k))] for j, k in triads[i])
            barrat += both / (strength[i] * (degree[i] - 1)) / n
        assert found.weighted_clustering == pytest.approx(barrat)
        assert found.weighted_density == pytest.approx(sum(phi) / math.comb(n, 2) if n > 1 else 0)
        if n < 3:
            assert (found.centralization, found.weighted_centralization, found.leaf_ratio) == (0, 0, None)
            continue
        spread, triples = sum(max(degree) - d for d in degree), (n - 1) * (n - 2)
        assert found.centralization == pytest.approx(spread / triples)
        spread = sum(max(strength) - s for s in strength)
        assert found.weighted_centralization == pytest.approx(spread / triples / max(phi))
        leaves = [i for i in range(n) if i != hub]
        between = np.mean([weight.get(frozenset(pair), 0) for pair in itertools.combinations(leaves, 2)])
        to_hub = np.mean([weight.get(frozenset((hub, leaf)), 0) for leaf in leaves])
        assert found.leaf_ratio == pytest.approx(between / to_hub)


@cache
def labelled(n: int) -> Counter[tuple[int, int]]:
    """Return how many connected labelled graphs on n nodes have each number of edges and largest degree."""
    pairs = list(itertools.combinations(range(n), 2))
    counts: Counter[tuple[int, int]] = Counter()
    for chosen in range(1 << len(pairs)):
        near = [0] * n
        for k, (i, j) in enumerate(pairs):
            if chosen >> k & 1:
                near[i] |= 1 << j
                near[j] |= 1 << i
        reached = new = 1
        while new:
            here = new.bit_length() - 1
            new = (new ^ 1 << here) | near[here] & ~reached
            reached |= near[here]
        if reached == (1 << n) - 1:
            counts[chosen.bit_count(), max(bits.bit_count() for bits in near)] += 1
    return counts


@pytest.mark.parametrize("n", [4, 5, 6])
def test_p_of_small_graphs_equals_going_through_all_labelled_graphs(n: int) -> None:
    """Every connected graph on four to six nodes: the share of graphs with as many edges, as centralized or more."""
    for one in connected_graphs(n):
        m, top = one.graph.ecount(), one.graph.maxdegree()
        alike = {largest: ways for (edges, largest), ways in labelled(n).items() if edges == m}
        wanted = sum(ways for largest, ways in alike.items() if largest >= top) / sum(alike.values())
        assert centralization_p(topology(weighted(one.graph))) == pytest.approx(wanted)


def test_chance_rates_by_hand_and_of_every_class() -> None:
    """42, 15 and 12 % of random connected graphs are stars for n = 4, 5, 6; rates of all classes add up to 1."""
    assert chance_of("star-like", 4) == pytest.approx(16 / 38)  # four stars, twelve triangles with a tail
    assert [round(chance_of("hub-spoke", n) or 0, 2) for n in (4, 5, 6)] == [0.42, 0.15, 0.12]
    assert (chance_of("pair", 2), chance_of("triangle", 3), chance_of("undetermined", 3)) == (1.0, 0.25, 0.75)
    for n in (4, 5, 6, 7):
        rates = [chance_of(shape, n) or 0 for shape in ("fully connected", "star-like", "undetermined")]
        assert sum(rates) == pytest.approx(1)
    assert chance_of("star-like", 8) is None
    assert chance_of("star-like", 4, Rules(min_centralization=0.9)) == pytest.approx(4 / 38)


@pytest.mark.parametrize(("n", "m"), [(5, 4), (6, 7), (7, 9), (7, 15)])
def test_drawn_graphs_are_uniform(n: int, m: int) -> None:
    """The walk over graphs of sizes that can be enumerated gives the exact distribution of the largest degree."""
    ways: Counter[int] = Counter()
    for one in connected_graphs(n):
        if one.graph.ecount() == m:
            ways[one.graph.maxdegree()] += one.labelled
    drawn = Counter(largest_degrees(n, m, seed=3, draws=4000).tolist())
    assert set(drawn) <= set(ways)
    exact = np.array([ways[d] for d in sorted(ways)], float)
    found = np.array([drawn[d] for d in sorted(ways)], float)
    assert scipy.stats.chisquare(found, exact / exact.sum() * 4000).pvalue > 1e-3


@pytest.mark.parametrize(("n", "m"), [(9, 8), (12, 20), (14, 60)])
def test_graphs_too_large_for_a_matrix_are_drawn_from_lists_alone(
    n: int, m: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same walk, step by step."""
    with_matrix = largest_degrees.__wrapped__(n, m, draws=50)
    monkeypatch.setattr(chance, "MOST_NEAR", n - 1)
    assert largest_degrees.__wrapped__(n, m, draws=50).tolist() == with_matrix.tolist()
    assert len(set(with_matrix.tolist())) > 1


def test_drawn_trees_have_the_degrees_of_random_trees() -> None:
    """Above the enumerated sizes: a node's degree less one counts how often it is in a random Pruefer code."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 12, (20000, 10))
    largest = 1 + np.array([np.bincount(code).max() for code in codes])
    drawn = largest_degrees(12, 11, seed=0, draws=4000)
    assert drawn.mean() == pytest.approx(largest.mean(), abs=0.05)
    assert (drawn >= 5).mean() == pytest.approx((largest >= 5).mean(), abs=0.02)


def test_p_of_larger_graphs() -> None:
    """A star of twelve is as rare as can be seen, a path and a ring are nothing special, a clique is the only one."""
    star, ring, clique = (igraph.Graph.Star(12), igraph.Graph.Ring(12), igraph.Graph.Full(12))
    assert centralization_p(topology(weighted(star))) == pytest.approx(1 / 1001)
    assert centralization_p(topology(weighted(ring))) == 1.0
    assert centralization_p(topology(weighted(clique))) == 1.0
    assert centralization_p(topology(weighted(star)), seed=5) == centralization_p(topology(weighted(star)), seed=5)
    assert largest_degrees(10, 15, seed=1).tolist() != largest_degrees(10, 15, seed=2).tolist()


@pytest.mark.parametrize(("n", "edges"), [(1, []), (2, []), (3, []), (3, [(0, 1)]), (6, [(0, 1), (2, 3)]), (9, [])])
def test_graphs_without_edges_or_in_pieces_have_numbers_and_no_p(n: int, edges: list[tuple[int, int]]) -> None:
    """Nothing is not a number; a p-value is only for connected graphs."""
    graph = igraph.Graph(n, edges)
    graph.vs["index"], graph.es["phi"] = range(n), 0.4
    found = graph_evidence(graph)
    numbers = [value for value in vars(found.numbers).values() if value is not None]
    assert np.isfinite(numbers).all()
    assert found.p is None
    assert (found.description is None) == (n < 4)


def test_negative_weights_count_as_missing() -> None:
    """A star with one negative edge: its weights are those of the star without it."""
    edges = np.array([(0, 1), (0, 2), (0, 3)])
    found = topology(graph_of(np.arange(4), *edges.T, np.array([0.5, 0.5, -0.2])))
    assert found.weighted_density == pytest.approx(1 / 6)
    assert found.n_edges == 3
    assert found.leaf_ratio == 0.0
