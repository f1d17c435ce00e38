"""Whatever hypothesis thinks of, the engine holds, refuses and sends what one would by looking at each message alone."""

from __future__ import annotations

import itertools
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.engine.bearing import Naive, Sender, about, span
from tests.engine.scene import ZONE, Personally, Scene
from treue.clock import Duration
from treue.cohorts.draws import place
from treue.engine.pressure.quiet_hours import SPREAD_SECONDS
from treue.language.pressure import Limit, Pressure, QuietHours
from treue.model.tables import customer, journey, message, metadata
from treue.store.store import Store

THOROUGH = int(os.environ.get("TREUE_TEST_THOROUGH", "1"))
ZONES = (ZONE, "America/New_York", "Pacific/Auckland", None)
SHARED = {"email": "both@example.com", "phone": "+4915199999999"}
_CHANNEL_OF = {"email": "email", "phone": "sms"}
STARTS = ("2026-03-02 10:00", "2027-03-27 12:00", "2027-10-30 12:00")

channels = st.sampled_from(["email", "sms", "push"])
lengths = st.sampled_from(
    [Duration(seconds=5400), Duration(days=1), Duration(days=1, seconds=43_200), Duration(days=3)]
)
limits = st.builds(
    Limit,
    st.integers(1, 3),
    lengths,
    st.none() | channels,
    st.none() | st.sampled_from(["promotional", "relational"]),
    st.sampled_from(["postpone", "drop"]),
)
times_of_day = st.sampled_from([0, 90, 150, 180, 360, 480, 720, 1200, 1320])
hours = st.builds(QuietHours, times_of_day, times_of_day).filter(lambda found: 0 < found.length < 1320)
senders = st.builds(
    Sender,
    st.sampled_from(["x"]),
    st.sampled_from(["promotional", "promotional", "relational", "transactional"]),
    st.sampled_from([20, 50, 80]),
    st.lists(channels, min_size=1, max_size=2, unique=True).map(tuple),
    st.sampled_from([timedelta(hours=3), timedelta(hours=11), timedelta(days=1), timedelta(days=4)]),
)
steps = st.lists(  # (minutes since the last thing, who orders; None: a pass)
    st.tuples(st.sampled_from([7, 59, 181, 400, 1013]), st.sampled_from([None, None, 0, 0, 1])),
    min_size=4,
    max_size=18,
)
worlds = st.tuples(
    st.sampled_from(STARTS),
    st.lists(senders, min_size=1, max_size=3),
    st.lists(limits, min_size=1, max_size=3),
    st.dictionaries(channels, hours, max_size=1),
    st.lists(st.sampled_from(ZONES), min_size=2, max_size=2),
    st.sampled_from([frozenset(), frozenset({"email"}), frozenset({"email", "sms"})]),
    steps,
)


@settings(
    max_examples=40 * THOROUGH,
    deadline=None,
    database=None,
    derandomize=THOROUGH == 1,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(world=worlds)
def test_every_message_fares_as_one_would_decide_by_looking_at_it_alone(
    store: Store, tmp_path: Path, world: Any
) -> None:
    start, given_senders, given_limits, quiet, zones, shared, given_steps = world
    named = [Sender(f"j{n}", *list(vars(one).values())[1:]) for n, one in enumerate(given_senders)]
    with store.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    scene = Scene(store, tmp_path / "state", start, Pressure(tuple(given_limits), quiet))
    try:
        scene.delivery.composer = Personally()
        naive = _play(scene, named, given_limits, quiet, zones, shared, given_steps)
    finally:
        scene.delivery.close()
    assert sorted(_outcomes(scene), key=str) == sorted((one.outcome for one in naive.letters), key=str)
    _look_at_the_windows(naive)
    _look_at_the_clocks(scene, quiet, dict(zip(("c0", "c1"), zones, strict=True)))


def _play(
    scene: Scene,
    named: list[Sender],
    given_limits: Any,
    quiet: Any,
    zones: Any,
    shared: frozenset[str],
    given_steps: Any,
) -> Naive:
    scene.journeys(**{one.name: _yaml(one) for one in named})
    for n, zone in enumerate(zones):
        addresses = {name: value for name, value in SHARED.items() if _CHANNEL_OF[name] in shared}
        scene.customer(f"c{n}", "email sms push", **addresses, **({"timezone": zone} if zone else {}))
    with scene.store.reading() as connection:
        draws = dict(connection.execute(select(customer.c.key, customer.c.draw)).all())
    spread = {
        key: timedelta(seconds=place(draw, "quiet\x1fsalt", SPREAD_SECONDS)) for key, draw in draws.items()
    }
    homes = {f"c{n}": zone for n, zone in enumerate(zones)}
    naive, orders = Naive(named, given_limits, quiet, homes, spread, ZONE, shared), []
    for n, (minutes, who) in enumerate([*given_steps, (1, None)]):
        scene.now += timedelta(minutes=minutes)
        if who is not None:
            scene.event(f"c{who}", "order.placed", cart_id=str(n), total=1)
            orders.append((scene.now, f"c{who}"))
        else:
            scene.run()
            naive.run(scene.now, orders)
            orders = []
    return naive


def _yaml(one: Sender) -> str:
    basis = "" if one.category == "transactional" else "basis: consent\n"
    on = f"on: [{', '.join(one.channels)}], all: true, valid_for: {int(one.valid_for.total_seconds())}s"
    return (
        f"category: {one.category}\n{basis}priority: {one.priority}\n"
        "enter: {event: order.placed, per: cart_id, again: always}\n"
        f"steps: [{{send: hello, {on}}}]\n"
    )


def _outcomes(scene: Scene) -> list[tuple[Any, ...]]:
    of = message.c
    query = (
        select(
            journey.c.name,
            customer.c.key,
            of.channel,
            of.due_at,
            of.state,
            of.reason,
            of.reserved_at,
            of.ready_at,
        )
        .join(customer, customer.c.id == of.customer_id)
        .join(journey, journey.c.id == of.journey_id)
    )
    with scene.store.reading() as connection:
        rows = connection.execute(query).all()
    return [(*row[:7], row.ready_at if row.state == "queued" else None) for row in rows]


def _look_at_the_windows(naive: Naive) -> None:
    """In no window, wherever it ends, are there more messages than a limit allows."""
    for limit, key in itertools.product(naive.limits, naive.zones):
        places = [
            one.reserved
            for one in naive.letters
            if one.customer == key and about(limit, one) and one.reserved
        ]
        for end in places:
            assert sum(end - span(limit.per) < one <= end for one in places) <= limit.at_most


def _look_at_the_clocks(scene: Scene, quiet: dict[str, QuietHours], zones: dict[str, str | None]) -> None:
    """Nothing is sent while the customer's clock shows quiet hours, nor after its time."""
    query = (
        select(customer.c.key, message.c.channel, message.c.sent_at, message.c.send_by)
        .join(customer, customer.c.id == message.c.customer_id)
        .where(message.c.sent_at.is_not(None), message.c.category != "transactional")
    )
    with scene.store.reading() as connection:
        rows = connection.execute(query).all()
    for key, channel, sent_at, send_by in rows:
        assert sent_at <= send_by
        if channel in quiet:
            local: datetime = sent_at.astimezone(ZoneInfo(zones[key] or ZONE))
            start, length = quiet[channel].start, quiet[channel].length
            assert (local.hour * 60 + local.minute - start) % 1440 >= length
