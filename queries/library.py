"""The library's queries: each file's header parsed into a contract, which the statement is held to."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from atlas.errors import QueryError
from atlas.queries.statement import Statement, read_statement

FOLDER = Path(__file__).parent
GROUPS = ("atlas", "features", "edges", "hierarchy", "clusters", "classify", "browser")
PARAMETER_TYPES = ("string", "integer", "float", "boolean")
COLUMN_TYPES = (*PARAMETER_TYPES, "list<string>", "list<integer>", "path")


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
    default
        Its default; `REQUIRED` where there is none, `ONLY` for the one atlas of the database.
    """

    name: str
    type: str
    optional: bool
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
    key
        Columns that together name a row; the statement's order covers them, so that it is total.
    batched
        Whether the statement opens transactions of its own (`IN TRANSACTIONS`).
    """

    name: str
    title: str
    question: str
    group: str
    writes: bool
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    statement: str
    header: str
    batched: bool

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


@cache
def library() -> Mapping[str, Query]:
    """Return the shipped queries by name, in the order of their names, each one checked."""
    return {path.stem: read_query(path) for path in sorted(FOLDER.glob("*.cypher"))}


def find(name: str) -> Query:
    """Return a shipped query.

    Raises
    ------
    QueryError
        There is none of that name; near ones are named.
    """
    known = library()
    if name not in known:
        raise QueryError(f"no query {name!r}{near(name, known)}", "`atlas query list` shows all")
    return known[name]


def near(name: str, known: Mapping[str, object] | list[str]) -> str:
    """Return `; did you mean a or b?` for the names that are nearly `name`, or nothing."""
    close = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def read_query(path: Path) -> Query:
    """Return the query of a file.

    Raises
    ------
    QueryError
        The header is no contract, or the statement disagrees with it: file and line are named.
    """
    try:
        text = path.read_text("utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{path}: cannot be read ({error})", "name a readable file in UTF-8") from error
    return _Reader(path.stem, path.name, text).query()


class _Reader:
    """Parses one file; keeps the line of everything it read, so that a refusal can name it."""

    def __init__(self, name: str, file: str, text: str) -> None:
        self.name, self.file, self.text = name, file, text
        self.single: dict[str, tuple[int, str]] = {}
        self.parameters: list[tuple[int, Parameter]] = []
        self.columns: list[tuple[int, Column]] = []

    def query(self) -> Query:
        header_lines = self._read_header()
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            self._refuse(1, f"file name {self.name!r}, expected lower case, digits and underscores")
        for field in ("title", "question", "group", "writes", "key"):
            if field not in self.single:
                self._refuse(1, f"the header has no `{field}:`")
        writes = self._one_of("writes", ("yes", "no")) == "yes"
        lines = self.text.split("\n")
        body = "\n".join(lines[header_lines:]).strip("\n")
        first = header_lines + 1 + next((i for i, line in enumerate(lines[header_lines:]) if line.strip()), 0)
        statement = read_statement(body, first, self._refuse)
        query = Query(
            name=self.name,
            title=self.single["title"][1],
            question=self.single["question"][1],
            group=self._one_of("group", GROUPS),
            writes=writes,
            parameters=tuple(parameter for _, parameter in self.parameters),
            columns=tuple(column for _, column in self.columns),
            key=tuple(name.strip() for name in self.single["key"][1].split(",")),
            statement=body,
            header="\n".join(lines[:header_lines]),
            batched=statement.batched,
        )
        self._check(query, statement)
        return query

    def _read_header(self) -> int:
        """Read the leading `//` lines; return their number."""
        entries: list[tuple[int, str]] = []
        for number, line in enumerate(self.text.split("\n"), start=1):
            if not line.startswith("//"):
                break
            text = line[2:]
            if text.startswith("   ") and entries:  # three blanks or more go on with the entry above
                entries[-1] = (entries[-1][0], f"{entries[-1][1]} {text.strip()}")
            else:
                entries.append((number, text.strip()))
        else:
            number += 1
        for at, entry in entries:
            self._read_entry(at, entry)
        return number - 1

    def _read_entry(self, line: int, entry: str) -> None:
        field, colon, value = entry.partition(":")
        value = value.strip()
        if not colon or not value:
            self._refuse(line, f"header line {entry!r}, expected `field: value`")
        if field == "parameter":
            self.parameters.append((line, self._read_parameter(line, value)))
        elif field == "column":
            self.columns.append((line, self._read_column(line, value)))
        elif field not in ("title", "question", "group", "writes", "key"):
            self._refuse(line, f"unknown header field {field!r}")
        elif field in self.single:
            self._refuse(line, f"second `{field}:`; the first is in line {self.single[field][0]}")
        else:
            self.single[field] = (line, value)

    def _read_parameter(self, line: int, value: str) -> Parameter:
        found = re.fullmatch(r"(\w+) (\w+)(\??)(?: = (.+?))? -- (.+)", value)
        if not found:
            self._refuse(line, f"parameter {value!r}, expected `name type = default -- meaning`")
        name, kind, optional, default, meaning = found.groups()
        if kind not in PARAMETER_TYPES:
            self._refuse(line, f"type {kind!r} of ${name}, expected one of {', '.join(PARAMETER_TYPES)}")
        if any(name == parameter.name for _, parameter in self.parameters):
            self._refuse(line, f"parameter ${name} is declared twice")
        parameter = Parameter(name, kind, bool(optional), REQUIRED, meaning)
        if default is None:
            return parameter
        if default == "only":
            if name != "atlas":
                self._refuse(line, f"default `only` of ${name}: only $atlas has it")
            return Parameter(name, kind, bool(optional), ONLY, meaning)
        try:
            checked = check_value(parameter, json.loads(default))
        except (ValueError, QueryError) as error:
            self._refuse(line, f"default {default} of ${name} is no {kind} ({error})")
        return Parameter(name, kind, bool(optional), checked, meaning)

    def _read_column(self, line: int, value: str) -> Column:
        found = re.fullmatch(r"(\w+) ([\w<>]+)(\??) -- (.+)", value)
        if not found:
            self._refuse(line, f"column {value!r}, expected `name type -- meaning`")
        name, kind, optional, meaning = found.groups()
        if kind not in COLUMN_TYPES:
            self._refuse(line, f"type {kind!r} of column {name}, expected one of {', '.join(COLUMN_TYPES)}")
        return Column(name, kind, bool(optional), meaning)

    def _one_of(self, field: str, allowed: tuple[str, ...]) -> str:
        line, value = self.single[field]
        if value not in allowed:
            self._refuse(line, f"{field} {value!r}, expected one of {', '.join(allowed)}")
        return value

    def _check(self, query: Query, statement: Statement) -> None:
        """Hold the statement to the header."""
        declared = {parameter.name: line for line, parameter in self.parameters}
        for name, line in declared.items():
            if name not in statement.parameters:
                self._refuse(line, f"parameter ${name} is declared and not used")
        for name, line in statement.parameters.items():
            if name not in declared:
                self._refuse(line, f"parameter ${name} is used and not declared{near(name, declared)}")
        if "atlas" not in declared:
            self._refuse(1, "no parameter `atlas`: every query says which atlas it reads")
        if statement.writes and not query.writes:
            clause, line = statement.writes[0]
            self._refuse(line, f"{clause} in a query whose header says `writes: no`")
        if query.writes and not statement.writes:
            self._refuse(self.single["writes"][0], "the header says `writes: yes` and nothing is written")
        names = tuple(column.name for column in query.columns)
        if names != statement.columns:
            found = ", ".join(statement.columns)
            self._refuse(statement.return_line, f"returns {found}; the header says {', '.join(names)}")
        for column in query.key:
            if column not in names:
                self._refuse(self.single["key"][0], f"key {column!r} is no column")
            if column not in statement.order:
                self._refuse(statement.return_line, f"ORDER BY leaves out {column!r} of the key")

    def _refuse(self, line: int, cause: str) -> NoReturn:
        raise QueryError(f"{self.file}:{line}: {cause}", "correct the file: its header is its contract")


def check_value(parameter: Parameter, value: Any) -> Any:
    """Return a value of the parameter's type; integers pass as floats.

    Raises
    ------
    QueryError
        It is of another type, or not finite.
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
        f"parameter {parameter.name} is {value!r}, expected {article} {parameter.type}{null}",
        f"{parameter.name}: {parameter.meaning}",
    )
