"""What `wait` does to a cohort: arm those who have just come, release those whose time has come, watch for conditions.

Who comes to a wait is armed: `deadline_at` says when it ends at the latest, `due_at` when to look next. Both are
the same but for `wait for`, where an event that may matter wakes its customer (see `WaitForPlayer.wake`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)

from treue.clock import Duration
from treue.cohorts.cohort import SKIP, asked_of, clear, json_object, move, note_cohort, skip_unless, take
from treue.cohorts.local_time import later, next_time, own_day_at, own_time
from treue.cohorts.player import Follower, Player, Script, Watcher
from treue.cohorts.scene import NOW, Deed, Scene, Statement, Version
from treue.cohorts.trace import note
from treue.language.steps import Stage
from treue.model.states import ArrivalKind, Dated, Decision, MessageState, Outcome
from treue.model.tables import caller, cohort, enrollment, event, message
from treue.model.types import Instant
from treue.segments.needs import event_names, expires, unforeseen
from treue.segments.sql import Moment, branches
from treue.segments.tree import Condition
from treue.store import dialect
from treue.vocabulary.steps.wait.word import Timer, Wait, WaitDate, WaitFor, WaitUntil

S = TypeVar("S", bound=Stage)

THEN, OTHERWISE = 0, 1

_ENDS = case((cohort.c.deadline_at > cohort.c.at, cohort.c.deadline_at), else_=cohort.c.at)
"""When a wait ends: a time that is missing or has passed is no reason to wait."""
_HOLD_BACK = (
    update(enrollment)
    .values(deadline_at=_ENDS)
    .where(enrollment.c.id == cohort.c.enrollment_id, cohort.c.note.is_(None))
)
_HOLD = _HOLD_BACK.values(due_at=_ENDS)


_PASSED = or_(cohort.c.deadline_at.is_(None), cohort.c.deadline_at < cohort.c.at)
"""Whether the moment to wait for lies before the arrival, or there is none."""
_UNTIL_NEXT, _FROM_WAITS = 1, 2
"""What `skipping` says: until the next wait, or while she comes from waits alone, also through the one that follows."""


class Waiting(Player[S]):
    """Plays waits: arms those who have just come, then deals with those who are armed."""

    hold: Executable = _HOLD
    """What sets `due_at` of those who are armed."""

    ends_skipping = _UNTIL_NEXT
    """Up to which `skipping` those who come to wait here are sent something again."""

    def scripts(self) -> tuple[Script[S], ...]:
        """Return arming, and what the armed do."""
        return self.arm, self.release

    def is_armed(self, script: Script[S]) -> bool:
        """Return whether a script is for those already armed."""
        return script != self.arm

    def is_constant(self, stage: S) -> bool:
        """Whether the length has no months, which differ with the date they begin."""
        return not self.length(stage).months

    @abstractmethod
    def length(self, stage: S) -> Duration:
        """Return the duration that it moves by."""

    @abstractmethod
    def until(self, scene: Scene, stage: S, rows: Subquery, key: ColumnElement[Any]) -> Select[Any]:
        """Return a query of (key, due): when the wait ends for each of `rows`."""

    def act(self, scene: Scene, stage: S) -> Sequence[Statement | Deed]:
        """Return what notes until when they wait."""
        return [Statement("note until when", self.note(scene, stage))]

    def note(self, scene: Scene, stage: S) -> Any:
        """Return what notes until when the cohort waits, or that there was nothing to wait for."""
        waits = cohort.c.deadline_at > cohort.c.at
        decision = case((waits, Decision.waiting.value), else_=Decision.at_once.value)
        return _noted(scene, stage, decision)

    def arm(self, scene: Scene, stage: S) -> Iterator[Statement | Deed]:
        """Set the deadlines of customers who have just arrived; those who skip the wait by its `if` go on.

        The statements are yielded one by one: only a taken cohort shows on which local days a wait in months starts.
        """
        yield clear()
        yield take(scene, stage, armed=False)
        yield from skip_unless(scene, stage)
        rows = cohort.select().where(cohort.c.note.is_(None)).subquery("waiting")
        until = self.until(scene, stage, rows, rows.c.enrollment_id).subquery("until")
        mine = cohort.c.enrollment_id == until.c.key
        yield Statement("until when", update(cohort).values(deadline_at=until.c.due).where(mine))
        yield Statement("hold them", self.hold)
        yield from self.decide(scene, stage)
        yield from self.act(scene, stage)
        if stage.when is not None:
            yield from _carry_on(scene, stage.to, cohort.c.note == SKIP)
            yield from move(scene, stage.to, cohort.c.note == SKIP, "on past it")

    def decide(self, scene: Scene, stage: S) -> list[Statement]:
        """Return what ends the skipping of those who wait here; a wait that follows a date's with nothing between goes on with it."""
        if not scene.version.plan.skips:
            return []
        ends = and_(cohort.c.skipping > 0, cohort.c.skipping <= self.ends_skipping, cohort.c.note.is_(None))
        return [Statement("skip no longer", _skipping(0, ends))]

    def release(self, scene: Scene, stage: S) -> Iterable[Statement]:
        """Let those go on whose time has come."""
        on = _carry_on(scene, stage.to, None)
        return [clear(), take(scene, stage, armed=True), *on, *move(scene, stage.to, None, "on")]


class WaitPlayer(Waiting[Wait]):
    """Plays `wait: 2d`."""

    def length(self, stage: Wait) -> Duration:
        """Return the duration of the wait."""
        return stage.duration

    def until(self, scene: Scene, stage: Wait, rows: Subquery, key: ColumnElement[Any]) -> Select[Any]:
        """Return the end of the wait, counted from arrival."""
        return later(scene.connection, rows, rows.c.at, stage.duration, scene.zone, key)

    def note(self, scene: Scene, stage: Wait) -> Any:
        """Return the statement that traces until when each customer waits."""
        return _noted(scene, stage, Decision.waiting)


class WaitUntilPlayer(Waiting[WaitUntil]):
    """Plays `wait: {until: "09:00"}`."""

    def length(self, stage: WaitUntil) -> Duration:
        """Return nothing: a time of the day is not moved."""
        return Duration()

    def until(self, scene: Scene, stage: WaitUntil, rows: Subquery, key: ColumnElement[Any]) -> Select[Any]:
        """Return the next such time on each one's clock."""
        return next_time(rows, rows.c.at, stage.at, stage.days, scene.zone, key)


class WaitDatePlayer(Waiting[WaitDate], Follower[WaitDate]):
    """Plays `wait: {until: {attribute: …}}`."""

    def decide(self, scene: Scene, stage: WaitDate) -> list[Statement]:
        """Return what says anew for whom the moment has passed."""
        if stage.passed is None:
            return []
        passed = case((_PASSED, _FROM_WAITS), else_=0) if stage.passed != "go_on" else literal(0, BigInteger)
        return [Statement("for whom it has passed", _skipping(passed, cohort.c.note.is_(None)))]

    def note(self, scene: Scene, stage: WaitDate) -> Any:
        """Return what notes until when the cohort waits, or that the moment has passed."""
        if stage.passed is None:
            return super().note(scene, stage)
        decision = case(
            (cohort.c.deadline_at > cohort.c.at, Decision.waiting.value), else_=Decision.at_once.value
        )
        return _noted(scene, stage, decision, case((_PASSED, Dated.moment_passed.value)))

    def release(self, scene: Scene, stage: WaitDate) -> Iterable[Statement]:
        """Let those go on whose time has come; with `stop`, those whose moment had passed come to the end."""
        if stage.passed != "stop":
            return super().release(scene, stage)
        return [
            clear(),
            take(scene, stage, armed=True),
            *move(scene, stage.to, cohort.c.skipping == 0, "on"),
            *move(scene, None, cohort.c.skipping > 0, "it has passed"),
        ]

    def follow(
        self, connection: Connection, version: Version, stage: WaitDate, zone: str
    ) -> Sequence[Executable]:
        """Return what has those wait until where their date lies now whose record has changed; removed or past is passed."""
        make = partial(_following, connection, version, stage, zone)
        return version.kept.of(("following", stage.id), make, constant=self.is_constant(stage))

    def length(self, stage: WaitDate) -> Duration:
        """Return how long before or after the date."""
        return stage.before or stage.after or Duration()

    def until(self, scene: Scene, stage: WaitDate, rows: Subquery, key: ColumnElement[Any]) -> Select[Any]:
        """Return each customer's own date, moved by `before` or `after`."""
        return _own(scene.connection, rows, rows.c.at, stage, scene.zone, key, scene.dialect)


def _noted(scene: Scene, stage: Stage, decision: Any, reason: ColumnElement[str] | None = None) -> Any:
    until = json_object(scene.dialect, until=type_coerce(_ENDS, BigInteger))
    return note_cohort(scene, stage, decision, until, cohort.c.note.is_(None), reason)


def _skipping(value: Any, which: ColumnElement[bool]) -> Executable:
    return update(enrollment).values(skipping=value).where(enrollment.c.id == cohort.c.enrollment_id, which)


def _carry_on(scene: Scene, to: str | None, which: ColumnElement[bool] | None) -> list[Statement]:
    """Return what says of those who leave a wait that the next one ends the skipping, unless it follows at once."""
    plan = scene.version.plan
    if not plan.skips or to is None or isinstance(plan.stage(to), Timer):
        return []
    leaving = cohort.c.skipping == _FROM_WAITS
    return [
        Statement(
            "skip until the next wait",
            _skipping(_UNTIL_NEXT, leaving if which is None else and_(leaving, which)),
        )
    ]


def _own(
    connection: Connection | None,
    rows: Subquery,
    at: ColumnElement[Any],
    stage: WaitDate,
    zone: str,
    key: ColumnElement[Any],
    dialect: str,
) -> Select[Any]:
    """Return a query of (key, due): the moment that each of `rows` waits for as of `at`, or NULL."""
    moved = (stage.before or stage.after or Duration(), -1 if stage.before else 1)
    named = (stage.attribute, stage.type, *moved)
    if stage.at is None and not stage.yearly:
        return own_time(connection, rows, *named, zone, key, dialect)
    since = at if stage.yearly else None
    return own_day_at(connection, rows, *named, stage.at or "00:00", zone, key, dialect, since)


def _following(connection: Connection, version: Version, stage: WaitDate, zone: str) -> list[Executable]:
    """Return what moves the end of the waits of touched callers to where their date lies now, and what notes it."""
    waiting = (
        select(enrollment.c.id, enrollment.c.customer_id, caller.c.effective_at.label("at"))
        .join(caller, caller.c.customer_id == enrollment.c.customer_id)
        .where(*_asleep(version, stage), *_touched())
        .subquery("touched")
    )
    dialect = connection.dialect.name
    own = _own(connection, waiting, waiting.c.at, stage, zone, waiting.c.id, dialect).subquery("own")
    at = caller.c.effective_at
    passed = or_(own.c.due.is_(None), own.c.due < at)
    ends = case((own.c.due > at, own.c.due), else_=at)
    moved = (
        enrollment.c.id == own.c.key,
        enrollment.c.customer_id == caller.c.customer_id,
        or_(own.c.due.is_(None), own.c.due != enrollment.c.deadline_at),
    )
    noted = note(
        customer=enrollment.c.customer_id,
        journey=version.journey_id,
        enrollment=enrollment.c.id,
        step=version.number(stage),
        at=at,
        decision=case((own.c.due > at, Decision.waiting.value), else_=Decision.at_once.value),
        reason=case((passed, Dated.moment_passed.value), else_=Dated.date_moved.value),
        detail=json_object(dialect, until=type_coerce(ends, BigInteger)),
        where=moved,
    )
    skipping = literal(0, BigInteger) if stage.passed == "go_on" else case((passed, _FROM_WAITS), else_=0)
    follow = update(enrollment).values(due_at=ends, deadline_at=ends, skipping=skipping).where(*moved)
    return [noted, follow]


def _touched() -> tuple[ColumnElement[bool], ...]:
    """Return which of the callers are touched, while they still wait."""
    return (
        caller.c.kind == ArrivalKind.touch.value,
        caller.c.effective_at >= enrollment.c.arrived_at,
        caller.c.effective_at >= enrollment.c.effective_at,
        caller.c.effective_at <= enrollment.c.deadline_at,
    )


# --- wait for -----------------------------------------------------------------------------------------------

_WAY = case({THEN: literal("then", Text)}, value=cohort.c.branch, else_=literal("otherwise", Text))
_TIME_IS_UP = (
    update(cohort)
    .values(branch=OTHERWISE)
    .where(cohort.c.branch.is_(None), cohort.c.at >= cohort.c.deadline_at)
)


class WaitForPlayer(Waiting[WaitFor], Watcher[WaitFor]):
    """Plays `wait: {for: …}`."""

    hold = _HOLD_BACK
    ends_skipping = _FROM_WAITS

    def scripts(self) -> tuple[Script[WaitFor], ...]:
        """Return the script that sets deadlines, and the one that watches the condition."""
        return self.arm, self.watch

    def length(self, stage: WaitFor) -> Duration:
        """Return the longest the wait may last."""
        return stage.at_most

    def until(self, scene: Scene, stage: WaitFor, rows: Subquery, key: ColumnElement[Any]) -> Select[Any]:
        """Return the deadline, counted from arrival."""
        return later(scene.connection, rows, rows.c.at, stage.at_most, scene.zone, key)

    def act(self, scene: Scene, stage: WaitFor) -> list[Statement]:
        """Return nothing: they are looked at before anything is noted."""
        return []

    def watch(self, scene: Scene, stage: WaitFor) -> Iterable[Statement]:
        """Let customers go on for whom the condition holds or whose time is up; the others sleep until an event."""
        held, over = cohort.c.branch == THEN, cohort.c.branch == OTHERWISE
        note = note_cohort(
            scene, stage, Decision.branch, json_object(scene.dialect, way=_WAY), cohort.c.branch.is_not(None)
        )
        return [
            clear(),
            take(scene, stage, armed=True),
            Statement("for whom it holds", _holding(scene, stage)),
            *_from_sending(scene, stage),
            Statement("whose time is up", _TIME_IS_UP),
            Statement("sleep until something happens", _sleep(stage)),
            Statement("note until when", _note_asleep(scene, stage)),
            Statement("note which way", note),
            *move(scene, stage.then, held, "on, it holds"),
            *move(scene, stage.otherwise, over, "on without it"),
        ]

    def wake(self, version: Version, stage: WaitFor, dialect: str) -> Executable:
        """Return the UPDATE that makes waiting customers due at the time of their event, of those bound to `ids`."""
        return version.kept.of(("waking", stage.id), partial(_waking, version, stage, dialect))

    def rouse(self, version: Version, stage: WaitFor) -> Executable:
        """Return the UPDATE that makes waiting customers due at the time of what has touched them, of the callers."""
        return version.kept.of(("rousing", stage.id), partial(_rousing, version, stage))

    def must_be_looked_at(self, stage: WaitFor) -> bool:
        """Whether time may make the condition true at an instant that it cannot tell before."""
        return bool(unforeseen(stage.condition))

    def notice(
        self, connection: Connection, version: Version, stage: WaitFor, now: datetime, zone: str
    ) -> None:
        """Make customers due for whom the condition has become true."""
        condition, name = stage.condition.since_arrival(), connection.dialect.name
        make = partial(_noticing, version, stage, condition, name)
        statement, values = version.kept.asking(("notice", stage.id), [condition], Moment(now, zone), make)
        connection.execute(statement, {"now": now, **values})


def _holding(scene: Scene, stage: WaitFor) -> Any:
    """Return what marks those for whom the condition holds, by what had happened until their own time."""
    condition, standing = stage.condition.since_arrival(), expires(stage.condition)
    found = branches([condition], scene.moment, scene.dialect, cohort, standing=standing).subquery("found")
    same = cohort.c.enrollment_id == found.c.enrollment_id
    answer = {"branch": found.c.branch} | ({"stands_until": found.c.stands_until} if standing else {})
    return update(cohort).values(answer).where(same)


def _from_sending(scene: Scene, stage: WaitFor) -> list[Statement]:
    """Return what puts off the end of a wait for what becomes of a message until so long after the message went.

    Nobody is judged on a mail she has not got; one that was refused, or never queued, puts nothing off.
    """
    templates = sorted(stage.condition.mentions().templates)
    if not templates:
        return []
    waits = message.c.state.in_((MessageState.queued.value, MessageState.claimed.value))
    went = func.coalesce(message.c.sent_at, message.c.doubted_at)
    rows = (
        select(
            cohort.c.enrollment_id,
            cohort.c.customer_id,
            func.max(case((waits, NOW), else_=went), type_=Instant()).label("at"),
        )
        .join(message, message.c.enrollment_id == cohort.c.enrollment_id)
        .where(
            cohort.c.branch.is_(None),
            cohort.c.at >= cohort.c.deadline_at,
            message.c.template.in_(templates),
            or_(waits, went > cohort.c.arrived_at),
        )
        .group_by(cohort.c.enrollment_id, cohort.c.customer_id)
        .subquery("gone")
    )
    until = later(scene.connection, rows, rows.c.at, stage.at_most, scene.zone, rows.c.enrollment_id)
    found = until.subquery("until")
    mine = (cohort.c.enrollment_id == found.c.key, found.c.due > cohort.c.deadline_at)
    longer = (enrollment.c.id == cohort.c.enrollment_id, enrollment.c.deadline_at < cohort.c.deadline_at)
    return [
        Statement(
            "wait longer for what has just gone", update(cohort).values(deadline_at=found.c.due).where(*mine)
        ),
        Statement(
            "keep until when", update(enrollment).values(deadline_at=cohort.c.deadline_at).where(*longer)
        ),
    ]


def _sleep(stage: WaitFor) -> Any:
    """Return what has the others looked at again at their next event that may matter, or when time alone may change it.

    At the latest at the end of the wait.
    """
    names = sorted(event_names(stage.condition))
    following: ColumnElement[Any] = cast(null(), Instant)
    if names:
        mine = (event.c.customer_id == cohort.c.customer_id, event.c.name.in_(names))
        query = select(func.min(event.c.effective_at)).where(
            *mine,
            event.c.effective_at > cohort.c.effective_at,
            event.c.effective_at <= cohort.c.deadline_at,
        )
        following = query.scalar_subquery()
    again: ColumnElement[Any] = func.coalesce(following, cohort.c.deadline_at)
    if expires(stage.condition):
        again = case((cohort.c.stands_until < again, cohort.c.stands_until), else_=again)
    same = enrollment.c.id == cohort.c.enrollment_id
    return update(enrollment).values(due_at=again).where(same, cohort.c.branch.is_(None))


def _note_asleep(scene: Scene, stage: WaitFor) -> Any:
    until = json_object(scene.dialect, until=type_coerce(cohort.c.deadline_at, BigInteger))
    first_look = cohort.c.branch.is_(None) & (cohort.c.at == cohort.c.arrived_at)
    return note_cohort(scene, stage, Decision.waiting, until, first_look)


def _waking(version: Version, stage: WaitFor, name: str) -> Executable:
    first = (
        select(enrollment.c.id, func.min(event.c.effective_at).label("at"))
        .join(event, event.c.customer_id == enrollment.c.customer_id)
        .where(
            dialect.among_listed(name, event.c.id, "ids"),
            (event.c.name + "").in_(sorted(event_names(stage.condition))),
            *_asleep(version, stage),
            event.c.effective_at >= enrollment.c.arrived_at,
            event.c.effective_at >= enrollment.c.effective_at,
            event.c.effective_at <= enrollment.c.deadline_at,
        )
        .group_by(enrollment.c.id)
        .subquery("first")
    )
    sooner = (enrollment.c.id == first.c.id, first.c.at < enrollment.c.due_at)
    return update(enrollment).values(due_at=first.c.at).where(*sooner)


def _asleep(version: Version, stage: Stage) -> tuple[ColumnElement[bool], ...]:
    return (
        enrollment.c.journey_id == version.journey_id,
        enrollment.c.version_id == version.version_id,
        enrollment.c.step_id == version.number(stage),
        enrollment.c.outcome == Outcome.inside.value,
        enrollment.c.deadline_at.is_not(None),
    )


def _rousing(version: Version, stage: WaitFor) -> Executable:
    return (
        update(enrollment)
        .values(due_at=caller.c.effective_at)
        .where(
            *_asleep(version, stage),
            enrollment.c.customer_id == caller.c.customer_id,
            *_touched(),
            caller.c.effective_at < enrollment.c.due_at,
        )
    )


def _noticing(
    version: Version, stage: WaitFor, condition: Condition, name: str, moment: Moment
) -> Executable:
    asked = (
        select(*asked_of(enrollment, NOW, NOW))
        .where(*_asleep(version, stage), enrollment.c.due_at > NOW, enrollment.c.deadline_at > NOW)
        .subquery("asked")
    )
    found = branches([condition], moment, name, asked).subquery("found")
    holding = select(found.c.enrollment_id).where(found.c.branch.is_not(None))
    return update(enrollment).values(due_at=NOW).where(enrollment.c.id.in_(holding))


PLAYERS: dict[str, Player[Any]] = {
    "wait": WaitPlayer(),
    "wait_until": WaitUntilPlayer(),
    "wait_date": WaitDatePlayer(),
    "wait_for": WaitForPlayer(),
}
