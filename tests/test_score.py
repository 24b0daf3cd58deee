"""Planted worlds hold what they promise, and claims are judged as one would by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import igraph
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from atlas.artifacts import Run
from atlas.association.null import upper_tail
from atlas.errors import InputError
from atlas.firings import Firings
from atlas.score.card import GOALS, Judged, summarise
from atlas.score.cases import WORLDS, Case, check_seeds
from atlas.score.graphs import ARCHETYPES, clique, planted_graphs, random_connected, star
from atlas.score.intervals import bootstrap_ratio, wilson
from atlas.score.judging import edge_counts, parent_counts, power, singletons, star_counts
from atlas.score.latent import Cause, Expected, Generator, Sample, expected_pairs, sample, stratum_crowding
from atlas.score.pipeline import Edges, Found, find
from atlas.score.planting import Planting
from atlas.score.recording import record
from atlas.score.shaping import atlas_shape, graph_counts, peer_shape
from atlas.score.worlds import PLANTED, ancestors, planted_world, shuffled
from atlas.shapes.placements import EXACT


def generator(groups: list[list[Cause]], *, d: int, n_kinds: int = 1, **others: object) -> Generator:
    items = np.full((n_kinds, 4), 0.25)
    kinds = np.arange(60) % n_kinds
    return Generator(
        d,
        kinds,
        np.full(60, 500),
        tuple(map(tuple, groups)),
        items,
        **others,  # type: ignore[arg-type]
    )


def test_what_the_generator_says_of_pairs_by_hand() -> None:
    """Two features of one cause, two of exclusive causes, and two of none: joint counts and lifts.

    Of dependent features E_d holds a little of the joint firings themselves: one token in 500 is the same.
    """
    one = Cause((0.1,), ((0, 1.0), (1, 0.5)))
    either = [Cause((0.2,), ((2, 1.0),)), Cause((0.3,), ((3, 1.0),))]
    found = expected_pairs(generator([[one], either], d=4))
    n = 30_000
    assert found.joint[0, 1] == pytest.approx(n * 0.05)
    assert found.lift_d[0, 1] == pytest.approx(0.05 / (0.005 + 0.045 / 500))
    assert found.joint[2, 3] == pytest.approx(0, abs=1e-9)
    assert found.joint[0, 2] == pytest.approx(n * 0.02)
    assert found.lift_d[0, 2] == pytest.approx(1)
    assert np.argwhere(np.triu(found.dependent)).tolist() == [[0, 1]]
    assert np.argwhere(np.triu(found.exclusive)).tolist() == [[2, 3]]


def test_topics_alone_make_no_pair_dependent() -> None:
    """Two features that fire in the same documents are independent within them; items make them dependent."""
    alone = [[Cause((0.2, 0.01), ((i, 1.0),))] for i in (0, 1)]
    assert not expected_pairs(generator(alone, d=2, n_kinds=2)).dependent.any()
    words = generator([], d=2, n_kinds=2, item_effects=((0, 0, 0.5), (0, 1, 0.8), (1, 1, 0.5)))
    found = expected_pairs(words)
    assert found.joint[0, 1] == pytest.approx(30_000 * 0.25 * 0.4)
    apart = 0.125 * 0.325
    assert found.lift_d[0, 1] == pytest.approx(0.1 / (apart + (0.1 - apart) / 500))


@given(st.integers(0, 2**32 - 1))
def test_firings_have_the_joint_counts_that_the_generator_says(seed: int) -> None:
    """Every pair of a small random law, within five standard deviations of its expectation."""
    rng = np.random.default_rng(seed)
    p = Planting(rng, n_tokens=20_000)
    for _ in range(3):
        members = p.features(3)
        p.cause(rng.uniform(0.02, 0.1), [(m, rng.uniform(0.3, 1)) for m in members])
    hub, one, two = p.features(3)
    p.exclusive([0.03, 0.05], [[(hub, 0.9), (one, 1.0)], [(hub, 0.9), (two, 1.0)]])
    p.item_effects += [(8, 0, 0.5), (8, one, 0.7), (9, two, 0.4)]
    law = p.generator()
    firing = sample(law, rng).firing.astype(np.float64)
    expected = expected_pairs(law).joint
    upper = np.triu_indices(law.d_sae, 1)
    seen = (firing.T @ firing)[upper]
    assert (np.abs(seen - expected[upper]) <= 5 * np.sqrt(expected[upper] + 1)).all()
    assert not (firing[:, one] * firing[:, two]).any() or law.item_effects


def test_uneven_tokens_raise_the_lift_that_a_pair_must_have() -> None:
    """rho_d = T sum L (L - 1) / (sum L)^2 by hand; lift_d is smaller by it."""
    firing = np.zeros((40, 20), bool)
    firing[:4, :3] = True
    firing[4:8, 3] = True
    rho = 40 * 4 * 6 / 16**2
    drawn = Sample(firing, np.zeros(40, np.int64), np.zeros(40, np.int64))
    assert stratum_crowding(drawn).tolist() == [rho]
    law = generator([[Cause((0.1,), ((0, 1.0), (1, 0.5)))]], d=2)
    found = expected_pairs(law, crowding=np.full(60, rho))
    assert found.lift_d[0, 1] == pytest.approx(found.lift_d_uncorrected[0, 1] / rho)


def test_lift_d_of_the_law_is_over_what_the_counts_in_strata_give() -> None:
    """Over two hundred draws E_d is what the law says, also where a cause lasts ten tokens of a document's 500.

    Two features that share only such a cause have a lift of 50 token by token, and of half that within strata.
    """
    once, long = Cause((0.02,), ((0, 0.9), (1, 0.5))), Cause((0.02,), ((1, 0.5), (2, 0.8), (3, 0.6)), run=10)
    law = generator([[once], [long]], d=4)
    rng, strata = np.random.default_rng(3), np.arange(30_000) // 500
    draws = [sample(law, rng).firing.astype(np.float64) for _ in range(200)]
    n = [np.add.reduceat(drawn, np.flatnonzero(np.diff(strata, prepend=-1))) for drawn in draws]
    seen = np.mean([counts.T @ counts / 500 for counts in n], axis=0)
    found = expected_pairs(law)
    upper = np.triu_indices(4, 1)
    assert (found.joint / found.lift_d)[upper] == pytest.approx(seen[upper], rel=0.03)
    assert 24 < found.lift_d[2, 3] < 26


def test_a_world_is_a_function_of_its_seed() -> None:
    """Same name, seed and options: same firings. Another seed, or a background: others."""
    one, again = (planted_world("W1", 3, small=True) for _ in range(2))
    assert np.array_equal(one.sample.firing, again.sample.firing)
    assert np.array_equal(one.sample.items, again.sample.items)
    assert not np.array_equal(one.sample.firing, planted_world("W1", 4, small=True).sample.firing)
    assert planted_world("W1", 3, background=True, small=True).sample.firing.shape[1] > one.truth.planted


def test_exclusive_children_never_fire_together_and_only_under_their_hub() -> None:
    """In W1 two children of a parent share no token, and the parent is on nearly all of theirs."""
    world = planted_world("W1", 5, small=True)
    for hub, leaves in world.truth.stars:
        some = world.sample.firing[:, list(leaves)]
        assert some.sum(1).max() == 1
        assert world.sample.firing[some.any(1), hub].mean() > 0.95


def test_lexical_features_fire_on_their_items_alone() -> None:
    """In W0 every feature fires on at most nine vocabulary items, on each with probability .2 to .9."""
    world = planted_world("W0", 5, small=True)
    seen = np.bincount(world.sample.items)
    for feature in range(world.truth.planted):
        fired = np.bincount(world.sample.items[world.sample.firing[:, feature]], minlength=len(seen))
        own = np.flatnonzero((fired > 0) & (seen >= 100))
        assert (fired > 0).sum() <= 9
        assert ((fired[own] > 0.1 * seen[own]) & (fired[own] < seen[own])).all()


def test_parents_of_the_forest_miss_one_child_in_twenty() -> None:
    """In W4 a parent is on about .95 of its child's tokens, and on more beside; some children have two."""
    world = planted_world("W4", 5)
    firing = world.sample.firing
    shares = [firing[firing[:, child], parent].mean() for parent, child in sorted(world.truth.parents)]
    assert 0.93 < np.mean(shares) < 0.97
    assert all(firing[:, parent].sum() > firing[:, child].sum() for parent, child in world.truth.parents)
    children = [child for _, child in world.truth.parents]
    assert len(children) > len(set(children))
    depth = nx.dag_longest_path_length(nx.DiGraph(list(world.truth.parents)))
    assert depth == 2


def test_topics_and_shuffles_leave_nothing_to_claim() -> None:
    """In W3 and W11 no pair of the world's own features is dependent."""
    for name in ("W3", "W11"):
        world = planted_world(name, 5, background=name == "W11", small=True)
        assert not world.expected.dependent[: world.truth.planted, : world.truth.planted].any()


@pytest.mark.parametrize("shift", [False, True])
def test_shuffling_keeps_every_margin(shift: bool) -> None:
    """n_id stays for each feature and document, items stay where they are, and joint firings do not."""
    rng = np.random.default_rng(0)
    document = np.repeat([0, 1, 2], [40, 70, 90])
    firing = np.repeat(rng.random((200, 1)) < 0.2, 4, axis=1)
    world = Sample(firing, np.arange(200), document)
    copy = shuffled(world, rng, shift=shift)
    for d in range(3):
        assert np.array_equal(copy.firing[document == d].sum(0), firing[document == d].sum(0))
    assert copy.items is world.items
    assert copy.firing.all(1).sum() < firing.all(1).sum()
    runs = np.flatnonzero(np.diff(np.flatnonzero(document == 1)[firing[document == 1, 0]]) == 1)
    if shift:  # a circle keeps the gaps, but for the one that crosses its end
        again = np.flatnonzero(np.diff(np.flatnonzero(copy.firing[document == 1, 0])) == 1)
        assert abs(len(again) - len(runs)) <= 1


def test_a_world_is_recorded_as_an_ingestion_would(tmp_path: Path) -> None:
    """Read back, the artifact has the world's firings, items and documents."""
    world = planted_world("W2", 5, small=True)
    with Run(tmp_path / "run") as run:
        firings = Firings(record(run, world.sample, seed=1).path)
    assert np.array_equal(firings.token_id, world.sample.items)
    assert np.array_equal(firings.document, world.sample.document)
    for feature in (0, 7):
        assert np.array_equal(firings.tokens_of(feature), np.flatnonzero(world.sample.firing[:, feature]))


def test_pairs_too_weak_for_the_backbone_are_claims_all_the_same(tmp_path: Path) -> None:
    """A pair of lift 3 and phi .06 is the one claim; firings with nothing in common give none, and no communities."""
    p = Planting(np.random.default_rng(2), n_tokens=20_000, n_kinds=1)
    pair = p.features(2)
    p.cause(0.0018, [(feature, 1.0) for feature in pair])
    for feature in pair:
        p.alone(0.028, feature)
    p.independent(20)
    drawn = sample(p.generator(), p.rng)
    found = find(tmp_path / "weak", drawn, seed=0)
    assert list(zip(found.edges.a.tolist(), found.edges.b.tolist(), strict=True)) == [(0, 1)]
    assert found.edges.phi[0] < 0.1
    nothing = find(tmp_path / "none", Sample(drawn.firing[:, 1:], drawn.items, drawn.document), seed=0)
    assert len(nothing.edges.a) == nothing.graph.vcount() == 0
    assert nothing.membership["fine"].tolist() == [-1] * 21


@pytest.mark.parametrize("name", list(ARCHETYPES))
def test_archetypes_are_what_they_are_called(name: str) -> None:
    """Against networkx, at ten nodes."""
    shapes = {
        "star": nx.star_graph(9),
        "clique": nx.complete_graph(10),
        "chain": nx.path_graph(10),
        "ring": nx.cycle_graph(10),
        "bipartite": nx.complete_bipartite_graph(5, 5),
        "core-periphery": nx.compose(nx.complete_graph(3), nx.complete_bipartite_graph(3, 7)),
    }
    found = nx.Graph(sorted(ARCHETYPES[name][0](10)))
    assert nx.is_isomorphic(found, shapes[name])


@given(st.integers(0, 2**32 - 1), st.integers(3, 15))
def test_random_connected_graphs_are_connected(seed: int, n: int) -> None:
    """And have between n - 1 edges and all."""
    edges = random_connected(n, np.random.default_rng(seed))
    assert nx.is_connected(nx.Graph(sorted(edges)))
    assert n - 1 <= len(edges) <= n * (n - 1) // 2


def as_graph(edges: set[tuple[int, int]]) -> igraph.Graph:
    graph = igraph.Graph(sorted(edges))
    graph.vs["index"] = list(range(graph.vcount()))
    graph.es["phi"] = [0.3] * graph.ecount()
    return graph


def test_classifiers_know_the_ideal_shapes() -> None:
    """Without noise both name the clique; the peer's ideal hub has a degree ratio that no star has."""
    assert atlas_shape(as_graph(star(8))) == "star"
    assert atlas_shape(as_graph(clique(8))) == "clique"
    assert peer_shape(as_graph(clique(8))) == "clique"
    assert peer_shape(as_graph({(i, i + 1) for i in range(7)})) == "chain"


def test_confusion_counts_every_graph_once() -> None:
    """Rows sum to the graphs of that shape; a random graph called a star is a false star of its size."""
    graphs = [("star", 8, as_graph(star(8))), ("random", 6, as_graph(star(6))), ("random", 8, as_graph(clique(8)))]
    counts, confusion = graph_counts(graphs)
    assert confusion["atlas"] == {"star": {"star": 1}, "random": {"star": 1, "clique": 1}}
    assert counts["shapes, atlas: star"] == (1, 1)
    assert counts["shapes, atlas: false star, n < 8"] == (1, 1)
    assert counts["shapes, atlas: false star, n >= 8"] == (0, 1)
    assert sum(sum(row.values()) for row in confusion["peer"].values()) == 3


def test_no_chain_or_ring_is_lost_by_the_search() -> None:
    """On noisy ones of 17 to 20 nodes, which are searched, every placement gives the same names."""
    graphs = [one for one in planted_graphs(14) if one[0] in ("chain", "ring") and one[1] > EXACT]
    counts, _ = graph_counts(graphs)
    for shape in ("chain", "ring"):
        assert counts[f"shapes, every placement: {shape}"] == counts[f"shapes, atlas: {shape}"]
        assert counts[f"shapes, atlas: {shape}"][0] > 0


def test_wilson_by_hand() -> None:
    """0 of 10 is at most .278, 10 of 10 at least .722 (Wilson's own table), nothing of nothing is none."""
    none, every = wilson(0, 10), wilson(10, 10)
    assert none.value == none.low == 0
    assert none.high == pytest.approx(0.2775, abs=1e-4)
    assert every.low == pytest.approx(1 - 0.2775, abs=1e-4)
    assert wilson(0, 0).value is None


def test_the_bootstrap_resamples_worlds() -> None:
    """Equal worlds have no spread; the value is that of the pooled trials; the interval holds it."""
    assert bootstrap_ratio([5, 5], [10, 10]).low == bootstrap_ratio([5, 5], [10, 10]).high == 0.5
    found = bootstrap_ratio([0, 9, 5], [10, 10, 20])
    assert found.value == pytest.approx(14 / 40)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 14 / 40 < found.high
    assert bootstrap_ratio([0], [0]).value is None


def edges_of(pairs: list[tuple[int, int]], *, basis: str = "contextual") -> Edges:
    a, b = np.array(pairs, np.int64).reshape(-1, 2).T
    n = len(pairs)
    return Edges(a, b, np.full(n, basis), np.full(n, 0.5), np.ones(n, bool), np.zeros((0, 2), np.int64))


def test_edges_are_judged_by_hand() -> None:
    """Of three claims one is false; of three pairs to be found one is too weak, one missed, one found."""
    dependent = np.zeros((6, 6), bool)
    joint, lift = np.zeros((6, 6)), np.ones((6, 6))
    for (a, b), c, times in (((0, 1), 50, 9), ((0, 2), 50, 9), ((1, 2), 9, 9), ((3, 4), 50, 2), ((2, 5), 50, 9)):
        for i, j in ((a, b), (b, a)):
            dependent[i, j], joint[i, j], lift[i, j] = True, c, times
    claimed = edges_of([(0, 1), (3, 4), (3, 5)])
    counts = edge_counts(Expected(joint, lift, lift, dependent, dependent), claimed, alive=np.arange(5), planted=2)
    assert counts["edges: precision"] == (2, 3)
    assert counts["edges: false-discovery rate"] == (pytest.approx(1 / 3), 1)
    assert counts["edges: recall"] == (1, 2)  # (2, 5) is of a feature that is not tested
    assert counts["edges: recall, planted"] == (1, 1)


def test_power_is_the_share_of_joint_counts_that_pass() -> None:
    """Summed over every joint count: of a pair near the p cut, one near the gate of the lift, and a sure one."""
    joint, e, n = np.array([12.0, 100.0, 90.0]), np.array([4.0, 45.0, 9.0]), np.array([40, 900, 100])
    dependent, joints, lifts = np.zeros((6, 6), bool), np.zeros((6, 6)), np.ones((6, 6))
    dependent[[0, 2, 4], [1, 3, 5]] = True
    joints[dependent], lifts[dependent] = joint, joint / e
    firing_count = np.array([40, 6000, 900, 6000, 100, 6000])
    expected = Expected(joints, np.where(dependent, np.maximum(lifts, 2.5), 1), lifts, dependent, dependent)
    e = np.minimum(e, joint / 2.5)
    found = replace(found_star([0] * 6, {}), edges=edges_of([(0, 1), (2, 3)]), firing_count=firing_count)
    hits = 0.0
    for mean, null, some in zip(joint, e, n, strict=True):
        c = np.arange(some + 1)
        variance = null * (1 - some / 80_000) * (1 - 6000 / 80_000)
        p = upper_tail(c, np.full(len(c), null), np.full(len(c), variance))
        passes = (c >= 5) & (c >= 2 * null) & (p <= 0.05 * 2 / 15)
        hits += binom.pmf(c, some, mean / some)[passes].sum()
    assert power(expected, found, alive=np.arange(6), n_tokens=80_000) == (pytest.approx(hits), 3)
    assert 2 < hits < 2.99


def test_parents_are_judged_by_hand() -> None:
    """0 over 1 over 2: a direct claim that is only an ancestor is wrong as direct, right as ancestor."""
    parents = frozenset({(0, 1), (1, 2)})
    assert ancestors(parents) == {(0, 1), (1, 2), (0, 2)}
    counts = parent_counts(parents, [(0, 1, True), (0, 2, True), (3, 2, False), (9, 1, True)], planted=4)
    assert counts["parents, direct: precision"] == (1, 2)
    assert counts["parents, direct: recall"] == (1, 2)
    assert counts["ancestors: precision"] == (2, 3)
    assert counts["ancestors: recall"] == (2, 3)


def found_star(membership: list[int], egos: dict[int, str], leaves: int = 6) -> Found:
    edges = edges_of([(0, i) for i in range(1, leaves + 1)])
    graph = igraph.Graph(leaves + 1, [(0, i) for i in range(1, leaves + 1)])
    graph.vs["index"] = list(range(leaves + 1))
    graph.es["phi"] = [0.3] * leaves
    labels = np.array(membership, np.int64)
    levels = dict.fromkeys(("coarse", "middle", "fine"), labels)
    shapes = {("fine", 0): "hub-spoke", ("middle", 0): "star-like"}
    return Found(edges, graph, levels, shapes, egos, np.array([100, *[10] * 9]), [])


def test_a_star_is_kept_whole_or_found_as_an_ego() -> None:
    """Six leaves: five of them in the community still pass at .8, four do not; an ego needs its class."""
    whole = [(0, (1, 2, 3, 4, 5, 6))]
    kept = star_counts(whole, found_star([0] * 6 + [-1] * 4, {}))
    assert kept["stars: kept as community"] == kept["stars: kept or found"] == (1, 1)
    assert kept["stars: of these called hub-spoke"] == (1, 1)
    torn = star_counts(whole, found_star([0] * 5 + [-1] * 5, {0: "hub-spoke"}))
    assert torn["stars: kept as community"] == (0, 1)
    assert torn["stars: found as ego"] == torn["stars: kept or found"] == (1, 1)
    mixed = star_counts(whole, found_star([0] * 5 + [-1] * 5, {0: "mixed"}))
    assert mixed["stars: kept or found"] == (0, 1)
    assert mixed["stars: kept by components"] == (1, 1)
    assert star_counts([(0, (1, 2, 3))], found_star([0] * 10, {}))["stars: kept or found"] == (0, 0)


def test_unassigned_features_are_singletons() -> None:
    """Each -1 gets a label that nothing else has."""
    assert singletons(np.array([0, -1, 2, -1])).tolist() == [0, 3, 2, 4]


def test_no_card_has_a_seed_that_rules_were_chosen_on() -> None:
    """499 is refused, 500 is not; a card of the tests must say that it is none."""
    judged = Judged(Case("W8"), 499, {}, {})
    with pytest.raises(InputError, match="499"):
        summarise([judged])
    check_seeds(range(500, 501))
    with pytest.raises(InputError, match="490:510"):
        check_seeds(range(490, 510))
    with pytest.raises(InputError, match="no seeds"):
        check_seeds(range(500, 500))


def test_goals_are_of_worlds_and_figures_that_there_are() -> None:
    """A goal whose figure nobody makes would never be missed."""
    assert {world for goal in GOALS for world in goal.worlds} <= set(WORLDS)
    assert set(PLANTED) | {"W5", "W6", "W7", "W8", "W12"} == set(WORLDS)
