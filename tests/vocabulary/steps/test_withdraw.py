"""`withdraw: email` takes a consent back, with proof, and whoever listens hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene, plan_of
from tests.vocabulary.oracles import StepOracle
from treue.model.tables import consent, customer, event
from treue.store.store import Store

ENTER = "category: transactional\nenter: {event: order.placed}\n"


def _withdraws(life: Any, stay: Any, step: Any, _now: Any) -> None:
    told = {"basis": "consent", "proof": {"journey": stay.journey, "step": step.id}}
    life.says(step.says["withdraw"], False, "consent", stay.due, f"journey:{stay.journey}", told)
    stay.go(step.to)


ORACLE = StepOracle(
    "withdraw", _withdraws, lambda generator: {"withdraw": generator.pick(("email", "sms", "push"))}
)


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(store, tmp_path / "state")
    yield made
    made.delivery.close()


def standing(scene: Scene, key: str) -> list[tuple[str, bool, str, dict[str, Any]]]:
    query = select(consent.c.channel, consent.c.given, consent.c.source, consent.c.proof)
    mine = query.join(customer, customer.c.id == consent.c.customer_id).where(customer.c.key == key)
    with scene.store.reading() as connection:
        return [tuple(row) for row in connection.execute(mine.order_by(consent.c.channel))]


def test_the_consent_is_withdrawn_with_the_journey_as_proof(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{withdraw: email, id: bye}}, {{send: a, on: email}}]\n")
    scene.customer("ada", "email sms")
    scene.event("ada", "order.placed")
    scene.run()
    email, sms = standing(scene, "ada")
    assert email == ("email", False, "journey:hello", {"journey": "hello", "step": "bye"})
    assert sms[:2] == ("sms", True)
    assert scene.templates() == ["a"]  # papers still go


def test_marketing_ends_and_other_journeys_hear_of_it(scene: Scene) -> None:
    scene.journeys(
        bye=f"{ENTER}steps: [{{wait: 1h}}, {{withdraw: email}}]\n",
        club="enter: {event: order.placed}\nexit: [{event: consent.withdrawn}]\nsteps: [{wait: 2h}, {send: a, on: email}]\n",
        sorry="category: transactional\nenter: {event: consent.withdrawn}\nsteps: [{send: b, on: email}]\n",
    )
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    scene.later(hours=1)
    scene.later(hours=1)
    assert scene.templates() == ["b"]
    assert ("ada", "exited", "consent.withdrawn", None) in scene.stays()


def test_who_skips_the_step_keeps_the_consent(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{withdraw: email, if: {{attribute: vip, is: true}}}}]\n")
    for key, vip in (("ada", True), ("ben", False)):
        scene.customer(key, vip=vip)
        scene.event(key, "order.placed")
    scene.run()
    assert [standing(scene, key)[0][1] for key in ("ada", "ben")] == [False, True]
    assert "emitted" in scene.decisions("ada")
    assert "emitted" not in scene.decisions("ben")


def test_two_stays_that_come_to_it_together_are_one_withdrawal(scene: Scene) -> None:
    enter = "category: transactional\nenter: {event: cart.left, per: cart_id}\n"
    scene.journeys(hello=f"{enter}steps: [{{withdraw: email}}]\n")
    scene.customer("ada")
    for cart in ("a", "b"):
        scene.event("ada", "cart.left", cart_id=cart)
    scene.run()
    told = select(event.c.id).where(event.c.name == "consent.withdrawn")
    with scene.store.reading() as connection:
        assert len(connection.execute(told).all()) == 1


def test_it_is_said() -> None:
    plan = plan_of("hello", f"{ENTER}steps: [{{withdraw: sms}}]\n")
    assert plan.stages[0].words() == "withdraw sms"


def test_a_channel_that_is_not_set_up_is_an_error() -> None:
    with pytest.raises(AssertionError, match="T307 There is no channel `fax`"):
        plan_of("hello", f"{ENTER}steps: [{{withdraw: fax}}]\n")
