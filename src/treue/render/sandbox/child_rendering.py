"""Rendering in the child process (`child`), which imports it with the first template that it is asked for."""

from __future__ import annotations

import marshal
from typing import Any

from jinja2 import Template as JinjaTemplate

from treue.render.sandbox import sandbox
from treue.render.sandbox.frames import KEPT
from treue.render.templates.compiled import HTML, TEXT, fault_of, line_of, render_here

_templates: dict[bytes, JinjaTemplate] = {}


def render(key: bytes, code: bytes | None, html: bool, variables: dict[str, Any]) -> dict[str, Any]:
    """Render a part. Its code comes with the first request of those that this process has kept it since."""
    if code is not None:
        if len(_templates) >= KEPT:
            _templates.clear()
        _templates[key] = JinjaTemplate.from_code(HTML if html else TEXT, marshal.loads(code), {})  # noqa: S302
    template, state = _templates[key], variables[sandbox.STATE]
    made: dict[str, Any]
    try:
        made = {"text": render_here(template, variables)}
    except MemoryError:
        raise
    except Exception as error:
        fault = fault_of(error)
        made = {"fault": [fault.code, fault.message, fault.name], "line": line_of(template, error)}
    return made | {"work": state.work, "loops": state.loops}
