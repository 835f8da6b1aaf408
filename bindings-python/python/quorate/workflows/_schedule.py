"""When are workflows started by themselves?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._record import Record, record
from .._report import Report
from ._flow import WorkflowRun

if TYPE_CHECKING:
    from ._engine import Engine

Missed: TypeAlias = Literal["skip", "once", "all"]


@dataclass(frozen=True, repr=False)
class Schedule(Report):
    """A workflow that is started at set times, as it was when it was looked at."""

    name: str
    """Its name, of which there is one."""
    cron: str
    """When: minute, hour, day of month, month, day of week."""
    timezone: str
    """By whose clocks."""
    workflow: str
    """What is started."""
    input: Any
    """With what."""
    missed: Missed
    """What becomes of times that were missed."""
    version: str | None
    """The version of the workflow; None: the newest."""
    paused: bool
    """Whether nothing is started until it is resumed."""
    next: float | None
    """When it comes due next, in seconds since 1970; None while it is paused."""
    last: float | None
    """The last due time for which a run was started."""
    started: int
    """How many runs it has started."""
    left_out: Sequence[float] | None
    """The first and the last of the due times among which some were left out when that happened last: they were missed."""
    error: Record | None
    """Why the last due time came to nothing: ``code``, ``message``."""
    _engine: Engine = field(repr=False)

    def look(self) -> Schedule:
        """As it is now. Code: ``unknown_id`` once it was removed."""
        return self._engine.scheduled(self.name)

    def next_times(self, count: int = 10) -> Sequence[float]:
        """The next times at which it comes due, in seconds since 1970, also while it is paused. Code: ``invalid_argument`` for more than 10,000."""
        return self._engine._native.schedule_times(self.name, count)

    def run(self, due: float) -> WorkflowRun | None:
        """The run that was started for a due time; None where none was, or where it was deleted."""
        found = self._engine._native.schedule_run(self.name, due)
        return None if found is None else WorkflowRun(found, self._engine)

    def pause(self) -> Schedule:
        """Starts nothing until it is resumed; times that come meanwhile are not missed. Code: ``unknown_id`` once it was removed."""
        return schedule_of(self._engine._native.schedule_word(self.name, "pause"), self._engine)

    def resume(self) -> Schedule:
        """It goes on with the next time that comes. Code: ``unknown_id`` once it was removed."""
        return schedule_of(self._engine._native.schedule_word(self.name, "resume"), self._engine)

    def remove(self) -> None:
        """Ends it. Runs that it has started go on. Code: ``unknown_id`` once it was removed."""
        self._engine._native.schedule_word(self.name, "remove")


def schedule_of(shown: dict[str, Any], of: Engine) -> Schedule:
    return Schedule(**{**shown, "error": record(shown["error"])}, _engine=of)
