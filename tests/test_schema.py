"""The schema is said once: statements, reference page and labels of the queries come from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from atlas.schema import EDGE_KINDS, NODES, RELATIONSHIPS, TABLES
from atlas.schema.generate import (
    constraints,
    indexes,
    loaded,
    merge_edges,
    merge_nodes,
    merge_relationships,
    set_vectors,
)
from atlas.schema.reference import reference

ROOT = Path(__file__).parent.parent


def duplicates(names: Iterable[str]) -> set[str]:
    listed = list(names)
    return {name for name in listed if listed.count(name) > 1}


@pytest.mark.parametrize("kind", [*NODES.values(), *RELATIONSHIPS.values()], ids=lambda kind: repr(kind)[:40])
def test_no_property_is_declared_twice(kind):
    """A node or relationship has each of its properties once."""
    assert duplicates(field.name for field in kind.properties) == set()


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_no_column_is_declared_twice_and_the_key_is_among_them(table):
    """A table has each of its columns once, and its key is made of them."""
    names = [column.name for column in table.columns]
    assert duplicates(names) == set()
    assert set(table.key) <= set(names)


def test_each_name_has_one_type_everywhere():
    """A column and the property of the same name have one type."""
    kinds: dict[str, set[str]] = {}
    for fields in [*(t.columns for t in TABLES.values()), *(n.properties for n in NODES.values())]:
        for field in fields:
            kinds.setdefault(field.name, set()).add(field.type)
    assert {name for name, types in kinds.items() if len(types) > 1} == set()


def test_what_is_not_atlas_itself_can_be_swept_and_named():
    """Every node says its atlas and has a caption, and all but the atlas itself say which load wrote it."""
    for label, node in NODES.items():
        names = {field.name for field in node.properties}
        assert {"uid", "atlas", "name"} <= names
        assert ("load_id" in names) == (label != "Atlas")


def test_constraints_and_indexes_are_of_the_schema():
    """One constraint a label and keyed type; the full-text index of features reads name and tokens."""
    assert len(constraints()) == len(NODES) + sum(r.keyed for r in RELATIONSHIPS.values())
    assert (
        "CREATE FULLTEXT INDEX atlas_feature_text IF NOT EXISTS FOR (n:Feature) ON EACH [n.name, n.top_tokens]"
        in indexes()
    )
    assert [statement for statement in indexes() if "VECTOR" in statement] == [
        "CREATE VECTOR INDEX atlas_feature_decoder_direction IF NOT EXISTS FOR (n:Feature) ON (n.decoder_direction) "
        "OPTIONS {indexConfig: {`vector.similarity_function`: 'cosine'}}"
    ]
    assert all("IF NOT EXISTS" in statement for statement in (*constraints(), *indexes()))


def test_the_loader_merges_on_uid_alone_and_leaves_classified_properties():
    """MERGE names uid and nothing else; what a query classifies is not among what the loader sets."""
    for label in NODES:
        assert re.findall(r"MERGE \(n:\w+ \{(.*?)\}\)", merge_nodes(label)) == ["uid: row.uid"]
    assert {"shape", "hub"}.isdisjoint(field.name for field in loaded(NODES["Cluster"]))
    assert {"ego_size", "ego_shape"}.isdisjoint(field.name for field in loaded(NODES["Feature"]))
    assert merge_edges("EXCLUDES").count("ENDPOINT_OF") == 2
    with pytest.raises(ValueError, match="does not start at Edge"):
        merge_relationships("PART_OF", "Edge")


def test_reference_page_is_current():
    """docs/schema.md is what the schema makes."""
    assert (ROOT / "docs" / "schema.md").read_text("utf8") == reference()


@pytest.mark.neo4j
def test_the_server_takes_every_statement(driver):
    """Constraints, indexes and the loader's statements are valid Cypher without a remark of the server."""
    for statement in (*constraints(), *indexes()):
        driver.execute_query(statement)
    driver.execute_query("CALL db.awaitIndexes(60)")
    statements = [merge_nodes(label) for label in NODES]
    statements += [merge_relationships(t, s) for t, r in RELATIONSHIPS.items() for s in r.start]
    with driver.session(notifications_disabled_classifications=["UNRECOGNIZED"]) as session:
        for statement in [*statements, *map(merge_edges, EDGE_KINDS), set_vectors("Feature")]:
            summary = session.run(f"EXPLAIN {statement}", rows=[]).consume()
            assert [s for s in summary.gql_status_objects if s.is_notification] == []
