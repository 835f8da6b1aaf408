"""Are the tools of an MCP server tools of a runtime, also with asyncio, and does no process of a server outlive its use?"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import quorate

ROOT = Path(__file__).resolve().parents[2]
SCRIPTED = ROOT / "agents" / "mcp" / "tests" / "servers" / "stdio.py"
OFFICIAL = Path(__file__).parent / "servers" / "official.py"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def scripted(log, mode="normal", **options):
    return quorate.mcp_tools([sys.executable, str(SCRIPTED), mode, str(log)], **options)


def entries(log, event):
    found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [entry for entry in found if entry["event"] == event]


def wait(look, seconds=20):
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def asks(*calls):
    """A model that makes one call after the other."""

    def say(request):
        done = sum(message["role"] == "tool" for message in request["messages"])
        if done == len(calls):
            return "end"
        name, arguments = calls[done]
        return {"tool_calls": [{"id": f"c{done}", "name": name, "arguments": arguments}]}

    return quorate.ScriptedModel(say)


def results(tools, *calls, approve=lambda call: "approve"):
    """What came of each call, as (content, error), and the sentences of warnings."""
    rt = quorate.Runtime(model=asks(*calls), tools=tools, approve=approve)
    events = list(rt.stream.ask("go"))
    came = [(event.content, event.error) for event in events if event.type == "tool_result"]
    return came, [event.message for event in events if event.type == "warning"]


def test_a_handle_and_its_tools_are_tools(log):
    with scripted(log, prefix="s_", include=["lookup", "send", "structured"]) as tools:
        assert tools.names == ["s_lookup", "s_send", "s_structured"] and len(tools) == 3 and tools
        card = tools["s_lookup"].card
        assert card["schema"] == {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
        assert (card["effect"], tools["s_send"].card["effect"]) == ("read", "write")
        for given in ([tools], [*tools], tools):
            came, _ = results(given, ("s_lookup", {"code": "C17"}), ("s_structured", {}))
            assert came == [("C17 means catheter", None), ('{"code":"C17","year":2025}', None)]
        assert "s_lookup" in repr(tools) and tools.server.startswith("python")
    assert tools.closed
    came, _ = results([tools], ("s_lookup", {"code": "C17"}))
    assert came[0][1] == "tool_failed" and "has been closed" in came[0][0]
    with pytest.raises(quorate.Conflict, match="closed"):
        tools.refresh()


def test_what_writes_waits_and_effects_say_better(log):
    with scripted(log) as tools:
        rt = quorate.Runtime(model=asks(("send", {})), tools=[tools])
        a = rt.ask("go")
        assert (a.status, a.pending[0].name) == ("waiting", "send")
        assert not entries(log, "call")
        assert rt.resume(a.run_id, {"c0": "approve"}).status == "done"
    with scripted(log, effects={"send": "read"}) as tools:
        came, _ = results([tools], ("send", {}), approve=None)
        assert came == [("done send", None)]


def test_changes_are_announced_and_refused_until_accepted(log):
    with scripted(log) as tools:
        came, warnings = results([tools], ("grow", {}), ("rug", {}), ("lookup", {"code": "C17"}))
        assert came[2][1] == "approval_required"
        assert "came: extra; went: picture" in warnings[0] and "lookup (description)" in warnings[1]
        assert tools.refused == {"lookup": "description"}
        assert "extra" in tools.names and "picture" not in tools.names
        changes = tools.refresh()
        assert changes.changed == {"lookup": "description"} and changes.added == [] and not tools.refused
        assert results([tools], ("lookup", {"code": "C17"}), ("extra", {}))[0] == [("C17 means catheter", None), ("done extra", None)]


def test_failures_have_their_codes(log):
    for wrong in ({}, {"command": ["a"], "url": "http://h"}, {"command": "python server.py"}, {"command": ["a"], "timeout": "long"},
                  {"command": ["a"], "effects": {"x": "delete"}}, {"url": "ftp://h"}, {"url": "http://h", "headers": {"a": "b\nc"}},
                  {"command": ["a"], "env": {"a": 1}}, {"command": [1]}):  # fmt: skip
        with pytest.raises(quorate.InvalidInput) as raised:
            quorate.mcp_tools(**wrong)
        assert raised.value.code == "invalid_argument", wrong
    for mode, code, said in [
        ("exit", "tool_failed", "no configuration found"), ("silent", "tool_timeout", "within 4 s"), ("garbage", "tool_timeout", "no messages")
    ]:  # fmt: skip
        with pytest.raises(quorate.Unavailable, match=said) as raised:
            scripted(log, mode, start_timeout=4 if code == "tool_timeout" else 20)
        assert raised.value.code == code
    with scripted(log, timeout=2, name="codes") as tools:
        came, _ = results([tools], ("fail", {}), ("invalid", {}), ("slow", {"seconds": 30}))
        assert [error for _, error in came] == ["tool_failed", "tool_arguments", "tool_timeout"]
        assert "'codes'" in came[0][0]
        wait(lambda: entries(log, "cancelled"))


def test_asyncio_awaits_and_cancels(log):
    async def main():
        tools = await quorate.aio.run(quorate.mcp_tools, [sys.executable, str(SCRIPTED), "normal", str(log)])
        rt = quorate.Runtime(model=asks(("slow", {"seconds": 30})), tools=[tools])
        task = asyncio.ensure_future(rt.aio.ask("go"))
        while not entries(log, "call"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not entries(log, "stopped"):
            await asyncio.sleep(0.01)
        assert (await tools.aio.refresh()).added == []
        await tools.aio.close()
        assert tools.closed
        begun = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            start = quorate.aio.run(quorate.mcp_tools, [sys.executable, str(SCRIPTED), "deaf", str(log)])
            await asyncio.wait_for(start, 0.3)
        assert time.monotonic() - begun < 5

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_processes_end_with_the_handle_and_with_the_host(log):
    tools = scripted(log, "stubborn")
    results([tools], ("spawn", {}))
    pid = entries(log, "call")[0]["pid"]
    del tools
    wait(lambda: not runs(pid))
    script = (
        "import quorate, sys\n"
        f"tools = quorate.mcp_tools([sys.executable, {str(SCRIPTED)!r}, 'stubborn', {str(log)!r}])\n"
        "rt = quorate.Runtime(model=quorate.ScriptedModel([{'tool_calls': [{'name': 'spawn', 'arguments': {}}]}, 'end']), tools=[tools])\n"
        "rt.ask('go')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    pids = [entry["pid"] for entry in entries(log, "call")]
    assert len(pids) == 2
    wait(lambda: not any(map(runs, pids)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_a_server_of_its_own(log):
    with scripted(log) as tools:
        assert results([tools], ("lookup", {"code": "C17"}))[0][0][1] is None
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = int(results([tools], ("lookup", {"code": "C17"}))[0] != [("C17 means catheter", None)])
                tools.close()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert results([tools], ("lookup", {"code": "C17"}))[0] == [("C17 means catheter", None)]
        pids = [entry["pid"] for entry in entries(log, "call")]
        assert pids[0] == pids[2] != pids[1]


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_the_interpreter_ends_while_a_call_is_under_way(log):
    script = (
        "import quorate, sys, threading, time\n"
        f"tools = quorate.mcp_tools([sys.executable, {str(SCRIPTED)!r}, 'stubborn', {str(log)!r}])\n"
        "reply = {'tool_calls': [{'name': 'slow', 'arguments': {'seconds': 60}}]}\n"
        "rt = quorate.Runtime(model=quorate.ScriptedModel([reply, 'end']), tools=[tools])\n"
        "threading.Thread(target=rt.ask, args=('go',), daemon=True).start()\n"
        f"while '\"call\"' not in open({str(log)!r}).read(): time.sleep(0.01)\n"
    )
    begun = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True)
    assert ended.returncode == 0 and not ended.stderr, ended.stderr
    assert time.monotonic() - begun < 15
    [call] = entries(log, "call")
    wait(lambda: not runs(call["pid"]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pool_that_forks_uses_servers_of_its_own(log):
    multiprocessing = pytest.importorskip("multiprocessing")
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no fork")
    with scripted(log) as tools:
        assert results([tools], ("lookup", {"code": "C17"}))[0][0][1] is None
        global POOLED
        POOLED = tools
        try:
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(pooled, range(4)) == [("C17 means catheter", None)] * 4
                pool.close()
                pool.join()
        finally:
            POOLED = None
        here = entries(log, "call")[0]["pid"]
        others = {entry["pid"] for entry in entries(log, "call")} - {here}
        assert runs(here) and others
        wait(lambda: not any(map(runs, others)))
        assert results([tools], ("lookup", {"code": "C17"}))[0] == [("C17 means catheter", None)]


POOLED = None


def pooled(_):
    return results([POOLED], ("lookup", {"code": "C17"}))[0][0]


def test_runtimes_share_a_server_and_threads_a_handle(log):
    from concurrent.futures import ThreadPoolExecutor

    with scripted(log, timeout=20) as tools:
        runtimes = [quorate.Runtime(model=asks(("slow", {"seconds": 0.3})), tools=[tools], tenant=name) for name in ("a", "b")]
        begun = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda i: runtimes[i % 2].ask("go").status, range(16)))
        assert answers == ["done"] * 16 and time.monotonic() - begun < 10
        assert len({entry["pid"] for entry in entries(log, "call")}) == 1


def test_budgets_and_limits_reach_the_server(log):
    with scripted(log) as tools:
        rt = quorate.Runtime(model=asks(("slow", {"seconds": 30})), tools=[tools])
        begun = time.monotonic()
        a = rt.ask("go", budget=quorate.Budget(max_seconds=2))
        assert time.monotonic() - begun < 8 and a.stopped_by == "max_seconds"
        wait(lambda: entries(log, "stopped"))


def test_async_with_and_paths(log):
    async def main():
        async with scripted(log) as tools:
            assert "lookup" in tools.names
        assert tools.closed

    asyncio.run(main())
    with quorate.mcp_tools((Path(sys.executable), SCRIPTED, "normal", log), cwd=log.parent) as tools:
        assert "lookup" in tools.names


def test_keys_show_nowhere(log):
    with scripted(log, env={"API_KEY": "abcdefgh"}, timeout=2) as tools:
        came, _ = results([tools], ("invalid", {}))
        assert "the key is [key]" in came[0][0]
        assert "abcdefgh" not in repr(tools) + repr(tools.aio) + repr([*tools]) + str(vars(tools))


def official(tools):
    came, _ = results([tools], ("lookup", {"code": "C17"}), ("codes", {}), ("years", {}), ("broken", {}), ("send", {"to": "ann"}))
    assert [content for content, error in came if error is None] == ["C17 of 2025 means catheter", '{"C17":2,"C18":1}', "[2024,2025]", "sent to ann"]
    assert came[3][1] == "tool_failed" and "no such code" in came[3][0]
    results([tools], ("grow", {}))
    wait(lambda: "fresh" in tools.names)
    assert results([tools], ("fresh", {}))[0] == [("new", None)]


def test_the_official_sdk_over_stdio():
    pytest.importorskip("mcp.server")
    with quorate.mcp_tools([sys.executable, str(OFFICIAL), "stdio"], start_timeout=60) as tools:
        official(tools)


def test_the_official_sdk_over_http():
    pytest.importorskip("mcp.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [sys.executable, str(OFFICIAL), "http", str(port)]
    server = subprocess.Popen(start)

    def reached():
        try:
            return quorate.mcp_tools(url=f"http://127.0.0.1:{port}/mcp")
        except quorate.Unavailable:
            return None

    try:
        with wait(reached, 60) as tools:
            official(tools)
            # Another process at the same place knows nothing of the session.
            server.kill()
            server.wait()
            server = subprocess.Popen(start)
            wait(lambda: (other := reached()) and (other.close() or True), 60)
            for name, given, said in [("send", {"to": "ann"}, "sent to ann"), ("lookup", {"code": "C17"}, "C17 of 2025 means catheter")]:
                assert results([tools], (name, given))[0] == [(said, None)]
            assert "fresh" not in tools.names
    finally:
        server.kill()
        server.wait()
