"""What new files would change against what runs, as frozen data: one reads it out, another carries it out.

Pure: the same old plan, new plan and occupancy give the same difference every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

from treue.language.steps import Stage
from treue.plan import explain
from treue.plan.alignment import is_path
from treue.plan.plan import Exit, Plan

InFlight = Literal["finish", "migrate", "exit"]
Coming = Literal["segment", "recent"]
"""By whom is told whom an exit turns away: those in the trigger's segment now, or those who entered lately."""


@dataclass(frozen=True)
class Occupancy:
    """How many customers are at a step. `id` is the step's in the live version, or else in theirs; `target` the new one's."""

    id: str
    inside: int
    target: str | None


@dataclass(frozen=True)
class HeadChange:
    """Something of a journey other than its steps: what it was, and what it is now; empty for nothing.

    Where both say the same, what they refer to (a segment) means something else now.
    """

    label: str
    was: str
    now: str


@dataclass(frozen=True)
class StepChange:
    """A step that is added, removed, changed, renamed (by `moved`) or moved to another place.

    `id` is the new id, for a removed step the old one; `was` and `now` say what it did and does. `inside` people
    stand there; `target` is where they would go in the new version, None where it has no place for them.
    """

    id: str
    old_id: str | None
    change: Literal["added", "removed", "changed", "renamed", "moved"]
    was: str
    now: str
    inside: int
    target: str | None

    def goes_to(self, in_flight: InFlight) -> str | None:
        """Return the id of the step at which those who stand here go on; None where they leave, or may not move."""
        return {"finish": self.old_id, "migrate": self.target, "exit": None}[in_flight]


@dataclass(frozen=True)
class AskedExit:
    """An exit that is asked at the door and at each step from now on, and how many customers meet it already.

    `is_new` where the version before had no such exit; else it had one that only passes noticed. `inside` customers
    are in the journey on older versions and meet it, and `turned_away` of the `among` who are `coming`.
    """

    exit: Exit
    is_new: bool
    inside: int = 0
    coming: Coming = "recent"
    turned_away: int = 0
    among: int = 0


@dataclass(frozen=True)
class JourneyChange:
    """What becomes of one journey. `inside` people are in it, on the live version or an older one."""

    name: str
    change: Literal["added", "changed", "removed", "unchanged"]
    in_flight: InFlight = "finish"
    inside: int = 0
    parts: tuple[HeadChange, ...] = ()
    steps: tuple[StepChange, ...] = ()
    old_source: str = ""
    new_source: str = ""
    exits: tuple[AskedExit, ...] = ()

    @property
    def stuck(self) -> tuple[StepChange, ...]:
        """The steps with customers inside for which the new version has no place."""
        return tuple(step for step in self.steps if step.inside and step.target is None)


def compare(
    old: Plan, new: Plan, same: Mapping[str, str], occupancy: Sequence[Occupancy]
) -> tuple[tuple[HeadChange, ...], tuple[StepChange, ...]]:
    """Return how two versions of a journey differ; `same` says for the new ids which ids the steps had."""
    return tuple(_parts(old, new)), tuple(_steps(old, new, same, occupancy))


def asked_exits(old: Plan | None, new: Plan) -> tuple[AskedExit, ...]:
    """Return the exits that are asked in the new version and were not in the old one."""
    before = old.exits if old else ()
    return tuple(
        AskedExit(one, replace(one, asked=False) not in before)
        for one in new.exits
        if one.asked and one not in before
    )


def added_parts(new: Plan) -> tuple[HeadChange, ...]:
    """Return what a journey that is new as a whole says beside its steps."""
    labels = ("category", "enter", "exit", "goal", "holdout")
    return tuple(HeadChange(label, "", said) for label in labels for _, said in _head(new)[label])


def added_steps(new: Plan) -> tuple[StepChange, ...]:
    """Return the steps of a journey that is new as a whole."""
    return tuple(StepChange(one.id, None, "added", "", describe(one), 0, None) for one in new.stages)


def removed_steps(old: Plan, occupancy: Sequence[Occupancy]) -> tuple[StepChange, ...]:
    """Return the steps of a journey whose file is gone: those inside finish it."""
    return tuple(_gone(old, {}, occupancy))


def describe(stage: Stage) -> str:
    """Describe what a step does on one line, with its branches and its `if`."""
    told = stage.words()
    if stage.tells_ways:
        named = {way.name for way in stage.inner_ways()}
        told += ": " + "; ".join(lead.label for lead in stage.leads() if lead.way in named)
    return f"{told}, if {stage.when.words()}" if stage.when is not None else told


# --- the head -----------------------------------------------------------------------------------------------


def _parts(old: Plan, new: Plan) -> Iterator[HeadChange]:
    before, after = _head(old), _head(new)
    for label in before:
        gone = [said for it, said in before[label] if (it, said) not in after[label]]
        come = [said for it, said in after[label] if (it, said) not in before[label]]
        for n in range(max(len(gone), len(come))):
            yield HeadChange(label, gone[n] if n < len(gone) else "", come[n] if n < len(come) else "")


def _head(plan: Plan) -> dict[str, list[tuple[object, str]]]:
    """Return what a plan says beside its steps, by label: each thing itself, and in words.

    When exits are asked is told by `asked_exits`.
    """
    moves = ("a stay ends where its date moves",) if plan.entry.trigger.follows() else ()
    enter = "; ".join((plan.entry.trigger.words(), *moves, *explain.admission(plan.entry)))
    return {
        "category": [(None, explain.category(plan))],
        "enter": [(plan.entry, enter)],
        "exit": [(replace(one, asked=False), explain.leaving(one)) for one in plan.exits],
        "goal": [(plan.goal, explain.goal(plan.goal))] if plan.goal else [],
        "holdout": [(None, explain.share(plan.holdout))] if plan.holdout else [],
        "priority": [(None, str(plan.priority))],
        "in_flight": [(None, plan.in_flight)],
    }


# --- the steps ----------------------------------------------------------------------------------------------


def _steps(
    old: Plan, new: Plan, same: Mapping[str, str], occupancy: Sequence[Occupancy]
) -> Iterator[StepChange]:
    inside = {one.id: one for one in occupancy}
    elsewhere = _elsewhere(old, new, same)
    for stage in new.stages:
        if stage.id not in same:
            yield StepChange(stage.id, None, "added", "", describe(stage), 0, None)
            continue
        was = old.stage(same[stage.id])
        change = _change(was, stage, was.id in elsewhere)
        if change:
            people = inside[was.id].inside if was.id in inside else 0
            yield StepChange(stage.id, was.id, change, describe(was), describe(stage), people, stage.id)
    yield from _gone(old, same, occupancy)


def _change(old: Stage, new: Stage, is_elsewhere: bool) -> Literal["changed", "renamed", "moved"] | None:
    if old.alone() != new.alone():
        return "changed"
    if old.id != new.id and not is_path(new.id):
        return "renamed"
    return "moved" if is_elsewhere else None


def _gone(old: Plan, same: Mapping[str, str], occupancy: Sequence[Occupancy]) -> Iterator[StepChange]:
    """Yield the steps the new version lacks: the live version's, then those of older ones at which somebody stands."""
    inside, stays = {one.id: one for one in occupancy}, set(same.values())
    for stage in old.stages:
        if stage.id not in stays:
            one = inside.get(stage.id, Occupancy(stage.id, 0, None))
            yield StepChange(stage.id, stage.id, "removed", describe(stage), "", one.inside, one.target)
    known = {stage.id for stage in old.stages}
    for one in occupancy:
        if one.id not in known and one.inside:
            yield StepChange(
                one.id, one.id, "removed", "a step of an older version", "", one.inside, one.target
            )


def _elsewhere(old: Plan, new: Plan, same: Mapping[str, str]) -> set[str]:
    """Return the old ids of steps that stand before or after others than they did, or inside others."""
    kept = [stage.id for stage in old.stages if stage.id in set(same.values())]
    now = [same[stage.id] for stage in new.stages if stage.id in same]
    order = SequenceMatcher(None, kept, now, autojunk=False).get_matching_blocks()
    in_order = {id_ for block in order for id_ in kept[block.a : block.a + block.size]}
    before, after = _parents(old), _parents(new)
    inside = {same[id_] for id_ in after if id_ in same and same.get(after[id_] or "") != before[same[id_]]}
    return (set(kept) - in_order) | inside


def _parents(plan: Plan) -> dict[str, str | None]:
    """Map each step to the step that it is inside, or None."""
    found: dict[str, str | None] = {}

    def walk(id_: str | None, after: str | None, parent: str | None) -> None:
        while id_ is not None and id_ != after:
            stage = plan.stage(id_)
            found[id_] = parent
            for way in stage.inner_ways():
                walk(way.to, stage.to, id_)
            id_ = stage.to

    walk(plan.first, None, None)
    return found
