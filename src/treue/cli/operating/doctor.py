"""`treue doctor`: what around this workspace is well, what to look into, and what is wrong, each with the remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from treue.cli import opening, output
from treue.cli.opening import Json

if TYPE_CHECKING:
    from treue.doctor import Finding


_STYLES = {"well": "good", "warning": "warning", "wrong": "bad"}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor")(doctor)


def doctor(context: typer.Context, json: Json = False) -> None:
    """Examine the surroundings: files, database, disk, secrets, what strangers can reach, channels, the sender's DNS.

    Says of each what is well, a warning or wrong, with the remedy. Nothing is sent, and no provider is connected to. Ends with 1 where something is wrong.
    """
    from treue.channel import installed_adapters
    from treue.doctor import Grade, examine
    from treue.doctor.surroundings import Surroundings
    from treue.vocabulary.workspace import load

    found = examine(Surroundings(load(opening.root(context), installed_adapters, tests=True)))
    findings = list(found) if json else list(_shown(found))
    numbers = Counter(one.grade for one in findings)
    if json:
        output.document(
            well=not numbers[Grade.wrong],
            findings=[
                {"check": one.check, "grade": one.grade, "sentence": one.sentence, "remedy": one.remedy}
                for one in findings
            ],
        )
    else:
        warnings = output.count(numbers[Grade.warning], "warning")
        output.line(f"{numbers[Grade.wrong]} wrong, {warnings}, {numbers[Grade.well]} well")
    raise typer.Exit(1 if numbers[Grade.wrong] else 0)


def _shown(found: Iterator[Finding]) -> Iterator[Finding]:
    """Print each finding when it is there: a look at the DNS may take its time."""
    for one in found:
        grade = output.styled(f"{one.grade:<7}", _STYLES[one.grade])
        output.line(f"{grade}  {one.check}: {one.sentence}")
        if one.remedy:
            output.line(f"         → {one.remedy}")
        yield one
