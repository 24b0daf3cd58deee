"""Encoder and decoder directions of features, pairs that are near in the decoder, and random directions beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from atlas.mapped import map_arrays
from atlas.tracking import Advance

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_CELLS = 2**24  # cosines of a block that are held at once: 64 MB
_ROWS = 2**12  # pairs whose directions are held at once
_SLACK = 1e-5  # what a product in single precision may be off by
_SAME = 1e-4  # farthest from 1 that the cosine of a tied encoder's row with the decoder's is


@dataclass(frozen=True)
class Directions:
    """Directions of some features, in rows of length 1.

    Attributes
    ----------
    decoder : float32, shape (n, d_in)
    encoder : float32, shape (n, d_in), or None
        None where the activations came without an encoder.
    tied : bool
        Whether the encoder is the decoder: their cosines are then equal by construction.
    """

    decoder: npt.NDArray[np.float32]
    encoder: npt.NDArray[np.float32] | None
    tied: bool

    @classmethod
    def of(cls, directory: Path) -> Self | None:
        """Return the directions that lie in the directory of activations; None without a decoder."""
        if not (directory / "decoder.safetensors").exists():
            return None
        decoder = np.asarray(map_arrays(directory / "decoder.safetensors")["W_dec"])
        path = directory / "encoder.safetensors"
        found = map_arrays(path).get("W_enc") if path.exists() else None
        encoder = None if found is None else np.asarray(found)
        return cls(decoder, encoder, encoder is not None and _tied(decoder, encoder))

    def at(self, features: npt.NDArray[np.integer]) -> Self:
        """Return the directions of some features, copied."""
        encoder = None if self.encoder is None else self.encoder[features]
        return type(self)(self.decoder[features], encoder, self.tied)

    def decoder_cosine(self, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> Floats:
        """Return the cosine of the decoder directions of each pair: float64, the same on any number of threads."""
        return _cosines(self.decoder, a, b)

    def encoder_cosine(self, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> Floats | None:
        """Return the same of the encoder directions; None without an encoder, or with a tied one."""
        return None if self.encoder is None or self.tied else _cosines(self.encoder, a, b)


def _tied(decoder: npt.NDArray[np.float32], encoder: npt.NDArray[np.float32]) -> bool:
    """Return whether each row of the encoder is the decoder's up to its length; rows of zeros are left out."""
    for low in range(0, len(decoder), _ROWS):
        some, other = decoder[low : low + _ROWS], encoder[low : low + _ROWS]
        filled = some.any(1) & other.any(1)
        if (np.einsum("ij,ij->i", some[filled], other[filled]) < 1 - _SAME).any():
            return False
    return True


def _cosines(
    rows: npt.NDArray[np.float32], a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]
) -> Floats:
    found = np.empty(len(a))
    for low in range(0, len(a), _ROWS):
        at = slice(low, low + _ROWS)
        found[at] = np.einsum("ij,ij->i", rows[a[at]].astype(np.float64), rows[b[at]].astype(np.float64))
    return np.clip(found, -1, 1)


def near_pairs(
    rows: npt.NDArray[np.float32], min_cosine: float, *, cells: int = _CELLS, advance: Advance = lambda amount: None
) -> Iterator[tuple[Integers, Integers]]:
    """Yield the pairs a < b of rows whose cosine may reach `min_cosine`, a block of rows against all later ones.

    O(n^2 d) by products of matrices, and memory for `cells` cosines. A pair that misses the bound by the
    error of single precision may be among them: ask for its cosine again.

    Parameters
    ----------
    advance
        Told of the rows done.
    """
    n = len(rows)
    step = max(1, cells // max(n, 1))
    for low in range(0, n, step):
        block = rows[low : low + step] @ rows[low:].T
        a, b = np.nonzero(block >= min_cosine - _SLACK)
        later = b > a
        yield a[later].astype(np.int64) + low, b[later].astype(np.int64) + low
        advance(min(step, n - low))


def random_directions(real: Directions, rng: np.random.Generator) -> Directions:
    """Return as many random directions: Gaussian, of the same mean and covariance, scaled to length 1.

    Encoder and decoder are drawn together, so that they are as alike as the real ones are, and a decoder
    cosine that is large by chance goes with the encoder cosine that it would have. What directions without
    any structure but their spectrum give is what chance gives.
    """
    n = len(real.decoder)
    mix = rng.standard_normal((n, n)) / np.sqrt(max(n, 1))

    def drawn(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        mean = rows.mean(0, dtype=np.float64)
        found = mean + mix @ (rows - mean)
        unit = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return np.asarray(unit, np.float32)

    encoder = None if real.encoder is None else drawn(real.encoder)
    return Directions(drawn(real.decoder), encoder, real.tied)
