"""Rows of the graph, streamed from an atlas's artifacts in the form that the schema's statements take."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.artifacts import Artifact
from atlas.errors import ArtifactError
from atlas.schema import EDGE_KINDS, NODES, RELATIONSHIPS, SCHEMA_VERSION
from atlas.schema.fields import LEVELS
from atlas.schema.generate import loaded

STAGES = ("10-activations", "30-edges", "40-clusters", "50-structure")
"""The artifacts that the graph is loaded from."""

_CAPTION = 24  # characters of each end's name in the caption of an edge
_READ = 8192  # rows of a table in memory at once

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """The rows of one atlas under one name.

    Parameters
    ----------
    artifacts
        The finished artifacts of `STAGES`, by name.
    name
        Name of the atlas in the database; every uid starts with it.
    """

    artifacts: Mapping[str, Artifact]
    name: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        missing = [stage for stage in STAGES if stage not in self.artifacts]
        if missing:
            raise ArtifactError(
                f"{missing[0]}: not there or not finished", f"run `atlas ingest {missing[0][3:]}` first"
            )
        sums = {stage: self.artifacts[stage].digest for stage in STAGES}
        object.__setattr__(self, "digest", hashlib.sha256(_json(sums).encode()).hexdigest())

    @property
    def load_id(self) -> str:
        """What marks all that this load writes."""
        return self.digest[:16]

    def expected(self) -> dict[str, int]:
        """Return how many nodes of each label and relationships of each type the graph will hold."""
        features, clusters = self._length("50-structure", "features"), self._length("40-clusters", "clusters")
        edges = {kind: len(self._ends(kind)[0]) for kind in EDGE_KINDS}
        parents = self._table("40-clusters", "clusters", ["parent"])["parent"]
        direct = self._table("40-clusters", "parents", ["direct"])["direct"]
        return {
            "Atlas": 1,
            "Feature": features,
            "Edge": sum(edges.values()),
            "Cluster": clusters,
            "OF_ATLAS": features + clusters,
            **edges,
            "ENDPOINT_OF": 2 * sum(edges.values()),
            "WITHIN": sum(int(self._inside(level).sum()) for level in LEVELS),
            "PARENT_OF": pc.sum(direct).as_py() or 0,
            "SAME_AS": self._length("40-clusters", "same_as"),
            "IN_CLUSTER": self._length("40-clusters", "membership"),
            "PART_OF": len(parents) - parents.null_count,
        }

    def atlas(self) -> Row:
        """Return the properties of the `:Atlas`, all but `complete`."""
        activations = self.artifacts["10-activations"]
        parts = {stage: self.artifacts[stage] for stage in STAGES}
        found = {
            **activations.results,
            **self.artifacts["40-clusters"].results,
            **self.artifacts["30-edges"].results,
            "atlas": self.name,
            "name": self.name,
            "schema_version": SCHEMA_VERSION,
            "digest": self.digest,
            "complete": False,
            "parameters": _json({stage: part.parameters for stage, part in parts.items()}),
            "versions": _json({stage: part.made.get("tools", {}) for stage, part in parts.items()}),
            "created": _finished(activations.made),
        }
        for wanted in loaded(NODES["Atlas"]):
            if wanted.required and found.get(wanted.name) is None:
                raise ArtifactError(
                    f"10-activations, 30-edges: the manifests do not say {wanted.name}",
                    "run these stages again with this version",
                )
        return {wanted.name: found.get(wanted.name) for wanted in loaded(NODES["Atlas"])}

    def features(self) -> Iterator[Row]:
        """Yield the rows of `:Feature`, dead ones included, with the evidence of their ego subgraphs."""
        names = [wanted.name for wanted in loaded(NODES["Feature"])]
        egos, kin = (
            {row["index"]: row for row in self._table(stage, table).to_pylist()}
            for stage, table in (("50-structure", "egos"), ("40-clusters", "parent_summary"))
        )
        for row in self._stream("50-structure", "features"):
            more = egos.get(row["index"], {}) | kin.get(row["index"], {})
            found = {**more, **row, "atlas": self.name, "load_id": self.load_id}
            yield {
                "uid": self.feature(row["index"]),
                "properties": {name: found.get(name) for name in names},
            }

    def clusters(self) -> Iterator[Row]:
        """Yield the rows of `:Cluster`."""
        names = [wanted.name for wanted in loaded(NODES["Cluster"])]
        shapes = {(row["level"], row["cluster"]): row for row in self._table("50-structure", "shapes").to_pylist()}
        for row in self._stream("40-clusters", "clusters"):
            key = (row["level"], row["cluster"])
            if key not in shapes:
                raise ArtifactError(
                    f"50-structure/shapes: no row for community {row['level']}:{row['cluster']}",
                    "run `atlas ingest structure` again",
                )
            found = {**shapes[key], **row, "atlas": self.name, "load_id": self.load_id}
            yield {"uid": self.cluster(*key), "properties": {name: found.get(name) for name in names}}

    def edges(self, kind: str) -> Iterator[Row]:
        """Yield the rows of a kind's backbone: each edge as a relationship and as a node."""
        of_node = [wanted.name for wanted in loaded(NODES["Edge"])]
        of_relationship = [wanted.name for wanted in loaded(RELATIONSHIPS[kind])]
        captions = self._captions
        for row in self._stream("30-edges", "edges", kind=kind):
            a, b = row["a"], row["b"]
            row["name"] = f"{captions.get(a, a)} · {captions.get(b, b)}"
            row["atlas"], row["load_id"] = self.name, self.load_id
            yield {
                "uid": self.edge(kind, a, b),
                "a": self.feature(a),
                "b": self.feature(b),
                "relationship": {name: row.get(name) for name in of_relationship},
                "node": {name: row.get(name) for name in of_node},
            }

    def of_atlas(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """Yield the label and the rows of `:OF_ATLAS` from each label that has it."""
        indices = self._stream("50-structure", "features", columns=["index"])
        yield "Feature", (_row(self.feature(row["index"]), self.name) for row in indices)
        keys = self._stream("40-clusters", "clusters", columns=["level", "cluster"])
        yield "Cluster", (_row(self.cluster(row["level"], row["cluster"]), self.name) for row in keys)

    def members(self) -> Iterator[Row]:
        """Yield the rows of `:IN_CLUSTER`."""
        for row in self._stream("40-clusters", "membership"):
            end = self.cluster(row["level"], row["cluster"])
            yield self._described("IN_CLUSTER", self.feature(row["index"]), end, row)

    def parents(self) -> Iterator[Row]:
        """Yield the rows of `:PARENT_OF`: the direct pairs."""
        for row in self._stream("40-clusters", "parents"):
            if row["direct"]:
                yield self._described("PARENT_OF", self.feature(row["parent"]), self.feature(row["child"]), row)

    def same(self) -> Iterator[Row]:
        """Yield the rows of `:SAME_AS`."""
        for row in self._stream("40-clusters", "same_as"):
            yield self._described("SAME_AS", self.feature(row["a"]), self.feature(row["b"]), row)

    def parts(self) -> Iterator[Row]:
        """Yield the rows of `:PART_OF`: a community and the one that holds it."""
        sizes: dict[tuple[str, int], int] = {}
        columns = ["level", "cluster", "size", "parent"]
        rows = self._table("40-clusters", "clusters", columns).to_pylist()
        for row in rows:
            sizes[row["level"], row["cluster"]] = row["size"]
        for row in rows:
            if row["parent"] is None:
                continue
            outer = (LEVELS[LEVELS.index(row["level"]) - 1], row["parent"])
            start = self.cluster(row["level"], row["cluster"])
            yield _row(start, self.cluster(*outer), load_id=self.load_id, share=row["size"] / sizes[outer])

    def within(self) -> Iterator[Row]:
        """Yield the rows of `:WITHIN`: on each level, the edges whose ends share a community."""
        a, _ = ends = self._ends("CO_OCCURS")
        for level in LEVELS:
            number = self._assignment(level)
            for i in np.flatnonzero(self._inside(level)):
                end = self.cluster(level, int(number[a[i]]))
                yield _row(self.edge("CO_OCCURS", *(int(side[i]) for side in ends)), end, load_id=self.load_id)

    def feature(self, index: int) -> str:
        """Return the uid of a feature."""
        return f"{self.name}:{index}"

    def edge(self, kind: str, a: int, b: int) -> str:
        """Return the uid of an edge, in both of its forms."""
        return f"{self.name}:{kind}:{a}:{b}"

    def cluster(self, level: str, number: int) -> str:
        """Return the uid of a community."""
        return f"{self.name}:{level}:{number}"

    def _ends(self, kind: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Lower and higher index of each edge of a kind's backbone, int64[n_edges], in the table's order."""
        table = self._kept
        table = table.filter(pc.equal(table["kind"], pa.scalar(kind)))
        return table["a"].to_numpy(), table["b"].to_numpy()

    @cached_property
    def _kept(self) -> pa.Table:
        table = self._table("30-edges", "edges", ["a", "b", "kind", "kept_by"])
        return table.filter(pc.is_valid(table["kept_by"]))

    def _described(self, type_: str, start: str, end: str, found: Row) -> Row:
        """Return the row of a relationship with the properties that the schema gives its type."""
        found = {**found, "load_id": self.load_id}
        return _row(start, end, **{wanted.name: found.get(wanted.name) for wanted in loaded(RELATIONSHIPS[type_])})

    @cached_property
    def _captions(self) -> dict[int, str]:
        rows = self._stream("50-structure", "features", columns=["index", "name"])
        return {row["index"]: _shorten(row["name"]) for row in rows}

    def _assignment(self, level: str) -> npt.NDArray[np.int64]:
        """Return the number of each feature's community on a level, int64[n_features]; -1 for none."""
        table = self._table("40-clusters", "membership")
        table = table.filter(pc.equal(table["level"], pa.scalar(level)))
        index = table["index"].to_numpy()
        highest = max((int(ends.max()) for ends in (index, *self._ends("CO_OCCURS")) if len(ends)), default=-1)
        number = np.full(highest + 1, -1, dtype=np.int64)
        number[index] = table["cluster"].to_numpy()
        return number

    def _inside(self, level: str) -> npt.NDArray[np.bool_]:
        """Return for each edge of the backbone whether its ends share a community, bool[n_edges]."""
        a, b = self._ends("CO_OCCURS")
        number = self._assignment(level)
        inside: npt.NDArray[np.bool_] = (number[a] == number[b]) & (number[a] >= 0)
        return inside

    def _stream(
        self, stage: str, table: str, *, columns: list[str] | None = None, kind: str | None = None
    ) -> Iterator[Row]:
        with pq.ParquetFile(self.artifacts[stage].path / f"{table}.parquet") as file:
            for batch in file.iter_batches(batch_size=_READ, columns=columns):
                if kind is not None:  # of an edge, and on that kind's backbone
                    keep = pc.and_(pc.is_valid(batch["kept_by"]), pc.equal(batch["kind"], pa.scalar(kind)))
                    batch = batch.filter(keep)
                yield from batch.to_pylist()

    def _table(self, stage: str, table: str, columns: list[str] | None = None) -> pa.Table:
        return pq.read_table(self.artifacts[stage].path / f"{table}.parquet", columns=columns)

    def _length(self, stage: str, table: str) -> int:
        path = self.artifacts[stage].path / f"{table}.parquet"
        return int(pq.read_metadata(path).num_rows)


def _row(start: str, end: str, **properties: Any) -> Row:
    return {"start": start, "end": end, "properties": properties}


def _shorten(name: str) -> str:
    return name if len(name) <= _CAPTION else name[: _CAPTION - 1] + "…"


def _finished(made: Mapping[str, Any]) -> str:
    started = datetime.datetime.fromisoformat(made["started"])
    finished = started + datetime.timedelta(seconds=float(made["wall_seconds"]))
    return finished.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
