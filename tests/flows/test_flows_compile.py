"""A plan as a Prefect flow: each step's task is tried as the step asks."""

from __future__ import annotations

import json
from pathlib import Path

from treue.plan.stored import from_json
from treue_flows.compile import stage_tasks

STORED = Path(__file__).parents[1] / "plan" / "golden" / "every-word" / "steps.json"
"""A stored plan with every kind of step."""

MINUTES = {
    "send": 60,
    "wait": 30,
    "wait_until": 30,
    "wait_date": 30,
    "wait_for": 60,
    "choose": 60,
    "split": 30,
    "set": 60,
    "emit": 60,
    "call": 30,
    "start": 30,
    "stop": 30,
}


def test_a_task_is_tried_again_twice_and_has_the_time_its_kind_of_step_takes() -> None:
    plan = from_json(json.loads(STORED.read_text(encoding="utf-8"))["plan"])
    tasks = stage_tasks(plan)
    found = {stage.kind: tasks[stage.id].timeout_seconds for stage in plan.stages}
    assert found == {kind: minutes * 60.0 for kind, minutes in MINUTES.items()}
    assert {(task.retries, task.retry_delay_seconds) for task in tasks.values()} == {(2, 1.0)}
