"""Claimed calls to ready ones: an outgoing webhook for one customer, or why it cannot be written."""

from __future__ import annotations

from datetime import datetime

from treue.channel import Outgoing
from treue.delivery.dispatcher import Unwritable
from treue.delivery.outbox import Claimed
from treue.language.steps import OutboxCall, Stage
from treue.model.states import Reason
from treue.render.problem import RenderFailure
from treue.render.templates import context
from treue.render.templates.calls import write_call


def compose_call(
    message: Claimed, stage: Stage | None, locale: str, zone: str, now: datetime
) -> Outgoing | Unwritable:
    """Return a call ready for the wire. `locale` and `zone` are the workspace's, for customers who have none."""
    call = stage.outbox() if stage is not None else None
    if stage is None or not isinstance(call, OutboxCall):
        return Unwritable(Reason.render_failed, "The step that makes this call is not there any more.")
    seen = context.of_step(message.customer, message.event, message.journey, stage.id, now)
    own = str(message.customer.get("locale") or locale), str(message.customer.get("timezone") or zone)
    written = write_call(call.url, call.json, seen, *own)
    if isinstance(written, RenderFailure):
        return Unwritable(Reason.render_failed, written.message)
    data = {"method": call.method, **({"secret": call.secret} if call.secret else {})}
    return Outgoing(message.key, written.url, raw=written.body, data=data)
