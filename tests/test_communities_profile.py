"""The resolution profile: plateaus, and levels chosen by the written rule, by hand and on planted graphs."""

from __future__ import annotations

import sys
from itertools import combinations, pairwise
from pathlib import Path

import igraph
import numpy as np
import pytest

from atlas.communities.agreement import adjusted_mutual_information
from atlas.communities.leiden import nested_partition
from atlas.communities.processes import Task, leiden_runs
from atlas.communities.profile import AGREE, FINEST_STEP, Point, choose_levels, resolution_profile, with_plateaus
from atlas.communities.stage import graph_of
from atlas.errors import CapacityError


def point(resolution: float, ami: float = 0.95, below: float | None = 0.95, *, giant: bool = False) -> Point:
    return Point(resolution, 5, 10, 0.5, ami, below, giant)


def test_plateaus_by_hand() -> None:
    """A run ends where seeds disagree, where the partition changes, and where one community holds most nodes."""
    points = [
        point(0.1, giant=True), point(0.2), point(0.3), point(0.4, below=0.8), point(0.5, ami=0.5), point(0.6),
        point(0.7),
    ]  # fmt: skip
    assert [one.plateau for one in with_plateaus(points)] == [None, 0, 0, 1, None, 2, 2]


def test_levels_are_the_middles_of_the_longest_plateaus_in_their_windows() -> None:
    """With a cut of .1 the windows end at .005, .02 and .05; without a plateau the highest AMI is taken."""
    grid = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.011, 0.016, 0.02, 0.025, 0.03, 0.05, 0.08]
    points = with_plateaus([point(value) for value in grid])
    chosen = choose_levels(points, cut=0.1)
    assert [one.resolution for one in chosen] == [0.002, 0.011, 0.03]
    broken = [point(value, below=0.5 if value == 0.003 else 0.95, ami=0.8 + value if value > 0.02 else 0.95)
              for value in grid]  # fmt: skip
    chosen = choose_levels(with_plateaus(broken), cut=0.1)
    assert [one.resolution for one in chosen] == [0.001, 0.011, 0.05]
    assert [one.plateau is not None for one in chosen] == [True, True, False]


@pytest.mark.parametrize("cut", [-0.2, 0.0, 0.001, 0.1, 0.17, 0.6, 1.0])
def test_every_window_holds_a_value_whatever_the_cut(cut: float) -> None:
    """Three ascending levels at any cut; stars of 20, 5 and 2 leaves hold at them."""
    points = with_plateaus([point(float(value)) for value in np.geomspace(0.001, 0.5, 18)])
    chosen = [one.resolution for one in choose_levels(points, cut=cut)]
    assert chosen[0] < chosen[1] < chosen[2]
    for resolution, leaves in zip(chosen, (20, 5, 2), strict=True):
        assert resolution <= max(cut, 0.02) / leaves


def planted(seed: int) -> tuple[igraph.Graph, np.ndarray, np.ndarray]:
    """Return 6 groups of 4 parts each, dense within a part and sparse within a group, with bridges; groups, parts."""
    rng = np.random.default_rng(seed)
    part = np.repeat(np.arange(24), rng.integers(8, 16, 24))
    group = part // 4
    a, b = np.triu_indices(len(part), 1)
    odds = np.where(part[a] == part[b], 0.7, np.where(group[a] == group[b], 0.05, 0.001))
    keep = rng.random(len(a)) < odds
    return graph_of(np.arange(len(part)), a[keep], b[keep], rng.uniform(0.2, 0.6, keep.sum())), group, part


@pytest.mark.parametrize("seed", [1, 2])
def test_levels_of_a_planted_graph_are_what_was_planted(seed: int) -> None:
    """Groups at the coarse level, their parts at the fine one; the profile ascends and bisects where plateaus end."""
    graph, group, part = planted(seed)
    points = resolution_profile(graph, seed=0)
    values = [one.resolution for one in points]
    assert values == sorted(values)
    assert len(values) >= 18
    for low, high in pairwise(points):
        steady = min(low.ami, high.ami) >= AGREE and not (low.giant or high.giant)
        if steady and high.resolution > FINEST_STEP * low.resolution:
            assert high.ami_below is not None
            assert high.ami_below >= AGREE
    chosen = [one.resolution for one in choose_levels(points, cut=0.2)]
    levels = nested_partition(graph, resolutions=chosen, seed=0)
    assert adjusted_mutual_information(levels[0], group) > 0.95
    assert adjusted_mutual_information(levels[2], part) > 0.95
    assert points == resolution_profile(graph, seed=0)


def test_stars_and_cliques_hold_on_every_level() -> None:
    """Stars of ten leaves and cliques of five, without a tie between them, on the coarse and the middle level."""
    edges, kind, at = [], [], 0
    for number in range(6):
        if number % 2:
            edges += [(at, at + 1 + leaf) for leaf in range(10)]
            kind += [number] * 11
        else:
            edges += [(at + i, at + j) for i, j in combinations(range(5), 2)]
            kind += [number] * 5
        at = len(kind)
    a, b = np.array(edges).T
    graph = graph_of(np.arange(at), a, b, np.random.default_rng(0).uniform(0.3, 0.4, len(a)))
    chosen = [one.resolution for one in choose_levels(resolution_profile(graph, seed=0), cut=0.3)]
    levels = nested_partition(graph, resolutions=chosen, seed=0)
    assert adjusted_mutual_information(levels[0], np.array(kind)) == 1
    sizes = [np.bincount(level)[level[np.flatnonzero(np.array(kind) % 2 == 0)]] for level in levels]
    assert all((size == 5).all() for size in sizes)


def test_one_ball_is_on_no_plateau() -> None:
    """Where one community holds more than half of the nodes, agreement of seeds says nothing."""
    a, b = np.triu_indices(12, 1)
    points = resolution_profile(graph_of(np.arange(12), a, b, np.full(len(a), 0.3)), seed=0)
    for one in points:
        assert one.giant == (one.resolution < 0.3)
        assert (one.plateau is None) == one.giant
        assert one.ami == 1


def test_processes_find_what_one_finds() -> None:
    """Two processes and this one: the same partitions in the same order, and the same profile."""
    graph, _, _ = planted(3)
    tasks = [Task(0.01 * k, seed) for k in (1, 5) for seed in range(3)]
    with leiden_runs(graph, processes=1) as one, leiden_runs(graph, processes=2) as two:
        for here, there in zip(one(tasks), two(tasks), strict=True):
            assert np.array_equal(here, there)
        assert resolution_profile(graph, seed=0, n_seeds=2, runs=two) == resolution_profile(graph, seed=0, n_seeds=2)


def test_a_process_that_dies_is_named() -> None:
    """A task that cannot be done ends its process: no hang, no broken pipe, and exit code 5."""
    graph, _, _ = planted(3)
    with pytest.raises(CapacityError, match="ended early"), leiden_runs(graph, processes=2) as runs:
        list(runs([Task(0.1, 0), Task("none", 0)] * 3))  # type: ignore[arg-type]


def test_the_benchmark_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Every method on a small graph; networkx's Louvain is there, and its objective is another one."""
    sys.path.insert(0, str(Path(__file__).parent.parent))  # benchmarks are no part of what is installed
    from benchmarks.communities import main

    main(["--nodes", "300", "--edges", "3000", "--values", "2", "--seeds", "2"])
    said = capsys.readouterr().out
    rows = {line[:34].strip(): line[34:].split() for line in said.splitlines() if line[34:43].strip()}
    for name in ("igraph, 2 rounds", "leidenalg alone, 2 rounds", "networkx Louvain (modularity)"):
        assert len(rows[name]) == 3
    assert float(rows["polish: leidenalg from igraph's"][1]) >= float(rows["igraph, until stable"][1])
    assert "2 resolutions x 2 seeds in this process" in said


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_graph_without_edges_has_a_profile(n: int) -> None:
    """No community at any value, quality 0; the rule still names three values."""
    none = np.zeros(0, int)
    points = resolution_profile(graph_of(np.arange(n), none, none, np.zeros(0)), seed=0)
    assert {(one.n_communities, one.quality, one.ami) for one in points} == {(0, 0.0, 1.0)}
    assert len({one.resolution for one in choose_levels(points, cut=0.1)}) == 3
