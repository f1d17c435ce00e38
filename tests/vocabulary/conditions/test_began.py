"""`{began: {total: {above: 50}}}` asks what the event that started the stay says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest

from tests.engine.scene import Scene, plan_of
from tests.vocabulary.oracles import Oracle
from treue.insight.why import CustomerInquiry
from treue.segments.tree import Op, Property
from treue.store import customers
from treue.store.store import Store
from treue.vocabulary.conditions.began.word import Began

ENTER = "enter: {event: order.placed, again: always}\n"
LARGE = "{began: {total: {above: 50}}}"


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(store, tmp_path / "state")
    yield made
    made.delivery.close()


def test_a_branch_follows_the_starting_event(scene: Scene) -> None:
    branch = f"choose: [{{if: {LARGE}, steps: [{{send: large, on: email}}]}}, {{else: [{{send: small, on: email}}]}}]"
    scene.journeys(hello=f"{ENTER}steps: [{branch}]\n")
    for key, total in (("ada", 80), ("ben", 20)):
        scene.customer(key)
        scene.event(key, "order.placed", total=total)
    scene.run()
    assert sorted(scene.sent()) == [("ada@example.com", "large"), ("ben@example.com", "small")]


def test_it_is_the_event_of_this_stay_and_not_a_later_one(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{wait: 2h}}, {{send: large, on: email, if: {LARGE}}}]\n")
    scene.customer("ada")
    scene.event("ada", "order.placed", total=20)
    scene.run()
    scene.now = scene.now.replace(minute=30)
    scene.event("ada", "order.placed", total=80)
    scene.run()
    scene.later(hours=3)
    assert scene.sent() == []


def test_what_is_missing_fits_nothing_but_a_denial(scene: Scene) -> None:
    steps = f"[{{send: large, on: email, if: {LARGE}}}, {{send: other, on: email, if: {{began: {{cart_id: {{not: c1}}}}}}}}]"
    scene.journeys(hello=f"{ENTER}steps: {steps}\n")
    scene.customer("ada")
    scene.event("ada", "order.placed")
    scene.run()
    assert scene.templates() == ["other"]


def test_who_is_let_in_may_be_asked(scene: Scene) -> None:
    scene.journeys(hello=f"enter: {{event: order.placed, if: {LARGE}}}\nsteps: [{{send: a, on: email}}]\n")
    for key, total in (("ada", 80), ("ben", 20)):
        scene.customer(key)
        scene.event(key, "order.placed", total=total)
    scene.run()
    assert scene.sent() == [("ada@example.com", "a")]


def test_why_shows_what_was_compared(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{send: large, on: email, if: {LARGE}}}]\n")
    scene.customer("ada")
    scene.event("ada", "order.placed", total=20)
    scene.run()
    with scene.store.reading() as connection:
        found = customers.find(connection, "ada")
        assert found is not None
        trail = CustomerInquiry(connection, found["id"], "Europe/Berlin", scene.now).trail("hello")
    (skipped,) = [entry for entry in trail if entry.decision == "skipped"]
    assert [one.text for one in skipped.compared] == ["began with total: 20, wanted above 50"]


@pytest.mark.parametrize(
    ("enter", "began", "said"),
    [
        ("{event: order.placed}", "{totl: 1}", "T305 The event `order.placed` has no property `totl`."),
        ("{event: order.placed}", "{}", "T203 What about it? A property is missing."),
        (
            "{manual: true}",
            "{total: 1}",
            "T340 `began` looks at the event that started the journey; here is none.",
        ),
    ],
)
def test_mistakes_are_said(enter: str, began: str, said: str) -> None:
    with pytest.raises(AssertionError) as raised:
        plan_of("hello", f"enter: {enter}\nsteps: [{{send: a, on: email, if: {{began: {began}}}}}]\n")
    assert said in str(raised.value)


# --- the oracle ---------------------------------------------------------------------------------------------


def _naive(naive: Any, leaf: Began, person: Any) -> bool:
    says = person.began.properties if person.began is not None else {}
    return all(naive.all_fit(one.ops, naive.typed(says.get(one.name), one.type)) for one in leaf.properties)


def _leaves(stay: bool) -> Any:
    if not stay:
        return st.nothing()
    ops = st.tuples(st.sampled_from(("above", "at_most", "is", "not")), st.integers(0, 100))
    return ops.map(lambda op: Began((Property("total", "number", (Op(op[0], (op[1],)),)),)))


def _asked(asked: Any, leaf: dict[str, Any]) -> bool:
    began = asked.stay.event if asked.stay is not None else None
    says = began.properties if began is not None else {}
    return all(asked.property(test, says.get(name)) for name, test in leaf["began"].items())


def _made(generator: Any, inside: bool) -> dict[str, Any]:
    tests = generator.tests(generator.started) if inside and generator.started else {}
    return {"began": tests} if tests else {"consent": "email"}


ORACLE = Oracle("began", _naive, _leaves, "began", _asked, _made, needs_trigger=True)
