"""Which runs go on in this process, and who watches them?

A run has one reader, which keeps its events; any number of clients read them from there, each at its own pace. A slow
client holds a number, and no events of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

import quorate

from .errors import HostError, public, told
from .metrics import Metrics

if TYPE_CHECKING:
    from .tenants import Tenant

LIVE = frozenset({"step_start", "text", "reasoning", "tool_input", "retry"})
"""Events that show a request under way: they are in no journal."""
LAST = frozenset({"end", "error", "waiting", "cancelled"})
KINDS = ("ask", "panel")
"""The kinds of runs that a runtime goes on with."""
REMEMBERED = 10.0
"""Seconds that the events of a streamed run that is over stay in memory; later, and of others, they come from its journal."""

_log = logging.getLogger("quorate_host")
Stream = Any
"""An asynchronous stream of a run or a panel."""


class Shown:
    """An event as clients get it."""

    __slots__ = ("id", "kind", "place", "text")

    def __init__(self, run_id: str, place: tuple[int, int], event: dict[str, Any]) -> None:
        self.place = place
        """How many events of the journal there are up to here, and how many live ones since."""
        self.id = f"{run_id}.{place[0]}.{place[1]}"
        self.kind: str = event["type"]
        if self.kind == "error":
            event = {**event, "error": _public_error(event.get("error") or {})}
        self.text = json.dumps(event, ensure_ascii=False)


async def run_of(tenant: Tenant, run_id: str) -> quorate.Run:
    """A run of an expert or a panel; those of workflows lie in the same store. Code: ``unknown_id``."""
    found = await tenant.runtime.aio.run(run_id)
    if found.info.kind not in KINDS:
        raise quorate.NotFound("unknown_id", f"no run has the id '{run_id[:60]}'")
    return found


def _public_error(error: Mapping[str, Any]) -> dict[str, Any]:
    status, message = public(str(error.get("code", "internal")), str(error.get("message", "")))
    return told(status, str(error.get("code", "internal")), message)


def place_of(id: str | None) -> tuple[str, tuple[int, int]] | None:
    """The run and the place that ``Last-Event-ID`` names; None for anything that is none."""
    parts = (id or "").split(".")
    if len(parts) != 3 or not parts[0] or not all(part.isascii() and part.isdigit() and len(part) < 12 for part in parts[1:]):
        return None
    return parts[0], (int(parts[1]), int(parts[2]))


def journal(run_id: str, events: list[Any]) -> list[Shown]:
    """The events of a journal."""
    return [Shown(run_id, (number, 0), {**event.to_dict(), "seq": number}) for number, event in enumerate(events, 1)]


class Flight:
    """A run that goes on in this process."""

    def __init__(self, tenant: Tenant, kind: str, digest: str, base: int, detached: bool) -> None:
        self.tenant, self.kind, self.digest = tenant, kind, digest
        self.detached = detached
        """Whether it goes on when nobody watches."""
        self.run_id: str | None = None
        self.events: list[Shown] = []
        self.result: Any = None
        self.error: quorate.QuorateError | None = None
        self.known, self.ended = asyncio.Event(), asyncio.Event()
        self.streamed = detached
        """Whether somebody may come back for its events."""
        self.watchers = 0
        self.task: asyncio.Task[None] | None = None
        self._base = base
        self._changed = asyncio.Event()

    async def read(self, stream: Stream) -> None:
        """Keeps the run's events until it is over."""
        durable, live = self._base, 0
        try:
            async for event in stream:
                if self.run_id is None:
                    self.run_id = event.run_id
                    if event.type not in ("run_start", "error") and self._base == 0:
                        # An answer that there was already, by its idempotency key: the journal tells what came before.
                        shown = journal(event.run_id, await (await self.tenant.runtime.aio.run(event.run_id)).aio.events())
                        self._show(*shown[:-1])
                        durable = len(shown) - 1
                if event.type in LIVE:
                    live += 1
                else:
                    durable, live = durable + 1, 0
                self._take(event)
                self._show(Shown(event.run_id, (durable, live), event.to_dict()))
        except asyncio.CancelledError:
            self.error = quorate.Cancelled("cancelled", "the run was cancelled")
            raise
        except quorate.QuorateError as error:
            self.error = error
        except Exception as error:
            _log.exception("a run failed")
            self.error = quorate.QuorateError("internal", type(error).__name__)
        finally:
            self.known.set()
            self.ended.set()
            self._wake()

    def _take(self, event: Any) -> None:
        if event.type == "error":
            self.error = event.error
        elif event.type in LAST:
            self.result = event.get("result")

    def _show(self, *events: Shown) -> None:
        self.events.extend(events)
        if self.events:
            self.known.set()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, place: tuple[int, int]) -> AsyncIterator[Shown]:
        """The events after a place, as they come, until the run is over."""
        at = next((i for i, one in enumerate(self.events) if one.place > place), len(self.events))
        while True:
            changed = self._changed
            while at < len(self.events):
                at += 1
                yield self.events[at - 1]
            if self.ended.is_set():
                return
            await changed.wait()

    def watch(self) -> Watch:
        """Somebody watches, for as long as the context lasts. When the last one leaves a run that is not detached, it is cancelled."""
        return Watch(self)


class Watch:
    """Somebody who watches a run."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        self._flight.watchers += 1
        self._flight.tenant.holds += 1

    def __exit__(self, *_: object) -> None:
        flight = self._flight
        flight.watchers -= 1
        flight.tenant.holds -= 1
        if not flight.watchers and not flight.detached and not flight.ended.is_set() and flight.task is not None:
            flight.task.cancel()


class Flights:
    """The runs that go on in this process."""

    def __init__(self, metrics: Metrics, most: int) -> None:
        self._metrics, self._most = metrics, most
        self._flights: set[Flight] = set()
        self._keys: dict[tuple[str, str, str], Flight] = {}
        self.draining = asyncio.Event()
        """Nothing new begins here any more."""
        self.closing = asyncio.Event()
        """What is not over is left to the next process."""

    def of(self, tenant: str) -> list[Flight]:
        """The runs of a tenant that go on."""
        return [one for one in self._flights if one.tenant.name == tenant and not one.ended.is_set()]

    def find(self, tenant: str, run_id: str) -> Flight | None:
        """A run of a tenant."""
        return next((one for one in self._flights if one.run_id == run_id and one.tenant.name == tenant), None)

    def start(
        self, tenant: Tenant, kind: str, asked: Mapping[str, Any], key: str | None, make: Callable[[], Stream], detached: bool
    ) -> Flight:
        """Begins a run. Who asks the same again with the same key joins it. Codes: ``run_conflict``, ``too_many_runs``, ``closed``."""
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        name = (tenant.name, kind, key or "")
        running = self._keys.get(name) if key else None
        if running is not None and not running.ended.is_set():
            if running.digest != digest:
                raise quorate.Conflict("run_conflict", "the idempotency key was used for another question")
            running.detached = running.detached or detached
            running.streamed = running.streamed or detached
            return running
        return self._fly(Flight(tenant, kind, digest, 0, detached), make, name if key else None)

    async def resume(self, tenant: Tenant, run_id: str, decisions: Mapping[str, Any], detached: bool) -> Flight:
        """Goes on with a run. Codes: ``unknown_id``, ``run_conflict``, ``too_many_runs``, ``closed``."""
        found = await run_of(tenant, run_id)
        running = self.find(tenant.name, run_id)
        if running is not None and not running.ended.is_set():
            raise quorate.Conflict("run_conflict", "the run goes on already")
        base = len(await found.aio.events())
        streams = tenant.runtime.aio.stream
        panel = found.info.kind == "panel"

        def make() -> Stream:
            return streams.resume_panel(run_id) if panel else streams.resume(run_id, decisions)

        if running is not None:
            self._flights.discard(running)
        return self._fly(Flight(tenant, found.info.kind, "", base, detached), make, None)

    def _fly(self, flight: Flight, make: Callable[[], Stream], name: tuple[str, str, str] | None) -> Flight:
        if self.draining.is_set():
            raise quorate.Unavailable("closed", "the service is going down")
        if len(self.of(flight.tenant.name)) >= self._most:
            raise HostError("too_many_runs", f"{self._most} runs of this tenant go on already", {"retry-after": "2"})
        stream = make()
        self._flights.add(flight)
        if name is not None:
            self._keys[name] = flight
        self._metrics.flights.inc()
        began = time.perf_counter()
        flight.task = asyncio.create_task(flight.read(stream))
        flight.task.add_done_callback(lambda _: self._landed(flight, name, time.perf_counter() - began))
        return flight

    def _landed(self, flight: Flight, name: tuple[str, str, str] | None, seconds: float) -> None:
        self._metrics.flights.dec()
        result = flight.result
        status = "failed" if flight.error is not None else getattr(result, "status", "waiting")
        usage = getattr(result, "usage", None)
        told = {} if usage is None else {"input": usage.input, "output": usage.output}
        self._metrics.run(flight.kind, status, seconds, told, getattr(result, "cost", None))
        if name is not None and self._keys.get(name) is flight:
            del self._keys[name]
        if not flight.streamed:
            self.forget(flight)
            return
        asyncio.get_running_loop().call_later(REMEMBERED, _forget, weakref.ref(self), weakref.ref(flight))

    async def drain(self, seconds: float) -> bool:
        """Waits until nothing goes on here, at most so long; says whether nothing does."""
        self.draining.set()
        tasks = [one.task for one in self._flights if one.task is not None and not one.ended.is_set()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        self.closing.set()
        return all(task.done() for task in tasks)

    def left(self) -> list[Flight]:
        """Those that are not over."""
        return [one for one in self._flights if not one.ended.is_set()]

    def forget(self, *flights: Flight | None) -> None:
        """Lets go of runs, or of all; a runtime that is held here keeps its files open."""
        self._flights.difference_update(list(flights) or list(self._flights))


def _forget(of: weakref.ref[Flights], flight: weakref.ref[Flight]) -> None:
    flights, gone = of(), flight()
    if flights is not None and gone is not None:
        flights.forget(gone)
