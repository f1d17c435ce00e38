"""An example of every key, shown in the reference and in editors; a test parses each one as it stands.

Those of words stand in the words. Written for the reference workspace. A fragment such as `valid_for: 6h` is read together with the least its shape
needs (`WHOLE`); one in braces is a whole mapping by itself.
"""

from __future__ import annotations

WHOLE = {
    "settings file": "workspace: shop, timezone: Europe/Berlin, sender: {name: Shop, email: hello@shop.example, "
    'postal_address: "Shop Ltd, 1 High Street, Leeds"}',
    "sender": 'name: Shop, email: hello@shop.example, postal_address: "Shop Ltd, 1 High Street, Leeds"',
    "limit": "at_most: 3, per: 7d",
    "source": 'scheme: shopify, secret: "${SHOPIFY_SECRET}"',
    "segment": "description: Two orders or more., where: {event: order.placed, at_least: 2}",
    "journey": "description: Say hello., category: relational, basis: consent, enter: {event: customer.created}, "
    "steps: [{id: greeting, send: welcome, on: email}]",
    "trigger": "event: order.placed",
    "goal": "event: order.placed",
    "branch": "if: {segment: regulars}, steps: [{send: welcome, on: email}]",
    "else branch": "else: [{stop: true}]",
    "split arm": "weight: 1, steps: [{send: welcome, on: email}]",
    "send step": "send: welcome, on: email",
    "wait step": "wait: 2d",
    "choose step": "choose: [{if: {segment: regulars}, steps: [{stop: true}]}]",
    "split step": "split: {short: {weight: 1, steps: [{wait: 1d}]}, long: {weight: 1, steps: [{wait: 9d}]}}",
    "set step": "set: {lifecycle: collector}",
    "emit step": "emit: letters.paused",
    "calls section": "hosts: [hooks.example.com]",
    "retention": "events: 3y",
    "call step": "call: https://hooks.example.com/new",
    "start step": "start: welcome",
    "stop step": "stop: true",
    "wait-until": 'until: "09:00"',
    "date to wait for": "attribute: birthday",
    "wait-for": "for: {event: order.placed}, at_most: 7d",
    "test": "test: A new customer is greeted, customer: {id: ada, consent: [email]}, "
    'timeline: [{at: "2026-03-02 10:00", event: customer.created}], '
    'expect: [{at: "2026-03-02 10:00", send: welcome, on: email}]',
    "event entry": 'at: "2026-03-02 10:00", event: order.placed',
    "message entry": 'at: "2026-03-02 10:00", message: welcome, is: clicked',
    "set entry": 'at: "2026-03-02 10:00", set: {country: DE}',
    "consent entry": 'at: "2026-03-02 10:00", consent: [email, sms]',
    "withdraw entry": 'at: "2026-03-02 10:00", withdraw: [sms]',
    "enroll entry": 'at: "2026-03-02 10:00", enroll: true',
    "send expectation": 'at: "2026-03-02 10:00", send: welcome',
    "not_sent expectation": 'at: "2026-03-02 10:00", not_sent: welcome',
    "outcome expectation": 'at: "2026-03-02 10:00", outcome: exited',
    "set expectation": 'at: "2026-03-02 10:00", set: {lifecycle: collector}',
    "emit expectation": 'at: "2026-03-02 10:00", emit: letters.paused',
    "call expectation": 'at: "2026-03-02 10:00", call: https://hooks.example.com/new',
    "bound": "more_than: 3, per: 7d",
}
"""By shape: the inside of a mapping with all that the shape requires."""

EXAMPLES: dict[str, dict[str, str]] = {
    "settings file": {
        "locale": "locale: de",
        "database": 'database: "${TREUE_DATABASE:-sqlite:///treue.db}"',
        "public_url": 'public_url: "${TREUE_URL:-http://localhost:8420}"',
        "channels": 'channels: {email: {adapter: smtp, url: "${SMTP_URL:-}"}}',
        "calls": "calls: {hosts: [hooks.example.com]}",
        "customer": "customer: {first_name: text, birthday: date}",
        "events": "events: {order.placed: {total: number, currency: text}}",
        "limits": "limits: [{at_most: 3, per: 7d}, {at_most: 1, per: 1d, channel: sms}]",
        "quiet_hours": 'quiet_hours: {sms: "20:00-08:00", push: "22:00-07:00"}',
        "hold": "hold: 5m",
        "retention": "retention: {events: 3y, messages: 2y, trace: 6mo}",
        "sources": 'sources: {shop: {scheme: shopify, secret: "${SHOPIFY_SECRET}"}}',
    },
    "retention": {
        "stays": "stays: 3y",
        "messages": "messages: 2y",
        "receipts": "receipts: 6mo",
        "trace": "trace: forever",
        "changes": "changes: 30d",
    },
    "limit": {
        "channel": "channel: sms",
        "category": "category: promotional",
        "when_over": "when_over: drop",
    },
    "sender": {"bounces": "bounces: bounces.shop.example"},
    "source": {"map": "map: {customers/create: customer.created}"},
    "journey": {
        "exit": "exit: [{event: consent.withdrawn}]",
        "goal": "goal: {event: order.placed, within: 30d}",
        "holdout": "holdout: 10%",
        "in_flight": "in_flight: finish",
        "moved": "moved: {hello: greeting}",
        "first_sale": "first_sale: true",
        "priority": "priority: 60",
    },
    "trigger": {
        "where": "where: {total: {above: 50}}",
        "segment": "{segment: dormant}",
        "schedule": '{schedule: "0 9 * * MON", segment: dormant}',
        "manual": "{manual: true}",
        "if": "if: {consent: email}",
        "again": "again: 90d",
        "per": "{event: cart.abandoned, per: cart_id}",
        "each": '{schedule: "0 9 * * MON", segment: dormant, each: run}',
        "date": "{date: birthday}",
        "before": "{date: birthday, before: 3d}",
        "after": "{date: birthday, after: 1w}",
        "at": '{date: birthday, at: "08:30"}',
        "every": "{date: birthday, every: once}",
    },
    "goal": {"where": "where: {total: {above: 50}}", "within": "within: 30d"},
    "send step": {
        "all": "{send: onboarding-wishlist, on: [push, email], all: true}",
        "valid_for": "valid_for: 6h",
        "from": "from: Your record shop",
        "data": "data: {shelf: jazz}",
    },
    "split step": {
        "learn": "{split: {a: {weight: 1, steps: [{send: welcome, on: email}]}, "
        "b: {weight: 1, steps: [{send: welcome-listening, on: email}]}}, learn: clicked}"
    },
    "emit step": {"data": "data: {letters: 3}"},
    "call step": {
        "method": "method: PUT",
        "json": 'json: {customer: "{{ customer.id }}", total: "{{ event.total }}"}',
        "secret": "secret: CRM_SIGNING_SECRET",
        "valid_for": "valid_for: 6h",
    },
    "wait-until": {"on": "on: [mon, tue]"},
    "date to wait for": {"before": "before: 2d", "after": "after: 1w"},
    "wait-for": {
        "then": "then: [{set: {lifecycle: collector}}]",
        "otherwise": "otherwise: [{send: welcome, on: email}]",
    },
    "test": {
        "history": 'history: [{at: "2026-01-05 12:00", event: order.placed}]',
        "live": 'live: "2026-03-01 00:00"',
        "with": "with: [winback]",
        "held_out": "held_out: true",
        "draw": "draw: {one-or-three: three-records}",
        "never": "never: [more than 3 a week]",
        "always": "always: [ends]",
        "until": 'until: "2026-06-01"',
    },
    "call expectation": {"json": "json: {kind: visit}"},
    "event entry": {"data": "data: {total: 20, currency: EUR}"},
    "message entry": {"on": "on: email"},
    "consent entry": {"basis": "basis: existing_customer"},
    "send expectation": {
        "on": "on: email",
        "subject": "subject: Welcome",
        "contains": "contains: [records]",
    },
    "not_sent expectation": {"on": "on: email", "reason": "reason: no_consent"},
    "outcome expectation": {"reason": "reason: consent.withdrawn"},
    "emit expectation": {"data": "data: {letters: 3}"},
    "bound": {"channel": "channel: sms", "category": "category: promotional", "send": "send: welcome"},
}
"""By shape and key: the key as it is written."""


def keys(inside: str) -> list[str]:
    """Return the keys in a mapping's inside."""
    return [part.partition(":")[0] for part in _parts(inside)]


def fragment(inside: str, key: str) -> str | None:
    """Return a key of a mapping's inside as it is written there, or None."""
    return next((part for part in _parts(inside) if part.startswith(f"{key}:")), None)


def _parts(inside: str) -> list[str]:
    """Return the `key: value` parts of a mapping's inside, split at the commas that belong to it."""
    parts, depth, quoted, start = [], 0, False, 0
    for n, letter in enumerate(inside):
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "{[") - (letter in "}]")
        if letter == "," and not depth and not quoted:
            parts.append(inside[start:n].strip())
            start = n + 1
    return [part for part in (*parts, inside[start:].strip()) if part]
