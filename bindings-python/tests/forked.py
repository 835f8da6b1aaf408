"""Tries every call of the package in a forked child: ``python forked.py FOLDER``.

All of them run once in the parent, so that whatever has threads, connections or locks has them; then the process forks, and the
child makes the same calls on what it inherited. Each must return within seconds, or say ``locked`` where the parent keeps the
right to write. It says what it is about to do; the last line is a JSON list of what went wrong.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import hostile
import numpy as np

import quorate
import quorate.aio
from quorate import consensus

SECONDS = 20.0


def heavy(host, big):
    """Calls on so much that all cores take part."""
    rng = np.random.default_rng(0)
    votes = rng.integers(0, 4, (30, 400)).astype(float)
    return {
        "embed 400 texts": lambda: host.embedder.embed([f"text {i} on metformin" for i in range(400)]),
        "search_batch of 200": lambda: big.search_batch(["metformin", "document 17"] * 100),
        "search 6,000 documents": lambda: big.search_vector(np.ones(host.embedder.dim, dtype="float32"), k=50),
        "filter 6,000 documents": lambda: big.count("i > 100"),
        "alpha with a bootstrap": lambda: consensus.krippendorff_alpha(votes, bootstrap=300),
        "dawid_skene": lambda: consensus.dawid_skene(votes, max_iter=20),
        "glad": lambda: consensus.glad(votes, max_iter=5),
        "mace": lambda: consensus.mace(votes, max_iter=5),
        "kemeny": lambda: consensus.kemeny([list(rng.permutation(12)) for _ in range(20)]),
        "semantic_clusters": lambda: consensus.semantic_clusters(rng.random((600, 16))),
        "compare": lambda: quorate.compare(
            {f"q{i}": {"a": 1.0, "b": 0.5} for i in range(50)},
            {f"q{i}": {"a": 0.5, "b": 1.0} for i in range(50)},
            {f"q{i}": {"a": 1} for i in range(50)},
        ),
        "match": lambda: host.registry.match("Who knows about the kidney?"),
        "a knowledge base of its own": own,
    }


def own():
    with quorate.open(None) as kb:
        kb.add(hostile.DOCUMENTS)
        assert kb.search("metformin")[0].doc_id


def every(host, table):
    for name, make in hostile.calls(host, table):
        required, names = hostile.needs(make())
        extra = [p for p in hostile.BY_CALL.get(name.replace("Async", "", 1), {}) if p in names and p not in required]

        def call(name=name, make=make, wanted=required + extra):
            arguments = {}
            for parameter in wanted:
                value = host.good(name.replace("Async", "", 1), parameter)
                arguments[parameter] = value(host) if callable(value) and not isinstance(value, type) else value
            return hostile.settle(hostile.ask(make(), arguments))

        yield name, call


def main(folder):
    table = json.loads((Path(__file__).resolve().parents[2] / "tests" / "surface" / "found.json").read_text())["python"]
    host = hostile.Host(Path(folder))
    big = quorate.open(None)
    big.add([{"id": str(i), "text": f"document {i} on metformin", "metadata": {"i": i}} for i in range(6000)])
    stored = quorate.open(Path(folder) / "stored")
    stored.add(hostile.DOCUMENTS)
    listener = host.registry.subscribe()
    calls = {**dict(every(host, table)), **heavy(host, big)}
    for name, call in calls.items():
        print("PARENT", name, flush=True)
        try:
            call()
        except quorate.QuorateError as error:
            print("PARENT", name, error, flush=True)
    kb, registry = host.kb, host.registry
    child = os.fork()
    if child:
        until = time.monotonic() + SECONDS * len(calls)
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            time.sleep(0.02)
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            status = -1
        # The parent goes on as if nothing had been.
        stored.upsert([{"id": "after", "text": "the parent goes on"}])
        assert stored.count() == 6 and listener is not None
        big.search_batch(["metformin"] * 50)
        print("CHILD", "ended with", status, flush=True)
        return
    wrong = []
    signal.signal(signal.SIGALRM, hostile.too_late)
    # What the child makes of its own would hide what it inherited.
    hostile.Host.kb = property(lambda self: kb)
    hostile.Host.registry = property(lambda self: registry)
    # An engine is of the process that made it, and says so.
    inherited = host.engine
    try:
        inherited.start("example", offline=True)
        wrong.append("an inherited engine has started a run")
    except quorate.QuorateError as error:
        if error.code != "unsupported":
            wrong.append(f"an inherited engine: {error}")
    host.make_engine()
    calls = {**dict(every(host, table)), **heavy(host, big)}
    calls["close of an inherited engine"] = inherited.close
    calls["close of an inherited knowledge base"] = stored.close
    calls["close of an inherited registry"] = registry.close
    for name, call in calls.items():
        print("CHILD", name, flush=True)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            call()
        except quorate.QuorateError as error:
            # The right to write is the parent's; what an earlier call has taken away is not there.
            if error.code not in ("locked", "closed", "unknown_id", "duplicate_id", "not_found"):
                wrong.append(f"{name}: {error}")
        except BaseException as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    print("RESULT", json.dumps({"tried": len(calls), "wrong": wrong}), flush=True)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    main(sys.argv[1])
