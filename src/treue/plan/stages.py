"""The stages a journey becomes. Plain frozen data: what is explained is what is run.

Stages stand in the order of the file, which is a topological order: nobody ever moves backwards. `to` is the
id of the stage a customer goes on to, None the end of the journey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.clock import Duration
from treue.segments.tree import Condition, Property, Same
from treue.segments.tree import Scalar as Plain


@dataclass(frozen=True)
class Send:
    """Puts one message in the outbox for each customer (each channel with `all_channels`)."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    template: str
    channels: tuple[str, ...]
    all_channels: bool
    valid_for: Duration
    sender: str | None
    data: tuple[tuple[str, Plain], ...]
    categories: tuple[str, ...]
    kind: Literal["send"] = "send"


@dataclass(frozen=True)
class Wait:
    """Holds customers for a duration."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    duration: Duration
    kind: Literal["wait"] = "wait"


@dataclass(frozen=True)
class WaitUntil:
    """Holds customers until the next `at` (HH:MM on their clocks), on one of `days` (`mon` to `sun`; none: any)."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    at: str
    days: tuple[str, ...]
    kind: Literal["wait_until"] = "wait_until"


@dataclass(frozen=True)
class WaitDate:
    """Holds customers until the day (local midnight) or the time an attribute of `type` names, moved by a duration."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    attribute: str
    type: str
    before: Duration | None
    after: Duration | None
    kind: Literal["wait_date"] = "wait_date"


@dataclass(frozen=True)
class WaitFor:
    """Holds customers until a condition holds, which leads to `then`, `at_most` so long, which leads to `otherwise`."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    condition: Condition
    at_most: Duration
    then: str | None
    otherwise: str | None
    kind: Literal["wait_for"] = "wait_for"


@dataclass(frozen=True)
class Way:
    """One way out of a choose or split: its name, its condition or weight, and where it leads."""

    name: str
    to: str | None
    condition: Condition | None = None
    weight: int = 0


@dataclass(frozen=True)
class Choose:
    """Takes the first way whose condition holds (none: else), or goes on."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    ways: tuple[Way, ...]
    kind: Literal["choose"] = "choose"


@dataclass(frozen=True)
class Split:
    """Divides customers over its ways by a stable hash; with `learn`, by shares that follow what works."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    ways: tuple[Way, ...]
    learn: str | None = None
    kind: Literal["split"] = "split"


@dataclass(frozen=True)
class Set:
    """Writes attributes."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    values: tuple[tuple[str, Plain], ...]
    kind: Literal["set"] = "set"


@dataclass(frozen=True)
class Emit:
    """Records an event."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    event: str
    data: tuple[tuple[str, Plain], ...]
    kind: Literal["emit"] = "emit"


@dataclass(frozen=True)
class Call:
    """Puts one outgoing webhook in the outbox for each customer. `json` is JSON text with templates in its texts."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    url: str
    method: str
    json: str | None
    secret: str | None
    valid_for: Duration
    kind: Literal["call"] = "call"


@dataclass(frozen=True)
class Start:
    """Puts customers at another journey's door."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    journey: str
    kind: Literal["start"] = "start"


@dataclass(frozen=True)
class Stop:
    """Ends the journey."""

    id: str
    line: int
    when: Condition | None
    to: str | None
    kind: Literal["stop"] = "stop"


Waiting = Wait | WaitUntil | WaitDate | WaitFor
Stage = Send | Waiting | Choose | Split | Set | Emit | Call | Start | Stop


def leads_to(stage: Stage) -> set[str | None]:
    """Return the ids of all stages that customers may go on to from a stage; None is the end."""
    match stage:
        case Choose() | Split():
            return {stage.to, *(way.to for way in stage.ways)}
        case WaitFor():
            return {stage.to, stage.then, stage.otherwise}
    return {stage.to}


@dataclass(frozen=True)
class OnDate:
    """The day an attribute of `type` names, or with `yearly` its anniversaries, moved; see the language's `date`."""

    attribute: str
    type: str
    at: str
    yearly: bool
    before: Duration | None
    after: Duration | None


@dataclass(frozen=True)
class Entry:
    """How customers come in; see the language's `enter`. `again` None is never, a zero Duration always."""

    event: str | None
    where: tuple[Property, ...]
    segment: Condition | None
    segment_name: str | None
    schedule: str | None
    manual: bool
    when: Condition | None
    again: Duration | None
    per: str | None
    date: OnDate | None = None
    each_run: bool = False

    @property
    def has_several_stays(self) -> bool:
        """Whether a customer may be inside more than once: for each value of `per`, each occurrence of a date."""
        return self.per is not None or self.date is not None


@dataclass(frozen=True)
class Exit:
    """A reason to leave at once."""

    name: str
    event: str | None
    where: tuple[Property, ...]
    condition: Condition | None
    same: Same | None = None


@dataclass(frozen=True)
class Goal:
    """The event that counts as success."""

    event: str
    where: tuple[Property, ...]
    within: Duration | None


@dataclass(frozen=True)
class Plan:
    """What a journey's file means. Two files that mean the same have the same plan and so the same `hash`.

    `moved` says which ids steps had in earlier versions, old before new; it is no part of the meaning.
    """

    journey: str
    category: str
    basis: str | None
    priority: int
    entry: Entry
    exits: tuple[Exit, ...]
    goal: Goal | None
    holdout: int
    in_flight: str
    stages: tuple[Stage, ...]
    moved: tuple[tuple[str, str], ...] = ()

    @property
    def first(self) -> str | None:
        """The id of the first stage."""
        return self.stages[0].id if self.stages else None

    def stage(self, id_: str) -> Stage:
        """Return the stage with an id. Raises KeyError where there is none."""
        for stage in self.stages:
            if stage.id == id_:
                return stage
        raise KeyError(id_)

    @property
    def ending_events(self) -> tuple[str, ...]:
        """The events that may end a stay: exits and the goal."""
        names = [*(exit_.event for exit_ in self.exits), self.goal.event if self.goal else None]
        return tuple(dict.fromkeys(name for name in names if name))


def arm_stages(plan: Plan, split: Split) -> list[Stage]:
    """Return the stages inside a split's ways, in order: those reached from them before they meet again."""
    inside: set[str] = set()
    rest = [way.to for way in split.ways]
    while rest:
        to = rest.pop()
        if to is not None and to != split.to and to not in inside:
            inside.add(to)
            rest += leads_to(plan.stage(to))
    return [stage for stage in plan.stages if stage.id in inside]
