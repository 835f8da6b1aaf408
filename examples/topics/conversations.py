"""How does an expert know what was said before, and how is it forgotten?"""

import tempfile
from typing import Any

import quorate


def say(request: dict[str, Any]) -> str:
    """A script stands for the model: it says what the person has told."""
    told = [message["content"] for message in request["messages"] if message["role"] == "user"]
    return f"You said {len(told)} things; the first was: {told[0]}"


with tempfile.TemporaryDirectory() as folder:
    runtime = quorate.Runtime(model=quorate.ScriptedModel(say), store=folder)
    talk = runtime.conversation("ward-7", user="ana")
    print(runtime.ask("I take metformin.", conversation=talk).text)
    print(runtime.ask("Is that all right?", conversation=talk).text)

    # It is on the disk: another process goes on with it.
    again = quorate.Runtime(model=quorate.ScriptedModel(say), store=folder).conversation("ward-7", user="ana")
    print("messages:", len(again.messages))

    # What is worth keeping of a person, with its source.
    runtime.memory.remember("ana", "Allergic to penicillin.", source="chart")
    runtime.memory.remember("ana", "Walks to work.")
    for fact in runtime.memory.recall("ana", "May she have penicillin?", k=1):
        print(fact.text, f"({fact.source})")

    # Forgotten is gone, from the disk too.
    print("forgotten facts:", runtime.memory.forget("ana"))
    talk.forget()
    print("messages:", len(talk.messages))
