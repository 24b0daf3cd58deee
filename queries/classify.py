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
    for level, shape, _, count in answers[0].rows:
        found = levels.setdefault(level, {})
        found[shape] = found.get(shape, 0) + count
    return Classes(levels, dict(answers[1].rows), (answers[0].seconds, answers[1].seconds))


def other_thresholds(
    driver: neo4j.Driver, atlas: str, *, database: str | None = None
) -> dict[str, dict[str, float | None]]:
    """Return the thresholds of an atlas's classes that are not the defaults, by classifying query.

    A value is None where that query runs, or has not reached its end: some classes are then of an earlier run.

    Raises
    ------
    DatabaseError
        The database cannot be reached or refuses.
    """
    others: dict[str, dict[str, float | None]] = {}
    for name, threshold, value in execute(driver, find("thresholds"), {"atlas": atlas}, database=database).rows:
        if value != find(name).parameter(threshold).default:
            others.setdefault(name, {})[threshold] = value
    return others
