"""Cypher's classification against igraph and the rules in Python: many graphs as communities of one atlas."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, replace

import igraph
import numpy as np
import pytest
from graph_checks import empty, values
from small_atlas import Small, chain, star

from atlas.errors import DatabaseError, QueryError
from atlas.ingest.graph import load
from atlas.queries.classify import classify, other_thresholds
from atlas.queries.library import find
from atlas.queries.run import plan, run
from atlas.shapes import Evidence, Rules, community_shape, connected_graphs, describe, ego_shape, topology
from atlas.shapes.templates import MIN_MARGIN

pytestmark = pytest.mark.neo4j

PHIS = (0.1, 0.2, 0.3, 0.7)
TEMPLATES = ("star", "chain", "ring", "bipartite", "core-periphery", "undetermined")
LABELS = {"pair": "Pair", "triangle": "Triangle", "fully connected": "FullyConnected", "hub-spoke": "HubSpoke",
          "star-like": "StarLike", "undetermined": "Undetermined", "chain": "Chain", "ring": "Ring",
          "bipartite": "Bipartite", "core-periphery": "CorePeriphery", None: None}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A graph with phi, and what Python would have stored of it."""

    graph: igraph.Graph
    evidence: Evidence
    template: str | None
    margin_bits: float | None
    firing: tuple[int, ...]


def case(rng: np.random.Generator, n: int, edges, described: tuple[str | None, float | None] | None = None) -> Case:
    """Return a case whose phi, evidence and firing counts are drawn; so are template and margin if not given."""
    graph = igraph.Graph(n, list(edges))
    graph.vs["index"] = range(n)
    graph.es["phi"] = rng.choice(PHIS, graph.ecount()).tolist()
    testable = int(rng.integers(0, 7))
    depleted, enriched = (int(each) for each in rng.integers(0, testable + 1, 2))
    margin = float(rng.choice([0, 1.99, MIN_MARGIN - 1e-12, MIN_MARGIN, 2.5, 7]))
    template, margin = described or ((str(rng.choice(TEMPLATES)), margin) if n > 3 else (None, None))
    evidence = Evidence(testable, depleted, enriched, int(rng.integers(0, n + 1)))
    return Case(graph, evidence, template, margin, tuple(rng.integers(1, 5, n).tolist()))


def cases() -> Iterator[Case]:
    """Every connected graph on up to 7 nodes, larger and unconnected ones drawn, and what is almost a chain or ring."""
    rng = np.random.default_rng(7)
    for n in range(1, 8):
        for one in connected_graphs(n):
            found = describe(one.graph)
            yield case(rng, n, one.graph.get_edgelist(), (found.template, found.margin_bits) if found else (None, None))
    for n in [*range(2, 10), *range(2, 10), 12, 17, 25]:
        pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
        drawn = [pair for pair in pairs if rng.random() < rng.choice([0.1, 0.3, 0.9])]
        yield case(rng, n, drawn)
        hub = int(rng.integers(n))
        yield case(rng, n, {*(pair for pair in pairs if hub in pair), *drawn[:2]})
    for n in range(4, 20, 3):
        path = [(i, i + 1) for i in range(n - 1)]
        yield case(rng, n, path)
        yield case(rng, n, [*path, (0, n - 1)])
        yield case(rng, n + 3, [*path, (n, n + 1), (n + 1, n + 2), (n, n + 2)])  # m = n - 1 and degrees of 2: no chain
        yield case(rng, n + 7, [*path, (0, n - 1), *((n + i, n + (i + 1) % 7) for i in range(7))])  # and no ring


def ideal_of(one: Case, shape: str, min_margin: float) -> str | None:
    """Return the ideal graph of an undetermined community: an exact chain or ring, or what the template says."""
    n = one.graph.vcount()
    if shape != "undetermined" or n < 4:
        return None
    if one.graph.isomorphic(igraph.Graph.Ring(n)):
        return "ring"
    if one.graph.isomorphic(igraph.Graph.Ring(n, circular=False)):
        return "chain"
    counted = one.template in ("chain", "ring", "bipartite", "core-periphery") and one.margin_bits > min_margin - 1e-9
    return one.template if counted else None


def ego_of(one: Case, hub: int, rules: Rules) -> tuple[int, float | None, str | None]:
    """Return size, density of the leaves and class of the ego subgraph of a member."""
    order = [(count, -i) for i, count in enumerate(one.firing)]
    leaves = [i for i in one.graph.neighbors(hub) if order[i] < order[hub]]
    n, m = len(leaves), one.graph.subgraph(leaves).ecount()
    return n, 2 * m / (n * (n - 1)) if n > 1 else None, ego_shape(n, one.evidence, rules)


@pytest.fixture(scope="module")
def drawn(driver, tmp_path_factory):
    """Load all cases as the communities of one atlas; return each with the index of its first feature."""
    empty(driver)
    found, start = [], 0
    for one in cases():
        found.append((start, one))
        start += one.graph.vcount()
    small = Small(
        n_features=start,
        edges={(first + e.source, first + e.target): e["phi"] for first, one in found for e in one.graph.es},
        clusters={"fine": [range(first, first + one.graph.vcount()) for first, one in found]},
        evidence={("fine", i): astuple(one.evidence)[:4] for i, (_, one) in enumerate(found)},
        egos={first + i: astuple(one.evidence)[:4] for first, one in found for i in range(one.graph.vcount())},
        firing={first + i: count for first, one in found for i, count in enumerate(one.firing)},
        found={("fine", i): {"template": one.template, "margin_bits": one.margin_bits}
               for i, (_, one) in enumerate(found)},
    )  # fmt: skip
    load(small.write(tmp_path_factory.mktemp("drawn")), driver, name="drawn")
    return found


def differences(driver, drawn, rules: Rules, min_margin: float) -> list[str]:
    """Return what the database says otherwise than igraph and the rules in Python: numbers, classes, labels, roles."""
    clusters = values(
        driver,
        "MATCH (c:Cluster) RETURN c.n_edges, c.density, c.centralization, c.triangles, c.hub, c.shape, c.ideal, "
        "[l IN labels(c) WHERE l <> 'Cluster'], "
        "COLLECT { MATCH (f)-[r:IN_CLUSTER]->(c) RETURN r.role ORDER BY f.index } ORDER BY c.cluster",
    )
    egos = values(driver, "MATCH (f:Feature) RETURN f.ego_size, f.leaf_density, f.ego_shape, f:Hub, "
                  "[l IN labels(f) WHERE l STARTS WITH 'Ego'] ORDER BY f.index")  # fmt: skip
    wrong = []
    for (first, one), (*numbers, shape, ideal, labels, roles) in zip(drawn, clusters, strict=True):
        known = topology(one.graph)
        wanted = [known.n_edges, known.density, known.centralization, known.triangles, first + known.hub]
        shape_wanted = community_shape(known, one.evidence, rules)
        ideal_wanted = ideal_of(one, shape_wanted, min_margin)
        starred = shape_wanted in ("hub-spoke", "star-like")
        roles_wanted = [
            "member" if not starred else "hub" if i == known.hub else "leaf" for i in range(known.size)
        ]
        labels_wanted = {LABELS[shape_wanted], LABELS[ideal_wanted]} - {None}
        if (numbers, shape, ideal, set(labels), roles) != (
            wanted, shape_wanted, ideal_wanted, labels_wanted, roles_wanted,
        ):  # fmt: skip
            wrong.append(f"{first} {one}: {numbers} {shape} {ideal} {labels} {roles}")
        for i in range(known.size):
            size, density, ego = ego_of(one, i, rules)
            hub = starred and i == known.hub
            label = [{"hub-spoke": "EgoHubSpoke", "joint": "EgoJoint", "mixed": "EgoMixed"}[ego]] if ego else []
            if egos[first + i] != (size, density, ego, hub, label):
                wrong.append(f"{first + i} of {one}: {egos[first + i]}")
    return wrong


def test_every_small_graph_and_larger_ones_agree_with_igraph(driver, drawn):
    """Each number, class, label, hub and role is igraph's, on all 996 connected graphs on up to 7 nodes and larger."""
    sizes = [one.graph.vcount() for _, one in drawn[:996]]
    assert [sizes.count(n) for n in range(1, 8)] == [1, 1, 2, 6, 21, 112, 853]
    assert differences(driver, drawn, Rules(), MIN_MARGIN) == []
    found = values(driver, "MATCH (c:Cluster) RETURN DISTINCT c.shape UNION MATCH (c:Cluster) RETURN DISTINCT c.ideal "
                   "AS `c.shape`")  # fmt: skip
    assert {shape for (shape,) in found} == set(LABELS)


def test_other_thresholds_classify_anew(driver, drawn):
    """With other thresholds every class is that of the rules again, no label or role is left, and the atlas says so."""
    rules = replace(Rules(), min_density=0.65, min_centralization=0.35, min_testable=2, min_cover=0.3,
                    min_depleted=0.7, min_leaves=3, min_enriched=0.4)  # fmt: skip
    for query in ("classify_clusters", "classify_egos"):
        named = {parameter.name for parameter in find(query).parameters}
        given = {name: value for name, value in asdict(rules).items() if name in named}
        run(driver, find(query), given | ({"min_margin": 5.0} if "min_margin" in named else {}))
    assert differences(driver, drawn, rules, 5.0) == []
    told = {name: value for query in other_thresholds(driver, "drawn").values() for name, value in query.items()}
    assert told == asdict(rules) | {"min_margin": 5.0}


def small() -> Small:
    """Return an atlas of a star with exclusive leaves and a chain."""
    return Small(12, {**star(0, range(1, 6)), **chain(range(6, 12))}, {"fine": [range(6), range(6, 12)]},
                 evidence={("fine", 0): (6, 4, 1, 4)}, firing={0: 500})  # fmt: skip


def test_loading_a_reclassified_atlas_again_says_so(driver, tmp_path, caplog):
    """The classes are left as they are, with the command that gives those of the defaults; after it nothing is said."""
    empty(driver)
    artifacts = small().write(tmp_path)
    load(artifacts, driver, name="small")
    assert other_thresholds(driver, "small") == {}
    classify(driver, "small", clusters={"min_centralization": 1.5})
    caplog.set_level(logging.INFO)
    again = load(artifacts, driver, name="small")
    assert (again.changed, again.clusters) == (False, {"fine": {"undetermined": 2}})
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "atlas small: reclassified with min_centralization 1.5; `atlas query run classify_clusters -p atlas=small "
        "--write` gives the classes of the defaults"
    ]
    run(driver, find("classify_clusters"))
    caplog.clear()
    assert load(artifacts, driver, name="small").clusters == {"fine": {"hub-spoke": 1, "undetermined": 1}}
    assert all(record.levelno < logging.WARNING for record in caplog.records)


def test_a_classification_that_did_not_reach_its_end_is_said(driver, tmp_path, caplog):
    """What fails on the way leaves no thresholds on the atlas, and loading it again says that it did not end."""
    empty(driver)
    artifacts = small().write(tmp_path)
    load(artifacts, driver, name="small")
    values(driver, "MATCH (c:Cluster {cluster: 0}) SET c.testable_pairs = 'many'")
    with pytest.raises(DatabaseError, match="Cannot multiply"):
        run(driver, find("classify_clusters"))
    assert set(other_thresholds(driver, "small")["classify_clusters"].values()) == {None}
    load(artifacts, driver, name="small")
    assert "atlas small: not classified to the end; `atlas query run classify_clusters" in caplog.text


def test_a_query_of_a_plugin_is_refused_where_the_server_has_none(driver, tmp_path):
    """What needs Graph Data Science is not sent to a server without it, neither to run nor for its plan."""
    empty(driver)
    load(small().write(tmp_path), driver, name="small")
    for asked in (run, plan):
        with pytest.raises(QueryError, match="query gds_leiden needs the plugin Graph Data Science"):
            asked(driver, find("gds_leiden"))
