"""Erased means erased: `treue forget` beside a `treue up`, and a search of every file's bytes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli.processes import Running, environment, up

TOKENS = {
    name: f"zq{name}xw7"
    for name in (
        "id", "firstname", "lastname", "city", "before", "email", "formermail", "phone", "push", "source", "wording",
        "order", "cart", "eventid",  "whynot", "gatewhy", "failurewhy", "said", "providerid",
    )
}  # fmt: skip
"""A word for each thing that is held of a person."""

MAIL = """---
subject: "{{ customer.first_name }}"
---
<html lang="en"><head><title>Hello</title></head><body><p>Hello {{ customer.first_name }} {{ customer.last_name }} of {{ customer.city }}</p>
<p><a href="{{ links.unsubscribe }}">stop</a></p></body></html>
"""
WHYS = """
UPDATE message SET detail = 'zqwhynotxw7', provider_id = 'zqprovideridxw7' WHERE customer_id = :id;
UPDATE trace SET detail = json_object('why', 'zqgatewhyxw7 and more') WHERE customer_id = :id;
INSERT INTO channel_gate (channel, failures, reason) VALUES ('push', 0, 'zqgatewhyxw7 and more')
  ON CONFLICT (channel) DO UPDATE SET reason = excluded.reason;
INSERT INTO failure (journey_id, work, since, last_at, again_at, times, reason)
  SELECT id, 'elsewhere', 0, 0, 0, 1, 'zqfailurewhyxw7 of zqidxw7' FROM journey LIMIT 1;
INSERT INTO delivery_event (channel, key, customer_id, kind, at, hard, status, reason, url, raw, received_at)
  VALUES ('email', 'k1', NULL, 'bounced', 0, 0, '', 'zqsaidxw7 <ZqEmailXw7@example.com>', '', '{}', 0);
"""


def test_after_it_no_file_of_the_workspace_has_a_byte_of_the_person(files: Path) -> None:
    (files / "templates" / "onboarding-account").joinpath("email.html").write_text(MAIL)
    for other in (files / "templates" / "onboarding-account").glob("email*.mjml"):
        other.unlink()
    with up(files) as running:
        for key, name in (("bob", "Bobby"), (TOKENS["id"], TOKENS["firstname"])):
            _live(files, running, key, name)
        _call(files, "preview", "onboarding-account", "--customer", TOKENS["id"])
        _plant(files)
        assert set(_found(files)) == set(TOKENS), "each was somewhere"
        said = _call(files, "forget", TOKENS["id"], "--yes")
        assert "is erased" in said
        assert _found(files) == {}
        assert running.mails("bob@example.com"), "nothing of anybody else is gone"
        _post(files, running, "/v1/events", {"id": "e2", "customer": "bob", "event": "product.viewed"})
        running.wait_for(lambda: "treue_events_unrouted 0" in running.operator.get("/metrics").text)
        assert _found(files) == {}
    assert _found(files) == {}


def _live(root: Path, running: Running, key: str, name: str) -> None:
    """Let somebody come, order, be written to, and get another address."""
    mine = key == TOKENS["id"]
    mail, former = ("zqemailxw7", "zqformermailxw7") if mine else ("bob", "bobby")
    consent = (
        {"email": {"source": TOKENS["source"], "wording": TOKENS["wording"]}}
        if mine
        else {"email": {"source": "form", "wording": "yes"}}
    )
    person: dict[str, Any] = {
        "id": key, "email": f"{former}@example.com", "consent": consent,
        "attributes": {"first_name": name, **({"last_name": TOKENS["lastname"], "city": TOKENS["before"]} if mine else {"last_name": "B", "city": "C"})},
    }  # fmt: skip
    if mine:
        person |= {"phone": "+4915112345678", "push_token": TOKENS["push"]}
    _post(root, running, "/v1/customers", person)
    running.wait_for(lambda: running.mails(f"{former}@example.com"))
    later = {"id": key, "email": f"{mail}@example.com"}
    _post(root, running, "/v1/customers", later | ({"attributes": {"city": TOKENS["city"]}} if mine else {}))
    order = {"order_id": TOKENS["order"], "cart_id": TOKENS["cart"], "total": 9.5} if mine else {"total": 1}
    event = {
        "id": TOKENS["eventid"] if mine else "e1",
        "customer": key,
        "event": "order.placed",
        "properties": order,
    }
    _post(root, running, "/v1/events", event)
    running.wait_for(lambda: running.mails(f"{mail}@example.com"))


def _plant(root: Path) -> None:
    """Write what providers and failures say where they would."""
    with sqlite3.connect(root / "treue.db", timeout=60) as db:
        (number,) = db.execute("SELECT id FROM customer WHERE key = ?", (TOKENS["id"],)).fetchone()
        db.execute("UPDATE customer SET phone = ? WHERE id = ?", (TOKENS["phone"], number))
        for statement in WHYS.split(";\n"):
            if statement.strip():
                db.execute(statement, {"id": number} if ":id" in statement else {})
    db.close()


def _found(root: Path) -> dict[str, list[str]]:
    """Return in which files each token is, in any spelling."""
    contents = {path: path.read_bytes().lower() for path in root.rglob("*") if path.is_file()}
    found = {
        name: [str(path.relative_to(root)) for path, content in contents.items() if token.encode() in content]
        for name, token in TOKENS.items()
    }
    template = "templates/onboarding-account/email.html"
    return {
        name: rest for name, paths in found.items() if (rest := [one for one in paths if one != template])
    }


def _post(root: Path, running: Running, path: str, document: object) -> None:
    key = (root / ".treue" / "api_key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answer = running.client.post(path, content=json.dumps(document), headers=headers)
    assert answer.status_code == 202, answer.text


def _call(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "treue", "--workspace", str(root), *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
