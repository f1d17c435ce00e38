"""Opening a store, its schema, and what is said when it cannot be opened."""

from __future__ import annotations

import builtins
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, insert, inspect, select, text

from treue.errors import StoreError
from treue.model.tables import caller, cohort, consent, customer, metadata, opt_out, suppression
from treue.store import events, journeys, migrations
from treue.store.inputs import EventInput
from treue.store.store import Store, normal_url

OLD_MESSAGES = """
INSERT INTO customer (id, key, draw, attributes, created_at, updated_at) VALUES (1, 'ada', 1, '{}', 1, 1);
INSERT INTO journey (id, name, live_since) VALUES (1, 'hello', 1);
INSERT INTO journey_version (id, journey_id, hash, plan, source, since) VALUES (1, 1, 'x', '{}', '', 1);
INSERT INTO step (id, journey_id, name) VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c');
INSERT INTO enrollment (id, journey_id, version_id, customer_id, per, held_out, entered_at, arrived_at, due_at, outcome)
VALUES (1, 1, 1, 1, '', false, 1, 1, 1, 'finished');
INSERT INTO message (id, journey_id, version_id, enrollment_id, step_id, customer_id, channel, template, category,
                     state, queued_at, due_at, ready_at, send_by)
VALUES (1, 1, 1, 1, 1, 1, 'email', 'hello', 'promotional', 'sent', 7, 7, 7, 9),
       (2, 1, 1, 1, 2, 1, 'email', 'hello', 'transactional', 'sent', 7, 7, 7, 9),
       (3, 1, 1, 1, 3, 1, 'email', 'hello', 'relational', 'refused', 7, 7, 7, 9)
"""

OLD_ARRIVALS = """
INSERT INTO arrival (id, journey_id, customer_id, kind, at) VALUES (1, 1, 1, 'segment', 1), (2, 1, 1, 'leave', 2)
"""

OLD_EVENTS = """
INSERT INTO customer (id, key, draw, attributes, created_at, updated_at) VALUES (901, 'ädä', 1, '{}', 1, 1);
INSERT INTO event (id, key, customer_id, name, at, properties, source, received_at)
VALUES (901, 'treue:customer.created:ädä', 901, 'customer.created', 1, '{"source": "shop"}', 'shop', 1),
       (902, '1001', 901, 'order.placed', 1, '{"total": 40.0}', 'shop', 1),
       (903, 'emit:1:2', 901, 'letters.paused', 1, '{}', 'journey:welcome', 1);
INSERT INTO journey (id, name, live_since) VALUES (901, 'hello', 1);
INSERT INTO arrival (id, journey_id, customer_id, kind, event_id, at) VALUES (901, 901, 901, 'event', 902, 1)
"""
MARCH = datetime(2026, 3, 1, 9, tzinfo=UTC)


OLD_MAILBOXES = """
INSERT INTO customer (id, key, draw, email, phone, push_token, attributes, created_at, updated_at) VALUES
  (1, 'left', 1, 'Twin@example.com', '+491510001', NULL, '{}', 1, 1),
  (2, 'twin', 1, 'twin@example.com', '+491510001', NULL, '{}', 1, 1),
  (3, 'odd', 1, 'Ädä@münchen.example', NULL, NULL, '{}', 1, 1),
  (4, 'back', 1, 'Back@example.com', NULL, 'token', '{}', 1, 1),
  (5, 'again', 1, 'back@example.com', NULL, NULL, '{}', 1, 1),
  (6, 'gone', 1, 'gone@example.com', NULL, NULL, '{}', 1, 1),
  (7, 'imported', 1, 'GONE@example.com', NULL, NULL, '{}', 1, 1);
INSERT INTO consent (customer_id, channel, given, basis, since, source, proof) VALUES
  (1, 'email', false, 'consent', 20, 'unsubscribe link', '{"way": "one-click"}'),
  (2, 'email', true, 'consent', 10, 'form', '{}'),
  (1, 'sms', true, 'consent', 10, 'form', '{}'),
  (3, 'email', false, 'consent', 20, 'form', '{}'),
  (4, 'email', false, 'consent', 20, 'form', '{}'),
  (4, 'push', false, 'consent', 20, 'form', '{}'),
  (5, 'email', true, 'consent', 30, 'form', '{}'),
  (6, 'email', false, 'consent', 20, 'form', '{}'),
  (7, 'email', true, 'consent', 30, 'import', '{"file": "all.csv"}');
INSERT INTO event (key, customer_id, name, at, properties, source, received_at) VALUES
  ('i', 7, 'consent.given', 30, '{}', 'import', 30);
INSERT INTO suppression (channel, address, reason, since, evidence, purpose) VALUES
  ('email', 'Ada@example.com', 'bounced', 5, '{}', 'all'), ('email', 'ada@example.com', 'bounced', 5, '{}', 'all'),
  ('email', 'eve@münchen.example', 'complained', 5, '{}', 'marketing'), ('sms', '+491510002', 'bounced', 5, '{}', 'all')
"""


def schema_of(store: Store) -> list[tuple[str, ...]]:
    """Everything the database itself says about its tables and indexes, in its own words."""
    sqlite_sql = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
    postgres_sql = """
        SELECT 'index', indexname, regexp_replace(indexdef, ' ON \\S+\\.', ' ON ')
        FROM pg_indexes WHERE schemaname = current_schema()
        UNION ALL SELECT table_name, column_name, concat_ws(' ', data_type, is_nullable, regexp_replace(
            column_default, '''\\S+\\.', ''''), character_maximum_length)
        FROM information_schema.columns WHERE table_schema = current_schema()
        UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
    """
    with store.reading() as connection:
        rows = connection.execute(text(sqlite_sql if store.dialect == "sqlite" else postgres_sql))
        return sorted((kind, name, *foreign_keys_last(_plain(str(sql)))) for kind, name, sql in rows)


def _plain(sql: str) -> str:
    """Without blanks, quotes, and the brackets that SQLite's reflection puts around a default it has read."""
    return re.sub(r"DEFAULT\((\d+)\)", r"DEFAULT\1", re.sub(r'["\s]', "", sql))


def foreign_keys_last(sql: str) -> list[str]:
    """The order of foreign keys means nothing; that of all else does."""
    first, *keys = re.split(r",(?=FOREIGNKEY)", sql.removesuffix(")"))
    return [first, *sorted(keys)]


def empty_out(store: Store) -> None:
    with store.transaction() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


def migrate_from_nothing(store: Store) -> None:
    empty_out(store)
    with store.transaction() as connection:
        migrations.migrate(connection)


@pytest.fixture
def own_store(store: Store):
    """A store whose tables a test may drop; they are back afterwards for the others."""
    yield store
    empty_out(store)
    store.upgrade()


def test_the_migrated_schema_is_the_one_made_from_the_tables_in_every_index_column_and_constraint(own_store):
    made_at_once = schema_of(own_store)
    migrate_from_nothing(own_store)
    assert len(made_at_once) > 25
    assert schema_of(own_store) == made_at_once


def test_alembic_sees_no_difference_between_the_migrated_schema_and_the_tables(own_store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate_from_nothing(own_store)
    with own_store.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_alembics_head_is_the_last_revision_file(store):
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.revisions()[-1]]
    assert store.revision() == migrations.revisions()[-1]


def test_who_is_at_a_door_stays_there_but_reasons_to_leave_are_looked_for_again(own_store):
    empty_out(own_store)
    with own_store.transaction() as connection:
        migrations.migrate(connection, "0005")
        for statement in (*OLD_MESSAGES.split(";")[:2], OLD_ARRIVALS):
            connection.execute(text(statement))
    own_store.upgrade()
    with own_store.reading() as connection:
        found = connection.execute(text("SELECT kind, enrollment_id FROM arrival")).all()
    assert [tuple(row) for row in found] == [("segment", None)]


def test_messages_from_before_there_were_limits_count_once_there_are_some(own_store):
    empty_out(own_store)
    with own_store.transaction() as connection:
        migrations.migrate(connection, "0002")
        for statement in OLD_MESSAGES.split(";"):
            connection.execute(text(statement))
    own_store.upgrade()
    with own_store.reading() as connection:
        found = connection.execute(text("SELECT id, priority, reserved_at FROM message ORDER BY id")).all()
    assert [tuple(row) for row in found] == [(1, 50, 7), (2, 50, None), (3, 50, None)]


def test_old_events_are_known_by_source_name_and_customer_and_stay_where_they_began_something(own_store):
    empty_out(own_store)
    with own_store.transaction() as connection:
        migrations.migrate(connection, "0010")
        for statement in OLD_EVENTS.split(";"):
            connection.execute(text(statement))
    own_store.upgrade()
    placed = EventInput("ädä", "order.placed", MARCH, {"total": 40}, "1001", "shop")
    given = [
        placed,
        replace(placed, properties={"total": 41}),
        replace(placed, name="order.shipped"),
        replace(placed, customer="ben"),
        replace(placed, source="api"),
        EventInput("ädä", "letters.paused", MARCH, {}, "emit:1:2", "journey:welcome"),
    ]
    with own_store.transaction() as connection:
        told = events.record(connection, given, MARCH).statuses
        own = connection.scalars(
            text("SELECT id FROM event WHERE scope = '' AND id BETWEEN 901 AND 903 ORDER BY id")
        )
        assert own.all() == [901, 903]
        assert connection.scalar(text("SELECT event_id FROM arrival")) == 902
    assert told == ["duplicate", "conflict", "accepted", "accepted", "accepted", "duplicate"]


def test_a_new_sqlite_file_is_made_for_the_owner_alone_and_open_again_without_create(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.db'}"
    Store.open(url, create=True).close()
    assert (tmp_path / "new.db").stat().st_mode & 0o077 == 0
    reopened = Store.open(url)
    with reopened.reading() as connection:
        assert set(metadata.tables) <= set(inspect(connection).get_table_names())
    reopened.close()


def test_without_create_a_missing_file_is_named_and_not_made(tmp_path):
    with pytest.raises(StoreError, match=r"no database .*none\.db; run `treue db upgrade`"):
        Store.open(f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()


def test_a_missing_folder_a_folder_and_a_file_that_is_no_database_are_each_said(tmp_path):
    with pytest.raises(StoreError, match="cannot be made: No such file"):
        Store.open(f"sqlite:///{tmp_path}/no/such/treue.db", create=True)
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(f"sqlite:///{tmp_path}", create=True)
    (tmp_path / "letter.txt").write_text("Liebe Ada, dies ist keine Datenbank, sondern ein Brief. " * 50)
    with pytest.raises(StoreError, match="is not a database"):
        Store.open(f"sqlite:///{tmp_path}/letter.txt")


def test_an_older_a_newer_and_an_empty_schema_each_say_what_helps(own_store, monkeypatch):
    last = migrations.revisions()[-1]
    monkeypatch.setattr(migrations, "revisions", lambda: (last, "9998"))
    with pytest.raises(StoreError, match=rf"revision {last}, this Treue needs 9998; run `treue db upgrade`"):
        own_store.check()
    monkeypatch.undo()
    with own_store.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999, newer than this Treue knows"):
        own_store.check()
    empty_out(own_store)
    with pytest.raises(StoreError, match=r"has no tables yet; run `treue db upgrade`"):
        own_store.check()


def test_without_the_driver_postgresql_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def refusing(name, *rest, **named):
        if name.startswith("psycopg"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(StoreError, match=r"pip install 'treue\[postgres\]'"):
        Store("postgres://ada@localhost/none")


def test_an_unreachable_server_is_said_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Store.open("postgresql://ada:geheim@127.0.0.1:1/none")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg"),
        ("sqlite:///treue.db", "sqlite+pysqlite"),
    ],
)
def test_each_usual_spelling_of_an_address_gets_its_driver(given, driver):
    assert normal_url(given).drivername == driver


@pytest.mark.parametrize("given", ["mysql://u@h/d", "treue.db"])
def test_other_databases_are_refused(given):
    with pytest.raises(StoreError):
        normal_url(given)


def test_every_connection_has_its_own_empty_temporary_tables(store):
    with store.transaction() as connection:
        connection.execute(insert(cohort).values(enrollment_id=1, customer_id=1))
        assert connection.scalar(select(func.count()).select_from(cohort)) == 1
        with store.reading() as other:
            assert other.scalar(select(func.count()).select_from(cohort)) == 0
            assert other.scalar(select(func.count()).select_from(caller)) == 0
        connection.execute(cohort.delete())


def test_a_reading_transaction_may_fill_the_temporary_tables(store):
    with store.reading() as connection:
        connection.execute(insert(caller).values(arrival_id=1, customer_id=1))
        assert connection.scalar(select(func.count()).select_from(caller)) == 1


def test_sqlite_syncs_every_commit_and_keeps_foreign_keys(sqlite_url):
    store = Store.open(sqlite_url)
    with store.transaction() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "temp_store")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "temp_store": 2}
    store.close()


@pytest.mark.postgres
def test_postgresql_sessions_have_more_memory_and_no_jit(postgres_url):
    store = Store.open(postgres_url)
    with store.transaction() as connection:
        shown = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("work_mem", "jit")]
        isolation = connection.exec_driver_sql("SHOW transaction_isolation").scalar()
    assert (shown, isolation) == (["64MB", "off"], "read committed")
    store.close()


def test_a_store_in_memory_lives_as_long_as_it_is_open():
    store = Store.open("sqlite://", create=True)
    with store.transaction() as connection:
        connection.execute(text("INSERT INTO receiving VALUES ('a', 'b', 0)"))
    with store.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM receiving")) == 1
    store.close()


def test_two_processes_upgrading_an_empty_database_at_once_both_end_well(own_store):
    empty_out(own_store)
    code = "import sys; from treue.store.store import Store; Store(sys.argv[1]).upgrade()"
    url = own_store.url.render_as_string(hide_password=False)
    both = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    own_store.check()


def test_a_full_disk_is_said_and_nothing_of_the_transaction_stays(sqlite_url):
    store = Store.open(sqlite_url)

    def fill() -> None:
        with store.transaction() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 60")
            for number in range(10_000):
                connection.execute(
                    text("INSERT INTO receiving VALUES ('disk', :key, 0)"), {"key": f"{number}" * 50}
                )

    with pytest.raises(StoreError, match="the disk is full; nothing of this transaction was kept"):
        fill()
    with store.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM receiving")) == 0
    store.close()


def test_a_file_that_may_only_be_read_is_said(sqlite_url):
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    sqlite3.connect(path).execute("PRAGMA journal_mode = DELETE").close()
    if os.geteuid() == 0:
        store = Store(f"sqlite:///file:{path}?mode=ro&uri=true")
    else:
        path.chmod(0o400)
        store = Store(sqlite_url)
    with pytest.raises(StoreError, match="may not be written to"), store.transaction():
        pass
    store.close()


def test_versions_of_the_first_schema_learn_which_numbers_their_steps_have(own_store):
    """Up to revision 0001 a step was known by its name alone."""
    empty_out(own_store)
    plan = {"stages": [{"id": "steps.0"}, {"id": "hello"}]}
    with own_store.engine.begin() as connection:
        migrations.migrate(connection, "0001")
        connection.execute(text("INSERT INTO journey (id, name, live_since) VALUES (1, 'hello', 0)"))
        connection.execute(
            text("INSERT INTO step (id, journey_id, name) VALUES (7, 1, 'hello'), (8, 1, 'steps.0')")
        )
        connection.execute(
            text(
                "INSERT INTO journey_version (id, journey_id, hash, plan, source, since) VALUES (1, 1, 'a', :plan, '', 0)"
            ),
            {"plan": json.dumps(plan)},
        )
    own_store.upgrade()
    with own_store.reading() as connection:
        assert journeys.steps(connection, 1) == {1: {"steps.0": 8, "hello": 7}}


def _counted(path: Path) -> int:
    """Return how many customers SQLite believes there are, 0 where it has not counted."""
    with closing(sqlite3.connect(path)) as connection:
        known = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'"
        if not connection.execute(known).fetchone()[0]:
            return 0
        found = connection.execute("SELECT stat FROM sqlite_stat1 WHERE idx = 'customer_key'").fetchone()
        return int(found[0].split()[0]) if found else 0


def _grow(store: Store, first: int, last: int) -> None:
    rows = [
        {"id": n, "key": f"c{n}", "draw": n, "attributes": {}, "created_at": 1, "updated_at": 1}
        for n in range(first, last)
    ]
    with store.transaction() as connection:
        connection.execute(insert(customer), rows)
        connection.execute(select(customer.c.id).where(customer.c.email_key == "c7@example.com")).all()


def test_sqlite_counts_what_has_grown_when_a_store_is_closed_and_in_between(tmp_path: Path) -> None:
    path = tmp_path / "treue.db"
    with closing(Store.open(f"sqlite:///{path}", create=True)) as store:
        _grow(store, 0, 10)
        store.survey()
        assert _counted(path) == 10
        _grow(store, 10, 100)
        store.survey()
        assert _counted(path) == 10  # not enough to count again
        _grow(store, 100, 400)
    assert _counted(path) == 400


def test_a_store_is_closed_without_counting_while_another_one_is_writing(tmp_path: Path) -> None:
    path = tmp_path / "treue.db"
    store = Store.open(f"sqlite:///{path}", create=True)
    _grow(store, 0, 10)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.close()
        other.execute("ROLLBACK")
    assert _counted(path) == 0


def test_who_had_unsubscribed_before_has_done_so_for_the_mailbox_unless_somebody_of_it_agreed_since(
    own_store,
):
    empty_out(own_store)
    with own_store.transaction() as connection:
        migrations.migrate(connection, "0010")
        for statement in OLD_MAILBOXES.split(";"):
            connection.exec_driver_sql(statement)
    own_store.upgrade()
    with own_store.reading() as connection:
        keys = connection.execute(
            text("SELECT key, email_key, push_key FROM customer WHERE id IN (1, 3, 4) ORDER BY id")
        )
        assert [tuple(row) for row in keys] == [
            ("left", "twin@example.com", None),
            ("odd", "ädä@xn--mnchen-3ya.example", None),
            ("back", "back@example.com", "token"),
        ]
        left = connection.execute(select(opt_out).order_by(opt_out.c.channel, opt_out.c.address)).all()
        listed = connection.execute(select(suppression.c.address, suppression.c.purpose)).all()
        proofs = dict(
            tuple(row) for row in connection.execute(select(consent.c.customer_id, consent.c.proof))
        )
    assert [(one.channel, one.address, one.customer_id) for one in left] == [
        ("email", "gone@example.com", 6),
        ("email", "twin@example.com", 1),
        ("email", "ädä@xn--mnchen-3ya.example", 3),
        ("push", "token", 4),
    ]
    assert (left[1].source, left[1].proof) == ("unsubscribe link", {"way": "one-click"})
    assert sorted(map(tuple, listed)) == [
        ("+491510002", "all"), ("ada@example.com", "all"), ("eve@xn--mnchen-3ya.example", "marketing"),
    ]  # fmt: skip
    assert proofs[7] == {"file": "all.csv", "undated": True}
