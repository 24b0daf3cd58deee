"""The stage `20-counts`: firings in, exact counts and stratified counts out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atlas.artifacts import Artifact, Run, Spec
from atlas.counting.by_feature import bands, row_pointer
from atlas.counting.cuda import choose_device
from atlas.counting.passes import Settings, count_shards, rules_of, scheme_of
from atlas.counting.plan import plan_counts
from atlas.counting.ranked import Counted
from atlas.counting.rules import STRONG, Rules, rule_names
from atlas.counting.scheme import Scheme
from atlas.counting.strata import SPAN, span_labels, stratified_counts
from atlas.errors import InputError
from atlas.files import write_arrays
from atlas.firings import Firings
from atlas.mapped import StreamedArrays
from atlas.tracking import Track, untracked

ACTIVATIONS = "10-activations"
COUNTS = "20-counts"
PAIRS = "pairs.safetensors"
STRATA = "strata.safetensors"
_SCRATCH = ".scratch"


def count(
    run: Run,
    *,
    rules: Sequence[str] = (STRONG,),
    sums: bool = False,
    prune: int = 1,
    span: int = SPAN,
    settings: Settings | None = None,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of counts: pairs (int64, upper triangle) and firings per stratum.

    Parameters
    ----------
    rules
        Firing rules that are counted in the one pass; `any` always is. By default `rel:0.5`, which hierarchy needs.
    sums
        Whether the activations on joint tokens are added up, too.
    prune
        Pairs seen on fewer tokens are left out of the finished counts: exactly, never part by part.
    span
        Longest stratum in tokens.
    settings
        Memory, threads and device. They do not change the result.
    track
        Told of the tokens counted.

    Raises
    ------
    InputError
        A rule is none, or no firing passes it (fault 45).
    CapacityError
        The memory is too small for any way to count (fault 25), or the disk is full.
    """
    settings = settings or Settings()
    if prune < 1:
        raise InputError(f"prune {prune}, expected 1 or more", "give 1 to keep every pair")
    spec = counts_spec(rules=rules, sums=sums, prune=prune, span=span)

    def compute(directory: Path) -> dict[str, Any]:
        firings = Firings(run.artifact(ACTIVATIONS).path)
        scheme, found = run_scheme(run, firings, spec, memory=settings.memory)
        scratch = directory / _SCRATCH
        try:
            counted = count_shards(
                firings, None, scratch, scheme=scheme, rules=found, settings=settings, prune=prune, track=track,
                tell=lambda plan: run.remark(**plan.remarks(settings.memory)),
            )  # fmt: skip
            return write_counts(directory, counted, firings, span=span, memory=settings.memory)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    return run.produce(spec, compute, check=lambda: _check(run, spec, settings))


def _check(run: Run, spec: Spec, settings: Settings) -> None:
    """Refuse what counting would refuse, before counts that are there are given up for it."""
    firings = Firings(run.artifact(ACTIVATIONS).path)
    if settings.device.startswith("cuda"):
        choose_device(settings.device)
    scheme = Scheme(np.arange(firings.d_sae, dtype=np.int32), tuple(spec.parameters["rules"]), spec.parameters["sums"])
    plan_counts(
        scheme,
        n_tokens=firings.n_tokens,
        n_firings=int(firings.firing_count.sum()),
        memory=settings.memory,
        threads=settings.threads or 1,
    )


def counts_spec(*, rules: Sequence[str], sums: bool, prune: int, span: int) -> Spec:
    """Return what decides the artifact of counts: the same for one process, many jobs, and a cluster."""
    parameters = {"rules": list(rule_names(rules)), "sums": sums, "prune": prune, "span": span}
    return Spec(COUNTS, parameters, (ACTIVATIONS,))


def run_scheme(run: Run, firings: Firings, spec: Spec, *, memory: int) -> tuple[Scheme, Rules]:
    """Return the scheme that a run's activations are counted by, and its rules with what they compare against."""
    names = tuple(spec.parameters["rules"])
    source = run.artifact(ACTIVATIONS).digest
    found = rules_of(firings, names, memory=memory)
    return scheme_of(firings, found, sums=spec.parameters["sums"], source=source), found


def write_counts(directory: Path, counted: Counted, firings: Firings, *, span: int, memory: int) -> dict[str, Any]:
    """Write the files of the artifact, and return its figures.

    Raises
    ------
    InputError
        No firing passes a rule (fault 45).
    """
    for rule, fired in zip(counted.scheme.rules, counted.firing_count.sum(1).tolist(), strict=True):
        if not fired:
            raise InputError(f"no firing passes the rule {rule}", "give a lower threshold, or leave the rule out")
    kept, increments = _write_pairs(directory / PAIRS, counted, memory=memory)
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
        "n_pairs": kept,
        "n_increments": increments,
        "n_firings": dict(zip(counted.scheme.rules, counted.firing_count.sum(1).tolist(), strict=True)),
    }


def _write_pairs(path: Path, counted: Counted, *, memory: int) -> tuple[int, int]:
    """Write the pairs in bands; return how many pairs, and joint tokens of the rule `any` over all of them."""
    scheme = counted.scheme
    indptr = row_pointer(counted)
    d, n = scheme.d_sae, int(indptr[-1])
    joint = ["joint_count", *(f"joint_count:{rule}" for rule in scheme.rules[1:])]
    fired = ["firing_count", *(f"firing_count:{rule}" for rule in scheme.rules[1:])]
    sums = ["joint_sum_a", "joint_sum_b"] if scheme.sums else []
    shapes = {
        **dict.fromkeys(fired, ((d,), "int64")),
        "indptr": ((d + 1,), "int64"),
        **dict.fromkeys((*joint, *sums), ((n,), "int64")),
        "columns": ((n,), "int32"),
    }
    increments = 0
    with StreamedArrays(path, shapes) as out:
        out.write("indptr", indptr)
        for name, values in zip(fired, counted.firing_count, strict=True):
            out.write(name, values)
        for band in bands(counted, indptr, memory=memory // 4):
            at = int(indptr[band.low])
            out.write("columns", band.columns, at=at)
            for name, values in zip((*joint, *sums), (*band.joint_count, *band.joint_sum[: len(sums)]), strict=True):
                out.write(name, values, at=at)
            increments += int(band.joint_count[0].sum())
    return n, increments
