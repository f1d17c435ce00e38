"""`treue doubts` and `treue retry`: messages that an operator decides about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UsageError

Which = Annotated[list[int] | None, typer.Argument(metavar="[MESSAGE]...", help="Only these, by number.")]
Resend = Annotated[
    bool, typer.Option("--resend", help="Send them again: whoever got one gets a second copy.")
]
Drop = Annotated[bool, typer.Option("--drop", help="Leave them unsent.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(doubts)
    app.command()(retry)


def doubts(
    context: typer.Context,
    which: Which = None,
    resend: Resend = False,
    drop: Drop = False,
    json: Json = False,
) -> None:
    """List messages that may or may not have been sent; send them again, or leave them unsent.

    Their worker died, or the connection broke, while they were on the wire. A provider's callback settles one by itself.
    """
    from treue.delivery import doubts as open_doubts

    if resend and drop:
        raise UsageError("`--resend` and `--drop` exclude each other.")
    workspace = opening.workspace(context)
    with opening.store(workspace) as store:
        if resend or drop:
            act = open_doubts.resend if resend else open_doubts.drop
            with store.transaction() as connection:
                _report(act(connection, utc_now(), which or ()), "queued" if resend else "dropped", json)
        else:
            with store.reading() as connection:
                found = open_doubts.doubts(connection)
            _show(
                [one for one in found if not which or one["message"] in which],
                workspace.settings.timezone,
                json,
            )


def retry(context: typer.Context, which: Which = None, json: Json = False) -> None:
    """Put messages that could not be sent into the outbox once more; the next pass sends them.

    Each is valid for as long as it was at first, from now on.
    """
    from treue.delivery import doubts as open_doubts

    with opening.store(opening.workspace(context)) as store, store.transaction() as connection:
        number = open_doubts.retry(connection, utc_now(), which or ())
    _report(number, "queued", json)


def _show(found: Sequence[dict[str, Any]], zone: str, json: bool) -> None:
    if json:
        output.document(
            doubts=[
                {**one, "due_at": _iso(one["due_at"]), "tried_at": _iso(one["tried_at"])} for one in found
            ]
        )
    elif not found:
        output.line("No message is in doubt.")
    else:
        headers = ("message", "customer", "journey", "step", "channel", "tried", "why")
        output.table(headers, [_row(one, zone) for one in found])
        output.tell(
            "`treue doubts --resend` sends them again (a second copy for some), `--drop` leaves them."
        )


def _row(one: dict[str, Any], zone: str) -> tuple[object, ...]:
    tried = opening.local(one["tried_at"], zone) if one["tried_at"] else ""
    names = ("message", "customer", "journey", "step", "channel")
    return (*(one[name] for name in names), tried, one["why"] or "its worker died")


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _report(number: int, what: str, json: bool) -> None:
    if json:
        output.document(**{what: number})
    else:
        output.line(f"{output.count(number, 'message')} {what}.")
