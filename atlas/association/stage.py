"""The stage `30-edges`: counts in, tested edges with every measure out, and the backbone of each kind marked."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from atlas.artifacts import Artifact, Run, Spec
from atlas.association.backbone import RULES, TARGET_DEGREE, Backbone, Kept, strongest
from atlas.association.basis import BASES, within_items
from atlas.association.control import CONTROLS
from atlas.association.fdr import FDR
from atlas.association.indirect import explained_by
from atlas.association.null import Floats
from atlas.association.sample import Sample
from atlas.association.table import Edges, phi_d_of, phi_of, write_edges
from atlas.association.testing import CO_OCCURS, CO_TOPIC, EXCLUDES, KINDS, Gates, Tested, test_pairs
from atlas.counting.cuda import choose_device
from atlas.counting.passes import Settings, count_shards, scheme_of
from atlas.counting.rules import ANY, Rules
from atlas.counting.stage import COUNTS, write_counts
from atlas.errors import InputError, NothingFound
from atlas.firings import Firings
from atlas.tracking import Track, untracked

EDGES = "30-edges"


def associate(
    run: Run,
    *,
    gates: Gates | None = None,
    backbone: str = "phi",
    phi_cut: float | None = None,
    target_degree: float = TARGET_DEGREE,
    alpha: float = 0.05,
    top_k: int = 10,
    basis: str = "all",
    excludes: bool = True,
    control: str = "permute",
    seed: int = 0,
    settings: Settings | None = None,
    track: Track = untracked,
) -> Artifact:
    """Return the artifact of edges: every significant CO_OCCURS pair, and of the other kinds the backbone.

    Parameters
    ----------
    backbone, phi_cut, target_degree, alpha, top_k, basis
        How the backbones are chosen: see `Backbone`. CO_TOPIC is cut by phi and EXCLUDES by -phi_d, so that
        the mean degree of alive features is at most `target_degree`.
    excludes
        Whether depleted pairs are looked for, which needs counts of every pair that was seen.
    control
        `permute` repeats the test on a copy permuted within strata, `shift` on one shifted; `none` leaves it out.
    seed
        Seed of that copy.
    settings
        Memory and threads of the test, and with the device of counting the copy. They do not change the result.
    track
        Told of the features tested.

    Raises
    ------
    InputError
        No pair passes (fault 48), none of those that do is on the backbone, or the counts were pruned of pairs
        that are tested.
    BackendError
        CUDA was asked for by name and does not work.
    """
    gates, settings = gates or Gates(), settings or Settings()
    for name, value, known in (
        ("backbone", backbone, RULES), ("control", control, (*CONTROLS, "none")), ("fdr", gates.fdr, FDR),
        ("basis", basis, ("all", *BASES)),
    ):  # fmt: skip
        if value not in known:
            raise InputError(f"{name} {value!r} is unknown", f"choose one of {', '.join(known)}")
    chosen = Backbone(backbone, phi_cut, target_degree, alpha, top_k, basis)
    parameters = {
        **asdict(gates), "backbone": backbone, "phi_cut": phi_cut, "target_degree": target_degree, "alpha": alpha,
        "top_k": top_k, "basis": basis, "excludes": excludes, "control": control, "seed": seed,
    }  # fmt: skip
    require_pairs(run.artifact(COUNTS).parameters["prune"], gates.min_joint, excludes=excludes)

    def compute(directory: Path) -> dict[str, Any]:
        work = _Work(gates, KINDS if excludes else (CO_OCCURS, CO_TOPIC), settings, track)
        firings = Firings(run.artifact("10-activations").path)
        sample = Sample.of(firings, run.artifact(COUNTS).path)
        results = work.edges(directory, sample, chosen)
        span = run.artifact(COUNTS).parameters["span"]
        tested = None if control == "none" else work.repeated(directory / ".control", sample, control, seed, span)
        return results | _survival(control, tested, work.gates.q, results)

    spec = Spec(EDGES, parameters, ("10-activations", COUNTS))
    return run.produce(spec, compute, check=lambda: _check(control, settings))


def _check(control: str, settings: Settings) -> None:
    """Refuse a device that is not there before edges that are there are given up, and before the test, not after."""
    if control != "none" and settings.device.startswith("cuda"):
        choose_device(settings.device)


def require_pairs(prune: int, min_joint: int, *, excludes: bool) -> None:
    """Raise `InputError` where counts are pruned of pairs that are to be tested."""
    if prune > min_joint:
        raise InputError(
            f"the counts leave out pairs seen on fewer than {prune} tokens, and pairs of {min_joint} are to be tested",
            f"count again with --prune {min_joint}, or give --min-joint {prune}",
        )
    if prune > 1 and excludes:
        raise InputError(
            f"the counts leave out pairs seen on fewer than {prune} tokens, which depletion would take for pairs "
            "that are never seen",
            "give --no-excludes, or count again with --prune 1",
        )


@dataclass(frozen=True)
class _Work:
    """How firings are tested, the real ones and the copies alike."""

    gates: Gates
    kinds: tuple[str, ...]
    settings: Settings
    track: Track

    def edges(self, directory: Path, sample: Sample, backbone: Backbone) -> dict[str, Any]:
        """Write the table of edges and return its figures."""
        tested = test_pairs(sample, gates=self.gates, kinds=self.kinds, settings=self.settings, track=self.track)
        if not (tested.pairs[CO_OCCURS].q <= self.gates.q).any():
            raise _too_few(sample, len(tested.alive))
        edges: dict[str, Edges] = {}
        figures = {kind: self._keep(kind, tested, sample, backbone, edges) for kind in KINDS}
        write_edges(directory, sample, edges, tested.spread)
        first = figures[CO_OCCURS]
        return {
            **_features(sample, tested),
            "n_significant": first["significant"],
            "n_edges": first["kept"],
            "phi_cut": first["cut"],
            "phi_cut_rule": first["rule"],
            "p_cut": first["p_cut"],
            "basis": first["basis"],
            "kinds": figures,
        }

    def _keep(
        self, kind: str, tested: Tested, sample: Sample, backbone: Backbone, edges: dict[str, Edges]
    ) -> dict[str, Any]:
        """Take a kind's pairs out of `tested`, put those that are written into `edges`, and return its figures."""
        pairs = tested.pairs.pop(kind)
        pairs = pairs.at(pairs.q <= self.gates.q)
        n_significant, p_cut = len(pairs), float(pairs.p.max()) if len(pairs) else None
        n_alive, sign = len(tested.alive), 1.0
        if kind == CO_OCCURS:
            phi = phi_of(sample.firings, pairs)
            kept = backbone.of(pairs.a, pairs.b, phi, n_alive=n_alive)
            if not kept.edges.any():
                raise _none_kept(kept, phi, backbone)
        else:
            strength = phi_of(sample.firings, pairs) if kind == CO_TOPIC else -phi_d_of(pairs, tested.spread)
            by, sign = ("phi", 1.0) if kind == CO_TOPIC else ("phi_d", -1.0)
            kept = strongest(strength, by, n_alive=n_alive, target_degree=backbone.target_degree)
            pairs, kept = pairs.at(kept.edges), replace(kept, edges=np.ones(int(kept.edges.sum()), bool))
        ends = pairs.a, pairs.b, pairs.joint_count
        items = within_items(sample.firings, *ends, q=self.gates.q, depleted=kind == EXCLUDES)
        if kind == CO_OCCURS and backbone.basis != "all":
            kept = replace(
                kept,
                edges=kept.edges & (items.basis == BASES.index(backbone.basis)),
                rule=f"{kept.rule}; of these the {backbone.basis} ones",
            )
            if not kept.edges.any():
                raise InputError(f"no edge of the backbone is {backbone.basis}", "give --basis all, or a lower cut")
        explained: Any = np.ma.masked_array(np.zeros(len(pairs), np.int64), True)
        if kind == CO_OCCURS:
            on = pairs.at(kept.edges)
            explained[kept.edges] = explained_by(sample, on.a, on.b, on.joint_count, phi[kept.edges])
        edges[kind] = Edges(pairs, kept.edges, kept.by, items, explained)
        basis = np.bincount(items.basis[kept.edges], minlength=len(BASES)).tolist()
        figures = {} if kind != CO_OCCURS else {"indirect": int(explained.count())}
        return figures | {
            "tests": pairs.n_tests,
            "significant": n_significant,
            "kept": int(kept.edges.sum()),
            "kept_by": kept.by,
            "cut": None if kept.cut is None else sign * kept.cut,
            "rule": kept.rule,
            "p_cut": p_cut,
            "basis": {name: n for name, n in sorted(zip(BASES, basis, strict=True)) if n},
        }

    def repeated(self, place: Path, sample: Sample, control: str, seed: int, span: int) -> Tested:
        """Return the test of a copy whose firings are moved within strata, which `place` holds for as long."""
        place.mkdir()
        copy = CONTROLS[control](sample.firings, sample.labels, place, seed=seed)
        rules = Rules((ANY,), ())
        counted = count_shards(
            copy, None, place / "scratch", scheme=scheme_of(copy, rules), rules=rules, settings=self.settings
        )
        write_counts(place, counted, copy, span=span, memory=self.settings.memory)
        kinds = tuple(kind for kind in self.kinds if kind != CO_TOPIC)  # a subject is what the copies keep
        moved = Sample.of(copy, place)
        tested = test_pairs(moved, gates=self.gates, kinds=kinds, settings=self.settings, track=self.track)
        shutil.rmtree(place)
        return tested


def _survival(control: str, tested: Tested | None, q: float, real: dict[str, Any]) -> dict[str, Any]:
    """Return what the copy keeps: under its own test, and under the real run's cut; of CO_OCCURS, and by kind."""
    if tested is None:
        return {"control": "none", "control_significant": None, "empirical_fdr": None}
    kinds = dict(real["kinds"])
    for kind, found in tested.pairs.items():
        if kind == CO_TOPIC or kinds[kind]["p_cut"] is None:
            continue
        passing = int((found.p <= kinds[kind]["p_cut"]).sum())
        kinds[kind] |= {
            "control_significant": int((found.q <= q).sum()),
            "control_passing_real_cut": passing,
            "empirical_fdr": passing / kinds[kind]["significant"],
        }
    names = ("control_significant", "control_passing_real_cut", "empirical_fdr")
    return {"control": control, **{name: kinds[CO_OCCURS][name] for name in names}, "kinds": kinds}


def _features(sample: Sample, tested: Tested) -> dict[str, Any]:
    """Return the figures about features and pairs (faults 46, 47 and 50)."""
    count, gates = sample.firings.firing_count, tested.gates
    dense = np.flatnonzero(count > gates.max_density * sample.n_tokens)
    dense = dense[count[dense] >= gates.min_firings]
    return {
        "n_alive": len(tested.alive),
        "n_dead": int((count < gates.min_firings).sum()),
        "dense": dense.tolist(),
        "n_pairs_seen": tested.n_seen,
        "n_pairs_tested": tested.n_tested,
        "crowding": tested.crowding,
        "baseline": _baseline(tested.crowding),
    }


def _baseline(crowding: float) -> str:
    if crowding < 1:
        return (
            f"independent features meet {crowding:.3f} times as often as their counts say, since tokens differ less "
            "in how many features fire than chance would have it: with TopK, (k - 1) / k times"
        )
    return (
        f"independent features meet {crowding:.3f} times as often as their counts say, since tokens differ in how "
        "many features fire"
    )


def _none_kept(kept: Kept, phi: Floats, backbone: Backbone) -> InputError:
    if kept.by == "phi":
        return InputError(
            f"none of the {len(phi)} significant pairs has phi >= {kept.cut:g}; the largest is {phi.max():.3f}",
            "lower --phi-cut, or raise --target-degree",
        )
    return InputError(
        f"none of the {len(phi)} significant pairs is kept: {kept.rule}",
        "raise --alpha, or give --backbone phi, which keeps edges of equal weights",
    )


def _too_few(sample: Sample, n_alive: int) -> InputError:
    n_tokens = sample.n_tokens
    if n_tokens and sample.sizes.max() == 1:
        return InputError(
            "every document has one token, and pairs are tested within documents",
            "run text whose documents are longer in another --run",
        )
    return NothingFound(
        f"no pair of the {n_alive} alive features is significant in {n_tokens} tokens",
        f"run more text in another --run: with --tokens {max(10 * n_tokens, 20000)} most real associations have "
        "the five joint firings that the test needs",
    )
