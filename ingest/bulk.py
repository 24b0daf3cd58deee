"""Loads an atlas into an empty managed database by the server's own offline importer."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from atlas.artifacts import Artifact, Run
from atlas.errors import InputError
from atlas.files import NO_ROOM, no_room
from atlas.ingest.bulk_csv import DELIMITER, Export, export
from atlas.ingest.connection import Target, managed_target, open_driver
from atlas.ingest.graph import BATCH, Receipt, check_name, constrain, finish, keep, open_session, present
from atlas.ingest.graph_rows import Rows
from atlas.ingest.graph_sources import artifacts_of
from atlas.ingest.graph_write import Writer
from atlas.ingest.server.admin import admin
from atlas.ingest.server.archive import store
from atlas.ingest.server.beside import DATABASE, Beside, beside, replace
from atlas.ingest.server.home import Home
from atlas.ingest.server.process import stopped, up
from atlas.schema import generate as cypher

logger = logging.getLogger("atlas")

_OWN = {statement.split()[2] for statement in cypher.constraints()} | {
    statement.split("INDEX ", 1)[1].split()[0] for statement in cypher.indexes()
}
_FOREIGN = "YIELD name, type WHERE type <> 'LOOKUP' AND NOT name IN $own RETURN name"


def check_managed(environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to import where the environment names a server: only the managed one's store is at hand.

    Raises
    ------
    InputError
        `NEO4J_URI` is set.
    """
    if environ.get("NEO4J_URI"):
        raise InputError(
            "--bulk imports into the store of the managed server, and NEO4J_URI names another one",
            "leave --bulk out, or unset NEO4J_URI",
        )


def bulk_run(run: Run, *, name: str, home: Path | str | None = None) -> tuple[Receipt, Artifact]:
    """Return the receipt of importing a run's atlas into an empty managed database, and the artifact that keeps it.

    The rows are written as CSV files inside the home, the server is stopped, its offline tool makes a store of them
    beside the old one, that takes the old one's place, and the server is started. Constraints and indexes are made
    after that, and the subgraphs classified. The graph is that of `load_run`. A kill before the end leaves the
    database empty, or with an atlas that is not complete; the files are removed by the next import or start.

    Raises
    ------
    ArtifactError, InputError, DatabaseError
        As `load`; and where the database is not empty or not the managed one.
    CapacityError
        The disk of the home is full.
    """
    check_managed()
    check_name(name)
    artifacts = artifacts_of(run)
    rows = Rows(artifacts, name)
    receipt, target = bulk_load(rows, home)
    return receipt, keep(run, receipt, target=str(target), inputs=tuple(rows.artifacts))


def bulk_load(rows: Rows, home: Path | str | None = None) -> tuple[Receipt, Target]:
    """Return the receipt of importing an atlas, and the server that holds it now; see `bulk_run`."""
    started = time.monotonic()
    rows = dataclasses.replace(rows, numbered=True)
    place, expected = Home.at(home), rows.expected()
    place.check()
    logger.info("graph: by Neo4j's offline importer into the empty database of %s", place.path)
    if store(place).is_dir():
        up(place.path, report=logger.info)
        found = _check_empty(place, rows, expected)
        if found is not None:
            return found, managed_target(place.path)
    with beside(place, purpose="importing an atlas", report=logger.info) as new:
        files, rates = _write(rows, new)
        if store(place).is_dir():
            _check_empty(place, rows, expected)  # while the files were written others could write, too
        logger.info("graph: importing %d rows; the server is stopped meanwhile", files.rows)
        with stopped(place.path, report=logger.info):
            rates["import"] = _import(new, files)
            replace(place, report=logger.info)
    up(place.path, report=logger.info)
    target = managed_target(place.path)
    with open_driver(target) as driver, open_session(driver, target.database) as session:
        writer = Writer(session, batch=BATCH)
        writer.rates |= rates
        constrain(writer)
        for label, unsaid in files.unsaid.items():
            writer.write(f"lists of {label}", cypher.set_properties(label), unsaid, total=len(unsaid))
        receipt = finish(driver, writer, rows, expected, {}, started, database=target.database, alone=True)
    return receipt, target


def _check_empty(place: Home, rows: Rows, expected: dict[str, int]) -> Receipt | None:
    """Return the receipt of the atlas where it is there already; refuse a database that holds anything else."""
    target = managed_target(place.path)
    with open_driver(target) as driver, open_session(driver, target.database) as session:
        writer = Writer(session, batch=BATCH)
        count = writer.one("nodes", "MATCH (n) RETURN count(n) AS count")[0]["count"]
        if count:
            found = present(driver, writer, rows, expected, database=target.database)
            if found is None:
                raise InputError(
                    f"--bulk needs an empty database, the managed server of {place.path} holds {count} nodes",
                    "leave --bulk out, or remove its atlases: atlas db list, atlas db drop-atlas",
                )
            return found
        foreign = sorted(
            {row["name"] for what in ("CONSTRAINTS", "INDEXES")
             for row in writer.one(what, f"SHOW {what} {_FOREIGN}", own=sorted(_OWN))}
        )  # fmt: skip
    if foreign:
        raise InputError(
            f"--bulk makes the database anew, the managed server of {place.path} has constraints or indexes of yours: "
            + ", ".join(foreign),
            "leave --bulk out, or drop them",
        )
    return None


def _write(rows: Rows, new: Beside) -> tuple[Export, dict[str, float]]:
    """Write the files and return them, with the rows a second."""
    folder = new.path / "csv"
    started = time.monotonic()
    try:
        folder.mkdir(mode=0o700)
        files = export(rows, folder)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(folder) from error
        raise
    seconds = max(time.monotonic() - started, 1e-9)
    logger.info("graph: %d rows as CSV in %.1f s", files.rows, seconds)
    return files, {"CSV": files.rows / seconds}


def _import(new: Beside, files: Export) -> float:
    """Have the server's tool make a store of the files, remove them, and return the rows a second."""
    started = time.monotonic()

    def given(path: Path) -> str:
        return f"../csv/{path.name}"  # relative to the tool's folder: a path is taken for a pattern

    arguments = [
        "database", "import", "full", DATABASE, f"--array-delimiter=U+{ord(DELIMITER):04X}", "--bad-tolerance=0",
        "--id-type=integer",
        "--report-file=../csv/report", f"--multiline-fields={str(files.multiline).lower()}",
        *(f"--nodes={label}={given(path)}" for label, path in files.nodes),
        *(f"--relationships={type_}={given(path)}" for type_, path in files.relationships),
    ]  # fmt: skip
    admin(arguments, home=new.home.path, report=logger.info)
    shutil.rmtree(new.path / "csv")
    return files.rows / (time.monotonic() - started)
