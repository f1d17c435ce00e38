"""A plan as JSON and back, and its hash: how versions are kept and told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from treue.errors import PlanError
from treue.model.kinds import UnknownKindError, adapter
from treue.plan.plan import Plan
from treue.vocabulary.registry import WORDS


def to_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain JSON values."""
    found: dict[str, Any] = adapter(Plan).dump_python(plan, mode="json")
    exits = [_as_before(one) for one in found["exits"]]
    return found | {
        "entry": _flat(found["entry"]),
        "exits": exits,
        "stages": [_as_at_first(one) for one in found["stages"]],
    }


def _as_before(exit_: dict[str, Any]) -> dict[str, Any]:
    """Return an exit as it is stored: one that is not asked, as it was before any was, so that hashes stay what they are."""
    return {name: value for name, value in exit_.items() if name != "asked" or value}


_LATER: dict[str, dict[str, Any]] = {"wait_date": {"passed": None, "at": None, "yearly": False}}
"""By kind of stage, what was not said of it at first, and so is stored only where it says something."""


def _as_at_first(stage: dict[str, Any]) -> dict[str, Any]:
    """Return a stage as it is stored, so that hashes stay what they are."""
    later = _LATER.get(stage["kind"], {})
    return {name: value for name, value in stage.items() if name not in later or value != later[name]}


def from_json(document: dict[str, Any]) -> Plan:
    """Return the plan a document was made from.

    Raises PlanError where it has a word that is not installed, or is none of this Treue's.
    """
    name = document.get("journey", "a journey")
    try:
        plan: Plan = adapter(Plan).validate_python(_upgrade(_with_trigger(document)), context=WORDS)
    except UnknownKindError as error:
        what = f"the {_WRITTEN.get(error.sort, error.sort)} `{error.kind}`"
        raise PlanError(
            f"A stored version of {name} has {what}; install the package that brings it."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise PlanError(
            f"A stored version of {name} cannot be read; another version of Treue may have written it ({said})."
        ) from error
    return plan


_WRITTEN = {"stage": "step"}
"""What a sort of stored documents is called in files."""


_ENTRY: dict[str, Any] = {
    "event": None,
    "where": [],
    "segment": None,
    "segment_name": None,
    "schedule": None,
    "manual": False,
    "per": None,
    "date": None,
    "each_run": False,
}
"""How an entry is stored: the fields of all triggers that there were at first, flat, so that hashes stay what they are."""

_KINDS = ("event", "date", "schedule", "segment")
"""The field that tells a stored entry's trigger where it has no kind; none of them: `manual`."""


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry as it is stored; a trigger with fields of its own keeps its kind."""
    trigger = dict(entry.pop("trigger"))
    if isinstance(date := trigger.get("date"), dict) and not date["moves"]:
        trigger["date"] = {name: value for name, value in date.items() if name != "moves"}
    kind = trigger.pop("kind")
    own = {} if trigger.keys() <= _ENTRY.keys() and _kind(_ENTRY | trigger) == kind else {"kind": kind}
    return _ENTRY | trigger | entry | own


def _with_trigger(document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored document with the entry's trigger by itself."""
    entry = dict(document["entry"])
    rest = {name: entry.pop(name) for name in ("when", "again") if name in entry}
    kind = entry.get("kind") or _kind(entry)
    wanted = {name: value for name, value in entry.items() if name not in _ENTRY or value != _ENTRY[name]}
    return document | {"entry": rest | {"trigger": wanted | {"kind": kind}}}


def _kind(entry: Mapping[str, Any]) -> str:
    return next((name for name in _KINDS if entry.get(name)), "manual")


def _upgrade(value: Any) -> Any:
    """Bring a document of an earlier form up to date: `since_entry` has become one value of `since`."""
    if isinstance(value, list):
        return [_upgrade(part) for part in value]
    if not isinstance(value, dict):
        return value
    found = {key: _upgrade(part) for key, part in value.items() if key != "since_entry"}
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
