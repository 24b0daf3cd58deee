"""Whether candidates hold when the model is intervened on: what is asked, what is answered, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from atlas.absorption.counted import Counted
from atlas.absorption.directions import Integers
from atlas.absorption.measured import Pairs
from atlas.absorption.readout import STRONG
from atlas.firings import Firings
from atlas.tracking import Track, untracked

TOKENS = 8
"""Tokens of each feature that the model is run on."""
MIN_REVIVED = 0.5
FINDING, DROPPED, CANDIDATE = "finding", "dropped", "candidate"


@dataclass(frozen=True)
class Question:
    """What is asked of the model about one candidate.

    Attributes
    ----------
    child, parent, random_parent : int
        The random one fires about as often as the parent.
    tokens : int64
        Tokens on which the child fires and the parent is silent: rows of the token table.
    parent_tokens, random_tokens : int64
        Tokens on which the two parents fire.
    """

    child: int
    parent: int
    random_parent: int
    tokens: Integers
    parent_tokens: Integers
    random_tokens: Integers


@dataclass(frozen=True)
class Answer:
    """What the intervention gave.

    Attributes
    ----------
    n_tokens : int
        Of the child's tokens, those on which the model gave the child's activation again.
    revived_share : float
        Of these, those on which the parent fires once what the child adds beside the parent's direction is taken
        from the activation: a (W_dec_child - (W_dec_child . W_dec_parent) W_dec_parent).
    revived_control : float
        The same with the strongest other feature of the token in the child's place.
    effect_cosine : float
        Cosine of two changes of the next token's log-probabilities: when the child is taken away on its tokens,
        and when the parent is on the parent's.
    effect_control : float
        The same with the random parent's.
    """

    n_tokens: int
    revived_share: float
    revived_control: float
    effect_cosine: float
    effect_control: float


class Intervene(Protocol):
    """Answers questions by running a model."""

    def __call__(self, questions: Sequence[Question], *, track: Track) -> Sequence[Answer]:
        """Return an answer to each question, in their order."""
        ...


def questions_of(
    firings: Firings, counted: Counted, alive: Integers, pairs: Pairs, *, n_tokens: int, seed: int
) -> list[Question]:
    """Return a question for each pair."""
    rng = np.random.default_rng([seed, 57])
    order = alive[np.lexsort((alive, counted.firing_count[alive]))]
    found = []
    for child, parent in zip(pairs.child.tolist(), pairs.parent.tolist(), strict=True):
        others = order[(order != child) & (order != parent)]
        place = np.searchsorted(counted.firing_count[others], counted.firing_count[parent])
        near = others[max(0, place - 20) : place + 20]
        random_parent = int(rng.choice(near)) if len(near) else parent
        silent = np.setdiff1d(firings.tokens_of(child), firings.tokens_of(parent), assume_unique=True)
        sets = (silent, _strong(firings, counted, parent), _strong(firings, counted, random_parent))
        tokens = [np.sort(rng.permutation(some)[:n_tokens]).astype(np.int64) for some in sets]
        found.append(Question(child, parent, random_parent, *tokens))
    return found


def _strong(firings: Firings, counted: Counted, feature: int) -> Integers:
    rows, activations = firings.contexts_of(feature)
    found: Integers = rows[activations >= STRONG * counted.median[feature]].astype(np.int64)
    return found


def status_of(answer: Answer) -> str:
    """Return the verdict on a candidate.

    `finding`: on half of the tokens or more the parent fires again once the child's own part is gone, more often
    than for another feature of these tokens, and what the child does to the next token is more like what the parent
    does than what a random parent does. `dropped`: not so. `candidate`: no token gave an answer.

    That the parent comes back shows that the child holds it down and that its direction is there; the likeness
    of effects shows that the model reads the two alike. Neither shows that the word is an instance of what
    the parent stands for: two contexts of one word may pass as well.
    """
    if not answer.n_tokens:
        return CANDIDATE
    revived = answer.revived_share >= MIN_REVIVED and answer.revived_share > answer.revived_control
    return FINDING if revived and answer.effect_cosine > answer.effect_control else DROPPED


def ask(
    intervene: Intervene,
    firings: Firings,
    counted: Counted,
    alive: Integers,
    pairs: Pairs,
    *,
    n_tokens: int,
    seed: int,
    track: Track = untracked,
) -> list[Answer]:
    """Return the answers about pairs."""
    return list(intervene(questions_of(firings, counted, alive, pairs, n_tokens=n_tokens, seed=seed), track=track))
