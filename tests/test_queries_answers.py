"""Further queries of the library, each with the answer that was worked out by hand on the hand-made atlas."""

from __future__ import annotations

import pytest
from graph_checks import rows
from small_atlas import Small, clique, star

from atlas.errors import QueryError
from atlas.ingest.graph import load
from atlas.queries.contract import GRAPH_NODES, REQUIRED
from atlas.queries.library import find, library
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j

SEVENTEENTHS = 1 / 17


def short(driver, name, *columns, **parameters):
    """Return some columns of the answer, by their names."""
    answer = run(driver, find(name), parameters)
    places = [answer.columns.index(column) for column in columns]
    return [tuple(row[place] for place in places) for row in answer.rows]


def test_one_feature_and_two(hand):
    """All that is known of one feature; the claims of a pair from either side; nothing of a pair without any."""
    ((*known,),) = rows(hand, "feature", feature=0)
    assert known == [
        0, "run", "alive", 500, 0.5, 1.0, 2.0, [" run", " go"], 5, 1, 0, 1, 2, 0, 5, "mixed", None, 0, "fine 0", "hub",
        None,
    ]  # fmt: skip
    assert rows(hand, "feature", feature=99) == []
    excluded = ("EXCLUDES", "contextual", 1, 0.5, 0.5, 0.25, None, 0.05, 0.5, 0.5, 0.75, None, None)
    assert rows(hand, "pair", feature=1, other=2) == rows(hand, "pair", feature=2, other=1) == [excluded]
    assert short(hand, "pair", "kind", "explained_by", "explained_by_name", feature=7, other=5) == [
        ("CO_OCCURS", 0, "run")
    ]
    assert rows(hand, "pair", feature=1, other=30) == []


def test_edges_of_the_whole_atlas(hand):
    """The strongest first, by index where they are equal; of a basis; without those that a third explains."""
    ab = ("a", "b", "phi")
    assert short(hand, "strongest_edges", *ab, limit=2) == [(0, 1, 0.5), (0, 2, 0.5)]
    assert short(hand, "strongest_edges", *ab, "lift_d", basis="contextual") == [(28, 29, 0.4, 9.0)]
    assert short(hand, "strongest_edges", *ab, limit=100)[-1] == (5, 7, 0.2)
    direct = short(hand, "strongest_edges", *ab, direct=True, limit=100)
    assert (len(direct), direct[-1]) == (50, (44, 45, 0.3))
    assert rows(hand, "indirect_edges") == [(5, "feature 5", 7, "feature 7", 0, "run", 0.2, 0.5, "lexical")]
    assert rows(hand, "indirect_edges", via=3) == []


def test_what_surrounds_a_feature(hand):
    """What two features share, triangles, and the neighbourhood as a graph."""
    assert rows(hand, "shared_neighbours", feature=1, other=2) == [(0, "run", 0.5, 0.5, None)]
    assert short(hand, "shared_neighbours", "neighbour", "phi_between", feature=12, other=13) == [
        (14, 0.5), (15, 0.5), (16, 0.5),
    ]  # fmt: skip
    assert rows(hand, "triangles", feature=41) == [
        (42, "feature 42", 43, "feature 43", 0.3, 0.3, ["lexical"] * 3),
        (44, "feature 44", 45, "feature 45", 0.3, 0.3, ["lexical"] * 3),
    ]
    assert rows(hand, "triangles", feature=41, min_phi=0.4) == []
    assert len(rows(hand, "triangles", feature=12)) == 6
    drawn = ("part", "a", "b")
    assert short(hand, "neighbourhood", *drawn, feature=41) == [
        ("spoke", 41, 42), ("spoke", 41, 43), ("spoke", 41, 44), ("spoke", 41, 45), ("rim", 42, 43), ("rim", 44, 45),
    ]  # fmt: skip
    assert short(hand, "neighbourhood", *drawn, feature=41, neighbours=2) == [
        ("spoke", 41, 42), ("spoke", 41, 43), ("rim", 42, 43),
    ]  # fmt: skip
    assert rows(hand, "neighbourhood", feature=41, basis="contextual") == []
    assert short(hand, "neighbours", "neighbour", feature=5, by="p_neighbour") == [(7,), (0,)]


def test_shapes_by_basis_and_template(hand):
    """Joint egos, egos of one basis, and communities by the ideal graph that describes them."""
    leaves = [f"feature {index}" for index in range(42, 46)]
    assert rows(hand, "joint_egos") == [(41, "feature 41", 4, pytest.approx(1 / 3), -1.5, 0.9, "contextual", leaves)]
    assert rows(hand, "joint_egos", basis="lexical") == rows(hand, "hub_spoke_egos", basis="lexical") == []
    assert short(hand, "hub_spoke_egos", "feature", basis="contextual") == [(36,)]
    path = [f"feature {index}" for index in range(23, 28)]
    assert rows(hand, "clusters_by_template") == [("fine", 4, "fine 4", 5, 4, "undetermined", 6.0, None, path)]
    assert short(hand, "clusters_by_template", "cluster", template="ring") == [(3,)]
    assert rows(hand, "clusters_by_template", template="ring", level="coarse") == []


def test_kin(hand):
    """Parents that their children divide, doubles, the deepest features with their roots, and a lineage."""
    assert rows(hand, "partition_parents") == [
        (0, "run", 1, 2, 0.9, 0.95, ["go", "feature 2"]),
        (36, "begins with N", 0, 2, 0.9, 0.95, ["run", "feature 37"]),
    ]
    assert short(hand, "partition_parents", "parent", min_children=1) == [(0,), (6,), (36,)]
    assert rows(hand, "partition_parents", kind="facets") == []
    same = (30, "feature 30", 31, "feature 31", 0.9, 0.9, 0.8, "contextual")
    assert rows(hand, "same_features") == rows(hand, "same_features", feature=31) == [same]
    assert rows(hand, "same_features", feature=32) == []
    assert rows(hand, "deepest_features") == [
        (1, "go", 2, 100, 2, ["begins with N"]),
        (2, "feature 2", 2, 100, 3, ["feature 6", "begins with N"]),
    ]
    pairs = ("parent", "child")
    assert short(hand, "lineage", *pairs, feature=0) == [(0, 1), (0, 2), (36, 0)]
    assert short(hand, "lineage", *pairs, feature=2) == [(0, 2), (6, 2), (36, 0)]
    assert rows(hand, "lineage", feature=53) == []


def test_members_and_memberships(hand):
    """Where a feature belongs and where else its edges go; who belongs to a community; who is between two."""
    assert rows(hand, "memberships", feature=5) == [
        ("coarse", 0, "coarse 0", 17, "undetermined", "member", 0.75, None, None, None),
        ("middle", 0, "middle 0", 12, "undetermined", "member", 0.75, None, None, None),
        ("fine", 0, "fine 0", 6, "hub-spoke", "leaf", 0.625, 1, "fine 1", 0.4),
    ]
    assert rows(hand, "members", cluster=0) == [
        (0, "run", "hub", 500, 5, 5, 0.75, None, None),
        (1, "go", "leaf", 100, 1, 1, 0.75, None, None),
        *((leaf, f"feature {leaf}", "leaf", 100, 1, 1, 0.75, None, None) for leaf in (2, 3, 4)),
        (5, "feature 5", "leaf", 100, 1, 2, 0.625, 1, 0.4),
    ]
    assert len(rows(hand, "members", cluster=0, min_stability=0.7)) == 5
    assert rows(hand, "between_communities") == [
        (5, "feature 5", 0, "fine 0", 1, "fine 1", 0.4, 0.625),
        (7, "feature 7", 1, "fine 1", 0, "fine 0", 0.3, 0.75),
    ]
    assert short(hand, "between_communities", "feature", min_share=0.35) == [(5,)]


def test_communities_inside_and_beside_each_other(hand):
    """What a community divides into, which ones it touches, which ones hold, and which ones chance makes."""
    columns = ("level", "cluster", "size", "share", "inside")
    assert short(hand, "subclusters", *columns, cluster=0) == [
        ("middle", 0, 12, pytest.approx(12 * SEVENTEENTHS), 0),
        ("middle", 1, 5, pytest.approx(5 * SEVENTEENTHS), 0),
        ("fine", 0, 6, pytest.approx(6 * SEVENTEENTHS), 0),
        ("fine", 1, 6, pytest.approx(6 * SEVENTEENTHS), 0),
        ("fine", 2, 5, pytest.approx(5 * SEVENTEENTHS), 1),
    ]
    assert [row[1] for row in rows(hand, "subclusters", level="middle", cluster=1)] == [2]
    assert rows(hand, "neighbour_clusters", cluster=1) == [(0, "fine 0", 6, 1, 0.2, pytest.approx(1 / 36), True)]
    assert rows(hand, "neighbour_clusters", cluster=2) == []
    assert rows(hand, "stable_clusters") == [("fine", 2, "fine 2", 5, "fully connected", 0.95, 0.92, 5, 8)]
    assert rows(hand, "chance_clusters") == [("fine", 1, "fine 1", 6, "star-like", None, 1.0, 0.5, 3)]
    assert short(hand, "chance_clusters", "cluster", min_chance=0.03) == [(1,), (2,)]


def test_exclusions_where_they_matter(hand):
    """Inside one community, among the leaves of one hub, and by feature."""
    columns = ("a", "b", "cluster", "lift_d")
    assert short(hand, "exclusions_in_clusters", *columns) == [(1, 2, 0, 0.25)]
    assert short(hand, "exclusions_in_clusters", *columns, level="coarse") == [(1, 2, 0, 0.25), (3, 12, 0, 0.5)]
    assert rows(hand, "exclusions_in_clusters", level="coarse", basis="mixed") == []
    assert rows(hand, "exclusions_in_clusters", cluster=1) == []
    assert rows(hand, "exclusive_leaves", feature=0) == [
        (1, "go", 2, "feature 2", 0.25, 0.5, "contextual", 0.5, 0.5)
    ]
    assert rows(hand, "exclusive_leaves", feature=6) == []
    assert rows(hand, "excluding_features") == [
        (1, "go", 100, 1, 1, ["feature 2"]), (2, "feature 2", 100, 1, 1, ["go"]),
        (3, "feature 3", 100, 1, 1, ["feature 12"]), (12, "feature 12", 100, 1, 4, ["feature 3"]),
    ]  # fmt: skip
    assert rows(hand, "excluding_features", min_exclusions=2) == []


def test_tokens_of_features_and_communities(hand):
    """Families of one token, tokens of many features, senses of a word, and what members have in common."""
    leaves = [f"feature {index}" for index in range(47, 51)]
    assert rows(hand, "token_families") == [(46, "feature 46", "item", " token46", 4, "mixed", leaves)]
    assert rows(hand, "token_families", family="punctuation") == []
    assert rows(hand, "crowded_tokens") == [
        (" go", 3, [0, 1, 2], ["run", "go", "feature 2"]),
        ("(", 2, [36, 37], ["begins with N", "feature 37"]),
    ]
    assert rows(hand, "crowded_tokens", first=True) == [(" go", 2, [1, 2], ["go", "feature 2"])]
    assert short(hand, "senses", "a", "b", "basis", "shared_hubs", token=" go") == [(1, 2, "contextual", 1)]
    assert rows(hand, "senses", token=" run") == []
    assert rows(hand, "cluster_tokens", cluster=0, limit=2) == [
        (" go", 3, 0.5, ["run", "go", "feature 2"]), (" gone", 1, pytest.approx(1 / 6), ["go"]),
    ]  # fmt: skip


def test_directions_beside_firings(hand):
    """Pairs that point alike and never meet, and pairs that meet and point apart."""
    assert short(hand, "aligned_exclusions", "a", "b", "decoder_cosine") == [(1, 2, 0.75)]
    assert short(hand, "aligned_exclusions", "b", min_cosine=0.1) == [(2,), (12,)]
    assert short(hand, "unaligned_edges", "a", "b", "decoder_cosine") == [(28, 29, 0.0625)]
    assert rows(hand, "unaligned_edges", basis="lexical") == []


def test_letters_and_the_words_that_lack_them(hand):
    """Letters that are claimed, or all; words by letter, by the feature that stands in, and by whether it took them."""
    claimed = ("g", 6, "feature 6", [9, 10], 0.875, 0.5, 12, 2, 1, 0.0125, 0.0375, ["« gone» 1 go"])
    assert rows(hand, "letters") == [claimed]
    assert rows(hand, "letters", words=0) == [(*claimed[:-1], [])]
    assert rows(hand, "letters", claimed=False)[1:] == [
        ("q", 0, "run", [], 0.25, 0.125, 3, None, None, None, None, [])
    ]
    taken = ("g", 7, " gone", 12, 6, 0.0, 1, "go", 1.0, 0.5, 0.75, 0.01, 0.02, True)
    left = ("g", 9, " go", 20, 6, 0.125, 1, "go", 0.25, 0.5, 0.25, 0.5, 0.5, False)
    assert rows(hand, "letter_words") == rows(hand, "letter_words", letter="g", feature=1) == [taken, left]
    assert rows(hand, "letter_words", absorbed=True) == rows(hand, "letter_words", limit=1) == [taken]
    assert rows(hand, "letter_words", absorbed=False) == [left]
    assert rows(hand, "letter_words", letter="q") == rows(hand, "letter_words", feature=0) == []


def test_pairs_that_may_hedge(hand):
    """By the smaller of the two cosines, the largest first; of one feature on either side."""
    found = [
        (2, "feature 2", 3, "feature 3", 0.375, 0.5, 6, None, 0.5, 0.5),
        (1, "go", 3, "feature 3", 0.5, 0.25, 30, 3.0, 0.25, 0.75),
    ]  # fmt: skip
    assert rows(hand, "hedged") == rows(hand, "hedged", feature=3) == found
    assert rows(hand, "hedged", feature=1) == found[1:]
    assert rows(hand, "hedged", feature=0) == []


def test_what_raises_and_lowers_a_feature(hand):
    """Significant shifts alone, of either end of an edge; the largest first, up, down, or of one basis."""
    assert rows(hand, "interference", feature=0) == [
        (2, "feature 2", -0.75, 0.125, 0.5, "lexical"), (1, "go", 0.5, None, 0.5, "lexical"),
    ]  # fmt: skip
    assert rows(hand, "interference", feature=2) == [(0, "run", 0.125, -0.75, 0.5, "lexical")]
    assert rows(hand, "interference", feature=1) == [(0, "run", None, 0.5, 0.5, "lexical")]
    assert rows(hand, "interference", feature=3) == []
    down, up = (0, "run", 2, "feature 2", -0.75), (0, "run", 1, "go", 0.5)
    assert [row[:5] for row in rows(hand, "strongest_shifts")] == [down, up, (2, "feature 2", 0, "run", 0.125)]
    assert short(hand, "strongest_shifts", "by", direction="up") == [(1,), (0,)]
    assert short(hand, "strongest_shifts", "by", direction="down") == [(2,)]
    assert rows(hand, "strongest_shifts", basis="contextual") == []


def test_features_like_this_one(hand, tmp_path, monkeypatch):
    """By the cosine of the decoder's rows, in one atlas alone; none without a decoder, or with too large a one."""
    near = rows(hand, "similar_directions", feature=0, limit=2)
    assert near == [
        (1, "go", pytest.approx(0.6, abs=1e-6), ["CO_OCCURS", "PARENT_OF"], 0.5, True, 100),
        (2, "feature 2", pytest.approx(0.0, abs=1e-6), ["CO_OCCURS", "PARENT_OF"], 0.5, True, 100),
    ]
    assert short(hand, "similar_directions", "other", "kinds", feature=2, limit=1) == [(1, ["EXCLUDES"])]
    wide = Small(3, {(0, 1): 0.5}, directions=((1.0, 0.0, 0.0), (0.8, 0.6, 0.0), (0.0, 0.0, 0.0)))
    load(wide.write(tmp_path / "wide"), hand, name="wide")
    try:
        found = short(hand, "similar_directions", "other", "decoder_cosine", atlas="wide", feature=0)
        assert found == [(1, pytest.approx(0.8, abs=1e-6))]
        assert len(rows(hand, "similar_directions", atlas="hand", feature=0, limit=100)) == 53
        bare = Small(3, {(0, 1): 0.5})
        load(bare.write(tmp_path / "bare"), hand, name="wide", replace=True)
        assert rows(hand, "similar_directions", atlas="wide", feature=0) == []
        load(wide.write(tmp_path / "wide"), hand, name="wide", replace=True)
        assert short(hand, "similar_directions", "other", atlas="wide", feature=1) == [(0,)]
        monkeypatch.setattr("atlas.ingest.directions.MOST_NUMBERS", 8)
        load(bare.write(tmp_path / "bare"), hand, name="wide", replace=True)
        load(wide.write(tmp_path / "wide"), hand, name="wide", replace=True)
        assert rows(hand, "similar_directions", atlas="wide", feature=1) == []
    finally:
        hand.execute_query("MATCH (n {atlas: 'wide'}) DETACH DELETE n")


def test_quality(hand):
    """Kinds and bases of edges, what the null keeps, tiny and rare ones, and features that no edge can have."""
    assert short(hand, "edge_kinds", "kind", "basis", "n_edges", "median_lift_d", "n_explained") == [
        ("CO_OCCURS", "lexical", 50, 0.5, 1), ("CO_OCCURS", "contextual", 1, 9.0, 0),
        ("CO_TOPIC", "lexical", 1, 0.5, 0),
        ("EXCLUDES", "contextual", 1, 0.25, 0), ("EXCLUDES", "lexical", 1, 0.5, 0),
    ]  # fmt: skip
    assert rows(hand, "null_survival") == [("hand", "none", 56, 56, None, None, 51, 0.1)]
    assert short(hand, "tiny_effects", "kind", "a", "b", "phi_d") == [
        ("EXCLUDES", 3, 12, -0.015625), ("CO_OCCURS", 42, 43, 0.03125),
    ]  # fmt: skip
    assert short(hand, "tiny_effects", "a", kind="CO_OCCURS", max_phi_d=0.03) == []
    assert short(hand, "rare_edges", "a", "b", limit=2) == [(0, 1), (0, 2)]
    assert len(rows(hand, "rare_edges", max_joint=1, limit=100)) == 50
    assert [row[:5] for row in rows(hand, "untested_features")] == [
        (52, "feature 52", "dense", 100, 0.1), (51, "feature 51", "dead", 0, 0.0),
    ]  # fmt: skip
    assert short(hand, "untested_features", "feature", **{"class": "dead"}) == [(51,)]


def test_levels_beside_each_other(hand):
    """Numbers and sizes of the communities of each level."""
    columns = ("level", "n_clusters", "n_features", "largest", "median_size", "fully_connected", "stars")
    assert short(hand, "compare_levels", *columns) == [
        ("coarse", 1, 17, 17, 17.0, 0, 0), ("fine", 8, 36, 6, 5.0, 1, 2), ("middle", 2, 17, 12, 8.5, 1, 0),
    ]  # fmt: skip
    ((density, stability),) = short(hand, "compare_levels", "mean_density", "mean_stability")[:1]
    assert (density, stability) == (pytest.approx(21 / 136), 0.5)


def test_an_atlas_beside_another(hand, tmp_path):
    """Figures of two atlases, communities with the same tokens, and no atlas of that name."""
    other = Small(
        6, star(0, range(1, 6)), {"fine": [range(6)]}, tokens={0: [" go", " run", " x"]}, firing={0: 500}
    )
    load(other.write(tmp_path), hand, name="other")
    try:
        asked = {"atlas": "hand", "other_atlas": "other"}
        figures = {row[0]: row[1:] for row in rows(hand, "compare_atlases", **asked)}
        assert figures["n_edges"] == (51.0, 5.0)
        assert figures["coarse communities"] == (1.0, None)
        assert figures["fine hub-spoke"] == (1.0, None)
        assert figures["ego mixed"] == (4.0, 1.0)
        assert rows(hand, "shared_communities", **asked, min_shared=2) == [
            (0, "fine 0", 0, "fine 0", 2, 0.5, [" go", " run"], "hub-spoke", "star-like")
        ]
        assert rows(hand, "shared_communities", **asked) == []
        assert rows(hand, "shared_communities", **asked, min_shared=2, cluster=1) == []
        with pytest.raises(QueryError, match="no atlas 'othr' in the database; did you mean other"):
            rows(hand, "compare_atlases", atlas="hand", other_atlas="othr")
    finally:
        hand.execute_query("MATCH (n {atlas: 'other'}) DETACH DELETE n")


def test_housekeeping(hand):
    """The summary, features without an edge, and edges that are there in one form only."""
    ((*summary,),) = rows(hand, "atlas_summary")
    found = dict(zip((column.name for column in find("atlas_summary").columns), summary, strict=True))
    assert (found["n_dead"], found["n_dense"], found["n_unconnected"]) == (1, 1, 1)
    assert (found["n_edges"], found["n_topics"], found["n_exclusions"], found["n_parents"]) == (51, 1, 2, 5)
    assert (found["n_clusters"], found["complete"]) == ([1, 2, 8], True)
    assert rows(hand, "unconnected_features") == [(53, "feature 53", 100, 0, 0, [" token53"])]
    whole = [("CO_OCCURS", 51, 51, 0), ("CO_TOPIC", 1, 1, 0), ("EXCLUDES", 2, 2, 0)]
    assert rows(hand, "edge_forms") == whole
    hand.execute_query("MATCH (:Feature {uid: 'hand:1'})-[r:EXCLUDES]->() SET r.uid = 'lost'")
    hand.execute_query("MATCH (:Feature {uid: 'hand:28'})-[r:ENDPOINT_OF]->() DELETE r")
    try:
        assert rows(hand, "edge_forms") == [("CO_OCCURS", 51, 51, 1), whole[1], ("EXCLUDES", 2, 2, 1)]
    finally:
        hand.execute_query("MATCH ()-[r:EXCLUDES {uid: 'lost'}]->() SET r.uid = 'hand:EXCLUDES:1:2'")
        hand.execute_query(
            "MATCH (f:Feature {uid: 'hand:28'}), (e:Edge {uid: 'hand:CO_OCCURS:28:29'}) CREATE (f)-[:ENDPOINT_OF]->(e)"
        )
    assert rows(hand, "edge_forms") == whole


def test_a_graph_has_300_nodes_at_most(hand, tmp_path):
    """However large the star, the community or the family, and whatever limit is asked for."""
    leaves = range(1, 400)
    wide = Small(
        401, {**star(0, leaves), **clique(range(1, 30), 0.3), (5, 400): 0.2}, {"fine": [[0, *leaves]]},
        firing={0: 500}, parents=tuple((0, leaf) for leaf in leaves),
    )  # fmt: skip
    load(wide.write(tmp_path), hand, name="wide")
    given = {"feature": 0, "cluster": 0, "of": "0", "from": 1, "to": 400}
    try:
        for query in library().values():
            if query.graph:
                required = {p.name: given[p.name] for p in query.parameters if p.default is REQUIRED}
                large = {p.name: 10**6 for p in query.parameters if p.name in ("limit", "neighbours")}
                answer = run(hand, query, {"atlas": "wide", **required, **large})
                place = answer.columns.index("path")
                nodes = {node.element_id for row in answer.rows for node in row[place].nodes}
                assert 3 <= len(nodes) <= GRAPH_NODES, query.name
                assert query.name == "path" or len(nodes) == GRAPH_NODES, query.name
    finally:
        hand.execute_query("MATCH (n {atlas: 'wide'}) DETACH DELETE n")
