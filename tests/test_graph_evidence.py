"""What further stages say, in the graph: contexts, manifolds, absorption, behaviour; and ties between two atlases."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import pytest
from graph_checks import empty, values
from small_atlas import by_hand

from atlas.artifacts import Run, Spec
from atlas.files import write_table
from atlas.ingest.graph import load, load_run
from atlas.ingest.graph_drop import drop
from atlas.queries.library import find
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j


@pytest.fixture(scope="module")
def hand(driver, tmp_path_factory):
    """Load the atlas that is known by hand as the only one."""
    empty(driver)
    load(by_hand().write(tmp_path_factory.mktemp("hand")), driver, name="hand")
    return driver


def rows(driver, name, **parameters):
    answer = run(driver, find(name), parameters)
    assert not answer.notifications
    return answer.rows


def test_evidence_is_where_the_schema_says(hand):
    """A context is one node, whoever fires in it; lists, classes and verdicts are properties of what they are about."""
    for statement, expected in (
        ("MATCH (f)-[r:FIRES_IN]->(c {uid: 'hand:context:1'}) RETURN f.index, r.activations ORDER BY f.index",
         [(0, [5.0, 0.0]), (1, [2.0, 0.1])]),
        ("MATCH (c:Context {uid: 'hand:context:1'}) RETURN c.tokens, c.text, c.position",
         [([" go", "\u202e`'\"</script>"], " go\u202e`'\"</script>", 3)]),
        ("MATCH (c:Context {uid: 'hand:context:2'}) RETURN c.tokens, c.text", [([""], "")]),
        ("MATCH (e:Edge)-[r:SEEN_IN]->(c) RETURN e.uid, c.context, r.share ORDER BY c.context",
         [("hand:CO_OCCURS:0:1", 0, 0.25), ("hand:CO_OCCURS:0:1", 1, 1.0)]),
        ("MATCH (f)-[r:ON_MANIFOLD]->(m:Manifold {manifold: 0}) RETURN f.index, r.share, m.items[5], m.item_x[3..] "
         "ORDER BY f.index", [(1, 0.75, "sat", [3.0, 4.0, 5.0]), (2, 0.25, "sat", [3.0, 4.0, 5.0])]),
        ("MATCH (m:Manifold {manifold: 1}) RETURN m.items, m.geometry", [(None, "undetermined")]),
        ("MATCH (child)-[r:ABSORBS]->(parent) RETURN child.index, parent.index, r.status, r.asymmetry",
         [(2, 6, "candidate", 0.625)]),
        ("MATCH (a)-[r:HEDGES]->(b) RETURN a.index, b.index, r.encoder_cosine, r.lift_d ORDER BY a.index",
         [(1, 3, 0.25, 3.0), (2, 3, 0.5, None)]),
        ("MATCH (l:Letter) RETURN l.uid, l.name, l.split, l.n_missing, "
         "COLLECT { MATCH (f)-[:SPELLS]->(l) RETURN f.index } ORDER BY l.letter",
         [("hand:letter:g", "g", [9, 10], 2, [6]), ("hand:letter:q", "q", [], None, [0])]),
        ("MATCH (f)-[r:STANDS_IN]->(l) RETURN f.index, l.name, r.uid, r.text, r.absorbed ORDER BY r.token_id",
         [(1, "g", "hand:g:7", " gone", True), (1, "g", "hand:g:9", " go", False)]),
        ("MATCH (f)-[:PEAKS_AT]->(p:Peak) RETURN f.index, p.uid, p.name, p.token_share, p.neighbour ORDER BY p.peak",
         [(0, "hand:peak:0:0", "token", 0.75, None), (0, "hand:peak:0:1", "intrinsic", None, 1)]),
        ("MATCH (e:Edge) WHERE e.shift_a IS NOT NULL OR e.shift_b IS NOT NULL "
         "RETURN e.a, e.b, e.shift_a, e.shift_b ORDER BY e.b", [(0, 1, 0.5, None), (0, 2, -0.75, 0.125)]),
        ("MATCH (l:Letter)-[:OF_ATLAS]->(a:Atlas) RETURN count(*), a.name", [(2, "hand")]),
        ("MATCH (f:Feature {index: 0}) RETURN f.magnitude, f.histogram, f.peak_causes",
         [("multi-peak", [3, 0, 5], ["token", "intrinsic"])]),
        ("MATCH (f:Feature) WHERE f.index IN [2, 51] RETURN f.magnitude, f.positive_count ORDER BY f.index",
         [(None, None), (None, 0)]),
        ("MATCH (f:Feature {role: 'child'}) RETURN f.index, f.geometry_sort, f.is_child, f.is_parent, f.magnitude",
         [(1, "ring", True, False, "set")]),
        ("MATCH (c:Cluster {level: 'fine', cluster: 0}) RETURN c.verdict, c.joint_lift", [("composition", 8.0)]),
        ("MATCH (c:Cluster) WHERE c.mean_norm IS NOT NULL RETURN c.cluster, c.mean_items ORDER BY c.cluster",
         [(2, ["day", "week"]), (5, [])]),
        ("MATCH (f:Feature {index: 36}) RETURN f.ego_verdict, f.ego_joint_tokens", [("ambiguity", 40)]),
        ("MATCH (c)-[r:COMBINES]->(f) RETURN c.index, f.index, r.kind, r.a, r.b ORDER BY r.kind, f.index",
         [(0, 1, "AND", 1, 3), (0, 3, "AND", 1, 3), (0, 1, "OR", 1, 2), (0, 2, "OR", 1, 2)]),
        ("MATCH (n) WHERE n.load_id IS NULL RETURN DISTINCT labels(n)", [(["Atlas"],)]),
    ):
        assert values(hand, statement) == expected, statement


def test_contexts_of_a_feature_and_of_an_edge(hand):
    """The strongest first, the token in marks; by sample; of an edge from either end; nothing of one without any."""
    found = rows(hand, "contexts", feature=0)
    assert found == [
        (1, 5.0, "strongest", " go", "« go»\u202e`'\"</script>", "two", 3, [5.0, 0.0]),
        (0, 4.0, "both", " run", "I« run» home", "one", 4, [0.0, 4.0, 1.0]),
        (2, 0.5, "uniform", "", "«»", "two", 6, [0.5]),
    ]
    assert [row[0] for row in rows(hand, "contexts", feature=0, sample="uniform")] == [0, 2]
    assert rows(hand, "contexts", feature=0, limit=1) == found[:1]
    assert rows(hand, "contexts", feature=53) == []
    one = rows(hand, "edge_contexts", feature=1, other=0)
    assert one[0] == (1, 1.0, 2.0, 5.0, " go", "« go»\u202e`'\"</script>", "two", 3)
    assert [row[:4] for row in one] == [(1, 1.0, 2.0, 5.0), (0, 0.25, 0.5, 4.0)]
    other = rows(hand, "edge_contexts", feature=0, other=1)
    assert [row[:4] for row in other] == [(1, 1.0, 5.0, 2.0), (0, 0.25, 4.0, 0.5)]
    assert rows(hand, "edge_contexts", feature=0, other=2) == []


def test_everything_about_one_feature(hand):
    """One row whatever is known: all parts of a feature that has them, absent or empty ones of one that has none."""
    query = find("feature_page")

    def page(feature, **more):
        (row,) = rows(hand, "feature_page", feature=feature, **more)
        return dict(zip((column.name for column in query.columns), row, strict=True))

    known = page(0, contexts=1)
    some = ("name", "firing_count", "texts", "text_activations", "magnitude", "n_peaks")
    assert [known[name] for name in some] == ["run", 500, ["« go»\u202e`'\"</script>"], [5.0], "multi-peak", 2]
    assert known["parents"] == ["36 begins with N"]
    assert known["children"] == ["1 go", "2 feature 2"]
    assert known["combines"] == ["AND of 1 and 3", "OR of 1 and 2"]
    assert list(zip(*(known[name] for name in ("levels", "clusters", "cluster_shapes", "cluster_verdicts", "roles",
                                               "member_halves")), strict=True)) == [
        ("coarse", 0, "undetermined", "", "member", 2), ("middle", 0, "undetermined", "", "member", 2),
        ("fine", 0, "hub-spoke", "composition", "hub", 2),
    ]  # fmt: skip
    assert known["neighbours"] == ["1 go", *(f"{leaf} feature {leaf}" for leaf in range(2, 6))]
    assert (known["n_neighbours"], known["n_topics"], known["n_exclusions"]) == (5, 1, 0)
    assert known["peaks"] == [
        "0.5 (25 %): token «go», 75 % of its firings, 13 % of others", "2.0 (75 %): intrinsic",
    ]  # fmt: skip
    assert known["letters"] == ["q (recall 0.25, precision 0.13)"]
    assert known["shifted_by"] == ["2 feature 2 (-0.75)", "1 go (0.5)"]
    assert page(2)["shifted_by"] == ["0 run (0.13)"]
    assert page(1)["stands_in"] == ["g of « gone» (absorbed)", "g of « go»"]
    assert page(3)["hedges"] == ["2 feature 2", "1 go"]
    assert page(2)["absorbs"] == ["6 feature 6 (candidate)"]
    assert page(6)["absorbed_by"] == ["2 feature 2 (candidate)"]
    assert page(6)["manifolds"] == ["1 undetermined: nothing much"]
    assert page(3)["combined_by"] == ["0 is AND of 1 and 3"]
    assert page(36)["ego_verdict"] == "ambiguity"
    nothing = page(51)
    for column in query.columns:
        if column.optional and column.name != "ego_size":
            assert nothing[column.name] is None, column.name
        elif column.type.startswith("list") and column.name != "top_tokens":
            assert nothing[column.name] == [], column.name
    assert rows(hand, "feature_page", feature=99) == []


def test_what_a_run_does_not_have_is_absent(driver, tmp_path):
    """Without the artifacts nothing of them is loaded, and what an earlier load had of them is removed."""
    empty(driver)
    load(by_hand().write(tmp_path / "all"), driver, name="hand")
    receipt = load(replace(by_hand(), further={}).write(tmp_path / "none"), driver, name="hand", replace=True)
    assert receipt.removed == {
        "FIRES_IN": 4, "SEEN_IN": 2, "ON_MANIFOLD": 3, "ABSORBS": 1, "HEDGES": 2, "SPELLS": 2, "STANDS_IN": 2,
        "PEAKS_AT": 2, "COMBINES": 4, "Context": 3, "Manifold": 2, "Peak": 2, "Letter": 2,
    }  # fmt: skip
    kept = ("magnitude", "verdict", "mean_norm", "role", "shift_a")
    held = f"MATCH (n) RETURN {' + '.join(f'count(n.{name})' for name in kept)}"
    assert values(driver, held) == [(0,)]
    assert rows(driver, "contexts", feature=0) == rows(driver, "edge_contexts", feature=0, other=1) == []
    (page,) = rows(driver, "feature_page", feature=0)
    assert page[8:11] == ([], [], None)
    empty(driver)


TIES = (
    "MATCH (a:Atlas)-[r:COMPARED_WITH]->(b:Atlas) RETURN a.uid, b.uid, r.control, "
    "COLLECT { MATCH (f:Feature {atlas: a.uid})-[m:MATCHES]->(g:Feature {atlas: b.uid}) RETURN f.index + ' ' + g.index "
    "+ ' ' + m.by ORDER BY f.index }"
)


def compared(folder, digests):
    """Write the artifact of a comparison with the atlas `other`, in which 1 is 2 and 5 is 5."""
    matches = {"index": [1, 5], "other": [2, 5], "by": ["both", "decoder"], "cosine": [0.9, 0.8]}
    columns = {name: [None, None] for name in ("cosine_q", "phi", "phi_q")} | matches
    with Run(folder) as held:
        held.produce(
            Spec("70-comparison-other", {"other": "other", "digests": digests}, ("10-activations",)),
            lambda directory: write_table(directory, "matches", columns)
            or {"other": "other", "control": "seed", "n_alive": 50, "other_alive": 40},
        )


def test_two_atlases_are_tied_while_both_are_there(driver, tmp_path, caplog):
    """Nothing waits for the other atlas; loading again ties, and ties to what was changed or is gone are removed."""
    empty(driver)
    this, other = tmp_path / "this", tmp_path / "other"
    by_hand().write(this)
    first = by_hand().write(other)
    compared(this, {name: artifact.digest for name, artifact in first.items()})

    def again():
        with Run(this) as held, caplog.at_level(logging.INFO, logger="atlas"):
            return load_run(held, driver, name="hand", target="here")[0].changed

    assert again()
    assert values(driver, TIES) == []
    assert "no such atlas is loaded" in caplog.text
    load(first, driver, name="other")
    tie = ("hand", "other", "seed", ["1 2 both", "5 5 decoder"])
    for _ in range(2):
        assert not again()
        assert values(driver, TIES) == [tie]
    (page,) = rows(driver, "feature_page", atlas="hand", feature=1)
    assert page[-2] == ["other 2 feature 2"]
    changed = replace(by_hand(), firing={0: 7}).write(tmp_path / "changed")
    load(changed, driver, name="other", replace=True)
    assert values(driver, TIES) == []
    assert not again()
    assert "compared by another 50-structure than is loaded" in caplog.text
    load(first, driver, name="other", replace=True)
    assert not again()
    assert values(driver, TIES) == [tie]
    shutil.rmtree(this / "70-comparison-other")
    assert not again()
    assert values(driver, TIES) == values(driver, "MATCH ()-[r:MATCHES]->() RETURN r") == []
    compared(this, {})
    assert not again()
    assert values(driver, TIES) == [tie]
    drop(driver, "other")
    assert values(driver, "MATCH ()-[r:MATCHES|COMPARED_WITH]->() RETURN r") == []
    assert not again()
    empty(driver)
