"""Documents of a corpus, their tokens, and the windows and shards made of them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import AtlasError, InputError, ServiceError
from atlas.ingest.corpus import Corpus, Document, open_corpus, stream_dataset
from atlas.ingest.windows import Stream, cut_windows, pack_shards, plan, read_stream


class Letters:
    """A tokenizer whose ids are code points; `<` is BOS (60) and `>` is EOS (62)."""

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}


def corpus_of(*texts: str) -> Corpus:
    return Corpus("letters", {}, lambda: iter(Document(f"d{n}", "s", text) for n, text in enumerate(texts)))


def read(*texts: str, tokens: int | None = None, bos: int | None = 60) -> Stream:
    return read_stream(corpus_of(*texts), Letters(), special=[60, 62], bos=bos, tokens=tokens)


# ---- files


def test_each_kind_of_file_gives_the_same_documents(tmp_path: Path) -> None:
    """A text file is one document; JSON lines and Parquet have a document a row."""
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.txt").write_text("alpha")
    (tmp_path / "t" / "b.txt").write_text("beta")
    (tmp_path / "j.jsonl").write_text(
        '{"text": "alpha"}\n\n{"text": "beta", "document": "x", "source": "y"}\n'
    )
    pq.write_table(pa.table({"text": ["alpha", "beta"]}), tmp_path / "p.parquet")
    folder = list(open_corpus(tmp_path / "t").documents())
    assert folder == [Document("a.txt", "a.txt", "alpha"), Document("b.txt", "b.txt", "beta")]
    rows = list(open_corpus(tmp_path / "j.jsonl").documents())
    assert rows == [Document("j.jsonl#1", "j.jsonl", "alpha"), Document("x", "y", "beta")]
    assert [d.text for d in open_corpus(tmp_path / "p.parquet").documents()] == ["alpha", "beta"]


def test_empty_documents_are_counted_and_left_out(tmp_path: Path) -> None:
    """White space, empty text and null are no documents (fault 34)."""
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in ["a", "", " \n", None, "b"]))
    corpus = open_corpus(path)
    assert [d.text for d in corpus.documents()] == ["a", "b"]
    assert corpus.n_empty == 3
    assert [d.text for d in corpus.documents()] == ["a", "b"]
    assert corpus.n_empty == 3


def test_identity_is_of_contents_and_names_not_of_the_place(tmp_path: Path) -> None:
    """The same files elsewhere are the same corpus; one changed byte is another."""
    for place in ("one", "two"):
        (tmp_path / place / "texts").mkdir(parents=True)
        (tmp_path / place / "texts" / "a.txt").write_text("alpha")
    one, two = (open_corpus(tmp_path / place / "texts") for place in ("one", "two"))
    assert one.identity == two.identity
    (tmp_path / "two" / "texts" / "a.txt").write_text("alphb")
    assert open_corpus(tmp_path / "two" / "texts").identity != one.identity


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"one\ntwo \xff three\n", r"a\.txt, line 2: byte 0xff is not UTF-8"),
        ("a.txt", b"one\ntwo\nth\0ree\n", r"a\.txt, line 3: NUL"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xe4"}\n', r"a\.jsonl, line 2: byte 0xe4 is not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "a\\u0000b"}\n', r"a\.jsonl, line 2: NUL"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\\ud800"}\n', r"a\.jsonl, line 2: half of a surrogate"),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', r"a\.jsonl, line 2: not JSON"),
        ("a.jsonl", b"[1]\n", r"a\.jsonl, line 1: list, expected an object"),
        ("a.jsonl", b'{"text": 3}\n', r"a\.jsonl, line 1, column text: int, expected text"),
        (
            "a.jsonl",
            b'{"body": "a", "id": 1}\n',
            r"a\.jsonl, line 1: no column 'text'; there are 'body', 'id'",
        ),
        ("a.parquet", b"PAR1 no", r"a\.parquet: not a whole Parquet file"),
        ("a.csv", b"a", r"files of kind \.csv are not read"),
    ],
)
def test_fault_34_names_file_and_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """Text that cannot be used is refused with its place."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(open_corpus(tmp_path / name).documents())
    assert caught.value.remedy


def test_fault_34_parquet_columns(tmp_path: Path) -> None:
    """A missing column names those that are there; a column of numbers is no text."""
    pq.write_table(pa.table({"body": ["a"], "n": [1]}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="no column 'text'; there are 'body', 'n'"):
        list(open_corpus(tmp_path / "p.parquet").documents())
    with pytest.raises(InputError, match="row 0, column n: int, expected text"):
        list(open_corpus(tmp_path / "p.parquet", text_column="n").documents())
    assert [d.text for d in open_corpus(tmp_path / "p.parquet", text_column="body").documents()] == ["a"]


def test_fault_34_data_sets(tmp_path: Path) -> None:
    """A data set by name: script, split, column and rows that are no text, each with its own message."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"text": "alpha"}\n{"text": "beta"}\n')
    name = str(tmp_path / "data")
    assert [d.text for d in stream_dataset(name, "text", "train", None)] == ["alpha", "beta"]
    with pytest.raises(ServiceError, match="no column 'body'; there are 'text'"):
        list(stream_dataset(name, "body", "train", None))
    with pytest.raises(ServiceError, match="no split 'other'"):
        list(stream_dataset(name, "text", "other", None))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "made.py").write_text("raise SystemExit\n")
    with pytest.raises(ServiceError, match="made by a script"):
        list(stream_dataset(str(tmp_path / "made"), "text", "train", None))


def test_a_folder_without_text_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    """Both say what is read."""
    with pytest.raises(InputError, match="holds no file of kind"):
        open_corpus(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        open_corpus(tmp_path / "none.jsonl")


# ---- tokens


def test_documents_are_kept_apart_and_specials_are_dropped_by_id() -> None:
    """By hand: two documents, one EOS inside; positions count it, kept tokens do not."""
    stream = read("ab>c", "de")
    assert stream.token_id.tolist() == [97, 98, 62, 99, 100, 101]
    assert stream.kept.tolist() == [True, True, False, True, True, True]
    assert stream.offsets.tolist() == [0, 4, 6]
    assert stream.kept_per_document.tolist() == [3, 2]
    assert stream.document(2, 6).tolist() == [0, 0, 1, 1]


def test_fault_37_a_document_that_brings_its_own_bos_loses_it() -> None:
    """Only where one is prepended anyway."""
    assert read("<ab").token_id.tolist() == [97, 98]
    assert read("<ab", bos=None).token_id.tolist() == [60, 97, 98]


def test_tokens_stops_at_the_last_token_wanted() -> None:
    """Three kept tokens: the special one between them does not count."""
    stream = read("ab>cd", "ef", tokens=3)
    assert stream.token_id.tolist() == [97, 98, 62, 99]
    assert stream.names == ("d0",)
    assert stream.n_kept == 3


def test_fault_35_a_corpus_that_ends_early_says_how_many_it_has() -> None:
    """It is not begun a second time."""
    with pytest.raises(ServiceError, match="ends after 4 tokens, 9 were asked for") as caught:
        read("ab", "cd", tokens=9)
    assert "--tokens 4" in caught.value.remedy
    assert read("ab", "cd", tokens=4).n_kept == 4


def test_fault_45_nothing_left_after_special_tokens() -> None:
    """A corpus of special tokens alone has no firings."""
    with pytest.raises(AtlasError, match="no token is left in 1 documents"):
        read(">>>")


# ---- windows and shards


def test_windows_by_hand() -> None:
    """Documents of 7, 2 and 0 tokens in windows of 3."""
    assert cut_windows(np.array([0, 7, 9, 9]), 3).tolist() == [0, 3, 6, 7, 9]


def test_shards_by_hand() -> None:
    """A shard closes before it would exceed the limit; a larger window is a shard alone."""
    assert pack_shards(np.array([2, 2, 2, 9, 1, 1]), 4).tolist() == [0, 2, 3, 4, 6]
    assert pack_shards(np.array([], np.int64), 4).tolist() == [0]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=20), st.integers(1, 15))
def test_windows_tile_every_document(sizes: list[int], window: int) -> None:
    """No window crosses a document, none is empty or too long, and only a document's last is short."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    starts = cut_windows(offsets, window)
    lengths = np.diff(starts)
    assert starts[0] == 0
    assert starts[-1] == offsets[-1]
    assert ((lengths >= 1) & (lengths <= window)).all()
    assert set(offsets.tolist()) <= set(starts.tolist())
    short = starts[1:][lengths < window]
    assert set(short.tolist()) <= set(offsets.tolist())


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(1, 20))
def test_shards_hold_every_window_once_and_no_more_than_they_may(sizes: list[int], limit: int) -> None:
    """And no two neighbours would have fitted together."""
    bounds = pack_shards(np.array(sizes, np.int64), limit)
    shards = [sizes[a:b] for a, b in itertools.pairwise(bounds.tolist())]
    assert list(itertools.chain(*shards)) == sizes
    assert all(shards)
    assert all(sum(shard) <= limit or sum(size > 0 for size in shard) == 1 for shard in shards)
    assert all(sum(one) + other[0] > limit for one, other in itertools.pairwise(shards))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 8), st.integers(1, 5))
def test_batches_hold_a_shards_windows_once_longest_first(sizes: list[int], window: int, batch: int) -> None:
    """Padding is little because a batch's windows are of about one length."""
    planned = plan(read(*("x" * size for size in sizes)), window=window, shard_tokens=20)
    lengths = np.diff(planned.starts)
    seen: list[int] = []
    for shard in range(planned.n_shards):
        batches = planned.batches(shard, batch)
        order = np.concatenate(batches)
        assert (np.diff(lengths[order]) <= 0).all()
        assert all(len(one) <= batch for one in batches)
        assert sorted(order.tolist()) == list(range(planned.shards[shard], planned.shards[shard + 1]))
        seen += sorted(order.tolist())
    assert seen == list(range(planned.n_windows))
