"""The same plan through Prefect: the same rows, a task for each step with somebody due, no run where nobody is."""

from __future__ import annotations

import base64
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

import httpx
import pytest
from sqlalchemy import select, text

from treue.composition.assembly import Assembly, assembled
from treue.delivery.doubts import doubts
from treue.engine.passes.attempts import JourneysFailed
from treue.engine.passes.runtimes import InProcess, Runtime, load_runtime
from treue.model.tables import enrollment, message, step, trace
from treue.store import consents, customers, events, failures
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.vocabulary.workspace import load

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


def _authorized(runtime: Runtime) -> dict[str, str]:
    password = runtime.ui_password()
    assert password is not None
    assert password.stat().st_mode & 0o777 == 0o600
    return {"Authorization": f"Basic {base64.b64encode(password.read_bytes().strip()).decode()}"}


def _runs(runtime: Runtime, kind: str, **body: Any) -> list[dict[str, Any]]:
    url = f"{runtime.ui_url().rstrip('/')}/api/{kind}/filter"  # type: ignore[attr-defined]
    headers = {"Content-Type": "application/json", **_authorized(runtime)}
    request = urllib.request.Request(url, json.dumps({"limit": 200, **body}).encode(), headers)
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
        runtime.run_pass(assembly.engine, START + timedelta(minutes=2))
    new = _wait_for(lambda: [run for run in _runs(runtime, "flow_runs") if run["id"] not in before])
    new = [run for run in new if run["name"].split()[0] == "welcome"]
    assert len(new) == 2, "one for its steps, one for its mails, which go when everybody's things are done"
    wanted = {"enter", "thank-you", "deliver"}
    flow_run = {"flow_runs": {"id": {"any_": [run["id"] for run in new]}}}
    names = _wait_for(
        lambda: {run["name"] for run in _runs(runtime, "task_runs", **flow_run)}, wanted.issubset
    )
    assert wanted <= names
    told = json.dumps([new, _runs(runtime, "task_runs", **flow_run)])
    assert "example.com" not in told, "no personal data reaches Prefect"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"treue:guess").decode()}, 401),
        ({"Host": "rebound.example"}, 400),
        ({"Host": "127.0.0.1.rebound.example:4200"}, 400),
    ],
)
def test_prefects_api_asks_for_its_password_and_answers_to_its_own_name_only(
    runtime: Runtime, headers: dict[str, str], status: int
) -> None:
    with httpx.Client(base_url=str(runtime.ui_url())) as stranger:
        for path in ("flows/filter", "flow_runs/filter", "variables/filter"):
            assert stranger.post(f"/api/{path}", json={}, headers=headers).status_code == status
        assert stranger.post("/api/flows/", json={"name": "evil"}, headers=headers).status_code == status
    known = httpx.post(f"{runtime.ui_url()}/api/flows/filter", json={}, headers=_authorized(runtime))
    assert "evil" not in [flow["name"] for flow in known.raise_for_status().json()]


def test_no_page_of_another_site_may_ask_prefect_anything(runtime: Runtime) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(f"{runtime.ui_url()}/api/flows/filter", headers=asked)
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    headers = {"Origin": "http://evil.example", **_authorized(runtime)}
    answer = httpx.post(f"{runtime.ui_url()}/api/flows/filter", json={}, headers=headers)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_no_run_is_started_where_nobody_is_due(runtime: Runtime, tmp_path: Path) -> None:
    before = len(_runs(runtime, "flow_runs"))
    with assembled(load(_workspace(_made(tmp_path / "w")))) as assembly:
        assembly.publish(START)
        passed = runtime.run_pass(assembly.engine, START)
    time.sleep(1)
    assert passed.journeys == []
    assert len(_runs(runtime, "flow_runs")) == before


def test_a_step_that_fails_fails_its_flow_run_and_leaves_all_else_to_go_on(
    runtime: Runtime, tmp_path: Path
) -> None:
    """The database refuses what `welcome` puts in the outbox: its run fails, the other journeys' do not."""
    before = {run["id"] for run in _runs(runtime, "flow_runs")}
    with assembled(load(_workspace(_made(tmp_path / "w")))) as assembly:
        assembly.publish(START)
        _fill(assembly, 3)
        broken = "CREATE TRIGGER broken BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        with assembly.store.transaction() as connection:
            connection.execute(text(broken))
        with pytest.raises(
            JourneysFailed, match="welcome: the step thank-you failed: the disk is full"
        ) as failed:
            runtime.run_pass(assembly.engine, START + timedelta(minutes=2))
        with assembly.store.reading() as connection:
            (failing,) = failures.find(connection)
        assert (failing.journey, failing.work, failing.times) == ("welcome", "step thank-you", 1)
        with assembly.store.transaction() as connection:
            connection.execute(text("DROP TRIGGER broken"))
        passed = runtime.run_pass(assembly.engine, START + timedelta(minutes=4))
        with assembly.store.reading() as connection:
            assert failures.find(connection) == []
    new = [run for run in _runs(runtime, "flow_runs") if run["id"] not in before]
    states = Counter((run["name"].split()[0], run["state"]["type"]) for run in new)
    assert (states["welcome", "FAILED"], states["welcome", "COMPLETED"]) == (1, 2), (
        "the steps again, then the mails"
    )
    assert {name for name, _ in states} == {"welcome"}, (
        "nobody is due elsewhere: whom doors turn away starts no run"
    )
    assert failed.value.passed.arrivals >= 3
    assert passed.delivered.sent == 2, "one is held out"


def test_killed_runs_of_the_command_send_nobody_a_mail_twice_and_lose_none(tmp_path: Path) -> None:
    from treue_channels.inbox.box import InboxStore
    from treue_channels.smtp.relay import SESSIONS

    root = _workspace(_made(tmp_path / "w"))
    count, at = 400, (START + timedelta(minutes=2)).isoformat()
    with assembled(load(root), deliver=False) as assembly:
        assembly.publish(START)
        _fill(assembly, count)
        state = assembly.state
    box = InboxStore(state / "inbox.db")
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
