"""The whole path on the real model with a short text: what `atlas demo` builds, prints and does not do twice."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pytest

from atlas.artifacts import Run

if TYPE_CHECKING:
    import neo4j

    from atlas.ingest.server.home import ServerInfo

pytestmark = pytest.mark.timeout(900)
TOKENS = 12_000


def demo(*words: str, home: Path, run: Path, name: str = "short") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "atlas", "demo", "--tokens", str(TOKENS), "--name", name, "--home", str(home)]
    return subprocess.run(
        [*command, "--run", str(run), *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "120"},
    )


@pytest.fixture(scope="module")
def first(
    server: ServerInfo, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run the demo once, on the suite's server."""
    run = tmp_path_factory.mktemp("demo") / "run"
    return run, demo(home=server.home, run=run)


def test_the_demo_ends_well_and_says_what_matters(
    first: tuple[Path, subprocess.CompletedProcess[str]], server: ServerInfo
) -> None:
    """Model, hook, text, control, shapes, Browser, password file, three commands, and how to stop."""
    _, done = first
    assert done.returncode == 0, done.stderr
    for part in (
        "blocks.9.hook_resid_post", "4,608 features", "alive", "seen together",
        "a copy permuted within documents keeps 0",
        "communities", "hub-spoke", "fully connected", "/browser/?dbms=bolt://neo4j@127.0.0.1:",
        str(server.password_file), "-m atlas query run neighbours",
        "-m atlas query list",
    ):  # fmt: skip
        assert part in done.stdout, part
    assert (
        done.stdout.rstrip().splitlines()[-1].startswith("The database stays up. Stop it with: python -m atlas db down")
    )
    assert server.password_file.read_text().strip() not in done.stdout + done.stderr
    assert "tokens/s" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_commands_that_it_names_run(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Each of the three commands to try next, as printed, answers with something."""
    lines = first[1].stdout.split("Three commands to try next")[1].splitlines()[1:4]
    assert len(lines) == 3
    for line in lines:
        program, *words = shlex.split(line)
        assert (program, words.pop(0), words.pop(0)) == ("python", "-m", "atlas")
        done = subprocess.run([sys.executable, "-m", "atlas", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        assert len(done.stdout.splitlines()) > 1, line


def test_what_it_counted_is_what_was_asked(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Tokens, width and firings of a TopK SAE with k = 32; special tokens are dropped and counted."""
    with Run(first[0]) as run:
        results = run.artifact("10-activations").results
        edges = run.artifact("30-edges").results
    assert results["n_tokens"] == TOKENS
    assert results["d_sae"] == 4608
    assert 30 < results["mean_l0"] <= 32
    assert results["n_special_dropped"] > 0
    assert edges["n_alive"] > 1000
    assert edges["control_significant"] == 0
    assert edges["empirical_fdr"] < 0.05  # what the test promises


def test_the_graph_is_there_and_classified(
    first: tuple[Path, subprocess.CompletedProcess[str]], driver: neo4j.Driver
) -> None:
    """Features, edges in both forms and clusters are in Neo4j; every cluster has a class as property and label."""

    def one(cypher: str) -> Any:
        return driver.execute_query(cypher, atlas="short").records[0][0]

    with Run(first[0]) as run:
        n_edges = {kind: found["kept"] for kind, found in run.artifact("30-edges").results["kinds"].items()}
        n_clusters = sum(run.artifact("40-clusters").results["n_clusters"].values())
    assert one("MATCH (a:Atlas {name: $atlas}) RETURN a.complete") is True
    assert one("MATCH (f:Feature {atlas: $atlas}) RETURN count(f)") == 4608
    for kind, n in n_edges.items():
        assert one(f"MATCH (:Feature {{atlas: $atlas}})-[r:{kind}]->() RETURN count(r)") == n
    assert one("MATCH (e:Edge {atlas: $atlas}) RETURN count(e)") == sum(n_edges.values())
    assert min(n_edges["CO_OCCURS"], n_edges["EXCLUDES"]) > 10_000
    assert one("MATCH (:Feature {atlas: $atlas})-[r:PARENT_OF]->() RETURN count(r)") > 100
    assert one("MATCH (c:Cluster {atlas: $atlas}) WHERE c.shape IS NOT NULL RETURN count(c)") == n_clusters
    named = "size(labels(c)) = CASE WHEN c.ideal IS NULL THEN 2 ELSE 3 END"
    assert one(f"MATCH (c:Cluster {{atlas: $atlas}}) WHERE {named} RETURN count(c)") == n_clusters
    assert one("MATCH (f:EgoHubSpoke|EgoJoint|EgoMixed {atlas: $atlas}) RETURN count(f)") > 100


def test_the_second_run_does_nothing_twice(
    first: tuple[Path, subprocess.CompletedProcess[str]], server: ServerInfo
) -> None:
    """Every stage and the loaded graph are recognised; the same summary (as JSON this time)."""
    done = demo("--json", home=server.home, run=first[0])
    assert done.returncode == 0, done.stderr
    for stage in ("10-activations", "20-counts", "30-edges", "40-clusters", "50-structure"):
        assert f"{stage}: done already" in done.stderr
    summary = json.loads(done.stdout)
    assert summary["figures"]["n_tokens"] == TOKENS
    assert set(summary["census"]) == {"real", "rewired"}
    assert "tokens/s" not in done.stderr


def test_tokens_with_both_features_are_found_by_reading_the_two(
    first: tuple[Path, subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two hundred strong edges: as many as the edge says, and no other feature's firings are read."""
    from atlas.firings import Firings

    with Run(first[0]) as run:
        firings = Firings(run.artifact("10-activations").path)
        edges = run.artifact("30-edges").table("edges")
        edges = edges.filter(pc.field("kind") == "CO_OCCURS").sort_by([("phi", "descending")]).slice(0, 200).to_pylist()
    read: list[int] = []
    tokens_of = Firings.tokens_of
    monkeypatch.setattr(Firings, "tokens_of", lambda self, feature: (read.append(feature), tokens_of(self, feature))[1])
    for edge in edges:
        assert len(firings.joint_tokens(edge["a"], edge["b"])) == edge["joint_count"]
    assert read == [feature for edge in edges for feature in (edge["a"], edge["b"])]


def test_fault_39_another_configuration_shows_the_difference(
    first: tuple[Path, subprocess.CompletedProcess[str]], server: ServerInfo
) -> None:
    """Activations are dear: they are never overwritten by a run that asks for something else."""
    command = [sys.executable, "-m", "atlas", "demo", "--tokens", "500", "--home", str(server.home)]
    done = subprocess.run([*command, "--run", str(first[0])], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert f"tokens {TOKENS} -> 500" in done.stderr
    assert "remedy:" in done.stderr
