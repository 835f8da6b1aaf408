"""Are workflows the same after a kill, a fork, an exit, and with several processes on one folder?"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import quorate
from quorate import workflows as wf

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and fork")

FLOW = """
apiVersion: quorate/v1
kind: Workflow
id: chain
version: 1.0.0
steps:
  a: {integration: {tool: note, args: {n: a}}}
  b: {needs: [a], integration: {tool: note, args: {n: b}}}
  p:
    needs: [b]
    parallel:
      join: all
      steps:
        x: {integration: {tool: note, args: {n: x}}}
        y: {integration: {tool: note, args: {n: y}}}
  c: {needs: [p], wait: {for: 20ms}}
  d: {needs: [c], integration: {tool: note, args: {n: d}}}
output: ['${steps.a.output}', '${steps.d.output}']
"""

WORKER = """
import sys, time, quorate
from quorate import workflows as wf

def note(args, ctx):
    with open(sys.argv[2], "a") as file:
        file.write(f"{ctx.run_id} {ctx.idempotency_key} begins\\n")
    time.sleep(0.01)
    with open(sys.argv[2], "a") as file:
        file.write(f"{ctx.run_id} {ctx.idempotency_key} ends\\n")
    return args["n"]

engine = wf.Engine(quorate.StateStore(sys.argv[1]), tools=[wf.Tool("note", note)])
print("works", flush=True)
time.sleep(60)
"""


def program(code, *args):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(code, *args, timeout=120):
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, timeout=timeout)


@posix
def test_no_finished_step_runs_again_whenever_the_process_is_killed(tmp_path):
    store, said = tmp_path / "state", tmp_path / "said"
    draw = random.Random(7)
    with wf.Engine(quorate.StateStore(store), concurrency=0) as eng:
        eng.add(FLOW)
        runs = [eng.start("chain") for _ in range(12)]
        for _ in range(12):
            worker = program(WORKER, store, said)
            assert worker.stdout.readline().strip() == "works"
            time.sleep(draw.uniform(0.0, 0.12))
            worker.kill()
            worker.communicate()
            if all(run.status == "completed" for run in runs):
                break
        worker = program(WORKER, store, said)
        try:
            for one in runs:
                assert one.wait(60) == "completed", one.ending()
                assert one.result() == ["a", "d"]
        finally:
            worker.kill()
            worker.communicate()
        # What is in the journal as done was never begun again after that.
        for one in runs:
            done, began = set(), set()
            for entry in one.journal():
                if entry.type == "step_completed":
                    assert (entry.data.step, entry.data.visit) not in done, "completed twice"
                    done.add((entry.data.step, entry.data.visit))
                if entry.type in ("step_started", "step_resumed"):
                    assert (entry.data.step, entry.data.visit) not in done, "begun after it was done"
                    began.add(entry.data.step)
            assert began >= {"a", "b", "x", "y", "d"}


@posix
def test_a_call_that_must_not_be_repeated_blocks_the_run_after_a_kill(tmp_path):
    code = """
import sys, time, quorate
from quorate import workflows as wf
def pay(args):
    print("paying", flush=True)
    time.sleep(60)
engine = wf.Engine(quorate.StateStore(sys.argv[1]), tools=[wf.Tool("pay", pay, idempotent=False)])
engine.add(sys.argv[2])
print(engine.start("t", id="r").id, flush=True)
time.sleep(60)
"""
    form = "apiVersion: quorate/v1\nkind: Workflow\nid: t\nversion: 1.0.0\nsteps: {a: {integration: {tool: pay}}}\n"
    worker = program(code, tmp_path, form)
    assert {worker.stdout.readline().strip(), worker.stdout.readline().strip()} == {"r", "paying"}
    worker.kill()
    worker.communicate()
    paid = []
    with wf.Engine(quorate.StateStore(tmp_path), tools=[wf.Tool("pay", lambda args: paid.append(1), idempotent=False)]) as eng:
        one = eng.run("r")
        assert one.wait(60, until="blocked") == "blocked"
        assert one.steps()[0].code == "outcome_unknown" and paid == []
        one.retry("a")
        assert one.wait(60) == "completed" and paid == [1]


def test_two_engines_on_one_folder_share_the_work(tmp_path):
    seen = {"one": 0, "two": 0}

    def tool(name):
        def note(args):
            seen[name] += 1
            time.sleep(0.02)
            return name

        return wf.Tool("note", note)

    with wf.Engine(tmp_path, tools=[tool("one")], concurrency=1) as one, wf.Engine(tmp_path, tools=[tool("two")], concurrency=1) as two:
        one.add(FLOW)
        runs = [one.start("chain") for _ in range(10)]
        assert [run.wait(120) for run in runs] == ["completed"] * 10
        assert [two.run(run.id).result()[0] in ("one", "two") for run in runs] == [True] * 10
    assert seen["one"] + seen["two"] == 50 and min(seen.values()) > 0, seen


def test_another_process_decides_and_signals(tmp_path):
    form = "apiVersion: quorate/v1\nkind: Workflow\nid: t\nversion: 1.0.0\nsteps:\n  a: {human_review: {role: lead, title: x, options: [ok]}}\n  b: {needs: [a], wait: {signal: go}}\noutput: '${steps.b.output}'\n"
    code = """
import sys, quorate
from quorate import workflows as wf
with wf.Engine(sys.argv[1], concurrency=0) as engine:
    (review,) = engine.reviews("lead")
    review.decide("ok", by="ann")
    engine.run(review.run_id).signal("go", {"n": 5})
"""
    with wf.Engine(tmp_path) as eng:
        eng.add(form)
        one = eng.start("t")
        assert one.wait(60, until="waiting") == "waiting"
        done = run(code, tmp_path)
        assert done.returncode == 0, done.stderr
        assert one.wait(60) == "completed" and one.result() == {"n": 5}


ENDS = {
    "no step under way": "",
    "a tool that sleeps": "tool = lambda args: (begun.set(), time.sleep(30))",
    "a tool that spins": "def tool(args):\n    begun.set()\n    while True: pass",
    "a coroutine": "async def tool(args):\n    begun.set()\n    await asyncio.sleep(30)",
    "a clock of the host": "clock = time.time\ntool = lambda args: (begun.set(), time.sleep(30))",
    "a thread that waits": "tool = lambda args: (begun.set(), time.sleep(30))\nafter = 'threading.Thread(target=run.wait, daemon=True).start()'",
    "a stream that is read": "tool = lambda args: (begun.set(), time.sleep(30))\nafter = 'threading.Thread(target=lambda: list(run.stream()), daemon=True).start()'",
    "sys.exit": "tool = lambda args: (begun.set(), time.sleep(30))\nafter = 'sys.exit(0)'",
}


@pytest.mark.parametrize("name", ENDS)
def test_a_process_that_ends_with_a_run_under_way_is_clean(tmp_path, name):
    code = f"""
import asyncio, sys, threading, time, quorate
from quorate import workflows as wf
begun = threading.Event()
clock = after = None
def tool(args): begun.set(); return 1
exec({ENDS[name]!r})
engine = wf.Engine(quorate.StateStore(sys.argv[1]), tools=[wf.Tool("t", tool)], clock=clock)
engine.add('''apiVersion: quorate/v1
kind: Workflow
id: t
version: 1.0.0
steps: {{a: {{integration: {{tool: t}}}}, b: {{needs: [a], wait: {{signal: go}}}}}}
''')
run = engine.start("t", id="r")
assert begun.wait(20)
print("leaving", flush=True)
if after: exec(after)
"""
    begun = time.monotonic()
    done = run(code, tmp_path, timeout=60)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("leaving", "", 0), done
    assert time.monotonic() - begun < 25
    # It has not failed, and goes on in the next process.
    with wf.Engine(tmp_path, tools=[wf.Tool("t", lambda args: 2)]) as eng:
        one = eng.run("r")
        one.signal("go")
        assert one.wait(60) == "completed", one.ending()
        assert not [entry for entry in one.journal() if entry.type == "step_failed"]


def test_a_run_whose_engine_was_closed_in_the_midst_goes_on_elsewhere(tmp_path):
    form = "apiVersion: quorate/v1\nkind: Workflow\nid: t\nversion: 1.0.0\nsteps: {a: {integration: {tool: t}}}\noutput: '${steps.a.output}'\n"
    begun = threading.Event()

    async def hangs(args):
        begun.set()
        await asyncio.sleep(3600)

    first = wf.Engine(tmp_path, tools=[wf.Tool("t", hangs)])
    first.add(form)
    one = first.start("t", id="r")
    assert begun.wait(30)
    assert first.close(0.1) is False
    with wf.Engine(tmp_path, tools=[wf.Tool("t", lambda args: 2)]) as eng:
        assert eng.run("r").wait(60) == "completed", one.ending()
        assert one.result() == 2
        assert not [entry for entry in one.journal() if entry.type == "step_failed"]


@posix
def test_a_forked_child_is_told_so_and_can_make_its_own(tmp_path):
    code = """
import os, sys, quorate
from quorate import workflows as wf
form = '''apiVersion: quorate/v1
kind: Workflow
id: t
version: 1.0.0
steps: {a: {integration: {tool: echo}}}
'''
def make():
    engine = wf.Engine(quorate.StateStore(sys.argv[1]), tools=[wf.Tool("echo", lambda args: os.getpid())])
    engine.add(form)
    return engine
engine = make()
run = engine.start("t")
assert run.wait(30) == "completed"
pid = os.fork()
if pid == 0:
    code = 1
    try:
        for call in (lambda: engine.start("t"), run.wait, lambda: run.status, engine.work):
            try:
                call()
                print("it went")
            except quorate.QuorateError as error:
                assert error.code == "unsupported", error
        engine.close()
        with make() as own:
            assert own.start("t").wait(30) == "completed"
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(pid, 0)[1] == 0
assert engine.start("t").wait(30) == "completed"
print("fine")
"""
    done = run(code, tmp_path)
    assert (done.stdout.strip(), done.returncode) == ("fine", 0), done.stdout + done.stderr


@posix
def test_ctrl_c_ends_the_waiting():
    code = """
import quorate
from quorate import workflows as wf
engine = wf.Engine()
engine.add('''apiVersion: quorate/v1
kind: Workflow
id: t
version: 1.0.0
steps: {a: {wait: {signal: go}}}
''')
run = engine.start("t")
for wait in (run.wait, lambda: list(run.stream())):
    print("ready", flush=True)
    try:
        wait()
    except KeyboardInterrupt:
        print("stopped", flush=True)
run.signal("go")
print(run.wait(30))
"""
    child = program(code)
    for _ in range(2):
        assert child.stdout.readline().strip() == "ready"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline().strip() == "stopped"
    out, err = child.communicate(timeout=60)
    assert (out.strip(), child.returncode) == ("completed", 0), err


def test_importing_the_package_stays_light():
    code = "import sys, quorate\nprint('quorate.workflows._engine_aio' in sys.modules, 'asyncio' in sys.modules)\nfrom quorate import workflows\nprint('asyncio' in sys.modules)"
    done = run(code)
    assert done.stdout.split() == ["False", "False", "False"], done.stderr


def test_a_damaged_folder_is_told(tmp_path):
    (tmp_path / "state.db").write_bytes(b"no database" * 1000)
    files = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(quorate.QuorateError) as raised:
        wf.Engine(tmp_path)
    assert raised.value.code in ("corrupt", "format_version")
    assert json.dumps(sorted(files & {path.name for path in tmp_path.iterdir()})) == json.dumps(sorted(files))
