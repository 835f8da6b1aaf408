"""What belongs to one tenant, and which tenants are there?"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import quorate
from quorate import workflows as wf

from .auth import TENANT
from .flights import KINDS, Flights
from .settings import Settings

OPEN = 64
"""How many tenants' handles are kept where the others have nothing under way."""
IDLE = 60.0
"""Seconds after which handles that nobody uses may be let go of."""
UNFINISHED: tuple[Any, ...] = ("pending", "queued", "running", "waiting", "paused", "compensating", "blocked")

_log = logging.getLogger("quorate_host")


@dataclass
class Tenant:
    """The handles of one tenant: none of them can see what is another's."""

    name: str
    kb: quorate.KnowledgeBase
    registry: quorate.AgentRegistry
    runtime: quorate.Runtime
    engine: wf.Engine
    used: float = field(default_factory=time.monotonic)
    holds: int = 0
    """Streams that are open on its behalf."""

    def unfinished(self) -> bool:
        """Whether a workflow of this tenant is not over. It reads the store."""
        return any(self.engine.runs(status) for status in UNFINISHED)


@dataclass(frozen=True)
class Shared:
    """What all tenants' handles are made of."""

    kb: quorate.KnowledgeBase
    registry: quorate.AgentRegistry
    store: quorate.StateStore
    model: quorate.Model | None
    tools: tuple[quorate.Tool, ...] = ()


class Tenants:
    """The tenants of a process."""

    def __init__(self, settings: Settings, shared: Shared, flights: Flights) -> None:
        self._settings, self._shared, self._flights = settings, shared, flights
        self._open: dict[str, Tenant] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._names = settings.state / "tenants"

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> list[Tenant]:
        """Those that are open now."""
        return list(self._open.values())

    def known(self) -> list[str]:
        """Those that have been here, also before a restart."""
        if not self._names.is_dir():
            return []
        return sorted(path.name for path in self._names.iterdir() if TENANT.fullmatch(path.name))

    async def get(self, name: str) -> Tenant:
        """A tenant's handles."""
        found = self._open.get(name)
        if found is None:
            lock = self._opening.setdefault(name, asyncio.Lock())
            async with lock:
                found = self._open.get(name)
                if found is None:
                    await self._make_room()
                    found = self._open[name] = await quorate.aio.run(self._made, name)
            self._opening.pop(name, None)
        found.used = time.monotonic()
        return found

    def _made(self, name: str) -> Tenant:
        shared, settings = self._shared, self._settings
        self._names.mkdir(parents=True, exist_ok=True)
        (self._names / name).touch()
        kb, registry = shared.kb.tenant(name), shared.registry.tenant(name)
        budget = quorate.Budget(max_cost=settings.max_cost, max_seconds=settings.max_seconds)
        runtime = quorate.Runtime(
            registry=registry, kb=kb, model=shared.model, tools=shared.tools, store=shared.store, tenant=name, budget=budget
        )
        # The writer goes on with workflows; what a reader starts is in the store, where the writer finds it.
        concurrency = 4 if settings.role == "writer" else 0
        engine = wf.Engine(shared.store, runtime=runtime, tools=shared.tools, tenant=name, concurrency=concurrency)
        if settings.workflows is not None:
            engine.load(settings.workflows)
        return Tenant(name, kb, registry, runtime, engine)

    async def _make_room(self) -> None:
        """Lets go of who has nothing under way, the one unused for longest first."""
        if len(self._open) < OPEN:
            return
        for one in sorted(self._open.values(), key=lambda tenant: tenant.used):
            if time.monotonic() - one.used < IDLE:
                break
            if not one.holds and not self._flights.of(one.name) and not await quorate.aio.run(one.unfinished):
                self._open.pop(one.name, None)
                await one.engine.aio.close(self._settings.grace_seconds)
                return

    def call(self, name: str) -> None:
        """Tells the writer, from a reader, that there is something to do for a tenant."""
        (self._names / name).touch()

    async def tend(self) -> None:
        """Opens the tenants that have been here, and those that a reader calls for: their engines go on with workflows."""
        seen: dict[str, int] = {}
        while True:
            for name in await asyncio.to_thread(self.known):
                try:
                    called = (self._names / name).stat().st_mtime_ns
                    if seen.get(name) != called and name not in self._open:
                        await self.get(name)
                    seen[name] = called
                except Exception as error:
                    # The others go on; this one is tried again.
                    _log.error("not opened", extra={"tenant": name, "code": getattr(error, "code", type(error).__name__)})
            await asyncio.sleep(self._settings.refresh_seconds)

    async def resume(self) -> None:
        """Goes on with runs that the end of an earlier process has cut short, of each tenant one after another."""
        await asyncio.gather(*map(self._resumed, self.known()))

    async def _resumed(self, name: str) -> None:
        try:
            await self._resume(name)
        except Exception as error:
            _log.error("not resumed", extra={"tenant": name, "code": getattr(error, "code", type(error).__name__)})

    async def _resume(self, name: str) -> None:
        tenant = await self.get(name)
        for run in await tenant.runtime.aio.runs("interrupted"):
            # A run within another goes on with that one.
            if run.kind in KINDS and run.parent is None and self._flights.find(name, run.run_id) is None:
                flight = await self._flights.resume(tenant, run.run_id, {}, detached=True)
                _log.info("resumed", extra={"tenant": name, "run_id": run.run_id, "kind": run.kind})
                await flight.ended.wait()

    async def refresh(self) -> None:
        """Shows a reader what the writer has written."""
        for kb in (self._shared.kb, *(tenant.kb for tenant in self._open.values())):
            await kb.aio.refresh()

    async def close(self, seconds: float) -> bool:
        """Ends the engines: what is being done is finished, the rest is left to the next process. Says whether all was done."""
        done = await asyncio.gather(*(tenant.engine.aio.close(seconds) for tenant in self._open.values()), return_exceptions=True)
        self._open.clear()
        return all(one is True for one in done)
