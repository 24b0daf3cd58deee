"""Firing rules: when a firing counts, as one bit of its level for each rule beyond `any`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.counting.scheme import FIXED_POINT, MAX_RULES
from atlas.errors import InputError
from atlas.shards import Shard

ANY = "any"
STRONG = "rel:0.5"
"""The rule of hierarchy and absorption, counted by default: weak residual firing hides absorption under `any`."""
_KINDS = ("abs", "rel")


def rule_name(text: str) -> str:
    """Return a rule's one name: `abs:1.50` is `abs:1.5`.

    Raises
    ------
    InputError
        It is none of `any`, `abs:T`, `rel:q`, or its number is negative or not finite.
    """
    kind, _, number = text.strip().partition(":")
    if (kind, number) == (ANY, ""):
        return ANY
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if kind not in _KINDS or not math.isfinite(value) or value < 0:
        raise InputError(f"firing rule {text!r}, expected any, abs:T or rel:q", "write for example abs:1.5 or rel:0.5")
    return f"{kind}:{repr(value + 0.0).removesuffix('.0')}"  # every digit; + 0.0 makes -0 and 0 one rule


def rule_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the rules of a pass in their one order: `any`, then the others by name, each once.

    Raises
    ------
    InputError
        One is no rule, or there are too many for one pass: a pair has a counter for each combination.
    """
    names = (ANY, *sorted({rule_name(text) for text in texts} - {ANY}))
    if len(names) > MAX_RULES:
        raise InputError(f"{len(names)} firing rules, at most {MAX_RULES} in one pass", "count some in another --run")
    return names


@dataclass(frozen=True)
class Rules:
    """The rules of a pass with what they compare activations against.

    Formula, with a the activation of a firing, theta the threshold of its feature's JumpReLU (0 where it has
    none) and m the median of its feature's positive activations: `any` a > 0; `abs:T` a - theta > T;
    `rel:q` a >= q m. Each is decided in float32.

    Attributes
    ----------
    names
        Rules as `rule_names` gives them.
    cuts : tuple of float32 arrays, shape (d,)
        What an activation must exceed (`abs`) or reach (`rel`), for each rule beyond `any`.
    """

    names: tuple[str, ...]
    cuts: tuple[npt.NDArray[np.float32], ...]

    @classmethod
    def of(
        cls,
        names: tuple[str, ...],
        *,
        threshold: Callable[[], npt.NDArray[np.float32]],
        medians: Callable[[], npt.NDArray[np.float32]],
    ) -> Rules:
        """Return the rules; `threshold` and `medians` give theta and m, and are called where a rule needs them."""
        found: dict[str, npt.NDArray[np.float32]] = {}
        cuts = []
        for name in names[1:]:
            kind, _, number = name.partition(":")
            if kind not in found:
                found[kind] = threshold() if kind == "abs" else medians()
            value = np.float32(number)
            cuts.append(found[kind] + value if kind == "abs" else found[kind] * value)
        return cls(names, tuple(cuts))

    def levels(self, shard: Shard) -> npt.NDArray[np.uint8] | None:
        """Return the level of each firing: uint8, shape (nnz,), bit r - 1 for rule r; None without further rules."""
        if not self.cuts:
            return None
        level = np.zeros(len(shard.ids), np.uint8)
        for bit, name in enumerate(self.names[1:]):
            level |= self.passes(name, shard.ids, shard.activations).astype(np.uint8) << bit
        return level

    def passes(
        self, name: str, ids: npt.NDArray[np.integer], activations: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.bool_]:
        """Return whether each firing passes a rule beyond `any`: bool, shape (nnz,)."""
        against = self.cuts[self.names.index(name) - 1][ids]
        found: npt.NDArray[np.bool_] = activations > against if name.startswith("abs") else activations >= against
        return found


def fixed_point(activations: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return activations in units of 1/1024, rounded to the nearest: int64, so that sums are exact in any order.

    Raises
    ------
    InputError
        An activation is 2^21 or more: in these units it would not fit in 31 bits.
    """
    if len(activations) and float(np.abs(activations).max()) >= 2**21:
        largest = np.abs(activations).max()
        raise InputError(f"activation {largest:g} does not fit the fixed point of sums", "count without --sums")
    return np.rint(activations.astype(np.float64) * FIXED_POINT).astype(np.int64)
