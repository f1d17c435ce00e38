"""A word of a package brings an entry of a timeline of its own: read, played and told as the others are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from treue.language.schema import json_schema
from treue.testing import scenarios
from treue.vocabulary.registry import Registry
from treue.workspace import workspace
from treue.workspace.workspace import Workspace

WORD = """
from dataclasses import dataclass
from treue.language.grammar import Text
from treue.language.scenario import Outside, act_row, begun
from treue.language.words import Word
from treue.vocabulary.steps.stop.word import ROW

@dataclass(frozen=True)
class Arrives(Outside):
    what: str

    def words(self):
        return f"a parcel with {self.what} arrives"

    def named(self, steps):
        yield "knows no parcel {}", self.what, ["books", "records"]

ACT = act_row("parcel", "A parcel arrives.", Text(), lambda f: Arrives(*begun(f, "parcel"), f.get("parcel")))
WORD = Word("step", {"parcel": ROW}, acts={"parcel": ACT})
"""
SQL = """
from sqlalchemy import select
from parcels.word import Arrives
from treue.model.tables import customer
from treue.store import customers
from treue.store.inputs import CustomerInput

def arrive(connection, act, customer_id, now):
    key = connection.scalar(select(customer.c.key).where(customer.c.id == customer_id))
    customers.upsert(connection, [CustomerInput(key, attributes={"vip": True})], now)

ACTS = {Arrives: arrive}
"""
TEST = """
- test: Whoever gets a parcel is thanked
  customer: {email: ada@example.com, first_name: Ada, country: DE, consent: email}
  timeline:
    - {at: 2026-03-02 10:00, event: shop.visited}
    - {at: 2026-03-03 10:00, parcel: records}
  draw: {half: left}
  expect:
    - {send: hello}
    - {send: voucher}
    - {send: thanks}
"""


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The words, with those of a package `parcels` as an installer leaves it."""
    files = {
        "parcels/__init__.py": "",
        "parcels/word.py": WORD,
        "parcels/sql.py": SQL,
        "parcels-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: parcels\nVersion: 1\n",
        "parcels-1.dist-info/entry_points.txt": "[treue.words]\nparcel = parcels.word:WORD\n",
    }
    for name, text in files.items():
        path = tmp_path / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    for name in [name for name in sys.modules if name.partition(".")[0] == "parcels"]:
        monkeypatch.delitem(sys.modules, name)
    return Registry()


@pytest.fixture
def root(make: Callable[[str], Workspace]) -> Path:
    """The small workspace."""
    return make(TEST.replace("parcel: records", "set: {vip: true}")).root


def load(root: Path, words: Registry, tests: str) -> Workspace:
    (root / "journeys" / "visit.test.yaml").write_text(tests, encoding="utf-8")
    return workspace.load(root, words, tests=True)


def test_it_happens_in_its_turn(words: Registry, root: Path) -> None:
    report = scenarios.run(load(root, words, TEST).require(), ["visit"])
    assert [line for result in report.results for line in result.diff] == []


def test_it_is_told_where_a_test_fails(words: Registry, root: Path) -> None:
    tests = TEST.replace("    - {send: thanks}\n", "")
    (failed,) = scenarios.run(load(root, words, tests).require(), ["visit"]).results
    assert "· 2026-03-03 10:00  a parcel with records arrives" in failed.diff


def test_what_it_names_is_held_against_the_journey(words: Registry, root: Path) -> None:
    (problem,) = load(root, words, TEST.replace("parcel: records", "parcel: record")).problems
    assert (problem.code, problem.message) == ("T330", "The journey `visit` knows no parcel `record`.")
    assert problem.suggestion == "Did you mean `records`?"


def test_editors_know_it(words: Registry) -> None:
    assert "parcel-entry" in json_schema(words)["$defs"]
