"""Mean activation of every feature on every vocabulary item, on each half of the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.captions import readable
from atlas.firings import Firings
from atlas.kept import Keep, computed
from atlas.rings.sums import Floats, Integers, Sums, add_means, on_items, take
from atlas.tracking import Track, untracked

Directions = npt.NDArray[np.float32]
"""Rows of the decoder, shape (d_sae, d_in), on disk: what is looked at is copied as float64."""
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
        every = list(spellings)
        names: list[str] = []
        for some in words.values():
            if count[some].sum() < MIN_TOKENS:
                continue
            some.sort(key=lambda one: -count[one])
            for place, one in enumerate(some):
                if place == 0 or count[one] >= MIN_TOKENS:
                    names.append(every[one])
                    slot[one] = len(names) - 1
                else:
                    slot[one] = slot[some[0]]
        item = slot[of_token]
        return cls(tuple(names), item, half, _tokens(item, half, len(names)))

    def tokens_of(self, items: Integers) -> Integers:
        """Return the tokens of some items: int64, ascending."""
        order, starts = self._by_item
        return np.sort(np.concatenate([order[starts[item] : starts[item + 1]] for item in items.tolist()]))

    @cached_property
    def _by_item(self) -> tuple[Integers, Integers]:
        """The tokens of one item after the other, and where those of each begin."""
        on = np.flatnonzero(self.item >= 0)
        starts = np.concatenate([[0], np.cumsum(self.n.sum(0))])
        return on[np.argsort(self.item[on], kind="stable")], starts

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
    sums : Sums
    whole : float64, shape (d_sae,)
        Sum of the sizes of each feature's activations over all tokens, items that are too rare included.
    """

    vocabulary: Vocabulary
    sums: Sums
    whole: Floats
    scale: Floats = field(init=False, repr=False)
    """1 over the tokens of each item."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", 1 / np.maximum(self.vocabulary.n.sum(0), 1))

    def strength(self, features: Integers) -> Floats:
        """Return the summed size of the mean activations of some features on every item: float64, shape (n_items,).

        The sign of a signed SAE's feature is a convention, and two of them must not cancel.
        """
        found = np.zeros(len(self.scale))
        add_means(self.sums.indptr, self.sums.slots, self.sums.values, features, self.scale, found)
        return found

    def about(
        self,
        some: Sequence[Integers],
        *,
        min_share: float,
        among: npt.NDArray[np.bool_],
        track: Track = untracked,
        label: str = "features about items",
    ) -> list[Integers]:
        """Return, for each of several sets of items, the features with a share of their activation on these.

        sum_v |sum of a_i over the tokens of v| / sum |a_i|, half by half: of a signed SAE what cancels on an item is
        not on it. One pass over the features for all sets.

        Parameters
        ----------
        min_share
            Share of a feature's activation that lies on the items, at least.
        among
            Features that are looked at, bool, shape (d_sae,).
        track
            Told of the features done, under `label`.
        """
        items = np.concatenate([np.zeros(0, np.int64), *some])
        holders = np.repeat(np.arange(len(some)), [len(one) for one in some])[np.argsort(items, kind="stable")]
        ends = np.concatenate([[0], np.cumsum(np.bincount(items, minlength=len(self.vocabulary.names)))])
        indptr, slots, values = self.sums.indptr, self.sums.slots, self.sums.values
        found: list[list[int]] = [[] for _ in some]
        with track(label, total=len(among), unit="features") as advance:
            for feature in range(len(among)):
                advance(1)
                if not among[feature] or not self.whole[feature] > 0:
                    continue
                own = slice(indptr[feature], indptr[feature + 1])
                on = on_items(slots[own], values[own], holders, ends, len(some))
                for number in np.flatnonzero(on / self.whole[feature] >= min_share).tolist():
                    found[number].append(feature)
        return [np.array(features, np.int64) for features in found]

    def profiles(self, items: Integers, features: Integers) -> tuple[Floats, Floats]:
        """Return the mean activations of features on items, by half: two of float64, shape (n_items, n_features)."""
        place = np.full(len(self.vocabulary.names), -1, np.int64)
        place[items] = np.arange(len(items))
        sums = np.zeros((2, len(features), len(items)))
        take(self.sums.indptr, self.sums.slots, self.sums.values, features, place, sums)
        first, second = (one.T / n[items][:, None] for one, n in zip(sums, self.vocabulary.n, strict=True))
        return first, second


@dataclass(frozen=True)
class Join:
    """Which items of a vocabulary are one in another.

    Attributes
    ----------
    group : int64, shape (n_items,)
        New number of each item; -1 where it is left out.
    vocabulary : Vocabulary
        The new one.
    """

    group: Integers
    vocabulary: Vocabulary


def joined(
    fired: Fired,
    vocabulary: Vocabulary,
    d_sae: int,
    *,
    keep: Keep = computed,
    track: Track,
    label: str = "spellings",
) -> Join:
    """Return how spellings that differ by case are joined: those on which features fire alike.

    That is where the cosine of their mean activations with those of the most frequent spelling is .5 or more. `May` and
    `may` have .2 in the demo, the others of two spellings .5 to .9. Items of fewer than 20 tokens, or 5 in a half, are
    left out.

    Parameters
    ----------
    fired
        Gives a feature's firings.
    keep
        Keeps the cosines, as `spellings`.
    track
        Told of the features done, under `label`.
    """
    total = vocabulary.n.sum(0)
    words: dict[str, list[int]] = {}
    for number, name in enumerate(vocabulary.names):
        words.setdefault(name.casefold(), []).append(number)
    for some in words.values():
        some.sort(key=lambda one: -total[one])
    spelled = list(words.values())
    cosine = keep("spellings", lambda: {"cosine": _cosines(fired, vocabulary, d_sae, spelled, track, label)})["cosine"]
    group = np.full(len(vocabulary.names), -1, np.int64)
    names: list[str] = []
    for word, some in words.items():
        apart = [one for one in some[1:] if cosine[one] < SAME_WORD]
        for own in ([one for one in some if one not in apart], apart):
            n = vocabulary.n[:, own].sum(1)
            if n.sum() >= MIN_TOKENS and n.min() >= MIN_HALF:
                group[own] = len(names)
                names.append(vocabulary.names[own[0]] if apart else word)
    return Join(group, vocabulary.regrouped(group, names))


def _cosines(
    fired: Fired, vocabulary: Vocabulary, d_sae: int, words: Sequence[Sequence[int]], track: Track, label: str
) -> Floats:
    """Return the cosine of each spelling's mean activations with those of the first of its word; 1 for that itself."""
    first = np.arange(len(vocabulary.names))
    for some in words:
        first[some] = some[0]
    found = np.ones(len(first))
    others = np.flatnonzero(first != np.arange(len(first)))
    if not len(others):
        return found
    scale = 1 / np.maximum(vocabulary.n.sum(0), 1)
    squares, products = np.zeros(len(first)), np.zeros(len(others))
    for slots, values, _ in _columns(fired, vocabulary, d_sae, track, label):
        mean = scale * np.bincount(slots // 2, values, minlength=len(first))
        squares += mean * mean
        products += mean[first[others]] * mean[others]
    length = np.sqrt(squares[first[others]] * squares[others])
    found[others] = np.divide(products, length, out=np.zeros(len(others)), where=length > 0)
    return found


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
    fired: Fired,
    vocabulary: Vocabulary,
    d_sae: int,
    *,
    join: Join | None = None,
    room: Path | None = None,
    keep: Keep = computed,
    track: Track,
    label: str = "item means",
) -> Centroids:
    """Return the summed activations of every feature on every item.

    One pass over the features; what is kept is a number for each pair of feature and item that occurs.

    Parameters
    ----------
    fired
        Gives a feature's firings.
    join
        Where given, sums are those of the items that it makes of the vocabulary's.
    room
        Where to keep the numbers, as `Sums.of` has it.
    keep
        Keeps, by the name of `room`, what finds them there again.
    track
        Told of the features done, under `label`.
    """
    whole = np.zeros(d_sae)

    def columns() -> Iterator[tuple[Integers, Floats]]:
        for feature, (slots, values, total) in enumerate(_columns(fired, vocabulary, d_sae, track, label)):
            whole[feature] = total
            yield (slots, values) if join is None else _regrouped(slots, values, join)

    items = vocabulary if join is None else join.vocabulary
    if room is None:
        return Centroids(items, Sums.of(columns(), None), whole)
    kept = keep(room.name, lambda: {"indptr": Sums.of(columns(), room).indptr, "whole": whole})
    return Centroids(items, Sums.kept(kept["indptr"], room), kept["whole"])


def _columns(
    fired: Fired, vocabulary: Vocabulary, d_sae: int, track: Track, label: str
) -> Iterator[tuple[Integers, Floats, float]]:
    """Yield each feature's slots, ascending, the sums there, and the sum of sizes over all tokens."""
    n_items = len(vocabulary.names)
    slot = np.where(vocabulary.item >= 0, 2 * vocabulary.item + vocabulary.half, 2 * n_items).astype(np.int32)
    with track(label, total=d_sae, unit="features") as advance:
        for feature in range(d_sae):
            rows, activations = fired(feature)
            sums = np.bincount(slot[rows], activations, minlength=2 * n_items + 1)[:-1]
            seen = np.flatnonzero(sums)
            yield seen.astype(np.int64), sums[seen].astype(np.float64), float(np.abs(activations).sum(dtype=np.float64))
            advance(1)


def _regrouped(slots: Integers, values: Floats, join: Join) -> tuple[Integers, Floats]:
    """Return a feature's slots and sums after items were joined."""
    group = join.group[slots // 2]
    kept = group >= 0
    sums = np.bincount(2 * group[kept] + slots[kept] % 2, values[kept], minlength=2 * len(join.vocabulary.names))
    seen = np.flatnonzero(sums)
    return seen.astype(np.int64), sums[seen].astype(np.float64)
