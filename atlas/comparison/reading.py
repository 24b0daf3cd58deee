"""Every claim of a run that can be compared, read from its finished artifacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow.parquet as pq

from atlas.artifacts import MANIFEST, Run
from atlas.association import EDGES
from atlas.communities import CLUSTERS, LEVELS
from atlas.comparison.structures import Indices, Pairs, Sets, Structures, by_class, of_features, of_pairs, of_sets
from atlas.counting.stage import ACTIVATIONS
from atlas.firings import Firings
from atlas.shapes import STRUCTURE, Evidence, Rules, ego_shape

NEEDED = (ACTIVATIONS, EDGES, CLUSTERS, STRUCTURE)
"""Artifacts that both runs must have, but for a control in which no pair is significant."""
NOTHING = "nothing.json"
"""In the directory of a control in which no pair is significant: the stage that found none, and why."""


def claims_nothing(run: Run) -> bool:
    """Return whether the run is a control that ended because no pair of features is significant."""
    return (run.path / NOTHING).exists() and not (run.path / STRUCTURE / MANIFEST).exists()


def present(run: Run) -> tuple[str, ...]:
    """Return the artifacts that can be read of a run: those that are needed, and what is finished of the others."""
    if claims_nothing(run):
        return (ACTIVATIONS,)
    return (*NEEDED, *(name for name in MORE if (run.path / name / MANIFEST).exists()))


@dataclass(frozen=True)
class Population:
    """The features of a run that are compared: `alive` have edges and are counted per, `firing` are not dead."""

    alive: Indices
    firing: Indices

    @classmethod
    def of(cls, run: Run, *, min_firings: int, max_density: float) -> Self:
        """Return the features by how often they fire; ascending."""
        firings = Firings(run.artifact(ACTIVATIONS).path)
        n = firings.firing_count
        alive = (n >= min_firings) & (n <= max_density * firings.n_tokens)
        return cls(np.flatnonzero(alive), np.flatnonzero(n >= min_firings))


def communities(run: Run) -> dict[str, list[tuple[int, str, Indices]]]:
    """Return number, class and members (ascending) of each community, by level."""
    if claims_nothing(run):
        return {name: [] for name in LEVELS}
    shapes = run.artifact(STRUCTURE).table("shapes").to_pylist()
    table = run.artifact(CLUSTERS).table("membership")
    level, number, index = table["level"].to_numpy(), table["cluster"].to_numpy(), table["index"].to_numpy()
    found: dict[str, list[tuple[int, str, Indices]]] = {name: [] for name in LEVELS}
    for name in LEVELS:
        on = level == name
        order = np.lexsort((index[on], number[on]))
        numbers, starts = np.unique(number[on][order], return_index=True)
        members = dict(zip(numbers.tolist(), np.split(index[on][order], starts[1:]), strict=False))
        found[name] = [
            (row["cluster"], row["shape"], members[row["cluster"]]) for row in shapes if row["level"] == name
        ]
    return found


def structures(run: Run, artifacts: Sequence[str]) -> Structures:
    """Return the claims of a run, as far as these artifacts hold them."""
    if claims_nothing(run):
        return {}
    found = _communities(run) | _egos(run) | _edges(run) | _parents(run)
    for name in artifacts:
        if name in MORE:
            found |= MORE[name](run)
    return found


def resting_on_edges(some: Structures) -> Structures:
    """Return the claims that there are none of where no pair of features is significant.

    Parents, exclusions and what later stages claim are found by other tests, which a control that ended at its edges
    never came to: they are not compared with it.
    """
    return {
        (structure, of): one
        for (structure, of), one in some.items()
        if structure in ("communities", "egos", "families") or (structure == "edges" and of.startswith("CO_OCCURS"))
    }


def _communities(run: Run) -> Structures:
    found: Structures = {}
    for level, some in communities(run).items():
        sets = [members for _, _, members in some]
        found["communities", level] = Sets(sets)
        found |= by_class("communities", [shape for _, shape, _ in some], of_sets(sets), f"{level}, ")
    return found


def _egos(run: Run) -> Structures:
    artifact = run.artifact(STRUCTURE)
    rules = Rules(**{name: artifact.parameters[name] for name in Rules.__dataclass_fields__})
    rows = artifact.table("egos").to_pylist()
    names = ("testable_pairs", "depleted_pairs", "enriched_pairs", "covered_leaves")
    shapes = [ego_shape(row["ego_size"], Evidence(*(row[f"ego_{name}"] for name in names)), rules) for row in rows]
    based = [
        row["ego_basis"] and f"{shape}, {row['ego_basis']}" for row, shape in zip(rows, shapes, strict=True)
    ]
    make = of_features([row["index"] for row in rows])
    found: Structures = {("egos", "all"): make(np.ones(len(rows), bool))}
    found |= by_class("egos", shapes, make) | by_class("egos", based, make)
    return found | by_class("families", [row["ego_family"] for row in rows], make)


def _edges(run: Run) -> Structures:
    table = pq.read_table(run.artifact(EDGES).path / "edges.parquet", columns=["a", "b", "kind", "basis", "kept_by"])
    make = of_pairs(table["a"].to_numpy(), table["b"].to_numpy())
    kinds, bases, kept = (table[name].to_pylist() for name in ("kind", "basis", "kept_by"))
    rows = list(zip(kinds, bases, kept, strict=True))
    found = by_class("edges", [rule and kind for kind, _, rule in rows], make)
    found |= by_class("edges", [rule and f"{kind}, {basis}" for kind, basis, rule in rows], make)
    return found | {("edges", "CO_OCCURS, significant"): make(np.array([kind == "CO_OCCURS" for kind in kinds], bool))}


def _parents(run: Run) -> Structures:
    clustering = run.artifact(CLUSTERS)
    parents, same = clustering.table("parents"), clustering.table("same_as")
    make = of_pairs(parents["parent"].to_numpy(), parents["child"].to_numpy(), directed=True)
    direct = np.array(parents["direct"].to_pylist(), bool)
    based = [f"direct, {one}" if kept else None for one, kept in zip(parents["basis"].to_pylist(), direct, strict=True)]
    found: Structures = {("parents", "all"): make(np.ones(len(direct), bool)), ("parents", "direct"): make(direct)}
    found["parents", "SAME_AS"] = Pairs(same["a"].to_numpy(), same["b"].to_numpy())
    return found | by_class("parents", based, make)


def _rings(run: Run) -> Structures:
    artifact = run.artifact("52-rings")
    rows = artifact.table("manifolds").to_pylist()
    table = artifact.table("manifold_members")
    number, index = table["manifold"].to_numpy(), table["index"].to_numpy()
    sets = [np.sort(index[number == row["manifold"]]) for row in rows]
    return by_class("rings", [row["geometry"] for row in rows], of_sets(sets))


def _absorption(run: Run) -> Structures:
    artifact = run.artifact("53-absorption")
    table, hedging = artifact.table("absorption"), artifact.table("hedging")
    make = of_pairs(table["parent"].to_numpy(), table["child"].to_numpy(), directed=True)
    rows = zip(*(table[name].to_pylist() for name in ("status", "kind")), strict=True)
    found = by_class("absorption", [f"{status}, {kind}" for status, kind in rows], make)
    found["absorption", "hedging"] = Pairs(hedging["a"].to_numpy(), hedging["b"].to_numpy())
    return found


def _magnitude(run: Run) -> Structures:
    table = run.artifact("54-magnitude").table("magnitude")
    return by_class("magnitude", table["magnitude"].to_pylist(), of_features(table["index"]))


def _verdicts(run: Run) -> Structures:
    artifact = run.artifact("56-behaviour")
    verdict = {(row["level"], row["cluster"]): row["verdict"] for row in artifact.table("verdicts").to_pylist()}
    found: Structures = {}
    for level, some in communities(run).items():
        named = [verdict.get((level, number)) for number, _, _ in some]
        found |= by_class("verdicts", named, of_sets([members for _, _, members in some]), f"{level}, ")
    egos = artifact.table("ego_verdicts")
    return found | by_class("verdicts", egos["ego_verdict"].to_pylist(), of_features(egos["index"]), "ego, ")


def _sorts(run: Run) -> Structures:
    table = run.artifact("57-census").table("sorts")
    make = of_features(table["index"])
    names = ("geometry_sort", "role")
    return {
        key: one for name in names for key, one in by_class("sorts", table[name].to_pylist(), make, f"{name}, ").items()
    }


MORE: dict[str, Callable[[Run], Structures]] = {
    "52-rings": _rings,
    "53-absorption": _absorption,
    "54-magnitude": _magnitude,
    "56-behaviour": _verdicts,
    "57-census": _sorts,
}
"""Artifacts that are compared where both runs have them."""
