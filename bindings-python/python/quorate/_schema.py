"""Which JSON Schema does a Python type have, and how does a JSON value become a value of that type?

Dataclasses, TypedDicts, pydantic models, enums, ``Literal``, unions, lists, tuples, sets, dicts, dates and plain values.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from ._errors import InvalidInput, QuorateError
from ._quorate import error

_PLAIN: dict[Any, dict[str, Any]] = {
    Any: {},
    object: {},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    dict: {"type": "object"},
    list: {"type": "array"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
}

_LISTS = {list: list, tuple: tuple, set: set, frozenset: frozenset, abc.Sequence: list, abc.Iterable: list, abc.Set: set}

# Python 3.10 has neither.
_MARKS = tuple(getattr(typing, name) for name in ("Required", "NotRequired") if hasattr(typing, name))


class Form:
    """The form of an answer: its JSON Schema, and how a value of it is read."""

    def __init__(self, schema: dict[str, Any], read: Callable[[Any], Any] | None = None) -> None:
        self.schema = schema
        self._read = read
        self.check = self.read if read is not None else None
        """What refuses values that fit the schema; None where nothing does."""

    def read(self, value: Any) -> Any:
        """The value as its type. Code: ``output_invalid`` with the path where the type refuses it."""
        if self._read is None:
            return value
        try:
            return self._read(value)
        except QuorateError:
            raise
        except Exception as cause:
            path, said = _complaint(cause)
            raise error("output_invalid", f"the output does not fit its type: at '{path}': {said}") from (
                cause.__cause__ or cause
            )


def form(output: Any) -> Form:
    """The form that a type or a JSON Schema describes. Code: ``invalid_argument``."""
    if isinstance(output, Mapping):
        return Form(dict(output))
    schemas = _Schemas()
    schema = schemas.whole(output)
    return Form(schema, lambda value: _read(output, value))


def of_function(function: Callable[..., Any]) -> dict[str, Any]:
    """A function as a tool: its name, the first paragraph of its docstring, the schema of its parameters by their hints."""
    name = getattr(function, "__name__", type(function).__name__)
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError) as cause:
        raise _unknown(f"the function '{name}' cannot be read as a tool: {cause}") from cause
    schemas = _Schemas()
    properties, required = {}, []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        properties[parameter.name] = schemas.of(hints.get(parameter.name, Any))
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    schema = schemas.finish(_object(properties, required))
    return {"name": name, "description": inspect.cleandoc(function.__doc__ or "").split("\n\n")[0], "schema": schema}


def _unknown(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


def _formless(of: Any) -> InvalidInput:
    name = of.__name__ if isinstance(of, type) else f"an object of type {type(of).__name__}"
    return _unknown(f"{name} has no JSON Schema; give a dataclass, a TypedDict, a pydantic model or a JSON Schema")


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _is_pydantic(of: Any) -> bool:
    return isinstance(of, type) and hasattr(of, "model_json_schema") and hasattr(of, "model_validate")


class _Schemas:
    """Makes schemas; types with fields are written once, under ``$defs``."""

    def __init__(self) -> None:
        self._defs: dict[str, Any] = {}
        self._names: dict[Any, str] = {}

    def whole(self, of: Any) -> dict[str, Any]:
        """The schema of a type that stands by itself."""
        if _is_pydantic(of):
            return dict(of.model_json_schema())
        schema = self.of(of)
        name = self._names.get(of)
        if name is not None:
            # Services want an object at the root, and no reference.
            schema = self._defs[name]
            if not _refers(self._defs, f"#/$defs/{name}"):
                del self._defs[name]
        return self.finish(schema)

    def finish(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {**schema, "$defs": self._defs} if self._defs else schema

    def of(self, of: Any) -> dict[str, Any]:
        if not _is_hashable(of):
            raise _formless(of)
        if of in _PLAIN:
            return dict(_PLAIN[of])
        origin, arguments = get_origin(of), get_args(of)
        if origin is typing.Annotated:
            schema = self.of(arguments[0])
            said = next((one for one in arguments[1:] if isinstance(one, str)), None)
            return {**schema, "description": said} if said else schema
        if origin in _MARKS:
            return self.of(arguments[0])
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(one) for one in arguments]}
        if (origin or of) in _LISTS:
            return self._list(origin or of, arguments)
        if origin in (dict, abc.Mapping, abc.MutableMapping):
            if arguments and arguments[0] not in (str, Any):
                raise _unknown(f"{of} has keys that are no strings; JSON has no others")
            return {"type": "object", "additionalProperties": self.of(arguments[1]) if arguments else {}}
        if isinstance(of, type) and issubclass(of, enum.Enum):
            return {"enum": [one.value for one in of]}
        if isinstance(of, type) and (_is_pydantic(of) or dataclasses.is_dataclass(of) or typing.is_typeddict(of)):
            return self._named(of)
        raise _formless(of)

    def _list(self, kind: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        if kind is tuple and arguments and arguments[-1] is not Ellipsis:
            items = [self.of(one) for one in arguments]
            return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
        schema: dict[str, Any] = {"type": "array"}
        if arguments:
            schema["items"] = self.of(arguments[0])
        if kind in (set, frozenset, abc.Set):
            schema["uniqueItems"] = True
        return schema

    def _named(self, of: type) -> dict[str, Any]:
        name = self._names.get(of)
        if name is None:
            name = of.__name__
            while name in self._defs:
                name += "_"
            self._names[of] = name
            self._defs[name] = {}
            self._defs[name] = self._fields(of)
        return {"$ref": f"#/$defs/{name}"}

    def _fields(self, of: Any) -> dict[str, Any]:
        if _is_pydantic(of):
            schema = dict(of.model_json_schema(ref_template="#/$defs/{model}"))
            self._defs.update(schema.pop("$defs", {}))
            return schema
        hints = _hints(of)
        if dataclasses.is_dataclass(of):
            fields = [field for field in dataclasses.fields(of) if field.init]
            needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
            names = [field.name for field in fields]
        else:
            names, needed = list(hints), [name for name in hints if name in of.__required_keys__]
        name: str = getattr(of, "__name__", "")
        schema = {"title": name, **_object({each: self.of(hints[each]) for each in names}, needed)}
        said = inspect.cleandoc(of.__doc__ or "")
        # A dataclass without words of its own has its signature there.
        if said and not said.startswith(f"{name}(") and said != dict.__doc__:
            schema["description"] = said.split("\n\n")[0]
        return schema


def _hints(of: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(of, include_extras=True)
    except (NameError, TypeError) as cause:
        raise _unknown(f"the hints of {of.__name__} cannot be read: {cause}") from cause


def _is_hashable(of: Any) -> bool:
    try:
        hash(of)
    except Exception:
        return False
    return True


def _refers(value: Any, place: str) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == place or any(_refers(member, place) for member in value.values())
    return isinstance(value, list) and any(_refers(member, place) for member in value)


class _At(Exception):
    """A value that does not fit, and where."""

    def __init__(self, path: str, said: str) -> None:
        super().__init__(path, said)


def _complaint(cause: Exception) -> tuple[str, str]:
    if isinstance(cause, _At):
        path, said = cause.args
        return path or "/", said
    if callable(getattr(cause, "errors", None)):
        first = getattr(cause, "errors")()[0]
        return "/" + "/".join(str(step) for step in first["loc"]), str(first["msg"])
    return "/", f"{type(cause).__name__}: {cause}"


def _read(of: Any, value: Any, path: str = "") -> Any:
    """A JSON value, which fits the type's schema, as the type."""
    if of in _PLAIN:
        return _plain(of, value, path)
    origin, arguments = get_origin(of), get_args(of)
    if origin is typing.Annotated or origin in _MARKS:
        return _read(arguments[0], value, path)
    if origin is Literal:
        return value
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, path)
    if (origin or of) in _LISTS:
        kind = origin or of
        if not isinstance(value, list):
            raise _At(path, "a list is expected")
        if not arguments:
            kinds: Any = (Any,) * len(value)
        elif kind is tuple and arguments[-1] is not Ellipsis:
            kinds = arguments
        else:
            kinds = (arguments[0],) * len(value)
        if len(kinds) != len(value):
            raise _At(path, f"{len(kinds)} items are expected")
        return _LISTS[kind](_read(k, item, f"{path}/{i}") for i, (k, item) in enumerate(zip(kinds, value, strict=True)))
    if origin in (dict, abc.Mapping, abc.MutableMapping):
        return {name: _read(arguments[1], member, f"{path}/{name}") for name, member in value.items()}
    if isinstance(of, type) and issubclass(of, enum.Enum):
        try:
            return of(value)
        except ValueError:
            raise _At(path, f"none of {[one.value for one in of]}") from None
    if _is_pydantic(of):
        return _pydantic(of, value, path)
    if not isinstance(value, dict):
        raise _At(path, "an object is expected")
    hints = _hints(of)
    missing = [name for name in _needed(of) if name not in value]
    if missing:
        raise _At(path, f"'{missing[0]}' is missing")
    read = {name: _read(hints[name], member, f"{path}/{name}") for name, member in value.items() if name in hints}
    return read if typing.is_typeddict(of) else of(**read)


def _needed(of: Any) -> list[str]:
    if typing.is_typeddict(of):
        return sorted(of.__required_keys__)
    return [f.name for f in dataclasses.fields(of) if f.init and f.default is f.default_factory is dataclasses.MISSING]


def _plain(of: Any, value: Any, path: str) -> Any:
    if of is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if of in (datetime.datetime, datetime.date, datetime.time):
        if not isinstance(value, str):
            raise _At(path, "a text is expected")
        try:
            # Python 3.10 knows no 'Z'.
            return of.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError as cause:
            raise _At(path, f"{cause}") from cause
    wanted: type[Any] | None = type(None) if of is None else of if of in (str, bool, int, float, type(None), dict, list) else None
    if wanted is not None and (not isinstance(value, wanted) or (wanted in (int, float) and isinstance(value, bool))):
        raise _At(path, f"{wanted.__name__} is expected")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    first: Exception | None = None
    for kind in kinds:
        try:
            return _read(kind, value, path)
        except Exception as cause:
            first = first or cause
    raise first or _At(path, "nothing fits")


def _pydantic(of: Any, value: Any, path: str) -> Any:
    try:
        return of.model_validate(value)
    except Exception as cause:
        inner, said = _complaint(cause)
        raise _At(path + inner, said) from cause
