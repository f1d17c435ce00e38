"""Files of rows: CSV, JSON lines and Parquet, compressed or not, as one stream of dicts."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from treue.errors import RejectedInput
from treue.store.addresses import shown

Format = Literal["csv", "jsonl", "parquet"]
REJECTED_LINE, REJECTED_REASON = "rejected_line", "rejected_reason"

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileRow:
    """One row as it stands in the file; `problem` says why it cannot be read, where it cannot."""

    line: int
    values: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class RowFile:
    """A file of rows, recognised but not read yet. `columns` is empty where rows name their own."""

    path: Path
    format: Format
    encoding: str
    delimiter: str
    columns: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """Return sentences about what was guessed."""
        if self.encoding != "cp1252":
            return []
        return [f"{self.path.name} is not UTF-8; it was read as Latin-1 (Windows-1252)."]

    def rows(self) -> Iterator[FileRow]:
        """Read the rows one by one; memory stays bounded whatever the file's size."""
        if self.format == "parquet":
            yield from _parquet_rows(self.path)
        else:
            with _text(self.path, self.encoding) as stream:
                yield from _csv_rows(self, stream) if self.format == "csv" else _json_rows(stream)


def recognise(path: Path) -> RowFile:
    """Return the file with its format, encoding and delimiter; raise RejectedInput where it is no such file."""
    try:
        kind = _format(path)
        if kind == "parquet":
            return RowFile(path, kind, "", "", tuple(_parquet(path).schema_arrow.names))
        encoding = _encoding(path)
        if kind == "jsonl":
            return RowFile(path, kind, encoding, "", ())
        delimiter, columns = _header(path, encoding)
        return RowFile(path, kind, encoding, delimiter, columns)
    except OSError as error:
        raise RejectedInput(f"{path} cannot be read: {error.strerror or error}.") from error
    except EOFError as error:
        raise RejectedInput(f"{path} is cut off: its compression ends too early.") from error


def _format(path: Path) -> Format:
    name = path.name.lower().removesuffix(".gz")
    found = _SUFFIXES.get(Path(name).suffix)
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise RejectedInput(
            f"{path.name} is of no known format; its name should end in one of {known} or .gz."
        )
    if found == "parquet" and path.name.lower().endswith(".gz"):
        raise RejectedInput(f"{path.name} is a packed Parquet file; unpack it, Parquet is compressed inside.")
    return found


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    errors = "replace" if encoding == "cp1252" else "strict"  # five bytes mean nothing in Windows-1252
    return io.TextIOWrapper(_open(path), encoding=encoding, errors=errors, newline="")


def _encoding(path: Path) -> str:
    """Return how the file is written: by its mark, else UTF-8 where all of it is, else Windows-1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open(path) as stream:
        first = stream.read(4)
        for mark, encoding in _BOMS.items():
            if first.startswith(mark):
                return encoding
        try:
            decoder.decode(first)
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _header(path: Path, encoding: str) -> tuple[str, tuple[str, ...]]:
    with _text(path, encoding) as stream:
        first = stream.readline(_CHUNK)
    found = {mark: next(csv.reader([first], delimiter=mark), []) for mark in ",;\t|"}
    delimiter = max(found, key=lambda mark: len(found[mark]))
    columns = tuple(name.strip() for name in found[delimiter])
    if not any(columns):
        raise RejectedInput(f"{path.name} is empty: its first line should name the columns.")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise RejectedInput(f"{path.name} has the column {shown(twice[0])} twice; rename one of them.")
    return delimiter, columns


def _csv_rows(file: RowFile, stream: io.TextIOWrapper) -> Iterator[FileRow]:
    reader = csv.reader(stream, delimiter=file.delimiter)
    next(reader, None)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield FileRow(line, {}, f"The line cannot be read: {error}.")
            continue
        if any(cell.strip() for cell in cells):
            yield _csv_row(file.columns, line, cells)


def _csv_row(columns: tuple[str, ...], line: int, cells: list[str]) -> FileRow:
    values = dict(zip(columns, cells, strict=False))
    if len(cells) == len(columns):
        return FileRow(line, values)
    return FileRow(line, values, f"The line has {len(cells)} cells, the header has {len(columns)}.")


def _json_rows(stream: io.TextIOWrapper) -> Iterator[FileRow]:
    for line, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            yield FileRow(line, {"line": text.strip()[:1000]}, "The line is not one JSON object.")
            continue
        if isinstance(values, dict):
            yield FileRow(line, values)
        else:
            yield FileRow(line, {"line": text.strip()[:1000]}, "The line is not one JSON object.")


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise RejectedInput(
            f"{path.name} is a Parquet file; reading one needs pyarrow: pip install 'treue[parquet]'."
        ) from None
    try:
        return ParquetFile(path)
    except ArrowInvalid:
        raise RejectedInput(f"{path.name} is not a Parquet file, whatever its name says.") from None


def _parquet_rows(path: Path) -> Iterator[FileRow]:
    number = 0
    for batch in _parquet(path).iter_batches(batch_size=5_000):
        for values in batch.to_pylist():
            number += 1
            yield FileRow(number, values)


class Rejects:
    """The rows set aside: a file beside the imported one, made with the first of them.

    A CSV keeps its columns and gains the line and the reason; all else becomes JSON lines. Where the folder
    may not be written to, the file goes to the current one.
    """

    def __init__(self, file: RowFile) -> None:
        self.count = 0
        self.path: Path | None = None
        self._file = file
        self._stream: IO[str] | None = None

    def add(self, row: FileRow, reason: str) -> None:
        """Set a row aside with its reason, a sentence."""
        self.count += 1
        stream = self._stream or self._begin()
        if self._file.format == "csv":
            cells = [row.values.get(name, "") for name in self._file.columns]
            csv.writer(stream, delimiter=self._file.delimiter).writerow([*cells, row.line, reason])
        else:
            told = {**row.values, REJECTED_LINE: row.line, REJECTED_REASON: reason}
            stream.write(json.dumps(told, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        """Finish the file."""
        if self._stream:
            self._stream.close()

    def _begin(self) -> IO[str]:
        suffix = ".rejected.csv" if self._file.format == "csv" else ".rejected.jsonl"
        beside = self._file.path.with_name(self._file.path.name + suffix)
        try:
            self._stream = beside.open("w", encoding="utf-8", newline="")
            self.path = beside
        except OSError:
            self.path = Path.cwd() / beside.name
            self._stream = self.path.open("w", encoding="utf-8", newline="")
        if self._file.format == "csv":
            columns = [*self._file.columns, REJECTED_LINE, REJECTED_REASON]
            csv.writer(self._stream, delimiter=self._file.delimiter).writerow(columns)
        return self._stream
