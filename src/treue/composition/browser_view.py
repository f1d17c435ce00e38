"""A mail that has gone out, written once more for the person it went to: what "view in browser" shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from treue.composition.assembly import Assembly
from treue.delivery import outbox
from treue.delivery.outbox import Claimed
from treue.delivery.writing.composer import Writer, recent_orders
from treue.language.steps import Stage
from treue.render.problem import RenderFailure
from treue.render.templates.names import LINKS
from treue.render.templates.renderer import Rendered, Renderer
from treue.store import printed

CHANNEL = "email"


@dataclass(frozen=True)
class Viewed:
    """A mail as it is shown, and its customer's locale. One that is not `as_sent` is written with what is known and said today."""

    mail: Rendered
    as_sent: bool
    locale: str | None


def viewed(assembly: Assembly, message_id: int) -> Viewed | None:
    """Return a mail as it was sent; where what it was written with is not kept, with what is known of its customer now.

    None where it was never on its way, its customer is not known any more, or its template cannot be rendered for
    them any more.
    """
    with assembly.store.reading() as connection:
        message = outbox.on_its_way(connection, message_id, CHANNEL)
        if message is None:
            return None
        kept = _kept(assembly, connection, message)
        orders = recent_orders(connection, [message.customer_id], message.tried_at)
    if kept is not None:
        renderer, values = kept
        links = {one: assembly.links.url(one, message.id, CHANNEL) for one in LINKS}
        found = renderer.render(CHANNEL, message.template, values | {"links": links})
        if isinstance(found, Rendered):
            return Viewed(found, True, message.customer["locale"])
    settings, stage = assembly.settings, _stage(assembly, message)
    stages = {(message.version_id, message.step_id): stage} if stage else {}
    writer = Writer(
        assembly.store, assembly.renderer, assembly.links, settings.sender, settings.workspace, stages
    )
    context = writer.context(message, orders.get(message.customer_id, []), message.tried_at)
    which = message.version_id, message.template
    found = assembly.copies.of([which])[which].renderer.render(CHANNEL, message.template, context)
    return None if isinstance(found, RenderFailure) else Viewed(found, False, message.customer["locale"])


def _kept(
    assembly: Assembly, connection: Connection, message: Claimed
) -> tuple[Renderer, dict[str, Any]] | None:
    """Return what has the words of a message and the values it was written with; None where they are not kept."""
    found = printed.find(connection, [message.id]).get(message.id)
    if found is None:
        return None
    try:
        return assembly.copies.made_of(connection, found.digest).renderer, found.values
    except KeyError:
        return None


def _stage(assembly: Assembly, message: Claimed) -> Stage | None:
    """Return the step that sent it, for its `data`; None where its version is out of use."""
    for version in assembly.engine.versions():
        if version.version_id == message.version_id:
            for stage in version.plan.stages:
                if stage.message and version.steps[stage.id] == message.step_id:
                    return stage
    return None
