"""`treue customer`: everything known about one person."""

from __future__ import annotations

import json as writer
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json

SHOWN = 15
"""How many of each kind are printed; `--json` has more."""


def customer(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    json: Json = False,
) -> None:
    """Show everything about a customer.

    Attributes, consents with their proof, journeys, messages and what happened.
    """
    from treue.store.customer_view import view

    workspace = opening.workspace(context)
    with opening.store(workspace) as store, store.reading() as connection:
        found = view(connection, key)
    if json:
        output.document(**found)
    else:
        _show(found, workspace.settings.timezone)


def _show(found: Mapping[str, Any], zone: str) -> None:
    output.line(f"{output.styled(found['id'], 'strong')}  known since {_local(found['created_at'], zone)}")
    for channel, one in found["addresses"].items():
        listed = output.styled("  on the suppression list", "bad") if one["suppressed"] else ""
        output.line(f"  {channel:<12}{one['address']}{listed}")
    facts = {"locale": found["locale"], "timezone": found["timezone"], **found["attributes"]}
    for name, value in facts.items():
        if value is not None:
            output.line(f"  {name:<12}{value if isinstance(value, str) else _json(value)}")
    _section("Consents", [_consent(one, zone) for one in found["consents"]])
    _section("Journeys", [_stay(one, zone) for one in found["enrollments"]])
    _section("Messages", [_message(one, zone) for one in found["messages"]])
    _section("Timeline", [_event(one, zone) for one in found["timeline"]])


def _section(title: str, lines: list[str]) -> None:
    output.line(f"\n{output.styled(title, 'strong')}")
    for text in lines[:SHOWN]:
        output.line(f"  {text}")
    if not lines:
        output.line("  none")
    if len(lines) > SHOWN:
        output.line(f"  … and {len(lines) - SHOWN} older ones")


def _consent(one: Mapping[str, Any], zone: str) -> str:
    given = "given" if one["given"] else "withdrawn"
    proof = f"  {_json(one['proof'])}" if one["proof"] else ""
    return f"{one['channel']:<6} {given} {_local(one['since'], zone)} ({one['basis']}, by {one['source']}){proof}"


def _stay(one: Mapping[str, Any], zone: str) -> str:
    where = f" at {one['step']}, due {_local(one['due_at'], zone)}" if one["outcome"] == "inside" else ""
    why = f" ({one['reason']})" if one["reason"] else ""
    left = f" {_local(one['left_at'], zone)}" if one["left_at"] else ""
    held = ", held out" if one["held_out"] else ""
    return f"{_local(one['entered_at'], zone)}  {one['journey']}: {one['outcome']}{why}{left}{where}{held}"


def _message(one: Mapping[str, Any], zone: str) -> str:
    why = f" ({one['reason']})" if one["reason"] else ""
    receipts = [
        word for word in ("delivered", "opened", "clicked", "bounced", "complained") if one[f"{word}_at"]
    ]
    also = f", {', '.join(receipts)}" if receipts else ""
    at = _local(one["sent_at"] or one["due_at"], zone)
    return f"{at}  {one['template']} on {one['channel']}: {one['state']}{why}{also}"


def _event(one: Mapping[str, Any], zone: str) -> str:
    told = f"  {_json(one['properties'])}" if one["properties"] else ""
    return f"{_local(one['at'], zone)}  {one['event']}{told}"


def _json(value: object) -> str:
    return writer.dumps(value, ensure_ascii=False)


def _local(text: str, zone: str) -> str:
    return opening.local(datetime.fromisoformat(text), zone)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(customer)
