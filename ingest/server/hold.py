"""A lock on a folder that names its holder, so that who waits can say for whom."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.errors import InputError

Report = Callable[[str], None]  # takes one line of progress for a person

HOME_REMEDY = "choose a folder that you can write to with --home, or for all homes with ATLAS_DATA"
CACHE_REMEDY = "choose a folder that you can write to with ATLAS_CACHE"
UNUSABLE = frozenset(
    (
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP,
        errno.ENAMETOOLONG,
    )
)  # fmt: skip
"""What the operating system answers where a place is at fault, and not the disk or this program."""


@contextmanager
def usable(folder: Path, remedy: str = HOME_REMEDY) -> Iterator[None]:
    """Answer a folder that cannot be made, read or written by the body with its name and the remedy.

    Raises
    ------
    InputError
        The operating system refuses the folder or something in it.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNUSABLE:
            raise
        at = f", at {error.filename}" if error.filename not in (None, str(folder)) else ""
        raise InputError(f"{folder} cannot be used: {error.strerror}{at}", remedy) from error


@contextmanager
def held(folder: Path, *, purpose: str, wait: float, report: Report, remedy: str = HOME_REMEDY) -> Iterator[None]:
    """Hold the lock of `folder` while the body runs; the operating system frees it when the process dies.

    Parameters
    ----------
    folder
        Made if it is missing. Files `.lock` and `.lock.holder` appear in it.
    purpose
        What the holder does, told to those who wait: "starting the server".
    wait
        Seconds to wait for another holder.
    remedy
        What to do about a folder that cannot be used.

    Raises
    ------
    InputError
        The folder cannot be made or written, or another process still holds it after `wait` seconds; the
        message names it (fault 28).
    """
    from filelock import FileLock, Timeout

    # Not thread-local and not a singleton: two threads of one process must exclude each other, too.
    lock = FileLock(folder / ".lock", thread_local=False, is_singleton=False)
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            with usable(folder, remedy):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # each time: its last holder may remove it
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
        with usable(folder, remedy):
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
