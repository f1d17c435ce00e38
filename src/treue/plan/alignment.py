"""Which step of a journey's new version is which of the old one's: what keeps its number when a file is edited.

Named steps are the same by their id, or as `moved` says. Steps without a name are compared by what they do, list
by list, so that one put in before them does not make others of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeVar

from treue.language.steps import Stage, Way
from treue.plan.plan import Plan

T = TypeVar("T")
Key = Callable[[T], Hashable]


def is_path(id_: str) -> bool:
    """Whether an id is a step's place in the file, such as `steps.3`, and not a name somebody gave."""
    return "." in id_


def align(old: Plan, new: Plan) -> dict[str, str]:
    """Map the id of each step of `new` that was a step of `old` to its id there."""
    return _Alignment(old, new).found


class _Alignment:
    def __init__(self, old: Plan, new: Plan) -> None:
        self.old, self.new = _Side(old), _Side(new)
        self.said = _named_alike(old, new)
        self._names = {was: id_ for id_, was in self.said.items()}
        self.found: dict[str, str] = dict(self.said)
        self._lists(self.old.list(old.first, None), self.new.list(new.first, None))
        for id_, was in self.said.items():
            self._inside(self.old.stages[was], self.new.stages[id_])

    def _lists(self, old: Sequence[Stage], new: Sequence[Stage]) -> None:
        keys = [self._keys(key) for key in (lambda side, one: side.whole(one), _itself, _likeness)]
        for was, stage in _match(old, new, *keys):
            if stage.id not in self.said:
                self.found[stage.id] = was.id
                self._inside(was, stage)

    def _keys(self, key: Callable[[_Side, Stage], Hashable]) -> tuple[Key[Stage], Key[Stage]]:
        """Return the keys of old and new steps: those known by name are equal to themselves alone."""

        def of_old(stage: Stage) -> Hashable:
            if stage.id in self._names or not is_path(stage.id):
                return ("named", stage.id)
            return key(self.old, stage)

        def of_new(stage: Stage) -> Hashable:
            return ("named", self.said[stage.id]) if stage.id in self.said else key(self.new, stage)

        return of_old, of_new

    def _inside(self, old: Stage, new: Stage) -> None:
        """Align what stands inside two steps that are the same."""
        for was, way in _ways(old, new, self.old, self.new):
            self._lists(self.old.list(was.to, old.to), self.new.list(way.to, new.to))


def _named_alike(old: Plan, new: Plan) -> dict[str, str]:
    """Return new id to old id where the file itself says so: the same name, or `moved`."""
    there, here = {stage.id for stage in old.stages}, {stage.id for stage in new.stages}
    same = {id_: id_ for id_ in there & here if not is_path(id_)}
    # A step that was there under its own name stays itself, also where `moved` sends people of another one to it.
    moved = {id_: was for was, id_ in new.moved if was in there and id_ in here - there}
    return same | moved


class _Side:
    """A plan read as the lists of steps that its file has."""

    def __init__(self, plan: Plan) -> None:
        self.stages = {stage.id: stage for stage in plan.stages}
        self._whole: dict[str, Hashable] = {}

    def list(self, first: str | None, after: str | None) -> list[Stage]:
        """Return the steps of one list, from its first to where `after` takes over."""
        found, id_ = [], first
        while id_ is not None and id_ != after:
            found.append(self.stages[id_])
            id_ = found[-1].to
        return found

    def whole(self, stage: Stage) -> Hashable:
        """Return what a step does, with all that stands inside it."""
        if stage.id not in self._whole:
            inside = [[self.whole(one) for one in self.list(way.to, stage.to)] for way in stage.inner_ways()]
            self._whole[stage.id] = (_itself(self, stage), tuple(tuple(steps) for steps in inside))
        return self._whole[stage.id]


def _itself(_side: _Side, stage: Stage) -> Hashable:
    return stage.alone()


def _likeness(_side: _Side, stage: Stage) -> Hashable:
    return stage.likeness()


def _ways(old: Stage, new: Stage, before: _Side, after: _Side) -> Iterator[tuple[Way, Way]]:
    """Yield the branches of two steps that are the same: by name, else by condition or what is done."""
    if old.kind != new.kind:
        return
    ways = old.inner_ways(), new.inner_ways()
    if old.names_ways:
        yield from _match(*ways, (_name, _name))
    else:
        does = _does(before, old), _does(after, new)
        yield from _match(*ways, (_condition, _condition), does, (_any, _any))


def _name(way: Way) -> Hashable:
    return way.name


def _condition(way: Way) -> Hashable:
    return way.condition


def _does(side: _Side, stage: Stage) -> Key[Way]:
    return lambda way: tuple(side.whole(one) for one in side.list(way.to, stage.to))


def _any(_way: Way) -> Hashable:
    return None


def _match(old: Sequence[T], new: Sequence[T], *keys: Any) -> Iterator[tuple[T, T]]:
    """Yield the pairs of items in both lists, in order: equal by the first pair of keys, between those by the next."""
    if not (keys and old and new):
        return
    (of_old, of_new), *rest = keys
    matcher = SequenceMatcher(
        None, [of_old(one) for one in old], [of_new(one) for one in new], autojunk=False
    )
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(old[a:b], new[c:d], strict=True)
        elif tag == "replace":
            yield from _match(old[a:b], new[c:d], *rest)
