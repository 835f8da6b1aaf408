"""How is an expert asked?"""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..flights import place_of
from ..host import Reader
from ..running import Accept, IdempotencyKey, LastEventId, answered, budget_of, from_where, key_of, streams
from ..shapes.asking import AnswerOut, AskIn
from ..shapes.common import ALWAYS, EVENTS, RUNS

router = APIRouter(prefix="/v1/ask", tags=["ask"], responses={**ALWAYS, **RUNS, **EVENTS})


@router.post("", response_model=AnswerOut, responses={202: {"description": "Detached: the run's id."}})
async def ask(
    request: Request,
    caller: Reader,
    body: AskIn,
    idempotency_key: IdempotencyKey = None,
    accept: Accept = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Asks an expert. With ``Accept: text/event-stream`` events come, each with an id; asking again with the last one's id as
    ``Last-Event-ID`` goes on from there, and asks nothing anew. A client that goes away cancels the run, unless it is detached."""
    named = place_of(last_event_id)
    if named is not None:
        return await from_where(caller, named[0], last_event_id)
    host, runtime = caller.host, caller.tenant.runtime
    talk: Any = None
    if body.conversation is not None:
        # A conversation is its user's own.
        mine = hashlib.sha256(caller.who.user.encode()).hexdigest()[:16]
        talk = await runtime.aio.conversation(f"{mine}.{body.conversation}", user=caller.who.user)
    budget, key = budget_of(host, body.budget), key_of(caller, idempotency_key)

    def make() -> Any:
        return runtime.aio.stream.ask(
            body.question,
            agent=body.agent,
            autonomous=body.autonomous,
            conversation=talk,
            output=body.output,
            where=body.where,
            budget=budget,
            seed=body.seed,
            idempotency_key=key,
        )

    asked = body.model_dump(exclude={"stream", "detach"})
    flight = host.flights.start(caller.tenant, "ask", asked, key, make, body.detach)
    return await answered(request, caller, flight, streams(accept, body.stream), body.detach)
