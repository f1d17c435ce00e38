"""The `treue` command: which verbs there are, which workspace is meant, how errors end.

Exit codes: 0 all is well; 1 there are findings (an error in a file, an unhealthy check); 2 wrong usage or a
fault of ours. Results go to stdout, progress and problems to stderr.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated

import click
import typer

from treue import __version__
from treue.errors import TreueError, WorkspaceError

VERBS = ("init", "demo", "check", "schema", "compile", "graph", "preview", "import_", "customer", "segment", "enroll",
         "run", "serve", "status", "why", "pause", "db")  # fmt: skip
"""The modules of this package that add verbs, in the order of the help page."""

app = typer.Typer(
    name="treue",
    help="Marketing journeys as files: planned, tested, explained, and sent at most once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclass
class Options:
    """What stands before the verb."""

    workspace: Path | None = None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"treue {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            "--workspace",
            metavar="DIR",
            help="The workspace (default: the nearest folder upwards with a treue.yaml).",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take what stands before the verb."""
    context.obj = Options(workspace)


def _register() -> None:
    for verb in VERBS:
        import_module(f"treue.cli.{verb}").register(app)


def run() -> None:
    """Run the command; a TreueError becomes a sentence and an exit code."""
    _register()
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = 2
    except click.exceptions.Abort:
        code = 130
    except WorkspaceError as error:
        print(error, file=sys.stderr)
        code = 1
    except TreueError as error:
        print(f"treue: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code or 0)
