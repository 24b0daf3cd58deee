"""The best way to lay an ideal graph over a real one: exact up to 16 nodes, built or searched above.

Up to `EXACT` nodes every subset is gone through, 2^n steps. Above, paths are built from the nodes with
the fewest edges left, which is exact on forests; rings and two-part placements are searched for, with
a bounded number of steps. Such a placement may be worse than the best one: a template may then be
missed, and is never made up.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int64]
"""Adjacency of a simple graph: int64 of 0 and 1, shape (n, n), symmetric, diagonal 0."""
Lengths = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float64]]
EXACT = 16
MAX_STEPS = 20_000


def path_edges(adjacency: Matrix, *, exact: int = EXACT) -> int:
    """Return the most edges of the graph that lie on disjoint paths: n - 1 where one path runs through all.

    Exact up to `exact` nodes and on forests; above, a lower bound.
    """
    if len(adjacency) <= exact:
        return len(adjacency) - int(_cover(_masks(adjacency))[0])
    return _greedy_path_edges(adjacency)


def has_ring(adjacency: Matrix, *, exact: int = EXACT) -> bool:
    """Return whether a ring runs through all nodes (a Hamiltonian cycle).

    Exact up to `exact` nodes; above, False also where 20,000 steps of the search did not find it.
    """
    if len(adjacency) < 3 or adjacency.sum(0).min() < 2:
        return False
    if len(adjacency) <= exact:
        return bool(_cover(_masks(adjacency))[1])
    return bool(_search_ring(np.argsort(-adjacency, axis=1, kind="stable"), adjacency.sum(0), adjacency))


def two_part_lengths(
    adjacency: Matrix, cut_length: Lengths, core_length: Lengths, *, exact: int = EXACT
) -> tuple[float, float]:
    """Return the shortest code length of a bipartite and of a core-periphery placement.

    Parameters
    ----------
    cut_length
        Code length by (nodes in one part, edges between the parts).
    core_length
        Code length by (nodes in the core, edges with an end in the core).

    Notes
    -----
    Exact up to `exact` nodes. Above, nodes are moved from part to part one at a time, each time the one
    that shortens the code most, from the best beginnings of five orders of the nodes.
    """
    n = len(adjacency)
    if n <= exact:
        most_between, fewest_inside = _two_parts(_masks(adjacency))
        size = np.arange(n + 1)
        edges = int(adjacency.sum()) // 2
        inner = slice(2, n - 1)  # a part of one is a star, or nothing
        core = edges - fewest_inside[::-1]  # a core of s leaves a periphery of n - s
        return (
            float(cut_length(size[inner], most_between[inner]).min()),
            float(core_length(size[inner], core[inner]).min()),
        )
    starts = _starts(adjacency)
    return (
        min(_descend(adjacency, order, cut_length, core=False) for order in starts),
        min(_descend(adjacency, order, core_length, core=True) for order in starts),
    )


def _masks(adjacency: Matrix) -> npt.NDArray[np.int64]:
    """Return the neighbours of each node as bits."""
    masks: npt.NDArray[np.int64] = adjacency @ (1 << np.arange(len(adjacency), dtype=np.int64))
    return masks


@numba.njit(cache=True, nogil=True)
def _ones(bits):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _two_parts(masks):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return by number of nodes in a part the most edges that leave it, and the fewest inside."""
    n = len(masks)
    leaving = np.zeros(n + 1, np.int64)
    inside_least = np.full(n + 1, n * n, np.int64)
    inside_least[0] = 0
    part = inside = degrees = size = 0
    for step in range(1, 1 << n):  # Gray code: one node changes at a time
        node = 0
        while not (step >> node) & 1:
            node += 1
        neighbours = _ones(masks[node] & part)
        sign = -1 if (part >> node) & 1 else 1
        part ^= 1 << node
        inside += sign * neighbours
        degrees += sign * _ones(masks[node])
        size += sign
        leaving[size] = max(leaving[size], degrees - 2 * inside)
        inside_least[size] = min(inside_least[size], inside)
    return leaving, inside_least


@numba.njit(cache=True, nogil=True)
def _cover(masks):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return the fewest paths that cover all nodes, and whether a ring does.

    For each set of nodes: the fewest paths, the nodes at which the last of them can end (with one
    path more it can end anywhere, so no more need be kept), and the ends of a path from node 0.
    """
    n = len(masks)
    every = 1 << n
    fewest = np.full(every, n + 1, np.int16)
    ends = np.zeros(every, np.int32)
    from_first = np.zeros(every, np.int32)
    fewest[0] = 0
    from_first[1] = 1
    for some in range(every):
        for node in range(n):
            bit = 1 << node
            if some & bit:
                continue
            more = some | bit
            paths = fewest[some] + (0 if masks[node] & ends[some] else 1)
            if paths < fewest[more]:
                fewest[more], ends[more] = paths, bit
            elif paths == fewest[more]:
                ends[more] |= bit
            if masks[node] & from_first[some]:
                from_first[more] |= bit
    return fewest[every - 1], n > 2 and (from_first[every - 1] & masks[0]) != 0


def _greedy_path_edges(adjacency: Matrix) -> int:
    """Join, again and again, the node with the fewest edges left to its neighbour with the fewest."""
    left = [set(np.flatnonzero(row).tolist()) for row in adjacency]
    free = [2] * len(left)
    other_end = list(range(len(left)))
    joined = 0
    while True:
        node = min((v for v in range(len(left)) if left[v]), key=lambda v: (len(left[v]), v), default=-1)
        if node < 0:
            return joined
        mate = min(left[node], key=lambda v: (len(left[v]), v))
        joined += 1
        one, two = other_end[node], other_end[mate]
        other_end[one], other_end[two] = two, one
        for end in (node, mate):
            free[end] -= 1
            if not free[end]:
                for v in left[end]:
                    left[v].discard(end)
                left[end].clear()
        for x, y in ((node, mate), (one, two)):  # the first is used, the second would close a ring
            left[x].discard(y)
            left[y].discard(x)


@numba.njit(cache=True, nogil=True)
def _search_ring(neighbours, degree, adjacency):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Go from node to node, to the one with the fewest unvisited neighbours first, and step back at dead ends."""
    n = len(degree)
    path = np.empty(n, np.int64)
    tried = np.zeros((n, n), np.bool_)
    used = np.zeros(n, np.bool_)
    unvisited = degree.copy()
    path[0] = np.argmin(degree)
    used[path[0]] = True
    for k in range(degree[path[0]]):
        unvisited[neighbours[path[0], k]] -= 1
    at = 0
    for _ in range(MAX_STEPS):
        here = path[at]
        if at == n - 1:
            if adjacency[here, path[0]]:
                return True
            choice = -1
        else:
            choice, fewest = -1, n
            for k in range(degree[here]):
                v = neighbours[here, k]
                if not used[v] and not tried[at, v] and unvisited[v] < fewest:
                    choice, fewest = v, unvisited[v]
        step = 1 if choice >= 0 else -1
        moved = choice if choice >= 0 else here
        if choice < 0 and at == 0:
            return False
        for k in range(degree[moved]):
            unvisited[neighbours[moved, k]] -= step
        used[moved] = choice >= 0
        if choice >= 0:
            tried[at, choice] = True
            at += 1
            path[at] = choice
            tried[at] = False
        else:
            at -= 1
    return False


def _starts(adjacency: Matrix) -> list[npt.NDArray[np.int64]]:
    """Return orders of the nodes whose beginnings are good parts.

    By degree, and from each of the four nodes with the highest degree: the nodes at odd distance,
    then those at even distance, each by degree.
    """
    degree = adjacency.sum(0)
    by_degree = np.argsort(-degree, kind="stable")
    orders = [by_degree]
    for root in by_degree[:4]:
        distance = np.full(len(degree), -1, np.int64)
        reached, steps = np.arange(len(degree)) == root, 0
        while reached.any():
            distance[reached] = steps
            reached = (adjacency[reached].sum(0) > 0) & (distance < 0)
            steps += 1
        orders.append(np.lexsort((-degree, distance % 2 == 0)))
    return orders


def _descend(adjacency: Matrix, order: npt.NDArray[np.int64], length: Lengths, *, core: bool) -> float:
    """Return the code length reached from the best beginning of an order by moving single nodes."""
    n, degree = len(adjacency), adjacency.sum(0)
    sizes = np.arange(2, n - 1)
    inside = np.cumsum(np.tril(adjacency[np.ix_(order, order)]).sum(1))[1 : n - 2]
    covered = np.cumsum(degree[order])[1 : n - 2] - (1 if core else 2) * inside
    lengths = length(sizes, covered)
    best = int(np.argmin(lengths))
    size, found, shortest = int(sizes[best]), int(covered[best]), float(lengths[best])
    part = np.zeros(n, np.int64)
    part[order[:size]] = 1
    while True:
        sign = 1 - 2 * part
        change = degree - (1 if core else 2) * (adjacency @ part)
        new_size, new_found = size + sign, found + sign * change
        allowed = (new_size >= 2) & (new_size <= n - 2)
        lengths = np.where(allowed, length(np.clip(new_size, 2, n - 2), new_found), np.inf)
        node = int(np.argmin(lengths))
        if lengths[node] >= shortest - 1e-9:
            return shortest
        shortest, size, found = float(lengths[node]), int(new_size[node]), int(new_found[node])
        part[node] ^= 1
