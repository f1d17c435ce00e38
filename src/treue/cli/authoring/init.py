"""`treue init`: a new workspace that works at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from treue.cli import output


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    journeys: Annotated[
        list[str] | None,
        typer.Option("--journey", metavar="NAME", help="A journey to begin with (default: welcome)."),
    ] = None,
) -> None:
    """Make a new workspace: some journeys and exactly what they refer to."""
    from treue.vocabulary.registry import WORDS
    from treue.vocabulary.workspace import load
    from treue.workspace import scaffold
    from treue.workspace.files import reference_workspace

    reference = load(reference_workspace(), tests=True).require()
    needed = scaffold.needs(reference, journeys or ["welcome"])
    made = scaffold.files(reference, needed, _name(folder), WORDS)
    scaffold.write(folder, made)
    output.line(f"Made the workspace {folder} with {output.count(len(made), 'file')}:")
    for name in sorted(needed.journeys):
        output.line(f"  journeys/{name}.yaml")
    output.line(
        f"  {output.count(len(needed.segments), 'segment')}, {output.count(len(needed.templates), 'template')}"
    )
    output.line()
    output.line("Next:")
    output.line(f"  cd {folder}")
    for command, says in _NEXT:
        output.line(f"  {command.format(journey=min(needed.journeys)):<28} {output.styled(says, 'dim')}")


_NEXT = (
    ("treue check", "look the files over"),
    ("treue test", "run the journeys' own tests"),
    ("treue graph {journey}", "see the journey"),
    ("treue import customers FILE", "bring your customers"),
    ("treue up", "run everything, mail goes to the built-in inbox"),
)


def _name(folder: Path) -> str:
    """Return the folder's name as the name of a workspace."""
    found = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return found or "workspace"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(init)
