"""`treue db`: the database's tables, brought up to date or looked at, and old rows deleted."""

from __future__ import annotations

import typer

from treue.cli import opening, output
from treue.cli.opening import Json

db = typer.Typer(
    help="Bring the database up to date, look whether it is, delete old rows, or bring attributes to their types.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_WORTH_TELLING = 100_000
"""Bytes of a file that are free from which on it is worth to say so."""


@db.command()
def upgrade(context: typer.Context) -> None:
    """Make the tables, or bring them to this version's; what is in them stays."""
    from treue.composition.assembly import database_url
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
    """Say whether the database is there, has this version's tables, and names nothing in them that is not there."""
    from treue.composition.assembly import database_url
    from treue.errors import StoreError
    from treue.store import migrations
    from treue.store.orphans import orphans
    from treue.store.store import Store

    workspace = opening.workspace(context)
    problem = revision = None
    lost: dict[str, int] = {}
    try:
        store = Store(database_url(workspace))
        try:
            revision = store.revision()
            store.check()
            with store.reading() as connection:
                lost = orphans(connection)
        finally:
            store.close()
    except StoreError as error:
        problem = str(error)
    if lost:
        said = ", ".join(f"{number} in {name}" for name, number in lost.items())
        problem = (
            f"The database {store} has rows that name what is not there: {said}. Something deleted rows beside Treue, or Treue "
            "has a fault; restore a backup, or delete these rows by hand."
        )
    if json:
        output.document(revision=revision, wanted=migrations.revisions()[-1], orphans=lost, problem=problem)
    else:
        output.line(problem or f"The database is at revision {revision}, as it should be.")
    raise typer.Exit(1 if problem else 0)


@db.command()
def vacuum(context: typer.Context, json: Json = False) -> None:
    """Delete rows that are older than `retention` in treue.yaml keeps them and that nothing needs any more.

    May be stopped and begun again at any time, also while workers run. What reports count stays the same.
    """
    from treue.clock import utc_now
    from treue.composition.vacuum import vacuum as delete_old

    workspace = opening.workspace(context)
    with opening.store(workspace) as store:
        shown = output.ProgressLine("rows looked at")
        try:
            deleted = delete_old(workspace, store, utc_now(), lambda _, number: shown(number))
        finally:
            shown.close()
        free = store.free_bytes()
    if json:
        output.document(deleted=deleted, free_bytes=free)
        return
    output.table(("table", "deleted"), list(deleted.items()))
    if free and free > _WORTH_TELLING:
        output.line(
            f"{free / 1_000_000:,.1f} MB of the file are free by now and used before it grows; "
            "`VACUUM` in the sqlite3 shell would give them back to the disk."
        )


@db.command()
def conform(context: typer.Context, json: Json = False) -> None:
    """Bring attributes to the types that treue.yaml declares, where they were imported before or declared otherwise then.

    What cannot be read as its type stays, and is counted and named. Ends with 1 where something stays.
    """
    from treue.clock import utc_now
    from treue.store.conformance import conform as bring_over

    workspace = opening.workspace(context)
    settings = workspace.settings
    with opening.store(workspace) as store:
        shown = output.ProgressLine("customers looked at")
        try:
            zone, locale = settings.timezone, settings.locale
            found = bring_over(
                store, settings.schema.attributes, utc_now(), zone=zone, locale=locale, progress=shown
            )
        finally:
            shown.close()
    left = any(one.left for one in found.values())
    if json:
        output.document(attributes={name: vars(one) for name, one in found.items()})
        raise typer.Exit(1 if left else 0)
    if not found:
        output.line("Every customer's attributes are what treue.yaml declares.")
    for name, one in sorted(found.items()):
        output.line(
            f"{name}: brought over for {output.count(one.written, 'customer')}, stays for {one.left:,}."
        )
        for reason in one.reasons:
            output.line(f"  {reason}")
        if one.left > len(one.reasons):
            output.line(f"  and {one.left - len(one.reasons):,} more")
    raise typer.Exit(1 if left else 0)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(db, name="db")
