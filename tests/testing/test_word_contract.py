"""The contract of a word notices what a word does wrong: built-in ones, each broken in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, literal, select

from treue.cohorts.cohort import constant_json
from treue.cohorts.scene import NOW, Scene, Statement
from treue.errors import WordError
from treue.language.grammar import INVALID, ChannelName
from treue.language.steps import Stage
from treue.language.words import Sort, Word
from treue.model.tables import cohort, event
from treue.segments.touch import Touch
from treue.store.store import Store
from treue.testing.small_store import Course, SmallStore, sqlite_store
from treue.testing.word_contract import ConditionContract, StepContract, TriggerContract, WordContract
from treue.testing.word_samples import Files, object_of, samples_of
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.registry import WORDS
from treue.vocabulary.steps.emit.sql import EmitPlayer
from treue.vocabulary.steps.emit.word import Emit
from treue.vocabulary.steps.set.word import Set
from treue.vocabulary.steps.stop.word import Stop
from treue.vocabulary.steps.withdraw.word import Withdraw
from treue.vocabulary.triggers.event.word import EventTrigger

PLAYED = "test_nobody_is_lost_and_nothing_is_done_twice"


def emit_each_time(_player: Any, scene: Scene, stage: Emit) -> list[Statement]:
    """Record the event under a key of its own each time."""
    columns = ["key", "customer_id", "name", "at", "properties", "source", "received_at"]
    values = [
        cohort.c.customer_id,
        literal(stage.event),
        cohort.c.at,
        constant_json(scene, {}),
        literal("journey:x"),
    ]
    query = select(func.hex(func.randomblob(8)), *values, NOW)
    return [Statement("record it", insert(event).from_select(columns, query, include_defaults=False))]


BROKEN: dict[str, tuple[Any, str, Callable[..., Any], str, str, str]] = {
    "says-nothing-of-nonsense": (
        ChannelName, "parse", lambda *_: INVALID, "withdraw", "test_nonsense_is_said_with_its_place_and_never_raises", "withdraw: None"
    ),
    "is-like-others": (
        Withdraw, "likeness", lambda _: "withdraw", "withdraw",
        "test_likeness_tells_another_step_and_not_where_it_stands", "withdraw email",
    ),
    "hides-what-it-sets": (Set, "sets", lambda _: (), "set", PLAYED, "say it in `sets`"),
    "hides-what-it-emits": (Emit, "emits", lambda _: (), "emit", PLAYED, "say it in `emits`"),
    "keeps-people": (EmitPlayer, "go_on", lambda *_: [], "emit", PLAYED, "keeps customers"),
    "leads-elsewhere": (Stop, "leads_to", lambda one: {one.to}, "stop", PLAYED, "Stop"),
    "does-it-twice": (EmitPlayer, "act", emit_each_time, "emit", PLAYED, "is not done twice"),
    "never-changes": (HasConsent, "changes_by", lambda _: Touch(), "consent", "test_it_answers_what_it_is_asked", "changes the answer"),
    "is-said-in-no-words": (EventTrigger, "words", lambda _: "", "event", "test_it_answers_what_it_is_asked", "`words`"),
}  # fmt: skip
"""By what is wrong: the class, its method and what it is instead; the word, the test that notices, and its words."""

SORTS: dict[str, Sort] = {"consent": "condition", "event": "trigger"}


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = sqlite_store(tmp_path_factory, tmp_path)
    yield opened
    opened.close()


def word_of(key: str) -> Word:
    sort = SORTS.get(key, "step")
    return next(word for word in WORDS.words if word.sort == sort and key in word.rows)


class Pieces:
    """What the fixtures of a contract would give its tests, each made when it is asked for."""

    def __init__(self, word: Word, store: Store) -> None:
        self.word, self.store, self.files, self.samples = word, store, Files(), samples_of(word)

    @property
    def found(self) -> list[Any]:
        read = (self.files.read(self.word.sort, one) for one in self.samples)
        return [object_of(self.word.sort, one.whole()) for one in read]

    @property
    def stages(self) -> list[Stage]:
        return [self.files.plan(self.word.sort, one).stages[0] for one in self.samples]

    @property
    def course(self) -> Course:
        small = SmallStore(self.store, self.files.schema)
        small.publish([self.files.course(self.samples)])
        return Course(small, self.found)


class WithdrawContract(StepContract):
    def another(self) -> str:
        return "{withdraw: sms}"


CONTRACTS: dict[Sort, type[WordContract]] = {
    "step": WithdrawContract,
    "condition": ConditionContract,
    "trigger": TriggerContract,
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_word_is_noticed(broken: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    type_, method, instead, key, name, said = BROKEN[broken]
    word = word_of(key)
    test, pieces = getattr(CONTRACTS[word.sort](), name), Pieces(word, store)
    monkeypatch.setattr(type_, method, instead)
    with pytest.raises((AssertionError, WordError), match=said):
        test(**{argument: getattr(pieces, argument) for argument in signature(test).parameters})
