"""Cells that a spreadsheet would run: written so that it shows them, and read back as they were."""

from __future__ import annotations

import re

_RUN = re.compile(r"'*(?:\s*[=+\-@＝＋－＠]|[\t\r\n])")
_DEFUSED = re.compile(r"'+(?:\s*[=+\-@＝＋－＠]|[\t\r\n])")


def defused(cell: str) -> str:
    """Return the cell with an apostrophe before what begins like a formula. `as_before` takes it away."""
    return f"'{cell}" if _RUN.match(cell) else cell


def as_before(cell: str) -> str:
    """Return a cell as it was before it was defused."""
    return cell[1:] if cell[:1] == "'" and _DEFUSED.match(cell) else cell
