"""What figure a set of points makes on the planes of its first components, and what random frames make."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.rings.candidates import Rules
from atlas.rings.frames import framed, ring_bests

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Statistic = Callable[[Floats, float], Floats]
COMPONENTS = 4
PLANES = tuple(itertools.combinations(range(COMPONENTS), 2))
FIRST_DRAWS, DRAWS = 1_000, 20_000
ENOUGH = 50
"""Draws that reach the observed value, from which the first draws say enough."""
_TINY = 1e-12


@dataclass(frozen=True)
class Points:
    """Points whose figure is asked for.

    Attributes
    ----------
    names : tuple of str
    n_tokens : int64, shape (k,)
    fitted, held_out : float64, shape (k, d)
        Centroids of rebuilt activations on the half of the documents that planes are fitted on, and on the other.
    likeness : float64, shape (k, k)
        How alike two points are beside their place: cosine of their features' activations, or how often two members
        fire together.
    """

    names: tuple[str, ...]
    n_tokens: npt.NDArray[np.int64]
    fitted: Floats
    held_out: Floats
    likeness: Floats

    def measured(self) -> Points:
        """Return the points without their centroids, which take 16 bytes a point and dimension: to keep many."""
        none = np.zeros((0, self.fitted.shape[1]))
        return replace(self, fitted=none, held_out=none)


@dataclass(frozen=True)
class Places:
    """Where points lie along the first components of one half of the documents.

    Attributes
    ----------
    fitted, held_out : float64, shape (k, 4)
        Coordinates on the half that the components were fitted on, and on the other; set mean removed.
    variance, held_out_variance : float64, shape (4,)
        Share of all variance of the half along each.
    axes : float64, shape (4, d)
        The components.
    """

    fitted: Floats
    held_out: Floats
    variance: Floats
    held_out_variance: Floats
    axes: Floats

    def agreement(self, plane: tuple[int, int]) -> float:
        """Return the cosine of the points' places on a plane in the two halves."""
        one, other = self.fitted[:, plane], self.held_out[:, plane]
        return float((one * other).sum() / max(np.linalg.norm(one) * np.linalg.norm(other), _TINY))


def places(points: Points) -> Places | None:
    """Return where the points lie; None where they do not span a plane on both halves."""
    fitted = points.fitted - points.fitted.mean(0)
    held_out = points.held_out - points.held_out.mean(0)
    _, size, axes = np.linalg.svd(fitted, full_matrices=False)
    total, held_total = float((size**2).sum()), float((held_out**2).sum())
    if len(size) < 2 or size[1] ** 2 <= 1e-9 * total or held_total <= _TINY:
        return None
    axes, size = axes[:COMPONENTS], size[:COMPONENTS]
    if len(size) < COMPONENTS:  # fewer dimensions than components
        axes = np.vstack([axes, np.zeros((COMPONENTS - len(size), axes.shape[1]))])
        size = np.append(size, np.zeros(COMPONENTS - len(size)))
    on = held_out @ axes.T
    return Places(fitted @ axes.T, on, size**2 / total, (on**2).sum(0) / held_total, axes)


@dataclass(frozen=True)
class Figures:
    """Of each plane of each draw: shape (..., 6).

    Attributes
    ----------
    radius_cv : coefficient of variation of the distances from the mean
    gap : largest angle between neighbours, over the even one
    eligible : whether the plane is one on which a ring may be looked for
    score : what the null is compared by
    """

    radius_cv: Floats
    gap: Floats
    eligible: Bools
    score: Floats

    def passing(self, k: int, rules: Rules) -> Bools:
        """Return on which planes the points are as round and as closed as a ring has to be."""
        limit = max(rules.max_gap, k / 4)
        passing: Bools = self.eligible & (self.radius_cv < rules.max_radius_cv) & (self.gap < limit)
        return passing


def figures(coordinates: Floats, share: Floats, rules: Rules) -> Figures:
    """Return how round points are on each plane of four components.

    score = share of variance on the plane x evenness / (1 + CV^2), where evenness is |mean of exp(i (theta_j -
    2 pi j / k))| over the points in order of their angle theta: 1 on a regular polygon. 1 / (1 + CV^2) is the squared
    mean radius over the mean squared one.

    Parameters
    ----------
    coordinates
        Shape (..., k, 4).
    share
        Share of all variance along each component, shape (4,).
    """
    k = coordinates.shape[-2]
    even = np.exp(-2j * np.pi * np.arange(k) / k)
    radius_cv, gap, score = [], [], []
    for a, b in PLANES:
        z = coordinates[..., a] + 1j * coordinates[..., b]
        z = z - z.mean(-1, keepdims=True)
        radius, angle = np.abs(z), np.sort(np.angle(z), axis=-1)
        mean = np.maximum(radius.mean(-1), _TINY)
        radius_cv.append(radius.std(-1) / mean)
        round_ = np.concatenate([angle, angle[..., :1] + 2 * np.pi], axis=-1)
        gap.append(np.diff(round_, axis=-1).max(-1) * k / (2 * np.pi))
        evenness = np.abs((np.exp(1j * angle) * even).mean(-1))
        score.append((share[a] + share[b]) * evenness / (1 + radius_cv[-1] ** 2))
    stacked = (np.stack(some, -1) for some in (radius_cv, gap, score))
    first, second, third = stacked
    return Figures(first, second, np.broadcast_to(eligible(share, k, rules), first.shape), third)


def simplex_share(k: int) -> float:
    """Return the share of variance that a simplex of k points has on any plane: 2 / (k - 1)."""
    return 2 / (k - 1)


def random_frames(coordinates: Floats, n: int, rng: np.random.Generator) -> Floats:
    """Return point sets of the same size and the same covariance, and of no figure: shape (n, k, 4).

    The points' coordinates, set mean removed, are an orthonormal frame of k-dimensional space times a matrix that holds
    the whole covariance. The frame is replaced by one drawn uniformly, which is what Gaussian points of exactly this
    covariance have.
    """
    k, d = coordinates.shape
    covariance = np.linalg.qr(coordinates - coordinates.mean(0))[1]
    drawn = rng.standard_normal((n, k, d))
    drawn -= drawn.mean(1, keepdims=True)
    frames: Floats = framed(drawn, covariance) if k >= d else np.linalg.qr(drawn)[0] @ covariance
    return frames


def chance(
    observed: float, statistic: Statistic, coordinates: Floats, rng: np.random.Generator
) -> float:
    """Return the share of random frames that reach an observed statistic, the observed one counted in.

    1,000 draws, and 19,000 more where fewer than 50 of them reach it.

    Parameters
    ----------
    statistic
        Of coordinates of shape (n, k, 4), and a least value: the best that the search finds in each, shape (n,), or
        anything below the least one where it finds none that is as large.
    """
    reached, n, least = 0, 0, observed - 1e-12
    for more in (FIRST_DRAWS, *[FIRST_DRAWS] * (DRAWS // FIRST_DRAWS - 1)):
        reached += int((statistic(random_frames(coordinates, more, rng), least) >= least).sum())
        n += more
        if reached >= ENOUGH:
            break
    return (1 + reached) / (1 + n)


def closure(order: npt.NDArray[np.integer], angle: Floats, likeness: Floats, *, baseline: bool) -> float | None:
    """Return how alike the pair across the largest gap is, over the median of the other neighbours.

    Parameters
    ----------
    order
        The points by their angle.
    angle
        Their angles, in their own order.
    likeness
        Of each pair.
    baseline
        Whether the likeness of the least alike pair of all is taken off both: cosines of profiles have no zero of their
        own. 1 is then as alike as neighbours, 0 as strange as any two points: the ends of a bent line.
    """
    k = len(order)
    nexts = np.roll(order, -1)
    gaps = np.mod(angle[nexts] - angle[order], 2 * np.pi)
    pairs = likeness[order, nexts]
    last = int(gaps.argmax())
    others = float(np.median(np.delete(pairs, last)))
    low = float(likeness[~np.eye(k, dtype=bool)].min()) if baseline else 0.0
    return float((pairs[last] - low) / (others - low)) if others - low > _TINY else None


def ring_statistic(share: Floats, k: int, rules: Rules) -> Statistic:
    """Return the statistic of rings: the best score of a plane that passes, 0 where none does."""
    planes = np.array(PLANES)[eligible(share, k, rules)]
    weight = share[planes].sum(1)
    limits = rules.max_radius_cv, max(rules.max_gap, k / 4)

    def statistic(coordinates: Floats, least: float) -> Floats:
        best: Floats = ring_bests(coordinates, planes, weight, *limits, least)
        return best

    return statistic


def eligible(share: Floats, k: int, rules: Rules) -> Bools:
    """Return on which of `PLANES` a ring may be looked for, by the shares of variance: shape (6,)."""
    lesser = np.array([min(share[a], share[b]) for a, b in PLANES])
    both = np.array([share[a] + share[b] for a, b in PLANES])
    found: Bools = (lesser >= rules.min_roundness * (both - lesser)) & (
        both >= rules.min_over_simplex * simplex_share(k)
    )
    return found


def angles(coordinates: Floats, plane: tuple[int, int]) -> Floats:
    """Return the angle of each point on a plane, around their mean."""
    x, y = (coordinates[:, axis] - coordinates[:, axis].mean() for axis in plane)
    found: Floats = np.arctan2(y, x)
    return found


def roundness(coordinates: Floats) -> tuple[float, float]:
    """Return radius CV and largest gap, over the even one, of points on a plane: coordinates of shape (k, 2)."""
    x, y = (coordinates - coordinates.mean(0)).T
    radius, angle = np.hypot(x, y), np.sort(np.arctan2(y, x))
    gap = np.diff(np.append(angle, angle[0] + 2 * np.pi)).max() * len(angle) / (2 * np.pi)
    return float(radius.std() / max(radius.mean(), _TINY)), float(gap)


def cosines(profiles: Floats) -> Floats:
    """Return the cosine of each pair of rows; 0 where one is zero."""
    length: Any = np.linalg.norm(profiles, axis=1, keepdims=True)
    unit = profiles / np.maximum(length, _TINY)
    found: Floats = unit @ unit.T
    return found
