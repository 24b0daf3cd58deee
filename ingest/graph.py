"""Loads an atlas into Neo4j: nodes first, then relationships, then the classes; twice changes nothing."""

from __future__ import annotations

import logging
import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas.artifacts import Artifact, Run, Spec
from atlas.errors import DatabaseError, InputError
from atlas.files import write_json
from atlas.ingest.directions import write_directions
from atlas.ingest.graph_links import link, unlink
from atlas.ingest.graph_room import Size, check_room, size_held, size_of
from atlas.ingest.graph_rows import Rows, as_lists, as_maps
from atlas.ingest.graph_sources import artifacts_of
from atlas.ingest.graph_tables import LINKS, NODE_TABLES
from atlas.ingest.graph_write import Writer
from atlas.queries.classify import classify, other_thresholds
from atlas.queries.library import find
from atlas.queries.run import execute
from atlas.schema import EDGE_KINDS, RELATIONSHIPS, SCHEMA_VERSION
from atlas.schema import generate as cypher

if TYPE_CHECKING:
    import neo4j

logger = logging.getLogger("atlas")

BATCH = 2_500
"""Rows of a transaction: what one of 10,000 edges holds outlives the server's young generation, and the collector
takes a fifth of the processor's time; at 2,500 a thirtieth."""
_KEPT = ("atlas", "digest", "rows", "clusters", "egos")
VERSIONS = "MATCH (a:Atlas) RETURN a.uid AS name, a.schema_version AS version"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Receipt:
    """What a load did.

    Parameters
    ----------
    changed
        Whether anything was written; False where the database held this very atlas already.
    rows
        Nodes by label and relationships by type that the atlas now has.
    removed
        What an earlier load had written and this one did not, by label and type.
    clusters, egos
        Communities by level and class; ego subgraphs by class.
    rates
        Rows a second, by step.
    classify_seconds
        Wall time of classifying the communities and the ego subgraphs.
    seconds
        Wall time of the whole.
    """

    atlas: str
    digest: str
    changed: bool
    rows: dict[str, int]
    removed: dict[str, int]
    clusters: dict[str, dict[str, int]]
    egos: dict[str, int]
    rates: dict[str, float]
    classify_seconds: tuple[float, float]
    seconds: float


def check_name(name: str) -> None:
    """Raise `InputError` where an atlas cannot have this name: it is a part of every uid."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"name {name!r}, expected letters, digits, dots, dashes and underscores, 64 at most",
            "choose another with --name",
        )


def load_run(
    run: Run,
    driver: neo4j.Driver,
    *,
    name: str,
    target: str,
    database: str | None = None,
    replace: bool = False,
    limits: Size | None = None,
    batch: int = BATCH,
) -> tuple[Receipt, Artifact]:
    """Return the receipt of loading a run's atlas, and the artifact `60-neo4j` that keeps it.

    Whether something has to be loaded is asked of the database; the artifact only keeps what was done.

    Parameters
    ----------
    target
        The database in words, without any secret: `bolt://127.0.0.1:7687, neo4j`.

    Raises
    ------
    ArtifactError, InputError, DatabaseError
        As `load`.
    """
    artifacts = artifacts_of(run)
    receipt = load(artifacts, driver, name=name, database=database, replace=replace, limits=limits, batch=batch)
    return receipt, keep(run, receipt, target=target, inputs=tuple(Rows(artifacts, name).artifacts))


def keep(run: Run, receipt: Receipt, *, target: str, inputs: tuple[str, ...]) -> Artifact:
    """Return the artifact `60-neo4j` that keeps what a load did; `inputs` are the artifacts that it was loaded from."""
    if receipt.changed:
        logger.info("60-neo4j: loaded and classified in %.1f s", receipt.seconds)
    kept = {key: value for key, value in asdict(receipt).items() if key in _KEPT}
    parameters = {"name": receipt.atlas, "target": target, "schema_version": SCHEMA_VERSION}
    spec = Spec("60-neo4j", parameters, inputs)

    def write(directory: Path) -> Mapping[str, Any]:
        write_json(directory / "receipt.json", kept)
        return kept

    return run.produce(spec, write)


def load(
    artifacts: Mapping[str, Artifact],
    driver: neo4j.Driver,
    *,
    name: str,
    database: str | None = None,
    replace: bool = False,
    limits: Size | None = None,
    batch: int = BATCH,
) -> Receipt:
    """Return the receipt of loading an atlas and classifying its subgraphs.

    An atlas that is there already, whole and from the same artifacts, is left as it is. One whose load
    did not reach its end is loaded again over what is there. Other atlases are never touched.

    Parameters
    ----------
    artifacts
        The finished artifacts that it is loaded from, by name: `artifacts_of` a run. Those of comparisons tie it to
        other atlases of the database, by `link`, and are no part of what it is.
    name
        Name of the atlas: letters, digits, dots, dashes and underscores.
    database
        Name of the database; None is the server's default.
    replace
        Whether an atlas of that name from other artifacts is updated, and what it no longer has removed.
    limits
        What the database takes at most, `graph_room.limits_of` its address; None is no limit.
    batch
        Rows of a transaction.

    Raises
    ------
    InputError
        The name cannot be used, or is taken by an atlas from other artifacts.
    DatabaseError
        The database refuses (that it cannot be reached, the driver's errors say); it holds an atlas of
        another schema version; the atlas is too large for it; or it wrote another number of rows than it was sent.
    """
    check_name(name)
    if batch < 1:
        raise InputError(f"{batch} rows a batch, expected 1 or more", "choose another with --batch")
    rows = Rows(artifacts, name)
    started = time.monotonic()
    with open_session(driver, database) as session:
        writer = Writer(session, batch=batch)
        expected = rows.expected()
        receipt = present(driver, writer, rows, expected, replace=replace, database=database)
        if receipt is None:
            if limits is not None:
                check_room(driver, writer, rows, expected, artifacts, limits=limits, database=database)
            constrain(writer)
            with open_session(driver, database) as beside:
                _write(writer, rows, expected, beside=beside)
            removed = _sweep(writer, rows)
            receipt = finish(driver, writer, rows, expected, removed, started, database=database)
        link(writer, name, artifacts)
        return receipt


def present(
    driver: neo4j.Driver,
    writer: Writer,
    rows: Rows,
    expected: dict[str, int],
    *,
    replace: bool = False,
    database: str | None = None,
) -> Receipt | None:
    """Return the receipt of an atlas that the database holds already, whole and from the same artifacts; else None.

    Raises
    ------
    InputError
        The name is taken by an atlas from other artifacts, which is not to be replaced.
    DatabaseError
        The database holds an atlas of another schema version.
    """
    started = time.monotonic()
    _check_versions(writer)
    if not _check_digest(writer, rows, replace=replace) or _differences(driver, rows, expected, database):
        return None
    logger.info("atlas %s: in the database already", rows.name)
    for query, thresholds in other_thresholds(driver, rows.name, database=database).items():
        given = ", ".join(f"{name} {value}" for name, value in thresholds.items() if value is not None)
        logger.warning(
            "atlas %s: %s; `atlas query run %s -p atlas=%s --write` gives the classes of the defaults",
            rows.name, f"reclassified with {given}" if given else "not classified to the end", query, rows.name,
        )  # fmt: skip
    return _receipt_of_present(driver, rows, expected, database, started)


def constrain(writer: Writer) -> None:
    """Have the database make the constraints that it lacks: each is there when its statement ends."""
    for statement in cypher.constraints():
        writer.one("schema", statement)


def finish(
    driver: neo4j.Driver,
    writer: Writer,
    rows: Rows,
    expected: dict[str, int],
    removed: dict[str, int],
    started: float,
    *,
    database: str | None = None,
    alone: bool = False,
) -> Receipt:
    """Return the receipt of an atlas whose rows are written, after it was indexed, classified, counted and marked.

    Parameters
    ----------
    alone
        Whether the database holds nothing else: it then knows how many nodes and relationships there are, and
        neither is counted.

    Raises
    ------
    DatabaseError
        The database holds another number of rows than was written.
    """
    write_directions(writer.session, rows.artifacts, rows.name, batch=writer.batch)
    classes = classify(driver, rows.name, database=database)
    for statement in cypher.indexes():  # after the rows, each of which costs less so, and made while they are counted
        writer.one("schema", statement)
    differences = _differences_in_all(writer, expected) if alone else _differences(driver, rows, expected, database)
    if differences:
        raise DatabaseError(
            f"atlas {rows.name} after loading: {differences[0]}",
            "something else changed it at the same time: load again",
        )
    writer.one("schema", "CALL db.awaitIndexes(3600)")
    writer.one("Atlas", "MATCH (a:Atlas {uid: $atlas}) SET a.complete = true", atlas=rows.name)
    return Receipt(
        rows.name, rows.digest, True, expected, removed, classes.clusters, classes.egos,
        {what: round(rate, 1) for what, rate in writer.rates.items()},
        classes.seconds, time.monotonic() - started,
    )  # fmt: skip


def open_session(driver: neo4j.Driver, database: str | None) -> neo4j.Session:
    """Open a session whose writes the queries of `atlas.queries` see, on a cluster too."""
    return driver.session(
        database=database,
        notifications_disabled_classifications=["UNRECOGNIZED"],  # a new store knows no name of the schema yet
        bookmark_manager=driver.execute_query_bookmark_manager,
    )


def _check_versions(writer: Writer) -> None:
    for row in writer.one("Atlas", VERSIONS):
        if row["version"] != SCHEMA_VERSION:
            raise DatabaseError(
                f"the database holds atlas {row['name']!r} of schema version {row['version']}, "
                f"this program writes {SCHEMA_VERSION}",
                f"remove it and load it again, or use another database; the managed server's is removed with "
                f"`atlas db drop-atlas {shlex.quote(str(row['name']))}`, another's with atlas.ingest.graph_drop.drop",
            )


def _stored(writer: Writer, name: str) -> dict[str, Any] | None:
    found = writer.one(
        "Atlas", "MATCH (a:Atlas {uid: $atlas}) RETURN a.digest AS digest, a.complete AS complete", atlas=name
    )
    return found[0] if found else None


def _check_digest(writer: Writer, rows: Rows, *, replace: bool) -> bool:
    """Return whether the atlas is there, marked complete; refuse one from other artifacts."""
    found = _stored(writer, rows.name)
    if found is None:
        return False
    if found["digest"] != rows.digest and not replace:
        state = "" if found["complete"] else " (its load did not reach its end)"
        raise InputError(
            f"the database holds an atlas {rows.name!r} from other artifacts{state}: "
            f"digest {found['digest'][:12]}, this one has {rows.digest[:12]}",
            "replace it with --replace, or choose another --name",
        )
    return bool(found["complete"]) and found["digest"] == rows.digest


def _sweep(writer: Writer, rows: Rows) -> dict[str, int]:
    """Return how many were removed of what an earlier load had written and this one did not, by label and type."""
    removed = {
        what: count
        for what, statement in cypher.swept()
        if (count := writer.remove(what, statement, atlas=rows.name, load_id=rows.load_id))
    }
    for what, count in removed.items():
        logger.info("graph: removed %d %s that the atlas no longer has", count, what)
    return removed


def _write(writer: Writer, rows: Rows, expected: Mapping[str, int], *, beside: neo4j.Session) -> None:
    stored = _stored(writer, rows.name)
    if stored is not None and stored["digest"] != rows.digest:
        unlink(writer, rows.name)
    writer.write("Atlas", cypher.merge_nodes("Atlas"), as_maps(rows.atlas()), total=1)
    for label in NODE_TABLES:
        writer.write(label, cypher.merge_nodes(label), as_maps(rows.nodes(label)), total=expected[label])
    for label, stream in rows.of_atlas():
        statement = cypher.merge_relationships("OF_ATLAS", label)
        writer.write(f"OF_ATLAS of {label}", statement, as_maps(stream), total=expected[label])
    for kind in EDGE_KINDS:
        edges = as_lists(rows.edges(kind))
        create, merge = cypher.create_edges(kind), cypher.merge_edges(kind)
        writer.create(kind, create, edges, total=expected[kind], again=merge, beside=beside)
    for type_ in LINKS:
        (start,) = RELATIONSHIPS[type_].start
        statement = cypher.merge_relationships(type_, start)
        writer.write(type_, statement, as_maps(rows.relationships(type_)), total=expected[type_])


def _differences(driver: neo4j.Driver, rows: Rows, expected: Mapping[str, int], database: str | None) -> list[str]:
    """Return a phrase for each label and type of which the database holds another number."""
    answer = execute(driver, find("counts"), {"atlas": rows.name}, database=database)
    found = {name: count for _, name, count in answer.rows}
    return [
        f"{found.get(name, 0)} {name}, expected {count}"
        for name, count in expected.items()
        if found.get(name, 0) != count
    ]


def _differences_in_all(writer: Writer, expected: Mapping[str, int]) -> list[str]:
    """Return a phrase where the whole database holds another number of nodes or of relationships."""
    found, wanted = asdict(size_held(writer)), asdict(size_of(expected))
    return [f"{found[what]} {what}, expected {count}" for what, count in wanted.items() if found[what] != count]


def _receipt_of_present(
    driver: neo4j.Driver, rows: Rows, expected: dict[str, int], database: str | None, started: float
) -> Receipt:
    clusters: dict[str, dict[str, int]] = {}
    for subgraph, shape, count in execute(driver, find("shape_census"), {"atlas": rows.name}, database=database).rows:
        clusters.setdefault(subgraph, {})[shape] = count
    egos = clusters.pop("ego", {})
    seconds = time.monotonic() - started
    return Receipt(rows.name, rows.digest, False, expected, {}, clusters, egos, {}, (0.0, 0.0), seconds)
