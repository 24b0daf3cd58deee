"""The errors that a user may meet: each says the cause, the remedy and the exit code of its group."""

from __future__ import annotations

from typing import ClassVar


class AtlasError(Exception):
    """The run failed.

    Parameters
    ----------
    cause
        One line: the place, what was found, what was expected.
    remedy
        One line: what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


class InputError(AtlasError):
    """An input or a setting cannot be used."""

    exit_code = 3


class NothingFound(InputError):  # noqa: N818 - no fault of a control, which it says that of
    """No pair of features is significant: too little text, or a control, in which nothing is to be found."""


class ArtifactError(InputError):
    """A finished artifact is missing, damaged, of another version or of another configuration."""


class QueryError(InputError):
    """A query or one of its parameters cannot be used."""


class BackendError(InputError):
    """A device, an extra or a library that was asked for is not there."""


class ServiceError(AtlasError):
    """An outside service (hub, registry, corpus, database) did not do what was asked."""

    exit_code = 4


class DatabaseError(ServiceError):
    """The graph database cannot be reached or refuses."""


class CapacityError(AtlasError):
    """Memory or disk is too small."""

    exit_code = 5


class Interrupted(AtlasError):  # noqa: N818 - an interruption, not an error of the user's
    """The run was interrupted; what was finished is kept."""

    exit_code = 130

    def __init__(self, cause: str, remedy: str = "", *, terminated: bool = False) -> None:
        super().__init__(cause, remedy)
        if terminated:
            self.exit_code = 143  # type: ignore[misc]  # SIGTERM's code on this one instance
