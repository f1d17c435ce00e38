"""What became of a message at the provider's door: one of four outcomes, never a fifth.

Beside the outcome an adapter says whose fault a no is, and nothing else decides who pays for it:

- the recipient's (`Refused` with `suppress`): the address is dead, or its owner said stop; nothing goes there any more;
- the message's (`Refused`): it alone is given up;
- ours (`Retry` with `ours`): the sender, the account, its sandbox, a template, a key. Nobody is refused for it;
- the provider's (`Retry` with `everyone`): it is down, or asks for a pause.

What nobody knows the meaning of is ours, never the recipient's.
"""

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

    `ours` says that only a person can help, here or at the provider: the message is charged with no attempt and never
    given up for it, but waits, longer each time, until it would come too late. With `everyone` it is true of all
    messages (a wrong key, an account without credit). Without, it may be of those like this one alone (its sender, the
    country it goes to): others are tried, and the channel pauses where none of them goes through either.

    `alone` says that the conversation broke at this message: it is tried again after all others, in no batch with them.
    """

    reason: str
    after: float = 60.0
    everyone: bool = False
    ours: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Refused:
    """Certainly not sent, and never will be; never for what is wrong with our sender or account: that is `Retry.ours`.

    `suppress` says the address itself is at fault (a dead mailbox, a dead push token, a number that said STOP),
    `forbidden` that it is one we send nothing to.
    """

    reason: str
    suppress: bool = False
    forbidden: bool = False


@dataclass(frozen=True)
class Unknown:
    """May or may not have been sent: the answer was lost after the message was on the wire. `alone` as with Retry."""

    reason: str
    alone: bool = False


Receipt = Accepted | Retry | Refused | Unknown

TAKEN_OVER = Retry("It is another worker's by now.", after=0.0)
"""The receipt of a message for which `Progress.started` said no."""
