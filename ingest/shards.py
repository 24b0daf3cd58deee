"""Shards: the planned windows run through model and SAE, each shard kept when it is whole."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from atlas.errors import CapacityError, InputError
from atlas.firings import Shard, shard_path, write_shard
from atlas.ingest.interrupt import Interruption
from atlas.ingest.journal import Journal
from atlas.ingest.models import Model
from atlas.ingest.progress import progress
from atlas.ingest.saes import Sae
from atlas.ingest.windows import Plan

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("atlas")

_SHARD_HEADER = 464  # bytes before a shard's arrays
L0_TOKENS = 50_000  # after so many the measured L0 is compared with the registry's


@dataclass(frozen=True)
class Encoder:
    """A model and an SAE, joined at a hook.

    Attributes
    ----------
    hook_name
        Where the SAE reads the model.
    context
        Tokens of a window, BOS included.
    bos
        Token prepended to each window, or None.
    batch_size
        Windows of one forward pass.
    entropy
        Whether the model is run to its end for the entropy of the next token, too.
    """

    model: Model
    sae: Sae
    hook_name: str
    context: int
    bos: int | None
    batch_size: int
    entropy: bool = False

    @property
    def lead(self) -> list[int]:
        """What each window begins with, before the document's tokens."""
        return [] if self.bos is None else [self.bos]


def write_shards(
    encoder: Encoder,
    planned: Plan,
    journal: Journal,
    interruption: Interruption,
    *,
    expect_l0: bool = True,
    reservoir: int | None = None,
) -> None:
    """Write the shards that are not done, recording each; a signal ends this after the one in flight.

    Parameters
    ----------
    reservoir
        Contexts that will be kept of each feature, or None for all: they count into the room that is needed.

    Raises
    ------
    InputError
        The finished shards were made from other tokens (fault 39), an activation is NaN or infinite (14),
        or the measured L0 is more than twice off the registry's (8).
    CapacityError
        The disk is too small or full (fault 26).
    Interrupted
        A signal came (fault 41).
    """
    directory, sae = journal.directory, encoder.sae
    journal.require_plan(
        {"tokens": planned.digest(), "bos": encoder.bos, "context": encoder.context, "hook_name": encoder.hook_name}
    )
    pending = _pending(journal, planned)
    done = planned.stream.n_kept - sum(map(planned.n_kept, pending))
    room = partial(check_room, directory, sae, planned, reservoir=reservoir, entropy=encoder.entropy)
    room(pending, sae.firings_a_token)
    fired = seen = 0
    with progress("activations", total=planned.stream.n_kept, unit="tokens", done=done) as advance:
        for number in pending:
            with interruption.finishing(f"shard {number + 1} of {planned.n_shards}"):
                shard = compute_shard(encoder, planned, number)
                journal.add(write_shard(directory, number, shard, d_sae=sae.d_sae))
                advance(shard.n_tokens)
            if seen == 0 and sae.firings_a_token is None:
                room(pending[1:], len(shard.ids) / max(shard.n_tokens, 1))
            fired, seen = fired + len(shard.ids), seen + shard.n_tokens
            if expect_l0 and seen >= L0_TOKENS > seen - shard.n_tokens:
                check_l0(sae, fired / seen)


def _pending(journal: Journal, planned: Plan) -> list[int]:
    """Return the shards that are not done."""
    directory, n_shards = journal.directory, planned.n_shards
    pending = [number for number in range(n_shards) if not journal.holds(shard_path(directory, number))]
    if len(pending) < n_shards:
        logger.info("%s: %d of %d shards are done already", directory.name, n_shards - len(pending), n_shards)
    return pending


def compute_shard(encoder: Encoder, planned: Plan, number: int) -> Shard:
    """Return the firings on one shard's kept tokens, in corpus order, with their entropies where these are wanted.

    Raises
    ------
    InputError
        The model's activations hold NaN or infinity (fault 14): document and position are named.
    """
    stream = planned.stream
    first, last = planned.span(number)
    kept = stream.kept[first:last]
    row = np.cumsum(kept) - 1  # of each kept token in the shard
    pieces = []
    entropy = np.zeros(int(kept.sum()), np.float32) if encoder.entropy else None
    for windows in planned.batches(number, encoder.batch_size):
        at, activations, entropies = _kept_activations(encoder, planned, windows)
        if len(at):
            pieces.append((row[at - first], *encoder.sae.firings(activations)))
            if entropy is not None:
                entropy[row[at - first]] = entropies
    document = stream.document(first, last)
    position = (np.arange(first, last) - stream.offsets[document]).astype(np.int32)
    firings = _in_corpus_order(pieces, int(kept.sum()))
    return Shard(stream.token_id[first:last][kept], document[kept], position[kept], *firings, entropy)


def _kept_activations(
    encoder: Encoder, planned: Plan, windows: Iterable[int]
) -> tuple[npt.NDArray[np.int64], torch.Tensor, npt.NDArray[np.float32] | None]:
    """Return where the kept tokens of windows are in the stream, their activations (tokens, d_in), and entropies."""
    stream, lead = planned.stream, encoder.lead
    spans = [(int(planned.starts[window]), int(planned.starts[window + 1])) for window in windows]
    rows = [[*lead, *stream.token_id[start:stop].tolist()] for start, stop in spans]
    states = None
    if encoder.entropy:
        activations, states = encoder.model.activations_and_states(encoder.hook_name, rows)
    else:
        activations = encoder.model.activations_at(encoder.hook_name, rows)
    places = [np.flatnonzero(stream.kept[start:stop]) for start, stop in spans]
    row = np.repeat(np.arange(len(spans)), [len(place) for place in places])
    at = np.concatenate([start + place for place, (start, _) in zip(places, spans, strict=True)])
    column = np.concatenate(places) + len(lead)
    picked = activations[row, column].float()
    finite = picked.isfinite().all(dim=1).cpu().numpy()
    if not finite.all():
        place = int(at[np.flatnonzero(~finite)[0]])
        document = int(stream.document(place, place + 1)[0])
        raise InputError(
            f"{encoder.hook_name}: NaN or infinity at token {place - int(stream.offsets[document])} of "
            f"document {stream.names[document]}",
            "run the model with --precision float32, and check its weights",
        )
    return at, picked, None if states is None else encoder.model.entropies(states[row, column]).cpu().numpy()


def _in_corpus_order(
    pieces: Sequence[tuple[npt.NDArray[Any], ...]], n_tokens: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return a shard's indptr, ids and activations from its batches (rows, firings a row, ids, values)."""
    counts = np.zeros(n_tokens, np.int64)
    for rows, found, _, _ in pieces:
        counts[rows] = found
    indptr = np.concatenate([[0], np.cumsum(counts)])
    ids = np.empty(int(indptr[-1]), np.int32)
    values = np.empty(int(indptr[-1]), np.float32)
    for rows, found, some_ids, some_values in pieces:
        before = np.cumsum(found) - found
        slots = np.repeat(indptr[rows] - before, found) + np.arange(len(some_ids))
        ids[slots], values[slots] = some_ids, some_values
    return indptr, ids, values


def check_l0(sae: Sae, measured: float) -> None:
    """Raise `InputError` where firings a token are more than twice off the registry's (fault 8)."""
    expected = sae.expected_l0
    if expected and not expected / 2 <= measured <= expected * 2:
        raise InputError(
            f"SAE {sae.sae_id}: {measured:.1f} features fire on a token, its registry says {expected:.1f}",
            "check BOS, weight processing, precision and the model; --no-expect-l0 goes on",
        )


@dataclass(frozen=True)
class Size:
    """What an artifact takes on disk, in bytes: predicted from tokens and firings, before they are there.

    Documents, vocabulary and manifest are left out: some dozen bytes a document, item or shard.
    """

    shards: int
    by_feature: int
    directions: int

    @classmethod
    def of(
        cls,
        n_tokens: int,
        n_firings: float,
        *,
        n_shards: int,
        d_sae: int,
        d_in: int,
        reservoir: int | None = None,
        entropy: bool = False,
    ) -> Size:
        """Return the size; of a reservoir, the most that it may take: features that fire less keep less."""
        firings = round(n_firings)
        kept = firings if reservoir is None else min(firings, reservoir * d_sae)
        a_feature = 8 if reservoir is None else 16  # a row pointer; with a reservoir the number of firings, too
        return cls(
            # three int32 and a row pointer a token; entropies lie in the shards, and in a file of their own
            shards=(20 + 4 * entropy) * n_tokens + 8 * firings + _SHARD_HEADER * n_shards,
            by_feature=(12 + 4 * entropy) * n_tokens + 8 * kept + a_feature * d_sae,
            directions=2 * 4 * d_sae * (d_in + 1),
        )

    @property
    def total(self) -> int:
        """All of it."""
        return self.shards + self.by_feature + self.directions


def check_room(
    directory: Path,
    sae: Sae,
    planned: Plan,
    pending: Sequence[int],
    l0: float | None,
    *,
    reservoir: int | None = None,
    entropy: bool = False,
) -> None:
    """Log what the artifact will take on disk, where the L0 is known; refuse if it is not free (fault 26)."""
    if l0 is None or not pending:
        return
    kept, left = planned.stream.n_kept, sum(map(planned.n_kept, pending))
    size_of = partial(Size.of, d_sae=sae.d_sae, d_in=sae.d_in, entropy=entropy)
    size = size_of(kept, l0 * kept, n_shards=planned.n_shards, reservoir=reservoir)
    missing = size_of(left, l0 * left, n_shards=len(pending)).shards
    need = missing + size.by_feature + size.directions
    free = shutil.disk_usage(directory).free
    logger.info(
        "%s: %d tokens in %d shards; about %.0f MB on disk when finished, %.0f MB are free",
        directory.name,
        kept,
        planned.n_shards,
        size.total / 1e6,
        free / 1e6,
    )
    if need > free:
        raise CapacityError(
            f"{directory}: {need / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free",
            "free some room, name a larger disk with --run, or ask for fewer --tokens",
        )
