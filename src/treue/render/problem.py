"""What can be wrong with a template, and with one rendering of it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from treue.errors import RenderError

WARNINGS = frozenset({"T405"})
"""Codes of problems that do not keep a template from being used."""

FINDINGS = 50
"""How many problems of one kind in one source are told at once."""


@dataclass(frozen=True, order=True)
class TemplateProblem:
    """Something wrong in a template's file. Line and column count from 1.

    Codes: T401 syntax, T402 front matter, T403 unknown name, T404 fails for a sample customer, T405 prints what
    may be missing (a warning), T406 lacks a subject, T407 a file that cannot go with it, T211 comes with a later version.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    suggestion: str = ""


UNAVAILABLE = "unavailable"
"""The code of a failure for which neither the template nor the customer is to blame: the same may go later."""


@dataclass(frozen=True)
class RenderFailure:
    """A message that could not be made for one customer, and why; others are not touched by it.

    Codes: missing-value, unknown-name, wrong-type, wrong-value, unsafe-link, too-much, empty, no-variant,
    unknown-template, broken-template, bad-address, bad-header, unavailable (`UNAVAILABLE`).
    """

    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0


class Fault(RenderError):  # noqa: N818
    """Stops one rendering: a sentence for the author, its code, and the name it is about."""

    def __init__(self, code: str, message: str, name: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.name = name


_LONGEST_WORD = 60
_WORDS_COMPARED = 500


def nearest(word: str, known: object) -> str:
    """Return "Did you mean …?" for the word of `known` most like `word`, or nothing. Long words are like nothing."""
    words = (
        sorted(str(one) for one in known) if isinstance(known, (set, frozenset, list, tuple, dict)) else []
    )
    short = [one for one in words if len(one) <= _LONGEST_WORD][:_WORDS_COMPARED]
    found = get_close_matches(word, short, n=1, cutoff=0.6) if len(word) <= _LONGEST_WORD else []
    return f"Did you mean {found[0]}?" if found else ""
