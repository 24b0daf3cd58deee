"""Safetensors files mapped into memory: what the library can only read or write whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atlas.errors import ArtifactError

_NAMES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint32": "U32", "uint8": "U8"}
_TYPES = {code: np.dtype(name) for name, code in _NAMES.items()}


def create_mapped(path: Path, shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> dict[str, np.ndarray[Any, Any]]:
    """Return writable arrays backed by a new safetensors file, filled with zeros.

    Parameters
    ----------
    path
        File to make; an older one is replaced.
    shapes
        Shape and dtype name of each array, in file order; 8-byte types first keeps all aligned.
    """
    header: dict[str, Any] = {}
    offset = 0
    for name, (shape, dtype) in shapes.items():
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for 8-byte alignment of the data
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + offset)
        if hasattr(os, "posix_fallocate") and offset:  # a full disk is an error now, not a bus error later
            os.posix_fallocate(stream.fileno(), 0, 8 + len(text) + offset)
    return _map(path, header, 8 + len(text), mode="r+")


def map_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a safetensors file, read-only and read from disk as they are touched.

    Raises
    ------
    ArtifactError
        The file is missing, truncated, or holds a type that no artifact has.
    """
    try:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
        header.pop("__metadata__", None)
        return _map(path, header, 8 + size, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error})", "run the stage that writes it again") from error


def _map(path: Path, header: Mapping[str, Any], start: int, *, mode: Any) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, entry in header.items():
        shape, dtype = tuple(entry["shape"]), _TYPES[entry["dtype"]]
        if 0 in shape:  # an empty range cannot be mapped
            arrays[name] = np.zeros(shape, dtype)
        else:
            arrays[name] = np.memmap(path, dtype, mode, start + entry["data_offsets"][0], shape)
    return arrays
