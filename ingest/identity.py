"""Identity of files: digests cheap enough to recognise a finished stage without loading a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from atlas.files import sha256

_WHOLE = 256 * 2**20  # a larger file is known by its size and its ends
_END = 2**20


def file_digest(path: Path, *, whole: int = _WHOLE) -> str:
    """Return the hex sha256 of a file; of its size, first and last MiB where it is larger than `whole` bytes.

    Two trained weight files of one size differ in every tensor, so the ends tell them apart; a file
    patched in its middle without changing its size is not noticed.
    """
    size = path.stat().st_size
    if size <= whole:
        return sha256(path)
    with path.open("rb") as stream:
        head = stream.read(_END)
        stream.seek(-_END, 2)
        return hashlib.sha256(b"%d\n" % size + head + stream.read(_END)).hexdigest()


def files_digest(files: Iterable[tuple[str, Path]], *, whole: int = _WHOLE) -> str:
    """Return one hex sha256 for named files, in the order given, whatever folder they lie in."""
    total = hashlib.sha256()
    for name, path in files:
        total.update(f"{name}\0{file_digest(path, whole=whole)}\n".encode())
    return total.hexdigest()


def folder_digest(folder: Path, *, whole: int = _WHOLE) -> str:
    """Return one hex sha256 for the files directly in a folder, hidden ones left out."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return files_digest(((path.name, path) for path in files), whole=whole)
