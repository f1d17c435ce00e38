"""Rules about cron expressions and durations that most likely mean something else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.clock import parse_duration
from treue.language.problems import Problem
from treue.language.source import Scalar
from treue.lint.rule import Files, Rule, entries

if TYPE_CHECKING:
    from treue.lint.data import Data

LENGTHS = ("wait", "within", "again", "at_most", "before", "after", "valid_for")
"""Keys that hold a duration."""

_FEW_MINUTES = re.compile(r"[1-6]m")
_AGES = 5 * 365
_LEAST_VALID = 300


class SurprisingCron(Rule):
    """A `schedule` that runs at other times than it seems to.

    Cron joins a day of the month and a weekday by "or": `0 9 1 * MON` runs on the 1st and on every Monday. A step such as
    `*/7` starts anew each hour. The 31st comes in seven months a year. A `*` for the minute runs sixty times an hour.
    """

    code = "T509"
    wrong = 'enter: {schedule: "0 9 1 * MON", segment: regulars}'
    right = 'enter: {schedule: "0 9 * * MON", segment: regulars}'

    def look(self, files: Files, data: Data | None) -> Iterator[Problem]:
        """Yield each schedule that surprises."""
        for name, journey in files.workspace.journeys.items():
            said = _surprise(journey.enter.schedule) if journey.enter.schedule else None
            if said:
                yield Problem(files.place(name, "enter", "schedule"), self.code, *said)


def _surprise(cron: str) -> tuple[str, str] | None:
    minute, hour, day, _, weekday = cron.split()
    if minute == "*":
        many = "every minute" if hour == "*" else "sixty times an hour"
        return f"`{cron}` runs {many}.", f"Name the minute: `0 {cron.split(maxsplit=1)[1]}`."
    if day != "*" and weekday != "*":
        return (
            f"`{cron}` runs on day {day} of the month and also on every {weekday}: cron joins the two by “or”.",
            "Keep one of the two, and put the other into the segment or the `if`.",
        )
    uneven = re.fullmatch(r"\*/(\d+)", minute)
    if uneven and 60 % int(uneven[1]):
        return (
            f"`{cron}` does not run every {uneven[1]} minutes: it starts anew each hour.",
            "Take a number of minutes that divides 60.",
        )
    if day in ("29", "30", "31"):
        return f"`{cron}` passes over the months without a {day}th.", "The 28th comes in every month."
    return None


class SurprisingDuration(Rule):
    """A duration that most likely means something else.

    `m` are minutes and `mo` months: `3m` is three minutes. A `valid_for` of less than five minutes may pass before anybody
    has looked; a duration of more than five years outlives most customers' accounts.
    """

    code = "T510"
    wrong = "steps: [{wait: 3m}, {send: welcome, on: email}]"
    right = "steps: [{wait: 3mo}, {send: welcome, on: email}]"

    def look(self, files: Files, data: Data | None) -> Iterator[Problem]:
        """Yield each such duration, wherever it stands in a journey."""
        for node in files.journeys.values():
            for _, key, value in entries(node):
                if key in LENGTHS and isinstance(value, Scalar):
                    said = _misread(key, value.text)
                    if said:
                        yield Problem(value.place, self.code, *said)


def _misread(key: str, text: str) -> tuple[str, str] | None:
    length = parse_duration(text)
    if length is None:
        return None
    if _FEW_MINUTES.fullmatch(text):
        return f"`{text}` is {text[:-1]} minutes.", f"If months are meant, write `{text}o`."
    if key == "valid_for" and not (length.months or length.days) and length.seconds < _LEAST_VALID:
        return f"A message that is valid for {text} may be stale before a pass comes by.", "Give it an hour."
    if length.months * 30 + length.days > _AGES:
        return f"`{text}` is more than five years.", "Is the unit the one you meant?"
    return None
