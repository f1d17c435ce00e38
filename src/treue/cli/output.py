"""What commands print: JSON documents, tables, a little emphasis where a person reads along."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

_STYLES: Mapping[str, Mapping[str, Any]] = {
    "strong": {"bold": True},
    "dim": {"dim": True},
    "good": {"fg": "green"},
    "bad": {"fg": "red", "bold": True},
    "mark": {"fg": "cyan"},
    "warning": {"fg": "yellow"},
}


def document(**keys: Any) -> None:
    """Print one JSON document; `format` says which keys scripts may rely on."""
    print(json.dumps({"format": 1, **keys}, ensure_ascii=False, indent=2, default=str))


def line(text: str = "") -> None:
    """Print a line of the result."""
    print(text)


def tell(text: str) -> None:
    """Print a sentence beside the result, on stderr."""
    print(text, file=sys.stderr)


def styled(text: str, style: str) -> str:
    """Return the text with emphasis, or plain where nobody sees it: off a terminal, or with NO_COLOR."""
    plain = os.environ.get("NO_COLOR") or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, **_STYLES[style])


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> None:
    """Print rows under headers, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(headers, *cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(row[n], int) or row[n] is None for row in rows)
        for n in range(len(headers))
    ]
    line(indent + styled(_row(headers, widths, right), "dim"))
    for row in cells:
        line(indent + _row(row, widths, right))


def count(number: int, one: str, many: str = "") -> str:
    """Return "1 journey" or "1,234 journeys"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


class ProgressLine:
    """A line on stderr that keeps counting, where a person watches; elsewhere nothing."""

    def __init__(self, what: str) -> None:
        self._what, self._shown = what, False

    def __call__(self, number: int) -> None:
        """Show how many there are so far."""
        if sys.stderr.isatty():
            print(f"\r{number:,} {self._what}", end="", file=sys.stderr, flush=True)
            self._shown = True

    def close(self) -> None:
        """End the line."""
        if self._shown:
            print(file=sys.stderr)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(parts).rstrip()
