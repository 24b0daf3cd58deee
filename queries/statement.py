"""What a Cypher statement uses, writes, returns and sorts by, read from its text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

HIDDEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:``|[^`])*`", re.DOTALL
)
"""Remarks, strings and quoted names: what stands in them is no Cypher."""
_WRITES = re.compile(
    r"(?<![.:$\w])(CREATE|MERGE|SET|DELETE|DETACH|REMOVE|DROP|FOREACH|INSERT|LOAD\s+CSV)\b", re.IGNORECASE
)
_BATCHED = re.compile(r"\bIN\s+(?:(?:\d+\s+)?CONCURRENT\s+)?TRANSACTIONS\b", re.IGNORECASE)
_PROCEDURE = re.compile(r"\bCALL\s+([A-Za-z][\w.]*)", re.IGNORECASE)
_FOREIGN = re.compile(r"\b(apoc|gds)\.", re.IGNORECASE)
_WORD = re.compile(r"\b(RETURN|UNION|USE)\b|[(){}\[\]]", re.IGNORECASE)
_LANGUAGE = re.compile(r"\s*CYPHER\s+(\w+)", re.IGNORECASE)
LANGUAGES = ("5", "25")
"""Versions of Cypher in which a query is the same, where it does not ask for one of them."""
PROCEDURES = ("db.index.fulltext.queryNodes", "db.index.vector.queryNodes")
"""Procedures that a query may call: they read."""
PLUGIN_PROCEDURES = {"gds": ("gds.graph.drop", "gds.leiden.stream")}
"""Those of a plugin, which a query may call that says that it needs it: they write to its memory alone."""

Refuse = Callable[[int, str], NoReturn]


@dataclass(frozen=True)
class Statement:
    """What a statement was found to say.

    Parameters
    ----------
    parameters
        Each parameter that is used, and the line of its first use.
    writes
        Each clause that writes, and its line.
    columns, return_line
        Names that the last RETURN gives, and its line.
    order
        Names and property names by which the answer is sorted.
    batched
        Whether it opens transactions of its own.
    languages
        The versions of Cypher that it is written in.
    """

    parameters: dict[str, int]
    writes: list[tuple[str, int]]
    columns: tuple[str, ...]
    return_line: int
    order: tuple[str, ...]
    batched: bool
    languages: tuple[str, ...]


def read_statement(text: str, first_line: int, refuse: Refuse, *, plugin: str = "") -> Statement:
    """Return what a statement says; `refuse(line, cause)` is called where its form is not the library's.

    It calls `plugin`, and no other.
    """
    bare = HIDDEN.sub(lambda hidden: re.sub(r"[^\n]", " ", hidden.group()), text)

    def line(position: int) -> int:
        return first_line + bare.count("\n", 0, position)

    if not bare.strip():
        refuse(first_line, "there is no statement")
    if ";" in bare.rstrip().rstrip(";"):
        refuse(line(bare.index(";")), "more than one statement")
    _check_calls(bare, line, refuse, plugin)
    asked = _LANGUAGE.match(bare)
    if asked and asked.group(1) not in LANGUAGES:
        refuse(first_line, f"CYPHER {asked.group(1)}, expected {' or '.join(LANGUAGES)}")
    languages = (asked.group(1),) if asked else LANGUAGES
    parameters: dict[str, int] = {}
    for used in re.finditer(r"\$(\w+)", bare):
        parameters.setdefault(used.group(1), line(used.start()))
    writes = [
        (" ".join(found.group().upper().split()), line(found.start())) for found in _WRITES.finditer(bare)
    ]
    position = _last_return(bare, line, refuse)
    columns, order = _answer(bare[position:], line(position), refuse)
    return Statement(parameters, writes, columns, line(position), order, bool(_BATCHED.search(bare)), languages)


def _check_calls(bare: str, line: Callable[[int], int], refuse: Refuse, plugin: str) -> None:
    """Refuse what calls a plugin that the header does not name, or a procedure that is not known to read."""
    called = list(_FOREIGN.finditer(bare))
    if plugin and not called:
        refuse(line(0), f"the header says `needs: {plugin}` and {plugin}.* is not called")
    for foreign in called:
        if foreign.group(1) != plugin:
            refuse(line(foreign.start()), f"{foreign.group()}*: the library needs no plugin; the header names one that "
                   "a single query does: `needs: gds`")  # fmt: skip
    allowed = (*PROCEDURES, *PLUGIN_PROCEDURES.get(plugin, ()))
    for call in _PROCEDURE.finditer(bare):
        if call.group(1) not in allowed:
            refuse(line(call.start()), f"procedure {call.group(1)}, expected one of {', '.join(allowed)}")


def _last_return(bare: str, line: Callable[[int], int], refuse: Refuse) -> int:
    """Return where the outermost RETURN stands."""
    depth, found = 0, -1
    for word in _WORD.finditer(bare):
        token = word.group().upper()
        if token in "({[":
            depth += 1
        elif token in ")}]":
            depth -= 1
        elif depth == 0 and token == "RETURN":
            found = word.start()
        elif depth == 0:
            refuse(line(word.start()), f"{token} outside a subquery: the answer has one RETURN")
    if found < 0:
        refuse(line(len(bare.rstrip()) - 1), "there is no RETURN")
    return found


def _answer(tail: str, at: int, refuse: Refuse) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns and the names in the order of `RETURN ... ORDER BY ... LIMIT ...`."""
    parts = re.fullmatch(
        r"RETURN\s+(?:DISTINCT\s+)?(?P<columns>.+?)\s+ORDER\s+BY\s+(?P<order>.+?)\s+LIMIT\s+(?:\$limit|\d+)[\s;]*",
        tail,
        re.DOTALL | re.IGNORECASE,
    )
    if parts is None:
        ordered = re.search(r"\bORDER\s+BY\b", tail, re.IGNORECASE)
        refuse(at, f"the RETURN has no {'LIMIT at its end' if ordered else 'ORDER BY'}")
    names = []
    for item in _split(parts["columns"]):
        name = re.fullmatch(r"(?:.*\bAS\s+)?(\w+)", item.strip(), re.DOTALL | re.IGNORECASE)
        if name is None:
            refuse(at, f"column {' '.join(item.split())!r} has no name: say `AS name`")
        names.append(name.group(1))
    order = tuple(
        re.sub(r"\s+(?:ASC|DESC)(?:ENDING)?$", "", item.strip(), flags=re.IGNORECASE)
        for item in _split(parts["order"])
    )
    return tuple(names), order


def _split(text: str) -> list[str]:
    """Return the parts of a list between commas that stand outside all brackets."""
    parts, depth, start = [], 0, 0
    for position, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
