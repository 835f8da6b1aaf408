"""What may a model have done, and who is asked first? Tools that read run at once; those that write wait."""

import quorate


@quorate.tool
def lookup(code: str) -> str:
    """What a code means."""
    return {"C1725": "a catheter"}[code]


@quorate.tool(effect="write")
def order(code: str, count: int) -> str:
    """Orders an article."""
    return f"ordered {count} of {code}"


def call(name: str, **arguments: object) -> dict[str, object]:
    return {"tool_calls": [{"id": name, "name": name, "arguments": arguments}]}


# A script stands for the model: it looks the code up, orders, and says so.
model = quorate.ScriptedModel([call("lookup", code="C1725"), call("order", code="C1725", count=20), "They are on their way."])
runtime = quorate.Runtime(model=model, tools=[lookup, order])

answer = runtime.ask("Order catheters for the ward.")
for pending in answer.pending:
    print(answer.status, "for a decision about:", pending.name, pending.arguments["count"])

# Somebody decides, and may change the arguments. The run goes on from there, also after a crash; nothing runs twice.
answer = runtime.resume(answer.run_id, {"order": {"arguments": {"code": "C1725", "count": 2}}})
print(answer.text)
for step in answer.steps:
    print(" ", step.kind, step.name)

# A budget holds for all that a question starts.
model = quorate.ScriptedModel([call("lookup", code="C1725")])
answer = quorate.Runtime(model=model, tools=[lookup], budget=quorate.Budget(max_steps=1)).ask("What is C1725?")
print(answer.status, answer.stopped_by)
