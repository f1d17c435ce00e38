"""Two records of one person become one: what that comes to, and doing it.

The newer value of each attribute and address stands, the stricter word on each channel; everything else of the merged record
goes over to the one that stays, and its key becomes an alias (`aliases`). Where both are inside one journey, the older stay
goes on and the other ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    RowMapping,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from treue.errors import RejectedInput
from treue.model.states import ADDRESS_KEY, ArrivalKind, Decision, Outcome
from treue.model.tables import (
    alias,
    arrival,
    consent,
    customer,
    delivery_event,
    enrollment,
    event,
    event_conflict,
    journey,
    mailing,
    membership,
    message,
    opt_out,
    past_event,
    past_message,
    telling,
    trace,
)
from treue.model.tables import change as change_table
from treue.segments.touch import MERGED, OPT_OUT
from treue.store import (
    changes,
    consent_standing,
    customers,
    dialect,
    opt_outs,
    sequence,
    tellings,
    touches,
    validation,
)
from treue.store.addresses import shown

REASON = "merged"
"""The reason why the younger of two stays in one journey ends."""

_GOES_OVER: tuple[Table, ...] = (
    message,
    delivery_event,
    mailing,
    event,
    event_conflict,
    past_event,
    past_message,
    trace,
    arrival,
    enrollment,
    opt_out,
)
"""The tables whose rows of the merged record become the other's; messages and events first: who has hold of one may be writing."""


@dataclass(frozen=True)
class ToldValue:
    """What the merged record says of an attribute or an address, and since when; `kept` is what the record that stays says."""

    name: str
    value: Any
    since: datetime
    kept: Any


@dataclass(frozen=True)
class MergedConsent:
    """What will stand on a channel where both records have said something: whose word, and what it says."""

    channel: str
    record: str
    row: Mapping[str, Any]


@dataclass(frozen=True)
class EndingStay:
    """The younger of two stays in one journey, which ends: of which record, and since when both have been inside."""

    journey: str
    journey_id: int
    enrollment_id: int
    record: str
    entered_at: datetime
    older_entered_at: datetime


@dataclass(frozen=True)
class Merging:
    """What merging one record into another comes to. `events`, `messages` and `stays` are how many go over.

    `values` are those that are newer, `outdated` those that are lost, as the record that stays says otherwise.
    """

    kept: RowMapping
    merged: RowMapping
    values: tuple[ToldValue, ...]
    outdated: tuple[ToldValue, ...]
    consents: tuple[MergedConsent, ...]
    ending: tuple[EndingStay, ...]
    events: int
    messages: int
    stays: int


def outlook(connection: Connection, kept: str, merged: str) -> Merging | None:
    """Return what it comes to that one record is merged into another; None where it has been before.

    Raises RejectedInput where these are not two records, or where one has no room for what both say.
    """
    pair = _pair(connection, kept, merged)
    if pair is None:
        return None
    one, other = pair
    told = list(_told(connection, one, other))
    values = tuple(value for value, newer in told if newer)
    if refusal := validation.bounded(_together(one, values), f"Customer {shown(one['key'])}, once merged,"):
        raise RejectedInput(refusal)
    return Merging(
        one,
        other,
        values,
        tuple(value for value, newer in told if not newer and value.value not in (None, value.kept)),
        tuple(_stricter(connection, one, other)),
        tuple(_ending(connection, one, other)),
        *(_count(connection, table, other["id"]) for table in (event, message, enrollment)),
    )


def _together(one: RowMapping, values: Iterable[ToldValue]) -> dict[str, Any]:
    """Return the attributes of a record with the newer values in it."""
    newer = {value.name: value.value for value in values if value.name not in customers.COLUMNS}
    return {name: value for name, value in {**one["attributes"], **newer}.items() if value is not None}


def _pair(connection: Connection, kept: str, merged: str) -> tuple[RowMapping, RowMapping] | None:
    one, other = (_record(connection, key) for key in (kept, merged))
    if one["id"] == other["id"]:
        if kept == merged:
            raise RejectedInput(f"Customer {shown(kept)} cannot be merged into itself.")
        if merged == one["key"]:
            raise RejectedInput(
                f"Customer {shown(kept)} was merged into {shown(merged)} before: they are one record, which keeps the id "
                f"{shown(merged)}."
            )
        return None
    if merged != other["key"]:
        raise RejectedInput(
            f"Customer {shown(merged)} was merged into {shown(other['key'])} before. To bring all of them together, merge "
            f"{shown(other['key'])} into {shown(one['key'])}."
        )
    return one, other


def _record(connection: Connection, key: str) -> RowMapping:
    found = customers.find(connection, key)
    if found is None:
        raise RejectedInput(f"There is no customer {shown(key)}.")
    return found


def _count(connection: Connection, table: Table, customer_id: int) -> int:
    query = select(func.count()).select_from(table).where(table.c.customer_id == customer_id)
    return connection.scalar(query) or 0


# --- which value, which word, which stay --------------------------------------------------------------------


def _told(connection: Connection, one: RowMapping, other: RowMapping) -> Iterator[tuple[ToldValue, bool]]:
    """Yield what the second record says, or has taken back, and whether the first has said nothing of it since."""
    (ours, our_changes, our_begin), (theirs, their_changes, their_begin) = (
        (said := customers.said(row), _changed(connection, row["id"], said), _begun(connection, row))
        for row in (one, other)
    )
    for name in sorted(theirs.keys() | their_changes.keys()):
        value, kept = theirs.get(name), ours.get(name)
        if value is None and name not in their_changes:
            continue
        since = their_changes.get(name, their_begin)
        ours_told = kept is not None or name in our_changes
        our_place = (our_changes.get(name, our_begin), kept is not None)
        yield ToldValue(name, value, since, kept), not ours_told or (since, value is not None) > our_place


def _changed(connection: Connection, customer_id: int, said: Mapping[str, Any]) -> dict[str, datetime]:
    """Return when each thing of a record was last changed, as its sender told; `said` is what the record says today.

    What said the same again was kept for steps that were late, and is no change; but what a merge has brought is told.
    """
    c = change_table.c
    query = select(c.name, c.at, c.happened_at, c.before).where(
        c.customer_id == customer_id, c.name.not_like(f"{changes.CONSENT}%")
    )
    after, found = dict(said), dict[str, datetime]()
    for row in connection.execute(
        query.order_by(c.at.desc(), c.happened_at.desc(), c.seq.desc(), c.id.desc())
    ):
        if row.before != after.get(row.name) or row.happened_at < row.at:
            found[row.name] = max(found.get(row.name, row.happened_at), row.happened_at)
        after[row.name] = row.before
    return found


def _begun(connection: Connection, row: RowMapping) -> datetime:
    """Return since when a record says what it has never changed: when it was made."""
    made = select(event.c.effective_at).where(
        event.c.key == f"treue:customer.created:{row['key']}", event.c.customer_id == row["id"]
    )
    found: datetime = connection.scalar(made) or row["created_at"]
    return found


def _stricter(connection: Connection, one: RowMapping, other: RowMapping) -> Iterator[MergedConsent]:
    """Yield what will stand on each channel: a withdrawal before a consent, and else the word that outranks the other."""
    standing = consent_standing.standing(connection, [one["id"], other["id"]])
    for channel in sorted({channel for _, channel in standing}):
        ours, theirs = (standing.get((row["id"], channel)) for row in (one, other))
        if ours is None or theirs is None or ours["given"] == theirs["given"]:
            row = consent_standing.higher(theirs, ours)
            assert row is not None
        else:
            row = _refusing(ours, theirs) if theirs["given"] else _refusing(theirs, ours)
        yield MergedConsent(channel, one["key"] if row["customer_id"] == one["id"] else other["key"], row)


def _refusing(withdrawn: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the withdrawal; it outranks the consent also where that one is told again."""
    if withdrawn["since"] >= given["since"]:
        return withdrawn
    said = {"said_at": withdrawn["since"].isoformat(), **withdrawn["proof"]}
    return {**withdrawn, "since": given["since"], "proof": said}


def _ending(connection: Connection, one: RowMapping, other: RowMapping) -> Iterator[EndingStay]:
    """Yield of the stays of both that are inside one journey, by the same occurrence, the younger."""
    mine, theirs = enrollment.alias("mine"), enrollment.alias("theirs")
    place = [(stay.c.effective_at, stay.c.entered_at, stay.c.seq, stay.c.id) for stay in (mine, theirs)]
    query = (
        select(journey.c.name, mine.c.journey_id, *place[0], *place[1])
        .join_from(mine, journey, journey.c.id == mine.c.journey_id)
        .join(theirs, (theirs.c.journey_id == mine.c.journey_id) & (theirs.c.per == mine.c.per))
        .where(
            mine.c.customer_id == one["id"],
            theirs.c.customer_id == other["id"],
            *(stay.c.outcome == Outcome.inside.value for stay in (mine, theirs)),
        )
        .order_by(journey.c.name, mine.c.id)
    )
    for name, journey_id, *places in connection.execute(query):
        stays = [(tuple(places[:4]), one["key"]), (tuple(places[4:]), other["key"])]
        (older, _), (younger, record) = sorted(stays)
        yield EndingStay(name, journey_id, younger[3], record, younger[1], older[1])


# --- doing it -----------------------------------------------------------------------------------------------


def carry_out(connection: Connection, merging: Merging, now: datetime) -> None:
    """Merge the record, whose customers are secluded (`seclusion`), and let journeys know that watch for it."""
    one, other = merging.kept["id"], merging.merged["id"]
    seq = sequence.take(len(merging.values) + len(merging.consents) + 1)
    _end_stays(connection, merging, now)
    _note_those_going_on(connection, merging, now)
    _keep_earliest_expiries(connection, one, other)
    for table in _GOES_OVER:
        connection.execute(update(table).where(table.c.customer_id == other).values(customer_id=one))
    _join_memberships(connection, one, other)
    _join_tellings(connection, one, other)
    _join_consents(connection, merging, now, seq)
    connection.execute(update(alias).where(alias.c.customer_id == other).values(customer_id=one))
    connection.execute(delete(customer).where(customer.c.id == other))
    connection.execute(insert(alias).values(key=merging.merged["key"], customer_id=one, merged_at=now))
    _join_records(connection, merging, now, seq + len(merging.consents))
    last = seq + len(merging.consents) + len(merging.values)
    _opt_out_its_addresses(connection, merging, now, last)
    touches.record(connection, [touches.Touched(one, MERGED, now, now, last)])


def _end_stays(connection: Connection, merging: Merging, now: datetime) -> None:
    for stay in merging.ending:
        note = {
            "customer_id": merging.kept["id"], "journey_id": stay.journey_id, "enrollment_id": stay.enrollment_id, "at": now,
            "decision": Decision.exited.value, "reason": REASON, "detail": {"record": merging.merged["key"]},
        }  # fmt: skip
        at_step = select(enrollment.c.step_id).where(enrollment.c.id == stay.enrollment_id).scalar_subquery()
        connection.execute(insert(trace).values({**note, "step_id": at_step}))
        left = {"outcome": Outcome.exited.value, "reason": REASON, "left_at": now, "step_id": None}
        connection.execute(update(enrollment).where(enrollment.c.id == stay.enrollment_id).values(left))


def _note_those_going_on(connection: Connection, merging: Merging, now: datetime) -> None:
    inside = select(enrollment.c.id, enrollment.c.journey_id, enrollment.c.step_id).where(
        enrollment.c.customer_id == merging.merged["id"], enrollment.c.outcome == Outcome.inside.value
    )
    rows = [
        {
            "customer_id": merging.kept["id"], "journey_id": row.journey_id, "enrollment_id": row.id,
            "step_id": row.step_id, "at": now, "decision": Decision.merged.value, "detail": {"record": merging.merged["key"]},
        }
        for row in connection.execute(inside.order_by(enrollment.c.id))
    ]  # fmt: skip
    if rows:
        connection.execute(dialect.insert_rows(connection, trace, rows))


def _keep_earliest_expiries(connection: Connection, one: int, other: int) -> None:
    """Keep of the expiries of both at a journey's door the earlier one; until the merge, both stood."""
    query = select(arrival.c.id, arrival.c.journey_id).where(
        arrival.c.customer_id.in_((one, other)), arrival.c.kind == ArrivalKind.expiry.value
    )
    first: dict[int, int] = {}
    for id_, journey_id in connection.execute(query.order_by(arrival.c.effective_at, arrival.c.id)):
        if first.setdefault(journey_id, id_) != id_:
            connection.execute(delete(arrival).where(arrival.c.id == id_))


def _join_memberships(connection: Connection, one: int, other: int) -> None:
    known = select(membership.c.journey_id).where(membership.c.customer_id == one)
    theirs = select(membership.c.journey_id, literal(one, BigInteger)).where(
        membership.c.customer_id == other, membership.c.journey_id.not_in(known)
    )
    connection.execute(insert(membership).from_select(["journey_id", "customer_id"], theirs))


def _join_tellings(connection: Connection, one: int, other: int) -> None:
    theirs = select(telling.c.source, telling.c.as_of).where(telling.c.customer_id == other)
    tellings.keep(connection, {(one, row.source): row.as_of for row in connection.execute(theirs)})


def _join_consents(connection: Connection, merging: Merging, now: datetime, seq: int) -> None:
    """Let what was decided stand on each channel."""
    one, before = merging.kept["id"], consent_standing.standing(connection, [merging.kept["id"]])
    told = []
    for n, merged in enumerate(merging.consents):
        stood = before.get((one, merged.channel))
        if consent_standing.brief(stood) != consent_standing.brief(merged.row):
            name = f"{changes.CONSENT}{merged.channel}"
            told.append(changes.Change(one, name, now, now, seq + n, consent_standing.brief(stood)))
    changes.keep(connection, told)
    connection.execute(delete(consent).where(consent.c.customer_id == merging.merged["id"]))
    rows = {merged.channel: {**merged.row, "customer_id": one} for merged in merging.consents}
    consent_standing.put(connection, {(one, channel): row for channel, row in rows.items()})


def _join_records(connection: Connection, merging: Merging, now: datetime, seq: int) -> None:
    one = merging.kept["id"]
    customers.rewrite(connection, {one: {value.name: value.value for value in merging.values}})
    begun = min(merging.kept["created_at"], merging.merged["created_at"])
    values = {"updated_at": now, "created_at": begun}
    connection.execute(update(customer).where(customer.c.id == one).values(values))
    told = [
        changes.Change(one, value.name, now, value.since, seq + n, value.kept)
        for n, value in enumerate(merging.values)
    ]
    changes.keep(connection, told)


def _opt_out_its_addresses(connection: Connection, merging: Merging, now: datetime, seq: int) -> None:
    """Let the addresses that the record has by now say stop, where its customer has: whoever else has them is touched."""
    one = merging.kept["id"]
    row = connection.execute(select(customer).where(customer.c.id == one)).mappings().one()
    for merged in merging.consents:
        column = ADDRESS_KEY.get(merged.channel)
        if column and row[column] and not merged.row["given"]:
            said = (merged.row["since"], merged.row["source"], merged.row["proof"])
            opt_outs.add(connection, [opt_outs.OptOut(merged.channel, row[column], *said, one)])
            opt_outs.lift(connection, merged.channel, [one])
            place = {one: (now, now, seq)}
            touches.of_shared_addresses(connection, OPT_OUT + merged.channel, merged.channel, place)
