"""The stage `50-structure`: communities in, evidence for every feature, ego subgraph and community out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.stage import read_strata
from atlas.association.testing import Gates
from atlas.captions import caption, top_tokens
from atlas.communities import LEVELS, nested_partition
from atlas.communities.stage import backbone
from atlas.files import write_table
from atlas.firings import Firings
from atlas.shapes.classes import Rules, community_shape, ego_shape
from atlas.shapes.exclusivity import Candidate, Evidence, leaf_evidence
from atlas.shapes.rewired import rewire
from atlas.shapes.topology import Topology, topology
from atlas.tracking import Track, untracked

STRUCTURE = "50-structure"
EVIDENCE = ("testable_pairs", "depleted_pairs", "enriched_pairs", "covered_leaves", "leaf_association")


@dataclass(frozen=True)
class Subgraphs:
    """The communities and ego subgraphs of one graph, with the evidence for each.

    Attributes
    ----------
    communities : list of (level, number, members, numbers, evidence)
        Communities of two or more; members are feature indices.
    egos : list of (candidate, leaf density, evidence)
        Features with enough rarer neighbours.
    ego_basis : list of str or None
        Whether each ego's class holds within vocabulary items, too.
    """

    communities: list[tuple[str, int, npt.NDArray[np.int64], Topology, Evidence]]
    egos: list[tuple[Candidate, float, Evidence]]
    ego_basis: list[str | None]


def structure(run: Run, *, rules: Rules | None = None, seed: int = 0, track: Track = untracked) -> Artifact:
    """Return the artifact of structure: tables `features`, `egos`, `shapes`, and the `census`.

    The census counts the classes on the real backbone and, by the same rules, on a copy rewired
    at random with every degree kept.

    Parameters
    ----------
    rules
        Thresholds of the classes.
    seed
        Seed of the rewired copy.
    track
        Told of the candidates examined.
    """
    rules = rules or Rules()
    inputs = ("10-activations", "20-counts", "30-edges", "40-clusters")
    spec = Spec(STRUCTURE, {**asdict(rules), "seed": seed}, inputs)
    return run.produce(spec, lambda directory: _compute(run, directory, rules, seed, track))


def _compute(run: Run, directory: Path, rules: Rules, seed: int, track: Track) -> dict[str, Any]:
    activations = run.artifact("10-activations")
    firings = Firings(activations.path)
    labels, _ = read_strata(run.artifact("20-counts"), firings.d_sae)
    clustering = run.artifact("40-clusters")
    vocabulary = activations.table("vocabulary")
    tokens = _feature_tokens(firings, vocabulary.to_pylist())
    graph = backbone(run)

    real = subgraphs(graph, _memberships(clustering, graph), firings, labels, rules, track)
    copy = rewire(graph, seed=seed)
    parameters = clustering.parameters
    levels = nested_partition(copy, resolutions=parameters["resolutions"], seed=parameters["seed"])
    rewired = subgraphs(copy, dict(zip(LEVELS, levels, strict=True)), firings, labels, rules, track)

    gates = Gates(**{name: run.artifact("30-edges").parameters[name] for name in asdict(Gates())})
    columns = _feature_columns(firings, tokens, gates, activations.results.get("neuronpedia_id"))
    write_table(directory, "features", columns)
    write_table(directory, "egos", _ego_columns(real))
    write_table(directory, "shapes", _shape_columns(real, tokens, rules))
    census = {"real": _census(real, rules), "rewired": _census(rewired, rules)}
    rows = [(graph_, *key, n) for graph_, counts in census.items() for key, n in sorted(counts.items())]
    write_table(
        directory,
        "census",
        dict(zip(("graph", "subgraph", "shape", "count"), zip(*rows, strict=True), strict=True)),
    )
    return {
        "n_communities": len(real.communities),
        "n_egos": len(real.egos),
        "ego_basis": _basis_counts(real, rules),
        "clustering": {
            "real": graph.transitivity_avglocal_undirected(mode="zero"),
            "rewired": copy.transitivity_avglocal_undirected(mode="zero"),
        },
    }


def subgraphs(
    graph: igraph.Graph,
    memberships: dict[str, npt.NDArray[np.int64]],
    firings: Firings,
    labels: npt.NDArray[np.integer],
    rules: Rules,
    track: Track,
) -> Subgraphs:
    """Return the communities and ego subgraphs of a graph with the evidence for each."""
    index = np.asarray(graph.vs["index"], np.int64)
    communities = []
    for level, membership in memberships.items():
        for number in range(int(membership.max(initial=-1)) + 1):
            members = np.flatnonzero(membership == number)
            if len(members) >= 2:
                numbers = topology(graph.induced_subgraph(members.tolist()))
                communities.append((level, number, index[members], numbers))
    egos = ego_candidates(graph, firings.firing_count, min_leaves=rules.min_leaves)
    candidates = [
        Candidate(numbers.hub, tuple(int(i) for i in members if i != numbers.hub) if len(members) > 3 else ())
        for _, _, members, numbers in communities
    ] + [candidate for candidate, _ in egos]
    evidence = leaf_evidence(firings, labels, candidates, track=track)
    n = len(communities)
    found_egos = [(*ego, found) for ego, found in zip(egos, evidence[n:], strict=True)]
    return Subgraphs(
        [(*community, found) for community, found in zip(communities, evidence[:n], strict=True)],
        found_egos,
        ego_bases(firings, found_egos, rules, track),
    )


def ego_bases(
    firings: Firings, egos: Sequence[tuple[Candidate, float, Evidence]], rules: Rules, track: Track
) -> list[str | None]:
    """Return for each hub-spoke or joint ego whether its class holds within vocabulary items, too.

    A position holds one vocabulary item, so features of words exclude each other for free: such an
    ego is `lexical`, and `contextual` is one whose leaves exclude (or attract) each other on one
    and the same item. Other classes have none.
    """
    shapes = [ego_shape(len(candidate.leaves), evidence, rules) for candidate, _, evidence in egos]
    claimed = [place for place, shape in enumerate(shapes) if shape in ("hub-spoke", "joint")]
    items = np.asarray(firings.token_id)
    within = leaf_evidence(firings, items, [egos[place][0] for place in claimed], track=track)
    bases: list[str | None] = [None] * len(egos)
    for place, evidence in zip(claimed, within, strict=True):
        holds = ego_shape(len(egos[place][0].leaves), evidence, rules) == shapes[place]
        bases[place] = "contextual" if holds else "lexical"
    return bases


def ego_candidates(
    graph: igraph.Graph, firing_count: npt.NDArray[np.int64], *, min_leaves: int
) -> list[tuple[Candidate, float]]:
    """Return each feature with enough rarer neighbours, its leaves, and their density.

    Rarer means a smaller firing count; of equal counts the higher index is the rarer.
    """
    index = np.asarray(graph.vs["index"], np.int64)
    found = []
    for node in range(graph.vcount()):
        key = (-firing_count[index[node]], index[node])
        leaves = [other for other in graph.neighbors(node) if (-firing_count[index[other]], index[other]) > key]
        if len(leaves) >= min_leaves:
            edges = graph.induced_subgraph(leaves).ecount()
            density = 2 * edges / (len(leaves) * (len(leaves) - 1))
            found.append((Candidate(int(index[node]), tuple(sorted(index[leaves].tolist()))), density))
    return found


def _memberships(clustering: Artifact, graph: igraph.Graph) -> dict[str, npt.NDArray[np.int64]]:
    """Return the community number of each node on each level; -1 where it has none."""
    table = clustering.table("membership")
    place = {index: node for node, index in enumerate(graph.vs["index"])}
    found = {level: np.full(graph.vcount(), -1, np.int64) for level in LEVELS}
    columns = (table[name].to_pylist() for name in ("index", "level", "cluster"))
    for index, level, number in zip(*columns, strict=True):
        found[level][place[index]] = number
    return found


def _feature_tokens(firings: Firings, vocabulary: Sequence[dict[str, Any]]) -> list[list[str]]:
    by_id = [""] * (max((row["token_id"] for row in vocabulary), default=-1) + 1)
    for row in vocabulary:
        by_id[row["token_id"]] = row["text"]
    return top_tokens(firings, by_id)


def _feature_columns(
    firings: Firings, tokens: list[list[str]], gates: Gates, neuronpedia_id: str | None
) -> dict[str, Any]:
    count = firings.firing_count
    density = count / max(firings.n_tokens, 1)
    sums = np.zeros(firings.d_sae)
    largest = np.zeros(firings.d_sae)
    for feature in range(firings.d_sae):
        values = firings.activations_of(feature)
        if len(values):
            sums[feature], largest[feature] = values.sum(dtype=np.float64), values.max()
    kind = np.where(count < gates.min_firings, "dead", np.where(density > gates.max_density, "dense", "alive"))
    return {
        "index": np.arange(firings.d_sae),
        "name": [caption(some, fallback=f"feature {i}") for i, some in enumerate(tokens)],
        "firing_count": count,
        "density": density,
        "class": kind,
        "mean": sums / np.maximum(count, 1),
        "max": largest,
        "top_tokens": tokens,
        "neuronpedia_url": [
            f"https://www.neuronpedia.org/{neuronpedia_id}/{i}" if neuronpedia_id else None
            for i in range(firings.d_sae)
        ],
    }


def _ego_columns(real: Subgraphs) -> dict[str, Any]:
    egos = real.egos
    return {
        "index": [candidate.hub for candidate, _, _ in egos],
        "ego_size": [len(candidate.leaves) for candidate, _, _ in egos],
        "leaf_density": [density for _, density, _ in egos],
        **{f"ego_{name}": [getattr(found, name) for _, _, found in egos] for name in EVIDENCE},
        "ego_basis": real.ego_basis,
        "ego_coverage": [found.coverage for _, _, found in egos],
        "ego_hub_given_leaf": [found.hub_given_leaf for _, _, found in egos],
    }


def _shape_columns(real: Subgraphs, tokens: list[list[str]], rules: Rules) -> dict[str, Any]:
    numbers = [row[3] for row in real.communities]
    tops = [_community_tokens(members, topology_.hub, tokens) for _, _, members, topology_, _ in real.communities]
    return {
        "level": [row[0] for row in real.communities],
        "cluster": [row[1] for row in real.communities],
        "name": [caption(top, fallback=f"{row[0]} {row[1]}") for top, row in zip(tops, real.communities, strict=True)],
        **{
            name: [getattr(one, name) for one in numbers]
            for name in (
                "clustering",
                "diameter",
                "strength",
                "n_edges",
                "density",
                "centralization",
                "triangles",
                "hub",
            )
        },
        **{name: [getattr(row[4], name) for row in real.communities] for name in EVIDENCE},
        "top_tokens": tops,
        "shape": [community_shape(row[3], row[4], rules) for row in real.communities],
    }


def _community_tokens(members: npt.NDArray[np.int64], hub: int, tokens: list[list[str]]) -> list[str]:
    """Return the hub's first item and then the items that most members share, without repeats."""
    shared = Counter(token for member in members for token in tokens[member][:3])
    first = tokens[hub][:1]
    rest = [token for token, _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0])) if token not in first]
    return [*first, *rest][:8]


def _basis_counts(found: Subgraphs, rules: Rules) -> dict[str, dict[str, int]]:
    """Return how many egos of each class hold within vocabulary items, and how many do not."""
    counts: dict[str, dict[str, int]] = {}
    for (candidate, _, evidence), basis in zip(found.egos, found.ego_basis, strict=True):
        shape = ego_shape(len(candidate.leaves), evidence, rules)
        if shape is not None and basis is not None:
            counts.setdefault(shape, {"contextual": 0, "lexical": 0})[basis] += 1
    return counts


def _census(found: Subgraphs, rules: Rules) -> Counter[tuple[str, str]]:
    """Return how many subgraphs of each kind have each class."""
    counts = Counter(
        (level, community_shape(numbers, evidence, rules)) for level, _, _, numbers, evidence in found.communities
    )
    census: Counter[tuple[str, str]] = Counter({(level, shape): n for (level, shape), n in counts.items()})
    for candidate, _, evidence in found.egos:
        census["ego", ego_shape(len(candidate.leaves), evidence, rules) or "mixed"] += 1
    return census
