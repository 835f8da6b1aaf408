"""Does asyncio get the same answers, without waiting, and does cancellation drop the work?"""

from __future__ import annotations

import asyncio
import inspect
import threading

import numpy as np
import pytest

import quorate
import quorate.aio
from quorate import _pool

DOCUMENTS = [{"id": "a", "text": "Metformin lowers glucose."}, {"id": "b", "text": "The sky is blue."}]


def many(n):
    return [{"id": f"n{i}", "text": "metformin in renal failure " * 40} for i in range(n)]


def test_the_same_answers(tmp_path):
    async def main():
        async with quorate.aio.open(tmp_path / "kb") as kb:
            report = await kb.aio.add(DOCUMENTS, progress=False)
            assert report.added == 2
            hits = await kb.aio.search("glucose", k=1)
            assert isinstance(hits, quorate.Hits) and hits[0].doc_id == "a"
            assert (await kb.aio.search_vector(hits[0].vector, k=1))[0].doc_id == "a"
            both = await asyncio.gather(kb.aio.search_batch(["sky", "sugar"], k=1), kb.aio.count("id = 'a'"))
            assert both[0][0][0].doc_id == "b" and both[1] == 1
            assert (await kb.aio.get("a")).text == DOCUMENTS[0]["text"] and await kb.aio.ids() == ["a", "b"]
            await kb.aio.update_metadata("a", {"year": 2024})
            past = await kb.aio.at((await kb.aio.versions())[-1])
            assert past.get("a").metadata == {"year": 2024}
            acme = await kb.aio.tenant("acme")
            assert await acme.aio.count() == 0
            assert await kb.aio.delete(ids=["b"]) == 1 and (await kb.aio.stats()).documents == 1
            assert await kb.aio.refresh() is False
            await kb.aio.compact()
            with pytest.raises(quorate.NotFound):
                await kb.aio.get("nobody")
        with pytest.raises(quorate.Conflict) as caught:
            await kb.aio.count()
        assert caught.value.code == "closed"
        kb = await quorate.aio.open(tmp_path / "kb", read_only=True)
        async with kb:
            assert kb.count() == 1

    asyncio.run(main())


def test_agents_and_models():
    async def main():
        registry = await quorate.aio.run(quorate.AgentRegistry, catalog=None)
        await registry.aio.add({"id": "x", "name": "X", "summary": "Knows x."})
        assert [m.id for m in await registry.aio.match("x")] == ["x"]
        assert len(await registry.aio.select_panel("x", size=1)) == 1

        async def listen():
            return [event.kind async for event in registry.aio.subscribe()]

        heard = asyncio.create_task(listen())
        await registry.aio.list()
        await registry.aio.record_outcome("x", "x", 1.0)
        await registry.aio.remove("x")
        await registry.aio.close()
        assert (await heard)[-1:] in (["removed"], [])
        model = quorate.Embedder("builtin")
        assert np.array_equal(await model.aio.embed(["a", "b"]), model.embed(["a", "b"]))
        assert (await model.aio.embed_query("a")).shape == (model.dim,)
        assert (await quorate.aio.run(quorate.consensus.majority_vote, [1], ["a"], ["yes"])).labels == {1: "yes"}

    asyncio.run(main())


def test_every_blocking_call_has_a_twin():
    pairs = [
        (quorate.KnowledgeBase, quorate.aio.AsyncKnowledgeBase),
        (quorate.AgentRegistry, quorate.aio.AsyncAgentRegistry),
        (quorate.Embedder, quorate.aio.AsyncEmbedder),
        (quorate.CrossEncoder, quorate.aio.AsyncCrossEncoder),
    ]
    for sync, twin in pairs:
        methods = {n for n, m in inspect.getmembers(sync) if callable(m) and not n.startswith("_")}
        assert methods == {n for n in dir(twin) if not n.startswith("_")}, sync
        for name in methods:
            assert getattr(twin, name).__doc__ == getattr(sync, name).__doc__ or name == "subscribe"
    assert "where" in inspect.signature(quorate.aio.AsyncKnowledgeBase.search).parameters


def test_the_loop_never_waits(tmp_path):
    async def main():
        async with quorate.aio.open(tmp_path / "kb") as kb:
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0)

            ticker = asyncio.create_task(tick())
            await kb.aio.add(many(500))
            ticker.cancel()
            assert ticks > 100

    asyncio.run(main())


def test_cancellation_drops_the_write(tmp_path):
    async def main():
        async with quorate.aio.open(tmp_path / "kb") as kb:
            begun, complaints = asyncio.Event(), []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

            def told(done, total):
                begun.set()

            writing = asyncio.create_task(kb.aio.add(many(5000), progress=told))
            await begun.wait()
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            # The next write waits for nothing that goes on.
            assert (await kb.aio.add(DOCUMENTS)).added == 2
            assert await kb.aio.count() == 2
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(kb.aio.add(many(5000)), 0.0)
            assert await kb.aio.count() == 2
            # What the dropped work says at its end disturbs nobody.
            while _pool._lanes["write"]._running:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert complaints == []

    asyncio.run(main())


def test_progress_runs_on_the_loop(tmp_path):
    async def main():
        async with quorate.aio.open(tmp_path / "kb") as kb:
            told = []

            async def tell(done, total):
                await asyncio.sleep(0)
                told.append((done, threading.get_ident()))

            await kb.aio.add(many(300), progress=tell)
            assert told[-1] == (300, threading.get_ident())

            def refuse(done, total):
                raise ZeroDivisionError("mine")

            with pytest.raises(ZeroDivisionError, match="mine"):
                await kb.aio.upsert([{"id": "new", "text": "t"}], progress=refuse)
            assert "new" not in kb

    asyncio.run(main())


def test_several_loops_one_after_the_other(tmp_path):
    with quorate.open(tmp_path / "kb") as kb:
        kb.add(DOCUMENTS)
        for _ in range(3):
            assert asyncio.run(_first(kb)) == "a"


async def _first(kb):
    return (await kb.aio.search("glucose"))[0].doc_id


@pytest.mark.parametrize("n", [4, 64, 400])
def test_functions_of_the_host_may_await_the_library_however_many_there_are(tmp_path, n):
    async def main():
        with quorate.open(None) as kb, quorate.open(None) as log:
            kb.add([{"id": str(i), "text": f"drug number {i} lowers glucose"} for i in range(20)])
            loop = asyncio.get_running_loop()

            async def rerank(query, hits):
                # One below the other, as a reranker that searches has it.
                await kb.aio.search("drug", k=1, rerank=count)
                return [1.0] * len(hits)

            async def count(query, hits):
                await kb.aio.count()
                return [1.0] * len(hits)

            def on_the_thread(query, hits):
                return asyncio.run_coroutine_threadsafe(count(query, hits), loop).result()

            async def progress(done, total):
                await log.aio.upsert([{"id": "done", "text": f"{done} of {total}"}])

            before = threading.active_count()
            searches = [kb.aio.search("glucose", k=3, rerank=one) for one in (rerank, on_the_thread) for _ in range(n // 2)]
            found = await asyncio.wait_for(asyncio.gather(*searches), 60)
            assert all(len(hits) == 3 for hits in found)
            adds = [kb.aio.upsert([{"id": str(i), "text": "kidney"}], progress=progress) for i in range(min(n, 64))]
            await asyncio.wait_for(asyncio.gather(*adds), 60)
            # The threads that were started beside those that waited are gone again, and there never was one for each call.
            for _ in range(100):
                if threading.active_count() <= before + sum(_pool._LANES.values()):
                    break
                await kb.aio.count()
            assert threading.active_count() <= before + sum(_pool._LANES.values())

    asyncio.run(main())


def test_a_call_whose_function_waits_is_cancelled(tmp_path):
    async def main():
        with quorate.open(None) as kb:
            kb.add(DOCUMENTS)
            begun = asyncio.Event()

            async def rerank(query, hits):
                begun.set()
                await asyncio.sleep(60)

            task = asyncio.create_task(kb.aio.search("glucose", rerank=rerank))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await kb.aio.count() == 2

    asyncio.run(main())
