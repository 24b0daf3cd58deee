"""What the tokens alone explain of a pair: by hand, against plain loops, and on worlds of either kind."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import planted_run

from atlas.artifacts import Artifact, Run, Spec
from atlas.association import associate, upper_tail
from atlas.association.basis import BASES, WithinItems, within_items
from atlas.association.testing import Gates
from atlas.counting.stage import count
from atlas.files import write_arrays
from atlas.firings import Firings, Shard, build_index, write_shard


def write(directory: Path, firing: np.ndarray[Any, Any], items: np.ndarray[Any, Any], *, size: int) -> None:
    """Write dense firings on the tokens of chosen items, documents of 400, in shards of `size` tokens."""
    for number, low in enumerate(range(0, len(items), size)):
        some = firing[low : low + size]
        token, ids = np.nonzero(some)
        at = np.arange(low, low + len(some))
        indptr = np.concatenate([[0], np.cumsum(some.sum(1))])
        shard = Shard(
            items[low : low + size].astype(np.int32),
            (at // 400).astype(np.int32),
            (at % 400).astype(np.int32),
            indptr.astype(np.int64),
            ids.astype(np.int32),
            np.ones(len(token), np.float32),
        )
        write_shard(directory, number, shard, d_sae=firing.shape[1])
    build_index(directory, n_shards=-(-len(items) // size), d_sae=firing.shape[1])


def basis_of(
    directory: Path, firing: np.ndarray[Any, Any], items: np.ndarray[Any, Any], pairs: list[tuple[int, int]], q: float
) -> WithinItems:
    """Write firings, and return what the items explain of the pairs."""
    write(directory, firing, items, size=25)
    a, b = np.array(pairs).T
    return within_items(Firings(directory), a, b, (firing[:, a] & firing[:, b]).sum(0), q=q)


def names(found: WithinItems) -> list[str]:
    return [BASES[code] for code in found.basis]


def test_pairs_solved_by_hand(tmp_path: Path) -> None:
    """Items seen 10, 40, 4 and 5 times; the one seen 4 times counts neither in c nor in E_t.

    lexical: E_t = 5 * 4 / 10 + 5 * 1 / 5 = 3, c = 2 + 1. contextual: E_t = 10 * 10 / 40, c = 10.
    untested: c = 5, of which 2 remain, E_t = 2 * 2 / 5. Nothing expected: all on the rare item.
    Half of c remaining is enough. Features of different words never meet: nothing is expected.
    """
    items = np.repeat([3, 1, 7, 4], [10, 40, 4, 5])
    fires = {
        0: [0, 1, 2, 3, 4, 54, 55, 56, 57, 58], 1: [3, 4, 5, 6, 54],
        2: range(10, 20), 3: range(10, 20),
        4: [50, 51, 52, 54, 55], 5: [50, 51, 52, 54, 55],
        6: [50, 51, 52, 53], 7: [50, 51, 52],
        8: [50, 51, 54, 55], 9: [50, 51, 54, 55],
    }  # fmt: skip
    firing = np.zeros((len(items), 10), bool)
    for feature, rows in fires.items():
        firing[list(rows), feature] = True
    order = np.random.default_rng(0).permutation(len(items))  # items are seen here and there, not in a row
    pairs = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (2, 6)]
    found = basis_of(tmp_path, firing[order], items[order], pairs, 0.05)
    assert found.lift_t.tolist() == [1.0, 4.0, pytest.approx(2 / 0.8), None, pytest.approx(2 / 0.8), None]
    assert names(found) == ["lexical", "contextual", "untested", "untested", "mixed", "untested"]


@pytest.mark.parametrize(
    ("joint", "lift", "basis"),
    [
        (50, 1.0, "lexical"),
        (59, 1.18, "lexical"),
        (60, 1.2, "mixed"),
        (74, 1.48, "mixed"),
        (75, 1.5, "contextual"),
    ],
)
def test_the_thresholds_of_the_basis(tmp_path: Path, joint: int, lift: float, basis: str) -> None:
    """Of 400 tokens of one item 200 and 100: 50 expected; below 1.2 is lexical, 1.5 and more contextual."""
    firing = np.zeros((400, 2), bool)
    firing[:200, 0] = True
    firing[200 - joint : 300 - joint, 1] = True
    found = basis_of(tmp_path, firing, np.zeros(400, int), [(0, 1)], 0.05)
    assert found.lift_t.tolist() == [pytest.approx(lift, abs=1e-12)]
    assert names(found) == [basis]


@pytest.mark.parametrize(("q", "basis"), [(0.05, "mixed"), (0.5, "contextual")])
def test_a_high_lift_that_chance_explains_is_mixed(tmp_path: Path, q: float, basis: str) -> None:
    """Two of 10 tokens within five of them: one expected, two seen; contextual only where q allows it."""
    firing = np.zeros((10, 2), bool)
    firing[:2, 0] = firing[:5, 1] = True
    found = basis_of(tmp_path, firing, np.zeros(10, int), [(0, 1)], q)
    assert found.lift_t.tolist() == [2.0]
    assert names(found) == [basis]


def test_the_basis_of_depleted_pairs(tmp_path: Path) -> None:
    """Features of different words exclude each other for free: lexical, and so are two that meet on the one word they
    share as often as by chance. Apart on one word: contextual. A feature of rare words cannot be asked: untested."""
    items = np.repeat([0, 1, 2, 3], [1000, 1000, 1000, 4])
    at = np.arange(1000)
    firing = np.zeros((len(items), 6), bool)
    firing[:1000, 0] = at % 2 == 0  # 500, of which 25 with the 50 of feature 2 on that word
    firing[1000:2000, 1] = at % 3 == 0
    firing[900:1900, 2] = at % 4 < 2
    firing[2000:3000, 3], firing[2000:3000, 4] = at % 5 == 0, at % 5 == 1
    firing[3000:, 5] = True
    pairs = [(0, 1), (0, 2), (3, 4), (3, 5)]
    write(tmp_path, firing, items, size=500)
    a, b = np.array(pairs).T
    found = within_items(Firings(tmp_path), a, b, (firing[:, a] & firing[:, b]).sum(0), q=0.05, depleted=True)
    assert names(found) == ["lexical", "lexical", "contextual", "untested"]
    assert found.lift_t.tolist() == [None, 1, 0, None]


@settings(max_examples=60)  # each writes its firings
@given(st.integers(0, 2**32 - 1))
def test_lift_and_basis_equal_plain_loops(seed: int) -> None:
    """Items, expectation, variance and rules written out, with scipy's adjustment, agree on any firings."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 120)), 5
    items = rng.integers(0, rng.integers(1, 12), n)
    firing = rng.random((n, d)) < rng.choice([0.1, 0.5, 0.8])
    firing[:, 1] &= firing[:, 0]
    pairs = [(i, j) for i in range(d) for j in range(i + 1, d)]
    lifts, kept, p = [], [], []
    for i, j in pairs:
        c, e, v = 0, 0.0, 0.0
        for item in set(items.tolist()):
            x, y = firing[items == item, i], firing[items == item, j]
            t = len(x)
            if t >= 5:
                c += int((x & y).sum())
                e += x.sum() * y.sum() / t
                v += x.sum() * y.sum() * (t - x.sum()) * (t - y.sum()) / (t * t * (t - 1))
        lifts.append(c / e if e else None)
        kept.append(2 * c >= (firing[:, i] & firing[:, j]).sum())
        p.append(upper_tail(np.array([c]), np.array([e]), np.array([v]))[0])
    wanted = []
    for lift, enough, adjusted in zip(lifts, kept, scipy.stats.false_discovery_control(p), strict=True):
        if lift is None or not enough:
            wanted.append("untested")
        elif lift < 1.2:
            wanted.append("lexical")
        else:
            wanted.append("contextual" if lift >= 1.5 and adjusted <= 0.2 else "mixed")
    with TemporaryDirectory() as directory:
        found = basis_of(Path(directory), firing, items, pairs, 0.2)
    assert found.lift_t.tolist() == [None if lift is None else pytest.approx(lift) for lift in lifts]
    assert names(found) == wanted


def lexical_world(run: Run, *, n_tokens: int, seed: int) -> None:
    """Store features that fire on the items of their own set, with a chance of .2 to .9, and nothing else."""
    rng = np.random.default_rng(seed)
    n_items, d = 300, 60
    share = 1 / np.arange(5, n_items + 5)
    items = rng.choice(n_items, n_tokens, p=share / share.sum())
    chance = np.zeros((n_items, d))
    for feature in range(d):
        own = rng.choice(n_items, rng.integers(3, 9), replace=False)
        chance[own, feature] = rng.uniform(0.2, 0.9, len(own))
    firing = rng.random((n_tokens, d)) < chance[items]

    def compute(directory: Path) -> dict[str, Any]:
        write(directory, firing, items, size=3000)
        directions = rng.standard_normal((d, 16)).astype(np.float32)
        write_arrays(directory / "decoder.safetensors", {"W_dec": directions})
        return {}

    run.produce(Spec("10-activations", {"planted": seed}), compute)


def bases(artifact: Artifact) -> dict[str, int]:
    names, seen = np.unique(artifact.table("edges").column("basis").to_pylist(), return_counts=True)
    return dict(zip(names.tolist(), seen.tolist(), strict=True))


def test_edges_that_words_make_are_lexical(tmp_path: Path) -> None:
    """Features of shared words are edges within documents; at most q of them are called contextual."""
    with Run(tmp_path / "run") as run:
        lexical_world(run, n_tokens=40000, seed=21)
        count(run)
        found = bases(associate(run, control="none"))
    total = sum(found.values())
    assert total > 50
    assert found.get("contextual", 0) <= Gates().q * total
    assert found.get("lexical", 0) >= 0.8 * total


def test_edges_irrespective_of_the_word_are_contextual(tmp_path: Path) -> None:
    """Stars and cliques planted on tokens of random items: the items explain none of the edges."""
    with Run(tmp_path / "run") as run:
        planted_run(run)
        count(run)
        found = bases(associate(run, control="none"))
    assert set(found) == {"contextual"}
    assert found["contextual"] > 20
