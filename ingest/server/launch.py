"""The operating system's side of the managed server: its command line, its process, its end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atlas.errors import DatabaseError
from atlas.ingest.server.config import Memory
from atlas.ingest.server.hold import Report
from atlas.ingest.server.home import Home
from atlas.ingest.server.java import Java
from atlas.ingest.server.version import LINES, Line

if TYPE_CHECKING:
    import psutil

# All that a Java server needs of its starter's environment: a process that stays must not keep tokens.
PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")

# Kept so that an ended server is reaped by its starter, where that still runs, and no zombie is left.
_children: dict[int, subprocess.Popen[bytes]] = {}


def command(java: Java, home: Home, jars: Path, memory: Memory, line: Line) -> list[str]:
    """Return the server's command line; it holds paths and sizes, nothing secret."""
    return [
        *_java_arguments(java, home, jars, memory),
        line.main_class,
        _home_argument(home),
        f"--config-dir={home.path}/conf",
        "--console-mode",
    ]


def admin_command(
    java: Java, home: Home, jars: Path, memory: Memory, main_class: str, arguments: Sequence[str]
) -> list[str]:
    """Return the command line of the server's offline tool."""
    return [*_java_arguments(java, home, jars, memory), _tool_argument(home), main_class, *arguments]


def _java_arguments(java: Java, home: Home, jars: Path, memory: Memory) -> list[str]:
    opened = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
    return [
        str(java.path),
        f"-Xms{memory.heap}m",
        f"-Xmx{memory.heap}m",
        "-XX:+UseParallelGC",  # one user's loads: a quarter more rows a second than with the collector of short pauses
        "-XX:-UseGCOverheadLimit",  # it ends servers that would come through
        "-XX:+ExitOnOutOfMemoryError",  # a server that has lost a thread to it hangs: its end can be seen
        "-XX:-UsePerfData",  # no file in the shared temporary folder for each server
        f"-XX:ErrorFile={home.path}/logs/hs_err_pid%p.log",
        "-Dfile.encoding=UTF-8",
        "-Djava.awt.headless=true",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opened),
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        f"{home.path}/plugins/*{os.pathsep}{jars}/*",
    ]


def environment() -> dict[str, str]:
    """Return the little of this process's environment that a server gets."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if sys.platform == "linux":
        passed["LC_ALL"] = "C.UTF-8"  # without it Java cannot open a path that is not ASCII
    return passed


def spawn(command_line: list[str], home: Home) -> psutil.Process:
    """Return the started process: own session, own environment, all output in the home's log."""
    import psutil

    with contextlib.suppress(FileNotFoundError):
        home.log.replace(home.log.with_suffix(".log.1"))  # the last start's, for who asks why it ended
    with home.log.open("wb") as output:
        child = subprocess.Popen(
            command_line,
            cwd=home.path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )
    _children[child.pid] = child
    return psutil.Process(child.pid)


def alive(pid: int) -> psutil.Process | None:
    """Return the process, None where it has ended; an ended child of this process is reaped."""
    import psutil

    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
        return None
    try:
        process = psutil.Process(pid)
        # A child is a zombie while its threads end, too: it has ended when it can be reaped. Another's zombie
        # counts as ended, as not every container has an init that reaps.
        return None if child is None and process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def created(process: psutil.Process) -> float | None:
    """Return when the process was started, in seconds since 1970; None where it has ended."""
    import psutil

    try:
        return float(process.create_time())
    except psutil.Error:
        return None


def serves(process: psutil.Process, home: Home) -> bool:
    """Return whether the process is a server of this home, by its command line."""
    given = arguments(process)
    return _home_argument(home) in given and any(line.main_class in given for line in LINES.values())


def arguments(process: psutil.Process) -> list[str]:
    """Return a process's command line, empty where it has ended or is hidden from this user."""
    import psutil

    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def stop_tools(home: Home, *, report: Report) -> None:
    """End the offline tools that work on this home: they outlive a killed starter, and go on writing."""
    import psutil

    for process in psutil.process_iter():
        if _tool_argument(home) in arguments(process):
            report(f"ending an offline tool that was left behind (process {process.pid})")
            stop(process.pid, wait=10, report=report)


def servers(home: Home) -> Iterator[psutil.Process]:
    """Yield the processes that serve this home, found by their command lines."""
    import psutil

    for process in psutil.process_iter():
        if serves(process, home) and alive(process.pid) is not None:
            yield process


def stop(pid: int, *, wait: float, report: Report) -> None:
    """End a server: SIGTERM, and SIGKILL to one that has not ended after `wait` seconds."""
    import psutil

    process = alive(pid)
    if process is None:
        return
    try:
        process.terminate()
        started = told = time.monotonic()
        while alive(pid) is not None:
            now = time.monotonic()
            if now - started > wait:
                report(f"process {pid} has not ended after {wait:.0f} s, killing it; the next start recovers")
                process.kill()
                process.wait(30)
            elif now - told >= 1:
                report(f"stopping Neo4j (process {pid}): {now - started:.0f} s")
                told = now
            time.sleep(0.05)  # polling: the server is a child of another process, usually
    except psutil.NoSuchProcess:
        alive(pid)  # reaps
    except psutil.AccessDenied as error:
        raise DatabaseError(
            f"process {pid} belongs to another user", "let that user stop it, or choose another --home"
        ) from error


def _home_argument(home: Home) -> str:
    return f"--home-dir={home.path}"


def _tool_argument(home: Home) -> str:
    return f"-Dbasedir={home.path}"
