"""Builds the artifacts of a small atlas from edges and communities that a test writes by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hand_evidence import FURTHER

from atlas.artifacts import Artifact, Run, Spec
from atlas.files import write_arrays, write_table
from atlas.schema import TABLES, Field

Clusters = Mapping[str, Sequence[Sequence[int]]]
Evidence = tuple[int, int, int, int]
"""testable, depleted, enriched pairs; covered leaves."""


@dataclass
class Small:
    """What an atlas consists of; the rest of its tables is filled in."""

    n_features: int
    edges: dict[tuple[int, int], float]
    clusters: Clusters = field(default_factory=dict)
    evidence: dict[tuple[str, int], Evidence] = field(default_factory=dict)
    egos: dict[int, Evidence] = field(default_factory=dict)
    firing: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, list[str]] = field(default_factory=dict)
    classes: dict[int, str] = field(default_factory=dict)
    weak: tuple[tuple[int, int], ...] = ()
    """Pairs that are significant and not on the backbone."""
    topics: tuple[tuple[int, int], ...] = ()
    exclusions: tuple[tuple[int, int], ...] = ()
    """Pairs of the two other kinds of edges."""
    parents: tuple[tuple[int, int], ...] = ()
    """Direct pairs of parent and child."""
    ancestors: tuple[tuple[int, int], ...] = ()
    """Pairs that follow from others."""
    same: tuple[tuple[int, int], ...] = ()
    peer: tuple[tuple[Sequence[int], str | None], ...] = ()
    """Clusters by the method of others, the first member the hub of a star or clique, with their highest score."""
    halves: Mapping[Any, int | None] | None = None
    """In how many halves a claim holds where it is not both: by pair, (feature, level), (level, number) or hub."""

    measured: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    """What is not as in every edge, by pair."""
    members: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    """What is not as in every membership, by feature and level."""
    found: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """What is not as in every community, by level and number."""
    directions: tuple[tuple[float, ...], ...] = ()
    """The decoder's rows."""
    further: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Rows of tables of further stages, by table: columns that are not given are absent or filled in."""

    def firing_count(self, index: int) -> int:
        return self.firing.get(index, 100)

    def write(self, path: Path, *, corpus: str = "notes") -> dict[str, Artifact]:
        """Write the artifacts into a run directory and return them: those that a run may lack only where given."""
        with Run(path) as run:
            return {
                spec.name: run.produce(spec, lambda directory, write=write: write(directory) or {})
                for spec, write in (
                    (Spec("10-activations", {"corpus": corpus}), self._activations),
                    (Spec("30-edges", {"phi": 0.1}, ("10-activations",)), self._edges),
                    (Spec("40-clusters", {}, ("30-edges",)), self._clusters),
                    *([(Spec("45-peer", {}, ("10-activations",)), self._peer)] if self.peer else []),
                    (Spec("50-structure", {}, ("40-clusters",)), self._structure),
                    *([(Spec("55-replication", {}, ("50-structure",)), self._replication)] if self.halves else []),
                    *further_stages(self.further),
                )
            }

    def _activations(self, directory: Path) -> dict[str, Any]:
        if self.directions:
            norms = np.ones(self.n_features, np.float32)
            write_arrays(directory / "decoder.safetensors",
                         {"W_dec": np.array(self.directions, np.float32), "norms": norms})  # fmt: skip
        return {
            "model": "a model", "release": None, "sae_id": "an SAE", "hook_name": "blocks.9.hook_resid_post",
            "d_sae": self.n_features, "corpus": "notes", "n_tokens": 1000, "n_documents": 10,
            "firing_rule": "any", "neuronpedia_id": None,
        }  # fmt: skip

    def _edges(self, directory: Path) -> dict[str, Any]:
        others = dict.fromkeys(self.topics, "CO_TOPIC") | dict.fromkeys(self.exclusions, "EXCLUDES")
        pairs = sorted([*self.edges, *self.weak, *others])
        filled = {
            "a": [a for a, _ in pairs], "b": [b for _, b in pairs],
            "phi": [self.edges.get(pair, 0.05) for pair in pairs],
            "kind": [others.get(pair, "CO_OCCURS") for pair in pairs], "basis": ["lexical"] * len(pairs),
            "kept_by": [None if pair in self.weak else "phi" for pair in pairs],
            "p_a_given_b": [0.25] * len(pairs), "p_b_given_a": [0.75] * len(pairs),
            "lift_t": [None if a % 2 else 1.5 for a, _ in pairs],
        }  # fmt: skip
        for column in TABLES["edges"].columns:
            filled.setdefault(column.name, [1 if column.type == "integer" else 0.5] * len(pairs))
        filled["explained_by"] = [None] * len(pairs)
        for pair, given in self.measured.items():
            for name, value in given.items():
                filled[name][pairs.index(pair)] = value
        write_table(directory, "edges", filled)
        return {
            "n_alive": self.n_features, "n_pairs_seen": len(pairs), "n_pairs_tested": len(pairs),
            "n_significant": len(pairs), "n_edges": len(self.edges), "phi_cut": 0.1, "control": "none",
            "control_significant": None, "empirical_fdr": None,
        }  # fmt: skip

    def _clusters(self, directory: Path) -> dict[str, Any]:
        clusters, members = self._cluster_rows(), []
        for level, groups in self.clusters.items():
            members += [(index, level, number) for number, group in enumerate(groups) for index in group]
        members.sort()
        names = ("index", "level", "cluster")
        rows = [
            dict(zip(names, member, strict=True)) | {"stability": 0.75} | self.members.get(member[:2], {})
            for member in members
        ]
        write_table(directory, "clusters", _columns("clusters", clusters))
        write_table(directory, "membership", _columns("membership", rows))
        self._hierarchy(directory)
        return {
            "resolutions": [0.01, 0.02, 0.05], "decoder_compared": 17, "decoder_ami": [0.5, 0.25, 0.125],
            "decoder_ami_null": [0.25, 0.25, 0.25], "decoder_p": [1 / 21, 2 / 21, 1.0], "n_edges": 99,
        }  # fmt: skip

    def _peer(self, directory: Path) -> dict[str, Any]:
        clusters = [self._peer_row(number) for number in range(len(self.peer))]
        numbered = [(index, number) for number, (group, _) in enumerate(self.peer) for index in group]
        members = [{"index": index, "peer_cluster": number} for index, number in sorted(numbered)]
        write_table(directory, "peer_clusters", _columns("peer_clusters", clusters))
        write_table(directory, "peer_membership", _columns("peer_membership", members))
        largest = max(len(group) for group, _ in self.peer)
        return {"peer_cut": 0.25, "peer_largest": largest, "peer_in_range": False, "n_edges": 99, "n_features": 99}

    def _peer_row(self, number: int) -> dict[str, Any]:
        group, highest = self.peer[number]
        n, whole = len(group), highest == "peer_strongly_connected"
        n_edges = n * (n - 1) // 2 if whole else n - 1
        shape = {"peer_hub_spoke": "star-like", "peer_strongly_connected": "fully connected", None: "pair"}[highest]
        scores = ("peer_hub_spoke", "peer_strongly_connected", "peer_linear")
        return {
            "peer_cluster": number, "size": n, "n_edges": n_edges, "density": 2 * n_edges / (n * (n - 1)),
            "degree_ratio": 1.0 if whole else n / 2, "clustering": float(whole),
            "diameter": 1 if whole or n == 2 else 2, "hub": group[0],
            **{name: 0.75 if name == highest else 0.625 for name in scores},
            "highest_score": highest, "shape": shape,
        }  # fmt: skip

    def _hierarchy(self, directory: Path) -> None:
        filled = {
            "direct": True, "joint_count": 40, "p_parent_given_child": 0.9, "p_a_given_b": 0.9, "p_b_given_a": 0.9,
            "lower_bound": 0.8, "odds_ratio": 9.0, "p": 0.01, "q": 0.02, "lift_t": None, "basis": "contextual",
        }  # fmt: skip
        pairs = sorted([(*pair, True) for pair in self.parents] + [(*pair, False) for pair in self.ancestors])
        parents = [{**filled, "parent": p, "child": c, "direct": direct} for p, c, direct in pairs]
        same = [{**filled, "a": a, "b": b} for a, b in sorted(self.same)]
        kin = [self._kin(index) for index in sorted({feature for pair in self.parents for feature in pair})]
        for name, rows in (("parents", parents), ("same_as", same), ("parent_summary", kin)):
            write_table(directory, name, _columns(name, rows))

    def _kin(self, index: int) -> dict[str, Any]:
        children = [child for parent, child in self.parents if parent == index]
        above = [parent for parent, child in self.parents if child == index]
        depth = 1 + max(self._kin(parent)["depth"] for parent in above) if above else 0
        measured = {"coverage": 0.9, "exclusivity": 0.95, "kind": "partition"} if children else {}
        return {
            "index": index, "depth": depth, "n_parents": len(above), "n_children": len(children),
            **{f"children_{name}": measured.get(name) for name in ("coverage", "exclusivity", "kind")},
        }  # fmt: skip

    def _cluster_rows(self) -> list[dict[str, Any]]:
        rows = []
        for level, groups in self.clusters.items():
            outer = {"coarse": (), "middle": self.clusters.get("coarse", ())}.get(
                level, self.clusters.get("middle", ())
            )
            holders = {index: number for number, whole in enumerate(outer) for index in whole}
            for number, group in enumerate(groups):
                rows.append(
                    {
                        "cluster": number, "level": level, "resolution": 0.05, "size": len(group),
                        "parent": holders.get(group[0]), "stability": 0.5, "persistence": 0.6,
                        **self.found.get((level, number), {}),
                    }
                )  # fmt: skip
        return sorted(rows, key=lambda row: (row["level"], row["cluster"]))

    def _structure(self, directory: Path) -> dict[str, Any]:
        features = [self._feature(index) for index in range(self.n_features)]
        egos = [self._ego(index) for index in sorted(self.egos)]
        shapes = [self._shape(row["level"], row["cluster"]) for row in self._cluster_rows()]
        write_table(directory, "features", _columns("features", features))
        write_table(directory, "egos", _columns("egos", egos))
        write_table(directory, "shapes", _columns("shapes", shapes))
        return {}

    def _replication(self, directory: Path) -> dict[str, Any]:
        others = [*self.topics, *self.exclusions]
        pairs = sorted([*self.edges, *self.weak, *others])
        kinds = dict.fromkeys(self.topics, "CO_TOPIC") | dict.fromkeys(self.exclusions, "EXCLUDES")
        members = sorted((i, level) for level, groups in self.clusters.items() for group in groups for i in group)
        places = [(row["level"], row["cluster"]) for row in self._cluster_rows()]
        again = dict(self.halves or {})
        tables: dict[str, dict[str, Any]] = {
            "replicated_edges": {**_ends("a", "b", pairs), "kind": [kinds.get(pair, "CO_OCCURS") for pair in pairs]},
            "replicated_parents": _ends("parent", "child", sorted([*self.parents, *self.ancestors])),
            "replicated_same_as": _ends("a", "b", sorted(self.same)),
            "replicated_membership": _ends("index", "level", members),
            "replicated_clusters": {
                **_ends("level", "cluster", places), "half_overlap": [0.75] * len(places),
                "shape_halves": [again.get((*place, "shape"), 2) for place in places],
                "half_shapes": [None] * len(places),
            },
        }  # fmt: skip
        for name, columns in tables.items():
            keys = zip(*list(columns.values())[:2], strict=True)
            write_table(directory, name, {**columns, "halves": [again.get(key, 2) for key in keys]})
        hubs = sorted(self.egos)
        again_egos = [again.get(hub, 2) for hub in hubs]
        found = {"index": hubs, "ego_halves": again_egos, "ego_half_shapes": [None] * len(hubs)}
        write_table(directory, "replicated_egos", found)
        return {"half_documents": [5, 5], "n_near_duplicates": 2, "half_ami": [0.5, 0.75, 1.0], "half_tokens": [9, 9]}

    def _feature(self, index: int) -> dict[str, Any]:
        count = self.firing_count(index)
        return {
            "index": index, "name": self.names.get(index, f"feature {index}"), "firing_count": count,
            "density": count / 1000, "class": self.classes.get(index, "alive"), "mean": 1.0, "max": 2.0,
            "top_tokens": self.tokens.get(index, [f" token{index}"]), "neuronpedia_url": None,
        }  # fmt: skip

    def _ego(self, index: int) -> dict[str, Any]:
        testable, depleted, enriched, covered = self.egos[index]
        return {
            "index": index, "ego_size": 4, "leaf_density": 0.5, "ego_testable_pairs": testable,
            "ego_depleted_pairs": depleted, "ego_enriched_pairs": enriched, "ego_covered_leaves": covered,
            "ego_leaf_association": -1.5, "ego_basis": "contextual", "ego_coverage": 0.5, "ego_hub_given_leaf": 0.9,
            "ego_hub_role": "modifier", "ego_family": "item" if index == 46 else None,
        }  # fmt: skip

    def _shape(self, level: str, number: int) -> dict[str, Any]:
        testable, depleted, enriched, covered = self.evidence.get((level, number), (0, 0, 0, 0))
        group = self.clusters[level][number]
        return {
            "level": level, "cluster": number, "name": f"{level} {number}", "clustering": 0.0, "diameter": 2,
            "strength": 0.5, "peer_hub_spoke": 0.25, "peer_strongly_connected": 0.5, "peer_linear": 0.25,
            "template": "star", "margin_bits": 3.0, "q": 0.01, "testable_pairs": testable, "depleted_pairs": depleted,
            "enriched_pairs": enriched, "covered_leaves": covered, "leaf_association": None,
            "top_tokens": list(dict.fromkeys(token for index in group for token in self.tokens.get(index, [])))[:8],
            **self.found.get((level, number), {}),
        }  # fmt: skip


def further_stages(
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Iterator[tuple[Spec, Callable[[Path], None]]]:
    """Yield the stages that have one of these tables, each with what writes them; tables without rows are empty."""
    for stage in sorted({TABLES[name].stage for name in rows}):
        yield Spec(stage, {}, ("50-structure",)), partial(_write_further, stage, rows)


def _write_further(stage: str, given: Mapping[str, Sequence[Mapping[str, Any]]], directory: Path) -> None:
    for table in TABLES.values():
        if table.stage == stage:
            rows = sorted(given.get(table.name, ()), key=lambda row: [row[name] for name in table.key])
            columns = {each.name: [row.get(each.name, _usual(each)) for row in rows] for each in table.columns}
            write_table(directory, table.name, columns)


def _usual(column: Field) -> Any:
    """Return what a column has where nothing is said."""
    if not column.required:
        return None
    kinds: dict[str, Any] = {"string": "some", "boolean": False, "integer": int(column.low or 0), "float": 0.5}
    return kinds.get(column.type, [])


def _columns(table: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {column.name: [row.get(column.name) for row in rows] for column in TABLES[table].columns}


def _ends(first: str, second: str, rows: Sequence[tuple[Any, Any]]) -> dict[str, list[Any]]:
    return {first: [row[0] for row in rows], second: [row[1] for row in rows]}


def star(hub: int, leaves: Sequence[int], phi: float = 0.5) -> dict[tuple[int, int], float]:
    """Return the edges of a star."""
    return {(min(hub, leaf), max(hub, leaf)): phi for leaf in leaves}


def clique(members: Sequence[int], phi: float = 0.5) -> dict[tuple[int, int], float]:
    """Return the edges of a clique."""
    return {(a, b): phi for a in members for b in members if a < b}


def chain(members: Sequence[int], phi: float = 0.5) -> dict[tuple[int, int], float]:
    """Return the edges of a path."""
    return {(min(a, b), max(a, b)): phi for a, b in itertools.pairwise(members)}


MEASURED: dict[tuple[int, int], dict[str, Any]] = {
    (28, 29): {"basis": "contextual", "lift_d": 9.0, "decoder_cosine": 0.0625},
    (5, 7): {"explained_by": 0},
    (42, 43): {"joint_count": 30, "phi_d": 0.03125},
    (1, 2): {"basis": "contextual", "lift_d": 0.25, "decoder_cosine": 0.75},
    (3, 12): {"phi_d": -0.015625, "decoder_cosine": 0.125},
}
MEMBERS: dict[tuple[int, str], dict[str, Any]] = {
    (5, "fine"): {"stability": 0.625, "second_cluster": 1, "second_share": 0.4},
    (7, "fine"): {"second_cluster": 0, "second_share": 0.3},
}
FOUND: dict[tuple[str, int], dict[str, Any]] = {
    ("fine", 1): {"q": 0.5, "stable_cuts": 3},
    ("fine", 2): {"template": "undetermined", "margin_bits": 0.0, "stability": 0.95, "persistence": 0.92,
                  "chance": 0.03125, "stable_cuts": 5, "stable_cells": 8},
    ("fine", 3): {"template": "ring", "margin_bits": 4.0},
    ("fine", 4): {"template": "chain", "margin_bits": 6.0},
}  # fmt: skip
"""What of that atlas is not as everywhere: of edges, memberships and communities."""


def by_hand() -> Small:
    """Return the atlas that the tests know by hand: one community of each shape, one ego of each class.

    fine 0 star of 6 with exclusive leaves, 1 star of 6 without evidence, 2 clique of 5, 3 ring of 6,
    4 path of 5, 5 pair, 6 triangle, 7 open triad; middle 0 holds fine 0 and 1, middle 1 holds fine 2,
    coarse 0 holds both. Features 36, 41 and 46 are hubs of four leaves each, outside of all communities;
    51 is dead, 52 dense, 53 alone. Edge 5-7 ties fine 0 to fine 1. Leaves 1 and 2 of the first star exclude each
    other, as 3 and 12 do; 0 and 6 share a topic. 36 is parent of 0 and 37, 0 of 1 and 2, and 6 of 2; 30 is as 31.
    By the method of others 0 to 6 and 9 are one star, 12 to 15 a clique, and 36 and 37 a pair.
    """
    ring = {**chain(range(17, 23)), (17, 22): 0.5}
    edges = {
        **star(0, range(1, 6)), **star(6, range(7, 12)), **clique(range(12, 17)), **ring,
        **chain(range(23, 28)), (28, 29): 0.4, **clique(range(30, 33)), **chain([33, 34, 35]),
        **star(36, range(37, 41)), **star(41, range(42, 46)), (42, 43): 0.3, (44, 45): 0.3,
        **star(46, range(47, 51)), (5, 7): 0.2,
    }  # fmt: skip
    fine = [range(6), range(6, 12), range(12, 17), range(17, 23), range(23, 28), (28, 29), range(30, 33),
            range(33, 36)]  # fmt: skip
    return Small(
        n_features=54,
        edges=edges,
        clusters={
            "coarse": [range(17)],
            "middle": [range(12), range(12, 17)],
            "fine": [list(group) for group in fine],
        },
        evidence={("fine", 0): (6, 4, 1, 4), ("fine", 1): (2, 2, 0, 4)},
        egos={36: (5, 4, 1, 3), 41: (5, 0, 4, 4), 46: (5, 1, 2, 4)},
        firing={0: 500, 6: 500, 36: 400, 41: 400, 46: 400, 51: 0},
        names={0: "run", 1: "go", 36: "begins with N"},
        tokens={0: [" run", " go"], 1: [" go", " gone"], 2: [" go"], 36: [" new", "("], 37: ["(", '"', "\\"]},
        classes={51: "dead", 52: "dense"},
        weak=((1, 3), (0, 53)),
        topics=((0, 6),),
        exclusions=((1, 2), (3, 12)),
        parents=((0, 1), (0, 2), (6, 2), (36, 0), (36, 37)),
        ancestors=((36, 1), (36, 2)),
        same=((30, 31),),
        measured=MEASURED,
        members=MEMBERS,
        found=FOUND,
        directions=((1.0, 0.0), (0.6, 0.8), (0.0, 1.0), *((-1.0, index / 50) for index in range(51))),
        halves={
            (0, 1): None, (5, 7): 0, (28, 29): 1, (0, 6): 0, (36, 0): 1, (36, 1): 0, (30, 31): None,
            (5, "fine"): 1, (7, "fine"): None, ("fine", 1): 0, ("fine", 0, "shape"): 1, 36: 1, 46: None,
        },
        further=FURTHER,
        peer=(((*range(7), 9), "peer_hub_spoke"), (range(12, 16), "peer_strongly_connected"), ((36, 37), None)),
    )
