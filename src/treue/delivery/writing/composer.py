"""Claimed messages to ready ones: the context a template sees, the rendering, the mail around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from treue.channel import Capabilities, Mail, Outgoing
from treue.delivery.dispatcher import Unwritable, Written
from treue.delivery.outbox import Claimed
from treue.delivery.writing.calls import compose_call
from treue.delivery.writing.copies import Copies, Copy
from treue.errors import RenderError
from treue.language.settings import Sender
from treue.language.steps import OutboxMessage, Stage
from treue.model.states import WEBHOOK, Reason
from treue.model.tables import event
from treue.render.mail import mail
from treue.render.mail.links import Links, Purpose
from treue.render.mail.return_paths import ReturnPaths
from treue.render.problem import UNAVAILABLE, RenderFailure
from treue.render.templates import context
from treue.render.templates.printed import printed
from treue.render.templates.renderer import Rendered, Renderer
from treue.store import dialect
from treue.store.printed import Printed
from treue.store.store import Store

ORDER_EVENT = "order.placed"
ORDERS_SHOWN = 20

StageOf = Mapping[tuple[int, int], Stage]
"""The stage of (version number, step number) that put a message in the outbox."""


_ANY_MAIL = Capabilities("email", mime=True, attachments=True)


@dataclass(frozen=True)
class Writer:
    """Writes messages of one workspace: the `Composer` of delivery.

    `capabilities` are those of the channels by name; where nothing is known of one, its mail is written whole.
    `copies` are what versions keep of their templates; without them, the workspace's own are used. `return_paths` make the addresses that mails come back to, where the settings name a domain for them.
    """

    store: Store
    renderer: Renderer
    links: Links
    sender: Sender
    workspace: str
    stages: StageOf
    capabilities: Mapping[str, Capabilities] = field(default_factory=dict)
    return_paths: ReturnPaths | None = None
    copies: Copies | None = None

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        """Return each message ready for the wire, or why it cannot be written.

        Raises RenderError where none can be written just now, for whomever.
        """
        orders, words = self._orders(messages, now), self._words(messages)
        return [
            self._call(message, now)
            if message.channel == WEBHOOK
            else self._compose(
                message,
                orders.get(message.customer_id, []),
                words.get((message.version_id, message.template)) or Copy(self.renderer),
                now,
            )
            for message in messages
        ]

    def _words(self, messages: Sequence[Claimed]) -> Mapping[tuple[int, str], Copy]:
        wanted = {(one.version_id, one.template) for one in messages if one.channel != WEBHOOK}
        return self.copies.of(wanted) if self.copies is not None and wanted else {}

    def context(self, message: Claimed, orders: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
        """Return what a template sees."""
        stage = self.stages.get((message.version_id, message.step_id))
        written = stage.message if stage else None
        step_id = stage.id if stage and written else ""
        step = context.of_step(message.customer, message.event, message.journey, step_id, now)

        def link(purpose: Purpose) -> str:
            return self.links.url(purpose, message.id, message.channel)

        return context.of_message(step, dict(written.data) if written else {}, link, orders, self.sender)

    def _written(self, message: Claimed) -> OutboxMessage | None:
        stage = self.stages.get((message.version_id, message.step_id))
        return stage.message if stage else None

    def _call(self, message: Claimed, now: datetime) -> Written | Unwritable:
        stage = self.stages.get((message.version_id, message.step_id))
        made = compose_call(message, stage, self.renderer.locale, self.renderer.timezone, now)
        return made if isinstance(made, Unwritable) else Written(made)

    def _compose(
        self, message: Claimed, orders: list[dict[str, Any]], copy: Copy, now: datetime
    ) -> Written | Unwritable:
        seen = self.context(message, orders, now)
        rendered = copy.renderer.render(message.channel, message.template, seen)
        if isinstance(rendered, RenderFailure):
            if rendered.code == UNAVAILABLE:
                raise RenderError(rendered.message)
            return Unwritable(Reason.render_failed, rendered.message)
        made = self.ready(message, rendered, seen["links"]["unsubscribe"], now)
        if isinstance(made, Unwritable):
            return made
        text = _text(rendered, seen["links"].values()) if message.shared else None
        return Written(made, text, _printed(message, copy, seen))

    def ready(
        self, message: Claimed, rendered: Rendered, unsubscribe: str, now: datetime
    ) -> Outgoing | Unwritable:
        """Return a rendered message as its channel wants it, or why it cannot go. Never raises."""
        if message.channel != "email":
            return Outgoing(
                message.key,
                message.address,
                self.sender.name,
                text=rendered.text,
                title=rendered.title,
                link=rendered.link,
                expires_at=message.send_by,
                category=message.category,
            )
        return self._mail(message, rendered, unsubscribe, now)

    def _mail(
        self, message: Claimed, rendered: Rendered, unsubscribe: str, now: datetime
    ) -> Outgoing | Unwritable:
        """Return a mail whole or in its parts, as its channel wants it."""
        can = self.capabilities.get(message.channel, _ANY_MAIL)
        if rendered.attachments and not can.attachments:
            return Unwritable(
                Reason.render_failed, "This mail has attachments, and its channel carries none."
            )
        sender, letter = self._sender(message, rendered), _letter(message, rendered, unsubscribe)
        made: bytes | Mail | RenderFailure
        if can.mime:
            made = mail.compose(sender, letter, now, eight_bit=can.eight_bit)
        else:
            made = mail.parts(sender, letter)
        if isinstance(made, RenderFailure):
            reason = Reason.no_address if made.code == "bad-address" else Reason.render_failed
            return Unwritable(reason, made.message)
        ready = Outgoing(
            message.key,
            message.address,
            self._envelope(message),
            expires_at=message.send_by,
            tags=_tags(message),
        )
        return replace(ready, mail=made) if isinstance(made, Mail) else replace(ready, raw=made)

    def _envelope(self, message: Claimed) -> str:
        """Return the address that the mail comes back to where it cannot be delivered."""
        if self.return_paths is None or not self.sender.bounces:
            return self.sender.email
        return self.return_paths.address(message.id, self.sender.bounces)

    def _sender(self, message: Claimed, rendered: Rendered) -> mail.Sender:
        written = self._written(message)
        name = rendered.from_name or (written.sender if written and written.sender else self.sender.name)
        address = rendered.from_address or self.sender.email
        return mail.Sender(name, address, self.workspace, message.journey, message.category)

    def _orders(self, messages: Sequence[Claimed], now: datetime) -> dict[int, list[dict[str, Any]]]:
        kinds = {(message.template, message.channel) for message in messages if message.channel != WEBHOOK}
        reading = {kind for kind in kinds if "orders" in self.renderer.names_used(*kind)}
        wanting = [m.customer_id for m in messages if (m.template, m.channel) in reading]
        if not wanting:
            return {}
        with self.store.reading() as connection:
            return recent_orders(connection, wanting, now)


def _letter(message: Claimed, rendered: Rendered, unsubscribe: str) -> mail.MailContent:
    names = (message.customer.get(part) for part in ("first_name", "last_name"))
    return mail.MailContent(
        message.key,
        message.address,
        rendered.subject,
        rendered.text,
        rendered.html,
        " ".join(str(name) for name in names if name),
        "" if message.category == "transactional" else unsubscribe,
        attachments=rendered.attachments,
    )


def _text(rendered: Rendered, links: Iterable[str]) -> str:
    """Return all that a message says, without the links that are its own."""
    text = "\0".join((rendered.subject, rendered.html, rendered.text, rendered.title, rendered.link))
    for link in links:
        text = text.replace(link, "")
    return text


def _printed(message: Claimed, copy: Copy, seen: Mapping[str, Any]) -> Printed | None:
    """Return what a message is written with; None where nobody keeps its words."""
    if copy.digest is None:
        return None
    reads = copy.renderer.reads(message.template, message.channel)
    return Printed.of(copy.digest, printed(reads, seen))


def _tags(message: Claimed) -> dict[str, str]:
    """Return what a provider's statistics may know of a message: nothing about the person."""
    return {"journey": message.journey, "template": message.template, "category": message.category}


def recent_orders(
    connection: Connection, customer_ids: Sequence[int], now: datetime
) -> dict[int, list[dict[str, Any]]]:
    """Return each customer's latest orders up to `now`, newest first."""
    newest = func.row_number().over(
        partition_by=event.c.customer_id, order_by=(event.c.at.desc(), event.c.id.desc())
    )
    ranked = (
        select(event.c.customer_id, event.c.at, event.c.properties, newest.label("rank"))
        .where(
            event.c.name == ORDER_EVENT,
            event.c.at <= now,
            dialect.among(connection, event.c.customer_id, sorted(set(customer_ids))),
        )
        .subquery()
    )
    query = select(ranked).where(ranked.c.rank <= ORDERS_SHOWN).order_by(ranked.c.customer_id, ranked.c.rank)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.customer_id, []).append({**row.properties, "at": row.at})
    return found
