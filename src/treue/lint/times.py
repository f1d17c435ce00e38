"""Rules about cron expressions and durations that most likely mean something else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from treue.clock import parse_duration
from treue.language.pressure import QuietHours
from treue.language.problems import Problem
from treue.language.source import Scalar
from treue.language.steps import Step, message_of
from treue.lint.rule import LintInput, Rule, entries
from treue.lint.walks import lists

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

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each cron expression that most likely means something else."""
        for name, journey in files.workspace.journeys.items():
            cron = journey.enter.trigger.cron()
            said = _surprise(cron) if cron else None
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

    `m` are minutes and `mo` months: `3m` is three minutes, and `3min` says so. A `valid_for` of less than five minutes may pass before anybody
    has looked; a duration of more than five years outlives most customers' accounts.
    """

    code = "T510"
    wrong = "steps: [{wait: 3m}, {send: welcome, on: email}]"
    right = "steps: [{wait: 3mo}, {send: welcome, on: email}]"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each such duration, wherever it stands in a journey."""
        for node in files.journeys.values():
            for _, key, value in entries(node):
                if key in LENGTHS and isinstance(value, Scalar):
                    said = _misread(key, value.text)
                    if said:
                        yield Problem(value.place, self.code, *said)


class ShorterThanQuietHours(Rule):
    """A `valid_for` that does not outlast the quiet hours of its channel.

    What comes due while it is quiet waits for the end; where `valid_for` is over by then, it is `stale` and never sent. Give
    it more time, or let the step before wait until a time of the day.
    """

    code = "T513"
    wrong = "steps: [{send: onboarding-wishlist, on: push, valid_for: 2h}]"
    right = "steps: [{send: onboarding-wishlist, on: push, valid_for: 10h}]"

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each such message that may come due while it is quiet."""
        quiet = files.workspace.settings.quiet_hours
        for journey in files.workspace.journeys.values():
            comes = journey.enter.trigger.clock()
            for steps in lists(journey.steps):
                clocks = [comes if steps is journey.steps else None, *(step.clock() for step in steps)]
                for step, clock in zip(steps, clocks, strict=False):
                    yield from self._stale(step, clock, journey.category, quiet, files)

    def _stale(
        self, step: Step, clock: str | None, category: str, quiet: Mapping[str, QuietHours], files: LintInput
    ) -> Iterator[Problem]:
        message = message_of(step)
        for channel in message.channels if message else ():
            assert message is not None
            hours, valid = quiet.get(channel), message.valid_for
            transactional = (files.category_of(message.template, channel) or category) == "transactional"
            minutes = int(valid.roughly.total_seconds()) // 60
            if (
                hours is None
                or transactional
                or minutes >= hours.length
                or (clock and not hours.covers(clock))
            ):
                continue
            last = QuietHours(hours.start, (hours.end - minutes) % (24 * 60))
            said = (
                f"{channel} is quiet {hours}, for {hours.length / 60:g} hours, and this is valid for {valid}: what comes "
                f"due between {str(last).replace('-', ' and ')} is stale before that ends and never sent."
            )
            hint = f"Write `valid_for: {-(-hours.length // 60) + 2}h`, or wait until a time of the day before it."
            yield Problem(step.place, self.code, said, hint)


def _misread(key: str, text: str) -> tuple[str, str] | None:
    length = parse_duration(text)
    if length is None:
        return None
    if _FEW_MINUTES.fullmatch(text):
        return f"`{text}` is {text[:-1]} minutes.", (
            f"If months are meant, write `{text}o`; `{text}in` says that minutes are."
        )
    if key == "valid_for" and not (length.months or length.days) and length.seconds < _LEAST_VALID:
        return f"A message that is valid for {text} may be stale before a pass comes by.", "Give it an hour."
    if length.months * 30 + length.days > _AGES:
        return f"`{text}` is more than five years.", "Is the unit the one you meant?"
    return None
