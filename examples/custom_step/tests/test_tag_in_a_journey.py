"""`tag` as it is played: on both databases, told by `treue why`, in a journey's tests, as a task of Prefect's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from treue.engine.passes.chronology import run_pass
from treue.engine.passes.engine import Engine
from treue.engine.versions.versions import publish
from treue.insight.why import CustomerInquiry
from treue.model.tables import customer, metadata
from treue.plan.flatten import build
from treue.store import customers, events, zones
from treue.store.inputs import CustomerInput, EventInput
from treue.store.store import Store
from treue.testing import scenarios
from treue.vocabulary.workspace import load
from treue_flows.compile import stage_tasks

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
ZONE = "Europe/Berlin"


@pytest.fixture
def lived(store: Store, shop: Path) -> Store:
    """The store after three customers have ordered, one of them twice."""
    before: dict[str, dict[str, object]] = {
        "new": {"country": "DE"}, "had": {"tags": ["customer"]}, "others": {"tags": ["it's", "b"], "country": "DE"},
    }  # fmt: skip
    with store.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        zones.ensure(connection, [ZONE])
        given = [CustomerInput(key, attributes=values, created_at=NOW) for key, values in before.items()]
        customers.upsert(connection, given, NOW)
    publish(store, [build(load(shop).require().journeys["loyal"])], {}, NOW)
    with store.transaction() as connection:
        orders = [
            EventInput(key, "order.placed", NOW, {}, f"{key}-{n}")
            for key in before
            for n in range(1 + (key == "new"))
        ]
        events.record(connection, orders, NOW)
    run_pass(Engine(store, ZONE, "salt", None, shop), NOW)
    return store


def test_a_tag_is_added_once_and_after_the_others(lived: Store) -> None:
    """Whatever was there stays; so do other attributes."""
    with lived.reading() as connection:
        found = {row.key: row.attributes for row in connection.execute(select(customer))}
    assert found == {
        "new": {"tags": ["customer", "at-home"], "country": "DEU"},
        "had": {"tags": ["customer"]},
        "others": {"tags": ["it's", "b", "customer", "at-home"], "country": "DEU"},
    }


def test_why_tells_who_got_it_who_had_it_and_who_was_passed_by(lived: Store) -> None:
    """In the words of the shared decision, and of the step's own."""

    def told(key: str) -> list[tuple[str, dict[str, object]]]:
        with lived.reading() as connection:
            who = customers.find(connection, key)
            assert who is not None
            trail = CustomerInquiry(connection, who["id"], ZONE, NOW).trail("loyal")
        return [
            (entry.sentence, dict(entry.values)) for entry in trail if entry.step in ("customer", "at-home")
        ]

    assert told("others") == [
        ("attributes were written", {"tags": "customer"}),
        ("attributes were written", {"tags": "at-home"}),
    ]
    assert told("had") == [
        ("had the tag already", {"tags": "customer"}),
        ("skipped the step, its `if` did not hold", {}),
    ]


def test_the_journeys_own_tests_pass(shop: Path) -> None:
    """With `tag` and `set` among what they expect."""
    report = scenarios.run(load(shop, tests=True).require(), ["loyal"])
    assert [result.diff for result in report.results if not result.passed] == []
    assert len(report.results) == 2


def test_a_test_that_fails_says_what_was_given_instead(shop: Path) -> None:
    """Beside what was expected, with the reason."""
    path = shop / "journeys" / "loyal.test.yaml"
    text = path.read_text(encoding="utf-8").replace("country: FR}", "country: FR, tags: [customer]}")
    path.write_text(text.replace("tag: customer}", "tag: at-home}", 1), encoding="utf-8")
    (failed,) = [
        one for one in scenarios.run(load(shop, tests=True).require(), ["loyal"]).results if not one.passed
    ]
    assert "\n".join((*failed.diff, "")) == (GOLDEN / "failed.txt").read_text(encoding="utf-8")


def test_it_is_a_task_of_its_own(shop: Path) -> None:
    """Named by the step's id, tried as the step asks."""
    task = stage_tasks(build(load(shop).require().journeys["loyal"]))["at-home"]
    assert (task.name, task.retries, task.timeout_seconds) == ("at-home", 2, 1_800.0)
