"""Shows what the database returned to people and to programs, with nothing hidden in the text."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from atlas.queries.contract import Column

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_FORMULA = ("=", "+", "-", "@")
LIST_ITEMS = 8
CHARACTERS = 300


def visible(text: str) -> str:
    r"""Return the text with control characters, direction marks and the like written as escapes.

    A newline becomes `\n`, an escape character `\x1b`, a right-to-left override `\u202e`: a token can then
    neither steer a terminal nor change the order in which it is read (fault 72).
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if unicodedata.category(character) in _HIDDEN else character
        for character in text
    )


def plain(value: Any) -> Any:
    """Return a value of the driver's as JSON has it: a node, relationship or path as an object."""
    from neo4j.graph import Node, Path, Relationship

    if isinstance(value, Path):
        return {
            "nodes": [plain(node) for node in value.nodes],
            "relationships": [plain(relationship) for relationship in value.relationships],
        }
    if isinstance(value, Node):
        return {"labels": sorted(value.labels), "properties": {key: plain(of) for key, of in value.items()}}
    if isinstance(value, Relationship):
        start, end = value.nodes
        return {
            "type": value.type,
            "start": start.get("uid") if start is not None else None,
            "end": end.get("uid") if end is not None else None,
            "properties": {key: plain(of) for key, of in value.items()},
        }
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def caption(value: Any) -> str:
    """Return a value in one line: paths by the names along them, numbers short."""
    if value is None:
        return ""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(caption(item) for item in value)
    from neo4j.graph import Node, Path, Relationship  # half a second: not for a list of names

    if isinstance(value, Path):
        names = [caption(value.nodes[0])]
        for relationship, node in zip(value.relationships, value.nodes[1:], strict=True):
            names.append(f"-{relationship.type}- {caption(node)}")
        return " ".join(names)
    if isinstance(value, Node):
        return f"({visible(str(value.get('name', value.get('uid', ''))))})"
    if isinstance(value, Relationship):
        return f"[{value.type}]"
    return visible(str(value))


def brief(value: Any) -> str:
    """Return a value in one line for a table: of a long list or text only its beginning and how much follows."""
    if isinstance(value, (list, tuple)) and len(value) > LIST_ITEMS:
        return f"{_short(caption(value[:LIST_ITEMS]))} … and {len(value) - LIST_ITEMS} more"
    return _short(caption(value))


def _short(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} … and {len(text) - CHARACTERS} characters more"


def as_json(columns: Sequence[str], rows: Iterable[Sequence[Any]], **about: Any) -> str:
    """Return one JSON object: what `about` says, and `rows` as objects by column; ASCII alone."""
    found = [{name: plain(value) for name, value in zip(columns, row, strict=True)} for row in rows]
    return json.dumps({**about, "columns": list(columns), "rows": found}, allow_nan=False)


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return comma-separated values with a header; a text that a spreadsheet would compute gets a `'`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return stream.getvalue()


def as_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return tab-separated lines with a header, for pipes."""
    lines = ["\t".join(columns), *("\t".join(caption(value) for value in row) for row in rows)]
    return "".join(f"{line}\n" for line in lines)


def write_parquet(path: Path, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> None:
    """Write the rows with the types that the header declares, every value exact; a path as JSON.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from atlas.errors import InputError

    kinds: dict[str, pa.DataType] = {"integer": pa.int64(), "float": pa.float64(), "boolean": pa.bool_()}
    arrays: list[pa.Array[Any]] = []
    for position, column in enumerate(columns):
        found = [row[position] for row in rows]
        if column.type == "path":
            found = [None if value is None else json.dumps(plain(value), allow_nan=False) for value in found]
        item: pa.DataType = kinds.get(column.type.removeprefix("list<").removesuffix(">"), pa.string())
        arrays.append(pa.array(found, pa.list_(item) if column.type.startswith("list<") else item))
    try:
        pq.write_table(pa.table(arrays, names=[column.name for column in columns]), path, compression="zstd")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}", "choose another file") from error


def as_plan(root: Mapping[str, Any]) -> str:
    """Return a plan as lines, the last operator first: its name, how many rows are expected of it, what it does.

    An operator's input stands below it; what is done for each of its rows, a branch, is indented between the two.
    """
    lines: list[tuple[str, float, str]] = []

    def add(operator: Mapping[str, Any], indent: str) -> None:
        arguments = operator["args"]
        name = operator["operatorType"].partition("@")[0]
        details = visible(" ".join(str(arguments.get("Details", "")).split()))
        lines.append((f"{indent}{name}", float(arguments.get("EstimatedRows", 0)), details))
        children = operator.get("children", [])
        for branch in children[1:]:
            add(branch, f"{indent}| ")
        for input_ in children[:1]:
            add(input_, indent)

    add(root, "")
    wide = max(len(name) for name, _, _ in lines)
    return "".join(f"{name:<{wide}}  {rows:>12,.0f}  {details}".rstrip() + "\n" for name, rows, details in lines)


def as_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, width: int) -> Table:
    """Return a table for a terminal of that width; no text of the data is read as markup.

    Where the columns would be squeezed, each row becomes a block of lines, one for each column.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    filled = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    if _needed(columns, filled) > width:
        table.add_column(Text("column"), no_wrap=True)
        table.add_column(Text("value"), overflow="fold")
        for row in filled:
            for name, value in zip(columns, row, strict=True):
                table.add_row(Text(name), Text(brief(value)))
            table.add_section()
        return table
    for position, name in enumerate(columns):
        numbers = all(isinstance(row[position], (int, float)) for row in filled) and bool(filled)
        table.add_column(Text(name), justify="right" if numbers else "left", overflow="fold", min_width=len(name))
    for row in filled:
        table.add_row(*(Text(brief(value)) for value in row))
    return table


def _needed(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Return the width at which a table is still readable: whole headers, twelve characters of a text."""
    widths = [
        max(len(name), *(min(12, len(caption(row[position]))) for row in rows), 0)
        for position, name in enumerate(columns)
    ]
    return sum(widths) + 3 * len(widths)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    text = visible(value) if isinstance(value, str) else json.dumps(plain(value), allow_nan=False)
    return f"'{text}" if text.startswith(_FORMULA) else text
