"""Do OpenAI's own clients get along with the service?"""

from __future__ import annotations

import json
import sys

import openai
import pytest
from conftest import ACME, DOSE, EXPERT, LABEL, bearer, served

SLOW = [sys.executable, "-m", "uvicorn", "--factory", "slow:app", "--no-access-log"]


def client_of(host, headers=ACME):
    return openai.OpenAI(base_url=f"{host.url}/v1", api_key=headers["authorization"].removeprefix("Bearer "), max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with served(tmp_path_factory.mktemp("openai") / "kb") as host:
        host.client.post("/v1/documents", json={"documents": [LABEL]})
        yield host


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    with served(tmp_path_factory.mktemp("slow") / "kb", command=SLOW, SLOW_SECONDS="0") as host:
        yield host


def said(question, *before):
    return [*before, {"role": "user", "content": question}]


def test_experts_and_panels_are_models(host):
    client = client_of(host)
    names = [one.id for one in client.models.list()]
    assert {"auto", "panel", "panel:delphi", EXPERT} <= set(names)
    assert client.models.retrieve(EXPERT).id == EXPERT
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("nobody")
    assert refused.value.code == "model_not_found"


def test_an_expert_answers_with_citations(host):
    answer = client_of(host).chat.completions.create(model=EXPERT, messages=said(DOSE), temperature=0.2, max_tokens=500)
    choice = answer.choices[0]
    assert choice.finish_reason == "stop" and choice.message.role == "assistant"
    assert choice.message.content == "The usual starting dose of metformin is 500 mg twice daily. [1]"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    told = answer.model_extra["quorate"]
    assert told["citations"][0]["doc_id"] == "label" and told["grounded"] == 1.0 and answer.id == f"chatcmpl-{told['run_id']}"
    assert host.client.get(f"/v1/runs/{told['run_id']}").json()["status"] == "done"


@pytest.mark.parametrize("model", [EXPERT, "panel", "panel:delphi", "auto"])
def test_a_stream_says_what_the_whole_says(host, model):
    client = client_of(host)
    whole = client.chat.completions.create(model=model, messages=said(DOSE), seed=3)
    pieces = list(client.chat.completions.create(model=model, messages=said(DOSE), seed=3, stream=True, stream_options={"include_usage": True}))
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content != ""
    reasons = [piece.choices[0].finish_reason for piece in pieces if piece.choices]
    assert reasons[-1] == whole.choices[0].finish_reason == "stop" and set(reasons[:-1]) == {None}
    assert pieces[-1].choices == [] and pieces[-1].usage.total_tokens == whole.usage.total_tokens
    assert all(piece.usage is None for piece in pieces[:-1]) and len({piece.id for piece in pieces}) == 1
    assert pieces[0].choices[0].delta.role == "assistant" and pieces[-2].model_extra["quorate"]["status"]


def test_text_comes_in_pieces_and_the_history_is_heard(slow):
    client = client_of(slow)
    before = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "SHOW me"}, {"type": "text", "text": "all"}]},
        {"role": "assistant", "content": "There."},
    ]
    answer = client.chat.completions.create(model="fda-510k", messages=said("And now?", *before))
    heard = json.loads(answer.choices[0].message.content)
    assert heard[-4:] == [["system", "Be brief."], ["user", "SHOW me\nall"], ["assistant", "There."], ["user", "And now?"]]
    pieces = list(client.chat.completions.create(model="fda-510k", messages=said("Which dose?"), stream=True))
    texts = [piece.choices[0].delta.content for piece in pieces if piece.choices and piece.choices[0].delta.content]
    assert len(texts) > 1 and "".join(texts) == "Five mg a day is what is given, by mouth, and with a meal."
    with client.chat.completions.stream(model="fda-510k", messages=said("Which dose?")) as stream:
        assert stream.get_final_completion().choices[0].message.content == "".join(texts)


@pytest.mark.parametrize(
    ("changed", "kind", "code", "param"),
    [
        ({"model": "nobody"}, openai.NotFoundError, "model_not_found", "model"),
        ({"model": "panel:jury"}, openai.NotFoundError, "model_not_found", "model"),
        ({"n": 2}, openai.BadRequestError, "unsupported_parameter", "n"),
        ({"logprobs": True}, openai.BadRequestError, "unsupported_parameter", "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, openai.BadRequestError, "unsupported_parameter", "tools"),
        ({"modalities": ["text", "audio"]}, openai.BadRequestError, "unsupported_parameter", "modalities"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, openai.BadRequestError, "invalid_value", "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, openai.BadRequestError, "invalid_value", "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, openai.BadRequestError, "unsupported_parameter", "messages[0].content"),
        ({"messages": [{"role": "king", "content": "x"}]}, openai.UnprocessableEntityError, "invalid_request", None),
        ({"messages": []}, openai.UnprocessableEntityError, "invalid_request", None),
        ({"response_format": {"type": "json_schema"}}, openai.BadRequestError, "invalid_value", "response_format"),
    ],
)
def test_errors_have_the_form_that_its_clients_read(host, changed, kind, code, param):
    asked = {"model": EXPERT, "messages": said(DOSE), **changed}
    with pytest.raises(kind) as refused:
        client_of(host).chat.completions.create(**asked)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_who_may_not_is_told_in_the_same_form(host):
    with pytest.raises(openai.AuthenticationError) as refused:
        client_of(host, {"authorization": "Bearer nonsense"}).models.list()
    assert refused.value.code == "token_invalid"
    with pytest.raises(openai.PermissionDeniedError):
        client_of(host, bearer(permissions=("write",))).chat.completions.create(model="auto", messages=said(DOSE))
    with pytest.raises(openai.APIStatusError) as large:
        client_of(host).chat.completions.create(model="auto", messages=said("x" * (9 << 20)))
    assert (large.value.status_code, large.value.code) == (413, "too_large")
