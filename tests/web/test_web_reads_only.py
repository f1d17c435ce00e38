"""`insight` answers and changes nothing: all of it is asked through a connection that may not write."""

from __future__ import annotations

import ast
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text

import treue.insight
from tests.web.serving import Site
from treue.engine.passes.chronology import run_pass
from treue.insight.channels import channel_sums
from treue.insight.status import standing, status
from treue.insight.traffic import occupancy, traffic
from treue.insight.why import CustomerInquiry, stays
from treue.store import customers

_WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


def test_all_questions_can_be_asked_where_nothing_may_be_written(world_on_each_database: Site) -> None:
    site = world_on_each_database
    site.post(
        "/v1/customers", {"id": "ada", "email": "a@example.com", "consent": {"email": {"source": "form"}}}
    )
    site.post("/v1/events", {"customer": "ada", "event": "order.placed"})
    run_pass(site.assembly.engine, site.now)
    versions = {version.name: version for version in site.assembly.engine.versions()}
    store = site.assembly.store
    with store.reading() as connection:
        forbid_writing(connection)
        found = status(connection, site.now)
        assert found.healthy
        assert standing(connection, site.now).open == found.open
        assert channel_sums(connection)["email"].sent == found.sent["email"]
        (id_,) = customers.ids_for_keys(connection, ["ada"]).values()
        assert stays(connection, id_)
        asked = CustomerInquiry(connection, id_, "Europe/Berlin", site.now)
        for name, version in versions.items():
            assert occupancy(connection, name).keys() <= version.steps.keys()
            assert traffic(connection, name) is not None
            assert asked.trail(name) is not None
            assert asked.outside(version.plan, version) is not None
        allow_writing(connection)


def forbid_writing(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action in _WRITES else sqlite3.SQLITE_OK
        )
    else:
        assert connection.scalar(text("SHOW transaction_read_only")) == "on"


def allow_writing(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.set_authorizer(None)


def test_no_module_of_insight_can_write() -> None:
    """Nor begin a transaction that could."""
    (folder,) = treue.insight.__path__
    for path in Path(folder).glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & {"insert", "delete", "upsert", "transaction", "insert_rows"}, path.name


def test_the_cost_of_how_things_stand_does_not_grow_with_what_has_been(world: Site) -> None:
    """The same statements, whatever there is: nothing is asked for each journey, customer or message."""
    store = world.assembly.store
    asked: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    def statements() -> list[str]:
        asked.clear()
        with store.reading() as connection:
            standing(connection, world.now)
        return list(asked)

    before = statements()
    for n in range(30):
        world.post("/v1/customers", {"id": f"c{n}", "email": f"c{n}@example.com"})
        world.post("/v1/events", {"customer": f"c{n}", "event": "order.placed"})
    run_pass(world.assembly.engine, world.now)
    assert statements() == before
