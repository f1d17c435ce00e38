"""Whatever hypothesis thinks of, SQLite, PostgreSQL and plain Python say the same about every customer."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine

from tests.segments.naive import Person
from tests.segments.strategies import worlds
from tests.segments.worlds import agree
from treue.model.tables import cohort
from treue.segments.sql import Moment
from treue.segments.tree import Condition

# TREUE_TEST_THOROUGH=20 asks for twenty times as many examples, different ones each time.
THOROUGH = int(os.environ.get("TREUE_TEST_THOROUGH", "1"))
World = tuple[Moment, list[Person], list[Condition]]


def examples(count: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=count * THOROUGH,
        deadline=None,
        database=None,
        derandomize=THOROUGH == 1,
        suppress_health_check=slow,
    )


def look(engine: Engine, world: World) -> None:
    moment, people, conditions = world
    with engine.connect() as connection:
        cohort.create(connection, checkfirst=True)
        connection.commit()
        agree(connection, people, conditions, moment)  # closing the connection rolls back


@examples(300)
@given(world=worlds())
def test_sqlite_and_plain_python_agree_on_any_condition_and_customer(
    sqlite_engine: Engine, world: World
) -> None:
    look(sqlite_engine, world)


@pytest.mark.postgres
@examples(150)
@given(world=worlds())
def test_postgresql_and_plain_python_agree_on_any_condition_and_customer(
    postgres_engine: Engine, world: World
) -> None:
    look(postgres_engine, world)
