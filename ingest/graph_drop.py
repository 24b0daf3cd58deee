"""Counts and removes an atlas, of whatever schema version, and no other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from atlas.errors import InputError
from atlas.ingest.graph import BATCH, VERSIONS, open_session
from atlas.ingest.graph_write import Writer
from atlas.queries.display import visible
from atlas.schema import NODES, SCHEMA_VERSION
from atlas.schema import generate as cypher

if TYPE_CHECKING:
    import neo4j

logger = logging.getLogger("atlas")


def contents(driver: neo4j.Driver, name: str, *, database: str | None = None) -> dict[str, int]:
    """Return how many nodes of each label `drop` would remove, those of another schema version included.

    Raises
    ------
    InputError
        The database holds no atlas of that name.
    """
    with open_session(driver, database) as session:
        writer = Writer(session, batch=BATCH)
        return {
            label: writer.one(
                label,
                f"MATCH (n:{_quoted(label)} {{{'uid' if label == 'Atlas' else 'atlas'}: $atlas}}) "
                "RETURN count(n) AS count",
                atlas=name,
            )[0]["count"]
            for label in _labels(writer, name)
        }


def drop(driver: neo4j.Driver, name: str, *, database: str | None = None, batch: int = BATCH) -> dict[str, int]:
    """Return how many nodes of each label were removed with an atlas; an unfinished removal can be repeated.

    An atlas of another schema version goes whole, too: with it the nodes of labels that this one lacks.

    Raises
    ------
    InputError
        The database holds no atlas of that name.
    """
    removed = {}
    with open_session(driver, database) as session:
        writer = Writer(session, batch=batch)
        labels = _labels(writer, name)
        mark = "MATCH (a:Atlas {uid: $atlas}) SET a.complete = false, a.atlas = $atlas"
        writer.one("Atlas", mark, atlas=name)
        for label in labels:
            removed[label] = writer.remove(label, cypher.drop_nodes(_quoted(label)), atlas=name)
            logger.info("graph: removed %d %s", removed[label], label)
    return removed


def _labels(writer: Writer, name: str) -> list[str]:
    """Return the labels of an atlas's nodes, the atlas itself last: until then it can be named again."""
    found = {row["name"]: row["version"] for row in writer.one("Atlas", VERSIONS)}
    if name not in found:
        there = ", ".join(visible(str(each)) for each in sorted(found, key=str))
        raise InputError(f"no atlas {name!r} in the database", f"there are: {there}" if found else "it holds none")
    known = list(reversed(NODES))
    if found[name] == SCHEMA_VERSION:
        return known  # what others hang on to it with labels of their own is theirs
    statement = "MATCH (n {atlas: $atlas}) WHERE none(each IN labels(n) WHERE each IN $known) "
    others = writer.one("labels", f"{statement} RETURN DISTINCT labels(n)[0] AS label", atlas=name, known=known)
    return [*sorted(row["label"] for row in others if row["label"] is not None), *known]


def _quoted(label: str) -> str:
    return "`" + label.replace("`", "``") + "`"
