"""The operator's pages: true to the numbers, and free of what others wrote."""

from __future__ import annotations

import html
import json
import logging
import re
import time

import pytest

from tests.web.serving import Site
from treue.engine.passes.chronology import run_pass
from treue.web import guard
from treue.web.operations import uses_inbox


def test_the_inbox_shows_what_was_sent(world: Site) -> None:
    person = {"id": "ada", "email": "ada@example.com", "consent": {"email": {"source": "form"}}}
    world.post("/v1/customers", person)
    world.post("/v1/events", {"customer": "ada", "event": "order.placed"})
    run_pass(world.assembly.engine, world.now)
    assert uses_inbox(world.assembly)
    answer = world.client.get("/inbox", follow_redirects=True)
    assert answer.status_code == 200
    assert "ada@example.com" in answer.text
    redirect = world.client.get("/inbox").headers["location"]
    assert redirect == "/inbox/"


def test_the_console_shows_what_was_set_aside_with_what_is_kept_and_the_metrics_count_it(world: Site) -> None:
    assert "Set aside" not in world.client.get("/").text
    for total, category in ((1, "<b>"), (2, "<i>")):
        order = {"id": "1001", "customer": "ada", "event": "order.placed"}
        world.post("/v1/events", order | {"properties": {"total": total, "note": category}})
    console = world.client.get("/").text
    row = re.search(r"<h2>Set aside.*?</table>", console, re.DOTALL)
    assert row
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row[0])]
    assert cells[1:4] == ["ada", "1001", "api"]
    assert [json.loads(cell) for cell in cells[-2:]] == [
        {"total": 2, "note": "<i>"},
        {"total": 1, "note": "<b>"},
    ]
    assert "<i>" not in row[0]
    assert "treue_events_set_aside 1" in world.client.get("/metrics").text


def test_the_console_and_the_metrics_tell_the_same_numbers(world: Site) -> None:
    for name in ("ada", "bob", "eve"):
        consent = {"email": {"source": "form"}} if name != "eve" else None
        world.post("/v1/customers", {"id": name, "email": f"{name}@example.com", "consent": consent})
        world.post("/v1/events", {"customer": name, "event": "order.placed"})
    run_pass(world.assembly.engine, world.now)
    console = world.client.get("/").text
    row = re.search(r"<tr><th scope=\"row\">welcome</th>.*?</tr>", console, re.DOTALL)
    assert row
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row[0])
    numbers = world.client.get("/metrics").text
    inside = re.search(r'treue_journey_inside\{journey="welcome"\} (\d+)', numbers)
    sent = re.search(r'treue_channel_sent_total\{channel="email"\} (\d+)', numbers)
    assert inside
    assert sent
    assert cells[:2] == ["live", inside[1]]
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", console.split("<tbody>")[0])
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", console.split("<h2>Channels")[0], re.DOTALL)
    column = heads[1:].index("Sent by email")
    assert sum(int(re.findall(r"<td[^>]*>([^<]*)</td>", row)[column]) for row in rows) == int(sent[1])


def test_every_metric_has_its_help_and_type_once(world: Site) -> None:
    lines = world.client.get("/metrics").text.splitlines()
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    samples = [line for line in lines if not line.startswith("#")]
    assert samples
    assert len([line for line in lines if line.startswith("# TYPE")]) == len(named)
    assert all(re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+', line) for line in samples)
    endings = re.compile("_(bucket|count|sum)$")
    families = {endings.sub("", re.split(r"[{ ]", line)[0]) for line in samples}
    assert families <= named | {endings.sub("", name) for name in named}


def test_what_customers_are_called_is_only_text_on_the_console(world: Site) -> None:
    world.post("/v1/events", {"customer": "<script>alert(1)</script>", "event": "order.placed"})
    answer = world.client.get("/")
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "<script" not in answer.text
    assert not re.search(r"(src|href)=\"https?:", answer.text)


def test_the_console_says_what_keeps_a_channel_from_sending(world: Site) -> None:
    from datetime import timedelta

    from treue.delivery import gates
    from treue.delivery.consequences import count

    told = re.compile(r"<p([^>]*)>(sms|email): ([^<]*)</p>")
    assert not told.search(world.client.get("/").text)
    with world.assembly.store.transaction() as connection:
        gates.failed(connection, "sms", world.now, 90.0, "429 <b>Too Many</b>")
        count(connection, "email", world.now, sent=1000, complained=3)
    page = world.client.get("/").text
    email, sms = told.findall(page)
    assert sms[0] == "", "a pause that was asked for is nothing to be done about"
    assert sms[2].startswith(
        "paused after a failure: 429 &lt;b&gt;Too Many&lt;/b&gt;; tried again at 02 Mar 2026, 10:01:30"
    )
    assert email[0] == ' class="bad"'
    assert "marketing is stopped" in email[2]
    assert 'treue_channel_failures{channel="sms"} 1' in world.client.get("/metrics").text
    world.now += timedelta(days=2)
    assert not told.search(world.client.get("/").text)


def test_probes_answer_anybody(world: Site) -> None:
    assert world.client.get("/healthz", headers={"Host": "any"}).status_code == 200
    assert world.client.get("/readyz", headers={"Host": "any"}).status_code == 200


def test_the_api_is_described_without_anything_from_elsewhere(world: Site) -> None:
    document = world.client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/events",
        "/v1/customers",
        "/v1/journeys/{name}/enroll",
        "/v1/hooks/{source}",
        "/v1/customers/merge",
        "/v1/receipts/{channel}",
        "/healthz",
        "/readyz",
    }
    page = world.client.get("/docs")
    assert all(path in page.text for path in document["paths"])
    assert not re.search(r"<script|https?://", page.text)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/events", 405),
        ("GET", "/m", 404),
        ("POST", "/healthz", 405),
    ],
)
def test_what_is_not_there_is_a_problem_document_with_every_security_header(
    world: Site, method: str, path: str, status: int
) -> None:
    answer = world.client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert all(answer.headers[name] == value for name, value in guard.SECURITY.items())


def test_the_access_log_has_no_token_no_query_and_no_second_line(
    world: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "treue.web.access"):
        world.client.get("/u/secret-token?key=secret-query")
        world.client.get("/healthz%0aforged?password=secret-query")
        lines: list[str] = []
        until = time.monotonic() + 120
        while len(lines) < 2 and time.monotonic() < until:  # a line is written after its answer
            time.sleep(0.01)
            told = [record.getMessage() for record in caplog.records if record.name == "treue.web.access"]
            lines = [line for line in told if line.startswith("GET")]  # the sign-in before may be told of
    assert len(lines) == 2
    assert not any("secret" in line or "\n" in line for line in lines)


def test_the_key_in_the_state_folder_is_made_once_and_is_the_owners_alone(
    world: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(guard.KEY_VARIABLE)
    first, path = guard.api_key(world.assembly.state)
    assert path
    assert path.stat().st_mode & 0o777 == 0o600
    assert guard.api_key(world.assembly.state) == (first, path)
    assert len(first) >= 32
