"""How does LangGraph keep its checkpoints in a state store?

``LangGraphSaver`` is one of LangGraph's checkpointers, sync and async; it needs the package ``langgraph-checkpoint``. What LangGraph's
serializer makes of values is kept as it is: no type is constructed from it here.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Any

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)

from .._await import run_on
from .._errors import InvalidInput
from .._store import StateStore

_PLAIN = (str, int, float, bool, type(None))


class LangGraphSaver(BaseCheckpointSaver[str]):  # type: ignore[misc, unused-ignore]
    """A checkpointer of LangGraph whose checkpoints lie in a :class:`quorate.StateStore`: ``graph.compile(checkpointer=LangGraphSaver(store))``.

    ``serde``: LangGraph's serializer. Codes of quorate pass through: ``corrupt``, ``closed``, ``io``.
    """

    def __init__(self, store: StateStore, *, serde: Any = None) -> None:
        super().__init__(serde=serde)
        if not isinstance(store, StateStore):
            raise InvalidInput("invalid_argument", f"store is of type {type(store).__name__}; a StateStore is expected")
        self.store = store
        """Where the checkpoints lie."""

    def _dumped(self, value: Any) -> list[str]:
        kind, data = self.serde.dumps_typed(value)
        return [kind, base64.b64encode(data).decode("ascii")]

    def _loaded(self, stored: list[str]) -> Any:
        return self.serde.loads_typed((stored[0], base64.b64decode(stored[1])))

    def _tuple(self, found: dict[str, Any], config: Any = None) -> CheckpointTuple:
        checkpoint, metadata = (self._loaded(one) for one in found["data"])
        place = {"thread_id": found["thread"], "checkpoint_ns": found["namespace"]}
        parent = found["parent"]
        whole: Any = {**checkpoint, "channel_values": {name: self._loaded(value) for name, value in found["values"].items()}}
        return CheckpointTuple(
            config=config or {"configurable": {**place, "checkpoint_id": found["id"]}},
            checkpoint=whole,
            metadata=metadata,
            parent_config={"configurable": {**place, "checkpoint_id": parent}} if parent else None,
            pending_writes=[(task, channel, self._loaded(value)) for task, channel, value in found["writes"]],
        )

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        """The checkpoint of a config, or the newest of its thread."""
        place, id = config["configurable"], get_checkpoint_id(config)
        found = self.store._native.saved(str(place["thread_id"]), place.get("checkpoint_ns", ""), id)
        return None if found is None else self._tuple(found, config if id else None)

    def list(
        self, config: Any, *, filter: dict[str, Any] | None = None, before: Any = None, limit: int | None = None
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, the newest first."""
        place = config["configurable"] if config else {}
        thread = place.get("thread_id")
        id = get_checkpoint_id(config) if config else None
        query = {
            "thread": None if thread is None else str(thread),
            "namespace": place.get("checkpoint_ns"),
            "before": get_checkpoint_id(before) if before else None,
            # What is looked for among them is not counted before.
            "limit": None if filter or id is not None or limit is None else max(limit, 0),
        }
        left = limit
        for found in self.store._native.saved_list(query):
            if left is not None and left <= 0:
                return
            if id is not None and found["id"] != id:
                continue
            one = self._tuple(found)
            if filter and not all(key in one.metadata and one.metadata[key] == value for key, value in filter.items()):
                continue
            left = None if left is None else left - 1
            yield one

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Keeps a checkpoint, and gives its config."""
        place = config["configurable"]
        thread, namespace = str(place["thread_id"]), place.get("checkpoint_ns", "")
        rest = dict(checkpoint)
        values = rest.pop("channel_values")
        said = get_checkpoint_metadata(config, metadata)
        self.store._native.save(
            {
                "thread": thread,
                "namespace": namespace,
                "id": checkpoint["id"],
                "parent": place.get("checkpoint_id"),
                "data": [self._dumped(rest), self._dumped(said)],
                "metadata": {key: value for key, value in said.items() if isinstance(value, _PLAIN)},
                "versions": [[channel, _version(version)] for channel, version in checkpoint["channel_versions"].items()],
                "values": [
                    [channel, _version(version), self._dumped(values[channel]) if channel in values else None]
                    for channel, version in new_versions.items()
                ],
            }
        )
        return {"configurable": {"thread_id": place["thread_id"], "checkpoint_ns": namespace, "checkpoint_id": checkpoint["id"]}}

    def put_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """Keeps what a task has written beside a checkpoint."""
        place = config["configurable"]
        self.store._native.save_writes(
            {
                "thread": str(place["thread_id"]),
                "namespace": place.get("checkpoint_ns", ""),
                "checkpoint": place["checkpoint_id"],
                "task": task_id,
                "path": task_path,
                "writes": [[WRITES_IDX_MAP.get(channel, i), channel, self._dumped(value)] for i, (channel, value) in enumerate(writes)],
            }
        )

    def delete_thread(self, thread_id: str) -> None:
        """Removes a thread with everything in it."""
        self.store.checkpoints.delete(str(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Removes the checkpoints of these runs, with their writes."""
        self.store._native.delete_for_runs([str(one) for one in run_ids])

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copies everything of a thread."""
        self.store.checkpoints.copy(str(source_thread_id), str(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Removes all but the newest checkpoint of each namespace of these threads, or with ``delete`` all."""
        if strategy not in ("keep_latest", "delete"):
            raise InvalidInput("invalid_argument", f"strategy is {strategy!r:.60}; keep_latest or delete is expected")
        if strategy == "delete":
            for one in thread_ids:
                self.delete_thread(one)
        else:
            self.store._native.keep_newest([str(one) for one in thread_ids])

    def get_next_version(self, current: str | int | None, channel: None) -> str:
        """Versions that grow, and differ between writers."""
        number = 0 if current is None else current if isinstance(current, int) else int(current.split(".")[0])
        return f"{number + 1:032}.{random.random():016}"

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        return await run_on("read", self.get_tuple, (config,), {})

    async def alist(
        self, config: Any, *, filter: dict[str, Any] | None = None, before: Any = None, limit: int | None = None
    ) -> AsyncIterator[CheckpointTuple]:
        given = {"filter": filter, "before": before, "limit": limit}

        def all_of_them() -> Collection[CheckpointTuple]:
            return [*self.list(config, **given)]

        for one in await run_on("read", all_of_them, (), {}):
            yield one

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        return await run_on("write", self.put, (config, checkpoint, metadata, new_versions), {})

    async def aput_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        await run_on("write", self.put_writes, (config, writes, task_id, task_path), {})

    async def adelete_thread(self, thread_id: str) -> None:
        await run_on("write", self.delete_thread, (thread_id,), {})

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await run_on("write", self.delete_for_runs, (run_ids,), {})

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await run_on("write", self.copy_thread, (source_thread_id, target_thread_id), {})

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await run_on("write", self.prune, (thread_ids,), {"strategy": strategy})


def _version(version: Any) -> str:
    """A version of a channel as a text: a number is none that is written alike."""
    return version if isinstance(version, str) else json.dumps(version)
