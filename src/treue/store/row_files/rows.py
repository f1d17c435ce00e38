"""One row of a file, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

SET_ASIDE_LINE, SET_ASIDE_REASON, SET_ASIDE_TEXT = "rejected_line", "rejected_reason", "rejected_text"
"""What a file of rows that were set aside says of each: its line in the first file, why, and its text if it was no row."""

UNREADABLE = "\ufffd"
"""What stands for a byte that means nothing in the file's encoding."""


class FileRow(NamedTuple):
    """One row as it stands in the file; `problem` says why it cannot be read, where it cannot.

    `cells` are those of a CSV's line where they are not just the values. `lines` says over how many lines of the file it goes, `size`
    how many characters it has. A blank line is a row, too: one that says nothing.
    """

    line: int
    values: Mapping[str, Any] = MappingProxyType({})
    problem: str | None = None
    cells: Sequence[str] = ()
    lines: int = 1
    size: int = 0
    blank: bool = False


def unreadable(text: str) -> str | None:
    """Return why a line is set aside whose bytes mean nothing in the file's encoding, or None."""
    if UNREADABLE in text:
        return f"The line has a character that cannot be read ({UNREADABLE}): write it anew, in UTF-8."
    return None
