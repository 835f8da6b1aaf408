"""How well do agents answer, how surely, and at what price?

>>> from quorate import Runtime, ScriptedModel
>>> runtime = Runtime(model=ScriptedModel(["5 mg", "10 mg"]))
>>> report = evaluate_agents(runtime, [{"id": "dose", "question": "Which dose?", "expect": {"exact": ["5 mg"]}}], repeat=2)
>>> report.metric("all").pass_rate
0.5
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _quorate
from ._answer import Answer, answer_of
from ._budget import Budget, budget_options
from ._errors import InvalidInput
from ._models import Model
from ._progress import Progress, telling
from ._record import Record, record
from ._report import Report, to_json
from ._runtime import Runtime
from ._tools import Asked

if TYPE_CHECKING:
    import asyncio

    import pandas

Tasks = str | os.PathLike[str] | Iterable[Mapping[str, Any] | str | os.PathLike[str]]


@dataclass(frozen=True)
class Judge:
    """A model that judges answers by a rubric. Code: ``invalid_argument``."""

    model: Model
    """Who judges. Its requests are part of what an evaluation may spend."""
    rubric: str = ""
    """What a passing answer is like. A task's own rubric takes its place."""
    orders: int = 2
    """1: the rubric stands before the answer; 2: before it and after it. A tie fails."""
    samples: int = 3
    """Verdicts of each order."""
    name: str = "judge"
    """The name in reports."""

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):
            raise InvalidInput("invalid_argument", f"a judge's model is of type {type(self.model).__name__}; a Model is expected")
        _quorate.check_judge(self.model._native, self._options())

    def _options(self) -> dict[str, Any]:
        return {"rubric": self.rubric, "orders": self.orders, "samples": self.samples, "name": self.name}


class AgentReport:
    """What an evaluation found."""

    def __init__(self, native: _quorate.Evaluation) -> None:
        self._native = native
        self._found = native.found()

    @property
    def metrics(self) -> list[Record]:
        """For ``all`` and each scorer: ``pass_rate`` with Wilson's ``interval``, ``interval_by_task``, ``pass_hat_k`` (all of k trials pass),
        ``pass_at_k`` (one of k does), ``passed``, ``trials``, ``tasks``, ``undecided``, ``agreement`` of a judge's orders."""
        found: list[Record] = record(self._found["metrics"])
        return found

    def metric(self, scorer: str) -> Record | None:
        """The metric of this name."""
        return next((one for one in self.metrics if one.scorer == scorer), None)

    @property
    def totals(self) -> Record:
        """``planned``, ``trials``, ``cost``, ``mean_cost``, ``usage``, ``statuses``, ``errors`` and the like."""
        found: Record = record(self._found["totals"])
        return found

    @property
    def trials(self) -> list[Record]:
        """Each trial: ``task``, ``trial``, ``seed``, ``run_id``, ``status``, ``text``, ``scores``, ``passed``, ``cost``, ``seconds``."""
        found: list[Record] = record(self._found["trials"])
        return found

    @property
    def stopped_by(self) -> str | None:
        """Why it ended early: a limit of the budget, or ``cancelled``."""
        stopped: str | None = self._found["stopped_by"]
        return stopped

    def rows(self) -> list[Record]:
        """A row for each trial and scorer."""
        found: list[Record] = record(self._native.rows())
        return found

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a data frame."""
        import pandas

        return pandas.DataFrame(self._native.rows())

    def compare(self, other: AgentReport, *, seed: int = 0) -> Record:
        """What differs: by scorer the difference of the mean pass rates with the p-value of a paired permutation test, and the tasks that
        changed. Code: ``invalid_argument`` where no task is in both."""
        found: Record = record(self._native.compare(other._native, seed))
        return found

    def report(self, path: str | os.PathLike[str]) -> None:
        """Writes a page that needs nothing from elsewhere."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._native.html())

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; :meth:`from_dict` reads it again."""
        return self._native.found()

    def to_json(self, *, indent: int | None = None) -> str:
        """All of it as JSON."""
        return to_json(self.to_dict(), indent)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> AgentReport:
        """A report that was written before. Code: ``invalid_argument``."""
        return cls(_quorate.evaluation_of(dict(found)))

    def _repr_html_(self) -> str:
        return self._native.html()

    def __repr__(self) -> str:
        lines = [f"AgentReport of {len(self.trials)} trials"]
        for one in self.metrics:
            rate = "undefined" if one.pass_rate is None else f"{one.pass_rate:.3f} [{one.interval[0]:.3f}, {one.interval[1]:.3f}]"
            lines.append(f"  {one.scorer}: {rate}")
        return "\n".join(lines)


def evaluate_agents(
    runtime: Runtime,
    tasks: Tasks,
    *,
    repeat: int = 5,
    seed: int = 0,
    budget: Budget | None = None,
    scorers: Sequence[str | Judge] = (),
    threads: int = 1,
    progress: Progress = False,
) -> AgentReport:
    """Asks each task several times, and says how well the answers are.

    ``tasks``: dicts with ``id``, ``question`` and ``expect`` (``exact``, ``regex``, ``contains``, ``not_contains``, ``cited``, ``json_path``, ``agent``,
    ``status``), or paths of YAML files of them; :func:`golden_tasks` has those that ship. ``scorers``: names of those that need no model (none
    given: all), and judges. ``budget``: what all trials and judges together may spend. ``threads``: trials at once.
    Codes: ``empty_input``, ``duplicate_id``, ``invalid_argument``, ``unknown_id``, ``budget_unpriced``, those of reading files.
    """
    how = {"repeat": repeat, "seed": seed, "threads": threads}
    return evaluated(runtime, tasks, how, budget, scorers, None, progress=progress)


def evaluated(
    runtime: Runtime,
    tasks: Tasks,
    how: dict[str, Any],
    budget: Budget | None,
    scorers: Sequence[str | Judge],
    loop: asyncio.AbstractEventLoop | None,
    *,
    progress: Progress = False,
) -> AgentReport:
    """The same, where coroutine functions among the tools run on ``loop``."""
    if not isinstance(runtime, Runtime):
        raise InvalidInput("invalid_argument", f"runtime is of type {type(runtime).__name__}; a Runtime is expected")
    if isinstance(scorers, (str, bytes, Mapping)) or not isinstance(scorers, Iterable):
        raise InvalidInput("invalid_argument", f"scorers are of type {type(scorers).__name__}; a list of names and judges is expected")
    scorers = list(scorers)
    judges = [(one.model._native, one._options()) for one in scorers if isinstance(one, Judge)]
    given = {
        **how,
        "budget": budget_options(budget),
        "scorers": [one for one in scorers if not isinstance(one, Judge)],
    }
    asked: Any = os.fspath(tasks) if isinstance(tasks, (str, os.PathLike)) else None
    if asked is None:
        if isinstance(tasks, Mapping) or not isinstance(tasks, Iterable):
            raise InvalidInput("invalid_argument", f"tasks are of type {type(tasks).__name__}; a list of tasks or a path is expected")
        asked = [os.fspath(one) if isinstance(one, (str, os.PathLike)) else one for one in tasks]
    with telling(progress, "trials") as tell, Asked(loop) as question:
        tools, approve = runtime._host(None, None, question)
        return AgentReport(runtime._native.evaluate({"tasks": asked}, given, judges, tools, approve, tell))


def golden_tasks() -> dict[str, list[dict[str, Any]]]:
    """The tasks that ship, by the id of their agent: the flagships of the healthcare catalogue, and four of customer service."""
    return _quorate.golden_tasks()


@dataclass(frozen=True, repr=False)
class Replayed(Report):
    """A recorded run that was asked again with something changed."""

    original: str
    """The recorded run."""
    before: Answer
    """Its answer."""
    answer: Answer
    """The new answer."""
    differences: list[Record]
    """What differs, step by step: ``step``, ``before``, ``after``."""
    same: int
    """How many steps are the same."""
    live: list[str]
    """What was not in the journal and was done now."""
    difference_text: str
    """The differences as text."""


def replayed(found: dict[str, Any]) -> Replayed:
    """What the native half gave."""
    answers = {name: answer_of(found[name], None) for name in ("before", "answer")}
    return Replayed(**{**found, **answers, "differences": record(found["differences"])})
