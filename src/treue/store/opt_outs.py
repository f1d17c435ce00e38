"""Addresses that said stop: no marketing goes there, whoever has the address now or gets it later.

What a customer withdraws, their address on that channel has said. A later consent for the address, of whichever
customer has it, lifts that again; one whose own time is not known (`undated`) lifts nothing, nor does the basis
`existing_customer`. Complaints and dead addresses are on the suppression list, which no consent lifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, exists, select

from treue.model.states import ADDRESS_KEY, Basis
from treue.model.tables import consent, customer, opt_out
from treue.segments.reach import address_key, is_on
from treue.segments.touch import OPT_OUT
from treue.store import aliases, dialect, touches

if TYPE_CHECKING:
    from treue.store.consent_standing import Word

UNDATED = "undated"
"""The fact in a consent's proof that says: so it stands somewhere, but not since when."""


@dataclass(frozen=True)
class OptOut:
    """An address, by its key, that said stop: when, where, and whose word it was, if anybody's we know."""

    channel: str
    address: str
    since: datetime
    source: str
    proof: Mapping[str, Any] = field(default_factory=dict)
    customer_id: int | None = None


def add(connection: Connection, told: Iterable[OptOut]) -> None:
    """Let no marketing go to these addresses any more; of two words on one address the later stands."""
    latest: dict[tuple[str, str], OptOut] = {}
    for one in told:
        place = (one.channel, one.address)
        if place not in latest or one.since > latest[place].since:
            latest[place] = one
    rows = [{**vars(latest[place]), "proof": dict(latest[place].proof)} for place in sorted(latest)]
    for start in range(0, len(rows), dialect.BATCH):
        statement = dialect.insert_rows(connection, opt_out, rows[start : start + dialect.BATCH])
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["channel", "address"],
                set_={name: new[name] for name in ("since", "source", "proof", "customer_id")},
                where=new.since > opt_out.c.since,
            )
        )


def follow(connection: Connection, words: Sequence[Word]) -> None:
    """Let the customers' addresses follow their words, which stand already (`consent_standing`)."""
    for channel in sorted({word.channel for word in words} & ADDRESS_KEY.keys()):
        said = [word for word in words if word.channel == channel]
        add(connection, _withdrawn(connection, channel, [word for word in said if not word.given]))
        lift(connection, channel, {word.customer_id for word in said})
        places = {word.customer_id: (word.since, word.effective_at, word.seq) for word in said}
        touches.of_shared_addresses(connection, OPT_OUT + channel, channel, places)


def since(connection: Connection, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """Return since when the address of these customers, by key and channel, has been opted out, where it is."""
    pairs = set(asked)
    found: dict[tuple[str, str], datetime] = {}
    for channel in sorted({channel for _, channel in pairs} & ADDRESS_KEY.keys()):
        keys = {key for key, one in pairs if one == channel}
        named = aliases.named(connection, keys)
        query = select(named.c.key, opt_out.c.since).join(customer, customer.c.id == named.c.id)
        for row in connection.execute(query.join(opt_out, is_on(opt_out, channel))):
            found[row.key, channel] = row.since
    return found


def of(connection: Connection, customer_id: int) -> dict[str, Row[Any]]:
    """Return by channel the opt-out of a customer's address, where there is one; `by` is the key of whose word it was."""
    teller = customer.alias("teller")
    found = {}
    for channel in ADDRESS_KEY:
        query = select(opt_out, teller.c.key.label("by")).select_from(
            customer.join(opt_out, is_on(opt_out, channel)).outerjoin(
                teller, teller.c.id == opt_out.c.customer_id
            )
        )
        if row := connection.execute(query.where(customer.c.id == customer_id)).first():
            found[channel] = row
    return found


def _withdrawn(connection: Connection, channel: str, words: Sequence[Word]) -> list[OptOut]:
    address = address_key(channel)
    if not words:
        return []
    mine = dialect.among(connection, customer.c.id, {word.customer_id for word in words})
    rows = connection.execute(select(customer.c.id, address).where(mine, address.is_not(None)))
    of_customer: dict[int, str] = dict(tuple(row) for row in rows)
    return [
        OptOut(channel, of_customer[word.customer_id], word.since, word.source, word.proof, word.customer_id)
        for word in words
        if word.customer_id in of_customer
    ]


def lift(connection: Connection, channel: str, customers: Iterable[int]) -> None:
    """Take off what somebody of the same address has agreed to since; the words may have come in any order."""
    address = address_key(channel)
    theirs = select(address).where(dialect.among(connection, customer.c.id, customers))
    agreed = exists().where(
        address == opt_out.c.address,
        consent.c.customer_id == customer.c.id,
        consent.c.channel == channel,
        consent.c.given,
        consent.c.basis == Basis.consent.value,
        consent.c.since > opt_out.c.since,
        consent.c.proof[UNDATED].as_string().is_(None),
    )
    connection.execute(
        delete(opt_out).where(opt_out.c.channel == channel, opt_out.c.address.in_(theirs), agreed)
    )


def take_off(connection: Connection, channel: str, address: str, *, before: datetime) -> None:
    """Take off an address that said stop before an instant, when somebody who had it then has agreed."""
    mine = (opt_out.c.channel == channel, opt_out.c.address == address)
    connection.execute(delete(opt_out).where(*mine, opt_out.c.since < before))
