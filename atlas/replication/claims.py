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
from atlas.shapes.subgraphs import ego_candidates, groups

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
    def of(cls, run: Run, firings: Firings, *, with_edges: bool = True) -> Self:
        """Return the claims of a run.

        Parameters
        ----------
        with_edges
            Whether the edges are read, too, of which there may be many millions; else they are empty.
        """
        edges, clustering, structure = (run.artifact(name) for name in (EDGES, CLUSTERS, STRUCTURE))
        rules = Rules(**{name: structure.parameters[name] for name in Rules.__dataclass_fields__})
        measured = ("a", "b", "kind", "joint_count", "expected", "expected_uncorrected", "kept_by")
        membership = _columns(clustering.path / "membership.parquet", ("index", "level", "cluster"))
        members = {level: groups(_labels(membership, level, firings.d_sae)) for level in LEVELS}
        return cls(
            _columns(edges.path / "edges.parquet", measured) if with_edges else {},
            _columns(clustering.path / "parents.parquet", ("parent", "child", "direct", "joint_count")),
            _columns(clustering.path / "same_as.parquet", ("a", "b", "joint_count")),
            membership,
            [_community(row, members) for row in structure.table("shapes").to_pylist()],
            _egos(run, firings, structure.table("egos").to_pylist(), rules),
            rules,
        )

    def labels(self, level: str, d: int) -> npt.NDArray[np.int64]:
        """Return the community of each feature on a level: int64, shape (d,), -1 where it has none."""
        return _labels(self.membership, level, d)


def _labels(membership: Columns, level: str, d: int) -> npt.NDArray[np.int64]:
    on = membership["level"] == level
    labels = np.full(d, -1, np.int64)
    labels[membership["index"][on]] = membership["cluster"][on]
    return labels


def _columns(path: Any, names: tuple[str, ...]) -> Columns:
    table = pq.read_table(path, columns=list(names))
    return {name: table[name].to_numpy() for name in names}


def _community(row: dict[str, Any], members: dict[str, list[npt.NDArray[np.int64]]]) -> Community:
    level, number = row["level"], row["cluster"]
    return Community(level, number, members[level][number], row["hub"], row["shape"])


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
