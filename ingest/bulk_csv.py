"""Writes an atlas's rows as CSV files with typed headers, for the offline importer of a Neo4j server."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from atlas.ingest.graph_rows import Row, Rows
from atlas.schema import EDGE_KINDS, NODES, RELATIONSHIPS, Field
from atlas.schema.generate import class_labels, loaded

DELIMITER = "\x1f"
"""Between the elements of a list."""
LONGEST = 1 << 20  # characters of a value; the importer reads through buffers of four times as many
_CHUNK = 8192  # rows that are made columns of at once
_TYPES: dict[str, tuple[str, pa.DataType]] = {
    "string": ("string", pa.string()),
    "integer": ("long", pa.int64()),
    "float": ("double", pa.float64()),
    "boolean": ("boolean", pa.bool_()),
    "list<string>": ("string[]", pa.string()),
    "list<float>": ("double[]", pa.string()),
    "list<integer>": ("long[]", pa.string()),
}
"""What a header calls a type, and what its column is written from."""
_UID = Field("uid", "string", "")


@dataclass
class Export:
    """The files of an atlas, and what they cannot say.

    Parameters
    ----------
    nodes, relationships
        Label or type, and file.
    unsaid
        By label: `{uid, properties}` of nodes with properties that have no form in these files, which the importer
        would take for absent or cannot read: empty lists, lists of one empty string, lists with the delimiter in
        them, and very long texts.
    rows
        Rows of all files.
    multiline
        Whether a text has several lines.
    """

    nodes: list[tuple[str, Path]] = field(default_factory=list)
    relationships: list[tuple[str, Path]] = field(default_factory=list)
    unsaid: dict[str, list[Row]] = field(default_factory=dict)
    rows: int = 0
    multiline: bool = False


def export(rows: Rows, folder: Path) -> Export:
    """Return the files of an atlas, streamed into a folder."""
    found = Export()
    _write_nodes(found, folder, "Atlas", [{"uid": rows.name, "properties": rows.atlas()}])
    for label, stream in (
        ("Feature", rows.features()),
        ("Cluster", rows.clusters()),
        ("PeerCluster", rows.peer_clusters()),
    ):
        _write_nodes(found, folder, label, stream)
    for kind in EDGE_KINDS:
        _write_edges(found, folder, kind, rows.edges(kind))
    for label, stream in rows.of_atlas():
        _write_relationships(found, folder, "OF_ATLAS", label, stream)
    for type_, start, stream in rows.relationships():
        _write_relationships(found, folder, type_, start, stream)
    return found


class _File:
    """A CSV file that is written in batches of columns; strings are quoted, and absent values are not."""

    def __init__(self, found: Export, path: Path, header: Sequence[tuple[str, pa.DataType]]) -> None:
        self.found = found
        self.schema = pa.schema(header)
        self._stream = pyarrow.csv.CSVWriter(path, self.schema)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, columns: Sequence[Any]) -> None:
        """Write as many rows as each column has."""
        made = [column if isinstance(column, pa.Array) else pa.array(column, type_)
                for column, type_ in zip(columns, self.schema.types, strict=True)]  # fmt: skip
        batch = pa.RecordBatch.from_arrays(made, schema=self.schema)
        self._stream.write_batch(batch)
        self.found.rows += batch.num_rows
        if not self.found.multiline:
            texts = [column for column in batch.columns if pa.types.is_string(column.type)]
            self.found.multiline = any(
                pc.any(pc.match_substring(text, end)).as_py() for text in texts for end in ("\n", "\r")
            )


def _header(fields: Iterable[Field]) -> list[tuple[str, pa.DataType]]:
    return [(f"{each.name}:{_TYPES[each.type][0]}", _TYPES[each.type][1]) for each in fields]


def _write_nodes(found: Export, folder: Path, label: str, stream: Iterable[Row]) -> None:
    node, fields = NODES[label], loaded(NODES[label])
    classes = class_labels(node)
    header = [(f"uid:ID({label})", pa.string()), *_header(fields), (":LABEL", pa.string())]
    path = folder / f"{label}.csv"
    found.nodes.append((label, path))
    with _File(found, path, header) as file:
        for chunk in _chunks(stream):
            for row in chunk:
                unsaid = {name: value for name, value in row["properties"].items() if not _sayable(value)}
                if unsaid:
                    found.unsaid.setdefault(label, []).append({"uid": row["uid"], "properties": unsaid})
                    row["properties"] |= dict.fromkeys(unsaid)
            given = [row["properties"] for row in chunk]
            labels = [
                DELIMITER.join(each.label for each in classes if row[each.property] == each.value) or None
                for row in given
            ]
            file.write([[row["uid"] for row in chunk], *(_column(each, given) for each in fields), labels])


def _write_edges(found: Export, folder: Path, kind: str, batches: Iterator[pa.RecordBatch]) -> None:
    """Write a kind's edges as nodes, as relationships, and their `:ENDPOINT_OF`."""
    of_node, of_relationship = loaded(NODES["Edge"]), loaded(RELATIONSHIPS[kind])
    start, end = (":START_ID(Feature)", pa.string()), (":END_ID(Feature)", pa.string())
    headers: dict[str, list[tuple[str, pa.DataType]]] = {
        f"Edge-{kind}": [("uid:ID(Edge)", pa.string()), *_header(of_node)],
        kind: [start, end, *_header((_UID, *of_relationship))],
        f"ENDPOINT_OF-{kind}": [start, (":END_ID(Edge)", pa.string())],
    }
    paths = [folder / f"{name}.csv" for name in headers]
    found.nodes.append(("Edge", paths[0]))
    found.relationships += [(kind, paths[1]), ("ENDPOINT_OF", paths[2])]
    with ExitStack() as opened:
        nodes, relationships, endpoints = (
            opened.enter_context(_File(found, path, header))
            for path, header in zip(paths, headers.values(), strict=True)
        )
        for batch in batches:
            uid, a, b = (batch[name] for name in ("uid", "start", "end"))
            nodes.write([uid, *(_typed(batch, each) for each in of_node)])
            relationships.write([a, b, uid, *(_typed(batch, each) for each in of_relationship)])
            for side in (a, b):
                endpoints.write([side, uid])


def _write_relationships(found: Export, folder: Path, type_: str, start: str, stream: Iterable[Row]) -> None:
    relationship = RELATIONSHIPS[type_]
    fields = loaded(relationship)
    ends = [(f":START_ID({start})", pa.string()), (f":END_ID({relationship.end})", pa.string())]
    path = folder / f"{type_}-{start}.csv"
    found.relationships.append((type_, path))
    with _File(found, path, [*ends, *_header(fields)]) as file:
        for chunk in _chunks(stream):
            given = [row["properties"] for row in chunk]
            both = ([row[end] for row in chunk] for end in ("start", "end"))
            file.write([*both, *(_column(each, given) for each in fields)])


def _column(wanted: Field, given: Sequence[Mapping[str, Any]]) -> list[Any]:
    values = [row[wanted.name] for row in given]
    if not wanted.type.startswith("list"):
        return values
    return [None if value is None else DELIMITER.join(map(str, value)) for value in values]


def _typed(batch: pa.RecordBatch, wanted: Field) -> pa.Array[Any]:
    """Return a column of a batch; one without a value has no type there."""
    column: pa.Array[Any] = batch[wanted.name].cast(_TYPES[wanted.type][1])
    return column


def _sayable(value: Any) -> bool:
    """Return whether a value has a form in these files."""
    if isinstance(value, str):
        return len(value) <= LONGEST
    if isinstance(value, list):
        texts = [str(each) for each in value]
        return texts not in ([], [""]) and DELIMITER not in "".join(texts) and sum(map(len, texts)) <= LONGEST
    return True


def _chunks(stream: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(stream)
    while chunk := list(itertools.islice(rows, _CHUNK)):
        yield chunk
