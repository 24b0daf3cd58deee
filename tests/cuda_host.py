"""Runs the counting kernels on the CPU, so that all of the GPU backend but the GPU is executed by the tests."""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from atlas.counting.cuda import KERNELS, kernel_options, kernel_source

HEADER = Path(__file__).parent / "cuda_host.h"
TYPES = {"int": np.int32, "u8": np.uint8, "u32": np.uint32, "i64": np.int64, "u64": np.uint64}
THREADS = 16


def parameters(source: str, name: str) -> list[tuple[Any, bool]]:
    """Return the type of each parameter of a kernel, and whether it is a pointer."""
    found = re.search(rf"__global__ void (?:__launch_bounds__\([^)]*\) )?{name}\(([^)]*)\)", source)
    assert found, name
    return [(TYPES[one.split()[-2].rstrip("*")], "*" in one) for one in found[1].replace("const ", "").split(",")]


def build(folder: Path, *, sums: bool, sanitize: str = "") -> ctypes.CDLL:
    """Compile the kernels for the CPU; a source that does not compile fails."""
    compiler = shutil.which("g++")
    assert compiler
    source, library = folder / f"kernels-{sums:d}.cpp", folder / f"kernels-{sums:d}.so"
    exports = "\n".join(f"EXPORT({name})" for name in KERNELS)
    source.write_text(f'#include "{HEADER}"\n{kernel_source()}\n{exports}\n')
    options = [option for option in kernel_options(sums=sums, threads=THREADS) if not option.startswith("-std")]
    options += [f"-fsanitize={sanitize}", "-g"] if sanitize else []
    options += ["-std=c++20", "-O1", "-Wall", "-Werror", "-fPIC", "-shared", "-pthread"]
    subprocess.run([compiler, *options, source, "-o", library], check=True)
    return ctypes.CDLL(str(library))


class HostEngine:
    """An `Engine` of numpy arrays: the kernels are called, not launched. What CUDA would read amiss is refused."""

    def __init__(self, library: ctypes.CDLL, *, shared_bytes: int = 2**16, threads: int = THREADS) -> None:
        self.xp: Any = np
        self.threads, self.blocks, self.shared_bytes, self.l2_bytes = threads, 2, shared_bytes, 2**25
        self.out_of_memory: type[Exception] = MemoryError
        self.launches: list[str] = []
        self._library, self._source = library, kernel_source()

    def use(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def launch(self, name: str, grid: int, block: int, shared: int, *args: Any) -> None:
        wanted = parameters(self._source, name)
        assert len(args) == len(wanted), name
        assert grid > 0
        assert 0 < block <= self.threads
        assert shared <= self.shared_bytes
        passed = []
        for number, (arg, (dtype, pointer)) in enumerate(zip(args, wanted, strict=True)):
            assert arg.dtype == dtype, f"{name}: parameter {number} is {arg.dtype}"
            assert isinstance(arg, np.ndarray) == pointer, f"{name}: parameter {number}"
            if pointer:
                assert arg.flags.c_contiguous
                passed.append(ctypes.c_void_p(arg.ctypes.data))
            else:
                passed.append(np.ctypeslib.as_ctypes_type(arg.dtype)(int(arg)))
        pointers = (ctypes.c_void_p * len(passed))(*(ctypes.addressof(one) for one in passed))
        self.launches.append(name)
        getattr(self._library, f"host_{name}")(grid, block, shared, pointers)

    def take(self, array: Any) -> Any:
        return np.asarray(array)

    def asnumpy(self, array: Any) -> Any:
        return np.asarray(array)

    def free_bytes(self) -> int:
        return 2**30

    def release(self) -> None:
        pass
