"""How is a graph run, and what came of it?"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .. import _pool, _quorate
from .._errors import Cancelled, InvalidInput
from .._given import text, text_or_none
from .._models import ModelStream
from .._record import Record, record
from .._report import plain, to_json
from .._store import Durability, StateStore
from .._tools import Asked
from ._forms import code_of, members_of

if TYPE_CHECKING:
    import asyncio

    from ._aio import AsyncApp
    from ._graph import Functions

Mode: TypeAlias = Literal["updates", "values", "custom", "tasks"]
RunStatus: TypeAlias = Literal["done", "waiting", "failed", "cancelled", "step_limit", "running"]


def _on_a_loop() -> bool:
    """Whether a loop of asyncio runs here; who has not imported it has none."""
    module = sys.modules.get("asyncio")
    return module is not None and module._get_running_loop() is not None


class Context:
    """What a node may do beside writing. Its second argument."""

    __slots__ = ("_caller", "_native")

    def __init__(self, native: _quorate.GraphContext, caller: Caller) -> None:
        self._native = native
        self._caller = caller

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        """What ``function()`` gives, once: a step that has ended is never done again, and gives what it gave, also after a crash.

        ``name`` is unique in the node. What it gives is kept as JSON. In a coroutine function that gives a coroutine function, await it:
        ``await ctx.step("ask", ask)``. Codes: those of the function; ``invalid_argument`` when the step is being done; ``stale_write``,
        ``cancelled``, those of the store.
        """
        text(name, "the name of a step")
        if not callable(function):
            raise InvalidInput("invalid_argument", f"the step '{name}' is of type {type(function).__name__}; a function is expected")
        if _on_a_loop() and _is_async(function):
            return self._awaited(name, function)
        return self._native.step(name, functools.partial(self._caller.stepped, function, self._native))

    async def _awaited(self, name: str, function: Callable[[], Any]) -> Any:
        import asyncio

        from .. import _listen, _loop
        from .._await import run_on

        loop, own, native = asyncio.get_running_loop(), _quorate.Cancel(), self._native

        def done() -> Any:
            with _listen.told(native.stop, own.cancel), _pool.waiting():
                return _loop.waited(function(), loop, own, f"the step '{name}'")

        try:
            return await run_on("ask", native.step, (name, done), {}, calls_back=True)
        except asyncio.CancelledError:
            own.cancel()
            raise

    def ask(self, question: Any) -> Any:
        """Asks somebody, and gives the answer. While there is none this raises code ``approval_required``, which the node lets pass: the run
        ends with the status ``waiting``, and the node begins again when there is an answer. Questions of a node are known by their order."""
        return self._native.ask(question)

    def emit(self, data: Any) -> None:
        """Tells something to whoever streams the run with the mode ``custom``."""
        # On the loop's thread nobody could read meanwhile.
        self._native.emit(data, not _on_a_loop())

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled or stopped, somebody else goes on with the thread, or this try took too long."""
        return self._native.cancelled

    @property
    def run_id(self) -> str:
        """The run: the same until the thread is run with another input."""
        return self._native.run_id

    @property
    def thread(self) -> str | None:
        """The thread; None where there is none."""
        return self._native.thread or None

    @property
    def attempt(self) -> int:
        """The number of this try, from 1."""
        return self._native.attempt


def _is_async(function: Any) -> bool:
    code = code_of(function)
    return code is not None and bool(code.co_flags & inspect.CO_COROUTINE)


class Caller(Asked):
    """One run: where its nodes run, with which context variables, and what ends it."""

    def __init__(self, functions: Functions, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__(loop)
        self._nodes = functions.nodes
        # They live as long as the run.
        self.keep = functions
        # What a node calls must not wait for a place behind the run that waits for it.
        self._context.run(_pool.inside.set, True)
        self.failures: dict[str, BaseException] = {}
        """What nodes have raised last."""

    def forget(self) -> None:
        """Lets go of what nodes have raised: it refers to the run, which refers to this."""
        self.failures.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.forget()
        super().__exit__(kind, error, traceback)

    def node(self, index: int, state: Any, native: _quorate.GraphContext) -> Any:
        """Calls a node, on a thread of quorate."""
        function, read, name = self._nodes[index]
        try:
            return self._context.copy().run(self._called, function, state if read is None else read(state), native)
        except Exception as raised:
            self.failures[name] = raised
            raise
        except BaseException as raised:
            # It is no failure, and ends the run.
            if not _quorate.ending():
                self._raised = self._raised or raised
                self.cancel.cancel()
            raise

    def _called(self, function: Callable[..., Any], state: Any, native: _quorate.GraphContext) -> Any:
        given = function(state, Context(native, self))
        if given is None or type(given) is dict or not inspect.isawaitable(given):
            return given
        with _pool.waiting():
            return self._waited(given, native.stop, "the node", False)

    def stepped(self, function: Callable[[], Any], native: _quorate.GraphContext) -> Any:
        """What a step gives."""
        given = function()
        if not inspect.isawaitable(given):
            return given
        if _on_a_loop():
            if inspect.iscoroutine(given):
                given.close()
            raise InvalidInput("invalid_argument", "the step gave a coroutine; give a coroutine function (async def), and await the step")
        with _pool.waiting():
            return self._waited(given, native.stop, "the step", False)


class Outcome:
    """What came of a run."""

    __slots__ = ("_found", "_state", "exception")

    def __init__(self, found: dict[str, Any], exception: BaseException | None = None) -> None:
        self._found = found
        self._state: Any = None
        self.exception = exception
        """What the failed node has raised in this call, where it is known."""

    @property
    def thread(self) -> str | None:
        """The thread; None where nothing was kept."""
        return self._found["thread"] or None

    @property
    def run_id(self) -> str:
        """The run: the same until the thread is run with another input."""
        return self._found["run_id"]  # type: ignore[no-any-return]

    @property
    def status(self) -> RunStatus:
        """How it stands: ``done``, ``waiting``, ``failed``, ``cancelled``, ``step_limit``."""
        return self._found["status"]  # type: ignore[no-any-return]

    @property
    def state(self) -> Record:
        """The state, as far as whole steps have brought it."""
        if self._state is None:
            self._state = record(self._found["state"])
        return self._state  # type: ignore[no-any-return]

    @property
    def reviews(self) -> list[Record]:
        """What waits for an answer: ``id``, ``node``, ``namespace``, ``task``, ``question``."""
        return record(self._found["reviews"])  # type: ignore[no-any-return]

    @property
    def error(self) -> Record | None:
        """Why it has failed: ``node``, ``code``, ``message``, ``attempts``."""
        return record(self._found["error"])  # type: ignore[no-any-return]

    @property
    def checkpoint(self) -> str | None:
        """The newest checkpoint."""
        return self._found["checkpoint"] or None

    @property
    def steps(self) -> int:
        """How many steps this call has gone."""
        return self._found["steps"]  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """The members as plain values."""
        return plain(record(self._found))  # type: ignore[no-any-return]

    def to_json(self, *, indent: int | None = None) -> str:
        """The members as JSON."""
        return to_json(self.to_dict(), indent)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self._found == other._found

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Outcome(thread={self.thread!r}, status={self.status!r}, state={self._found['state']!r:.200})"

    def _repr_html_(self) -> str:
        from .. import _html

        return _html.record(record(self._found))


def outcome_of(found: dict[str, Any], caller: Caller) -> Outcome:
    error = found["error"]
    exception = None if error is None else caller.failures.get(error["node"])
    caller.forget()
    return Outcome(found, exception)


class GraphStream(ModelStream):
    """What happens in a run, as it happens: an iterator, and a context manager that stops the run when it is left before its end.

    Events have ``mode``, ``node``, ``task``, ``step``, ``namespace`` and ``data``. A run that is stopped can be resumed.
    """

    def __init__(self, native: _quorate.ModelFlow, caller: Caller, app: App) -> None:
        self._caller = caller
        self._outcome: Outcome | None = None
        super().__init__(native, None, app)

    def __iter__(self) -> GraphStream:
        return self

    def __next__(self) -> Record:  # type: ignore[override]
        while True:
            if not self._events:
                self._events.extend(self._native.wait())
                if not self._events:
                    raise StopIteration
            event = self._next()
            if event is not None:
                return event

    def _next(self) -> Record | None:
        """The next event that has come; None for the end."""
        raw = self._events.popleft()
        if raw["type"] not in ("end", "error"):
            found: Record = record(raw)
            return found
        self._caller.close()
        self._caller.settle()
        if raw["type"] == "error":
            self._caller.forget()
            raise _quorate.error(raw["code"], raw["message"])
        self._outcome = outcome_of(raw["result"], self._caller)
        return None

    def result(self) -> Outcome:  # type: ignore[override]
        """Reads what is left, and gives what came of the run. Codes: those of :meth:`App.run`."""
        for _ in self:
            pass
        if self._outcome is None:
            raise Cancelled("cancelled", "the stream was closed before its end")
        return self._outcome

    def cancel(self) -> None:
        """Stops the run, from any thread; it can be resumed."""
        super().cancel()

    def close(self) -> None:
        """Lets go of the run, which is stopped: no event comes any more."""
        super().close()
        self._caller.close()

    def __enter__(self) -> GraphStream:
        return self

    def __repr__(self) -> str:
        return f"<stream of a graph, {'under way' if self._outcome is None else 'over'}>"

    def __del__(self) -> None:
        # Nobody waits for its loop.
        self._caller.forget()
        self._caller.close(0)


class App:
    """A graph that runs. Its threads lie in a store; several threads and processes may run them."""

    def __init__(self, native: _quorate.GraphApp, functions: Functions, store: StateStore) -> None:
        self._native = native
        self._functions = functions
        self.store = store
        """Where its threads are kept."""

    @property
    def id(self) -> str:
        """The hash of the plan: the same for the same nodes, edges, reducers and schema."""
        return self._native.id

    def json(self) -> Record:
        """The plan as data."""
        found: Record = record(self._native.json())
        return found

    def mermaid(self) -> str:
        """The plan as a flowchart in Mermaid's language."""
        return self._native.mermaid()

    def run(
        self,
        input: Any = None,
        *,
        thread: str | None = None,
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> Outcome:
        """Runs the graph from its start, with ``input`` written to the state of the thread, until nothing is due or somebody must answer.

        Whoever was running the thread has lost it. ``thread``: None: nothing is kept, and a node that asks fails. ``step_limit``: after so many
        steps it stops with the status ``step_limit``. ``parallel``: at most so many nodes work at once. ``durability``: in the place of the
        store's. ``keep``: only the newest so many checkpoints of the thread stay. A node that fails is no exception of this call: it is the
        status ``failed``.

        Codes: ``invalid_argument`` when the input does not fit; ``stale_write`` when somebody else has claimed the thread meanwhile;
        ``cancelled``; those of the store.
        """
        return self._run(input, thread, step_limit, parallel, durability, keep, None)

    def _run(self, input: Any, thread: Any, step_limit: Any, parallel: Any, durability: Any, keep: Any, loop: Any) -> Outcome:
        members = members_of(input, "the input")
        if thread is not None:
            text(thread, "thread")
        given = _how(step_limit, parallel, durability, keep)
        caller = Caller(self._functions, loop)
        with caller:
            found = self._native.run(members, thread, given, caller, caller.cancel)
        return outcome_of(found, caller)

    def resume(
        self,
        thread: str,
        answers: Mapping[str, Any] | None = None,
        *,
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> Outcome:
        """Goes on with a thread where it was left: after it was stopped or killed, failed, or with ``answers`` to its reviews by their ids.

        What has ended is not done again. Codes: ``unknown_id`` when there is no such thread, or no review of it waits for such an answer; those
        of :meth:`run`.
        """
        return self._resume(thread, answers, step_limit, parallel, durability, keep, None)

    def _resume(self, thread: Any, answers: Any, step_limit: Any, parallel: Any, durability: Any, keep: Any, loop: Any) -> Outcome:
        given = _how(step_limit, parallel, durability, keep)
        caller = Caller(self._functions, loop)
        with caller:
            found = self._native.resume(text(thread, "thread"), members_of(answers, "answers"), given, caller, caller.cancel)
        return outcome_of(found, caller)

    def stream(
        self,
        input: Any = None,
        *,
        thread: str,
        modes: Mode | Iterable[Mode] = ("updates",),
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> GraphStream:
        """As :meth:`run`, telling what happens: ``for event in app.stream({...}, thread="t1", modes=["updates", "custom"])``.

        ``modes``: ``updates`` (what each task has written, when its step has ended), ``values`` (the state after each step), ``custom`` (what
        nodes say by ``ctx.emit``), ``tasks`` (that begin and end). The run begins with the first event that is asked for.
        """
        return self._stream(members_of(input, "the input"), None, thread, modes, _how(step_limit, parallel, durability, keep), None)

    def stream_resume(
        self,
        thread: str,
        answers: Mapping[str, Any] | None = None,
        *,
        modes: Mode | Iterable[Mode] = ("updates",),
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> GraphStream:
        """As :meth:`resume`, telling what happens."""
        return self._stream(None, answers, thread, modes, _how(step_limit, parallel, durability, keep), None)

    def _stream(self, input: Any, answers: Any, thread: Any, modes: Any, given: dict[str, Any], loop: Any) -> GraphStream:
        caller = Caller(self._functions, loop)
        if not isinstance(modes, Iterable) or isinstance(modes, Mapping):
            raise InvalidInput("invalid_argument", f"modes is of type {type(modes).__name__}; a list of words is expected")
        words = [modes] if isinstance(modes, str) else list(modes)
        answers = members_of(answers, "answers")
        native = self._native.flow(text(thread, "thread"), input, answers, words, given, caller, caller.cancel)
        return GraphStream(native, caller, self)

    def state(self, thread: str, *, at: str | None = None, namespace: str = "") -> Record:
        """How a thread stands, or stood at a checkpoint: ``state``, ``status``, ``next``, ``tasks``, ``reviews``, ``checkpoint``, ``parent``, ``step``,
        ``source``, ``run_id``, ``time``. ``namespace``: that of a graph within the graph, as ``tasks`` name it. Code: ``unknown_id``."""
        found: Record = record(self._native.state(text(thread, "thread"), text(namespace, "namespace"), text_or_none(at, "at")))
        return found

    def history(self, thread: str, *, limit: int | None = None, before: str | None = None, namespace: str = "") -> list[Record]:
        """How a thread stood at each checkpoint, the newest first; ``before``: the id of a checkpoint. Code: ``unknown_id``."""
        found: list[Record] = record(self._native.history(text(thread, "thread"), text(namespace, "namespace"), limit, text_or_none(before, "before")))
        return found

    def update(self, thread: str, values: Any, *, as_node: str | None = None, at: str | None = None) -> str:
        """Writes to the state of a thread as if a node had, and sets what follows it; gives the new checkpoint.

        ``as_node``: None: the node of the last step, where there was one. ``at``: after this checkpoint, from which the thread then goes on.
        Whoever was running the thread has lost it. Codes: ``invalid_argument``, ``unknown_id``, ``stale_write``.
        """
        return self._native.update(text(thread, "thread"), members_of(values, "the values"), text_or_none(as_node, "as_node"), text_or_none(at, "at"))

    def fork(self, source: str, *, thread: str, at: str | None = None, namespace: str = "") -> str:
        """Makes a checkpoint of ``source`` (None: the newest) the beginning of the thread ``thread``; gives the new checkpoint.

        Codes: ``unknown_id``, ``duplicate_id`` when there is such a thread.
        """
        return self._native.fork(text(source, "source"), text(namespace, "namespace"), text_or_none(at, "at"), text(thread, "thread"))

    def cancel(self, thread: str) -> bool:
        """Ends a thread, in whatever process it runs: nothing is due any more when this returns. Says whether something was. Code:
        ``unknown_id``."""
        return self._native.cancel(text(thread, "thread"))

    @property
    def aio(self) -> AsyncApp:
        """The same calls for asyncio: ``await app.aio.run({...})``. Coroutine functions among the nodes run on the loop."""
        from ._aio import AsyncApp

        return AsyncApp(self)

    def __repr__(self) -> str:
        return f"<graph {self.id[:12]}>"

    def _repr_html_(self) -> str:
        from .. import _html

        return _html.record(record({"id": self.id, "mermaid": self.mermaid()}))


def _how(step_limit: Any, parallel: Any, durability: Any, keep: Any) -> dict[str, Any]:
    numbers = type(step_limit) is int and type(parallel) is int
    if numbers and step_limit == 100 and parallel == 64 and durability is None and keep is None:
        # The defaults, as the native half has them.
        return {}
    return {"step_limit": step_limit, "parallel": parallel, "durability": durability, "keep": keep}
