"""How is a long ingest started, watched and stopped?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path

from ..host import AHost, Writer
from ..shapes.common import ALWAYS, EVENTS, MISSING, WRITES
from ..shapes.documents import Batch, Job
from ..sse import EventStream, event

router = APIRouter(prefix="/v1/ingest", tags=["documents"], responses=ALWAYS)
JobId = Annotated[str, Path(min_length=1, max_length=64)]


@router.post("", status_code=202, responses=WRITES)
async def start(caller: Writer, batch: Batch) -> Job:
    """Starts to store documents and answers at once."""
    documents = [document.model_dump() for document in batch.documents]
    return caller.host.jobs.start(caller.who.tenant, caller.kb, documents, batch.on_conflict == "replace")


@router.get("/{job}/events", responses={**MISSING, **EVENTS}, response_class=EventStream)
async def events(host: AHost, caller: Writer, job: JobId) -> EventStream:
    """How far an ingest is, as server-sent events: each is a job, the last one has ended."""
    running = host.jobs.get(caller.who.tenant, job)

    async def pieces() -> AsyncIterator[str]:
        async for state in host.jobs.watch(running):
            yield event("progress" if state.status == "running" else state.status, state.model_dump_json())

    return EventStream(host, pieces())


@router.get("/{job}", responses=MISSING)
async def progress(caller: Writer, job: JobId) -> Job:
    """How far an ingest is."""
    return caller.host.jobs.get(caller.who.tenant, job).state


@router.delete("/{job}", status_code=202, responses=MISSING)
async def cancel(caller: Writer, job: JobId) -> Job:
    """Stops an ingest; nothing of it is stored."""
    return caller.host.jobs.cancel(caller.who.tenant, job)
