"""The tests beside the journeys, read and held against the journeys they are about."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from treue.language.journey import Journey
from treue.language.problems import Place, Problems, did_you_mean, listing
from treue.language.scenario import (
    NEVER_ENTERED,
    Called,
    Ended,
    Noted,
    NotSent,
    Outside,
    Receives,
    Recorded,
    Scenario,
    Sent,
)
from treue.language.steps import Step, message_of, walk

SUFFIX = ".test"
SENDS_NO = "sends no {}"
TURNED_AWAY = ("if", "again", "inside", "exit", "loop")
"""Why a customer is not let in; see the trace."""


def tested(stem: str) -> str:
    """Return the journey that a file `NAME.test.yaml`, of this stem, is about."""
    return stem.removesuffix(SUFFIX)


def under_test(name: str, scenario: Scenario, journeys: Mapping[str, Journey]) -> list[Journey]:
    """Return the journeys that are live in a test: the tested one first, those it names, those that these start."""
    found, waiting = dict[str, Journey](), [name, *scenario.beside]
    while waiting:
        journey = journeys.get(waiting.pop(0))
        if journey is not None and journey.name not in found:
            found[journey.name] = journey
            waiting += started(journey)
    return list(found.values())


def started(journey: Journey) -> list[str]:
    """Return the names of the journeys that a journey's steps start."""
    return [name for step in walk(journey.steps) for name in step.starts()]


def check(scenario: Scenario, journeys: list[Journey], templates: Container[str], problems: Problems) -> None:
    """Say what a test names that its journey does not have. `journeys` is what `under_test` returns.

    A template that is not among `templates` is said elsewhere.
    """
    for place, what, name, known in _named(scenario, _Vocabulary(journeys)):
        if name not in known and (what != SENDS_NO or name in templates):
            message = f"The journey `{journeys[0].name}` {what.format(f'`{name}`')}."
            problems.add(place, "T330", message, did_you_mean(name, known, _otherwise(sorted(known))))


def _otherwise(known: Sequence[str]) -> str:
    """Return what to do where nothing that is known is near what a test names."""
    if len(known) == 1:
        return f"Known is {listing(known)}."
    return "Delete this, or let the journey do it."


class _Vocabulary:
    """What happens in some journeys, by name."""

    def __init__(self, journeys: list[Journey]) -> None:
        self.steps = steps = [step for journey in journeys for step in walk(journey.steps)]
        self.templates = {message.template for step in steps if (message := message_of(step))}
        self.events = {name for step in steps for name in step.emits()}
        self.calls = any(step.outbox() and message_of(step) is None for step in steps)
        self.exits = {exit_.name for journey in journeys for exit_ in journey.exits}
        self.splits = dict(_splits(journeys[0].steps))


def _splits(steps: tuple[Step, ...]) -> Iterator[tuple[str, set[str]]]:
    for step in walk(steps):
        if step.draws and step.id:
            yield step.id, {branch.name for branch in step.branches()}


_Named = Iterator[tuple[Place, str, str, Iterable[str]]]


def _named(scenario: Scenario, known: _Vocabulary) -> _Named:
    """Yield place, complaint, name and the names there are, for everything a test names."""
    for act in scenario.timeline or ():
        if isinstance(act, Receives):
            yield act.place, SENDS_NO, act.template, known.templates
        elif isinstance(act, Outside):
            yield from ((act.place, *named) for named in act.named(known.steps))
    for cap in scenario.never:
        if cap.template:
            yield cap.place, SENDS_NO, cap.template, known.templates
    for step, arm, place in scenario.draw:
        yield place, "has no split with the id {}", step, known.splits
        if step in known.splits:
            yield place, f"has no arm {{}} in `{step}`", arm, known.splits[step]
    for one in scenario.expect or ():
        match one:
            case Sent() | NotSent():
                yield one.place, SENDS_NO, one.template, known.templates
            case Noted():
                yield from ((one.place, *named) for named in one.named(known.steps))
            case Called():
                if not known.calls:
                    yield one.place, "makes no call to {}", one.url, set[str]()
            case Recorded():
                yield one.place, "records no event {}", one.event, known.events
            case Ended(reason=str()):
                reasons = TURNED_AWAY if one.outcome == NEVER_ENTERED else known.exits
                said = "turns nobody away for {}" if one.outcome == NEVER_ENTERED else "has no exit {}"
                yield one.place, said, one.reason or "", reasons
