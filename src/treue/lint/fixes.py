"""Putting right what can be put right without changing what anybody meant.

A misspelt word becomes the one that was suggested: the file did not load before, so nothing that runs changes. A missing
exit is added: it lets people out who are sent nothing any more anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from treue.language.problems import Problem

_MEANT = re.compile(r"Did you mean `([^`]+)`\?")
_MISSPELT = frozenset({"T201", "T204", "T301", "T302", "T303", "T304", "T305", "T306", "T307", "T313"})
_NO_EXIT = "T504"
_EXIT = ("exit:", "  - event: consent.withdrawn")


@dataclass(frozen=True)
class Fixed:
    """A file's text after fixing, and for each fix the problem and what was done."""

    text: str
    done: tuple[tuple[Problem, str], ...]


def fix(text: str, problems: Iterable[Problem]) -> Fixed:
    """Return a file's text with those of its problems put right that have a safe fix."""
    lines, done = text.split("\n"), []
    for problem in sorted(problems, reverse=True):  # from the end, so that places before stay true
        said = _add_exit(lines, problem) if problem.code == _NO_EXIT else _respell(lines, problem)
        if said:
            done.append((problem, said))
    return Fixed("\n".join(lines), tuple(reversed(done)))


def _respell(lines: list[str], problem: Problem) -> str | None:
    meant = _MEANT.fullmatch(problem.suggestion or "")
    if problem.code not in _MISSPELT or not meant:
        return None
    place, line = problem.place, lines[problem.place.line - 1]
    start, end = place.column - 1, place.column - 1 + place.length
    written = line[start:end].strip("\"'")
    if not written or f"`{written}`" not in problem.message:
        return None
    lines[place.line - 1] = line[:start] + line[start:end].replace(written, meant[1], 1) + line[end:]
    return f"`{written}` is now `{meant[1]}`"


def _add_exit(lines: list[str], problem: Problem) -> str:
    at = problem.place.line - 1
    lines[at:at] = list(_EXIT)
    return "added `exit` on `consent.withdrawn`"
