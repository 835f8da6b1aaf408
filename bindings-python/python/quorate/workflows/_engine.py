"""How do workflows run?"""

from __future__ import annotations

import atexit
import datetime
import json
import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import _quorate
from .._agents import AgentRegistry
from .._errors import InvalidInput
from .._given import path_or_none, text, text_or_none
from .._record import Record, record
from .._report import Report, plain
from .._runtime import Runtime
from .._store import StateStore
from .._tools import Tool as RuntimeTool
from ._flow import Definition, Review, Status, WorkflowRun, names_of, review_of
from ._hands import Hands, KindOfStep, Tool, tools_of
from ._jobs import Draft, JobStory, draft_of
from ._schedule import Missed, Schedule, schedule_of

if TYPE_CHECKING:
    from ._engine_aio import AsyncEngine

Clock: TypeAlias = _quorate.ManualClock | Callable[[], "float | datetime.datetime"]
"""What time it is: seconds since 1970, or a datetime; also an object with a method ``now``."""

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
# So long the end of the interpreter waits for steps that are being done.
_PATIENCE = 0.25


@dataclass(frozen=True, repr=False)
class Problem(Report):
    """One thing that is wrong with a file."""

    path: str
    """The file, as it was found."""
    line: int
    """The line, counted from 1; 0 where that is not known."""
    at: str
    """The place in the file: ``steps.submit.retry``. Empty for the file itself."""
    code: str
    """What kind of problem: a stable word, such as ``cycle``, ``unknown_step``, ``expression_type``, ``bad_duration``."""
    message: str
    """What was given, what was expected, what to do."""

    def __str__(self) -> str:
        at = f"{self.at}: " if self.at else ""
        return f"{self.path}:{self.line}: {at}{self.message} [{self.code}]"


@dataclass(frozen=True, repr=False)
class Template(Report):
    """A workflow that ships: every engine knows it, and it runs offline as it is."""

    id: str
    """By which name it is started."""
    title: str
    """What people read."""
    description: str
    """What it is for."""
    domain: str
    """``healthcare`` or ``customer_service``."""
    version: str
    """Its version."""
    yaml: str
    """Its file, as it is written."""
    mermaid: str
    """A diagram of its steps, in the language of mermaid.js."""


class Engine:
    """Workflows that run. It can be used from many threads, and works in the background until it is closed.

    ``store``: where runs are kept, a :class:`quorate.StateStore`, a folder, or None for memory. ``runtime``: the experts that answer; None:
    only tools, people and signals. ``registry``: where experts are looked for by what a step requires; None: that of the runtime. ``tools``:
    what steps may have done: :class:`Tool`, :func:`quorate.tool`, or functions. ``clock``: what time it is, a :class:`ManualClock` or a function;
    None: the computer's. ``tenant``: on whose behalf; None: that of the store. ``concurrency``: how many runs go on here at once; 0: none, and
    somebody else works on them. ``queues``: those whose runs go on here; None: all.

    Coroutine functions among the tools run on a loop of the engine's own. Codes: ``invalid_argument``, ``tenant_violation``, those of the store.
    """

    def __init__(
        self,
        store: StateStore | str | os.PathLike[str] | None = None,
        *,
        runtime: Runtime | None = None,
        tools: Iterable[Tool | RuntimeTool | Callable[..., Any]] = (),
        clock: Clock | Any = None,
        registry: AgentRegistry | None = None,
        tenant: str | None = None,
        concurrency: int = 8,
        queues: Sequence[str] | None = None,
    ) -> None:
        for name, one, kind in (("runtime", runtime, Runtime), ("registry", registry, AgentRegistry)):
            if one is not None and not isinstance(one, kind):
                raise InvalidInput("invalid_argument", f"{name} is of type {type(one).__name__}; a {kind.__name__} is expected")
        text_or_none(tenant, "tenant")
        if not isinstance(store, StateStore):
            store = StateStore(path_or_none(store, "store"))
        self._store, self._runtime, self._registry = store, runtime, registry
        self._hands = Hands()
        self._tools = tools_of(tools)
        given = {"tenant": tenant, "concurrency": concurrency, "queues": names_of(queues, "queues")}
        self._native = _quorate.open_engine(
            store._native,
            None if runtime is None else runtime._native,
            None if registry is None else registry._native,
            [one._native(self._hands) for one in self._tools],
            _clock_of(clock),
            given,
        )
        _engines.add(self)

    def load(self, path: str | os.PathLike[str], overlays: Sequence[str] = ()) -> Engine:
        """Adds the workflows of a folder, or one file, YAML or JSON, with overlays (``env/prod``); gives the engine.

        What is wrong with some of the files does not keep the others out: :meth:`validate` says it. Runs that go on keep the definition
        that they began with. Codes: ``not_found``, ``permission_denied``, ``io``.
        """
        self._native.load(path_or_none(path, "path"), names_of(overlays, "overlays") or [])
        return self

    def add(self, workflow: str | Mapping[str, Any]) -> Definition:
        """Adds one workflow, given as YAML or JSON, or as a dict. Code: ``invalid_document`` with every problem."""
        if isinstance(workflow, Mapping):
            workflow = json.dumps(plain(workflow))
        return Definition(**self._native.add(text(workflow, "the workflow")))

    def validate(self) -> Sequence[Problem]:
        """Everything that is wrong with what was loaded, also by the tools, experts and kinds of steps that the engine has."""
        return [Problem(**found) for found in self._native.validate()]

    def rendered(self, id: str | None = None, version: str | None = None) -> dict[str, Any]:
        """The form of a workflow with everything in it that it refers to; without an id, those of all newest versions by id.
        Code: ``unknown_id``."""
        found: dict[str, Any] = self._native.rendered(text_or_none(id, "id"), text_or_none(version, "version"))
        return found

    def list(self) -> Sequence[Definition]:
        """The newest version of each workflow, by id."""
        return [Definition(**found) for found in self._native.list()]

    def versions(self, id: str) -> Sequence[str]:
        """The versions of a workflow, the newest last."""
        return self._native.versions(text(id, "id"))

    def mermaid(self, id: str, version: str | None = None) -> str:
        """A diagram of a workflow's steps, in the language of mermaid.js. Code: ``unknown_id``."""
        return self._native.diagram(text(id, "id"), text_or_none(version, "version"))

    def start(
        self,
        workflow: str,
        input: Any = None,
        *,
        id: str | None = None,
        version: str | None = None,
        priority: int | None = None,
        dedup: str | None = None,
        deadline: float | datetime.datetime | None = None,
        starter: str | None = None,
        offline: bool = False,
        stand_ins: Mapping[str, Any] | None = None,
    ) -> WorkflowRun:
        """Starts a run. It is in the store when this returns, and goes on here or wherever somebody works on its queue.

        ``id``: None: one is made. ``version``: None: the newest. ``priority``: higher goes first. ``dedup``: of those who start a run with the
        same word, one does; the others are given that run. ``deadline``: when it has to be over, in seconds since 1970 or as a datetime.
        ``starter``: who starts it. ``offline``: stand-ins take the place of the world, and the workflow's example that of an input that is not
        given. ``stand_ins``: what stands in, by step, in the place of what the workflow states; of a list, the first time the first, and so on.

        Codes: ``unknown_id``; ``invalid_document`` for an input that does not fit the workflow's schema, with every place; ``duplicate_id``;
        ``run_conflict`` where the word of ``dedup`` was used for another workflow or input.
        """
        if isinstance(deadline, datetime.datetime):
            deadline = deadline.timestamp()
        given = {
            "id": id,
            "version": version,
            "priority": priority,
            "dedup": dedup,
            "deadline": deadline,
            "starter": starter,
            "offline": offline,
            "stand_ins": None if stand_ins is None else plain(stand_ins),
        }
        return WorkflowRun(self._native.start(text(workflow, "the workflow"), {"value": plain(input)}, given), self)

    def generate(
        self, story: JobStory | Mapping[str, Any], type: str | None = None, customization: Mapping[str, Any] | None = None
    ) -> Draft:
        """Makes the draft of a workflow for a story: takes the template that does the job, fills in what the story gives, and lists what it does
        not. It never starts anything, and the engine does not know it until it is added.

        ``type``: a template by its id, or the last part of it; or the domain from which one is chosen. ``customization``: what is laid over the
        workflow, as an overlay's ``patch``. Codes: ``no_template`` where none is sure enough, with the nearest; ``unknown_id`` for a type that
        is neither; ``invalid_document`` with every problem; ``invalid_argument``, ``too_large``.
        """
        return draft_of(self, story, type, customization)

    def run(self, id: str) -> WorkflowRun:
        """A run. Code: ``unknown_id``, also for one that is no workflow's."""
        return WorkflowRun(self._native.get(text(id, "id")), self)

    def runs(self, status: Status | None = None) -> Sequence[WorkflowRun]:
        """The runs, the oldest first; those with a status. Code: ``invalid_argument``."""
        return [WorkflowRun(found, self) for found in self._native.runs(text_or_none(status, "status"))]

    def schedule(
        self,
        name: str,
        cron: str,
        workflow: str,
        input: Any = None,
        *,
        timezone: str = "UTC",
        missed: Missed = "once",
        version: str | None = None,
        priority: int | None = None,
        starter: str | None = None,
        offline: bool = False,
    ) -> Schedule:
        """Has a workflow started whenever ``cron`` (minute, hour, day of month, month, day of week) comes due by the clocks of ``timezone``
        (a name such as ``America/New_York``), by whoever works on the store then, each time once. The schedule of a name is the one that was
        given last; the same again changes nothing, so that every process may say so as it begins.

        ``missed``: what becomes of times at which nobody worked: ``skip``: nothing is started; ``once``: one run for all of them; ``all``: a run
        for each of the newest 1,000. ``starter``: None: ``schedule:`` and the name. Where clocks are put forward, a time that they leave out comes
        as soon as they show a later one; where they are put back, the first of two counts. Patterns whose minute or hour begins with ``*`` follow
        the clocks.

        Codes: ``invalid_argument``, beginning with what is wrong (``name``, ``cron``, ``timezone``, ``missed``); ``unknown_id`` for the workflow;
        ``invalid_document`` for an input that does not fit; ``closed``.
        """
        given = {
            "timezone": timezone,
            "missed": missed,
            "version": version,
            "priority": priority,
            "starter": starter,
            "offline": offline,
        }
        texts = text(name, "name"), text(cron, "cron"), text(workflow, "the workflow")
        return schedule_of(self._native.schedule(*texts, {"value": plain(input)}, given), self)

    def schedules(self) -> Sequence[Schedule]:
        """The schedules, by name."""
        return [schedule_of(found, self) for found in self._native.schedules()]

    def scheduled(self, name: str) -> Schedule:
        """A schedule, by its name. Code: ``unknown_id``."""
        return schedule_of(self._native.schedule_word(text(name, "name"), "look"), self)

    def reviews(self, role: str | None = None, run: WorkflowRun | str | None = None) -> Sequence[Review]:
        """The reviews that are open, the oldest run first; of a role, of a run. Code: ``unknown_id`` for the run."""
        id = run.id if isinstance(run, WorkflowRun) else text_or_none(run, "run")
        return [review_of(found, self) for found in self._native.reviews(text_or_none(role, "role"), id)]

    def review(self, id: str) -> Review:
        """A review that is open. Code: ``unknown_id``."""
        return review_of(self._native.review(text(id, "id")), self)

    def step_type(
        self,
        kind: str,
        handler: Callable[..., Any],
        *,
        schema: Mapping[str, Any] | None = None,
        idempotent: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Adds a kind of step: ``handler(args)`` or ``handler(args, ctx)`` is given what stands under the kind's name, with its templates
        filled in, and a :class:`StepContext`. It may be a coroutine function. ``schema``: the JSON Schema of what stands there. ``idempotent``,
        ``timeout``: as of a :class:`Tool`.

        Code: ``invalid_argument`` for a name that is taken, or a schema that cannot be used.
        """
        if schema is not None and not isinstance(schema, Mapping):
            raise InvalidInput("invalid_argument", f"schema is of type {type(schema).__name__}; a JSON Schema, a dict, is expected")
        made = KindOfStep(kind, handler, timeout=timeout, idempotent=idempotent)
        self._native.step_type(made._native(self._hands), None if schema is None else plain(schema))

    def work(self, *, queues: Sequence[str] | None = None, concurrency: int = 8) -> None:
        """Goes on, in the background, with runs of these queues (None: of all), so many at once, beside what the engine does already.
        Codes: ``closed``, ``invalid_argument``."""
        self._native.work({"queues": names_of(queues, "queues"), "concurrency": concurrency})

    def drain(self, timeout: float | None = None) -> bool:
        """Begins nothing more here: what is being done is finished and written down, and the runs are left to others. ``timeout``: it waits
        at most so many seconds. Gives whether all is done."""
        return self._native.drain(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Drains the engine, and ends it. What it has started goes on where others work on the store. ``timeout``: it waits at most so many
        seconds for what is being done; calls that have not ended by then are made again elsewhere. Gives whether all was done."""
        done = self._native.close(timeout)
        self._hands.close()
        _engines.discard(self)
        return done

    def faults(self) -> Sequence[Record]:
        """What went wrong in going on with runs here, as ``run_id`` and ``message``: a store that could not be written, a journal that cannot
        be read. Such a run stays as it is, and is tried again."""
        found: Sequence[Record] = record(self._native.faults())
        return found

    @property
    def store(self) -> StateStore:
        """Where runs are kept."""
        return self._store

    @property
    def aio(self) -> AsyncEngine:
        """The same calls for asyncio: ``await engine.aio.start("example", offline=True)``."""
        from ._engine_aio import AsyncEngine

        return AsyncEngine(self)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Engine({self._store!r})"


def templates() -> Sequence[Template]:
    """The seven healthcare and nine customer-service workflows that ship; every engine knows them.

    >>> len(templates())
    16
    """
    return [Template(**found) for found in _quorate.workflow_templates()]


def workflow_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a workflow file."""
    found: dict[str, Any] = _quorate.workflow_form()
    return found


def _clock_of(given: Any) -> Any:
    """A clock as the native half takes it. Code: ``invalid_argument``."""
    if given is None or isinstance(given, _quorate.ManualClock):
        return given
    function = given if callable(given) else getattr(given, "now", None)
    if not callable(function) or isinstance(given, type):
        raise InvalidInput("invalid_argument", f"clock is of type {type(given).__name__}; a ManualClock or a function is expected")

    def now() -> float:
        told = function()
        if isinstance(told, datetime.datetime):
            return told.timestamp()
        if isinstance(told, bool) or not isinstance(told, (int, float)):
            raise InvalidInput("invalid_argument", f"the clock gives a {type(told).__name__}; seconds since 1970 are expected")
        return float(told)

    return now


def _close() -> None:
    """At the end of the interpreter: no engine begins anything more, and what is nearly done is written down."""
    engines = list(_engines)
    for engine in engines:
        engine._native.stop(0.0)
    for engine in engines:
        engine._native.stop(_PATIENCE / len(engines))


atexit.register(_close)
