"""Code lengths: by hand, against every placement on every small connected graph, and on planted shapes."""

from __future__ import annotations

import itertools
import math
from functools import cache

import igraph
import numpy as np
import numpy.typing as npt
import pytest

from atlas.shapes import connected_graphs, describe
from atlas.shapes.placements import path_edges

Places = npt.NDArray[np.int64]


def split(core: int, n: int) -> igraph.Graph:
    """Return the ideal core and periphery."""
    graph = igraph.Graph.Full(n)
    graph.delete_edges([(i, j) for i, j in itertools.combinations(range(core, n), 2)])
    return graph


IDEALS = {
    "star": (igraph.Graph.Star(6), math.log2(math.comb(15, 5) / 6)),
    "chain": (igraph.Graph.Ring(7, circular=False), math.log2(math.comb(21, 6)) - math.log2(2520)),
    "ring": (igraph.Graph.Ring(6), math.log2(math.comb(15, 6)) - math.log2(60)),
    "bipartite": (igraph.Graph.Full_Bipartite(3, 3), math.log2(math.comb(15, 9)) - math.log2(25)),
    "core-periphery": (split(2, 6), math.log2(25 * 7 * 2 / 50)),
}


@pytest.mark.parametrize("name", IDEALS)
def test_ideal_graphs_by_hand(name: str) -> None:
    """Each ideal graph is described by its own template, with the margin that can be written down.

    For the first four the random graph is next; for the core of two in six nodes it is the bipartite
    graph with one extra edge of seven.
    """
    graph, margin = IDEALS[name]
    found = describe(graph)
    assert found is not None
    assert found.template == name
    assert found.margin_bits == pytest.approx(margin, abs=1e-3)


def test_what_cannot_be_told_apart_is_undetermined() -> None:
    """A square is a ring and bipartite; a clique is the random graph with all edges; three nodes say nothing."""
    square, clique = describe(igraph.Graph.Ring(4)), describe(igraph.Graph.Full(6))
    assert square is not None
    assert (square.template, square.margin_bits) == ("undetermined", pytest.approx(0))
    assert clique is not None
    assert (clique.template, clique.margin_bits) == ("undetermined", pytest.approx(0))
    assert describe(igraph.Graph.Star(3)) is None
    assert describe(igraph.Graph(1)) is None


@pytest.mark.parametrize("n", [4, 5, 9, 20])
def test_graphs_that_are_not_connected_or_empty_have_a_length(n: int) -> None:
    """No edge, and one edge: nothing but numbers."""
    for graph in (igraph.Graph(n), igraph.Graph(n, [(0, 1)])):
        found = describe(graph)
        assert found is not None
        assert found.template == "undetermined"
        assert np.isfinite([found.margin_bits, *found.lengths.values()]).all()


@cache
def placements(name: str, n: int) -> list[Places]:
    """Return for each size of a template's parts all its placements: rows of which pairs are edges."""
    pairs = {pair: k for k, pair in enumerate(itertools.combinations(range(n), 2))}

    def rows(edge_sets: list[set[tuple[int, int]]]) -> Places:
        out = np.zeros((len(edge_sets), len(pairs)), np.int64)
        for row, edges in enumerate(edge_sets):
            out[row, [pairs[min(e), max(e)] for e in edges]] = 1
        return np.unique(out, axis=0)

    if name == "star":
        return [rows([{(h, i) for i in range(n) if i != h} for h in range(n)])]
    if name in ("chain", "ring"):
        orders = list(itertools.permutations(range(n)))
        close = [] if name == "chain" else [(-1, 0)]
        steps = [*itertools.pairwise(range(n)), *close]
        return [rows([{(o[i], o[j]) for i, j in steps} for o in orders])]
    sizes: list[Places] = []
    for size in range(2, n - 1):
        parts = [set(part) for part in itertools.combinations(range(n), size)]
        cut = [{(i, j) for i in part for j in range(n) if j not in part} for part in parts]
        core = [{(i, j) for i in part for j in range(n) if i != j} for part in parts]
        sizes.append(rows(cut if name == "bipartite" else core))
    return sizes


def brute_force(graph: igraph.Graph) -> dict[str, float]:
    """Return each template's length by going through all placements; the ring only where it closes."""
    n, m = graph.vcount(), graph.ecount()
    pairs = list(itertools.combinations(range(n), 2))
    there = np.array([graph.are_adjacent(*pair) for pair in pairs], np.int64)
    ways = {"star": n, "chain": math.factorial(n) / 2, "ring": math.factorial(n - 1) / 2,
            "bipartite": 2 ** (n - 1) - 1 - n, "core-periphery": 2**n - 2 - 2 * n}  # fmt: skip
    lengths = {"random": math.log2(math.comb(len(pairs), m)), "clique": math.log2(math.comb(len(pairs), m))}
    lengths["clique"] += len(pairs) - m
    for name, number in ways.items():
        found = []
        for rows in placements(name, n):
            ideal, together = int(rows[0].sum()), int((rows @ there).max())
            missing, extra = ideal - together, m - together
            if name == "ring" and missing:
                continue
            chosen = math.comb(ideal, missing) * math.comb(len(pairs) - ideal, extra)
            found.append(math.log2(number) + math.log2(chosen) + missing + extra)
        if found:
            lengths[name] = min(found)
    return lengths


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_every_connected_graph_equals_brute_force(n: int) -> None:
    """Margin and class of all of them, and each length that was not left out; what was left out could not win."""
    for one in connected_graphs(n):
        wanted = brute_force(one.graph)
        found = describe(one.graph)
        assert found is not None
        for name, bits in found.lengths.items():
            assert bits == pytest.approx(wanted[name], abs=1e-9), name
        assert all(wanted[name] >= wanted["random"] - 1e-9 for name in wanted.keys() - found.lengths.keys())
        (best, name), *others = sorted((bits, name) for name, bits in wanted.items() if name != "random")
        margin = max(min(wanted["random"], others[0][0]) - best, 0)
        assert found.margin_bits == pytest.approx(margin, abs=1e-9)
        assert found.template == (name if margin >= 2 - 1e-9 else "undetermined")


def noisy(kind: str, n: int, rng: np.random.Generator) -> igraph.Graph:
    """Return an ideal graph with 8 % of the absent edges added and 5 % of its own removed, in random order."""
    graphs = {
        "chain": igraph.Graph.Ring(n, circular=False),
        "ring": igraph.Graph.Ring(n),
        "star": igraph.Graph.Star(n),
        "bipartite": igraph.Graph.Full_Bipartite(n // 2, n - n // 2),
        "core-periphery": split(n // 3, n),
    }
    ideal = np.array(graphs[kind].get_adjacency().data, bool)
    flip = np.triu(np.where(ideal, rng.random((n, n)) < 0.05, rng.random((n, n)) < 0.08), 1)
    order = rng.permutation(n)
    matrix = (ideal ^ (flip | flip.T))[np.ix_(order, order)]
    return igraph.Graph.Adjacency(matrix.tolist(), mode="undirected")


@pytest.mark.parametrize("kind", ["chain", "ring", "star", "bipartite", "core-periphery"])
def test_building_and_searching_miss_little_and_make_nothing_up(kind: str) -> None:
    """On noisy shapes of 14 nodes, which are placed exactly, the ways for larger graphs find the same class."""
    rng = np.random.default_rng(5)
    same = 0
    for graph in [noisy(kind, 14, rng) for _ in range(20)]:
        exact, found = describe(graph), describe(graph, exact=2)
        assert exact is not None
        assert found is not None
        assert all(bits >= exact.lengths[name] - 1e-9 for name, bits in found.lengths.items())
        same += found.template == exact.template
    assert same >= 19


def test_large_ideal_graphs_keep_their_names() -> None:
    """Sixty nodes: the template, whatever the order of the nodes."""
    rng = np.random.default_rng(6)
    for name, graph in (("chain", igraph.Graph.Ring(60, circular=False)), ("ring", igraph.Graph.Ring(60)),
                        ("bipartite", igraph.Graph.Full_Bipartite(20, 40)), ("core-periphery", split(12, 60)),
                        ("star", igraph.Graph.Star(60))):  # fmt: skip
        found = describe(graph.permute_vertices(rng.permutation(60).tolist()))
        assert found is not None
        assert found.template == name


def test_paths_are_built_exactly_on_trees() -> None:
    """On random trees of 13 nodes the built paths have as many edges as the best ones."""
    rng = np.random.default_rng(7)
    for _ in range(30):
        tree = igraph.Graph(13, [(int(rng.integers(0, i)), i) for i in range(1, 13)])
        adjacency = np.array(tree.get_adjacency().data, np.int64)
        assert path_edges(adjacency, exact=2) == path_edges(adjacency)


def test_a_graph_too_large_to_lay_templates_over_has_the_lengths_that_need_no_search() -> None:
    """A star of 1,001 nodes is one still."""
    found = describe(igraph.Graph.Star(1001))
    assert found is not None
    assert found.template == "star"
    assert found.lengths.keys() == {"star", "clique", "random"}
