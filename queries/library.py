"""The queries that can be asked: the shipped ones, and those of a folder of the user's beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from atlas.errors import QueryError
from atlas.queries.contract import Query, near
from atlas.queries.header import read_query

FOLDER = Path(__file__).parent


@cache
def library() -> Mapping[str, Query]:
    """Return the shipped queries by name, in the order of their names, each one checked."""
    return {path.stem: read_query(path) for path in sorted(FOLDER.glob("*.cypher"))}


@dataclass(frozen=True)
class Folder:
    """What a folder of the user's holds: its queries by name, and why the other files are none."""

    queries: Mapping[str, Query]
    refused: Mapping[str, QueryError]


def read_folder(folder: Path) -> Folder:
    """Return the queries of a folder, each one checked as the shipped ones are.

    A file that is no query is no reason to withhold the others: its error is kept, and raised by `find`.

    Raises
    ------
    QueryError
        The folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".cypher")
    except OSError as error:
        raise QueryError(f"{folder}: {error.strerror}", "name a folder with --queries") from error
    queries, refused = {}, {}
    for path in paths:
        try:
            if (FOLDER / path.name).exists() and folder.resolve() != FOLDER.resolve():
                raise QueryError(f"{path}: a shipped query has this name", "give the file another name")
            queries[path.stem] = read_query(path, str(path))
        except QueryError as error:
            refused[path.stem] = error
    return Folder(queries, refused)


def find(name: str, folder: Path | None = None) -> Query:
    """Return a query by its name: a shipped one, or one of a folder of the user's.

    Raises
    ------
    QueryError
        There is none of that name (near ones are named), or its file is none.
    """
    known = dict(library())
    if folder is not None:
        own = read_folder(folder)
        if name in own.refused:
            raise own.refused[name]
        known |= own.queries
    if name not in known:
        raise QueryError(f"no query {name[:100]!a}{near(name, known)}", "`atlas query list` shows all")
    return known[name]
