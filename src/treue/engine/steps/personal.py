"""Renders the templates in `set` and `emit` for each customer of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from treue.cohorts.scene import Scene
from treue.language.steps import is_template
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.render.templates import context
from treue.render.templates.expressions import Expression
from treue.store import validation


@dataclass(frozen=True)
class Personal:
    """Renders values for each of a cohort. What cannot be rendered or does not fit its type is left out."""

    attributes: Mapping[str, str]
    properties: Mapping[str, Mapping[str, str]]

    def values(
        self,
        values: Mapping[str, Any],
        row: Any,
        scene: Scene,
        types: Mapping[str, str],
        *,
        only_templates: bool,
    ) -> dict[str, Any]:
        """Return the values for one of the cohort; those that are no templates are left out with `only_templates`."""
        seen, found = _seen(row, scene), dict[str, Any]()
        for name, value in values.items():
            if not is_template(value):
                if not only_templates:
                    found[name] = value
                continue
            text = Expression.of(value).text(seen)
            if text is None:
                continue
            try:
                found[name] = validation.fit(text, types.get(name, "text"), scene.zone)
            except validation.Misfit:
                continue
        return found


def _seen(row: Any, scene: Scene) -> dict[str, Any]:
    built_in = {name: getattr(row, "key" if name == "id" else name) for name in BUILT_IN_ATTRIBUTES}
    started = {**(row.properties or {}), "name": row.event_name, "at": row.event_at}
    return context.of_journey({**row.attributes, **built_in}, started, scene.version.name, row.effective_at)
