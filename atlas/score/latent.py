"""Firings from latent causes, and what the generator says of every pair: the truth of a planted world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atlas.counting.strata import span_labels

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MAX_DENSITY = 0.1
TOLERANCE = 1e-6
"""Lifts this near to 1 are rounding."""


@dataclass(frozen=True)
class Cause:
    """Something that happens on some tokens and makes features fire.

    Attributes
    ----------
    rates : tuple of float
        Probability on a token, for each kind of document.
    effects : tuple of (feature, probability)
        Features that fire where it happens, each by its own draw.
    run : int
        Tokens that it lasts once begun; a document's end cuts it short.
    leveled : bool
        Whether the rate follows the token's level (how much is going on there).
    """

    rates: tuple[float, ...]
    effects: tuple[tuple[int, float], ...]
    run: int = 1
    leveled: bool = False

    @property
    def presence(self) -> Floats:
        """Probability that it is there on a token, for each kind: 1 - (1 - rate / run)^run."""
        return 1 - (1 - np.asarray(self.rates) / self.run) ** self.run

    def presence_twice(self, lag: int) -> Floats:
        """Probability that it is there on a token and `lag` tokens later, lag < run, for each kind.

        P(both) = P(one) + P(other) - P(either), and it is on either unless it begins on none of run + lag tokens.
        """
        either = 1 - (1 - np.asarray(self.rates) / self.run) ** (self.run + lag)
        return 2 * self.presence - either


@dataclass(frozen=True)
class Generator:
    """A world's law: which causes there are, in which documents, on which vocabulary items.

    Attributes
    ----------
    d_sae : int
        Number of features.
    kinds : int64, shape (n_documents,)
        Kind of each document: its topic.
    lengths : int64, shape (n_documents,)
        Tokens of each document.
    groups : tuple of tuple of Cause
        The causes of one group exclude each other on a token; different groups are independent.
    items : float64, shape (n_kinds, n_items)
        Probability of each vocabulary item, for each kind; rows sum to 1.
    item_effects : tuple of (item, feature, probability)
        Features that fire on a vocabulary item. Items exclude each other, since a token is one.
    level_cv : float
        Coefficient of variation of the tokens' log-normal levels, which `leveled` causes follow.
    """

    d_sae: int
    kinds: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    groups: tuple[tuple[Cause, ...], ...]
    items: Floats
    item_effects: tuple[tuple[int, int, float], ...] = ()
    level_cv: float = 0.0

    @property
    def document(self) -> npt.NDArray[np.int64]:
        """Document of each token."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


@dataclass(frozen=True)
class Sample:
    """Firings drawn from a generator.

    Attributes
    ----------
    firing : bool, shape (n_tokens, d_sae)
    items, document : int64, shape (n_tokens,)
    activations : float32, shape (n_tokens, d_sae), or None
        Of the features where they fire; None where the world says nothing of them.
    threshold : float64, shape (d_sae,), or None
        Of the features' JumpReLUs, which their activations lie above; None where they have none.
    entropy : float32, shape (n_tokens,), or None
        Of the model's next token, in nats.
    """

    firing: Bools
    items: npt.NDArray[np.int64]
    document: npt.NDArray[np.int64]
    activations: npt.NDArray[np.float32] | None = None
    threshold: Floats | None = None
    entropy: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Expected:
    """What the generator says of each pair of features, given the documents.

    Attributes
    ----------
    joint : float64, shape (d, d)
        Expected joint firings.
    lift_d : float64, shape (d, d)
        `joint` over the expectation of E_d = sum_d rho_d n_id n_jd / T_d over strata; 0 where neither is expected.
        E_d is made of the counts in each stratum, so what lasts many tokens and is in few strata raises it.
    lift_d_uncorrected : float64, shape (d, d)
        The same without rho_d, the correction for uneven tokens.
    dependent, exclusive : bool, shape (d, d)
        Whether the two fire together more than independent ones, or less: the truth of an edge. The level
        of a token is given, too: features that only share busy tokens are independent.
    """

    joint: Floats
    lift_d: Floats
    lift_d_uncorrected: Floats
    dependent: Bools
    exclusive: Bools


def sample(generator: Generator, rng: np.random.Generator) -> Sample:
    """Return firings: a feature fires where at least one of the causes that are there makes it."""
    document = generator.document
    kind = generator.kinds[document]
    n = len(document)
    firing = np.zeros((generator.d_sae, n), bool)
    spread = np.sqrt(np.log1p(generator.level_cv**2))
    level = np.exp(spread * rng.standard_normal(n) - spread**2 / 2)
    items = _items(generator.items, kind, rng)
    by_item = np.argsort(items, kind="stable")
    ends = np.searchsorted(items[by_item], np.arange(generator.items.shape[1] + 1))
    for item, feature, probability in generator.item_effects:
        rows = by_item[ends[item] : ends[item + 1]]
        firing[feature, rows[rng.random(len(rows)) < probability]] = True
    for group in generator.groups:
        for cause, rows in zip(group, _rows(group, kind, document, level, rng), strict=True):
            for feature, probability in cause.effects:
                firing[feature, rows[rng.random(len(rows)) < probability]] = True
    return Sample(np.ascontiguousarray(firing.T), items, document)


def _items(items: Floats, kind: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    drawn = np.empty(len(kind), np.int64)
    for k, probabilities in enumerate(items):
        where = np.flatnonzero(kind == k)
        drawn[where] = rng.choice(len(probabilities), size=len(where), p=probabilities)
    return drawn


def _rows(
    group: tuple[Cause, ...],
    kind: npt.NDArray[np.int64],
    document: npt.NDArray[np.int64],
    level: Floats,
    rng: np.random.Generator,
) -> list[npt.NDArray[np.int64]]:
    """Return the tokens on which each cause of a group is there."""
    draw = rng.random(len(kind))
    if len(group) == 1:
        cause = group[0]
        rate = np.asarray(cause.rates)[kind] / cause.run * (level if cause.leveled else 1.0)
        starts = np.flatnonzero(draw < rate)
        if cause.run == 1:
            return [starts]
        rows = (starts[:, None] + np.arange(cause.run)).ravel()
        inside = rows < len(document)
        inside[inside] = document[rows[inside]] == np.repeat(document[starts], cause.run)[inside]
        return [np.unique(rows[inside])]
    upper = np.cumsum([cause.rates for cause in group], axis=0)
    which = np.full(len(kind), -1)
    for k in range(upper.shape[1]):
        where = kind == k
        which[where] = np.searchsorted(upper[:, k], draw[where], side="right")
    return [np.flatnonzero(which == number) for number in range(len(group))]


def stratum_crowding(drawn: Sample) -> Floats:
    """Return rho_d = T_d sum_t L_t (L_t - 1) / (sum_t L_t)^2 of each stratum.

    L_t counts the features that fire on a token and on at most a tenth of all.
    """
    tested = drawn.firing.mean(0) <= MAX_DENSITY
    level = drawn.firing[:, tested].sum(1, dtype=np.float64)
    labels = span_labels(drawn.document)
    total = np.bincount(labels, level)
    pairs = np.bincount(labels) * np.bincount(labels, level * (level - 1))
    rho: Floats = np.divide(pairs, total**2, out=np.ones(len(total)), where=total > 0)
    return rho


def expected_pairs(generator: Generator, *, crowding: Floats | None = None) -> Expected:
    """Return what the generator says of every pair, exactly but for bursts that a document's end cuts.

    With q_i = P(i silent), and for each group A_i = sum_e r_e w_ie, B_ij = sum_e r_e w_ie w_je over its
    causes e of presence r_e and probabilities w: P(i and j silent) = q_i q_j prod (1 - A_i - A_j + B_ij) /
    ((1 - A_i)(1 - A_j)) over the groups that touch both, and P(i and j) = 1 - q_i - q_j + P(i and j silent).

    Of two tokens of a stratum l apart the same holds, over the causes that last longer than l alone. With
    D_ij(l) = P(i on one and j on the other) - P(i) P(j) the expectation of n_id n_jd / T_d is
    T_d P(i) P(j) + D_ij(0) + 2 sum_l (1 - l / T_d) D_ij(l).

    Parameters
    ----------
    crowding
        rho_d of each stratum, for `lift_d`; 1 where none is given.
    """
    silent, ratio = _silence(generator)
    (n_kinds, d), lasting = silent.shape, _lasting(generator)
    labels, document = span_labels(generator.document), generator.document
    sizes = np.bincount(labels).astype(np.float64)
    kinds = generator.kinds[document[np.searchsorted(labels, np.arange(len(sizes)))]]
    rho = np.ones(len(sizes)) if crowding is None else crowding
    joint, alone, corrected, uncorrected = (np.zeros((d, d)) for _ in range(4))
    for k in range(n_kinds):
        q, some = np.exp(silent[k]), kinds == k
        both = np.outer(1 - q, 1 - q)
        excess = {0: 1 - q[:, None] - q[None, :] + np.outer(q, q) * np.exp(ratio[k]) - both}
        for lag, (features, apart) in lasting.items():
            excess[lag] = np.zeros((d, d))
            excess[lag][np.ix_(features, features)] = np.outer(q[features], q[features]) * np.expm1(apart[k])
        joint += sizes[some].sum() * (both + excess[0])
        alone += sizes[some].sum() * both
        corrected += _expected_within(both, excess, sizes[some], rho[some])
        uncorrected += _expected_within(both, excess, sizes[some], np.ones(some.sum()))
    joint = np.maximum(joint, 0.0)  # exclusive pairs are 0 but for rounding
    lift_d, plain = (np.divide(joint, e, out=np.zeros((d, d)), where=e > 0) for e in (corrected, uncorrected))
    other = ~np.eye(d, dtype=bool) & (alone > 0)
    more, less = joint > (1 + TOLERANCE) * alone, joint < (1 - TOLERANCE) * alone
    return Expected(joint, lift_d, plain, other & more, other & less)


def _expected_within(both: Floats, excess: dict[int, Floats], sizes: Floats, rho: Floats) -> Floats:
    """Return sum_d rho_d E[n_id n_jd] / T_d over strata of one kind, from P(i) P(j) and D_ij by lag."""
    found: Floats = (rho * sizes).sum() * both
    for lag, some in excess.items():
        pairs = np.maximum(1 - lag / sizes, 0) * (1 if lag == 0 else 2)
        found = found + (rho * pairs).sum() * some
    return found


def _lasting(generator: Generator) -> dict[int, tuple[Integers, Floats]]:
    """Return of each lag the features of the causes that last longer, and log P(both silent) / (q_i q_j) of pairs.

    One is silent on a token and the other on the one `lag` tokens later; shape (n_kinds, n, n).
    """
    single = [group[0] for group in generator.groups if len(group) == 1]
    causes = [cause for cause in single if cause.run > 1 and len(cause.effects) > 1]
    features = np.unique([feature for cause in causes for feature, _ in cause.effects]).astype(np.int64)
    found: dict[int, tuple[Integers, Floats]] = {}
    for lag in range(1, max((cause.run for cause in causes), default=1)):
        ratio = np.zeros((generator.items.shape[0], len(features), len(features)))
        for cause in causes:
            if cause.run > lag:
                at = np.searchsorted(features, [feature for feature, _ in cause.effects])
                w = np.array([probability for _, probability in cause.effects])
                a, twice = np.outer(cause.presence, w), cause.presence_twice(lag)
                both = 1 - a[:, :, None] - a[:, None, :] + twice[:, None, None] * np.outer(w, w)
                ratio[:, at[:, None], at[None, :]] += np.log(both / ((1 - a[:, :, None]) * (1 - a[:, None, :])))
        found[lag] = features, ratio
    return found


def _silence(generator: Generator) -> tuple[Floats, Floats]:
    """Return log q_i by kind, and the logarithm of each pair's product over shared groups."""
    n_kinds, d = generator.items.shape[0], generator.d_sae
    silent, ratio = np.zeros((n_kinds, d)), np.zeros((n_kinds, d, d))
    for presence, features, effects in _matrices(generator):
        a = presence @ effects
        b = np.einsum("ke,ei,ej->kij", presence, effects, effects, optimize=True)
        alone = np.log1p(-a)
        silent[:, features] += alone
        both = np.log1p(-(a[:, :, None] + a[:, None, :] - b))
        ratio[:, features[:, None], features[None, :]] += both - alone[:, :, None] - alone[:, None, :]
    return silent, ratio


def _matrices(generator: Generator) -> list[tuple[Floats, npt.NDArray[np.int64], Floats]]:
    """Return of each group (presence by kind and cause, features, probability by cause and feature)."""
    groups = [(np.array([cause.presence for cause in group]).T, [c.effects for c in group])
              for group in generator.groups]  # fmt: skip
    of_item: dict[int, list[tuple[int, float]]] = {}
    for item, feature, probability in generator.item_effects:
        of_item.setdefault(item, []).append((feature, probability))
    if of_item:
        groups.append((generator.items[:, sorted(of_item)], [tuple(of_item[item]) for item in sorted(of_item)]))
    found = []
    for presence, effects in groups:
        features = np.unique([feature for some in effects for feature, _ in some]).astype(np.int64)
        matrix = np.zeros((len(effects), len(features)))
        for number, some in enumerate(effects):
            for feature, probability in some:
                matrix[number, np.searchsorted(features, feature)] = probability
        found.append((presence, features, matrix))
    return found
