"""How well do agents answer, how surely, and at what price?

>>> from quorate import Runtime, ScriptedModel
>>> runtime = Runtime(model=ScriptedModel(["5 mg", "10 mg"]))
>>> report = evaluate_agents(runtime, [{"id": "dose", "question": "Which dose?", "expect": {"exact": ["5 mg"]}}], repeat=2)
>>> report.metric("all").pass_rate
0.5
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _quorate
from ._answer import Answer, answer_of
from ._budget import Budget, budget_options
from ._errors import InvalidInput
from ._models import Model
from ._progress import Progress, telling
from ._record import Record, record
from ._report import Report, plain, to_json
from ._runtime import Runtime
from ._tools import Asked

if TYPE_CHECKING:
    import asyncio

    import pandas

Tasks = str | os.PathLike[str] | Iterable[Mapping[str, Any] | str | os.PathLike[str]]

# What a function says about an answer: whether it passes, and why; None: it cannot say.
Verdict: TypeAlias = bool | Mapping[str, Any] | None
ScorerFunction: TypeAlias = Callable[[Answer[Any], dict[str, Any]], Verdict | Awaitable[Verdict]]


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


@dataclass(frozen=True)
class Scorer:
    """A function that looks at answers, with a name for reports. A function that has a name of its own needs none of this.

    Code: ``invalid_argument``.
    """

    name: str
    """The name in reports, which no other scorer of an evaluation has."""
    score: ScorerFunction
    """Called with the answer and the task: True, False, None where it cannot say, or ``{"passed": ..., "detail": ...}``. It may be a
    coroutine function. What it raises leaves the trial undecided, with the reason in its ``detail``."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidInput("invalid_argument", f"a scorer's name is of type {type(self.name).__name__}; a text is expected")
        if not self.name.strip():
            raise InvalidInput("invalid_argument", "the name of a scorer is empty")
        if not callable(self.score):
            raise InvalidInput("invalid_argument", f"the scorer '{self.name:.80}' is of type {type(self.score).__name__}; a function is expected")


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
        """``planned``, ``trials``, ``cost``, ``mean_cost`` of a trial, ``cost_per_task``, ``cost_per_pass`` (of all trials for each that passes),
        ``failed_cost`` (of those that do not pass), ``usage``, ``statuses``, ``errors`` and the like."""
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

    def summary(self) -> str:
        """Some lines: how many trials pass by each scorer, what they cost and those that do not pass, times, and how runs ended."""
        return self._native.summary()

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
    scorers: Sequence[str | Judge | Scorer | ScorerFunction] = (),
    threads: int = 1,
    scorer_seconds: float = 120.0,
    progress: Progress = False,
) -> AgentReport:
    """Asks each task several times, and says how well the answers are.

    ``tasks``: dicts with ``id``, ``question`` and ``expect`` (``exact``, ``regex``, ``contains``, ``not_contains``, ``cited``, ``json_path``, ``agent``,
    ``status``), or paths of YAML files of them; :func:`golden_tasks` has those that ship. ``scorers``: names of those that need no model (none
    given: all), judges, and functions ``score(answer, task)``, whose name is that of the scorer, as of :class:`Scorer`; they may be coroutine
    functions. ``budget``: what all trials and judges together may spend. ``threads``: trials at once.
    ``scorer_seconds``: how long a function among the scorers may take for one answer; then it is not waited for, and the trial is undecided.
    Codes: ``empty_input``, ``duplicate_id``, ``invalid_argument``, ``unknown_id``, ``budget_unpriced``, those of reading files.
    """
    how = {"repeat": repeat, "seed": seed, "threads": threads, "scorer_seconds": scorer_seconds}
    return evaluated(runtime, tasks, how, budget, scorers, None, progress=progress)


def evaluated(
    runtime: Runtime,
    tasks: Tasks,
    how: dict[str, Any],
    budget: Budget | None,
    scorers: Sequence[str | Judge | Scorer | ScorerFunction],
    loop: asyncio.AbstractEventLoop | None,
    *,
    progress: Progress = False,
) -> AgentReport:
    """The same, where coroutine functions among the tools and scorers run on ``loop``."""
    if not isinstance(runtime, Runtime):
        raise InvalidInput("invalid_argument", f"runtime is of type {type(runtime).__name__}; a Runtime is expected")
    if isinstance(scorers, (str, bytes, Mapping)) or not isinstance(scorers, Iterable):
        raise InvalidInput("invalid_argument", f"scorers are of type {type(scorers).__name__}; a list of names, judges and functions is expected")
    scorers = list(scorers)
    judges = [(one.model._native, one._options()) for one in scorers if isinstance(one, Judge)]
    own = [_scorer(one, i) for i, one in enumerate(scorers) if isinstance(one, Scorer) or callable(one)]
    named = [one for one in scorers if not isinstance(one, (Judge, Scorer)) and not callable(one)]
    given = {**how, "budget": budget_options(budget), "scorers": named}
    asked: Any = os.fspath(tasks) if isinstance(tasks, (str, os.PathLike)) else None
    if asked is None:
        if isinstance(tasks, Mapping) or not isinstance(tasks, Iterable):
            raise InvalidInput("invalid_argument", f"tasks are of type {type(tasks).__name__}; a list of tasks or a path is expected")
        asked = [os.fspath(one) if isinstance(one, (str, os.PathLike)) else one for one in tasks]
    with telling(progress, "trials") as tell, Asked(loop) as question:
        tools, approve = runtime._host(None, None, question)
        functions = [(one.name, functools.partial(_scored, one, question)) for one in own]
        native = runtime._native.evaluate(
            {"tasks": asked}, given, judges, functions, tools, approve, tell, question.cancel, question
        )
        return AgentReport(native)


def _scorer(given: Any, i: int) -> Scorer:
    """A function with its name."""
    if isinstance(given, Scorer):
        return given
    name = getattr(given, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise InvalidInput("invalid_argument", f"scorers[{i}] has no name of its own: give Scorer(name, function)")
    return Scorer(name, given)


def _scored(
    scorer: Scorer, asked: Asked, answer: dict[str, Any], task: dict[str, Any], cancel: _quorate.Cancel
) -> dict[str, Any]:
    """Calls a scorer on a thread of quorate; what can be awaited is."""
    read: Answer[Any] = answer_of(answer, None)
    said = plain(asked.run(lambda: scorer.score(read, task), cancel, f"the scorer '{scorer.name}'"))
    if isinstance(said, Mapping):
        return {"verdict": dict(said)}
    if said is None or isinstance(said, (bool, str, int)) or (isinstance(said, float) and math.isfinite(said)):
        return {"verdict": said}
    expected = 'True, False, None or {"passed": ..., "detail": ...} is expected'
    raise InvalidInput("invalid_argument", f"what a scorer gave is {said!r:.80}; {expected}")


def load_tasks(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The tasks of a file, YAML or JSON. Every problem is named with its line.

    Codes: ``not_found``, ``load_failed``, ``invalid_argument``, ``duplicate_id``, ``empty_input``, ``format_version``, ``too_large``.
    """
    return _quorate.load_tasks(path)


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
