"""Artifacts: done means same parameters, same inputs and right sums; everything else is redone or named."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.artifacts import Run, Spec, load_manifest
from atlas.errors import ArtifactError, InputError
from atlas.files import read_arrays, write_arrays, write_json, write_table
from atlas.firings import Firings, Shard, build_index, write_shard
from atlas.mapped import StreamedArrays, map_arrays
from atlas.schema import TABLES


class Counting:
    """A stage that counts how often it was computed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, directory: Path) -> Mapping[str, Any]:
        self.times += 1
        write_arrays(directory / "a.safetensors", {"a": np.arange(5)})
        return {"sum": 10}


def test_a_done_stage_is_skipped_and_a_changed_one_redone_with_all_after_it(tmp_path: Path) -> None:
    """The second time nothing is computed; a changed parameter recomputes its stage and the next."""
    one, two = Counting(), Counting()
    for parameter, times in ((1, 1), (1, 1), (2, 2)):
        with Run(tmp_path) as run:
            first = run.produce(Spec("20-counts", {"x": parameter}), one)
            second = run.produce(Spec("30-edges", {}, ("20-counts",)), two)
        assert (one.times, two.times) == (times, times)
        assert second.inputs == {"20-counts": first.digest}


@pytest.mark.parametrize(("version", "message"), [(99, "format 99, this program knows 2"), (0, "format 0")])
def test_fault_42_another_format_is_refused_as_an_input(tmp_path: Path, version: int, message: str) -> None:
    """A reader refuses a newer and an older format; the stage itself redoes an older one."""
    with Run(tmp_path) as run:
        run.produce(Spec("20-counts", {}), Counting())
    path = tmp_path / "20-counts" / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 2', f'"format_version": {version}'))
    with Run(tmp_path) as run:
        with pytest.raises(ArtifactError, match=message):
            run.artifact("20-counts")
        if version == 0:
            run.produce(Spec("20-counts", {}), Counting())
            assert run.artifact("20-counts").format_version == 2


@pytest.mark.parametrize("place", ["/sys", "/proc", "/dev/null"])
def test_fault_74_a_run_directory_that_cannot_be_written(place: str) -> None:
    """Which folder, why, and the option that names another."""
    with pytest.raises(InputError, match="cannot be written") as caught, Run(Path(place)):
        pass
    assert "--run" in caught.value.remedy


@pytest.mark.parametrize("damage", ["missing", "short", "changed"])
def test_fault_40_a_damaged_file_is_named_and_rebuilt(tmp_path: Path, damage: str) -> None:
    """A reader names the file; the stage rebuilds it."""
    with Run(tmp_path) as run:
        run.produce(Spec("20-counts", {}), Counting())
    file = tmp_path / "20-counts" / "a.safetensors"
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(whole[:-1] if damage == "short" else whole[:-1] + b"x")
    again = Counting()
    with Run(tmp_path) as run:
        with pytest.raises(ArtifactError, match=r"a\.safetensors"):
            run.artifact("20-counts")
        run.produce(Spec("20-counts", {}), again)
        assert run.artifact("20-counts").results == {"sum": 10}
    assert again.times == 1


def test_an_unfinished_stage_has_no_manifest_and_is_not_an_artifact(tmp_path: Path) -> None:
    """A stage that fails leaves no manifest; readers are told which command makes it."""

    def fail(directory: Path) -> Mapping[str, Any]:
        write_json(directory / "half.json", {})
        raise RuntimeError

    with Run(tmp_path) as run:
        with pytest.raises(RuntimeError):
            run.produce(Spec("20-counts", {}), fail)
        with pytest.raises(ArtifactError) as caught:
            run.artifact("20-counts")
    assert "atlas ingest counts" in caught.value.remedy


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    """Rubbish in place of a manifest: which file, and what to remove."""
    (tmp_path / "20-counts").mkdir()
    (tmp_path / "20-counts" / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"manifest\.json: not a manifest"):
        load_manifest(tmp_path / "20-counts")


def test_equal_work_gives_equal_digests_whatever_the_time(tmp_path: Path) -> None:
    """Times and memory are in the manifest, and not in its digest."""
    found = []
    for name in ("a", "b"):
        with Run(tmp_path / name) as run:
            found.append(run.produce(Spec("20-counts", {"x": 1}), Counting()))
    assert found[0].digest == found[1].digest
    assert found[0].made["wall_seconds"] >= 0
    assert found[0].made["peak_memory_mib"] > 1


def test_fault_28_a_held_run_directory_names_its_holder(tmp_path: Path) -> None:
    """Another process is told which one holds the directory; killing it frees the directory."""
    code = (
        "import sys, time; from pathlib import Path; from atlas.artifacts import Run\n"
        "with Run(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(InputError, match=f"process {holder.pid}") as caught, Run(tmp_path):
            pass
        assert caught.value.exit_code == 3
        holder.kill()
    with Run(tmp_path):
        pass


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "nan"), (float("inf"), "inf"), (1.3, "1.3"), (None, "missing")]
)
def test_fault_51_nothing_unfit_reaches_a_table(tmp_path: Path, value: float | None, message: str) -> None:
    """Place, what was found and what was expected are named, and no file is written."""
    filler = {"integer": 0, "float": 0.5, "string": "x"}
    columns: dict[str, Any] = {column.name: [filler[column.type]] * 2 for column in TABLES["egos"].columns}
    columns |= {"index": [0, 1], "leaf_density": [0.5, value]}
    with pytest.raises(ArtifactError, match=f"leaf_density.*{message}.*row 1"):
        write_table(tmp_path, "egos", columns)
    assert not list(tmp_path.iterdir())


def test_fault_26_a_full_disk_is_said_and_what_was_finished_is_kept(tmp_path: Path) -> None:
    """A file that cannot grow ends with exit code 5; the finished stage before it stays whole."""
    with Run(tmp_path) as run:
        run.produce(Spec("20-counts", {}), Counting())
    code = (
        "import sys, numpy; from pathlib import Path; from atlas.errors import *\n"
        "from atlas.artifacts import *; from atlas.files import *\n"
        "def big(d): write_arrays(d / 'b.safetensors', {'b': numpy.zeros(10**6)}); return {}\n"
        "try:\n"
        "    with Run(Path(sys.argv[1])) as run: run.produce(Spec('30-edges', {}, ('20-counts',)), big)\n"
        "except CapacityError as error: print(error); sys.exit(error.exit_code)"
    )

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "no room left" in done.stdout
    with Run(tmp_path) as run:
        assert run.artifact("20-counts").results == {"sum": 10}
        assert not (tmp_path / "30-edges" / "manifest.json").exists()


def test_streamed_and_mapped_arrays_are_safetensors(tmp_path: Path) -> None:
    """What is written in pieces is read by the library, and what it writes is mapped; empty arrays too."""
    shapes = {"a": ((3,), "int64"), "b": ((2, 2), "float32"), "c": ((0,), "int32")}
    with StreamedArrays(tmp_path / "m.safetensors", shapes) as out:
        out.write("b", np.full((1, 2), 0.5), at=1)
        out.write("a", np.array([1, 2, 3]))
        out.write("b", np.full((1, 2), 0.5))
    read = read_arrays(tmp_path / "m.safetensors")
    assert read["a"].tolist() == [1, 2, 3]
    assert read["b"].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert read["c"].shape == (0,)
    write_arrays(tmp_path / "w.safetensors", {"x": np.arange(4, dtype=np.uint32)})
    assert map_arrays(tmp_path / "w.safetensors")["x"].tolist() == [0, 1, 2, 3]


def test_a_truncated_array_file_is_named(tmp_path: Path) -> None:
    """Both readers say which file and what to do."""
    path = tmp_path / "w.safetensors"
    write_arrays(path, {"x": np.arange(1000)})
    os.truncate(path, 100)
    for read in (read_arrays, map_arrays):
        with pytest.raises(ArtifactError, match=r"w\.safetensors"):
            read(path)


def shard(tokens: list[list[int]], activations: list[float] | None = None) -> Shard:
    ids = np.array([i for token in tokens for i in token], np.int32)
    n = np.arange(len(tokens), dtype=np.int32)
    indptr = np.concatenate([[0], np.cumsum([len(token) for token in tokens])]).astype(np.int64)
    values = np.ones(len(ids), np.float32) if activations is None else np.array(activations, np.float32)
    return Shard(n, n, n, indptr, ids, values)


def test_the_index_by_feature_by_hand(tmp_path: Path) -> None:
    """Two shards: each feature's rows ascend over both, with their activations; joint rows are the common ones."""
    write_shard(tmp_path, 0, shard([[0, 2], [], [2]], [1, 2, 3]), d_sae=4)
    write_shard(tmp_path, 1, shard([[0, 2, 3]], [4, 5, 6]), d_sae=4)
    build_index(tmp_path, n_shards=2, d_sae=4)
    firings = Firings(tmp_path)
    assert [firings.tokens_of(f).tolist() for f in range(4)] == [[0, 3], [], [0, 2, 3], [3]]
    assert firings.activations_of(2).tolist() == [2, 3, 5]
    assert firings.joint_tokens(0, 2).tolist() == [0, 3]
    assert firings.joint_tokens(1, 2).tolist() == []
    assert firings.token_id.tolist() == [0, 1, 2, 0]
    assert firings.firing_count.tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize(
    ("tokens", "activations", "message"),
    [
        ([[0, 1], [2, 1]], None, "ids of token 1 are not strictly ascending"),
        ([[1, 1]], None, "token 0 are not strictly ascending"),
        ([[0, 4]], None, r"expected 0\.\.3"),
        ([[], [0, 3]], [1, float("nan")], "feature 3 on token 1 is nan"),
        ([[0], [1]], [float("inf"), 1], "feature 0 on token 0 is inf"),
    ],
)
def test_unfit_firings_are_refused_with_their_place(
    tmp_path: Path, tokens: list[list[int]], activations: list[float] | None, message: str
) -> None:
    """Fault 14 among them: the shard, the token and the feature are named."""
    with pytest.raises(InputError, match=message):
        write_shard(tmp_path, 0, shard(tokens, activations), d_sae=4)


def test_manifest_is_plain_json_without_secrets_or_pickle(tmp_path: Path) -> None:
    """Anyone can read it, and it lists every file with its sum."""
    with Run(tmp_path) as run:
        run.produce(Spec("20-counts", {"x": 1}), Counting())
    manifest = json.loads((tmp_path / "20-counts" / "manifest.json").read_text())
    assert set(manifest) == {"kind", "format_version", "parameters", "inputs", "files", "results", "made"}
    assert set(manifest["files"]) == {"a.safetensors"}
