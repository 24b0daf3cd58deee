"""The command line: quick help, one line of cause and one of remedy, and the exit code of the group."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worlds import planted_run

from atlas.artifacts import Run

ATLAS = [sys.executable, "-m", "atlas"]


def atlas(*words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ATLAS, *words], capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | env, timeout=300
    )


def _loaded(*words: str) -> tuple[str, set[str]]:
    """Return what a fresh interpreter prints and every module that it imports."""
    command = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.stdout, {line.rpartition("|")[2].strip() for line in lines}


def test_help_loads_nothing_but_click() -> None:
    """`atlas --help` answers at once since it imports no library but click, and of the project only a few modules."""
    said, loaded = _loaded("-m", "atlas", "--help")
    for command in ("demo", "ingest", "db", "query"):
        assert command in said
    _, before = _loaded("-c", "import click")
    packages = {name.partition(".")[0] for name in loaded - before}
    assert packages - set(sys.stdlib_module_names) == {"atlas", "click"}
    assert len([name for name in loaded if name.startswith("atlas")]) < 10


@pytest.mark.parametrize("group", ["ingest", "db", "query", "demo"])
def test_every_group_has_help(group: str) -> None:
    """Help never needs torch, a server or a model."""
    done = atlas(group, "--help")
    assert done.returncode == 0
    assert "Usage: atlas" in done.stdout


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    """Usage errors are exit code 2."""
    done = atlas("ingst")
    assert done.returncode == 2
    assert "Did you mean 'ingest'" in done.stderr


def test_a_missing_stage_names_the_command_that_makes_it(tmp_path: Path) -> None:
    """Exit code 3, cause and remedy on stderr, nothing on stdout, no traceback."""
    done = atlas("ingest", "edges", "--run", str(tmp_path))
    assert done.returncode == 3
    assert done.stdout == ""
    assert "error:" in done.stderr
    assert "remedy: run `atlas ingest" in done.stderr
    assert "Traceback" not in done.stderr


def test_stages_run_one_by_one_and_report(tmp_path: Path) -> None:
    """Figures on stdout as one JSON object, messages on stderr; the second time nothing is done."""
    with Run(tmp_path) as run:
        planted_run(run)
    for stage in ("counts", "edges", "clusters", "structure", "replication"):
        done = atlas("ingest", stage, "--run", str(tmp_path), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["digest"]
    shown = atlas("ingest", "replication", "--run", str(tmp_path)).stdout
    assert "half_documents" in shown
    assert "\nparents\tdirect\t" in shown
    again = atlas("ingest", "edges", "--run", str(tmp_path))
    assert "30-edges: done already" in again.stderr
    changed = atlas("ingest", "edges", "--run", str(tmp_path), "--phi-cut", "0.3", "--control", "none")
    assert "30-edges: redone, since control 'permute' -> 'none'; phi_cut None -> 0.3" in changed.stderr


def test_replication_can_be_left_out(tmp_path: Path) -> None:
    """It is a stage of `all` unless `--no-replication` says otherwise; a sample of contexts is refused."""
    with Run(tmp_path) as run:
        planted_run(run, n_documents=20)
    words = ("ingest", "all", "--from", "counts", "--until", "replication", "--no-grid", "--run", str(tmp_path))
    for more, expected in ((("--no-replication",), False), ((), True)):
        done = atlas(*words, *more)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "55-replication" / "manifest.json").exists() == expected


def test_options_come_from_environment_and_file(tmp_path: Path) -> None:
    """The command line wins over ATLAS_*, which wins over atlas.toml, which wins over the default."""
    with Run(tmp_path / "run") as run:
        planted_run(run)
    (tmp_path / "atlas.toml").write_text('[ingest.counts]\nspan = 100\nrun_directory = "run"\n')

    def span(*words: str, **env: str) -> int:
        done = atlas("ingest", "counts", *words, cwd=tmp_path, **env)
        assert done.returncode == 0, done.stderr
        manifest = json.loads((tmp_path / "run" / "20-counts" / "manifest.json").read_text())
        return int(manifest["parameters"]["span"])

    assert span() == 100
    assert span(ATLAS_INGEST_COUNTS_SPAN="50") == 50
    assert span("--span", "25", ATLAS_INGEST_COUNTS_SPAN="50") == 25


def test_a_broken_configuration_file_is_named(tmp_path: Path) -> None:
    """Exit code 3 and the line of the mistake."""
    (tmp_path / "atlas.toml").write_text("[ingest\n")
    done = atlas("ingest", "counts", cwd=tmp_path)
    assert done.returncode == 3
    assert "atlas.toml" in done.stderr


@pytest.mark.parametrize("text", ["ingest = 3", "[ingest]\nedges = 3", "demo = 1"])
def test_a_configuration_of_the_wrong_shape_is_named(tmp_path: Path, text: str) -> None:
    """A number where a table belongs: which name, and how to write it."""
    (tmp_path / "atlas.toml").write_text(text + "\n")
    done = atlas("ingest", "--help", cwd=tmp_path)
    assert done.returncode == 3
    assert "is not a table of options" in done.stderr


@pytest.mark.parametrize(
    "words", [("--min-lift", "nan"), ("--q", "nan"), ("--target-degree", "inf"), ("--phi-cut", "nan")]
)
def test_numbers_that_are_none_are_usage_errors(tmp_path: Path, words: tuple[str, str]) -> None:
    """`nan` passes every bound of the library's own type."""
    done = atlas("ingest", "edges", "--run", str(tmp_path), *words)
    assert done.returncode == 2
    assert "is not a finite number" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "a b"), "expected letters, digits"),
        (("--resolution", ".1", ".05", ".2"), "ascending"),
        (("--name", "fine"), "the managed server"),
    ],
)
def test_what_a_later_stage_would_refuse_is_refused_at_once(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    """A name, resolutions and a database that is down, before the first token is run."""
    given = ("--model", "none", "--sae", "none", "--corpus", "none", "--run", str(tmp_path / "run"))
    done = atlas("ingest", "all", *given, *words, ATLAS_DATA=str(tmp_path))
    assert done.returncode in (3, 4)
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_kernels_compile_where_neither_program_nor_home_can_be_written(tmp_path: Path) -> None:
    """A read-only install and no home: the kernels go to a temporary folder."""
    code = (
        "import os, sys; os.access = lambda *_: False\n"
        "from atlas.cli import _place_kernels; _place_kernels()\n"
        "print(os.environ['NUMBA_CACHE_DIR']); import atlas.association"
    )
    env = os.environ | {"ATLAS_CACHE": "/proc/none"}
    env.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "feature-atlas-" in done.stdout
    shutil.rmtree(done.stdout.strip())


def test_errors_are_one_object_under_json(tmp_path: Path) -> None:
    """A program that asked for JSON reads the error as JSON, too."""
    done = atlas("ingest", "clusters", "--run", str(tmp_path), "--json")
    error = json.loads(done.stderr.strip().splitlines()[-1])
    assert error["exit_code"] == done.returncode == 3
    assert error["remedy"]


@pytest.mark.parametrize("size", ["0", "x", "-1G", "nan"])
def test_a_size_that_is_none_is_a_usage_error(size: str, tmp_path: Path) -> None:
    """Exit code 2, and how to write one."""
    done = atlas("ingest", "counts", "--run", str(tmp_path), "--memory", size)
    assert done.returncode == 2
    assert "write 500M or 4G" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_fault_41_an_interrupt_ends_with_its_code_and_the_next_run_goes_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """No traceback; what was finished is kept; the same command ends well."""
    with Run(tmp_path) as run:
        planted_run(run)
    words = [*ATLAS, "ingest", "edges", "--run", str(tmp_path)]
    assert atlas("ingest", "counts", "--run", str(tmp_path)).returncode == 0
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if (tmp_path / "30-edges").exists():
                break
            time.sleep(0.05)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert "go on with: python -m atlas ingest edges" in said
    assert atlas("ingest", "edges", "--run", str(tmp_path)).returncode == 0


def test_an_interrupt_lost_in_a_library_is_raised_after_it() -> None:
    """A signal inside a C library's call back into Python cannot be raised there: no traceback, and code 143."""
    code = (
        "import ctypes, os, signal\n"
        "from atlas.errors import Interrupted\n"
        "from atlas.ingest.interrupt import checkpoint, interruptible\n"
        "kind = ctypes.CFUNCTYPE(None)\n"
        "call = kind(lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        "with interruptible():\n"
        "    call()\n"
        "    try: checkpoint()\n"
        "    except Interrupted as error: print(error.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "143\n"
    assert done.stderr == ""


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`atlas query list | head -1` ends quietly."""
    done = subprocess.run(
        f"{sys.executable} -m atlas query list | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
