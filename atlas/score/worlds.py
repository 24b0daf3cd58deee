"""The planted worlds W0 to W4 and W9 to W11: firings whose structure is known, each a pure function of a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from atlas.score.latent import Expected, Sample, expected_pairs, sample, stratum_crowding
from atlas.score.planting import Planting

N_TOKENS = 80_000
SMALL = 0.3
"""Share of the tokens that a small world has; its structures are fewer, and fire more often."""


@dataclass(frozen=True)
class Truth:
    """What was planted, by feature index.

    Attributes
    ----------
    planted : int
        Features 0 to planted - 1 are the world's; the ones from there on are background.
    stars : tuple of (hub, leaves)
        Parents with their exclusive children.
    cliques, communities : tuple of tuple of int
    parents : frozenset of (parent, child)
        The direct edges of the forest.
    dense : tuple of int
        Features too dense to be tested.
    """

    planted: int
    stars: tuple[tuple[int, tuple[int, ...]], ...] = ()
    cliques: tuple[tuple[int, ...], ...] = ()
    communities: tuple[tuple[int, ...], ...] = ()
    parents: frozenset[tuple[int, int]] = frozenset()
    dense: tuple[int, ...] = ()


@dataclass(frozen=True)
class World:
    """A world's firings and what is true of them."""

    name: str
    sample: Sample
    truth: Truth
    expected: Expected


@dataclass
class _Scale:
    """How large a world is: a small one has a share of the tokens and rates that make up for it."""

    small: bool
    n_tokens: int = field(init=False)
    rate: float = field(init=False)

    def __post_init__(self) -> None:
        self.n_tokens = round(N_TOKENS * (SMALL if self.small else 1.0))
        self.rate = 1 / SMALL**0.7 if self.small else 1.0

    def n(self, whole: int) -> int:
        """Return how many of something there are."""
        return max(2, whole // 3) if self.small else whole


def _lexical(p: Planting, scale: _Scale) -> Truth:
    """W0: features fire on items of their own set with probability .2 to .9, and on nothing else."""
    order = p.rng.permutation(np.arange(3, 250))  # the most frequent items would make dense features
    for feature in p.features(scale.n(150)):
        start = int(p.rng.integers(0, len(order) - 12))
        own = order[start + p.rng.permutation(12)[: p.rng.integers(1, 10)]]
        p.item_effects += [(int(item), feature, float(p.rng.uniform(0.2, 0.9))) for item in own]
    return Truth(p.d_sae)


def _stars(p: Planting, scale: _Scale, sizes: tuple[int, ...]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Plant parents that fire where one of their exclusive children does, and a little beside."""
    found = []
    for size in sizes:
        hub, *leaves = p.features(1 + size)
        rate = (p.rng.uniform(0.0033, 0.0043, size) * scale.rate).tolist()
        p.exclusive(
            [*rate, 0.05 * sum(rate)], [*([(leaf, 1.0), (hub, 0.98)] for leaf in leaves), [(hub, 1.0)]]
        )  # fmt: skip
        found.append((hub, tuple(leaves)))
    return tuple(found)


def _parents(p: Planting, scale: _Scale) -> Truth:
    """W1: parents with 2 to 20 exclusive children, beside independent features."""
    sizes = (2, 3, 5, 6, 8) if scale.small else (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20)
    stars = _stars(p, scale, sizes)
    p.independent(scale.n(60))
    return Truth(p.d_sae, stars=stars)


def _plant_cliques(p: Planting, scale: _Scale, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Plant cliques whose members fire from one pool."""
    found = []
    for size in sizes:
        members = tuple(p.features(size))
        p.cause(p.rng.uniform(0.004, 0.008) * scale.rate, [(m, p.rng.uniform(0.6, 0.95)) for m in members])
        found.append(members)
    return tuple(found)


def _cliques(p: Planting, scale: _Scale) -> Truth:
    """W2: cliques of 3 to 8, each with a joint pool, beside independent features."""
    sizes = tuple(range(3, 9)) * (1 if scale.small else 2)
    cliques = _plant_cliques(p, scale, sizes)
    p.independent(scale.n(60))
    return Truth(p.d_sae, cliques=cliques)


def _topics(p: Planting, scale: _Scale) -> Truth:
    """W3: features of a topic fire ten times as often in its documents, each token by itself."""
    for number, feature in enumerate(p.features(scale.n(150))):
        rate = np.full(p.n_kinds, 0.004)
        rate[number % p.n_kinds] = p.rng.uniform(0.03, 0.08)
        p.given(rate, [(feature, 1.0)])
    return Truth(p.d_sae)


def _forest(p: Planting, scale: _Scale, n_trees: int, *, n_homes: int = 0) -> frozenset[tuple[int, int]]:
    """Plant trees of depth 3, one leaf in eight with a second parent, every step up missing one time in twenty.

    The first `n_homes` trees fire in the documents of one kind, tree i in kind i, and hardly elsewhere.
    """
    above: dict[int, list[int]] = {}
    middles = []
    home: dict[int, int] = {}
    for tree in range(n_trees):
        root = p.features(1)[0]
        above[root] = []
        middles += (some := p.features(int(p.rng.integers(2, 5))))
        above |= {middle: [root] for middle in some}
        home |= dict.fromkeys([root, *some], tree)
    for middle in middles:
        leaves = p.features(int(p.rng.integers(2, 5)))
        home |= dict.fromkeys(leaves, home[middle])
        others = [other for other in middles if home[other] != home[middle]]
        for leaf in leaves:
            second = [int(p.rng.choice(others))] if others and p.rng.random() < 1 / 8 else []
            above[leaf] = [middle, *second]
    inner = {parent for parents in above.values() for parent in parents}
    for node, tree in home.items():
        own = scale.rate * (0.001 if node in inner else float(np.exp(p.rng.uniform(*np.log([0.0006, 0.004])))))
        effects = [(ancestor, 0.95**steps) for ancestor, steps in sorted(_steps(node, above).items())]
        if tree < n_homes:
            p.given(p.concentrated(own, tree), effects)
        else:
            p.cause(own, effects)
    return frozenset((parent, child) for child, parents in above.items() for parent in parents)


def _steps(node: int, above: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Return the fewest steps from a node up to itself, which is 0, and to each of its ancestors."""
    found, here = {node: 0}, [node]
    while here:
        here = [parent for lower in here for parent in above.get(lower, ()) if parent not in found]
        found |= {parent: max(found.values()) + 1 for parent in here}
    return found


def _hierarchy(p: Planting, scale: _Scale) -> Truth:
    """W4: a forest of depth 3, beside features that cover the documents of one tree, dense and independent ones."""
    n_homes = scale.n(4)
    parents = _forest(p, scale, scale.n(9), n_homes=n_homes)
    for kind, feature in enumerate(p.features(n_homes)):
        p.apart.add(len(p.groups))
        p.given(p.concentrated(0.0, kind, inside=p.rng.uniform(0.85, 0.95)), [(feature, 1.0)])
    dense = p.independent(3, low=0.15, high=0.4)
    p.independent(scale.n(60))
    return Truth(p.d_sae, parents=parents, dense=tuple(dense))


def _plant_communities(p: Planting, scale: _Scale, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Plant communities of overlapping pools, and bridges: causes that two of them share.

    Up to eight members have one pool. More have pools of about sqrt(2 n), each member in two of them.
    """
    found: list[tuple[int, ...]] = []
    for size in sizes:
        members = tuple(p.features(size))
        n_pools = 1 if size <= 8 else round(2 * size / np.sqrt(2 * size))
        chosen = [p.rng.permutation(n_pools)[:2].tolist() for _ in members]
        for pool in range(n_pools):
            some = [member for member, own in zip(members, chosen, strict=True) if pool in own]
            p.cause(p.rng.uniform(0.002, 0.004) * scale.rate, [(m, p.rng.uniform(0.5, 0.8)) for m in some])
        found.append(members)
    for number, members in enumerate(found):
        other = found[(number + 1) % len(found)]
        for _ in range(2 if p.rng.random() < 0.5 else 0):
            ends = [int(p.rng.choice(members)), int(p.rng.choice(other))]
            p.cause(0.0015 * scale.rate, [(end, 0.8) for end in ends])
    return tuple(found)


def _communities(p: Planting, scale: _Scale) -> Truth:
    """W9: communities of 3 to 120, half of them with two bridges to the next, beside independent features."""
    sizes = (3, 4, 6, 10, 30) if scale.small else (3, 3, 4, 5, 6, 8, 12, 20, 40, 80, 120)
    communities = _plant_communities(p, scale, sizes)
    p.independent(scale.n(150))
    return Truth(p.d_sae, communities=communities)


def _rare(p: Planting, scale: _Scale) -> Truth:
    """W10: pairs that fire 10 to 80 times, features that fire less than 20 times, and dense features."""
    for _ in range(scale.n(60)):
        pair = p.features(2)
        seen = float(np.exp(p.rng.uniform(np.log(10), np.log(80))))
        p.cause(seen / scale.n_tokens, [(pair[0], 1.0), (pair[1], 0.9)])
    for feature in p.features(scale.n(20)):
        p.alone(8 / scale.n_tokens, feature)
    dense = p.independent(10, low=0.13, high=0.4)
    p.independent(scale.n(60))
    return Truth(p.d_sae, dense=tuple(dense))


def _everything(p: Planting, scale: _Scale) -> Truth:
    """W11: stars, cliques, a forest and communities, to be shuffled."""
    _stars(p, scale, (3, 6) if scale.small else (3, 6, 10, 15))
    _plant_cliques(p, scale, (3, 5) if scale.small else (3, 4, 5, 6, 8))
    _forest(p, scale, 2)
    _plant_communities(p, scale, (4, 10) if scale.small else (4, 10, 40))
    p.independent(scale.n(60))
    return Truth(p.d_sae)


PLANTED: dict[str, Callable[[Planting, _Scale], Truth]] = {
    "W0": _lexical,
    "W1": _parents,
    "W2": _cliques,
    "W3": _topics,
    "W4": _hierarchy,
    "W9": _communities,
    "W10": _rare,
    "W11": _everything,
}
"""The worlds of firings; W8 is one of graphs."""


def planted_world(name: str, seed: int, *, background: bool = False, small: bool = False) -> World:
    """Return a world: same name, seed and options, same world.

    Parameters
    ----------
    name
        One of `PLANTED`.
    background
        Whether it has a background, as real firings have.
    small
        A third of the tokens and of the structures, for tests.
    """
    rng = np.random.default_rng([seed, int(name[1:]), background, small])
    scale = _Scale(small)
    p = Planting(rng, n_tokens=scale.n_tokens, n_kinds={"W3": 6, "W4": 12}.get(name, 4))
    truth = PLANTED[name](p, scale)
    if background:
        p.background()
    generator = p.generator()
    drawn = sample(generator, rng)
    expected = expected_pairs(generator, crowding=stratum_crowding(drawn))
    if name == "W11":
        drawn = shuffled(drawn, rng, shift=background)
        none = np.zeros_like(expected.dependent)
        expected = replace(expected, dependent=none, exclusive=none)
    return World(name, drawn, truth, expected)


def shuffled(drawn: Sample, rng: np.random.Generator, *, shift: bool) -> Sample:
    """Return the firings with each feature's moved within each document: every margin n_id is kept.

    Parameters
    ----------
    shift
        Whether they are shifted in a circle, which keeps runs, or permuted, which does not.
    """
    firing = np.empty_like(drawn.firing)
    starts = np.flatnonzero(np.diff(drawn.document, prepend=-1))
    for low, high in zip(starts, [*starts[1:], len(drawn.document)], strict=True):
        some = drawn.firing[low:high]
        if shift:
            places = (np.arange(high - low)[:, None] + rng.integers(0, high - low, some.shape[1])) % (high - low)
        else:
            places = np.argsort(rng.random(some.shape), axis=0)
        firing[low:high] = np.take_along_axis(some, places, axis=0)
    return Sample(firing, drawn.items, drawn.document)


def ancestors(parents: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """Return the transitive closure of (parent, child) pairs."""
    above: dict[int, list[int]] = {}
    for parent, child in parents:
        above.setdefault(child, []).append(parent)
    return frozenset((one, node) for node in above for one, steps in _steps(node, above).items() if steps)
