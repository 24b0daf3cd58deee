"""The score card: every world and seed judged once and kept, and the figures over seeds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import atlas
from atlas.errors import InputError
from atlas.files import write_json
from atlas.score.absorbing import absorption_counts
from atlas.score.cases import GRAPHS, MAGNITUDES, MANIFOLDS, READINGS, TOYS, Case, check_seeds
from atlas.score.composing import verdict_counts
from atlas.score.graphs import planted_graphs
from atlas.score.intervals import Interval, bootstrap_ratio, wilson
from atlas.score.judging import Counts, judge
from atlas.score.magnitudes import magnitude_counts, planted_magnitudes
from atlas.score.manifolds import manifold_counts
from atlas.score.pipeline import find
from atlas.score.readings import planted_readings
from atlas.score.shaping import graph_counts
from atlas.score.worlds import planted_world
from atlas.tracking import Track, untracked

Confusion = dict[str, dict[str, dict[str, int]]]


@dataclass(frozen=True)
class Judged:
    """What one case and seed gave: hits and trials by figure, and for W8 and W12 the confusion."""

    case: Case
    seed: int
    counts: Counts
    confusion: Confusion


@dataclass(frozen=True)
class Goal:
    """What a figure should be, `at least` or `at most`, and of which worlds."""

    figure: str
    side: Literal["at least", "at most"]
    value: float
    worlds: tuple[str, ...]


EDGE_WORLDS = ("W0", "W1", "W2", "W3", "W4", "W9", "W10")
GOALS = (
    Goal("edges: false-discovery rate", "at most", 0.1, EDGE_WORLDS),
    Goal("edges: recall", "at least", 0.95, EDGE_WORLDS),
    Goal("any claim", "at most", 0.15, ("W3", "W11")),
    Goal("basis: contextual", "at most", 0.05, ("W0",)),
    Goal("stars: kept or found", "at least", 0.9, ("W1",)),
    Goal("AMI: middle", "at least", 0.95, ("W9",)),
    Goal("parents, direct: precision", "at least", 0.95, ("W4",)),
    Goal("parents, direct: recall", "at least", 0.95, ("W4",)),
    Goal("ancestors: precision", "at least", 0.99, ("W4",)),
    Goal("ancestors: recall", "at least", 0.97, ("W4",)),
    Goal("manifolds: ring", "at least", 0.95, ("W5",)),
    *(Goal(f"manifolds: {name} called ring", "at most", 0.05, ("W5",)) for name in ("simplex", "line", "arc", "helix")),
    Goal("manifolds: claims of items not planted together", "at most", 0.05, ("W5",)),
    Goal("manifolds: shuffled claims", "at most", 0.05, ("W5",)),
    Goal("magnitude: false multi-peak", "at most", 0.03, ("W6",)),
    Goal("magnitude: multi-peak", "at least", 0.85, ("W6",)),
    Goal("magnitude: set", "at least", 0.95, ("W6",)),
    Goal("magnitude: variable", "at least", 0.95, ("W6",)),
    Goal("peaks: cause where there is none", "at most", 0.05, ("W6",)),
    Goal("peaks: token", "at least", 0.8, ("W6",)),
    Goal("peaks: neighbour", "at least", 0.8, ("W6",)),
    Goal("peaks: uncertainty", "at least", 0.8, ("W6",)),
    Goal("entropy: difference where there is none", "at most", 0.05, ("W6",)),
    Goal("absorption, untied: precision", "at least", 0.9, ("W7",)),
    Goal("absorption, untied: recall", "at least", 0.8, ("W7",)),
    Goal("absorption, independent: any candidate", "at most", 0.05, ("W7",)),
    Goal("shapes, atlas: star", "at least", 0.9, ("W8",)),
    Goal("shapes, atlas: clique", "at least", 0.9, ("W8",)),
    Goal("shapes, atlas: false star, n >= 8", "at most", 0.05, ("W8",)),
    Goal("verdicts: composition", "at least", 0.9, ("W12",)),
    Goal("verdicts: ambiguity", "at least", 0.8, ("W12",)),
    Goal("verdicts: false composition", "at most", 0.02, ("W12",)),
    Goal("verdicts: false ambiguity", "at most", 0.02, ("W12",)),
)
SINGLE = (
    "any ", "stars", "cliques", "shapes", "verdicts", "manifolds", "magnitude", "peaks", "entropy",
    "absorption, independent: any candidate",
)  # fmt: skip
"""Figures whose trials are independent of each other: Wilson's interval. The others resample worlds."""


@dataclass(frozen=True)
class Figure:
    """A figure of the card: of which case, what it is called, its interval, and whether it is as wanted."""

    case: str
    name: str
    interval: Interval
    goal: Goal | None

    @property
    def reached(self) -> bool | None:
        """Whether the value is as wanted; None without a goal or a value."""
        if self.goal is None or self.interval.value is None:
            return None
        return self.interval.value >= self.goal.value if self.goal.side == "at least" else (
            self.interval.value <= self.goal.value
        )  # fmt: skip


@dataclass(frozen=True)
class Card:
    """All figures, and the confusion of shapes over all seeds."""

    seeds: tuple[int, ...]
    small: bool
    figures: tuple[Figure, ...]
    confusion: Confusion

    def figure(self, case: str, name: str) -> Interval:
        """Return one figure's interval; KeyError where the card has no such figure."""
        return {(one.case, one.name): one.interval for one in self.figures}[case, name]

    def as_json(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        rows = [{"world": one.case, "figure": one.name, **asdict(one.interval),
                 "goal": None if one.goal is None else f"{one.goal.side} {one.goal.value:g}",
                 "reached": one.reached} for one in self.figures]  # fmt: skip
        return {"seeds": list(self.seeds), "small": self.small, "figures": rows, "confusion": self.confusion}


def judge_seed(case: Case, seed: int, scratch: Path) -> Judged:
    """Return what one case and seed gives; `scratch` is a folder for the stages, which is emptied."""
    if case.world == GRAPHS:
        return Judged(case, seed, *graph_counts(planted_graphs(seed, small=case.small)))
    place = scratch / f"{case.name}-{seed}"
    try:
        if case.world == MANIFOLDS:
            counts = manifold_counts(place, seed=seed, background=case.background, small=case.small)
            return Judged(case, seed, counts, {})
        if case.world == MAGNITUDES:
            planted = planted_magnitudes(seed, background=case.background, small=case.small)
            return Judged(case, seed, magnitude_counts(planted, place, seed=seed), {})
        if case.world == READINGS:
            sets = planted_readings(seed, background=case.background, small=case.small)
            return Judged(case, seed, *verdict_counts(sets, place, seed=seed))
        if case.world == TOYS:
            return Judged(case, seed, absorption_counts(place, seed=seed, small=case.small), {})
        world = planted_world(case.world, seed, background=case.background, small=case.small)
        return Judged(case, seed, judge(world, find(place, world.sample, seed=seed)), {})
    finally:
        shutil.rmtree(place, ignore_errors=True)


def collect(
    cases: Sequence[Case], seeds: Sequence[int], *, kept: Path, scratch: Path, track: Track = untracked
) -> Iterator[Judged]:
    """Yield what every case and seed gives; those kept by the same program are read, not judged again.

    Parameters
    ----------
    kept
        Folder with one small JSON file for each case and seed.
    scratch
        Folder for the stages' artifacts, which are removed.
    track
        Told of the worlds judged.

    Raises
    ------
    InputError
        The folder cannot be made, or a file in it is damaged.
    """
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{kept} cannot be made: {error.strerror}", "name another folder") from error
    program = program_digest()
    with track("score", total=len(cases) * len(seeds), unit="worlds") as advance:
        for case in cases:
            for seed in seeds:
                path = kept / f"{case.world}{'b' if case.background else ''}{'s' if case.small else ''}-{seed}.json"
                key = {**asdict(case), "seed": seed, "program": program}
                judged = _read(path, case, seed, key)
                if judged is None:
                    judged = judge_seed(case, seed, scratch)
                    write_json(path, {**key, "counts": judged.counts, "confusion": judged.confusion})
                advance(1)
                yield judged


def program_digest() -> str:
    """Return a sum over the program's source: what another program judged is judged again."""
    root = Path(atlas.__file__).parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(("ingest/", "queries/")):
            total.update(name.encode() + path.read_bytes())
    return total.hexdigest()[:16]


def _read(path: Path, case: Case, seed: int, key: dict[str, Any]) -> Judged | None:
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text("utf8"))
    except ValueError as error:
        raise InputError(f"{path}: {error}", "remove it: the same command makes it again") from error
    if any(raw.get(name) != value for name, value in key.items()):
        return None
    counts = {name: (hits, trials) for name, (hits, trials) in raw["counts"].items()}
    return Judged(case, seed, counts, raw["confusion"])


def summarise(judged: Sequence[Judged], *, tuning: bool = False) -> Card:
    """Return the card over seeds.

    Parameters
    ----------
    tuning
        Allows seeds below 500, for tests of the program; the result is no score card then.

    Raises
    ------
    InputError
        A seed is one that rules may have been chosen on, or there is nothing to summarise.
    """
    seeds = sorted({one.seed for one in judged})
    if not tuning:
        check_seeds(seeds)
    cases = list(dict.fromkeys(one.case for one in judged))
    figures: list[Figure] = []
    for case in cases:
        worlds = [one.counts for one in judged if one.case == case]
        names = list(dict.fromkeys(name for counts in worlds for name in sorted(counts)))
        figures += [_figure(case, name, [counts[name] for counts in worlds if name in counts]) for name in names]
    return Card(tuple(seeds), any(case.small for case in cases), tuple(figures), _confusion(judged))


def _figure(case: Case, name: str, counts: list[tuple[float, float]]) -> Figure:
    hits, trials = zip(*counts, strict=True)
    goal = next((goal for goal in GOALS if goal.figure == name and case.world in goal.worlds), None)
    single = name.startswith(SINGLE)
    interval = wilson(int(sum(hits)), int(sum(trials))) if single else bootstrap_ratio(hits, trials)
    return Figure(case.name, name, interval, goal)


def _confusion(judged: Sequence[Judged]) -> Confusion:
    total: Confusion = {}
    for one in judged:
        for who, rows in one.confusion.items():
            for shape, called in rows.items():
                row = total.setdefault(who, {}).setdefault(shape, {})
                for name, n in called.items():
                    row[name] = row.get(name, 0) + n
    return {who: {shape: dict(sorted(row.items())) for shape, row in sorted(rows.items())}
            for who, rows in sorted(total.items())}  # fmt: skip
