"""Deleting old rows by a workspace's settings: what `treue db vacuum` does at once, and workers do by night, some seconds a pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from treue.clock import resolve
from treue.composition.assembly import make_renderer, plans
from treue.delivery.writing.composer import ORDER_EVENT
from treue.engine.passes.chores import AT_NIGHT, SECONDS_A_PASS
from treue.engine.versions.needed import rules
from treue.language.retention import Retention
from treue.render.templates.renderer import Renderer
from treue.segments.memory import Memory
from treue.store import failures, heartbeat, journeys, wordings
from treue.store.past.sweep import Progress
from treue.store.past.vacuum import vacuum as delete_old
from treue.store.store import Store
from treue.workspace.workspace import Workspace

_DAY, _AGAIN = timedelta(days=1), timedelta(hours=1)


def vacuum(
    workspace: Workspace, store: Store, now: datetime, progress: Progress | None = None
) -> Mapping[str, int]:
    """Delete what is older than the workspace keeps it and needed by nothing; return how many rows of which table.

    May be stopped and begun again at any time, beside passes. Raises PlanError, and deletes nothing, where a plan cannot be
    read: what it looks back to cannot be told.
    """
    settings, renderer = workspace.settings, make_renderer(workspace, store)
    besides = Memory.union(
        (
            *(one.condition.remembers() for one in workspace.segments.values()),
            *(Memory(messages=frozenset([(None, limit.per)])) for limit in settings.limits),
            _shown(workspace, renderer),
        )
    )
    with store.reading() as connection:
        found = rules(
            connection,
            settings.retention or Retention(),
            plans(workspace, renderer),
            besides,
            now,
            settings.timezone,
        )
    deleted = delete_old(store, found, now, progress or _untold)
    with store.transaction() as connection:
        store.lock(connection, "journeys")
        in_use = [version.version_id for version in journeys.in_use(connection)]
        return {**deleted, "wording": wordings.forget(connection, in_use)}


def nightly(workspace: Workspace, store: Store) -> Callable[[datetime], None] | None:
    """Return what each pass of a worker calls with its time; None where the settings do not say how long rows are kept."""
    return _Nights(workspace, store) if workspace.settings.retention is not None else None


class _Nights:
    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.workspace, self.store = workspace, store

    def __call__(self, now: datetime) -> None:
        """Delete old rows for some seconds, where the night's turn has come and no other worker is at it.

        What fails is recorded, and tried again after an hour; it keeps no pass from succeeding.
        """
        if not self._is_due(now):
            return
        with self.store.transaction() as connection:
            if not heartbeat.claim(connection, heartbeat.VACUUM, now):
                return
        try:
            over = self._delete(now)
        except Exception as error:
            with self.store.transaction() as connection:
                heartbeat.fail(connection, now, failures.reason(error), heartbeat.VACUUM)
            return
        with self.store.transaction() as connection:
            if over:
                heartbeat.succeed(connection, now, heartbeat.VACUUM)
            else:
                heartbeat.leave(connection, heartbeat.VACUUM, now)

    def _is_due(self, now: datetime) -> bool:
        with self.store.reading() as connection:
            nights = heartbeat.find(connection, heartbeat.VACUUM)
        if nights is None:
            with self.store.transaction() as connection:
                heartbeat.begin(connection, now - heartbeat.LEASE, _DAY, heartbeat.VACUUM)
            return True
        if nights.failed_at is not None and now < nights.failed_at + _AGAIN:
            return False
        return nights.succeeded_at is None or nights.succeeded_at < self._last_night(now)

    def _last_night(self, now: datetime) -> datetime:
        zone = self.workspace.settings.timezone
        local = now.astimezone(ZoneInfo(zone))
        day = local.date() if local.time() >= AT_NIGHT else local.date() - _DAY
        return resolve(datetime.combine(day, AT_NIGHT), zone)

    def _delete(self, now: datetime) -> bool:
        """Delete old rows as far as time allows; say whether all are deleted. What is left goes on where this has come to."""
        until = time.monotonic() + SECONDS_A_PASS

        def stop(_table: str, _number: int) -> None:
            if time.monotonic() > until:
                raise _TimeIsUp

        try:
            vacuum(self.workspace, self.store, now, stop)
        except _TimeIsUp:
            return False
        return True


class _TimeIsUp(Exception):  # noqa: N818 - nothing is wrong
    """The seconds of a pass are over."""


def _shown(workspace: Workspace, renderer: Renderer) -> Memory:
    """Return the events that templates show: a customer's latest orders, however old."""
    shows = any(
        "orders" in renderer.names_used(name, channel)
        for name in workspace.templates
        for channel, _ in renderer.sound(name)
    )
    return Memory(events=frozenset([(ORDER_EVENT, None)] if shows else ()))


def _untold(_table: str, _number: int) -> None:
    """Tell nobody."""
