"""What comes in from outside, as frozen data: a customer, an event, a consent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class CustomerInput:
    """What is newly known about a customer; what is not named stays as it is.

    For the columns None means "not named" and an empty text removes the value; in `attributes` a None removes
    the attribute. `created_at` counts for customers not yet known; without it they begin now. `as_of` is when this was so by
    the sender's clock: what is older than what the same source has told before changes nothing.
    """

    key: str
    email: str | None = None
    phone: str | None = None
    push_token: str | None = None
    locale: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    source: str = "api"
    as_of: datetime | None = None


@dataclass(frozen=True)
class EventInput:
    """Something the customer with the key `customer` did.

    `key` is the sender's id, unique for ever by source, name and customer; None draws a new one. `at` is aware;
    without it the event happened now. `dated` says whether `at` is the sender's own word on the event: where it tells
    of the delivery only, the same event may come again with another. `effective_at` is when it takes effect, where that
    is not the later of `at` and its receipt: what a journey records does so when its step acts.
    """

    customer: str
    name: str
    at: datetime | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    source: str = "api"
    dated: bool = True
    effective_at: datetime | None = None


@dataclass(frozen=True)
class ConsentInput:
    """One customer's word on one channel, with the proof of it.

    `basis` is `consent` or `existing_customer` (UWG section 7 (3)), which needs the facts named in
    `consents.EXISTING_CUSTOMER_FACTS` in its proof. `effective_at` is as an event's.
    """

    customer: str
    channel: str
    at: datetime | None = None
    basis: str = "consent"
    source: str = "api"
    proof: Mapping[str, Any] = field(default_factory=dict)
    effective_at: datetime | None = None
