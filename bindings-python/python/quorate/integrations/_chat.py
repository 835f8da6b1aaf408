"""How does LangChain ask a language model through quorate?"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

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
from pydantic import PrivateAttr, SecretStr, model_validator
from typing_extensions import Self

from .._errors import Cancelled, InvalidInput
from .._models import Model, ModelEvent, Reply, Resilience, Usage

_ROLES = {"system": "system", "developer": "system", "human": "user", "user": "user", "ai": "assistant", "assistant": "assistant"}

# Parts of an answer that the service wants back as they were.
_KEPT = ("reasoning", "opaque")


class ChatQuorate(BaseChatModel):
    """A :class:`quorate.Model` as LangChain's chat model.

    ``model``: a :class:`quorate.Model`, or the name of one (``openai:NAME``, ``anthropic:NAME``), which is opened with
    ``base_url``, ``api_key`` and ``resilience``; without the last, ``timeout`` (seconds of one attempt) and ``max_retries``
    bound it. ``with_structured_output`` has the answer checked and mended by quorate (``json_schema``, the default).

    A tool call comes whole, once it is sure that it may run. When an attempt at a stream breaks off after text was given that
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
    """Seconds of one attempt."""
    max_retries: int | None = None
    """Attempts after the first."""
    resilience: Any = None
    """A :class:`quorate.Resilience`; it takes the place of ``timeout`` and ``max_retries``."""
    streaming: bool = False
    """Whether ``invoke`` streams too."""
    extra: dict[str, Any] | None = None
    """Fields of the service's own interface."""

    _opened: dict[str, Model] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _open(self) -> Self:
        self._of(None)
        return self

    def _of(self, override: Any) -> Model:
        """The model that a call asks: its own, or one of this name at the same service."""
        given = self.model if override is None else override
        if isinstance(given, Model):
            return given
        if not isinstance(given, str):
            raise InvalidInput("invalid_argument", f"model is of type {type(given).__name__}; a quorate.Model or a name is expected")
        if override is not None and ":" not in given:
            own = self.model.id if isinstance(self.model, Model) else str(self.model)
            given = f"{own.split(':')[0]}:{given}"
        if given not in self._opened:
            key = self.api_key.get_secret_value() if self.api_key else None
            self._opened[given] = Model(given, base_url=self.base_url, api_key=key, resilience=self._resilience())
        return self._opened[given]

    def _resilience(self) -> Resilience | None:
        if self.resilience is not None or (self.timeout is None and self.max_retries is None):
            given: Resilience | None = self.resilience
            return given
        defaults = Resilience()
        timeout = defaults.attempt_timeout if self.timeout is None else self.timeout
        attempts = defaults.attempts if self.max_retries is None else min(self.max_retries + 1, 10)
        return Resilience(attempts=attempts, attempt_timeout=timeout)

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
        return model, {"messages": [_neutral(message) for message in messages], **asked}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        model, asked = self._asked(messages, stop, kwargs)
        return _result(model.complete(**asked))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        model, asked = self._asked(messages, stop, kwargs)
        return _result(await model.aio.complete(**asked))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        model, asked = self._asked(messages, stop, kwargs)
        given = _Given()
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
        model, asked = self._asked(messages, stop, kwargs)
        given = _Given()
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
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools. ``tool_choice``: ``auto``, ``none``, ``any`` or ``required`` or True, or a tool's name."""
        choice: Any = tool_choice
        if isinstance(choice, Mapping):
            choice = choice.get("function", choice).get("name")
        if choice in ("any", True):
            choice = "required"
        elif choice is False:
            choice = None
        if choice is not None:
            kwargs["tool_choice"] = choice
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

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
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        form = {"type": "object"} if method == "json_mode" else convert_to_json_schema(schema)
        told = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        model = self.bind(output=form, ls_structured_output_format=told, **kwargs)
        parser: Any = JsonOutputParser()
        if isinstance(schema, type) and is_basemodel_subclass(schema):
            parser = PydanticOutputParser(pydantic_object=schema)
        if not include_raw:
            chain: Runnable[LanguageModelInput, Any] = model | parser
            return chain
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        unparsed = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=model) | parsed.with_fallbacks([unparsed], exception_key="parsing_error")


class _Given:
    """What a stream has given so far."""

    def __init__(self) -> None:
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
        if event.type == "retry" and event["keep"] < self._text or event.type == "error":
            raise event.error
        if event.type == "cancelled":
            raise Cancelled("cancelled", "the stream was cancelled")
        if event.type == "end":
            reply = event.result
            broken = [invalid_tool_call(name=c.name, args=c.broken, id=c.id, error=_BROKEN) for c in reply.broken_calls]
            last = AIMessageChunk(
                content="",
                invalid_tool_calls=broken,
                additional_kwargs=_kept(reply),
                response_metadata=_metadata(reply),
                usage_metadata=_usage(reply.usage),
                chunk_position="last",
            )
            return ChatGenerationChunk(message=last)
        return None


_BROKEN = "the arguments are no JSON object, or the answer was cut"


def _result(reply: Reply) -> ChatResult:
    message = AIMessage(
        content=reply.text,
        tool_calls=[tool_call(name=c.name, args=c.arguments, id=c.id) for c in reply.tool_calls],
        invalid_tool_calls=[invalid_tool_call(name=c.name, args=c.broken, id=c.id, error=_BROKEN) for c in reply.broken_calls],
        additional_kwargs=_kept(reply),
        response_metadata=_metadata(reply),
        usage_metadata=_usage(reply.usage),
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _metadata(reply: Reply) -> dict[str, Any]:
    told = {"refusal": reply.refusal, "warnings": reply.warnings}
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
        parts = [*message.additional_kwargs.get("quorate", []), *_parts(message.content, assistant=True)]
        calls = [{"type": "tool_call", "id": c["id"] or "", "name": c["name"], "arguments": c["args"]} for c in message.tool_calls]
        return {"role": "assistant", "content": [*parts, *calls]}
    if isinstance(message, (SystemMessage, HumanMessage)):
        return {"role": _ROLES[message.type], "content": _parts(message.content)}
    role = _ROLES.get(message.role if isinstance(message, ChatMessage) else message.type)
    if role is None:
        raise InvalidInput("invalid_argument", f"quorate knows no messages of type {message.type}")
    return {"role": role, "content": _parts(message.content)}


def _text(content: list[str | dict[str, Any]]) -> str:
    """The content of a tool's message: texts, and everything else as JSON."""
    texts = [
        part if isinstance(part, str) else part["text"] if part.get("type") == "text" else json.dumps(part, ensure_ascii=False)
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
            parts.append({"type": "text", "text": part if isinstance(part, str) else part["text"]})
        elif isinstance(part, dict) and kind in ("image_url", "image"):
            parts.append(_image(part))
        elif not (assistant and kind in _ELSEWHERE):
            raise InvalidInput("invalid_argument", f"a part of type {kind!r:.60} cannot be sent; text and images can")
    return parts


def _image(part: dict[str, Any]) -> dict[str, Any]:
    """An image in any of the forms that LangChain knows."""
    if part["type"] == "image_url":
        given = part["image_url"]
        return {"type": "image", "url": given} if isinstance(given, str) else {"type": "image", **given}
    source = part.get("source")
    if isinstance(source, dict):
        part = {"url": source.get("url"), "base64": source.get("data"), "mime_type": source.get("media_type")}
    url = part.get("url")
    if not url:
        url = f"data:{part.get('mime_type') or 'image/png'};base64,{part.get('base64') or part.get('data')}"
    return {"type": "image", "url": url}
