"""Rewired graphs, the census over the grid, how long a class holds, families and roles."""

from __future__ import annotations

import json
import shutil
from itertools import combinations, permutations
from pathlib import Path

import igraph
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from worlds import planted_run, store

from atlas.artifacts import Run
from atlas.association import associate
from atlas.communities import cluster
from atlas.communities.stage import graph_of
from atlas.counting.stage import count
from atlas.errors import InputError
from atlas.firings import Firings
from atlas.ingest.cli import ingest
from atlas.shapes import (
    Candidate,
    Evidence,
    Rules,
    degrees_of,
    ego_family,
    leaf_evidence,
    rewire_clustered,
    role_of_hub,
    structure,
    topology,
)
from atlas.shapes.grid import Cell, Egos, Grid, grid_resolutions, stable_cells, stable_cuts, stable_ego_cuts
from atlas.shapes.rewired import _gain
from atlas.shapes.stage import wider
from atlas.shapes.subgraphs import Community

Edges = list[tuple[int, int]]


def graph(n: int, edges: Edges, phi: list[float] | None = None) -> igraph.Graph:
    ends = np.array(edges, np.int64).reshape(-1, 2)
    return graph_of(np.arange(n), *ends.T, np.array(phi or [0.5] * len(edges)))


def community(wide: igraph.Graph, nodes: list[int], cut: float, evidence: Evidence | None = None) -> Community:
    some = wide.subgraph_edges([e.index for e in wide.es if e["phi"] >= cut], delete_vertices=False)
    membership = np.full(wide.vcount(), -1, np.int64)
    membership[nodes] = 0
    return Community("fine", 0, np.array(nodes), degrees_of(some, membership)[0], evidence or Evidence())


@given(st.integers(1, 9), st.data())
def test_degrees_of_all_communities_at_once_are_those_of_each(n: int, data: st.DataObject) -> None:
    """On any graph, weights with ties, and membership: size, edges, density, centralization and hub of `topology`."""
    pairs = list(combinations(range(n), 2))
    edges = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    phi = data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=len(edges), max_size=len(edges)))
    found = graph(n, edges, phi)
    drawn = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    _, numbers = np.unique(drawn[drawn >= 0], return_inverse=True)
    membership = np.full(n, -1, np.int64)
    membership[drawn >= 0] = numbers
    for number, one in enumerate(degrees_of(found, membership)):
        wanted = topology(found.induced_subgraph(np.flatnonzero(membership == number).tolist()))
        assert (one.size, one.n_edges, one.hub) == (wanted.size, wanted.n_edges, wanted.hub)
        assert (one.density, one.centralization) == pytest.approx((wanted.density, wanted.centralization))


def test_the_clustered_copy_keeps_degrees_and_triangles() -> None:
    """Ten cliques in a ring and a hundred leaves: no degree changes, the triangles come back, other edges do not."""
    edges = [(5 * c + i, 5 * c + j) for c in range(10) for i, j in combinations(range(5), 2)]
    edges += [(5 * c, (5 * c + 6) % 50) for c in range(10)] + [(i % 50, 50 + i) for i in range(100)]
    before = graph(150, edges, np.linspace(0.1, 0.9, len(edges)).tolist())
    after = rewire_clustered(before, seed=1)
    assert after.degree() == before.degree()
    assert after.vs["index"] == before.vs["index"]
    assert after.is_simple()
    triangles = len(before.list_triangles())
    assert triangles * 0.9 <= len(after.list_triangles()) <= triangles + 4
    assert sorted(after.es["phi"]) == sorted(before.es["phi"])
    same = {tuple(sorted(e)) for e in after.get_edgelist()} & {tuple(sorted(e)) for e in edges}
    assert len(same) < len(edges) / 2
    assert rewire_clustered(before, seed=1).get_edgelist() == after.get_edgelist()
    assert rewire_clustered(graph(3, []), seed=0).ecount() == 0


def test_the_triangles_that_a_join_makes_are_those_of_the_graph() -> None:
    """For every exchange of two edges (a, c), (b, e) for (a, b), (c, e) in a dense graph: counted before and after."""
    drawn = np.random.default_rng(0).random(36) < 0.55
    before = graph(9, [edge for edge, there in zip(combinations(range(9), 2), drawn, strict=True) if there])
    neighbours = [before.neighbors(node) for node in range(9)]
    indptr, flat = np.cumsum([0, *map(len, neighbours)]), np.concatenate(neighbours).astype(np.int64)
    mark, tried = np.full(9, -1), set()
    for a, b, c, e in permutations(range(9), 4):
        if c in neighbours[a] and e in neighbours[b] and b not in neighbours[a] and e not in neighbours[c]:
            after = before.copy()
            after.delete_edges([(a, c), (b, e)])
            after.add_edges([(a, b), (c, e)])
            gain = len(after.list_triangles()) - len(before.list_triangles())
            assert _gain(indptr, flat, a, b, c, e, mark, 2 * len(tried)) == gain
            tried.add((a, b, c, e, gain))
    assert len({gain for *_, gain in tried}) > 2


def test_stable_cuts_counts_the_cuts_at_which_a_class_holds() -> None:
    """A star at a cut of .5 whose leaves are tied at .42 is one down to .45; at .4 it is a clique."""
    star, among = [(0, i) for i in range(1, 6)], list(combinations(range(1, 6), 2))
    wide = graph(6, star + among, [0.7] * 5 + [0.42] * len(among))
    assert stable_cuts(wide, 0.5, [community(wide, list(range(6)), 0.5)], rules=Rules()) == [4]
    weak = graph(6, star, [0.7, 0.7, 0.52, 0.53, 0.57])  # two leaves fall away at .55, which leaves .6; another at .6
    assert stable_cuts(weak, 0.5, [community(weak, list(range(6)), 0.5)], rules=Rules()) == [4]
    assert stable_cuts(weak, 0.5, [], rules=Rules()) == []


def test_a_star_that_gets_another_hub_is_not_the_same() -> None:
    """Two stars over the same leaves: the weak one has more leaves where its edges count."""
    strong, weak = [(0, i) for i in range(2, 8)], [(1, i) for i in range(2, 9)]
    wide = graph(9, [*strong, *weak, (0, 1)], [0.7] * 6 + [0.45] * 7 + [0.7])
    some = community(wide, list(range(9)), 0.5)
    assert some.numbers.hub == 0
    at_lower = wide.subgraph_edges(list(range(wide.ecount())), delete_vertices=False)
    assert degrees_of(at_lower, np.zeros(9, np.int64))[0].hub == 1


def cell(cut: float, resolution: float, membership: list[int], shapes: list[str | None]) -> Cell:
    return Cell("real", cut, resolution, np.array(membership), shapes)  # type: ignore[arg-type]  # words of the class


def test_stable_cells_counts_neighbours_with_the_same_members_and_class() -> None:
    """Of three neighbours one has half of the members, one another class, one both: one cell counts."""
    cells = [
        cell(0.1, 0.01, [0, 0, 0, 0, 1, 1], ["fully connected", "pair"]),
        cell(0.1, 0.02, [0, 0, 1, 1, 2, 3], ["pair", "pair", None, None]),
        cell(0.2, 0.01, [0, 0, 0, 0, 0, 1], ["undetermined", None]),
        cell(0.2, 0.02, [0, 0, 0, 1, 2, 2], ["fully connected", None, "pair"]),
    ]
    grid = Grid((0.1, 0.2), (0.01, 0.02), cells, [], [])
    clique = community(graph(6, list(combinations(range(4), 2))), [0, 1, 2, 3], 0.1)
    for here, resolution, wanted in ((0.1, 0.01, 1), (0.1, 0.02, 2), (0.2, 0.01, 2), (0.2, 0.02, 1)):
        found = stable_cells(
            grid, here, np.arange(6), [clique], resolutions={"fine": resolution}, rules=Rules()
        )
        assert found == [wanted]


def test_stable_ego_cuts_counts_cuts_with_the_same_hub_leaves_and_class() -> None:
    """Half of the leaves must be the same; without a class there is none to keep."""
    egos = [
        Egos(0.1, {7: (frozenset(range(1, 9)), "mixed"), 9: (frozenset([1, 2, 3, 4]), "joint")}),
        Egos(0.3, {7: (frozenset([1, 2]), "mixed")}),
    ]
    grid = Grid((0.1, 0.2, 0.3), (0.01,), [], egos, [])
    ego = (Candidate(7, (1, 2, 3, 4, 5)), 0.0, Evidence())
    assert stable_ego_cuts(grid, [ego, (Candidate(9, (1, 2, 3, 4)), 0.0, Evidence())], Rules()) == [1, 0]


def test_resolutions_of_the_grid_hold_the_levels_and_their_neighbours() -> None:
    """Half the coarse one, the mean of the first two, twice the fine one."""
    assert grid_resolutions([0.01, 0.04, 0.1]) == pytest.approx((0.005, 0.01, 0.02, 0.04, 0.1, 0.2))


@pytest.mark.parametrize(
    ("hub", "leaves", "family"),
    [
        ("the", ["The", "the", "of"], "item"),
        ("the", ["The", "of", "a"], None),
        ("␣", ["↵↵", "␣", "the"], "white space"),
        (".", [",", ";", "x"], "punctuation"),
        (".", [".", ".", ","], "item"),
        (".", ["␣", "↵", "⇥"], None),
        ("\ufffd", ["\ufffd\ufffd", "."], None),
        ("1", ["2", "3"], None),
        ("the", [], None),
    ],
)
def test_families_of_egos(hub: str, leaves: list[str], family: str | None) -> None:
    """Most leaves, the hub's own item or kind of item; half of a byte sequence is no punctuation."""
    assert ego_family([hub, "other"], [[leaf, "x"] for leaf in leaves]) == family
    assert ego_family([], [[leaf] for leaf in leaves]) is None
    assert ego_family([hub], [[] for _ in leaves]) is None


def test_roles_of_hubs(tmp_path: Path) -> None:
    """A hub wherever its leaves fire is their parent; one that meets each now and then, far above chance, modifies."""
    role = role_of_hub
    leaf = np.array([100, 100, 100])
    assert role(np.array([80, 90, 10]), leaf, hub=1000, n_tokens=10**6) == "parent"
    assert role(np.array([80, 79, 10]), leaf, hub=1000, n_tokens=10**6) is None
    assert role(np.array([29, 20, 90]), leaf, hub=1000, n_tokens=10**6) == "modifier"
    assert role(np.array([29, 31, 90]), leaf, hub=1000, n_tokens=10**6) is None
    assert role(np.array([29, 20, 90]), leaf, hub=1000, n_tokens=10**4) is None  # a lift of 2.9
    assert role(np.array([29, 20, 20]), leaf, hub=60, n_tokens=10**6) is None  # the leaf holds half of the hub
    assert role(np.zeros(3, np.int64), np.zeros(3, np.int64), hub=0, n_tokens=10) is None
    rng = np.random.default_rng(3)
    which = rng.integers(0, 60, 6000)
    firing = np.column_stack([which < 3, which == 0, which == 1, which == 2, rng.random(6000) < 0.05])
    with Run(tmp_path / "run") as run:
        firings = Firings(store(run, firing, np.arange(12).repeat(500)).path)
    labels = np.zeros(6000, np.int64)
    found = leaf_evidence(firings, labels, [Candidate(0, (1, 2, 3)), Candidate(0, (4,))])
    assert [one.hub_role for one in found] == ["parent", None]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished run of the planted world."""
    path = tmp_path_factory.mktemp("planted") / "run"
    with Run(path) as run:
        planted_run(run, seed=3)
        count(run)
        associate(run)
        cluster(run)
        structure(run)
    return Run(path)


def test_evidence_of_planted_communities(planted: Run) -> None:
    """Stars have ratio 0 and template star, cliques ratio near 1; both hold at most cuts and cells."""
    rows = planted.artifact("50-structure").table("shapes").to_pylist()
    assert {row["shape"] for row in rows} == {"hub-spoke", "fully connected"}
    for row in rows:
        star = row["shape"] == "hub-spoke"
        assert row["leaf_ratio"] == pytest.approx(0 if star else 1, abs=0.1)
        assert row["hub_role"] == "parent"
        assert row["stable_cuts"] >= (3 if star else 5)  # phi of a star's edges falls with its leaves
        assert row["stable_cells"] >= 3
        assert 0 <= row["p"] <= row["q"] <= 1
        assert (row["p"] < 0.05) == star
        assert row["template"] == ("star" if star else "undetermined")
        assert (row["chance"] is None) == (row["n_edges"] > 21 or (star and row["n_edges"] > 6))
        assert 0 < row["weighted_density"] <= 1


def test_the_census_over_the_grid_beside_chance(planted: Run) -> None:
    """The real graph has its stars and cliques; the rewired one no clique; the clustered one keeps triangles."""
    artifact = planted.artifact("50-structure")
    rows = artifact.table("census_grid").to_pylist()
    assert {row["graph"] for row in rows} == {"real", "rewired", "clustered"}
    assert len({row["phi_cut"] for row in rows}) == 4
    assert len({row["resolution"] for row in rows}) == 6
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["graph"], set()).add(row["shape"])
    assert {"hub-spoke", "fully connected"} <= found["real"]
    assert "hub-spoke" not in found["rewired"] | found["clustered"]
    for figures in artifact.results["grid_clustering"]:
        assert figures["rewired"] <= figures["clustered"]
        assert figures["rewired"] < figures["real"]


def test_without_a_grid_nothing_is_said_of_cells(planted: Run, tmp_path: Path) -> None:
    """No cut, no grid: an empty table, empty columns, the same shapes; what is no cut is refused."""
    with Run(shutil.copytree(planted.path, tmp_path / "run")) as run:
        before = run.artifact("50-structure").table("shapes").to_pydict()
        artifact = structure(run, grid_cuts=())
        after = artifact.table("shapes").to_pydict()
        assert artifact.table("census_grid").num_rows == 0
        assert set(after["stable_cells"]) == {None}
        assert {name for name in after if after[name] != before[name]} == {"stable_cells"}
        with pytest.raises(InputError, match="positive"):
            structure(run, grid_cuts=(1.0, 0.0))


def test_the_wider_graph_adds_what_is_significant_and_weaker(planted: Run) -> None:
    """At the backbone's own cut nothing is added; below, only edges between the two."""
    edges = planted.artifact("30-edges").table("edges").to_pylist()
    kept = {(row["a"], row["b"]) for row in edges if row["kept_by"] and row["kind"] == "CO_OCCURS"}
    cut = min(row["phi"] for row in edges if (row["a"], row["b"]) in kept and row["kept_by"])

    def pairs(found: igraph.Graph) -> set[tuple[int, int]]:
        index: npt.NDArray[np.int64] = np.asarray(found.vs["index"])
        return {(int(index[a]), int(index[b])) for a, b in found.get_edgelist()}

    assert pairs(wider(planted, cut, cut)) == kept
    low = {(row["a"], row["b"]) for row in edges if row["kind"] == "CO_OCCURS" and row["phi"] >= 0.01}
    assert pairs(wider(planted, cut, 0.01)) == kept | low


def test_the_command_takes_cuts_or_no_grid(planted: Run, tmp_path: Path) -> None:
    """`--grid-cut` repeated gives the cuts, `--no-grid` leaves the grid out, 0 is no cut."""
    path = shutil.copytree(planted.path, tmp_path / "run")
    words = ["structure", "--run", str(path), "--json"]
    done = CliRunner().invoke(ingest, [*words, "--grid-cut", "1.5", "--grid-cut", "1"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["grid_clustering"]) == 2
    assert Run(path).artifact("50-structure").parameters["grid_cuts"] == [1.0, 1.5]
    without = CliRunner().invoke(ingest, [*words, "--no-grid"])
    assert json.loads(without.stdout)["grid_clustering"] is None
    assert CliRunner().invoke(ingest, [*words, "--grid-cut", "0"]).exit_code == 2
