"""What may a run spend, with all that it starts?"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from . import _quorate
from ._errors import InvalidInput


@dataclass(frozen=True)
class Budget:
    """What a run may spend, with all that it starts. None is no limit. Codes: ``invalid_argument``, ``not_finite``."""

    max_cost: float | None = None
    """US dollars."""
    max_tokens: int | None = None
    """Tokens that models read and write."""
    max_seconds: float | None = None
    """Seconds; time in which a run waits for a decision does not count."""
    max_steps: int | None = 20
    """Requests to models."""
    max_tool_calls: int | None = None
    """Calls of tools."""
    unpriced: Literal["refuse", "allow"] = "refuse"
    """What a budget of money does where the price of a model is unknown."""

    def __post_init__(self) -> None:
        _quorate.check_budget(self._options())

    def _options(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


def budget_options(given: Any) -> dict[str, Any] | None:
    """A budget as the native half takes it, where one is given. Code: ``invalid_argument``."""
    if given is None:
        return None
    if not isinstance(given, Budget):
        raise InvalidInput("invalid_argument", f"budget is of type {type(given).__name__}; a quorate.Budget is expected")
    return given._options()
