"""The planted world W6: activations of known distributions, peaks of known causes, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from atlas.artifacts import Run
from atlas.association import associate
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.magnitude import magnitude
from atlas.magnitude.modality import CLASSES, MAX_CV
from atlas.score.judging import Counts
from atlas.score.latent import Floats, Sample, sample
from atlas.score.pipeline import NO_EDGE, RULE
from atlas.score.planting import Planting
from atlas.score.recording import record

Kind = Literal["set", "variable", "token", "neighbour", "uncertainty", "intrinsic"]
CAUSED: tuple[Kind, ...] = ("token", "neighbour", "uncertainty", "intrinsic")
"""Kinds of features with two peaks, by what decides between them."""
FAITHFUL = (0.8, 0.98)
"""How often a feature's cause and its peak go together, at least and at most."""
APART = (3.0, 9.0)
"""Standard deviations of a peak between two, at least and at most."""
N_TOKENS, SMALL_TOKENS = 80_000, 30_000
_LARGE_SAMPLE = 20_000
_NEAR = 0.05  # of the limit of `set`, within which a planted feature's class is not judged


@dataclass(frozen=True)
class Magnitudes:
    """A world of magnitudes.

    Attributes
    ----------
    sample : Sample
        With activations, thresholds and entropies.
    kinds : dict of feature to kind
        What was planted; features with one peak whose coefficient of variation is near the limit have no kind.
    one_peaked : frozenset of int
        Every feature with one peak.
    """

    sample: Sample
    kinds: dict[int, Kind]
    one_peaked: frozenset[int]


Draw = Callable[[int], Floats]


class _Law:
    """The laws that activations are drawn from, all of them with parameters of their own."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def one_peaked(self, number: int) -> Draw:
        """Return a law with one peak: skewed, flat, cut off by a threshold, narrow, constant, or of two near parts."""
        rng, scale = self.rng, float(np.exp(self.rng.standard_normal()))
        a, b = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.8, 6))
        middle, narrow = float(rng.uniform(-1.0, 1.5)), float(rng.uniform(0.05, 0.25))
        laws: tuple[Draw, ...] = (
            lambda n: scale * np.exp(a * rng.standard_normal(n)),
            lambda n: scale * rng.gamma(b, size=n),
            lambda n: scale * rng.weibull(0.8 + b / 2, n),
            lambda n: scale * _above(lambda k: middle + rng.standard_normal(k), n),
            lambda n: scale * _above(lambda k: np.exp(a * rng.standard_normal(k)) - 0.7, n),
            lambda n: scale * _above(lambda k: 1 + narrow * rng.standard_normal(k), n),
            lambda n: scale * rng.beta(1 + narrow, 1 + narrow / 2, n),
            lambda n: scale * _above(lambda k: 3 + 1.8 * (rng.random(k) < 0.5) + rng.standard_normal(k), n),
            lambda n: np.full(n, scale),
        )
        return laws[number % len(laws)]

    def peaks(self) -> tuple[Draw, Draw]:
        """Return the laws of the lower and the higher of two peaks."""
        rng, scale, apart = self.rng, float(np.exp(self.rng.standard_normal())), float(self.rng.uniform(*APART))
        low = float(rng.uniform(1, 4))
        return (
            lambda n: scale * _above(lambda k: low + rng.standard_normal(k), n),
            lambda n: scale * _above(lambda k: low + apart + rng.standard_normal(k), n),
        )


def _above(draw: Draw, n: int) -> Floats:
    """Return n values above 0, drawn until there are enough: what a threshold leaves of a law."""
    found = np.zeros(0)
    while len(found) < n:
        some = draw(2 * n + 16)
        found = np.concatenate([found, some[some > 0]])
    return found[:n]


class _World:
    """A world while it is planted."""

    def __init__(self, seed: int, *, background: bool, small: bool) -> None:
        self.rng = np.random.default_rng([seed, 6, background, small])
        self.p = Planting(self.rng, n_tokens=SMALL_TOKENS if small else N_TOKENS)
        self.law = _Law(self.rng)
        self.least = 0.007 if small else 0.003  # firings a token: some 200 to 1,400 of a feature
        self.item = 12  # the next vocabulary item that decides a peak; more frequent ones would make dense features
        self.deciding: dict[int, tuple[Kind, int]] = {}
        self.plain: list[int] = []
        n = 8 if small else 24
        for kind in CAUSED:
            for _ in range(n):
                self._caused(kind)
        self._one_peaked(5 * n)
        if background:
            self.p.background()

    def _rate(self) -> float:
        return float(self.rng.uniform(1, 4)) * self.least

    def _marked(self) -> tuple[int, int]:
        """Plant a feature that fires on one item and elsewhere, or where another does and elsewhere; return both."""
        feature = self.p.features(1)[0]
        share = float(np.mean(self.p.items[:, self.item]))
        probability = min(0.95, float(self.rng.uniform(0.8, 1.2)) * self._rate() / share)
        self.p.item_effects.append((self.item, feature, probability))
        self.p.alone(share * probability * float(np.exp(self.rng.uniform(-1.2, 1.2))), feature)
        self.item += 1
        return feature, self.item - 1

    def _followed(self) -> tuple[int, int]:
        """Plant a feature that fires with another and elsewhere; return both."""
        feature, other = self.p.features(2)
        rate = self._rate()
        self.p.cause(rate, [(feature, 0.97), (other, 0.97)])
        self.p.alone(rate * float(np.exp(self.rng.uniform(-1.2, 1.2))), feature)
        self.plain.append(other)
        return feature, other

    def _caused(self, kind: Kind) -> None:
        """Plant a feature with two peaks; half of the intrinsic ones have an item or neighbour that decides nothing."""
        if kind == "token" or (kind == "intrinsic" and self.rng.random() < 0.25):
            feature, other = self._marked()
        elif kind == "neighbour" or (kind == "intrinsic" and self.rng.random() < 1 / 3):
            feature, other = self._followed()
        else:
            feature, other = self.p.features(1)[0], -1
            self.p.alone(2 * self._rate(), feature)
        self.deciding[feature] = kind, other

    def _one_peaked(self, n: int) -> None:
        """Plant features with one peak, a quarter of them with an item and a quarter with a neighbour."""
        for number in range(n):
            if number % 4 == 0:
                feature = self._marked()[0]
            elif number % 4 == 1:
                feature = self._followed()[0]
            else:
                feature = self.p.features(1)[0]
                self.p.alone(2 * self._rate(), feature)
            self.plain.append(feature)

    def finish(self) -> Magnitudes:
        """Draw firings, entropies and activations."""
        drawn = sample(self.p.generator(), self.rng)
        n_tokens, d = drawn.firing.shape
        of_document = self.rng.gamma(8.0, 1 / 8, int(drawn.document.max()) + 1)[drawn.document]
        entropy = (of_document * self.rng.gamma(2.0, 1.0, n_tokens)).astype(np.float32)
        threshold = np.where(self.rng.random(d) < 0.5, self.rng.uniform(0.2, 3, d), 0.0)
        activations = np.zeros((n_tokens, d), np.float32)
        kinds: dict[int, Kind] = {}
        for feature in range(d):
            rows = np.flatnonzero(drawn.firing[:, feature])
            if feature in self.deciding:
                kinds[feature], other = self.deciding[feature]
                values = self._two_peaks(kinds[feature], other, rows, drawn, entropy)
            else:
                draw = self.law.one_peaked(feature)
                large = draw(_LARGE_SAMPLE)
                cv = float(large.std() / large.mean())
                if feature in self.plain and abs(cv - MAX_CV) > _NEAR:
                    kinds[feature] = "set" if cv < MAX_CV else "variable"
                values = draw(len(rows))
            activations[rows, feature] = _rounded(values + threshold[feature], feature % 3 == 0)
        one_peaked = frozenset(range(d)) - set(self.deciding)
        return Magnitudes(
            replace(drawn, activations=activations, threshold=threshold, entropy=entropy), kinds, one_peaked
        )

    def _two_peaks(self, kind: Kind, other: int, rows: Any, drawn: Sample, entropy: Any) -> Floats:
        """Return the activations of a feature with two peaks, and let its cause decide between them."""
        rules: dict[Kind, Callable[[], Any]] = {
            "token": lambda: drawn.items[rows] == other,
            "neighbour": lambda: drawn.firing[rows, other],
            "uncertainty": lambda: entropy[rows] > np.quantile(entropy[rows], self.rng.uniform(0.25, 0.75)),
            "intrinsic": lambda: self.rng.random(len(rows)) < self.rng.uniform(0.25, 0.75),
        }
        turned = rules[kind]() ^ (self.rng.random(len(rows)) > self.rng.uniform(*FAITHFUL))
        if kind != "uncertainty" and self.rng.random() < 0.5:  # the cause may be that of the lower peak
            turned = ~turned
        low, high = self.law.peaks()
        values = low(len(rows))
        values[turned] = high(int(turned.sum()))
        return values


def _rounded(values: Floats, to_half: bool) -> Any:
    """Return values in float32, of some features with 8 significant bits only, as a model in bfloat16 gives them."""
    found = values.astype(np.float32)
    if to_half:
        found = (found.view(np.uint32) + 0x8000 & 0xFFFF0000).view(np.float32)
    return found


def planted_magnitudes(seed: int, *, background: bool = False, small: bool = False) -> Magnitudes:
    """Return the world W6: same seed and options, same world.

    One-peaked features are log-normal, gamma, Weibull, nearly uniform, narrow normal, constant, of two components too
    near for two peaks, or what a JumpReLU's threshold leaves of a wider law; half of all features have a threshold.
    Two-peaked ones have peaks 3 to 9 standard deviations apart, which an item, a neighbour, or a high entropy decides
    four times in five or more, or nothing that can be seen.

    Parameters
    ----------
    background
        Whether it has a background, as real firings have; its features have one peak.
    small
        Fewer tokens and features, for tests.
    """
    return _World(seed, background=background, small=small).finish()


def magnitude_counts(world: Magnitudes, directory: Path, *, seed: int) -> Counts:
    """Return hits and trials of what the stages, run in an empty directory, make of a world."""
    with Run(directory) as run:
        record(run, world.sample, seed=seed)
        count(run, rules=(RULE,))
        try:
            associate(run, control="none")
        except InputError as error:
            if not error.cause.startswith(NO_EDGE):
                raise
        artifact = magnitude(run, seed=seed)
    classes = {row["index"]: row["magnitude"] for row in artifact.table("magnitude").to_pylist()}
    causes: dict[int, list[str]] = {}
    for row in artifact.table("peaks").to_pylist():
        causes.setdefault(row["index"], []).append(row["cause"])
    return class_counts(world, classes) | cause_counts(world, classes, causes) | entropy_counts(world, artifact.results)


def class_counts(world: Magnitudes, classes: dict[int, str | None]) -> Counts:
    """Return how many one-peaked features are called multi-peak, and how many of each kind are called what they are.

    Over features that have a class.
    """
    one = [classes[feature] for feature in world.one_peaked if classes[feature] is not None]
    counts: Counts = {
        "magnitude: false multi-peak": (one.count("multi-peak"), len(one)),
        "magnitude: one peak, unclear": (one.count("unclear"), len(one)),
    }
    planted = {"multi-peak": CAUSED, "set": ("set",), "variable": ("variable",)}
    for name in CLASSES[:3]:
        called = [classes[feature] for feature, kind in world.kinds.items() if kind in planted[name]]
        called = [one for one in called if one is not None]
        counts[f"magnitude: {name}"] = (called.count(name), len(called))
    return counts


def cause_counts(world: Magnitudes, classes: dict[int, str | None], causes: dict[int, list[str]]) -> Counts:
    """Return how often the peaks of multi-peak features are given the cause that was planted, and one where none is.

    A feature has a cause where one of its peaks has it, and no peak another one but `intrinsic` and `tokens`: the peak
    that the cause is not of differs by its lack alone.
    """
    counts: Counts = {}
    for kind in CAUSED:
        found = [set(causes[feature]) - {"intrinsic"} for feature, planted in world.kinds.items()
                 if planted == kind and classes[feature] == "multi-peak"]  # fmt: skip
        if kind == "intrinsic":
            counts["peaks: cause where there is none"] = (sum(bool(some) for some in found), len(found))
        else:
            counts[f"peaks: {kind}"] = (sum(some - {"tokens"} == {kind} for some in found), len(found))
    return counts


def entropy_counts(world: Magnitudes, results: dict[str, Any]) -> Counts:
    """Return the claims about the entropy by chance alone, over all features: of it permuted, and of no difference."""
    n, claims, control = (results[name] for name in ("entropy_features", "entropy_claims", "entropy_control"))
    return {
        "entropy: difference where there is none": (claims["difference"], n),
        "entropy: correlation in the permuted copy": (control["permute"]["correlation"], n),
    }
