"""Signed webhooks from shops and CRMs: verified first, then taken in once, in one transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection
from starlette.datastructures import Headers

from treue.errors import BadSignature, SettingsError
from treue.language.settings import Settings, SourceSettings
from treue.model.tables import receiving
from treue.store import consents, customers, dialect, events
from treue.web.documents import Reader, parsed
from treue.web.hooks.scheme import Ignored, Scheme, Source, Taken
from treue.web.hooks.shopify import Shopify
from treue.web.hooks.standard_webhooks import StandardWebhooks
from treue.web.intake import Work

SCHEMES: dict[str, Scheme] = {"standard-webhooks": StandardWebhooks(), "shopify": Shopify()}

__all__ = ["SCHEMES", "Ignored", "Source", "Taken", "received", "source"]


def source(settings: Settings, name: str) -> Source | None:
    """Return the declared source of this name with its secrets, or None where there is none."""
    declared = settings.sources.get(name)
    if declared is None:
        return None
    reader = Reader(settings.schema, settings.timezone, name)
    return Source(name, declared.scheme, _secrets(declared), declared.map, reader)


def _secrets(declared: SourceSettings) -> tuple[str, ...]:
    """Return the active secrets: several, between blanks, while one is being replaced by another."""
    try:
        return tuple(declared.secret.value().split())
    except SettingsError:
        return ()


def received(of: Source, headers: Headers, body: bytes, now: datetime) -> Work[str] | Ignored:
    """Verify a delivery and return what is to be written, or why there is nothing.

    The work returns `accepted`, or `duplicate` where this delivery has been taken in before: then it changes
    nothing. Raises BadSignature before the body is looked at, Problem where what it says does not fit.
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
    keys = sorted(scheme.delivery_keys(headers, body))

    def work(connection: Connection, present: datetime) -> str:
        rows = [{"source": of.name, "key": key, "received_at": present} for key in keys]
        new = dialect.insert_new(connection, receiving, rows, ("source", "key"), ("key",))
        if len(new) < len(keys):
            return "duplicate"
        _keep(connection, taken, present)
        return "accepted"

    return work


def _keep(connection: Connection, taken: Taken, now: datetime) -> None:
    """Write one delivery: the customer first, then what they said, then what they did."""
    if taken.customers:
        customers.merge(connection, taken.customers, now)
    given = [*taken.given, *consents.untold(connection, taken.given_if_untold)]
    if given:
        consents.give(connection, given, now)
    if taken.withdrawn:
        consents.withdraw(connection, taken.withdrawn, now)
    if taken.events:
        events.record(connection, taken.events, now)
