"""What became of a message at the provider's door: one of four outcomes, never a fifth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    """The provider took the message. That says nothing yet about its delivery."""

    provider_id: str = ""


@dataclass(frozen=True)
class Retry:
    """Certainly not sent; worth another attempt, not before `after` seconds.

    `everyone` says that the reason is not this message's: the provider cannot be reached, is down, or asks for
    a pause. No other message of the channel is then tried before `after`, and none is charged with an attempt.
    """

    reason: str
    after: float = 60.0
    everyone: bool = False


@dataclass(frozen=True)
class Refused:
    """Certainly not sent, and never will be.

    `suppress` says the address itself is at fault (a dead mailbox, a dead push token, a number that said STOP),
    `forbidden` that it is one we send nothing to.
    """

    reason: str
    suppress: bool = False
    forbidden: bool = False


@dataclass(frozen=True)
class Unknown:
    """May or may not have been sent: the answer was lost after the message was on the wire."""

    reason: str


Receipt = Accepted | Retry | Refused | Unknown

TAKEN_OVER = Retry("It is another worker's by now.", after=0.0)
"""The receipt of a message for which `Progress.started` said no."""
