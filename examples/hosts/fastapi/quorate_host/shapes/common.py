"""What do all requests and answers share?"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt


def whole(value: Any) -> Any:
    """JSON's 5.0 is the integer 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(whole)
Id = Annotated[str, Field(min_length=1, max_length=200)]
IdInPath = Annotated[Id, Path()]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Short = Annotated[str, Field(min_length=1, max_length=200)]
Question = Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"\S")]
Seed = Annotated[StrictInt, Field(ge=0, le=2**53 - 1), Whole]

Where = Annotated[
    str,
    Field(
        min_length=1,
        max_length=10_000,
        description="A filter over id, title, source and metadata, such as: year >= 2020 AND NOT kind IN ('label', 'guideline')",
        json_schema_extra={"format": "quorate-filter"},
    ),
]
"""A filter. The library's own parser says whether it is one (status 422, code ``filter_syntax``)."""


WhereInQuery = Annotated[Where, Query(max_length=2_000)]
"""Servers read no longer line than 64 KiB, and a character may take twelve."""


class Strict(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Loose(BaseModel):
    """An answer of the library: the fields that clients rely on, and what else it says."""

    model_config = ConfigDict(extra="allow")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    """``urn:quorate:problem:`` and the code."""
    title: str
    """What the status means."""
    status: int
    detail: str
    """What was given, what was expected and what to do."""
    code: str
    """The stable code of the error."""
    request_id: str
    """By which the operator finds the request in the logs."""


PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route can answer with, for its description."""
    said = {
        400: "The request cannot be read.",
        401: "Nobody that is known asks.",
        403: "Who asks may not do this, or this process only reads.",
        404: "It is not there, or not this tenant's.",
        409: "It contradicts what is stored, or what goes on.",
        413: "The request is too large.",
        422: "The request cannot be used.",
        429: "Too many requests.",
        500: "The service is broken or set up wrongly.",
        502: "A service behind this one failed.",
        503: "Not now; try again later.",
        504: "A service behind this one is too slow.",
        507: "The disk is full.",
    }
    return {status: {"description": said[status], "content": PROBLEM} for status in statuses}


ALWAYS = problems(400, 401, 403, 413, 422, 429, 500, 503)
MISSING = problems(404)
CONFLICT = problems(409)
WRITES = problems(409, 507)
RUNS = problems(404, 409, 502, 504, 507)
EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
