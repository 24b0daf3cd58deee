"""One measurement in a process of its own: `python -m benchmarks.measure JSON` prints seconds and peak memory."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import psutil

from atlas.errors import CapacityError
from atlas.measured import peak_memory, reset_peak
from benchmarks.methods import Method, as_matrix
from benchmarks.registry import METHODS, Size
from benchmarks.synthetic import Firing

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Asked:
    """What a process is to measure: one method on the input in a folder, on its first tokens.

    `touched` bytes of memory are written and given back before the clock starts: a virtual machine may have to ask
    its host for memory that was not used lately, which takes longer than counting in it.
    """

    method: str
    folder: str
    n_tokens: int
    threads: int
    memory: int
    touched: int = 0


@dataclass(frozen=True)
class Measured:
    """What came out, or why nothing did.

    Attributes
    ----------
    seconds, processor_seconds
        To the finished counts: by the clock, and of processor time over all threads.
    laps
        Seconds to what is done before that.
    peak
        Bytes of memory at the peak beyond those at the start, the input being there; 0 where the system does not say.
    work, pairs, total
        Increments done, pairs found and the sum of their counts.
    failure
        Why there are no figures, if there are none.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    laps: dict[str, float] = field(default_factory=dict)
    peak: int = 0
    work: int = 0
    pairs: int = 0
    total: int = 0
    failure: str = ""


def measure(asked: Asked) -> Measured:
    """Return what a new process measures; its threads are set before its libraries start."""
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(asked.threads)) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks.measure", json.dumps(asdict(asked))]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == -9:
        return Measured(failure="killed, as processes are that memory runs out for")
    if done.returncode:
        raise RuntimeError(f"{asked.method} failed:\n{done.stderr}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _measure_here(asked: Asked) -> Measured:
    firing = Firing.load(Path(asked.folder)).head(asked.n_tokens)
    about = METHODS[asked.method]
    try:
        method = about.make(firing, asked.threads, asked.memory)
        method.warm()
    except ImportError as error:
        return Measured(failure=f"not installed ({error.name or 'libraries missing'})")
    np.ones(asked.touched, np.uint8)
    start = peak_memory() if reset_peak() else 0
    try:
        seconds, processor_seconds, laps = _count(method)
    except MemoryError:
        return Measured(failure="memory ran out")
    except CapacityError as error:
        return Measured(failure=f"not timed: {error}")
    peak = peak_memory() - start
    pairs, total = method.summary()
    return Measured(seconds, processor_seconds, laps, peak, method.work, pairs, total)


def _count(method: Method) -> tuple[float, float, dict[str, float]]:
    laps: dict[str, float] = {}
    wall, processor = time.perf_counter(), time.process_time()
    method.count(lambda name: laps.update({name: time.perf_counter() - wall}))
    return time.perf_counter() - wall, time.process_time() - processor, laps


def size_of(firing: Firing) -> Size:
    """Return what memory depends on; the pairs that are seen at all are counted, not estimated."""
    columns = as_matrix(firing, np.int8).tocsc()
    distinct = _distinct(columns.indptr, columns.indices, firing.indptr, firing.ids)
    return Size(firing.d, firing.n_tokens, len(firing.ids), int(distinct))


@numba.njit(cache=True)
def _distinct(starts, tokens, indptr, ids):  # type: ignore[no-untyped-def]  # compiled
    last = np.full(len(starts) - 1, -1, np.int64)  # the last feature that each was seen with
    n = 0
    for feature in range(len(starts) - 1):
        for at in range(starts[feature], starts[feature + 1]):
            for k in range(indptr[tokens[at]], indptr[tokens[at] + 1]):
                if ids[k] >= feature:
                    break
                if last[ids[k]] != feature:
                    last[ids[k]] = feature
                    n += 1
    return n


def machine() -> str:
    """Return the machine in words: cores, caches, memory."""
    caches = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            caches.append(f"L{level} {size.removesuffix('K')} KiB")
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    wide = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else ""
    parts = [f"{os.cpu_count()} cores", platform.machine(), wide, *caches]
    return ", ".join([*filter(None, parts), f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory"])


def largest_count(folder: Path) -> int:
    """Return the largest count of a feature, which no pair's count exceeds."""
    ids: npt.NDArray[Any] = np.load(folder / "ids.npy", mmap_mode="r")
    return int(np.bincount(ids).max()) if len(ids) else 0


if __name__ == "__main__":
    print(json.dumps(asdict(_measure_here(Asked(**json.loads(sys.argv[1]))))))
