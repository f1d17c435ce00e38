"""An example of every key, shown in the reference and in editors; a test parses each one as it stands.

Written for the reference workspace. A fragment such as `valid_for: 6h` is read together with the least its shape
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
    "bound": "more_than: 3, per: 7d",
    "event condition": "event: order.placed",
    "message condition": "message: welcome, was: clicked",
    "segment condition": "segment: regulars",
    "consent condition": "consent: email",
    "reachable condition": "reachable: sms",
    "journey condition": "journey: welcome, is: finished",
    "all condition": "all: [{segment: regulars}, {consent: email}]",
    "any condition": "any: [{consent: sms}, {consent: push}]",
    "not condition": "not: {segment: dormant}",
}
"""By shape: the inside of a mapping with all that the shape requires."""

_STEP = {"id": "id: a-name", "if": "if: {consent: email}"}
_NUMBERS = {
    "is": "is: 100",
    "not": "not: 0",
    "in": "in: [100, 200]",
    "not_in": "not_in: [0, 1]",
    "above": "above: 100",
    "at_least": "at_least: 100",
    "below": "below: 20",
    "at_most": "at_most: 20",
    "between": "between: [20, 100]",
}
_WHERE = {"within": "within: 90d", "where": "where: {currency: EUR}"}


def _aggregate(function: str) -> dict[str, str]:
    target = f"{function}: order.placed.total"
    compared = {name: f"{{{target}, {text}}}" for name, text in _NUMBERS.items()}
    filtered = {name: f"{{{target}, above: 100, {text}}}" for name, text in _WHERE.items()}
    return {function: f"{{{target}, above: 100}}", **compared, **filtered}


_ATTRIBUTE = {
    "attribute": "{attribute: country, exists: true}",
    "is": "{attribute: country, is: DE}",
    "not": "{attribute: country, not: DE}",
    "in": "{attribute: country, in: [DE, AT, CH]}",
    "not_in": "{attribute: country, not_in: [DE, AT]}",
    "above": "{attribute: points, above: 100}",
    "at_least": "{attribute: points, at_least: 100}",
    "below": "{attribute: points, below: 100}",
    "at_most": "{attribute: points, at_most: 100}",
    "between": "{attribute: points, between: [10, 100]}",
    "contains": "{attribute: city, contains: burg}",
    "starts_with": "{attribute: locale, starts_with: de}",
    "ends_with": "{attribute: email, ends_with: .example}",
    "matches": '{attribute: city, matches: "^(Bad|Sankt) "}',
    "exists": "{attribute: birthday, exists: true}",
    "before": "{attribute: birthday, before: 2000-01-01}",
    "after": "{attribute: created_at, after: 30d ago}",
    "anniversary_in": "{attribute: birthday, anniversary_in: 3d}",
}

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
        "sources": 'sources: {shop: {scheme: shopify, secret: "${SHOPIFY_SECRET}"}}',
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
    "send step": _STEP
    | {
        "all": "{send: onboarding-wishlist, on: [push, email], all: true}",
        "valid_for": "valid_for: 6h",
        "from": "from: Your record shop",
        "data": "data: {shelf: jazz}",
    },
    "wait step": _STEP,
    "choose step": _STEP,
    "split step": _STEP
    | {
        "learn": "{split: {a: {weight: 1, steps: [{send: welcome, on: email}]}, "
        "b: {weight: 1, steps: [{send: welcome-listening, on: email}]}}, learn: clicked}"
    },
    "set step": _STEP,
    "emit step": _STEP | {"data": "data: {letters: 3}"},
    "call step": _STEP
    | {
        "method": "method: PUT",
        "json": 'json: {customer: "{{ customer.id }}", total: "{{ event.total }}"}',
        "secret": "secret: CRM_SIGNING_SECRET",
        "valid_for": "valid_for: 6h",
    },
    "start step": _STEP,
    "stop step": _STEP,
    "wait-until": {"on": "on: [mon, tue]"},
    "date to wait for": {"before": "before: 2d", "after": "after: 1w"},
    "wait-for": {
        "then": "then: [{set: {lifecycle: collector}}]",
        "otherwise": "otherwise: [{send: welcome, on: email}]",
    },
    "attribute condition": _ATTRIBUTE,
    "event condition": {
        "at_least": "at_least: 2",
        "at_most": "at_most: 3",
        "exactly": "exactly: 1",
        **_WHERE,
        "last": "last: {before: 180d ago}",
        "first": "first: {after: 2d ago}",
        "since": "since: entry",
        "same": "{event: cart.abandoned, same: cart_id}",
    },
    **{f"{name.replace('_', '-')} condition": _aggregate(name) for name in ("sum", "average", "min", "max")},
    "count-distinct condition": _aggregate("count_distinct"),
    "test": {
        "history": 'history: [{at: "2026-01-05 12:00", event: order.placed}]',
        "live": 'live: "2026-03-01 00:00"',
        "held_out": "held_out: true",
        "draw": "draw: {one-or-three: three-records}",
        "never": "never: [more than 3 a week]",
        "always": "always: [ends]",
        "until": 'until: "2026-06-01"',
    },
    "event entry": {"data": "data: {total: 20, currency: EUR}"},
    "message entry": {"on": "on: email"},
    "consent entry": {"basis": "basis: existing_customer"},
    "send expectation": {
        "on": "on: email",
        "subject": "subject: Welcome",
        "contains": "contains: [records]",
        "within": "within: 1h",
    },
    "not_sent expectation": {"on": "on: email", "reason": "reason: no_consent", "within": "within: 1h"},
    "outcome expectation": {"reason": "reason: consent.withdrawn", "within": "within: 1h"},
    "set expectation": {"within": "within: 1h"},
    "emit expectation": {"data": "data: {letters: 3}", "within": "within: 1h"},
    "bound": {"channel": "channel: sms", "category": "category: promotional", "send": "send: welcome"},
    "message condition": {
        "within": "within: 7d",
        "channel": "channel: email",
        "journey": "journey: welcome",
    },
}
"""By shape and key: the key as it is written."""


def example(shape: str, key: str) -> str | None:
    """Return how a key of a shape is written, or None where no example is known."""
    found = EXAMPLES.get(shape, {}).get(key)
    if found is None and key in _keys(WHOLE.get(shape, "")):
        return _fragment(shape, key)
    return found


def whole(shape: str, key: str) -> str:
    """Return a mapping that the shape accepts and in which the key stands."""
    shown, least = example(shape, key) or "", WHOLE.get(shape, "")
    if shown.startswith("{"):
        return shown
    return f"{{{least}}}" if key in _keys(least) else f"{{{least}, {shown}}}"


def _keys(inside: str) -> list[str]:
    return [part.partition(":")[0] for part in _parts(inside)]


def _fragment(shape: str, key: str) -> str:
    return next(part for part in _parts(WHOLE[shape]) if part.startswith(f"{key}:"))


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
