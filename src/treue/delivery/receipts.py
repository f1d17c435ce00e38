"""What providers and bounce mails tell, put where it belongs: on messages, on the suppression list, on consents.

An event counts once, by its id. It is kept with its own words, also where it is about nobody we know. Only what
was checked comes here: an adapter verifies callbacks, `returns` takes mails to our signed return paths only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from treue import meters
from treue.channel import DeliveryEvent, DeliveryEventKind
from treue.delivery import gates, mailboxes
from treue.delivery.consequences import PUSH, bury, count
from treue.delivery.keys import message_key, number_in
from treue.errors import RejectedInput
from treue.model.states import ADDRESS, MessageState, Reason
from treue.model.tables import customer, delivery_event, message
from treue.model.types import Instant
from treue.segments.reach import address_key
from treue.segments.touch import OPT_OUT
from treue.store import addresses, aliases, consents, dialect, opt_outs, suppressions, touches
from treue.store.inputs import ConsentInput
from treue.store.past.keys import identity, past_receipts

SOFT_BOUNCES = 5
SOFT_FOR = timedelta(days=14)
"""So many soft bounces over so long, and nothing delivered in between: the address is given up for a while."""

GIVEN_UP_FOR = timedelta(days=90)

PAUSE = timedelta(minutes=5)
"""How long a channel pauses whose provider has given up a message for the sake of our sender or account."""

NOT_THE_ADDRESS = ("_.7.%", "_.6.%", "_.2.3", "_.3.4")
"""Status codes (RFC 3463) of policy, authentication and content: no number of them gives an address up."""

_KINDS = DeliveryEventKind
_COLUMNS = {
    _KINDS.delivered: "delivered_at",
    _KINDS.bounced: "bounced_at",
    _KINDS.failed: "failed_at",
    _KINDS.complained: "complained_at",
    _KINDS.opened: "opened_at",
    _KINDS.clicked: "clicked_at",
}
"""The column of a message that has the time of the first such event."""

_TAKEN = (MessageState.sent.value, MessageState.in_doubt.value)
"""States of a message that has failed once its provider gave it up for our sake: somebody can have it sent again."""

_WITHDRAWING = {_KINDS.complained: "complaint", _KINDS.unsubscribed: "provider"}
"""What takes a consent back, and what that is called as a source."""

Told = tuple[DeliveryEvent, Row[Any] | None]
"""An event, and the message it is about with its customer, where there is one."""


def take(connection: Connection, channel: str, events: Sequence[DeliveryEvent], now: datetime) -> int:
    """Record what a channel's provider tells and draw the consequences; return how many events were new."""
    aliases.hold(connection)
    given = [_clean(channel, one) for one in {one.id: one for one in events}.values()]
    messages = _Messages(connection, channel, given)
    rows = [_row(channel, one, messages.of(one), now) for one in given]
    rows.sort(key=lambda row: row["key"])
    new = {
        row.key for row in dialect.insert_new(connection, delivery_event, rows, ("channel", "key"), ("key",))
    }
    new -= _take_out_past(connection, channel, new)
    told = [(one, messages.of(one)) for one in given if _key(one) in new]
    _mark(connection, told, now)
    mailboxes.echo(connection, [about.id for _, about in told if about is not None], now)
    withdrawn = [word for one, about in told for word in _follow(connection, channel, one, about, now)]
    if withdrawn:  # all at once, and of one customer's words the first
        consents.withdraw(connection, list({one.customer: one for one in reversed(withdrawn)}.values()), now)
    opted_out = list(_opted_out(channel, told, now))
    opt_outs.add(connection, opted_out)
    if opted_out:
        keys = [one.address for one in opted_out]
        touches.of_addresses(connection, OPT_OUT + channel, channel, keys, now)
    hard = sum(one.kind is _KINDS.bounced and one.hard for one, _ in told)
    complained = sum(one.kind is _KINDS.complained for one, _ in told)
    if hard or complained:
        count(connection, channel, now, bounced=hard, complained=complained)
    if ours := [one for one, _ in told if one.ours]:
        reason = " ".join(filter(None, (ours[-1].status, ours[-1].reason))) or "its provider names no reason"
        reason = f"A message was taken, and given up afterwards: {reason}"
        gates.failed(connection, channel, now, PAUSE.total_seconds(), reason)
    return len(new)


def _take_out_past(connection: Connection, channel: str, new: Iterable[str]) -> set[str]:
    """Take those events out again that were told before and deleted as old; return their keys."""
    digests = {identity(channel, key): key for key in new}
    past = {digests[digest] for digest in past_receipts(connection, digests)}
    if past:
        told = dialect.among(connection, delivery_event.c.key, past)
        connection.execute(delete(delivery_event).where(delivery_event.c.channel == channel, told))
    return past


def meter(channel: str, events: Iterable[DeliveryEvent]) -> None:
    """Count what was told, once that is committed."""
    for one in events:
        meters.RECEIPTS.labels(channel, one.kind).inc()


class _Messages:
    """The messages that events are about, looked up at once: by our key, else by the provider's number."""

    def __init__(self, connection: Connection, channel: str, events: Sequence[DeliveryEvent]) -> None:
        keys = sorted({number for one in events if (number := number_in(one.key)) is not None})
        numbers = sorted({one.provider_id for one in events if one.provider_id})
        address = customer.c[ADDRESS[channel]] if channel in ADDRESS else null()
        query = (
            select(
                message.c.id, message.c.queued_at, message.c.provider_id, message.c.customer_id, message.c.state,
                message.c.doubted_at, message.c.sent_at, message.c.tried_at, message.c.delivered_at,
                customer.c.key.label("customer"), address.label("address"), customer.c.updated_at,
            )
            .join(customer, customer.c.id == message.c.customer_id)
            .where(
                message.c.channel == channel,
                or_(
                    dialect.among(connection, message.c.id, keys),
                    dialect.among(connection, message.c.provider_id, numbers),
                ),
            )
            .order_by(message.c.id)
            .with_for_update(of=message)
        )  # fmt: skip
        known = channel in ADDRESS and (keys or numbers)
        rows: list[Any] = list(connection.execute(query)) if known else []
        self._by_key: dict[str, Row[Any]] = {str(row.id): row for row in rows}
        self._by_key |= {message_key(row.id, row.queued_at): row for row in rows}
        self._by_number: dict[str, Row[Any]] = {row.provider_id: row for row in rows if row.provider_id}

    def of(self, event: DeliveryEvent) -> Row[Any] | None:
        return self._by_key.get(event.key) or self._by_number.get(event.provider_id)


def _key(event: DeliveryEvent) -> str:
    """Return the event's id, or its digest where it is long: cut off, two events' ids could be the same."""
    return event.id if len(event.id) <= 200 else "sha256-" + sha256(event.id.encode()).hexdigest()


def _clean(channel: str, event: DeliveryEvent) -> DeliveryEvent:
    """Return an event as a database can keep it, its address in our spelling, or without one that is none."""
    return replace(
        event,
        id=_text(event.id),
        key=_text(event.key),
        provider_id=_text(event.provider_id),
        address=_spelt(channel, event.address),
        hard=event.hard and not event.ours,
        status=_text(event.status),
        reason=_text(event.reason),
        url=_text(event.url),
        raw=_kept(event.raw),
    )


def _text(text: str) -> str:
    """Return a text without what no database keeps: NUL (PostgreSQL), halves of characters (both)."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(str(name)): _kept(one) for name, one in value.items()}
    return [_kept(one) for one in value] if isinstance(value, list | tuple) else value


def _spelt(channel: str, address: str) -> str:
    if not address or channel not in ADDRESS or address != _text(address):
        return ""
    try:
        return addresses.BY_CHANNEL[channel](address)
    except RejectedInput:
        return ""


def _row(channel: str, event: DeliveryEvent, about: Row[Any] | None, now: datetime) -> dict[str, Any]:
    return {
        "channel": channel,
        "key": _key(event),
        "message_id": about.id if about is not None else None,
        "customer_id": about.customer_id if about is not None else None,
        "kind": event.kind.value,
        "at": min(event.at, now),
        "hard": event.hard,
        "status": event.status[:40],
        "reason": event.reason[:500],
        "url": event.url[:2_000],
        "raw": dict(event.raw),
        "received_at": now,
    }


def _mark(connection: Connection, told: Iterable[Told], now: datetime) -> None:
    """Write the time of each first event on its message; a message in doubt is in doubt no longer."""
    fates: list[tuple[int, str]] = []
    for event, about in sorted(told, key=lambda one: (one[0].at, one[0].id)):
        if about is None or event.kind is _KINDS.unknown:
            continue
        at, name = min(event.at, now), _COLUMNS.get(event.kind)
        fates += [(about.customer_id, fate) for fate in (name and name.removesuffix("_at"), "sent") if fate]
        values: dict[str, Any] = {name: func.coalesce(message.c[name], literal(at, Instant))} if name else {}
        if _is_doubted(about):
            values |= _settled(event.kind, at)
        if (
            event.ours
            and event.kind is _KINDS.failed
            and about.state in _TAKEN
            and about.delivered_at is None
        ):
            values |= {
                "state": MessageState.failed.value, "reason": Reason.our_fault.value, "sent_at": None,
                "detail": event.reason[:500] or event.status,
            }  # fmt: skip
        if values:
            connection.execute(update(message).where(message.c.id == about.id).values(values))
    touches.of_messages(connection, fates, now)


def _is_doubted(about: Row[Any]) -> bool:
    """Say whether a message may or may not have been sent, also where it is about to go once more."""
    queued = about.state == MessageState.queued.value and about.doubted_at is not None
    return queued or about.state == MessageState.in_doubt.value


def believe(connection: Connection, doubted: Sequence[int], now: datetime) -> None:
    """Settle those doubts whose message was heard of before the doubt came up: a callback may overtake an answer."""
    if not doubted:
        return
    columns = (delivery_event.c.message_id, delivery_event.c.kind, delivery_event.c.at, message.c.customer_id)
    heard = (
        select(*columns)
        .join(message, message.c.id == delivery_event.c.message_id)
        .where(
            dialect.among(connection, delivery_event.c.message_id, doubted),
            delivery_event.c.kind != _KINDS.unknown.value,
        )
    )
    rows = connection.execute(heard.order_by(delivery_event.c.id)).all()
    for row in rows:
        values = _settled(_KINDS(row.kind), min(row.at, now))
        connection.execute(update(message).where(message.c.id == row.message_id).values(values))
    touches.of_messages(connection, [(row.customer_id, "sent") for row in rows], now)


def _settled(kind: DeliveryEventKind, at: datetime) -> Mapping[str, Any]:
    if kind is _KINDS.failed:
        return {"state": MessageState.failed.value, "reason": Reason.rejected_by_provider.value}
    sent = func.coalesce(message.c.sent_at, literal(at, Instant))
    return {"state": MessageState.sent.value, "reason": None, "detail": None, "sent_at": sent}


def _follow(
    connection: Connection, channel: str, event: DeliveryEvent, about: Row[Any] | None, now: datetime
) -> list[ConsentInput]:
    """Draw an event's consequences for its address; return the consents that it takes back."""
    address = event.address or _address_then(event, about)
    evidence = _evidence(event)
    if event.kind in (_KINDS.bounced, _KINDS.failed) and event.hard and address:
        _bury(connection, channel, address, about, now, evidence)
    elif event.kind is _KINDS.bounced and about is not None and address and channel != PUSH:
        _give_up(connection, channel, address, about.customer_id, now, evidence)
    elif event.kind is _KINDS.complained and address and channel != PUSH:
        suppressions.add(connection, channel, [address], "complained", now, evidence, purpose="marketing")
    source = _WITHDRAWING.get(event.kind)
    who = _customers(connection, channel, address, about) if source else []
    return [ConsentInput(key, channel, now, source=source or "", proof=evidence) for key in who]


def _opted_out(channel: str, told: Iterable[Told], now: datetime) -> Iterator[opt_outs.OptOut]:
    """Yield the addresses that said stop, also where nobody here has them, or has them no longer."""
    for event, about in told:
        address = event.kind is _KINDS.unsubscribed and (event.address or _address_then(event, about))
        if address:
            key, source = addresses.key(channel, address), _WITHDRAWING[event.kind]
            yield opt_outs.OptOut(channel, key, now, source, _evidence(event))


def _evidence(event: DeliveryEvent) -> dict[str, Any]:
    return {"event": _key(event), "status": event.status[:40], "said": event.reason[:200]}


def _address_then(event: DeliveryEvent, about: Row[Any] | None) -> str:
    """Return the address that a message went to, where it is known to be still the customer's; else nothing.

    An event that names none may be about one that the customer has given up since.
    """
    if about is None or not about.address:
        return ""
    went = about.sent_at or about.tried_at
    unchanged = went is not None and about.updated_at <= went
    named = str(event.raw.get("recipient") or "").lower() == about.address.lower()
    return str(about.address) if unchanged or named else ""


def _bury(
    connection: Connection,
    channel: str,
    address: str,
    about: Row[Any] | None,
    now: datetime,
    evidence: Mapping[str, Any],
) -> None:
    if about is not None:
        bury(connection, channel, address, about.customer_id, now, evidence)
    elif channel != PUSH:
        suppressions.add(connection, channel, [address], "bounced", now, evidence)


def _give_up(
    connection: Connection,
    channel: str,
    address: str,
    customer_id: int,
    now: datetime,
    evidence: Mapping[str, Any],
) -> None:
    """Give an address up for a while after soft bounces over weeks; a delivery in between starts the count anew."""
    mine = and_(delivery_event.c.customer_id == customer_id, delivery_event.c.channel == channel)
    delivered = (
        select(func.max(delivery_event.c.at))
        .where(mine, delivery_event.c.kind == _KINDS.delivered.value)
        .scalar_subquery()
    )
    soft: ColumnElement[bool] = and_(
        delivery_event.c.kind == _KINDS.bounced.value,
        delivery_event.c.hard.is_(False),
        *(delivery_event.c.status.not_like(one) for one in NOT_THE_ADDRESS),
        or_(delivered.is_(None), delivery_event.c.at > delivered),
    )
    number, first = connection.execute(
        select(func.count(case((soft, 1))), func.min(case((soft, delivery_event.c.at)))).where(mine)
    ).one()
    if number >= SOFT_BOUNCES and now - first >= SOFT_FOR:
        until = now + GIVEN_UP_FOR
        suppressions.add(connection, channel, [address], "soft bounces", now, evidence, expires_at=until)


def _customers(connection: Connection, channel: str, address: str, about: Row[Any] | None) -> list[str]:
    """Return the keys of whom an event is about: the message's customer, else all who have the address."""
    if about is not None:
        return [about.customer]
    if not address or channel not in ADDRESS:
        return []
    same = address_key(channel) == addresses.key(channel, address)
    return list(connection.scalars(select(customer.c.key).where(same)))
