"""Tries calls of the package with hostile values, one parameter at a time: ``python hostile.py FOLDER CASES SEED``.

Each call must return, or raise an error of quorate with a code that is not ``internal`` and a message of bounded length,
within seconds and without taking gigabytes. ``CASES``: how many values are tried for each parameter, 0 for all. It says what it is
about to do, so that who started it knows what ended it; the last line is a JSON list of what went wrong.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np

import quorate
import quorate.aio
import quorate.telemetry
from quorate import consensus
from quorate import workflows as wf

SECONDS = 10.0
"""The longest that a call may take on a machine with other work. The bounds of the calls are far below."""
MEGABYTES = 1500
"""The most memory that a call may add."""
MESSAGE = 4000
"""The longest message."""

DOCUMENTS = [{"id": f"d{i}", "text": f"Document {i} on metformin and glucose.", "metadata": {"i": i}} for i in range(5)]
MCP_SERVER = Path(__file__).resolve().parents[2] / "agents" / "mcp" / "tests" / "servers" / "stdio.py"
AGENT = {"id": "kidney", "name": "Nephrologist", "summary": "Treats diseases of the kidney."}
RATINGS = [["a", "b", "a", "b"], ["a", "b", "b", "b"], ["a", "a", "a", "b"]]
RANKS = [[1, 2, 3, 4], [2, 1, 3, 4], [1, 2, 4, 3]]
NUMBERS = [[7.0, 8.0, 6.0, 5.0], [7.5, 8.0, 6.5, 5.0], [6.0, 8.5, 6.0, 4.0]]
RANKINGS = [["a", "b", "c"], ["b", "a", "c"], ["a", "c", "b"]]


STATE = {"type": "object", "properties": {"n": {"type": "integer"}}}


def flow(id):
    """A workflow in which somebody is asked."""
    asked = "{human_review: {role: lead, title: Go on?, options: ['yes', 'no']}}"
    return f"apiVersion: quorate/v1\nkind: Workflow\nid: {id}\nversion: 1.0.0\nsteps:\n  ask: {asked}\n"


STORY = {"situation": "an order is late", "motivation": "see where it is", "expected_outcome": "tell the customer"}


def graph():
    """A graph of one node."""
    return wf.Graph(state=STATE).node("a", lambda state, ctx: {"n": 1}).edge(wf.START, "a")


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic():
    value = []
    value.append(value)
    return value


def cyclic_dict():
    value = {}
    value["a"] = value
    return value


def working():
    """A function that can be a tool."""
    return 1


class Bad:
    """An object of which every question raises."""

    def __getattribute__(self, name):
        raise KeyError(name)

    def __len__(self):
        raise KeyError("len")

    def __iter__(self):
        raise KeyError("iter")

    def __float__(self):
        raise KeyError("float")

    def __index__(self):
        raise KeyError("index")


# Made anew for each call: a generator can be read once.
HOSTILE = {
    "None": lambda: None,
    "True": lambda: True,
    "-1": lambda: -1,
    "0": lambda: 0,
    "2**31": lambda: 2**31,
    "2**53": lambda: 2**53,
    "2**63": lambda: 2**63,
    "2**70": lambda: 2**70,
    "10**5000": lambda: 10**5000,
    "1e308": lambda: 1e308,
    "-1e308": lambda: -1e308,
    "1e-320": lambda: 1e-320,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "complex": lambda: 1 + 1j,
    "empty text": lambda: "",
    "NUL": lambda: "a\0b",
    "surrogate": lambda: "\ud800",
    "a long text": lambda: "metformin " * 20_000,
    "a long word": lambda: "x" * 200_000,
    "accents": lambda: "e" + "\u0301" * 5_000,
    "a path upwards": lambda: "../../../../etc/passwd",
    "an endless file": lambda: "/dev/zero",
    "bytes": lambda: b"bytes",
    "[]": list,
    "{}": dict,
    "()": tuple,
    "set": lambda: {"a"},
    "[None]": lambda: [None],
    "[[]]": lambda: [[]],
    "ragged": lambda: [[1.0, 2.0], [1.0]],
    "[nan]": lambda: [float("nan")] * 3,
    "[1e308]": lambda: [[1e308, -1e308, 1e308]] * 3,
    "mixed": lambda: ["a", 1, None, 2.5, b"x"],
    "many numbers": lambda: list(range(50_000)),
    "many texts": lambda: [f"t{i}" for i in range(20_000)],
    "many names": lambda: {f"n{i}": i for i in range(20_000)},
    "{None: None}": lambda: {None: None},
    "{text: list}": lambda: {"a": [1, 2]},
    "deep": lambda: nested(5_000),
    "cyclic": cyclic,
    "cyclic dict": cyclic_dict,
    "object": object,
    "class": lambda: dict,
    "Bad": Bad,
    "generator": lambda: (i for i in range(3)),
    "a function that raises": lambda: lambda *args, **kwargs: 1 / 0,
    "a function of nonsense": lambda: lambda *args, **kwargs: "nonsense",
    "array (0,)": lambda: np.zeros(0),
    "array (2, 2, 2)": lambda: np.zeros((2, 2, 2)),
    "array of objects": lambda: np.array([None, "x"], dtype=object),
    "array of booleans": lambda: np.array([True, False]),
    "array of 10,000 rows": lambda: np.random.default_rng(0).random((10_000, 3)),
    "datetime": lambda: datetime.datetime(2024, 1, 1),
    "an error": lambda: ValueError("x"),
}

FAMILIES = (KeyError, ZeroDivisionError)
"""What functions and objects of the host raise comes through as it is."""


class Host:
    """What calls are made on. What a call has closed or emptied is made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.embedder = quorate.Embedder("builtin")
        self._kb = self._registry = None
        self.count = 0
        (folder / "file.txt").write_text("Metformin lowers glucose.")
        quorate.write_trec_run({"q": {"d": 1.0}}, folder / "run.txt")
        beir = folder / "beir"
        (beir / "qrels").mkdir(parents=True)
        (beir / "corpus.jsonl").write_text('{"_id": "d", "title": "", "text": "t"}\n')
        (beir / "queries.jsonl").write_text('{"_id": "q", "text": "t"}\n')
        (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
        self.registry.save(folder / "agents.yaml")
        (folder / "tasks.json").write_text(json.dumps({"tasks": [{"id": "dose", "question": "Which dose?"}]}))
        self.model = quorate.ScriptedModel(lambda request: "5 mg")
        with quorate.record(folder / "case.jsonl"):
            self.model.complete("q")
        self.runtime = quorate.Runtime(model=self.model, registry=self.registry)
        (folder / "flow.yaml").write_text(flow("own.file"))
        self.make_engine()
        self.make_store()

    @property
    def kb(self):
        try:
            if self._kb is not None and self._kb.count() == 5 and self._kb.tenants() == ["acme"]:
                return self._kb
        except quorate.QuorateError:
            pass
        self._kb = quorate.open(None)
        self._kb.add(DOCUMENTS)
        self._kb.tenant("acme").add(DOCUMENTS[:1])
        return self._kb

    @property
    def registry(self):
        try:
            if self._registry is not None and [a.id for a in self._registry.list()] == ["kidney"]:
                return self._registry
        except quorate.QuorateError:
            pass
        self._registry = quorate.AgentRegistry(catalog=None, embedder=self.embedder)
        self._registry.add(AGENT)
        return self._registry

    def other_card(self):
        """The card of an agent that is not there."""
        with quorate.AgentRegistry(catalog=None, embedder=self.embedder) as other:
            other.add({**AGENT, "id": f"c{time.monotonic_ns()}"})
            return other.export_card(other.list()[0].id)

    def make_engine(self):
        self.engine = wf.Engine(quorate.StateStore())
        self.engine.add(flow("own.review"))
        self.over = self.engine.start("example", offline=True)
        self.over.wait(10)

    def app(self):
        made = graph().compile(quorate.StateStore())
        made.run({}, thread="t")
        return made

    def review(self):
        run = self.engine.start("own.review", {})
        run.wait(10, until="waiting")
        return self.engine.reviews(run=run.id)[0]

    def make_store(self):
        self.store = quorate.StateStore()
        self.queue = self.store.queue("q")
        self.group = self.store.events.subscribe("a.*", group="g")

    def taken(self):
        """A message that is held."""
        self.queue.put(1, priority=10**6)
        return self.queue.take()[0]

    def heard(self):
        """An event that is held."""
        self.store.events.publish("a.b")
        return self.group.take(10_000)[-1]

    def workers(self):
        """Some that have ended: who waits for others waits for long."""
        made = self.store.queue("idle").work(working)
        made.drain()
        return made

    def dead(self):
        """The number of a message that is dead."""
        taken = self.taken()
        self.queue.reject(taken, "no")
        return [taken.id]

    def dead_event(self):
        """The number of an event that is dead."""
        event = self.heard()
        for _ in range(5):
            if self.group.nack(event, 0):
                return [event.seq]
            event = next(one for one in self.group.take(10_000) if one.seq == event.seq)
        raise AssertionError("it does not die")

    def story(self):
        return self.store.stories.add(STORY).id

    def place(self):
        """A place where nothing is."""
        self.count += 1
        return self.folder / f"fresh{self.count}"

    def online(self):
        made = consensus.OnlineDawidSkene(["x", "y"])
        made.add("j", "b", "y")
        return made

    def of(self, name, method=None):
        """What the methods of a class are called on; None for a class that is a result."""
        return {
            "KnowledgeBase": lambda: self.kb,
            "AsyncKnowledgeBase": lambda: self.kb.aio,
            "AgentRegistry": lambda: self.registry,
            "AsyncAgentRegistry": lambda: self.registry.aio,
            "Embedder": lambda: self.embedder,
            "AsyncEmbedder": lambda: self.embedder.aio,
            "EmbeddingCache": lambda: quorate.EmbeddingCache(self.place()),
            "Events": lambda: self.store.events if hasattr(wf.Events, method or "get") else self.registry.subscribe(),
            "Model": lambda: self.model,
            "OnlineDawidSkene": lambda: self.online(),
            "ScriptedModel": lambda: self.model,
            "AsyncModel": lambda: self.model.aio,
            "Runtime": lambda: self.runtime,
            "AsyncRuntime": lambda: self.runtime.aio,
            "Conversation": lambda: self.runtime.conversation("c"),
            "Memory": lambda: self.runtime.memory,
            "Checkpoints": lambda: self.app().store.checkpoints,
            "Graph": graph,
            "App": self.app,
            "ManualClock": lambda: wf.ManualClock(),
            "Engine": lambda: self.engine,
            # Who waits for a run that goes on waits for long.
            "WorkflowRun": lambda: self.over if method in ("wait", "stream") else self.engine.start("own.review", {}),
            "Review": self.review,
            "StateStore": lambda: self.store,
            "AsyncStateStore": lambda: self.store.aio,
            "Queue": lambda: self.queue,
            "AsyncQueue": lambda: self.queue.aio,
            "Dead": lambda: self.queue.dead,
            "AsyncDead": lambda: self.queue.dead.aio,
            "Workers": self.workers,
            "AsyncWorkers": lambda: self.workers().aio,
            "AsyncEvents": lambda: self.store.events.aio,
            "Subscription": lambda: self.group,
            "AsyncSubscription": lambda: self.group.aio,
            "DeadEvents": lambda: self.group.dead,
            "AsyncDeadEvents": lambda: self.group.dead.aio,
            "Stories": lambda: self.store.stories,
            "AsyncStories": lambda: self.store.stories.aio,
            "Saga": lambda: self.store.saga(f"s{time.monotonic_ns()}"),
            "JobStory": lambda: wf.JobStory,
        }.get(name)

    def good(self, call, parameter):
        """A value that the parameter takes; KeyError when none is known."""
        return (BY_CALL.get(call.split(".", 1)[-1] if call.startswith("Async") else call, {}) | {}).get(
            parameter, BY_NAME.get(parameter, KeyError)
        )


# Values that calls need, by the name of the parameter, then by call where the name means something else.
BY_NAME = {
    "query": "glucose", "question": "glucose", "queries": ["glucose"], "texts": ["glucose"], "text": "glucose", "id": "d1",
    "documents": lambda host: [{"id": f"n{time.monotonic_ns()}", "text": "new"}],
    "patterns": lambda host: host.folder / "file.txt", "metadata": {"year": 2024}, "name": "acme", "to": lambda host: host.place(),
    "embedder": lambda host: host.embedder, "version": 1, "vector": lambda host: np.ones(host.embedder.dim, dtype="float32"),
    "hits": lambda host: host.kb.search("glucose"), "place": lambda host: host.place(), "field": "i",
    "agent": AGENT, "agents": lambda host: [{**AGENT, "id": f"a{time.monotonic_ns()}"}], "agent_id": "kidney", "reward": 0.5,
    "card": lambda host: host.other_card(), "path": lambda host: host.folder / "agents.yaml",
    "run": {"q": {"d": 1.0}}, "qrels": {"q": {"d": 1}}, "run_a": {"q": {"d": 1.0}}, "run_b": {"q": {"d": 0.5}},
    "folder": lambda host: host.folder / "beir", "data": RATINGS, "a": ["x", "y", "x"], "b": ["x", "y", "y"], "ranks": RANKS,
    "p": [0.9, 0.7, 0.4], "seeds": [[[1.0, 2.0, 3.0]] * 3] * 2, "answers": [2.0, 2.5, 1.5], "outcomes": [True, False, True],
    "ab": [10, 5, 5, 10], "ba": [9, 6, 5, 10], "votes": ["x", "x", "y"], "predictions": [[0.6, 0.4]] * 3, "rankings": RANKINGS,
    "ratings": [7, 8, 7, 6, 8], "values": [5.0, 4.5], "vectors": [[1.0, 0.0], [0.0, 1.0]],
    "ballots": {"ann": "yes", "bob": "no", "eve": "yes"}, "competences": [0.7, 0.6, 0.8], "classes": ["x", "y"], "item": "i", "rater": "a", "value": "x", "url": "http://127.0.0.1:9/v1", "base_url": "http://127.0.0.1:9/v1",
    "model": "m", "source": "builtin", "passages": ["glucose"], "function": lambda host: len, "fn": lambda host: (lambda texts: [[1.0]]),
    "messages": "q", "replies": ["5 mg"], "runtime": lambda host: host.runtime, "kb": lambda host: host.kb, "user": "ann", "fact": "a fact",
    "run_id": lambda host: host.runtime.ask("What harms the kidney?").run_id, "judge": lambda host: quorate.Judge(host.model),
    "thread": "t", "tasks": [{"id": "dose", "question": "What harms the kidney?", "expect": {"exact": ["5 mg"]}}],
    "comparisons": [("a", "b"), ("b", "a"), ("a", "c"), ("c", "b")], "questions": ["Will it rain?"], "dim": 3, "code": "invalid_argument", "message": "x",
}
BY_CALL = {
    "AgentRegistry": {"path": None, "catalog": None},
    "AgentRegistry.get": {"id": "kidney"}, "AgentRegistry.remove": {"id": "kidney"}, "AgentRegistry.versions": {"id": "kidney"},
    "AgentRegistry.export_card": {"id": "kidney"}, "AgentRegistry.add": {"agent": {**AGENT, "id": "second"}},
    "AgentRegistry.save": {"path": lambda host: host.place()},
    "AgentRegistry.calibrate": {"questions": [("What harms the kidney?", "kidney"), ("Will it rain?", None)]},
    "KnowledgeBase.delete": {"ids": ["d1"]},
    "EmbeddingCache": {"path": lambda host: host.place(), "folder": lambda host: host.place()},
    "icc": {"data": NUMBERS}, "scott_pi": {"data": RATINGS[:2]}, "delphi_round": {}, "bradley_terry": {}, "rank_centrality": {},
    "surprisingly_popular": {"options": ["x", "y"]}, "bayesian_truth_serum": {"options": ["x", "y"]},
    "read_trec_run": {"path": lambda host: host.folder / "run.txt"}, "write_trec_run": {"path": lambda host: host.place()},
    "run": {"function": lambda host: host.kb.count}, "krippendorff_alpha": {}, "m_msr": {}, "one_coin": {},
    "linear_pool": {},
    "ratings": {"data": RATINGS}, "Ratings": {"data": RATINGS},
    "Runtime": {"model": lambda host: host.model}, "Judge": {"model": lambda host: host.model}, "agent_tool": {"id": "kidney"},
    "Runtime.resume_panel": {"run_id": lambda host: host.runtime.panel("What harms the kidney?").run_id},
    "resume_panel": {"run_id": lambda host: host.runtime.panel("What harms the kidney?").run_id},
    "mcp_tools": {"command": lambda host: [sys.executable, str(MCP_SERVER), "normal", str(host.folder / "mcp")]},
    "evaluate_agents": {"repeat": 1}, "load_tasks": {"path": lambda host: host.folder / "tasks.json"},
    "Scorer": {"score": lambda host: working}, "tool": {"function": lambda host: working},
    "Checkpoints.copy": {"thread": "t", "to": lambda host: f"t{time.monotonic_ns()}"}, "Checkpoints.delete": {"thread": "t"}, "Checkpoints.get": {"thread": "t"},
    "Graph": {"state": STATE}, "Graph.node": {"name": "b", "function": lambda host: working}, "Graph.subgraph": {"name": "s", "graph": lambda host: graph()},
    "Graph.edge": {"source": "a", "target": "b"}, "Graph.join": {"sources": ["a"], "target": "b"},
    "Graph.edges_if": {"source": "a", "route": lambda host: working, "targets": ["b"]}, "App.run": {"input": {}},
    "App.stream": {"input": {}, "thread": lambda host: f"t{time.monotonic_ns()}", "modes": ["updates"]},
    "App.fork": {"source": "t", "thread": lambda host: f"t{time.monotonic_ns()}"}, "App.update": {"values": {"n": 1}, "as_node": "a"},
    "Goto": {"to": "a"}, "Send": {"node": "a", "state": {}}, "ManualClock.advance": {"seconds": 1}, "Bulkhead": {"concurrency": 2},
    "Tool": {"name": "look", "function": lambda host: working}, "Engine.add": {"workflow": lambda host: flow(f"own.f{time.monotonic_ns()}")},
    "Engine.load": {"path": lambda host: host.folder / "flow.yaml"}, "Engine.mermaid": {"id": "example"}, "Engine.rendered": {"id": "example"},
    "Engine.versions": {"id": "example"}, "Engine.run": {"id": lambda host: host.over.id}, "Engine.review": {"id": lambda host: host.review().id},
    "Engine.start": {"workflow": "example", "offline": True}, "Engine.schedule": {"cron": "0 6 * * 1", "workflow": "example", "version": None, "offline": True},
    "Engine.scheduled": {"name": lambda host: host.engine.schedule("weekly", "0 6 * * 1", "example", offline=True).name},
    "Engine.step_type": {"kind": lambda host: f"kind{time.monotonic_ns()}", "handler": lambda host: working},
    "WorkflowRun.migrate": {"version": "1.0.0"}, "WorkflowRun.fork": {"step": "ask"}, "WorkflowRun.skip": {"step": "ask"}, "WorkflowRun.signal": {"name": "said"},
    "Review.claim": {"user": "ann"}, "Review.decide": {"option": "yes", "by": "ann"}, "Review.delegate": {"user": "ann"},
    "Queue.put": {"payload": {"a": 1}}, "Queue.work": {"handler": lambda host: working},
    **{f"Queue.{verb}": {"message": lambda host: host.taken()} for verb in ("ack", "nack", "renew")},
    "Queue.reject": {"message": lambda host: host.taken(), "reason": "no"},
    **{f"Subscription.{verb}": {"event": lambda host: host.heard()} for verb in ("ack", "nack", "renew")},
    "Subscription.work": {"handler": lambda host: working},
    "Dead.replay": {"ids": lambda host: host.dead()}, "Dead.discard": {"ids": lambda host: host.dead()},
    "DeadEvents.replay": {"seqs": lambda host: host.dead_event()}, "DeadEvents.discard": {"seqs": lambda host: host.dead_event()},
    "Events.publish": {"subject": "a.b"}, "Events.subscribe": {"pattern": "b.*"}, "Events.replay": {"since": 1}, "Events.prune": {"keep": 10},
    "Saga.do": {"name": "a", "step": lambda host: working}, "Saga.fail": {"reason": "no"},
    "JobStory": STORY, "JobStory.parse": {"sentence": "When x, I want to y, so I can z."}, "JobOutcome": {"metric": "hours"},
    "Engine.generate": {"story": STORY, "type": "track_order"}, "Stories.add": {"story": STORY},
    **{f"Stories.{verb}": {"id": lambda host: host.story()} for verb in ("get", "abandon", "remove")},
    "Stories.outcome": {"id": lambda host: host.story(), "metric": "hours", "value": 1.5},
    "Model": {"name": "openai:m", "api_key": "key"}, "replay": {"path": lambda host: host.folder / "case.jsonl"},
}

# Calls without parameters have nothing to try; those of results are tried by the tests of the results.
WORKS = {
    "KnowledgeBase", "AgentRegistry", "Embedder", "EmbeddingCache", "Events", "AsyncKnowledgeBase", "AsyncAgentRegistry",
    "AsyncEmbedder", "Model", "ScriptedModel", "AsyncModel", "Runtime", "AsyncRuntime", "Conversation", "Memory",
    "OnlineDawidSkene", "Checkpoints", "Graph", "App", "ManualClock", "Engine", "WorkflowRun", "Review",
    "StateStore", "AsyncStateStore", "Queue", "AsyncQueue", "Dead", "AsyncDead", "Workers", "AsyncWorkers", "AsyncEvents", "Subscription",
    "AsyncSubscription", "DeadEvents", "AsyncDeadEvents", "Stories", "AsyncStories", "Saga", "JobStory",
}
MAKERS = {
    "AgentRegistry", "Embedder", "EmbeddingCache", "RemoteEmbedder", "CrossEncoder", "Model", "ScriptedModel", "Resilience",
    "Runtime", "Budget", "Judge", "Member", "Scorer", "StateStore", "OnlineDawidSkene", "Graph",
    "Goto", "Send", "Retry", "Tool", "Breaker", "Bulkhead", "ManualClock", "Engine", "JobStory",
}
SKIPPED = {
    "Events.get": "it waits for an event for as long as it is told to",
    "RemoteEmbedder": "it needs a server; tests of its own give it hostile answers",
    "CrossEncoder": "it needs the weights of a model",
    "instrument": "what a provider of the host's does wrong is the host's own",
    "otlp": "it sends to a collector",
    "record": "it begins the file anew that it is given",
    "Engine.close": "it ends the engine of the other calls",
    "Engine.drain": "as above",
    "WorkflowRun.retry": "it needs a step that has failed",
    "Review.to_json": "as of all results",
    "JobStory.to_json": "as above",
}


ALWAYS = {"data", "ranks", "b"}
"""What has a default and is needed all the same."""


def needs(function):
    """The parameters without a default, and the names of all."""
    required, names = [], []
    for p in inspect.signature(function).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.name == "self":
            continue
        names.append(p.name)
        if p.default is p.empty or p.name in ALWAYS:
            required.append(p.name)
    return required, names


def ask(function, arguments):
    """Calls with arguments by name, those that have a place alone by place."""
    kinds = inspect.signature(function).parameters
    placed = [name for name in arguments if kinds[name].kind is inspect.Parameter.POSITIONAL_ONLY]
    named = {name: value for name, value in arguments.items() if name not in placed}
    return function(*(arguments[name] for name in placed), **named)


def calls(host, table):
    """(name, what makes the function) of every call to be tried."""
    for module, entries in table.items():
        for name, parameters in sorted(entries.items()):
            short = name.split(".")[0]
            if name in SKIPPED or short in SKIPPED or not parameters:
                continue
            value = getattr(sys.modules[module], short)
            if "." in name:
                if short in WORKS:
                    yield name, (lambda short=short, name=name: getattr(host.of(short, name.split(".")[1])(), name.split(".")[1]))
            # Tools of runs are made by `tool` alone.
            elif value is not quorate.Tool and (not isinstance(value, type) or short in MAKERS):
                yield name, (lambda value=value: value)


def settle(found):
    """What is awaited, awaited; what is lazy, read; engines that were made, closed."""
    if isinstance(found, wf.Engine) and not found.runs("completed"):
        found.close()
    if isinstance(found, (wf.Workers, wf.Subscription)):
        found.stop(5)
    if isinstance(found, wf.Saga):
        found.close()
    if isinstance(found, (wf.GraphStream, wf.WorkflowStream)):
        return list(found)
    if inspect.isawaitable(found):
        async def main():
            return await asyncio.wait_for(found, SECONDS)

        return settle(asyncio.run(main()))
    return found


def too_late(*_):
    raise TimeoutError


def main(folder, cases, seed):
    table = json.loads((Path(__file__).resolve().parents[2] / "tests" / "surface" / "found.json").read_text())["python"]
    rng = random.Random(seed)
    host = Host(Path(folder))
    wrong, tried = [], 0
    signal.signal(signal.SIGALRM, too_late)

    def report(what):
        wrong.append(what)
        print("WRONG", what, flush=True)

    def attempt(name, make, arguments, parameter, label):
        nonlocal tried
        tried += 1
        print(f"CALL {name} {parameter}={label}", flush=True)
        before, since = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        what = f"{name}({parameter}={label})"
        try:
            settle(ask(make(), arguments))
        except quorate.QuorateError as error:
            if error.code == "internal" or error.code not in quorate.ERROR_CODES:
                report(f"{what}: code {error.code}: {str(error)[:200]}")
            if len(str(error)) > MESSAGE:
                report(f"{what}: a message of {len(str(error))} characters")
        except (TimeoutError, asyncio.TimeoutError):
            report(f"{what}: not done in {SECONDS:.0f} s")
        except FAMILIES as error:
            if label not in ("Bad", "a function that raises", "a function of nonsense"):
                report(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        except BaseException as error:
            report(f"{what}: {type(error).__name__}: {str(error)[:200]}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        if more > MEGABYTES:
            report(f"{what}: {more} MB more")
        if time.monotonic() - since > SECONDS + 2:
            report(f"{what}: it could not be stopped and took {time.monotonic() - since:.0f} s")

    for name, make in calls(host, table):
        function = make()
        required, names = needs(function)

        def good(parameter, name=name):
            value = host.good(name.replace("Async", "", 1), parameter)
            if value is KeyError:
                raise KeyError(f"{name} needs a good value for '{parameter}': give it one in BY_NAME or BY_CALL of {__file__}")
            return value(host) if callable(value) and not isinstance(value, type) else value

        extra = [p for p in BY_CALL.get(name.replace("Async", "", 1), {}) if p in names and p not in required]
        base = required + extra
        # A call with nothing wrong works; this fails when a new call is not known here.
        signal.setitimer(signal.ITIMER_REAL, 2 * SECONDS)
        try:
            settle(ask(make(), {p: good(p) for p in base}))
        except quorate.QuorateError as error:
            report(f"{name} with good values: {error}")
        except BaseException as error:
            report(f"{name} with good values: {type(error).__name__}: {error}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for parameter in names:
            labels = sorted(HOSTILE)
            if cases and cases < len(labels):
                labels = rng.sample(labels, cases)
            for label in labels:
                try:
                    arguments = {p: good(p) for p in base}
                except KeyError:
                    break
                arguments[parameter] = HOSTILE[label]()
                attempt(name, make, arguments, parameter, label)
    print(json.dumps({"tried": tried, "wrong": wrong}))


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
