"""The stage `52-rings`: sets of features in, the figures on which their activations lie out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.testing import Gates, alive_features
from atlas.firings import Firings
from atlas.kept import Kept
from atlas.mapped import map_arrays
from atlas.replication import Split, document_groups, split
from atlas.rings.candidates import FeatureSet, Rules, feature_sets, item_sets
from atlas.rings.centroids import Centroids, Directions, Fired, Vocabulary, centroids, joined, shuffled
from atlas.rings.columns import Row, write_manifolds
from atlas.rings.geometry import places
from atlas.rings.judging import TESTED, Geometry, Judged, measure, meets, named, tried
from atlas.rings.points import Candidate, distinct_members, item_points, member_points, permuted_points, rows_of
from atlas.threads import one_thread
from atlas.tracking import Track, untracked

logger = logging.getLogger("atlas")

RINGS = "52-rings"
_INPUTS = ("10-activations", "30-edges", "40-clusters")
_KINDS = ("items", "members")


def rings(run: Run, *, rules: Rules | None = None, seed: int = 0, track: Track = untracked) -> Artifact:
    """Return the artifact of manifolds: tables `manifolds`, `manifold_members` and `manifold_items`.

    The activations are rebuilt from a set of features alone, and the centroids of the vocabulary items on which it
    fires are looked at on the planes of their first four components, fitted on one half of the documents and tested
    on the other. A ring is round, closed, and rarer than .05 among random point sets of the same covariance, over all
    sets looked at. It says that these items are a circle to these features on this text; not that the model computes
    with it.

    The same search is made on shuffled firings, and what it claims there is among the results. Without a decoder, or on
    a single document, nothing is looked for, and the tables are empty.

    A stage that was interrupted goes on: item means, p-values and permutations are kept until the tables are written.

    Parameters
    ----------
    rules
        What makes a candidate, and what makes it a ring.
    seed
        Seed of the halves, of random point sets, of permuted names and of the shuffle.
    track
        Told of features and candidates done.

    Raises
    ------
    InputError
        The run keeps a reservoir of contexts.
    """
    rules = rules or Rules()
    spec = Spec(RINGS, {**asdict(rules), "seed": seed}, _INPUTS)

    def compute(directory: Path) -> dict[str, Any]:
        with one_thread(), Kept(directory, run, spec) as kept:
            return _Work(run, rules, seed, track, kept).write(directory)

    return run.produce(spec, compute, resume=True)


@dataclass(frozen=True)
class _Search:
    """What one search found: all sets of points looked at, and how many had too few points."""

    known: Centroids
    candidates: list[Candidate]
    judged: list[Judged]
    n_small: int

    def counts(self) -> dict[str, int]:
        """Return how many sets have each geometry, by kind of points: `items, ring`."""
        found = Counter(f"{one.kind}, {two.geometry}" for one, two in zip(self.candidates, self.judged, strict=True))
        return dict(sorted(found.items()))

    def claims(self) -> int:
        """Return how many geometries are claimed against a null."""
        return sum(one.geometry in TESTED for one in self.judged)


class _Work:
    """What the parts of the stage share."""

    def __init__(self, run: Run, rules: Rules, seed: int, track: Track, kept: Kept) -> None:
        self.run, self.rules, self.seed, self.track, self.kept = run, rules, seed, track, kept
        self.activations = run.artifact("10-activations")
        self.firings = Firings(self.activations.path)
        self.firings.require_index()
        self.decoder = self.activations.path / "decoder.safetensors"
        self.scratch = np.full(self.firings.n_tokens, -1, np.int32)

    def write(self, directory: Path) -> dict[str, Any]:
        """Write the tables and return the figures."""
        groups = document_groups(self.firings, track=self.track)
        missing = self._missing(groups)
        if missing:
            logger.warning("rings: none is looked for: %s", missing)
            write_manifolds(directory, [])
            return {"not_looked_for": missing}
        return self._found(directory, split(self.firings, groups, seed=self.seed))

    def _found(self, directory: Path, halves: Split) -> dict[str, Any]:
        """Write what is found and return the figures."""
        half = np.repeat(halves.half, halves.n_tokens)
        directions = np.asarray(map_arrays(self.decoder)["W_dec"])
        sets = feature_sets(self.run)
        fired, d = self.firings.contexts_of, self.firings.d_sae
        spelled = Vocabulary.of(self.firings.token_id, self._texts(), half)
        room, keep = self.kept.room, self.kept.arrays
        join = joined(fired, spelled, d, keep=keep, track=self.track)
        known = centroids(fired, spelled, d, join=join, room=room / "real", keep=keep, track=self.track)
        real = self._search(known, self.firings.contexts_of, sets, directions, "rings")
        moved = shuffled(self.firings, seed=self.seed)
        label = "item means, shuffled"
        chance = centroids(
            moved, known.vocabulary, d, room=room / "shuffled", keep=keep, track=self.track, label=label
        )
        null = self._search(chance, moved, sets, directions, "rings, shuffled")
        write_manifolds(directory, self._rows(real, chance, directions))
        return {
            "n_feature_sets": len(sets),
            "n_items": len(known.vocabulary.names),
            "n_too_small": real.n_small,
            "n_point_sets": dict(Counter(one.kind for one in real.candidates)),
            "geometries": real.counts(),
            "shuffled_point_sets": dict(Counter(one.kind for one in null.candidates)),
            "shuffled_geometries": null.counts(),
            "shuffled_claims": null.claims(),
        }

    def _missing(self, groups: npt.NDArray[np.int64]) -> str:
        if not self.decoder.exists():
            return "there is no decoder to rebuild activations with"
        return "" if groups.max(initial=-1) >= 1 else "the corpus is one document, or near duplicates of one"

    def _texts(self) -> dict[int, str]:
        table = self.activations.table("vocabulary")
        return {row["token_id"]: row["text"] for row in table.select(["token_id", "text"]).to_pylist()}

    def _alive(self) -> npt.NDArray[np.bool_]:
        given = self.run.artifact("30-edges").parameters
        gates = Gates(**{name: given[name] for name in asdict(Gates()) if name in given})
        alive = np.zeros(self.firings.d_sae, bool)
        alive[alive_features(self.firings.firing_count, n_tokens=self.firings.n_tokens, gates=gates)] = True
        return alive

    def _search(
        self, known: Centroids, fired: Fired, sets: Sequence[FeatureSet], directions: Directions, label: str
    ) -> _Search:
        """Return what is found among the items and the members of some sets."""
        items, n_small = item_sets(sets, known, self.rules, track=self.track, label=f"{label}: items")
        about = known.about(
            [one.items for one in items], min_share=self.rules.min_share, among=self._alive(), track=self.track,
            label=f"{label}: features",
        )  # fmt: skip
        members = distinct_members(sets, self.rules)
        candidates: list[Candidate] = []
        judged: list[Judged] = []
        with self.track(label, total=len(items) + len(members), unit="candidates") as advance:
            made = (item_points(one, features, known, directions=directions)
                    for one, features in zip(items, about, strict=True))  # fmt: skip
            empty: list[Candidate | None] = [None] * len(members)
            for kind, (some, name) in enumerate(((made, "items"), (empty, "members"))):
                found: list[Judged] = []
                keep = self.kept.rows(f"{label}, {name}")
                for number, one in enumerate(some):
                    if name == "members":
                        half = known.vocabulary.half
                        one = member_points(members[number], fired, half, directions, self.rules, self.scratch)
                    measured = one and measure(one.points, self.rules, items=name == "items")
                    if one and measured:
                        candidates.append(replace(one, points=one.points.measured()))
                        p = keep(number, partial(self._p, measured, (self.seed, kind, number)))
                        found.append(replace(measured, p=p))
                    n_small += one is None
                    advance(1)
                judged += named(found, self.rules)
        return _Search(known, candidates, judged, n_small)

    def _p(self, judged: Judged, seed: tuple[int, ...]) -> dict[Geometry, float]:
        return tried(judged, self.rules, seed=seed).p

    def _rows(self, real: _Search, chance: Centroids, directions: Directions) -> list[Row]:
        rows = []
        keep = self.kept.rows("permuted")
        with self.track("rings, permuted", total=len(real.candidates), unit="candidates") as advance:
            for number, (candidate, judged) in enumerate(zip(real.candidates, real.judged, strict=True)):
                advance(1)
                items = candidate.kind == "items"
                if not items and judged.geometry == "undetermined":
                    continue  # hundreds of sets of members of which nothing is claimed: counted
                rows.append(
                    Row(
                        candidate,
                        judged,
                        real.known if items else None,
                        directions,
                        self._shuffled_variance(candidate, chance, directions) if items else None,
                        keep(number, partial(self._permuted, number, real, directions))
                        if items and judged.geometry in TESTED
                        else None,
                        self.rules,
                        (self.seed, 2, number),
                    )
                )
        return rows

    def _permuted(self, number: int, real: _Search, directions: Directions) -> float:
        """Return the share of permutations of a claim's names that meet its rule."""
        fired, seed = self.firings.contexts_of, (self.seed, 3, number)
        drawn = permuted_points(real.candidates[number], real.known, fired, directions, seed=seed)
        return float(np.mean([meets(points, self.rules, real.judged[number].geometry) for points in drawn]))

    def _shuffled_variance(self, candidate: Candidate, chance: Centroids, directions: Directions) -> float | None:
        """Return the share of variance on the first plane of the same points on shuffled firings."""
        first, second = chance.profiles(candidate.items, candidate.features)
        own = rows_of(directions, candidate.features)
        shuffled_points = type(candidate.points)(
            candidate.points.names, candidate.points.n_tokens, first @ own, second @ own, candidate.points.likeness
        )
        where = places(shuffled_points)
        return None if where is None else float(where.held_out_variance[:2].sum())
