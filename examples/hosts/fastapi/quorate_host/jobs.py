"""How far is each ingest?"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import quorate

from .errors import public, told
from .shapes.common import Problem
from .shapes.documents import Job, Written

KEPT = 100
"""How many finished jobs are remembered."""


@dataclass
class Running:
    """A job with the task that does it."""

    tenant: str
    state: Job
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def show(self, **fields: Any) -> None:
        """Changes the state and wakes who watches. Called in the event loop."""
        self.state = self.state.model_copy(update=fields)
        self.changed.set()
        self.changed = asyncio.Event()


class Jobs:
    """The ingests of this process."""

    def __init__(self) -> None:
        self._jobs: dict[str, Running] = {}

    def start(self, tenant: str, kb: quorate.KnowledgeBase, documents: list[dict[str, Any]], replace: bool) -> Job:
        """Starts an ingest and returns at once."""
        job = Running(tenant, Job(id=uuid.uuid4().hex, status="running", done=0, total=len(documents)))
        finished = [id for id, one in self._jobs.items() if one.state.status != "running"]
        for id in finished[: max(0, len(finished) - KEPT)]:
            del self._jobs[id]
        self._jobs[job.state.id] = job
        job.task = asyncio.create_task(self._run(job, kb, documents, replace))
        return job.state

    async def _run(
        self, job: Running, kb: quorate.KnowledgeBase, documents: list[dict[str, Any]], replace: bool
    ) -> None:
        def progress(done: int, total: int) -> None:
            job.show(done=done, total=total)

        try:
            write = kb.aio.upsert if replace else kb.aio.add
            report = await write(documents, progress=progress)
        except asyncio.CancelledError:
            job.show(status="cancelled")
            raise
        except quorate.QuorateError as error:
            status, message = public(error.code, error.message)
            job.show(status="failed", problem=Problem(**told(status, error.code, message)))
        except Exception as error:
            status, message = public("internal", type(error).__name__)
            job.show(status="failed", problem=Problem(**told(status, "internal", message)))
        else:
            written = Written(
                added=report.added,
                replaced=report.replaced,
                unchanged=report.unchanged,
                chunks=report.chunks,
                version=report.version,
            )
            job.show(status="done", done=job.state.total, written=written)

    def get(self, tenant: str, id: str) -> Running:
        """A job of this tenant. Code ``unknown_id``."""
        job = self._jobs.get(id)
        if job is None or job.tenant != tenant:
            raise quorate.NotFound("unknown_id", f"there is no ingest job '{id[:60]}'")
        return job

    def cancel(self, tenant: str, id: str) -> Job:
        """Stops a job; nothing of it is stored unless it was done already."""
        job = self.get(tenant, id)
        if job.task is not None:
            job.task.cancel()
        return job.state

    async def watch(self, job: Running) -> AsyncIterator[Job]:
        """The state now, then at each change, until the job has ended."""
        while True:
            changed, state = job.changed, job.state
            yield state
            if state.status != "running":
                return
            await changed.wait()

    async def close(self) -> None:
        """Cancels what runs, and waits for it."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
