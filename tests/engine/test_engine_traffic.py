"""The numbers on the arrows of a journey's picture are the customers who went that way."""

from __future__ import annotations

from pathlib import Path

from tests.engine.scene import Scene
from treue.insight.traffic import traffic
from treue.store.store import Store

JOURNEY = """
enter: {event: signed.up}
exit:
  - {event: consent.withdrawn}
steps:
  - {id: hello, send: hello, on: email}
  - {id: a-day, wait: 1d}
  - id: which
    choose:
      - if: {attribute: country, is: DE}
        steps: [{id: gruss, send: gruss, on: email}]
      - if: {attribute: country, is: FR}
        steps: [{id: salut, send: salut, on: email}]
  - {id: more, if: {attribute: vip, is: true}, send: more, on: email}
  - {id: long, wait: 9d}
"""


def test_arrows_count_those_who_went_that_way(store: Store, tmp_path: Path) -> None:
    scene = Scene(store, tmp_path)
    scene.journeys(round=JOURNEY)
    for n, country in enumerate(("DE", "DE", "FR", "IT", "IT", "IT")):
        scene.customer(f"c{n}", country=country, vip=n < 2)
        scene.event(f"c{n}", "signed.up")
    scene.run()
    scene.later(hours=2)
    with store.reading() as connection:
        assert dict(traffic(connection, "round")) == {("hello", ""): 6, ("a-day", ""): 0}
    scene.event("c5", "consent.withdrawn", channel="email")
    scene.later(days=1)
    with store.reading() as connection:
        found = traffic(connection, "round")
    assert {key: n for key, n in found.items() if n} == {
        ("hello", ""): 6,
        ("a-day", ""): 5,
        ("which", "0"): 2,
        ("which", "1"): 1,
        ("which", "none"): 2,
        ("gruss", ""): 2,
        ("salut", ""): 1,
        ("more", ""): 2,
        ("more", "skipped"): 3,
    }
