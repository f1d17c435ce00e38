"""`{consent: email}`: whether the customer has agreed to a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treue.language.grammar import ChannelName, Key, Shape
from treue.language.words import Word
from treue.model.states import ADDRESS
from treue.segments.mentions import Mentions
from treue.segments.sources.consent.fact import ConsentFact
from treue.segments.sources.opt_out.fact import OptOutFact
from treue.segments.touch import Touch
from treue.segments.tree import Leaf


@dataclass(frozen=True)
class HasConsent(Leaf):
    """Whether the customer has agreed to a channel, and the address has not opted out since."""

    channel: str
    kind: Literal["consent"] = "consent"

    def words(self) -> str:
        """Return "has agreed to", with the channel."""
        return f"has agreed to {self.channel}"

    def facts(self) -> tuple[ConsentFact, OptOutFact]:
        """Return since when, and since when the address has been opted out."""
        return ConsentFact(self.channel), OptOutFact(self.channel)

    def mentions(self) -> Mentions:
        """Return the channel it asks about."""
        return Mentions(channels=frozenset([self.channel]))

    def changes_by(self) -> Touch:
        """Return the consent, and the address: another record of it may opt out."""
        return Touch(attributes=frozenset([ADDRESS[self.channel]]), consents=frozenset([self.channel]))


WORD = Word(
    "condition",
    {
        "consent": Shape(
            "consent condition",
            "Whether the customer has agreed to a channel, and the address has not unsubscribed since.",
            (Key("consent", ChannelName(), "The channel.", required=True),),
            lambda fields: HasConsent(fields.get("consent")),
            least="consent: email",
        )
    },
    (HasConsent,),
)
