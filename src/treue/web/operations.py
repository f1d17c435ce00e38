"""The operator's addresses: the console, the numbers, the probes, the API's description, and the inbox."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from treue.engine.assembly import Assembly
from treue.errors import StoreError
from treue.language.settings import ChannelSettings, Env
from treue.web.console import look, metrics
from treue.web.guard import REMOTE, LocalOnly, has_key, is_local
from treue.web.pages import page
from treue.web.problems import Problem


def router(assembly: Assembly, key: str, clock: Callable[[], datetime]) -> APIRouter:
    """Return the console, /metrics, /healthz and /readyz."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def show_console(request: Request) -> Response:
        _require_local(request)
        settings = assembly.settings
        channels = [(name, _adapter(channel)) for name, channel in settings.channels.items()]
        return page(
            "console.html",
            state=look(assembly, clock()),
            settings=settings,
            channels=channels,
            inbox=uses_inbox(assembly),
        )

    @routes.get("/metrics")
    def show_metrics(request: Request) -> Response:
        if not is_local(request.scope) and not has_key(request.headers, key):
            raise REMOTE
        text = metrics(look(assembly, clock(), events=False))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    @routes.get("/healthz")
    async def healthy() -> Response:
        return JSONResponse({"status": "ok"})

    @routes.get("/readyz")
    def ready() -> Response:
        try:
            assembly.store.check()
        except StoreError as error:
            raise Problem(503, "The database cannot be used; `treue db check` says why.") from error
        return JSONResponse({"status": "ready"})

    return routes


def add_docs(app: FastAPI) -> None:
    """Add /docs: the API on one page, made of /openapi.json, with nothing loaded from elsewhere."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return page("docs.html", operations=list(_operations(app.openapi())))


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"method": method.upper(), "path": path, "key": bool(operation.get("security")), **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def uses_inbox(assembly: Assembly) -> bool:
    """Whether any channel leads to the built-in inbox."""
    return any(_adapter(channel).endswith("inbox") for channel in assembly.settings.channels.values())


def mount_inbox(app: FastAPI, assembly: Assembly) -> None:
    """Show the inbox's pages under /inbox, to this machine only, where the workspace uses the inbox."""
    found = {entry.name: entry for entry in entry_points(group="treue.pages")}
    if "inbox" not in found or not uses_inbox(assembly):
        return
    pages = found["inbox"].load()(assembly.inbox_path, assembly.settings.timezone)

    @app.get("/inbox", include_in_schema=False)
    async def to_the_inbox(request: Request) -> Response:
        _require_local(request)
        return RedirectResponse("/inbox/", 307)

    app.mount("/inbox", LocalOnly(pages))


def _adapter(channel: ChannelSettings) -> str:
    """Return the adapter's name, and that mail without a server goes to the inbox."""
    url = channel.options.get("url")
    nowhere = channel.adapter == "smtp" and not (url.value() if isinstance(url, Env) else url)
    return "smtp, to the built-in inbox" if nowhere else channel.adapter


def _require_local(request: Request) -> None:
    if not is_local(request.scope):
        raise REMOTE
