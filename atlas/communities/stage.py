"""The stage `40-clusters`: the backbone in, communities on three nested levels and parents of features out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.testing import Gates
from atlas.communities.bootstrap import persistence
from atlas.communities.directions import choose_features, decoder_agreement, decoder_tree
from atlas.communities.leiden import Labels, ends
from atlas.communities.levels import Level, find_level
from atlas.communities.processes import leiden_runs
from atlas.communities.profile import RULE, Point, choose_levels, resolution_profile
from atlas.communities.second import second_best
from atlas.counting.rules import STRONG
from atlas.counting.stage import COUNTS
from atlas.errors import InputError
from atlas.files import write_arrays, write_table
from atlas.firings import Firings
from atlas.hierarchy import Limits, Thresholds, require_rule, write_hierarchy
from atlas.mapped import map_arrays
from atlas.schema.fields import LEVELS
from atlas.tracking import Track, untracked

logger = logging.getLogger("atlas")

CLUSTERS = "40-clusters"
_ROWS = 2**17  # rows of the table of edges that are read at once
DECODER_TREE = "decoder_tree.safetensors"
"""Average linkage of decoder directions: the `features` that are its leaves, the two parts that each step `joined`
(numbered as scipy's `linkage` numbers them), and their cosine `distance`."""


def cluster(
    run: Run,
    *,
    resolutions: Sequence[float] | None = None,
    signed: bool = False,
    seed: int = 0,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of communities and of the hierarchy of features.

    Tables `clusters`, `membership` and `profile`, the decoder tree, and those of `write_hierarchy`.

    Features without a community of two or more have none. Stored beside the communities are how far
    seeds agree on each level (AMI) and on each member, how well each community comes back in a
    bootstrap over documents, each member's second-best community, and how far the levels agree with
    the tree of decoder directions.

    Parameters
    ----------
    resolutions
        gamma of the coarse, the middle and the fine level, ascending; by default the rule of
        `choose_levels` on the resolution profile.
    signed
        Whether `EXCLUDES` edges drive features apart, `with_exclusions`; without such edges the result is
        the unsigned one.
    seed
        Seed of Leiden, of the documents drawn and of the random directions.
    track
        Told of the resolutions done.

    Raises
    ------
    InputError
        Not three ascending positive resolutions, or the rule of the hierarchy was not counted.
    """
    check_resolutions(resolutions)
    parameters = {
        "resolutions": None if resolutions is None else list(resolutions),
        "signed": signed,
        "seed": seed,
        "hierarchy": {"rule": STRONG, **asdict(Limits()), **asdict(Thresholds())},
    }

    def compute(directory: Path) -> dict[str, Any]:
        results = _compute(run, directory, resolutions, signed, seed, track)
        gates = Gates.of(run.artifact("30-edges").parameters)
        return results | {"hierarchy": write_hierarchy(run, directory, gates=gates, track=track)}

    spec = Spec(CLUSTERS, parameters, ("10-activations", COUNTS, "30-edges"))
    return run.produce(spec, compute, check=lambda: require_rule(run, STRONG))


def check_resolutions(resolutions: Sequence[float] | None) -> None:
    """Raise `InputError` where some are given and they are not three ascending positive numbers."""
    if resolutions is None:
        return
    if len(resolutions) != 3 or not 0 < resolutions[0] < resolutions[1] < resolutions[2] < float("inf"):
        raise InputError(
            f"resolutions {tuple(resolutions)}, expected three ascending positive numbers",
            "write --resolution 0.005 0.02 0.05, or leave them to the rule",
        )


def backbone(run: Run) -> igraph.Graph:
    """Return the backbone as a graph: node attribute `index`, edge attribute `phi`.

    Its edges are those of kind `CO_OCCURS` that a rule kept. Nodes are the features with at least
    one edge, in order of index; edges in order of (a, b).
    """
    table = kept_edges(run, "CO_OCCURS", ("a", "b", "phi"))
    a, b = table["a"].to_numpy(), table["b"].to_numpy()
    return graph_of_edges(a, b, table["phi"].to_numpy())


def graph_of_edges(
    a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], phi: npt.NDArray[np.float64]
) -> igraph.Graph:
    """Return the graph of edges between features: node attribute `index`, ascending, edge attribute `phi`."""
    index = np.unique(np.concatenate([a, b]))
    return graph_of(index, np.searchsorted(index, a), np.searchsorted(index, b), phi)


def with_exclusions(run: Run, graph: igraph.Graph) -> igraph.Graph:
    """Return the backbone with the kept `EXCLUDES` edges between its features, as `add_exclusions` does."""
    table = kept_edges(run, "EXCLUDES", ("a", "b", "phi_d"))
    return add_exclusions(graph, *(table[name].to_numpy() for name in ("a", "b", "phi_d")))


def add_exclusions(
    graph: igraph.Graph, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], phi_d: npt.NDArray[np.float64]
) -> igraph.Graph:
    """Return a backbone with edges of weight -|phi_d| between those of its features that exclude each other.

    phi_d is the correlation within documents, which the test of exclusion is about; phi over all tokens
    may be above 0. Of features that never meet it is small where both are rare, so exclusions weigh
    little beside co-occurrence. Leaves that exclude each other are driven from their hub, too: shapes
    of stars are read without exclusions.

    Parameters
    ----------
    a, b, phi_d
        Feature indices and phi_d of each exclusion, shape (n,); those of other features are left out.
    """
    index = np.asarray(graph.vs["index"], np.int64)
    known = np.isin(a, index) & np.isin(b, index)
    a, b = (np.searchsorted(index, end[known]) for end in (a, b))
    phi = -np.abs(phi_d[known])
    first, second = ends(graph)
    weights = np.concatenate([np.asarray(graph.es["phi"] if graph.ecount() else [], np.float64), phi])
    return graph_of(index, np.concatenate([first, a]), np.concatenate([second, b]), weights)


def graph_of(
    index: npt.NDArray[np.integer],
    a: npt.NDArray[np.integer],
    b: npt.NDArray[np.integer],
    phi: npt.NDArray[Any],
) -> igraph.Graph:
    """Return a graph of features: `index` per node, `phi` per edge from node a to node b."""
    graph = igraph.Graph(len(index), np.column_stack([a, b]).tolist())
    graph.vs["index"] = np.asarray(index).tolist()
    graph.es["phi"] = np.asarray(phi, np.float64).tolist()
    return graph


def kept_edges(run: Run, kind: str, columns: Sequence[str]) -> pa.Table:
    """Return some columns of the edges of one kind that a rule kept, in order of (a, b).

    Most pairs of the table are on no backbone: they are read a piece at a time, and left out there.
    """
    path = run.artifact("30-edges").path / "edges.parquet"
    wanted = list(dict.fromkeys([*columns, "kind", "kept_by"]))
    with pq.ParquetFile(path, pre_buffer=False) as stored:
        schema = pa.schema([stored.schema_arrow.field(name) for name in columns])
        pieces = []
        for piece in stored.iter_batches(_ROWS, columns=wanted):
            kept = pc.and_(pc.is_valid(piece["kept_by"]), pc.equal(piece["kind"], pa.scalar(kind)))
            pieces.append(piece.select(list(columns)).filter(kept))
    return pa.Table.from_batches(pieces, schema)


def _compute(
    run: Run, directory: Path, resolutions: Sequence[float] | None, signed: bool, seed: int, track: Track
) -> dict[str, Any]:
    attracting = backbone(run)
    graph = with_exclusions(run, attracting) if signed else attracting
    n_exclusions = graph.ecount() - attracting.ecount()
    if signed and not n_exclusions:
        logger.warning("clusters: no EXCLUDES edge between features of the backbone: the result is the unsigned one")
    cut = float(run.artifact("30-edges").results["phi_cut"])
    rule = "given" if resolutions else RULE
    levels: dict[str, Level] = {}
    above = np.zeros(graph.vcount(), np.int64)
    with leiden_runs(graph) as runs:
        points = resolution_profile(graph, seed=seed, also=resolutions or (), runs=runs, track=track)
        if resolutions is None:
            resolutions = [point.resolution for point in choose_levels(points, cut=cut)]
        for name, resolution in zip(LEVELS, resolutions, strict=True):
            levels[name] = find_level(graph, above, resolution=resolution, seed=seed, runs=runs)
            above = levels[name].membership
    activations = run.artifact("10-activations").path
    pairs = [(level.resolution, level.membership) for level in levels.values()]
    lasting = persistence(Firings(activations), graph, pairs, cut=cut, seed=seed)
    write_table(directory, "profile", _profile_columns(points, resolutions))
    write_table(directory, "clusters", _cluster_columns(levels, lasting))
    write_table(directory, "membership", _member_columns(attracting, levels))
    return {
        "n_clusters": {name: int((np.bincount(one.membership) >= 2).sum()) for name, one in levels.items()},
        "n_nodes": graph.vcount(),
        "n_edges": attracting.ecount(),
        "n_exclusions": n_exclusions if signed else None,
        "resolutions": list(resolutions),
        "resolution_rule": rule,
        "level_stability": [level.stability for level in levels.values()],
        "level_quality": [level.quality for level in levels.values()],
        "giant": _giants(points, levels) or None,
        **_beside_decoder(directory, activations, graph, levels, seed),
    }


def _giants(points: Sequence[Point], levels: Mapping[str, Level]) -> dict[str, dict[str, Any]]:
    """Return, and warn of, levels on which one community holds most features, with the gamma that splits it."""
    found: dict[str, dict[str, Any]] = {}
    for name, level in levels.items():
        size, n = int(np.bincount(level.membership, minlength=1).max()), len(level.membership)
        if 2 * size <= n:
            continue
        finer = [point.resolution for point in points if point.resolution > level.resolution and not point.giant]
        found[name] = {"size": size, "suggested_resolution": finer[0] if finer else None}
        advice = f"a resolution of {finer[0]:g} splits it" if finer else "no resolution up to .5 splits it"
        logger.warning("clusters: one %s community holds %d of %d features; %s", name, size, n, advice)
    return found


def _beside_decoder(
    directory: Path, activations: Path, graph: igraph.Graph, levels: Mapping[str, Level], seed: int
) -> dict[str, Any]:
    """Write the tree of decoder directions, and return how far the levels agree with it."""
    nodes = choose_features(levels["coarse"].membership, seed=seed)
    index = np.asarray(graph.vs["index"], np.int64)[nodes]
    directions = np.asarray(map_arrays(activations / "decoder.safetensors")["W_dec"])[index]
    found = decoder_agreement(directions, [one.membership[nodes] for one in levels.values()], seed=seed)
    tree = decoder_tree(directions) if len(nodes) >= 2 else np.zeros((0, 4))
    joined, distance = tree[:, :2].astype(np.int64), tree[:, 2].astype(np.float32)
    write_arrays(directory / DECODER_TREE, {"features": index, "joined": joined, "distance": distance})
    return {
        "decoder_compared": len(nodes),
        "decoder_ami": [one.ami for one in found],
        "decoder_ami_null": [one.null_highest for one in found],
        "decoder_p": [one.p for one in found],
    }


def _profile_columns(points: Sequence[Point], resolutions: Sequence[float]) -> dict[str, Any]:
    level_of = dict(zip(map(float, resolutions), LEVELS, strict=True))
    names = ("resolution", "n_communities", "largest", "quality", "ami", "ami_below", "plateau")
    columns = {name: [getattr(point, name) for point in points] for name in names}
    return columns | {"level": [level_of.get(point.resolution) for point in points]}


def _cluster_columns(levels: Mapping[str, Level], lasting: list[npt.NDArray[np.float64]] | None) -> dict[str, Any]:
    """Return the columns of the table of communities of two or more, which are numbered first."""
    names = ("cluster", "level", "resolution", "size", "parent", "stability", "persistence")
    clusters: dict[str, list[Any]] = {name: [] for name in names}
    above: Labels | None = None
    for place, (name, level) in enumerate(levels.items()):
        sizes = np.bincount(level.membership)
        n = int((sizes >= 2).sum())
        first = np.full(len(sizes), -1, np.int64)
        first[level.membership[::-1]] = np.arange(len(level.membership))[::-1]
        clusters["cluster"] += range(n)
        clusters["level"] += [name] * n
        clusters["resolution"] += [float(level.resolution)] * n
        clusters["size"] += sizes[:n].tolist()
        clusters["parent"] += [None] * n if above is None else above[first[:n]].tolist()
        clusters["stability"] += (np.bincount(level.membership, level.node_stability)[:n] / sizes[:n]).tolist()
        clusters["persistence"] += [None] * n if lasting is None else lasting[place][:n].tolist()
        above = level.membership
    return clusters


def _member_columns(graph: igraph.Graph, levels: Mapping[str, Level]) -> dict[str, Any]:
    """Return the columns of the table of memberships, in order of index and level."""
    index = np.asarray(graph.vs["index"], np.int64)
    rows: list[tuple[Any, ...]] = []
    for name, level in levels.items():
        second, share = second_best(graph, level.membership)
        inside = np.bincount(level.membership, minlength=1)[level.membership] >= 2
        columns = (index, level.membership, level.node_stability, second, share)
        for feature, number, stability, other, weight in zip(*(x[inside].tolist() for x in columns), strict=True):
            rows.append((feature, name, number, stability, None if other < 0 else other, weight))
    rows.sort(key=lambda row: row[:2])
    names = ("index", "level", "cluster", "stability", "second_cluster", "second_share")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
