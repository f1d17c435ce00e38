"""A mail in the browser, for the person it went to: the signed link is all it takes, and it can do nothing there."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from treue.composition.assembly import Assembly
from treue.composition.browser_view import CHANNEL, viewed
from treue.render.mail.on_screen import noted, self_contained
from treue.web.pages import page
from treue.web.wordings import WORDINGS, language

POLICY = (
    "default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
"""No script, no form, an origin of its own; links and pictures work as in a mail."""


def router(assembly: Assembly) -> APIRouter:
    """Return the route under /m."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/m/{token}", methods=["GET", "HEAD"])
    async def view(token: str, request: Request) -> Response:
        signed = assembly.links.read(token, "view")
        found = None
        if signed is not None and signed.channel == CHANNEL:
            found = await run_in_threadpool(viewed, assembly, signed.message_id)
        asked = request.headers.get("accept-language")
        words = WORDINGS[language(found.locale if found else None, asked, assembly.settings.locale)]
        if found is None:
            return page("unknown.html", 404, words=words)
        headers = {"Content-Security-Policy": POLICY, "X-Robots-Tag": "noindex"}
        mail, note = found.mail, "" if found.as_sent else words.not_as_sent
        if not mail.html:
            return PlainTextResponse(f"{note}\n\n{mail.text}" if note else mail.text, headers=headers)
        shown = self_contained(mail)
        return HTMLResponse(noted(shown, note) if note else shown, headers=headers)

    return routes
