"""How do clients of OpenAI's interface ask experts and panels?"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import quorate
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from .. import chat
from ..errors import OWN, HostError, openai_told, public
from ..flights import Flight
from ..host import Caller, Reader
from ..running import IdempotencyKey, answer_of, begun, budget_of, key_of, waited
from ..shapes.chat import ChatIn, ModelOut, ModelsOut
from ..sse import EventStream

router = APIRouter(prefix="/v1", tags=["openai"])
MADE = 1_767_225_600
"""When the models were made, as clients expect it to be said: 2026-01-01."""
MODEL_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": "An error in OpenAI's form."} for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504, 507)
}


@router.get("/models", responses=MODEL_ERRORS)
async def models(caller: Reader) -> ModelsOut:
    """What can be asked: ``auto``, panels, and the experts."""
    names = ["auto", "panel", *(f"panel:{type}" for type in chat.PANELS)]
    names += [agent.id for agent in await caller.tenant.registry.aio.list() if agent.status == "active"]
    return ModelsOut(object="list", data=[_model(name) for name in names])


@router.get("/models/{id:path}", responses=MODEL_ERRORS)
async def model(caller: Reader, id: str) -> ModelOut:
    """One of them."""
    try:
        await _known(caller, id)
    except chat.Unfit as unfit:
        return unfit.response  # type: ignore[return-value]
    return _model(id)


def _model(name: str) -> ModelOut:
    return ModelOut(id=name, object="model", created=MADE, owned_by="quorate")


async def _known(caller: Caller, name: str) -> None:
    if name == "auto" or chat.panel_type(name) is not None:
        return
    try:
        await caller.tenant.registry.aio.get(name)
    except quorate.QuorateError as error:
        if error.code in ("unknown_id", "invalid_argument", "invalid_text"):
            raise chat.unknown(name) from None
        raise


@router.post("/chat/completions", responses=MODEL_ERRORS)
async def completions(request: Request, caller: Reader, body: ChatIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Asks the expert, or the panel, that ``model`` names. Messages before the last are the conversation.

    Ignored: ``temperature``, ``top_p``, ``max_tokens``, ``max_completion_tokens``, ``stop``, penalties, ``user``, ``store``,
    ``metadata`` and what is not known. Refused: tools and functions, ``n`` above 1, logprobs, audio, parts that are no text.
    """
    try:
        chat.check(body)
        question, before = chat.conversation(body)
        form = chat.output(body)
        panel = chat.panel_type(body.model)
        if panel is not None and (before or form):
            # A panel hears a question and nothing else: what it would not hear is not dropped in silence.
            if form:
                raise chat.Unfit("a panel answers in words", "response_format")
            question = "\n\n".join([*(f"{one['role']}: {one['content']}" for one in before), question])
        await _known(caller, body.model)
    except chat.Unfit as unfit:
        return unfit.response
    flight = _asked(caller, body, question, before, form, panel, key_of(caller, idempotency_key))
    if body.stream:
        await begun(flight)
        return EventStream(caller.host, _pieces(caller, flight, chat.Reply(body)), _closed())
    result = await waited(request, caller, flight)
    return JSONResponse(chat.Reply(body).whole(result))


def _asked(
    caller: Caller, body: ChatIn, question: str, before: list[dict[str, Any]], form: Any, panel: str | None, key: str | None
) -> Flight:
    streams, budget = caller.tenant.runtime.aio.stream, budget_of(caller.host, None)
    seed = body.seed or 0

    def make() -> Any:
        if panel is not None:
            whole = replace(budget, max_steps=100)
            return streams.panel(question, type=panel, budget=whole, seed=seed, idempotency_key=key)  # type: ignore[arg-type]
        agent = None if body.model == "auto" else body.model
        return streams.ask(
            question, agent=agent, conversation=before or None, output=form, budget=budget, seed=seed, idempotency_key=key
        )

    asked = {"question": question, "before": before, "form": form, "model": body.model, "seed": seed}
    return caller.host.flights.start(caller.tenant, "ask" if panel is None else "panel", asked, key, make, False)


async def _pieces(caller: Caller, flight: Flight, reply: chat.Reply) -> AsyncIterator[str]:
    with flight.watch():
        begun = False
        async for shown in flight.after((0, -1)):
            reply.run_id = flight.run_id or ""
            if not begun and shown.kind != "error":
                begun = True
                yield reply.first()
            if shown.kind == "text" and flight.kind == "ask":
                yield reply.delta(json.loads(shown.text)["delta"])
        try:
            result = await answer_of(caller, flight)
        except (quorate.QuorateError, HostError) as error:
            status, message = public(error.code, error.message)
            yield chat.data({"error": openai_told(OWN.get(error.code, status), error.code, message)})
            return
        for piece in reply.last(result):
            yield piece


def _closed() -> str:
    return chat.data({"error": openai_told(503, "closed", "the service is going down; ask again")})
