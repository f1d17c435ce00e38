"""Every word there is: the built-in ones in the order of the reference, then those of installed packages.

A package brings words in the entry-point group `treue.words`: each entry names a `Word`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

from treue.errors import TreueError
from treue.language.conditions import JOINING
from treue.language.grammar import Kind, Shape
from treue.language.scenario import ACTS, EXPECTATIONS
from treue.language.source import Mapping as YamlMapping
from treue.language.source import Node
from treue.language.triggers import TriggerRow
from treue.language.words import Sort, Word
from treue.model.states import Decision
from treue.packages import installed_entries

GROUP = "treue.words"

BUILT_IN: dict[Sort, tuple[str, ...]] = {
    "step": (
        "send",
        "wait",
        "choose",
        "split",
        "set",
        "emit",
        "withdraw",
        "call",
        "start",
        "stop",
        "award",
        "ask",
    ),
    "condition": (
        "attribute",
        "event",
        "aggregate",
        "segment",
        "consent",
        "message",
        "reachable",
        "journey",
        "began",
        "points",
        "tier",
        "score",
    ),
    "trigger": ("event", "segment", "schedule", "date", "manual"),
}
"""The folders of `treue.vocabulary`, by sort."""


class Registry:
    """The words of an installation, each imported at first use; without `packages` only the built-in ones."""

    def __init__(self, *, packages: bool = True) -> None:
        self._packages = packages

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """All words, the built-in ones first; what joins conditions last, so that other keys than its own lead before.

        Raises TreueError where an installed package brings a leading key or a kind that is there already, or no word.
        """
        found = [*_built_in(), *self.brought.values(), JOINING]
        for sort in BUILT_IN:
            _require_unique(f"{sort}'s leading key", [word.rows for word in found if word.sort == sort])
            _require_unique(f"{sort}'s kind", [_by_kind(word.classes) for word in found if word.sort == sort])
        _require_unique("expectation", [EXPECTATIONS, *(word.expectations for word in found)])
        _require_unique("entry of a timeline", [ACTS, *(word.acts for word in found)])
        _require_unique("decision", [dict.fromkeys(Decision), *(word.decisions for word in found)])
        return tuple(found)

    @cached_property
    def brought(self) -> Mapping[str, Word]:
        """The words that installed packages bring, by their names in the entry-point group."""
        return dict(_installed()) if self._packages else {}

    @cached_property
    def steps(self) -> Mapping[str, Kind]:
        """The steps' rows by leading key."""
        return self._rows("step")

    @cached_property
    def triggers(self) -> Mapping[str, TriggerRow]:
        """The triggers' rows by leading key."""
        return self._rows("trigger")

    @cached_property
    def conditions(self) -> Mapping[str, Kind]:
        """The conditions' rows by leading key."""
        return self._rows("condition")

    @cached_property
    def expectations(self) -> Mapping[str, Kind]:
        """The rows of what tests of journeys may expect by leading key."""
        return EXPECTATIONS | {name: row for word in self.words for name, row in word.expectations.items()}

    @cached_property
    def acts(self) -> Mapping[str, Kind]:
        """The rows of what may stand in a test's timeline by leading key."""
        return ACTS | {name: row for word in self.words for name, row in word.acts.items()}

    @cached_property
    def _decisions(self) -> Mapping[str, str]:
        own = {name: sentence for word in self.words for name, sentence in word.decisions.items()}
        return {decision.value: decision.sentence for decision in Decision} | own

    def decision(self, name: str) -> str:
        """Return a decision in the trace as a sentence; as it stands where the package that noted it is gone."""
        return self._decisions.get(name, name)

    @cached_property
    def parts(self) -> Mapping[Sort, tuple[Shape, ...]]:
        """Further shapes that the rows are made of, by the sort of their words."""
        return {
            sort: tuple(part for word in self.words if word.sort == sort for part in word.parts)
            for sort in BUILT_IN
        }

    def inner(self, step: YamlMapping) -> Iterator[Node | None]:
        """Yield the lists of steps inside a step as they are written, whatever else may be wrong with it."""
        for word in self.words:
            if word.sort == "step" and any(step.key(name) is not None for name in word.rows):
                yield from word.inner(step)

    def sends(self, step: YamlMapping) -> Iterator[str]:
        """Yield the templates that a step sends, as it is written."""
        for word in self.words:
            if word.sort == "step" and any(step.key(name) is not None for name in word.rows):
                yield from word.sends(step)

    def classes(self, sort: str) -> Mapping[str, type[Any]]:
        """Return the classes that stored plans may hold of a sort, by kind."""
        return self._classes[sort]

    @cached_property
    def _classes(self) -> Mapping[str, Mapping[str, type[Any]]]:
        stored = {"step": "stage"}
        return {
            stored.get(sort, sort): {
                kind: type_
                for word in self.words
                if word.sort == sort
                for kind, type_ in _by_kind(word.classes).items()
            }
            for sort in BUILT_IN
        }

    def _rows(self, sort: Sort) -> dict[str, Any]:
        return {name: kind for word in self.words if word.sort == sort for name, kind in word.rows.items()}


def _built_in() -> Iterator[Word]:
    for sort, names in BUILT_IN.items():
        for name in names:
            yield import_module(f"treue.vocabulary.{sort}s.{name}.word").WORD


def _installed() -> Iterator[tuple[str, Word]]:
    for entry in sorted(installed_entries(GROUP), key=lambda one: one.name):
        brings = f"{entry.dist.name if entry.dist else 'A package'} brings the word {entry.name}"
        try:
            word = entry.load()
        except Exception as error:
            message = f"{brings}, which cannot be loaded ({entry.value}): {type(error).__name__}: {error}"
            raise TreueError(f"{message}. Mend or uninstall it.") from error
        if not isinstance(word, Word):
            raise TreueError(f"{brings}, but {entry.value} is no Word. Mend or uninstall it.")
        yield entry.name, word


def _by_kind(classes: tuple[type[Any], ...]) -> dict[str, type[Any]]:
    return {str(vars(type_)["kind"]): type_ for type_ in classes}


def _require_unique(what: str, parts: list[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for part in parts:
        if twice := seen & set(part):
            raise TreueError(f"Two installed words have the {what} `{min(twice)}`; uninstall one of them.")
        seen |= set(part)


WORDS = Registry()
"""The words of this installation."""
