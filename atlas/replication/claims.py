"""What a run claims, as replication needs it: read from its finished artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from atlas.artifacts import Run
from atlas.association import EDGES
from atlas.communities import CLUSTERS, LEVELS
from atlas.communities.stage import backbone
from atlas.firings import Firings
from atlas.shapes import STRUCTURE, Candidate, Evidence, Rules, ego_shape
from atlas.shapes.subgraphs import ego_candidates

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Community:
    """A community and its class: level, number, members (ascending), hub, shape."""

    level: str
    number: int
    members: npt.NDArray[np.int64]
    hub: int
    shape: str


@dataclass(frozen=True)
class Claims:
    """The claims of one run.

    Attributes
    ----------
    edges, parents, same, membership : dict of column to array
        Of the tables of the same names, as far as they are needed.
    communities : list of Community
    egos : list of (Candidate, class or None)
    rules : Rules
        By which classes were given.
    """

    edges: Columns
    parents: Columns
    same: Columns
    membership: Columns
    communities: list[Community]
    egos: list[tuple[Candidate, str | None]]
    rules: Rules

    @classmethod
    def of(cls, run: Run, firings: Firings) -> Self:
        """Return the claims of a run."""
        edges, clustering, structure = (run.artifact(name) for name in (EDGES, CLUSTERS, STRUCTURE))
        rules = Rules(**{name: structure.parameters[name] for name in Rules.__dataclass_fields__})
        measured = ("a", "b", "kind", "joint_count", "expected", "expected_uncorrected", "kept_by")
        membership = _columns(clustering.path / "membership.parquet", ("index", "level", "cluster"))
        return cls(
            _columns(edges.path / "edges.parquet", measured),
            _columns(clustering.path / "parents.parquet", ("parent", "child", "direct", "joint_count")),
            _columns(clustering.path / "same_as.parquet", ("a", "b", "joint_count")),
            membership,
            _communities(structure.table("shapes").to_pylist(), membership),
            _egos(run, firings, structure.table("egos").to_pylist(), rules),
            rules,
        )

    def labels(self, level: str, d: int) -> npt.NDArray[np.int64]:
        """Return the community of each feature on a level: int64, shape (d,), -1 where it has none."""
        on = self.membership["level"] == level
        labels = np.full(d, -1, np.int64)
        labels[self.membership["index"][on]] = self.membership["cluster"][on]
        return labels


def _columns(path: Any, names: tuple[str, ...]) -> Columns:
    table = pq.read_table(path, columns=list(names))
    return {name: table[name].to_numpy() for name in names}


def _communities(shapes: list[dict[str, Any]], membership: Columns) -> list[Community]:
    place = {level: number for number, level in enumerate(LEVELS)}
    level = np.array([place[name] for name in membership["level"]], np.int64)
    order = np.lexsort((membership["index"], membership["cluster"], level))
    ends = np.column_stack([level, membership["cluster"]])[order]
    starts = np.flatnonzero(np.any(np.diff(ends, axis=0, prepend=-1), axis=1)) if len(ends) else np.zeros(0, int)
    groups = np.split(membership["index"][order], starts[1:])
    members = {tuple(ends[start].tolist()): some for start, some in zip(starts, groups, strict=False)}
    return [
        Community(row["level"], row["cluster"], members[place[row["level"]], row["cluster"]], row["hub"], row["shape"])
        for row in shapes
    ]


def _egos(
    run: Run, firings: Firings, rows: list[dict[str, Any]], rules: Rules
) -> list[tuple[Candidate, str | None]]:
    graph = backbone(run)
    leaves = {one.hub: one for one, _ in ego_candidates(graph, firings.firing_count, min_leaves=rules.min_leaves)}
    names = ("testable_pairs", "depleted_pairs", "enriched_pairs", "covered_leaves")
    evidence = [Evidence(*(row[f"ego_{name}"] for name in names)) for row in rows]
    return [
        (leaves[row["index"]], ego_shape(row["ego_size"], found, rules))
        for row, found in zip(rows, evidence, strict=True)
    ]
