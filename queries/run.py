"""Runs a query of the library: parameters checked by their declared types, reads routed as reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas.errors import AtlasError, DatabaseError, QueryError
from atlas.queries.library import ONLY, REQUIRED, Query, check_value, find, near, parse_value

if TYPE_CHECKING:
    import neo4j
    from neo4j.exceptions import Neo4jError

logger = logging.getLogger("atlas")

MEMORY_CODES = (
    "Neo.TransientError.General.MemoryPoolOutOfMemoryError",
    "Neo.TransientError.General.TransactionOutOfMemoryError",
    "Neo.TransientError.General.OutOfMemoryError",
)
"""What the server answers when a transaction needs more memory than it may have (fault 62)."""


@dataclass(frozen=True)
class Answer:
    """What a query returned.

    Parameters
    ----------
    columns
        Names of the columns, as the header declares them.
    rows
        The rows in order; nodes, relationships and paths as the driver gives them.
    parameters
        The values that the query ran with, defaults included.
    notifications
        What the server remarked, one line each.
    seconds
        From sending to the last row.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    parameters: dict[str, Any]
    notifications: tuple[str, ...]
    seconds: float


def run(
    driver: neo4j.Driver,
    query: Query,
    parameters: Mapping[str, Any] | None = None,
    *,
    database: str | None = None,
) -> Answer:
    """Return the answer of a query.

    Parameters
    ----------
    parameters
        Values by name. What is not given has its default; `$atlas` has the only atlas as its default.
    database
        Name of the database; None is the server's default.

    Raises
    ------
    QueryError
        A parameter is unknown, missing or of another type; or the query writes although its header
        says that it reads.
    DatabaseError
        The database refuses. That it cannot be reached, the driver's own errors say; they are answered
        by `atlas.ingest.connection.open_driver`.
    """
    known = atlases(driver, database=database) if _asks_atlas(query) else {}
    values = resolve(query, parameters or {}, list(known))
    if not known.get(values["atlas"], True):
        logger.warning("atlas %s is not complete: its load did not reach its end", values["atlas"])
    return execute(driver, query, values, database=database)


def execute(
    driver: neo4j.Driver, query: Query, values: Mapping[str, Any], *, database: str | None = None
) -> Answer:
    """Return the answer of a query whose every parameter has a value; see `run`."""
    from neo4j import READ_ACCESS, WRITE_ACCESS
    from neo4j.exceptions import Neo4jError

    def work(transaction: Any) -> tuple[list[tuple[Any, ...]], Any]:
        result = transaction.run(query.statement, dict(values))
        return [tuple(record.values()) for record in result], result.consume()

    started = time.monotonic()
    access = WRITE_ACCESS if query.writes else READ_ACCESS
    try:
        # A store that has not yet seen a label or property of the schema says so at each use: no news.
        with driver.session(
            database=database,
            default_access_mode=access,
            bookmark_manager=driver.execute_query_bookmark_manager,  # a cluster's reader sees the last write
            notifications_disabled_classifications=["UNRECOGNIZED"],
        ) as session:
            if query.batched:
                rows, summary = work(session)
            elif query.writes:
                rows, summary = session.execute_write(work)
            else:
                rows, summary = session.execute_read(work)
    except Neo4jError as error:
        raise explain(error, query.name) or error from error
    notifications = tuple(
        f"{status.gql_status} {status.status_description}"
        for status in summary.gql_status_objects
        if status.is_notification
    )
    seconds = time.monotonic() - started
    logger.debug("%s: %d rows in %.3f s", query.name, len(rows), seconds)
    columns = tuple(column.name for column in query.columns)
    return Answer(columns, rows, dict(values), notifications, seconds)


def resolve(query: Query, given: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """Return the value of every parameter of the query.

    Parameters
    ----------
    given
        Values by name, checked against the declared types.
    known
        Names of the atlases in the database.

    Raises
    ------
    QueryError
        One is unknown, missing or of another type; or no atlas, or no single one, is there.
    """
    values = {name: check_value(query.parameter(name), value) for name, value in given.items()}
    for parameter in query.parameters:
        if parameter.name in values:
            continue
        if parameter.default is REQUIRED:
            needed = f"{parameter.name} ({parameter.type}: {parameter.meaning})"
            raise QueryError(
                f"query {query.name} needs the parameter {needed}",
                f"add `-p {parameter.name}=...`",
            )
        values[parameter.name] = _only(known) if parameter.default is ONLY else parameter.default
    name = values["atlas"]
    if _asks_atlas(query) and name not in known:
        raise QueryError(
            f"no atlas {name!r} in the database{near(name, known)}",
            f"it holds: {', '.join(known)}" if known else "load one with `atlas ingest graph`",
        )
    return values


def parse_parameters(query: Query, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of `key=value` texts, each converted by its declared type.

    Raises
    ------
    QueryError
        One is no `key=value`, names no parameter, is given twice or says no value of its type.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise QueryError(f"parameter {pair!r}, expected key=value", f"write `-p {pair}=...`")
        if name in values:
            raise QueryError(f"parameter {name} is given twice", "leave one of them out")
        values[name] = parse_value(query.parameter(name), text)
    return values


def atlases(driver: neo4j.Driver, *, database: str | None = None) -> dict[str, bool]:
    """Return the atlases in a database by name, and whether each is complete."""
    answer = execute(driver, find("atlases"), {"atlas": None, "limit": 10_000}, database=database)
    return {name: complete for name, complete, *_ in answer.rows}


def explain(error: Neo4jError, place: str) -> AtlasError | None:
    """Return the error that a user sees for a server's; None where it is about reaching the database.

    Those are the connection's to answer: `atlas.ingest.connection.open_driver` knows the target.

    Parameters
    ----------
    place
        What was being done: a query's name, a label.
    """
    code, said = error.code or "", " ".join((error.message or "").split())
    if code.startswith("Neo.ClientError.Security.") or code == "Neo.ClientError.Database.DatabaseNotFound":
        return None
    if code == "Neo.ClientError.Statement.AccessMode":
        return QueryError(
            f"{place}: the statement writes and its header says `writes: no`; the server refused it",
            "run it as a read, or say `writes: yes` in its header",
        )
    if code in MEMORY_CODES:
        return DatabaseError(
            f"{place}: the transaction needs more memory than the database gives it",
            "raise db.memory.transaction.max, dbms.memory.transaction.total.max or server.memory.heap.max_size",
        )
    if code == "Neo.ClientError.Procedure.ProcedureCallFailed" and "no such fulltext" in said:
        return DatabaseError(f"{place}: the database lacks the full-text index", "load the atlas again")
    remedy = "try again" if "Transient" in code else "see the database's log"
    return DatabaseError(f"{place}: {said} ({code})", remedy)


def _asks_atlas(query: Query) -> bool:
    return query.parameter("atlas").default is ONLY


def _only(known: list[str]) -> str:
    if not known:
        raise QueryError("the database holds no atlas", "load one with `atlas ingest graph`")
    if len(known) > 1:
        raise QueryError(
            f"the database holds {len(known)} atlases: {', '.join(known)}",
            "say which one with `-p atlas=NAME`",
        )
    return known[0]
