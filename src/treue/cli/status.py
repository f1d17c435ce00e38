"""`treue status`: one screen of where everything stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from treue.engine.status import ChannelStatus, JourneyStatus, Outbox, Status
    from treue.workspace.loading import Workspace

_HEADERS = ("journey", "", "entered", "inside", "due", "finished", "converted", "exited", "held out",
            "sent", "queued", "failed")  # fmt: skip


def status(
    context: typer.Context,
    health: Annotated[
        bool, typer.Option("--health", help="Only whether all is well; ends with 1 where it is not.")
    ] = False,
    json: Json = False,
) -> None:
    """Show where everything stands, and whether all is well."""
    from treue.engine.status import status as look

    workspace, now = opening.workspace(context), utc_now()
    with opening.store(workspace) as store, store.reading() as connection:
        found = look(connection, now)
    if json:
        output.document(**_document(workspace, found, now))
    else:
        if not health:
            _show(workspace, found, now)
        _show_health(found)
    raise typer.Exit(int(health and not found.healthy))


def _document(workspace: Workspace, found: Status, now: datetime) -> dict[str, Any]:
    box = found.outbox
    return {
        "at": _iso(now),
        "journeys": {one.name: one.as_json() for one in found.journeys},
        "outbox": {
            "queued": box.queued, "ready": box.ready, "claimed": box.claimed, "in_doubt": box.in_doubt,
            "failed": box.failed, "oldest": _iso(box.oldest),
            "held": {reason: {"messages": n, "next": _iso(next_)} for reason, (n, next_) in box.held.items()},
        },
        "channels": {name: one.adapter for name, one in workspace.settings.channels.items()},
        "channels_held": {
            name: {"paused_until": _iso(one.paused_until), "failures": one.failures, "reason": one.reason,
                   "brake": one.brake}
            for name, one in found.channels.items()
        },
        "unrouted": found.unrouted,
        "last_pass": _iso(found.last_pass),
        "healthy": found.healthy,
        "checks": [{"name": one.name, "well": one.well, "sentence": one.sentence} for one in found.checks],
    }  # fmt: skip


def _iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _show(workspace: Workspace, found: Status, now: datetime) -> None:
    zone = workspace.settings.timezone
    if found.journeys:
        output.table(_HEADERS, [_row(one) for one in found.journeys])
        for one in found.journeys:
            _show_reasons(one)
    else:
        output.line("No journey runs yet; `treue apply`, `treue run` or `treue up` starts them.")
    output.line()
    channels = ", ".join(f"{name} by {one.adapter}" for name, one in workspace.settings.channels.items())
    lines = [
        ("outbox", _outbox(found.outbox, now)),
        *([("held", _held(found.outbox, zone))] if found.outbox.held else []),
        ("events", f"{output.count(found.unrouted, 'event')} not looked at yet"),
        ("channels", channels or "none"),
        *((name, _channel(one, zone)) for name, one in found.channels.items()),
        ("last pass", opening.local(found.last_pass, zone) if found.last_pass else "none yet"),
    ]
    for label, text in lines:
        output.line(f"{output.styled(f'{label:<10}', 'dim')}{text}")


def _row(one: JourneyStatus) -> tuple[object, ...]:
    counts = one.counts
    sent = ", ".join(f"{number:,} {channel}" for channel, number in counts.sent.items()) or "0"
    return (
        one.name, one.state, counts.entered, counts.inside, one.due, counts.finished, counts.converted,
        sum(counts.exited.values()), counts.held_out, sent, counts.queued, counts.failed,
    )  # fmt: skip


def _show_reasons(one: JourneyStatus) -> None:
    parts = [f"{number:,} exited: {reason}" for reason, number in sorted(one.counts.exited.items())]
    parts += [f"{number:,} not sent: {reason}" for reason, number in sorted(one.counts.refused.items())]
    if parts:
        output.line(output.styled(f"  {one.name}: {'; '.join(parts)}", "dim"))


def _channel(one: ChannelStatus, zone: str) -> str:
    until = f" (until {opening.local(one.paused_until, zone)})" if one.paused_until else ""
    return one.sentence + until


def _outbox(box: Outbox, now: datetime) -> str:
    age = f", the oldest for {_age(now, box.oldest)}" if box.oldest else ""
    doubt = f", {box.in_doubt:,} in doubt" if box.in_doubt else ""
    claimed = f", {box.claimed:,} in hand" if box.claimed else ""
    return f"{box.queued:,} queued, {box.ready:,} ready{age}{claimed}{doubt}"


def _held(box: Outbox, zone: str) -> str:
    """Return how many messages are held and why, and when the next may go."""
    reasons = ", ".join(f"{number:,} {reason.replace('_', ' ')}" for reason, (number, _) in box.held.items())
    return f"{reasons}; the next may go {opening.local(min(next_ for _, next_ in box.held.values()), zone)}"


def _age(now: datetime, then: datetime) -> str:
    seconds = int((now - then).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


def _show_health(found: Status) -> None:
    if found.healthy:
        output.line(output.styled("healthy", "good"))
    for check in found.checks:
        if not check.well:
            output.line(f"{output.styled('unhealthy:', 'bad')} {check.sentence}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(status)
