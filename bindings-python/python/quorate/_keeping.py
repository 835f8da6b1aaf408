"""How is a state store used with asyncio?"""

from __future__ import annotations

from types import TracebackType

from ._await import Face, run_on, twin_of
from ._store import Checkpoints, StateStore


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

    async def __aenter__(self) -> StateStore:
        return self._of.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await run_on("read", self._of.close, (), {})
