"""What is known of each method before it runs: what it gives, what it needs, and how far it is timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.floor import Floor
from benchmarks.methods import BATCH, AddAt, Dense, Increments, Method, Mkl, Ours, Scatter, SciPy
from benchmarks.synthetic import RULES, Firing


@dataclass(frozen=True)
class Size:
    """What the memory of a method depends on."""

    d: int
    n_tokens: int
    firings: int
    distinct: int


@dataclass(frozen=True)
class About:
    """What is known of a method before it runs.

    Attributes
    ----------
    title, gives
        What it is, and what comes out, in Markdown.
    make
        Prepares the input; the method, ready to count.
    needs
        Bytes that the result takes at least, beside the input.
    most
        Tokens that it is timed on at most, by number of features; the time is then scaled per increment.
    exact_below
        Count from which on it may be wrong.
    pruned
        Whether rare pairs are left out.
    """

    title: str
    gives: str
    make: Callable[[Firing, int, int], Method]
    needs: Callable[[Size], float]
    most: Callable[[int], int] | None = None
    exact_below: int | None = None
    pruned: bool = False


def _triangles(size: Size, *, both: bool, value: int) -> float:
    entries = (2 if both else 1) * size.distinct + min(size.d, size.firings)
    return entries * (value + (4 if entries < 2**31 else 8))


def _square_bytes(size: Size) -> float:
    return 4.0 * size.d**2


def _triangle_bytes(size: Size) -> float:
    return 2.0 * size.d * (size.d - 1)


def _dense_bytes(size: Size) -> float:
    return 2 * _square_bytes(size) + 4.0 * size.d * min(BATCH, size.n_tokens)


def _row(size: Size) -> float:
    return 4.0 * size.d


def _about_ours(title: str, gives: str = "int64, sorted rows of one triangle", **options: Any) -> About:
    pruned = options.get("prune", 1) > 1
    return About(title, gives, partial(Ours, **options), lambda size: 0.0, pruned=pruned)


FLOAT = 2**24
"""Whole numbers below this are exact in float32."""
METHODS = {
    "ours": _about_ours("**ours**"),
    "ours-triangle": replace(_about_ours("ours, triangle", backend="triangle"), needs=_triangle_bytes),
    "ours-increments": About(
        "ours, the increments alone", "the index is made before", Increments, _triangle_bytes
    ),
    "ours-sparse": _about_ours("ours, sparse rows", backend="sparse"),
    "ours-pruned": _about_ours("**ours**, pairs seen 5 times or more", prune=5),
    "ours-rules": _about_ours("**ours**, four rules in one pass", "the same for each rule", rules=len(RULES)),
    "ours-passes": _about_ours("**ours**, four rules in four passes", "the same for each rule", passes=len(RULES)),
    "scipy": About(
        "SciPy `X.T @ X`", "int64 CSC, both triangles, unsorted", SciPy, partial(_triangles, both=True, value=8)
    ),
    "mkl": About(
        "MKL `gram_matrix_mkl`",
        "float32 CSR, one triangle, unsorted",
        Mkl,
        partial(_triangles, both=False, value=4),
        exact_below=FLOAT,
    ),
    "dense": About(
        "dense torch `B.T @ B`",
        "float32 square",
        Dense,
        _dense_bytes,
        most=lambda d: max(BATCH, 2**40 // d**2 // BATCH * BATCH),
        exact_below=FLOAT,
    ),
    "add-at": About("`np.add.at`", "int32 square", AddAt, _square_bytes, most=lambda d: 5_000),
    "scatter": About("numba scatter", "int32 half square", Scatter, _square_bytes, most=lambda d: 20_000),
    "floor": About("floor: random increments of one row", "nothing", Floor, _row),
    "floor-L1": About("in the first cache (16 KiB)", "nothing", partial(Floor, counters=2**12), _row),
    "floor-L2": About("in the second (512 KiB)", "nothing", partial(Floor, counters=2**17), _row),
    "floor-memory": About("in memory (256 MiB)", "nothing", partial(Floor, counters=2**26), _row),
}
