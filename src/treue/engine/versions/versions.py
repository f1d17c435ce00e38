"""A plan that lives in the store: its numbers there, and how plans get in and out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from treue.cohorts.kept import Kept
from treue.engine.versions.watching import watch_for
from treue.errors import PlanError
from treue.language.steps import Stage
from treue.model.states import JourneyState
from treue.plan.alignment import align, is_path
from treue.plan.plan import Plan
from treue.plan.stored import from_json, plan_hash, to_json
from treue.store import journeys
from treue.store.journeys import StoredJourney, StoredVersion
from treue.store.store import Store


@dataclass(frozen=True)
class Version:
    """One version of a journey with its numbers in the store. Only a `live` one lets customers in.

    `sensed` says that it is known who was in its segment when the journey went live. `kept` is what has been made for it,
    such as statements.
    """

    plan: Plan
    hash: str
    journey_id: int
    version_id: int
    steps: Mapping[str, int] = field(hash=False)
    live: bool = True
    live_since: datetime | None = None
    paused: bool = False
    sensed: bool = False
    first_names: Mapping[int, str] = field(default_factory=dict, hash=False)
    kept: Kept = field(default_factory=Kept, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The journey's name."""
        return self.plan.journey

    def number(self, stage: Stage | str | None) -> int | None:
        """Return the number of a stage, or None for the end of the journey."""
        if stage is None:
            return None
        return self.steps[stage if isinstance(stage, str) else stage.id]

    def first_name(self, stage: Stage) -> str:
        """Return the id a stage had when it was first published: what draws are made from, whatever it is called now."""
        return self.first_names.get(self.steps[stage.id], stage.id)


@dataclass(frozen=True)
class Published:
    """What publishing changed, by name."""

    changed: tuple[str, ...]
    retired: tuple[str, ...]


def publish(store: Store, plans: Iterable[Plan], sources: Mapping[str, str], now: datetime) -> Published:
    """Make these plans the live ones; journeys that are not among them let nobody in any more.

    `sources` are the files' texts by journey, kept with each version.
    """
    with store.transaction() as connection:
        store.lock(connection, "journeys")
        return publish_within(connection, list(plans), sources, now)


def publish_within(
    connection: Connection, plans: Sequence[Plan], sources: Mapping[str, str], now: datetime
) -> Published:
    """Do what `publish` does within a transaction that has the lock `journeys`."""
    changed = [plan.journey for plan in plans if _publish(connection, plan, sources, now)]
    kept = {plan.journey for plan in plans}
    gone = [name for name in journeys.names(connection) if name not in kept]
    retired = [name for name in gone if journeys.retire(connection, name)]
    versions = Versions()
    watch_for(connection, versions.load(connection), versions.unreadable)
    return Published(tuple(changed), tuple(retired))


def is_stopped(connection: Connection, stored: StoredJourney, plan: Plan) -> bool:
    """Whether a journey was stopped and its file has not changed since: it stays stopped until it is resumed."""
    if stored.state is not JourneyState.stopped:
        return False
    latest = journeys.latest(connection, stored.journey_id)
    return latest is not None and latest == kept_as(connection, stored.journey_id, plan)


def kept_as(connection: Connection, journey_id: int, plan: Plan) -> int | None:
    """Return the version a plan is kept as, or None.

    The latest one is read and hashed again: an earlier Treue may have written plans with fewer words. One that
    cannot be read is known by the hash it was kept with: its journey is held, and keeps no worker from starting.
    """
    hash_ = plan_hash(plan)
    latest = journeys.latest(connection, journey_id)
    with suppress(PlanError):
        if latest is not None and plan_hash(from_json(journeys.plan(connection, latest))) == hash_:
            return latest
    return journeys.kept(connection, journey_id, hash_)


def _publish(connection: Connection, plan: Plan, sources: Mapping[str, str], now: datetime) -> bool:
    journey_id = journeys.numbered(connection, plan.journey, now)
    if is_stopped(connection, journeys.by_name(connection)[plan.journey], plan):
        return False
    version_id = kept_as(connection, journey_id, plan)
    if version_id is None:
        source, steps = sources.get(plan.journey, ""), number_steps(connection, journey_id, plan)
        document = to_json(plan)
        version_id = journeys.keep(connection, journey_id, plan_hash(plan), document, source, steps, now)
    return journeys.publish(connection, journey_id, version_id, now)


def number_steps(connection: Connection, journey_id: int, plan: Plan) -> dict[str, int]:
    """Return the numbers of a new version's steps: those of the steps they were before, new ones for the others."""
    found = known_steps(connection, journey_id, plan)
    new = [stage.id for stage in plan.stages if stage.id not in found]
    return found | journeys.new_steps(connection, journey_id, new)


def known_steps(connection: Connection, journey_id: int, plan: Plan) -> dict[str, int]:
    """Return the numbers of those of a new version's steps that are steps of an earlier one."""
    before = journeys.steps(connection, journey_id)
    found: dict[str, int] = {}
    if (latest := journeys.latest(connection, journey_id)) is not None:
        same = align(from_json(journeys.plan(connection, latest)), plan)
        found = {id_: before[latest][was] for id_, was in same.items()}
    for steps in reversed(before.values()):  # a name that was gone for a while comes back
        for stage in plan.stages:
            number = None if is_path(stage.id) else steps.get(stage.id)
            if stage.id not in found and number is not None and number not in found.values():
                found[stage.id] = number
    return found


class Versions:
    """The versions in use, each read and parsed once per process."""

    def __init__(self) -> None:
        self._known: dict[StoredVersion, Version] = {}
        self.unreadable: dict[int, tuple[str, PlanError]] = {}

    def load(self, connection: Connection) -> list[Version]:
        """Return all versions in use: the live ones, and those that still have customers or messages.

        A journey one of whose plans cannot be read, as another version of Treue may have written it, is left out
        as a whole: those inside could not be told what happens. `unreadable` has its number, name and the error.
        """
        found, self.unreadable = journeys.in_use(connection), {}
        for row in found:
            try:
                if row not in self._known:
                    self._known[row] = self._read(connection, row)
            except PlanError as error:
                self.unreadable[row.journey_id] = row.name, error
        return [self._known[row] for row in found if row.journey_id not in self.unreadable]

    def _read(self, connection: Connection, row: StoredVersion) -> Version:
        return Version(
            from_json(journeys.plan(connection, row.version_id)),
            row.hash,
            row.journey_id,
            row.version_id,
            journeys.steps(connection, row.journey_id)[row.version_id],
            row.live,
            row.live_since,
            row.paused,
            row.sensed,
            journeys.first_names(connection, row.journey_id),
        )


def in_order(versions: Sequence[Version]) -> list[int]:
    """Return the numbers of the journeys of some versions in the order of a pass: highest priority first, then by name."""
    leading: dict[int, Version] = {}
    for version in sorted(versions, key=lambda one: (one.live, one.version_id)):
        leading[version.journey_id] = version
    return sorted(leading, key=lambda id_: (-leading[id_].plan.priority, leading[id_].name))
