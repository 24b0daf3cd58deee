"""Candidates for absorption: pairs near in the decoder whose commoner feature is silent, beside what chance makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.absorption.counted import Counted
from atlas.absorption.directions import Directions, Integers, near_pairs, random_directions
from atlas.absorption.measured import (
    Bools,
    Gates,
    Limits,
    Pairs,
    Silence,
    candidate_gates,
    passing,
    signature_gates,
)
from atlas.tracking import Advance, Track, untracked

MOST_RANDOM = 2048
"""Most features whose directions are drawn at random: the counts are then scaled to all."""
ENOUGH_PAIRS = 1e7
MOST_DRAWS = 20
MATCHED = 20
"""Random pairs that are drawn beside each claimed one."""
NEAR_RANKS = 0.02


@dataclass(frozen=True)
class Found:
    """The candidates, and what chance says of them.

    Attributes
    ----------
    pairs : Pairs
    silence : Silence
    signature : bool, shape (n,)
        Whether each has the textbook mark, too.
    control : list of dict
        Rows of the table of controls.
    n_random : float
        Candidates that random directions give.
    """

    pairs: Pairs
    silence: Silence
    signature: Bools
    control: list[dict[str, Any]]
    n_random: float


@dataclass(frozen=True)
class _Screened:
    """The pairs of one set of directions that are worth counting, and how many pairs there were."""

    pairs: Pairs
    silence: Silence
    near: Mapping[float, int]
    """How many of all pairs reach each of the two decoder cosines that are asked for."""
    scale: float
    """What counts are multiplied with."""


def find_candidates(
    directions: Directions,
    counted: Counted,
    alive: Integers,
    *,
    limits: Limits,
    seed: int,
    track: Track = untracked,
) -> Found:
    """Return the pairs of alive features that are candidates, and how many chance would make.

    Parameters
    ----------
    directions
        Of all features.
    alive
        Features that are neither dead nor dense, ascending.
    seed
        Of the random directions and of the matched pairs.
    """
    rng = np.random.default_rng([seed, 53])
    chosen = alive if len(alive) <= MOST_RANDOM else np.sort(rng.permutation(alive)[:MOST_RANDOM])
    n_pairs = len(chosen) * (len(chosen) - 1) / 2
    draws = int(np.clip(np.ceil(ENOUGH_PAIRS / max(n_pairs, 1)), 1, MOST_DRAWS))
    scale = len(alive) * (len(alive) - 1) / 2 / max(n_pairs, 1) / draws
    with track("absorption", total=len(alive) + draws * len(chosen), unit="directions") as advance:
        real = _screen([directions.at(alive)], alive, counted, limits, 1.0, advance)
        drawn = (random_directions(directions.at(chosen), rng) for _ in range(draws))
        random = _screen(drawn, chosen, counted, limits, scale, advance)
    keep = np.flatnonzero(_passing(real, counted, limits))
    keep = keep[np.lexsort((real.pairs.parent[keep], real.pairs.child[keep]))]
    pairs = real.pairs.at(keep)
    silence = Silence.of(pairs, counted, limits)
    marks = signature_gates(pairs, silence, counted, limits)
    signature = passing(marks, len(keep)) if marks else np.zeros(len(keep), bool)
    control = _control(directions, counted, alive, (real, random), pairs, limits=limits, rng=rng)
    return Found(pairs, silence, signature, control, float(_passing(random, counted, limits).sum()) * random.scale)


def _screen(
    sets: Iterable[Directions], features: Integers, counted: Counted, limits: Limits, scale: float, advance: Advance
) -> _Screened:
    """Return the pairs above the floor that pass what needs no counts: contribution, or the mark of the textbook."""
    n = counted.firing_count[features]
    parts: list[Pairs] = []
    near = dict.fromkeys((_asked(limits.min_cosine), _asked(limits.signature_cosine)), 0)
    with_encoder = False
    floor = min(limits.min_cosine, limits.signature_cosine)
    for directions in sets:
        with_encoder = directions.encoder is not None and not directions.tied
        for a, b in near_pairs(directions.decoder, floor, advance=advance):
            first = n[a] >= n[b]
            some = Pairs.of(directions, features, counted, np.where(first, b, a), np.where(first, a, b))
            for cosine in near:
                near[cosine] += int((some.decoder_cosine >= cosine).sum())
            keep = some.contribution >= limits.min_contribution
            if some.asymmetry is not None:
                keep |= (some.decoder_cosine >= limits.signature_cosine) & (
                    some.asymmetry >= limits.signature_asymmetry
                )
            parts.append(some.at(keep))
    pairs = Pairs.joined(parts, with_encoder=with_encoder)
    return _Screened(pairs, Silence.of(pairs, counted, limits), near, scale)


def _asked(cosine: float) -> float:
    """Return a cosine as the name of its gate has it."""
    return float(f"{cosine:g}")


def _passing(screened: _Screened, counted: Counted, limits: Limits) -> Bools:
    gates = candidate_gates(screened.pairs, screened.silence, counted, limits)
    return passing(gates, len(screened.pairs.child))


def _control(
    directions: Directions,
    counted: Counted,
    alive: Integers,
    screened: tuple[_Screened, _Screened],
    claimed: Pairs,
    *,
    limits: Limits,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return the rows of the table: each gate with the pairs that pass it and those before it."""
    rows = []
    matched = matched_pairs(directions, counted, alive, claimed, rng)
    for claim in ("absorption", "signature"):

        def gates_of(pairs: Pairs, silence: Silence, claim: str = claim) -> Gates:
            if claim == "absorption":
                return candidate_gates(pairs, silence, counted, limits)
            return signature_gates(pairs, silence, counted, limits)

        counts = [_cumulative(one, gates_of(one.pairs, one.silence)) for one in screened]
        beside = gates_of(matched, Silence.of(matched, counted, limits))
        for place, (name, passes) in enumerate(beside):
            share = float(passes.mean()) if len(passes) else None
            rows.append(_row(claim, place, name, counts[0][place], counts[1][place], share))
        if beside:
            share = float(passing(beside, len(matched.child)).mean()) if len(matched.child) else None
            rows.append(_row(claim, len(beside), "all of them", counts[0][-1], counts[1][-1], share))
    return rows


def _row(claim: str, place: int, gate: str, pairs: float, random: float, share: float | None) -> dict[str, Any]:
    return {"claim": claim, "place": place, "gate": gate, "pairs": round(pairs), "random_directions": round(random),
            "matched_share": share}  # fmt: skip


def _cumulative(screened: _Screened, gates: Gates) -> list[float]:
    """Return how many pairs pass each gate and those before it.

    Of the first gate, a decoder cosine, all pairs are counted; from the second on those that were screened.
    """
    counts: list[float] = []
    passes = np.ones(len(screened.pairs.child), bool)
    for name, gate in gates:
        passes &= gate
        first = not counts
        n = screened.near[float(name.split()[2])] if first else int(passes.sum())
        counts.append(n * screened.scale)
    return counts


def matched_pairs(
    directions: Directions, counted: Counted, alive: Integers, claimed: Pairs, rng: np.random.Generator
) -> Pairs:
    """Return random pairs whose firing counts are like those of the claimed ones: 20 for each.

    Either feature is replaced by one within 2 % of the ranks by firing count.
    """
    order = alive[np.lexsort((alive, counted.firing_count[alive]))]
    rank = np.zeros(len(counted.firing_count), np.int64)
    rank[order] = np.arange(len(order))
    reach = max(1, round(NEAR_RANKS * len(order)))

    def like(features: Integers) -> Integers:
        shift = rng.integers(-reach, reach + 1, (MATCHED, len(features)))
        found: Integers = order[np.clip(rank[features] + shift, 0, len(order) - 1)].ravel()
        return found

    child, parent = like(claimed.child), like(claimed.parent)
    apart = child != parent
    every = np.arange(len(counted.firing_count))
    return Pairs.of(directions, every, counted, child[apart], parent[apart])
