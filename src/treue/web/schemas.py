"""The fields of the API's bodies: the readers take what stands here, and /openapi.json and `docs/api.md` are made of it.

A field's `type` is what `documents.fitting` holds a value against; what a text or an object may hold beyond that, and
everything that the workspace's own files say, its description tells.
"""

from __future__ import annotations

from typing import Any

from treue.model.states import CHANNELS, Basis, EventStatus
from treue.store import validation
from treue.store.consents import EXISTING_CUSTOMER_FACTS

MAX_BATCH = 1_000

API_KEY = "The workspace's API key: `Authorization: Bearer KEY`."
SENDERS_SIGNATURE = "The sender's signature, made with the source's secret; no API key."
PROVIDERS_SIGNATURE = "What the channel's provider signs or sends along (see the channel's page); no API key."
NOBODY = "None: anybody may ask, and learns nothing else."

Described = dict[str, Any]


def _text(description: str, *more: str, **limits: Any) -> Described:
    """Return a text field; `more` are types that it may have as well."""
    return {"type": ["string", *more] if more else "string", "description": description, **limits}


def _key(description: str, *more: str) -> Described:
    return _text(description, "integer", *more, minLength=1, maxLength=validation.MAX_KEY)


def _count(description: str) -> Described:
    return {"type": "integer", "description": description}


def _ref(name: str, **beside: Any) -> Described:
    return {"$ref": f"#/components/schemas/{name}", **beside}


_TIME = (
    "as ISO 8601 (`2026-03-31T09:30:00+02:00`). Without an offset it is local to the workspace; a day alone is its first "
    "moment. More than five minutes ahead is refused."
)
_BOUNDS = (
    f"At most {validation.MAX_KEYS} values, {validation.MAX_DEPTH} levels and {validation.MAX_BYTES:,} bytes."
)
_PROPERTIES: Described = {
    "type": ["object", "null"],
    "description": "What else is known of the event. What `treue.yaml` declares has to fit its type; all else is kept as it "
    f"is. {_BOUNDS}",
    "maxProperties": validation.MAX_KEYS,
}

EVENT: Described = {
    "type": "object",
    "description": "Something that a customer did.",
    "properties": {
        "id": _key(
            "The sender's own id, unique for ever by event and customer; it may not begin with `treue:`. Without it, a "
            "repeated request counts twice.",
            "null",
        ),
        "customer": _key("The company's own id. Who is not known yet is recorded along with the event."),
        "customer_id": _text("The same as `customer`, which counts where both are there.", "integer"),
        "event": _text(
            "An event that `treue.yaml` declares, or `consent.given` or `consent.withdrawn`.", minLength=1
        ),
        "name": _text("The same as `event`, which counts where both are there."),
        "at": _text(f"When it happened, {_TIME} Without it, now.", "null"),
        "properties": _PROPERTIES,
    },
    "allOf": [
        {"anyOf": [{"required": ["customer"]}, {"required": ["customer_id"]}]},
        {"anyOf": [{"required": ["event"]}, {"required": ["name"]}]},
    ],
    "additionalProperties": False,
}
CONSENT: Described = {
    "type": "object",
    "description": "What a customer said about one channel. Every further key is kept as proof, as `wording` is. "
    + _BOUNDS.replace("At most", "All in all at most"),
    "properties": {
        "channel": _text(
            f"Which channel ({', '.join(f'`{one}`' for one in CHANNELS)}), in a list, where it is required; under a "
            "channel's name it is not looked at."
        ),
        "given": {
            "type": "boolean",
            "default": True,
            "description": "Whether the customer agreed, or objects (`false`).",
        },
        "at": _text(f"When it was said, {_TIME} Without it, now.", "null"),
        "source": _text(
            "Where it was said, such as the form's address. A consent needs it; an objection does not.",
            "null",
        ),
        "basis": _text(
            "On what ground. `existing_customer` (UWG section 7 (3)) needs "
            + ", ".join(f"`{fact}`" for fact in EXISTING_CUSTOMER_FACTS)
            + " as proof.",
            enum=list(Basis),
            default=Basis.consent.value,
        ),
        "wording": {"description": "What the customer read and agreed to; kept as proof, whatever it is."},
        "proof": {
            "type": ["object", "null"],
            "description": "More proof, as an object; its keys are kept beside `wording`.",
        },
    },
    "additionalProperties": True,
}
_NAMED: Described = {"required": ["channel"], "properties": {"channel": {"enum": list(CHANNELS)}}}
CONSENTS: Described = {
    "type": "object",
    "description": 'What a customer said, by channel. `false` is short for `{"given": false}`.',
    "properties": {
        channel: {
            "anyOf": [_ref("Consent"), {"const": False}],
            "description": f"What the customer said about {spelt}.",
        }
        for channel, spelt in zip(CHANNELS, ("e-mail", "SMS", "push messages"), strict=True)
    },
    "additionalProperties": False,
}
CUSTOMER: Described = {
    "type": "object",
    "description": "What is newly known about a customer. What is not named stays; null removes.",
    "properties": {
        "id": _key("The company's own id."),
        "email": _text("The address that mail goes to.", "null", maxLength=254),
        "phone": _text(
            "The number that SMS goes to, with its country's code (`+49 151 23456789`): 3 to 15 digits; blanks, "
            "brackets, dots and strokes are left out.",
            "null",
        ),
        "push_token": _text("The device that push messages go to; no blanks.", "null", maxLength=4096),
        "locale": _text(
            "The language, such as `de` or `de-AT`: which template the customer gets.",
            "null",
            maxLength=validation.MAX_NAME,
        ),
        "timezone": _text(
            "The time zone, such as `Europe/Berlin`, for quiet hours and local times. One that nobody knows is left out, "
            "and the answer's `notes` say so.",
            "null",
            maxLength=validation.MAX_NAME,
        ),
        "attributes": {
            "type": ["object", "null"],
            "description": "What else is known. What `treue.yaml` declares has to fit its type, all else is kept as it is; "
            f"a null removes an attribute. What stands beside `attributes` may not be in it. {_BOUNDS}",
            "maxProperties": validation.MAX_KEYS,
        },
        "consent": {
            "type": ["object", "array", "null"],
            "description": "What the customer said about being written to: an object by channel, or a list in which each "
            "names its channel.",
            "anyOf": [
                _ref("Consents"),
                {"type": "array", "items": _ref("Consent", **_NAMED)},
                {"type": "null"},
            ],
        },
    },
    "required": ["id"],
    "additionalProperties": False,
}
MERGING: Described = {
    "type": "object",
    "description": "Two records that are one person.",
    "properties": {
        "keep": _text("The customer whose record stays.", minLength=1),
        "merge": _text("The customer whose record is merged into it.", minLength=1),
    },
    "required": ["keep", "merge"],
    "additionalProperties": False,
    "example": {"keep": "42", "merge": "43"},
}
ENROLMENT: Described = {
    "type": "object",
    "description": "Who is to come to the journey's door.",
    "properties": {
        "customers": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "maxItems": MAX_BATCH,
            "description": "Customers' ids, as texts; each has to be known. One named twice counts once.",
        }
    },
    "required": ["customers"],
    "additionalProperties": False,
    "example": {"customers": ["42", "43"]},
}
WEBHOOK_DATA: Described = {
    "type": "object",
    "description": "Whom a webhook is about, and what happened.",
    "properties": {
        "customer": {
            "type": "object",
            "anyOf": [_ref("Customer")],
            "description": "The customer, in the shape of `POST /v1/customers`; the record is brought up to date.",
        },
        "customer_id": _key("In place of `customer`, where nothing is told but who it is.", "null"),
        "properties": {
            **_PROPERTIES,
            "description": "The event's properties, as those of `POST /v1/events`.",
        },
    },
    "anyOf": [{"required": ["customer"]}, {"required": ["customer_id"]}],
    "additionalProperties": False,
}
STANDARD_WEBHOOK: Described = {
    "type": "object",
    "description": "A webhook of a source with `scheme: standard-webhooks`. Further keys are not looked at.",
    "properties": {
        "type": _text(
            "The event, or what `map` in `treue.yaml` calls one. `customer.created` and `customer.updated` bring the "
            "customer up to date and are no events; what is neither declared nor mapped is ignored."
        ),
        "timestamp": _text(
            f"When it happened, {_TIME.rpartition(' More')[0]} Without it, now. What an older one says of a customer "
            "changes nothing that a newer one has said.",
            "null",
        ),
        "data": {
            "type": "object",
            "anyOf": [_ref("WebhookData")],
            "description": "Whom it is about, and what.",
        },
    },
    "required": ["type", "data"],
    "additionalProperties": True,
}
_PROBLEM: Described = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457). Of a batch that is refused nothing is kept.",
    "properties": {
        "type": _text("Always `about:blank`: the status says what kind of problem it is."),
        "title": _text("The status in words."),
        "status": _count("The status of the answer."),
        "detail": _text("What is wrong, in a sentence."),
        "errors": {
            "type": "array",
            "items": _ref("BodyError"),
            "maxItems": 50,
            "description": "What is wrong with the body, where it is that; `detail` says how many there are in all.",
        },
    },
    "required": ["type", "title", "status", "detail"],
}
_BODY_ERROR: Described = {
    "type": "object",
    "description": "One thing that is wrong with a body.",
    "properties": {
        "pointer": _text("Where in the body: a JSON pointer (RFC 6901), empty where it is the body itself."),
        "detail": _text("What is wrong there, in a sentence."),
    },
    "required": ["pointer", "detail"],
}
_RECORDED: Described = {
    "type": "object",
    "description": "What became of the events of a request.",
    "properties": {
        "accepted": _count("How many are recorded."),
        "duplicates": _count("How many had been recorded before, with the same content."),
        "conflicts": _count("How many were set aside: another content was recorded under their id before."),
        "events": {
            "type": "array",
            "items": _ref("RecordedEvent"),
            "description": "What became of each, in the order given.",
        },
    },
    "required": ["accepted", "duplicates", "conflicts", "events"],
}
_RECORDED_EVENT: Described = {
    "type": "object",
    "description": "What became of one event.",
    "properties": {
        "id": _text("Its id; where it had none, the one that it was given."),
        "status": _text(
            "`accepted`: it is recorded. `duplicate`: the same was recorded before. `conflict`: another content was "
            "recorded under this id; this one is kept beside the events, and no journey sees it.",
            enum=list(EventStatus),
        ),
        "detail": _text("What the conflict is. Only there."),
    },
    "required": ["id", "status"],
}
_MERGED_CUSTOMERS: Described = {
    "type": "object",
    "description": "What became of the customers of a request.",
    "properties": {
        "accepted": _count("How many were in the request."),
        "created": _count("How many were not known before."),
        "updated": _count("How many were known and something about them is new."),
        "notes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What was left out, and why: a sentence each.",
        },
    },
    "required": ["accepted", "created", "updated", "notes"],
}

SCHEMAS: dict[str, Described] = {
    "Event": EVENT,
    "Recorded": _RECORDED,
    "RecordedEvent": _RECORDED_EVENT,
    "Customer": CUSTOMER,
    "Consents": CONSENTS,
    "Consent": CONSENT,
    "MergedCustomers": _MERGED_CUSTOMERS,
    "Merging": MERGING,
    "Enrolment": ENROLMENT,
    "StandardWebhook": STANDARD_WEBHOOK,
    "WebhookData": WEBHOOK_DATA,
    "Problem": _PROBLEM,
    "BodyError": _BODY_ERROR,
}
SECURITY_SCHEMES = {"key": {"type": "http", "scheme": "bearer", "description": "The workspace's API key."}}

_REFUSALS = {
    400: "The body is empty or no JSON",
    401: "No key, or a wrong one",
    404: "There is nothing of this name",
    408: "The body did not arrive within ten seconds",
    409: "The journey is not entered by hand, or is not live",
    413: "The body is larger than 1 MiB",
    415: "The body is compressed",
    422: "Something does not fit; nothing was kept",
    503: "The database refuses; nothing was kept, try again",
}
_ALWAYS = (400, 401, 408, 413, 415, 422, 503)


def operation(
    authentication: str,
    body: Described | None = None,
    example: Any = None,
    parameters: tuple[Described, ...] = (),
    media_type: str = "application/json",
) -> Described:
    """Return what `openapi_extra` says of a route: who may call it, with which body."""
    extra: Described = {"x-authentication": authentication}
    if authentication is API_KEY:
        extra["security"] = [{"key": []}]
    if parameters:
        extra["parameters"] = list(parameters)
    if body is not None:
        content = {"schema": body} | ({"example": example} if example else {})
        extra["requestBody"] = {"required": True, "content": {media_type: content}}
    return extra


def answers(
    taken: dict[int, tuple[str, Described, Any]], *refusals: int, **texts: str
) -> dict[int | str, Any]:
    """Return a route's `responses`: those that are given, each with its text, schema and example, and the refusals."""
    found: dict[int | str, Any] = {
        status: {"description": text, "content": {"application/json": {"schema": schema, "example": example}}}
        for status, (text, schema, example) in taken.items()
    }
    for status in sorted({*_ALWAYS, *refusals}):
        found[status] = {
            "description": texts.get(f"_{status}", _REFUSALS[status]),
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
        }
    return found


def _one_or_many(name: str) -> Described:
    many = {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": MAX_BATCH}
    return {"anyOf": [_ref(name), many]}


def _said(**fields: Described) -> Described:
    return {"type": "object", "properties": fields, "required": [name for name in fields if name != "reason"]}


def _header(name: str, description: str) -> Described:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }


EVENTS = operation(
    API_KEY,
    _one_or_many("Event"),
    {
        "id": "order-1001",
        "customer": "42",
        "event": "order.placed",
        "at": "2026-03-01T09:30:00+01:00",
        "properties": {"order_id": "1001", "total": 40.5, "currency": "EUR", "quantity": 2},
    },
)
EVENTS_ANSWERS = answers(
    {
        202: (
            "Committed: what became of each event, in the order given",
            _ref("Recorded"),
            {
                "accepted": 1,
                "duplicates": 0,
                "conflicts": 0,
                "events": [{"id": "order-1001", "status": "accepted"}],
            },
        )
    }
)
CUSTOMERS = operation(
    API_KEY,
    _one_or_many("Customer"),
    {
        "id": "42",
        "email": "ada@example.com",
        "locale": "en",
        "attributes": {"first_name": "Ada"},
        "consent": {
            "email": {"source": "https://klangladen.example/letters", "wording": "Yes, write to me."}
        },
    },
)
CUSTOMERS_ANSWERS = answers(
    {
        202: (
            "Committed: how many were new",
            _ref("MergedCustomers"),
            {"accepted": 1, "created": 1, "updated": 0, "notes": []},
        )
    }
)
MERGE = operation(API_KEY, _ref("Merging"), MERGING["example"])
MERGE_ANSWERS = answers(
    {
        200: (
            "Committed",
            _said(
                status=_text(
                    "`merged`, or `duplicate` where both ids meant one customer already.",
                    enum=["merged", "duplicate"],
                )
            ),
            {"status": "merged"},
        )
    }
)
ENROLL = operation(
    API_KEY,
    _ref("Enrolment"),
    ENROLMENT["example"],
)
ENROLL_ANSWERS = answers(
    {
        202: (
            "Committed: how many came to the door",
            _said(accepted=_count("How many came to the door; who waits there already counts once.")),
            {"accepted": 2},
        )
    },
    404,
    409,
    _404="There is no such journey",
)
HOOK = operation(
    SENDERS_SIGNATURE,
    {
        "anyOf": [
            _ref("StandardWebhook"),
            {
                "type": "object",
                "description": "What Shopify sends, where the source has `scheme: shopify`.",
                "externalDocs": {"url": "connect/shopify.md"},
            },
        ]
    },
    {
        "type": "order.placed",
        "timestamp": "2026-03-01T09:30:00+01:00",
        "data": {
            "customer": {"id": "42", "email": "ada@example.com"},
            "properties": {"order_id": "1001", "total": 40.5},
        },
    },
    (
        _header("webhook-id", "Standard Webhooks: what identifies the delivery (`svix-id` is the same)."),
        _header("webhook-timestamp", "Standard Webhooks: seconds since 1970, within five minutes of ours."),
        _header("webhook-signature", "Standard Webhooks: `v1,` and the HMAC-SHA256 over id, time and body."),
        _header("X-Shopify-Hmac-SHA256", "Shopify: the HMAC-SHA256 over the raw body, in base64."),
        _header("X-Shopify-Topic", "Shopify: what it is about, such as `orders/create`."),
        _header("X-Shopify-Event-Id", "Shopify: what happened; several deliveries may tell of it."),
        _header("X-Shopify-Triggered-At", "Shopify: when it happened. Without it, now."),
    ),
)
_HOOK_SAID = _said(
    status=_text(
        "What became of it. `ignored`: it means nothing here; a webhook about a customer only is `accepted`.",
        enum=[*EventStatus, "ignored"],
    ),
    reason=_text("Why it was ignored. Only there."),
)
HOOK_ANSWERS = answers(
    {
        202: (
            "Committed, or set aside (`conflict`: its id was used for another content)",
            _HOOK_SAID,
            {"status": "accepted"},
        ),
        200: ("Seen before, or nothing that means anything here", _HOOK_SAID, {"status": "duplicate"}),
    },
    404,
    _401="A wrong signature, one that is too old, or a source whose secret is not set",
    _404="There is no such source in `treue.yaml`",
)
RECEIPTS = operation(PROVIDERS_SIGNATURE, {"description": "What the provider sends."}, media_type="*/*")
RECEIPTS_ANSWERS = answers(
    {
        200: (
            "Committed",
            _said(
                status=_text("Always `accepted`."),
                events=_count("How many things were told of messages."),
                new=_count("How many of them were not known yet."),
            ),
            {"status": "accepted", "events": 1, "new": 1},
        )
    },
    404,
    _401="It is not the provider's, or too old",
    _404="There is no such channel whose provider calls back",
)
PROBE = operation(NOBODY)


def _probe_answers(said: str, text: str, refusal: str = "") -> dict[int | str, Any]:
    found = answers({200: (text, _said(status=_text(f"Always `{said}`.")), {"status": said})}, _503=refusal)
    return {status: found[status] for status in (200, 503) if status == 200 or refusal}


HEALTHY = _probe_answers("ok", "This process answers")
READY = _probe_answers("ready", "What comes in can be written down", "The database cannot be written to")
