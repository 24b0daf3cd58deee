"""The commands `atlas baseline` and `atlas compare`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas.ingest import options

if TYPE_CHECKING:
    from atlas.ingest.baselines import Training

KINDS = ("shuffled", "seed", "random-weights", "random-embedding-kept", "frozen-decoder")
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@options.run
@click.option("--out", "control_directory", type=_DIRECTORY, required=True, help="Run directory of the control.")
@click.option("--model", help="The run's model.  [default: the run's, where it is a name]")
@click.option("--corpus", help="The run's text.  [default: the run's, where it is a data set's name]")
@click.option("--train-corpus", help="Text that the control SAE is trained on.  [default: the run's]")
@click.option("--train-tokens", type=click.IntRange(min=1), help="Tokens of that text.  [default: all]")
@click.option("--text-column", default="text", show_default=True, help="Column of the text.")
@click.option("--split", default="train", show_default=True, help="Split of a data set.")
@click.option("--subset", help="Configuration of a data set.")
@click.option("--k", type=options.Number(min=1), help="Features that fire on a token.  [default: as in the run]")
@click.option("--epochs", type=click.IntRange(min=1), default=4, show_default=True, help="Times each token is seen.")
@click.option("--trained", type=_DIRECTORY, help="SAE of this control that is trained already.")
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Windows a forward pass.")
@options.device
@options.threads
@options.memory
@options.seed
@options.as_json
def baseline(
    kind: str,
    run_directory: Path,
    control_directory: Path,
    as_json: bool,
    seed: int,
    threads: int | None,
    memory: int,
    **given: Any,
) -> None:
    """Build the atlas of a control: what the same stages find where there is nothing to be found.

    shuffled: each feature's firings permuted within documents. seed: another SAE like the run's, trained with other
    random numbers. random-weights: the run's model with weights drawn anew; random-embedding-kept: but for its
    embedding and unembedding. frozen-decoder: the decoder stays as it is drawn. All but the first train an SAE: as
    wide, and with as many features on a token, as the run's.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # the trainer's own bar; ours is shown
    from atlas.artifacts import Run
    from atlas.ingest import baselines

    _require_runs(run_directory)
    with Run(run_directory) as run, Run(control_directory) as control:
        training = None if kind == "shuffled" else _training(run, given)
        work = {"threads": threads, "memory": memory, "device": given["device"]}
        made = baselines.baseline(kind, run, control, seed=seed, training=training, **work)
        options.show_artifact(made[-1], as_json=as_json)


def _training(run: Any, given: dict[str, Any]) -> Training:
    """Return what a control SAE is trained on; what the run's manifest names need not be given."""
    from atlas.counting.stage import ACTIVATIONS
    from atlas.ingest.baselines import Training
    from atlas.ingest.corpus import open_corpus

    known = run.artifact(ACTIVATIONS).parameters
    model, corpus = known["model"], known["corpus"]
    if given["model"] is None and model["digest"] is not None:
        raise click.UsageError(f"Missing option '--model': the run's model is the folder {model['name']}.")
    if given["corpus"] is None and "sha256" in corpus:
        raise click.UsageError(f"Missing option '--corpus': the run's text is the file {corpus['name']}.")
    named = {key: corpus[key] for key in ("text_column", "split", "subset") if key in corpus}
    text = {key: given[key] for key in ("text_column", "split", "subset")}
    return Training(
        given["model"] or model["name"],
        open_corpus(given["corpus"] or corpus["name"], **(text | named)),
        None if given["train_corpus"] is None else open_corpus(given["train_corpus"], **text),
        given["train_tokens"],
        given["k"],
        given["epochs"],
        given["trained"],
        given["device"],
        given["batch_size"],
    )


@click.command()
@click.argument("run_directory", metavar="RUN", type=_DIRECTORY)
@click.argument("other_directory", metavar="OTHER", type=_DIRECTORY)
@click.option("--name", help="Name of the other.  [default: its directory's]")
@options.seed
@options.as_json
def compare(run_directory: Path, other_directory: Path, name: str | None, seed: int, as_json: bool) -> None:
    """Hold a run against another, such as a control or a second seed.

    Matches features one to one, finds structures again among the matched, and sets rates per 1,000 alive features
    side by side, each beside what chance gives. Written to RUN as 70-comparison-NAME.
    """
    from atlas.artifacts import Run
    from atlas.comparison import compare as compare_runs
    from atlas.ingest.progress import progress

    _require_runs(run_directory, other_directory)
    with Run(run_directory) as run, Run(other_directory) as other:
        artifact = compare_runs(run, other, name=name, seed=seed, track=progress)
        table = artifact.table("comparison")
        if as_json:
            figures = {"artifact": str(artifact.path), "digest": artifact.digest, **artifact.results}
            click.echo(json.dumps(figures | {"comparison": table.to_pylist()}, ensure_ascii=False))
            return
        options.show_artifact(artifact, as_json=False)
        shown = ["structure", "of", "count", "other_count", "ratio", "low", "high", "matched", "survives",
                 "survives_by_chance"]  # fmt: skip
        options.show_rows(shown, [[_rounded(row[name]) for name in shown] for row in table.to_pylist()])


def _require_runs(*directories: Path) -> None:
    """Refuse a folder that is not there: a run would be begun in it."""
    from atlas.errors import InputError

    if len({directory.resolve() for directory in directories}) < len(directories):
        raise InputError(f"{directories[0]}: a run beside itself says nothing", "name another run, such as a control")
    for directory in directories:
        if not directory.is_dir():
            raise InputError(f"run directory {directory}: there is no such folder", "name one that a run has filled")


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
