"""How far partitions agree: adjusted mutual information and shared members against brute force and by hand."""

from __future__ import annotations

from itertools import permutations
from math import comb, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.communities.agreement import (
    adjusted_mutual_information,
    best_jaccard,
    mean_agreement,
    shared_members,
)
from atlas.communities.second import second_best
from atlas.communities.stage import graph_of

labels = st.integers(2, 30).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 5), min_size=n, max_size=n).map(np.array) for _ in range(2)))
)


def information(one: np.ndarray, two: np.ndarray) -> float:
    n = len(one)
    found = 0.0
    for x in np.unique(one):
        for y in np.unique(two):
            joint = np.sum((one == x) & (two == y))
            if joint:
                found += joint / n * log(n * joint / (np.sum(one == x) * np.sum(two == y)))
    return found


def by_definition(one: np.ndarray, two: np.ndarray) -> float:
    """Return the AMI with its expectation summed over every overlap of every pair of communities."""
    n, expected = len(one), 0.0
    for a in np.bincount(one)[np.bincount(one) > 0].tolist():
        for b in np.bincount(two)[np.bincount(two) > 0].tolist():
            for k in range(max(1, a + b - n), min(a, b) + 1):
                expected += comb(a, k) * comb(n - a, b - k) / comb(n, b) * k / n * log(n * k / (a * b))
    scale = (information(one, one) + information(two, two)) / 2 - expected
    return (information(one, two) - expected) / scale if scale > 1e-12 else 0.0


@given(labels)
def test_ami_is_its_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Against the sum over all overlaps with exact binomials; symmetric; blind to names."""
    one, two = pair
    found = adjusted_mutual_information(one, two)
    if len(np.unique(np.column_stack([one, two]), axis=0)) == len(np.unique(one)) == len(np.unique(two)):
        assert found == 1
    else:
        assert found == pytest.approx(by_definition(one, two), abs=1e-9)
    assert adjusted_mutual_information(two, 7 - one) == pytest.approx(found, abs=1e-12)


def test_the_expectation_is_the_mean_over_all_orders() -> None:
    """AMI is 0 on average over every renaming of the nodes of one partition."""
    one = np.array([0, 0, 0, 1, 1, 2])
    two = np.array([0, 0, 1, 1, 1, 1])
    every = [adjusted_mutual_information(one, two[list(order)]) for order in permutations(range(6))]
    assert np.mean(every) == pytest.approx(0, abs=1e-12)


def test_agreement_at_the_edges() -> None:
    """Nothing, one node, all together, all apart: 1 where they are the same, 0 where all together meets all apart."""
    together, apart = np.zeros(4, int), np.arange(4)
    empty = np.zeros(0, np.int64)
    assert [adjusted_mutual_information(x, x) for x in (empty, np.zeros(1, int), together, apart)] == [1] * 4
    assert adjusted_mutual_information(together, apart) == 0
    assert mean_agreement([together]) == 1
    assert mean_agreement([apart, apart, together]) == pytest.approx(1 / 3)


def test_large_and_lopsided_partitions_keep_their_digits() -> None:
    """At 2,000 nodes the truncated sum is the definition's with exact integers."""
    one = np.repeat([0, 1, 2], [1_900, 90, 10])
    two = np.random.default_rng(0).permutation(np.repeat([0, 1], [1_500, 500]))
    assert adjusted_mutual_information(one, two) == pytest.approx(by_definition(one, two), abs=1e-9)


@given(labels)
def test_shared_members_and_best_jaccard_are_their_definitions(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Node by node and community by community, with sets."""
    one, two = pair
    groups = [{number: set(np.flatnonzero(x == number)) for number in np.unique(x)} for x in (one, two)]
    for node, share in enumerate(shared_members(one, two)):
        here, there = groups[0][one[node]] - {node}, groups[1][two[node]] - {node}
        assert share == pytest.approx(len(here & there) / len(here | there) if here | there else 1)
    best = best_jaccard(one, two)
    for number, members in groups[0].items():
        expected = max(len(members & other) / len(members | other) for other in groups[1].values())
        assert best[number] == pytest.approx(expected)


def test_the_second_best_community_by_hand() -> None:
    """Node 0 of the first pair leans to 2-3 by .3 of .8; ties go to the lower number; a lone node is no community."""
    a, b = np.array([(0, 1), (0, 2), (2, 3), (1, 4), (4, 5), (1, 2), (3, 6)]).T
    graph = graph_of(np.arange(7), a, b, [0.5, 0.3, 0.5, 0.2, 0.5, 0.2, 0.1])
    second, share = second_best(graph, np.array([0, 0, 1, 1, 2, 2, 3]))
    assert second.tolist() == [1, 1, 0, -1, 0, -1, 1]
    assert share == pytest.approx([0.3 / 0.8, 0.2 / 0.9, 0.5 / 1.0, 0, 0.2 / 0.7, 0, 1])


@given(st.integers(0, 2**32 - 1))
def test_the_second_best_community_by_sums(seed: int) -> None:
    """Against the sums of each node's weights by community; an edge of negative weight counts for nothing."""
    rng = np.random.default_rng(seed)
    a, b = np.argwhere(np.triu(rng.random((12, 12)) < 0.4, 1)).T
    graph = graph_of(np.arange(12), a, b, rng.choice([-0.2, 0.1, 0.3], len(a)))
    membership = rng.integers(0, 4, 12)
    sizes = np.bincount(membership, minlength=4)
    second, share = second_best(graph, membership)
    for node in range(12):
        to = np.zeros(4)
        for edge in graph.es[graph.incident(node)]:
            other = edge.target if edge.source == node else edge.source
            to[membership[other]] += max(edge["phi"], 0)
        total = to.sum()
        to[sizes < 2] = 0
        to[membership[node]] = 0
        if to.max() == 0:
            assert (second[node], share[node]) == (-1, 0)
        else:
            assert to[second[node]] == pytest.approx(to.max())
            assert share[node] == pytest.approx(to.max() / total)
