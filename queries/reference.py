"""The reference page of the queries, made from their headers.

`python -m atlas.queries.reference > docs/queries.md` writes the page; a test holds it current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from atlas.queries.library import GROUPS, ONLY, REQUIRED, Parameter, Query, library


def reference() -> str:
    """Return the page as Markdown."""
    queries = sorted(library().values(), key=lambda query: (GROUPS.index(query.group), query.name))
    parts = [
        "# Queries",
        "",
        "Made by `python -m atlas.queries.reference > docs/queries.md`; change the headers in `queries/`, not",
        "this page. `atlas query run NAME -p key=value` runs one; each statement can also be pasted into Neo4j",
        "Browser, where `:param` sets the parameters.",
        "",
        "| query | group | writes | question |",
        "|---|---|---|---|",
        *(
            f"| [`{query.name}`](#{query.name}) | {query.group} | {'yes' if query.writes else 'no'} "
            f"| {query.question} |"
            for query in queries
        ),
    ]
    for query in queries:
        parts += ["", *_section(query)]
    return "\n".join(parts) + "\n"


def _section(query: Query) -> Iterable[str]:
    yield from (f"## {query.name}", "", f"{query.title}. {query.question}", "")
    yield from ("| parameter | type | default | meaning |", "|---|---|---|---|")
    for parameter in query.parameters:
        kind = f"`{parameter.type}`" + (" or null" if parameter.optional else "")
        yield f"| `{parameter.name}` | {kind} | {_default(parameter)} | {parameter.meaning} |"
    yield from ("", "| column | type | meaning |", "|---|---|---|")
    for column in query.columns:
        kind = f"`{column.type}`" + (", may be empty" if column.optional else "")
        yield f"| `{column.name}` | {kind} | {column.meaning} |"
    yield from ("", "```cypher", query.statement, "```")


def _default(parameter: Parameter) -> str:
    if parameter.default is REQUIRED:
        return "must be given"
    if parameter.default is ONLY:
        return "the only atlas"
    return f"`{json.dumps(parameter.default)}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
