"""The stage of rings: found from firings, the same whenever it runs, and said where nothing can be looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed import killed
from small_atlas import Small
from worlds import store

from atlas.artifacts import Run, Spec
from atlas.rings import rings, stage

K, OTHERS, N_DOCUMENTS, LENGTH = 10, 30, 30, 300
N = N_DOCUMENTS * LENGTH


def planted(run: Run, *, n_documents: int = N_DOCUMENTS, decoder: bool = True, signed: str | None = None) -> None:
    """Ten items around which twenty features are tuned, one that fires on all of them, thirty items beside.

    Signed, either every second feature is `turned`, together with its direction, or those that are tuned are `opposed`:
    above 0 on one side of the ring and below on the other.
    """
    rng = np.random.default_rng(0)
    items = rng.integers(0, K + OTHERS, N)
    angle = 2 * np.pi * (3 * items % K) / K  # the order around the ring is not that of the numbers
    centre = 2 * np.pi * np.arange(2 * K) / (2 * K)
    tuned = np.cos(angle[:, None] - centre)
    signs = {None: None, "turned": (-1.0) ** np.arange(2 * K + 6), "opposed": np.ones((N, 2 * K + 6))}[signed]
    if signed == "opposed":
        signs[:, : 2 * K] = np.where(tuned < 0, -1, 1)
        tuned = 0.5 * np.abs(tuned)  # as often as where they fire on one side alone
    tuned = np.clip(tuned, 0, 1) * (items < K)[:, None]
    chance = np.concatenate([tuned, (0.9 * (items < K))[:, None], np.full((N, 5), 0.02)], axis=1)
    document = np.arange(n_documents).repeat(N // n_documents)
    store(run, rng.random(chance.shape) < chance, document, items=items, evenness=20.0, signs=signs)
    if not decoder:
        run.artifact("10-activations").path.joinpath("decoder.safetensors").unlink()
        run._verified.clear()
    edges = {(a, 2 * K): 0.5 for a in range(2 * K)}
    small = Small(2 * K + 6, edges, {"fine": [tuple(range(2 * K + 1))]})
    run.produce(Spec("30-edges", {}, ()), lambda directory: small._edges(directory))
    run.produce(Spec("40-clusters", {}, ("30-edges",)), lambda directory: small._clusters(directory))


def tables(found: Any) -> dict[str, list[dict[str, Any]]]:
    return {name: found.table(name).to_pylist() for name in ("manifolds", "manifold_members", "manifold_items")}


def test_a_planted_ring_is_found_in_its_order(tmp_path: Path) -> None:
    """Ten items in the order in which they were planted, from all their features; of items none on shuffled firings."""
    with Run(tmp_path / "run") as run:
        planted(run)
        found = rings(run)
        first, again = found.made, rings(run).made
    assert first == again
    (manifold,) = (row for row in tables(found)["manifolds"] if row["points"] == "items")
    assert (manifold["geometry"], manifold["n_points"]) == ("ring", K)
    assert manifold["q"] <= 0.05
    assert manifold["permuted"] <= 0.02
    around = [int(item[1:]) * 3 % K for item in manifold["order"]]
    assert set((np.diff([*around, around[0]]) % K).tolist()) in ({1}, {K - 1})
    members = [row for row in tables(found)["manifold_members"] if row["manifold"] == manifold["manifold"]]
    assert {row["index"] for row in members} >= set(range(2 * K))  # the one that fires on all is too dense
    assert sum(row["share"] for row in members) == pytest.approx(1)
    items = [row for row in tables(found)["manifold_items"] if row["manifold"] == manifold["manifold"]]
    assert [row["item"] for row in items] == manifold["order"]
    assert all(row["specificity"] > 0.5 for row in items)
    assert not any(name.startswith("items") for name in found.results["shuffled_geometries"])


def test_another_seed_changes_halves_and_not_the_ring(tmp_path: Path) -> None:
    """The same run in another folder is the same to the byte; another seed finds the ring as well."""
    digests = []
    for folder, seed in (("one", 0), ("two", 0), ("three", 1)):
        with Run(tmp_path / folder) as run:
            planted(run)
            found = rings(run, seed=seed)
        assert found.table("manifolds").to_pylist()[0]["geometry"] == "ring"
        digests.append({name: one["sha256"] for name, one in found.files.items()})
    assert digests[0] == digests[1] != digests[2]


def test_five_members_on_five_items_are_no_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither points of items nor of members: a circle of five is not looked at, and nothing is wrong."""
    monkeypatch.setitem(globals(), "K", 2)
    with Run(tmp_path / "run") as run:
        planted(run)
        found = rings(run)
    assert "not_looked_for" not in found.results
    assert not any(row["geometry"] == "ring" or row["n_points"] < 6 for row in tables(found)["manifolds"])


@pytest.mark.parametrize(
    ("given", "cause"), [({"n_documents": 1}, "the corpus is one document"), ({"decoder": False}, "no decoder")]
)
def test_where_nothing_can_be_looked_for_the_tables_are_empty(
    tmp_path: Path, given: dict[str, Any], cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One document has no halves, and firings without a decoder rebuild nothing: said, and no error."""
    monkeypatch.setattr("atlas.artifacts.damaged_files", lambda artifact: [])
    with Run(tmp_path / "run") as run:
        planted(run, **given)
        found = rings(run)
    assert cause in found.results["not_looked_for"]
    assert not any(tables(found).values())


@pytest.mark.parametrize(("label", "after"), [("item means", 20), ("item means, shuffled", 5), ("rings, permuted", 1)])
def test_a_killed_search_goes_on_and_is_the_same_to_the_byte(
    tmp_path: Path, label: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while sums are written or sets are judged; what has a p-value is not tried again."""
    with Run(tmp_path / "one") as run:
        planted(run)
        files = rings(run).files
    made: list[Any] = []
    with Run(tmp_path / "two") as run:
        planted(run)
        killed(lambda track: rings(run, track=track), label, after=after)
        directory = run.path / stage.RINGS
        assert not (directory / "manifest.json").exists()
        assert (directory / ".kept" / "real.safetensors").exists() == (label != "item means")
        original = stage.tried
        monkeypatch.setattr(stage, "tried", lambda *known, **given: [made.append(known), original(*known, **given)][1])
        assert rings(run).files == files
        assert (not made) == (label == "rings, permuted")
        assert not (directory / ".kept").exists()


def test_what_another_search_kept_is_not_gone_on_with(tmp_path: Path) -> None:
    """Killed with one seed and asked for with another: nothing is left of the first."""
    with Run(tmp_path / "one") as run:
        planted(run)
        files = rings(run, seed=1).files
    with Run(tmp_path / "two") as run:
        planted(run)
        killed(lambda track: rings(run, track=track), "rings, permuted", after=1)
        assert rings(run, seed=1).files == files
