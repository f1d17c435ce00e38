"""Why what was expected did not happen: from the outbox, the stays, the branches taken and the door, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from treue.insight.why import CustomerInquiry, TraceEntry
from treue.language.journey import Journey
from treue.language.scenario import Called, Expected, Noted, Recorded, Sent
from treue.language.steps import Step, message_of
from treue.model.states import Decision, Outcome, Reason
from treue.segments.explain import Explanation
from treue.testing.happenings import Refusal, Stay
from treue.testing.playback import Played
from treue.testing.world import World


@dataclass(frozen=True)
class _Turn:
    """A way out of a step that customers must take to reach another step."""

    step: str
    line: int
    way: str


class Reasons:
    """Answers for one test, as long as its world is as the test left it."""

    def __init__(self, world: World, journeys: Sequence[Journey], played: Played) -> None:
        self._world, self._journeys, self._played = world, journeys, played

    def against(self, expected: Expected) -> list[str]:
        """Return why a message was not sent, an attribute not written, an event not recorded, as sentences."""
        if isinstance(expected, Sent):
            refused = [one for one in self._played.happened.refusals if one.template == expected.template]
            if refused:
                return [self._refused(one) for one in refused]
        found: list[str] = []
        for journey in self._journeys:
            ways = list(_ways(journey, self._world, expected))
            if ways:
                found += self._astray(journey, ways)
        return list(dict.fromkeys(found))

    def _refused(self, one: Refusal) -> str:
        if one.held:
            return f"It is held in the outbox until {self.told(one.at)}."
        said = Reason(one.reason).sentence if one.reason in set(Reason) else one.reason
        detail = f" ({one.detail.rstrip('.')})" if one.detail else ""
        return f"It was refused on {one.channel} at {self.told(one.at)}: {said}{detail}."

    def _astray(self, journey: Journey, ways: list[list[_Turn]]) -> Iterator[str]:
        stays = [stay for stay in self._played.happened.stays if stay.journey == journey.name]
        if not stays:
            yield from self._outside(journey)
            return
        trail = self._trail(journey.name)
        turned = [found for turns in ways if (found := self._wrong_turn(journey, turns, trail))]
        if turned and len(turned) == len(ways):
            yield from turned
            return
        yield from (self._ended(stay, journey) for stay in stays)

    def _wrong_turn(self, journey: Journey, turns: list[_Turn], trail: list[TraceEntry]) -> str | None:
        """Return at which step the customer went another way than the one that leads to the message."""
        for turn in turns:
            entries = [entry for entry in trail if entry.step == turn.step]
            taken = [e for e in entries if e.decision in (Decision.branch.value, Decision.skipped.value)]
            if not taken or any(e.values.get("way") == turn.way for e in taken):
                continue
            entry = taken[-1]
            where = f"journeys/{journey.name}.yaml:{turn.line}"
            if entry.decision == Decision.skipped.value:
                return f"`{turn.step}` ({where}) was skipped: {said(entry.compared)}."
            way = entry.values.get("way")
            because = said(_decisive(entry.compared, turn.way))
            return f"`{turn.step}` ({where}) took {_named(str(way))}" + (f": {because}." if because else ".")
        return None

    def _ended(self, stay: Stay, journey: Journey) -> str:
        if stay.outcome == Outcome.inside.value:
            return f"When the test ends, {self.told(self._played.until)}, the customer stands at `{stay.step}` until {self.told(stay.due_at)}."
        why = f", {stay.reason}" if stay.reason else ""
        when = self.told(stay.left_at) if stay.left_at else ""
        return f"The stay in `{journey.name}` ended before: {stay.outcome}{why} at {when}."

    def _outside(self, journey: Journey) -> Iterator[str]:
        trail = [one for one in self._trail(journey.name) if one.decision == Decision.turned_away.value]
        for entry in trail:
            compared = said(entry.compared)
            told = f"{entry.reason_sentence}" + (f": {compared}" if compared else "")
            yield f"The customer was not let in at {self.told(entry.at)}: {told}."
        if trail:
            return
        version = next((v for v in self._world.versions() if v.name == journey.name), None)
        with self._world.store.reading() as connection:
            inquiry = self._inquiry(connection)
            for note in inquiry.outside(self._world.plan(journey), version):
                if not note.holds:
                    yield f"The customer never entered: {note.sentence}"

    def _trail(self, name: str) -> list[TraceEntry]:
        with self._world.store.reading() as connection:
            return self._inquiry(connection).trail(name)

    def _inquiry(self, connection: Connection) -> CustomerInquiry:
        zone = self._world.settings.timezone
        return CustomerInquiry(connection, self._played.customer_id, zone, self._played.until)

    def told(self, at: datetime) -> str:
        """Return an instant as the customer's clock shows it."""
        return f"{at.astimezone(ZoneInfo(self._played.zone)):%Y-%m-%d %H:%M}"


def said(compared: Sequence[Explanation]) -> str:
    """Return what was compared, leaf by leaf, in one line."""
    return "; ".join(dict.fromkeys(leaf for one in compared for leaf in _leaves(one)))


def _leaves(found: Explanation) -> Iterator[str]:
    if not found.parts:
        yield found.text
    for part in found.parts:
        yield from _leaves(part)


def _decisive(compared: Sequence[Explanation], wanted: str) -> Sequence[Explanation]:
    """Return the condition that kept the customer from the wanted way: its own, or that of the one taken before it."""
    if wanted.isdigit() and int(wanted) < len(compared):
        return compared[int(wanted) : int(wanted) + 1]
    return compared[-1:]


def _named(way: str) -> str:
    if way == "none":
        return "none of its branches"
    return f"its branch {int(way) + 1}" if way.isdigit() else f"`{way}`"


def _does(step: Step, expected: Expected) -> bool:
    """Whether a step does what is expected."""
    match expected:
        case Sent():
            message = message_of(step)
            return message is not None and message.template == expected.template
        case Noted():
            return expected.is_of(step)
        case Called():
            return step.outbox() is not None and message_of(step) is None
        case Recorded():
            return expected.event in step.emits()
    return False


def _ways(journey: Journey, world: World, expected: Expected) -> Iterator[list[_Turn]]:
    """Yield, for each step that does what is expected, the turns that lead to it."""
    ids = iter([stage.id for stage in world.plan(journey).stages])

    def walk(steps: tuple[Step, ...], turns: list[_Turn]) -> Iterator[list[_Turn]]:
        for step in steps:
            id_ = next(ids)
            own = [*turns, _Turn(id_, step.place.line, "done")] if step.when is not None else turns
            if _does(step, expected):
                yield own
            for branch in step.branches():
                yield from walk(branch.steps, [*own, _Turn(id_, step.place.line, branch.name)])

    yield from walk(journey.steps, [])
