"""The artifact `70-comparison-NAME`: a run beside another, such as a control or a second seed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from atlas.artifacts import Artifact, Run, Spec
from atlas.association import EDGES
from atlas.association.control import permute_within_strata
from atlas.comparison import reading
from atlas.comparison.matching import Matches, matched, nearest_directions, nearest_firings, random_directions
from atlas.comparison.rates import by_chance, permutations, ratios
from atlas.comparison.structures import Indices, Sets
from atlas.counting.stage import ACTIVATIONS
from atlas.errors import InputError
from atlas.files import read_arrays, write_table
from atlas.firings import Firings
from atlas.schema import TABLES
from atlas.tracking import Track, untracked

COMPARISON = "70-comparison"
PERMUTATIONS = 200
_SCRATCH = ".permuted"
_ENDED = "no pair of the other run is significant: only what rests on such pairs is compared"
_DECODER = "decoder.safetensors"
RECORD = "control.json"
"""What a run is a control of, in its directory."""
MATCH_COLUMNS = [column.name for column in TABLES["matches"].columns]


def compare(run: Run, other: Run, *, name: str | None = None, seed: int = 0, track: Track = untracked) -> Artifact:
    """Return the artifact of a comparison: features matched, structures found again, rates beside rates.

    Features are matched one to one, each the other's nearest: by the cosine of decoder directions, and by the
    correlation of firings where both runs hold the same tokens. Pairs are kept at a false-discovery rate of 5 %
    against the same search on random directions of the same mean and covariance, and on firings permuted within
    documents. A feature that is not matched may still be there in parts: spread over several, or split otherwise.

    Tables: `matches`, `community_matches` (each community beside the one most like it) and `comparison` (every
    structure per 1,000 alive features in both runs, the ratio with its interval, and how many survive among matched
    features beside how many do by chance).

    Parameters
    ----------
    run, other
        This run, which the artifact is written to, and the one that it is held against; both held.
    name
        Name of the other, in the artifact's own name too; that of its directory where not given.
    seed
        Seed of every draw.

    Raises
    ------
    InputError
        A run is compared with itself, or the name is none of a folder's.
    ArtifactError
        A run lacks an artifact that is compared.
    """
    name = name or other.path.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise InputError(f"{name!r} is no name of a comparison", "give --name with letters, digits, dots and dashes")
    if run.path.resolve() == other.path.resolve():
        raise InputError(f"{run.path}: a run beside itself says nothing", "name another run, such as a control")
    theirs = reading.present(other)
    read = [some for some in reading.present(run) if some in theirs or reading.claims_nothing(other)]
    parameters = {"other": name, "seed": seed, "digests": {one: other.artifact(one).digest for one in theirs}}
    gates = {key: run.artifact(EDGES).parameters[key] for key in ("min_firings", "max_density")}

    def compute(directory: Path) -> dict[str, Any]:
        groups = [reading.Population.of(some, **gates) for some in (run, other)]
        found = _Matching.of(run, other, groups, directory / _SCRATCH, seed=seed, track=track)
        match = found.one_to_one(Firings(run.artifact(ACTIVATIONS).path).d_sae)
        _write(directory, "matches", found.rows())
        _write_communities(directory, run, other, match, seed)
        _write_comparison(directory, run, other, read, groups, match, seed)
        return {
            "other": name,
            "control": _control(other),
            "n_alive": len(groups[0].alive),
            "other_alive": len(groups[1].alive),
            "matched": int((match >= 0).sum()),
            **found.figures(),
            "notes": [*found.notes, *([_ENDED] if reading.claims_nothing(other) else [])],
        }

    return run.produce(Spec(f"{COMPARISON}-{name}", parameters, tuple(read)), compute)


@dataclass(frozen=True)
class _Matching:
    """The matched features of two runs; None where they cannot be matched that way, and why."""

    by_decoder: Matches | None
    by_firings: Matches | None
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, run: Run, other: Run, groups: Sequence[reading.Population], scratch: Path, *, seed: int, track: Track
    ) -> Self:
        indices = [some.firing for some in groups]
        decoder, first = _by_decoder(run, other, indices, seed)
        firings, second = _by_firings(run, other, indices, scratch, seed, track)
        return cls(decoder, firings, tuple(note for note in (first, second) if note))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the table `matches`: one for each pair, whichever way it was found."""
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        for by, name, some in (("decoder", "cosine", self.by_decoder), ("firings", "phi", self.by_firings)):
            if some is None:
                continue
            for index, other, value, q in zip(some.index, some.other, some.value, some.q, strict=True):
                row = rows.setdefault((int(index), int(other)), {"by": by})
                row |= {name: float(np.clip(value, -1, 1)), f"{name}_q": float(q)}
                row["by"] = by if row["by"] == by else "both"
        empty = dict.fromkeys(MATCH_COLUMNS)
        return [empty | {"index": index, "other": other} | rows[index, other] for index, other in sorted(rows)]

    def one_to_one(self, d: int) -> Indices:
        """Return the feature that each is matched with: by both ways first, then by firings, then by decoder.

        int64, shape (d,), -1 for none. A pair of a later kind is passed over where one of its features has a match.
        """
        match, taken = np.full(d, -1, np.int64), set()
        for by in ("both", "firings", "decoder"):
            for row in self.rows():
                if row["by"] == by and match[row["index"]] < 0 and row["other"] not in taken:
                    match[row["index"]] = row["other"]
                    taken.add(row["other"])
        return match

    def figures(self) -> dict[str, Any]:
        rows = self.rows()
        found: dict[str, Any] = {}
        for way, name, some in (("decoder", "cosine", self.by_decoder), ("firings", "phi", self.by_firings)):
            found[f"matched_by_{way}"] = None if some is None else len(some.index)
            found[f"median_{name}"] = None if some is None else some.median
            found[f"median_{name}_null"] = None if some is None else some.median_null
        both = self.by_decoder is not None and self.by_firings is not None
        return found | {"matched_by_both": sum(row["by"] == "both" for row in rows) if both else None}


def _by_decoder(run: Run, other: Run, indices: Sequence[Indices], seed: int) -> tuple[Matches | None, str]:
    paths = [some.artifact(ACTIVATIONS).path / _DECODER for some in (run, other)]
    lacking = [some.path.name for some, path in zip((run, other), paths, strict=True) if not path.exists()]
    if lacking:
        return None, f"not matched by decoder: {' and '.join(lacking)} has no decoder"
    mine, theirs = (read_arrays(path)["W_dec"] for path in paths)
    if mine.shape[1] != theirs.shape[1]:
        return None, f"not matched by decoder: directions of {mine.shape[1]} and {theirs.shape[1]} numbers"
    null = random_directions(theirs, indices[1], seed=seed)
    found = matched(*(nearest_directions(mine, rows, *indices) for rows in (theirs, null)))
    facts = [some.artifact(ACTIVATIONS).results for some in (run, other)]
    same = all(facts[0][name] == facts[1][name] for name in ("model", "hook_name"))
    return found, "" if same else "decoder directions of different models or hooks: their cosines mean little"


def _by_firings(
    run: Run, other: Run, indices: Sequence[Indices], scratch: Path, seed: int, track: Track
) -> tuple[Matches | None, str]:
    mine, theirs = (Firings(some.artifact(ACTIVATIONS).path) for some in (run, other))
    same = mine.n_tokens == theirs.n_tokens and all(
        np.array_equal(getattr(mine, name), getattr(theirs, name)) for name in ("token_id", "document", "position")
    )
    if not same:
        return None, "not matched by firings: the runs hold different tokens (another text, tokenizer or window)"
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        permuted = permute_within_strata(theirs, np.asarray(theirs.document), scratch, seed=seed)
        real = nearest_firings(mine, theirs, *indices, track=track, label="matches")
        return matched(real, nearest_firings(mine, permuted, *indices, track=track, label="matches by chance")), ""
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_communities(directory: Path, run: Run, other: Run, match: Indices, seed: int) -> None:
    """Write the table `community_matches`."""
    rows: list[dict[str, Any]] = []
    theirs = reading.communities(other)
    rng = np.random.default_rng(seed)
    for level, mine in reading.communities(run).items():
        sets, there = (Sets([members for _, _, members in some]) for some in (mine, theirs[level]))
        overlap, which, testable = sets.overlaps(there, match)
        reached = np.ones(len(mine))
        for permuted in permutations(match, rng, PERMUTATIONS):
            reached += sets.overlaps(there, permuted)[0] >= overlap
        for place, (number, _, members) in enumerate(mine):
            found = theirs[level][which[place]] if testable[place] and which[place] >= 0 else None
            rows.append({
                "level": level, "cluster": number, "matched": int((match[members] >= 0).sum()),
                "other": None if found is None else found[0],
                "overlap": float(overlap[place]) if testable[place] else None,
                "overlap_p": float(reached[place] / (1 + PERMUTATIONS)) if testable[place] else None,
                "other_shape": None if found is None else found[1],
            })  # fmt: skip
    rows.sort(key=lambda row: (row["level"], row["cluster"]))
    _write(directory, "community_matches", rows)


def _write_comparison(
    directory: Path,
    run: Run,
    other: Run,
    artifacts: Sequence[str],
    groups: Sequence[reading.Population],
    match: Indices,
    seed: int,
) -> None:
    """Write the table `comparison`."""
    mine, theirs = (reading.structures(some, artifacts) for some in (run, other))
    if reading.claims_nothing(other):
        mine = reading.resting_on_edges(mine)
    rates = ratios(mine, theirs, groups[0], groups[1], seed=seed)
    survival = by_chance(mine, theirs, match, seed=seed) if (match >= 0).any() else {}
    rows = []
    for (structure, of), ratio in rates.items():
        found = survival.get((structure, of), (None, None, None))
        some = mine.get((structure, of)) or theirs[structure, of]
        rows.append({
            "structure": structure, "of": of, **asdict(ratio), "unit": some.unit,
            **dict(zip(("matched", "survives", "survives_by_chance"), found, strict=True)),
        })  # fmt: skip
    _write(directory, "comparison", rows)


def _write(directory: Path, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    write_table(directory, table, {column.name: [row[column.name] for row in rows] for column in TABLES[table].columns})


def _control(other: Run) -> str | None:
    """Return what the other run is, where `atlas baseline` made it."""
    path = other.path / RECORD
    return str(json.loads(path.read_text("utf8"))["kind"]) if path.exists() else None
