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
    Called,
    Changes,
    Does,
    Ended,
    Enrolls,
    Expected,
    Noted,
    NotSent,
    Outside,
    Receives,
    Recorded,
    Sent,
    Withdraws,
    in_words,
)
from treue.model.states import Decision, Outcome
from treue.testing.happenings import Decided, MadeCall, Noticed, Refusal, SentMessage, Stay
from treue.testing.playback import Played
from treue.testing.reasons import Reasons
from treue.testing.verdict import Pair, Verdict
from treue.vocabulary.registry import WORDS

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
        rows += [Row(_at(thing, played), 1, " ", _told(thing) + _from(thing, played)) for thing in lived]
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
        yield Row(_at(thing, played), 1, " ", _told(thing, brief=True) + _from(thing, played))
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
        yield Row(
            _at(thing, played), 2, "+", _told(thing) + _from(thing, played) + (f"  ← {said}" if said else "")
        )


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
            return act.event + (f" {in_words(act.data)}" if act.data else "")
        case Receives():
            return f"{act.template} is {act.what}"
        case Changes():
            return f"set {in_words(act.values)}"
        case Agrees():
            return f"agrees to {', '.join(act.channels)}"
        case Withdraws():
            return f"withdraws {', '.join(act.channels)}"
        case Enrolls():
            return "is enrolled"
        case Outside():
            return act.words()
    raise AssertionError(act)


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
            return _outside(one.reason)
        case Ended():
            return Outcome(one.outcome).value + (f": {one.reason}" if one.reason else "")
        case Noted():
            return one.words()
        case Recorded():
            return f"emit {one.event}" + (f" {in_words(one.data)}" if one.data else "")
        case Called():
            return f"call {one.url}" + (f" {in_words(one.document)}" if one.document else "")
    raise AssertionError(one)


def _told(thing: Any, *, brief: bool = False) -> str:
    match thing:
        case SentMessage():
            subject = f" “{thing.letter.subject}”" if thing.letter.subject and not brief else ""
            return f"send {thing.template} on {thing.channel}{subject}"
        case Refusal(journey=""):
            return f"not sent: {thing.template}"
        case Refusal():
            reason = f"held until {thing.at:%H:%M}" if thing.held else f"{thing.reason}"
            return f"not sent: {thing.template} on {thing.channel}, {reason}"
        case Stay():
            return thing.outcome + (f": {thing.reason}" if thing.reason else "")
        case Decided(decision=Decision.set.value):
            return f"set {in_words(thing.values)}"
        case Decided(decision=Decision.turned_away.value):
            return _outside(thing.reason)
        case Decided():
            return WORDS.decision(thing.decision) + (f": {in_words(thing.values)}" if thing.values else "")
        case Noticed():
            return f"emit {thing.event}" + (f" {in_words(thing.data)}" if thing.data else "")
        case MadeCall():
            return f"call {thing.url}" + (f" {in_words(thing.document)}" if thing.document else "")
    raise AssertionError(thing)


def _from(thing: Any, played: Played) -> str:
    """Return which step a message is from, where several steps of the journeys send that template."""
    if not isinstance(thing, SentMessage):
        return ""
    steps = {(mail.journey, mail.step) for mail in played.happened.mails if mail.template == thing.template}
    return f" by {thing.step}" if len(steps) > 1 else ""


def _outside(reason: str | None) -> str:
    return f"is not let in: {reason}" if reason else "never enters"
