"""Problems a person can put right: each with its place, a code, a sentence and, where one is near, a suggestion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

CODES = {
    "T101": "not YAML",
    "T102": "tags, anchors, aliases and merge keys are not allowed",
    "T103": "too large or too deep",
    "T104": "wrong form of file",
    "T105": "duplicate key",
    "T106": "file cannot be read",
    "T201": "unknown key",
    "T202": "missing key",
    "T203": "wrong type",
    "T204": "not one of the allowed words",
    "T205": "not a duration",
    "T206": "out of range",
    "T207": "keys that exclude each other",
    "T208": "not a name",
    "T209": "not a cron expression",
    "T210": "not a time zone",
    "T211": "comes with a later version",
    "T212": "a literal secret",
    "T301": "unknown segment",
    "T302": "unknown template",
    "T303": "unknown event",
    "T304": "unknown attribute",
    "T305": "unknown event property",
    "T306": "unknown journey",
    "T307": "unknown channel",
    "T308": "segments that refer to each other in a circle",
    "T309": "operator does not fit the type",
    "T310": "duplicate step id",
    "T311": "template has no variant for the channel",
    "T312": "value does not fit the type",
    "T313": "unknown channel adapter",
    "T401": "template syntax",
    "T402": "template front matter",
    "T403": "unknown name in a template",
    "T404": "template fails for a sample customer",
    "T405": "template prints what may be missing",
    "T406": "template lacks a subject",
}
"""Every code with its meaning; the reference in the docs has a paragraph for each."""

WARNINGS = frozenset({"T405"})
"""Codes that are worth saying but do not make `check` fail."""


@dataclass(frozen=True, order=True)
class Place:
    """A stretch of one line in a file; line and column count from 1, length in characters."""

    file: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong."""

    place: Place
    code: str
    message: str
    suggestion: str | None = None

    @property
    def is_warning(self) -> bool:
        """Whether this is worth saying but not wrong."""
        return self.code in WARNINGS

    def as_json(self) -> dict[str, object]:
        """Return the keys that scripts may rely on."""
        return {
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "code": self.code,
            "message": self.message,
            "suggestion": self.suggestion,
        }


class Problems:
    """A growing list of problems; nothing is raised until everything has been looked at."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, place: Place, code: str, message: str, suggestion: str | None = None) -> None:
        """Add one problem, unless the same stands there already."""
        assert code in CODES, code
        problem = Problem(place, code, message, suggestion)
        if problem not in self._found:
            self._found.append(problem)

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self._found, key=lambda p: (p.place, p.code)))

    def __len__(self) -> int:
        return len(self._found)

    def all(self) -> list[Problem]:
        """Return all problems by file, line and column."""
        return sorted(self._found, key=lambda p: (p.place, p.code, p.message))


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word a person most likely meant, or None where none is near."""
    known = sorted(set(words))
    if word.lower() in (lower := {w.lower(): w for w in known}):
        return lower[word.lower()]
    swapped = word.replace("_", "-")
    if swapped in known or (swapped := word.replace("-", "_")) in known:
        return swapped
    found = get_close_matches(word, known, n=1, cutoff=0.6) or get_close_matches(
        word.lower(), known, n=1, cutoff=0.6
    )
    return found[0] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str | None:
    """Return a suggestion sentence: the nearest word, or the whole short list where none is near."""
    known = sorted(set(words))
    near = nearest(word, known)
    if near:
        return f"Did you mean `{near}`?"
    if 0 < len(known) <= 12:
        return f"Known are {listing(known)}."
    return None


def listing(words: Iterable[str]) -> str:
    """Return words in back quotes, joined by commas and a final "and"."""
    quoted = [f"`{word}`" for word in words]
    return (
        quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}" if quoted else "none"
    )


def framed(problem: Problem, source: str | None) -> str:
    """Return the problem as people see it: the sentence, the line it is in, a caret, the suggestion."""
    place = problem.place
    head = f"{place.file}:{place.line}:{place.column} {problem.code} {problem.message}"
    parts = [head]
    lines = source.splitlines() if source is not None else []
    gutter = " " * len(str(place.line))
    if 0 < place.line <= len(lines):
        line = lines[place.line - 1].replace("\t", " ")
        length = max(1, min(place.length, len(line) - place.column + 1))
        parts += [f"  {place.line} | {line}", f"  {gutter} | {' ' * (place.column - 1)}{'^' * length}"]
    if problem.suggestion:
        parts.append(f"  {gutter} = {problem.suggestion}")
    return "\n".join(parts)
