"""The resolution profile: communities over a grid of gamma, its plateaus, and the levels chosen on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, pairwise
from typing import Self

import igraph
import numpy as np

from atlas.communities.agreement import adjusted_mutual_information, mean_agreement
from atlas.communities.leiden import Labels, quality
from atlas.communities.processes import Runs, Task, in_turn
from atlas.tracking import Track, untracked

LOWEST, HIGHEST, N_VALUES = 0.001, 0.5, 18
SEEDS = 5
AGREE = 0.9
"""Smallest AMI, of seeds with each other and of neighbouring values, on a plateau."""
FINEST_STEP = 1.1
"""Neighbouring values closer than this ratio are not bisected."""
LEAVES = (20, 5, 2)
"""A star of so many leaves holds at any gamma of the coarse, the middle and the fine window."""
FLOOR = 0.02
"""The windows are computed from this where the cut of the backbone is smaller: they then lie on the grid."""
RULE = (
    "windows of gamma up to 1/20, 1/5 and 1/2 of phi_cut, where any star of 20, 5 and 2 leaves holds; in each the "
    "value nearest to the middle of the longest plateau (seeds agree with each other and with the next value, "
    "AMI >= .9, and no community holds over half of the nodes); without one, the value of highest AMI"
)


@dataclass(frozen=True)
class Point:
    """One value of the profile.

    Attributes
    ----------
    resolution : float
        gamma.
    n_communities, largest : int
        Communities of two or more nodes, and nodes of the largest; of the first seed.
    quality : float
        As in `leiden.quality`; of the first seed.
    ami : float
        Mean adjusted mutual information over all pairs of seeds.
    ami_below : float or None
        Its mean over the seeds with the partition at the next smaller value; None at the smallest.
    giant : bool
        Whether one community holds more than half of the nodes.
    plateau : int or None
        Number of the plateau that it is on, from 0 in order of gamma.
    """

    resolution: float
    n_communities: int
    largest: int
    quality: float
    ami: float
    ami_below: float | None
    giant: bool
    plateau: int | None = None


def resolution_profile(
    graph: igraph.Graph,
    *,
    seed: int,
    also: Sequence[float] = (),
    n_seeds: int = SEEDS,
    runs: Runs | None = None,
    track: Track = untracked,
) -> list[Point]:
    """Return the communities over 18 values of gamma, .001 to .5, evenly spaced in log gamma.

    Where the seeds agree at two neighbouring values, but not the partitions of the two, and neither has
    a giant community, a plateau ends between them: their geometric mean is added, again and again,
    until neighbours agree or are within a tenth of each other. A plateau says that the partition does
    not hang on the seed or on the exact gamma; it does not say that its communities are the right ones.

    Parameters
    ----------
    seed
        First of `n_seeds` consecutive seeds.
    also
        Values of gamma to be there beside the grid.
    runs
        What runs the seeds on the graph; by default `in_turn`.
    track
        Told of the values done; those that bisection adds are not in the total.

    Returns
    -------
    list of Point
        Ascending in resolution.

    References
    ----------
    Traag, Krings, Van Dooren 2013, doi:10.1038/srep02930.
    """
    grid = {_rounded(value) for value in np.geomspace(LOWEST, HIGHEST, N_VALUES).tolist()}
    values = sorted(grid | {float(value) for value in also})
    found: dict[float, Seeds] = {}
    with track("communities", total=len(values), unit="resolutions") as advance:
        wanted = values
        while wanted:
            tasks = [Task(value, seed + k) for value in wanted for k in range(n_seeds)]
            partitions = (runs or in_turn(graph))(tasks)
            for value in wanted:
                found[value] = Seeds.of(list(islice(partitions, n_seeds)))
                if value in values:
                    advance(1)
            wanted = _between(found)
    ascending = sorted(found)
    before = [None, *ascending[:-1]]
    return with_plateaus([_point(graph, *pair, found) for pair in zip(ascending, before, strict=True)])


def with_plateaus(points: Sequence[Point]) -> list[Point]:
    """Return the points with the number of the plateau that each is on.

    A plateau is a run of values at each of which the seeds agree (AMI >= .9), no community is giant,
    and the partition agrees with that at the value before.
    """
    numbered: list[Point] = []
    number, before = -1, False
    for point in points:
        steady = point.ami >= AGREE and not point.giant
        goes_on = before and point.ami_below is not None and point.ami_below >= AGREE
        number += steady and not goes_on
        numbered.append(replace(point, plateau=number if steady else None))
        before = steady
    return numbered


def choose_levels(points: Sequence[Point], *, cut: float) -> tuple[Point, Point, Point]:
    """Return the points of the coarse, the middle and the fine level, by `RULE`.

    A leaf leaves a star of n members and weight w at gamma > w / (n - 1), and above that what remains
    is cliques by construction. So gamma is bounded by the cut: up to a twentieth of it every
    star of 20 leaves holds, up to a fifth every star of 5, up to half every star of 2. On real features
    seeds agree nearly everywhere, so that plateaus alone do not choose; the windows do, and plateaus
    keep the choice from their edges. Equal plateaus, or equal distances: the smaller gamma.

    Parameters
    ----------
    points
        The profile, ascending, of values up to `HIGHEST` at least.
    cut
        Smallest phi that the backbone lets in.
    """
    low, chosen = 0.0, []
    for leaves in LEAVES:
        high = max(cut, FLOOR) / leaves
        chosen.append(_choose([point for point in points if low < point.resolution <= high]))
        low = high
    return chosen[0], chosen[1], chosen[2]


def _choose(window: Sequence[Point]) -> Point:
    """Return the point nearest to the middle of the window's longest plateau, else that of highest AMI."""
    steady = [point for point in window if point.plateau is not None]
    if not steady:
        return min(window, key=lambda point: (point.giant, -point.ami, point.resolution))
    plateaus = [list(some) for _, some in groupby(steady, key=lambda point: point.plateau)]
    longest = max(plateaus, key=lambda some: some[-1].resolution / some[0].resolution)
    middle = math.sqrt(longest[0].resolution * longest[-1].resolution)
    return min(longest, key=lambda point: round(abs(math.log(point.resolution / middle)), 9))


@dataclass(frozen=True)
class Seeds:
    """The partitions of one value's seeds, and how far they agree."""

    partitions: list[Labels]
    ami: float
    sizes: Labels

    @classmethod
    def of(cls, partitions: list[Labels]) -> Self:
        """Return the partitions with their mean AMI, and the sizes of the first one's communities."""
        return cls(partitions, mean_agreement(partitions), np.bincount(partitions[0], minlength=1))

    @property
    def giant(self) -> bool:
        """Whether one community holds more than half of the nodes."""
        return bool(2 * self.sizes.max() > self.sizes.sum())


def _between(found: Mapping[float, Seeds]) -> list[float]:
    """Return the geometric means of neighbouring values between which a plateau ends, closer ones left out."""
    return [
        _rounded(math.sqrt(low * high))
        for low, high in pairwise(sorted(found))
        if high > FINEST_STEP * low and _plateau_ends(found[low], found[high])
    ]


def _plateau_ends(low: Seeds, high: Seeds) -> bool:
    """Return whether both values may be on a plateau, and are on no common one."""
    steady = min(low.ami, high.ami) >= AGREE and not (low.giant or high.giant)
    return steady and _likeness(low, high) < AGREE


def _likeness(some: Seeds, others: Seeds) -> float:
    """Return the mean AMI of two values' partitions, seed by seed."""
    pairs = zip(some.partitions, others.partitions, strict=True)
    return float(np.mean([adjusted_mutual_information(one, other) for one, other in pairs]))


def _point(graph: igraph.Graph, value: float, below: float | None, found: Mapping[float, Seeds]) -> Point:
    seeds = found[value]
    return Point(
        resolution=value,
        n_communities=int((seeds.sizes >= 2).sum()),
        largest=int(seeds.sizes.max()),
        quality=quality(graph, seeds.partitions[0], resolution=value),
        ami=seeds.ami,
        ami_below=None if below is None else _likeness(found[below], seeds),
        giant=seeds.giant,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
