"""On which threads does asyncio's work run? A few of our own, started when they are first needed.

Lanes, so that long writes never keep searches waiting. A thread that waits for a function of the host (a reranker, a
progress function) does not count: what that function waits for finds threads, however many calls wait. The threads die with the process they were started in: a child
of ``fork`` starts its own. At the exit of the interpreter what still runs is cancelled.
"""

from __future__ import annotations

import atexit
import functools
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ._quorate import Cancel

Job = tuple[Cancel, Callable[[], None]]

# Threads at most that work at a time.
# Those that ask a service do nothing but wait.
_LANES = {"read": min(32, (os.cpu_count() or 1) + 4), "write": 8, "listen": 64, "ask": 256}


# Calls with functions of the host that run at a time. Further ones wait without a thread, except those that such a function
# makes itself: it would wait for them for ever.
_CALLING_BACK = 256

# Whether this code runs in a function of the host that work waits for.
inside: ContextVar[bool] = ContextVar("quorate_inside", default=False)


class _Lane:
    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._waiting = 0
        self._running: set[Cancel] = set()
        self._calling_back = 0
        self._later: deque[Job] = deque()
        self._closed = False

    def submit(self, job: Job, calls_back: bool) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the interpreter is shutting down")
            if not calls_back or inside.get():
                self._put(job)
                return
            cancel, run = job
            job = (cancel, functools.partial(self._called_back, run))
            if self._calling_back < _CALLING_BACK:
                self._calling_back += 1
                self._put(job)
            else:
                self._later.append(job)

    def _called_back(self, run: Callable[[], None]) -> None:
        """Runs a job that calls functions of the host, then lets the next one begin."""
        try:
            run()
        finally:
            with self._lock:
                if self._later:
                    self._put(self._later.popleft())
                else:
                    self._calling_back -= 1

    def _put(self, job: Job) -> None:
        self._jobs.put(job)
        # An idle thread takes the job; none idle, one more is started up to the limit.
        if self._idle > 0:
            self._idle -= 1
        else:
            self._grow()

    def _grow(self) -> None:
        # Threads that wait for the host do no work: what the host waits for needs threads beside them.
        # None is started at the exit of the interpreter: it would take the word to end from another.
        if not self._closed and len(self._threads) - self._waiting < self._most:
            thread = threading.Thread(target=self._work, name=f"quorate-{self._name}", daemon=True)
            self._threads.add(thread)
            thread.start()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        with self._lock:
            self._waiting += 1
            if self._idle == 0 and not self._jobs.empty():
                self._grow()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _work(self) -> None:
        _here.lane = self
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
                    if len(self._threads) - self._waiting > self._most and not self._closed:
                        # It was started beside threads that waited, which go on now.
                        self._threads.discard(threading.current_thread())
                        if not self._jobs.empty():
                            self._grow()
                        return
                    if self._jobs.empty():
                        self._idle += 1
            del job, run

    def close(self) -> list[threading.Thread]:
        with self._lock:
            self._closed = True
            for cancel in self._running:
                cancel.cancel()
            for cancel, _ in self._later:
                cancel.cancel()
            for _ in self._threads:
                self._jobs.put(None)
            return list(self._threads)


_here = threading.local()


@contextmanager
def waiting() -> Iterator[None]:
    """Around a wait for the host, on whatever thread: what the host waits for meanwhile has threads."""
    lane: _Lane | None = getattr(_here, "lane", None)
    if lane is None:
        yield
        return
    with lane.waiting():
        yield


_lanes: dict[str, _Lane] = {}
_lock = threading.Lock()


def submit(lane: str, cancel: Cancel, run: Callable[[], None], *, calls_back: bool = False) -> None:
    """Runs a job on a thread of a lane, ``read``, ``write``, ``listen`` or ``ask``. The job itself catches what it raises.

    ``calls_back``: whether it calls functions of the host and waits for them.
    """
    with _lock:
        found = _lanes.get(lane)
        if found is None:
            found = _lanes[lane] = _Lane(lane, _LANES[lane])
    found.submit((cancel, run), calls_back)


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
