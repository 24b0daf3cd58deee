"""What a model hub answers, in the words of this program: which error it was and what to do about it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable

from atlas.errors import AtlasError, InputError, ServiceError

_OFFLINE = (
    "offline mode",
    "couldn't connect",
    "cannot find the requested files",
    "connection error",
    "couldn't reach",
    "max retries",
    "timed out",
    "name resolution",
    "network is unreachable",
    "client has been closed",
)


def hub_errors() -> tuple[type[Exception], ...]:
    """Return the classes of error that loading from a hub or a folder raises when the fault is outside."""
    found: list[type[Exception]] = [OSError, ValueError, KeyError, RuntimeError]
    for module, names in {
        "httpx": ("HTTPError",),
        "requests.exceptions": ("RequestException",),
        "huggingface_hub.errors": ("HfHubHTTPError", "LocalEntryNotFoundError"),
        "safetensors": ("SafetensorError",),
    }.items():
        loaded = sys.modules.get(module)
        found += [getattr(loaded, name) for name in names if loaded is not None and hasattr(loaded, name)]
    return tuple(found)


def explain(error: Exception, what: str) -> AtlasError:
    """Return the error to show for what a hub or a loader raised.

    Parameters
    ----------
    error
        What was raised; its chain of causes is looked at too.
    what
        What was being loaded, to begin the message: `model gpt2`.
    """
    chain = list(_chain(error))
    names = {kind.__name__ for found in chain for kind in type(found).__mro__}
    text = " ".join(str(found) for found in chain).lower()
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
    if "GatedRepoError" in names or "gated" in text:
        if "401" in text or "log in" in text or "token" not in text:
            return ServiceError(
                f"{what}: gated, and no token was sent", "accept its terms on the hub, then set HF_TOKEN"
            )
        return ServiceError(f"{what}: gated, and this account is not on its list", "ask for access on the hub's page")
    if "429" in text or "rate limit" in text:
        return ServiceError(f"{what}: the hub's rate limit is reached", "wait, or set HF_TOKEN; then try again")
    if "RevisionNotFoundError" in names:
        return ServiceError(f"{what}: no such revision", "check the revision's name")
    if names & {"LocalEntryNotFoundError", "ConnectError", "ConnectionError", "OfflineModeIsEnabled"} or any(
        sign in text for sign in _OFFLINE
    ):
        return ServiceError(
            f"{what}: not in the cache, and the hub cannot be reached",
            "check the network, unset HF_HUB_OFFLINE, or give the path of a folder",
        )
    if "RepositoryNotFoundError" in names or "not a valid model identifier" in text or "DatasetNotFoundError" in names:
        return ServiceError(f"{what}: there is none of this name", "check the name, or give the path of a folder")
    if "SafetensorError" in names:
        return InputError(f"{what}: a weight file is damaged ({first})", "fetch it again: it may be cut off")
    return InputError(f"{what} cannot be loaded: {first}", "check that its files are whole and of a supported kind")


def nearest(name: str, known: Iterable[str], *, n: int = 3) -> str:
    """Return a phrase with the known names nearest to one: `nearest: a, b, c`."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=n, cutoff=0.5) or sorted(known)[:n]
    return f"nearest: {', '.join(close)}" if close else "there are none"


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
