"""`award` books loyalty points or a voucher. Its engine is yet to come."""

from __future__ import annotations

from typing import Any

from treue.language.grammar import Fields, Key, LaterShape, Shape, Text, Whole
from treue.language.step_rows import STEP_ID, common, step_row
from treue.language.words import Word


def _award(fields: Fields) -> Any:
    given = [name for name in ("points", "voucher") if fields.written(name)]
    if len(given) != 1:
        what = "`points` and `voucher` do not go together." if given else "This awards nothing."
        hint = "Write `award: {points: 50}` or `award: {voucher: NAME}`."
        at = fields.at("voucher") if given else fields.node
        return fields.context.say(at, "T207" if given else "T202", what, hint)
    if fields.written("reason") and given == ["voucher"]:
        return fields.context.say(fields.at("reason"), "T207", "`reason` belongs to `points`.")
    return given[0], fields.get(given[0]), fields.get("reason")


AWARD = Shape(
    "award",
    "Loyalty points, or a voucher.",
    (
        Key("points", Whole(1, 1_000_000), "So many loyalty points."),
        Key("voucher", Text("the name of a voucher programme", STEP_ID), "A voucher of this programme."),
        Key("reason", Text(), "What the points are for."),
    ),
    _award,
    "a mapping with `points` or `voucher`",
)
ROW = step_row(
    "award", "Books loyalty points or a voucher.", AWARD, lambda fields: (common(fields), fields.get("award"))
)
WORD = Word("step", {"award": LaterShape(ROW)})
