"""From the outbox to the provider: each message once, each with its fate known or said to be unknown."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from tests.engine.scene import Scene
from treue.channel import Accepted, Refused, Retry, Unknown
from treue.clock import utc_now
from treue.delivery import outbox
from treue.delivery.doubts import doubts
from treue.delivery.outbox import Settled
from treue.model.states import MessageState
from treue.model.tables import message

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: email}, {wait: 9d}]\n"


def _ordered(scene: Scene, *keys: str) -> None:
    for key in keys:
        scene.customer(key)
        scene.event(key, "order.placed", total=1)


def test_one_refusal_costs_one_message_and_its_batch_goes_on(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    _ordered(scene, "ada", "bob", "cem")
    scene.channels["email"].answers = [Accepted("1"), Refused("554 no"), Accepted("3")]
    delivered = scene.run().delivered
    assert [row[3:5] for row in scene.messages()] == [
        ("sent", None),
        ("refused", "rejected_by_provider"),
        ("sent", None),
    ]
    assert (delivered.sent, delivered.refused) == (2, {"rejected_by_provider": 1})


def test_what_was_certainly_not_sent_is_tried_again_and_not_before_it_is_allowed(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    _ordered(scene, "ada")
    scene.channels["email"].answers = [Retry("429", after=120)]
    assert scene.run().delivered.held == 1
    scene.later(seconds=119)
    assert scene.sent() == []
    scene.later(seconds=1)
    assert scene.templates() == ["hello"]


def test_what_may_have_been_sent_is_never_sent_again_by_itself(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    _ordered(scene, "ada")
    scene.channels["email"].answers = [Unknown("lost after the dot")]
    scene.run()
    scene.later(hours=1)
    assert scene.sent() == []
    with scene.store.reading() as connection:
        assert [doubt["customer"] for doubt in doubts(connection)] == ["ada"]


def test_the_last_look_sees_a_withdrawal_that_no_pass_has_noticed(scene: Scene) -> None:
    from treue.store import consents
    from treue.store.inputs import ConsentInput

    scene.journeys(hello=SEND)
    _ordered(scene, "ada")
    delivery, scene.engine.delivery = scene.engine.delivery, None
    scene.run()
    with scene.store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("ada", "email", scene.now)], scene.now)
    scene.engine.delivery = delivery
    scene.run()
    assert scene.messages()[0][3:5] == ("refused", "unsubscribed")


def test_a_message_that_was_queued_but_left_lying_goes_stale(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    _ordered(scene, "ada")
    scene.channels["email"].answers = [Retry("down", after=3600 * 30)]
    scene.run()
    scene.later(hours=31)
    assert scene.messages()[0][3:5] == ("refused", "stale")


def test_who_left_the_journey_is_not_sent_what_was_queued(scene: Scene) -> None:
    scene.journeys(hello=f"exit: [{{event: told}}]\n{SEND}")
    _ordered(scene, "ada")
    scene.channels["email"].answers = [Retry("busy", after=60)]
    scene.run()
    scene.event("ada", "told")
    scene.later(minutes=5)
    assert scene.messages()[0][3:5] == ("refused", "left_before_send")


def test_a_worker_past_its_lease_may_record_nothing(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    _ordered(scene, "ada")
    delivery, scene.engine.delivery = scene.engine.delivery, None
    scene.run()
    slept = scene.claim("email", "elsewhere/1/x")
    _let_leases_run_out(scene)
    recovered = scene.engine.recover(scene.now)
    assert recovered.in_doubt == 1, "nobody knows what a worker elsewhere did"
    with scene.store.transaction() as connection:
        assert outbox.record(connection, [Settled(slept[0], MessageState.sent)], scene.now) == []
    assert delivery is not None


def test_a_worker_may_not_record_what_another_has_claimed_meanwhile(scene: Scene) -> None:
    """The message is claimed when the first one wakes up, as it was when it fell asleep, but not by it."""
    scene.journeys(hello=SEND)
    _ordered(scene, "ada")
    scene.engine.delivery = None
    scene.run()
    (slept,) = scene.claim("email", "first")
    with scene.store.transaction() as connection:
        connection.execute(update(message).values(state=MessageState.queued.value))
    (awake,) = scene.claim("email", "second")
    assert (slept.id, slept.fence + 1) == (awake.id, awake.fence)
    with scene.store.transaction() as connection:
        late = Settled(slept, MessageState.failed, detail="too late")
        assert outbox.record(connection, [late], scene.now) == []
        mine = Settled(awake, MessageState.sent)
        assert outbox.record(connection, [mine], scene.now) == [mine]
    assert scene.messages()[0][3] == "sent"
    assert "failed" not in scene.decisions("ada"), "what came too late is not noted either"


def _let_leases_run_out(scene: Scene) -> None:
    with scene.store.transaction() as connection:
        connection.execute(update(message).values(lease_until=utc_now() - timedelta(minutes=1)))


def test_a_slow_worker_that_is_alive_keeps_what_it_has(scene: Scene) -> None:
    scene.journeys(hello=SEND)
    _ordered(scene, "ada", "bob")
    delivery, scene.engine.delivery = scene.engine.delivery, None
    scene.run()
    assert delivery is not None
    scene.claim("email", delivery.log.worker)
    _let_leases_run_out(scene)
    recovered = scene.engine.recover(scene.now)
    assert (recovered.queued, recovered.in_doubt) == (0, 0)


def test_the_last_look_sees_an_exit_that_no_pass_has_routed(scene: Scene) -> None:
    scene.journeys(hello=f"exit: [{{event: told}}]\n{SEND}")
    _ordered(scene, "ada")
    delivery, scene.engine.delivery = scene.engine.delivery, None
    scene.run()
    scene.event("ada", "told")
    scene.engine.delivery = delivery
    scene.engine.deliver(scene.engine.versions()[0].journey_id, scene.now)
    assert scene.messages()[0][3:5] == ("refused", "left_before_send")


def test_a_reason_to_leave_is_asked_of_what_goes_first_of_another_journey(scene: Scene) -> None:
    urgent = "category: transactional\nenter: {event: order.placed}\n"
    scene.journeys(
        first=f"{urgent}steps: [{{send: hello, on: email}}]\n",
        second=f"{urgent}exit: [{{attribute: vip, is: true}}]\nsteps: [{{send: more, on: email}}, {{set: {{vip: true}}}}]\n",
    )
    _ordered(scene, "ada")
    scene.run()
    assert scene.templates() == ["hello"]
    assert [row[3:5] for row in scene.messages()] == [("sent", None), ("refused", "left_before_send")]


def test_an_exit_after_the_last_step_calls_back_what_still_waits_in_the_outbox(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: order.placed}\nexit: [{event: told}]\nsteps: [{send: hello, on: email}]\n"
    )
    _ordered(scene, "ada")
    scene.channels["email"].answers = [Retry("busy", after=600)]
    scene.run()
    scene.event("ada", "told")
    scene.later(hours=1)
    assert scene.messages()[0][3:5] == ("refused", "left_before_send")


def test_whoever_was_erased_and_comes_back_is_sent_no_marketing_but_an_orders_papers(scene: Scene) -> None:
    from treue.store.erasures import Erasures

    erasures = Erasures(b"s" * 32)
    scene.delivery.erasures = erasures
    paper = "category: transactional\nenter: {event: order.placed}\nsteps: [{send: paper, on: email}]\n"
    scene.journeys(hello=SEND, paper=paper)
    scene.customer("ada")
    with scene.store.transaction() as connection:
        erasures.erase(connection, "ada", scene.now)
    _ordered(scene, "ada", "bob")
    scene.run()
    assert sorted((row[0], row[1], row[3], row[4]) for row in scene.messages()) == [
        ("ada", "hello", "refused", "suppressed"),
        ("ada", "paper", "sent", None),
        ("bob", "hello", "sent", None),
        ("bob", "paper", "sent", None),
    ]
