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
    the attribute. `created_at` counts for customers not yet known; without it they begin now.
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


@dataclass(frozen=True)
class EventInput:
    """Something the customer with the key `customer` did. `key` deduplicates for ever; None draws a new one.

    `at` is aware; without it the event happened now.
    """

    customer: str
    name: str
    at: datetime | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    source: str = "api"


@dataclass(frozen=True)
class ConsentInput:
    """One customer's word on one channel, with the proof of it.

    `basis` is `consent` or `existing_customer` (UWG section 7 (3)), which needs the facts named in
    `consents.EXISTING_CUSTOMER_FACTS` in its proof.
    """

    customer: str
    channel: str
    at: datetime | None = None
    basis: str = "consent"
    source: str = "api"
    proof: Mapping[str, Any] = field(default_factory=dict)
