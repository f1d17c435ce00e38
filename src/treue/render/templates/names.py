"""The names a template may use, and which of their parts are declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from treue.model.states import EVENT_PARTS
from treue.render.mail.links import Purpose

CUSTOMER = frozenset({"id", "email", "phone", "locale", "timezone"})
SENDER = frozenset({"name", "email", "postal_address"})
LINKS: tuple[Purpose, ...] = ("unsubscribe", "preferences", "view")
LATER = ("points", "tier", "voucher", "survey", "recommend")
"""Names of the language that this version does not fill yet."""


@dataclass(frozen=True)
class NameSchema:
    """What the workspace declares: attributes and, per event, properties, each name with its type.

    Types are text, number, bool, date, time and list. None in place of a mapping means that nothing is
    declared and every name is taken. `required` are the attributes that no customer lacks, `required_of` the
    properties that none of an event lacks, by its name.
    """

    attributes: Mapping[str, str] | None = None
    events: Mapping[str, Mapping[str, str]] | None = None
    data: frozenset[str] | None = field(default=None)
    required: frozenset[str] = frozenset()
    required_of: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def parts(self) -> dict[str, frozenset[str] | None]:
        """Return for each name the parts it has; None where any part is taken or it has none to name."""
        event = None
        if self.events is not None:
            event = EVENT_PARTS.union(*(properties.keys() for properties in self.events.values()))
        return {
            "customer": None if self.attributes is None else CUSTOMER | self.attributes.keys(),
            "event": event,
            "journey": frozenset({"name"}),
            "step": frozenset({"id"}),
            "data": self.data,
            "now": None,
            "links": frozenset[str](LINKS),
            "orders": None,
            "sender": SENDER,
            "workspace": SENDER,
        }
