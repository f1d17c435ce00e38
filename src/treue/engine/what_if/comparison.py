"""Two replays of one past, side by side: what a change of the files would have changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from treue.engine.what_if.tally import JourneyTally, StepTally, Tally


@dataclass(frozen=True)
class Difference:
    """One number that differs: of a journey, or with `step` of one of its steps."""

    journey: str
    step: str | None
    what: str
    before: int
    after: int

    def as_json(self) -> dict[str, Any]:
        """Return the keys that scripts may rely on."""
        return dict(vars(self))


def differences(before: Tally, after: Tally) -> list[Difference]:
    """Return every number that differs, journey by journey and step by step; a missing journey or step has zeros."""
    names = dict.fromkeys([*after.journeys, *before.journeys])
    return [
        found
        for name in sorted(names)
        for found in _of_journey(name, before.journeys.get(name), after.journeys.get(name))
    ]


def _of_journey(name: str, before: JourneyTally | None, after: JourneyTally | None) -> Iterator[Difference]:
    yield from _unequal(name, None, _numbers(before), _numbers(after))
    then = {one.id: one for one in before.steps} if before else {}
    now = {one.id: one for one in after.steps} if after else {}
    for id_ in dict.fromkeys([*now, *then]):
        yield from _unequal(name, id_, _step_numbers(then.get(id_)), _step_numbers(now.get(id_)))


def _unequal(
    name: str, step: str | None, before: dict[str, int], after: dict[str, int]
) -> Iterator[Difference]:
    for what in dict.fromkeys([*after, *before]):
        then, now = before.get(what, 0), after.get(what, 0)
        if then != now:
            yield Difference(name, step, what, then, now)


def _numbers(one: JourneyTally | None) -> dict[str, int]:
    if one is None:
        return {}
    counts = one.counts
    return {
        "entered": counts.entered,
        "inside": counts.inside,
        "finished": counts.finished,
        "converted": counts.converted,
        "exited": sum(counts.exited.values()),
        "held out": counts.held_out,
        "sent": one.sent,
        **{f"not sent: {reason}": n for reason, n in counts.refused.items()},
    }


def _step_numbers(one: StepTally | None) -> dict[str, int]:
    if one is None:
        return {}
    return {
        "reached": one.reached,
        "sent": sum(one.sent.values()),
        **{f"not sent: {reason}": n for reason, n in one.refused.items()},
        **{f"held: {reason}": n for reason, n in one.held.items()},
    }
