"""What a stage that is not finished has done already: kept in its directory, and gone on with by the same command."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import numpy.typing as npt

from atlas.artifacts import Run, Spec
from atlas.files import canonical, read_arrays, write_arrays, write_json
from atlas.version import __version__

logger = logging.getLogger("atlas")

ROOM = ".kept"
_KEY = "key.json"
Arrays = dict[str, npt.NDArray[Any]]


class Keep(Protocol):
    """Gives arrays by their name: what was kept of them, or else what is computed."""

    def __call__(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return the arrays."""
        ...


class KeepRow(Protocol):
    """Gives the value of one of many pieces of work: what was kept of it, or else what is computed."""

    def __call__(self, number: int, compute: Callable[[], Any]) -> Any:
        """Return the value, which JSON holds."""
        ...


def computed(name: str, compute: Callable[[], Arrays]) -> Arrays:
    """Keep nothing."""
    return compute()


def computed_row(number: int, compute: Callable[[], Any]) -> Any:
    """Keep nothing."""
    return compute()


class Kept:
    """The finished pieces of a stage that writes a directory.

    A directory that was begun by another specification, from other inputs or by another version of the program is
    emptied. As a context it forgets everything when the block ends, since the tables are written then, and keeps all
    when it is left by an error.

    Parameters
    ----------
    directory
        The artifact's.
    run, spec
        What the stage is asked for, and where its inputs are.
    """

    def __init__(self, directory: Path, run: Run, spec: Spec) -> None:
        self.room = directory / ROOM
        self._open = ExitStack()
        key = {
            "parameters": dict(spec.parameters),
            "format": spec.format_version,
            "inputs": {name: run.artifact(name).digest for name in spec.inputs},
            "program": __version__,
        }
        if _read(self.room / _KEY) != json.loads(canonical(key)):
            shutil.rmtree(directory)
            self.room.mkdir(parents=True)
            write_json(self.room / _KEY, key)
        else:
            logger.info("%s: goes on with what is done already", directory.name)
            for leftover in directory.rglob(".*.partial"):
                leftover.unlink()

    def part(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the figures of a part that writes tables of its own; it is left out where it is done."""
        path = self.room / f"{name}.json"
        known: Mapping[str, Any] | None = _read(path)
        if known is None:
            known = compute()
            write_json(path, dict(known))
        return known

    def arrays(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return arrays by their name (a `Keep`)."""
        path = self.room / f"{name}.safetensors"
        if path.exists():
            return read_arrays(path)
        found = compute()
        write_arrays(path, found)
        return found

    def rows(self, name: str) -> KeepRow:
        """Return what keeps the values of many pieces of work, each a line of a file as soon as it is there."""
        return _Rows(self._open.enter_context((self.room / f"{name}.jsonl").open("ab+")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._open.close()
        if error is None:
            shutil.rmtree(self.room)


class _Rows:
    """A file of numbers and values, a line each; a line that was begun when the program was killed is cut off."""

    def __init__(self, stream: BinaryIO) -> None:
        self.known: dict[int, Any] = {}
        self.stream = stream
        stream.seek(0)
        whole = 0
        for line in stream:
            try:
                number, value = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self.known[number] = value
            whole += len(line)
        stream.truncate(whole)

    def __call__(self, number: int, compute: Callable[[], Any]) -> Any:
        if number in self.known:
            return self.known.pop(number)
        value = compute()
        self.stream.write(json.dumps([number, value]).encode() + b"\n")
        self.stream.flush()
        return value


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf8"))
    except (OSError, ValueError):
        return None
