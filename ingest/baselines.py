"""Controls of a run: the same stages on firings, a model or an SAE that has lost what is claimed of the real one."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atlas.artifacts import MANIFEST, Artifact, Run, Spec, difference, load_manifest
from atlas.association.control import permute_within_strata
from atlas.comparison.reading import NOTHING
from atlas.comparison.stage import RECORD
from atlas.counting.stage import ACTIVATIONS
from atlas.errors import InputError, NothingFound
from atlas.files import write_json
from atlas.firings import Firings
from atlas.ingest import stages
from atlas.ingest.activations import activations
from atlas.ingest.baseline_harvest import Reader, harvest
from atlas.ingest.baseline_models import MODEL_CONTROLS, random_model
from atlas.ingest.baseline_training import Recipe, explained_variance, save, train
from atlas.ingest.corpus import Corpus
from atlas.ingest.interrupt import checkpoint, interruptible
from atlas.ingest.models import display_name, load_model, model_identity
from atlas.ingest.saes import check_folder

logger = logging.getLogger("atlas")

CONTROLS = ("shuffled", "seed", *MODEL_CONTROLS, "frozen-decoder")


@dataclass(frozen=True)
class Training:
    """What a control SAE is trained on, and how.

    Attributes
    ----------
    model
        The run's own model: a name on the hub, or a folder.
    corpus
        The run's own text.
    train_corpus, train_tokens
        Text that the SAE is trained on, and how many kept tokens of it; the run's own, and all, where None.
    k
        Features that fire on a token; as many as in the run where None.
    epochs
        Times that every token is seen.
    trained
        Folder of an SAE of this control that is trained already; then nothing is trained.
    device, batch_size
        As of `activations`.
    """

    model: str | Path
    corpus: Corpus
    train_corpus: Corpus | None = None
    train_tokens: int | None = None
    k: float | None = None
    epochs: int = 4
    trained: Path | None = None
    device: str = "auto"
    batch_size: int = 16


def baseline(
    kind: str,
    run: Run,
    control: Run,
    *,
    seed: int = 0,
    training: Training | None = None,
    **work: Any,
) -> list[Artifact]:
    """Return the artifacts of a control, made by the stages and with the parameters of a run.

    `shuffled` permutes each feature's firings within documents. `random-weights` and `random-embedding-kept` draw the
    model's weights anew and train an SAE on that model; `frozen-decoder` trains one whose decoder directions stay as
    they were drawn, and `seed` one like the run's own with other random numbers. Each stage that the run has finished
    is done; stages that choose a cut or a level by a rule choose their own.

    Parameters
    ----------
    run, control
        The run and the directory of its control, both held.
    seed
        Of the permutation, the model's weights, the SAE's weights and the order of its tokens.
    training
        Needed by every kind but `shuffled`.
    work
        Memory, threads and device of the stages, which do not change the result.

    Raises
    ------
    InputError
        The directory was begun as another control, or the model or text is not the run's (fault 39).
    """
    if run.path.resolve() == control.path.resolve():
        raise InputError(f"{run.path}: a control of a run needs a directory of its own", "name another with --out")
    source = run.artifact(ACTIVATIONS)
    if kind == "shuffled":
        _begin(control, {"kind": kind, "seed": seed})
        made = [_shuffled(source, control, seed)]
    elif training is None:
        raise InputError(f"control {kind}: an SAE is trained for it", "give --model and --corpus of the run")
    else:
        made = [_trained(kind, source, control, seed, training)]
    return made + again(run, control, **work)


def again(run: Run, control: Run, **work: Any) -> list[Artifact]:
    """Return what the stages after the activations make of a control, each with the run's own parameters.

    A stage that the run has not finished, and loading into the database, are left out. A control in which no pair is
    significant ends there: that is its result, and a comparison reads it as none of anything.
    """
    made = []
    for stage, names in stages.STAGES[1:-1]:
        checkpoint()
        name = stage.__name__.removeprefix("stage_")
        found = next((path.parent for path in run.path.glob(f"[0-9][0-9]-{name}/{MANIFEST}")), None)
        manifest = None if found is None else load_manifest(found)
        if manifest is None:
            logger.info("%s: not done, since the run has none", name)
            continue
        given = {key: manifest.parameters[key] for key in names if key in manifest.parameters}
        try:
            made.append(stage(control, **given, **{key: value for key, value in work.items() if key in names}))
        except NothingFound as error:
            logger.info("%s: %s; so there is nothing after it", name, error.cause)
            write_json(control.path / NOTHING, {"stage": name, "cause": error.cause})
            break
    return made


def _begin(control: Run, wanted: Mapping[str, Any]) -> None:
    """Record what the directory is a control of; refuse one that was begun as another (fault 39)."""
    path = control.path / RECORD
    try:
        found = json.loads(path.read_text("utf8"))
    except FileNotFoundError:
        if (control.path / ACTIVATIONS / MANIFEST).exists():
            raise InputError(f"{control.path}: a run that is no control", "name another folder with --out") from None
        write_json(path, dict(wanted))
        return
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})", f"remove {control.path}, and begin again") from error
    changes = difference(found, wanted)
    if changes:
        raise InputError(
            f"{control.path} was begun as another control: {'; '.join(changes)}", "name another folder with --out"
        )


def _shuffled(source: Artifact, control: Run, seed: int) -> Artifact:
    """Return `10-activations` with each feature's firings permuted within documents, activations with them."""
    firings = Firings(source.path)
    firings.require_index()

    def compute(directory: Path) -> dict[str, Any]:
        document = np.asarray(firings.document)
        permute_within_strata(firings, document, directory, seed=seed, keep_activations=True)
        for name in source.files:
            if not name.startswith("shards/") and not (directory / name).exists():
                shutil.copyfile(source.path / name, directory / name)
        note = "a control: each feature's firings are permuted within documents"
        return source.results | {"notes": [*source.results["notes"], note]}

    record = {"kind": "shuffled", "seed": seed, "of": source.digest}
    return control.produce(Spec(ACTIVATIONS, source.parameters | {"control": record}), compute)


def _trained(kind: str, source: Artifact, control: Run, seed: int, training: Training) -> Artifact:
    """Return `10-activations` of a control SAE on the run's own text."""
    given, facts = source.parameters, source.results
    _require_same(training, given)
    settings = _recipe(kind, source, seed, training)
    text = training.train_corpus or training.corpus
    _begin(control, {
        "kind": kind, "seed": seed, "recipe": settings.settings(), "text": text.identity,
        "train_tokens": training.train_tokens,
    })  # fmt: skip
    place = control.path / "control"
    model: str | Path = training.model
    if kind in MODEL_CONTROLS:
        model = random_model(training.model, place, control=kind, seed=seed)
    sae = place / f"{facts['sae_id'].replace('/', '-')}-{kind}"
    if not sae.exists():
        _make_sae(sae, model, source, settings, training)
    if text.identity == training.corpus.identity:
        logger.warning("%s: the SAE was trained on the text of the atlas itself", kind)
    return activations(
        control,
        model=model,
        sae=sae,
        corpus=training.corpus,
        tokens=given["tokens"],
        context=facts["context_size"],
        prepend_bos=facts["prepend_bos"],
        hook=facts["hook_name"],
        special_tokens=given["special_tokens"],
        precision=given["precision"],
        shard_tokens=given["shard_tokens"],
        entropy=given.get("entropy", False),
        batch_size=training.batch_size,
        device=training.device,
    )


def _require_same(training: Training, given: Mapping[str, Any]) -> None:
    """Refuse another model or text than the run's: the comparison would be about that."""
    for what, mine, theirs in (
        ("model", model_identity(training.model), given["model"]),
        ("corpus", training.corpus.identity, given["corpus"]),
    ):
        changes = difference(theirs, mine)
        if changes:
            raise InputError(f"the {what} is not that of the run: {'; '.join(changes)}", f"give the run's own --{what}")


def _recipe(kind: str, source: Artifact, seed: int, training: Training) -> Recipe:
    """Return the recipe of a control: as wide as the run's SAE, with as many features on a token.

    TopK is trained as TopK, everything else as batch TopK: what weight of a sparsity penalty gave an SAE its firings
    a token is not known from its files, but how many they are is.
    """
    facts = source.results
    text = training.train_corpus or training.corpus
    topk = facts["architecture"] == "topk"
    mean = facts["mean_l0"] if training.k is None else training.k
    return Recipe(
        facts["d_sae"],
        max(1, round(mean)) if topk else mean,
        architecture="topk" if topk else "batchtopk",
        epochs=training.epochs,
        frozen_decoder=kind == "frozen-decoder",
        seed=seed,
        metadata={
            "model_name": display_name(training.model),
            "hook_name": facts["hook_name"],
            "context_size": facts["context_size"],
            "prepend_bos": facts["prepend_bos"],
            "dataset_path": text.name,
            "training_epochs": training.epochs,
            "seed": seed,
            "control": kind,
        },
    )


def _make_sae(folder: Path, model: str | Path, source: Artifact, settings: Recipe, training: Training) -> None:
    """Copy the SAE that is trained already, or harvest and train; the folder appears whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if training.trained is not None:
        check_folder(training.trained)
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(training.trained, partial)
        partial.replace(folder)
        return
    facts = source.results
    loaded = load_model(model, device=training.device, precision=source.parameters["precision"])
    tokenizer = loaded.tokenizer
    bos = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    reader = Reader(
        loaded,
        loaded.resolve_hook(facts["hook_name"]),
        facts["context_size"],
        bos if facts["prepend_bos"] else None,
        tuple(facts["special_tokens"]),
        training.batch_size,
    )
    text = training.train_corpus or training.corpus
    kept = folder.parent / "activations"
    found = harvest(reader, text, kept, identity=model_identity(model), tokens=training.train_tokens)
    with interruptible():
        sae = train(found, settings, device=loaded.device)
    logger.info("training: explained variance %.3f on its own text", explained_variance(sae, found))
    save(sae, folder)
    shutil.rmtree(kept)
