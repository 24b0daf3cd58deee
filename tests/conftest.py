"""What the whole suite shares: one real Neo4j server, and planted runs.

`ATLAS_SERVER=2026 pytest` runs it on the other line of the server; tests/test_other_server.py always starts both.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # worlds.py and its like are modules of the suite

# No deadlines: compiling a kernel takes a second. Derandomised: CI fails for a change, not for a draw.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis.settings.load_profile("suite")

# A shell starts what it puts in the background with SIGINT ignored, and every child inherits that: the tests
# of Ctrl-C would wait for an exception that never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    import neo4j

    from atlas.ingest.connection import Target
    from atlas.ingest.server.home import ServerInfo


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the suite its own data folder and no database of the user's; caches are shared, being only that."""
    data = tmp_path_factory.mktemp("data")
    patch = pytest.MonkeyPatch()
    patch.setenv("ATLAS_DATA", str(data))
    for name in [name for name in os.environ if name.startswith("NEO4J_")]:
        patch.delenv(name)
    yield data
    patch.undo()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Take back what a command run within a test has set of the project's logger: its level and its handlers."""
    logger = logging.getLogger("atlas")
    level, propagate, handlers = logger.level, logger.propagate, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.propagate = propagate
    logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def server_home(own_environment: Path) -> Path:
    """Return the home of the suite's server: the default one of the suite's data folder."""
    return own_environment / "neo4j" / "default"


@pytest.fixture(scope="session")
def server(server_home: Path) -> Iterator[ServerInfo]:
    """Start the one Neo4j server of each of the suite's processes; a machine that cannot fails, it never skips."""
    from atlas.ingest.server.process import managed

    with managed(server_home, heap="1G") as info:
        yield info


@pytest.fixture(scope="session")
def target(server: ServerInfo, server_home: Path) -> Target:
    """Return the address of the suite's server."""
    from atlas.ingest.connection import managed_target

    return managed_target(server_home)


@pytest.fixture(scope="session")
def driver(target: Target) -> Iterator[neo4j.Driver]:
    """Return one driver for the suite."""
    from atlas.ingest.connection import open_driver

    with open_driver(target) as opened:
        yield opened


@pytest.fixture(scope="module")
def hand(driver: neo4j.Driver, tmp_path_factory: pytest.TempPathFactory) -> neo4j.Driver:
    """Load the atlas that is known by hand as the only one."""
    from graph_checks import empty
    from small_atlas import by_hand

    from atlas.ingest.graph import load

    empty(driver)
    load(by_hand().write(tmp_path_factory.mktemp("hand")), driver, name="hand")
    return driver
