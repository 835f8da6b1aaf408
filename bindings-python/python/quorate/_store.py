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

    def close(self) -> None:
        """Lets go of the store. What was given it (a runtime, a graph) works on until it is let go of too; a second time changes nothing."""
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
