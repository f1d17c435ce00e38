"""`{reachable: sms}`: whether a message may reach the customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.language.grammar import ChannelName, Key, Shape
from treue.language.words import Word
from treue.model.states import ADDRESS
from treue.segments.mentions import Mentions
from treue.segments.sources.consent.fact import ConsentFact
from treue.segments.sources.opt_out.fact import OptOutFact
from treue.segments.sources.suppression.fact import SuppressedFact
from treue.segments.touch import Touch
from treue.segments.tree import Leaf


@dataclass(frozen=True)
class Reachable(Leaf):
    """Whether a message may reach the customer: an address, an agreement, no opt-out and no suppression."""

    channel: str
    kind: Literal["reachable"] = "reachable"

    def words(self) -> str:
        """Return "reachable on", with the channel."""
        return f"reachable on {self.channel}"

    def facts(self) -> tuple[ConsentFact, OptOutFact, SuppressedFact]:
        """Return since when the customer has agreed, the address has opted out, and it is suppressed."""
        return ConsentFact(self.channel), OptOutFact(self.channel), SuppressedFact(self.channel)

    def mentions(self) -> Mentions:
        """Return the channel it asks about."""
        return Mentions(channels=frozenset([self.channel]))

    def changes_by(self) -> Touch:
        """Return that the address, the consent and suppressions change the answer."""
        channel = frozenset([self.channel])
        return Touch(attributes=frozenset([ADDRESS[self.channel]]), consents=channel, suppressions=channel)

    def reads_customer(self) -> bool:
        """Whether it looks at the customer's own row: at the address."""
        return True


WORD = Word(
    "condition",
    {
        "reachable": Shape(
            "reachable condition",
            "Whether a message may reach the customer: there is an address, an agreement, no opt-out and no suppression.",
            (Key("reachable", ChannelName(), "The channel.", required=True),),
            lambda fields: Reachable(fields.get("reachable")),
            least="reachable: sms",
        )
    },
    (Reachable,),
)
