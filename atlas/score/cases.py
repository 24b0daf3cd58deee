"""What a card is made of: worlds, and seeds that no rule was chosen on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from atlas.errors import InputError

GRAPHS = "W8"
MANIFOLDS = "W5"
MAGNITUDES = "W6"
TOYS = "W7"
READINGS = "W12"
BARE = (GRAPHS, TOYS)
"""Worlds that have no background: W8 is one of graphs, W7 one of directions."""
WORLDS = ("W0", "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10", "W11", "W12")
FIRST_SEED = 500
"""Seeds of the card begin here. Those below are for choosing rules, and never on a card."""
SEEDS = range(FIRST_SEED, FIRST_SEED + 20)


@dataclass(frozen=True)
class Case:
    """A world, with or without a background, at one size."""

    world: str
    background: bool = False
    small: bool = False

    @property
    def name(self) -> str:
        """Its name: `W1`, `W1 + background`."""
        return f"{self.world} + background" if self.background else self.world

    @classmethod
    def of(cls, worlds: Iterable[str], *, background: bool | None, small: bool) -> list[Self]:
        """Return the cases of some worlds; background None means without and with.

        Raises
        ------
        InputError
            A world is unknown, or none of them has a background.
        """
        found = []
        for world in dict.fromkeys(worlds):
            if world not in WORLDS:
                raise InputError(f"world {world!r} is unknown", f"choose from {', '.join(WORLDS)}")
            kinds = (False, True) if background is None else (background,)
            found += [cls(world, with_one, small) for with_one in kinds if world not in BARE or not with_one]
        if not found:
            raise InputError(f"{', '.join(dict.fromkeys(worlds))} has no background", "leave --background out")
        return found


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise `InputError` where a seed is one that rules may have been chosen on."""
    if not seeds or min(seeds) < FIRST_SEED:
        raise InputError(
            f"seeds {seeds[0]}:{seeds[-1] + 1}" if seeds else "no seeds",
            f"a card has seeds from {FIRST_SEED} on: those below are for choosing rules",
        )
