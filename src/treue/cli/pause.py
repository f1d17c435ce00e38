"""`treue pause`, `treue resume`, `treue stop`: hold everyone in a journey, let them go on, let them out."""

from __future__ import annotations

from typing import Annotated

import typer

from treue.cli import opening, output
from treue.clock import utc_now

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


def stop(context: typer.Context, name: Name) -> None:
    """Let everyone out of a journey, and nobody in any more."""
    from treue.engine.versions.stop import stop as let_out

    with opening.store(opening.workspace(context)) as store:
        with store.reading() as connection:
            _require_known(connection, name)
        done = let_out(store, name, utc_now())
    assert done is not None
    back = f" {output.count(done.called_back, 'queued message')} called back." if done.called_back else ""
    output.line(f"{name} is stopped: {output.count(done.left, 'customer')} left.{back}")
    output.line(f"It stays stopped until `treue resume {name}`, also when its file is applied again.")


def _require_known(connection: object, name: str) -> None:
    from treue.store import journeys

    opening.known(name, journeys.names(connection), "journey in the database")  # type: ignore[arg-type]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(pause)
    app.command()(resume)
    app.command()(stop)
