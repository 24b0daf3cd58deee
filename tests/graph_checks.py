"""What the tests of the graph share: a whole export, an empty database, a loaded atlas."""

from __future__ import annotations

import json
from typing import Any

import neo4j
from neo4j.graph import Path as GraphPath

from atlas.queries.contract import Query
from atlas.queries.display import plain
from atlas.queries.library import find
from atlas.queries.run import run
from atlas.schema import NODES, RELATIONSHIPS

COMPARED = ("comparison", "matched_communities", "matches", "surviving_edges")
"""Queries that need two atlases which were compared."""
ABSENT = {"COMPARED_WITH", "MATCHES"} | {
    field.name
    for of in (*NODES.values(), *RELATIONSHIPS.values())
    for field in of.properties
    if not field.required or getattr(of, "type", "") in ("COMPARED_WITH", "MATCHES")
}
"""Names that no node or relationship of the hand-made atlas need have: the server may not have heard of them."""


def export(driver: neo4j.Driver, atlas: str) -> list[str]:
    """Return every node and relationship of an atlas, labels and properties included, sorted."""
    nodes = driver.execute_query(
        "MATCH (n) WHERE n.atlas = $atlas RETURN labels(n) AS labels, properties(n) AS properties", atlas=atlas
    ).records
    relationships = driver.execute_query(
        "MATCH (n)-[r]->(m) WHERE n.atlas = $atlas "
        "RETURN n.uid AS start, labels(n) AS labels, type(r) AS type, m.uid AS end, properties(r) AS properties",
        atlas=atlas,
    ).records
    return sorted(
        [json.dumps([sorted(row["labels"]), row["properties"]], sort_keys=True) for row in nodes]
        + [
            json.dumps([row["start"], sorted(row["labels"]), row["type"], row["end"], row["properties"]],
                       sort_keys=True)
            for row in relationships
        ]
    )  # fmt: skip


def empty(driver: neo4j.Driver) -> None:
    """Remove everything that the suite's database holds."""
    with driver.session() as session:
        session.run("MATCH ()-[r]->() CALL (r) { DELETE r } IN TRANSACTIONS OF 10000 ROWS").consume()
        session.run("MATCH (n) CALL (n) { DELETE n } IN TRANSACTIONS OF 5000 ROWS").consume()


def keeps_its_header(driver: neo4j.Driver, query: Query, parameters: dict[str, Any]) -> None:
    """Ask twice: rows of the declared types, each named once by the key, in one order, without a remark."""
    answer = run(driver, query, parameters)
    assert answer.notifications == ()
    assert answer.rows, "an answer without rows shows nothing"
    kinds = {"string": str, "integer": int, "float": float, "boolean": bool, "path": GraphPath}
    for row in answer.rows:
        for column, value in zip(query.columns, row, strict=True):
            if value is None:
                assert column.optional, column.name
            elif column.type.startswith("list<"):
                assert all(type(item) is kinds[column.type[5:-1]] for item in value)
            else:
                assert isinstance(value, kinds[column.type]), column.name
    keys = [tuple(row[answer.columns.index(name)] for name in query.key) for row in answer.rows]
    assert len({repr(key) for key in keys}) == len(keys)
    assert plain(run(driver, query, parameters).rows) == plain(answer.rows)


def remarks(driver: neo4j.Driver, query: Query, parameters: dict[str, Any]) -> list[str]:
    """Return what the server remarks with every notification on, but for names of what an atlas may lack."""
    asked = {parameter.name: parameter.default for parameter in query.parameters} | parameters
    with driver.session() as session:
        summary = session.run(query.statement, asked).consume()
    said = [str(status.status_description) for status in summary.gql_status_objects if status.is_notification]
    return [remark for remark in said if not any(f"`{name}` does not" in remark for name in ABSENT)]


def rows(driver: neo4j.Driver, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows that a query of the library answers."""
    return run(driver, find(query), parameters).rows


def values(driver: neo4j.Driver, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement as tuples."""
    return [tuple(record.values()) for record in driver.execute_query(statement, parameters).records]
