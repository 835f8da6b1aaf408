"""What do the requests of one process share, and how does it begin and end?"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import quorate
from fastapi import Depends, FastAPI, Request

from .auth import Principal, Verifier, needs
from .flights import Flights
from .jobs import Jobs
from .metrics import Metrics
from .rates import Rates
from .settings import Settings
from .tenants import Shared, Tenant, Tenants
from .traces import Traces
from .watch import LoopWatch

_log = logging.getLogger("quorate_host")
_left: list[Any] = []
"""Runs that the end of this process cuts short: held to the last, so that they count as interrupted, not as cancelled."""


class Host:
    """What the requests of one process share."""

    def __init__(self, settings: Settings, shared: Shared, tracer_provider: Any = None) -> None:
        self.settings = settings
        self.kb = shared.kb
        self.jobs = Jobs()
        self.watch = LoopWatch()
        self.metrics = Metrics(self.watch)
        self.verifier = Verifier(settings)
        self.rates = Rates(settings.rate, settings.burst)
        self.flights = Flights(self.metrics, settings.runs)
        self.tenants = Tenants(settings, shared, self.flights)
        self.traces = Traces(settings.otlp, tracer_provider)
        self.metrics.tenants.set_function(lambda: len(self.tenants))
        self.ready = False
        self._end: asyncio.Task[bool] | None = None

    def end(self) -> None:
        """The process is told to end: nothing new begins, what goes on may end within the time of grace, then streams are closed."""
        if self._end is None:
            self.ready = False
            self._end = asyncio.create_task(self.flights.drain(self.settings.grace_seconds))

    async def ended(self) -> bool:
        """Waits for that, and says whether all runs are over."""
        self.end()
        assert self._end is not None
        return await self._end

    async def follow(self) -> None:
        """Shows what the writer has written, again and again."""
        while True:
            await asyncio.sleep(self.settings.refresh_seconds)
            try:
                await self.tenants.refresh()
            except quorate.QuorateError as error:
                if error.code == "closed":
                    return
                _log.error("not refreshed", extra={"code": error.code})


@asynccontextmanager
async def opened(app: FastAPI, settings: Settings, model: quorate.Model | None, tools: tuple[quorate.Tool, ...], provider: Any) -> AsyncIterator[None]:
    """The life of a process: all is open within."""
    reader = settings.role == "reader"
    kb = await quorate.aio.open(settings.folder, read_only=reader)
    # Readers know the shipped agents alone: the file belongs to the writer.
    path = None if reader else str(settings.folder / "agents.redb")
    registry = await quorate.aio.run(quorate.AgentRegistry, path, catalog=settings.catalog)
    store = await quorate.aio.run(quorate.StateStore, settings.state)
    if model is None and settings.model is not None:
        model = await quorate.aio.run(quorate.Model, settings.model, base_url=settings.model_url)
    host = app.state.host = Host(settings, Shared(kb, registry, store, model, tools), provider)
    beside = [asyncio.create_task(host.watch.run())]
    if reader:
        beside.append(asyncio.create_task(host.follow()))
    else:
        beside.append(asyncio.create_task(host.tenants.tend()))
        if settings.resume:
            beside.append(asyncio.create_task(host.tenants.resume()))
    restore = _on_signals(host)
    host.ready = True
    _log.info("open", extra={"kind": settings.role})
    try:
        yield
    finally:
        restore()
        over = await host.ended()
        await host.jobs.close()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        over = await host.tenants.close(settings.grace_seconds) and over
        host.traces.close()
        if over:
            host.flights.forget()
            await registry.aio.close()
            await kb.aio.close()
            await store.aio.close()
        else:
            # What goes on needs them to the last; what is stored is safe without closing.
            _left.extend([*host.flights.left(), kb, registry, store])
            _log.warning("left to the next process", extra={"count": len(host.flights.left())})


def _on_signals(host: Host) -> Any:
    """Has the end begin when the signal comes: a server waits for open streams before it tells the application."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        given = before[number] = signal.getsignal(number)

        def told(got: int, frame: Any, given: Any = given) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(host.end)
            if callable(given):
                given(got, frame)

        signal.signal(number, told)

    def restore() -> None:
        for number, given in before.items():
            signal.signal(number, given)

    return restore


async def the_host(request: Request) -> Host:
    """A coroutine function: what is no coroutine function runs on a thread of a pool, two hand-overs a request."""
    host: Host = request.app.state.host
    return host


AHost = Annotated[Host, Depends(the_host)]


class Caller:
    """Who asks, with the handles of the tenant."""

    def __init__(self, host: Host, who: Principal, tenant: Tenant) -> None:
        self.host, self.who, self.tenant = host, who, tenant

    @property
    def kb(self) -> quorate.KnowledgeBase:
        """The tenant's documents."""
        return self.tenant.kb


def _caller(permission: str) -> Any:
    # Annotations of functions within functions cannot name what is only known here.
    wanted = Depends(needs(permission))

    async def caller(host: AHost, who: Principal = wanted) -> Caller:
        return Caller(host, who, await host.tenants.get(who.tenant))

    return Depends(caller)


Reader = Annotated[Caller, _caller("read")]
Writer = Annotated[Caller, _caller("write")]
Reviewer = Annotated[Caller, _caller("review")]
Admin = Annotated[Caller, _caller("admin")]
