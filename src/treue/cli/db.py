"""`treue db`: the database's tables, brought up to date or looked at."""

from __future__ import annotations

import typer

from treue.cli import opening, output
from treue.cli.opening import Json

db = typer.Typer(
    help="Bring the database up to date, or look whether it is.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@db.command()
def upgrade(context: typer.Context) -> None:
    """Make the tables, or bring them to this version's; what is in them stays."""
    from treue.engine.assembly import database_url
    from treue.store.store import Store

    store = Store(database_url(opening.workspace(context)), create=True)
    try:
        before = store.revision()
        store.upgrade()
        store.check()
        after = store.revision()
        change = (
            f"is at revision {after}" if before == after else f"went from {before or 'nothing'} to {after}"
        )
        output.line(f"The database {store} {change}.")
    finally:
        store.close()


@db.command()
def check(context: typer.Context, json: Json = False) -> None:
    """Say whether the database is there and has this version's tables."""
    from treue.engine.assembly import database_url
    from treue.errors import StoreError
    from treue.store import migrations
    from treue.store.store import Store

    workspace = opening.workspace(context)
    problem = revision = None
    try:
        store = Store(database_url(workspace))
        try:
            revision = store.revision()
            store.check()
        finally:
            store.close()
    except StoreError as error:
        problem = str(error)
    if json:
        output.document(revision=revision, wanted=migrations.revisions()[-1], problem=problem)
    else:
        output.line(problem or f"The database is at revision {revision}, as it should be.")
    raise typer.Exit(1 if problem else 0)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(db, name="db")
