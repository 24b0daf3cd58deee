"""Every shipped query, run on an atlas that is known by hand."""

from __future__ import annotations

import dataclasses
import logging

import pytest
from graph_checks import COMPARED, keeps_its_header, remarks, rows, values
from small_atlas import Small, star

from atlas.errors import DatabaseError, QueryError
from atlas.ingest.graph import load
from atlas.queries.classify import classify
from atlas.queries.contract import ONLY, REQUIRED
from atlas.queries.header import read_query
from atlas.queries.library import find, library
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j

GIVEN = {
    "feature": 0, "cluster": 0, "of": "fine:0", "token": " go", "from": 1, "to": 2, "other": 1, "other_atlas": "hand",
}  # fmt: skip
FOR = {
    "shared_communities": {"min_shared": 1}, "community_means": {"level": "fine"},
    "shared_neighbours": {"feature": 12, "other": 13}, "triangles": {"feature": 12},
}  # fmt: skip
"""What a query is asked on the hand-made atlas: by name of the parameter, and where that answers nothing, by query."""


ASKED = [query for query in library().values() if not query.needs and query.name not in COMPARED]
"""All that can be asked of one atlas; test_queries_compared.py asks the others."""


def asked(query):
    required = {p.name: GIVEN[p.name] for p in query.parameters if p.default is REQUIRED}
    return required | FOR.get(query.name, {})


@pytest.mark.parametrize("query", ASKED, ids=lambda query: query.name)
def test_answers_are_as_the_header_says_and_the_server_has_no_remark(hand, query):
    """Columns have the declared types, the key names each row once, the order repeats, nothing is deprecated."""
    keeps_its_header(hand, query, asked(query))


@pytest.mark.parametrize("query", ASKED, ids=lambda query: query.name)
def test_the_server_itself_remarks_nothing(hand, query):
    """With every notification on: no cartesian product, no deprecation, no name unknown but of what may be absent."""
    assert remarks(hand, query, asked(query) | {"atlas": "hand"}) == []


def test_classes_of_communities(hand):
    """One community of each shape, with its numbers, its hub and its labels."""
    found = values(
        hand,
        "MATCH (c:Cluster {atlas: 'hand'}) RETURN c.level + toString(c.cluster), c.shape, c.n_edges, c.density, "
        "c.centralization, c.triangles, c.hub, [l IN labels(c) WHERE l <> 'Cluster'] ORDER BY c.level, c.cluster",
    )
    assert found == [
        ("coarse0", "undetermined", 21, 21 / 136, pytest.approx((17 * 5 - 42) / 240), 10, 0, ["Undetermined"]),
        ("fine0", "hub-spoke", 5, 1 / 3, 1.0, 0, 0, ["HubSpoke"]),
        ("fine1", "star-like", 5, 1 / 3, 1.0, 0, 6, ["StarLike"]),
        ("fine2", "fully connected", 10, 1.0, 0.0, 10, 12, ["FullyConnected"]),
        ("fine3", "undetermined", 6, 0.4, 0.0, 0, 17, ["Undetermined", "Ring"]),
        ("fine4", "undetermined", 4, 0.4, pytest.approx(2 / 12), 0, 24, ["Undetermined", "Chain"]),
        ("fine5", "pair", 1, 1.0, 0.0, 0, 28, ["Pair"]),
        ("fine6", "triangle", 3, 1.0, 0.0, 1, 30, ["Triangle"]),
        ("fine7", "undetermined", 2, pytest.approx(2 / 3), 1.0, 0, 34, ["Undetermined"]),
        ("middle0", "undetermined", 11, 1 / 6, pytest.approx((60 - 22) / 110), 0, 0, ["Undetermined"]),
        ("middle1", "fully connected", 10, 1.0, 0.0, 10, 12, ["FullyConnected"]),
    ]
    roles = values(
        hand,
        "MATCH (f:Feature)-[r:IN_CLUSTER]->(c:Cluster {atlas: 'hand', level: 'fine'}) WHERE c.cluster IN [0, 1, 3] "
        "RETURN c.cluster, r.role, collect(f.index), count(f) ORDER BY c.cluster, r.role",
    )
    assert [(cluster, role, n) for cluster, role, _, n in roles] == [
        (0, "hub", 1), (0, "leaf", 5), (1, "hub", 1), (1, "leaf", 5), (3, "member", 6),
    ]  # fmt: skip
    assert values(hand, "MATCH (f:Hub {atlas: 'hand'}) RETURN f.index ORDER BY f.index") == [(0,), (6,)]


def test_classes_of_egos(hand):
    """Leaves are the rarer neighbours; of two that fire as often the higher index is the leaf."""
    found = values(
        hand,
        "MATCH (f:Feature {atlas: 'hand'}) WHERE f.ego_size > 1 RETURN f.index, f.ego_size, f.leaf_density, "
        "f.ego_shape, [l IN labels(f) WHERE l STARTS WITH 'Ego'] ORDER BY f.index",
    )
    assert [row for row in found if row[1] >= 4] == [
        (0, 5, 0.0, "mixed", ["EgoMixed"]),
        (6, 5, 0.0, "mixed", ["EgoMixed"]),
        (12, 4, 1.0, "mixed", ["EgoMixed"]),
        (36, 4, 0.0, "hub-spoke", ["EgoHubSpoke"]),
        (41, 4, pytest.approx(1 / 3), "joint", ["EgoJoint"]),
        (46, 4, 0.0, "mixed", ["EgoMixed"]),
    ]
    assert (13, 3, 1.0, None, []) in found
    assert (17, 2, 0.0, None, []) in found
    one = "MATCH (f:Feature {atlas: 'hand', index: $index}) RETURN f.ego_size, f.leaf_density, f.ego_shape"
    assert values(hand, one, index=53) == [(0, None, None)]
    assert values(hand, one, index=28) == [(1, None, None)]


def test_thresholds_are_parameters_and_stale_classes_go(hand):
    """Other thresholds give other classes and leave no label behind; the defaults give the first ones again."""
    try:
        changed = classify(
            hand, "hand", clusters={"min_centralization": 1.1}, egos={"min_leaves": 5, "min_enriched": 0.0}
        )
        assert changed.clusters["fine"] == {"fully connected": 1, "pair": 1, "triangle": 1, "undetermined": 5}
        assert changed.egos == {"mixed": 2}
        labels = "MATCH (n:Hub|HubSpoke|StarLike|EgoHubSpoke|EgoJoint) WHERE n.atlas = 'hand' RETURN count(n)"
        assert values(hand, labels) == [(0,)]
        assert values(hand, "MATCH ()-[r:IN_CLUSTER {role: 'hub'}]->() RETURN count(r)") == [(0,)]
    finally:
        again = classify(hand, "hand")
    assert again.clusters["fine"]["hub-spoke"] == 1
    assert again.egos == {"hub-spoke": 1, "joint": 1, "mixed": 4}
    with pytest.raises(QueryError, match="has no parameter 'min_leaf'"):
        classify(hand, "hand", egos={"min_leaf": 5})


def test_lists_of_shapes(hand):
    """Stars with their leaves, cliques with their members, exclusive egos, and the census of all."""
    star_row = ("fine", 0, "hub-spoke", 6, 0, "run")
    leaves = ["go", "feature 2", "feature 3", "feature 4", "feature 5"]
    assert rows(hand, "hub_spoke_clusters") == [(*star_row, leaves, 1 / 3, 1.0, 4, 6)]
    assert [row[1:3] for row in rows(hand, "hub_spoke_clusters", star_like=True)] == [
        (0, "hub-spoke"),
        (1, "star-like"),
    ]
    assert rows(hand, "hub_spoke_clusters", level="coarse") == []
    cliques = rows(hand, "fully_connected_clusters")
    assert [row[:5] for row in cliques] == [("fine", 2, 5, 1.0, 10), ("middle", 1, 5, 1.0, 10)]
    assert cliques[0][6] == [f"feature {index}" for index in range(12, 17)]
    assert rows(hand, "hub_spoke_egos") == [
        (36, "begins with N", 4, 0.0, -1.5, 0.9, "contextual", [f"feature {index}" for index in range(37, 41)])
    ]
    assert rows(hand, "shape_census") == [
        ("coarse", "undetermined", 1),
        ("ego", "hub-spoke", 1), ("ego", "joint", 1), ("ego", "mixed", 4),
        ("fine", "fully connected", 1), ("fine", "hub-spoke", 1), ("fine", "pair", 1), ("fine", "star-like", 1),
        ("fine", "triangle", 1), ("fine", "undetermined", 3),
        ("middle", "fully connected", 1), ("middle", "undetermined", 1),
    ]  # fmt: skip


def test_neighbourhoods(hand):
    """Neighbours with both conditionals the right way round, hubs, bridges and paths."""
    assert [row[0] for row in rows(hand, "neighbours", feature=0)] == [1, 2, 3, 4, 5]
    up, down = rows(hand, "neighbours", feature=5)
    assert (up[0], up[2], up[7], up[8]) == (0, 0.5, 0.25, 0.75)  # 5 is the higher end: P(0 given 5) is p_a_given_b
    assert (down[0], down[2], down[7], down[8]) == (7, 0.2, 0.75, 0.25)
    assert rows(hand, "neighbours", feature=5, min_phi=0.3) == [up]
    assert rows(hand, "neighbours", feature=5, basis="contextual") == []
    assert [(row[0], row[3], row[4], row[6], row[7]) for row in rows(hand, "hubs")] == [
        (0, 5, 5, "mixed", 1), (6, 5, 5, "mixed", 1), (12, 4, 4, "mixed", 0), (36, 4, 4, "hub-spoke", 0),
        (41, 4, 4, "joint", 0), (46, 4, 4, "mixed", 0),
    ]  # fmt: skip
    assert rows(hand, "bridges") == [(5, "feature 5", 0, 7, "feature 7", 1, 0.2, "lexical")]
    assert rows(hand, "bridges", level="coarse") == []
    ((length, weakest, features, names, path),) = rows(hand, "path", **{"from": 1, "to": 8})
    assert (length, weakest, features) == (5, 0.2, [1, 0, 5, 7, 6, 8])
    assert names[:2] == ["go", "run"]
    assert len(path.nodes) == 6
    assert rows(hand, "path", **{"from": 1, "to": 30}) == []
    assert rows(hand, "path", **{"from": 1, "to": 1}) == []


def test_exclusions_and_topics(hand):
    """Pairs that avoid each other, with the hubs that they share, and features of one topic from either side."""
    assert [(row[0], row[2], row[9]) for row in rows(hand, "exclusions")] == [(1, 2, 1), (3, 12, 0)]
    assert [row[2] for row in rows(hand, "exclusions", feature=12)] == [12]
    assert [row[0] for row in rows(hand, "exclusions", basis="contextual")] == [1]
    assert rows(hand, "same_topic", feature=0) == [(6, "feature 6", 0.5, 0.5, 1, 0)]
    assert [row[:2] for row in rows(hand, "same_topic", feature=6)] == [(0, "run")]


def test_hierarchy(hand):
    """Direct and further kin both ways, the roots with their children, and the feature with two parents."""
    up = [(row[0], row[2], row[3]) for row in rows(hand, "parents", feature=2)]
    assert up == [(0, 1, 0.9), (6, 1, 0.9), (36, 2, None)]
    assert [(row[0], row[2]) for row in rows(hand, "children", feature=36)] == [(0, 1), (37, 1)]
    down = [(row[0], row[2], row[6]) for row in rows(hand, "children", feature=36, depth=2)]
    assert down == [(0, 1, 2), (37, 1, 0), (1, 2, 0), (2, 2, 0)]
    assert rows(hand, "roots") == [
        (36, "begins with N", 400, 2, "partition", 0.9, 0.95, ["run", "feature 37"])
    ]
    assert [row[0] for row in rows(hand, "roots", min_children=1)] == [36, 6]
    assert rows(hand, "several_parents") == [(2, "feature 2", 100, 2, ["run", "feature 6"])]
    same = "MATCH (a:Feature)-[:SAME_AS]->(b) RETURN a.index, b.index"
    assert values(hand, same) == [(30, 31)]


def test_communities_that_chance_decides(hand):
    """Those of four and more members whose stability is low; pairs and triangles are left out."""
    assert [row[1] for row in rows(hand, "unstable_clusters")] == [0, 1, 3, 4]
    assert rows(hand, "unstable_clusters", max_stability=0.4) == []


def test_roles_of_hubs_and_scores_of_others(hand):
    """Modifiers without the family of one token unless it is asked for; each community beside the peer's scores."""
    assert [(row[0], row[2], row[6]) for row in rows(hand, "hub_roles")] == [
        (hub, 4, [f"feature {index}" for index in range(hub + 1, hub + 5)]) for hub in (36, 41)
    ]
    assert [row[0] for row in rows(hand, "hub_roles", families=True)] == [36, 41, 46]
    assert rows(hand, "hub_roles", role="parent") == []
    star_row = ("fine", 0, "fine 0", 6, "hub-spoke", "star", 3.0, 0.01, 0.25, 0.5, 0.25)
    assert rows(hand, "peer_scores", shape="hub-spoke") == [star_row]


def test_graphs_for_the_browser(hand):
    """A community and a star as paths: hub to leaf, and the edges among the leaves."""
    parts = rows(hand, "cluster", cluster=6)
    assert [row[:3] for row in parts] == [
        ("member", 30, 6), ("member", 31, 6), ("member", 32, 6), ("edge", 30, 31), ("edge", 30, 32), ("edge", 31, 32),
    ]  # fmt: skip
    assert [row[:3] for row in rows(hand, "star", of="41")] == [
        ("spoke", 41, 42), ("spoke", 41, 43), ("spoke", 41, 44), ("spoke", 41, 45), ("rim", 42, 43), ("rim", 44, 45),
    ]  # fmt: skip
    assert [row[:3] for row in rows(hand, "star", of="fine:0")] == [("spoke", 0, leaf) for leaf in range(1, 6)]
    assert rows(hand, "star", of="fine:99") == []


@pytest.mark.parametrize(
    ("token", "found"),
    [
        (" go", [(0, True), (1, True), (2, True)]),
        ("go", [(1, False), (0, False), (2, False)]),
        ("(", [(36, True), (37, True)]),
        ('"', [(37, True)]),
        ("\\", [(37, True)]),
        ("begins with", [(36, False)]),
        ("*", []),
        ("name:run OR", []),
        ("", []),
    ],
)
def test_tokens_are_found_as_items_and_as_words(hand, token, found):
    """An item is found exactly, a word by the full-text index, and no sign is an operator of the search."""
    answered = [(row[0], row[2]) for row in rows(hand, "features_by_token", token=token)]
    assert sorted(answered) == sorted(found)


def test_communities_by_token(hand):
    """A community is found by the tokens of its members."""
    assert rows(hand, "clusters_by_token", token="goner") == []
    assert [(row[0], row[1], row[5]) for row in rows(hand, "clusters_by_token", token=" go")] == [
        ("coarse", 0, True), ("fine", 0, True), ("middle", 0, True),
    ]  # fmt: skip


def test_counts_and_atlases(hand):
    """Counts of every label and type, and the atlas itself."""
    counted = {name: count for _, name, count in rows(hand, "counts")}
    assert counted["Feature"] == 54
    assert (counted["CO_OCCURS"], counted["CO_TOPIC"], counted["EXCLUDES"]) == (51, 1, 2)
    assert counted["Edge"] == counted["ENDPOINT_OF"] / 2 == 54
    assert (counted["Dead"], counted["Dense"], counted["Cluster"]) == (1, 1, 11)
    ((atlas, complete, model, *_),) = rows(hand, "atlases")
    assert (atlas, complete, model) == ("hand", True, "a model")


def test_a_read_that_writes_is_refused_by_the_server(hand):
    """What the check of the text lets through, the server refuses in read mode (fault 68)."""
    query = find("counts")
    sly = dataclasses.replace(query, statement=f"CREATE (:Feature {{uid: $atlas}}) WITH 1 AS x\n{query.statement}")
    with pytest.raises(QueryError, match="header says `writes: no`; the server refused it"):
        run(hand, sly)
    assert values(hand, "MATCH (f:Feature {uid: 'hand'}) RETURN count(f)") == [(0,)]


def test_a_query_of_the_user_is_run_by_its_contract(hand, tmp_path):
    """A file of one's own is read, checked and run as the shipped ones are; a fault of the server is one line."""
    text = (
        "// title: T\n// question: Q?\n// group: explore\n// writes: no\n// key: n\n"
        "// parameter: atlas string = only -- a\n// column: n integer -- n\n\n"
        "MATCH (f:Feature {atlas: $atlas})\nRETURN count(f) AS n\nORDER BY n\nLIMIT 1\n"
    )
    (tmp_path / "mine.cypher").write_text(text)
    assert run(hand, read_query(tmp_path / "mine.cypher")).rows == [(54,)]
    (tmp_path / "mine.cypher").write_text(text.replace("count(f)", "count(f) / 0"))
    with pytest.raises(DatabaseError, match=r"mine: .*by zero"):
        run(hand, read_query(tmp_path / "mine.cypher"))


def test_the_only_atlas_is_the_default_and_an_unfinished_one_is_warned_of(hand, tmp_path, caplog):
    """With a second atlas the query asks which; one that is not complete is read with a warning."""
    other = Small(5, star(0, range(1, 5)), firing={0: 500})
    assert library()["counts"].parameter("atlas").default is ONLY
    load(other.write(tmp_path), hand, name="other")
    try:
        with pytest.raises(QueryError, match="2 atlases: hand, other"):
            run(hand, find("counts"))
        hand.execute_query("MATCH (a:Atlas {uid: 'other'}) SET a.complete = false")
        with caplog.at_level(logging.WARNING, logger="atlas"):
            assert run(hand, find("hubs"), {"atlas": "other"}).rows[0][:2] == (0, "feature 0")
        assert "atlas other is not complete" in caplog.text
    finally:
        hand.execute_query("MATCH (n {atlas: 'other'}) DETACH DELETE n")
