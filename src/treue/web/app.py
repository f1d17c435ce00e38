"""The web: what comes in from outside, and the operator's console. See `docs/operations.md` for the addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from treue import __version__
from treue.clock import utc_now
from treue.composition.assembly import Assembly
from treue.web import api, browser_view, operations, pictures, schemas, sign_in, unsubscribe
from treue.web.guard import Answers, api_key
from treue.web.intake import Intake
from treue.web.limits import BodyLimits
from treue.web.problems import HANDLERS
from treue.web.sessions import Sessions


def nobody() -> None:
    """Wake nobody: the worker, in another process, looks at its own times."""


def create_app(
    assembly: Assembly, wake: Callable[[], None] = nobody, clock: Callable[[], datetime] = utc_now
) -> FastAPI:
    """Return the web of a workspace as an ASGI app.

    `wake` is called whenever something was written that a pass should look at; `clock` says the present. The
    app only writes what comes in; it neither runs passes nor sends, so an assembly without channels will do.
    """
    intake = Intake(assembly.store, wake, clock)
    key, _ = api_key(assembly.state)
    sessions = Sessions.of(assembly.state)
    secure = assembly.settings.public_url.value().startswith("https:")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        intake.stop()

    app = FastAPI(
        title="Treue",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers=HANDLERS,  # type: ignore[arg-type]
    )
    app.include_router(api.router(assembly, intake, key, clock))
    app.include_router(unsubscribe.router(assembly, intake))
    app.include_router(pictures.router(assembly))
    app.include_router(browser_view.router(assembly))
    app.include_router(operations.router(assembly, clock))
    app.include_router(sign_in.router(sessions, clock, secure))
    operations.add_docs(app)
    operations.mount_inbox(app, assembly)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.add_middleware(sign_in.Gate, sessions=sessions, key=key, clock=clock)
    app.add_middleware(BodyLimits)
    app.add_middleware(Answers, secure=secure)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        document["components"] = {"schemas": schemas.SCHEMAS, "securitySchemes": schemas.SECURITY_SCHEMES}
        app.openapi_schema = document
    return app.openapi_schema
