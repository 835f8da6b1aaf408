"""How far is a run of a workflow, and what can be said to it?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .. import _quorate
from .._errors import InvalidInput
from .._given import text, text_or_none
from .._record import Record, record
from .._report import Report, plain

if TYPE_CHECKING:
    from ._engine import Engine
    from ._engine_aio import AsyncReview, AsyncWorkflowRun

Status: TypeAlias = Literal[
    "pending", "queued", "running", "waiting", "paused", "compensating", "completed", "failed", "cancelled", "blocked"
]


@dataclass(frozen=True, repr=False)
class Definition(Report):
    """A workflow as lists show it."""

    id: str
    """By which name it is started."""
    version: str
    """Its version."""
    title: str
    """What people read."""
    domain: str | None
    """The field that it belongs to."""
    hash: str
    """The hash (blake3) of its form with everything in it that it refers to."""


@dataclass(frozen=True, repr=False)
class WorkflowStep(Report):
    """A step of a run, as far as it is."""

    id: str
    """Its id."""
    kind: str
    """Its kind."""
    title: str
    """What people read."""
    within: str | None
    """The parallel step that it is within."""
    status: str
    """``pending``, ``running``, ``retrying``, ``waiting``, ``completed``, ``skipped``, ``failed``, ``cancelled`` or ``blocked``."""
    visit: int
    """How often it was come to, from 1."""
    attempts: int
    """Attempts of this visit that have begun."""
    output: Any
    """What came of it; None before, and where it was skipped."""
    signal: str | None
    """The signal that has ended its wait."""
    code: str | None
    """The code of its last failure, or why it is blocked."""
    message: str | None
    """What was said then."""
    waits_for: str | None
    """What it waits for: ``review``, ``signal``, ``time``, ``run``."""
    began: float | None
    """When it began, in seconds since 1970."""
    ended: float | None
    """When it ended."""


class JournalEntry(Record):
    """One thing that happened in a run: ``seq`` (its number, from 1), ``time`` (seconds since 1970), ``type`` (``started``, ``step_started``,
    ``step_completed``, ``went_back``, ``ended`` and others), ``data``."""

    __slots__ = ()

    if TYPE_CHECKING:
        seq: int
        time: float
        type: str
        data: Record


def _entry(found: dict[str, Any]) -> JournalEntry:
    return JournalEntry({name: record(member) for name, member in found.items()})


class WorkflowRun:
    """A run of a workflow. Its engine works as long as somebody has a run of it, or until it is closed."""

    def __init__(self, native: _quorate.NativeWorkflowRun, of: Engine) -> None:
        self._native = native
        self._of = of

    @property
    def id(self) -> str:
        """Its id."""
        return self._native.id

    @property
    def status(self) -> Status:
        """How far it is now: ``completed``, ``failed`` and ``cancelled`` never change again. Code: ``unknown_id`` once it was deleted."""
        found: Any = self._native.status()
        return found  # type: ignore[no-any-return]

    def wait(self, timeout: float | None = None, *, until: Status | Sequence[Status] = ()) -> Status:
        """Waits until it is over, at most so many seconds (None: as long as it takes), and gives its status then. ``until``: it also ends
        where the run has one of these: a run that waits for somebody, or is blocked, is not over."""
        names = [text(until, "until")] if isinstance(until, str) else list(names_of(until, "until") or [])
        found: Any = self._native.wait(timeout, names)
        return found  # type: ignore[no-any-return]

    def result(self) -> Any:
        """What came of it, once it is completed.

        Codes: ``not_found`` while it goes on; ``cancelled``; of a run that failed the code of its failure where it is one of quorate's, and
        else ``tool_failed``, with the run's own code in the message.
        """
        return self._native.result()

    def ending(self) -> Record | None:
        """How it ended: ``status`` with ``output``, ``reason``, or ``code``, ``message``, ``step`` and ``cause``; None while it goes on."""
        found: Record | None = record(self._native.ending())
        return found

    def definition(self) -> Definition:
        """The workflow that it began with, whatever has become of the file."""
        return Definition(**self._native.definition())

    def pause(self) -> None:
        """Nothing more begins in it until it is resumed, once this has returned; what is being done is finished.
        Code: ``run_conflict`` once it is over."""
        self._native.pause()

    def resume(self) -> None:
        """It goes on. Code: ``run_conflict`` once it is over."""
        self._native.resume()

    def cancel(self, reason: str = "", compensate: bool = True) -> None:
        """Ends it: when this has returned, no step begins any more; what was done is undone where ``compensate`` says so and the workflow how.
        Code: ``run_conflict`` once it is over."""
        self._native.cancel(text(reason, "reason"), compensate)

    def retry(self, step: str | None = None) -> None:
        """Has a step that is blocked, or waits to be tried again, tried now; None: all of them.
        Codes: ``run_conflict`` where there is none, or the run is over; ``unknown_id``."""
        self._native.retry(text_or_none(step, "step"))

    def skip(self, step: str) -> None:
        """Leaves a step out; those that need it see null. Codes: ``run_conflict`` for one that is over already; ``unknown_id``."""
        self._native.skip(text(step, "step"))

    def signal(self, name: str, data: Any = None, *, id: str | None = None) -> None:
        """Sends a signal. One that comes before anything waits for it is kept, and each is taken once; of those with one ``id``, the first
        counts. It is kept for good when this returns. Code: ``run_conflict`` once the run is over."""
        self._native.signal(text(name, "name"), {"value": plain(data)}, text_or_none(id, "id"))

    def steps(self) -> Sequence[WorkflowStep]:
        """Its steps, in the order of their ids; those within others too."""
        return [WorkflowStep(**found) for found in self._native.steps()]

    def journal(self) -> Sequence[JournalEntry]:
        """Everything that happened in it."""
        return [_entry(found) for found in self._native.journal()]

    def migrate(self, version: str) -> None:
        """Has it go on by another version of its workflow, from where it is: steps that have begun stand as they are, and have to say the
        same there, other than titles, retries, timeouts and what stands in offline; what it waits for it goes on waiting for.

        Codes: ``unknown_id`` for a version that the engine has not; ``run_conflict`` with everything that keeps it back, while a step is
        running, and once it is over."""
        self._native.migrate(text(version, "version"))

    def fork(self, step: str) -> WorkflowRun:
        """A new run that begins where this one came to a step: what was done before is taken over, that step and all after it are done
        anew. Code: ``unknown_id`` for the step."""
        return WorkflowRun(self._native.fork(text(step, "step")), self._of)

    def mermaid(self) -> str:
        """A diagram of its steps with how far each is, in the language of mermaid.js."""
        return self._native.mermaid()

    def export(self) -> dict[str, Any]:
        """Everything that is known of it: what it was started with, its definition, its journal."""
        found: dict[str, Any] = self._native.export()
        return found

    def stream(self, *, start: int = 1) -> WorkflowStream:
        """What happens in it, as it happens, until it is over: ``for entry in run.stream()``. ``start``: from this number on."""
        return WorkflowStream(self, start)

    @property
    def engine(self) -> Engine:
        """The engine that it was given by."""
        return self._of

    @property
    def aio(self) -> AsyncWorkflowRun:
        """The same calls for asyncio."""
        from ._engine_aio import AsyncWorkflowRun

        return AsyncWorkflowRun(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkflowRun) and other.id == self.id and other._of._store is self._of._store

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"WorkflowRun({self.id!r})"


class WorkflowStream:
    """What happens in a run, as it happens: an iterator, and a context manager. Leaving it changes nothing in the run."""

    def __init__(self, run: WorkflowRun, start: int) -> None:
        if not isinstance(start, int) or isinstance(start, bool) or start < 1:
            raise InvalidInput("invalid_argument", f"start is {start!r:.40}; a whole number from 1 is expected")
        self._run = run
        self._native = run._native.flow(start)
        self._events: deque[dict[str, Any]] = deque()

    def __iter__(self) -> WorkflowStream:
        return self

    def __next__(self) -> JournalEntry:
        if not self._events:
            self._events.extend(self._native.wait())
            if not self._events:
                raise StopIteration
        return self._take()

    def _take(self) -> JournalEntry:
        found = self._events.popleft()
        if "seq" not in found:
            raise _quorate.error(found["code"], found["message"])
        return _entry(found)

    def close(self) -> None:
        """Lets go of the stream: nothing comes any more."""
        self._events.clear()
        self._native.close()

    def __enter__(self) -> WorkflowStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<stream of {self._run!r}>"


@dataclass(frozen=True, repr=False)
class Review(Report):
    """A review that is open."""

    id: str
    """Its id."""
    run_id: str
    """The run that waits for it."""
    step: str
    """The step."""
    role: str
    """Who decides; after an escalation, another role."""
    title: str
    """What people read."""
    options: Sequence[str]
    """What can be decided."""
    data: Any
    """What there is to see."""
    due: float | None
    """When it is to be decided, in seconds since 1970."""
    opened: float
    """When it was opened."""
    claimed_by: str | None
    """Who has claimed it, when it was looked up."""
    escalated: int
    """How often it was escalated."""
    people: int
    """How many different people must choose the same."""
    votes: Sequence[Record]
    """Who (``by``) has chosen what (``option``) so far, where that is more than one."""
    forbid: Sequence[str]
    """Users who may not decide."""
    _native: _quorate.NativeReview = field(repr=False)
    _engine: Engine = field(repr=False)

    def claim(self, user: str) -> Review:
        """Takes the review, so that nobody else decides it; gives the review. Codes: ``run_conflict`` where somebody else has, or it is
        decided; ``invalid_argument`` for who may not decide."""
        self._native.claim(text(user, "user"))
        return self

    def decide(self, option: str, *, by: str, comment: str | None = None, data: Any = None) -> None:
        """Decides it. Codes: those of :meth:`claim`; ``invalid_argument`` for an option that there is not."""
        self._native.decide(text(option, "option"), {"by": by, "comment": comment, "data": plain(data)})

    def delegate(self, user: str, *, by: str | None = None) -> Review:
        """Gives it to somebody else. Codes: ``invalid_argument`` for who may not decide; ``run_conflict`` once it is decided."""
        self._native.delegate(text(user, "user"), text_or_none(by, "by"))
        return self

    @property
    def aio(self) -> AsyncReview:
        """The same calls for asyncio."""
        from ._engine_aio import AsyncReview

        return AsyncReview(self)


def review_of(native: _quorate.NativeReview, of: Engine) -> Review:
    shown: dict[str, Any] = native.shown
    return Review(**{**shown, "votes": record(shown["votes"])}, _native=native, _engine=of)


def names_of(given: Any, what: str) -> list[str] | None:
    if given is None:
        return None
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidInput("invalid_argument", f"{what} is of type {type(given).__name__}; a list of texts is expected")
    return [text(one, f"{what}[{i}]") for i, one in enumerate(given)]
