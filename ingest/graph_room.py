"""Whether an atlas fits into a database that takes so much and no more: Aura Free (fault 63)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from atlas.artifacts import Artifact
from atlas.errors import DatabaseError
from atlas.ingest.graph_rows import Rows
from atlas.ingest.graph_sources import COMPARISON
from atlas.ingest.graph_write import Writer
from atlas.queries.library import find
from atlas.queries.run import execute
from atlas.schema import NODES, RELATIONSHIPS

if TYPE_CHECKING:
    import neo4j

logger = logging.getLogger("atlas")

_ALL = ("()", "()-->()")  # whosever they are: two look-ups in the store of counts
_LOADED = "MATCH (a:Atlas) RETURN a.uid AS name, a.digest AS digest, a.complete AS complete"


@dataclass(frozen=True)
class Size:
    """How much a graph is."""

    nodes: int
    relationships: int

    def __add__(self, other: Size) -> Size:
        return Size(self.nodes + other.nodes, self.relationships + other.relationships)

    def __sub__(self, other: Size) -> Size:
        return Size(self.nodes - other.nodes, self.relationships - other.relationships)

    def __str__(self) -> str:
        return f"{self.nodes:,} nodes and {self.relationships:,} relationships"

    def fits(self, most: Size) -> bool:
        """Return whether it is no more than `most`, in nodes and in relationships."""
        return self.nodes <= most.nodes and self.relationships <= most.relationships


AURA_HOSTS = ".databases.neo4j.io"
"""What the hosts of Aura's instances end with, of every tier.

"For Aura instances, the host follows the format `<databaseID>.databases.neo4j.io`":
https://github.com/neo4j/docs-aura/pull/650
"""
AURA_FREE = Size(200_000, 400_000)
"""What an instance of the free tier takes.

"A Free instance is limited to 200,000 nodes and 400,000 relationships":
https://neo4j.com/docs/aura/auradb/getting-started/create-database
"""


def limits_of(uri: str) -> Size | None:
    """Return what a server may take at most, by its address; None where nothing limits it.

    An address says that a server is Aura's and not of which tier it is: the smallest is assumed.
    """
    host = (urlsplit(uri).hostname or "").rstrip(".")
    return AURA_FREE if f".{host}".endswith(AURA_HOSTS) else None


def check_room(
    driver: neo4j.Driver,
    writer: Writer,
    rows: Rows,
    expected: Mapping[str, int],
    artifacts: Mapping[str, Artifact],
    *,
    limits: Size,
    database: str | None = None,
) -> None:
    """Refuse a load after which the database would hold more than it takes; nothing is written.

    Parameters
    ----------
    rows
        The atlas. What the database holds of it is replaced, and not counted twice.
    expected
        Nodes by label and relationships by type of the atlas.
    artifacts
        What it is loaded from, with the comparisons that tie it to other atlases.
    limits
        What the database takes.

    Raises
    ------
    DatabaseError
        The limits would be passed.
    """
    held = size_held(writer)
    counts = execute(driver, find("counts"), {"atlas": rows.name}, database=database).rows
    own = size_of({str(what): int(count) for _, what, count in counts})
    loaded = writer.one("Atlas", _LOADED)
    others = {row["name"] for row in loaded if row["complete"] and row["name"] != rows.name}
    coming = size_of(expected) + _ties(artifacts, others)
    phi_cut = artifacts["30-edges"].results.get("phi_cut")
    refuse_beyond(limits, held=held, own=own, coming=coming, name=rows.name, phi_cut=phi_cut)
    replaced = any(row["name"] == rows.name and row["digest"] != rows.digest for row in loaded)
    if replaced and not (held + coming).fits(limits):
        logger.warning(
            "atlas %s: what it no longer has goes when the rest is written, and both may be more than %s; "
            "if the load is refused midway, remove the atlas and load it again", rows.name, limits,
        )  # fmt: skip


def refuse_beyond(
    limits: Size, *, held: Size, own: Size, coming: Size, name: str, phi_cut: float | None = None
) -> None:
    """Raise `DatabaseError` where a database that holds `held`, `own` of it replaced by `coming`, passes its limits."""
    others = held - own
    if (others + coming).fits(limits):
        return
    above = "" if phi_cut is None else f" above {phi_cut:.4g}"
    beside = f", {others.nodes:,} and {others.relationships:,} of them not this atlas's" if others.nodes else ""
    remove = ", remove other atlases (atlas.ingest.graph_drop.drop)" if others.nodes else ""
    raise DatabaseError(
        f"atlas {name} is {coming}, the database would hold {others + coming}{beside}; Aura Free takes {limits}",
        f"make it smaller (`atlas ingest edges` with --phi-cut{above} or a smaller --target-degree, then the stages "
        f"after it){remove}, or say --no-aura-limits if this instance is larger",
    )


def size_held(writer: Writer) -> Size:
    """Return how much the whole database is, by what it has counted itself."""
    return Size(*(writer.one("counts", f"MATCH {all_} RETURN count(*) AS count")[0]["count"] for all_ in _ALL))


def size_of(counts: Mapping[str, int]) -> Size:
    """Return the sums of nodes by label and relationships by type; classes, which are labels too, count once."""
    return Size(
        sum(count for what, count in counts.items() if what in NODES),
        sum(count for what, count in counts.items() if what in RELATIONSHIPS),
    )


def _ties(artifacts: Mapping[str, Artifact], others: Collection[str]) -> Size:
    """Return what ties the atlas to those of the others that it was compared with."""
    comparisons = (part for stage, part in artifacts.items() if stage.startswith(COMPARISON))
    matches = [part.table("matches").num_rows for part in comparisons if part.results["other"] in others]
    return Size(0, sum(matches) + len(matches))
