"""What fires on chosen tokens, and how far it reaches along a feature's direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

from atlas.absorption.counted import Counted
from atlas.absorption.directions import Directions, Floats, Integers
from atlas.absorption.measured import Pairs
from atlas.firings import Firings
from atlas.tracking import Track, untracked

TOKENS = 100
"""Tokens of a feature that are looked at, at most: a uniform sample."""
RANDOM_TOKENS = 1000
STRONG = 0.5
"""Share of its median activation from which on a parent counts as firing: the rule `rel:0.5`."""
_FIRINGS_AT_ONCE = 2**24


def gather(firings: Firings, rows: Integers) -> scipy.sparse.csr_matrix:
    """Return the activations on some tokens: CSR of float64, shape (len(rows), d_sae), in one pass over the shards.

    Parameters
    ----------
    rows
        Tokens, ascending, each once.
    """
    counts, ids, values = [np.zeros(1, np.int64)], [], []
    first = 0
    for shard in firings.shards():
        own = rows[slice(*np.searchsorted(rows, [first, first + shard.n_tokens]))] - first
        first += shard.n_tokens
        lengths = np.diff(shard.indptr)[own]
        ends = np.cumsum(lengths)
        at = np.repeat(shard.indptr[own] - (ends - lengths), lengths) + np.arange(int(lengths.sum()))
        counts.append(lengths)
        ids.append(shard.ids[at])
        values.append(shard.activations[at])
    none = np.zeros(0)
    return scipy.sparse.csr_matrix(
        (np.concatenate([none, *values]), np.concatenate([none.astype(np.int32), *ids]),
         np.cumsum(np.concatenate(counts))),
        shape=(len(rows), firings.d_sae),
    )  # fmt: skip


@dataclass(frozen=True)
class Readouts:
    """How far the tokens of candidates reach along the parent's direction.

    Attributes
    ----------
    share : float64, shape (n,)
        Of the child's tokens on which the parent is silent or weak, those whose rebuilt activation
        reaches, along the parent's direction, the lower quartile of the parent's own strong tokens. 0 where the
        parent is never silent.
    control : float64, shape (n,)
        The same share of random tokens of the corpus.
    splitting : masked float64, shape (n,)
        Mean activation of the child where both fire over that where it fires alone; masked where they
        never fire together, or it never alone.
    """

    share: Floats
    control: Floats
    splitting: np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]


def read_out(
    firings: Firings, directions: Directions, counted: Counted, pairs: Pairs, *, seed: int, track: Track = untracked
) -> Readouts:
    """Return the readouts of candidates, from at most 100 tokens of each feature.

    The rebuilt activation along the parent's direction is r(t) = sum_k a_k(t) W_dec_k . W_dec_j: what all features
    together say of the parent's direction, without the decoder's bias. A share near 1 says that the direction is
    there although its feature is silent; it does not say that the model uses it.
    """
    n = len(pairs.child)
    rng = np.random.default_rng([seed, 54])
    random = np.sort(rng.choice(firings.n_tokens, min(RANDOM_TOKENS, firings.n_tokens), replace=False))
    share, control = np.zeros(n), np.zeros(n)
    splitting = np.ma.masked_array(np.zeros(n), np.ones(n, bool))
    level = max(1.0, float(firings.firing_count.sum()) / firings.n_tokens)
    step = max(1, int(_FIRINGS_AT_ONCE / level) // (2 * TOKENS))
    with track("readouts", total=n, unit="pairs") as advance:
        for low in range(0, n, step):
            some = range(low, min(n, low + step))
            samples = [_tokens(firings, counted, pairs.child[k], pairs.parent[k], rng, splitting, k) for k in some]
            rows = np.unique(np.concatenate([random, *(part for pair in samples for part in pair)]))
            fired = gather(firings, rows)
            background = fired[np.searchsorted(rows, random)]
            parent, beside = -1, np.zeros(0)
            for k in sorted(some, key=lambda k: pairs.parent[k]):
                if pairs.parent[k] != parent:  # the same products for all children of one
                    parent = int(pairs.parent[k])
                    cosine = (directions.decoder @ directions.decoder[parent]).astype(np.float64)
                    beside = background @ cosine
                silent, own = (fired[np.searchsorted(rows, part)] @ cosine for part in samples[k - low])
                quartile = np.quantile(own, 0.25) if len(own) else np.inf
                share[k] = (silent >= quartile).mean() if len(silent) else 0.0
                control[k] = (beside >= quartile).mean()
                advance(1)
    return Readouts(share, control, splitting)


def _tokens(
    firings: Firings,
    counted: Counted,
    child: int,
    parent: int,
    rng: np.random.Generator,
    splitting: npt.NDArray[np.float64],
    place: int,
) -> tuple[Integers, Integers]:
    """Return samples of the child's tokens without a strong parent, and of the parent's; fill the splitting index."""
    rows, activations = firings.contexts_of(child)
    others, strength = firings.contexts_of(parent)
    strong = others[strength >= STRONG * counted.median[parent]]
    both = np.isin(rows, others, assume_unique=True)
    alone = activations[~both].mean(dtype=np.float64) if not both.all() else 0.0
    if both.any() and alone > 0:
        splitting[place] = max(activations[both].mean(dtype=np.float64) / alone, 0.0)
    silent = rows[~np.isin(rows, strong, assume_unique=True)]
    return _sample(silent, rng), _sample(strong, rng)


def _sample(rows: npt.NDArray[np.uint32], rng: np.random.Generator) -> Integers:
    if len(rows) > TOKENS:
        rows = rng.choice(rows, TOKENS, replace=False)
    return np.sort(rows).astype(np.int64)
