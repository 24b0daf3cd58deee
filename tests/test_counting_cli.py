"""`atlas ingest counts` as its user meets it: what it prints, and what it answers to bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import fire, plan, planted_run, store

from atlas.artifacts import Run

ATLAS = [sys.executable, "-m", "atlas", "ingest"]


def atlas(*words: str, run: Path) -> subprocess.CompletedProcess[str]:
    asked = [*ATLAS, *words, "--run", str(run)]
    return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "run"
    with Run(folder) as run:
        planted_run(run, n_documents=8)
    return folder


@pytest.fixture
def run(planted: Path, tmp_path: Path) -> Path:
    shutil.copytree(planted, tmp_path / "run")
    return tmp_path / "run"


def refused(done: subprocess.CompletedProcess[str], code: int, *phrases: str) -> None:
    """One line of cause and one of remedy on stderr, nothing on stdout, no traceback."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    for phrase in ("error: ", *phrases):
        assert phrase in done.stderr, done.stderr


def test_what_is_counted_and_how_is_printed(run: Path) -> None:
    """The plan on stderr with its estimate, the figures on stdout as one object; a second call finds it done."""
    words = ("counts", "--rule", "rel:0.5", "--sums", "--memory", "1G", "--json")
    done = atlas(*words, run=run)
    assert done.returncode == 0, done.stderr
    assert "counts: a dense triangle, one pass; about" in done.stderr
    results = json.loads(done.stdout)
    assert set(results["n_firings"]) == {"any", "rel:0.5"}
    again = atlas(*words, run=run)
    assert json.loads(again.stdout) == results
    assert "20-counts: done already" in again.stderr


def test_fault_21_a_gpu_that_is_not_there(run: Path) -> None:
    """`--device cuda` is never the CPU in silence; `auto` says what it took."""
    import cupy

    if cupy.cuda.is_available():
        pytest.skip("there is a GPU")
    refused(atlas("counts", "--device", "cuda", run=run), 3, "cuda")
    refused(atlas("counts", "--device", "gpu", run=run), 3, "expected auto, cpu, cuda or cuda:N")
    assert "cpu, chosen by --device auto" in atlas("counts", run=run).stderr


def test_fault_25_too_little_memory_says_what_would_fit(run: Path) -> None:
    """Exit code 5; with the memory that is named it runs."""
    done = atlas("counts", "--memory", "1M", run=run)
    refused(done, 5, "MiB at least", "give --memory ")
    enough = done.stderr.split("give --memory ")[1].split()[0]
    assert atlas("counts", "--memory", enough, run=run).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "phrase"),
    [
        (("--rule", "often"), 3, "expected any, abs:T or rel:q"),
        (("--rule", "rel:1e9"), 3, "no firing passes the rule rel:1000000000"),
        (("--prune", "0"), 2, "prune"),
        (("--threads", "0"), 2, "threads"),
        (("--shards", "4/3"), 2, "3/16"),
    ],
)
def test_options_that_cannot_be_meant(run: Path, words: tuple[str, ...], code: int, phrase: str) -> None:
    """Usage is exit code 2, input 3 (fault 45 among them); the activations stay."""
    done = atlas("counts", *words, run=run)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    assert phrase in done.stderr
    assert atlas("counts", run=run).returncode == 0


@pytest.mark.parametrize("harm", ["truncated", "another SAE's"])
def test_fault_40_a_shard_that_is_not_the_one_that_was_written(run: Path, tmp_path: Path, harm: str) -> None:
    """A shard cut off, or put there from another run: it is named, and so is the command that repairs it."""
    shard = run / "10-activations" / "shards" / "shard-00000.safetensors"
    if harm == "truncated":
        shard.write_bytes(shard.read_bytes()[:-100])
    else:
        with Run(tmp_path / "other") as other:
            store(other, fire(plan(), n_documents=8, length=400, seed=9), np.arange(8).repeat(400), seed=9)
        shutil.copy(tmp_path / "other" / "10-activations" / "shards" / shard.name, shard)
    refused(atlas("counts", run=run), 3, "shard-00000.safetensors", "atlas ingest activations")
    assert not (run / "20-counts" / "manifest.json").exists()


def test_counts_pruned_of_what_is_to_be_tested_are_refused(run: Path) -> None:
    """Edges must not take a pair that was left out for one that was never seen."""
    assert atlas("counts", "--prune", "9", run=run).returncode == 0
    refused(atlas("edges", run=run), 3, "fewer than 9 tokens", "--prune 5")
    done = atlas("all", "--prune", "9", "--from", "counts", "--until", "edges", run=run)
    refused(done, 3, "fewer than 9 tokens")


def test_fault_41_an_interrupt_leaves_no_scratch_and_the_activations(run: Path) -> None:
    """Ctrl-C in the middle of the stage: exit code 130, no traceback, and the same command then finishes."""
    counting: Any = subprocess.Popen(
        [*ATLAS, "counts", "--run", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    while not (run / "20-counts").exists() and counting.poll() is None:
        time.sleep(0.005)
    counting.send_signal(signal.SIGINT)
    out, err = counting.communicate(timeout=120)
    assert "Traceback" not in err
    assert counting.returncode in (0, 130), err  # it may have been done first
    if counting.returncode == 130:
        assert not (run / "20-counts" / "manifest.json").exists()
    assert not (run / "20-counts" / ".scratch").exists(), out
    assert atlas("counts", run=run).returncode == 0
