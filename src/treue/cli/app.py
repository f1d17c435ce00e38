"""The `treue` command: which verbs there are, which workspace is meant, how errors end.

Exit codes: 0 all is well; 1 there are findings (an error in a file, an unhealthy check); 2 wrong usage or a
fault of ours. Results go to stdout, progress and problems to stderr.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from treue import __version__
from treue.cli.garbage import leave_garbage, without_garbage_collection
from treue.errors import TreueError, UsageError, WorkspaceError
from treue.language.problems import did_you_mean

GROUPS = {
    "Write journeys and try them out": (
        "authoring",
        {
            "init": "init", "demo": "demo", "check": "check", "schema": "schema", "test": "test", "compile": "compile",
            "graph": "graph", "preview": "preview", "send": "send", "segment": "segment", "simulate": "simulate",
        },
    ),
    "Change what runs": (
        "changing",
        {"plan": "plan", "apply": "plan", "pause": "pause", "resume": "pause", "stop": "pause"},
    ),
    "Run": ("running", {"up": "serve", "web": "serve", "worker": "serve", "run": "run"}),
    "Operate": (
        "operating",
        {
            "status": "status", "sign-in": "sign_in", "doubts": "doubts", "retry": "doubts", "bounce": "bounce",
            "db": "db", "doctor": "doctor",
        },
    ),
    "People": (
        "people",
        {
            "customer": "customer", "why": "why", "import": "import_", "enroll": "enroll", "merge": "merge",
            "forget": "forget",
        },
    ),
}  # fmt: skip
"""The help page: whom verbs serve, with their room in this package, and each verb with the module there, in order."""

VERBS = {
    verb: f"treue.cli.{room}.{module}" for room, verbs in GROUPS.values() for verb, module in verbs.items()
}
"""Each verb and the module that adds it."""


class Verbs(TyperGroup):
    """The verbs, each imported when it is called (or when the help page lists them all)."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order of the help page."""
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs of the help page by whom they serve, each with its first paragraph, uncut."""
        for title, (_, verbs) in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(verb, self._says(ctx, verb)) for verb in verbs])

    def _says(self, ctx: Any, verb: str) -> str:
        return " ".join(self.get_command(ctx, verb).help.split("\n\n")[0].split())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one verb, or None where there is none of this name."""
        if cmd_name not in self.commands and cmd_name in self.list_commands(ctx):
            part = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
            with without_garbage_collection():
                import_module(VERBS[cmd_name]).register(part)
            self.commands.update(typer.main.get_group(part).commands)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb that is meant, or say which are near."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            near = did_you_mean(args[0], known) or "`treue --help` lists what there is."
            raise UsageError(f"There is no command `{args[0]}`. {near}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Verbs,
    name="treue",
    help="Marketing journeys as files: planned, tested, explained, and sent at most once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclass
class GlobalOptions:
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
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take what stands before the verb."""
    context.obj = GlobalOptions(workspace)


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run one command (by default this process's own) and return its exit code; a TreueError becomes a sentence."""
    try:
        app(list(arguments) if arguments is not None else None, prog_name="treue")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except WorkspaceError as error:
        print(error, file=sys.stderr)
        return 1
    except TreueError as error:
        print(f"treue: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; end quietly
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        traceback.print_exc()
        print(f"treue: This is a fault of ours, not yours: {type(error).__name__}.", file=sys.stderr)
        return 2
    return 0


def run() -> None:
    """Run the command of this process and end with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no ✓ gets a ?
    code = execute()
    leave_garbage()
    sys.exit(code)
