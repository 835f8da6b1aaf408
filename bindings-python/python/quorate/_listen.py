"""How do any number of listeners wait on one thread?

The thread waits until writers of a registry, readers of streams and who cancels work ring the numbers of listeners, and tells those: asyncio's
on their own event loops. It is started when it is first needed, dies with the process it was started in, and ends at the exit of the interpreter.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import _quorate

if TYPE_CHECKING:
    import asyncio

# For the start of the thread alone. A listener that was forgotten goes when the collector runs, on any thread and while that
# holds this lock: what it does takes no lock.
_lock = threading.Lock()
_numbers = itertools.count()
_waiting: dict[int, Callable[[], object]] = {}
_bell: _quorate.Bell | None = None
_thread: threading.Thread | None = None
_closed = False


@contextmanager
def told(by: _quorate.Events | _quorate.ModelFlow | _quorate.Cancel, tell: Callable[[], object]) -> Iterator[None]:
    """Has ``tell`` called, on the listening thread, whenever there may be something to hear. It must be quick, and may be called once more after that."""
    global _bell, _thread
    number = next(_numbers)
    held = None
    try:
        _waiting[number] = tell
        with _lock:
            # At the end of the interpreter nobody listens any more.
            if _bell is None and not _closed:
                _bell = _quorate.Bell()
                _thread = threading.Thread(target=_work, args=(_bell,), name="quorate-listen", daemon=True)
                _thread.start()
            bell = _bell
        held = None if bell is None else by._ring(bell, number)
        yield
    finally:
        _waiting.pop(number, None)
        del held


@contextmanager
def woken(by: _quorate.Events | _quorate.ModelFlow | _quorate.Cancel) -> Iterator[asyncio.Event]:
    """What is set, on the running loop, whenever there may be something to hear."""
    import asyncio

    wake, loop = asyncio.Event(), asyncio.get_running_loop()
    with told(by, functools.partial(loop.call_soon_threadsafe, wake.set)):
        yield wake


def _work(bell: _quorate.Bell) -> None:
    while (numbers := bell.wait()) is not None:
        for number in numbers:
            tell = _waiting.get(number)
            if tell is None:
                continue
            try:
                tell()
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
    global _closed
    with _lock:
        _closed = True
        bell, thread = _bell, _thread
    if bell is not None and thread is not None:
        bell.close()
        thread.join()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
