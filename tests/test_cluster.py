"""Counting on real Dask clusters of this machine: the bytes of one process, also when a worker is killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from test_parts import content
from worlds import store

from atlas.artifacts import Run
from atlas.counting import partial
from atlas.counting.passes import Settings
from atlas.counting.stage import COUNTS, count
from atlas.errors import BackendError, InputError, ServiceError
from atlas.ingest import cluster
from atlas.ingest.cluster import count_on
from atlas.ingest.parts import PARTS
from atlas.tracking import untracked

SETTINGS = Settings(memory=2**29)
ATLAS = [sys.executable, "-m", "atlas"]
N_SHARDS = 24


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with activations in many shards, and the counts of one process."""
    path = tmp_path_factory.mktemp("prepared") / "run"
    firing = np.random.default_rng(0).random((N_SHARDS * 3000, 40)) < 0.1
    with Run(path) as run:
        store(run, firing, np.arange(N_SHARDS).repeat(3000))
        count(run, settings=SETTINGS)
    assert len(list((path / "10-activations" / "shards").iterdir())) == N_SHARDS
    return path


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> Iterator[Run]:
    """A copy of it without the counts, open."""
    shutil.copytree(prepared, tmp_path / "run", ignore=shutil.ignore_patterns(COUNTS))
    with Run(tmp_path / "run") as opened:
        yield opened


def counted(run: Run, scheduler: str) -> dict[str, Any]:
    artifact = count_on(
        run, scheduler, rules=("rel:0.5",), sums=False, prune=1, span=512, settings=SETTINGS, track=untracked
    )
    return content(artifact.path)


def hold_writing(folder: str) -> Callable[[], None]:
    """Return what has a worker stop, its files written and not yet in their place, until `go` is in the folder."""

    def hold() -> None:  # within a function, so that it is sent whole: the workers need not import this module
        real, place = partial.write_json, Path(folder)

        def held(path: Path, value: Any) -> None:
            (place / f"writing-{os.getpid()}").touch()
            while not (place / "go").exists():
                time.sleep(0.02)
            real(path, value)

        partial.write_json = held  # type: ignore[attr-defined]  # in the worker's process alone

    return hold


def test_a_worker_killed_in_the_middle_changes_nothing(
    run: Run, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of four is killed while it writes its counts: they are counted again, and every byte is the same."""
    import distributed

    monkeypatch.setattr(cluster, "FAN", 3)
    killed = []

    def kill_one() -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not list(tmp_path.glob("writing-*")):
            time.sleep(0.02)
        for path in list(tmp_path.glob("writing-*"))[:1]:
            killed.append(int(path.name.removeprefix("writing-")))
            os.kill(killed[0], signal.SIGKILL)
        (tmp_path / "go").touch()

    with (
        distributed.LocalCluster(
            n_workers=4, threads_per_worker=1, dashboard_address=None, memory_limit=None, silence_logs=50
        ) as four,
        distributed.Client(four, set_as_default=False) as client,
    ):
        client.run(hold_writing(str(tmp_path)))
        killer = threading.Thread(target=kill_one)
        killer.start()
        found = counted(run, four.scheduler_address)
        killer.join()
        assert killed
        assert killed[0] not in client.run(os.getpid).values()
    assert found == content(prepared / COUNTS)
    assert not (run.path / PARTS).exists()


def test_local_processes_give_the_same_bytes_by_command(run: Run, prepared: Path) -> None:
    """`--scheduler local:2` starts and ends its own; nothing of it is left, and nothing is said but progress.

    Also where another cluster, or whatever else, has the port that Dask takes for its pages.
    """
    run.__exit__()
    words = [*ATLAS, "ingest", "counts", "--run", str(run.path), "--scheduler", "local:2", "--json"]
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # it is taken already
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_tokens"] == N_SHARDS * 3000
    assert content(run.path / COUNTS) == content(prepared / COUNTS)
    assert not (run.path / PARTS).exists()
    said = done.stderr.splitlines()
    assert [line for line in said if not line.startswith(("counts: ", "merge: ", "20-counts: "))] == []


def test_ctrl_c_cancels_and_clears_away(run: Run) -> None:
    """Every process of the terminal gets the signal: one line, exit code 130, no worker and no folder stays."""
    run.__exit__()
    words = [*ATLAS, "-q", "ingest", "counts", "--run", str(run.path), "--scheduler", "local:2"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        workers = _wait_for_workers(process.pid, run.path / PARTS)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert said.count("\n") == 2, said
    assert "go on with:" in said
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert not (run.path / PARTS).exists()


def _wait_for_workers(pid: int, parts: Path) -> list[psutil.Process]:
    """Return the children of a command that counts on local workers, once its work is in the folder."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(parts.glob("cluster-*/order.safetensors")):
        time.sleep(0.01)
    return psutil.Process(pid).children(recursive=True)


def test_a_scheduler_that_is_not_there_is_named(run: Run) -> None:
    """Exit code 4, before counts of other options are given up."""
    count(run, settings=SETTINGS, prune=5)
    before = content(run.path / COUNTS)
    run.__exit__()
    words = [*ATLAS, "ingest", "counts", "--run", str(run.path), "--scheduler", "tcp://127.0.0.1:1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 4, done.stderr
    assert "error: the Dask scheduler tcp://127.0.0.1:1 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert content(run.path / COUNTS) == before


def test_a_scheduler_that_goes_away_is_named(run: Run, tmp_path: Path) -> None:
    """It is killed while workers count: exit code 4, and the folder of the parts is cleared away."""
    code = (
        "import sys, time\nfrom distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    c = LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50)\n"
        "    print(c.scheduler_address, flush=True)\n"
        "    time.sleep(120)\n"
    )
    (tmp_path / "scheduler.py").write_text(code)
    with subprocess.Popen([sys.executable, str(tmp_path / "scheduler.py")], stdout=-1, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        timer = threading.Timer(3, process.kill)
        timer.start()
        with pytest.raises(ServiceError, match=r"tcp://.* went away"):
            counted(run, address)
        timer.join()
    assert not (run.path / PARTS).exists()


@pytest.mark.parametrize(
    ("lacking", "message"), [("scheduler", "cannot read the tasks"), ("worker", "feature-atlas none")]
)
def test_a_cluster_without_the_program_is_refused(run: Run, tmp_path: Path, lacking: str, message: str) -> None:
    """Its scheduler and its workers must have it; else they would end without an answer."""
    code = (
        "import asyncio, sys\n"
        "lacks, what, address = sys.argv[1:]\n"
        "if lacks == what: sys.modules['atlas'] = None\n"
        "from distributed import Scheduler, Worker\n"
        "async def main():\n"
        "    scheduling = what == 'scheduler'\n"
        "    server = Scheduler(host='127.0.0.1', dashboard=False) if scheduling else Worker(address, nthreads=1)\n"
        "    async with server:\n"
        "        print(server.address, flush=True)\n"
        "        await server.finished()\n"
        "asyncio.run(main())\n"
    )
    (tmp_path / "serve.py").write_text(code)
    with contextlib.ExitStack() as stack:
        address = "none"
        for what in ("scheduler", "worker"):
            words = [sys.executable, str(tmp_path / "serve.py"), lacking, what, address]
            process = stack.enter_context(subprocess.Popen(words, stdout=-1, stderr=subprocess.DEVNULL, text=True))
            stack.callback(process.kill)
            assert process.stdout is not None
            address = process.stdout.readline().strip() if what == "scheduler" else address
        process.stdout.readline()
        with pytest.raises(BackendError, match=message) as caught:
            counted(run, address)
    assert "scheduler and workers" in caught.value.remedy


def test_fault_20_without_dask_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3, and what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BackendError, match="distributed cannot be imported") as caught:
        counted(run, "local:2")
    assert "feature-atlas[cluster]" in caught.value.remedy


@pytest.mark.parametrize("scheduler", ["local:0", "local:x", "local:"])
def test_a_number_of_processes_that_is_none_is_refused(run: Run, scheduler: str) -> None:
    """Before anything is started."""
    with pytest.raises(InputError, match="expected local:N"):
        counted(run, scheduler)


def test_done_counts_start_no_cluster(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process's artifact is a cluster's, too."""
    count(run, settings=SETTINGS)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert counted(run, "tcp://127.0.0.1:1") == content(run.path / COUNTS)


def test_workers_that_cannot_do_the_job_say_so(run: Run, tmp_path: Path) -> None:
    """Another program, or no access to the run's folder; and work that nobody waits for is given up."""
    (tmp_path / "scratch").mkdir()
    parameters = {"rules": ["any"], "sums": False}
    job = cluster._Job.prepare(run, tmp_path / "scratch", parameters, SETTINGS)
    job.check()
    with pytest.raises(BackendError, match=r"has feature-atlas .* this is 0"):
        cluster.replace(job, version="0").check()
    with contextlib.ExitStack() as stack:
        advance = stack.enter_context(job.track("counts", total=1, unit="tokens"))
        advance(1)
        shutil.rmtree(job.scratch)
        with pytest.raises(ServiceError, match="cancelled"):
            advance(1)
    with pytest.raises(BackendError, match="sees no"):
        job.check()
