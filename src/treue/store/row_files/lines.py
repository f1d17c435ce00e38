"""Lines of a text, one by one: no line, however long, takes more than a little memory and time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

from treue.errors import RejectedInput

MAX_LINE = 1 << 17
"""Characters of the longest line that is read as a row; four times what a record may hold."""

ENDLESS = 1 << 28
"""Characters, or bytes, without a line break that no table has: the file is not read further."""

BEGINNING = 1_000
"""How much is kept of a line that is too long."""


class Line(NamedTuple):
    """A line without its line break; `too_long` where `text` is only its beginning."""

    text: str
    too_long: bool = False


def lines(stream: io.TextIOWrapper, name: str) -> Iterator[Line]:
    """Read a stream that was opened with `newline=""`. Raises RejectedInput where a line does not end."""
    number, read = 0, stream.readline
    while text := read(MAX_LINE):
        number += 1
        if text[-1] == "\n":
            yield Line(text[:-2] if text[-2:-1] == "\r" else text[:-1])
        elif text[-1] == "\r":
            yield Line(text[:-1])
        elif len(text) < MAX_LINE:
            yield Line(text)
        else:
            _skip(stream, f"{name}, line {number}")
            yield Line(text[:BEGINNING], too_long=True)


def too_long() -> str:
    """Return why a line is set aside of which only the beginning is kept."""
    return f"The line is longer than {MAX_LINE:,} characters; only its beginning stands here."


def _skip(stream: io.TextIOWrapper, place: str) -> None:
    skipped = 0
    while text := stream.readline(MAX_LINE):
        if text[-1] in "\n\r":
            return
        skipped += len(text)
        if skipped > ENDLESS:
            raise RejectedInput(endless(place))


def endless(place: str) -> str:
    """Return what to say of a line that goes on and on."""
    return f"{place} goes on for more than {ENDLESS >> 20} million characters: this is no table."
