"""How many searches a second does the host answer, how fast, and does its event loop stay free?

Starts the service on the loopback with one worker, stores a collection, and asks it for `--seconds` with each number of
clients. Prints a table. Run: QUORATE_DATA=path/to/data python load_test.py
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import quorate

HERE = Path(__file__).parent
TENANT = {"x-tenant": "load"}


class Client:
    """One connection that stays open; it costs little of the processor that it shares with the service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def get(self, path: str) -> None:
        """Asks, and reads the whole answer."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: load\r\nx-tenant: load\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        if " 200 " not in head.split("\r\n", 1)[0]:
            raise RuntimeError(head)
        length = int(head.split("content-length: ", 1)[1].split("\r\n", 1)[0])
        await self._reader.readexactly(length)


async def phase(port: int, clients: int, seconds: float, paths: list[str]) -> list[float]:
    """The latency of each request, in seconds."""
    turn, took = itertools.cycle(paths), []
    end = time.perf_counter() + seconds

    async def ask() -> None:
        async with Client(port) as client:
            while (start := time.perf_counter()) < end:
                await client.get(next(turn))
                took.append(time.perf_counter() - start)

    await asyncio.gather(*(ask() for _ in range(clients)))
    return sorted(took)


def measure(client: httpx.Client, port: int, args: argparse.Namespace, paths: list[str], mode: str) -> None:
    for clients in args.clients:
        asyncio.run(phase(port, clients, 1.0, paths))  # warm
        start = time.perf_counter()
        took = asyncio.run(phase(port, clients, args.seconds, paths))
        delay = client.get("/health", params={"window": time.perf_counter() - start}).json()["loop_delay_ms"]
        p50, p99 = (1000 * took[min(len(took) - 1, int(share * len(took)))] for share in (0.5, 0.99))
        print(f"| {mode} | {clients} | {len(took) / args.seconds:,.0f} | {p50:.1f} | {p99:.1f} | {delay:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--documents", type=int, default=None, help="how many of the collection's; all by default")
    args = parser.parse_args()

    data = quorate.load_beir(Path(os.environ.get("QUORATE_DATA", "data")) / "scifact")
    corpus = data.corpus[: args.documents]
    asked = [f"/search?k=10&mode={{mode}}&q={quote(text)}" for text in data.queries.values()]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "uvicorn", "--factory", "quorate_host.app:create_app"]
        command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
        child = subprocess.Popen(command, cwd=HERE, env={**os.environ, "QUORATE_HOST_FOLDER": folder})
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=TENANT, timeout=600) as client:
                while True:
                    try:
                        client.get("/health").raise_for_status()
                        break
                    except httpx.TransportError:
                        if child.poll() is not None:
                            raise
                        time.sleep(0.1)
                start = time.perf_counter()
                fields = ("id", "title", "text")
                for i in range(0, len(corpus), 1000):
                    batch = [{name: one[name] for name in fields} for one in corpus[i : i + 1000]]
                    client.post("/documents", json={"documents": batch}).raise_for_status()
                took = time.perf_counter() - start
                delay = client.get("/health", params={"window": took}).json()["loop_delay_ms"]
                print(f"{len(corpus)} documents stored in {took:.1f} s; loop delay at most {delay:.1f} ms\n")
                print("| mode | clients | requests/s | p50 ms | p99 ms | loop delay max ms |")
                print("|---|---|---|---|---|---|")
                for mode in ("hybrid", "dense", "lexical"):
                    measure(client, port, args, [path.format(mode=mode) for path in asked], mode)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


if __name__ == "__main__":
    main()
