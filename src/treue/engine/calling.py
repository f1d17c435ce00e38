"""Claimed calls to ready ones: an outgoing webhook for one customer, or why it cannot be written."""

from __future__ import annotations

from datetime import datetime

from treue.channel import Outgoing
from treue.engine.delivery.dispatcher import Unwritable
from treue.engine.delivery.outbox import Claimed
from treue.model.states import Reason
from treue.plan.stages import Call
from treue.render.calls import write_call
from treue.render.problem import RenderFailure


def compose_call(
    message: Claimed, stage: Call | None, locale: str, zone: str, now: datetime
) -> Outgoing | Unwritable:
    """Return a call ready for the wire. `locale` and `zone` are the workspace's, for customers who have none."""
    if stage is None:
        return Unwritable(Reason.render_failed, "The step that makes this call is not there any more.")
    context = {
        "customer": message.customer,
        "event": message.event or {},
        "journey": {"name": message.journey},
        "step": {"id": stage.id},
        "now": now,
    }
    own = str(message.customer.get("locale") or locale), str(message.customer.get("timezone") or zone)
    written = write_call(stage.url, stage.json, context, *own)
    if isinstance(written, RenderFailure):
        return Unwritable(Reason.render_failed, written.message)
    data = {"method": stage.method, **({"secret": stage.secret} if stage.secret else {})}
    return Outgoing(message.key, written.url, raw=written.body, data=data)
