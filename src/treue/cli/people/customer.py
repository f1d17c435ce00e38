"""`treue customer`: everything known about one person."""

from __future__ import annotations

import json as writer
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json

SHOWN = 15
"""How many of each kind are printed; `--json` has more."""


def customer(
    context: typer.Context,
    who: Annotated[str, typer.Argument(metavar="ID|ADDRESS", help="The customer's id, or an address.")],
    json: Json = False,
) -> None:
    """Show everything about a customer, or about all who have an address.

    Attributes, consents with their proof, journeys, messages and what happened.
    """
    from treue.store.customer_view import named, view

    workspace = opening.workspace(context)
    with opening.store(workspace) as store, store.reading() as connection:
        found = [view(connection, key) for key in named(connection, who) or [who]]
    if json and len(found) == 1:
        output.document(**found[0])
    elif json:
        output.document(customers=found)
    else:
        _show_all(found, workspace.settings.timezone)


def _show_all(found: Sequence[Mapping[str, Any]], zone: str) -> None:
    if len(found) > 1:
        output.line(f"{len(found)} customers have this address: {', '.join(one['id'] for one in found)}.\n")
    for n, one in enumerate(found):
        if n:
            output.line("")
        _show(one, zone)


def _show(found: Mapping[str, Any], zone: str) -> None:
    output.line(f"{output.styled(found['id'], 'strong')}  known since {_local(found['created_at'], zone)}")
    for one in found["merged"]:
        output.line(f"  {one['id']} was merged into it {_local(one['at'], zone)}")
    for channel, one in found["addresses"].items():
        others = f"  shared with {', '.join(one['shared_with'][:SHOWN])}" if one["shared_with"] else ""
        against = ["on the suppression list"] if one["suppressed"] else []
        against += [_left(one["unsubscribed"], found["id"], zone)] if one["unsubscribed"] else []
        listed = output.styled(f"  {', '.join(against)}", "bad") if against else ""
        output.line(f"  {channel:<12}{one['address']}{others}{listed}")
    facts = {"locale": found["locale"], "timezone": found["timezone"], **found["attributes"]}
    for name, value in facts.items():
        if value is not None:
            output.line(f"  {name:<12}{value if isinstance(value, str) else _json(value)}")
    _section("Consents", [_consent(one, zone) for one in found["consents"]])
    _section("Journeys", [_stay(one, zone) for one in found["enrollments"]])
    _section("Messages", [_message(one, zone) for one in found["messages"]])
    _section("Timeline", [_event(one, zone) for one in found["timeline"]])


def _left(one: Mapping[str, Any], id_: str, zone: str) -> str:
    other = f" through customer {one['customer']}" if one["customer"] not in (None, id_) else ""
    return f"unsubscribed {_local(one['since'], zone)}{other} (by {one['source']})"


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
