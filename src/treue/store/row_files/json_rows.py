"""JSON lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from treue.store.row_files.cells import trimmed
from treue.store.row_files.lines import BEGINNING, Line, too_long
from treue.store.row_files.rows import SET_ASIDE_LINE, SET_ASIDE_REASON, SET_ASIDE_TEXT, FileRow, unreadable

_NO_OBJECT = "The line is not one JSON object."
_ONLY_TEXT = f"Put the mended line in the place of this one, whose `{SET_ASIDE_TEXT}` is what stood there."


def read_rows(lines: Iterator[Line]) -> Iterator[FileRow]:
    """Read a row a line; what is no object is one that has a problem."""
    for number, line in enumerate(lines, start=1):
        text = trimmed(line.text)
        if not text:
            yield FileRow(number, blank=True)
            continue
        problem = too_long() if line.too_long else unreadable(text)
        try:
            values = json.loads(text) if not problem else None
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, dict):
            yield _row(number, values, len(text))
        else:
            yield FileRow(number, {SET_ASIDE_TEXT: text[:BEGINNING]}, problem or _NO_OBJECT, size=len(text))


def _row(number: int, values: dict[str, object], size: int) -> FileRow:
    told = values.pop(SET_ASIDE_LINE, None)
    values.pop(SET_ASIDE_REASON, None)
    line = told if isinstance(told, int) and not isinstance(told, bool) else number
    return FileRow(line, values, _ONLY_TEXT if SET_ASIDE_TEXT in values else None, size=size)
