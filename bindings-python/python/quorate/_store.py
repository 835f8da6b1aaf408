"""Where are runs, graphs and workflows kept?

>>> store = StateStore()
>>> store.checkpoints.threads()
[]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import _quorate
from ._given import path_or_none, text, text_or_none
from ._record import Record, record

if TYPE_CHECKING:
    from ._keeping import AsyncCheckpoints, AsyncStateStore
    from .workflows._events import Events
    from .workflows._jobs import Stories
    from .workflows._queue import Queue, Retries, Span
    from .workflows._saga import Saga

Durability: TypeAlias = Literal["sync", "async", "exit"]
Records: TypeAlias = list[Record]


class StateStore:
    """Where runs, graphs and workflows are kept: a folder, or None for memory, in which the newest 1,000 runs that ended stay.

    Several processes of a machine may share a folder. What is acknowledged is on the disk. ``tenant``: on whose behalf; what other tenants
    have does not exist. ``durability``: when a step of a graph is on the disk, where its run says nothing else: ``sync``, before the next one
    begins; ``async``, soon (a killed process loses nothing, a power cut may lose the last steps); ``exit``, when the run ends or waits (a
    killed process begins it again). ``worker_id``: by which name this process works. ``lease``: after so many seconds of silence others go on
    with what a worker has, where they cannot see that it has ended; in a folder they see that at once.

    Codes: ``corrupt``, ``format_version``, ``io``, ``permission_denied``, ``invalid_argument``; ``unsupported`` for the address of a database.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        tenant: str | None = None,
        durability: Durability = "sync",
        worker_id: str | None = None,
        lease: float = 30.0,
    ) -> None:
        self._path = path_or_none(path, "path")
        text_or_none(tenant, "tenant")
        given = {"tenant": tenant, "durability": durability, "worker_id": worker_id, "lease": lease}
        self._native = _quorate.open_store(path, given)
        self.tenant = tenant
        """On whose behalf what is given this store works, where it names nobody else."""
        self.durability: Durability = durability
        """When a step is on the disk."""
        self.worker_id = worker_id
        """By which name this process works."""
        self.lease = lease
        """After how many seconds of silence others go on."""

    @property
    def checkpoints(self) -> Checkpoints:
        """The threads of graphs: to list, copy, delete and prune them."""
        return Checkpoints(self)

    def queue(
        self,
        name: str,
        *,
        concurrency: int | None = None,
        per_key: int | Mapping[str, int] | None = None,
        rate: str | None = None,
        aging: Span | None = None,
        lease: Span | None = None,
        retry: Retries | None = None,
        dedup_for: Span | None = None,
        ordered: bool | None = None,
    ) -> Queue:
        """A durable queue, which is made where it is not there. With options, they hold from now on, for every process that uses it; without,
        those that it has.

        ``concurrency``: the most messages that are held at once. ``per_key``: the most with one key, or for each part of a key, as in
        ``{"tenant": 1}``. ``rate``: the most that are taken in any stretch of time: ``100/m``, ``20/10s``. ``aging``: waiting so long counts as
        much as one step of priority. ``lease``: how long whoever took a message holds it without a sign (30 s). ``retry``: how often a message
        is taken (5 times; 1 s, doubled, at most 1 h). ``dedup_for``: how long a name keeps others out (1 day). ``ordered``: messages of one key
        one after the other. Codes: ``invalid_argument``, ``too_large``; ``locked``, ``io``, ``corrupt``.
        """
        from .workflows._queue import queue_of

        given = {
            "concurrency": concurrency,
            "per_key": per_key,
            "rate": rate,
            "aging": aging,
            "lease": lease,
            "retry": retry,
            "dedup_for": dedup_for,
            "ordered": ordered,
        }
        return queue_of(self, name, given)

    def queues(self) -> list[str]:
        """The names of the queues. Codes: ``corrupt``, ``io``."""
        return _quorate.queue_names(self._native)

    @property
    def events(self) -> Events:
        """What has happened, and who hears of it: ``store.events.publish(...)``, ``.subscribe(...)``. Code: ``closed``."""
        from .workflows._events import Events

        return Events(self)

    @property
    def stories(self) -> Stories:
        """The job stories that are kept, with what was measured of them. Code: ``closed``."""
        from .workflows._jobs import Stories

        return Stories(self)

    def saga(self, name: str, *, recover: Literal["undo", "forward"] = "undo", undo: Retries | None = None) -> Saga:
        """Begins a saga, or goes on with the one that has this name: ``with store.saga("order-7") as s: s.do("reserve", f, undo=g)``.

        ``recover``: what becomes of it where its program ended in the middle of it: it is undone, or goes on (``forward``). ``undo``: how often
        each undoing is tried (3 times; 0.1 s, doubled). Codes: ``run_conflict`` while somebody else has it; ``invalid_argument``, ``corrupt``,
        ``locked``, ``io``.
        """
        from .workflows._saga import Saga

        return Saga(self, name, recover, undo)

    def close(self) -> None:
        """Lets go of the store. Its workers take nothing more; what they are at is settled when it ends. What was given the store (a runtime, a
        graph) works on until it is let go of too; a second time changes nothing."""
        from .workflows._queue import leave

        leave(self)
        self._native.close()

    @property
    def aio(self) -> AsyncStateStore:
        """The same calls for asyncio: ``async with store.aio: ...``."""
        from ._keeping import AsyncStateStore

        return AsyncStateStore(self)

    def __enter__(self) -> StateStore:
        self._native.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = None if self._path is None else os.fspath(self._path)
        return f"StateStore({where!r}{'' if self.tenant is None else f', tenant={self.tenant!r}'})"


class Checkpoints:
    """The checkpoints of a store's threads; of its tenant's alone. Code of all calls: ``closed``."""

    def __init__(self, of: StateStore) -> None:
        self._of = of

    def list(
        self,
        thread: str | None = None,
        *,
        namespace: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        filter: Mapping[str, Any] | None = None,
    ) -> Records:
        """Checkpoints, the newest first: ``thread``, ``namespace``, ``id``, ``parent``, ``time``, ``metadata``.

        ``namespace``: that of a graph within a graph, ``""`` for none; None: all. ``before``: those before the one with this id. ``limit``: at
        most so many. ``filter``: those whose metadata have these values. Codes: ``unknown_id`` for ``before``, ``corrupt``, ``io``.
        """
        given = {"thread": text_or_none(thread, "thread"), "namespace": namespace, "before": before, "limit": limit, "filter": filter}
        found: Records = record(self._of._native.list(given))
        return found

    def get(self, thread: str, *, id: str | None = None, namespace: str = "") -> Record | None:
        """A checkpoint with its ``values``; the newest where no ``id`` is given, None where there is none. Codes: ``corrupt``, ``io``."""
        found: Record | None = record(self._of._native.get(text(thread, "thread"), text(namespace, "namespace"), text_or_none(id, "id")))
        return found

    def threads(self) -> Records:
        """The threads, in the order in which they were begun: ``thread``, ``checkpoints`` (how many), ``head``, ``created``, ``updated``."""
        found: Records = record(self._of._native.threads())
        return found

    def copy(self, thread: str, to: str) -> int:
        """Copies a thread to one that is not there yet, and gives how many checkpoints. Codes: ``unknown_id``, ``duplicate_id``."""
        return self._of._native.copy(text(thread, "thread"), text(to, "to"))

    def delete(self, thread: str) -> bool:
        """Removes a thread with everything in it, and says whether it was there: no file has a byte of it then. Whoever runs it gets
        ``stale_write``. Codes: ``locked``, ``io``."""
        return self._of._native.delete(text(thread, "thread"))

    def prune(
        self, *, keep: int = 20, older_than: float | str | None = "30d", dry_run: bool = False, thread: str | None = None
    ) -> Record:
        """Removes older checkpoints, and says which: ``checkpoints``, and the number of ``values`` and ``writes``.

        Of each thread the newest ``keep`` stay (at least 1), and those that are younger than ``older_than``: seconds, or ``30d``, ``12h``; None
        is no age. ``thread``: of this one alone. ``dry_run``: only says what would be removed. Codes: ``invalid_argument``, ``locked``, ``io``.
        """
        given = {"keep": keep, "older_than": older_than, "dry_run": dry_run, "thread": thread}
        found: Record = record(self._of._native.prune(given))
        return found

    @property
    def aio(self) -> AsyncCheckpoints:
        """The same calls for asyncio: ``await store.checkpoints.aio.list()``."""
        from ._keeping import AsyncCheckpoints

        return AsyncCheckpoints(self)

    def __repr__(self) -> str:
        return f"{self._of!r}.checkpoints"
