"""Activations: a corpus run through a model and an SAE, kept as sparse firings by token and by feature."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from atlas.artifacts import Artifact, Run, Spec, difference, load_manifest
from atlas.errors import ArtifactError, InputError
from atlas.files import write_arrays, write_table
from atlas.firings import Firings, build_index, write_entropy
from atlas.indexing import reservoir_size
from atlas.ingest.corpus import Corpus, open_corpus
from atlas.ingest.interrupt import checkpoint, interruptible
from atlas.ingest.journal import Journal, journalled, other_configuration, remove_journal
from atlas.ingest.models import Model, Precision, load_model, model_identity
from atlas.ingest.progress import progress
from atlas.ingest.saes import load_sae, sae_identity
from atlas.ingest.shards import Encoder, write_shards
from atlas.ingest.windows import Plan, plan, read_stream

logger = logging.getLogger("atlas")

STAGE = "10-activations"
SHARD_TOKENS = 16384
BATCH_SIZE = 16


@dataclass(frozen=True)
class _Request:
    """What was asked for, before anything is loaded."""

    model: str | Path
    sae: str | Path
    sae_id: str | None
    corpus: Corpus
    tokens: int | None
    context: int | None
    prepend_bos: bool | None
    hook: str | None
    special_tokens: tuple[str | int, ...]
    norm_scaling_factor: float | None
    precision: Precision
    shard_tokens: int
    batch_size: int
    device: str
    expect_l0: bool
    resume_command: str | None
    reservoir: int | None
    entropy: bool

    def parameters(self) -> dict[str, Any]:
        """Return what decides the result; device, batch size and places on disk do not."""
        contexts = {} if self.reservoir is None else {"contexts": f"reservoir:{self.reservoir}"}
        entropy = {"entropy": True} if self.entropy else {}
        return {
            **contexts,
            **entropy,
            "model": model_identity(self.model),
            "sae": sae_identity(self.sae, self.sae_id),
            "corpus": self.corpus.identity,
            "tokens": self.tokens,
            "context": self.context,
            "prepend_bos": self.prepend_bos,
            "hook_name": self.hook,
            "special_tokens": sorted(map(str, self.special_tokens)),
            "norm_scaling_factor": self.norm_scaling_factor,
            "precision": self.precision,
            "shard_tokens": self.shard_tokens,
        }


@dataclass(frozen=True)
class _Loaded:
    """Model and SAE, with what was learnt from them."""

    encoder: Encoder
    special: tuple[int, ...]
    notes: tuple[str, ...]


def activations(
    run: Run,
    *,
    model: str | Path,
    sae: str | Path,
    corpus: str | Path | Corpus,
    sae_id: str | None = None,
    tokens: int | None = None,
    context: int | None = None,
    prepend_bos: bool | None = None,
    hook: str | None = None,
    special_tokens: Sequence[str | int] = (),
    norm_scaling_factor: float | None = None,
    precision: Precision = "float32",
    shard_tokens: int = SHARD_TOKENS,
    batch_size: int = BATCH_SIZE,
    contexts: str = "all",
    entropy: bool = False,
    device: str = "auto",
    expect_l0: bool = True,
    resume_command: str | None = None,
) -> Artifact:
    """Return the firings of an SAE's features on a corpus, as the artifact `10-activations`.

    A finished artifact is recognised without loading a model; an unfinished one goes on after its last
    whole shard, and gives the same bytes as a run that was never interrupted (on one device, with one
    batch size and number of threads).

    Parameters
    ----------
    run
        The run directory, held.
    model, sae, corpus
        As `load_model`, `load_sae` (with `sae_id` for a release) and `open_corpus` take them.
    tokens
        Kept tokens wanted; the whole corpus when not given.
    context, prepend_bos, hook
        What the SAE's metadata says unless given. A window has `context` tokens, BOS included.
    special_tokens
        Token ids or texts that are dropped beside BOS, EOS and PAD.
    shard_tokens
        Kept tokens of a shard: what an interruption may cost.
    batch_size
        Windows of one forward pass.
    contexts
        `all` keeps every firing by feature; `reservoir:K` a uniform sample of at most K a feature, for runs that end
        with the counts.
    entropy
        Whether to keep the entropy of the model's next token at each kept token, too: the model is then run to its
        end, and not up to the hook.
    expect_l0
        Whether to stop when firings a token are more than twice off the registry's (fault 8).
    resume_command
        What to tell a user who interrupts; the process's own command when not given.

    Raises
    ------
    InputError
        The directory holds, or was begun with, another configuration (fault 39), or an input is at fault.
    Interrupted
        A signal came; whole shards are kept (fault 41).
    CapacityError
        Disk or memory is too small (faults 24, 26); whole shards are kept.
    """
    if min(shard_tokens, batch_size, context or 2, tokens or 1) < 1 or context == 1:
        raise InputError("tokens, shard tokens and batch size must be at least 1, context 2", "give larger numbers")
    source = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    request = _Request(
        model, sae, sae_id, source, tokens, context, prepend_bos, hook, tuple(special_tokens),
        norm_scaling_factor,
        precision, shard_tokens, batch_size, device, expect_l0, resume_command, reservoir_size(contexts),
        entropy,
    )  # fmt: skip
    spec = Spec(STAGE, request.parameters())
    _prepare(run, spec)
    artifact = run.produce(spec, partial(_compute, request, _journalled(spec)), resume=True)
    remove_journal(artifact.path)
    return artifact


def _prepare(run: Run, spec: Spec) -> None:
    """Refuse a finished artifact of another configuration; keep the good shards of a damaged one."""
    directory = run.path / spec.name
    found = load_manifest(directory)
    if found is None:
        return
    changes = difference(journalled(found.parameters, found.format_version), _journalled(spec))
    if changes:
        raise other_configuration(directory, "is finished", changes)
    if run.finished(spec) is None:
        Journal.of_finished(found)
        (directory / "manifest.json").unlink()


def _journalled(spec: Spec) -> dict[str, Any]:
    return journalled(spec.parameters, spec.format_version)


def _compute(request: _Request, parameters: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    with interruptible(request.resume_command) as interruption:
        journal = Journal.open(directory, parameters)
        loaded = _load(request)
        planned = _plan(request, loaded)
        checkpoint()  # a library may have swallowed the exception that a signal raised
        sae = loaded.encoder.sae
        reservoir, n_shards = request.reservoir, planned.n_shards
        write_shards(loaded.encoder, planned, journal, interruption, expect_l0=request.expect_l0, reservoir=reservoir)
        build_index(directory, n_shards=n_shards, d_sae=sae.d_sae, reservoir=reservoir, track=progress)
        if request.entropy:
            write_entropy(directory)
        for name, arrays in sae.directions().items():
            write_arrays(directory / f"{name}.safetensors", arrays)
        _write_tables(directory, loaded, planned)
        results = _results(request, loaded, planned, Firings(directory))
        journal.close()
    return results


def _load(request: _Request) -> _Loaded:
    """Load SAE and model, and settle hook, context and special tokens before any work starts."""
    sae = load_sae(request.sae, sae_id=request.sae_id, norm_scaling_factor=request.norm_scaling_factor)
    hook = str(sae.fact("hook_name", request.hook, "--hook"))
    context = int(sae.fact("context_size", request.context, "--context"))
    prepend = bool(sae.fact("prepend_bos", request.prepend_bos, "--prepend-bos or --no-prepend-bos"))
    model = load_model(
        request.model,
        device=request.device,
        precision=request.precision,
        kwargs=sae.metadata.get("model_from_pretrained_kwargs"),
    )
    hook = model.resolve_hook(hook)
    if model.context_limit is not None and context > model.context_limit:
        raise InputError(
            f"context of {context} tokens, model {model.name} knows {model.context_limit}",
            "give a smaller --context",
        )
    sae.check_width(model.activations_at(hook, [[0, 0]]).shape[2], hook)
    if request.entropy:
        model.check_entropies()
    bos, notes = _bos(model, prepend)
    sae.module.to(model.device)
    sae = replace(sae, scale=sae.scale.to(model.device))
    trained_on = sae.metadata.get("model_name")
    if trained_on and str(trained_on).split("/")[-1].lower() != model.name.split("/")[-1].lower():
        notes = (*notes, f"the SAE was trained on {trained_on}, the model is {model.name}")
    encoder = Encoder(model, sae, hook, context, bos, request.batch_size, request.entropy)
    return _Loaded(encoder, _special(request, model), (*sae.notes, *notes))


def _bos(model: Model, prepend: bool) -> tuple[int | None, tuple[str, ...]]:
    if not prepend:
        return None, ()
    if model.tokenizer.bos_token_id is not None:
        return int(model.tokenizer.bos_token_id), ()
    if model.tokenizer.eos_token_id is not None:  # what transformer_lens does, and so what SAEs were trained with
        return int(model.tokenizer.eos_token_id), ("the tokenizer has no BOS; EOS stands in its place",)
    raise InputError(f"model {model.name}: its tokenizer has neither BOS nor EOS", "give --no-prepend-bos")


def _special(request: _Request, model: Model) -> tuple[int, ...]:
    """Return the ids that are dropped: BOS, EOS, PAD and those that the user names."""
    tokenizer = model.tokenizer
    found = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    known = tokenizer.get_vocab()
    for named in request.special_tokens:
        number = int(named) if str(named).isdecimal() and str(named) not in known else known.get(str(named))
        if number is None or number >= model.n_vocabulary:
            raise InputError(f"special token {named!r} is not in the vocabulary", "give a token's text or its id")
        found.add(number)
    return tuple(sorted(int(number) for number in found))


def _plan(request: _Request, loaded: _Loaded) -> Plan:
    model, bos = loaded.encoder.model, loaded.encoder.bos
    stream = read_stream(request.corpus, model.tokenizer, special=loaded.special, bos=bos, tokens=request.tokens)
    largest = int(stream.token_id.max())
    if largest >= model.n_vocabulary:
        raise InputError(
            f"token id {largest}, the model's embedding has {model.n_vocabulary} rows",
            "give the tokenizer that belongs to the model",
        )
    return plan(stream, window=loaded.encoder.context - (bos is not None), shard_tokens=request.shard_tokens)


def _write_tables(directory: Path, loaded: _Loaded, planned: Plan) -> None:
    stream = planned.stream
    write_table(
        directory,
        "documents",
        {
            "document": np.arange(len(stream.names)),
            "name": list(stream.names),
            "source": list(stream.sources),
            "n_tokens": stream.kept_per_document,
        },
    )
    items, counts = np.unique(stream.token_id[stream.kept], return_counts=True)
    texts = item_texts(loaded.encoder.model.tokenizer, items.tolist())
    write_table(directory, "vocabulary", {"token_id": items, "text": texts, "n_tokens": counts})
    pieces = item_pieces(loaded.encoder.model.tokenizer, items.tolist(), texts)
    write_table(directory, "pieces", {"token_id": list(pieces), "bytes": [each.hex() for each in pieces.values()]})


def item_texts(tokenizer: Any, items: Sequence[int]) -> list[str]:
    """Return each vocabulary item decoded alone; bytes that are no UTF-8 read as U+FFFD.

    A leading space that decoding alone takes away (SentencePiece's mark) is put back.
    """
    texts = tokenizer.batch_decode([[item] for item in items], skip_special_tokens=False)
    marks = tokenizer.convert_ids_to_tokens(list(items))
    return [
        f" {text}" if str(mark).startswith("\u2581") and not text.startswith(" ") else text
        for text, mark in zip(texts, marks, strict=True)
    ]


def item_pieces(tokenizer: Any, items: Sequence[int], texts: Sequence[str]) -> dict[int, bytes]:
    """Return the bytes of those items that are no whole characters, as far as the vocabulary's marks say them.

    Byte-level vocabularies write each byte as a character (GPT-2's table), SentencePiece as `<0xE2>`. What a mark says
    is taken only where it decodes to the item's text.
    """
    broken = [place for place, text in enumerate(texts) if "\ufffd" in text]
    marks = tokenizer.convert_ids_to_tokens([items[place] for place in broken])
    found = {}
    for place, mark in zip(broken, map(str, marks), strict=True):
        named = re.fullmatch(r"<0x([0-9A-F]{2})>", mark)
        if named is None and not all(sign in _BYTES for sign in mark):
            continue
        piece = bytes.fromhex(named[1]) if named else bytes(_BYTES[sign] for sign in mark)
        if piece.decode("utf8", "replace") == texts[place]:
            found[items[place]] = piece
    return found


def _byte_signs() -> dict[str, int]:
    """Return the byte that each character of a byte-level vocabulary stands for: its own, or the next free one."""
    printable = [byte for byte in range(256) if chr(byte).isprintable() and not chr(byte).isspace() and byte != 0xAD]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_signs()


def _results(request: _Request, loaded: _Loaded, planned: Plan, firings: Firings) -> dict[str, Any]:
    stream, encoder, sae = planned.stream, loaded.encoder, loaded.encoder.sae
    n_firings = int(firings.firing_count.sum())
    if firings.n_tokens != stream.n_kept:
        raise ArtifactError(
            f"{STAGE}: {firings.n_tokens} tokens in the shards, {stream.n_kept} planned",
            "this is a fault of the program: please report it",
        )
    notes = list(loaded.notes)
    if stream.n_empty:
        notes.append(f"{stream.n_empty} documents without text were left out")
    for note in notes:
        logger.info("%s: note: %s", STAGE, note)
    entropy = firings.entropy
    return {
        "model": encoder.model.name,
        "model_revision": encoder.model.revision,
        "release": sae.release,
        "sae_id": sae.sae_id,
        "architecture": sae.architecture,
        "hook_name": encoder.hook_name,
        "d_sae": sae.d_sae,
        "d_in": sae.d_in,
        "context_size": encoder.context,
        "prepend_bos": encoder.bos is not None,
        "special_tokens": list(loaded.special),
        "corpus": request.corpus.name,
        "n_tokens": stream.n_kept,
        "n_documents": len(stream.names),
        "n_empty_documents": stream.n_empty,
        "n_special_dropped": len(stream.token_id) - stream.n_kept + planned.n_windows * (encoder.bos is not None),
        "n_firings": n_firings,
        "n_shards": planned.n_shards,
        "firing_rule": "any",
        "mean_l0": n_firings / stream.n_kept,
        **({} if entropy is None else {"mean_entropy": float(entropy.mean(dtype=np.float64))}),
        "neuronpedia_id": sae.metadata.get("neuronpedia_id"),
        "notes": notes,
    }
