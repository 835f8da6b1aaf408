"""Are texts embedded as the library does it, and without holding the interpreter?"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

import quorate

MODELS = Path(__file__).parents[2] / "core/tests/fixtures/models"
TEXTS = ["Metformin lowers glucose.", "The sky is blue."]


@pytest.fixture(scope="module")
def builtin():
    return quorate.Embedder("builtin")


def test_shapes_and_lengths(builtin):
    vectors = builtin.embed(TEXTS)
    assert (vectors.dtype, vectors.shape, vectors.flags.c_contiguous) == (np.float32, (2, builtin.dim), True)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(2), abs=1e-5)
    assert builtin.embed([]).shape == (0, builtin.dim)
    assert builtin.embed(iter(TEXTS)) == pytest.approx(vectors)
    assert builtin.embed(np.array(TEXTS)) == pytest.approx(vectors)
    query = builtin.embed_query(TEXTS[0])
    assert (query.dtype, query.shape) == (np.float32, (builtin.dim,))
    assert builtin.embed_queries(TEXTS).shape == vectors.shape
    assert builtin.id and builtin.max_tokens > 0 and builtin.id in repr(builtin)


def test_memory_belongs_to_the_array(builtin):
    vectors = builtin.embed(TEXTS)
    # A view of what Rust computed: no copy was made, and nobody else has it.
    assert not vectors.flags.owndata and vectors.flags.writeable and type(vectors.base.base).__name__ == "PySliceContainer"
    vectors[0, 0] = 5.0
    assert vectors[0, 0] == 5.0


def test_a_transformer_from_a_folder():
    model = quorate.Embedder(MODELS / "bert-mean", batch_size=1)
    expected = json.loads((MODELS / "bert-mean/expected.json").read_text())
    assert model.embed(TEXTS).shape == (2, model.dim)
    assert model.embed_tokens(TEXTS[0]).shape[1] == model.dim
    assert expected
    small = quorate.Embedder(str(MODELS / "bert-mean"), dimensions=2)
    assert small.dim == 2


def test_keywords_only():
    with pytest.raises(TypeError):
        quorate.Embedder("builtin", "f32")


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("model_not_found", lambda: quorate.Embedder("/no/such/folder")),
        ("invalid_argument", lambda: quorate.Embedder(5)),
        ("invalid_argument", lambda: quorate.Embedder("builtin", precision="f8")),
        ("invalid_argument", lambda: quorate.Embedder("builtin", batch_size=0)),
        ("invalid_argument", lambda: quorate.Embedder("builtin", cache="folder")),
        ("invalid_argument", lambda: quorate.Embedder("builtin").embed("one text")),
        ("invalid_argument", lambda: quorate.Embedder("builtin").embed(["a", None])),
        ("invalid_argument", lambda: quorate.Embedder("builtin").embed({"a": 1})),
        ("invalid_argument", lambda: quorate.Embedder("builtin").embed_query(b"bytes")),
        ("invalid_text", lambda: quorate.Embedder("builtin").embed(["a", "\ud800"])),
        ("invalid_text", lambda: quorate.Embedder("builtin").embed_query("\udfff")),
        ("model_not_found", lambda: quorate.CrossEncoder("/no/such/folder")),
    ],
)
def test_bad_input(code, call):
    with pytest.raises(quorate.QuorateError) as caught:
        call()
    assert caught.value.code == code


def test_another_thread_keeps_counting(builtin):
    counts = []
    stop = threading.Event()

    def count():
        while not stop.is_set():
            counts.append(time.perf_counter())
            time.sleep(0.001)

    texts = [" ".join(["metformin in renal failure"] * 60)] * 4000
    thread = threading.Thread(target=count)
    thread.start()
    try:
        start = time.perf_counter()
        builtin.embed(texts)
        end = time.perf_counter()
    finally:
        stop.set()
        thread.join()
    during = sum(start < moment < end for moment in counts)
    # One tick for every 20 ms would already show that the lock was free.
    assert during >= (end - start) / 0.02, (during, end - start)


def test_threads_share_a_model(builtin):
    expected = builtin.embed(TEXTS)
    found = [None] * 4

    def work(n):
        found[n] = builtin.embed(TEXTS)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(vectors, expected) for vectors in found)


def test_cache(tmp_path):
    cache = quorate.EmbeddingCache(tmp_path / "cache", max_bytes=1 << 20)
    model = quorate.Embedder("builtin", cache=cache)
    first = model.embed(TEXTS)
    assert np.array_equal(model.embed(TEXTS), first)
    stats = cache.stats()
    assert stats["hits"] >= 2 and stats["entries"] >= 2 and 0 < stats["hit_rate"] < 1
    assert "entries=" in repr(cache)


def test_cross_encoder():
    model = quorate.CrossEncoder(MODELS / "cross-bert")
    scores = model.score("metformin", TEXTS)
    assert (scores.dtype, scores.shape) == (np.float32, (2,))
    assert model.score("metformin", []).shape == (0,)


def test_remote():
    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = [{"index": i, "embedding": [3.0, 4.0]} for i, _ in enumerate(asked["input"])]
            body = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        model = quorate.RemoteEmbedder(url, model="m", api_key="secret-key", dimensions=2, retries=0)
        assert isinstance(model, quorate.Embedder)
        assert model.embed(TEXTS) == pytest.approx(np.array([[0.6, 0.8]] * 2))
        assert "secret-key" not in repr(model)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(quorate.Unavailable) as caught:
        model.embed(["again"])
    assert caught.value.code in ("offline", "remote_failed") and "secret-key" not in str(caught.value)


def lengths(texts):
    return [[len(text), 1.0, 0.0] for text in texts]


async def awaited(texts):
    return np.array(lengths(texts), dtype=np.float64)


@pytest.mark.parametrize("function", [lengths, awaited, lambda texts: np.array(lengths(texts), dtype=np.float32)])
def test_a_function_of_the_host_is_an_embedder(function, tmp_path):
    embedder = quorate.CallbackEmbedder(function, dim=3, id="lengths-v1")
    assert isinstance(embedder, quorate.Embedder)
    assert (embedder.dim, embedder.id) == (3, "callback:lengths-v1:3")
    assert embedder.embed(["abc"])[0] == pytest.approx(np.array([3, 1, 0]) / np.sqrt(10))
    with quorate.open(tmp_path / "kb", embedder=embedder) as kb:
        kb.add([{"id": "a", "text": "four"}, {"id": "b", "text": "a much longer text than the other one"}])
        assert kb.search("five", mode="dense")[0].doc_id == "a"
    other = quorate.CallbackEmbedder(function, dim=3, id="other")
    with pytest.raises(quorate.Conflict) as caught:
        quorate.open(tmp_path / "kb", embedder=other)
    assert caught.value.code == "embedder_mismatch"


def test_what_is_told_of_hits_asks_no_embedder():
    asked = []

    def function(texts):
        asked.append(texts)
        return lengths(texts)

    with quorate.open(None, embedder=quorate.CallbackEmbedder(function, dim=3, id="counted")) as kb:
        kb.add([{"id": "a", "text": "kidney failure"}])
        hits = kb.search("kidney")
        before = len(asked)
        # Threads that look at once would wait for each other with the interpreter's lock, which the function needs.
        assert 0 <= hits[0].relevance <= 1
        assert len(asked) == before


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (lambda texts: [], "callback"),
        (lambda texts: [[1.0, 2.0]], "callback"),
        (lambda texts: [[1.0, 2.0, float("inf")]], "not_finite"),
        (lambda texts: "no", "invalid_argument"),
    ],
)
def test_what_the_function_gives_is_checked(function, code):
    with pytest.raises(quorate.QuorateError) as caught:
        quorate.CallbackEmbedder(function, dim=3, id="bad").embed(["a"])
    assert caught.value.code == code


def test_what_the_function_raises_is_the_cause():
    def broken(texts):
        raise KeyError("no such model")

    embedder = quorate.CallbackEmbedder(broken, dim=3, id="broken")
    with pytest.raises(quorate.InvalidInput) as caught:
        embedder.embed_query("a")
    assert caught.value.code == "callback"
    assert isinstance(caught.value.__cause__, KeyError)
    for function, dim, name in [("no", 3, "x"), (lengths, 0, "x"), (lengths, 3, ""), (lengths, True, "x")]:
        with pytest.raises(quorate.InvalidInput):
            quorate.CallbackEmbedder(function, dim=dim, id=name)


def test_counts_of_threads_and_batches_have_limits():
    for options in ({"threads": 2**31}, {"batch_size": 2**40}):
        with pytest.raises(quorate.InvalidInput) as caught:
            quorate.Embedder("builtin", **options)
        assert caught.value.code == "too_large"
