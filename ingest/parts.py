"""Counting in shares, one job each, on one run directory: partial counts side by side, and their merge."""

from __future__ import annotations

import functools
import logging
import re
import shlex
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atlas.errors import ArtifactError, InputError
from atlas.ingest.program import program

if TYPE_CHECKING:
    from atlas.artifacts import Artifact, Run, Spec
    from atlas.counting.passes import Settings
    from atlas.counting.pilot import Pilot
    from atlas.counting.ranked import Counted, Ranked
    from atlas.counting.scheme import Scheme
    from atlas.firings import Firings
    from atlas.tracking import Advance, Track

logger = logging.getLogger("atlas")

PARTS = "20-counts.parts"
"""Folder of the partial counts in the run directory."""
_FOLDER = re.compile(r"part-(\d{5,})-of-(\d{5,})")
_ACTIVATIONS = "10-activations"


@dataclass(frozen=True)
class Share:
    """One job's share of the shards: part `number` of `of` about equal ones."""

    number: int
    of: int

    @property
    def folder(self) -> str:
        """Name of its partial counts: `part-00003-of-00016`."""
        return f"part-{self.number:05d}-of-{self.of:05d}"

    def shards(self, n_shards: int) -> range:
        """Return the numbers of its shards, which follow each other."""
        return range(n_shards * (self.number - 1) // self.of, n_shards * self.number // self.of)

    def command(self, run: Path, scheme: Scheme | None = None) -> str:
        """Return the command that counts it, with the rules and sums of a scheme."""
        words = [program(), "ingest", "counts", "--run", shlex.quote(str(run)), "--shards", f"{self.number}/{self.of}"]
        for rule in scheme.rules[1:] or scheme.rules if scheme else ():
            words += ["--rule", rule]  # `any` alone where there is no other: the default is not
        return " ".join([*words, *(["--sums"] if scheme and scheme.sums else [])])


class ShareType(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """One share of several: `3/16`."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Share:
        """Return the share."""
        if isinstance(value, Share):
            return value
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(value), re.ASCII)
        share = Share(int(found[1]), int(found[2])) if found else Share(0, 0)
        if not 1 <= share.number <= share.of:
            self.fail(f"{value!r} is no share; write 3/16 for the third of sixteen", param, ctx)
        return share


def count_share(
    run_directory: Path, share: Share, *, rules: Sequence[str], sums: bool, settings: Settings, track: Track
) -> Path:
    """Return the folder of one share's partial counts, counted unless it is done.

    Any number of jobs may do this at a time: the run is not locked, and what each writes is its own, but for
    the pilot, which the first one writes and the others read.

    Parameters
    ----------
    rules, sums
        What is counted; see `Scheme`. Pairs are pruned, and strata made, when the parts are merged.
    settings
        Memory, threads and device of this job.

    Raises
    ------
    ArtifactError
        There are no activations, or one of this share's shards is damaged (fault 40).
    InputError
        The folder holds parts of other counts, or of another number of jobs (fault 43).
    """
    from atlas.counting.pilot import ORDER
    from atlas.firings import Firings

    activations = _activations(run_directory)
    numbers = share.shards(len(_shard_files(activations)))
    _check_shards(activations, numbers)
    parts = run_directory / PARTS
    _one_division(parts, share.of)
    firings = Firings(activations.path)
    if len(rules) and not (parts / ORDER).exists():  # what the pilot's medians and thresholds come from
        _check_files(activations, [name for name in activations.files if "/" not in name])
    pilot = find_pilot(parts, firings, rules=rules, sums=sums, source=activations.digest, memory=settings.memory)
    return count_into(parts / share.folder, firings, numbers, pilot=pilot, settings=settings, track=track)


def count_one_share(
    run_directory: Path,
    share: Share,
    *,
    scheduler: str | None = None,
    memory: int,
    threads: int | None,
    device: str,
    prune: int,
    span: int,
    **given: Any,
) -> Path:
    """Return the folder of one share's partial counts, as the options of `counts` ask for it."""
    from atlas.counting.passes import Settings
    from atlas.counting.strata import SPAN
    from atlas.files import NO_ROOM, no_room
    from atlas.ingest.progress import progress

    if scheduler is not None:
        raise click.UsageError("--shards counts in this process, and --scheduler in others: give one of them")
    if span != SPAN:
        raise click.UsageError("--span is of the merged counts: give it to `atlas ingest merge`")
    if prune > 1:
        raise click.UsageError("--prune is exact on merged counts alone: give it to `atlas ingest merge`")
    settings = Settings(memory, threads, device)
    try:
        return count_share(run_directory, share, settings=settings, track=progress, **given)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise no_room(run_directory / PARTS) from error
        raise InputError(f"{run_directory / PARTS} cannot be used: {error.strerror}", "ask the run's owner") from error


def show_part(folder: Path, *, as_json: bool) -> None:
    """Print where a part is and its figures."""
    import json

    from atlas.counting.partial import read_description

    found = read_description(folder)
    figures = {
        "n_tokens": sum(stop - start for start, stop in found["covered"]),
        "n_pairs": found["n_pairs"],
    }
    if as_json:
        click.echo(json.dumps({"part": str(folder), **figures}, ensure_ascii=False))
        return
    click.echo(f"{folder}")
    for name, value in figures.items():
        click.echo(f"  {name:<26} {value:,}")


def find_pilot(folder: Path, firings: Firings, *, rules: Sequence[str], sums: bool, source: str, memory: int) -> Pilot:
    """Return the pilot of a folder of parts, made from the firings where it is the first that is asked for."""
    from atlas.counting.passes import rules_of, scheme_of
    from atlas.counting.pilot import Pilot, share_pilot
    from atlas.counting.rules import rule_names

    def make() -> Pilot:
        found = rules_of(firings, rule_names(rules), memory=memory)
        return Pilot(scheme_of(firings, found, sums=sums, source=source), found)

    return share_pilot(folder, rules=rules, sums=sums, source=source, make=make)


def count_into(
    folder: Path, firings: Firings, numbers: Sequence[int], *, pilot: Pilot, settings: Settings, track: Track
) -> Path:
    """Return the folder of the partial counts of some shards, counted unless it is there and whole."""
    from atlas.counting.partial import read_partial, write_partial
    from atlas.counting.passes import count_shards

    if folder.exists():
        try:
            found = read_partial(folder)
            if found.scheme.description() == pilot.scheme.description():
                logger.info("%s: done already", folder.name)
                return folder
            logger.info("%s: counted again, since the pilot is another", folder.name)
        except ArtifactError as error:
            logger.warning("%s; counting it again", error.cause)
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.scratch")
    try:
        counted = count_shards(
            firings, numbers, scratch, scheme=pilot.scheme, rules=pilot.rules, settings=settings, track=track
        )
        return write_partial(folder, counted)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def merge_shares(run: Run, *, prune: int, span: int, memory: int, remove_parts: bool = False, track: Track) -> Artifact:
    """Return `20-counts` from the partial counts of all shares: the bytes that one process would have written.

    Parameters
    ----------
    prune, span
        As `count` takes them; the rules and sums are those of the parts.
    remove_parts
        Whether the folder of parts is removed when the artifact is done.

    Raises
    ------
    ArtifactError
        Parts are missing or damaged: they are named, with the command that makes them (fault 40). Nothing
        that was finished is lost.
    InputError
        They are of different schemes or divisions, overlap, or leave tokens out (fault 43).
    """
    from atlas.counting.pilot import read_pilot
    from atlas.counting.stage import counts_spec

    parts = run.path / PARTS
    of = _one_division(parts)
    if not of:
        raise ArtifactError(f"{parts}: no parts", f"run `{Share(1, 16).command(run.path)}` and so on to 16/16")
    scheme = read_pilot(parts).scheme
    spec = counts_spec(rules=scheme.rules, sums=scheme.sums, prune=prune, span=span)
    stored = functools.cache(lambda: _stored(run, of, scheme))

    def compute(directory: Path) -> dict[str, Any]:
        results = merge_into(directory, run, stored(), spec, memory=memory, track=track)
        for left in parts.glob(".*"):  # of jobs that were killed
            shutil.rmtree(left, ignore_errors=True)
            left.unlink(missing_ok=True)
        return results

    artifact = run.produce(spec, compute, check=stored)
    if remove_parts:
        shutil.rmtree(parts, ignore_errors=True)
        return artifact
    logger.info("%s is kept: remove it when you like, or with --remove-parts", parts)
    return artifact


def merge_into(
    directory: Path, run: Run, stored: Sequence[Counted], spec: Spec, *, memory: int, track: Track
) -> dict[str, Any]:
    """Write the artifact's files from partial counts that together cover every token, and return its figures."""
    from atlas.counting.merging import merge_counted
    from atlas.counting.passes import Spool
    from atlas.counting.stage import write_counts
    from atlas.firings import Firings

    firings = Firings(run.artifact(_ACTIVATIONS).path)
    prune, span = spec.parameters["prune"], spec.parameters["span"]
    merged = merge_counted(stored, prune=prune, memory=memory // 2)
    scratch = directory / ".merged"
    spool = Spool(scratch, limit=memory // 5)  # the writer goes through the pairs several times
    try:
        with track("merge", total=firings.d_sae, unit="features") as advance:
            spool.take(_told(merged.blocks, advance))
        return write_counts(directory, replace(merged, blocks=spool), firings, span=span, memory=memory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_complete(stored: Sequence[Counted], *, source: str, n_tokens: int, place: Path) -> None:
    """Raise `InputError` where parts are of other activations, overlap, or leave tokens out (fault 43)."""
    from atlas.counting.scheme import join_ranges

    remedy = f"remove {place} and count again"
    if any(part.scheme.source != source for part in stored):
        raise InputError(f"{place} holds parts of other activations than the run has now", remedy)
    covered = join_ranges(*(part.covered for part in stored))
    if sum(stop - start for start, stop in covered) != n_tokens or len(covered) > 1:
        told = ", ".join(f"{start} to {stop - 1}" for start, stop in covered) or "none"
        raise InputError(f"{place}: the parts count tokens {told}, expected 0 to {n_tokens - 1}", remedy)


def _told(blocks: Iterable[Ranked], advance: Advance) -> Iterator[Ranked]:
    for block in blocks:
        yield block
        advance(block.high - block.low)


def _stored(run: Run, of: int, scheme: Scheme) -> list[Counted]:
    """Return the partial counts of every share, verified and complete."""
    from atlas.counting.partial import PARTIAL, read_partial
    from atlas.firings import Firings

    parts = run.path / PARTS
    shares = [Share(number, of) for number in range(1, of + 1)]
    missing = [share for share in shares if not (parts / share.folder / PARTIAL).exists()]
    if missing:
        numbers = ", ".join(str(share.number) for share in missing)
        others = ", ".join(f"{share.number}/{of}" for share in missing[1:])
        raise ArtifactError(
            f"{parts}: {len(missing)} of {of} parts missing: {numbers}",
            f"run `{missing[0].command(run.path, scheme)}`" + (f", and the same with {others}" if others else ""),
        )
    found = [
        read_partial(parts / share.folder, remedy=f"run `{share.command(run.path, scheme)}`: it counts the part again")
        for share in shares
    ]
    activations = run.artifact(_ACTIVATIONS)
    n_tokens = Firings(activations.path).n_tokens
    require_complete(found, source=activations.digest, n_tokens=n_tokens, place=parts)
    return found


def _activations(run_directory: Path) -> Artifact:
    """Return the finished activations, without verifying them as a whole."""
    from atlas.artifacts import FORMATS, load_manifest

    found = load_manifest(run_directory / _ACTIVATIONS)
    if found is None or found.format_version != FORMATS[_ACTIVATIONS]:
        raise ArtifactError(
            f"{run_directory / _ACTIVATIONS}: not there, not finished, or of another format",
            "run `atlas ingest activations` first",
        )
    return found


def _shard_files(activations: Artifact) -> list[str]:
    return sorted(name for name in activations.files if name.startswith("shards/"))


def _check_shards(activations: Artifact, numbers: Sequence[int]) -> None:
    """Verify the sums of some shards, and of no other file."""
    names = _shard_files(activations)
    _check_files(activations, [names[k] for k in numbers])


def _check_files(activations: Artifact, names: Sequence[str]) -> None:
    from atlas.artifacts import damaged_files

    damaged = damaged_files(replace(activations, files={name: activations.files[name] for name in names}))
    if damaged:
        raise ArtifactError(
            f"{activations.path}: {damaged[0]}", "run `atlas ingest activations` again: it rebuilds what is damaged"
        )


def _one_division(parts: Path, of: int = 0) -> int:
    """Return into how many shares the parts that are there, and this one, divide the work; 0 for none.

    Raises
    ------
    InputError
        There are several divisions.
    """
    names = [path.name for path in parts.iterdir()] if parts.is_dir() else []
    divisions = {int(found[2]) for found in map(_FOLDER.fullmatch, names) if found} | ({of} if of else set())
    if len(divisions) > 1:
        raise InputError(
            f"{parts} holds parts of different divisions: of {' and of '.join(map(str, sorted(divisions)))}",
            "go on with one of them, and remove the folders of the other",
        )
    return divisions.pop() if divisions else 0
