"""`treue status`: one screen of where everything stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from treue.insight.channels import ChannelStatus
    from treue.insight.outbox import Outbox
    from treue.insight.status import JourneyStatus, Status
    from treue.store.failures import Failure
    from treue.workspace.workspace import Workspace

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
    from treue.insight.status import status as look

    workspace = opening.workspace(context)
    with opening.store(workspace) as store, store.reading() as connection:
        found = look(connection, utc_now())
    if json:
        output.document(**_document(workspace, found))
    else:
        if not health:
            _show(workspace, found)
        _show_health(found)
    raise typer.Exit(int(health and not found.healthy))


def _document(workspace: Workspace, found: Status) -> dict[str, Any]:
    box = found.outbox
    return {
        "at": _iso(found.at),
        "journeys": {one.name: one.as_json() for one in found.journeys},
        "outbox": {
            "queued": box.queued, "ready": box.ready, "claimed": box.claimed, "in_doubt": box.in_doubt,
            "failed": box.failed, "oldest": _iso(box.oldest),
            "held": {reason: {"messages": n, "next": _iso(next_)} for reason, (n, next_) in box.held.items()},
        },
        "channels": {name: one.adapter for name, one in workspace.settings.channels.items()},
        "channels_held": {
            name: {"paused_until": _iso(one.paused_until), "failures": one.failures, "reason": one.reason,
                   "brake": one.brake, "waiting": one.waiting, "objection": one.objection}
            for name, one in found.channels.items()
        },
        "unrouted": found.unrouted,
        "set_aside": found.set_aside,
        "repaired": dict(found.repaired),
        "last_pass": _iso(found.last_pass),
        "failing": [
            {"journey": one.journey, "work": one.work, "since": _iso(one.since), "times": one.times,
             "last": _iso(one.last_at), "again": _iso(one.again_at), "reason": one.reason}
            for one in found.health.failing
        ],
        "late": [
            {"journey": one.journey, "step": one.step, "customers": one.late, "since": _iso(one.since)}
            for one in found.health.late
        ],
        "healthy": found.healthy,
        "checks": [{"name": one.name, "well": one.well, "sentence": one.sentence} for one in found.checks],
    }  # fmt: skip


def _iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _show(workspace: Workspace, found: Status) -> None:
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
        ("outbox", _outbox(found.outbox, found.at)),
        *([("held", _held(found.outbox, zone))] if found.outbox.held else []),
        ("events", f"{output.count(found.unrouted, 'event')} not looked at yet"),
        *([("set aside", _set_aside(found.set_aside))] if found.set_aside else []),
        ("channels", channels or "none"),
        *((name, _channel(one, zone)) for name, one in found.channels.items()),
        ("last pass", opening.local(found.last_pass, zone) if found.last_pass else "none yet"),
        *(("failing", _failing(one, zone)) for one in found.health.failing),
        *(("repaired", f"{name}: {number:,} in its segment") for name, number in found.repaired.items()),
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


def _failing(one: Failure, zone: str) -> str:
    from treue.engine.passes.attempts import in_words

    again = opening.local(one.again_at, zone)
    return f"{one.journey}: {in_words(one.work)}: {one.reason}; tried again {again}"


def _channel(one: ChannelStatus, zone: str) -> str:
    until = f" (until {opening.local(one.paused_until, zone)})" if one.paused_until else ""
    return one.sentence + until


def _outbox(box: Outbox, now: datetime) -> str:
    from treue.insight.health import age

    oldest = f", the oldest for {age(now, box.oldest)}" if box.oldest else ""
    doubt = f", {box.in_doubt:,} in doubt" if box.in_doubt else ""
    claimed = f", {box.claimed:,} in hand" if box.claimed else ""
    return f"{box.queued:,} queued, {box.ready:,} ready{oldest}{claimed}{doubt}"


def _held(box: Outbox, zone: str) -> str:
    """Return how many messages are held and why, and when the next may go."""
    assert box.next_held is not None
    return f"{box.held_by_reason}; the next may go {opening.local(box.next_held, zone)}"


def _set_aside(number: int) -> str:
    """Return how many events were set aside, and what to do."""
    return (
        f"{output.count(number, 'event')} under ids used before for another content; the console shows them: "
        "send each again with an id of its own"
    )


def _show_health(found: Status) -> None:
    if found.healthy:
        output.line(output.styled("healthy", "good"))
    for sentence in found.health.sentences:
        output.line(f"{output.styled('unhealthy:', 'bad')} {sentence}")
    for sentence in found.health.notes:
        output.line(f"{output.styled('note:', 'dim')} {sentence}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(status)
