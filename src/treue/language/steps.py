"""What every step of a file and every stage of a plan can be asked, whatever its kind.

A step is what a marketer writes; a stage is what a plan keeps and a pass plays. For most words both are one class, a
`Leaf`. A step with steps inside it is a `Container`: it flattens into a stage of its own and those inside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from treue.clock import Duration
from treue.language.problems import Place
from treue.model.kinds import UNSTORED, Kinded
from treue.segments.tree import Condition
from treue.segments.tree import Scalar as Plain

if TYPE_CHECKING:
    from typing import Self

    from treue.language.grammar import Fields

NOWHERE = Place("", 1, 1)


@dataclass(frozen=True)
class Effort:
    """How often a stage's task is tried again, after how many seconds, and after how many seconds it has failed.

    Trying again is safe: every batch is one transaction, and the outbox knows each message.
    """

    retries: int = 2
    delay: float = 1.0
    timeout: float = 1_800.0


LONG = Effort(timeout=3_600.0)
"""For stages that ask conditions, render templates or write messages."""


@dataclass(frozen=True)
class OutboxMessage:
    """A message that a step puts in the outbox: written from a template, on the first channel that reaches the customer.

    With `all_channels` on each. `categories` are those of the template on each channel.
    """

    template: str
    channels: tuple[str, ...]
    valid_for: Duration
    all_channels: bool = False
    sender: str | None = None
    data: tuple[tuple[str, Plain], ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutboxCall:
    """A call that a step puts in the outbox: an outgoing webhook. `json` is JSON text with templates in its texts."""

    url: str
    method: str
    json: str | None
    secret: str | None
    valid_for: Duration


Outbox = OutboxMessage | OutboxCall


@dataclass(frozen=True)
class Branch:
    """One way through a step that has steps inside it.

    `name` is its name in the trace, `says` what tells it from the others, `condition` what those who take it fit.
    Nobody takes it where `taken` is false, such as an arm of weight 0.
    """

    place: Place
    name: str
    steps: tuple[Step, ...]
    says: str
    condition: Condition | None = None
    taken: bool = True


class Flattening(Protocol):
    """What turns steps into stages."""

    @property
    def category(self) -> str:
        """The journey's category."""

    def category_of(self, template: str, channel: str) -> str | None:
        """Return the category that a template's front matter names for a channel."""

    def steps(self, steps: tuple[Step, ...], path: str, after: str | None) -> list[Stage]:
        """Return the stages of a list of steps at a path in the file; `after` is where its last one leads."""


class Step(ABC):
    """A step of a file: its place, its id (given, or empty) and its `if`."""

    place: Place
    id: str
    when: Condition | None

    holds: ClassVar[bool] = False
    """Whether customers stay at it for a time."""
    ends: ClassVar[bool] = False
    """Whether nobody goes on after it."""
    draws: ClassVar[bool] = False
    """Whether a draw decides which of its branches a customer takes; a test may fix it."""

    @abstractmethod
    def flatten(self, flattening: Flattening, id_: str, path: str, to: str | None) -> list[Stage]:
        """Return its stage under an id, leading to `to`, and the stages of the steps inside it."""

    def branches(self) -> tuple[Branch, ...]:
        """Return the ways through it that have steps of their own."""
        return ()

    @property
    def passes(self) -> bool:
        """Whether customers may go past it without taking any of its branches."""
        return not self.branches()

    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions it asks, its `if` included."""
        return (self.when,) if self.when is not None else ()

    def outbox(self) -> Outbox | None:
        """Return what it puts in the outbox."""
        return None

    def sets(self) -> tuple[str, ...]:
        """Return the names of the attributes it writes."""
        return ()

    def emits(self) -> tuple[str, ...]:
        """Return the names of the events it records."""
        return ()

    def templates(self) -> tuple[str, ...]:
        """Return the values in it that are filled in for each customer, those of messages and calls aside."""
        return ()

    def starts(self) -> tuple[str, ...]:
        """Return the names of the journeys that it starts for the customer."""
        return ()

    def reads(self) -> tuple[str, ...]:
        """Return the names of the attributes it looks at, those in conditions and message templates aside."""
        return ()

    def dates(self) -> tuple[str, ...]:
        """Return the names of the attributes whose date it waits for."""
        return ()

    def clock(self) -> str | None:
        """Return the time of the day (HH:MM, local) at which all go on from it; None where there is no such time."""
        return None

    def takes(self) -> timedelta:
        """Return how long customers stay at it at the most; a date to wait for counts as nothing."""
        return timedelta()

    def check(self, journey: Fields) -> None:
        """Say what is wrong between it and the other keys of its journey."""
        return


@dataclass(frozen=True)
class Way:
    """One way out of a stage: its name, its condition or weight, and the stage it leads to (None: the end)."""

    name: str
    to: str | None
    condition: Condition | None = None
    weight: int = 0


@dataclass(frozen=True)
class Lead:
    """One way on from a stage: under what label (a condition, a share), and to which stage (None: the end).

    `way` is its name in the trace: a branch's or an arm's, `none`, `skipped`, or empty for the only way on.
    """

    label: str
    to: str | None
    way: str = ""


@dataclass(frozen=True)
class Stage(Kinded, ABC):
    """A stage of a plan. `to` is the id of the stage that customers go on to, None the end of the journey."""

    sort: ClassVar[str] = "stage"

    id: str
    line: int
    when: Condition | None
    to: str | None

    effort: ClassVar[Effort] = Effort()
    draws: ClassVar[bool] = False
    """Whether a draw decides which of its ways a customer takes."""
    tells_ways: ClassVar[bool] = False
    """Whether `words` says nothing of the ways, so that a sentence about the stage must add them."""
    names_ways: ClassVar[bool] = True
    """Whether its ways have names that an edit keeps, not just their order."""

    @abstractmethod
    def words(self) -> str:
        """Return what it does, in a few words."""

    def likeness(self) -> Hashable:
        """Return what an edited step must keep to be the same step: another template is another message."""
        return self.kind

    def alone(self) -> Self:
        """Return the stage without its place and its ways on, equal to any other that does the same."""
        return replace(self, id="", line=0, to=None)

    def inner_ways(self) -> tuple[Way, ...]:
        """Return the ways through it that have stages of their own."""
        return ()

    def leads_to(self) -> set[str | None]:
        """Return the ids of all stages that customers may go on to; None is the end."""
        return {self.to, *(way.to for way in self.inner_ways())}

    def leads(self, shares: Sequence[float] = ()) -> tuple[Lead, ...]:
        """Return where it leads, in order; past it by its `if` included where it has ways.

        `shares` are what the ways of a stage that learns get at present, where that is known.
        """
        return (Lead("", self.to),)

    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions it asks, its `if` included."""
        return (self.when,) if self.when is not None else ()

    def waits_for(self) -> Condition | None:
        """Return the condition that those who stand at it wait for."""
        return None

    def sets(self) -> tuple[str, ...]:
        """Return the names of the attributes it writes."""
        return ()

    def follows(self) -> tuple[str, ...]:
        """Return the attributes whose changes matter to those who stand at it."""
        return ()

    @property
    def skips(self) -> bool:
        """Whether customers are sent nothing on the way from it where the moment to wait for has passed."""
        return False

    def compared(self, way: str | None) -> tuple[Condition, ...]:
        """Return the conditions that were looked at to send a customer on by a way."""
        return ()

    def outbox(self) -> Outbox | None:
        """Return what it puts in the outbox."""
        return None

    @property
    def learns(self) -> bool:
        """Whether its ways' shares follow what works."""
        return False

    def or_skipped(self, leads: tuple[Lead, ...]) -> tuple[Lead, ...]:
        """Return some leads, and the one past it where it has an `if`."""
        return (*leads, Lead("skipped", self.to, "skipped")) if self.when is not None else leads

    @cached_property
    def message(self) -> OutboxMessage | None:
        """The message that it puts in the outbox, if it is one."""
        found = self.outbox()
        return found if isinstance(found, OutboxMessage) else None


@dataclass(frozen=True)
class Leaf(Stage, Step):
    """A step that is a stage as it stands: nothing lies inside it."""

    place: Place = field(default=NOWHERE, compare=False, repr=False, kw_only=True, metadata=UNSTORED)

    def flatten(self, flattening: Flattening, id_: str, path: str, to: str | None) -> list[Stage]:
        """Return itself with its id and where it leads."""
        return [replace(self, id=id_, to=to, place=NOWHERE)]


@dataclass(frozen=True)
class Container(Step):
    """A step with steps inside it."""

    place: Place
    id: str
    when: Condition | None


def walk(steps: Sequence[Step]) -> list[Step]:
    """Return all steps, those inside branches included, in the order of the file."""
    found: list[Step] = []
    for step in steps:
        found.append(step)
        for branch in step.branches():
            found += walk(branch.steps)
    return found


def message_of(step: Step) -> OutboxMessage | None:
    """Return the message that a step puts in the outbox, if it is one."""
    found = step.outbox()
    return found if isinstance(found, OutboxMessage) else None


def is_template(value: Any) -> bool:
    """Whether a value in a `set` or an `emit` is to be rendered for each customer."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def either(condition: Condition | None) -> str:
    """Return what a condition says, `else` where there is none."""
    return condition.words() if condition is not None else "else"
