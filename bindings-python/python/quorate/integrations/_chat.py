"""How does LangChain ask a language model through quorate?"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import PrivateAttr, SecretStr

from .._errors import Cancelled, InvalidInput
from .._models import Model, ModelEvent, Reply, Resilience, Usage
from .._quorate import error

_T = TypeVar("_T")

_ROLES = {"system": "system", "developer": "system", "human": "user", "user": "user", "ai": "assistant", "assistant": "assistant"}

# Parts of an answer that the service wants back as they were.
_KEPT = ("reasoning", "opaque")

# With what a model is opened by its name.
_OPENING = ("base_url", "api_key", "timeout", "max_retries", "resilience", "price", "output_way", "threads")

# What a call can be given.
_ASKED = ("tools", "tool_choice", "output", "repairs", "max_tokens", "temperature", "stop", "seed", "cache", "extra")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


class ChatQuorate(BaseChatModel):
    """A :class:`quorate.Model` as LangChain's chat model.

    ``model``: a :class:`quorate.Model`, or the name of one (``openai:NAME``, ``anthropic:NAME``), which is opened with
    ``base_url``, ``api_key``, ``price``, ``output_way``, ``threads`` and ``resilience``; without the last, ``timeout`` and
    ``max_retries`` bound it. ``with_structured_output`` has the answer checked and mended by quorate (``json_schema``, the
    default). Fields that only the service knows (``top_p``) go into ``extra``. Code: ``invalid_argument``.

    A tool call comes whole, once it is sure that it may run. The others are the message's ``invalid_tool_calls``, and of a stream
    ``response_metadata["invalid_tool_calls"]``: LangChain would run what it can guess of a chunk's. When an attempt at a stream breaks off after text was given that
    the next attempt does not say again, the stream fails with that attempt's error: LangChain cannot take text back.

    >>> import quorate
    >>> ChatQuorate(model=quorate.ScriptedModel(["5 mg"])).invoke("Which dose?").content
    '5 mg'
    """

    model: Any
    """A :class:`quorate.Model` or the name of one."""
    base_url: str | None = None
    """Where the service is; None: where its interface's own provider is."""
    api_key: SecretStr | None = None
    """The key; None: from the environment."""
    temperature: float | None = None
    """Randomness, from 0 on."""
    max_tokens: int | None = None
    """Most tokens of an answer."""
    stop: list[str] | None = None
    """Texts that end an answer."""
    seed: int | None = None
    """For services that repeat themselves on request."""
    timeout: float | None = None
    """Seconds of one attempt; of a stream those until its first piece, and from one to the next."""
    max_retries: int | None = None
    """Attempts after the first."""
    resilience: Any = None
    """A :class:`quorate.Resilience`; it takes the place of ``timeout`` and ``max_retries``."""
    price: dict[str, Any] | None = None
    """US dollars per million tokens, as a :class:`quorate.Model` takes it."""
    output_way: Literal["native", "tool", "prompt"] | None = None
    """How answers in a given form are asked for."""
    threads: int | None = None
    """The threads of a local model."""
    streaming: bool = False
    """Whether ``invoke`` streams too."""
    extra: dict[str, Any] | None = None
    """Fields of the service's own interface."""

    _opened: dict[str, Model] = PrivateAttr(default_factory=dict)

    def __init__(self, *args: Any, **given: Any) -> None:
        known = {name for one, field in type(self).model_fields.items() for name in (one, field.alias)}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise _invalid(f"ChatQuorate has no option '{unknown[0]}'; fields of the service's own interface go into extra")
        super().__init__(*args, **given)
        beside = [name for name in _OPENING if getattr(self, name) is not None]
        if isinstance(self.model, Model) and beside:
            raise _invalid(f"'{beside[0]}' is given beside a model that is open; give it to the Model, or give the model's name")
        # Here and not in a validator, which would hide the code of the error.
        self._of(None)

    def _of(self, override: Any) -> Model:
        """The model that a call asks: its own, or one of this name at the same service."""
        given = self.model if override is None else override
        if isinstance(given, Model):
            return given
        if not isinstance(given, str):
            raise _invalid(f"model is of type {type(given).__name__}; a quorate.Model or a name is expected")
        if override is not None and ":" not in given:
            own = self.model.id if isinstance(self.model, Model) else str(self.model)
            given = f"{own.split(':')[0]}:{given}"
        if given not in self._opened:
            self._opened[given] = Model(
                given,
                base_url=self.base_url,
                api_key=self.api_key.get_secret_value() if self.api_key else None,
                resilience=self._resilience(),
                price=self.price,
                output_way=self.output_way,
                threads=self.threads,
            )
        return self._opened[given]

    def _resilience(self) -> Resilience | None:
        if self.resilience is not None:
            given: Resilience = self.resilience
            return given
        bounds: dict[str, Any] = {}
        if self.max_retries is not None:
            bounds["attempts"] = min(self.max_retries + 1, 10)
        if self.timeout is not None:
            bounds |= dict.fromkeys(("attempt_timeout", "first_byte_timeout", "stall_timeout"), self.timeout)
        return Resilience(**bounds) if bounds else None

    @property
    def _llm_type(self) -> str:
        return "quorate"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self._of(None).id}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        wire, _, name = self._of(None).id.partition(":")
        given = kwargs.get("model")
        params = LangSmithParams(
            ls_provider=wire, ls_model_name=given if isinstance(given, str) else name, ls_model_type="chat"
        )
        if self.temperature is not None:
            params["ls_temperature"] = self.temperature
        if self.max_tokens is not None:
            params["ls_max_tokens"] = self.max_tokens
        if stop or self.stop:
            params["ls_stop"] = stop or self.stop or []
        return params

    def _asked(self, messages: list[BaseMessage], stop: list[str] | None, given: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
        """The model of a call, and what it is asked."""
        own = {name: getattr(self, name) for name in ("temperature", "max_tokens", "seed", "extra")}
        asked = {**own, "stop": stop if stop is not None else self.stop, **given}
        model = self._of(asked.pop("model", None))
        unknown = [name for name in asked if name not in _ASKED]
        if unknown:
            name = unknown[0]
            raise _invalid(f"quorate knows no option '{name}' of a call; what is the service's own goes into extra={{'{name}': ...}}")
        return model, {"messages": [_neutral(message) for message in messages], **asked}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raw = kwargs.pop("raw", False)
        model, asked = self._asked(messages, stop, kwargs)
        if not raw:
            return _result(model.complete(**asked))
        with model.stream(**asked) as events:
            *_, last = events
        return _whole(last)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raw = kwargs.pop("raw", False)
        model, asked = self._asked(messages, stop, kwargs)
        if not raw:
            return _result(await model.aio.complete(**asked))
        async with model.aio.stream(**asked) as events:
            *_, last = [event async for event in events]
        return _whole(last)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        given = _Given(kwargs.pop("raw", False))
        model, asked = self._asked(messages, stop, kwargs)
        with model.stream(**asked) as events:
            for event in events:
                chunk = given.chunk(event)
                if chunk is not None:
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        given = _Given(kwargs.pop("raw", False))
        model, asked = self._asked(messages, stop, kwargs)
        async with model.aio.stream(**asked) as events:
            async for event in events:
                chunk = given.chunk(event)
                if chunk is not None:
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools. ``tool_choice``: ``auto``, ``none``, ``any`` or ``required`` or True, or a tool's name.

        ``strict`` has no effect: arguments that are no JSON object never run. ``parallel_tool_calls``: False asks for one call
        at a time, of services that speak the chat-completions interface.
        """
        if parallel_tool_calls is False:
            if not self._of(kwargs.get("model")).id.startswith("openai:"):
                raise _invalid("parallel_tool_calls=False is known to models 'openai:NAME' alone")
            kwargs["extra"] = {**(kwargs.get("extra") or self.extra or {}), "parallel_tool_calls": False}
        choice: Any = tool_choice
        if isinstance(choice, Mapping):
            choice = choice.get("function", choice).get("name")
        if choice in ("any", True):
            choice = "required"
        elif choice is False:
            choice = None
        if choice is not None:
            kwargs["tool_choice"] = choice
        return self.bind(tools=[_converted(tool, convert_to_openai_tool) for tool in tools], **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """The model with answers of a form. ``json_mode`` asks for any object; ``strict`` has no effect, the form always holds."""
        if method not in ("json_schema", "function_calling", "json_mode"):
            raise _invalid(f"method is {method!r:.60}; json_schema, function_calling or json_mode is expected")
        is_schema = False
        if isinstance(schema, Mapping) and _SCHEMATIC.intersection(schema) and not _NAMING.intersection(schema):
            # LangChain takes no schema without a name.
            is_schema, schema = True, {"title": "answer", **schema}
        if method == "function_calling":
            structured = super().with_structured_output
            return _converted(schema, lambda one: structured(one, include_raw=include_raw, **kwargs))
        if method == "json_mode":
            form: Any = {"type": "object"}
        else:
            # Of a schema with a name LangChain takes no more than the properties.
            form = schema if is_schema else _converted(schema, convert_to_json_schema)
        told = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        model = self.bind(output=form, ls_structured_output_format=told, **kwargs)
        parser: Any = JsonOutputParser()
        if isinstance(schema, type) and is_basemodel_subclass(schema):
            parser = PydanticOutputParser(pydantic_object=schema)
        if not include_raw:
            chain: Runnable[LanguageModelInput, Any] = model | parser
            return chain

        def parsed(found: dict[str, Any]) -> tuple[Any, Exception | None]:
            told = found["raw"].response_metadata.get("output_error")
            try:
                return (None, error(**told)) if told else (parser.invoke(found["raw"]), None)
            except Exception as refused:
                return None, refused

        both = RunnablePassthrough.assign(parsed=lambda found: parsed(found)[0], parsing_error=lambda found: parsed(found)[1])
        return RunnableMap(raw=model.bind(raw=True)) | both


# Members of descriptions of tools, and those that make a dict a JSON Schema.
_NAMING = {"name", "function"}
_SCHEMATIC = {"type", "properties", "anyOf", "oneOf", "allOf", "enum", "const", "$ref"}


def _converted(given: Any, convert: Callable[[Any], _T]) -> _T:
    """What LangChain makes of a tool or a schema; it raises all kinds of errors where it makes nothing."""
    try:
        return convert(given)
    except Exception as cause:
        name = given.__name__ if isinstance(given, type) else f"what is given, of type {type(given).__name__}"
        said = str(cause).split("\n")[0]
        raise _invalid(f"LangChain makes no JSON Schema of {name}: {said}") from cause


class _Given:
    """What a stream has given so far. ``raw``: an answer that is not of its form is given, and says so."""

    def __init__(self, raw: bool) -> None:
        self._raw = raw
        self._text = 0
        self._calls = 0

    def chunk(self, event: ModelEvent) -> ChatGenerationChunk | None:
        """What LangChain is told of an event. What cannot be taken back is an error."""
        if event.type == "text":
            self._text += len(event.delta)
            return ChatGenerationChunk(message=AIMessageChunk(content=event.delta))
        if event.type == "tool_call":
            call = tool_call_chunk(
                name=event["name"], args=json.dumps(event["arguments"], ensure_ascii=False), id=event["id"], index=self._calls
            )
            self._calls += 1
            return ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))
        if event.type == "retry" and event["keep"] < self._text or event.type == "error" and not (self._raw and _is_misfit(event)):
            raise event.error
        if event.type == "cancelled":
            raise Cancelled("cancelled", "the stream was cancelled")
        if event.type in ("end", "error"):
            reply = event.result
            # The calls that must not run are in no chunk: LangChain would make calls of what it can guess of them.
            last = AIMessageChunk(
                content="",
                additional_kwargs=_kept(reply),
                response_metadata={**_metadata(reply), **_unfit(event)},
                usage_metadata=_usage(reply.usage),
                chunk_position="last",
            )
            return ChatGenerationChunk(message=last)
        return None


_BROKEN = "the arguments are no JSON object, or the answer was cut"


# What an answer that is not of its form fails with.
_MISFITS = ("output_invalid", "model_refused")


def _is_misfit(event: ModelEvent) -> bool:
    return event.type == "error" and event.error.code in _MISFITS


def _unfit(event: ModelEvent) -> dict[str, Any]:
    return {"output_error": {"code": event.error.code, "message": event.error.message}} if _is_misfit(event) else {}


def _whole(last: ModelEvent) -> ChatResult:
    """The answer of a stream that was read to its end, also one that is not of its form."""
    if last.type == "error" and not _is_misfit(last):
        raise last.error
    if last.type == "cancelled":
        raise Cancelled("cancelled", "the stream was cancelled")
    found = _result(last.result)
    found.generations[0].message.response_metadata |= _unfit(last)
    return found


def _invalid_calls(reply: Reply) -> list[InvalidToolCall]:
    return [invalid_tool_call(name=c.name, args=c.broken, id=c.id, error=_BROKEN) for c in reply.broken_calls]


def _result(reply: Reply) -> ChatResult:
    message = AIMessage(
        content=reply.text,
        tool_calls=[tool_call(name=c.name, args=c.arguments, id=c.id) for c in reply.tool_calls],
        invalid_tool_calls=_invalid_calls(reply),
        additional_kwargs=_kept(reply),
        response_metadata=_metadata(reply),
        usage_metadata=_usage(reply.usage),
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _metadata(reply: Reply) -> dict[str, Any]:
    told = {"refusal": reply.refusal, "warnings": reply.warnings, "invalid_tool_calls": _invalid_calls(reply)}
    return {
        "model_name": reply.model,
        "finish_reason": reply.finish,
        "cost": reply.cost,
        "attempts": reply.attempts,
        **{name: value for name, value in told.items() if value},
    }


def _usage(usage: Usage) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=usage.input,
        output_tokens=usage.output,
        total_tokens=usage.input + usage.output,
        input_token_details={"cache_read": usage.cached, "cache_creation": usage.cache_written + usage.cache_written_1h},
        output_token_details={"reasoning": usage.reasoning},
    )


def _kept(reply: Reply) -> dict[str, Any]:
    """What the service wants back as it was."""
    content = reply.message["content"]
    parts = [part for part in content if part["type"] in _KEPT] if isinstance(content, list) else []
    return {"quorate": parts} if parts else {}


def _neutral(message: BaseMessage) -> dict[str, Any]:
    """A message of LangChain in quorate's neutral form."""
    if isinstance(message, ToolMessage):
        text = message.content if isinstance(message.content, str) else _text(message.content)
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": text, "error": message.status == "error"}
    if isinstance(message, AIMessage):
        kept = message.additional_kwargs.get("quorate")
        parts = [*(kept if isinstance(kept, list) else []), *_parts(message.content, assistant=True)]
        calls = [{"type": "tool_call", "id": c["id"] or "", "name": c["name"], "arguments": c["args"]} for c in message.tool_calls]
        # Of a stream they are not where they belong.
        broken = message.invalid_tool_calls or message.response_metadata.get("invalid_tool_calls", [])
        calls += [
            {"type": "tool_call", "id": c["id"] or "", "name": c["name"], "arguments": {}, "broken": c["args"] or ""}
            for c in broken
            if c["name"]
        ]
        return {"role": "assistant", "content": [*parts, *calls]}
    if isinstance(message, (SystemMessage, HumanMessage)):
        return {"role": "system" if isinstance(message, SystemMessage) else "user", "content": _parts(message.content)}
    role = _ROLES.get(message.role if isinstance(message, ChatMessage) else message.type)
    if role is None:
        raise _invalid(f"quorate knows no messages of type {message.type}")
    return {"role": role, "content": _parts(message.content)}


def _member(part: dict[str, Any], name: str) -> Any:
    found = part.get(name)
    if not found and found != "":
        raise _invalid(f"a part of type {part.get('type')!r:.60} has no '{name}'")
    return found


def _text(content: list[str | dict[str, Any]]) -> str:
    """The content of a tool's message: texts, and everything else as JSON."""
    texts = [
        part
        if isinstance(part, str)
        else str(_member(part, "text"))
        if part.get("type") == "text"
        else json.dumps(part, ensure_ascii=False, default=str)
        for part in content
    ]
    return "\n".join(texts)


# Parts of an assistant's message that stand elsewhere too, or that no other service reads.
_ELSEWHERE = ("tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "function_call", "reasoning", "thinking", "redacted_thinking")


def _parts(content: str | list[str | dict[str, Any]], assistant: bool = False) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts = []
    for part in content:
        kind = "text" if isinstance(part, str) else part.get("type")
        if kind == "text":
            parts.append({"type": "text", "text": part if isinstance(part, str) else _member(part, "text")})
        elif isinstance(part, dict) and kind in ("image_url", "image"):
            parts.append(_image(part))
        elif not (assistant and kind in _ELSEWHERE):
            raise _invalid(f"a part of type {kind!r:.60} cannot be sent; text and images can")
    return parts


def _image(part: dict[str, Any]) -> dict[str, Any]:
    """An image in any of the forms that LangChain knows."""
    if part["type"] == "image_url":
        given = _member(part, "image_url")
        return {"type": "image", **given} if isinstance(given, dict) else {"type": "image", "url": given}
    source = part.get("source")
    if isinstance(source, dict):
        part = {"type": "image", "url": source.get("url"), "base64": source.get("data"), "mime_type": source.get("media_type")}
    url = part.get("url")
    if not url:
        data = part["data"] if part.get("data") else _member(part, "base64")
        url = f"data:{part.get('mime_type') or 'image/png'};base64,{data}"
    return {"type": "image", "url": url}
