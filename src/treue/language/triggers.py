"""How customers come into a journey: the trigger, whatever its kind, and who of them is let in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar

from treue.clock import Duration
from treue.language.conditions import CONDITION
from treue.language.grammar import (
    INVALID,
    Build,
    Check,
    Context,
    Definitions,
    Fields,
    Key,
    Length,
    Shape,
    shown,
)
from treue.language.problems import nearest
from treue.language.source import Mapping, Node, Scalar
from treue.model.kinds import Kinded
from treue.segments.tree import Condition, Property
from treue.segments.words import wanted


@dataclass(frozen=True)
class Trigger(Kinded, ABC):
    """What brings customers to a journey's door."""

    sort: ClassVar[str] = "trigger"

    by_hand: ClassVar[bool] = False
    """Whether only commands and HTTP calls bring somebody."""

    @abstractmethod
    def words(self) -> str:
        """Return what brings them, in a few words."""

    def events(self) -> tuple[str, ...]:
        """Return the names of the events that bring their customers to the door."""
        return ()

    def properties(self) -> tuple[Property, ...]:
        """Return what those events' own properties must fit."""
        return ()

    def joined(self) -> Condition | None:
        """Return the condition that brings customers in when it becomes true for them, or None."""
        return None

    def cron(self) -> str | None:
        """Return when it looks for customers, as a cron expression in the workspace's zone."""
        return None

    def segments(self) -> tuple[tuple[str, Condition], ...]:
        """Return the segments that its customers are in, each by its name."""
        return ()

    def reads(self) -> tuple[str, ...]:
        """Return the names of the attributes it looks at."""
        return ()

    def clock(self) -> str | None:
        """Return the time of the day (HH:MM, local) at which all come; None where there is no such time."""
        return None

    def follows(self) -> tuple[str, ...]:
        """Return the attributes whose changes may end the stays that it began, and let in anew.

        Where there are any, it lets in once for each occurrence, whatever `again` says.
        """
        return ()

    def foretells(self) -> tuple[str, ...]:
        """Return the attributes that tell who comes and when, for a while beforehand."""
        return ()

    def stays_for(self) -> str | None:
        """Return what a customer has a stay of her own for, such as a cart; None where she has one at a time."""
        return None

    @property
    def per(self) -> str | None:
        """The property of the starting event that each stay is for."""
        return None

    @property
    def again(self) -> Duration | None:
        """How long after leaving customers may come again where the file does not say: None for never."""
        return None


@dataclass(frozen=True)
class Entry:
    """How customers come in: the trigger; the `if` they must fit; how long after leaving they may come again.

    `again` is None for never, a zero Duration for always.
    """

    trigger: Trigger
    when: Condition | None = None
    again: Duration | None = None

    @property
    def has_several_stays(self) -> bool:
        """Whether a customer may be inside more than once at a time."""
        return self.trigger.stays_for() is not None


def _no_events(_enter: Mapping) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, eq=False)
class TriggerRow:
    """The row of a trigger: its leading key in `enter`, and the keys that belong to it.

    `also` are leading keys of other triggers that go with it, `called` is how a sentence names it. `examples` are those
    of its keys in the `Shape` of `enter`. `hints` say what to
    do about keys that stand without it. `starts` returns the events of an `enter` as written, whatever else is wrong.
    """

    lead: Key
    build: Build
    called: str
    keys: tuple[Key, ...] = ()
    also: tuple[str, ...] = ()
    check: Check = lambda fields: None  # noqa: ARG005
    hints: MappingType[str, str] = field(default_factory=dict)
    starts: Callable[[Mapping], tuple[str, ...]] = _no_events
    examples: MappingType[str, str] = field(default_factory=dict)


def _parse_again(node: Node, context: Any) -> Any:
    text = node.text if isinstance(node, Scalar) else ""
    if text in ("never", "always"):
        return None if text == "never" else Duration()
    if text[:1].isdigit():
        return Length().parse(node, context)
    near = nearest(text, ("never", "always"))
    return context.say(
        node,
        "T204",
        f"Here belongs `never`, `always` or a duration, not {shown(node)}.",
        f"Did you mean `{near}`?" if near else "Such as `again: 90d`: how long after leaving.",
    )


class _Again:
    noun = "`never`, `always` or a duration"

    def parse(self, node: Node, context: Any) -> Any:
        """Return None for never, nothing for always, else the duration, wrapped so that None is a value."""
        found = _parse_again(node, context)
        return INVALID if found is INVALID else (found,)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"anyOf": [{"enum": ["never", "always"]}, Length().schema(defs)]}


def check_moving(fields: Fields) -> None:
    """Say that a date is moved either before or after."""
    if fields.written("before") and fields.written("after"):
        message = "`before` and `after` do not go together."
        fields.context.say(fields.at("after"), "T207", message, "Leave one of them out.")


def fitting(where: Iterable[Property]) -> str:
    """Return what events' own properties must fit, as a sentence goes on after the event's name."""
    told = " and ".join(f"{one.name} {wanted(one.ops)}" for one in where)
    return f" where {told}" if told else ""


class _Enter:
    """The rows of `enter`: those of all triggers, and those that all triggers have."""

    noun = "a trigger"

    def parse(self, node: Node, context: Context) -> Any:
        """Return `enter` as an Entry."""
        before = replace(context, sends=None)  # of a stay that is still to begin no message has gone
        return enter_shape(context.words.triggers).parse(node, before)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        assert isinstance(defs, Definitions)
        return enter_shape(defs.words.triggers).schema(defs)


ENTER = _Enter()


def enter_shape(rows: MappingType[str, TriggerRow]) -> Shape:
    """Return the shape of `enter` with these triggers."""
    return _shape(tuple(rows.values()))


@cache
def _shape(rows: tuple[TriggerRow, ...]) -> Shape:
    keys = [key for row in rows for key in (row.lead, *row.keys)]
    return Shape(
        "trigger",
        "How customers come into the journey.",
        (
            *{key.name: key for key in keys}.values(),
            Key("if", CONDITION, "Only customers for whom this holds at entry."),
            Key("again", _Again(), "`never` (the default), `always`, or how long after leaving."),
        ),
        lambda fields: _build(rows, fields),
        check=lambda fields: _check(rows, fields),
        examples={name: written for row in rows for name, written in row.examples.items()},
    )


def _check(rows: Iterable[TriggerRow], fields: Fields) -> None:
    for row in rows:
        row.check(fields)


def _build(rows: tuple[TriggerRow, ...], fields: Fields) -> Any:
    row = _the_one(rows, fields)
    if row is INVALID or _misplaced(rows, row, fields):
        return INVALID
    trigger = row.build(fields)
    if trigger is INVALID:
        return INVALID
    return Entry(trigger, fields.get("if"), fields.get("again", (trigger.again,))[0])


def _the_one(rows: tuple[TriggerRow, ...], fields: Fields) -> Any:
    """Return the row that the written leading keys are of, or INVALID after saying why there is none."""
    written = {row.lead.name: row for row in rows if fields.written(row.lead.name)}
    if not written:
        *some, last = (row.called for row in rows)
        needed = f"`enter` needs {', '.join(some)}, or {last}."
        return fields.context.say(fields.node, "T202", "Nothing starts this journey.", needed)
    accompany = {name for row in written.values() for name in row.also}
    first, *others = [name for name in written if name not in accompany] or list(written)
    if not others:
        return written[first]
    other = others[-1]
    message = f"`{first}` and `{other}` do not go together."
    return fields.context.say(fields.at(other), "T207", message, "A journey has one trigger.")


def _misplaced(rows: tuple[TriggerRow, ...], mine: TriggerRow, fields: Fields) -> bool:
    """Say that a key belongs to another trigger than the one there is."""
    own = {key.name for key in mine.keys}
    for row in rows:
        for key in row.keys:
            if fields.written(key.name) and key.name not in own:
                kind = row.lead.name
                message = f"`{key.name}` belongs to a{'n' if kind[0] in 'aeiou' else ''} `{kind}` trigger."
                fields.context.say(fields.at(key.name), "T207", message, row.hints.get(key.name))
                return True
    return False
