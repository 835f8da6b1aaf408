"""What does a run give, and show?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias

from . import _quorate
from ._errors import QuorateError
from ._models import Usage, _told
from ._panel import is_panel, panel_of, round_of
from ._record import Record, record
from ._report import Report
from ._schema import Form

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any, covariant=True)
else:
    from typing import TypeVar

    T = TypeVar("T", covariant=True)

Status: TypeAlias = Literal[
    "running", "waiting", "done", "partial", "cancelled", "refused", "abstained", "no_consensus", "failed", "interrupted"
]
Mode: TypeAlias = Literal["manual", "automatic", "autonomous_manual", "autonomous_automatic"]


@dataclass(frozen=True, repr=False)
class AnswerCitation(Report):
    """Where a statement of an answer comes from."""

    marker: str
    """What stands in the answer: ``[1]``, ``[2]`` and so on."""
    doc_id: str
    """The id of the document."""
    chunk_id: str
    """The id of the chunk."""
    title: str
    """The title of the document; empty when there is none."""
    text: str
    """The words that are cited: ``document_text[start:end]``."""
    start: int
    """Where they start in the document's text, in code points."""
    end: int
    """Where they end, in code points."""


@dataclass(frozen=True, repr=False)
class Check(Report):
    """What was found about a statement of an answer."""

    claim: str
    """The statement."""
    verdict: Literal["supported", "unsupported", "contradicted", "not_a_claim"]
    """Whether the sources bear it out."""
    evidence: AnswerCitation | None
    """The words of the sources that come nearest to it."""
    score: float
    """How near they come, 0 to 1."""


@dataclass(frozen=True, repr=False)
class Step(Report):
    """One thing that a run did."""

    kind: Literal["match", "context", "plan", "model", "tool", "check"]
    """What."""
    name: str
    """The model, or the tool; the agent of a match."""
    detail: str
    """What was done, in a line."""
    seconds: float
    """Seconds that it took; 0 where that was not measured."""
    error: str | None = None
    """The code of its failure."""


@dataclass(frozen=True, repr=False)
class Answer(Report, Generic[T]):
    """An expert's answer. To type checkers it is ``Answer[T]`` where it was asked for with ``output=T``, a class."""

    run_id: str
    """The run that it comes from."""
    mode: Mode
    """Whether the agent was given, and whether it planned by itself."""
    status: Status
    """How the run ended, or that it waits."""
    stopped_by: str | None
    """Why it ended before it was done: a limit of the budget, ``repeated_call``, ``length``, ``model_refused``,
    ``plan_denied``, ``nobody_fits``, ``not_in_sources``, ``cancelled``."""
    text: str
    """The answer."""
    output: T
    """The answer as data, where a form was asked for; else None, as where the run did not get so far."""
    citations: list[AnswerCitation]
    """The sources that the text names."""
    agent: str | None
    """The id of the agent that answered."""
    match: Record | None
    """How well that agent fits, where experts were matched: ``id``, ``name``, ``score``, ``confidence``."""
    confidence: float | None
    """Probability that the right expert answered; of the extractive one, that the sources answer."""
    grounded: float | None
    """The share of the statements that the sources bear out; None where nothing was looked up."""
    checks: list[Check]
    """What was found about each statement."""
    plan: Record | None
    """What an autonomous run set out to do, and found: ``steps``, each with ``task`` and ``finding``."""
    pending: list[Record]
    """What waits for a decision: ``id``, ``name``, ``arguments``, ``effect``; ``run_id`` and ``agent`` of a run that this one has started."""
    steps: list[Step]
    """What was done, in order."""
    usage: Usage
    """Tokens."""
    cost: float | None
    """US dollars; None where a price is unknown."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, repr=False)
class RunInfo(Report):
    """A run as lists show it."""

    run_id: str
    """Its id."""
    kind: str
    """What kind of run: ``ask`` or ``panel``."""
    title: str
    """The beginning of the question."""
    status: Status
    """How it stands; ``interrupted``: its process ended, and :meth:`Runtime.resume` goes on with it."""
    parent: str | None
    """The run that started it."""
    created: float
    """When it was begun, in seconds since 1970."""
    updated: float
    """When something was last written, in seconds since 1970."""
    entries: int
    """Entries of its journal."""


class RunEvent(Record):
    """One event of a run: ``type``, ``run_id``, ``seq``, ``time``, ``agent``, ``round``, and what belongs to its type.

    ``text``, ``reasoning`` and ``tool_input`` have a ``delta``. Exactly one of ``end`` (``result``), ``error`` (``error``, ``result``),
    ``waiting`` (``pending``) and ``cancelled`` (``result``) comes, and comes last. Those of a panel are as
    :class:`PanelEvent` says.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        type: str
        run_id: str
        seq: int
        time: float
        agent: str | None
        delta: str
        result: Answer[Any]
        error: QuorateError

    def to_dict(self) -> dict[str, Any]:
        """The members as plain dicts, lists and values; an error is its code and message."""
        return {name: _told(member) for name, member in self.items()}


class PanelEvent(RunEvent):
    """One event of a panel: ``ballot`` has what the ballot says, ``round_end`` a :class:`PanelRound` as ``result``, ``end`` and ``cancelled`` a
    :class:`PanelAnswer`."""

    __slots__ = ()

    if TYPE_CHECKING:
        result: Any


LAST = ("end", "error", "waiting", "cancelled")


def answer_of(found: dict[str, Any], wanted: Form | None) -> Answer[Any]:
    if is_panel(found):
        panel: Any = panel_of(found)
        return panel  # type: ignore[no-any-return]
    if wanted is not None and found["output"] is not None:
        found["output"] = wanted.read(found["output"])
    found["usage"] = Usage._made(found["usage"])
    found["citations"] = [AnswerCitation._made(one) for one in found["citations"]]
    found["checks"] = [
        Check._made({**one, "evidence": None if one["evidence"] is None else AnswerCitation._made(one["evidence"])})
        for one in found["checks"]
    ]
    found["steps"] = [Step._made({"error": None, **one}) for one in found["steps"]]
    for name in ("match", "plan", "pending"):
        found[name] = record(found[name])
    return Answer._made(found)


def event_of(found: dict[str, Any], wanted: Form | None) -> RunEvent:
    kind = found["type"]
    if kind == "error":
        found["error"] = _quorate.error(found["code"], found["message"])
    for name in ("result", "partial"):
        answer = found.pop(name, None)
        if answer is None:
            continue
        if kind == "round_end":
            found["result"] = round_of(answer)
            continue
        try:
            found["result"] = answer_of(answer, wanted if kind == "end" else None)
        except QuorateError as refused:
            # The answer fits the schema of its type, and the type refuses it all the same.
            found = {**found, "type": "error", "error": refused, "result": answer_of({**answer, "output": None}, None)}
    return RunEvent({name: record(value) for name, value in found.items()})
