"""Hedging: pairs whose encoders and decoders are both nearer than chance has it, and which fire together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from atlas.absorption.candidates import MOST_RANDOM
from atlas.absorption.counted import Counted
from atlas.absorption.directions import Directions, Floats, Integers, near_pairs, random_directions
from atlas.absorption.measured import Bools
from atlas.tracking import Advance, Track, untracked

FLOOR, STEP = 0.15, 0.01
"""Smallest cosine that is looked at, and how finely the cut is chosen."""
MAX_CHANCE = 0.05
MIN_LIFT, MIN_JOINT = 2.0, 5
CUTS = np.arange(FLOOR, 1, STEP).round(2)
MOST = 100_000
"""Pairs that are kept at most: those whose smaller cosine is largest."""


def find_hedged(
    directions: Directions, counted: Counted, alive: Integers, *, seed: int, track: Track = untracked
) -> tuple[dict[str, Any], list[dict[str, Any]], float | None]:
    """Return the columns of `hedging`, its rows of the table of controls, and the cut.

    A latent that is too few for the features that it stands for mixes in what goes with its own: encoder and
    decoder both take up a part of the correlated feature. So both cosines of the pair are raised. Asked are pairs
    of alive features whose smaller cosine reaches a cut, the smallest at which random directions give at most a
    twentieth as many pairs, and which fire together more than their documents explain (5 tokens, lift_d 2). It
    does not tell hedging from two meanings that lie near each other; a wider SAE would.

    In a tied SAE the two cosines are one: the columns are empty there, and without an encoder.

    References
    ----------
    Chanin et al. 2025, arXiv:2505.11756 (feature hedging).
    """
    if directions.encoder is None or directions.tied:
        return _columns(alive[:0], alive[:0], None, np.zeros(0, bool), counted), [], None
    rng = np.random.default_rng([seed, 55])
    chosen = alive if len(alive) <= MOST_RANDOM else np.sort(rng.permutation(alive)[:MOST_RANDOM])
    scale = len(alive) * (len(alive) - 1) / max(len(chosen) * (len(chosen) - 1), 1)
    with track("hedging", total=len(alive) + len(chosen), unit="directions") as advance:
        real = _Near.of(directions.at(alive), advance)
        chance = _Near.of(random_directions(directions.at(chosen), rng), advance).reached
    cut = _cut(real.reached, chance, scale)
    a, b, cosines = real.above(1.0 if cut is None else cut)
    a, b = alive[a], alive[b]
    joint, _ = counted.joint(a, b)
    expected = counted.expected(a, b)
    together = (joint >= MIN_JOINT) & (joint >= MIN_LIFT * expected)
    n_chance = 0.0 if cut is None else int(chance[CUTS.searchsorted(cut)]) * scale
    shown = "none" if cut is None else f"{cut:.2f}"
    gates = ((f"both cosines {shown} or more", len(a), n_chance),
             ("fire together more than their documents explain", int(together.sum()), n_chance))  # fmt: skip
    rows = [{"claim": "hedging", "place": place, "gate": gate, "pairs": n, "random_directions": round(by_chance),
             "matched_share": None} for place, (gate, n, by_chance) in enumerate(gates)]  # fmt: skip
    return _columns(a, b, (cosines, joint, expected), together, counted), rows, cut


@dataclass(frozen=True)
class _Near:
    """Pairs whose decoder and encoder cosines are both above the floor: the nearest of them, and how many there are.

    Attributes
    ----------
    reached : int64, shape (n_cuts,)
        Pairs whose smaller cosine reaches each of `CUTS`.
    a, b : int64, shape (n,)
        Those of largest smaller cosine, `MOST` at most, in order; of equal ones the first.
    cosines : float64, shape (n, 2)
        Of the decoder and of the encoder.
    """

    reached: Integers
    a: Integers
    b: Integers
    cosines: Floats

    @classmethod
    def of(cls, directions: Directions, advance: Advance) -> Self:
        """Return the pairs of some directions; memory holds a few times `MOST` of them."""
        reached = np.zeros(len(CUTS), np.int64)
        held = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2))
        waiting, n = [held], 0
        for a, b in near_pairs(directions.decoder, FLOOR, advance=advance):
            encoder = directions.encoder_cosine(a, b)
            assert encoder is not None
            keep = encoder >= FLOOR
            a, b = a[keep], b[keep]
            cosines = np.column_stack([directions.decoder_cosine(a, b), encoder[keep]])
            least = np.sort(cosines.min(1))
            reached += len(least) - np.searchsorted(least, CUTS)
            waiting.append((a, b, cosines))
            n += len(a)
            if n > MOST:
                waiting, n = [_nearest(waiting)], 0
        return cls(reached, *_nearest(waiting))

    def above(self, cut: float) -> tuple[Integers, Integers, Floats]:
        """Return the pairs whose smaller cosine reaches a cut."""
        keep = self.cosines.min(1) >= cut
        return self.a[keep], self.b[keep], self.cosines[keep]


def _nearest(parts: Sequence[tuple[Integers, Integers, Floats]]) -> tuple[Integers, Integers, Floats]:
    a, b, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
    keep = np.sort(np.argsort(-cosines.min(1), kind="stable")[:MOST])
    return a[keep], b[keep], cosines[keep]


def _cut(reached: Integers, chance: Integers, scale: float) -> float | None:
    fine = np.flatnonzero((reached > 0) & (chance * scale <= MAX_CHANCE * reached))
    return float(CUTS[fine[0]]) if len(fine) else None


def _columns(a: Integers, b: Integers, measured: Any, together: Bools, counted: Counted) -> dict[str, Any]:
    """Return the columns of the pairs that fire together, in order of a and b."""
    if measured is None:
        names = ("a", "b", "decoder_cosine", "encoder_cosine", "joint_count", "expected", "lift_d", "p_a_given_b",
                 "p_b_given_a")  # fmt: skip
        return {name: [] for name in names}
    cosines, joint, expected = (values[together] for values in measured)
    a, b = a[together], b[together]
    order = np.lexsort((b, a))
    n = counted.firing_count
    columns = {
        "a": a, "b": b, "decoder_cosine": cosines[:, 0], "encoder_cosine": cosines[:, 1], "joint_count": joint,
        "expected": expected, "p_a_given_b": joint / np.maximum(n[b], 1), "p_b_given_a": joint / np.maximum(n[a], 1),
    }  # fmt: skip
    found: dict[str, Any] = {name: column[order] for name, column in columns.items()}
    lifts = np.divide(joint, expected, out=np.full(len(joint), np.nan), where=expected > 0)[order]
    found["lift_d"] = np.ma.masked_invalid(lifts).tolist()
    return found
