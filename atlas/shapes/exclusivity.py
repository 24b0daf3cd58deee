"""Whether the leaves of a hub exclude each other under it: triples counted, and tested in strata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from atlas.association import benjamini_hochberg, lower_tail, upper_tail
from atlas.firings import Firings
from atlas.tracking import Track, untracked

Floats = npt.NDArray[np.float64]
HubRole = Literal["parent", "modifier"]
MIN_EXPECTED = 10.0
PARENT_COVER = 0.8
MODIFIER_COVER = 0.3
MODIFIER_LIFT = 10.0
MAX_LEAVES = 256
BLOCK_ROWS = 65536


@dataclass(frozen=True)
class Candidate:
    """A hub and its leaves, by feature index."""

    hub: int
    leaves: tuple[int, ...]


@dataclass(frozen=True)
class Evidence:
    """What the triples say of one candidate; see `schema` for each number's meaning.

    Attributes
    ----------
    testable_pairs, depleted_pairs, enriched_pairs, covered_leaves : int
    leaf_association : float or None
        Median over leaf pairs of log2((n_hij + .5) / (n_hi n_hj / n_h + .5)), bits.
    coverage : float or None
        sum_i n_hi / n_h.
    hub_given_leaf : float or None
        Median over leaves of n_hi / n_i. These three are None where the candidate was not examined.
    hub_role : str or None
        What the hub is to its leaves, see `role_of_hub`.
    """

    testable_pairs: int = 0
    depleted_pairs: int = 0
    enriched_pairs: int = 0
    covered_leaves: int = 0
    leaf_association: float | None = None
    coverage: float | None = None
    hub_given_leaf: float | None = None
    hub_role: HubRole | None = None


@dataclass(frozen=True)
class _Triples:
    """Testable leaf pairs of one candidate: places of the leaves, p of both tails, and the summary."""

    i: npt.NDArray[np.int64]
    j: npt.NDArray[np.int64]
    lower: Floats
    upper: Floats
    association: float | None
    coverage: float | None
    hub_given_leaf: float | None
    hub_role: HubRole | None


def leaf_evidence(
    firings: Firings,
    labels: npt.NDArray[np.integer],
    candidates: Sequence[Candidate],
    *,
    q: float = 0.05,
    track: Track = untracked,
) -> list[Evidence]:
    """Return the evidence for each candidate.

    Under independence of leaves i and j given hub h within a stratum d,
    E = sum_d n_hid n_hjd / n_hd, with the variance of the same null. Both tails are tested where
    E >= 10, each as a family of its own with Benjamini-Hochberg over the distinct (hub, pair).
    It says whether leaves exclude or attract each other under the hub; features that are words
    are exclusive for free, since a position holds one word.

    Parameters
    ----------
    labels
        Stratum of each token: spans of documents, or vocabulary items.
    candidates
        Hubs with their leaves; one that is given again is examined once. More than 256 leaves are not
        examined: all counts are 0, the rest None.
    q
        False-discovery rate of each family.
    track
        Told of the candidates done.
    """
    place = np.full(firings.n_tokens, -1, np.int32)
    distinct = list(dict.fromkeys(candidates))
    triples = []
    with track("structure", total=len(distinct), unit="subgraphs") as advance:
        for candidate in distinct:
            triples.append(_triples(firings, labels, candidate, place))
            advance(1)
    depleted, enriched = _claims(distinct, triples, q)
    summaries = [_summary(*row) for row in zip(triples, depleted, enriched, strict=True)]
    found = dict(zip(distinct, summaries, strict=True))
    return [found[candidate] for candidate in candidates]


def role_of_hub(
    joint: npt.NDArray[np.int64], leaf: npt.NDArray[np.int64], *, hub: int, n_tokens: int
) -> HubRole | None:
    """Return whether a hub is the parent of its leaves, or modifies them; None where it does neither.

    `parent`: P(hub given leaf) >= .8 for more than half of the leaves, so the hub fires nearly
    wherever they do. `modifier`: for more than half of them both conditionals are below .3 and the
    lift N n_hi / (n_h n_i) is 10 or more, so hub and leaf mostly fire apart, and together far more
    than by chance. Says what the firings are like, not what either feature means; on a backbone with
    a high cut the lift is high anyway.

    Parameters
    ----------
    joint
        n_hi, tokens on which the hub fires with each leaf, shape (n_leaves,).
    leaf
        n_i, firings of each leaf, shape (n_leaves,).
    hub
        n_h, firings of the hub.
    n_tokens
        N, tokens kept.
    """
    given_leaf, given_hub = joint / np.maximum(leaf, 1), joint / max(hub, 1)
    lift = n_tokens * joint / np.maximum(float(hub) * leaf, 1)
    if 2 * int((given_leaf >= PARENT_COVER).sum()) > len(leaf):
        return "parent"
    apart = (given_leaf < MODIFIER_COVER) & (given_hub < MODIFIER_COVER) & (lift >= MODIFIER_LIFT)
    return "modifier" if 2 * int(apart.sum()) > len(leaf) else None


def _triples(
    firings: Firings, labels: npt.NDArray[np.integer], candidate: Candidate, place: npt.NDArray[np.int32]
) -> _Triples:
    none = np.zeros(0, np.int64)
    rows = firings.tokens_of(candidate.hub)
    rows = rows[np.argsort(labels[rows], kind="stable")]  # a stratum's rows stand together
    k = len(candidate.leaves)
    if not 2 <= k <= MAX_LEAVES or len(rows) == 0:
        return _Triples(none, none, np.zeros(0), np.zeros(0), None, None, None, None)
    joint, expected, variance = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
    for firing, starts in _blocks(firings, labels, candidate, rows, place):
        joint += firing.T @ firing
        inside = np.add.reduceat(firing, starts, axis=0).astype(np.float64)
        size = np.diff(starts, append=len(firing)).astype(np.float64)[:, None]
        expected += (inside / size).T @ inside
        spread = inside * (size - inside)
        variance += (spread / (size**2 * np.maximum(size - 1, 1))).T @ spread
    with_hub = np.diag(joint)
    i, j = np.triu_indices(k, 1)
    ratio = (joint[i, j] + 0.5) / (with_hub[i] * with_hub[j] / len(rows) + 0.5)
    counts = firings.firing_count[list(candidate.leaves)]
    test = (expected[i, j] >= MIN_EXPECTED) & (variance[i, j] > 0)  # no variance, nothing to test
    i, j = i[test], j[test]
    tested = joint[i, j].astype(np.int64), expected[i, j], variance[i, j]
    return _Triples(
        i,
        j,
        lower_tail(*tested),
        upper_tail(*tested),
        float(np.median(np.log2(ratio))),
        float(with_hub.sum() / len(rows)),
        float(np.median(with_hub / np.maximum(counts, 1))),
        role_of_hub(with_hub.astype(np.int64), counts, hub=len(rows), n_tokens=firings.n_tokens),
    )


def _blocks(
    firings: Firings,
    labels: npt.NDArray[np.integer],
    candidate: Candidate,
    rows: npt.NDArray[np.uint32],
    place: npt.NDArray[np.int32],
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Yield (leaf firings on rows of the hub, where each stratum starts) in bounded blocks.

    float32 sums of zeros and ones are exact: a block has fewer than 2^24 rows, unless one stratum
    alone has more.
    """
    strata = labels[rows]
    changes = np.flatnonzero(np.diff(strata, prepend=strata[0] - 1))
    low = 0
    while low < len(rows):
        later = changes[changes > low]
        fitting = later[later <= low + BLOCK_ROWS]
        high = len(rows)
        if len(rows) - low > BLOCK_ROWS and later.size:
            high = int(fitting[-1] if fitting.size else later[0])
        some = rows[low:high]
        place[some] = np.arange(high - low, dtype=np.int32)
        firing = np.zeros((high - low, len(candidate.leaves)), np.float32)
        for column, leaf in enumerate(candidate.leaves):
            at = place[firings.tokens_of(leaf)]
            firing[at[at >= 0], column] = 1
        place[some] = -1
        yield firing, changes[(changes >= low) & (changes < high)] - low
        low = high


def _claims(
    candidates: Sequence[Candidate], triples: Sequence[_Triples], q: float
) -> tuple[list[npt.NDArray[np.bool_]], list[npt.NDArray[np.bool_]]]:
    """Return for each candidate which testable pairs are depleted and which enriched."""
    if not triples:
        return [], []
    keys = np.concatenate([_keys(candidate, triple) for candidate, triple in zip(candidates, triples, strict=True)])
    _, first, back = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    back = back.reshape(-1)
    ends = np.cumsum([len(triple.i) for triple in triples])[:-1]
    out = []
    for tail in ("lower", "upper"):
        p = np.concatenate([getattr(triple, tail) for triple in triples])
        claimed = (benjamini_hochberg(p[first]) <= q)[back] if len(p) else np.zeros(0, bool)
        out.append(np.split(claimed, ends))
    return out[0], out[1]


def _keys(candidate: Candidate, triple: _Triples) -> npt.NDArray[np.int64]:
    leaves = np.asarray(candidate.leaves, np.int64)
    pair = np.sort(np.column_stack([leaves[triple.i], leaves[triple.j]]), axis=1)
    return np.column_stack([np.full(len(pair), candidate.hub, np.int64), pair])


def _summary(triple: _Triples, depleted: npt.NDArray[np.bool_], enriched: npt.NDArray[np.bool_]) -> Evidence:
    return Evidence(
        testable_pairs=len(triple.i),
        depleted_pairs=int(depleted.sum()),
        enriched_pairs=int(enriched.sum()),
        covered_leaves=len(np.union1d(triple.i, triple.j)),
        leaf_association=triple.association,
        coverage=triple.coverage,
        hub_given_leaf=triple.hub_given_leaf,
        hub_role=triple.hub_role,
    )
