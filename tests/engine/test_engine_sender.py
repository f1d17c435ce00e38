"""What a provider says of our sender, our account or its sandbox: nobody is refused, nobody suppressed, and it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.engine.scene import Plainly, Scene
from tests.engine.test_engine_gates import Timed
from treue.channel import Accepted, DeliveryEvent, DeliveryEventKind, Receipt, Retry
from treue.delivery import doubts, receipts
from treue.delivery.dispatcher import HOPELESS, Delivery
from treue.delivery.outbox import message_key
from treue.insight.channels import held_channels
from treue.insight.status import status
from treue.insight.why import CustomerInquiry
from treue.model.tables import message, suppression
from treue.store import customers

HELLO = "enter: {event: order.placed}\nsteps: [{send: hello, on: sms, valid_for: 3d}, {wait: 9d}]\n"
COUNTRY = Retry(
    "Twilio answered 400: 21408 Permission to send an SMS has not been enabled.", 300.0, ours=True
)
ACCOUNT = Retry("Twilio answered 403: 20005 Account not active.", 300.0, everyone=True, ours=True)


class Abroad(Timed):
    """A provider that does not send to some customers until somebody has switched their country on."""

    objection: Receipt | None = COUNTRY

    def send(self, batch, progress):  # type: ignore[no-untyped-def]
        self.answers = [
            self.objection if self.objection and one.to.startswith("+41") else Accepted(one.key)
            for one in batch
        ]
        return super().send(batch, progress)


@pytest.fixture
def timed(scene: Scene, tmp_path: Path) -> Iterator[Scene]:
    """A scene whose real clock is the test's too, so that pauses can be watched."""

    def sleep(seconds: float) -> None:
        scene.now += timedelta(seconds=seconds)

    scene.channels["sms"] = Abroad("sms", scene)
    made = Delivery(
        scene.store, scene.channels, Plainly(), tmp_path / "state", {}, clock=lambda: scene.now, sleep=sleep
    )
    scene.delivery.close()
    scene.delivery = scene.engine.delivery = made
    scene.journeys(hello=HELLO)
    return scene


def _ordered(scene: Scene, *phones: str) -> None:
    for phone in phones:
        scene.customer(phone, consent="sms", phone=phone)
        scene.event(phone, "order.placed")


def _states(scene: Scene) -> dict[str, tuple[str, str | None]]:
    return {row[0]: (row[3], row[4]) for row in scene.messages()}


def _listed(scene: Scene) -> list[str]:
    with scene.store.reading() as connection:
        return list(connection.scalars(select(suppression.c.address)))


def _told(scene: Scene) -> str:
    with scene.store.reading() as connection:
        found = held_channels(connection, scene.now)
    return found["sms"].sentence if "sms" in found else ""


def test_a_country_that_is_not_switched_on_waits_while_all_others_go(timed: Scene) -> None:
    _ordered(timed, "+41791000001", "+4915110000001", "+4915110000002")
    timed.run()
    assert len(timed.sent("sms")) == 2
    assert _states(timed)["+41791000001"] == ("queued", "our_fault")
    assert _told(timed).startswith("a message waits: Twilio answered 400: 21408")
    assert "put it right there" in _told(timed)
    for _ in range(12):
        timed.later(hours=1)
        _ordered(timed, f"+49152100{len(timed.sent('sms')):05d}")
        timed.run()
    assert len(timed.sent("sms")) == 14, "nobody else was kept waiting by it"
    assert _states(timed)["+41791000001"] == ("queued", "our_fault")
    with timed.store.reading() as connection:
        assert max(connection.scalars(select(message.c.attempts))) == 1, "and it is charged for nothing"
    timed.channels["sms"].objection = None
    timed.later(hours=1)
    assert len(timed.sent("sms")) == 15
    assert _told(timed) == ""
    assert _listed(timed) == []


def test_where_nothing_goes_through_the_channel_pauses_and_says_why_and_what_helps(timed: Scene) -> None:
    _ordered(timed, "+41791000001")
    timed.run()
    tried = len(timed.channels["sms"].tried)
    _ordered(timed, "+4915110000001")
    timed.later(seconds=20)
    assert len(timed.channels["sms"].tried) == tried, "paused"
    with timed.store.reading() as connection:
        found = status(connection, timed.now)
    assert not found.healthy
    assert "21408" in found.channels["sms"].sentence
    assert "the settings: put it right there" in found.channels["sms"].sentence
    timed.later(seconds=11)
    assert len(timed.sent("sms")) == 1, "the next one to try is another"
    assert "paused" not in _told(timed)


def test_a_message_waits_longer_each_time_and_is_stale_in_the_end_with_the_reason(timed: Scene) -> None:
    _ordered(timed, "+41791000001")
    timed.run()
    for _ in range(24):
        timed.later(minutes=5)
    tried = [at for at, _ in timed.channels["sms"].tried]
    gaps = [later - earlier for earlier, later in pairwise(tried)]
    assert min(gaps) >= timedelta(minutes=5)
    assert gaps[-1] >= timedelta(minutes=30)
    timed.later(days=3)
    assert _states(timed)["+41791000001"] == ("refused", "stale")
    with timed.store.reading() as connection:
        assert connection.scalar(select(message.c.detail)) == COUNTRY.reason
    assert _listed(timed) == []


def test_an_account_that_may_not_send_tries_one_after_the_other_and_refuses_nobody(timed: Scene) -> None:
    abroad = timed.channels["sms"]
    abroad.objection = ACCOUNT
    _ordered(timed, *(f"+4179100{n:04d}" for n in range(40)))
    for _ in range(24):
        timed.run()
        timed.now += timedelta(hours=1)
    assert {state for state, _ in _states(timed).values()} == {"queued"}
    assert len(abroad.tried) < 40 + 24
    assert len({key for _, key in abroad.tried[-10:]}) > 1, "not the same one again and again"
    abroad.objection = None
    timed.later(hours=1)
    timed.later(hours=1)
    assert len(timed.sent("sms")) == 40
    assert _listed(timed) == []


def test_message_after_message_that_waits_for_us_ends_a_batch(timed: Scene) -> None:
    _ordered(timed, *(f"+4179100{n:04d}" for n in range(200)))
    timed.run()
    assert len(timed.channels["sms"].tried) <= HOPELESS + 1
    assert {state for state, _ in _states(timed).values()} == {"queued"}


def test_why_says_what_a_message_waits_for_and_says_it_once(timed: Scene) -> None:
    _ordered(timed, "+41791000001")
    for _ in range(5):
        timed.run()
        timed.now += timedelta(hours=1)
    with timed.store.reading() as connection:
        number = customers.find(connection, "+41791000001")["id"]  # type: ignore[index]
        trail = CustomerInquiry(connection, number, "Europe/Berlin", timed.now).trail("hello")
    held = [one for one in trail if one.decision == "held"]
    assert [(one.reason, one.values["why"], one.values["channel"]) for one in held] == [
        ("our_fault", COUNTRY.reason, "sms")
    ]


def _sent(scene: Scene) -> int:
    _ordered(scene, "+4915110000001")
    scene.run()
    with scene.store.reading() as connection:
        found: int = connection.scalar(select(message.c.id))
    return found


def _suspended(number: int, scene: Scene, **more: object) -> DeliveryEvent:
    given = {"ours": True, "status": "30002", "reason": "Account suspended", **more}
    return DeliveryEvent(f"e{number}", DeliveryEventKind.failed, scene.now, key=str(number), **given)  # type: ignore[arg-type]


def test_what_was_given_up_later_for_our_account_has_failed_pauses_the_channel_and_goes_again(
    timed: Scene,
) -> None:
    number = _sent(timed)
    with timed.store.reading() as connection:
        row = connection.execute(select(message)).one()
    first = message_key(number, row.queued_at)
    with timed.store.transaction() as connection:
        receipts.take(connection, "sms", [_suspended(number, timed, hard=True)], timed.now)
    assert _states(timed)["+4915110000001"] == ("failed", "our_fault")
    assert _listed(timed) == [], "whatever else the event says"
    assert "30002 Account suspended" in _told(timed)
    _ordered(timed, "+4915110000002")
    timed.later(minutes=4)
    assert len(timed.sent("sms")) == 1, "paused"
    with timed.store.transaction() as connection:
        assert doubts.retry(connection, timed.now) == 1
    timed.later(minutes=2)
    assert len(timed.sent("sms")) == 3
    keys = [one.key for one in timed.channels["sms"].sent]
    assert keys[0] == first
    assert len(set(keys)) == 3, "under another key: the provider would take it for the first"


def test_what_has_been_delivered_or_is_nobodys_is_not_made_to_fail(timed: Scene) -> None:
    number = _sent(timed)
    stranger = DeliveryEvent("s", DeliveryEventKind.failed, timed.now, address="+4915110000009", ours=True)
    with timed.store.transaction() as connection:
        delivered = DeliveryEvent("d", DeliveryEventKind.delivered, timed.now, key=str(number))
        receipts.take(connection, "sms", [delivered], timed.now)
        receipts.take(connection, "sms", [stranger, _suspended(number, timed)], timed.now)
    assert _states(timed)["+4915110000001"][0] == "sent"
    assert _listed(timed) == []
