"""A workspace full of customers for benchmarks: the reference workspace on a database of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from treue.composition.assembly import Assembly, assembled
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LOADED_AT_ONCE = 10_000
PROOF = {"wording": "Ja, schickt mir Post von Klangladen."}


@contextmanager
def workspace(
    database: str | None = None, *, deliver: bool, journey: str | None = None
) -> Iterator[Assembly]:
    """Give the reference workspace, assembled on a SQLite file or the database named; with one `journey` only, if named."""
    source = reference_workspace()
    with tempfile.TemporaryDirectory(prefix="treue-bench-") as folder:
        root = Path(folder)
        for name in ("journeys", "segments", "templates"):
            shutil.copytree(source / name, root / name)
        for file in (root / "journeys").iterdir() if journey else ():
            if file.name != f"{journey}.yaml":
                file.unlink()
        settings = (source / "treue.yaml").read_text(encoding="utf-8")
        (root / "treue.yaml").write_text(_with_database(settings, database), encoding="utf-8")
        with assembled(load(root), deliver=deliver) as assembly:
            assembly.publish(START)
            yield assembly


def _with_database(settings: str, database: str | None) -> str:
    lines = [line for line in settings.splitlines() if not line.startswith("database:")]
    return "\n".join([*lines, f"database: {database or 'sqlite:///bench.db'}"]) + "\n"


def fill(assembly: Assembly, count: int, *, order: bool = True) -> None:
    """Record customers with addresses and consents and, with `order`, each one's first order."""
    for first in range(0, count, LOADED_AT_ONCE):
        keys = [f"c{n}" for n in range(first, min(first + LOADED_AT_ONCE, count))]
        with assembly.store.transaction() as connection:
            customers.merge(connection, [_customer(key, n) for n, key in enumerate(keys)], START)
            consents.give(connection, [ConsentInput(key, "email", START, proof=PROOF) for key in keys], START)
            if order:
                events.record(
                    connection, [_order(key, n) for n, key in enumerate(keys)], START + timedelta(minutes=1)
                )


def _customer(key: str, n: int) -> CustomerInput:
    attributes = {
        "first_name": "Käthe" if n % 2 else "Grace",
        "last_name": "Müller",
        "country": "DE",
        "city": "Köln",
    }
    locale, zone = ("de", "Europe/Berlin") if n % 2 else ("en", "America/New_York")
    return CustomerInput(key, f"{key}@example.com", None, None, locale, zone, attributes, START, "import")


def _order(key: str, n: int) -> EventInput:
    properties = {"order_id": f"o-{key}", "total": 20 + n % 50, "currency": "EUR", "quantity": 2}
    return EventInput(key, "order.placed", START + timedelta(minutes=1), properties, f"o-{key}")
