"""`{message: welcome, was: clicked}`: what became of a message to the customer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from treue.clock import Duration
from treue.language.conditions import WITHIN
from treue.language.grammar import ChannelName, Fields, Key, Name, Option, Shape, Text
from treue.language.source import Scalar
from treue.language.words import Word
from treue.model.kinds import UNSTORED
from treue.segments.expiry import Expiry
from treue.segments.fact import Fact
from treue.segments.memory import Memory
from treue.segments.mentions import Mentions
from treue.segments.touch import Touch
from treue.segments.tree import Leaf

State = Literal["sent", "delivered", "opened", "clicked", "bounced", "complained", "failed"]


@dataclass(frozen=True)
class MessageFact(Fact):
    """When a message of a customer, or of the stay that is asked, was last sent, opened and so on."""

    leaf: MessageWas | MessageOfStay

    def source(self) -> object:
        """Return one key for all facts: they are read together from the customer's messages, or from the stay's."""
        return self.leaf.kind


@dataclass(frozen=True)
class MessageWas(Leaf):
    """Whether a message (any, where `template` is empty) was sent, opened and so on, `within` the time before now."""

    template: str | None
    was: State
    within: Duration | None = None
    channel: str | None = None
    journey: str | None = None
    bare: bool = field(default=False, compare=False, repr=False, metadata=UNSTORED)
    """Whether nothing in the file says that messages of all stays and journeys are meant."""
    kind: Literal["message"] = "message"

    def words(self) -> str:
        """Return which messages count, and what became of them."""
        which = f"message {self.template}" if self.template is not None else "any message"
        channel = f" on {self.channel}" if self.channel is not None else ""
        journey = f" of journey {self.journey}" if self.journey is not None else ""
        within = f" within {self.within}" if self.within else ""
        return f"{which}{channel}{journey} was {self.was}{within}"

    def facts(self) -> tuple[MessageFact, ...]:
        """Return the fact with the time it last happened to such a message."""
        return (MessageFact(self),)

    def mentions(self) -> Mentions:
        """Return the template, the channel and the journey, as far as they are named."""
        named = ([name] if name else [] for name in (self.template, self.channel, self.journey))
        templates, channels, journeys = map(frozenset, named)
        return Mentions(templates=templates, channels=channels, journeys=journeys)

    def changes_by(self) -> Touch:
        """Return what became of messages, and time where only those of late count."""
        return Touch(messages=frozenset([self.was]), time=bool(self.within))

    def expiries(self) -> tuple[Expiry, ...]:
        """Return the time it last happened, where only messages of late count."""
        last = MessageFact(replace(self, within=None))
        return (Expiry(self.within, last, turns="at"),) if self.within else ()

    def remembers(self) -> Memory:
        """Return the messages that count, by what became of them within the time before now or ever."""
        return Memory(messages=frozenset([(self.template, self.within)]))

    def lengths(self) -> tuple[Duration, ...]:
        """Return how long ago the messages are that count."""
        return (self.within,) if self.within else ()


@dataclass(frozen=True)
class MessageOfStay(Leaf):
    """Whether this stay's message was sent, opened and so on."""

    template: str
    was: State
    channel: str | None = None
    kind: Literal["message_of_stay"] = "message_of_stay"

    def words(self) -> str:
        """Return which message counts, and what became of it."""
        channel = f" on {self.channel}" if self.channel is not None else ""
        return f"message {self.template}{channel} of this stay was {self.was}"

    def facts(self) -> tuple[MessageFact, ...]:
        """Return the fact with the time it last happened to the stay's message."""
        return (MessageFact(self),)

    def mentions(self) -> Mentions:
        """Return the template, and the channel where it is named."""
        channels = frozenset([self.channel] if self.channel else ())
        return Mentions(templates=frozenset([self.template]), channels=channels)

    def changes_by(self) -> Touch:
        """Return what became of messages."""
        return Touch(messages=frozenset([self.was]))

    def expiries(self) -> tuple[Expiry, ...]:
        """Return nothing: what has become of a message stays so."""
        return ()

    def remembers(self) -> Memory:
        """Return nothing: the messages of a stay are there as long as it is not over."""
        return Memory()

    def stay_columns(self) -> tuple[str, ...]:
        """Return the column that says which stay is asked."""
        return ("enrollment_id",)


def _build(fields: Fields) -> Any:
    name = fields.get("message")
    if name != "any":
        place = fields.node.get("message").place  # type: ignore[union-attr]
        Name("template").parse(Scalar(place, name, name), fields.context)
    bare = not any(fields.written(key) for key in ("within", "journey", "since"))
    sends = (fields.context.sends or {}).get(name) if bare else None
    if sends is not None:
        if fields.get("was") == "sent" and len(sends) == 1 and fields.node.place < sends[0]:
            message = f"`{name}` is sent only here or later: this stay's has not been sent before."
            hint = "Add `since: ever` if an earlier stay's counts, too."
            return fields.context.say(fields.at("message"), "T343", message, hint)
        return MessageOfStay(name, fields.get("was"), fields.get("channel"))
    return MessageWas(
        None if name == "any" else name,
        fields.get("was"),
        fields.get("within"),
        fields.get("channel"),
        fields.get("journey"),
        bare and fields.context.sends is not None and name != "any",
    )


WORD = Word(
    "condition",
    {
        "message": Shape(
            "message condition",
            "What became of a message to the customer: in a journey that sends the template itself, of this stay's message; with "
            "`within`, `journey` or `since: ever`, in the `if` of `enter` and elsewhere of those of all stays.",
            (
                Key(
                    "message",
                    Text("the name of a template, or `any`"),
                    "The message's template, or `any`.",
                    required=True,
                ),
                Key("was", Option(get_args(State)), "What became of it.", required=True),
                WITHIN,
                Key("channel", ChannelName(), "Only messages on this channel."),
                Key("journey", Name("journey"), "Only messages of this journey, of all stays."),
                Key("since", Option(("ever",)), "Messages of all stays count."),
            ),
            _build,
            least="message: welcome, was: clicked",
            examples={
                "within": "within: 7d",
                "channel": "channel: email",
                "journey": "journey: welcome",
                "since": "since: ever",
            },
        )
    },
    (MessageWas, MessageOfStay),
)
