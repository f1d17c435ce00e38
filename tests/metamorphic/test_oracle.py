"""The oracle by itself: it keeps the theorem, and an oracle that reads the order otherwise is found out.

No engine here: worlds are lived through by the interpreter alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from typing import Any

import pytest

from tests.differential import asking, interpreter
from tests.differential.asking import Asked, Happening, Record, whole
from tests.differential.generator import Case
from tests.differential.interpreter import Arrival, Journey, Life
from tests.metamorphic import calm
from tests.metamorphic.replay import told_by_interpreter

WORLDS, CUSTOMERS = 150, 3
MOST_WORLDS = 800
"""Worlds in which a wrong reading must be found out; most are within the first few."""
Mutate = Callable[[pytest.MonkeyPatch], None]


def late(made: Case) -> list[datetime]:
    """When passes run that stand still for three days, and again."""
    days = (made.start + timedelta(days=3 * n) for n in count())
    return [*takewhile(lambda day: day < made.end, days), made.end]


def hourly(made: Case) -> list[datetime]:
    hours = (made.start + timedelta(hours=n) for n in count())
    return [*takewhile(lambda hour: hour < made.end, hours), made.end]


@pytest.mark.parametrize(("passes", "worlds"), [(hourly, WORLDS // 4), (late, WORLDS)])
def test_its_lives_come_out_the_same_however_passes_fall(
    passes: Callable[[Case], Sequence[datetime]], worlds: int
) -> None:
    for seed in range(worlds):
        made = calm.case(seed, CUSTOMERS)
        for person in made.people:
            assert told_by_interpreter(made, person, passes(made)) == told_by_interpreter(made, person), (
                seed,
                person.key,
            )


def test_its_lives_come_out_the_same_in_whatever_order_a_call_names_events_of_several_instants() -> None:
    turned = 0
    for seed in range(WORLDS):
        made = calm.case(seed, CUSTOMERS)
        for person, other in zip(made.people, calm.shuffled(made.people, seed), strict=True):
            turned += person.timeline != other.timeline
            assert told_by_interpreter(made, other) == told_by_interpreter(made, person), (seed, person.key)
    assert turned > WORLDS // 5, turned


# --- readings that are wrong ------------------------------------------------------------------------------------


def closed_windows(patch: pytest.MonkeyPatch) -> None:
    """`within: 1d` counts what is a day ago to the microsecond."""

    def within(asked: Asked, at: datetime, leaf: dict[str, Any]) -> bool:
        return "within" not in leaf or at >= asking.earlier(asked.now, leaf["within"], asked.zone)

    patch.setattr(Asked, "within", within)


def open_deadlines(patch: pytest.MonkeyPatch) -> None:
    """`before: 1d ago` counts what is a day ago to the microsecond."""
    ordered = asking.ordered

    def changed(name: str, value: Any, first: Any, last: Any) -> bool:
        return bool(value <= first) if name == "before" else ordered(name, value, first, last)

    patch.setattr(asking, "ordered", changed)


def steps_before_what_is_outside(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interpreter, "OUTSIDE", 1)
    patch.setattr(interpreter, "STEP", 0)


def caused_before_steps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(interpreter, "CAUSED", 1)
    patch.setattr(interpreter, "STEP", 2)


def no_order_within_an_instant(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Happening, "place", property(lambda one: (one.effective, one.at, 0)))


def the_door_sees_the_whole_instant(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Arrival, "known", property(lambda arrival: whole(arrival.effective)))


def journeys_by_name_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Life, "priority", lambda life, journey: 0)


def entries_before_exits(patch: pytest.MonkeyPatch) -> None:
    def take_in(life: Life, journey: Journey, arrival: Arrival) -> None:
        journey.door.remove(arrival)
        if journey.live is not None and life.asks_to_enter(journey.live, arrival):
            life.enter(journey, journey.live, arrival)
        life.exits(journey, arrival)
        life.goals(journey, arrival)
        life.wake(journey, arrival)

    patch.setattr(Life, "take_in", take_in)


def events_take_effect_when_they_happened(patch: pytest.MonkeyPatch) -> None:
    happens = Life.happens

    def changed(
        life: Life, name: str, at: datetime, properties: Any, source: str = "api", received: Any = None
    ) -> Any:
        return happens(life, name, at, properties, source, None)

    patch.setattr(Life, "happens", changed)


def records_say_what_they_say_last(patch: pytest.MonkeyPatch) -> None:
    as_of, for_ever = Record.as_of, whole(datetime.max.replace(tzinfo=UTC))
    patch.setattr(Record, "as_of", lambda record, name, place: as_of(record, name, for_ever))


def circles_are_walked_again(patch: pytest.MonkeyPatch) -> None:
    def goes_in_circles(life: Life, journey: Journey, arrival: Arrival) -> bool:
        return arrival.caused and sum(stay.effective == arrival.effective for stay in life.customer.stays) > 6

    patch.setattr(Life, "goes_in_circles", goes_in_circles)


def exits_are_not_asked_at_the_door(patch: pytest.MonkeyPatch) -> None:
    reason_to_leave = Life.reason_to_leave

    def changed(life: Life, stay: Any, at: datetime, known: Any) -> str | None:
        return reason_to_leave(life, stay, at, known) if stay in life.customer.stays else None

    patch.setattr(Life, "reason_to_leave", changed)


WRONG: tuple[Mutate, ...] = (
    closed_windows, open_deadlines, steps_before_what_is_outside, caused_before_steps, no_order_within_an_instant,
    the_door_sees_the_whole_instant, journeys_by_name_only, entries_before_exits,
    events_take_effect_when_they_happened, records_say_what_they_say_last, circles_are_walked_again,
    exits_are_not_asked_at_the_door,
)  # fmt: skip


@pytest.mark.parametrize("mutate", WRONG, ids=lambda mutate: mutate.__name__)
def test_a_wrong_reading_is_found_out(mutate: Mutate) -> None:
    for made, person in people():
        right = told_by_interpreter(made, person, late(made))
        with pytest.MonkeyPatch.context() as patch:
            mutate(patch)
            if told_by_interpreter(made, person, late(made)) != right:
                return
    pytest.fail(f"nobody comes out otherwise in {MOST_WORLDS} worlds")


def people() -> Iterator[tuple[Case, Any]]:
    """Yield the customers of the worlds."""
    for seed in range(MOST_WORLDS):
        made = calm.case(seed, CUSTOMERS)
        yield from ((made, person) for person in made.people)
