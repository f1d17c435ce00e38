"""What customers have agreed to, as it stands: the table that the last look before a send reads.

Whatever the order in which words arrive, the same one stands: of consents and withdrawals the latest, of two
at the same instant the withdrawal. The basis `existing_customer` stands only where nobody has said anything
else: an objection ends it for good (UWG section 7 (3) no. 3), and an express consent outranks it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, not_, or_, select

from treue.clock import micros
from treue.model.states import Basis
from treue.model.tables import consent, event
from treue.store import changes, customers, dialect, opt_outs
from treue.store.event_identity import JOURNEY

EXISTING = Basis.existing_customer.value
_SAID = ("given", "basis", "since", "source", "proof")
Place = tuple[int, str]
"""A customer and a channel."""


@dataclass(frozen=True)
class Word:
    """One consent or withdrawal of one customer on one channel; it takes effect as the event that brings it."""

    customer_id: int
    channel: str
    given: bool
    basis: str
    since: datetime
    source: str
    proof: Mapping[str, Any]
    effective_at: datetime
    seq: int

    @property
    def rank(self) -> tuple[bool, datetime, bool]:
        """Of two words, the one of higher rank stands."""
        return _rank(vars(self))

    @property
    def happened_at(self) -> datetime:
        """Where it stands among the words of one instant: what a journey says comes after all from outside."""
        if self.source.startswith(JOURNEY):
            return self.effective_at
        return min(self.since, self.effective_at)

    @property
    def place(self) -> Place:
        """Whose word it is, on which channel."""
        return (self.customer_id, self.channel)


def apply(connection: Connection, words: Iterable[Word]) -> None:
    """Let each word stand that outranks what stands so far, and the customers' addresses follow."""
    words = list(words)
    if not words:
        return
    highest: dict[Place, Word] = {}
    for word in words:
        if word.place not in highest or word.rank > highest[word.place].rank:
            highest[word.place] = word
    by_words = _changes(connection, words)
    for caused in (False, True):
        some = [change for change, word in by_words if word.source.startswith(JOURNEY) is caused]
        changes.record(connection, some, caused=caused)
    rows = [_row(highest[place]) for place in sorted(highest)]
    for start in range(0, len(rows), dialect.BATCH):
        connection.execute(_upsert(connection, rows[start : start + dialect.BATCH]))
    opt_outs.follow(connection, words)


def standing(connection: Connection, ids: Iterable[int]) -> dict[Place, dict[str, Any]]:
    """Return what stands for these customers, each as the row it is."""
    columns = (consent.c[name] for name in ("customer_id", "channel", *_SAID))
    statement = select(*columns).where(dialect.among(connection, consent.c.customer_id, ids))
    return {
        (row["customer_id"], row["channel"]): dict(row) for row in connection.execute(statement).mappings()
    }


def put(connection: Connection, told: Mapping[Place, Mapping[str, Any] | None]) -> None:
    """Let these rows stand, whatever stood, or none; that is no word of anybody's, and no change is kept."""
    gone = sorted(place for place, row in told.items() if row is None)
    for channel in {channel for _, channel in gone}:
        ids = [id_ for id_, one in gone if one == channel]
        mine = dialect.among(connection, consent.c.customer_id, ids)
        connection.execute(delete(consent).where(consent.c.channel == channel, mine))
    rows = [row for _, row in sorted(told.items()) if row is not None]
    for start in range(0, len(rows), dialect.BATCH):
        statement = dialect.insert_rows(connection, consent, rows[start : start + dialect.BATCH])
        changed = {name: statement.excluded[name] for name in _SAID}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["customer_id", "channel"], set_=changed)
        )


def brief(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what `change` keeps of what stood."""
    if row is None:
        return None
    return {"given": row["given"], "basis": row["basis"], "since": micros(row["since"])}


def higher(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return which of two that `brief` tells of stands; of equals, the other."""
    if one is None or other is None:
        return one or other
    return one if _rank(one) > _rank(other) else other


def _changes(connection: Connection, words: Sequence[Word]) -> list[tuple[changes.Change, Word]]:
    """Return what each word changes of what stands, one after the other; for new customers nothing has stood before."""
    ids = {word.customer_id for word in words}
    customers.lock(connection, ids)
    stands = standing(connection, ids)
    begun = _begun(connection, {word.customer_id for word in words if word.place not in stands})
    found = []
    for word in sorted(words, key=lambda one: (one.effective_at, one.happened_at, one.seq)):
        before, after = stands.get(word.place), _row(word)
        if before is not None and word.rank <= _rank(before):
            continue
        stands[word.place] = after
        is_first = before is None and begun.get(word.customer_id) == word.effective_at
        if not is_first and brief(after) != brief(before):
            found.append((_change(word, before), word))
    return found


def _change(word: Word, before: Mapping[str, Any] | None) -> changes.Change:
    name, at = f"{changes.CONSENT}{word.channel}", word.effective_at
    return changes.Change(word.customer_id, name, at, word.happened_at, word.seq, brief(before))


def _rank(row: Mapping[str, Any]) -> tuple[bool, datetime, bool]:
    return (not (row["given"] and row["basis"] == EXISTING), row["since"], not row["given"])


def _begun(connection: Connection, ids: Collection[int]) -> dict[int, datetime]:
    """Return when these customers became known."""
    if not ids:
        return {}
    mine = dialect.among(connection, event.c.customer_id, ids)
    statement = select(event.c.customer_id, event.c.effective_at).where(
        mine, event.c.name == "customer.created"
    )
    return {row.customer_id: row.effective_at for row in connection.execute(statement)}


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
        set_={name: new[name] for name in _SAID},
        where=or_(and_(old_weak, not_(new_weak)), and_(or_(old_weak, not_(new_weak)), later)),
    )
