"""A failed test as a person reads it: two timelines laid over each other, what was expected and what happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from treue.language.problems import Place
from treue.language.scenario import (
    NEVER_ENTERED,
    Act,
    Agrees,
    Changes,
    Does,
    Ended,
    Enrolls,
    Expected,
    NotSent,
    Receives,
    Recorded,
    Sent,
    Withdraws,
    Wrote,
)
from treue.model.states import Outcome
from treue.testing.happenings import Decided, Mail, Noticed, Refusal, Stay
from treue.testing.judging import Pair, Verdict
from treue.testing.playing import Played
from treue.testing.reasons import Reasons

GAP = " " * 18


@dataclass(frozen=True)
class Row:
    """A line of the two timelines: `-` was expected, `+` happened, a blank both, `·` is what the customer does."""

    at: datetime
    order: int
    mark: str
    text: str
    notes: tuple[str, ...] = ()
    clock: str = ""


def timelines(played: Played, verdict: Verdict, reasons: Reasons) -> list[str]:
    """Return the lines of a failed test's two timelines, and below them what was broken."""
    rows = [*_acts(played), *(row for pair in verdict.pairs for row in _rows(pair, played, reasons))]
    if played.scenario.expect is None:
        lived = (*played.happened.mails, *played.happened.stays)
        rows += [Row(_at(thing, played), 1, " ", _told(thing)) for thing in lived]
    lines: list[str] = []
    for row in sorted(rows, key=lambda row: (row.at, row.order)):
        clock = row.clock or _clock(row.at, played.zone)
        lines.append(f"{row.mark} {clock:<16}  {row.text}".rstrip())
        lines += [f"  {GAP}{note}" for note in row.notes]
    lines += [f"! {sentence}  ({place.file}:{place.line})" for place, sentence in verdict.broken]
    return lines


def _acts(played: Played) -> Iterator[Row]:
    for act in played.scenario.timeline or ():
        yield Row(act.at.start(played.zone), 0, "·", said_act(act))


def _rows(pair: Pair, played: Played, reasons: Reasons) -> Iterator[Row]:
    one, thing = pair.expected, pair.happened
    if pair.is_met and one is not None and thing is not None:
        yield Row(_at(thing, played), 1, " ", _told(thing, brief=True))
        return
    said = "; ".join(pair.differences) if one is not None else "not expected"
    if one is not None:
        at = (
            one.at.start(played.zone) if one.at else _at(thing, played) if thing is not None else played.until
        )
        notes = tuple(reasons.against(one)) if thing is None else ()
        alone = f"  ← {said}" if said and (thing is None or isinstance(one, NotSent)) else ""
        text = f"{_wanted(one)}{alone}  ({_shown(one.place)})"
        clock = one.at.text if one.at and one.at.is_day else ""
        yield Row(at, 1, "-", text, notes, clock or ("" if one.at or thing else "at any time"))
    if thing is not None and not isinstance(one, NotSent):
        yield Row(_at(thing, played), 2, "+", _told(thing) + (f"  ← {said}" if said else ""))


def _shown(place: Place) -> str:
    return f"{place.file}:{place.line}"


def _clock(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def _at(thing: Any, played: Played) -> datetime:
    at: datetime = thing.left_at or played.until if isinstance(thing, Stay) else thing.at
    return at


def said_act(act: Act) -> str:
    """Return what happens in a timeline, in a few words."""
    match act:
        case Does():
            return act.event + (f" {_values(act.data)}" if act.data else "")
        case Receives():
            return f"{act.template} is {act.what}"
        case Changes():
            return f"set {_values(act.values)}"
        case Agrees():
            return f"agrees to {', '.join(act.channels)}"
        case Withdraws():
            return f"withdraws {', '.join(act.channels)}"
        case Enrolls():
            return "is enrolled"
    raise AssertionError(act)


def _values(values: Any) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in dict(values).items())


def _value(value: Any) -> str:
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _wanted(one: Expected) -> str:
    match one:
        case Sent():
            on = f" on {one.channel}" if one.channel else ""
            subject = f" “{one.subject}”" if one.subject is not None else ""
            words = "".join(f" with “{word}”" for word in one.contains)
            return f"send {one.template}{on}{subject}{words}"
        case NotSent():
            on = f" on {one.channel}" if one.channel else ""
            return f"not sent: {one.template}{on}" + (f", {one.reason}" if one.reason else "")
        case Ended(outcome=outcome) if outcome == NEVER_ENTERED:
            return "never enters" + (f": {one.reason}" if one.reason else "")
        case Ended():
            return Outcome(one.outcome).value + (f": {one.reason}" if one.reason else "")
        case Wrote():
            return f"set {_values(one.values)}"
        case Recorded():
            return f"emit {one.event}" + (f" {_values(one.data)}" if one.data else "")
    raise AssertionError(one)


def _told(thing: Any, *, brief: bool = False) -> str:
    match thing:
        case Mail():
            subject = f" “{thing.letter.subject}”" if thing.letter.subject and not brief else ""
            return f"send {thing.template} on {thing.channel}{subject}"
        case Refusal(journey=""):
            return f"not sent: {thing.template}"
        case Refusal():
            reason = f"held until {thing.at:%H:%M}" if thing.held else f"{thing.reason}"
            return f"not sent: {thing.template} on {thing.channel}, {reason}"
        case Stay():
            return thing.outcome + (f": {thing.reason}" if thing.reason else "")
        case Decided(decision="set"):
            return f"set {_values(thing.values)}"
        case Decided():
            return "never enters" + (f": {thing.reason}" if thing.reason else "")
        case Noticed():
            return f"emit {thing.event}" + (f" {_values(thing.data)}" if thing.data else "")
    raise AssertionError(thing)
