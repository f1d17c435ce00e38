"""Bounces and complaints that Amazon SES sends by mail as JSON documents, through SNS.

Source: "Amazon SNS notification contents for Amazon SES" and "Contents of event data that Amazon SES publishes to
Amazon SNS" in the SES Developer Guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from treue.bounces.mime import MimeMail
from treue.bounces.verdict import Said

_LONG = 200_000


def notice(mail: MimeMail) -> tuple[str, list[Said]] | None:
    """Return (bounce, complaint or delivery; what it says of each recipient), or None where a mail has no such document."""
    if "sns.amazonaws.com" not in mail.first("from") and "x-amz-sns-message-id" not in mail.fields:
        return None
    found = _document(mail.part("text/plain") or "")
    if isinstance(found.get("Message"), str):
        found = _document(found["Message"])
    kind = str(found.get("notificationType") or found.get("eventType") or "").lower()
    told = found.get(kind)
    return (
        (kind, _said(kind, told))
        if kind in ("bounce", "complaint", "delivery") and isinstance(told, dict)
        else None
    )


def _document(text: str) -> dict[str, Any]:
    """Return the first JSON object in a text; servers that break long lines leave `!` and a fold in it."""
    start = text.find("{")
    if start < 0:
        return {}
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(text[start : start + _LONG].replace("!\n ", ""))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(kind: str, told: Mapping[str, Any]) -> list[Said]:
    listed = told.get(
        {"bounce": "bouncedRecipients", "complaint": "complainedRecipients"}.get(kind, "recipients")
    )
    recipients = listed if isinstance(listed, list) else []
    said = [_one(one, told) for one in recipients[:50] if isinstance(one, dict | str)]
    return said or [Said(action="delivered" if kind == "delivery" else "")]


def _one(one: Mapping[str, Any] | str, told: Mapping[str, Any]) -> Said:
    if isinstance(one, str):
        return Said(one[:254], "delivered", diagnostic=str(told.get("smtpResponse", "")))
    passing = told.get("bounceType") == "Transient" and not one.get("status")
    return Said(
        str(one.get("emailAddress", ""))[:254],
        "delayed" if passing else str(one.get("action", "failed")).lower(),
        str(one.get("status", "")),
        str(one.get("diagnosticCode") or told.get("complaintFeedbackType") or "").removeprefix("smtp; "),
    )
