"""`treue up` and `treue web` as processes of their own, spoken to over HTTP."""

from __future__ import annotations

import base64
import hmac
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.cli.processes import SECRET, Running, environment, started, up


@pytest.fixture
def order(data_dir: Path) -> bytes:
    """A real Shopify order."""
    document = json.loads((data_dir / "shopify" / "orders__create.json").read_text())
    return json.dumps(document["payload"] | {"test": False}).encode()


@pytest.fixture(params=["ours", pytest.param("real", marks=pytest.mark.data)])
def any_order(request: pytest.FixtureRequest) -> bytes:
    """A Shopify order: a real one, and one of ours for where the real data is not."""
    if request.param == "ours":
        return Path(__file__).with_name("shopify_order.json").read_bytes()
    found: bytes = request.getfixturevalue("order")
    return found


def _post(running: Running, body: bytes, secret: str = SECRET, id_: str = "w-1") -> int:
    signature = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    headers = {
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Hmac-SHA256": signature,
        "X-Shopify-Webhook-Id": id_,
    }
    return running.client.post("/v1/hooks/shop", content=body, headers=headers).status_code


def _inside(running: Running, journey: str) -> float:
    """Return how many the metrics say are inside a journey."""
    start = f'treue_journey_inside{{journey="{journey}"}} '
    (line,) = [line for line in running.operator.get("/metrics").text.splitlines() if line.startswith(start)]
    return float(line.removeprefix(start))


def _thanks(running: Running) -> list[str]:
    """Return the titles of the welcome mails."""
    return [mail["title"] for mail in running.mails("john@example.com") if "Thank you" in mail["title"]]


def test_a_posted_order_starts_welcome_once_and_a_forged_one_never(files: Path, any_order: bytes) -> None:
    order = any_order
    with up(files) as running:
        assert _post(running, order, secret="wrong") == 401
        assert _post(running, order) == 202
        running.wait_for(lambda: _thanks(running))
        for n in range(5):
            assert _post(running, order, id_=f"w-{n}") == 200
        probe = {"id": "probe", "customer": "eve", "event": "order.placed"}
        key = (files / ".treue" / "api_key").read_text().strip()
        posted = running.client.post("/v1/events", json=probe, headers={"Authorization": f"Bearer {key}"})
        assert posted.status_code == 202
        running.wait_for(lambda: _inside(running, "welcome") == 2)
        running.wait_for(lambda: "treue_events_unrouted 0" in running.operator.get("/metrics").text)
        assert len(_thanks(running)) == 1
        assert _inside(running, "welcome") == 2, "John, and Eve"


def test_the_links_in_mails_lead_to_the_port_that_is_served(files: Path) -> None:
    with up(files) as running:
        key = (files / ".treue" / "api_key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        consent = {"email": {"source": "form", "wording": "Ja"}}
        person = {"id": "ada", "email": "ada@example.com", "consent": consent}
        assert running.client.post("/v1/customers", json=person, headers=headers).status_code == 202
        mail = running.wait_for(lambda: running.mails("ada@example.com"))[0]
        shown = running.operator.get(f"/inbox/api/messages/{mail['id']}").json()
        (header,) = [value for name, value in shown["headers"] if name == "List-Unsubscribe"]
        address = header.split(",")[0].strip("<> ")
        assert address.startswith(f"http://localhost:{running.port}/u/")
        assert httpx.post(address, data={"List-Unsubscribe": "One-Click"}).status_code == 200
        running.wait_for(lambda: _inside(running, "onboarding") == 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_after_it_has_said_where_everything_is(files: Path, number: int) -> None:
    with up(files) as running:
        code, out, errors = running.end(number)
    assert code == 0, errors
    assert f"Console     http://localhost:{running.port}/" in out
    assert f"Inbox       http://localhost:{running.port}/inbox" in out
    assert str(files / ".treue" / "api_key") in out
    assert "refused until ${CRM_SECRET:-} is set" in out
    assert "Traceback" not in errors
    assert (files / ".treue" / "api_key").read_text().strip() not in out + errors


def test_the_printed_curl_command_posts_an_event(files: Path) -> None:
    with up(files) as running:
        key = (files / ".treue" / "api_key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        _, out, _ = running.end(signal.SIGINT)
        sent = json.loads(out.split("-d '")[1].split("'")[0])
    with up(files) as running:
        answer = running.client.post("/v1/events", json=sent, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def test_a_port_that_is_taken_is_said_in_a_sentence(files: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "treue", "--workspace", str(files), "up", "--port", str(port)]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 2
    assert f"Port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_passes_that_break_end_the_command_with_a_sentence(files: Path) -> None:
    with started(files, "up", runtime="Broken") as running:
        _, errors = running.process.communicate(timeout=60)
    assert running.process.returncode == 2
    assert "the passes are broken" in errors
    assert "Traceback" not in errors


def test_web_takes_events_in_and_sends_nothing(files: Path) -> None:
    with up(files, "web", TREUE_API_KEY="given") as running:
        headers = {"Authorization": "Bearer given"}
        sent = {"customer": "ada", "event": "order.placed"}
        assert running.client.post("/v1/events", json=sent, headers=headers).status_code == 202
        assert "treue_events_unrouted 2" in running.operator.get("/metrics").text
        code, out, _ = running.end(signal.SIGTERM)
    assert code == 0
    assert "TREUE_API_KEY" in out
    assert "given" not in out
    assert not (files / ".treue" / "api_key").exists()


def test_what_was_answered_survives_the_death_of_the_process(files: Path) -> None:
    with up(files, "web", TREUE_API_KEY="given") as running:
        batch = [{"id": f"e{n}", "customer": f"c{n}", "event": "order.placed"} for n in range(200)]
        headers = {"Authorization": "Bearer given"}
        assert running.client.post("/v1/events", json=batch, headers=headers).json()["accepted"] == 200
        running.process.kill()
        running.process.wait()
    with up(files, "web", TREUE_API_KEY="given") as running:
        again = running.client.post("/v1/events", json=batch, headers=headers).json()
    assert (again["accepted"], again["duplicates"], again["conflicts"]) == (0, 200, 0)


@pytest.mark.data
@pytest.mark.prefect
def test_through_prefect_a_posted_order_becomes_a_mail(files: Path, order: bytes) -> None:
    with up(files, runtime=None) as running:
        assert _post(running, order) == 202
        running.wait_for(lambda: running.mails("john@example.com"), seconds=180)
        code, out, errors = running.end(signal.SIGINT)
    assert code == 0, errors
    assert "Prefect     http" in out
