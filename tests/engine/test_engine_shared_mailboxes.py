"""Ten thousand records, a third of them at shared mailboxes, through two mails and a choose on clicks: once a mailbox a step."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine.scene import Scene
from treue.channel import DeliveryEvent, DeliveryEventKind
from treue.delivery import receipts
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store

RECORDS, SHARING, FAMILY = 10_000, 3_600, 3
"""How many records there are, how many of them share a mailbox, and how many share one."""
MAILBOXES = RECORDS - SHARING + SHARING // FAMILY
JOURNEY = """
enter: {event: signed.up}
steps:
  - {id: first, send: news, on: email}
  - wait: 2d
  - choose:
      - if: {message: news, was: clicked}
        steps: [{id: thanks, send: thanks, on: email}]
      - else: [{id: again, send: again, on: email}]
"""


def mailbox(n: int) -> str:
    """Return a record's address: those of a family are spelt in two ways."""
    if n >= SHARING:
        return f"c{n}@example.com"
    address = f"family{n // FAMILY}@example.com"
    return address.title() if n % 2 else address


@pytest.fixture
def shop(store: Store, tmp_path: Path) -> Scene:
    """Everybody has signed up, in batches, and the records of a family not one after the other."""
    scene = Scene(store, tmp_path / "state")
    scene.journeys(hello=JOURNEY)
    order = sorted(range(RECORDS), key=lambda n: (n % FAMILY, n))
    for start in range(0, RECORDS, 1_000):
        some = [(f"c{n:05}", mailbox(n)) for n in order[start : start + 1_000]]
        with store.transaction() as connection:
            people = [CustomerInput(key, email=address, created_at=scene.now) for key, address in some]
            customers.upsert(connection, people, scene.now)
            consents.give(connection, [ConsentInput(key, "email", scene.now) for key, _ in some], scene.now)
            told = [EventInput(key, "signed.up", scene.now) for key, _ in some]
            events.record(connection, told, scene.now)
    return scene


def became(scene: Scene) -> Counter[tuple[str, str, str | None]]:
    """Return how many messages have come to each state and reason, by template."""
    return Counter((template, state, reason) for _, template, _, state, reason, _ in scene.messages())


def test_each_mailbox_gets_each_step_once_and_all_counts_add_up(shop: Scene) -> None:
    shop.run()
    first = {
        ("news", "sent", None): MAILBOXES,
        ("news", "refused", "same_mailbox"): RECORDS - MAILBOXES,
    }
    assert became(shop) == first
    sent = {one.to.lower(): one.key for one in shop.channels["email"].sent}
    assert sent.keys() == {mailbox(n).lower() for n in range(RECORDS)}
    assert len(shop.channels["email"].sent) == MAILBOXES

    clicked = {address for n, address in enumerate(sorted(sent)) if n % 3}
    at = shop.now + timedelta(hours=1)
    clicks = [DeliveryEvent(f"click {one}", DeliveryEventKind.clicked, at, key=sent[one]) for one in clicked]
    with shop.store.transaction() as connection:
        assert receipts.take(connection, "email", clicks, at) == len(clicked)

    shop.channels["email"].sent.clear()
    shop.later(days=2)
    records = Counter(mailbox(n).lower() in clicked for n in range(RECORDS))
    assert became(shop) == first | {
        ("thanks", "sent", None): len(clicked),
        ("thanks", "refused", "same_mailbox"): records[True] - len(clicked),
        ("again", "sent", None): MAILBOXES - len(clicked),
        ("again", "refused", "same_mailbox"): records[False] - (MAILBOXES - len(clicked)),
    }
    second = [(one.to.lower(), one.text) for one in shop.channels["email"].sent]
    assert {to for to, text in second if text == "thanks"} == clicked
    assert len(dict(second)) == len(second) == MAILBOXES

    counts = shop.counts("hello")
    assert (counts.entered, counts.finished) == (RECORDS, RECORDS)
    assert counts.refused == {"same_mailbox": 2 * (RECORDS - MAILBOXES)}
    assert sum(counts.sent.values()) == 2 * MAILBOXES
