"""Counting by many jobs on one run directory: the bytes of one process, and nothing lost when a part is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from worlds import planted_run

from atlas.artifacts import Run
from atlas.counting.passes import Settings
from atlas.counting.pilot import read_pilot
from atlas.counting.stage import COUNTS, count
from atlas.errors import ArtifactError, InputError
from atlas.ingest import parts
from atlas.ingest.parts import PARTS, Share, ShareType, count_share, merge_shares
from atlas.tracking import untracked

SETTINGS = Settings(memory=2**28)
ATLAS = [sys.executable, "-m", "atlas"]
N_SHARDS = 3


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with the activations of a small planted world, in three shards."""
    path = tmp_path_factory.mktemp("prepared") / "run"
    with Run(path) as run:
        planted_run(run, n_documents=20, length=400)
    assert len(list((path / "10-activations" / "shards").iterdir())) == N_SHARDS
    return path


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> Iterator[Run]:
    """A copy of it, open."""
    shutil.copytree(prepared, tmp_path / "run")
    with Run(tmp_path / "run") as opened:
        yield opened


def share(run: Run, number: int, of: int, *, rules: tuple[str, ...] = ("rel:0.5",), sums: bool = False) -> Path:
    return count_share(run.path, Share(number, of), rules=rules, sums=sums, settings=SETTINGS, track=untracked)


def merge(run: Run, *, prune: int = 1, remove_parts: bool = False) -> dict[str, Any]:
    artifact = merge_shares(
        run, prune=prune, span=512, memory=SETTINGS.memory, remove_parts=remove_parts, track=untracked
    )
    return content(artifact.path)


def content(folder: Path) -> dict[str, Any]:
    """Return the bytes of every file, the manifest without what may differ."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    found["manifest.json"] = json.loads(found["manifest.json"]) | {"made": None}
    return found


def single(run: Run, **options: Any) -> dict[str, Any]:
    """Return what one process writes, and take it away again."""
    wanted = content(count(run, settings=SETTINGS, **options).path)
    shutil.rmtree(run.path / COUNTS)
    return wanted


@pytest.mark.parametrize("of", [1, 2, 5])
@pytest.mark.parametrize(
    "options", [{}, {"rules": ("rel:0.5", "rel:1.2"), "sums": True, "prune": 3}], ids=["plain", "rules"]
)
def test_merged_parts_are_the_bytes_of_one_process(run: Run, of: int, options: dict[str, Any]) -> None:
    """Whatever the number of jobs, more than shards included, and whatever their order."""
    wanted = single(run, **options)
    counting = {name: value for name, value in options.items() if name != "prune"}
    for number in reversed(range(1, of + 1)):
        share(run, number, of, **counting)
    assert merge(run, prune=options.get("prune", 1)) == wanted
    assert (run.path / PARTS).exists()


def test_jobs_at_once_need_no_lock_and_share_one_order(run: Run) -> None:
    """Three processes while a fourth holds the run; then `counts` finds the merged artifact done."""
    wanted = single(run)
    words = [*ATLAS, "ingest", "counts", "--run", str(run.path), "--memory", "256M", "--json", "--shards"]
    jobs = [subprocess.Popen([*words, f"{k}/3"], stdout=-1, stderr=-1, text=True) for k in (1, 2, 3)]
    said = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0], said
    assert [Path(json.loads(out)["part"]).name for out, _ in said] == [f"part-{k:05d}-of-00003" for k in (1, 2, 3)]
    assert sum(json.loads(out)["n_tokens"] for out, _ in said) == 8000
    run.__exit__()
    merged = atlas("merge", run.path, "--remove-parts")
    assert merged.returncode == 0, merged.stderr
    assert not (run.path / PARTS).exists()
    assert content(run.path / COUNTS) == wanted
    assert "20-counts: done already" in atlas("counts", run.path).stderr
    again = atlas("merge", run.path)
    assert again.returncode == 3
    assert "no parts" in again.stderr


def atlas(command: str, run: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ATLAS, "ingest", command, "--run", str(run), *words], capture_output=True, text=True, check=False,
        env=os.environ, timeout=120,
    )  # fmt: skip


def test_merging_again_is_done_already(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The parts need not even be whole then."""
    wanted = single(run)
    folders = [share(run, number, 2) for number in (1, 2)]
    assert merge(run) == wanted
    (folders[0] / "partial.json").unlink()
    with caplog.at_level("INFO", "atlas"):
        assert merge(run) == wanted
    assert "20-counts: done already" in caplog.text


def test_fault_40_missing_parts_are_named_with_their_commands_and_nothing_is_lost(run: Run) -> None:
    """An artifact of other options that is there stays there until the parts are complete."""
    count(run, settings=SETTINGS, prune=7)
    before = content(run.path / COUNTS)
    with pytest.raises(ArtifactError, match="no parts") as caught:
        merge(run)
    assert "--shards 1/16" in caught.value.remedy
    share(run, 2, 4)
    with pytest.raises(ArtifactError, match="3 of 4 parts missing: 1, 3, 4") as caught:
        merge(run)
    assert f"ingest counts --run {run.path} --shards 1/4" in caught.value.remedy
    assert "3/4, 4/4" in caught.value.remedy
    assert content(run.path / COUNTS) == before


def test_fault_40_the_command_for_a_missing_part_has_the_parts_own_rules(run: Run) -> None:
    """What the error says to run makes a part that merges."""
    for rule in ("rel:0.7", "any"):
        share(run, 1, 2, rules=(rule,), sums=True)
        with pytest.raises(ArtifactError) as caught:
            merge(run)
        words = caught.value.remedy.split("`")[1].split()
        assert words[-3:] == ["--rule", rule, "--sums"]
        share(run, 2, 2, rules=(words[-2],), sums=True)
        merge(run, remove_parts=True)


def test_fault_40_thresholds_of_a_damaged_pilot_are_not_used(run: Run) -> None:
    """A flipped bit in what activations are compared against would change counts: it is found."""
    share(run, 1, 2, rules=("rel:0.5",))
    path = run.path / PARTS / "order.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="checksum"):
        share(run, 2, 2, rules=("rel:0.5",))


def test_fault_40_a_damaged_part_is_named_and_its_command_mends_it(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The other parts are not counted again."""
    wanted = single(run)
    folders = [share(run, number, 2) for number in (1, 2)]
    path = folders[1] / "rows-00000.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"part-00002-of-00002/rows-00000\.safetensors: .*checksum") as caught:
        merge(run)
    assert "--shards 2/2" in caught.value.remedy
    with caplog.at_level("INFO", "atlas"):
        for number in (1, 2):
            share(run, number, 2)
    assert "part-00001-of-00002: done already" in caplog.text
    assert "checksum; counting it again" in caplog.text
    assert path.read_bytes() == data
    assert merge(run) == wanted


def test_fault_40_only_the_shards_of_a_share_are_verified(run: Run) -> None:
    """A job names a damaged shard of its own, and does not read the others'."""
    path = run.path / "10-activations" / "shards" / "shard-00001.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    share(run, 1, 2)  # shards 0 and 2
    with pytest.raises(ArtifactError, match=r"shards/shard-00001\.safetensors does not match its checksum"):
        share(run, 2, 2)


def test_fault_43_other_options_refuse_the_folder_with_the_difference(run: Run) -> None:
    """Rules, sums, and activations that were made anew."""
    share(run, 1, 2, rules=())
    with pytest.raises(InputError, match=r"rules \['any'\] -> \['any', 'abs:2'\]") as caught:
        share(run, 2, 2, rules=("abs:2",))
    assert "remove that folder" in caught.value.remedy
    with pytest.raises(InputError, match="sums False -> True"):
        share(run, 2, 2, rules=(), sums=True)
    share(run, 2, 2, rules=("any",))
    planted_run(run, seed=1, n_documents=20, length=400)
    with pytest.raises(InputError, match="source"):
        share(run, 2, 2, rules=())
    with pytest.raises(InputError, match="other activations"):
        merge(run)


def test_fault_43_parts_of_two_divisions_do_not_mix(run: Run) -> None:
    """Named when a job starts, and when they are merged."""
    share(run, 1, 2)
    with pytest.raises(InputError, match="different divisions: of 2 and of 3"):
        share(run, 1, 3)
    shutil.copytree(run.path / PARTS / "part-00001-of-00002", run.path / PARTS / "part-00001-of-00003")
    with pytest.raises(InputError, match="different divisions"):
        merge(run)


def test_fault_43_overlaps_and_gaps_are_refused(run: Run) -> None:
    """A part under another's name would count tokens twice, or leave some out."""
    folders = [share(run, number, 2) for number in (1, 2)]
    shutil.rmtree(folders[1])
    shutil.copytree(folders[0], folders[1])
    with pytest.raises(InputError, match="tokens 0 to 2999 are counted already"):
        merge(run)
    shutil.rmtree(run.path / PARTS)
    for number in (1, 2):
        share(run, number, 3)
    shutil.copytree(_empty(run), run.path / PARTS / Share(3, 3).folder)
    with pytest.raises(InputError, match="the parts count tokens 0 to 5999, expected 0 to 7999"):
        merge(run)


def _empty(run: Run) -> Path:
    """Return a part of no shards, counted with the scheme of the others."""
    path = run.path.parent / "empty"
    path.mkdir()
    shutil.copy(run.path / PARTS / "order.safetensors", path)
    from atlas.firings import Firings

    firings = Firings(run.artifact("10-activations").path)
    return parts.count_into(
        path / "part", firings, range(0), pilot=read_pilot(path), settings=SETTINGS, track=untracked
    )


def test_the_order_is_written_once(run: Run) -> None:
    """The first job's stays, whatever a later one would have chosen; a damaged one is named."""
    share(run, 1, 2)
    path = run.path / PARTS / "order.safetensors"
    inode, data = path.stat().st_ino, path.read_bytes()
    share(run, 2, 2)
    assert path.stat().st_ino == inode
    order = read_pilot(path.parent).scheme.order
    other = data.replace(order.tobytes(), np.roll(order, 1).tobytes())
    assert other != data
    for damaged, message in ((other, "does not match its checksum"), (data[:-1], "cut off")):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=rf"order\.safetensors: .*{message}") as caught:
            merge(run)
        assert "count its parts again" in caught.value.remedy


def test_what_killed_jobs_left_is_cleared_away(run: Run) -> None:
    """Temporary folders do not stay, and do not count."""
    wanted = single(run)
    for number in (1, 2):
        share(run, number, 2)
    left = run.path / PARTS / ".part-00001-of-00002.0.partial"
    left.mkdir()
    (left / "rows-00000.safetensors").write_bytes(b"half")
    assert merge(run) == wanted
    assert sorted(path.name for path in left.parent.iterdir()) == [
        "order.safetensors", "part-00001-of-00002", "part-00002-of-00002"
    ]  # fmt: skip


def test_a_run_without_activations_is_refused(tmp_path: Path) -> None:
    """Nothing is made in it."""
    with pytest.raises(ArtifactError, match="10-activations"):
        count_share(tmp_path, Share(1, 2), rules=(), sums=False, settings=SETTINGS, track=untracked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/3/5"])
def test_a_share_that_is_none_is_a_usage_error(text: str) -> None:
    """How to write one is said."""
    with pytest.raises(click.BadParameter, match="write 3/16"):
        ShareType().convert(text, None, None)


def test_shares_divide_the_shards() -> None:
    """Every shard is in exactly one share."""
    for of in (1, 3, 8):
        numbers = sorted(k for number in range(1, of + 1) for k in Share(number, of).shards(7))
        assert numbers == list(range(7))
