"""Summed activations of features on vocabulary items: in memory or in two files, and read by compiled code."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numba
import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Summed activations of features on vocabulary items, by feature: a number for each pair that occurs.

    Attributes
    ----------
    indptr : int64, shape (d_sae + 1,)
    slots : int32, shape (nnz,)
        Twice the item, and 1 more on the second half of the documents; ascending within a feature.
    values : float64, shape (nnz,)
    """

    indptr: Integers
    slots: npt.NDArray[np.int32]
    values: Floats

    @classmethod
    def of(cls, columns: Iterable[tuple[Integers, Floats]], room: Path | None) -> Self:
        """Return the sums of features that come one after the other, each as slots and values.

        Parameters
        ----------
        room
            Where to keep them: two files whose names begin so, 12 bytes a number, of which memory then holds what is
            looked at. In memory when not given.
        """
        sizes = [0]
        with _opened(room, "slots") as first, _opened(room, "values") as second:
            for slots, values in columns:
                first.write(slots.astype(np.int32).tobytes())
                second.write(values.tobytes())
                sizes.append(len(slots))
            return cls(np.cumsum(sizes), _written(first, np.int32), _written(second, np.float64))

    @classmethod
    def kept(cls, indptr: Integers, room: Path) -> Self:
        """Return the sums whose slots and values are in files already, `indptr` of which was kept beside them."""
        with _named(room, "slots").open("rb") as first, _named(room, "values").open("rb") as second:
            return cls(indptr, _mapped(first, np.int32), _mapped(second, np.float64))


def _named(room: Path, name: str) -> Path:
    return room.with_name(f"{room.name}-{name}")


def _opened(room: Path | None, name: str) -> BinaryIO:
    return io.BytesIO() if room is None else _named(room, name).open("w+b")


def _written(stream: BinaryIO, kind: type[Any]) -> npt.NDArray[Any]:
    """Return what was written to a stream, mapped where it is a file."""
    if isinstance(stream, io.BytesIO):
        return np.frombuffer(stream.getvalue(), kind)
    stream.flush()
    return _mapped(stream, kind)


def _mapped(stream: BinaryIO, kind: type[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.memmap(stream, kind, "r")) if stream.seek(0, io.SEEK_END) else np.zeros(0, kind)


@numba.njit(cache=True, nogil=True)
def add_means(indptr, slots, values, features, scale, found):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add the size of the mean activation of each feature on each item, both halves together."""
    for feature in features:
        k, end = indptr[feature], indptr[feature + 1]
        while k < end:
            item, total = slots[k] // 2, values[k]
            k += 1
            if k < end and slots[k] // 2 == item:
                total += values[k]
                k += 1
            found[item] += scale[item] * abs(total)


@numba.njit(cache=True, nogil=True)
def on_items(slots, values, holders, ends, n_sets):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the size of a feature's activation on each set of items; `holders` are the sets of each item."""
    on = np.zeros((2, n_sets))
    for k in range(len(slots)):
        item, half = slots[k] // 2, slots[k] % 2
        for number in holders[ends[item] : ends[item + 1]]:
            on[half, number] += abs(values[k])
    return on[0] + on[1]


@numba.njit(cache=True, nogil=True)
def take(indptr, slots, values, features, place, sums):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Put the sums of features on chosen items, `place` of each, in their cells by half."""
    for column in range(len(features)):
        for k in range(indptr[features[column]], indptr[features[column] + 1]):
            row = place[slots[k] // 2]
            if row >= 0:
                sums[slots[k] % 2, column, row] = values[k]
