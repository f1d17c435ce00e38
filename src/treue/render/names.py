"""The names a template may use, and which of their parts are declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CUSTOMER = frozenset({"id", "email", "phone", "locale", "timezone"})
EVENT = frozenset({"id", "name", "at"})
SENDER = frozenset({"name", "email", "postal_address"})
LATER = ("points", "tier", "voucher", "survey", "recommend")
"""Names of the language that this version does not fill yet."""


@dataclass(frozen=True)
class Schema:
    """What the workspace declares: attributes and, per event, properties, each name with its type.

    Types are text, number, bool, date, time and list. None in place of a mapping means that nothing is
    declared and every name is taken.
    """

    attributes: Mapping[str, str] | None = None
    events: Mapping[str, Mapping[str, str]] | None = None
    data: frozenset[str] | None = field(default=None)

    def parts(self) -> dict[str, frozenset[str] | None]:
        """Return for each name the parts it has; None where any part is taken or it has none to name."""
        event = None
        if self.events is not None:
            event = EVENT.union(*(properties.keys() for properties in self.events.values()))
        return {
            "customer": None if self.attributes is None else CUSTOMER | self.attributes.keys(),
            "event": event,
            "journey": frozenset({"name"}),
            "step": frozenset({"id"}),
            "data": self.data,
            "now": None,
            "links": frozenset({"unsubscribe", "preferences", "view"}),
            "orders": None,
            "sender": SENDER,
            "workspace": SENDER,
        }
