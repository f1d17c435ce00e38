"""Splits that learn: shares follow what works, and nobody changes ways."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from tests.engine.scene import Scene
from treue.model.tables import customer, draw, enrollment, message, trace
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.vocabulary.steps.split.learning import WHOLE, Tried, learnt, shares
from treue.vocabulary.steps.split.word import Split

SPLIT = """{id: subject, learn: LEARN, split: {
  short: {weight: 1, steps: [{id: a, send: short, on: email}]},
  long: {weight: 1, steps: [{id: b, send: long, on: email}]}}}"""
CLICKS = f"enter: {{event: order.placed}}\nsteps: [{SPLIT.replace('LEARN', 'clicked')}]\n"


# --- what is learnt -----------------------------------------------------------------------------------------


def test_until_somebody_has_done_it_the_declared_weights_hold_beside_an_even_fifth() -> None:
    nothing = (Tried(500, 0), Tried(100, 0))
    assert learnt(nothing, (3, 1), "seed") == (7_000, 3_000)
    assert learnt((Tried(), Tried()), (1, 0), "seed") == (9_000, 1_000)


def test_a_way_that_clearly_works_gets_all_but_half_of_the_even_fifth() -> None:
    assert learnt((Tried(1000, 50), Tried(1000, 200)), (1, 1), "seed") == (1_000, 9_000)


def test_the_even_fifth_is_shared_by_all_ways_and_parts_add_up() -> None:
    found = learnt((Tried(900, 9), Tried(900, 300), Tried(900, 9)), (5, 1, 1), "seed")
    assert sum(found) == WHOLE
    assert set(sorted(found)[:2]) <= {666, 667}


def test_the_share_is_the_probability_of_being_the_best() -> None:
    # Beta(3, 3) against Beta(2, 4): by symmetry and integration the first is higher with probability 0.738.
    first, _ = learnt((Tried(4, 2), Tried(4, 1)), (1, 1), "seed")
    assert (first - 1_000) / 8_000 == pytest.approx(0.738, abs=0.02)


def test_the_same_counts_give_the_same_shares() -> None:
    counts = (Tried(50, 7), Tried(60, 4))
    assert learnt(counts, (1, 1), "seed") == learnt.__wrapped__(counts, (1, 1), "seed")


# --- in a journey -------------------------------------------------------------------------------------------


def _wave(scene: Scene, number: int, size: int = 60) -> list[str]:
    keys = [f"w{number}-{n}" for n in range(size)]
    with scene.store.transaction() as connection:
        people = [CustomerInput(key, email=f"{key}@example.com", created_at=scene.now) for key in keys]
        customers.upsert(connection, people, scene.now)
        consents.give(connection, [ConsentInput(key, "email", scene.now) for key in keys], scene.now)
        events.record(connection, [EventInput(key, "order.placed", scene.now) for key in keys], scene.now)
    scene.run()
    return keys


def _ways(scene: Scene) -> dict[str, str]:
    query = (
        select(customer.c.key, draw.c.arm)
        .join(enrollment, enrollment.c.id == draw.c.enrollment_id)
        .join(customer, customer.c.id == enrollment.c.customer_id)
    )
    with scene.store.reading() as connection:
        return {row.key: row.arm for row in connection.execute(query)}


def _click(scene: Scene, rates: dict[str, float], chance: random.Random, what: str = "clicked_at") -> None:
    """Let everybody who has a message and has not been asked yet click it or not."""
    with scene.store.transaction() as connection:
        rows = connection.execute(
            select(message.c.id, message.c.template).where(message.c.delivered_at.is_(None))
        ).all()
        clicked = [row.id for row in rows if chance.random() < rates[row.template]]
        connection.execute(update(message).values(delivered_at=scene.now))
        connection.execute(update(message).where(message.c.id.in_(clicked)).values({what: scene.now}))


def _present(scene: Scene) -> tuple[int, ...]:
    version = next(one for one in scene.engine.versions() if one.live)
    stage = version.plan.stage("subject")
    assert isinstance(stage, Split)
    with scene.store.reading() as connection:
        return shares(connection, version, stage, "salt", scene.now + timedelta(hours=1))


@pytest.mark.parametrize(("learn", "what"), [("clicked", "clicked_at"), ("opened", "opened_at")])
def test_the_traffic_goes_over_to_the_message_that_is_liked(scene: Scene, learn: str, what: str) -> None:
    scene.journeys(hello=CLICKS.replace("clicked", learn))
    chance = random.Random(1)
    for number in range(8):
        _wave(scene, number)
        _click(scene, {"short": 0.3, "long": 0.05}, chance, what)
        scene.later(hours=1)
    last = _wave(scene, 99, 200)
    counts = Counter(way for key, way in _ways(scene).items() if key in last)
    assert _present(scene)[0] > 8_900
    assert 160 < counts["short"] < 195, "all but half of the even fifth"
    assert counts["long"] > 5, "the even fifth is kept"


def test_it_learns_from_conversions_and_leaves_the_holdout_out(scene: Scene) -> None:
    scene.journeys(
        hello=f"holdout: 30%\ngoal: {{event: told, within: 9d}}\nenter: {{event: order.placed}}\n"
        f"steps: [{SPLIT.replace('LEARN', 'converted')}, {{wait: 9d}}]\n"
    )
    keys = _wave(scene, 1, 120)
    ways = _ways(scene)
    assert len(ways) == 120, "the holdout walks the same path"
    with scene.store.reading() as connection:
        held_out = set(
            connection.scalars(
                select(customer.c.key)
                .join(enrollment, enrollment.c.customer_id == customer.c.id)
                .where(enrollment.c.held_out)
            )
        )
    for key in keys:
        if (ways[key] == "long") != (key in held_out):
            scene.event(key, "told")
    scene.run()
    assert _present(scene) == (1_000, 9_000)


def test_nobody_changes_ways_when_shares_move(scene: Scene) -> None:
    scene.journeys(hello=CLICKS)
    _wave(scene, 1)
    before = _ways(scene)
    _click(scene, {"short": 0.0, "long": 1.0}, random.Random(2))
    _wave(scene, 2)
    after = _ways(scene)
    assert {key: after[key] for key in before} == before


def test_what_was_learnt_survives_an_edit_of_the_file(scene: Scene) -> None:
    scene.journeys(hello=CLICKS)
    _wave(scene, 1, 100)
    _click(scene, {"short": 0.02, "long": 0.5}, random.Random(3))
    before = _present(scene)
    scene.journeys(hello=CLICKS.replace("steps: [{id", "steps: [{wait: 1h}, {id"))
    assert _present(scene) == before
    assert before[1] > 8_900


def test_the_trace_says_which_shares_were_used(scene: Scene) -> None:
    scene.journeys(hello=CLICKS)
    _wave(scene, 1, 1)
    with scene.store.reading() as connection:
        detail = connection.scalar(select(trace.c.detail).where(trace.c.decision == "branch"))
    assert detail["shares"] == {"short": 0.5, "long": 0.5}
    assert detail["way"] in ("short", "long")


def test_a_plain_split_keeps_its_draws_too_and_learns_nothing(scene: Scene) -> None:
    scene.journeys(hello=CLICKS.replace("learn: clicked, ", ""))
    _wave(scene, 1, 20)
    _click(scene, {"short": 0.0, "long": 1.0}, random.Random(4))
    _wave(scene, 2, 20)
    counts = Counter(_ways(scene).values())
    assert sum(counts.values()) == 40
    assert counts["short"] > 10


def test_messages_that_reached_nobody_teach_nothing(scene: Scene) -> None:
    scene.journeys(hello=CLICKS)
    _wave(scene, 1, 30)
    with scene.store.transaction() as connection:
        connection.execute(update(message).values(sent_at=None, clicked_at=scene.now))
    assert _present(scene) == (5_000, 5_000)
