"""Artifacts: a stage reads finished ones and writes one directory, whose manifest comes last."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import filelock
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.errors import ArtifactError, InputError
from atlas.files import NO_ROOM, canonical, no_room, read_arrays, sha256, write_json
from atlas.measured import measured
from atlas.schema import TABLES

logger = logging.getLogger("atlas")

MANIFEST = "manifest.json"
FORMATS = {
    "10-activations": 1,
    "20-counts": 2,
    "30-edges": 3,
    "40-clusters": 2,
    "45-peer": 2,
    "50-structure": 3,
    "51-contexts": 1,
    "52-rings": 1,
    "53-absorption": 1,
    "54-magnitude": 1,
    "55-replication": 1,
    "56-behaviour": 1,
    "57-census": 1,
    "60-neo4j": 1,
    "70-comparison": 1,
}
"""Version of each stage's files that this program writes and reads; raised when their form or meaning changes."""


@dataclass(frozen=True)
class Spec:
    """What a stage is asked for: same specification and same inputs mean the same artifact.

    Parameters
    ----------
    name
        Directory of the artifact, such as `20-counts`; its format is that of its kind in `FORMATS`.
    parameters
        Everything that decides the result, as JSON values.
    inputs
        Names of the artifacts that are read.
    """

    name: str
    parameters: Mapping[str, Any]
    inputs: tuple[str, ...] = ()

    @property
    def format_version(self) -> int:
        """Version of what is written."""
        return FORMATS[kind_of(self.name)]


@dataclass(frozen=True)
class Artifact:
    """A finished artifact: its directory and what its manifest says.

    `parameters` decided it, `results` are its figures, `made` holds times, memory and tool versions
    (the only part in which two identical artifacts may differ).
    """

    path: Path
    digest: str
    format_version: int
    parameters: dict[str, Any]
    inputs: dict[str, str]
    files: dict[str, dict[str, Any]]
    results: dict[str, Any]
    made: dict[str, Any] = field(compare=False)

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self.path.name

    def table(self, name: str) -> pa.Table:
        """Return a table of the artifact, with the columns of its schema."""
        return pq.read_table(self.path / f"{name}.parquet", schema=TABLES[name].arrow())

    def arrays(self, file: str) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of a safetensors file, mapped into memory where the library maps."""
        return read_arrays(self.path / file)


class Run:
    """A run directory, held by this process while the context is open.

    Raises
    ------
    InputError
        Another process holds it (which one is named), or it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock: filelock.FileLock | None = None
        self._verified: dict[str, Artifact] = {}
        self._remarks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / ".lock").touch()
        except OSError as error:
            raise InputError(
                f"run directory {self.path} cannot be written: {error.strerror}",
                "name a folder you may write with --run",
            ) from error
        lock = filelock.FileLock(self.path / ".lock")
        holder = self.path / ".holder.json"
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise InputError(
                f"run directory {self.path} is held by {_describe_holder(holder)}",
                "wait for it, stop it, or name another folder with --run",
            ) from error
        self._lock = lock
        write_json(holder, {"pid": os.getpid(), "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])})
        return self

    def __exit__(self, *_: object) -> None:
        (self.path / ".holder.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def artifact(self, name: str) -> Artifact:
        """Return a finished artifact, its sums verified once per run.

        Raises
        ------
        ArtifactError
            It is missing, unfinished, damaged (the file is named) or of another format (fault 42).
        """
        if name not in self._verified:
            found = load_manifest(self.path / name)
            if found is None:
                raise ArtifactError(
                    f"{self.path / name}: not there or not finished", f"run `atlas ingest {name[3:]}` first"
                )
            if found.format_version != FORMATS[kind_of(name)]:
                raise ArtifactError(
                    f"{found.path}: format {found.format_version}, this program reads {FORMATS[kind_of(name)]}",
                    f"run `atlas ingest {name[3:]}` again with this program",
                )
            damaged = damaged_files(found)
            if damaged:
                raise ArtifactError(
                    f"{found.path}: {damaged[0]}",
                    f"run `atlas ingest {name[3:]}` again: it rebuilds what is damaged",
                )
            self._verified[name] = found
        return self._verified[name]

    def current(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of some artifacts that are there and were made from what the run holds now.

        A stage that reads what it can get has these for inputs: making one of them makes the stage anew.
        """
        found = []
        for name in names:
            there = load_manifest(self.path / name)
            if there is None:
                continue
            sources = {source: load_manifest(self.path / source) for source in there.inputs}
            if all(source is not None and source.digest == there.inputs[key] for key, source in sources.items()):
                found.append(name)
            else:
                logger.warning(
                    "%s: left out, since its inputs changed; `atlas ingest %s` makes it anew", name, name[3:]
                )
        return tuple(found)

    def finished(self, spec: Spec) -> Artifact | None:
        """Return the artifact when it is done: same specification, same inputs, sums right."""
        found = load_manifest(self.path / spec.name)
        if found is None:
            return None
        wanted = {name: self.artifact(name).digest for name in spec.inputs}
        changes = difference(found.parameters, spec.parameters)
        if found.format_version != spec.format_version:
            changes.append(f"format {found.format_version} -> {spec.format_version}")
        if found.inputs != wanted:
            changes.append("its inputs changed")
        if changes:
            logger.info("%s: redone, since %s", spec.name, "; ".join(changes))
            return None
        known = self._verified.get(spec.name)
        damaged = [] if known is not None and known.digest == found.digest else damaged_files(found)
        if damaged:
            logger.warning("%s: %s; rebuilding", spec.name, damaged[0])
            return None
        self._verified[spec.name] = found
        return found

    def produce(
        self,
        spec: Spec,
        compute: Callable[[Path], Mapping[str, Any]],
        *,
        resume: bool = False,
        check: Callable[[], object] = lambda: None,
    ) -> Artifact:
        """Return the artifact of a specification, computed only when it is not done already.

        Parameters
        ----------
        compute
            Called with the directory to write; returns the results for the manifest.
        resume
            Whether `compute` goes on with what an unfinished directory holds; else it starts empty.
        check
            Called before an artifact of other parameters is given up: raises what `compute` would refuse at once.

        Raises
        ------
        CapacityError
            The disk is full; what was finished is kept.
        """
        done = self.finished(spec)
        if done is not None:
            logger.info("%s: done already", spec.name)
            return done
        inputs = {name: self.artifact(name).digest for name in spec.inputs}
        check()
        directory = self.path / spec.name
        try:
            (directory / MANIFEST).unlink(missing_ok=True)
            if not resume:
                shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True, exist_ok=True)
            self._remarks = {}
            with measured() as made:
                results = compute(directory)
            made.update(self._remarks)
            _write_manifest(directory, spec, inputs, results, made)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise no_room(directory) from error
            raise
        self._verified.pop(spec.name, None)
        artifact = self.artifact(spec.name)
        logger.info("%s: %.1f s, %.0f MiB at most", spec.name, made["wall_seconds"], made["peak_memory_mib"])
        return artifact

    def remark(self, **remarks: Any) -> None:
        """Keep in `made` how the artifact that is being computed is made: what does not decide its content."""
        self._remarks.update(remarks)


def kind_of(name: str) -> str:
    """Return the kind of an artifact: `70-comparison` for `70-comparison-second-seed`, one of several of a run."""
    return next((kind for kind in FORMATS if name.startswith(f"{kind}-")), name)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return one phrase for each setting that differs: `context 128 -> 64`."""
    before, after = _as_json(old), _as_json(new)
    return [
        f"{key} {before.get(key, 'unset')!r} -> {after.get(key, 'unset')!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def load_manifest(directory: Path) -> Artifact | None:
    """Return what a finished directory's manifest says, or None where there is none.

    Raises
    ------
    ArtifactError
        The manifest cannot be read, or is of a newer version than this program writes.
    """
    path = directory / MANIFEST
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text("utf8"))
        kind, version = raw["kind"], raw["format_version"]
        parts = (raw[key] for key in ("parameters", "inputs", "files", "results", "made"))
        artifact = Artifact(directory, "", version, *parts)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path}: not a manifest ({error})", f"remove {directory} and run the stage again"
        ) from error
    known = FORMATS.get(kind_of(directory.name), version)
    if version > known:
        raise ArtifactError(f"{path}: format {version}, this program knows {known}", "use a newer feature-atlas")
    identity = {key: raw[key] for key in ("format_version", "parameters", "inputs", "files", "results")}
    digest = hashlib.sha256(canonical({"kind": kind, **identity})).hexdigest()
    return Artifact(**{**artifact.__dict__, "digest": digest})


def damaged_files(artifact: Artifact) -> list[str]:
    """Return a phrase for each file of the artifact that is missing or whose sum is wrong."""
    found = []
    for name, expected in artifact.files.items():
        path = artifact.path / name
        if not path.exists():
            found.append(f"{name} is missing")
        elif path.stat().st_size != expected["bytes"]:
            found.append(f"{name} has {path.stat().st_size} bytes, expected {expected['bytes']}")
        elif sha256(path) != expected["sha256"]:
            found.append(f"{name} does not match its checksum")
    return found


def _write_manifest(
    directory: Path,
    spec: Spec,
    inputs: Mapping[str, str],
    results: Mapping[str, Any],
    made: Mapping[str, Any],
) -> None:
    files = {
        str(path.relative_to(directory)): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    manifest = {
        "kind": spec.name,
        "format_version": spec.format_version,
        "parameters": spec.parameters,
        "inputs": inputs,
        "files": files,
        "results": results,
        "made": made,
    }
    write_json(directory / MANIFEST, manifest)


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(canonical(dict(value)))
    return loaded


def _describe_holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text("utf8"))
        return f"process {holder['pid']} ({holder['command']})"
    except (OSError, ValueError, KeyError):
        return "another process"
