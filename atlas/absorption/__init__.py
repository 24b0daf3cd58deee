"""Which features fire in another's place: absorption, splitting and hedging."""

from atlas.absorption.measured import Limits
from atlas.absorption.stage import ABSORPTION, absorb

__all__ = ["ABSORPTION", "Limits", "absorb"]
