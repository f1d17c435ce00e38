"""A replay that jumps from instant to instant tells the story of one in which passes are dense: message for message."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from treue.clock import parse_instant, utc_now
from treue.composition.simulation import Clock, Period, living
from treue.engine.what_if.replay import Tick, replay
from treue.model.tables import customer, enrollment, journey, message, step, trace
from treue.store import consents, customers, events, history
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.row_files.recognition import recognise
from treue.store.store import Store
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

BEGIN = datetime(2026, 3, 16, tzinfo=UTC)  # the clocks change in Europe on the 29th
DAYS = 24
ZONES = (None, "Europe/Berlin", "America/New_York", "Asia/Kathmandu")
MOMENT = timedelta(microseconds=1)

Story = dict[str, list[Any]]


def jumping(clock: Clock) -> Iterator[Tick]:
    return clock.ticks()


def dense(every: timedelta) -> Any:
    """Return ticks between those of the clock, too: regularly, and just before and just after each of them."""

    def ticks(clock: Clock) -> Iterator[Tick]:
        last = clock.period.start
        for tick in clock.ticks():
            while last + every < tick.now:
                last += every
                yield Tick(last, sense=False)
            if last < tick.now - MOMENT:
                yield Tick(tick.now - MOMENT, sense=False)
            yield tick
            last = tick.now + MOMENT
            yield Tick(last, sense=False)

    return ticks


def told(past: history.History, period: Period, folder: Path, ticks: Any) -> tuple[int, Story]:
    """Live through a past; return how many passes that took, and what became of everybody."""
    folder.mkdir()
    workspace = load(reference_workspace())
    with living(workspace, past, period, folder) as clock:
        passes = replay(clock.engine, ticks(clock), clock.happen, lambda _: None).passes
        assert not clock.pace.crowded
        with clock.engine.store.reading() as connection:
            return passes, {
                name: sorted(map(repr, connection.execute(query)))
                for name, query in (("messages", _MESSAGES), ("stays", _STAYS), ("decisions", _DECISIONS))
            }


_MESSAGES = (
    select(customer.c.key, journey.c.name, step.c.name, message.c.template, message.c.channel, message.c.due_at,
           message.c.state, message.c.reason, message.c.reserved_at, message.c.sent_at)
    .join_from(message, customer, customer.c.id == message.c.customer_id)
    .join(journey, journey.c.id == message.c.journey_id)
    .join(step, step.c.id == message.c.step_id)
)  # fmt: skip
_STAYS = (
    select(customer.c.key, journey.c.name, enrollment.c.entered_at, enrollment.c.outcome, enrollment.c.reason,
           enrollment.c.left_at, enrollment.c.due_at)
    .join_from(enrollment, customer, customer.c.id == enrollment.c.customer_id)
    .join(journey, journey.c.id == enrollment.c.journey_id)
)  # fmt: skip
_DECISIONS = (
    select(customer.c.key, journey.c.name, trace.c.at, trace.c.decision, trace.c.reason)
    .join_from(trace, customer, customer.c.id == trace.c.customer_id)
    .join(journey, journey.c.id == trace.c.journey_id)
)


@pytest.fixture(params=range(3))
def lives(request: pytest.FixtureRequest, tmp_path: Path) -> history.History:
    """What some customers of the reference shop did, at whatever second."""
    rng = random.Random(request.param)
    source = Store.open(f"sqlite:///{tmp_path / 'shop.db'}", create=True)
    people, words, happened = [], [], []
    for n in range(14):
        key, born = f"c{n}", _at(rng, -40)
        day = BEGIN.date() + timedelta(days=rng.randrange(-3, DAYS))
        own = {"birthday": f"1980-{day:%m-%d}", "country": "DE", "city": rng.choice(("Hamburg", "Wien"))}
        people.append(
            CustomerInput(
                key,
                f"{key}@example.com",
                f"+49151123456{n:02}",
                f"token-{n}",
                "de",
                rng.choice(ZONES),
                own,
                born,
            )
        )
        words += [
            ConsentInput(key, channel, born) for channel in ("email", "sms", "push") if rng.random() < 0.7
        ]
        for _ in range(rng.randrange(1, 9)):
            name, says = rng.choice((*[("order.placed", {"total": rng.randrange(5, 120), "quantity": 1})] * 3,
                                     ("cart.abandoned", {"cart_id": key, "total": 20}), ("product.viewed", {"category": "x"}),
                                     ("consent.withdrawn", {"channel": "sms"})))  # fmt: skip
            at = max(_at(rng, -40), born + timedelta(seconds=1))
            happened.append(EventInput(key, name, at, says, f"{key}-{len(happened)}"))
    with source.transaction() as connection:
        now = BEGIN + timedelta(days=DAYS)
        customers.upsert(connection, people, now)
        consents.give(connection, words, now)
        events.record(connection, sorted(happened, key=lambda one: one.at or now), now, routed=True)
    found = history.copied(source, tmp_path / "past.db", "the shop")
    source.close()
    return found


def _at(rng: random.Random, first: int) -> datetime:
    return BEGIN + timedelta(days=rng.randrange(first, DAYS), seconds=rng.randrange(86_400))


def test_what_a_shop_s_customers_did_comes_out_the_same(lives: history.History, tmp_path: Path) -> None:
    period = Period(BEGIN, BEGIN + timedelta(days=DAYS))
    few, jumped = told(lives, period, tmp_path / "jumping", jumping)
    many, story = told(lives, period, tmp_path / "dense", dense(timedelta(minutes=150)))
    assert jumped == story
    assert len(story["messages"]) > 20
    assert few < many / 3


@pytest.mark.data
def test_three_weeks_of_cdnow_come_out_the_same(data_dir: Path, tmp_path: Path) -> None:
    settings = load(reference_workspace()).settings
    columns = {"date": "at", "amount": "total"}
    past = history.imported(
        recognise(data_dir / "cdnow.csv.gz"), tmp_path / "past.db", columns, settings.schema.events, utc_now(),
        settings.timezone, settings.locale, "order.placed",
    )  # fmt: skip
    start, end = (parse_instant(day, settings.timezone) for day in ("1997-03-20", "1997-04-10"))
    assert start
    assert end
    few, jumped = told(past, Period(start, end), tmp_path / "jumping", jumping)
    _, story = told(past, Period(start, end), tmp_path / "dense", dense(timedelta(hours=11)))
    assert jumped == story
    assert len(story["messages"]) > 5_000
    assert few < 50
