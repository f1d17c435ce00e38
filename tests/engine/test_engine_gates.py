"""Rates, pauses, the breaker, the brake, urgent messages, and what an operator decides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.engine.scene import Plainly, Scene, Sink
from treue.channel import Accepted, Outgoing, Progress, Receipt, Retry, Unknown
from treue.clock import EPOCH
from treue.delivery import doubts, gates
from treue.delivery.brakes import Brake, Pedal, brakes
from treue.delivery.consequences import count
from treue.delivery.dispatcher import Delivery
from treue.model.tables import message
from treue.store import journeys
from treue.store.store import Store

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: CHANNEL, valid_for: 3d}, {wait: 9d}]\n"
PAPER = "category: transactional\nenter: {event: cart.left}\nsteps: [{send: paper, on: email}]\n"


class Timed(Sink):
    """A sink that knows when each message came, by the clock of the test."""

    def __init__(self, kind: str, scene: Scene) -> None:
        super().__init__(kind)
        self.scene, self.tried = scene, list[tuple[datetime, str]]()

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        self.tried += [(self.scene.now, one.key) for one in batch]
        return super().send(batch, progress)


@pytest.fixture
def timed(scene: Scene, tmp_path: Path) -> Iterator[Scene]:
    """A scene whose real clock is the test's too, so that rates and pauses can be watched."""

    def sleep(seconds: float) -> None:
        scene.now += timedelta(seconds=seconds)

    for kind in scene.channels:
        scene.channels[kind] = Timed(kind, scene)
    made = Delivery(
        scene.store, scene.channels, Plainly(), tmp_path / "state", {}, clock=lambda: scene.now, sleep=sleep
    )
    scene.delivery.close()
    scene.delivery = scene.engine.delivery = made
    return scene


def _ordered(scene: Scene, number: int, event: str = "order.placed") -> None:
    for n in range(number):
        scene.customer(f"c{n}", consent="email sms push")
        scene.event(f"c{n}", event)


def test_no_more_go_in_any_second_than_the_rate_allows(timed: Scene) -> None:
    timed.delivery.rates = {"email": 40.0}
    timed.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(timed, 130)
    timed.run()
    times = [at for at, _ in timed.channels["email"].tried]
    assert len(times) == 130
    assert max(sum(first <= at < first + timedelta(seconds=1) for at in times) for first in times) <= 40
    assert times[-1] - times[0] < timedelta(seconds=4), "and not many fewer"


def test_a_rate_is_shared_by_all_workers(store: Store) -> None:
    granted = 0
    for n in range(20):
        moment = EPOCH + timedelta(milliseconds=n)
        with store.transaction() as connection:
            granted += gates.admit(connection, "email", moment, moment, 500, 100.0).limit
    assert granted == 5, "a twentieth of a second's messages, whoever asks"


def test_places_that_nobody_uses_are_given_back(store: Store) -> None:
    with store.transaction() as connection:
        first = gates.admit(connection, "email", EPOCH, EPOCH, 500, 100.0)
        gates.give_back(connection, "email", first.limit, 100.0)
        assert gates.admit(connection, "email", EPOCH, EPOCH, 500, 100.0) == first


def test_a_pause_that_the_provider_asks_for_is_kept_for_all_messages_and_charged_to_none(
    timed: Scene,
) -> None:
    timed.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(timed, 3)
    timed.channels["email"].answers = [
        Accepted(),
        Retry("429", after=120, everyone=True),
    ]
    timed.run()
    timed.customer("late", consent="email")
    timed.event("late", "order.placed")
    timed.later(seconds=119)
    assert len(timed.sent()) == 1
    timed.later(seconds=2)
    assert len(timed.sent()) == 4
    with timed.store.reading() as connection:
        assert sorted(connection.scalars(select(message.c.attempts))) == [1, 1, 1, 1]


def test_half_an_hour_of_trouble_costs_no_copies_no_early_retry_and_no_other_channel(timed: Scene) -> None:
    timed.journeys(
        hello=SEND.replace("CHANNEL", "email"), text=SEND.replace("CHANNEL", "sms").replace("hello", "text")
    )
    _ordered(timed, 60)
    email, began, allowed = timed.channels["email"], timed.now, timed.now
    trouble = [
        lambda: Retry("429 Too Many Requests", after=120, everyone=True),
        lambda: Retry("503 with Retry-After", after=45, everyone=True),
        lambda: Unknown("timed out"),
    ]
    while timed.now < began + timedelta(minutes=45):
        broken, tried = timed.now < began + timedelta(minutes=30), len(email.tried)
        email.answers = [trouble[(tried + n) % 3]() for n in range(100)] if broken else []
        if broken:
            answer = email.answers[0]
        timed.run()
        if len(email.tried) > tried:
            assert email.tried[tried][0] >= allowed, "sooner than the provider allowed"
            if broken and isinstance(answer, Retry):
                allowed = timed.now + timedelta(seconds=answer.after)
        timed.now += timedelta(seconds=15)
    keys = [one.key for one in email.sent]
    assert len(keys) == len(set(keys))
    states = [row[3] for row in timed.messages() if row[2] == "email"]
    assert set(states) == {"sent", "in_doubt"}
    assert len(keys) == states.count("sent")
    doubtful = {key for _, key in email.tried} - set(keys)
    assert states.count("in_doubt") <= len(doubtful) + 1
    assert len(timed.sent("sms")) == 60
    assert all(at < began + timedelta(minutes=1) for at, _ in timed.channels["sms"].tried)


def test_the_breaker_opens_at_the_fifth_failure_and_one_message_tries_first(timed: Scene) -> None:
    timed.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(timed, 50)
    email = timed.channels["email"]
    for _ in range(5):
        email.answers = [Retry("refused", after=1, everyone=True)] * 50
        timed.run()
        timed.now += timedelta(seconds=2)
    tried = len(email.tried)
    email.answers = []
    timed.run()
    assert len(email.tried) == tried, "open"
    timed.later(seconds=30)
    assert len(email.sent) == 50
    first = [at for at, _ in email.tried[tried:]]
    assert len(first) == 50


def test_urgent_messages_overtake_whatever_waits(timed: Scene) -> None:
    timed.delivery.rates = {"email": 20.0}
    timed.journeys(hello=SEND.replace("CHANNEL", "email"), paper=PAPER)
    _ordered(timed, 40)
    timed.engine.delivery = None
    timed.run()
    timed.customer("urgent", consent="")
    timed.event("urgent", "cart.left")
    timed.run()
    timed.engine.delivery = timed.delivery
    timed.engine.deliver(next(v.journey_id for v in timed.engine.versions() if v.name == "hello"), timed.now)
    assert timed.templates()[0] == "paper"
    assert len(timed.sent()) == 41


def test_urgent_messages_of_a_paused_journey_wait_though_those_of_others_go(scene: Scene) -> None:
    scene.journeys(paper=PAPER, bill=PAPER.replace("paper", "bill"))
    scene.customer("ada", consent="")
    scene.event("ada", "cart.left")
    delivery, scene.engine.delivery = scene.engine.delivery, None
    scene.run()
    scene.engine.delivery = delivery
    with scene.store.transaction() as connection:
        journeys.pause(connection, "paper", scene.now)
    scene.later(minutes=1)
    assert scene.templates() == ["bill"]
    with scene.store.transaction() as connection:
        journeys.pause(connection, "paper", None)
    scene.later(minutes=1)
    assert scene.templates() == ["bill", "paper"]


def test_a_slice_of_time_ends_a_delivery_that_the_next_one_goes_on_with(timed: Scene) -> None:
    timed.delivery.rates, timed.delivery.slice_seconds = {"email": 10.0}, 1.0
    timed.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(timed, 30)
    assert timed.run().delivered.unfinished
    first = len(timed.sent())
    assert 0 < first < 30
    while timed.run().delivered.unfinished:
        pass
    assert len(timed.sent()) == 30


def test_a_worker_that_winds_down_finishes_the_batch_in_hand_and_claims_no_more(timed: Scene) -> None:
    timed.delivery.rates = {"email": 10.0}
    timed.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(timed, 30)
    email = timed.channels["email"]
    send = email.send

    def asked_to_end_meanwhile(batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        timed.delivery.wind_down()
        return send(batch, progress)

    email.send = asked_to_end_meanwhile  # type: ignore[method-assign]
    assert timed.run().delivered.unfinished
    first = len(timed.sent())
    assert 0 < first < 30
    assert timed.run().delivered.unfinished
    assert len(timed.sent()) == first
    with timed.store.reading() as connection:
        states = list(connection.scalars(select(message.c.state)))
    assert (states.count("sent"), states.count("queued")) == (first, 30 - first)


@pytest.mark.parametrize(
    ("brake", "pedal"),
    [
        (Brake(199, 199, 199), Pedal.off),
        (Brake(1000, 0, 1), Pedal.off),
        (Brake(1000, 0, 2), Pedal.slow),
        (Brake(10_000, 0, 15), Pedal.warn),
        (Brake(1000, 0, 3), Pedal.stop),
        (Brake(1000, 20, 0), Pedal.off),
        (Brake(1000, 21, 0), Pedal.warn),
        (Brake(1000, 50, 0), Pedal.stop),
    ],
)
def test_the_brake_comes_on_at_the_rates_of_the_mailbox_providers(brake: Brake, pedal: Pedal) -> None:
    assert brake.pedal is pedal
    assert bool(brake.sentence) is (pedal is not Pedal.off)


def test_the_brake_stops_marketing_and_not_an_orders_papers_and_lets_go_a_day_later(timed: Scene) -> None:
    timed.journeys(hello=SEND.replace("CHANNEL", "email"), paper=PAPER)
    with timed.store.transaction() as connection:
        count(connection, "email", timed.now, sent=1000, complained=3)
        assert brakes(connection, timed.now)["email"].pedal is Pedal.stop
    _ordered(timed, 2)
    timed.event("c0", "cart.left")
    timed.run()
    assert timed.templates() == ["paper"]
    timed.later(hours=25)
    assert sorted(timed.templates()) == ["hello", "hello", "paper"]


def test_a_message_that_workers_die_with_comes_to_be_alone_and_is_set_aside_in_the_end(scene: Scene) -> None:
    scene.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(scene, 6)
    scene.engine.delivery = None
    scene.run()
    with scene.store.transaction() as connection:
        first = connection.scalar(select(message.c.id).order_by(message.c.id))
        connection.execute(update(message).where(message.c.id == first).values(crashes=3))
    dead = "elsewhere/1/x"
    assert [one.id for one in scene.claim("email", dead)] == [first + n for n in range(1, 6)], (
        "all others first"
    )
    assert [one.id for one in scene.claim("email", dead)] == [first]
    with scene.store.transaction() as connection:
        connection.execute(update(message).where(message.c.id == first).values(crashes=9))
    _die(scene, dead)
    assert [row[3:5] for row in scene.messages()] == [("failed", "poison")] + [("queued", None)] * 5


def _die(scene: Scene, worker: str) -> None:
    """Let a worker of this host be gone, with a log in which nothing was started."""
    import socket

    from treue.delivery.acceptance import AcceptanceLog

    gone = f"{socket.gethostname()}/999999999/x"
    os.close(AcceptanceLog(scene.engine.state, gone)._file)  # type: ignore[arg-type]
    with scene.store.transaction() as connection:
        connection.execute(update(message).where(message.c.worker == worker).values(worker=gone))
    scene.engine.recover(scene.now)


def test_doubts_are_listed_and_sent_again_or_dropped_when_somebody_says_so(scene: Scene) -> None:
    scene.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(scene, 2)
    scene.channels["email"].answers = [Unknown("lost")] * 2
    scene.run()
    with scene.store.transaction() as connection:
        listed = doubts.doubts(connection)
        assert [(one["customer"], one["why"]) for one in listed] == [("c0", "lost"), ("c1", "lost")]
        assert doubts.drop(connection, scene.now, [listed[0]["message"]]) == 1
        assert doubts.resend(connection, scene.now) == 1
        assert doubts.doubts(connection) == []
    scene.later(days=4)
    assert [row[3:5] for row in scene.messages()] == [("refused", "dropped"), ("refused", "stale")], (
        "valid for 3d"
    )


def test_what_failed_goes_again_when_somebody_says_so_and_is_valid_once_more(scene: Scene) -> None:
    scene.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(scene, 1)
    scene.channels["email"].answers = [Retry("busy", after=1)] * 8
    scene.run()
    for _ in range(8):
        scene.later(hours=1, seconds=10)
    assert scene.messages()[0][3] == "failed"
    scene.now += timedelta(days=30)
    with scene.store.transaction() as connection:
        assert doubts.retry(connection, scene.now) == 1
    scene.later(minutes=1)
    assert scene.messages()[0][3] == "sent"


def test_a_transactional_message_of_unknown_fate_is_sent_again(scene: Scene) -> None:
    scene.journeys(paper=PAPER)
    scene.customer("ada", consent="")
    scene.event("ada", "cart.left")
    scene.channels["email"].answers = [Unknown("timed out")]
    scene.run()
    scene.later(minutes=2)
    assert scene.templates() == ["paper"]
    assert scene.messages()[0][3] == "sent"


EITHER = (
    "enter: {event: order.placed}\nsteps: [{send: hello, on: [push, email], valid_for: 3d}, {wait: 9d}]\n"
)


def test_while_a_channel_is_down_its_messages_go_by_the_steps_next_one_and_what_is_in_doubt_does_not(
    timed: Scene,
) -> None:
    timed.journeys(hello=EITHER)
    push = timed.channels["push"]
    push.answers = [Unknown("timed out")] + [Retry("down", after=1, everyone=True)] * 9
    _ordered(timed, 1)
    timed.run()
    for key, consent in [("c1", "push email"), ("c2", "push email"), ("only-push", "push")]:
        timed.customer(key, consent=consent)
        timed.event(key, "order.placed")
    for _ in range(6):
        timed.run()
        timed.now += timedelta(seconds=2)
    timed.later(seconds=5)
    assert sorted((row[0], row[2], row[3]) for row in timed.messages()) == [
        ("c0", "push", "in_doubt"),
        ("c1", "email", "sent"),
        ("c2", "email", "sent"),
        ("only-push", "push", "queued"),
    ]
    assert len(push.sent) == 0


def test_of_a_steps_channels_the_one_a_customer_likes_best_comes_first_where_it_reaches_them(
    scene: Scene,
) -> None:
    scene.journeys(hello=EITHER)
    for key, likes, consent in [
        ("a", "email", "push email"),
        ("b", "email", "push"),
        ("c", "sms", "push email"),
    ]:
        scene.customer(key, consent=consent, preferred_channel=likes)
        scene.event(key, "order.placed")
    scene.run()
    assert sorted((row[0], row[2]) for row in scene.messages()) == [
        ("a", "email"),
        ("b", "push"),
        ("c", "push"),
    ]


def test_an_adapter_that_takes_many_at_once_is_given_as_many_as_half_a_second_has(store: Store) -> None:
    granted: list[tuple[datetime, int]] = []
    for n in range(40):
        moment = EPOCH + timedelta(milliseconds=50 * n)
        with store.transaction() as connection:
            granted.append((moment, gates.admit(connection, "sms", moment, moment, 500, 10.0, 16).limit))
    assert [n for _, n in granted if n] == [5] * 4, "not one by one: each request takes its time"
    assert all(
        sum(n for at, n in granted if first <= at < first + timedelta(seconds=1)) <= 10
        for first, _ in granted
    )


@pytest.mark.parametrize("rate", [1.0, 100.0])
def test_a_clock_that_was_put_back_or_a_slower_rate_of_before_keeps_nobody_waiting(
    store: Store, rate: float
) -> None:
    with store.transaction() as connection:
        assert gates.admit(connection, "email", EPOCH, EPOCH + timedelta(hours=2), 500, 1 / 3600).limit == 1
        assert gates.admit(connection, "email", EPOCH, EPOCH, 500, rate).limit > 0


def test_a_slow_channel_keeps_no_other_waiting(timed: Scene) -> None:
    both = (
        "enter: {event: order.placed}\nsteps: [{send: hello, on: email}, {send: text, on: sms}, {wait: 9d}]\n"
    )
    timed.delivery.rates, timed.delivery.slice_seconds = {"email": 0.5, "sms": 20.0}, 15.0
    timed.journeys(hello=both)
    _ordered(timed, 100)
    assert timed.run().delivered.unfinished
    assert len(timed.sent("sms")) == 100, "in the time in which a few mails went"
    assert 5 <= len(timed.sent("email")) <= 9


def test_marketing_that_the_brake_has_stopped_is_nothing_to_do(timed: Scene) -> None:
    timed.journeys(hello=SEND.replace("CHANNEL", "email"), paper=PAPER)
    _ordered(timed, 2)
    with timed.store.transaction() as connection:
        count(connection, "email", timed.now, sent=1000, complained=3)
    timed.run()
    assert timed.later(seconds=0).journeys == []
    timed.event("c0", "cart.left")
    assert timed.later(seconds=15).delivered.sent == 1


def test_a_plan_is_made_in_no_time_though_the_brake_slows(timed: Scene) -> None:
    from treue.engine.what_if.forecast import forecast

    timed.journeys(hello=SEND.replace("CHANNEL", "email"))
    _ordered(timed, 30)
    with timed.store.transaction() as connection:
        count(connection, "email", timed.now, sent=1000, complained=2)
        gates.admit(connection, "email", timed.now, timed.now, 500, 1.0)
    found = forecast(timed.engine, ["email", "sms", "push"], lambda store: None, timed.now)
    assert found.journeys["hello"].sent == {"email": 30}


def test_a_message_that_went_by_the_other_channel_too_is_not_moved_onto_it(timed: Scene) -> None:
    timed.journeys(hello=EITHER)
    _ordered(timed, 2)
    timed.engine.delivery = None
    timed.run()
    timed.engine.delivery = timed.delivery
    with timed.store.transaction() as connection:
        row = dict(connection.execute(select(message).order_by(message.c.id)).mappings().first() or {})
        twin = {**row, "id": None, "channel": "email", "state": "sent"}
        connection.execute(message.insert().values({k: v for k, v in twin.items() if k != "id"}))
        for _ in range(gates.FAILURES):
            gates.failed(connection, "push", timed.now, 60.0, "down")
    first, other, _ = [row[0] for row in timed.messages()]  # PostgreSQL queues them in any order
    timed.run()
    assert [(row[0], row[2], row[3]) for row in timed.messages()] == [
        (first, "push", "queued"),
        (other, "email", "sent"),
        (first, "email", "sent"),
    ]
