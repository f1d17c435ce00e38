"""`send: TEMPLATE` puts one message in the outbox, on the first channel that reaches the customer, or on all."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from treue.clock import Duration
from treue.language.grammar import Fields, Flag, Key, Length, Name, Reference, Text
from treue.language.source import Mapping, Scalar
from treue.language.step_rows import DATA_KEY, DEFAULT_VALID_FOR, ON_KEY, leaf, plain_values, step_row
from treue.language.steps import LONG, Effort, Flattening, Leaf, OutboxMessage, Stage
from treue.language.words import Word
from treue.segments.tree import Scalar as Plain


@dataclass(frozen=True)
class Send(Leaf):
    """Puts one message in the outbox for each customer (each channel with `all_channels`)."""

    effort: ClassVar[Effort] = LONG

    template: str
    channels: tuple[str, ...]
    all_channels: bool
    valid_for: Duration
    sender: str | None
    data: tuple[tuple[str, Plain], ...]
    categories: tuple[str, ...]
    kind: Literal["send"] = "send"

    def words(self) -> str:
        """Return the template, the channels, and how long it is valid where that is not a day."""
        stale = "" if self.valid_for == DEFAULT_VALID_FOR else f", within {self.valid_for}"
        link = " and " if self.all_channels else ", else "
        return f"send {self.template} on {link.join(self.channels)}{stale}"

    def likeness(self) -> Hashable:
        """Return the template: another one is another message."""
        return self.kind, self.template

    def outbox(self) -> OutboxMessage:
        """Return the message it puts in the outbox."""
        return OutboxMessage(
            self.template,
            self.channels,
            self.valid_for,
            self.all_channels,
            self.sender,
            self.data,
            self.categories,
        )

    def flatten(self, flattening: Flattening, id_: str, path: str, to: str | None) -> list[Stage]:
        """Return itself with the categories that its templates have on each channel."""
        said = (flattening.category_of(self.template, channel) for channel in self.channels)
        categories = tuple(one or flattening.category for one in said)
        whole = replace(self, categories=categories)
        return Leaf.flatten(whole, flattening, id_, path, to)


def _build(fields: Fields) -> Any:
    channels = tuple(dict.fromkeys(fields.get("on", ())))
    template, node = fields.get("send"), fields.node.get("send")
    if template and node is not None:
        for channel in channels:
            fields.context.references.append(Reference("variant", template, node.place, channel))
    return Send(
        **leaf(fields),
        template=template,
        channels=channels,
        all_channels=bool(fields.get("all")),
        valid_for=fields.get("valid_for", DEFAULT_VALID_FOR),
        sender=fields.get("from"),
        data=plain_values(fields, "data"),
        categories=(),
    )


ROW = step_row(
    "send",
    "Puts one message in the outbox.",
    Name("template"),
    _build,
    ON_KEY,
    Key("all", Flag(), "On each of the channels, not only the first."),
    Key("valid_for", Length(), "Not sent later than this after its due time (default 1d)."),
    Key("from", Text(), "Another sender than the workspace's."),
    DATA_KEY,
)


def _sends(step: Mapping) -> Iterator[str]:
    """Yield the template, as it is written."""
    if isinstance(template := step.get("send"), Scalar):
        yield template.text


WORD = Word("step", {"send": ROW}, (Send,), sends=_sends)
