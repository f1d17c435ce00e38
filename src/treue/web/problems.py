"""Errors as RFC 9457 problem documents: a status, a title, a sentence, and where in the body it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from treue.errors import BadSignature, RejectedInput, StoreError

MEDIA_TYPE = "application/problem+json"
MAX_FINDINGS = 50
"""How many findings one document lists; of more it says how many there are."""


@dataclass(frozen=True)
class BodyError:
    """An error at one place of the body, which a JSON pointer names (RFC 6901)."""

    pointer: str
    detail: str


@dataclass
class HttpProblem(Exception):  # noqa: N818 - RFC 9457's word
    """A request is refused: answered with a problem document (RFC 9457) instead of a result."""

    status: int
    detail: str
    findings: Sequence[BodyError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def response(problem: HttpProblem) -> Response:
    """Return the problem as its document."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.findings:
        document["errors"] = [vars(finding) for finding in problem.findings[:MAX_FINDINGS]]
    return JSONResponse(document, problem.status, dict(problem.headers), MEDIA_TYPE)


async def from_problem(_request: Request, error: Exception) -> Response:
    """Answer with the problem document of an HttpProblem."""
    assert isinstance(error, HttpProblem)
    return response(error)


async def from_http(_request: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown path, a method that is none of the path's."""
    assert isinstance(error, HTTPException)
    details = {404: "There is nothing here.", 405: "This address does not take that method."}
    detail = details.get(error.status_code, str(error.detail))
    return response(HttpProblem(error.status_code, detail, headers=dict(error.headers or {})))


async def from_rejected(_request: Request, error: Exception) -> Response:
    """Answer data that do not fit, and signatures that do not hold."""
    return response(HttpProblem(401 if isinstance(error, BadSignature) else 422, str(error)))


async def from_store(_request: Request, error: Exception) -> Response:
    """Answer a database that refuses: nothing was kept, and another attempt is welcome."""
    assert isinstance(error, StoreError)
    return response(
        HttpProblem(
            503, "The database refuses at the moment; nothing was kept.", headers={"Retry-After": "30"}
        )
    )


async def from_fault(_request: Request, _error: Exception) -> Response:
    """Answer a fault of ours, without telling anything of it; the log has it."""
    return response(HttpProblem(500, "Something went wrong here; the server's log says what."))


HANDLERS = {
    HttpProblem: from_problem,
    HTTPException: from_http,
    RejectedInput: from_rejected,
    StoreError: from_store,
    Exception: from_fault,
}
