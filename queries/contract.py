"""What a query promises: its parameters, its columns, what it costs; and whether a value is one of a parameter's."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from atlas.errors import QueryError

GROUPS = (
    "explore",
    "shape",
    "hierarchy",
    "communities",
    "exclusion",
    "tokens",
    "geometry",
    "quality",
    "compare",
    "housekeeping",
    "classify",
)
"""What queries are about, in the order in which they are listed."""
PARAMETER_TYPES = ("string", "integer", "float", "boolean")
COLUMN_TYPES = (*PARAMETER_TYPES, "list<string>", "list<integer>", "list<float>", "path")
COSTS = ("under 0.1 s", "under 1 s", "over 1 s")
"""Expected wall time on an atlas of 25,000 features and 500,000 edges; `benchmarks/queries.py` measures it."""
PLUGINS = {"gds": "Graph Data Science"}
"""Plugins of the server that a query may say that it needs; no other query calls any."""
GRAPH_NODES = 300
"""Most nodes that a query returns whose header says `graph: yes`: more are no picture."""


class _Mark:
    """A default that is no value."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def __repr__(self) -> str:
        return self.meaning


REQUIRED: Final = _Mark("required")
"""The parameter has no default."""
ONLY: Final = _Mark("the only one")
"""The default is the one atlas that the database holds."""


@dataclass(frozen=True)
class Parameter:
    """A parameter as its header declares it.

    Parameters
    ----------
    type
        `string`, `integer`, `float` or `boolean`.
    optional
        Whether null is a value of it.
    choices
        The only values that it takes; empty where all of its type are.
    default
        Its default; `REQUIRED` where there is none, `ONLY` for the one atlas of the database.
    """

    name: str
    type: str
    optional: bool
    choices: tuple[str, ...]
    default: Any
    meaning: str


@dataclass(frozen=True)
class Column:
    """A column of the answer as the header declares it."""

    name: str
    type: str
    optional: bool
    meaning: str


@dataclass(frozen=True)
class Query:
    """A query: its contract and its statement.

    Parameters
    ----------
    graph
        Whether it returns paths, of `GRAPH_NODES` nodes together at most, for Neo4j Browser to draw.
    needs
        The plugin that it calls, one of `PLUGINS`; empty where it needs none.
    cost, reason
        One of `COSTS` and what takes the time; both empty where the header does not say.
    key
        Columns that together name a row; the statement's order covers them, so that it is total.
    batched
        Whether the statement opens transactions of its own (`IN TRANSACTIONS`).
    languages
        Versions of Cypher that it is written in: `("5", "25")`, or the one that it asks for.
    """

    name: str
    title: str
    question: str
    group: str
    writes: bool
    graph: bool
    needs: str
    cost: str
    reason: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    statement: str
    header: str
    batched: bool
    languages: tuple[str, ...]

    def parameter(self, name: str) -> Parameter:
        """Return a parameter.

        Raises
        ------
        QueryError
            There is none of that name; near ones are named.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        if name not in known:
            raise QueryError(
                f"query {self.name} has no parameter {name!r}{near(name, known)}",
                f"it has: {', '.join(known)}",
            )
        return known[name]


def near(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean a or b?` for the names that are nearly `name`, or nothing."""
    close = difflib.get_close_matches(name[:100].lower(), list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def check_value(parameter: Parameter, value: Any) -> Any:
    """Return a value of the parameter's type; integers pass as floats.

    Raises
    ------
    QueryError
        It is of another type, not finite, or none of the choices.
    """
    if value is None and parameter.optional:
        return None
    wanted: dict[str, type] = {"string": str, "integer": int, "float": float, "boolean": bool}
    if parameter.type == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not wanted[parameter.type] or (isinstance(value, float) and not math.isfinite(value)):
        raise _wrong(parameter, value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise _wrong(parameter, value)
    if parameter.choices and value not in parameter.choices:
        raise QueryError(
            f"parameter {parameter.name} is {_shown(value)}{near(str(value), parameter.choices)}",
            f"it is one of: {', '.join(parameter.choices)}",
        )
    return value


def parse_value(parameter: Parameter, text: str) -> Any:
    """Return the value that a command line's text says by the declared type; `null` where that is one.

    Raises
    ------
    QueryError
        The text says no value of that type.
    """
    if parameter.optional and text == "null":
        return None
    readers: dict[str, Any] = {"string": str, "integer": int, "float": float, "boolean": _boolean}
    try:
        return check_value(parameter, readers[parameter.type](text))
    except ValueError as error:
        raise _wrong(parameter, text) from error


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
    except KeyError as error:
        raise ValueError(text) from error


def _wrong(parameter: Parameter, value: Any) -> QueryError:
    article: Literal["an", "a"] = "an" if parameter.type == "integer" else "a"
    null = " or null" if parameter.optional else ""
    return QueryError(
        f"parameter {parameter.name} is {_shown(value)}, expected {article} {parameter.type}{null}",
        f"{parameter.name}: {parameter.meaning}",
    )


def _shown(value: Any) -> str:
    """Return the value as Python writes it, a long one cut: it may be a whole file."""
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
