"""Reads the tables that a graph is loaded from: in batches, with the columns of the tables beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.artifacts import Artifact
from atlas.schema import TABLES
from atlas.schema.fields import LEVELS

READ = 8192
"""Rows of a table in memory at once."""
_BUFFER = 1 << 16  # bytes of a column that are read ahead; without it a whole row group is

Columns = dict[str, "pa.Array[Any]"]


@dataclass(frozen=True)
class Tables:
    """The tables of one atlas, each by its name.

    Parameters
    ----------
    artifacts
        The finished artifacts by name. The tables of one that is not among them are empty.
    """

    artifacts: Mapping[str, Artifact]
    _beside: dict[tuple[str, tuple[str, ...]], _Beside] = field(default_factory=dict, init=False, repr=False)

    def length(self, name: str) -> int:
        """Return the number of a table's rows."""
        return int(pq.read_metadata(self._path(name)).num_rows) if self.has(name) else 0

    def has(self, name: str) -> bool:
        """Return whether the artifact that holds the table is there."""
        return TABLES[name].stage in self.artifacts

    def whole(self, name: str, columns: Sequence[str]) -> pa.Table:
        """Return some columns of a table."""
        if not self.has(name):
            return TABLES[name].arrow().empty_table().select(list(columns))
        return pq.read_table(self._path(name), columns=list(columns))

    def batches(self, name: str, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
        """Yield those of the columns that a table has, in batches."""
        if not self.has(name):
            return
        wanted = set(columns)
        with pq.ParquetFile(self._path(name), pre_buffer=False, buffer_size=_BUFFER) as file:
            known = [column for column in file.schema_arrow.names if column in wanted]
            yield from file.iter_batches(batch_size=READ, columns=known)

    def beside(self, names: Iterable[str], batch: pa.RecordBatch, wanted: Iterable[str]) -> Columns:
        """Return what other tables say of a batch's rows: their columns by name, of two of one name the first."""
        found: Columns = {}
        for name in names:
            if not self.has(name):
                continue
            table = TABLES[name]
            columns = tuple(column.name for column in table.columns if column.name in set(wanted) - set(table.key))
            place = (name, columns)
            if place not in self._beside:
                self._beside[place] = _Beside.of(self.whole(name, (*table.key, *columns)), table.key)
            found = {**self._beside[place].columns(batch), **found}
        return found

    def gathered(self, name: str, key: str, lists: Mapping[str, str], batch: pa.RecordBatch) -> Columns:
        """Return for a batch's rows lists of what another table says of each, by the names that `lists` gives them."""
        if not self.has(name):
            return {}
        place = (name, tuple(lists))
        if place not in self._beside:
            self._beside[place] = _Beside.of(_gather(self.whole(name, (key, *lists)), key, lists), (key,))
        return self._beside[place].columns(batch)

    def missing(self, name: str, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Return the rows of a batch that another table has no row for."""
        key = TABLES[name].key
        return np.flatnonzero(~np.isin(_codes(batch, key), _codes(self.whole(name, key), key)))

    def _path(self, name: str) -> Path:
        return self.artifacts[TABLES[name].stage].path / f"{name}.parquet"


@dataclass(frozen=True)
class _Beside:
    """A table in memory, found by its key."""

    key: tuple[str, ...]
    codes: npt.NDArray[np.int64]
    table: pa.Table

    @classmethod
    def of(cls, table: pa.Table, key: tuple[str, ...]) -> _Beside:
        codes = _codes(table, key)
        order = np.argsort(codes, kind="stable")
        rest = table.drop_columns(list(key))
        sorted_already = bool((order[1:] > order[:-1]).all())
        return cls(key, codes[order], rest if sorted_already else rest.take(pa.array(order, pa.int64())))

    def columns(self, batch: pa.RecordBatch) -> Columns:
        """Return its columns for the rows of a batch, absent where it has no row."""
        if not len(self.codes):
            return {name: pa.nulls(batch.num_rows, self.table[name].type) for name in self.table.column_names}
        codes = _codes(batch, self.key)
        at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        found = self.table.take(pa.array(at, pa.int64(), mask=self.codes[at] != codes))
        return {name: found[name].combine_chunks() for name in found.column_names}


def _codes(rows: pa.Table | pa.RecordBatch, key: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return one number for the values of one or two key columns: indices, or a level and an index."""
    numbers = []
    for name in key:
        column = rows[name]
        if pa.types.is_string(column.type):
            column = pc.index_in(column, pa.array(LEVELS))
        numbers.append(np.asarray(column).astype(np.int64))
    if len(numbers) > 2:
        raise ValueError(f"a key of {len(numbers)} columns")
    return numbers[0] if len(numbers) == 1 else (numbers[0] << 32) | numbers[1]


def _gather(table: pa.Table, key: str, columns: Mapping[str, str]) -> pa.Table:
    """Return a table with a row for each value of its key, by which it is sorted, and columns made lists."""
    values, starts = np.unique(table[key].to_numpy(), return_index=True)
    ends = pa.array(np.append(starts, table.num_rows), pa.int32())
    lists = [pa.ListArray.from_arrays(ends, table[column].combine_chunks()) for column in columns]
    return pa.table([pa.array(values, pa.int64()), *lists], names=[key, *columns.values()])
