"""What is measured: the cases, the goals, and the points at which growth is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from atlas.firings import Firings
from benchmarks.synthetic import Firing, synthetic

Run = tuple[str, int]
"""A method and its threads."""


@dataclass(frozen=True)
class Case:
    """One input and the methods that are timed on it, in turns.

    Attributes
    ----------
    name, title
        For the command line, and for people.
    make
        The firings, from a seed and a share of the tokens.
    runs
        Methods and threads.
    axis, at
        Of a point of growth: what grows, and how far it has.
    """

    name: str
    title: str
    make: Callable[[int, float], Firing]
    runs: tuple[Run, ...]
    axis: Literal["", "tokens", "d", "L0"] = ""
    at: int = 0


@dataclass(frozen=True)
class Goal:
    """A ratio of two methods of one round that is wanted: `over` by `under`, of time, memory or counting alone."""

    case: str
    text: str
    over: Run
    under: Run
    wanted: float
    measure: Literal["time", "memory", "counting"] = "time"
    sense: Literal["at least", "at most"] = "at least"


ONE = (("ours", 1), ("scipy", 1), ("mkl", 1), ("dense", 1), ("add-at", 1), ("scatter", 1), ("floor", 1))
BOTH = (("ours-triangle", 1), ("ours-sparse", 1), ("ours-increments", 1))
TWO = (("ours", 2), ("mkl", 2), ("dense", 2), ("floor", 2))
FIT = (*ONE, *TWO)
WIDE = (*ONE, *BOTH, *TWO)
GROWTH = (("ours", 1), ("scipy", 1), ("mkl", 1))
GROWTH_REPEATS = 3
"""Rounds of a point of growth, at most: there are many points."""
GROWING: tuple[tuple[Literal["tokens", "d", "L0"], tuple[int, ...]], ...] = (
    ("tokens", (12_500, 25_000, 50_000, 100_000, 200_000)),
    ("d", (2**12, 2**14, 2**16, 2**18, 2**20)),
    ("L0", (12, 25, 50, 100, 200)),
)


def generated(
    n_tokens: int, d: int, *, l0: int = 100, grouped: float = 0.3, rules: bool = False
) -> Callable[[int, float], Firing]:
    """Return a maker of synthetic firings."""
    return lambda seed, scale: synthetic(
        max(1, round(n_tokens * scale)), d, l0=l0, grouped=grouped, rules=rules, seed=seed
    )


def cases(run: Path | None) -> list[Case]:
    """Return all cases, those of a run's features included where one is given."""
    found = [
        Case("16k", "d = 16,384, L0 = 100", generated(200_000, 2**14), WIDE),
        Case("65k", "d = 65,536, L0 = 100", generated(100_000, 2**16), WIDE),
        Case("131k", "d = 131,072, L0 = 100", generated(100_000, 2**17), WIDE),
        Case("1M", "d = 1,048,576, L0 = 100", generated(50_000, 2**20), (("ours-pruned", 1), *FIT)),
        Case("planted", "planted groups, d = 4,096, L0 = 32", generated(200_000, 2**12, l0=32, grouped=0.8), FIT),
        Case(
            "rules",
            "four firing rules, d = 16,384, L0 = 100",
            generated(100_000, 2**14, rules=True),
            (("ours", 1), ("ours-rules", 1), ("ours-passes", 1)),
        ),
        Case(
            "floors",
            "random increments",
            generated(2_000, 2**12, l0=2),
            (("floor-L1", 1), ("floor-L2", 1), ("floor-memory", 1)),
        ),
        *_growth(),
    ]
    if run is not None:
        found.insert(4, Case("demo", "the demo's features", lambda seed, scale: firings_of(run, scale), FIT))
    return found


def _growth() -> list[Case]:
    points = []
    for axis, values in GROWING:
        for at in values:
            n_tokens = at if axis == "tokens" else 25_000 if axis == "d" else 50_000
            make = generated(n_tokens, at if axis == "d" else 2**14, l0=at if axis == "L0" else 100)
            points.append(Case(f"growth-{axis}-{at}", f"{axis} = {at:,}", make, GROWTH, axis, at))
    return points


def firings_of(run: Path, scale: float) -> Firing:
    """Return the firings of a run folder, or the first share of their tokens."""
    firings = Firings(run / "10-activations")
    parts = list(firings.shards())
    lengths = np.concatenate([np.diff(shard.indptr) for shard in parts])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    everything = Firing(firings.d_sae, indptr, np.concatenate([shard.ids for shard in parts]))
    return everything.head(max(1, round(scale * everything.n_tokens)))


GOALS = (
    *(Goal(case, "SciPy's time by ours", ("scipy", 1), ("ours", 1), 10) for case in ("16k", "65k", "131k", "1M")),
    Goal("16k", "MKL's time by ours", ("mkl", 1), ("ours", 1), 3),
    Goal("16k", "our increments by the floor", ("ours-increments", 1), ("floor", 1), 2, sense="at most"),
    Goal("16k", "our counting, index included, by the floor", ("ours", 1), ("floor", 1), 2, "counting", "at most"),
    Goal("16k", "ours on one thread by two", ("ours", 1), ("ours", 2), 1.7),
    Goal("1M", "SciPy's time by ours, pruned", ("scipy", 1), ("ours-pruned", 1), 10),
    Goal("1M", "SciPy's memory by ours, pruned", ("scipy", 1), ("ours-pruned", 1), 10, "memory"),
    *(Goal(case, "SciPy's time by ours", ("scipy", 1), ("ours", 1), 10) for case in ("demo", "planted")),
    Goal("rules", "four rules in one pass by one rule", ("ours-rules", 1), ("ours", 1), 1.8, sense="at most"),
    Goal("rules", "four passes by one pass", ("ours-passes", 1), ("ours-rules", 1), 1),
)
