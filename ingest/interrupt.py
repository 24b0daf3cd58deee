"""Interruption: the first signal lets the work in flight finish, a second one stops at once."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from atlas.errors import Interrupted
from atlas.ingest.program import this_command

logger = logging.getLogger("atlas")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """What the signals asked for while `interruptible` is open.

    Parameters
    ----------
    resume
        The command that goes on from what is kept.
    """

    def __init__(self, resume: str) -> None:
        self.resume = resume
        self.requested: signal.Signals | None = None
        self._shielded = ""

    @contextlib.contextmanager
    def finishing(self, work: str) -> Iterator[None]:
        """Let the block finish when the first signal comes, and raise `Interrupted` after it.

        Parameters
        ----------
        work
            What is in flight, for the message: `shard 3 of 8`.
        """
        self._shielded = work
        try:
            yield
        finally:
            self._shielded = ""
        if self.requested is not None:
            raise self.error(f"interrupted after {work}")

    def error(self, cause: str) -> Interrupted:
        """Return the error whose remedy is the resuming command."""
        return Interrupted(
            f"{cause}; what was finished is kept",
            f"go on with: {self.resume}",
            terminated=self.requested == signal.SIGTERM,
        )

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take note of a first signal while work is shielded; raise `Interrupted` otherwise."""
        again = self.requested is not None
        self.requested = signal.Signals(number)
        if again or not self._shielded:
            raise self.error("stopped at once" if again else "interrupted")
        logger.warning("interrupted: finishing %s; interrupt again to stop at once", self._shielded)


@contextlib.contextmanager
def interruptible(resume: str | None = None) -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into `Interrupted` while the block runs, and restore their handlers after it.

    In any thread but the main one nothing is changed, since Python delivers signals to the main thread.

    Parameters
    ----------
    resume
        The command that goes on; the one that started this process when not given.
    """
    interruption = Interruption(this_command() if resume is None else resume)
    _open.append(interruption)
    try:
        yield from _handled(interruption)
    finally:
        _open.remove(interruption)


def checkpoint() -> None:
    """Raise `Interrupted` where a signal came whose exception was lost.

    An exception raised while a C library calls back into Python (as numba's compiler does) is
    dropped there. Long work calls this between its parts.
    """
    for interruption in _open:
        if interruption.requested is not None:
            raise interruption.error("interrupted")


_open: list[Interruption] = []


def _handled(interruption: Interruption) -> Iterator[Interruption]:
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    previous = {number: signal.signal(number, interruption.handle) for number in _SIGNALS}
    unraisable = sys.unraisablehook

    def noted(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, Interrupted):  # that one is noted, and raised by `checkpoint`
            unraisable(lost)

    sys.unraisablehook = noted
    try:
        yield interruption
    finally:
        sys.unraisablehook = unraisable
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: it was set outside Python
