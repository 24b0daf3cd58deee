"""What ties an atlas to another one of the database: comparisons, which lie with the one and name the other."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from atlas.artifacts import Artifact
from atlas.ingest.graph_sources import COMPARISON
from atlas.ingest.graph_write import Writer
from atlas.queries.display import visible
from atlas.schema import RELATIONSHIPS, TABLES
from atlas.schema import generate as cypher

logger = logging.getLogger("atlas")

_LINKED = (
    "MATCH (:Atlas {uid: $atlas})-[r:COMPARED_WITH]->(b:Atlas) "
    "RETURN b.uid AS other, r.digest AS digest, "
    "COUNT { (:Feature {atlas: $atlas})-[:MATCHES]->(:Feature {atlas: b.uid}) } AS matches"
)
_OTHER = "MATCH (b:Atlas {uid: $other}) WHERE b.complete RETURN b.artifacts AS artifacts"
_LINK = (
    "MATCH (a:Atlas {uid: $atlas}) MATCH (b:Atlas {uid: $other}) MERGE (a)-[r:COMPARED_WITH]->(b) SET r = $properties"
)


def link(writer: Writer, name: str, artifacts: Mapping[str, Artifact]) -> None:
    """Tie a loaded atlas to those that it was compared with and that are in the database, as they were compared.

    An atlas that is not there, or that was loaded from other artifacts since, is left out and named: nothing waits
    for it. Loading this one again ties it. Ties to what it is no longer compared with are removed.

    Parameters
    ----------
    name
        Name of the atlas.
    artifacts
        Its finished artifacts by name; comparisons are the ones that begin with `70-comparison`.
    """
    wanted = {str(part.results["other"]): part for stage, part in artifacts.items() if stage.startswith(COMPARISON)}
    wanted = {other: part for other, part in wanted.items() if other != name and _is_there(writer, other, part)}
    linked = {row["other"]: row for row in writer.one("COMPARED_WITH", _LINKED, atlas=name)}
    for other in linked.keys() - wanted.keys():
        _unlink(writer, name, other)
    for other, part in sorted(wanted.items()):
        matches = part.table("matches")
        found = linked.get(other)
        if found == {"other": other, "digest": part.digest, "matches": matches.num_rows}:
            continue
        _unlink(writer, name, other)
        statement = cypher.merge_relationships("MATCHES", "Feature")
        writer.write(f"MATCHES with {other}", statement, _rows(name, other, part), total=matches.num_rows)
        properties = {
            each.name: part.results.get(each.name) for each in cypher.loaded(RELATIONSHIPS["COMPARED_WITH"])
        } | {"digest": part.digest}
        writer.one("COMPARED_WITH", _LINK, atlas=name, other=other, properties=properties)
        logger.info("graph: compared with %s, %d features matched", other, matches.num_rows)


def unlink(writer: Writer, name: str) -> None:
    """Remove all that ties an atlas to others, from either side: it is loaded from other artifacts now."""
    either = "MATCH (:Atlas {uid: $atlas})-[r:COMPARED_WITH]-(b:Atlas) RETURN DISTINCT b.uid AS other"
    for row in writer.one("COMPARED_WITH", either, atlas=name):
        _unlink(writer, name, row["other"])
        _unlink(writer, row["other"], name)


def _is_there(writer: Writer, other: str, comparison: Artifact) -> bool:
    """Return whether the database holds the other atlas, loaded from what it was compared by."""
    found = writer.one("Atlas", _OTHER, other=other)
    if not found:
        logger.info("graph: not tied to %s, which it was compared with: no such atlas is loaded", visible(other))
        return False
    loaded, compared = json.loads(found[0]["artifacts"]), comparison.parameters["digests"]
    changed = [stage for stage, digest in compared.items() if loaded.get(stage, digest) != digest]
    if changed:
        logger.warning(
            "graph: not tied to %s: it was compared by another %s than is loaded; compare again", other, changed[0]
        )
    return not changed


def _unlink(writer: Writer, name: str, other: str) -> None:
    writer.remove(
        "MATCHES",
        "MATCH (:Feature {atlas: $atlas})-[r:MATCHES]->(:Feature {atlas: $other}) WITH r LIMIT $batch "
        "DELETE r RETURN count(*) AS removed",
        atlas=name, other=other,
    )  # fmt: skip
    statement = "MATCH (:Atlas {uid: $atlas})-[r:COMPARED_WITH]->(:Atlas {uid: $other}) DELETE r"
    writer.one("COMPARED_WITH", statement, atlas=name, other=other)


def _rows(name: str, other: str, comparison: Artifact) -> Iterator[dict[str, Any]]:
    key = TABLES["matches"].key
    for row in comparison.table("matches").to_pylist():
        properties = {column: value for column, value in row.items() if column not in key}
        yield {"start": f"{name}:{row['index']}", "end": f"{other}:{row['other']}", "properties": properties}
