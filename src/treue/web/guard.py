"""Who may do what: the API key for the API, this machine for the console, and the headers every answer carries.

The console, the inbox and the numbers are for the operator. They are served only where the connection comes
from this machine, the Host header names this machine (a page elsewhere could otherwise rebind its name to us),
and no proxy has passed the request on. From elsewhere, reach them through an SSH tunnel. The numbers are also
given to whoever has the API key.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import os
import re
import secrets
import time
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from treue.web.problems import Problem, response

KEY_VARIABLE = "TREUE_API_KEY"
KEY_FILE = "api_key"
_LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
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

REMOTE = Problem(
    403, "This page is for the operator, on this machine only; from elsewhere, use an SSH tunnel."
)
KEYLESS = Problem(
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
    if not path.exists() or not path.read_text(encoding="utf-8").strip():
        draft = state / f"{KEY_FILE}.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        draft.replace(path)
    return path.read_text(encoding="utf-8").strip(), path


def has_key(headers: Headers, key: str) -> bool:
    """Whether the request carries the API key. Compared in constant time, as digests of equal length."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(_digest(given.strip()), _digest(key))
    return same and kind.lower() == "bearer" and bool(key)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def is_local(scope: Scope) -> bool:
    """Whether the request comes from this machine, asks for this machine, and no proxy passed it on."""
    headers = Headers(scope=scope)
    client = scope.get("client")
    if not client or any(name in headers for name in _PASSED_ON):
        return False
    try:
        near = ipaddress.ip_address(client[0].partition("%")[0]).is_loopback
    except ValueError:
        return False
    return near and _LOCAL_HOST.fullmatch(headers.get("host", "")) is not None


class LocalOnly:
    """ASGI wrapper that shows an app to this machine only."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer 403."""
        allowed = scope["type"] == "http" and is_local(scope)
        await (self.app if allowed else response(REMOTE))(scope, receive, send)


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
