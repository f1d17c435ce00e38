"""Stored plans and their hashes, kept as files: of the reference journeys, and of a workspace that uses every word.

A database in use has plans like these. Where a hash changes, each journey becomes a new version at the next
`treue apply`, for everybody inside. `TREUE_REWRITE_GOLDEN=1` writes today's plans into the files: do that where a
journey of the two workspaces was changed or added, and look at the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from treue.composition.assembly import plans
from treue.plan.plan import Plan
from treue.plan.stored import from_json, plan_hash, to_json
from treue.render.templates.workspace_check import workspace_renderer
from treue.vocabulary.workspace import load

HERE = Path(__file__).parent
WORKSPACES = {"reference": HERE.parents[1], "every-word": HERE / "workspace"}
GOLDEN = HERE / "golden"

STEPS = {
    "send", "wait", "wait_until", "wait_date", "wait_for", "choose", "split", "set", "emit", "call", "start", "stop",
}  # fmt: skip
CONDITIONS = {
    "attribute", "happened", "aggregate", "segment", "consent", "reachable", "journey", "message", "message_of_stay", "all", "any", "not",
}  # fmt: skip
TRIGGERS = {"event", "segment", "schedule", "date", "manual"}


def plans_of(workspace: str) -> dict[str, Plan]:
    loaded = load(WORKSPACES[workspace])
    assert loaded.problems == []
    return {plan.journey: plan for plan in plans(loaded, workspace_renderer(loaded))}


def stored() -> dict[str, dict[str, Any]]:
    """Return what is kept of each plan, by workspace and journey."""
    files = sorted(GOLDEN.rglob("*.json"))
    return {f"{path.parent.name}/{path.stem}": json.loads(path.read_text("utf-8")) for path in files}


def documents(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every document inside one, itself included."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from documents(part)


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_a_file_becomes_the_plan_it_became_when_that_was_kept(workspace: str) -> None:
    made = {
        f"{workspace}/{name}": {"hash": plan_hash(plan), "plan": to_json(plan)}
        for name, plan in plans_of(workspace).items()
    }
    if os.environ.get("TREUE_REWRITE_GOLDEN") == "1":
        _rewrite(workspace, made)
    assert made == {name: kept for name, kept in stored().items() if name.startswith(f"{workspace}/")}


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_a_plan_that_is_read_back_is_the_one_its_file_becomes(workspace: str) -> None:
    for name, plan in plans_of(workspace).items():
        assert from_json(stored()[f"{workspace}/{name}"]["plan"]) == plan


@pytest.mark.parametrize("name", stored())
def test_a_stored_plan_has_the_hash_it_was_stored_with(name: str) -> None:
    kept = stored()[name]
    plan = from_json(kept["plan"])
    assert plan_hash(plan) == kept["hash"]
    assert to_json(plan) == kept["plan"]


def test_every_word_of_the_language_is_in_a_stored_plan() -> None:
    found = [kept["plan"] for kept in stored().values()]
    kinds = {part["kind"] for plan in found for part in documents(plan) if "kind" in part}
    entries = [plan["entry"] for plan in found]
    assert {*STEPS, *CONDITIONS} <= kinds
    assert {word for word in TRIGGERS if any(entry[word] for entry in entries)} == TRIGGERS
    assert any(plan["goal"] for plan in found)
    assert any(plan["moved"] for plan in found)
    exits = [one for plan in found for one in plan["exits"]]
    assert any(one["event"] for one in exits)
    assert any(one["condition"] for one in exits)


def _rewrite(workspace: str, made: dict[str, Any]) -> None:
    folder = GOLDEN / workspace
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        path.unlink()
    for name, kept in made.items():
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        (GOLDEN / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
