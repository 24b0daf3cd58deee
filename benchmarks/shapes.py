"""All that a community's graph says of its shape, for thousands of communities, beside networkx; prints a table.

    python -m benchmarks.shapes

networkx computes density, clustering, triangles, diameter and degrees: the numbers that it has. Ours are these,
their weighted forms, the code lengths of six templates, and the p-value of the centralization.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import igraph
import networkx
import numpy as np

from atlas.communities.stage import graph_of
from atlas.shapes import graph_evidence


def communities(n: int, *, smallest: int, largest: int, seed: int) -> list[igraph.Graph]:
    """Return random connected graphs: many small ones and few large, from trees to near cliques."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(smallest + rng.geometric(0.12, n) - 1, largest)
    return [_connected(int(size), rng) for size in sizes]


def _connected(n: int, rng: np.random.Generator) -> igraph.Graph:
    a = rng.integers(0, np.arange(1, n))
    i, j = np.triu_indices(n, 1)
    kept = rng.random(len(i)) < rng.beta(0.5, 1.5)
    edges = np.unique(np.concatenate([np.column_stack([a, np.arange(1, n)]), np.column_stack([i, j])[kept]]), axis=0)
    return graph_of(np.arange(n), edges[:, 0], edges[:, 1], rng.uniform(0.1, 0.9, len(edges)))


def with_networkx(graph: igraph.Graph) -> tuple[float, float, int, int, int]:
    """Return density, mean clustering, triangles, diameter and largest degree."""
    other = networkx.Graph(graph.get_edgelist())
    return (
        networkx.density(other),
        networkx.average_clustering(other),
        sum(networkx.triangles(other).values()) // 3,
        networkx.diameter(other),
        max(degree for _, degree in other.degree()),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Time both on the same graphs, and check that they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--communities", type=int, default=5000)
    parser.add_argument("--smallest", type=int, default=4)
    parser.add_argument("--largest", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    graphs = communities(given.communities, smallest=given.smallest, largest=given.largest, seed=given.seed)
    for graph in graphs[:50]:
        graph_evidence(graph, seed=1)  # compiles the kernels; another seed, so that no draw is there already
    started = time.perf_counter()
    ours = [graph_evidence(graph) for graph in graphs]
    between = time.perf_counter()
    theirs = [with_networkx(graph) for graph in graphs]
    ended = time.perf_counter()
    for found, (density, clustering, triangles, diameter, _) in zip(ours, theirs, strict=True):
        numbers = found.numbers
        np.testing.assert_allclose((numbers.density, numbers.clustering), (density, clustering))
        assert (numbers.triangles, numbers.diameter) == (triangles, diameter)
    sizes = [graph.vcount() for graph in graphs]
    print(f"{len(graphs)} communities of {min(sizes)} to {max(sizes)} features, {np.mean(sizes):.1f} on average")
    print("| | seconds | ms a community |\n|---|---|---|")
    for name, seconds in (("ours, all evidence", between - started), ("networkx, five numbers", ended - between)):
        print(f"| {name} | {seconds:.2f} | {1000 * seconds / len(graphs):.2f} |")


if __name__ == "__main__":
    main()
