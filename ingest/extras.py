"""Optional packages: imported when first needed, kept quiet, their extra named when they are missing."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from types import ModuleType

from atlas.errors import BackendError

_NOISY = ("transformers", "datasets", "huggingface_hub", "sae_lens", "transformer_lens", "httpx", "torch")


def need(module: str, *, extra: str = "models") -> ModuleType:
    """Return an optional module, imported now and without noise.

    Raises
    ------
    BackendError
        It, or something that it imports, is not installed (fault 20): the extra is named.
    """
    try:
        with quiet():
            return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise BackendError(
            f"{missing.split('.')[0]} cannot be imported: {error}",
            f"install the extra that brings it: pip install 'feature-atlas[{extra}]'",
        ) from error


@contextlib.contextmanager
def quiet(*, stderr: bool = False) -> Iterator[None]:
    """Keep third-party warnings, log lines and prints away from the user while the block runs.

    Errors pass. Telemetry of the hub's client is switched off for the process, before it is imported.

    Parameters
    ----------
    stderr
        Whether to swallow stderr too, where libraries draw progress bars that no setting switches off.
    """
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would warn about every later fork
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if stderr:
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        warnings.simplefilter("ignore")
        try:
            for name in _NOISY:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
