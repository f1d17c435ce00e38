"""A late batch reads what records said at its own instant, and leaves behind what one in time would have left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select

from tests.engine.scene import SCHEMA, ZONE, Scene, phone_of
from treue.clock import micros
from treue.cohorts import hindsight
from treue.cohorts.player import player
from treue.cohorts.scene import Deed
from treue.cohorts.scene import Scene as Played
from treue.engine.steps.personal import Personal
from treue.model.tables import LAST, caller, change, cohort, consent, customer, event, opt_out
from treue.store import consents, customers, events, opt_outs
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store

HOUR = timedelta(hours=1)


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Iterator[Scene]:
    """Ada and Ben, known since ten; records change by the hour, and a batch of half past eleven comes late."""
    made = Scene(store, tmp_path / "state")
    made.customer("ada", country="DE", visits=1)
    made.customer("ben", country="DE")
    yield made
    made.delivery.close()


def change_at(scene: Scene, hours: float, key: str = "ada", **named: Any) -> None:
    columns = {name: named.pop(name) for name in customers.COLUMNS if name in named}
    with scene.store.transaction() as connection:
        customers.merge(
            connection, [CustomerInput(key, **columns, attributes=named)], scene.now + hours * HOUR
        )


def say_at(scene: Scene, hours: float, given: bool, since: float | None = None) -> None:
    now = scene.now + hours * HOUR
    at = now if since is None else scene.now + since * HOUR
    with scene.store.transaction() as connection:
        verb = consents.give if given else consents.withdraw
        verb(connection, [ConsentInput("ada", "email", at)], now)


def gather(connection: Connection, at: datetime, *keys: str) -> None:
    ids = [connection.scalar(select(customer.c.id).where(customer.c.key == key)) for key in keys]
    rows = [
        {"enrollment_id": n, "customer_id": id_, "at": at, "effective_at": at} for n, id_ in enumerate(ids, 1)
    ]
    connection.execute(delete(cohort))
    connection.execute(insert(cohort), rows)


@contextmanager
def late_batch(scene: Scene, *keys: str, hours: float = 1.5) -> Iterator[Connection]:
    with scene.store.transaction() as connection:
        gather(connection, scene.now + hours * HOUR, *(keys or ("ada",)))
        with hindsight.in_their_time(connection, hindsight.COHORT):
            yield connection


def play(scene: Scene, step: str, *keys: str, hours: float = 1.5) -> None:
    """Play a step for a late batch."""
    scene.journeys(hello=f"enter: {{event: order.placed}}\nsteps: [{step}]\n")
    version = scene.engine.versions()[0]
    with late_batch(scene, *keys, hours=hours) as connection:
        renders = Personal(SCHEMA.attributes, SCHEMA.events)
        played = Played(version, scene.now + 9 * HOUR, connection.dialect.name, ZONE, "salt", connection)
        played, stage = replace(played, renders=renders), version.plan.stages[0]
        for one in player(stage).act(played, stage):
            if isinstance(one, Deed):
                one.act(played)
            elif not one.says.startswith("note"):
                connection.execute(one.sql, {"now": played.now})


def record(connection: Connection, key: str = "ada") -> dict[str, Any]:
    found = customers.find(connection, key)
    assert found is not None
    return customers.said(found)


def today(scene: Scene, key: str = "ada") -> dict[str, Any]:
    with scene.store.reading() as connection:
        return record(connection, key)


def past(scene: Scene, name: str) -> list[tuple[float, Any]]:
    """Return what is kept of one thing of Ada's: the hours after which it changed, and what it was before."""
    query = select(change.c.at, change.c.before).where(change.c.name == name, customer.c.key == "ada")
    query = query.join(customer, customer.c.id == change.c.customer_id)
    with scene.store.reading() as connection:
        found = connection.execute(query.order_by(change.c.at, change.c.seq)).all()
    return [((row.at - scene.now) / HOUR, row.before) for row in found]


def standing(connection: Connection) -> tuple[Any, ...] | None:
    query = select(consent.c.given, consent.c.since, consent.c.source).join(
        customer, customer.c.id == consent.c.customer_id
    )
    found = connection.execute(query.where(customer.c.key == "ada", consent.c.channel == "email")).first()
    return tuple(found) if found else None


def stood(scene: Scene, hours: float, given: bool = True) -> dict[str, Any]:
    return {"given": given, "basis": "consent", "since": micros(scene.now + hours * HOUR)}


def test_what_changed_later_is_taken_back_for_the_batch_and_put_back_after_it(scene: Scene) -> None:
    change_at(scene, 1, country="AT")
    change_at(scene, 2, country="CH", visits=None, vip=True, locale="de")
    change_at(scene, 3, country="FR", vip=False)
    change_at(scene, 2, key="ben", country="IT")
    before = today(scene)
    with late_batch(scene, "ada", "ben") as connection:
        then = record(connection)
        assert (then["country"], then["visits"], then["locale"], "vip" in then) == ("AT", 1, None, False)
        assert record(connection, "ben")["country"] == "DE"
    assert today(scene) == before
    assert (before["country"], before["vip"], before["locale"]) == ("FR", False, "de")
    assert [was for _, was in past(scene, "country")] == ["DE", "AT", "CH"]


def test_a_batch_whose_customers_have_not_changed_since_takes_nothing_back(scene: Scene) -> None:
    change_at(scene, 1.5, country="AT")
    change_at(scene, 2, key="ben", country="AT")
    with scene.store.transaction() as connection:
        gather(connection, scene.now + 1.5 * HOUR, "ada")
        assert hindsight.take_back(connection, hindsight.COHORT) is None


def test_addresses_come_back_with_their_keys(scene: Scene) -> None:
    change_at(scene, 2, email="Other@Example.com", phone="", push_token="token-2", timezone="Asia/Tokyo")
    with late_batch(scene) as connection:
        row = customers.find(connection, "ada")
        assert row is not None
        found = (
            row["email"],
            row["email_key"],
            row["phone"],
            row["push_token"],
            row["push_key"],
            row["timezone"],
        )
        assert found == (
            "ada@example.com",
            "ada@example.com",
            phone_of("ada"),
            "token-ada",
            "token-ada",
            None,
        )
    with scene.store.reading() as connection:
        row = customers.find(connection, "ada")
    assert row is not None
    found = (
        row["email"],
        row["email_key"],
        row["phone"],
        row["push_token"],
        row["push_key"],
        row["timezone"],
    )
    assert found == ("Other@example.com", "other@example.com", None, "token-2", "token-2", "Asia/Tokyo")


def test_consents_come_back_and_those_given_later_are_not_there_yet(scene: Scene) -> None:
    say_at(scene, 1, False)
    say_at(scene, 2, True)
    with scene.store.transaction() as connection:
        given = ConsentInput("ada", "sms", scene.now + 2 * HOUR, proof={"form": "x"})
        consents.give(connection, [given], scene.now + 2 * HOUR)
    with late_batch(scene) as connection:
        assert standing(connection)[:2] == (False, scene.now + HOUR)
        assert connection.scalars(
            select(consent.c.channel).join(customer).where(customer.c.key == "ada")
        ).all() == ["email"]
    with scene.store.reading() as connection:
        assert standing(connection)[:2] == (True, scene.now + 2 * HOUR)
        proof = select(consent.c.proof).where(consent.c.channel == "sms")
        assert connection.scalars(proof).all() == [{"form": "x"}]


@pytest.mark.parametrize(
    "step", ["{set: {country: FR}}", '{set: {country: "{{ customer.country | upper }}R"}}']
)
def test_what_a_late_step_sets_is_what_the_next_change_found(scene: Scene, step: str) -> None:
    change_at(scene, 1, country="f")
    change_at(scene, 2, country="AT")
    change_at(scene, 3, country="CH")
    play(scene, step)
    assert today(scene)["country"] == "CH"
    assert past(scene, "country") == [(1, "DE"), (1.5, "f"), (2, "FR"), (3, "AT")]
    with late_batch(scene, hours=1.75) as connection:
        assert record(connection)["country"] == "FR"


@pytest.mark.parametrize(
    "step", ["{set: {vip: true, visits: 1}}", '{set: {vip: "{{ true }}", visits: "{{ 1 }}"}}']
)
def test_what_a_late_step_sets_stays_where_nobody_changed_it_since(scene: Scene, step: str) -> None:
    change_at(scene, 2, country="AT")
    play(scene, step)
    assert (today(scene)["vip"], today(scene)["country"]) == (True, "AT")
    assert past(scene, "vip") == [(1.5, None)]
    assert past(scene, "visits") == []


@pytest.mark.parametrize(
    ("step", "value"),
    [("{set: {country: FR}}", "FR"), ('{set: {country: "{{ customer.country }}x"}}', "DEx")],
)
def test_two_stays_of_one_customer_in_a_batch_have_one_record(scene: Scene, step: str, value: str) -> None:
    change_at(scene, 2, country="AT")
    play(scene, step, "ada", "ben", "ada")
    assert (today(scene)["country"], today(scene, "ben")["country"]) == ("AT", value)
    assert past(scene, "country") == [(1.5, "DE"), (2, value)]


def test_a_late_withdrawal_ends_the_consent_that_stands_unless_a_later_one_was_given(scene: Scene) -> None:
    change_at(scene, 2, country="AT")
    play(scene, "{withdraw: email}")
    with scene.store.reading() as connection:
        assert standing(connection) == (False, scene.now + 1.5 * HOUR, "journey:hello")
    assert past(scene, "consent:email") == [(1.5, stood(scene, 0))]


def test_a_late_withdrawal_is_what_a_later_consent_has_lifted(scene: Scene) -> None:
    say_at(scene, 2, False)
    say_at(scene, 3, True)
    play(scene, "{withdraw: email}")
    with scene.store.reading() as connection:
        assert standing(connection) == (True, scene.now + 3 * HOUR, "api")
        assert connection.execute(select(opt_out)).all() == []
        withdrawn = select(event.c.effective_at).where(event.c.source == "journey:hello")
        assert connection.scalars(withdrawn).all() == [scene.now + 1.5 * HOUR]
    assert past(scene, "consent:email") == [
        (1.5, stood(scene, 0)), (2, stood(scene, 1.5, False)), (3, stood(scene, 2, False)),
    ]  # fmt: skip


def test_a_later_consent_lifts_what_a_late_withdrawal_said_of_the_address_she_had_when_she_agreed(
    scene: Scene,
) -> None:
    say_at(scene, 2, False)
    say_at(scene, 2.5, True)
    change_at(scene, 3, email="else@example.com")
    play(scene, "{withdraw: email}")
    with scene.store.reading() as connection:
        assert connection.execute(select(opt_out)).all() == []


def test_a_later_consent_for_another_address_leaves_that_of_a_late_withdrawal_on_the_list(
    scene: Scene,
) -> None:
    change_at(scene, 2, email="else@example.com")
    say_at(scene, 2.5, False)
    say_at(scene, 3, True)
    play(scene, "{withdraw: email}")
    with scene.store.reading() as connection:
        assert connection.scalars(select(opt_out.c.address)).all() == ["ada@example.com"]


def test_an_address_she_moves_to_after_a_later_consent_stays_on_the_list(scene: Scene) -> None:
    with scene.store.transaction() as connection:
        stopped = opt_outs.OptOut("email", "else@example.com", scene.now, "import")
        opt_outs.add(connection, [stopped])
    say_at(scene, 2, False)
    say_at(scene, 2.5, True)
    change_at(scene, 3, email="else@example.com")
    play(scene, "{withdraw: email}")
    with scene.store.reading() as connection:
        assert connection.scalars(select(opt_out.c.address)).all() == ["else@example.com"]


def test_a_late_withdrawal_outlives_a_consent_of_before_that_came_after_it(scene: Scene) -> None:
    say_at(scene, 0.5, False)
    say_at(scene, 2, True, since=1)
    play(scene, "{withdraw: email}")
    with scene.store.reading() as connection:
        assert standing(connection)[:2] == (False, scene.now + 1.5 * HOUR)
        assert len(connection.execute(select(opt_out)).all()) == 1
    assert past(scene, "consent:email") == [
        (0.5, stood(scene, 0)), (1.5, stood(scene, 0.5, False)), (2, stood(scene, 1.5, False)),
    ]  # fmt: skip


def test_somebody_at_a_door_sees_of_her_instant_what_came_before_the_event_that_brought_her(
    scene: Scene,
) -> None:
    change_at(scene, 2, country="AT")
    with scene.store.transaction() as connection:
        events.record(
            connection, [EventInput("ada", "order.placed", scene.now + 2 * HOUR)], scene.now + 2 * HOUR
        )
        placed = connection.execute(select(event).where(event.c.name == "order.placed")).one()
    change_at(scene, 2, country="CH")
    arrival = {
        "event_id": placed.id,
        "at": placed.at,
        "last_at": placed.at,
        "effective_at": placed.effective_at,
        "seq": placed.seq,
    }
    assert _at_the_door(scene, **arrival, caused=False) == "AT"
    assert _at_the_door(scene, **arrival, caused=True) == "CH"
    assert _at_the_door(scene, **{**arrival, "seq": LAST}, caused=False) == "CH"
    assert _at_the_door(scene, **{**arrival, "last_at": placed.at - HOUR}, caused=False) == "DE", (
        "before what is of now"
    )
    assert today(scene)["country"] == "CH"


def test_a_late_word_on_consent_lets_in_by_itself(scene: Scene) -> None:
    say_at(scene, 2, False, since=1)
    with scene.store.reading() as connection:
        told = connection.execute(select(event).where(event.c.name == "consent.withdrawn")).one()
        id_ = told.customer_id
    arrival = {"event_id": told.id, "last_at": told.at, "effective_at": told.effective_at, "seq": told.seq}
    with scene.store.transaction() as connection:
        connection.execute(
            insert(caller), [{"arrival_id": 1, "customer_id": id_, "caused": False, **arrival}]
        )
        with hindsight.in_their_time(connection, hindsight.CALLERS):
            assert standing(connection)[0] is False
        connection.execute(delete(caller))
        connection.execute(
            insert(caller),
            [{"arrival_id": 1, "customer_id": id_, "caused": False, **arrival, "seq": told.seq - 1}],
        )
        with hindsight.in_their_time(connection, hindsight.CALLERS):
            assert standing(connection)[0] is True


def _at_the_door(scene: Scene, **arrival: Any) -> Any:
    with scene.store.transaction() as connection:
        id_ = connection.scalar(select(customer.c.id).where(customer.c.key == "ada"))
        connection.execute(insert(caller), [{"arrival_id": 1, "customer_id": id_, **arrival}])
        with hindsight.in_their_time(connection, hindsight.CALLERS):
            found = record(connection)["country"]
        connection.execute(delete(caller))
        return found


def test_each_customer_of_a_batch_has_an_instant_of_her_own(scene: Scene) -> None:
    for key in ("ada", "ben"):
        change_at(scene, 1, key=key, country="AT")
        change_at(scene, 2, key=key, country="CH")
    with scene.store.transaction() as connection:
        ids = [
            connection.scalar(select(customer.c.id).where(customer.c.key == key)) for key in ("ada", "ben")
        ]
        for n, (id_, hours) in enumerate(zip(ids, (0.5, 1.5), strict=True)):
            at = scene.now + hours * HOUR
            connection.execute(
                insert(cohort), [{"enrollment_id": n, "customer_id": id_, "at": at, "effective_at": at}]
            )
        with hindsight.in_their_time(connection, hindsight.COHORT):
            assert [record(connection, key)["country"] for key in ("ada", "ben")] == ["DE", "AT"]


def test_what_a_journey_withdraws_comes_after_what_was_said_from_outside_at_that_instant(
    scene: Scene,
) -> None:
    proof = {"sale": "s", "similar_goods": "s", "notice": "n"}
    at = scene.now + 2 * HOUR
    with scene.store.transaction() as connection:
        given = ConsentInput("ada", "sms", at, "existing_customer", proof=proof)
        consents.give(connection, [given], at)
        step = ConsentInput("ada", "sms", at - HOUR, source="journey:hello", effective_at=at)
        consents.withdraw(connection, [step], at)
    with late_batch(scene) as connection:
        assert not [row for row in connection.execute(select(consent)) if row.channel == "sms"]
