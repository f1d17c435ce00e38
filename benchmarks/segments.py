"""Seconds to find a segment's members, and how often faster than asking about each customer by itself.

    python benchmarks/segments.py            100,000 customers, 1,000,000 events
    python benchmarks/segments.py --small    a tenth of a tenth, to see that it works

SQLite always; PostgreSQL where TREUE_TEST_POSTGRES or the local socket answers. Both formulations of a segment
run in turn within one process on the same data, so that their ratio says more than either figure.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, func, insert, make_url, select, text
from sqlalchemy.event import listen
from sqlalchemy.exc import OperationalError

from treue.clock import Duration
from treue.model.tables import (
    cohort,
    customer,
    enrollment,
    event,
    journey,
    journey_version,
    message,
    metadata,
    step,
)
from treue.segments.functions import add_functions
from treue.segments.sql import Moment, branches, members
from treue.segments.tree import Ahead, All, AnyOf, Condition, Not, Op
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.message.word import MessageWas

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MOMENT = Moment(NOW, "UTC")  # the hand-written alternatives count days of 24 hours
YEARS_2 = 730 * 86_400
BATCH = 20_000
RUNS = 3
DEFAULT_POSTGRES = "postgresql+psycopg:///test?host=/var/run/postgresql&user=root"
ORDERED = "order.placed"
DAYS_90, DAYS_180 = Duration(days=90), Duration(days=180)
TEMPLATES = ("news-1", "news-2", "news-3", "news-4", "news-5")


@dataclass(frozen=True)
class Row:
    """One line of the report: `ratio` is the alternative's time by the compiler's, both medians."""

    database: str
    case: str
    members: int
    seconds: float
    alternative: str
    alternative_seconds: float
    ratio: float


@dataclass(frozen=True)
class Case:
    """A condition, and the same asked of each customer by itself."""

    name: str
    condition: Condition
    per_customer: str


def lately(days: int) -> int:
    return int((NOW - timedelta(days=days) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000


ORDERS = f"FROM event e WHERE e.name = '{ORDERED}' AND e.customer_id = c.id"
CASES = [
    Case(
        "country is DE or AT",
        Attribute("country", "text", (Op("in", ("DE", "AT")),)),
        "SELECT c.id FROM customer c WHERE {country} IN ('DE', 'AT')",
    ),
    Case(
        "at least 2 orders in 90 days",
        Happened(ORDERED, (Op("at_least", (2,)),), within=DAYS_90),
        f"SELECT c.id FROM customer c WHERE (SELECT count(*) {ORDERS} AND e.at > {lately(90)}) >= 2",
    ),
    Case(
        "lapsed: ordered, but not in 180 days",
        All((Happened(ORDERED), Not(Happened(ORDERED, within=DAYS_180)))),
        f"SELECT c.id FROM customer c WHERE EXISTS (SELECT 1 {ORDERS}) "
        f"AND NOT EXISTS (SELECT 1 {ORDERS} AND e.at > {lately(180)})",
    ),
    Case(
        "opened any of five mails",
        AnyOf(tuple(MessageWas(template, "opened") for template in TEMPLATES)),
        "SELECT c.id FROM customer c WHERE EXISTS (SELECT 1 FROM message m WHERE m.customer_id = c.id "
        f"AND m.opened_at IS NOT NULL AND m.template IN {TEMPLATES})",
    ),
    Case(
        "birthday in a week",
        Attribute("birthday", "date", (Op("anniversary_in", (Ahead(Duration(days=7)),)),)),
        "SELECT c.id FROM customer c WHERE substr({birthday}, 6) BETWEEN '03-01' AND '03-08'",
    ),
    Case(
        "country matches a pattern",
        Attribute("country", "text", (Op("matches", ("^(DE|AT)$",)),)),
        "SELECT c.id FROM customer c WHERE {country} IN ('DE', 'AT')",
    ),
    Case(
        "recency, frequency and value",
        All(
            (
                Happened(ORDERED, (Op("at_least", (3,)),), within=Duration(days=365)),
                Aggregate("sum", ORDERED, "total", "number", (Op("above", (300,)),), Duration(days=365)),
                Happened(ORDERED, last=(Op("after", ("2025-12-01",)),)),
            )
        ),
        f"SELECT c.id FROM customer c WHERE (SELECT count(*) {ORDERS} AND e.at > {lately(365)}) >= 3 "
        f"AND (SELECT sum({{total}}) {ORDERS} AND e.at > {lately(365)}) > 300 "
        f"AND (SELECT max(e.at) {ORDERS}) >= {lately(89)}",
    ),
]
LAPSED = f"""SELECT c.id FROM customer c WHERE c.id IN (SELECT customer_id FROM event WHERE name = '{ORDERED}'
    EXCEPT SELECT customer_id FROM event WHERE name = '{ORDERED}' AND at > {lately(180)})"""
JSON = {
    "sqlite": {
        "country": "c.attributes ->> 'country'",
        "birthday": "c.attributes ->> 'birthday'",
        "total": "e.properties ->> 'total'",
    },
    "postgresql": {
        "country": "c.attributes ->> 'country'",
        "birthday": "c.attributes ->> 'birthday'",
        "total": "(e.properties ->> 'total')::numeric",
    },
}


def run(small: bool = False) -> list[dict[str, Any]]:
    """Return the report's rows for every database there is."""
    customers = 1_000 if small else 100_000
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'bench.db'}")
        listen(engine, "connect", lambda connection, _record: add_functions(connection))
        rows += measure(engine, customers)
        engine.dispose()
    with postgres() as found:
        rows += measure(found, customers) if found else []
    return [asdict(row) for row in rows]


@contextmanager
def postgres() -> Iterator[Engine | None]:
    url = make_url(os.environ.get("TREUE_TEST_POSTGRES", DEFAULT_POSTGRES))
    server, schema = create_engine(url), f"bench_{uuid.uuid4().hex[:12]}"
    try:
        with server.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except OperationalError:
        yield None
        return
    own = {"options": f"-csearch_path={schema}", "application_name": schema}
    engine = create_engine(url.update_query_dict(own))
    try:
        yield engine
    finally:
        engine.dispose()
        with server.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        server.dispose()


def measure(engine: Engine, customers: int) -> list[Row]:
    metadata.create_all(engine)
    with engine.connect() as connection:
        fill(connection, customers)
        connection.commit()
        tidy(engine)
        rows = [compare(connection, case) for case in CASES]
        rows.append(set_difference(connection))
        size = min(10_000, customers // 4)
        fill_cohort(connection, customers, size)
        rows += [membership(connection, case, size) for case in CASES]
    return rows


def tidy(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"))


def fill(connection: Connection, customers: int) -> None:
    chance = random.Random(2026)
    some = ("DE", "AT", "CH", "FR", "NL", "IT", "PL", "DK")
    load(connection, customer, (a_customer(i, chance.choice(some)) for i in range(1, customers + 1)))
    load(connection, event, (an_event(i, chance, customers) for i in range(customers * 10)))
    connection.execute(insert(journey), {"id": 1, "name": "news", "live_since": NOW})
    version = {"id": 1, "journey_id": 1, "hash": "", "plan": {}, "source": "", "since": NOW}
    connection.execute(insert(journey_version), version)
    connection.execute(insert(step), [{"id": i, "journey_id": 1, "name": f"s{i}"} for i in range(1, 11)])
    load(connection, enrollment, (a_stay(i) for i in range(1, customers + 1)))
    load(connection, message, (a_mail(i, s, chance) for i in range(1, customers + 1) for s in range(1, 6)))


def load(connection: Connection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            connection.execute(insert(table), batch)
            batch = []
    if batch:
        connection.execute(insert(table), batch)


def a_customer(number: int, country: str) -> dict[str, Any]:
    birthday = f"{1940 + number % 60}-{1 + number % 12:02}-{1 + number % 28:02}"
    attributes = {"country": country, "first_name": f"Ada {number}", "age": number % 80, "birthday": birthday}
    times = {"created_at": NOW, "updated_at": NOW}
    return {"id": number, "key": f"c{number}", "draw": number, "attributes": attributes} | times


def an_event(number: int, chance: random.Random, customers: int) -> dict[str, Any]:
    """One event in two years; a fifth are orders, and few customers place many of them."""
    who = 1 + int(customers * chance.random() ** 2)
    name = ORDERED if number % 5 == 0 else ("page.viewed", "cart.left")[number % 2]
    at = NOW - timedelta(seconds=chance.randrange(YEARS_2))
    properties = {"total": round(chance.random() * 200, 2), "currency": "EUR"}
    rest = {"properties": properties, "source": "shop", "received_at": at}
    return {"key": f"e{number}", "customer_id": who, "name": name, "at": at} | rest


def a_stay(number: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": number, "journey_id": 1, "version_id": 1, "customer_id": number, "per": ""}
    return (
        row
        | dict.fromkeys(("entered_at", "arrived_at", "due_at"), NOW)
        | {"held_out": False, "outcome": "finished"}
    )


def a_mail(customer_id: int, number: int, chance: random.Random) -> dict[str, Any]:
    sent = NOW - timedelta(days=7 * number)
    keys = {"journey_id": 1, "version_id": 1, "enrollment_id": customer_id, "step_id": number}
    row = keys | dict.fromkeys(("queued_at", "due_at", "ready_at", "send_by", "sent_at"), sent)
    opened = sent + timedelta(hours=1) if chance.random() < 0.2 else None
    kind = {"channel": "email", "template": f"news-{number}", "category": "promotional", "state": "sent"}
    return row | kind | {"customer_id": customer_id, "opened_at": opened}


def fill_cohort(connection: Connection, customers: int, size: int) -> None:
    cohort.create(connection, checkfirst=True)
    chosen = random.Random(7).sample(range(1, customers + 1), size)
    load(connection, cohort, ({"enrollment_id": i, "customer_id": i, "entered_at": NOW} for i in chosen))


def compare(connection: Connection, case: Case) -> Row:
    compiled = members(case.condition, MOMENT, connection.dialect.name)
    other = text(case.per_customer.format(**JSON[connection.dialect.name]))
    return race(connection, case.name, lambda: rows_of(connection, compiled), "per customer", other)


def set_difference(connection: Connection) -> Row:
    lapsed = CASES[2]
    compiled = members(lapsed.condition, MOMENT, connection.dialect.name)
    return race(
        connection, lapsed.name, lambda: rows_of(connection, compiled), "set difference", text(LAPSED)
    )


def membership(connection: Connection, case: Case, size: int) -> Row:
    name = connection.dialect.name
    compiled = branches([case.condition], MOMENT, name, cohort)
    taken = (
        select(func.count()).select_from(compiled.where(text("1 = 1")).subquery()).where(text("branch = 0"))
    )
    inner = case.per_customer.format(**JSON[name])
    other = text(f"{inner} AND c.id IN (SELECT customer_id FROM cohort)")
    return race(
        connection, f"{case.name}, of {size}", lambda: connection.scalar(taken) or 0, "per customer", other
    )


def rows_of(connection: Connection, query: Any) -> int:
    return len(connection.execute(query).all())


def race(connection: Connection, name: str, ours: Callable[[], int], kind: str, theirs: Any) -> Row:
    mine: list[float] = []
    other: list[float] = []
    for _ in range(RUNS):
        found, seconds = timed(ours)
        mine.append(seconds)
        expected, seconds = timed(lambda: rows_of(connection, theirs))
        other.append(seconds)
        if found != expected:
            raise AssertionError(f"{name}: compiled finds {found}, {kind} {expected}")
    took, alternative = median(mine), median(other)
    ratio = round(alternative / took, 2)
    return Row(connection.dialect.name, name, found, round(took, 4), kind, round(alternative, 4), ratio)


def timed(work: Callable[[], int]) -> tuple[int, float]:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="1,000 customers and 10,000 events")
    for row in run(parser.parse_args().small):
        print(
            f"{row['database']:<11}{row['case']:<48}{row['members']:>8}{row['seconds']:>9.3f} s"
            f"{row['alternative']:>16}{row['alternative_seconds']:>9.3f} s{row['ratio']:>7.2f}x"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
