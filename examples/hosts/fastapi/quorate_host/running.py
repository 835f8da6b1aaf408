"""How does a client ask, watch and wait?"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import quorate
from fastapi import Header, Request
from fastapi.responses import JSONResponse, Response

from .flights import LAST, Flight, Shown, journal, place_of, run_of
from .host import Caller, Host
from .shapes.asking import BudgetIn
from .sse import EventStream, event

LOOK = 0.5
"""Seconds between two looks at the journal of a run that goes on in another process."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[A-Za-z0-9._~:/+=-]{1,200}$",
        description="Asking the same again with the same key gives the run that there is. A key is the user's own.",
    ),
]
Accept = Annotated[str | None, Header(include_in_schema=False)]
LastEventId = Annotated[
    str | None, Header(max_length=200, description="The id of the last event that was read: what came after it is sent.")
]


def key_of(caller: Caller, given: str | None) -> str | None:
    """A key that no other user's can be."""
    return None if given is None else hashlib.sha256(f"{caller.who.user}\0{given}".encode()).hexdigest()


def streams(accept: str | None, asked: bool) -> bool:
    """Whether events are wanted."""
    return asked or "text/event-stream" in (accept or "")


def budget_of(host: Host, given: BudgetIn | None) -> quorate.Budget:
    """What a run may spend: what the caller says, and never more than the settings say."""
    told = {} if given is None else given.model_dump(exclude_none=True)
    settings = host.settings
    if settings.max_cost is not None:
        told["max_cost"] = min(told.get("max_cost", settings.max_cost), settings.max_cost)
    told["max_seconds"] = min(told.get("max_seconds", settings.max_seconds), settings.max_seconds)
    return quorate.Budget(**told)


async def answered(request: Request, caller: Caller, flight: Flight, wants_events: bool, detach: bool) -> Response:
    """What the caller is sent of a run: events, its answer, or at once where it is."""
    if wants_events:
        flight.streamed = True
        await begun(flight)
        return EventStream(caller.host, watched(flight, (0, -1)))
    if detach:
        await begun(flight)
        told = {"run_id": flight.run_id, "status": "running"}
        return JSONResponse(told, 202, {"location": f"/v1/runs/{flight.run_id}"})
    return JSONResponse(await waited(request, caller, flight))


async def begun(flight: Flight) -> None:
    """Waits until a run has begun, so that one that cannot is an answer with a status. Codes: the one by which it did not."""
    await flight.known.wait()
    if flight.error is not None and (not flight.events or flight.events[0].kind == "error"):
        raise flight.error


async def waited(request: Request, caller: Caller, flight: Flight) -> dict[str, Any]:
    """A run's answer. A client that goes away cancels it, unless it is detached or somebody else watches."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.create_task(one) for one in (flight.ended.wait(), gone(), caller.host.flights.closing.wait())]
    try:
        with flight.watch():
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[2] in done and tasks[0] not in done:
                # It is not cancelled: the next process goes on with it.
                flight.detached = True
                raise quorate.Unavailable("closed", "the service is going down; the run goes on later")
    finally:
        for task in tasks:
            task.cancel()
    if tasks[0] not in done:
        raise quorate.Cancelled("cancelled", "the client went away")
    return await answer_of(caller, flight)


async def answer_of(caller: Caller, flight: Flight) -> dict[str, Any]:
    """What a run that is over came to. Codes: the one by which it failed."""
    if flight.error is not None:
        raise flight.error
    result = flight.result
    if result is None:
        # It waits for a decision.
        assert flight.run_id is not None
        result = await (await caller.tenant.runtime.aio.run(flight.run_id)).aio.answer()
    told: dict[str, Any] = result.to_dict()
    return told


def frame(shown: Shown) -> str:
    """An event as it is sent."""
    return event(shown.kind, shown.text, shown.id)


async def watched(flight: Flight, place: tuple[int, int]) -> AsyncIterator[str]:
    """The events of a run that goes on here."""
    with flight.watch():
        async for one in flight.after(place):
            yield frame(one)
        if flight.error is not None and (not flight.events or flight.events[-1].kind not in LAST):
            # It failed before it could say so by an event of its own.
            failed = {"type": "error", "error": {"code": getattr(flight.error, "code", "internal"), "message": str(flight.error)}}
            yield frame(Shown(flight.run_id or "none", (1, 0), failed))


async def followed(caller: Caller, run_id: str, place: tuple[int, int]) -> AsyncIterator[str]:
    """The events of a run from its journal, until it is over; as they come where it goes on in another process."""
    while True:
        found = await run_of(caller.tenant, run_id)
        shown = journal(run_id, await found.aio.events())
        for one in shown:
            if one.place > place:
                place = one.place
                yield frame(one)
        # What is waiting, or interrupted, may be resumed: then somebody asks again.
        if found.status != "running":
            return
        await asyncio.sleep(LOOK)


async def from_where(caller: Caller, run_id: str, last: str | None) -> EventStream:
    """The events of a run that the caller has not read. Code: ``unknown_id``."""
    named = place_of(last)
    place = named[1] if named is not None and named[0] == run_id else (0, -1)
    flight = caller.host.flights.find(caller.tenant.name, run_id)
    if flight is not None and (not flight.events or flight.events[0].place <= (1, 0) or place >= flight.events[0].place):
        return EventStream(caller.host, watched(flight, place))
    # It raises before the answer begins where there is no such run.
    await run_of(caller.tenant, run_id)
    return EventStream(caller.host, followed(caller, run_id, place))
