"""The stage `56-behaviour`: verdicts on held-out documents, their agreement with shape, logic and means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import igraph
import numpy as np
import numpy.typing as npt

from atlas.artifacts import Artifact, Run, Spec
from atlas.association import EDGES
from atlas.behaviour.agreement import Agreement, Cell, agreement
from atlas.behaviour.evidence import Evidence, Subgraph, gather_evidence, judged
from atlas.behaviour.held_out import JUDGED, HeldOut, merged_items
from atlas.behaviour.interference import interference
from atlas.behaviour.logic import KINDS, Index, Triples, find_logic, informations, shares
from atlas.behaviour.means import Mean, community_means
from atlas.behaviour.pairs import pair_strengths
from atlas.behaviour.verdicts import Criteria, Verdict, verdict
from atlas.communities import CLUSTERS, LEVELS
from atlas.communities.stage import backbone
from atlas.counting.counts import PairCounts
from atlas.counting.stage import ACTIVATIONS, COUNTS, PAIRS, STRATA
from atlas.files import write_table
from atlas.firings import Firings
from atlas.kept import Kept
from atlas.mapped import map_arrays
from atlas.replication import REPLICATION
from atlas.replication.claims import Claims, Community
from atlas.schema.behaviour_fields import SHIFT_Q
from atlas.shapes import STRUCTURE
from atlas.threads import one_thread
from atlas.tracking import Track, untracked

BEHAVIOUR = "56-behaviour"
_DECODER = "decoder.safetensors"
_INPUTS = (ACTIVATIONS, COUNTS, EDGES, CLUSTERS, STRUCTURE, REPLICATION)


def behave(
    run: Run, *, seed: int = 0, criteria: Criteria | None = None, track: Track = untracked
) -> Artifact:
    """Return the artifact of behaviour.

    Tables: `verdicts` and `ego_verdicts` (composition or ambiguity, with the evidence, from the second half of the
    documents), `agreement` and `agreement_cells` (how much shape says of the verdict), `logic` and `logic_summary`,
    `interference` and `means` (from all documents).

    The halves are those of `55-replication`. A verdict is made on one half, and held against the shape that the
    same members have on the other: neither has seen the other's firings. The run's own shape, of all documents, is
    compared, too, for those whose shape on half the documents could not be told.

    A stage that was interrupted goes on: its finished parts, what is measured of all pairs, and the evidence of
    each subgraph are kept until all is written.

    Parameters
    ----------
    seed
        Seed of all permutations and random sets.
    criteria
        Thresholds of the verdict.

    Raises
    ------
    InputError
        The run keeps a reservoir of contexts.
    ArtifactError
        The run has no `55-replication`.
    """
    criteria = criteria or Criteria()

    spec = Spec(BEHAVIOUR, {"seed": seed, **asdict(criteria)}, _INPUTS)

    def compute(directory: Path) -> dict[str, Any]:
        firings = Firings(run.artifact(ACTIVATIONS).path)
        firings.require_index()
        results: dict[str, Any] = {}
        with one_thread(), Kept(directory, run, spec) as kept:
            work = _Work(run, firings, criteria, seed, track, kept)
            for part in (work.verdicts, work.logic, work.interference, work.means):
                results |= kept.part(part.__name__, partial(part, directory))
        return results

    return run.produce(spec, compute, resume=True)


class _Work:
    """What the parts of the stage share."""

    def __init__(
        self, run: Run, firings: Firings, criteria: Criteria, seed: int, track: Track, kept: Kept
    ) -> None:
        self.run, self.firings, self.criteria, self.seed, self.track = run, firings, criteria, seed, track
        self.kept = kept
        activations = run.artifact(ACTIVATIONS)
        self.claims = Claims.of(run, firings, with_edges=False)
        self.graph: igraph.Graph = backbone(run)
        item, self.names = merged_items(firings, activations.table("vocabulary").to_pylist())
        stratum = np.asarray(map_arrays(run.artifact(COUNTS).path / STRATA)["labels"])
        decoder = activations.path / _DECODER
        self.directions = np.asarray(map_arrays(decoder)["W_dec"]) if decoder.exists() else None
        context = activations.results.get("context_size")
        window = None if context is None else int(context) - int(bool(activations.results.get("prepend_bos")))
        halves = run.artifact(REPLICATION).table("half_documents")
        documents, half = (halves[name].to_numpy() for name in ("document", "half"))
        self.half, self.whole = (
            HeldOut.of(firings, documents=some, item=item, stratum=stratum, window=window)
            for some in (documents[half == JUDGED], documents)
        )

    def verdicts(self, directory: Path) -> dict[str, Any]:
        """Write verdicts and their agreement with shape, and return their figures."""
        communities, egos = self.claims.communities, self.claims.egos
        subgraphs = [Subgraph(one.members, one.hub) for one in communities]
        subgraphs += [Subgraph(np.array(sorted((ego.hub, *ego.leaves)), np.int64), ego.hub) for ego, _ in egos]
        sets = [judged(self.half, one.members) for one in subgraphs]
        strengths = pair_strengths(self.half, sets, track=self.track, keep=self.kept.arrays)
        evidence = gather_evidence(
            self.half, subgraphs, strengths, directions=self.directions, seed=self.seed, track=self.track,
            keep=self.kept.rows("evidence"),
        )  # fmt: skip
        called = [
            verdict(len(one.members), found, self.criteria) for one, found in zip(subgraphs, evidence, strict=True)
        ]
        replicated = self.run.artifact(REPLICATION)
        n, halves = len(communities), _half_shapes(replicated)
        columns = _verdict_columns(evidence, called, halves)
        places = _places(communities)
        write_table(directory, "verdicts", places | {name: values[:n] for name, values in columns.items()})
        own = {f"ego_{name}": values[n:] for name, values in columns.items()}
        write_table(directory, "ego_verdicts", {"index": [ego.hub for ego, _ in egos], **own})
        kinds = [*places["level"], *["ego"] * len(egos)]
        shapes = [*(one.shape for one in communities), *(shape for _, shape in egos)]
        agreed = self._agreement(directory, kinds, {"half": halves, "run": shapes}, called, subgraphs)
        counts = {kind: Counter(one for one, of in zip(columns["verdict"], kinds, strict=True) if of == kind)
                  for kind in dict.fromkeys(kinds)}  # fmt: skip
        return {"verdicts": {kind: dict(sorted(some.items())) for kind, some in counts.items()}, "agreement": agreed}

    def _agreement(
        self,
        directory: Path,
        kinds: Sequence[str],
        shapes: dict[str, list[str | None]],
        called: Sequence[tuple[Verdict, str]],
        subgraphs: Sequence[Subgraph],
    ) -> dict[str, float]:
        rows: list[dict[str, Any]] = []
        cells: list[dict[str, Any]] = []
        for kind in (*LEVELS, "ego"):
            some = [place for place, of in enumerate(kinds) if of == kind]
            verdicts, sizes = [called[place][0] for place in some], [len(subgraphs[place].members) for place in some]
            for compared, all_shapes in shapes.items():
                of = {"subgraph": kind, "compared": compared}
                one, table = agreement([all_shapes[place] for place in some], verdicts, sizes, seed=self.seed)
                rows.append(of | asdict(one))
                cells += [of | asdict(cell) for cell in table]
        names = tuple(field.name for field in fields(Agreement))
        write_table(directory, "agreement", _columns(rows, ("subgraph", "compared", *names)))
        names = tuple(field.name for field in fields(Cell))
        write_table(directory, "agreement_cells", _columns(cells, ("subgraph", "compared", *names)))
        return {row["subgraph"]: row["explained"] for row in rows
                if row["compared"] == "half" and row["explained"] is not None}  # fmt: skip

    def logic(self, directory: Path) -> dict[str, Any]:
        """Write the features that fire like a function of two others, and return how many, beside the control's."""
        near = _neighbours(self.graph, self.firings.d_sae)
        pairs = PairCounts.of(map_arrays(self.run.artifact(COUNTS).path / PAIRS))
        known = (self.firings.indptr, np.asarray(self.firings.rows), self.whole.stratum, self.whole.item, pairs)
        real, control = (
            find_logic(Index(*known, shuffle), near, track=self.track) for shuffle in (None, self.seed)
        )
        columns, lexical = _logic_columns(real, self.firings.n_tokens), real.basis == "lexical"
        write_table(directory, "logic", {name: values[~lexical] for name, values in columns.items()})
        synergy = columns["information"] > columns["information_apart"]
        everything, chance = np.ones(len(real.kind), bool), [int((control.kind == kind).sum()) for kind in KINDS]
        counts = {
            name: [int((which & (real.kind == kind)).sum()) for kind in KINDS]
            for name, which in (("claims", everything), ("lexical", lexical), ("synergies", synergy))
        }
        looked_at = {"kind": list(KINDS), "looked_at": [real.looked_at] * len(KINDS)}
        write_table(directory, "logic_summary", looked_at | counts | {"control_claims": chance})
        named = {name: dict(zip(KINDS, values, strict=True)) for name, values in counts.items()}
        return {
            "triples": real.looked_at, "logic": named["claims"], "logic_lexical": named["lexical"],
            "logic_synergies": named["synergies"], "logic_control": dict(zip(KINDS, chance, strict=True)),
        }  # fmt: skip

    def interference(self, directory: Path) -> dict[str, Any]:
        """Write how far neighbours shift each other's activations, and return how often, beside the control's."""
        index = np.asarray(self.graph.vs["index"], np.int64)
        pairs = np.sort(index[np.asarray(self.graph.get_edgelist(), np.int64).reshape(-1, 2)], axis=1)
        pairs = pairs[np.lexsort(pairs.T[::-1])]
        known = (self.firings.indptr, np.asarray(self.firings.rows), self.whole.activations, self.whole.item, pairs)
        real, control = (interference(*known, shuffle=one, track=self.track) for one in (None, self.seed))
        columns = {f"{name}_{end}": _filled(getattr(real, name)[:, place])
                   for name in ("shift", "q") for place, end in enumerate("ab")}  # fmt: skip
        write_table(directory, "interference", {"a": pairs[:, 0], "b": pairs[:, 1], **columns})
        tested, significant = np.isfinite(real.q), real.q <= SHIFT_Q
        return {
            "shifts": int(tested.sum()),
            "shifts_up": int((significant & (real.shift > 0)).sum()),
            "shifts_down": int((significant & (real.shift < 0)).sum()),
            "shifts_control": int((control.q <= SHIFT_Q).sum()),
        }

    def means(self, directory: Path) -> dict[str, Any]:
        """Write the means of communities, and return how many are longer than those of random features."""
        communities = self.claims.communities if self.directions is not None else []
        found: list[Mean] = []
        if self.directions is not None and communities:
            features = self.run.artifact(STRUCTURE).table("features")
            alive = features["index"].to_numpy()[np.asarray(features["class"].to_pylist()) == "alive"]
            found = community_means(
                self.whole, [one.members for one in communities], self.directions, alive, names=self.names,
                seed=self.seed, track=self.track,
            )  # fmt: skip
        columns = _columns([vars(one) for one in found], tuple(field.name for field in fields(Mean)))
        write_table(directory, "means", _places(communities) | columns)
        return {"means": len(found), "means_longer": sum(one.mean_norm_p <= 0.05 for one in found)}


def _places(communities: Sequence[Community]) -> dict[str, list[Any]]:
    return {"level": [one.level for one in communities], "cluster": [one.number for one in communities]}


def _half_shapes(replicated: Artifact) -> list[str | None]:
    """Return the class of each community, and of each ego subgraph, on the half that verdicts have not seen."""
    found: list[str | None] = []
    for table, name in (("replicated_clusters", "half_shapes"), ("replicated_egos", "ego_half_shapes")):
        found += [None if some is None else some[1 - JUDGED] for some in replicated.table(table)[name].to_pylist()]
    return found


def _verdict_columns(
    evidence: Sequence[Evidence], called: Sequence[tuple[Verdict, str]], halves: Sequence[str | None]
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"verdict": [one for one, _ in called], "reason": [why for _, why in called]}
    columns |= _columns([vars(one) for one in evidence], tuple(field.name for field in fields(Evidence)))
    return columns | {"half_shape": list(halves)}


def _logic_columns(found: Triples, n_tokens: int) -> dict[str, npt.NDArray[Any]]:
    n_a, n_b, n_c, n_ab, n_ac, n_bc, n_abc = found.counts.T
    both, a_alone, b_alone = shares(found.counts)
    neither = np.maximum(n_tokens - n_a - n_b + n_ab, 1)
    kind = np.array([KINDS.index(one) for one in found.kind.tolist()], np.int64)
    information, apart = informations(found.counts, kind, n_tokens)
    return {
        "a": found.a, "b": found.b, "c": found.c, "kind": found.kind, "joint_count": n_ab,
        "p_c_given_both": both, "p_c_given_a_alone": a_alone, "p_c_given_b_alone": b_alone,
        "p_c_given_neither": (n_c - n_ac - n_bc + n_abc) / neither,
        "information": information, "information_apart": apart, "basis": found.basis,
        "p": found.p, "q": found.q,
    }  # fmt: skip


def _neighbours(graph: igraph.Graph, d: int) -> list[npt.NDArray[np.int64]]:
    """Return the neighbours of each feature on the backbone, the strongest first."""
    index = np.asarray(graph.vs["index"], np.int64)
    ends = index[np.asarray(graph.get_edgelist(), np.int64).reshape(-1, 2)]
    phi = np.asarray(graph.es["phi"], np.float64)
    start, end = np.concatenate([ends, ends[:, ::-1]]).T
    order = np.lexsort((end, -np.concatenate([phi, phi]), start))
    return np.split(end[order], np.cumsum(np.bincount(start, minlength=d))[:-1])


def _columns(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in names}


def _filled(values: npt.NDArray[np.float64]) -> list[float | None]:
    """Return numbers with None for NaN, which no table holds."""
    return [value if np.isfinite(value) else None for value in values.tolist()]
