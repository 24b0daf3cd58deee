"""The known case of absorption: first letters, whose features fall silent on words that a feature of their own has."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from atlas.absorption.counted import Counted
from atlas.absorption.directions import Directions, Floats, Integers
from atlas.absorption.readout import gather
from atlas.association.fdr import benjamini_hochberg
from atlas.firings import Firings

LETTERS = string.ascii_lowercase
RARE = 5
"""Items seen on fewer tokens are left out."""
MIN_ITEMS = 10
MIN_F1 = 0.4
"""Smallest F1, over items, of a feature that is taken for the letter's."""
MIN_GAIN = 0.03
"""By how much a further feature of the same letter must raise the F1 of all of them."""
MIN_WORDS = 3.0
"""How many words it must add to theirs: a feature of one word or two is no feature of the letter."""
MAX_SHARE = 0.1
"""Largest share of an item's tokens on which the letter's features fire, of an item that they miss."""
MIN_CONTRIBUTION = 0.5
MAX_P = 0.05
TOKENS = 50
MOST_ITEMS = 200
"""Missing items of one letter that are looked at: the most frequent."""
RANDOM = 200
"""Random features in the place of a letter's."""
_FURTHER = 10


@dataclass(frozen=True)
class Words:
    """The vocabulary items that begin a word, and where they are.

    Attributes
    ----------
    items : int64, shape (n_items,)
        Token ids, ascending.
    letter : int64, shape (n_items,)
        Place of the first letter in the alphabet.
    n_tokens : int64, shape (n_items,)
    place : int64, shape (n_tokens,)
        Place in `items` of each token of the corpus; -1 for all others.
    """

    items: Integers
    letter: Integers
    n_tokens: Integers
    place: Integers

    @classmethod
    def of(cls, firings: Firings, texts: Sequence[str]) -> Words:
        """Return the items of ASCII letters behind a space that are seen on 5 tokens or more.

        Parameters
        ----------
        texts
            Text of each vocabulary item, by token id.
        """
        token_id = np.asarray(firings.token_id)
        seen = np.bincount(token_id, minlength=len(texts))
        chosen = [
            item for item in np.flatnonzero(seen >= RARE).tolist()
            if texts[item][:1] == " " and texts[item][1:].isascii() and texts[item][1:].isalpha()
        ]  # fmt: skip
        items = np.asarray(chosen, np.int64)
        letter = np.asarray([LETTERS.index(texts[item][1].lower()) for item in chosen], np.int64)
        place = np.full(len(seen), -1, np.int64)
        place[items] = np.arange(len(items))
        return cls(items, letter, seen[items], place[token_id])

    def shares(self, firings: Firings, feature: int) -> Floats:
        """Return the share of each item's tokens on which a feature fires: float64, shape (n_items,)."""
        own = self.place[firings.tokens_of(feature)]
        return np.bincount(own[own >= 0], minlength=len(self.items)) / self.n_tokens


@dataclass(frozen=True)
class Letter:
    """A letter with its features: the best one, and further ones that share its words.

    `shares` holds, for each item, the largest share of tokens on which one of them fires.
    """

    letter: int
    features: tuple[int, ...]
    recall: float
    precision: float
    shares: Floats

    @property
    def claimed(self) -> bool:
        """Whether the best feature is good enough to be taken for the letter's."""
        return float(_f1(self.recall, self.precision)) >= MIN_F1


def _f1(recall: Any, precision: Any) -> Any:
    return 2 * recall * precision / np.maximum(recall + precision, 1e-12)


def find_letters(firings: Firings, words: Words, alive: Integers) -> list[Letter]:
    """Return each letter of ten items or more with its features, in the order of the alphabet.

    Over items, each weighing the same: recall is the mean share of tokens on which the feature fires, precision
    the part of its shares that lies on the letter's items. Further features are added, best first, while they
    raise the F1 of all of them by .03 and add three words or more: a letter that two features divide between
    them is split, not absorbed.
    """
    n_items = np.bincount(words.letter, minlength=len(LETTERS))
    token_letter = np.append(words.letter, -1)[words.place]
    weight = np.append(1 / words.n_tokens, 0)[words.place]
    sums = np.zeros((firings.d_sae, len(LETTERS)))
    for feature in alive.tolist():
        rows = firings.tokens_of(feature)
        own = rows[token_letter[rows] >= 0]
        sums[feature] = np.bincount(token_letter[own], weight[own], minlength=len(LETTERS))
    found = []
    for letter in np.flatnonzero(n_items >= MIN_ITEMS).tolist():
        recall = sums[:, letter] / n_items[letter]
        precision = sums[:, letter] / np.maximum(sums.sum(1), 1e-12)
        ranked = np.argsort(-_f1(recall, precision), kind="stable")[: 1 + _FURTHER].tolist()
        best, features = ranked[0], [ranked[0]]
        shares = words.shares(firings, best)
        own = words.letter == letter
        for feature in ranked[1:]:
            both = np.maximum(shares, words.shares(firings, feature))
            added = float((both - shares)[own].sum())
            if added >= MIN_WORDS and _f1_of(both, own) - _f1_of(shares, own) >= MIN_GAIN:
                features.append(feature)
                shares = both
        found.append(Letter(letter, tuple(features), float(recall[best]), float(precision[best]), shares))
    return found


def _f1_of(shares: Floats, own: Any) -> float:
    return float(_f1(shares[own].mean(), shares[own].sum() / max(float(shares.sum()), 1e-12)))


def letter_tables(
    firings: Firings,
    directions: Directions,
    counted: Counted,
    alive: Integers,
    texts: Sequence[str],
    *,
    seed: int,
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return the columns of `letters` and of `letter_words`.

    For each item of a letter on whose tokens the letter's features are silent, the feature is found that brings
    most along the direction of the letter's best feature: mean activation on these tokens times the decoder
    cosine. It has taken the letter where that is half or more of what the letter's feature usually has, and more
    than along the directions of other features that are silent there, too: 200 of like rarity, and the features of
    all other letters (p, Benjamini-Hochberg over all missing items). What a word's feature brings along any
    direction is large when the feature fires strongly, which is why the controls are asked on the same tokens.

    References
    ----------
    Chanin et al. 2024, arXiv:2409.14507 (A is for Absorption): there a probe gives the direction; here it is the
    letter's feature.
    """
    words = Words.of(firings, texts)
    letters = find_letters(firings, words, alive)
    claimed = [one for one in letters if one.claimed]
    missing = [_missing(one, words) for one in claimed]
    rng = np.random.default_rng([seed, 56])
    means, silent = _means(firings, words, claimed, missing, rng)
    found: list[dict[str, Any]] = []
    controls = []
    first = 0
    for one, items in zip(claimed, missing, strict=True):
        others = [other.features[0] for other in claimed if other.letter != one.letter]
        random = _like(counted.firing_count, alive, one.features, others, rng)
        own = slice(first, first + len(items))
        part = _absorbing(
            one, items, words, texts, directions, counted, means[own], silent[own], others, random
        )
        first += len(items)
        found += part[0]
        controls.append(part[1])
    q = benjamini_hochberg(np.asarray([row["p"] for row in found]))
    for row, adjusted in zip(found, q.tolist(), strict=True):
        row["q"] = adjusted
        row["absorbed"] = row["contribution"] >= MIN_CONTRIBUTION and row["p"] <= MAX_P
    return _letter_columns(letters, words, found, controls), _columns(found, _WORD_NAMES)


_WORD_NAMES = ("letter", "token_id", "text", "n_tokens", "index", "letter_share", "absorbing", "absorbing_share",
               "decoder_cosine", "contribution", "p", "q", "absorbed")  # fmt: skip
_LETTER_NAMES = ("letter", "index", "split", "recall", "precision", "n_items", "n_missing", "n_absorbed",
                 "control_letters", "control_features")  # fmt: skip


def _columns(rows: list[dict[str, Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in names}


def _missing(one: Letter, words: Words) -> Integers:
    """Return the places of the letter's items that its features miss: the most frequent, in order of their ids."""
    places = np.flatnonzero((words.letter == one.letter) & (one.shares <= MAX_SHARE))
    most = places[np.argsort(-words.n_tokens[places], kind="stable")][:MOST_ITEMS]
    return np.sort(most)


def _means(
    firings: Firings, words: Words, claimed: list[Letter], missing: list[Integers], rng: np.random.Generator
) -> tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix]:
    """Return every feature's mean activation, and share of tokens, on each missing item.

    An item's tokens are those on which none of the letter's features fires, 50 at most.
    """
    by_item = np.argsort(words.place, kind="stable")
    starts = np.searchsorted(words.place[by_item], np.arange(len(words.items) + 1))
    chosen: list[Integers] = []
    for one, items in zip(claimed, missing, strict=True):
        fires = np.zeros(firings.n_tokens, bool)
        for feature in one.features:
            fires[firings.tokens_of(feature)] = True
        for item in items.tolist():
            tokens = by_item[starts[item] : starts[item + 1]]
            tokens = tokens[~fires[tokens]]
            chosen.append(np.sort(rng.permutation(tokens)[:TOKENS]))
    rows = np.unique(np.concatenate([np.zeros(0, np.int64), *chosen])).astype(np.int64)
    fired = gather(firings, rows)
    lengths = [len(tokens) for tokens in chosen]
    which = np.searchsorted(rows, np.concatenate([np.zeros(0, np.int64), *chosen])).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weights = np.repeat(1 / np.maximum(lengths, 1), lengths)
    mean = scipy.sparse.csr_matrix((weights, which, indptr), shape=(len(chosen), len(rows)))
    ones = np.asarray(np.asarray(fired.data) != 0, np.float64)
    share = scipy.sparse.csr_matrix((ones, fired.indices, fired.indptr), shape=fired.shape)
    return (mean @ fired).tocsr(), (mean @ share).tocsr()


def _like(
    firing_count: Integers, alive: Integers, own: Sequence[int], others: Sequence[int], rng: np.random.Generator
) -> Integers:
    """Return random features whose firing counts are next to that of a letter's best feature."""
    left = np.setdiff1d(alive, [*own, *others])
    apart = np.abs(np.log(firing_count[left] / firing_count[own[0]]))
    near = left[np.argsort(apart, kind="stable")[: 2 * RANDOM]]
    return np.sort(rng.permutation(near)[:RANDOM])


def _absorbing(
    one: Letter,
    items: Integers,
    words: Words,
    texts: Sequence[str],
    directions: Directions,
    counted: Counted,
    means: scipy.sparse.csr_matrix,
    shares: scipy.sparse.csr_matrix,
    others: Sequence[int],
    random: Integers,
) -> tuple[list[dict[str, Any]], tuple[float | None, float | None]]:
    """Return a row for each missing item of a letter, and the share of each control that the rule takes."""
    asked = np.concatenate([[one.features[0]], others, random]).astype(np.int64)
    cosines = (directions.decoder @ directions.decoder[asked].T).astype(np.float64)
    strength = np.where(counted.median[asked] > 0, counted.median[asked], np.inf)
    rows: list[dict[str, Any]] = []
    called = np.zeros((2, 2))
    for place, item in enumerate(items.tolist()):
        ids = means.indices[means.indptr[place] : means.indptr[place + 1]]
        mean = means.data[means.indptr[place] : means.indptr[place + 1]]
        if not len(ids):
            continue
        brought = mean[:, None] * cosines[ids] / strength
        brought[ids[:, None] == asked] = -np.inf
        best = brought.max(0)
        silent = np.asarray(shares[place, asked].todense()).ravel() <= MAX_SHARE
        silent[0] = True
        ranked = np.sort(best[silent])
        p = (len(ranked) - np.searchsorted(ranked, best)) / len(ranked)
        taken = silent & (best >= MIN_CONTRIBUTION) & (p <= MAX_P)
        for kind, part in enumerate((slice(1, 1 + len(others)), slice(1 + len(others), None))):
            called[kind] += taken[part].sum(), silent[part].sum()
        top = int(brought[:, 0].argmax())
        feature = int(ids[top])
        rows.append({
            "letter": LETTERS[one.letter], "token_id": int(words.items[item]), "text": texts[words.items[item]],
            "n_tokens": int(words.n_tokens[item]), "index": one.features[0],
            "letter_share": float(one.shares[item]), "absorbing": feature,
            "absorbing_share": min(float(shares[place, feature]), 1.0),
            "decoder_cosine": float(np.clip(cosines[feature, 0], -1, 1)), "contribution": float(best[0]),
            "p": float(p[0]),
        })  # fmt: skip
    rates = [float(hits / trials) if trials else None for hits, trials in called]
    return rows, (rates[0], rates[1])


def _letter_columns(
    letters: list[Letter], words: Words, found: list[dict[str, Any]], controls: list[tuple[float | None, float | None]]
) -> dict[str, list[Any]]:
    rows = []
    beside = iter(controls)
    for one in letters:
        own = words.letter == one.letter
        mine = [row for row in found if row["letter"] == LETTERS[one.letter]]
        by_letters, by_features = next(beside) if one.claimed else (None, None)
        rows.append({
            "letter": LETTERS[one.letter], "index": one.features[0], "split": list(one.features[1:]),
            "recall": one.recall, "precision": one.precision, "n_items": int(own.sum()),
            "n_missing": int((own & (one.shares <= MAX_SHARE)).sum()) if one.claimed else None,
            "n_absorbed": sum(row["absorbed"] for row in mine) if one.claimed else None,
            "control_letters": by_letters, "control_features": by_features,
        })  # fmt: skip
    return _columns(rows, _LETTER_NAMES)
