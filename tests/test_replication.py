"""Replication: near duplicates stay together, halves are halves, and a claim holds where its documents do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import fire, plan, store

from atlas.artifacts import Artifact, Run
from atlas.association import associate
from atlas.communities import LEVELS, cluster
from atlas.communities.stage import backbone
from atlas.counting.passes import Settings
from atlas.counting.stage import count
from atlas.firings import Firings
from atlas.replication import document_groups, replicate, split
from atlas.replication.claims import Claims
from atlas.replication.compare import best_matches, communities_again
from atlas.replication.halves import write_half
from atlas.replication.recompute import Recipe, recompute
from atlas.shapes import structure
from atlas.tracking import untracked

N_DOCUMENTS, LENGTH = 40, 500


def corpus(*documents: list[int]) -> Any:
    """Return what the search for duplicates reads of firings."""
    sizes = [len(tokens) for tokens in documents]
    return SimpleNamespace(
        token_id=np.concatenate(documents).astype(np.int32),
        document=np.repeat(np.arange(len(documents)), sizes).astype(np.int32),
    )


def shingles(tokens: list[int]) -> set[tuple[int, ...]]:
    width = min(5, len(tokens))
    return {tuple(tokens[place : place + width]) for place in range(len(tokens) - width + 1)}


def test_near_duplicates_share_half_of_their_shingles() -> None:
    """A copy, one with a changed token, a short one and its copy; half a document is no duplicate of the whole."""
    text = list(range(100, 160))
    changed = [*text[:30], 7, *text[31:]]  # five shingles of 56 differ in each: 51 / 61
    documents = [text, list(range(60)), changed, [1, 2], text, [1, 2], [2, 1], text[:30]]
    assert document_groups(corpus(*documents)).tolist() == [0, 1, 0, 2, 0, 2, 3, 4]


@given(st.integers(0, 10_000))
def test_groups_are_the_connected_near_duplicates(seed: int) -> None:
    """Against all pairs compared exactly, of documents that are clearly alike or clearly not."""
    rng = np.random.default_rng(seed)
    documents: list[list[int]] = []
    for _ in range(8):
        if documents and rng.random() < 0.5:
            tokens = list(documents[rng.integers(len(documents))])
            tokens[rng.integers(len(tokens))] = int(rng.integers(10**6))
        else:
            tokens = rng.integers(0, 10**6, rng.integers(40, 80)).tolist()
        documents.append(tokens)
    sets = [shingles(tokens) for tokens in documents]
    group = list(range(len(sets)))
    for i, one in enumerate(sets):
        for j, other in enumerate(sets[:i]):
            if len(one & other) >= 0.5 * len(one | other):
                old, new = group[i], group[j]
                group = [new if value == old else value for value in group]
    first = {value: number for number, value in enumerate(dict.fromkeys(group))}
    assert document_groups(corpus(*documents)).tolist() == [first[value] for value in group]


def test_halves_keep_duplicates_together_and_have_as_many_tokens() -> None:
    """Equal documents differ by one at most; what a group weighs decides, not how many documents it has."""
    documents = corpus(*([5] * size for size in [100, 100, 100, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10]))
    group = np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    found = split(documents, group, seed=3)
    assert len(set(found.half[:3].tolist())) == 1
    assert set(found.half[3:].tolist()) == {1 - found.half[0]}
    assert found.repeated.tolist() == [True] * 3 + [False] * 10
    equal = [split(documents, np.arange(13), seed=seed).half.tolist() for seed in range(8)]
    assert len({tuple(half) for half in equal}) > 1
    assert split(documents, np.arange(13), seed=0).half.tolist() == equal[0]


def test_the_halves_hold_every_firing_once(tmp_path: Path) -> None:
    """Tokens, ids and activations of the documents of each half, in their order."""
    firing = fire(plan(), n_documents=9, length=50, seed=0)
    with Run(tmp_path / "run") as run:
        store(run, firing, np.arange(9).repeat(50))
        whole = Firings(run.artifact("10-activations").path)
        some = split(whole, np.arange(9), seed=0)
        halves = [write_half(whole, some, half, tmp_path / f"half-{half}") for half in (0, 1)]
        for half, found in enumerate(halves):
            mine = np.repeat(some.half == half, 50)
            assert found.document.tolist() == np.arange(9).repeat(50)[mine].tolist()
            assert found.token_id.tolist() == np.asarray(whole.token_id)[mine].tolist()
            for feature in range(0, whole.d_sae, 7):
                rows = whole.tokens_of(feature)
                inside = mine[rows]
                assert (np.flatnonzero(mine)[found.tokens_of(feature)] == rows[inside]).all()
                assert (found.activations_of(feature) == whole.activations_of(feature)[inside]).all()


def test_the_best_match_is_the_largest_jaccard_index() -> None:
    """By hand: community 0 of four meets a pair and a single; community 1 meets nothing."""
    membership = np.array([0, 0, 0, 0, 1, -1, -1])
    other = np.array([2, 2, 0, -1, -1, 0, 2])
    match, best = best_matches(membership, other, 3)
    assert match.tolist() == [2, -1, -1]
    assert best.tolist() == pytest.approx([2 / 5, 0, 0])


def test_members_come_back_with_their_community() -> None:
    """By hand: one half has the community whole, the other without a member and with two strangers."""
    labels = np.array([0, 0, 0, 0, -1, -1, 1, 1])
    found = [np.array([3, 3, 3, 3, -1, -1, -1, -1]), np.array([0, 0, 0, 1, 0, 0, -1, -1])]
    alive = np.array([True] * 7 + [False])
    members, communities, overlap = communities_again(labels, found, alive)
    assert members.tolist() == [2, 2, 2, 1, None, None, None, None]
    assert communities.tolist() == [2, None]  # 4/4 and 3/6; of the second one member is left
    assert overlap.tolist() == [0.5, None]


@pytest.fixture(scope="module")
def halves() -> np.ndarray[Any, Any]:
    """Return the half of each document, which is known before anything is planted."""
    documents = corpus(*([0] * LENGTH for _ in range(N_DOCUMENTS)))
    return split(documents, np.arange(N_DOCUMENTS), seed=0).half


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, halves: np.ndarray[Any, Any]) -> Iterator[Artifact]:
    """Return the replication of a world in which the second star and clique hold in one half alone.

    A rare pair fires together eight times, and a feature fires in one half only.
    """
    world = plan()
    firing = fire(world, n_documents=N_DOCUMENTS, length=LENGTH, seed=1)
    token_half = halves.repeat(LENGTH)
    rng = np.random.default_rng(1)
    one = np.flatnonzero(token_half == 0)
    for feature in world.cliques[1]:
        firing[one, feature] = rng.permutation(firing[one, feature])
    hub, leaves = world.stars[1]
    for leaf in leaves:  # two thirds of the firings there, and P(hub given leaf) 3/4, below what a parent needs
        places = one[firing[one, leaf]]
        firing[np.ix_(places[::3], [hub, leaf])] = False
        firing[places[1::6], hub] = False
    rare, lone = world.independent[0], world.independent[2]
    spots = np.concatenate([rng.choice(np.flatnonzero(token_half == half), 40, False) for half in (0, 1)])
    for feature, extra in ((rare, spots), (rare + 1, spots[36:44])):
        firing[:, feature] = False
        firing[extra, feature] = True
    firing[rng.choice(np.flatnonzero(~firing[:, rare]), 80, False), rare + 1] = True
    firing[one, lone] = False
    firing[:, lone] |= firing[:, world.cliques[0][0]] & (token_half == 1)
    with Run(tmp_path_factory.mktemp("replication") / "run") as run:
        store(run, firing, np.arange(N_DOCUMENTS).repeat(LENGTH), seed=1, evenness=50)
        count(run)
        associate(run, control="none", phi_cut=0.2)
        cluster(run)
        structure(run, grid_cuts=())
        yield replicate(run)


def halves_of(artifact: Artifact, table: str, *names: str) -> dict[Any, int | None]:
    rows = artifact.table(table).to_pylist()
    return {tuple(row[name] for name in names): row["halves"] for row in rows}


def test_an_edge_holds_in_the_halves_that_it_is_in(planted: Artifact) -> None:
    """Star and clique of both halves 2, of one half 1; too rare for two halves, or dead in one: no number."""
    world = plan()
    edges = halves_of(planted, "replicated_edges", "a", "b", "kind")
    both = [(*pair, "CO_OCCURS") for pair in zip(world.cliques[0], world.cliques[0][1:], strict=False)]
    one = [(*pair, "CO_OCCURS") for pair in zip(world.cliques[1], world.cliques[1][1:], strict=False)]
    assert [edges[pair] for pair in both] == [2] * 4
    assert [edges[pair] for pair in one] == [1] * 4
    rare, lone = world.independent[0], world.independent[2]
    assert edges[rare, rare + 1, "CO_OCCURS"] is None
    assert edges[world.cliques[0][0], lone, "CO_OCCURS"] is None


def cluster_of(artifact: Artifact, feature: int) -> int:
    """Return the number of a feature's community on the middle level."""
    rows = pq.read_table(artifact.path.parent / "40-clusters" / "membership.parquet").to_pylist()
    return next(row["cluster"] for row in rows if (row["index"], row["level"]) == (feature, "middle"))


def test_parents_members_and_classes_hold_where_their_documents_do(planted: Artifact) -> None:
    """The hub of both halves is a parent in both, that of one in one; so are clique, members and classes."""
    world = plan()
    parents = halves_of(planted, "replicated_parents", "parent", "child")
    for (hub, leaves), most in zip(world.stars, (2, 1), strict=True):
        assert {parents[hub, leaf] for leaf in leaves} == {most}
    members = halves_of(planted, "replicated_membership", "index", "level")
    assert {members[feature, "middle"] for feature in world.cliques[0]} == {2}
    assert {members[feature, "middle"] for feature in world.cliques[1]} == {1}
    egos = {row["index"]: row for row in planted.table("replicated_egos").to_pylist()}
    assert egos[world.stars[0][0]]["ego_half_shapes"] == ["hub-spoke", "hub-spoke"]
    assert egos[world.stars[0][0]]["ego_halves"] == 2
    assert egos[world.stars[1][0]]["ego_halves"] is None  # E = 7 in one half, 10 are needed
    shapes = {(row["level"], row["cluster"]): row for row in planted.table("replicated_clusters").to_pylist()}
    found = [shapes["middle", cluster_of(planted, clique[0])] for clique in world.cliques]
    assert [row["half_shapes"] for row in found] == [["fully connected"] * 2, ["undetermined", "fully connected"]]
    assert [(row["shape_halves"], row["halves"]) for row in found] == [(2, 2), (1, 1)]


def test_the_figures_are_those_of_the_tables(planted: Artifact) -> None:
    """Claims, tested, both, one and neither are counts of the rows; the scratch of the halves is gone."""
    rows = planted.table("replication").to_pylist()
    edges = [row["halves"] for row in planted.table("replicated_edges").to_pylist() if row["kind"] == "CO_OCCURS"]
    found = next(row for row in rows if row["claim"] == "significant edges")
    assert (found["claims"], found["both"], found["one"]) == (len(edges), edges.count(2), edges.count(1))
    assert found["tested"] == len(edges) - edges.count(None) == found["both"] + found["one"] + found["neither"]
    assert planted.results["n_near_duplicates"] == 0
    assert sorted(path.suffix for path in planted.path.iterdir()) == [".json", *[".parquet"] * 8]
    assert sum(planted.results["half_tokens"]) == N_DOCUMENTS * LENGTH


def test_one_document_replicates_nothing(tmp_path: Path) -> None:
    """No half is left to look at: every claim stays, and none has a number."""
    firing = fire(plan(), n_documents=1, length=6000, seed=0)
    with Run(tmp_path / "run") as run:
        store(run, firing, np.zeros(6000, np.int64))
        count(run)
        associate(run, control="none")
        cluster(run)
        structure(run, grid_cuts=())
        found = replicate(run)
    assert {row["tested"] for row in found.table("replication").to_pylist()} == {0}
    assert set(halves_of(found, "replicated_edges", "a", "b").values()) == {None}


@pytest.mark.parametrize(
    ("edges", "communities"),
    [({}, {}), ({"basis": "contextual"}, {}), ({"backbone": "top-k"}, {"signed": True}), ({"excludes": False}, {})],
    ids=["default", "contextual", "top-k and signed", "without exclusions"],
)
def test_all_documents_give_the_claims_of_the_run(
    tmp_path: Path, edges: dict[str, Any], communities: dict[str, Any]
) -> None:
    """What a half is put through, put through the whole: the same pairs, parents, backbone and communities."""
    world, rng = plan(), np.random.default_rng(2)
    firing = fire(world, n_documents=20, length=500, seed=2)
    apart = rng.integers(0, 12, len(firing))
    for place, feature in enumerate(world.independent[:3]):  # exclude each other, and are expected together
        firing[:, feature] = apart == place
    items = rng.integers(0, 50, len(firing))
    items[firing[:, world.cliques[1]].any(1)] = 60  # the second clique is features of one item
    with Run(tmp_path / "run") as run:
        store(run, firing, np.arange(20).repeat(500), seed=2, items=items, evenness=50)
        count(run)
        associate(run, control="none", **edges)
        cluster(run, resolutions=(0.01, 0.05, 0.2), **communities)
        structure(run, grid_cuts=())
        firings = Firings(run.artifact("10-activations").path)
        claims, recipe = Claims.of(run, firings), Recipe.of(run)
        (tmp_path / "again").mkdir()
        found = recompute(firings, tmp_path / "again", recipe, settings=Settings(), track=untracked)
        graph = backbone(run)
    d, kind = firings.d_sae, claims.edges["kind"]
    pairs = {name: claims.edges["a"][kind == name] * d + claims.edges["b"][kind == name] for name in set(kind)}
    assert (found.significant["CO_OCCURS"] == pairs["CO_OCCURS"]).all()
    assert set(pairs.get("EXCLUDES", [])) <= set(found.significant["EXCLUDES"])
    assert (found.parents == claims.parents["parent"] * d + claims.parents["child"]).all()
    assert (found.graph.vs["index"], found.graph.get_edgelist()) == (graph.vs["index"], graph.get_edgelist())
    for row, level in enumerate(LEVELS):
        labels = claims.labels(level, d)
        assert (np.where(labels >= 0, found.levels[row], -1) == labels).all()
    assert ("EXCLUDES" in pairs) == edges.get("excludes", True)
    if edges.get("basis"):
        assert not set(world.cliques[1]) & set(graph.vs["index"])
