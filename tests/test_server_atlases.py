"""`atlas db list` and `atlas db drop-atlas`, through the command line on a real server."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from graph_checks import empty, export, values
from small_atlas import by_hand

from atlas.ingest.graph import load
from atlas.schema import SCHEMA_VERSION

pytestmark = pytest.mark.neo4j
ATLAS = [sys.executable, "-m", "atlas", "db"]
COUNTS = {
    "Letter": 2, "Peak": 2, "Manifold": 2, "Context": 3, "PeerCluster": 3, "Cluster": 11, "Edge": 54, "Feature": 54,
    "Atlas": 1,
}  # fmt: skip
OF_HAND = {
    "name": "hand", "model": "a model", "hook_name": "blocks.9.hook_resid_post", "n_tokens": 1000, "n_edges": 51,
    "complete": True, "schema_version": SCHEMA_VERSION,
}  # fmt: skip
NEWER = dict.fromkeys(OF_HAND) | {"name": "newer", "schema_version": 99}


def atlas(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ATLAS, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )


def answered(answer: str, *words: str | Path) -> tuple[int, str, str]:
    """Return code, stdout and stderr of a command at a terminal where a person types an answer."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*ATLAS, *map(str, words)], stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(slave)
        os.write(master, answer.encode())
        out, err = process.communicate(timeout=120)
    os.close(master)
    return process.returncode, out, err


@pytest.fixture
def two(driver, tmp_path):
    """Give a database with an atlas of this schema version and one of another."""
    empty(driver)
    load(by_hand().write(tmp_path), driver, name="hand")
    driver.execute_query(
        "CREATE (a:Atlas {uid: 'newer', atlas: 'newer', schema_version: 99})<-[:OF]-(:Token {atlas: 'newer'})"
    )
    yield driver
    empty(driver)


def test_atlases_are_listed_whatever_their_version(two, server_home):
    """JSON has every value as it is, the table a line for each; nothing on stdout is a message."""
    done = atlas("list", "--home", server_home, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"atlases": [OF_HAND, NEWER]}
    lines = [line.split("\t") for line in atlas("list", "--home", server_home).stdout.splitlines()]
    assert lines == [
        list(OF_HAND),
        ["hand", "a model", "blocks.9.hook_resid_post", "1000", "51", "yes", str(SCHEMA_VERSION)],
        ["newer", "", "", "", "", "", "99"],
    ]
    empty(two)
    assert json.loads(atlas("list", "--home", server_home, "--json").stdout) == {"atlases": []}
    assert len(atlas("list", "--home", server_home).stdout.splitlines()) == 1


def test_a_removal_asks_and_counts_first(two, server_home):
    """Without a terminal it needs --yes; "n" removes nothing; "y" and --yes remove this atlas alone."""
    before = export(two, "hand")
    done = atlas("drop-atlas", "hand", "--home", server_home, "--json")
    assert (done.returncode, done.stdout) == (3, "")
    assert "54  Feature" in done.stderr
    assert "--yes" in done.stderr
    code, out, err = answered("n\n", "drop-atlas", "hand", "--home", server_home)
    assert (code, out) == (1, "")
    assert err.index("54  Feature") < err.index("Remove these") < err.index("nothing was removed")
    assert export(two, "hand") == before
    code, out, err = answered("y\n", "drop-atlas", "newer", "--home", server_home, "--json")
    assert code == 0, err
    assert json.loads(out) == {"atlas": "newer", "removed": {"Token": 1, **dict.fromkeys(COUNTS, 0), "Atlas": 1}}
    assert export(two, "hand") == before
    done = atlas("drop-atlas", "hand", "--home", server_home, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{label}\t{n}\n" for label, n in {"label": "removed", **COUNTS}.items())
    assert "Traceback" not in done.stderr
    assert values(two, "MATCH (n) RETURN count(n)") == [(0,)]


def test_an_unknown_atlas_is_answered_with_those_there_are(two, server_home):
    """Exit code 3 with the names; a server that is not up is exit code 4 with the command that starts it."""
    done = atlas("drop-atlas", "hnad", "--home", server_home, "--yes")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no atlas 'hnad' in the database" in done.stderr
    assert "there are: hand, newer" in done.stderr
    for words in (("list",), ("drop-atlas", "hand", "--yes")):
        done = atlas(*words, "--home", server_home.parent / "none")
        assert (done.returncode, done.stdout) == (4, "")
        assert "is not up" in done.stderr
        assert "NEO4J_URI" not in done.stderr
        assert "atlas db up --home" in done.stderr
