"""Who sees the operator's pages: whoever has signed in with a printed link, whatever headers and addresses say.

The link's token stands behind its `#`, which no browser sends: no proxy's log, no Referer and no scanner that fetches
links has it. The page's script, or a person who pastes the link, posts it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from treue.web.guard import KEYLESS, has_key
from treue.web.pages import page
from treue.web.problems import HttpProblem, response
from treue.web.sessions import SESSION_LASTS, Sessions

PATH = "/sign-in"
PUBLIC_PATHS = (PATH, "/healthz", "/readyz", "/docs", "/openapi.json")
PUBLIC_FOLDERS = ("/v1/", "/u/", "/m/", "/a/")
"""What asks for no sign-in: each has its own key, signature or signed link, or tells nothing. All else does ask."""

METRICS = "/metrics"
_MAX_FORM = 2_000

SIGNED_OUT = HttpProblem(
    401,
    "This is for the operator: sign in with the link that `treue sign-in` prints where Treue runs.",
    headers={"WWW-Authenticate": 'Cookie realm="treue"'},
)
FOREIGN = HttpProblem(
    403, "This was asked by a page of another site. A proxy in between has to pass the Host header on."
)
REFUSAL = (
    "This link was used before, is too old, or was printed in another workspace or with another environment."
)


class Gate:
    """ASGI middleware that lets only who has signed in to what is not public; to the numbers, the API key as well."""

    def __init__(self, app: ASGIApp, sessions: Sessions, key: str, clock: Callable[[], datetime]) -> None:
        self.app, self.sessions, self.key, self.clock = app, sessions, key, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or ask to sign in."""
        answer = self._refusal(scope) if scope["type"] == "http" else None
        await (answer or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        path, headers = scope["path"], Headers(scope=scope)
        if path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDERS):
            return None
        if path == METRICS and has_key(headers, self.key):
            return None
        if not self.sessions.lasts(_session(HTTPConnection(scope), self.sessions), self.clock()):
            if "text/html" in headers.get("accept", ""):
                return _page(401)
            return response(KEYLESS if path == METRICS else SIGNED_OUT)
        if scope["method"] not in ("GET", "HEAD") and not is_same_origin(headers):
            return response(FOREIGN)
        return None


def is_same_origin(headers: Headers) -> bool:
    """Whether a request was made by a page of ours, or by no page. SameSite alone lets other ports and subdomains in."""
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def router(sessions: Sessions, clock: Callable[[], datetime], secure: bool) -> APIRouter:
    """Return /sign-in and /sign-out. `secure` says whether browsers come by https where they do not say so."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route(PATH, methods=["GET", "HEAD"])
    async def ask() -> Response:
        return _page(200)

    @routes.post(PATH)
    async def sign_in(request: Request) -> Response:
        form = parse_qs((await request.body())[:_MAX_FORM].decode("latin-1"))
        token = form.get("token", [""])[0].rpartition("#")[2].strip()
        session = await run_in_threadpool(sessions.begin, token, clock())
        if session is None:
            signed_in = sessions.lasts(_session(request, sessions), clock())
            return RedirectResponse("/", 303) if signed_in else _page(401, REFUSAL)
        answer = RedirectResponse("/", 303)
        # Lax, so that a link in an alert opens the console: no GET changes anything, and POST asks for the origin.
        answer.set_cookie(
            sessions.cookie,
            session,
            max_age=int(SESSION_LASTS.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=_is_secure(request, secure),
        )
        return answer

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        await run_in_threadpool(sessions.end, _session(request, sessions), clock())
        answer = RedirectResponse(PATH, 303)
        answer.delete_cookie(sessions.cookie, httponly=True, samesite="lax")
        return answer

    return routes


def _session(request: HTTPConnection, sessions: Sessions) -> str:
    return request.cookies.get(sessions.cookie, "")


def _is_secure(request: Request, otherwise: bool) -> bool:
    """Whether the browser came by https, which it says itself (Origin); proxies need say nothing."""
    origin = request.headers.get("origin", "null")
    return otherwise if origin == "null" else origin.startswith("https:")


def _page(status: int, refusal: str = "") -> Response:
    answer = page("sign_in.html", status, script="sign_in.js", refusal=refusal)
    answer.headers["Referrer-Policy"] = "same-origin"  # under no-referrer, the form's Origin would be null
    if status == SIGNED_OUT.status:
        answer.headers.update(SIGNED_OUT.headers)
    return answer
