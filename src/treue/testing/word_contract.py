"""The contract of a word of the language, as tests: one class for each sort, to inherit.

    class TestTag(StepContract):
        attributes: ClassVar = {"tags": "list"}

        @pytest.fixture
        def word(self):
            return WORD

        def another(self):
            return "{tag: at-home}"

All else is read out of the word: the samples are those that its rows give. They are read, kept in a plan, and played on a
few customers, on SQLite and on PostgreSQL where `TREUE_TEST_POSTGRES` names a database for tests. The package is to be
installed, for words are found by their entry points.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import Dialect, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from treue.cohorts.host import host_of
from treue.cohorts.player import player
from treue.cohorts.scene import Statement
from treue.cohorts.turns import Turns
from treue.engine.steps.shown_sql import stage_sql
from treue.language.grammar import Kind
from treue.language.problems import CODES
from treue.language.scenario import ACT, EXPECTATION, Noted, Outside
from treue.language.schema import json_schema
from treue.language.steps import Container, Effort, Stage, Step, walk
from treue.language.triggers import Trigger
from treue.language.words import Sort, Word
from treue.model.kinds import from_document, to_document
from treue.model.tables import cohort
from treue.plan.plan import Plan
from treue.plan.stored import from_json, plan_hash, to_json
from treue.segments.mentions import Mentions
from treue.segments.needs import leaves, needs
from treue.segments.sql import Moment, branches, stays
from treue.segments.touch import Touch
from treue.segments.tree import Condition, Not
from treue.store.store import Store
from treue.testing.playback import outside
from treue.testing.small_store import NOW, ZONE, Course, SmallStore, postgres_store, sqlite_store
from treue.testing.word_samples import (
    FILE,
    Files,
    Sample,
    different,
    heavy_modules,
    modules,
    object_of,
    own_keys,
    sample,
    samples_of,
    shapes,
    telling,
)
from treue.vocabulary.reference import of_word, reference
from treue.vocabulary.registry import WORDS

DIALECTS = ("sqlite", "postgresql")
NONSENSE: tuple[Any, ...] = (
    None,
    "",
    "no such thing",
    -1,
    2.5,
    True,
    [],
    [[]],
    {},
    {"no-such": {"key": []}},
    "x" * 300,
)
"""What is put in the place of each value of a sample; much of it is wrong, and nothing may raise."""

_BASES: Mapping[Sort, type[Any]] = {"step": Stage, "condition": Condition, "trigger": Trigger}


class WordContract:
    """What every word keeps. Inherit the class of its sort, and supply the fixture `word`."""

    attributes: ClassVar[Mapping[str, str]] = {}
    """Attributes that the samples name, with their types, beside those of the reference workspace."""
    events: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Events that the samples name, with their properties' types, beside those of the reference workspace."""
    starts: ClassVar[str] = "cart.abandoned"
    """The event that starts the journeys in which steps and conditions stand."""

    @pytest.fixture
    def word(self) -> Word:
        """Return the word."""
        raise NotImplementedError("A word's tests supply the fixture `word`.")

    def another(self) -> str | None:
        """Return a mapping that says something else than each sample, or None where a word can say one thing only."""
        return None

    @pytest.fixture
    def files(self) -> Files:
        """Return what the samples may name."""
        return Files(self.attributes, self.events, self.starts)

    @pytest.fixture
    def samples(self, word: Word) -> list[Sample]:
        """Return a sample of each key, as the word's rows give them."""
        return samples_of(word)

    @pytest.fixture
    def found(self, word: Word, samples: list[Sample], files: Files) -> list[Any]:
        """Return what the samples are read as: steps, conditions or triggers."""
        return [object_of(word.sort, files.read(word.sort, one).whole()) for one in samples]

    @pytest.fixture
    def plans(self, word: Word, samples: list[Sample], files: Files) -> list[Plan]:
        """Return a plan with each sample, as a plan keeps it."""
        return [files.plan(word.sort, one, f"sample-{n}") for n, one in enumerate(samples)]

    @pytest.fixture(params=DIALECTS)
    def store(
        self, request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Store]:
        """Give an empty store, on each database."""
        if request.param == "postgresql":
            yield postgres_store(request.config)
            return
        opened = sqlite_store(tmp_path_factory, tmp_path)
        yield opened
        opened.close()

    @pytest.fixture
    def small(self, store: Store, files: Files) -> SmallStore:
        """Return a store in which nobody is yet."""
        return SmallStore(store, files.schema)

    # --- files ----------------------------------------------------------------------------------------------

    def test_it_is_found(self, word: Word) -> None:
        """Its package is installed and names it in the entry-point group `treue.words`."""
        assert any(one is word for one in WORDS.words), "install the package that brings the word"

    def test_each_key_has_a_sample_that_is_read(
        self, word: Word, samples: list[Sample], files: Files
    ) -> None:
        """And what comes of it is of the word's classes, or is kept as one."""
        assert samples
        for one in samples:
            assert one.key in one.values
            files.read(word.sort, one).whole()

    def test_a_misspelt_key_is_said_where_it_stands(
        self, word: Word, samples: list[Sample], files: Files
    ) -> None:
        """With the file, the line and the column."""
        for one in samples:
            read = files.read(word.sort, one.with_("no-such-key", 1))
            [(line, text)] = [
                (n, line) for n, line in enumerate(read.text.splitlines(), 1) if "no-such-key" in line
            ]
            place = (FILE, line, text.index('"no-such-key"') + 1)
            said = [problem for problem in read.problems if problem.code == "T201"]
            assert place in [(p.place.file, p.place.line, p.place.column) for p in said], read.told()

    def test_nonsense_is_said_with_its_place_and_never_raises(
        self, word: Word, samples: list[Sample], files: Files
    ) -> None:
        """Where a value does not fit, a problem with a known code says so, in the file; else it is read."""
        for one in {one.key: one for one in samples}.values():
            for value in NONSENSE:
                read = files.read(word.sort, one.with_(one.key, value))
                assert (read.journey is None) == bool(read.problems), f"{one.key}: {value!r}"
                lines = read.text.splitlines()
                for problem in read.problems:
                    place = problem.place
                    assert problem.code in CODES
                    assert problem.message.endswith((".", "?")), problem.message
                    assert place.file == FILE
                    assert 1 <= place.line <= len(lines)
                    assert 1 <= place.column <= len(lines[place.line - 1]) + 1

    def test_editors_accept_the_samples_and_mark_a_misspelt_key(
        self, word: Word, samples: list[Sample]
    ) -> None:
        """By the JSON Schema."""
        validator = _validator(word.sort)
        for one in samples:
            validator.validate(one.values)
            assert not validator.is_valid(one.with_("no-such-key", 1).values), one.written

    def test_the_reference_has_its_keys(self, word: Word) -> None:
        """In a section with a row for each key, as `python -m treue.vocabulary.reference` prints it."""
        text = _section(word)
        for shape in (*shapes(word), *word.parts):
            _, _, section = text.partition(f"### {shape.name[0].upper()}{shape.name[1:]}\n")
            section = section.partition("\n### ")[0]
            for name in own_keys(word, shape):
                assert f"\n| `{name}`" in section

    def test_its_light_face_loads_no_database(self, word: Word) -> None:
        """Commands that read files import it, and take no longer for it."""
        assert modules(word) & heavy_modules() == set()

    # --- plans ----------------------------------------------------------------------------------------------

    def test_what_a_plan_keeps_of_it_is_frozen(self, word: Word) -> None:
        """As a dataclass of its sort with a kind, whose fields hide none of what the core asks."""
        base = _BASES[word.sort]
        asked = {name for part in base.__mro__ for name in vars(part) if not name.startswith("_")}
        asked -= set(getattr(base, "__dataclass_fields__", ()))
        for type_ in word.classes:
            assert issubclass(type_, base)
            assert type_.__dataclass_params__.frozen
            assert not getattr(type_, "__abstractmethods__", ())
            assert "kind" in {field.name for field in fields(type_)}
            assert WORDS.classes(base.sort)[vars(type_)["kind"]] is type_
            assert word.sort == "trigger" or {one.name for one in fields(type_)} & asked == set()

    def test_a_stored_plan_comes_back_equal_with_the_same_hash(self, plans: list[Plan]) -> None:
        """By way of the JSON text that databases hold."""
        for plan in plans:
            back = from_json(json.loads(json.dumps(to_json(plan))))
            assert back == plan
            assert plan_hash(back) == plan_hash(plan)

    def test_another_sample_is_another_plan(self, word: Word, plans: list[Plan], files: Files) -> None:
        """With another hash, whose versions are told apart."""
        for plan in plans:
            other = files.plan(word.sort, self._other(), plan.journey)
            assert plan_hash(other) != plan_hash(plan)

    def _other(self) -> Sample:
        written = self.another()
        if written is None:
            pytest.skip("this word can say one thing only")
        return sample(written)

    # --- tests of journeys ----------------------------------------------------------------------------------

    def test_what_tests_of_journeys_expect_of_it_is_read(self, word: Word, files: Files) -> None:
        """Where it brings an expectation, as a `Noted` that says which decisions it may be, and what some step must have."""
        for one, expected in self._rows_of_tests(word.expectations, EXPECTATION, files):
            _validator("expectation").validate(one.values)
            assert isinstance(expected, Noted)
            assert expected.words().strip()
            assert all(WORDS.decision(name) != name for name in expected.decisions)
            assert all(isinstance(text, str) for text in expected.differences({}))
            assert all("{}" in said for said, _, _ in expected.named([]))

    def test_what_tests_of_journeys_let_happen_is_read(self, word: Word, files: Files) -> None:
        """Where it brings an entry of a timeline, as an `Outside` whose SQL face says what it does."""
        for one, act in self._rows_of_tests(word.acts, ACT, files):
            _validator("entry").validate(one.values)
            assert isinstance(act, Outside)
            assert act.words().strip()
            assert callable(outside(act))
            assert all("{}" in said for said, _, _ in act.named([]))

    @staticmethod
    def _rows_of_tests(rows: Mapping[str, Any], kind: Kind, files: Files) -> Iterator[tuple[Sample, Any]]:
        """Yield a sample of each key of some rows, and what it is read as."""
        for row in rows.values():
            for key in row.keys:
                one = sample(row.sample(key.name), key.name)
                yield one, files.of_test(kind, one)


class StepContract(WordContract):
    """What every step keeps."""

    longest: ClassVar[timedelta] = timedelta(days=400)
    """How long after they have come to a sample everybody has gone on, at the latest."""

    @pytest.fixture
    def stages(self, word: Word, plans: list[Plan]) -> list[Stage]:
        """Return the stages that the plans keep of the samples, the first ones of the plans."""
        return [plan.stages[0] for plan in plans]

    def test_it_is_kept_as_a_stage_of_its_own(self, word: Word, stages: list[Stage]) -> None:
        """Of one of the word's classes."""
        assert {type(stage) for stage in stages} <= {*word.classes}
        for stage in stages:
            assert from_document("stage", to_document(stage), WORDS) == stage

    def test_the_stage_answers_what_it_is_asked(self, stages: list[Stage]) -> None:
        """In words, and wherever it leads."""
        for stage in stages:
            assert stage.words().strip()
            assert "\n" not in stage.words()
            assert isinstance(stage.effort, Effort)
            assert {lead.to for lead in stage.leads()} <= stage.leads_to()
            assert {way.to for way in stage.inner_ways()} <= stage.leads_to()
            assert (stage.when is None) or stage.when in stage.conditions()
            assert bool(stage.inner_ways()) or not stage.draws

    def test_the_step_answers_what_it_is_asked(self, found: list[Step], files: Files) -> None:
        """With names that are declared, and with times."""
        schema = files.schema
        for step in found:
            assert {*step.sets(), *step.reads()} <= {*schema.attributes}
            assert {*step.emits()} <= {*schema.events}
            assert all(isinstance(name, str) for name in step.starts())
            assert step.takes() >= timedelta()
            assert not (step.takes() and not _holds(step)), "who stays at a step for a time is held: `holds`"
            assert (step.when is None) or step.when in step.conditions()
            assert isinstance(step, Container) or not step.branches()

    def test_likeness_tells_another_step_and_not_where_it_stands(
        self, word: Word, stages: list[Stage], files: Files
    ) -> None:
        """An edit finds the step that people stand at by it, wherever it was moved to."""
        for stage in stages:
            moved = replace(stage, id="elsewhere", line=99)
            assert hash(moved.likeness()) == hash(stage.likeness())
            assert moved.likeness() == stage.likeness()
        other = files.plan(word.sort, self._other()).stages[0]
        for stage in stages:
            assert other.likeness() != stage.likeness() or self.are_alike(), stage.words()

    def are_alike(self) -> bool:
        """Whether all steps of the word are the same one to an edit: an edited timer is still the timer."""
        return False

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_its_sql_is_shown(self, plans: list[Plan], stages: list[Stage], dialect: str) -> None:
        """By `treue compile`, for each database, whatever is installed."""
        for plan, stage in zip(plans, stages, strict=True):
            shown = stage_sql(plan, stage, NOW, dialect, ZONE, "salt")
            assert all(one.says for one in shown)
            assert any(one.sql for one in shown)

    @pytest.fixture
    def course(self, word: Word, samples: list[Sample], small: SmallStore, files: Files) -> Course:
        """Return a journey of the samples, beside the journeys whose doors they lead to."""
        kept = different(samples)
        steps = [object_of(word.sort, files.read(word.sort, one).whole()) for one in kept]
        doors = {name for step in walk(steps) for name in step.starts()}
        small.publish([files.course(kept), *map(files.door, sorted(doors))])
        return Course(small, steps)

    def test_nobody_is_lost_and_nothing_is_done_twice(self, course: Course) -> None:
        """Everybody goes on to where the step leads, or ends; what is done is what it says, once."""
        self._play_with_nobody(course)
        course.small.fill()
        course.small.happen(self.starts)
        course.stand()
        course.walk()
        self._all_go_on(course)
        self._only_what_it_says(course.small, walk(course.steps))
        done = course.small.done()
        course.stand()
        course.walk()
        assert course.small.done() == done, (
            "a batch that fails is tried again: what is done is not done twice"
        )
        self._all_have_gone(course)

    def _all_go_on(self, course: Course) -> None:
        for n, step in enumerate(course.steps):
            stages = course.stages(n)
            assert course.where(n) <= _reached(stages), step
            assert _holds(step) or not course.where(n) & _ids(stages), f"{step} keeps customers: say `holds`"

    def _all_have_gone(self, course: Course) -> None:
        for after in (1, 2) if any(map(_holds, course.steps)) else ():
            course.walk(NOW + after * self.longest)
        for n, step in enumerate(course.steps):
            assert not course.where(n) & _ids(course.stages(n)), f"{step} keeps customers"

    def _only_what_it_says(self, small: SmallStore, inside: list[Step]) -> None:
        assert small.changed() <= {name for one in inside for name in one.sets()}, "say it in `sets`"
        assert small.recorded() <= {name for one in inside for name in one.emits()}, "say it in `emits`"
        assert small.queued() <= {type(put) for one in inside if (put := one.outbox())}, "say it in `outbox`"

    def _play_with_nobody(self, course: Course) -> None:
        """Run each statement of the samples on an empty store: nothing comes of it."""
        small, before = course.small, course.small.done()
        for stage in (course.stages(n)[0] for n, _ in enumerate(course.steps)):
            with small.store.transaction() as connection:
                scene = small.scene(course.version, connection)
                values = {
                    "now": NOW,
                    "due_by": NOW,
                    "first_place": 1,
                    **Turns(()).values(course.version.journey_id),
                }
                for one in (one for script in player(stage).scripts() for one in script(scene, stage)):
                    if isinstance(one, Statement):
                        connection.execute(one.sql, values)
                    else:
                        one.act(scene)
        assert small.done() == before, "something comes of nobody"


class ConditionContract(WordContract):
    """What every condition keeps."""

    @pytest.fixture
    def asked(self, word: Word, samples: list[Sample], files: Files) -> list[Condition]:
        """Return what the samples are read as, without those that differ in a comparison only."""
        return [object_of("condition", files.read(word.sort, one).whole()) for one in telling(samples)]

    def test_it_is_kept_as_a_condition_of_its_own(self, word: Word, found: list[Condition]) -> None:
        """Of one of the word's classes."""
        assert {type(one) for one in found} <= {*word.classes}
        for one in found:
            assert from_document("condition", to_document(one), WORDS) == one

    def test_it_answers_what_it_is_asked(self, found: list[Condition]) -> None:
        """What it refers to and changes by; a condition that asks of the stay alone may name nothing."""
        for one in found:
            assert one.words().strip(), "say it in `words`"
            assert "\n" not in one.words()
            assert one.mentions() != Mentions() or needs(one), "say in `mentions` what it names"
            assert one.changes_by() != Touch() or needs(one), "say in `changes_by` what changes the answer"
            assert isinstance(one.since_arrival(), Condition)
            memory, touch = one.remembers(), one.changes_by()
            assert {name for name, _ in memory.events} <= touch.events, (
                "what it looks back to changes the answer"
            )
            assert memory.journeys <= touch.journeys
            assert touch.messages or not memory.messages
            for leaf in leaves(one):
                assert leaf.subject().strip()
                assert not leaf.lengths() or leaf.looks_back()
                assert not leaf.looks_back() or leaf.changes_by().time, "as time goes by, the answer changes"

    def test_another_sample_says_something_else(
        self, word: Word, found: list[Condition], files: Files
    ) -> None:
        """In other words, and as another condition."""
        other = object_of(word.sort, files.read(word.sort, self._other()).whole())
        for one in found:
            assert other != one
            assert other.words() != one.words()

    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_its_sql_is_compiled(self, found: list[Condition], dialect: str) -> None:
        """For each database, whatever is installed."""
        for one in found:
            for query in _asked(one, dialect):
                assert str(query.compile(dialect=_COMPILED[dialect]))

    def test_its_negation_is_its_opposite(
        self, small: SmallStore, asked: list[Condition], files: Files
    ) -> None:
        """Of each customer one of the two holds, asked by itself and as a branch; neither where nobody is."""
        queries = [(one, _asked(one, small.store.dialect)) for one in asked]
        for _, query in queries:
            assert small.found(query) == [[], [], []]
        self._live(small, files)
        for one, query in queries:
            holds, denied, taken = small.found(query)
            assert not {*holds} & {*denied}, one.words()
            assert len({*holds, *denied}) == len(holds) + len(denied) == small.people
            assert {*taken} == {*holds}
            id_, told = small.told(one)
            assert told.holds == (id_ in holds), "`treue why` says something else"
            assert told.text.strip()

    def _live(self, small: SmallStore, files: Files) -> None:
        """Let the customers have been in the journey `welcome`, in which most of them were written to."""
        written = sample("{send: welcome, on: email}")
        greeting = object_of("step", files.read("step", written).whole())
        small.publish([files.course([written], "welcome")])
        small.fill()
        small.happen(self.starts)
        course = Course(small, [greeting])
        course.stand()
        course.walk()
        small.messages_go_out()


class TriggerContract(WordContract):
    """What every trigger keeps."""

    longest: ClassVar[timedelta] = timedelta(days=30)
    """How long after the journey went live somebody has come, at the latest."""

    def test_it_is_kept_as_a_trigger_of_its_own(self, word: Word, found: list[Trigger]) -> None:
        """Of one of the word's classes."""
        assert {type(one) for one in found} <= {*word.classes}
        for one in found:
            assert from_document("trigger", to_document(one), WORDS) == one

    def test_it_answers_what_it_is_asked(self, found: list[Trigger], files: Files) -> None:
        """With names that are declared; what it lets in by is what its host says that they come by."""
        for one in found:
            assert one.words().strip(), "say it in `words`"
            assert "\n" not in one.words()
            assert {*one.events()} <= {*files.schema.events}
            assert {*one.reads()} <= {*files.schema.attributes}
            by = host_of(one).comes_by
            assert by in ("event", "hand", "time", "state")
            assert (by == "event") == bool(one.events()), f"who comes by {by}: `events`"
            assert (by == "hand") == one.by_hand, f"who comes by {by}: `by_hand`"
            assert bool(host_of(one).work) == (by in ("time", "state"))

    def test_another_sample_says_something_else(self, word: Word, found: list[Trigger], files: Files) -> None:
        """In other words, and as another trigger."""
        other = object_of(word.sort, files.read(word.sort, self._other()).whole())
        for one in found:
            assert other != one
            assert other.words() != one.words()

    def before(self, small: SmallStore) -> None:
        """Let happen what must have been before the journey runs, for somebody to come."""

    def test_it_brings_everybody_once(self, small: SmallStore, plans: list[Plan]) -> None:
        """Some sample brings somebody, and a second look at the same time brings nobody again; of nobody it brings none."""
        small.publish(plans)
        small.run()
        assert small.came() == []
        small.fill()
        self.before(small)
        for version in small.versions():
            for notes in small.outside(version):
                assert notes, "`treue why` says nothing"
                assert all(note.sentence.strip().endswith(".") for note in notes)
        small.let_come()
        for at in (*small.instants(2), NOW + self.longest):
            small.run(at)
            came = small.came()
            small.run(at)
            assert small.came() == came
        assert small.came(), "see `before`"


# --- what the contracts share -------------------------------------------------------------------------------

_COMPILED: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(),
    "postgresql": postgresql.dialect(),  # type: ignore[no-untyped-call]
}


@cache
def _validator(name: str) -> Any:
    """Return what holds a value to one of the shapes of the JSON Schema."""
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": json_schema(WORDS)["$defs"]})


@cache
def _built_in() -> str:
    return reference()


def _section(word: Word) -> str:
    """Return the reference that a word stands in."""
    brought = next((name for name, one in WORDS.brought.items() if one is word), None)
    return of_word(brought) if brought else _built_in()


def _reached(stages: Sequence[Stage]) -> set[str | None]:
    """Return the ids of the first of some stages, and of all that lie behind it; None is the end."""
    found: set[str | None] = {stages[0].id}
    for stage in stages:
        found |= stage.leads_to() if stage.id in found else set()
    return found


def _ids(stages: Sequence[Stage]) -> set[str]:
    return {stage.id for stage in stages}


def _holds(step: Step) -> bool:
    return any(one.holds for one in walk([step]))


def _asked(one: Condition, dialect: str) -> list[Select[Any]]:
    """Return the queries for those of the cohort for whom a condition holds, does not, and who take it as a branch."""
    moment = Moment(NOW + timedelta(hours=1), ZONE)
    taken = branches([one], moment, dialect, cohort).subquery()
    return [
        stays(one, moment, dialect, cohort),
        stays(Not(one), moment, dialect, cohort),
        select(taken.c.customer_id).where(taken.c.branch == 0),
    ]
