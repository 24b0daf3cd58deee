"""Which sets of points may be rings: sets of features from the graph, and the items on which they fire."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Run
from atlas.communities import LEVELS
from atlas.communities.stage import DECODER_TREE, kept_edges
from atlas.mapped import map_arrays
from atlas.ranking import largest
from atlas.rings.centroids import Centroids
from atlas.tracking import Track, untracked

Integers = npt.NDArray[np.int64]
_MOST_DROP = 1e6
LARGEST = 200
"""Features of a decoder cluster at most: beyond that, the tree joins what has little in common."""


@dataclass(frozen=True)
class FeatureSet:
    """A set of features that may hold a manifold.

    Attributes
    ----------
    source : str
        `coarse`, `middle`, `fine`, `ego` or `decoder`.
    number : int
        Number of the community, index of the hub, or number of the join in the decoder tree.
    features : int64, ascending
    """

    source: str
    number: int
    features: Integers


@dataclass(frozen=True)
class Rules:
    """What makes a candidate, and what makes it a ring.

    Parameters
    ----------
    min_points, max_points
        Points of a candidate.
    min_evenness
        The set's activation on the weakest of its items, over that on the strongest, at least.
    min_drop
        Its activation on the weakest of its items, over that on the next item of the vocabulary, at least.
    min_share
        Share of a feature's activation that lies on the items, for the feature to be a member.
    min_overlap
        Jaccard index from which two sets of points are one.
    max_radius_cv
        Coefficient of variation of the radii of a ring, below this.
    max_gap
        Largest angular gap of a ring, over the even one, below this, or below a quarter of the circle.
    min_roundness
        Variance along the lesser of a plane's two components, over that along the greater, at least.
    min_over_simplex
        Share of variance on the plane over that of a simplex, at least.
    min_agreement
        Cosine of the points' places on the plane in the two halves of the documents, at least.
    min_closure
        Likeness across the largest gap, at least.
    q
        False-discovery rate, of each geometry over the distinct sets of points.
    """

    min_points: int = 6
    max_points: int = 40
    min_evenness: float = 0.5
    min_drop: float = 2.0
    min_share: float = 0.05
    min_overlap: float = 0.5
    max_radius_cv: float = 0.35
    max_gap: float = 2.5
    min_roundness: float = 0.5
    min_over_simplex: float = 1.25
    min_agreement: float = 0.5
    min_closure: float = 0.3
    q: float = 0.05


@dataclass(frozen=True)
class ItemSet:
    """Vocabulary items on which one set of features or more fires alike, and on nothing else.

    Attributes
    ----------
    items : int64, ascending
    drop : float
        The largest drop of activation to the next item, over the sets that give these items.
    source : FeatureSet
        The set of that drop.
    found_in : int
        Sets that give these items, or items that overlap with them.
    """

    items: Integers
    drop: float
    source: FeatureSet
    found_in: int


def feature_sets(run: Run) -> list[FeatureSet]:
    """Return the sets of features: communities of every level, each feature with its neighbours, decoder clusters.

    A feature's neighbours are those on the backbone, rarer or not: one feature of a distributed code sees the others.
    """
    return [*_communities(run), *_egos(run), *_decoder_clusters(run.artifact("40-clusters").path)]


def _communities(run: Run) -> Iterator[FeatureSet]:
    table = run.artifact("40-clusters").table("membership")
    index, cluster = (table[name].to_numpy() for name in ("index", "cluster"))
    level = np.asarray(table["level"].to_pylist())
    for name in LEVELS:
        some = level == name
        yield from (FeatureSet(name, int(n), m) for n, m in _groups(cluster[some], index[some]))


def _egos(run: Run) -> Iterator[FeatureSet]:
    table = kept_edges(run, "CO_OCCURS", ("a", "b"))
    a, b = table["a"].to_numpy(), table["b"].to_numpy()
    for hub, others in _groups(np.concatenate([a, b]), np.concatenate([b, a])):
        yield FeatureSet("ego", int(hub), np.union1d(others, [hub]))


def _decoder_clusters(directory: Path) -> Iterator[FeatureSet]:
    if not (directory / DECODER_TREE).exists():
        return
    tree = map_arrays(directory / DECODER_TREE)
    parts: dict[int, Integers] = {node: np.array([node]) for node in range(len(tree["features"]))}
    features = np.asarray(tree["features"], np.int64)
    for number, (first, second) in enumerate(np.asarray(tree["joined"], np.int64).tolist()):
        one, other = parts.pop(first, None), parts.pop(second, None)
        if one is None or other is None or len(one) + len(other) > LARGEST:
            continue  # what holds too large a part is too large itself
        parts[len(features) + number] = joined = np.concatenate([one, other])
        yield FeatureSet("decoder", number, np.sort(features[joined]))


def _groups(key: Integers, value: Integers) -> Iterator[tuple[int, Integers]]:
    if not len(key):
        return
    order = np.lexsort((value, key))
    names, starts = np.unique(key[order], return_index=True)
    yield from zip(names.tolist(), np.split(value[order].astype(np.int64), starts[1:]), strict=True)


def item_sets(
    sets: Sequence[FeatureSet], known: Centroids, rules: Rules, *, track: Track = untracked, label: str = "items"
) -> tuple[list[ItemSet], int]:
    """Return the distinct sets of items, and how many sets of features fire alike on too few items.

    The items are ranked by the set's summed mean activation r. A candidate is the first k of them where r_k is half of
    r_1 or more (the set fires on all of them alike) and twice r_(k+1) or more (and on nothing else nearly as much); of
    several such k the one of the largest drop. No word is given, and no feature has to be about one item. Sets of
    items whose Jaccard index is .5 or more count as one: the one that most sets of features give.

    Parameters
    ----------
    track
        Told of the sets of features done, under `label`.
    """
    found: dict[tuple[int, ...], list[tuple[float, FeatureSet]]] = {}
    n_small = 0
    with track(label, total=len(sets), unit="feature sets") as advance:
        for some in sets:
            items, drop = _plateau(known.strength(some.features), rules)
            if len(items) >= rules.min_points:
                found.setdefault(tuple(items.tolist()), []).append((drop, some))
            else:
                n_small += bool(len(items))
            advance(1)
    ranked = sorted(found, key=lambda key: (-len(found[key]), -max(drop for drop, _ in found[key]), key))
    kept: dict[tuple[int, ...], int] = {}
    names: list[tuple[int, ...]] = []
    holders: dict[int, list[int]] = {}  # of each item, which of those kept have it
    for key in ranked:
        near = sorted({number for item in key for number in holders.get(item, ())})
        like = next((names[one] for one in near if jaccard(key, names[one]) >= rules.min_overlap), key)
        if like not in kept:
            for item in like:
                holders.setdefault(item, []).append(len(names))
            names.append(like)
        kept[like] = kept.get(like, 0) + len(found[key])
    distinct = []
    for key, n in kept.items():
        drop, source = max(found[key], key=lambda pair: (pair[0], -len(pair[1].features), -pair[1].number))
        distinct.append(ItemSet(np.array(key, np.int64), drop, source, n))
    return distinct, n_small


def _plateau(strength: npt.NDArray[np.float64], rules: Rules) -> tuple[Integers, float]:
    """Return the items on which a set fires alike and on nothing else, ascending, with the drop after them."""
    order = largest(strength, rules.max_points + 1)
    sorted_ = strength[order]
    if len(order) < 2 or sorted_[0] <= 0:
        return np.zeros(0, np.int64), 0.0
    here, below = sorted_[:-1], np.maximum(sorted_[1:], sorted_[0] / _MOST_DROP)
    drop = np.where((here >= rules.min_evenness * here[0]) & (here > 0), here / below, 0.0)
    best = int(drop.argmax()) if drop.max() >= rules.min_drop else -1
    large = np.where(np.arange(len(drop)) + 1 >= rules.min_points, drop, 0.0)
    if large.max() >= rules.min_drop:  # a large enough set of points is preferred to a single item's drop
        best = int(large.argmax())
    return np.sort(order[: best + 1]), float(drop[best]) if best >= 0 else 0.0


def jaccard(some: Collection[object], others: Collection[object]) -> float:
    """Return the Jaccard index of two sets, given as anything that holds each of its elements once."""
    shared = len(set(some) & set(others))
    return shared / (len(some) + len(others) - shared)
