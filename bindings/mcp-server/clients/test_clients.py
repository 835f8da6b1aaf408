"""The official Python client uses the server: over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or Path.home() / ".cache" / "quorate" / "target")
HOST = TARGET / "release" / "examples" / "host"
ACME, GLOBEX = "token-of-acme-0123456789", "token-of-globex-0123456789"


def stdio(*options: str) -> StdioServerParameters:
    return StdioServerParameters(command=str(HOST), args=["serve", *options])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server over HTTP, with a model that takes its time."""
    options = ["--http", "127.0.0.1:0", "--slow", "300", "--token", f"{ACME}=acme", "--token", f"{GLOBEX}=globex"]
    server = subprocess.Popen([HOST, "serve", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://{server.stdout.readline().strip()}/mcp"
    finally:
        server.stdin.close()
        assert server.wait(20) == 0


@asynccontextmanager
async def over_http(url: str, token: str):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            yield client


async def uses_everything(client: Client) -> None:
    """What a caller of the tenant acme finds."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == ["search", "context", "get", "match", "ask", "panel"]
    assert tools["search"].annotations.read_only_hint and tools["search"].output_schema
    found = await client.call_tool("search", {"query": "codename of the compound", "k": 1})
    assert not found.is_error
    assert found.structured_content["hits"][0]["doc_id"] == "secret"
    assert "BLUEBIRD" in found.content[0].text
    context = await client.call_tool("context", {"question": "What lowers blood pressure?", "max_tokens": 200})
    assert context.structured_content["citations"][0]["marker"] == "[1]"
    got = await client.call_tool("get", {"id": "metformin"})
    assert got.content[0].text.startswith("Acme's own note")
    experts = await client.call_tool("match", {"question": "Is a 510(k) needed for our ECG app?", "k": 2})
    assert len(experts.structured_content["matches"]) == 2

    wrong = await client.call_tool("search", {"query": "a", "where": "year >"})
    assert wrong.is_error and wrong.structured_content["code"] == "filter_syntax"
    missing = await client.call_tool("get", {"id": "other"})
    assert missing.is_error and missing.structured_content["code"] == "unknown_id"
    with pytest.raises(MCPError) as unknown:
        await client.call_tool("nothing", {})
    assert unknown.value.error.code == -32602

    listed = (await client.list_resources()).resources
    assert {resource.name for resource in listed} == {"secret", "metformin"}
    template = (await client.list_resource_templates()).resource_templates[0]
    assert template.uri_template == "quorate://doc/{id}"
    read = await client.read_resource("quorate://doc/secret")
    assert "BLUEBIRD" in read.contents[0].text
    with pytest.raises(MCPError) as foreign:
        await client.read_resource("quorate://doc/other")
    with pytest.raises(MCPError) as absent:
        await client.read_resource("quorate://doc/never")
    told = [error.value.error.message.replace("other", "X").replace("never", "X") for error in (foreign, absent)]
    assert told[0] == told[1] and foreign.value.error.code == absent.value.error.code

    prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
    assert prompts == {"answer_with_sources", "ask_expert", "ask_panel"}
    prompt = await client.get_prompt("answer_with_sources", {"question": "What is the codename?"})
    assert "BLUEBIRD" in prompt.messages[0].content.text


def test_stdio() -> None:
    async def run() -> None:
        async with Client(stdio_client(stdio("--tenant", "acme"))) as client:
            await uses_everything(client)
            heard: list[tuple[float, str | None]] = []

            async def progress(done: float, total: float | None, message: str | None) -> None:
                heard.append((done, message))

            asked = await client.call_tool("ask", {"question": "What is the codename?"}, progress_callback=progress)
            assert not asked.is_error, asked
            assert "BLUEBIRD" in asked.structured_content["text"]
            assert asked.structured_content["citations"][0]["uri"] == "quorate://doc/secret"
            assert heard and [done for done, _ in heard] == sorted(done for done, _ in heard)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_http(url: str) -> None:
    async def run() -> None:
        async with over_http(url, ACME) as client:
            await uses_everything(client)
            heard: list[str] = []

            async def progress(done: float, total: float | None, message: str | None) -> None:
                heard.append(message or "")

            asked = await client.call_tool("ask", {"question": "Is a 510(k) needed for our ECG app?"}, progress_callback=progress)
            assert asked.structured_content["status"] == "done", asked
            assert "run start" in "".join(heard)
            panel = {"question": "Is it safe?", "size": 2}
            panel = await client.call_tool("panel", panel, progress_callback=progress)
            assert len(panel.structured_content["members"]) == 2, panel

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_cancelled_call_ends_and_the_session_goes_on(url: str) -> None:
    async def run() -> None:
        async with over_http(url, ACME) as client:
            since = time.monotonic()
            calls = [asyncio.create_task(client.call_tool("ask", {"question": f"Is a 510(k) needed for our ECG app? ({n})"})) for n in range(4)]
            await asyncio.sleep(0.1)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            found = await client.call_tool("search", {"query": "metformin"})
            assert not found.is_error
            assert time.monotonic() - since < 10

    asyncio.run(asyncio.wait_for(run(), 60))


def test_tenants_do_not_see_each_other(url: str) -> None:
    async def run() -> None:
        async with over_http(url, ACME) as acme, over_http(url, GLOBEX) as globex:
            ours, theirs = await asyncio.gather(acme.list_resources(), globex.list_resources())
            assert {one.name for one in ours.resources} == {"secret", "metformin"}
            assert {one.name for one in theirs.resources} == {"other"}
            found = await globex.call_tool("search", {"query": "BLUEBIRD compound", "k": 100})
            assert "BLUEBIRD" not in found.model_dump_json()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_wrong_tokens_are_refused(url: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    headers = {"Accept": "application/json, text/event-stream"}
    for token in [None, "Bearer wrong-token-0123456789", "Basic abc", f"Bearer {ACME}x"]:
        given = headers if token is None else headers | {"Authorization": token}
        response = httpx2.post(url, json=body, headers=given)
        assert response.status_code == 401 and response.headers["www-authenticate"].startswith("Bearer")
        assert "acme" not in response.text
