"""The header of a query is its contract: every way in which a file can break it is refused with its line."""

from __future__ import annotations

import re

import pytest

from atlas.errors import QueryError
from atlas.queries.contract import GROUPS, ONLY, check_value, parse_value
from atlas.queries.header import read_query
from atlas.queries.library import FOLDER, find, library, read_folder
from atlas.queries.reference import reference
from atlas.queries.run import parse_parameters, resolve
from atlas.schema import NODES

GOOD = """\
// title: A title
// question: What is
//    the question?
// group: explore
// writes: no
// key: name
// parameter: atlas string = only -- name of the atlas
// parameter: limit integer = 5 -- most rows
// column: name string -- a name
// column: count integer? -- a count

MATCH (n:Feature {atlas: $atlas}) // a remark with $nothing and SET
RETURN n.name AS name, count(*) AS count
ORDER BY count DESC, name
LIMIT $limit
"""


SLOW = ["aligned_exclusions", "counts", "edge_forms", "edge_kinds", "gds_leiden", "replication", "strongest_shifts",
        "surviving_edges", "tiny_effects"]  # fmt: skip
"""Those that read much of every edge: their answers are about all of them."""


def write(tmp_path, text, name="good"):
    path = tmp_path / f"{name}.cypher"
    path.write_text(text)
    return path


def test_a_good_file_is_read_whole(tmp_path):
    """Title, folded question, defaults, columns and statement are what the file says."""
    query = read_query(write(tmp_path, GOOD))
    assert query.question == "What is the question?"
    assert [(p.name, p.type, p.default) for p in query.parameters] == [
        ("atlas", "string", ONLY),
        ("limit", "integer", 5),
    ]
    assert [(c.name, c.optional) for c in query.columns] == [("name", False), ("count", True)]
    assert query.statement.startswith("MATCH")
    assert (query.writes, query.batched, query.key) == (False, False, ("name",))
    assert (query.graph, query.cost, query.languages) == (False, "", ("5", "25"))
    more = GOOD.replace("// key", "// cost: under 1 s -- all features\n// key").replace("MATCH", "CYPHER 5\nMATCH")
    more = more.replace("limit integer = 5", 'limit string? in a, b c = "b c"')
    query = read_query(write(tmp_path, more))
    assert (query.cost, query.reason, query.languages) == ("under 1 s", "all features", ("5",))
    assert (query.parameter("limit").choices, query.parameter("limit").default) == (("a", "b c"), "b c")


BROKEN = [
    ("// title: A title\n", "", 1, "no `title:`"),
    ("// group: explore", "// group: explroe", 4, "group 'explroe'; did you mean explore?"),
    ("// group: explore", "// group: explore\n// group: explore", 5, "second `group:`"),
    ("// group: explore", "// colour: red\n// group: explore", 4, "unknown header field 'colour'"),
    ("// writes: no", "// writes: perhaps", 5, "writes 'perhaps'"),
    ("// writes: no", "// writes: yes", 5, "nothing is written"),
    ("// writes: no", "// writes", 5, "expected `field: value`"),
    ("// key: name", "// key: title", 6, "key 'title' is no column"),
    ("// key: name", "// key: name, count", None, ""),
    ("limit integer = 5 -- most", "limit whole = 5 -- most", 8, "type 'whole'"),
    ("limit integer = 5 -- most", "limit integer = 5.5 -- most", 8, "is no integer"),
    ("limit integer = 5 -- most", "limit integer = five -- most", 8, "is no integer"),
    ("limit integer = 5 -- most", "limit integer = true -- most", 8, "is no integer"),
    ("limit integer = 5 -- most", "limit integer = 5", 8, "expected `name type = default -- meaning`"),
    ("limit integer = 5 -- most", "limit string = only -- most", 8, "only $atlas has it"),
    ("limit integer", "atlas integer", 8, "declared twice"),
    ("// column: name", "// parameter: level string -- x\n// column: name", 9, "declared and not used"),
    ("{atlas: $atlas}", "{atlas: $atlas, index: $indx}", 12, "$indx is used and not declared"),
    ("{atlas: $atlas}", "", 7, "$atlas is declared and not used"),
    ("count(*) AS count", "count(*) AS n", 13, "returns name, n"),
    ("count(*) AS count", "count(*)", 13, "has no name"),
    ("RETURN n.name AS name, count(*) AS count", "RETURN count(*) AS count, n.name AS name", 13, "returns"),
    ("ORDER BY count DESC, name\n", "", 13, "no ORDER BY"),
    ("ORDER BY count DESC, name", "ORDER BY count DESC", 13, "leaves out 'name'"),
    ("LIMIT $limit", "SKIP $limit", 13, "no LIMIT"),
    ("LIMIT $limit", "LIMIT $limit; MATCH (n)", 15, "more than one statement"),
    ("RETURN n.name", "SET n.x = 1\nRETURN n.name", 13, "SET in a query"),
    ("RETURN n.name", "FOREACH (x IN [1] | MERGE (:A))\nRETURN n.name", 13, "FOREACH in a query"),
    ("RETURN n.name", "CALL (n) { detach  delete n }\nRETURN n.name", 13, "DETACH in a query"),
    ("RETURN n.name", "CALL apoc.create.node([], {})\nRETURN n.name", 13, "needs no plugin"),
    ("// writes: no", "// writes: no\n// needs: apoc", 6, "needs 'apoc', expected one of gds"),
    ("// writes: no", "// writes: no\n// needs: gds", 13, "`needs: gds` and gds.* is not called"),
    ("RETURN n.name", "CALL dbms.killQuery('x')\nRETURN n.name", 13, "procedure dbms.killQuery"),
    ("MATCH (n", "USE other MATCH (n", 12, "USE outside"),
    ("LIMIT $limit", "LIMIT $limit\nUNION RETURN 1 AS name, 2 AS count ORDER BY name LIMIT 3", 16, "UNION"),
    ("// column: name string", "// column: name text", 9, "type 'text' of column"),
    ("// column: name string -- a name", "// column: name", 9, "expected `name type -- meaning`"),
    ("integer = 5 -- most", "string in a, b = \"c\" -- most", 8, "is no string"),
    ("integer = 5 -- most", "integer in 5, 6 = 5 -- most", 8, "only a string is one `in` a list"),
    ("// writes: no", "// writes: no\n// cost: cheap -- it is", 6, "cost 'cheap -- it is', expected one of under"),
    ("// writes: no", "// writes: no\n// cost: under 1 s", 6, "and ` -- reason`"),
    ("// writes: no", "// writes: no\n// graph: yes", 6, "column of type path go together"),
    ("// column: name string", "// column: name path", 1, "column of type path go together"),
    ("MATCH (n", "CYPHER 4 MATCH (n", 12, "CYPHER 4, expected 5 or 25"),
]


@pytest.mark.parametrize(("old", "new", "line", "cause"), BROKEN, ids=[f"{i}" for i in range(len(BROKEN))])
def test_a_broken_contract_is_refused_with_file_and_line(tmp_path, old, new, line, cause):
    """What disagrees is named, with the file and the line to look at."""
    assert old in GOOD
    text = GOOD.replace(old, new)
    if not cause:  # a wider key is a better key
        assert read_query(write(tmp_path, text)).key == ("name", "count")
        return
    with pytest.raises(QueryError, match=re.escape(cause)) as refused:
        read_query(write(tmp_path, text))
    assert re.match("good[.]cypher:" + str(line or "[0-9]+") + ": ", refused.value.cause)
    assert refused.value.remedy


def test_file_names_and_unreadable_files_are_refused(tmp_path):
    """A query is called by its file's name; a file in another encoding is none."""
    with pytest.raises(QueryError, match="file name 'Good Query'"):
        read_query(write(tmp_path, GOOD, "Good Query"))
    (tmp_path / "latin.cypher").write_bytes(b"// title: \xe9\n")
    with pytest.raises(QueryError, match="cannot be read"):
        read_query(tmp_path / "latin.cypher")
    with pytest.raises(QueryError, match="no statement"):
        read_query(write(tmp_path, GOOD.split("\n\n")[0] + "\n"))


def test_the_library_is_whole():
    """Every file of the folder is a query, and those that the documents name are there."""
    assert set(library()) == {path.stem for path in FOLDER.glob("*.cypher")}
    assert {"classify_clusters", "classify_egos", "hub_spoke_clusters", "star", "atlases"} <= set(library())
    assert [name for name, query in library().items() if query.writes] == ["classify_clusters", "classify_egos"]
    reading = [query for query in library().values() if not query.writes]
    assert len(reading) >= 40
    assert {query.group for query in reading} == {group for group in GROUPS if group != "classify"}
    assert [query.name for query in reading if not query.cost] == []
    assert [query.name for query in reading if query.cost == "over 1 s"] == SLOW


def test_each_class_of_the_schema_is_set_and_taken_away():
    """The classifying queries set every class label where the schema says, and remove all of them first."""
    for label, name in (("Cluster", "classify_clusters"), ("Feature", "classify_egos")):
        text = find(name).statement
        removed = re.search(r"REMOVE \w((?::\w+)+)\n\s*FOREACH", text)
        classified = [c for c in NODES[label].classes if c.property in ("shape", "ego_shape")]
        assert removed is not None
        assert removed.group(1).split(":")[1:] == [c.label for c in classified]
        for class_ in classified:
            assert re.search(rf"shape = '{class_.value}' THEN \[1\] ELSE \[\] END \| SET \w:{class_.label}\)", text)


def test_unknown_names_are_answered_with_near_ones():
    """A misspelt query or parameter is answered with what was probably meant."""
    with pytest.raises(QueryError, match="no query 'hub_spok_clusters'; did you mean hub_spoke_clusters"):
        find("hub_spok_clusters")
    with pytest.raises(QueryError, match="did you mean min_size") as refused:
        parse_parameters(find("hub_spoke_clusters"), ("minsize=3",))
    assert "star_like" in refused.value.remedy


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("min_size", "12", 12),
        ("star_like", "yes", True),
        ("star_like", "False", False),
        ("level", "null", None),
        ("level", "coarse", "coarse"),
    ],
)
def test_values_are_converted_by_the_declared_type(name, text, value):
    """`key=value` becomes a value of the type in the header; only the first `=` divides."""
    assert parse_parameters(find("hub_spoke_clusters"), (f"{name}={text}",)) == {name: value}
    assert parse_parameters(find("senses"), ("token==a=b",)) == {"token": "=a=b"}


def test_a_value_that_is_none_of_the_choices_is_answered_with_near_ones():
    """A misspelt choice would be an empty answer; it is refused instead, and however long it is shown short."""
    with pytest.raises(QueryError, match="level is 'midle'; did you mean middle") as refused:
        parse_parameters(find("bridges"), ("level=midle",))
    assert refused.value.remedy == "it is one of: coarse, middle, fine"
    with pytest.raises(QueryError) as refused:
        parse_parameters(find("bridges"), ("level=" + "\u202e" * 10**6,))
    assert len(refused.value.cause) < 200
    assert refused.value.cause.isascii()


@pytest.mark.parametrize(
    "pairs", [("min_size=ten",), ("min_size=1.5",), ("min_size=null",), ("star_like=1",), ("level",), ("level=a",) * 2]
)
def test_what_is_no_value_is_refused(pairs):
    """Another type, a missing `=` and a second value are refused."""
    with pytest.raises(QueryError):
        parse_parameters(find("hub_spoke_clusters"), pairs)


def test_numbers_that_no_database_holds_are_refused():
    """NaN, infinity and integers beyond 64 bits are refused; an integer passes as a float."""
    phi = find("neighbours").parameter("min_phi")
    for text in ("nan", "inf", "x"):
        with pytest.raises(QueryError, match="expected a float"):
            parse_value(phi, text)
    assert check_value(phi, 1) == 1.0
    with pytest.raises(QueryError, match="expected an integer"):
        parse_value(find("neighbours").parameter("feature"), str(2**63))


def test_the_atlas_is_the_only_one_or_has_to_be_said():
    """With one atlas the parameter has it; with several or none the error says what to do."""
    counts = find("counts")
    assert resolve(counts, {}, ["a"]) == {"atlas": "a"}
    with pytest.raises(QueryError, match="2 atlases: a, b"):
        resolve(counts, {}, ["a", "b"])
    with pytest.raises(QueryError, match="holds no atlas"):
        resolve(counts, {}, [])
    with pytest.raises(QueryError, match="no atlas 'demoo' in the database; did you mean demo"):
        resolve(counts, {"atlas": "demoo"}, ["demo", "x"])
    with pytest.raises(QueryError, match="needs the parameter feature"):
        resolve(find("neighbours"), {}, ["a"])


def test_a_folder_of_the_users_stands_beside_the_shipped_queries(tmp_path):
    """Its queries are found by name; what is no query, or has a shipped one's name, is said with file and line."""
    write(tmp_path, GOOD, "mine")
    write(tmp_path, GOOD.replace("// writes: no\n", ""), "bad")
    write(tmp_path, GOOD, "hubs")
    (tmp_path / "notes.txt").write_text("no query")
    own = read_folder(tmp_path)
    assert (list(own.queries), list(own.refused)) == (["mine"], ["bad", "hubs"])
    assert find("mine", tmp_path).title == "A title"
    assert find("counts", tmp_path) is library()["counts"]
    with pytest.raises(QueryError, match=re.escape(f"{tmp_path / 'bad.cypher'}:1: the header has no `writes:`")):
        find("bad", tmp_path)
    with pytest.raises(QueryError, match="a shipped query has this name"):
        find("hubs", tmp_path)
    with pytest.raises(QueryError, match="no query 'min'; did you mean mine"):
        find("min", tmp_path)
    with pytest.raises(QueryError, match="No such file"):
        read_folder(tmp_path / "none")


def test_reference_page_is_current():
    """docs/queries.md is what the headers make."""
    assert (FOLDER.resolve().parent / "docs" / "queries.md").read_text("utf8") == reference()
