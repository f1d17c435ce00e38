"""What is heard of messages later: once each, on the right message, with the right consequences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene
from treue.channel import DeliveryEvent, DeliveryEventKind, Unknown
from treue.delivery import receipts
from treue.model.states import MessageState
from treue.model.tables import consent, customer, delivery_event, event, message, suppression

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: CHANNEL}, {wait: 9d}]\n"
KIND = DeliveryEventKind


def _sent(scene: Scene, *keys: str, channel: str = "email") -> dict[str, int]:
    """Send each customer a message; return its number by the customer."""
    scene.journeys(hello=SEND.replace("CHANNEL", channel))
    for key in keys:
        scene.customer(key, consent="email sms push")
        scene.event(key, "order.placed", total=1)
    scene.run()
    query = select(customer.c.key, message.c.id).join(message, message.c.customer_id == customer.c.id)
    query = query.order_by(customer.c.key)
    with scene.store.reading() as connection:
        return {key: number for key, number in connection.execute(query)}  # noqa: C416


def _tell(scene: Scene, channel: str, *events: DeliveryEvent) -> int:
    with scene.store.transaction() as connection:
        return receipts.take(connection, channel, events, scene.now)


def _event(scene: Scene, kind: KIND, number: int | str = "", id_: str = "", **values: Any) -> DeliveryEvent:
    return DeliveryEvent(id_ or f"{kind}-{number}", kind, scene.now, key=str(number), **values)


def _message(scene: Scene, number: int) -> Any:
    with scene.store.reading() as connection:
        return connection.execute(select(message).where(message.c.id == number)).one()


def _listed(scene: Scene) -> list[Any]:
    rows = select(suppression.c.channel, suppression.c.address, suppression.c.reason, suppression.c.purpose)
    with scene.store.reading() as connection:
        return [tuple(row) for row in connection.execute(rows.order_by(suppression.c.id))]


def _agrees(scene: Scene, key: str, channel: str) -> bool | None:
    query = select(consent.c.given).join(customer, customer.c.id == consent.c.customer_id)
    with scene.store.reading() as connection:
        return connection.scalar(query.where(customer.c.key == key, consent.c.channel == channel))


def test_the_first_of_each_kind_is_written_on_the_message_and_a_repetition_changes_nothing(
    scene: Scene,
) -> None:
    number = _sent(scene, "ada")["ada"]
    first = scene.now
    assert (
        _tell(scene, "email", _event(scene, KIND.delivered, number), _event(scene, KIND.opened, number, "o1"))
        == 2
    )
    scene.now += timedelta(hours=1)
    assert _tell(scene, "email", _event(scene, KIND.opened, number, "o2")) == 1
    assert (
        _tell(scene, "email", _event(scene, KIND.opened, number, "o2"), _event(scene, KIND.delivered, number))
        == 0
    )
    row = _message(scene, number)
    assert (row.delivered_at, row.opened_at, row.clicked_at) == (first, first, None)


def test_events_whose_long_ids_differ_at_the_end_are_two(scene: Scene) -> None:
    number = _sent(scene, "ada")["ada"]
    told = [_event(scene, KIND.opened, number, "x" * 300 + end) for end in "ab"]
    assert _tell(scene, "email", *told) == 2
    assert _tell(scene, "email", *told) == 0


def test_a_message_is_found_by_the_providers_number_too_and_never_on_another_channel(scene: Scene) -> None:
    number = _sent(scene, "ada")["ada"]
    by_number = DeliveryEvent("d", KIND.delivered, scene.now, provider_id=_message(scene, number).provider_id)
    assert _tell(scene, "sms", by_number, _event(scene, KIND.delivered, number)) == 2, (
        "kept, but about nobody"
    )
    assert _message(scene, number).delivered_at is None
    assert _tell(scene, "email", by_number) == 1
    assert _message(scene, number).delivered_at == scene.now


def test_whatever_proves_that_it_was_taken_settles_a_doubt(scene: Scene) -> None:
    scene.channels["email"].answers = [Unknown("no answer")] * 2
    numbers = _sent(scene, "ada", "bob")
    assert _message(scene, numbers["ada"]).state == "in_doubt"
    _tell(
        scene,
        "email",
        _event(scene, KIND.accepted, numbers["ada"]),
        _event(scene, KIND.failed, numbers["bob"]),
    )
    assert [(m.state, m.reason) for m in (_message(scene, n) for n in numbers.values())] == [
        ("sent", None),
        ("failed", "rejected_by_provider"),
    ]
    assert _message(scene, numbers["ada"]).sent_at == scene.now


def test_what_nobody_knows_the_meaning_of_is_kept_on_its_message_and_changes_nothing(scene: Scene) -> None:
    scene.channels["email"].answers = [Unknown("no answer")]
    number = _sent(scene, "ada")["ada"]
    before = _message(scene, number)
    sung = _event(
        scene, KIND.unknown, number, status="sung", raw={"event": "sung"}, address="ada@example.com"
    )
    assert (_tell(scene, "email", sung), _tell(scene, "email", sung)) == (1, 0)
    assert before.state == "in_doubt"
    assert _message(scene, number) == before
    assert _listed(scene) == []
    with scene.store.transaction() as connection:
        kept = connection.execute(select(delivery_event)).one()
        receipts.believe(connection, [number], scene.now)
    assert (kept.kind, kept.status, kept.raw, kept.message_id) == (
        "unknown",
        "sung",
        {"event": "sung"},
        number,
    )
    assert _message(scene, number) == before, "nor does it settle a doubt afterwards"


def test_a_hard_bounce_suppresses_the_address_and_a_soft_one_does_not(scene: Scene) -> None:
    numbers = _sent(scene, "ada", "bob")
    _tell(
        scene,
        "email",
        _event(scene, KIND.bounced, numbers["ada"], hard=True, status="5.1.1"),
        _event(scene, KIND.bounced, numbers["bob"], status="5.7.1", reason="policy"),
    )
    assert _listed(scene) == [("email", "ada@example.com", "bounced", "all")]
    assert _message(scene, numbers["bob"]).bounced_at == scene.now


def test_a_mail_that_was_not_tried_for_an_earlier_bounce_suppresses_the_address_and_is_no_bounce(
    scene: Scene,
) -> None:
    numbers = _sent(scene, "ada", "bob")
    _tell(
        scene,
        "email",
        _event(scene, KIND.failed, numbers["ada"], hard=True, reason="Bounced Address"),
        _event(scene, KIND.failed, numbers["bob"], reason="no credits"),
    )
    assert _listed(scene) == [("email", "ada@example.com", "bounced", "all")]
    assert _message(scene, numbers["ada"]).bounced_at is None


def test_a_dead_push_token_is_forgotten_unless_the_customer_has_a_new_one(scene: Scene) -> None:
    numbers = _sent(scene, "ada", "bob", channel="push")
    scene.customer("bob", consent="push", push_token="token-new")
    dead = [
        DeliveryEvent(f"b-{key}", KIND.bounced, scene.now, key=str(number), address=f"token-{key}", hard=True)
        for key, number in numbers.items()
    ]
    _tell(scene, "push", *dead)
    with scene.store.reading() as connection:
        tokens = dict(connection.execute(select(customer.c.key, customer.c.push_token)).all())  # type: ignore[arg-type]
    assert tokens == {"ada": None, "bob": "token-new"}


def test_soft_bounces_over_weeks_give_an_address_up_for_ninety_days(scene: Scene) -> None:
    number = _sent(scene, "ada")["ada"]
    for n in range(5):
        assert _listed(scene) == []
        _tell(scene, "email", _event(scene, KIND.bounced, number, f"s{n}", status="4.2.2"))
        scene.now += timedelta(days=4)
    assert _listed(scene) == [("email", "ada@example.com", "soft bounces", "all")]
    scene.now += timedelta(days=90)
    scene.engine.recover(scene.now)
    assert _listed(scene) == []


@pytest.mark.parametrize("status", ["5.7.1", "4.7.26", "5.3.4", "5.2.3", "5.6.0"])
def test_what_is_our_fault_gives_no_address_up_however_often_it_comes(scene: Scene, status: str) -> None:
    number = _sent(scene, "ada")["ada"]
    for n in range(8):
        _tell(scene, "email", _event(scene, KIND.bounced, number, f"s{n}", status=status))
        scene.now += timedelta(days=4)
    assert _listed(scene) == []


def test_a_delivery_between_soft_bounces_starts_the_count_anew(scene: Scene) -> None:
    number = _sent(scene, "ada")["ada"]
    for n in range(8):
        kind = KIND.delivered if n == 4 else KIND.bounced
        _tell(scene, "email", _event(scene, kind, number, f"s{n}", status="4.2.2"))
        scene.now += timedelta(days=4)
    assert _listed(scene) == []


def test_a_complaint_ends_marketing_and_leaves_the_way_for_an_orders_papers(scene: Scene) -> None:
    number = _sent(scene, "ada")["ada"]
    _tell(scene, "email", _event(scene, KIND.complained, number))
    assert _listed(scene) == [("email", "ada@example.com", "complained", "marketing")]
    assert _agrees(scene, "ada", "email") is False
    paper = "category: transactional\nenter: {event: cart.left}\nsteps: [{send: paper, on: email}]\n"
    offer = "enter: {event: cart.left}\nsteps: [{send: offer, on: email}]\n"
    scene.journeys(paper=paper, offer=offer)
    scene.event("ada", "cart.left")
    scene.later(minutes=1)
    assert scene.templates()[1:] == ["paper"]


def test_stop_from_a_number_withdraws_the_consent_of_all_who_have_it(scene: Scene) -> None:
    for key in ("ada", "bob", "cem"):
        phone = "+447700900999" if key == "cem" else "+447700900123"
        scene.customer(key, consent="sms email", phone=phone)
    stop = DeliveryEvent("in-1", KIND.unsubscribed, scene.now, address="+447700900123", reason="STOP")
    _tell(scene, "sms", stop)
    assert [_agrees(scene, key, "sms") for key in ("ada", "bob", "cem")] == [False, False, True]
    assert _agrees(scene, "ada", "email") is True


def test_strange_numbers_and_words_are_kept_and_break_nothing(scene: Scene) -> None:
    _sent(scene, "ada")
    strange = ["", "abc", "-1", "9" * 19, "9" * 40, "١٢", "1; DROP TABLE message"]
    events = [
        DeliveryEvent(f"x{n}", KIND.bounced, scene.now, key=key, hard=True) for n, key in enumerate(strange)
    ]
    events.append(DeliveryEvent("y" * 5_000, KIND.opened, scene.now, reason="z" * 9_000, raw={"a": ["<b>"]}))
    assert _tell(scene, "email", *events) == len(events)
    assert _listed(scene) == []
    with scene.store.reading() as connection:
        kept = connection.execute(select(delivery_event.c.raw, delivery_event.c.message_id)).all()
    assert (len(kept), [row.message_id for row in kept]) == (len(events), [None] * len(events))


def test_a_customer_who_waits_for_a_click_goes_on_when_it_is_heard(scene: Scene) -> None:
    wait = "{wait: {for: {message: hello, was: clicked}, at_most: 7d}}"
    sends = "{send: hello, on: email}", "{send: more, on: email}"
    text = f"enter: {{event: order.placed}}\nsteps: [{sends[0]}, {wait}, {sends[1]}]\n"
    scene.journeys(hello=text)
    scene.customer("ada")
    scene.event("ada", "order.placed", total=1)
    scene.run()
    scene.later(hours=1)
    with scene.store.reading() as connection:
        number = connection.scalar(select(message.c.id))
    _tell(scene, "email", _event(scene, KIND.clicked, number or 0))
    scene.later(minutes=1)
    assert scene.templates() == ["hello", "more"]


def test_a_key_names_its_message_and_no_other_databases(scene: Scene) -> None:
    from treue.delivery.keys import message_key, number_in

    number = _sent(scene, "ada")["ada"]
    key = message_key(number, _message(scene, number).queued_at)
    assert number_in(key) == number
    assert len(key) <= 32
    _tell(
        scene,
        "email",
        _event(scene, KIND.delivered, message_key(number, scene.now + timedelta(seconds=1)), "x"),
    )
    assert _message(scene, number).delivered_at is None, "a database made anew counts from one again"
    _tell(scene, "email", _event(scene, KIND.delivered, key, "y"))
    assert _message(scene, number).delivered_at == scene.now


@pytest.mark.parametrize(
    "address", ["", "Ada <ada@", "unknown", '"a b"@example.com', "x" * 300, "a\0b@example.com"]
)
def test_an_address_that_is_none_costs_no_other_event(scene: Scene, address: str) -> None:
    numbers = _sent(scene, "ada", "bob")
    lost = _event(scene, KIND.bounced, "", "about-nobody", hard=True, address=address)
    mine = _event(scene, KIND.complained, numbers["ada"], address=address)
    assert _tell(scene, "email", lost, mine, _event(scene, KIND.delivered, numbers["bob"])) == 3
    assert _listed(scene) == [("email", "ada@example.com", "complained", "marketing")], (
        "the message's own address"
    )
    assert _message(scene, numbers["bob"]).delivered_at == scene.now


def test_words_that_no_database_keeps_are_kept_as_far_as_they_can_be(scene: Scene) -> None:
    number = _sent(scene, "ada")["ada"]
    bad = "a\0b\ud800c"
    event = DeliveryEvent(
        "1" + bad, KIND.bounced, scene.now, key=str(number), provider_id=bad, status=bad, reason=bad, url=bad,
        raw={bad: [bad, {"deep": (bad, 1, None)}]},
    )  # fmt: skip
    assert _tell(scene, "email", event, _event(scene, KIND.opened, bad, "2")) == 2
    assert _tell(scene, "email", event) == 0
    assert _message(scene, number).bounced_at == scene.now
    with scene.store.reading() as connection:
        raw = connection.scalar(select(delivery_event.c.raw).where(delivery_event.c.message_id == number))
    assert raw == {"a�b?c": ["a�b?c", {"deep": ["a�b?c", 1, None]}]}


@pytest.mark.parametrize(
    "recipient", ["", "ada@example.com", "ADA@example.com", "forwarded@elsewhere.example"]
)
def test_a_bounce_of_an_address_that_was_changed_since_does_not_suppress_the_new_one(
    scene: Scene, recipient: str
) -> None:
    number = _sent(scene, "ada")["ada"]
    scene.now += timedelta(hours=1)
    scene.customer("ada", email="new@example.com")
    raw = {"recipient": recipient}
    _tell(scene, "email", _event(scene, KIND.bounced, number, hard=True, raw=raw))
    assert _listed(scene) == []


@pytest.mark.parametrize("recipient", ["", "Ada@example.com", "forwarded@elsewhere.example"])
def test_a_bounce_that_names_no_address_or_another_suppresses_the_customers_while_nothing_has_changed(
    scene: Scene, recipient: str
) -> None:
    number = _sent(scene, "ada")["ada"]
    _tell(scene, "email", _event(scene, KIND.bounced, number, hard=True, raw={"recipient": recipient}))
    assert _listed(scene) == [("email", "ada@example.com", "bounced", "all")]


def test_a_bounce_that_names_the_customers_address_suppresses_it_whatever_else_has_changed(
    scene: Scene,
) -> None:
    number = _sent(scene, "ada")["ada"]
    scene.now += timedelta(hours=1)
    scene.customer("ada", email="ada@example.com", vip=True)
    _tell(
        scene, "email", _event(scene, KIND.bounced, number, hard=True, raw={"recipient": "ADA@example.com"})
    )
    assert _listed(scene) == [("email", "ada@example.com", "bounced", "all")]


def test_a_channel_that_reaches_no_customer_is_heard_too(scene: Scene) -> None:
    assert _tell(scene, "webhook", _event(scene, KIND.delivered, 1, provider_id="x")) == 1
    assert _listed(scene) == []


def test_callbacks_about_the_same_messages_in_any_order_and_their_record_end_no_one_another(
    scene: Scene,
) -> None:
    """PostgreSQL ends one of two that wait for each other; whoever writes messages takes them in one order."""
    from concurrent.futures import ThreadPoolExecutor

    from treue.delivery import outbox

    keys = [f"c{n}" for n in range(25)]
    numbers = list(_sent(scene, *keys).values())
    with scene.store.reading() as connection:
        query = select(message, customer.c.email.label("address"))
        rows = connection.execute(query.join(customer, customer.c.id == message.c.customer_id)).all()

    def told(turn: int) -> int:
        one_way = sorted(numbers, reverse=bool(turn % 2))
        events = [
            DeliveryEvent(f"{turn}-{n}", KIND.opened, scene.now + timedelta(seconds=place), key=str(n))
            for place, n in enumerate(one_way)
        ]
        return _tell(scene, "email", *events)

    def recorded(turn: int) -> int:
        settled = [
            outbox.Settled(row, MessageState.sent)
            for row in sorted(rows, key=lambda row: row.id * (-1) ** turn)
        ]
        with scene.store.transaction() as connection:
            return len(outbox.record(connection, settled, scene.now))

    with ThreadPoolExecutor(4) as pool:
        heard = [pool.submit(told, turn) for turn in range(24)]
        late = [pool.submit(recorded, turn) for turn in range(24)]
        assert [one.result() for one in heard] == [len(numbers)] * 24
        assert {one.result() for one in late} == {0}


def test_a_complaint_and_a_stop_in_one_callback_take_the_consent_back_once(scene: Scene) -> None:
    numbers = _sent(scene, "ada", "bob")
    _tell(
        scene,
        "email",
        *(_event(scene, KIND.complained, number) for number in numbers.values()),
        _event(scene, KIND.unsubscribed, numbers["ada"]),
    )
    words = select(customer.c.key, event.c.source).join(customer).where(event.c.name == "consent.withdrawn")
    with scene.store.reading() as connection:
        said = sorted(tuple(row) for row in connection.execute(words))
    assert said == [("ada", "complaint"), ("bob", "complaint")]
    assert _agrees(scene, "ada", "email") is False
