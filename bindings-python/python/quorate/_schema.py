"""In which form does a model answer, and which tool is a Python function?"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ._errors import QuorateError
from ._kinds import Kinds, hints_of, object_schema
from ._plain import Kind, Misfit, unknown
from ._quorate import error


class Form:
    """The form of an answer: its JSON Schema, and how a value of it is read."""

    def __init__(self, schema: dict[str, Any], kind: Kind | None = None) -> None:
        self.schema = schema
        self._kind = kind
        self.check = self.read if kind is not None else None
        """What refuses values that fit the schema; None where nothing does."""
        self.cause: tuple[str, BaseException] | None = None
        """What the type raised last, and the message that it was told with."""

    def read(self, value: Any) -> Any:
        """The value as its type. Code: ``output_invalid`` with the path where the type refuses it."""
        if self._kind is None:
            return value
        try:
            return self._kind.read(value, "", False)
        except QuorateError as raised:
            if raised.__cause__ is not None:
                self.cause = (raised.message, raised.__cause__)
            raise
        except Exception as raised:
            at, said = (raised.at, raised.said) if isinstance(raised, Misfit) else ("", f"{type(raised).__name__}: {raised}")
            message = f"the output does not fit its type: at '{at or '/'}': {said}"
            if raised.__cause__ is not None:
                self.cause = (message, raised.__cause__)
            raise error("output_invalid", message) from (raised.__cause__ or raised)


def form(output: Any) -> Form:
    """The form that a type or a JSON Schema describes. Code: ``invalid_argument``."""
    if isinstance(output, Mapping):
        return Form(dict(output))
    kind = Kinds().root(output)
    return Form(kind.schema, kind)


def of_function(function: Callable[..., Any]) -> dict[str, Any]:
    """A function as a tool: its name, the first paragraph of its docstring, the schema of its parameters by their hints."""
    return parameters(function)[0]


def parameters(function: Callable[..., Any], besides: Any = None) -> tuple[dict[str, Any], dict[str, Kind], str | None]:
    """A function as a tool, what reads each of its parameters, and the parameter whose hint is ``besides``, which is none of the tool's."""
    name = getattr(function, "__name__", type(function).__name__)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as cause:
        raise unknown(f"the function '{name}' cannot be read as a tool: {cause}") from cause
    hints, kinds = hints_of(function), Kinds()
    found: dict[str, Kind] = {}
    required, other = [], None
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint = hints.get(parameter.name, Any)
        if besides is not None and _holds(hint, besides):
            other = parameter.name
            continue
        found[parameter.name] = kinds.of(hint)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    schema = kinds.finish(object_schema({name: kind.schema for name, kind in found.items()}, required))
    said = inspect.cleandoc(function.__doc__ or "").split("\n\n")[0]
    return {"name": name, "description": said, "schema": schema}, found, other


def _holds(hint: Any, besides: Any) -> bool:
    """Whether a hint is ``besides``, also within Annotated and beside None."""
    if hint is besides:
        return True
    inner = getattr(hint, "__origin__", None) if hasattr(hint, "__metadata__") else None
    if inner is not None:
        return _holds(inner, besides)
    return any(_holds(one, besides) for one in getattr(hint, "__args__", ()) if not isinstance(one, (str, bytes)))
