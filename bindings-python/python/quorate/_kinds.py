"""Which form does each kind of Python type have: its JSON Schema, and how is a JSON value read as it?

Both are made together, and a type that has no form is refused then, before anything is asked. A union takes the first type
that a value fits exactly: no member too many, numbers of the very kind, a literal's own value; where none does, the first
that it fits.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import re
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from ._errors import InvalidInput
from ._plain import PLAIN, Kind, Misfit, Read, enumeration, literal, taken, unknown

def hints_of(of: Any) -> dict[str, Any]:
    """The hints of a class or a function. Code: ``invalid_argument``."""
    try:
        return typing.get_type_hints(of, include_extras=True)
    # A hint that is a text is evaluated, and raises what it likes.
    except Exception as cause:
        name = getattr(of, "__name__", type(of).__name__)
        hint = "; names in hints must be known at the top of the module" if isinstance(cause, NameError) else ""
        raise unknown(f"the hints of '{name}' cannot be read: {type(cause).__name__}: {cause}{hint}") from cause


def object_schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """The schema of an object that has these properties and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


class Kinds:
    """Makes the forms of types. Schemas of types with a name are written once, under ``$defs``."""

    def __init__(self) -> None:
        self._defs: dict[str, Any] = {}
        self._made: dict[Any, Kind] = {}
        # What unions have made of the parts of the value that is being read.
        self._known: dict[tuple[int, int, bool], tuple[Any, Misfit | None]] = {}

    def root(self, of: Any) -> Kind:
        """The form of a type that stands by itself."""
        kind = self.of(of)
        schema = kind.schema
        followed: list[str] = []
        # Services want an object at the root, and no reference.
        while (place := schema.get("$ref")) and place not in followed:
            followed.append(place)
            beside = {name: member for name, member in schema.items() if name != "$ref"}
            schema = {**self._defs[_name(place)], **beside}
        for place in followed:
            if not _refers([schema, self._defs], place):
                del self._defs[_name(place)]

        def read(value: Any, at: str, exact: bool) -> Any:
            try:
                return kind.read(value, at, exact)
            finally:
                self._known.clear()

        return kind._replace(schema=self.finish(schema), read=read)

    def finish(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema with all that it refers to."""
        return {**schema, "$defs": self._defs} if self._defs else schema

    def of(self, of: Any) -> Kind:
        """The form of a type in its place within another. Code: ``invalid_argument``."""
        hashable = _is_hashable(of)
        if hashable and of in PLAIN:
            return PLAIN[of]
        if hashable and of in self._made:
            return self._made[of]
        origin, arguments = get_origin(of), get_args(of)
        if origin is typing.Annotated:
            return self._annotated(of, arguments[0])
        if _mark(origin):
            return self.of(arguments[0])
        if origin is Literal:
            return literal(arguments)
        if origin in (Union, types.UnionType):
            return self._union([self.of(one) for one in arguments])
        if isinstance(of, typing.NewType):
            return self.of(of.__supertype__)
        if type(of).__name__ == "TypeAliasType":
            return self._named(of, of.__name__, lambda: self.of(_value(of)))
        kind = origin or of
        if not hashable:
            raise _formless(of)
        if kind in _LISTS:
            return self._list(of, kind, arguments)
        if kind in _MAPS:
            return self._map(of, arguments) if arguments else PLAIN[dict]
        if not isinstance(kind, type):
            raise _formless(of)
        if issubclass(kind, enum.Enum):
            return enumeration(kind)
        if _is_pydantic(kind):
            return self._pydantic(of)
        for fields in (_of_dataclass, _of_typed_dict, _of_named_tuple):
            if (found := fields(kind)) is not None:
                return self._object(of, kind, arguments, found)
        raise _formless(of)

    def _annotated(self, of: Any, inner: Any) -> Kind:
        marks = of.__metadata__
        if any(type(mark).__module__.split(".")[0] in _PYDANTIC for mark in marks):
            kind = self._pydantic(of)
        else:
            kind = self.of(inner)
        words = (mark if isinstance(mark, str) else getattr(mark, "documentation", None) for mark in marks)
        said = next((word for word in words if isinstance(word, str)), None)
        return kind._replace(schema={**kind.schema, "description": said}) if said else kind

    def _list(self, of: Any, kind: Any, arguments: tuple[Any, ...]) -> Kind:
        if kind is tuple and of not in (tuple, typing.Tuple) and arguments[-1:] != (Ellipsis,):
            # Python 3.10 tells of `tuple[()]` another way.
            return _tuple([self.of(one) for one in arguments if one != ()])
        into = _LISTS[kind]
        item = self.of(arguments[0]) if arguments else PLAIN[Any]
        schema: dict[str, Any] = {"type": "array"}
        if arguments:
            schema["items"] = item.schema
        if into not in (set, frozenset):
            return Kind(schema, _read_items(into, item), hashable=into is tuple and item.hashable)
        if not item.hashable:
            raise unknown(f"{of} cannot hold its items, which have no hash; use a list, or a frozen dataclass")
        return Kind({**schema, "uniqueItems": True}, _read_items(into, item), hashable=into is frozenset)

    def _union(self, kinds: list[Kind]) -> Kind:
        kind = _union(kinds)

        def read(value: Any, at: str, exact: bool) -> Any:
            if not isinstance(value, (dict, list)):
                return kind.read(value, at, exact)
            # Unions around this one read it once for each of their types: unless it is known then, that doubles with each level.
            key = (id(kinds), id(value), exact)
            known = self._known.get(key)
            if known is None:
                try:
                    known = (kind.read(value, at, exact), None)
                except Misfit as misfit:
                    known = (None, misfit.with_traceback(None))
                # Another thread may forget it at once.
                self._known[key] = known
            found, failed = known
            if failed is None:
                return found
            try:
                raise failed.with_traceback(None)
            finally:
                # It refers to this frame: no cycle.
                del failed, known

        return kind._replace(read=read)

    def _map(self, of: Any, arguments: tuple[Any, ...]) -> Kind:
        key, member = PLAIN[str] if arguments[0] is Any else self.of(arguments[0]), self.of(arguments[1])
        if key.schema.get("type") != "string":
            raise unknown(f"{of} has keys that are no strings; JSON has no others: use dict[str, ...] or a list of pairs")
        schema: dict[str, Any] = {"type": "object", "additionalProperties": member.schema}
        if key.schema != {"type": "string"}:
            schema["propertyNames"] = key.schema

        def read(value: Any, at: str, exact: bool) -> dict[Any, Any]:
            if not isinstance(value, dict):
                raise Misfit(at, "an object is expected")
            found = {key.read(name, at, exact): member.read(one, _below(at, name), exact) for name, one in value.items()}
            if len(found) != len(value):
                raise Misfit(at, "two names are the same key")
            return found

        return Kind(schema, read, hashable=False)

    def _object(self, of: Any, kind: Any, arguments: tuple[Any, ...], fields: _Fields) -> Kind:
        stands = _stands_for(kind, arguments)

        def make() -> Kind:
            kinds = {name: self.of(_filled(hint, stands)) for name, hint in fields.hints.items()}
            properties = {name: one.schema for name, one in kinds.items()}
            schema = {"title": kind.__name__, **object_schema(properties, fields.needed)}
            said = inspect.cleandoc(kind.__doc__ or "")
            # Where there are no words of its own the signature stands there.
            if said and not said.startswith(f"{kind.__name__}(") and said != dict.__doc__:
                schema["description"] = said.split("\n\n")[0]
            return Kind(schema, _read_object(kinds, fields))

        return self._named(of, kind.__name__, make, hashable=kind.__hash__ is not None)

    def _named(self, of: Any, name: str, make: Callable[[], Kind], hashable: bool = True) -> Kind:
        """What is written under a name, so that it can hold itself."""
        name = self._free(name)
        made: list[Kind] = []

        def read(value: Any, at: str, exact: bool) -> Any:
            return made[0].read(value, at, exact)

        kind = self._made[of] = Kind({"$ref": f"#/$defs/{name}"}, read, hashable)
        self._defs[name] = None
        made.append(make())
        self._defs[name] = made[0].schema
        return kind

    def _free(self, name: str, more: Iterable[str] = ()) -> str:
        name = re.sub("[^A-Za-z0-9_.-]", "_", name)
        while name in self._defs or name in more:
            name += "_"
        return name

    def _pydantic(self, of: Any) -> Kind:
        """The form that pydantic gives a type of its own."""
        name = getattr(of, "__name__", str(of))
        try:
            from pydantic import TypeAdapter

            adapter: TypeAdapter[Any] = TypeAdapter(of)
            # An alias has the members of the class that it is an alias of.
            of_model = getattr(of, "model_json_schema", None) if isinstance(of, type) else None
            schema = dict((of_model or adapter.json_schema)(ref_template="#/$defs/{model}"))
        # Users' own hooks run here too.
        except Exception as cause:
            said = str(cause).split("\n")[0]
            raise unknown(f"pydantic makes no JSON Schema of {name}: {said}") from cause
        inner = dict(schema.pop("$defs", {}))
        if of_model and "$ref" not in schema:
            place = re.sub("[^A-Za-z0-9_.-]", "_", name)
            while place in inner:
                place += "_"
            inner[place] = schema
            schema = {"$ref": f"#/$defs/{place}"}
        schema = self._merged(schema, inner)
        kind = Kind(schema, _read_pydantic(of, adapter), hashable=getattr(of, "__hash__", None) is not None)
        if _is_hashable(of):
            self._made[of] = kind
        return kind

    def _merged(self, schema: dict[str, Any], inner: dict[str, Any]) -> Any:
        """Takes over what a schema refers to, and gives the schema. Of two definitions with one name the later is renamed."""
        moved = {}
        if any(name in self._defs and self._defs[name] != one for name, one in inner.items()):
            for name in [name for name in inner if name in self._defs]:
                free = self._free(name, inner)
                self._defs[free] = None
                moved[f"#/$defs/{name}"] = f"#/$defs/{free}"
        for name, one in inner.items():
            place = f"#/$defs/{name}"
            self._defs[_name(moved.get(place, place))] = _moved(one, moved)
        return _moved(schema, moved)


class _Fields(NamedTuple):
    """The members of an object that a class says."""

    hints: dict[str, Any]
    needed: list[str]
    make: Callable[..., Any]


def _of_dataclass(of: Any) -> _Fields | None:
    if not dataclasses.is_dataclass(of):
        return None
    hints, found, needed = hints_of(of), {}, []
    # Those that are handed to `__post_init__` alone are among them.
    for field in of.__dataclass_fields__.values():
        hint = hints[field.name]
        if not field.init or hint is typing.ClassVar or get_origin(hint) is typing.ClassVar:
            continue
        found[field.name] = hint.type if isinstance(hint, dataclasses.InitVar) else hint
        if field.default is field.default_factory is dataclasses.MISSING:
            needed.append(field.name)
    return _Fields(found, needed, typing.cast(Callable[..., Any], of))


def _of_typed_dict(of: Any) -> _Fields | None:
    # Those of typing_extensions too, which `typing.is_typeddict` does not know.
    required = getattr(of, "__required_keys__", None)
    if not issubclass(of, dict) or required is None:
        return None
    hints = hints_of(of)
    # Where hints are texts, `__required_keys__` knows no marks.
    needed = [name for name, hint in hints.items() if _is_required(hint, name in required)]
    return _Fields(hints, needed, dict)


def _of_named_tuple(of: Any) -> _Fields | None:
    names, defaults = getattr(of, "_fields", None), getattr(of, "_field_defaults", None)
    if not issubclass(of, tuple) or names is None or defaults is None:
        return None
    hints = hints_of(of)
    needed = [name for name in names if name not in defaults]
    return _Fields({name: hints.get(name, Any) for name in names}, needed, of)


def _read_object(kinds: dict[str, Kind], fields: _Fields) -> Read:
    def read(value: Any, at: str, exact: bool) -> Any:
        if not isinstance(value, dict):
            raise Misfit(at, "an object is expected")
        for name in value:
            if name not in kinds:
                raise Misfit(_below(at, name), "there is no such member")
        for name in fields.needed:
            if name not in value:
                raise Misfit(at, f"'{name}' is missing")
        members = {name: kinds[name].read(one, _below(at, name), exact) for name, one in value.items()}
        return taken(at, lambda: fields.make(**members))

    return read


def _read_items(into: type, item: Kind) -> Read:
    def read(value: Any, at: str, exact: bool) -> Any:
        if not isinstance(value, list):
            raise Misfit(at, "a list is expected")
        items = [item.read(one, f"{at}/{i}", exact) for i, one in enumerate(value)]
        found = taken(at, lambda: into(items))
        if len(found) != len(items):
            raise Misfit(at, "no two items may be equal")
        return found

    return read


def _tuple(kinds: list[Kind]) -> Kind:
    items = [kind.schema for kind in kinds]
    schema = {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}

    def read(value: Any, at: str, exact: bool) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(kinds):
            raise Misfit(at, f"a list of {len(kinds)} items is expected")
        return tuple(kind.read(one, f"{at}/{i}", exact) for i, (kind, one) in enumerate(zip(kinds, value, strict=True)))

    return Kind(schema if items else {"type": "array", "maxItems": 0}, read, all(kind.hashable for kind in kinds))


def _union(kinds: list[Kind]) -> Kind:
    def read(value: Any, at: str, exact: bool) -> Any:
        misfits: list[Misfit] = []
        try:
            for exactly in (True,) if exact else (True, False):
                misfits.clear()
                for kind in kinds:
                    try:
                        return kind.read(value, at, exactly)
                    except Misfit as misfit:
                        misfits.append(misfit)
            # What has the form of a type is told what that type says, else what comes nearest.
            raise max(misfits, key=lambda misfit: (misfit.refused, misfit.at.count("/")))
        finally:
            # They refer to this frame: no cycle.
            misfits.clear()

    return Kind({"anyOf": [kind.schema for kind in kinds]}, read, all(kind.hashable for kind in kinds))


_PYDANTIC = ("pydantic", "pydantic_core", "annotated_types")


def _is_pydantic(of: type) -> bool:
    # Models and types with a hook of pydantic's; then its dataclasses.
    return hasattr(of, "__get_pydantic_core_schema__") or hasattr(of, "__pydantic_decorators__")


# What a validator of a user raises, and no rule of the form.
_OWN_RULES = ("value_error", "assertion_error")


def _alias_names(alias: Any) -> list[Any]:
    """The members of an object that an alias reads; a path into one begins with its name."""
    return [getattr(one, "path", [one])[0] for one in getattr(alias, "choices", [alias])]


def _read_pydantic(of: Any, adapter: Any) -> Read:
    exactly: dict[str, Any] = {"strict": True}
    fields = None
    if "extra" in inspect.signature(adapter.validate_json).parameters:
        exactly["extra"] = "forbid"
    elif (fields := getattr(of, "model_fields", None)) is not None:
        # Before 2.12 a model cannot be asked to refuse what it would ignore.
        aliases = [alias for one in fields.values() for alias in (one.alias, one.validation_alias)]
        fields = {*fields, *(name for alias in aliases for name in _alias_names(alias))}

    def read(value: Any, at: str, exact: bool) -> Any:
        import json

        from pydantic import ValidationError

        if exact and fields is not None and isinstance(value, dict) and not fields.issuperset(value):
            raise Misfit(at, "there are members that the model does not know")
        try:
            # As JSON: what is strict then still takes a date from a text and a tuple from a list.
            return taken(at, lambda: adapter.validate_json(json.dumps(value), **(exactly if exact else {})))
        except Misfit as misfit:
            cause = misfit.__cause__
            if not isinstance(cause, ValidationError):
                raise
            errors = cause.errors()
            path = "".join(_below("", str(step)) for step in errors[0]["loc"])
            refused = all(error["type"] in _OWN_RULES for error in errors)
            raise Misfit(at + path, errors[0]["msg"], refused) from cause

    return read


_LISTS: dict[Any, type] = {
    **dict.fromkeys((list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable), list),
    **dict.fromkeys((set, abc.Set, abc.MutableSet), set),
    frozenset: frozenset,
    tuple: tuple,
}

_MAPS = (dict, abc.Mapping, abc.MutableMapping)

_INSTEAD: dict[Any, str] = {
    bytes: "str",
    bytearray: "str",
    complex: "tuple[float, float]",
    datetime.timedelta: "float, and name the unit",
}


def _formless(of: Any) -> InvalidInput:
    if isinstance(of, typing.TypeVar):
        return unknown(f"the type variable {of} stands for no type; give one, as in Box[int]")
    if isinstance(of, (str, typing.ForwardRef)):
        name = getattr(of, "__forward_arg__", of)
        return unknown(f"the name {name!r:.60} stands for no type here; give the type itself")
    if isinstance(of, type):
        name = of.__name__
    else:
        name = f"{of!r:.80}" if type(of).__module__ in ("typing", "types") else f"an object of type {type(of).__name__}"
    instead = _INSTEAD.get(of) if isinstance(of, type) else None
    return unknown(f"{name} has no JSON Schema; give {instead or 'a dataclass, a TypedDict, a pydantic model or a JSON Schema'}")


_MARKS = ("Required", "NotRequired", "ReadOnly", "Final")


def _mark(origin: Any) -> str:
    """The mark that wraps a hint, by typing or typing_extensions; Python 3.10 has not all of them."""
    module, _, name = str(origin).rpartition(".")
    return name if name in _MARKS and module in ("typing", "typing_extensions") else ""


def _is_required(hint: Any, otherwise: bool) -> bool:
    while (mark := _mark(get_origin(hint))) or get_origin(hint) is typing.Annotated:
        if mark in ("Required", "NotRequired"):
            return mark == "Required"
        hint = get_args(hint)[0]
    return otherwise


def _value(of: Any) -> Any:
    """What the name of a type stands for."""
    try:
        return of.__value__
    except Exception as cause:
        raise unknown(f"the type {of} cannot be read: {type(cause).__name__}: {cause}") from cause


def _stands_for(of: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """What each type variable of a generic class stands for."""
    if arguments and any(get_origin(base) not in (None, typing.Generic) for base in getattr(of, "__orig_bases__", ())):
        raise unknown(f"{of.__name__} has bases with type variables; give a class without any")
    return dict(zip(of.__parameters__, arguments, strict=True)) if arguments else {}


def _filled(hint: Any, stands: dict[Any, Any]) -> Any:
    if isinstance(hint, typing.TypeVar):
        return stands.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ()) if get_origin(hint) is not None else ()
    return hint[tuple(stands.get(one, one) for one in parameters)] if parameters else hint


def _is_hashable(of: Any) -> bool:
    try:
        hash(of)
    except Exception:
        return False
    return True


def _below(at: str, name: str) -> str:
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"


def _name(place: str) -> str:
    return place.removeprefix("#/$defs/")


def _refers(value: Any, place: str) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == place or any(_refers(member, place) for member in value.values())
    return isinstance(value, list) and any(_refers(member, place) for member in value)


def _moved(value: Any, moved: Mapping[str, str]) -> Any:
    """A schema whose references, also those of discriminators, point at other places."""
    if isinstance(value, dict):
        return {name: _moved(member, moved) for name, member in value.items()}
    if isinstance(value, list):
        return [_moved(member, moved) for member in value]
    return moved.get(value, value) if isinstance(value, str) else value
