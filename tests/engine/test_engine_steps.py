"""What the steps do, when, and to whom."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene, at
from treue.cohorts import scene as scenes
from treue.model.tables import customer, event

ENTER = "enter: {event: order.placed}\n"


def _ordered(scene: Scene, *keys: str, **values: object) -> None:
    for key in keys:
        scene.customer(key, **values)  # type: ignore[arg-type]
        scene.event(key, "order.placed", total=1)
    scene.run()


def test_a_wait_holds_for_its_time_and_no_longer(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{wait: 2h}}, {{send: hello, on: email}}]\n")
    _ordered(scene, "ada")
    scene.later(hours=1, minutes=59)
    assert scene.sent() == []
    scene.later(minutes=1)
    assert scene.templates() == ["hello"]


@pytest.mark.parametrize(
    ("wait", "start", "due"),
    [
        ("1d", "2027-03-27 09:00", "2027-03-28 09:00"),
        ("24h", "2027-03-27 09:00", "2027-03-28 10:00"),
        ("1d", "2027-10-30 09:00", "2027-10-31 09:00"),
        ("24h", "2027-10-30 09:00", "2027-10-31 08:00"),
        ("1d", "2027-03-27 02:30", "2027-03-28 03:00"),
        ("1mo", "2027-01-31 12:00", "2027-02-28 12:00"),
        ("1y", "2028-02-29 12:00", "2029-02-28 12:00"),
        ("1mo 1d 2h", "2027-02-27 23:00", "2027-03-29 01:00"),
        ("2w", "2027-03-20 12:00", "2027-04-03 12:00"),
    ],
)
def test_calendar_units_follow_the_local_clock_and_hours_do_not(
    scene: Scene, wait: str, start: str, due: str
) -> None:
    scene.now = at(start)
    scene.journeys(hello=f"{ENTER}steps: [{{wait: {wait}}}, {{send: hello, on: email}}]\n")
    _ordered(scene, "ada")
    scene.now = at(due) - timedelta(minutes=1)
    scene.run()
    assert scene.sent() == []
    scene.now = at(due)
    scene.run()
    assert [row[-1] for row in scene.messages()] == [at(due)]


def test_each_customer_waits_on_their_own_clock(scene: Scene) -> None:
    scene.now = at("2027-03-27 12:00")
    scene.journeys(hello=f"{ENTER}steps: [{{wait: 1d}}, {{send: hello, on: email}}]\n")
    _ordered(scene, "ada", timezone="America/New_York")
    _ordered(scene, "bob")
    scene.until("2027-03-28 14:00")
    assert {row[0]: row[-1] for row in scene.messages()} == {
        "ada": at("2027-03-28 13:00"),
        "bob": at("2027-03-28 12:00"),
    }


def test_waits_do_not_drift_when_passes_are_late(scene: Scene) -> None:
    scene.journeys(
        hello=f"{ENTER}steps: [{{wait: 1d}}, {{send: one, on: email}}, {{wait: 1d}}, {{send: two, on: email}}]\n"
    )
    _ordered(scene, "ada")
    scene.later(hours=30)
    scene.later(hours=18)
    assert [row[-1] for row in scene.messages()] == [at("2026-03-03 10:00"), at("2026-03-04 10:00")]


def test_after_three_days_dark_stale_messages_are_not_sent_and_everyone_is_where_they_belong(
    scene: Scene,
) -> None:
    steps = ", ".join(f"{{wait: 1d}}, {{send: day{n}, on: email}}" for n in range(1, 6))
    scene.journeys(hello=f"{ENTER}steps: [{steps}]\n")
    _ordered(scene, "ada")
    scene.later(days=3, hours=12)
    assert scene.templates() == ["day3"]
    assert [(row[1], row[4]) for row in scene.messages()] == [
        ("day1", "stale"),
        ("day2", "stale"),
        ("day3", None),
    ]
    scene.until("2026-03-08 10:00")
    assert scene.templates() == ["day3", "day4", "day5"]


def test_choose_takes_the_first_branch_that_fits_else_the_last_and_goes_on(scene: Scene) -> None:
    scene.journeys(
        hello=f"""{ENTER}steps:
  - choose:
      - if: {{attribute: country, is: DE}}
        steps: [{{send: german, on: email}}]
      - if: {{attribute: vip, is: true}}
        steps: [{{send: vip, on: email}}]
      - else: [{{send: other, on: email}}]
  - send: all
    on: email
"""
    )
    _ordered(scene, "ada", country="DE", vip=True)
    _ordered(scene, "bob", country="FR", vip=True)
    _ordered(scene, "cem")
    assert scene.templates() == ["german", "all", "vip", "all", "other", "all"]


def test_without_an_else_those_who_fit_no_branch_go_on(scene: Scene) -> None:
    scene.journeys(
        hello=f"{ENTER}steps: [{{choose: [{{if: {{attribute: vip, is: true}}, steps: [{{send: vip, on: email}}]}}]}}, {{send: all, on: email}}]\n"
    )
    _ordered(scene, "ada")
    assert scene.templates() == ["all"]


def test_a_branch_can_look_at_what_became_of_a_message(scene: Scene) -> None:
    from sqlalchemy import update

    from treue.model.tables import message

    scene.journeys(
        hello=f"""{ENTER}steps:
  - {{send: first, on: email}}
  - wait: 1d
  - choose:
      - if: {{message: first, was: clicked}}
        steps: [{{send: liked, on: email}}]
      - else: [{{send: again, on: email}}]
"""
    )
    _ordered(scene, "ada", "bob")
    with scene.store.transaction() as connection:
        connection.execute(
            update(message).where(message.c.customer_id == _id(scene, "ada")).values(clicked_at=scene.now)
        )
    scene.later(days=1)
    assert sorted(scene.sent()[2:]) == [("ada@example.com", "liked"), ("bob@example.com", "again")]


def test_a_split_divides_by_weight_and_always_the_same_way(scene: Scene) -> None:
    text = f"{ENTER}steps: [{{split: {{a: {{weight: 3, steps: [{{send: a, on: email}}]}}, b: {{weight: 1, steps: [{{send: b, on: email}}]}}}}}}]\n"
    scene.journeys(one=text, two=text)
    _ordered(scene, *(f"c{n}" for n in range(400)))
    ways: dict[str, list[str]] = {}
    for address, template in scene.sent():
        ways.setdefault(address, []).append(template)
    shares = [template for templates in ways.values() for template in templates]
    assert 0.68 < shares.count("a") / len(shares) < 0.82
    assert any(first != second for first, second in ways.values()), "two journeys draw independently"


def test_split_draws_do_not_change_with_an_edit_of_the_file(scene: Scene) -> None:
    split = "{split: {a: {weight: 1, steps: [{send: a, on: email}]}, b: {weight: 1, steps: [{send: b, on: email}]}}, id: draw}"
    again = "enter: {event: order.placed, again: always}\n"
    scene.journeys(hello=f"{again}steps: [{split}]\n")
    keys = [f"c{n}" for n in range(60)]
    _ordered(scene, *keys)
    before = dict(scene.sent())
    scene.channels["email"].sent.clear()
    scene.journeys(hello=f"{again}steps: [{{wait: 1h}}, {split}]\n")
    scene.later(minutes=1)
    for key in keys:
        scene.event(key, "order.placed")
    scene.run()
    scene.later(hours=1)
    assert dict(scene.sent()) == before


def test_the_holdout_walks_the_same_path_and_is_sent_nothing(scene: Scene) -> None:
    scene.journeys(
        hello=f"holdout: 50%\n{ENTER}steps: [{{send: hello, on: email}}, {{wait: 1d}}, {{set: {{vip: true}}}}]\n"
    )
    keys = [f"c{n}" for n in range(100)]
    _ordered(scene, *keys)
    scene.later(days=1)
    counts = scene.counts("hello")
    assert 30 < counts.held_out < 70
    assert counts.refused == {"held_out": counts.held_out}
    assert counts.sent["email"] == 100 - counts.held_out
    assert all(scene.attribute(key, "vip") is True for key in keys)


def test_the_first_channel_that_reaches_the_customer_is_taken(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{send: hello, on: [push, sms, email]}}]\n")
    _ordered(scene, "all", consent="push sms email")
    _ordered(scene, "two", consent="sms email")
    _ordered(scene, "last", consent="email")
    _ordered(scene, "none", consent="")
    assert [len(scene.sent(kind)) for kind in ("push", "sms", "email")] == [1, 1, 1]
    scene.later(minutes=5)
    assert scene.messages()[-1][2:5] == ("push", "refused", "no_consent")


def test_all_sends_on_each_channel(scene: Scene) -> None:
    scene.journeys(hello=f"{ENTER}steps: [{{send: hello, on: [sms, email], all: true}}]\n")
    _ordered(scene, "ada", consent="sms email")
    assert [len(scene.sent(kind)) for kind in ("sms", "email")] == [1, 1]


def test_no_non_send_is_silent(scene: Scene) -> None:
    from treue.store import suppressions

    scene.journeys(hello=f"{ENTER}steps: [{{send: hello, on: email}}]\n")
    with scene.store.transaction() as connection:
        suppressions.add(connection, "email", ["Gone@example.com"], "bounced", scene.now)
    _ordered(scene, "gone", email="Gone@example.com")
    _ordered(scene, "nowhere", email="")
    _ordered(scene, "silent", consent="")
    scene.later(minutes=5)
    assert [row[3:5] for row in scene.messages()] == [
        ("refused", "suppressed"),
        ("refused", "no_address"),
        ("refused", "no_consent"),
    ]


def test_a_transactional_message_needs_no_consent(scene: Scene) -> None:
    scene.journeys(hello=f"category: transactional\n{ENTER}steps: [{{send: hello, on: email}}]\n")
    _ordered(scene, "ada", consent="")
    assert scene.templates() == ["hello"]


@pytest.mark.parametrize(("basis", "sent"), [("consent", 0), ("existing_customer", 1)])
def test_an_existing_customer_is_reached_only_on_that_ground(scene: Scene, basis: str, sent: int) -> None:
    from treue.store import consents
    from treue.store.inputs import ConsentInput

    scene.journeys(
        hello=f"category: relational\nbasis: {basis}\n{ENTER}steps: [{{send: hello, on: email}}]\n"
    )
    scene.customer("ada", consent="")
    facts = dict.fromkeys(consents.EXISTING_CUSTOMER_FACTS, True)
    with scene.store.transaction() as connection:
        consents.give(
            connection,
            [ConsentInput("ada", "email", scene.now, "existing_customer", "shop", facts)],
            scene.now,
        )
    scene.event("ada", "order.placed")
    scene.run()
    assert len(scene.sent()) == sent


def test_set_writes_attributes_plain_and_from_a_template(scene: Scene) -> None:
    from treue.engine.steps.personal import Personal

    scene.engine.personal = Personal({"visits": "number", "country": "text"}, {})
    scene.journeys(hello=f'{ENTER}steps: [{{set: {{vip: true, visits: "{{{{ customer.visits + 1 }}}}"}}}}]\n')
    _ordered(scene, "ada", visits=2, country="DE")
    assert [scene.attribute("ada", name) for name in ("vip", "visits", "country")] == [True, 3, "DE"]


def test_what_is_rendered_is_not_written_for_those_who_skip_the_step(scene: Scene) -> None:
    """Templates were once filled in before anybody was asked the step's `if`."""
    from treue.engine.steps.personal import Personal

    scene.engine.personal = Personal({"visits": "number"}, {"told": {"why": "text"}})
    scene.journeys(
        hello=f"""{ENTER}steps:
  - {{set: {{visits: "{{{{ customer.visits + 1 }}}}"}}, if: {{attribute: vip, is: true}}}}
  - {{emit: told, data: {{why: "{{{{ customer.id }}}}"}}, if: {{attribute: vip, is: true}}}}
"""
    )
    scene.customer("ada", visits=1, vip=True)
    scene.customer("ben", visits=1, vip=False)
    for key in ("ada", "ben"):
        scene.event(key, "order.placed")
    scene.run()
    assert [scene.attribute(key, "visits") for key in ("ada", "ben")] == [2, 1]
    with scene.store.reading() as connection:
        told = (
            select(customer.c.key)
            .join(event, event.c.customer_id == customer.c.id)
            .where(event.c.name == "told")
        )
        assert list(connection.scalars(told)) == ["ada"]


def test_emit_records_an_event_that_starts_another_journey_in_the_same_pass(scene: Scene) -> None:
    scene.journeys(
        first=f"{ENTER}steps: [{{emit: told, data: {{why: because}}}}]\n",
        second="enter: {event: told, where: {why: because}}\nsteps: [{send: second, on: email}]\n",
    )
    _ordered(scene, "ada")
    assert scene.templates() == ["second"]


def test_choose_asks_each_stay_for_the_same_as_what_started_it(scene: Scene) -> None:
    scene.journeys(
        hello="""
enter: {event: cart.left, per: cart_id}
steps:
  - wait: 1d
  - choose:
      - if: {event: order.placed, same: cart_id, since: entry}
        steps: [{send: thanks, on: email}]
      - else: [{send: hello, on: email}]
"""
    )
    scene.customer("ada")
    for cart in ("a", "b"):
        scene.event("ada", "cart.left", cart_id=cart)
    scene.run()
    scene.later(hours=1)
    scene.event("ada", "order.placed", cart_id="b")
    scene.later(days=1)
    assert scene.templates() == ["thanks", "hello"]


LAST_CART = """
enter: {event: cart.left, per: cart_id}
steps:
  - wait: 1d
  - send: hello
    on: email
    if: {not: {journey: hello, is: finished}}
"""


@pytest.mark.parametrize("batch", [1, 2, 5_000])
def test_two_stays_at_a_step_are_asked_before_either_goes_on_wherever_a_batch_ends(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr("treue.engine.passes.engine.Scene", partial(scenes.Scene, batch=batch))
    scene.journeys(hello=LAST_CART)
    for key in ("ada", "bob"):
        scene.customer(key)
    for cart, key in (("a", "ada"), ("b", "bob"), ("c", "bob"), ("d", "ada")):
        scene.event(key, "cart.left", cart_id=cart)
    scene.run()
    assert scene.later(days=1).moved == 8
    assert sorted(scene.sent()) == [("ada@example.com", "hello")] * 2 + [("bob@example.com", "hello")] * 2


def test_a_stay_sees_what_another_did_at_the_step_an_hour_before(scene: Scene) -> None:
    scene.journeys(hello=LAST_CART)
    scene.customer("ada")
    scene.event("ada", "cart.left", cart_id="a")
    scene.run()
    scene.later(hours=1)
    scene.event("ada", "cart.left", cart_id="b")
    scene.run()
    scene.later(days=1)
    assert scene.templates() == ["hello"]


def test_stop_ends_the_journey_there(scene: Scene) -> None:
    scene.journeys(
        hello=f"{ENTER}steps: [{{stop: true, if: {{attribute: vip, is: true}}}}, {{send: hello, on: email}}]\n"
    )
    _ordered(scene, "ada", vip=True)
    _ordered(scene, "bob")
    assert scene.sent() == [("bob@example.com", "hello")]
    assert scene.counts("hello").finished == 2


def test_a_step_whose_if_does_not_hold_is_skipped_also_a_wait(scene: Scene) -> None:
    scene.journeys(
        hello=f"{ENTER}steps: [{{wait: 5d, if: {{attribute: vip, is: true}}}}, {{send: gift, on: email, if: {{attribute: vip, is: true}}}}, {{send: hello, on: email}}]\n"
    )
    _ordered(scene, "ada")
    _ordered(scene, "bob", vip=True)
    assert scene.sent() == [("ada@example.com", "hello")]
    scene.later(days=5)
    assert scene.templates() == ["hello", "gift", "hello"]


def _id(scene: Scene, key: str) -> int:
    from treue.store import customers

    with scene.store.reading() as connection:
        return customers.ids_for_keys(connection, [key])[key]
