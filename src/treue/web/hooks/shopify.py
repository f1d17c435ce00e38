"""Shopify's webhooks: signed over the raw body, without a time and without the headers.

The ids of deliveries and events are unsigned, so somebody who got hold of a delivery could post it again under another
one. Therefore the body itself identifies a delivery, together with the topic: the same body counts once, for ever.
Several subscriptions to a topic tell of one event in several bodies; X-Shopify-Event-Id says that it is one.

A customer's key here is `shopify:` and Shopify's number. Consent is taken from two places. The checkout's box
(`buyer_accepts_marketing`) counts only where the customer has not said anything yet: Shopify does not know
who has unsubscribed here, and would otherwise undo it with the next order. So does a consent without a time. What a
customer's record says of a consent, and the topics that tell of a changed one, are a customer's own word; they count
as of their time, the topics mapped or not. An order alone is a sale, not the notice of the right to object that UWG
section 7 (3) asks for, so it never makes an existing customer.

Deliveries come in any order: what an older record says of a customer changes nothing that a newer one has said
(`updated_at`). An order that somebody placed to try the shop out (`test`) is none.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from starlette.datastructures import Headers

from treue.errors import BadSignature, RejectedInput
from treue.store import addresses, events, validation
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.web.hooks.scheme import Ignored, Taken, WebhookSource, short

_CONSENT_TOPICS = {
    "customers_email_marketing_consent/update": ("email", "email_marketing_consent"),
    "customers_marketing_consent/update": ("sms", "sms_marketing_consent"),
}
_OWN_WORD = {"email": "email_marketing_consent", "sms": "sms_marketing_consent"}
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

    def delivery_key(self, headers: Headers, body: bytes) -> str:
        """Return the topic with the body's digest."""
        return f"body:{short(_topic(headers))}:{sha256(body).hexdigest()}"

    def read(self, headers: Headers, payload: Any, source: WebhookSource, now: datetime) -> Taken | Ignored:
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
        if payload.get("test") is True:
            return Ignored("An order that somebody placed to try the shop out.")
        person = payload if topic.startswith("customers/") else _object(payload, "customer")
        key = _customer_key(person.get("id"))
        if key is None:
            return Ignored("Nobody is named in it: a sale without a customer, or a cart nobody signed in to.")
        said = _own_words(topic, person, key, source, at, now)
        said = replace(
            said,
            customers=(_customer(key, person, payload, source, now),),
            given_if_untold=(*said.given_if_untold, *_accepted(payload, key, source, at)),
        )
        if name == _BUILT_IN:
            return said
        event = _event(headers, payload, key, name, source, at)
        if problem := events.problem(event, now):
            return Ignored(problem)
        return replace(said, event=event)


def _topic(headers: Headers) -> str:
    return headers.get("x-shopify-topic", "").strip()


def _triggered_at(headers: Headers, now: datetime) -> datetime:
    return _time(headers.get("x-shopify-triggered-at"), now) or now


def _object(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _customer_key(number: Any) -> str | None:
    if isinstance(number, bool) or not isinstance(number, int | str) or not str(number).strip():
        return None
    key = f"shopify:{number}"
    return None if validation.key_problem(key, "") else key


def _customer(
    key: str, person: Mapping[str, Any], payload: Mapping[str, Any], source: WebhookSource, now: datetime
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
        as_of=_time(person.get("updated_at"), now),
    )


def _time(value: Any, now: datetime) -> datetime | None:
    """Return a time that Shopify names, none of the future; None where it is missing."""
    try:
        return min(validation.moment(value), now)
    except validation.Misfit:
        return None


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


def _fitting(values: Mapping[str, Any], declared: Mapping[str, str], source: WebhookSource) -> dict[str, Any]:
    """Return those values that are declared and fit; Shopify would only repeat a refusal, then give up."""
    known = {name: value for name, value in values.items() if name in declared and value is not None}
    kept, problems = validation.conform(known, declared, source.reader.zone)
    for problem in problems:
        _log.warning("Left out of a webhook from %s: %s", source.name, problem)
    return kept


def _event(
    headers: Headers, payload: Mapping[str, Any], key: str, name: str, source: WebhookSource, at: datetime
) -> EventInput:
    declared = source.reader.schema.events.get(name, {})
    return EventInput(
        key,
        name,
        at,
        _fitting(_properties(payload), declared, source),
        f"{source.name}:{short(f'{_topic(headers)}:{_event_id(headers, payload)}')}",
        source.name,
        dated=False,
    )


def _event_id(headers: Headers, payload: Mapping[str, Any]) -> str:
    return headers.get("x-shopify-event-id", "").strip() or _fingerprint(payload)


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


def _accepted(
    payload: Mapping[str, Any], key: str, source: WebhookSource, at: datetime
) -> tuple[ConsentInput, ...]:
    if payload.get("buyer_accepts_marketing") is not True:
        return ()
    proof = {
        "field": "buyer_accepts_marketing",
        "order": short(str(payload.get("id") or "")),
        "locale": _locale(payload.get("customer_locale")),
    }
    return (ConsentInput(key, "email", at, source=f"{source.name}: checkout", proof=proof),)


def _own_words(
    topic: str, person: Mapping[str, Any], key: str, source: WebhookSource, at: datetime, now: datetime
) -> Taken:
    """Return what a customer's record says of consents, each as of its own time."""
    taken = Taken()
    for channel, field in _OWN_WORD.items():
        said = _object(person, field)
        told_at = _time(said.get("consent_updated_at"), now)
        word = _word(topic, said, ConsentInput(key, channel, told_at or at), source)
        match said.get("state"):
            case "subscribed" if told_at:
                taken = replace(taken, given=(*taken.given, word))
            case "subscribed":
                taken = replace(taken, given_if_untold=(*taken.given_if_untold, word))
            case "unsubscribed":
                taken = replace(taken, withdrawn=(*taken.withdrawn, word))
    return taken


def _changed_consent(
    topic: str, payload: Mapping[str, Any], source: WebhookSource, at: datetime, now: datetime
) -> Taken | Ignored:
    channel, field = _CONSENT_TOPICS[topic]
    said = _object(payload, field)
    key = _customer_key(payload.get("customer_id") or payload.get("id"))
    state = said.get("state")
    if key is None or state not in ("subscribed", "unsubscribed"):
        return Ignored("It says neither that somebody subscribed nor that somebody unsubscribed.")
    at = _time(said.get("consent_updated_at"), now) or at
    word = _word(topic, said, ConsentInput(key, channel, at), source)
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


def _word(topic: str, said: Mapping[str, Any], word: ConsentInput, source: WebhookSource) -> ConsentInput:
    proof = {
        "topic": topic,
        "state": _locale(said.get("state")),
        "opt_in_level": _locale(said.get("opt_in_level")),
    }
    return replace(word, source=f"{source.name}: {topic}", proof=proof)
