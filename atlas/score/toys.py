"""The planted world W7: small SAEs trained on data whose features form a hierarchy, or do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Kind = Literal["untied", "tied", "matryoshka", "independent"]
KINDS: tuple[Kind, ...] = ("untied", "tied", "matryoshka", "independent")
"""Untied, tied and Matryoshka SAEs of hierarchical data, and an untied one of independent features."""

D_IN = 40
N_CHILDREN = 3
CHILD_GIVEN_PARENT = 0.2
SPREAD = 0.05
"""Standard deviation of a feature's strength about 1."""
SPARSITY = 0.3
BATCH, RATE, STEPS = 256, 1e-2, 3000
DECAY = (0.9, 0.999)


@dataclass(frozen=True)
class Hierarchy:
    """Parents with exclusive children, and features by themselves, each with a direction of its own.

    Attributes
    ----------
    directions : float64, shape (n, 40)
        Orthonormal. Parent p is row 4 p, its three children the rows after it.
    n_parents : int
    rate : float64, shape (n,)
        How often each fires; a child's is its share of the parent's firings where they are nested.
    nested : bool
        Whether children fire only where their parent does; else all features are by themselves, none of them so
        rare that its latent is free to stand for two others at once.
    """

    directions: Floats
    n_parents: int
    rate: Floats
    nested: bool

    @classmethod
    def drawn(cls, rng: np.random.Generator, *, n_parents: int, n_alone: int, nested: bool) -> Hierarchy:
        """Return a random one."""
        n = n_parents * (1 + N_CHILDREN) + n_alone
        basis, _ = np.linalg.qr(rng.standard_normal((D_IN, D_IN)))
        rate = rng.uniform(0.02, 0.06, n)
        if nested:
            rate[: n - n_alone] = CHILD_GIVEN_PARENT
            rate[: n - n_alone : 1 + N_CHILDREN] = rng.uniform(0.07, 0.09, n_parents)
        return cls(basis[:n], n_parents, rate, nested)

    def parent_of(self, feature: int) -> int | None:
        """Return the parent of a child; None of all others."""
        step = 1 + N_CHILDREN
        return feature - feature % step if feature < self.n_parents * step and feature % step else None

    def sample(self, rng: np.random.Generator, n: int) -> tuple[npt.NDArray[np.bool_], Floats]:
        """Return which features are there on n tokens, (n, n_features), and the activations, (n, 40)."""
        fires = rng.random((n, len(self.rate))) < self.rate
        step = 1 + N_CHILDREN
        for parent in range(0, self.n_parents * step if self.nested else 0, step):
            which = rng.random(n) // CHILD_GIVEN_PARENT  # one child of three, or none
            for child in range(N_CHILDREN):
                fires[:, parent + 1 + child] = fires[:, parent] & (which == child)
        strength = np.maximum(1 + SPREAD * rng.standard_normal(fires.shape), 0) * fires
        return fires, strength @ self.directions


@dataclass(frozen=True)
class Toy:
    """A trained SAE: f(x) = relu(W_enc (x - c) + b), x' = f W_dec + c, rows of W_dec of length 1."""

    W_dec: Floats
    W_enc: Floats
    b: Floats
    c: Floats

    def encode(self, x: Floats) -> Floats:
        """Return the features' activations: shape (n, n_features)."""
        found: Floats = np.maximum((x - self.c) @ self.W_enc.T + self.b, 0)
        return found


def train(
    data: Callable[[np.random.Generator, int], Floats],
    rng: np.random.Generator,
    *,
    n_features: int,
    tied: bool = False,
    prefixes: tuple[int, ...] = (),
) -> Toy:
    """Return an SAE trained by Adam on |x' - x|^2 + .3 |f|_1, the mean over tokens.

    Parameters
    ----------
    data
        Gives n tokens.
    tied
        Whether the encoder is the decoder.
    prefixes
        Of a Matryoshka SAE: the mean of the errors of rebuilding from the first m features alone, for
        each m. Those that come first have to do without the others, so that a parent cannot leave a part of its
        tokens to its children.

    References
    ----------
    Bussmann et al. 2025, arXiv:2503.17547 (Matryoshka SAEs); Kingma, Ba 2015, arXiv:1412.6980 (Adam).
    """
    rows = rng.standard_normal((n_features, D_IN))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = {"W_dec": rows, "b": np.zeros(n_features), "c": np.zeros(D_IN)}
    if not tied:
        weights["W_enc"] = rows.copy()
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in weights.items()}
    for step in range(1, STEPS + 1):
        gradients = _gradients(weights, data(rng, BATCH), tied, prefixes or (n_features,))
        rate = RATE * min(1.0, step / 50, 0.05 + (STEPS - step) / (0.3 * STEPS))
        for name, gradient in gradients.items():
            first, second = moments[name]
            first += (1 - DECAY[0]) * (gradient - first)
            second += (1 - DECAY[1]) * (gradient**2 - second)
            change = first / (1 - DECAY[0] ** step) / (np.sqrt(second / (1 - DECAY[1] ** step)) + 1e-8)
            weights[name] -= rate * change
        weights["W_dec"] /= np.linalg.norm(weights["W_dec"], axis=1, keepdims=True)
    return Toy(weights["W_dec"], weights["W_dec"] if tied else weights["W_enc"], weights["b"], weights["c"])


def _gradients(weights: dict[str, Floats], x: Floats, tied: bool, prefixes: tuple[int, ...]) -> dict[str, Floats]:
    W_dec, b, c = weights["W_dec"], weights["b"], weights["c"]
    W_enc = W_dec if tied else weights["W_enc"]
    before = (x - c) @ W_enc.T + b
    f = np.maximum(before, 0)
    by_f, by_dec, by_c = np.full_like(f, SPARSITY), np.zeros_like(W_dec), np.zeros_like(c)
    for m in prefixes:
        error = 2 / len(prefixes) * (f[:, :m] @ W_dec[:m] + c - x)
        by_f[:, :m] += error @ W_dec[:m].T
        by_dec[:m] += f[:, :m].T @ error
        by_c += error.sum(0)
    by_before = by_f * (before > 0)
    by_enc = by_before.T @ (x - c)
    found = {"b": by_before.sum(0), "W_dec": by_dec, "c": by_c - by_before.sum(0) @ W_enc}
    if tied:
        found["W_dec"] = by_dec + by_enc
    else:
        found["W_enc"] = by_enc
    found = {name: gradient / len(x) for name, gradient in found.items()}
    along = np.einsum("ij,ij->i", found["W_dec"], W_dec)
    found["W_dec"] -= along[:, None] * W_dec
    return found


@dataclass(frozen=True)
class Trained:
    """A hierarchy and the SAE that was trained on it."""

    kind: Kind
    hierarchy: Hierarchy
    toy: Toy


def trained(kind: Kind, seed: int, *, small: bool) -> Trained:
    """Return an SAE with as many latents as the data has features."""
    rng = np.random.default_rng([seed, 7, KINDS.index(kind)])
    n_parents, n_alone = (4, 6) if small else (6, 8)
    hierarchy = Hierarchy.drawn(rng, n_parents=n_parents, n_alone=n_alone, nested=kind != "independent")
    n = len(hierarchy.rate)
    settings: dict[str, Any] = {"tied": kind == "tied"}
    if kind == "matryoshka":
        settings["prefixes"] = (n_parents, n_parents + n_alone, n)
    toy = train(lambda rng, n: hierarchy.sample(rng, n)[1], rng, n_features=n, **settings)
    return Trained(kind, hierarchy, toy)
