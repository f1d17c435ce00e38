"""The pictures in mails: for everybody, for ever, and nothing but what a template has shown."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from treue.composition.assembly import Assembly
from treue.store import pictures
from treue.web.problems import HttpProblem

HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    # Web mail shows it on a page of its own site.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def router(assembly: Assembly) -> APIRouter:
    """Return the route under /a. The address holds the picture's hash, so what it leads to never changes."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/a/{digest}/{name}", methods=["GET", "HEAD"])
    async def picture(digest: str, name: str, request: Request) -> Response:
        kept = await run_in_threadpool(pictures.find, assembly.store, digest, name)
        if kept is None:
            raise HttpProblem(404, "There is no such picture.")
        headers = {**HEADERS, "ETag": f'"{digest}"'}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(kept.content, media_type=kept.media_type, headers=headers)

    return routes
