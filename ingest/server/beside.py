"""A store that is made beside the server's own, and takes its place once it is whole: a kill leaves either."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas.ingest.server import launch
from atlas.ingest.server.hold import Report, held, usable
from atlas.ingest.server.home import Home

DATABASE = "neo4j"
"""The one database that holds data in Community Edition."""
_PARTS = ("databases", "transactions")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beside:
    """What a home holds beside its store meanwhile.

    Parameters
    ----------
    path
        Folder for files that are needed meanwhile.
    home
        An empty home for the server's offline tool.
    """

    path: Path
    home: Home

    @classmethod
    def of(cls, home: Home) -> Beside:
        """Return the place in a home."""
        path = home.path / "run" / "beside"
        return cls(path, Home(path / "home"))

    @property
    def whole(self) -> Path:
        """Return the mark that the store in it is whole and is to take the other's place."""
        return self.path / "whole"

    def clear(self, *, report: Report) -> None:
        """Remove everything."""
        launch.stop_tools(self.home, report=report)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)


@contextlib.contextmanager
def beside(home: Home, *, purpose: str, wait: float = 60, report: Report = log.info) -> Iterator[Beside]:
    """Yield an empty place inside `home`, removed after the body; one process at a time has it.

    Parameters
    ----------
    purpose
        What it is for, told to those who wait: "importing an atlas".

    Raises
    ------
    InputError
        Another process still has it after `wait` seconds, or the home cannot be written.
    """
    place = Beside.of(home)
    home.make()
    with held(home.path / "run", purpose=purpose, wait=wait, report=report):
        with held(home.path, purpose=purpose, wait=wait, report=report):
            _finish(home, place)
        place.clear(report=report)
        with usable(home.path):
            place.path.mkdir(mode=0o700)
        place.home.make(home.line())
        place.home.make(home.line())
        try:
            yield place
        finally:
            if not place.whole.exists():
                place.clear(report=report)


def replace(home: Home, *, wait: float = 60, report: Report = log.info) -> None:
    """Put the store that was made beside in the place of the home's own, whose server is stopped.

    Killed at any moment, the home has the old store or gets the new one at its next start: a mark is set when the
    new one is whole, and what follows the mark can be repeated.
    """
    place = Beside.of(home)
    with held(home.path, purpose="replacing the store", wait=wait, report=report), usable(home.path):
        place.whole.touch()
        _finish(home, place)


def settle(home: Home, *, report: Report) -> None:
    """Finish a replacement that was killed, and remove what a killed import or restore left; the home is held."""
    from filelock import FileLock, Timeout

    place = Beside.of(home)
    _finish(home, place)
    if not place.path.exists():
        return
    with contextlib.suppress(Timeout):  # a living process works in it
        lock = FileLock(home.path / "run" / ".lock", thread_local=False, is_singleton=False)
        with lock.acquire(timeout=0):
            place.clear(report=report)


def _finish(home: Home, place: Beside) -> None:
    """Move a store that is whole into its place."""
    if not place.whole.exists():
        return
    for part in _PARTS:
        new, old = (each.path / "data" / part / DATABASE for each in (place.home, home))
        if new.exists():
            if old.exists():
                shutil.rmtree(old)
            old.parent.mkdir(parents=True, exist_ok=True)
            new.rename(old)
    place.whole.unlink()
