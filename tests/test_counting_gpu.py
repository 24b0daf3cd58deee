"""The GPU backend without a GPU: its kernels on the CPU, its source through NVRTC, its choices and its refusals."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import logging
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from contract import RULES, CounterContract, dense, draw, oracle, pack
from cuda_host import HostEngine, build

from atlas.counting import cuda
from atlas.counting.counter import Counter
from atlas.counting.cuda import (
    KERNELS,
    choose_device,
    firings_of,
    kernel_options,
    kernel_source,
    on_device,
)  # fmt: skip
from atlas.counting.gpu import GpuCounter
from atlas.counting.ranked import pairs_of_rows, rows_with
from atlas.counting.scheme import Scheme
from atlas.errors import BackendError, CapacityError, InputError

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile the kernels for the CPU")
Libraries = dict[bool, ctypes.CDLL]


VARIANTS = [(False, 512), (True, 512), (False, 1024), (True, 1024)]
ARCHITECTURES = ("sm_75", "sm_80", "sm_89", "sm_90")


def compiled(source: str, arch: str, options: tuple[str, ...]) -> bytes:
    """Return what NVRTC makes of a source, with the options that CuPy adds; needs no driver."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(source, "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(program, [*options, f"-arch={arch}", "--device-as-default-execution-space"])
    except nvrtc.NVRTCError as error:
        raise AssertionError(nvrtc.getProgramLog(program)) from error
    return bytes(nvrtc.getCUBIN(program))


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Libraries:
    """Compile the kernels once, without and with sums."""
    folder = tmp_path_factory.mktemp("kernels")
    return {sums: build(folder, sums=sums) for sums in (False, True)}


class OnHost(CounterContract):
    """The contract with the kernels on the CPU; subclasses differ in what happens to the rows."""

    shared_bytes = 2**16
    options: dict[str, Any] = {}  # noqa: RUF012 - read only

    @pytest.fixture(autouse=True)
    def _libraries(self, libraries: Libraries) -> None:
        self.libraries = libraries

    def make(self, scheme: Scheme, **options: Any) -> Counter:
        engine = HostEngine(self.libraries[scheme.sums], shared_bytes=self.shared_bytes)
        return GpuCounter(scheme, engine=engine, **self.options, **options)

    def pretend(self, counter: Counter, times: int) -> None:
        assert isinstance(counter, GpuCounter)
        counter._joint *= times
        counter._fired *= times
        counter.covered = ((counter.covered[0][0], counter.covered[0][0] + times),)


@needs_compiler
class TestWholeRowsInSharedMemory(OnHost):
    options = {"sparse": 0.0}  # noqa: RUF012 - read only


@needs_compiler
class TestTilesAndSegments(OnHost):
    """Rows of several column tiles, hot ones split over blocks, many chunks, some rows straight to the totals."""

    shared_bytes = 160
    options = {"segment": 7, "chunk": 300, "sparse": 0.5}  # noqa: RUF012 - read only


@needs_compiler
class TestStraightToTheTotals(OnHost):
    options = {"sparse": 1e9}  # noqa: RUF012 - read only


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(("sums", "threads"), VARIANTS)
def test_nvrtc_compiles_every_variant(arch: str, sums: bool, threads: int) -> None:
    """The source that runs on the host here is one that CUDA's compiler takes, for each kind of GPU."""
    binary = compiled(kernel_source(), arch, kernel_options(sums=sums, threads=threads))
    assert all(name.encode() in binary for name in KERNELS)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_nvrtc_compiles_the_kernels_of_the_figures(arch: str) -> None:
    """What measures the backend is ready for the first GPU, too."""
    source = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "gpu_figures.py"))["SOURCE"]
    assert compiled(source, arch, ("-std=c++17",))


class Scarce(HostEngine):
    """Memory in which no array of over `most` elements can be made, and after `allowed` arrays none at all."""

    def __init__(self, library: ctypes.CDLL, *, most: int, allowed: int = 10**9) -> None:
        super().__init__(library)
        self.most, self.left, self.armed = most, allowed, False
        names = {name: getattr(np, name) for name in dir(np) if not name.startswith("_")}
        self.xp = SimpleNamespace(
            **names | {name: self.checked(getattr(np, name)) for name in ("empty", "flatnonzero")}
        )

    def checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made = function(*args, **kwargs)
            self.left -= self.armed
            if self.armed and (made.size > self.most or self.left < 0):
                raise self.out_of_memory
            return made

        return call


def scarce(libraries: Libraries, scheme: Scheme, **limits: int) -> tuple[GpuCounter, Scarce]:
    """Return a counter whose device runs out of memory once it is set up."""
    engine = Scarce(libraries[scheme.sums], **limits)
    counter = GpuCounter(scheme, engine=engine)
    engine.armed = True
    return counter, engine


@needs_compiler
class TestMemory:
    def test_smaller_chunks_give_the_same_counts_and_one_warning(
        self, libraries: Libraries, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Fault 24: where a chunk does not fit, smaller ones do, and the new size is said once."""
        firing = draw(70, 400, 9, 1, bits=1, sums=True)
        scheme = Scheme(np.random.default_rng(1).permutation(70), RULES[:2], True)
        counter, _ = scarce(libraries, scheme, most=1000)
        with caplog.at_level(logging.WARNING, "atlas"):
            counter.update(**firing)
        size = int(re.fullmatch(r".*memory is short: firings are counted (\d+) at a time.*", caplog.messages[0])[1])  # type: ignore[index]
        assert 256 <= size <= 1000
        assert len(caplog.messages) == 1
        joint, sums = oracle(scheme, firing)
        found, found_sums = dense(scheme, list(counter.ranked()))
        assert np.array_equal(found, np.tril(joint, -1))
        assert np.array_equal(found_sums, np.tril(sums, -1))
        assert counter.n_tokens == 400

    def test_a_device_that_holds_no_chunk_is_an_error_and_counts_nothing(self, libraries: Libraries) -> None:
        """When even the smallest chunk does not fit, the run ends with what to do."""
        counter, _ = scarce(libraries, Scheme(np.arange(70)), most=100)
        with pytest.raises(CapacityError, match="does not hold a chunk of") as caught:
            counter.update(**draw(70, 400, 9, 1))
        assert "fewer rows" in caught.value.remedy
        assert (counter.n_tokens, counter.firing_count.sum()) == (0, 0)

    @pytest.mark.parametrize("allowed", range(0, 40, 3))
    def test_memory_that_ends_in_the_middle_leaves_whole_tokens(self, libraries: Libraries, allowed: int) -> None:
        """What is counted is what `covered` says, wherever the memory ended; the rest can be counted later."""
        firing = draw(70, 400, 9, 1)
        scheme = Scheme(np.arange(70))
        counter, engine = scarce(libraries, scheme, most=1000, allowed=allowed)
        with pytest.raises(CapacityError):
            counter.update(**firing)
        done, engine.left = counter.n_tokens, 10**9
        head = {"indptr": firing["indptr"][: done + 1], "ids": firing["ids"][: firing["indptr"][done]]}
        assert np.array_equal(dense(scheme, list(counter.ranked()))[0], np.tril(oracle(scheme, head)[0], -1))
        assert counter.firing_count.sum() == len(head["ids"])
        rest = slice(firing["indptr"][done], None)
        counter.update(firing["indptr"][done:] - firing["indptr"][done], firing["ids"][rest])
        assert counter.covered == ((0, 400),)
        assert np.array_equal(dense(scheme, list(counter.ranked()))[0], np.tril(oracle(scheme, firing)[0], -1))

    def test_pairs_are_emitted_in_smaller_parts_or_refused(self, libraries: Libraries) -> None:
        """Emitting rows takes memory, too: fewer rows at once, or an error that names the row."""
        firing = draw(70, 400, 9, 1)
        scheme = Scheme(np.arange(70))
        counter, engine = scarce(libraries, scheme, most=10**9)
        counter.update(**firing)
        engine.most = 200
        blocks = list(counter.ranked())
        assert len(blocks) > 3
        assert np.array_equal(dense(scheme, blocks)[0], np.tril(oracle(scheme, firing)[0], -1))
        engine.most = 20
        with pytest.raises(CapacityError, match=r"the pairs of rank \d+ beside"):
            list(counter.ranked())

    def test_totals_that_do_not_fit_name_the_rows_that_do(self, libraries: Libraries) -> None:
        """Fault 25: what would fit is said before anything is counted, and fits."""
        scheme = Scheme(np.arange(1000))
        engine = HostEngine(libraries[False])
        with pytest.raises(CapacityError, match="counting ranks 0 to 999 takes") as caught:
            GpuCounter(scheme, engine=engine, memory=10**6)
        last = int(re.search(r"count ranks 0 to (\d+) first", caught.value.remedy)[1])  # type: ignore[index]
        assert 8 * pairs_of_rows(0, last + 1) <= 10**6 < 8 * pairs_of_rows(0, last + 2)
        GpuCounter(scheme, engine=engine, memory=10**6, rows=(0, last + 1))
        with pytest.raises(CapacityError) as caught:
            GpuCounter(scheme, engine=engine, memory=100, rows=(999, 1000))
        assert "free memory" in caught.value.remedy

    def test_an_allocation_that_fails_says_the_same(self, libraries: Libraries) -> None:
        """What the device says is free may lie in pieces."""
        engine = Scarce(libraries[False], most=10)
        engine.xp.zeros, engine.armed = engine.checked(np.zeros), True
        with pytest.raises(CapacityError, match="counting ranks 0 to 99 takes"):
            GpuCounter(Scheme(np.arange(100)), engine=engine)


@needs_compiler
class TestUpdate:
    def counter(self, libraries: Libraries, d: int, **options: Any) -> GpuCounter:
        return GpuCounter(Scheme(np.arange(d)), engine=HostEngine(libraries[False]), **options)

    def test_a_fault_in_a_later_chunk_is_found_before_any_is_counted(self, libraries: Libraries) -> None:
        """An update of several chunks counts all of its tokens or none; the token is named by its place in it."""
        tokens = [[0, 1, 2]] * 300 + [[1, 1]] + [[2]]
        counter = self.counter(libraries, 3, chunk=256)
        with pytest.raises(InputError, match="token 300 names a feature twice"):
            counter.update(**pack(tokens))
        with pytest.raises(InputError, match=r"0\.\.9, expected 0\.\.2"):
            counter.update(**pack([[0, 1]] * 300 + [[0, 9]]))
        assert (counter.n_tokens, counter.firing_count.sum()) == (0, 0)

    def test_ids_are_checked_before_they_are_narrowed(self, libraries: Libraries) -> None:
        """An id that 32 bits would turn into a feature's is out of range."""
        counter = self.counter(libraries, 3)
        with pytest.raises(InputError, match="4294967297"):
            counter.update(np.array([0, 1]), np.array([2**32 + 1]))
        counter.update(np.array([0, 2], np.uint32), np.array([2, 0], np.uint16))
        assert counter.firing_count.tolist() == [[1, 0, 1]]

    def test_damaged_row_pointers_are_refused(self, libraries: Libraries) -> None:
        """A place outside the firings would be read from anywhere on the device."""
        counter = self.counter(libraries, 3)
        with pytest.raises(InputError, match="falls at token 1"):
            counter.update(np.array([0, 3, 1, 3]), np.array([0, 1, 2], np.int32))
        with pytest.raises(InputError, match="token 0 names a feature twice"):
            counter.update(np.array([0, 4]), np.array([0, 1, 2, 0], np.int32))
        with pytest.raises(InputError, match="type float64"):
            counter.update(np.array([0, 1]), np.array([0.5]))

    def test_each_way_of_a_row_is_taken(self, libraries: Libraries) -> None:
        """Few increments go straight to the totals, many through shared memory, none of it by accident."""
        firing = draw(60, 300, 9, 2)
        ways: list[tuple[float, set[str]]] = [(0, {"count_pairs"}), (1e9, {"invert", "count_rows"})]
        for sparse, absent in ways:
            engine = HostEngine(libraries[False])
            GpuCounter(Scheme(np.arange(60)), engine=engine, sparse=sparse).update(**firing)
            assert set(engine.launches) == set(KERNELS) - absent


class Foreign:
    """An array of some other library on the host."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class OnDevice:
    """An array of some other library on a device, with nothing but the CUDA array interface."""

    __cuda_array_interface__: dict[str, Any] = {}  # noqa: RUF012 - read only


def test_arrays_of_other_libraries() -> None:
    """What lies on a device goes to CuPy as it is; what lies on the host does not."""
    array = np.arange(5)
    assert on_device(array, np) is array
    assert on_device([1, 2], np).tolist() == [1, 2]
    assert np.shares_memory(on_device(Foreign(array), np), array)
    given: list[Any] = []
    cupy = SimpleNamespace(ndarray=SimpleNamespace, asarray=given.append, from_dlpack=lambda one: ("dlpack", one))
    there, foreign = OnDevice(), Foreign(array)
    foreign.__class__ = type("Cuda", (Foreign,), {"__dlpack_device__": lambda self: (2, 0)})
    for one in (there, foreign, own := SimpleNamespace()):
        on_device(one, cupy)
    assert given == [there, ("dlpack", foreign), own]


def test_every_number_of_rows_that_fits_does() -> None:
    """One row more would not fit; a row of no pair always does."""
    for low in (0, 1, 5, 1000):
        for n_pairs in (0, 1, 7, 999, 10**6, 10**12):
            high = rows_with(low, n_pairs)
            assert high >= low
            assert pairs_of_rows(low, high) <= n_pairs < pairs_of_rows(low, high + 1)


def test_firings_of_dense_output() -> None:
    """What is above 0 fires, in ascending order within a token; tokens without firings keep their place."""
    acts = np.array([[0, 1.5, 0, 2], [0, 0, 0, 0], [-1, 0, 0.25, 0]], np.float32)
    indptr, ids, activations = firings_of(acts, xp=np)
    assert (indptr.dtype, ids.dtype, activations.dtype) == (np.int64, np.int32, np.float32)
    assert indptr.tolist() == [0, 2, 2, 3]
    assert ids.tolist() == [1, 3, 2]
    assert activations.tolist() == [1.5, 2, 0.25]
    assert [len(one) for one in firings_of(np.zeros((0, 4), np.float16), xp=np)] == [1, 0, 0]
    with pytest.raises(InputError, match="expected floating"):
        firings_of(np.zeros(4), xp=np)


def test_firings_of_long_output_are_found_in_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panels are seamless."""
    monkeypatch.setattr("atlas.counting.cuda._PANEL", 40)
    acts = np.maximum(np.random.default_rng(0).normal(size=(50, 11)), 0)
    indptr, ids, activations = firings_of(acts, xp=np)
    token, column = np.nonzero(acts)
    assert np.array_equal(np.repeat(np.arange(50), np.diff(indptr)), token)
    assert np.array_equal(ids, column)
    assert np.array_equal(activations, acts[token, column].astype(np.float32))


class Cupy(ModuleType):
    """A CuPy whose driver, devices and compiler are what a test says."""

    def __init__(self, *, devices: int | None = 1, compiler: str = "", result: int = 1) -> None:
        super().__init__("cupy")
        self.__spec__ = ModuleSpec("cupy", None)
        runtime = SimpleNamespace(CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}))
        self.devices, self.compiler, self.runtime, self.int64, self.int32 = devices, compiler, runtime, 0, 0
        runtime.getDeviceCount, runtime.getDeviceProperties = self.count, lambda number: {"name": b"Some GPU"}
        self.cuda = SimpleNamespace(
            runtime=runtime,
            Device=lambda number: contextlib.nullcontext(),
            compiler=SimpleNamespace(CompileException=type("CompileException", (Exception,), {})),
        )
        self.arange = lambda n, dtype: np.arange(n)
        self.zeros = lambda n, dtype: np.full(n, result)

    def count(self) -> int:
        if self.devices is None:
            raise self.runtime.CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
        return self.devices

    def RawKernel(self, code: str, name: str) -> Callable[..., None]:  # noqa: N802 - CuPy's name
        if self.compiler:
            raise RuntimeError(self.compiler)
        return lambda *args: None


class TestChooseDevice:
    @pytest.fixture(autouse=True)
    def _one_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever is installed here, one CuPy is."""
        self.packages = {"cupy-cuda13x"}
        monkeypatch.setattr("atlas.counting.cuda._is_installed", lambda name: name in self.packages)
        self.monkeypatch = monkeypatch

    def install(self, module: ModuleType | None) -> None:
        self.monkeypatch.setitem(sys.modules, "cupy", module)

    @pytest.mark.parametrize("word", ["gpu", "mps", "", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "auto:1"])
    def test_unknown_words(self, word: str) -> None:
        """Another word is a mistake of the user's, found before anything is imported."""
        with pytest.raises(InputError, match="expected auto, cpu, cuda or cuda:N") as caught:
            choose_device(word)
        assert not isinstance(caught.value, BackendError)

    def test_cpu_asks_nobody(self) -> None:
        """A machine without CuPy counts on its CPU."""
        self.install(None)
        assert choose_device("cpu") is None

    def test_a_working_gpu_is_chosen_and_named(self, caplog: pytest.LogCaptureFixture) -> None:
        """`auto` takes it and says so; by name it is taken in silence."""
        self.install(Cupy(devices=2))
        with caplog.at_level(logging.INFO, "atlas"):
            assert (choose_device("cuda"), choose_device("cuda:1")) == (0, 1)
            assert caplog.messages == []
            assert choose_device("auto") == 0
        assert caplog.messages == ["device: cuda:0 (Some GPU), chosen by --device auto"]

    def refused(self, device: str, message: str, remedy: str, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(BackendError, match=message) as caught:
            choose_device(device)
        assert caught.value.exit_code == 3
        assert remedy in caught.value.remedy
        with caplog.at_level(logging.INFO, "atlas"):
            caplog.clear()
            assert choose_device("auto") is None
        assert re.search(message, caplog.text)
        assert "chosen by --device auto" in caplog.text

    def test_without_cupy(self, caplog: pytest.LogCaptureFixture) -> None:
        """Fault 20: both extras are named; `auto` says why it is the CPU."""
        self.install(None)
        self.refused("cuda", "CuPy is not installed", "feature-atlas[cuda13]' (or [cuda12]", caplog)

    def test_without_a_driver(self, caplog: pytest.LogCaptureFixture) -> None:
        """Fault 21: a GPU that was asked for is never replaced by the CPU."""
        self.install(Cupy(devices=None))
        self.refused("cuda:0", "CUDA finds no working GPU: cudaErrorInsufficientDriver", "--device cpu", caplog)

    def test_a_device_that_is_not_there(self) -> None:
        """The number of devices is named."""
        self.install(Cupy(devices=2))
        with pytest.raises(BackendError, match="no device cuda:2: 2 found"):
            choose_device("cuda:2")

    def test_two_packages(self, caplog: pytest.LogCaptureFixture) -> None:
        """Fault 23: two CuPy packages overwrite each other; both are named, and how to leave one."""
        self.install(Cupy())
        self.packages |= {"cupy-cuda12x"}
        self.refused(
            "cuda", "cupy-cuda12x and cupy-cuda13x are installed", "pip uninstall -y cupy-cuda12x cupy-cuda13x", caplog
        )

    def test_without_its_toolkit(self, caplog: pytest.LogCaptureFixture) -> None:
        """Fault 23: CuPy that cannot compile a kernel is found out before the run."""
        self.install(Cupy(compiler="\n====\nCuPy failed to load libnvrtc.so.13\nmore"))
        self.refused("cuda", "cannot run a kernel on cuda:0: CuPy failed to load libnvrtc", "[cuda13]", caplog)

    def test_that_computes_wrongly(self, caplog: pytest.LogCaptureFixture) -> None:
        """A kernel that runs and does nothing is no working GPU."""
        self.install(Cupy(result=0))
        self.refused("cuda", "computes wrongly", "check GPU and driver", caplog)

    def test_that_cannot_be_imported(self, caplog: pytest.LogCaptureFixture) -> None:
        """A broken installation is named as such."""

        def broken(name: str) -> None:
            raise ImportError("===\nlibcuda is gone")

        self.install(Cupy())
        self.monkeypatch.setattr("atlas.counting.cuda.importlib.import_module", broken)
        self.refused("cuda", "CuPy cannot be imported: libcuda is gone", "[cuda13]", caplog)

    def test_packages_are_found_by_their_names(self) -> None:
        """What tells two packages apart is their metadata."""
        self.monkeypatch.undo()
        assert cuda._is_installed("numpy")
        assert not cuda._is_installed("cupy-cuda99x")


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_the_machine_at_hand() -> None:
    """With the CuPy that is installed: `auto` takes the GPU exactly where asking for it by name works."""
    try:
        chosen = choose_device("cuda")
    except BackendError:
        chosen = None
    assert choose_device("auto") == chosen
