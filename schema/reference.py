"""The reference page of the graph and of the tables, made from the schema.

`python -m atlas.schema.reference > docs/schema.md` writes the page; a test holds it current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from atlas.schema.fields import Field
from atlas.schema.generate import constraints, indexes
from atlas.schema.graph import NODES, RELATIONSHIPS, SCHEMA_VERSION
from atlas.schema.tables import TABLES


def reference() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Schema reference",
        "",
        "Made by `python -m atlas.schema.reference > docs/schema.md`; change `schema/`, not this page.",
        "",
        f"Graph schema version {SCHEMA_VERSION}. Integers and floats are 64 bits wide. *Set by* says who writes a "
        "property: the loader, its last step (vectors), or a classifying query of the Cypher library.",
        "",
        "## Nodes",
        *_nodes(),
        "",
        "## Relationships",
        *_relationships(),
        "",
        "## Constraints and indexes",
        "",
        "```cypher",
        *(f"{statement};" for statement in (*constraints(), *indexes())),
        "```",
        "",
        "## Tables",
        *_tables(),
    ]
    return "\n".join(parts) + "\n"


def _nodes() -> Iterable[str]:
    for label, node in NODES.items():
        yield from ("", f"### `:{label}`", "", f"{_sentence(node.meaning)}", "")
        yield from _property_rows(node.properties, set_by=True)
        if node.classes:
            yield from ("", "| further label | says | where |", "|---|---|---|")
            for class_ in node.classes:
                where = f"`{class_.property}` is `{class_.value}`" if class_.property else "role in a community"
                yield f"| `:{class_.label}` | {_cell(class_.meaning)} | {where} |"


def _relationships() -> Iterable[str]:
    for type_, relationship in RELATIONSHIPS.items():
        start = "|".join(relationship.start)
        yield from ("", f"### `(:{start})-[:{type_}]->(:{relationship.end})`", "", _sentence(relationship.meaning))
        if relationship.properties:
            yield ""
            yield from _property_rows(relationship.properties, set_by=True)


def _tables() -> Iterable[str]:
    for name, table in TABLES.items():
        key = ", ".join(f"`{column}`" for column in table.key)
        yield from ("", f"### `{table.stage}/{name}.parquet`", "", f"One row for each {key}; sorted by it.", "")
        yield from _property_rows(table.columns, set_by=False)


def _property_rows(fields: tuple[Field, ...], *, set_by: bool) -> Iterable[str]:
    yield "| name | type | unit | interval | meaning |" + (" set by |" if set_by else "")
    yield "|---|---|---|---|---|" + ("---|" if set_by else "")
    for field in fields:
        kind = f"`{field.type}`" + ("" if field.required else ", may be absent")
        row = f"| `{field.name}` | {kind} | {field.unit} | {_interval(field)} | {_cell(field.meaning)} |"
        yield row + (f" {field.set_by} |" if set_by else "")


def _interval(field: Field) -> str:
    if field.low is None and field.high is None:
        return ""
    if field.high is None:
        return f">= {field.low:g}"
    if field.low is None:
        return f"<= {field.high:g}"
    return f"[{field.low:g}, {field.high:g}]"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
