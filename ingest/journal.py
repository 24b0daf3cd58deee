"""Journal of an unfinished run: which configuration began it, and the sum of each shard that is done."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atlas.artifacts import Artifact, difference
from atlas.errors import InputError
from atlas.files import sha256, write_json

logger = logging.getLogger("atlas")

JOURNAL = "progress.json"
_CLOSED = f".{JOURNAL}"  # hidden from the manifest, there until the manifest is


class Journal:
    """Shards that are done, kept in a file that is replaced whole after each of them.

    Parameters
    ----------
    directory
        The artifact's directory.
    configuration
        What decides the shards, as JSON values.
    shards
        Sum of each finished shard by its path in the directory.
    """

    def __init__(self, directory: Path, configuration: Mapping[str, Any], shards: Mapping[str, str]) -> None:
        self.directory = directory
        self.configuration = dict(configuration)
        self.shards = dict(shards)
        self.plan: dict[str, Any] | None = None

    @classmethod
    def open(cls, directory: Path, configuration: Mapping[str, Any]) -> Journal:
        """Return the journal of a directory, new where there is none.

        Raises
        ------
        InputError
            The directory was begun with another configuration (fault 39): the difference is shown.
        """
        for leftover in directory.rglob(".*.partial"):
            leftover.unlink(missing_ok=True)
        for name in (JOURNAL, _CLOSED):
            path = directory / name
            try:
                raw = json.loads(path.read_text("utf8"))
                journal = cls(directory, raw["configuration"], raw["shards"])
                journal.plan = raw["plan"]
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError):
                logger.warning("%s: damaged, so no shard can be trusted: all are done again", path)
                path.unlink()
                continue
            if not journal.shards:  # nothing is lost by another configuration
                path.unlink()
                continue
            journal.require(configuration)
            journal.write()
            return journal
        journal = cls(directory, configuration, {})
        journal.write()
        return journal

    @classmethod
    def of_finished(cls, artifact: Artifact) -> Journal:
        """Return, and write, the journal that a finished but damaged artifact had before it was finished."""
        shards = {name: entry["sha256"] for name, entry in artifact.files.items() if name.startswith("shards/")}
        journal = cls(artifact.path, journalled(artifact.parameters, artifact.format_version), shards)
        journal.write()
        return journal

    def require(self, configuration: Mapping[str, Any]) -> None:
        """Raise `InputError` where the journal's configuration is another one."""
        changes = difference(self.configuration, configuration)
        if changes:
            raise other_configuration(self.directory, "was begun", changes)

    def require_plan(self, plan: Mapping[str, Any]) -> None:
        """Record what model and corpus turned out to be; `InputError` where shards were made from another.

        The configuration cannot know it: a tokenizer or a library of another version cuts other tokens.
        """
        if self.shards and self.plan is not None and (changes := difference(self.plan, plan)):
            raise other_configuration(self.directory, "was begun", changes)
        self.plan = dict(plan)
        self.write()

    def holds(self, path: Path) -> bool:
        """Return whether a shard is done; one that is missing or damaged is named (fault 40)."""
        name = path.relative_to(self.directory).as_posix()
        expected = self.shards.get(name)
        if expected is None:
            if path.exists():
                logger.warning("%s: %s was not finished; doing it again", self.directory.name, name)
            return False
        if not path.exists():
            logger.warning("%s: %s is missing; doing it again", self.directory.name, name)
            return False
        if sha256(path) != expected:
            logger.warning("%s: %s does not match its checksum; doing it again", self.directory.name, name)
            return False
        return True

    def add(self, path: Path) -> None:
        """Record a shard that is written."""
        self.shards[path.relative_to(self.directory).as_posix()] = sha256(path)
        self.write()

    def write(self) -> None:
        """Write the journal."""
        content = {"configuration": self.configuration, "plan": self.plan, "shards": self.shards}
        write_json(self.directory / JOURNAL, content)
        (self.directory / _CLOSED).unlink(missing_ok=True)

    def close(self) -> None:
        """Hide the journal from the manifest, and keep it in case the manifest is never written."""
        (self.directory / JOURNAL).replace(self.directory / _CLOSED)


def journalled(parameters: Mapping[str, Any], format_version: int) -> dict[str, Any]:
    """Return what decides the bytes of a shard: the parameters, and the format that it is written in."""
    return {**parameters, "format_version": format_version}


def remove_journal(directory: Path) -> None:
    """Remove what is left of the journal of a directory whose manifest is there."""
    for name in (JOURNAL, _CLOSED):
        (directory / name).unlink(missing_ok=True)


def other_configuration(directory: Path, how: str, changes: list[str]) -> InputError:
    """Return the error for a directory made with another configuration (fault 39)."""
    return InputError(
        f"{directory} {how} with another configuration: {'; '.join(changes)}",
        f"name another run directory with --run, or give these activations up: rm -r {shlex.quote(str(directory))}",
    )
