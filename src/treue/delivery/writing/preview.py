"""One message as one customer would get it: the context and the rendering of a real send, and nothing sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast

from sqlalchemy import Connection, select

from treue.delivery.outbox import Claimed
from treue.delivery.writing.composer import ORDER_EVENT, Writer, recent_orders
from treue.errors import UsageError
from treue.language.journey import Journey
from treue.language.steps import Stage, message_of, walk
from treue.model.states import ADDRESS, BUILT_IN_ATTRIBUTES
from treue.model.tables import event
from treue.plan.flatten import build
from treue.render.mail.links import Links
from treue.render.problem import RenderFailure
from treue.render.templates.renderer import Rendered, Renderer
from treue.store import customers
from treue.store.store import Store
from treue.workspace.workspace import Workspace

SAMPLES: Mapping[str, Any] = {
    "id": "c1", "email": "ada@example.com", "phone": "+4915112345678", "push_token": "token",
    "first_name": "Ada", "last_name": "Lovelace", "country": "DE", "city": "Hamburg",
    "currency": "EUR", "total": 49.9, "quantity": 2, "order_id": "1001", "cart_id": "2001",
}  # fmt: skip
"""What a made-up customer or event has under common names; other names get a value of their type."""

_BY_TYPE: Mapping[str, Any] = {
    "text": "Sample", "number": 3, "bool": True, "date": date(1990, 5, 17),
    "time": datetime(2026, 3, 1, 9, tzinfo=UTC), "list": [],
}  # fmt: skip

_NO_SECRET = b"links in a preview lead nowhere"


@dataclass(frozen=True)
class Person:
    """Whom a preview is for: attributes, the event that would start the journey, latest orders."""

    customer: Mapping[str, Any]
    event: Mapping[str, Any] | None
    orders: list[dict[str, Any]]


def sender_of(workspace: Workspace, template: str) -> Journey | None:
    """Return the first journey that sends a template, or None."""
    for journey in workspace.journeys.values():
        for step in walk(journey.steps):
            if (message := message_of(step)) and message.template == template:
                return journey
    return None


def sample(workspace: Workspace, journey: Journey | None, now: datetime) -> Person:
    """Return a made-up customer with everything the schema declares."""
    schema = workspace.settings.schema
    who = {name: _sample(name, kind) for name, kind in schema.attributes.items()}
    who |= {"locale": workspace.settings.locale, "timezone": workspace.settings.timezone, "created_at": now}
    order = {name: _sample(name, kind) for name, kind in schema.events.get(ORDER_EVENT, {}).items()}
    return Person(who, _sample_event(workspace, journey, now), [{**order, "at": now}] if order else [])


def person(
    connection: Connection, workspace: Workspace, key: str, journey: Journey | None, now: datetime
) -> Person:
    """Return a real customer; where the starting event has not happened to them, a made-up one stands in.

    Raises UsageError where nobody has this key.
    """
    found = customers.find(connection, key)
    if found is None:
        raise UsageError(f"There is no customer {key}.")
    built_in = {name: found["key" if name == "id" else name] for name in BUILT_IN_ATTRIBUTES}
    started = _latest_event(connection, found["id"], journey) or _sample_event(workspace, journey, now)
    orders = recent_orders(connection, [found["id"]], now).get(found["id"], [])
    return Person({**found["attributes"], **built_in}, started, orders)


def preview(
    workspace: Workspace,
    renderer: Renderer,
    template: str,
    channel: str,
    whom: Person,
    journey: Journey | None,
    now: datetime,
    locale: str = "",
) -> Rendered | RenderFailure:
    """Return the message a customer would get now, or why there would be none. `locale` overrides the customer's."""
    writer, claimed = at_hand(workspace, renderer, template, channel, whom, journey, now, locale)
    return renderer.render(channel, template, writer.context(claimed, whom.orders, now), locale)


def at_hand(
    workspace: Workspace,
    renderer: Renderer,
    template: str,
    channel: str,
    whom: Person,
    journey: Journey | None,
    now: datetime,
    locale: str = "",
) -> tuple[Writer, Claimed]:
    """Return a writer and a message as if it had been claimed just now. Its links lead nowhere, it has no number."""
    stage = _stage(journey, template)
    stages = {(0, 0): stage} if stage else {}
    settings = workspace.settings
    links = Links(settings.public_url.value(), _NO_SECRET)
    # Writing a context asks nothing of the store; only fetching orders does, and they are here already.
    writer = Writer(cast(Store, None), renderer, links, settings.sender, settings.workspace, stages)
    who = {**whom.customer, **({"locale": locale} if locale else {})}
    claimed = Claimed(
        0, 0, 0, journey.name if journey else "preview", 0, 0, 0, 0, channel, template, "", now, now, now, now, 0,
        str(who.get(ADDRESS[channel]) or ""), who, whom.event, None,
    )  # fmt: skip
    return writer, claimed


def mailbox(
    workspace: Workspace, journey: Journey | None, template: str, found: Rendered | RenderFailure
) -> tuple[str, str]:
    """Return the name and the address that a message comes from: the template's, the step's, or the workspace's."""
    stage, sender = _stage(journey, template), workspace.settings.sender
    own = (found.from_name, found.from_address) if isinstance(found, Rendered) else ("", "")
    return own[0] or (stage.message.sender if stage and stage.message else "") or sender.name, own[
        1
    ] or sender.email


def _stage(journey: Journey | None, template: str) -> Stage | None:
    for stage in build(journey).stages if journey else ():
        if stage.message and stage.message.template == template:
            return stage
    return None


def _sample(name: str, kind: str) -> Any:
    return SAMPLES.get(name, _BY_TYPE.get(kind, ""))


def _sample_event(workspace: Workspace, journey: Journey | None, now: datetime) -> dict[str, Any] | None:
    name = next(iter(journey.enter.trigger.events()), None) if journey else None
    if journey is not None and name is None:
        return None
    name = name or next(iter(workspace.settings.schema.events), "")
    declared = workspace.settings.schema.events.get(name, {})
    return {**{prop: _sample(prop, kind) for prop, kind in declared.items()}, "name": name, "at": now}


def _latest_event(connection: Connection, customer_id: int, journey: Journey | None) -> dict[str, Any] | None:
    if journey is None:
        return None
    query = (
        select(event.c.name, event.c.at, event.c.properties)
        .where(event.c.customer_id == customer_id, event.c.name.in_(journey.enter.trigger.events()))
        .order_by(event.c.at.desc(), event.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return {**row.properties, "name": row.name, "at": row.at} if row else None
