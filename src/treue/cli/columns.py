"""What the columns of a file mean: `--map`, and questions about those that are nearly known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from treue.cli import output
from treue.errors import UsageError
from treue.language.problems import did_you_mean

if TYPE_CHECKING:
    from treue.store.import_columns import Expected
    from treue.store.row_files import RowFile
    from treue.store.row_files.headers import Doubt


def mapping(given: Sequence[str]) -> dict[str, str]:
    """Return the name that each `--map COLUMN=NAME` gives a column. Raises UsageError where one is not like that."""
    found = {}
    for text in given:
        column, equals, name = text.partition("=")
        if not equals or not column.strip():
            raise UsageError(f"`--map {text}` is not COLUMN=NAME.")
        found[" ".join(column.split())] = name.strip()
    return found


def recognised(file: Path) -> RowFile:
    """Return a file that is to be imported. Raises RejectedInput where it is none."""
    from treue.store.row_files import recognise

    return recognise(file)


def settled(file: RowFile, expected: Expected, mapping: dict[str, str], *, json: bool) -> dict[str, str]:
    """Return the mapping with what columns mean that are most likely known ones: somebody at a terminal is asked.

    Ends the command with 1 where nobody is there to ask, or a column is missing. Raises UsageError where `mapping` names
    a column that is not there.
    """
    from treue.store.import_columns import unknown

    for column in unknown(file, mapping):
        raise UsageError(
            f"{file.name} has no column `{column}`. {did_you_mean(column, file.columns) or ''}".strip()
        )
    doubts = expected.doubts(file, mapping)
    if doubts and not (_somebody_is_there() and not json):
        _tell(file, doubts, json)
        raise typer.Exit(1)
    answered = mapping | {doubt.column: _asked(doubt) for doubt in doubts}
    if missing := expected.missing(file, answered):
        for sentence in missing:
            output.tell(f"treue: {sentence}")
        output.tell(f"Its columns: {', '.join(file.columns)}.")
        raise typer.Exit(1)
    return answered


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asked(doubt: Doubt) -> str:
    if doubt.name:
        question, yes = f"The column `{doubt.column}` is not known. Is it `{doubt.name}`?", doubt.name
    else:
        question, yes = f"There is another column of the name that `{doubt.column}` has. Leave it out?", ""
    return yes if typer.confirm(question, default=True, err=True) else doubt.column


def _tell(file: RowFile, doubts: Sequence[Doubt], json: bool) -> None:
    options = " ".join(doubt.option for doubt in doubts)
    if json:
        output.document(columns=[{"column": one.column, "name": one.name} for one in doubts], options=options)
    for doubt in doubts:
        most_likely = f"is most likely `{doubt.name}`" if doubt.name else "has the name of another one"
        output.tell(f"treue: {file.name} has a column `{doubt.column}`, which {most_likely}.")
    output.tell(f"Nothing was read. Say so with: {options}")
    output.tell('--map "COLUMN=COLUMN" keeps one under its own name, --map "COLUMN=" leaves it out.')
