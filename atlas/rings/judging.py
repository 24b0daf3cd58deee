"""What is said of one set of points: the figures whose rules it meets, their chance, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from atlas.association.fdr import benjamini_hochberg
from atlas.rings.candidates import Rules
from atlas.rings.geometry import (
    PLANES,
    Places,
    Points,
    Statistic,
    angles,
    chance,
    closure,
    figures,
    places,
    ring_statistic,
    roundness,
)
from atlas.rings.others import (
    ARC_AXES,
    HELIX_AXES,
    HELIX_POINTS,
    arc_scores,
    helix_scores,
    is_line,
    is_simplex,
    line_p,
)

Geometry = Literal["ring", "helix", "arc", "line", "simplex", "undetermined"]
TESTED: tuple[Geometry, ...] = ("ring", "helix", "arc", "line")
"""Geometries that have a p-value, in the order in which they are named where several hold."""


@dataclass(frozen=True)
class Shape:
    """A geometry whose rule the points meet: its plane, the points as they follow each other, and its score."""

    plane: tuple[int, int]
    order: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class Judged:
    """The numbers of one set of points.

    Attributes
    ----------
    places : Places
    plane : tuple of int
        The two components that the geometry is about, from 0.
    radius_cv, gap : float
        Of the points on it, on the half that it was not fitted on.
    closure : float or None
        Likeness across the largest gap; None where neighbours are no more alike than the least alike pair.
    order : tuple of int
        The points as they follow each other.
    tested : tuple of str
        The geometries that may be looked for in the points.
    met : dict of geometry to Shape
        Those of them whose rules the points meet.
    p : dict of geometry to float
        Of the geometries tested, once `tried`; 1 where the rule is not met.
    geometry : str
    q : float or None
        Of the geometry; of an undetermined set that of a ring, where one was tested.
    """

    places: Places
    plane: tuple[int, int]
    radius_cv: float
    gap: float
    closure: float | None
    order: tuple[int, ...]
    tested: tuple[Geometry, ...]
    met: dict[Geometry, Shape]
    p: dict[Geometry, float] = field(default_factory=dict)
    geometry: Geometry = "undetermined"
    q: float | None = None


def measure(points: Points, rules: Rules, *, items: bool) -> Judged | None:
    """Return which rules the points meet; None where they do not span a plane.

    Parameters
    ----------
    items
        Whether the points are vocabulary items. Members can be a ring and nothing else: their centroids lie along their
        own directions by construction, in figures that shuffled firings give as well.
    """
    where = places(points)
    if where is None:
        return None
    share, k = where.held_out_variance, len(points.names)
    found = figures(where.held_out, share, rules)
    passing = found.passing(k, rules)
    best = int(np.where(passing, found.score, 0).argmax())
    plane = PLANES[best]
    theta = angles(where.held_out, plane)
    order = np.argsort(theta, kind="stable")
    closed = closure(order, theta, points.likeness, baseline=items)
    round_ = bool(passing.any()) and where.agreement(plane) >= rules.min_agreement
    tested: tuple[Geometry, ...] = ("arc", "line", "helix") if items else ()
    if found.eligible.any():
        tested = ("ring", *tested)
    met = _others(where, rules) if items else {}
    if round_ and closed is not None and closed >= rules.min_closure:
        met["ring"] = Shape(plane, tuple(order.tolist()), float(found.score[best]))
    radius_cv, gap = float(found.radius_cv[best]), float(found.gap[best])
    return Judged(where, plane, radius_cv, gap, closed, tuple(order.tolist()), tested, met)


def _others(where: Places, rules: Rules) -> dict[Geometry, Shape]:
    """Return the geometries other than rings whose rules are met."""
    found = {geometry: look(where, rules) for geometry, look in _LOOK.items()}
    return {geometry: shape for geometry, shape in found.items() if shape is not None}


def _arc(where: Places, rules: Rules) -> Shape | None:
    bends = arc_scores(where.held_out, where.held_out_variance)
    at = int(bends.argmax())
    if bends[at] <= 0 or where.agreement(ARC_AXES[at]) < rules.min_agreement:
        return None
    return _shape(where, ARC_AXES[at][0], ARC_AXES[at], float(bends[at]))


def _helix(where: Places, rules: Rules) -> Shape | None:
    if len(where.fitted) < HELIX_POINTS:
        return None
    turns = helix_scores(where.held_out, where.held_out_variance)
    at = int(turns.argmax())
    along, *around = HELIX_AXES[at]
    if turns[at] <= 0 or where.agreement((around[0], around[1])) < rules.min_agreement:
        return None
    return _shape(where, along, (around[0], around[1]), float(turns[at]))


def _line(where: Places, rules: Rules) -> Shape | None:
    if not is_line(where) or where.agreement((0, 1)) < rules.min_agreement:
        return None
    return _shape(where, 0, (0, 1), float(where.held_out_variance[0]))


_LOOK: dict[Geometry, Callable[[Places, Rules], Shape | None]] = {"arc": _arc, "helix": _helix, "line": _line}


def meets(points: Points, rules: Rules, geometry: Geometry) -> bool:
    """Return whether items meet the rule of one geometry: what `measure` says of it, and nothing else is looked at."""
    if geometry not in _LOOK:
        one = measure(points, rules, items=True)
        return one is not None and geometry in one.met
    where = places(points)
    return where is not None and _LOOK[geometry](where, rules) is not None


def _shape(where: Places, along: int, plane: tuple[int, int], score: float) -> Shape:
    order = np.argsort(where.held_out[:, along], kind="stable")
    return Shape((min(plane), max(plane)), tuple(order.tolist()), score)


def tried(judged: Judged, rules: Rules, *, seed: Sequence[int]) -> Judged:
    """Return the numbers with the p-value of each geometry that was tested.

    Parameters
    ----------
    seed
        Of the random frames.
    """
    where = judged.places
    share, k = where.held_out_variance, len(judged.order)
    statistics: dict[Geometry, Statistic] = {
        "ring": ring_statistic(share, k, rules),
        "arc": lambda drawn, _: arc_scores(drawn, share).max(-1),
        "helix": lambda drawn, least: helix_scores(drawn, share, least).max(-1),
    }
    p: dict[Geometry, float] = dict.fromkeys(judged.tested, 1.0)
    for number, geometry in enumerate(TESTED):
        if geometry not in judged.met or geometry not in judged.tested:
            continue
        rng = np.random.default_rng([*seed, number])
        p[geometry] = (
            line_p(where)
            if geometry == "line"
            else chance(judged.met[geometry].score, statistics[geometry], where.held_out, rng)
        )
    return replace(judged, p=p)


def named(judged: Sequence[Judged], rules: Rules) -> list[Judged]:
    """Return the sets of points with their geometry: the first of ring, helix, arc and line that holds, or a simplex.

    A geometry holds where its rule is met and its p-value stands up to Benjamini and Hochberg's procedure over all
    sets that were tested for it.
    """
    q: list[dict[Geometry, float]] = [{} for _ in judged]
    for geometry in TESTED:
        family = [number for number, one in enumerate(judged) if geometry in one.p]
        values = benjamini_hochberg(np.array([judged[number].p[geometry] for number in family]))
        for number, value in zip(family, values.tolist(), strict=True):
            q[number][geometry] = value
    return [_named(one, own, rules) for one, own in zip(judged, q, strict=True)]


def _named(one: Judged, q: dict[Geometry, float], rules: Rules) -> Judged:
    """Return the numbers under the first geometry that holds, on its plane."""
    for geometry in TESTED:
        if geometry in one.met and q.get(geometry, 1.0) <= rules.q:
            shape = one.met[geometry]
            radius_cv, gap = roundness(one.places.held_out[:, list(shape.plane)])
            return replace(
                one, geometry=geometry, plane=shape.plane, order=shape.order, radius_cv=radius_cv, gap=gap,
                q=q[geometry],
            )  # fmt: skip
    agree = one.places.agreement((0, 1)) >= rules.min_agreement
    simplex = agree and "line" in one.tested and is_simplex(one.places)
    return replace(one, geometry="simplex" if simplex else "undetermined", q=q.get("ring"))
