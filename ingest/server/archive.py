"""Dumps the managed server's database into one file, and restores it from there."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from atlas.errors import DatabaseError, InputError
from atlas.files import NO_ROOM, no_room
from atlas.ingest.server.admin import admin
from atlas.ingest.server.beside import DATABASE, beside, replace
from atlas.ingest.server.hold import Report
from atlas.ingest.server.home import Home
from atlas.ingest.server.process import stopped

log = logging.getLogger(__name__)


def dump(file: Path, home: Path | str | None = None, *, overwrite: bool = False, report: Report = log.info) -> int:
    """Return the bytes of `file`, into which the database was dumped while its server was stopped.

    The file is written whole or not at all. It holds the database's nodes, relationships, indexes and
    constraints; no user and no password.

    Raises
    ------
    InputError
        The home holds no store, or the file exists or cannot be written.
    DatabaseError
        The server's offline tool failed.
    CapacityError
        The disk of the file is full.
    """
    place = Home.at(home)
    if not store(place).is_dir():
        raise InputError(f"{place.path} holds no store to dump", "start its server once: atlas db up, or name --home")
    if file.is_dir() or (file.exists() and not overwrite):
        raise InputError(f"{file} exists", "name another file, or replace it with --yes")
    half = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with stopped(place.path, report=report), half.open("wb") as target:
            report(f"dumping {place.store_bytes() / 1e6:.0f} MB of store into {file}")
            admin(["database", "dump", DATABASE, "--to-stdout"], home=place.path, target=target, report=report)
            target.flush()
            os.fsync(target.fileno())
        half.replace(file)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(file) from error
        raise InputError(f"{file} cannot be written: {error.strerror}", "name a file in a folder of yours") from error
    finally:
        half.unlink(missing_ok=True)
    return file.stat().st_size


def restore(file: Path, home: Path | str | None = None, *, report: Report = log.info) -> None:
    """Make the database of `home` what `file` holds; its server is stopped meanwhile, and all it had is gone.

    The file is unpacked beside the store, and takes its place after that: where it cannot be used,
    and wherever this is killed, the store is what it was.

    Raises
    ------
    InputError
        There is no such file.
    DatabaseError
        It is no dump, is damaged, or is of a store that this server cannot open.
    CapacityError
        The disk of the home is full.
    """
    place = Home.at(home)
    place.check()
    if not file.is_file():
        raise InputError(f"{file}: no such file", "name a file that `atlas db dump` wrote")
    with beside(place, purpose="restoring a dump", report=report) as new, stopped(place.path, report=report):
        report(f"restoring {file.stat().st_size / 1e6:.0f} MB into {place.path}")
        try:
            with file.open("rb") as source:
                admin(["database", "load", DATABASE, "--from-stdin"], home=new.home.path, source=source, report=report)
        except DatabaseError as error:
            raise DatabaseError(
                f"{file} cannot be restored, and nothing was changed; {error.cause}",
                f"it must be a whole dump of a store that Neo4j {place.line().version} opens: one of a newer server is "
                "restored by that server alone",
            ) from error
        replace(place, report=report)


def store(home: Home) -> Path:
    """Return the folder of the database that holds data."""
    return home.path / "data" / "databases" / DATABASE

