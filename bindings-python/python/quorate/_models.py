"""How are language models asked?

>>> model = ScriptedModel(["Metformin lowers glucose."])
>>> model.complete("What does metformin do?").text
'Metformin lowers glucose.'
"""

from __future__ import annotations

import functools
import inspect
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias

from . import _quorate
from ._errors import Cancelled, InvalidInput, QuorateError
from ._function import of_function
from ._given import text
from ._record import Record
from ._report import Report, plain
from ._schema import Form, form

if TYPE_CHECKING:
    from ._kb import KnowledgeBase
    from ._asking import AsyncModel

Finish: TypeAlias = Literal["stop", "tool_calls", "length", "refusal", "filtered"]
Tool: TypeAlias = Mapping[str, Any] | Callable[..., Any]


@dataclass(frozen=True, repr=False)
class Usage(Report):
    """Tokens, as the service counted them. What it did not tell is 0."""

    input: int = 0
    """All that the model read, cached or not."""
    output: int = 0
    """All that it wrote, reasoning included."""
    cached: int = 0
    """Of the input: read from the service's cache."""
    reasoning: int = 0
    """Of the output: reasoning."""
    cache_written: int = 0
    """Of the input: written to the service's cache for minutes."""
    cache_written_1h: int = 0
    """Of the input: written to the service's cache for an hour."""


@dataclass(frozen=True, repr=False)
class ToolCall(Report):
    """A tool that the model wants to have run."""

    id: str
    """Names the call; its result says it as ``tool_call_id``."""
    name: str
    """The tool."""
    arguments: dict[str, Any]
    """The arguments; empty in a call that is broken."""
    broken: str | None = None
    """What the model wrote where that is no JSON object."""


@dataclass(frozen=True, repr=False)
class Reply(Report):
    """An answer, or as much of it as came. It can stand among the messages of the next request."""

    text: str
    """The text of the answer."""
    tool_calls: list[ToolCall]
    """The tool calls that may run: strictly valid, and the answer ended in order to have them run."""
    output: Any
    """The answer as data, where a form was asked for."""
    usage: Usage
    """Tokens over all requests of the call."""
    cost: float | None
    """US dollars over all requests of the call; None where the price is unknown, or what one of them used."""
    attempts: int
    """Requests that were sent for it, fallbacks and repairs included."""
    model: str
    """The model that answered, as the service calls it."""
    finish: Finish | None
    """Why it ended: ``stop``, ``tool_calls``, ``length``, ``refusal`` or ``filtered``; None where the call failed."""
    message: dict[str, Any]
    """What the model said, for the messages of the next request."""
    refusal: str | None = None
    """The words by which the model declined."""
    reasoning: str = ""
    """What can be read of its reasoning."""
    broken_calls: list[ToolCall] = field(default_factory=list)
    """The tool calls that must not run: their arguments are no JSON object, or the answer was cut."""
    warnings: list[str] = field(default_factory=list)
    """What was odd, but no error."""

    def __str__(self) -> str:
        return self.text


class ModelEvent(Record):
    """One event of a stream; its members depend on its ``type``.

    ``text``, ``reasoning``, ``refusal``: ``delta``. ``tool_input``: ``index``, ``id``, ``name``, ``delta``, for display only.
    ``tool_call``: ``id``, ``name``, ``arguments``, a call that may run. ``warning``: ``message``. ``retry``: ``attempt``,
    ``error``, ``wait``, and ``keep``, how much of the text given so far holds, in code points. Exactly one of ``end``
    (``result``), ``error`` (``error``, ``result``) and ``cancelled`` (``result``) comes, and comes last.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        type: str
        delta: str
        result: Reply
        error: QuorateError

    def to_dict(self) -> dict[str, Any]:
        """The members as plain dicts, lists and values; an error is its code and message."""
        return {name: _told(member) for name, member in self.items()}


def _told(member: Any) -> Any:
    return {"code": member.code, "message": member.message} if isinstance(member, QuorateError) else plain(member)


@dataclass(frozen=True)
class Resilience:
    """How calls of one model are retried and bounded. Times are in seconds. Code: ``invalid_argument``."""

    attempts: int = 3
    """Most attempts of one call at this model, 1 to 10."""
    attempt_timeout: float = 60
    """For one attempt that answers as a whole."""
    first_byte_timeout: float = 30
    """Until the first byte of a stream."""
    stall_timeout: float = 20
    """From one piece of a stream to the next."""
    requests_per_minute: int | None = None
    """Most requests a minute; further ones wait."""
    tokens_per_minute: int | None = None
    """Most tokens a minute, read and written. A request reserves its worst case, and gives back what it did not use."""
    max_concurrent: int = 8
    """Most calls under way at once; others wait."""
    breaker: tuple[int, float] | None = (5, 30)
    """So many failures in a row, and the model is not asked for so many seconds. None: never."""
    fallback: Sequence[Model] = ()
    """Models to ask, in this order, when this one fails for a reason that may not hold for them."""
    deadline: float | None = None
    """For a whole call with all its attempts, waits, repairs and fallbacks."""
    seed: int | None = None
    """Fixes the jitter of the waits."""

    def __post_init__(self) -> None:
        _quorate.check_resilience(self._options())
        object.__setattr__(self, "fallback", tuple(self._models()))

    def _options(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "fallback"}

    def _models(self) -> list[Model]:
        given = self.fallback
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            raise _invalid(f"fallback is of type {type(given).__name__}; a list of models is expected")
        models = list(given)
        for i, model in enumerate(models):
            if not isinstance(model, Model):
                raise _invalid(f"fallback[{i}] is of type {type(model).__name__}; a Model is expected")
        return models


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


def _common(resilience: Resilience | None, price: Mapping[str, Any] | None) -> tuple[dict[str, Any], list[Any]]:
    """The options that every kind of model takes, and its fallbacks."""
    if resilience is None:
        return {"price": price}, []
    if not isinstance(resilience, Resilience):
        raise _invalid(f"resilience is of type {type(resilience).__name__}; a quorate.Resilience is expected")
    return {"price": price, "resilience": resilience._options()}, [model._native for model in resilience.fallback]


class Model:
    """A language model. It can be used from many threads; its calls share limits and breaker.

    ``name``: ``WIRE:NAME``. ``openai:NAME`` speaks the chat-completions interface (OpenAI, and every server that speaks it,
    by ``base_url``), ``anthropic:NAME`` the messages interface. ``local:PATH`` is a GGUF file, or a folder with safetensors,
    that runs in this process on so many ``threads`` (None: as many as other work of quorate has). ``extractive`` is no language model: it answers by sentences of the knowledge base
    ``kb``, cited, or says that they are not in the sources: where it is less likely than ``min_confidence`` that they answer (None: .5). ``api_key``: None takes it from the environment
    (``OPENAI_API_KEY``, ``ANTHROPIC_API_KEY``); it shows in no repr, log, error or recording. ``price``: US dollars per
    million tokens, ``{"input", "output", "cached", "cache_written", "cache_written_1h", "reasoning"}``; None takes it from
    the file that ships, and where it is not there a cost is None. ``output_way``: how answers in a given form are asked for,
    ``native``, ``tool`` or ``prompt``; None for the best that the service takes. Nothing is sent before the first call.
    Codes: ``invalid_argument``, ``not_finite``; of local models ``model_not_found``, ``model_invalid``, ``model_unsupported``,
    ``too_large``.
    """

    _native: _quorate.LanguageModel
    # It holds the models that are asked in the place of this one.
    _resilience: Resilience | None

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        resilience: Resilience | None = None,
        price: Mapping[str, Any] | None = None,
        output_way: Literal["native", "tool", "prompt"] | None = None,
        threads: int | None = None,
        kb: KnowledgeBase | None = None,
        min_confidence: float | None = None,
    ) -> None:
        options, fallback = _common(resilience, price)
        self._resilience = resilience
        text(name, "name")
        if name == "extractive" and kb is not None:
            if base_url or api_key or output_way or threads:
                raise _invalid("the extractive model takes resilience, price, kb and min_confidence alone")
            self._native = _quorate.extractive_model(kb._native, options | {"min_confidence": min_confidence}, fallback)
            return
        if name == "extractive" or kb is not None or min_confidence is not None:
            raise _invalid('the model "extractive" is opened with kb, a knowledge base, and may have min_confidence; other models have neither')
        options |= {"base_url": base_url, "output_way": output_way, "api_key": api_key, "threads": threads}
        self._native = _quorate.open_model(name, options, fallback)

    @property
    def id(self) -> str:
        """``WIRE:NAME``, as prices, recordings and messages name the model."""
        return self._native.id

    @property
    def price(self) -> dict[str, Any] | None:
        """US dollars per million tokens, by kind; None where they are unknown."""
        return self._native.price

    @property
    def aio(self) -> AsyncModel:
        """The same calls for asyncio."""
        from ._asking import AsyncModel

        return AsyncModel(self)

    def complete(
        self,
        messages: str | Iterable[Mapping[str, Any] | Reply],
        *,
        tools: Iterable[Tool] | None = None,
        tool_choice: str | None = None,
        output: Any = None,
        repairs: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        cache: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Asks, and waits for the whole answer.

        ``messages``: a text, or ``[{"role", "content", ...}]`` in the neutral form (``quorate.message_schema()``).
        ``tools``: ``{"name", "description", "schema"}``, or functions whose hints say their parameters; ``tool_choice``:
        ``auto``, ``none``, ``required``, or a tool's name. ``output``: the form of the answer, a type (dataclass, TypedDict,
        pydantic model) or a JSON Schema; the model is told up to ``repairs`` times (2 by default) what
        does not fit.
        ``cache``: ask the service to keep the conversation in its cache. ``extra``: fields of the service's own interface.

        Codes: ``offline``, ``timeout``, ``rate_limited``, ``circuit_open``, ``remote_failed``, ``remote_invalid``,
        ``stream_incomplete``, ``model_not_found``, ``context_overflow``, ``output_invalid``, ``model_refused``,
        ``replay_mismatch``, ``callback`` and those of arguments.

        >>> from quorate import ScriptedModel
        >>> ScriptedModel(['{"mg": 5}']).complete("Which dose?", output={"type": "object"}).output
        {'mg': 5}
        """
        given = {"tools": tools, "tool_choice": tool_choice, "repairs": repairs, "max_tokens": max_tokens, "extra": extra}
        request, wanted = _request(
            messages, output, {**given, "temperature": temperature, "stop": stop, "seed": seed, "cache": cache}
        )
        return _reply(self._native.complete(request, wanted.check if wanted else None), wanted)

    def stream(
        self,
        messages: str | Iterable[Mapping[str, Any] | Reply],
        *,
        tools: Iterable[Tool] | None = None,
        tool_choice: str | None = None,
        output: Any = None,
        repairs: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        cache: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> ModelStream:
        """Asks, and gives the answer piece by piece: ``for event in model.stream(messages)``.

        Arguments are those of :meth:`complete`, events those of :class:`ModelEvent`; what goes wrong after the request was
        read is the last event. Nothing is sent before the first event is asked for.

        >>> [event.delta for event in ScriptedModel(["5 mg"]).stream("Which dose?") if event.type == "text"]
        ['5 ', 'mg']
        """
        given = {"tools": tools, "tool_choice": tool_choice, "repairs": repairs, "max_tokens": max_tokens, "extra": extra}
        request, wanted = _request(
            messages, output, {**given, "temperature": temperature, "stop": stop, "seed": seed, "cache": cache}
        )
        return ModelStream(self._native.stream(request, wanted.check if wanted else None), wanted, self)

    def count_tokens(
        self,
        messages: str | Iterable[Mapping[str, Any] | Reply],
        *,
        tools: Iterable[Tool] | None = None,
        output: Any = None,
    ) -> Record:
        """The ``tokens`` that a request takes before the model writes any, and whether they are ``exact``."""
        request, _ = _request(messages, output, {"tools": tools})
        return Record(self._native.count_tokens(request))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def __copy__(self) -> Model:
        # It never changes.
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        how = "share the object, also between threads, or open the model anew where it is needed"
        raise TypeError(f"{self!r} holds limits, connections and a key, and is neither copied deeply nor pickled: {how}")


class ScriptedModel(Model):
    """A model for tests. ``replies``: what it says, one for each call, or a function of the request that answers it.

    A reply is a text, a :class:`Reply`, an exception of quorate, or a dict with ``text`` or ``content``, ``tool_calls``,
    ``finish``, ``usage`` and ``model``. A function may be a coroutine function; it is called on a thread of quorate, with the
    request as a dict. Streams come word by word. Code: ``invalid_argument``, also for a call after the last reply.

    >>> model = ScriptedModel(lambda request: request["messages"][-1]["content"].upper())
    >>> model.complete("metformin").text
    'METFORMIN'
    """

    def __init__(
        self,
        replies: Iterable[str | Mapping[str, Any] | Reply | QuorateError] | Callable[[dict[str, Any]], Any],
        *,
        id: str | None = None,
        resilience: Resilience | None = None,
        price: Mapping[str, Any] | None = None,
    ) -> None:
        options, fallback = _common(resilience, price)
        self._resilience = resilience
        self._function = replies if callable(replies) else None
        script: Any = functools.partial(_answered, weakref.ref(self)) if callable(replies) else replies
        if not callable(replies):
            if isinstance(replies, (str, bytes, Mapping)) or not isinstance(replies, Iterable):
                kind = type(replies).__name__
                raise _invalid(f"replies are of type {kind}; a list of replies or a function of the request is expected")
            script = [_scripted(one) for one in replies]
        self._native = _quorate.scripted_model(script, id, options, fallback)


def _answered(of: weakref.ref[ScriptedModel], request: dict[str, Any], cancel: _quorate.Cancel) -> Any:
    """What the function of a model gives. The native half does not hold it: it may hold what holds the model, and no collector sees that."""
    model = of()
    if model is None or model._function is None:
        raise _invalid("the model of this function is gone; keep it as long as it is asked")
    # Threads serve many calls: what one sets is not there for the next.
    given = copy_context().run(model._function, request)
    del model
    if not inspect.isawaitable(given):
        return given
    from ._loop import waited_here

    return waited_here(given, cancel, "the model's function")


def _scripted(given: Any) -> Any:
    """A reply of a script as a text or a dict."""
    if isinstance(given, Reply):
        usage = given.usage.to_dict()
        return {"content": given.message["content"], "finish": given.finish, "usage": usage, "model": given.model}
    if isinstance(given, QuorateError):
        return {"error": {"code": given.code, "message": given.message}}
    return given


class ModelStream:
    """The events of one answer, as they come: an iterator, and a context manager that closes the connection.

    The connection closes when the stream ends, is closed or is forgotten.
    """

    def __init__(self, native: _quorate.ModelFlow, wanted: Form | None, of: object) -> None:
        self._native = native
        # Whatever the answer comes from lives as long.
        self._source = of
        self._form = wanted
        self._events: deque[dict[str, Any]] = deque()
        self._last: ModelEvent | None = None

    def __iter__(self) -> ModelStream:
        return self

    def __next__(self) -> ModelEvent:
        if not self._events:
            self._events.extend(self._native.wait())
            if not self._events:
                raise StopIteration
        return self._take()

    def _take(self) -> ModelEvent:
        event = _event(self._events.popleft(), self._form)
        if event.type in ("end", "error", "cancelled"):
            self._last = event
        return event

    def result(self) -> Reply:
        """Reads what is left, and gives the whole answer. Codes: those of :meth:`Model.complete`, ``cancelled``."""
        for _ in self:
            pass
        last = self._last
        if last is None:
            raise Cancelled("cancelled", "the stream was closed before its end")
        if last.type == "error":
            raise last.error
        if last.type == "cancelled":
            raise Cancelled("cancelled", "the stream was cancelled")
        return last.result

    def cancel(self) -> None:
        """Cancels the answer, from any thread; the last event says so and has what had come."""
        self._native.cancel()

    def close(self) -> None:
        """Lets go of the answer: no event comes any more."""
        self._events.clear()
        self._native.close()

    def __enter__(self) -> ModelStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Recording:
    """A recording or a replay that is under way, until it is closed. There is one at a time in a process."""

    def __init__(self, native: _quorate.Session) -> None:
        self._native = native

    def close(self) -> None:
        """Ends it."""
        self._native.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def record(path: str | os.PathLike[str], *, redact: Iterable[str] = ()) -> Recording:
    """Writes every request to a model or tool in this process, and its answer, to a file: ``with record("case.jsonl"):``.

    The file holds JSON lines and is begun anew. ``redact``: names of fields, whatever the letters' case, whose values are
    not written; keys of services never are. Codes: ``duplicate_id`` when one is under way, ``io``, ``permission_denied``.
    """
    return Recording(_quorate.record(path, redact))


def replay(path: str | os.PathLike[str]) -> Recording:
    """Answers every request from a file that :func:`record` has written; nothing is sent: ``with replay("case.jsonl"):``.

    A request that is not in the file fails with code ``replay_mismatch`` and the difference to the nearest one. Codes:
    ``duplicate_id``, ``not_found``, ``corrupt``, ``format_version``, ``too_large``.
    """
    return Recording(_quorate.replay(path))


def message_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one message in the neutral form."""
    import json

    schema: dict[str, Any] = json.loads(_quorate.message_schema())
    return schema


def _request(messages: Any, output: Any, given: dict[str, Any]) -> tuple[dict[str, Any], Form | None]:
    """A request as the native half takes it, and the form of its answer."""
    wanted = None if output is None else form(output)
    request = {name: value for name, value in given.items() if value is not None}
    tools = request.get("tools")
    if tools is not None:
        if isinstance(tools, (str, bytes, Mapping)) or not isinstance(tools, Iterable):
            raise _invalid(f"tools are of type {type(tools).__name__}; a list of tools is expected")
        request["tools"] = [of_function(tool) if callable(tool) else tool for tool in tools]
    if wanted is not None:
        request["output"] = wanted.schema
    if not isinstance(messages, (str, bytes, Mapping)) and isinstance(messages, Iterable):
        messages = [one.message if isinstance(one, Reply) else one for one in messages]
    request["messages"] = messages
    return request, wanted


def _reply(found: dict[str, Any], wanted: Form | None) -> Reply:
    if wanted is not None and found["finish"] == "stop":
        found["output"] = wanted.read(found["output"])
    found["usage"] = Usage(**found["usage"])
    for name in ("tool_calls", "broken_calls"):
        found[name] = [ToolCall(**call) for call in found[name]]
    return Reply(**found)


def _event(found: dict[str, Any], wanted: Form | None) -> ModelEvent:
    if "error" in found:
        error = found["error"] = _quorate.error(**found["error"])
        if wanted is not None and wanted.cause is not None and wanted.cause[0] == error.message:
            error.__cause__ = wanted.cause[1]
    if "result" in found:
        result = found["result"]
        try:
            found["result"] = _reply(result, wanted if found["type"] == "end" else None)
        except QuorateError as refused:
            # The answer fits the schema of its type, and the type refuses it all the same.
            found = {"type": "error", "error": refused, "result": _reply({**result, "finish": None, "output": None}, None)}
    return ModelEvent(found)
