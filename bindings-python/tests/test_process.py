"""Does the package behave in a process: a cheap import, Ctrl-C, threads, fork, exit?"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
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


ENDING = """
import asyncio, atexit, sys, threading, time, quorate
def first(name, request):
    if any(m['role'] == 'tool' for m in request['messages']): return 'done'
    return {'tool_calls': [{'id': 'c', 'name': name, 'arguments': {}}]}
begun, place = threading.Event(), sys.argv[1]
def ask(tool, **options):
    model = quorate.ScriptedModel(lambda r: first(tool.name, r))
    runtime = quorate.Runtime(model=model, tools=[tool], store=place, approve=lambda pending: True, **options)
    threading.Thread(target=runtime.ask, args=('go',), daemon=True).start()
    assert begun.wait(20)
def say(*words): print(*words, flush=True)
# It is called last.
atexit.register(lambda: None)
since = time.monotonic()
"""


def ended(code, *args, timeout=60):
    """How a program ends: what it says, and how long its end takes from the line 'end' on."""
    command = [sys.executable, "-c", ENDING + code + "\nsay('end')\n", *map(str, args)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = ""
    while (line := child.stdout.readline()) and line != "end\n":
        said += line
    since = time.monotonic()
    out, errors = child.communicate(timeout=timeout)
    return child.returncode, said + out, errors, time.monotonic() - since


READS = """
@quorate.tool
def look():
    begun.set()
    time.sleep(1000)
ask(look)
"""
READS_BUSY = """
@quorate.tool
def look():
    begun.set()
    while True: sum(range(100))
ask(look)
"""
READS_LATER = """
@quorate.tool
async def look():
    begun.set()
    try: await asyncio.sleep(1000)
    finally: say('let go')
ask(look)
"""
# A call whose time was over, and which nobody waits for.
READS_LATE = """
@quorate.tool(timeout=0.1)
def look():
    begun.set()
    time.sleep(1000)
model = quorate.ScriptedModel(lambda r: first('look', r))
say(quorate.Runtime(model=model, tools=[look], store=place).ask('go').text)
"""


@pytest.mark.parametrize(("code", "said"), [(READS, ""), (READS_BUSY, ""), (READS_LATER, "let go\n"), (READS_LATE, "done\n")])
def test_the_end_waits_for_nothing_that_only_reads(tmp_path, code, said):
    # Others may use the cores: the best of a few.
    found = []
    for _ in range(4):
        found.append(ended(code, tmp_path))
        if found[-1][1] == said and found[-1][3] < 0.9:
            break
    assert all((status, errors) == (0, "") for status, _, errors, _ in found), found
    assert found[-1][1] == said and found[-1][3] < 0.9, found


def test_what_the_end_cuts_short_goes_on_elsewhere(tmp_path):
    assert ended(READS_LATER, tmp_path)[0] == 0
    code = """
@quorate.tool
def look(): return 'x'
model = quorate.ScriptedModel(lambda r: first('look', r))
runtime = quorate.Runtime(model=model, tools=[look], store=place)
[run] = runtime.runs('interrupted')
answer = runtime.resume(run.run_id)
say(answer.status, [step.error for step in answer.steps if step.kind == 'tool'])
"""
    assert ended(code, tmp_path)[1] == "done [None]\n"


WRITES = """
@quorate.tool(effect='write', timeout=TIME)
DEF send():
    begun.set()
    until = time.monotonic() + 1.5
    while time.monotonic() < until: WAIT
    say('sent')
    return 'sent'
ask(send)
"""


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_end_waits_for_what_writes(tmp_path, asynchronous):
    code = WRITES.replace("DEF", "async def" if asynchronous else "def").replace("TIME", "30")
    code = code.replace("WAIT", "await asyncio.sleep(0.01)" if asynchronous else "time.sleep(0.01)")
    status, out, errors, took = ended(code, tmp_path)
    assert (status, out) == (0, "sent\n") and "waits for 'send', which writes" in errors and took < 20, (out, errors)
    # It is in the journal: nobody sends it again.
    code = """
model = quorate.ScriptedModel(lambda r: first('send', r))
send = quorate.tool(name='send', effect='write', timeout=30)(lambda: say('again'))
runtime = quorate.Runtime(model=model, tools=[send], store=place)
for run in runtime.runs('interrupted'): runtime.resume(run.run_id)
say([(s.name, s.error) for s in runtime.run(runtime.runs()[0].run_id).answer().steps if s.kind == 'tool'])
"""
    assert ended(code, tmp_path)[1:3] == ("[('send', None)]\n", "")


@posix
def test_ctrl_c_leaves_what_writes_and_says_so(tmp_path):
    code = WRITES.replace("DEF", "def").replace("TIME", "30").replace("WAIT", "time.sleep(0.01)").replace("1.5", "1000")
    child = subprocess.Popen(
        [sys.executable, "-c", ENDING + code + "\nsay('end')\n", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "end\n"
    assert "waits for 'send'" in child.stderr.readline()
    child.send_signal(signal.SIGINT)
    since = time.monotonic()
    _, errors = child.communicate(timeout=60)
    assert "'send', which writes, was left" in errors and child.returncode == 0 and time.monotonic() - since < 10


def test_a_write_whose_time_is_over_is_left_and_named(tmp_path):
    code = WRITES.replace("DEF", "def").replace("TIME", "0.2").replace("WAIT", "time.sleep(0.01)").replace("1.5", "1000")
    status, _, errors, took = ended(code, tmp_path)
    assert status == 0 and "'send', which writes, was left" in errors and took < 10
