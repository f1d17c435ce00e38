"""`ask` sends a survey; the answer becomes an event `survey.answered`. Its engine is yet to come."""

from __future__ import annotations

from typing import Any

from treue.language.grammar import Fields, Key, LaterShape, Name, Option, Reference
from treue.language.step_rows import ON_KEY, common, step_row
from treue.language.words import Word


def _build(fields: Fields) -> Any:
    template, node = fields.get("template"), fields.node.get("template")
    if node is not None:
        for channel in fields.get("on", ()):
            fields.context.references.append(Reference("variant", template, node.place, channel))
    return common(fields), fields.get("ask")


ROW = step_row(
    "ask",
    "Sends a survey; the answer becomes an event `survey.answered`.",
    Option(("nps", "csat", "ces")),
    _build,
    ON_KEY,
    Key("template", Name("template"), "The message with the survey's link."),
)
WORD = Word("step", {"ask": LaterShape(ROW)})
