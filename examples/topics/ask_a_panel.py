"""How do several experts decide together, and who differs?"""

import json
import tempfile
from pathlib import Path
from typing import Any

from quorate import Member, Runtime, ScriptedModel


def rater(first: int, then: int, reason: str) -> ScriptedModel:
    """A model that rates so, first alone and then with the others' ratings before it."""

    def rate(request: dict[str, Any]) -> str:
        alone = "Nobody has spoken yet" in request["messages"][-1]["content"]
        return json.dumps({"number": first if alone else then, "confidence": 0.8, "reasons": [{"text": reason}]})

    # Members that share a model are not independent voters: each has its own.
    return ScriptedModel(rate, id=f"scripted:{reason}")


MEMBERS = [
    Member("nephrology", model=rater(7, 7, "the kidney copes")),
    Member("diabetes", model=rater(9, 8, "it lowers glucose")),
    Member("pharmacy", model=rater(5, 7, "the dose can be halved")),
    Member("safety", model=rater(2, 2, "lactic acidosis")),
    # It sums up, and does not vote; a summary that leaves out a minority would be written from the ballots.
    Member("chair", role="moderator", model=ScriptedModel(lambda request: json.dumps({"text": "[P1] leads; [P2] warns."}))),
]

runtime = Runtime(model=ScriptedModel([]))
stream = runtime.stream.panel("How appropriate is metformin at an eGFR of 40?", type="delphi", members=MEMBERS)
for event in stream:
    if event.type == "round_end":
        item = event.result.delphi["items"][0]
        print(f"round {event.round}: median {item.median:g}, quartiles {item.q1:g} to {item.q3:g}")

panel = stream.result()
# There is none where a quorum was missed.
if panel.score and panel.baseline:
    print(f"decision: {panel.score.decision:g} ({panel.score.level}), blind: {panel.baseline.decision:g}, ended by {panel.stopped_by}")
print(f"changed: {panel.conformity.flips}, to what led: {panel.conformity.to_majority}")
for one in panel.minority:
    for ballot in one.ballots:
        print(f"minority: {ballot.member} rates {ballot.position:g}: {ballot.reasons[0].text}")

# A page of who said what, which needs nothing from elsewhere.
with tempfile.TemporaryDirectory() as folder:
    panel.report(Path(folder, "panel.html"))
    print("page:", Path(folder, "panel.html").read_text(encoding="utf-8").splitlines()[0])
