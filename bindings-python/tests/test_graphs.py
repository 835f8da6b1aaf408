"""Do graphs of Python functions do what their page says, and is what goes wrong told by its code?"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import Annotated, Any, Optional, TypedDict

import pytest

import quorate
from quorate import StateStore
from quorate import workflows as wf


class State(TypedDict, total=False):
    q: str
    notes: list[str]
    n: int
    best: dict


def graph(**nodes):
    """A chain of these nodes."""
    made = wf.Graph(state=State, reducers={"notes": "append", "n": "sum"})
    before = wf.START
    for name, node in nodes.items():
        made.node(name, node).edge(before, name)
        before = name
    return made


def refused(code, call, says=""):
    with pytest.raises(quorate.QuorateError) as raised:
        call()
    assert raised.value.code == code, raised.value
    assert says in raised.value.message, raised.value.message
    return raised.value


def test_a_graph_branches_loops_and_tells_what_came_of_it():
    g = graph(search=lambda s, c: {"notes": f"a note about {s['q']}", "n": 1})
    g.node("answer", lambda s, c: {"notes": "answered"})
    g.edges_if("search", lambda s: "search" if s["n"] < 2 else "answer", ["search", "answer"])
    g.edge("answer", wf.END)
    app = g.compile()
    out = app.run({"q": "dosing"}, thread="case-7", step_limit=10)
    assert out.status == "done" and out.thread == "case-7" and out.steps == 3 and out.error is None and out.reviews == []
    assert out.state == {"q": "dosing", "n": 2, "notes": ["a note about dosing"] * 2 + ["answered"]}
    assert out.state.notes[-1] == "answered" and out.checkpoint == app.state("case-7").checkpoint
    assert out.to_dict()["run_id"] == out.run_id and "done" in repr(out) and "case-7" in out._repr_html_()
    assert app.mermaid().startswith("flowchart") and app.json()["nodes"] and app.id == g.compile().id
    short = app.run({"q": "x", "n": -9}, thread="t", step_limit=2)
    assert short.status == "step_limit" and app.resume("t").status == "done"


def test_nothing_is_kept_without_a_thread():
    app = graph(a=lambda s, c: {"n": 1 if c.thread is None else 2}).compile()
    assert [app.run({}).state.n, app.run({}).state.n] == [1, 1]
    assert app.store.checkpoints.threads() == []
    asks = graph(a=lambda s, c: {"q": c.ask("?")}).compile()
    assert asks.run({}).status == "failed"


def test_states_are_typed_dicts_dataclasses_models_and_schemas():
    pydantic = pytest.importorskip("pydantic")

    @dataclasses.dataclass
    class Patient:
        name: str
        dose: int = 5
        notes: list[str] = dataclasses.field(default_factory=list)

    class Model(pydantic.BaseModel):
        name: str
        dose: int = 5
        notes: list[str] = []

    for form in (Patient, Model):
        seen = []

        def look(state, ctx):
            seen.append(state)
            return {"dose": state.dose + 1, "notes": ["x"]}

        g = wf.Graph(state=form, reducers={"notes": "append"}).node("a", look).node("b", look)
        app = g.edge(wf.START, "a").edge("a", "b").compile()
        out = app.run(form(name="Ann") if form is Patient else {"name": "Ann"}, thread="t")
        assert out.status == "done", out.error
        assert [type(one) for one in seen] == [form, form]
        assert (out.state.dose, out.state.notes, out.state["name"]) == (7, ["x", "x"], "Ann")
        refused("invalid_argument", lambda: app.run({"dose": "high"}, thread="u"), "dose")
    schema = {"type": "object", "properties": {"x": {"type": "integer", "maximum": 3}}}
    app = wf.Graph(state=schema).node("a", lambda s, c: {"x": s["x"] + 1}).edge(wf.START, "a").compile()
    assert app.run({"x": 2}).state == {"x": 3}
    failed = app.run({"x": 3})
    assert failed.status == "failed" and failed.error.code == "invalid_argument" and "x" in failed.error.message
    refused("invalid_argument", lambda: wf.Graph(state=object()), "state")
    refused("invalid_argument", lambda: wf.Graph(state={"type": "array"}).node("a", print).edge(wf.START, "a").compile(), "state")


def test_reducers_are_names_or_functions_and_validators_refuse():
    def better(old, new):
        return new if old is None or new["score"] > old["score"] else old

    def fits(value):
        if value["score"] < 0:
            raise ValueError("a score is not negative")
        return value["score"] < 100

    g = wf.Graph(state=State, reducers={"best": better}, validators={"best": fits, "q": lambda q: None if q else "it is empty"})
    for name, score in (("a", 3), ("b", 7), ("c", 5)):
        g.node(name, lambda s, c, score=score: {"best": {"score": score}}).edge(wf.START, name)
    assert g.compile().run({}).state.best == {"score": 7}
    for score, says in ((-1, "a score is not negative"), (100, "refuses")):
        bad = wf.Graph(state=State, validators={"best": fits}).node("a", lambda s, c: {"best": {"score": score}}).edge(wf.START, "a")
        out = bad.compile().run({})
        assert out.status == "failed" and says in out.error.message and "best" in out.error.message
    refused("invalid_argument", lambda: g.compile().run({"q": ""}), "it is empty")
    for given, says in [
        ({"reducers": {"n": "sums"}}, "sums"),
        ({"reducers": {"n": 3}}, "reducers"),
        ({"reducers": ["n"]}, "reducers"),
        ({"validators": {"n": "x"}}, "validators"),
        ({"reducers": {"n": int}}, "reducers"),
    ]:
        refused("invalid_argument", lambda: wf.Graph(state=State, **given).node("a", print).edge(wf.START, "a").compile(), says)

    def broken(old, new):
        raise KeyError("gone")

    out = wf.Graph(state=State, reducers={"q": broken}).node("a", lambda s, c: {"q": "x"}).edge(wf.START, "a").compile().run({})
    assert out.status == "failed" and "KeyError" in out.error.message and out.error.code == "callback"


def test_a_node_goes_where_it_says():
    def split(state, ctx):
        return [wf.Send("part", {"text": one}) for one in state["q"].split()]

    def part(state, ctx):
        return {"notes": state["text"].upper()}

    g = wf.Graph(state=State, reducers={"notes": "append"}).node("split", split).node("part", part).edge(wf.START, "split")
    assert g.compile().run({"q": "a b c"}).state.notes == ["A", "B", "C"]

    def choose(state, ctx):
        return wf.Goto("left" if state["q"] == "l" else "right", update={"notes": "chose"})

    g = wf.Graph(state=State, reducers={"notes": "append"}).node("choose", choose).edge(wf.START, "choose")
    g.node("left", lambda s, c: {"notes": "left"}).node("right", lambda s, c: {"notes": "right"})
    app = g.compile()
    assert app.run({"q": "l"}).state.notes == ["chose", "left"] and app.run({"q": "r"}).state.notes == ["chose", "right"]

    both = lambda s, c: [{"q": "x"}, wf.Goto(["left", wf.Send("right", {"own": 1})], update={"n": 1}), wf.Send("right", None)]  # noqa: E731
    g = wf.Graph(state=State, reducers={"notes": "append"}).node("both", both).edge(wf.START, "both")
    g.node("left", lambda s, c: {"notes": f"left {s['q']}"}).node("right", lambda s, c: {"notes": f"right {s}"})
    assert g.compile().run({}).state.notes == ["left x", "right {'own': 1}", "right None"]
    for node, says in [
        (lambda s, c: "left", "a node gave"),
        (lambda s, c: wf.Goto("nowhere"), "nowhere"),
        (lambda s, c: wf.Goto({"a": 1}), "Goto"),
        (lambda s, c: [{"n": 1}, {"n": 2}], "twice"),
        (lambda s, c: {"unknown": 1}, "unknown"),
        (lambda s, c: {"n": object()}, "object"),
        (lambda s, c: {"n": "x"}, "n"),
        (lambda s, c: {3: 1}, "key"),
        (lambda s, c: {"n": float("nan")}, "NaN"),
    ]:
        out = graph(a=node).compile().run({}, thread="t")
        assert out.status == "failed" and says in out.error.message, (says, out.error)


def test_joins_deferred_nodes_and_graphs_within():
    seen = []
    g = graph()
    for name in ("a", "b", "b2", "c", "late"):
        g.node(name, lambda s, c, name=name: seen.append(name) or {"notes": name}, defer=name == "late")
    g.edge(wf.START, "a").edge(wf.START, "b").edge("b", "b2").join(["a", "b2"], "c").edge(wf.START, "late")
    g.compile().run({})
    assert seen[-2:] == ["c", "late"] and sorted(seen) == ["a", "b", "b2", "c", "late"]

    inner = wf.Graph(state=State, reducers={"notes": "append"})
    inner.node("ask", lambda s, c: {"notes": f"inner {c.ask({'about': s['q']})}"}).edge(wf.START, "ask")
    app = graph(first=lambda s, c: {"notes": "first"}).subgraph("within", inner).edge("first", "within").compile()
    out = app.run({"q": "x"}, thread="t")
    assert out.status == "waiting" and out.reviews[0].question == {"about": "x"} and out.reviews[0].namespace
    assert app.state("t", namespace=app.state("t").tasks[0].namespace).state.q == "x"
    assert app.resume("t", answers={out.reviews[0].id: "yes"}).state.notes == ["first", "inner yes"]
    g = graph(a=lambda s, c: None)
    g.subgraph("self", g).edge("a", "self")
    refused("invalid_argument", g.compile, "node of itself")


def test_a_question_waits_and_an_ended_step_never_runs_again(tmp_path):
    ran = []

    def letter(state, ctx):
        draft = ctx.step("draft", lambda: ran.append("draft") or {"text": "Dear colleague"})
        first = ctx.ask({"send": draft["text"]})
        second = ctx.ask({"copy": True})
        return {"notes": [first, second], "n": ctx.attempt}

    app = graph(letter=letter).compile(StateStore(tmp_path))
    out = app.run({}, thread="letter-1")
    assert out.status == "waiting" and [one.question for one in out.reviews] == [{"send": "Dear colleague"}]
    refused("unknown_id", lambda: app.resume("letter-1", answers={"nothing": 1}))
    refused("unknown_id", lambda: app.resume("nobody"))
    again = graph(letter=letter).compile(StateStore(tmp_path))
    waits = again.resume("letter-1", answers={out.reviews[0].id: "yes"})
    assert waits.status == "waiting" and waits.run_id == out.run_id and len(waits.reviews) == 1
    done = again.resume("letter-1", answers={waits.reviews[0].id: "no"})
    assert done.status == "done" and done.state.notes == ["yes", "no"] and ran == ["draft"]


def test_a_step_gives_the_same_after_as_before():
    given = []

    def node(state, ctx):
        for name, make in (("tuple", lambda: (1, 2)), ("date", lambda: __import__("datetime").date(2026, 1, 2)), ("none", lambda: None)):
            given.append(ctx.step(name, make))
        ctx.ask("go on?")

    app = graph(a=node).compile()
    out = app.run({}, thread="t")
    app.resume("t", answers={out.reviews[0].id: 1})
    assert given[:3] == given[3:] == [[1, 2], "2026-01-02", None]

    def bad(state, ctx):
        with pytest.raises(ZeroDivisionError):
            ctx.step("zero", lambda: 1 / 0)
        refused("invalid_argument", lambda: ctx.step("text", "f"), "text")
        refused("invalid_argument", lambda: ctx.step(3, print), "name")
        refused("invalid_argument", lambda: ctx.step("object", object), "object")
        refused("invalid_argument", lambda: ctx.step("outer", lambda: ctx.step("outer", int)), "outer")
        return {"n": ctx.step("zero", lambda: 1)}

    out = graph(a=bad).compile().run({}, thread="t")
    assert out.status == "done" and out.state.n == 1, out.error


def test_a_failure_keeps_its_type_and_message_and_is_tried_again():
    class Odd(Exception):
        pass

    tries = []

    def flaky(state, ctx):
        tries.append(ctx.attempt)
        raise Odd(f"no {len(tries)}") if len(tries) < 3 else ValueError("never")

    fast = {"initial": 0, "longest": 0}
    out = wf.Graph(state=State).node("a", flaky, retry=wf.Retry(max_attempts=5, on=Odd, **fast)).edge(wf.START, "a").compile().run({})
    assert tries == [1, 2, 3] and out.status == "failed" and out.error.attempts == 3
    assert (out.error.node, out.error.code) == ("a", "callback") and "ValueError: never" in out.error.message
    assert isinstance(out.exception, ValueError)
    tries.clear()
    judge = lambda raised: isinstance(raised, Odd) and str(raised) == "no 1"  # noqa: E731
    out = wf.Graph(state=State).node("a", flaky, retry=wf.Retry(on=judge, **fast)).edge(wf.START, "a").compile().run({})
    assert tries == [1, 2] and "no 2" in out.error.message
    own = graph(a=lambda s, c: StateStore("postgresql://x")).compile().run({})
    assert own.error.code == "unsupported"
    for given in ({"max_attempts": 0}, {"factor": 0.5}, {"initial": -1}, {"on": 3}, {"max_attempts": "x"}):
        refused("invalid_argument", lambda: wf.Retry(**given))


def test_what_has_ended_beside_a_failure_is_not_done_again(tmp_path):
    ran, broken = [], [True]

    def bad(state, ctx):
        ran.append("bad")
        if broken[0]:
            raise RuntimeError("not yet")
        return {"notes": "bad"}

    g = graph()
    g.node("good", lambda s, c: ran.append("good") or {"notes": "good"}).node("bad", bad)
    app = g.edge(wf.START, "good").edge(wf.START, "bad").compile(StateStore(tmp_path))
    assert app.run({}, thread="t").status == "failed" and app.state("t").status == "failed"
    broken[0] = False
    assert app.resume("t").state.notes == ["bad", "good"]
    assert sorted(ran) == ["bad", "bad", "good"]


def test_a_try_that_takes_too_long_counts_no_more():
    told = threading.Event()

    def slow(state, ctx):
        while not ctx.cancelled:
            time.sleep(0.005)
        told.set()
        return {"n": 1}

    out = wf.Graph(state=State).node("a", slow, timeout=0.05).edge(wf.START, "a").compile().run({})
    assert out.status == "failed" and out.error.code == "timeout" and told.wait(5)

    async def sleeps(state, ctx):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.set()
            raise

    ended = threading.Event()
    out = wf.Graph(state=State).node("a", sleeps, timeout=0.05).edge(wf.START, "a").compile().run({})
    assert out.error.code == "timeout" and ended.wait(5)


def test_what_a_node_gave_is_cached():
    ran = []

    def count(state, ctx):
        ran.append(state["q"])
        return {"n": len(ran)}

    for cache, expected in ((True, 2), ({"key": lambda s: s["q"][0]}, 1), ({"ttl": 60}, 2), (False, 3), (1e-6, 3)):
        ran.clear()
        app = wf.Graph(state=State).node("a", count, cache=cache).edge(wf.START, "a").compile()
        for q in ("x1", "x1", "x2"):
            app.run({"q": q})
        assert len(ran) == expected, cache


def test_every_problem_of_a_graph_is_told_at_once():
    g = wf.Graph(state=State, reducers={"none": "append"})
    g.node("a", print, writes=["n", "gone"]).node("b", print, writes=["n"]).node("orphan", print)
    g.edge(wf.START, "a").edge(wf.START, "b").edge("a", "nowhere")
    error = refused("invalid_argument", g.compile)
    found = {(one.at, one.code) for one in error.problems}
    assert {code for _, code in found} >= {"unknown_channel", "unknown_node", "unreachable", "write_conflict"}, found
    assert ("orphan", "unreachable") in found and error.problems == g.problems()
    for call, says in [
        (lambda: g.node(3, print), "name"),
        (lambda: g.node("c", "f"), "'c'"),
        (lambda: g.node("c", int), "'c'"),
        (lambda: g.node("c", print, retry=3), "retry"),
        (lambda: g.node("c", print, timeout=0), "timeout"),
        (lambda: g.node("c", print, cache="x"), "cache"),
        (lambda: g.node("c", print, writes="n"), "writes"),
        (lambda: g.node("c", print, defer=1), "defer"),
        (lambda: g.edge("a", None), "target"),
        (lambda: g.edges_if("a", "f", []), "route"),
        (lambda: g.edges_if("a", print, "b"), "targets"),
        (lambda: g.join("a", "b"), "sources"),
        (lambda: g.subgraph("s", 3), "graph"),
        (lambda: graph(a=print).compile("runs/"), "store"),
        (lambda: graph(a=print).compile().run([]), "input"),
        (lambda: graph(a=print).compile().run({}, thread=3), "thread"),
        (lambda: graph(a=print).compile().run({}, thread=""), "thread"),
        (lambda: graph(a=print).compile().run({}, step_limit=0), "step_limit"),
        (lambda: graph(a=print).compile().run({}, durability="x"), "durability"),
        (lambda: graph(a=print).compile().run({"gone": 1}), "gone"),
        (lambda: graph(a=print).compile().stream({}, thread="t", modes=["value"]), "mode"),
        (lambda: graph(a=print).compile().stream({}, thread="t", modes=3), "modes"),
    ]:
        refused("invalid_argument", call, says)


def test_a_slow_reader_gets_all_that_a_node_says(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(
        """
import asyncio, faulthandler, time
faulthandler.dump_traceback_later(60, exit=True)
from quorate import workflows as wf

def app(node):
    g = wf.Graph(state={"type": "object", "properties": {"x": {}}})
    return g.node("a", node).edge(wf.START, "a").compile()

def says(state, ctx):
    for i in range(1000):
        ctx.emit(i)

async def says_too(state, ctx):
    for i in range(1000):
        ctx.emit(i)

found = []
for event in app(says).stream({}, thread="t", modes="custom"):
    if len(found) < 5:
        time.sleep(0.05)
    found.append(event.data)
assert found == list(range(1000))

with app(says).stream({}, thread="t", modes="custom") as stream:
    next(iter(stream))
    time.sleep(0.1)

async def main():
    return [event.data async for event in app(says_too).aio.stream({}, thread="t", modes="custom")]

assert asyncio.run(main()) == list(range(1000))
print("all")
""",
        encoding="utf-8",
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout.strip()) == (0, "all"), ran.stderr


def test_routes_have_tables_and_may_be_wrong():
    g = graph(a=lambda s, c: {"n": 1}).node("b", lambda s, c: {"notes": "b"})
    g.edges_if("a", lambda s: s["n"] > 0, {True: "b", False: wf.END})
    assert g.compile().run({}).state.notes == ["b"]

    async def later(state):
        await asyncio.sleep(0)
        return "b"

    g = graph(a=lambda s, c: None).node("b", lambda s, c: {"notes": "b"}).edges_if("a", later, ["b", wf.END])
    assert g.compile().run({}).state.notes == ["b"]
    for route in (lambda s: "nowhere", lambda s: 3, lambda s: 1 / 0):
        g = graph(a=lambda s, c: None).node("b", print).edges_if("a", route, ["b"])
        assert g.compile().run({}).status == "failed"


def test_threads_are_read_changed_forked_and_cancelled(tmp_path):
    store = StateStore(tmp_path)
    app = graph(propose=lambda s, c: {"n": 5}, check=lambda s, c: {"notes": f"n {s['n']}"}).compile(store)
    app.run({"q": "x"}, thread="t")
    history = app.history("t")
    assert [one.step for one in history] == [2, 1, 0] and history[1].next == ["check"]
    assert app.history("t", limit=1) == history[:1] and app.history("t", before=history[0].checkpoint) == history[1:]
    assert app.state("t", at=history[1].checkpoint) == history[1]
    checkpoint = app.update("t", {"n": 10}, as_node="propose")
    assert app.state("t").checkpoint == checkpoint and app.resume("t").state.notes == ["n 5", "n 15"]
    app.fork("t", at=history[1].checkpoint, thread="u")
    assert app.resume("u").state.notes == ["n 5"]
    refused("duplicate_id", lambda: app.fork("t", thread="u"))
    refused("unknown_id", lambda: app.fork("t", at="nothing", thread="w"))
    refused("unknown_id", lambda: app.state("nobody"))
    refused("invalid_argument", lambda: app.update("t", {"n": "x"}), "n")
    assert app.cancel("t") is False
    waits = graph(a=lambda s, c: c.ask("?")).compile(store)
    waits.run({}, thread="w")
    assert waits.cancel("w") is True and waits.state("w").status == "cancelled" and waits.resume("w").status == "cancelled"
    listed = store.checkpoints.list("t", filter={"source": "update"})
    assert [one.id for one in listed] == [checkpoint] and store.checkpoints.get("t", id=checkpoint)["values"]["n"] == 15
    assert store.checkpoints.copy("t", "copy") == len(store.checkpoints.list("t"))
    pruned = store.checkpoints.prune(keep=1, older_than=None, thread="copy", dry_run=True)
    assert len(pruned.checkpoints) == len(store.checkpoints.list("copy")) - 1
    assert store.checkpoints.prune(keep=1, older_than="1h").checkpoints == []
    store.checkpoints.prune(keep=1, older_than=0)
    assert len(store.checkpoints.list("t")) == 1 and app.state("t").state.notes == ["n 5", "n 15"]
    assert store.checkpoints.delete("t") is True
    refused("unknown_id", lambda: app.state("t"))


def test_what_happens_is_told_as_it_happens():
    def node(state, ctx):
        ctx.emit({"at": state["q"]})
        return {"n": 1}

    app = graph(a=node, b=node).compile()
    events = list(app.stream({"q": "x"}, thread="t", modes=["updates", "values", "custom", "tasks"]))
    assert [one.data for one in events if one.mode == "updates"] == [{"n": 1}, {"n": 1}]
    assert [one.data.n for one in events if one.mode == "values"][-1] == 2
    assert [(one.node, one.data) for one in events if one.mode == "custom"] == [("a", {"at": "x"}), ("b", {"at": "x"})]
    assert [one.data.event for one in events if one.mode == "tasks"] == ["start", "end"] * 2
    stream = app.stream({"q": "x"}, thread="t", modes="values")
    assert stream.result().state.n == 4 and stream.result().status == "done"
    with pytest.raises(quorate.InvalidInput):
        list(app.stream({"n": "x"}, thread="t"))
    release, begun = threading.Event(), threading.Event()

    def slow(state, ctx):
        begun.set()
        while not ctx.cancelled and not release.wait(0.01):
            pass
        return {"n": 1}

    app = graph(a=slow, b=node).compile()
    with app.stream({"q": "x"}, thread="s", modes=["tasks"]) as stream:
        next(stream)
        assert begun.wait(5)
    with pytest.raises(quorate.Cancelled):
        stream.result()
    release.set()
    assert app.resume("s").status == "done"
    asks = graph(a=lambda s, c: {"q": c.ask("?")}).compile()
    waits = asks.stream({}, thread="w").result()
    assert waits.status == "waiting"
    assert asks.stream_resume("w", {waits.reviews[0].id: "yes"}).result().state.q == "yes"


def test_with_asyncio_coroutines_run_on_the_loop_and_it_never_waits():
    async def main():
        loop, var, kept = asyncio.get_running_loop(), contextvars.ContextVar("v"), []
        var.set("asker")

        async def fetch():
            kept.append("fetch")
            await asyncio.sleep(0.01)
            return {"n": 7}

        async def node(state, ctx):
            assert asyncio.get_running_loop() is loop and var.get() == "asker"
            found = await ctx.step("fetch", fetch)
            return {"n": found["n"], "q": ctx.ask("sure?")}

        def blocks(state, ctx):
            assert threading.current_thread() is not threading.main_thread() and var.get() == "asker"
            time.sleep(0.3)

        app = graph(a=node, b=blocks).compile()
        out = await app.aio.run({}, thread="t")
        assert out.status == "waiting"
        ticks = []

        async def tick():
            while True:
                ticks.append(loop.time())
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        out = await app.aio.resume("t", answers={out.reviews[0].id: "yes"})
        ticking.cancel()
        assert out.status == "done" and out.state.n == 7 and kept == ["fetch"]
        assert max(b - a for a, b in zip(ticks, ticks[1:])) < 0.2
        events = [event async for event in app.aio.stream_resume("t", modes=["updates"])]
        assert events == [] and (await app.aio.state("t")).status == "done" and len(await app.aio.history("t", limit=2)) == 2
        await app.aio.update("t", {"q": "x"}, as_node="b")
        await app.aio.fork("t", thread="u")
        assert await app.aio.cancel("u") is False
        modes = ["updates", "custom"]
        stream = graph(a=fetch_node).compile().aio.stream({}, thread="v", modes=modes)
        assert [event.mode async for event in stream] == ["custom", "updates"] and (await stream.result()).status == "done"

    async def fetch_node(state, ctx):
        ctx.emit(1)
        return {"n": 1}

    asyncio.run(main())


def test_a_cancelled_task_stops_its_run_and_a_hung_node_holds_no_loop(tmp_path):
    release = threading.Event()
    app = graph(a=lambda s, c: {"n": 1}, hang=lambda s, c: release.wait(20) and None, b=lambda s, c: {"n": 1}).compile(StateStore(tmp_path))
    gone = threading.Event()

    async def forever(state, ctx):
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()

    async def main():
        began = time.monotonic()
        for each in (app, graph(a=forever).compile(StateStore(tmp_path))):
            task = asyncio.ensure_future(each.aio.run({}, thread=f"t{id(each)}"))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert time.monotonic() - began < 5

    try:
        asyncio.run(main())
        assert gone.wait(5)
    finally:
        release.set()
    deadline = time.monotonic() + 10
    while app.state(f"t{id(app)}").status == "running" and time.monotonic() < deadline:
        # It is stopped before the next node, and can be resumed.
        if app.resume(f"t{id(app)}").status == "done":
            break
    assert app.state(f"t{id(app)}").state.n == 2


def test_many_runs_wait_for_runs_that_their_nodes_await():
    inner = graph(a=lambda s, c: {"n": 1}).compile()

    async def outer(state, ctx):
        return {"n": (await inner.aio.run({})).state.n}

    app = graph(a=outer).compile()

    async def main():
        found = await asyncio.gather(*(app.aio.run({}) for _ in range(300)))
        assert [one.state.n for one in found] == [1] * 300

    asyncio.run(asyncio.wait_for(main(), 60))


def test_ctrl_c_and_its_like_end_the_run_and_are_raised(tmp_path):
    app = graph(a=lambda s, c: {"n": 1}, b=lambda s, c: sys.exit(3), c=lambda s, c: {"n": 1}).compile(StateStore(tmp_path))
    with pytest.raises(SystemExit):
        app.run({}, thread="t")
    assert app.state("t").next == ["b"] and app.state("t").status == "running"

    async def interrupts(state, ctx):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        graph(a=interrupts).compile().run({})
    with pytest.raises(KeyboardInterrupt):
        list(graph(a=interrupts).compile().stream({}, thread="t"))

    async def cancels(state, ctx):
        raise asyncio.CancelledError

    assert graph(a=cancels).compile().run({}).status == "failed"
    # A signal while the node hangs: nobody waits for the node.
    release = threading.Event()
    hangs = graph(a=lambda s, c: release.wait(20) and None).compile()
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            hangs.run({})
        assert time.monotonic() - began < 5
    finally:
        release.set()


def test_a_second_run_of_a_thread_has_it_and_the_first_is_told(tmp_path):
    begun, release, seen = threading.Event(), threading.Event(), []

    def node(state, ctx):
        begun.set()
        if state["q"] == "first":
            release.wait(20)
            seen.append(ctx.cancelled)
        return {"notes": state["q"]}

    app = graph(a=node).compile(StateStore(tmp_path))
    found = []

    def first():
        try:
            found.append(app.run({"q": "first"}, thread="t"))
        except quorate.QuorateError as error:
            found.append(error.code)

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(5)
    other = graph(a=node).compile(StateStore(tmp_path))
    assert other.run({"q": "second"}, thread="t").state.notes == ["second"]
    release.set()
    thread.join(20)
    assert found == ["stale_write"] and seen == [True] and app.state("t").state.notes == ["second"]


def test_many_threads_run_one_graph():
    app = graph(a=lambda s, c: {"n": s["n"]}, b=lambda s, c: {"notes": str(s["n"])}).compile()
    found: dict[int, Any] = {}

    def run(i):
        found[i] = app.run({"n": i}, thread=str(i)).state

    threads = [threading.Thread(target=run, args=(i,)) for i in range(32)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert {i: state.n for i, state in found.items()} == {i: 2 * i for i in range(32)}


def test_tenants_do_not_cross(tmp_path):
    one = graph(a=lambda s, c: {"n": 1}).compile(StateStore(tmp_path, tenant="a"))
    one.run({}, thread="t")
    other = graph(a=lambda s, c: {"n": 1}).compile(StateStore(tmp_path, tenant="b"))
    refused("unknown_id", lambda: other.state("t"))
    assert StateStore(tmp_path).checkpoints.threads() == [] and len(StateStore(tmp_path, tenant="a").checkpoints.threads()) == 1


def test_a_graph_that_refers_to_itself_is_let_go_of():
    class Owner:
        def __init__(self):
            self.app = graph(a=self.node).compile()

        def node(self, state, ctx):
            return {"n": 1}

    owner = Owner()
    owner.app.run({})
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


KILLED = """
import os, sys, quorate
from quorate import workflows as wf
log = lambda line: open(sys.argv[2], "a").write(line + "\\n")
def node(name):
    def run(state, ctx):
        ctx.step("work", lambda: log(name))
        if name == sys.argv[3]: os.kill(os.getpid(), 9)
        return {"notes": name}
    return run
schema = {"properties": {"notes": {"type": "array"}}}
g = wf.Graph(state=schema, reducers={"notes": "append"})
for name in ("a", "b1", "b2", "c"): g.node(name, node(name))
g.edge(wf.START, "a").edge("a", "b1").edge("a", "b2").join(["b1", "b2"], "c")
app = g.compile(quorate.StateStore(sys.argv[1]))
try: app.state("t")
except quorate.NotFound: out = app.run({}, thread="t")
else: out = app.resume("t")
print(out.status, *out.state.notes)
"""


@pytest.mark.parametrize("where", ["a", "b1", "b2", "c"])
def test_a_killed_process_is_gone_on_with_by_another(tmp_path, where):
    def run(kill):
        return subprocess.run([sys.executable, "-c", KILLED, tmp_path / "runs", tmp_path / "log", kill], capture_output=True, text=True, timeout=60)

    assert run(where).returncode == -9
    after = run("nowhere")
    assert after.stdout.split() == ["done", "a", "b1", "b2", "c"], after.stderr
    logged = (tmp_path / "log").read_text().split()
    # What another branch was at when the process died may not have been stored yet.
    assert sorted(set(logged)) == ["a", "b1", "b2", "c"] and logged.count(where) == 1
    assert logged.count("a") == logged.count("c") == 1


def test_a_forked_child_runs_graphs(tmp_path):
    app = graph(a=lambda s, c: {"n": 1}, b=lambda s, c: {"n": 1}).compile(StateStore(tmp_path))
    app.run({}, thread="t")
    child = os.fork()
    if child == 0:
        try:
            ok = app.run({}, thread="child").state.n == 2 and app.state("t").state.n == 2
            os._exit(0 if ok else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert app.state("child").state.n == 2


def test_large_states_are_kept(tmp_path):
    text = "x" * 3_000_000
    app = graph(a=lambda s, c: {"q": text}, b=lambda s, c: {"n": len(s["q"])}).compile(StateStore(tmp_path))
    assert app.run({}, thread="t").state.n == len(text)
    assert graph(a=print, b=print).compile(StateStore(tmp_path)).state("t").state.q == text


PARITY = pathlib.Path(__file__).resolve().parents[2] / "tests" / "parity"
GRAPHS = json.loads((PARITY / "graphs.json").read_text())["graphs"]


def of_the_fixture(spec):
    """A graph of the fixture that Rust and Node run too."""

    def gives(node):
        def run(state, ctx):
            update, targets = node.get("update"), list(node.get("goto", []))
            if "send" in node:
                targets += [wf.Send(node["send"], {"item": one}) for one in state[node["each"]]]
            if "item" in node:
                update = {node["item"]: [state["item"]]}
            if "step" in node:
                update = {node["to"]: ctx.step(node["step"], lambda: node["value"])}
            if "ask" in node:
                update = {node["to"]: ctx.ask(node["ask"])}
            return wf.Goto(targets, update=update)

        return run

    made = wf.Graph(state=spec["state"], reducers=spec["reducers"])
    for name, node in spec["nodes"].items():
        goto = [*node.get("goto", []), *([node["send"]] if "send" in node else [])]
        made.node(name, gives(node), writes=node.get("writes"), defer=node.get("defer", False), goto=goto)
    for source, target in spec["edges"]:
        made.edge(source, target)
    for route in spec["routes"]:
        leads = lambda state, route=route: route["then" if state[route["channel"]] < route["below"] else "else"]  # noqa: E731
        made.edges_if(route["from"], leads, [route["then"], route["else"]])
    for sources, target in spec["joins"]:
        made.join(sources, target)
    return made


@pytest.mark.parametrize("spec", GRAPHS, ids=[spec["name"] for spec in GRAPHS])
def test_graphs_give_what_they_give_in_rust_and_node(spec):
    expected = json.loads((PARITY / "graph_answers.json").read_text())[spec["name"]]
    made = of_the_fixture(spec)
    if "problems" in expected:
        assert made.problems() == expected["problems"]
        return

    def told(out):
        found = {name: value for name, value in out.to_dict().items() if name not in ("run_id", "checkpoint")}
        return {**found, "reviews": [{name: one[name] for name in one if name != "id"} for one in found["reviews"]]}

    app = made.compile()
    stream = app.stream(spec["input"], thread="t", modes=["updates", "values", "tasks"])
    events = [event for event in stream if event.mode != "tasks" or event.data.event == "wait"]
    outcomes = [told(stream.result())]
    if "answer" in spec:
        outcomes.append(told(app.resume("t", answers={review.id: spec["answer"] for review in app.state("t").reviews})))
    history = [[one.step, one.source, one.status, one.next, one.state] for one in app.history("t")]
    found = {"id": app.id, "mermaid": app.mermaid(), "plan": app.json(), "events": events, "outcomes": outcomes, "history": history}
    assert found == expected


def test_an_expert_is_consulted_and_people_are_asked(tmp_path):
    sent = []

    @quorate.tool(effect="write")
    def send(to: str) -> str:
        """Sends a letter."""
        sent.append(to)
        return "sent"

    def says(request):
        done = sum(message["role"] == "tool" for message in request["messages"])
        if done == 0:
            return {"tool_calls": [{"id": "c0", "name": "send", "arguments": {"to": "Ann"}}, {"id": "c1", "name": "send", "arguments": {"to": "Bob"}}]}
        return "Both have it."

    runtime = quorate.Runtime(model=quorate.ScriptedModel(says), tools=[send], store=StateStore(tmp_path))
    app = wf.graphs.expert_consultation(runtime).compile()
    out = app.run({"question": "Send it", "review": True}, thread="t")
    assert out.status == "waiting" and [one.question.call.arguments.to for one in out.reviews] == ["Ann", "Bob"], out
    first, second = out.reviews
    half = app.resume("t", answers={second.id: "deny"})
    assert half.status == "waiting" and [one.id for one in half.reviews] == [first.id] and sent == []
    out = app.resume("t", answers={first.id: "approve"})
    assert out.status == "waiting" and out.reviews[0].question.answer == "Both have it." and sent == ["Ann"]
    done = app.resume("t", answers={out.reviews[0].id: {"answer": "Ann has it."}})
    assert (done.status, done.state.answer, done.state.status) == ("done", "Ann has it.", "done") and len(runtime.runs()) == 1
    assert app.run({"question": " "}, thread="u").error.code == "empty_input"
    refused("invalid_argument", lambda: wf.graphs.expert_consultation(3), "runtime")
    refused("invalid_argument", lambda: wf.graphs.expert_consultation(runtime).edge("a", "b"), "cannot be changed")


def test_a_panel_deliberates_and_a_person_decides_where_it_does_not():
    def of(*choices):
        said = iter(choices * 4)
        model = quorate.ScriptedModel(lambda request: json.dumps({"choice": next(said), "reasons": [{"text": "so"}]}))
        return wf.graphs.panel_deliberation(quorate.Runtime(model=model)).compile()

    given = {"question": "Approve?", "options": ["yes", "no"], "members": ["a", "b", "c"], "escalate": True}
    out = of("yes", "yes", "yes").run(given, thread="t")
    assert (out.status, out.state.decision, out.state.decided_by) == ("done", "yes", "panel"), out
    app = of("yes", "no")
    out = app.run({**given, "members": ["a", "b"]}, thread="t")
    if out.status == "waiting":
        out = app.resume("t", answers={out.reviews[0].id: "no"})
        assert (out.state.decision, out.state.decided_by) == ("no", "person")
    assert out.status == "done", out
    refused("invalid_argument", lambda: of("yes").run({**given, "type": "oracle"}, thread="t"), "type")
