"""`treue schema`: the JSON Schema by which editors complete and check the files."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from treue.cli import opening, output


def schema(
    context: typer.Context,
    print_: Annotated[bool, typer.Option("--print", help="Print it and write nothing.")] = False,
) -> None:
    """Write treue.schema.json, by which editors complete and check."""
    if print_:
        output.line(text())
        return
    from treue.workspace.files import SCHEMA_FILE

    path = opening.root(context) / SCHEMA_FILE
    path.write_text(text() + "\n", encoding="utf-8")
    output.line(f"Wrote {path}.")


def text() -> str:
    """Return the schema as JSON."""
    from treue.language.schema import json_schema
    from treue.vocabulary.registry import WORDS

    return json.dumps(json_schema(WORDS), ensure_ascii=False, indent=2)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(schema)
