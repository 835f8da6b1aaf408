"""What does a state look like, and what does a node give?"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .. import _quorate
from .._errors import InvalidInput
from .._given import text
from .._kinds import Kinds
from .._report import plain

START = "__start__"
"""The place where a graph begins."""

END = "__end__"
"""The place where a graph ends."""


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


@dataclass(frozen=True)
class Send:
    """A task of its own for a node, with a state of its own: one for each part of something."""

    node: str
    """The node."""
    state: Any
    """What it sees in the place of the graph's state."""

    def __post_init__(self) -> None:
        text(self.node, "node")


@dataclass(frozen=True)
class Goto:
    """Where to go next, beside where edges lead, with what is written first."""

    to: str | Send | Iterable[str | Send]
    """The name of a node, :data:`END`, a :class:`Send`, or several of them."""
    update: Mapping[str, Any] | None = None
    """What is written, by channel."""


@dataclass(frozen=True)
class Retry:
    """How often and when a node that has failed is tried again."""

    max_attempts: int = 3
    """How often it is tried in all."""
    initial: float = 0.5
    """Seconds before the second try."""
    factor: float = 2.0
    """By what each wait is longer than the one before."""
    longest: float = 60.0
    """The longest wait, in seconds."""
    on: type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool] | None = None
    """Which exceptions are worth another try: classes, or a function of the exception; None: all but those of wrong arguments."""

    def __post_init__(self) -> None:
        _quorate.check_retry(self._options())
        on = self.on
        classes = on if isinstance(on, tuple) else (on,)
        if on is not None and not all(isinstance(one, type) and issubclass(one, BaseException) for one in classes) and not callable(on):
            raise _invalid("on is no class of exceptions, tuple of them, or function")

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("max_attempts", "initial", "factor", "longest")}

    def _on(self) -> Callable[[BaseException], bool] | None:
        on = self.on
        if on is None or not isinstance(on, (type, tuple)):
            return on
        return lambda raised: isinstance(raised, on)


Target: TypeAlias = "str | Send"


def target_of(given: Any, what: str) -> Any:
    """A place to go to, as the native half takes it. Code: ``invalid_argument``."""
    if isinstance(given, Send):
        return {"node": given.node, "state": state_of(given.state)}
    return text(given, what)


def targets_of(given: Any, what: str) -> list[Any]:
    """The same of one or several."""
    if isinstance(given, (str, Send)):
        return [target_of(given, what)]
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise _invalid(f"{what} is of type {type(given).__name__}; the name of a node, a Send, or a list of them is expected")
    return [target_of(one, f"{what}[{i}]") for i, one in enumerate(given)]


def state_of(given: Any) -> Any:
    """What a task is sent. A state of a type of its own is its members."""
    return given if isinstance(given, (dict, list, str, int, float, type(None))) else plain(given)


def members_of(given: Any, what: str) -> dict[str, Any]:
    """An object of channels: a mapping, or a state of its type, of which what was set counts. Code: ``invalid_argument``."""
    if given is None:
        return {}
    if type(given) is dict:
        return given
    if isinstance(given, Mapping):
        return dict(given)
    if hasattr(given, "model_fields_set") and not isinstance(given, type):
        return {name: plain(getattr(given, name)) for name in given.model_fields_set}
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {field.name: plain(getattr(given, field.name)) for field in dataclasses.fields(given)}
    raise _invalid(f"{what} is of type {type(given).__name__}; a dict is expected")


def output_of(given: Any) -> dict[str, Any]:
    """What a node gave that is no dict: a :class:`Goto`, a :class:`Send`, a state of its type, or a list of them and of dicts."""
    update: dict[str, Any] = {}
    goto: list[Any] = []

    def write(more: dict[str, Any]) -> None:
        for name, value in more.items():
            if name in update:
                raise _invalid(f"the node writes '{name}' twice; give one value")
            update[name] = value

    for one in given if isinstance(given, (list, tuple)) else (given,):
        if isinstance(one, Send):
            goto.append(target_of(one, "a Send"))
        elif isinstance(one, Goto):
            write(members_of(one.update, "the update of a Goto"))
            goto.extend(targets_of(one.to, "the target of a Goto"))
        else:
            write(members_of(one, "what a node gave"))
    return {"update": update, "goto": goto}


class StateForm:
    """The form of a state: its JSON Schema, and how nodes see it."""

    def __init__(self, state: Any) -> None:
        if isinstance(state, Mapping):
            self.schema: dict[str, Any] = dict(state)
            self.read: Callable[[Any], Any] | None = None
            return
        try:
            kind = Kinds().root(state)
        except InvalidInput as refused:
            raise InvalidInput(refused.code, f"state: {refused.message}") from refused.__cause__
        self.schema = kind.schema
        self.read = None
        if dataclasses.is_dataclass(state):
            properties = dict(self.schema.get("properties", {}))
            for field in dataclasses.fields(state):
                made = field.default if field.default is not dataclasses.MISSING else None
                if field.default_factory is not dataclasses.MISSING:
                    made = field.default_factory()
                elif field.default is dataclasses.MISSING:
                    continue
                if field.name in properties and made is not None:
                    properties[field.name] = {**properties[field.name], "default": plain(made)}
            self.schema = {**self.schema, "properties": properties}
            names = [field.name for field in dataclasses.fields(state) if field.init]
            self.read = functools.partial(_instance, kind.read, state, names)
        elif hasattr(state, "model_construct"):
            self.read = functools.partial(_instance, kind.read, state.model_construct, list(state.model_fields))


def _instance(read: Callable[[Any, str, bool], Any], make: Any, names: list[str], value: Any) -> Any:
    """The state as its type. What is not there yet is None; what a task was sent, and is no state, stays what it is."""
    try:
        return read(value, "", False)
    # A channel may be empty yet, and hooks of users run here.
    except Exception:
        if not isinstance(value, dict) or not value.keys() <= set(names):
            return value
    try:
        return make(**{**dict.fromkeys(names), **value})
    except Exception:
        return value


def code_of(function: Any) -> Any:
    """The code of a function, where it has some."""
    for _ in range(16):
        if isinstance(function, functools.partial):
            function = function.func
            continue
        inner = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
        if inner is None:
            break
        function = inner
    if not hasattr(function, "__code__"):
        function = getattr(type(function), "__call__", None)
    return getattr(function, "__code__", None)


def named_in(function: Any) -> set[str]:
    """The texts in the code of a function that makes a :class:`Goto` or a :class:`Send`: places where it may go."""
    code = code_of(function)
    if not inspect.iscode(code):
        return set()
    names: set[str] = set()
    texts: set[str] = set()
    todo: list[Any] = [code]
    while todo:
        one = todo.pop()
        if inspect.iscode(one):
            names.update(one.co_names, one.co_freevars)
            if "END" in one.co_names:
                texts.add(END)
            todo.extend(one.co_consts)
        elif isinstance(one, (tuple, frozenset)):
            todo.extend(one)
        elif isinstance(one, str):
            texts.add(one)
    return texts if names & {"Goto", "Send"} else set()
