"""Who hears that something has happened, and how is nothing missed?

>>> import quorate
>>> bus = quorate.StateStore().events
>>> billing = bus.subscribe("order.*", group="billing")
>>> bus.publish("order.created", {"id": 7}, key="order-7")
1
>>> [event] = billing.take()
>>> event.subject, event.data
('order.created', {'id': 7})
>>> billing.ack(event)
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from .. import _quorate
from .._errors import InvalidInput
from .._given import text, text_or_none
from .._record import Record, record
from .._report import Report, plain
from ._queue import Held, Line, Retries, Span, Work, Workers, handler_of, ids_of, lease_of, retry_of, span_of, worked

if TYPE_CHECKING:
    import asyncio

    from .._store import StateStore
    from ._queue_aio import AsyncDeadEvents, AsyncEvents, AsyncSubscription


@dataclass(frozen=True, repr=False)
class Event(Held):
    """An event, as whoever is subscribed to it gets it."""

    seq: int
    """Its number among the events, from 1."""
    subject: str
    """What has happened: words with dots between them."""
    time: float
    """When it was published, in seconds since 1970."""


@dataclass(frozen=True, repr=False)
class DeadEvent(Report):
    """An event that a group was given too often."""

    seq: int
    """Its number among the events."""
    subject: str
    """What has happened; empty where the event is damaged, which ``reason`` says then."""
    key: str | None
    """What it happened to."""
    data: Any
    """What is to be known of it."""
    time: float
    """When it was published, in seconds since 1970."""
    attempts: int
    """How often the group was given it."""
    died_at: float
    """When it was put aside."""
    reason: str
    """Why it was not acknowledged the last time."""


class DeadEvents:
    """The events that a group was given too often."""

    def __init__(self, native: Line, what: str) -> None:
        self._native, self._what = native, what

    def list(self) -> list[DeadEvent]:
        """All of them, in the order of their numbers. Codes: ``corrupt``, ``io``."""
        return [DeadEvent(**found) for found in self._native.dead()]

    def replay(self, seqs: Iterable[int | DeadEvent]) -> int:
        """Gives them to the group again as if they had not been tried; how many: all or, with an error, none. Codes: ``unknown_id`` when one
        is not dead; ``invalid_argument``, ``locked``, ``io``."""
        return self._native.replay(ids_of(seqs, "seq"))

    def discard(self, seqs: Iterable[int | DeadEvent]) -> int:
        """Gives them up; how many. The events stay with the store until they are pruned. Codes: those of :meth:`replay`."""
        return self._native.discard(ids_of(seqs, "seq"))

    @property
    def aio(self) -> AsyncDeadEvents:
        """The same calls for asyncio."""
        from ._queue_aio import AsyncDeadEvents

        return AsyncDeadEvents(self)

    def __repr__(self) -> str:
        return f"{self._what}.dead"


class Subscription:
    """A group's events of one pattern, which each go to one of its members: a context manager that drains its workers. The group hears events
    also while nobody works at them. Made by :meth:`Events.subscribe`."""

    def __init__(self, store: StateStore, native: Line, pattern: str, group: str) -> None:
        self._store, self._native = store, native
        self.pattern = pattern
        """Which subjects it hears of."""
        self.group = group
        """Whose members share the events."""
        self.workers: Workers | None = None
        """What calls the handler that it was subscribed with."""

    @property
    def dead(self) -> DeadEvents:
        """The events that the group was given too often: ``subscription.dead.list()``, ``.replay(seqs)``, ``.discard(seqs)``."""
        return DeadEvents(self._native, repr(self))

    def take(self, n: int = 1) -> list[Event]:
        """Takes at most so many events, in the order of their numbers; of those with one key, one at a time. Codes: those of
        :meth:`Queue.take`."""
        return [Event(**found) for found in self._native.take(n)]

    def ack(self, event: Event) -> None:
        """Says that an event is worked off: the group does not get it again. Code: ``stale_write``."""
        self._native.ack(lease_of(event, Event))

    def nack(self, event: Event, delay: Span | None = None, *, reason: str | None = None) -> bool:
        """Gives an event back: the group gets it after ``delay``; None: after the pause that the options say. Those with its key wait for it.
        After the last attempt it is dead for the group; whether it is. Code: ``stale_write``."""
        return self._native.nack(lease_of(event, Event), {"delay": span_of(delay), "reason": reason})

    def renew(self, event: Event) -> float:
        """Has a lease begin anew; until when it lasts. Code: ``stale_write``."""
        return self._native.renew(lease_of(event, Event))

    def work(
        self,
        handler: Callable[[Event], Any],
        *,
        retry: Retries | None = None,
        threads: int = 1,
        poll: Span = 0.05,
    ) -> Workers:
        """Works events off in the background; see :meth:`Queue.work`. Codes: ``invalid_argument``, ``io``."""
        return self._work(handler, Work(retry, threads, poll), None)

    def _work(self, handler: Any, how: Work, loop: asyncio.AbstractEventLoop | None) -> Workers:
        return worked(self._store, self._native, handler, Event, f"the group {self.group!r:.60}", how, loop)

    def stats(self) -> Record:
        """How many of the group's events stand where: ``ready``, ``delayed``, ``held``, ``dead``, ``done``. Code: ``unknown_id``."""
        found: Record = record(self._native.stats())
        return found

    def delete(self) -> bool:
        """Ends the subscription for the whole group, with all that it has before it; whether it was there. Codes: ``locked``, ``io``."""
        return self._native.delete()

    def drain(self, timeout: float | None = None) -> bool:
        """Has the handler called no more, and waits until what is being worked at is settled, at most ``timeout`` seconds; whether it is. The
        group stays subscribed."""
        return self.workers is None or self.workers.drain(timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """The same, and tells the handler to end."""
        return self.workers is None or self.workers.stop(timeout)

    @property
    def aio(self) -> AsyncSubscription:
        """The same calls for asyncio: ``await subscription.aio.take()``."""
        from ._queue_aio import AsyncSubscription

        return AsyncSubscription(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.drain()

    def __repr__(self) -> str:
        return f"<subscription of {self.group!r:.60} to {self.pattern!r:.60}>"


class Events:
    """The events of a store: who is subscribed to one gets it at least once, also after a crash. Made by :attr:`quorate.StateStore.events`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._native = _quorate.open_events(store._native)

    def publish(self, subject: str, data: Any = None, *, key: str | None = None) -> int:
        """Writes an event, and puts it before every group that is subscribed to its subject, all or nothing; its number. It is on the disk when
        this returns.

        ``subject``: words with dots between them. ``data``: JSON. ``key``: what it happened to: events with the same key stay in their order.
        Codes: ``invalid_argument``, ``not_finite``, ``too_large``, ``invalid_text``; ``locked``, ``io``, ``disk_full``.
        """
        return self._native.publish(text(subject, "subject"), {"value": plain(data)}, text_or_none(key, "key"))

    def subscribe(
        self,
        pattern: str,
        handler: Callable[[Event], Any] | None = None,
        *,
        group: str = "default",
        from_: Literal["last", "first"] | int = "last",
        concurrency: int | None = None,
        rate: str | None = None,
        lease: Span = 30.0,
        retry: Retries | None = None,
        threads: int = 1,
        poll: Span = 0.05,
    ) -> Subscription:
        """Subscribes a group to the subjects that match: ``*`` is any one word, and ``>`` or ``**`` at the end is one or more.

        ``handler(event)``, sync or async, is called in the background; None: :meth:`Subscription.take` gives the events. Whoever subscribes to
        the same pattern in the same group shares its events. ``from_``: where a new group begins: with the next event (``last``), the ``first``
        that is kept, or one by its number. ``concurrency``, ``rate``, ``lease``, ``retry``: as of a queue, for the group. ``threads``, ``poll``:
        as of :meth:`Queue.work`. Codes: ``invalid_argument``, ``too_large``; ``locked``, ``io``, ``corrupt``.
        """
        given = {"group": group, "from_": from_, "concurrency": concurrency, "rate": rate, "lease": lease, "retry": retry}
        return self._subscribe(pattern, handler, given, Work(None, threads, poll), None)

    def _subscribe(
        self, pattern: str, handler: Any, given: dict[str, Any], how: Work, loop: asyncio.AbstractEventLoop | None
    ) -> Subscription:
        if handler is not None:
            handler_of(handler)
        how_often = retry_of(given["retry"], "retry")
        native = self._native.subscribe(text(pattern, "pattern"), {**given, "lease": span_of(given["lease"]), "retry": how_often})
        made = Subscription(self._store, native, pattern, given["group"])
        if handler is not None:
            made.workers = made._work(handler, how, loop)
        return made

    def subscriptions(self) -> list[Record]:
        """The groups that are subscribed: ``group``, ``pattern``. Codes: ``corrupt``, ``io``, ``locked``."""
        found: list[Record] = record(self._native.subscriptions())
        return found

    def replay(self, since: int | float | datetime.datetime, *, group: str | None = None) -> int:
        """Puts kept events before the groups once more, as far as they match; how many deliveries that makes.

        ``since``: the number of an event, where it is whole; as a float, seconds since 1970, or a datetime. ``group``: of this one alone.
        Codes: ``invalid_argument``, ``not_finite``, ``corrupt``, ``locked``, ``io``.
        """
        if isinstance(since, datetime.datetime):
            since = since.timestamp()
        if isinstance(since, bool) or not isinstance(since, (int, float)):
            message = f"since is of type {type(since).__name__}; the number of an event, or a time, is expected"
            raise InvalidInput("invalid_argument", message)
        return self._native.replay({"value": since}, isinstance(since, float), text_or_none(group, "group"))

    def prune(self, *, older_than: Span | None = None, keep: int | None = None) -> int:
        """Forgets events that are older, and not among the newest so many, as far as no group has them before it; how many. No file has a byte
        of them then. Codes: ``invalid_argument`` where nothing says which; ``locked``, ``io``, ``corrupt``."""
        return self._native.prune({"older_than": span_of(older_than), "keep": keep})

    def last(self) -> int:
        """The number of the newest event, 0 before the first. Codes: ``corrupt``, ``io``, ``locked``."""
        return self._native.last()

    @property
    def aio(self) -> AsyncEvents:
        """The same calls for asyncio: ``await store.events.aio.publish(...)``."""
        from ._queue_aio import AsyncEvents

        return AsyncEvents(self)

    def __repr__(self) -> str:
        return f"{self._store!r}.events"
