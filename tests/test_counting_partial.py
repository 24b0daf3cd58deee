"""Partial counts: written whole and named when damaged, merged exactly whatever the order, the cuts and the memory."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import RULES, dense, draw, oracle, pack, part
from hypothesis import given
from hypothesis import strategies as st

from atlas.counting import partial
from atlas.counting.merging import merge_counted
from atlas.counting.partial import cut_by_pairs, read_description, read_partial, write_partial
from atlas.counting.ranked import Counted, Ranked
from atlas.counting.reference import ReferenceCounter
from atlas.counting.scheme import Scheme
from atlas.errors import ArtifactError, CapacityError, InputError

MEMORY = 2**24


def counted(scheme: Scheme, firing: dict[str, Any], *, first_token: int = 0) -> Counted:
    """Return the counts of one counter, its rows in one block."""
    counter = ReferenceCounter(scheme, first_token=first_token)
    counter.update(**firing)
    return Counted(scheme, counter.firing_count, counter.covered, list(counter.ranked()))


def in_blocks(whole: Counted, *sizes: int) -> Counted:
    """Return the same counts in blocks of so many rows, the last size repeated, each row's columns backwards."""
    (block,) = whole.blocks
    blocks, low = [], 0
    while low < block.high:
        high = min(block.high, low + sizes[min(len(blocks), len(sizes) - 1)])
        blocks.append(backwards(partial.part_of(block, low, high)))
        low = high
    return replace(whole, blocks=blocks)


def backwards(block: Ranked) -> Ranked:
    place = np.concatenate([np.arange(stop, start, -1) - 1 for start, stop in itertools.pairwise(block.indptr)]).astype(
        np.int64
    )
    sums = block.joint_sum[:, place] if block.joint_sum.shape[1] else block.joint_sum
    return Ranked(block.low, block.indptr, block.columns[place], block.joint_count[:, place], sums)


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def same(a: Counted, b: Counted) -> None:
    """Hold two counts against each other, entry by entry."""
    assert a.covered == b.covered
    assert np.array_equal(a.firing_count, b.firing_count)
    for x, y in zip(dense(a.scheme, list(a.blocks)), dense(b.scheme, list(b.blocks)), strict=True):
        assert np.array_equal(x, y)


def cuts(firing: dict[str, Any], scheme: Scheme, bounds: Sequence[int]) -> list[Counted]:
    return [counted(scheme, part(firing, start, stop), first_token=start) for start, stop in itertools.pairwise(bounds)]


@pytest.mark.parametrize(("n_rules", "sums"), [(1, False), (3, False), (2, True)])
def test_what_is_written_is_read(tmp_path: Path, n_rules: int, sums: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scheme, tokens, firings and pairs come back, in as many files as their pairs take."""
    monkeypatch.setattr(partial, "FILE_PAIRS", 100)
    scheme = Scheme(np.random.default_rng(0).permutation(50), RULES[:n_rules], sums, "some activations")
    whole = counted(scheme, draw(50, 80, 6, 1, bits=n_rules - 1, sums=sums), first_token=7)
    found = read_partial(write_partial(tmp_path / "part", whole))
    assert found.scheme.description() == scheme.description()
    assert found.covered == ((7, 87),)
    assert len(list(found.blocks)) > 3
    same(found, whole)
    same(found, whole)  # the rows can be gone through again
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize("sizes", [(1,), (3, 20, 1), (64,)])
def test_equal_counts_give_equal_bytes(tmp_path: Path, sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither blocks, nor the order of columns in a row, nor the way to the counts is in the files."""
    monkeypatch.setattr(partial, "FILE_PAIRS", 150)
    scheme = Scheme(np.random.default_rng(0).permutation(64), RULES[:2], True)
    firing = draw(64, 90, 7, 2, bits=1, sums=True)
    one = content(write_partial(tmp_path / "one", counted(scheme, firing)))
    assert one == content(write_partial(tmp_path / "two", in_blocks(counted(scheme, firing), *sizes)))
    parts = [in_blocks(each, *sizes) for each in cuts(firing, scheme, [0, 30, 31, 90])]
    assert one == content(write_partial(tmp_path / "three", merge_counted(parts, memory=20_000)))
    for name, data in one.items():
        assert str(tmp_path).encode() not in data, name


def test_rows_are_cut_by_their_pairs_alone() -> None:
    """As many whole rows as fit, empty ones with those before them, a larger row by itself."""
    sizes = np.array([0, 1, 2, 0, 5, 0, 2, 2, 0])
    n = int(sizes.sum())
    columns = np.concatenate([np.arange(size) for size in sizes]).astype(np.uint32)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    block = Ranked(0, indptr, columns, np.arange(1, n + 1)[None], np.zeros((2, 0), np.int64))
    for width in (1, 2, 4, 9):
        some = [partial.part_of(block, low, min(low + width, 9)) for low in range(0, 9, width)]
        pieces = list(cut_by_pairs(some, 4))
        assert [(piece.low, piece.high, piece.n_pairs) for piece in pieces] == [(0, 4, 3), (4, 5, 5), (5, 9, 4)]
        assert np.concatenate([piece.joint_count for piece in pieces], 1).tolist() == block.joint_count.tolist()


@st.composite
def divided(draws: st.DrawFn) -> tuple[int, int, int, list[int], list[int]]:
    """Return features, tokens, seed, the cuts between parts, and the order in which the parts are merged."""
    d, n = draws(st.integers(1, 90)), draws(st.integers(1, 60))
    bounds = sorted({0, n, *draws(st.lists(st.integers(0, n), max_size=5))})
    return d, n, draws(st.integers(0, 2**20)), bounds, draws(st.permutations(range(len(bounds) - 1)))


@given(divided(), st.integers(1, 4), st.booleans(), st.integers(1, 4), st.integers(0, 3000))
def test_merging_is_adding_whatever_order_and_cuts(
    how: tuple[int, int, int, list[int], list[int]], n_rules: int, sums: bool, prune: int, spare: int
) -> None:
    """Equal to one counter of all tokens, merged all at once or two by two, with much memory or hardly any."""
    d, n, seed, bounds, order = how
    firing = draw(d, n, min(d, 9) / 2, seed, bits=n_rules - 1, sums=sums)
    scheme = Scheme(np.random.default_rng(seed).permutation(d), RULES[:n_rules], sums)
    counter = ReferenceCounter(scheme)
    counter.update(**firing)
    pieces = cuts(firing, scheme, bounds)
    pieces = [in_blocks(pieces[k], 1 + (seed + k) % 7, 1 + seed % 40) for k in order]
    memory = d * 8 * (n_rules + 2 * sums) + d + 1000 + spare
    wanted = list(counter.ranked(prune=prune))
    whole = merge_counted(pieces, prune=prune, memory=memory)
    nested = pieces[0]
    for other in pieces[1:]:
        nested = merge_counted([other, nested], memory=memory)
    for found in (whole, merge_counted([nested], prune=prune, memory=MEMORY)):
        same(found, replace(whole, firing_count=counter.firing_count, blocks=wanted))
    assert whole.covered == ((0, n),)


def test_pruning_waits_for_the_last_part() -> None:
    """Three tokens in each of two parts are six: nothing is dropped before."""
    scheme = Scheme(np.arange(3))
    pieces = [counted(scheme, pack([[0, 1]] * 3 + [[1, 2]]), first_token=4 * k) for k in range(2)]
    found = dense(scheme, list(merge_counted(pieces, prune=6, memory=MEMORY).blocks))[0][0]
    assert found.tolist() == [[0, 0, 0], [6, 0, 0], [0, 0, 0]]


def test_fault_44_totals_past_two_to_the_31(tmp_path: Path) -> None:
    """Three parts of 2^31 - 1 joint tokens, and of 2^33, are added and stored to the unit."""
    scheme = Scheme(np.array([1, 0]), sums=True)
    pieces = []
    for k, times in enumerate((2**31 - 1, 2**31 - 1, 2**33)):
        one = counted(scheme, pack([[0, 1]]) | {"amounts": np.array([3, 5])})
        (block,) = one.blocks
        large = replace(block, joint_count=block.joint_count * times, joint_sum=block.joint_sum * times)
        many = replace(
            one, firing_count=one.firing_count * times, covered=((k * 2**40, k * 2**40 + times),), blocks=[large]
        )
        pieces.append(read_partial(write_partial(tmp_path / f"{k}", many)))
    total = 2 * (2**31 - 1) + 2**33
    whole = read_partial(write_partial(tmp_path / "all", merge_counted(pieces, memory=MEMORY)))
    (block,) = whole.blocks
    assert whole.firing_count.tolist() == [[total, total]]
    assert block.joint_count.tolist() == [[total]]
    assert block.joint_sum.tolist() == [[3 * total], [5 * total]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Scheme(np.array([1, 0, 2])), "rank the features differently"),
        (Scheme(np.arange(3), ("any", "abs:1")), "other firing rules"),
        (Scheme(np.arange(3), sums=True), "summed"),
        (Scheme(np.arange(3), source="another"), "other activations"),
    ],
)
def test_fault_43_parts_of_other_schemes_refuse_to_merge(tmp_path: Path, other: Scheme, message: str) -> None:
    """Other permutations, rules, sums or activations, also after they were stored."""
    stored = []
    for k, scheme in enumerate((Scheme(np.arange(3)), other)):
        counter = ReferenceCounter(scheme, first_token=k)
        empty = Counted(scheme, counter.firing_count, counter.covered, list(counter.ranked()))
        stored.append(read_partial(write_partial(tmp_path / f"{k}", empty)))
    with pytest.raises(InputError, match=message):
        merge_counted(stored, memory=MEMORY)


def test_fault_43_tokens_that_two_parts_counted_are_named() -> None:
    """A token that is counted twice would be in every figure."""
    scheme = Scheme(np.arange(3))
    pieces = [counted(scheme, pack([[0, 1]] * 4), first_token=start) for start in (0, 3)]
    with pytest.raises(InputError, match="tokens 3 to 3 are counted already"):
        merge_counted(pieces, memory=MEMORY)


def test_no_parts_are_refused() -> None:
    """Nothing to merge is a mistake of the caller."""
    with pytest.raises(InputError, match="no partial counts"):
        merge_counted([], memory=MEMORY)


def test_fault_25_a_memory_below_one_row_is_refused() -> None:
    """With the size that would do."""
    pieces = [counted(Scheme(np.arange(1000)), pack([[0, 1]]))]
    with pytest.raises(CapacityError, match="1000 totals does not fit") as caught:
        merge_counted(pieces, memory=4000)
    enough = int(caught.value.remedy.split()[2])
    assert sum(block.n_pairs for block in merge_counted(pieces, memory=enough).blocks) == 1


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """One part on disk."""
    scheme = Scheme(np.arange(30))
    return write_partial(tmp_path / "part-00001-of-00002", counted(scheme, draw(30, 40, 5, 3)))


@pytest.mark.parametrize("name", ["order.safetensors", "rows-00000.safetensors"])
def test_fault_40_a_damaged_or_missing_file_is_named(stored: Path, name: str) -> None:
    """Cut off, changed in one bit, or gone: which file, in which part."""
    path = stored / name
    data = path.read_bytes()
    for damage, message in ((data[:-3], "bytes, expected"), (data[:-1] + bytes([data[-1] ^ 1]), "checksum")):
        path.write_bytes(damage)
        with pytest.raises(ArtifactError, match=f"part-00001-of-00002/{name}: .*{message}") as caught:
            read_partial(stored, remedy="count it again")
        assert caught.value.remedy == "count it again"
    path.unlink()
    with pytest.raises(ArtifactError, match=f"{name}: missing"):
        read_partial(stored)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1, "files": {}, "rows": [0, 3]}'])
def test_fault_40_a_damaged_description_is_named(stored: Path, text: str) -> None:
    """What is no description is not taken for one."""
    (stored / "partial.json").write_text(text)
    with pytest.raises(ArtifactError, match="does not describe partial counts"):
        read_partial(stored)
    (stored / "partial.json").unlink()
    with pytest.raises(ArtifactError, match=r"partial\.json: missing"):
        read_partial(stored)


def test_fault_42_parts_of_a_newer_format_are_refused(stored: Path) -> None:
    """The version is in the message."""
    told = read_description(stored) | {"format_version": 2}
    (stored / "partial.json").write_text(json.dumps(told))
    with pytest.raises(ArtifactError, match="format 2, this program reads 1"):
        read_partial(stored)


def test_an_order_of_another_part_is_noticed(stored: Path) -> None:
    """The description names its order by digest."""
    told = read_description(stored)
    told["scheme"]["order"] = "0" * 64
    (stored / "partial.json").write_text(json.dumps(told))
    with pytest.raises(ArtifactError, match="does not belong to its order"):
        read_partial(stored)


def test_writing_again_keeps_what_is_whole_and_replaces_what_is_not(stored: Path) -> None:
    """A second writer of the same counts changes nothing; a damaged part is mended; no temporary folder stays."""
    whole, before = read_partial(stored), content(stored)
    inode = stored.stat().st_ino
    write_partial(stored, whole)
    assert stored.stat().st_ino == inode
    held = replace(whole, blocks=list(whole.blocks))
    (stored / "rows-00000.safetensors").write_bytes(b"")
    write_partial(stored, held)
    assert content(stored) == before
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]


def test_a_part_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A counter that gives up in the middle of its rows leaves no folder, under any name."""

    class Failing:
        def __iter__(self) -> Any:
            yield from counted(Scheme(np.arange(3)), pack([[0, 1]])).blocks
            raise CapacityError("no memory", "")

    whole = counted(Scheme(np.arange(3)), pack([[0, 1]]))
    with pytest.raises(CapacityError):
        write_partial(tmp_path / "part", replace(whole, blocks=Failing()))
    assert list(tmp_path.iterdir()) == []
    shutil.rmtree(tmp_path)
    with pytest.raises(FileNotFoundError):  # a folder that was cleaned away is not made again
        write_partial(tmp_path / "part", whole)


@pytest.mark.parametrize("threads", [1, 2])
def test_merging_wide_rows_equals_the_dense_product(threads: int) -> None:
    """More features than a word has bits, in every column, on any number of threads."""
    import numba

    scheme = Scheme(np.random.default_rng(4).permutation(300), RULES[:2])
    firing = draw(300, 60, 40, 9, bits=1)
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, before))
    try:
        found, _ = dense(scheme, list(merge_counted(cuts(firing, scheme, [0, 20, 60]), memory=MEMORY).blocks))
    finally:
        numba.set_num_threads(before)
    assert np.array_equal(found, np.tril(oracle(scheme, firing)[0], -1))
