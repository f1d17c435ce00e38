"""`treue pause`, `treue resume`, `treue stop`: hold everyone in a journey, let them go on, let them out."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from treue.cli import opening, output
from treue.clock import utc_now
from treue.errors import UsageError

Name = Annotated[str, typer.Argument(metavar="NAME", help="The journey.")]


def pause(context: typer.Context, name: Name) -> None:
    """Hold everyone in a journey where they are."""
    from treue.store import journeys

    with opening.store(opening.workspace(context)) as store, store.transaction() as connection:
        _require_known(connection, name)
        journeys.pause(connection, name, utc_now())
    output.line(f"{name} is paused: everyone stays where they are. `treue resume {name}` lets them go on.")


def resume(context: typer.Context, name: Name) -> None:
    """Let everyone in a paused or stopped journey go on."""
    from treue.store import journeys

    with opening.store(opening.workspace(context)) as store, store.transaction() as connection:
        _require_known(connection, name)
        journeys.resume(connection, name, utc_now())
    output.line(f"{name} goes on. Messages that have become too old meanwhile are not sent.")


def stop(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let everyone out of a journey, and nobody in any more. Those who are out do not come back in."""
    from treue.engine.versions import stop as stopping

    with opening.store(opening.workspace(context)) as store:
        with store.reading() as connection:
            _require_known(connection, name)
            inside = stopping.inside(connection, name)
        if inside and not yes and not _sure(name, inside):
            raise UsageError(
                f"Nothing was stopped: {output.count(inside, 'customer')} would leave {name} for good. "
                f"Off a terminal, `--yes` is needed; `treue pause {name}` holds them where they are."
            )
        done = stopping.stop(store, name, utc_now())
    assert done is not None
    back = f" {output.count(done.called_back, 'queued message')} called back." if done.called_back else ""
    output.line(f"{name} is stopped: {output.count(done.left, 'customer')} left.{back}")
    output.line(f"It stays stopped until `treue resume {name}`, also when its file is applied again.")


def _sure(name: str, inside: int) -> bool:
    question = f"{output.count(inside, 'customer')} will leave {name} for good. Stop it?"
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def _require_known(connection: object, name: str) -> None:
    from treue.store import journeys

    opening.known(name, journeys.names(connection), "journey in the database")  # type: ignore[arg-type]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(pause)
    app.command()(resume)
    app.command()(stop)
