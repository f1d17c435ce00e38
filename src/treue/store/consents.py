"""Giving and withdrawing consent. Each word is an event with its proof; the latest one stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Row, select

from treue.errors import RejectedInput
from treue.model.states import Basis
from treue.model.tables import consent, customer
from treue.store import consent_standing, dialect, events
from treue.store.addresses import shown
from treue.store.inputs import ConsentInput, EventInput

EXISTING_CUSTOMER_FACTS = ("sale", "similar_goods", "notice")
"""What must be on record to write to an existing customer: the sale the address came with, that the goods are
similar, and the notice of the right to object. The fourth condition, no objection, is that no withdrawal
stands (UWG section 7 (3))."""


def give(connection: Connection, consents: Sequence[ConsentInput], now: datetime) -> int:
    """Record consents and return how many said something new; the same word again changes nothing.

    An older word than the one that stands is recorded as proof but changes nothing. Raises RejectedInput for
    an unknown channel or basis, or an existing customer without the facts that takes.
    """
    for given in consents:
        missing = [fact for fact in EXISTING_CUSTOMER_FACTS if not given.proof.get(fact)]
        if given.basis == Basis.existing_customer and missing:
            raise RejectedInput(
                f"Customer {shown(given.customer)} cannot be written to as an existing customer: the proof "
                f"lacks {', '.join(missing)}."
            )
    return _say(connection, "consent.given", consents, now)


def withdraw(connection: Connection, consents: Sequence[ConsentInput], now: datetime) -> int:
    """Record withdrawals and return how many said something new.

    A second one is no news, but counts from its own time on: a consent from between the two cannot undo it.
    """
    new = _say(connection, "consent.withdrawn", consents, now)
    standing = _standing(connection, consents)
    repeated = [(standing.get((word.customer, word.channel)), word.at or now) for word in consents]
    consent_standing.apply(connection, [_from(row, at) for row, at in repeated if row and not row.given])
    return new


def untold(connection: Connection, consents: Sequence[ConsentInput]) -> list[ConsentInput]:
    """Return those about which the customer has not said anything yet, neither yes nor no."""
    standing = _standing(connection, consents)
    return [word for word in consents if (word.customer, word.channel) not in standing]


def _say(connection: Connection, name: str, words: Sequence[ConsentInput], now: datetime) -> int:
    standing = _standing(connection, words)
    news = [word for word in words if not _says_so(standing.get((word.customer, word.channel)), name, word)]
    return len(events.record(connection, [_event(name, word, now) for word in news], now).new_ids)


def _standing(connection: Connection, words: Sequence[ConsentInput]) -> dict[tuple[str, str], Row[Any]]:
    statement = select(customer.c.key, consent).join(consent, consent.c.customer_id == customer.c.id)
    statement = statement.where(dialect.among(connection, customer.c.key, {word.customer for word in words}))
    return {(row.key, row.channel): row for row in connection.execute(statement)}


def _says_so(row: Row[Any] | None, name: str, word: ConsentInput) -> bool:
    """Say whether what stands is this very word already."""
    if row is None or row.given != events.CONSENT_EVENTS[name]:
        return False
    same = (row.basis, row.source, row.proof) == (word.basis, word.source, dict(word.proof))
    return same or not row.given


def _from(row: Row[Any], at: datetime) -> consent_standing.Word:
    return consent_standing.Word(
        row.customer_id, row.channel, row.given, row.basis, max(at, row.since), row.source, row.proof
    )


def _event(name: str, word: ConsentInput, now: datetime) -> EventInput:
    at = word.at or now
    said = {"channel": word.channel, "source": word.source, "basis": word.basis, "proof": dict(word.proof)}
    text = json.dumps([word.customer, name, at.isoformat(), said], sort_keys=True, default=str)
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return EventInput(word.customer, name, at, said, f"treue:{name}:{digest}", word.source)
