"""The way out: the page behind a mail's link, and the one-click request of RFC 8058.

GET never unsubscribes, as scanners fetch every link; it shows a form. POST does, at once and without a
redirect, a cookie or a login, however often it comes. Whatever the body is (`limits` lets none stand in the way), a
POST under a good token withdraws the consent for the message's channel, and with it the address opts out; only our
own form can ask for all channels and gets a page in return.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from treue.composition.assembly import Assembly
from treue.model.states import CHANNELS
from treue.model.tables import consent
from treue.render.mail.links import Signed
from treue.store import consents, opt_outs
from treue.store.inputs import ConsentInput
from treue.store.past.recipients import recipient
from treue.web.intake import Intake
from treue.web.pages import page
from treue.web.wordings import WORDINGS, language


def router(assembly: Assembly, intake: Intake) -> APIRouter:
    """Return the routes under /u."""
    routes = APIRouter(include_in_schema=False)
    settings = assembly.settings
    channels = tuple(name for name in CHANNELS if name in settings.channels) or ("email",)

    def show(request: Request, signed: Signed | None, person: dict[str, Any], **values: Any) -> Response:
        words = WORDINGS[
            language(person.get("locale"), request.headers.get("accept-language"), settings.locale)
        ]
        shared: dict[str, Any] = {
            "words": words,
            "shop": settings.sender.name or settings.workspace,
            "channels": channels,
            "listed": lambda names: ", ".join(words.channels[name] for name in names),
        }
        if signed is None:
            return page("unknown.html", 404, **shared)
        answer = page("unsubscribe.html", signed=signed, **shared, **values)
        answer.headers["Vary"] = "Accept-Language"
        return answer

    @routes.api_route("/u/{token}", methods=["GET", "HEAD"])
    async def ask(token: str, request: Request) -> Response:
        signed = assembly.links.read(token, "unsubscribe", "preferences")
        person = await run_in_threadpool(_person, assembly, signed)
        return show(request, signed, person, done=(), off=person.get("off", ()))

    @routes.post("/u/{token}")
    async def unsubscribe(token: str, request: Request) -> Response:
        signed = assembly.links.read(token, "unsubscribe", "preferences")
        if signed is None:
            return show(request, None, {})
        form = _form(await request.body())
        by_hand = form.get("way") == ["page"]
        leaving = channels if by_hand and form.get("what") == ["all"] else (signed.channel,)
        way = "page" if by_hand else "one-click"
        await intake.run(partial(_withdraw, signed=signed, channels=leaving, way=way))
        if not by_hand:
            return Response(status_code=200)
        person = await run_in_threadpool(_person, assembly, signed)
        return show(request, signed, person, done=leaving, off=person.get("off", ()))

    return routes


def _form(body: bytes) -> dict[str, list[str]]:
    """Return the fields of our own form; nothing where the body is none, which keeps nobody from leaving."""
    try:
        return parse_qs(body.decode("latin-1"), max_num_fields=20)
    except ValueError:
        return {}


def _person(assembly: Assembly, signed: Signed | None) -> dict[str, Any]:
    """Return the recipient's language and the channels already left; empty where the recipient is unknown."""
    if signed is None:
        return {}
    with assembly.store.reading() as connection:
        found = recipient(connection, signed.message_id)
        if found is None:
            return {}
        left = select(consent.c.channel).where(consent.c.customer_id == found.id, ~consent.c.given)
        off = {*connection.scalars(left), *opt_outs.of(connection, found.id)}
        return {"locale": found.locale, "off": tuple(off)}


def _withdraw(
    connection: Connection, now: datetime, *, signed: Signed, channels: tuple[str, ...], way: str
) -> int:
    """Withdraw the recipient's consent; there is nothing to withdraw for somebody no longer known."""
    found = recipient(connection, signed.message_id)
    if found is None:
        return 0
    proof = {"message": signed.message_id, "way": way, "journey": found.journey, "template": found.template}
    said = [ConsentInput(found.key, name, now, source="unsubscribe link", proof=proof) for name in channels]
    return consents.withdraw(connection, said, now)
