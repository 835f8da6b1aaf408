"""How is a graph put together?

>>> from typing import TypedDict
>>> from quorate import workflows as wf
>>> class State(TypedDict):
...     question: str
...     notes: list[str]
>>> g = wf.Graph(state=State, reducers={"notes": "append"})
>>> g = g.node("read", lambda state, ctx: {"notes": f"read {state['question']}"}).node("answer", lambda state, ctx: {"notes": "answered"})
>>> g = g.edge(wf.START, "read").edge("read", "answer")
>>> g.compile().run({"question": "dosing"}, thread="case-7").state.notes
['read dosing', 'answered']
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from .. import _quorate
from .._errors import InvalidInput
from .._given import text
from .._record import Record, record
from .._store import StateStore
from ._forms import END, START, Goto, Retry, Send, StateForm, named_in, output_of, targets_of

if TYPE_CHECKING:
    from ._app import App

__all__ = ["END", "START", "Goto", "Graph", "Retry", "Send", "output_of"]

ReducerName: TypeAlias = Literal["last", "append", "merge", "sum", "max", "union", "barrier"]
Reducers: TypeAlias = Mapping[str, "ReducerName | Callable[[Any, Any], Any]"]
Validators: TypeAlias = Mapping[str, Callable[[Any], Any]]
Node: TypeAlias = Callable[..., Any]

_F = TypeVar("_F", bound=Callable[..., Any])


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


def _function(given: Any, what: str) -> Callable[..., Any]:
    if isinstance(given, type) or not callable(given):
        raise _invalid(f"{what} is of type {type(given).__name__}; a function is expected")
    return given  # type: ignore[no-any-return]


def _names(given: Any, what: str) -> list[str]:
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise _invalid(f"{what} is of type {type(given).__name__}; a list of names is expected")
    return [text(one, f"{what}[{i}]") for i, one in enumerate(given)]


class Functions:
    """The functions of a graph that runs. The native half does not hold them: they may hold what holds the graph."""

    def __init__(self) -> None:
        self.nodes: list[tuple[Callable[..., Any], Callable[[Any], Any] | None, str]] = []
        """Each node's function, how it sees the state, and its name."""
        self.others: list[Callable[..., Any]] = []
        self.keep: list[Any] = []
        """What else lives as long."""

    def add(self, function: Callable[..., Any]) -> Callable[[list[Any]], Any]:
        """A function for the native half to call with a list of arguments."""
        self.others.append(function)
        return functools.partial(_called, weakref.ref(self), len(self.others) - 1)


def _called(functions: weakref.ref[Functions], index: int, arguments: Any) -> Any:
    found = functions()
    if found is None:
        raise _invalid("the graph is gone, and the function with it")
    given = found.others[index](*arguments) if isinstance(arguments, list) else found.others[index](arguments)
    if inspect.isawaitable(given):
        from .._loop import waited_here

        return waited_here(given, _quorate.Cancel(), "a function of the graph")
    return given


class Graph:
    """A graph that is being put together. What is wrong with it as a whole is said by :meth:`compile`, every problem at once.

    ``state``: what its channels are: a TypedDict, a dataclass, a model of pydantic, or the JSON Schema of an object. Nodes see a state as
    such a dataclass or model, else as a dict. ``reducers``: how writes to a channel are put together: ``last`` (the default), ``append``,
    ``merge``, ``sum``, ``max``, ``union``, ``barrier``, or a function of the old value (None where there is none) and the new one.
    ``validators``: functions that refuse a value of a channel, beside the schema: they raise, or give False or the reason. Code:
    ``invalid_argument``.
    """

    def __init__(self, state: Any, *, reducers: Reducers | None = None, validators: Validators | None = None) -> None:
        self._form = StateForm(state)
        self._reducers: dict[str, Any] = {}
        self._validators: dict[str, Callable[[Any], Any]] = {}
        for name, reducer in _mapping(reducers, "reducers").items():
            what = f"reducers[{name!r}]"
            if not isinstance(reducer, str):
                _function(reducer, what)
            self._reducers[text(name, "a channel")] = reducer
        for name, validator in _mapping(validators, "validators").items():
            self._validators[text(name, "a channel")] = _function(validator, f"validators[{name!r}]")
        self._nodes: list[tuple[str, Callable[..., Any] | Graph, dict[str, Any], Any, Any]] = []
        self._edges: list[tuple[str, str]] = []
        self._branches: list[tuple[str, Callable[[Any], Any], list[str]]] = []
        self._joins: list[tuple[list[str], str]] = []

    def node(
        self,
        name: str,
        function: Node,
        *,
        writes: Iterable[str] | None = None,
        goto: Iterable[str] | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        cache: bool | float | Mapping[str, Any] | None = None,
        defer: bool = False,
    ) -> Graph:
        """A node: a function of the state and the context, or of the state alone; it may be a coroutine function.

        It gives what it writes (a dict, or None), a :class:`Goto`, a :class:`Send`, or a list of them. ``writes``: the channels that it writes:
        others then fail, and conflicts are found before anything runs. ``goto``: where it may go beside its edges; names in the code of a
        function that makes a Goto or a Send count too. ``retry``: how it is tried again. ``timeout``: seconds that a try may take. ``cache``:
        whether what it gave is given again in this process for the same state: True, seconds, or ``{"ttl": seconds, "key": function}``, whose
        function says what of the state it depends on. ``defer``: it waits until nothing else is due. Code: ``invalid_argument``.
        """
        _function(function, f"the node '{text(name, 'the name of a node')}'")
        given, key, on = _node_options(writes, goto, retry, timeout, cache, defer)
        self._nodes.append((name, function, given, key, on))
        return self

    def subgraph(
        self, name: str, graph: Graph, *, writes: Iterable[str] | None = None, goto: Iterable[str] | None = None, defer: bool = False
    ) -> Graph:
        """A graph as a node. It begins with the channels that both have, and gives back what it has written. Code: ``invalid_argument``."""
        text(name, "the name of a node")
        if not isinstance(graph, Graph):
            raise _invalid(f"graph is of type {type(graph).__name__}; a Graph is expected")
        given, _, _ = _node_options(writes, goto, None, None, None, defer)
        self._nodes.append((name, graph, given, None, None))
        return self

    def edge(self, source: str, target: str) -> Graph:
        """After ``source`` (or :data:`START`) comes ``target`` (or :data:`END`)."""
        self._edges.append((text(source, "source"), text(target, "target")))
        return self

    def edges_if(self, source: str, route: Callable[[Any], Any], targets: Iterable[str] | Mapping[Any, str]) -> Graph:
        """After ``source`` comes what ``route`` says by the state that it has left: one of the ``targets``, several, none, or :class:`Send` s to
        them. With a mapping ``route`` gives a key of it, or a list of keys."""
        _function(route, "route")
        if isinstance(targets, Mapping):
            table = {key: text(target, f"targets[{key!r}]") for key, target in targets.items()}
            route, targets = functools.partial(_by_table, table, route), list(table.values())
        self._branches.append((text(source, "source"), route, _names(targets, "targets")))
        return self

    def join(self, sources: Iterable[str], target: str) -> Graph:
        """``target`` comes when all ``sources`` have ended, in whichever steps."""
        self._joins.append((_names(sources, "sources"), text(target, "target")))
        return self

    def problems(self) -> list[Record]:
        """Everything that is wrong with it: ``at``, ``code``, ``message``; nothing when it can be compiled."""
        found: list[Record] = record(self._build(Functions(), []).problems())
        return found

    def compile(self, store: StateStore | None = None) -> App:
        """The graph as something that runs, with its threads in ``store``; None: in memory. Later changes of the graph do not count.

        Codes: ``invalid_argument``, whose exception has all ``problems``; ``closed``.
        """
        from ._app import App

        if store is None:
            store = StateStore()
        if not isinstance(store, StateStore):
            raise _invalid(f"store is of type {type(store).__name__}; a StateStore is expected")
        functions = Functions()
        native = self._build(functions, [])
        try:
            app = native.compile(store._native)
        except InvalidInput as refused:
            refused.problems = record(native.problems())  # type: ignore[attr-defined]
            raise
        return App(app, functions, store)

    def _build(self, functions: Functions, around: list[Graph]) -> _quorate.GraphBuilder:
        if any(one is self for one in around):
            raise _invalid("the graph is a node of itself")
        native = _quorate.GraphBuilder(self._form.schema)
        for channel, reducer in self._reducers.items():
            if isinstance(reducer, str):
                native.reducer(channel, reducer, None)
            else:
                native.reducer(channel, None, functions.add(reducer))
        for channel, validator in self._validators.items():
            native.validator(channel, functions.add(validator))
        names = {name for name, *_ in self._nodes}
        # Nodes that something follows in any case.
        led = {source for source, *_ in [*self._edges, *self._branches]} | {one for sources, _ in self._joins for one in sources}
        for name, body, given, key, on in self._nodes:
            if isinstance(body, Graph):
                native.subgraph(name, given, body._build(functions, [*around, self]))
                continue
            found = named_in(body) & names
            if found and name not in led:
                # It ends where it goes nowhere.
                found.add(END)
            goto = sorted({*given["goto"], *found})
            functions.nodes.append((_called_with(body), self._form.read, name))
            asked = None if key is None else functions.add(self._seen(key))
            again = None if on is None else functions.add(on)
            native.node(name, {**given, "goto": goto}, len(functions.nodes) - 1, asked, again)
        for source, target in self._edges:
            native.edge(source, target)
        for source, route, targets in self._branches:
            native.edges_if(source, functions.add(functools.partial(_routed, self._seen(route))), targets)
        for sources, target in self._joins:
            native.join(sources, target)
        return native

    def _seen(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A function of the state as nodes see it."""
        read = self._form.read
        if read is None:
            return function

        def call(state: Any) -> Any:
            return function(read(state))

        return call

    def __repr__(self) -> str:
        return f"<graph of {', '.join(name for name, *_ in self._nodes) or 'nothing'}>"


def _mapping(given: Any, what: str) -> Mapping[Any, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _invalid(f"{what} are of type {type(given).__name__}; a dict by channel is expected")
    return given


def _node_options(writes: Any, goto: Any, retry: Any, timeout: Any, cache: Any, defer: Any) -> tuple[dict[str, Any], Any, Any]:
    """Options of a node as the native half takes them, and the functions among them."""
    if retry is not None and not isinstance(retry, Retry):
        raise _invalid(f"retry is of type {type(retry).__name__}; a Retry is expected")
    key = None
    if isinstance(cache, Mapping):
        cache = dict(cache)
        key = cache.pop("key", None)
        if key is not None:
            _function(key, "the key of the cache")
    given = {
        "writes": None if writes is None else _names(writes, "writes"),
        "goto": [] if goto is None else _names(goto, "goto"),
        "retry": None if retry is None else retry._options(),
        "timeout": timeout,
        "cache": cache,
        "defer": defer,
    }
    _quorate.check_node(given)
    return given, key, None if retry is None else retry._on()


def _called_with(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one of a state and a context."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if any(one.kind is one.VAR_POSITIONAL for one in parameters) or len(places) > 1:
        return function
    by_name = [one for one in parameters if one.kind is one.KEYWORD_ONLY and one.name == "ctx"]
    if by_name:
        return lambda state, context: function(state, ctx=context)
    return (lambda state, context: function(state)) if places else (lambda state, context: function())


def _routed(route: Callable[[Any], Any], state: Any) -> Any:
    given = route(state)
    if inspect.isawaitable(given):
        from .._loop import waited_here

        given = waited_here(given, _quorate.Cancel(), "a route")
    return [] if given is None else targets_of(given, "what the route gave")


def _by_table(table: Mapping[Any, str], route: Callable[[Any], Any], state: Any) -> Any:
    given = route(state)
    if inspect.isawaitable(given):
        from .._loop import waited_here

        given = waited_here(given, _quorate.Cancel(), "a route")
    several = isinstance(given, (list, tuple, set))
    found = []
    for one in given if several else [given]:
        if not isinstance(one, Send) and one not in table:
            raise _invalid(f"the route gave {one!r:.60}; one of {', '.join(map(repr, table))} is expected")
        found.append(one if isinstance(one, Send) else table[one])
    return found
