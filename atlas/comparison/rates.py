"""How many structures 1,000 alive features have in two runs, their ratio, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.comparison.reading import Population
from atlas.comparison.structures import Features, Indices, Pairs, Sets, Structure, Structures

Floats = npt.NDArray[np.float64]
DRAWS = 2000
_DRAWS_AT_ONCE = 200
PER = 1000.0


@dataclass(frozen=True)
class Ratio:
    """A ratio of rates and its interval.

    Attributes
    ----------
    count, other_count : int
    rate, other_rate : float
        Structures per 1,000 alive features.
    ratio, low, high : float
        Rate over other rate with half a structure added to each count, and its 2.5 and 97.5 % points.
    """

    count: int
    other_count: int
    rate: float
    other_rate: float
    ratio: float
    low: float
    high: float


def ratios(
    mine: Structures, theirs: Structures, group: Population, other_group: Population, *, seed: int
) -> dict[tuple[str, str], Ratio]:
    """Return the ratio of the rates of every structure that either run has.

    The interval is a Bayesian bootstrap: each unit's weight is drawn anew from the exponential distribution of mean
    1, in each run by itself. The unit of edges, parents and classes of features is the feature, with all of its
    claims at once, since a hub's edges come and go together; that of communities and rings is the set. The half
    structure has a weight from the gamma distribution of shape 1/2, so that a run without any has an interval, too
    (that of a Jeffreys prior on a Poisson rate). The interval is about other units of the same kind: not about
    another training run, another text or another layer.

    Parameters
    ----------
    mine, theirs
        Claims of the two runs.
    group, other_group
        Their features: counted per alive one, drawn among all that are not dead.

    References
    ----------
    Rubin 1981, doi:10.1214/aos/1176345338.
    """
    names = sorted(mine.keys() | theirs.keys())
    rng = np.random.default_rng(seed)
    sides = [
        _side([some.get(name) for name in names], features, rng)
        for some, features in ((mine, group), (theirs, other_group))
    ]
    (counts, rates, draws), (other_counts, other_rates, other_draws) = sides
    half, other_half = (PER * 0.5 / max(len(features.alive), 1) for features in (group, other_group))
    low, high = np.quantile(draws / other_draws, [0.025, 0.975], axis=1)
    point = (rates + half) / (other_rates + other_half)
    columns = (counts, other_counts, rates, other_rates, point, low, high)
    return {
        name: Ratio(int(row[0]), int(row[1]), *map(float, row[2:]))
        for name, row in zip(names, zip(*columns, strict=True), strict=True)
    }


def _side(
    some: Sequence[Structure | None], group: Population, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Return counts (n,), rates (n,) and drawn rates with half a structure (n, draws) of one run."""
    n_alive, n_firing = max(len(group.alive), 1), max(len(group.firing), 1)
    counts, mass = np.zeros(len(some), np.int64), np.zeros((len(some), n_firing))
    sets = np.zeros(len(some), np.int64)
    for row, structure in enumerate(some):
        if structure is None:
            continue
        counts[row] = structure.count
        owner, share = structure.owners()
        known = np.isin(owner, group.firing)  # no stage claims anything of dead features
        np.add.at(mass[row], np.searchsorted(group.firing, owner[known]), share[known])
        sets[row] = structure.count if structure.unit == "community" else 0
    draws = np.empty((len(some), DRAWS))
    for first in range(0, DRAWS, _DRAWS_AT_ONCE):
        weight = rng.standard_exponential((n_firing, _DRAWS_AT_ONCE))
        owned = mass @ weight / weight.mean(axis=0)
        extra = rng.standard_gamma(sets[:, None] + 0.5, (len(some), _DRAWS_AT_ONCE))
        draws[:, first : first + _DRAWS_AT_ONCE] = owned + extra
    return counts, PER * counts / n_alive, np.maximum(PER * draws / n_alive, np.finfo(float).tiny)


def by_chance(
    mine: Structures, theirs: Structures, match: Indices, *, seed: int, n_draws: int = 20
) -> Mapping[tuple[str, str], tuple[int, int, float]]:
    """Return for each structure of this run how many claims are matched, how many survive, and how many by chance.

    Chance is the mean over permutations of the matches among the matched features: how many claims would be found
    again if it did not matter which feature is which.
    """
    rng = np.random.default_rng(seed)
    none = np.zeros(0, np.int64)
    nothing = {Features: Features(none), Pairs: Pairs(none, none), Sets: Sets([])}
    there = {name: theirs.get(name, nothing[type(one)]) for name, one in mine.items()}
    real = {name: one.survival(there[name], match) for name, one in mine.items()}
    chance = dict.fromkeys(mine, 0.0)
    for permuted in permutations(match, rng, n_draws):
        for name, one in mine.items():
            chance[name] += one.survival(there[name], permuted)[1] / n_draws
    return {name: (*real[name], chance[name]) for name in mine}


def permutations(match: Indices, rng: np.random.Generator, n: int) -> Iterator[Indices]:
    """Yield the matches permuted among the matched features, `n` times."""
    matched = np.flatnonzero(match >= 0)
    for _ in range(n):
        permuted = match.copy()
        permuted[matched] = rng.permutation(match[matched])
        yield permuted
