"""Is a state store what its options say, and does it keep what it was given?"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

import quorate
from quorate import Runtime, ScriptedModel, StateStore


def refused(code, call, says=""):
    with pytest.raises(quorate.QuorateError) as raised:
        call()
    assert raised.value.code == code, raised.value
    assert says in raised.value.message, raised.value.message
    return raised.value


def test_options_are_kept_and_bad_ones_refused(tmp_path):
    store = StateStore(tmp_path, tenant="acme", durability="async", worker_id="ward-3", lease=10)
    assert (store.tenant, store.durability, store.worker_id, store.lease) == ("acme", "async", "ward-3", 10)
    plain = StateStore()
    assert (plain.tenant, plain.durability, plain.worker_id, plain.lease) == (None, "sync", None, 30.0)
    for given, says in [
        ({"durability": "never"}, "durability"),
        ({"durability": 3}, "durability"),
        ({"lease": 0}, "lease"),
        ({"lease": -1.5}, "lease"),
        ({"lease": True}, "lease"),
        ({"lease": 1e9}, "lease"),
        ({"worker_id": ""}, "worker_id"),
        ({"worker_id": 7}, "worker_id"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": 3}, "tenant"),
    ]:
        refused("invalid_argument", lambda: StateStore(**given), says)
    refused("not_finite", lambda: StateStore(lease=float("nan")))
    refused("invalid_argument", lambda: StateStore(3), "path")


def test_an_address_of_a_database_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("postgresql://user:secret@host/db", "postgres://host", "s3://bucket/runs", "file:///tmp/x"):
        error = refused("unsupported", lambda: StateStore(place), "folder")
        assert isinstance(error, quorate.Unsupported) and "secret" not in error.message
        refused("unsupported", lambda: Runtime(model=ScriptedModel([]), store=place))
    assert os.listdir(tmp_path) == []


def test_a_closed_store_does_nothing_and_a_runtime_of_it_works_on(tmp_path):
    with StateStore(tmp_path) as store:
        runtime = Runtime(model=ScriptedModel(["one", "two"]), store=store)
        first = runtime.ask("go")
    assert runtime.run(first.run_id).answer().text == "one"
    assert runtime.ask("go on").text == "two"
    for call in (
        store.checkpoints.list,
        store.checkpoints.threads,
        lambda: store.checkpoints.get("t"),
        lambda: store.checkpoints.copy("a", "b"),
        lambda: store.checkpoints.delete("a"),
        store.checkpoints.prune,
        lambda: Runtime(model=ScriptedModel([]), store=store),
        store.__enter__,
    ):
        refused("closed", call)
    store.close()
    assert len(Runtime(model=ScriptedModel([]), store=tmp_path).runs()) == 2


def test_bad_calls_of_checkpoints_are_refused_by_name():
    calls = StateStore().checkpoints
    assert calls.list() == calls.list("nobody") == calls.threads() == []
    assert calls.get("nobody") is None and calls.delete("nobody") is False
    for call, says in [
        (lambda: calls.list(3), "thread"),
        (lambda: calls.list(limit=-1), "limit"),
        (lambda: calls.list(filter=[1]), "filter"),
        (lambda: calls.get(None), "thread"),
        (lambda: calls.copy("a", None), "to"),
        (lambda: calls.delete(b"a"), "thread"),
        (lambda: calls.prune(keep=0), "1 checkpoint"),
        (lambda: calls.prune(keep="x"), "keep"),
        (lambda: calls.prune(older_than="30 days"), "older_than"),
        (lambda: calls.prune(older_than=-1), "older_than"),
        (lambda: calls.prune(dry_run="no"), "dry_run"),
    ]:
        refused("invalid_argument", call, says)
    refused("unknown_id", lambda: calls.copy("nobody", "b"))


def test_what_is_damaged_is_said_and_nothing_is_overwritten(tmp_path):
    (tmp_path / "state.db").write_bytes(b"no database" * 1000)
    refused("corrupt", lambda: StateStore(tmp_path), "state.db")
    assert (tmp_path / "state.db").read_bytes() == b"no database" * 1000


def test_with_asyncio(tmp_path):
    async def main():
        store = await quorate.aio.run(StateStore, tmp_path)
        async with store.aio as same:
            assert same is store
            assert await store.checkpoints.aio.list() == []
            assert await store.checkpoints.aio.delete("nobody") is False
        with pytest.raises(quorate.Conflict):
            await store.checkpoints.aio.threads()

    asyncio.run(main())


def test_a_forked_child_and_another_process_use_the_same_folder(tmp_path):
    store = StateStore(tmp_path)
    Runtime(model=ScriptedModel(["x"]), store=store).ask("go")
    child = os.fork()
    if child == 0:
        try:
            Runtime(model=ScriptedModel(["y"]), store=store).ask("go")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    code = "import quorate, sys; print(len(quorate.Runtime(model=quorate.ScriptedModel([]), store=quorate.StateStore(sys.argv[1])).runs()))"
    said = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "2"
