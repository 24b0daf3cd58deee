"""The artifact `45-peer`: a run's counts clustered and scored as Clarke, Bhatnagar and Bloom (2024) do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.communities.stage import graph_of
from atlas.counting.rules import rule_names
from atlas.counting.stage import COUNTS, PAIRS
from atlas.errors import InputError
from atlas.files import write_table
from atlas.hierarchy import require_rule
from atlas.hierarchy.candidates import of_rule, pair_blocks
from atlas.mapped import ArrayFile
from atlas.shapes.classes import community_shape
from atlas.shapes.exclusivity import Evidence
from atlas.shapes.peer import TOLERANCE, peer_clusters, peer_cut, peer_scores
from atlas.shapes.topology import Topology, topology

PEER = "45-peer"
METHOD = "clarke2024"
RULE = "abs:1.5"
SCORES = ("peer_hub_spoke", "peer_strongly_connected", "peer_linear")
_FEWEST = 4  # members from which on star, clique and chain are three different graphs


def peer(run: Run) -> Artifact:
    """Return the artifact of their clusters: tables `peer_clusters` and `peer_membership`.

    A feature fires above 1.5; edges are the pairs whose Jaccard index reaches the cut of `peer_cut`;
    clusters are the connected components of two features or more. No pair is tested, and no feature
    is left out as dead or dense. Beside their scores stands the class that the same graph has here by
    topology alone. It is there to compare: the graph shows it, and nothing else reads it.

    Raises
    ------
    InputError
        The rule `abs:1.5` was not counted, or no pair meets under it (fault 48).
    """
    require_peer_rule(run)
    return run.produce(Spec(PEER, {"method": METHOD}, (COUNTS,)), lambda directory: _compute(run, directory))


def check_peer_rule(rules: Sequence[str]) -> None:
    """Raise `InputError` where the rules that are to be counted leave out theirs."""
    names = rule_names(rules)
    if RULE not in names:
        words = " ".join(f"--rule {name}" for name in (*names[1:], RULE))
        raise InputError(
            f"features fire by the rule {RULE} in the method {METHOD}, and it is not to be counted",
            f"give {words}, or leave --method {METHOD} out",
        )


def require_peer_rule(run: Run) -> None:
    """Raise `InputError` where a run has no counts of their rule, with the command that counts it, too."""
    require_rule(run, RULE, needed=f"features fire by it in the method {METHOD}")


def _compute(run: Run, directory: Path) -> dict[str, Any]:
    a, b, jaccard, d_sae = _pairs(run.artifact(COUNTS).path / PAIRS)
    if not len(a):
        raise InputError(f"no pair of features fires on one token under {RULE}", "run more text in another --run")
    found = peer_cut(a, b, jaccard)
    label = peer_clusters(a, b, jaccard, cut=found.cut, n_features=d_sae)
    kept = jaccard >= found.cut
    numbers = _numbers(label, a[kept], b[kept], jaccard[kept])
    names = ("size", "density", "degree_ratio", "clustering", "diameter")
    scores = peer_scores(**{name: [getattr(one, name) for one in numbers] for name in names})
    columns = {name: [getattr(one, name) for one in numbers] for name in ("size", "n_edges", *names[1:], "hub")}
    shapes = [community_shape(one, Evidence()) for one in numbers]
    rows = {"peer_cluster": np.arange(len(numbers)), **columns, **dict(zip(SCORES, scores.T, strict=True))}
    highest = [
        SCORES[place] if one.size >= _FEWEST else None for place, one in zip(scores.argmax(1), numbers, strict=True)
    ]
    write_table(directory, "peer_clusters", rows | {"highest_score": highest, "shape": shapes})
    members = np.flatnonzero(label < len(numbers))
    write_table(directory, "peer_membership", {"index": members, "peer_cluster": label[members]})
    return {
        "rule": RULE,
        "peer_cut": found.cut,
        "peer_largest": found.largest,
        "peer_in_range": found.in_range,
        "n_clusters": len(numbers),
        "n_features": len(members),
        "n_edges": int(kept.sum()),
        "highest_score": dict(Counter(name for name in highest if name is not None)),
        "shapes": dict(Counter(shapes)),
    }


def _pairs(path: Path) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64], int]:
    """Return the pairs whose Jaccard index a cut of theirs can reach, with it, and the number of features."""
    with ArrayFile(path) as stored:
        firing_count = stored.read(of_rule("firing_count", RULE))
    parts = [(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))]
    for block in pair_blocks(path, RULE):
        either = firing_count[block.a] + firing_count[block.b] - block.joint_count
        jaccard = block.joint_count / np.maximum(either, 1)
        some = jaccard >= TOLERANCE / 2  # the bisection ends above that
        parts.append((block.a[some], block.b[some], jaccard[some]))
    a, b, jaccard = (np.concatenate(column) for column in zip(*parts, strict=True))
    return a, b, jaccard, len(firing_count)


def _numbers(
    label: npt.NDArray[np.int64], a: npt.NDArray[np.int32], b: npt.NDArray[np.int32], weight: npt.NDArray[np.float64]
) -> list[Topology]:
    """Return the numbers of each component of two or more, in their order."""
    n = int((np.bincount(label) >= 2).sum())  # numbered by size: these come first
    graph = graph_of(np.arange(len(label)), a, b, weight)
    order = np.argsort(label, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(label))[:-1])[:n]
    return [topology(graph.induced_subgraph(some.tolist())) for some in members]
