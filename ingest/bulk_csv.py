"""Writes an atlas's rows as CSV files with typed headers, for the offline importer of a Neo4j server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from atlas.ingest.graph_rows import Batches, Row, Rows
from atlas.ingest.graph_tables import LINKS, NODE_TABLES, Key
from atlas.schema import EDGE_KINDS, NODES, RELATIONSHIPS, Field, Node
from atlas.schema.generate import class_labels, loaded

DELIMITER = "\x1f"
"""Between the elements of a list."""
LONGEST = 1 << 20  # characters of a value; the importer reads through buffers of four times as many
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
_NUMBER = pa.int64()


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
    """Return the files of an atlas, streamed into a folder; its rows are numbered.

    The importer tells nodes by their numbers: texts would cost it a quarter of its time.
    """
    found = Export()
    _write_nodes(found, folder, "Atlas", rows.atlas())
    for label in NODE_TABLES:
        _write_nodes(found, folder, label, rows.nodes(label))
    for kind in EDGE_KINDS:
        _write_edges(found, folder, kind, rows.edges(kind))
    for label, stream in rows.of_atlas():
        _write_relationships(found, folder, "OF_ATLAS", label, stream)
    for type_ in LINKS:
        (start,) = RELATIONSHIPS[type_].start
        _write_relationships(found, folder, type_, start, rows.relationships(type_))
    return found


class _File:
    """A CSV file that is written in batches of columns; strings are quoted, and absent values are not.

    A batch is written while the caller makes the next one, of this file or of another.
    """

    def __init__(self, found: Export, path: Path, header: Sequence[tuple[str, pa.DataType]]) -> None:
        self.found = found
        self.schema = pa.schema(header)
        self._stream = pyarrow.csv.CSVWriter(path, self.schema)
        self._beside = ThreadPoolExecutor(1, "csv")
        self._behind: Future[None] | None = None

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._settle()
        finally:
            self._beside.shutdown()
            self._stream.close()

    def write(self, columns: Sequence[pa.Array[Any]]) -> None:
        """Write as many rows as each column has; an error of the system comes with the next batch, or at the end."""
        self._settle()
        batch = pa.RecordBatch.from_arrays(list(columns), schema=self.schema)
        self.found.rows += batch.num_rows
        self._behind = self._beside.submit(self._put, batch)

    def _settle(self) -> None:
        behind, self._behind = self._behind, None
        if behind is not None:
            behind.result()

    def _put(self, batch: pa.RecordBatch) -> None:
        self._stream.write_batch(batch)
        if not self.found.multiline:
            texts = [column for column in batch.columns if pa.types.is_string(column.type)]
            if any(pc.any(pc.match_substring(text, end)).as_py() for text in texts for end in ("\n", "\r")):
                self.found.multiline = True


def _space(label_or_kind: str) -> str:
    """Return the space in which numbers differ: a label, of edges the kind; only that of CO_OCCURS is linked to."""
    return Key(label_or_kind, ()).word if label_or_kind == "Edge" else label_or_kind


def _header(fields: Iterable[Field]) -> list[tuple[str, pa.DataType]]:
    return [(f"{each.name}:{_TYPES[each.type][0]}", _TYPES[each.type][1]) for each in fields]


def _write_nodes(found: Export, folder: Path, label: str, batches: Batches) -> None:
    node, fields = NODES[label], loaded(NODES[label])
    header = [(f":ID({_space(label)})", _NUMBER), *_header((_UID, *fields)), (":LABEL", pa.string())]
    path = folder / f"{label}.csv"
    found.nodes.append((label, path))
    with _File(found, path, header) as file:
        for batch in batches:
            batch = _without_unsayable(found, label, batch)
            file.write([batch["number"], batch["uid"], *(_typed(batch, each) for each in fields), _labels(node, batch)])


def _labels(node: Node, batch: pa.RecordBatch) -> pa.Array[Any]:
    """Return the further labels of each node, null where it has none."""
    classes = class_labels(node)
    given = zip(*(batch[each.property].to_pylist() for each in classes), strict=True)
    labels = [
        DELIMITER.join(each.label for each, value in zip(classes, row, strict=True) if value == each.value) or None
        for row in given
    ]
    return pa.array(labels if classes else [None] * batch.num_rows, pa.string())


def _without_unsayable(found: Export, label: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the nodes without what has no form in the files, which is kept in `found`."""
    unsaid: dict[str, Row] = {}
    for place, name in enumerate(batch.schema.names):
        bad = _unsayable(batch[name])
        if bad is None or not pc.any(bad).as_py():
            continue
        for row in batch.select(["uid", name]).filter(bad).to_pylist():
            one = unsaid.setdefault(row["uid"], {"uid": row["uid"], "properties": {}})
            one["properties"][name] = row[name]
        kept: pa.Array[Any] = pc.if_else(bad, pa.scalar(None, batch[name].type), batch[name])
        batch = batch.set_column(place, batch.schema.field(place), kept)
    if unsaid:
        found.unsaid.setdefault(label, []).extend(unsaid.values())
    return batch


def _unsayable(column: pa.Array[Any]) -> pa.Array[Any] | None:
    """Return for each value of a text or list column whether it has no form in these files; None for other columns."""
    bad: Any
    if pa.types.is_string(column.type):
        bad = _long(column)
    elif pa.types.is_list(column.type):
        joined: Any = pc.binary_join(column.cast(pa.list_(pa.string())), "")
        one: Any = pc.less_equal(pc.list_value_length(column), pa.scalar(1))
        empty = pc.and_(pc.equal(joined, pa.scalar("")), one)
        bad = pc.or_(pc.or_(pc.match_substring(joined, DELIMITER), empty), _long(joined))
    else:
        return None
    found: pa.Array[Any] = bad.fill_null(False)
    return found


def _long(texts: Any) -> Any:
    return pc.greater(pc.utf8_length(texts), pa.scalar(LONGEST))


def _write_edges(found: Export, folder: Path, kind: str, batches: Batches) -> None:
    """Write a kind's edges as nodes, as relationships, and their `:ENDPOINT_OF`."""
    of_node, of_relationship = loaded(NODES["Edge"]), loaded(RELATIONSHIPS[kind])
    start, end = (":START_ID(Feature)", _NUMBER), (":END_ID(Feature)", _NUMBER)
    headers: dict[str, list[tuple[str, pa.DataType]]] = {
        f"Edge-{kind}": [(f":ID({_space(kind)})", _NUMBER), *_header((_UID, *of_node))],
        kind: [start, end, *_header((_UID, *of_relationship))],
        f"ENDPOINT_OF-{kind}": [start, (f":END_ID({_space(kind)})", _NUMBER)],
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
            number, uid, a, b = (batch[name] for name in ("number", "uid", "start", "end"))
            nodes.write([number, uid, *(_typed(batch, each) for each in of_node)])
            relationships.write([a, b, uid, *(_typed(batch, each) for each in of_relationship)])
            for side in (a, b):
                endpoints.write([side, number])


def _write_relationships(found: Export, folder: Path, type_: str, start: str, batches: Batches) -> None:
    relationship = RELATIONSHIPS[type_]
    fields = ((_UID,) if relationship.keyed else ()) + loaded(relationship)
    ends = [(f":START_ID({_space(start)})", _NUMBER), (f":END_ID({_space(relationship.end)})", _NUMBER)]
    path = folder / f"{type_}-{start}.csv"
    found.relationships.append((type_, path))
    with _File(found, path, [*ends, *_header(fields)]) as file:
        for batch in batches:
            file.write([batch["start"], batch["end"], *(_typed(batch, each) for each in fields)])


def _typed(batch: pa.RecordBatch, wanted: Field) -> pa.Array[Any]:
    """Return a column as it is written; one without a value has no type in a batch."""
    column: Any = batch[wanted.name]
    if pa.types.is_list(column.type):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), DELIMITER)
    typed: pa.Array[Any] = column.cast(_TYPES[wanted.type][1])
    return typed
