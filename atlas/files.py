"""Files that are written whole: JSON, arrays and tables, checked before and never left half."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import safetensors
import safetensors.numpy

from atlas.errors import ArtifactError, CapacityError
from atlas.schema import TABLES

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system answers when a disk is full."""


def no_room(path: Path) -> CapacityError:
    """Return the error for a disk that filled up while `path` was written."""
    return CapacityError(
        f"no room left on the disk of {path}; what was finished is kept",
        "free some room, or move the run directory to a larger disk, and give the same command again",
    )


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON by replacing the file whole: a reader sees the old or the new, never a half."""
    _replace(path, lambda temporary: temporary.write_bytes(canonical(value, indent=1) + b"\n"))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]], *, durable: bool = True) -> None:
    """Write arrays to a safetensors file by replacing it whole.

    Scratch that only this process reads need not be `durable`: it is then not waited for until it is on disk.
    """
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _replace(path, lambda temporary: safetensors.numpy.save_file(whole, temporary), durable=durable)


def read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a safetensors file.

    Raises
    ------
    ArtifactError
        The file is missing, truncated or none of safetensors.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
    except (OSError, safetensors.SafetensorError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error})", "run the stage that writes it again") from error


def write_table(directory: Path, name: str, columns: Mapping[str, Any]) -> None:
    """Write a table after checking it against its schema.

    Raises
    ------
    ArtifactError
        A required value is missing, a number is not finite, or it lies outside its interval: the
        place, what was found and what was expected are named. Nothing is written then.
    """
    table = TABLES[name]
    schema = table.arrow()
    arrow = pa.table(
        {
            column.name: pa.array(columns[column.name], column_type)
            for column, column_type in zip(table.columns, schema.types, strict=True)
        }
    )
    for column in table.columns:
        check_column(directory.name, name, column, arrow.column(column.name))
    arrow = arrow.cast(schema)
    _replace(directory / f"{name}.parquet", lambda temporary: pq.write_table(arrow, temporary, compression="zstd"))


def check_column(stage: str, table: str, column: Any, values: pa.ChunkedArray[Any]) -> None:
    """Refuse missing required values, numbers that are not finite, and numbers out of range (fault 51)."""
    place = f"{stage}/{table}: {column.name}"
    if column.required and values.null_count:
        row = int(np.flatnonzero(np.asarray(pc.is_null(values)))[0])
        raise ArtifactError(f"{place} is missing at row {row}", "this is a fault of the program: please report it")
    if column.type not in ("integer", "float"):
        return
    numbers = values.drop_null().to_numpy().astype(np.float64)
    low = -np.inf if column.low is None else column.low - 1e-9
    high = np.inf if column.high is None else column.high + 1e-9
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= low) & (numbers <= high)))
    if bad.size:
        raise ArtifactError(
            f"{place} {numbers[bad[0]]:g} at row {bad[0]}, expected [{low:g}, {high:g}]",
            "this is a fault of the program: please report it",
        )


def _replace(path: Path, write: Callable[[Path], Any], *, durable: bool = True) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        write(temporary)
        if durable:
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in NO_ROOM:
            raise no_room(path) from error
        raise
    except safetensors.SafetensorError as error:
        temporary.unlink(missing_ok=True)
        if "No space left" in str(error) or "too large" in str(error):  # its errors carry no errno
            raise no_room(path) from error
        raise


def canonical(value: Any, *, indent: int | None = None) -> bytes:
    """Return JSON as UTF-8 with sorted keys: equal values give equal bytes. NaN is refused."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode("utf8")
