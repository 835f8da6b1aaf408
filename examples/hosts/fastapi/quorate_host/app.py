"""What does the service answer?"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import quorate
from fastapi import Depends, FastAPI, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from quorate import consensus

from . import errors
from .jobs import Jobs
from .limits import BodyLimit
from .models import (
    Batch,
    Citation,
    ConsensusIn,
    ConsensusOut,
    ContextIn,
    ContextOut,
    Deleted,
    DocumentOut,
    Found,
    Health,
    Id,
    Job,
    Matched,
    Matches,
    MatchIn,
    Problem,
    Where,
    Written,
)
from .settings import Settings
from .watch import LoopWatch

TENANTS_OPEN = 256
"""How many tenants' handles are kept; the one unused for longest is let go of."""


class Host:
    """What the requests of one process share."""

    def __init__(self, settings: Settings, kb: quorate.KnowledgeBase, registry: quorate.AgentRegistry) -> None:
        self.settings = settings
        self.kb = kb
        self.registry = registry
        self.jobs = Jobs()
        self.watch = LoopWatch()
        self._tenants: dict[str, quorate.KnowledgeBase] = {}

    async def tenant(self, name: str) -> quorate.KnowledgeBase:
        """The knowledge base as a tenant sees it."""
        kb = self._tenants.pop(name, None)
        if kb is None:
            kb = await self.kb.aio.tenant(name)
            while len(self._tenants) >= TENANTS_OPEN:
                del self._tenants[next(iter(self._tenants))]
        self._tenants[name] = kb
        return kb

    async def follow(self) -> None:
        """Shows what the writer has written, again and again."""
        while True:
            await asyncio.sleep(self.settings.refresh_seconds)
            for kb in (self.kb, *self._tenants.values()):
                try:
                    await kb.aio.refresh()
                except quorate.QuorateError as error:
                    if error.code == "closed":
                        return


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service, as ASGI application. ``uvicorn --factory quorate_host.app:create_app`` runs it."""
    chosen = settings or Settings.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        reader = chosen.role == "reader"
        async with quorate.aio.open(chosen.folder, read_only=reader) as kb:
            # Readers know the shipped agents alone: the file belongs to the writer.
            path = None if reader else str(chosen.folder / "agents.redb")
            registry = await quorate.aio.run(quorate.AgentRegistry, path, catalog=chosen.catalog)
            host = app.state.host = Host(chosen, kb, registry)
            beside = [asyncio.create_task(host.watch.run())]
            if reader:
                beside.append(asyncio.create_task(host.follow()))
            try:
                yield
            finally:
                await host.jobs.close()
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                await registry.aio.close()

    app = FastAPI(
        title="quorate host",
        version=quorate.__version__,
        description="Search, context, experts and consensus over one quorate knowledge base.",
        lifespan=lifespan,
        responses={status: {"model": Problem} for status in (400, 413, 422, 500, 503)},
    )
    errors.install(app)
    app.add_middleware(BodyLimit)
    _routes(app)
    return app


async def _host(request: Request) -> Host:
    # A coroutine function: what is no coroutine function runs on a thread of a pool, two hand-overs a request.
    host: Host = request.app.state.host
    return host


AHost = Annotated[Host, Depends(_host)]
Tenant = Annotated[
    str,
    Header(alias="x-tenant", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Whose documents: no other tenant's are seen."),
]


async def _kb(host: AHost, tenant: Tenant) -> quorate.KnowledgeBase:
    return await host.tenant(tenant)


Kb = Annotated[quorate.KnowledgeBase, Depends(_kb)]
DocumentId = Annotated[Id, Path()]
WRITES: dict[int | str, dict[str, Any]] = {
    403: {"model": Problem, "description": "This process only reads."},
    409: {"model": Problem, "description": "It contradicts what is stored."},
    507: {"model": Problem, "description": "The disk is full."},
}
MISFIT: dict[int | str, dict[str, Any]] = {409: {"model": Problem, "description": "A filter's type does not fit the field."}}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem}}


def _routes(app: FastAPI) -> None:
    @app.get("/health")
    async def health(host: AHost, window: Annotated[float, Query(gt=0, le=600)] = 60.0) -> Health:
        """Whether the service answers, and whether its event loop is ever blocked."""
        return Health(
            status="ok",
            role="reader" if host.settings.role == "reader" else "writer",
            version=quorate.__version__,
            documents=await host.kb.aio.count(),
            loop_delay_ms=1000 * host.watch.longest(window),
        )

    @app.post("/documents", status_code=201, responses=WRITES)
    async def write(kb: Kb, batch: Batch) -> Written:
        """Stores documents, all or none; they can be found when the answer comes."""
        report = await _write(kb, batch)
        return Written(
            added=report.added,
            replaced=report.replaced,
            unchanged=report.unchanged,
            chunks=report.chunks,
            version=report.version,
        )

    @app.get("/documents/{id}", responses=MISSING)
    async def read(kb: Kb, id: DocumentId) -> DocumentOut:
        """A document."""
        return DocumentOut(**await kb.aio.get(id))

    @app.delete("/documents/{id}", responses={**WRITES, **MISSING})
    async def delete(kb: Kb, id: DocumentId) -> Deleted:
        """Deletes a document."""
        deleted = await kb.aio.delete([id])
        if not deleted:
            raise quorate.NotFound("unknown_id", f"there is no document '{id}'")
        return Deleted(deleted=deleted)

    @app.delete("/documents", responses=WRITES)
    async def delete_where(kb: Kb, where: Annotated[Where, Query()]) -> Deleted:
        """Deletes the documents that match a filter, such as ``year < 2000``."""
        return Deleted(deleted=await kb.aio.delete(where=where))

    @app.get("/search", responses=MISFIT, response_model=Found)
    async def search(
        kb: Kb,
        q: Annotated[str, Query(min_length=1, max_length=10_000)],
        k: Annotated[int, Query(ge=1, le=1_000)] = 10,
        mode: Literal["hybrid", "dense", "lexical"] = "hybrid",
        where: Annotated[Where | None, Query()] = None,
        fusion: Literal["convex", "rrf", "dbsf"] = "convex",
        alpha: Annotated[float, Query(ge=0, le=1)] = 0.5,
        group_by: Literal["none", "doc"] = "none",
        explain: bool = False,
    ) -> dict[str, Any]:
        """The pieces of documents that fit best."""
        hits = await kb.aio.search(
            q,
            k=k,
            mode=mode,
            where=where,
            fusion=fusion,
            alpha=alpha,
            group_by="doc" if group_by == "doc" else None,
        )
        return {"hits": [_hit(hit, explain) for hit in hits]}

    @app.post("/context")
    async def context(kb: Kb, body: ContextIn) -> ContextOut:
        """Cited text for a question, within a budget of tokens."""
        found = await kb.aio.context(body.question, max_tokens=body.max_tokens)
        citations = [
            Citation(**{name: citation[name] for name in Citation.model_fields}) for citation in found.citations
        ]
        return ContextOut(text=found.text, tokens=found.tokens, citations=citations)

    @app.post("/match")
    async def match(host: AHost, tenant: Tenant, body: MatchIn) -> Matches:
        """The agents who should answer a question."""
        found = await host.registry.aio.match(body.question, k=body.k, abstain=body.abstain, tenant=tenant)
        return Matches(
            matches=[
                Matched(agent=one.agent.id, name=one.agent.name, score=one.score, confidence=one.confidence) for one in found
            ]
        )

    @app.post("/consensus")
    async def truth(body: ConsensusIn) -> ConsensusOut:
        """What is true behind the votes, who can be trusted, and how well the raters agree."""
        return await quorate.aio.run(_consensus, body)

    @app.post("/ingest", status_code=202, responses=WRITES)
    async def ingest(host: AHost, tenant: Tenant, kb: Kb, batch: Batch) -> Job:
        """Starts to store documents and answers at once; see ``/ingest/stream``."""
        documents = [document.model_dump() for document in batch.documents]
        return host.jobs.start(tenant, kb, documents, batch.on_conflict == "replace")

    @app.get(
        "/ingest/stream",
        responses={**MISSING, 200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
        response_class=StreamingResponse,
    )
    async def stream(host: AHost, tenant: Tenant, job: Annotated[str, Query(max_length=64)]) -> StreamingResponse:
        """How far an ingest is, as server-sent events: each is a job, the last one has ended."""
        running = host.jobs.get(tenant, job)

        async def events() -> AsyncIterator[str]:
            async for state in host.jobs.watch(running):
                kind = "progress" if state.status == "running" else state.status
                yield f"event: {kind}\ndata: {state.model_dump_json()}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    @app.get("/ingest/jobs/{job}", responses=MISSING)
    async def progress(host: AHost, tenant: Tenant, job: Annotated[str, Path(min_length=1, max_length=64)]) -> Job:
        """How far an ingest is."""
        return host.jobs.get(tenant, job).state

    @app.delete("/ingest/jobs/{job}", status_code=202, responses=MISSING)
    async def cancel(host: AHost, tenant: Tenant, job: Annotated[str, Path(min_length=1, max_length=64)]) -> Job:
        """Stops an ingest; nothing of it is stored."""
        return host.jobs.cancel(tenant, job)


async def _write(kb: quorate.KnowledgeBase, batch: Batch) -> quorate.WriteReport:
    documents = [document.model_dump() for document in batch.documents]
    if batch.on_conflict == "replace":
        return await kb.aio.upsert(documents)
    return await kb.aio.add(documents)


def _hit(hit: quorate.Hit, explain: bool) -> dict[str, Any]:
    """A hit as plain data: the answer is checked and written once, against the model of the route."""
    return {**hit.to_dict(), "explanation": dict(hit.explain())} if explain else hit.to_dict()


def _consensus(body: ConsensusIn) -> ConsensusOut:
    items, raters, labels = zip(*((vote.item, vote.rater, vote.label) for vote in body.votes), strict=True)
    ratings = consensus.ratings(list(items), list(raters), list(labels), duplicates=body.duplicates)
    found = getattr(consensus, body.method)(ratings)
    alpha = consensus.krippendorff_alpha(ratings)
    return ConsensusOut(
        labels=found.labels,
        probabilities=found.probabilities,
        # A skill can be infinite where a rater is always right.
        skills={rater: skill if math.isfinite(skill) else math.copysign(1e300, skill) for rater, skill in found.skills.items()},
        alpha=alpha.value,
        undefined=alpha.undefined,
    )
