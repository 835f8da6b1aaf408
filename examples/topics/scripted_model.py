"""How is code that asks a language model tested without one? A model that says what it is told to."""

import quorate

# Replies in their order, one for each call. `quorate.Model("openai:...")` has the same calls.
model = quorate.ScriptedModel([
    "Metformin lowers glucose.",
    {"tool_calls": [{"name": "lookup", "arguments": {"drug": "metformin"}}]},
    {"text": "At most 2,000 mg a day.", "usage": {"input": 60, "output": 9}},
])
print("answer:", model.complete("What does metformin do?").text)

# The model asks for a tool; the host runs it and says what came of it.
lookup = {
    "name": "lookup",
    "description": "The label of a drug",
    "schema": {"type": "object", "properties": {"drug": {"type": "string"}}},
}
question = {"role": "user", "content": "How much metformin is safe?"}
asked = model.complete([question], tools=[lookup])
call = asked.tool_calls[0]
print(f"wants: {call.name}({call.arguments['drug']}), because of {asked.finish}")

result = {"role": "tool", "tool_call_id": call.id, "content": "Maximum 2,000 mg a day."}
answer = model.complete([question, asked, result], tools=[lookup])
print(f"answer: {answer.text} ({answer.usage.input} tokens read, {answer.usage.output} written)")

# The script is at its end: a further call is an error.
try:
    model.complete("And now?")
except quorate.InvalidInput as error:
    print("refused:", error.code)

# A function of the request answers any number of calls.
echo = quorate.ScriptedModel(lambda request: f"You said: {request['messages'][-1]['content']}")
print(echo.complete("hello").text)
