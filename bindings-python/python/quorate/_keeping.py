"""How is a state store used with asyncio?"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Literal

from ._await import Face, run_on, twin_of
from ._store import Checkpoints, StateStore

if TYPE_CHECKING:
    from .workflows._queue import Retries
    from .workflows._saga import AsyncSaga


class AsyncCheckpoints(Face[Checkpoints]):
    """The calls of :class:`quorate.Checkpoints`, awaited."""

    list = twin_of(Checkpoints.list)
    get = twin_of(Checkpoints.get)
    threads = twin_of(Checkpoints.threads)
    copy = twin_of(Checkpoints.copy, "write")
    delete = twin_of(Checkpoints.delete, "write")
    prune = twin_of(Checkpoints.prune, "write")


class AsyncStateStore(Face[StateStore]):
    """The calls of :class:`quorate.StateStore`, awaited; ``await quorate.aio.run(quorate.StateStore, "runs/")`` opens one."""

    close = twin_of(StateStore.close)
    queue = twin_of(StateStore.queue, "write")
    queues = twin_of(StateStore.queues)

    def saga(self, name: str, *, recover: Literal["undo", "forward"] = "undo", undo: Retries | None = None) -> AsyncSaga:
        """As :meth:`quorate.StateStore.saga`: ``async with store.aio.saga("order") as s: await s.do("reserve", f, undo=g)``."""
        from .workflows._saga import AsyncSaga

        return AsyncSaga(self._of, name, recover, undo)

    async def __aenter__(self) -> StateStore:
        return self._of.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await run_on("read", self._of.close, (), {})
