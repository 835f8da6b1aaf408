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
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from . import _quorate
from ._errors import Cancelled, InvalidInput
from ._plain import Kind, Misfit
from ._report import Report, plain
from ._schema import parameters

if TYPE_CHECKING:
    import asyncio

    from ._kb import KnowledgeBase
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


class Tool:
    """Something that a model may have done; made by :func:`tool`, :func:`kb_tool` and :func:`agent_tool`.

    What is a function can be called as before.
    """

    def __init__(self, native: _quorate.NativeTool, function: Callable[..., Any] | None = None, call: Any = None) -> None:
        self._native = native
        self._function = function
        self._call = call
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

    def _on(self, loop: asyncio.AbstractEventLoop | None) -> _quorate.NativeTool:
        """The tool, whose coroutines run on ``loop``."""
        if self._call is None or loop is None:
            return self._native
        return _quorate.function_tool(self.card, functools.partial(self._call, loop))

    def __repr__(self) -> str:
        return f"<tool {self.name}>"


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
        if not callable(function):
            raise InvalidInput("invalid_argument", f"a tool is a function, not of type {type(function).__name__}")
        card, kinds, context = parameters(function, ToolContext)
        own = {"name": name, "description": description, "schema": None if schema is None else dict(schema)}
        card |= {key: value for key, value in own.items() if value is not None}
        card |= {**given, "max_result_tokens": max_result_tokens}
        call = functools.partial(_call, function, {} if schema is not None else kinds, context)
        return Tool(_quorate.function_tool(card, functools.partial(call, None)), function, call)

    return make if function is None else make(function)


def _call(
    function: Callable[..., Any],
    kinds: Mapping[str, Kind],
    context: str | None,
    loop: asyncio.AbstractEventLoop | None,
    arguments: dict[str, Any],
    told: Mapping[str, Any],
    cancel: _quorate.Cancel,
) -> dict[str, Any]:
    """Calls on a thread of quorate; what gives a coroutine is awaited on ``loop``, or in a loop of its own."""
    given = {}
    for name, value in arguments.items():
        kind = kinds.get(name)
        try:
            given[name] = value if kind is None else kind.read(value, "", False)
        except Misfit as misfit:
            raise _quorate.error("tool_arguments", f"'{name}' at '{misfit.at or '/'}': {misfit.said}") from None
    if context is not None:
        given[context] = ToolContext(**told)
    return {"result": _result(waited(function(**given), loop, cancel, "the tool"))}


def waited(given: Any, loop: asyncio.AbstractEventLoop | None, cancel: _quorate.Cancel, what: str) -> Any:
    """What a function gave; a coroutine is awaited, on ``loop`` or in a loop of its own, until ``cancel`` is raised."""
    if not inspect.isawaitable(given):
        return given
    import asyncio

    async def wait() -> Any:
        task = asyncio.ensure_future(given)
        try:
            while not (await asyncio.wait([task], timeout=0.05))[0]:
                if cancel.cancelled:
                    task.cancel()
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            raise Cancelled("cancelled", f"{what} was cancelled")
        return task.result()

    if loop is None:
        return asyncio.run(wait())
    return asyncio.run_coroutine_threadsafe(wait(), loop).result()


def _result(value: Any) -> Any:
    """A result as values of JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and not hasattr(value, "to_dict"):
        return {field.name: _result(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json")
    if isinstance(value, (list, tuple)):
        return [_result(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _result(one) for name, one in value.items()}
    return plain(value)


def tools_of(given: Any, loop: asyncio.AbstractEventLoop | None) -> list[_quorate.NativeTool]:
    """Tools as the native half takes them."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidInput("invalid_argument", f"tools are of type {type(given).__name__}; a list of tools is expected")
    found = []
    for i, one in enumerate(given):
        if not isinstance(one, Tool):
            if not callable(one):
                kind = type(one).__name__
                raise InvalidInput("invalid_argument", f"tools[{i}] is of type {kind}; a tool or a function is expected")
            one = tool(one)
        found.append(one._on(loop))
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
    return Tool(_quorate.expert_tool(runtime._native, id))
