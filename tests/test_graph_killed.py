"""What a killed load, a killed server and a full disk leave is made good by the next load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from graph_checks import empty, export
from killing_graph import NAME, Planted, kills, opened

from atlas.errors import DatabaseError
from atlas.ingest.graph import load
from atlas.ingest.server.process import down, managed, status, up

pytestmark = pytest.mark.neo4j


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the home of a server that can be killed: the suite's own one serves other tests."""
    with managed(tmp_path_factory.mktemp("killed") / "home", heap="512M") as info:
        yield info.home


def test_kills_at_random_moments_change_no_graph(home, tmp_path):
    """Ten rounds, two of which kill the server (a script does 100)."""
    loads, servers = kills(home, tmp_path, times=10, seed=0)
    assert loads >= 1, "every kill came after the end: the rounds prove little"
    assert servers <= 2


def test_fault_64_a_full_disk_is_said_and_what_is_loaded_is_kept(home, tmp_path):
    """The server can write no more in the middle of a load; with room again it starts, and a load gives the same."""
    artifacts = Planted(features=150, edges=800, clusters=30, seed=1).write(tmp_path)
    with opened(home) as driver:
        empty(driver)
        load(artifacts, driver, name=NAME, database="neo4j")
        wanted = export(driver, NAME)
        empty(driver)
        server = psutil.Process(status(home).pid)
        before = server.rlimit(psutil.RLIMIT_FSIZE)
        log = max((home / "data" / "transactions" / "neo4j").iterdir(), key=lambda path: path.stat().st_mtime)
        server.rlimit(psutil.RLIMIT_FSIZE, (log.stat().st_size + 100_000, before[1]))
        with pytest.raises(DatabaseError) as refused:
            load(artifacts, driver, name=NAME, database="neo4j", batch=40)
        assert "load again" in refused.value.remedy
        assert "disk" in refused.value.remedy
        server.rlimit(psutil.RLIMIT_FSIZE, before)
    down(home, wait=10)
    up(home, heap="512M")
    with opened(home) as driver:
        load(artifacts, driver, name=NAME, database="neo4j")
        assert export(driver, NAME) == wanted
