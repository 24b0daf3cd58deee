"""The pinned jars of the managed server: coordinates, sums and sizes, read from the locks beside this file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from atlas.ingest.server.version import Line, find_line


@dataclass(frozen=True)
class Jar:
    """One file of the server: `group:artifact:version[:classifier]:packaging`, its SHA-256 and its bytes."""

    coordinates: str
    sha256: str
    size: int

    @cached_property
    def parts(self) -> tuple[str, str, str, str, str]:
        """Return group, artifact, version, classifier (may be empty) and packaging."""
        fields = self.coordinates.split(":")
        if len(fields) == 4:
            group, artifact, version, packaging = fields
            return group, artifact, version, "", packaging
        group, artifact, version, classifier, packaging = fields
        return group, artifact, version, classifier, packaging

    @property
    def filename(self) -> str:
        """Return the name under which Maven stores the file; unique within the lock."""
        _, artifact, version, classifier, packaging = self.parts
        return f"{artifact}-{version}{f'-{classifier}' if classifier else ''}.{packaging}"

    @property
    def repository_path(self) -> Path:
        """Return the file's place inside a Maven repository, relative to its root."""
        group, artifact, version, _, _ = self.parts
        return Path(*group.split("."), artifact, version, self.filename)


@dataclass(frozen=True)
class Lock:
    """All jars of one version of the server, and a digest that changes whenever one of them does."""

    version: str
    jars: tuple[Jar, ...]
    digest: str

    @property
    def size(self) -> int:
        """Return the bytes of all jars together."""
        return sum(jar.size for jar in self.jars)


def read_lock(line: Line | None = None) -> Lock:
    """Return the lock of a line of the server, `find_line()` by default.

    Its rows are `coordinates sha256 bytes`; comments start with `#`.
    """
    line = line or find_line()
    rows = [row.split() for row in line.lock_file.read_text("utf-8").splitlines() if not row.startswith("#")]
    jars = tuple(Jar(coordinates, sha256, int(size)) for coordinates, sha256, size in rows)
    digest = hashlib.sha256("\n".join(jar.sha256 for jar in jars).encode()).hexdigest()
    return Lock(line.version, jars, digest)


def format_lock(line: Line, jars: list[Jar]) -> str:
    """Return the text of a lock that holds `jars`, sorted so that two runs differ only where Maven does."""
    head = (
        f"# The jars of Neo4j {line.version} Community Edition with Browser, as Maven resolves them.\n"
        "# coordinates sha256 bytes; written by: python -m atlas.ingest.server.relock\n"
    )
    rows = sorted(f"{jar.coordinates} {jar.sha256} {jar.size}" for jar in jars)
    return head + "\n".join(rows) + "\n"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
