"""What planted worlds are put together from: features, their causes, topics and a background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from atlas.score.latent import Cause, Floats, Generator

N_KINDS = 4
N_ITEMS = 600
BACKGROUND_SHARE = 0.07
"""Share of the features that co-fire with everything."""
REACH = 0.32
"""Causes that such a feature follows, as expected causes a token: more would leave no lift."""
FOLLOWED = 0.95
"""Share of its firings that come from them, at most."""
MAX_RATE = 0.95
"""Largest probability of a cause on a token, which a topic may raise it to."""
LIFT = 4.0
"""How much more often it fires where such a cause is there, at most, over its density."""


class Planting:
    """A world while it is planted: numbers features and collects causes.

    Parameters
    ----------
    rng
        Everything that is drawn comes from it.
    n_tokens
        Tokens of the world, about.
    n_kinds
        Kinds of documents, which are its topics.
    """

    def __init__(self, rng: np.random.Generator, *, n_tokens: int, n_kinds: int = N_KINDS) -> None:
        self.rng = rng
        self.n_kinds = n_kinds
        self.d_sae = 0
        self.groups: list[tuple[Cause, ...]] = []
        self.apart: set[int] = set()  # groups that make one feature fire, which nothing else follows
        self.item_effects: list[tuple[int, int, float]] = []
        self.lengths = self._lengths(n_tokens)
        self.kinds = rng.permutation(np.arange(len(self.lengths)) % n_kinds)
        self.items = self._zipf()
        self.level_cv = 0.0

    def features(self, n: int) -> list[int]:
        """Return the next n features."""
        self.d_sae += n
        return list(range(self.d_sae - n, self.d_sae))

    def rates(self, rate: float, *, spread: float = 0.5) -> tuple[float, ...]:
        """Return a rate for each kind of document: log-normal around `rate`, the mean over tokens kept."""
        drawn = np.exp(spread * self.rng.standard_normal(self.n_kinds))
        tokens = np.bincount(self.kinds, self.lengths, minlength=self.n_kinds)
        return tuple((rate * drawn * tokens.sum() / (drawn @ tokens)).tolist())

    def cause(self, rate: float, effects: Sequence[tuple[int, float]], *, run: int = 1, leveled: bool = False) -> None:
        """Add a cause that is independent of all others."""
        self.given(self.rates(rate), effects, run=run, leveled=leveled)

    def given(
        self,
        rates: Sequence[float] | Floats,
        effects: Sequence[tuple[int, float]],
        *,
        run: int = 1,
        leveled: bool = False,
    ) -> None:
        """Add a cause of these rates, one for each kind of document."""
        bounded = np.minimum(rates, MAX_RATE).tolist()
        self.groups.append((Cause(tuple(bounded), tuple(effects), run, leveled),))

    def concentrated(self, rate: float, kind: int, *, inside: float | None = None) -> Floats:
        """Return rates that are `inside` in one kind and 0 elsewhere, or of mean `rate`, 19 in 20 of it in there."""
        if inside is not None:
            return np.where(np.arange(self.n_kinds) == kind, inside, 0.0)
        tokens = np.bincount(self.kinds, self.lengths, minlength=self.n_kinds)
        here = tokens[kind]
        share = np.where(np.arange(self.n_kinds) == kind, 0.95 / here, 0.05 / (tokens.sum() - here))
        rates: Floats = rate * tokens.sum() * share
        return rates

    def exclusive(self, rate: Sequence[float], effects: Sequence[Sequence[tuple[int, float]]]) -> None:
        """Add causes that exclude each other, with one topic for all of them."""
        topic = np.asarray(self.rates(1.0))
        self.groups.append(
            tuple(Cause(tuple((r * topic).tolist()), tuple(e)) for r, e in zip(rate, effects, strict=True))
        )

    def independent(self, n: int, *, low: float = 0.01, high: float = 0.05) -> list[int]:
        """Add features that fire by themselves, with densities between two bounds."""
        found = self.features(n)
        for feature in found:
            self.alone(self.rng.uniform(low, high), feature)
        return found

    def alone(self, rate: float, feature: int, *, run: int = 1, leveled: bool = False) -> None:
        """Add a cause of one feature's own, which nothing in the background follows."""
        self.apart.add(len(self.groups))
        self.cause(rate, [(feature, 1.0)], run=run, leveled=leveled)

    def background(self) -> None:
        """Add what real firings have beside structure.

        Independent features on tokens of uneven level, a quarter of them in bursts; graded synonyms;
        sub-topics, which are features that fire now and then over stretches of thirty tokens; and dense-ish
        features that co-fire with nearly everything planted.
        """
        planted = self.d_sae
        self.level_cv = 0.6
        for number, feature in enumerate(self.features(max(12, planted // 8))):
            rate = self.rng.uniform(0.01, 0.05)
            self.alone(rate, feature, run=5 if number % 4 == 0 else 1, leveled=number % 4 != 0)
        for _ in range(max(2, planted // 40)):
            triple = self.features(3)
            self.cause(self.rng.uniform(0.004, 0.01), list(zip(triple, (0.9, 0.6, 0.3), strict=True)))
        for _ in range(max(1, planted // 60)):
            weights = self.rng.uniform(0.15, 0.4, 6).tolist()
            self.cause(self.rng.uniform(0.01, 0.02), list(zip(self.features(6), weights, strict=True)), run=30)
        self._followers(max(3, round(BACKGROUND_SHARE / (1 - BACKGROUND_SHARE) * self.d_sae)))

    def generator(self) -> Generator:
        """Return what was planted."""
        return Generator(
            self.d_sae,
            self.kinds,
            self.lengths,
            tuple(self.groups),
            self.items,
            tuple(self.item_effects),
            self.level_cv,
        )

    def _followers(self, n: int) -> None:
        """Add dense-ish features that follow causes, drawn until they make up `REACH`, and items likewise."""
        share = self.items.T @ np.bincount(self.kinds, self.lengths, minlength=self.n_kinds) / self.lengths.sum()
        items = sorted({item for item, _, _ in self.item_effects})
        causes = [(number, place) for number, group in enumerate(self.groups) if number not in self.apart
                  for place in range(len(group))]  # fmt: skip
        mass = [float(np.mean(self.groups[number][place].rates)) for number, place in causes]
        mass += [float(share[item]) for item in items]
        followed: dict[int, list[tuple[int, float]]] = {}
        for feature in self.features(n):
            density = self.rng.uniform(0.02, 0.09)
            order = self.rng.permutation(len(mass))
            reached = order[np.cumsum(np.take(mass, order)) <= REACH] if len(mass) else order
            total = float(np.sum(np.take(mass, reached))) if len(reached) else 0.0
            weight = density * min(LIFT, FOLLOWED / total) if total else 0.0
            for cause in reached.tolist():
                followed.setdefault(cause, []).append((feature, weight * float(self.rng.uniform(0.6, 1.4))))
            self.alone(density - weight * total, feature, leveled=True)
        for cause, effects in followed.items():
            if cause >= len(causes):
                self.item_effects += [(items[cause - len(causes)], *effect) for effect in effects]
                continue
            number, place = causes[cause]
            group = list(self.groups[number])
            old = group[place]
            group[place] = Cause(old.rates, (*old.effects, *effects), old.run, old.leveled)
            self.groups[number] = tuple(group)

    def _lengths(self, n_tokens: int) -> npt.NDArray[np.int64]:
        """Return the lengths of documents: some of them longer than a stratum may be."""
        drawn = self.rng.integers(150, 700, max(2, round(n_tokens / 425)))
        lengths: npt.NDArray[np.int64] = np.maximum(50, np.rint(drawn * n_tokens / drawn.sum())).astype(np.int64)
        return lengths

    def _zipf(self) -> Floats:
        """Return item probabilities: Zipf's, with a topic of their own in each kind of document."""
        weights = np.exp(0.7 * self.rng.standard_normal((self.n_kinds, N_ITEMS))) / (np.arange(N_ITEMS) + 5.0)
        shares: Floats = weights / weights.sum(1, keepdims=True)
        return shares
