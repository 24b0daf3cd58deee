"""Many runs of Leiden side by side, in processes of their own: igraph holds Python's lock while it works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import IO, NamedTuple

import igraph
import numpy as np

from atlas.communities.leiden import Labels, ends, partition
from atlas.errors import CapacityError

WORTH = 200_000
"""Edges from which on processes are worth their start (two seconds each)."""
MOST = 16
"""Processes at most; each holds the graph."""


N_ITERATIONS = 2
"""Rounds of Leiden of a run that is one of many: a third of the time of going on until nothing changes."""


class Task(NamedTuple):
    """One run of `leiden.partition`: what it is asked for beside the graph."""

    resolution: float
    seed: int
    n_iterations: int = N_ITERATIONS


Runs = Callable[[Sequence[Task]], Iterator[Labels]]
"""Yields the partition of each task, in their order."""


@contextmanager
def leiden_runs(graph: igraph.Graph, *, processes: int | None = None) -> Iterator[Runs]:
    """Yield what runs tasks on a graph: as many at once as there are processes, the same whatever their number.

    Parameters
    ----------
    processes
        By default one for each core that this process may use, 16 at most, and none beside this one
        for graphs of fewer than 200,000 edges.

    Raises
    ------
    CapacityError
        A process ended early, which is what happens where memory is too small.
    """
    if processes is None:
        processes = min(_cores(), MOST) if graph.ecount() >= WORTH else 1
    if processes < 2:
        yield in_turn(graph)
        return
    message = _packed(graph)
    idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()

    def run(task: Task) -> Labels:
        worker = idle.get()
        try:
            return _ask(worker, task, graph.vcount())
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(processes) as threads, ExitStack() as stack:  # the workers go first: no thread waits
        workers = [stack.enter_context(_worker()) for _ in range(processes)]
        for worker in workers:
            _send(worker, message)
            idle.put(worker)
        yield lambda tasks: threads.map(run, tasks)


def in_turn(graph: igraph.Graph) -> Runs:
    """Return what runs tasks on a graph one after another, in this process."""

    def runs(tasks: Sequence[Task]) -> Iterator[Labels]:
        for task in tasks:
            yield partition(graph, resolution=task.resolution, seed=task.seed, n_iterations=task.n_iterations)

    return runs


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _worker() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that waits for a graph; it is ended with the block, and no signal for this one reaches it."""
    path = os.pathsep.join(place for place in sys.path if place)
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import main; main()"],
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(worker: subprocess.Popen[bytes], task: Task, n_nodes: int) -> Labels:
    _send(worker, json.dumps(task).encode() + b"\n")
    assert worker.stdout is not None
    answer = worker.stdout.read(8 * n_nodes)
    if len(answer) < 8 * n_nodes:
        raise _ended()
    return np.frombuffer(answer, np.int64)


def _send(worker: subprocess.Popen[bytes], message: bytes) -> None:
    assert worker.stdin is not None
    try:
        worker.stdin.write(message)
        worker.stdin.flush()
    except BrokenPipeError as error:
        raise _ended() from error


def _ended() -> CapacityError:
    return CapacityError("a process that looked for communities ended early", "give it more memory, or fewer edges")


def _packed(graph: igraph.Graph) -> bytes:
    a, b = ends(graph)
    counts = np.array([graph.vcount(), graph.ecount()], np.int64)
    return b"".join(part.tobytes() for part in (counts, a, b, np.asarray(graph.es["phi"], np.float64)))


def _unpacked(stream: IO[bytes]) -> igraph.Graph:
    n_nodes, n_edges = np.frombuffer(stream.read(16), np.int64).tolist()
    a, b = (np.frombuffer(stream.read(8 * n_edges), np.int64) for _ in range(2))
    graph = igraph.Graph(n_nodes, np.column_stack([a, b]).tolist())
    graph.es["phi"] = np.frombuffer(stream.read(8 * n_edges), np.float64).tolist()
    return graph


def main() -> None:
    """Read a graph and then tasks, one a line, from standard input; write each partition, int64, to standard output."""
    runs = in_turn(_unpacked(sys.stdin.buffer))
    for line in sys.stdin.buffer:
        for found in runs([Task(*json.loads(line))]):
            sys.stdout.buffer.write(found.astype(np.int64).tobytes())
            sys.stdout.buffer.flush()
