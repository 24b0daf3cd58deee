"""The census: the sort of each feature by hand, shares and intervals against brute force, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from worlds import planted_run

from atlas.artifacts import Run
from atlas.association import associate
from atlas.census import census
from atlas.census.shares import shares
from atlas.census.sorts import Claimed, basis_sorts, flags, geometry_sorts, roles
from atlas.cli import cli
from atlas.communities import cluster
from atlas.counting.stage import count
from atlas.schema.census_fields import FACETS
from atlas.shapes import Candidate, structure

NO_PAIRS = np.zeros((0, 2), np.int64)
CLAIMED = Claimed(
    d=12,
    edges={
        "a": np.array([0, 0, 2, 5]), "b": np.array([1, 2, 3, 6]), "phi": np.array([0.5, 0.3, 0.25, 0.2]),
        "basis": np.array(["lexical", "contextual", "contextual", "mixed"], object),
    },
    parents=np.array([[0, 1], [1, 2]]),
    fine=np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, -1, -1]),
    shapes={0: "undetermined", 1: "fully connected", 2: "hub-spoke"},
    hubs={0: 0, 1: 4, 2: 8},
    verdicts={0: "composition", 1: "ambiguity", 2: "undetermined"},
    egos=[Candidate(0, (1, 2, 3, 6)), Candidate(3, (1, 2, 4, 5))],
    ego_shapes={0: "hub-spoke", 3: "mixed"},
    ego_verdicts={0: "neither", 3: "ambiguity"},
    families={0: None, 3: "item"},
    manifolds=[("undetermined", np.arange(12)), ("ring", np.array([10])), ("arc", np.array([1, 10]))],
    absorptions=np.array([[9, 8]]),
)  # fmt: skip


def test_geometry_is_the_first_that_holds() -> None:
    """Rings before lines, then cliques, hubs and leaves; a set that is undetermined is nothing."""
    assert geometry_sorts(CLAIMED).tolist() == [
        "hub", "line", "leaf", "leaf", "clique", "clique", "clique", "leaf", "hub", "leaf", "ring", "isolated"
    ]  # fmt: skip
    bare = replace(CLAIMED, shapes={}, ego_shapes={}, manifolds=())
    assert geometry_sorts(bare).tolist() == ["connected"] * 4 + ["isolated"] + ["connected"] * 2 + ["isolated"] * 5


def test_roles_overlap_as_flags_and_are_one_as_a_sort() -> None:
    """A family's leaves that are ambiguous, too, are counted as such; the hub of an ambiguous ego is."""
    found = flags(CLAIMED)
    assert {name: np.flatnonzero(true_of).tolist() for name, true_of in found.items()} == {
        "is_parent": [0, 1], "is_child": [1, 2], "is_absorbed": [8], "is_absorbing": [9],
        "is_ambiguous": [3, 4, 5, 6], "in_token_family": [1, 2, 3, 4, 5],
    }  # fmt: skip
    assert roles(found).tolist() == [
        "parent", "token family", "token family", "ambiguous", "ambiguous", "ambiguous", "ambiguous", "none",
        "absorbed", "none", "none", "none",
    ]  # fmt: skip
    plain = roles(flags(replace(CLAIMED, verdicts={}, ego_verdicts={}, families={}, absorptions=NO_PAIRS)))
    assert plain[:4].tolist() == ["parent", "parent and child", "child", "none"]


def test_the_basis_of_a_feature_is_that_of_most_phi() -> None:
    """Feature 0 has .5 lexical and .3 contextual, 2 only contextual, 6 mixed, 7 no edge."""
    sorts = basis_sorts(CLAIMED)
    assert sorts[[0, 1, 2, 3, 5, 7]].tolist() == ["lexical", "lexical", "contextual", "contextual", "mixed", "none"]


def test_shares_and_intervals() -> None:
    """Cells, marginals and flags are counted; communities are drawn whole, so the interval is that of groups."""
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(40), 10)
    value = np.where(group < 10, "x", "y").astype(object)  # whole communities: 10 of 40
    other = np.where(rng.random(400) < 0.5, "p", "q").astype(object)
    rows = shares({"one": value, "two": other}, {"flag of x": value == "x"}, group, seed=3)
    found = {key: row for *key, row in zip(rows["facet"], rows["value"], zip(*rows.values(), strict=True), strict=True)
             for key in [tuple(key)]}  # fmt: skip
    assert [key for key in found if key[0] == "all"] == [
        ("all", "x / p"), ("all", "x / q"), ("all", "y / p"), ("all", "y / q")
    ]  # fmt: skip
    *_, count, share, low, high = found["one", "x"]
    assert (count, share) == (100, 0.25)
    assert found["flag", "flag of x"][2:] == found["one", "x"][2:]
    drawn = np.sort([(rng.integers(0, 40, 40) < 10).mean() for _ in range(4000)])
    assert (low, high) == pytest.approx((drawn[100], drawn[-100]), abs=0.03)
    alone = shares({"one": value}, {}, np.full(400, -1), seed=3)
    wide, narrow = high - low, alone["high"][0] - alone["low"][0]
    assert narrow == pytest.approx(2 * 1.96 * np.sqrt(0.25 * 0.75 / 400), abs=0.015)
    assert wide > 2.5 * narrow
    assert all(low <= share <= high for low, share, high in zip(rows["low"], rows["share"], rows["high"], strict=True))
    assert shares({"one": value[:0]}, {}, group[:0], seed=0)["facet"] == []


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("census") / "run"
    with Run(path) as run:
        planted_run(run)
        count(run)
        associate(run)
        cluster(run)
        structure(run, grid_cuts=())
    return path


def test_the_stage_counts_each_alive_feature_once_a_facet(run_directory: Path) -> None:
    """Every facet and the cells sum to the alive features; what a run has no stage for is unclassed; done once."""
    with Run(run_directory) as run:
        found = census(run)
        alive = sum(row["class"] == "alive" for row in run.artifact("50-structure").table("features").to_pylist())
        assert census(run).made == found.made
    rows, sorts = found.table("feature_census").to_pylist(), found.table("sorts").to_pylist()
    assert found.results == {"n_features": alive, "stages": []}
    for facet in (*FACETS, "all"):
        assert sum(row["count"] for row in rows if row["facet"] == facet) == alive == len(sorts)
    assert [row["value"] for row in rows if row["facet"] == "magnitude"] == ["unclassed"]
    assert {row["magnitude"] for row in sorts} == {None}
    assert {"clique", "hub", "leaf"} & {row["geometry_sort"] for row in sorts}


def test_the_command_puts_a_control_beside(run_directory: Path, tmp_path: Path) -> None:
    """Against itself every ratio is 1; a class that only one of the two has is at 0 there, and has no ratio."""
    runner = CliRunner()
    alone = runner.invoke(cli, ["census", "--run", str(run_directory), "--facet", "role"])
    assert alone.exit_code == 0, alone.output
    assert alone.stdout.splitlines()[0] == "facet\tvalue\tcount\tshare\tlow\thigh"
    asked = ["census", "--run", str(run_directory), "--control", str(run_directory / "absent")]
    assert runner.invoke(cli, asked).exit_code == 2
    with Run(tmp_path) as run:
        planted_run(run, seed=1)
        count(run)
        associate(run)
        cluster(run)
        structure(run, grid_cuts=())
    beside = runner.invoke(cli, ["census", "--run", str(run_directory), "--control", str(tmp_path), "--json"])
    assert beside.exit_code == 0, beside.output
    rows = json.loads(beside.stdout)["rows"]
    assert {row["facet"] for row in rows} == {*FACETS, "flag"}
    for row in rows:
        assert row["ratio"] == (pytest.approx(row["share"] / row["control_share"]) if row["control_count"] else None)
