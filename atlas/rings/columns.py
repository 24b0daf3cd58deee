"""The tables of manifolds, from what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from atlas.association.fdr import benjamini_hochberg
from atlas.captions import caption
from atlas.files import write_table
from atlas.rings.candidates import Rules
from atlas.rings.centroids import Centroids, Directions
from atlas.rings.cyclic import Match, match, order_p
from atlas.rings.geometry import angles, chance, figures, ring_statistic, simplex_share
from atlas.rings.judging import TESTED, Judged
from atlas.rings.points import Candidate, rows_of
from atlas.rings.sums import Floats
from atlas.schema import TABLES

Record = dict[str, Any]
_RANK = {name: number for number, name in enumerate((*TESTED, "simplex", "undetermined"))}


@dataclass
class Row:
    """One manifold, before it is written.

    Attributes
    ----------
    known : Centroids or None
        Where the points are items.
    shuffled_variance, permuted : float or None
        The two controls.
    seed : tuple of int
        Of the orders and of the decoder's random frames.
    """

    candidate: Candidate
    judged: Judged
    known: Centroids | None
    directions: Directions
    shuffled_variance: float | None
    permuted: float | None
    rules: Rules
    seed: tuple[int, ...]
    matched: Match | None = field(init=False, default=None)
    order_p: float | None = field(init=False, default=None)
    order_q: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.candidate.kind == "items":
            self.matched = match(self.candidate.points.names)
        if self.matched is not None:
            rng = np.random.default_rng([*self.seed, 0])
            self.order_p = order_p(self.judged.places.held_out, self.matched, rng)

    def order(self) -> list[int]:
        """Return the points in the order found: from the list's first entry onwards, or from after the largest gap."""
        order = list(self.judged.order)
        if self.judged.geometry in ("line", "arc", "helix"):
            return order
        if self.matched is not None:
            placed = {point: place for point, place in enumerate(self.matched.places) if place is not None}
            first = min(placed, key=lambda point: placed[point])
            order = _from(order, order.index(first))
            named = [placed[point] for point in order if point in placed]
            forward = sum((b - a) % self.matched.length for a, b in zip(named, [*named[1:], named[0]], strict=True))
            backward = sum((a - b) % self.matched.length for a, b in zip(named, [*named[1:], named[0]], strict=True))
            return order if forward <= backward else [order[0], *order[:0:-1]]
        angle = angles(self.judged.places.held_out, self.judged.plane)[order]
        return _from(order, (int(np.argmax(np.diff(np.append(angle, angle[0] + 2 * np.pi)))) + 1) % len(order))

    def record(self) -> Record:
        """Return the row of `manifolds`, its number apart."""
        one, judged, where = self.candidate, self.judged, self.judged.places
        names = [one.points.names[point] for point in self.order()]
        k = len(names)
        decoder_variance, decoder_ring = self._decoder()
        p = judged.p.get(judged.geometry, judged.p.get("ring"))
        return {
            "name": caption(names, fallback=f"{one.source.source} {one.source.number}"),
            "geometry": judged.geometry,
            "points": one.kind,
            "n_points": k,
            "size": len(one.features),
            "source": one.source.source,
            "source_number": one.source.number,
            "found_in": one.found_in,
            "plane": [axis + 1 for axis in judged.plane],
            "component_variance": where.variance.tolist(),
            "held_out_variance": where.held_out_variance.tolist(),
            "plane_variance": float(where.held_out_variance[list(judged.plane)].sum()),
            "simplex_variance": simplex_share(k),
            "shuffled_variance": self.shuffled_variance,
            "radius_cv": judged.radius_cv,
            "largest_gap": max(1.0, judged.gap),
            "closure": judged.closure,
            "agreement": where.agreement(judged.plane),
            "p": p,
            "q": judged.q,
            "permuted": self.permuted,
            "order": names,
            "cyclic_list": self.matched and self.matched.name,
            "order_p": self.order_p,
            "order_q": self.order_q,
            "decoder_variance": decoder_variance,
            "decoder_ring": decoder_ring,
        }

    def _decoder(self) -> tuple[float | None, bool | None]:
        """Return the share of variance of the members' directions on their first plane, and whether a ring shows."""
        own = rows_of(self.directions, self.candidate.features)
        k = len(own)
        own = own - own.mean(0)
        _, size, axes = np.linalg.svd(own, full_matrices=False)
        total = float((size**2).sum())
        if k < 3 or not total:
            return None, None
        share = size**2 / total
        if k < self.rules.min_points or len(size) < 4:
            return float(share[:2].sum()), None
        on = own @ axes[:4].T
        found = figures(on, share[:4], self.rules)
        passing = np.where(found.passing(k, self.rules), found.score, 0)
        statistic = ring_statistic(share[:4], k, self.rules)
        rng = np.random.default_rng([*self.seed, 1])
        ring = bool(passing.any()) and chance(float(passing.max()), statistic, on, rng) <= self.rules.q
        return float(share[:2].sum()), ring

    def items(self, number: int) -> list[Record]:
        """Return the rows of `manifold_items`."""
        points, where = self.candidate.points, self.judged.places
        plane = list(self.judged.plane)
        specific = self._specificity()
        return [
            {
                "manifold": number,
                "item": points.names[point],
                "place": place,
                "n_tokens": int(points.n_tokens[point]),
                "specificity": None if specific is None else float(specific[point]),
                "list_place": self.matched and self.matched.places[point],
                **dict(zip(("x", "y"), where.held_out[point, plane].tolist(), strict=True)),
                **dict(zip(("fitted_x", "fitted_y"), where.fitted[point, plane].tolist(), strict=True)),
            }
            for place, point in enumerate(self.order())
        ]

    def _specificity(self) -> Floats | None:
        """Return 1 - (activation of the set on a token of the corpus) / (on the item), 0 where that is negative."""
        if self.known is None:
            return None
        on = self.known.strength(self.candidate.features)[self.candidate.items]
        mean = self.known.whole[self.candidate.features].sum() / len(self.known.vocabulary.item)
        found: Floats = np.clip(1 - mean / np.maximum(on, 1e-12), 0, 1)
        return found

    def members(self, number: int) -> list[Record]:
        """Return the rows of `manifold_members`."""
        one = self.candidate
        on = rows_of(self.directions, one.features) @ self.judged.places.axes[list(self.judged.plane)].T
        if self.known is not None:
            sizes = np.abs(sum(self.known.profiles(one.items, one.features)))
            top = [one.points.names[point] for point in sizes.argmax(0).tolist()]
            weight = sizes.sum(0)
        else:
            top = [str(feature) for feature in one.features.tolist()]
            weight = np.zeros(len(one.features))
            weight[np.searchsorted(one.features, one.items)] = one.points.n_tokens
        share = np.clip(weight / max(float(weight.sum()), 1e-12), 0, 1)
        return [
            {"manifold": number, "index": int(feature), "share": float(share[row]), "top_item": top[row],
             "x": float(on[row, 0]), "y": float(on[row, 1])}
            for row, feature in enumerate(one.features.tolist())
        ]  # fmt: skip


def _from(order: list[int], first: int) -> list[int]:
    return order[first:] + order[:first]


def write_manifolds(directory: Path, rows: Sequence[Row]) -> None:
    """Write the three tables: claims first, the smallest p first among them."""
    listed = [row for row in rows if row.order_p is not None]
    q = benjamini_hochberg(np.array([row.order_p for row in listed], np.float64))
    for row, value in zip(listed, q.tolist(), strict=True):
        row.order_q = value
    records = [(row.record(), row) for row in rows]
    records.sort(key=lambda pair: (_RANK[pair[0]["geometry"]], pair[0]["p"] if pair[0]["p"] is not None else 2.0,
                                   pair[0]["points"], -pair[0]["n_points"], pair[0]["name"],
                                   pair[0]["source_number"]))  # fmt: skip
    manifolds = [{"manifold": number, **record} for number, (record, _) in enumerate(records)]
    members = [one for number, (_, row) in enumerate(records) for one in row.members(number)]
    items = [one for number, (_, row) in enumerate(records) for one in row.items(number)]
    for name, some in (("manifolds", manifolds), ("manifold_members", members), ("manifold_items", items)):
        columns = [column.name for column in TABLES[name].columns]
        write_table(directory, name, {column: [one[column] for one in some] for column in columns})
