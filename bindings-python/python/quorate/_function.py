"""Which tool is a Python function, and how is it called with the arguments that a model wrote?"""

from __future__ import annotations

import enum
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from ._docstring import parameters_of, summary_of
from ._errors import QuorateError
from ._kinds import Kinds, hints_of, object_schema
from ._plain import Kind, Misfit, unknown
from ._quorate import error

_Kind = inspect.Parameter
_EMPTY = inspect.Parameter.empty


class Function(NamedTuple):
    """A function as a tool."""

    card: dict[str, Any]
    """Its name, the first paragraph of its docstring, the schema of its parameters by their hints."""
    kinds: dict[str, Kind]
    """What reads each of its parameters."""
    context: str | None
    """The parameter that is none of the tool's, but is told about the call."""
    ordered: list[tuple[str, Any]]
    """The parameters that are given by their place, with their defaults."""
    rest: str | None
    """The parameter that gathers further ones."""
    filled: dict[str, Any]
    """The parameters whose default is a field of pydantic's."""

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the hints say. Code: ``tool_arguments``."""
        given = {}
        for name, value in arguments.items():
            kind = self.kinds.get(name)
            try:
                given[name] = value if kind is None else kind.read(value, "", False)
            except Misfit as misfit:
                raise error("tool_arguments", f"'{name}' at '{misfit.at or '/'}': {misfit.said}") from None
        for name, field in self.filled.items():
            if name not in given:
                given[name] = field.get_default(call_default_factory=True)
        return given

    def call(self, function: Callable[..., Any], given: dict[str, Any]) -> Any:
        """Calls with what was read."""
        ordered = []
        for name, default in self.ordered:
            if name not in given and default is _EMPTY:
                break
            ordered.append(given.pop(name, default))
        if self.rest is not None:
            ordered += given.pop(self.rest, [])
        return function(*ordered, **given)


def of_function(function: Callable[..., Any]) -> dict[str, Any]:
    """The name, the description and the schema of a function, for a model. Code: ``invalid_argument``."""
    card = getattr(function, "card", None)
    if isinstance(card, dict) and isinstance(card.get("schema"), dict):
        return {name: card[name] for name in ("name", "description", "schema")}
    return as_tool(function).card


def as_tool(function: Callable[..., Any], besides: Any = None, schema: Mapping[str, Any] | None = None) -> Function:
    """A function as a tool. ``besides``: the hint of the parameter that is none of the tool's. ``schema``: that of the arguments, where
    the hints are not to say it. Code: ``invalid_argument``."""
    inner: Any = function
    fixed: set[str] = set()
    while isinstance(inner, functools.partial):
        fixed |= inner.keywords.keys()
        inner = inner.func
    if isinstance(inner, type):
        raise unknown(f"a tool is a function, and {inner.__name__} is a class; give a function that makes one")
    # An object that can be called is told by its class.
    routine: Any = inner if inspect.isroutine(inner) or hasattr(inner, "__wrapped__") else type(inner).__call__
    name = str(getattr(inner, "__name__", type(inner).__name__))
    if any(check(routine) for check in (inspect.isgeneratorfunction, inspect.isasyncgenfunction)):
        raise unknown(f"'{name}' gives its results one by one, and a tool gives one; return a list of them")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as cause:
        raise unknown(f"the function '{name}' cannot be read as a tool: {cause}; give a function of Python that calls it") from cause
    try:
        hints = hints_of(routine)
    except QuorateError:
        if schema is None:
            raise
        hints = {}
    found = _Found(name, schema is not None)
    for parameter in signature.parameters.values():
        hint = hints.get(parameter.name, _EMPTY)
        if parameter.name in fixed and parameter.kind is _Kind.KEYWORD_ONLY:
            continue
        if besides is not None and _holds(hint, besides):
            found.context = parameter.name
            if parameter.kind is _Kind.POSITIONAL_ONLY:
                found.ordered.append((parameter.name, parameter.default))
            continue
        found.take(parameter, hint)
    doc = inspect.getdoc(routine) or (inspect.getdoc(type(inner)) if routine is not inner else None) or ""
    said = summary_of(doc)
    if schema is None:
        found.describe(parameters_of(doc))
        schema = found.schema()
    card = {"name": name, "description": said, "schema": dict(schema)}
    return Function(card, found.kinds, found.context, found.ordered, found.rest, found.filled)


class _Found:
    """What the parameters of a function say, one after another."""

    def __init__(self, name: str, has_schema: bool) -> None:
        self.name, self._has_schema = name, has_schema
        self.kinds: dict[str, Kind] = {}
        self.context: str | None = None
        self.ordered: list[tuple[str, Any]] = []
        self.rest: str | None = None
        self.filled: dict[str, Any] = {}
        self._places: list[tuple[str, Any]] = []
        self._made, self._properties, self._more = Kinds(), dict[str, Any](), False
        self._required: list[str] = []
        self._others: Any = None

    def take(self, parameter: inspect.Parameter, hint: Any) -> None:
        """Takes the next parameter."""
        name = parameter.name
        if not self._properties and name in ("self", "cls") and hint is _EMPTY:
            raise unknown(f"'{self.name}' is a method without its object; give it bound, as in tool(thing.{self.name})")
        if parameter.kind in (_Kind.VAR_POSITIONAL, _Kind.VAR_KEYWORD) and (hint is _EMPTY or self._has_schema):
            self._more = True
            return
        if parameter.kind is _Kind.VAR_KEYWORD:
            self._others = self._of(hint, name)
            return
        if parameter.kind is _Kind.VAR_POSITIONAL:
            # What comes before it is given by its place too.
            self.rest, self.ordered = name, self.ordered + self._places
            self._add(name, self._of(list[hint], name), [])
            return
        default = parameter.default
        if _is_field(default):
            self.filled[name] = default
            hint = Annotated[Any if hint is _EMPTY else hint, default]
            default = _EMPTY if default.is_required() else default
            if default is _EMPTY:
                del self.filled[name]
        if parameter.kind is _Kind.POSITIONAL_ONLY:
            self.ordered.append((name, default))
        elif parameter.kind is _Kind.POSITIONAL_OR_KEYWORD:
            self._places.append((name, default))
        if not self._has_schema:
            self._add(name, self._of(Any if hint is _EMPTY else hint, name), default)

    def _of(self, hint: Any, parameter: str) -> Kind:
        try:
            return self._made.of(hint)
        except QuorateError as cause:
            raise unknown(f"the parameter '{parameter}' of '{self.name}': {cause.message}") from cause

    def _add(self, name: str, kind: Kind, default: Any) -> None:
        schema = kind.schema
        if default is _EMPTY:
            self._required.append(name)
        elif (value := _written(default)) is not _EMPTY and "default" not in schema:
            schema = {**schema, "default": value}
        self.kinds[name], self._properties[name] = kind, schema

    def describe(self, said: Mapping[str, str]) -> None:
        """Takes what the docstring says of parameters that say nothing themselves."""
        for name, words in said.items():
            schema = self._properties.get(name)
            if schema is not None and "description" not in schema:
                self._properties[name] = {**schema, "description": words}

    def schema(self) -> dict[str, Any]:
        """The schema of all arguments."""
        if self._more and not self._properties and self._others is None:
            raise unknown(
                f"'{self.name}' gathers its arguments (*args, **kwargs), and no hint says which; give schema=, or have its decorator use functools.wraps"
            )
        schema = object_schema(self._properties, self._required)
        if self._others is not None:
            schema["additionalProperties"] = self._others.schema
            self.kinds = _Others(self.kinds, self._others)
        return self._made.finish(schema)


class _Others(dict[str, Kind]):
    """The kinds of parameters, and one for all others."""

    def __init__(self, known: Mapping[str, Kind], others: Kind) -> None:
        super().__init__(known)
        self._others = others

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, self._others)


def _is_field(default: Any) -> bool:
    """Whether a default is a field of pydantic's, which says more than a default."""
    return type(default).__module__.startswith("pydantic.") and hasattr(default, "get_default") and hasattr(default, "is_required")


def _written(default: Any) -> Any:
    """A default as JSON, where it is a plain value."""
    if isinstance(default, enum.Enum):
        default = default.value
    if default is None or isinstance(default, (str, bool)):
        return default
    if isinstance(default, int) and type(default) is int and abs(default) < 2**63:
        return default
    return default if type(default) is float and math.isfinite(default) else _EMPTY


def _holds(hint: Any, besides: Any) -> bool:
    """Whether a hint is ``besides``, also within Annotated and beside None."""
    if hint is besides:
        return True
    inner = getattr(hint, "__origin__", None) if hasattr(hint, "__metadata__") else None
    if inner is not None:
        return _holds(inner, besides)
    return any(_holds(one, besides) for one in getattr(hint, "__args__", ()) if not isinstance(one, (str, bytes)))
