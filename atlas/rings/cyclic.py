"""Whether the items of a ring are a known cyclic list, and whether they lie in its order."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.rings.geometry import PLANES, Floats, angles

LISTS = Path(__file__).with_name("cyclic_lists.json")
MIN_MATCHED, MIN_MATCHED_SHARE = 5, 0.75
"""Items that a list must name, at least, and the share of all items."""
EXACT = 8
"""Items up to which every order is gone through."""
SAMPLED = 100_000


@dataclass(frozen=True)
class Match:
    """A list that names most of the items.

    Attributes
    ----------
    name : str
    length : int
        Entries of the list.
    places : tuple of int or None
        Place in the list of each item; None where the list does not name it.
    """

    name: str
    length: int
    places: tuple[int | None, ...]


def match(items: Sequence[str]) -> Match | None:
    """Return the known cyclic list that names most of the items, five and three quarters of them at least."""
    best: Match | None = None
    most = max(MIN_MATCHED, math.ceil(MIN_MATCHED_SHARE * len(items))) - 1
    for name, length, spelled in _lists():
        found = tuple(spelled.get(item.casefold()) for item in items)
        named = len({place for place in found if place is not None})
        if named > most:
            best, most = Match(name, length, found), named
    return best


@cache
def _lists() -> tuple[tuple[str, int, dict[str, int]], ...]:
    """Return the name, the length and the place of every spelling of each list."""
    lists: dict[str, list[list[str]]] = json.loads(LISTS.read_text("utf8"))
    return tuple(
        (name, len(entries), {word: place for place, words in enumerate(entries) for word in words})
        for name, entries in lists.items()
    )


def order_p(coordinates: Floats, found: Match, rng: np.random.Generator) -> float:
    """Return the share of the orders of the items that are as close to the list's as theirs.

    Closeness is |mean of exp(i (theta - phi))|, theta the angle of an item on a plane and phi its place in the list as
    an angle, in either direction; of all planes of the first four components the best, in every order anew. Up to
    eight items all orders are gone through, else 100,000 are drawn and the one observed is counted in. A small
    share says that the items lie in the list's order, not that they lie on a ring.

    Parameters
    ----------
    coordinates
        Shape (k, 4).
    """
    named = np.array([place is not None for place in found.places])
    phi = np.array([2 * np.pi * place / found.length for place in found.places if place is not None])
    theta = np.stack([np.exp(1j * angles(coordinates[named], plane)) for plane in PLANES], -1)
    m = len(phi)
    observed = _closest(np.arange(m)[None], phi, theta)[0]
    if m <= EXACT:
        orders = np.array(list(itertools.permutations(range(m))), np.int64)
        return float((_closest(orders, phi, theta) >= observed - 1e-9).mean())
    drawn = rng.permuted(np.tile(np.arange(m), (SAMPLED, 1)), axis=1)
    reached = int((_closest(drawn, phi, theta) >= observed - 1e-9).sum())
    return (1 + reached) / (1 + SAMPLED)


def _closest(orders: npt.NDArray[np.int64], phi: Floats, theta: npt.NDArray[np.complex128]) -> Floats:
    turned = np.exp(1j * phi)[orders]
    both = np.abs(turned @ theta), np.abs(turned.conj() @ theta)
    best: Floats = np.maximum(*both).max(1) / len(phi)
    return best
