"""A mail that has gone out, written once more for the person it went to: what "view in browser" shows."""

from __future__ import annotations

from treue.composition.assembly import Assembly
from treue.delivery import outbox
from treue.delivery.outbox import Claimed
from treue.delivery.writing.composer import Writer, recent_orders
from treue.language.steps import Stage
from treue.render.problem import RenderFailure
from treue.render.renderer import Rendered

CHANNEL = "email"


def viewed(assembly: Assembly, message_id: int) -> Rendered | None:
    """Return a mail as of the time it was sent, with what is known of its customer now.

    None where it was never on its way, its customer is not known any more, or its template cannot be rendered for
    them any more.
    """
    with assembly.store.reading() as connection:
        message = outbox.on_its_way(connection, message_id, CHANNEL)
        if message is None:
            return None
        orders = recent_orders(connection, [message.customer_id], message.tried_at)
    settings, stage = assembly.settings, _stage(assembly, message)
    stages = {(message.version_id, message.step_id): stage} if stage else {}
    writer = Writer(
        assembly.store, assembly.renderer, assembly.links, settings.sender, settings.workspace, stages
    )
    context = writer.context(message, orders.get(message.customer_id, []), message.tried_at)
    found = assembly.renderer.render(CHANNEL, message.template, context)
    return None if isinstance(found, RenderFailure) else found


def _stage(assembly: Assembly, message: Claimed) -> Stage | None:
    """Return the step that sent it, for its `data`; None where its version is out of use."""
    for version in assembly.engine.versions():
        if version.version_id == message.version_id:
            for stage in version.plan.stages:
                if stage.message and version.steps[stage.id] == message.step_id:
                    return stage
    return None
