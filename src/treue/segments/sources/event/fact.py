"""What is counted over a customer's events."""

from __future__ import annotations

from dataclasses import dataclass, replace

from treue.clock import Duration
from treue.segments.expiry import Expiry
from treue.segments.fact import Fact
from treue.segments.tree import Property, Same, Since


@dataclass(frozen=True)
class EventFact(Fact):
    """A number or time over a customer's events of one name.

    `left` is the time of the latest event that no longer lies within the window.
    """

    function: str
    event: str
    within: Duration | None
    where: tuple[Property, ...]
    property: str = ""
    type: str = ""
    since: Since | None = None
    same: Same | None = None

    def is_over(self) -> bool:
        """Whether it is about what the window has left behind."""
        return self.function == "left"

    def source(self) -> object:
        """Return the events it is counted over."""
        return ("event", self.event, self.since, self.same)


def leaving(first: EventFact) -> tuple[Expiry, ...]:
    """Return when events leave a window: the first that lies in it next, as `first` says.

    One that has just left may lie in it once more: so long ago is not always later where clocks go back, or months end.
    """
    assert first.within is not None
    both = (
        [first]
        if not (first.within.months or first.within.days)
        else [first, replace(first, function="left")]
    )
    return tuple(Expiry(first.within, fact, turns="at") for fact in both)
