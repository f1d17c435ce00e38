"""Which of a step's channels a message takes, and what is noted where none reaches the customer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from tests.engine.scene import Scene, phone_of
from treue.model.tables import trace
from treue.store import suppressions

FIRST = "enter: {event: order.placed}\nsteps: [{send: hello, on: [push, sms, email]}]\n"
ALL = "enter: {event: order.placed}\nsteps: [{send: hello, on: [push, sms, email], all: true}]\n"


def _ordered(scene: Scene, key: str, consent: str = "push sms email", **values: Any) -> None:
    scene.customer(key, consent, **values)
    scene.event(key, "order.placed", total=1)
    scene.run()


def _found(scene: Scene) -> list[tuple[str, str, str | None]]:
    return [(channel, state, reason) for _, _, channel, state, reason, _ in scene.messages()]


def _noted(scene: Scene) -> list[tuple[str, str | None, str]]:
    query = select(trace.c.decision, trace.c.reason, trace.c.detail).order_by(trace.c.id)
    with scene.store.reading() as connection:
        rows = connection.execute(query.where(trace.c.detail.is_not(None))).all()
    return [(row.decision, row.reason, row.detail["channel"]) for row in rows if "channel" in row.detail]


def test_a_channel_without_an_address_is_passed_over(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _ordered(scene, "ada", push_token="")
    assert _found(scene) == [("sms", "sent", None)]


def test_a_suppressed_address_is_passed_over(scene: Scene) -> None:
    with scene.store.transaction() as connection:
        suppressions.add(connection, "push", ["token-ada"], "gone", scene.now)
        suppressions.add(connection, "sms", [phone_of("ada")], "stop", scene.now)
    scene.journeys(hello=FIRST)
    _ordered(scene, "ada")
    assert _found(scene) == [("email", "sent", None)]


def test_where_none_reaches_the_reason_for_the_first_is_recorded_and_noted(scene: Scene) -> None:
    scene.journeys(hello=FIRST)
    _ordered(scene, "ada", consent="", push_token="")
    assert _noted(scene) == [("held", "not_yet_reachable", "push")]
    scene.later(minutes=5)
    assert _found(scene) == [("push", "refused", "no_address")]
    assert _noted(scene)[1:] == [("refused", "no_address", "push")]


def test_all_takes_each_channel_that_reaches_and_says_why_not_of_the_others(scene: Scene) -> None:
    scene.journeys(hello=ALL)
    _ordered(scene, "ada", consent="email", push_token="")
    wanted = [("push", "refused", "no_address"), ("sms", "refused", "no_consent"), ("email", "sent", None)]
    assert _found(scene) == wanted
    assert sorted(_noted(scene)[:3]) == [
        ("queued", None, "email"),
        ("refused", "no_address", "push"),
        ("refused", "no_consent", "sms"),
    ]


def test_the_holdout_has_one_unsent_message_for_each_that_would_have_gone(scene: Scene) -> None:
    scene.journeys(first=f"holdout: 100%\n{FIRST}", all=f"holdout: 100%\n{ALL}")
    _ordered(scene, "ada", consent="sms email")
    held = [row[2] for row in scene.messages() if row[4] == "held_out"]
    assert sorted(held) == ["email", "sms", "sms"]
    assert [row[4] for row in scene.messages() if row[2] == "push"] == ["no_consent"]


def test_valid_for_is_each_steps_own(scene: Scene) -> None:
    scene.journeys(
        hello="enter: {event: order.placed}\nsteps: [{wait: 1h}, {send: brief, on: email, valid_for: 30m}, "
        "{send: long, on: email, valid_for: 2d}]\n"
    )
    _ordered(scene, "ada")
    scene.later(hours=2)
    assert [(row[1], row[3], row[4]) for row in scene.messages()] == [
        ("brief", "refused", "stale"),
        ("long", "sent", None),
    ]


def test_a_step_of_every_kind_can_be_skipped(scene: Scene) -> None:
    skipped = ", ".join(
        f"{{{step}, if: {{attribute: vip, is: true}}}}"
        for step in (
            "send: hello, on: email", "wait: 1d", "set: {country: DE}", "emit: told", "start: other",
            "call: 'https://hooks.example.com/'", "choose: [{else: [{stop: true}]}]",
            "split: {a: {weight: 1, steps: [{stop: true}]}, b: {weight: 1, steps: [{stop: true}]}}", "stop: true",
        )
    )  # fmt: skip
    scene.journeys(
        hello=f"enter: {{event: order.placed}}\nsteps: [{skipped}, {{send: last, on: email}}]\n",
        other="enter: {manual: true}\nsteps: [{send: other, on: email}]\n",
    )
    _ordered(scene, "ada")
    assert scene.templates() == ["last"]
    assert scene.decisions("ada").count("skipped") == 9
