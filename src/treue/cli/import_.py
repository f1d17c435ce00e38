"""`treue import`: whole files of customers or events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UsageError

if TYPE_CHECKING:
    from treue.store.imports import ImportReport
    from treue.workspace.loading import Workspace


def import_(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="customers|events", help="What is in the file.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON lines or Parquet.")],
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=NAME",
            help="A column that is called otherwise here; COLUMN= leaves it out.",
        ),
    ] = None,
    event: Annotated[
        str, typer.Option("--event", metavar="NAME", help="Every row is this event (no column `event`).")
    ] = "",
    json: Json = False,
) -> None:
    """Import customers or events from a file.

    Bad rows are set aside with their reasons in a file beside it. Events have the columns id, customer_id, event
    and at; all others are properties.
    """
    if what not in ("customers", "events"):
        raise UsageError(f"What is in the file is `customers` or `events`, not `{what}`.")
    if event and what == "customers":
        raise UsageError("`--event` belongs to `treue import events`.")
    workspace = opening.workspace(context)
    if event:
        opening.known(event, workspace.settings.schema.events, "event")
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    report = _run(workspace, what, file, mapping(map_ or []), event)  # type: ignore[arg-type]
    if json:
        output.document(
            **{**vars(report), "rejected_file": report.rejected_file and str(report.rejected_file)}
        )
    else:
        _show(what, report)
    if report.rejected:
        raise typer.Exit(1)


def mapping(given: Sequence[str]) -> dict[str, str]:
    """Return the name that each `--map COLUMN=NAME` gives a column. Raises UsageError where one is not like that."""
    found = {}
    for text in given:
        column, equals, name = text.partition("=")
        if not equals or not column.strip():
            raise UsageError(f"`--map {text}` is not COLUMN=NAME.")
        found[column.strip()] = name.strip()
    return found


def _run(
    workspace: Workspace,
    what: Literal["customers", "events"],
    file: Path,
    mapping: dict[str, str],
    event: str,
) -> ImportReport:
    from treue.store import imports

    schema, zone = workspace.settings.schema, workspace.settings.timezone
    progress = output.Progress("rows")
    with opening.store(workspace, create=True) as store:
        try:
            if what == "customers":
                return imports.import_customers(
                    store, file, mapping, schema.attributes, utc_now(), progress, zone=zone
                )
            return imports.import_events(
                store, file, mapping, schema.events, utc_now(), progress, zone=zone, event=event or None
            )
        finally:
            progress.close()


def _show(what: str, report: ImportReport) -> None:
    parts = [f"{report.created:,} new"]
    if what == "customers":
        parts += [f"{report.updated:,} changed", output.count(report.consents, "consent")]
    else:
        parts.append(f"{report.duplicates:,} known already")
    output.line(f"{output.count(report.read, 'row')} read: {', '.join(parts)}.")
    for note in report.notes:
        output.told(note)
    if report.rejected:
        output.line(
            f"{output.count(report.rejected, 'row')} set aside, with the reasons, in {report.rejected_file}."
        )


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("import")(import_)
