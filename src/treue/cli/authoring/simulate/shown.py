"""What a simulation prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from treue.cli import output
from treue.composition.simulation import Period
from treue.engine.what_if.comparison import Difference, differences
from treue.engine.what_if.tally import HOLDING, Day, JourneyTally, Pressure, StepTally, Tally
from treue.model.states import Reason
from treue.store.history import History

UNANSWERED = (
    "How customers would have answered cannot be known: no message is opened or clicked, and what they did "
    "then, they do again."
)
NOT_EFFECT = (
    "A replay shows volume and pressure, not effect: whoever bought then, buys again here, whatever we had sent. "
    "What messages change, only the holdout of a live journey can show."
)
DAYS_SHOWN, WEEKS_SHOWN = 31, 30
"""Up to how many days the chart has a line a day, and up to how many weeks a line a week; else a line a month."""

BAR = 30


def document(
    past: History, period: Period, tally: Tally, other: Tally | None, against: str
) -> dict[str, Any]:
    """Return the keys that scripts may rely on."""
    keys = {
        "from": _utc(period.start),
        "to": _utc(period.end),
        "history": {
            "origin": past.origin,
            "customers": past.customers,
            "events": past.events,
            "first": _utc(past.first),
            "last": _utc(past.last),
            "assumptions": [*past.assumptions, UNANSWERED],
            "notes": list(past.notes),
        },
        "clock": {
            "passes": tally.passes,
            "crowded_days": tally.pace.crowded,
            "every": int(tally.pace.every.total_seconds()),
        },
        **_numbers(tally),
        "note": NOT_EFFECT,
    }
    if other is not None:
        changes = [one.as_json() for one in differences(other, tally)]
        keys["against"] = {"revision": against, **_numbers(other), "differences": changes}
    return keys


def _numbers(tally: Tally) -> dict[str, Any]:
    return {
        "sent": tally.sent,
        "journeys": {name: journey.as_json() for name, journey in tally.journeys.items()},
        "days": [day.as_json() for day in tally.days],
        "pressure": tally.pressure.as_json(),
    }


def _utc(instant: datetime | None) -> str | None:
    return instant.isoformat().replace("+00:00", "Z") if instant else None


# --- for people ---------------------------------------------------------------------------------------------


def print_opening(past: History, period: Period, zone: str, tally: Tally) -> None:
    """Print what is replayed, on which clock, and what had to be assumed."""
    output.line(
        f"{past.origin}: {output.count(past.customers, 'customer')}, {output.count(past.events, 'event')}"
        f"{_stretch(past.first, past.last, zone)}."
    )
    for sentence in (*past.notes, *past.assumptions, UNANSWERED):
        output.line(f"  {sentence}")
    days, crowded = output.count(len(tally.days), "day"), tally.pace.crowded
    output.line(
        f"The journeys go live at {_minute(period.start, zone)}; {days}, {output.count(tally.passes, 'pass', 'passes')}: "
        "wherever something happens or is due"
        + (
            f", but on {output.count(crowded, 'crowded day')} every {_length(tally.pace.every)}"
            if crowded
            else ""
        )
        + "; segments once a day."
    )
    output.line("  Whoever is in a segment on that first day was in it before, and does not enter.")


def volume(tally: Tally) -> None:
    """Show how many messages go, by day, week or month."""
    unit, rows = _periods(tally.days)
    names = [name for name, journey in tally.journeys.items() if journey.sent]
    most = max((sum(numbers.values()) for _, numbers in rows), default=0)
    output.line()
    output.line(output.styled(f"Messages: {tally.sent:,}", "strong"))
    if not tally.sent:
        output.line("  No message would have gone.")
        return
    shown = [
        (label, *(numbers.get(name, 0) for name in names), sum(numbers.values()), _bar(numbers, most))
        for label, numbers in rows
    ]
    output.table((unit, *names, "all", ""), shown, "  ")
    busiest = max(tally.days, key=lambda day: day.sent)
    output.line(f"  The busiest day: {busiest.date}, {output.count(busiest.sent, 'message')}.")


def _bar(numbers: Mapping[str, int], most: int) -> str:
    return "▇" * -(-BAR * sum(numbers.values()) // most)


def _periods(days: Sequence[Day]) -> tuple[str, list[tuple[str, dict[str, int]]]]:
    """Return the days' numbers, summed up by weeks or months where they are many."""
    if len(days) <= DAYS_SHOWN:
        return "day", [(f"{day.date:%a %Y-%m-%d}", day.journeys) for day in days]
    if len(days) <= WEEKS_SHOWN * 7:
        return "week from", _summed((str(_monday(day.date)), day) for day in days)
    return "month", _summed((f"{day.date:%Y-%m}", day) for day in days)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _summed(labelled: Iterator[tuple[str, Day]]) -> list[tuple[str, dict[str, int]]]:
    sums: dict[str, dict[str, int]] = {}
    for label, day in labelled:
        numbers = sums.setdefault(label, {})
        for name, n in day.journeys.items():
            numbers[name] = numbers.get(name, 0) + n
    return list(sums.items())


def funnel(name: str, journey: JourneyTally) -> None:
    """Show one journey: how many entered, where they got to, how they left, what they were not sent and why."""
    counts = journey.counts
    output.line()
    output.line(output.styled(f"{name}: {counts.entered:,} entered", "strong"))
    if not counts.entered:
        return
    output.table(("step", "", "reached", "sent", "not sent"), [_step(one) for one in journey.steps], "  ")
    left = [f"{n:,} left: {reason}" for reason, n in sorted(counts.exited.items())]
    held_out = [f"{counts.held_out:,} held out"] if counts.held_out else []
    output.line(
        "  "
        + " · ".join(
            [
                f"{counts.finished:,} finished",
                f"{counts.converted:,} converted",
                *left,
                *held_out,
                f"{counts.inside:,} still inside",
            ]
        )
    )


def _step(one: StepTally) -> tuple[str, str, int, str, str]:
    name, what = ("", one.what) if "." in one.id else (one.id, one.what)
    sent = ", ".join(f"{n:,} {channel}" for channel, n in one.sent.items())
    against = [f"{n:,} {_words(reason)}" for reason, n in sorted(one.refused.items())]
    held = [f"{n:,} waited: {_words(reason)}" for reason, n in sorted(one.held.items())]
    return name, what, one.reached, sent, ", ".join(against + held)


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def pressure(tally: Tally) -> None:
    """Show what customers had to bear, and what limits and quiet hours held back."""
    found = tally.pressure
    output.line()
    output.line(output.styled("Pressure", "strong"))
    if found.weeks:
        output.line(f"  {output.count(found.customers, 'customer')} had mail. {_weeks(found)}")
    refused = {reason: _refused(tally, reason) for reason in ("over_limit", "lower_priority", "stale")}
    held = {reason: sum(one.held(reason) for one in tally.journeys.values()) for reason in HOLDING}
    for reason in dict.fromkeys([*held, *refused]):
        waited, dropped = held.get(reason, 0), refused.get(reason, 0)
        if waited or dropped:
            output.line(f"  {waited:,} waited, {dropped:,} not sent: {Reason(reason).sentence}.")
    if not any(held.values()) and not any(refused.values()):
        output.line("  Nothing waited or was dropped for limits or quiet hours.")


def _weeks(found: Pressure) -> str:
    total = sum(found.weeks.values())
    shares = ", ".join(f"{number} in {found.weeks[number] / total:.1%}" for number in sorted(found.weeks))
    return (
        f"Messages in a customer's week with any: {shares}. "
        f"In 95 of 100 at most {found.p95}; the most anybody had in one week: {found.max}."
    )


def _refused(tally: Tally, reason: str) -> int:
    return sum(journey.counts.refused.get(reason, 0) for journey in tally.journeys.values())


def comparison(before: Tally, after: Tally, against: str) -> None:
    """Show every number that the two versions of the files differ in."""
    found = differences(before, after)
    output.line()
    output.line(output.styled(f"Against {against}", "strong"))
    if not found:
        output.line("  Both versions come to the same numbers.")
        return
    output.table(("journey", "step", "", against, "now", "change"), [_changed(one) for one in found], "  ")
    output.line(
        f"  All messages: {before.sent:,} at {against}, {after.sent:,} now. The most in one week: "
        f"{before.pressure.max} and {after.pressure.max}."
    )


def _changed(one: Difference) -> tuple[str, str, str, int, int, str]:
    return (
        one.journey,
        one.step or "",
        _words(one.what),
        one.before,
        one.after,
        f"{one.after - one.before:+,}",
    )


def print_closing() -> None:
    """Print what a replay cannot show."""
    output.line()
    output.line(NOT_EFFECT)


def _minute(instant: datetime, zone: str) -> str:
    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def _stretch(first: datetime | None, last: datetime | None, zone: str) -> str:
    if first is None or last is None:
        return ""
    local = ZoneInfo(zone)
    return f" from {first.astimezone(local).date()} to {last.astimezone(local).date()}"


def _length(every: timedelta) -> str:
    hours, minutes = divmod(int(every.total_seconds()) // 60, 60)
    if minutes:
        return f"{hours * 60 + minutes} minutes"
    return "hour" if hours == 1 else f"{hours} hours"
