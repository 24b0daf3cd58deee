"""The table of edges: three kinds of pairs with every measure, written a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.association.basis import BASES, WithinItems
from atlas.association.measures import correlation, measures
from atlas.association.null import Floats
from atlas.association.sample import Sample
from atlas.association.testing import Pairs
from atlas.files import check_column
from atlas.firings import Firings
from atlas.mapped import map_arrays
from atlas.schema import TABLES

_ROWS = 2**17  # rows at once
_DIRECTIONS = 2**12  # pairs whose decoder directions are read at once


@dataclass(frozen=True)
class Edges:
    """The edges of one kind that are written.

    Attributes
    ----------
    pairs : Pairs
        In order of (a, b).
    kept : bool, shape (n,)
        Whether each is on the kind's backbone.
    kept_by : str
        The rule that put it there.
    items : WithinItems
        What the tokens explain of each.
    explained_by : masked int64, shape (n,)
        The feature that explains each, as `indirect` has it.
    """

    pairs: Pairs
    kept: npt.NDArray[np.bool_]
    kept_by: str
    items: WithinItems
    explained_by: Any


def phi_of(firings: Firings, pairs: Pairs) -> Floats:
    """Return phi of each pair, the correlation of the two firings over all tokens."""
    out = np.empty(len(pairs))
    for low in range(0, len(pairs), _ROWS):
        some = slice(low, low + _ROWS)
        n_a, n_b = (firings.firing_count[end[some]].astype(np.float64) for end in (pairs.a, pairs.b))
        out[some] = correlation(pairs.joint_count[some].astype(np.float64), n_a, n_b, n_tokens=float(firings.n_tokens))
    return out


def phi_d_of(pairs: Pairs, spread: Floats) -> Floats:
    """Return phi_d = (c - E_d) / sqrt(S_a S_b), the correlation of the two firings within strata.

    E_d is the expectation without crowding and S_i = sum_d n_id (T_d - n_id) / T_d: what is left of phi when each
    feature's rate in each stratum is taken away. It is 0 where a feature does not vary within strata.
    """
    scale = np.sqrt(spread[pairs.a] * spread[pairs.b])
    difference = pairs.joint_count - pairs.expected_uncorrected
    return np.clip(np.divide(difference, scale, out=np.zeros(len(pairs)), where=scale > 0), -1, 1)


def write_edges(directory: Path, sample: Sample, kinds: Mapping[str, Edges], spread: Floats) -> None:
    """Write the table `edges` in order of (a, b), its columns made for a piece of rows at a time.

    Raises
    ------
    ArtifactError
        A value is missing, not finite, or outside its interval.
    """
    table = TABLES["edges"]
    schema = table.arrow()
    with pq.ParquetWriter(directory / f"{table.name}.parquet", schema, compression="zstd") as writer:
        for low, high in _pieces(kinds, sample.firings.d_sae):
            parts = [_columns(kind, _within(edges, low, high), sample, spread) for kind, edges in kinds.items()]
            joined = {name: _concatenated([part[name] for part in parts]) for name in parts[0]}
            order = np.lexsort((joined["b"], joined["a"]))
            arrays = [
                pa.array(_plain(joined[name][order]), type_)
                for name, type_ in zip(schema.names, schema.types, strict=True)
            ]
            for column, values in zip(table.columns, arrays, strict=True):
                check_column(directory.name, table.name, column, pa.chunked_array([values]))
            writer.write_table(pa.table(arrays, schema=schema))


def _concatenated(parts: list[Any]) -> Any:
    return np.ma.concatenate(parts)  # type: ignore[no-untyped-call]


def _plain(values: Any) -> Any:
    """Return the values as Arrow takes them: without a mask where nothing is masked."""
    return values if np.ma.getmaskarray(values).any() else np.ma.getdata(values)


def _pieces(kinds: Mapping[str, Edges], d: int) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of lower features with about `_ROWS` edges each, or of one feature."""
    n = np.zeros(d, np.int64)
    for edges in kinds.values():
        n += np.bincount(edges.pairs.a, minlength=d)
    done = np.concatenate([[0], np.cumsum(n)])
    low = 0
    while low < d:
        high = max(low + 1, int(np.searchsorted(done, done[low] + _ROWS, side="right")) - 1)
        yield low, high
        low = high


def _within(edges: Edges, low: int, high: int) -> Edges:
    """Return the edges whose lower feature lies in a half-open range."""
    at = slice(*np.searchsorted(edges.pairs.a, [low, high]).tolist())
    items = WithinItems(edges.items.lift_t[at], edges.items.basis[at])
    return Edges(edges.pairs.at(at), edges.kept[at], edges.kept_by, items, edges.explained_by[at])


def _columns(kind: str, edges: Edges, sample: Sample, spread: Floats) -> dict[str, Any]:
    """Return the columns of some edges of one kind."""
    pairs, firings = edges.pairs, sample.firings
    n_a, n_b = firings.firing_count[pairs.a], firings.firing_count[pairs.b]
    return {
        "a": pairs.a,
        "b": pairs.b,
        "kind": np.full(len(pairs), kind, object),
        "basis": np.array(BASES, object)[edges.items.basis],
        "lift_t": edges.items.lift_t,
        "joint_count": pairs.joint_count,
        "expected": pairs.expected,
        "expected_uncorrected": pairs.expected_uncorrected,
        "variance": pairs.variance,
        "lift_d": pairs.joint_count / np.maximum(pairs.expected, np.finfo(float).tiny),
        "phi_d": phi_d_of(pairs, spread),
        "p": pairs.p,
        "q": pairs.q,
        "decoder_cosine": decoder_cosines(firings.directory, pairs.a, pairs.b),
        "explained_by": edges.explained_by,
        "kept_by": np.ma.masked_array(np.full(len(pairs), edges.kept_by, object), ~edges.kept),
        **measures(pairs.joint_count, n_a, n_b, n_tokens=firings.n_tokens),
    }


def decoder_cosines(
    activations: Path, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Return the cosine of the two decoder directions of each pair: float64, shape (n,)."""
    directions = np.asarray(map_arrays(activations / "decoder.safetensors")["W_dec"])
    out = np.empty(len(a))
    for low in range(0, len(a), _DIRECTIONS):
        some = slice(low, low + _DIRECTIONS)
        out[some] = np.einsum("ij,ij->i", directions[a[some]], directions[b[some]], dtype=np.float64)
    return np.clip(out, -1, 1)
