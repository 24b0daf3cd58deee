"""Rows of the graph, streamed from an atlas's artifacts in batches of columns."""

from __future__ import annotations

import datetime
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atlas.artifacts import Artifact
from atlas.errors import ArtifactError
from atlas.ingest.graph_derived import Derived
from atlas.ingest.graph_read import Columns, Tables
from atlas.ingest.graph_sources import OPTIONAL, STAGES
from atlas.ingest.graph_tables import EDGE_TABLES, LINK_TABLES, NODE_TABLES, SHIFTS, Key, LinkTable
from atlas.schema import EDGE_KINDS, NODES, RELATIONSHIPS, SCHEMA_VERSION, TABLES
from atlas.schema.behaviour_fields import SHIFT_Q
from atlas.schema.generate import edge_columns, loaded
from atlas.schema.tables import arrow_type

_ATLAS = 0
"""Number of the `:Atlas`."""
_CAPTION = 24  # characters of each end's name in the caption of an edge

Row = dict[str, Any]
Batches = Iterator[pa.RecordBatch]


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
    numbered
        Whether relationships name their ends by number in place of uid, and nodes have a `number` beside it, which no
        other of their label has (of an edge, of its kind): what is only to be told apart needs no text.
    """

    artifacts: Mapping[str, Artifact]
    name: str
    numbered: bool = False
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        missing = [stage for stage in STAGES if stage not in self.artifacts]
        if missing:
            raise ArtifactError(
                f"{missing[0]}: not there or not finished", f"run `atlas ingest {missing[0][3:]}` first"
            )
        known = {stage: self.artifacts[stage] for stage in (*STAGES, *OPTIONAL) if stage in self.artifacts}
        object.__setattr__(self, "artifacts", known)
        object.__setattr__(self, "digest", hashlib.sha256(_json(self._digests).encode()).hexdigest())

    @property
    def load_id(self) -> str:
        """What marks all that this load writes."""
        return self.digest[:16]

    @cached_property
    def tables(self) -> Tables:
        """The tables of its artifacts."""
        return Tables(self.artifacts)

    @cached_property
    def derived(self) -> Derived:
        """What no table has a row for."""
        return Derived(self.tables)

    def expected(self) -> dict[str, int]:
        """Return how many nodes of each label and relationships of each type the graph will hold."""
        nodes = {label: self.tables.length(source.table) for label, source in NODE_TABLES.items()}
        edges = {kind: len(self.derived.ends(kind)[0]) for kind in EDGE_KINDS}
        return {
            "Atlas": 1,
            **nodes,
            "Edge": sum(edges.values()),
            "OF_ATLAS": sum(nodes[label] for label in RELATIONSHIPS["OF_ATLAS"].start),
            **edges,
            "ENDPOINT_OF": 2 * sum(edges.values()),
            "WITHIN": self.derived.n_within(),
            "PART_OF": self.derived.n_parts(),
            **{type_: sum(map(self._count, sources)) for type_, sources in LINK_TABLES.items()},
        }

    def atlas(self) -> Batches:
        """Yield the row of the `:Atlas`: all its properties but whether it is complete, which is false."""
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
            "artifacts": _json(self._digests),
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
        columns = {
            wanted.name: pa.array([found.get(wanted.name)], arrow_type(wanted)) for wanted in loaded(NODES["Atlas"])
        }
        number = {"number": pa.array([_ATLAS])} if self.numbered else {}
        yield pa.RecordBatch.from_pydict({"uid": [self.name], **number, **columns})

    def nodes(self, label: str) -> Batches:
        """Yield a label's nodes: `uid`, and the properties that the schema gives the label; null where absent."""
        source, wanted = NODE_TABLES[label], [each.name for each in loaded(NODES[label])]
        columns = {column.name for column in TABLES[source.table].columns}
        for batch in self.tables.batches(source.table, columns):
            for name in source.needed:
                if (missing := self.tables.missing(name, batch)).size:
                    row = batch.slice(int(missing[0]), 1).to_pylist()[0]
                    what = ":".join(str(row[column]) for column in source.key.columns)
                    raise ArtifactError(
                        f"{TABLES[name].stage}/{name}: no row for {label} {what}",
                        f"run `atlas ingest {TABLES[name].stage[3:]}` again",
                    )
            found = self.tables.beside(source.beside, batch, wanted) | _columns(batch)
            for name, lists in source.lists.items():
                found |= self.tables.gathered(name, source.key.columns[0], lists, batch)
            if "name" not in found:
                found["name"] = batch[source.named] if source.named else self._captions_of(batch["hub"])
            found |= {"uid": self._uids(source.key, batch)} | self._number(source.key, batch)
            yield self._filled((*self._identity, *wanted), found, batch.num_rows)

    def edges(self, kind: str) -> Batches:
        """Yield a kind's backbone in batches of the columns `edge_columns`."""
        columns, key = (*self._identity, *edge_columns()[1:]), ("a", "b")
        for batch in self.tables.batches("edges", (column.name for column in TABLES["edges"].columns)):
            batch = batch.filter(pc.and_(pc.is_valid(batch["kept_by"]), pc.equal(batch["kind"], pa.scalar(kind))))
            found = self.tables.beside(EDGE_TABLES, batch, (*columns, *SHIFTS.values())) | _columns(batch)
            found |= _significant(found)
            found["uid"] = _joined(self.name, kind, *(batch[end].cast(pa.string()) for end in key), by=":")
            found |= self._number(Key("Edge", key), batch)
            found["start"], found["end"] = (self._ends(Key("Feature", (end,)), batch) for end in key)
            found["name"] = _joined(*(self._captions_of(batch[end]) for end in key), by=" · ")
            yield self._filled(columns, found, batch.num_rows)

    def of_atlas(self) -> Iterator[tuple[str, Batches]]:
        """Yield the label and the rows of `:OF_ATLAS` from each label that has it."""
        for label in RELATIONSHIPS["OF_ATLAS"].start:
            yield label, self._of_atlas(label)

    def relationships(self, type_: str) -> Batches:
        """Yield a type's relationships: `start`, `end`, `uid` where it is keyed, and their properties."""
        if type_ in ("WITHIN", "PART_OF"):
            for batch in self.derived.within() if type_ == "WITHIN" else self.derived.parts():
                ends = {"start": ("Edge", ("a", "b")), "end": ("Cluster", ("level", "cluster"))}
                if type_ == "PART_OF":
                    ends = {"start": ("Cluster", ("level", "cluster")), "end": ("Cluster", ("outer_level", "outer"))}
                found = _columns(batch) | {end: self._ends(Key(*key), batch) for end, key in ends.items()}
                yield self._filled(relationship_columns(type_), found, batch.num_rows)
        for source in LINK_TABLES.get(type_, ()):
            yield from self._linked(type_, source)

    def _linked(self, type_: str, source: LinkTable) -> Batches:
        wanted = relationship_columns(type_)
        columns = {*source.start.columns, *source.end.columns, *source.uid, *wanted, source.where}
        for batch in self.tables.batches(source.table, columns):
            if source.where:
                batch = batch.filter(batch[source.where])
            found = self.tables.beside(source.beside, batch, wanted) | _columns(batch)
            found["start"], found["end"] = (self._ends(key, batch) for key in (source.start, source.end))
            if source.uid:
                parts = (batch[column].cast(pa.string()) for column in source.uid)
                found["uid"] = _joined(self.name, *parts, by=":")
            yield self._filled(wanted, found, batch.num_rows)

    def _of_atlas(self, label: str) -> Batches:
        source = NODE_TABLES[label]
        for batch in self.tables.batches(source.table, source.key.columns):
            atlas = pa.repeat(pa.scalar(_ATLAS if self.numbered else self.name), batch.num_rows)
            ends = [self._ends(source.key, batch), atlas]
            yield pa.RecordBatch.from_arrays(ends, names=["start", "end"])

    def _count(self, source: LinkTable) -> int:
        if not source.where:
            return self.tables.length(source.table)
        return int(pc.sum(self.tables.whole(source.table, [source.where])[source.where]).as_py() or 0)

    def _uids(self, key: Key, batch: pa.RecordBatch) -> pa.Array[Any]:
        parts = (batch[column].cast(pa.string()) for column in key.columns)
        return _joined(self.name, *([key.word] if key.word else []), *parts, by=":")

    @property
    def _identity(self) -> tuple[str, ...]:
        return ("uid", "number") if self.numbered else ("uid",)

    def _number(self, key: Key, batch: pa.RecordBatch) -> Columns:
        return {"number": _numbers(key, batch)} if self.numbered else {}

    def _ends(self, key: Key, batch: pa.RecordBatch) -> pa.Array[Any]:
        return _numbers(key, batch) if self.numbered else self._uids(key, batch)

    def _filled(self, names: Sequence[str], found: Columns, n_rows: int) -> pa.RecordBatch:
        """Return the columns of these names, with what every row of the atlas has, and nulls for what is absent."""
        same = {"atlas": self.name, "load_id": self.load_id}
        arrays = [
            pa.repeat(pa.scalar(same[name]), n_rows) if name in same else found.get(name, pa.nulls(n_rows))
            for name in names
        ]
        return pa.RecordBatch.from_arrays(arrays, names=list(names))

    def _captions_of(self, index: pa.Array[Any]) -> pa.Array[Any]:
        """Return the captions of features; one that the table lacks has its index."""
        known, texts = self._caption_table
        found: pa.Array[Any] = pc.coalesce(texts.take(pc.index_in(index, known)), index.cast(pa.string()))
        return found

    @cached_property
    def _caption_table(self) -> tuple[pa.Array[Any], pa.Array[Any]]:
        table = self.tables.whole("features", ["index", "name"])
        texts = [_shorten(str(name)) for name in table["name"].to_pylist()]
        return table["index"].combine_chunks(), pa.array(texts, pa.string())

    @property
    def _digests(self) -> dict[str, str]:
        return {stage: artifact.digest for stage, artifact in self.artifacts.items()}

    def _results(self, stage: str) -> Mapping[str, Any]:
        return self.artifacts[stage].results if stage in self.artifacts else {}


def relationship_columns(type_: str) -> tuple[str, ...]:
    """Return what the rows of a type hold: the uids of both ends, its own where it is keyed, and its properties."""
    relationship = RELATIONSHIPS[type_]
    own = ("uid",) if relationship.keyed else ()
    return ("start", "end", *own, *(each.name for each in loaded(relationship)))


def as_maps(batches: Batches) -> Iterator[Row]:
    """Yield the rows as `merge_nodes` and `merge_relationships` take them: uids, and a map of the properties."""
    for batch in batches:
        apart: list[str] = [name for name in ("uid", "start", "end") if name in batch.schema.names]
        uids = batch.select(apart).to_pylist()
        for ends, properties in zip(uids, batch.drop_columns(apart).to_pylist(), strict=True):
            yield {**ends, "properties": properties}


def as_lists(batches: Batches) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as `create_edges` and `merge_edges` take them: the server takes lists in less time than maps."""
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _significant(found: Columns) -> Columns:
    """Return the shifts of edges, null where they are not significant."""
    none, most = pa.scalar(None, pa.float64()), pa.scalar(SHIFT_Q)
    return {name: pc.if_else(pc.less_equal(found[q], most), found[name], none)
            for name, q in SHIFTS.items() if name in found}  # fmt: skip


def _columns(batch: pa.RecordBatch) -> Columns:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _numbers(key: Key, batch: pa.RecordBatch) -> pa.Array[Any]:
    """Return what the key's columns hold as one number a row, 32 bits each; of a text, a sum of its bytes.

    The importer takes numbers below 2^56: 24 bits are left for the first of two columns. Two texts of one sum would be
    two nodes of one number, which it refuses.
    """
    numbers = np.zeros(batch.num_rows, np.int64)
    for name in key.columns:
        column = batch[name]
        if pa.types.is_string(column.type):
            column = pa.array([zlib.crc32(str(text).encode()) >> 8 for text in column.to_pylist()], pa.int64())
        numbers = numbers << 32 | column.to_numpy().astype(np.int64)
    return pa.array(numbers)


def _joined(*parts: Any, by: str) -> pa.Array[Any]:
    """Return the strings, row by row, with `by` between them."""
    joined: pa.Array[Any] = pc.binary_join_element_wise(*parts, by)
    return joined


def _shorten(name: str) -> str:
    return name if len(name) <= _CAPTION else name[: _CAPTION - 1] + "…"


def _finished(made: Mapping[str, Any]) -> str:
    started = datetime.datetime.fromisoformat(made["started"])
    finished = started + datetime.timedelta(seconds=float(made["wall_seconds"]))
    return finished.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
