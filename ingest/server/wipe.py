"""Removes a managed server's store and password, and nothing that it did not make."""

from __future__ import annotations

import contextlib
import logging
import shutil
from pathlib import Path

from atlas.errors import InputError
from atlas.ingest.server.hold import Report, held, usable
from atlas.ingest.server.home import Home, folder_bytes
from atlas.ingest.server.process import status

OWN = ("data", "logs", "run", "conf")  # plugins and import hold what a user put there

log = logging.getLogger(__name__)


def wipe_plan(home: Path | str | None = None) -> list[tuple[Path, int]]:
    """Return what `wipe` would remove, each with its bytes; empty where there is nothing.

    Raises
    ------
    InputError
        The folder holds something, and it was not made by this server's start.
    """
    place = Home.at(home)
    place.check()
    found = [place.path / name for name in OWN if (place.path / name).is_dir()]
    plan = [(folder, folder_bytes(folder)) for folder in found]
    if place.password.exists():
        plan.append((place.password, place.password.stat().st_size))
    return plan


def wipe(home: Path | str | None = None, *, wait: float = 30, report: Report = log.info) -> None:
    """Remove the store, logs, configuration and password of a stopped server.

    The jars stay: they are in the cache, and other homes share them.

    Raises
    ------
    InputError
        The server runs, another process holds the home, or the folder is not a managed server's.
    """
    place = Home.at(home)
    plan = wipe_plan(place.path)
    if not place.path.exists():
        return
    with held(place.path, purpose="removing the store", wait=wait, report=report):
        if status(place.path).state != "stopped":
            raise InputError(f"the server of {place.path} runs", "stop it first: atlas db down")
        for path, size in plan:
            report(f"removing {path} ({size / 1e6:.1f} MB)")
            # The password goes last: a store without it could not be opened by anyone.
            with usable(path, "remove it as its owner, or make it writable"):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        for name in ("plugins", "import"):
            with contextlib.suppress(OSError):  # not empty: a user's
                (place.path / name).rmdir()
        for file in (".lock.holder", ".lock"):
            (place.path / file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        place.path.rmdir()
