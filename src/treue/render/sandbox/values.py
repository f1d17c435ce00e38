"""The values a template meets that are not plain data: a missing one, an unknown one, a sample."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NoReturn

from jinja2 import Undefined

from treue.render.problem import Fault

LONGEST_NAME = 100
"""Characters of the name under which a value is missed."""
PRINTABLE = (str, int, float, Decimal, date, datetime, time)


class Missing(Undefined):
    """An attribute, property or item that is declared but that this customer lacks.

    It is false, empty, unequal and not greater or less than anything; `default` replaces it. Printing it or
    counting with it fails, as nobody should read "Hello ,".
    """

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        super().__init__(name=name)
        self.name = name[:LONGEST_NAME]

    def fail(self) -> NoReturn:
        """Stop the rendering with a sentence that says what to write instead."""
        raise missing(self.name)

    def __str__(self) -> str:
        self.fail()

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = Undefined.__hash__

    def __lt__(self, other: object) -> bool:  # type: ignore[override]
        return False

    __le__ = __gt__ = __ge__ = __lt__  # type: ignore[assignment]

    def __contains__(self, item: object) -> bool:
        return False


def missing(name: str) -> Fault:
    """Return the fault of printing something this customer lacks."""
    if name.startswith("customer.") or "." not in name:
        what = f"This customer has no {name.removeprefix('customer.') or 'such value'}"
    else:
        what = f"There is no {name} here"
    shown = name or "…"
    return Fault(
        "missing-value",
        f"{what}; write {{{{ {shown} | default('…') }}}} or put it into {{% if {shown} %}}.",
        name,
    )


class MadeUp:
    """Marks values made up by `check`, which no rule about a value's form refuses."""


class SampleText(MadeUp, str):
    """A text of which nothing is known but that it is one."""


class AnyValue(MadeUp, int):
    """A value of which not even the type is known: a number, a web address, a list of one and a record."""

    def __str__(self) -> str:
        return "https://example.com/sample"


class AnyRecord(MadeUp, dict[str, Any]):
    """A record that has every field."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the field if it was given, else a value that fits everywhere."""
        return super().get(key, AnyValue(1))
