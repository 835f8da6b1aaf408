"""How does an answer come word by word, and how does one stop it?"""

import quorate

model = quorate.ScriptedModel([
    {"text": "Hold metformin on the day.", "usage": {"input": 12, "output": 6}},
    "and so on " * 10_000,
])

# Nothing is sent before the first event is asked for. Exactly one of `end`, `error` and `cancelled` comes, and comes last.
text = ""
for event in model.stream("What about contrast scans?"):
    if event.type == "text":
        text += event.delta
        print("more:", event.delta.strip())
    elif event.type == "retry":
        text = text[: event.keep]  # an attempt broke off; so much of the text still holds
    elif event.type == "end":
        print(f"whole: {text} ({event.result.usage.output} tokens)")

# `cancel` may be called from anywhere. Events that have come already are still given, and the last one has what had come of the
# answer. Leaving the loop closes the connection too.
last = ""
with model.stream("And then?") as stream:
    for event in stream:
        if event.type == "text":
            stream.cancel()
        last = event.type
print("the last event:", last)
