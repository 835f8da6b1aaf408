"""How do OpenAI's chat completions become questions to experts and panels, and answers what its clients read?"""

from __future__ import annotations

import json
import time
from typing import Any

from .errors import openai_error
from .shapes.chat import ChatIn, Message

PANELS = ("parallel", "sequential", "consensus", "debate", "socratic", "delphi")
REFUSED = ("tools", "functions", "tool_choice", "function_call", "audio", "logprobs", "top_logprobs", "web_search_options", "prediction")
"""Parameters without which the answer would be another than the one that was asked for."""
EXTENSION = "quorate"
"""The field of an answer that OpenAI's has not: citations, and what is known of the run."""


class Unfit(Exception):
    """A request that cannot be answered; told in OpenAI's form."""

    def __init__(self, message: str, param: str | None, code: str = "unsupported_parameter", status: int = 400) -> None:
        super().__init__(message)
        self.response = openai_error(status, code, message, param=param)


def check(body: ChatIn) -> None:
    """Refuses what would change the answer and cannot be done."""
    for name in REFUSED:
        # What is empty or off asks for nothing.
        if (body.model_extra or {}).get(name) not in (None, False, [], "none", "auto", 0):
            raise Unfit(f"'{name}' is not supported here", name)
    if body.n not in (None, 1):
        raise Unfit("one answer is given: 'n' is 1", "n")
    modalities = (body.model_extra or {}).get("modalities")
    if modalities not in (None, ["text"]):
        raise Unfit("answers are text", "modalities")


def text_of(message: Message, place: str) -> str:
    """The words of a message."""
    if isinstance(message.content, str):
        return message.content
    for part in message.content:
        if part.type != "text" or part.text is None:
            raise Unfit(f"parts of the type '{part.type[:40]}' are not supported here; text is", place)
    return "\n".join(part.text or "" for part in message.content)


def conversation(body: ChatIn) -> tuple[str, list[dict[str, Any]]]:
    """The question, and what was said before it, in the order and the roles in which it was said."""
    said = [
        {"role": "system" if one.role == "developer" else one.role, "content": text_of(one, f"messages[{i}].content")}
        for i, one in enumerate(body.messages)
    ]
    last = said.pop()
    if last["role"] != "user":
        raise Unfit("the last message is the question: its role is 'user'", "messages", "invalid_value")
    if not last["content"].strip():
        raise Unfit("the last message has no text", "messages", "invalid_value")
    return last["content"], [one for one in said if one["content"].strip()]


def output(body: ChatIn) -> Any:
    """The JSON Schema of the answer, where one is asked for."""
    form = body.response_format or {}
    kind = form.get("type", "text")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    schema = form.get("json_schema")
    if kind == "json_schema" and isinstance(schema, dict) and isinstance(schema.get("schema"), dict):
        return schema["schema"]
    raise Unfit("response_format is 'text', 'json_object', or 'json_schema' with a schema", "response_format", "invalid_value")


def panel_type(model: str) -> str | None:
    """The type of panel that a model's name means; None where it is no panel's."""
    if model == "panel":
        return "parallel"
    if model.startswith("panel:"):
        if model[6:] not in PANELS:
            raise unknown(model)
        return model[6:]
    return None


def unknown(model: str) -> Unfit:
    """There is no such model."""
    return Unfit(f"the model '{model}' does not exist; GET /v1/models lists those that do", "model", "model_not_found", 404)


def words(result: dict[str, Any]) -> str:
    """What an answer says."""
    if "synthesis" in result:
        return str(result["synthesis"])
    if result.get("output") is not None:
        return json.dumps(result["output"], ensure_ascii=False)
    if result["status"] == "waiting":
        names = ", ".join(one["name"] for one in result.get("pending", []))
        return f"This waits for a decision ({names}): POST /v1/runs/{result['run_id']}/resume."
    return str(result["text"])


def finish(result: dict[str, Any]) -> str:
    """Why an answer ended, in OpenAI's words: a limit of the budget is a length."""
    if result["status"] == "partial":
        return "length"
    return "content_filter" if result.get("stopped_by") == "filtered" else "stop"


def usage(result: dict[str, Any]) -> dict[str, Any]:
    """The tokens, counted as OpenAI does: what was cached is part of what was read."""
    used = result["usage"]
    return {
        "prompt_tokens": used["input"],
        "completion_tokens": used["output"],
        "total_tokens": used["input"] + used["output"],
        "prompt_tokens_details": {"cached_tokens": used.get("cached", 0)},
        "completion_tokens_details": {"reasoning_tokens": used.get("reasoning", 0)},
    }


def extension(result: dict[str, Any]) -> dict[str, Any]:
    """What OpenAI's form has no place for."""
    names = ("run_id", "status", "stopped_by", "agent", "confidence", "grounded", "citations", "cost")
    return {name: result[name] for name in names if name in result}


class Reply:
    """One answer, whole or in pieces."""

    def __init__(self, body: ChatIn) -> None:
        self._model = body.model
        self._created = int(time.time())
        self._with_usage = body.stream_options is not None and body.stream_options.include_usage
        self._said = ""
        self.run_id = ""

    def _frame(self, kind: str, choices: list[dict[str, Any]], more: dict[str, Any] | None = None) -> dict[str, Any]:
        id = f"chatcmpl-{self.run_id}"
        return {"id": id, "object": kind, "created": self._created, "model": self._model, "choices": choices, **(more or {})}

    def whole(self, result: dict[str, Any]) -> dict[str, Any]:
        """The answer in one."""
        self.run_id = result["run_id"]
        message: dict[str, Any] = {"role": "assistant", "content": words(result), "refusal": None}
        if result["status"] == "refused":
            message = {"role": "assistant", "content": None, "refusal": words(result)}
        choice = {"index": 0, "message": message, "finish_reason": finish(result), "logprobs": None}
        return self._frame("chat.completion", [choice], {"usage": usage(result), EXTENSION: extension(result)})

    def _piece(self, delta: dict[str, Any], reason: str | None = None, more: dict[str, Any] | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        usage: dict[str, Any] = {"usage": None} if self._with_usage else {}
        return data(self._frame("chat.completion.chunk", [choice], {**usage, **(more or {})}))

    def first(self) -> str:
        """The first piece."""
        return self._piece({"role": "assistant", "content": ""})

    def delta(self, text: str) -> str:
        """A piece of text."""
        self._said += text
        return self._piece({"content": text})

    def last(self, result: dict[str, Any]) -> list[str]:
        """What is left to say once the answer is there."""
        pieces, text = [], words(result)
        refused = result["status"] == "refused"
        if refused and text:
            pieces.append(self._piece({"refusal": text}))
        elif text.startswith(self._said):
            # An answer that came whole, or got a remark after its words had been shown.
            if text != self._said:
                pieces.append(self.delta(text[len(self._said) :]))
        else:
            # What was shown was said on the way; what counts is the answer.
            pieces.append(self.delta(f"\n\n{text}"))
        pieces.append(self._piece({}, finish(result), {EXTENSION: extension(result)}))
        if self._with_usage:
            pieces.append(data(self._frame("chat.completion.chunk", [], {"usage": usage(result)})))
        return [*pieces, "data: [DONE]\n\n"]


def data(told: dict[str, Any]) -> str:
    """A piece as it is sent."""
    return f"data: {json.dumps(told, ensure_ascii=False)}\n\n"
