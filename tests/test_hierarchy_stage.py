"""The tables of the hierarchy: what they hold of a stored run, under which rule, and what is refused."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pyarrow.parquet as pq
import pytest
from test_hierarchy import nested, on, pairs_of, relations

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.basis import BASES, within_items
from atlas.association.testing import Gates
from atlas.cli import cli
from atlas.counting.rules import Rules
from atlas.counting.stage import count
from atlas.errors import ArtifactError, InputError
from atlas.firings import Firings, Shard, build_index, write_shard
from atlas.hierarchy import fired_under, write_hierarchy
from atlas.schema import TABLES

GATES = Gates(min_firings=5, max_density=0.9)
NAMES = ("parents", "same_as", "parent_summary")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run(tmp_path / "run") as opened:
        yield opened


def store(run: Run, activations: np.ndarray[Any, Any], sizes: list[int], *, items: int = 7) -> Artifact:
    """Write dense activations, 0 where a feature does not fire, as documents of the given sizes in two shards."""

    def compute(directory: Path) -> dict[str, Any]:
        document = np.repeat(np.arange(len(sizes)), sizes)
        for number, some in enumerate(np.array_split(np.arange(len(activations)), 2)):
            token, ids = np.nonzero(activations[some])
            indptr = np.concatenate([[0], np.cumsum((activations[some] != 0).sum(1))])
            shard = Shard(
                (some * 31 % items).astype(np.int32), document[some].astype(np.int32), some.astype(np.int32),
                indptr.astype(np.int64), ids.astype(np.int32), activations[some][token, ids].astype(np.float32),
            )  # fmt: skip
            write_shard(directory, number, shard, d_sae=activations.shape[1])
        build_index(directory, n_shards=2, d_sae=activations.shape[1])
        return {}

    return run.produce(Spec("10-activations", {}), compute)


def tables(run: Run, folder: str, **options: Any) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Write the hierarchy into a folder, and return its rows by table and its figures."""
    (run.path / folder).mkdir()
    figures = write_hierarchy(run, run.path / folder, **{"gates": GATES, **options})
    rows = {}
    for name in NAMES:
        stored = pq.read_table(run.path / folder / f"{name}.parquet")
        assert stored.schema.equals(TABLES[name].arrow())
        rows[name] = stored.to_pylist()
        keys = [tuple(row[column] for column in TABLES[name].key) for row in rows[name]]
        assert keys == sorted(set(keys))
    return rows, figures


def test_weak_firing_makes_no_parent(run: Run) -> None:
    """Under `any` feature 2 fires wherever 1 does; under `rel:0.5` it does so on none of those tokens."""
    activations = np.zeros((2000, 3))
    activations[:300, 0] = 2
    activations[:100, 1] = 2
    activations[:100, 2] = 0.5
    activations[500:800, 2] = 2
    store(run, activations, [500] * 4)
    count(run)
    rows, figures = tables(run, "strong")
    assert [(row["parent"], row["child"]) for row in rows["parents"]] == [(0, 1)]
    assert figures["rule"] == "rel:0.5"
    loose, _ = tables(run, "any", rule="any")
    assert [(row["parent"], row["child"]) for row in loose["parents"]] == [(0, 1), (2, 1)]


def test_the_tables_are_what_the_dense_firings_give(run: Run) -> None:
    """Every column of any firings: rows from the firings that pass the rule, bases from all of them."""
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 200, 20).tolist()
    firing = nested(rng, sum(sizes), 24)
    activations = firing * rng.choice([0.1, 1, 2], firing.shape, p=[0.03, 0.5, 0.47])
    medians = [np.median(column[column > 0]) for column in activations.T]
    strong = firing & (activations >= 0.5 * np.array(medians))
    store(run, activations, sizes)
    count(run, rules=("rel:0.5", "rel:1.1"))
    rows, figures = tables(run, "here")
    n = firing.sum(0)
    parents, same = relations(strong, sizes, alive=(n >= 5) & (n <= 0.9 * len(firing)))
    assert len(pairs_of(parents)) > 10
    assert len(pairs_of(same)) > 0
    assert {(row["parent"], row["child"]) for row in rows["parents"]} == pairs_of(parents)
    assert {(row["a"], row["b"]) for row in rows["same_as"]} == {tuple(sorted(pair)) for pair in pairs_of(same)}
    first, second = (np.concatenate([getattr(r, name) for r in (parents, same)]) for name in ("commoner", "rarer"))
    items = within_items(
        Firings(run.path / "10-activations"), first, second, (firing[:, first] & firing[:, second]).sum(0), q=0.05
    )
    columns = (first.tolist(), second.tolist(), items.lift_t.tolist(), [BASES[place] for place in items.basis])
    basis = {frozenset((p, c)): (lift, name) for p, c, lift, name in zip(*columns, strict=True)}
    for row in rows["parents"]:
        p, c = row["parent"], row["child"]
        assert row["joint_count"] == (strong[:, p] & strong[:, c]).sum()
        assert row["p_parent_given_child"] == row["joint_count"] / strong[:, c].sum()
        assert (row["lift_t"], row["basis"]) == basis[frozenset((p, c))]
    for row in rows["same_as"]:
        assert row["p_a_given_b"] == row["joint_count"] / strong[:, row["b"]].sum()
        assert row["p_b_given_a"] == row["joint_count"] / strong[:, row["a"]].sum()
        assert (row["lift_t"], row["basis"]) == basis[frozenset((row["a"], row["b"]))]
    check_summary(rows, strong)
    assert figures["n_parents"] == len(rows["parents"])
    assert figures["n_direct"] == sum(row["direct"] for row in rows["parents"]) < figures["n_parents"]
    assert sum(figures["basis"].values()) == len(rows["parents"])


def check_summary(rows: dict[str, list[dict[str, Any]]], strong: np.ndarray[Any, Any]) -> None:
    """Hold the summary against the direct pairs and the dense firings."""
    direct = [(row["parent"], row["child"]) for row in rows["parents"] if row["direct"]]
    depth = {row["index"]: row["depth"] for row in rows["parent_summary"]}
    assert set(depth) == {index for pair in direct for index in pair}
    for row in rows["parent_summary"]:
        parents = [p for p, c in direct if c == row["index"]]
        children = [c for p, c in direct if p == row["index"]]
        assert (row["n_parents"], row["n_children"]) == (len(parents), len(children))
        assert row["depth"] == max((depth[p] + 1 for p in parents), default=0)
        assert (row["children_kind"] is None) == (row["children_coverage"] is None) == (not children)
        if children:
            inside = strong[strong[:, row["index"]]][:, children]
            assert row["children_coverage"] == inside.any(1).mean()


def test_the_result_does_not_depend_on_threads_or_blocks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes from one thread and one block, and from two and many."""
    rng = np.random.default_rng(6)
    store(run, nested(rng, 2000, 30) * 1.0, [100] * 20)
    count(run)
    tables(run, "one")
    for reading in ("pair_blocks", "joint_counts"):
        monkeypatch.setattr(f"atlas.hierarchy.candidates.{reading}.__kwdefaults__", {"size": 7})
    monkeypatch.setattr("atlas.hierarchy.fired.BAND_MEMORY", 1)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    tables(run, "two")
    numba.set_num_threads(before)
    for name in NAMES:
        assert (run.path / "one" / f"{name}.parquet").read_bytes() == (
            run.path / "two" / f"{name}.parquet"
        ).read_bytes()


@pytest.mark.parametrize(
    ("sizes", "n_parents"), [([400], 1), ([1] * 400, 0), ([2] * 200, 0)], ids=["one document", "tokens", "halves"]
)
def test_documents_of_any_size(run: Run, sizes: list[int], n_parents: int) -> None:
    """One document is a stratum as any; documents of one token, or that the parent fills, can tell nothing."""
    firing = on(400, range(100), range(0, 100, 5), range(200, 220), range(200, 220))
    store(run, firing * 1.0, sizes)
    count(run)
    rows, figures = tables(run, "here", gates=Gates(min_firings=5))
    assert figures["n_candidates"] == 0  # a quarter of all tokens is dense
    rows, figures = tables(run, "there")
    assert figures["n_candidates"] == 1
    assert [(row["parent"], row["child"]) for row in rows["parents"]] == [(0, 1)] * n_parents
    assert len(rows["same_as"]) == n_parents
    assert len(rows["parent_summary"]) == 2 * n_parents


def test_no_candidates_give_empty_tables(run: Run) -> None:
    """Features that never meet, a dead one and one on every token: tables with their columns, and no rows."""
    firing = on(400, range(400), range(30), range(30, 60), range(3), [])
    store(run, firing * 1.0, [400])
    count(run)
    rows, figures = tables(run, "here")
    assert rows == {name: [] for name in NAMES}
    assert figures == {
        "rule": "rel:0.5", "min_joint": 5, "n_candidates": 0, "n_parents": 0, "n_direct": 0, "n_ancestors": 0,
        "n_same_as": 0,
        "n_features": 0, "n_roots": 0, "max_depth": 0, "kinds": {"partition": 0, "facets": 0, "loose": 0},
        "basis": {"lexical": 0, "contextual": 0, "mixed": 0, "untested": 0},
    }  # fmt: skip


def test_pairs_that_were_pruned_are_not_looked_for(run: Run) -> None:
    """The smallest joint count is then the one of the counts, and the figures say so."""
    store(run, on(1000, range(100), range(8), range(50, 70)) * 1.0, [1000])
    count(run, prune=9)
    rows, figures = tables(run, "here")
    assert [(row["parent"], row["child"]) for row in rows["parents"]] == [(0, 2)]
    assert figures["min_joint"] == 9


def test_a_rule_that_was_not_counted_is_refused_with_the_command_that_counts_it(run: Run) -> None:
    """The command keeps what else was counted, and after it the hierarchy is there."""
    store(run, on(400, range(100), range(0, 100, 5)) * 1.0, [400])
    count(run, rules=("rel:0.7",), sums=True, prune=2, span=300)
    with pytest.raises(InputError, match=r"rel:0\.5 was not counted") as caught:
        tables(run, "here")
    command = caught.value.remedy.split("`")[1]
    program, *words = shlex.split(command)
    assert program == "atlas"
    run.__exit__()  # the command holds it
    cli.main(words, standalone_mode=False)
    with Run(run.path) as again:
        parameters = again.artifact("20-counts").parameters
        assert parameters == {"rules": ["any", "rel:0.5", "rel:0.7"], "sums": True, "prune": 2, "span": 300}
        assert len(tables(again, "there")[0]["parents"]) == 1


def test_all_stages_refuse_at_once_what_leaves_the_rule_out(run: Run) -> None:
    """Before anything is counted; up to the edges it is nobody's business."""
    store(run, on(400, range(100), range(0, 100, 5)) * 1.0, [400])
    run.__exit__()
    words = ["ingest", "all", "--from", "counts", "--run", str(run.path), "--rule", "any", "--until"]
    with pytest.raises(InputError, match=r"found by the rule rel:0\.5") as caught:
        cli.main([*words, "clusters"], standalone_mode=False)
    assert "add --rule rel:0.5" in caught.value.remedy
    assert not (run.path / "20-counts").exists()
    cli.main([*words, "counts"], standalone_mode=False)
    assert (run.path / "20-counts").exists()


def test_an_index_of_other_firings_is_refused(run: Run) -> None:
    """Counts that the index does not hold would read past a feature's tokens."""
    firing = on(400, range(100), range(20))
    firings = Firings(store(run, firing * 1.0, [400]).path)
    rules = Rules(("any", "rel:0.5"), (np.ones(2, np.float32),))
    counted = firing.sum(0).astype(np.int64)
    chosen = np.array([False, True])
    assert fired_under(firings, rules, "rel:0.5", counted, chosen).tokens.tolist() == list(range(20))
    with pytest.raises(ArtifactError, match="does not hold the firings that were counted"):
        fired_under(firings, rules, "rel:0.5", counted + 1, chosen)
