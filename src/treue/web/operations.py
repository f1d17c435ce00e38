"""The operator's addresses: the console, the numbers, the probes, the API's description, and the inbox."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse, RedirectResponse, Response

from treue.composition.assembly import Assembly
from treue.insight.channels import channel_sums
from treue.insight.status import standing
from treue.language.settings import ChannelSettings, Env
from treue.packages import installed_entries
from treue.web import schemas
from treue.web.console import overview
from treue.web.metrics import MEDIA_TYPE, metrics
from treue.web.pages import page
from treue.web.problems import HttpProblem
from treue.web.readiness import Readiness

_log = logging.getLogger("treue.web")


def router(assembly: Assembly, clock: Callable[[], datetime]) -> APIRouter:
    """Return the console, /metrics, /healthz and /readyz."""
    routes, readiness = APIRouter(), Readiness(assembly.store)

    @routes.get("/", include_in_schema=False)
    def show_console() -> Response:
        settings = assembly.settings
        channels = [(name, _adapter(channel)) for name, channel in settings.channels.items()]
        answer = page(
            "console.html",
            overview=overview(assembly.store, clock()),
            settings=settings,
            channels=channels,
            inbox=uses_inbox(assembly),
        )
        # Under no-referrer a browser hides which page a form is on, here the one that signs out.
        answer.headers["Referrer-Policy"] = "same-origin"
        return answer

    @routes.get("/metrics", include_in_schema=False)
    def show_metrics() -> Response:
        with assembly.store.reading() as connection:
            text = metrics(standing(connection, clock()), channel_sums(connection))
        return Response(text, media_type=MEDIA_TYPE)

    @routes.get("/healthz", openapi_extra=schemas.PROBE, responses=schemas.HEALTHY)
    async def healthy() -> Response:
        """Say that this process answers."""
        return JSONResponse({"status": "ok"})

    @routes.get("/readyz", openapi_extra=schemas.PROBE, responses=schemas.READY)
    def ready() -> Response:
        """Say whether what comes in can be written down; not whether all is well: it is taken also while passes fail."""
        if problem := readiness.problem():
            _log.warning("Not ready: %s", problem)
            raise HttpProblem(503, "The database cannot be written to; the log and `treue db check` say why.")
        return JSONResponse({"status": "ready"})

    return routes


def add_docs(app: FastAPI) -> None:
    """Add /docs: the API on one page, made of /openapi.json, with nothing loaded from elsewhere."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return page("docs.html", operations=list(_operations(app.openapi())))


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"method": method.upper(), "path": path, "authentication": operation["x-authentication"], **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def uses_inbox(assembly: Assembly) -> bool:
    """Whether any channel leads to the built-in inbox."""
    return any(_adapter(channel).endswith("inbox") for channel in assembly.settings.channels.values())


def mount_inbox(app: FastAPI, assembly: Assembly) -> None:
    """Show the inbox's pages under /inbox where the workspace uses the inbox."""
    found = {entry.name: entry for entry in installed_entries("treue.pages")}
    if "inbox" not in found or not uses_inbox(assembly):
        return
    pages = found["inbox"].load()(assembly.inbox_path, assembly.settings.timezone)

    @app.get("/inbox", include_in_schema=False)
    async def to_the_inbox() -> Response:
        return RedirectResponse("/inbox/", 307)

    app.mount("/inbox", pages)


def _adapter(channel: ChannelSettings) -> str:
    """Return the adapter's name, and that mail without a server goes to the inbox."""
    url = channel.options.get("url")
    nowhere = channel.adapter == "smtp" and not (url.value() if isinstance(url, Env) else url)
    return "smtp, to the built-in inbox" if nowhere else channel.adapter
