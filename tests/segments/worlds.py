"""Customers for tests: written as `naive.Person`, stored in the real tables."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from tests.segments.naive import Mail, Naive, Person
from treue.model import tables
from treue.segments.explain import Stay, explain, explanation
from treue.segments.needs import looks_ahead, needs
from treue.segments.sql import AnyMoment, Moment, branches, members
from treue.segments.tree import Condition

START = datetime(2020, 1, 1, tzinfo=UTC)
JOURNEYS = ("welcome", "win-back")
_ASKED = (
    "customer_id",
    "event_id",
    "entered_at",
    "entered_effective_at",
    "entered_seq",
    "arrived_effective_at",
)
AT_ONCE = select(*(tables.cohort.c[name] for name in (*_ASKED, "enrollment_id"))).subquery("asked")
"""The cohort, to be asked as of one moment."""
BY_CUSTOMER = select(*(tables.cohort.c[name] for name in (*_ASKED, "at", "effective_at"))).subquery("asked")
"""The cohort, each as of its own time, told apart by nothing but what is asked of it."""


def store(connection: Connection, people: Sequence[Person], now: datetime | None = None) -> dict[int, Person]:
    """Store people in the tables and in the cohort, there at a time of theirs; return them by their customer id."""
    delete_all(connection)
    found: dict[int, Person] = {}
    for number, person in enumerate(people, start=1):
        connection.execute(insert(tables.customer), customer_row(number, person))
        found[number] = person
        began = store_events(connection, number, person)
        for channel, (given, since) in person.consents.items():
            connection.execute(insert(tables.consent), consent_row(number, channel, given, since))
        stay = {
            "enrollment_id": number,
            "customer_id": number,
            "event_id": began,
            "at": now,
            "effective_at": now,
        }
        connection.execute(insert(tables.cohort), stay | stay_columns(person))
        store_suppressed(connection, person)
    store_journeys(connection, found)
    return found


def stay_columns(person: Person) -> dict[str, Any]:
    """Return what a cohort has of a stay that began, and came to a step, when the last of its instant had happened."""
    entered = {"entered_at": person.entered_at, "entered_effective_at": person.entered_at}
    arrived = {"arrived_at": person.arrived_at, "arrived_effective_at": person.arrived_at}
    return entered | arrived | {"entered_seq": tables.LAST}


def delete_all(connection: Connection) -> None:
    connection.execute(delete(tables.cohort))
    for table in reversed(tables.metadata.sorted_tables):
        connection.execute(delete(table))


def customer_row(number: int, person: Person) -> dict[str, Any]:
    columns = ("key", "email", "phone", "push_token", "locale", "timezone", "attributes", "created_at")
    row = {name: getattr(person, name) for name in columns}
    keys = {"email_key": person.email and person.email.lower(), "push_key": person.push_token}
    return row | keys | {"id": number, "draw": 0, "updated_at": person.created_at}


def store_events(connection: Connection, number: int, person: Person) -> int | None:
    """Store what happened to a customer, numbered by customer; return the number of what began the stay."""
    began = None
    for n, happening in enumerate(person.events):
        row = event_row(number, happening) | {"id": number * 100 + n}
        connection.execute(insert(tables.event), row)
        began = number * 100 + n if happening is person.began else began
    return began


def event_row(customer_id: int, happening: Any) -> dict[str, Any]:
    return {
        "key": uuid.uuid4().hex,
        "customer_id": customer_id,
        "name": happening.name,
        "at": happening.at,
        "properties": happening.properties,
        "source": "test",
        "received_at": happening.at,
        "effective_at": happening.at,
    }


def consent_row(customer_id: int, channel: str, given: bool, since: datetime) -> dict[str, Any]:
    fixed = {"basis": "consent", "source": "test", "proof": {}}
    return fixed | {"customer_id": customer_id, "channel": channel, "given": given, "since": since}


def store_suppressed(connection: Connection, person: Person) -> None:
    addresses = {"email": person.email, "sms": person.phone}
    for channel, since in person.suppressed.items():
        if address := addresses[channel]:
            row = {"channel": channel, "address": address, "reason": "test", "since": since, "evidence": {}}
            connection.execute(insert(tables.suppression), row)


def store_journeys(connection: Connection, people: dict[int, Person]) -> None:
    if not any(person.messages or person.stays for person in people.values()):
        return
    for i, name in enumerate((*JOURNEYS, "letters"), start=1):
        connection.execute(insert(tables.journey), {"id": i, "name": name, "live_since": START})
        version = {"id": i, "journey_id": i, "hash": name, "plan": {}, "source": "", "since": START}
        connection.execute(insert(tables.journey_version), version)
    count = 0
    for customer_id, person in people.items():
        store_stays(connection, customer_id, person)
        for mail in person.messages:
            count += 1
            connection.execute(insert(tables.step), {"id": count, "journey_id": 1, "name": f"s{count}"})
            store_message(connection, count, customer_id, mail)


def store_stays(connection: Connection, customer_id: int, person: Person) -> None:
    for n, stay in enumerate(person.stays):
        journey = JOURNEYS.index(stay.journey) + 1
        row = {"id": customer_id * 100 + n, "journey_id": journey, "version_id": journey, "per": f"{n}"}
        row |= dict.fromkeys(("entered_at", "arrived_at", "due_at", "effective_at"), stay.entered_at)
        row |= {
            "customer_id": customer_id,
            "held_out": False,
            "outcome": stay.outcome,
            "left_at": stay.left_at,
        }
        connection.execute(insert(tables.enrollment), row)


def store_message(connection: Connection, number: int, customer_id: int, mail: Mail) -> None:
    journey = JOURNEYS.index(mail.journey) + 1
    stay = {"id": number, "journey_id": 3, "version_id": 3, "customer_id": customer_id}
    times = dict.fromkeys(("entered_at", "arrived_at", "due_at"), START)
    rest = {"per": "", "held_out": False, "outcome": "finished"}
    connection.execute(insert(tables.enrollment), stay | times | rest)
    row = {"enrollment_id": number, "step_id": number, "channel": mail.channel, "template": mail.template}
    row |= dict.fromkeys(("queued_at", "due_at", "ready_at", "send_by"), START)
    row |= {"category": "relational", "state": "sent"} | {f"{was}_at": at for was, at in mail.times.items()}
    connection.execute(insert(tables.message), stay | row | {"journey_id": journey, "version_id": journey})


def ids(connection: Connection, query: Any) -> list[int]:
    return sorted(connection.scalars(query))


def agree(
    connection: Connection, people: Sequence[Person], conditions: Sequence[Condition], moment: Moment
) -> None:
    """Assert that the database and the naive evaluator agree on every person and condition, in every way."""
    stored = store(connection, people, moment.now)
    dialect, naive = connection.dialect.name, Naive(moment.now, moment.zone)
    for condition in conditions:
        wanted = [number for number, person in stored.items() if naive.holds(condition, person)]
        then = moment if looks_ahead(condition) else AnyMoment(zone=moment.zone)
        for asked, among in ((then, tables.cohort), (moment, AT_ONCE), (moment, BY_CUSTOMER)):
            query = members(condition, asked, dialect, among)
            assert sorted(connection.scalars(query, asked.values(moment))) == wanted
        if not needs(condition):
            assert ids(connection, members(condition, moment, dialect)) == wanted
        number = next(iter(stored))
        assert explained(connection, condition, moment, number, stored[number]) is (number in wanted)
    asked = [*conditions, None]
    chosen = connection.execute(branches(asked, moment, dialect, tables.cohort))
    assert {row.customer_id: row.branch for row in chosen} == {
        number: first(naive, conditions, person) for number, person in stored.items()
    }


def first(naive: Naive, conditions: Sequence[Condition], person: Person) -> int:
    held = (i for i, condition in enumerate(conditions) if naive.holds(condition, person))
    return next(held, len(conditions))


def explained(
    connection: Connection, condition: Condition, moment: Moment, number: int, person: Person
) -> bool:
    numbers = {id(happening): number * 100 + n for n, happening in enumerate(person.events)}
    # Nobody is asked before her stay has begun, but those of these worlds.
    begun = person.entered_at and min(person.entered_at, moment.now)
    times = (person.entered_at, begun, tables.LAST, person.arrived_at)
    stay = Stay(*times, numbers.get(id(person.began)))
    query = explain(condition, moment, connection.dialect.name, number, stay)
    row = connection.execute(query).mappings().one()
    return explanation(condition, row, moment).holds
