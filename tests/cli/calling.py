"""What a command came to, and the story of the workspace the tests ask about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document printed with --json."""
        return json.loads(self.out)


Run = Callable[..., Done]

BY_HAND = """\
description: A letter somebody asks us to send.
category: transactional
enter: {manual: true, again: always}
steps:
  - id: letter
    send: win-back-letter
    on: email
"""
"""A journey nobody enters by themselves."""


def make(root: Path, reference: Path) -> None:
    """Copy the reference workspace, with mail into files and one journey more."""
    for name in ("journeys", "segments", "templates"):
        shutil.copytree(reference / name, root / name)
    settings = (reference / "treue.yaml").read_text(encoding="utf-8")
    settings = settings.replace('{adapter: smtp, url: "${SMTP_URL:-}"}', "{adapter: file}")
    settings = settings.replace("{adapter: inbox}", "{adapter: file}")
    (root / "treue.yaml").write_text(settings, encoding="utf-8")
    (root / "journeys" / "by-hand.yaml").write_text(BY_HAND, encoding="utf-8")


def live(root: Path) -> None:
    """Twenty customers order; every tenth gave no consent; c5 and c15 come back; c3 withdraws on the sixth day."""
    from treue.composition.assembly import assembled
    from treue.engine.passes.chronology import run_pass
    from treue.store import consents, customers, events
    from treue.store.inputs import ConsentInput, CustomerInput, EventInput
    from treue.vocabulary.workspace import load

    people = [
        CustomerInput(
            f"c{n}", email=f"c{n}@example.com", locale="de", created_at=START,
            attributes={"first_name": "Jörg", "country": "DE"},
        )
        for n in range(20)
    ]  # fmt: skip

    def order(n: int, at: datetime, total: float) -> EventInput:
        told = {"order_id": f"{n}/{at.day}", "total": total, "currency": "EUR", "quantity": 2}
        return EventInput(f"c{n}", "order.placed", at, told)

    with assembled(load(root)) as assembly:
        assembly.publish(START)
        for day in range(12):
            now = START + timedelta(days=day, minutes=2)
            with assembly.store.transaction() as connection:
                if day == 0:
                    customers.upsert(connection, people, START)
                    agreed = [ConsentInput(f"c{n}", "email") for n in range(20) if n % 10]
                    consents.give(connection, agreed, START)
                    events.record(connection, [order(n, now, 40.5) for n in range(20)], now)
                if day == 4:
                    events.record(connection, [order(n, now, 140.5) for n in (5, 15)], now)
                if day == 6:
                    consents.withdraw(connection, [ConsentInput("c3", "email")], now)
            run_pass(assembly.engine, now)
