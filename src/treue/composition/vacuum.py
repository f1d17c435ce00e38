"""Deleting old rows by a workspace's settings: what `treue db vacuum` does, and what is to be done once a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from treue.composition.assembly import make_renderer, plans
from treue.delivery.writing.composer import ORDER_EVENT
from treue.engine.versions.needed import rules
from treue.render.renderer import Renderer
from treue.segments.memory import Memory
from treue.store.past.sweep import Progress
from treue.store.past.vacuum import vacuum as delete_old
from treue.store.store import Store
from treue.workspace.workspace import Workspace


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
            settings.retention,
            plans(workspace, renderer),
            besides,
            now,
            settings.timezone,
        )
    return delete_old(store, found, now, progress or _untold)


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
