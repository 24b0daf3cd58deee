"""The stage `55-replication`: every claim of a run found again, or not, on two halves of its documents."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.association import EDGES
from atlas.association.testing import KINDS
from atlas.communities import CLUSTERS, LEVELS, adjusted_mutual_information
from atlas.counting.passes import Settings
from atlas.counting.stage import ACTIVATIONS, COUNTS
from atlas.files import write_table
from atlas.firings import Firings
from atlas.replication import classes, compare
from atlas.replication.claims import Claims, Columns
from atlas.replication.duplicates import document_groups
from atlas.replication.halves import Split, split, write_half
from atlas.replication.recompute import Found, Keys, Recipe, recompute
from atlas.shapes import STRUCTURE
from atlas.tracking import Advance, Track, untracked

REPLICATION = "55-replication"
_SCRATCH = ".halves"


def replicate(
    run: Run, *, seed: int = 0, settings: Settings | None = None, track: Track = untracked
) -> Artifact:
    """Return the artifact of replication: tables of the claims with the number of `halves` in which each holds.

    The documents are split in two halves of about as many tokens, near duplicates together; counts, tests,
    communities, parents and classes are computed on each half alone, with the run's parameters, its cut and its
    resolutions. A claim that holds in both was not made by one half's documents. It may still be wrong in the same
    way twice: both halves are of one corpus, one model and one SAE.

    Tables: `half_documents` (which document is in which half, and its group of near duplicates),
    `replicated_edges`, `replicated_parents`, `replicated_same_as`, `replicated_membership`, `replicated_clusters`
    and `replicated_egos`. A claim that could not be found in both halves at once, its features being too rare in
    one, has no number. Where the corpus is one document, or near duplicates of one, none has.

    Parameters
    ----------
    seed
        Seed of the split.
    settings
        Memory and threads. They do not change the result.
    track
        Told of documents, tokens, features and subgraphs done.

    Raises
    ------
    InputError
        The run keeps a reservoir of contexts.
    CapacityError
        The disk is full: the firings of each half are written for as long as it is counted.
    """
    settings = settings or Settings()

    def compute(directory: Path) -> dict[str, Any]:
        firings = Firings(run.artifact(ACTIVATIONS).path)
        firings.require_index()
        claims = Claims.of(run, firings)
        some = split(firings, document_groups(firings, track=track), seed=seed)
        scratch = directory / _SCRATCH
        try:
            recipe = Recipe.of(run)
            again = _Again(claims, _halves(firings, some, scratch, recipe, settings, track), recipe, firings.d_sae)
            return _documents(directory, some) | again.write(directory, track)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    return run.produce(Spec(REPLICATION, {"seed": seed}, (ACTIVATIONS, COUNTS, EDGES, CLUSTERS, STRUCTURE)), compute)


def _halves(
    firings: Firings, some: Split, scratch: Path, recipe: Recipe, settings: Settings, track: Track
) -> list[Found]:
    """Return what each half claims; of one group of documents, nothing."""
    if some.n_groups < 2:
        return [Found.nothing(firings, recipe)] * 2
    found = []
    for half in (0, 1):
        own = write_half(firings, some, half, scratch / f"{half}" / ACTIVATIONS)
        found.append(
            recompute(own, scratch / f"{half}", recipe, settings=settings, track=_named(track, f"half {half + 1}"))
        )
    return found


def _named(track: Track, name: str) -> Track:
    def named(label: str, *, total: int, unit: str) -> AbstractContextManager[Advance]:
        return track(f"{name}: {label}", total=total, unit=unit)

    return named


def _documents(directory: Path, some: Split) -> dict[str, Any]:
    """Write the table of documents, and return its figures."""
    write_table(
        directory,
        "half_documents",
        {"document": some.document, "half": some.half.astype(np.int64), "duplicate_group": some.group},
    )
    weights = [int(some.n_tokens[some.half == half].sum()) for half in (0, 1)]
    return {
        "half_documents": [int((some.half == half).sum()) for half in (0, 1)],
        "half_tokens": weights,
        "n_near_duplicates": int(some.repeated.sum()),
        "n_duplicate_groups": len(np.unique(some.group[some.repeated])),
        "n_duplicate_tokens": int(some.n_tokens[some.repeated].sum()),
    }


class _Again:
    """The claims beside what the halves found."""

    def __init__(self, claims: Claims, halves: Sequence[Found], recipe: Recipe, d: int) -> None:
        self.claims, self.halves, self.recipe, self.d = claims, halves, recipe, d
        self.alive = compare.alive_in_both(halves)
        self.rows: list[dict[str, Any]] = []

    def write(self, directory: Path, track: Track) -> dict[str, Any]:
        """Write the tables, and return their figures."""
        self._edges(directory)
        self._parents(directory)
        ami = self._communities(directory, track)
        self._egos(directory, track)
        names = ("claim", "of", "claims", "tested", "both", "one", "neither", "by_chance")
        write_table(directory, "replication", {name: [row[name] for row in self.rows] for name in names})
        return {"n_alive_in_both": int(self.alive.sum()), "half_ami": ami, "replicated": self._shares()}

    def _shares(self) -> dict[str, float]:
        """Return the share of the tested claims that hold in both halves, by claim and kind."""
        return {f"{row['claim']}, {row['of']}": row["both"] / row["tested"] for row in self.rows if row["tested"]}

    def _count(
        self, claim: str, of: str, found: compare.Halves, which: Any = slice(None), by_chance: float | None = None
    ) -> None:
        self.rows.append({"claim": claim, "of": of, **compare.tally(found, which), "by_chance": by_chance})

    def _edges(self, directory: Path) -> None:
        edges = self.claims.edges
        found = compare.edges_again(self.claims, self.halves, self.recipe.gates)
        write_table(
            directory, "replicated_edges", {**{name: edges[name] for name in ("a", "b", "kind")}, "halves": found}
        )
        kept = np.array([by is not None for by in edges["kept_by"]], bool)
        self._count("significant edges", KINDS[0], found, edges["kind"] == KINDS[0])
        for kind in KINDS:
            self._count("edges", kind, found, (edges["kind"] == kind) & kept)

    def _parents(self, directory: Path) -> None:
        parents, same = self.claims.parents, self.claims.same
        found = self._pairs("parent", "child", parents, [half.parents for half in self.halves])
        columns = {name: parents[name] for name in ("parent", "child")}
        write_table(directory, "replicated_parents", {**columns, "halves": found})
        self._count("parents", "direct", found, parents["direct"])
        self._count("parents", "ancestors", found)
        found = self._pairs("a", "b", same, [half.same for half in self.halves])
        write_table(directory, "replicated_same_as", {"a": same["a"], "b": same["b"], "halves": found})
        self._count("parents", "SAME_AS", found)

    def _pairs(self, first: str, second: str, pairs: Columns, found: Sequence[Keys]) -> compare.Halves:
        ends = pairs[first], pairs[second], pairs["joint_count"]
        return compare.pairs_again(*ends, found, alive=self.alive, min_joint=self.recipe.limits.min_joint)

    def _communities(self, directory: Path, track: Track) -> list[float]:
        membership = self.claims.membership
        back = np.full(len(membership["index"]), None, object)
        halves: dict[tuple[str, int], Any] = {}
        overlaps: dict[tuple[str, int], Any] = {}
        ami = []
        for row, level in enumerate(LEVELS):
            labels = self.claims.labels(level, self.d)
            found = [half.levels[row] for half in self.halves]
            members, again, overlap = compare.communities_again(labels, found, self.alive)
            on = membership["level"] == level
            back[on] = members[membership["index"][on]]
            halves |= {(level, number): value for number, value in enumerate(again)}
            overlaps |= {(level, number): value for number, value in enumerate(overlap)}
            shared = np.logical_and.reduce([self.alive, *(one >= 0 for one in found)])
            ami.append(adjusted_mutual_information(*(one[shared] for one in found)))
            self._count("members", level, back, on)
            self._count("communities", level, again)
        columns = {name: membership[name] for name in ("index", "level")}
        write_table(directory, "replicated_membership", {**columns, "halves": back})
        some = self.claims.communities
        shapes = classes.communities_again(self.claims, self.halves, self.alive, track=track)
        self._classes("classes of communities", [one.shape for one in some], shapes)
        places = [(one.level, one.number) for one in some]
        write_table(
            directory,
            "replicated_clusters",
            {
                "level": [level for level, _ in places],
                "cluster": [number for _, number in places],
                "halves": [halves[place] for place in places],
                "half_overlap": [overlaps[place] for place in places],
                "shape_halves": shapes.halves,
                "half_shapes": shapes.shapes,
            },
        )
        return ami

    def _egos(self, directory: Path, track: Track) -> None:
        egos = self.claims.egos
        again = classes.egos_again(self.claims, self.halves, self.alive, track=track)
        self._classes("classes of egos", [shape for _, shape in egos], again)
        columns = {"index": [ego.hub for ego, _ in egos], "ego_halves": again.halves, "ego_half_shapes": again.shapes}
        write_table(directory, "replicated_egos", columns)

    def _classes(self, claim: str, shapes: Sequence[str | None], again: classes.Again) -> None:
        """Count the classes; by chance is the share of all that were looked at which both halves call so."""
        found = np.array([*again.halves, None], object)[:-1]
        looked = [some for some in again.shapes if some is not None]
        for shape in sorted({one for one in shapes if one is not None}):
            twice = sum(all(one == shape for one in some) for some in looked)
            which: npt.NDArray[np.bool_] = np.array([one == shape for one in shapes], bool)
            self._count(claim, shape, found, which, twice / len(looked) if looked else None)
