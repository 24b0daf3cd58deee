"""What the tests of the servers share: a watch of all processes, the command line, and what a process listens on."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import psutil
from click.testing import CliRunner

from atlas.ingest.server.cli import db


class ProcWatch(threading.Thread):
    """Collects every command line and environment of every process while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self.seen.add(Path("/proc", pid, name).read_bytes())
            time.sleep(0.01)


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(db, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def bound(process: psutil.Process) -> tuple[set[int], set[str]]:
    """Return ports and addresses that a process listens on, UDP included."""
    waiting = (psutil.CONN_LISTEN, psutil.CONN_NONE)
    addresses = [each.laddr for each in process.net_connections("inet") if each.status in waiting]
    return {address.port for address in addresses}, {address.ip for address in addresses}
