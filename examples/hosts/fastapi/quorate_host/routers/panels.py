"""How is a panel asked?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import quorate
from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..flights import place_of
from ..host import Reader
from ..running import Accept, IdempotencyKey, LastEventId, answered, budget_of, from_where, key_of, streams
from ..shapes.asking import AnswerOut, PanelIn
from ..shapes.common import ALWAYS, EVENTS, RUNS

router = APIRouter(prefix="/v1/panels", tags=["panels"], responses={**ALWAYS, **RUNS, **EVENTS})
MEMBER_STEPS = 20
"""Requests to models of each member, where the caller says nothing."""


@router.post("", response_model=AnswerOut, responses={202: {"description": "Detached: the run's id."}})
async def panel(
    request: Request,
    caller: Reader,
    body: PanelIn,
    idempotency_key: IdempotencyKey = None,
    accept: Accept = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Asks several experts; as ``POST /v1/ask`` does one."""
    named = place_of(last_event_id)
    if named is not None:
        return await from_where(caller, named[0], last_event_id)
    host, runtime = caller.host, caller.tenant.runtime
    budget, key = budget_of(host, body.budget), key_of(caller, idempotency_key)
    if body.budget is None or body.budget.max_steps is None:
        budget = replace(budget, max_steps=MEMBER_STEPS * (len(body.members or ()) or body.size))
    members = None
    if body.members is not None:
        members = [one if isinstance(one, str) else quorate.Member(**one.model_dump()) for one in body.members]
    given: dict[str, Any] = {
        name: getattr(body, name) for name in ("type", "size", "rounds", "options", "quorum", "weights", "where", "seed", "title")
    }
    scale = None if body.scale is None else (float(body.scale[0]), float(body.scale[1]))

    def make() -> Any:
        return runtime.aio.stream.panel(
            body.question, members=members, scale=scale, budget=budget, idempotency_key=key, **given
        )

    asked = body.model_dump(exclude={"stream", "detach"})
    flight = host.flights.start(caller.tenant, "panel", asked, key, make, body.detach)
    return await answered(request, caller, flight, streams(accept, body.stream), body.detach)
