"""What the company's own systems post: events, customers, and customers for a journey that is entered by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from treue.channel import BadCallback, Callback
from treue.composition.assembly import Assembly
from treue.delivery import receipts
from treue.engine.door import merges
from treue.engine.door.arrivals import enroll
from treue.language.problems import did_you_mean
from treue.model.states import EventStatus
from treue.model.tables import journey
from treue.store import aliases, consents, customers, events
from treue.store.addresses import shown
from treue.store.inputs import CustomerInput, EventInput
from treue.web import hooks, schemas
from treue.web.documents import (
    ConsentChanges,
    Reader,
    read_customers,
    read_events,
    read_object,
    refused,
)
from treue.web.guard import KEYLESS, has_key
from treue.web.intake import Intake
from treue.web.problems import BodyError, HttpProblem

JourneyName = Annotated[str, Path(description="The journey: its file's name without `.yaml`.")]
SourceName = Annotated[str, Path(description="The source: its name under `sources` in `treue.yaml`.")]
ChannelName = Annotated[str, Path(description="The channel: its name under `channels` in `treue.yaml`.")]


def router(assembly: Assembly, intake: Intake, key: str, clock: Callable[[], datetime]) -> APIRouter:
    """Return the routes under /v1. All but the signed hooks need the API key."""
    routes = APIRouter(prefix="/v1")
    reader = Reader(assembly.settings.schema, assembly.settings.timezone)

    def admit(request: Request) -> None:
        if not has_key(request.headers, key):
            raise KEYLESS

    @routes.post(
        "/events",
        status_code=202,
        openapi_extra=schemas.EVENTS,
        responses=schemas.EVENTS_ANSWERS,
    )
    async def post_events(request: Request) -> Response:
        """Record one event or a batch of up to 1,000; each counts once for ever by its `id`.

        An `id` is unique by event and customer: the same again is a `duplicate`, another content under it a
        `conflict`, which is set aside. Answered after the commit. Where one event does not fit, nothing of the batch
        is kept.
        """
        admit(request)
        given = read_events(reader, await request.body(), clock())
        return _answer_statuses(given, await intake.record(given))

    @routes.post(
        "/customers", status_code=202, openapi_extra=schemas.CUSTOMERS, responses=schemas.CUSTOMERS_ANSWERS
    )
    async def post_customers(request: Request) -> Response:
        """Create or update one customer or up to 1,000: what is named wins, all else stays, null removes."""
        admit(request)
        given, words = read_customers(reader, await request.body(), clock())
        return _accepted(**await intake.run(lambda c, now: _merge_customers(c, given, words, now)))

    @routes.post("/customers/merge", openapi_extra=schemas.MERGE, responses=schemas.MERGE_ANSWERS)
    async def post_merge(request: Request) -> Response:
        """Merge one customer's record into another, as both are one person; it cannot be undone.

        From then on both ids mean the customer that is kept. A second time changes nothing.
        """
        admit(request)
        both = read_object(await request.body(), schemas.MERGING, "a merging")
        kept, merged = both["keep"], both["merge"]
        found = await run_in_threadpool(merges.merge, assembly.store, kept, merged, clock())
        intake.wake()
        return JSONResponse({"status": "merged" if found else "duplicate"})

    @routes.post(
        "/journeys/{name}/enroll",
        status_code=202,
        openapi_extra=schemas.ENROLL,
        responses=schemas.ENROLL_ANSWERS,
    )
    async def post_enroll(name: JourneyName, request: Request) -> Response:
        """Bring customers to the door of a journey with `manual: true`; its own rules still say who gets in."""
        admit(request)
        _require_manual(assembly, name)
        keys = _customer_keys(await request.body())
        return _accepted(accepted=await intake.run(lambda c, now: _enroll_customers(c, name, keys, now)))

    @routes.post(
        "/hooks/{source}", status_code=202, openapi_extra=schemas.HOOK, responses=schemas.HOOK_ANSWERS
    )
    async def post_hook(source: SourceName, request: Request) -> Response:
        """Take in a signed webhook of a source that treue.yaml declares; a replay changes nothing.

        202: taken in, or set aside (`conflict`: its id was used for another content). 200: seen before, or nothing
        that means anything here.
        """
        found = hooks.find_source(assembly.settings, source)
        if found is None:
            raise HttpProblem(404, f"There is no source {shown(source)} in treue.yaml.")
        work = hooks.read_delivery(found, request.headers, await request.body(), clock())
        if isinstance(work, hooks.Ignored):
            return JSONResponse({"status": "ignored", "reason": work.reason})
        status = await intake.run(work)
        return JSONResponse({"status": status}, 200 if status is EventStatus.duplicate else 202)

    @routes.post("/receipts/{channel}", openapi_extra=schemas.RECEIPTS, responses=schemas.RECEIPTS_ANSWERS)
    async def post_receipts(channel: ChannelName, request: Request) -> Response:
        """Take in what a channel's provider tells of messages; a repetition changes nothing."""
        receiver = await run_in_threadpool(assembly.receivers.get, channel)
        if receiver is None:
            raise HttpProblem(404, f"There is no channel {shown(channel)} here whose provider calls back.")
        url = assembly.settings.public_url.value().rstrip("/") + request.url.path
        url += f"?{request.url.query}" if request.url.query else ""
        callback = Callback(request.method, url, dict(request.headers), await request.body(), clock())
        try:
            told = await run_in_threadpool(receiver.read_receipts, callback)
        except BadCallback as error:
            raise HttpProblem(error.status, str(error)) from error
        new = await intake.run(lambda c, now: receipts.take(c, channel, told, now))
        receipts.meter(channel, told)
        return JSONResponse({"status": "accepted", "events": len(told), "new": new})

    return routes


def _accepted(**counts: Any) -> Response:
    return JSONResponse(counts, 202)


def _answer_statuses(given: Sequence[EventInput], statuses: Sequence[EventStatus]) -> Response:
    """Answer with what became of each event, in the order given."""
    rows = [
        {"id": one.key, "status": status}
        | ({"detail": events.conflict(one)} if status is EventStatus.conflict else {})
        for one, status in zip(given, statuses, strict=True)
    ]
    return _accepted(
        accepted=statuses.count(EventStatus.accepted),
        duplicates=statuses.count(EventStatus.duplicate),
        conflicts=statuses.count(EventStatus.conflict),
        events=rows,
    )


def _merge_customers(
    connection: Connection, given: Sequence[CustomerInput], words: ConsentChanges, now: datetime
) -> dict[str, Any]:
    merged = customers.merge(connection, given, now)
    if words.given:
        consents.give(connection, words.given, now)
    if words.withdrawn:
        consents.withdraw(connection, words.withdrawn, now)
    return {
        "accepted": len(given),
        "created": merged.created,
        "updated": merged.updated,
        "notes": merged.notes,
    }


def _require_manual(assembly: Assembly, name: str) -> None:
    journeys = assembly.workspace.journeys
    if name not in journeys:
        hint = did_you_mean(name, journeys) or ""
        raise HttpProblem(404, f"There is no journey {shown(name)}. {hint}".rstrip())
    if not journeys[name].enter.trigger.by_hand:
        text = f"The journey `{name}` is not entered by hand; its file would have to say `manual: true`."
        raise HttpProblem(409, text)


def _customer_keys(body: bytes) -> list[str]:
    keys: list[Any] = read_object(body, schemas.ENROLMENT, "an enrolment")["customers"]
    if not keys:
        raise refused([BodyError("/customers", "The list is empty; name at least one customer.")])
    if len(keys) > schemas.MAX_BATCH:
        text = f"These are {len(keys)} customers; send at most {schemas.MAX_BATCH} at once."
        raise refused([BodyError("/customers", text)])
    wrong = [n for n, key in enumerate(keys) if not isinstance(key, str) or not key]
    if wrong:
        raise refused([BodyError(f"/customers/{n}", "A customer's id is a text.") for n in wrong])
    return list(dict.fromkeys(keys))


def _enroll_customers(connection: Connection, name: str, keys: Sequence[str], now: datetime) -> int:
    live = select(journey.c.id).where(journey.c.name == name, journey.c.version_id.is_not(None))
    journey_id = connection.scalar(live)
    if journey_id is None:
        raise HttpProblem(409, f"The journey `{name}` is not live; `treue apply` makes it so.")
    aliases.hold(connection)
    ids = customers.ids_for_keys(connection, keys)
    unknown = [n for n, key in enumerate(keys) if key not in ids]
    if unknown:
        raise refused(
            [BodyError(f"/customers/{n}", f"There is no customer {shown(keys[n])}.") for n in unknown]
        )
    return enroll(connection, journey_id, [ids[key] for key in keys], now)
