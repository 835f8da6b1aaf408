"""What does a panel cost beside its models? Six members and three rounds, beside other frameworks, with scripted models.

Run: python benches/compare/panels.py [--panels 30] [--rounds 7]
Needs the package and requirements/agents.txt.

Everywhere six members with a model of their own answer at once from memory, three times each, and every answer of a round is known to the next.
quorate: a Delphi panel, whose ballots are validated, journalled and scored with intervals. AutoGen: a round-robin group chat of 18 messages.
agent-framework: concurrent orchestration, asked three times, the answers of a round being part of the next question. Medians of rounds, in
milliseconds a panel, each in one event loop. `wait`: quorate's panel whose models take 50 ms, beside the least that is possible (three answers
after one another). Measure on an idle machine.
"""

import argparse
import asyncio
import gc
import json
import statistics
import time

import quorate
from rows import row

MEMBERS, ROUNDS = 6, 3
QUESTION = "How well does the device do what it is for?"
REASON = "A reason of about the length that reasons have."


def measured(run, panels, rounds):
    """Medians of rounds, in milliseconds a panel."""
    run()
    times = []
    for _ in range(rounds):
        gc.collect()
        begun = time.perf_counter()
        for _ in range(panels):
            run()
        times.append((time.perf_counter() - begun) / panels * 1e3)
    return statistics.median(times)


def ours(wait=0.0):
    def say(request):
        if wait:
            time.sleep(wait)
        text = "".join(json.dumps(message) for message in request["messages"])
        # No round is like the one before, so that the panel goes on to the last one.
        number = 2 if "Nobody has spoken yet" in text else 5 if "median 2" in text else 8
        return json.dumps({"number": number, "confidence": 0.8, "reasons": [{"text": REASON}]})

    members = [quorate.Member(f"member-{i}", model=quorate.ScriptedModel(say, id=f"scripted:{i}")) for i in range(MEMBERS)]
    runtime = quorate.Runtime(model=quorate.ScriptedModel(say))

    def run():
        panel = runtime.panel(QUESTION, type="delphi", rounds=ROUNDS, members=members)
        assert (len(panel.rounds), len(panel.ballots)) == (ROUNDS, MEMBERS * ROUNDS)

    return run


def autogen():
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import MaxMessageTermination
    from autogen_agentchat.teams import RoundRobinGroupChat
    from autogen_ext.models.replay import ReplayChatCompletionClient

    clients = [ReplayChatCompletionClient([REASON] * ROUNDS) for _ in range(MEMBERS)]
    agents = [AssistantAgent(f"member_{i}", model_client=client) for i, client in enumerate(clients)]
    # The question is a message too.
    team = RoundRobinGroupChat(agents, termination_condition=MaxMessageTermination(MEMBERS * ROUNDS + 1))
    loop = asyncio.new_event_loop()

    async def once():
        result = await team.run(task=QUESTION)
        assert len(result.messages) == MEMBERS * ROUNDS + 1
        await team.reset()
        for client in clients:
            client.reset()

    return lambda: loop.run_until_complete(once())


def agent_framework():
    from agent_framework import Agent, BaseChatClient, ChatResponse, Message
    from agent_framework.orchestrations import ConcurrentBuilder

    class Scripted(BaseChatClient):
        def _inner_get_response(self, *, messages, stream, options, **kwargs):
            async def say():
                return ChatResponse(messages=[Message("assistant", [REASON])])

            return say()

    agents = [Agent(Scripted(), name=f"member-{i}") for i in range(MEMBERS)]
    loop = asyncio.new_event_loop()

    async def once():
        asked = QUESTION
        for _ in range(ROUNDS):
            found = await ConcurrentBuilder(participants=agents).build().run(asked)
            said = [message.text for output in found.get_outputs() for message in output.messages]
            assert said == [REASON] * MEMBERS, said
            asked = "\n".join([QUESTION, *said])

    return lambda: loop.run_until_complete(once())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panels", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    own = measured(ours(), given.panels, given.rounds)
    print(f"quorate: {own:.2f} ms a panel of {MEMBERS} members and {ROUNDS} rounds")
    found = {"quorate": own}
    for name, make in (("AutoGen", autogen), ("agent-framework", agent_framework)):
        found[name] = measured(make(), max(1, given.panels // 10), given.rounds)
        print(f"{name}: {found[name]:.2f} ms, {found[name] / own:.1f} times quorate's")
    found["wait"] = measured(ours(0.05), 2, 3)
    print(f"quorate, models of 50 ms: {found['wait']:.1f} ms (bound {ROUNDS * 50} ms)")
    peers = {name: found[name] for name in ("AutoGen", "agent-framework")}
    row("A panel of six members and three rounds, from Python", "ms", own, peers)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
