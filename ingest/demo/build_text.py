"""Build the demo's text and its SAE's training text from packages and the generator of dated notes."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from atlas.ingest.demo import dated_notes, sources
from atlas.ingest.demo.sources import Document

SEED = 20240229
#: Characters per source in the shipped and in the training text (about 4.3 characters a token).
BUDGET = {
    "sotu": (125_000, 950_000),
    "python-doc": (125_000, 800_000),
    "wordnet": (80_000, 400_000),
    "jargon": (70_000, 350_000),
    "notes": (105_000, 420_000),
}
SHIPPED_SHARE = 0.3  # of the groups of each source; what the budget leaves over is dropped, not trained on
SHINGLE = 8  # words
OVERLAP = 0.2  # of a document's shingles that may occur on the other side


def shingles(text: str) -> set[tuple[str, ...]]:
    """All runs of eight words, lower case, punctuation ignored."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


def collect(folder: Path, seed: int) -> Iterator[Document]:
    """Yield every candidate document of every source."""
    yield from sources.addresses(folder, seed, passages=4)
    yield from sources.documentation(folder)
    yield from sources.glosses(folder)
    yield from sources.jargon(folder)
    for name, text in dated_notes.generate(3000, seed):
        yield Document(name, "notes", f"notes:{name}", text)


def split(documents: Iterable[Document], seed: int) -> tuple[list[Document], list[Document]]:
    """Return shipped and training documents: split by hash, cut to the budgets, near copies dropped.

    Parameters
    ----------
    documents : iterable of Document
        Candidates; a group (an address, a page, an entry) lies on one side only.
    seed : int
        Seed of the hashes; it decides both the side and the order in which the budget is filled.

    Returns
    -------
    tuple[list[Document], list[Document]]
        Shipped and training documents, each ordered by hash within a source. No document shares more than
        `OVERLAP` of its eight-word runs with what was taken before it, shipped documents being taken first.
    """
    ordered = sorted(documents, key=lambda d: sources.rank(seed, f"order:{d.source}:{d.name}"))
    seen: set[tuple[str, ...]] = set()
    sides: tuple[list[Document], list[Document]] = ([], [])
    for side in (0, 1):
        used: Counter[str] = Counter()
        for document in ordered:
            shipped = sources.rank(seed, f"side:{document.group}") < SHIPPED_SHARE * 2**64
            size = used[document.source] + len(document.text)
            if shipped != (side == 0) or size > BUDGET[document.source][side]:
                continue
            runs = shingles(document.text)
            if len(runs & seen) > OVERLAP * len(runs):
                continue
            seen |= runs
            used[document.source] = size
            sides[side].append(document)
    return sides


def polish(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield documents without drawn boxes, footnote marks, stray hyphens of line ends and small initials.

    Only the shipped text needs this: it is read by people, and the split must not depend on it.
    """
    for document in documents:
        if re.search("[\u2500-\u257f]", document.text):
            continue
        text = re.sub(r"\b(non|pre|re|self|multi)- (?!and |or |to )(?=[a-z])", r"\1-", document.text)
        text = re.sub(r"(?<=[,.;])\[\d+\]", "", text)
        text = re.sub(r"\( (?=\w)", "(", text)
        if document.source == "notes":
            text = re.sub(r"(?<=\d\. )[a-z]", lambda m: m.group().upper(), text)
        yield replace(document, text=text)


def write(path: Path, documents: Iterable[Document]) -> int:
    """Write JSON lines with the keys document, source and text; return the number of bytes."""
    lines = (
        json.dumps({"document": f"{d.source}/{d.name}", "source": d.source, "text": d.text}, ensure_ascii=False)
        for d in documents
    )
    content = ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return len(content)


def main() -> None:
    """Fetch, split, write, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/atlas-demo"), help="packages and training text")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("text.jsonl"), help="shipped text")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the split and of the notes")
    options = parser.parse_args()
    sources.fetch(options.work / "packages")
    shipped, training = split(collect(options.work / "packages", options.seed), options.seed)
    shipped = list(polish(shipped))
    for path, documents in ((options.out, shipped), (options.work / "training.jsonl", training)):
        size = write(path, sorted(documents, key=lambda d: (d.source, d.name)))
        counts = Counter(d.source for d in documents)
        chars = Counter({s: sum(len(d.text) for d in documents if d.source == s) for s in counts})
        detail = ", ".join(f"{s} {counts[s]} ({chars[s]:,} characters)" for s in sorted(counts))
        print(f"{path}: {len(documents)} documents, {size:,} bytes: {detail}", file=sys.stderr)


if __name__ == "__main__":
    main()
