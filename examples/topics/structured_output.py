"""How does a model answer with data instead of prose? A form that the answer must have."""

from dataclasses import dataclass
from typing import Literal

import quorate


@dataclass
class Dose:
    amount: float
    unit: Literal["mg", "g"]


# The first reply does not fit: the amount is a text. The model is told so, and asked again.
model = quorate.ScriptedModel(['{"amount": "five", "unit": "mg"}', '{"amount": 5, "unit": "mg"}'])

# A dataclass, a TypedDict, a pydantic model or a JSON Schema. Services that can guarantee a form are asked to; the answer is
# checked in any case.
reply = model.complete("Which dose?", output=Dose)
dose = reply.output
print(f"amount {dose.amount:g}, unit {dose.unit}, after {reply.attempts} attempts")

# Without repairs an answer that does not fit is an error.
model = quorate.ScriptedModel(['{"amount": 5, "unit": "ounces"}'])
try:
    model.complete("Which dose?", output=Dose, repairs=0)
except quorate.QuorateError as error:
    print("refused:", error.code)
