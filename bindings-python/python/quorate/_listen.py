"""How do any number of asyncio's listeners wait on one thread?

The thread waits until writers of a registry and readers of streams ring the numbers of listeners, and wakes those on their own event loops. It
is started when it is first needed, dies with the process it was started in, and ends at the exit of the interpreter.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import _quorate

# For the start of the thread alone. A listener that was forgotten goes when the collector runs, on any thread and while that
# holds this lock: what it does takes no lock.
_lock = threading.Lock()
_numbers = itertools.count()
_waiting: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
_bell: _quorate.Bell | None = None
_thread: threading.Thread | None = None


@contextmanager
def woken(events: _quorate.Events | _quorate.ModelFlow) -> Iterator[asyncio.Event]:
    """What is set, on the running loop, whenever there may be something to hear."""
    global _bell, _thread
    wake = asyncio.Event()
    number = next(_numbers)
    try:
        _waiting[number] = (asyncio.get_running_loop(), wake)
        with _lock:
            if _bell is None:
                _bell = _quorate.Bell()
                _thread = threading.Thread(target=_work, args=(_bell,), name="quorate-listen", daemon=True)
                _thread.start()
            bell = _bell
        events._ring(bell, number)
        yield wake
    finally:
        _waiting.pop(number, None)


def _work(bell: _quorate.Bell) -> None:
    while (numbers := bell.wait()) is not None:
        for number in numbers:
            found = _waiting.get(number)
            if found is None:
                continue
            loop, wake = found
            try:
                loop.call_soon_threadsafe(wake.set)
            except RuntimeError:
                # The loop is closed: nobody listens.
                _waiting.pop(number, None)


def _forget() -> None:
    """In the child of a fork: the thread is not there, and the loops are the parent's."""
    global _lock, _bell, _thread
    _lock = threading.Lock()
    _waiting.clear()
    _bell = _thread = None


def _close() -> None:
    if _bell is not None and _thread is not None:
        _bell.close()
        _thread.join()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
