"""Counting on a Dask cluster: each task counts a group of shards into partial counts, or merges some of them.

Tasks are given and return paths on a file system that all machines share; no array goes through Dask. A task
that is run again, because its worker died, writes the same bytes under the same name.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas.errors import BackendError, InputError, ServiceError
from atlas.ingest.extras import need
from atlas.ingest.parts import PARTS, count_into, find_pilot, merge_into, require_complete
from atlas.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

    from atlas.artifacts import Artifact, Run
    from atlas.counting.passes import Settings
    from atlas.tracking import Advance, Track

logger = logging.getLogger("atlas")

FAN = 8
"""Partial counts that one task merges, at most."""
GROUPS = 4  # groups of shards a worker: a lost one costs a part of its work, and slow ones are evened out
CONNECT_SECONDS = 5
DEATHS = 10  # workers that may die during one task before it is given up
_VISIBLE_SECONDS = 60  # other machines' files appear when the cache of a network file system has expired
_NOISY = ("distributed", "distributed.client", "distributed.nanny", "distributed.scheduler", "tornado")
_INSTALL = f"install feature-atlas {__version__} and one version of Dask for scheduler and workers"
_counting = threading.Lock()  # numba's own threads must not be started from two threads of a process at a time


def count_on(
    run: Run,
    scheduler: str,
    *,
    rules: Sequence[str],
    sums: bool,
    prune: int,
    span: int,
    settings: Settings,
    track: Track,
) -> Artifact:
    """Return `20-counts`, counted by the workers of a scheduler: the bytes that one process would have written.

    Parameters
    ----------
    scheduler
        Address of a Dask scheduler, `tcp://host:8786`; or `local`, `local:N` for N processes of this machine.
    settings
        How each worker counts; the memory is that of all together where they are local.

    Raises
    ------
    BackendError
        Dask is not installed here, or the workers have another program or no access to the run.
    ServiceError
        The scheduler cannot be reached or went away, or workers died again and again.
    """
    from atlas.counting.partial import read_partial
    from atlas.counting.stage import counts_spec

    spec = counts_spec(rules=rules, sums=sums, prune=prune, span=span)
    with contextlib.ExitStack() as stack:
        connect = functools.cache(lambda: stack.enter_context(_connected(scheduler)))

        def compute(directory: Path) -> dict[str, Any]:
            with _scratch(run) as scratch:
                job = _Job.prepare(run, scratch, spec.parameters, _of_one_worker(settings, scheduler))
                with _answered(scheduler):
                    stored = [read_partial(root := _Reduction(connect(), job).run(track))]
                require_complete(stored, source=job.source, n_tokens=job.n_tokens, place=root)
                return merge_into(directory, run, stored, spec, memory=settings.memory, track=track)

        return run.produce(spec, compute, check=connect)


@dataclass(frozen=True)
class _Job:
    """What every task is told.

    Attributes
    ----------
    activations, scratch
        Folders that all machines see: what is counted, and where partial counts are put.
    settings
        How one worker counts.
    version
        Program that the workers must have.
    """

    activations: Path
    scratch: Path
    settings: Settings
    source: str
    n_tokens: int
    n_shards: int
    version: str

    @classmethod
    def prepare(cls, run: Run, scratch: Path, parameters: Mapping[str, Any], settings: Settings) -> _Job:
        """Return the job of a run, its pilot written."""
        from atlas.firings import Firings
        from atlas.shards import shard_paths

        artifact = run.artifact("10-activations")
        firings = Firings(artifact.path)
        options = {name: parameters[name] for name in ("rules", "sums")}
        find_pilot(scratch, firings, source=artifact.digest, memory=settings.memory, **options)
        return cls(
            artifact.path.resolve(), scratch.resolve(), settings, artifact.digest, firings.n_tokens,
            len(shard_paths(artifact.path)), __version__,
        )  # fmt: skip

    def check(self) -> None:
        """Raise `BackendError` on a machine that cannot do the job."""
        here = socket.gethostname()
        if self.version != __version__:
            raise BackendError(
                f"the worker on {here} has feature-atlas {__version__}, this is {self.version}", _INSTALL
            )
        if not self.activations.is_dir() or not self.scratch.is_dir():
            raise BackendError(
                f"the worker on {here} sees no {self.scratch}",
                "put the run directory on a file system that every worker shares, under the same path",
            )

    def threads(self) -> int:
        """Return the threads to count with: as asked for, else as many as this worker was given."""
        from distributed import get_worker

        return self.settings.threads or int(get_worker().state.nthreads)

    @contextlib.contextmanager
    def track(self, label: str, *, total: int, unit: str) -> Iterator[Advance]:
        """Give the work up where nobody waits for it any more: the client has removed its folder."""

        def advance(amount: int) -> None:
            if not self.scratch.is_dir():
                raise ServiceError("the work was cancelled", "")

        yield advance


def count_group(job: _Job, name: str, numbers: range) -> tuple[str, int]:
    """Count some shards, in a worker; return the name of the partial counts, and their tokens."""
    from atlas.counting.partial import read_description
    from atlas.counting.pilot import read_pilot
    from atlas.firings import Firings

    job.check()
    settings = replace(job.settings, threads=job.threads())
    with _counting:
        place = count_into(
            job.scratch / name, Firings(job.activations), numbers, pilot=read_pilot(job.scratch), settings=settings,
            track=job.track,
        )  # fmt: skip
    return name, sum(stop - start for start, stop in read_description(place)["covered"])


def merge_group(job: _Job, name: str, names: Sequence[str]) -> tuple[str, int]:
    """Merge partial counts, in a worker; return the name of the result, and that no token is new."""
    from atlas.counting.merging import merge_counted
    from atlas.counting.partial import PARTIAL, read_partial, write_partial
    from atlas.counting.passes import use_threads

    job.check()
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while time.monotonic() < deadline and not all((job.scratch / each / PARTIAL).exists() for each in names):
        time.sleep(1)
    with _counting:
        use_threads(job.threads())
        parts = [read_partial(job.scratch / each) for each in names]
        write_partial(job.scratch / name, merge_counted(parts, memory=job.settings.memory))
    return name, 0


class _Reduction:
    """The client's side: groups of shards are counted, and whatever is finished is merged, until one is left.

    Finished names are held here, so that a worker that dies takes along nothing but what it was doing.
    """

    def __init__(self, client: Client, job: _Job) -> None:
        self._client, self._job = client, job
        self._inputs: dict[str, list[str]] = {}
        self._running = 0

    def run(self, track: Track) -> Path:
        """Return the folder of the counts of all shards."""
        from distributed import as_completed

        workers = len(self._client.scheduler_info()["workers"])
        if not workers:
            logger.warning("the scheduler has no workers yet: waiting for them")
        n_groups = max(1, min(self._job.n_shards, GROUPS * max(workers, 4)))
        n = self._job.n_shards
        numbers = [range(n * k // n_groups, n * (k + 1) // n_groups) for k in range(n_groups)]
        counting = [self._submit(count_group, f"group-{k:05d}", some) for k, some in enumerate(numbers)]
        waiting = as_completed(counting, loop=self._client.loop, with_results=True)
        del counting  # a future that is kept is computed again when its worker dies, though its part is on disk
        finished: list[str] = []
        with track("counts", total=self._job.n_tokens, unit="tokens") as advance:
            for _, answer in waiting:
                if isinstance(answer, BaseException):  # a task that was cancelled, for the scheduler is gone
                    raise answer
                name, n_tokens = answer
                self._running -= 1
                if n_tokens:
                    advance(n_tokens)
                for old in self._inputs.pop(name, []):
                    shutil.rmtree(self._job.scratch / old, ignore_errors=True)
                finished.append(name)
                if len(finished) >= FAN or (not self._running and len(finished) > 1):
                    some, finished = finished[:FAN], finished[FAN:]
                    merged = f"merge-{some[0]}"
                    self._inputs[merged] = some
                    waiting.add(self._submit(merge_group, merged, some))
        return self._job.scratch / finished[0]

    def _submit(self, task: Callable[..., tuple[str, int]], name: str, what: Sequence[Any]) -> Future:
        self._running += 1
        key = f"{self._job.scratch.name}-{name}"
        return self._client.submit(task, self._job, name, what, key=key, pure=False)


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    """Yield a client of the scheduler; a local one is started, and stopped after it."""
    distributed = need("distributed", extra="cluster")
    dask = need("dask", extra="cluster")
    workers = _local_workers(scheduler)
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}))
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
            stack.callback(logging.getLogger(name).setLevel, levels[name])
        address = stack.enter_context(_local(workers)) if workers else scheduler
        try:
            client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ServiceError(
                f"the Dask scheduler {scheduler} cannot be reached: {str(error).splitlines()[0]}",
                "check that it runs and that its port is open from here, or give --scheduler local",
            ) from error
        stack.enter_context(client)
        if not workers:
            _check_workers(client, scheduler)
        yield client


def _check_workers(client: Client, scheduler: str) -> None:
    """Refuse a cluster whose workers have no feature-atlas, or another: a task would end them without an answer."""

    def version() -> str:  # within a function, so that it is sent whole
        try:
            from atlas.version import __version__
        except ImportError:
            return "none"
        return __version__

    for worker, found in client.run(version).items():
        if found != __version__:
            raise BackendError(
                f"the worker {worker} of {scheduler} has feature-atlas {found}, this is {__version__}", _INSTALL
            )


@contextlib.contextmanager
def _local(workers: int) -> Iterator[LocalCluster]:
    """Yield processes of this machine, reached through loopback alone, that leave Ctrl-C to this one.

    A terminal sends the signal to all of them. It is blocked while they are started, and they and those that
    take a dead one's place inherit that; here it is delivered afterwards.
    """
    import distributed

    resource_tracker.ensure_running()  # else the first process starts it, and unblocks the signal after that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else 8787, and a warning if that is taken
                memory_limit=None, silence_logs=logging.CRITICAL, local_directory=folder,
            ) as cluster,
        ):  # fmt: skip
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield cluster
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _answered(scheduler: str) -> Iterator[None]:
    """Answer what goes wrong in a cluster, and is no fault of the counts, with its cause."""
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        yield
    except KilledWorker as error:
        raise ServiceError(
            f"{DEATHS} workers died while they did one task of the count",
            "give --memory less than a worker's, and look into the workers' logs; the same command starts again",
        ) from error
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise ServiceError(
            f"the Dask scheduler {scheduler} went away", "start it, and give the same command again"
        ) from error
    except RuntimeError as error:
        if "deserialization of the task graph" not in str(error):
            raise
        raise BackendError(
            f"the Dask scheduler {scheduler} cannot read the tasks: it has no feature-atlas, or another Dask", _INSTALL
        ) from error


@contextlib.contextmanager
def _scratch(run: Run) -> Iterator[Path]:
    """Yield an empty folder for this count, removed after it; a new one each time, for old tasks may go on."""
    parts = run.path / PARTS
    parts.mkdir(exist_ok=True)
    for old in parts.glob("cluster-*"):
        shutil.rmtree(old, ignore_errors=True)
    scratch = parts / f"cluster-{uuid.uuid4().hex}"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):  # it holds the parts of other jobs
            parts.rmdir()


def _local_workers(scheduler: str) -> int:
    """Return how many processes of this machine are asked for, 0 for none."""
    found = re.fullmatch(r"local(?::(.*))?", scheduler)
    if found is None:
        return 0
    if found[1] is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not re.fullmatch(r"[1-9]\d{0,3}", found[1]):
        raise InputError(f"--scheduler {scheduler}, expected local:N", "write local:4 for four processes")
    return int(found[1])


def _of_one_worker(settings: Settings, scheduler: str) -> Settings:
    """Return one worker's settings: local ones share the memory."""
    return replace(settings, memory=settings.memory // max(1, _local_workers(scheduler)))
