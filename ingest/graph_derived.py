"""Relationships that no table has rows of: edges within communities, and communities in larger ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atlas.ingest.graph_read import READ, Tables
from atlas.schema.fields import LEVELS

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Derived:
    """What follows from the tables of edges, communities and memberships."""

    tables: Tables

    def ends(self, kind: str) -> tuple[Indices, Indices]:
        """Return the lower and the higher index of each edge of a kind's backbone: int64[n_edges], in their order."""
        table = self._kept
        table = table.filter(pc.equal(table["kind"], pa.scalar(kind)))
        return table["a"].to_numpy(), table["b"].to_numpy()

    def n_within(self) -> int:
        """Return how many `:WITHIN` there are."""
        return sum(int((self._inside(level) >= 0).sum()) for level in LEVELS)

    def within(self) -> Iterator[pa.RecordBatch]:
        """Yield on each level the edges whose ends share a community: `a`, `b`, `level` and `cluster`."""
        a, b = self.ends("CO_OCCURS")
        for level in LEVELS:
            number = self._inside(level)
            some = np.flatnonzero(number >= 0)
            for first in range(0, len(some), READ):
                part = some[first : first + READ]
                yield _batch({"a": a[part], "b": b[part], "level": [level] * len(part), "cluster": number[part]})

    def n_parts(self) -> int:
        """Return how many `:PART_OF` there are."""
        parents = self.tables.whole("clusters", ["parent"])["parent"]
        return len(parents) - parents.null_count

    def parts(self) -> Iterator[pa.RecordBatch]:
        """Yield the communities that lie in another: `level`, `cluster`, `outer_level`, `outer` and the `share`."""
        rows = self.tables.whole("clusters", ["level", "cluster", "size", "parent"]).to_pylist()
        sizes = {(row["level"], row["cluster"]): row["size"] for row in rows}
        found = [
            row | {"outer_level": LEVELS[LEVELS.index(row["level"]) - 1], "outer": row["parent"]}
            for row in rows
            if row["parent"] is not None
        ]
        share = [row["size"] / sizes[row["outer_level"], row["outer"]] for row in found]
        names = ("level", "cluster", "outer_level", "outer")
        yield _batch({name: [row[name] for row in found] for name in names} | {"share": share})

    @cached_property
    def _kept(self) -> pa.Table:
        table = self.tables.whole("edges", ["a", "b", "kind", "kept_by"])
        return table.filter(pc.is_valid(table["kept_by"]))

    def _inside(self, level: str) -> Indices:
        """Return for each edge of the backbone the community that both ends share, int64[n_edges]; -1 for none."""
        a, b = self.ends("CO_OCCURS")
        table = self.tables.whole("membership", ["index", "level", "cluster"])
        table = table.filter(pc.equal(table["level"], pa.scalar(level)))
        index = table["index"].to_numpy()
        number = np.full(1 + max((int(of.max()) for of in (index, a, b) if len(of)), default=-1), -1, np.int64)
        number[index] = table["cluster"].to_numpy()
        return np.where(number[a] == number[b], number[a], -1)


def _batch(columns: Mapping[str, Any]) -> pa.RecordBatch:
    kinds = {"level": pa.string(), "outer_level": pa.string(), "share": pa.float64()}
    arrays = [pa.array(values, kinds.get(name, pa.int64())) for name, values in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
