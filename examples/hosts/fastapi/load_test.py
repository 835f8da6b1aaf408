"""How many searches, answers and panels a second does the host give, how fast, does its event loop stay free, and does it grow?

Starts the service on the loopback with one process, stores a collection, and asks it for `--seconds` with each number of clients. Prints a table.
`--minutes` asks on, with 32 clients, and prints the memory each half minute.

    QUORATE_DATA=path/to/data python load_test.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import quorate
from quorate_host import token
from quorate_host.app import create_app
from quorate_host.settings import Settings

HERE = Path(__file__).parent
SECRET = "a secret of the load test, and of nothing else"
MODEL_SECONDS = 0.05


def scripted() -> object:
    """The service with a model that takes 50 ms, as one far away does: `uvicorn --factory load_test:scripted`."""

    def say(request: dict[str, object]) -> str:
        time.sleep(MODEL_SECONDS)
        ballot = "choice" in json.dumps(request.get("output") or {})
        return '{"choice": "yes", "confidence": 0.9, "reasons": []}' if ballot else "Five mg a day is what is given."

    return create_app(model=quorate.ScriptedModel(say))


class Client:
    """One connection that stays open; it costs little of the processor that it shares with the service."""

    def __init__(self, port: int, header: str) -> None:
        self._port, self._header = port, header
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, path: str, body: bytes | None) -> None:
        """Asks, and reads the whole answer. Anything but 200 is an error of the test."""
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nhost: load\r\n{self._header}\r\n"
        if body is not None:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n".encode() + (body or b""))
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length: ", 1)[1].split("\r\n", 1)[0])
        got = await self._reader.readexactly(length)
        if " 200 " not in answer.split("\r\n", 1)[0]:
            raise RuntimeError(f"{answer}{got[:500]!r}")


Request = tuple[str, bytes | None]


async def phase(port: int, header: str, clients: int, seconds: float, requests: Iterator[Request]) -> list[float]:
    """The latency of each request, in seconds."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def ask() -> None:
        async with Client(port, header) as client:
            while (start := time.perf_counter()) < end:
                await client.ask(*next(requests))
                took.append(time.perf_counter() - start)

    await asyncio.gather(*(ask() for _ in range(clients)))
    return sorted(took)


def searches(queries: list[str]) -> Iterator[Request]:
    """Searches without end."""
    while True:
        for text in queries:
            yield f"/v1/search?k=10&q={quote(text)}", None


def bodies(path: str, more: dict[str, object]) -> Callable[[list[str]], Iterator[Request]]:
    """Questions without end, no two alike."""

    def made(queries: list[str]) -> Iterator[Request]:
        number = 0
        while True:
            for text in queries:
                number += 1
                yield path, json.dumps({"question": f"{text} ({number})", **more}).encode()

    return made


KINDS = {
    "search": searches,
    "ask": bodies("/v1/ask", {"agent": "clinical-pharmacy"}),
    "panel of 3": bodies("/v1/panels", {"members": ["clinical-pharmacy", "primary-care", "fda-ind"], "options": ["yes", "no"]}),
}


def memory(child: subprocess.Popen[bytes]) -> float:
    """MiB of the process that are in memory; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except OSError:
        return 0.0


@contextmanager
def served(factory: str, header: dict[str, str]) -> Iterator[tuple[int, subprocess.Popen[bytes], httpx.Client]]:
    """A process of the service, ended by its own id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), "--no-access-log"]
        told = {"FOLDER": f"{folder}/kb", "JWT_SECRET": SECRET, "RATE": "0", "RUNS": "1000", "LOG_LEVEL": "warning"}
        environment = {**os.environ, **{f"QUORATE_HOST_{name}": value for name, value in told.items()}}
        child = subprocess.Popen(command, cwd=HERE, env=environment)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=header, timeout=600) as client:
                while True:
                    try:
                        client.get("/v1/health/ready").raise_for_status()
                        break
                    except httpx.TransportError:
                        if child.poll() is not None:
                            raise
                        time.sleep(0.1)
                yield port, child, client
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(60)


def measure(name: str, kind: str, queries: list[str], args: argparse.Namespace, corpus: list[dict[str, str]]) -> None:
    """A row for each number of clients."""
    made = token.make(Settings(folder=Path("unused"), jwt_secret=SECRET), "load", "load", seconds=86_400)
    header = {"authorization": f"Bearer {made}"}
    line = f"authorization: Bearer {made}"
    with served("load_test:scripted" if "scripted" in name else "quorate_host.app:create_app", header) as (port, child, client):
        for i in range(0, len(corpus), 1000):
            client.post("/v1/documents", json={"documents": corpus[i : i + 1000]}).raise_for_status()
        requests = KINDS[kind](queries)
        asyncio.run(phase(port, line, 8, 1.0, requests))  # warm
        for clients in args.clients:
            before, start = memory(child), time.perf_counter()
            took = asyncio.run(phase(port, line, clients, args.seconds, requests))
            spent = time.perf_counter() - start
            delay = client.get("/health", params={"window": spent}).json()["loop_delay_ms"]
            p50, p99 = (1000 * took[min(len(took) - 1, int(share * len(took)))] for share in (0.5, 0.99))
            row = [name, clients, f"{len(took) / spent:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{delay:.1f}", f"{before:.0f}", f"{memory(child):.0f}"]
            print(f"| {' | '.join(str(one) for one in row)} |", flush=True)
        for half in range(int(2 * args.minutes)):
            took = asyncio.run(phase(port, line, 32, 30.0, requests))
            print(f"{name}: minute {(half + 1) / 2:.1f}: {len(took) / 30:,.0f} requests/s, {memory(child):.0f} MiB", flush=True)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--documents", type=int, default=None, help="how many of the collection's; all by default")
    parser.add_argument("--only", nargs="+", default=None, help="of: search, ask (extractive), ask (scripted), panel (extractive), panel (scripted)")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long to ask on with 32 clients, and look at the memory")
    args = parser.parse_args()

    data = quorate.load_beir(Path(os.environ.get("QUORATE_DATA", "data")) / "scifact")
    corpus = [{name: one[name] for name in ("id", "title", "text")} for one in data.corpus[: args.documents]]
    queries = list(data.queries.values())
    print("| what | clients | requests/s | p50 ms | p99 ms | loop delay max ms | MiB before | MiB after |")
    print("|---|---|---|---|---|---|---|---|")
    names = {
        "search": "search",
        "ask (extractive)": "ask",
        "ask (scripted)": "ask",
        "panel (extractive)": "panel of 3",
        "panel (scripted)": "panel of 3",
    }
    for name, kind in names.items():
        if args.only is None or name in args.only:
            measure(name, kind, queries, args, corpus)


if __name__ == "__main__":
    main()
