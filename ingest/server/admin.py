"""Runs the server's own offline tool (import, dump, load, check) on a stopped managed server's store."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from atlas.errors import CapacityError, DatabaseError, InputError
from atlas.ingest.server import config, launch
from atlas.ingest.server.hold import Report, held, usable
from atlas.ingest.server.home import Home
from atlas.ingest.server.install import install
from atlas.ingest.server.java import find_java
from atlas.ingest.server.process import status

# Not org.neo4j.server.startup.Neo4jAdminCommand: the same import took 8.0 s through it, 5.2 s through this.
MAIN_CLASS = "org.neo4j.cli.AdminTool"
SHOWN = 8  # lines of a failed run

log = logging.getLogger(__name__)


def admin(
    arguments: Sequence[str],
    *,
    home: Path | str | None = None,
    wait: float = 60,
    report: Report = log.info,
    source: BinaryIO | None = None,
    target: BinaryIO | None = None,
) -> str:
    """Return what `neo4j-admin ARGUMENTS` prints, run on the store of `home` while its server is stopped.

    The home is held meanwhile: no server starts on a store that is being written. Where the server has never
    been started, its database can be imported, and the next `up` sets the password as for a first start.

    Parameters
    ----------
    arguments
        For instance `["database", "import", "full", "neo4j", "--nodes=Feature=features.csv"]`. Nothing
        secret: every user of the machine can read arguments.
    wait
        Seconds to wait for another process that holds the home.
    source
        File that the tool reads as its standard input.
    target
        File that its standard output goes to; what it prints elsewhere is returned.

    Raises
    ------
    InputError
        The server runs, or another process holds the home.
    DatabaseError
        No fitting Java, or the tool ended with an error; its last lines are shown.
    CapacityError
        Memory is too small, or the disk has become full.
    """
    place = Home.at(home)
    place.check()
    line = place.line()
    jars = install(line, report=report) / "lib"
    java = find_java(line)
    with held(place.path, purpose=f"running {' '.join(arguments[:2])}", wait=wait, report=report):
        if status(place.path).state != "stopped":
            raise InputError(f"the server of {place.path} runs", "stop it first: atlas db down")
        launch.stop_tools(place, report=report)
        place.make(line)
        memory = config.plan_memory(*config.machine_memory())
        if not place.conf.exists():
            with usable(place.path):
                place.conf.write_text(config.render(config.choose_ports(), memory, line), "utf-8")
        command = launch.admin_command(java, place, jars, memory, MAIN_CLASS, arguments)
        done = subprocess.run(
            command,
            check=False,
            cwd=place.path,
            env=launch.environment() | {"NEO4J_HOME": str(place.path), "NEO4J_CONF": str(place.conf.parent)},
            stdin=source or subprocess.DEVNULL,
            stdout=target or subprocess.PIPE,
            stderr=subprocess.PIPE if target else subprocess.STDOUT,
            umask=0o077,
        )
    output = (done.stderr if target else done.stdout).decode("utf-8", "replace")
    if done.returncode != 0:
        lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("\tat ")]
        shown = "".join(f"\n  | {line[:300]}" for line in lines[-SHOWN:])
        kind = CapacityError if "No space left on device" in output else DatabaseError
        cause = f"{' '.join(arguments[:2])} ended with {done.returncode}{shown}"
        raise kind(cause, "free space, then run this again" if kind is CapacityError else "see the lines above")
    return output
