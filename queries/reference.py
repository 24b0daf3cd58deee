"""The reference page of the queries, made from their headers.

`python -m atlas.queries.reference > docs/queries.md` writes the page; a test holds it current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from atlas.queries.contract import COSTS, GRAPH_NODES, GROUPS, ONLY, REQUIRED, Parameter, Query
from atlas.queries.library import library

_HEAD = f"""\
# Queries

Made by `python -m atlas.queries.reference > docs/queries.md`; change the headers in `queries/`, not this page.

```
atlas query list                                    # all of them, by group
atlas query show bridges                            # contract and statement
atlas query run bridges -p level=middle --limit 20  # a table; --json, --csv, or --parquet FILE for programs
atlas query run bridges --explain                   # the database's plan, and nothing is run
eval "$(_ATLAS_COMPLETE=bash_source atlas)"         # completes names and parameters; zsh_source, fish_source
```

A query is sent as a read unless its header says that it writes, and one that writes needs `--write`: what a text
hides, the server refuses. Values go to the server as parameters and never into a statement. Each statement can be
pasted into Neo4j Browser, where `:param` sets the parameters; those marked *graph* return paths for it to draw, of
{GRAPH_NODES} nodes at most.

Costs are of an atlas of 25,000 features, 500,000 edges and 5,000 communities on two cores: {", ".join(COSTS)};
`python -m benchmarks.queries` measures them.

## Queries of your own
A folder of `.cypher` files stands beside these with `--queries DIR`, `ATLAS_QUERY_QUERIES`, or `queries` under
`[query.run]` and the like in `atlas.toml`. A file is called by its name, has a header as below, and is held to it: what
disagrees is refused with file and line. Its statement takes values as parameters alone, has a total `ORDER BY` and a
`LIMIT`, and calls no plugin that its header does not name (`needs: gds`).

```cypher
// title: Rare partners
// question: Which features fire with this one on few tokens?
//    (three blanks go on with the line above)
// group: explore
// writes: no
// graph: no
// cost: under 0.1 s -- the feature's edges
// key: partner
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- no default: it has to be given
// parameter: basis string? in lexical, contextual, mixed = null -- one of these, or null
// parameter: limit integer = 50 -- most rows
// column: partner integer -- index of the other feature
// column: joint_count integer -- tokens on which both fire

MATCH (f:Feature {{uid: $atlas + ':' + toString($feature)}})-[r:CO_OCCURS]-(g:Feature)
WHERE $basis IS NULL OR r.basis = $basis
RETURN g.index AS partner, r.joint_count AS joint_count
ORDER BY joint_count, partner
LIMIT $limit
```

`graph`, `needs` and `cost` may be left out. Groups: {", ".join(GROUPS)}. The properties stand in
[schema.md](schema.md).
"""


def reference() -> str:
    """Return the page as Markdown."""
    queries = sorted(library().values(), key=lambda query: (GROUPS.index(query.group), query.name))
    parts = [
        _HEAD,
        "## All queries",
        "| query | group | | cost | question |",
        "|---|---|---|---|---|",
        *(
            f"| [`{query.name}`](#{query.name}) | {query.group} | {_marks(query)} | {query.cost} | {query.question} |"
            for query in queries
        ),
    ]
    for query in queries:
        parts += ["", *_section(query)]
    return "\n".join(parts) + "\n"


def _marks(query: Query) -> str:
    marks = (("writes", query.writes), ("graph", query.graph), (f"needs {query.needs}", bool(query.needs)))
    return ", ".join(mark for mark, holds in marks if holds)


def _section(query: Query) -> Iterable[str]:
    yield from (f"## {query.name}", "", f"{query.title}. {query.question}", "")
    if query.cost:
        yield from (f"Cost: {query.cost} ({query.reason}).", "")
    yield from ("| parameter | type | default | meaning |", "|---|---|---|---|")
    for parameter in query.parameters:
        kind = " or ".join(f"`{each}`" for each in parameter.choices or (parameter.type,))
        kind += " or null" if parameter.optional else ""
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
