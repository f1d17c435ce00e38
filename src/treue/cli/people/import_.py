"""`treue import`: whole files of customers or events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from treue.cli import columns, opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UsageError

if TYPE_CHECKING:
    from treue.store.imports import ImportReport
    from treue.workspace.workspace import Workspace

ADDRESSES = {
    "email": ("e-mail address", "e-mail addresses"),
    "sms": ("telephone number",),
    "push": ("push token",),
}
REFUSALS_SHOWN = 3
"""How many rows that were set aside are shown with their reasons; all of them are in the file."""


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
    report = _run(workspace, what, file, columns.mapping(map_ or []), event, json)  # type: ignore[arg-type]
    if json:
        output.document(**_document(report))
    else:
        _show(what, report)
    if report.rejected:
        raise typer.Exit(1)


def _run(
    workspace: Workspace,
    what: Literal["customers", "events"],
    path: Path,
    mapping: dict[str, str],
    event: str,
    json: bool,
) -> ImportReport:
    from treue.store import import_columns, imports

    settings, schema = workspace.settings, workspace.settings.schema
    file, told = columns.recognised(path), {"zone": settings.timezone, "locale": settings.locale}
    progress = output.ProgressLine("rows")
    if what == "customers":
        mapping = columns.settled(file, import_columns.of_customers(schema.attributes), mapping, json=json)
    else:
        mapping = columns.settled(
            file, import_columns.of_events(schema.events, event or None), mapping, json=json
        )
    with opening.store(workspace, create=True) as store:
        try:
            if what == "customers":
                return imports.import_customers(
                    store, file, mapping, schema.attributes, utc_now(), progress, **told
                )
            return imports.import_events(
                store, file, mapping, schema.events, utc_now(), progress, event=event or None, **told
            )
        finally:
            progress.close()


def _document(report: ImportReport) -> dict[str, Any]:
    return {
        **vars(report),
        "kept": report.kept,
        "rejected_file": report.rejected_file and str(report.rejected_file),
        "shared": {channel: vars(shared) for channel, shared in report.shared.items()},
        "refusals": [refusal._asdict() for refusal in report.refusals],
    }


def _show(what: str, report: ImportReport) -> None:
    """Print what became of each line, what is new, and what is odd."""
    lines = [
        (report.header, "of the header"),
        (report.kept, "in the database"),
        (report.rejected, "set aside"),
        (report.blank, "blank"),
        (report.continued, "that go on with a row"),
    ]
    told = [f"{number:,} {which}" for number, which in lines if number or which == "in the database"]
    output.line(f"{output.count(report.lines, 'line')} read: {', '.join(told)}.")
    parts = [f"{report.created:,} new"]
    if what == "customers":
        parts += [f"{report.updated:,} changed", output.count(report.consents, "consent")]
    else:
        parts.append(f"{report.duplicates:,} known already")
    output.line(f"{', '.join(parts)}.")
    if report.placeholders:
        named = ", ".join(f"{name} {number:,}" for name, number in sorted(report.placeholders.items()))
        output.line(f"No value, but a word such as NULL or -: {named}.")
    for channel, shared in report.shared.items():
        addresses = output.count(shared.addresses, *ADDRESSES[channel])
        output.line(f"In the database, {output.count(shared.customers, 'customer')} share {addresses}.")
    for note in report.notes:
        output.tell(note)
    if report.more_notes:
        output.tell(f"And {report.more_notes:,} more like these.")
    if report.rejected:
        _show_refusals(report)


def _show_refusals(report: ImportReport) -> None:
    for refusal in report.refusals[:REFUSALS_SHOWN]:
        output.line(f"  line {refusal.line}: {refusal.reason}")
    rest = report.rejected - REFUSALS_SHOWN
    if rest > 0:
        output.line(f"  and {rest:,} more")
    output.line(
        f"{output.count(report.rejected, 'row')} set aside, with the reasons, in {report.rejected_file}: mend them there, and "
        "import that file."
    )


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("import")(import_)
