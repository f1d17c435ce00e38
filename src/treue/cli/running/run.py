"""`treue run`: one pass through Prefect, and delivery."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.changing.plan import differs
from treue.cli.opening import At, Json
from treue.clock import utc_now

if TYPE_CHECKING:
    from treue.composition.assembly import Assembly
    from treue.engine.passes.chronology import Progress
    from treue.store.journey_counts import JourneyCounts

RUNTIME = "prefect"

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these journeys.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("run")(run)


@dataclass(frozen=True)
class Ran:
    """What became of messages in one pass, and where each journey stands after it.

    `held` are the messages that wait in the outbox: for quiet hours to end, or for another attempt.
    """

    at: datetime
    journeys: dict[str, JourneyCounts]
    sent: int
    held: int
    refused: int
    failed: int
    in_doubt: int
    waiting_to_retry: int
    failing: tuple[str, ...]
    left: int

    @property
    def is_well(self) -> bool:
        """Whether nothing of a journey failed, and not all that there was to deliver."""
        return not self.failing and not self.nothing_went

    @property
    def nothing_went(self) -> bool:
        """Whether there were messages to deliver and not one of them got through."""
        return not self.sent and bool(self.failed + self.in_doubt + self.waiting_to_retry)

    def numbers(self) -> dict[str, int]:
        """Return the totals of the pass by name."""
        return {
            "sent": self.sent,
            "held": self.held,
            "refused": self.refused,
            "failed": self.failed,
            "in_doubt": self.in_doubt,
        }


def run(context: typer.Context, names: Names = None, at: At = "", json: Json = False) -> None:
    """Run one pass over everybody who is due, now or as of TIME, and deliver.

    Ends with 1 where there were messages to deliver and not one got through, or where work of a journey fails.
    """
    from treue.composition.assembly import assembled

    workspace = opening.workspace(context)
    for name in names or ():
        opening.known(name, workspace.journeys, "journey")
    now = opening.moment(at, workspace.settings.timezone)
    with assembled(workspace) as assembly:
        ran = _pass(assembly, names or None, now)
    _show(ran, json)
    raise typer.Exit(0 if ran.is_well else 1)


def _pass(assembly: Assembly, names: Sequence[str] | None, now: datetime) -> Ran:
    from treue.composition.vacuum import nightly
    from treue.engine.passes.attempts import JourneysFailed
    from treue.engine.passes.runtimes import load_runtime

    assembly.engine.nightly = nightly(assembly.workspace, assembly.store)
    present = min(now, utc_now())  # a journey does not go live in the future, nor does a lease end early
    differs(assembly.begin(present))
    recovered = assembly.engine.recover(present)
    before = _counts(assembly, names)
    runtime = load_runtime(RUNTIME, assembly.state)
    try:
        with _shown() as progress:
            assembly.engine.said = lambda sentence: progress(sentence, 0)
            passed = runtime.run_pass(assembly.engine, now, names, progress=progress)
    except JourneysFailed as failed:
        passed = failed.passed
        for one in failed.failed:
            if one.is_fault:
                traceback.print_exception(one.error)
    finally:
        runtime.close()
    after, delivered = _counts(assembly, names), passed.delivered
    return Ran(
        now,
        after,
        sent=delivered.sent + recovered.sent,
        held=sum(counts.queued for counts in after.values()),
        refused=max(0, _refused(after) - _refused(before)),
        failed=delivered.failed,
        in_doubt=delivered.in_doubt + recovered.in_doubt,
        waiting_to_retry=delivered.held,
        failing=_failing(assembly, now),
        left=passed.left,
    )


def _failing(assembly: Assembly, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each failing piece of work, including those that this pass has skipped."""
    from treue.insight.health import failed_work

    with assembly.store.reading() as connection:
        return tuple(failed_work(connection, now))


def _counts(assembly: Assembly, names: Sequence[str] | None) -> dict[str, JourneyCounts]:
    from treue.store.journey_counts import journey_counts

    with assembly.store.reading() as connection:
        return journey_counts(connection, names)


def _refused(counts: dict[str, JourneyCounts]) -> int:
    return sum(sum(journey.refused.values()) - journey.failed for journey in counts.values())


def _show(ran: Ran, json: bool) -> None:
    numbers = ran.numbers()
    if json:
        journeys = {name: counts.as_json() for name, counts in ran.journeys.items()}
        output.document(at=ran.at.isoformat(), journeys=journeys, failing=ran.failing, **numbers)
        return
    shown = {name: number for name, number in numbers.items() if number or name != "in_doubt"}
    output.line(" ".join(f"{name}={number}" for name, number in shown.items()))
    for sentence in ran.failing:
        output.tell(sentence)
    if ran.left:
        output.tell(
            f"{output.count(ran.left, 'customer')} first owe something to other journeys; `treue run` without a name does all."
        )
    if ran.in_doubt:
        output.tell(
            f"{output.count(ran.in_doubt, 'message')} may or may not have arrived and will not be sent again."
        )


@contextmanager
def _shown() -> Iterator[Progress]:
    """Show what is being done: a moving line where a person watches, else a line for each step."""
    shown = _Bar() if sys.stderr.isatty() else _Lines()
    try:
        yield shown
    finally:
        shown.close()


class _Lines:
    """One line for each step, when it is done."""

    def __init__(self) -> None:
        self._what, self._number = "", 0

    def __call__(self, what: str, number: int) -> None:
        if not number:
            output.tell(f"{what} …")
            return
        if what != self._what:
            self.close()
            self._what = what
        self._number += number

    def close(self) -> None:
        """Print the last step's line."""
        if self._number:
            output.tell(f"{self._what}: {self._number:,}")
        self._number = 0


class _Bar:
    """A bar that moves, the step, and for how many it has been done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns: list[Any] = [
            TextColumn("{task.description}"),
            BarColumn(24),
            TextColumn("{task.completed:,.0f}"),
            TimeElapsedColumn(),
        ]
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("Looking who is due", total=None)
        self._what = ""
        self._bar.start()

    def __call__(self, what: str, number: int) -> None:
        if what != self._what:
            self._what = what
            self._bar.reset(self._task, total=None, description=what)
        self._bar.advance(self._task, number)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()
