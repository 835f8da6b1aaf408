"""Do those who run a knowledge base get what they need: tenants that leave, copies, a verdict, another model, logs, memory?"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import quorate
import quorate.aio


def code(function, *args, **kwargs):
    with pytest.raises(quorate.QuorateError) as caught:
        function(*args, **kwargs)
    return caught.value.code


def documents(n, start=0):
    return [{"id": str(i), "text": f"number{i} of many", "metadata": {"i": i}} for i in range(start, start + n)]


@pytest.fixture
def kb(tmp_path):
    with quorate.open(tmp_path / "kb") as kb:
        kb.add(documents(30))
        kb.tenant("acme").add(documents(5))
        yield kb


def test_tenants_are_listed_and_dropped(kb, tmp_path):
    assert kb.tenants() == ["acme"]
    acme = kb.tenant("acme")
    assert code(acme.tenants) == code(acme.drop_tenant, "acme") == "tenant_violation"
    assert code(kb.drop_tenant, "nobody") == "not_found"
    assert kb.drop_tenant("acme") is None
    assert kb.tenants() == [] and acme.count() == 0 and kb.count() == 30
    for wrong in (None, 5, b"acme", ""):
        assert code(kb.drop_tenant, wrong) == "invalid_argument"


def test_a_backup_is_opened_like_any_other(kb, tmp_path):
    told = []
    report = kb.backup(tmp_path / "copy", progress=lambda done, total: told.append((done, total)))
    assert (report.tenants, report.documents) == (1, 35) and told[-1][0] == told[-1][1] > 0
    assert dict(report) == report.to_dict() == json.loads(report.to_json())
    with quorate.open(tmp_path / "copy") as copied:
        assert copied.ids() == kb.ids() and copied.tenant("acme").count() == 5
        assert [h.to_dict() for h in copied.search("number3")] == [h.to_dict() for h in kb.search("number3")]
        assert [int(v) for v in copied.versions()] == [int(v) for v in kb.versions()]
    assert code(kb.backup, tmp_path / "copy") == "invalid_argument"
    assert code(kb.backup, tmp_path / "kb" / "below") == "invalid_argument"
    assert code(kb.backup, "") == code(kb.backup, None) == code(kb.backup, 5) == "invalid_argument"

    def stop(done, total):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        kb.backup(tmp_path / "stopped", progress=stop)
    assert sorted(os.listdir(tmp_path)) == ["copy", "kb"]


def test_what_is_stored_is_verified(kb, tmp_path):
    kb.compact()
    sound = kb.verify()
    assert sound and sound.ok and sound.problems == [] and (sound.tenants, sound.documents) == (2, 35)
    part = next((tmp_path / "kb" / "index" / "documents").rglob("catalog.bin"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    damaged = kb.verify()
    part.write_bytes(whole)
    assert not damaged and damaged.problems[0].part == "index" and damaged.problems[0].code == "corrupt"
    assert any("catalog.bin" in one.message for one in damaged.problems) and damaged.problems[0].tenant is None
    assert kb.tenant("acme").verify().tenants == 1
    again = pickle.loads(pickle.dumps(damaged))
    assert again.to_dict() == copy.deepcopy(damaged).to_dict() == damaged.to_dict()


def test_another_model_embeds_everything_again(kb, tmp_path):
    model = quorate.Embedder("builtin", dimensions=64)
    report = kb.reembed(tmp_path / "other", embedder=model)
    assert report.documents == 35
    with quorate.open(tmp_path / "other", embedder=model) as other:
        assert other.ids() == kb.ids() and other.stats().dim == 64 and kb.stats().dim != 64
        assert other.search("number3", k=1)[0].doc_id == "3"
    assert code(kb.reembed, tmp_path / "other", embedder=model) == "invalid_argument"
    for wrong in (5, b"x", ""):
        with pytest.raises(quorate.QuorateError):
            kb.reembed(tmp_path / "third", embedder=wrong)
    assert code(kb.reembed, tmp_path / "third", embedder=model, keep_chunks=1) == "invalid_argument"
    assert not (tmp_path / "third").exists()


def test_operations_awaited(kb, tmp_path):
    async def main():
        assert await kb.aio.tenants() == ["acme"]
        told = []
        report = await kb.aio.backup(tmp_path / "copy", progress=lambda done, total: told.append(done))
        assert report.documents == 35 and told
        assert (await kb.aio.verify()).ok
        assert (await kb.aio.reembed(tmp_path / "other", embedder="builtin")).documents == 35
        await kb.aio.drop_tenant("acme")
        assert await kb.aio.tenants() == []

    asyncio.run(main())


def test_a_knowledge_base_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with quorate.open(None) as kb:
        kb.add(documents(20))
        kb.tenant("acme").add(documents(2))
        assert kb.search("number3", k=1)[0].doc_id == "3" and kb.count("i < 10") == 10
        assert "in memory" in repr(kb)
        assert kb.backup("kept").documents == 22
    with quorate.open("kept") as kept, quorate.open(None) as other:
        assert kept.count() == 20 and other.count() == 0
    assert os.listdir() == ["kept"]

    async def main():
        async with quorate.aio.open(None) as kb:
            await kb.aio.add(documents(1))
            assert await kb.aio.count() == 1

    asyncio.run(main())
    assert code(quorate.open, None, read_only=True) == "not_found"


def test_places_that_are_no_folder_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert code(quorate.open, "") == code(quorate.open, 5) == code(quorate.open, b"kb") == "invalid_argument"
    assert os.listdir() == []
    Path("file").touch()
    os.symlink("nowhere", "dangling")
    for place in ("file", "file/below", "dangling"):
        with pytest.raises(quorate.InvalidInput) as caught:
            quorate.open(place)
        assert caught.value.code == "invalid_argument" and "os error" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give up its rights")
def test_what_may_not_be_looked_at_is_not_said_to_be_absent(tmp_path):
    quorate.open(tmp_path / "shut" / "kb").close()
    os.chmod(tmp_path / "shut", 0o700)
    os.chmod(tmp_path, 0o755)
    program = """
import os, sys, quorate
os.setuid(65534)
for read_only in (True, False):
    try:
        quorate.open(sys.argv[1], read_only=read_only)
    except quorate.QuorateError as error:
        print(error.code)
"""
    for part in tmp_path.parents:
        if not os.stat(part).st_mode & 0o001:
            pytest.skip(f"{part} is not open to all")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "shut" / "kb")], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["permission_denied"] * 2, done.stdout + done.stderr


def damage(place):
    for manifest in (place / "index").rglob("MANIFEST"):
        manifest.write_text("damaged")


def test_what_is_healed_is_logged_on_the_thread_of_the_call(tmp_path, caplog):
    with quorate.open(tmp_path / "kb") as kb:
        kb.add(documents(5))
    damage(tmp_path / "kb")
    with caplog.at_level(logging.WARNING, logger="quorate"), quorate.open(tmp_path / "kb") as kb:
        assert kb.count() == 5
    record = caplog.records[0]
    assert (record.name, record.levelname, record.threadName) == ("quorate.rag", "WARNING", "MainThread")
    assert "built again" in record.getMessage() and str(tmp_path) in record.getMessage()
    assert "built again" in record.quorate["event"] and record.quorate["home"].startswith(str(tmp_path))


def test_without_a_handler_warnings_are_on_standard_error_as_python_has_it(tmp_path):
    quorate.open(tmp_path / "kb").close()
    with quorate.open(tmp_path / "kb") as kb:
        kb.add(documents(5))
    damage(tmp_path / "kb")
    program = "import sys, quorate; quorate.open(sys.argv[1]).close()"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "kb")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "built again" in done.stderr, done.stderr


def test_the_last_reference_is_let_go_of_without_the_lock_of_the_interpreter(tmp_path):
    """A handle that nobody closes stores its indexes when it goes; meanwhile other threads of Python run."""
    program = """
import sys, threading, time, quorate
kb = quorate.open(sys.argv[1])
kb.add([{'id': str(i), 'text': f'number{i} ' * 400} for i in range(3500)])
longest, last, stop = 0.0, time.perf_counter(), False
def watch():
    global longest, last
    while not stop:
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        time.sleep(0.001)
thread = threading.Thread(target=watch)
thread.start()
time.sleep(0.05)
longest = 0.0
since = time.perf_counter()
del kb
took = time.perf_counter() - since
stop = True
thread.join()
print(took, longest)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120)
    took, longest = map(float, done.stdout.split())
    assert any((tmp_path / "index").rglob("catalog.bin")), "there was nothing to store, so this shows nothing"
    assert longest < max(0.5 * took, 0.05), (took, longest)
    with quorate.open(tmp_path) as kb:
        assert kb.count() == 3500
