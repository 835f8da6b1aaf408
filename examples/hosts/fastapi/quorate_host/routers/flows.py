"""How are workflows listed, started, watched and told something?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import quorate
from fastapi import APIRouter, Query
from quorate import workflows as wf

from ..flights import place_of
from ..host import Admin, Caller, Reader, Writer
from ..running import IdempotencyKey, LastEventId, key_of
from ..shapes.common import ALWAYS, CONFLICT, EVENTS, MISSING, Id, IdInPath
from ..shapes.flows import (
    CancelIn,
    FlowOut,
    FlowsOut,
    RetryIn,
    SignalIn,
    StartIn,
    StepIn,
    StepsOut,
    WorkflowOut,
    WorkflowsOut,
    WorkflowWhole,
)
from ..sse import EventStream, event

router = APIRouter(prefix="/v1", tags=["workflows"], responses=ALWAYS)
FlowStatus = Literal[
    "pending", "queued", "running", "waiting", "paused", "compensating", "completed", "failed", "cancelled", "blocked"
]


def _definition(one: wf.Definition) -> dict[str, Any]:
    return {name: getattr(one, name) for name in WorkflowOut.model_fields}


def _flow(run: wf.WorkflowRun) -> FlowOut:
    """A run as it is now. It reads the store."""
    definition, ending = run.definition(), run.ending()
    told = None if ending is None else ending.to_dict()
    return FlowOut(id=run.id, workflow=definition.id, version=definition.version, status=run.status, ending=told)


async def _run(caller: Caller, id: str) -> wf.WorkflowRun:
    return await caller.tenant.engine.aio.run(id)


@router.get("/workflows")
async def all_of_them(caller: Reader) -> WorkflowsOut:
    """The workflows that can be started."""
    found = await caller.tenant.engine.aio.list()
    return WorkflowsOut(workflows=[WorkflowOut(**_definition(one)) for one in found])


@router.get("/workflows/{id}", responses=MISSING)
async def one(caller: Reader, id: IdInPath) -> WorkflowWhole:
    """A workflow, with its versions and its diagram."""
    engine = caller.tenant.engine.aio
    found = next((one for one in await engine.list() if one.id == id), None)
    if found is None:
        raise quorate.NotFound("unknown_id", f"there is no workflow '{id}'")
    return WorkflowWhole(**_definition(found), versions=list(await engine.versions(id)), mermaid=await engine.mermaid(id))


@router.post("/workflows/{id}/runs", status_code=201, responses={**MISSING, **CONFLICT})
async def start(caller: Writer, id: IdInPath, body: StartIn, idempotency_key: IdempotencyKey = None) -> FlowOut:
    """Starts a run. It is in the store when the answer comes, and goes on by itself, also after a restart."""
    run = await caller.tenant.engine.aio.start(
        id,
        body.input,
        version=body.version,
        priority=body.priority,
        dedup=key_of(caller, idempotency_key),
        starter=caller.who.user,
        offline=body.offline,
    )
    if caller.host.settings.role == "reader":
        await quorate.aio.run(caller.host.tenants.call, caller.tenant.name)
    return await quorate.aio.run(_flow, run)


@router.get("/workflow-runs")
async def runs(
    caller: Reader,
    status: Annotated[FlowStatus | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[Id | None, Query()] = None,
) -> FlowsOut:
    """The tenant's runs of workflows, the newest first."""
    found = (await caller.tenant.engine.aio.runs(status))[::-1]
    if before is not None:
        at = next((i for i, run in enumerate(found) if run.id == before), len(found))
        found = found[at + 1 :]
    shown = await quorate.aio.run(lambda: [_flow(run) for run in found[:limit]])
    return FlowsOut(runs=shown, more=len(found) > limit)


@router.get("/workflow-runs/{id}", responses=MISSING)
async def flow(caller: Reader, id: IdInPath) -> FlowOut:
    """How far a run is."""
    return await quorate.aio.run(_flow, await _run(caller, id))


@router.get("/workflow-runs/{id}/steps", responses=MISSING)
async def steps(caller: Reader, id: IdInPath) -> StepsOut:
    """Its steps."""
    return StepsOut(steps=[step.to_dict() for step in await (await _run(caller, id)).aio.steps()])


@router.get("/workflow-runs/{id}/events", responses={**MISSING, **EVENTS}, response_class=EventStream)
async def events(caller: Reader, id: IdInPath, last_event_id: LastEventId = None) -> EventStream:
    """What happens in it, as it happens, until it is over; from ``Last-Event-ID`` on. Leaving changes nothing."""
    run = await _run(caller, id)
    named = place_of(last_event_id)
    since = named[1][0] if named is not None and named[0] == id else 0

    async def pieces() -> AsyncIterator[str]:
        caller.tenant.holds += 1
        stream = run.aio.stream(start=since + 1)
        try:
            async for entry in stream:
                yield event(entry.type, entry.to_json(), f"{id}.{entry.seq}.0")
        finally:
            caller.tenant.holds -= 1
            await stream.aclose()

    return EventStream(caller.host, pieces())


@router.post("/workflow-runs/{id}/signal", responses={**MISSING, **CONFLICT})
async def signal(caller: Writer, id: IdInPath, body: SignalIn) -> FlowOut:
    """Tells it something that it waits for, or will."""
    run = await _run(caller, id)
    await run.aio.signal(body.name, body.data, id=body.id)
    return await quorate.aio.run(_flow, run)


@router.post("/workflow-runs/{id}/pause", responses={**MISSING, **CONFLICT})
async def pause(caller: Writer, id: IdInPath) -> FlowOut:
    """Nothing more begins in it until it is resumed."""
    run = await _run(caller, id)
    await run.aio.pause()
    return await quorate.aio.run(_flow, run)


@router.post("/workflow-runs/{id}/resume", responses={**MISSING, **CONFLICT})
async def resume(caller: Writer, id: IdInPath) -> FlowOut:
    """It goes on."""
    run = await _run(caller, id)
    await run.aio.resume()
    return await quorate.aio.run(_flow, run)


@router.post("/workflow-runs/{id}/cancel", responses={**MISSING, **CONFLICT})
async def cancel(caller: Writer, id: IdInPath, body: CancelIn) -> FlowOut:
    """Ends it, and undoes what was done where the workflow says how."""
    run = await _run(caller, id)
    await run.aio.cancel(body.reason, body.compensate)
    return await quorate.aio.run(_flow, run)


@router.post("/workflow-runs/{id}/retry", responses={**MISSING, **CONFLICT})
async def retry(caller: Writer, id: IdInPath, body: RetryIn) -> FlowOut:
    """Has a step that is blocked, or waits to be tried again, tried now."""
    run = await _run(caller, id)
    await run.aio.retry(body.step)
    return await quorate.aio.run(_flow, run)


@router.post("/workflow-runs/{id}/skip", responses={**MISSING, **CONFLICT})
async def skip(caller: Admin, id: IdInPath, body: StepIn) -> FlowOut:
    """Leaves a step out, also a review: what nobody has decided is then not decided, so that it needs the permission ``admin``."""
    run = await _run(caller, id)
    await run.aio.skip(body.step)
    return await quorate.aio.run(_flow, run)
