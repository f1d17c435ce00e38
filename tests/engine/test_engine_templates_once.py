"""A long-lived worker compiles each template once, however many messages and passes there are. Counted at Jinja."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
import pytest

from treue.clock import utc_now
from treue.composition.assembly import Assembly, assembled
from treue.engine.passes.chronology import run_pass
from treue.render.templates.compiled import runnable
from treue.render.templates.expressions import Expression
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.vocabulary.workspace import load

SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
locale: de
database: sqlite:///treue.db
public_url: http://localhost:8420
sender: {name: Shop, email: a@shop.example, postal_address: "Weg 1, 20457 Hamburg"}
channels:
  email: {adapter: file}
customer: {nick: text}
events:
  order.placed: {total: number}
  told: {why: text}
"""
JOURNEY = """\
description: Say thank you.
category: transactional
enter: {event: order.placed, again: always}
steps:
  - {set: {nick: "dear {{ customer.id }}"}}
  - {emit: told, data: {why: "an order of {{ event.total }}"}}
  - {id: thanks, send: thanks, on: email}
  - {id: more, send: more, on: email}
"""
FILES = {
    "treue.yaml": SETTINGS,
    "journeys/thanks.yaml": JOURNEY,
    "templates/thanks/email.html": "---\nsubject: Thanks {{ customer.nick }}\n---\n<html><p>{{ event.total }} in en</p></html>\n",
    "templates/thanks/email.de.html": "---\nsubject: Danke {{ customer.nick }}\n---\n<html><p>{{ event.total }}</p></html>\n",
    "templates/more/email.html": "---\nsubject: More\n---\n<html>{% for one in orders %}<p>{{ one.total }}</p>{% endfor %}</html>\n",
}
KEYS = [f"c{n}" for n in range(40)]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What Jinja compiles from here on, by what it is, in a process that has compiled nothing yet."""
    Expression.of.cache_clear()
    runnable.cache_clear()
    found: Counter[str] = Counter()
    compile_ = jinja2.Environment.compile

    def counting(environment: Any, source: Any, *given: Any, **more: Any) -> Any:
        found[source if isinstance(source, str) else repr(source)] += 1
        return compile_(environment, source, *given, **more)

    monkeypatch.setattr(jinja2.Environment, "compile", counting)
    return found


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Assembly]:
    """A worker whose journeys are live, with everybody known."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    with assembled(load(tmp_path)) as assembly:
        now = utc_now()
        assembly.begin(now)
        people = [
            CustomerInput(key, f"{key}@example.com", locale="de" if n % 2 else "en", created_at=now)
            for n, key in enumerate(KEYS)
        ]
        with assembly.store.transaction() as connection:
            customers.upsert(connection, people, now)
            consents.give(connection, [ConsentInput(key, "email", now) for key in KEYS], now)
        yield assembly


def orders_come(worker: Assembly, passes: int) -> int:
    """Let everybody order before each of some passes; return how many messages went."""
    sent = 0
    for _ in range(passes):
        now = utc_now()
        with worker.store.transaction() as connection:
            events.record(
                connection, [EventInput(key, "order.placed", now, {"total": 5}) for key in KEYS], now
            )
        sent += run_pass(worker.engine, now + timedelta(seconds=1)).delivered.sent
    return sent


def test_messages_and_passes_compile_each_template_once(worker: Assembly, compiled: Counter[str]) -> None:
    assert orders_come(worker, 1) == 2 * len(KEYS)
    assert all(times == 1 for times in compiled.values()), compiled
    first = sum(compiled.values())
    assert orders_come(worker, 5) == 5 * 2 * len(KEYS)
    assert sum(compiled.values()) == first, "nothing is compiled again"


def test_a_worker_that_begins_anew_compiles_what_it_writes(
    tmp_path: Path, compiled: Counter[str], worker: Assembly
) -> None:
    """What the other test counts is there to be counted."""
    Expression.of.cache_clear()
    runnable.cache_clear()
    compiled.clear()
    orders_come(worker, 1)
    assert sum(compiled.values()) >= 1
