"""The 360° view: everything worth seeing about one customer, ready for JSON."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from treue.errors import RejectedInput, UsageError
from treue.model.states import ADDRESS
from treue.model.tables import consent, customer, enrollment, event, journey, journey_version, message
from treue.segments.reach import address_key
from treue.store import addresses, aliases, customers, opt_outs, printed, suppressions
from treue.store.addresses import shown

NEWEST = 100
"""How many events, enrollments and messages are shown, the newest first."""


def named(connection: Connection, text: str) -> list[str]:
    """Return the ids of whom a text names: the customer with this id, else all who have it as an address, however spelt."""
    if (found := customers.find(connection, text)) is not None:
        return [found["key"]]
    for channel in ADDRESS:
        with suppress(RejectedInput):
            if sharers := sharing(connection, channel, text):
                return sharers
    return []


def sharing(connection: Connection, channel: str, address: str) -> list[str]:
    """Return the ids of the customers who have an address. Raises RejectedInput where it does not fit the channel."""
    same = address_key(channel) == addresses.key_of(channel, address)
    return list(connection.scalars(select(customer.c.key).where(same).order_by(customer.c.key)))


def view(connection: Connection, key: str, newest: int = NEWEST) -> dict[str, Any]:
    """Return a customer's attributes, addresses, consents with proof, events, enrollments and messages.

    Times are ISO 8601 in UTC. Raises UsageError where nobody has this key.
    """
    found = customers.find(connection, key)
    if found is None:
        raise UsageError(f"There is no customer {shown(key)}.")
    id_, key = found["id"], found["key"]
    left = opt_outs.of(connection, id_)
    return {
        "id": key,
        "merged": [{"id": one.key, "at": _iso(one.merged_at)} for one in aliases.of(connection, id_)],
        "created_at": _iso(found["created_at"]),
        "updated_at": _iso(found["updated_at"]),
        "locale": found["locale"],
        "timezone": found["timezone"],
        "attributes": found["attributes"],
        "addresses": {
            channel: _address(connection, key, channel, found[column], left.get(channel))
            for channel, column in ADDRESS.items()
            if found[column]
        },
        "consents": _rows(connection, _consents(id_)),
        "timeline": _rows(connection, _events(id_).limit(newest)),
        "enrollments": _with_steps(_rows(connection, _enrollments(id_).limit(newest))),
        "messages": _with_printed(connection, _with_steps(_rows(connection, _messages(id_).limit(newest)))),
    }


def _address(
    connection: Connection, key: str, channel: str, address: str, left: Row[Any] | None
) -> dict[str, Any]:
    return {
        "address": address,
        "shared_with": [other for other in sharing(connection, channel, address) if other != key],
        "suppressed": suppressions.is_suppressed(connection, channel, address),
        "unsubscribed": left and {"since": _iso(left.since), "source": left.source, "customer": left.by},
    }


def _consents(id_: int) -> Select[Any]:
    c = consent.c
    columns = (c.channel, c.given, c.basis, c.since, c.source, c.proof)
    return select(*columns).where(c.customer_id == id_).order_by(c.channel)


def _events(id_: int) -> Select[Any]:
    c = event.c
    columns = (c.at, c.name.label("event"), c.properties, c.source, c.key.label("id"))
    return select(*columns).where(c.customer_id == id_).order_by(c.at.desc(), c.id.desc())


def _enrollments(id_: int) -> Select[Any]:
    c = enrollment.c
    columns = (
        journey.c.name.label("journey"),
        c.outcome,
        c.reason,
        c.step_id.label("step"),
        c.held_out,
        c.entered_at,
        c.due_at,
        c.left_at,
        journey_version.c.steps,
    )
    tables = enrollment.join(journey, journey.c.id == c.journey_id).join(
        journey_version, journey_version.c.id == c.version_id
    )
    found = select(*columns).select_from(tables).where(c.customer_id == id_)
    return found.order_by(c.entered_at.desc(), c.id.desc())


def _messages(id_: int) -> Select[Any]:
    c = message.c
    receipts = (
        c.sent_at,
        c.delivered_at,
        c.opened_at,
        c.clicked_at,
        c.bounced_at,
        c.complained_at,
        c.failed_at,
    )
    told = (c.template, c.channel, c.category, c.state, c.reason, c.detail, c.queued_at, c.due_at)
    where = (journey.c.name.label("journey"), c.step_id.label("step"))
    columns = (c.id.label("message"), *where, *told, *receipts, journey_version.c.steps)
    tables = message.outerjoin(journey, journey.c.id == c.journey_id).outerjoin(
        journey_version, journey_version.c.id == c.version_id
    )
    found = select(*columns).select_from(tables).where(c.customer_id == id_)
    return found.order_by(c.queued_at.desc(), c.id.desc())


def _with_printed(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put in place of each message's number the values that it was written with; None where they are not kept."""
    kept = printed.find(connection, [row["message"] for row in rows])
    for row in rows:
        found = kept.get(row.pop("message"))
        row["printed"] = found and _written(found.values)
    return rows


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _written(one) for name, one in value.items()}
    return [_written(one) for one in value] if isinstance(value, list) else _iso(value)


def _with_steps(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put in place of each step's number the id it has in the version the row belongs to."""
    for row in rows:
        ids = {number: id_ for id_, number in (row.pop("steps") or {}).items()}
        row["step"] = ids.get(row["step"])
    return rows


def _rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    rows = connection.execute(statement).mappings()
    return [{name: _iso(value) for name, value in row.items()} for row in rows]


def _iso(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
