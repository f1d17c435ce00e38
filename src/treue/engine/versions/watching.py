"""What the versions of a journey watch: whose answers to which conditions are known, and what may change them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from treue.language.steps import Stage
from treue.plan.plan import Exit, Plan
from treue.segments.needs import expires, unforeseen
from treue.segments.touch import MERGED, Touch
from treue.segments.tree import Condition
from treue.store import touches
from treue.store.events import CONSENT_EVENTS

if TYPE_CHECKING:
    from treue.engine.versions.versions import Version

CREATED = "customer.created"


@dataclass(frozen=True)
class Watching:
    """What a plan watches: who is in the segment that lets in, and who of those inside has a reason to leave."""

    plan: Plan

    @cached_property
    def joined(self) -> Condition | None:
        """The condition that lets in whoever comes to fulfil it."""
        return self.plan.entry.trigger.joined()

    @cached_property
    def exits(self) -> tuple[tuple[Exit, Condition], ...]:
        """The reasons to leave that are conditions."""
        return tuple((one, one.condition) for one in self.plan.exits if one.condition is not None)

    @cached_property
    def waits(self) -> tuple[tuple[Stage, Condition], ...]:
        """The stages at which customers wait for a condition, each with it."""
        found = ((stage, stage.waits_for()) for stage in self.plan.stages)
        return tuple((stage, condition) for stage, condition in found if condition is not None)

    @cached_property
    def follows(self) -> tuple[Stage, ...]:
        """The stages at which customers wait until a date of theirs, and follow it where it moves."""
        return tuple(stage for stage in self.plan.stages if stage.follows())

    @property
    def reasons(self) -> list[Condition]:
        """The conditions that are reasons to leave."""
        return [condition for _, condition in self.exits]

    @cached_property
    def entry_touch(self) -> Touch:
        """What may change who is in the segment."""
        return self.joined.changes_by() if self.joined is not None else Touch()

    @cached_property
    def exit_touch(self) -> Touch:
        """What may change whether somebody has a reason to leave."""
        return Touch.union(condition.changes_by() for condition in self.reasons)

    @cached_property
    def wait_touch(self) -> Touch:
        """What may change whether somebody need wait no longer, or until when, or what her stay is for."""
        dates = frozenset(self.plan.entry.trigger.follows())
        dates = dates.union(name for stage in self.follows for name in stage.follows())
        return Touch.union((Touch(attributes=dates), *(one.changes_by() for _, one in self.waits)))

    @cached_property
    def of_those_inside(self) -> frozenset[str]:
        """The names of what it watches for besides events, of those inside."""
        return (self.exit_touch | self.wait_touch).names()

    @cached_property
    def entry_events(self) -> frozenset[str]:
        """The events at which it is asked whether their customers are in the segment: also that they became known."""
        return _events(self.entry_touch) | {CREATED} if self.joined is not None else frozenset()

    @cached_property
    def exit_events(self) -> frozenset[str]:
        """The events at which it is asked whether those of their customers who are inside have a reason to leave."""
        return _events(self.exit_touch)

    @property
    def is_foreseen(self) -> bool:
        """Whether it can be told of everybody when time alone changes whether they are in the segment."""
        return self.joined is None or not unforeseen(self.joined)

    @cached_property
    def exits_expire(self) -> bool:
        """Whether time alone may give those inside a reason to leave, at an instant that can be told before."""
        return any(map(expires, self.reasons))


def _events(touch: Touch) -> frozenset[str]:
    return touch.events | frozenset(CONSENT_EVENTS) if touch.consents else touch.events


def watching(version: Version) -> Watching:
    """Return what a version watches."""
    return version.kept.of("watching", lambda: Watching(version.plan))


def watch_for(connection: Connection, versions: Sequence[Version], unreadable: Collection[int] = ()) -> None:
    """See to it that all that these versions watch for, besides events, comes to their doors.

    What journeys whose plans are `unreadable` watch for stays as it was.
    """
    known = touches.watches(connection)
    touches.watch_for(connection, _wanted(known, versions, unreadable), known)


def is_watched_for(
    connection: Connection, versions: Sequence[Version], unreadable: Collection[int] = ()
) -> bool:
    """Say whether `watch_for` has been done for these versions."""
    known = touches.watches(connection)
    return _wanted(known, versions, unreadable) == known


def _wanted(
    known: Mapping[tuple[int, str], bool], versions: Sequence[Version], unreadable: Collection[int]
) -> dict[tuple[int, str], bool]:
    return {key: inside for key, inside in known.items() if key[0] in unreadable} | _wants(versions)


def _wants(versions: Sequence[Version]) -> dict[tuple[int, str], bool]:
    """Return what versions watch for besides events, by journey, and whether it matters of those inside only."""
    found: dict[tuple[int, str], bool] = {}
    for version in versions:
        one = watching(version)
        if one.exits or one.waits or one.of_those_inside:
            names = one.of_those_inside | {MERGED}
            found |= {(version.journey_id, name): True for name in names}
    written = {name for version in versions for stage in version.plan.stages for name in stage.sets()}
    for version in versions:
        if version.live and watching(version).joined is not None:
            names = watching(version).entry_touch.names() | {MERGED}
            found |= {(version.journey_id, name): False for name in names}
        if version.live:
            changed = written.intersection(version.plan.entry.trigger.foretells())
            found |= {(version.journey_id, name): False for name in changed}
    return found
