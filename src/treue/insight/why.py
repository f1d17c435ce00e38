"""Why a customer is where they are: the trace of decisions, and why a journey never let them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select

from treue.clock import Duration, instant
from treue.cohorts.host import Note, host_of
from treue.engine.door.exits import conditions
from treue.engine.versions.versions import Version
from treue.errors import PlanError
from treue.language.retention import Retention
from treue.language.steps import Stage
from treue.model.states import ArrivalKind, Dated, Decision, Outcome, Reason
from treue.model.tables import (
    LAST,
    arrival,
    customer,
    enrollment,
    journey,
    journey_version,
    past_event,
    stay_day,
    trace,
)
from treue.plan.plan import Plan
from treue.plan.stored import from_json
from treue.segments.explain import Explanation, Stay, explain, explanation
from treue.segments.sql import Moment
from treue.segments.tree import Condition
from treue.store import merging, opt_outs
from treue.vocabulary.registry import WORDS

_STAY = (
    enrollment.c.entered_at,
    enrollment.c.effective_at.label("entered_effective_at"),
    enrollment.c.seq.label("entered_seq"),
    enrollment.c.event_id,
)
_NO_WAY_IN = (ArrivalKind.leave.value, ArrivalKind.expiry.value)
TURNED_AWAY = {
    "if": "the `if` of `enter` did not hold",
    "again": "has been in the journey before, and `again` does not allow it yet",
    "inside": "was in the journey already, and nobody is inside twice",
    "exit": "had a reason to leave already: a condition of `exit` held",
    "loop": "had entered the journey at that very instant, and is let in by what steps bring about only later",
}
"""The reasons of `turned_away`."""
SKIPPED = "skipped the step"
"""What is said of who `skipped` a step for a reason; without one, its `if` did not hold."""
LEFT = {
    "condition": "a condition of `exit` held",
    merging.REASON: "two records were merged that were both in the journey, and the older stay goes on",
}
"""The reasons of `exited` that are no name."""


@dataclass(frozen=True)
class TraceEntry:
    """One decision: when (logical time), at which step, and why.

    `line` and `text` are the step's in the file the customer's version was made from. `values` are what was
    noted; `compared` is what the step's condition sees as of then.
    """

    at: datetime
    step: str | None
    decision: str
    sentence: str
    reason: str | None
    reason_sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)
    compared: tuple[Explanation, ...] = ()
    line: int | None = None
    text: str = ""


class CustomerInquiry:
    """Asks about one customer, within one reading transaction."""

    def __init__(self, connection: Connection, customer_id: int, zone: str, now: datetime) -> None:
        self.connection, self.customer_id, self.zone, self.now = connection, customer_id, zone, now
        self._versions: dict[int, tuple[Plan | None, list[str], dict[int, str]]] = {}

    def trail(self, name: str) -> list[TraceEntry]:
        """Return what was decided about the customer in a journey, in the order it was decided."""
        query = (
            select(trace, enrollment.c.version_id, enrollment.c.held_out, *_STAY)
            .join(journey, journey.c.id == trace.c.journey_id)
            .outerjoin(enrollment, enrollment.c.id == trace.c.enrollment_id)
            .where(trace.c.customer_id == self.customer_id, journey.c.name == name)
            .order_by(trace.c.id.desc())
        )
        rows = self.connection.execute(query).all()
        came, found, versions = _came(rows[::-1]), [], dict[int | None, int | None]()
        for row in rows:  # backwards, since a stay knows the version it came to
            version_id = versions.get(row.enrollment_id, row.version_id)
            found.append(self._entry(row, version_id, came[row.enrollment_id, row.step_id]))
            if row.decision == Decision.migrated.value:
                versions[row.enrollment_id] = row.detail["from"]
        return found[::-1]

    def _entry(self, row: Row[Any], version_id: int | None, came: datetime) -> TraceEntry:
        plan, lines, ids = self._version(version_id, row.journey_id)
        step = ids.get(row.step_id)
        stage = next((one for one in plan.stages if one.id == step), None) if plan else None
        line = stage.line if stage else None
        return TraceEntry(
            row.at,
            step,
            row.decision,
            _sentence(row.decision, row.reason),
            row.reason,
            self._through_another(row) or _reason_sentence(row.decision, row.reason) + _held_out(row, plan),
            _values(row.detail or {}),
            tuple(self._compared(row, plan, stage, came)),
            line,
            lines[line - 1].strip() if line and line <= len(lines) else "",
        )

    def _through_another(self, row: Row[Any]) -> str:
        """Return which other customer with the same address opted out, in words, if one did."""
        if row.reason != Reason.unsubscribed.value:
            return ""
        left = opt_outs.of(self.connection, self.customer_id).get((row.detail or {}).get("channel", ""))
        if left is None or left.customer_id == self.customer_id or left.since > row.at:
            return ""
        whose = f"through customer {left.by}, who has it too" if left.by else "though no customer we know did"
        return f"the address unsubscribed {self.told(left.since)}, {whose} ({left.source})"

    def _version(
        self, version_id: int | None, journey_id: int
    ) -> tuple[Plan | None, list[str], dict[int, str]]:
        """Return a version (by default the live one): its plan, the file's lines, and its steps' ids by number.

        There is no plan where it cannot be read; what was decided is told all the same.
        """
        if version_id is None:
            version_id = self.connection.scalar(
                select(journey.c.version_id).where(journey.c.id == journey_id)
            )
        if version_id is None:
            return None, [], {}
        if version_id not in self._versions:
            query = select(journey_version.c.plan, journey_version.c.source, journey_version.c.steps)
            row = self.connection.execute(query.where(journey_version.c.id == version_id)).one()
            ids = {number: id_ for id_, number in row.steps.items()}
            self._versions[version_id] = _readable(row.plan), row.source.splitlines(), ids
        return self._versions[version_id]

    def _compared(
        self, row: Row[Any], plan: Plan | None, stage: Stage | None, came: datetime
    ) -> list[Explanation]:
        """Evaluate the conditions behind a decision again, as of its time but with the attributes of today."""
        asked: list[Condition] = []
        if row.decision == Decision.branch.value and stage is not None:
            asked += stage.compared((row.detail or {}).get("way"))
        elif row.decision == Decision.skipped.value and row.reason is None and stage is not None:
            asked += [stage.when] if stage.when is not None else []
        elif plan is not None:
            asked += _door_conditions(plan, row.decision, row.reason)
        entered = row.entered_at or row.at, row.entered_effective_at or row.at, row.entered_seq or LAST
        stay = Stay(*entered, max(came, entered[1]), row.event_id, row.enrollment_id)
        return [self.look(condition, row.at, stay) for condition in asked]

    def look(self, condition: Condition, at: datetime, stay: Stay | None = None) -> Explanation:
        """Return how a condition looks for the customer as of a time, in a stay and at a step."""
        moment, dialect = Moment(at, self.zone), self.connection.dialect.name
        query = explain(condition, moment, dialect, self.customer_id, stay)
        return explanation(condition, dict(self.connection.execute(query).mappings().one()), moment)

    # --- never entered --------------------------------------------------------------------------------------

    def outside(self, plan: Plan, version: Version | None) -> list[Note]:
        """Return why a customer has never been in a journey: its trigger, then its `if`, as they are now."""
        if version is None or version.live_since is None:
            return [Note("The journey does not run: it has not been published, or it was stopped.", False)]
        notes = [Note("The journey is paused.", False)] if version.paused else []
        waiting = self.connection.scalar(
            select(arrival.c.kind)
            .where(
                arrival.c.journey_id == version.journey_id,
                arrival.c.customer_id == self.customer_id,
                arrival.c.kind.not_in(_NO_WAY_IN),
            )
            .limit(1)
        )
        if waiting:
            return [*notes, Note("Is at the door; the next pass decides.", False)]
        trigger = plan.entry.trigger
        found, at = host_of(trigger).outside(self, version, trigger)
        return [*notes, *found, *self._gate(plan, at)]

    def _gate(self, plan: Plan, at: datetime) -> list[Note]:
        when = plan.entry.when
        if when is None:
            return []
        found = self.look(when, at)
        verdict = "holds" if found.holds else "does not hold"
        return [Note(f"The `if` of `enter` {verdict}: {when.words()}.", found.holds, found)]

    # --- deleted as old -------------------------------------------------------------------------------------

    def old(self, name: str, retention: Retention) -> list[str]:
        """Return what cannot be told of a customer in a journey since it was deleted as old, a sentence each."""
        return [*self._untraced(name, retention.trace), *self._unknown(name, retention)]

    def _untraced(self, name: str, kept: Duration | None) -> Iterator[str]:
        """Yield which stays are there without what was decided in them."""
        c, traced = enrollment.c, exists().where(trace.c.enrollment_id == enrollment.c.id)
        traced = traced.where(trace.c.customer_id == c.customer_id, trace.c.journey_id == c.journey_id)
        query = (
            select(c.entered_at, c.left_at, c.outcome)
            .join(journey, journey.c.id == c.journey_id)
            .where(c.customer_id == self.customer_id, journey.c.name == name, ~traced, c.left_at.is_not(None))
            .order_by(c.entered_at, c.id)
        )
        for row in self.connection.execute(query):
            stay = f"From {self.told(row.entered_at)} to {self.told(row.left_at)} ({row.outcome})"
            yield f"{stay}: what was decided is older than the retention of `trace`{_length(kept)}."

    def _unknown(self, name: str, retention: Retention) -> Iterator[str]:
        """Yield that there may have been stays, and were events, that are not there any more."""
        query = (
            select(func.max(stay_day.c.left_on))
            .join(journey, journey.c.id == stay_day.c.journey_id)
            .join(customer, customer.c.created_at < stay_day.c.left_on)
            .where(journey.c.name == name, customer.c.id == self.customer_id)
        )
        if (day := self.connection.scalar(query)) is not None:
            older = f"older than the retention of `stays`{_length(retention.stays)}"
            yield f"Stays that ended by {day:%Y-%m-%d} are {older}: whether there were any cannot be told."

    def old_events(self, retention: Retention) -> Iterator[str]:
        """Yield how many events of a customer are not there any more by which they might have entered."""
        mine = select(func.count()).where(past_event.c.customer_id == self.customer_id)
        if events := self.connection.scalar(mine):
            were = "event of theirs is" if events == 1 else "events of theirs are"
            yield f"{events:,} {were} older than the retention of `events`{_length(retention.events)}."

    def told(self, at: datetime) -> str:
        """Return an instant as the workspace's clock shows it."""
        return f"{Moment(at, self.zone).local(at):%Y-%m-%d %H:%M}"


def _length(kept: Duration | None) -> str:
    return f" ({kept})" if kept is not None else ""


def _readable(document: dict[str, Any]) -> Plan | None:
    try:
        return from_json(document)
    except PlanError:
        return None


def _came(rows: Sequence[Row[Any]]) -> dict[tuple[int | None, int | None], datetime]:
    """Return when a customer came to each step of each stay: when the first thing was decided there.

    A customer moved here by a new version counts as having come when the wait began that they were moved from.
    """
    found, waits = dict[tuple[int | None, int | None], datetime](), dict[int | None, datetime]()
    for row in rows:
        moved = row.decision == Decision.migrated.value
        at = waits.get(row.enrollment_id, row.at) if moved else row.at
        found.setdefault((row.enrollment_id, row.step_id), at)
        if row.decision == Decision.waiting.value:
            waits[row.enrollment_id] = row.at
    return found


def stays(connection: Connection, customer_id: int) -> dict[str, list[str]]:
    """Return for each journey a customer has been in the outcomes of the stays, oldest first."""
    query = (
        select(journey.c.name, enrollment.c.outcome)
        .join(journey, journey.c.id == enrollment.c.journey_id)
        .where(enrollment.c.customer_id == customer_id)
        .order_by(enrollment.c.entered_at, enrollment.c.id)
    )
    found: dict[str, list[str]] = {}
    for name, outcome in connection.execute(query):
        found.setdefault(name, []).append(Outcome(outcome).value)
    return found


def _door_conditions(plan: Plan, decision: str, reason: str | None) -> list[Condition]:
    """Return the conditions by which somebody was turned away, or had to leave."""
    if decision == Decision.exited.value:
        return [one.condition for one in plan.exits if one.condition is not None and one.name == reason]
    if decision != Decision.turned_away.value:
        return []
    if reason == "if" and plan.entry.when is not None:
        return [plan.entry.when]
    return [condition for _, condition in conditions(plan)] if reason == "exit" else []


def _held_out(row: Row[Any], plan: Plan | None) -> str:
    """Return, behind the reason for an entry, that whoever entered is held out, and of how many that is true."""
    if row.decision != Decision.entered.value or not row.held_out:
        return ""
    share = f" ({plan.holdout / 100:g}% are)" if plan and plan.holdout else ""
    return f"; held out{share}: walks the same path, is measured for comparison and is sent nothing"


def _sentence(decision: str, reason: str | None) -> str:
    return SKIPPED if decision == Decision.skipped.value and reason else WORDS.decision(decision)


def _reason_sentence(decision: str, reason: str | None) -> str:
    if reason is None:
        return ""
    if decision == Decision.turned_away.value:
        return TURNED_AWAY.get(reason, reason)
    if decision == Decision.exited.value and reason in LEFT:
        return LEFT[reason]
    told: type[Dated] | type[Reason] | None = next(
        (one for one in (Reason, Dated) if reason in set(one)), None
    )
    return told(reason).sentence if told else reason


def _values(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was noted, times as ISO 8601 in UTC."""
    found = {name: value for name, value in detail.items() if name != "from"}
    if isinstance(found.get("until"), int):
        found["until"] = instant(found["until"]).isoformat().replace("+00:00", "Z")
    return found
