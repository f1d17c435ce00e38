"""What was expected against what happened: pairs, and what is left over on either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from treue.clock import instant, micros
from treue.cohorts.local_time import absolute
from treue.language.scenario import (
    NEVER_ENTERED,
    Called,
    Cap,
    Ended,
    Expected,
    Noted,
    NotSent,
    Recorded,
    Sent,
)
from treue.model.states import Decision, Outcome
from treue.testing.happenings import Decided, MadeCall, Noticed, Refusal, SentMessage, Stay
from treue.testing.playback import Played

Thing = TypeVar("Thing", SentMessage, Stay, Decided, Noticed, MadeCall)


@dataclass(frozen=True)
class Pair:
    """An expectation and what happened: None on either side where the other stands alone.

    `differences` say how the two differ; none means that the expectation is met.
    """

    expected: Expected | None
    happened: SentMessage | Stay | Decided | Noticed | MadeCall | Refusal | None
    differences: tuple[str, ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether what was expected is what happened."""
        return self.expected is not None and self.happened is not None and not self.differences


@dataclass(frozen=True)
class Verdict:
    """What a test came to: all pairs, and sentences about invariants that were broken."""

    pairs: tuple[Pair, ...]
    broken: tuple[tuple[Any, str], ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.broken and all(pair.is_met for pair in self.pairs)


def judge(played: Played, journey: str) -> Verdict:
    """Hold what happened against what the test expects of the journey."""
    return Verdict(tuple(_pairs(played, journey)), tuple(_broken(played)))


def _pairs(played: Played, journey: str) -> Iterator[Pair]:
    expect, happened = played.scenario.expect, played.happened
    if expect is None:
        return
    yield from _paired(
        [one for one in expect if isinstance(one, Sent)], happened.mails, _unlike_mail(played), _is_like
    )
    for one in expect:
        if isinstance(one, NotSent):
            yield _not_sent(one, played)
    stays = [stay for stay in happened.stays if stay.journey == journey]
    yield from _endings([one for one in expect if isinstance(one, Ended)], stays, played)
    for one in expect:
        if isinstance(one, Noted):
            noted = [row for row in happened.decided if row.decision in one.decisions]
            yield _nearest(one, noted, _unlike_noted(played))
        elif isinstance(one, Recorded):
            yield _nearest(one, happened.events, _unlike_event(played))
        elif isinstance(one, Called):
            yield _nearest(one, happened.calls, _unlike_call(played))


Unlike = Callable[[Any, Any], list[str]]


def _paired(
    expected: Sequence[Any], happened: Sequence[Any], unlike: Unlike, like: Callable[[Any, Any], bool]
) -> Iterator[Pair]:
    """Pair what fits exactly, then what is alike and nearest in time; yield what is left of both."""
    open_, left = list(expected), list(happened)
    for one in expected:
        found = next((thing for thing in left if not unlike(one, thing)), None)
        if found is not None:
            yield Pair(one, found)
            open_.remove(one)
            left.remove(found)
    for one in open_:
        alike = [thing for thing in left if like(one, thing)]
        found = min(alike, key=lambda thing: _apart(one, thing), default=None)
        if found is not None:
            left.remove(found)
        yield Pair(one, found, tuple(unlike(one, found)) if found is not None else ())
    yield from (Pair(None, thing) for thing in left)


def _is_like(one: Sent, mail: SentMessage) -> bool:
    return one.template == mail.template


def _apart(one: Expected, thing: Any) -> float:
    return abs((one.at.start("UTC") - thing.at).total_seconds()) if one.at else 0.0


def _untimely(one: Expected, at: datetime, zone: str) -> list[str]:
    """Return a sentence if something happened at another time than expected."""
    if one.at is None:
        return []
    latest = one.at.end(zone)
    if one.within:
        latest += one.within.after(one.at.start(zone), zone) - one.at.start(zone)
    return [] if one.at.start(zone) <= at <= latest else ["at another time"]


def _unlike_mail(played: Played) -> Unlike:
    def unlike(one: Sent, mail: SentMessage) -> list[str]:
        if one.template != mail.template:
            return ["another message"]
        found = _untimely(one, mail.at, played.zone)
        if one.channel and one.channel != mail.channel:
            found.append("on another channel")
        if one.subject is not None and one.subject != mail.letter.subject:
            found.append("under another subject")
        words = " ".join(mail.letter.text.split())
        found += [f"without “{one_}”" for one_ in one.contains if " ".join(one_.split()) not in words]
        return found

    return unlike


def _not_sent(one: NotSent, played: Played) -> Pair:
    """Return what became of a message that must not go out; that it never came to it will do without a reason."""
    zone, happened = played.zone, played.happened
    mails = [m for m in happened.mails if m.template == one.template and one.channel in (None, m.channel)]
    in_time = [mail for mail in mails if not _untimely(one, mail.at, zone)]
    refusals = [
        refusal
        for refusal in happened.refusals
        if refusal.template == one.template and one.channel in (None, refusal.channel)
    ]
    fitting = [r for r in refusals if one.reason in (None, r.reason) and not _untimely(one, r.at, zone)]
    if fitting and not (one.reason is None and in_time):
        return Pair(one, fitting[0])
    if in_time:
        return Pair(one, in_time[0], ("it was sent",))
    if refusals:
        return Pair(one, refusals[0], ("for another reason, or at another time",))
    return Pair(one, None, ("it never came to it",)) if one.reason else Pair(one, _nothing(one, played))


def _nothing(one: NotSent, played: Played) -> Refusal:
    return Refusal(played.until, "", "", one.template, one.channel or "", None, None)


def _endings(expected: Sequence[Ended], stays: Sequence[Stay], played: Played) -> Iterator[Pair]:
    """Pair the stays with how they must end, in order; where the test names any, it names all."""
    if not expected:
        return
    for n, one in enumerate(expected):
        stay = stays[n] if n < len(stays) else None
        if stay is None and one.outcome == NEVER_ENTERED:
            yield Pair(one, *_turned_away(one, played))
        elif stay is None:
            yield Pair(one, None, ("there is no such stay",))
        else:
            yield Pair(one, stay, tuple(_unlike_stay(one, stay, played.zone)))
    yield from (Pair(None, stay) for stay in stays[len(expected) :])


def _turned_away(one: Ended, played: Played) -> tuple[Decided, tuple[str, ...]]:
    turned = [d for d in played.happened.decided if d.decision == Decision.turned_away.value]
    fits = [d for d in turned if one.reason in (None, d.reason) and not _untimely(one, d.at, played.zone)]
    if fits:
        return fits[0], ()
    last = turned[-1] if turned else Decided(played.until, "", None, Decision.turned_away.value, None)
    return last, ("for another reason, or at another time",) if one.reason or one.at else ()


def _unlike_stay(one: Ended, stay: Stay, zone: str) -> list[str]:
    if one.outcome != stay.outcome:
        return ["another outcome"]
    found = _untimely(one, stay.left_at, zone) if stay.left_at else []
    return [*found, "for another reason"] if one.reason and one.reason != stay.reason else found


def _nearest(one: Expected, things: Sequence[Any], unlike: Unlike) -> Pair:
    """Pair an expectation with the thing that is most like it; others may happen, too."""
    found = min(things, key=lambda thing: len(unlike(one, thing)), default=None)
    return Pair(one, found, tuple(unlike(one, found)) if found is not None else ())


def _unlike_noted(played: Played) -> Unlike:
    def unlike(one: Noted, decided: Decided) -> list[str]:
        return [*_untimely(one, decided.at, played.zone), *one.differences(decided.values)]

    return unlike


def _unlike_call(played: Played) -> Unlike:
    def unlike(one: Called, call: MadeCall) -> list[str]:
        found = [] if one.url == call.url else ["to another address"]
        found += _untimely(one, call.at, played.zone)
        return found if one.document in (None, call.document) else [*found, "with another document"]

    return unlike


def _unlike_event(played: Played) -> Unlike:
    def unlike(one: Recorded, noticed: Noticed) -> list[str]:
        if one.event != noticed.event:
            return ["another event"] * 9
        wrong = [name for name, value in one.data if noticed.data.get(name) != value]
        return [*_untimely(one, noticed.at, played.zone), *(f"another {name}" for name in wrong)]

    return unlike


# --- invariants ---------------------------------------------------------------------------------------------


def _broken(played: Played) -> Iterator[tuple[Any, str]]:
    for cap in played.scenario.never:
        if sentence := _exceeded(cap, played):
            yield cap.place, sentence
    if played.scenario.always_ends:
        for stay in played.happened.stays:
            if stay.outcome == Outcome.inside.value:
                yield played.scenario.place, f"The stay in `{stay.journey}` does not end."
    yield from ((one.place, one.sentence) for one in played.impossible)


def _exceeded(cap: Cap, played: Played) -> str | None:
    """Return a sentence where more messages went out than a bound allows: in (t - per, t] for any t."""
    mails = [mail for mail in played.happened.mails if _counts(cap, mail)]
    if cap.per is None:
        return f"`{cap.template}` is sent, and never must be." if mails else None
    length = absolute(cap.per)
    for mail in mails:
        since = instant(micros(mail.at) - length)
        held = [one for one in mails if since < one.at <= mail.at]
        if len(held) > cap.more_than:
            named = ", ".join(one.template for one in held)
            return f"{len(held)} messages within {cap.per}, more than {cap.more_than}: {named}."
    return None


def _counts(cap: Cap, mail: SentMessage) -> bool:
    return (
        cap.channel in (None, mail.channel)
        and cap.category in (None, mail.category)
        and cap.template in (None, mail.template)
    )
