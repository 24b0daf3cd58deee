"""Partial counts on disk: written whole, checked when read, equal bytes for equal counts.

A directory holds `order.safetensors` (order: int32 (d,); firing_count: int64 (n_rules, d)), the pairs in
`rows-00000.safetensors` and so on (indptr: int64 (n + 1,); columns: uint32 (n_pairs,); joint_count: (n_pairs, n_rules),
uint32 where that holds them, else int64; joint_sum: int64 (n_pairs, 2) or (0, 2)), each a range of rows, and
`partial.json`, which says what they are. It appears under its name when all of that is there.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from atlas.counting.ranked import Counted, Ranked
from atlas.counting.scheme import Scheme, join_ranges
from atlas.errors import ArtifactError
from atlas.files import NO_ROOM, no_room, read_arrays, sha256, write_arrays, write_json
from atlas.mapped import ArrayFile

PARTIAL = "partial.json"
ORDER = "order.safetensors"
FORMAT = 1
"""Version of the files that this program writes and reads."""
FILE_PAIRS = 2**22
"""Pairs of one file of rows, at most, unless a single row has more."""
REMEDY = "remove that folder and count the part again"


@dataclass(frozen=True)
class StoredRows:
    """One file of rows: read in pieces, by ordinary reads, opened for each."""

    path: Path
    low: int
    high: int
    remedy: str

    def indptr(self, low: int, high: int) -> npt.NDArray[np.int64]:
        """Return where the rows `low` to `high - 1` begin and end among the file's pairs."""
        with ArrayFile(self.path, remedy=self.remedy) as stored:
            return stored.read("indptr", low - self.low, high - self.low + 1)

    def read(self, low: int, high: int) -> Ranked:
        """Return the rows `low` to `high - 1`."""
        with ArrayFile(self.path, remedy=self.remedy) as stored:
            indptr = stored.read("indptr", low - self.low, high - self.low + 1)
            start, stop = int(indptr[0]), int(indptr[-1])
            summed = stored.shape("joint_sum")[0] > 0
            return Ranked(
                low,
                indptr - start,
                stored.read("columns", start, stop),
                np.ascontiguousarray(stored.read("joint_count", start, stop).T, np.int64),
                np.ascontiguousarray(stored.read("joint_sum", start if summed else 0, stop if summed else 0).T),
            )


class StoredBlocks:
    """The pairs of partial counts on disk, a file in memory at a time.

    Parameters
    ----------
    files
        The files of rows, in ascending order.
    """

    def __init__(self, files: Iterable[StoredRows]) -> None:
        self.files = tuple(files)

    def __iter__(self) -> Iterator[Ranked]:
        for stored in self.files:
            yield stored.read(stored.low, stored.high)


def write_partial(directory: Path, counted: Counted) -> Path:
    """Return the directory, written whole: it has its name when every file is in it and on disk.

    Equal counts give equal bytes, however they were cut into blocks: nothing in the files tells when, where or
    by how many threads they were made. Where another process has written the same counts meanwhile, its
    directory stays.

    Raises
    ------
    CapacityError
        The disk is full (fault 26); nothing of it is left.
    """
    temporary = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}.partial")
    temporary.mkdir()
    try:
        description = _write_files(temporary, counted)
        write_json(temporary / PARTIAL, description)
        _move(temporary, directory)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(directory) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def read_partial(directory: Path, *, remedy: str = REMEDY) -> Counted:
    """Return partial counts, their sums verified, their rows read when they are gone through.

    Parameters
    ----------
    remedy
        What to do about missing or damaged ones.

    Raises
    ------
    ArtifactError
        They are missing, damaged, or of another format (faults 40, 42): the file is named.
    """
    found = read_description(directory, remedy=remedy)
    for name, expected in found["files"].items():
        path = directory / name
        if not path.exists():
            raise ArtifactError(f"{path}: missing", remedy)
        if path.stat().st_size != expected["bytes"]:
            raise ArtifactError(f"{path}: {path.stat().st_size} bytes, expected {expected['bytes']}", remedy)
        if sha256(path) != expected["sha256"]:
            raise ArtifactError(f"{path}: does not match its checksum", remedy)
    arrays = read_arrays(directory / ORDER)
    described = found["scheme"]
    scheme = Scheme(arrays["order"], tuple(described["rules"]), described["sums"], described["source"])
    if scheme.description() != described:
        raise ArtifactError(f"{directory / PARTIAL}: does not belong to its {ORDER}", remedy)
    bounds = found["rows"]
    files = [
        StoredRows(directory / _rows_name(number), low, high, remedy)
        for number, (low, high) in enumerate(itertools.pairwise(bounds))
    ]
    covered = join_ranges([(start, stop) for start, stop in found["covered"]])
    return Counted(scheme, arrays["firing_count"], covered, StoredBlocks(files))


def read_description(directory: Path, *, remedy: str = REMEDY) -> dict[str, Any]:
    """Return what `partial.json` says, without looking at the other files.

    Raises
    ------
    ArtifactError
        It is missing, damaged, or of another format.
    """
    path = directory / PARTIAL
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf8"))
        version, files = found["format_version"], found["files"]
        complete = {ORDER, *(_rows_name(number) for number in range(len(found["rows"]) - 1))} == set(files)
        complete = complete and {"covered", "scheme"} <= found.keys()
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: missing", remedy) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: does not describe partial counts ({error})", remedy) from error
    if version != FORMAT:
        raise ArtifactError(f"{path}: format {version}, this program reads {FORMAT}", remedy)
    if not complete:
        raise ArtifactError(f"{path}: does not describe partial counts", remedy)
    return found


def part_of(block: Ranked, low: int, high: int) -> Ranked:
    """Return the rows `low` to `high - 1` of a block, as views."""
    indptr = block.indptr[low - block.low : high - block.low + 1]
    at = slice(int(indptr[0]), int(indptr[-1]))
    sums = block.joint_sum[:, at] if block.joint_sum.shape[1] else block.joint_sum
    return Ranked(low, indptr - indptr[0], block.columns[at], block.joint_count[:, at], sums)


def cut_by_pairs(blocks: Iterable[Ranked], limit: int) -> Iterator[Ranked]:
    """Yield the same rows in blocks of as many whole rows as have `limit` pairs together, at least one row.

    Where the cuts lie depends on the rows alone.
    """
    waiting: list[Ranked] = []
    n = 0
    for block in blocks:
        low = block.low
        while low < block.high:
            start = block.indptr[low - block.low]
            fits = block.low + int(np.searchsorted(block.indptr, start + limit - n, side="right")) - 1
            if fits > low:
                waiting.append(part_of(block, low, fits))
                n, low = n + waiting[-1].n_pairs, fits
            if low == block.high:
                continue
            if n == 0:  # a row larger than the limit
                waiting.append(part_of(block, low, low + 1))
                low += 1
            yield _joined(waiting)
            waiting, n = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[Ranked]) -> Ranked:
    """Return blocks that follow each other as one."""
    if len(blocks) == 1:
        return blocks[0]
    sizes = np.concatenate([np.diff(block.indptr) for block in blocks])
    return Ranked(
        blocks[0].low,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([block.columns for block in blocks]),
        np.concatenate([block.joint_count for block in blocks], axis=1),
        np.concatenate([block.joint_sum for block in blocks], axis=1),
    )


def _write_files(directory: Path, counted: Counted) -> Mapping[str, Any]:
    write_arrays(directory / ORDER, {"order": counted.scheme.order, "firing_count": counted.firing_count})
    bounds, n_pairs = [0], 0
    for number, block in enumerate(map(_sorted, cut_by_pairs(counted.blocks, FILE_PAIRS))):
        small = block.n_pairs == 0 or int(block.joint_count[0].max()) < 2**32  # no rule counts more than `any`
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "indptr": block.indptr,
            "columns": block.columns,
            "joint_count": block.joint_count.T.astype(np.uint32 if small else np.int64),
            "joint_sum": block.joint_sum.T,
        }
        write_arrays(directory / _rows_name(number), arrays)
        bounds.append(block.high)
        n_pairs += block.n_pairs
    names = [ORDER, *(_rows_name(number) for number in range(len(bounds) - 1))]
    return {
        "format_version": FORMAT,
        "scheme": counted.scheme.description(),
        "covered": [list(each) for each in counted.covered],
        "n_pairs": n_pairs,
        "rows": bounds,
        "files": {
            name: {"bytes": (directory / name).stat().st_size, "sha256": sha256(directory / name)} for name in names
        },
    }


def _sorted(block: Ranked) -> Ranked:
    """Return the block with the columns of each row ascending."""
    place = _places_in_order(block.indptr, block.columns)
    sums = block.joint_sum[:, place] if block.joint_sum.shape[1] else block.joint_sum
    return Ranked(block.low, block.indptr, block.columns[place], block.joint_count[:, place], sums)


@numba.njit(cache=True, parallel=True, nogil=True)
def _places_in_order(indptr, columns):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return where the pairs lie in order of row and column."""
    places = np.empty(len(columns), np.int64)
    for row in numba.prange(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        places[start:stop] = start + np.argsort(columns[start:stop])
    return places


def _rows_name(number: int) -> str:
    return f"rows-{number:05d}.safetensors"


def _move(temporary: Path, directory: Path) -> None:
    """Give a finished directory its name; one that is there and says the same stays, a damaged one goes."""
    try:
        os.rename(temporary, directory)
        return
    except OSError:
        if not directory.is_dir():
            raise
    try:
        read_partial(directory)
        if (directory / PARTIAL).read_bytes() == (temporary / PARTIAL).read_bytes():
            return
    except ArtifactError:
        pass
    old = temporary.with_name(f"{temporary.name}.old")
    os.rename(directory, old)
    try:
        os.rename(temporary, directory)
    finally:
        shutil.rmtree(old, ignore_errors=True)
