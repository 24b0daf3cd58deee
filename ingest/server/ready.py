"""Waits for the managed server's first answer, and says why it does not come."""

from __future__ import annotations

import re
import socket
import time

from atlas.errors import AtlasError, CapacityError, DatabaseError
from atlas.ingest.interrupt import checkpoint
from atlas.ingest.server import launch
from atlas.ingest.server.config import LOOPBACK
from atlas.ingest.server.hold import Report
from atlas.ingest.server.home import Home, Running
from atlas.ingest.server.password import USERNAME

TELLING = re.compile(r"ERROR|WARN|Caused by|Exception|Error:|not |Failed|failed")
ENDING = 30.0  # seconds in which a server that found its port taken has ended
LOCKED = 6.0  # seconds after which the server has forgotten a refusal: it locks out for 5 after three
SHOWN = 5  # lines of a dead server's log


class PortTaken(DatabaseError):  # noqa: N818 - named for the fault
    """The server ended because another program listens on one of its ports."""


class PasswordRefused(DatabaseError):  # noqa: N818 - named for the fault
    """The server that was started refuses the password of its home."""


def listens(port: int) -> bool:
    """Return whether something accepts connections on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2):
            return True
    except OSError:
        return False


def await_ready(home: Home, server: Running, password: str, *, wait: float, report: Report) -> None:
    """Return once the server has answered a query over Bolt.

    Raises
    ------
    DatabaseError
        The server ended, refuses the password, or has not answered after `wait` seconds.
    CapacityError
        The server ended for want of memory or disk.
    Interrupted
        A signal came whose exception was lost.
    """
    started = told = time.monotonic()
    refused = False
    while True:
        checkpoint()  # the driver answers many exceptions of its own, and may take a signal's for one
        if launch.alive(server.pid) is None:
            raise _ended(home)
        try:
            if _holds_its_ports(server) and _answers(home, server, password):
                return
        except PasswordRefused:
            if refused:
                raise
            refused = True  # a machine under load was seen to refuse the right one while its server started
            time.sleep(LOCKED)
        now = time.monotonic()
        if now - started > wait:
            raise DatabaseError(
                f"Neo4j (process {server.pid}) has not answered after {wait:.0f} s; {_shown(home)}",
                "it goes on starting: run `atlas db up` again to wait, or `atlas db down` to end it",
            )
        if now - told >= 1:
            report(f"starting Neo4j {server.version} (process {server.pid}): {now - started:.0f} s")
            told = now
        time.sleep(0.1)  # polling: a server has no other way to say that it is ready


def _answers(home: Home, server: Running, password: str) -> bool:
    """Return whether the server runs a query now."""
    import neo4j
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    try:
        with (
            neo4j.GraphDatabase.driver(
                f"bolt://{LOOPBACK}:{server.bolt_port}", auth=(USERNAME, password), connection_timeout=5
            ) as driver,
            driver.session(database="neo4j") as session,
        ):
            session.run("RETURN 1").consume()
            return True
    except AuthError as error:
        _await_end(home, server)
        raise PasswordRefused(
            f"the server refuses the password in {home.password}",
            "if it was changed in the server, write the new one into that file; a store keeps its password",
        ) from error
    except (DriverError, Neo4jError):  # listening, and not ready yet
        return False


def _await_end(home: Home, server: Running) -> None:
    """Raise why the server ended, where it did: what refused the password was another program on its port.

    It is asked twice at most, since servers lock out who tries again and again.
    """
    deadline = time.monotonic() + ENDING
    while server.bolt_port not in _ports(server) and time.monotonic() < deadline:
        if launch.alive(server.pid) is None:
            raise _ended(home)
        time.sleep(0.1)


def _holds_its_ports(server: Running) -> bool:
    """Return whether the server's process itself listens on both its ports, and not another program."""
    wanted = {server.bolt_port, server.http_port}
    held = _ports(server)
    if not held:  # not listening yet, or a sandbox that shows no sockets: then what answers has to do
        return launch.alive(server.pid) is not None and all(map(listens, wanted))
    return wanted <= held


def _ports(server: Running) -> set[int]:
    """Return the ports that the server's process listens on, as far as this user is shown them."""
    import psutil

    process = launch.alive(server.pid)
    try:
        return {each.laddr.port for each in process.net_connections("tcp") if each.laddr} if process else set()
    except psutil.Error:
        return set()


def _ended(home: Home) -> AtlasError:
    """Return what to tell of a server that ended while it started."""
    text = _log_text(home)
    cause = f"Neo4j {home.line().version} ended while it started; {_shown(home)}"
    if "Address already in use" in text or "BindException" in text:
        return PortTaken(cause, "another program took its port: run `atlas db up` again")
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return CapacityError(cause, "free space, then run `atlas db up` again")
    if re.search(r"OutOfMemoryError|Could not reserve enough space|insufficient memory", text):
        return CapacityError(cause, "end other programs, or choose another --heap")
    if "locked by another process" in text or "lock file" in text.lower():
        return DatabaseError(cause, "another server has this store open: stop it, or choose another --home")
    return DatabaseError(cause, f"read {home.log}; `atlas db down --wipe` starts again without the store")


def _shown(home: Home) -> str:
    """Return the log's place and the last lines of it that tell something, as one sentence part."""
    lines = [line.strip() for line in _log_text(home).splitlines() if line.strip()]
    traces = ("at ", "...")  # a stack is for the log's reader
    telling = [line for line in lines if TELLING.search(line) and not line.startswith(traces)]
    last = (telling or lines)[-SHOWN:]
    return f"log: {home.log}" + "".join(f"\n  | {line[:300]}" for line in last)


def _log_text(home: Home) -> str:
    try:
        return home.log.read_text("utf-8", "replace")[-50_000:]
    except OSError:
        return ""
