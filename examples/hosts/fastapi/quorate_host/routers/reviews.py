"""How do people decide what workflows ask them? Who decides is who asks, by the token."""

from __future__ import annotations

from typing import Annotated, Any

import quorate
from fastapi import APIRouter, Query
from quorate import workflows as wf

from ..errors import HostError
from ..host import Caller, Reviewer
from ..shapes.common import ALWAYS, CONFLICT, MISSING, Id, IdInPath, Short
from ..shapes.flows import DecideIn, DelegateIn, ReviewOut, ReviewsOut

router = APIRouter(prefix="/v1/reviews", tags=["reviews"], responses=ALWAYS)


def _out(review: wf.Review) -> ReviewOut:
    told: dict[str, Any] = {name: value for name, value in review.to_dict().items() if not name.startswith("_")}
    return ReviewOut(**told)


def _mine(caller: Caller, review: wf.Review) -> bool:
    return review.role in caller.who.roles or caller.who.may("admin")


async def _review(caller: Caller, id: str) -> wf.Review:
    """A review that this user may decide. Codes: ``unknown_id``, ``forbidden``."""
    review = await caller.tenant.engine.aio.review(id)
    if not _mine(caller, review):
        raise HostError("forbidden", f"this review is for the role '{review.role}'")
    return review


@router.get("", responses=MISSING)
async def all_of_them(
    caller: Reviewer, role: Annotated[Short | None, Query()] = None, run: Annotated[Id | None, Query()] = None
) -> ReviewsOut:
    """The reviews that are open and that this user may decide: those of its roles, for an administrator all."""
    found = await caller.tenant.engine.aio.reviews(role=role, run=run)
    return ReviewsOut(reviews=[_out(review) for review in found if _mine(caller, review)])


@router.get("/{id}", responses=MISSING)
async def one(caller: Reviewer, id: IdInPath) -> ReviewOut:
    """A review that is open."""
    return _out(await _review(caller, id))


@router.post("/{id}/claim", responses={**MISSING, **CONFLICT})
async def claim(caller: Reviewer, id: IdInPath) -> ReviewOut:
    """Takes it, so that nobody else decides it."""
    review = await _review(caller, id)
    await review.aio.claim(caller.who.user)
    return _out(await caller.tenant.engine.aio.review(id))


@router.post("/{id}/delegate", responses={**MISSING, **CONFLICT})
async def delegate(caller: Reviewer, id: IdInPath, body: DelegateIn) -> ReviewOut:
    """Gives it to somebody else."""
    review = await _review(caller, id)
    await review.aio.delegate(body.user, by=caller.who.user)
    return _out(await caller.tenant.engine.aio.review(id))


@router.post("/{id}/decide", status_code=204, responses={**MISSING, **CONFLICT})
async def decide(caller: Reviewer, id: IdInPath, body: DecideIn) -> None:
    """Decides it."""
    review = await _review(caller, id)
    if body.option not in review.options:
        raise quorate.InvalidInput("invalid_argument", f"the options are {', '.join(review.options)}")
    await review.aio.decide(body.option, by=caller.who.user, comment=body.comment, data=body.data)
