"""The dormant segment on real purchases: a CD shop's 23,570 customers, as of New Year 1998."""

from __future__ import annotations

import csv
import gzip
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select

from tests.segments.worlds import START, delete_all
from treue.clock import Duration
from treue.model import tables
from treue.segments.sql import Moment, members
from treue.segments.tree import All, Not, Op
from treue.vocabulary.conditions.event.word import Happened

pytestmark = pytest.mark.data

ORDERED = "order.placed"
DORMANT = All((Happened(ORDERED, (Op("at_least", (1,)),)), Not(Happened(ORDERED, within=Duration(days=180)))))
NEW_YEAR = datetime(1998, 1, 1, tzinfo=UTC)

# A purchase is dated only and stands at midnight UTC. In UTC, 180 days before New Year is that very midnight of
# 5 July, and a purchase exactly then has left the window; Berlin's summer clock puts the edge an hour before it.
EDGES = {"UTC": "date > '1997-07-05'", "Europe/Berlin": "date >= '1997-07-05'"}
DORMANT_AT_NEW_YEAR = {"UTC": 17_231, "Europe/Berlin": 17_215}


@pytest.fixture(scope="module")
def purchases() -> list[tuple[int, str]]:
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    path = Path(os.environ.get("TREUE_DATA", beside)) / "cdnow.csv.gz"
    if not path.exists():
        pytest.skip(f"the CDNOW purchases are not here: {path} (set TREUE_DATA)")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [(int(row["customer_id"]), row["date"]) for row in csv.DictReader(file)]


def load(connection: Connection, purchases: list[tuple[int, str]]) -> None:
    delete_all(connection)
    fixed = {"draw": 0, "attributes": {}, "created_at": START, "updated_at": START}
    connection.execute(
        insert(tables.customer),
        [{"id": one, "key": f"cd-{one}"} | fixed for one in {who for who, _ in purchases}],
    )
    shared = {"name": ORDERED, "properties": {}, "source": "import", "received_at": START}
    connection.execute(
        insert(tables.event),
        [
            {"key": f"cd-{i}", "customer_id": who, "at": datetime.fromisoformat(day).replace(tzinfo=UTC)}
            | shared
            for i, (who, day) in enumerate(purchases)
        ],
    )


def by_hand(purchases: list[tuple[int, str]], edge: str) -> int:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE purchase (customer_id INTEGER, date TEXT)")
    database.executemany("INSERT INTO purchase VALUES (?, ?)", purchases)
    before = "SELECT customer_id FROM purchase WHERE date <= '1998-01-01'"
    lately = f"{before} AND {edge}"
    return database.execute(f"SELECT count(*) FROM ({before} EXCEPT {lately})").fetchone()[0]


def test_the_dormant_segment_counts_what_a_query_by_hand_over_the_file_counts(
    connection: Connection, purchases: list[tuple[int, str]]
) -> None:
    load(connection, purchases)
    found = {}
    for zone in EDGES:
        query = members(DORMANT, Moment(NEW_YEAR, zone, by_own_time=True), connection.dialect.name)
        found[zone] = connection.scalar(select(func.count()).select_from(query.subquery()))
    hand = {zone: by_hand(purchases, edge) for zone, edge in EDGES.items()}
    assert found == hand == DORMANT_AT_NEW_YEAR, (
        f"compiled {found}, by hand {hand}, known {DORMANT_AT_NEW_YEAR}"
    )
