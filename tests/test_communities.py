"""Communities: a ring of cliques solved by hand, strict nesting, and the same seed the same result."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from pathlib import Path

import igraph
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.artifacts import Run
from atlas.communities import cluster, nested_partition, partition
from atlas.communities.leiden import by_size
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


@given(st.integers(0, 2**32 - 1))
def test_levels_nest_strictly_and_repeat(seed: int) -> None:
    """Every fine community lies in one coarser one; the global generator is left alone."""
    rng = np.random.default_rng(seed)
    a, b = np.triu_indices(20, 1)
    keep = rng.random(len(a)) < 0.25
    graph = graph_of(np.arange(20), a[keep], b[keep], rng.random(keep.sum()))
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


def test_a_graph_without_edges_has_no_communities() -> None:
    """Every node stays alone."""
    empty = graph_of(np.arange(3), np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    assert partition(empty, resolution=0.1, seed=0).tolist() == [0, 1, 2]


def test_resolutions_must_ascend(tmp_path: Path) -> None:
    """Nesting needs coarse before fine: exit code 3, and the default is named."""
    with Run(tmp_path / "run") as run, pytest.raises(InputError, match="ascending") as caught:
        cluster(run, resolutions=(0.1, 0.05, 0.2))
    assert "0.005" in caught.value.remedy
