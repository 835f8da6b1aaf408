"""Is the process alive, does it take requests, and what has it counted?"""

from __future__ import annotations

import hmac
from typing import Annotated, Literal

import quorate
from fastapi import APIRouter, Header, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from ..errors import HostError
from ..host import AHost
from ..metrics import CONTENT_TYPE
from ..shapes.common import problems

router = APIRouter(tags=["health"], responses=problems(400, 422, 500, 503))


class Health(BaseModel):
    """How the process is."""

    status: Literal["ok"]
    role: Literal["writer", "reader"]
    version: str
    loop_delay_ms: float
    """The longest time in the last ``window`` seconds that the event loop kept its callbacks waiting."""


@router.get("/health")
@router.get("/v1/health")
async def health(host: AHost, window: Annotated[float, Query(gt=0, le=600)] = 60.0) -> Health:
    """Whether the service answers, and whether its event loop is ever blocked."""
    role: Literal["writer", "reader"] = "reader" if host.settings.role == "reader" else "writer"
    return Health(status="ok", role=role, version=quorate.__version__, loop_delay_ms=1000 * host.watch.longest(window))


class Live(BaseModel):
    """The process answers."""

    status: Literal["ok"]


@router.get("/v1/health/live")
async def live() -> Live:
    """Whether the process answers; one that does not is to be started again."""
    return Live(status="ok")


@router.get("/v1/health/ready")
async def ready(host: AHost) -> Live:
    """Whether requests may be sent here: not before all is open, and not once the process was told to end."""
    if not host.ready:
        raise quorate.Unavailable("closed", "the service is going down")
    await host.kb.aio.count()
    return Live(status="ok")


@router.get("/metrics", response_class=PlainTextResponse, responses=problems(401))
async def metrics(host: AHost, authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> Response:
    """What was counted, for Prometheus. Nothing in it names a tenant."""
    wanted = host.settings.metrics_token
    if wanted is not None and not hmac.compare_digest((authorization or "").encode(), f"Bearer {wanted}".encode()):
        raise HostError("unauthenticated", "the token of the metrics is expected", {"www-authenticate": "Bearer"})
    return Response(host.metrics.text(), media_type=CONTENT_TYPE)
