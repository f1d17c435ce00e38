"""Calls go the way of messages: claimed, made, recorded, tried again, and never lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.engine.scene import Scene, Sink, at
from treue.channel import Accepted, Capabilities, Outgoing, Refused, Retry, Unknown
from treue.clock import utc_now
from treue.delivery import gates, outbox
from treue.delivery.acceptance import AcceptanceLog
from treue.delivery.dispatcher import Delivery, Unwritable, Written
from treue.delivery.doubts import doubts
from treue.delivery.outbox import Claimed
from treue.delivery.policy import MAX_ATTEMPTS
from treue.delivery.writing.calls import compose_call
from treue.engine.what_if.stand_ins import standing_still
from treue.model.tables import message
from treue.store.store import Store
from treue.vocabulary.steps.call.word import Call

ENTER = "enter: {event: order.placed}\n"
CALL = """steps:
  - id: tell
    call: "https://hooks.example.com/{{ customer.id }}"
    json:
      who: "{{ customer.id }}"
      total: "{{ event.total }}"
      vip: "{{ customer.vip }}"
      told: "{{ customer.id }} spent {{ event.total }}"
      deep: [{country: "{{ customer.country | default('??') }}"}, 7, true]
    secret: HOOK_SECRET
  - wait: 9d
"""


class Composing:
    """Writes calls as a workspace does, and other messages not at all."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def compose(self, messages: Sequence[Claimed], now: datetime) -> list[Written | Unwritable]:
        stages = {
            (version.version_id, version.number(stage)): stage
            for version in self.scene.engine.versions()
            for stage in version.plan.stages
            if isinstance(stage, Call)
        }
        found = [(one, stages.get((one.version_id, one.step_id))) for one in messages]
        made = [compose_call(one, stage, "en", "Europe/Berlin", now) for one, stage in found]
        return [Written(one) if isinstance(one, Outgoing) else one for one in made]


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Scene:
    made = Scene(store, tmp_path / "state")
    sink = Sink("webhook")
    sink.capabilities = Capabilities("webhook", dedup_window=float("inf"))
    made.channels["webhook"] = sink
    made.delivery = made.engine.delivery = Delivery(
        store, made.channels, Composing(made), tmp_path / "state", clock=standing_still
    )
    return made


def _ordered(scene: Scene, *keys: str, **values: object) -> None:
    for key in keys:
        scene.customer(key, **values)  # type: ignore[arg-type]
        scene.event(key, "order.placed", total=9.5)
    scene.run()


def test_a_call_is_made_for_each_customer_with_values_of_their_types(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL)
    _ordered(scene, "ada", consent="", vip=True)
    (made,) = scene.channels["webhook"].sent
    assert made.to == "https://hooks.example.com/ada"
    assert made.data == {"method": "POST", "secret": "HOOK_SECRET"}
    assert json.loads(made.raw) == {
        "who": "ada",
        "total": 9.5,
        "vip": True,
        "told": "ada spent 9.5",
        "deep": [{"country": "??"}, 7, True],
    }
    assert scene.decisions("ada")[-1] == "sent"
    assert scene.counts("hello").sent == {"webhook": 1}


def test_what_a_customer_brings_into_the_address_stays_one_part_of_it(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL.replace('customer.id }}"\n    json', 'customer.country }}"\n    json'))
    _ordered(scene, "ada", vip=True, country="../admin?x=1#y@evil.example/ü")
    (made,) = scene.channels["webhook"].sent
    assert made.to == "https://hooks.example.com/..%2Fadmin%3Fx%3D1%23y%40evil.example%2F%C3%BC"


def test_an_address_may_come_whole_from_an_event(scene: Scene) -> None:
    scene.journeys(hello=ENTER + 'steps: [{call: "{{ event.cart_id }}", method: GET}]\n')
    scene.customer("ada")
    scene.event("ada", "order.placed", cart_id="https://hooks.example.com/a/b?c=d")
    scene.run()
    (made,) = scene.channels["webhook"].sent
    assert (made.to, made.raw, made.data) == ("https://hooks.example.com/a/b?c=d", b"", {"method": "GET"})


def test_a_template_that_fails_costs_its_own_call_only(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL)
    _ordered(scene, "ada", vip=True)
    _ordered(scene, "bob")
    assert [row[3:5] for row in scene.messages()] == [("sent", None), ("failed", "render_failed")]


def test_the_holdout_is_not_called(scene: Scene) -> None:
    scene.journeys(hello=f"holdout: 100%\n{ENTER}{CALL}")
    _ordered(scene, "ada", vip=True)
    assert scene.messages()[0][3:5] == ("refused", "held_out")
    assert scene.channels["webhook"].sent == []


def test_a_call_whose_if_does_not_hold_is_not_made(scene: Scene) -> None:
    scene.journeys(
        hello=f"{ENTER}steps: [{{call: 'https://hooks.example.com/', if: {{attribute: vip, is: true}}}}]\n"
    )
    _ordered(scene, "ada")
    assert scene.messages() == []
    assert scene.decisions("ada") == ["entered", "skipped", "finished"]


def test_a_call_is_tried_again_when_the_receiver_allows_and_at_most_so_often(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL)
    scene.channels["webhook"].answers = [Retry("503", after=120)] * MAX_ATTEMPTS
    _ordered(scene, "ada", vip=True)
    scene.later(seconds=119)
    assert len(scene.channels["webhook"].answers) == MAX_ATTEMPTS - 1
    for _ in range(MAX_ATTEMPTS + 2):
        scene.later(hours=2)
    assert scene.channels["webhook"].answers == []
    assert scene.messages()[0][3:5] == ("failed", "rejected_by_provider")


def test_a_call_that_comes_too_late_is_stale(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL.replace("secret: HOOK_SECRET", "valid_for: 1h"))
    scene.channels["webhook"].answers = [Retry("down", after=7200)]
    _ordered(scene, "ada", vip=True)
    scene.later(hours=3)
    assert scene.messages()[0][3:5] == ("refused", "stale")


def test_a_call_of_unknown_fate_is_made_again_under_the_same_key(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL)
    scene.channels["webhook"].answers = [Unknown("reset by peer"), Accepted("HTTP 200")]
    _ordered(scene, "ada", vip=True)
    scene.later(minutes=2)
    assert scene.messages()[0][3:5] == ("sent", None)
    with scene.store.reading() as connection:
        assert doubts(connection) == []


def test_an_address_that_is_not_allowed_is_refused_by_that_reason(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL)
    scene.channels["webhook"].answers = [
        Refused("10.0.0.1 is no public address", forbidden=True),
        Refused("410"),
    ]
    _ordered(scene, "ada", vip=True)
    _ordered(scene, "bob", vip=True)
    assert [row[3:5] for row in scene.messages()] == [
        ("refused", "not_allowed"),
        ("refused", "rejected_by_provider"),
    ]


def test_who_left_the_journey_is_not_called_any_more(scene: Scene) -> None:
    scene.journeys(hello=f"exit: [{{event: told}}]\n{ENTER}{CALL}")
    scene.channels["webhook"].answers = [Retry("busy", after=60)]
    _ordered(scene, "ada", vip=True)
    scene.event("ada", "told")
    scene.later(minutes=5)
    assert scene.messages()[0][3:5] == ("refused", "left_before_send")


def test_a_worker_killed_between_the_call_and_its_record_loses_nothing(scene: Scene, tmp_path: Path) -> None:
    scene.journeys(hello=ENTER + CALL)
    delivery, scene.engine.delivery = scene.engine.delivery, None
    _ordered(scene, "ada", "bob", vip=True)
    dead = "here/1/dead"
    claimed = scene.claim("webhook", dead)
    log = AcceptanceLog(tmp_path / "state", dead)
    log.lease = utc_now() + outbox.LEASE
    log.started(claimed[0].key)  # on the wire at the kill; the other was not touched yet
    with scene.store.transaction() as connection:
        connection.execute(update(message).values(lease_until=at("2020-01-01 00:00")))
    scene.engine.recover(scene.now)
    scene.engine.delivery = delivery
    scene.later(minutes=1)
    sent = scene.channels["webhook"].sent
    assert [one.key for one in sent] == [one.key for one in claimed]
    assert [row[3] for row in scene.messages()] == ["sent", "sent"]


def test_a_call_is_no_message_that_reached_the_customer(scene: Scene) -> None:
    choose = "{choose: [{if: {message: any, was: sent}, steps: [{emit: told}]}]}"
    scene.journeys(hello=ENTER + CALL.replace("  - wait: 9d\n", f"  - wait: 1h\n  - {choose}\n"))
    _ordered(scene, "ada", vip=True)
    scene.later(hours=1)
    assert "emitted" not in scene.decisions("ada")


def test_a_host_that_does_not_answer_keeps_no_other_host_from_being_called(scene: Scene) -> None:
    scene.journeys(hello=ENTER + CALL)
    sink = scene.channels["webhook"]
    for n in range(8):
        sink.answers = [Unknown("it did not answer")]
        _ordered(scene, f"c{n}", vip=True)
    with scene.store.reading() as connection:
        assert not gates.closed(connection, scene.now)
    _ordered(scene, "ada", vip=True)
    assert len(sink.sent) == 1
