"""The first look is not final: a message waits a moment for an address or a consent that may still come."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.engine.scene import Scene, at, phone_of
from treue.clock import Duration
from treue.engine.door.arrivals import enroll
from treue.engine.passes.engine import Engine
from treue.language.pressure import Limit, Pressure, QuietHours
from treue.model.tables import message
from treue.store import consents, customers, suppressions
from treue.store.inputs import ConsentInput, CustomerInput
from treue.store.store import Store

WELCOME = "enter: {event: signed.up}\nsteps:\n  - send: welcome\n    on: [email, sms]\n"


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Scene:
    return Scene(store, tmp_path / "state")


def told(scene: Scene, key: str, channel: str | None = None, basis: str = "consent", **given: Any) -> None:
    """Tell of a customer what was not known before."""
    with scene.store.transaction() as connection:
        customers.upsert(connection, [CustomerInput(key, **given)], scene.now)
        if channel:
            word = ConsentInput(key, channel, scene.now, basis=basis)
            consents.give(connection, [word], scene.now)


def outbox(scene: Scene) -> list[Any]:
    return [row[2:5] for row in scene.messages()]


def test_who_is_told_of_three_seconds_after_her_event_is_written_to(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME)
    scene.event("ada", "signed.up")
    scene.run()
    assert outbox(scene) == [("email", "queued", "not_yet_reachable")]
    scene.later(seconds=3)
    told(scene, "ada", "email", email="ada@example.com")
    scene.later(minutes=4)
    assert scene.sent() == []  # the message is held as long as it says
    scene.now = at("2026-03-02 10:05")
    scene.run()
    assert scene.sent() == [("ada@example.com", "welcome")]
    assert [one for one in scene.decisions("ada") if one in ("held", "queued", "refused", "sent")] == [
        "held",
        "queued",
        "sent",
    ]


def test_the_channel_is_chosen_when_it_is_asked_again(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME)
    scene.event("ada", "signed.up")
    scene.run()
    told(scene, "ada", "sms", phone=phone_of("ada"))
    scene.later(minutes=5)
    assert scene.sent("sms") == [(phone_of("ada"), "welcome")]
    assert outbox(scene) == [("sms", "sent", None)]


def test_on_all_channels_each_message_is_asked_again_by_itself(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME + "    all: true\n")
    scene.event("ada", "signed.up")
    scene.run()
    assert outbox(scene) == [(channel, "queued", "not_yet_reachable") for channel in ("email", "sms")]
    told(scene, "ada", "sms", phone=phone_of("ada"))
    scene.later(minutes=5)
    assert outbox(scene) == [("email", "refused", "no_address"), ("sms", "sent", None)]


def test_where_nothing_comes_it_is_refused_for_what_is_missing(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME)
    scene.event("ada", "signed.up")
    scene.run()
    told(scene, "ada", email="ada@example.com")
    passed = scene.later(minutes=5)
    assert outbox(scene) == [("email", "refused", "no_consent")]
    assert passed.delivered.refused == {"no_consent": 1}


def test_what_was_told_long_ago_is_refused_at_once(scene: Scene) -> None:
    scene.journeys(
        welcome="enter: {event: signed.up}\nsteps:\n  - wait: 5m\n  - send: welcome\n    on: email\n"
    )
    scene.event("ada", "signed.up")
    scene.run()
    scene.later(minutes=5)
    assert outbox(scene) == [("email", "refused", "no_address")]


def test_a_new_event_of_a_customer_known_for_long_is_held(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME)
    scene.customer("ada", consent="", email=None, phone=None)
    scene.later(days=9)
    scene.event("ada", "signed.up")
    scene.run()
    assert outbox(scene) == [("email", "queued", "not_yet_reachable")]


def test_of_a_customer_recorded_just_now_it_does_not_matter_what_began_the_stay(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME.replace("{event: signed.up}", "{manual: true}"))
    told(scene, "ada")
    with scene.store.transaction() as connection:
        long_ago = CustomerInput("ben", created_at=at("2020-01-01 10:00"))
        customers.upsert(connection, [long_ago], scene.now)
        both = [found["id"] for key in ("ada", "ben") if (found := customers.find(connection, key))]
        enroll(connection, scene.engine.versions()[0].journey_id, both, scene.now)
    scene.run()
    assert outbox(scene) == [("email", "queued", "not_yet_reachable")] * 2


@pytest.mark.parametrize("objection", ["withdrawn", "suppressed"])
def test_who_has_objected_is_refused_at_once(scene: Scene, objection: str) -> None:
    scene.journeys(welcome=WELCOME)
    scene.customer("ada", consent="", phone=None)
    with scene.store.transaction() as connection:
        if objection == "withdrawn":
            consents.withdraw(connection, [ConsentInput("ada", "email", scene.now)], scene.now)
        else:
            suppressions.add(connection, "email", ["ada@example.com"], "complained", scene.now, {})
    scene.event("ada", "signed.up")
    scene.run()
    ((_, state, reason),) = outbox(scene)
    assert (state, reason in ("unsubscribed", "suppressed")) == ("refused", True)


def test_it_is_never_held_longer_than_it_is_valid(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME + "    valid_for: 2m\n")
    scene.event("ada", "signed.up")
    scene.run()
    told(scene, "ada", "email", email="ada@example.com")
    scene.later(minutes=2)
    assert scene.templates() == ["welcome"]


def test_the_holdout_is_held_out_at_the_end(scene: Scene) -> None:
    scene.journeys(welcome="holdout: 50%\n" + WELCOME)
    keys = [f"c{n}" for n in range(40)]
    for key in keys:
        scene.event(key, "signed.up")
    scene.run()
    assert {row[1] for row in outbox(scene)} == {"queued"}
    for key in keys:
        told(scene, key, "email", email=f"{key}@example.com")
    scene.later(minutes=5)
    assert {row[1:] for row in outbox(scene)} == {("sent", None), ("refused", "held_out")}


def test_who_leaves_meanwhile_gets_nothing(scene: Scene) -> None:
    scene.journeys(welcome="exit: {event: told}\n" + WELCOME + "  - wait: 1d\n")
    scene.event("ada", "signed.up")
    scene.run()
    told(scene, "ada", "email", email="ada@example.com")
    scene.event("ada", "told")
    scene.later(minutes=5)
    assert outbox(scene) == [("email", "refused", "left_before_send")]


def test_what_is_asked_again_meets_quiet_hours_and_limits(store: Store, tmp_path: Path) -> None:
    rules = Pressure((Limit(1, Duration(days=1)),), {"sms": QuietHours(0, 12 * 60)})
    scene = Scene(store, tmp_path / "state", pressure=rules)
    scene.journeys(welcome=WELCOME, other=WELCOME.replace("welcome", "hello"))
    scene.event("ada", "signed.up")
    scene.event("ben", "signed.up")
    scene.run()
    told(scene, "ada", "email", email="ada@example.com")
    told(scene, "ben", "sms", phone=phone_of("ben"), timezone="Europe/Berlin")
    scene.later(minutes=5)
    reasons = {row[:2] + row[4:5] for row in scene.messages()}
    assert reasons == {
        ("ada", "hello", None),
        ("ada", "welcome", "over_limit"),
        ("ben", "hello", "quiet_hours"),
        ("ben", "welcome", "quiet_hours"),
    }


def test_a_late_pass_holds_and_asks_again_at_once(scene: Scene) -> None:
    scene.journeys(welcome=WELCOME)
    scene.event("ada", "signed.up")
    scene.now += timedelta(seconds=3)
    told(scene, "ada", "email", email="ada@example.com")
    scene.now += timedelta(hours=3)
    scene.run()
    assert scene.templates() == ["welcome"]
    assert "held" in scene.decisions("ada")


def test_an_urgent_message_of_another_journey_is_not_taken_before_it_is_asked_again(scene: Scene) -> None:
    urgent = "category: transactional\n" + WELCOME
    scene.journeys(b_urgent=urgent, a_other=WELCOME)
    scene.event("ada", "signed.up")
    scene.run()
    told(scene, "ada", "sms", phone=phone_of("ada"))
    scene.later(minutes=5)
    assert sorted(scene.templates("sms")) == ["welcome", "welcome"]


def test_how_long_is_a_setting(scene: Scene) -> None:
    scene.engine = Engine(
        scene.store, "Europe/Berlin", "salt", scene.delivery, scene.engine.state, hold=Duration(seconds=20)
    )
    scene.journeys(welcome=WELCOME)
    scene.event("ada", "signed.up")
    scene.run()
    with scene.store.reading() as connection:
        ready = connection.scalar(message.select().with_only_columns(message.c.ready_at))
    assert ready == scene.now + timedelta(seconds=20)
