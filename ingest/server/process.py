"""Starts, finds and stops the managed server's process, one at a time for each home."""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atlas.errors import AtlasError, CapacityError, DatabaseError, InputError, Interrupted
from atlas.ingest.server import beside, config, launch
from atlas.ingest.server.hold import Report, held, usable
from atlas.ingest.server.home import Home, Running, ServerInfo
from atlas.ingest.server.install import install
from atlas.ingest.server.java import find_java
from atlas.ingest.server.password import ensure_password, read_password
from atlas.ingest.server.ready import PortTaken, await_ready, listens
from atlas.ingest.server.version import Line

if TYPE_CHECKING:
    import psutil

START_ATTEMPTS = 3  # a chosen port can be taken by another program before the server listens on it
LEAST_FREE = 200_000_000  # bytes; an empty store takes 2 MB, the first load its transaction logs
# The commands turn signals into `Interrupted` themselves; who calls from Python gets the other for Ctrl-C.
_INTERRUPTIONS = (KeyboardInterrupt, Interrupted)

log = logging.getLogger(__name__)


def up(
    home: Path | str | None = None,
    *,
    server: str | None = None,
    heap: str | None = None,
    bolt_port: int | None = None,
    http_port: int | None = None,
    wait: float = 300,
    report: Report = log.info,
) -> ServerInfo:
    """Return the server of `home`, after installing and starting what is missing, once it answers a query.

    A server that runs already is returned as it is. The process outlives the caller. An interrupt while
    waiting stops a server that this call started, and leaves one that it found.

    Parameters
    ----------
    home
        The server's folder, default `default_home()`.
    server
        Line of the server, `5.26` or `2026`; default: the one that made the store, else `find_line()`.
    heap
        Largest heap as Java writes it, `2G`; default: from the machine's memory.
    bolt_port, http_port
        Ports to insist on; default: 7687 and 7474 where they are free, else others.
    wait
        Seconds to wait for another process that holds the home, and then for the server.
    report
        Receives lines of progress.

    Raises
    ------
    InputError
        The home or the cache cannot be written, another process holds it, another line of the server made the
        store, or an option cannot be used.
    DatabaseError
        No fitting Java, a port is taken, the password is lost or changed, or the server ended or did not
        answer; its log is named and its last telling lines shown.
    ServiceError
        The server's jars cannot be fetched.
    CapacityError
        Memory or disk is too small.
    """
    wanted = _Wanted(config.parse_heap(heap) if heap else None, bolt_port, http_port, wait)
    place = Home.at(home)
    place.check()
    with held(place.path, purpose="starting the server", wait=wait, report=report):
        line = place.line(server)
        found = _find(place)
        if found is None or not _join(place, found, wanted, report):
            _start_new(place, line, wanted, report)
        return status(place.path)


def down(home: Path | str | None = None, *, wait: float = 120, report: Report = log.info) -> bool:
    """Return whether a server was there to be stopped; it has ended when this returns.

    SIGTERM lets the server write what it holds. A server that has not ended after `wait` seconds is killed,
    which its next start repairs from its transaction logs.

    Raises
    ------
    InputError
        Another process holds the home, for instance one that is starting the server.
    DatabaseError
        The server belongs to another user.
    """
    place = Home.at(home)
    if not place.path.exists():
        return False
    with held(place.path, purpose="stopping the server", wait=wait, report=report):
        found = _find(place)
        if found is None:
            place.state.unlink(missing_ok=True)
            return False
        launch.stop(found.pid, wait=wait, report=report)
        place.state.unlink(missing_ok=True)
        return True


def status(home: Path | str | None = None) -> ServerInfo:
    """Return what is known of the server of `home`, without waiting for anything."""
    place = Home.at(home)
    line, found = place.line(), _find(place)
    return ServerInfo(
        home=place.path,
        state="stopped" if found is None else "running" if listens(found.bolt_port) else "starting",
        server=line.name,
        version=found.version if found else line.version,
        pid=found.pid if found else None,
        bolt_port=found.bolt_port if found else None,
        http_port=found.http_port if found else None,
        started=found.created if found else None,
        store_bytes=place.store_bytes(),
        log=place.log,
        password_file=place.password,
    )


@contextlib.contextmanager
def managed(home: Path | str | None = None, **options: object) -> Iterator[ServerInfo]:
    """Bring the server of `home` up for the body, and down after it whatever happens there.

    `options` are those of `up`. A server that ran before is stopped, too: the body's end is its end.
    """
    try:
        info = up(home, **options)  # type: ignore[arg-type]  # the keywords of up, passed through
    except InputError:  # another process holds the home, or it is no home: not ours to stop
        raise
    except BaseException:  # one that goes on starting, too
        down(home)
        raise
    try:
        yield info
    finally:
        down(home)


@contextlib.contextmanager
def stopped(home: Path | str | None = None, *, report: Report = log.info) -> Iterator[ServerInfo]:
    """Have the server of `home` stopped while the body runs; one that ran is started again, whatever happens there.

    It comes back on the ports and with the heap that it had. Yields what was known of it before.
    """
    info = status(home)
    if info.state == "stopped":
        yield info
        return
    heap = config.read_heap(Home.at(home).conf.read_text("utf-8"))
    down(home, report=report)
    try:
        yield info
    finally:
        up(home, heap=heap, bolt_port=info.bolt_port, http_port=info.http_port, report=report)


@dataclass(frozen=True)
class _Wanted:
    """What the caller of `up` asked for."""

    heap: int | None
    bolt_port: int | None
    http_port: int | None
    wait: float


def _join(place: Home, found: Running, wanted: _Wanted, report: Report) -> bool:
    """Return whether a server that was found answers; False where it was ending. An interrupt leaves it as it is."""
    if wanted.bolt_port not in (None, found.bolt_port) or wanted.http_port not in (None, found.http_port):
        report(f"the server runs already, on ports {found.bolt_port} and {found.http_port}")
    try:
        await_ready(place, found, read_password(place.password), wait=wanted.wait, report=report)
    except _INTERRUPTIONS as error:
        cause = f"interrupted; Neo4j (process {found.pid}) goes on starting"
        raise _interrupted(error, cause, "run `atlas db up` again to wait, or `atlas db down` to end it") from None
    except AtlasError:
        if launch.alive(found.pid) is None:
            return False
        raise
    found.write(place)  # it may have been found without a note
    place.auth.unlink(missing_ok=True)
    return True


def _start_new(place: Home, line: Line, wanted: _Wanted, report: Report) -> None:
    """Install what is missing, start a server, and wait for its first answer."""
    try:
        jars = install(line, report=report) / "lib"
    except _INTERRUPTIONS as error:
        cause = "interrupted; fetched jars are kept"
        raise _interrupted(error, cause, "run `atlas db up` again to go on") from None
    java = find_java(line)
    memory = config.plan_memory(*config.machine_memory(), wanted.heap)
    with _disk_errors(place.path):
        place.make(line)
        launch.stop_tools(place, report=report)
        beside.settle(place, report=report)
        password = ensure_password(place.password, place.auth, initialised=place.initialised)
        for attempt in range(START_ATTEMPTS):
            ports = config.choose_ports(wanted.bolt_port, wanted.http_port)
            place.conf.write_text(config.render(ports, memory, line), "utf-8")
            try:
                command = launch.command(java, place, jars, memory, line)
                _start(place, command, ports, password, wanted.wait, report)
                break
            except PortTaken:
                if attempt + 1 == START_ATTEMPTS:
                    raise
                report(f"port {ports.bolt} or {ports.http} was taken meanwhile, choosing others")
    place.auth.unlink(missing_ok=True)  # imported: the system database has the hash now


def _start(place: Home, command: list[str], ports: config.Ports, password: str, wait: float, report: Report) -> None:
    """Start the process, note it, and wait for its first answer; an interrupt leaves no process."""
    process = None
    try:
        process = launch.spawn(command, place)
        server = Running(process.pid, process.create_time(), ports.bolt, ports.http, place.line().version)
        server.write(place)
        report(f"starting Neo4j {server.version} (process {server.pid}), log: {place.log}")
        await_ready(place, server, password, wait=wait, report=report)
    except DatabaseError:  # the process has ended, or goes on starting and the message says so
        raise
    except BaseException as error:  # Ctrl-C or SIGTERM, as the one or the other exception, or a bug
        # Looked for, too: a signal can come while the process is there and its number not known yet.
        for each in [process, *launch.servers(place)]:
            if each is not None:
                launch.stop(each.pid, wait=30, report=report)
        place.state.unlink(missing_ok=True)
        if isinstance(error, _INTERRUPTIONS):
            cause = "interrupted while Neo4j started; it was stopped again"
            raise _interrupted(error, cause, "run `atlas db up` again") from None
        raise


def _interrupted(error: BaseException, cause: str, remedy: str) -> Interrupted:
    """Return the error that says what became of the server, with the exit code of the signal that came."""
    terminated = isinstance(error, Interrupted) and error.exit_code != Interrupted.exit_code
    return Interrupted(cause, remedy, terminated=terminated)


def _find(place: Home) -> Running | None:
    """Return the live server of a home: the noted one, else one whose starter died before noting it."""
    noted = Running.read(place)
    if noted is not None and _same(launch.alive(noted.pid), noted, place):
        return noted
    for process in launch.servers(place):
        with contextlib.suppress(OSError):
            ports = config.read_ports(place.conf.read_text("utf-8"))
            created = launch.created(process)
            if ports is not None and created is not None:
                return Running(process.pid, created, ports.bolt, ports.http, place.line().version)
    return None


def _same(process: psutil.Process | None, noted: Running, place: Home) -> bool:
    """Return whether a process with the noted pid is the noted server and not a later process."""
    created = launch.created(process) if process is not None else None
    # A second of play: the time is the clock's minus the machine's uptime, and the clock is set now and then.
    return (
        process is not None
        and created is not None
        and abs(created - noted.created) < 1
        and launch.serves(process, place)
    )


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Answer a full disk or a folder that cannot be written with its cause; refuse a disk that is nearly full."""
    remedy = "free space, or choose a home on another disk: --home DIR"
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise CapacityError(f"the disk of {folder} has {free / 1e6:.0f} MB left", remedy)
    try:
        with usable(folder):
            yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CapacityError(f"the disk of {folder} is full", remedy) from error
        raise
