"""Are experts asked with asyncio as without: every call, every loop, context variables, cancellation, and what is no asyncio?"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import quorate
from quorate import Runtime, ScriptedModel, tool

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who")


def once(*given, then="done"):
    """A model that has tools called once, and then says ``then``."""

    def say(request):
        if any(message["role"] == "tool" for message in request["messages"]):
            return then
        return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in given]}

    return ScriptedModel(say)




def test_every_blocking_call_has_a_twin():
    from quorate import _asking, _runtime, _talk

    pairs = [
        (quorate.Model, quorate.aio.AsyncModel),
        (quorate.Runtime, quorate.aio.AsyncRuntime),
        (quorate.Run, quorate.aio.AsyncRun),
        (quorate.Conversation, quorate.aio.AsyncConversation),
        (_talk.Memory, quorate.aio.AsyncMemory),
        (_runtime._Stream, _asking._RuntimeStream),
    ]
    # Properties that read the store, which are calls there.
    properties = {quorate.Conversation: {"turns", "messages"}, quorate.Runtime: {"memory", "stream"}}
    for sync, twin in pairs:
        calls = {name for name, member in inspect.getmembers(sync) if callable(member) and not name.startswith("_")}
        calls |= properties.get(sync, set())
        assert calls == {name for name in dir(twin) if not name.startswith("_")}, sync
        for name in calls - properties.get(sync, set()):
            mine, other = inspect.signature(getattr(sync, name)), inspect.signature(getattr(twin, name))
            assert list(mine.parameters)[1:] == list(other.parameters)[1:], (sync, name)
            awaited = inspect.iscoroutinefunction(getattr(twin, name))
            assert awaited or "Stream" in str(other.return_annotation), (twin, name)
        for name in ("aio",) if sync is not _runtime._Stream else ():
            assert isinstance(inspect.getattr_static(sync, name), property)
    # Every class that the package exports and that has calls is in a pair, here or in the tests of asyncio, or makes nobody wait.
    paired = {sync for sync, _ in pairs} | {quorate.KnowledgeBase, quorate.AgentRegistry, quorate.Embedder, quorate.CrossEncoder}
    assert {one for one in paired if not hasattr(one, "aio")} == {_runtime._Stream}
    assert set(inspect.signature(quorate.evaluate_agents).parameters) == set(inspect.signature(quorate.aio.evaluate_agents).parameters)


def test_the_twins_do_the_same(tmp_path):
    loops = []

    @tool
    async def look() -> str:
        loops.append(asyncio.get_running_loop())
        return "x"

    async def main():
        runtime = Runtime(model=once(("look", {})), tools=[look], store=tmp_path)
        answer = await runtime.aio.ask("go")
        run = await runtime.aio.run(answer.run_id)
        assert await run.aio.answer() == answer and await run.aio.events() == run.events()
        assert [one.run_id for one in await runtime.aio.runs()] == [answer.run_id]
        assert await runtime.aio.prompt("q") == runtime.prompt("q")
        again = await runtime.aio.replay(answer.run_id, live=True)
        assert again.answer.text == answer.text and again.same
        fact = await runtime.aio.memory.remember("ann", "allergic to penicillin", source="form")
        assert (await runtime.aio.memory.recall("ann", "any allergic reactions?", k=1))[0].id == fact.id
        assert await runtime.memory.aio.facts("ann") == runtime.memory.facts("ann")
        assert await runtime.aio.memory.forget("ann", fact.id) == 1
        talk = await runtime.aio.conversation("c", user="ann")
        await talk.aio.add("Hello")
        await runtime.aio.ask("And?", conversation=talk)
        assert await talk.aio.messages() == talk.messages and await talk.aio.turns() == talk.turns
        assert (await talk.aio.export())["id"] == "c" and await talk.aio.forget() == 2
        told = []
        tasks = [{"id": "a", "question": "go", "expect": {"exact": ["done"]}}]
        report = await quorate.aio.evaluate_agents(runtime, tasks, repeat=2, progress=lambda done, total: told.append((done, total)))
        assert report.metric("all").pass_rate == 1.0 and told[-1] == (2, 2)
        await runtime.aio.delete(answer.run_id)
        with pytest.raises(quorate.NotFound):
            await runtime.aio.cancel(answer.run_id)
        assert set(loops) == {asyncio.get_running_loop()}

    asyncio.run(main())


def test_approval_and_going_on():
    sent = []

    @tool(effect="write")
    async def send(to: str) -> str:
        sent.append((to, asyncio.get_running_loop()))
        return "sent"

    async def main():
        runtime = Runtime(model=once(("send", {"to": "all"})), tools=[send])
        waiting = await runtime.aio.ask("go")
        kinds = [event.type async for event in runtime.aio.stream.resume(waiting.run_id, {waiting.pending[0].id: {"arguments": {"to": "ann"}}})]
        assert kinds[-1] == "end" and sent == [("ann", asyncio.get_running_loop())]

        async def approve(pending):
            await asyncio.sleep(0.01)
            return pending.arguments["to"] == "all"

        assert (await runtime.aio.ask("go", approve=approve)).status == "done" and len(sent) == 2
        waiting = await runtime.aio.ask("go")
        assert (await runtime.aio.resume(waiting.run_id, {waiting.pending[0].id: "deny"})).status == "done" and len(sent) == 2

    asyncio.run(main())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_context_variables_reach_tools_and_who_approves(asynchronous):
    seen = []

    def sync() -> None:
        seen.append(WHO.get())

    async def later() -> None:
        await asyncio.sleep(0.01)
        seen.append(WHO.get())

    def approve(pending):
        seen.append(WHO.get())
        return True

    runtime = Runtime(model=once(("look", {})), tools=[tool(name="look", approval=True)(later if asynchronous else sync)])

    async def one(who):
        WHO.set(who)
        await runtime.aio.ask("go", approve=approve)

    async def main():
        await asyncio.gather(*(one(str(n)) for n in range(20)))

    asyncio.run(main())
    assert sorted(seen) == sorted([str(n) for n in range(20)] * 2)
    seen.clear()

    def thread(who):
        def ask():
            WHO.set(who)
            return runtime.ask("go", approve=approve).status

        return contextvars.Context().run(ask)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(thread, map(str, range(20)))) == {"done"}
    assert sorted(seen) == sorted([str(n) for n in range(20)] * 2)


def busy_threads(seconds=0.3):
    """How much of a core this process takes while nothing should happen."""
    begun, used = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    return (time.process_time() - used) / (time.perf_counter() - begun)


@pytest.mark.parametrize("where", ["tool", "model", "approve"])
def test_a_cancelled_task_ends_its_run_at_once(where):
    begun, ended = threading.Event(), threading.Event()

    async def hangs(given=None):
        begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    look = tool(name="look", approval=where == "approve")(hangs if where == "tool" else lambda: None)
    model = ScriptedModel(hangs) if where == "model" else once(("look", {}))
    runtime = Runtime(model=model, tools=[look], approve=hangs if where == "approve" else None)

    async def main():
        task = asyncio.create_task(runtime.aio.ask("go"))
        while not begun.is_set():
            await asyncio.sleep(0.005)
        since = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while runtime.runs("running") or not ended.is_set():
            assert time.perf_counter() - since < 5
            await asyncio.sleep(0.002)
        return time.perf_counter() - since

    # Others may use the cores: the best of a few.
    took = []
    for _ in range(5):
        begun.clear(), ended.clear()
        took.append(asyncio.run(main()))
        if took[-1] < 0.1:
            break
    assert min(took) < 0.1 and {run.status for run in runtime.runs()} == {"cancelled"}
    assert min(busy_threads() for _ in range(5)) < 0.1


def test_waiting_costs_nothing():
    started = []

    @tool
    async def waits(n: int) -> None:
        started.append(n)
        await asyncio.sleep(1.5)

    async def main():
        runtime = Runtime(model=once(("waits", {"n": 0})), tools=[waits])
        tasks = [asyncio.create_task(runtime.aio.ask("go")) for _ in range(40)]
        while len(started) < 40:
            await asyncio.sleep(0.01)
        loop, ticks = asyncio.get_running_loop(), []
        # Each turn of the loop runs what is ready: whoever looks again and again shows up there.
        real = loop._run_once
        loop._run_once = lambda: (ticks.append(1), real())
        await asyncio.sleep(0.5)
        assert len(ticks) < 20, len(ticks)
        loop._run_once = real
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_uvloop():
    uvloop = pytest.importorskip("uvloop")
    seen = []

    @tool
    async def look() -> None:
        await asyncio.sleep(0.01)
        seen.append(type(asyncio.get_running_loop()).__module__)

    runtime = Runtime(model=once(("look", {})), tools=[look])

    async def main():
        assert (await runtime.aio.ask("go")).text == "done"
        assert [event.type async for event in runtime.aio.stream.ask("go")][-1] == "end"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Runtime(model=ScriptedModel(lambda request: time.sleep(0.3))).aio.ask("go"), 0.05)
        assert (await asyncio.to_thread(runtime.ask, "go")).text == "done"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert seen[:2] == ["uvloop", "uvloop"] and len(seen) == 3


def test_a_synchronous_call_within_a_running_loop():
    @tool
    async def look() -> str:
        await asyncio.sleep(0.01)
        return "x"

    runtime = Runtime(model=once(("look", {})), tools=[look])

    async def main():
        # As in a cell of a notebook: it blocks, and ends.
        assert runtime.ask("go").text == "done"
        assert [event.type for event in runtime.stream.ask("go")][-1] == "end"
        assert (await runtime.aio.ask("go")).text == "done"

    asyncio.run(main())


def test_where_no_loop_runs_the_error_says_so():
    runtime = Runtime(model=ScriptedModel(["x"] * 9))
    coroutine = runtime.aio.ask("go")
    for bad in (lambda: coroutine.send(None), lambda: runtime.aio.stream.ask("go"), lambda: runtime.aio.runs().send(None)):
        with pytest.raises(quorate.Unsupported) as caught:
            bad()
        assert caught.value.code == "unsupported" and "no event loop of asyncio" in caught.value.message


def test_trio_is_told():
    trio = pytest.importorskip("trio")
    runtime = Runtime(model=ScriptedModel(["x"] * 9))

    async def main():
        for bad in (runtime.aio.ask("go"), runtime.aio.runs(), runtime.aio.memory.facts("u")):
            with pytest.raises(quorate.Unsupported) as caught:
                await bad
            assert "trio.to_thread.run_sync" in caught.value.message
        with pytest.raises(quorate.Unsupported):
            runtime.aio.stream.ask("go")
        assert (await trio.to_thread.run_sync(runtime.ask, "go")).text == "x"

    trio.run(main)


def test_worker_threads_ask_from_loops_of_their_own():
    @tool
    async def look() -> str:
        await asyncio.sleep(0.005)
        return "x"

    runtime = Runtime(model=once(("look", {})), tools=[look])

    async def main():
        return {answer.text for answer in await asyncio.gather(*(runtime.aio.ask("go") for _ in range(5)))}

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: frozenset(asyncio.run(main())), range(12))) == {frozenset({"done"})}
        assert set(pool.map(lambda _: runtime.ask("go").text, range(12))) == {"done"}


def test_a_loop_that_is_gone_leaves_nobody_waiting():
    ended = threading.Event()

    @tool
    async def look() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    runtime = Runtime(model=once(("look", {})), tools=[look])

    async def main():
        task = asyncio.ensure_future(runtime.aio.ask("go"))
        await asyncio.sleep(0.1)
        # The loop ends while the run goes on.
        return task

    asyncio.run(main())
    assert ended.wait(5)
    until = time.perf_counter() + 5
    while runtime.runs("running") and time.perf_counter() < until:
        time.sleep(0.01)
    assert [run.status for run in runtime.runs()] == ["cancelled"]
