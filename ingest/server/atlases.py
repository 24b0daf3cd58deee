"""Which atlases a database holds, whatever their schema version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import neo4j

COLUMNS = ("name", "model", "hook_name", "n_tokens", "n_edges", "complete", "schema_version")

_STATEMENT = """\
MATCH (a:Atlas)
RETURN a.uid AS name, a.model AS model, a.hook_name AS hook_name, a.n_tokens AS n_tokens, a.n_edges AS n_edges,
       a.complete AS complete, a.schema_version AS schema_version
ORDER BY name
"""


def atlases(driver: neo4j.Driver, *, database: str | None = None) -> list[dict[str, Any]]:
    """Return `COLUMNS` of every atlas, by name; what an atlas of another schema version lacks is None."""
    with driver.session(
        database=database,
        default_access_mode="READ",
        notifications_disabled_classifications=["UNRECOGNIZED"],  # a new store knows no name of the schema yet
        bookmark_manager=driver.execute_query_bookmark_manager,
    ) as session:
        return session.execute_read(lambda transaction: transaction.run(_STATEMENT).data())
