"""From what the files say and what runs to what would change, and making it so: behind `treue plan` and `treue apply`.

Both look through the same eyes: `look` says what would happen, `apply` looks again inside the transaction in which it
does exactly that, or refuses where it is no longer what somebody was shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Text,
    case,
    insert,
    literal,
    select,
    update,
)

from treue.clock import Duration
from treue.cohorts.cohort import json_object
from treue.cohorts.local_time import later
from treue.cohorts.trace import note
from treue.engine.versions.exit_heads import Heads
from treue.engine.versions.stop import let_out
from treue.engine.versions.versions import is_stopped, kept_as, known_steps, publish_within
from treue.engine.versions.wordings import STAYS, FilesWords, Wording, decided, settle
from treue.errors import PlanError
from treue.model.states import ArrivalKind, Decision, Outcome
from treue.model.tables import arrival, enrollment
from treue.model.types import Instant
from treue.plan.diff import (
    InFlight,
    JourneyChange,
    Occupancy,
    added_parts,
    added_steps,
    asked_exits,
    compare,
    removed_steps,
)
from treue.plan.plan import Plan
from treue.plan.stored import from_json, plan_hash, to_json
from treue.store import journeys
from treue.store.journeys import StoredJourney
from treue.store.store import Store


@dataclass(frozen=True)
class Files:
    """What the files say: the journeys' plans, their texts by name, the workspace's time zone.

    `words` are the templates, None where versions keep no copies. `migrate` asks for those inside to be moved also where a file says nothing about them.
    """

    plans: tuple[Plan, ...]
    sources: Mapping[str, str]
    zone: str
    migrate: bool = False
    words: FilesWords | None = None

    def in_flight(self, plan: Plan) -> InFlight:
        """Return what happens to those inside a journey: what its file says, and `--migrate` where it says `finish`."""
        if plan.in_flight == "exit":
            return "exit"
        return "migrate" if self.migrate or plan.in_flight == "migrate" else "finish"


@dataclass(frozen=True)
class Look:
    """What would change, and a fingerprint of all that this depends on."""

    changes: tuple[JourneyChange, ...]
    fingerprint: Mapping[str, Any]
    words: tuple[Wording, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the files are what runs."""
        return not self.changes and not any(one.is_news for one in self.words)


@dataclass(frozen=True)
class Applied:
    """What was done; or, where `refused` says why not, nothing."""

    look: Look
    migrated: Mapping[str, int] = field(default_factory=dict)
    let_out: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def look(
    connection: Connection, files: Files, now: datetime | None = None, *, everything: bool = False
) -> Look:
    """Return what these files would change; with `now`, also how many customers meet exits that are asked from then on.

    With `everything`, versions that keep older words get today's as well.
    """
    states = journeys.by_name(connection)
    changes = [
        change
        for plan in files.plans
        if (change := _change(connection, files, plan, states.get(plan.journey)))
    ]
    if now is not None:
        plans = {plan.journey: plan for plan in files.plans}
        changes = [
            _with_heads(connection, one, plans[one.name], states.get(one.name), now, files.zone)
            for one in changes
        ]
    changes += [_removal(connection, state) for state in _without_file(files, states).values()]
    changes.sort(key=lambda one: one.name)
    words = _words(connection, files, changes, everything=everything)
    return Look(tuple(changes), _fingerprint(files, states, changes), words)


def _words(
    connection: Connection, files: Files, changes: Sequence[JourneyChange], *, everything: bool
) -> tuple[Wording, ...]:
    """Return what becomes of the copies that versions keep, as far as it is told: not those that stay as they are."""
    if files.words is None:
        return ()
    leaving = {one.name for one in changes if one.in_flight != "finish"}
    found = decided(connection, files.plans, files.words, everything=everything, leaving=leaving)
    return tuple(one for one in found if one.fate == "replaced" or (one.fate in STAYS and one.inside))


def differing(connection: Connection, files: Files) -> tuple[str, ...]:
    """Return the journeys whose files are not what runs, those included of which a stored version cannot be read."""
    states = journeys.by_name(connection)
    changed = {plan.journey for plan in files.plans if _differs(connection, files, plan, states)}
    reworded = {
        f"the words of {one.template}"
        for one in (decided(connection, files.plans, files.words) if files.words else ())
        if one.fate == "replaced"
    }
    return (*sorted(changed | {*_without_file(files, states)}), *sorted(reworded))


def keep_words(store: Store, files: Files, *, only_new: bool = False) -> None:
    """Let versions keep copies of their templates as the files have them; `only_new` those that have none yet."""
    if files.words is None:
        return
    with store.transaction() as connection:
        store.lock(connection, "journeys")
        found = decided(connection, files.plans, files.words)
        settle(connection, [one for one in found if one.fate == "new" or not only_new], files.words)


def apply(
    store: Store,
    files: Files,
    now: datetime,
    expected: Mapping[str, Any] | None = None,
    *,
    everything: bool = False,
) -> Applied:
    """Make the files' journeys the live ones and move those inside as they say, all in one transaction.

    Refuses where the world is not as `expected` (a fingerprint) any more, or where people would have no step to go
    on at; then nothing is changed. With `everything`, versions that keep older words get today's as well.
    """
    with store.transaction() as connection:
        ids = [state.journey_id for state in journeys.by_name(connection).values()]
        store.lock(connection, "journeys", *(f"journey {id_}" for id_ in ids))
        found = look(connection, files, everything=everything)
        refused = (*_moved_on(expected, found), *_stuck(found))
        if refused:
            return Applied(found, refused=refused)
        publish_within(connection, files.plans, files.sources, now)
        migrated, let_go = dict[str, int](), dict[str, int]()
        for change in found.changes:
            if change.in_flight == "migrate":
                migrated[change.name] = _migrate(connection, change.name, files.zone, now)
            elif change.in_flight == "exit":
                let_go[change.name] = _let_out(connection, change.name, now)
        if files.words is not None:
            settled = decided(connection, files.plans, files.words, everything=everything)
            settle(connection, settled, files.words)
        return Applied(found, migrated, let_go)


# --- looking ------------------------------------------------------------------------------------------------


def _change(
    connection: Connection, files: Files, plan: Plan, state: StoredJourney | None
) -> JourneyChange | None:
    """Return what a file changes; None where it is what runs, or its journey was stopped."""
    latest = journeys.latest(connection, state.journey_id) if state else None
    if state is None or latest is None:
        source, in_flight = files.sources.get(plan.journey, ""), files.in_flight(plan)
        parts, steps = added_parts(plan), added_steps(plan)
        exits = asked_exits(None, plan)
        return JourneyChange(plan.journey, "added", in_flight, 0, parts, steps, "", source, exits)
    is_same = state.version_id is not None and kept_as(connection, state.journey_id, plan) == state.version_id
    if is_stopped(connection, state, plan) or (is_same and files.in_flight(plan) == "finish"):
        return None
    found = _edit(connection, files, plan, state, latest)
    if is_same:
        return replace(found, change="unchanged") if found.inside else None
    return found if state.version_id is not None else replace(found, change="added")


def _differs(connection: Connection, files: Files, plan: Plan, states: Mapping[str, StoredJourney]) -> bool:
    try:
        return _change(connection, files, plan, states.get(plan.journey)) is not None
    except PlanError:
        return True


def _without_file(files: Files, states: Mapping[str, StoredJourney]) -> dict[str, StoredJourney]:
    """Return the live journeys, by name, that have no file any more."""
    here = {plan.journey for plan in files.plans}
    return {name: one for name, one in states.items() if name not in here and one.version_id is not None}


def _edit(
    connection: Connection, files: Files, plan: Plan, state: StoredJourney, latest: int
) -> JourneyChange:
    """Return what is different from the version that is live, or was the last to be."""
    old, new = from_json(journeys.plan(connection, latest)), from_json(to_json(plan))
    target, numbers = _target(connection, state.journey_id, new)
    occupancy = _occupancy(connection, state.journey_id, latest, new, target, numbers)
    ids = {number: id_ for id_, number in journeys.steps(connection, state.journey_id)[latest].items()}
    same = {id_: ids[number] for id_, number in numbers.items() if number in ids}
    return JourneyChange(
        plan.journey,
        "changed",
        files.in_flight(plan),
        sum(one.inside for one in occupancy),
        *compare(old, new, same, occupancy),
        journeys.source(connection, latest),
        files.sources.get(plan.journey, ""),
        asked_exits(old, new),
    )


def _with_heads(
    connection: Connection,
    change: JourneyChange,
    plan: Plan,
    state: StoredJourney | None,
    now: datetime,
    zone: str,
) -> JourneyChange:
    journey_id = state.journey_id if state else None
    target = kept_as(connection, journey_id, plan) if journey_id is not None else None
    heads = Heads(connection, plan, journey_id, target, now, zone)
    return replace(change, exits=heads.of(change.exits))


def _removal(connection: Connection, state: StoredJourney) -> JourneyChange:
    assert state.version_id is not None
    old = from_json(journeys.plan(connection, state.version_id))
    occupancy = _occupancy(connection, state.journey_id, state.version_id, old, None, {})
    source = journeys.source(connection, state.version_id)
    inside, steps = sum(one.inside for one in occupancy), removed_steps(old, occupancy)
    return JourneyChange(old.journey, "removed", "finish", inside, (), steps, source, "")


def _target(connection: Connection, journey_id: int, plan: Plan) -> tuple[int | None, dict[str, int]]:
    """Return the version this plan is already kept as, if any, and the numbers of its steps that are known."""
    version_id = kept_as(connection, journey_id, plan)
    if version_id is not None:
        return version_id, journeys.steps(connection, journey_id)[version_id]
    return None, known_steps(connection, journey_id, plan)


def _occupancy(
    connection: Connection,
    journey_id: int,
    latest: int,
    new: Plan,
    target: int | None,
    numbers: Mapping[str, int],
) -> list[Occupancy]:
    """Return how many customers are at each step, over all versions but the new one."""
    steps = journeys.steps(connection, journey_id)
    shown = {number: id_ for id_, number in steps[latest].items()}
    found: dict[str, Occupancy] = {}
    for version_id, number, inside in journeys.occupancy(connection, journey_id):
        if version_id == target:
            continue
        own = {n: id_ for id_, n in steps[version_id].items()}[number]
        id_ = shown.get(number, own)
        before = found.get(id_, Occupancy(id_, 0, None))
        to = before.target or place(new, numbers, number, own)
        found[id_] = Occupancy(id_, before.inside + inside, to)
    return list(found.values())


def place(new: Plan, numbers: Mapping[str, int], number: int, own: str) -> str | None:
    """Return the id of the step in a new version at which those who stand at a step go on: the same one, or by `moved`."""
    same = next((id_ for id_, known in numbers.items() if known == number), None)
    return same or dict(new.moved).get(own)


# --- what somebody was shown --------------------------------------------------------------------------------


def _fingerprint(
    files: Files, states: Mapping[str, StoredJourney], changes: Sequence[JourneyChange]
) -> dict[str, Any]:
    """Return what a plan depends on, as plain values: the files, what runs, and who stands at the changed steps."""
    words = files.words.templates if files.words else {}
    return {
        "files": {plan.journey: plan_hash(plan) for plan in files.plans},
        "words": {name: one.digest for name, one in words.items()},
        "live": {name: state.hash for name, state in states.items()},
        "paused": [name for name, state in states.items() if state.paused],
        "standing": {one.name: {step.id: step.inside for step in one.steps} for one in changes},
    }


def _moved_on(expected: Mapping[str, Any] | None, found: Look) -> Iterator[str]:
    """Say what is no longer as it was shown. Who stands where matters only where people are to be moved."""
    if expected is None:
        return
    now = found.fingerprint
    for name in sorted({*expected["files"], *now["files"]}):
        if expected["files"].get(name) != now["files"].get(name):
            yield f"The file of {name} is not as it was."
    shown, said = expected.get("words", {}), now["words"]
    for name in sorted({*shown, *said}):
        if shown.get(name) != said.get(name):
            yield f"The words of {name} are not as they were."
    for name in sorted({*expected["live"], *now["live"]}):
        if expected["live"].get(name) != now["live"].get(name):
            yield f"Another version of {name} runs by now."
    for name in sorted({*expected["paused"]} ^ {*now["paused"]}):
        yield f"{name} has been {'paused' if name in now['paused'] else 'resumed'}."
    for change in found.changes:
        if change.in_flight == "migrate":
            stood = expected["standing"].get(change.name, {})
            for step in change.steps:
                if step.inside != stood.get(step.id, 0):
                    yield f"{step.inside:,} customers stand at {step.id} of {change.name}, not {stood.get(step.id, 0):,}."


def _stuck(found: Look) -> Iterator[str]:
    """Say who would have no step to go on at."""
    for change in found.changes:
        for step in change.stuck if change.in_flight == "migrate" else ():
            yield (
                f"{step.inside:,} customers stand at {step.id} of {change.name}, which the new version lacks. Write "
                f"`moved: {{{step.id}: ID}}` with the step they go on at, or let them finish their version."
            )


# --- moving people ------------------------------------------------------------------------------------------


def _migrate(connection: Connection, name: str, zone: str, now: datetime) -> int:
    """Bring everyone inside a journey to its live version: to the same step, or where `moved` says. Timers run on."""
    state = journeys.by_name(connection)[name]
    assert state.version_id is not None
    new = from_json(journeys.plan(connection, state.version_id))
    steps = journeys.steps(connection, state.journey_id)
    numbers, moved = steps[state.version_id], 0
    watching = {numbers[stage.id] for stage in new.stages if stage.waits_for() is not None}
    inside = {one[0] for one in journeys.occupancy(connection, state.journey_id)}
    for version_id in inside - {state.version_id}:
        to = {n: place(new, numbers, n, own) for own, n in steps[version_id].items()}
        where = {n: numbers[id_] for n, id_ in to.items() if id_ is not None}
        looks = [n for n, number in where.items() if number in watching]
        moved += _move(connection, version_id, state.version_id, where, looks, steps[version_id], now)
    if any(exit_.condition is not None for exit_ in new.exits):
        connection.execute(_looking_at(state.journey_id, state.version_id, now))
    if new.goal and new.goal.within:
        _open_windows(connection, state.version_id, new.goal.within, zone)
    return moved


def _looking_at(journey_id: int, version_id: int, now: datetime) -> Executable:
    """Return what has those inside a version looked at: it may know other reasons to leave."""
    at = literal(now, Instant)
    inside = (enrollment.c.version_id == version_id, enrollment.c.outcome == Outcome.inside.value)
    columns = (
        literal(journey_id, BigInteger),
        enrollment.c.customer_id,
        literal(ArrivalKind.touch.value),
        at,
        at,
    )
    query = select(*columns).where(*inside).distinct()
    return insert(arrival).from_select(["journey_id", "customer_id", "kind", "at", "effective_at"], query)


def _move(
    connection: Connection,
    old: int,
    new: int,
    where: Mapping[int, int],
    looks: Sequence[int],
    ids: Mapping[str, int],
    now: datetime,
) -> int:
    """Bring those at each step of `where` to the step it names there; `looks` are those that go on to wait for something."""
    names = {number: id_ for id_, number in ids.items()}
    to = case(where, value=enrollment.c.step_id, else_=enrollment.c.step_id)
    was = case({number: literal(names[number], Text) for number in where}, value=enrollment.c.step_id)
    these = (
        enrollment.c.version_id == old,
        enrollment.c.outcome == Outcome.inside.value,
        enrollment.c.step_id.in_(where),
    )
    detail = json_object(connection.dialect.name, **{"from": literal(old, BigInteger), "was": was})
    migrated = note(
        customer=enrollment.c.customer_id,
        journey=enrollment.c.journey_id,
        enrollment=enrollment.c.id,
        step=to,
        at=now,
        decision=Decision.migrated,
        detail=detail,
        where=these,
    )
    connection.execute(migrated)
    # Who waits for something looks at once, since it may be something else now; a timer that runs ends when it would have.
    due = case(
        (enrollment.c.deadline_at.is_(None), enrollment.c.due_at),
        (enrollment.c.step_id.in_(looks), _earlier(enrollment.c.due_at, literal(now, Instant))),
        else_=enrollment.c.deadline_at,
    )
    moved = update(enrollment).where(*these).values(version_id=new, step_id=to, due_at=due)
    return connection.execute(moved).rowcount


def _earlier(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((one < other, one), else_=other)


def _open_windows(connection: Connection, version_id: int, within: Duration, zone: str) -> None:
    """Give those who came without one the time until which the goal counts; one that is open keeps its end."""
    without = (
        select(enrollment.c.id, enrollment.c.customer_id, enrollment.c.entered_at)
        .where(
            enrollment.c.version_id == version_id,
            enrollment.c.outcome == Outcome.inside.value,
            enrollment.c.convert_by.is_(None),
        )
        .subquery("without")
    )
    until = later(connection, without, without.c.entered_at, within, zone, without.c.id).subquery("until")
    connection.execute(
        update(enrollment).values(convert_by=until.c.due).where(enrollment.c.id == until.c.key)
    )


def _let_out(connection: Connection, name: str, now: datetime) -> int:
    state = journeys.by_name(connection)[name]
    assert state.version_id is not None
    return let_out(connection, state.journey_id, state.version_id, now)
