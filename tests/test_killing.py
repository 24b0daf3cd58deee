"""Runs killed at random moments and run again give the artifacts of an undisturbed run, byte by byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILLING = [sys.executable, "-W", "ignore::DeprecationWarning", str(Path(__file__).parent / "killing.py")]


@pytest.mark.parametrize(("words", "rounds"), [(["--times", "17"], 17), (["--times", "3", "--from-text"], 3)])
def test_fault_41_sigkill_anywhere_changes_no_artifact(words: list[str], rounds: int) -> None:
    """Seventeen rounds from stored activations, three from text to counts through the real model (100 by hand)."""
    done = subprocess.run([*KILLING, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.split()
    assert int(said[0]) == rounds
    assert int(said[2]) >= rounds // 3, "most kills came after the end: the rounds prove little"
