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
    plan: Plan = _adapter().validate_python(document)
    return plan


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
