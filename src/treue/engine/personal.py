"""`set` and `emit` with templates in their values: the one place where a stage looks at customers one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from treue.engine.statements import SKIP, Scene, is_template
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.model.tables import cohort, customer, event
from treue.plan.stages import Emit, Set, Stage
from treue.render.expressions import Expression
from treue.store import events, validation
from treue.store.inputs import EventInput


@dataclass(frozen=True)
class Personal:
    """Renders values for each of a cohort. What cannot be rendered or does not fit its type is left out."""

    attributes: Mapping[str, str]
    properties: Mapping[str, Mapping[str, str]]

    def __call__(self, scene: Scene, stage: Stage) -> None:
        """Do a stage's personal part inside its transaction."""
        assert scene.connection is not None
        if isinstance(stage, Set) and any(is_template(value) for _, value in stage.values):
            self._set(scene.connection, scene, stage)
        elif isinstance(stage, Emit) and any(is_template(value) for _, value in stage.data):
            self._emit(scene.connection, scene, stage)

    def _set(self, connection: Connection, scene: Scene, stage: Set) -> None:
        written = []
        for row in _rows(connection):
            values = _rendered(
                dict(stage.values), _context(row, scene), self.attributes, scene.zone, only_templates=True
            )
            if values:
                written.append({"which": row.id, "attributes": {**row.attributes, **values}})
        if written:
            connection.execute(
                update(customer)
                .where(customer.c.id == bindparam("which"))
                .values(attributes=bindparam("attributes"), updated_at=scene.now),
                written,
            )

    def _emit(self, connection: Connection, scene: Scene, stage: Emit) -> None:
        types = self.properties.get(stage.event, {})
        given = [
            EventInput(
                row.key,
                stage.event,
                row.logical_at,
                _rendered(dict(stage.data), _context(row, scene), types, scene.zone, only_templates=False),
                f"emit:{row.enrollment_id}:{scene.version.number(stage)}",
                f"journey:{scene.version.name}",
            )
            for row in _rows(connection)
        ]
        if given:
            events.record(connection, given, scene.now)


def _rows(connection: Connection) -> list[Any]:
    query = (
        select(
            customer,
            cohort.c.enrollment_id,
            cohort.c.at.label("logical_at"),
            event.c.name.label("event_name"),
            event.c.at.label("event_at"),
            event.c.properties,
        )
        .join(customer, customer.c.id == cohort.c.customer_id)
        .outerjoin(event, event.c.id == cohort.c.event_id)
        .where(cohort.c.note.is_distinct_from(SKIP))
    )
    return list(connection.execute(query))


def _context(row: Any, scene: Scene) -> dict[str, Any]:
    built_in = {name: getattr(row, "key" if name == "id" else name) for name in BUILT_IN_ATTRIBUTES}
    started = {**(row.properties or {}), "name": row.event_name, "at": row.event_at}
    return {
        "customer": {**row.attributes, **built_in},
        "event": started,
        "journey": {"name": scene.version.name},
        "now": scene.now,
    }


def _rendered(
    values: dict[str, Any],
    context: dict[str, Any],
    types: Mapping[str, str],
    zone: str,
    *,
    only_templates: bool,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if not is_template(value):
            if not only_templates:
                found[name] = value
            continue
        text = Expression.of(value).text(context)
        if text is None:
            continue
        try:
            found[name] = validation.fit(text, types.get(name, "text"), zone)
        except validation.Misfit:
            continue
    return found
