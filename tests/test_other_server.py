"""The line of the server that the rest of the suite does not run on: the same graph, the same answers.

The environment variable `ATLAS_SERVER` chooses the suite's line; this module starts the other one.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace

import neo4j
import psutil
import pytest
from graph_checks import empty, export, values
from server_checks import bound, invoke
from small_atlas import by_hand
from test_queries import ASKED, asked

from atlas.errors import InputError
from atlas.ingest.connection import managed_target, open_driver
from atlas.ingest.graph import load
from atlas.ingest.server.home import ServerInfo
from atlas.ingest.server.process import managed, up
from atlas.ingest.server.version import LINES, find_line
from atlas.queries.contract import Query
from atlas.queries.display import plain
from atlas.queries.run import run

pytestmark = pytest.mark.neo4j
(OTHER,) = (line for line in LINES.values() if line is not find_line())


@dataclass
class Both:
    """The hand-made atlas on two servers."""

    suite: neo4j.Driver
    other: neo4j.Driver
    info: ServerInfo

    def of_line(self, name: str) -> neo4j.Driver:
        return self.other if OTHER.name == name else self.suite


@pytest.fixture(scope="module")
def both(driver: neo4j.Driver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Load the hand-made atlas into the suite's server and into one of the other line."""
    artifacts = by_hand().write(tmp_path_factory.mktemp("hand"))
    with (
        managed(tmp_path_factory.mktemp("other") / "home", server=OTHER.name, heap="512M") as info,
        open_driver(managed_target(info.home)) as other,
    ):
        empty(driver)
        for each in (driver, other):
            load(artifacts, each, name="hand")
        yield Both(driver, other, info)
        empty(driver)


def test_status_says_which_line_and_version(both: Both) -> None:
    """The server itself, the program and the command agree."""
    told = json.loads(invoke("status", "--home", str(both.info.home), "--json"))
    assert (told["server"], told["version"], told["state"]) == (OTHER.name, OTHER.version, "running")
    assert f"Neo4j {OTHER.version} (line {OTHER.name})" in invoke("status", "--home", str(both.info.home))
    said = "CALL dbms.components() YIELD name, versions WHERE name = 'Neo4j Kernel' RETURN versions[0]"
    assert values(both.other, said) == [(OTHER.version,)]


def test_store_is_refused_to_the_line_that_did_not_make_it(both: Both) -> None:
    """No store is upgraded in passing; without `--server` the line that made it goes on."""
    with pytest.raises(InputError, match=f"was made by Neo4j {OTHER.version}") as caught:
        up(both.info.home, server=find_line().name)
    assert f"--server {OTHER.name}" in caught.value.remedy
    assert up(both.info.home).pid == both.info.pid


def test_browser_is_served_and_only_this_machine_is_listened_to(both: Both) -> None:
    """TCP and UDP alike: what a newer server may do beside serving is switched off."""
    with urllib.request.urlopen(f"{both.info.http_uri}/browser/", timeout=30) as answer:
        assert b"<html" in answer.read().lower()
    ports, addresses = bound(psutil.Process(both.info.pid))
    assert ports == {both.info.bolt_port, both.info.http_port}
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_graph_is_the_same(both: Both) -> None:
    """Every node and relationship with its labels and properties, the classes included; and every constraint."""
    assert len(export(both.other, "hand")) > 500
    assert export(both.other, "hand") == export(both.suite, "hand")
    # Of each store's own making are those of type LOOKUP.
    made = "YIELD name, type, labelsOrTypes, properties WHERE type <> 'LOOKUP' RETURN * ORDER BY name"
    for kind in ("CONSTRAINTS", "INDEXES"):
        assert values(both.other, f"SHOW {kind} {made}") == values(both.suite, f"SHOW {kind} {made}")


@pytest.mark.parametrize("query", ASKED, ids=lambda query: query.name)
def test_answers_are_the_same_and_no_server_has_a_remark(both: Both, query: Query) -> None:
    """Rows, their order and their types, on the newer server in Cypher 25 unless the header says otherwise."""
    older = run(both.of_line("5.26"), query, asked(query))
    if "25" in query.languages:
        query = replace(query, statement=f"CYPHER 25\n{query.statement}")
    newer = run(both.of_line("2026"), query, asked(query))
    assert newer.rows, "an answer without rows shows nothing"
    assert plain(newer.rows) == plain(older.rows)
    assert newer.notifications == older.notifications == ()


def test_read_mode_refuses_writes_on_the_server(both: Both) -> None:
    """Fault 68: the refusal is the server's own."""
    with both.other.session(default_access_mode="READ") as session, pytest.raises(neo4j.exceptions.ClientError) as sly:
        session.run("CREATE (:Feature {uid: 'sly'})").consume()
    assert sly.value.code == "Neo.ClientError.Statement.AccessMode"
    assert values(both.other, "MATCH (f:Feature {uid: 'sly'}) RETURN count(f)") == [(0,)]
