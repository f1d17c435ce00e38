"""Every row of every table that is about a customer, found by search and not by a list; and who waits for a lock."""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, or_, select, text

from tests.engine.scene import Scene
from treue.model.tables import NAMES, customer, enrollment, metadata


def rows_of(connection: Connection, customer_id: int) -> dict[str, int]:
    """How many rows of each table are about a customer, whichever column says so: found by search, not by a list."""
    found = {}
    for table in metadata.sorted_tables:
        hers = [
            column == customer_id
            for column in table.columns
            if column.info.get(NAMES) == "customer.id" or column.references(customer.c.id)
        ]
        stays = select(enrollment.c.id).where(enrollment.c.customer_id == customer_id)
        hers += [column.in_(stays) for column in table.columns if column.info.get(NAMES) == "enrollment.id"]
        if table is customer:
            hers.append(customer.c.id == customer_id)
        if hers:
            found[table.name] = connection.scalar(select(func.count()).select_from(table).where(or_(*hers)))
    return {name: number for name, number in found.items() if number}


def wait_until_somebody_waits_for_a_lock(scene: Scene) -> None:
    """Return once a transaction of this schema waits for an advisory lock that another one has."""
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(300):
        with scene.store.reading() as connection:
            if connection.scalar(query):
                return
        time.sleep(0.1)
    raise AssertionError("nobody waits")
