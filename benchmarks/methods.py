"""The methods that are compared, each as its users write it: prepare the input, count, and say what came out."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse

from atlas.counting.inverted import invert
from atlas.counting.plan import plan_counts
from atlas.counting.ranked import Ranked
from atlas.counting.scheme import Scheme
from atlas.counting.sparse import SparseCounter
from atlas.counting.triangle import CHUNK_FIRINGS, TriangleCounter
from atlas.errors import CapacityError
from benchmarks.synthetic import RULES, Firing, synthetic

Lap = Callable[[str], None]
"""Called with a name when a part of the work is done, for its time."""
Entries = npt.NDArray[np.int64]
"""int64, shape (n, 3): lower feature, higher feature and count of every pair seen, ascending."""
FEW = 1000
"""Tokens up to which entries are kept, to be compared one by one."""
BATCH = 4096
"""Tokens of a batch of the dense product: what Clarke, Bhatnagar and Bloom (2024) take."""
Backend = Literal["planned", "triangle", "sparse"]
"""Which of ours counts: the one that suits memory and work, or one of the two."""


class Method(Protocol):
    """One way to count, from an input in the form that it likes best; that form is made before the clock starts."""

    def __init__(self, firing: Firing, threads: int, memory: int) -> None: ...

    def warm(self) -> None:
        """Compile, load and start all that counting uses."""

    def count(self, lap: Lap) -> None:
        """Do what is timed."""

    def summary(self) -> tuple[int, int]:
        """Return the number of pairs found and the sum of their counts."""

    def entries(self) -> Entries:
        """Return all that was counted; for small inputs."""

    @property
    def work(self) -> int:
        """Increments done."""


class _OfFiring:
    """What methods have in common: their work is the firings' pairs."""

    def __init__(self, firing: Firing, threads: int, memory: int) -> None:
        self.firing, self.threads, self.memory = firing, threads, memory

    def warm(self) -> None:
        """Count something tiny."""
        type(self)(synthetic(50, 64, l0=5), self.threads, self.memory).count(lambda name: None)

    def count(self, lap: Lap) -> None:
        """Do what is timed."""
        raise NotImplementedError

    @property
    def work(self) -> int:
        """Increments done."""
        return self.firing.increments


def as_matrix(firing: Firing, dtype: npt.DTypeLike) -> scipy.sparse.csr_matrix:
    """Return tokens by features, with 32-bit indices."""
    ones = np.ones(len(firing.ids), dtype)
    matrix: scipy.sparse.csr_matrix = scipy.sparse.csr_matrix(
        (ones, firing.ids, firing.indptr.astype(np.int32)), shape=(firing.n_tokens, firing.d)
    )
    return matrix


def _upper(matrix: Any) -> Entries:
    coo = scipy.sparse.triu(matrix, 1).tocoo()
    return _in_order(coo.row, coo.col, coo.data)


def _in_order(a: Any, b: Any, count: Any) -> Entries:
    order = np.lexsort((b, a))
    return np.stack([np.asarray(one).astype(np.int64)[order] for one in (a, b, count)], axis=1)


class SciPy(_OfFiring):
    """`X.T @ X` in int64."""

    def __init__(self, firing: Firing, threads: int, memory: int) -> None:
        super().__init__(firing, threads, memory)
        self._matrix = as_matrix(firing, np.int64)

    def count(self, lap: Lap) -> None:
        """Multiply."""
        self._product = self._matrix.T @ self._matrix

    def summary(self) -> tuple[int, int]:
        """Return pairs and increments of one triangle."""
        diagonal = self._product.diagonal()
        n = (self._product.nnz - np.count_nonzero(diagonal)) // 2
        return int(n), int(self._product.data.sum() - diagonal.sum()) // 2

    def entries(self) -> Entries:
        """Return all that was counted."""
        return _upper(self._product)


class Mkl(_OfFiring):
    """`gram_matrix_mkl` in float32: one triangle, exact while no count exceeds 2^24."""

    def __init__(self, firing: Firing, threads: int, memory: int) -> None:
        super().__init__(firing, threads, memory)
        self._gram = mkl_gram()
        self._matrix = as_matrix(firing, np.float32)

    def count(self, lap: Lap) -> None:
        """Multiply."""
        self._product = self._gram(self._matrix)

    def summary(self) -> tuple[int, int]:
        """Return pairs and increments."""
        diagonal = self._product.diagonal()
        n = self._product.nnz - np.count_nonzero(diagonal)
        return int(n), int(self._product.data.sum(dtype=np.float64) - diagonal.sum(dtype=np.float64))

    def entries(self) -> Entries:
        """Return all that was counted."""
        return _upper(self._product)


def mkl_gram() -> Callable[[scipy.sparse.csr_matrix], scipy.sparse.csr_matrix]:
    """Return MKL's product of a matrix with its transpose; MKL's wheel lies where loaders do not look.

    Raises
    ------
    ImportError
        MKL or its wrapper is not installed.
    """
    if "MKL_RT" not in os.environ:
        files = importlib.metadata.files("mkl") or []
        found = [file.locate() for file in files if file.name.startswith(("libmkl_rt.", "mkl_rt."))]
        if found:
            os.environ["MKL_RT"] = str(found[0])
    from sparse_dot_mkl import gram_matrix_mkl  # type: ignore[import-untyped]

    return gram_matrix_mkl  # type: ignore[no-any-return]  # it has no types


class _Square(_OfFiring):
    """Methods whose result is a square of d by d numbers."""

    _square: Any

    def summary(self) -> tuple[int, int]:
        """Return pairs and increments of the upper triangle."""
        n = total = 0
        for row in range(len(self._square)):
            right = self._square[row, row + 1 :]
            n += int(np.count_nonzero(right))
            total += int(right.sum(dtype=np.float64))  # exact: far below 2^53
        return n, total

    def entries(self) -> Entries:
        """Return all that was counted."""
        above = np.triu(self._square, 1)
        a, b = np.nonzero(above)
        return _in_order(a, b, above[a, b])


class Dense(_Square):
    """`B.T @ B` of a dense float32 batch, added up."""

    def __init__(self, firing: Firing, threads: int, memory: int) -> None:
        super().__init__(firing, threads, memory)
        import torch

        torch.set_num_threads(threads)
        self._torch = torch

    def count(self, lap: Lap) -> None:
        """Multiply and add, a batch at a time."""
        torch, firing = self._torch, self.firing
        total = torch.zeros((firing.d, firing.d), dtype=torch.float32)
        for start in range(0, firing.n_tokens, BATCH):
            indptr = firing.indptr[start : start + BATCH + 1]
            batch = torch.zeros((len(indptr) - 1, firing.d), dtype=torch.float32)
            rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
            batch[torch.from_numpy(rows), torch.from_numpy(firing.ids[indptr[0] : indptr[-1]]).long()] = 1
            total += batch.T @ batch
        self._square = total.numpy()


class AddAt(_Square):
    """`np.add.at` over all pairs of each token."""

    def count(self, lap: Lap) -> None:
        """Add a token at a time."""
        firing = self.firing
        self._square = np.zeros((firing.d, firing.d), np.int32)
        for start, stop in zip(firing.indptr[:-1], firing.indptr[1:], strict=True):
            some = firing.ids[start:stop]
            np.add.at(self._square, (some[:, None], some), 1)


class Scatter(_Square):
    """The same as a compiled loop over the upper triangle."""

    def count(self, lap: Lap) -> None:
        """Add a token at a time."""
        self._square = np.zeros((self.firing.d, self.firing.d), np.int32)
        _scatter(self.firing.indptr, self.firing.ids, self._square)


@numba.njit(cache=True)
def _scatter(indptr, ids, square):  # type: ignore[no-untyped-def]  # compiled
    for t in range(len(indptr) - 1):
        for k in range(indptr[t], indptr[t + 1]):
            row = square[ids[k]]
            for m in range(k + 1, indptr[t + 1]):
                row[ids[m]] += 1


class Ours(_OfFiring):
    """Row-wise counting of one rule, or of several in one pass or in as many passes."""

    def __init__(
        self,
        firing: Firing,
        threads: int,
        memory: int,
        *,
        prune: int = 1,
        rules: int = 1,
        passes: int = 1,
        backend: Backend = "planned",
    ) -> None:
        super().__init__(firing, threads, memory)
        self._how: dict[str, Any] = {"memory": memory, "prune": prune, "rules": rules, "backend": backend}
        inputs = [firing.passing(rule) for rule in range(passes)] if passes > 1 else [firing]
        self._inputs = [(some, by_density(some)) for some in inputs]  # a run's firings are stored with their counts
        self._keep: list[Entries] | None = [] if firing.n_tokens <= FEW else None

    @property
    def work(self) -> int:
        """Increments done under the first rule."""
        return self.firing.increments

    def warm(self) -> None:
        """Count the first rows, as both backends do: kernels are compiled for the width of ranks and for levels."""
        numba.set_num_threads(self.threads)
        rules = self._how["rules"]
        few = synthetic(50, self.firing.d, l0=5, rules=rules > 1)
        for kind in (SparseCounter, TriangleCounter):
            counter = kind(Scheme(by_density(few), rules=RULES[:rules]), rows=(0, min(64, few.d)))
            counter.update(few.indptr, few.ids, few.levels)
            list(counter.ranked())

    def count(self, lap: Lap) -> None:
        """Count and read the finished rows through."""
        self._pairs = self._total = 0
        for number, (firing, order) in enumerate(self._inputs):
            blocks = ours(firing, order, self.threads, lap=lap, **self._how)
            for block in blocks:
                if number == 0:
                    self._pairs += block.n_pairs
                    self._total += int(block.joint_count[0].sum())
                    if self._keep is not None:
                        self._keep.append(_by_feature(block, order))

    def summary(self) -> tuple[int, int]:
        """Return pairs and increments under the first rule."""
        return self._pairs, self._total

    def entries(self) -> Entries:
        """Return all that was counted; of inputs of more than `FEW` tokens it is not kept."""
        assert self._keep is not None
        return _in_order(*np.concatenate(self._keep).T)


class Increments(_OfFiring):
    """The increments of the triangle alone: the index is made, and the cells are touched, before the clock starts."""

    def __init__(self, firing: Firing, threads: int, memory: int) -> None:
        super().__init__(firing, threads, memory)
        numba.set_num_threads(threads)
        self._counter = _Triangle(Scheme(by_density(firing)))
        self._counter.invert(firing)

    def warm(self) -> None:
        """Compile for the width of ranks that the input has."""
        numba.set_num_threads(self.threads)
        few = synthetic(50, self.firing.d, l0=5)
        counter = _Triangle(Scheme(by_density(few)), rows=(0, min(64, few.d)))
        counter.invert(few)
        counter.add()

    def count(self, lap: Lap) -> None:
        """Add."""
        self._counter.add()

    def summary(self) -> tuple[int, int]:
        """Return pairs and increments."""
        blocks = list(self._counter.ranked())
        return sum(block.n_pairs for block in blocks), sum(int(block.joint_count.sum()) for block in blocks)

    def entries(self) -> Entries:
        """Return all that was counted."""
        order = self._counter.scheme.order
        return _in_order(*np.concatenate([_by_feature(block, order) for block in self._counter.ranked()]).T)


class _Triangle(TriangleCounter):
    """A counter whose two phases are called one by one."""

    def invert(self, firing: Firing) -> None:
        """Make the index of all chunks, and write every cell once."""
        self._indices = [
            invert(self.scheme, indptr, firing.ids[some], None, None)
            for some, indptr in chunks(firing, CHUNK_FIRINGS)
        ]
        self._cells.fill(0)

    def add(self) -> None:
        """Add the increments of every chunk."""
        for index in self._indices:
            self._add_inverted(index)


def by_density(firing: Firing) -> npt.NDArray[np.int32]:
    """Return the features from the most to the least frequent."""
    counts = np.bincount(firing.ids, minlength=firing.d)
    return np.argsort(-counts, kind="stable").astype(np.int32)


def chunks(firing: Firing, firings: int) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
    """Yield the entries and the row pointer of runs of tokens of at most so many firings."""
    start = 0
    while start < firing.n_tokens:
        stop = int(np.searchsorted(firing.indptr, firing.indptr[start] + firings, side="right")) - 1
        stop = min(max(stop, start + 1), firing.n_tokens)
        indptr = firing.indptr[start : stop + 1]
        yield slice(int(indptr[0]), int(indptr[-1])), indptr - indptr[0]
        start = stop


def ours(
    firing: Firing,
    order: npt.NDArray[np.int32],
    threads: int,
    *,
    memory: int,
    prune: int = 1,
    rules: int = 1,
    backend: Backend = "planned",
    lap: Lap = lambda name: None,
) -> Iterator[Ranked]:
    """Yield the pairs seen on `prune` tokens or more, in ranges of rows."""
    numba.set_num_threads(threads)
    scheme = Scheme(order, rules=RULES[:rules])
    plan = plan_counts(scheme, n_tokens=firing.n_tokens, n_firings=len(firing.ids), memory=memory, threads=threads)
    sparse = plan.strategy == "sparse" if backend == "planned" else backend == "sparse"
    if sparse and plan.parts > 1:
        raise CapacityError("the firings do not fit at once", "parts that are merged on disk are not timed here")
    for rows in plan.panels if backend == "planned" else [(0, firing.d)]:
        counter = (SparseCounter if sparse else TriangleCounter)(scheme, rows=rows)
        for some, indptr in chunks(firing, plan.chunk_firings):
            levels = firing.levels[some] if rules > 1 and firing.levels is not None else None
            counter.update(indptr, firing.ids[some], levels)
        if not sparse and rows == (0, firing.d):  # the sparse one gathers first, and counts when rows are asked for
            lap("counted")
        yield from counter.ranked(prune=prune)
        del counter  # the next panel's cells come in the place of these


def _by_feature(block: Ranked, order: npt.NDArray[np.int32]) -> Entries:
    a = order[np.repeat(np.arange(block.low, block.high), np.diff(block.indptr))]
    b = order[block.columns]
    return np.stack([np.minimum(a, b), np.maximum(a, b), block.joint_count[0]], axis=1).astype(np.int64)
