"""The commands `atlas ingest ...`: one for each stage, and all of them in a row."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas.ingest import options
from atlas.ingest.interrupt import checkpoint
from atlas.ingest.parts import Share, ShareType, count_one_share, merge_shares, show_part

if TYPE_CHECKING:
    from atlas.artifacts import Artifact, Run


logger = logging.getLogger("atlas")

NAMES = ("activations", "counts", "edges", "clusters", "structure", "graph")


@click.group()
def ingest() -> None:
    """Build an atlas, stage by stage or in one go.

    A stage reads finished artifacts of the run directory and writes one of its own. Stages that
    are done are skipped; changed ones, and all after them, are redone.
    """


@ingest.command()
@options.source
@options.run
@options.as_json
def activations(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Run text through a model and an SAE, and keep the firings."""
    with _open(run_directory) as run:
        options.show_artifact(stage_activations(run, **given), as_json=as_json)


@ingest.command()
@options.counting
@options.device
@options.memory
@click.option("--shards", "share", type=ShareType(), help="Count share I of N of the shards, for `merge`: 3/16.")
@click.option("--scheduler", help="Count on a Dask cluster: its address, or local:N for N processes here.")
@options.run
@options.as_json
def counts(run_directory: Path, as_json: bool, share: Share | None, **given: Any) -> None:
    """Count exactly which features fire together: here, in shares, or on a cluster."""
    if share is not None:
        show_part(count_one_share(run_directory, share, **given), as_json=as_json)
        return
    with _open(run_directory) as run:
        options.show_artifact(stage_counts(run, **given), as_json=as_json)


@ingest.command()
@options.finishing
@options.memory
@click.option("--remove-parts", is_flag=True, help="Remove the parts when they are merged.")
@options.run
@options.as_json
def merge(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Merge the shares that `counts --shards` counted: the same bytes as counted at once."""
    from atlas.ingest.progress import progress

    with _open(run_directory) as run:
        options.show_artifact(merge_shares(run, track=progress, **given), as_json=as_json)


@ingest.command()
@options.testing
@options.threads
@options.device
@options.memory
@options.seed
@options.run
@options.as_json
def edges(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Test every pair, and keep the edges that hold up."""
    with _open(run_directory) as run:
        options.show_artifact(stage_edges(run, **given), as_json=as_json)


@ingest.command()
@options.method
@options.communities
@options.seed
@options.run
@options.as_json
def clusters(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Find communities on three nested levels, and how sure they are."""
    with _open(run_directory) as run:
        options.show_artifact(stage_clusters(run, **given), as_json=as_json)


@ingest.command()
@options.shapes
@options.seed
@options.run
@options.as_json
def structure(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Gather the evidence for shapes: of communities, and of each feature's neighbours."""
    with _open(run_directory) as run:
        options.show_artifact(stage_structure(run, **given), as_json=as_json)


@ingest.command()
@options.naming
@options.run
@options.as_json
def graph(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Load the atlas into Neo4j, and let Cypher classify it."""
    with _open(run_directory) as run:
        options.show_artifact(stage_graph(run, **given), as_json=as_json)


@ingest.command("all")
@options.source
@options.counting
@options.testing
@options.communities
@options.shapes
@options.naming
@options.memory
@options.seed
@click.option(
    "--from", "first", type=click.Choice(NAMES), default=NAMES[0], show_default=True, help="First stage to do."
)
@click.option("--until", type=click.Choice(NAMES), default=NAMES[-1], show_default=True, help="Last stage to do.")
@options.run
@options.as_json
def all_stages(run_directory: Path, as_json: bool, first: str, until: str, **given: Any) -> None:
    """Every stage in a row, from text to the classified graph."""
    stages = STAGES[NAMES.index(first) : NAMES.index(until) + 1]
    if not stages:
        raise click.UsageError(f"--from {first} comes after --until {until}")
    _check_early(run_directory, NAMES[NAMES.index(first) : NAMES.index(until) + 1], given)
    with _open(run_directory) as run:
        for stage, names in stages:
            artifact = stage(run, **{name: given[name] for name in names})
            checkpoint()
        options.show_artifact(artifact, as_json=as_json)


def _check_early(run_directory: Path, names: tuple[str, ...], given: dict[str, Any]) -> None:
    """Refuse at once what a later stage would refuse after hours."""
    beyond = [name for name in names if name not in ("activations", "counts")]
    if "activations" in names and beyond and given["contexts"] != "all":
        from atlas.errors import InputError

        raise InputError(
            f"--contexts {given['contexts']} keeps a sample of each feature's firings, and {beyond[0]} needs every one",
            "end with --until counts, or give --contexts all",
        )
    if "counts" in names and "edges" in names:
        from atlas.association.stage import require_pairs

        require_pairs(given["prune"], given["min_joint"], excludes=given["excludes"])
    if "counts" in names and "clusters" in names:
        from atlas.hierarchy import check_rules

        check_rules(given["rules"])
    if "clusters" in names:
        from atlas.communities.stage import check_resolutions

        check_resolutions(given["resolutions"])
    if "graph" in names:
        from atlas.ingest.connection import resolve_target
        from atlas.ingest.graph import check_name

        check_name(given["name"] or run_directory.resolve().name)
        resolve_target()


def _require_index(run: Run) -> None:
    """Refuse a run that keeps a reservoir of contexts before a stage that reads every firing begins."""
    from atlas.firings import Firings

    Firings(run.artifact("10-activations").path).require_index()


def _open(run_directory: Path) -> Run:
    from atlas.artifacts import Run

    return Run(run_directory)


def stage_activations(
    run: Run,
    *,
    model: str | Path | None = None,
    sae: str | Path | None = None,
    corpus: Any = None,
    text_column: str = "text",
    split: str = "train",
    subset: str | None = None,
    **given: Any,
) -> Artifact:
    """Return `10-activations`."""
    from atlas.ingest.activations import activations
    from atlas.ingest.corpus import open_corpus

    if model is None or sae is None or corpus is None:
        missing = next(name for name, value in (("model", model), ("sae", sae), ("corpus", corpus)) if value is None)
        raise click.UsageError(f"Missing option '--{missing}'.")
    opened = open_corpus(corpus, text_column=text_column, split=split, subset=subset)
    return activations(run, model=model, sae=sae, corpus=opened, **given)


def stage_counts(
    run: Run,
    *,
    memory: int = 4 * 2**30,
    threads: int | None = None,
    device: str = "auto",
    scheduler: str | None = None,
    **given: Any,
) -> Artifact:
    """Return `20-counts`."""
    from atlas.counting.passes import Settings
    from atlas.counting.stage import count
    from atlas.ingest.progress import progress

    settings = Settings(memory, threads, "cpu" if device == "mps" else device)  # only models run on mps
    if scheduler is not None:
        from atlas.ingest.cluster import count_on

        return count_on(run, scheduler, settings=settings, track=progress, **given)
    return count(run, settings=settings, track=progress, **given)


def stage_edges(
    run: Run,
    *,
    q: float = 0.05,
    min_joint: int = 5,
    min_lift: float = 2.0,
    min_firings: int = 20,
    max_density: float = 0.1,
    fdr: str = "bh",
    memory: int = 4 * 2**30,
    threads: int | None = None,
    device: str = "auto",
    **given: Any,
) -> Artifact:
    """Return `30-edges`."""
    from atlas.association import associate
    from atlas.association.testing import Gates
    from atlas.counting.passes import Settings
    from atlas.ingest.progress import progress

    _require_index(run)
    gates = Gates(q, min_joint, min_lift, min_firings, max_density, fdr)
    settings = Settings(memory, threads, "cpu" if device == "mps" else device)  # only models run on mps
    return associate(run, gates=gates, settings=settings, track=progress, **given)


def stage_clusters(run: Run, *, method: str = "leiden", **given: Any) -> Artifact:
    """Return `40-clusters`, or `45-peer` by the method of others."""
    from atlas.communities import cluster
    from atlas.ingest.progress import progress

    if method == "clarke2024":
        from atlas.shapes.peer_stage import peer

        return peer(run)
    _require_index(run)
    return cluster(run, track=progress, **given)


def stage_structure(run: Run, *, grid: bool = True, **given: Any) -> Artifact:
    """Return `50-structure`."""
    from atlas.ingest.progress import progress
    from atlas.shapes import structure

    _require_index(run)
    return structure(run, track=progress, **(given if grid else given | {"grid_cuts": ()}))


def stage_graph(run: Run, *, name: str | None = None, replace: bool = False) -> Artifact:
    """Return `60-neo4j`, loaded into the server that the environment names, or the managed one."""
    from atlas.ingest.connection import open_driver, resolve_target
    from atlas.ingest.graph import load_run

    target = resolve_target()
    logger.info("graph: into %s", target)
    with open_driver(target) as driver:
        _, artifact = load_run(
            run,
            driver,
            name=name or run.path.resolve().name,
            target=str(target),
            database=target.database,
            replace=replace,
        )
    return artifact


_SOURCE = (
    "model", "sae", "sae_id", "corpus", "text_column", "split", "subset", "tokens", "context", "prepend_bos", "hook",
    "special_tokens",
    "norm_scaling_factor",
    "precision", "batch_size", "shard_tokens", "contexts", "device", "expect_l0",
)  # fmt: skip
_TESTING = (
    "q", "min_joint", "min_lift", "min_firings", "max_density", "fdr", "excludes", "backbone", "phi_cut",
    "target_degree", "alpha", "top_k", "basis", "control", "seed", "memory", "threads", "device",
)  # fmt: skip
STAGES = (
    (stage_activations, _SOURCE),
    (stage_counts, ("rules", "sums", "prune", "threads", "device", "span", "memory")),
    (stage_edges, _TESTING),
    (stage_clusters, ("resolutions", "signed", "seed")),
    (stage_structure, ("grid", "grid_cuts", "seed")),
    (stage_graph, ("name", "replace")),
)
"""Every stage in order, with the options that it takes."""
