"""The planted world W12: sets of features that compose, that are rival readings of a token, and that do neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.score.latent import Bools, Integers, Sample, sample
from atlas.score.planting import N_ITEMS, Planting
from atlas.score.recording import SPREAD
from atlas.score.worlds import N_TOKENS, SMALL

FREQUENT, SEEN = 40, 300
"""Places in the order of frequency: rival readings are of items before the first, parts on items before the second."""
CUT = 0.08
"""Share of the belief from which a reading's feature fires."""
ALONE = 0.2
"""With a background a feature fires by itself this often for every time that it fires with its set."""
DRIFT = 0.15
"""How much that rate follows the place in the context: standard deviation, a doubling of the place."""
LARGEST, N_SETS = 8, 12
"""Members that a set has at most; sets of each kind."""


@dataclass(frozen=True)
class PlantedSet:
    """A set of features and what it does: `composition`, `ambiguity`, or the name of a control."""

    kind: str
    members: tuple[int, ...]
    hub: int


@dataclass(frozen=True)
class Readings:
    """The firings, with their activations, and the sets planted in them."""

    sample: Sample
    sets: tuple[PlantedSet, ...]


@dataclass
class _Plot:
    """What sets are planted into: tokens of known items and places, and what fires so far.

    Activations are log-normal. With a background a feature also fires by itself, more at some places of the context
    than at others, and all activations of a token share a factor. `share` is that of the tokens of a whole world.
    """

    rng: np.random.Generator
    drawn: Sample
    kinds: Integers
    background: bool
    share: float
    position: Integers = field(init=False)
    firing: Bools = field(init=False)
    activations: npt.NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        document, shape = self.drawn.document, self.drawn.firing.shape
        starts = np.flatnonzero(np.diff(document, prepend=-1))
        self.position = np.arange(shape[0]) - np.repeat(starts, np.diff([*starts, shape[0]]))
        self.firing = self.drawn.firing.copy()
        logs = SPREAD * self.rng.standard_normal(shape, np.float32) + self.rng.standard_normal(shape[1], np.float32)
        if self.background:
            logs += 0.15 * self.rng.standard_normal((shape[0], 1), np.float32)
        self.activations = np.exp(logs)

    def choose(self, n: int, before: int) -> Integers:
        """Return n items among the first of the order of frequency; fewer are frequent enough in a small world."""
        return self.rng.permutation(max(n, round(before * self.share)))[:n]

    def on(self, items: Integers | list[int]) -> Bools:
        """Return the tokens of some items."""
        return np.isin(self.drawn.items, items)

    def chance(self, probability: Any) -> Bools:
        """Return tokens drawn with a probability, one for all or one each."""
        drawn: Bools = self.rng.random(len(self.position)) < probability
        return drawn

    def fire(self, feature: int, where: Bools, factor: Any = 1.0) -> None:
        """Make a feature fire on tokens, there with its activation times a factor."""
        self.firing[:, feature] |= where
        self.activations[:, feature] *= np.where(where, factor, 1.0)
        if self.background:
            drift = DRIFT * self.rng.standard_normal() * (np.log2(1 + self.position) - 7)
            self.firing[:, feature] |= self.chance(ALONE * where.mean() * np.exp(drift))


def _parts(plot: _Plot, members: list[int]) -> None:
    """Plant parts: each of many items has two or more of them, which fire at all places and add up.

    Strengths differ from item to item and share a factor on each token: uncorrelated, or positively.
    """
    rng = plot.rng
    items = plot.choose(int(rng.integers(8, 30)), SEEN)
    of_item = rng.random((len(items), len(members))) < rng.uniform(0.4, 0.7)
    for row in of_item:
        row[rng.permutation(len(members))[:2]] = True
    together = np.exp(rng.uniform(0, 0.3) * rng.standard_normal(len(plot.position)))
    for place, feature in enumerate(members):
        own = items[of_item[:, place]]
        offset = np.exp(0.3 * rng.standard_normal(N_ITEMS))
        where = plot.on(own) & plot.chance(rng.uniform(0.6, 0.95))
        plot.fire(feature, where, offset[plot.drawn.items] * together)


def _star_of_parts(plot: _Plot, members: list[int]) -> None:
    """Plant a hub that fires on many items, and leaves that each fire on some of them."""
    rng = plot.rng
    hub, *leaves = members
    items = plot.choose(max(len(leaves) * 2, int(rng.integers(8, 30))), SEEN)
    together = np.exp(rng.uniform(0, 0.3) * rng.standard_normal(len(plot.position)))
    for own, feature in zip(np.array_split(items, len(leaves)), leaves, strict=True):
        plot.fire(feature, plot.on(own) & plot.chance(rng.uniform(0.6, 0.95)), together)
    plot.fire(hub, plot.on(items) & plot.chance(0.95), together)


def _belief(plot: _Plot, n: int) -> npt.NDArray[np.float64]:
    """Return how far each token's context believes in each of n readings: rows sum to 1, and sharpen with context."""
    rng = plot.rng
    true = rng.choice(n, len(plot.position), p=rng.dirichlet(np.full(n, 4.0)))
    strength = rng.uniform(0.2, 0.6) + rng.uniform(0.3, 0.6) * np.log2(1 + plot.position)
    logits = strength[:, None] * ((true[:, None] == np.arange(n)) + 0.5 * rng.standard_normal((len(true), n)))
    belief = np.exp(logits - logits.max(1, keepdims=True))
    shares: npt.NDArray[np.float64] = belief / belief.sum(1, keepdims=True)
    return shares


def _readings(plot: _Plot, members: list[int]) -> None:
    """Plant rival readings of one item: a feature fires as strongly as the context believes in its reading."""
    where, belief = plot.on(plot.choose(1, FREQUENT)), _belief(plot, len(members))
    for place, feature in enumerate(members):
        plot.fire(feature, where & (belief[:, place] > CUT), belief[:, place])


def _star_of_readings(plot: _Plot, members: list[int]) -> None:
    """Plant rival readings under a hub that fires on the item whatever it means."""
    where, belief = plot.on(plot.choose(1, FREQUENT)), _belief(plot, len(members) - 1)
    for place, feature in enumerate(members[1:]):
        plot.fire(feature, where & (belief[:, place] > CUT), belief[:, place])
    plot.fire(members[0], where & plot.chance(0.97))


def _family(plot: _Plot, members: list[int]) -> None:
    """Plant features of one item that fire on it or not, whatever the context: no reading rules out another."""
    where = plot.on(plot.choose(1, FREQUENT))
    together = np.exp(plot.rng.uniform(0, 0.3) * plot.rng.standard_normal(len(plot.position)))
    for feature in members:
        plot.fire(feature, where & plot.chance(plot.rng.uniform(0.5, 0.95)), together)


def _pool(plot: _Plot, members: list[int]) -> None:
    """Plant features that fire together on tokens that are drawn at random: no item says which."""
    where = plot.chance(plot.rng.uniform(0.005, 0.02))
    for feature in members:
        plot.fire(feature, where & plot.chance(plot.rng.uniform(0.6, 0.95)))


def _topic(plot: _Plot, members: list[int]) -> None:
    """Plant features of one subject: often in its documents, each token by itself."""
    own = plot.kinds[plot.drawn.document] == plot.rng.integers(plot.kinds.max() + 1)
    for feature in members:
        plot.fire(feature, plot.chance(np.where(own, plot.rng.uniform(0.03, 0.1), 0.004)))


def _independent(plot: _Plot, members: list[int]) -> None:
    """Plant features that fire by themselves."""
    for feature in members:
        plot.fire(feature, plot.chance(plot.rng.uniform(0.01, 0.05)))


KINDS: dict[str, tuple[tuple[Callable[[_Plot, list[int]], None], int], ...]] = {
    "composition": ((_parts, 2), (_star_of_parts, 4)),
    "ambiguity": ((_readings, 2), (_star_of_readings, 4)),
    "one item": ((_family, 2),),
    "pool": ((_pool, 2),),
    "topic": ((_topic, 2),),
    "independent": ((_independent, 2),),
}
"""Of each kind how sets are planted, and the members that one has at least. All but the first two are controls."""


def planted_readings(seed: int, *, background: bool = False, small: bool = False) -> Readings:
    """Return the world W12: same seed and options, same world.

    Parameters
    ----------
    background
        Whether features fire beside their sets, activations share a factor, and there is what other worlds'
        background has.
    small
        A third of the tokens, and as many sets.
    """
    rng = np.random.default_rng([seed, 12, background, small])
    share = SMALL if small else 1.0
    p = Planting(rng, n_tokens=round(N_TOKENS * share))
    plans = []
    for kind, forms in KINDS.items():
        for plant, least in forms:
            for _ in range(N_SETS // len(forms)):
                plans.append((kind, plant, p.features(int(rng.integers(least, LARGEST + 1)))))
    if background:
        p.background()
    plot = _Plot(rng, sample(p.generator(), rng), p.kinds, background, share)
    for _, plant, members in plans:
        plant(plot, members)
    drawn = replace(plot.drawn, firing=plot.firing, activations=plot.activations)
    return Readings(drawn, tuple(PlantedSet(kind, tuple(members), members[0]) for kind, _, members in plans))
