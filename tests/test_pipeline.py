"""A planted world through every stage into the real Neo4j: what Cypher says is what igraph says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from worlds import World, planted_run

from atlas.artifacts import Run
from atlas.association import associate
from atlas.communities import cluster
from atlas.counting.stage import count
from atlas.ingest.graph import load_run
from atlas.ingest.graph_drop import drop
from atlas.queries.contract import REQUIRED
from atlas.queries.library import find, library
from atlas.queries.run import run as ask
from atlas.shapes import Rules, structure
from atlas.shapes.templates import MIN_MARGIN

if TYPE_CHECKING:
    import neo4j

NAME = "planted"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, driver: neo4j.Driver) -> Iterator[tuple[World, Run]]:
    """Yield a planted world whose atlas was built, loaded and classified."""
    with Run(tmp_path_factory.mktemp("pipeline") / "run") as run:
        world = planted_run(run, seed=11)
        count(run)
        associate(run)
        cluster(run)
        structure(run)
        load_run(run, driver, name=NAME, target="the suite's server")
        yield world, run
    drop(driver, NAME)


EMPTY = {
    "bridges", "between_communities", "neighbour_clusters", "unstable_clusters",  # communities apart, surely found
    "same_topic", "several_parents", "deepest_features", "partition_parents", "same_features",  # one subject, flat
    "exclusions", "exclusions_in_clusters", "exclusive_leaves", "excluding_features", "senses",  # leaves too rare to
    "aligned_exclusions", "tiny_effects", "rare_edges", "clusters_by_template", "joint_egos",  # be missed; strong edges
    "hub_roles", "token_families", "triangles", "shared_neighbours", "peer_clusters",  # stars alone
    "absorbed", "absorbed_parents", "census", "community_means", "comparison", "contexts", "edge_contexts", "hedged",
    "interference", "letter_words", "letters", "logic", "magnitude_census", "magnitudes", "manifold_members",
    "manifolds", "matched_communities", "matches", "multi_peak_features", "peaks", "rings", "strongest_shifts",
    "structure_and_function", "surviving_edges", "uncertain_features", "verdicts",  # of later stages
}  # fmt: skip
"""Queries that answer nothing on the planted world, and what it has nothing of."""


def rows(driver: neo4j.Driver, query: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = ask(driver, find(query), {"atlas": NAME, **parameters})
    assert not answer.notifications, f"{query}: {answer.notifications}"
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def test_cypher_equals_igraph_cluster_by_cluster(loaded: tuple[World, Run], driver: neo4j.Driver) -> None:
    """Every number and every class that Cypher computed is the one that Python stored as its oracle."""
    numbers = ("n_edges", "density", "centralization", "triangles", "hub", "shape")
    asked = driver.execute_query(
        "MATCH (c:Cluster {atlas: $atlas}) RETURN c.level AS level, c.cluster AS cluster, "
        + ", ".join(f"c.{name} AS {name}" for name in numbers),
        atlas=NAME,
    ).records
    found = {(row["level"], row["cluster"]): row for row in asked}
    oracle = loaded[1].artifact("50-structure").table("shapes").to_pylist()
    assert len(found) == len(oracle) > 0
    for row in oracle:
        for name in numbers:
            assert found[row["level"], row["cluster"]][name] == pytest.approx(row[name]), (row["level"], name)


def test_cypher_equals_python_ego_by_ego(loaded: tuple[World, Run], driver: neo4j.Driver) -> None:
    """Leaves, their density and the class of every ego subgraph."""
    asked = driver.execute_query(
        "MATCH (f:Feature {atlas: $atlas}) WHERE f.ego_size >= 4 RETURN f.index AS index, f.ego_size AS ego_size, "
        "f.leaf_density AS leaf_density, f.ego_shape AS ego_shape, f:EgoHubSpoke AS spoke",
        atlas=NAME,
    ).records
    oracle = {row["index"]: row for row in loaded[1].artifact("50-structure").table("egos").to_pylist()}
    assert {row["index"] for row in asked} == set(oracle)
    hubs = {hub for hub, _ in loaded[0].stars}
    for row in asked:
        assert row["ego_size"] == oracle[row["index"]]["ego_size"]
        assert row["leaf_density"] == pytest.approx(oracle[row["index"]]["leaf_density"])
        assert (row["ego_shape"] == "hub-spoke") == row["spoke"] == (row["index"] in hubs)


def test_the_planted_shapes_come_out_of_the_database(loaded: tuple[World, Run], driver: neo4j.Driver) -> None:
    """Stars and cliques as planted, on every level, with hub and leaves."""
    world = loaded[0]
    stars = rows(driver, "hub_spoke_clusters", level="fine")
    assert {row["hub"] for row in stars} == {hub for hub, _ in world.stars}
    assert {row["size"] for row in stars} == {7}
    cliques = rows(driver, "fully_connected_clusters", level="fine")
    assert sorted(row["size"] for row in cliques) == [5, 5]
    egos = rows(driver, "hub_spoke_egos")
    assert {row["feature"] for row in egos} == {hub for hub, _ in world.stars}


def test_the_census_of_the_database_is_that_of_python(loaded: tuple[World, Run], driver: neo4j.Driver) -> None:
    """The real half of the census artifact, asked of Neo4j."""
    census = loaded[1].artifact("50-structure").table("census").to_pylist()
    wanted = {(row["subgraph"], row["shape"], row["count"]) for row in census if row["graph"] == "real"}
    assert {(row["subgraph"], row["shape"], row["count"]) for row in rows(driver, "shape_census")} == wanted


def test_every_shipped_query_runs_on_the_planted_atlas(loaded: tuple[World, Run], driver: neo4j.Driver) -> None:
    """Those are empty of which the world has nothing, and the server remarks nothing."""
    hub, leaves = loaded[0].stars[0]
    given: dict[str, Any] = {
        "level": "fine", "cluster": 0, "feature": hub, "index": hub, "of": "fine:0", "token": "w1", "text": "w1",
        "source": leaves[0], "target": leaves[1], "start": leaves[0], "end": leaves[1], "a": leaves[0], "b": leaves[1],
        "from": leaves[0], "to": leaves[1], "other": leaves[0], "other_atlas": NAME,
    }  # fmt: skip
    empty = set()
    for name, query in library().items():
        if query.needs:
            continue
        parameters = {parameter.name: given[parameter.name] for parameter in query.parameters
                      if parameter.name in given and parameter.default is REQUIRED}  # fmt: skip
        if name == "parents":
            parameters["feature"] = leaves[0]
        if not rows(driver, name, **parameters):
            empty.add(name)
    assert empty == EMPTY


@pytest.mark.parametrize("query", ["classify_clusters", "classify_egos"])
def test_thresholds_have_one_name_and_one_default(query: str) -> None:
    """Each threshold of the classifying queries is the one of the rules in Python."""
    rules = {**asdict(Rules()), "min_margin": MIN_MARGIN}
    thresholds = {parameter.name: parameter.default for parameter in find(query).parameters}
    del thresholds["atlas"]
    assert thresholds
    assert thresholds == {name: rules[name] for name in thresholds}


def test_loading_again_changes_nothing(loaded: tuple[World, Run], driver: neo4j.Driver) -> None:
    """The second load recognises the atlas by its digest."""
    receipt, _ = load_run(loaded[1], driver, name=NAME, target="the suite's server")
    assert not receipt.changed
