"""The same plan through Prefect: the same rows, a task for each step with somebody due, no run where nobody is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from treue.engine.assembly import Assembly, assembled
from treue.engine.delivery.doubts import doubts
from treue.engine.runtimes import InProcess, Runtime, load_runtime
from treue.model.tables import enrollment, message, step, trace
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.workspace.loading import load

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


def _workspace(folder: Path) -> Path:
    for name in ("journeys", "segments", "templates"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "treue.yaml", folder)
    return folder


@pytest.fixture(autouse=True)
def _own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TREUE_DATABASE", "SMTP_URL", "PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """Prefect, started once for these tests."""
    made = load_runtime("prefect", tmp_path_factory.mktemp("prefect-state"))
    made.warm_up()
    yield made
    made.close()


def _fill(assembly: Assembly, count: int) -> None:
    keys = [f"c{n}" for n in range(count)]
    now = START + timedelta(minutes=1)
    with assembly.store.transaction() as connection:
        given = {"first_name": "Ada", "country": "DE"}
        customers.upsert(
            connection,
            [CustomerInput(key, f"{key}@example.com", attributes=given, source="import") for key in keys],
            START,
        )
        consents.give(connection, [ConsentInput(key, "email", START) for key in keys], START)
        order = {"order_id": "1", "total": 20, "currency": "EUR", "quantity": 1}
        events.record(
            connection, [EventInput(key, "order.placed", now, order, f"o-{key}") for key in keys], now
        )


def _rows(assembly: Assembly) -> dict[str, Any]:
    queries = {
        "stays": select(
            enrollment.c.customer_id, enrollment.c.outcome, enrollment.c.due_at, step.c.name
        ).outerjoin(step, step.c.id == enrollment.c.step_id),
        "messages": select(
            message.c.customer_id, message.c.template, message.c.state, message.c.reason, message.c.due_at
        ),
        "trace": select(trace.c.customer_id, trace.c.decision, trace.c.reason),
    }
    with assembly.store.reading() as connection:
        return {
            name: Counter(tuple(row) for row in connection.execute(query)) for name, query in queries.items()
        }


def _live(folder: Path, runtime: Runtime | InProcess) -> dict[str, Any]:
    with assembled(load(_workspace(folder))) as assembly:
        assembly.publish(START)
        _fill(assembly, 30)
        for days in (0, 3, 13, 14):
            runtime.run_pass(assembly.engine, START + timedelta(days=days, minutes=2))
        return _rows(assembly)


def _runs(runtime: Runtime, kind: str, **body: Any) -> list[dict[str, Any]]:
    url = f"{runtime.ui_url().rstrip('/')}/api/{kind}/filter"  # type: ignore[attr-defined]
    request = urllib.request.Request(
        url, json.dumps({"limit": 200, **body}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())  # type: ignore[no-any-return]


def test_prefect_and_the_plain_runtime_leave_the_same_rows(runtime: Runtime, tmp_path: Path) -> None:
    plain = _live(_made(tmp_path / "plain"), InProcess())
    through_prefect = _live(_made(tmp_path / "prefect"), runtime)
    assert sum(plain["messages"].values()) >= 90
    assert through_prefect == plain


def test_each_journey_is_a_flow_of_its_name_with_a_task_for_each_step(
    runtime: Runtime, tmp_path: Path
) -> None:
    before = {run["id"] for run in _runs(runtime, "flow_runs")}
    with assembled(load(_workspace(_made(tmp_path / "w")))) as assembly:
        assembly.publish(START)
        _fill(assembly, 3)
        runtime.run_pass(assembly.engine, START + timedelta(minutes=2), ["welcome"])
    new = _wait_for(lambda: [run for run in _runs(runtime, "flow_runs") if run["id"] not in before])
    assert [run["name"].split()[0] for run in new] == ["welcome"]
    wanted = {"enter", "thank-you", "deliver"}
    flow_run = {"flow_runs": {"id": {"any_": [new[0]["id"]]}}}
    names = _wait_for(
        lambda: {run["name"] for run in _runs(runtime, "task_runs", **flow_run)}, wanted.issubset
    )
    assert wanted <= names
    told = json.dumps([new, _runs(runtime, "task_runs", **flow_run)])
    assert "example.com" not in told, "no personal data reaches Prefect"


def test_no_run_is_started_where_nobody_is_due(runtime: Runtime, tmp_path: Path) -> None:
    before = len(_runs(runtime, "flow_runs"))
    with assembled(load(_workspace(_made(tmp_path / "w")))) as assembly:
        assembly.publish(START)
        passed = runtime.run_pass(assembly.engine, START)
    time.sleep(1)
    assert passed.journeys == []
    assert len(_runs(runtime, "flow_runs")) == before


def test_killed_runs_of_the_command_send_nobody_a_mail_twice_and_lose_none(tmp_path: Path) -> None:
    from treue_channels.inbox.box import Box
    from treue_channels.smtp.relay import SESSIONS

    root = _workspace(_made(tmp_path / "w"))
    count, at = 400, (START + timedelta(minutes=2)).isoformat()
    with assembled(load(root), deliver=False) as assembly:
        assembly.publish(START)
        _fill(assembly, count)
        state = assembly.state
    box = Box(state / "inbox.db")
    command = [sys.executable, "-m", "treue", "--workspace", str(root), "run", "--at", at]
    for stop_at in (40, 200):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while box.count() < stop_at and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=180, check=True)
    assert json.loads(done.stdout)["format"] == 1
    got = Counter(mail.recipient for mail in box.list("email", "", 10_000, None))
    assert set(got.values()) <= {1}, "somebody got it twice"
    with assembled(load(root), deliver=False) as assembly, assembly.store.reading() as connection:
        unknown = [doubt["customer"] for doubt in doubts(connection)]
        held = list(connection.scalars(select(message.c.id).where(message.c.reason == "held_out")))
    assert len(unknown) <= 2 * SESSIONS, "only what was on the wire at a kill"
    assert len(got) + len(held) + len(unknown) >= count
    assert len(got) + len(held) <= count


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _wait_for(ask: Any, enough: Any = bool) -> Any:
    deadline = time.monotonic() + 30
    while not enough(found := ask()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found
