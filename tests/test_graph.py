"""The loader: what the database holds is what the artifacts say, however often and however badly it was loaded."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from graph_checks import empty, export, values
from neo4j.exceptions import TransientError
from small_atlas import Small, by_hand, clique, star

from atlas.artifacts import Run
from atlas.errors import ArtifactError, DatabaseError, InputError
from atlas.ingest.graph import load, load_run
from atlas.ingest.graph_drop import contents, drop
from atlas.ingest.graph_rows import Rows, as_maps
from atlas.ingest.graph_sources import OPTIONAL, STAGES, artifacts_of
from atlas.ingest.graph_write import Writer
from atlas.queries.library import find
from atlas.queries.run import run as run_query
from atlas.schema import NODES
from atlas.schema.generate import merge_nodes

pytestmark = pytest.mark.neo4j


@pytest.fixture
def clean(driver):
    """Give a database that holds nothing."""
    empty(driver)
    return driver


def unfinish(driver, name):
    driver.execute_query("MATCH (a:Atlas {uid: $name}) SET a.complete = false", name=name)


def test_every_row_of_the_artifacts_is_there(clean, tmp_path):
    """Nodes, both forms of each edge, membership, nesting and provenance are those of the tables."""
    receipt = load(by_hand().write(tmp_path), clean, name="hand", batch=7)
    assert receipt.changed
    assert receipt.removed == {}
    assert receipt.rows == {
        "Atlas": 1, "Feature": 54, "Edge": 54, "Cluster": 11, "PeerCluster": 3, "Context": 3, "Manifold": 2,
        "Peak": 2, "Letter": 2, "OF_ATLAS": 72, "CO_OCCURS": 51, "CO_TOPIC": 1, "EXCLUDES": 2, "ENDPOINT_OF": 108,
        "PARENT_OF": 5, "SAME_AS": 1,
        "WITHIN": 78, "IN_CLUSTER": 70, "PART_OF": 5, "IN_PEER_CLUSTER": 14, "FIRES_IN": 4, "SEEN_IN": 2,
        "ON_MANIFOLD": 3, "ABSORBS": 1, "HEDGES": 2, "SPELLS": 2, "STANDS_IN": 2, "PEAKS_AT": 2, "COMBINES": 4,
    }  # fmt: skip
    forms = values(
        clean,
        "MATCH (a:Feature)-[r:CO_OCCURS]->(b:Feature) MATCH (e:Edge {uid: r.uid}) "
        "RETURN a.index, b.index, e.a, e.b, r.phi, e.phi, r.joint_count = e.joint_count, r.lift_t = e.lift_t, "
        "COUNT { (e)<-[:ENDPOINT_OF]-() }, EXISTS { (a)-[:ENDPOINT_OF]->(e)<-[:ENDPOINT_OF]-(b) }, e.name, r.uid",
    )
    assert {(row[0], row[1]): row[4] for row in forms} == by_hand().edges
    for a, b, node_a, node_b, phi, node_phi, counts, lifts, ends, tied, name, uid in forms:
        assert (a, b, phi, ends, tied, counts) == (node_a, node_b, node_phi, 2, True, True)
        assert lifts is (None if a % 2 else True)
        assert uid == f"hand:CO_OCCURS:{a}:{b}"
        assert a != 0 or b != 1 or name == "run · go"
    assert values(
        clean,
        "MATCH (c:Cluster)-[p:PART_OF]->(d:Cluster) RETURN c.uid, d.uid, p.share ORDER BY c.uid",
    ) == [
        ("hand:fine:0", "hand:middle:0", 0.5), ("hand:fine:1", "hand:middle:0", 0.5),
        ("hand:fine:2", "hand:middle:1", 1.0), ("hand:middle:0", "hand:coarse:0", pytest.approx(12 / 17)),
        ("hand:middle:1", "hand:coarse:0", pytest.approx(5 / 17)),
    ]  # fmt: skip
    within = "MATCH (e:Edge {uid: 'hand:CO_OCCURS:5:7'})-[:WITHIN]->(c) RETURN c.uid ORDER BY c.uid"
    assert values(clean, within) == [("hand:coarse:0",), ("hand:middle:0",)]
    labels = "MATCH (f:Feature) WHERE f.index IN [51, 52] RETURN labels(f) ORDER BY f.index"
    assert values(clean, labels) == [(["Feature", "Dead"],), (["Feature", "Dense"],)]
    ((atlas,),) = values(clean, "MATCH (a:Atlas) RETURN properties(a)")
    assert (atlas["name"], atlas["complete"], atlas["digest"]) == ("hand", True, receipt.digest)
    assert json.loads(atlas["parameters"])["30-edges"] == {"phi": 0.1}
    assert "release" not in atlas


def test_topics_and_exclusions_are_edges_of_their_own(clean, tmp_path):
    """Each kind has its type and its `:Edge`; neither is an edge of a community, and each goes when it is gone."""
    shape = {"clusters": {"fine": [[0, 1, 2]]}}
    more = Small(4, {(0, 1): 0.5}, topics=((0, 2), (1, 3)), exclusions=((1, 2),), **shape)
    rows = load(more.write(tmp_path / "more"), clean, name="kinds").rows
    assert [rows[name] for name in ("CO_OCCURS", "CO_TOPIC", "EXCLUDES", "Edge", "ENDPOINT_OF")] == [1, 2, 1, 4, 8]
    assert rows["WITHIN"] == 1
    found = values(
        clean,
        "MATCH (a:Feature)-[r:CO_TOPIC|EXCLUDES]->(b:Feature) MATCH (e:Edge {uid: r.uid}) "
        "RETURN a.index, b.index, type(r), e.kind, r.uid ORDER BY a.index, b.index",
    )
    assert found == [
        (0, 2, "CO_TOPIC", "CO_TOPIC", "kinds:CO_TOPIC:0:2"),
        (1, 2, "EXCLUDES", "EXCLUDES", "kinds:EXCLUDES:1:2"),
        (1, 3, "CO_TOPIC", "CO_TOPIC", "kinds:CO_TOPIC:1:3"),
    ]
    fewer = Small(4, {(0, 1): 0.5}, topics=((0, 2),), **shape)
    removed = load(fewer.write(tmp_path / "fewer"), clean, name="kinds", replace=True).removed
    assert removed == {"CO_TOPIC": 1, "EXCLUDES": 1, "Edge": 2}


def test_clusters_of_others_are_there_while_the_run_has_them(clean, tmp_path):
    """Each with the name of its hub, and its members; without its artifact the same atlas has another digest."""
    replace(by_hand(), halves=None, further={}).write(tmp_path)
    with Run(tmp_path) as run:
        with_peer, _ = load_run(run, clean, name="hand", target="here")
        assert values(
            clean,
            "MATCH (p:PeerCluster)-[:OF_ATLAS]->(a:Atlas {uid: 'hand'}) "
            "RETURN p.uid, p.name, p.size, p.n_edges, p.degree_ratio, p.diameter, p.peer_hub_spoke, p.highest_score, "
            "p.shape, COLLECT { MATCH (f:Feature)-[:IN_PEER_CLUSTER]->(p) RETURN f.index ORDER BY f.index } "
            "ORDER BY p.peer_cluster",
        ) == [
            ("hand:peer:0", "run", 8, 7, 4.0, 2, 0.75, "peer_hub_spoke", "star-like", [*range(7), 9]),
            ("hand:peer:1", "feature 12", 4, 6, 1.0, 1, 0.625, "peer_strongly_connected", "fully connected",
             [12, 13, 14, 15]),
            ("hand:peer:2", "begins with N", 2, 1, 1.0, 1, 0.625, None, "pair", [36, 37]),
        ]  # fmt: skip
        figures = "MATCH (a:Atlas) RETURN a.peer_cut, a.peer_largest, a.peer_in_range, a.n_edges, a.complete"
        assert values(clean, figures) == [(0.25, 8, False, 51, True)]
        shutil.rmtree(tmp_path / "45-peer")
    with Run(tmp_path) as run:
        with pytest.raises(InputError, match="from other artifacts"):
            load_run(run, clean, name="hand", target="here")
        without, artifact = load_run(run, clean, name="hand", target="here", replace=True)
    assert without.removed == {"PeerCluster": 3, "IN_PEER_CLUSTER": 14}
    assert without.digest != with_peer.digest
    assert set(artifact.inputs) == set(STAGES)
    assert values(clean, figures) == [(None, None, None, 51, True)]


def test_clusters_of_others_made_from_what_is_gone_are_left_out(tmp_path, caplog):
    """An optional artifact is of the run that it was made from: made from other counts it is not loaded, and named."""
    replace(by_hand(), halves=None, further={}).write(tmp_path)
    with Run(tmp_path) as run:
        whole = Rows(artifacts_of(run), "hand")
    manifest = tmp_path / "45-peer" / "manifest.json"
    stored = json.loads(manifest.read_text("utf8"))
    manifest.write_text(json.dumps(stored | {"inputs": {"10-activations": "another"}}), "utf8")
    with Run(tmp_path) as run, caplog.at_level(logging.WARNING, logger="atlas"):
        rows = Rows(artifacts_of(run), "hand")
    assert "without 45-peer, whose inputs changed: `atlas ingest clusters --method clarke2024`" in caplog.text
    assert (rows.expected()["PeerCluster"], list(rows.relationships("IN_PEER_CLUSTER"))) == (0, [])
    assert next(as_maps(rows.atlas()))["properties"]["peer_cut"] is None
    assert rows.digest == Rows({stage: whole.artifacts[stage] for stage in STAGES}, "hand").digest != whole.digest
    manifest.write_text(json.dumps(stored | {"format_version": 1}), "utf8")
    with Run(tmp_path) as run, pytest.raises(ArtifactError, match="45-peer: format 1") as refused:
        artifacts_of(run)
    assert "`atlas ingest clusters --method clarke2024`" in refused.value.remedy


def dump(driver):
    """Return all that the database holds, whosever it is: nodes, relationships, constraints and indexes."""
    shown = "YIELD name, type, entityType, labelsOrTypes, properties RETURN * ORDER BY name"
    return {
        "nodes": values(driver, "MATCH (n) RETURN elementId(n) AS id, labels(n), properties(n) ORDER BY id"),
        "relationships": values(
            driver,
            "MATCH (a)-[r]->(b) RETURN elementId(r) AS id, elementId(a), type(r), elementId(b), properties(r) "
            "ORDER BY id",
        ),
        "constraints": values(driver, f"SHOW CONSTRAINTS {shown}"),
        "indexes": values(driver, f"SHOW INDEXES {shown}"),
    }


def test_loading_again_changes_nothing(clean, tmp_path):
    """The whole database is equal after a second load, and after a load over one that was not finished."""
    artifacts = by_hand().write(tmp_path)
    load(artifacts, clean, name="hand")
    before = dump(clean)
    assert (len(before["nodes"]), len(before["relationships"])) == (132, 429)
    again = load(artifacts, clean, name="hand")
    assert (again.changed, again.clusters["fine"]["hub-spoke"], again.egos["joint"]) == (False, 1, 1)
    assert dump(clean) == before
    unfinish(clean, "hand")
    assert load(artifacts, clean, name="hand").changed
    assert dump(clean) == before


def test_what_the_database_lost_is_found_out_and_loaded_again(clean, tmp_path):
    """Whether the atlas is there is asked of the database: what someone removed comes back."""
    artifacts = by_hand().write(tmp_path)
    load(artifacts, clean, name="hand")
    before = export(clean, "hand")
    clean.execute_query("MATCH (f:Feature {uid: 'hand:0'}) DETACH DELETE f")
    assert load(artifacts, clean, name="hand").changed
    assert export(clean, "hand") == before


def test_other_artifacts_need_replace_and_leave_nothing_stale(clean, tmp_path):
    """The same name is refused; replaced, it equals a first load, another atlas untouched, removals counted."""
    first = by_hand()
    second = Small(
        n_features=50,
        edges={**star(0, range(1, 6)), **clique(range(6, 12)), **star(20, range(21, 25))},
        clusters={"coarse": [range(12)], "fine": [list(range(6, 12)), list(range(6))]},
        firing={0: 300},
    )
    old, new = first.write(tmp_path / "old"), second.write(tmp_path / "new")
    load(new, clean, name="fresh")
    wanted = [line.replace("fresh", "hand") for line in export(clean, "fresh")]
    empty(clean)
    load(old, clean, name="hand")
    load(old, clean, name="other")
    other = export(clean, "other")
    with pytest.raises(InputError, match="from other artifacts: digest") as refused:
        load(new, clean, name="hand")
    assert "--replace" in refused.value.remedy
    receipt = load(new, clean, name="hand", replace=True)
    assert receipt.removed["Feature"] == 4
    assert receipt.removed["Cluster"] == 8  # 11, of which coarse 0, fine 0 and fine 1 stay
    assert receipt.removed["Edge"] == 51 + 3 - len(set(first.edges) & set(second.edges))
    assert sorted(export(clean, "hand")) == sorted(wanted)
    assert export(clean, "other") == other
    unfinish(clean, "hand")
    with pytest.raises(InputError, match="its load did not reach its end"):
        load(old, clean, name="hand")


def test_another_schema_version_is_refused_with_its_remedy(clean, tmp_path):
    """An atlas of another schema version stops the load before anything is written."""
    artifacts = by_hand().write(tmp_path)
    clean.execute_query("CREATE (:Atlas {uid: 'newer', atlas: 'newer', schema_version: 99})")
    with pytest.raises(DatabaseError, match="'newer' of schema version 99, this program writes 5") as refused:
        load(artifacts, clean, name="hand")
    assert "`atlas db drop-atlas newer`" in refused.value.remedy
    assert values(clean, "MATCH (n) RETURN count(n)") == [(1,)]


def test_names_batches_and_missing_artifacts_are_refused(clean, tmp_path):
    """A name that would confuse uids, a batch of none and a missing stage are refused before the database."""
    artifacts = by_hand().write(tmp_path)
    for name in ("", "a:b", "a b", "-a", "x" * 65, "a\n"):
        with pytest.raises(InputError, match="expected letters"):
            load(artifacts, clean, name=name)
    with pytest.raises(InputError, match="0 rows a batch"):
        load(artifacts, clean, name="hand", batch=0)
    with pytest.raises(ArtifactError, match="40-clusters: not there"):
        load({k: v for k, v in artifacts.items() if k != "40-clusters"}, clean, name="hand")


def test_a_row_without_its_ends_is_found_out(clean, tmp_path):
    """An edge to a feature that the table lacks is no silent loss: the counts differ."""
    small = by_hand()
    small.edges[0, 54] = 0.5  # there is no feature 54
    with pytest.raises(DatabaseError, match="CO_OCCURS: 52 rows were sent and 51 written"):
        load(small.write(tmp_path), clean, name="hand")
    assert values(clean, "MATCH (a:Atlas) RETURN a.complete") == [(False,)]


def test_hostile_names_are_stored_and_returned_unharmed(clean, tmp_path):
    """Quotes, backticks, markup, control characters and 100 kB are data and nothing else."""
    hostile = [
        "'; MATCH (n) DETACH DELETE n //", '"`${x}`', "</script><b>&amp;", "\x1b[31m\u202eevil\u2066", "x" * 100_000,
        "$atlas", "\\", "\x00", "🙂" * 50, "a\nb\tc",
    ]  # fmt: skip
    small = Small(
        len(hostile), star(0, range(1, len(hostile))), firing={0: 999},
        names=dict(enumerate(hostile)), tokens={i: [text] for i, text in enumerate(hostile)},
    )  # fmt: skip
    load(small.write(tmp_path), clean, name="hostile")
    found = values(clean, "MATCH (f:Feature) RETURN f.name, f.top_tokens ORDER BY f.index")
    assert found == [(text, [text]) for text in hostile]
    for text in hostile[:4] + hostile[5:]:
        answer = run_query(clean, find("features_by_token"), {"token": text})
        assert (hostile.index(text), True) in [(row[0], row[2]) for row in answer.rows]
    assert max(len(name) for (name,) in values(clean, "MATCH (e:Edge) RETURN e.name")) <= 51


def test_a_killed_load_is_made_good_by_the_next(clean, target, tmp_path):
    """SIGKILL in the middle leaves an atlas marked incomplete; loading again gives the same as one clean load."""
    generator = random.Random(1)
    edges = {tuple(sorted(generator.sample(range(400), 2))): 0.5 for _ in range(3000)}
    groups = [list(range(start, start + 20)) for start in range(0, 400, 20)]
    artifacts = Small(400, edges, {"fine": groups}).write(tmp_path)
    load(artifacts, clean, name="killed")
    wanted = export(clean, "killed")
    empty(clean)
    command = [sys.executable, str(Path(__file__).parent / "load_atlas.py"), str(tmp_path)]
    server = {"URI": target.uri, "USERNAME": target.username, "PASSWORD": target.password or ""}
    environment = os.environ | {f"NEO4J_{name}": value for name, value in server.items()}
    process = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + 120
        while values(clean, "MATCH (e:Edge) RETURN count(e)")[0][0] < 200:
            assert time.monotonic() < deadline
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)  # the next look at how far it is
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert values(clean, "MATCH (a:Atlas) RETURN a.complete") == [(False,)]
    assert values(clean, "MATCH (e:Edge) RETURN count(e)")[0][0] < len(edges)
    load(artifacts, clean, name="killed")
    assert export(clean, "killed") == wanted


ONE_FORM = {
    "no edge as a relationship": ("MATCH (:Feature)-[r:CO_OCCURS|ENDPOINT_OF]->() DELETE r",),
    "no edge as a node": ("MATCH (e:Edge) DETACH DELETE e",),
    "the last relationships": ("MATCH (:Feature {index: 50})-[r:CO_OCCURS]-() DELETE r",),
    "the first nodes": ("MATCH (e:Edge) WITH e ORDER BY e.a, e.b LIMIT 20 DETACH DELETE e",),
}


@pytest.mark.parametrize("lost", ONE_FORM)
def test_edges_of_which_one_form_is_there_get_the_other(lost, clean, tmp_path):
    """Both forms are written by two statements, a batch apart: what a kill leaves of either is completed."""
    artifacts = by_hand().write(tmp_path)
    load(artifacts, clean, name="hand")
    wanted = export(clean, "hand")
    for statement in ONE_FORM[lost]:
        clean.execute_query(statement)
    unfinish(clean, "hand")
    assert export(clean, "hand") != wanted
    load(artifacts, clean, name="hand", batch=7)
    assert export(clean, "hand") == wanted


class Narrow:
    """A session whose server gives a transaction memory for few rows: no setting of a shared server does that."""

    def __init__(self, session, most):
        self.session, self.most, self.sizes = session, most, []

    def execute_write(self, work):
        return self.session.execute_write(lambda transaction: work(NarrowTransaction(transaction, self)))


class NarrowTransaction:
    def __init__(self, transaction, owner):
        self.transaction, self.owner = transaction, owner

    def run(self, statement, parameters):
        size = len(parameters["rows"])
        self.owner.sizes.append(size)
        if size > self.owner.most:
            code = "Neo.TransientError.General.MemoryPoolOutOfMemoryError"
            raise TransientError._hydrate_neo4j(code=code, message="pool")
        return self.transaction.run(statement, parameters)


def test_batches_shrink_to_what_the_server_has_memory_for(clean, caplog):
    """Fault 62: the batch is halved at once, not sent again; the rest goes on with the smaller size."""
    rows = [{"uid": f"w:{i}", "properties": {"atlas": "w", "index": i}} for i in range(100)]
    with clean.session() as session, caplog.at_level(logging.WARNING, logger="atlas"):
        narrow = Narrow(session, 30)
        writer = Writer(narrow, batch=80)
        assert writer.write("Feature", merge_nodes("Feature"), rows, total=100) == 100
        assert narrow.sizes == [80, 40, 20, 20, 20, 20, 20]
        assert "going on with 20 rows" in caplog.text
        with pytest.raises(DatabaseError, match="a single row needs more memory"):
            Writer(Narrow(session, 0), batch=4).write("Feature", merge_nodes("Feature"), rows[:4], total=4)
    assert values(clean, "MATCH (f:Feature) RETURN count(f), max(f.index)") == [(100, 99)]


@pytest.mark.parametrize("small", [0, 1], ids=["nodes", "relationships"])
def test_either_statement_of_an_edge_shrinks_its_batches(small, clean):
    """Fault 62 of two statements at once: whichever is too large is halved, and the other goes on with as many."""
    rows = [(place, -place) for place in range(50)]
    node = ("UNWIND $rows AS row CREATE (:Edge {uid: row[0]}) RETURN count(*) AS written", (0, 1))
    link = (
        "UNWIND $rows AS row MATCH (e:Edge {uid: row[1]}) CREATE (e)-[:SELF {n: row[0]}]->(e) "
        "RETURN count(*) AS written",
        (1, 0),
    )
    with clean.session() as session, clean.session() as other:
        sessions = [session, other]
        sessions[small] = narrow = Narrow(sessions[small], 10)
        writer = Writer(sessions[0], batch=40)
        assert writer.create("edges", (node, link), rows, total=50, again="none", beside=sessions[1]) == 50
    assert narrow.sizes[:4] == [40, 20, 10, 10]
    assert writer.batch == 10
    asked = "MATCH (e:Edge)-[r:SELF]->(e) RETURN count(r), count(DISTINCT e), count(CASE WHEN r.n = -e.uid THEN 1 END)"
    assert values(clean, asked) == [(50, 50, 50)]


def test_a_dropped_atlas_leaves_the_others(clean, tmp_path):
    """Removal says its counts, takes one atlas and nothing of another; an unknown name is refused."""
    artifacts = by_hand().write(tmp_path)
    load(artifacts, clean, name="hand")
    load(artifacts, clean, name="other")
    other = export(clean, "other")
    clean.execute_query("MATCH (f:Feature {uid: 'hand:0'}) CREATE (:Note {atlas: 'hand', uid: 'mine'})-[:ON]->(f)")
    counts = {
        "Letter": 2, "Peak": 2, "Manifold": 2, "Context": 3, "PeerCluster": 3, "Cluster": 11, "Edge": 54,
        "Feature": 54, "Atlas": 1,
    }  # fmt: skip
    assert contents(clean, "hand") == counts
    assert drop(clean, "hand", batch=10) == counts
    assert values(clean, "MATCH (n {atlas: 'hand'}) RETURN n.uid") == [("mine",)]  # no label of the schema's
    assert export(clean, "other") == other
    for refuse in (drop, contents):
        with pytest.raises(InputError, match="no atlas 'hand'") as refused:
            refuse(clean, "hand")
        assert refused.value.remedy == "there are: other"
    empty(clean)
    with pytest.raises(InputError) as refused:
        drop(clean, "hand")
    assert refused.value.remedy == "it holds none"


def test_an_atlas_of_another_schema_version_is_dropped_whole(clean, tmp_path):
    """Labels that this program does not know go with it, whatever they are called; another atlas stays."""
    artifacts = by_hand().write(tmp_path)
    load(artifacts, clean, name="hand")
    hand = export(clean, "hand")
    clean.execute_query(
        "CREATE (a:Atlas {uid: 'new er', schema_version: 99}) WITH a UNWIND range(1, 25) AS i "
        "CREATE (a)<-[:OF]-(:Feature {uid: 'new er:' + i, atlas: 'new er'})-[:HAS]->(:`A ``Token` {atlas: 'new er'})"
    )
    with pytest.raises(DatabaseError, match="of schema version 99") as refused:
        load(artifacts, clean, name="hand")
    assert "drop-atlas 'new er'`" in refused.value.remedy
    counts = dict.fromkeys(NODES, 0) | {"A `Token": 25, "Feature": 25, "Atlas": 1}
    assert contents(clean, "new er") == counts
    assert drop(clean, "new er", batch=10) == counts
    assert export(clean, "hand") == hand
    assert values(clean, "MATCH (n) WHERE n.atlas IS NULL OR n.atlas <> 'hand' RETURN count(n)") == [(0,)]
    assert not load(artifacts, clean, name="hand").changed


def test_the_receipt_is_an_artifact_and_the_database_decides(clean, tmp_path):
    """The receipt keeps rows and classes; with an emptied database the same run is loaded again."""
    by_hand().write(tmp_path)
    with Run(tmp_path) as run:
        receipt, artifact = load_run(run, clean, name="hand", target="here")
        assert artifact.results["rows"] == receipt.rows
        assert artifact.results["egos"] == {"hub-spoke": 1, "joint": 1, "mixed": 4}
        assert set(artifact.inputs) == {*STAGES, *OPTIONAL}
        assert load_run(run, clean, name="hand", target="here")[0].changed is False
        empty(clean)
        again, kept = load_run(run, clean, name="hand", target="here")
        assert (again.changed, kept.digest) == (True, artifact.digest)
        _, elsewhere = load_run(run, clean, name="hand", target="there")
        assert elsewhere.parameters["target"] == "there"
