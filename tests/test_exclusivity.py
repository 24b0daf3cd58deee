"""The strata of exclusivity: pooled and within documents, each number against plain loops, distinct pairs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from worlds import store

from atlas.artifacts import Run
from atlas.association import lower_tail, upper_tail
from atlas.firings import Firings
from atlas.shapes import Candidate, leaf_evidence

DOCUMENT = np.arange(40).repeat(400)
POOLED = np.zeros_like(DOCUMENT)


def stored(directory: Path, firing: np.ndarray[Any, Any], document: np.ndarray[Any, Any]) -> Firings:
    with Run(directory) as run:
        return Firings(store(run, firing, document).path)


def evidence(firings: Firings, labels: np.ndarray[Any, Any]) -> tuple[int, int, int]:
    """Return the testable, depleted and enriched pairs of leaves 1 and 2 under hub 0."""
    (found,) = leaf_evidence(firings, labels, [Candidate(0, (1, 2))])
    return found.testable_pairs, found.depleted_pairs, found.enriched_pairs


def test_leaves_apart_by_document_alone_are_not_depleted_within_documents(tmp_path: Path) -> None:
    """Each leaf is common in its own documents and rare in the other's, and independent within each."""
    rng = np.random.default_rng(1)
    hub = rng.random(len(DOCUMENT)) < 0.5
    first = rng.random(len(DOCUMENT)) < np.where(DOCUMENT % 2 == 0, 0.6, 0.1)
    second = rng.random(len(DOCUMENT)) < np.where(DOCUMENT % 2 == 0, 0.1, 0.6)
    firings = stored(tmp_path / "run", np.column_stack([hub, first, second]), DOCUMENT)
    assert evidence(firings, POOLED) == (1, 1, 0)
    assert evidence(firings, DOCUMENT) == (1, 0, 0)


def test_leaves_that_never_share_a_document_are_not_tested_within_documents(tmp_path: Path) -> None:
    """Pooled they exclude each other; within documents nothing is expected of them, so nothing is said."""
    rng = np.random.default_rng(2)
    some = rng.random(len(DOCUMENT)) < 0.5
    firing = np.column_stack([np.ones_like(some), some & (DOCUMENT % 2 == 0), some & (DOCUMENT % 2 == 1)])
    firings = stored(tmp_path / "run", firing, DOCUMENT)
    assert evidence(firings, POOLED) == (1, 1, 0)
    assert evidence(firings, DOCUMENT) == (0, 0, 0)


def test_leaves_apart_within_documents_are_depleted_either_way(tmp_path: Path) -> None:
    """One of two leaves on each token, whatever the document: exclusive in any strata."""
    rng = np.random.default_rng(3)
    hub = rng.random(len(DOCUMENT)) < 0.5
    which = rng.random(len(DOCUMENT))
    firings = stored(tmp_path / "run", np.column_stack([hub, which < 0.3, which > 0.7]), DOCUMENT)
    assert evidence(firings, POOLED) == evidence(firings, DOCUMENT) == (1, 1, 0)


def test_leaves_together_by_document_alone_are_not_enriched_within_documents(tmp_path: Path) -> None:
    """Of one subject and otherwise independent: enriched in one stratum, nothing within documents."""
    rng = np.random.default_rng(4)
    rate = np.where(DOCUMENT % 2 == 0, 0.6, 0.1)
    first, second = rng.random(len(DOCUMENT)) < rate, rng.random(len(DOCUMENT)) < rate
    firings = stored(tmp_path / "run", np.column_stack([np.ones_like(first), first, second]), DOCUMENT)
    assert evidence(firings, POOLED) == (1, 0, 1)
    assert evidence(firings, DOCUMENT) == (1, 0, 0)


def test_leaves_together_on_tokens_are_enriched_either_way(tmp_path: Path) -> None:
    """Two leaves of one pool that fire together under the hub more than either's rate explains."""
    rng = np.random.default_rng(5)
    hub = rng.random(len(DOCUMENT)) < 0.5
    pool = rng.random(len(DOCUMENT)) < 0.3
    leaves = [pool & (rng.random(len(DOCUMENT)) < 0.7) for _ in range(2)]
    firings = stored(tmp_path / "run", np.column_stack([hub, *leaves]), DOCUMENT)
    assert evidence(firings, POOLED) == evidence(firings, DOCUMENT) == (1, 0, 1)


def uneven_world(directory: Path) -> tuple[Firings, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return firings with two hubs and leaves of weak ties of both signs, in documents of 1 to 300 tokens."""
    rng = np.random.default_rng(6)
    document = np.arange(60).repeat(np.concatenate([np.ones(20, int), rng.integers(2, 300, 40)]))
    n = len(document)
    hub = rng.random(n) < rng.uniform(0.2, 1, 60)[document]
    leaning = rng.standard_normal((n, 2))
    slope = rng.uniform(-0.45, 0.45, (2, 10))
    rate = rng.uniform(0.1, 0.5, 10) * rng.uniform(0.3, 1.5, (60, 10))[document]
    leaves = rng.random((n, 10)) < np.clip(rate * (1 + leaning @ slope), 0, 0.9)
    leaves[:, 9] &= rng.random(n) < 0.02  # too rare for most tests
    firing = np.column_stack([hub, rng.random(n) < 0.5, leaves])  # the second hub is column 1
    return stored(directory, firing, document), document, firing


def by_loops(
    firing: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], hub: int, leaves: tuple[int, ...]
) -> dict[tuple[int, int], tuple[float, float]]:
    """Return both tails' p of the testable pairs: triples, E and V counted one stratum after the other."""
    found = {}
    for i, j in combinations(leaves, 2):
        c, e, v = 0, 0.0, 0.0
        for stratum in np.unique(labels):
            here = firing[(labels == stratum) & firing[:, hub]]
            t, x, y = len(here), int(here[:, i].sum()), int(here[:, j].sum())
            c += int((here[:, i] & here[:, j]).sum())
            if t > 0:
                e += x * y / t
            if t > 1:
                v += x * y * (t - x) * (t - y) / (t * t * (t - 1))
        if e >= 10:
            one = np.array([c]), np.array([e]), np.array([v])
            found[i, j] = float(lower_tail(*one)[0]), float(upper_tail(*one)[0])
    return found


def test_claims_equal_plain_loops_at_every_rate(tmp_path: Path) -> None:
    """Over the whole range of q the claims step where the looped p-values do: c, E and V of both tails are right."""
    firings, document, firing = uneven_world(tmp_path / "run")
    leaves = tuple(range(2, 12))
    for labels in (document, np.zeros_like(document)):
        p = by_loops(firing, labels, 0, leaves)
        assert 30 < len(p) < 45
        lower, upper = (scipy.stats.false_discovery_control(tail) for tail in zip(*p.values(), strict=True))
        for q in (*np.geomspace(1e-8, 0.999, 60), *(lower * (1 - 1e-5)), *(upper * (1 + 1e-5))):
            (found,) = leaf_evidence(firings, labels, [Candidate(0, leaves)], q=q)
            assert found.testable_pairs == len(p)
            assert found.covered_leaves == len({leaf for pair in p for leaf in pair})
            assert (found.depleted_pairs, found.enriched_pairs) == ((lower <= q).sum(), (upper <= q).sum())


@pytest.mark.parametrize("q", [0.01, 0.05, 0.1, 0.2, 0.4])
def test_a_pair_counts_once_in_the_family_however_often_it_is_given(tmp_path: Path, q: float) -> None:
    """The same hub and leaves twice, or in another order, change neither their own claims nor another's."""
    firings, document, _ = uneven_world(tmp_path / "run")
    one, other = Candidate(0, (2, 3, 4, 5, 6)), Candidate(1, (7, 8, 9, 10))
    turned = Candidate(0, (6, 5, 4, 3, 2))
    alone = leaf_evidence(firings, document, [one, other], q=q)
    assert leaf_evidence(firings, document, [one, one, turned, other, one], q=q) == [
        alone[0], alone[0], alone[0], alone[1], alone[0]
    ]  # fmt: skip
    assert leaf_evidence(firings, document, [other, one, other, other], q=q) == [
        alone[1], alone[0], alone[1], alone[1]
    ]  # fmt: skip


@pytest.mark.parametrize("labelled", [True, False])
def test_the_family_is_every_distinct_pair_under_each_hub(tmp_path: Path, labelled: bool) -> None:
    """Candidates that share a pair share its one test; the same leaves under another hub are tests of their own."""
    firings, document, firing = uneven_world(tmp_path / "run")
    labels = document if labelled else np.zeros_like(document)
    candidates = [Candidate(0, (2, 3, 4, 5, 6)), Candidate(0, (5, 6, 7, 8)), Candidate(1, (2, 3, 4, 5, 6))]
    of_each = [by_loops(firing, labels, candidate.hub, candidate.leaves) for candidate in candidates]
    family = {(c.hub, *pair): p for c, pairs in zip(candidates, of_each, strict=True) for pair, p in pairs.items()}
    assert len(family) == sum(map(len, of_each)) - 1
    adjusted = [scipy.stats.false_discovery_control(tail) for tail in zip(*family.values(), strict=True)]
    for q in np.geomspace(1e-4, 0.999, 40):
        claimed = [dict(zip(family, tail <= q, strict=True)) for tail in adjusted]
        found = leaf_evidence(firings, labels, candidates, q=q)
        for candidate, pairs, evident in zip(candidates, of_each, found, strict=True):
            wanted = [sum(tail[candidate.hub, *pair] for pair in pairs) for tail in claimed]
            assert [evident.depleted_pairs, evident.enriched_pairs] == wanted
            assert evident.testable_pairs == len(pairs)
