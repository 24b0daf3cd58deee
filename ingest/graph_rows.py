"""Rows of the graph, streamed from an atlas's artifacts in the form that the schema's statements take."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.artifacts import Artifact
from atlas.errors import ArtifactError
from atlas.ingest.graph_sources import OPTIONAL, STAGES
from atlas.schema import EDGE_KINDS, NODES, RELATIONSHIPS, SCHEMA_VERSION, TABLES
from atlas.schema.fields import LEVELS
from atlas.schema.generate import edge_columns, loaded

_CAPTION = 24  # characters of each end's name in the caption of an edge
_READ = 8192  # rows of a table in memory at once
_BUFFER = 1 << 16  # bytes of a column that are read ahead; without it a whole row group is
_HALVES = {
    "edges": "replicated_edges",
    "parents": "replicated_parents",
    "same_as": "replicated_same_as",
    "membership": "replicated_membership",
}
"""Tables whose rows have a number of `halves` in another table, in the same order."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """The rows of one atlas under one name.

    Parameters
    ----------
    artifacts
        The finished artifacts of `STAGES` and of any of `OPTIONAL`, by name. The tables of one that is not among
        them are empty: nothing is loaded of it, and its properties are absent.
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
        known = {stage: self.artifacts[stage] for stage in (*STAGES, *OPTIONAL) if stage in self.artifacts}
        object.__setattr__(self, "artifacts", known)
        sums = {stage: artifact.digest for stage, artifact in known.items()}
        object.__setattr__(self, "digest", hashlib.sha256(_json(sums).encode()).hexdigest())

    @property
    def load_id(self) -> str:
        """What marks all that this load writes."""
        return self.digest[:16]

    def expected(self) -> dict[str, int]:
        """Return how many nodes of each label and relationships of each type the graph will hold."""
        features, clusters = self._length("50-structure", "features"), self._length("40-clusters", "clusters")
        peer_clusters = self._length("45-peer", "peer_clusters")
        edges = {kind: len(self._ends(kind)[0]) for kind in EDGE_KINDS}
        parents = self._table("40-clusters", "clusters", ["parent"])["parent"]
        direct = self._table("40-clusters", "parents", ["direct"])["direct"]
        return {
            "Atlas": 1,
            "Feature": features,
            "Edge": sum(edges.values()),
            "Cluster": clusters,
            "PeerCluster": peer_clusters,
            "OF_ATLAS": features + clusters + peer_clusters,
            **edges,
            "ENDPOINT_OF": 2 * sum(edges.values()),
            "WITHIN": sum(int(self._inside(level).sum()) for level in LEVELS),
            "PARENT_OF": pc.sum(direct).as_py() or 0,
            "SAME_AS": self._length("40-clusters", "same_as"),
            "IN_CLUSTER": self._length("40-clusters", "membership"),
            "PART_OF": len(parents) - parents.null_count,
            "IN_PEER_CLUSTER": self._length("45-peer", "peer_membership"),
        }

    def atlas(self) -> Row:
        """Return the properties of the `:Atlas`, all but `complete`."""
        activations = self.artifacts["10-activations"]
        found = {
            **{name: value for stage in OPTIONAL for name, value in self._results(stage).items()},
            **activations.results,
            **self._results("40-clusters"),
            **self._results("30-edges"),
            "atlas": self.name,
            "name": self.name,
            "schema_version": SCHEMA_VERSION,
            "digest": self.digest,
            "complete": False,
            "parameters": _json({stage: part.parameters for stage, part in self.artifacts.items()}),
            "versions": _json({stage: part.made.get("tools", {}) for stage, part in self.artifacts.items()}),
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
        tables = (("50-structure", "egos"), ("40-clusters", "parent_summary"), ("55-replication", "replicated_egos"))
        evidence = [{row["index"]: row for row in self._table(*table).to_pylist()} for table in tables]
        for row in self._stream("50-structure", "features"):
            found: Row = {}
            for rows in evidence:
                found |= rows.get(row["index"], {})
            found |= {**row, "atlas": self.name, "load_id": self.load_id}
            yield {
                "uid": self.feature(row["index"]),
                "properties": {name: found.get(name) for name in names},
            }

    def clusters(self) -> Iterator[Row]:
        """Yield the rows of `:Cluster`."""
        names = [wanted.name for wanted in loaded(NODES["Cluster"])]
        shapes, again = (
            {(row["level"], row["cluster"]): row for row in self._table(*table).to_pylist()}
            for table in (("50-structure", "shapes"), ("55-replication", "replicated_clusters"))
        )
        for row in self._stream("40-clusters", "clusters"):
            key = (row["level"], row["cluster"])
            if key not in shapes:
                raise ArtifactError(
                    f"50-structure/shapes: no row for community {row['level']}:{row['cluster']}",
                    "run `atlas ingest structure` again",
                )
            found = {**again.get(key, {}), **shapes[key], **row, "atlas": self.name, "load_id": self.load_id}
            yield {"uid": self.cluster(*key), "properties": {name: found.get(name) for name in names}}

    def peer_clusters(self) -> Iterator[Row]:
        """Yield the rows of `:PeerCluster`, each with the name of its hub."""
        names = [wanted.name for wanted in loaded(NODES["PeerCluster"])]
        for row in self._stream("45-peer", "peer_clusters"):
            hub = row["hub"]
            found = {**row, "name": self._captions.get(hub, str(hub)), "atlas": self.name, "load_id": self.load_id}
            uid = self.peer_cluster(row["peer_cluster"])
            yield {"uid": uid, "properties": {name: found.get(name) for name in names}}

    def edges(self, kind: str) -> Iterator[pa.RecordBatch]:
        """Yield a kind's backbone in batches of the columns `edge_columns`: there are many, and rows cost more."""
        columns = edge_columns()
        for batch in self._batches("30-edges", "edges"):
            keep = pc.and_(pc.is_valid(batch["kept_by"]), pc.equal(batch["kind"], pa.scalar(kind)))
            batch = batch.filter(keep)
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            a, b = (found[end].cast(pa.string()) for end in ("a", "b"))
            found["uid"] = _joined(f"{self.name}:{kind}", a, b, by=":")
            found["start"], found["end"] = (_joined(self.name, end, by=":") for end in (a, b))
            found["name"] = _joined(*(self._captions_of(batch[end]) for end in ("a", "b")), by=" · ")
            for name, value in (("atlas", self.name), ("load_id", self.load_id)):
                found[name] = pa.repeat(pa.scalar(value), batch.num_rows)
            absent = pa.nulls(batch.num_rows)
            yield pa.RecordBatch.from_arrays([found.get(name, absent) for name in columns], names=list(columns))

    def of_atlas(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """Yield the label and the rows of `:OF_ATLAS` from each label that has it."""
        indices = self._stream("50-structure", "features", columns=["index"])
        yield "Feature", (_row(self.feature(row["index"]), self.name) for row in indices)
        keys = self._stream("40-clusters", "clusters", columns=["level", "cluster"])
        yield "Cluster", (_row(self.cluster(row["level"], row["cluster"]), self.name) for row in keys)
        numbers = self._stream("45-peer", "peer_clusters", columns=["peer_cluster"])
        yield "PeerCluster", (_row(self.peer_cluster(row["peer_cluster"]), self.name) for row in numbers)

    def relationships(self) -> Iterator[tuple[str, str, Iterator[Row]]]:
        """Yield the type, the label that it starts at, and the rows of each further type."""
        yield "PARENT_OF", "Feature", self.parents()
        yield "SAME_AS", "Feature", self.same()
        yield "IN_CLUSTER", "Feature", self.members()
        yield "IN_PEER_CLUSTER", "Feature", self.peer_members()
        yield "PART_OF", "Cluster", self.parts()
        yield "WITHIN", "Edge", self.within()

    def members(self) -> Iterator[Row]:
        """Yield the rows of `:IN_CLUSTER`."""
        for row in self._stream("40-clusters", "membership"):
            end = self.cluster(row["level"], row["cluster"])
            yield self._described("IN_CLUSTER", self.feature(row["index"]), end, row)

    def peer_members(self) -> Iterator[Row]:
        """Yield the rows of `:IN_PEER_CLUSTER`."""
        for row in self._stream("45-peer", "peer_membership"):
            end = self.peer_cluster(row["peer_cluster"])
            yield self._described("IN_PEER_CLUSTER", self.feature(row["index"]), end, row)

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

    def peer_cluster(self, number: int) -> str:
        """Return the uid of a cluster of the peer's method."""
        return f"{self.name}:peer:{number}"

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

    def _captions_of(self, index: pa.Array[Any]) -> pa.Array[Any]:
        """Return the captions of features; one that the table lacks has its index."""
        known, texts = self._caption_table
        found: pa.Array[Any] = pc.coalesce(texts.take(pc.index_in(index, known)), index.cast(pa.string()))
        return found

    @cached_property
    def _caption_table(self) -> tuple[pa.Array[Any], pa.Array[Any]]:
        return pa.array(self._captions.keys(), pa.int64()), pa.array(self._captions.values(), pa.string())

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

    def _stream(self, stage: str, table: str, *, columns: list[str] | None = None) -> Iterator[Row]:
        for batch in self._batches(stage, table, columns):
            yield from batch.to_pylist()

    def _batches(self, stage: str, table: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        if stage not in self.artifacts:
            return
        halves = None
        if columns is None and table in _HALVES and "55-replication" in self.artifacts:
            halves = self._table("55-replication", _HALVES[table], ["halves"])["halves"].combine_chunks()
        at = 0
        with pq.ParquetFile(self._path(stage, table), pre_buffer=False, buffer_size=_BUFFER) as file:
            for batch in file.iter_batches(batch_size=_READ, columns=columns):
                if halves is not None:
                    batch = batch.append_column("halves", halves[at : at + batch.num_rows])
                    at += batch.num_rows
                yield batch

    def _table(self, stage: str, table: str, columns: list[str] | None = None) -> pa.Table:
        if stage not in self.artifacts:
            empty = TABLES[table].arrow().empty_table()
            return empty if columns is None else empty.select(columns)
        return pq.read_table(self._path(stage, table), columns=columns)

    def _length(self, stage: str, table: str) -> int:
        return int(pq.read_metadata(self._path(stage, table)).num_rows) if stage in self.artifacts else 0

    def _path(self, stage: str, table: str) -> Path:
        return self.artifacts[stage].path / f"{table}.parquet"

    def _results(self, stage: str) -> Mapping[str, Any]:
        return self.artifacts[stage].results if stage in self.artifacts else {}


def _joined(*parts: Any, by: str) -> pa.Array[Any]:
    """Return the strings, row by row, with `by` between them."""
    joined: pa.Array[Any] = pc.binary_join_element_wise(*parts, by)
    return joined


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
