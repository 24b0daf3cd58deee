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
from atlas.ingest.graph_rows import STAGES, Rows
from atlas.ingest.graph_write import Writer
from atlas.queries.classify import classify
from atlas.queries.display import visible
from atlas.queries.library import find
from atlas.queries.run import execute
from atlas.schema import EDGE_KINDS, NODES, SCHEMA_VERSION
from atlas.schema import generate as cypher

if TYPE_CHECKING:
    import neo4j

logger = logging.getLogger("atlas")

BATCH = 10_000
"""Rows of a transaction."""
_KEPT = ("atlas", "digest", "rows", "clusters", "egos")
_VERSIONS = "MATCH (a:Atlas) RETURN a.uid AS name, a.schema_version AS version"
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
    artifacts = {stage: run.artifact(stage) for stage in STAGES}
    receipt = load(artifacts, driver, name=name, database=database, replace=replace, batch=batch)
    if receipt.changed:
        logger.info("60-neo4j: loaded and classified in %.1f s", receipt.seconds)
    kept = {key: value for key, value in asdict(receipt).items() if key in _KEPT}
    spec = Spec("60-neo4j", {"name": name, "target": target, "schema_version": SCHEMA_VERSION}, STAGES)

    def write(directory: Path) -> Mapping[str, Any]:
        write_json(directory / "receipt.json", kept)
        return kept

    return receipt, run.produce(spec, write)


def load(
    artifacts: Mapping[str, Artifact],
    driver: neo4j.Driver,
    *,
    name: str,
    database: str | None = None,
    replace: bool = False,
    batch: int = BATCH,
) -> Receipt:
    """Return the receipt of loading an atlas and classifying its subgraphs.

    An atlas that is there already, whole and from the same artifacts, is left as it is. One whose load
    did not reach its end is loaded again over what is there. Other atlases are never touched.

    Parameters
    ----------
    artifacts
        The finished artifacts of `STAGES`, by name.
    name
        Name of the atlas: letters, digits, dots, dashes and underscores.
    database
        Name of the database; None is the server's default.
    replace
        Whether an atlas of that name from other artifacts is updated, and what it no longer has removed.
    batch
        Rows of a transaction.

    Raises
    ------
    InputError
        The name cannot be used, or is taken by an atlas from other artifacts.
    DatabaseError
        The database refuses (that it cannot be reached, the driver's errors say); it holds an atlas of
        another schema version; or it wrote another number of rows than it was sent.
    """
    check_name(name)
    if batch < 1:
        raise InputError(f"{batch} rows a batch, expected 1 or more", "choose another with --batch")
    rows = Rows(artifacts, name)
    started = time.monotonic()
    with _session(driver, database) as session:
        writer = Writer(session, batch=batch)
        _check_versions(writer)
        there = _check_digest(writer, rows, replace=replace)
        expected = rows.expected()
        if there and _differences(driver, rows, expected, database) == []:
            logger.info("atlas %s: in the database already", name)
            return _receipt_of_present(driver, rows, expected, database, started)
        _prepare(writer)
        _write(writer, rows, expected)
        removed = {
            what: count
            for what, statement in cypher.swept()
            if (count := writer.remove(what, statement, atlas=name, load_id=rows.load_id))
        }
        for what, count in removed.items():
            logger.info("graph: removed %d %s that the atlas no longer has", count, what)
        classes = classify(driver, name, database=database)
        differences = _differences(driver, rows, expected, database)
        if differences:
            raise DatabaseError(
                f"atlas {name} after loading: {differences[0]}",
                "something else changed it at the same time: load again",
            )
        writer.one("Atlas", "MATCH (a:Atlas {uid: $atlas}) SET a.complete = true", atlas=name)
    return Receipt(
        name, rows.digest, True, expected, removed, classes.clusters, classes.egos,
        {what: round(rate, 1) for what, rate in writer.rates.items()},
        classes.seconds, time.monotonic() - started,
    )  # fmt: skip


def contents(driver: neo4j.Driver, name: str, *, database: str | None = None) -> dict[str, int]:
    """Return how many nodes of each label `drop` would remove, those of another schema version included.

    Raises
    ------
    InputError
        The database holds no atlas of that name.
    """
    with _session(driver, database) as session:
        writer = Writer(session, batch=BATCH)
        return {
            label: writer.one(
                label,
                f"MATCH (n:{_quoted(label)} {{{'uid' if label == 'Atlas' else 'atlas'}: $atlas}}) "
                "RETURN count(n) AS count",
                atlas=name,
            )[0]["count"]
            for label in _labels(writer, name)
        }


def drop(driver: neo4j.Driver, name: str, *, database: str | None = None, batch: int = BATCH) -> dict[str, int]:
    """Return how many nodes of each label were removed with an atlas; an unfinished removal can be repeated.

    An atlas of another schema version goes whole, too: with it the nodes of labels that this one lacks.

    Raises
    ------
    InputError
        The database holds no atlas of that name.
    """
    removed = {}
    with _session(driver, database) as session:
        writer = Writer(session, batch=batch)
        labels = _labels(writer, name)
        mark = "MATCH (a:Atlas {uid: $atlas}) SET a.complete = false, a.atlas = $atlas"
        writer.one("Atlas", mark, atlas=name)
        for label in labels:
            removed[label] = writer.remove(label, cypher.drop_nodes(_quoted(label)), atlas=name)
            logger.info("graph: removed %d %s", removed[label], label)
    return removed


def _labels(writer: Writer, name: str) -> list[str]:
    """Return the labels of an atlas's nodes, the atlas itself last: until then it can be named again."""
    found = {row["name"]: row["version"] for row in writer.one("Atlas", _VERSIONS)}
    if name not in found:
        there = ", ".join(visible(str(each)) for each in sorted(found, key=str))
        raise InputError(f"no atlas {name!r} in the database", f"there are: {there}" if found else "it holds none")
    known = list(reversed(NODES))
    if found[name] == SCHEMA_VERSION:
        return known  # what others hang on to it with labels of their own is theirs
    statement = "MATCH (n {atlas: $atlas}) WHERE none(each IN labels(n) WHERE each IN $known) "
    others = writer.one("labels", f"{statement} RETURN DISTINCT labels(n)[0] AS label", atlas=name, known=known)
    return [*sorted(row["label"] for row in others if row["label"] is not None), *known]


def _quoted(label: str) -> str:
    return "`" + label.replace("`", "``") + "`"


def _session(driver: neo4j.Driver, database: str | None) -> neo4j.Session:
    """Open a session whose writes the queries of `atlas.queries` see, on a cluster too."""
    return driver.session(
        database=database,
        notifications_disabled_classifications=["UNRECOGNIZED"],  # a new store knows no name of the schema yet
        bookmark_manager=driver.execute_query_bookmark_manager,
    )


def _check_versions(writer: Writer) -> None:
    for row in writer.one("Atlas", _VERSIONS):
        if row["version"] != SCHEMA_VERSION:
            raise DatabaseError(
                f"the database holds atlas {row['name']!r} of schema version {row['version']}, "
                f"this program writes {SCHEMA_VERSION}",
                f"remove it and load it again, or use another database; the managed server's is removed with "
                f"`atlas db drop-atlas {shlex.quote(str(row['name']))}`, another's with atlas.ingest.graph.drop",
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


def _prepare(writer: Writer) -> None:
    for statement in (*cypher.constraints(), *cypher.indexes()):
        writer.one("schema", statement)
    writer.one("schema", "CALL db.awaitIndexes(300)")


def _write(writer: Writer, rows: Rows, expected: Mapping[str, int]) -> None:
    atlas = [{"uid": rows.name, "properties": rows.atlas()}]
    writer.write("Atlas", cypher.merge_nodes("Atlas"), atlas, total=1)
    for label, stream in (("Feature", rows.features()), ("Cluster", rows.clusters())):
        writer.write(label, cypher.merge_nodes(label), stream, total=expected[label])
    for label, stream in rows.of_atlas():
        statement = cypher.merge_relationships("OF_ATLAS", label)
        writer.write(f"OF_ATLAS of {label}", statement, stream, total=expected[label])
    for kind in EDGE_KINDS:
        writer.write(kind, cypher.merge_edges(kind), rows.edges(kind), total=expected[kind])
    for type_, start, stream in (
        ("PARENT_OF", "Feature", rows.parents()),
        ("SAME_AS", "Feature", rows.same()),
        ("IN_CLUSTER", "Feature", rows.members()),
        ("PART_OF", "Cluster", rows.parts()),
        ("WITHIN", "Edge", rows.within()),
    ):
        statement = cypher.merge_relationships(type_, start)
        writer.write(type_, statement, stream, total=expected[type_])


def _differences(driver: neo4j.Driver, rows: Rows, expected: Mapping[str, int], database: str | None) -> list[str]:
    """Return a phrase for each label and type of which the database holds another number."""
    answer = execute(driver, find("counts"), {"atlas": rows.name}, database=database)
    found = {name: count for _, name, count in answer.rows}
    return [
        f"{found.get(name, 0)} {name}, expected {count}"
        for name, count in expected.items()
        if found.get(name, 0) != count
    ]


def _receipt_of_present(
    driver: neo4j.Driver, rows: Rows, expected: dict[str, int], database: str | None, started: float
) -> Receipt:
    clusters: dict[str, dict[str, int]] = {}
    for subgraph, shape, count in execute(driver, find("shape_census"), {"atlas": rows.name}, database=database).rows:
        clusters.setdefault(subgraph, {})[shape] = count
    egos = clusters.pop("ego", {})
    seconds = time.monotonic() - started
    return Receipt(rows.name, rows.digest, False, expected, {}, clusters, egos, {}, (0.0, 0.0), seconds)
