"""Why a customer is where they are: the trace of decisions, and why a journey never let them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from treue.clock import instant
from treue.engine.local_time import own_day
from treue.engine.versions import Version
from treue.model.states import ArrivalKind, Decision, Outcome, Reason
from treue.model.tables import (
    arrival,
    customer,
    enrollment,
    event,
    journey,
    journey_version,
    membership,
    trace,
)
from treue.plan.explain import trigger
from treue.plan.stages import Choose, OnDate, Plan, Stage, WaitFor
from treue.plan.stored import from_json
from treue.segments.explain import Explanation, explain, explanation
from treue.segments.needs import since_arrival
from treue.segments.sql import Moment, event_fits
from treue.segments.tree import Condition, InSegment
from treue.segments.words import words

TURNED_AWAY = {
    "if": "the `if` of `enter` did not hold",
    "again": "has been in the journey before, and `again` does not allow it yet",
}
"""The reasons of `turned_away`."""


@dataclass(frozen=True)
class Entry:
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


@dataclass(frozen=True)
class Note:
    """One thing that kept a customer out of a journey (or did not): a sentence, and what was compared."""

    sentence: str
    holds: bool
    compared: Explanation | None = None


class Inquiry:
    """Asks about one customer, within one reading transaction."""

    def __init__(self, connection: Connection, customer_id: int, zone: str, now: datetime) -> None:
        self._connection, self._customer_id, self._zone, self._now = connection, customer_id, zone, now
        self._versions: dict[int, tuple[Plan, list[str], dict[int, str]]] = {}

    def trail(self, name: str) -> list[Entry]:
        """Return what was decided about the customer in a journey, in the order it was decided."""
        query = (
            select(trace, enrollment.c.version_id, enrollment.c.entered_at, enrollment.c.event_id)
            .join(journey, journey.c.id == trace.c.journey_id)
            .outerjoin(enrollment, enrollment.c.id == trace.c.enrollment_id)
            .where(trace.c.customer_id == self._customer_id, journey.c.name == name)
            .order_by(trace.c.id.desc())
        )
        rows = self._connection.execute(query).all()
        came, found, versions = _came(rows[::-1]), [], dict[int | None, int | None]()
        for row in rows:  # backwards, since a stay knows the version it came to
            version_id = versions.get(row.enrollment_id, row.version_id)
            found.append(self._entry(row, version_id, came[row.enrollment_id, row.step_id]))
            if row.decision == Decision.migrated.value:
                versions[row.enrollment_id] = row.detail["from"]
        return found[::-1]

    def _entry(self, row: Row[Any], version_id: int | None, came: datetime) -> Entry:
        plan, lines, ids = self._version(version_id, row.journey_id)
        step = ids.get(row.step_id)
        stage = next((one for one in plan.stages if one.id == step), None) if plan else None
        line = stage.line if stage else None
        return Entry(
            row.at,
            step,
            row.decision,
            Decision(row.decision).sentence,
            row.reason,
            _reason_sentence(row.decision, row.reason),
            _values(row.detail or {}),
            tuple(self._compared(row, plan, stage, came)),
            line,
            lines[line - 1].strip() if line and line <= len(lines) else "",
        )

    def _version(
        self, version_id: int | None, journey_id: int
    ) -> tuple[Plan | None, list[str], dict[int, str]]:
        """Return a version (by default the live one): its plan, the file's lines, and its steps' ids by number."""
        if version_id is None:
            version_id = self._connection.scalar(
                select(journey.c.version_id).where(journey.c.id == journey_id)
            )
        if version_id is None:
            return None, [], {}
        if version_id not in self._versions:
            query = select(journey_version.c.plan, journey_version.c.source, journey_version.c.steps)
            row = self._connection.execute(query.where(journey_version.c.id == version_id)).one()
            ids = {number: id_ for id_, number in row.steps.items()}
            self._versions[version_id] = from_json(row.plan), row.source.splitlines(), ids
        return self._versions[version_id]

    def _compared(
        self, row: Row[Any], plan: Plan | None, stage: Stage | None, came: datetime
    ) -> list[Explanation]:
        """Look again at the conditions behind a decision, as of its time (attributes as they are now)."""
        asked: list[Condition] = []
        if row.decision == Decision.branch.value and isinstance(stage, Choose):
            for way in stage.ways:
                asked += [way.condition] if way.condition is not None else []
                if way.name == (row.detail or {}).get("way"):
                    break
        elif row.decision == Decision.branch.value and isinstance(stage, WaitFor):
            asked.append(since_arrival(stage.condition))
        elif row.decision == Decision.skipped.value and stage is not None and stage.when is not None:
            asked.append(stage.when)
        elif row.reason == "if" and plan is not None and plan.entry.when is not None:
            asked.append(plan.entry.when)
        return [self.look(condition, row.at, row.entered_at, came, row.event_id) for condition in asked]

    def look(
        self,
        condition: Condition,
        at: datetime,
        entered_at: datetime | None = None,
        arrived_at: datetime | None = None,
        event_id: int | None = None,
    ) -> Explanation:
        """Return how a condition looks for the customer as of a time, in a stay and at a step."""
        moment, dialect = Moment(at, self._zone), self._connection.dialect.name
        stay = entered_at or at, arrived_at or at, event_id
        query = explain(condition, moment, dialect, self._customer_id, *stay)
        return explanation(condition, dict(self._connection.execute(query).mappings().one()), moment)

    # --- never entered --------------------------------------------------------------------------------------

    def outside(self, plan: Plan, version: Version | None) -> list[Note]:
        """Return why a customer has never been in a journey: its trigger, then its `if`, as they are now."""
        if version is None or version.live_since is None:
            return [Note("The journey does not run: it has not been published, or it was stopped.", False)]
        notes = [Note("The journey is paused.", False)] if version.paused else []
        waiting = self._connection.scalar(
            select(arrival.c.kind)
            .where(
                arrival.c.journey_id == version.journey_id,
                arrival.c.customer_id == self._customer_id,
                arrival.c.kind != ArrivalKind.leave.value,
            )
            .limit(1)
        )
        if waiting:
            return [*notes, Note("Is at the door; the next pass decides.", False)]
        if plan.entry.event:
            return notes + self._event_notes(plan, version)
        if plan.entry.date:
            return notes + self._day_notes(plan, plan.entry.date)
        return notes + (self._segment_notes(plan, version) if plan.entry.segment else self._by_hand(plan))

    def _day_notes(self, plan: Plan, on: OnDate) -> list[Note]:
        named = own_day(on.attribute, on.type, self._zone, self._connection.dialect.name)
        day = self._connection.scalar(select(named).where(customer.c.id == self._customer_id))
        sentence = f"{on.attribute} is {day}, whose time has not come since the journey went live."
        missing = f"{on.attribute} is not known, or no date."
        return [Note(sentence if day else missing, False), *self._gate(plan, self._now)]

    def _by_hand(self, plan: Plan) -> list[Note]:
        sentence = f"Nobody has enrolled them; `treue enroll {plan.journey} ID` does."
        return [Note(sentence, False), *self._gate(plan, self._now)]

    def _event_notes(self, plan: Plan, version: Version) -> list[Note]:
        assert plan.entry.event is not None
        assert version.live_since is not None
        name = plan.entry.event
        fits = event_fits(
            plan.entry.where, event, self._connection.dialect.name, Moment(self._now, self._zone)
        )
        query = (
            select(event.c.at, event.c.properties, event.c.routed_at, fits.label("fits"))
            .where(event.c.customer_id == self._customer_id, event.c.name == name)
            .order_by(event.c.at.desc())
        )
        rows = self._connection.execute(query).all()
        if not rows:
            return [Note(f"{name} has never happened to them.", False), *self._gate(plan, self._now)]
        since = [row for row in rows if row.at >= version.live_since]
        if not since:
            sentence = (
                f"{name} last happened {self._told(rows[0].at)}, before the journey went live "
                f"({self._told(version.live_since)}); what lies before that starts nobody."
            )
            return [Note(sentence, False), *self._gate(plan, self._now)]
        good = [row for row in since if row.fits]
        if not good:
            told = ", ".join(
                f"{prop.name} {since[0].properties.get(prop.name, 'missing')}" for prop in plan.entry.where
            )
            sentence = (
                f"{name} happened {self._told(since[0].at)}, but does not fit {trigger(plan.entry)}: {told}."
            )
            return [Note(sentence, False), *self._gate(plan, since[0].at)]
        sentence = f"{name} happened {self._told(good[0].at)}" + (
            "." if good[0].routed_at else " and waits for the next pass to look at it."
        )
        return [Note(sentence, good[0].routed_at is not None), *self._gate(plan, good[0].at)]

    def _segment_notes(self, plan: Plan, version: Version) -> list[Note]:
        entry = plan.entry
        assert entry.segment is not None
        found = self.look(InSegment(entry.segment_name or "", entry.segment), self._now)
        note = Note(f"Is {'' if found.holds else 'not '}in segment {entry.segment_name}.", found.holds, found)
        if not found.holds or entry.schedule:
            when = [Note(f"Enters at {entry.schedule} (cron).", True)] if entry.schedule else []
            return [note, *when, *self._gate(plan, self._now)]
        known = self._connection.scalar(
            select(membership.c.customer_id).where(
                membership.c.journey_id == version.journey_id, membership.c.customer_id == self._customer_id
            )
        )
        sentence = (
            "Was in it already when the journey first looked; only joining it starts the journey."
            if known
            else "The next pass sees them join."
        )
        return [note, Note(sentence, False), *self._gate(plan, self._now)]

    def _gate(self, plan: Plan, at: datetime) -> list[Note]:
        when = plan.entry.when
        if when is None:
            return []
        found = self.look(when, at)
        verdict = "holds" if found.holds else "does not hold"
        return [Note(f"The `if` of `enter` {verdict}: {words(when)}.", found.holds, found)]

    def _told(self, at: datetime) -> str:
        return f"{Moment(at, self._zone).local(at):%Y-%m-%d %H:%M}"


def _came(rows: Sequence[Row[Any]]) -> dict[tuple[int | None, int | None], datetime]:
    """Return when a customer came to each step of each stay: when the first thing was decided there.

    Who was moved to a step by a new version came there when the wait began that they were moved from.
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


def _reason_sentence(decision: str, reason: str | None) -> str:
    if reason is None:
        return ""
    if decision == Decision.turned_away.value:
        return TURNED_AWAY.get(reason, reason)
    return Reason(reason).sentence if reason in set(Reason) else reason


def _values(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was noted, times as ISO 8601 in UTC."""
    found = {name: value for name, value in detail.items() if name != "from"}
    if isinstance(found.get("until"), int):
        found["until"] = instant(found["until"]).isoformat().replace("+00:00", "Z")
    return found
