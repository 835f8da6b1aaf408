"""How are several experts asked, and what did they come to?

>>> from quorate import Runtime, ScriptedModel
>>> runtime = Runtime(model=ScriptedModel(lambda request: '{"choice": "yes", "confidence": 0.9}'))
>>> panel = runtime.panel("Is it safe?", members=["ann", "bob"], options=["yes", "no"])
>>> panel.score.decision, panel.score.support, panel.status
('yes', 1.0, 'done')
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from . import _quorate
from ._budget import Budget, budget_options
from ._errors import InvalidInput
from ._models import Model, Usage
from ._record import Record, record
from ._report import Report

if TYPE_CHECKING:
    import pandas

    from ._answer import AnswerCitation, Status
    from ._kb import Where
    from .consensus import PanelScore

PanelType: TypeAlias = Literal["parallel", "sequential", "consensus", "debate", "socratic", "delphi"]
Role: TypeAlias = Literal["expert", "moderator", "observer"]
BallotForm: TypeAlias = Literal["choice", "ranking", "probability", "number", "ratings", "text"]
Weighting: TypeAlias = Literal["declared", "calibrated", "confidence"]
Aggregate: TypeAlias = Literal["honeybee", "particles"]


@dataclass(frozen=True)
class Member:
    """A member of a panel. Code: ``invalid_argument``."""

    id: str
    """The id of an agent of the registry. Without a registry, or with a model of its own, any name."""
    role: Role = "expert"
    """``expert`` votes; ``moderator`` leads and sums up; ``observer`` hears all and remarks on it. The last two do not vote."""
    weight: float = 1.0
    """How much its ballot counts against others; 0 or more."""
    model: Model | None = None
    """Who answers for it; None: the runtime's model, and without one sentences of the knowledge base."""

    def __post_init__(self) -> None:
        if self.model is not None and not isinstance(self.model, Model):
            raise _invalid(f"model is of type {type(self.model).__name__}; a Model is expected")
        _quorate.check_member(self._options())

    def _options(self) -> dict[str, Any]:
        return {"id": self.id, "role": self.role, "weight": self.weight}


class PanelOptions(TypedDict, total=False):
    """The options of a panel; see :meth:`quorate.Runtime.panel`."""

    type: PanelType
    members: Iterable[str | Member] | None
    size: int
    rounds: int | None
    options: Iterable[str] | None
    scale: tuple[float, float] | None
    quorum: float
    anonymous: bool | None
    judge: Model | None
    chair: str | Member | None
    weights: Weighting
    where: Where
    budget: Budget | None
    seed: int
    ballot: BallotForm | None
    aggregate: Aggregate | None
    seeds: Iterable[Mapping[str, Any]] | None
    truth: Any
    rho: float | None
    minority_threshold: float
    similarity: float
    member_seconds: float
    title: str | None
    idempotency_key: str | None


@dataclass(frozen=True, repr=False)
class PanelBallot(Report):
    """A ballot as it was given."""

    round: int
    """The round; 1 is the blind one."""
    member: str
    """Who gave it."""
    position: Any
    """What it says: a text, a number, a list of options best first, or numbers by option."""
    holds: str
    """The position by which it is counted: the option, the one ranked or rated highest, or the words of those who mean the same."""
    confidence: float
    """0 to 1."""
    reasons: list[Record]
    """Why, word for word: ``text`` and ``citations``, the markers of sources."""
    objection: str | None
    """What it says against a proposal."""
    weight: float
    """How much it counts."""
    changed: bool
    """Whether it says something else than the member's ballot before."""
    counted: bool
    """Whether it counts in the end."""


@dataclass(frozen=True, repr=False)
class PanelMinority(Report):
    """Those who hold another position than the leading one."""

    position: str
    """What they hold."""
    share: float
    """Their share of the weight."""
    ballots: list[PanelBallot]
    """Their ballots, word for word, the strongest first."""


@dataclass(frozen=True, repr=False)
class PanelRound(Report):
    """One round of a panel."""

    round: int
    """Its number; 1 is the blind one."""
    stage: str
    """``blind``, ``forward``, ``reversed``, ``proposal``, ``debate``, ``question``, ``rating`` or ``ballots``."""
    ballots: int
    """How many gave a ballot in it."""
    asked: int
    """How many were asked for one."""
    score: PanelScore | None
    """What the panel would have decided after it."""
    spread: Record | None
    """How ballots of options are spread: ``purity``, ``entropy``, ``says`` (``agreed``, ``unsure``, ``split``, ``mixed``)."""
    delphi: Record | None
    """Of a Delphi panel: median, quartiles, agreement and stability of each item, as :func:`quorate.consensus.delphi_round` finds them."""
    proposal: str | None
    """Of a consensus panel: what was proposed."""
    objections: int | None
    """Of a consensus panel: how many objected."""
    question: Record | None
    """Of a socratic panel: the ``kind`` of question, and its ``text``."""


@dataclass(frozen=True, repr=False)
class Conformity(Report):
    """How much members followed one another."""

    flips: int
    """Ballots that say something else than the member's ballot before."""
    to_majority: int
    """Of these, those that went over to what led in the round before."""
    right_to_wrong: int | None
    """Of these, those that left what is right; None where that is not known."""
    wrong_to_right: int | None
    """Those that went over to what is right; None where that is not known."""
    collapse: float | None
    """The share of the blind round's disagreement that was gone at the end; None where there was none."""
    chances: int
    """How often a ballot could have gone over to what led."""
    adoption: Record | None
    """``to_majority / chances``, with Wilson's 95 % interval: ``value``, ``low``, ``high``."""


@dataclass(frozen=True, repr=False)
class PanelAnswer(Report):
    """What a panel came to. A missed quorum and a limit of the budget are no errors: ``status`` and ``stopped_by`` say so."""

    run_id: str
    """The run that it comes from."""
    title: str
    """What lists show."""
    question: str
    """What was asked."""
    type: PanelType
    """How it was asked."""
    ballot: BallotForm
    """What members gave."""
    status: Status
    """How the panel ended: ``done``, ``partial``, ``no_consensus`` where a quorum was missed, ``cancelled``, ``failed``."""
    stopped_by: str | None
    """Which rule ended it: ``objections_met``, ``stable``, ``kinds_covered``, ``stability``, ``max_rounds``; or why it ended before:
    ``quorum_missed``, a limit of the budget, ``cancelled``. None where the number of rounds is fixed."""
    score: PanelScore | None
    """What the panel decides by the ballots that count, as :func:`quorate.consensus.score_panel` gives it; None where there is none."""
    baseline: PanelScore | None
    """The same for the first, blind round alone."""
    members: list[Record]
    """Who was asked: ``id``, ``name``, ``role``, ``chair``, ``weight`` (as given), ``counts`` (capped, 1 on average), ``model``, ``group`` (of those
    who share one), ``why``."""
    weights: Weighting
    """By which rule ballots are weighed."""
    rounds: list[PanelRound]
    """Round by round."""
    log: list[Record]
    """What was said, in order: ``round``, ``kind`` (``opening``, ``response``, ``rebuttal``, ``summary``, ``question``, ``ballot``), ``member``, ``text``,
    ``citations``, ``prompt``."""
    ballots: list[PanelBallot]
    """Each ballot that was given, in order."""
    minority: list[PanelMinority]
    """Those who hold another position than the leading one, the heaviest first, in their own words."""
    synthesis: str
    """The outcome in words, cited."""
    synthesis_by: str
    """Who wrote it: the id of the chair, or ``ballots`` where it was made of them."""
    citations: list[AnswerCitation]
    """The sources that ballots and synthesis name."""
    dropped: list[Record]
    """Whose contribution is missing in which round, and why: ``round``, ``member``, ``reason`` (``late``, ``refused``, ``abstained``,
    ``budget_exceeded``, ``cancelled``, or the code of an error), ``message``."""
    conformity: Conformity
    """How much members followed one another."""
    order: Record | None
    """Of a sequential panel: whether the order decided (a paired randomisation test)."""
    verdict: Record | None
    """Of a debate: what the judge said, in both orders."""
    claims: list[Record]
    """Of a socratic panel: what became of each claim."""
    coverage: list[Record]
    """Of a socratic panel: which kinds of question were asked and answered."""
    objections: list[Record]
    """Of a consensus panel: the objections that were not met, word for word."""
    alternative: Record | None
    """What ``aggregate`` makes of the same ballots: ``method``, ``decision``, ``shares``, ``converged``."""
    warnings: list[str]
    """What the caller should know."""
    usage: Usage
    """Tokens."""
    cost: float | None
    """US dollars; None where a price is unknown."""

    def rows(self) -> list[Record]:
        """A row for each ballot and each missing one (``dropped``), by round and in the order of the members; positions are words."""
        found: list[Record] = record(_quorate.panel_rows(self.to_dict()))
        return found

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a data frame."""
        import pandas

        names = ["round", "member", "role", "model", "position", "holds", "confidence", "weight", "changed", "counted", "reasons", "citations"]
        rows = _quorate.panel_rows(self.to_dict())
        return pandas.DataFrame({name: [row[name] for row in rows] for name in [*names, "objection", "dropped"]})

    def html(self) -> str:
        """A page that needs nothing from elsewhere: who said what, how positions moved, agreement by round, the minority, the cost."""
        return _quorate.panel_page(self.to_dict(), False)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Writes that page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.html())

    def _repr_html_(self) -> str:
        return _quorate.panel_page(self.to_dict(), True)

    def __str__(self) -> str:
        return self.synthesis


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


def _native(given: Any, what: str) -> _quorate.LanguageModel | None:
    if given is not None and not isinstance(given, Model):
        raise _invalid(f"{what} is of type {type(given).__name__}; a Model is expected")
    return None if given is None else given._native


def _member(given: Any, what: str) -> tuple[Any, Model | None]:
    """A member as the native half takes it, and its model."""
    if isinstance(given, Member):
        return given._options(), given.model
    if isinstance(given, str):
        return given, None
    raise _invalid(f"{what} is of type {type(given).__name__}; an id or a quorate.Member is expected")


class Wanted:
    """A panel as the native half takes it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        request = dict(given)
        members, judge, chair, budget = (request.pop(name) for name in ("members", "judge", "chair", "budget"))
        self.keep: list[Model | None] = [judge]
        """Whose functions may be called: they live as long."""
        models = []
        if members is not None:
            if isinstance(members, (str, bytes, Mapping, Member)) or not isinstance(members, Iterable):
                raise _invalid(f"members is of type {type(members).__name__}; a list of ids and members is expected")
            read = [_member(one, f"members[{i}]") for i, one in enumerate(members)]
            request["members"] = [one for one, _ in read]
            models = [(i, model._native) for i, (_, model) in enumerate(read) if model is not None]
            self.keep += [model for _, model in read]
        chairs: Model | None = None
        if chair is not None:
            request["chair"], chairs = _member(chair, "chair")
            self.keep.append(chairs)
        for name in ("options", "seeds", "scale"):
            if request[name] is not None and not isinstance(request[name], (str, bytes, Mapping)) and isinstance(request[name], Iterable):
                request[name] = list(request[name])
        request["budget"] = budget_options(budget)
        self.request = request
        self.models = (models, _native(judge, "judge"), None if chairs is None else chairs._native)


class GoingOn:
    """The models of a panel that goes on, as the native half takes them."""

    def __init__(self, models: Mapping[str, Model] | None, judge: Model | None) -> None:
        if models is not None and not isinstance(models, Mapping):
            raise _invalid(f"models is of type {type(models).__name__}; a dict from ids of members to models is expected")
        own = dict(models or {})
        for id, model in own.items():
            if not isinstance(id, str) or not isinstance(model, Model):
                raise _invalid(f"models[{id!r:.80}] is of type {type(model).__name__}; a Model by the id of its member is expected")
        self.keep: list[Model | None] = [judge, *own.values()]
        self.models = ([(id, model._native) for id, model in own.items()], _native(judge, "judge"))


def is_panel(found: Mapping[str, Any]) -> bool:
    """Whether an answer is that of a panel."""
    return "ballots" in found and "conformity" in found


def panel_of(found: dict[str, Any]) -> PanelAnswer:
    """What the native half gave."""
    from ._answer import AnswerCitation

    found = dict(found)
    for name in ("score", "baseline"):
        found[name] = _score(found[name])
    found["rounds"] = [round_of(one) for one in found["rounds"]]
    found["ballots"] = _ballots(found["ballots"])
    found["minority"] = [PanelMinority(**{**one, "ballots": _ballots(one["ballots"])}) for one in found["minority"]]
    found["citations"] = [AnswerCitation(**one) for one in found["citations"]]
    found["conformity"] = Conformity(**record(found["conformity"]))
    found["usage"] = Usage(**found["usage"])
    for name in ("members", "log", "dropped", "order", "verdict", "claims", "coverage", "objections", "alternative"):
        found[name] = record(found[name])
    return PanelAnswer(**found)


def round_of(found: Mapping[str, Any]) -> PanelRound:
    """A round, as answers and events have it."""
    told = {name: record(found[name]) for name in ("spread", "delphi", "question")}
    return PanelRound(**{**found, **told, "score": _score(found["score"])})


def _ballots(found: Sequence[Mapping[str, Any]]) -> list[PanelBallot]:
    return [PanelBallot(**{**one, "reasons": record(one["reasons"])}) for one in found]


def _score(found: dict[str, Any] | None) -> PanelScore | None:
    from .consensus import PanelScore

    return None if found is None else PanelScore._of(dict(found))
