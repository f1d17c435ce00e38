"""Problems a person can put right: each with its place, a code, a sentence and, where one is near, a suggestion."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache

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
    "T213": "not a time of the day",
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
    "T314": "journeys that start each other again and again",
    "T315": "`moved` does not fit the steps",
    "T316": "nothing to learn from",
    "T317": "a call may not go there",
    "T318": "an adapter for another kind of channel",
    "T319": "an adapter lacks an option",
    "T320": "an option that the adapter does not know",
    "T321": "an adapter whose packages are not installed",
    "T322": "an adapter that cannot be loaded",
    "T330": "a test names what its journey does not have",
    "T331": "a time in a test that cannot be",
    "T332": "two tests of one name",
    "T340": "means nothing outside of a journey",
    "T341": "not a pattern that `matches` understands",
    "T342": "a condition too large to be asked at once",
    "T343": "asks for a message before it is sent",
    "T401": "template syntax",
    "T402": "template front matter",
    "T403": "unknown name in a template",
    "T404": "template fails for a sample customer",
    "T405": "template prints what may be missing",
    "T406": "template lacks a subject",
    "T407": "a file that cannot go with a message",
    "T501": "a step nobody reaches",
    "T502": "a branch nobody fits",
    "T503": "the goal's event does not always end the stay",
    "T504": "no exit",
    "T505": "audiences that overlap",
    "T506": "sells before the first purchase",
    "T507": "a language is missing",
    "T508": "a value that customers lack",
    "T509": "a schedule that surprises",
    "T510": "a duration that surprises",
    "T511": "an exit that whoever enters meets already",
    "T512": "data that are not as they are declared",
    "T513": "stale before quiet hours end",
    "T514": "a date that customers lack",
    "T515": "a watched condition that everybody has to be asked",
    "T516": "another journey's message",
    "T601": "what mail clients cannot show",
    "T602": "more than Gmail shows",
    "T603": "a link that leads nowhere",
    "T604": "an address that is none from a mail",
    "T605": "a link without words",
    "T606": "the same words for different places",
    "T607": "a link that is empty for some",
    "T608": "a picture without a description",
    "T609": "a picture without a width",
    "T610": "no way to unsubscribe",
    "T611": "no postal address",
    "T612": "a long subject",
    "T613": "no preheader",
    "T614": "nothing to read without pictures",
    "T615": "an SMS that says nowhere how to stop",
}
"""Every code with its meaning; the reference in the docs has a paragraph for each."""

LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""Where YAML ends a line."""

MOST_IN_A_FILE = 100
"""Problems that are listed of one file."""

WIDEST = 140
"""Characters of a line that are shown around a problem."""

LINT = tuple(code for code in CODES if code.startswith(("T5", "T6")))
"""Codes of what is allowed and yet most likely not meant."""

WARNINGS = frozenset({"T314", "T321", "T405", *LINT})
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
        self._found: dict[Problem, None] = {}
        self._in_file: Counter[str] = Counter()

    def add(self, place: Place, code: str, message: str, suggestion: str | None = None) -> None:
        """Add one problem, unless the same stands there already, or a file has had its fill."""
        assert code in CODES, code
        problem = Problem(place, code, message, suggestion)
        if problem in self._found or self._in_file[place.file] > MOST_IN_A_FILE:
            return
        if self._in_file[place.file] == MOST_IN_A_FILE:
            problem = Problem(place, code, "There is more wrong in this file; put the rest right first.")
        self._in_file[place.file] += 1
        self._found[problem] = None

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self._found)

    def all(self) -> list[Problem]:
        """Return all problems by file, line and column."""
        return sorted(self._found, key=lambda p: (p.place, p.code, p.message))


ALSO_CALLED = {
    "is": ("equals", "equal", "eq", "==", "="),
    "not": ("is_not", "not_equal", "ne", "!="),
    "in": ("one_of", "any_of"),
    "not_in": ("none_of",),
    "above": ("greater_than", "more_than", "over", "gt", ">"),
    "at_least": ("minimum", "gte", ">=", "from"),
    "below": ("less_than", "under", "lt", "<"),
    "at_most": ("maximum", "max", "lte", "<=", "up_to"),
    "exists": ("is_set", "present", "known"),
    "within": ("in_the_last", "during"),
    "average": ("avg", "mean"),
    "wait": ("delay", "sleep", "pause"),
    "send": ("email", "mail", "message"),
    "on": ("channel", "channels", "via"),
    "set": ("update", "assign"),
    "emit": ("event", "track"),
    "any": ("or", "some", "either"),
    "all": ("and", "every", "both"),
    "choose": ("branch", "branches", "switch", "condition", "steps", "else"),
    "else": ("otherwise", "default"),
    "split": ("ab", "ab_test", "test"),
    "stop": ("end", "finish"),
    "steps": ("then", "do", "actions"),
    "if": ("when", "condition"),
    "where": ("filter", "conditions"),
    "enter": ("trigger", "start", "entry"),
    "was": ("what", "is", "state", "status"),
    "again": ("reentry", "repeat"),
    "weight": ("percent", "share", "percentage"),
    "holdout": ("control", "control_group"),
    "limits": ("frequency_cap", "frequency_caps", "caps", "pressure"),
    "quiet_hours": ("do_not_disturb", "silence", "send_window"),
    "per": ("window", "within", "every"),
    "adapter": ("provider",),
    "email": ("mail", "e-mail"),
    "text": ("string", "str", "varchar"),
    "number": ("int", "integer", "float", "decimal", "money"),
    "bool": ("boolean", "flag"),
    "time": ("datetime", "timestamp"),
    "list": ("array",),
    "promotional": ("marketing", "advertising", "promo"),
    "transactional": ("service",),
    "postpone": ("hold", "delay", "wait", "later"),
    "drop": ("skip", "discard", "cancel"),
}
"""What people call some words of the language elsewhere."""


_NEAR = 0.6
"""How alike two words are of which one was most likely meant."""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word a person most likely meant, or None where none is near."""
    known = {w.lower(): w for w in sorted(set(words))}
    low = word[:80].lower()
    for spelt in (low, low.replace("_", "-"), low.replace("-", "_"), low.replace(" ", "_")):
        if spelt in known:
            return known[spelt]
    called = (w for w, others in ALSO_CALLED.items() if low in others and w in known)
    swapped = (known[w] for w in known if 1 < len(w) < 4 and sorted(w) == sorted(low))
    if (near := next(called, None) or next(swapped, None)) is not None:
        return near
    found = get_close_matches(low, known, cutoff=_NEAR)
    return next((known[one] for one in found if _near_in_each_part(low, one)), None)


def _near_in_each_part(word: str, other: str) -> bool:
    """Whether each part of a dotted name is near the other's: `order.created` is neither placed nor a customer."""
    parts, others = word.split("."), other.split(".")
    if len(parts) != len(others) or len(parts) == 1:
        return True
    return all(
        SequenceMatcher(None, part, beside).ratio() >= _NEAR
        for part, beside in zip(parts, others, strict=True)
    )


def did_you_mean(word: str, words: Iterable[str], otherwise: str | None = None) -> str | None:
    """Return a suggestion: the nearest word; where none is near, the whole list if short, and `otherwise`."""
    known = sorted(set(words))
    near = nearest(word, known)
    if near:
        return f"Did you mean `{near}`?"
    short = f"Known are {listing(known)}." if 1 < len(known) <= 12 else None
    return " ".join(part for part in (short, otherwise) if part) or None


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
    lines = _lines(source) if source is not None else []
    gutter = " " * len(str(place.line))
    if 0 < place.line <= len(lines):
        line, column = _clipped(lines[place.line - 1], place.column)
        length = max(1, min(place.length, len(line) - column + 1))
        parts += [f"  {place.line} | {line}", f"  {gutter} | {' ' * (column - 1)}{'^' * length}"]
    if problem.suggestion:
        parts.append(f"  {gutter} = {problem.suggestion}")
    return "\n".join(parts)


@lru_cache(maxsize=4)
def _lines(source: str) -> list[str]:
    """Return a file's lines, the same for all its problems."""
    return LINE_END.split(source)


def _clipped(line: str, column: int) -> tuple[str, int]:
    """Return a line fit for a terminal, cut around `column` where it is very long, and the column in it."""
    start = max(0, min(column - WIDEST // 2, len(line) - WIDEST))
    shown = "".join(c if c.isprintable() else " " for c in line[start : start + WIDEST])
    head, tail = "…" if start else "", "…" if start + WIDEST < len(line) else ""
    return f"{head}{shown}{tail}", column - start + len(head)
