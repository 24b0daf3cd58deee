"""Activations of a model at one hook, kept on disk for the training of a control SAE."""

from __future__ import annotations

import functools
import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.errors import CapacityError, InputError
from atlas.files import canonical, write_arrays
from atlas.ingest.corpus import Corpus
from atlas.ingest.interrupt import interruptible
from atlas.ingest.models import Model
from atlas.ingest.progress import progress
from atlas.ingest.windows import Plan, plan, read_stream
from atlas.mapped import map_arrays

logger = logging.getLogger("atlas")

SHARD_TOKENS = 32768


@dataclass(frozen=True)
class Reader:
    """A model and where it is read.

    Attributes
    ----------
    hook_name
        Of the activations.
    context
        Tokens of a window, BOS included.
    bos
        Token prepended to each window, or None.
    special
        Token ids whose activations are dropped.
    batch_size
        Windows of one forward pass.
    """

    model: Model
    hook_name: str
    context: int
    bos: int | None
    special: tuple[int, ...]
    batch_size: int = 16


class Harvest:
    """Activations of kept tokens, in corpus order, read from disk as they are touched.

    Attributes
    ----------
    n_tokens, d_in : int
        Rows, and their width.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._shards = [map_arrays(path) for path in paths]
        self._starts = np.concatenate([[0], np.cumsum([len(shard["token_id"]) for shard in self._shards])])
        self.n_tokens = int(self._starts[-1])
        self.d_in = int(self._shards[0]["activations"].shape[1])

    def rows(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the activations of tokens: float32, shape (len(wanted), d_in), in the order asked for."""
        found = np.empty((len(wanted), self.d_in), np.float32)
        shard = np.searchsorted(self._starts, wanted, side="right") - 1
        for number in np.unique(shard):
            mine = shard == number
            found[mine] = self._shards[number]["activations"][wanted[mine] - self._starts[number]]
        return found

    @functools.cached_property
    def acts(self) -> npt.NDArray[np.float32]:
        """All activations in memory: float32, shape (n_tokens, d_in)."""
        return np.concatenate([shard["activations"] for shard in self._shards])

    @functools.cached_property
    def token(self) -> npt.NDArray[np.int32]:
        """Vocabulary item of each row: int32, shape (n_tokens,)."""
        return np.concatenate([shard["token_id"] for shard in self._shards])

    @functools.cached_property
    def document(self) -> npt.NDArray[np.int32]:
        """Document of each row: int32, shape (n_tokens,)."""
        return np.concatenate([shard["document"] for shard in self._shards])

    def mean(self) -> npt.NDArray[np.float32]:
        """Return the mean activation: float32, shape (d_in,)."""
        total = sum(shard["activations"].sum(axis=0, dtype=np.float64) for shard in self._shards)
        return np.asarray(total / self.n_tokens, np.float32)

    def mean_norm(self) -> float:
        """Return the mean of the activations' norms."""
        total = sum(
            float(np.linalg.norm(shard["activations"], axis=1).sum(dtype=np.float64)) for shard in self._shards
        )
        return total / self.n_tokens


def harvest(reader: Reader, corpus: Corpus, folder: Path, *, identity: Any, tokens: int | None = None) -> Harvest:
    """Return the activations of a corpus; shards that are on disk are not made again.

    Parameters
    ----------
    folder
        Shards go to a folder below it that is named by a digest of everything that decides them.
    identity
        What tells the model from another, as JSON values (`model_identity`).
    tokens
        Kept tokens wanted; the whole corpus where None.

    Raises
    ------
    CapacityError
        The disk is too small, or full; whole shards are kept (fault 26).
    Interrupted
        A signal came; whole shards are kept (fault 41).
    ServiceError
        The corpus ends before the tokens asked for (fault 35).
    """
    stream = read_stream(corpus, reader.model.tokenizer, special=reader.special, bos=reader.bos, tokens=tokens)
    planned = plan(stream, window=reader.context - (reader.bos is not None), shard_tokens=SHARD_TOKENS)
    key = {"model": identity, "tokens": planned.digest(), "hook_name": reader.hook_name, "bos": reader.bos}
    place = folder / hashlib.sha256(canonical(key)).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"{number:05d}.safetensors" for number in range(planned.n_shards)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if missing:
        _check_room(reader, planned, missing, place)
        done = stream.n_kept - sum(map(planned.n_kept, missing))
        with (
            interruptible() as interruption,
            progress("harvest", total=stream.n_kept, unit="tokens", done=done) as advance,
        ):
            for number in missing:
                with interruption.finishing(f"shard {number + 1} of {planned.n_shards}"):
                    write_arrays(paths[number], _shard(reader, planned, number))
                    advance(planned.n_kept(number))
    return Harvest(paths)


def _check_room(reader: Reader, planned: Plan, missing: Sequence[int], place: Path) -> None:
    width = reader.model.activations_at(reader.hook_name, [[0, 0]]).shape[2]
    need = 4 * (width + 2) * sum(map(planned.n_kept, missing))
    free = shutil.disk_usage(place).free
    logger.info("harvest: %d tokens; %.0f MB on disk, %.0f MB are free", planned.stream.n_kept, need / 1e6, free / 1e6)
    if need > free:
        raise CapacityError(
            f"{place}: activations take {need / 1e6:.0f} MB, {free / 1e6:.0f} MB are free",
            "free some room, name a larger disk with --out, or train on fewer --train-tokens",
        )


def _shard(reader: Reader, planned: Plan, number: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of one shard: activations (n, d_in), token_id and document (n,), in corpus order."""
    stream, lead = planned.stream, [] if reader.bos is None else [reader.bos]
    first, last = planned.span(number)
    kept = stream.kept[first:last]
    row = np.cumsum(kept) - 1
    found: npt.NDArray[np.float32] | None = None
    for windows in planned.batches(number, reader.batch_size):
        spans = [(int(planned.starts[window]), int(planned.starts[window + 1])) for window in windows]
        values = reader.model.activations_at(
            reader.hook_name, [[*lead, *stream.token_id[start:stop].tolist()] for start, stop in spans]
        )
        for place, (start, stop) in enumerate(spans):
            within = np.flatnonzero(stream.kept[start:stop])
            some = values[place, within + len(lead)].float().cpu().numpy()
            if not np.isfinite(some).all():
                name = stream.names[int(stream.document(start, start + 1)[0])]
                raise InputError(f"{reader.hook_name}: NaN or infinity in document {name}", "check the model's weights")
            if found is None:
                found = np.empty((int(kept.sum()), some.shape[1]), np.float32)
            found[row[start - first + within]] = some
    assert found is not None, "a shard has at least one window"
    return {
        "activations": found,
        "token_id": stream.token_id[first:last][kept],
        "document": stream.document(first, last)[kept],
    }
