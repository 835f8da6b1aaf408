"""How do LangGraph's own tests run on a checkpointer of quorate? A plugin of pytest puts it in the place of LangGraph's in memory.

``QUORATE_LANGGRAPH_STORE``: ``memory``; ``disk``, where every test gets a folder; ``theirs`` leaves LangGraph's own in its place.
``QUORATE_LANGGRAPH_RESULTS``: the file that gets the outcome of each test.
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

KIND = os.environ.get("QUORATE_LANGGRAPH_STORE", "memory")
RESULTS = os.environ.get("QUORATE_LANGGRAPH_RESULTS")

_outcomes: dict[str, str] = {}
_open: list[Any] = []


def _ours() -> type:
    from quorate import StateStore
    from quorate.workflows import LangGraphSaver

    class InPlace(LangGraphSaver):
        """A checkpointer with what LangGraph's tests want of theirs: it is slow on demand, and sees to it that checkpoints stay."""

        def __init__(self, *, serde: Any = None, put_sleep: float | None = None) -> None:
            folder = tempfile.TemporaryDirectory(prefix="quorate-langgraph-") if KIND == "disk" else None
            store = StateStore(folder.name if folder else None, durability="async")
            _open.append((store, folder))
            super().__init__(store, serde=serde)
            self.put_sleep = put_sleep
            self._copies: dict[Any, Any] = {}

        def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
            if self.put_sleep:
                time.sleep(self.put_sleep)
            place = (config["configurable"]["thread_id"], config["configurable"]["checkpoint_ns"])
            if saved := self.get(config):
                kept = self._copies.get((*place, saved["id"]))
                assert kept is None or self.serde.loads_typed(kept) == saved, f"the checkpoint has changed: {place}"
            self._copies[(*place, checkpoint["id"])] = self.serde.dumps_typed(checkpoint)
            return super().put(config, checkpoint, metadata, new_versions)

    return InPlace


def pytest_sessionstart(session: pytest.Session) -> None:
    # The suite's conftest is there; its tests are not yet.
    if KIND == "theirs":
        return
    ours = _ours()
    for name in ("tests.memory_assert", "tests.conftest_checkpointer"):
        module = importlib.import_module(name)
        assert hasattr(module, "MemorySaverAssertImmutable"), f"{name} has changed: nothing would be put in its place"
        module.MemorySaverAssertImmutable = ours  # type: ignore[attr-defined]
    # The one that gives checkpoints as older versions wrote them is made of it.
    importlib.import_module("tests.memory_assert").InMemorySaver = ours  # type: ignore[attr-defined]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    while _open:
        store, folder = _open.pop()
        store.close()
        if folder:
            folder.cleanup()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # A test whose fixtures fail before or after it has failed.
    if report.when == "call" and _outcomes.get(report.nodeid) != "failed" or report.outcome != "passed":
        _outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    if RESULTS:
        file = Path(RESULTS)
        # What is run once more takes the place of what was.
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps({**before, **_outcomes}, indent=1, sort_keys=True), encoding="utf-8")
