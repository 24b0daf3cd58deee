"""A CUDA device for counting: which one to use, the kernels on it, and arrays that come to it without the host."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import warnings
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from atlas.counting.scheme import Scheme
from atlas.errors import BackendError, InputError

logger = logging.getLogger("atlas")

KERNELS = ("relabel", "sort_tokens", "invert", "count_rows", "count_pairs")
_WHEELS = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
_EXTRAS = "pip install 'feature-atlas[cuda13]' (or [cuda12] where the driver is older)"
_CPU_MEMORY = (1, 3)
"""DLPack's numbers for memory of the host: plain, and pinned for CUDA."""
_PANEL = 2**26
"""Activations that `firings_of` looks through at once: the search needs a few times their memory."""


class Engine(Protocol):
    """What a counter needs of a device.

    Attributes
    ----------
    xp
        Array module: cupy, or numpy where the kernels run on the host.
    threads
        Threads of a block, a multiple of 32 (a power of two below that).
    blocks
        Blocks of a kernel that strides over its work.
    shared_bytes
        Shared memory that a block of `count_rows` may ask for.
    l2_bytes
        Size of the L2 cache.
    out_of_memory
        What an allocation that does not fit raises.
    """

    xp: Any
    threads: int
    blocks: int
    shared_bytes: int
    l2_bytes: int
    out_of_memory: type[Exception]

    def use(self) -> AbstractContextManager[Any]:
        """Return a context in which this device is the current one."""

    def launch(self, name: str, grid: int, block: int, shared: int, *args: Any) -> None:
        """Start a kernel; arguments are arrays of `xp` and numpy scalars of the kernel's widths."""

    def take(self, array: Any) -> Any:
        """Return an array on the device without a copy, and one on the host as numpy's."""

    def asnumpy(self, array: Any) -> npt.NDArray[Any]:
        """Return an array of `xp` on the host."""

    def free_bytes(self) -> int:
        """Return how much memory can still be allocated."""

    def release(self) -> None:
        """Give unused memory that is held back to the device."""


class CudaEngine:
    """The kernels on one CUDA device through CuPy.

    Parameters
    ----------
    device
        Number of the device, as `choose_device` returns it.
    sums
        Whether the kernels add up activations, too.
    shared_bytes
        Shared memory of a block of `count_rows`; by default half a multiprocessor's, so that two are at work.
    """

    def __init__(self, device: int, *, sums: bool, shared_bytes: int | None = None) -> None:
        import cupy

        runtime = cupy.cuda.runtime
        self.xp: Any = cupy
        self.out_of_memory: type[Exception] = cupy.cuda.memory.OutOfMemoryError
        self._device = cupy.cuda.Device(device)
        with self._device:
            ask = {
                name: runtime.deviceGetAttribute(getattr(runtime, f"cudaDevAttr{name}"), device)
                for name in (
                    "MaxSharedMemoryPerBlockOptin", "MaxSharedMemoryPerMultiprocessor", "MaxThreadsPerBlock",
                    "MaxThreadsPerMultiProcessor", "ReservedSharedMemoryPerBlock", "L2CacheSize", "MultiProcessorCount",
                )
            }  # fmt: skip
            half = ask["MaxSharedMemoryPerMultiprocessor"] // 2 - ask["ReservedSharedMemoryPerBlock"]
            self.shared_bytes = min(shared_bytes or half, ask["MaxSharedMemoryPerBlockOptin"])
            self.threads = min(ask["MaxThreadsPerMultiProcessor"] // 2, ask["MaxThreadsPerBlock"]) // 32 * 32
            self.blocks = 8 * ask["MultiProcessorCount"]
            self.l2_bytes = ask["L2CacheSize"]
            module = cupy.RawModule(code=kernel_source(), options=kernel_options(sums=sums, threads=self.threads))
            self._kernels = {name: module.get_function(name) for name in KERNELS}
            self._kernels["count_rows"].max_dynamic_shared_size_bytes = self.shared_bytes

    def use(self) -> AbstractContextManager[Any]:
        """Return a context in which this device is the current one."""
        return self._device  # type: ignore[no-any-return]  # CuPy has no types here

    def launch(self, name: str, grid: int, block: int, shared: int, *args: Any) -> None:
        """Start a kernel on the current stream."""
        self._kernels[name]((grid,), (block,), args, shared_mem=shared)

    def take(self, array: Any) -> Any:
        """Return an array on the device without a copy, and one on the host as numpy's."""
        return on_device(array, self.xp)

    def asnumpy(self, array: Any) -> npt.NDArray[Any]:
        """Return an array on the host; waits for the device."""
        return np.asarray(self.xp.asnumpy(array))

    def free_bytes(self) -> int:
        """Return how much memory can still be allocated, the pool's limit and unused blocks considered."""
        pool = self.xp.get_default_memory_pool()
        free = int(self.xp.cuda.runtime.memGetInfo()[0]) + int(pool.free_bytes())
        limit = int(pool.get_limit())
        return min(free, limit - int(pool.used_bytes())) if limit else free

    def release(self) -> None:
        """Give the pool's unused blocks back to the device."""
        self.xp.get_default_memory_pool().free_all_blocks()


def kernel_source() -> str:
    """Return the kernels' source."""
    return files("atlas.counting").joinpath("cooccurrence.cu").read_text("ascii")


def kernel_options(*, sums: bool, threads: int) -> tuple[str, ...]:
    """Return the compiler's options for the kernels."""
    return ("-std=c++17", f"-DSUMS={int(sums)}", f"-DTHREADS={threads}")


def bytes_a_pair(scheme: Scheme) -> int:
    """Return the bytes of the device that a pair's totals take."""
    return (8 << scheme.bits) + 16 * scheme.sums


def on_device(array: Any, xp: Any) -> Any:
    """Return an array that lies on a device as one of cupy's, without a copy, and any other as one of numpy's.

    An array on another device than the current one is copied to it.
    """
    if isinstance(array, np.ndarray):
        return array
    if isinstance(array, xp.ndarray):
        return xp.asarray(array)
    if hasattr(array, "__dlpack_device__"):
        if int(array.__dlpack_device__()[0]) in _CPU_MEMORY:
            return np.from_dlpack(array)
        return xp.asarray(xp.from_dlpack(array))
    if hasattr(array, "__cuda_array_interface__"):
        return xp.asarray(array)
    return np.asarray(array)


def firings_of(feature_acts: Any, *, xp: Any = None) -> tuple[Any, Any, Any]:
    """Return the firings of an SAE's dense output as (indptr, ids, activations), on the device that it is on.

    Parameters
    ----------
    feature_acts
        Floating, shape (tokens, d_sae): a CuPy array or anything with DLPack or the CUDA array interface, a
        torch tensor say (detached). What is above 0 is a firing.
    xp
        Array module; cupy by default.

    Returns
    -------
    indptr : int64, shape (tokens + 1,)
    ids : int32, shape (nnz,), ascending within a token
    activations : float32, shape (nnz,)

    Raises
    ------
    InputError
        The array has another number of dimensions, or no floating numbers.
    """
    if xp is None:
        import cupy

        xp = cupy
    if str(getattr(feature_acts, "dtype", "")).endswith("bfloat16") and hasattr(feature_acts, "float"):
        feature_acts = feature_acts.float()  # CuPy has no bfloat16 of its own
    acts = xp.asarray(on_device(feature_acts, xp))
    if acts.ndim != 2 or acts.dtype.kind != "f":
        raise InputError(
            f"feature activations of shape {acts.shape} and type {acts.dtype}, expected floating (tokens, d_sae)",
            "give the SAE encoder's output, one row a token",
        )
    n, d = acts.shape
    lengths, ids, activations = [xp.zeros(1, xp.int64)], [xp.zeros(0, xp.int32)], [xp.zeros(0, xp.float32)]
    step = max(1, _PANEL // max(d, 1))
    for first in range(0, n, step):
        panel = xp.ascontiguousarray(acts[first : first + step])
        fires = panel > 0
        flat = xp.flatnonzero(fires)
        lengths.append(fires.sum(1, dtype=xp.int64))
        ids.append((flat % d).astype(xp.int32))
        activations.append(panel.ravel()[flat].astype(xp.float32))
    return xp.cumsum(xp.concatenate(lengths)), xp.concatenate(ids), xp.concatenate(activations)


def choose_device(device: str) -> int | None:
    """Return the number of the CUDA device to count on, or None for the CPU; `auto` logs what it chose, and why.

    Parameters
    ----------
    device
        `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises
    ------
    BackendError
        CUDA was asked for by name and does not work: no CuPy (fault 20), no working GPU (21), two CuPy
        packages, or CuPy without its toolkit (23).
    InputError
        There is no such kind of device.
    """
    kind, colon, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (colon and not (kind == "cuda" and number.isdecimal())):
        raise InputError(f"device {device!r}, expected auto, cpu, cuda or cuda:N", "give --device one of them")
    if kind == "cpu":
        return None
    try:
        name = _try_device(int(number or 0))
    except BackendError as error:
        if kind == "cuda":
            raise
        logger.info("device: cpu, chosen by --device auto (%s)", error.cause)
        return None
    if kind == "auto":
        logger.info("device: cuda:0 (%s), chosen by --device auto", name)
    return int(number or 0)


def _try_device(number: int) -> str:
    """Return a device's name after running kernels on it, or raise `BackendError` with what is in the way."""
    cupy = _import_cupy()
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise BackendError(
            f"CUDA finds no working GPU: {_first_line(error)}",
            "give --device cpu, or install the GPU's driver (see nvidia-smi)",
        ) from error
    if number >= count:
        raise BackendError(f"there is no device cuda:{number}: {count} found, from cuda:0", "give --device one of them")
    try:
        with cupy.cuda.Device(number):
            total = int((cupy.arange(4, dtype=cupy.int64) + 1).sum())
            kernel = cupy.RawKernel('extern "C" __global__ void probe(int* x) { *x += 1; }', "probe")
            probed = cupy.zeros(1, cupy.int32)
            kernel((1,), (1,), (probed,))
            if (total, int(probed[0])) != (10, 1):
                raise BackendError(f"cuda:{number} computes wrongly", "give --device cpu, and check GPU and driver")
            name = runtime.getDeviceProperties(number)["name"]
    except (RuntimeError, ImportError, OSError, MemoryError, cupy.cuda.compiler.CompileException) as error:
        raise BackendError(
            f"CuPy cannot run a kernel on cuda:{number}: {_first_line(error)}",
            f"install CuPy with its toolkit: {_EXTRAS}, or give --device cpu",
        ) from error
    return name.decode() if isinstance(name, bytes) else str(name)


def _import_cupy() -> Any:
    """Return CuPy, or raise `BackendError` where it is absent, doubled or broken."""
    if importlib.util.find_spec("cupy") is None:
        raise BackendError("CuPy is not installed", f"install the extra that brings it: {_EXTRAS}")
    wheels = [name for name in _WHEELS if _is_installed(name)]
    if len(wheels) > 1:
        raise BackendError(
            f"{' and '.join(wheels)} are installed side by side and overwrite each other's files",
            f"pip uninstall -y {' '.join(wheels)}, then {_EXTRAS}",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("cupy")
    except (ImportError, OSError) as error:
        raise BackendError(f"CuPy cannot be imported: {_first_line(error)}", f"install it anew: {_EXTRAS}") from error


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if any(map(str.isalpha, line))), type(error).__name__)


def free_memory(device: int, *, sums: bool) -> int:
    """Return the bytes of a CUDA device that totals may take: three quarters of what is free.

    A `GpuCounter` takes up to seven eighths of what is free when it is made: what loads meanwhile fits between.
    """
    engine = CudaEngine(device, sums=sums)
    with engine.use():
        engine.release()
        return engine.free_bytes() // 4 * 3
