"""How does a function of the host do what a step of a workflow asks for?"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .. import _quorate
from .._errors import InvalidInput, QuorateError
from .._function import Function, as_tool
from .._given import text
from .._report import Report
from .._tools import Tool as RuntimeTool
from .._tools import _result

if TYPE_CHECKING:
    from .._loop import Loop

Call = Callable[[Any, "StepContext"], Any]
"""What makes a call: the arguments as they stand in the workflow, and what is told about it."""


@dataclass(frozen=True, repr=False)
class StepContext(Report):
    """What a function is told about a call, in a parameter that is called ``ctx`` or ``context``, or has this hint."""

    run_id: str
    """The run."""
    step: str
    """The step."""
    visit: int
    """How often the step was come to, from 1."""
    attempt: int
    """The attempt of this visit, from 1."""
    name: str
    """What is called, by its whole name: ``openfda.search``."""
    idempotency_key: str
    """The same for each attempt at this call, and for no other: what makes a repeated call harmless."""
    tenant: str | None = None
    """On whose behalf."""
    _cancel: _quorate.Cancel = field(default_factory=_quorate.Cancel, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more: the step was cancelled, is over its time, or was left by a loop."""
        return self._cancel.cancelled


class Hands:
    """Where the functions of an engine run: with the context variables of who made it, and coroutines on a loop of the engine's own."""

    def __init__(self) -> None:
        self._context = copy_context()
        self._lock = threading.Lock()
        self._loop: Loop | None = None

    def run(self, function: Callable[[], Any], cancel: _quorate.Cancel, what: str, writes: bool) -> Any:
        """What a function gives, called on this thread; what can be awaited is."""

        def call() -> Any:
            given = function()
            return self._waited(given, cancel, what, writes) if inspect.isawaitable(given) else given

        # Several run at once.
        return self._context.copy().run(call)

    def _waited(self, given: Any, cancel: _quorate.Cancel, what: str, writes: bool) -> Any:
        from .. import _loop

        with self._lock:
            where = self._loop = self._loop or _loop.Loop()
        # What it has done by the time it ends may have to be undone.
        return _loop.waited(given, where, cancel, what, writes, lasting=True)

    def close(self) -> None:
        """Ends the loop."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()

    def of(self, name: str, call: Call, idempotent: bool, guard: _quorate.ToolGuard) -> _quorate.WorkflowTool:
        """A call as the native half makes it."""
        return _quorate.workflow_tool(name, functools.partial(_called, self, call, name, not idempotent), idempotent, guard)


def _called(
    hands: Hands, call: Call, name: str, writes: bool, arguments: Any, told: Mapping[str, Any], cancel: _quorate.Cancel
) -> dict[str, Any]:
    context = StepContext(**told, _cancel=cancel)
    return {"result": _result(hands.run(lambda: call(arguments, context), cancel, f"'{name}'", writes))}


@dataclass(frozen=True)
class Breaker:
    """When a tool that keeps failing is left alone: its calls fail with ``circuit_open`` then, at once. Code of a tool with it:
    ``invalid_argument``."""

    failures: int = 5
    """So many failures in a row, and it is left alone."""
    reset: float = 30.0
    """Seconds until it is tried again."""
    probes: int = 1
    """Calls that go through at once then: one that succeeds, and all is well again."""


@dataclass(frozen=True)
class Bulkhead:
    """How many calls of a tool are under way at once; of those that find no place to wait each fails with ``rate_limited``."""

    concurrency: int = 8
    """Calls at once."""
    queue: int = 16
    """Calls that wait for a place."""


class Tool:
    """Something that workflows may have done: ``wf.Tool("openfda", search)``; steps name it as ``integration: {tool: openfda, args: {...}}``.

    ``name``: one without a dot answers calls by longer names too: ``openfda`` has ``openfda.search`` done, and finds the whole name in its
    context. ``function``: it is given the arguments by name, as its hints say; one whose first parameter is called ``args`` is given all of
    them as one dict. A parameter ``ctx``, or with the hint :class:`StepContext`, is told about the call. It may be a coroutine function, which
    runs on a loop of the engine's own. ``retry``: further attempts within one attempt of the step: how many in all, or as in a workflow
    (``{"max_attempts": 4, "backoff": "2s", "factor": 2, "jitter": "full", "retry_on": ["unavailable"]}``). ``timeout``: seconds for one call, after
    which it is not waited for any more. ``breaker``, ``bulkhead``: what its calls share, in however many engines. ``idempotent``: whether a call
    may be made again when it is not known how it ended, since its process was killed in the midst of it, or it was too late; where it may not,
    the run is ``blocked`` until somebody says what to do.

    What it raises fails the step: an error of quorate with its code, ``TimeoutError`` as ``tool_timeout``, anything else as ``tool_failed``.
    Code: ``invalid_argument``.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        retry: int | Mapping[str, Any] | Any = None,
        timeout: float | None = None,
        breaker: Breaker | None = None,
        bulkhead: Bulkhead | None = None,
        idempotent: bool = True,
    ) -> None:
        self.name = text(name, "name")
        """By which name workflows know it."""
        if isinstance(function, RuntimeTool):
            function = _function_of(function)
        if not callable(function):
            raise InvalidInput("invalid_argument", f"a tool is a function, not of type {type(function).__name__}")
        for what, given, kind in (("breaker", breaker, Breaker), ("bulkhead", bulkhead, Bulkhead)):
            if given is not None and not isinstance(given, kind):
                raise InvalidInput("invalid_argument", f"{what} is of type {type(given).__name__}; a {kind.__name__} is expected")
        if not isinstance(idempotent, bool):
            raise InvalidInput("invalid_argument", f"idempotent is of type {type(idempotent).__name__}; True or False is expected")
        shared = {
            "retry": _retry(retry),
            "timeout": timeout,
            "breaker": None if breaker is None else asdict(breaker),
            "bulkhead": None if bulkhead is None else asdict(bulkhead),
        }
        self._guard = _quorate.ToolGuard(name, shared)
        self.idempotent = idempotent
        """Whether a call may be made again when it is not known how it ended."""
        self._function = function
        self._call = self._reads(function)

    @staticmethod
    def _reads(function: Callable[..., Any]) -> Call:
        return _reader(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def _native(self, hands: Hands) -> _quorate.WorkflowTool:
        return hands.of(self.name, self._call, self.idempotent, self._guard)

    def __repr__(self) -> str:
        return f"<tool {self.name}>"


def _retry(given: Any) -> Any:
    """Further attempts as the native half takes them. Code: ``invalid_argument``."""
    if given is None or isinstance(given, Mapping) or (isinstance(given, int) and not isinstance(given, bool)):
        return given if given is None or isinstance(given, int) else dict(given)
    if isinstance(given, str) or not hasattr(given, "max_attempts"):
        raise InvalidInput("invalid_argument", f"retry is of type {type(given).__name__}; a number of attempts, a dict or a Retry is expected")
    if getattr(given, "on", None) is not None:
        message = "retry: a tool is tried again by the codes of errors, not by exceptions; give a dict with retry_on"
        raise InvalidInput("invalid_argument", message)
    # A node's words for the same.
    words = {"max_attempts": "max_attempts", "initial": "backoff", "factor": "factor", "longest": "max_backoff"}
    return {word: getattr(given, name) for name, word in words.items() if hasattr(given, name)}


class KindOfStep(Tool):
    """A kind of step that the host does: its handler is given what stands under the kind's name."""

    @staticmethod
    def _reads(function: Callable[..., Any]) -> Call:
        return _handler(function)


def _function_of(tool: RuntimeTool) -> Callable[..., Any]:
    if tool._function is None:
        message = f"the tool '{tool.name}' is no function of Python; give a function that calls it"
        raise InvalidInput("invalid_argument", message)
    return tool._function


def tools_of(given: Any) -> list[Tool]:
    """What a caller gave as tools. Code: ``invalid_argument``."""
    if isinstance(given, (str, bytes, Mapping, type)) or not hasattr(given, "__iter__"):
        raise InvalidInput("invalid_argument", f"tools are of type {type(given).__name__}; a list of tools is expected")
    return [_tool_of(one, f"tools[{i}]") for i, one in enumerate(given)]


def _tool_of(given: Any, what: str) -> Tool:
    if isinstance(given, Tool):
        return given
    try:
        if isinstance(given, RuntimeTool):
            card = given.card
            repeated = card["idempotent"] if card["idempotent"] is not None else card["effect"] == "read"
            return Tool(card["name"], _function_of(given), timeout=card["timeout"], idempotent=repeated)
        if not callable(given):
            raise InvalidInput("invalid_argument", f"of type {type(given).__name__}; a tool or a function is expected")
        name = getattr(given, "__name__", None) or type(given).__name__
        return Tool(name, given)
    except InvalidInput as refused:
        raise InvalidInput(refused.code, f"{what}: {refused.message}") from refused


_WHOLE = {"args", "arguments"}
# Names that say nothing: where no argument has one, it is for all of them.
_VAGUE = {"a", "payload", "params", "parameters", "given", "request", "data", "input", "x", "_"}
_TOLD = {"ctx", "context"}
_Kind = inspect.Parameter
_BY_PLACE = (_Kind.POSITIONAL_ONLY, _Kind.POSITIONAL_OR_KEYWORD)


def _reader(function: Callable[..., Any]) -> Call:
    """What calls a function with the arguments of a step."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return lambda arguments, context: function(**_named(arguments, "the function"))
    first = parameters[0] if parameters else None
    whole = _whole(function, parameters)
    if first is not None and first.name in _WHOLE and _is_open(first):
        return whole
    gathers = any(one.kind is _Kind.VAR_KEYWORD for one in parameters)
    read = as_tool(function, StepContext, {} if gathers else None)
    told = _told(parameters, read)
    name = str(read.card["name"])
    vague = first is not None and first.name in _VAGUE and _is_open(first)

    def call(arguments: Any, context: StepContext) -> Any:
        if vague and first is not None and not (isinstance(arguments, Mapping) and first.name in arguments):
            return whole(arguments, context)
        given = read.read(_named(arguments, name))
        if told is not None:
            given[told] = context
        _check(function, read, given, name)
        return read.call(function, given)

    return call


def _handler(function: Callable[..., Any]) -> Call:
    """What calls the handler of a kind of step: with all that stands under the kind, and the context where it takes that."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return lambda arguments, context: function(arguments)
    return _whole(function, parameters)


def _is_open(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is given by its place, and no hint says that it is less than a dict."""
    said = parameter.annotation
    if isinstance(said, str):
        said = said.split("[")[0].rsplit(".", 1)[-1]
    named = getattr(getattr(said, "__origin__", said), "__name__", getattr(said, "_name", said))
    return parameter.kind in _BY_PLACE and (said is _Kind.empty or named in ("dict", "Dict", "Mapping", "Any", "object"))


def _whole(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> Call:
    """What gives a function all arguments as they are, and the context where it takes that."""
    by_place = [one for one in parameters if one.kind in _BY_PLACE]
    gathers = any(one.kind is _Kind.VAR_POSITIONAL for one in parameters)
    second = gathers or (len(by_place) > 1 and (by_place[1].default is _Kind.empty or by_place[1].name in _TOLD))
    named = next((one.name for one in parameters if one.kind is _Kind.KEYWORD_ONLY and one.name in _TOLD), None)

    def call(arguments: Any, context: StepContext) -> Any:
        given = (arguments, context) if second else (arguments,)
        return function(*given, **({named: context} if named is not None else {}))

    return call


def _told(parameters: list[inspect.Parameter], read: Function) -> str | None:
    """The parameter that is told about the call."""
    if read.context is not None:
        return read.context
    return next((one.name for one in parameters if one.name in _TOLD and one.annotation is _Kind.empty), None)


def _named(arguments: Any, name: str) -> dict[str, Any]:
    if isinstance(arguments, Mapping):
        return dict(arguments)
    if arguments is None:
        return {}
    raise _refused(f"'{name}' takes arguments by name, and args is of type {type(arguments).__name__}")


def _check(function: Callable[..., Any], read: Function, given: dict[str, Any], name: str) -> None:
    """Refuses arguments that the function does not take, and those that it lacks, before it is called."""
    by_place = [one for one, _ in read.ordered if one in given]
    try:
        inspect.signature(function).bind(
            *(given[one] for one in by_place),
            *given.get(read.rest or "", []),
            **{one: value for one, value in given.items() if one not in by_place and one != read.rest},
        )
    except TypeError as wrong:
        raise _refused(f"the arguments of '{name}': {wrong}") from None


def _refused(message: str) -> QuorateError:
    refused: QuorateError = _quorate.error("tool_arguments", message)
    return refused
