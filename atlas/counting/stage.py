"""The stage `20-counts`: firings in, exact counts and stratified counts out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from atlas.artifacts import Artifact, Run, Spec
from atlas.counting.counts import PairCounts
from atlas.counting.rowwise import RowwiseCounter, assemble, rows_that_fit, use_threads
from atlas.counting.strata import SPAN, span_labels, stratified_counts
from atlas.errors import CapacityError
from atlas.files import write_arrays
from atlas.firings import Firings
from atlas.tracking import Track, untracked

logger = logging.getLogger("atlas")

COUNTS = "20-counts"
PAIRS = "pairs.safetensors"
STRATA = "strata.safetensors"


def count(
    run: Run,
    *,
    span: int = SPAN,
    memory: int = 4 * 2**30,
    threads: int | None = None,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of counts: pairs (int64, upper triangle) and firings per stratum.

    Parameters
    ----------
    span
        Longest stratum in tokens.
    memory
        Bytes for the triangle of counters; where it is larger, row panels are counted in several
        passes over the shards. It does not change the result.
    threads
        Counting threads, all cores by default. They do not change the result.
    track
        Told of the tokens counted.
    """
    spec = Spec(COUNTS, {"firing_rule": "any", "span": span}, ("10-activations",))
    return run.produce(spec, lambda directory: _compute(run, directory, span, memory, threads, track))


def _compute(run: Run, directory: Path, span: int, memory: int, threads: int | None, track: Track) -> dict[str, Any]:
    firings = Firings(run.artifact("10-activations").path)
    use_threads(threads)
    counts = count_pairs(firings, memory=memory, track=track)
    write_arrays(directory / PAIRS, counts.arrays())
    labels = span_labels(firings.document, span=span)
    n_strata = int(labels[-1]) + 1 if len(labels) else 0
    within = stratified_counts(firings.shards(), labels, n_strata=n_strata, d_sae=firings.d_sae)
    write_arrays(
        directory / STRATA,
        {
            "labels": labels,
            "sizes": np.bincount(labels, minlength=n_strata).astype(np.int64),
            "indptr": within.indptr.astype(np.int64),
            "features": within.indices.astype(np.int32),
            "counts": within.data.astype(np.int64),
        },
    )
    return {
        "n_tokens": firings.n_tokens,
        "d_sae": firings.d_sae,
        "n_strata": n_strata,
        "n_pairs": counts.n_pairs,
        "n_increments": int(counts.joint_count.sum()),
    }


def count_pairs(firings: Firings, *, memory: int, track: Track = untracked) -> PairCounts:
    """Return the counts of all firings, in as many passes as the memory asks for.

    Raises
    ------
    CapacityError
        Not even one row fits.
    """
    order = np.argsort(-firings.firing_count, kind="stable")
    d, low, parts = firings.d_sae, 0, []
    ranges = []
    while low < d:
        high = min(d, rows_that_fit(low, memory))
        if high == low:
            raise CapacityError(
                f"one row of {low} counters does not fit in {memory} bytes", f"give --memory {4 * d} or more"
            )
        ranges.append((low, high))
        low = high
    if len(ranges) > 1:
        logger.info("counting in %d passes: the triangle does not fit in %.1f GiB", len(ranges), memory / 2**30)
    with track("counts", total=len(ranges) * firings.n_tokens, unit="tokens") as advance:
        for rows in ranges:
            counter = RowwiseCounter(order, rows=rows, memory=memory)
            for shard in firings.shards():
                counter.update(shard.indptr, shard.ids)
                advance(shard.n_tokens)
            parts.append(counter.pairs())
    return assemble(firings.firing_count, parts)
