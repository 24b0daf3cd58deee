"""The stage of communities: planted ones come back with their figures, and the edges' kinds are kept apart."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from worlds import World, fire, plan, store

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.testing import Gates
from atlas.communities import LEVELS, cluster
from atlas.communities.bootstrap import bootstrapped_phi, persistence
from atlas.communities.directions import choose_features, decoder_agreement
from atlas.communities.stage import backbone, graph_of, kept_edges
from atlas.counting.stage import count
from atlas.files import write_table
from atlas.firings import Firings
from atlas.schema import TABLES

Edge = tuple[float, str, str | None]
"""phi, kind, and the rule that kept it."""


def write_edges(run: Run, edges: Mapping[tuple[int, int], Edge]) -> None:
    """Write the artifact of edges with these and nothing else; the columns that communities do not read are filled."""
    pairs = sorted(edges)
    columns: dict[str, Any] = {
        "a": [a for a, _ in pairs], "b": [b for _, b in pairs],
        "phi": [edges[pair][0] for pair in pairs], "phi_d": [edges[pair][0] for pair in pairs],
        "kind": [edges[pair][1] for pair in pairs], "kept_by": [edges[pair][2] for pair in pairs],
    }  # fmt: skip
    for column in TABLES["edges"].columns:
        filler = "untested" if column.type == "string" else 1
        columns.setdefault(column.name, [filler] * len(pairs))

    def write(place: Path) -> dict[str, float]:
        write_table(place, "edges", columns)
        return {"phi_cut": 0.15}

    count(run)
    written = {str(pair): list(edge) for pair, edge in edges.items()}
    run.produce(Spec("30-edges", asdict(Gates()) | written, ("10-activations", "20-counts")), write)


def correlated(firing: np.ndarray, *, cut: float = 0.15) -> dict[tuple[int, int], Edge]:
    """Return the pairs of features with phi of `cut` or more as kept edges."""
    fires = np.flatnonzero(firing.any(0))
    phi = np.corrcoef(firing[:, fires].T)
    rows, columns = np.argwhere(np.triu(phi >= cut, 1)).T
    return {
        (int(fires[i]), int(fires[j])): (float(phi[i, j]), "CO_OCCURS", "phi")
        for i, j in zip(rows, columns, strict=True)
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, np.ndarray, Path]:
    """Return a world, its firings, and a run directory with its activations and edges of all kinds."""
    world = plan()
    firing = fire(world, n_documents=40, length=300, seed=4)
    path = tmp_path_factory.mktemp("planted") / "run"
    with Run(path) as run:
        store(run, firing, np.arange(40).repeat(300), seed=4)
        first = world.independent[0]
        write_edges(
            run,
            correlated(firing)
            | {(0, first): (0.9, "CO_TOPIC", "phi"), (1, first): (0.9, "CO_OCCURS", None)}
            | {(2, 3): (-0.1, "EXCLUDES", "phi"), (first, first + 1): (-0.1, "EXCLUDES", "phi")},
        )
    return world, firing, path


@pytest.fixture(scope="module")
def made(planted: tuple[World, np.ndarray, Path]) -> Artifact:
    with Run(planted[2]) as run:
        return cluster(run)


def groups(made: Artifact, level: str) -> set[frozenset[int]]:
    table = made.table("membership").to_pylist()
    numbers = {row["cluster"] for row in table if row["level"] == level}
    return {
        frozenset(row["index"] for row in table if (row["level"], row["cluster"]) == (level, number))
        for number in numbers
    }


def test_the_backbone_is_the_kept_co_occurrence(planted: tuple[World, np.ndarray, Path]) -> None:
    """Neither another kind, nor an edge that no rule kept."""
    _, firing, path = planted
    with Run(path) as run:
        graph = backbone(run)
    edges = {tuple(graph.vs["index"][end] for end in edge.tuple): edge["phi"] for edge in graph.es}
    assert edges == {pair: edge[0] for pair, edge in correlated(firing).items()}


def test_planted_communities_come_back_with_their_figures(
    planted: tuple[World, np.ndarray, Path], made: Artifact
) -> None:
    """Stars and cliques, whole on the coarse level, stable, persistent; tables that agree with each other."""
    world = planted[0]
    truth = {frozenset((hub, *leaves)) for hub, leaves in world.stars} | {frozenset(one) for one in world.cliques}
    assert groups(made, "coarse") == truth
    clusters, members = made.table("clusters").to_pylist(), made.table("membership").to_pylist()
    assert [(row["stability"], row["persistence"]) for row in clusters if row["level"] == "coarse"] == [(1, 1)] * 4
    for row in clusters:
        inside = [one for one in members if (one["level"], one["cluster"]) == (row["level"], row["cluster"])]
        assert len(inside) == row["size"]
        assert row["stability"] == pytest.approx(np.mean([one["stability"] for one in inside]))
    assert all((one["second_cluster"] is None) == (one["second_share"] == 0) for one in members)
    profile = made.table("profile").to_pylist()
    assert [row["level"] for row in profile if row["level"]] == list(LEVELS)
    assert [row["resolution"] for row in profile if row["level"]] == made.results["resolutions"]
    assert made.results["level_stability"][0] == 1
    assert made.results["n_clusters"]["coarse"] == 4
    assert made.results["decoder_compared"] == 24
    tree = made.arrays("decoder_tree.safetensors")
    assert set(tree["features"].tolist()) == {feature for group in truth for feature in group}
    assert tree["joined"].shape == (23, 2)
    assert (np.diff(tree["distance"]) >= 0).all()


def test_the_same_seed_gives_the_same_bytes(planted: tuple[World, np.ndarray, Path], tmp_path: Path) -> None:
    """Two runs of one world have one digest; given resolutions are taken, and are part of the profile."""
    _, firing, _ = planted
    digests = []
    for name in ("one", "two"):
        with Run(tmp_path / name) as run:
            store(run, firing, np.arange(40).repeat(300), seed=4)
            write_edges(run, correlated(firing))
            found = cluster(run, resolutions=(0.0051, 0.02, 0.07), seed=3)
            digests.append(found.digest)
    assert digests[0] == digests[1]
    assert found.results["resolution_rule"] == "given"
    levels = {row["level"]: row["resolution"] for row in found.table("profile").to_pylist() if row["level"]}
    assert levels == dict(zip(LEVELS, (0.0051, 0.02, 0.07), strict=True))


def test_phi_of_a_replicate_is_phi_of_the_documents_drawn(planted: tuple[World, np.ndarray, Path]) -> None:
    """Against the correlation of the firings with each document's tokens repeated as often as it was drawn."""
    _, firing, path = planted
    with Run(path) as run:
        graph = backbone(run)
        firings = Firings(run.artifact("10-activations").path)
    drawn = np.random.default_rng(1).multinomial(40, np.full(40, 1 / 40), 3)
    found = bootstrapped_phi(firings, graph, drawn)
    index = np.array(graph.vs["index"])
    for times, phi in zip(drawn, found, strict=True):
        again = np.corrcoef(firing[np.repeat(np.arange(len(firing)), times.repeat(300))][:, index].T)
        assert phi == pytest.approx([again[edge.tuple] for edge in graph.es])


def test_what_one_document_makes_does_not_persist(tmp_path: Path) -> None:
    """A clique that fires in one of many documents is lost when it is not drawn; one of all documents stays."""
    rng = np.random.default_rng(0)
    document = np.arange(30).repeat(100)
    pools = [(document == 7) & (rng.random(3000) < 0.5), rng.random(3000) < 0.05]
    firing = np.column_stack([pool for pool in pools for _ in range(4)])
    edges = [(base + i, base + j) for base in (0, 4) for i in range(4) for j in range(i + 1, 4)]
    a, b = np.array(edges).T
    graph = graph_of(np.arange(8), a, b, np.full(len(a), 0.9))
    membership = np.arange(2).repeat(4)
    with Run(tmp_path / "many") as run:
        firings = Firings(store(run, firing, document).path)
        found = persistence(firings, graph, [(0.1, membership)], cut=0.1, seed=0)
    assert found is not None
    assert found[0][1] == 1
    absent = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), 10)[:, 7] == 0
    assert found[0][0] == pytest.approx(1 - 0.75 * absent.mean())  # alone, each member is a quarter of its clique
    with Run(tmp_path / "one") as run:
        firings = Firings(store(run, firing, np.zeros(3000, int)).path)
        assert persistence(firings, graph, [(0.1, membership)], cut=0.1, seed=0) is None


def test_directions_that_follow_the_communities_agree_and_random_ones_do_not() -> None:
    """AMI 1 against about 0 under the null with the same spectrum; directions without structure are like the null."""
    rng = np.random.default_rng(0)
    membership = np.arange(10).repeat(12)
    centres = rng.standard_normal((10, 32))
    near = centres[membership] + 0.2 * rng.standard_normal((120, 32))
    whole = np.zeros(120, int)
    found, trivial = decoder_agreement(near, [membership, whole], seed=0)
    assert found.ami == pytest.approx(1)
    assert abs(found.null_mean) < 0.05
    assert found.p == pytest.approx(1 / 21)
    assert (trivial.ami, trivial.null_highest, trivial.p) == (1, 1, 1)
    (none,) = decoder_agreement(np.random.default_rng(1).standard_normal((120, 32)), [membership], seed=0)
    assert abs(none.ami) < 0.1
    assert none.p > 1 / 21
    assert decoder_agreement(near[:2], [membership[:2]], seed=0) == []


def test_features_compared_are_whole_communities() -> None:
    """No lone feature, and of more than fit, whole communities up to the bound; one too large is passed over."""
    coarse = np.repeat(np.arange(8), [50, 9, 8, 7, 6, 5, 1, 1])
    assert choose_features(coarse, seed=0).tolist() == list(range(85))
    chosen = choose_features(coarse, most=20, seed=0)
    assert 12 <= len(chosen) <= 20
    for number in np.unique(coarse[chosen]):
        assert number not in (0, 6, 7)
        assert (coarse[chosen] == number).sum() == (coarse == number).sum()


def test_fault_49_one_giant_community_is_named_with_a_resolution(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At a resolution too small everything is one community; the one suggested splits it."""
    rng = np.random.default_rng(0)
    clique = np.arange(24) // 6
    edges = {
        (a, b): (0.8 if clique[a] == clique[b] else 0.15, "CO_OCCURS", "phi")
        for a in range(24) for b in range(a + 1, 24) if clique[a] == clique[b] or rng.random() < 0.3
    }  # fmt: skip
    with Run(tmp_path / "run") as run, caplog.at_level(logging.WARNING, "atlas"):
        store(run, rng.random((600, 24)) < 0.2, np.arange(6).repeat(100))
        write_edges(run, edges)
        found = cluster(run, resolutions=(0.001, 0.002, 0.2))
        advice = found.results["giant"]
        assert set(advice) == {"coarse", "middle"}
        assert advice["coarse"]["size"] == 24
        better = advice["coarse"]["suggested_resolution"]
        assert f"a resolution of {better:g} splits it" in caplog.text
        again = cluster(run, resolutions=(better, better + 0.1, better + 0.2))
        assert again.results["giant"] is None


def test_exclusions_count_where_they_are_asked_for(
    planted: tuple[World, np.ndarray, Path], made: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Signed, the ends of a strong exclusion part; unsigned they stay; without any, it is said."""
    _, firing, _ = planted
    with Run(tmp_path / "run") as run, caplog.at_level(logging.WARNING, "atlas"):
        store(run, firing, np.arange(40).repeat(300), seed=4)
        edges = correlated(firing)
        write_edges(run, edges)
        unsigned = cluster(run, signed=True)
        assert "no EXCLUDES edge" in caplog.text
        assert unsigned.results["n_exclusions"] == 0
        assert unsigned.table("membership").equals(made.table("membership"))
        write_edges(run, edges | {(1, 2): (0.9, "EXCLUDES", "phi")})  # the kind says the sign, not phi
        found = cluster(run, signed=True)
        assert found.results["n_exclusions"] == 1
        assert not any({1, 2} <= group for group in groups(found, "coarse"))
        assert any({1, 2} <= group for group in groups(cluster(run), "coarse"))


@pytest.mark.parametrize("edges", [{}, {(0, 1): (0.5, "CO_OCCURS", "phi")}])
def test_a_backbone_of_no_edge_or_one(edges: dict[tuple[int, int], Edge], tmp_path: Path) -> None:
    """Empty tables, or one pair on every level; the profile is there all the same."""
    with Run(tmp_path / "run") as run:
        store(run, np.random.default_rng(0).random((500, 4)) < 0.2, np.arange(5).repeat(100))
        write_edges(run, edges)
        found = cluster(run)
    assert found.results["n_clusters"] == dict.fromkeys(LEVELS, len(edges))
    assert found.table("membership").num_rows == 6 * len(edges)
    assert found.table("profile").num_rows >= 18
    assert found.results["decoder_ami"] == []


def test_the_backbone_is_read_a_piece_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2 million pairs one in a hundred is kept: their rows in order, with less than 24 MB held at any piece."""
    n = 2_000_000
    a, kept = np.arange(n), np.arange(n) % 100 == 7

    def write(directory: Path) -> dict[str, Any]:
        kinds = pa.array(np.where(np.arange(n) % 3 == 0, "EXCLUDES", "CO_OCCURS"))
        kept_by = pa.array(np.where(kept, "phi", None), pa.string())
        table = pa.table({"a": a, "b": a + 1, "kind": kinds, "phi": a / n, "phi_d": a / n, "kept_by": kept_by})
        pq.write_table(table, directory / "edges.parquet", row_group_size=2**17)
        return {}

    with Run(tmp_path / "run") as run:
        run.produce(Spec("30-edges", {}), write)
        held, before, is_valid = [], pa.total_allocated_bytes(), pc.is_valid

        def watched(column: Any) -> Any:
            held.append(pa.total_allocated_bytes() - before)
            return is_valid(column)

        monkeypatch.setattr(pc, "is_valid", watched)
        found = kept_edges(run, "CO_OCCURS", ("a", "phi"))
    wanted = a[kept & (a % 3 != 0)]
    assert found.column_names == ["a", "phi"]
    assert found["a"].to_pylist() == wanted.tolist()
    assert found["phi"].to_pylist() == (wanted / n).tolist()
    assert len(held) > 10
    assert max(held) < 24e6
