"""The verb `simulate`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treue.cli import columns, opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from treue.composition.simulation import Period
    from treue.engine.what_if.tally import Tally
    from treue.store.history import History
    from treue.workspace.workspace import Workspace

_A_DAY = re.compile(r"\s*\d{4}-\d{2}-\d{2}\s*")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("simulate")(simulate)


def simulate(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these journeys.")
    ] = None,
    from_: Annotated[
        str, typer.Option("--from", metavar="D", help="The day on which the journeys go live.")
    ] = "",
    to: Annotated[str, typer.Option("--to", metavar="D", help="The last day.")] = "",
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            metavar="FILE",
            help="Events as CSV, JSON lines or Parquet, instead of the workspace's own database.",
        ),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=NAME", help="As in `treue import events`."),
    ] = None,
    event: Annotated[str, typer.Option("--event", metavar="NAME", help="As in `treue import events`.")] = "",
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="REV",
            help="Another version of the files, a git revision or a folder: show what differs.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Replay the recorded past through the files on a virtual clock; nothing is sent.

    Shows messages a day, each journey's funnel, limits hit, and what customers would have had to bear. A replay
    shows volume and pressure, not effect.
    """
    workspace = opening.workspace(context)
    for name in names or ():
        opening.known(name, workspace.journeys, "journey")
    period = _period(from_, to, workspace.settings.timezone)
    if history is None and (map_ or event):
        raise UsageError("`--map` and `--event` say how to read a file; name it with `--history FILE`.")
    with opening.interrupt_on_signals(), tempfile.TemporaryDirectory(prefix="treue-simulate-") as folder:
        past = _past(workspace, history, columns.mapping(map_ or []), event, Path(folder), json)
        tally = _replayed(workspace, past, period, Path(folder), names, "")
        other = None
        if against:
            before = _version(workspace.root, against, Path(folder) / "against")
            other = _replayed(before, past, period, Path(folder), names, against)
    _show(past, period, workspace.settings.timezone, tally, other, against, json)


def _period(start: str, end: str, zone: str) -> Period:
    from treue.composition.simulation import Period

    if not start or not end:
        raise UsageError("Say from when to when: `treue simulate --from 2026-01-01 --to 2026-03-31`.")
    first, last = opening.moment(start, zone), opening.moment(end, zone)
    if _A_DAY.fullmatch(end):
        last = _day_after(last, zone)
    if last <= first:
        raise UsageError(f"The time from {start} to {end} is no time at all; `--to` lies after `--from`.")
    return Period(first, last)


def _day_after(midnight: datetime, zone: str) -> datetime:
    from treue.clock import Duration

    return Duration(days=1).after(midnight, zone)


def _past(
    workspace: Workspace, file: Path | None, mapping: dict[str, str], event: str, folder: Path, json: bool
) -> History:
    """Copy the past into a file of its own, from the workspace's database or a file of events."""
    from treue.store import history, import_columns

    settings, progress = workspace.settings, output.ProgressLine("rows of the past read")
    path = folder / "past.db"
    try:
        if file is None:
            with opening.store(workspace) as store:
                return history.copied(store, path, f"the database {store}", progress)
        if event:
            opening.known(event, settings.schema.events, "event")
        rows, schema = columns.recognised(file), settings.schema.events
        mapping = columns.settled(rows, import_columns.of_events(schema, event or None), mapping, json=json)
        return history.imported(
            rows,
            path,
            mapping,
            schema,
            utc_now(),
            settings.timezone,
            settings.locale,
            event or None,
            progress,
        )
    finally:
        progress.close()


def _version(root: Path, revision: str, folder: Path) -> Workspace:
    from treue.vocabulary.workspace import load
    from treue.workspace.revisions import another_version

    folder.mkdir()
    try:
        return load(another_version(root, revision, folder)).require()
    except WorkspaceError as error:
        raise WorkspaceError(f"The files at {revision} have problems of their own.\n\n{error}") from error


def _replayed(
    workspace: Workspace,
    past: History,
    period: Period,
    folder: Path,
    names: Sequence[str] | None,
    version: str,
) -> Tally:
    from treue.composition.simulation import simulate as replayed

    days = output.ProgressLine(f"days lived through{f' as at {version}' if version else ''}")

    def show_day(now: datetime) -> None:
        days((now - period.start) // timedelta(days=1))

    with tempfile.TemporaryDirectory(dir=folder) as own:
        try:
            return replayed(workspace, past, period, Path(own), names, show_day)
        finally:
            days.close()


def _show(
    past: History, period: Period, zone: str, tally: Tally, other: Tally | None, against: str, json: bool
) -> None:
    from treue.cli.authoring.simulate import shown

    if json:
        output.document(**shown.document(past, period, tally, other, against))
        return
    shown.print_opening(past, period, zone, tally)
    shown.volume(tally)
    for name, journey in tally.journeys.items():
        shown.funnel(name, journey)
    shown.pressure(tally)
    if other is not None:
        shown.comparison(other, tally, against)
    shown.print_closing()
