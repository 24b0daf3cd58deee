"""What holds again in halves of the documents, in the graph and in the query over it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from graph_checks import empty
from small_atlas import by_hand

from atlas.ingest.graph import load
from atlas.queries.library import find
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j


@pytest.fixture
def loaded(driver, tmp_path):
    """Load the atlas that is known by hand."""
    empty(driver)
    load(by_hand().write(tmp_path / "hand"), driver, name="hand")
    yield driver
    empty(driver)


def one(driver, statement):
    return driver.execute_query(statement).records[0].value()


def test_every_claim_says_in_how_many_halves_it_holds(loaded, tmp_path):
    """Edges in both forms, parents, members, communities, classes; all of it goes with the artifact."""
    for statement, expected in (
        ("MATCH ({uid: 'hand:5'})-[r:CO_OCCURS]->({uid: 'hand:7'}) RETURN r.halves", 0),
        ("MATCH (e:Edge {uid: 'hand:CO_OCCURS:28:29'}) RETURN e.halves", 1),
        ("MATCH (e:Edge {uid: 'hand:CO_OCCURS:0:1'}) RETURN e.halves", None),
        ("MATCH (e:Edge {uid: 'hand:EXCLUDES:1:2'}) RETURN e.halves", 2),
        ("MATCH ({uid: 'hand:36'})-[r:PARENT_OF]->({uid: 'hand:0'}) RETURN r.halves", 1),
        ("MATCH ({uid: 'hand:5'})-[r:IN_CLUSTER]->({uid: 'hand:fine:0'}) RETURN r.halves", 1),
        ("MATCH (c {uid: 'hand:fine:1'}) RETURN [c.halves, c.shape_halves, c.half_overlap]", [0, 2, 0.75]),
        ("MATCH (c {uid: 'hand:fine:0'}) RETURN [c.halves, c.shape_halves]", [2, 1]),
        ("MATCH (f {uid: 'hand:36'}) RETURN f.ego_halves", 1),
        ("MATCH (a:Atlas) RETURN [a.half_documents, a.n_near_duplicates, a.half_ami]", [[5, 5], 2, [0.5, 0.75, 1.0]]),
        ("MATCH (a:Atlas) RETURN a.n_documents", 10),
    ):
        assert one(loaded, statement) == expected, statement
    load(replace(by_hand(), halves=None).write(tmp_path / "without"), loaded, name="hand", replace=True)
    held = "MATCH (n) OPTIONAL MATCH (n)-[r]->() RETURN count(n.halves) + count(r.halves) + count(n.ego_halves)"
    assert one(loaded, held) == 0


def test_the_query_counts_what_holds_again(loaded):
    """By hand: claims, tested, both, one, neither and the share of each kind, level and class."""
    answer = run(loaded, find("replication"), {"atlas": "hand"})
    assert not answer.notifications
    found = {row[:2]: row[2:] for row in answer.rows}
    assert found["edges", "CO_OCCURS"] == (51, 49, 47, 1, 1, 47 / 49)
    assert found["edges", "CO_TOPIC"] == (1, 1, 0, 0, 1, 0.0)
    assert found["edges", "EXCLUDES"] == (2, 2, 2, 0, 0, 1.0)
    assert found["parents", "PARENT_OF"] == (5, 4, 3, 1, 0, 3 / 4)  # 0 and 1 cannot be tested
    assert found["parents", "SAME_AS"] == (1, 0, 0, 0, 0, None)
    assert found["members", "fine"] == (36, 35, 34, 1, 0, 34 / 35)
    assert found["communities", "fine"] == (8, 8, 7, 0, 1, 7 / 8)
    assert found["classes of communities", "hub-spoke"] == (1, 1, 0, 1, 0, 0.0)
    assert found["classes of egos", "hub-spoke"] == (1, 1, 0, 1, 0, 0.0)
    assert found["classes of egos", "mixed"] == (4, 0, 0, 0, 0, None)  # 0, 6 and 12 have no evidence
