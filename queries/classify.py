"""Has the database classify the subgraphs of an atlas: its communities and its ego subgraphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas.queries.library import find
from atlas.queries.run import execute, resolve

if TYPE_CHECKING:
    import neo4j


@dataclass(frozen=True)
class Classes:
    """How many subgraphs are of each class.

    Parameters
    ----------
    clusters
        Communities by level and shape: `{"fine": {"hub-spoke": 3}}`.
    egos
        Ego subgraphs by shape.
    seconds
        Wall time of the two statements.
    """

    clusters: dict[str, dict[str, int]]
    egos: dict[str, int]
    seconds: tuple[float, float]


def classify(
    driver: neo4j.Driver,
    atlas: str,
    *,
    database: str | None = None,
    clusters: Mapping[str, Any] | None = None,
    egos: Mapping[str, Any] | None = None,
) -> Classes:
    """Return the classes after the database has set them; what an earlier run set is replaced.

    Parameters
    ----------
    atlas
        Name of the atlas, loaded; it need not be complete.
    clusters, egos
        Thresholds that differ from the defaults of `classify_clusters` and `classify_egos`.

    Raises
    ------
    QueryError
        A threshold is unknown or of another type.
    DatabaseError
        The database cannot be reached or refuses.
    """
    answers = []
    for name, thresholds in (("classify_clusters", clusters), ("classify_egos", egos)):
        query = find(name)
        values = resolve(query, {**(thresholds or {}), "atlas": atlas}, [atlas])
        answers.append(execute(driver, query, values, database=database))
    levels: dict[str, dict[str, int]] = {}
    for level, shape, count in answers[0].rows:
        levels.setdefault(level, {})[shape] = count
    return Classes(levels, dict(answers[1].rows), (answers[0].seconds, answers[1].seconds))
