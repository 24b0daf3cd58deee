"""Safetensors files in pieces, mapped or streamed: what the library can only read or write whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from atlas.errors import ArtifactError
from atlas.files import NO_ROOM, no_room

Shapes = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and dtype name of each array, in file order; 8-byte types first keeps all aligned."""

_NAMES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint32": "U32", "uint8": "U8"}
_TYPES = {code: np.dtype(name) for name, code in _NAMES.items()}
_REMEDY = "run the stage that writes it again"


def map_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a safetensors file, read-only and read from disk as they are touched.

    Raises
    ------
    ArtifactError
        The file is missing, truncated, or holds a type that no artifact has.
    """
    with ArrayFile(path) as stored:
        return _map(path, stored.header, stored.start)


class ArrayFile:
    """The arrays of a safetensors file, read in pieces by ordinary reads: memory holds what was asked for.

    Parameters
    ----------
    path
        File to read.
    remedy
        What to do about a damaged one.

    Attributes
    ----------
    names : list of str
        Arrays of the file.
    metadata : dict
        Strings that were written beside them.

    Raises
    ------
    ArtifactError
        The file is missing, truncated, or holds a type that no artifact has.
    """

    def __init__(self, path: Path, *, remedy: str = _REMEDY) -> None:
        self.path, self._remedy = path, remedy
        try:
            self._stream = path.open("rb")
        except OSError as error:
            raise self._unreadable(error.strerror) from error
        try:
            self._parse(os.fstat(self._stream.fileno()).st_size)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._stream.close()
            raise self._unreadable(error) from error
        except ArtifactError:
            self._stream.close()
            raise

    def _parse(self, size: int) -> None:
        length = int.from_bytes(self._stream.read(8), "little")
        if size < 8 or length > size - 8:
            raise self._unreadable(f"it is cut off: {size} bytes")
        header = json.loads(self._stream.read(length))
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        self.header: dict[str, Any] = header
        self.start = 8 + length
        self.names = list(header)
        end = self.start
        for name in self.names:
            low, high = header[name]["data_offsets"]
            n = int(np.prod(self.shape(name), dtype=np.int64))
            if high - low != n * _TYPES[header[name]["dtype"]].itemsize or low < 0:
                raise ValueError(f"{name} does not fit its place")
            end = max(end, self.start + high)
        if end != size:
            raise self._unreadable(f"it is cut off: {size} bytes, expected {end}")

    def _unreadable(self, why: object) -> ArtifactError:
        return ArtifactError(f"{self.path}: cannot be read ({why})", self._remedy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return tuple(self.header[name]["shape"])

    def dtype(self, name: str) -> str:
        """Return the dtype of an array: `float32`."""
        return str(_TYPES[self.header[name]["dtype"]])

    def read(self, name: str, low: int = 0, high: int | None = None) -> np.ndarray[Any, Any]:
        """Return an array, or its rows `low` to `high - 1`, as a new array.

        Raises
        ------
        ArtifactError
            The file became shorter since it was opened.
        """
        shape = self.shape(name)
        high = shape[0] if high is None else high
        out = np.empty((max(high - low, 0), *shape[1:]), self.dtype(name))
        self.read_rows(name, low, out)
        return out

    def read_rows(self, name: str, low: int, out: np.ndarray[Any, Any]) -> None:
        """Read the rows `low`, `low + 1`, ... of an array into one of the same dtype, as many as it has.

        Raises
        ------
        ArtifactError
            The file became shorter since it was opened.
        """
        if out.size:
            before = low * (out.nbytes // len(out))
            self._stream.seek(self.start + self.header[name]["data_offsets"][0] + before)
            if self._stream.readinto(out.data.cast("B")) != out.nbytes:
                raise self._unreadable("it became shorter while it was read")


class StreamedArrays:
    """A new safetensors file, its arrays written in pieces by ordinary writes, replaced whole at the end.

    Nothing is there under the file's name until the context ends without an error.

    Parameters
    ----------
    path
        File to make; an older one is replaced.
    shapes
        What the file holds. What is never written is zero.
    metadata
        Strings to keep beside the arrays.

    Raises
    ------
    CapacityError
        The disk is full (fault 26): what was written is removed.
    """

    def __init__(self, path: Path, shapes: Shapes, *, metadata: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._shapes = shapes
        self._head, self._places, self._size = _header(shapes, metadata or {})
        self._temporary = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Self:
        with self._guarded():
            self._stream = self._temporary.open("wb")
            self._stream.write(self._head)
            self._stream.truncate(self._size)
        return self

    def write(self, name: str, piece: np.ndarray[Any, Any], *, at: int = 0) -> None:
        """Write consecutive rows of an array, the first of them row `at`."""
        shape, dtype = self._shapes[name]
        whole = np.ascontiguousarray(piece, dtype)
        if at + len(whole) > shape[0] or whole.shape[1:] != shape[1:]:
            raise ValueError(f"{name}: rows {at} to {at + len(whole)} of shape {whole.shape} do not fit {shape}")
        if whole.size:
            with self._guarded():
                before = at * (whole.nbytes // len(whole))
                self._stream.seek(len(self._head) + self._places[name]["data_offsets"][0] + before)
                self._stream.write(whole.data.cast("B"))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._discard()
            return
        with self._guarded():
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            os.replace(self._temporary, self.path)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._discard()
            if error.errno in NO_ROOM:
                raise no_room(self.path) from error
            raise

    def _discard(self) -> None:
        if hasattr(self, "_stream"):
            with contextlib.suppress(OSError):  # what was still to be written does not fit either
                self._stream.close()
        self._temporary.unlink(missing_ok=True)


def _header(shapes: Shapes, metadata: Mapping[str, str]) -> tuple[bytes, dict[str, Any], int]:
    """Return the beginning of a file, where its arrays lie after it, and the size of the whole."""
    places: dict[str, Any] = {}
    offset = 0
    for name, (shape, dtype) in shapes.items():
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        places[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    header = {"__metadata__": dict(metadata), **places} if metadata else places
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for 8-byte alignment of the data
    head = len(text).to_bytes(8, "little") + text
    return head, places, len(head) + offset


def _map(path: Path, header: Mapping[str, Any], start: int) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, entry in header.items():
        shape, dtype = tuple(entry["shape"]), _TYPES[entry["dtype"]]
        if 0 in shape:  # an empty range cannot be mapped
            arrays[name] = np.zeros(shape, dtype)
        else:
            arrays[name] = np.memmap(path, dtype, "r", start + entry["data_offsets"][0], shape)
    return arrays
