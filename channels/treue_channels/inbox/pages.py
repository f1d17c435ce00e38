"""The inbox in a browser: a list, a page for each message, and JSON for scripts. No scripts of its own.

What is shown was written by strangers. Templates escape everything; a mail's HTML is served on its own, with
a policy that allows no script, no form and nothing from the network, and framed in a sandbox.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from treue_channels.inbox.box import InboxMessage, InboxStore
from treue_channels.inbox.mail import ParsedMail, read

PAGE = 50
_MOST = 1000
_SHOWN = 200_000
_REFRESH = 3
_NAMES = {"email": "E-mail", "sms": "SMS", "push": "Push"}
_VIEWS = {"html": "HTML", "text": "Text", "headers": "Headers", "raw": "Raw"}

MAIL_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_HOST = re.compile(r"(?:[a-z0-9.-]+|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def app(box_path: Path, zone: str = "UTC") -> Starlette:
    """Return the pages over the inbox file as an ASGI app that may be mounted under any path.

    Times are shown in `zone`. It asks nobody to log in: keep it on this machine or behind something that does.
    """
    pages = _Pages(InboxStore(box_path), zone)
    routes = [
        Route("/", pages.index),
        Route("/style.css", pages.style),
        Route("/api/messages", pages.api_list),
        Route("/api/messages/{id:int}", pages.api_message),
        Route("/{id:int}", pages.message),
        Route("/{id:int}/html", pages.html),
        Route("/{id:int}/raw", pages.raw),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: pages.problem})


class _Pages:
    """The endpoints. They are plain functions, which Starlette runs in its threads."""

    def __init__(self, box: InboxStore, zone: str) -> None:
        self._box = box
        self._zone = ZoneInfo(zone)
        loader = PackageLoader("treue_channels.inbox")
        self._templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._templates.filters["time"] = self._time
        self._templates.globals["names"] = _NAMES

    def index(self, request: Request) -> Response:
        asked = request.query_params
        channel = asked["channel"] if asked.get("channel") in _NAMES else None
        query, before = asked.get("q", "").strip()[:200], _number(asked.get("before"))
        found = self._box.list(channel, query, PAGE + 1, before)
        return self._page(
            request,
            "list.html",
            address=lambda **given: _address(_base(request), given),
            messages=found[:PAGE],
            older=found[PAGE - 1].id if len(found) > PAGE else None,
            newest=before is None,
            channel=channel or "",
            query=query,
            live=asked.get("live") == "1" and before is None,
            refresh=_REFRESH,
            counts={name: self._box.count(name or None) for name in ("", *_NAMES)},
        )

    def message(self, request: Request) -> Response:
        message = self._message(request)
        if message.channel != "email":
            text = message.raw.decode(errors="replace")
            return self._page(request, "text.html", message=message, text=text)
        mail = read(message.raw)
        asked = request.query_params
        view = asked.get("view", "")
        return self._page(
            request,
            "mail.html",
            message=message,
            mail=mail,
            views=_VIEWS,
            view=view if view in _VIEWS else "html" if mail.html else "text",
            phone=asked.get("width") == "phone",
            raw=message.raw[:_SHOWN].decode(errors="replace"),
            cut=len(message.raw) > _SHOWN,
        )

    def html(self, request: Request) -> Response:
        page = read(self._message(request).raw).page
        return HTMLResponse(page, headers={**_HEADERS, "Content-Security-Policy": _mail_policy(request)})

    def raw(self, request: Request) -> Response:
        content = self._message(request).raw
        return Response(content, media_type="text/plain; charset=utf-8", headers=_HEADERS)

    def style(self, request: Request) -> Response:
        assert self._templates.loader is not None
        css, _, _ = self._templates.loader.get_source(self._templates, "style.css")
        return Response(css, media_type="text/css", headers=_HEADERS)

    def api_list(self, request: Request) -> Response:
        """List messages, oldest first, from the one behind `after` (an id) on."""
        asked = request.query_params
        after, limit = _number(asked.get("after", "0")), _number(asked.get("limit", "100"))
        channel = asked.get("channel")
        if after is None or not limit or (channel is not None and channel not in _NAMES):
            raise HTTPException(400, "after and limit are whole numbers; channel is email, sms or push.")
        found = self._box.list(
            channel, asked.get("q", ""), min(limit, _MOST), after=after, recipient=asked.get("recipient")
        )
        last = found[-1].id if found else after
        return JSONResponse({"messages": [_fields(m) for m in found], "after": last}, headers=_HEADERS)

    def api_message(self, request: Request) -> Response:
        message = self._message(request)
        content = _content(message, read(message.raw) if message.channel == "email" else None)
        return JSONResponse(_fields(message) | content, headers=_HEADERS)

    async def problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.url.path.removeprefix(_base(request)).startswith("/api/"):
            problem = {"title": error.detail, "status": error.status_code}
            headers = {**_HEADERS, "Content-Type": "application/problem+json"}
            return JSONResponse(problem, error.status_code, headers=headers)
        return self._page(request, "problem.html", status=error.status_code, detail=error.detail)

    def _message(self, request: Request) -> InboxMessage:
        message = self._box.get(request.path_params["id"])
        if message is None:
            raise HTTPException(404, "There is no such message in this inbox.")
        return message

    def _page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        shown = self._templates.get_template(template).render(base=_base(request), status=status, **values)
        return HTMLResponse(shown, status, headers=_HEADERS)

    def _time(self, moment: datetime) -> str:
        local = moment.astimezone(self._zone)
        return f"{local.day} {local:%b %Y, %H:%M}"


def _mail_policy(request: Request) -> str:
    """Return what a mail may do: show the pictures inside it and, where a web serves these pages, those it hosts."""
    host = request.headers.get("host", "")
    if not _base(request) or not _HOST.fullmatch(host):
        return MAIL_POLICY
    return MAIL_POLICY.replace("img-src data:", f"img-src data: {request.url.scheme}://{host}/a/")


def _base(request: Request) -> str:
    """Return the path the app is mounted under, without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _address(base: str, given: dict[str, Any]) -> str:
    """Return the list's address with the parameters that are not empty."""
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{base}/?{query}" if query else f"{base}/"


def _number(text: str | None) -> int | None:
    """Return a whole number of up to 18 digits, which fits SQLite's, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None


def _fields(message: InboxMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "received_at": message.received_at.isoformat(),
        "channel": message.channel,
        "sender": message.sender,
        "recipient": message.recipient,
        "title": message.title,
        "excerpt": message.excerpt,
        "link": message.link,
    }


def _content(message: InboxMessage, mail: ParsedMail | None) -> dict[str, Any]:
    if mail is None:
        return {"text": message.raw.decode(errors="replace")}
    return {
        "headers": mail.headers,
        "text": mail.text,
        "html": mail.html,
        "links": [{"url": link.url, "text": link.text} for link in mail.links],
        "attachments": mail.attachments,
    }
