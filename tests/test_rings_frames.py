"""Random frames and their figures, draw by draw, against what numpy says of all draws and all planes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.marks import add, clear_all, has, hits, listed, marks_of, no_marks, place_of, sorted_order
from atlas.rings import Rules
from atlas.rings.frames import framed
from atlas.rings.geometry import figures, random_frames, ring_statistic
from atlas.rings.others import HELIX_AXES, MIN_TURN, helix_scores

RULES = Rules()
SHARE = np.array([0.4, 0.3, 0.15, 0.1])


@given(st.integers(0, 10_000), st.integers(6, 12))
def test_frames_are_those_of_the_decomposition(seed: int, k: int) -> None:
    """Signs included: the same draws give the same frames."""
    rng = np.random.default_rng(seed)
    drawn, covariance = rng.standard_normal((3, k, 4)), np.triu(rng.standard_normal((4, 4)))
    drawn[0, 2:, 1] = 0  # a column that needs no reflection
    assert np.allclose(framed(drawn.copy(), covariance), np.linalg.qr(drawn)[0] @ covariance)


@pytest.mark.parametrize("least", [0.0, 0.4])
def test_the_best_ring_of_a_draw_is_that_of_all_planes(least: float) -> None:
    """What is left early could not have been the best, or not as large as what is asked for."""
    rng = np.random.default_rng(1)
    coordinates = random_frames(rng.standard_normal((7, 4)) * np.sqrt(SHARE), 2000, rng)
    found = figures(coordinates, SHARE, RULES)
    whole = np.where(found.passing(7, RULES), found.score, 0).max(-1)
    best = ring_statistic(SHARE, 7, RULES)(coordinates, least)
    assert (whole > 0).any()
    assert np.allclose(best, np.where(whole >= least, whole, 0))


def test_helices_of_all_axes_and_turns() -> None:
    """By the definition, one set of points, one axis and one number of turns after the other."""
    rng = np.random.default_rng(2)
    turn = 2 * np.pi * np.linspace(0, 2, 12)
    screw = np.column_stack([np.linspace(-1, 1, 12), np.cos(turn), np.sin(turn), np.zeros(12)])
    sets = screw + 0.1 * rng.standard_normal((20, 12, 4))
    found = helix_scores(sets, SHARE)
    assert found.shape == (20, len(HELIX_AXES))
    for points, row in zip(sets, found, strict=True):
        for (along, a, b), score in zip(HELIX_AXES, row, strict=True):
            x, z = points[:, along], points[:, a] + 1j * points[:, b]
            z, x = z - z.mean(), (x - x.min()) / np.ptp(x)
            unit, cv = z / np.abs(z), np.abs(z).std() / np.abs(z).mean()
            waves = [np.exp(-2j * np.pi * f * x) for f in np.arange(1.25, 4.01, 0.25)]
            best = max(abs((one * wave).mean()) for one in (unit, unit.conj()) for wave in waves)
            low, high = sorted((SHARE[a], SHARE[b]))
            held = best >= MIN_TURN and cv < 0.35 and low >= max(0.25 * high, 0.05) and SHARE[along] >= 0.05
            assert score == pytest.approx(best / (1 + cv**2) * SHARE[[along, a, b]].sum() if held else 0)
    assert (found[:, HELIX_AXES.index((0, 1, 2))] > 0).any()


@given(st.sets(st.integers(0, 200), min_size=1), st.sets(st.integers(0, 200)))
def test_marks_are_a_set_in_order(some: set[int], others: set[int]) -> None:
    """Members, places and hits of a set of tokens; a set made of truth values is the same."""
    tokens, rest = (np.array(sorted(one), np.uint32) for one in (some, others))
    bits = no_marks(201)
    for token in tokens:
        add(bits, token)
    assert bits.tolist() == marks_of(np.isin(np.arange(201), tokens)).tolist()
    found, before = listed(bits)
    assert found.tolist() == tokens.tolist()
    assert [place_of(bits, before, token) for token in tokens] == list(range(len(tokens)))
    assert [has(bits, token) for token in range(201)] == [int(token in some) for token in range(201)]
    room = np.empty(len(rest), np.int64)
    assert rest[room[: hits(bits, rest, room)]].tolist() == sorted(some & others)
    clear_all(bits, tokens)
    assert not bits.any()


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 9), max_size=200))
def test_keys_are_put_in_order_and_equal_ones_stay(values: list[int]) -> None:
    """Few by insertion, many by digits: what numpy's stable sort gives."""
    keys = np.array(values, np.uint32)
    order = sorted_order(keys)
    assert order.tolist() == np.argsort(keys, kind="stable").tolist()
    assert all(keys[a] <= keys[b] for a, b in pairwise(order))
