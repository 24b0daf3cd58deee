"""Principal components of what a set of features rebuilds, from their activations and the cosines of directions."""

from __future__ import annotations

from collections.abc import Iterable

import numba
import numpy as np
import scipy.linalg

from atlas.behaviour.held_out import Fired, Floats

N_COMPONENTS = 2


def covariance(parts: Iterable[Fired], n_members: int) -> Floats:
    """Return the covariance of the members' activations over the tokens on which one fires: (n_members, n_members).

    Parameters
    ----------
    parts
        What they fire, of one run of tokens after the other.
    """
    first, second, n = np.zeros(n_members), np.zeros((n_members, n_members)), 0
    for fired in parts:
        _add_moments(fired.ends, fired.member, fired.activation, first, second)
        n += len(fired.tokens)
    second = np.tril(second) + np.tril(second, -1).T
    n = max(n, 1)
    found: Floats = second / n - np.outer(first / n, first / n)
    return found


def components(spread: Floats, gram: Floats | None) -> Floats:
    """Return the weights of the members in the first two principal components: float64, shape (n_members, 2).

    With C the covariance of the activations and G = F F' that of the directions, the components of a W are those of
    F' C F for any such F: weights are F times the eigenvectors. F is Cholesky's, of directions that depend on each
    other the root of G; without directions G is the identity.
    """
    n = len(spread)
    factor = np.eye(n) if gram is None else _factor(gram)
    last = (max(n - N_COMPONENTS, 0), n - 1)
    axes = scipy.linalg.eigh(factor.T @ spread @ factor, subset_by_index=last, check_finite=False)[1]
    weights: Floats = np.ascontiguousarray(factor @ axes[:, ::-1])
    return weights


def _factor(gram: Floats) -> Floats:
    factor: Floats
    try:
        factor = np.asarray(np.linalg.cholesky(gram), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(gram)
        factor = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return factor


@numba.njit(cache=True, nogil=True)
def _add_moments(ends, member, activation, first, second):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Add the activations of each member, and their products of each two at the higher member's row."""
    for t in range(len(ends) - 1):
        for e in range(ends[t], ends[t + 1]):
            first[member[e]] += activation[e]
            for f in range(ends[t], e + 1):
                second[member[e], member[f]] += activation[e] * activation[f]


@numba.njit(cache=True, nogil=True)
def project(ends, member, activation, weights):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return sum_i a_i(t) w_i of each token."""
    place = np.zeros((len(ends) - 1, weights.shape[1]))
    for t in range(len(place)):
        for e in range(ends[t], ends[t + 1]):
            for axis in range(weights.shape[1]):
                place[t, axis] += activation[e] * weights[member[e], axis]
    return place
