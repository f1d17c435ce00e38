"""Which file it is: its format, how it is packed and written, and what its columns are called."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Literal

from treue.errors import RejectedInput
from treue.store.row_files import csv_rows, json_rows, lines, parquet_rows
from treue.store.row_files.rows import FileRow

Format = Literal["csv", "jsonl", "parquet"]
BROKEN = (EOFError, OSError, zlib.error)
"""What reading raises where a file, or what it is packed with, breaks off."""

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
_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE_AS_CSV = (
    "{} is a workbook, not a table of text. Open it and save the sheet as CSV (in Excel: File, Save As, “CSV UTF-8”; in "
    "LibreOffice: File, Save As, “Text CSV”), then import that."
)
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CHUNK = 1 << 20
_SAMPLE = 1_000
_RARELY = 20
"""How many times rarer than other letters those are in a text of Windows-1252 that happen to be UTF-8."""

_NOT_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class RowFile:
    """A file of rows, recognised but not read yet. `columns` of JSON lines are those of the first rows."""

    path: Path
    format: Format
    encoding: str = ""
    columns: tuple[str, ...] = ()
    csv: csv_rows.Header | None = None

    @property
    def name(self) -> str:
        """Its name, as it can be written anywhere."""
        return self.path.name.encode(errors="replace").decode()

    @property
    def delimiter(self) -> str:
        """What stands between the cells of a CSV."""
        return self.csv.delimiter if self.csv else ""

    @property
    def header(self) -> int:
        """How many lines come before the first row: a CSV's header, and what is above it."""
        return self.csv.lines if self.csv else 0

    @property
    def notes(self) -> list[str]:
        """Return sentences about what was guessed."""
        if self.encoding != "cp1252":
            return []
        return [f"{self.name} is not UTF-8; it was read as Latin-1 (Windows-1252)."]

    def rows(self, key: int | None = None) -> Iterator[FileRow]:
        """Read the rows one by one, each line of the file in just one of them; memory stays bounded whatever its size.

        `key` is the column of a CSV with what tells rows apart. Raises one of BROKEN where the file breaks off, and
        RejectedInput where a line does not end.
        """
        if self.format == "parquet":
            yield from parquet_rows.read_rows(self.path)
            return
        with _text(self.path, self.encoding) as stream:
            read = lines.lines(stream, self.name)
            yield from csv_rows.read_rows(read, self.csv, key) if self.csv else json_rows.read_rows(read)


def recognise(path: Path) -> RowFile:
    """Return the file with its format, encoding and columns; raise RejectedInput where it is no such file."""
    try:
        _refuse_what_is_no_file(path)
        kind = _format(path)
        if kind == "parquet":
            return RowFile(path, kind, columns=parquet_rows.columns(path))
        encoding = _encoding(path)
        if kind == "jsonl":
            return _json_lines(path, encoding)
        with _text(path, encoding) as stream:
            header = csv_rows.read_header(lines.lines(stream, path.name), path.name)
        return RowFile(path, kind, encoding, header.columns, header)
    except EOFError as error:
        raise RejectedInput(f"{path} is cut off: its compression ends too early.") from error
    except OSError as error:
        raise RejectedInput(f"{path} cannot be read: {error.strerror or error}.") from error
    except zlib.error as error:
        raise RejectedInput(f"{path} is damaged: it cannot be unpacked.") from error


def _refuse_what_is_no_file(path: Path) -> None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise RejectedInput(f"There is no file {path}.") from None
    if stat.S_ISDIR(found.st_mode):
        raise RejectedInput(f"{path} is a folder; name the file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise RejectedInput(
            f"{path} is no file but a pipe or a device; save what comes from it, and import that."
        )


def _format(path: Path) -> Format:
    name = path.name.lower().removesuffix(".gz")
    suffix = Path(name).suffix
    with path.open("rb") as stream:
        begins_so = stream.read(4).startswith(_WORKBOOK)
    if suffix in _WORKBOOKS or (begins_so and suffix in _SUFFIXES):
        raise RejectedInput(_SAVE_AS_CSV.format(path.name))
    found = _SUFFIXES.get(suffix)
    if found is None:
        unpack = (
            " Unpack it first." if suffix in (".zip", ".7z", ".rar", ".tar", ".bz2", ".xz", ".zst") else ""
        )
        known = ", ".join(_SUFFIXES)
        raise RejectedInput(
            f"{path.name} is of no known format; its name should end in one of {known} or .gz.{unpack}"
        )
    if found == "parquet" and path.name.lower().endswith(".gz"):
        raise RejectedInput(f"{path.name} is a packed Parquet file; unpack it, Parquet is compressed inside.")
    return found


def _json_lines(path: Path, encoding: str) -> RowFile:
    file, columns = RowFile(path, "jsonl", encoding), dict[str, None]()
    first = True
    for row in islice(file.rows(), _SAMPLE):
        if first and str(next(iter(row.values.values()), "")).startswith("[") and row.problem:
            raise RejectedInput(
                f"{file.name} is one JSON array; JSON lines have an object a line. `jq -c '.[]' {file.name} > "
                "rows.jsonl` makes them."
            )
        first = first and row.blank
        columns |= dict.fromkeys(row.values) if not row.problem else {}
    return RowFile(path, "jsonl", encoding, tuple(columns))


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    """Open a file as text; what cannot be decoded becomes UNREADABLE, and its line is set aside."""
    return io.TextIOWrapper(_open(path), encoding=encoding, errors="replace", newline="")


def _encoding(path: Path) -> str:
    """Return how the file is written: by its mark, else UTF-8 where most of it is, else Windows-1252."""
    with _open(path) as stream:
        first = stream.read(4)
        for mark, encoding in _MARKS.items():
            if first.startswith(mark):
                return encoding
        if wide := _without_a_mark(first):
            return wide
        return _of_bytes(stream, first, path.name)


def _without_a_mark(first: bytes) -> str | None:
    """Return which UTF-16 begins so, as every other byte of plain letters is nothing in it."""
    if len(first) == 4 and first[0] and first[2] and not first[1] and not first[3]:
        return "utf-16-le"
    if len(first) == 4 and first[1] and first[3] and not first[0] and not first[2]:
        return "utf-16-be"
    return None


def _of_bytes(stream: IO[bytes], chunk: bytes, name: str) -> str:
    """Read all of a file, and say what it is written in: a stray byte makes no other encoding of UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = bad = unbroken = 0
    while chunk:
        ended = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        unbroken = len(chunk) - ended if ended >= 0 else unbroken + len(chunk)
        if unbroken > lines.ENDLESS:
            raise RejectedInput(lines.endless(f"A line of {name}"))
        text = decoder.decode(chunk)
        if not text.isascii():
            good += len(_NOT_ASCII.findall(text))
            bad += len(_NOT_UTF_8.findall(text))
        chunk = stream.read(_CHUNK)
    bad += len(decoder.decode(b"", final=True))
    return "cp1252" if bad > _RARELY * good else "utf-8"
