"""The guide: ten queries from "what is in here" to "why is this a star", each with what one should see.

`python -m atlas.queries.guide > docs/guide.md` writes the page; a test holds it current. The files of `guide/` take
`$atlas` and what `examples.cypher` finds in it.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas.queries.contract import GRAPH_NODES
from atlas.queries.inline import inlined

if TYPE_CHECKING:
    import neo4j

FOLDER = Path(__file__).parent / "guide"
DEMO: dict[str, Any] = {
    "atlas": "demo", "hub": 3766, "over": 1297, "parent": 3934, "clique": 101, "community": 26,
}  # fmt: skip
"""What `examples` finds in the demo's atlas: the page and its pictures show these."""

_HEAD = """\
# A guide in Neo4j Browser

Made by `python -m atlas.queries.guide > docs/guide.md`; change `queries/guide/`, not this page.

```
atlas demo                                # an atlas to look at, and its server
atlas db browser --setup atlas-browser    # writes the style and all queries, this guide first
atlas db browser                          # the address; over SSH, the line that brings it to your own machine
```

Drop `atlas.grass` on Browser's page, then `atlas-queries.zip`: behind the star at the left is every query, with values
filled in. The steps below are its folder *Guide*, as the demo has them. Browser draws every relationship between
the nodes of an answer, asked for or not; the pictures here have that off, so that one sees what the query says
([browser.md](browser.md) has what was tried, on which page, and what each query draws):

```
:config {autoComplete: false}
```

What the style says: **orange** is a hub whose leaves exclude each other, **yellow** a hub by topology alone, **green**
features that fire together, blue any other feature. A blue ring makes it a community, of the same colours; a purple
one is a chain, a ring or the like, a pale one nothing of these. Grey dots are edges as nodes. Of the lines, grey ones
join what fires together, red-orange ones what excludes each other, light blue ones what shares a subject; blue arrows
lead from wider to narrower, or from part to whole. The colours remain apart in every common colour blindness, and a hub
is larger than its leaves besides.
"""

_TAIL = f"""\
## What Browser does not show
* A width or colour by value: it styles by label and type alone, so a strong edge looks like a weak one. Click it.
* Two roles of a feature at once: the hub of one star among the leaves of another is drawn as a hub.
* More than {GRAPH_NODES} nodes: what it was given beyond them it leaves out, and the queries here stop before that.
* A layout that knows the hierarchy: roots are not on top; nodes can be dragged.
* The tokens in their sentences. A feature's `top_tokens` are a list, and `neuronpedia_url`, where it has one, a link.
* Chance beside a shape: the census of rewired graphs is a table beside the graph, see [shapes.md](shapes.md).
* Queries with fields to fill in: the saved ones have their values in the text, named in the remarks above it; change
  them there, or use `atlas query run NAME -p ...`, which checks them.
"""


@dataclass(frozen=True)
class Step:
    """A step of the guide.

    Parameters
    ----------
    title, see
        What it asks, and what one should see.
    picture, shown
        File in `docs/` and what is on it; both empty where the answer is a table.
    statement
        Cypher, with `$atlas` and names of `examples`.
    """

    title: str
    see: str
    picture: str
    shown: str
    statement: str


@cache
def guide() -> tuple[Step, ...]:
    """Return the steps in their order."""
    return tuple(_read(path.read_text("utf8")) for path in sorted(FOLDER.glob("[0-9]*.cypher")))


def examples(driver: neo4j.Driver, atlas: str, *, database: str | None = None) -> dict[str, Any]:
    """Return what is worth a first look in an atlas, by name, and the atlas itself; None for what it has none of."""
    statement = (FOLDER / "examples.cypher").read_text("utf8")
    (found,) = driver.execute_query(statement, {"atlas": atlas}, database_=database, routing_="r").records
    return {"atlas": atlas, **found.data()}


def page(values: Mapping[str, Any] = DEMO) -> str:
    """Return the guide as Markdown, with these values in its queries."""
    parts = [_HEAD]
    for number, step in enumerate(guide(), start=1):
        parts += [f"## {number}. {step.title}", "", textwrap.fill(step.see, 120), ""]
        if step.picture:
            parts += [f"![{step.shown[0].upper()}{step.shown[1:]}]({step.picture})", ""]
        parts += ["```cypher", inlined(step.statement, values), "```", ""]
    return "\n".join([*parts, _TAIL])


def _read(text: str) -> Step:
    """Return the step of a file: remarks `// title:`, `// see:` and `// picture:`, then the statement."""
    remarks = re.match(r"(?://[^\n]*\n)+", text)
    assert remarks is not None
    folded = re.sub(r"\n// {3,}", " ", remarks.group())
    field = dict(line.removeprefix("// ").split(": ", 1) for line in folded.splitlines())
    picture, _, shown = field.get("picture", "").partition(" -- ")
    return Step(field["title"], field["see"], picture, shown, text[remarks.end() :].strip())


if __name__ == "__main__":
    sys.stdout.write(page())
