"""What is the service made of? ``python -m quorate_host``, or ``uvicorn --factory quorate_host.app:create_app``, runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import quorate
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from . import errors, logs
from .host import opened
from .limits import BodyLimit
from .middleware import Around
from .routers import ROUTERS
from .settings import Settings
from .shapes.common import Problem


def create_app(
    settings: Settings | None = None,
    *,
    model: quorate.Model | None = None,
    tools: Iterable[quorate.Tool] = (),
    tracer_provider: Any = None,
) -> FastAPI:
    """The service, as ASGI application.

    ``settings``: None reads them from the environment. ``model``: in the place of the settings' one. ``tools``: what experts and
    workflows may have done. ``tracer_provider``: of OpenTelemetry; None leaves it to the settings.
    """
    if settings is None:
        settings = Settings.from_environment()
        logs.install(settings.log_level)
    chosen, given = settings, tuple(tools)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(app, chosen, model, given, tracer_provider):
            yield

    app = FastAPI(
        title="quorate host",
        version=quorate.__version__,
        description="Search, experts that answer, panels and workflows over one quorate knowledge base.",
        lifespan=lifespan,
    )
    errors.install(app, [route for router in ROUTERS for route in router.routes])
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit=chosen.body_bytes)
    app.add_middleware(Around)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The description, with the form of problems, which routes name in a media type of their own."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = found.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        app.openapi_schema = found
    return app.openapi_schema
