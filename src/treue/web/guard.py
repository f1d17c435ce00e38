"""The API key, the security headers every answer carries, and the access log."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treue.web.problems import HttpProblem
from treue.workspace.files import read_or_make_secret

KEY_VARIABLE = "TREUE_API_KEY"
KEY_FILE = "api_key"
_TOKEN = re.compile(r"^/([a-z])/[^/]+")

_log = logging.getLogger("treue.web.access")

NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": NO_CONTENT_POLICY,
}

KEYLESS = HttpProblem(
    401,
    f"This needs the API key: `Authorization: Bearer KEY`, with the key from {KEY_VARIABLE} or .treue/{KEY_FILE}.",
    headers={"WWW-Authenticate": 'Bearer realm="treue"'},
)


def api_key(state: Path) -> tuple[str, Path | None]:
    """Return the API key, and the file it is kept in where it does not come from the environment.

    The file lies in the workspace's state folder, is made on first use, and only its owner may read it.
    """
    given = os.environ.get(KEY_VARIABLE, "").strip()
    if given:
        return given, None
    path = state / KEY_FILE
    kept = read_or_make_secret(path, lambda: f"{secrets.token_urlsafe(32)}\n".encode())
    return kept.decode().strip(), path


def has_key(headers: Headers, key: str) -> bool:
    """Whether the request carries the API key. Compared in constant time, as digests of equal length."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(_digest(given.strip()), _digest(key))
    return same and kind.lower() == "bearer" and bool(key)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


class Answers:
    """ASGI middleware that adds the security headers to every answer and writes the access log.

    The log names method, path and status. Queries and the tokens of customers' links are left out of it.
    """

    def __init__(self, app: ASGIApp, secure: bool = False) -> None:
        self.app = app
        self.headers = dict(SECURITY)
        if secure:
            self.headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and see its answer out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, seen)
        finally:
            if _log.isEnabledFor(logging.INFO):
                milliseconds = (time.monotonic() - began) * 1000
                path = _TOKEN.sub(r"/\1/…", scope["path"]).encode("unicode_escape").decode()
                _log.info("%s %s %s %.0f ms", scope["method"], path, status or "-", milliseconds)
