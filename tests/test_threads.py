"""Linear algebra of one thread, where many small matrices make threads wait for each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import threadpoolctl
from test_rings_stage import planted

from atlas.artifacts import Run
from atlas.rings import rings
from atlas.rings import stage as rings_stage
from atlas.threads import one_thread


def threads() -> set[int]:
    return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}


def test_one_thread_within_the_block_and_as_many_as_before_after_it() -> None:
    """Two are set outside, whatever the machine has."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = threads()
        with one_thread():
            assert threads() == {1}
        assert threads() == before != {1}


def test_rings_are_looked_for_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage sets the limit, not its caller."""
    seen: list[set[int]] = []
    search = rings_stage.feature_sets
    monkeypatch.setattr(rings_stage, "feature_sets", lambda run: (seen.append(threads()), search(run))[1])
    with Run(tmp_path / "run") as run, threadpoolctl.threadpool_limits(2, user_api="blas"):
        planted(run)
        rings(run)
    assert seen == [{1}]
