"""What does a run cost above its model? Two model calls and one tool, beside other frameworks, with the same scripted model.

Run: python benches/compare/runs.py [--runs 300] [--rounds 7]
Needs the package and requirements/agents.txt.

Each framework has a model that answers at once from memory: first a call of the tool `lookup`, then a text. `run`: the median time of a run in
microseconds, synchronous where the framework is, and else in one event loop. Measure on an idle machine: what runs beside slows the peers more. `disk`: the same for quorate with its journal in a folder, with the waits for the disk in a
run. `many`: 1,000 runs at once whose model takes 50 ms, in seconds, beside the least that is possible (two answers after one another); `memory`:
what this process grew by while they waited, per run.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import tempfile
import time

import quorate
from rows import row


def measured(run, runs, rounds):
    """Medians of rounds, in microseconds a run."""
    times = []
    for _ in range(rounds):
        gc.collect()
        begun = time.perf_counter()
        for _ in range(runs):
            run()
        times.append((time.perf_counter() - begun) / runs * 1e6)
    return statistics.median(times)


def ours(store=None):
    @quorate.tool
    def lookup(code: str) -> str:
        """What a code means."""
        return "a catheter"

    def say(request):
        if request["messages"][-1]["role"] == "tool":
            return "It is a catheter."
        return {"tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"code": "C1725"}}]}

    runtime = quorate.Runtime(model=quorate.ScriptedModel(say), tools=[lookup], store=store)

    def run():
        assert runtime.ask("What is C1725?").text == "It is a catheter."

    return run


def pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    def say(messages, info):
        if len(messages) > 1:
            return ModelResponse(parts=[TextPart("It is a catheter.")])
        return ModelResponse(parts=[ToolCallPart("lookup", {"code": "C1725"})])

    agent = Agent(FunctionModel(say))

    @agent.tool_plain
    def lookup(code: str) -> str:
        """What a code means."""
        return "a catheter"

    # One loop for all runs, as for the others: `run_sync` asks for one each time.
    loop = asyncio.new_event_loop()

    def run():
        assert loop.run_until_complete(agent.run("What is C1725?")).output == "It is a catheter."

    return run


def openai_agents():
    from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    set_tracing_disabled(True)

    class Scripted(Model):
        async def get_response(self, system_instructions, input, *args, **kwargs):
            asked = not isinstance(input, str) and any(item.get("type") == "function_call_output" for item in input)
            if asked:
                text = ResponseOutputText(text="It is a catheter.", type="output_text", annotations=[])
                item = ResponseOutputMessage(id="m", content=[text], role="assistant", status="completed", type="message")
            else:
                item = ResponseFunctionToolCall(arguments='{"code": "C1725"}', call_id="c1", name="lookup", type="function_call")
            return ModelResponse(output=[item], usage=Usage(), response_id=None)

        def stream_response(self, *args, **kwargs):
            raise NotImplementedError

    @function_tool
    def lookup(code: str) -> str:
        """What a code means."""
        return "a catheter"

    agent = Agent(name="a", model=Scripted(), tools=[lookup])
    loop = asyncio.new_event_loop()

    def run():
        assert loop.run_until_complete(Runner.run(agent, "What is C1725?")).final_output == "It is a catheter."

    return run


def langchain():
    from langchain.agents import create_agent
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.tools import tool

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self):
            return "scripted"

        def bind_tools(self, tools, **kwargs):
            return self

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            if messages[-1].type == "tool":
                said = AIMessage("It is a catheter.")
            else:
                said = AIMessage("", tool_calls=[{"name": "lookup", "args": {"code": "C1725"}, "id": "c1"}])
            return ChatResult(generations=[ChatGeneration(message=said)])

    @tool
    def lookup(code: str) -> str:
        """What a code means."""
        return "a catheter"

    agent = create_agent(Scripted(), [lookup])

    def run():
        found = agent.invoke({"messages": [("user", "What is C1725?")]})
        assert found["messages"][-1].content == "It is a catheter."

    return run


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def many(at_once):
    """Runs at once that wait for their model twice: seconds, and bytes for each while they wait."""

    async def say(request):
        await asyncio.sleep(0.05)
        if request["messages"][-1]["role"] == "tool":
            return "It is a catheter."
        return {"tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"code": "C1725"}}]}

    def quick(request):
        time.sleep(0.05)
        if request["messages"][-1]["role"] == "tool":
            return "It is a catheter."
        return {"tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"code": "C1725"}}]}

    @quorate.tool
    def lookup(code: str) -> str:
        """What a code means."""
        return "a catheter"

    model = quorate.ScriptedModel(quick, resilience=quorate.Resilience(max_concurrent=at_once))
    runtime = quorate.Runtime(model=model, tools=[lookup])

    async def main():
        await asyncio.gather(*[runtime.aio.ask("go") for _ in range(10)])
        before = resident()
        begun = time.perf_counter()
        asked = [asyncio.ensure_future(runtime.aio.ask("What is C1725?")) for _ in range(at_once)]
        await asyncio.sleep(0.04)
        grown = resident() - before
        answers = await asyncio.gather(*asked)
        assert all(answer.text == "It is a catheter." for answer in answers)
        return time.perf_counter() - begun, grown / at_once

    return asyncio.run(main())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=1000)
    given = parser.parse_args()
    own = measured(ours(), given.runs, given.rounds)
    print(f"quorate: {own:.0f} us a run of two model calls and one tool")
    found = {"quorate": own}
    for name, make in (("pydantic-ai", pydantic_ai), ("OpenAI Agents", openai_agents), ("LangChain", langchain)):
        found[name] = measured(make(), max(1, given.runs // 10), given.rounds)
        print(f"{name}: {found[name]:.0f} us, {found[name] / own:.1f} times quorate's")
    with tempfile.TemporaryDirectory() as folder:
        found["disk"] = measured(ours(folder), max(1, given.runs // 30), 3)
        print(f"quorate, journal on disk: {found['disk']:.0f} us")
    took, bytes_each = many(given.at_once)
    found |= {"many": took, "bytes": bytes_each}
    print(f"{given.at_once} runs at once, two answers of 50 ms: {took:.2f} s (bound .10 s), {bytes_each / 1024:.1f} KiB each")
    row("A run of two model calls and one tool, from Python", "us", own, {name: found[name] for name in ("pydantic-ai", "OpenAI Agents", "LangChain")})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
