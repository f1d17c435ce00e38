"""A workspace's recorded past, copied into a file of its own, from which it can be made to happen once more.

The file is a store like any other. A replay's store has it attached and takes from it, set by set, what has
happened up to a time: customers from their first sign of life on, their events, their word on consent, and
addresses on the suppression list. Attributes and addresses are those of today: what they were before (table `change`) is
not copied, since what journeys had set then would come back with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    cast,
    func,
    insert,
    literal,
    not_,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy import event as sqlalchemy_event

from treue.model.tables import customer, event, suppression, timezone_offset
from treue.model.types import Instant, Json
from treue.segments.touch import SUPPRESSION
from treue.store import consent_standing, dialect, event_identity, events, touches, zones
from treue.store.imports import ImportReport, import_events
from treue.store.inputs import EventInput
from treue.store.row_files import RowFile
from treue.store.store import Store

PAST = "past"
"""The name under which the file is attached."""

FROM_FILE = "history"
"""The source of customers who are first heard of in a file of events."""

_attached = MetaData()
_customer, _event, _suppression, _zone = (
    table.to_metadata(_attached, schema=PAST) for table in (customer, event, suppression, timezone_offset)
)

_BEGIN = """\
UPDATE customer SET created_at = min(created_at, coalesce(
  (SELECT min(at) FROM event WHERE event.customer_id = customer.id), created_at))
"""
"""Somebody is a customer from the first thing we know of them, whenever the record was made."""

_AFTERWARDS = (
    "CREATE INDEX past_event_at ON event (at, id)",
    "CREATE INDEX past_customer_created ON customer (created_at)",
    _BEGIN,
    "ANALYZE",
)

_NOTHING_ELSE = (
    "Customers begin with their first event in the file and have an address on every channel; "
    "nothing else is known about them."
)
_AGREED = (
    "Nobody's consent is in the file: everybody is taken to have agreed to e-mail with their first event, "
    "and to nothing else."
)

Progress = Callable[[int], None]
"""Told how many rows have been read so far."""


@dataclass(frozen=True)
class History:
    """The past in a file: where it comes from, what had to be assumed, and how much there is."""

    path: Path
    origin: str
    customers: int
    events: int
    first: datetime | None
    last: datetime | None
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


# --- making the file ----------------------------------------------------------------------------------------


def copied(source: Store, path: Path, origin: str, progress: Progress | None = None) -> History:
    """Copy a store's customers, events and suppressions into a new file at `path`."""
    with _fresh(path) as store:
        with source.reading() as reading, store.transaction() as connection:
            done = 0
            for table in (customer, event, suppression):
                done = _copy(reading, connection, table, done, progress)
            known = connection.scalars(select(customer.c.timezone).distinct())
            zones.ensure(connection, [zone for zone in known if zone])
        return _finished(store, path, origin)


def imported(
    file: RowFile,
    path: Path,
    mapping: Mapping[str, str],
    schema: Mapping[str, Mapping[str, str]],
    now: datetime,
    zone: str,
    locale: str,
    event: str | None = None,
    progress: Progress | None = None,
) -> History:
    """Read a file of events, as `treue import events` does, into a new file at `path`.

    Where such a file is silent something must be assumed; the history says what, and why rows were refused. Raises
    RejectedInput where the file as a whole cannot be read.
    """
    beside = path.with_name(file.path.name)  # rows set aside land beside the link, not beside the file
    beside.symlink_to(file.path.resolve())
    linked = replace(file, path=beside)
    with _fresh(path) as store:
        report = import_events(
            store, linked, mapping, schema, now, progress, zone=zone, locale=locale, event=event
        )
        found = _finished(store, path, file.name)
        with store.transaction() as connection:
            assumptions = _assume(connection)
        return replace(found, assumptions=assumptions, notes=_notes(file.name, report))


@contextmanager
def _fresh(path: Path) -> Iterator[Store]:
    """Give a new store that does not wait for the disk."""
    store = Store.open(f"sqlite:///{path}", create=True)
    store.forgo_syncing()
    try:
        yield store
    finally:
        store.close()


def _copy(source: Connection, target: Connection, table: Table, done: int, progress: Progress | None) -> int:
    """Copy a table as it is stored, without making anything of its values on the way."""
    plain = Table(table.name, MetaData(), *(Column(column.name, _plain(column)) for column in table.columns))
    query = select(*(_read(source, column).label(column.name) for column in table.columns))
    rows = source.execution_options(yield_per=dialect.BATCH).execute(query)
    for portion in rows.partitions():
        target.execute(insert(plain), [dict(row._mapping) for row in portion])
        done += len(portion)
        if progress:
            progress(done)
    return done


def _plain(column: Column[Any]) -> Any:
    if isinstance(column.type, Instant):
        return BigInteger()
    return Text() if isinstance(column.type, type(Json)) else column.type


def _read(source: Connection, column: Column[Any]) -> ColumnElement[Any]:
    kind = _plain(column)
    if isinstance(column.type, type(Json)) and dialect.is_postgresql(source):
        return cast(column, Text)
    return type_coerce(column, kind)


def _finished(store: Store, path: Path, origin: str) -> History:
    with store.transaction() as connection:
        for statement in _AFTERWARDS:
            connection.execute(text(statement))
        happened = select(func.count(), func.min(event.c.at), func.max(event.c.at))
        happened = happened.where(event.c.name != "customer.created")
        events, first, last = connection.execute(happened).one()
        customers = connection.scalar(select(func.count()).select_from(customer)) or 0
    return History(path, origin, customers, events, first, last)


def _notes(name: str, report: ImportReport) -> tuple[str, ...]:
    return (*report.notes, *_refused(name, report))


def _refused(name: str, report: ImportReport) -> Iterator[str]:
    """Yield how many rows could not be used, and why, the first of them."""
    if report.rejected:
        yield f"{report.rejected:,} of {report.read:,} rows of {name} could not be used:"
        yield from (f"line {refusal.line}: {refusal.reason}" for refusal in report.refusals)
    if report.rejected > len(report.refusals):
        yield (
            f"and {report.rejected - len(report.refusals):,} more; `treue import events` sets all of them aside, each with "
            "its reason."
        )


# --- what a file of events leaves open ----------------------------------------------------------------------


def _assume(connection: Connection) -> tuple[str, ...]:
    """Fill in what a file of events does not say; return each assumption as a sentence."""
    mailbox, token = (
        cast(customer.c.id, Text) + "@replay.invalid",
        literal("replay-") + cast(customer.c.id, Text),
    )
    addresses = {
        "email": mailbox,
        "email_key": mailbox,
        "phone": literal("+0") + cast(customer.c.id, Text),
        "push_token": token,
        "push_key": token,
    }
    connection.execute(update(customer).values(addresses))
    begun = select(customer.c.created_at).where(customer.c.id == event.c.customer_id).scalar_subquery()
    created = {"source": FROM_FILE, "properties": {"source": FROM_FILE}, "at": begun}
    connection.execute(update(event).values(created).where(event.c.name == "customer.created"))
    agreed = select(event.c.id).where(event.c.name == "consent.given").limit(1)
    if connection.scalar(agreed) is not None:
        return (_NOTHING_ELSE,)
    connection.execute(_agreeing())
    return (_NOTHING_ELSE, _AGREED)


def _agreeing() -> Any:
    query = select(
        literal("assumed:") + customer.c.key,
        customer.c.id,
        literal("consent.given"),
        customer.c.created_at,
        literal({"channel": "email", "basis": "consent", "source": "assumed"}, Json),
        literal("assumed"),
        customer.c.created_at,
        customer.c.created_at,
        literal(0),
    )
    columns = [
        "key",
        "customer_id",
        "name",
        "at",
        "properties",
        "source",
        "received_at",
        "effective_at",
        "seq",
    ]
    return insert(event).from_select(columns, query)


# --- letting it happen again --------------------------------------------------------------------------------


def attach(engine: Engine, path: Path) -> None:
    """Let all connections of a SQLite store see the file under the name `past`."""

    def attached(connection: Any, _record: Any) -> None:
        connection.execute(f"ATTACH DATABASE ? AS {PAST}", (str(path),))

    sqlalchemy_event.listen(engine, "connect", attached)
    engine.dispose()


@dataclass(frozen=True)
class Past:
    """An attached history, replayed from `start` on: what lies before has been seen, what follows is to come."""

    start: datetime

    @property
    def before(self) -> datetime:
        """The last instant before the start."""
        return self.start - timedelta(microseconds=1)

    def begin(self, connection: Connection, zone: str) -> None:
        """Record everything from before the start; no journey will look at it."""
        columns = [column.name for column in timezone_offset.columns]
        connection.execute(insert(timezone_offset).from_select(columns, select(_zone)))
        zones.ensure(connection, [zone])
        self._happen(connection, None, self.before, routed=self.start)

    def happen(self, connection: Connection, since: datetime, now: datetime) -> None:
        """Record what happened after `since` and no later than `now`."""
        self._happen(connection, since, now)

    def next(self, connection: Connection, since: datetime) -> datetime | None:
        """Return when the next event after `since` happens, or the next address is put on the suppression list."""
        firsts = (
            connection.scalar(select(func.min(at)).where(at > since))
            for at in (_event.c.at, _suppression.c.since)
        )
        return min((at for at in firsts if at is not None), default=None)

    def instants(self, connection: Connection, start: datetime, end: datetime, most: int) -> int:
        """Return at how many instants something happens from `start` until before `end`, counted up to `most`."""
        some = select(_event.c.at).where(_event.c.at >= start, _event.c.at < end).distinct().limit(most)
        return connection.scalar(select(func.count()).select_from(some.subquery())) or 0

    def _happen(
        self, connection: Connection, since: datetime | None, now: datetime, routed: datetime | None = None
    ) -> None:
        for query, table in (
            (_between(_customer, _customer.c.created_at, since, now), customer),
            (self._events(since, now, routed), event),
            (_between(_suppression, _suppression.c.since, since, now), suppression),
        ):
            names = [column.name for column in query.selected_columns]
            connection.execute(insert(table).from_select(names, query))
        self._tell_of_listed(connection, since, now)
        consent_standing.apply(connection, self._words(connection, since, now))

    def _tell_of_listed(self, connection: Connection, since: datetime | None, now: datetime) -> None:
        """Bring it to the doors that watch for it that addresses were put on the suppression list, each at its time."""
        columns = (_suppression.c.channel, _suppression.c.address, _suppression.c.since)
        for row in connection.execute(select(*columns).where(*_stretch(_suppression.c.since, since, now))):
            touches.of_addresses(connection, SUPPRESSION + row.channel, row.channel, [row.address], row.since)

    def _events(self, since: datetime | None, now: datetime, routed: datetime | None) -> Select[Any]:
        """Return the events of a stretch. What journeys recorded then is left out: now they do so anew."""
        changed = {
            "key": (literal("past:") + _event.c.key).label("key"),
            "received_at": _event.c.at.label("received_at"),
            "effective_at": _event.c.at.label("effective_at"),
            "routed_at": type_coerce(literal(routed, Instant), Instant).label("routed_at"),
        }
        columns = [changed.get(c.name, c) for c in _event.columns if c.name != "id"]
        anew = and_(_event.c.source.startswith(event_identity.JOURNEY), _event.c.at >= self.start)
        query = select(*columns).where(*_stretch(_event.c.at, since, now), not_(anew))
        return query.order_by(_event.c.at, _event.c.seq)

    def _words(
        self, connection: Connection, since: datetime | None, now: datetime
    ) -> list[consent_standing.Word]:
        told = select(_customer.c.key, _event).join(_customer, _customer.c.id == _event.c.customer_id)
        told = told.where(
            _event.c.name.in_(sorted(events.CONSENT_EVENTS)), *_stretch(_event.c.at, since, now)
        )
        return [
            events.word(
                EventInput(row.key, row.name, row.at, row.properties, None, row.source),
                row.customer_id,
                row.at,
                row.seq,
            )
            for row in connection.execute(told)
        ]


def _between(table: Table, at: ColumnElement[Any], since: datetime | None, now: datetime) -> Select[Any]:
    return select(*table.columns).where(*_stretch(at, since, now)).order_by(at)


def _stretch(
    at: ColumnElement[Any], since: datetime | None, now: datetime
) -> tuple[ColumnElement[bool], ...]:
    return (at <= now,) if since is None else (at > since, at <= now)
