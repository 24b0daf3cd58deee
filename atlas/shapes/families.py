"""Ego subgraphs that are many features of one vocabulary item: a kind of their own."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

Family = Literal["item", "white space", "punctuation"]
SHOWN_SPACE = "␣↵⇥"
BROKEN = "\ufffd"


def ego_family(hub: Sequence[str], leaves: Sequence[Sequence[str]]) -> Family | None:
    """Return whether hub and most leaves are features of one vocabulary item, or of white space or punctuation.

    `item`: the hub's top item is that of more than half of the leaves, up to case and outer spaces.
    `white space`, `punctuation`: it is not, but the hub's top item and those of more than half of the
    leaves are all white space, or all signs. A large family is twenty features for " the"; a small one
    may be one word split by its senses: the size stands beside it.

    Parameters
    ----------
    hub, leaves
        Top items of the hub and of each leaf, as `atlas.captions.top_tokens` returns them.
    """
    if not hub or not leaves:
        return None
    tops = [tokens[0] for tokens in leaves if tokens]
    if 2 * sum(top.casefold() == hub[0].casefold() for top in tops) > len(leaves):
        return "item"
    kind = _kind(hub[0])
    return kind if kind and 2 * sum(_kind(top) == kind for top in tops) > len(leaves) else None


def _kind(item: str) -> Family | None:
    if all(sign in SHOWN_SPACE or sign.isspace() for sign in item):
        return "white space"
    signs = all(unicodedata.category(sign)[0] in "PS" and sign not in BROKEN for sign in item)
    return "punctuation" if signs else None
