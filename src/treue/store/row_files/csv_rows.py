"""CSV as people have it: the delimiter found, the header read, and every line of the file in just one row.

A quotation mark that is opened and never closed would swallow all rows after it. So a cell ends with its record at the
latest (`MAX_LINE`), and where the lines that it goes over look like rows of the file, that is what they are taken for. Then
the line with the mark is set aside, and reading goes on with the next.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from treue.errors import RejectedInput
from treue.store.addresses import shown
from treue.store.row_files import defusing
from treue.store.row_files.cells import BLANKS, column_name, trimmed
from treue.store.row_files.lines import MAX_LINE, Line, too_long
from treue.store.row_files.rows import SET_ASIDE_LINE, SET_ASIDE_REASON, FileRow, unreadable

DELIMITERS = ",;\t|"
_SAMPLE = 50
_ASIDE = (SET_ASIDE_LINE, SET_ASIDE_REASON)
_EMPTY = "{} is empty: its first line should name the columns."
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[\s,;|]*', re.IGNORECASE)
_INSIDE = re.compile(r'(?:[^"]|"")*+')


@dataclass(frozen=True)
class Header:
    """What the first lines say: `lines` of them, up to the names of the columns. A column without a name is "".

    `width` is how many cells the header has, also those that say nothing at its end. `set_aside` says that this is a file
    of rows which an import has set aside: two columns of ours stand first.
    """

    delimiter: str
    columns: tuple[str, ...]
    lines: int
    width: int
    set_aside: bool = False


class _Record(NamedTuple):
    """A record: its lines, and its cells; or one line that cannot be read, with the reason."""

    number: int
    lines: Sequence[Line]
    cells: list[str]
    problem: str | None = None


def read_header(lines: Iterable[Line], name: str) -> Header:
    """Find the delimiter and the columns' names. Raises RejectedInput where there are none."""
    sample = list(islice(lines, _SAMPLE))
    first = next((n for n, line in enumerate(sample) if line.text.strip(BLANKS + DELIMITERS)), None)
    if first is None:
        raise RejectedInput(_EMPTY.format(name))
    told = _SEPARATOR.fullmatch(sample[first].text)
    skipped = first + 1 if told else first
    found = _best(sample[skipped:], told[1] if told else "")
    record = found.header
    if record is None:
        raise RejectedInput(_EMPTY.format(name))
    if record.problem:
        place = f"{name}, line {skipped + record.number}"
        raise RejectedInput(f"{place}: the header cannot be read. {record.problem}")
    cells = [column_name(cell) for cell in record.cells]
    set_aside = tuple(cells[:2]) == _ASIDE
    columns = [defusing.as_before(cell) for cell in cells[2:]] if set_aside else cells
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise RejectedInput(_EMPTY.format(name))
    end = skipped + record.number - 1 + len(record.lines)
    return Header(found.delimiter, tuple(columns), end, len(cells), set_aside)


@dataclass(frozen=True)
class _Judged:
    """A delimiter, and the header it makes; it fits the better, the more rows have as many cells as that."""

    delimiter: str
    header: _Record | None
    agreeing: int = 0

    @property
    def fits(self) -> tuple[int, int]:
        width = len(self.header.cells) if self.header else 0
        return (
            (self.agreeing, width) if width > 1 and self.header and not self.header.problem else (-1, width)
        )


def _best(sample: Sequence[Line], told: str) -> _Judged:
    if told and (found := _judged(sample, told)).fits > (0, 1):
        return found
    return max((_judged(sample, mark) for mark in DELIMITERS), key=lambda one: one.fits)


def _judged(sample: Sequence[Line], delimiter: str) -> _Judged:
    found = [one for one in _records(sample, delimiter, lambda *_: False) if any(map(trimmed, one.cells))]
    if not found:
        return _Judged(delimiter, None)
    width = len(found[0].cells)
    agreeing = sum(len(one.cells) == width for one in found[1:] if not one.problem)
    return _Judged(delimiter, found[0], agreeing)


def read_rows(lines: Iterator[Line], header: Header, key: int | None) -> Iterator[FileRow]:
    """Read the rows after the header; `key` is the column with what tells rows apart, if one does.

    Every line is in one row, if only in one that is blank or has a problem.
    """
    for _ in islice(lines, header.lines):
        pass
    names, nothing = header.columns, BLANKS + header.delimiter
    place = (key or 0) + (len(_ASIDE) if header.set_aside else 0)
    whole = len(names) if "" not in names else -1

    def swallowed(record: Sequence[Line], cells: Sequence[str]) -> bool:
        return _has_rows(record, cells, header.delimiter, header.width, place)

    for line, of, cells, problem in _records(lines, header.delimiter, swallowed, header.lines + 1):
        count, text = len(of), of[0].text
        if count == 1 and (not text or text[0] in nothing) and not text.strip(nothing):
            yield FileRow(line, blank=True)
            continue
        if header.set_aside:
            line, cells = _as_in_the_first_file(line, cells)
        if len(cells) != whole:
            problem = problem or _misfit(names, cells, header.delimiter)
        if count == 1:
            problem, size = problem or unreadable(text), len(text)
        else:
            problem, size = problem or _any_unreadable(of), sum(len(one.text) for one in of)
        values = dict(zip(names, cells, strict=False))
        yield FileRow(line, values, problem, cells if problem or whole < 0 else (), count, size)


def _as_in_the_first_file(line: int, cells: Sequence[str]) -> tuple[int, list[str]]:
    """Return where a row stood from which it was set aside, and its cells as they were there."""
    told = cells[0].strip() if cells else ""
    own = int(told) if told.isdecimal() and len(told) < 12 else line
    return own, [defusing.as_before(cell) for cell in cells[2:]]


def _any_unreadable(lines: Sequence[Line]) -> str | None:
    return next((why for line in lines if (why := unreadable(line.text))), None)


def _misfit(names: Sequence[str], cells: Sequence[str], delimiter: str) -> str | None:
    """Return why the cells do not fit the columns, or None; blank ones beyond the last column say nothing."""
    used = max((n for n, cell in enumerate(cells, start=1) if trimmed(cell)), default=0)
    if len(cells) < len(names) or used > len(names):
        sign = "tab" if delimiter == "\t" else f"`{delimiter}`"
        remedy = (
            f"put a value with a {sign} in it into quotation marks"
            if used > len(names)
            else f"write a {sign} also where a cell is empty"
        )
        count = max(used, min(len(cells), len(names)))
        return f"The line has {count} cells, the header has {len(names)}: {remedy}."
    for number, (name, cell) in enumerate(zip(names, cells, strict=False), start=1):
        if not name and trimmed(cell):
            return f"Cell {number} says {shown(cell)}, and its column has no name: name it in the header."
    return None


# --- records ------------------------------------------------------------------------------------------------


def _records(
    lines: Iterable[Line],
    delimiter: str,
    swallowed: Callable[[Sequence[Line], Sequence[str]], bool],
    number: int = 1,
) -> Iterator[_Record]:
    """Cut lines, the first of them with this number, into records; lines that are no record come one by one."""
    ahead, coming = deque[Line](), iter(lines)
    while (line := ahead.popleft() if ahead else next(coming, None)) is not None:
        text = line.text
        if line.too_long:
            yield _Record(number, (line,), text.split(delimiter), too_long())
        elif '"' not in text:
            yield _Record(number, (line,), text.split(delimiter))
        elif (cells := _on_one_line(text, delimiter)) is not None:
            yield _Record(number, (line,), cells, _stray(cells))
        else:
            record, others = _over_lines(number, line, ahead, coming, delimiter)
            ahead.extendleft(reversed(others))
            if len(record.lines) > 1 and swallowed(record.lines, record.cells):
                yield from _apart(record, delimiter)
            else:
                yield record
            number += len(record.lines) - 1
        number += 1


def _on_one_line(text: str, delimiter: str) -> list[str] | None:
    """Return the cells of a line whose quotation marks are all closed, or None."""
    try:
        return next(csv.reader((text,), delimiter=delimiter, strict=True, skipinitialspace=delimiter != " "))
    except csv.Error:
        return None


def _stray(cells: Sequence[str]) -> str | None:
    """Return why a row is set aside in which a cell has a quotation mark without its twin, or None; 24" is inches."""
    for number, cell in enumerate(cells, start=1):
        if '"' not in cell or cell.count('"') % 2 == 0:
            continue
        said = trimmed(cell)
        if said[0] == '"':
            return _unclosed(number, said[1:])
        if said[-1] == '"' and not said[-2].isdigit():
            return f"Cell {number} ends with a quotation mark that is not opened ({shown(said)}): open it, or delete it."
    return None


def _unclosed(number: int, text: str) -> str:
    return f"Cell {number} begins with a quotation mark that is not closed ({shown(text)}): close it, or delete it."


def _over_lines(
    number: int, first: Line, ahead: deque[Line], coming: Iterator[Line], delimiter: str
) -> tuple[_Record, list[Line]]:
    """Read a record that begins in `first`; return it, and the lines that were looked at and belong to others."""
    cutting, taken, size = _Cutting(delimiter), [first], len(first.text)
    cutting.feed(first.text)
    problem = cutting.problem or _unclosed(len(cutting.cells) + 1, "".join(cutting.inside or ()))
    while cutting.inside is not None and not cutting.problem and size <= MAX_LINE:
        following = ahead.popleft() if ahead else next(coming, None)
        if following is None:
            break
        cutting.inside.append("\n")
        taken.append(following)
        size += len(following.text) + 1
        if following.too_long:
            break
        cutting.feed(following.text)
    if cutting.inside is None and not cutting.problem:
        return _Record(number, taken, cutting.cells, _stray(cutting.cells)), []
    return _Record(number, taken[:1], first.text.split(delimiter), problem), taken[1:]


class _Cutting:
    """Cells being cut out of lines. `inside` holds what a cell has said so far whose closing mark is still to come."""

    def __init__(self, delimiter: str) -> None:
        blank = r"[ \u00a0]" if delimiter == "\t" else r"[ \t\u00a0]"
        mark = re.escape(delimiter)
        self._opening = re.compile(f'{blank}*"')
        self._plain = re.compile(f"[^{mark}]*")
        self._after = re.compile(f"{blank}*({mark}|\\Z)")
        self.cells: list[str] = []
        self.inside: list[str] | None = None
        self.problem: str | None = None

    def feed(self, text: str) -> None:
        """Go on with the next line."""
        place = 0
        while not self.problem:
            if self.inside is None:
                opening = self._opening.match(text, place)
                if opening is None:
                    plain = self._plain.match(text, place)
                    assert plain is not None
                    self.cells.append(plain[0])
                    place = plain.end()
                    if place == len(text):
                        return
                    place += 1
                    continue
                self.inside, place = [], opening.end()
            said = _INSIDE.match(text, place)
            assert said is not None
            self.inside.append(said[0].replace('""', '"'))
            if said.end() == len(text):
                return
            after = self._after.match(text, said.end() + 1)
            if after is None:
                rest = text[said.end() + 1 :].split('"')[0]
                self.problem = (
                    f"In cell {len(self.cells) + 1} the text {shown(rest)} comes after the closing quotation mark: "
                    "delete the marks, or write each within the cell twice."
                )
                return
            self.cells.append("".join(self.inside))
            self.inside, place = None, after.end()
            if not after[1]:
                return


def _apart(record: _Record, delimiter: str) -> Iterator[_Record]:
    """Yield each line of a record by itself, as the record is most likely several rows."""
    last = record.number + len(record.lines) - 1
    why = (
        f"By their quotation marks the lines {record.number} to {last} are one row, but they look like several: close the "
        "mark where its cell ends, or write a cell that is meant to go over lines on one."
    )
    for number, line in enumerate(record.lines, start=record.number):
        yield _Record(number, [line], line.text.split(delimiter), why)


def _has_rows(lines: Sequence[Line], cells: Sequence[str], delimiter: str, width: int, key: int) -> bool:
    """Say whether a record that goes over lines has rows within: as many cells, and a key or an address as it has itself."""
    if len(cells) <= key or width < 2:
        return False
    parts = (line.text.split(delimiter) for line in lines[1:])
    return any(len(part) == width and _alike(part, cells, key) for part in parts)


def _alike(part: Sequence[str], cells: Sequence[str], key: int) -> bool:
    addresses = any("@" in one and "@" in other for one, other in zip(part, cells, strict=False))
    return addresses or _signs(part[key]) == _signs(cells[key])


def _signs(text: str) -> frozenset[str]:
    """Return of which kinds of signs a key is made: letters, digits, and each other sign for itself."""
    return frozenset(
        "a" if sign.isalpha() else "9" if sign.isdigit() else sign for sign in trimmed(text).strip('"')
    )
