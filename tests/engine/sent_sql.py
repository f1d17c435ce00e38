"""The SQL that a database gets, as text for people: recorded where the driver is called, laid out in short lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import event

from treue.store.store import Store

WIDTH = 110
_SEQ = re.compile(r"\b1[6-9][0-9]{17}\b")
"""A place in the order in which things are given: nanoseconds of the real clock."""


@dataclass
class Sent:
    """What was sent, each statement once: its text, and the values that are always sent with it."""

    statements: dict[tuple[str, str], None] = field(default_factory=dict)

    def text(self, since: str = "") -> str:
        """Return all statements for a file; with `since`, those from the first on that says so."""
        found = list(self.statements)
        first = next((n for n, (sql, _) in enumerate(found) if since in sql), len(found))
        written = "\n\n".join(f"{sql};\n{values}".rstrip() for sql, values in found[first:]) + "\n"
        return _SEQ.sub("SEQ", written)


@contextmanager
def sent_sql(store: Store) -> Iterator[Sent]:
    """Record what a store sends to its database meanwhile."""
    sent = Sent()

    def note(_connection: Any, _cursor: Any, statement: str, _given: Any, context: Any, _many: bool) -> None:
        sent.statements.setdefault(_read(statement, context))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(store.engine, "before_cursor_execute", note)


def _read(statement: str, context: Any) -> tuple[str, str]:
    compiled = context.compiled
    if compiled is None:
        return laid_out(statement), ""
    given = {**context.compiled_parameters[0], **_lists(compiled, context.compiled_parameters[0])}
    expanded = compiled.construct_expanded_state(given, escape_names=False)
    assert expanded.statement == statement
    at_run_time = {name for bind, name in compiled.bind_names.items() if bind.required}
    fixed = {name: value for name, value in expanded.parameters.items() if name not in at_run_time}
    return laid_out(_named(statement, expanded.positiontup)), _values(fixed)


def _lists(compiled: Any, given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of parameters that are lists: when they are sent, each value has a name of its own."""
    lists = {name for bind, name in compiled.bind_names.items() if bind.expanding}
    return {name: [v for key, v in given.items() if re.fullmatch(rf"{name}_\d+", key)] for name in lists}


def _named(statement: str, positions: Sequence[str] | None) -> str:
    """Return a statement with `:name` for each parameter, however the driver writes it."""
    if positions is None:
        return re.sub(r"%\((\w+)\)s", r":\1", statement).replace("%%", "%")
    names = iter(positions)
    named = re.sub(
        r"'(?:[^']|'')*'|\?", lambda mark: f":{next(names)}" if mark[0] == "?" else mark[0], statement
    )
    assert next(names, None) is None
    return named


def _values(fixed: Mapping[str, Any]) -> str:
    """Return the values that a statement was made with, as a comment; those given when it is run are left out."""
    lines = ["--"]
    for name, value in fixed.items():
        part = f" {name}={value if isinstance(value, datetime) else repr(value)}"
        if len(lines[-1]) + len(part) > WIDTH and lines[-1] != "--":
            lines.append("--")
        lines[-1] += part
    return "\n".join(lines) if fixed else ""


# --- layout -------------------------------------------------------------------------------------------------

_WORD = re.compile(
    r"""'(?:[^']|'')*'          # a text
      | \s*\( | \) | ,
      | \bCASE\b
      | (?:"[^"]*"|[^\s'"(),=]|[<>!]=)+=?  # a name, a number, a parameter, an operator; the column of a SET
      | =""",
    re.VERBOSE,
)
_CLAUSES = {
    "FOR UPDATE", "FROM", "GROUP", "HAVING", "INSERT", "JOIN", "LEFT OUTER JOIN", "LIMIT", "ON CONFLICT", "ORDER", "RETURNING", "SELECT",
    "SET", "UNION", "UPDATE", "WHERE",
}  # fmt: skip
_TOGETHER = {
    ("DELETE", "FROM"),
    ("ON", "CONFLICT"),
    ("FOR", "UPDATE"),
    ("LEFT", "OUTER"),
    ("LEFT OUTER", "JOIN"),
}
_COMMA = {","}
_BREAKS = (_CLAUSES, _COMMA, {"OR"}, {"AND"}, {"WHEN", "ELSE"})


@dataclass
class _Group:
    """What stands between brackets, or between CASE and END."""

    opening: str
    closing: str
    inside: list[_Item]


_Item = str | _Group


def laid_out(sql: str) -> str:
    """Return SQL with what is too long for a line broken at its clauses, else at its outermost commas, OR and AND."""
    text = "\n".join(_lines(_items(iter(_WORD.findall(sql)), ""), 0))
    assert "".join(text.split()) == "".join(sql.split())
    return text


def _items(words: Iterator[str], closing: str) -> list[_Item]:
    found: list[_Item] = []
    for word in words:
        if word == closing:
            return found
        if word == "CASE" or word.endswith("("):
            end = "END" if word == "CASE" else ")"
            found.append(_Group(re.sub(r"\s+", " ", word), end, _items(words, end)))
        elif found and isinstance(last := found[-1], str) and (last, word) in _TOGETHER:
            found[-1] = f"{last} {word}"
        else:
            found.append(word)
    return found


def _flat(items: Sequence[_Item]) -> str:
    text = ""
    for item in items:
        part = item
        if isinstance(item, _Group):
            gap = " " if item.opening == "CASE" else ""
            part = f"{item.opening}{gap}{_flat(item.inside)}{gap}{item.closing}"
        assert isinstance(part, str)
        glued = part[0] in ",(" or part.startswith(("::", " ")) or re.search(r"\w=$", text)
        text += part if glued or not text else f" {part}"
    return text.lstrip()


def _lines(items: Sequence[_Item], margin: int) -> list[str]:
    text = " " * margin + _flat(items)
    if len(text) <= WIDTH and "FROM" not in items and "SET" not in items:
        return [text]
    for breaks in _BREAKS:
        if len(parts := _parts(items, breaks)) > 1:
            further = 2 if _is_headed(parts[0], breaks) else 0
            rest = [_lines(part, margin + further) for part in parts[1:]]
            return _joined([_lines(parts[0], margin), *rest], fill=breaks is _COMMA)
    return _opened(items, margin) or [text]


def _parts(items: Sequence[_Item], breaks: set[str]) -> list[list[_Item]]:
    """Return items in parts, each of which begins with one of the words of `breaks`, or ends with a comma."""
    found: list[list[_Item]] = [[]]
    for item in items:
        before = found[-1][-1] if found[-1] else None
        begins = before == "," if breaks is _COMMA else isinstance(item, str) and item in breaks
        if begins and before is not None:
            found.append([])
        found[-1].append(item)
    return found


def _is_headed(first: Sequence[_Item], breaks: set[str]) -> bool:
    """Whether the first of some parts is what the others belong to: `SELECT a,` or `WHERE a`."""
    begins = isinstance(first[0], str) and first[0] in (_CLAUSES if breaks is _COMMA else breaks)
    return begins is (breaks is _COMMA) and breaks is not _CLAUSES


def _joined(parts: Sequence[Sequence[str]], *, fill: bool) -> list[str]:
    """Return the lines of all parts; with `fill`, those that are mere names stand together."""
    lines, was_name = list(parts[0]), bool(re.fullmatch(r" *(?:SELECT |SET )?\S+", parts[0][0]))
    for part in parts[1:]:
        is_name = len(part) == 1 and " " not in part[0].strip()
        if fill and was_name and is_name and len(lines[-1]) + len(part[0].strip()) < WIDTH:
            lines[-1] += f" {part[0].strip()}"
        else:
            lines += part
        was_name = is_name
    return lines


def _opened(items: Sequence[_Item], margin: int) -> list[str]:
    """Return lines in which the longest group of the items has lines of its own; none where there is no group."""
    groups = [item for item in items if isinstance(item, _Group)]
    if not groups:
        return []
    longest = max(groups, key=lambda group: len(_flat([group])))
    n = next(n for n, item in enumerate(items) if item is longest)
    asked = longest.inside.index("WHEN") if longest.opening == "CASE" else 0
    opening = _flat([*items[:n], longest.opening, *longest.inside[:asked]])
    closing = [longest.closing, *items[n + 1 :]]
    return [" " * margin + opening, *_lines(longest.inside[asked:], margin + 2), *_lines(closing, margin)]
