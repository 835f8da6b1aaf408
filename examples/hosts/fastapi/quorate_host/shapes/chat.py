"""What do requests and answers of OpenAI's chat completions look like, as far as they are known here?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from .common import Whole


class Part(BaseModel):
    """A part of a message; of text alone."""

    model_config = ConfigDict(extra="ignore")

    type: Annotated[str, Field(max_length=100)]
    text: Annotated[str, Field(max_length=1_000_000)] | None = None


class Message(BaseModel):
    """A message."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=1_000_000)] | Annotated[list[Part], Field(max_length=100)]


class StreamOptions(BaseModel):
    """What a stream has beside pieces of text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: StrictBool = False


class ChatIn(BaseModel):
    """A request. What is not named here is ignored, as are the parameters of sampling; ``routers/chat.py`` says what is refused."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(min_length=1, max_length=200)]
    """The id of an expert, ``auto``, ``panel`` or ``panel:`` and its type."""
    messages: Annotated[list[Message], Field(min_length=1, max_length=500)]
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    seed: Annotated[StrictInt, Field(ge=0, le=2**53 - 1), Whole] | None = None
    response_format: dict[str, Any] | None = Field(default=None, json_schema_extra={"additionalProperties": False})
    n: Annotated[StrictInt, Field(ge=1, le=128), Whole] | None = 1


class ModelOut(BaseModel):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsOut(BaseModel):
    """The models."""

    object: Literal["list"]
    data: list[ModelOut]
