"""The sort of each feature, from what the stages before have claimed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.shapes import Candidate

Names = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]

BASES = ("lexical", "contextual", "mixed", "untested")
FLAGS = ("is_parent", "is_child", "is_absorbed", "is_absorbing", "is_ambiguous", "in_token_family")


@dataclass(frozen=True)
class Claimed:
    """What the stages claim; what a run has no stage for is empty.

    Attributes
    ----------
    d : int
        Features of the SAE.
    edges : dict of column to array
        `a`, `b`, `phi`, `basis` of the co-occurrence edges on the backbone.
    parents : int64, shape (n, 2)
        Parent and child, direct or not.
    fine : int64, shape (d,)
        Fine community; -1 for none.
    shapes, verdicts : dict of fine community to class
    hubs : dict of fine community to its hub
    egos : list of Candidate
        Each hub with its leaves.
    ego_shapes, ego_verdicts, families : dict of hub to class
    manifolds : int64, shape (n, 2), and geometries, sequence of str
        Manifold and member; the geometry of each manifold.
    absorptions : int64, shape (n, 2)
        Child and parent of what is a candidate or a finding.
    """

    d: int
    edges: Mapping[str, npt.NDArray[Any]]
    parents: npt.NDArray[np.int64]
    fine: npt.NDArray[np.int64]
    shapes: Mapping[int, str]
    hubs: Mapping[int, int]
    verdicts: Mapping[int, str]
    egos: Sequence[Candidate]
    ego_shapes: Mapping[int, str | None]
    ego_verdicts: Mapping[int, str]
    families: Mapping[int, str | None]
    manifolds: Sequence[tuple[str, npt.NDArray[np.int64]]]
    absorptions: npt.NDArray[np.int64]


def geometry_sorts(claimed: Claimed) -> Names:
    """Return the geometry of each feature: object, shape (d,), the first that holds.

    A claimed manifold comes first, being tested against its own null; then what graph and exclusivity say. `hub` and
    `leaf` need a hub-spoke class: stars by topology alone are no more than chance.
    """
    fine = claimed.fine
    sorts = np.full(claimed.d, "isolated", object)
    for end in ("a", "b"):
        sorts[claimed.edges[end]] = "connected"
    spokes = [one for one in claimed.egos if claimed.ego_shapes.get(one.hub) == "hub-spoke"]
    stars = [number for number, shape in claimed.shapes.items() if shape == "hub-spoke"]
    for leaves in (*(list(one.leaves) for one in spokes), *(fine == number for number in stars)):
        sorts[leaves] = "leaf"
    sorts[[*(one.hub for one in spokes), *(claimed.hubs[number] for number in stars)]] = "hub"
    cliques = [number for number, shape in claimed.shapes.items() if shape == "fully connected"]
    sorts[np.isin(fine, cliques)] = "clique"
    for geometry, kinds in reversed(list(_MANIFOLDS.items())):
        for kind, members in claimed.manifolds:
            if kind in kinds:
                sorts[members] = geometry
    return sorts


_MANIFOLDS = {"ring": ("ring",), "line": ("line", "arc"), "helix": ("helix",), "simplex": ("simplex",)}


def flags(claimed: Claimed) -> dict[str, Flags]:
    """Return what is true of each feature, by the names of `FLAGS`: bool, shape (d,) each; several may be."""
    families = [one for one in claimed.egos if claimed.families.get(one.hub) is not None]
    ambiguous = [number for number, verdict in claimed.verdicts.items() if verdict == "ambiguity"]
    hubs = [hub for hub, verdict in claimed.ego_verdicts.items() if verdict == "ambiguity"]
    parent, child = claimed.parents.T
    absorbing, absorbed = claimed.absorptions.T
    of = {
        "is_parent": parent,
        "is_child": child,
        "is_absorbed": absorbed,
        "is_absorbing": absorbing,
        "is_ambiguous": np.concatenate([np.flatnonzero(np.isin(claimed.fine, ambiguous)), np.array(hubs, np.int64)]),
        "in_token_family": [feature for one in families for feature in (one.hub, *one.leaves)],
    }
    found = {}
    for name in FLAGS:
        found[name] = np.zeros(claimed.d, bool)
        found[name][np.asarray(of[name], np.int64)] = True
    return found


def roles(true_of: Mapping[str, Flags]) -> Names:
    """Return the role of each feature: object, shape (d,), the first that holds, the rarer claims first."""
    parent, child = true_of["is_parent"], true_of["is_child"]
    cases = {
        "ambiguous": true_of["is_ambiguous"],
        "absorbed": true_of["is_absorbed"],
        "token family": true_of["in_token_family"],
        "parent": parent & ~child,
        "parent and child": parent & child,
        "child": child,
    }
    found: Names = np.full(len(parent), "none", object)
    for name, holds in reversed(list(cases.items())):
        found[holds] = name
    return found


def basis_sorts(claimed: Claimed) -> Names:
    """Return the basis that most phi of a feature's edges has: object, shape (d,), `none` without an edge."""
    weight = np.zeros((len(BASES), claimed.d))
    basis = np.asarray(claimed.edges["basis"], object)
    for row, name in enumerate(BASES):
        of = basis == name
        for end in ("a", "b"):
            np.add.at(weight[row], claimed.edges[end][of], claimed.edges["phi"][of])
    sorts: Names = np.array(BASES, object)[weight.argmax(axis=0)]
    sorts[~weight.any(axis=0)] = "none"
    return sorts
