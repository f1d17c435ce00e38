"""What may change whether a condition holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

CONSENT, OPT_OUT, SUPPRESSION = "consent:", "opt_out:", "suppression:"
MESSAGE, JOURNEY = "message:", "journey:"
"""What the names of touches begin with that are no attributes'; a channel, a fate or a journey follows."""

MERGED = "merged:"
"""The name of the touch that another record was merged into a customer's: it may change every answer."""


@dataclass(frozen=True)
class Touch:
    """The changes that can alter a condition's answer: where none of them has happened, the previous answer still holds.

    `events` are names of events, `attributes` of attributes, with the built-in ones such as addresses; `consents`
    and `suppressions` are channels, `journeys` those whose stays begin or end. `messages` are what may become of a
    message, such as `opened`. `time` says that the answer may change as time goes by.
    """

    events: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    consents: frozenset[str] = frozenset()
    suppressions: frozenset[str] = frozenset()
    journeys: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    time: bool = False

    def __or__(self, other: Touch) -> Touch:
        return Touch(
            self.events | other.events,
            self.attributes | other.attributes,
            self.consents | other.consents,
            self.suppressions | other.suppressions,
            self.journeys | other.journeys,
            self.messages | other.messages,
            self.time or other.time,
        )

    @classmethod
    def union(cls, many: Iterable[Touch]) -> Touch:
        """Return what may change any of them."""
        found = cls()
        for one in many:
            found |= one
        return found

    @property
    def only_events(self) -> bool:
        """Whether nothing but events, and time going by after them, changes it."""
        return replace(self, events=frozenset(), time=False) == Touch()

    def names(self) -> frozenset[str]:
        """Return the names of the touches that are no events: attributes by their own, all else behind a prefix."""
        return frozenset(self._names())

    def _names(self) -> Iterator[str]:
        yield from self.attributes
        for channel in self.consents:
            yield from (CONSENT + channel, OPT_OUT + channel)
        yield from (SUPPRESSION + channel for channel in self.suppressions)
        yield from (MESSAGE + fate for fate in self.messages)
        yield from (JOURNEY + journey for journey in self.journeys)
