"""Communities: a ring of cliques solved by hand, strict nesting, polishing, and the same seed the same result."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from pathlib import Path

import igraph
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.artifacts import Run
from atlas.communities import cluster, find_level, nested_partition, partition, polish
from atlas.communities.leiden import by_size, quality, within
from atlas.communities.stage import graph_of
from atlas.errors import InputError


def ring_of_cliques(n_cliques: int = 8, size: int = 5) -> igraph.Graph:
    edges = [(size * c + i, size * c + j) for c in range(n_cliques) for i, j in combinations(range(size), 2)]
    edges += [(size * c, (size * (c + 1) + 1) % (n_cliques * size)) for c in range(n_cliques)]
    a, b = np.array(edges).T
    return graph_of(np.arange(n_cliques * size), a, b, np.full(len(edges), 0.5))


def test_a_ring_of_cliques_falls_into_its_cliques() -> None:
    """At gamma between the densities within and between, each clique is one community."""
    membership = partition(ring_of_cliques(), resolution=0.1, seed=0)
    assert np.array_equal(by_size(membership), np.arange(8).repeat(5))


def test_gamma_decides_whether_a_star_holds() -> None:
    """A leaf leaves a star of n members and weight w where gamma > w / (n - 1)."""
    star = graph_of(np.arange(7), np.zeros(6, int), np.arange(1, 7), np.full(6, 0.3))
    assert len(np.unique(partition(star, resolution=0.3 / 6 - 0.005, seed=0))) == 1
    assert len(np.unique(partition(star, resolution=0.3 / 6 + 0.005, seed=0))) > 1


def random_graph(seed: int, *, n: int = 20, density: float = 0.25, negative: float = 0.0) -> igraph.Graph:
    rng = np.random.default_rng(seed)
    a, b = np.triu_indices(n, 1)
    keep = rng.random(len(a)) < density
    sign = np.where(rng.random(keep.sum()) < negative, -1, 1)
    return graph_of(np.arange(n), a[keep], b[keep], sign * rng.random(keep.sum()))


@given(st.integers(0, 2**32 - 1))
def test_levels_nest_strictly_and_repeat(seed: int) -> None:
    """Every fine community lies in one coarser one; the global generator is left alone."""
    graph = random_graph(seed)
    random.seed(5)
    expected = random.random()
    random.seed(5)
    levels = nested_partition(graph, resolutions=(0.02, 0.1, 0.3), seed=1)
    assert random.random() == expected
    again = nested_partition(graph, resolutions=(0.02, 0.1, 0.3), seed=1)
    for one, two in zip(levels, again, strict=True):
        assert np.array_equal(one, two)
    for coarse, fine in pairwise(levels):
        for number in np.unique(fine):
            assert len(np.unique(coarse[fine == number])) == 1
    for membership in levels:
        sizes = np.bincount(membership)
        assert (np.diff(sizes) <= 0).all()
        assert sizes.min() >= 1


def objective(graph: igraph.Graph, membership: np.ndarray, gamma: float) -> float:
    """Return sum_c [w_c - gamma n_c (n_c - 1) / 2], pair by pair."""
    weight = {frozenset(edge.tuple): edge["phi"] for edge in graph.es}
    pairs = combinations(range(graph.vcount()), 2)
    return sum(weight.get(frozenset(pair), 0) - gamma for pair in pairs if membership[pair[0]] == membership[pair[1]])


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]), st.sampled_from([0.01, 0.1, 0.4]))
def test_polishing_never_lowers_the_objective_and_stays_inside(seed: int, negative: float, gamma: float) -> None:
    """From any start within the communities above, with and without edges that drive features apart."""
    graph = random_graph(seed, negative=negative)
    rng = np.random.default_rng(seed)
    above = rng.integers(0, 3, graph.vcount())
    start = 4 * above + rng.integers(0, 4, graph.vcount())
    inside = within(graph, above)
    found = polish(inside, start, resolution=gamma, seed=1)
    assert objective(graph, found, gamma) >= objective(graph, start, gamma) - 1e-9
    total = sum(abs(weight) for weight in graph.es["phi"])
    assert quality(graph, found, resolution=gamma) == pytest.approx(objective(graph, found, gamma) / total)
    again = polish(inside, start, resolution=gamma, seed=1)
    assert np.array_equal(found, again)
    for number in np.unique(found):
        assert len(np.unique(above[found == number])) == 1


@pytest.mark.parametrize("seed", range(20))
def test_leiden_with_exclusions_reaches_the_optimum_of_small_graphs(seed: int) -> None:
    """The signed objective against all partitions of seven nodes: igraph and leidenalg's two layers agree."""
    graph = random_graph(seed, n=7, density=0.6, negative=0.4)
    gamma = 0.1
    best = max(objective(graph, np.array(one), gamma) for one in set_partitions(7))
    found = max(
        (polish(graph, partition(graph, resolution=gamma, seed=k), resolution=gamma, seed=k) for k in range(5)),
        key=lambda one: objective(graph, one, gamma),
    )
    assert objective(graph, found, gamma) == pytest.approx(best)


def set_partitions(n: int) -> list[list[int]]:
    """Return every partition of n nodes as labels."""
    found = [[0]]
    for _ in range(n - 1):
        found = [[*one, label] for one in found for label in range(max(one) + 2)]
    return found


def test_an_exclusion_splits_what_co_occurrence_joins() -> None:
    """Two triangles with a bridge are one community at small gamma, and two where members exclude each other."""
    a, b = np.array([(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5), (2, 3)]).T
    joined = graph_of(np.arange(6), a, b, np.full(7, 0.5))
    start = np.zeros(6, np.int64)
    level = find_level(joined, start, resolution=0.02, seed=0)
    assert level.membership.tolist() == [0] * 6
    excluding = graph_of(np.arange(6), [*a, 0, 1], [*b, 4, 5], [0.5] * 7 + [-0.4] * 2)
    assert find_level(excluding, start, resolution=0.02, seed=0).membership.tolist() == [0, 0, 0, 1, 1, 1]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]))
def test_levels_found_by_consensus_nest_and_repeat(seed: int, negative: float) -> None:
    """Each finer community lies in one coarser; both figures of stability are what they say on equal seeds."""
    graph = random_graph(seed, negative=negative)
    above = np.zeros(graph.vcount(), np.int64)
    for gamma in (0.02, 0.1, 0.3):
        level = find_level(graph, above, resolution=gamma, seed=3, n_seeds=4)
        again = find_level(graph, above, resolution=gamma, seed=3, n_seeds=4)
        assert np.array_equal(level.membership, again.membership)
        assert np.array_equal(level.node_stability, again.node_stability)
        assert (level.node_stability >= 0).all()
        assert (level.node_stability <= 1).all()
        for number in np.unique(level.membership):
            assert len(np.unique(above[level.membership == number])) == 1
        above = level.membership


def test_communities_are_numbered_by_size_and_ties_by_their_lowest_member() -> None:
    """The largest is 0; of equal ones, that of the lowest node comes first."""
    assert by_size(np.array([7, 2, 2, 5, 5, 9, 9, 9])).tolist() == [3, 1, 1, 2, 2, 0, 0, 0]


def test_what_seeds_agree_on_is_stable() -> None:
    """Every seed finds the cliques of a ring of cliques: agreement 1, for each member, too."""
    level = find_level(ring_of_cliques(), np.zeros(40, np.int64), resolution=0.1, seed=0)
    assert level.stability == 1
    assert (level.node_stability == 1).all()
    assert np.array_equal(level.membership, np.arange(8).repeat(5))


@pytest.mark.parametrize(
    ("n", "edges", "expected"),
    [
        (0, [], []),
        (1, [], [0]),
        (3, [], [0, 1, 2]),
        (2, [(0, 1)], [0, 0]),
        (3, [(0, 1)], [0, 0, 1]),
        (3, [(0, 1), (1, 2)], [0, 0, 0]),
        (4, [(0, 1), (2, 3)], [0, 0, 1, 1]),
    ],
)
def test_graphs_of_few_nodes(n: int, edges: list[tuple[int, int]], expected: list[int]) -> None:
    """No node, lone nodes, one edge, two apart: what is tied is together, and nothing else."""
    a, b = np.array(edges, int).reshape(-1, 2).T
    graph = graph_of(np.arange(n), a, b, np.full(len(a), 0.5))
    level = find_level(graph, np.zeros(n, np.int64), resolution=0.1, seed=0)
    assert level.membership.tolist() == expected
    assert level.stability == 1
    assert level.node_stability.tolist() == [1.0] * n
    assert nested_partition(graph, resolutions=(0.1,), seed=0)[0].tolist() == expected


def test_resolutions_must_ascend(tmp_path: Path) -> None:
    """Nesting needs coarse before fine: exit code 3, and the default is named."""
    with Run(tmp_path / "run") as run, pytest.raises(InputError, match="ascending") as caught:
        cluster(run, resolutions=(0.1, 0.05, 0.2))
    assert "0.005" in caught.value.remedy
