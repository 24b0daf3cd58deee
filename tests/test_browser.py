"""What Neo4j Browser is given: a style for all that the schema knows, queries that run as pasted, a guide."""

from __future__ import annotations

import csv
import io
import itertools
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from graph_checks import empty
from neo4j.graph import Node
from small_atlas import Small, by_hand

from atlas.errors import InputError
from atlas.ingest.graph import load
from atlas.ingest.server.browser import ARCHIVE, LIST, STYLE, copy_command, setup
from atlas.ingest.server.cli import db
from atlas.queries.contract import GRAPH_NODES
from atlas.queries.guide import DEMO, examples, guide, page
from atlas.queries.inline import inlined, literal
from atlas.queries.library import library
from atlas.queries.saved import COLUMNS, GUIDE, as_saved_csv, as_saved_zip, saved
from atlas.schema import NODES, RELATIONSHIPS
from atlas.schema.browser import NODE_STYLES, RELATIONSHIP_STYLES, contrast, grass, text_color

DOCS = Path(__file__).parent.parent / "docs"
CLASSES = [[class_.label for class_ in node.classes] for node in NODES.values()]
NASTY = [
    "it's", 'a "quoted" `name`', "a\\", "\\u0027 x", "// no remark", "$atlas", "line\nline\t\x1b[31m",
    "\u202eright\u2028",
    " blanks ", "\U0001f600 \xfcn\xef", "",
]  # fmt: skip


def rules() -> dict[str, dict[str, str]]:
    """Read the sheet as Browser does: selectors, and what stands between the colons and semicolons of a rule."""
    rule = re.compile(r"(\S+) \{\n((?:  [\w-]+: (?:'[^';:]*'|[^';:{}]+);\n)+)\}\n")
    assert not rule.sub("", grass()).strip()  # nothing is left over
    found = rule.findall(grass())
    sheet = {selector: dict(line[2:-1].split(": ") for line in body.splitlines()) for selector, body in found}
    assert len(sheet) == len(found)
    return sheet


def look(*labels: str) -> dict[str, str]:
    """Return what Browser draws a node of these labels with: of all rules that fit, the later wins."""
    drawn: dict[str, str] = {}
    for selector, properties in rules().items():
        tag, *wanted = selector.split(".")
        if tag == "node" and set(wanted) <= set(labels):
            drawn |= properties
    return drawn


def test_every_label_and_type_has_a_style() -> None:
    """A label that the schema gets has no style until it is given one; none is left of a label that is gone."""
    assert set(NODE_STYLES) == {*NODES, *itertools.chain(*CLASSES)}
    assert set(RELATIONSHIP_STYLES) == set(RELATIONSHIPS)
    sheet = rules()
    assert set(sheet) == {
        "node", "relationship", *(f"node.{label}" for label in NODE_STYLES),
        *(f"relationship.{type_}" for type_ in RELATIONSHIP_STYLES),
    }  # fmt: skip
    for selector, properties in sheet.items():  # a rule that lacked one would show another label's
        assert set(properties) == set(sheet[selector.split(".")[0]]), selector
        assert all(re.fullmatch(r"#[0-9A-F]{6}", value) for name, value in properties.items() if "color" in name)
        assert all(re.fullmatch(r"\d+px", properties[name]) for name in properties if name.endswith(("size", "width")))
    for label, node in NODES.items():
        named = NODE_STYLES[label].caption.strip("{}")
        assert not named or named in {field.name for field in node.properties}


def test_a_star_is_seen_as_one() -> None:
    """A hub has another colour than its leaves and is half as large again, whatever else it is; a community a ring."""
    leaves = [look("Feature"), look("Feature", "EgoMixed"), look("Feature", "EgoJoint")]
    hubs = [look("Feature", "Hub", *more) for more in ([], ["EgoMixed"], ["EgoJoint"], ["EgoHubSpoke"])]
    hubs.append(look("Feature", "EgoHubSpoke"))
    for hub, leaf in itertools.product(hubs, leaves):
        assert hub["color"] != leaf["color"]
        assert int(hub["diameter"][:-2]) >= 1.5 * int(leaf["diameter"][:-2])
    assert look("Feature", "Hub", "EgoHubSpoke") == look("Feature", "EgoHubSpoke")
    assert {look("Feature", "EgoJoint")["color"]} == {look("Cluster", "FullyConnected")["color"]}
    assert {look("Feature", "EgoHubSpoke")["color"]} == {look("Cluster", "HubSpoke")["color"]}
    rings = {look("Cluster", label)["border-color"] for label in ("FullyConnected", "HubSpoke", "Undetermined")}
    assert len(rings) == 1
    assert not rings & {leaf["border-color"] for leaf in [*leaves, *hubs]}


def test_a_neighbourhood_is_no_hairball() -> None:
    """What is drawn unless more is asked for has fewer than a hundred lines, though all of it fires together."""
    drawn = library()["neighbourhood"].parameter("neighbours").default + 1
    assert drawn * (drawn - 1) / 2 < 100


def test_captions_can_be_read_and_colours_told_apart() -> None:
    """Contrast as WCAG 2 asks of small text; and to a person who lacks one kind of cone no two colours are one."""
    for style in NODE_STYLES.values():
        assert contrast(text_color(style.color), style.color) >= 4.5
    assert (contrast("#FFFFFF", "#000000"), contrast("#777777", "#777777")) == (21, 1)
    for styles in (NODE_STYLES, RELATIONSHIP_STYLES):
        for one, other in itertools.combinations(sorted({style.color for style in styles.values()}), 2):
            for missing in (None, *DICHROMATS):
                assert difference(one, other, missing) > 12, (one, other, missing)


DICHROMATS = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""Linear RGB as seen without one kind of cone: Machado, Oliveira and Fernandes (2009), doi:10.1109/TVCG.2009.113."""
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))


def difference(one: str, other: str, missing: str | None) -> float:
    """Return the distance of two colours in CIELAB, 2 is just noticeable, as a person of that sight has them."""
    first, second = (lab(color, missing) for color in (one, other))
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5


def lab(color: str, missing: str | None) -> tuple[float, float, float]:
    shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    if missing:
        linear = [min(max(value, 0.0), 1.0) for value in times(DICHROMATS[missing], linear)]
    scaled = [value / white for value, white in zip(times(TO_XYZ, linear), (0.95047, 1.0, 1.08883), strict=True)]
    x, y, z = (v ** (1 / 3) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def times(matrix: tuple[tuple[float, ...], ...], vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def test_the_guide_is_current_and_its_pictures_are_there() -> None:
    """docs/guide.md is what the program writes; ten steps, six pictures, none too large for a page."""
    assert (DOCS / "guide.md").read_text("utf8") == page()
    assert len(guide()) == 10
    pictures = [DOCS / step.picture for step in guide() if step.picture]
    assert len(set(pictures)) == 6
    assert all(10_000 < picture.stat().st_size < 150_000 for picture in pictures)


def test_parameters_outside_of_strings_and_remarks_are_written_out() -> None:
    """A `$` in a string, a remark or a quoted name is none; a value that looks like one is not replaced again."""
    text = "// $a\nRETURN $a + '$a' + \"it's $a\" AS `$a` /* $a */ LIMIT $ab"
    assert inlined(text, {"a": "$ab", "ab": 3}) == "// $a\nRETURN '$ab' + '$a' + \"it's $a\" AS `$a` /* $a */ LIMIT 3"
    assert [literal(value) for value in (None, True, -2, 0.25)] == ["null", "true", "(-2)", "0.25"]
    with pytest.raises(KeyError):
        inlined("RETURN $b", {"a": 1})
    assert all(literal(text).isprintable() for text in NASTY)


def test_the_files_are_brought_over_ssh() -> None:
    """The copy has scp's option for a port, and brackets around an address with colons."""
    assert copy_command(Path("/x"), "") is None
    assert "scp -r -P 2222 '" in str(copy_command(Path("/x y"), "10.0.0.9 50000 10.0.0.1 2222"))
    assert "@[fe80::1]:/x" in str(copy_command(Path("/x"), "fe80::2 50000 fe80::1 22"))


@pytest.fixture(scope="module")
def hand(driver, tmp_path_factory):
    """Load the atlas that is known by hand as the only one."""
    empty(driver)
    load(by_hand().write(tmp_path_factory.mktemp("hand")), driver, name="hand")
    yield driver
    empty(driver)


@pytest.mark.neo4j
def test_a_value_that_is_written_out_is_that_value(driver) -> None:
    """Whatever a token or a name holds, the server reads it back, and nothing of it is Cypher."""
    for value in [*NASTY, None, True, 7, -7, 1e-300, 0.1]:
        assert driver.execute_query(f"RETURN {literal(value)} AS x").records[0]["x"] == value


@pytest.mark.neo4j
def test_examples_are_what_the_atlas_has(hand) -> None:
    """The hub, the exclusions, the root, the clique and the nested community of the atlas by hand."""
    found = examples(hand, "hand")
    assert found == {
        "atlas": "hand", "hub": 36, "token": " new", "leaf": 37, "last_leaf": 40, "over": 0, "parent": 36, "child": 0,
        "clique": 2, "community": 0, "topic": 0,
    }  # fmt: skip
    assert set(DEMO) <= set(found)


@pytest.mark.neo4j
def test_every_query_runs_as_it_is_pasted(hand) -> None:
    """The guide comes first and each step answers; of the library all that reads is there; a graph can be drawn."""
    kept = saved(examples(hand, "hand"))
    assert [each.folder for each in kept[:11]].count(GUIDE) == len(guide()) == 10
    reading = {query.title: query for query in library().values() if not query.writes and not query.needs}
    assert {each.name for each in kept[10:]} == set(reading)
    for each in kept:
        records = hand.execute_query(each.text).records
        assert records or each.folder != GUIDE, each.name
        assert each.text.startswith(f"// {each.name}\n")
        nodes = {node.element_id for record in records for value in record.values() for node in drawn(value)}
        assert len(nodes) <= GRAPH_NODES
        if each.folder == GUIDE:
            assert bool(nodes) == bool(guide()[kept.index(each)].picture) or "star" in each.name.lower(), each.name


def drawn(value) -> list[Node]:
    """Return the nodes of a path, or a node; nothing of other values."""
    return list(getattr(value, "nodes", [value] if isinstance(value, Node) else []))


@pytest.mark.neo4j
def test_the_kept_files_hold_the_same_queries(hand) -> None:
    """Rows with folders before what is in them; the archive a folder and a file each, the same at every time."""
    kept = saved(examples(hand, "hand"))
    first, *rows = csv.reader(io.StringIO(as_saved_csv(kept)))
    assert tuple(first) == COLUMNS
    assert len({row[3] for row in rows}) == len(rows)
    folders = {row[3]: row[0] for row in rows if row[5] == "true"}
    assert [(folders[row[4]], *row[:3]) for row in rows if row[5] == "false"] == [
        (each.folder, each.name, each.description, each.text) for each in kept
    ]
    with zipfile.ZipFile(io.BytesIO(as_saved_zip(kept))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert list(files.values()) == [each.text for each in kept]
    assert [name.split("/")[0] for name in files] == [each.folder for each in kept]
    assert all(re.fullmatch(r"\w+/\w+\.cypher", name) for name in files)
    assert as_saved_zip(kept) == as_saved_zip(saved(examples(hand, "hand")))


@pytest.mark.neo4j
def test_setup_writes_the_files_and_says_how_to_use_them(hand, server, tmp_path) -> None:
    """Three lines name the three files, the address follows; what cannot be done is said and nothing is written."""
    folder = tmp_path / "a" / "b"
    said = CliRunner().invoke(db, ["browser", "--setup", str(folder)], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert [name in lines[at] for name, at in ((STYLE, 0), (ARCHIVE, 0), (LIST, 1))] == [True] * 3
    assert lines[3].startswith(f"http://127.0.0.1:{server.http_port}/browser/")
    assert (folder / STYLE).read_text() == grass()
    assert sorted(path.name for path in folder.iterdir()) == sorted((STYLE, ARCHIVE, LIST))
    with pytest.raises(InputError, match="no atlas 'other' in the database: hand"):
        setup(hand, tmp_path / "c", "other")
    assert not (tmp_path / "c").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        setup(hand, tmp_path / "file")
    alone = CliRunner().invoke(db, ["browser", "--atlas", "hand"])
    assert (alone.exit_code, "--setup" in alone.stderr) == (2, True)


@pytest.mark.neo4j
def test_what_an_atlas_lacks_is_left_out(driver, tmp_path) -> None:
    """An atlas of two features and no edge has no star to show: its guide is short, and each query still runs."""
    empty(driver)
    with pytest.raises(InputError, match="holds no atlas"):
        setup(driver, tmp_path / "x")
    load(Small(n_features=2, edges={}).write(tmp_path / "run"), driver, name="bare")
    kept = saved(examples(driver, "bare"))
    assert [each.name[:2] for each in kept if each.folder == GUIDE] == ["01", "05", "07"]
    assert not {"A star", "Neighbours of a feature"} & {each.name for each in kept}
    for each in kept:
        driver.execute_query(each.text)
    load(Small(n_features=2, edges={}).write(tmp_path / "more"), driver, name="more")
    with pytest.raises(InputError, match="several atlases"):
        setup(driver, tmp_path / "x")
    assert setup(driver, tmp_path / "x", "more")
