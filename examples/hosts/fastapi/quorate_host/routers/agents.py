"""How are experts listed, found, changed?"""

from __future__ import annotations

from typing import Annotated, Any

import quorate
from fastapi import APIRouter, Query

from ..host import Admin, Caller, Reader
from ..shapes.agents import AgentIn, AgentOut, AgentsOut, Matched, Matches, MatchIn, plain
from ..shapes.common import ALWAYS, CONFLICT, MISSING, WRITES, IdInPath

router = APIRouter(prefix="/v1/agents", tags=["agents"], responses=ALWAYS)


@router.get("")
async def all_of_them(
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    domain: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
) -> AgentsOut:
    """The experts, by id; the tenant's own and those that all tenants share."""
    agents = [one for one in await caller.tenant.registry.aio.list() if domain is None or one.domain == domain]
    return AgentsOut(agents=[AgentOut(**plain(one)) for one in agents[offset : offset + limit]], total=len(agents))


@router.post("/match", responses=CONFLICT)
async def match(caller: Reader, body: MatchIn) -> Matches:
    """Who should answer a question, the best first."""
    found = await caller.tenant.registry.aio.match(body.question, k=body.k, abstain=body.abstain)
    return Matches(
        matches=[
            Matched(agent=one.agent.id, name=one.agent.name, score=one.score, confidence=one.confidence) for one in found
        ]
    )


@router.get("/{id}", responses=MISSING)
async def one(caller: Reader, id: IdInPath) -> AgentOut:
    """An expert."""
    return AgentOut(**plain(await caller.tenant.registry.aio.get(id)))


@router.put("/{id}", responses={**WRITES, **MISSING})
async def put(caller: Admin, id: IdInPath, body: AgentIn) -> AgentOut:
    """Adds an expert of this tenant, or replaces it. Those that all tenants share cannot be changed."""
    _writes(caller)
    definition: dict[str, Any] = {**body.model_dump(), "id": id, "tenant": caller.who.tenant}
    registry = caller.tenant.registry.aio
    try:
        return AgentOut(**plain(await registry.add(definition)))
    except quorate.QuorateError as error:
        if error.code != "duplicate_id":
            raise
    return AgentOut(**plain(await registry.update(definition)))


@router.delete("/{id}", status_code=204, responses={**WRITES, **MISSING})
async def delete(caller: Admin, id: IdInPath) -> None:
    """Removes an expert of this tenant."""
    _writes(caller)
    await caller.tenant.registry.aio.remove(id)


def _writes(caller: Caller) -> None:
    if caller.host.settings.role == "reader":
        raise quorate.Unsupported("read_only", "this process only reads; ask the writer")
