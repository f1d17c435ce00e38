"""What templates see: the names at hand in each kind of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from treue.language.settings import Sender
from treue.render.mail.links import Purpose
from treue.render.templates.names import LINKS


def of_journey(
    customer: Mapping[str, Any], event: Mapping[str, Any] | None, journey: str, now: datetime
) -> dict[str, Any]:
    """Return what every template sees, those of `set` and `emit` nothing more; `event` began the stay."""
    return {
        "customer": customer,
        "event": {} if event is None else event,
        "journey": {"name": journey},
        "now": now,
    }


def of_step(
    customer: Mapping[str, Any], event: Mapping[str, Any] | None, journey: str, step: str, now: datetime
) -> dict[str, Any]:
    """Return what a call's templates see. `step` is the id of the step that makes it."""
    return {**of_journey(customer, event, journey, now), "step": {"id": step}}


def of_message(
    step: Mapping[str, Any],
    data: Mapping[str, Any],
    link: Callable[[Purpose], str],
    orders: Sequence[Mapping[str, Any]],
    sender: Sender,
) -> dict[str, Any]:
    """Return what a message's template sees: what its step's see and more.

    `data` is what the step gives it, `link` makes the address for a purpose, `orders` are the customer's latest.
    """
    who = {"name": sender.name, "email": sender.email, "postal_address": sender.postal_address}
    return {
        **step,
        "data": data,
        "links": {purpose: link(purpose) for purpose in LINKS},
        "orders": orders,
        "sender": who,
        "workspace": who,
    }
