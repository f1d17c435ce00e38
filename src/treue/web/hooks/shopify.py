"""Shopify's webhooks: signed over the raw body, without a time and without the headers.

What identifies a delivery is unsigned, so somebody who got hold of one could post it again under another id.
Therefore the body itself identifies it as well, together with the topic: the same body counts once, for ever.

A customer's key here is `shopify:` and Shopify's number. Consent is taken from two places. The checkout's box
(`buyer_accepts_marketing`) counts only where the customer has not said anything yet: Shopify does not know
who has unsubscribed here, and would otherwise undo it with the next order. The topics that tell of a changed
consent are a customer's own word; they count as of their time, mapped or not. An order alone is a sale, not
the notice of the right to object that UWG section 7 (3) asks for, so it never makes an existing customer.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any

from starlette.datastructures import Headers

from treue.errors import BadSignature, RejectedInput
from treue.store import addresses, events, validation
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.web.hooks.scheme import Ignored, Source, Taken, short

_CONSENT_TOPICS = {
    "customers_email_marketing_consent/update": ("email", "email_marketing_consent"),
    "customers_marketing_consent/update": ("sms", "sms_marketing_consent"),
}
_BUILT_IN = "customer.created"
_SCALARS = (str, int, float, bool)

_log = logging.getLogger("treue.web.hooks")


class Shopify:
    """Signed with HMAC-SHA256 over the raw body, base64, in X-Shopify-Hmac-SHA256."""

    def verify(self, headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> None:
        """Raise BadSignature unless the body was signed with one of the secrets."""
        given = headers.get("x-shopify-hmac-sha256", "").encode("latin-1")
        wanted = [base64.b64encode(hmac.digest(os.fsencode(secret), body, "sha256")) for secret in secrets]
        if not any(hmac.compare_digest(one, given) for one in wanted):
            raise BadSignature("The signature in X-Shopify-Hmac-SHA256 is missing or wrong.")

    def delivery_keys(self, headers: Headers, body: bytes) -> set[str]:
        """Return the delivery's id, the event's id and the body's digest, the latter two with the topic."""
        topic = short(_topic(headers))
        keys = {f"body:{topic}:{sha256(body).hexdigest()}"}
        if delivery := headers.get("x-shopify-webhook-id"):
            keys.add(f"delivery:{short(delivery)}")
        if event := headers.get("x-shopify-event-id"):
            keys.add(f"event:{topic}:{short(event)}")
        return keys

    def read(self, headers: Headers, payload: Any, source: Source, now: datetime) -> Taken | Ignored:
        """Return what a topic means here; ignore one that is not mapped, and one about nobody."""
        topic = _topic(headers)
        if not isinstance(payload, dict):
            return Ignored("The body is not an object.")
        at = _triggered_at(headers, now)
        if topic in _CONSENT_TOPICS:
            return _changed_consent(topic, payload, source, at, now)
        name = source.map.get(topic)
        if name is None:
            return Ignored(f"The topic {short(topic) or '(none)'} is not mapped in treue.yaml.")
        person = payload if topic.startswith("customers/") else _object(payload, "customer")
        key = _customer_key(person.get("id"))
        if key is None:
            return Ignored("Nobody is named in it: a sale without a customer, or a cart nobody signed in to.")
        consents = _accepted(payload, key, source, at)
        customer = _customer(key, person, payload, source)
        if name == _BUILT_IN:
            return Taken((customer,), given_if_untold=consents)
        event = _event(headers, payload, key, name, source, at)
        if problem := events.problem(event, now):
            return Ignored(problem)
        return Taken((customer,), (event,), given_if_untold=consents)


def _topic(headers: Headers) -> str:
    return headers.get("x-shopify-topic", "").strip()


def _triggered_at(headers: Headers, now: datetime) -> datetime:
    try:
        return min(validation.moment(headers.get("x-shopify-triggered-at")), now)
    except validation.Misfit:
        return now


def _object(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _customer_key(number: Any) -> str | None:
    if isinstance(number, bool) or not isinstance(number, int | str) or not str(number).strip():
        return None
    key = f"shopify:{number}"
    return None if validation.key_problem(key, "") else key


def _customer(
    key: str, person: Mapping[str, Any], payload: Mapping[str, Any], source: Source
) -> CustomerInput:
    """Return what is known of the customer. What does not fit (a number such as 555-SHIP) is left out."""
    places = [
        _object(person, "default_address"),
        _object(payload, "shipping_address"),
        _object(payload, "billing_address"),
    ]
    there = next((place for place in places if place), {})
    attributes = {
        "first_name": person.get("first_name"),
        "last_name": person.get("last_name"),
        "country": there.get("country_code") or there.get("country"),
        "city": there.get("city"),
    }
    return CustomerInput(
        key,
        email=_address(addresses.email, person.get("email"), payload.get("email")),
        phone=_address(addresses.phone, person.get("phone"), payload.get("phone")),
        locale=_locale(payload.get("customer_locale") or person.get("locale")),
        attributes=_fitting(attributes, source.reader.schema.attributes, source),
        source=source.name,
    )


def _address(normal: Callable[[str], str], *candidates: Any) -> str | None:
    for candidate in candidates:
        if isinstance(candidate, str) and candidate.strip():
            try:
                return normal(candidate)
            except RejectedInput as rejected:
                _log.warning("Left out of a webhook: %s", rejected)
    return None


def _locale(value: Any) -> str | None:
    plain = isinstance(value, str) and len(value) <= 35 and value.isascii() and value.isprintable()
    return value.strip() or None if plain else None


def _fitting(values: Mapping[str, Any], declared: Mapping[str, str], source: Source) -> dict[str, Any]:
    """Return those values that are declared and fit; Shopify would only repeat a refusal, then give up."""
    known = {name: value for name, value in values.items() if name in declared and value is not None}
    kept, problems = validation.conform(known, declared, source.reader.zone)
    for problem in problems:
        _log.warning("Left out of a webhook from %s: %s", source.name, problem)
    return kept


def _event(
    headers: Headers, payload: Mapping[str, Any], key: str, name: str, source: Source, at: datetime
) -> EventInput:
    declared = source.reader.schema.events.get(name, {})
    return EventInput(
        key,
        name,
        at,
        _fitting(_properties(payload), declared, source),
        f"{source.name}:{short(_topic(headers))}:{_fingerprint(payload)}",
        source.name,
    )


def _fingerprint(payload: Mapping[str, Any]) -> str:
    return sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


def _properties(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order's, checkout's or cart's properties under our names, beside Shopify's own plain fields."""
    listed = payload.get("line_items")
    lines = [line for line in listed if isinstance(line, dict)] if isinstance(listed, list) else []
    quantities = [
        q for line in lines if isinstance(q := line.get("quantity"), int) and not isinstance(q, bool)
    ]
    own = {name: value for name, value in payload.items() if isinstance(value, _SCALARS)}
    named = {
        "order_id": payload.get("id"),
        "cart_id": payload.get("cart_token") or payload.get("token") or payload.get("id"),
        "total": payload.get("total_price"),
        "subtotal": payload.get("subtotal_price"),
        "currency": payload.get("currency"),
        "quantity": sum(quantities),
        "items": [title for line in lines if isinstance(title := line.get("title"), str)],
    }
    return own | named


def _accepted(payload: Mapping[str, Any], key: str, source: Source, at: datetime) -> tuple[ConsentInput, ...]:
    if payload.get("buyer_accepts_marketing") is not True:
        return ()
    proof = {
        "field": "buyer_accepts_marketing",
        "order": short(str(payload.get("id") or "")),
        "locale": _locale(payload.get("customer_locale")),
    }
    return (ConsentInput(key, "email", at, source=f"{source.name}: checkout", proof=proof),)


def _changed_consent(
    topic: str, payload: Mapping[str, Any], source: Source, at: datetime, now: datetime
) -> Taken | Ignored:
    channel, field = _CONSENT_TOPICS[topic]
    said = _object(payload, field)
    key = _customer_key(payload.get("customer_id") or payload.get("id"))
    state = said.get("state")
    if key is None or state not in ("subscribed", "unsubscribed"):
        return Ignored("It says neither that somebody subscribed nor that somebody unsubscribed.")
    with suppress(validation.Misfit):
        at = min(validation.moment(said.get("consent_updated_at")), now)
    proof = {"topic": topic, "state": state, "opt_in_level": _locale(said.get("opt_in_level"))}
    word = ConsentInput(key, channel, at, source=f"{source.name}: {topic}", proof=proof)
    customer = CustomerInput(
        key,
        email=_address(addresses.email, payload.get("email_address")),
        phone=_address(addresses.phone, payload.get("phone")),
        source=source.name,
    )
    return Taken(
        (customer,),
        given=(word,) if state == "subscribed" else (),
        withdrawn=(word,) if state == "unsubscribed" else (),
    )
