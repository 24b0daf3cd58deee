"""The floor: the rate of random increments, measured beside the methods that are held against it."""

from __future__ import annotations

import numba
import numpy as np

from benchmarks.methods import Entries, Lap
from benchmarks.synthetic import Firing

INCREMENTS = 2**28
"""Increments that are timed."""
SMALL = 1000
"""Tokens of inputs so small that they are for warming or for a trial; as few increments are timed then."""
FEWEST, MOST = 2**14, 2**22
"""Random addresses that are gone through again and again: as many as the row has counters, within these."""


class Floor:
    """Random increments of one row of counters, which no method that adds in memory can undercut.

    Each thread has a row of its own; the addresses are uniform, drawn before the clock starts.
    """

    def __init__(self, firing: Firing, threads: int, memory: int, *, counters: int = 0) -> None:
        rng = np.random.default_rng(0)
        width = counters or firing.d
        addresses = min(max(width, FEWEST), MOST)
        self._threads = threads
        self._places = rng.integers(0, width, addresses, dtype=np.uint32)
        self._rows = np.empty((threads, width), np.int32)
        self._rows.fill(0)  # takes the memory before the clock starts
        increments = INCREMENTS if firing.n_tokens > SMALL else SMALL
        self._times = max(1, increments // (addresses * threads))

    @property
    def work(self) -> int:
        """Increments done."""
        return self._times * self._threads * len(self._places)

    def warm(self) -> None:
        """Compile, and start the threads."""
        numba.set_num_threads(self._threads)
        _increment(self._rows.copy(), self._places, 1)

    def count(self, lap: Lap) -> None:
        """Increment."""
        numba.set_num_threads(self._threads)
        _increment(self._rows, self._places, self._times)

    def summary(self) -> tuple[int, int]:
        """Return no pairs, and the increments."""
        return 0, int(self._rows.sum(dtype=np.int64))

    def entries(self) -> Entries:
        """Return nothing."""
        return np.zeros((0, 3), np.int64)


@numba.njit(cache=True, parallel=True)
def _increment(rows, places, times):  # type: ignore[no-untyped-def]  # compiled
    for thread in numba.prange(len(rows)):
        row = rows[thread]
        for _ in range(times):
            for place in places:
                row[place] += 1
