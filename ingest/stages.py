"""What the commands `atlas ingest ...` do: a function for each stage, and which options it takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from atlas.artifacts import Artifact, Run

    Stage = tuple[Callable[..., Artifact], tuple[str, ...]]

logger = logging.getLogger("atlas")


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


def stage_clusters(run: Run, **given: Any) -> Artifact:
    """Return `40-clusters`."""
    from atlas.communities import cluster
    from atlas.ingest.progress import progress

    _require_index(run)
    return cluster(run, track=progress, **given)


def stage_peer(run: Run) -> Artifact:
    """Return `45-peer`, the clusters by the method of others."""
    from atlas.shapes.peer_stage import peer

    return peer(run)


def stage_structure(run: Run, *, grid: bool = True, **given: Any) -> Artifact:
    """Return `50-structure`."""
    from atlas.ingest.progress import progress
    from atlas.shapes import structure

    _require_index(run)
    return structure(run, track=progress, **(given if grid else given | {"grid_cuts": ()}))


def stage_contexts(run: Run, **given: Any) -> Artifact:
    """Return `51-contexts`."""
    from atlas.contexts import collect
    from atlas.ingest.progress import progress

    return collect(run, track=progress, **given)


def stage_rings(run: Run, *, seed: int = 0) -> Artifact:
    """Return `52-rings`."""
    from atlas.ingest.progress import progress
    from atlas.rings import rings

    _require_index(run)
    return rings(run, seed=seed, track=progress)


def stage_absorption(
    run: Run,
    *,
    min_cosine: float = 0.3,
    causal: bool = False,
    causal_tokens: int = 8,
    model: str | Path | None = None,
    sae: str | Path | None = None,
    sae_id: str | None = None,
    device: str = "auto",
    memory: int = 4 * 2**30,
    seed: int = 0,
) -> Artifact:
    """Return `53-absorption`."""
    from atlas.absorption import Limits, absorb
    from atlas.ingest.progress import progress

    _require_index(run)
    intervene = None
    if causal:
        from atlas.ingest.causal import intervening

        if model is None or sae is None:
            raise click.UsageError("--causal needs --model and --sae, as the activations were made with.")
        intervene = intervening(run, model=model, sae=sae, sae_id=sae_id, device=device)
    limits = Limits(min_cosine=min_cosine)
    return absorb(
        run, seed=seed, limits=limits, intervene=intervene, causal_tokens=causal_tokens, memory=memory, track=progress
    )


def stage_magnitude(run: Run, **given: Any) -> Artifact:
    """Return `54-magnitude`."""
    from atlas.ingest.progress import progress
    from atlas.magnitude import magnitude

    return magnitude(run, track=progress, **given)


def stage_replication(
    run: Run, *, memory: int = 4 * 2**30, threads: int | None = None, seed: int = 0
) -> Artifact:
    """Return `55-replication`."""
    from atlas.counting.passes import Settings
    from atlas.ingest.progress import progress
    from atlas.replication import replicate

    _require_index(run)
    return replicate(run, seed=seed, settings=Settings(memory, threads, "cpu"), track=progress)


def stage_behaviour(run: Run, *, seed: int = 0) -> Artifact:
    """Return `56-behaviour`."""
    from atlas.behaviour import behave
    from atlas.ingest.progress import progress

    _require_index(run)
    return behave(run, seed=seed, track=progress)


def stage_census(run: Run, *, seed: int = 0) -> Artifact:
    """Return `57-census`."""
    from atlas.census import census

    return census(run, seed=seed)


def stage_graph(
    run: Run, *, name: str | None = None, replace: bool = False, bulk: bool = False, aura_limits: bool = True
) -> Artifact:
    """Return `60-neo4j`, loaded into the server that the environment names, or the managed one."""
    name = name or run.path.resolve().name
    if bulk:
        from atlas.ingest.bulk import bulk_run

        if replace:
            raise click.UsageError("--bulk fills an empty database, in which --replace has nothing to replace.")
        return bulk_run(run, name=name)[1]
    from atlas.ingest.connection import open_driver, resolve_target
    from atlas.ingest.graph import load_run
    from atlas.ingest.graph_room import limits_of

    target = resolve_target()
    logger.info("graph: into %s", target)
    with open_driver(target) as driver:
        _, artifact = load_run(
            run,
            driver,
            name=name,
            target=str(target),
            database=target.database,
            replace=replace,
            limits=limits_of(target.uri) if aura_limits else None,
        )
    return artifact


_SOURCE = (
    "model", "sae", "sae_id", "corpus", "text_column", "split", "subset", "tokens", "context", "prepend_bos", "hook",
    "special_tokens",
    "norm_scaling_factor",
    "precision", "batch_size", "shard_tokens", "contexts", "entropy", "device", "expect_l0",
)  # fmt: skip
_TESTING = (
    "q", "min_joint", "min_lift", "min_firings", "max_density", "fdr", "excludes", "backbone", "phi_cut",
    "target_degree", "alpha", "top_k", "basis", "control", "seed", "memory", "threads", "device",
)  # fmt: skip
STAGES: tuple[Stage, ...] = (
    (stage_activations, _SOURCE),
    (stage_counts, ("rules", "sums", "prune", "threads", "device", "span", "memory")),
    (stage_edges, _TESTING),
    (stage_clusters, ("resolutions", "signed", "seed")),
    (stage_structure, ("grid", "grid_cuts", "seed")),
    (stage_contexts, ("strongest", "uniform", "edges_shown", "window", "seed")),
    (stage_rings, ("seed",)),
    (stage_absorption, ("min_cosine", "causal", "causal_tokens", "model", "sae", "sae_id", "device", "memory", "seed")),
    (stage_magnitude, ("intervals", "seed")),
    (stage_replication, ("memory", "threads", "seed")),
    (stage_behaviour, ("seed",)),
    (stage_census, ("seed",)),
    (stage_graph, ("name", "replace", "bulk", "aura_limits")),
)
"""Every stage in order, with the options that it takes."""
NAMES: tuple[str, ...] = tuple(stage.__name__.removeprefix("stage_") for stage, _ in STAGES)
"""The stages in order, by the names of their commands."""


def _require_index(run: Run) -> None:
    """Refuse a run that keeps a reservoir of contexts before a stage that reads every firing begins."""
    from atlas.firings import Firings

    Firings(run.artifact("10-activations").path).require_index()
