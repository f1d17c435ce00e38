"""From a provider's answer to what becomes of the message: the one place where sending again is decided.

Four outcomes (`treue.channel.outcomes`). What was certainly not sent goes again, later and later. What may have been
sent goes again only where that cannot become a second copy, or where a second copy is the lesser evil:
the provider still knows the key, or the message is transactional. What the provider says of our sender or account is
charged to no message: it waits until somebody has put that right, or until it is stale.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from treue.channel import TAKEN_OVER, Accepted, Receipt, Refused, Retry, Unknown
from treue.delivery.outbox import InHand, Settled
from treue.model.states import MessageState, Reason

MAX_ATTEMPTS = 8
"""Attempts charged to a message before it counts as failed; a provider's outage is charged to nobody."""

BACKOFF = timedelta(seconds=30)
"""The least wait after a second attempt; it doubles with each further one."""

LONGEST_HOLD = timedelta(minutes=30)
"""The longest wait for somebody to put right what is ours; until then each is as long as all before it together."""

MAX_CRASHES = 10
"""Workers that may die with a message in their hands before it is set aside."""

WINDOW_USED = 0.8
"""The share of a provider's de-duplication window that is relied on."""


def settled(message: InHand, receipt: Receipt, moment: datetime, dedup_window: float) -> Settled:
    """Return what becomes of a message after the provider's answer, or the lack of one."""
    match receipt:
        case Accepted(provider_id):
            return Settled(message, MessageState.sent, provider_id=provider_id or None)
        case Refused(reason, suppress, forbidden):
            why = Reason.not_allowed if forbidden else Reason.rejected_by_provider
            return Settled(message, MessageState.refused, why, reason, dead=suppress)
        case Unknown(reason, alone):
            again = _again(message, Retry(reason, alone=alone), moment)
            return _doubtful(again, message.doubted_at or moment, dedup_window)
        case Retry():
            again = _again(message, receipt, moment)
            return _doubtful(again, message.doubted_at, dedup_window) if message.doubted_at else again
    raise AssertionError(receipt)


def abandoned(message: InHand, moment: datetime, crashes: int) -> Settled:
    """Return what becomes of a message whose worker died before it touched it."""
    if crashes + 1 >= MAX_CRASHES:
        detail = f"{crashes + 1} workers died with it in their hands."
        return Settled(message, MessageState.failed, Reason.poison, detail, crashed=True)
    return Settled(message, MessageState.queued, ready_at=moment, charged=False, crashed=True)


def may_go(message: InHand, moment: datetime, dedup_window: float) -> bool:
    """Say whether a message may go at `moment`: always, but for one that may have been sent and would go twice."""
    return message.doubted_at is None or _no_second_copy(message, message.doubted_at, moment, dedup_window)


def doubted(message: InHand, detail: str) -> Settled:
    """Return that a message may or may not have been sent, and is not sent again by itself."""
    return Settled(message, MessageState.in_doubt, Reason.in_doubt, detail, doubted=True)


def _doubtful(again: Settled, since: datetime, dedup_window: float) -> Settled:
    """Let a message that may have been sent go again where it may still go by then; else it stays in doubt."""
    message, by_then = again.message, again.ready_at
    if by_then is None or not _no_second_copy(message, since, by_then, dedup_window):
        return doubted(message, again.detail or "")
    return replace(again, reason=again.reason or Reason.in_doubt, doubted=True)


def _no_second_copy(message: InHand, since: datetime, moment: datetime, dedup_window: float) -> bool:
    """Say whether the provider still knows the key then, or a second copy is the lesser evil."""
    if message.category == "transactional":
        return True
    return (moment - since).total_seconds() < WINDOW_USED * dedup_window


def _again(message: InHand, retry: Retry, moment: datetime) -> Settled:
    charged = not (retry.everyone or retry.ours) and retry != TAKEN_OVER
    if charged and message.attempts >= MAX_ATTEMPTS:
        return Settled(message, MessageState.failed, Reason.rejected_by_provider, retry.reason)
    wait = timedelta(seconds=max(retry.after, 0.0))
    if charged and message.attempts > 1:
        wait = max(wait, BACKOFF * 2 ** (message.attempts - 2))
    if retry.ours and message.tried_at is not None:
        wait = max(wait, min(moment - message.tried_at, LONGEST_HOLD))
    reason = Reason.our_fault if retry.ours else Reason.channel_down if retry.everyone else None
    return Settled(
        message,
        MessageState.queued,
        reason,
        retry.reason,
        ready_at=moment + wait,
        charged=charged,
        alone=retry.alone,
    )
