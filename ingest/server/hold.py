"""A lock on a folder that names its holder, so that who waits can say for whom."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.errors import InputError

Report = Callable[[str], None]  # takes one line of progress for a person


@contextmanager
def held(folder: Path, *, purpose: str, wait: float, report: Report) -> Iterator[None]:
    """Hold the lock of `folder` while the body runs; the operating system frees it when the process dies.

    Parameters
    ----------
    folder
        Made if it is missing. Files `.lock` and `.lock.holder` appear in it.
    purpose
        What the holder does, told to those who wait: "starting the server".
    wait
        Seconds to wait for another holder.

    Raises
    ------
    InputError
        Another process still holds the folder after `wait` seconds; the message names it (fault 28).
    """
    from filelock import FileLock, Timeout

    # Not thread-local and not a singleton: two threads of one process must exclude each other, too.
    lock = FileLock(folder / ".lock", thread_local=False, is_singleton=False)
    deadline = time.monotonic() + wait
    told = False
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # each time: its last holder may remove it
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            holder = _holder(folder)
            if time.monotonic() >= deadline:
                raise InputError(
                    f"{folder} is held by {holder}", "wait for it or stop that process, then run this again"
                ) from None
            if not told:
                report(f"waiting for {holder}")
                told = True
    note = folder / ".lock.holder"
    try:
        note.write_text(json.dumps({"pid": os.getpid(), "purpose": purpose}), "utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    """Return a sentence part that names the holder: `process 4711 (starting the server)`."""
    try:
        note = json.loads((folder / ".lock.holder").read_text("utf-8"))
        return f"process {int(note['pid'])} ({note['purpose']})"
    except (OSError, ValueError, KeyError, TypeError):  # between the lock and its note, or written half
        return "another process"
