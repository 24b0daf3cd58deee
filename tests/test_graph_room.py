"""Fault 63: what Aura Free does not take is refused before anything is written, and nothing else is."""

from __future__ import annotations

import logging

import pytest
from click.testing import CliRunner
from graph_checks import empty, export, values
from small_atlas import Small, by_hand, clique

from atlas.artifacts import Run, Spec
from atlas.errors import DatabaseError
from atlas.files import write_table
from atlas.ingest import graph_room
from atlas.ingest.cli import ingest
from atlas.ingest.graph import load, load_run
from atlas.ingest.graph_room import AURA_FREE, Size, limits_of, refuse_beyond
from atlas.ingest.stages import stage_graph

HAND = Size(132, 429)
"""All of the atlas that is known by hand: tests/test_graph.py counts it."""


@pytest.mark.parametrize("scheme", ["neo4j+s", "neo4j+ssc", "bolt+s", "bolt+ssc"])
def test_an_instance_of_aura_is_known_by_its_host(scheme: str) -> None:
    """By the end of its name, in any case; a name that only holds it is another's."""
    for host in ("0a1b2c3d.databases.neo4j.io", "0A1B2C3D.Databases.Neo4j.IO:7687", "0a1b2c3d.databases.neo4j.io."):
        assert limits_of(f"{scheme}://{host}") == AURA_FREE == Size(200_000, 400_000)
    for host in ("127.0.0.1:7687", "[::1]", "neo4j.io", "databases.neo4j.io.example", "my-databases.neo4j.io"):
        assert limits_of(f"{scheme}://{host}") is None


@pytest.mark.parametrize(
    ("held", "own", "coming", "refused"),
    [
        ((0, 0), (0, 0), (10, 20), False),  # just fits
        ((0, 0), (0, 0), (11, 20), True),
        ((0, 0), (0, 0), (10, 21), True),
        ((3, 5), (0, 0), (7, 15), False),  # beside another
        ((3, 5), (0, 0), (8, 15), True),
        ((9, 19), (9, 19), (10, 20), False),  # in its own place
        ((9, 19), (6, 15), (7, 16), False),  # in its own place, beside another
        ((9, 19), (6, 15), (8, 16), True),
        ((50, 90), (50, 90), (10, 20), False),  # smaller than what it replaces
    ],
)
def test_what_is_there_counts_and_what_is_replaced_does_not(
    held: tuple[int, int], own: tuple[int, int], coming: tuple[int, int], refused: bool
) -> None:
    """Limits of 10 nodes and 20 relationships: what is there, less what goes, and what comes."""
    given = {"held": Size(*held), "own": Size(*own), "coming": Size(*coming)}
    if not refused:
        refuse_beyond(Size(10, 20), **given, name="a")
        return
    with pytest.raises(DatabaseError, match="Aura Free takes 10 nodes and 20 relationships"):
        refuse_beyond(Size(10, 20), **given, name="a")


def test_the_refusal_says_counts_limit_and_what_to_do() -> None:
    """One line each; other atlases are named where there are others."""
    with pytest.raises(DatabaseError) as alone:
        refuse_beyond(AURA_FREE, held=Size(0, 0), own=Size(0, 0), coming=Size(180_000, 640_123), name="a", phi_cut=0.17)
    assert alone.value.exit_code == 4
    assert alone.value.cause == (
        "atlas a is 180,000 nodes and 640,123 relationships, the database would hold 180,000 nodes and 640,123 "
        "relationships; Aura Free takes 200,000 nodes and 400,000 relationships"
    )
    assert "--phi-cut above 0.17" in alone.value.remedy
    assert "--no-aura-limits" in alone.value.remedy
    assert "other atlases" not in alone.value.remedy
    with pytest.raises(DatabaseError) as beside:
        refuse_beyond(AURA_FREE, held=Size(150_000, 9), own=Size(0, 0), coming=Size(60_000, 9), name="a")
    assert "would hold 210,000 nodes and 18 relationships, 150,000 and 9 of them not this atlas's" in beside.value.cause
    assert "remove other atlases" in beside.value.remedy


@pytest.fixture
def clean(driver):
    """Give a database that holds nothing."""
    empty(driver)
    return driver


@pytest.mark.neo4j
def test_a_load_that_would_not_fit_writes_nothing(clean, tmp_path):
    """One node or one relationship too few are refused, as many as it needs are enough, and a second load is not."""
    artifacts = by_hand().write(tmp_path)
    constraints = values(clean, "SHOW CONSTRAINTS YIELD name RETURN count(*)")
    for few in (HAND - Size(1, 0), HAND - Size(0, 1)):
        with pytest.raises(DatabaseError, match="atlas hand is 132 nodes and 429 relationships"):
            load(artifacts, clean, name="hand", limits=few)
        assert values(clean, "MATCH (n) RETURN count(n)") == [(0,)]
        assert values(clean, "SHOW CONSTRAINTS YIELD name RETURN count(*)") == constraints
    assert load(artifacts, clean, name="hand", limits=HAND).changed
    assert values(clean, "MATCH (n) RETURN count(n)") + values(clean, "MATCH ()-->() RETURN count(*)") == [
        (HAND.nodes,), (HAND.relationships,),
    ]  # fmt: skip
    assert not load(artifacts, clean, name="hand", limits=HAND).changed


@pytest.mark.neo4j
def test_what_others_hold_counts_and_an_atlas_takes_its_own_place(clean, tmp_path, caplog):
    """Other atlases and nodes of yours count; an unfinished load and an atlas that is replaced do not count twice."""
    artifacts = by_hand().write(tmp_path / "hand")
    limits = HAND + Size(2, 1)
    clean.execute_query("CREATE (:Note)-[:ON]->(:Note)")
    load(artifacts, clean, name="hand", limits=limits)
    before = export(clean, "hand")
    with pytest.raises(DatabaseError, match="134 and 430 of them not this atlas's"):
        load(artifacts, clean, name="other", limits=limits)
    assert values(clean, "MATCH (a:Atlas) RETURN a.uid") == [("hand",)]
    clean.execute_query("MATCH (a:Atlas) SET a.complete = false")
    clean.execute_query("MATCH (e:Edge) WITH e LIMIT 20 DETACH DELETE e")
    assert load(artifacts, clean, name="hand", limits=limits).changed
    assert export(clean, "hand") == before
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    smaller = Small(12, clique(range(12)), {"fine": [range(12)]}).write(tmp_path / "smaller")
    with caplog.at_level(logging.WARNING, logger="atlas"):
        load(smaller, clean, name="hand", limits=limits, replace=True)
    assert "remove the atlas and load it again" in caplog.text
    assert values(clean, "MATCH (n:Note) RETURN count(n)") == [(2,)]


@pytest.mark.neo4j
def test_what_ties_two_atlases_counts(clean, tmp_path):
    """A comparison is a relationship, and one for each match, where the other atlas is in the database."""
    made, other = by_hand().write(tmp_path / "made"), Small(2, {}).write(tmp_path / "other")
    matches = {"index": [0, 1, 2], "other": [0, 1, 1], "by": ["both"] * 3}
    unknown = {name: [None] * 3 for name in ("cosine", "cosine_q", "phi", "phi_q")}

    def write(directory):
        write_table(directory, "matches", matches | unknown)
        return {"other": "other", "control": "seed"}

    with Run(tmp_path / "made") as run:
        digests = {name: artifact.digest for name, artifact in other.items()}
        spec = Spec("70-comparison-other", {"other": "other", "digests": digests}, ("10-activations",))
        tied = made | {spec.name: run.produce(spec, write)}
        load(tied, clean, name="hand", limits=HAND)  # of an atlas that is not there nothing is loaded
        empty(clean)
        load(other, clean, name="other")
        there = Size(3, 2)  # two features and their atlas
        ties = Size(0, 4)
        with pytest.raises(DatabaseError, match="atlas hand is 132 nodes and 433 relationships"):
            load_run(run, clean, name="hand", target="here", limits=there + HAND + ties - Size(0, 1))
        load_run(run, clean, name="hand", target="here", limits=there + HAND + ties)
        clean.execute_query("MATCH (a:Atlas {uid: 'hand'}) SET a.complete = false")
        load_run(run, clean, name="hand", target="here", limits=there + HAND + ties)
    assert values(clean, "MATCH ()-->() RETURN count(*)") == [((there + HAND + ties).relationships,)]


@pytest.mark.neo4j
def test_the_command_asks_it_of_auras_hosts_alone(clean, target, tmp_path, monkeypatch):
    """Not of another server, and not where the option says that the instance is larger; nothing is written."""
    by_hand().write(tmp_path)
    for name, value in (("URI", target.uri), ("USERNAME", target.username), ("PASSWORD", target.password or "")):
        monkeypatch.setenv(f"NEO4J_{name}", value)
    monkeypatch.setattr(graph_room, "AURA_FREE", HAND - Size(1, 0))
    with Run(tmp_path) as run:
        assert stage_graph(run, name="elsewhere").results["rows"]["Feature"] == 54
        empty(clean)
        monkeypatch.setattr(graph_room, "AURA_HOSTS", ".127.0.0.1")  # the suite's server counts as one of Aura's
        with pytest.raises(DatabaseError, match="Aura Free takes 131 nodes and 429 relationships") as refused:
            stage_graph(run, name="hand")
        assert refused.value.exit_code == 4
    assert values(clean, "MATCH (n) RETURN count(n)") == [(0,)]
    done = CliRunner().invoke(ingest, ["graph", "--run", str(tmp_path), "--name", "hand", "--no-aura-limits"])
    assert done.exit_code == 0, done.output
    assert values(clean, "MATCH (a:Atlas) RETURN a.uid, a.complete") == [("hand", True)]
