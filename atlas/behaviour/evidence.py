"""What the members of a subgraph do together on the held-out half: the evidence that a verdict is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from atlas.behaviour.components import components, covariance, project
from atlas.behaviour.held_out import Fired, Floats, HeldOut, Integers
from atlas.behaviour.pairs import PairStrengths
from atlas.kept import KeepRow, computed_row
from atlas.marks import FEW, Bits, no_marks
from atlas.tracking import Track, untracked

MIN_FIRINGS = 20
"""Firings on the half from which a member is looked at."""
MIN_SHARE = 0.8
"""Share of the members that must be looked at for a verdict."""
MAX_MEMBERS = 256
"""Members up to which a subgraph is examined, as in the test of leaves."""
MIN_SEEN = 3
"""Tokens of an item that its mean place is learned from, at least."""
N_PERMUTATIONS = 99


@dataclass(frozen=True)
class Subgraph:
    """A set of features with a hub.

    Attributes
    ----------
    members : int64, shape (size,)
        Feature indices, ascending, the hub among them.
    hub : int
    """

    members: Integers
    hub: int


@dataclass(frozen=True)
class Evidence:
    """What is measured of one subgraph; see `schema` for each number's meaning. None where it cannot be."""

    judged_members: int
    joint_tokens: int = 0
    joint_lift: float | None = None
    item_share: float | None = None
    item_overlap: float | None = None
    strength_pairs: int | None = None
    strength_correlation: float | None = None
    trade_off_share: float | None = None
    add_up_share: float | None = None
    position_trend: float | None = None
    position_z: float | None = None
    item_r2: float | None = None
    item_r2_null: float | None = None
    hub_leaf_cosine: float | None = None
    leaf_leaf_cosine: float | None = None
    mantel_r: float | None = None
    mantel_p: float | None = None


def judged(half: HeldOut, members: Integers) -> Integers:
    """Return the members with enough firings on the half; none of a subgraph that is too large."""
    return members[half.firing_count[members] >= MIN_FIRINGS] if len(members) <= MAX_MEMBERS else members[:0]


def gather_evidence(
    half: HeldOut,
    subgraphs: Sequence[Subgraph],
    strengths: PairStrengths,
    *,
    directions: npt.NDArray[np.float32] | None,
    seed: int,
    track: Track = untracked,
    keep: KeepRow = computed_row,
) -> list[Evidence]:
    """Return the evidence of each subgraph. Memory holds the firings of one.

    Parameters
    ----------
    strengths
        Of the pairs of the members that `judged` returns.
    directions
        Decoder directions of length 1, shape (d_sae, d_in); None where the SAE has none: components are then of the
        activations themselves, and what is said of directions is left out.
    seed
        Seed of the permutations.
    keep
        Keeps the evidence of each.
    """
    scratch = no_marks(half.firings.n_tokens)

    def of(number: int, one: Subgraph) -> dict[str, Any]:
        rng = np.random.default_rng([seed, number])
        return vars(_evidence(half, one, strengths, directions, scratch, rng))

    found = []
    with track("behaviour", total=len(subgraphs), unit="subgraphs") as advance:
        for number, one in enumerate(subgraphs):
            found.append(Evidence(**keep(number, partial(of, number, one))))
            advance(1)
    return found


def _evidence(
    half: HeldOut,
    one: Subgraph,
    strengths: PairStrengths,
    directions: npt.NDArray[np.float32] | None,
    scratch: Bits,
    rng: np.random.Generator,
) -> Evidence:
    members = judged(half, one.members)
    if len(members) < max(2, MIN_SHARE * len(one.members)):
        return Evidence(len(members))
    fired = Fired.of(half, members, scratch)
    gram = None if directions is None else np.asarray(directions[members], np.float64)
    gram = None if gram is None else gram @ gram.T
    found = _together(half, fired, len(members)) | _strengths(strengths, members)
    found |= _predicted(half, fired, gram, len(members), rng)
    if gram is not None:
        found |= _directions(half, gram, members, one.hub, strengths, rng)
    return Evidence(len(members), **found)


def _together(half: HeldOut, fired: Fired, n_members: int) -> dict[str, Any]:
    """Return how often members fire together, on which items, and where in the context."""
    of_token = (half.item[fired.tokens], half.stratum[fired.tokens], half.place[fired.tokens])
    joint, pairs, expected, largest, overlap, trend, varied, variance = _measure(
        fired.ends, fired.member, *of_token, _by_item(of_token[0], half.n_items), half.sizes, n_members
    )
    return {
        "joint_tokens": int(joint),
        "joint_lift": float(pairs / expected) if expected > 0 else None,
        "item_share": float(largest / joint) if joint else None,
        "item_overlap": float(overlap),
        "position_trend": float(trend / np.sqrt(varied)) if varied > 0 else None,
        "position_z": float(trend / np.sqrt(variance)) if variance > 0 else None,
    }


def _strengths(strengths: PairStrengths, members: Integers) -> dict[str, Any]:
    """Return how the activations of the pairs correlate."""
    places = strengths.places(members)
    correlation = strengths.correlation[places]
    tested = np.isfinite(correlation)
    if not tested.any():
        return {"strength_pairs": 0}
    return {
        "strength_pairs": int(tested.sum()),
        "strength_correlation": float(np.median(correlation[tested])),
        "trade_off_share": float(strengths.trades_off[places][tested].mean()),
        "add_up_share": float(strengths.adds_up[places][tested].mean()),
    }


def _predicted(
    half: HeldOut, fired: Fired, gram: Floats | None, n_members: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return how well a token's item predicts its place on the first components, and the same of permuted items.

    The components are those of the activations rebuilt from the members alone, sum_i a_i W_dec_i. The mean place of
    each item is learned on every second document and held against the others; items that were seen less than three
    times there have the mean of all.
    """
    learned, item = half.learned[fired.tokens], half.item[fired.tokens]
    if min(learned.sum(), (~learned).sum()) < MIN_FIRINGS:
        return {}
    place = project(fired.ends, fired.member, fired.activation, components(covariance([fired], n_members), gram))
    r2 = _held_out_r2(place, item, _by_item(item, half.n_items), learned)
    if not np.isfinite(r2):
        return {}
    item = rng.permutation(item)
    null = _held_out_r2(place, item, _by_item(item, half.n_items), learned)
    return {"item_r2": float(r2), "item_r2_null": float(null)}


def _directions(
    half: HeldOut, gram: Floats, members: Integers, hub: int, strengths: PairStrengths, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the cosines of the decoder directions, and how phi goes with them."""
    i, j = np.triu_indices(len(members), 1)
    cosine, with_hub = gram[i, j], (members[i] == hub) | (members[j] == hub)
    found: dict[str, Any] = {
        f"{name}_cosine": float(np.clip(np.median(cosine[some]), -1, 1)) if some.any() else None
        for name, some in (("hub_leaf", with_hub), ("leaf_leaf", ~with_hub))
    }
    if len(members) < 4:
        return found
    n, count = half.n_tokens, half.firing_count[members].astype(np.float64)
    joint = strengths.joint_count[strengths.places(members)]
    spread = np.sqrt(count * (n - count))
    phi = np.zeros_like(gram)
    phi[i, j] = phi[j, i] = (n * joint - count[i] * count[j]) / (spread[i] * spread[j])
    r, reached = _mantel(phi, gram, rng, N_PERMUTATIONS)
    if np.isfinite(r):
        found |= {"mantel_r": float(np.clip(r, -1, 1)), "mantel_p": float((1 + reached) / (1 + N_PERMUTATIONS))}
    return found


@numba.njit(cache=True, nogil=True)
def _by_item(item, n_items):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the places of tokens in order of their items, those of one item in their own."""
    starts = np.zeros(n_items + 1, np.int64)
    for one in item:
        starts[one + 1] += 1
    for number in range(n_items):
        starts[number + 1] += starts[number]
    order = np.empty(len(item), np.int64)
    for t in range(len(item)):
        order[starts[item[t]]] = t
        starts[item[t]] += 1
    return order


@numba.njit(cache=True, nogil=True)
def _measure(ends, member, item, stratum, place, order, sizes, k):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return joint tokens, joint pairs and their expectation, the commonest item's joint tokens, overlap, and trend.

    The trend is the sum of products of the number of members and the place within items, with what it is divided by
    for a correlation, and its variance.
    """
    joint, pairs, expected, fires = _joint(ends, member, stratum, sizes, k)
    inside, share, touched, n = np.zeros(k), np.empty(k), np.empty(k, np.int64), len(item)
    largest, low, n_shares = 0, 0, 0
    overlap = trend = varied_x = varied_y = variance = 0.0
    while low < n:
        high, here, sum_x, sum_y = low, 0, 0.0, 0.0
        while high < n and item[order[high]] == item[order[low]]:
            t = order[high]
            level = ends[t + 1] - ends[t]
            here += level >= 2
            sum_x += place[t]
            sum_y += level
            for m in member[ends[t] : ends[t + 1]]:
                if inside[m] == 0:
                    touched[n_shares] = m
                    n_shares += 1
                inside[m] += 1
            high += 1
        largest = max(largest, here)
        for at in range(n_shares):
            share[at] = inside[touched[at]] / fires[touched[at]]
            inside[touched[at]] = 0
        _sort(share[:n_shares])  # of sorted shares the smaller of each pair is the earlier one; those of 0 come first
        for at in range(n_shares):
            overlap += share[at] * (n_shares - 1 - at)
        n_shares = 0
        size = high - low
        if size > 1:
            s_x = s_y = s_xy = 0.0
            for t in order[low:high]:
                x, y = place[t] - sum_x / size, ends[t + 1] - ends[t] - sum_y / size
                s_x, s_y, s_xy = s_x + x * x, s_y + y * y, s_xy + x * y
            trend += s_xy
            varied_x += s_x
            varied_y += s_y
            variance += s_x * s_y / (size - 1)
        low = high
    return joint, pairs, expected, largest, overlap / (k * (k - 1) / 2), trend, varied_x * varied_y, variance


@numba.njit(cache=True, nogil=True)
def _sort(values):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Put numbers in order, by insertion where they are few."""
    if len(values) > FEW:
        values.sort()
        return
    for k in range(1, len(values)):
        one, at = values[k], k
        while at > 0 and values[at - 1] > one:
            values[at] = values[at - 1]
            at -= 1
        values[at] = one


@numba.njit(cache=True, nogil=True)
def _joint(ends, member, stratum, sizes, k):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return tokens with two members or more, pairs of members on them, how many are expected, and each one's firings.

    E = sum_d ((sum_i n_id)^2 - sum_i n_id^2) / (2 T_d).
    """
    n, joint, pairs, expected, low = len(stratum), 0, 0, 0.0, 0
    inside, fires = np.zeros(k), np.zeros(k)
    while low < n:
        high = low
        while high < n and stratum[high] == stratum[low]:
            level = ends[high + 1] - ends[high]
            joint += level >= 2
            pairs += level * (level - 1) // 2
            for m in member[ends[high] : ends[high + 1]]:
                inside[m] += 1
            high += 1
        expected += (inside.sum() ** 2 - (inside**2).sum()) / (2 * sizes[stratum[low]])
        fires += inside
        inside[:] = 0
        low = high
    return joint, pairs, expected, fires


@numba.njit(cache=True, nogil=True)
def _held_out_r2(place, item, order, learned):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return 1 - squared error over squared distance from the mean, both on what was not learned on."""
    n, dims = place.shape
    mean, seen = np.zeros(dims), 0
    for t in range(n):
        if learned[t]:
            for axis in range(dims):
                mean[axis] += place[t, axis]
            seen += 1
    mean /= seen
    error = total = 0.0
    low, guess = 0, np.empty(dims)
    while low < n:
        high, seen = low, 0
        guess[:] = 0.0
        while high < n and item[order[high]] == item[order[low]]:
            if learned[order[high]]:
                for axis in range(dims):
                    guess[axis] += place[order[high], axis]
                seen += 1
            high += 1
        for axis in range(dims):
            guess[axis] = guess[axis] / seen if seen >= MIN_SEEN else mean[axis]
        for t in order[low:high]:
            if not learned[t]:
                missed = apart = 0.0
                for axis in range(dims):
                    missed += (place[t, axis] - guess[axis]) ** 2
                    apart += (place[t, axis] - mean[axis]) ** 2
                error += missed
                total += apart
        low = high
    return 1 - error / total if total > 0 else np.nan


@numba.njit(cache=True, nogil=True)
def _mantel(phi, cosine, rng, n_permutations):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the correlation over pairs, and how many permutations of the members reach it."""
    k = len(phi)
    n = k * (k - 1) / 2
    mean_x = mean_y = 0.0
    for i in range(k):
        for j in range(i):
            mean_x += phi[i, j] / n
            mean_y += cosine[i, j] / n
    varied_x = varied_y = real = 0.0
    for i in range(k):
        for j in range(i):
            x, y = phi[i, j] - mean_x, cosine[i, j] - mean_y
            varied_x, varied_y, real = varied_x + x * x, varied_y + y * y, real + x * y
    if varied_x <= 1e-12 or varied_y <= 1e-12:
        return np.nan, 0
    reached, order = 0, np.arange(k)
    for _ in range(n_permutations):
        drawn = 0.0
        for i in range(k - 1, 0, -1):
            j = int(rng.random() * (i + 1))
            order[i], order[j] = order[j], order[i]
        for i in range(k):
            for j in range(i):
                drawn += (phi[i, j] - mean_x) * (cosine[order[i], order[j]] - mean_y)
        reached += drawn >= real - 1e-12
    return real / np.sqrt(varied_x * varied_y), reached
