"""`treue why`: what was decided about a customer, when and why; and why a journey never let them in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UsageError

if TYPE_CHECKING:
    from treue.cohorts.host import Note
    from treue.insight.why import CustomerInquiry, TraceEntry
    from treue.store.store import Store
    from treue.workspace.workspace import Workspace


class Old(NamedTuple):
    """What cannot be told as it was deleted as old, of stays in a journey and of events, a sentence each."""

    stays: Sequence[str] = ()
    events: Sequence[str] = ()


_NOTHING_OLD = Old()


def why(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")],
    journey: Annotated[str, typer.Option("--journey", metavar="NAME", help="Only this journey.")] = "",
    json: Json = False,
) -> None:
    """Show what was decided about a customer, when and why.

    Also why a journey never let them in.
    """
    workspace = opening.workspace(context)
    with opening.store(workspace) as store:
        key, merged = _record(store, customer)
        trails, notes, old = _ask(workspace, store, customer, journey)
    if json:
        output.document(
            customer=key,
            merged=[{"id": alias, "at": _utc(at)} for alias, at in merged],
            journeys={name: [_as_json(entry) for entry in trail] for name, trail in trails.items()},
            never_entered={name: [_note_json(note) for note in found] for name, found in notes.items()},
            older_than_retention={name: [*one.stays, *one.events] for name, one in old.items()},
        )
        return
    zone = workspace.settings.timezone
    for alias, at in merged:
        output.line(f"{alias} was merged into {key} {opening.local(at, zone)}.")
    if merged:
        output.line("")
    for name, trail in trails.items():
        if trail or (name in old and name not in notes):
            _show(name, trail, zone, old.get(name, _NOTHING_OLD))
        if notes.get(name):
            _show_notes(name, notes[name], old.get(name, _NOTHING_OLD))


def _record(store: Store, key: str) -> tuple[str, list[tuple[str, datetime]]]:
    """Return the id of the record that a key names, and what was merged into it and when."""
    from treue.store import aliases, customers

    with store.reading() as connection:
        found = customers.find(connection, key)
        if found is None:
            raise UsageError(f"There is no customer {key}.")
        return found["key"], [(one.key, one.merged_at) for one in aliases.of(connection, found["id"])]


def _ask(
    workspace: Workspace, store: Store, key: str, only: str
) -> tuple[dict[str, list[TraceEntry]], dict[str, list[Note]], dict[str, Old]]:
    from treue.cohorts.host import Note
    from treue.engine.versions.versions import Versions
    from treue.insight.why import CustomerInquiry, stays
    from treue.language.retention import Retention
    from treue.store import customers, journeys

    now = utc_now()
    with store.reading() as connection:
        found = customers.find(connection, key)
        if found is None:
            raise UsageError(f"There is no customer {key}.")
        names = sorted({*workspace.journeys, *journeys.names(connection)})
        wanted = [opening.known(only, names, "journey")] if only else names
        inquiry = CustomerInquiry(connection, found["id"], workspace.settings.timezone, now)
        versions = Versions()
        live = {version.name: version for version in versions.load(connection) if version.live}
        held = {name: str(error) for name, error in versions.unreadable.values()}
        been = stays(connection, found["id"])
        trails = {name: inquiry.trail(name) for name in wanted}  # also those turned away: the trail says why
        notes = {
            name: [Note(held[name], False)]
            if name in held
            else _outside(workspace, inquiry, name, live.get(name))
            for name in wanted
            if name not in been and not trails[name]
        }
        kept = workspace.settings.retention or Retention()
        events = list(inquiry.old_events(kept))
        told = {name: Old(inquiry.old(name, kept), events if name in notes else []) for name in wanted}
        old = {name: one for name, one in told.items() if one.stays or one.events}
    return trails, notes, old


def _outside(workspace: Workspace, inquiry: CustomerInquiry, name: str, version: Any) -> list[Note]:
    if version is not None:
        return inquiry.outside(version.plan, version)
    if name not in workspace.journeys:
        return []
    from treue.plan.flatten import build

    return inquiry.outside(build(workspace.journeys[name]), None)


# --- printed ------------------------------------------------------------------------------------------------


def _show(name: str, trail: list[TraceEntry], zone: str, old: Old) -> None:
    from treue.cli.authoring.segment import show

    output.line(output.styled(name, "strong"))
    _show_old(old)
    before: tuple[str | None, int | None] = (None, None)
    for entry in trail:
        if entry.line is not None and before != (entry.step, entry.line):
            place = output.styled(f"journeys/{name}.yaml:{entry.line}", "dim")
            output.line(f"  {place}  {output.styled(entry.text, 'mark')}")
        before = entry.step, entry.line
        output.line(f"    {opening.local(entry.at, zone)}  {_sentence(entry, zone)}")
        for found in entry.compared:
            show(found, " " * 22)
    output.line()


def _show_old(old: Old) -> None:
    for sentence in (*old.stays, *old.events):
        output.line(f"    {output.styled(sentence, 'dim')}")


def _sentence(entry: TraceEntry, zone: str) -> str:
    values = dict(entry.values)
    told = entry.sentence
    if "until" in values:
        until = datetime.fromisoformat(values.pop("until"))
        told += f" until {opening.local(until, zone)}"
    if "way" in values:
        told += f": {_way(values.pop('way'))}"
    if isinstance(shares := values.pop("shares", None), dict):
        told += f" ({', '.join(f'{name} {share:.0%}' for name, share in shares.items())})"
    if entry.reason_sentence:
        told += f": {entry.reason_sentence}"
    if entry.decision in ("started", "not_started"):
        told += f": {values.pop('journey', '?')}"
    if "template" in values:
        told += f" ({values.pop('template')} on {values.pop('channel', '?')})"
    if "limit" in values:
        told += f" ({values.pop('had', 0)} counted, the limit is {values.pop('limit')})"
    values.pop("message", None)
    return told + (f" ({', '.join(f'{k}: {v}' for k, v in values.items())})" if values else "")


def _way(name: str) -> str:
    return f"number {int(name) + 1}" if name.isdigit() else name


def _show_notes(name: str, notes: list[Note], old: Old) -> None:
    from treue.cli.authoring.segment import show

    been = "is in no stay that is still known" if old.stays else "has never been in it"
    output.line(f"{output.styled(name, 'strong')}  {been}")
    _show_old(old)
    for note in notes:
        mark = output.styled("✓", "good") if note.holds else output.styled("✗", "bad")
        output.line(f"  {mark} {note.sentence}")
        if note.compared is not None:
            for part in note.compared.parts or (note.compared,):
                show(part, "      ")
    output.line()


# --- JSON ---------------------------------------------------------------------------------------------------


def _as_json(entry: TraceEntry) -> dict[str, Any]:
    from treue.cli.authoring.segment import tree

    values = dict(entry.values)
    if entry.compared:
        values["compared"] = [tree(found) for found in entry.compared]
    return {
        "at": _utc(entry.at),
        "step": entry.step,
        "decision": entry.decision,
        "reason": entry.reason,
        "values": values,
        "line": entry.line,
        "sentence": entry.sentence + (f": {entry.reason_sentence}" if entry.reason_sentence else ""),
    }


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _note_json(note: Note) -> dict[str, Any]:
    from treue.cli.authoring.segment import tree

    compared = tree(note.compared) if note.compared is not None else None
    return {"sentence": note.sentence, "holds": note.holds, "compared": compared}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(why)
