"""Cypher made from the schema: constraints, indexes and the statements of the loader."""

from __future__ import annotations

from atlas.schema.fields import Field
from atlas.schema.graph import NODES, RELATIONSHIPS, ClassLabel, Node, Relationship


def constraints() -> tuple[str, ...]:
    """Return the statements that make `uid` unique per label and per keyed relationship type."""
    of_nodes = (
        f"CREATE CONSTRAINT atlas_{label.lower()}_uid IF NOT EXISTS FOR (n:{label}) REQUIRE n.uid IS UNIQUE"
        for label in NODES
    )
    of_relationships = (
        f"CREATE CONSTRAINT atlas_{type_.lower()}_uid IF NOT EXISTS "
        f"FOR ()-[r:{type_}]-() REQUIRE r.uid IS UNIQUE"
        for type_, relationship in RELATIONSHIPS.items()
        if relationship.keyed
    )
    return (*of_nodes, *of_relationships)


def indexes() -> tuple[str, ...]:
    """Return the statements that make the range, full-text and vector indexes.

    A vector index is of no one dimension: the atlases of a database have decoders of several widths.
    """
    statements = []
    for label, node in NODES.items():
        for properties in node.indexes:
            name = "_".join(("atlas", label.lower(), *properties))
            keys = ", ".join(f"n.{property_}" for property_ in properties)
            statements.append(f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{label}) ON ({keys})")
        if node.fulltext:
            keys = ", ".join(f"n.{property_}" for property_ in node.fulltext)
            name = fulltext_index(label)
            statements.append(f"CREATE FULLTEXT INDEX {name} IF NOT EXISTS FOR (n:{label}) ON EACH [{keys}]")
        if node.vector:
            statements.append(
                f"CREATE VECTOR INDEX {vector_index(label)} IF NOT EXISTS FOR (n:{label}) ON (n.{node.vector}) "
                "OPTIONS {indexConfig: {`vector.similarity_function`: 'cosine'}}"
            )
    return tuple(statements)


def fulltext_index(label: str) -> str:
    """Return the name of a label's full-text index."""
    return f"atlas_{label.lower()}_text"


def vector_index(label: str) -> str:
    """Return the name of a label's vector index."""
    return f"atlas_{label.lower()}_{NODES[label].vector}"


def loaded(kind: Node | Relationship) -> tuple[Field, ...]:
    """Return the properties that the loader sets: all but the key and what a classifying query sets."""
    return tuple(field for field in kind.properties if field.set_by == "load" and field.name != "uid")


def merge_nodes(label: str) -> str:
    """Return the statement that writes a batch of nodes.

    Each of `$rows` is `{uid, properties}`; absent properties are sent as null, which removes them. Class
    labels that the loader decides are taken away and given anew. The statement returns `written`, one
    for each row.
    """
    node = NODES[label]
    lines = ["UNWIND $rows AS row", f"MERGE (n:{label} {{uid: row.uid}})", "SET n += row.properties"]
    classes = class_labels(node)
    if classes:
        lines.append("REMOVE n:" + ":".join(class_.label for class_ in classes))
        lines += [
            f"FOREACH (_ IN CASE WHEN row.properties.{class_.property} = '{class_.value}' "
            f"THEN [1] ELSE [] END | SET n:{class_.label})"
            for class_ in classes
        ]
    return "\n".join([*lines, "RETURN count(*) AS written"])


def set_properties(label: str) -> str:
    """Return the statement that sets properties of nodes that are there; each of `$rows` is `{uid, properties}`."""
    return (
        f"UNWIND $rows AS row MATCH (n:{label} {{uid: row.uid}}) SET n += row.properties RETURN count(*) AS written"
    )


def set_vectors(label: str) -> str:
    """Return the statement that gives a batch of nodes their vectors, as 32-bit floats.

    Each of `$rows` is `{uid, vector}`. The procedure stores half of what SET would; Cypher 25 has a type for it, which
    servers of the 5 line lack.
    """
    return "\n".join(
        [
            "CYPHER 5",
            "UNWIND $rows AS row",
            f"MATCH (n:{label} {{uid: row.uid}})",
            f"CALL db.create.setNodeVectorProperty(n, '{NODES[label].vector}', row.vector)",
            "RETURN count(*) AS written",
        ]
    )


def remove_vectors(label: str) -> str:
    """Return the statement that takes the vectors from at most `$batch` nodes of an atlas."""
    vector = NODES[label].vector
    return (
        f"MATCH (n:{label} {{atlas: $atlas}}) WHERE n.{vector} IS NOT NULL WITH n LIMIT $batch "
        f"REMOVE n.{vector} RETURN count(*) AS removed"
    )


def edge_columns() -> tuple[str, ...]:
    """Return what each of `$rows` of an edge holds, in order.

    That is the uid of both forms, those of the ends (`start` has the lower index), and the properties of the `:Edge`,
    among which are those of the relationship; `merge_edges` takes all, `create_edges` says which.
    """
    return ("uid", "start", "end", *(field.name for field in loaded(NODES["Edge"])))


def create_edges(kind: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the two statements that write a batch of edges of a kind, none of which is there yet.

    The first makes the `:Edge` of each row, the second its relationship and its two `:ENDPOINT_OF`; beside each stand
    the places of `edge_columns` whose values its rows hold. While the second writes a batch, the first writes the next.
    Rows are lists: the server takes them in less time than maps.
    """
    columns = edge_columns()
    of_node = ("uid", *(field.name for field in loaded(NODES["Edge"])))
    of_relationship = ("uid", "start", "end", *(field.name for field in loaded(RELATIONSHIPS[kind])))
    node = (
        "UNWIND $rows AS row",
        f"CREATE (e:Edge {_edge_properties(of_node)})",
        "RETURN count(*) AS written",
    )
    relationship = (
        *_edge_ends(),
        "MATCH (e:Edge {uid: row[0]})",
        f"CREATE (a)-[:{kind} {_edge_properties(of_relationship, kind)}]->(b)",
        "CREATE (a)-[:ENDPOINT_OF]->(e)",
        "CREATE (b)-[:ENDPOINT_OF]->(e)",
        "RETURN count(*) AS written",
    )
    return tuple(
        ("\n".join(lines), tuple(columns.index(name) for name in names))
        for lines, names in ((node, of_node), (relationship, of_relationship))
    )


def merge_edges(kind: str) -> str:
    """Return the statement that writes a batch of edges of a kind, in both their forms, over what is there."""
    columns = edge_columns()
    return "\n".join(
        [
            *_edge_ends(),
            f"MERGE (a)-[r:{kind} {{uid: row[0]}}]->(b)",
            f"SET r += {_edge_properties(columns, kind)}",
            "MERGE (e:Edge {uid: row[0]})",
            f"SET e += {_edge_properties(columns)}",
            "MERGE (a)-[:ENDPOINT_OF]->(e)",
            "MERGE (b)-[:ENDPOINT_OF]->(e)",
            "RETURN count(*) AS written",
        ]
    )


def _edge_ends() -> tuple[str, ...]:
    return ("UNWIND $rows AS row", "MATCH (a:Feature {uid: row[1]})", "MATCH (b:Feature {uid: row[2]})")


def _edge_properties(columns: tuple[str, ...], kind: str | None = None) -> str:
    """Return the map of the properties of a kind's relationship, or of the `:Edge`, from rows of these columns."""
    names = ("uid", *(field.name for field in loaded(RELATIONSHIPS[kind] if kind else NODES["Edge"])))
    return "{" + ", ".join(f"{name}: row[{columns.index(name)}]" for name in names) + "}"


def merge_relationships(type_: str, start: str) -> str:
    """Return the statement that writes a batch of relationships from nodes of the label `start`.

    Each of `$rows` is `{start, end, properties}`, the ends as uids, and its own `uid` where the type is keyed: there
    may then be several between two nodes.
    """
    relationship = RELATIONSHIPS[type_]
    if start not in relationship.start:
        raise ValueError(f"{type_} does not start at {start}")
    lines = [
        "UNWIND $rows AS row",
        f"MATCH (a:{start} {{uid: row.start}})",
        f"MATCH (b:{relationship.end} {{uid: row.end}})",
        f"MERGE (a)-[r:{type_}{' {uid: row.uid}' if relationship.keyed else ''}]->(b)",
        *(["SET r += row.properties"] if loaded(relationship) else []),
        "RETURN count(*) AS written",
    ]
    return "\n".join(lines)


def sweep_nodes(label: str) -> str:
    """Return the statement that removes at most `$batch` nodes that the last load did not write."""
    return (
        f"MATCH (n:{label} {{atlas: $atlas}}) WHERE n.load_id <> $load_id "
        "WITH n LIMIT $batch DETACH DELETE n RETURN count(*) AS removed"
    )


def sweep_relationships(type_: str) -> str:
    """Return the statement that removes at most `$batch` relationships that the last load did not write."""
    relationship = RELATIONSHIPS[type_]
    return (
        f"MATCH (:{relationship.end} {{atlas: $atlas}})<-[r:{type_}]-() WHERE r.load_id <> $load_id "
        "WITH r LIMIT $batch DELETE r RETURN count(*) AS removed"
    )


def drop_nodes(label: str) -> str:
    """Return the statement that removes at most `$batch` nodes of an atlas."""
    return (
        f"MATCH (n:{label} {{atlas: $atlas}}) WITH n LIMIT $batch DETACH DELETE n RETURN count(*) AS removed"
    )


def swept() -> tuple[tuple[str, str], ...]:
    """Return (name, statement) for all that a load can leave stale, relationships first."""
    relationships = tuple(
        (type_, sweep_relationships(type_))
        for type_, relationship in RELATIONSHIPS.items()
        if any(field.name == "load_id" for field in relationship.properties)
    )
    nodes = tuple(
        (label, sweep_nodes(label))
        for label, node in NODES.items()
        if any(field.name == "load_id" for field in node.properties)
    )
    return (*relationships, *nodes)


def class_labels(node: Node) -> tuple[ClassLabel, ...]:
    """Return the further labels that the loader gives a node, by properties that it sets."""
    names = {field.name for field in loaded(node)}
    return tuple(class_ for class_ in node.classes if class_.property in names)
