"""Mean activation of every feature on every vocabulary item, on each half of the documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from atlas.captions import readable
from atlas.firings import Firings
from atlas.tracking import Track

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Fired = Callable[[int], tuple[npt.NDArray[Any], npt.NDArray[np.float32]]]
"""Gives the tokens on which a feature fires, and its activations there."""
MIN_TOKENS = 20
"""Fewest tokens of a vocabulary item whose centroid is a point."""
MIN_HALF = 5
"""Fewest of them on each half of the documents."""
SAME_WORD = 0.5
"""Cosine of the mean activations of two spellings from which they are one item: `may` and `May` are two words."""


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary items whose centroids can be points.

    Attributes
    ----------
    names : tuple of str
    item : int64, shape (n_tokens,)
        Item of each token; -1 where it is none of these.
    half : int8, shape (n_tokens,)
        Half of the documents that the token is in.
    n : int64, shape (2, n_items)
        Tokens of each item, by half.
    """

    names: tuple[str, ...]
    item: Integers
    half: npt.NDArray[np.int8]
    n: Integers

    @classmethod
    def of(cls, token_id: npt.NDArray[np.integer], texts: Mapping[int, str], half: npt.NDArray[np.int8]) -> Vocabulary:
        """Return the spellings that are frequent enough, outer spaces merged; rarer ones count as the most frequent.

        Parameters
        ----------
        token_id
            Item of each token as the model numbers them.
        texts
            Text of each, by that number.
        half
            Half of each token.
        """
        spellings: dict[str, int] = {}
        number = np.full(max(texts, default=-1) + 1, -1, np.int64)
        for one, text in texts.items():
            number[one] = spellings.setdefault(readable(text), len(spellings))
        of_token = number[np.asarray(token_id)]
        count = np.bincount(of_token, minlength=len(spellings))
        words: dict[str, list[int]] = {}
        for spelling, one in spellings.items():
            words.setdefault(spelling.casefold(), []).append(one)
        slot = np.full(len(spellings), -1, np.int64)
        names: list[str] = []
        for some in words.values():
            if count[some].sum() < MIN_TOKENS:
                continue
            some.sort(key=lambda one: -count[one])
            for place, one in enumerate(some):
                if place == 0 or count[one] >= MIN_TOKENS:
                    names.append(next(spelling for spelling, own in spellings.items() if own == one))
                    slot[one] = len(names) - 1
                else:
                    slot[one] = slot[some[0]]
        item = slot[of_token]
        return cls(tuple(names), item, half, _tokens(item, half, len(names)))

    def regrouped(self, group: Integers, names: Sequence[str]) -> Vocabulary:
        """Return the vocabulary with items joined: `group` is the new number of each, -1 for one left out."""
        item = np.where(self.item >= 0, group[self.item], -1)
        return Vocabulary(tuple(names), item, self.half, _tokens(item, self.half, len(names)))


def _tokens(item: Integers, half: npt.NDArray[np.int8], n_items: int) -> Integers:
    on = item >= 0
    return np.bincount(2 * item[on] + half[on], minlength=2 * n_items).reshape(n_items, 2).T.astype(np.int64)


@dataclass(frozen=True)
class Centroids:
    """Summed activations of features on vocabulary items.

    Attributes
    ----------
    vocabulary : Vocabulary
    sums : pair of float64 sparse arrays, shape (n_items, d_sae)
        Sum of each feature's activations over the tokens of each item, by half, stored by feature.
    whole : float64, shape (d_sae,)
        Sum of each feature's activations over all tokens, items that are too rare included.
    """

    vocabulary: Vocabulary
    sums: tuple[sp.csc_array, sp.csc_array]
    whole: Floats
    means: sp.csc_array = field(init=False)
    """Mean activation on each item, both halves together: float64, shape (n_items, d_sae)."""

    def __post_init__(self) -> None:
        scale = sp.dia_array((1 / self.vocabulary.n.sum(0)[None], [0]), shape=(len(self.vocabulary.names),) * 2)
        object.__setattr__(self, "means", sp.csc_array(scale @ (self.sums[0] + self.sums[1])))

    def shares(self, items: Integers) -> Floats:
        """Return the share of each feature's activation that lies on some items: float64, shape (d_sae,)."""
        own = sum(np.asarray(some[items].sum(0)).ravel() for some in self.sums)
        shares: Floats = np.divide(own, self.whole, out=np.zeros_like(self.whole), where=self.whole > 0)
        return shares

    def profiles(self, items: Integers, features: Integers) -> tuple[Floats, Floats]:
        """Return the mean activations of features on items, by half: two of float64, shape (n_items, n_features)."""
        first, second = (
            np.asarray(some[:, features][items].todense()) / n[items][:, None]
            for some, n in zip(self.sums, self.vocabulary.n, strict=True)
        )
        return first, second


def joined(known: Centroids) -> Centroids:
    """Return the centroids with spellings that differ by case joined where features fire on them alike.

    That is where the cosine of their mean activations with those of the most frequent spelling is .5 or more. `May` and
    `may` have .2 in the demo, the others of two spellings .5 to .9. Items of fewer than 20 tokens, or 5 in a half, are
    left out.
    """
    vocabulary = known.vocabulary
    total = vocabulary.n.sum(0)
    words: dict[str, list[int]] = {}
    for number, name in enumerate(vocabulary.names):
        words.setdefault(name.casefold(), []).append(number)
    of_row = sp.csr_array(known.means)
    group = np.full(len(vocabulary.names), -1, np.int64)
    names: list[str] = []
    for word, some in words.items():
        some.sort(key=lambda one: -total[one])
        apart = [one for one in some[1:] if _cosine(of_row, some[0], one) < SAME_WORD]
        for own in ([one for one in some if one not in apart], apart):
            n = vocabulary.n[:, own].sum(1)
            if n.sum() >= MIN_TOKENS and n.min() >= MIN_HALF:
                group[own] = len(names)
                names.append(vocabulary.names[own[0]] if apart else word)
    kept = np.flatnonzero(group >= 0)
    join = sp.csr_array((np.ones(len(kept)), (group[kept], kept)), shape=(len(names), len(group)))
    first, second = (sp.csc_array(join @ some) for some in known.sums)
    return Centroids(vocabulary.regrouped(group, names), (first, second), known.whole)


def _cosine(rows: sp.csr_array, one: int, other: int) -> float:
    a, b = (rows[[number]] for number in (one, other))
    length = float(np.sqrt((a.power(2)).sum() * (b.power(2)).sum()))
    return float((a @ b.T).sum()) / length if length else 0.0


def shuffled(firings: Firings, *, seed: int) -> Fired:
    """Return what gives a feature's firings moved on within each document, from its end to its beginning.

    By a number of tokens drawn for each feature and document: counts by document and runs are kept, what vocabulary
    items and other features have to do with it is not.
    """
    starts = np.flatnonzero(np.diff(np.asarray(firings.document), prepend=-1))
    lengths = np.diff([*starts, firings.n_tokens])
    document = np.repeat(np.arange(len(starts)), lengths)

    def fired(feature: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        rows, activations = firings.contexts_of(feature)
        own = document[rows]
        step = (np.random.default_rng([seed, feature]).random(len(starts)) * lengths).astype(np.int64)
        return starts[own] + (rows - starts[own] + step[own]) % lengths[own], activations

    return fired


def centroids(
    fired: Fired, vocabulary: Vocabulary, d_sae: int, *, track: Track, label: str = "item means"
) -> Centroids:
    """Return the summed activations of every feature on every item.

    One pass over the features; what is held is a number for each pair of feature and item that occurs.

    Parameters
    ----------
    fired
        Gives a feature's firings.
    track
        Told of the features done, under `label`.
    """
    n_items = len(vocabulary.names)
    slot = np.where(vocabulary.item >= 0, 2 * vocabulary.item + vocabulary.half, 2 * n_items)
    columns: list[tuple[Integers, Floats]] = []
    whole = np.zeros(d_sae)
    with track(label, total=d_sae, unit="features") as advance:
        for feature in range(d_sae):
            rows, activations = fired(feature)
            sums = np.bincount(slot[rows], activations, minlength=2 * n_items + 1)[:-1]
            whole[feature] = activations.sum(dtype=np.float64)
            seen = np.flatnonzero(sums).astype(np.int64)
            columns.append((seen, sums[seen].astype(np.float64)))
            advance(1)
    return Centroids(vocabulary, _halves(columns, n_items), whole)


def _halves(columns: Sequence[tuple[Integers, Floats]], n_items: int) -> tuple[sp.csc_array, sp.csc_array]:
    """Return the columns of both halves, which alternate, as two arrays."""
    sides = []
    for side in (0, 1):
        some = [(seen[seen % 2 == side] // 2, sums[seen % 2 == side]) for seen, sums in columns]
        indptr = np.concatenate([[0], np.cumsum([len(seen) for seen, _ in some])]).astype(np.int64)
        indices = np.concatenate([seen for seen, _ in some]) if some else np.zeros(0, np.int64)
        data = np.concatenate([sums for _, sums in some]) if some else np.zeros(0)
        sides.append(sp.csc_array((data, indices, indptr), shape=(n_items, len(columns))))
    return sides[0], sides[1]
