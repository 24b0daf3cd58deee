"""Random frames, and the figures that they make, one draw after the other: what cannot reach is left early."""

from __future__ import annotations

import numba
import numpy as np

_TINY = 1e-12


@numba.njit(cache=True, nogil=True)
def framed(drawn, covariance):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return Q times `covariance` of each draw, Q R = the draw: by reflections, with the signs of LAPACK's.

    `drawn` has shape (n, k, d), k >= d, and is used up.
    """
    n, k, d = drawn.shape
    found, scale = np.zeros((n, k, d)), np.empty(d)
    for draw in range(n):
        x, y = drawn[draw], found[draw]
        for j in range(d):
            rest = 0.0
            for row in range(j + 1, k):
                rest += x[row, j] ** 2
            scale[j] = 0.0
            if rest > 0:
                beta = -np.copysign(np.sqrt(rest + x[j, j] ** 2), x[j, j])
                scale[j] = (beta - x[j, j]) / beta
                for row in range(j + 1, k):
                    x[row, j] /= x[j, j] - beta
                for column in range(j + 1, d):
                    _reflect(x, column, x, j, scale[j])
        for row in range(d):
            for column in range(d):
                y[row, column] = covariance[row, column]
        for j in range(d - 1, -1, -1):
            for column in range(d):
                _reflect(y, column, x, j, scale[j])
    return found


@numba.njit(cache=True, nogil=True)
def _reflect(y, column, x, j, scale):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Reflect a column of y: the vector is 1 in row j and what x has below it."""
    if scale == 0.0:
        return
    total = y[j, column]
    for row in range(j + 1, len(y)):
        total += x[row, j] * y[row, column]
    total *= scale
    y[j, column] -= total
    for row in range(j + 1, len(y)):
        y[row, column] -= total * x[row, j]


@numba.njit(cache=True, nogil=True)
def _flat(coordinates, a, b, x, y, radius):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Put a plane's coordinates, their mean removed, and their radii where they belong, and return the radii's CV."""
    k, mean_x, mean_y, mean = len(coordinates), 0.0, 0.0, 0.0
    for j in range(k):
        mean_x += coordinates[j, a] / k
        mean_y += coordinates[j, b] / k
    for j in range(k):
        x[j], y[j] = coordinates[j, a] - mean_x, coordinates[j, b] - mean_y
        radius[j] = np.sqrt(x[j] ** 2 + y[j] ** 2)
        mean += radius[j] / k
    varied = 0.0
    for j in range(k):
        varied += (radius[j] - mean) ** 2 / k
    return np.sqrt(varied) / max(mean, _TINY)


@numba.njit(cache=True, nogil=True)
def ring_bests(coordinates, planes, weight, max_cv, max_gap, least):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the best score of a ring on some planes of each draw; 0 where it is below `least`, or no rule is met."""
    n, k, _ = coordinates.shape
    found, x, y, radius, angle = np.zeros(n), np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    for draw in range(n):
        for number in range(len(planes)):
            cv = _flat(coordinates[draw], planes[number, 0], planes[number, 1], x, y, radius)
            bound = weight[number] / (1 + cv**2)
            if cv >= max_cv or bound < least or bound <= found[draw]:
                continue
            for j in range(k):
                angle[j] = np.arctan2(y[j], x[j])
            angle.sort()
            gap = angle[0] + 2 * np.pi - angle[k - 1]
            for j in range(k - 1):
                gap = max(gap, angle[j + 1] - angle[j])
            if gap * k / (2 * np.pi) >= max_gap:
                continue
            real = imaginary = 0.0
            for j in range(k):
                off = angle[j] - 2 * np.pi * j / k
                real, imaginary = real + np.cos(off), imaginary + np.sin(off)
            score = bound * np.sqrt(real**2 + imaginary**2) / k
            if score >= least:
                found[draw] = max(found[draw], score)
    return found


@numba.njit(cache=True, nogil=True)
def helix_bests(coordinates, axes, weight, turns, max_cv, min_turn, least):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the score of a helix along and around each of some axes of each draw; 0 below `least`, or without one.

    `turns` are equally far from each other, so that each wave is the one before times the same step.
    """
    n, k, _ = coordinates.shape
    found, x, y, radius = np.zeros((n, len(axes))), np.empty(k), np.empty(k), np.empty(k)
    one, other, step = np.empty(k, np.complex128), np.empty(k, np.complex128), np.empty(k, np.complex128)
    for draw in range(n):
        for number in range(len(axes)):
            cv = _flat(coordinates[draw], axes[number, 1], axes[number, 2], x, y, radius)
            bound = weight[number] / (1 + cv**2)
            if weight[number] <= 0 or cv >= max_cv or bound < least:
                continue
            along = coordinates[draw, :, axes[number, 0]]
            low, length = along.min(), max(along.max() - along.min(), _TINY)
            for j in range(k):
                phase, size = 2 * np.pi * (along[j] - low) / length, max(radius[j], _TINY)
                wave = np.exp(-1j * turns[0] * phase)
                one[j] = complex(x[j] / size, y[j] / size) * wave
                other[j] = complex(x[j] / size, -y[j] / size) * wave
                step[j] = np.exp(-1j * (turns[1] - turns[0]) * phase) if len(turns) > 1 else 1.0
            best = 0.0
            for _ in turns:
                best = max(best, abs(one.sum()) / k, abs(other.sum()) / k)
                one *= step
                other *= step
            if best >= min_turn and best * bound >= least:
                found[draw, number] = best * bound
    return found
