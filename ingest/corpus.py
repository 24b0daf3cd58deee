"""Documents of a corpus: text, JSON lines and Parquet files, folders of them, or a data set by name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from atlas.errors import AtlasError, InputError, ServiceError
from atlas.ingest import extras, hub
from atlas.ingest.identity import files_digest

KINDS = (".txt", ".jsonl", ".parquet")


class Document(NamedTuple):
    """One document: what the corpus calls it, the file or data set that it came from, and its text."""

    name: str
    source: str
    text: str


@dataclass
class Corpus:
    """Documents that can be read again and again, always in the same order.

    Parameters
    ----------
    name
        Name of the file, folder or data set, without its place.
    identity
        What decides the documents, as JSON values: name, sha256 of the files, columns, split.
    rows
        Reads the documents anew, empty ones included.

    Attributes
    ----------
    n_empty : int
        Documents without any text that the last reading left out.
    """

    name: str
    identity: dict[str, Any]
    rows: Callable[[], Iterator[Document]]
    n_empty: int = 0

    def documents(self) -> Iterator[Document]:
        """Yield the documents that have text; `n_empty` counts the others.

        Raises
        ------
        InputError, ServiceError
            A row is no text, holds NUL or half a surrogate, or is not UTF-8 (the place is named); the
            column or the split is not there (fault 34).
        """
        self.n_empty = 0
        for document in self.rows():
            if document.text.strip():
                yield document
            else:
                self.n_empty += 1


def open_corpus(
    where: str | Path, *, text_column: str = "text", split: str = "train", subset: str | None = None
) -> Corpus:
    """Return the corpus of a file, a folder or a data set's name; nothing is read but the files' sums.

    Parameters
    ----------
    where
        A `.txt` (one document), `.jsonl` or `.parquet` file (a document a row), a folder of such files
        (in the order of their names, sub-folders included), or else the name of a data set on the hub.
    text_column
        Column of the text in JSON lines, Parquet and data sets. Columns `document` (a name) and
        `source` are used where a file has them.
    split, subset
        Split and configuration of a data set.

    Raises
    ------
    InputError
        There is no such file, it is of no known kind, or the folder holds none.
    """
    path = Path(where).expanduser()
    if not path.exists():
        if path.suffix in KINDS or str(where).startswith((".", "/", "~")):
            raise InputError(f"corpus {where}: there is no such file or folder", "check the path")
        identity = {"name": str(where), "text_column": text_column, "split": split, "subset": subset}
        return Corpus(str(where), identity, lambda: stream_dataset(str(where), text_column, split, subset))
    files = _files(path)
    root = path if path.is_dir() else path.parent
    named = [(file.relative_to(root).as_posix(), file) for file in files]
    identity = {
        "name": path.resolve().name,
        "sha256": files_digest(named, whole=2**62),
        "text_column": text_column,
    }
    return Corpus(
        path.resolve().name,
        identity,
        lambda: itertools.chain.from_iterable(_READERS[file.suffix](file, name, text_column) for name, file in named),
    )


def _files(path: Path) -> list[Path]:
    known = ", ".join(KINDS)
    if path.is_file():
        if path.suffix not in KINDS:
            raise InputError(
                f"corpus {path}: files of kind {path.suffix or 'none'} are not read", f"give one of {known}"
            )
        return [path]
    found = (file for file in path.rglob("*") if file.is_file() and file.suffix in KINDS)
    files = sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(path).parts))
    if not files:
        raise InputError(f"corpus {path}: the folder holds no file of kind {known}", "name another folder")
    return files


def _read_text(path: Path, name: str, _column: str) -> Iterator[Document]:
    yield Document(name, name, _checked(_decoded(path.read_bytes(), path, 1), f"{path}, line ", 1))


def _read_jsonl(path: Path, name: str, column: str) -> Iterator[Document]:
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if not raw.strip():
                continue
            place = f"{path}, line {number}"
            try:
                row = json.loads(_decoded(raw, path, number))
            except json.JSONDecodeError as error:
                raise InputError(f"{place}: not JSON ({error.msg})", "write one JSON object a line") from error
            if not isinstance(row, dict):
                raise InputError(f"{place}: {type(row).__name__}, expected an object", "write one JSON object a line")
            if column not in row:
                raise _no_column(place, column, list(row), InputError)
            text = _text(row[column], f"{place}, column {column}", InputError)
            yield Document(
                str(row.get("document") or f"{name}#{number}"),
                str(row.get("source") or name),
                _checked(text, place),
            )


def _read_parquet(path: Path, name: str, column: str) -> Iterator[Document]:
    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if column not in columns:
                raise _no_column(str(path), column, columns, InputError)
            wanted = [key for key in (column, "document", "source") if key in columns]
            number = 0
            for batch in file.iter_batches(batch_size=1024, columns=list(dict.fromkeys(wanted))):
                for row in batch.to_pylist():
                    place = f"{path}, row {number}"
                    text = _text(row[column], f"{place}, column {column}", InputError)
                    yield Document(
                        str(row.get("document") or f"{name}#{number}"),
                        str(row.get("source") or name),
                        _checked(text, place),
                    )
                    number += 1
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({error})", "write or fetch the file again") from error


_READERS: dict[str, Callable[[Path, str, str], Iterator[Document]]] = {
    ".txt": _read_text,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


def stream_dataset(name: str, column: str, split: str, subset: str | None) -> Iterator[Document]:
    """Yield the documents of a data set by name, streamed and never begun anew at its end.

    Raises
    ------
    ServiceError
        It is not found, needs a script, has no such split or column, or a row is no text (fault 34).
    """
    datasets = extras.need("datasets")
    try:
        with extras.quiet(stderr=True):
            rows = datasets.load_dataset(name, subset, split=split, streaming=True)
            iterator = iter(rows)
            first = next(iterator, None)
    except hub.hub_errors() as error:
        raise _dataset_error(error, name, split) from error
    if first is not None and column not in first:
        raise _no_column(f"data set {name}", column, list(first), ServiceError)
    for number in itertools.count():
        if first is None:
            return
        place = f"data set {name}, row {number}"
        text = _text(first[column], f"{place}, column {column}", ServiceError)
        label = first.get("document") or first.get("id") or number
        yield Document(str(label), str(first.get("source") or name), _checked(text, place))
        try:
            with extras.quiet():
                first = next(iterator, None)
        except hub.hub_errors() as error:
            raise _dataset_error(error, name, split) from error


def _dataset_error(error: Exception, name: str, split: str) -> AtlasError:
    text = str(error)
    if "script" in text.lower():
        return ServiceError(
            f"data set {name}: it is made by a script, which is not run",
            "use a copy of it in Parquet, or own files",
        )
    if "split" in text.lower():
        line = text.splitlines()[0][:300]
        return ServiceError(f"data set {name}: no split {split!r} ({line})", "name another split with --split")
    if "config" in text.lower() and "pick one" in text.lower():
        line = " ".join(text.split())[:300]
        return ServiceError(f"data set {name}: it has several parts ({line})", "name one with --subset")
    return hub.explain(error, f"data set {name}")


def _no_column(place: str, column: str, columns: list[str], kind: type[AtlasError]) -> AtlasError:
    return kind(
        f"{place}: no column {column!r}; there are {', '.join(map(repr, sorted(columns))) or 'none'}",
        "name the column of the text with --text-column",
    )


def _text(value: Any, place: str, kind: type[AtlasError]) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise kind(
            f"{place}: {type(value).__name__}, expected text",
            "name the column of the text with --text-column",
        )
    return value


def _decoded(raw: bytes, path: Path, first_line: int) -> str:
    try:
        return raw.decode("utf-8-sig")  # a mark at the beginning of a file is no text
    except UnicodeDecodeError as error:
        line = first_line + raw[: error.start].count(b"\n")
        raise InputError(
            f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8", "convert the file to UTF-8"
        ) from error


def _checked(text: str, place: str, first_line: int | None = None) -> str:
    """Return the text, or refuse it at its place when it holds NUL or half a surrogate pair."""
    nul = text.find("\0")
    if nul >= 0:
        at = place if first_line is None else f"{place}{first_line + text.count(chr(10), 0, nul)}"
        raise InputError(f"{at}: NUL character", "remove it: this may be a binary file")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{place}: half of a surrogate pair", "write whole characters") from error
    return text
