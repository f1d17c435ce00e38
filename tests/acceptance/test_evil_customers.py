"""Customers who are out for harm, through a real journey, the reference templates and a real SMTP conversation.

120 of them; `make torture` has 5,000. Each mail parses with exactly the headers of an honest customer's, its HTML holds
nothing active, and what cannot be written costs its own customer only.
"""

from __future__ import annotations

import email
import os
import shutil
from datetime import UTC, datetime
from email import policy
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import select

from treue.composition.assembly import assembled
from treue.engine.passes.chronology import run_pass
from treue.errors import RejectedInput
from treue.model.tables import customer, message
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.vocabulary.workspace import load

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MANY = 5_000 if os.environ.get("TREUE_TEST_STORM") == "full" else 120

# wire.md S1 to S4: template escapes and bombs, markup, header injection with the two live holes of Python 3.11.7.
EVIL = [
    "Ada", "=?utf-8?b?SGFsbG8NCkJjYzogdmljdGltQGV4YW1wbGUuY29tDQoNCmJvZHk=?=", f"{'a' * 80} {'b' * 80}",
    "Ada\r\nBcc: victim@example.com", "Ada\nX-Evil: 1\n\nbody", "Ada\u2028Bcc: x@example.com", "\u0085Bcc: x@y.example.com",
    "\u202eevil\u202c", '"Ada" <victim@example.com>, Bob', "Ada, Bob <b@example.com>", "a" * 500, "ä" * 300, "👩‍👩‍👧‍👦" * 60,
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<svg/onload=alert(1)>", "javascript:alert(1)",
    "</title><style>*{display:none}</style>", "<!--", "]]>", "&lt;b&gt;", "{{ 7*7 }}", "{% for i in range(10**9) %}x{% endfor %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ 'a'*10**9 }}", "{{ lipsum.__globals__ }}", "{#", "{%", "%0900000000d", "%s%n", "..\\..\\x", "'; DROP TABLE customer; --",
    "\x01\x02\x7f", " ", "=?us-ascii?q?=0D=0ABcc:_x?=", ".", ".\r\n.\r\nMAIL FROM:<x@example.com>", "\ufeff", "a\tb",
]  # fmt: skip


class Active(HTMLParser):
    """Collects whatever could do something in a mail program."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "form", "svg", "base", "link"):
            self.found.append(tag)
        for name, value in attrs:
            scheme = (value or "").strip().split(":")[0].lower()
            if name.startswith("on") or (
                name in ("href", "src") and scheme in ("javascript", "data", "vbscript")
            ):
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reference workspace, with nothing of the surroundings."""
    for name in ("TREUE_DATABASE", "TREUE_URL", "SMTP_URL", "TREUE_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TREUE_URL", "https://shop.example.com")
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "treue.yaml", tmp_path)
    return tmp_path


def test_nobody_smuggles_anything_into_a_mail_and_nobody_elses_suffers(workspace: Path) -> None:
    from treue_channels.inbox.box import InboxStore

    with assembled(load(workspace).require()) as assembly:
        assembly.publish(NOW)
        refused = 0
        for n in range(MANY):
            refused += not _comes(assembly.store, n, EVIL[n % len(EVIL)])
        run_pass(assembly.engine, NOW)
        with assembly.store.reading() as connection:
            rows = connection.execute(
                select(customer.c.email, message.c.state, message.c.reason, message.c.detail).join(
                    message, message.c.customer_id == customer.c.id
                )
            ).all()
        box = InboxStore(assembly.inbox_path)
        mails = {one.recipient: box.get(one.id).raw for one in box.list(limit=MANY + 1)}  # type: ignore[union-attr]
        box.close()
    assert len(rows) + refused == MANY
    sent = {row.email for row in rows if row.state == "sent"}
    held = [row for row in rows if row.reason != "held_out" and row.state != "sent"]
    assert [row.reason for row in held if row.reason != "render_failed"] == []
    assert mails.keys() == sent
    assert len(sent) > 0.8 * MANY
    honest = _headers(mails[next(iter(sent & {f"c{n}@example.com" for n in range(0, MANY, len(EVIL))}))])
    for address, raw in mails.items():
        assert _headers(raw) == honest, address
        _harmless(raw, address)


def _comes(store, n: int, name: str) -> bool:  # type: ignore[no-untyped-def]
    """Let a customer come and order; say whether they were taken in at all."""
    key = f"c{n}"
    try:
        with store.transaction() as connection:
            own = {"first_name": name, "last_name": name, "city": name}
            given = CustomerInput(
                key, email=f"{key}@example.com", locale="en", attributes=own, created_at=NOW
            )
            customers.upsert(connection, [given], NOW)
            consents.give(connection, [ConsentInput(key, "email", NOW)], NOW)
            order = {"order_id": name[:100], "total": 20, "currency": "EUR", "quantity": 1}
            events.record(connection, [EventInput(key, "order.placed", NOW, order)], NOW)
    except RejectedInput:
        return False
    return True


def _headers(raw: bytes) -> list[str]:
    names = [name.lower() for name in email.message_from_bytes(raw, policy=policy.compat32)]
    return [
        name for name in names if name != "content-transfer-encoding"
    ]  # an ASCII mail of short lines has none


def _harmless(raw: bytes, address: str) -> None:
    parsed = email.message_from_bytes(raw, policy=policy.default)
    assert parsed["To"].addresses[0].addr_spec == address
    assert len(parsed["To"].addresses) == 1
    assert parsed["Bcc"] is parsed["X-Evil"] is None
    assert parsed.defects == []
    assert "https://shop.example.com/u/" in parsed["List-Unsubscribe"]
    parts = {part.get_content_type(): part.get_content() for part in parsed.walk() if not part.is_multipart()}
    assert set(parts) == {"text/plain", "text/html"}
    active = Active()
    active.feed(parts["text/html"])
    assert active.found == [], address
    assert "49" not in "".join(active.text).split(), "a customer's name was run as a template"


BOMB = """---
subject: "Visits of {{ customer.first_name }}"
preheader: How often you came
---
{% for a in range(customer.visits) %}{% for b in range(customer.visits) %}{{ customer.first_name }} {% endfor %}{% endfor %}
{{ links.unsubscribe }}
"""
JOURNEY = """description: A template whose length a customer's data decide.
category: relational
basis: consent
enter: {event: order.placed}
steps: [{id: bomb, send: bomb, on: email}]
"""


def test_a_bomb_costs_its_own_customers_message_and_no_other(workspace: Path) -> None:
    settings = (workspace / "treue.yaml").read_text(encoding="utf-8")
    (workspace / "treue.yaml").write_text(
        settings.replace("customer:\n", "customer:\n  visits: number\n", 1), encoding="utf-8"
    )
    (workspace / "templates" / "bomb").mkdir()
    (workspace / "templates" / "bomb" / "email.txt").write_text(BOMB, encoding="utf-8")
    for old in (workspace / "journeys").iterdir():
        old.unlink()
    (workspace / "journeys" / "bomb.yaml").write_text(JOURNEY, encoding="utf-8")
    visits = {1: 10**9, 2: 900, 3: -1, 4: 2.5, 5: "many"} | dict.fromkeys(range(6, 60), 3)
    with assembled(load(workspace).require()) as assembly:
        assembly.publish(NOW)
        for n, number in visits.items():
            with assembly.store.transaction() as connection:
                own = {"first_name": "Ada", "visits": number}
                given = CustomerInput(f"c{n}", email=f"c{n}@example.com", attributes=own, created_at=NOW)
                customers.upsert(connection, [given], NOW)
                consents.give(connection, [ConsentInput(f"c{n}", "email", NOW)], NOW)
                events.record(connection, [EventInput(f"c{n}", "order.placed", NOW, {"total": 1})], NOW)
        run_pass(assembly.engine, NOW)
        query = select(customer.c.key, message.c.state, message.c.reason)
        with assembly.store.reading() as connection:
            rows = connection.execute(query.join(message, message.c.customer_id == customer.c.id)).all()
    failed = {row.key: row.reason for row in rows if row.state != "sent"}
    assert {"c1", "c2"} <= failed.keys() <= {"c1", "c2", "c3", "c4", "c5"}
    assert set(failed.values()) == {"render_failed"}
    assert len(rows) == len(visits)
