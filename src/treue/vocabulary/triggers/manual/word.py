"""`enter: {manual: true}` lets in whom a command or an HTTP call names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from treue.language.grammar import Just, Key
from treue.language.triggers import Trigger, TriggerRow
from treue.language.words import Word


@dataclass(frozen=True)
class ManualTrigger(Trigger):
    """Brings nobody on its own: customers are enrolled by hand."""

    by_hand: ClassVar[bool] = True

    manual: bool = True
    kind: Literal["manual"] = "manual"

    def words(self) -> str:
        """Return "by hand", with the two ways to enrol."""
        return "by hand: treue enroll, or HTTP"


ROW = TriggerRow(
    Key("manual", Just(True), "Enter by command or HTTP call only."),
    lambda _fields: ManualTrigger(),
    "`manual: true`",
)
WORD = Word("trigger", {"manual": ROW}, (ManualTrigger,))
