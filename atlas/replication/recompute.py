"""The claims of a run computed again on one half of its documents, as the run itself computed them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import igraph
import numpy as np
import numpy.typing as npt

from atlas.artifacts import Run
from atlas.association import EDGES
from atlas.association.backbone import Backbone
from atlas.association.basis import BASES, within_items
from atlas.association.sample import Sample
from atlas.association.table import phi_d_of, phi_of
from atlas.association.testing import CO_OCCURS, CO_TOPIC, EXCLUDES, KINDS, Gates, Pairs, Tested, test_pairs
from atlas.communities import CLUSTERS, find_level
from atlas.communities.processes import leiden_runs
from atlas.communities.stage import add_exclusions, graph_of_edges
from atlas.counting.passes import Settings, count_shards, rules_of, scheme_of
from atlas.counting.rules import rule_names
from atlas.counting.stage import COUNTS, write_counts
from atlas.firings import Firings
from atlas.hierarchy import Limits
from atlas.hierarchy.stage import find_relations
from atlas.tracking import Track

Keys = npt.NDArray[np.int64]
"""Pairs of features as a * d + b, ascending."""


@dataclass(frozen=True)
class Recipe:
    """How a run found its claims: the parameters of its artifacts, and the cuts that it chose itself.

    Attributes
    ----------
    gates, backbone, kinds : Gates, Backbone, tuple of str
        The test of edges; a backbone by phi has the cut of the run.
    exclusion_cut : float or None
        Largest phi_d of the exclusions that drive features apart; None where the run did not use them.
    rule, limits : str, Limits
        Firing rule and gates of the hierarchy.
    resolutions : tuple of float
        gamma of the three levels.
    span, prune, seed : int
        Longest stratum, what counts leave out, seed of Leiden.
    """

    gates: Gates
    backbone: Backbone
    kinds: tuple[str, ...]
    exclusion_cut: float | None
    rule: str
    limits: Limits
    resolutions: tuple[float, ...]
    span: int
    prune: int
    seed: int

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return the recipe of a run's finished artifacts."""
        counted, edges, clustering = (run.artifact(name) for name in (COUNTS, EDGES, CLUSTERS))
        given, hierarchy = edges.parameters, clustering.parameters["hierarchy"]
        cut = edges.results["phi_cut"] if given["backbone"] == "phi" else None
        limits = Limits(**{name: hierarchy[name] for name in asdict(Limits())})
        limits = replace(limits, min_joint=clustering.results["hierarchy"]["min_joint"])  # raised to what counts keep
        return cls(
            Gates.of(given),
            Backbone(given["backbone"], cut, given["target_degree"], given["alpha"], given["top_k"], given["basis"]),
            KINDS if given["excludes"] else (CO_OCCURS, CO_TOPIC),
            edges.results["kinds"][EXCLUDES]["cut"] if clustering.parameters["signed"] else None,
            hierarchy["rule"],
            limits,
            tuple(clustering.results["resolutions"]),
            counted.parameters["span"],
            counted.parameters["prune"],
            clustering.parameters["seed"],
        )


@dataclass(frozen=True)
class Found:
    """What one half claims.

    Attributes
    ----------
    firings : Firings
    labels : int32, shape (n_tokens,)
        Stratum of each token.
    alive : bool, shape (d,)
        Features that are tested in this half.
    significant : dict of kind to Keys
    parents, same : Keys
        Parent and child; two that are the same, the lower index first.
    graph : igraph.Graph
        The backbone; node attribute `index`, edge attribute `phi`.
    levels : int64, shape (3, d)
        Community of each feature on each level; -1 off the backbone.
    """

    firings: Firings
    labels: npt.NDArray[np.integer]
    alive: npt.NDArray[np.bool_]
    significant: dict[str, Keys]
    parents: Keys
    same: Keys
    graph: igraph.Graph
    levels: npt.NDArray[np.int64]

    @classmethod
    def nothing(cls, firings: Firings, recipe: Recipe) -> Self:
        """Return what is found where there is no half: no feature is alive."""
        d = firings.d_sae
        none = np.zeros(0, np.int64)
        labels = np.zeros(firings.n_tokens, np.int32)
        levels = np.full((len(recipe.resolutions), d), -1, np.int64)
        return cls(firings, labels, np.zeros(d, bool), {}, none, none, graph_of_edges(none, none, np.zeros(0)), levels)


def recompute(firings: Firings, place: Path, recipe: Recipe, *, settings: Settings, track: Track) -> Found:
    """Return what the firings of one half claim.

    Counts, medians, tests, backbone, communities and parents are those of the half alone. Taken over from the run
    are its parameters, the cut of its backbone and its resolutions: the claim is about them.

    Parameters
    ----------
    place
        Empty directory for the counts.
    """
    rules = rules_of(firings, rule_names([recipe.rule]), memory=settings.memory)
    counted = count_shards(
        firings, None, place / ".scratch", scheme=scheme_of(firings, rules), rules=rules, settings=settings,
        prune=recipe.prune, track=track,
    )  # fmt: skip
    write_counts(place, counted, firings, span=recipe.span, memory=settings.memory)
    sample = Sample.of(firings, place)
    tested = test_pairs(sample, gates=recipe.gates, kinds=recipe.kinds, settings=settings, track=track)
    pairs = {kind: some.at(some.q <= recipe.gates.q) for kind, some in tested.pairs.items()}
    graph = _backbone(sample, pairs[CO_OCCURS], recipe, n_alive=len(tested.alive))
    parents, same = find_relations(
        firings, place, recipe.rule, recipe.gates, recipe.limits, settings.memory, track
    )[:2]  # fmt: skip
    d = firings.d_sae
    alive = np.zeros(d, bool)
    alive[tested.alive] = True
    return Found(
        firings,
        sample.labels,
        alive,
        {kind: keys(some.a, some.b, d) for kind, some in pairs.items()},
        keys(parents.commoner, parents.rarer, d),
        keys(np.minimum(same.commoner, same.rarer), np.maximum(same.commoner, same.rarer), d),
        graph,
        _levels(_with_exclusions(graph, pairs[EXCLUDES], tested, recipe), recipe, d),
    )


def keys(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], d: int) -> Keys:
    """Return each pair as a * d + b, ascending."""
    return np.sort(a.astype(np.int64) * d + b)


def _backbone(sample: Sample, pairs: Pairs, recipe: Recipe, *, n_alive: int) -> igraph.Graph:
    phi = phi_of(sample.firings, pairs)
    edges = recipe.backbone.of(pairs.a, pairs.b, phi, n_alive=n_alive).edges
    if recipe.backbone.basis != "all":
        on = pairs.at(edges)
        items = within_items(sample.firings, on.a, on.b, on.joint_count, q=recipe.gates.q)
        edges[edges] = items.basis == BASES.index(recipe.backbone.basis)
    return graph_of_edges(pairs.a[edges], pairs.b[edges], phi[edges])


def _with_exclusions(graph: igraph.Graph, pairs: Pairs, tested: Tested, recipe: Recipe) -> igraph.Graph:
    """Return the backbone with the exclusions as strong as those of the run, where the run used them."""
    if recipe.exclusion_cut is None:
        return graph
    phi_d = phi_d_of(pairs, tested.spread)
    strong = phi_d <= recipe.exclusion_cut
    return add_exclusions(graph, pairs.a[strong], pairs.b[strong], phi_d[strong])


def _levels(graph: igraph.Graph, recipe: Recipe, d: int) -> npt.NDArray[np.int64]:
    """Return the community of each feature at the run's resolutions; -1 where it has no edge."""
    levels = np.full((len(recipe.resolutions), d), -1, np.int64)
    if not graph.vcount():
        return levels
    index = np.asarray(graph.vs["index"], np.int64)
    above = np.zeros(graph.vcount(), np.int64)
    with leiden_runs(graph) as runs:
        for row, resolution in enumerate(recipe.resolutions):
            above = find_level(graph, above, resolution=resolution, seed=recipe.seed, runs=runs).membership
            levels[row, index] = above
    return levels
