"""Contexts: which firings are shown, the text around them, and what the two features of an edge do there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas.artifacts import Run, Spec
from atlas.contexts import collect, pick_firings, pick_joint, spell, spread, strongest_edges, windows_around
from atlas.contexts.text import caption
from atlas.errors import ArtifactError, InputError
from atlas.files import write_table
from atlas.firings import Firings, Shard, build_index, write_shard
from atlas.schema import TABLES

TEXTS = {0: " the", 1: " cat", 2: "\ufffd", 3: "\ufffd", 4: "</script>", 5: "\u202e`'\"\x1b[31m", 6: "\n", 7: "\ufffd"}
PIECES = {2: b"\xc3", 3: b"\xa9", 7: b"\xe2\x82"}
"""An é in two pieces, and the first two of the three bytes of a €."""


def write_run(run, documents, fires, *, texts=TEXTS, pieces=PIECES, d_sae=4, reservoir=None, positions=None):
    """Write documents as lists of items, and what fires where as (row, feature): activation."""

    def compute(directory: Path):
        items = np.array([item for document in documents for item in document], np.int32)
        document = np.repeat(np.arange(len(documents), dtype=np.int32), [len(some) for some in documents])
        position = np.concatenate([np.arange(len(some), dtype=np.int32) for some in documents])
        if positions is not None:
            position = np.array(positions, np.int32)
        for number, low in enumerate(range(0, len(items), 3)):
            rows = range(low, min(low + 3, len(items)))
            own = [sorted((f, value) for (row, f), value in fires.items() if row == at) for at in rows]
            shard = Shard(
                items[low : low + 3], document[low : low + 3], position[low : low + 3],
                np.concatenate([[0], np.cumsum([len(some) for some in own])]).astype(np.int64),
                np.array([f for some in own for f, _ in some], np.int32),
                np.array([value for some in own for _, value in some], np.float32),
            )  # fmt: skip
            write_shard(directory, number, shard, d_sae=d_sae)
        build_index(directory, n_shards=-(-len(items) // 3), d_sae=d_sae, reservoir=reservoir)
        names = [f"d{number}" for number in range(len(documents))]
        sizes = [len(some) for some in documents]
        table = {"document": range(len(names)), "name": names, "source": names, "n_tokens": sizes}
        write_table(directory, "documents", table)
        vocabulary = {"token_id": list(texts), "text": list(texts.values()), "n_tokens": [1] * len(texts)}
        write_table(directory, "vocabulary", vocabulary)
        if pieces is not None:
            write_table(
                directory, "pieces", {"token_id": list(pieces), "bytes": [each.hex() for each in pieces.values()]}
            )
        return {}

    return run.produce(Spec("10-activations", {"reservoir": reservoir}), compute)


def write_communities(run, edges, communities):
    """Write edges as (a, b): phi, all on the backbone, and communities of the fine level."""

    def filled(name, rows):
        kinds = {"string": "", "integer": 1, "float": 0.5, "boolean": True}
        return {
            column.name: [row.get(column.name, kinds.get(column.type)) for row in rows]
            for column in TABLES[name].columns
        }

    kinds = {"kind": "CO_OCCURS", "kept_by": "phi"}
    rows = [{"a": a, "b": b, "phi": phi, **kinds} for (a, b), phi in sorted(edges.items())]
    rows[0]["kept_by"] = None  # significant, and not on the backbone
    members = [{"index": i, "level": "fine", "cluster": n} for n, some in enumerate(communities) for i in some]
    tables = (("30-edges", "edges", rows), ("40-clusters", "membership", sorted(members, key=lambda row: row["index"])))
    for stage, name, some in tables:
        columns = filled(name, some)
        run.produce(Spec(stage, {}, ("10-activations",)), lambda at, n=name, c=columns: write_table(at, n, c) or {})


def rows_of(artifact, name):
    return artifact.table(name).to_pylist()


def test_the_strongest_are_spread_over_documents():
    """Each document's strongest first, the strongest of these first; then the second of each; equal ones in order."""
    strength = np.array([5.0, 9.0, 7.0, 1.0, 3.0, 3.0])
    document = np.array([0, 0, 0, 4, 2, 2])
    assert spread(strength, document, k=9).tolist() == [1, 4, 3, 2, 5, 0]
    assert spread(strength, document, k=2).tolist() == [1, 4]
    assert spread(np.zeros(0), np.zeros(0, int), k=3).tolist() == []


def test_firings_are_picked_by_feature(tmp_path):
    """Strongest by size of the activation (signed SAEs), drawn ones by seed and feature, and those that are both."""
    fires = {(row, 0): float(1 + row) for row in range(6)} | {(0, 1): -5.0, (1, 1): 2.0, (5, 1): 1.0}
    with Run(tmp_path) as run:
        firings = Firings(write_run(run, [[0, 1, 0], [1, 0, 1]], fires).path)
    picked = pick_firings(firings, strongest=1, uniform=0, seed=0)
    assert list(zip(picked.index.tolist(), picked.row.tolist(), picked.activation.tolist(), strict=True)) == [
        (0, 5, 6.0), (1, 0, -5.0),
    ]  # fmt: skip
    whole = pick_firings(firings, strongest=2, uniform=9, seed=0)
    assert whole.row[whole.index == 0].tolist() == list(range(6))
    assert whole.sample[whole.index == 0].tolist() == [1, 1, 2, 1, 1, 2]  # 2 and 5 are the strongest of each document
    drawn = [pick_firings(firings, strongest=0, uniform=2, seed=seed) for seed in range(300)]
    counts = np.bincount(np.concatenate([one.row[one.index == 0] for one in drawn]), minlength=6)
    assert abs(counts - 100).max() < 35  # 300 draws of 2 in 6: 100 each, sd 8
    again = pick_firings(firings, strongest=0, uniform=2, seed=7)
    assert again.row.tolist() == drawn[7].row.tolist()


def test_windows_stay_in_their_document():
    """As many rows to either side as there are, never one of another document, whichever comes back later."""
    document = np.array([0, 0, 0, 1, 0, 0])
    windows = windows_around(np.array([0, 2, 3, 5]), document, window=2)
    assert (windows.first.tolist(), windows.length.tolist()) == ([0, 0, 3, 4], [3, 3, 1, 2])
    assert windows.at.tolist() == [0, 2, 0, 1]
    assert windows.rows().tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5]


def test_characters_are_made_of_their_pieces():
    """A character stands with the token of the context, else with its first token; a half one alone is a sign."""

    def spelt(tokens, at=0, own=None, position=None):
        every = range(len(tokens))
        return spell(tokens, position or every, own=own or every, at=at, text=TEXTS, pieces=PIECES)

    assert spelt([0, 2, 3, 1]) == [" the", "é", "", " cat"]
    assert spelt([0, 2, 3, 1], at=2) == [" the", "", "é", " cat"]
    assert spelt([2, 2, 3, 3]) == ["\ufffd", "é", "", "\ufffd"]
    assert spelt([0, 2, 1]) == [" the", "\ufffd", " cat"]
    assert spelt([2, 3], position=[4, 6]) == ["\ufffd", "\ufffd"]  # a token between them was dropped
    assert spelt([2, 3, 1], own=range(1, 3), at=1) == ["é", " cat"]  # the window begins inside of it
    assert spelt([1, 2, 3], own=range(2)) == [" cat", "é"]
    assert spelt([2, 3, 7, 3, 7, 2], at=3) == ["é", "", "", "₩", "\ufffd", "\ufffd"]  # E2 82 A9


def test_what_fires_around_is_read_from_every_shard(tmp_path):
    """The activations over each window are those of a dense matrix; the same with a reservoir, which keeps fewer."""
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((20, 4)) < 0.5, rng.gamma(2.0, 1.0, (20, 4)), 0).astype(np.float32)
    fires = {(int(row), int(f)): float(dense[row, f]) for row, f in zip(*np.nonzero(dense), strict=True)}
    for reservoir in (None, 3):
        with Run(tmp_path / str(reservoir)) as run:
            write_run(run, [[0] * 11, [1] * 9], fires, reservoir=reservoir)
            found = collect(run, strongest=2, uniform=2, window=4)
        contexts = rows_of(found, "contexts")
        assert found.results["of_reservoir"] == reservoir
        assert found.results["has_communities"] is False
        for row in rows_of(found, "feature_contexts"):
            context = contexts[row["context"]]
            low, high = (0, 11) if context["row"] < 11 else (11, 20)
            span = slice(max(low, context["row"] - 4), min(high, context["row"] + 5))
            assert row["activations"] == dense[span, row["index"]].tolist()
            assert row["activations"][context["place"]] == row["activation"] == dense[context["row"], row["index"]]
    firings = Firings(found.path.parent / "10-activations")
    picked = pick_firings(firings, strongest=1, uniform=0, seed=0)
    for feature, row in zip(picked.index.tolist(), picked.row.tolist(), strict=True):
        kept, values = firings.contexts_of(feature)
        assert row == kept[values.argmax()]  # of the sample


def test_joint_firings_where_the_weaker_is_strongest(tmp_path):
    """min(a/max a, b/max b): a token on which one is at its height and the other flickers comes last."""
    fires = {(0, 0): 10.0, (0, 1): 1.0, (1, 0): 5.0, (1, 1): 2.0, (2, 0): 4.0, (3, 0): 1.0, (3, 1): 4.0, (4, 1): 2.0}
    with Run(tmp_path) as run:
        firings = Firings(write_run(run, [[0, 1, 0, 1, 0]], fires).path)
    pairs = np.array([[0, 1], [2, 3]])
    best = pick_joint(firings, pairs, strongest=1)
    assert [getattr(best, name).tolist() for name in best.__dataclass_fields__] == [[0], [1], [1], [5.0], [2.0], [0.5]]
    every = pick_joint(firings, pairs, strongest=9)
    assert (every.row.tolist(), every.share.tolist()) == ([0, 1, 3], [0.25, 0.5, 0.1])
    assert pick_joint(firings, pairs[:0], strongest=3).row.tolist() == []


def test_edges_that_are_shown_are_the_strongest_of_each_community(tmp_path):
    """Of each community its own, backbone alone; an edge between two communities is not one of either."""
    edges = {(0, 1): 0.9, (0, 2): 0.5, (1, 2): 0.6, (2, 3): 0.8, (3, 4): 0.2, (3, 5): 0.3, (4, 5): 0.1}
    with Run(tmp_path) as run:
        write_run(run, [[0, 1]], {(0, 0): 1.0}, d_sae=6)
        write_communities(run, edges, [[0, 1, 2], [3, 4, 5]])
        assert strongest_edges(run, edges=1).tolist() == [[1, 2], [3, 5]]
        assert strongest_edges(run, edges=2).tolist() == [[0, 2], [1, 2], [3, 4], [3, 5]]
        assert strongest_edges(run, edges=0).tolist() == []


@pytest.fixture
def told(tmp_path):
    """Give a run with two documents, hostile items, an edge, and a feature that never fires."""
    fires = {(2, 0): 3.0, (2, 1): 2.0, (1, 0): 1.0, (5, 1): 4.0, (7, 0): 1.0, (7, 1): 1.0}
    with Run(tmp_path) as run:
        write_run(run, [[0, 2, 3, 1], [4, 5, 6, 7, 1]], fires)
        write_communities(run, {(0, 1): 0.5, (0, 2): 0.4}, [[0, 1, 2]])
        yield run


def test_one_context_is_one_row_and_its_tokens_are_its_text(told):
    """Whoever points to it; nothing is lost or harmed in the data; captions show no control and no direction marks."""
    found = collect(told, strongest=2, uniform=0, edges_shown=1, window=2)
    contexts = rows_of(found, "contexts")
    assert [(row["context"], row["row"], row["document"], row["position"]) for row in contexts] == [
        (0, 2, 0, 2), (1, 5, 1, 1), (2, 7, 1, 3),
    ]  # fmt: skip
    assert all("".join(row["tokens"]) == row["text"] for row in contexts)
    assert [row["tokens"][row["place"]] for row in contexts] == ["é", TEXTS[5], "\ufffd"]
    assert contexts[0]["text"] == " theé cat"
    assert contexts[1]["text"] == f"</script>{TEXTS[5]}\n\ufffd"
    assert contexts[0]["name"] == "the«é» cat"
    assert [(row["index"], row["context"], row["sample"]) for row in rows_of(found, "feature_contexts")] == [
        (0, 0, "strongest"), (0, 2, "strongest"), (1, 0, "strongest"), (1, 1, "strongest"),
    ]  # fmt: skip
    assert rows_of(found, "feature_contexts")[0]["activations"] == [0.0, 1.0, 3.0, 0.0]
    assert rows_of(found, "edge_contexts") == []  # of (0, 2), the only edge of the backbone, there is no joint firing
    assert caption(["of\u202e", " the\n", "\x1b", "end"], 1) == "of\ufffd «the» \ufffdend"
    assert caption(["\n\n over", "rid", "es  it"], 1) == "over«rid»es it"
    assert caption(["a", " \n", "b"], 1) == "a«␣↵»b"
    for row in contexts:
        assert not set("\x1b\u202e\n\x00") & set(row["name"])
        assert len(row["name"]) <= 80


def test_the_same_seed_gives_the_same_bytes_and_options_decide(told):
    """Bytes by seed and options; without pieces the halves stay signs; what is no option is refused."""
    first = collect(told, window=1)
    sums = {name: file["sha256"] for name, file in first.files.items()}
    again = Path(first.path.parent / "again")
    with Run(again) as other:
        (again / "10-activations").symlink_to(told.path / "10-activations")
        (again / "30-edges").symlink_to(told.path / "30-edges")
        (again / "40-clusters").symlink_to(told.path / "40-clusters")
        assert {name: file["sha256"] for name, file in collect(other, window=1).files.items()} == sums
        for wrong in ({"window": -1}, {"strongest": 0, "uniform": 0}):
            with pytest.raises(InputError):
                collect(other, **wrong)


def test_a_long_text_stays_whole_and_a_missing_item_is_named(tmp_path):
    """1 MB of one item is in the text, and its caption short; a vocabulary that lacks an item is no traceback."""
    long = "x\u202e" * 500_000
    with Run(tmp_path / "long") as run:
        write_run(run, [[0, 1, 0]], {(1, 0): 1.0}, texts={0: long, 1: " cat"}, pieces=None)
        (context,) = rows_of(collect(run), "contexts")
    assert context["text"] == f"{long} cat{long}"
    assert len(context["name"]) < 80
    with Run(tmp_path / "missing") as run:
        write_run(run, [[0, 1, 0]], {(1, 0): 1.0}, texts={0: "a"}, pieces=None)
        with pytest.raises(ArtifactError, match="no row for item 1"):
            collect(run)
