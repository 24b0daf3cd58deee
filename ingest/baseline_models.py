"""Models whose weights know nothing: the architecture's own initialisation, with or without the real embedding."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any, Literal

from atlas.errors import InputError
from atlas.files import no_room, write_json
from atlas.ingest import extras, hub
from atlas.ingest.models import display_name, model_identity

logger = logging.getLogger("atlas")

ModelControl = Literal["random-weights", "random-embedding-kept"]
MODEL_CONTROLS: tuple[ModelControl, ...] = ("random-weights", "random-embedding-kept")
_MARKER = ".control.json"


def random_model(name: str | Path, folder: Path, *, control: ModelControl, seed: int) -> Path:
    """Return the folder of a model whose weights are drawn anew; made on the first call.

    Every weight has the distribution that transformers gives it in this architecture before any training.
    What an SAE finds in such a model comes from the text and the architecture, not from what a model learnt.

    Parameters
    ----------
    name
        The trained model: a name on the hub, or a folder.
    folder
        Where the control goes, in a folder that is named by model and control and appears whole or not at all.
    control
        `random-weights`, or `random-embedding-kept`, where the token embedding and the unembedding stay the trained
        ones: which tokens are alike is then known, what a context does to them is not.
    seed
        Of torch's generator.

    Raises
    ------
    InputError, ServiceError
        There is no such model, its architecture is not known, or the hub does not give it.
    CapacityError
        The disk is full.
    """
    torch = extras.need("torch")
    transformers = extras.need("transformers")
    target = folder / f"{Path(display_name(name)).name}-{control}"
    wanted = {"model": model_identity(name), "control": control, "seed": seed}
    if _is_made(target, wanted):
        return target
    partial = target.with_name(f".{target.name}.partial")
    for old in (partial, target):
        shutil.rmtree(old, ignore_errors=True)
    logger.info("model: %s with weights drawn by seed %d (%s)", display_name(name), seed, control)
    try:
        with extras.quiet(stderr=True):
            config = transformers.AutoConfig.from_pretrained(str(name))
            torch.manual_seed(seed)
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            if control == "random-embedding-kept":
                trained = transformers.AutoModelForCausalLM.from_pretrained(str(name), dtype=torch.float32)
                _keep_embedding(model, trained)
            model.save_pretrained(partial)
            transformers.AutoTokenizer.from_pretrained(str(name)).save_pretrained(partial)
    except hub.hub_errors() as error:
        shutil.rmtree(partial, ignore_errors=True)
        if "No space left" in str(error):
            raise no_room(target) from error
        raise hub.explain(error, f"model {name}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    write_json(partial / _MARKER, wanted)
    partial.replace(target)
    return target


def _is_made(target: Path, wanted: dict[str, Any]) -> bool:
    try:
        return bool(json.loads((target / _MARKER).read_text("utf8")) == wanted)
    except (OSError, ValueError):
        return False


def _keep_embedding(model: Any, trained: Any) -> None:
    """Copy the token embedding and the unembedding of a trained model into another of its architecture."""
    model.get_input_embeddings().weight.data.copy_(trained.get_input_embeddings().weight.data)
    if trained.get_output_embeddings() is None:
        raise InputError("the model has no unembedding", "use the control random-weights")
    model.get_output_embeddings().weight.data.copy_(trained.get_output_embeddings().weight.data)
