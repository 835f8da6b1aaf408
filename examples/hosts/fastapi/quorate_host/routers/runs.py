"""How are runs of experts and panels listed, read, ended and resumed?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import quorate
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ..errors import public, told
from ..flights import KINDS, run_of
from ..host import Admin, Reader, Reviewer
from ..running import Accept, LastEventId, answered, from_where, streams
from ..shapes.asking import AnswerOut, EventsOut, ResumeIn, RunOut, RunsOut, RunWhole
from ..shapes.common import ALWAYS, CONFLICT, EVENTS, MISSING, RUNS, Id, IdInPath

router = APIRouter(prefix="/v1/runs", tags=["runs"], responses=ALWAYS)
RunStatus = Literal[
    "running", "waiting", "done", "partial", "cancelled", "refused", "abstained", "no_consensus", "failed", "interrupted"
]


def _row(info: quorate.RunInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in RunOut.model_fields}


@router.get("")
async def all_of_them(
    caller: Reader,
    status: Annotated[RunStatus | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    before: Annotated[Id | None, Query()] = None,
) -> RunsOut:
    """The tenant's runs, the newest first."""
    infos = [one for one in await caller.tenant.runtime.aio.runs(status) if one.kind in KINDS][::-1]
    if before is not None:
        at = next((i for i, info in enumerate(infos) if info.run_id == before), len(infos))
        infos = infos[at + 1 :]
    return RunsOut(runs=[RunOut(**_row(info)) for info in infos[:limit]], more=len(infos) > limit)


@router.get("/{id}", responses=MISSING)
async def one(caller: Reader, id: IdInPath) -> RunWhole:
    """A run, with its answer as far as there is one."""
    found = await run_of(caller.tenant, id)
    answer, failed = None, None
    try:
        answer = AnswerOut(**(await found.aio.answer()).to_dict())
    except quorate.QuorateError as error:
        failed = told(*_said(error))
    return RunWhole(**_row(found.info), answer=answer, problem=failed if found.status == "failed" else None)


def _said(error: quorate.QuorateError) -> tuple[int, str, str]:
    status, message = public(error.code, error.message)
    return status, error.code, message


@router.get("/{id}/events", responses={**MISSING, **EVENTS}, response_model=EventsOut)
async def events(caller: Reader, id: IdInPath, accept: Accept = None, last_event_id: LastEventId = None) -> Any:
    """What a run showed. With ``Accept: text/event-stream`` also what it goes on to show, from ``Last-Event-ID`` on.

    Pieces of texts (``text``, ``reasoning``, ``tool_input``) are in no journal: ``step_end`` has the whole.
    """
    if streams(accept, False):
        return await from_where(caller, id, last_event_id)
    found = await run_of(caller.tenant, id)
    shown = [event.to_dict() for event in await found.aio.events()]
    for one in shown:
        if "error" in one:
            status, message = public(one["error"]["code"], one["error"]["message"])
            one["error"] = told(status, one["error"]["code"], message)
    return EventsOut(events=shown)


@router.post("/{id}/cancel", responses=MISSING)
async def cancel(caller: Reader, id: IdInPath) -> RunOut:
    """Ends a run, in whatever process it goes on. One that is over stays as it is."""
    await run_of(caller.tenant, id)
    await caller.tenant.runtime.aio.cancel(id)
    return RunOut(**_row((await run_of(caller.tenant, id)).info))


@router.post("/{id}/resume", response_model=AnswerOut, responses={**RUNS, **EVENTS, 202: {"description": "Detached."}})
async def resume(request: Request, caller: Reviewer, id: IdInPath, body: ResumeIn, accept: Accept = None) -> Response:
    """Goes on with a run that waits for decisions, or whose process has ended."""
    flight = await caller.host.flights.resume(caller.tenant, id, body.decisions, body.detach)
    return await answered(request, caller, flight, streams(accept, body.stream), body.detach)


@router.delete("/{id}", status_code=204, responses={**MISSING, **CONFLICT})
async def delete(caller: Admin, id: IdInPath) -> None:
    """Forgets a run that is over: its journal is gone from the disk."""
    await run_of(caller.tenant, id)
    await caller.tenant.runtime.aio.delete(id)
