"""One text to one mailbox: several records of one address get what says the same once; what becomes of it counts for all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.engine.scene import Scene
from treue.channel import DeliveryEvent, DeliveryEventKind, Refused, Retry
from treue.delivery import receipts
from treue.insight.why import CustomerInquiry
from treue.store import customers
from treue.store.inputs import CustomerInput

KIND = DeliveryEventKind
NEWS = "enter: {event: order.placed, again: always}\nsteps: [{send: news, on: CHANNEL}]\n"
CLICKS = """
enter: {event: order.placed, again: always}
steps:
  - send: news
    on: email
  - wait: 1d
  - choose:
      - if: {message: news, was: clicked}
        steps: [{set: {vip: true}}]
"""


@pytest.fixture
def twins(scene: Scene) -> Scene:
    """Two records of one mailbox, in two spellings, and one of another."""
    for key, email in (("b", "twin@example.com"), ("a", "Twin@Example.com"), ("c", "other@example.com")):
        scene.customer(key, email=email, phone=f"+49151000000{ord(key)}")
    scene.now += timedelta(days=2)
    return scene


def _order(scene: Scene, *keys: str) -> None:
    for key in keys:
        scene.event(key, "order.placed")


def _became(scene: Scene) -> list[tuple[str, str, str | None]]:
    return sorted((key, state, reason) for key, _, _, state, reason, _ in scene.messages())


def test_of_one_instant_the_smallest_key_gets_the_only_copy(twins: Scene) -> None:
    twins.journeys(news=NEWS.replace("CHANNEL", "email"))
    _order(twins, "b", "a", "c")
    twins.run()
    assert _became(twins) == [("a", "sent", None), ("b", "refused", "same_mailbox"), ("c", "sent", None)]
    assert len(twins.sent()) == 2


def test_the_record_whose_message_is_due_first_gets_it(twins: Scene) -> None:
    twins.journeys(news=NEWS.replace("CHANNEL", "email"))
    _order(twins, "b")
    twins.now += timedelta(seconds=1)
    _order(twins, "a")
    twins.run()
    assert _became(twins) == [("a", "refused", "same_mailbox"), ("b", "sent", None)]


@pytest.mark.parametrize(("hours", "second"), [(23, "refused"), (25, "sent")])
def test_after_a_day_the_same_text_may_go_to_the_mailbox_again(twins: Scene, hours: int, second: str) -> None:
    twins.journeys(news=NEWS.replace("CHANNEL", "email"))
    _order(twins, "a")
    twins.run()
    twins.now += timedelta(hours=hours)
    _order(twins, "b")
    twins.run()
    assert [state for key, state, _ in _became(twins) if key == "b"] == [second]


def test_the_same_record_gets_each_of_its_own_messages(twins: Scene) -> None:
    twins.journeys(news=NEWS.replace("CHANNEL", "email"))
    for _ in range(2):
        _order(twins, "a", "c")
        twins.later(hours=1)
    _order(twins, "b")
    twins.run()
    sent, copy = ("sent", None), ("refused", "same_mailbox")
    assert _became(twins) == [("a", *sent), ("a", *sent), ("b", *copy), ("c", *sent), ("c", *sent)]


def test_a_transactional_message_goes_to_each(twins: Scene) -> None:
    twins.journeys(news="category: transactional\n" + NEWS.replace("CHANNEL", "email"))
    _order(twins, "a", "b")
    twins.run()
    assert [state for _, state, _ in _became(twins)] == ["sent", "sent"]


def test_what_becomes_of_the_copy_counts_for_both_stays(twins: Scene) -> None:
    twins.journeys(news=CLICKS)
    _order(twins, "a", "b")
    twins.run()
    (sent,) = twins.channels["email"].sent
    with twins.store.transaction() as connection:
        click = DeliveryEvent("e1", KIND.clicked, twins.now, key=sent.key)
        assert receipts.take(connection, "email", [click], twins.now) == 1
    twins.later(days=1)
    assert [twins.attribute(key, "vip") for key in ("a", "b")] == [True, True]


def test_a_message_that_ends_unsent_lets_the_other_records_copy_go(twins: Scene) -> None:
    twins.journeys(news=NEWS.replace("CHANNEL", "email"))
    twins.channels["email"].answers = [Retry("busy", 60.0)]
    _order(twins, "a", "b")
    twins.run()
    assert _became(twins) == [("a", "queued", None), ("b", "refused", "same_mailbox")]
    twins.channels["email"].answers = [Refused("not to this customer")]
    twins.later(minutes=10)
    twins.later(minutes=10)
    assert _became(twins) == [("a", "refused", "rejected_by_provider"), ("b", "sent", None)]


def test_a_record_that_has_moved_to_another_mailbox_gets_its_own(twins: Scene) -> None:
    twins.journeys(news=NEWS.replace("CHANNEL", "email"))
    _order(twins, "a", "b")
    with twins.store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("b", email="new@example.com")], twins.now)
    twins.run()
    assert [state for _, state, _ in _became(twins)] == ["sent", "sent"]


def test_why_says_that_the_mailbox_has_got_it(twins: Scene) -> None:
    twins.journeys(news=NEWS.replace("CHANNEL", "email"))
    _order(twins, "a", "b")
    twins.run()
    with twins.store.reading() as connection:
        found = customers.find(connection, "b")
        assert found is not None
        trail = CustomerInquiry(connection, found["id"], "UTC", twins.now).trail("news")
    assert [one.reason_sentence for one in trail if one.decision == "refused"] == [
        "the same text went to the same mailbox under another record"
    ]
