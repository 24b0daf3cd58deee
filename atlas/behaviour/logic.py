"""Features that fire like the AND or the XOR of two others, and unions of exclusive ones, which look like an XOR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numba
import numpy as np
import numpy.typing as npt

from atlas.association import benjamini_hochberg, lower_tail, upper_tail
from atlas.behaviour.held_out import Floats, Integers
from atlas.counting.counts import PairCounts
from atlas.marks import add, clear_all, hits, no_marks
from atlas.tracking import Track, untracked

KINDS = ("AND", "XOR", "OR")
BATCH = 256
"""Features whose triples are held against the gates at once."""


@dataclass(frozen=True)
class LogicRules:
    """Which triples are looked at, and what is claimed of them.

    Attributes
    ----------
    most : int
        Strongest neighbours of a feature whose pairs are its inputs.
    min_joint : int
        Tokens on which both inputs fire, for AND and XOR.
    high, low : float
        Share of tokens from which c fires where the function is true, and up to which it does where only one input
        fires (AND) or both do (XOR).
    q : float
        False-discovery rate over all triples looked at.
    """

    most: int = 20
    min_joint: int = 20
    high: float = 0.5
    low: float = 0.1
    q: float = 0.05


@dataclass(frozen=True)
class Triples:
    """Claims: c is a function of a and b.

    Attributes
    ----------
    a, b, c : int64, shape (n,)
        The two inputs, a < b, and the feature.
    kind : str, shape (n,)
    counts : int64, shape (n, 7)
        n_a, n_b, n_c, n_ab, n_ac, n_bc, n_abc.
    basis : str, shape (n,)
        `contextual` where the test holds within vocabulary items, too, `lexical` where not; `untested` of OR.
    p, q : float64, shape (n,)
    looked_at : int
        Triples that were looked at; the claims are among them.
    """

    a: Integers
    b: Integers
    c: Integers
    kind: npt.NDArray[np.str_]
    counts: Integers
    basis: npt.NDArray[np.str_]
    p: Floats
    q: Floats
    looked_at: int


@dataclass(frozen=True)
class Index:
    """Firings by feature, and the stratum of each token.

    Attributes
    ----------
    indptr : int64, shape (d_sae + 1,)
    rows : uint32, shape (nnz,)
    stratum : int32, shape (n_tokens,)
        Ascending.
    item : int32, shape (n_tokens,)
        Vocabulary item of each token.
    pairs : PairCounts
        How often two features fire together.
    shuffle : int or None
        Where given, the seed by which the firings of a feature that is to combine others are permuted within strata.
    """

    indptr: Integers
    rows: npt.NDArray[np.uint32]
    stratum: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    pairs: PairCounts
    shuffle: int | None = None
    _taken: npt.NDArray[np.bool_] = field(init=False, repr=False)
    _starts: Integers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n_strata = int(self.stratum[-1]) + 1 if self.shuffle is not None and len(self.stratum) else 0
        object.__setattr__(self, "_taken", np.zeros(self.n_tokens if n_strata else 0, np.bool_))
        object.__setattr__(self, "_starts", np.searchsorted(self.stratum, np.arange(n_strata + 1)))

    @property
    def n_tokens(self) -> int:
        """Tokens."""
        return len(self.stratum)

    def of(self, feature: int) -> npt.NDArray[np.uint32]:
        """Return the tokens on which a feature fires."""
        return self.rows[self.indptr[feature] : self.indptr[feature + 1]]

    def combined(self, feature: int) -> npt.NDArray[np.uint32]:
        """Return the same of one that is to combine others: permuted in the control."""
        own = self.of(feature)
        if self.shuffle is None or not len(own):
            return own
        moved: npt.NDArray[np.uint32] = _permuted(
            own, self.stratum, self._starts, self._taken, np.random.default_rng([self.shuffle, feature])
        )
        return moved


def find_logic(
    index: Index,
    neighbours: Sequence[Integers],
    *,
    rules: LogicRules | None = None,
    track: Track = untracked,
) -> Triples:
    """Return the features that fire like a function of two of their neighbours on the backbone.

    Of every feature c and two neighbours a, b the eight counts are made. Claimed is

    * `AND`: both inputs fire on 20 tokens or more, c on half of these or more, and on a tenth or less of the tokens
      with one of them alone;
    * `XOR`: both inputs fire on 20 tokens or more, c on a tenth or less of these, and on half or more of the tokens
      with a alone and of those with b alone, and I(c; a xor b) > I(c; a) + I(c; b);
    * `OR`: the same, of inputs that hardly ever meet (fewer than 20 tokens). Its information is that of an XOR, of
      which it is no instance: nobody has seen both inputs.

    AND and XOR are tested within documents: given that a fires, c goes with b more (AND) or less (XOR) than the strata
    explain, and given b with a. The larger p of the two counts, adjusted over all triples looked at.
    The same test within vocabulary items gives the basis: most features that fire where two others do share a word.

    Parameters
    ----------
    neighbours
        Of each feature, the strongest first.

    Notes
    -----
    It says how firings go together. That the model computes the function is another claim, which needs the model.
    """
    rules = rules or LogicRules()
    fixed = (index.indptr, index.rows, index.pairs.indptr, index.pairs.columns, index.pairs.joint_count)
    place, marks = np.zeros(index.n_tokens, np.int32), no_marks(index.n_tokens)
    found: list[tuple[Integers, Integers]] = [(np.zeros((0, 4), np.int64), np.zeros((0, 7), np.int64))]
    waiting: list[tuple[Integers, Integers]] = []
    looked_at = 0
    with track("behaviour: logic", total=len(neighbours), unit="features") as advance:
        for c, near in enumerate(neighbours):
            some = np.sort(near[: rules.most])
            advance(1)
            if len(some) >= 2:
                i, j, counts = _of_feature(*fixed, index.combined(c), some, place, marks)
                looked_at += len(i)
                waiting.append((np.column_stack([some[i], some[j], np.full(len(i), c)]), counts))
            if len(waiting) == BATCH or c == len(neighbours) - 1:
                found += _claimed(waiting, index.n_tokens, rules)
                waiting = []
    ends, counts = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _tested(index, ends, counts, looked_at, rules)


def _claimed(
    waiting: Sequence[tuple[Integers, Integers]], n_tokens: int, rules: LogicRules
) -> list[tuple[Integers, Integers]]:
    """Return the triples that pass the gates, as a, b, c and number of the kind, with their counts."""
    if not waiting:
        return []
    ends, counts = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
    kinds = _kinds(counts, n_tokens, rules)
    passed = kinds >= 0
    return [(np.column_stack([ends, kinds])[passed], counts[passed])]


def _kinds(counts: Integers, n_tokens: int, rules: LogicRules) -> Integers:
    """Return the number in `KINDS` of each triple, -1 where it is none."""
    n_a, n_b, n_ab = counts[:, [0, 1, 3]].T
    both, a_alone, b_alone = shares(counts)
    alone = np.minimum(n_a, n_b) - n_ab >= rules.min_joint
    seen = n_ab >= rules.min_joint
    conjunction = seen & alone & (both >= rules.high) & (np.maximum(a_alone, b_alone) <= rules.low)
    either = alone & (np.minimum(a_alone, b_alone) >= rules.high)
    information, apart = informations(counts, np.ones(len(counts), np.int64), n_tokens)
    either &= information > apart
    kinds = np.full(len(counts), -1, np.int64)
    kinds[conjunction] = 0
    kinds[either & seen & (both <= rules.low)] = 1
    kinds[either & ~seen] = 2
    return kinds


def shares(counts: Integers) -> tuple[Floats, Floats, Floats]:
    """Return P(c | a and b), P(c | a alone), P(c | b alone); 0 where there is no such token."""
    n_a, n_b, _, n_ab, n_ac, n_bc, n_abc = counts.T
    return (
        n_abc / np.maximum(n_ab, 1),
        (n_ac - n_abc) / np.maximum(n_a - n_ab, 1),
        (n_bc - n_abc) / np.maximum(n_b - n_ab, 1),
    )


def informations(counts: Integers, kind: Integers, n_tokens: int) -> tuple[Floats, Floats]:
    """Return I(c; f(a, b)) of each triple's function, AND, XOR or OR, and I(c; a) + I(c; b), in bits."""
    n_a, n_b, n_c, n_ab, n_ac, n_bc, n_abc = counts.T
    true = np.choose(kind, [n_ab, n_a + n_b - 2 * n_ab, n_a + n_b - n_ab])
    with_c = np.choose(kind, [n_abc, n_ac + n_bc - 2 * n_abc, n_ac + n_bc - n_abc])
    apart = _information(n_a, n_c, n_ac, n_tokens) + _information(n_b, n_c, n_bc, n_tokens)
    return _information(true, n_c, with_c, n_tokens), apart


def _information(x: Integers, y: Integers, both: Integers, n: int) -> Floats:
    """Return the mutual information of two binary variables from their counts, in bits."""
    total = np.zeros(len(x))
    cells = ((both, x, y), (x - both, x, n - y), (y - both, n - x, y), (n - x - y + both, n - x, n - y))
    for joint, one, other in cells:
        ratio = joint.astype(np.float64) * n / np.maximum(one.astype(np.float64) * other, 1)
        total += joint / n * np.log2(np.where(joint > 0, ratio, 1.0))
    return np.maximum(total, 0.0)


def _tested(index: Index, ends: Integers, counts: Integers, looked_at: int, rules: LogicRules) -> Triples:
    """Return the triples that pass the test, too; OR is not tested, for want of tokens with both."""
    a, b, c, kind = ends.T
    p, within_items = (np.ones(len(ends)) for _ in range(2))
    columns, mark = np.zeros((len(ends), 2, 2, 3)), np.zeros(index.n_tokens, np.int8)
    for number in np.flatnonzero(kind < 2).tolist():
        one, other, out = index.of(a[number]), index.of(b[number]), index.combined(int(c[number]))
        for way, (given, second) in enumerate(((one, other), (other, one))):
            columns[number, 0, way] = _within_strata(given, second, out, index.stratum, mark)
            by_item = given[np.argsort(index.item[given], kind="stable")]
            columns[number, 1, way] = _within_strata(by_item, second, out, index.item, mark)
    for number, tail in enumerate((upper_tail, lower_tail)):
        some = kind == number
        for place, found in enumerate((p, within_items)):
            found[some] = np.maximum(*(tail(*columns[some, place, way].T) for way in (0, 1)))
    q = benjamini_hochberg(p, n_tests=max(looked_at, len(p)))
    kept = np.flatnonzero((kind == 2) | (q <= rules.q))
    kept = kept[np.lexsort((kind[kept], c[kept], b[kept], a[kept]))]
    basis = np.where(kind == 2, "untested", np.where(within_items <= rules.q, "contextual", "lexical"))
    names = np.array(KINDS)[kind[kept]]
    return Triples(a[kept], b[kept], c[kept], names, counts[kept], basis[kept], p[kept], q[kept], looked_at)


@numba.njit(cache=True, nogil=True)
def _of_feature(indptr, rows, pairs_indptr, columns, joint, own, others, place, marks):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return pairs i < j of others, and n_a, n_b, n_c, n_ab, n_ac, n_bc, n_abc of each with the feature.

    The others are found on the feature's tokens `own`, and pairs of them added up token by token; n_ab is looked up.
    `marks` has none, before and after.
    """
    k, n, most = len(others), 0, 1
    for r, token in enumerate(own):
        place[token] = r
        add(marks, token)
    for f in others:
        most += min(indptr[f + 1] - indptr[f], len(own)) + 1
    seen, first, room = np.empty(most, np.int32), np.empty(k + 1, np.int64), np.empty(0, np.int64)
    ends = np.zeros(len(own) + 1, np.int64)
    for x, f in enumerate(others):
        tokens = rows[indptr[f] : indptr[f + 1]]
        if len(room) <= len(tokens):
            room = np.empty(2 * len(tokens) + 1, np.int64)
        first[x] = n
        for at in range(hits(marks, tokens, room)):
            seen[n] = place[tokens[room[at]]]
            ends[seen[n] + 1] += 1
            n += 1
    first[k] = n
    ends = np.cumsum(ends)
    firing, filled = np.empty(n, np.int32), ends.copy()
    with_c, triple = np.diff(first), np.zeros((k, k), np.int64)
    for x in range(k):
        for r in seen[first[x] : first[x + 1]]:
            firing[filled[r]] = x
            filled[r] += 1
    clear_all(marks, own)
    for r in range(len(own)):
        here = firing[ends[r] : ends[r + 1]]
        for at, x in enumerate(here):
            for y in here[at + 1 :]:
                triple[x, y] += 1
    return _tallied(indptr, pairs_indptr, columns, joint, others, len(own), with_c, triple)


@numba.njit(cache=True, nogil=True)
def _tallied(indptr, pairs_indptr, columns, joint, others, n_own, with_c, triple):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return pairs i < j of others, and the seven counts of each; joint firings of the two are looked up."""
    k = len(others)
    i, j = np.empty(k * (k - 1) // 2, np.int64), np.empty(k * (k - 1) // 2, np.int64)
    counts, at = np.empty((len(i), 7), np.int64), 0
    for x in range(k):
        f = others[x]
        low, high = pairs_indptr[f], pairs_indptr[f + 1]
        for y in range(x + 1, k):
            g, found = others[y], 0
            place_of = low + np.searchsorted(columns[low:high], g)
            if place_of < high and columns[place_of] == g:
                found = joint[place_of]
            i[at], j[at] = x, y
            counts[at] = (indptr[f + 1] - indptr[f], indptr[g + 1] - indptr[g], n_own, found, with_c[x], with_c[y],
                          triple[x, y])  # fmt: skip
            at += 1
    return i, j, counts


@numba.njit(cache=True, nogil=True)
def _within_strata(given, second, out, stratum, mark):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return joint firings of two features on the tokens of a third, expected within strata, and the variance."""
    for token in second:
        mark[token] += 1
    for token in out:
        mark[token] += 2
    joint = expected = variance = 0.0
    low, n = 0, len(given)
    while low < n:
        high, x, y = low, 0, 0
        while high < n and stratum[given[high]] == stratum[given[low]]:
            here = mark[given[high]]
            x += here & 1
            y += here >> 1
            joint += here == 3
            high += 1
        t = high - low
        expected += x * y / t
        if t > 1:
            variance += x * (t - x) / t * (y * (t - y) / t) / (t - 1)
        low = high
    for token in second:
        mark[token] = 0
    for token in out:
        mark[token] = 0
    return joint, expected, variance


@numba.njit(cache=True, nogil=True)
def _permuted(own, stratum, starts, taken, rng):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return as many tokens of each stratum, drawn without replacement; `taken` is False throughout."""
    moved, low, n = np.empty(len(own), np.uint32), 0, len(own)
    while low < n:
        here, high = stratum[own[low]], low
        while high < n and stratum[own[high]] == here:
            high += 1
        first, last = starts[here], starts[here + 1]
        for k in range(low, high):
            token = first + int(rng.random() * (last - first))
            while taken[token]:
                token = first + int(rng.random() * (last - first))
            taken[token] = True
            moved[k] = token
        low = high
    for token in moved:
        taken[token] = False
    return np.sort(moved)
