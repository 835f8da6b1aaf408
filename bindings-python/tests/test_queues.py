"""Is work that was put worked off, by whoever is there, at least once, and by nobody twice at a time?"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import quorate
from quorate import workflows as wf

NAME = contextvars.ContextVar("name", default="nobody")


def until(true, seconds=20.0):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def start(code, *arguments):
    """A process of Python, whose output is read."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_messages_are_put_taken_and_settled():
    with quorate.StateStore() as store:
        mail = store.queue("mail", concurrency=4, per_key={"tenant": 1}, rate="100/m", aging="1m")
        assert mail.put({"tenant": "a", "n": 2**60}) == wf.Put(1, True)
        mail.put({"tenant": "a"})
        [taken] = mail.take(10)
        assert (taken.id, taken.data, taken.attempts, taken.priority) == (1, {"tenant": "a", "n": 2**60}, 1, 0)
        assert mail.take(10) == [], "one at a time for each tenant"
        assert mail.renew(taken) >= taken.lease_until
        mail.ack(taken)
        with pytest.raises(quorate.Conflict) as error:
            mail.ack(taken)
        assert error.value.code == "stale_write"
        [second] = mail.take()
        assert not mail.nack(second, 0, reason="busy")
        assert mail.take()[0].attempts == 2
        assert mail.stats() == {"ready": 0, "delayed": 0, "held": 1, "dead": 0, "done": 1}
        assert mail.options().per_key == {"tenant": 1} and mail.options().aging == 60.0
        assert store.queues() == ["mail"] and mail.delete() and store.queues() == []
        with pytest.raises(quorate.NotFound):
            mail.stats()


def test_priorities_delays_names_and_keys():
    store = quorate.StateStore()
    queue = store.queue("q", per_key=1)
    queue.put("low")
    queue.put("high", priority=9, key="k")
    queue.put("behind", priority=8, key="k")
    late = queue.put("late", priority=99, delay=datetime.timedelta(milliseconds=80))
    assert queue.put("first", dedup="once").new
    again = queue.put("second", dedup="once")
    assert not again.new and again.id == late.id + 1
    assert [one.data for one in queue.take(10)] == ["high", "low", "first"]
    until(lambda: queue.stats().ready == 2)
    assert [one.data for one in queue.take(10)] == ["late"], "the key is held"


def test_options_of_the_last_to_open_hold_and_none_takes_what_is_there(tmp_path):
    with quorate.StateStore(tmp_path) as store:
        store.queue("q", concurrency=1)
        again = store.queue("q")
        again.put(1)
        again.put(2)
        assert len(again.take(5)) == 1
        store.queue("q", retry=wf.Retry(max_attempts=2, initial=0.25))
        assert again.options().retry == {"max_attempts": 2, "first": 0.25, "factor": 2.0, "longest": 60.0}
        assert again.options().concurrency is None


def test_a_tenant_has_queues_of_its_own(tmp_path):
    with quorate.StateStore(tmp_path, tenant="a") as ours, quorate.StateStore(tmp_path, tenant="b") as theirs:
        ours.queue("q").put("secret")
        assert theirs.queues() == [] and theirs.queue("q").take() == []


def test_what_was_tried_too_often_is_dead_until_it_is_replayed_or_discarded():
    queue = quorate.StateStore().queue("q", retry=1)
    for n in range(3):
        queue.put(n)
    for taken in queue.take(3):
        assert queue.nack(taken, reason=f"no {taken.data}")
    dead = queue.dead.list()
    assert [(one.id, one.data, one.reason) for one in dead] == [(1, 0, "no 0"), (2, 1, "no 1"), (3, 2, "no 2")]
    with pytest.raises(quorate.NotFound):
        queue.dead.replay([1, 77])
    assert queue.stats().dead == 3, "all or none"
    assert queue.dead.replay([1]) == 1 and queue.dead.discard(dead[1:]) == 2
    assert queue.take()[0].attempts == 1
    queue.put("poison")
    queue.reject(queue.take()[0], "unreadable")
    assert queue.dead.list()[0].reason == "unreadable"


def test_handlers_work_messages_off_and_what_they_raise_has_them_given_back():
    store = quorate.StateStore()
    queue = store.queue("q", retry={"max_attempts": 3, "first": 0, "longest": "1s"})
    tries = []

    def handler(message):
        tries.append((message.data, message.attempts))
        if message.data == "twice" and message.attempts == 1:
            raise ValueError("not yet")
        if message.data == "never":
            raise quorate.Unavailable("rate_limited", "slow down")
        if message.data == "worst":
            raise SystemExit(3)

    for one in ("good", "twice", "never", "worst"):
        queue.put(one)
    with queue.work(handler, threads=2, poll=0.01) as workers:
        until(lambda: queue.stats().done == 2 and queue.stats().dead == 2)
    assert sorted(tries) == [("good", 1), *(("never", n) for n in (1, 2, 3)), ("twice", 1), ("twice", 2), *(("worst", n) for n in (1, 2, 3))]
    assert sorted(one.reason for one in queue.dead.list()) == [
        "callback: the handler was ended by SystemExit: 3",
        "rate_limited: slow down",
    ]
    assert workers.working == 0 and workers.error is None and workers.wait(0)


def test_the_retry_of_work_holds_instead_of_the_queues():
    queue = quorate.StateStore().queue("q")
    queue.put("x")
    with queue.work(lambda message: 1 / 0, retry=1, poll=0.01):
        until(lambda: queue.stats().dead == 1)
    assert queue.dead.list()[0].reason == "callback: the handler raised ZeroDivisionError: division by zero"


def test_work_goes_on_where_nobody_keeps_it_and_ends_with_the_store():
    store = quorate.StateStore()
    queue, seen, go, begun = store.queue("q"), [], threading.Event(), threading.Event()

    def handler(message):
        begun.set()
        go.wait(20)
        seen.append(message.data)

    queue.work(handler, poll=0.01)
    queue.put(1)
    assert begun.wait(20)
    queue.put(2)
    store.close()
    go.set()
    until(lambda: queue.stats().done == 1)
    time.sleep(0.1)
    assert seen == [1] and queue.stats().ready == 1, "what was under way is settled, and nothing more is taken"
    with pytest.raises(quorate.QuorateError) as error:
        store.queue("q")
    assert error.value.code == "closed"


def test_stopped_handlers_are_told_and_a_drain_waits():
    queue, told, begun = quorate.StateStore().queue("q"), [], threading.Event()

    def handler(message):
        begun.set()
        until(lambda: message.cancelled)
        told.append(message.id)

    workers = queue.work(handler, poll=0.01)
    queue.put(1)
    assert begun.wait(20)
    assert not workers.drain(0.05) and told == []
    assert workers.stop() and told == [1] and queue.stats().done == 1
    assert workers.wait()


def test_a_lost_lease_is_told_and_somebody_else_has_the_message():
    store = quorate.StateStore()
    queue, told, begun = store.queue("q", lease=0.4), [], threading.Event()

    def handler(message):
        begun.set()
        until(lambda: message.cancelled)
        told.append(message.id)

    workers = queue.work(handler, poll=0.01)
    id = queue.put(1).id
    assert begun.wait(20)
    # Somebody takes the message away from it.
    assert queue.delete()
    until(lambda: told == [id])
    assert workers.drain(20)


def test_handlers_may_be_coroutine_functions_and_keep_to_the_context_of_their_worker():
    queue, seen = quorate.StateStore().queue("q"), []

    async def handler(message):
        await asyncio.sleep(0)
        seen.append((NAME.get(), message.data))
        NAME.set("somebody else")

    token = NAME.set("the worker")
    try:
        with queue.work(handler, poll=0.01):
            for n in range(3):
                queue.put(n)
            until(lambda: queue.stats().done == 3)
    finally:
        NAME.reset(token)
    assert seen == [("the worker", n) for n in range(3)]


def test_a_coroutine_that_hangs_is_cancelled_with_its_workers():
    queue, begun, cancelled = quorate.StateStore().queue("q", retry=1), threading.Event(), threading.Event()

    async def handler(message):
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    workers = queue.work(handler, poll=0.01)
    queue.put(1)
    assert begun.wait(20) and workers.stop(20) and cancelled.is_set()
    assert queue.stats().dead == 1 and "cancelled" in queue.dead.list()[0].reason


def test_the_same_calls_are_awaited_and_coroutines_run_on_the_loop_that_runs():
    async def main():
        store = quorate.StateStore()
        queue = await store.aio.queue("q", retry=1)
        done, loops = asyncio.Event(), []

        async def handler(message):
            loops.append(asyncio.get_running_loop())
            if message.data == "bad":
                raise ValueError("bad")
            done.set()

        workers = await queue.aio.work(handler, poll=0.01)
        await queue.aio.put("bad")
        await queue.aio.put("good")
        await asyncio.wait_for(done.wait(), 20)
        assert await workers.aio.drain() and loops == [asyncio.get_running_loop()] * 2
        assert (await queue.dead.aio.list())[0].data == "bad"
        await queue.dead.aio.discard([1])
        await queue.aio.put("taken")
        [taken] = await queue.aio.take()
        assert await queue.aio.nack(taken, 60) and (await queue.aio.stats()).dead == 1
        with pytest.raises(asyncio.TimeoutError):
            waiting = await queue.aio.work(handler)
            await asyncio.wait_for(waiting.aio.wait(), 0.1)
        assert await waiting.aio.stop()

    asyncio.run(main())


def test_where_the_loop_has_ended_others_get_the_messages():
    queue = quorate.StateStore().queue("q", retry={"max_attempts": 2, "first": 0.3})
    seen = []

    async def handler(message):
        seen.append(message.data)

    async def main():
        return await queue.aio.work(handler, poll=0.01)

    workers = asyncio.run(main())
    queue.put("x")
    until(lambda: queue.stats().delayed == 1)
    assert workers.drain(20)
    until(lambda: queue.stats().ready == 1)
    [taken] = queue.take()
    assert taken.attempts == 2 and seen == []


WORKER = """
import os, sys, time, quorate
queue = quorate.StateStore(sys.argv[1]).queue("q")
def handler(message):
    print("has", message.data, message.attempts, flush=True)
    if sys.argv[2] == "hang":
        time.sleep(3600)
queue.work(handler, poll=0.01).wait()
"""


def test_when_a_worker_is_killed_another_takes_over_at_once(tmp_path):
    with quorate.StateStore(tmp_path) as store:
        queue = store.queue("q", lease=3600)
        queue.put("x")
        first = start(WORKER, tmp_path, "hang")
        assert first.stdout.readline() == "has x 1\n"
        second = start(WORKER, tmp_path, "work")
        try:
            time.sleep(0.3)
            assert queue.stats().held == 1
            first.send_signal(signal.SIGKILL)
            first.wait(20)
            assert second.stdout.readline() == "has x 2\n"
            until(lambda: queue.stats().done == 1)
        finally:
            second.kill()
            second.wait(20)
            first.stdout.close()
            second.stdout.close()


def test_a_message_that_kills_its_workers_is_dead_in_the_end(tmp_path):
    code = """
import os, signal, sys, quorate
quorate.StateStore(sys.argv[1]).queue("q").work(lambda message: os.kill(os.getpid(), signal.SIGKILL), poll=0.01).wait()
"""
    with quorate.StateStore(tmp_path) as store:
        queue = store.queue("q", retry={"max_attempts": 2, "first": 0})
        queue.put("poison")
        for _ in range(2):
            done = start(code, tmp_path)
            assert done.wait(60) == -signal.SIGKILL
            done.stdout.close()
        queue.take()
        assert [one.data for one in queue.dead.list()] == ["poison"]


def test_two_processes_share_a_queue_and_none_of_it_is_done_twice(tmp_path):
    code = """
import sys, quorate
queue = quorate.StateStore(sys.argv[1]).queue("q")
with queue.work(lambda message: print(f'{message.data}\\n', end='', flush=True), threads=2, poll=0.005) as workers:
    while queue.stats().done < 60:
        workers.wait(0.01)
"""
    with quorate.StateStore(tmp_path) as store:
        queue = store.queue("q", per_key={"tenant": 1})
        for n in range(60):
            queue.put(n, key={"tenant": f"t{n % 3}"})
        processes = [start(code, tmp_path) for _ in range(2)]
        outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(int(one) for output in outputs for one in output) == list(range(60))


def test_ctrl_c_ends_the_waiting_of_a_worker(tmp_path):
    worker = start(WORKER, tmp_path, "work")
    with quorate.StateStore(tmp_path) as store:
        store.queue("q").put("x")
        assert worker.stdout.readline() == "has x 1\n"
    worker.send_signal(signal.SIGINT)
    output, _ = worker.communicate(timeout=30)
    assert worker.returncode in (1, -signal.SIGINT) and "KeyboardInterrupt" in output


def test_the_end_of_the_interpreter_leaves_what_is_under_way_to_others(tmp_path):
    code = """
import sys, threading, time, quorate
queue = quorate.StateStore(sys.argv[1]).queue("q")
begun = threading.Event()
def handler(message):
    begun.set()
    time.sleep(3600)
queue.work(handler, poll=0.01)
queue.put("x")
begun.wait(20)
"""
    ended = start(code, tmp_path)
    output, _ = ended.communicate(timeout=30)
    assert ended.returncode == 0, output
    with quorate.StateStore(tmp_path) as store:
        [taken] = store.queue("q").take()
        assert (taken.data, taken.attempts) == ("x", 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_child_of_a_fork_has_no_workers_and_ends():
    code = """
import os, quorate, time
store = quorate.StateStore()
queue = store.queue("q")
workers = queue.work(lambda message: None, poll=0.01)
child = os.fork()
if child == 0:
    assert workers.drain() and workers.working == 0 and workers.error is None
    own = quorate.StateStore().queue("own")
    own.put(1)
    with own.work(lambda message: None, poll=0.01):
        while own.stats().done < 1: time.sleep(0.01)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
queue.put(1)
while queue.stats().done < 1: time.sleep(0.01)
print("both")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "both\n", done.stderr


CIRCLE: list = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda q: q.put(CIRCLE), "invalid_argument"),
        (lambda q: q.put({"a": float("nan")}), "not_finite"),
        (lambda q: q.put("\ud800"), "invalid_text"),
        (lambda q: q.put({1: 2}), "invalid_argument"),
        (lambda q: q.put(object()), "invalid_argument"),
        (lambda q: q.put(10**40), "invalid_argument"),
        (lambda q: q.put(1, priority=10**30), "invalid_argument"),
        (lambda q: q.put(1, priority=True), "invalid_argument"),
        (lambda q: q.put(1, delay=-1), "invalid_argument"),
        (lambda q: q.put(1, delay=float("inf")), "not_finite"),
        (lambda q: q.put(1, delay="soon"), "invalid_argument"),
        (lambda q: q.put(1, dedup=7), "invalid_argument"),
        (lambda q: q.put(1, key={"a": 1}), "invalid_argument"),
        (lambda q: q.take(-1), "invalid_argument"),
        (lambda q: q.take(True), "invalid_argument"),
        (lambda q: q.ack("1.1.1"), "invalid_argument"),
        (lambda q: q.nack(None), "invalid_argument"),
        (lambda q: q.work(None), "invalid_argument"),
        (lambda q: q.work(print, threads=0), "invalid_argument"),
        (lambda q: q.work(print, retry="often"), "invalid_argument"),
        (lambda q: q.work(print, retry=wf.Retry(on=ValueError)), "invalid_argument"),
        (lambda q: q.dead.replay(1), "invalid_argument"),
        (lambda q: q.dead.discard(["1"]), "invalid_argument"),
        (lambda q: q.dead.replay([2**70]), "invalid_argument"),
        (lambda q: q._store.queue(""), "invalid_argument"),
        (lambda q: q._store.queue("q", concurrency=0), "invalid_argument"),
        (lambda q: q._store.queue("q", rate="0/m"), "invalid_argument"),
        (lambda q: q._store.queue("q", per_key={"tenant": 0}), "invalid_argument"),
        (lambda q: q._store.queue("x" * 10_000), "too_large"),
    ],
)
def test_what_is_no_message_or_option_is_refused_by_code(call, code):
    queue = quorate.StateStore().queue("q")
    with pytest.raises(quorate.QuorateError) as error:
        call(queue)
    assert error.value.code == code
    assert len(str(error.value)) < 1000 and queue.stats().ready == 0


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_workers_whose_loop_has_ended_let_go_of_what_they_have(threads):
    with quorate.StateStore() as store:
        queue = store.queue("q", lease=0.3)
        for number in range(40):
            queue.put(number)

        async def long(message):
            await asyncio.sleep(30)

        async def main():
            workers = await queue.aio.work(long, threads=threads)
            await asyncio.sleep(0.1)
            return workers

        workers = asyncio.run(main())
        assert workers.drain(20) and workers.working == 0
        # Others have it now.
        assert queue.stats().held == 0
        seen = []
        with queue.work(lambda message: seen.append(message.data), threads=2):
            until(lambda: len(set(seen)) == 40)


def test_workers_that_end_by_themselves_are_waited_for():
    store = quorate.StateStore()
    begun, goes = threading.Event(), threading.Event()

    def slow(message):
        begun.set()
        goes.wait(20)

    queue = store.queue("q")
    queue.put(1)
    busy, idle = queue.work(slow), store.queue("other").work(lambda message: None)
    assert begun.wait(20) and not busy.wait(0)
    store.queue("other").delete()
    assert idle.wait(20)
    store.close()
    assert not busy.wait(0.05)
    goes.set()
    assert busy.wait(20)
