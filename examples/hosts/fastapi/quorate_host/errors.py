"""Which status does each error of quorate have?"""

from __future__ import annotations

import quorate
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from .models import Problem

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
    "too_large": 413,
    # It contradicts what is stored; whether the types of a filter fit depends on that too.
    "filter_type": 409,
    "duplicate_id": 409,
    "duplicate_entry": 409,
    "version_conflict": 409,
    "include_cycle": 409,
    # It is not there, or not for this caller.
    "not_found": 404,
    "unknown_id": 404,
    "unknown_capability": 404,
    "read_only": 403,
    "tenant_violation": 403,
    # The service cannot do it now.
    "closed": 503,
    "locked": 503,
    "offline": 503,
    "timeout": 504,
    "remote_failed": 502,
    "remote_invalid": 502,
    "disk_full": 507,
    "cancelled": 503,
    "unsupported": 501,
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
    # Of language models, which the host does not ask yet.
    "rate_limited": 503,
    "circuit_open": 503,
    "stream_incomplete": 502,
    "context_overflow": 422,
    "model_refused": 502,
    "output_invalid": 502,
    "tool_arguments": 422,
    "tool_failed": 502,
    "tool_timeout": 504,
    "tool_unknown": 500,
    "approval_required": 409,
    "budget_exceeded": 409,
    "budget_unpriced": 500,
    "step_limit": 409,
    "quorum_missed": 409,
    "replay_mismatch": 500,
    "run_conflict": 409,
    "stale_write": 409,
    "compensation_failed": 409,
    "story_syntax": 422,
    "no_template": 404,
    "internal": 500,
}
"""The status of each code of quorate."""


def install(app: FastAPI) -> None:
    """Makes every error of the service a :class:`Problem`."""

    @app.exception_handler(quorate.QuorateError)
    async def of_quorate(request: Request, error: quorate.QuorateError) -> JSONResponse:
        return answer(STATUS.get(error.code, 500), error.code, error.message)

    @app.exception_handler(RequestValidationError)
    async def of_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return answer(422, "invalid_request", f"{place}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        headers = None
        if error.status_code == 405:
            headers = {"allow": ", ".join(sorted(_methods(app, request.url.path)))}
        code = "too_large" if error.status_code == 413 else "invalid_request"
        return answer(error.status_code, code, str(error.detail), headers)


def _methods(app: FastAPI, path: str) -> set[str]:
    """Every method that a path answers; the framework names those of the first route alone."""
    routes = [route for route in app.routes if isinstance(route, Route)]
    first = next((route.path for route in routes if route.path_regex.match(path)), None)
    return {method for route in routes if route.path == first for method in route.methods or ()}


def answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem, as it is sent."""
    return JSONResponse(Problem(code=code, message=message).model_dump(), status, headers)
