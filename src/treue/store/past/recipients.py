"""Whom a message went to, also years later, when nothing but its number is left: its links must still do what they say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from treue.model.tables import customer, journey, message, past_message, step

_WHOM = (customer.c.id, customer.c.key, customer.c.locale, journey.c.name.label("journey"))
_TODAY = (
    select(*_WHOM, message.c.template)
    .join(message, message.c.customer_id == customer.c.id)
    .join(journey, journey.c.id == message.c.journey_id)
)
_ONCE = (
    select(*_WHOM, past_message.c.template)
    .join(past_message, past_message.c.customer_id == customer.c.id)
    .join(step, step.c.id == past_message.c.step_id)
    .join(journey, journey.c.id == step.c.journey_id)
)


def recipient(connection: Connection, message_id: int) -> Any:
    """Return whom a message went to: `id`, `key` and `locale`, and its `journey` and `template`; None where nobody is known."""
    row = connection.execute(_TODAY.where(message.c.id == message_id)).first()
    return row or connection.execute(_ONCE.where(past_message.c.id == message_id)).first()
