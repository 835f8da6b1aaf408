"""Are language models asked from asyncio as from threads, and does nobody wait for ever?"""

from __future__ import annotations

import asyncio
import threading

import pytest
from loopback import Answer, Server, event, refusal, reply, stream
from test_models import LONG, model

import quorate


async def test_asyncio_has_the_same_calls():
    def answer(n, body):
        return stream("5 ", "mg") if body.get("stream") else reply()

    with Server(answer) as server:
        asked = model(server, resilience=quorate.Resilience(max_concurrent=100))
        assert (await asked.aio.complete("q")).text == "5 mg"
        assert (await asked.aio.count_tokens("q")).tokens > 0
        events = [e async for e in asked.aio.stream("q")]
        assert [e.type for e in events] == ["text", "text", "end"]
        assert (await asked.aio.stream("q").result()).text == "5 mg"
        async with asked.aio.stream("q") as found:
            assert (await anext(found)).delta == "5 "
        assert [e async for e in found] == []

        async def one():
            return "".join([e.delta async for e in asked.aio.stream("q") if e.type == "text"])

        assert await asyncio.gather(*(one() for _ in range(64))) == ["5 mg"] * 64
        assert [r.text for r in await asyncio.gather(*(asked.aio.complete("q") for _ in range(40)))] == ["5 mg"] * 40


async def test_a_cancelled_task_closes_its_connection():
    beginning = Answer(event({"content": "one"}), kind="text/event-stream", hang=True)
    with Server(beginning) as server:
        begun = asyncio.Event()

        async def listen():
            async for _ in model(server).aio.stream("q"):
                begun.set()

        task = asyncio.create_task(listen())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.gone.wait, LONG)


async def test_a_stream_closed_by_another_task_ends_for_who_waits():
    go = threading.Event()
    events = quorate.ScriptedModel(lambda request: go.wait(LONG) and "one").aio.stream("q")

    async def read():
        return [e.type async for e in events]

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.sleep(0.05)
    await events.aclose()
    try:
        assert await asyncio.wait_for(asyncio.gather(*readers), LONG) == [[], []]
    finally:
        go.set()


def test_a_stream_is_read_on_in_another_event_loop():
    go = threading.Event()
    waiting = quorate.ScriptedModel(lambda request: go.wait(LONG) and "one two").aio.stream("q")

    async def begin():
        task = asyncio.ensure_future(waiting._more())
        await asyncio.sleep(0.05)
        task.cancel()

    async def rest(events):
        return [e.type async for e in events]

    asyncio.run(begin())
    threading.Timer(0.05, go.set).start()
    assert asyncio.run(asyncio.wait_for(rest(waiting), LONG)) == ["text", "text", "end"]
    begun = quorate.ScriptedModel(["one two"]).aio.stream("q")
    assert asyncio.run(anext(begun)).delta == "one "
    assert asyncio.run(rest(begun)) == ["text", "end"]


def test_listeners_are_forgotten_while_others_begin():
    # A collection may run while the listening thread is being started; what it finalises must not wait for that.
    from quorate import _listen

    events = quorate.ScriptedModel(["one"]).stream("q")._native

    async def forget():
        listener = _listen.woken(events)
        listener.__enter__()
        with _listen._lock:
            del listener

    before = len(_listen._waiting)
    done = threading.Thread(target=lambda: asyncio.run(forget()), daemon=True)
    done.start()
    done.join(LONG)
    assert not done.is_alive() and len(_listen._waiting) == before


async def test_a_failing_call_fails_in_asyncio_too():
    with Server(refusal(404)) as server:
        with pytest.raises(quorate.NotFound):
            await model(server).aio.complete("q")
        last = [e async for e in model(server).aio.stream("q")][-1]
        assert (last.type, last.error.code) == ("error", "model_not_found")
        with pytest.raises(quorate.NotFound):
            await model(server).aio.stream("q").result()


def test_a_cancelled_call_ends_the_coroutine_that_answers_it():
    ended = threading.Event()

    async def slow(request):
        try:
            await asyncio.sleep(LONG)
        finally:
            ended.set()

    async def ask():
        await asyncio.wait_for(quorate.ScriptedModel(slow).aio.complete("q"), 0.1)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(ask())
    assert ended.wait(LONG / 4)

    # A stream is answered on a thread that is no thread of asyncio's.
    ended.clear()
    events = quorate.ScriptedModel(slow).stream("q")
    threading.Timer(0.1, events.cancel).start()
    assert [e.type for e in events] == ["cancelled"]
    assert ended.wait(LONG / 4)
