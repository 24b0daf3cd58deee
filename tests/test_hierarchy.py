"""Parents of features: solved by hand, against plain loops and networkx, and each edge of the rules."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.hierarchy import (
    Fired,
    Limits,
    PairBlock,
    Relations,
    depths,
    direct_pairs,
    divide,
    find_candidates,
    find_parents,
    n_ancestors,
    odds_ratios,
    wilson_lower_bound,
)
from atlas.hierarchy.candidates import Candidates

Dense = np.ndarray[Any, Any]


def fired_of(firing: Dense, chosen: Dense | None = None) -> Fired:
    """Return the tokens of dense firings by feature."""
    chosen = np.ones(firing.shape[1], bool) if chosen is None else chosen
    feature, token = np.nonzero((firing & chosen).T)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(feature, minlength=firing.shape[1]))])
    return Fired(indptr.astype(np.int64), token.astype(np.uint32))


def blocks_of(firing: Dense, size: int) -> Iterator[PairBlock]:
    """Yield the pairs of dense firings that are seen, `size` at a time."""
    joint = (firing.T.astype(np.float64) @ firing).astype(np.int64)
    a, b = np.nonzero(np.triu(joint, 1))
    for low in range(0, len(a), size):
        some = slice(low, low + size)
        yield PairBlock(low, a[some].astype(np.int32), b[some].astype(np.int32), joint[a[some], b[some]])


def relations(
    firing: Dense, sizes: list[int], *, alive: Dense | None = None, size: int = 1000, limits: Limits | None = None
) -> tuple[Relations, Relations]:
    alive = np.ones(firing.shape[1], bool) if alive is None else alive
    parents, same, _ = find_parents(
        blocks_of(firing, size),
        firing.sum(0).astype(np.int64),
        alive,
        lambda chosen: fired_of(firing, chosen),
        sizes=np.array(sizes, np.int64),
        limits=limits,
    )
    return parents, same


def pairs_of(found: Relations) -> set[tuple[int, int]]:
    return set(zip(found.commoner.tolist(), found.rarer.tolist(), strict=True))


def pair_of(p: int, c: int) -> Candidates:
    none = np.zeros(1, np.int64)
    return Candidates(np.array([p], np.int32), np.array([c], np.int32), none, none)


def on(n: int, *rows: Any) -> Dense:
    """Return dense firings of features on the given tokens, shape (n, features)."""
    firing = np.zeros((n, len(rows)), bool)
    for feature, tokens in enumerate(rows):
        firing[list(tokens), feature] = True
    return firing


def odds_by_hand(firing: Dense, sizes: list[int], p: int, c: int) -> tuple[float, float]:
    """The ratio and its lower bound from one table a stratum, the added halves being the last of them."""
    tables, covered = [], 0.0
    low = 0
    for size in sizes:
        some = firing[low : low + size]
        low += size
        n_p, n_c = int(some[:, p].sum()), int(some[:, c].sum())
        a = int((some[:, p] & some[:, c]).sum())
        r, s = a * (size - n_p - n_c + a) / size, (n_c - a) * (n_p - a) / size
        agree = (size - n_p - n_c + 2 * a) / size
        tables.append((agree, 1 - agree, r, s))
        covered += n_c * n_p / size
    share = covered / max(int(firing[:, c].sum()), 1)
    tables.append((1 - share, share, (1 - share) / 2, share / 2))
    agree, differ, r, s = np.array(tables).T
    if not (r.sum() > 0 and s.sum() > 0):
        return 0.0, 0.0
    variance = (
        (agree * r).sum() / (2 * r.sum() ** 2)
        + (agree * s + differ * r).sum() / (2 * r.sum() * s.sum())
        + (differ * s).sum() / (2 * s.sum() ** 2)
    )
    ratio = r.sum() / s.sum()
    return ratio, ratio * np.exp(-1.959963984540054 * np.sqrt(variance))


def test_an_odds_ratio_solved_by_hand() -> None:
    """Documents of 10 and 20 tokens: (2 * 5 / 10 + 2 * 15 / 20 + .33) / (1 * 2 / 10 + 0 + .17), s = 1.7 / 5."""
    firing = on(30, [0, 1, 2, 3, 10, 11, 12, 13, 14], [0, 1, 9, 10, 11])
    pair = pair_of(0, 1)
    ratio, _ = odds_ratios(pair, fired_of(firing), np.array([10, 20]))
    assert ratio.tolist() == [pytest.approx(2.83 / 0.37)]


@pytest.mark.parametrize(
    ("parent", "child", "sizes", "odds"),
    [
        (range(5), range(5), [10], (5 * 5 / 10 + 0.25) / 0.25),  # always inside: no division by zero
        (range(5), range(5, 10), [10], 0.25 / (5 * 5 / 10 + 0.25)),  # never inside
        (range(10), range(5), [10], 0.0),  # the parent covers all: nothing can be told
        (range(5), range(5), [1] * 10, 0.0),  # documents of one token: nothing can be told
        (range(5), range(5, 10), [5, 5], 0.0),  # never in one document
        (range(9), range(5), [10], (5 * 1 / 10 + 0.05) / 0.45),  # inside what covers nine tenths: 11 / 9
    ],
)
def test_cells_of_zero_are_defined(parent: range, child: range, sizes: list[int], odds: float) -> None:
    """Every ratio is finite, and what covers whole documents is nobody's parent."""
    pair = pair_of(0, 1)
    ratio, bound = odds_ratios(pair, fired_of(on(10, parent, child)), np.array(sizes))
    assert ratio.tolist() == [pytest.approx(odds)]
    assert 0 <= bound[0] <= ratio[0]


def test_the_lower_bound_of_the_odds_is_that_of_a_rare_child() -> None:
    """In one long document the variance of the logarithm is 1 / (a + .5) + 1 / (b + .5), to the share of the child."""
    n = 100_000
    firing = on(n, range(40_000), [*range(20), *range(99_998, n)])
    ratio, bound = odds_ratios(pair_of(0, 1), fired_of(firing), np.array([n]))
    expected = ratio[0] * np.exp(-1.96 * np.sqrt(1 / 20.5 + 1 / 2.5))
    assert bound[0] == pytest.approx(expected, rel=1e-3)


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_lower_bound_is_wilsons(x: int, n: int) -> None:
    """As scipy computes it; 8 of 10 have .490, which is too little, and 9 of 10 have .596."""
    x = min(x, n)
    expected = scipy.stats.binomtest(x, n).proportion_ci(method="wilson").low
    assert wilson_lower_bound(np.array([x]), np.array([n]))[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("n_p", "n_c", "joint", "kind"),
    [
        (121, 110, 105, "parent"),  # 1.1 times 110 is above 121 in binary
        (120, 110, 105, "same"),
        (110, 110, 105, "same"),
        (120, 110, 95, None),  # covers the child, and is not covered
        (1000, 100, 80, "parent"),
        (1000, 100, 79, None),
        (50, 10, 8, None),  # Wilson .490
        (50, 10, 9, "parent"),
        (50, 5, 5, "parent"),
        (50, 4, 4, None),  # four tokens
    ],
)
def test_gates_on_counts(n_p: int, n_c: int, joint: int, kind: str | None) -> None:
    """Each gate decides a case of its own, at its very edge; the order of the indices decides nothing."""
    for a, b in ((0, 1), (1, 0)):
        counts = np.zeros(2, np.int64)
        counts[[a, b]] = n_p, n_c
        block = PairBlock(7, np.array([0], np.int32), np.array([1], np.int32), np.array([joint]))
        parents, same = find_candidates([block], counts, np.ones(2, bool), limits=Limits())
        found = {"parent": parents, "same": same}
        assert {name: len(pairs.place) for name, pairs in found.items()} == {
            name: int(name == kind) for name in ("parent", "same")
        }
        if kind is not None:
            assert found[kind].place.tolist() == [7]
        if kind == "parent":
            assert (parents.commoner.tolist(), parents.rarer.tolist()) == ([a], [b])


def test_two_features_that_always_fire_together_are_the_same() -> None:
    """Neither is a parent, and both are children of the same parent."""
    firing = on(100, range(40), range(12), range(12))
    parents, same = relations(firing, [100])
    assert pairs_of(parents) == {(0, 1), (0, 2)}
    assert pairs_of(same) == {(1, 2)}
    assert same.conditional.tolist() == [1.0]
    assert direct_pairs(parents.commoner, parents.rarer).all()


def test_a_feature_that_fires_on_every_token_of_the_documents_is_nobodys_parent() -> None:
    """Whether it counts as dense or not: it fires as often without the child."""
    firing = on(100, range(100), range(12))
    for alive in ([True, True], [False, True]):
        assert pairs_of(relations(firing, [100], alive=np.array(alive))[0]) == set()


def test_dead_and_dense_features_are_in_no_pair() -> None:
    """Neither as parents nor as children nor as equals."""
    firing = on(100, range(40), range(12), range(12))
    for dead in range(3):
        alive = np.arange(3) != dead
        parents, same = relations(firing, [100], alive=alive)
        assert not {dead} & set(itertools.chain(*pairs_of(parents), *pairs_of(same)))
        assert len(parents.p) + len(same.p) == 1


def test_a_topic_is_no_parent_of_what_fires_in_its_documents() -> None:
    """A feature on 85 % of a subject's tokens covers all that fires there; the odds ratio within documents is 1."""
    rng = np.random.default_rng(0)
    subject = np.arange(100) < 8
    topic = subject.repeat(200) & (rng.random(20000) < 0.85)
    word = subject.repeat(200) & (rng.random(20000) < 0.05)
    general = word | (rng.random(20000) < 0.03)
    firing = np.column_stack([topic, word, general])
    assert (topic & word).sum() / word.sum() > 0.8
    assert pairs_of(relations(firing, [200] * 100)[0]) == {(2, 1)}
    assert pairs_of(relations(firing, [20000])[0]) >= {(0, 1), (2, 1)}  # one stratum does not see it


def test_a_topic_is_no_parent_of_a_rare_feature_that_is_in_it_by_chance() -> None:
    """22 firings, all on the six sevenths that the subject covers: a ratio of 7.5, which chance gives in one of 30."""
    firing = on(7000, range(6000), range(0, 5500, 250))
    assert pairs_of(relations(firing, [7000])[0]) == set()
    assert pairs_of(relations(firing, [7000], limits=Limits(min_odds_lower_bound=0))[0]) == {(0, 1)}


def test_the_closure_stays_and_the_direct_pairs_are_its_reduction() -> None:
    """A chain with a second parent: grandparents are pairs, and not direct."""
    firing = on(1000, range(90), range(60), range(40, 75), range(45, 57))
    parents, _ = relations(firing, [1000])
    assert pairs_of(parents) == {(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)}
    direct = direct_pairs(parents.commoner, parents.rarer)
    kept = set(itertools.compress(zip(parents.commoner.tolist(), parents.rarer.tolist(), strict=True), direct))
    assert kept == {(0, 1), (0, 2), (1, 3), (2, 3)}
    nodes, depth = depths(parents.commoner[direct], parents.rarer[direct])
    assert dict(zip(nodes.tolist(), depth.tolist(), strict=True)) == {0: 0, 1: 1, 2: 1, 3: 2}


def test_a_chain_of_equals_whose_ends_are_parent_and_child() -> None:
    """100, 109, 118 and 128 firings, and 113 between: joined to one node the chain would be its own ancestor."""
    firing = on(2000, range(100), range(109), range(118), range(128), range(113))
    parents, same = relations(firing, [2000])
    assert pairs_of(same) == {(1, 0), (2, 1), (3, 2), (4, 1), (2, 4)}
    assert pairs_of(parents) == {(2, 0), (3, 0), (4, 0), (3, 1), (3, 4)}
    graph = nx.DiGraph(pairs_of(parents))
    assert nx.is_directed_acyclic_graph(graph)
    joined = nx.relabel_nodes(graph, dict.fromkeys(range(4), 0))
    assert nx.has_path(joined, 0, 4)
    assert nx.has_path(joined, 4, 0)


def test_nothing_to_find_gives_nothing() -> None:
    """No pairs, no candidates, no features: empty arrays of the right types, no error."""
    for firing in (np.zeros((10, 3), bool), on(10, [0, 1], [1, 2]), np.zeros((10, 0), bool)):
        parents, same = relations(firing, [10])
        for found in (parents, same):
            assert found.n_candidates == 0
            assert {name: (len(value), value.dtype.kind) for name, value in found.__dict__.items()
                    if name != "n_candidates"} == {
                **dict.fromkeys(("commoner", "rarer", "joint_count", "place"), (0, "i")),
                **dict.fromkeys(("conditional", "lower_bound", "odds_ratio", "p", "q"), (0, "f")),
            }  # fmt: skip
        assert len(direct_pairs(parents.commoner, parents.rarer)) == 0
        assert n_ancestors(parents.commoner, parents.rarer) == 0
        divisions = divide(parents.commoner, parents.rarer, fired_of(firing), same=(same.commoner, same.rarer))
        assert len(divisions.parent) == len(divisions.kind) == 0


def nested(rng: np.random.Generator, n: int, d: int) -> Dense:
    """Return firings in which features are often made of earlier ones, so that there is something to find."""
    firing = np.zeros((n, d), bool)
    for feature in range(d):
        kind = rng.integers(0, 4) if feature else 0
        of = firing[:, rng.integers(0, feature)] if feature else firing[:, 0]
        more = rng.random(n) < rng.uniform(0.02, 0.3)
        firing[:, feature] = (
            more if kind == 0
            else (of | more) & (rng.random(n) < 0.95) if kind == 1
            else of & (rng.random(n) < rng.uniform(0.3, 1)) if kind == 2
            else of & (rng.random(n) < 0.97)
        )  # fmt: skip
    return firing[:, rng.permutation(d)]


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_everything_equals_plain_loops(seed: int) -> None:
    """Pairs, conditionals, bounds, odds, p and q of any firings; the reduction is networkx's, without cycles."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, rng.choice([2, 30, 200]), 40).tolist()
    firing = nested(rng, sum(sizes), 9)
    alive = rng.random(9) < 0.9
    parents, same = relations(firing, sizes, alive=alive, size=int(rng.integers(1, 40)))
    n = firing.sum(0)
    tested: dict[str, dict[tuple[int, int], tuple[float, ...]]] = {"parent": {}, "same": {}}
    lowest: dict[tuple[int, int], float] = {}
    for a, b in itertools.combinations(range(9), 2):
        p, c = (a, b) if n[a] >= n[b] else (b, a)
        joint = int((firing[:, a] & firing[:, b]).sum())
        if joint < 5 or not (alive[a] and alive[b]):
            continue
        kind = "parent" if 10 * n[p] >= 11 * n[c] else "same"
        of = int(n[c] if kind == "parent" else n[p])
        bound = scipy.stats.binomtest(joint, of).proportion_ci(method="wilson").low
        if 10 * joint < 8 * of or bound < 0.5:
            continue
        test = scipy.stats.binom.sf(joint - 1, of, 0.5)
        odds, odds_bound = odds_by_hand(firing, sizes, p, c)
        lowest[p, c] = odds_bound
        tested[kind][p, c] = (joint, joint / of, bound, odds, test)
    for relation, rows in ((parents, tested["parent"]), (same, tested["same"])):
        assert relation.n_candidates == len(rows)
        q = scipy.stats.false_discovery_control([row[-1] for row in rows.values()]) if rows else []
        wanted = {pair: (*row, adjusted) for (pair, row), adjusted in zip(rows.items(), q, strict=True)
                  if row[3] >= 3 and lowest[pair] >= 1 and adjusted <= 0.05}  # fmt: skip
        columns = ("joint_count", "conditional", "lower_bound", "odds_ratio", "p", "q")
        got = zip(*(getattr(relation, name).tolist() for name in ("commoner", "rarer", *columns)), strict=True)
        assert {row[:2]: row[2:] for row in got} == {pair: pytest.approx(row) for pair, row in wanted.items()}
    graph = nx.DiGraph(pairs_of(parents))
    assert nx.is_directed_acyclic_graph(graph)
    direct = direct_pairs(parents.commoner, parents.rarer)
    kept = itertools.compress(zip(parents.commoner.tolist(), parents.rarer.tolist(), strict=True), direct)
    assert set(kept) == set(nx.transitive_reduction(graph).edges)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_reduction_and_depth_of_any_graph_without_cycles_are_networkxs(seed: int) -> None:
    """Also where pairs are not a closure: long ways with many shortcuts."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    p, c = np.nonzero(np.triu(rng.random((n, n)) < rng.uniform(0.05, 0.7), 1))
    names = rng.permutation(1000)[:n]
    graph = nx.DiGraph(zip(names[p].tolist(), names[c].tolist(), strict=True))
    direct = direct_pairs(names[p], names[c])
    kept = set(zip(names[p[direct]].tolist(), names[c[direct]].tolist(), strict=True))
    assert kept == set(nx.transitive_reduction(graph).edges)
    assert n_ancestors(names[p], names[c]) == len(nx.transitive_closure_dag(graph).edges)
    assert n_ancestors(names[p[direct]], names[c[direct]]) == n_ancestors(names[p], names[c])
    nodes, depth = depths(names[p], names[c])
    longest = dict.fromkeys(graph, 0)
    for node in nx.topological_sort(graph):
        longest[node] = max((longest[above] + 1 for above in graph.predecessors(node)), default=0)
    assert dict(zip(nodes.tolist(), depth.tolist(), strict=True)) == longest


def test_divisions_solved_by_hand() -> None:
    """Of 100 firings: 45 and 45 apart, 80 and 60 over each other, 30 alone, one child twice, and half a child."""
    children = {
        0: [range(45), range(45, 90)],  # U .9, X 1
        1: [range(80), range(30, 90)],  # U .9, X 40 / 90
        2: [range(30), range(20, 50)],  # U .5, X 40 / 50
        3: [range(45), range(45), range(45, 90)],  # the first two are the same: U .9, X 1
        4: [range(90)],  # one child
        5: [range(60), range(40, 85)],  # U .85, X 65 / 85: below .8
        6: [range(90), range(90)],  # one child, twice
        7: [[*range(40), *range(100, 140)], range(40, 80)],  # what fires outside the parent does not count: U .8
    }
    rows: list[Any] = [range(100) for _ in children]
    parent, child = [], []
    for above, each in children.items():
        for tokens in each:
            parent.append(above)
            child.append(len(rows))
            rows.append(tokens)
    same = (np.array([child[6], child[12]]), np.array([child[7], child[13]]))
    assert parent[6] == parent[7] == 3
    assert parent[12] == parent[13] == 6
    order = np.random.default_rng(0).permutation(len(parent))
    found = divide(np.array(parent)[order], np.array(child)[order], fired_of(on(140, *rows)), same=same)
    assert found.parent.tolist() == list(range(8))
    assert found.n_children.tolist() == [2, 2, 2, 3, 1, 2, 2, 2]
    assert found.coverage == pytest.approx([0.9, 0.9, 0.5, 0.9, 0.9, 0.85, 0.9, 0.8])
    assert found.exclusivity == pytest.approx([1, 40 / 90, 40 / 50, 1, 1, 65 / 85, 1, 1])
    kinds = ["partition", "facets", "loose", "partition", "loose", "facets", "loose", "partition"]
    assert found.kind.tolist() == kinds


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_divisions_equal_plain_sets(seed: int) -> None:
    """Coverage and exclusivity of any parents and children, equal ones or not."""
    rng = np.random.default_rng(seed)
    firing = np.column_stack([np.ones(80, bool), nested(rng, 80, 8)])
    parent, child = np.nonzero(rng.random((9, 9)) < 0.3)
    parent, child = parent[firing.any(0)[parent]], child[firing.any(0)[parent]]
    links = [(a, b) for a, b in itertools.combinations(range(9), 2) if rng.random() < 0.1]
    same = (np.array([a for a, _ in links], int), np.array([b for _, b in links], int))
    found = divide(parent, child, fired_of(firing), same=same)
    graph = nx.Graph(links)
    graph.add_nodes_from(range(9))
    group = {node: min(part) for part in nx.connected_components(graph) for node in part}
    for row, above in enumerate(found.parent.tolist()):
        groups: dict[int, set[int]] = {}
        for below in child[parent == above].tolist():
            groups.setdefault(group[below], set()).update(np.flatnonzero(firing[:, above] & firing[:, below]).tolist())
        tokens = list(itertools.chain.from_iterable(groups.values()))
        alone = sum(tokens.count(token) == 1 for token in set(tokens))
        assert found.coverage[row] == len(set(tokens)) / firing[:, above].sum()
        assert found.exclusivity[row] == alone / max(len(set(tokens)), 1)
        assert found.n_children[row] == (parent == above).sum()
        assert found.kind[row] == (
            "loose" if found.coverage[row] < 0.8 or len(groups) < 2
            else "partition" if found.exclusivity[row] >= 0.8
            else "facets"
        )  # fmt: skip
