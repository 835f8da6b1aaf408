"""How does work wait in line, and who works it off?

>>> import quorate
>>> store = quorate.StateStore()
>>> mail = store.queue("mail", concurrency=4)
>>> mail.put({"to": "a@example.com"}).id
1
>>> [taken] = mail.take()
>>> mail.ack(taken)
>>> mail.stats().done
1
"""

from __future__ import annotations

import atexit
import datetime
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .. import _quorate
from .._errors import InvalidInput, QuorateError
from .._given import text
from .._record import Record, record
from .._report import Report, plain
from ._forms import Retry
from ._hands import Hands

if TYPE_CHECKING:
    import asyncio

    from .._store import StateStore
    from ._queue_aio import AsyncDead, AsyncQueue, AsyncWorkers

Span: TypeAlias = "float | str | datetime.timedelta"
"""Seconds, a text such as ``5m`` or ``PT1H``, or a timedelta."""
Retries: TypeAlias = "int | Mapping[str, Any] | Retry"
"""How often something is tried: a number of attempts, a :class:`Retry`, or ``max_attempts``, ``first``, ``factor``, ``longest``."""
Line: TypeAlias = _quorate.NativeLine

_working: set[Workers] = set()
"""All that work in this process: whoever does not keep what :meth:`Queue.work` gives has not stopped it."""


@dataclass(frozen=True, repr=False)
class Held(Report):
    """What somebody holds by a lease."""

    data: Any
    """What was put, or published."""
    key: str | Mapping[str, str] | None
    """What it is counted by."""
    attempts: int
    """How often it was taken, with this time."""
    lease: str
    """By what it is held: what settles it."""
    lease_until: float
    """When the lease runs out unless it is renewed, in seconds since 1970."""
    _cancel: _quorate.Cancel = field(default_factory=_quorate.Cancel, repr=False, kw_only=True)

    @property
    def cancelled(self) -> bool:
        """Whether its handler is to end: the workers stop, or the lease was lost, and somebody else may have it."""
        return self._cancel.cancelled


@dataclass(frozen=True, repr=False)
class Message(Held):
    """A message that somebody holds."""

    id: int
    """Its number in the queue."""
    priority: int
    """The higher went first."""
    put_at: float
    """When it was put, in seconds since 1970."""


@dataclass(frozen=True, repr=False)
class DeadMessage(Report):
    """A message that was tried too often."""

    id: int
    """Its number in the queue."""
    data: Any
    """What was put; None where it is damaged, which ``reason`` says then."""
    key: str | Mapping[str, str] | None
    """What it is counted by."""
    priority: int
    """Its priority."""
    attempts: int
    """How often it was taken."""
    put_at: float
    """When it was put, in seconds since 1970."""
    died_at: float
    """When it was put aside."""
    reason: str
    """Why it was not worked off the last time."""


@dataclass(frozen=True, repr=False)
class Put(Report):
    """What came of putting a message."""

    id: int
    """Its number in the queue; or that of the message that had its name before it."""
    new: bool
    """Whether it is in the queue; False: its name kept it out."""


def span_of(given: Any) -> Any:
    """A span as the native half takes it."""
    return given.total_seconds() if isinstance(given, datetime.timedelta) else given


def retry_of(given: Any, what: str) -> Any:
    """How often something is tried, as the native half takes it. Code: ``invalid_argument``."""
    if isinstance(given, Retry):
        if given.on is not None:
            raise InvalidInput("invalid_argument", f"{what}: whether it is tried again does not depend on the exception; leave out on")
        return {"max_attempts": given.max_attempts, "first": given.initial, "factor": given.factor, "longest": given.longest}
    if isinstance(given, Mapping):
        return {name: span_of(member) for name, member in given.items()}
    return given


def lease_of(given: Any, kind: type[Held]) -> str:
    """By what something is held. Code: ``invalid_argument``."""
    if not isinstance(given, kind):
        raise InvalidInput("invalid_argument", f"of type {type(given).__name__}; a {kind.__name__} that was taken is expected")
    return text(given.lease, "lease")


def ids_of(given: Any, member: str) -> dict[str, Any]:
    """Numbers of dead messages, or the dead ones themselves. Code: ``invalid_argument``."""
    if isinstance(given, (str, bytes, Mapping, type)) or not hasattr(given, "__iter__"):
        raise InvalidInput("invalid_argument", f"ids are of type {type(given).__name__}; a list of numbers of dead messages is expected")
    return {"value": [getattr(one, member) if isinstance(one, Report) and hasattr(one, member) else one for one in given]}


class Work(NamedTuple):
    """How something is worked off."""

    retry: Retries | None
    threads: int
    poll: Span


def handler_of(given: Any) -> Callable[[Any], Any]:
    """What works something off. Code: ``invalid_argument``."""
    if not callable(given):
        raise InvalidInput("invalid_argument", f"handler is of type {type(given).__name__}; a function of a message is expected")
    handler: Callable[[Any], Any] = given
    return handler


class _OnLoop(Hands):
    """Where coroutines run on a loop of the host's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.host = loop

    def _waited(self, given: Any, cancel: _quorate.Cancel, what: str, writes: bool) -> Any:
        from .. import _loop

        return _loop.waited(given, self.host, cancel, what, writes, lasting=True)


def worked(
    store: StateStore, line: Line, handler: Any, make: Callable[..., Held], what: str, how: Work, loop: asyncio.AbstractEventLoop | None
) -> Workers:
    """Has a handler work a line off; coroutines run on ``loop``, or one of the workers' own."""
    call, hands = handler_of(handler), Hands() if loop is None else _OnLoop(loop)
    made: list[Workers] = []

    def handle(one: dict[str, Any], cancel: _quorate.Cancel) -> None:
        held = make(**one, _cancel=cancel)
        try:
            hands.run(lambda: call(held), cancel, f"the handler of {what}", False)
        finally:
            if loop is not None and loop.is_closed() and made:
                # Nothing can be worked off here any more, and is for others.
                made[0]._native.leave()

    given = {"threads": how.threads, "poll": span_of(how.poll), "retry": retry_of(how.retry, "retry")}
    made.append(Workers(store, line.work(handle, given), hands, what))
    return made[0]


class Workers:
    """Threads of this process that work something off, until they are told to end or the store is closed: a context manager that drains them.

    They go on also where nobody keeps them. Made by :meth:`Queue.work` and :meth:`Subscription.work`.
    """

    def __init__(self, store: StateStore, native: _quorate.NativeWorkers, hands: Hands, what: str) -> None:
        self._store, self._native, self._hands, self._what = store, native, hands, what
        _working.add(self)

    def drain(self, timeout: float | None = None) -> bool:
        """Takes nothing more, and waits until what is being worked at is settled, at most ``timeout`` seconds; whether it is."""
        return self._end(False, timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """The same, and tells the handlers to end: their messages say ``cancelled``, and coroutines are cancelled."""
        return self._end(True, timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until they were told to end and have, at most ``timeout`` seconds; whether they have. What a process that only works calls."""
        return self._native.wait(timeout)

    @property
    def working(self) -> int:
        """How many messages are being worked at."""
        return self._native.working()

    @property
    def error(self) -> QuorateError | None:
        """What went wrong last with the store, rather than with a message."""
        found = self._native.error()
        return None if found is None else _quorate.error(*found)

    @property
    def aio(self) -> AsyncWorkers:
        """The same calls for asyncio: ``await workers.aio.drain()``."""
        from ._queue_aio import AsyncWorkers

        return AsyncWorkers(self)

    def _end(self, stop: bool, timeout: float | None) -> bool:
        done = self._native.end(stop, timeout)
        if done:
            self._over()
        return done

    def _over(self) -> None:
        _working.discard(self)
        self._hands.close()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drain()

    def __repr__(self) -> str:
        return f"<workers of {self._what}>"


class Dead:
    """The messages of a queue that were tried too often."""

    def __init__(self, native: Line, what: str) -> None:
        self._native, self._what = native, what

    def list(self) -> list[DeadMessage]:
        """All of them, in the order of their numbers. Codes: ``unknown_id`` when the queue was deleted; ``corrupt``, ``io``."""
        return [DeadMessage(**found) for found in self._native.dead()]

    def replay(self, ids: Iterable[int | DeadMessage]) -> int:
        """Puts messages back into the queue as if they had not been tried; how many: all of them or, with an error, none.
        Codes: ``unknown_id`` when one is not dead; ``invalid_argument``, ``locked``, ``io``."""
        return self._native.replay(ids_of(ids, "id"))

    def discard(self, ids: Iterable[int | DeadMessage]) -> int:
        """Removes messages; how many: all of them or, with an error, none. No file has a byte of them then. Codes: those of :meth:`replay`."""
        return self._native.discard(ids_of(ids, "id"))

    @property
    def aio(self) -> AsyncDead:
        """The same calls for asyncio: ``await queue.dead.aio.list()``."""
        from ._queue_aio import AsyncDead

        return AsyncDead(self)

    def __repr__(self) -> str:
        return f"{self._what}.dead"


class Queue:
    """A durable queue. Whoever takes a message holds its lease until it is acknowledged or given back; when the lease runs out, or its
    process ends, somebody else gets it. So each message is worked off at least once. Made by :meth:`quorate.StateStore.queue`."""

    def __init__(self, store: StateStore, native: Line, name: str) -> None:
        self._store, self._native = store, native
        self.name = name
        """Its name."""

    @property
    def dead(self) -> Dead:
        """The messages that were tried too often: ``queue.dead.list()``, ``.replay(ids)``, ``.discard(ids)``."""
        return Dead(self._native, repr(self))

    def options(self) -> Record:
        """What holds for the queue, for all who use it. Code: ``unknown_id`` when it was deleted."""
        found: Record = record(self._native.options())
        return found

    def put(
        self,
        payload: Any,
        *,
        priority: int = 0,
        delay: Span | None = None,
        dedup: str | None = None,
        key: str | Mapping[str, str] | None = None,
    ) -> Put:
        """Puts a message, JSON. It is on the disk when this returns.

        ``priority``: the higher goes first. ``delay``: how long nobody takes it. ``dedup``: of messages with one name, the first counts.
        ``key``: what it is counted by, for ``per_key``: a text, or texts by the names of its parts; None: the fields of the payload that
        ``per_key`` names. Codes: ``invalid_argument``, ``not_finite``, ``too_large``, ``invalid_text``; ``unknown_id`` when the queue was
        deleted; ``locked``, ``io``, ``disk_full``.
        """
        given = {"priority": priority, "delay": span_of(delay), "dedup": dedup, "key": key}
        return Put(**self._native.put({"value": plain(payload)}, given))

    def take(self, n: int = 1) -> list[Message]:
        """Takes at most so many messages: those that are due, the most urgent first, as far as the limits allow. Codes: ``corrupt`` for one
        that is damaged, which is dead then; ``unknown_id``, ``locked``, ``io``."""
        return [Message(**found) for found in self._native.take(n)]

    def ack(self, message: Message) -> None:
        """Says that a message is worked off. Code: ``stale_write`` when its lease was lost: somebody else may have it."""
        self._native.ack(lease_of(message, Message))

    def nack(self, message: Message, delay: Span | None = None, *, reason: str | None = None) -> bool:
        """Gives a message back: somebody gets it after ``delay``; None: after the pause that the options say. After the last attempt it is put
        aside as dead, with ``reason``; whether it was. Code: ``stale_write``."""
        return self._native.nack(lease_of(message, Message), {"delay": span_of(delay), "reason": reason})

    def reject(self, message: Message, reason: str) -> None:
        """Puts a message aside as dead, whatever attempts are left. Code: ``stale_write``."""
        self._native.reject(lease_of(message, Message), text(reason, "reason"))

    def renew(self, message: Message) -> float:
        """Has a lease begin anew; until when it lasts, in seconds since 1970. Code: ``stale_write``."""
        return self._native.renew(lease_of(message, Message))

    def work(
        self,
        handler: Callable[[Message], Any],
        *,
        retry: Retries | None = None,
        threads: int = 1,
        poll: Span = 0.05,
    ) -> Workers:
        """Works messages off in the background: ``handler(message)``, sync or async, is called on threads of its own.

        A message is acknowledged where that returns, and given back where it raises; its lease is renewed meanwhile. ``retry``: what becomes of
        a message at which it failed; None: what the queue says. ``threads``: how many messages at once. ``poll``: how often a thread that has
        nothing to do looks again. Codes: ``invalid_argument``, ``io``.
        """
        return self._work(handler, Work(retry, threads, poll), None)

    def _work(self, handler: Any, how: Work, loop: asyncio.AbstractEventLoop | None) -> Workers:
        return worked(self._store, self._native, handler, Message, f"the queue {self.name!r:.60}", how, loop)

    def stats(self) -> Record:
        """How many messages stand where: ``ready``, ``delayed``, ``held``, ``dead``, and ``done``, ever. Code: ``unknown_id``."""
        found: Record = record(self._native.stats())
        return found

    def delete(self) -> bool:
        """Removes the queue with all that is in it; whether it was there. Codes: ``locked``, ``io``."""
        return self._native.delete()

    @property
    def aio(self) -> AsyncQueue:
        """The same calls for asyncio: ``await queue.aio.put(...)``."""
        from ._queue_aio import AsyncQueue

        return AsyncQueue(self)

    def __repr__(self) -> str:
        return f"{self._store!r}.queue({self.name!r:.60})"


def queue_of(store: StateStore, name: Any, given: Mapping[str, Any]) -> Queue:
    """A queue of a store."""
    given = {name: span_of(one) for name, one in given.items()}
    given["retry"] = retry_of(given["retry"], "retry")
    return Queue(store, _quorate.open_queue(store._native, text(name, "name"), given), name)


def leave(store: StateStore) -> None:
    """A store is closed: its workers take nothing more, and what they are at goes on until it is settled."""
    for workers in [one for one in _working if one._store is store]:
        if workers._native.leave():
            workers._over()


def _close() -> None:
    """At the end of the interpreter: nothing more is taken."""
    for workers in list(_working):
        workers._native.leave()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    # The child has no such threads.
    os.register_at_fork(after_in_child=_working.clear)
