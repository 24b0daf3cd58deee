"""How long communities take, igraph beside leidenalg and networkx: `python benchmarks/communities.py --nodes 25000`.

The graph has planted groups, sizes from 3 to 300 by a power law, dense inside, and as many edges again between them.
networkx has no constant Potts model: its Louvain maximises modularity, and is timed on the same graph, once.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from itertools import islice

import igraph
import leidenalg
import networkx as nx
import numpy as np

from atlas.communities import adjusted_mutual_information, find_level, partition, polish, resolution_profile
from atlas.communities.agreement import mean_agreement
from atlas.communities.leiden import ends, quality
from atlas.communities.processes import N_ITERATIONS, Task, leiden_runs
from atlas.communities.stage import graph_of

GAMMA = 0.05


def planted(n_nodes: int, n_edges: int, *, seed: int) -> tuple[igraph.Graph, np.ndarray]:
    """Return a graph of planted groups, and the group of each node."""
    rng = np.random.default_rng(seed)
    sizes = np.clip(3 * (1 - rng.random(n_nodes)) ** -0.7, 3, 300).astype(np.int64)
    group = np.repeat(np.arange(len(sizes)), sizes)[:n_nodes]
    start = np.concatenate([[0], np.cumsum(sizes)])
    a = rng.integers(0, n_nodes, n_edges)
    size = np.minimum(sizes[group[a]], n_nodes - start[group[a]])
    b = np.where(rng.random(n_edges) < 0.5, start[group[a]] + rng.integers(0, size), rng.integers(0, n_nodes, n_edges))
    pairs = np.unique(np.column_stack([np.minimum(a, b), np.maximum(a, b)])[a != b], axis=0)
    phi = 0.1 + rng.gamma(2.0, 0.08, len(pairs)).clip(0, 0.8) * np.where(group[pairs[:, 0]] == group[pairs[:, 1]], 2, 1)
    return graph_of(np.arange(n_nodes), pairs[:, 0], pairs[:, 1], np.minimum(phi, 1)), group


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=25_000)
    parser.add_argument("--edges", type=int, default=500_000, help="before repeated ones are left out")
    parser.add_argument("--values", type=int, default=12, help="resolutions of the sweep")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--networkx", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("igraph", "leidenalg", "networkx"))
    graph, group = planted(given.nodes, given.edges, seed=0)
    print(f"{platform.machine()}, {versions}; {graph.vcount():,} nodes, {graph.ecount():,} edges")
    compare(graph, group, with_networkx=given.networkx)
    sweep(graph, given.values, given.seeds)


def compare(graph: igraph.Graph, group: np.ndarray, *, with_networkx: bool) -> None:
    """Print time, objective at gamma = .05 and agreement with the planted groups of one run of each method."""
    print(f"\n{'one run':<34} {'CPU s':>8} {'quality':>8} {'AMI':>6}")

    def show(name: str, started: float, membership: np.ndarray) -> np.ndarray:
        seconds = time.process_time() - started
        value = quality(graph, membership, resolution=GAMMA)
        print(f"{name:<34} {seconds:8.2f} {value:8.4f} {adjusted_mutual_information(membership, group):6.3f}")
        return membership

    adjusted_mutual_information(group, group[::-1].copy())  # compiles
    for n_iterations, until in ((N_ITERATIONS, f"{N_ITERATIONS} rounds"), (-1, "until stable")):
        started = time.process_time()
        found = partition(graph, resolution=GAMMA, seed=0, n_iterations=n_iterations)
        show(f"igraph, {until}", started, found)
        started = time.process_time()
        alone = leidenalg.find_partition(
            graph, leidenalg.CPMVertexPartition, weights="phi", resolution_parameter=GAMMA, n_iterations=n_iterations,
            seed=0,
        )  # fmt: skip
        show(f"leidenalg alone, {until}", started, np.asarray(alone.membership))
    started = time.process_time()
    show("polish: leidenalg from igraph's", started, polish(graph, found, resolution=GAMMA, seed=0))
    if with_networkx:
        other = nx.Graph()
        other.add_nodes_from(range(graph.vcount()))
        a, b = ends(graph)
        other.add_weighted_edges_from(zip(a.tolist(), b.tolist(), graph.es["phi"], strict=True))
        started = time.process_time()
        membership = np.empty(graph.vcount(), np.int64)
        for number, members in enumerate(nx.community.louvain_communities(other, seed=random.Random(0))):
            membership[list(members)] = number
        show("networkx Louvain (modularity)", started, membership)


def sweep(graph: igraph.Graph, n_values: int, n_seeds: int) -> None:
    """Print the time of the seeds at many resolutions with their agreement, of the stage's profile, and of a level."""
    values = np.geomspace(0.002, 0.2, n_values).tolist()
    tasks = [Task(value, seed) for value in values for seed in range(n_seeds)]
    print()
    for processes, where in ((1, "in this process"), (None, "in a process for each core")):
        what = f"{n_values} resolutions x {n_seeds} seeds {where}"
        with timed(what), leiden_runs(graph, processes=processes) as runs:
            found = runs(tasks)
            ami = [mean_agreement(list(islice(found, n_seeds))) for _ in values]
    print(f"  AMI of seeds {min(ami):.3f} to {max(ami):.3f}")
    with timed("profile and level as the stage makes them"), leiden_runs(graph) as runs:
        with timed("  profile"):
            points = resolution_profile(graph, seed=0, runs=runs)
        with timed("  level: 20 seeds, consensus, polish"):
            find_level(graph, np.zeros(graph.vcount(), np.int64), resolution=GAMMA, seed=0, runs=runs)
    print(f"  {len(points)} resolutions x 5 seeds in the profile")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print seconds by the clock and of processor time; that of processes counts when they have ended."""
    clock, before = time.perf_counter(), os.times()
    yield
    processor = sum(os.times()[:4]) - sum(before[:4])
    print(f"{what:<56} {time.perf_counter() - clock:8.1f} s, {processor:8.1f} CPU s", flush=True)


if __name__ == "__main__":
    main()
