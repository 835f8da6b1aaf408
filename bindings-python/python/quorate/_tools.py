"""What may a model have done?

>>> @tool(effect="read")
... def lookup(code: str, year: int = 2025) -> dict:
...     '''What a code means.'''
...     return {"code": code, "year": year}
>>> lookup.name, lookup("C1725")
('lookup', {'code': 'C1725', 'year': 2025})
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import math
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from . import _quorate
from ._errors import InvalidInput
from ._function import Function, as_tool
from ._given import text
from ._record import record
from ._report import Report, plain

if TYPE_CHECKING:
    import asyncio

    from ._kb import KnowledgeBase
    from ._loop import Loop
    from ._runtime import Runtime

Effect: TypeAlias = Literal["read", "write"]


@dataclass(frozen=True, repr=False)
class ToolContext(Report):
    """What a tool is told about a call, in the parameter with this hint."""

    run_id: str
    """The run that calls."""
    call_id: str
    """The call; unique within the run."""
    idempotency_key: str
    """The same for each attempt at this call, and for no other: what makes a repeated call harmless."""
    tenant: str | None = None
    """On whose behalf."""


class Asked:
    """One question: where its functions run, with which context variables, and what ends it.

    Coroutines run on the event loop of who asks, else on one of the question's own, which is closed at its end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.cancel = _quorate.Cancel()
        self.tools: list[Tool] = []
        """What may be called: it lives as long."""
        self.keep: Any = None
        """What else lives as long: models of members."""
        self._loop = loop
        self._own: Loop | None = None
        self._context = copy_context()
        self._lock = threading.Lock()
        self._raised: BaseException | None = None

    def run(self, function: Callable[..., Any], cancel: _quorate.Cancel, what: str, *, writes: bool = False) -> Any:
        """What a function gives, called on this thread with the context variables of who asked; what can be awaited is.

        ``SystemExit``, ``KeyboardInterrupt`` and their like are no failures: they end the question, and whoever asked gets them.
        """

        def call() -> Any:
            given = function()
            return self._waited(given, cancel, what, writes) if inspect.isawaitable(given) else given

        try:
            # Several run at once.
            return self._context.copy().run(call)
        except Exception:
            raise
        except BaseException as raised:
            if not _quorate.ending():
                self._raised = self._raised or raised
                self.cancel.cancel()
            raise

    def _waited(self, given: Any, cancel: _quorate.Cancel, what: str, writes: bool) -> Any:
        from . import _loop

        where: asyncio.AbstractEventLoop | Loop | None = self._loop
        if where is None:
            with self._lock:
                where = self._own = self._own or _loop.Loop()
        return _loop.waited(given, where, cancel, what, writes)

    def close(self, patience: float = 1.0) -> None:
        """Ends the loop that was the question's own, and waits so long for that."""
        own = self._own
        if own is not None:
            own.close(patience)

    def settle(self) -> None:
        """Raises what has ended the question."""
        raised, self._raised = self._raised, None
        if raised is not None:
            try:
                raise raised
            finally:
                # It refers to this frame: no cycle.
                del raised

    def __enter__(self) -> Asked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self.settle()


class Tool:
    """Something that a model may have done; made by :func:`tool`, :func:`kb_tool` and :func:`agent_tool`.

    What is a function can be called as before.
    """

    def __init__(
        self, native: _quorate.NativeTool, function: Callable[..., Any] | None = None, call: Any = None, of: object = None
    ) -> None:
        # What it asks lives as long.
        self._of = of
        self._function = function
        self._call = call
        # The native half does not hold the function: it may hold what holds the tool, and no collector sees that.
        self._native = native if call is None else native.bound(functools.partial(_if_there, weakref.ref(self)))
        if function is not None:
            functools.update_wrapper(self, function)

    @property
    def card(self) -> dict[str, Any]:
        """What is known of it: ``name``, ``description``, ``schema``, ``effect``, ``approval``, ``timeout``, ``idempotent``,
        ``max_result_tokens``."""
        found: dict[str, Any] = self._native.card
        return found

    @property
    def name(self) -> str:
        """The name by which a model calls it."""
        name: str = self.card["name"]
        return name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is None:
            raise InvalidInput("invalid_argument", f"the tool '{self.name}' is no function of Python")
        return self._function(*args, **kwargs)

    def _for(self, asked: Asked) -> _quorate.NativeTool:
        """The tool as it runs for one question, which holds it."""
        if self._call is None:
            return self._native
        return self._native.bound(functools.partial(self._call, asked))

    def __repr__(self) -> str:
        return f"<tool {self.name}>"

    def _repr_html_(self) -> str:
        from . import _html

        return _html.record(record(self.card))


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
    effect: Effect = "read",
    approval: bool = False,
    timeout: float = 30,
    idempotent: bool | None = None,
    max_result_tokens: int = 2000,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
    effect: Effect = "read",
    approval: bool = False,
    timeout: float = 30,
    idempotent: bool | None = None,
    max_result_tokens: int = 2000,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """A function as a tool: ``@quorate.tool`` or ``@quorate.tool(effect="write")``. It may be a coroutine function.

    The name, the description and the schema of its arguments are the function's, its docstring's and those of its hints where
    they are not given. A call of a tool whose ``effect`` is ``write``, or with ``approval``, waits for approval. ``timeout``: seconds; a
    call that takes longer is not waited for. ``idempotent``: whether a call may be made again when it is not known how it
    ended (None: where it only reads). Of a result over ``max_result_tokens`` the model reads head and tail. A parameter with
    the hint :class:`ToolContext` is told about the call. Code: ``invalid_argument``.
    """
    if schema is not None and not isinstance(schema, Mapping):
        raise InvalidInput("invalid_argument", f"schema is of type {type(schema).__name__}; a JSON Schema, a dict, is expected")
    given = {"effect": effect, "approval": approval, "timeout": timeout, "idempotent": idempotent}

    def make(function: Callable[..., Any]) -> Tool:
        if isinstance(function, (classmethod, Tool)) or not callable(function):
            how = "; make it a tool as it is bound to its class: tool(Class.method)" if isinstance(function, classmethod) else ""
            how = "; it is a tool already: give its function" if isinstance(function, Tool) else how
            raise InvalidInput("invalid_argument", f"a tool is a function, not of type {type(function).__name__}{how}")
        read = as_tool(function, ToolContext, schema)
        own = {"name": name, "description": description}
        card = {**read.card, **{key: value for key, value in own.items() if value is not None}}
        if not isinstance(card["name"], str) or not re.fullmatch("[A-Za-z0-9_-]{1,64}", card["name"]):
            # A whole number may have more digits than Python shows.
            shown = f"{card['name']!r:.80}" if isinstance(card["name"], str) else f"of type {type(card['name']).__name__}"
            raise InvalidInput("invalid_argument", f"the name {shown} is none that models take: give name=, 1 to 64 of a-z, A-Z, 0-9, _ and -")
        card |= {**given, "max_result_tokens": max_result_tokens}
        call = functools.partial(_call, function, read, effect == "write")
        return Tool(_quorate.function_tool(card, _nobody), function, call)

    return make if function is None else make(function)


def _call(
    function: Callable[..., Any],
    read: Function,
    writes: bool,
    asked: Asked,
    arguments: dict[str, Any],
    told: Mapping[str, Any],
    cancel: _quorate.Cancel,
    who: Asked | None,
) -> dict[str, Any]:
    """Calls on a thread of quorate; what gives a coroutine is awaited on the loop of who asks, or on one of the question's own."""
    given = read.read(arguments)
    if read.context is not None:
        given[read.context] = ToolContext(**told)
    return {"result": _result(asked.run(lambda: read.call(function, given), cancel, "the tool", writes=writes))}


def _nobody(*given: Any) -> dict[str, Any]:
    raise InvalidInput("invalid_argument", "this tool has no function")


def _if_there(
    tool: weakref.ref[Tool], arguments: dict[str, Any], told: Mapping[str, Any], cancel: _quorate.Cancel, who: Asked | None
) -> dict[str, Any]:
    """Calls a tool of another runtime than the one that is asked, on behalf of who asks that one."""
    found = tool()
    if found is None:
        raise InvalidInput("invalid_argument", "this tool is gone, and who had it")
    if who is not None:
        given: dict[str, Any] = found._call(who, arguments, told, cancel, who)
        return given
    with Asked(None) as asked:
        result: dict[str, Any] = found._call(asked, arguments, told, cancel, asked)
    return result


# How deep a result may be nested.
_DEEPEST = 48


def _result(value: Any, depth: int = 0) -> Any:
    """A result as values of JSON. What has taken effect never fails for the type of what it gives: anything else is its text."""
    try:
        return _json(value, depth)
    # Methods of the result run here.
    except Exception:
        return f"<{type(value).__name__}>"


def _json(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return _result(value.value, depth + 1)
    if isinstance(value, str):
        # A lone surrogate is no text.
        return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, int):
        value = int(value)
        return value if -(2**63) <= value < 2**63 else hex(value) if abs(value) > 10**1000 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return f"<{len(bytes(value))} bytes>"
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {_json(name if isinstance(name, str) else str(name), depth): _result(one, depth + 1) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [_result(one, depth + 1) for one in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Report)):
        return {field.name: _result(getattr(value, field.name), depth + 1) for field in dataclasses.fields(value)}
    made = plain(value)
    return _json(str(value), depth) if made is value else _result(made, depth + 1)


def tools_in(given: Any) -> list[Tool]:
    """What a caller gave as tools. Code: ``invalid_argument``."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidInput("invalid_argument", f"tools are of type {type(given).__name__}; a list of tools is expected")
    found = []
    for i, one in enumerate(given):
        if not isinstance(one, Tool):
            if not callable(one):
                kind = type(one).__name__
                raise InvalidInput("invalid_argument", f"tools[{i}] is of type {kind}; a tool or a function is expected")
            try:
                one = tool(one)
            except InvalidInput as refused:
                raise InvalidInput(refused.code, f"tools[{i}]: {refused.message}") from refused
        found.append(one)
    return found


def kb_tool(kb: KnowledgeBase) -> Tool:
    """A tool ``search`` that gives the passages of a knowledge base that fit a question, with where they stand."""
    from ._kb import KnowledgeBase

    if not isinstance(kb, KnowledgeBase):
        raise InvalidInput("invalid_argument", f"kb is of type {type(kb).__name__}; a KnowledgeBase is expected")
    return Tool(_quorate.search_tool(kb._native))


def agent_tool(runtime: Runtime, id: str) -> Tool:
    """A tool by which an expert asks another. It spends of the budget of the run that asks, and runs start one another five deep.

    Codes: ``unknown_id``, ``invalid_argument`` for a runtime without a registry.
    """
    from ._runtime import Runtime

    if not isinstance(runtime, Runtime):
        raise InvalidInput("invalid_argument", f"runtime is of type {type(runtime).__name__}; a Runtime is expected")
    return Tool(_quorate.expert_tool(runtime._native, text(id, "id")), of=runtime)
