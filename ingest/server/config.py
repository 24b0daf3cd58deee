"""The managed server's own small neo4j.conf: ports, memory and what is switched off."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from atlas.errors import CapacityError, DatabaseError, InputError
from atlas.ingest.server.home import HEADER
from atlas.ingest.server.version import Line

LOOPBACK = "127.0.0.1"
BOLT_PORT, HTTP_PORT = 7687, 7474  # what Neo4j's own tools try first
MIB = 1 << 20
LEAST_HEAP = 512  # MiB; 500,000 edges load with it at 10,000 a transaction, less was not tried
OUTSIDE_HEAP = 400  # MiB beside heap and page cache; 344 resident after loading 500,000 edges


@dataclass(frozen=True)
class Ports:
    """The ports of Bolt (drivers) and of HTTP (Browser) on the loopback address."""

    bolt: int
    http: int


@dataclass(frozen=True)
class Memory:
    """Largest heap and page cache of the server, in MiB."""

    heap: int
    page_cache: int


def plan_memory(total: int, available: int, heap: int | None = None) -> Memory:
    """Return heap and page cache for a machine with `total` bytes, of which `available` are free.

    An eighth of the machine is heap, within 512 MiB and 2 GiB, a sixteenth is page cache, within 128 MiB and
    1 GiB: 500,000 edges in both their forms fit the smallest of these, and the rest of the machine is left
    to counting. `heap` (MiB) replaces the first.

    Raises
    ------
    CapacityError
        Less is available than the server would use.
    """
    chosen = heap or min(max(total // 8 // MIB, LEAST_HEAP), 2048)
    memory = Memory(chosen, min(max(total // 16 // MIB, 128), 1024))
    needed = memory.heap + memory.page_cache + OUTSIDE_HEAP
    if needed > available // MIB:
        raise CapacityError(
            f"the server would use {needed} MiB of memory, {available // MIB} MiB are available",
            f"end other programs, or start it with a smaller heap: atlas db up --heap {LEAST_HEAP}M",
        )
    return memory


def machine_memory() -> tuple[int, int]:
    """Return total and available bytes, within the limit of the container where there is one."""
    import psutil

    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    for root, limit, usage in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most = int(Path(root, limit).read_text("ascii"))
            used = int(Path(root, usage).read_text("ascii"))
        except (OSError, ValueError):  # another cgroup version, no limit ("max"), or not Linux
            continue
        if most < total:
            total, available = most, min(available, max(most - used, 0))
    return total, available


def parse_heap(text: str) -> int:
    """Return MiB for a size as Java writes it: `1500M`, `2G`.

    Raises
    ------
    InputError
        Not such a size, or less than the server can work with.
    """
    match = re.fullmatch(r"(\d+)([MmGg])(?:i?[Bb])?", text.strip())
    if match is None:
        raise InputError(f"--heap: {text!r} is not a size", "write it as 1500M or 2G")
    size = int(match.group(1)) * (1024 if match.group(2) in "Gg" else 1)
    if size < LEAST_HEAP:
        raise InputError(f"--heap: {size}M is too small", f"the server needs {LEAST_HEAP}M or more")
    return size


def choose_ports(bolt: int | None = None, http: int | None = None) -> Ports:
    """Return free ports: those asked for, else Neo4j's usual ones, else any.

    Raises
    ------
    DatabaseError
        A port that was asked for is taken.
    """
    chosen_bolt = _choose(bolt, BOLT_PORT, "--bolt-port", avoid=http)
    return Ports(chosen_bolt, _choose(http, HTTP_PORT, "--http-port", avoid=chosen_bolt))


def _choose(asked: int | None, usual: int, option: str, avoid: int | None) -> int:
    if asked is not None:
        if asked == avoid or not is_free(asked):
            raise DatabaseError(f"port {asked} is taken", f"give another {option}, or leave it out")
        return asked
    if usual != avoid and is_free(usual):
        return usual
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As Java does: a port that was closed a moment ago (TIME_WAIT) counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def render(ports: Ports, memory: Memory, line: Line) -> str:
    """Return the text of neo4j.conf for a line of the server, which refuses unknown and doubled keys."""
    settings = {
        "server.config.strict_validation.enabled": "true",
        "server.default_listen_address": LOOPBACK,
        "server.default_advertised_address": LOOPBACK,
        "server.bolt.listen_address": f"{LOOPBACK}:{ports.bolt}",
        "server.bolt.advertised_address": f"{LOOPBACK}:{ports.bolt}",
        "server.http.listen_address": f"{LOOPBACK}:{ports.http}",
        "server.http.advertised_address": f"{LOOPBACK}:{ports.http}",
        "server.https.enabled": "false",
        "server.memory.heap.initial_size": f"{memory.heap}m",
        "server.memory.heap.max_size": f"{memory.heap}m",
        "server.memory.pagecache.size": f"{memory.page_cache}m",
        # One transaction that grows too large is refused, in place of the server dying of it.
        "db.memory.transaction.max": f"{memory.heap // 2}m",
        "dbms.memory.transaction.total.max": f"{memory.heap * 6 // 10}m",  # the old generation is two thirds
        # No 256 MiB of log laid out in advance for each database, and no history: the artifacts are that.
        "db.tx_log.preallocate": "false",
        "db.tx_log.rotation.retention_policy": "128M size",
        # A disk that fills up leaves half a transaction at the log's end, over which the server else never starts
        # again. It was not committed; a load counts what is there.
        "internal.dbms.tx_log.fail_on_corrupted_log_files": "false",
        # Each 5 s otherwise, spent at every stop after the databases are closed.
        "internal.server.bolt.connection_shutdown_wait_time": "1s",
        "internal.server.bolt.thread_pool_shutdown_wait_time": "1s",
        "dbms.usage_report.enabled": "false",
        "client.allow_telemetry": "false",
        # Graph Data Science reads the store below Cypher. It is there only where somebody put it into `plugins`.
        "dbms.security.procedures.unrestricted": "gds.*",
        **line.settings,
    }
    return "\n".join([HEADER, *(f"{key}={value}" for key, value in settings.items()), ""])


def read_ports(text: str) -> Ports | None:
    """Return the ports that a rendered neo4j.conf holds, None where it holds none."""
    found = dict(re.findall(r"^server\.(bolt|http)\.listen_address=\S*:(\d+)$", text, re.MULTILINE))
    return Ports(int(found["bolt"]), int(found["http"])) if found.keys() >= {"bolt", "http"} else None


def read_heap(text: str) -> str | None:
    """Return the largest heap that a rendered neo4j.conf gives the server, None where it says none."""
    found = re.search(r"^server\.memory\.heap\.max_size=(\d+m)$", text, re.MULTILINE)
    return found[1] if found else None
