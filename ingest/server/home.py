"""What lies where in one managed server's home, and what is known of the server that runs in it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from atlas.errors import InputError
from atlas.ingest.paths import data_home
from atlas.ingest.server.hold import HOME_REMEDY, usable
from atlas.ingest.server.version import DEFAULT, LINES, Line, find_line

HEADER = "# Written by `atlas db up` at every start: changes here are lost."  # of neo4j.conf; marks a home
FOLDERS = ("conf", "data", "logs", "plugins", "import", "run")


def default_home() -> Path:
    """Return the home that the commands use unless another is named."""
    return data_home() / "neo4j" / "default"


@dataclass(frozen=True)
class Home:
    """The folder of one managed server: its store, logs, configuration and password, not its jars."""

    path: Path

    @classmethod
    def at(cls, path: Path | str | None = None) -> Home:
        """Return the home at `path` (default: `default_home()`), as the one name that all links to it share.

        Raises
        ------
        InputError
            The path cannot be a server's home.
        """
        wanted = Path(path or default_home())
        try:
            resolved = wanted.expanduser().resolve()
        except RuntimeError as error:  # links in a circle, or the home folder of a user that there is none of
            raise InputError(f"{wanted} cannot be used: {error}", HOME_REMEDY) from error
        if os.pathsep in str(resolved):
            raise InputError(f"{resolved} holds {os.pathsep!r}, which parts Java's class path", "choose another")
        with usable(resolved):
            there = resolved.exists()
        if there and not resolved.is_dir():
            raise InputError(f"{resolved} is not a folder", "give a folder, or a name that is free")
        return cls(resolved)

    @property
    def conf(self) -> Path:
        """Return the server's configuration file."""
        return self.path / "conf" / "neo4j.conf"

    @property
    def password(self) -> Path:
        """Return the file that keeps the password, mode 0600."""
        return self.path / "password"

    @property
    def auth(self) -> Path:
        """Return the file from which the server's first start takes the password's hash."""
        return self.path / "data" / "dbms" / "auth.ini"

    @property
    def log(self) -> Path:
        """Return what the running server printed since it was started."""
        return self.path / "logs" / "console.log"

    @property
    def state(self) -> Path:
        """Return the note of which process serves this home."""
        return self.path / "run" / "server.json"

    @property
    def line_note(self) -> Path:
        """Return the note of which line of the server made the store."""
        return self.path / "data" / "server-line"

    @property
    def initialised(self) -> bool:
        """Return whether the store has been started before."""
        return (self.path / "data" / "databases" / "system").is_dir()

    def line(self, asked: str | None = None) -> Line:
        """Return the line of the server that this home is for: that of its store, else `find_line(asked)`.

        A store is opened by the line that made it and by no other: a newer server would upgrade it without
        a way back, and an older one cannot read it.

        Parameters
        ----------
        asked
            Name of a line to insist on.

        Raises
        ------
        InputError
            Another line is asked for than made the store, or there is none of that name.
        """
        noted, stored = self._noted_line()
        if noted is None or (asked is not None and not stored):
            return find_line(asked)
        if asked is not None and find_line(asked) is not noted:
            raise InputError(
                f"the store in {self.path} was made by Neo4j {noted.version}, the line {noted.name} and not {asked}",
                f"go on with --server {noted.name}, or give --home a new folder and load the atlases there again",
            )
        return noted

    def _noted_line(self) -> tuple[Line | None, bool]:
        """Return the line that is noted in the home, and whether there is a store."""
        with usable(self.path):
            stored = any((self.path / "data" / "databases" / name).is_dir() for name in ("system", "neo4j"))
            try:
                noted = self.line_note.read_text("utf-8").strip()
            except (FileNotFoundError, NotADirectoryError):
                return (LINES[DEFAULT] if stored else None), stored  # made when there was one line
        if noted not in LINES:
            raise InputError(
                f"{self.line_note} names the server line {noted!r}, which is unknown here",
                f"use the version of the atlas that made the store; this one has {' and '.join(LINES)}",
            )
        return LINES[noted], stored

    def check(self) -> None:
        """Refuse a folder that holds something and was not made here: a wipe would take its data with it.

        Raises
        ------
        InputError
            The folder is neither empty, nor new, nor a managed server's home.
        """
        if not self.path.exists():
            return
        with usable(self.path):
            strangers = [each for each in self.path.iterdir() if not each.name.startswith(".lock")]
        with contextlib.suppress(OSError, UnicodeDecodeError):
            marked = self.password.exists() or self.line_note.exists()
            if marked or self.conf.read_text("utf-8").startswith(HEADER):
                return
        if strangers:
            raise InputError(
                f"{self.path} holds other files and is no managed server's home", "give --home a new folder"
            )

    def make(self, line: Line | None = None) -> None:
        """Make the home's folders, which only their owner may look into, and note whose store it is.

        `line` is what `self.line` returned, the default.
        """
        line = line or self.line()
        with usable(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in FOLDERS:
                (self.path / name).mkdir(mode=0o700, exist_ok=True)
            half = self.line_note.with_name(f".{self.line_note.name}.{os.getpid()}")
            half.write_text(f"{line.name}\n", "utf-8")
            half.replace(self.line_note)

    def store_bytes(self) -> int:
        """Return the bytes that the databases and their transaction logs take."""
        return folder_bytes(self.path / "data")


@dataclass(frozen=True)
class Running:
    """The server process of a home: enough to tell it from a later process with the same pid."""

    pid: int
    created: float
    bolt_port: int
    http_port: int
    version: str

    def write(self, home: Home) -> None:
        """Note this process in its home, whole or not at all."""
        half = home.state.with_name(f".{home.state.name}.{os.getpid()}")
        half.write_text(json.dumps(asdict(self)), "utf-8")
        half.replace(home.state)

    @classmethod
    def read(cls, home: Home) -> Running | None:
        """Return the process noted in a home, None where none is or the note cannot be understood."""
        try:
            return cls(**json.loads(home.state.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class ServerInfo:
    """What a person or a program wants to know of a managed server; never its password.

    `state` is `running` (answers on Bolt), `starting` (the process is there) or `stopped`. Ports, pid and
    `started` (seconds since 1970) are None when stopped. `server` is the line whose store it is, or would be.
    """

    home: Path
    state: Literal["running", "starting", "stopped"]
    server: str
    version: str
    pid: int | None
    bolt_port: int | None
    http_port: int | None
    started: float | None
    store_bytes: int
    log: Path
    password_file: Path

    @property
    def bolt_uri(self) -> str | None:
        """Return the address for drivers."""
        return f"bolt://127.0.0.1:{self.bolt_port}" if self.bolt_port else None

    @property
    def http_uri(self) -> str | None:
        """Return the address under which Browser is served."""
        return f"http://127.0.0.1:{self.http_port}" if self.http_port else None

    @property
    def uptime(self) -> float | None:
        """Return the seconds since the process was started."""
        return max(time.time() - self.started, 0.0) if self.started else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        return plain | {"bolt_uri": self.bolt_uri, "http_uri": self.http_uri, "uptime": self.uptime}


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
