"""The server's first password: generated, kept in one file that only its owner reads, told to no process."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from atlas.errors import DatabaseError

USERNAME = "neo4j"
ITERATIONS = 1024  # what the server writes into auth.ini and reads from there


def read_password(path: Path) -> str:
    """Return the password kept at `path`.

    Raises
    ------
    DatabaseError
        The file is missing, empty or not readable.
    """
    try:
        password = path.read_text("utf-8").strip()
    except OSError as error:
        password, reason = "", error.strerror or type(error).__name__
    else:
        reason = "the file is empty"
    if not password:
        raise DatabaseError(
            f"the server's password cannot be read from {path}: {reason}",
            "put the file back, or remove store and password: atlas db down --wipe",
        )
    return password


def ensure_password(path: Path, auth_file: Path, *, initialised: bool) -> str:
    """Return the password at `path`; before the first start it is made, and its hash given to the server.

    The server's admin command takes a password as an argument, which every user of the machine can read while
    it runs, and an argument file would still leave it in the JVM's performance data. So this writes what that
    command writes: the salted hash, which the server imports when it makes its system database.

    Parameters
    ----------
    path
        The password's file, mode 0600.
    auth_file
        The store's `dbms/auth.ini`.
    initialised
        Whether the store has been started before: its password is then in its system database.
    """
    if initialised:
        return read_password(path)
    try:
        password = read_password(path)
    except DatabaseError:
        password = secrets.token_urlsafe(24)
        write_private(path, password + "\n")
    write_private(auth_file, auth_line(password, salt=secrets.token_bytes(32)))
    return password


def auth_line(password: str, *, salt: bytes) -> str:
    """Return the line of auth.ini for the user neo4j: SHA-256 of salt and password, then of itself."""
    digest = hashlib.sha256(salt + password.encode()).digest()
    for _ in range(ITERATIONS - 1):
        digest = hashlib.sha256(digest).digest()
    return f"{USERNAME}:SHA-256,{digest.hex()},{salt.hex()},{ITERATIONS}:\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    half.replace(path)
