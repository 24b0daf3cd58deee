"""What the tests of the graph share: a whole export, an empty database, a loaded atlas."""

from __future__ import annotations

import json
from typing import Any

import neo4j

from atlas.queries.library import find
from atlas.queries.run import run


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


def rows(driver: neo4j.Driver, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows that a query of the library answers."""
    return run(driver, find(query), parameters).rows


def values(driver: neo4j.Driver, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement as tuples."""
    return [tuple(record.values()) for record in driver.execute_query(statement, parameters).records]
