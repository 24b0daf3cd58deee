"""The benchmark of loading: a seeded atlas, and a command that loads it and prints its table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # benchmarks are no part of what is installed

from atlas.artifacts import Run
from atlas.ingest.graph_rows import Rows
from atlas.ingest.graph_sources import artifacts_of
from benchmarks import graph
from benchmarks.planted_atlas import Planted


def test_a_seed_decides_the_atlas(tmp_path):
    """The same seed gives the same digest, another one another; sizes are those asked for, and levels nest."""
    digests = []
    for number, seed in enumerate((5, 5, 6)):
        Planted(features=60, edges=200, clusters=20, seed=seed).write(tmp_path / str(number))
        with Run(tmp_path / str(number)) as run:
            rows = Rows(artifacts_of(run), "planted")
        digests.append(rows.artifacts["50-structure"].files["features.parquet"]["sha256"])
        expected = rows.expected()
        assert (expected["Feature"], expected["CO_OCCURS"], expected["Cluster"]) == (60, 200, 20)
        assert (expected["CO_TOPIC"], expected["IN_CLUSTER"], expected["PART_OF"]) == (4, 180, 18)
        assert expected["WITHIN"] > 0
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.neo4j
def test_the_command_prints_a_table(capsys):
    """One way, one round, a hundredth of the size: what was written, rates, seconds, memory."""
    graph.main(["--small", "--repeats", "1", "--ways", "rust"])
    out = capsys.readouterr().out
    assert "| rows a second | driver and Rust extension |" in out
    assert "19,7" in out
    for step in ("CO_OCCURS", "IN_CLUSTER", "**relationships a second, of all seconds**", "peak memory of the loader"):
        assert f"| {step}" in out
