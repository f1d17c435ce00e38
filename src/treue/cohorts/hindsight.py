"""A batch that is late, lived in its own time: it reads what customers' records said then.

What has changed since is taken back before the batch acts and put back after it, in its one transaction: nobody else
sees the state between. What the batch itself changes stays, unless somebody has changed the same thing since: then it is
what that later change found.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)

from treue.clock import instant
from treue.cohorts.cohort import EFFECTIVE
from treue.model.states import ADDRESS, Basis
from treue.model.tables import LAST, caller, change, cohort, opt_out
from treue.model.types import Instant
from treue.store import consent_standing, customers, dialect, opt_outs
from treue.store.addresses import key
from treue.store.changes import CONSENT
from treue.store.opt_outs import UNDATED

LATEST = datetime.max.replace(tzinfo=UTC)

Thing = tuple[int, str]
"""One thing that a record says: whose record it is, and the thing's name in `change`."""

Rows = Mapping[consent_standing.Place, Mapping[str, Any]]
"""Consents as the rows they are."""


def _changed_since(
    customer_id: ColumnElement[int],
    effective_at: ColumnElement[datetime],
    last_at: ColumnElement[Any],
    last_seq: ColumnElement[Any],
) -> Select[Any]:
    """Return whose record may have changed after their instant, by one look into an index for each."""
    latest = select(func.max(change.c.at)).where(change.c.customer_id == customer_id).scalar_subquery()
    same = and_(latest == effective_at, last_seq.is_not(None))
    which = (
        customer_id,
        effective_at.label("effective_at"),
        last_at.label("last_at"),
        last_seq.label("last_seq"),
    )
    return select(*which).where(or_(latest > effective_at, same))


_from_outside = and_(caller.c.seq < LAST, caller.c.caused.is_not(True))
_no_time, _no_number = type_coerce(null(), Instant), type_coerce(null(), BigInteger)

COHORT = _changed_since(cohort.c.customer_id, EFFECTIVE, _no_time, _no_number)
"""A stage's cohort: at `effective_at`, with all that happened at that instant."""

CALLERS = _changed_since(
    caller.c.customer_id,
    caller.c.effective_at,
    case((_from_outside, caller.c.last_at)),
    case((_from_outside, caller.c.seq)),
)
"""Those at a door: where something from outside brought them, of its instant only what came before it."""


def everybody(
    at: datetime, names: Collection[str] = (), which: ColumnElement[bool] | None = None
) -> Select[Any]:
    """Return whose record has changed after an instant, to be asked as of it, with all that happened at it.

    With `names`, only where one of these things has changed; `which` says which customers it is about.
    """
    query = select(
        change.c.customer_id,
        literal(at, Instant).label("effective_at"),
        _no_time.label("last_at"),
        _no_number.label("last_seq"),
    ).where(change.c.at > at)
    if names:
        query = query.where(change.c.name.in_(sorted(names)))
    return (query if which is None else query.where(which)).distinct()


@dataclass(frozen=True)
class Hindsight:
    """What was taken back: by thing the later changes in their order, what held then, and what holds today."""

    later: Mapping[Thing, list[Row[Any]]]
    then: Mapping[Thing, Any]
    today: Mapping[Thing, Any]
    consents: Rows
    opted_out: Sequence[opt_outs.OptOut]


@contextmanager
def in_their_time(connection: Connection, asked: Select[Any]) -> Iterator[None]:
    """Let what is done meanwhile read what records said at the instant of each of those asked: `COHORT`, `CALLERS` or `everybody`.

    To be entered when they are taken, and left in the same transaction, in which an exception undoes all of it.
    """
    taken = take_back(connection, asked)
    yield
    if taken is not None:
        put_back(connection, taken)


def take_back(connection: Connection, asked: Select[Any]) -> Hindsight | None:
    """Take back what has changed after the instant of each of those asked; return what that was, mostly nothing."""
    moments = {row.customer_id: row for row in connection.execute(asked)}
    if not moments:
        return None
    customers.lock(connection, moments)
    later = _later(connection, moments)
    if not later:
        return None
    told, rows = _told(connection, {id_ for id_, _ in later})
    then = {thing: changes[0].before for thing, changes in later.items()}
    _write(connection, then, rows)
    today = {thing: told.get(thing) for thing in later}
    return Hindsight(later, then, today, rows, _take_off_the_list(connection, later))


def put_back(connection: Connection, taken: Hindsight) -> None:
    """Put back what was taken back, with what has been done in between in its place."""
    told, rows = _told(connection, {id_ for id_, _ in taken.later})
    done = {thing: now for thing in taken.later if (now := told.get(thing)) != taken.then[thing]}
    today, standing, befores = dict(taken.today), dict(taken.consents), dict[int, Any]()
    for thing, value in done.items():
        changes = taken.later[thing]
        if (place := _place(thing)) is None:
            befores[changes[0].id] = value
            continue
        befores |= {one.id: consent_standing.higher(value, one.before) for one in changes}
        today[thing] = consent_standing.higher(value, today[thing])
        if today[thing] is value:
            standing[place] = rows[place]
    _write(connection, today, standing)
    opt_outs.add(connection, taken.opted_out)
    _rewrite_befores(connection, befores)
    _lift_opt_outs(connection, taken.later, befores)


def _later(connection: Connection, moments: Mapping[int, Row[Any]]) -> dict[Thing, list[Row[Any]]]:
    """Return by thing the changes after each customer's instant, in their order."""
    mine = dialect.among(connection, change.c.customer_id, moments)
    since = min(row.effective_at for row in moments.values())
    query = select(change).where(mine, change.c.at >= since)
    query = query.order_by(change.c.at, change.c.happened_at, change.c.seq, change.c.id)
    found: dict[Thing, list[Row[Any]]] = {}
    for row in connection.execute(query):
        if _is_after(row, moments[row.customer_id]):
            found.setdefault((row.customer_id, row.name), []).append(row)
    return found


def _is_after(one: Row[Any], moment: Row[Any]) -> bool:
    if moment.last_seq is None or one.at != moment.effective_at:
        return bool(one.at > moment.effective_at)
    return bool((one.happened_at, one.seq) > (moment.last_at, moment.last_seq))


def _told(connection: Connection, ids: Collection[int]) -> tuple[dict[Thing, Any], Rows]:
    """Return all that records say now, and the rows of the consents."""
    told = {
        (id_, name): value
        for id_, record in customers.records(connection, ids).items()
        for name, value in record.items()
    }
    rows = consent_standing.standing(connection, ids)
    consents = {
        (id_, f"{CONSENT}{channel}"): consent_standing.brief(row) for (id_, channel), row in rows.items()
    }
    return told | consents, rows


def _write(connection: Connection, said: Mapping[Thing, Any], rows: Rows) -> None:
    """Let records say this; `rows` have the source and the proof of consents."""
    records: dict[int, dict[str, Any]] = {}
    consents: dict[consent_standing.Place, Mapping[str, Any] | None] = {}
    for thing, value in said.items():
        if (place := _place(thing)) is None:
            records.setdefault(thing[0], {})[thing[1]] = value
        else:
            row = {**rows[place], **value, "since": instant(value["since"])} if value else None
            consents[place] = row
    customers.rewrite(connection, records)
    consent_standing.put(connection, consents)


def _place(thing: Thing) -> consent_standing.Place | None:
    """Return whose consent on which channel a thing is, None where it is none."""
    id_, name = thing
    return (id_, name.removeprefix(CONSENT)) if name.startswith(CONSENT) else None


def _rewrite_befores(connection: Connection, befores: Mapping[int, Any]) -> None:
    types = {"id": change.c.id.type, "before": change.c.before.type}
    rows = [{"id": id_, "before": value} for id_, value in sorted(befores.items())]
    for start in range(0, len(rows), dialect.BATCH):
        given = dialect.rows_as_table(connection, types, rows[start : start + dialect.BATCH])
        connection.execute(update(change).where(change.c.id == given.c.id).values(before=given.c.before))


def _take_off_the_list(
    connection: Connection, later: Mapping[Thing, Sequence[Row[Any]]]
) -> list[opt_outs.OptOut]:
    """Take the addresses off the list of opt-outs that withdrawals taken back have put there; return them."""
    since = {place: changes[0].happened_at for thing, changes in later.items() if (place := _place(thing))}
    if not since:
        return []
    theirs = dialect.among(connection, opt_out.c.customer_id, {id_ for id_, _ in since})
    found = [
        opt_outs.OptOut(row.channel, row.address, row.since, row.source, row.proof, row.customer_id)
        for row in connection.execute(select(opt_out).where(theirs))
        if row.since >= since.get((row.customer_id, row.channel), LATEST)
    ]
    for one in found:
        mine = (opt_out.c.channel == one.channel, opt_out.c.address == one.address)
        connection.execute(delete(opt_out).where(*mine))
    return found


def _lift_opt_outs(
    connection: Connection, later: Mapping[Thing, Sequence[Row[Any]]], befores: Mapping[int, Any]
) -> None:
    """Let later consents take off the list what a withdrawal has put there in between: the address of their own time."""
    places = {thing: place for thing in later if (place := _place(thing)) and place[1] in ADDRESS}
    if not places:
        return
    today, rows = _told(connection, {id_ for id_, _ in places.values()})

    def after(thing: Thing, n: int) -> Any:
        """Return what the first `n` of a thing's changes made of it."""
        changes = later.get(thing, ())
        return befores.get(changes[n].id, changes[n].before) if n < len(changes) else today.get(thing)

    for thing, (id_, channel) in places.items():
        where = (id_, ADDRESS[channel])
        moves = [_placed(one) for one in later.get(where, ())]
        for n, one in enumerate(later[thing], 1):
            word, address = after(thing, n), after(where, bisect_left(moves, _placed(one)))
            undated = n == len(later[thing]) and UNDATED in rows.get((id_, channel), {}).get("proof", {})
            if address and word and word["given"] and word["basis"] == Basis.consent and not undated:
                opt_outs.take_off(connection, channel, key(channel, address), before=instant(word["since"]))


def _placed(one: Row[Any]) -> tuple[datetime, datetime, int]:
    return one.at, one.happened_at, one.seq
