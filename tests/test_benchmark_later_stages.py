"""The benchmark of the stages after shapes draws its run once, and measures a stage of it."""

from __future__ import annotations

import sys
from pathlib import Path

from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent))  # benchmarks are no part of what is installed

from atlas.artifacts import Run
from benchmarks.later_stages import main


def test_a_drawn_run_is_taken_again_and_its_stage_measured(tmp_path):
    """The run that is there is not drawn anew, and the last line has the stage's figures."""
    given = ["--run", str(tmp_path / "run"), "--tokens", "20000", "--d-sae", "512", "--l0", "8", "--vocabulary", "500"]
    drawn = []
    for _ in range(2):
        done = CliRunner().invoke(main, [*given, "--stage", "magnitude"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        stage, *figures = done.output.splitlines()[-1].split()
        seconds, busy, peak, own, disk = map(float, figures)
        assert (stage, min(seconds, busy, disk) >= 0) == ("magnitude", True)
        assert peak > own > 10
        files = (tmp_path / "run" / "10-activations").rglob("*")
        drawn.append(sorted((str(path), path.stat().st_mtime_ns) for path in files if path.is_file()))
    assert drawn[0] == drawn[1]
    with Run(tmp_path / "run") as run:
        assert len(run.artifact("54-magnitude").table("magnitude")) > 400
