"""Shapes: numbers solved by hand and against networkx, evidence against brute force, classes of planted worlds."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import igraph
import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import planted_run, store

from atlas.artifacts import Run
from atlas.association import associate
from atlas.captions import caption, readable
from atlas.communities import cluster
from atlas.communities.stage import graph_of
from atlas.counting.stage import count
from atlas.firings import Firings
from atlas.shapes import (
    Candidate,
    Evidence,
    Rules,
    community_shape,
    ego_shape,
    leaf_evidence,
    rewire,
    structure,
    topology,
)
from atlas.shapes.subgraphs import ego_bases, ego_candidates
from atlas.tracking import untracked

EXCLUSIVE = Evidence(testable_pairs=10, depleted_pairs=9, enriched_pairs=0, covered_leaves=5)


def graph(n: int, edges: list[tuple[int, int]]) -> igraph.Graph:
    a = np.array([edge[0] for edge in edges], np.int64)
    b = np.array([edge[1] for edge in edges], np.int64)
    return graph_of(np.arange(n), a, b, np.full(len(edges), 0.5))


STAR = graph(6, [(0, i) for i in range(1, 6)])
CLIQUE = graph(5, list(combinations(range(5), 2)))
RING = graph(6, [(i, (i + 1) % 6) for i in range(6)])
PATH = graph(5, [(i, i + 1) for i in range(4)])


def test_star_clique_ring_and_path_by_hand() -> None:
    """The numbers that can be written down without a computer."""
    star, clique, ring, path = (topology(g) for g in (STAR, CLIQUE, RING, PATH))
    assert (star.density, star.centralization, star.triangles, star.diameter, star.hub) == (
        pytest.approx(1 / 3), 1.0, 0, 2, 0)  # fmt: skip
    assert (clique.density, clique.centralization, clique.triangles, clique.clustering) == (1.0, 0.0, 10, 1.0)
    assert (ring.centralization, ring.diameter, ring.clustering) == (0.0, 3, 0.0)
    assert path.centralization == pytest.approx((1 + 0 + 0 + 0 + 1) / (4 * 3))
    assert path.diameter == 4


def test_classes_of_the_archetypes() -> None:
    """Topology alone makes a star star-like; hub-spoke needs exclusive leaves."""
    none = Evidence()
    assert community_shape(topology(STAR), EXCLUSIVE) == "hub-spoke"
    assert community_shape(topology(STAR), none) == "star-like"
    assert community_shape(topology(CLIQUE), EXCLUSIVE) == "fully connected"
    assert community_shape(topology(RING), EXCLUSIVE) == "undetermined"
    assert community_shape(topology(PATH), EXCLUSIVE) == "undetermined"
    assert community_shape(topology(graph(2, [(0, 1)])), none) == "pair"
    assert community_shape(topology(graph(3, [(0, 1), (1, 2), (0, 2)])), none) == "triangle"
    assert community_shape(topology(graph(3, [(0, 1), (1, 2)])), none) == "undetermined"


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (EXCLUSIVE, "hub-spoke"),
        (Evidence(testable_pairs=2, depleted_pairs=2, covered_leaves=4), "mixed"),  # too few pairs
        (Evidence(testable_pairs=6, depleted_pairs=6, covered_leaves=2), "mixed"),  # cover too few leaves
        (
            Evidence(testable_pairs=10, depleted_pairs=5, enriched_pairs=5, covered_leaves=5),
            "mixed",
        ),  # as many joint
        (Evidence(testable_pairs=10, enriched_pairs=8, covered_leaves=5), "joint"),
        (Evidence(testable_pairs=10, enriched_pairs=7, covered_leaves=5), "mixed"),
    ],
)
def test_classes_of_egos(evidence: Evidence, expected: str) -> None:
    """Each clause of the rule decides a case of its own."""
    assert ego_shape(5, evidence) == expected


def test_an_ego_below_four_leaves_has_no_class() -> None:
    """Three leaves are too few to speak of."""
    assert ego_shape(3, EXCLUSIVE) is None


graphs = st.integers(1, 9).flatmap(
    lambda n: (
        st.tuples(st.just(n), st.lists(st.sampled_from(list(combinations(range(n), 2)) or [(0, 0)]), unique=True))
        if n > 1
        else st.tuples(st.just(1), st.just([]))
    )
)


@given(graphs)
def test_numbers_equal_networkx(case: tuple[int, list[tuple[int, int]]]) -> None:
    """Another library, and Freeman's sum written out, agree on any graph."""
    n, edges = case
    found = topology(graph(n, edges))
    other = networkx.Graph(edges)
    other.add_nodes_from(range(n))
    degrees = [other.degree(i) for i in range(n)]
    assert found.n_edges == len(edges)
    assert found.density == pytest.approx(networkx.density(other))
    assert found.triangles == sum(networkx.triangles(other).values()) // 3
    assert found.clustering == pytest.approx(networkx.average_clustering(other))
    spread = sum(max(degrees) - degree for degree in degrees)
    assert found.centralization == pytest.approx(spread / ((n - 1) * (n - 2)) if n > 2 else 0)
    assert found.hub == degrees.index(max(degrees))


def test_a_tie_for_the_hub_goes_to_the_stronger_then_the_lower() -> None:
    """Two nodes of degree two: the one with more phi; all equal: the lowest index."""
    weighted = graph_of(np.arange(3) + 7, np.array([0, 1, 0]), np.array([1, 2, 2]), np.array([0.2, 0.3, 0.2]))
    assert topology(weighted).hub == 8
    assert topology(RING).hub == 0


def test_rewiring_keeps_degrees_and_breaks_clustering() -> None:
    """Ten cliques in a ring lose their triangles, not their degrees, and the same seed gives the same graph."""
    edges = [(5 * c + i, 5 * c + j) for c in range(10) for i, j in combinations(range(5), 2)]
    edges += [(5 * c, (5 * c + 6) % 50) for c in range(10)]
    before = graph(50, edges)
    after = rewire(before, seed=1)
    assert after.degree() == before.degree()
    assert not after.has_multiple()
    assert topology(after).triangles < topology(before).triangles / 3
    assert sorted(after.es["phi"]) == sorted(before.es["phi"])
    assert rewire(before, seed=1).get_edgelist() == after.get_edgelist()


def test_leaf_evidence_equals_brute_force(tmp_path: Path) -> None:
    """Triples, strata and both tails of a small world, counted with plain loops."""
    rng = np.random.default_rng(6)
    hub = rng.random(4000) < 0.5
    which = rng.integers(0, 3, 4000)
    both = hub & (rng.random(4000) < 0.3)
    firing = np.column_stack([hub, hub & (which == 0), hub & (which == 1), hub & (which == 2), both, both])
    document = np.arange(8).repeat(500)
    with Run(tmp_path / "run") as run:
        firings = Firings(store(run, firing, document).path)
    found = leaf_evidence(firings, document, [Candidate(0, (1, 2, 3)), Candidate(0, (1, 4, 5))])
    assert (found[0].testable_pairs, found[0].depleted_pairs, found[0].enriched_pairs) == (3, 3, 0)
    assert found[0].coverage == pytest.approx(1.0)
    assert found[0].hub_given_leaf == 1.0
    assert (found[1].testable_pairs, found[1].enriched_pairs) == (3, 1)
    joint = (firing[:, 4] & firing[:, 5] & hub).sum()
    ratios = [
        np.log2(
            ((firing[:, i] & firing[:, j]).sum() + 0.5) / (firing[:, i].sum() * firing[:, j].sum() / hub.sum() + 0.5)
        )
        for i, j in ((1, 4), (1, 5), (4, 5))
    ]
    assert joint == both.sum()
    assert found[1].leaf_association == pytest.approx(np.median(ratios))


def test_independent_leaves_are_neither_exclusive_nor_joint(tmp_path: Path) -> None:
    """Leaves that fire independently under their hub: at most a stray claim among 45 pairs."""
    rng = np.random.default_rng(8)
    hub = rng.random(20000) < 0.3
    firing = np.column_stack([hub, *(hub & (rng.random(20000) < 0.3) for _ in range(10))])
    document = np.arange(40).repeat(500)
    with Run(tmp_path / "run") as run:
        firings = Firings(store(run, firing, document).path)
    found = leaf_evidence(firings, document, [Candidate(0, tuple(range(1, 11)))])[0]
    assert found.testable_pairs == 45
    assert found.depleted_pairs + found.enriched_pairs <= 1


@pytest.mark.parametrize(("words", "basis"), [(True, "lexical"), (False, "contextual")])
def test_leaves_that_are_words_exclude_each_other_for_free(tmp_path: Path, words: bool, basis: str) -> None:
    """A hub over five words is exclusive within documents, not within items; over senses of one word, in both."""
    rng = np.random.default_rng(12)
    which = rng.integers(0, 40, 20000)
    hub = which < 5
    firing = np.column_stack([hub, *(which == k for k in range(5))])
    items = which if words else rng.integers(0, 6, 20000)
    with Run(tmp_path / "run") as run:
        firings = Firings(store(run, firing, np.arange(40).repeat(500), items=items).path)
    candidate = Candidate(0, (1, 2, 3, 4, 5))
    document = np.arange(40).repeat(500)
    evidence = leaf_evidence(firings, document, [candidate])[0]
    assert ego_shape(5, evidence) == "hub-spoke"
    assert ego_bases(firings, [(candidate, 0.0, evidence)], Rules(), untracked) == [basis]
    mixed = Evidence()
    assert ego_bases(firings, [(candidate, 0.0, mixed)], Rules(), untracked) == [None]


def test_egos_have_the_rarer_neighbours_as_leaves() -> None:
    """Of equal counts the higher index is the rarer; leaf density counts edges among leaves."""
    g = graph(6, [(0, i) for i in range(1, 6)] + [(1, 2)])
    counts = np.array([10, 10, 3, 3, 3, 3])
    found = ego_candidates(g, counts, min_leaves=4)
    assert found == [(Candidate(0, (1, 2, 3, 4, 5)), pytest.approx(0.1))]
    counts[5] = 11
    assert ego_candidates(g, counts, min_leaves=4) == [(Candidate(0, (1, 2, 3, 4)), pytest.approx(1 / 6))]


def test_planted_shapes_are_named(tmp_path: Path) -> None:
    """Each planted star is hub-spoke as community and as ego, each clique fully connected; the copy has neither."""
    with Run(tmp_path / "run") as run:
        world = planted_run(run, seed=3)
        count(run)
        associate(run)
        communities = cluster(run)
        artifact = structure(run)
    shapes = artifact.table("shapes").to_pydict()
    by_cluster = dict(zip(zip(shapes["level"], shapes["cluster"], strict=True), shapes["shape"], strict=True))
    members: dict[tuple[str, int], set[int]] = {}
    table = communities.table("membership").to_pydict()
    for index, level, number in zip(table["index"], table["level"], table["cluster"], strict=True):
        members.setdefault((level, number), set()).add(index)
    wanted = {frozenset((hub, *leaves)): "hub-spoke" for hub, leaves in world.stars}
    wanted |= {frozenset(clique): "fully connected" for clique in world.cliques}
    for level in ("coarse", "middle", "fine"):
        found = {frozenset(nodes): by_cluster[key] for key, nodes in members.items() if key[0] == level}
        assert found == wanted
    census = artifact.table("census").to_pylist()
    rewired = {row["shape"] for row in census if row["graph"] == "rewired"}
    assert not rewired & {"hub-spoke", "fully connected"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", "the"),
        ("\n\n", "↵↵"),
        (" ", "␣"),
        ("\t", "⇥"),
        ("\u202eabc", "\ufffdabc"),
        ("a\x1b[31m", "a\ufffd[31m"),
    ],
)
def test_items_are_shown_readably_and_harmlessly(text: str, shown: str) -> None:
    """White space gets signs; terminal escapes and bidirectional marks lose their force (fault 72)."""
    assert readable(text) == shown


def test_captions_are_short_and_never_empty() -> None:
    """Up to three items, cut at the width; a feature that never fires has its number."""
    assert caption(["run", "go", "come", "does"], fallback="x") == "run · go · come"
    assert caption(["a" * 40], fallback="x") == "a" * 31 + "…"
    assert caption([], fallback="feature 7") == "feature 7"
