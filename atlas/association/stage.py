"""The stage `30-edges`: counts in, tested edges with every measure out, and the backbone marked."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.backbone import TARGET_DEGREE, choose_phi_cut
from atlas.association.basis import within_items
from atlas.association.control import permute_within_strata
from atlas.association.measures import measures
from atlas.association.testing import Gates, Tested, alive_features, test_pairs
from atlas.counting.counts import OF_ANY, PairCounts
from atlas.counting.stage import COUNTS, PAIRS, STRATA, count_pairs
from atlas.counting.strata import stratified_counts
from atlas.errors import InputError
from atlas.files import read_arrays, write_table
from atlas.firings import Firings
from atlas.mapped import ArrayFile, map_arrays
from atlas.tracking import Track, untracked

EDGES = "30-edges"
CONTROLS = ("permute", "none")


def associate(
    run: Run,
    *,
    gates: Gates | None = None,
    phi_cut: float | None = None,
    target_degree: float = TARGET_DEGREE,
    control: str = "permute",
    seed: int = 0,
    memory: int = 4 * 2**30,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of edges: every significant pair, the backbone marked by `kept_by`.

    Parameters
    ----------
    phi_cut
        Smallest phi on the backbone; by default the rule of `choose_phi_cut` with `target_degree`.
    control
        `permute` repeats the test on a copy permuted within documents; `none` leaves it out.
    seed
        Seed of that copy.
    memory
        Bytes for counting; does not change the result.
    track
        Told of the features tested.

    Raises
    ------
    InputError
        No pair passes (fault 48), none of those that do is on the backbone, or the counts were pruned of pairs
        that the gates let through.
    """
    if control not in CONTROLS:
        raise InputError(f"control {control!r} is unknown", f"choose one of {', '.join(CONTROLS)}")
    gates = gates or Gates()
    parameters = {
        **asdict(gates),
        "phi_cut": phi_cut,
        "target_degree": target_degree,
        "control": control,
        "seed": seed,
    }
    spec = Spec(EDGES, parameters, ("10-activations", COUNTS))

    require_pairs(run.artifact(COUNTS).parameters["prune"], gates.min_joint)

    def compute(directory: Path) -> dict[str, Any]:
        work = _Work.of(run, gates, memory, track)
        results = work.edges(directory, phi_cut, target_degree)
        if control == "none":
            return results | {"control": "none", "control_significant": None, "empirical_fdr": None}
        return results | work.permuted(directory, results, seed)

    return run.produce(spec, compute)


def require_pairs(prune: int, min_joint: int) -> None:
    """Raise `InputError` where counts are pruned of pairs that are to be tested."""
    if prune > min_joint:
        raise InputError(
            f"the counts leave out pairs seen on fewer than {prune} tokens, and pairs of {min_joint} are to be tested",
            f"count again with --prune {min_joint}, or give --min-joint {prune}",
        )


@dataclass(frozen=True)
class _Work:
    """What the two halves of the stage share: the real firings, and how they are tested."""

    firings: Firings
    counts: PairCounts
    labels: npt.NDArray[np.int32]
    within: scipy.sparse.csr_matrix
    gates: Gates
    memory: int
    track: Track

    @classmethod
    def of(cls, run: Run, gates: Gates, memory: int, track: Track) -> Self:
        firings = Firings(run.artifact("10-activations").path)
        with ArrayFile(run.artifact(COUNTS).path / PAIRS) as stored:
            counts = PairCounts.of({name: stored.read(name) for name in OF_ANY})
        return cls(firings, counts, *read_strata(run.artifact(COUNTS), firings.d_sae), gates, memory, track)

    def edges(self, directory: Path, phi_cut: float | None, target_degree: float) -> dict[str, Any]:
        """Write the table of edges and return its figures."""
        tested = test_pairs(self.firings, self.counts, self.labels, self.within, gates=self.gates, track=self.track)
        real = tested.where(tested.q <= self.gates.q)
        n_tokens = self.firings.n_tokens
        n_alive = len(alive_features(self.counts.firing_count, n_tokens=n_tokens, gates=self.gates))
        if len(real.a) == 0:
            raise _too_few(n_tokens, n_alive)
        columns = _columns(real, self.counts, self.firings, self.gates)
        rule = "given"
        if phi_cut is None:
            phi_cut = choose_phi_cut(columns["phi"], n_features=n_alive, target_degree=target_degree)
            rule = f"mean degree of alive features at most {target_degree:g}"
        kept = columns["phi"] >= phi_cut
        if not kept.any():
            raise InputError(
                f"none of the {len(real.a)} significant pairs has phi >= {phi_cut:g}; the largest is "
                f"{columns['phi'].max():.3f}",
                "lower --phi-cut, or raise --target-degree",
            )
        columns["kept_by"] = ["phi" if keep else None for keep in kept.tolist()]
        write_table(directory, "edges", columns)
        basis = zip(*np.unique(columns["basis"][kept], return_counts=True), strict=True)
        return {
            "n_alive": n_alive,
            "n_pairs_seen": tested.n_seen,
            "n_pairs_tested": tested.n_tested,
            "n_significant": len(real.a),
            "n_edges": int(kept.sum()),
            "phi_cut": float(phi_cut),
            "phi_cut_rule": rule,
            "p_cut": float(real.p.max()),
            "basis": {str(name): int(n) for name, n in basis},
        }

    def permuted(self, directory: Path, real: dict[str, Any], seed: int) -> dict[str, Any]:
        """Return what the permuted copy keeps: under its own test, and under the real run's cut."""
        place = directory / ".permuted"
        place.mkdir()
        copy = permute_within_strata(self.firings, self.labels, place, seed=seed)
        within = stratified_counts(copy.shards(), self.labels, n_strata=self.within.shape[0], d_sae=copy.d_sae)
        counts = count_pairs(copy, place / ".scratch", memory=self.memory)
        tested = test_pairs(copy, counts, self.labels, within, gates=self.gates, track=self.track)
        shutil.rmtree(place)
        passing = int((tested.p <= real["p_cut"]).sum())
        return {
            "control": "permute",
            "control_significant": int((tested.q <= self.gates.q).sum()),
            "control_passing_real_cut": passing,
            "empirical_fdr": passing / real["n_significant"],
        }


def read_strata(counts: Artifact, d_sae: int) -> tuple[npt.NDArray[np.int32], scipy.sparse.csr_matrix]:
    """Return each token's stratum and the firings per stratum from the artifact of counts."""
    stored = read_arrays(counts.path / STRATA)
    shape = (len(stored["sizes"]), d_sae)
    within = scipy.sparse.csr_matrix((stored["counts"], stored["features"], stored["indptr"]), shape=shape)
    return stored["labels"], within


def _columns(real: Tested, counts: PairCounts, firings: Firings, gates: Gates) -> dict[str, Any]:
    """Return the columns of the table of edges but `kept_by`."""
    n_a, n_b = counts.firing_count[real.a], counts.firing_count[real.b]
    items = within_items(firings, real.a, real.b, real.joint_count, q=gates.q)
    return {
        "a": real.a,
        "b": real.b,
        "kind": np.full(len(real.a), "CO_OCCURS"),
        "basis": items.basis,
        "lift_t": items.lift_t,
        "joint_count": real.joint_count,
        "expected": real.expected,
        "expected_uncorrected": real.expected_uncorrected,
        "variance": real.variance,
        "lift_d": real.joint_count / np.maximum(real.expected, np.finfo(float).tiny),
        "p": real.p,
        "q": real.q,
        "decoder_cosine": decoder_cosines(firings.directory, real.a, real.b),
        **measures(real.joint_count, n_a, n_b, n_tokens=firings.n_tokens),
    }


def decoder_cosines(
    activations: Path, a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Return the cosine of the two decoder directions of each pair: float64, shape (n,)."""
    directions = np.asarray(map_arrays(activations / "decoder.safetensors")["W_dec"])
    out = np.empty(len(a))
    for low in range(0, len(a), 65536):
        some = slice(low, low + 65536)
        out[some] = np.einsum("ij,ij->i", directions[a[some]], directions[b[some]], dtype=np.float64)
    return np.clip(out, -1, 1)


def _too_few(n_tokens: int, n_alive: int) -> InputError:
    return InputError(
        f"no pair of the {n_alive} alive features is significant in {n_tokens} tokens",
        f"run more text in another --run: with --tokens {max(10 * n_tokens, 20000)} most real associations have "
        "the five joint firings that the test needs",
    )
