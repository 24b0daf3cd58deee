"""Reads the file of a query: the header parsed into a contract, which the statement is held to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NoReturn

from atlas.errors import QueryError
from atlas.queries.contract import (
    COLUMN_TYPES,
    COSTS,
    GROUPS,
    ONLY,
    PARAMETER_TYPES,
    PLUGINS,
    REQUIRED,
    Column,
    Parameter,
    Query,
    check_value,
    near,
)
from atlas.queries.statement import Statement, read_statement

_NEEDED = ("title", "question", "group", "writes", "key")
_MORE = ("graph", "needs", "cost")
_PARAMETER = re.compile(r"(\w+) (\w+)(\??)(?: in ([\w -]+(?:, [\w -]+)*?))?(?: = (.+?))? -- (.+)")


def read_query(path: Path, place: str = "") -> Query:
    """Return the query of a file.

    Parameters
    ----------
    place
        How errors name the file; the file's name where empty.

    Raises
    ------
    QueryError
        The header is no contract, or the statement disagrees with it: file and line are named.
    """
    try:
        text = path.read_text("utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{path}: cannot be read ({error})", "name a readable file in UTF-8") from error
    return _Reader(path.stem, place or path.name, text).query()


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
        for field in _NEEDED:
            if field not in self.single:
                self._refuse(1, f"the header has no `{field}:`")
        lines = self.text.split("\n")
        body = "\n".join(lines[header_lines:]).strip("\n")
        first = header_lines + 1 + next((i for i, line in enumerate(lines[header_lines:]) if line.strip()), 0)
        needs = self._one_of("needs", tuple(PLUGINS)) if "needs" in self.single else ""
        statement = read_statement(body, first, self._refuse, plugin=needs)
        cost, reason = self._cost()
        query = Query(
            name=self.name,
            title=self.single["title"][1],
            question=self.single["question"][1],
            group=self._one_of("group", GROUPS),
            writes=self._one_of("writes", ("yes", "no")) == "yes",
            graph="graph" in self.single and self._one_of("graph", ("yes", "no")) == "yes",
            needs=needs,
            cost=cost,
            reason=reason,
            parameters=tuple(parameter for _, parameter in self.parameters),
            columns=tuple(column for _, column in self.columns),
            key=tuple(name.strip() for name in self.single["key"][1].split(",")),
            statement=body,
            header="\n".join(lines[:header_lines]),
            batched=statement.batched,
            languages=statement.languages,
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
        elif field not in (*_NEEDED, *_MORE):
            self._refuse(line, f"unknown header field {field!r}")
        elif field in self.single:
            self._refuse(line, f"second `{field}:`; the first is in line {self.single[field][0]}")
        else:
            self.single[field] = (line, value)

    def _read_parameter(self, line: int, value: str) -> Parameter:
        found = _PARAMETER.fullmatch(value)
        if not found:
            self._refuse(line, f"parameter {value!r}, expected `name type = default -- meaning`")
        name, kind, optional, listed, default, meaning = found.groups()
        if kind not in PARAMETER_TYPES:
            self._refuse(line, f"type {kind!r} of ${name}, expected one of {', '.join(PARAMETER_TYPES)}")
        if any(name == parameter.name for _, parameter in self.parameters):
            self._refuse(line, f"parameter ${name} is declared twice")
        if listed and kind != "string":
            self._refuse(line, f"${name} is {kind}: only a string is one `in` a list")
        choices = tuple(listed.split(", ")) if listed else ()
        parameter = Parameter(name, kind, bool(optional), choices, REQUIRED, meaning)
        if default is None:
            return parameter
        if default == "only":
            if name != "atlas":
                self._refuse(line, f"default `only` of ${name}: only $atlas has it")
            return Parameter(name, kind, bool(optional), choices, ONLY, meaning)
        try:
            checked = check_value(parameter, json.loads(default))
        except (ValueError, QueryError) as error:
            self._refuse(line, f"default {default} of ${name} is no {kind} ({error})")
        return Parameter(name, kind, bool(optional), choices, checked, meaning)

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
            self._refuse(line, f"{field} {value!r}{near(value, allowed)}, expected one of {', '.join(allowed)}")
        return value

    def _cost(self) -> tuple[str, str]:
        if "cost" not in self.single:
            return "", ""
        line, value = self.single["cost"]
        cost, dashes, reason = value.partition(" -- ")
        if cost not in COSTS or not dashes:
            self._refuse(line, f"cost {value!r}, expected one of {', '.join(COSTS)}, and ` -- reason`")
        return cost, reason

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
        if query.graph != any(column.type == "path" for column in query.columns):
            line = self.single.get("graph", (1, ""))[0]
            self._refuse(line, "`graph: yes` and a column of type path go together")

    def _refuse(self, line: int, cause: str) -> NoReturn:
        raise QueryError(f"{self.file}:{line}: {cause}", "correct the file: its header is its contract")
