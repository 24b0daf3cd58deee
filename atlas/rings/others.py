"""Figures that are no rings: arcs, helices, lines and simplices, each by its own rule."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from atlas.rings.frames import helix_bests
from atlas.rings.geometry import COMPONENTS, Floats, Places, simplex_share

ARC_AXES = ((0, 1), (0, 2), (1, 2), (1, 0))
"""Along which component an arc runs, and into which it bends."""
HELIX_AXES = tuple(
    (along, a, b)
    for along in range(3)
    for a in range(COMPONENTS)
    for b in range(a + 1, COMPONENTS)
    if along not in (a, b)
)
"""Along which component a helix runs, and around which plane."""
MIN_BEND = 0.5
"""Share of the second component that a parabola over the first explains, at least, for an arc."""
MIN_TURN = 0.8
"""How evenly a helix turns, at least: 1 where the angle grows in proportion to the place along it."""
MIN_TURNS = 1.25
MAX_HELIX_CV = 0.35
HELIX_POINTS = 8
LINE_SHARE, LINE_DOMINANCE, LINE_GAP = 0.5, 2.0, 0.35
"""A line: share of variance on the first component; it over the second; largest gap over the whole length."""
FLATNESS = 1.5
"""Share of variance on the plane over that of a simplex, below which points are a simplex."""
_TINY = 1e-12
_DRAWS = 1_000


def bends(coordinates: Floats) -> Floats:
    """Return for each pair of `ARC_AXES` how much of the second component a parabola over the first explains: R^2.

    Parameters
    ----------
    coordinates
        Shape (..., k, 4).

    Returns
    -------
    float64, shape (..., 4)
    """
    found = []
    for along, into in ARC_AXES:
        x, y = (coordinates[..., axis] - coordinates[..., axis].mean(-1, keepdims=True) for axis in (along, into))
        square = x**2 - (x**2).mean(-1, keepdims=True)
        square = square - x * ((square * x).sum(-1) / np.maximum((x**2).sum(-1), _TINY))[..., None]
        left = y - x * ((y * x).sum(-1) / np.maximum((x**2).sum(-1), _TINY))[..., None]
        explained = (left * square).sum(-1) ** 2 / np.maximum((square**2).sum(-1), _TINY)
        found.append(explained / np.maximum((y**2).sum(-1), _TINY))
    return np.stack(found, -1)


def arc_scores(coordinates: Floats, share: Floats) -> Floats:
    """Return the bends weighted by the share of variance on the two components: shape (..., 4).

    0 below `MIN_BEND`, and where the points leave a gap of more than `LINE_GAP` along the arc's first component.
    """
    weight = np.array([share[along] + share[into] for along, into in ARC_AXES])
    weight *= [share[into] >= 0.1 * share[along] and share[along] >= 0.25 * share[into] for along, into in ARC_AXES]
    bend = bends(coordinates)
    spread = np.stack([_largest_gap(coordinates[..., along]) <= LINE_GAP for along, _ in ARC_AXES], -1)
    scores: Floats = np.where((bend >= MIN_BEND) & spread, bend * weight, 0.0)
    return scores


def helix_scores(coordinates: Floats, share: Floats, least: float = 0.0) -> Floats:
    """Return how evenly points turn around a plane as they go along a third component: (..., n of HELIX_AXES).

    The largest |mean of exp(i (theta - 2 pi f x))| over a grid of f, in either direction, where theta is the angle on
    the plane and x the place along, from 0 to 1; over 1 + CV^2 of the radii, weighted by the share of variance on the
    three components. f are the turns: 1.25 at least, and three points or more to a turn. 0 below `MIN_TURN`, with
    a radius CV of .35 or more, or where the score is below `least`.
    """
    k = coordinates.shape[-2]
    turns = np.arange(MIN_TURNS, max(k / 3, MIN_TURNS) + 1e-9, 0.25)
    weight = np.zeros(len(HELIX_AXES))
    for number, (along, a, b) in enumerate(HELIX_AXES):
        even = min(share[a], share[b]) >= max(0.25 * max(share[a], share[b]), 0.05) and share[along] >= 0.05
        weight[number] = share[along] + share[a] + share[b] if even else 0.0
    sets = np.ascontiguousarray(coordinates.reshape(-1, k, COMPONENTS))
    found: Floats = helix_bests(sets, np.array(HELIX_AXES), weight, turns, MAX_HELIX_CV, MIN_TURN, least)
    return found.reshape(*coordinates.shape[:-2], len(HELIX_AXES))


def is_line(where: Places) -> bool:
    """Return whether points are spread along one component, with no wide gap: half of the variance, twice the next."""
    share = where.held_out_variance
    even = float(_largest_gap(where.held_out[:, 0])) <= LINE_GAP
    return bool(share[0] >= LINE_SHARE and share[0] >= LINE_DOMINANCE * share[1] and even)


def _largest_gap(along: Floats) -> Floats:
    """Return the largest gap between neighbours over the whole length: shape (...)."""
    places = np.sort(along, axis=-1)
    gap: Floats = np.diff(places, axis=-1).max(-1) / np.maximum(places[..., -1] - places[..., 0], _TINY)
    return gap


def line_p(where: Places) -> float:
    """Return the share of simplices with noise whose first component has as much of the variance.

    As many points, isotropic in as many dimensions as such points span: what unordered items have.
    """
    reached = int((_isotropic(len(where.fitted)) >= where.held_out_variance[0]).sum())
    return (1 + reached) / (1 + _DRAWS)


@cache
def _isotropic(k: int) -> npt.NDArray[np.float64]:
    """Return the share on the first component of sets of k isotropic points."""
    drawn = np.random.default_rng(k).standard_normal((_DRAWS, k, k - 1))
    drawn -= drawn.mean(1, keepdims=True)
    eigen = np.linalg.eigvalsh(drawn.swapaxes(1, 2) @ drawn)
    shares: Floats = eigen[:, -1] / eigen.sum(1)
    return shares


def is_simplex(where: Places) -> bool:
    """Return whether points are about equally far from each other: no plane has more variance than a simplex's."""
    k = len(where.fitted)
    return bool(where.held_out_variance[:2].sum() < FLATNESS * simplex_share(k))
