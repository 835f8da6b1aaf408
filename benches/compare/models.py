"""What language models cost above the wire: a streamed chunk, and a whole answer, beside the official SDK.

Run: python benches/compare/models.py [--chunks 2000] [--rounds 20] [--calls 500] [--streams 256]
Needs the package, and openai (requirements/compare.txt).

A server of this machine, in a process of its own, answers with bytes that were made before. `chunk`: the time of a streamed answer
divided by its chunks, all sent at once; `paced`: the processor time of this process where the chunks come one by one. `whole`: an
answer of one sentence above a bare request of Python's http.client on a kept connection. Times are medians in microseconds; the
last line is a JSON object with all numbers.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import socket
import statistics
import sys
import threading
import time

import quorate
from rows import row

HEAD = "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n"


def event(content, finish=None):
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


def framed(body):
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def serve(chunks, ready):
    """Answers for ever; `max_tokens` of a request says how: 1 whole, 2 a stream at once, 3 chunk by chunk."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "5 mg once a day."}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    whole = HEAD.format("application/json").encode() + framed(json.dumps(body).encode()) + b"0\r\n\r\n"
    pieces = [event(f"word{i} ") for i in range(chunks)] + [event("", "stop"), b"data: [DONE]\n\n"]
    head = HEAD.format("text/event-stream").encode()
    at_once = head + framed(b"".join(pieces)) + b"0\r\n\r\n"

    def one(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb")
        while file.readline():
            length = 0
            while (line := file.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            how = json.loads(file.read(length)).get("max_tokens")
            if how == 3:
                connection.sendall(head)
                for piece in pieces:
                    connection.sendall(framed(piece))
                    time.sleep(0.0005)
                connection.sendall(b"0\r\n\r\n")
            else:
                connection.sendall(at_once if how == 2 else whole)

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    ready.send(listener.getsockname()[1])
    while True:
        threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


def median_us(call, rounds):
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--streams", type=int, default=256)
    given = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(given.chunks, there), daemon=True)
    server.start()
    port = here.recv()
    base = f"http://127.0.0.1:{port}/v1"
    model = quorate.Model("openai:m", base_url=base, api_key="k", resilience=quorate.Resilience(max_concurrent=given.streams))
    question = [{"role": "user", "content": "Which dose?"}]
    found = {}
    peers = {"chunk": {}, "whole": {}}

    def ours(how):
        n = 0
        for one in model.stream(question, max_tokens=how):
            n += one.type == "text"
        assert n == given.chunks, (n, one)

    async def awaited():
        n = 0
        async for one in model.aio.stream(question, max_tokens=2):
            n += one.type == "text"
        assert n == given.chunks

    found["chunk"] = median_us(lambda: ours(2), given.rounds) / given.chunks
    found["chunk awaited"] = median_us(lambda: asyncio.run(awaited()), given.rounds) / given.chunks
    start = time.process_time_ns()
    ours(3)
    found["paced"] = (time.process_time_ns() - start) / 1000 / given.chunks

    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"model": "m", "messages": question, "max_tokens": 1})

    def bare():
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        connection.getresponse().read()

    found["bare"] = median_us(bare, given.calls)
    found["whole"] = median_us(lambda: model.complete(question, max_tokens=1), given.calls)

    async def many():
        return await asyncio.gather(*(model.aio.stream(question, max_tokens=2).result() for _ in range(given.streams)))

    start = time.perf_counter()
    assert all(reply.text.count("word") == given.chunks for reply in asyncio.run(many()))
    found["streams at once, chunk"] = (time.perf_counter() - start) * 1e6 / given.streams / given.chunks
    try:
        import openai
    except ImportError:
        print("openai is not installed: without the peer", file=sys.stderr)
    else:
        client = openai.OpenAI(base_url=base, api_key="k", max_retries=0)

        def theirs(how):
            n = 0
            for one in client.chat.completions.create(model="m", messages=question, max_tokens=how, stream=True):
                n += bool(one.choices[0].delta.content)
            assert n == given.chunks

        found["openai chunk"] = median_us(lambda: theirs(2), max(3, given.rounds // 4)) / given.chunks
        start = time.process_time_ns()
        theirs(3)
        found["openai paced"] = (time.process_time_ns() - start) / 1000 / given.chunks
        ask = lambda: client.chat.completions.create(model="m", messages=question, max_tokens=1)  # noqa: E731
        found["openai whole"] = median_us(ask, given.calls // 4)
        peers = {"chunk": {"openai SDK": found["openai chunk"]}, "whole": {"openai SDK": found["openai whole"]}}
        found["chunk, ratio"] = found["openai chunk"] / found["chunk"]
    found["whole above bare"] = found["whole"] - found["bare"]
    row("streamed chunk of a model, from Python", "us", found["chunk"], peers["chunk"])
    row("complete() of a model, from Python", "us", found["whole"], peers["whole"])
    for name, value in found.items():
        print(f"{name:28} {value:8.2f}")
    print(json.dumps(found))
    server.terminate()


if __name__ == "__main__":
    main()
