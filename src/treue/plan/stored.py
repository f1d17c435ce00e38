"""A plan as JSON and back, and its hash: how versions are kept and told apart."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from treue.plan.stages import Plan


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Plan)


def to_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain JSON values."""
    found: dict[str, Any] = _adapter().dump_python(plan, mode="json")
    return found


def from_json(document: dict[str, Any]) -> Plan:
    """Return the plan a document was made from. Raises pydantic's ValidationError where it is none."""
    plan: Plan = _adapter().validate_python(_renewed(document))
    return plan


def _renewed(value: Any) -> Any:
    """Return a document of an earlier form in today's: `since_entry` has become one value of `since`."""
    if isinstance(value, list):
        return [_renewed(part) for part in value]
    if not isinstance(value, dict):
        return value
    found = {key: _renewed(part) for key, part in value.items() if key != "since_entry"}
    return found | {"since": "entry"} if value.get("since_entry") is True else found


def plan_hash(plan: Plan) -> str:
    """Return 16 hexadecimal digits that are equal exactly where two plans mean the same.

    Line numbers do not count: moving text around in a file does not make a new version. Nor does `moved`.
    """
    document = to_json(plan)
    document.pop("moved")
    for stage in document["stages"]:
        stage.pop("line")
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
