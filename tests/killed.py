"""Kill a stage at a place of its own, without any chance to tidy up."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from atlas.tracking import Advance, Track


def killed(stage: Callable[[Track], object], label: str, *, after: int) -> None:
    """Run a stage in a forked process that is killed when it has advanced so far under a label."""

    @contextlib.contextmanager
    def track(here: str, *, total: int, unit: str) -> Iterator[Advance]:
        done = 0

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            if here == label and done >= after:
                os.kill(os.getpid(), signal.SIGKILL)

        yield advance

    pid = os.fork()
    if not pid:
        try:
            stage(track)
        finally:
            os._exit(70)  # it was to be killed before this
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
