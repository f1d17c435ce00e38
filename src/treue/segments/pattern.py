"""Regular expressions of which both databases, and we, make the same: a small dialect matched in linear time.

Literals, `.`, classes, groups, alternatives, `?`, `*`, `+`, `{m,n}`, `^`, `$`, and `\\d \\w \\s` of ASCII; nothing that
needs backtracking, so no back-references and no look-around. PostgreSQL runs such a pattern as an automaton itself
(its documentation, 9.7.3.3: only back-references make it slow); SQLite has none and asks `Matcher`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache

LONGEST = 500
"""Characters in a pattern."""

LARGEST = 1_000
"""Characters and classes in a pattern once its `{m,n}` are written out."""

MOST_TIMES = 100
"""The greatest number in `{m,n}`."""

_LAST = 0x10FFFF
_CACHED = 2_000
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}
_CLASSES = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}

Ranges = tuple[tuple[int, int], ...]


class PatternError(ValueError):
    """What is wrong with a pattern, as a sentence for the person who wrote it."""


@dataclass(frozen=True)
class Letter:
    """One character out of some ranges of code points, both ends included."""

    ranges: Ranges


@dataclass(frozen=True)
class Edge:
    """The text's start (`^`) or its end (`$`)."""

    end: bool


@dataclass(frozen=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Either:
    """One of several parts."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Times:
    """A part so many times; `most` None is any number."""

    part: Part
    least: int
    most: int | None


Part = Letter | Edge | Sequence | Either | Times


# --- reading ------------------------------------------------------------------------------------------------


@cache
def parsed(text: str) -> Part:
    """Return what a pattern means. Raises PatternError where it is none."""
    if not text:
        raise PatternError("The pattern is empty.")
    if len(text) > LONGEST:
        raise PatternError(f"The pattern is longer than {LONGEST} characters.")
    reading = _Reading(text)
    found = reading.either()
    if not reading.done:
        raise PatternError("A `)` closes nothing; for the sign itself write `\\)`.")
    if _size(found) > LARGEST:
        raise PatternError(f"The pattern is too large: written out it has more than {LARGEST} parts.")
    return found


class _Reading:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def next_is(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def skip(self, sign: str) -> bool:
        found = self.next_is(sign)
        self.at += len(sign) * found
        return found

    def take(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def either(self) -> Part:
        parts = [self.sequence()]
        while self.skip("|"):
            parts.append(self.sequence())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def sequence(self) -> Part:
        parts: list[Part] = []
        while not self.done and not self.next_is("|") and not self.next_is(")"):
            parts.append(self.times(self.atom()))
        if not parts:
            raise PatternError("Beside `|` and in `( )` something must stand.")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def times(self, part: Part) -> Part:
        bounds = self.bounds()
        if bounds is None:
            return part
        if _has_edge(part):
            raise PatternError("`^` and `$` cannot be repeated.")
        if self.bounds() is not None or self.next_is("*") or self.next_is("+"):
            raise PatternError("Only one of `?`, `*`, `+` and `{m,n}` may follow a part.")
        return Times(part, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in {"?": (0, 1), "*": (0, None), "+": (1, None)}.items():
            if self.skip(sign):
                return bounds
        return self.braces() if self.skip("{") else None

    def braces(self) -> tuple[int, int | None]:
        found = re.compile(r"([0-9]{1,4})(,?)([0-9]{0,4})\}").match(self.text, self.at)
        if not found:
            raise PatternError(
                "`{` takes numbers, such as `{2}` or `{2,4}`; for the sign itself write `\\{`."
            )
        self.at = found.end()
        least = int(found[1])
        most = int(found[3]) if found[3] else None if found[2] else least
        if max(least, most or 0) > MOST_TIMES:
            raise PatternError(f"`{{{found[0]}` is more than {MOST_TIMES} times.")
        if most is not None and most < least:
            raise PatternError(f"`{{{found[0]}` goes from more to less.")
        return least, most

    def atom(self) -> Part:
        sign = self.take()
        if sign == "(":
            return self.group()
        if sign == "[":
            return Letter(self.bracket())
        if sign == "\\":
            return Letter(self.escaped())
        if sign in "^$":
            return Edge(sign == "$")
        if sign == ".":
            return Letter(((0, _LAST),))
        if sign in "*+?{":
            raise PatternError(
                f"`{sign}` has nothing before it to repeat; for the sign itself write `\\{sign}`."
            )
        return Letter(((ord(sign), ord(sign)),))

    def group(self) -> Part:
        if self.next_is("?") and not self.skip("?:"):
            raise PatternError(
                f"`({self.text[self.at : self.at + 2]}` is not understood: no look-around, no flags."
            )
        self.depth += 1
        if self.depth > 20:
            raise PatternError("The pattern is nested more than 20 deep.")
        found = self.either()
        if not self.skip(")"):
            raise PatternError("A `(` is not closed; for the sign itself write `\\(`.")
        self.depth -= 1
        return found

    def escaped(self) -> Ranges:
        if self.done:
            raise PatternError("The pattern ends in a backslash.")
        sign = self.take()
        if sign.lower() in _CLASSES:
            ranges = _CLASSES[sign.lower()]
            return ranges if sign.islower() else _others(ranges)
        if sign.isalnum() and sign.isascii() and sign not in _CONTROL:
            known = "`\\d`, `\\w`, `\\s`, their capitals, `\\n`, `\\r`, `\\t`"
            raise PatternError(f"`\\{sign}` is not understood; there are {known}, and signs such as `\\.`.")
        code = ord(_CONTROL.get(sign, sign))
        return ((code, code),)

    def bracket(self) -> Ranges:
        negated = self.skip("^")
        found: list[tuple[int, int]] = []
        while not self.skip("]"):
            if self.done:
                raise PatternError("A `[` is not closed; for the sign itself write `\\[`.")
            found += self.member()
        ranges = _others(tuple(found)) if negated else _merged(found)
        if not ranges:
            raise PatternError("`[]` holds nothing; for the sign itself write `\\]`.")
        return ranges

    def member(self) -> Ranges:
        if self.next_is("["):
            raise PatternError("In `[ ]` a `[` is written `\\[`.")
        first = self.escaped() if self.skip("\\") else ((ord(self.take()),) * 2,)
        if not self.next_is("-") or self.text.startswith("-]", self.at):
            return first
        self.skip("-")
        last = self.escaped() if self.skip("\\") else ((ord(self.take()),) * 2,) if not self.done else ()
        if (
            not last
            or len(first) > 1
            or len(last) > 1
            or first[0][0] != first[0][1]
            or last[0][0] != last[0][1]
        ):
            raise PatternError("A range in `[ ]` goes from one sign to another, such as `[a-z]`.")
        if first[0][0] > last[0][0]:
            raise PatternError("A range in `[ ]` goes backwards.")
        return ((first[0][0], last[0][0]),)


def _merged(ranges: list[tuple[int, int]] | Ranges) -> Ranges:
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def _others(ranges: Ranges) -> Ranges:
    found, start = [], 0
    for first, last in _merged(ranges):
        if first > start:
            found.append((start, first - 1))
        start = last + 1
    return (*found, (start, _LAST)) if start <= _LAST else tuple(found)


def _has_edge(part: Part) -> bool:
    match part:
        case Edge():
            return True
        case Sequence() | Either():
            return any(map(_has_edge, part.parts))
        case Times():
            return _has_edge(part.part)
    return False


def _size(part: Part) -> int:
    match part:
        case Sequence() | Either():
            return sum(map(_size, part.parts))
        case Times():
            return _size(part.part) * max(part.least + 1, part.most or 0)
    return 1


# --- for PostgreSQL -----------------------------------------------------------------------------------------


@cache
def for_postgresql(text: str) -> str:
    """Return the pattern for PostgreSQL's `~`: every sign by its number, so that no locale or option has a say."""
    return f"(?:{_written(parsed(text))})"


def _written(part: Part) -> str:
    match part:
        case Letter():
            return "[" + "".join(map(_range, _storable(part.ranges))) + "]"
        case Edge():
            return r"\Z" if part.end else r"\A"
        case Sequence():
            return "".join(map(_grouped, part.parts))
        case Either():
            return "|".join(map(_written, part.parts))
        case Times():
            most = "" if part.most is None else part.most
            inner = f"(?:{_written(part.part)})" if isinstance(part.part, Times) else _grouped(part.part)
            return f"{inner}{{{part.least},{most}}}"


def _grouped(part: Part) -> str:
    return f"(?:{_written(part)})" if isinstance(part, Either | Sequence) else _written(part)


def _storable(ranges: Ranges) -> Iterator[tuple[int, int]]:
    """Leave out what no text in a database holds: NUL, and halves of surrogate pairs."""
    for first, last in ranges:
        for low, high in ((1, 0xD7FF), (0xE000, _LAST)):
            if max(first, low) <= min(last, high):
                yield max(first, low), min(last, high)


def _range(ends: tuple[int, int]) -> str:
    return "-".join(f"\\U{code:08x}" for code in dict.fromkeys(ends))


# --- for SQLite ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=100)
def matcher(text: str) -> Matcher:
    """Return what matches texts with a pattern, made once."""
    return Matcher(parsed(text))


class Matcher:
    """An automaton that grows while it reads: each sign of a text is looked at once, whatever the pattern."""

    def __init__(self, part: Part) -> None:
        self._states = [_State()]  # the first is the goal
        self._first = self._build(part, 0)
        ends = [end for state in self._states for first, last in state.ranges for end in (first, last + 1)]
        self._bounds = sorted(set(ends))
        self._known: dict[frozenset[int], _Set] = {}
        self._begin = self._reach({self._first}, start=True)
        self._nothing = 0 in self._closed({self._first}, start=True, end=True)

    def fits(self, text: str) -> bool:
        """Return whether the pattern fits somewhere in a text."""
        if not text:
            return self._nothing
        here = self._begin
        for sign in text:
            if here.found:
                return True
            kind = bisect_right(self._bounds, ord(sign))
            here = here.after.get(kind) or self._step(here, kind)
        return here.found or 0 in self._closed(here.states, end=True)

    def _step(self, here: _Set, kind: int) -> _Set:
        code = self._bounds[kind - 1] if kind else -1
        reached = {self._first}
        for number in here.states:
            state = self._states[number]
            if any(first <= code <= last for first, last in state.ranges):
                reached.update(state.to)
        found = here.after[kind] = self._reach(reached)
        return found

    def _reach(self, states: set[int], *, start: bool = False) -> _Set:
        closed = self._closed(states, start=start)
        if closed not in self._known:
            if len(self._known) >= _CACHED:
                for one in self._known.values():
                    one.after.clear()
                self._known.clear()
            self._known[closed] = _Set(closed, 0 in closed)
        return self._known[closed]

    def _closed(self, states: Iterable[int], *, start: bool = False, end: bool = False) -> frozenset[int]:
        """Return all states that can be reached without reading a sign."""
        found, rest = set[int](), list(states)
        while rest:
            number = rest.pop()
            if number in found:
                continue
            found.add(number)
            state = self._states[number]
            open_ = (end if state.edge.end else start) if state.edge else not state.ranges
            rest += state.to if open_ else ()
        return frozenset(found)

    def _build(self, part: Part, to: int) -> int:
        """Add the states that read a part and then go on to a state; return the first of them."""
        match part:
            case Letter():
                return self._add(_State(part.ranges, to=(to,)))
            case Edge():
                return self._add(_State(edge=part, to=(to,)))
            case Sequence():
                for one in reversed(part.parts):
                    to = self._build(one, to)
                return to
            case Either():
                return self._add(_State(to=tuple(self._build(one, to) for one in part.parts)))
        return self._repeat(part, to)

    def _repeat(self, part: Times, to: int) -> int:
        if part.most is None:
            here = self._add(_State())
            self._states[here] = _State(to=(self._build(part.part, here), to))
        else:
            here = to
            for _ in range(part.most - part.least):
                here = self._add(_State(to=(self._build(part.part, here), to)))
        for _ in range(part.least):
            here = self._build(part.part, here)
        return here

    def _add(self, state: _State) -> int:
        self._states.append(state)
        return len(self._states) - 1


@dataclass(frozen=True)
class _State:
    ranges: Ranges = ()
    edge: Edge | None = None
    to: tuple[int, ...] = ()


@dataclass
class _Set:
    """Where a reader may be at once, and where each kind of sign leads from there."""

    states: frozenset[int]
    found: bool
    after: dict[int, _Set] = field(default_factory=dict)
