"""Kill loads and their server at random moments, load again, and hold the graph against an undisturbed load's.

`python tests/killing_graph.py --times 100` does so a hundred times on a server of its own; every fifth kill is the
server's. What is compared is every node and relationship, label and property.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import neo4j
from graph_checks import empty, export

sys.path.insert(0, str(Path(__file__).parent.parent))  # benchmarks are no part of what is installed

from atlas.artifacts import Artifact
from atlas.errors import AtlasError
from atlas.ingest.connection import managed_target, open_driver
from atlas.ingest.graph import load
from atlas.ingest.server.process import managed, status, up
from benchmarks.planted_atlas import Planted

NAME, BATCH, OF_SERVER = "killed", 40, 5


def load_in_child(artifacts: dict[str, Artifact], home: Path) -> int:
    """Load in a forked process and return its pid; it ends with the exit code of what went wrong."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        with open_driver(managed_target(home)) as driver:
            load(artifacts, driver, name=NAME, database="neo4j", batch=BATCH)
        code = 0
    except AtlasError as error:
        code = error.exit_code
    finally:
        os._exit(code)  # no clean-up of what the parent still uses


def finish(pid: int) -> int:
    """Wait for a process and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextlib.contextmanager
def opened(home: Path) -> Iterator[neo4j.Driver]:
    """Yield a driver for the server as it runs now."""
    with open_driver(managed_target(home)) as driver:
        yield driver


def kills(home: Path, folder: Path, *, times: int, seed: int) -> tuple[int, int]:
    """Kill and load again `times` times; return how many kills of loads and of the server came before the end.

    Raises
    ------
    AssertionError
        The graph differs from that of an undisturbed load.
    """
    chance = random.Random(seed)
    artifacts = Planted(features=150, edges=800, clusters=30, seed=seed).write(folder)
    assert finish(load_in_child(artifacts, home)) == 0
    with opened(home) as driver:
        wanted = export(driver, NAME)
        empty(driver)
    started = time.monotonic()
    assert finish(load_in_child(artifacts, home)) == 0  # a second one, which the server has compiled for
    seconds = time.monotonic() - started
    hit = [0, 0]
    for number in range(times):
        with opened(home) as driver:
            empty(driver)
        pid = load_in_child(artifacts, home)
        time.sleep(chance.uniform(0, seconds))
        of_server = number % OF_SERVER == OF_SERVER - 1
        hit[of_server] += os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        if of_server:
            os.kill(int(status(home).pid or 0), signal.SIGKILL)
            up(home)  # the load may go on with it, if it was not in a batch
        else:
            os.kill(pid, signal.SIGKILL)
        finish(pid)
        started = time.monotonic()
        assert finish(load_in_child(artifacts, home)) == 0
        seconds = min(seconds, time.monotonic() - started)
        with opened(home) as driver:
            found = export(driver, NAME)
        assert found == wanted, [line for line in found if line not in wanted][:3]
        print(f"\r{number + 1} of {times} rounds", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return hit[0], hit[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, managed(Path(folder, "home"), heap="512M") as info:
        loads, servers = kills(info.home, Path(folder, "run"), times=given.times, seed=given.seed)
    print(f"{given.times} rounds, {loads} loads and {servers} servers killed before the end, every graph identical")


if __name__ == "__main__":
    main()
