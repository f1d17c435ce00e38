"""The few words for where things stand: each enum is the whole list, each member has its sentence."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Sentence(StrEnum):
    """An enum whose members carry the sentence that is shown to people."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Self:
        """Make a member of its stored word and its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member


class Category(StrEnum):
    """What a journey's messages are for; decides on consent, limits and quiet hours."""

    promotional = "promotional"
    relational = "relational"
    transactional = "transactional"


class Basis(StrEnum):
    """The legal ground of a message (UWG section 7: consent, or an existing customer's four facts)."""

    consent = "consent"
    existing_customer = "existing_customer"


class JourneyState(Sentence):
    """Where a journey stands. `treue resume` makes a paused or stopped one live again, a new file a retired one."""

    live = "live", "customers enter, and those inside go on"
    paused = "paused", "nobody enters and nobody goes on; who comes meanwhile waits at the door"
    retired = "retired", "its file is gone: nobody enters, and those inside go on"
    stopped = "stopped", "nobody enters, and `treue stop` has let everyone out"


class Outcome(Sentence):
    """Where a customer's stay in a journey stands."""

    inside = "inside", "is in the journey"
    finished = "finished", "came to the end"
    converted = "converted", "reached the goal"
    exited = "exited", "left early"


class MessageState(Sentence):
    """Where a message stands. `queued` and `claimed` move on by themselves; `sent` and `refused` are final.

    `failed` waits for an operator, who may have it tried again; `in_doubt` for a receipt that says what became of it,
    or for an operator.
    """

    queued = "queued", "waits in the outbox"
    claimed = "claimed", "a worker has it"
    sent = "sent", "the provider took it"
    refused = "refused", "was decided against"
    failed = "failed", "could not be sent"
    in_doubt = "in_doubt", "may or may not have been sent"


class Reason(Sentence):
    """Why a message was not sent, or not yet. No non-send is silent."""

    no_address = "no_address", "the customer has no address on this channel"
    no_consent = "no_consent", "the customer has not agreed to this channel"
    suppressed = "suppressed", "the address is on the suppression list"
    unsubscribed = "unsubscribed", "the customer unsubscribed"
    over_limit = "over_limit", "the customer has had as many messages as the limits allow"
    lower_priority = "lower_priority", "a message of higher priority went first"
    not_yet_reachable = "not_yet_reachable", "no address or consent has come yet; both still may"
    quiet_hours = "quiet_hours", "the customer's quiet hours have not ended"
    stale = "stale", "it would have come too late"
    held_out = "held_out", "the customer is in the holdout and is sent nothing"
    already_queued = (
        "already_queued",
        "they had this step behind them before the journey was edited",
    )
    left_before_send = "left_before_send", "the customer left the journey before it was sent"
    same_mailbox = "same_mailbox", "the same text went to the same mailbox under another record"
    render_failed = "render_failed", "the template failed for this customer"
    channel_off = "channel_off", "the channel is not set up"
    rejected_by_provider = "rejected_by_provider", "the provider refused it for good"
    not_allowed = "not_allowed", "it may not go to that address"
    in_doubt = "in_doubt", "nobody knows whether the provider took it"
    paused = "paused", "the journey is paused"
    channel_down = "channel_down", "the channel's provider takes nothing at the moment"
    our_fault = (
        "our_fault",
        "the provider objects to our sender, account or settings",
    )
    poison = "poison", "workers died with it in their hands again and again; it is set aside"
    dropped = "dropped", "an operator decided that it is not sent"


class Dated(Sentence):
    """Why a date of the customer's own changes what becomes of a stay."""

    date_moved = "date_moved", "the date has moved"
    moment_passed = "moment_passed", "the moment to wait for had passed, or its date was missing"


class DeliveryEventKind(Sentence):
    """What can be heard of a message after it was handed over; each word means the same for every provider."""

    accepted = (
        "accepted",
        "the provider says that it has taken the message; settles a message that was in doubt",
    )
    delivered = "delivered", "the receiving server, network or device has taken the message"
    deferred = "deferred", "the receiving server asked to try again later, and the provider does"
    bounced = "bounced", "the receiving server, network or device refused the message"
    failed = "failed", "the provider gave up before the receiving server saw the message"
    complained = "complained", "the customer called the message spam"
    opened = "opened", "the message's pictures were loaded, by the customer or by a machine"
    clicked = "clicked", "a link in the message was followed, by the customer or by a machine"
    unsubscribed = "unsubscribed", "the customer said stop, by a link, a mail program or an SMS"
    unknown = (
        "unknown",
        "the provider told something that Treue does not know; it is kept, and nothing follows from it",
    )


class Decision(Sentence):
    """What was decided about a customer in a journey; one row of the trace each."""

    entered = "entered", "entered the journey"
    migrated = "migrated", "went on in the journey's new version"
    merged = "merged", "went on under the record that theirs was merged into"
    turned_away = "turned_away", "was not let in"
    waiting = "waiting", "waits"
    at_once = "at_once", "had nothing to wait for and went on at once"
    branch = "branch", "took a branch"
    skipped = "skipped", "skipped the step, its `if` did not hold"
    queued = "queued", "a message was put in the outbox"
    refused = "refused", "no message was sent"
    held = "held", "the message is held"
    sent = "sent", "the provider took the message"
    failed = "failed", "the message could not be sent"
    in_doubt = "in_doubt", "the message may or may not have been sent"
    set = "set", "attributes were written"
    emitted = "emitted", "an event was recorded"
    started = "started", "came to another journey's door"
    not_started = "not_started", "the journey to start does not run"
    converted = "converted", "reached the goal"
    exited = "exited", "left early"
    finished = "finished", "came to the end"


class EventStatus(StrEnum):
    """What became of an event that came in. `conflict`: its id was used before, for another content; it is set aside."""

    accepted = "accepted"
    duplicate = "duplicate"
    conflict = "conflict"


class ArrivalKind(StrEnum):
    """What brought a customer to a journey's door. `known` is an event the journey had seen before the stay it may end.

    A `touch` may change the answer to a condition that the journey watches, an `expiry` is when time alone may.
    """

    event = "event"
    known = "known"
    segment = "segment"
    schedule = "schedule"
    date = "date"
    manual = "manual"
    started = "started"
    leave = "leave"
    touch = "touch"
    expiry = "expiry"


CHANNELS = ("email", "sms", "push")
"""The kinds of channel, in the order of their column `channel`."""

WEBHOOK = "webhook"
"""The channel of `call` steps: in the outbox like all others, but no way to reach a customer."""

ADDRESS = {"email": "email", "sms": "phone", "push": "push_token"}
"""The customer's column that holds the address on each kind of channel."""

ADDRESS_KEY = {"email": "email_key", "sms": "phone", "push": "push_key"}
"""The customer's column that says which mailbox or device that is: equal for two spellings of one address."""

PREFERRED_CHANNEL = "preferred_channel"
"""The attribute that says which of a step's channels a customer likes best."""

BUILT_IN_ATTRIBUTES = {
    "id": "text",
    "email": "text",
    "phone": "text",
    "push_token": "text",
    "locale": "text",
    "timezone": "text",
    "created_at": "time",
}
"""Attributes every customer has; they are columns, all others live in `attributes`."""

EVENT_PARTS = frozenset({"id", "name", "at"})
"""What every event has beside its properties."""

CUSTOMER_CREATED = "customer.created"
"""The event that says that a customer was recorded for the first time."""

BUILT_IN_EVENTS: dict[str, dict[str, str]] = {
    CUSTOMER_CREATED: {"source": "text"},
    "consent.given": {"channel": "text", "source": "text"},
    "consent.withdrawn": {"channel": "text", "source": "text"},
}
"""Events Treue records itself, with their properties."""
