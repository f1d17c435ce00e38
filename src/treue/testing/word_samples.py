"""A word's own samples, and journeys in which they stand: what the contract of a word reads, keeps and plays.

Journeys may name what the reference workspace has, for which the samples in rows are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from treue.language.conditions import OPERATORS
from treue.language.grammar import INVALID, Context, Kind, Later, Schema, Shape
from treue.language.journey import JOURNEY, Journey
from treue.language.problems import Place, Problem, Problems, framed
from treue.language.scenario import plain
from treue.language.source import read, read_any
from treue.language.triggers import enter_shape
from treue.language.words import Sort, Word
from treue.plan.flatten import build
from treue.plan.plan import Plan
from treue.segments.tree import Condition
from treue.vocabulary.registry import WORDS
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace
from treue.workspace.workspace import Workspace

FILE = "journeys/sample.yaml"
COURSE = "course"
AFTER = "after"
"""The id of the step that follows a step's sample, at which customers stand for an hour."""


@dataclass(frozen=True)
class Sample:
    """A mapping as a file holds it, in which a key of the word's stands; `values` is the mapping as plain data."""

    key: str
    values: Mapping[str, Any]

    @property
    def written(self) -> str:
        """The mapping on one line."""
        return json.dumps(self.values, ensure_ascii=False)

    def with_(self, key: str, value: Any) -> Sample:
        """Return it with another value under a key."""
        return Sample(key, {**self.values, key: value})


def sample(text: str, key: str = "") -> Sample:
    """Return a mapping that is written as text as a sample; its first key is the one it shows unless one is named."""
    problems = Problems()
    node = read_any("a sample", text, problems)
    assert node is not None, [problem.message for problem in problems]
    values = plain(node)
    return Sample(key or next(iter(values)), values)


def shapes(word: Word) -> tuple[Shape, ...]:
    """Return the mappings that a file may hold of a word, by themselves."""
    if word.sort == "trigger":
        return (enter_shape(WORDS.triggers),)
    return tuple(row for row in word.rows.values() if isinstance(row, Shape))


def own_keys(word: Word, shape: Shape) -> list[str]:
    """Return the keys of a shape that the word brings and that have an effect; of a trigger, those of its rows."""
    names = [key.name for key in shape.keys if not isinstance(key.kind, Later)]
    if word.sort != "trigger":
        return names
    own = {key.name for row in word.rows.values() for key in (row.lead, *row.keys)}
    return [name for name in names if name in own]


def samples_of(word: Word) -> list[Sample]:
    """Return a sample of each key of a word, as its rows give them."""
    found = []
    for shape in shapes(word):
        for key in own_keys(word, shape):
            assert shape.example(key), f"Give the key `{key}` of {shape.doc_name} an example."
            found.append(sample(shape.sample(key), key))
    return found


def different(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples but for those that say what an earlier one does, apart from their ids."""
    found: dict[str, Sample] = {}
    for one in samples:
        values = {key: value for key, value in one.values.items() if key != "id"}
        found.setdefault(json.dumps(values), one)
    return list(found.values())


def telling(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples but for those that differ from an earlier one in a comparison only: these are no words."""
    found: dict[Any, Sample] = {}
    for n, one in enumerate(different(samples)):
        others = frozenset(one.values) - OPERATORS.keys()
        found.setdefault(frozenset(others) if len(others) < len(one.values) else n, one)
    return list(found.values())


# --- journeys -----------------------------------------------------------------------------------------------

_WRITTEN: Mapping[Sort, str] = {
    "step": "enter: {{event: {starts}}}\nsteps:\n  - {sample}\n  - {{id: after, wait: 1h}}\n",
    "condition": "enter: {{event: {starts}}}\nsteps:\n  - {{id: asks, wait: 1h, if: {sample}}}\n",
    "trigger": "enter: {sample}\nsteps:\n  - {{wait: 1h}}\n",
}
"""A journey in which a sample stands, by the sort of the word."""


@dataclass(frozen=True)
class Read:
    """What came of a journey's text: the journey, or None after problems were found."""

    text: str
    journey: Journey | None
    problems: tuple[Problem, ...]

    def whole(self) -> Journey:
        """Return the journey, which is to be without a problem."""
        assert self.journey is not None, self.told()
        return self.journey

    def told(self) -> str:
        """Return the problems as `treue check` shows them."""
        return "\n".join(framed(problem, self.text) for problem in self.problems)


@dataclass(frozen=True)
class Files:
    """What journeys with a word may name: the reference workspace's, and further attributes and events.

    `starts` is the event that starts the journeys in which steps and conditions stand.
    """

    attributes: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    starts: str = "cart.abandoned"

    @property
    def schema(self) -> Schema:
        """All that is declared."""
        found = _reference().settings.schema
        return replace(
            found,
            attributes={**found.attributes, **self.attributes},
            events={**found.events, **self.events},
            calls=None,
        )

    def read(self, sort: Sort, sample: Sample) -> Read:
        """Return what comes of a journey in which a sample of a word of this sort stands."""
        return self._journey(_WRITTEN[sort].format(starts=self.starts, sample=sample.written))

    def plan(self, sort: Sort, sample: Sample, name: str = "sample") -> Plan:
        """Return the plan of such a journey, under a name."""
        return build(replace(self.read(sort, sample).whole(), name=name))

    def course(self, samples: Iterable[Sample], name: str = COURSE) -> Plan:
        """Return the plan of a journey in which samples of steps follow one another: `s0`, `s1`, then `AFTER`."""
        steps = "\n  - ".join(sample.with_("id", f"s{n}").written for n, sample in enumerate(samples))
        read = self._journey(_WRITTEN["step"].format(starts=self.starts, sample=steps))
        return build(replace(read.whole(), name=name))

    def door(self, name: str) -> Plan:
        """Return the plan of a journey of this name whose customers come by hand."""
        return build(
            replace(self._journey("enter: {manual: true}\nsteps: [{wait: 1h}]\n").whole(), name=name)
        )

    def of_test(self, kind: Kind, sample: Sample) -> Any:
        """Return what a sample of something in a journey's tests is read as."""
        problems = Problems()
        node = read(FILE, sample.written, problems)
        context = Context(problems, self.schema, words=WORDS)
        found = kind.parse(node, context) if node is not None else INVALID
        assert found is not INVALID, [problem.message for problem in problems]
        return found

    def _journey(self, inside: str) -> Read:
        text = f"description: A sample.\ncategory: transactional\n{inside}"
        problems = Problems()
        context = Context(problems, self.schema, partial(_segment, problems), words=WORDS)
        node = read(FILE, text, problems)
        found: Any = JOURNEY.parse(node, context) if node is not None else INVALID
        journey = None if found is INVALID else replace(found, name="sample")
        return Read(text, journey, tuple(problems.all()))


def object_of(sort: Sort, journey: Journey) -> Any:
    """Return what a journey of `Files.read` holds of the word: the step, the condition or the trigger."""
    if sort == "trigger":
        return journey.enter.trigger
    step = journey.steps[0]
    return step if sort == "step" else step.when


@cache
def _reference() -> Workspace:
    return load(reference_workspace())


def _segment(problems: Problems, name: str, place: Place) -> Condition | None:
    segments = _reference().segments
    if name not in segments:
        problems.add(place, "T301", f"There is no segment `{name}`.")
    return segments[name].condition if name in segments else None


# --- what else a word's modules load ------------------------------------------------------------------------

_CHILD = """
import sys
from importlib import import_module
before = set(sys.modules)
for name in sys.argv[1:]:
    import_module(name)
    if "sqlalchemy" in sys.modules:
        print(name)
        for one in set(sys.modules) - before:
            del sys.modules[one]
"""


@cache
def heavy_modules() -> frozenset[str]:
    """Return which of the modules that all words' light faces are in load SQLAlchemy, asked of a fresh Python."""
    import subprocess
    import sys

    names = sorted({name for word in WORDS.words for name in modules(word)})
    command = [sys.executable, "-c", _CHILD, *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return frozenset(done.stdout.split())


def modules(word: Word) -> set[str]:
    """Return the modules in which a word's rows and classes are defined."""
    rows: Iterable[Any] = (*word.rows.values(), *word.expectations.values(), *word.acts.values(), *word.parts)
    builds: Iterator[Callable[..., Any]] = (row.build for row in rows if hasattr(row, "build"))
    return {one.__module__ for one in (*word.classes, *builds)}
