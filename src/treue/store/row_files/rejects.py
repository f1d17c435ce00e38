"""The rows set aside: a file beside the imported one, made to be mended and imported in its turn."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import IO

from treue.store.row_files.defusing import defused
from treue.store.row_files.recognition import RowFile
from treue.store.row_files.rows import SET_ASIDE_LINE, SET_ASIDE_REASON, FileRow


class Rejects:
    """Sets rows aside, in a file that is made with the first of them.

    A CSV has the line and the reason before its cells, and these as they were, but that no spreadsheet takes one for a
    formula; all else becomes JSON lines. Where the folder may not be written to, the file goes to the current one.
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
            self._write_cells(stream, [str(row.line), reason, *(row.cells or row.values.values())])
        else:
            told = {**row.values, SET_ASIDE_LINE: row.line, SET_ASIDE_REASON: reason}
            stream.write(_json(told) + "\n")

    def close(self) -> None:
        """Finish the file."""
        if self._stream:
            self._stream.close()

    def _begin(self) -> IO[str]:
        is_csv = self._file.format == "csv"
        beside = self._file.path.with_name(
            self._file.path.name + (".rejected.csv" if is_csv else ".rejected.jsonl")
        )
        encoding = (
            "utf-8-sig" if is_csv else "utf-8"
        )  # without the mark, Excel takes UTF-8 for something else
        try:
            self._stream = beside.open("w", encoding=encoding, newline="")
            self.path = beside
        except OSError:
            self.path = Path.cwd() / beside.name
            self._stream = self.path.open("w", encoding=encoding, newline="")
        if is_csv:
            self._write_cells(self._stream, [SET_ASIDE_LINE, SET_ASIDE_REASON, *self._file.columns])
        return self._stream

    def _write_cells(self, stream: IO[str], cells: list[str]) -> None:
        csv.writer(stream, delimiter=self._file.delimiter).writerow(map(defused, cells))


def _json(values: dict[str, object]) -> str:
    text = json.dumps(values, ensure_ascii=False, default=str)
    return text if _is_unicode(text) else json.dumps(values, default=str)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
