"""How is something found?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import quorate
from fastapi import APIRouter, Query

from ..host import Reader
from ..shapes.common import ALWAYS, CONFLICT, WhereInQuery
from ..shapes.documents import Citation, ContextIn, ContextOut, Found

router = APIRouter(prefix="/v1", tags=["search"], responses=ALWAYS)


@router.get("/search", responses=CONFLICT, response_model=Found)
async def search(
    caller: Reader,
    q: Annotated[str, Query(min_length=1, max_length=3_000)],
    k: Annotated[int, Query(ge=1, le=1_000)] = 10,
    mode: Literal["hybrid", "dense", "lexical"] = "hybrid",
    where: WhereInQuery | None = None,
    fusion: Literal["convex", "rrf", "dbsf"] = "convex",
    alpha: Annotated[float, Query(ge=0, le=1)] = 0.5,
    group_by: Literal["none", "doc"] = "none",
    explain: bool = False,
) -> dict[str, Any]:
    """The pieces of documents that fit best."""
    group: Literal["doc"] | None = "doc" if group_by == "doc" else None
    hits = await caller.kb.aio.search(q, k=k, mode=mode, where=where, fusion=fusion, alpha=alpha, group_by=group)
    return {"hits": [_hit(hit, explain) for hit in hits]}


@router.post("/context")
async def context(caller: Reader, body: ContextIn) -> ContextOut:
    """Cited text for a question, within a budget of tokens."""
    found = await caller.kb.aio.context(body.question, max_tokens=body.max_tokens)
    citations = [Citation(**{name: citation[name] for name in Citation.model_fields}) for citation in found.citations]
    return ContextOut(text=found.text, tokens=found.tokens, citations=citations)


def _hit(hit: quorate.Hit, explain: bool) -> dict[str, Any]:
    """A hit as plain data: the answer is checked and written once, against the model of the route."""
    return {**hit.to_dict(), "explanation": dict(hit.explain())} if explain else hit.to_dict()
