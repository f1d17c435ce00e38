"""What a check found: well, a warning, or wrong, in a sentence, with the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad something is: a warning can wait, what is wrong keeps Treue from its work or lets others in."""

    well = "well"
    warning = "warning"
    wrong = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `check` is filled in by the examination."""

    grade: Grade
    sentence: str
    remedy: str = ""
    check: str = ""


def well(sentence: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Grade.well, sentence)


def warning(sentence: str, remedy: str) -> Finding:
    """Return that something should be looked into."""
    return Finding(Grade.warning, sentence, remedy)


def wrong(sentence: str, remedy: str = "") -> Finding:
    """Return that something has to be put right; a sentence that already says how needs no remedy."""
    return Finding(Grade.wrong, sentence, remedy)
