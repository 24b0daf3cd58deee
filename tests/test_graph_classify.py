"""Cypher's classification against igraph, on random graphs: many graphs as communities of one atlas."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import igraph
import pytest
from graph_checks import empty, values
from small_atlas import Small

from atlas.ingest.graph import load

pytestmark = pytest.mark.neo4j

PHIS = (0.1, 0.2, 0.3, 0.7)


@st.composite
def graphs(draw):
    """Draw n, edges with phi, evidence of the community and firing counts: 40 graphs make one atlas."""
    n = draw(st.integers(2, 9))
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    shape = draw(st.sampled_from(("any", "star", "dense")))
    if shape == "star":
        hub = draw(st.integers(0, n - 1))
        kept = [pair for pair in pairs if hub in pair]
        kept += draw(st.lists(st.sampled_from(pairs), max_size=2))
    elif shape == "dense":
        left_out = draw(st.lists(st.sampled_from(pairs), max_size=3))
        kept = [pair for pair in pairs if pair not in left_out]
    else:
        kept = draw(st.lists(st.sampled_from(pairs), max_size=len(pairs)))
    phis = draw(st.lists(st.sampled_from(PHIS), min_size=len(pairs), max_size=len(pairs)))
    weights = dict(zip(pairs, phis, strict=True))
    testable = draw(st.integers(0, 6))
    evidence = (testable, draw(st.integers(0, testable)), draw(st.integers(0, testable)), draw(st.integers(0, 8)))
    firing = draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    return n, {pair: weights[pair] for pair in kept}, evidence, firing


def numbers(n, edges):
    """Return n_edges, density, centralization, triangles and hub as igraph gives them."""
    graph = igraph.Graph(n, list(edges))
    degrees = graph.degree()
    centralization = 0.0 if n < 3 else sum(max(degrees) - d for d in degrees) / ((n - 1) * (n - 2))
    strength = [round(sum(phi for pair, phi in edges.items() if i in pair), 12) for i in range(n)]
    hub = min(range(n), key=lambda i: (-degrees[i], -strength[i], i))
    return graph.ecount(), graph.density(), centralization, len(graph.list_triangles()), hub


def shape_of(n, m, density, centralization, evidence):
    """Return the class by the rules of METHODS 7 and 14."""
    testable, depleted, enriched, covered = evidence
    if n <= 3:
        return "pair" if n == 2 else "triangle" if m == 3 else "undetermined"
    if density >= 0.8:
        return "fully connected"
    if centralization < 0.6:
        return "undetermined"
    exclusive = testable >= 3 and covered >= (n - 1) / 2 and depleted >= testable / 2 and depleted > enriched
    return "hub-spoke" if exclusive else "star-like"


def ego_of(h, edges, firing, evidence):
    """Return size, density of the leaves and class of the ego subgraph of h."""
    around = {a if b == h else b for a, b in edges if h in (a, b)}
    leaves = {i for i in around if (firing[i], -i) < (firing[h], -h)}
    size = len(leaves)
    links = sum(a in leaves and b in leaves for a, b in edges)
    density = None if size < 2 else 2 * links / (size * (size - 1))
    testable, depleted, enriched, covered = evidence
    if size < 4:
        return size, density, None
    fits = testable >= 3 and covered >= size / 2
    if fits and depleted >= testable / 2 and depleted > enriched:
        return size, density, "hub-spoke"
    return size, density, "joint" if fits and enriched >= 0.8 * testable else "mixed"


@hypothesis.settings(max_examples=5, deadline=None, derandomize=True,
                     suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture,
                                            hypothesis.HealthCheck.too_slow])  # fmt: skip
@hypothesis.given(st.lists(graphs(), min_size=40, max_size=40))
def test_cypher_agrees_with_igraph(driver, tmp_path_factory, drawn):
    """Every number, class, hub, label and role of communities and egos is that of the oracle."""
    empty(driver)
    starts = [sum(n for n, *_ in drawn[:i]) for i in range(len(drawn))]
    small = Small(
        n_features=sum(n for n, *_ in drawn),
        edges={(a + s, b + s): phi for s, (_, edges, *_) in zip(starts, drawn, strict=True)
               for (a, b), phi in edges.items()},
        clusters={"fine": [range(s, s + n) for s, (n, *_) in zip(starts, drawn, strict=True)]},
        evidence={("fine", i): evidence for i, (_, _, evidence, _) in enumerate(drawn)},
        egos={s + i: evidence for s, (n, _, evidence, _) in zip(starts, drawn, strict=True) for i in range(n)},
        firing={s + i: count for s, (*_, firing) in zip(starts, drawn, strict=True)
                for i, count in enumerate(firing)},
    )  # fmt: skip
    load(small.write(tmp_path_factory.mktemp("random")), driver, name="random")
    clusters = values(
        driver,
        "MATCH (c:Cluster) RETURN c.n_edges, c.density, c.centralization, c.triangles, c.hub, c.shape, "
        "[l IN labels(c) WHERE l <> 'Cluster'], COUNT { (c)<-[:IN_CLUSTER {role: 'hub'}]-() } ORDER BY c.cluster",
    )
    egos = values(driver, "MATCH (f:Feature) RETURN f.ego_size, f.leaf_density, f.ego_shape ORDER BY f.index")
    hubs = set()
    for start, (n, edges, evidence, firing), found in zip(starts, drawn, clusters, strict=True):
        m, density, centralization, triangles, hub = numbers(n, edges)
        shape = shape_of(n, m, density, centralization, evidence)
        starred = shape in ("hub-spoke", "star-like")
        assert found == (
            m, pytest.approx(density), pytest.approx(centralization), triangles, start + hub, shape,
            ["".join(word.capitalize() for word in shape.replace("-", " ").split())], int(starred),
        )  # fmt: skip
        hubs |= {start + hub} if starred else set()
        for i in range(n):
            size, leaf_density, ego_shape = egos[start + i]
            wanted = ego_of(i, edges, firing, evidence)
            assert (size, leaf_density, ego_shape) == (wanted[0], pytest.approx(wanted[1]), wanted[2])
    assert {index for (index,) in values(driver, "MATCH (f:Hub) RETURN f.index")} == hubs
