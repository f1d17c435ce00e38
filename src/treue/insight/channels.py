"""What keeps channels from sending: pauses, brakes, and what their providers object to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from treue.delivery import gates
from treue.delivery.brakes import brakes
from treue.model.states import MessageState, Reason
from treue.model.tables import channel_hour, message


@dataclass(frozen=True)
class ChannelStatus:
    """What keeps a channel from sending: a pause after its provider failed, and since when; the brake's sentence.

    `waiting` is how many messages wait for somebody to put right what the provider objects to, in its words `objection`.
    """

    paused_until: datetime | None = None
    failures: int = 0
    reason: str = ""
    brake: str = ""
    waiting: int = 0
    objection: str = ""

    @property
    def grave(self) -> bool:
        """Whether an operator has to act: a pause that a provider asks for now and then does not count.

        Nor are messages that wait for us while others go through: that may be one country among many.
        """
        return self.failures >= gates.FAILURES or bool(self.brake or (self.waiting and self.failures))

    @property
    def sentence(self) -> str:
        """What is wrong with the channel, for people; nothing where all is well."""
        after = f"{self.failures} failures" if self.failures != 1 else "a failure"
        pause = f"paused after {after}" if self.paused_until or (self.waiting and self.failures) else ""
        if not pause and self.failures >= gates.FAILURES:
            pause = f"tried again after {after}"
        if pause and self.reason and self.reason != self.objection:
            pause += f": {self.reason.rstrip('.')}"
        return "; ".join(part for part in (pause, self._remedy, self.brake) if part)

    @property
    def _remedy(self) -> str:
        if not self.waiting:
            return ""
        wait = f"{self.waiting:,} messages wait" if self.waiting != 1 else "a message waits"
        return (
            f"{wait}: {self.objection.rstrip('.')}. That is about the sender, the account or the settings: put it right "
            "there, and what waits goes by itself; nobody is refused for it"
        )


@dataclass(frozen=True)
class ChannelSums:
    """What a channel has sent in all its hours, and how many hard bounces and complaints were heard, whoever did it."""

    sent: int
    bounced: int
    complained: int


def channel_sums(connection: Connection) -> dict[str, ChannelSums]:
    """Return the sums of each channel's hours."""
    hours = channel_hour.c
    query = select(hours.channel, func.sum(hours.sent), func.sum(hours.bounced), func.sum(hours.complained))
    found = connection.execute(query.group_by(hours.channel).order_by(hours.channel))
    return {name: ChannelSums(int(sent), int(dead), int(spam)) for name, sent, dead, spam in found}


def held_channels(connection: Connection, now: datetime) -> dict[str, ChannelStatus]:
    """Return those channels that something keeps from sending, wholly or in part.

    One whose breaker has opened is among them until its provider takes something, or nothing waits for it any more: also
    in the moments when it is tried again.
    """
    braked = {name: one.sentence for name, one in brakes(connection, now).items() if one.sentence}
    known, found = gates.all_gates(connection), dict[str, ChannelStatus]()
    objections = {name: (waiting, said) for name, waiting, said in connection.execute(_FOR_US)}
    failing = {name for name, gate in known.items() if gate.failures >= gates.FAILURES}
    wanted = failing and set(connection.scalars(_QUEUED_ON))
    for name in sorted({*braked, *known, *objections}):
        gate = known.get(name)
        closed = gate is not None and gates.is_closed(gate, now)
        waiting, said = objections.get(name, (0, None))
        if closed or name in braked or name in objections or name in failing & wanted:
            found[name] = ChannelStatus(
                gate.paused_until if closed and gate is not None else None,
                gate.failures if gate is not None else 0,
                (gate.reason or "") if gate is not None else "",
                braked.get(name, ""),
                waiting,
                said or "",
            )
    return found


_QUEUED_ON = select(message.c.channel).where(message.c.state == MessageState.queued.value).distinct()
_OBJECTION = func.max(case((message.c.reason == Reason.our_fault.value, message.c.detail)))
_FOR_US = (
    select(message.c.channel, func.count(), _OBJECTION)
    .where(
        message.c.state == MessageState.queued.value,
        message.c.reason.in_((Reason.our_fault.value, Reason.channel_down.value)),
    )
    .group_by(message.c.channel)
    .having(_OBJECTION.is_not(None))
)
"""How many messages wait for somebody to put right what their provider objects to, those in line behind them included."""
