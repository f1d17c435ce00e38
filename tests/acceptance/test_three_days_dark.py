"""The machine was off for three days while many were due: nobody gets yesterday's news.

With 5,000 customers; `make torture` sets TREUE_TEST_DARK=100000.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, insert, select

from tests.engine.scene import Scene
from treue.model.tables import consent, customer, enrollment, event, message, step
from treue.store.store import Store

MANY = int(os.environ.get("TREUE_TEST_DARK", "5000"))
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
DAILY = """
enter: {event: signed.up}
exit:
  - event: consent.withdrawn
steps:
  - {id: one, send: one, on: email}
  - {id: to-two, wait: 1d}
  - {id: two, send: two, on: email}
  - {id: to-three, wait: 1d}
  - {id: three, send: three, on: email, valid_for: 3d}
  - {id: to-four, wait: 1d}
  - {id: four, send: four, on: email}
  - {id: to-five, wait: 1d}
  - {id: five, send: five, on: email}
"""


def signed_up(store: Store, number: int) -> None:
    """Record customers who agreed to e-mail and sign up at the start, a few in each second of an hour."""
    with store.transaction() as connection:
        people = [
            {
                "key": f"c{n}", "draw": n, "email": f"c{n}@example.com", "attributes": {},
                "created_at": START, "updated_at": START,
            }
            for n in range(number)
        ]  # fmt: skip
        connection.execute(insert(customer), people)
        ids = list(connection.scalars(select(customer.c.id).order_by(customer.c.id)))
        agreed = {
            "channel": "email",
            "given": True,
            "basis": "consent",
            "since": START,
            "source": "test",
            "proof": {},
        }
        connection.execute(insert(consent), [{"customer_id": id_, **agreed} for id_ in ids])
        happened = [
            {
                "key": f"e{id_}", "customer_id": id_, "name": "signed.up", "properties": {}, "source": "test",
                "at": START + timedelta(seconds=n % 3_600), "received_at": START,
            }
            for n, id_ in enumerate(ids)
        ]  # fmt: skip
        connection.execute(insert(event), happened)


def fates(store: Store) -> dict[str, dict[str, int]]:
    """Return by template how many messages ended how."""
    query = select(message.c.template, func.coalesce(message.c.reason, message.c.state), func.count())
    found: dict[str, dict[str, int]] = {}
    with store.reading() as connection:
        for template, fate, n in connection.execute(
            query.group_by(message.c.template, message.c.reason, message.c.state)
        ):
            found.setdefault(template, {})[fate] = n
    return found


def test_after_three_days_dark_nothing_stale_goes_out_and_everyone_is_where_the_rules_say(
    store: Store, tmp_path: Path
) -> None:
    scene = Scene(store, tmp_path, "2026-03-02 10:00")
    scene.now = START - timedelta(minutes=1)
    scene.journeys(daily=DAILY)
    signed_up(store, MANY)
    scene.now = START + timedelta(hours=1)
    scene.run()
    assert fates(store) == {"one": {"sent": MANY}}

    scene.now = START + timedelta(days=3, hours=2)
    passed = scene.run()

    # Two was due on the first dark day; three is good for three days; four is not two hours old.
    assert fates(store) == {
        "one": {"sent": MANY},
        "two": {"stale": MANY},
        "three": {"sent": MANY},
        "four": {"sent": MANY},
    }
    with store.reading() as connection:
        query = select(step.c.name, func.count()).join(enrollment, enrollment.c.step_id == step.c.id)
        assert list(connection.execute(query.group_by(step.c.name))) == [("to-five", MANY)]
        due = Counter(connection.scalars(select(enrollment.c.due_at)))
    assert min(due) == START + timedelta(days=4)
    assert max(due) < START + timedelta(days=4, hours=1)

    counts = scene.counts("daily")
    assert counts.refused == {"stale": MANY}, "the report says how many were skipped, and why"
    assert passed.delivered.sent == 2 * MANY
    assert counts.as_json()["refused"] == {"stale": MANY}
    scene.run()
    assert fates(store)["two"] == {"stale": MANY}
