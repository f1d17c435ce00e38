"""Signed webhooks from shops and CRMs: verified first, then taken in once, in one transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection
from starlette.datastructures import Headers

from treue.errors import BadSignature, SettingsError
from treue.language.settings import Settings, SourceSettings
from treue.model.states import EventStatus
from treue.model.tables import receiving
from treue.store import consents, customers, dialect, events
from treue.web.documents import Reader, parsed
from treue.web.hooks.scheme import Ignored, Scheme, Taken, WebhookSource
from treue.web.hooks.shopify import Shopify
from treue.web.hooks.standard_webhooks import StandardWebhooks
from treue.web.intake import Work

SCHEMES: dict[str, Scheme] = {"standard-webhooks": StandardWebhooks(), "shopify": Shopify()}

__all__ = ["SCHEMES", "Ignored", "Taken", "WebhookSource", "find_source", "read_delivery"]


def find_source(settings: Settings, name: str) -> WebhookSource | None:
    """Return the declared source of this name with its secrets, or None where there is none."""
    declared = settings.sources.get(name)
    if declared is None:
        return None
    reader = Reader(settings.schema, settings.timezone, name)
    return WebhookSource(name, declared.scheme, _secrets(declared), declared.map, reader)


def _secrets(declared: SourceSettings) -> tuple[str, ...]:
    """Return the active secrets: several, between blanks, while one is being replaced by another."""
    try:
        return tuple(declared.secret.value().split())
    except SettingsError:
        return ()


def read_delivery(
    of: WebhookSource, headers: Headers, body: bytes, now: datetime
) -> Work[EventStatus] | Ignored:
    """Verify a delivery and return what is to be written, or why there is nothing.

    The work returns what became of the event, or `accepted` where it is about a customer only. A delivery that has
    been taken in before, in the same words, is a `duplicate` and changes nothing. Raises BadSignature before the body
    is looked at, Problem where what it says does not fit.
    """
    scheme = SCHEMES[of.scheme]
    if not of.secrets:
        raise BadSignature(
            f"The source `{of.name}` has no secret in the environment; it is refused until it has."
        )
    scheme.verify(headers, body, of.secrets, now)
    taken = scheme.read(headers, parsed(body), of, now)
    if isinstance(taken, Ignored):
        return taken
    row = {"source": of.name, "key": scheme.delivery_key(headers, body)}

    def work(connection: Connection, present: datetime) -> EventStatus:
        rows = [{**row, "received_at": present}]
        if not dialect.insert_new(connection, receiving, rows, ("source", "key"), ("key",)):
            return EventStatus.duplicate
        return _keep(connection, taken, present)

    return work


def _keep(connection: Connection, taken: Taken, now: datetime) -> EventStatus:
    """Write one delivery: the customer first, then what they said, then what they did, of which the status speaks."""
    if taken.customers:
        customers.merge(connection, taken.customers, now)
    given = [*taken.given, *consents.untold(connection, taken.given_if_untold)]
    if given:
        consents.give(connection, given, now)
    if taken.withdrawn:
        consents.withdraw(connection, taken.withdrawn, now)
    if taken.event is None:
        return EventStatus.accepted
    return events.record(connection, [taken.event], now).statuses[0]
