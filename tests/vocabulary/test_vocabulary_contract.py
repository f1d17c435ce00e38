"""Every word there is, also of an installed package, keeps the contract that third parties' words keep."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from treue.language.words import Sort, Word
from treue.store.store import Store
from treue.testing.small_store import NOW, SmallStore, sqlite_store
from treue.testing.word_contract import ConditionContract, StepContract, TriggerContract
from treue.vocabulary.registry import WORDS


def words(sort: Sort) -> pytest.MarkDecorator:
    """Parametrise by the words of a sort; those whose engine is yet to come have no classes."""
    found = [word for word in WORDS.words if word.sort == sort and word.classes]
    return pytest.mark.parametrize("word", found, ids=[next(iter(word.rows)) for word in found])


ANOTHER = {
    "send": "{send: dormant-hello, on: email}",
    "wait": "{wait: 77d}",
    "choose": "{choose: [{if: {consent: sms}, steps: [{stop: true}]}]}",
    "split": "{split: {one: {weight: 1, steps: [{stop: true}]}, two: {weight: 3, steps: [{stop: true}]}}}",
    "set": "{set: {country: FR}}",
    "emit": "{emit: collector.invited}",
    "withdraw": "{withdraw: sms}",
    "call": "{call: https://hooks.example.com/other}",
    "start": "{start: up-sell}",
    "attribute": "{attribute: city, is: Bonn}",
    "event": "{event: product.viewed}",
    "sum": "{sum: order.placed.total, above: 77}",
    "segment": "{segment: newcomers}",
    "consent": "{consent: sms}",
    "message": "{message: welcome, was: bounced}",
    "reachable": "{reachable: push}",
    "journey": "{journey: up-sell, is: inside}",
    "began": "{began: {total: {above: 77}}}",
    "all": "{all: [{consent: sms}]}",
    "date": "{date: birthday, before: 77d}",
    "schedule": '{schedule: "7 7 * * *", segment: dormant}',
}
"""Something else than each sample says, by the leading key."""


ALIKE = ("wait", "choose", "split", "call", "start")
"""Steps that stay what they are to an edit, whatever of them is edited."""


class Every:
    """What the words have in common here."""

    attributes: ClassVar = {"points": "number", "tags": "list"}

    @pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
    def store(
        self, request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Store]:
        """Give an empty store, on PostgreSQL that of the other tests."""
        if request.param == "postgres":
            request.getfixturevalue("postgres_url")  # empties it
            yield request.getfixturevalue("_migrated_postgres")
            return
        opened = sqlite_store(tmp_path_factory, tmp_path)
        yield opened
        opened.close()

    @pytest.fixture(autouse=True)
    def _leading(self, word: Word) -> None:
        self.leading = next(iter(word.rows))

    def another(self) -> str | None:
        return ANOTHER.get(self.leading)


@words("step")
class TestSteps(Every, StepContract):
    def are_alike(self) -> bool:
        return self.leading in ALIKE


@words("condition")
class TestConditions(Every, ConditionContract):
    pass


@words("trigger")
class TestTriggers(Every, TriggerContract):
    def before(self, small: SmallStore) -> None:
        """Let everybody have bought so long ago that they come into the segment `dormant` soon."""
        small.happen("order.placed", NOW - timedelta(days=179))
