"""Runs a query of the library: parameters checked by their declared types, reads routed as reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas.errors import AtlasError, DatabaseError, QueryError
from atlas.queries.contract import ONLY, PLUGINS, REQUIRED, Query, check_value, near, parse_value
from atlas.queries.library import find

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
OTHER_ATLAS = "other_atlas"
"""The parameter that names a second atlas, where a query compares two."""


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
        says that it reads; or the server has not the plugin that the query needs.
    DatabaseError
        The database refuses. That it cannot be reached, the driver's own errors say; they are answered
        by `atlas.ingest.connection.open_driver`.
    """
    known = atlases(driver, database=database) if _asks_atlas(query) else {}
    values = resolve(query, parameters or {}, list(known))
    _check_plugin(driver, query, database)
    if not known.get(values["atlas"], True):
        logger.warning("atlas %s is not complete: its load did not reach its end", values["atlas"])
    return execute(driver, query, values, database=database)


def execute(
    driver: neo4j.Driver, query: Query, values: Mapping[str, Any], *, database: str | None = None
) -> Answer:
    """Return the answer of a query whose every parameter has a value; see `run`."""
    from neo4j.exceptions import Neo4jError

    def work(transaction: Any) -> tuple[list[tuple[Any, ...]], Any]:
        result = transaction.run(query.statement, dict(values))
        return [tuple(record.values()) for record in result], result.consume()

    started = time.monotonic()
    try:
        with _session(driver, database, writes=query.writes) as session:
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


def plan(driver: neo4j.Driver, query: Query, *, database: str | None = None) -> dict[str, Any]:
    """Return how the database would run a query, without running it: the root of its plan.

    The plan depends on what the database holds and not on the values of parameters; each operator has
    `operatorType`, `args` (with `Details` and `EstimatedRows`) and `children`.

    Raises
    ------
    DatabaseError
        As `run`.
    """
    from neo4j.exceptions import Neo4jError

    _check_plugin(driver, query, database)
    unset = dict.fromkeys(parameter.name for parameter in query.parameters)
    try:
        with _session(driver, database, writes=query.writes) as session:
            found: dict[str, Any] = session.run(f"EXPLAIN {query.statement}", unset).consume().plan
    except Neo4jError as error:
        raise explain(error, query.name) or error from error
    return found


def _check_plugin(driver: neo4j.Driver, query: Query, database: str | None) -> None:
    """Raise `QueryError` where the server has not the plugin that a query needs."""
    if not query.needs:
        return
    from neo4j.exceptions import Neo4jError

    statement = "SHOW PROCEDURES YIELD name WHERE name STARTS WITH $prefix RETURN count(*) AS count"
    try:
        with _session(driver, database, writes=False) as session:
            found = session.run(statement, prefix=f"{query.needs}.").single(strict=True)["count"]
    except Neo4jError as error:
        raise explain(error, query.name) or error from error
    if not found:
        plugin = PLUGINS[query.needs]
        raise QueryError(
            f"query {query.name} needs the plugin {plugin}, which the server does not have",
            f"install {plugin} for the server's version, or leave this query out: no other needs it",
        )


def _session(driver: neo4j.Driver, database: str | None, *, writes: bool) -> neo4j.Session:
    from neo4j import READ_ACCESS, WRITE_ACCESS

    return driver.session(
        database=database,
        default_access_mode=WRITE_ACCESS if writes else READ_ACCESS,
        bookmark_manager=driver.execute_query_bookmark_manager,  # a cluster's reader sees the last write
        # A store that has not yet seen a label or property of the schema says so at each use: no news.
        notifications_disabled_classifications=["UNRECOGNIZED"],
    )


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
    for asked in ("atlas", OTHER_ATLAS) if _asks_atlas(query) else ():
        name = values.get(asked)
        if name is not None and name not in known:
            raise QueryError(
                f"no atlas {name[:100]!a} in the database{near(name, known)}",
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
            raise QueryError(f"parameter {pair[:100]!a}, expected key=value", "write `-p key=value`")
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
    if code == "Neo.ClientError.Procedure.ProcedureCallFailed" and "no such" in said and "index" in said:
        return DatabaseError(f"{place}: the database lacks an index ({said})", "load the atlas again")
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
