"""Giving and withdrawing consent. Each word is an event with its proof; the latest one stands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Row, select

from treue.errors import RejectedInput
from treue.model.states import Basis
from treue.model.tables import consent
from treue.store import aliases, consent_standing, events, opt_outs, sequence
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
    return sum(_withdraw(connection, words, now) for words in _in_their_order(consents, now))


def _in_their_order(words: Sequence[ConsentInput], now: datetime) -> list[list[ConsentInput]]:
    """Return words by whether they are the first of their customer on their channel, the second, and so on."""
    found: list[list[ConsentInput]] = []
    said: Counter[tuple[str, str]] = Counter()
    for word in sorted(words, key=lambda one: one.at or now):
        nth = said[word.customer, word.channel]
        said[word.customer, word.channel] += 1
        if nth == len(found):
            found.append([])
        found[nth].append(word)
    return found


def _withdraw(connection: Connection, words: Sequence[ConsentInput], now: datetime) -> int:
    new = _say(connection, "consent.withdrawn", words, now)
    standing = _standing(connection, words)
    repeated = [(standing.get((word.customer, word.channel)), word) for word in words]
    seq = sequence.take(len(repeated) + 1)
    consent_standing.apply(
        connection,
        [_from(row, word, now, seq + n) for n, (row, word) in enumerate(repeated) if row and not row.given],
    )
    return new


def untold(connection: Connection, consents: Sequence[ConsentInput]) -> list[ConsentInput]:
    """Return those about which neither the customer nor the address has said anything yet, marked as undated.

    Such a word says that somebody has agreed, not when. A consent that is marked so counts, but lifts no opt-out.
    """
    told = _standing(connection, consents).keys() | _opted_out(connection, consents).keys()
    return [
        replace(word, proof={**word.proof, opt_outs.UNDATED: True})
        for word in consents
        if (word.customer, word.channel) not in told
    ]


def _say(connection: Connection, name: str, words: Sequence[ConsentInput], now: datetime) -> int:
    standing, ended = _standing(connection, words), _opted_out(connection, words)
    news = [
        word
        for word in words
        if not _says_so(standing.get((word.customer, word.channel)), name, word)
        or _lifts(ended.get((word.customer, word.channel)), name, word, now)
    ]
    return len(events.record(connection, [_event(name, word, now) for word in news], now).new_ids)


def _standing(connection: Connection, words: Sequence[ConsentInput]) -> dict[tuple[str, str], Row[Any]]:
    named = aliases.named(connection, {word.customer for word in words})
    statement = select(named.c.key, consent).join(consent, consent.c.customer_id == named.c.id)
    return {(row.key, row.channel): row for row in connection.execute(statement)}


def _opted_out(connection: Connection, words: Sequence[ConsentInput]) -> dict[tuple[str, str], datetime]:
    return opt_outs.since(connection, [(word.customer, word.channel) for word in words])


def _lifts(ended: datetime | None, name: str, word: ConsentInput, now: datetime) -> bool:
    """Say whether the same consent once more is news, as the address has been opted out in between."""
    agreed = name == "consent.given" and word.basis == Basis.consent
    return agreed and ended is not None and (word.at or now) > ended


def _says_so(row: Row[Any] | None, name: str, word: ConsentInput) -> bool:
    """Say whether what stands is this very word already."""
    if row is None or row.given != events.CONSENT_EVENTS[name]:
        return False
    same = (row.basis, row.source, row.proof) == (word.basis, word.source, dict(word.proof))
    return same or not row.given


def _from(row: Row[Any], word: ConsentInput, now: datetime, seq: int) -> consent_standing.Word:
    at = max(word.at or now, row.since)
    effective_at = word.effective_at or max(word.at or now, now)
    return consent_standing.Word(
        row.customer_id, row.channel, row.given, row.basis, at, row.source, row.proof, effective_at, seq
    )


def _event(name: str, word: ConsentInput, now: datetime) -> EventInput:
    at = word.at or now
    said = {"channel": word.channel, "source": word.source, "basis": word.basis, "proof": dict(word.proof)}
    text = json.dumps([word.customer, name, at.isoformat(), said], sort_keys=True, default=str)
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    key = f"treue:{name}:{digest}"
    return EventInput(word.customer, name, at, said, key, word.source, effective_at=word.effective_at)
