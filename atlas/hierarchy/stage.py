"""The hierarchy of a run: counts and index in, the tables of parents and of equal features out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atlas.artifacts import Run
from atlas.association.basis import BASES, within_items
from atlas.association.testing import Gates, alive_features
from atlas.counting.passes import rules_of
from atlas.counting.rules import STRONG, rule_name, rule_names
from atlas.counting.stage import ACTIVATIONS, COUNTS, PAIRS, STRATA
from atlas.errors import InputError
from atlas.files import write_table
from atlas.firings import Firings
from atlas.hierarchy.candidates import Limits, PairBlock, joint_counts, of_rule, pair_blocks
from atlas.hierarchy.division import KINDS, Divisions, Thresholds, divide
from atlas.hierarchy.fired import Fired, fired_under
from atlas.hierarchy.parents import Relations, find_parents
from atlas.hierarchy.reduction import depths, direct_pairs, n_ancestors
from atlas.mapped import ArrayFile, map_arrays
from atlas.tracking import Track, untracked

Columns = dict[str, npt.NDArray[Any]]


def write_hierarchy(
    run: Run,
    directory: Path,
    *,
    rule: str = STRONG,
    gates: Gates | None = None,
    limits: Limits | None = None,
    thresholds: Thresholds | None = None,
    memory: int = 4 * 2**30,
    track: Track = untracked,
) -> dict[str, Any]:
    """Write the tables `parents`, `same_as` and `parent_summary`, and return their figures.

    `parents` has every pair that holds up, `direct` or not: the ancestors that are claimed. `parent_summary` has
    a row for each feature that is a parent or a child. What each number means stands in the schema.

    Parameters
    ----------
    directory
        Where the tables are written.
    rule
        Firing rule of the counts that are read.
    gates
        Which features are dead or dense, as for the edges: by their firings under the rule `any`.
    limits
        What a pair must pass. `min_joint` is raised to what the counts were pruned at.
    thresholds
        What makes a parent's children a partition or facets.
    memory
        Bytes for the medians of the rule; does not change the result. Beside it memory holds two million pairs,
        and four bytes for each firing of the candidates' features.
    track
        Told of the pairs read.

    Raises
    ------
    InputError
        The rule was not counted, or the run keeps a reservoir of contexts.
    """
    rule, limits = rule_name(rule), limits or Limits()
    require_rule(run, rule)
    counts = run.artifact(COUNTS)
    limits = replace(limits, min_joint=max(limits.min_joint, counts.parameters["prune"]))
    firings = Firings(run.artifact(ACTIVATIONS).path)
    firings.require_index()
    parents, same, fired = find_relations(firings, counts.path, rule, gates or Gates(), limits, memory, track)
    direct = direct_pairs(parents.commoner, parents.rarer)
    pairs = parents.commoner[direct], parents.rarer[direct]
    divisions = divide(*pairs, fired, same=(same.commoner, same.rarer), thresholds=thresholds)
    explained = _explained(firings, counts.path, (parents, same), q=limits.q)
    summary = _summary_columns(*pairs, divisions)
    write_table(directory, "parents", _parent_columns(parents, direct, explained[0]))
    write_table(directory, "same_as", _same_columns(same, np.diff(fired.indptr), explained[1]))
    write_table(directory, "parent_summary", summary)
    return {
        "rule": rule,
        "min_joint": limits.min_joint,
        "n_candidates": parents.n_candidates,
        "n_parents": len(direct),
        "n_direct": int(direct.sum()),
        "n_ancestors": n_ancestors(*pairs),
        "n_same_as": len(same.p),
        "n_features": len(summary["index"]),
        "n_roots": int((summary["depth"] == 0).sum()),
        "max_depth": int(summary["depth"].max(initial=0)),
        "kinds": {kind: int((divisions.kind == kind).sum()) for kind in KINDS},
        "basis": {basis: int((explained[0]["basis"] == basis).sum()) for basis in BASES},
    }


def check_rules(rules: Sequence[str], *, rule: str = STRONG) -> None:
    """Raise `InputError` where the rules that are to be counted leave out the one of the hierarchy."""
    if rule_name(rule) not in rule_names(rules):
        raise InputError(
            f"parents of features are found by the rule {rule}, and it is not to be counted",
            f"add --rule {rule}, or end with --until edges",
        )


def require_rule(run: Run, rule: str, *, needed: str = "parents of features are found by it") -> None:
    """Raise `InputError` where a run has no counts of a rule, with the command that counts what it has and this."""
    asked = run.artifact(COUNTS).parameters
    if rule in asked["rules"]:
        return
    words = [f"--rule {name}" for name in (*asked["rules"][1:], rule)]
    words += ["--sums"] if asked["sums"] else []
    words += [f"--prune {asked['prune']}"] if asked["prune"] > 1 else []
    raise InputError(
        f"the rule {rule} was not counted, and {needed}",
        f"run `atlas ingest counts {' '.join(words)} --span {asked['span']} --run {run.path}`",
    )


def find_relations(
    firings: Firings, counts: Path, rule: str, gates: Gates, limits: Limits, memory: int, track: Track
) -> tuple[Relations, Relations, Fired]:
    """Return parents, equal features and the tokens of their candidates, from the counts in a directory."""
    with ArrayFile(counts / PAIRS) as stored:
        firing_count = stored.read(of_rule("firing_count", rule))
        n_pairs = stored.shape("columns")[0]
    alive = np.zeros(firings.d_sae, bool)
    alive[alive_features(firings.firing_count, n_tokens=firings.n_tokens, gates=gates)] = True
    rules = rules_of(firings, rule_names([rule]), memory=memory)
    with track("hierarchy", total=n_pairs, unit="pairs") as advance:

        def blocks() -> Iterator[PairBlock]:
            for block in pair_blocks(counts / PAIRS, rule):
                yield block
                advance(len(block.a))

        return find_parents(
            blocks(),
            firing_count,
            alive,
            lambda chosen: fired_under(firings, rules, rule, firing_count, chosen),
            sizes=np.asarray(map_arrays(counts / STRATA)["sizes"]),
            limits=limits,
        )


def _explained(
    firings: Firings, counts: Path, relations: tuple[Relations, Relations], *, q: float
) -> tuple[Columns, Columns]:
    """Return what the tokens alone explain of parents and of equal features: `lift_t` and `basis` of each.

    As for the edges it is asked of the firings under `any`: a pair that is both has one lift_t. Both kinds are
    one family of tests.
    """
    first, second = (np.concatenate([getattr(r, name) for r in relations]) for name in ("commoner", "rarer"))
    place = np.concatenate([r.place for r in relations])
    joint = joint_counts(counts / PAIRS, place)
    found = within_items(firings, first, second, joint, q=q)
    columns = {"lift_t": np.array(found.lift_t.tolist(), object), "basis": np.array(BASES, object)[found.basis]}
    n = len(relations[0].p)
    return {name: x[:n] for name, x in columns.items()}, {name: x[n:] for name, x in columns.items()}


def _parent_columns(found: Relations, direct: npt.NDArray[np.bool_], explained: Columns) -> Columns:
    """Return the columns of `parents`, in order of parent and child."""
    own = {"parent": found.commoner, "child": found.rarer, "direct": direct, "p_parent_given_child": found.conditional}
    order = np.lexsort((found.rarer, found.commoner))
    return {name: column[order] for name, column in {**own, **_tests(found), **explained}.items()}


def _same_columns(found: Relations, firing_count: npt.NDArray[np.int64], explained: Columns) -> Columns:
    """Return the columns of `same_as`, in order of a and b."""
    a, b = np.minimum(found.commoner, found.rarer), np.maximum(found.commoner, found.rarer)
    given_a, given_b = found.joint_count / firing_count[a], found.joint_count / firing_count[b]
    own = {"a": a, "b": b, "p_a_given_b": given_b, "p_b_given_a": given_a}
    order = np.lexsort((b, a))
    return {name: column[order] for name, column in {**own, **_tests(found), **explained}.items()}


def _tests(found: Relations) -> Columns:
    """Return the columns that both tables have."""
    return {name: getattr(found, name) for name in ("joint_count", "lower_bound", "odds_ratio", "p", "q")}


def _summary_columns(parent: npt.NDArray[np.int32], child: npt.NDArray[np.int32], divisions: Divisions) -> Columns:
    """Return a row for each feature of the direct pairs."""
    index, depth = depths(parent, child)
    at = np.searchsorted(index, divisions.parent)

    def spread(values: npt.NDArray[Any], empty: int | None) -> npt.NDArray[Any]:
        column = np.full(len(index), empty, object)
        column[at] = values.tolist()
        return column

    return {
        "index": index,
        "depth": depth,
        "n_parents": np.bincount(np.searchsorted(index, child), minlength=len(index)),
        "n_children": spread(divisions.n_children, 0),
        "children_coverage": spread(divisions.coverage, None),
        "children_exclusivity": spread(divisions.exclusivity, None),
        "children_kind": spread(divisions.kind, None),
    }
