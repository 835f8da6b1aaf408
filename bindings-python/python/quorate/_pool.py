"""On which threads does asyncio's work run? A few of our own, started when they are first needed.

Two lanes, so that long writes never keep searches waiting. The threads die with the process they were started in: a child
of ``fork`` starts its own. At the exit of the interpreter what still runs is cancelled.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable

from ._quorate import Cancel

Job = tuple[Cancel, Callable[[], None]]

# Threads at most. Listeners wait nearly all the time.
_LANES = {"read": min(32, (os.cpu_count() or 1) + 4), "write": 8, "listen": 64}


class _Lane:
    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._running: set[Cancel] = set()
        self._closed = False

    def submit(self, job: Job) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the interpreter is shutting down")
            self._jobs.put(job)
            # An idle thread takes the job; none idle, one more is started up to the limit.
            if self._idle > 0:
                self._idle -= 1
            elif len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name=f"quorate-{self._name}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            cancel, run = job
            with self._lock:
                self._running.add(cancel)
                if self._closed:
                    cancel.cancel()
            try:
                run()
            finally:
                with self._lock:
                    self._running.discard(cancel)
                    if self._jobs.empty():
                        self._idle += 1
            del job, run

    def close(self) -> list[threading.Thread]:
        with self._lock:
            self._closed = True
            for cancel in self._running:
                cancel.cancel()
            for _ in self._threads:
                self._jobs.put(None)
            return self._threads


_lanes: dict[str, _Lane] = {}
_lock = threading.Lock()


def submit(lane: str, cancel: Cancel, run: Callable[[], None]) -> None:
    """Runs a job on a thread of a lane, ``read``, ``write`` or ``listen``. The job itself catches what it raises."""
    with _lock:
        found = _lanes.get(lane)
        if found is None:
            found = _lanes[lane] = _Lane(lane, _LANES[lane])
    found.submit((cancel, run))


def _forget() -> None:
    """In the child of a fork: none of the threads is there."""
    global _lock
    _lock = threading.Lock()
    _lanes.clear()


def _close() -> None:
    threads = [thread for lane in list(_lanes.values()) for thread in lane.close()]
    for thread in threads:
        thread.join()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
