"""The commands `atlas ingest ...`: one for each stage, and all of them in a row."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from atlas.ingest import options
from atlas.ingest.interrupt import checkpoint
from atlas.ingest.parts import Share, ShareType, count_one_share, merge_shares, show_part
from atlas.ingest.stages import (
    NAMES,
    STAGES,
    stage_absorption,
    stage_activations,
    stage_behaviour,
    stage_census,
    stage_clusters,
    stage_contexts,
    stage_counts,
    stage_edges,
    stage_graph,
    stage_magnitude,
    stage_peer,
    stage_replication,
    stage_rings,
    stage_structure,
)

if TYPE_CHECKING:
    from atlas.artifacts import Run
    from atlas.ingest.stages import Stage

logger = logging.getLogger("atlas")


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
def clusters(run_directory: Path, as_json: bool, method: str, **given: Any) -> None:
    """Find communities on three nested levels, and how sure they are."""
    if method != "leiden":
        _refuse_options(f"--method {method}", "resolutions", "signed", "seed")
    with _open(run_directory) as run:
        artifact = stage_clusters(run, **given) if method == "leiden" else stage_peer(run)
        options.show_artifact(artifact, as_json=as_json)


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
@options.evidence
@options.seed
@options.run
@options.as_json
def contexts(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Keep the text around firings: of each feature, and of the strongest edges of each community."""
    with _open(run_directory) as run:
        options.show_artifact(stage_contexts(run, **given), as_json=as_json)


@ingest.command()
@options.seed
@options.run
@options.as_json
def rings(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Look for rings: vocabulary items that a set of features holds on a circle."""
    with _open(run_directory) as run:
        artifact = stage_rings(run, **given)
        options.show_artifact(artifact, as_json=as_json)
        if not as_json:
            names = ("geometry", "points", "n_points", "size", "p", "q", "order")
            rows = [[row[name] for name in names] for row in artifact.table("manifolds").to_pylist()
                    if row["geometry"] != "undetermined"]  # fmt: skip
            options.show_rows(names, rows)


@ingest.command()
@options.absorbing
@click.option("--model", help="With --causal: the model, as for `activations`.")
@click.option("--sae", help="With --causal: the SAE, as for `activations`.")
@click.option("--sae-id", help="SAE within its release.")
@options.device
@options.memory
@options.seed
@options.run
@options.as_json
def absorption(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Find features that fire in another's place, and the words that lost their letter."""
    with _open(run_directory) as run:
        artifact = stage_absorption(run, **given)
        options.show_artifact(artifact, as_json=as_json)
        if not as_json:
            table = artifact.table("absorption_control")
            options.show_rows(table.column_names, [list(row.values()) for row in table.to_pylist()])


@ingest.command()
@options.intervals
@options.seed
@options.run
@options.as_json
def magnitude(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Tell features that are set from variable ones, and what their peaks go with."""
    with _open(run_directory) as run:
        options.show_artifact(stage_magnitude(run, **given), as_json=as_json)


@ingest.command()
@options.threads
@options.memory
@options.seed
@options.run
@options.as_json
def replication(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Find every claim again, or not, on two halves of the documents."""
    with _open(run_directory) as run:
        artifact = stage_replication(run, **given)
        options.show_artifact(artifact, as_json=as_json)
        if not as_json:
            table = artifact.table("replication")
            options.show_rows(table.column_names, [list(row.values()) for row in table.to_pylist()])


@ingest.command()
@options.seed
@options.run
@options.as_json
def behaviour(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Tell composition from ambiguity on documents that the shapes have not seen; logic and means."""
    with _open(run_directory) as run:
        artifact = stage_behaviour(run, **given)
        options.show_artifact(artifact, as_json=as_json)
        if not as_json:
            table = artifact.table("agreement")
            options.show_rows(table.column_names, [list(row.values()) for row in table.to_pylist()])


@ingest.command()
@options.seed
@options.run
@options.as_json
def census(run_directory: Path, as_json: bool, **given: Any) -> None:
    """Give each feature its sort, and count the sorts; `atlas census` shows them."""
    with _open(run_directory) as run:
        options.show_artifact(stage_census(run, **given), as_json=as_json)


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
@options.method_beside
@options.communities
@options.shapes
@options.evidence
@options.absorbing
@options.intervals
@click.option("--replication/--no-replication", default=True, show_default=True,
              help="Find every claim again on two halves of the documents, which behaviour needs.")  # fmt: skip
@options.naming
@options.memory
@options.seed
@click.option(
    "--from", "first", type=click.Choice(NAMES), default=NAMES[0], show_default=True, help="First stage to do."
)
@click.option("--until", type=click.Choice(NAMES), default=NAMES[-1], show_default=True, help="Last stage to do.")
@options.run
@options.as_json
def all_stages(
    run_directory: Path, as_json: bool, first: str, until: str, replication: bool, **given: Any
) -> None:
    """Every stage in a row, from text to the classified graph."""
    chosen = slice(NAMES.index(first), NAMES.index(until) + 1)
    left_out = () if replication else (stage_replication, stage_behaviour)
    stages = [stage for stage in STAGES[chosen] if stage[0] not in left_out]
    if not NAMES[chosen]:
        raise click.UsageError(f"--from {first} comes after --until {until}")
    if not replication and "behaviour" in NAMES[chosen]:
        logger.info("behaviour: left out, too: its verdicts are made on one half of the documents")
    if not stages:
        raise click.UsageError(f"--no-replication leaves nothing to do from {first} until {until}.")
    _check_early(run_directory, NAMES[chosen], given)
    with _open(run_directory) as run:
        if given["method"] != "leiden":
            _add_peer(run, stages)
        for stage, names in stages:
            artifact = stage(run, **{name: given[name] for name in names})
            checkpoint()
        options.show_artifact(artifact, as_json=as_json)


def _refuse_options(choice: str, *names: str) -> None:
    """Refuse those of the options that were given: the choice leaves them without a meaning."""
    context = click.get_current_context()
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{choice} does not read {', '.join(given)}: leave it out.")


def _add_peer(run: Run, stages: list[Stage]) -> None:
    """Add the stage of the peer's clusters after that of the communities; refuse counts that lack its rule."""
    from atlas.shapes.peer_stage import require_peer_rule

    done = [stage for stage, _ in stages]
    if stage_counts not in done:  # `_check_early` asks what is to be counted
        require_peer_rule(run)
    stages.insert(done.index(stage_clusters) + 1, (stage_peer, ()))


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
    if given["method"] != "leiden":
        if "clusters" not in names:
            raise click.UsageError(f"--method {given['method']} is of the stage clusters, which is not among them.")
        if "counts" in names:
            from atlas.shapes.peer_stage import check_peer_rule

            check_peer_rule(given["rules"])
    if "clusters" in names:
        from atlas.communities.stage import check_resolutions

        check_resolutions(given["resolutions"])
    if "graph" in names:
        from atlas.ingest.bulk import check_managed
        from atlas.ingest.connection import resolve_target
        from atlas.ingest.graph import check_name

        check_name(given["name"] or run_directory.resolve().name)
        if given["bulk"]:
            check_managed()
        else:
            resolve_target()


def _open(run_directory: Path) -> Run:
    from atlas.artifacts import Run

    return Run(run_directory)
