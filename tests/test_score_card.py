"""A small score card, on seeds that no card has: what may not get worse; and the command that makes the large one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from atlas.score import card as cards
from atlas.score.card import Card, Judged, collect, summarise
from atlas.score.cases import Case
from atlas.score.report import as_markdown, as_svg

SEEDS = (11, 12)
CASES = [
    Case("W0", small=True),
    Case("W1", small=True),
    Case("W1", background=True, small=True),
    Case("W2", small=True),
    Case("W3", small=True),
    Case("W4", small=True),
    Case("W5", small=True),
    Case("W6", small=True),
    Case("W6", background=True, small=True),
    Case("W7", small=True),
    Case("W8", small=True),
    Case("W9", small=True),
    Case("W10", background=True),  # of full size: a small one's pairs are too few to be held against their power
    Case("W11", background=True, small=True),
    Case("W12", small=True),
    Case("W12", background=True, small=True),
]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    folder = tmp_path_factory.mktemp("score")
    return list(collect(CASES, SEEDS, kept=folder / "worlds", scratch=folder))


@pytest.fixture(scope="module")
def card(judged: list[Judged]) -> Card:
    return summarise(judged, tuning=True)


def value(card: Card, case: str, name: str) -> float:
    found = card.figure(case, name).value
    assert found is not None, f"{case}, {name}: nothing to take a figure of"
    return found


@pytest.mark.parametrize(
    ("case", "name", "low"),
    [
        ("W0", "edges: recall", 0.93),
        ("W1", "edges: recall", 0.97),
        ("W1 + background", "edges: recall, planted", 0.97),
        ("W2", "edges: recall", 0.97),
        ("W4", "edges: recall", 0.95),
        ("W9", "edges: recall", 0.97),
        ("W0", "basis: lexical", 0.9),
        ("W1", "stars: kept or found", 1.0),
        ("W2", "cliques: fully connected", 0.8),
        ("W9", "AMI: fine", 0.9),
        ("W5", "manifolds: ring", 1.0),
        ("W5", "manifolds: line", 1.0),
        ("W6", "magnitude: multi-peak", 0.85),
        ("W6", "magnitude: set", 0.95),
        ("W6", "magnitude: variable", 0.9),
        ("W6", "peaks: token", 0.8),
        ("W6", "peaks: neighbour", 0.75),
        ("W6", "peaks: uncertainty", 0.8),
        ("W7", "absorption, untied: precision", 0.9),
        ("W7", "absorption, untied: recall", 0.9),
        ("W7", "absorbed, untied: of the pairs of child and parent", 0.9),
        ("W8", "shapes, atlas: star", 0.85),
        ("W8", "shapes, atlas: clique", 0.95),
        ("W8", "shapes, atlas: bipartite", 0.9),
        ("W8", "shapes, atlas: core-periphery", 0.6),
        ("W12", "verdicts: composition", 0.85),
        ("W12 + background", "verdicts: composition", 0.85),
        ("W12 + background", "verdicts: ambiguity", 0.5),  # a small world has few tokens of any one item
        ("W12", "verdicts: one item", 0.9),
        ("W12", "verdicts: independent", 0.95),
        ("W12", "verdicts: topic", 0.9),
        ("W10 + background", "edges: recall", 0.92),
        ("W10 + background", "edges: recall, planted", 0.97),
    ],
)
def test_what_is_planted_is_found(card: Card, case: str, name: str, low: float) -> None:
    """No figure falls below what two worlds of each kind gave, with some room."""
    assert value(card, case, name) >= low


def test_recall_and_power_agree_where_pairs_are_weak(card: Card) -> None:
    """Beside a background the test finds the pairs that it should by its own power: none is lost on the way."""
    power = value(card, "W10 + background", "edges: power")
    assert 0.92 <= power < 0.99
    assert abs(value(card, "W10 + background", "edges: recall") - power) <= 0.015


@pytest.mark.parametrize("shape", ["chain", "ring"])
def test_chains_and_rings_are_named_as_often_as_their_rule_allows(card: Card, shape: str) -> None:
    """Under this noise the rule names few, and the search for placements loses none of these."""
    found = value(card, "W8", f"shapes, atlas: {shape}")
    assert found == value(card, "W8", f"shapes, every placement: {shape}")
    assert found >= 0.1


@pytest.mark.parametrize(
    ("case", "name", "high"),
    [
        *(
            (case.name, "edges: false-discovery rate", 0.1)
            for case in CASES
            if case.world not in ("W3", "W5", "W6", "W7", "W8", "W11", "W12")
        ),
        ("W0", "basis: contextual", 0.05),
        ("W6", "magnitude: false multi-peak", 0.03),
        ("W6 + background", "magnitude: false multi-peak", 0.03),
        ("W6", "peaks: cause where there is none", 0.1),
        ("W6", "entropy: difference where there is none", 0.05),
        ("W2", "cliques: egos called hub-spoke", 0.0),
        ("W7", "absorption, independent: any candidate", 0.0),
        ("W7", "absorbed, tied: of the pairs of child and parent", 0.0),
        ("W8", "shapes, atlas: false star, n >= 8", 0.05),
        *((case, f"verdicts: false {claim}", 0.03) for case in ("W12", "W12 + background")
          for claim in ("composition", "ambiguity")),
        ("W3", "any claim", 0.0),
        ("W11 + background", "any claim", 0.0),
        *(("W5", f"manifolds: {name} called ring", 0.0) for name in ("simplex", "line", "arc", "helix")),
        ("W5", "manifolds: shuffled claims", 0.0),
        ("W5", "manifolds: claims of items not planted together", 0.0),
    ],
)
def test_what_is_not_there_is_not_claimed(card: Card, case: str, name: str, high: float) -> None:
    """False claims stay within twice the nominal rate."""
    assert value(card, case, name) <= high


def test_parents_of_the_forest_are_found(card: Card) -> None:
    """Direct parents and all ancestors, where they are written."""
    for name in ("parents, direct: precision", "parents, direct: recall", "ancestors: precision", "ancestors: recall"):
        assert value(card, "W4", name) >= 0.9


def test_the_atlas_names_more_stars_than_its_peer(card: Card) -> None:
    """Clarke et al.'s ideal star has a degree ratio that a star has not: from eight nodes on theirs finds none."""
    assert value(card, "W8", "shapes, atlas: star") > value(card, "W8", "shapes, peer: star") + 0.5


def test_a_card_says_its_figures_in_all_three_forms(card: Card) -> None:
    """JSON holds every figure, Markdown the goals, and the picture is XML with a bar for each goal."""
    rows = card.as_json()["figures"]
    assert json.loads(json.dumps(card.as_json(), allow_nan=False))["figures"] == rows
    text = as_markdown(card, command="atlas score --small")
    goals = [row for row in rows if row["goal"] is not None and row["value"] is not None]
    for row in goals:
        assert f"| {row['world']} | {row['figure']} | {row['value']:.3f} |" in text
    assert "Small worlds, which say less; 2 seeds" in text
    assert text.count("### Shapes with edge noise, as called by the ") == 2
    assert f"| clique | {card.confusion['peer']['clique']['clique']} |" in text.replace(" 0 |", "")
    drawn = list(ET.fromstring(as_svg(card)).iter())
    labels = [one for one in drawn if one.get("text-anchor") == "end"]
    assert labels
    assert all(5.2 * len(one.text or "") <= float(one.attrib["x"]) for one in labels)  # a letter of 12 points is 5 wide
    bars = [one for one in drawn if one.tag.endswith("rect")]
    assert len(bars) == len(goals) + 1  # and the ground


def test_a_finished_world_is_not_judged_again(
    judged: list[Judged], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is read, and the same; what another program judged is judged again."""
    case, kept = Case("W8", small=True), tmp_path / "worlds"
    first = list(collect([case], SEEDS, kept=kept, scratch=tmp_path))
    assert first == [one for one in judged if one.case == case]

    def never(case: Case, seed: int, scratch: Path) -> Judged:
        raise AssertionError(f"{case} {seed} is judged again")

    monkeypatch.setattr(cards, "judge_seed", never)
    assert list(collect([case], SEEDS, kept=kept, scratch=tmp_path)) == first
    monkeypatch.setattr(cards, "program_digest", lambda: "another")
    with pytest.raises(AssertionError, match="judged again"):
        list(collect([case], SEEDS, kept=kept, scratch=tmp_path))


def score(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "atlas", "score", *words)
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=os.environ, timeout=300)


def test_the_command_writes_the_card_and_goes_on(tmp_path: Path) -> None:
    """JSON alone on stdout, three files and one per world and seed; the same again is the same card."""
    words = ("--worlds", "W8", "--seeds", "500:502", "--small", "--out", "card", "--json")
    done = score(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["seeds"] == [500, 501]
    assert "2 of 2 worlds" in done.stderr
    names = {path.name for path in (tmp_path / "card").rglob("*") if path.is_file()}
    assert names == {"score.json", "score.md", "score.svg", "W8s-500.json", "W8s-501.json"}
    written = {path.name: path.read_bytes() for path in (tmp_path / "card").glob("score.*")}
    assert score(*words, cwd=tmp_path).stdout == done.stdout
    assert {path.name: path.read_bytes() for path in (tmp_path / "card").glob("score.*")} == written


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--seeds", "490:500"), 3, "a card has seeds from 500 on"),
        (("--worlds", "W0", "W5x"), 3, "world 'W5x' is unknown"),
        (("--worlds", "W8", "--background"), 3, "W8 has no background"),
        (("--seeds", "many"), 2, "not of the form 500:520"),
        (("W0",), 2, "did you mean --worlds W0"),
    ],
)
def test_what_no_card_can_have_is_refused(tmp_path: Path, words: tuple[str, ...], code: int, message: str) -> None:
    """Seeds that rules were chosen on, seeds that are none, and worlds that are not: before any work."""
    done = score(*words, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
