"""A word of the language, and how words are found: nothing here knows any of them by name.

A word lives in a folder of its own, in `treue.vocabulary` or in a third party's package. Its light face, `word.py`,
says what files may hold and what a plan keeps; heavier faces, such as `sql.py`, lie beside it and are imported at
first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from treue.language.source import Mapping, Node

if TYPE_CHECKING:
    from treue.language.grammar import Kind, Shape
    from treue.language.triggers import TriggerRow


def _nothing(_step: Mapping) -> Iterator[Node | None]:
    yield from ()


def _no_names(_step: Mapping) -> Iterator[str]:
    yield from ()


Sort = Literal["step", "condition", "trigger"]


@dataclass(frozen=True)
class Word:
    """One word: the rows of its grammar by their leading keys, and the classes that plans keep of it.

    A row is a Kind, of a trigger a TriggerRow.

    `parts` are further shapes that its rows are made of, for the reference. `inner` yields the lists of steps inside a
    step as they are written, whatever else may be wrong with it, `sends` the templates that it sends. `expectations` are rows of what a journey's tests may
    expect of it, by leading key; each is read as a `Noted`. `decisions` are those that only it notes in the trace, with
    the sentences they are told in. `acts` are rows of what tests may let happen outside, by leading key; each is read as
    an `Outside`.
    """

    sort: Sort
    rows: MappingType[str, Any]
    classes: tuple[type[Any], ...] = ()
    parts: tuple[Shape, ...] = ()
    inner: Callable[[Mapping], Iterator[Node | None]] = _nothing
    sends: Callable[[Mapping], Iterator[str]] = _no_names
    expectations: MappingType[str, Any] = field(default_factory=dict)
    decisions: MappingType[str, str] = field(default_factory=dict)
    acts: MappingType[str, Any] = field(default_factory=dict)


class Words(Protocol):
    """The words there are: what reading files needs to know of them."""

    @property
    def steps(self) -> MappingType[str, Kind]:
        """The steps' rows by leading key, in the order of the reference."""

    @property
    def triggers(self) -> MappingType[str, TriggerRow]:
        """The triggers' rows by leading key, in the order of the reference."""

    @property
    def conditions(self) -> MappingType[str, Kind]:
        """The conditions' rows by leading key, in the order of the reference."""

    @property
    def expectations(self) -> MappingType[str, Kind]:
        """The rows of what tests of journeys may expect by leading key, in the order of the reference."""

    @property
    def acts(self) -> MappingType[str, Kind]:
        """The rows of what may stand in a test's timeline by leading key, in the order of the reference."""

    def inner(self, step: Mapping) -> Iterator[Node | None]:
        """Yield the lists of steps inside a step as they are written, whatever else may be wrong with it."""

    def sends(self, step: Mapping) -> Iterator[str]:
        """Yield the templates that a step sends, as it is written."""

    @property
    def parts(self) -> MappingType[Sort, tuple[Shape, ...]]:
        """Further shapes that the rows are made of, by the sort of their words."""
