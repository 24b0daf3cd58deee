"""The pilot of a folder of partial counts: one order of features and one set of thresholds, which every job reads."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from atlas.artifacts import difference
from atlas.counting.rules import Rules, rule_names
from atlas.counting.scheme import Scheme
from atlas.errors import ArtifactError, InputError
from atlas.mapped import ArrayFile, StreamedArrays

ORDER = "order.safetensors"


@dataclass(frozen=True)
class Pilot:
    """What all parts of one count share, found once from the whole of the activations.

    Attributes
    ----------
    scheme
        What is counted, and in which order of features.
    rules
        Its rules, with what activations are compared against.
    """

    scheme: Scheme
    rules: Rules


def share_pilot(folder: Path, *, rules: Sequence[str], sums: bool, source: str, make: Callable[[], Pilot]) -> Pilot:
    """Return the folder's pilot: the one that is there, or a new one that all later callers get.

    Any number of processes may ask at a time: the file appears whole, and the first one stays.

    Parameters
    ----------
    rules, sums, source
        What is to be counted; see `Scheme`.
    make
        Called where there is no pilot yet.

    Raises
    ------
    InputError
        The folder's pilot is of other counts: the difference is named (fault 43). Or it cannot be written.
    ArtifactError
        It is damaged.
    """
    path = folder / ORDER
    if not path.exists():
        _publish(path, make())
    found = read_pilot(folder)
    ours = {"rules": list(rule_names(rules)), "sums": sums, "source": source}
    theirs = {name: value for name, value in found.scheme.description().items() if name in ours}
    changes = difference(theirs, ours)
    if changes:
        raise InputError(
            f"{folder} holds parts of other counts: {'; '.join(changes)}",
            "give the options that they were made with, or remove that folder",
        )
    return found


def read_pilot(folder: Path) -> Pilot:
    """Return the pilot of a folder of parts.

    Raises
    ------
    ArtifactError
        It is missing or damaged.
    """
    path = folder / ORDER
    remedy = f"remove {folder}, and count its parts again"
    with ArrayFile(path, remedy=remedy) as stored:
        try:
            told = json.loads(stored.metadata["scheme"])
            scheme = Scheme(stored.read("order"), tuple(told["rules"]), told["sums"], told["source"])
            cuts = tuple(np.ascontiguousarray(cut, np.float32) for cut in stored.read("cuts"))
            sound = scheme.description() == told and stored.metadata["cuts"] == _digest(cuts)
        except (ValueError, KeyError, TypeError, InputError) as error:
            raise ArtifactError(f"{path}: is no order of features ({error})", remedy) from error
    if not sound:
        raise ArtifactError(f"{path}: does not match its checksum", remedy)
    return Pilot(scheme, Rules(scheme.rules, cuts))


def _digest(cuts: Sequence[npt.NDArray[np.float32]]) -> str:
    return hashlib.sha256(b"".join(cut.tobytes() for cut in cuts)).hexdigest()


def _publish(path: Path, pilot: Pilot) -> None:
    """Write the pilot under its name, unless another process was first."""
    own = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    d = pilot.scheme.d_sae
    told = {"scheme": json.dumps(pilot.scheme.description(), sort_keys=True), "cuts": _digest(pilot.rules.cuts)}
    try:
        path.parent.mkdir(exist_ok=True)
        shapes = {"order": ((d,), "int32"), "cuts": ((pilot.scheme.bits, d), "float32")}
        with StreamedArrays(own, shapes, metadata=told) as out:
            out.write("order", pilot.scheme.order)
            for rule, cut in enumerate(pilot.rules.cuts):
                out.write("cuts", cut[None], at=rule)
        try:
            os.link(own, path)  # unlike a rename, it gives way to another process's
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            own.replace(path)
    except PermissionError as error:
        raise InputError(f"{path.parent} cannot be written: {error.strerror}", "ask the run's owner") from error
    finally:
        own.unlink(missing_ok=True)
