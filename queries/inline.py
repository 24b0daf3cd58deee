"""A statement with its values written into it, for people to paste; programs send parameters beside it instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from atlas.queries.statement import HIDDEN

_PARAMETER = re.compile(rf"(?P<hidden>{HIDDEN.pattern})|\$(?P<name>\w+)", re.DOTALL)


def inlined(text: str, values: Mapping[str, Any]) -> str:
    """Return the statement with every parameter written out, strings, remarks and quoted names as they are.

    Raises
    ------
    KeyError
        A parameter has no value.
    """
    return _PARAMETER.sub(lambda found: found["hidden"] or literal(values[found["name"]]), text)


def literal(value: Any) -> str:
    """Return a string, a number, a boolean or None as Cypher writes it; whatever a string holds stays inside it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"({value!r})" if value < 0 else repr(value)
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} is no value of a parameter")
    plain = value.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + "".join(sign if sign.isprintable() else _escaped(sign) for sign in plain) + "'"


def _escaped(character: str) -> str:
    """Return the UTF-16 escapes of a character that could steer what shows it; Cypher reads them."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
