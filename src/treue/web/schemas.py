"""What /openapi.json says about the bodies; the bodies themselves are read by `documents`."""

from __future__ import annotations

from typing import Any

from treue.model.states import CHANNELS, Basis, EventStatus

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time", "description": "Without an offset, local to the workspace."}
_EVENT = {
    "type": "object",
    "properties": {
        "id": {
            **_TEXT,
            "description": "Unique for ever by event and customer. Without it, a repeated request counts twice.",
        },
        "customer": {**_TEXT, "description": "The company's own id; `customer_id` is the same."},
        "event": {**_TEXT, "description": "An event that treue.yaml declares; `name` is the same."},
        "at": {**_TIME, "description": "When it happened (default: now)."},
        "properties": {"type": "object"},
    },
    "required": ["customer", "event"],
    "example": {
        "id": "order-1001",
        "customer": "42",
        "event": "order.placed",
        "properties": {"order_id": "1001", "total": 40.5, "currency": "EUR", "quantity": 2},
    },
}
_CONSENT = {
    "type": "object",
    "properties": {
        "given": {"type": "boolean", "default": True},
        "at": _TIME,
        "source": {**_TEXT, "description": "Where it was given, such as the form's address."},
        "basis": {"type": "string", "enum": list(Basis), "default": Basis.consent.value},
        "wording": {
            **_TEXT,
            "description": "What the customer read and agreed to. Further keys are kept as proof.",
        },
    },
}
_CUSTOMER = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        **{
            name: {"type": ["string", "null"]}
            for name in ("email", "phone", "push_token", "locale", "timezone")
        },
        "attributes": {"type": "object"},
        "consent": {"type": "object", "properties": dict.fromkeys(CHANNELS, _CONSENT)},
    },
    "required": ["id"],
}
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"pointer": _TEXT, "detail": _TEXT}},
        },
    },
}


def _body(schema: dict[str, Any], *, key: bool = True) -> dict[str, Any]:
    extra: dict[str, Any] = {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
    }
    return extra | {"security": [{"key": []}]} if key else extra


def _one_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "array", "items": schema, "minItems": 1, "maxItems": 1000}]}


EVENTS = _body(_one_or_many(_EVENT))
CUSTOMERS = _body(_one_or_many(_CUSTOMER))
ENROLL = _body(
    {
        "type": "object",
        "properties": {"customers": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1000}},
        "required": ["customers"],
    }
)
MERGE = _body(
    {
        "type": "object",
        "properties": {
            "keep": {**_TEXT, "description": "The customer whose record stays."},
            "merge": {**_TEXT, "description": "The customer whose record is merged into it."},
        },
        "required": ["keep", "merge"],
    }
)
HOOK = _body({"type": "object"}, key=False)
RECEIPTS = {"requestBody": {"required": True, "content": {"*/*": {"schema": {}}}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": _PROBLEM}}}
    for status, text in {
        400: "No JSON",
        401: "No key, or a wrong signature",
        413: "Over 1 MiB",
        415: "Compressed",
        422: "Does not fit; nothing was kept",
        503: "Nothing was kept; try again",
    }.items()
}
RECORDED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Committed: what became of each event, in the order given",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "accepted": {"type": "integer"},
                        "duplicates": {"type": "integer"},
                        "conflicts": {"type": "integer"},
                        "events": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {
                                    "id": _TEXT,
                                    "status": {"type": "string", "enum": list(EventStatus)},
                                    "detail": _TEXT,
                                },
                            },
                        },
                    },
                }
            }
        },
    }
}
SECURITY_SCHEMES = {"key": {"type": "http", "scheme": "bearer", "description": "The workspace's API key."}}
