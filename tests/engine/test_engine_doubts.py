"""What may have been sent stays so, whatever comes next: no second copy, no other channel, no "it failed"."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from tests.engine.scene import Scene
from treue.channel import Accepted, DeliveryEvent, DeliveryEventKind, Refused, Retry, Unknown
from treue.delivery import doubts, policy, receipts
from treue.delivery.keys import message_key
from treue.model.tables import message

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: email, valid_for: 9d}, {wait: 20d}]\n"
PAPER = "category: transactional\nenter: {event: order.placed}\nsteps: [{send: paper, on: email, valid_for: 9d}]\n"
EITHER = (
    "enter: {event: order.placed}\nsteps: [{send: hello, on: [push, email], valid_for: 3d}, {wait: 9d}]\n"
)
DOWN = Retry("503", after=1, everyone=True)


def _begin(scene: Scene, text: str, *answers: object, window: float = 0.0, channel: str = "email") -> None:
    """Send Ada a message and let the provider answer so, the first time."""
    sink = scene.channels[channel]
    sink.capabilities = replace(sink.capabilities, dedup_window=window)
    sink.answers = list(answers)  # type: ignore[arg-type]
    scene.journeys(hello=text)
    scene.customer("ada", consent="email push")
    scene.event("ada", "order.placed", total=1)
    scene.run()


def _state(scene: Scene) -> tuple[str, str | None]:
    return scene.messages()[0][3:5]  # type: ignore[no-any-return]


def _key(scene: Scene) -> str:
    with scene.store.reading() as connection:
        row = connection.execute(select(message.c.id, message.c.queued_at)).one()
    return message_key(row.id, row.queued_at)


def _tell(scene: Scene, kind: DeliveryEventKind) -> None:
    with scene.store.transaction() as connection:
        receipts.take(
            connection, "email", [DeliveryEvent(str(kind), kind, scene.now, key=_key(scene))], scene.now
        )


def test_a_doubt_outlives_an_outage_and_is_not_sent_once_the_provider_has_forgotten_the_key(
    scene: Scene,
) -> None:
    _begin(scene, SEND, Unknown("timed out"), Retry("429", after=86_000, everyone=True), window=86_400)
    scene.later(minutes=2)
    assert _state(scene) == ("in_doubt", "in_doubt"), "the pause is longer than the window"
    scene.later(days=2)
    assert scene.sent() == []


def test_a_doubt_goes_again_after_an_outage_while_the_provider_knows_the_key(scene: Scene) -> None:
    _begin(scene, SEND, Unknown("timed out"), DOWN, window=86_400)
    scene.later(minutes=2)
    assert _state(scene)[0] == "queued"
    scene.later(minutes=2)
    assert _state(scene) == ("sent", None)


def test_a_doubt_that_waited_too_long_is_not_sent_again(scene: Scene) -> None:
    _begin(scene, SEND, Unknown("timed out"), window=86_400)
    assert _state(scene)[0] == "queued"
    scene.later(hours=20)  # nothing ran meanwhile
    assert _state(scene) == ("in_doubt", "in_doubt")
    assert scene.sent() == []


def test_the_window_opens_with_the_doubt_and_not_with_the_first_attempt(scene: Scene) -> None:
    outage = Retry("429", after=80_000, everyone=True)
    _begin(scene, SEND, outage, Unknown("timed out"), window=86_400)
    scene.later(hours=24)
    assert _state(scene) == ("queued", "in_doubt")
    scene.later(minutes=2)
    assert _state(scene) == ("sent", None)


def test_a_doubt_never_goes_by_another_channel_even_after_the_channel_went_down(scene: Scene) -> None:
    _begin(scene, EITHER, Unknown("timed out"), *[DOWN] * 9, window=86_400, channel="push")
    scene.now += timedelta(minutes=2)
    for _ in range(7):
        scene.run()
        scene.now += timedelta(seconds=5)
    assert scene.sent("email") == []
    assert _state(scene)[0] == "queued"


@pytest.mark.parametrize("answer", [Unknown("timed out"), Retry("busy", after=1)])
def test_a_papers_doubt_ends_in_doubt_when_the_attempts_are_used_up(scene: Scene, answer: object) -> None:
    _begin(scene, PAPER, Unknown("timed out"), *[answer] * policy.MAX_ATTEMPTS)
    for _ in range(policy.MAX_ATTEMPTS):
        scene.later(hours=3)
    assert _state(scene) == ("in_doubt", "in_doubt")
    assert scene.sent() == []


def test_a_paper_of_which_the_provider_was_heard_does_not_go_once_more(scene: Scene) -> None:
    _begin(scene, PAPER, Unknown("timed out"))
    assert _state(scene)[0] == "queued"
    _tell(scene, DeliveryEventKind.delivered)
    assert _state(scene) == ("sent", None)
    scene.later(hours=1)
    assert scene.sent() == []


def test_a_callback_that_overtakes_the_answer_leaves_no_doubt(scene: Scene) -> None:
    _begin(scene, SEND, Accepted())
    with scene.store.transaction() as connection:  # as if the worker had it still on the wire
        connection.execute(update(message).values(state="queued", sent_at=None, ready_at=scene.now))
    sink, took = scene.channels["email"], scene.channels["email"].send

    def heard_first(batch: object, progress: object) -> object:
        _tell(scene, DeliveryEventKind.accepted)
        return took(batch, progress)  # type: ignore[arg-type]

    sink.answers, sink.send = [Unknown("the answer was lost")], heard_first  # type: ignore[assignment, method-assign]
    scene.run()
    assert _state(scene) == ("sent", None)


def test_whoever_left_meanwhile_may_have_the_message_all_the_same(scene: Scene) -> None:
    _begin(scene, f"exit: [{{event: told}}]\n{SEND}", Unknown("timed out"), window=86_400)
    scene.event("ada", "told")
    scene.later(minutes=5)
    assert _state(scene) == ("in_doubt", "in_doubt")


def test_a_refusal_of_the_second_attempt_is_believed(scene: Scene) -> None:
    _begin(scene, PAPER, Unknown("timed out"), Refused("no such mailbox"))
    scene.later(minutes=5)
    assert _state(scene) == ("refused", "rejected_by_provider")


def test_what_an_operator_sends_again_is_in_doubt_no_longer(scene: Scene) -> None:
    _begin(scene, SEND, Unknown("timed out"), Retry("busy", after=1))
    with scene.store.transaction() as connection:
        assert doubts.resend(connection, scene.now) == 1
    scene.later(minutes=1)
    assert _state(scene)[0] == "queued", "busy is busy"
    scene.later(minutes=1)
    assert _state(scene) == ("sent", None)
