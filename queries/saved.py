"""The library and the guide as queries that Neo4j's own pages keep: each runs as it is pasted."""

from __future__ import annotations

import csv
import io
import re
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atlas.queries.contract import GROUPS, ONLY, REQUIRED, Query
from atlas.queries.guide import guide
from atlas.queries.inline import inlined, literal
from atlas.queries.library import library
from atlas.queries.run import OTHER_ATLAS

GUIDE = "Guide"
COLUMNS = ("name", "description", "query", "id", "parentId", "isFolder")
"""Of the file that Neo4j's newer query pages import."""
EXAMPLES = {"feature": "hub", "other": "leaf", "from": "leaf", "to": "last_leaf", "cluster": "clique", "token": "token"}
"""Which of the examples a parameter without a default gets."""
EXAMPLES_OF = {
    "children": {"feature": "parent"},
    "lineage": {"feature": "child"},
    "parents": {"feature": "child"},
    "same_topic": {"feature": "topic"},
    "star": {"of": "hub"},
    "neighbour_clusters": {"of": "clique"},
    "subclusters": {"cluster": "community"},
}
"""The same, of one query."""
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:feature-atlas:saved-queries")


@dataclass(frozen=True)
class Saved:
    """A query to be kept: its text begins with its name as a remark, and has its values written in."""

    folder: str
    name: str
    description: str
    text: str


def saved(examples: Mapping[str, Any]) -> list[Saved]:
    """Return the guide's steps and every query that reads and needs no plugin, folder by folder.

    Parameters
    ----------
    examples
        What `guide.examples` finds. A query whose subject the atlas has none of is left out.
    """
    found = [
        Saved(GUIDE, f"{number:02} {step.title}", step.see, f"// {number:02} {step.title}\n{text}\n")
        for number, step in enumerate(guide(), start=1)
        if (text := _filled(step.statement, examples)) is not None
    ]
    queries = sorted(library().values(), key=lambda query: (GROUPS.index(query.group), query.name))
    for query in queries:
        values = _values(query, examples)
        if query.writes or query.needs or values is None:
            continue
        remarks = [query.title, query.question]
        remarks += [f"{each.name} = {literal(values[each.name])}: {each.meaning}" for each in query.parameters]
        text = "".join(f"// {remark}\n" for remark in remarks) + inlined(query.statement, values) + "\n"
        found.append(Saved(query.group, query.title, query.question, text))
    return found


def as_saved_csv(queries: Iterable[Saved]) -> str:
    """Return the file that Neo4j's newer pages import: a row for each folder, and for each query."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    folders: dict[str, str] = {}
    for query in queries:
        if query.folder not in folders:
            folders[query.folder] = _identity(query.folder)
            writer.writerow((query.folder, "", "", folders[query.folder], "", "true"))
        identity = _identity(query.folder, query.name)
        writer.writerow((query.name, query.description, query.text, identity, folders[query.folder], "false"))
    return stream.getvalue()


def as_saved_zip(queries: Iterable[Saved]) -> bytes:
    """Return the archive that Neo4j Browser 5 imports: a folder for each folder, a file for each query.

    The same queries give the same bytes.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for query in queries:
            name = re.sub(r"\W+", "_", query.name).strip("_")
            archive.writestr(zipfile.ZipInfo(f"{query.folder}/{name}.cypher"), query.text, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _values(query: Query, examples: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a value for each parameter: its default, else an example; None where the atlas has none."""
    named = EXAMPLES | EXAMPLES_OF.get(query.name, {})
    values: dict[str, Any] = {}
    for parameter in query.parameters:
        if parameter.name == OTHER_ATLAS or parameter.default is ONLY:
            value = examples["atlas"]
        elif parameter.default is REQUIRED:
            value = examples.get(named.get(parameter.name, ""))
            if value is None:
                return None
            value = str(value) if parameter.type == "string" else value
        else:
            value = parameter.default
        values[parameter.name] = value
    return values


def _filled(statement: str, examples: Mapping[str, Any]) -> str | None:
    """Return a statement of the guide with its examples; None where the atlas lacks one."""
    lacking = {name for name, value in examples.items() if value is None}
    if lacking & set(re.findall(r"\$(\w+)", statement)):
        return None
    return inlined(statement, examples)


def _identity(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "/".join(parts)))
