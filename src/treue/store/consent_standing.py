"""What customers have agreed to, as it stands: the table that the last look before a send reads.

Whatever the order in which words arrive, the same one stands: of consents and withdrawals the latest, of two
at the same instant the withdrawal. The basis `existing_customer` stands only where nobody has said anything
else: an objection ends it for good (UWG section 7 (3) no. 3), and an express consent outranks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, not_, or_

from treue.model.states import Basis
from treue.model.tables import consent
from treue.store import dialect

EXISTING = Basis.existing_customer.value


@dataclass(frozen=True)
class Word:
    """One consent or withdrawal of one customer on one channel."""

    customer_id: int
    channel: str
    given: bool
    basis: str
    since: datetime
    source: str
    proof: Mapping[str, Any]

    @property
    def rank(self) -> tuple[bool, datetime, bool]:
        """Of two words, the one of higher rank stands."""
        return (not (self.given and self.basis == EXISTING), self.since, not self.given)


def apply(connection: Connection, words: Iterable[Word]) -> None:
    """Let each word stand that outranks what stands so far."""
    highest: dict[tuple[int, str], Word] = {}
    for word in words:
        place = (word.customer_id, word.channel)
        if place not in highest or word.rank > highest[place].rank:
            highest[place] = word
    rows = [_row(highest[place]) for place in sorted(highest)]
    for start in range(0, len(rows), dialect.BATCH):
        connection.execute(_upsert(connection, rows[start : start + dialect.BATCH]))


def _row(word: Word) -> dict[str, Any]:
    return {
        "customer_id": word.customer_id,
        "channel": word.channel,
        "given": word.given,
        "basis": word.basis,
        "since": word.since,
        "source": word.source,
        "proof": dict(word.proof),
    }


def _upsert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Any:
    statement = dialect.insert_rows(connection, consent, rows)
    new, old = statement.excluded, consent.c
    new_weak = and_(new.given, new.basis == EXISTING)
    old_weak = and_(old.given, old.basis == EXISTING)
    later = or_(new.since > old.since, and_(new.since == old.since, not_(new.given), old.given))
    return statement.on_conflict_do_update(
        index_elements=["customer_id", "channel"],
        set_={name: new[name] for name in ("given", "basis", "since", "source", "proof")},
        where=or_(and_(old_weak, not_(new_weak)), and_(or_(old_weak, not_(new_weak)), later)),
    )
