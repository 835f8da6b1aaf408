"""Which status does each error have, and what may its caller read?"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import quorate
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from .context import request_id
from .shapes.common import Problem

STATUS: dict[str, int] = {
    # What the caller sent cannot be used.
    "invalid_argument": 422,
    "invalid_shape": 422,
    "not_finite": 422,
    "empty_input": 422,
    "invalid_document": 422,
    "invalid_text": 422,
    "filter_syntax": 422,
    "filter_field": 422,
    "query_syntax": 422,
    "load_failed": 422,
    "undefined": 422,
    "context_overflow": 422,
    "tool_arguments": 422,
    "story_syntax": 422,
    "unsupported": 422,
    "too_large": 413,
    # It contradicts what is stored; whether the types of a filter fit depends on that too.
    "filter_type": 409,
    "duplicate_id": 409,
    "duplicate_entry": 409,
    "version_conflict": 409,
    "include_cycle": 409,
    "approval_required": 409,
    "budget_exceeded": 409,
    "step_limit": 409,
    "quorum_missed": 409,
    "run_conflict": 409,
    "stale_write": 409,
    "compensation_failed": 409,
    # It is not there, or not for this caller.
    "not_found": 404,
    "unknown_id": 404,
    "unknown_capability": 404,
    "no_template": 404,
    "read_only": 403,
    "tenant_violation": 403,
    # The service cannot do it now.
    "closed": 503,
    "locked": 503,
    "offline": 503,
    "cancelled": 503,
    "rate_limited": 503,
    "circuit_open": 503,
    "disk_full": 507,
    # A service behind this one failed: a language model, or a tool.
    "timeout": 504,
    "tool_timeout": 504,
    "remote_failed": 502,
    "remote_invalid": 502,
    "stream_incomplete": 502,
    "model_refused": 502,
    "output_invalid": 502,
    "tool_failed": 502,
    # The service is set up wrongly or broken; nothing the caller could change.
    "model_invalid": 500,
    "model_unsupported": 500,
    "model_not_found": 500,
    "embedder_mismatch": 500,
    "corrupt": 500,
    "format_version": 500,
    "io": 500,
    "permission_denied": 500,
    "callback": 500,
    "tool_unknown": 500,
    "budget_unpriced": 500,
    "replay_mismatch": 500,
    "internal": 500,
}
"""The status of each code of quorate."""

OWN: dict[str, int] = {
    "invalid_request": 422,
    "unauthenticated": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "forbidden": 403,
    "too_many_requests": 429,
    "too_many_runs": 429,
    "no_route": 404,
    "method_not_allowed": 405,
}
"""The status of each code that the service adds."""

_PUBLIC = {
    500: "the service could not do this; the id of the request tells its operator why",
    502: "a service that this one asks, such as a language model, gave no usable answer",
    503: "the service cannot do this now; try again later",
    504: "a service that this one asks did not answer in time",
    507: "the service has no space left",
}
"""What is said of faults that are not the caller's: what the library says of them can name files and addresses."""

_log = logging.getLogger("quorate_host")


class HostError(Exception):
    """A refusal by the service itself; ``code`` is one of :data:`OWN`."""

    def __init__(self, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.headers = code, message, headers or {}


def public(code: str, message: str) -> tuple[int, str]:
    """The status of an error, and what its caller may read of it."""
    status = STATUS.get(code) or OWN.get(code, 500)
    # Of a fault that is not the caller's the message goes to the log.
    if status >= 500:
        _log.error("fault", extra={"code": code, "fault": message})
        return status, _PUBLIC[status]
    return status, message


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem (RFC 9457), as it is sent."""
    headers = {**({"retry-after": "1"} if status in (429, 503) else {}), **(headers or {})}
    return JSONResponse(told(status, code, message), status, headers, media_type="application/problem+json")


def told(status: int, code: str, message: str) -> dict[str, Any]:
    """A problem as plain data."""
    return Problem(
        type=f"urn:quorate:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=message,
        code=code,
        request_id=request_id.get(),
    ).model_dump()


def openai_error(status: int, code: str, message: str, headers: dict[str, str] | None = None, param: str | None = None) -> JSONResponse:
    """The same in the form that clients of OpenAI's read."""
    headers = {**({"retry-after": "1"} if status in (429, 503) else {}), **(headers or {})}
    return JSONResponse({"error": openai_told(status, code, message, param)}, status, headers)


def openai_told(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """What is in it."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": message, "type": kind, "param": param, "code": code}


def for_openai(path: str) -> bool:
    """Whether a path is one of those that OpenAI has too."""
    return path.startswith(("/v1/chat/", "/v1/models/")) or path in ("/v1/models", "/v1/chat")


def install(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Makes every error of the service a problem. ``routes``: those that there are."""
    known = [route for route in routes if isinstance(route, Route)]

    def answer(request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
        form = openai_error if for_openai(request.url.path) else problem
        return form(status, code, message, headers)

    @app.exception_handler(quorate.QuorateError)
    async def of_quorate(request: Request, error: quorate.QuorateError) -> JSONResponse:
        status, message = public(error.code, error.message)
        return answer(request, status, error.code, message)

    @app.exception_handler(HostError)
    async def of_host(request: Request, error: HostError) -> JSONResponse:
        return answer(request, OWN[error.code], error.code, error.message, error.headers)

    @app.exception_handler(RequestValidationError)
    async def of_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part)[:100] for part in first["loc"])[:500]
        return answer(request, 422, "invalid_request", f"{place}: {first['msg']}"[:1000])

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        headers = None
        code = {404: "no_route", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "invalid_request")
        if error.status_code == 405:
            headers = {"allow": ", ".join(sorted(_methods(known, request.scope["path"])))}
        return answer(request, error.status_code, code, str(error.detail), headers)


def _methods(routes: list[Route], path: str) -> set[str]:
    """Every method that a path answers; the framework names those of the first route alone."""
    first = next((route.path for route in routes if route.path_regex.match(path)), None)
    return {method for route in routes if route.path == first for method in route.methods or ()}
