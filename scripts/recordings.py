#!/usr/bin/env python3
"""Writes what the official SDKs make of recorded traffic, one JSON line a recording, for the tests of quorate-models.

    pip install openai==3.57.0 anthropic==2.14.0 pyyaml
    python3 scripts/recordings.py FOLDER OUT.jsonl [NAME...]

FOLDER holds the unpacked recordings (YAML; the test cassettes of the Rust project rig, MIT, Playgrounds Analytics). With
NAMEs only these are written; so were made the few that lie in agents/models/tests/fixtures/recordings.jsonl.

Only chat completions and messages are read: the Responses, embeddings, images, audio, rerank, files and models
interfaces are no part of the wires, and are counted at the end.
"""

import collections
import json
import pathlib
import sys

import anthropic
import httpx2 as httpx
import openai
import yaml

folder, out, names = pathlib.Path(sys.argv[1]), sys.argv[2], set(sys.argv[3:])
loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def client_for(answer):
    body = answer["body"].encode()
    headers = {h["name"]: h["value"] for h in answer["header"]}
    headers.setdefault("content-type", "application/json")

    def handle(request):
        return httpx.Response(answer["status"], headers=headers, content=body)

    return httpx.Client(transport=httpx.MockTransport(handle))


def openai_calls(calls):
    return [[c.function.name, c.function.arguments] for c in calls or [] if c.type in ("function", None)]


def by_openai(request, answer):
    client = openai.OpenAI(api_key="k", base_url="http://x/v1", max_retries=0, http_client=client_for(answer))
    body = dict(request)
    stream = body.pop("stream", False)
    body.pop("stream_options", None)
    known = {"model": body.pop("model", "m"), "messages": body.pop("messages", [])}
    if not stream:
        reply = client.chat.completions.create(**known, extra_body=body)
        choice = reply.choices[0]
        message = choice.message
        text, refusal, calls, finish = message.content, message.refusal, openai_calls(message.tool_calls), choice.finish_reason
        reasoning = getattr(message, "reasoning_content", None)
        usage, model = reply.usage, reply.model
    else:
        text, refusal, reasoning, finish, usage, model = "", "", "", None, None, None
        slots = collections.OrderedDict()
        with client.chat.completions.create(**known, extra_body=body, stream=True) as events:
            for chunk in events:
                usage, model = chunk.usage or usage, model or chunk.model
                for choice in chunk.choices:
                    if choice.index:
                        continue
                    finish = choice.finish_reason or finish
                    delta = choice.delta
                    text += delta.content or ""
                    refusal += delta.refusal or ""
                    reasoning += getattr(delta, "reasoning_content", None) or ""
                    for call in delta.tool_calls or []:
                        slot = slots.setdefault(call.index, ["", ""])
                        slot[0] += call.function.name or ""
                        slot[1] += call.function.arguments or ""
        calls = list(slots.values())
    detail = lambda name, field: getattr(getattr(usage, name, None), field, None) or 0
    return {
        "text": text or "",
        "refusal": refusal or None,
        "reasoning": reasoning or "",
        "calls": calls,
        "finish": finish,
        "model": model,
        "usage": {
            "input": usage.prompt_tokens,
            "output": usage.completion_tokens,
            "cached": detail("prompt_tokens_details", "cached_tokens"),
            "reasoning": detail("completion_tokens_details", "reasoning_tokens"),
        } if usage else None,
    }


def by_anthropic(request, answer):
    client = anthropic.Anthropic(api_key="k", base_url="http://x", max_retries=0, http_client=client_for(answer))
    body = dict(request)
    stream = body.pop("stream", False)
    known = {name: body.pop(name) for name in ("model", "max_tokens", "messages")}
    if stream:
        with client.messages.stream(**known, extra_body=body) as events:
            reply = events.get_final_message()
    else:
        reply = client.messages.create(**known, extra_body=body, timeout=60)
    of = lambda kind: [block for block in reply.content if block.type == kind]
    usage = reply.usage
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return {
        "text": "".join(block.text for block in of("text")),
        "refusal": None,
        "reasoning": "".join(block.thinking for block in of("thinking")),
        "signatures": [block.signature for block in of("thinking")],
        "calls": [[block.name, json.dumps(block.input)] for block in of("tool_use")],
        "finish": reply.stop_reason,
        "model": reply.model,
        "usage": {
            "input": usage.input_tokens + cached + written,
            "output": usage.output_tokens,
            "cached": cached,
            "reasoning": getattr(usage.output_tokens_details, "thinking_tokens", None) or 0,
        },
    }


count = collections.Counter()
with open(out, "w") as lines:
    for path in sorted(folder.rglob("*.yaml")):
        for number, recording in enumerate(yaml.load_all(path.read_text(), loader)):
            asked, answer = recording["when"], recording["then"]
            name = f"{path.relative_to(folder).with_suffix('')}#{number}"
            wire = {"completions": "openai", "messages": "anthropic"}.get(asked["path"].rsplit("/", 1)[-1])
            if wire is None or asked["method"] != "POST":
                count[f"out of scope: {asked['path']}"] += 1
                continue
            if names and name not in names:
                continue
            request = json.loads(asked["body"])
            try:
                expected = (by_openai if wire == "openai" else by_anthropic)(request, answer)
            except (openai.APIStatusError, anthropic.APIStatusError) as error:
                expected = {"status": error.status_code}
            except Exception as error:
                expected = {"raises": f"{type(error).__name__}: {error}"[:200]}
            count[wire + (" raises" if "raises" in expected else "")] += 1
            headers = {h["name"]: h["value"] for h in answer["header"]}
            line = {"name": name, "wire": wire, "request": request, "status": answer["status"], "headers": headers}
            lines.write(json.dumps({**line, "body": answer["body"], "expected": expected}, ensure_ascii=False) + "\n")
for name, n in sorted(count.items()):
    print(f"{n:5} {name}")
