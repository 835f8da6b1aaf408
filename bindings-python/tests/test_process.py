"""Does the package behave in a process: a cheap import, Ctrl-C, threads, fork, exit?"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

import quorate


def run(code, *args, **kwargs):
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **kwargs)


def test_import_is_light():
    code = (
        "import sys, threading, quorate\n"
        "heavy = ('numpy', 'pandas', 'polars', 'pyarrow', 'matplotlib', 'tqdm', 'asyncio', 'concurrent.futures', 'json', 'html')\n"
        "print([name for name in heavy if name in sys.modules], threading.active_count())\n"
        "try:\n"
        "    import os; print(len(os.listdir('/proc/self/task')))\n"
        "except FileNotFoundError: print(1)\n"
    )
    done = run(code)
    assert done.stdout.split("\n")[:2] == ["[] 1", "1"], done.stdout + done.stderr



posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and fork")


@posix
def test_ctrl_c_ends_an_embedding():
    code = """
import sys, threading, quorate
e = quorate.Embedder('builtin')
e.embed(['numpy is imported now'])
texts = ['metformin in renal failure ' * 200] * 2000
try:
    print('ready', flush=True)
    while True: e.embed(texts)
except KeyboardInterrupt: print('stopped', flush=True)
print(e.embed(['still works']).shape[0])
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline().strip() == "ready"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert out.split() == ["stopped", "1"]
    assert child.returncode == 0


@posix
def test_ctrl_c_ends_an_ingest_and_leaves_the_knowledge_base_whole(tmp_path):
    code = """
import sys, time, quorate
documents = [{'id': str(n), 'text': 'metformin in renal failure ' * 100} for n in range(20000)]
with quorate.open(sys.argv[1]) as kb:
    kb.add([{'id': 'first', 'text': 'stored before'}])
    said = []
    def told(done, total):
        if not said:
            said.append(print('begun', flush=True))
    try:
        kb.add(documents, progress=told)
        print('finished', flush=True)
    except KeyboardInterrupt:
        print('stopped', time.time(), flush=True)
    print(kb.count(), kb.add([{'id': 'second', 'text': 'stored after'}]).added, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline().strip() == "begun"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=120)
    assert out.split()[0] == "stopped" and out.split("\n")[1].split() == ["1", "1"], out
    assert child.returncode == 0
    with quorate.open(tmp_path) as kb:
        assert kb.ids() == ["first", "second"]


def test_another_thread_keeps_counting_during_an_ingest(tmp_path):
    with quorate.open(tmp_path / "kb") as kb:
        counted, seen = 0, []
        stop = threading.Event()

        def count():
            nonlocal counted
            while not stop.is_set():
                counted += 1

        thread = threading.Thread(target=count)
        thread.start()
        try:
            documents = [{"id": str(n), "text": "metformin in renal failure " * 40} for n in range(2000)]
            kb.add(documents, progress=lambda done, total: seen.append(counted))
        finally:
            stop.set()
            thread.join()
        # Between any two news of the ingest the other thread got on.
        assert len(seen) > 3 and all(a < b for a, b in zip(seen, seen[1:], strict=False))


def test_threads_share_a_knowledge_base(tmp_path):
    with quorate.open(tmp_path / "kb", durability="process") as kb:
        failed = []

        def work(n):
            try:
                for i in range(10):
                    kb.add([{"id": f"{n}-{i}", "text": f"thread {n} document {i}"}])
                    assert kb.search(f"thread {n}", where=f"id = '{n}-{i}'")[0].doc_id == f"{n}-{i}"
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed and kb.count() == 40


IN_THE_CHILD = """
import asyncio, os, sys, quorate, quorate.aio
place, way = sys.argv[1:]
writer = quorate.open(place)
writer.add([{'id': str(n), 'text': f'metformin document {n}'} for n in range(300)])
embedder, registry = quorate.Embedder('builtin'), quorate.AgentRegistry()
asyncio.run(writer.aio.search('metformin'))          # threads of every kind exist before the fork
embedder.embed(['metformin'] * 200)
writer.search_batch(['metformin', 'document'])
writer.close()
kb = quorate.open(place, read_only=True)

def child():
    assert kb.search('metformin')[0].doc_id
    assert len(kb.search_batch(['metformin'] * 3)) == 3
    assert asyncio.run(kb.aio.count()) == 300
    assert embedder.embed(['text'] * 300).shape[0] == 300
    assert registry.match('Is a 510(k) needed?')
    with quorate.open(place) as own:
        own.upsert([{'id': f'child-{os.getpid()}', 'text': 'written after fork'}])
        assert own.search('written after fork', k=1)[0].doc_id == f'child-{os.getpid()}'
        own.delete(ids=[f'child-{os.getpid()}'])

if way == 'fork':
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                child()
            except BaseException:
                import traceback; traceback.print_exc(); os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
else:
    import multiprocessing
    process = multiprocessing.get_context('fork').Process(target=child)
    process.start(); process.join()
    assert process.exitcode == 0
assert kb.search('metformin')[0].doc_id and registry.match('Is a 510(k) needed?')
print('fine')
"""


@posix
@pytest.mark.parametrize("way", ["fork", "multiprocessing"])
def test_after_fork(tmp_path, way):
    done = run(IN_THE_CHILD, tmp_path / "kb", way)
    assert (done.stdout.strip(), done.returncode) == ("fine", 0), done.stderr


@pytest.mark.parametrize(
    "start",
    [
        "threading.Thread(target=kb.add, args=(documents,), kwargs={'progress': told}, daemon=True).start(); begun.wait()",
        "threading.Thread(target=asyncio.run, args=(ingest(),), daemon=True).start(); begun.wait()",
    ],
)
def test_a_clean_exit_with_work_in_flight(tmp_path, start):
    code = f"""
import asyncio, sys, threading, quorate, quorate.aio
begun = threading.Event()
told = lambda done, total: begun.set()
documents = [{{'id': str(n), 'text': 'metformin in renal failure ' * 100}} for n in range(5000)]
kb = quorate.open(sys.argv[1])
async def ingest():
    await kb.aio.add(documents, progress=told)
{start}
print('leaving')
"""
    done = run(code, tmp_path / "kb")
    assert (done.stdout.strip(), done.returncode) == ("leaving", 0), done.stderr
    with quorate.open(tmp_path / "kb") as kb:
        assert kb.count() in (0, 5000)


SERVED = """
import json, os, quorate

PLACE = os.environ['QUORATE_TEST_PLACE']
with quorate.open(PLACE) as writer:
    writer.add([{'id': str(n), 'text': f'metformin document {n}'} for n in range(300)])
    writer.search_batch(['metformin', 'document'])
kb = quorate.open(PLACE, read_only=True)
registry = quorate.AgentRegistry()
loaded = os.getpid()

def answer(own):
    assert os.getpid() != loaded
    return json.dumps({'pid': os.getpid(), 'found': own, 'experts': len(registry.match('Is a 510(k) needed?'))}).encode()

def sync(environ, start):
    assert len(kb.search_batch(['metformin', 'document 7'])) == 2
    body = answer(kb.search('document 7', mode='lexical', k=1)[0].doc_id)
    start('200 OK', [('content-length', str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    if scope['type'] == 'http':
        body = answer((await kb.aio.search('document 7', mode='lexical', k=1))[0].doc_id)
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', str(len(body)).encode())]})
        await send({'type': 'http.response.body', 'body': body})
"""


@posix
@pytest.mark.parametrize("worker", ["sync", "asgi"])
def test_workers_of_gunicorn_with_preload(tmp_path, worker):
    pytest.importorskip("gunicorn")
    (tmp_path / "served.py").write_text(SERVED)
    with socket.create_server(("127.0.0.1", 0)) as door:
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--worker-class", worker]
        command += ["--bind", f"fd://{door.fileno()}", "--chdir", str(tmp_path), "--no-control-socket", f"served:{worker}"]
        told = {**os.environ, "QUORATE_TEST_PLACE": str(tmp_path / "kb")}
        with open(tmp_path / "log", "wb") as log:
            child = subprocess.Popen(command, pass_fds=[door.fileno()], env=told, stdout=log, stderr=log)
        try:
            answers = []
            while len({answer["pid"] for answer in answers}) < 2 and len(answers) < 500:
                # Waits in the queue of the door until a worker takes it.
                with urllib.request.urlopen(f"http://127.0.0.1:{door.getsockname()[1]}/", timeout=60) as response:
                    answers.append(json.load(response))
        finally:
            child.terminate()
            child.wait(30)
    said = (tmp_path / "log").read_text()
    assert len({answer["pid"] for answer in answers}) == 2, said
    assert all(answer["found"] == "7" and answer["experts"] > 0 for answer in answers), said
    assert "SIGSEGV" not in said and "SIGABRT" not in said and child.returncode == 0, said


BUSY = """
import threading, time, quorate
def busy(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until: sum(range(1000))
def on_a_thread(work):
    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    print('end', flush=True)
"""


@pytest.mark.parametrize(
    "code",
    [
        "s = quorate.ScriptedModel(lambda r: busy(1) or 'x').stream('q'); on_a_thread(lambda: list(s))",
        "m = quorate.ScriptedModel(lambda r: busy(1) or 'x'); on_a_thread(lambda: m.complete('q'))",
        # Longer than the end waits.
        "s = quorate.ScriptedModel(lambda r: busy(1000) or 'x').stream('q'); on_a_thread(lambda: list(s))",
        "s = quorate.ScriptedModel(lambda r: time.sleep(1000)).stream('q'); on_a_thread(lambda: list(s))",
        "e = quorate.CallbackEmbedder(lambda texts: busy(1) or [[1.0]] * len(texts), dim=1, id='e')\n"
        "on_a_thread(lambda: e.embed(['q']))",
        # Back from a call, and on the way to the next.
        "e = quorate.Embedder('builtin')\ndef ever():\n    while True: e.embed_query('q')\non_a_thread(ever)",
        "e = quorate.Embedder('builtin')\ndef ever():\n    while True: e.embed(['q'])\non_a_thread(ever)",
        "kb = quorate.open(None, embedder=quorate.CallbackEmbedder(lambda texts: [[1.0]] * len(texts), dim=1, id='e'))\n"
        "kb.add([{'id': 'a', 'text': 'metformin'}])\ndef ever():\n    while True: kb.search('metformin')\non_a_thread(ever)",
        "import dataclasses\n@dataclasses.dataclass\nclass A:\n    a: int\n    def __post_init__(self): busy(1)\n"
        "s = quorate.ScriptedModel(['{\"a\": 1}']).stream('q', output=A); on_a_thread(lambda: list(s))",
    ],
)
def test_the_interpreter_ends_while_a_function_of_the_host_is_called(code):
    done = run(BUSY + code)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@posix
def test_a_forked_child_waits_for_no_function_of_its_parent():
    code = """
import os, sys
s = quorate.ScriptedModel(lambda r: busy(3) or 'x').stream('q')
on_a_thread(lambda: list(s))
since = time.monotonic()
if os.fork() == 0: sys.exit(0)
os.wait()
print(time.monotonic() - since < 2)
"""
    done = run(BUSY + code)
    assert (done.returncode, done.stdout) == (0, "end\nTrue\n"), done.stderr
