"""The reference workspace's web behind a real server on loopback, and how senders sign."""

from __future__ import annotations

import base64
import hmac
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from treue.composition.assembly import Assembly, assembled
from treue.vocabulary.workspace import load
from treue.web.app import create_app
from treue.web.server import listen, server
from treue.web.sessions import Sessions

ROOT = Path(__file__).parents[2]
KEY = "test-key"
SHOPIFY_SECRET = "hush"
CRM_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def copy_workspace(root: Path) -> Path:
    """Copy the reference workspace's files, and a journey entered by hand."""
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "treue.yaml", root)
    (root / "journeys" / "by-hand.yaml").write_text(
        "description: Entered by hand.\ncategory: relational\nbasis: consent\nenter: {manual: true}\n"
        "steps:\n  - {id: rest, wait: 1d}\n",
        encoding="utf-8",
    )
    return root


class Site:
    """A workspace's web as the world sees it; `now` is its clock, `woken` is set when it wakes the passes."""

    def __init__(self, assembly: Assembly, port: int) -> None:
        self.assembly, self.port = assembly, port
        self.now = datetime(2026, 3, 2, 9, tzinfo=UTC)
        self.woken = threading.Event()
        assembly.publish(self.now)
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def sign_in(self) -> Site:
        """Sign the client in, as an operator."""
        sign_in(self.client, self.link_token())
        return self

    def link_token(self) -> str:
        """Return the token of a fresh link."""
        return Sessions.of(self.assembly.state).link_token(self.now)

    def post(self, path: str, document: Any) -> httpx.Response:
        return self.client.post(path, json=document, headers={"Authorization": f"Bearer {KEY}"})

    def count(self, table: Any, *where: Any) -> int:
        with self.assembly.store.reading() as connection:
            return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0

    def rows(self, statement: Any) -> list[Any]:
        with self.assembly.store.reading() as connection:
            return list(connection.execute(statement).all())


def sign_in(client: httpx.Client, token: str, **headers: str) -> httpx.Response:
    """Do what the page behind a link does with its token; return the answer."""
    return client.post("/sign-in", data={"token": token}, headers=headers)


@contextmanager
def served(root: Path) -> Iterator[Site]:
    """Serve the workspace in `root` with the project's own server settings, in a thread; its client has signed in."""
    listening = listen("127.0.0.1", 0)
    with listening, assembled(load(root)) as assembly:
        site = Site(assembly, listening.getsockname()[1])
        running = server(create_app(assembly, site.woken.set, lambda: site.now))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield site.sign_in()
        finally:
            site.client.close()
            running.should_exit = True
            thread.join()


def shopify(
    body: bytes, topic: str = "orders/create", secret: str = SHOPIFY_SECRET, **more: str
) -> dict[str, str]:
    """Return the headers Shopify sends with a body."""
    signature = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    return {"X-Shopify-Hmac-SHA256": signature, "X-Shopify-Topic": topic} | more


def standard(body: bytes, at: datetime, id_: str = "msg_1", secret: str = CRM_SECRET) -> dict[str, str]:
    """Return the headers of a standard webhook, signed by the specification's own library."""
    from standardwebhooks import Webhook

    signature = Webhook(secret).sign(id_, at, body.decode())
    seconds = str(int(at.timestamp()))
    return {"webhook-id": id_, "webhook-timestamp": seconds, "webhook-signature": signature}


def crm_event(customer: str = "ada", type_: str = "order.placed", **properties: Any) -> bytes:
    """Return the body of a standard webhook."""
    data = {"customer": {"id": customer}, "properties": properties or {"order_id": "1", "total": 5}}
    return json.dumps({"type": type_, "data": data}).encode()
