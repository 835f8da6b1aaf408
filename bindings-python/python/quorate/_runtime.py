"""How are experts asked, and what did they do?

>>> from quorate import ScriptedModel
>>> runtime = Runtime(model=ScriptedModel(["5 mg daily."]))
>>> answer = runtime.ask("Which dose?")
>>> answer.text, answer.status, answer.mode
('5 mg daily.', 'done', 'automatic')
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias

from . import _quorate
from ._agents import AgentRegistry
from ._errors import Cancelled, InvalidInput, QuorateError
from ._kb import KnowledgeBase, Where
from ._models import Model, ModelStream, Reply, Usage, _told
from ._record import Record, record
from ._report import Report
from ._schema import Form, form
from ._tools import Asked, Tool, tools_in, waited

if TYPE_CHECKING:
    import asyncio

    from ._evaluate import Replayed
    from .aio import AsyncRuntime

Status: TypeAlias = Literal["running", "waiting", "done", "partial", "cancelled", "refused", "abstained", "failed", "interrupted"]
Mode: TypeAlias = Literal["manual", "automatic", "autonomous_manual", "autonomous_automatic"]
Approve: TypeAlias = Callable[[Record], Any] | None
Tools: TypeAlias = Iterable[Tool | Callable[..., Any]]


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
class Answer(Report):
    """An expert's answer."""

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
    output: Any
    """The answer as data, where a form was asked for."""
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
    """What waits for a decision: ``id``, ``name``, ``arguments``, ``effect``."""
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
    """What kind of run: ``ask``."""
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
    ``waiting`` (``pending``) and ``cancelled`` (``result``) comes, and comes last.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        type: str
        run_id: str
        seq: int
        time: float
        agent: str | None
        delta: str
        result: Answer
        error: QuorateError

    def to_dict(self) -> dict[str, Any]:
        """The members as plain dicts, lists and values; an error is its code and message."""
        return {name: _told(member) for name, member in self.items()}


_LAST = ("end", "error", "waiting", "cancelled")


class StateStore:
    """Where runs are kept: a folder, or None for memory, in which the newest 1,000 that ended stay.

    Several processes of a machine may share a folder. What is acknowledged is on the disk. Codes: ``corrupt``, ``format_version``,
    ``io``, ``permission_denied``.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, tenant: str | None = None) -> None:
        self._native = _quorate.open_store(path, tenant)
        self.tenant = tenant
        """On whose behalf the runtimes that are given this store ask, where they name nobody else."""


class Conversation:
    """What was said before; made by :meth:`Runtime.conversation`, and given to :meth:`Runtime.ask`."""

    def __init__(self, native: _quorate.Conversation) -> None:
        self._native = native

    @property
    def id(self) -> str:
        """Names it."""
        return self._native.id

    @property
    def turns(self) -> list[Record]:
        """The questions with their answers, the oldest first: ``id``, ``run_id``, ``time``, ``messages``."""
        found: list[Record] = record(self._native.turns())
        return found

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All that was said."""
        return [message for turn in self._native.turns() for message in turn["messages"]]

    def add(self, messages: str | Iterable[Mapping[str, Any] | Reply]) -> None:
        """Adds what was said elsewhere, as one turn. Codes: ``invalid_argument``, ``empty_input``."""
        if isinstance(messages, (bytes, Mapping)) or not isinstance(messages, Iterable):
            raise _invalid(f"messages are of type {type(messages).__name__}; a text or a list of messages is expected")
        if not isinstance(messages, str):
            messages = [one.message if isinstance(one, Reply) else one for one in messages]
        self._native.add({"messages": messages})

    def forget(self, where: str | Iterable[str] | None = None) -> int:
        """Forgets the turns with these ids, or of these runs; all for None. Returns how many there were.

        They are gone from the disk too; the journals of their runs are not.
        """
        return self._native.forget([where] if isinstance(where, str) else where)

    def export(self) -> dict[str, Any]:
        """All of it as plain values: ``id``, ``turns``."""
        return {"id": self.id, "turns": self._native.turns()}

    def __repr__(self) -> str:
        return f"Conversation({self.id!r})"


class Memory:
    """Facts about users, with source and time. They are kept in the runtime's store, and never cross tenants."""

    def __init__(self, of: Runtime) -> None:
        self._native = of._native

    def remember(self, user: str, fact: str, *, source: str | None = None) -> Record:
        """Keeps a fact: ``id``, ``text``, ``source``, ``time``. Codes: ``empty_input``, ``too_large``, ``invalid_argument``."""
        found: Record = record(self._native.remember(user, fact, source))
        return found

    def recall(self, user: str, query: str, *, k: int = 5) -> list[Record]:
        """The facts about a user that a question is about, the best first."""
        found: list[Record] = record(self._native.recall(user, query, k))
        return found

    def facts(self, user: str) -> list[Record]:
        """All facts about a user, the oldest first."""
        found: list[Record] = record(self._native.recall(user, None, 0))
        return found

    def forget(self, user: str, id: str | None = None) -> int:
        """Forgets one fact about a user, or all; they are gone from the disk too. Code: ``unknown_id``."""
        return self._native.forget(user, id)


class Run:
    """A run, as its journal tells it."""

    def __init__(self, runtime: Runtime, info: RunInfo) -> None:
        self._runtime = runtime
        self.info = info
        """What lists show of it."""

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.info.run_id

    @property
    def status(self) -> Status:
        """How it stood when it was looked up."""
        return self.info.status

    def events(self) -> list[RunEvent]:
        """What it showed, without the pieces of texts."""
        return [_event(found, None) for found in self._runtime._native.events(self.run_id)]

    def answer(self, *, output: Any = None) -> Answer:
        """Its answer, as far as there is one; its output is read as the type ``output``. Codes: the one by which the run failed."""
        return _answer(self._runtime._native.answer(self.run_id), None if output is None else form(output))

    def __repr__(self) -> str:
        return f"Run({self.run_id!r}, {self.status})"


class RunStream(ModelStream):
    """The events of a run, as they come: an iterator, and a context manager that cancels the run when it is left before its end."""

    def __next__(self) -> RunEvent:  # type: ignore[override]
        return super().__next__()  # type: ignore[return-value]

    def _take(self) -> RunEvent:  # type: ignore[override]
        event = _event(self._events.popleft(), self._form)
        if event.type in _LAST:
            self._last = event  # type: ignore[assignment]
        return event

    def result(self) -> Answer:  # type: ignore[override]
        """Reads what is left, and gives the answer. Codes: those of :meth:`Runtime.ask`."""
        for _ in self:
            pass
        last: Any = self._last
        if last is None:
            raise Cancelled("cancelled", "the stream was closed before its end")
        if last.type == "error":
            raise last.error
        result: Answer = last.result
        return result


class _Stream:
    """Calls of a runtime that give their events."""

    def __init__(self, of: Runtime) -> None:
        self._of = of

    def ask(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Conversation | Sequence[Mapping[str, Any] | Reply] | None = None,
        output: Any = None,
        tools: Tools | None = None,
        where: Where = None,
        budget: Budget | None = None,
        approve: Approve = None,
        seed: int = 0,
        idempotency_key: str | None = None,
    ) -> RunStream:
        """As :meth:`Runtime.ask`: ``for event in runtime.stream.ask("...")``."""
        given = {"agent": agent, "autonomous": autonomous, "where": where, "seed": seed, "idempotency_key": idempotency_key}
        return self._ask(question, given, conversation, output, tools, budget, approve, None)

    def _ask(
        self,
        question: str,
        given: dict[str, Any],
        conversation: Any,
        output: Any,
        tools: Tools | None,
        budget: Budget | None,
        approve: Approve,
        loop: asyncio.AbstractEventLoop | None,
        whole: bool = False,
    ) -> RunStream:
        asked, wanted, host = self._of._asked(given, conversation, output, tools, budget, approve, loop)
        return RunStream(self._of._native.flow(_text(question), asked, *host, whole), wanted)

    def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> RunStream:
        """As :meth:`Runtime.resume`, with the events from there."""
        return self._resume(run_id, decisions, output, tools, approve, None)

    def _resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None,
        output: Any,
        tools: Tools | None,
        approve: Approve,
        loop: asyncio.AbstractEventLoop | None,
        whole: bool = False,
    ) -> RunStream:
        host = self._of._host(tools, approve, loop)
        wanted = None if output is None else form(output)
        return RunStream(self._of._native.resume_flow(run_id, _object(decisions, "decisions"), *host, whole), wanted)


class Runtime:
    """Experts that answer. It can be used from many threads.

    ``registry``: the experts; None: questions are answered by nobody in particular. ``kb``: where sources are found. ``model``: None:
    sentences of the knowledge base answer. ``tools``: what the model may have done: :func:`quorate.tool`, or functions. ``store``:
    where the journals of runs are kept, a :class:`StateStore`, a folder or None for memory. ``tenant``: on whose behalf; runs of
    other tenants do not exist. ``budget``: what each run may spend. ``approve``: decides about a call that needs approval
    (``id``, ``name``, ``arguments``, ``effect``) and about plans: ``True``, ``False``, ``"approve"``, ``"deny"``, ``{"arguments": {...}}`` or
    None, which leaves it waiting; it may be a coroutine function. Without it runs wait, and autonomous ones are denied such calls.
    Code: ``invalid_argument``.
    """

    def __init__(
        self,
        *,
        registry: AgentRegistry | None = None,
        kb: KnowledgeBase | None = None,
        model: Model | None = None,
        tools: Tools = (),
        store: StateStore | str | os.PathLike[str] | None = None,
        tenant: str | None = None,
        budget: Budget | None = None,
        approve: Approve = None,
    ) -> None:
        for name, given, kind in (("registry", registry, AgentRegistry), ("kb", kb, KnowledgeBase), ("model", model, Model)):
            if given is not None and not isinstance(given, kind):
                raise _invalid(f"{name} is of type {type(given).__name__}; a {kind.__name__} is expected")
        if budget is not None and not isinstance(budget, Budget):
            raise _invalid(f"budget is of type {type(budget).__name__}; a quorate.Budget is expected")
        if store is not None and not isinstance(store, StateStore):
            store = StateStore(store)
        if store is not None and store.tenant is not None:
            if tenant is not None and tenant != store.tenant:
                raise _quorate.error("tenant_violation", f"the store is that of tenant '{store.tenant}', and the runtime's tenant is '{tenant}'")
            tenant = store.tenant
        if kb is not None and tenant is not None:
            kb = kb.tenant(tenant)
        self._tools = tools_in(tools)
        self._approve = approve
        self._model = model
        self._native = _quorate.open_runtime(
            None if registry is None else registry._native,
            None if kb is None else kb._native,
            None if model is None else model._native,
            None if store is None else store._native,
            tenant,
            (budget or Budget())._options(),
            *self._kept(),
        )

    def ask(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Conversation | Sequence[Mapping[str, Any] | Reply] | None = None,
        output: Any = None,
        tools: Tools | None = None,
        where: Where = None,
        budget: Budget | None = None,
        approve: Approve = None,
        seed: int = 0,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Asks an expert, and waits until the run is over or waits for somebody.

        ``agent``: its id; None: the one that fits best. ``autonomous``: it plans, acts and checks by itself. ``conversation``: the messages
        before. ``output``: the form of the answer, as for :meth:`Model.complete`. ``tools``, ``budget``, ``approve``: in the place of the
        runtime's. ``where``: a filter of the sources. ``idempotency_key``: asking again with it gives the run that there is.
        A limit of the budget is no error: ``status`` is ``partial``, and ``stopped_by`` says which.

        Codes: ``empty_input``, ``too_large``, ``unknown_id``, ``budget_unpriced``, ``run_conflict``, ``output_invalid``, ``unsupported``, those of
        arguments, of the model and of the search.

        >>> from quorate import ScriptedModel
        >>> Runtime(model=ScriptedModel(['{"mg": 5}'])).ask("Which dose?", output={"type": "object"}).output
        {'mg': 5}
        """
        given = {"agent": agent, "autonomous": autonomous, "where": where, "seed": seed, "idempotency_key": idempotency_key}
        asked, wanted, host = self._asked(given, conversation, output, tools, budget, approve, None)
        return _answer(self._native.ask(_text(question), asked, *host), wanted)

    def _asked(
        self,
        given: dict[str, Any],
        conversation: Any,
        output: Any,
        tools: Tools | None,
        budget: Budget | None,
        approve: Approve,
        loop: asyncio.AbstractEventLoop | None,
    ) -> tuple[dict[str, Any], Form | None, tuple[Any, Any, Any]]:
        """A question as the native half takes it, the form of its answer, and the host's part."""
        wanted = None if output is None else form(output)
        if budget is not None and not isinstance(budget, Budget):
            raise _invalid(f"budget is of type {type(budget).__name__}; a quorate.Budget is expected")
        talk = None
        if isinstance(conversation, Conversation):
            talk, conversation = conversation._native, None
        if conversation is not None:
            if isinstance(conversation, (str, bytes, Mapping)) or not isinstance(conversation, Iterable):
                raise _invalid(f"conversation is of type {type(conversation).__name__}; a list of messages is expected")
            conversation = [one.message if isinstance(one, Reply) else one for one in conversation]
        asked = {
            **given,
            "conversation": conversation,
            "output": None if wanted is None else wanted.schema,
            "budget": None if budget is None else budget._options(),
        }
        return asked, wanted, (*self._host(tools, approve, loop), talk)

    def _host(
        self, tools: Tools | None, approve: Approve, loop: asyncio.AbstractEventLoop | None
    ) -> tuple[list[_quorate.NativeTool], Any]:
        """Tools, and who decides, for one question."""
        decide = self._approve if approve is None else approve
        asked = Asked(loop)

        def approved(pending: dict[str, Any], cancel: _quorate.Cancel) -> dict[str, Any]:
            found: dict[str, Any] = asked.run(_decided, decide, pending, loop, cancel)
            return found

        own = self._tools if tools is None else tools_in(tools)
        return [one._for(asked) for one in own], None if decide is None else approved

    def _kept(self) -> tuple[list[_quorate.NativeTool], Any]:
        """The same for the native half to keep, which must not hold what may hold this runtime."""
        if self._approve is not None and not callable(self._approve):
            raise _invalid(f"approve is of type {type(self._approve).__name__}; a function is expected")
        here = weakref.ref(self)

        def approved(pending: dict[str, Any], cancel: _quorate.Cancel) -> dict[str, Any]:
            runtime = here()
            return {"decision": None} if runtime is None else _decided(runtime._approve, pending, None, cancel)

        return [one._weak() for one in self._tools], None if self._approve is None else approved

    def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> Answer:
        """Goes on with a run that waits, or whose process has ended.

        ``output``: the type that its output is read as, where one was asked for.

        ``decisions``: by the id of the call that waits, or ``"plan"``: ``"approve"``, ``"deny"``, ``{"arguments": {...}}``.
        Codes: ``unknown_id``, ``tool_arguments``, ``run_conflict`` while another goes on with it, those of :meth:`ask`.
        """
        wanted = None if output is None else form(output)
        found = self._native.resume(run_id, _object(decisions, "decisions"), *self._host(tools, approve, None))
        return _answer(found, wanted)

    def runs(self, status: Status | None = None) -> list[RunInfo]:
        """The runs of this tenant, the newest last. Code: ``invalid_argument``."""
        return [RunInfo(**found) for found in self._native.runs(status)]

    def run(self, run_id: str) -> Run:
        """A run. Code: ``unknown_id``."""
        return Run(self, RunInfo(**self._native.run(run_id)))

    def cancel(self, run_id: str) -> None:
        """Ends a run, in whatever process it goes on; one that waits too. Code: ``unknown_id``."""
        self._native.cancel(run_id)

    def delete(self, run_id: str) -> None:
        """Forgets a run that is over: its journal is gone from the disk. Codes: ``unknown_id``, ``run_conflict`` while it goes on."""
        self._native.delete(run_id)

    def prompt(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Conversation | Sequence[Mapping[str, Any] | Reply] | None = None,
        where: Where = None,
    ) -> list[dict[str, Any]]:
        """The messages that the first request to the model would have. Nothing is sent, and nothing is kept."""
        given = {"agent": agent, "autonomous": autonomous, "where": where}
        asked, _, host = self._asked(given, conversation, None, None, None, None, None)
        found: list[dict[str, Any]] = self._native.prompt(_text(question), asked, host[0], host[2])
        return found

    def replay(self, run_id: str, change: Mapping[str, Any] | None = None, *, live: bool = False) -> Replayed:
        """Asks a recorded run again with something changed, and shows what differs.

        ``change``: ``model``, ``instructions`` of the expert, ``seed``, ``budget``. Results of tools, passages, the matched expert and decisions come from the
        journal; anything else is ``replay_mismatch``, unless it is ``live``. The recorded run stays as it is. Code: ``unknown_id``.
        """
        from ._evaluate import replayed

        given = _object(change, "change")
        model, budget = given.pop("model", None), given.pop("budget", None)
        if model is not None and not isinstance(model, Model):
            raise _invalid(f"model is of type {type(model).__name__}; a Model is expected")
        if budget is not None and not isinstance(budget, Budget):
            raise _invalid(f"budget is of type {type(budget).__name__}; a quorate.Budget is expected")
        given |= {"live": live, "budget": None if budget is None else budget._options()}
        native = None if model is None else model._native
        return replayed(self._native.replay(run_id, given, native, *self._host(None, None, None)))

    def conversation(
        self,
        id: str | None = None,
        *,
        user: str | None = None,
        max_tokens: int = 4000,
        keep: Literal["window", "summary", "recall"] = "window",
    ) -> Conversation:
        """Opens the conversation with this id, or begins one; it is kept in the runtime's store.

        ``user``: facts about this user that a question is about are taken along. A question takes along what was said last, of at
        most ``max_tokens``. What lies before is left out (``window``), summed up (``summary``), or taken along where the question is about it
        (``recall``). Of one that was begun before, what it was begun with holds. Code: ``invalid_argument``.
        """
        return Conversation(self._native.conversation(id, {"user": user, "max_tokens": max_tokens, "keep": keep}))

    @property
    def memory(self) -> Memory:
        """Facts about users."""
        return Memory(self)

    @property
    def stream(self) -> _Stream:
        """The same calls with what happens as it happens: ``for event in runtime.stream.ask("...")``."""
        return _Stream(self)

    @property
    def aio(self) -> AsyncRuntime:
        """The same calls for asyncio."""
        from .aio import AsyncRuntime

        return AsyncRuntime(self)

    def __copy__(self) -> Runtime:
        # It never changes.
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError("a runtime holds models and tools, and is neither copied deeply nor pickled: share the object")


def _decided(
    decide: Any, pending: dict[str, Any], loop: asyncio.AbstractEventLoop | None, cancel: _quorate.Cancel
) -> dict[str, Any]:
    return {"decision": waited(decide(record(pending)), loop, cancel, "the function approve")}


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


def _object(given: Any, what: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _invalid(f"{what} is of type {type(given).__name__}; a dict is expected")
    return dict(given)


def _text(question: Any) -> str:
    if not isinstance(question, str):
        raise _invalid(f"the question is of type {type(question).__name__}; a string is expected")
    return question


def _answer(found: dict[str, Any], wanted: Form | None) -> Answer:
    if wanted is not None and found["output"] is not None:
        found["output"] = wanted.read(found["output"])
    found["usage"] = Usage(**found["usage"])
    found["citations"] = [AnswerCitation(**one) for one in found["citations"]]
    found["checks"] = [
        Check(**{**one, "evidence": None if one["evidence"] is None else AnswerCitation(**one["evidence"])})
        for one in found["checks"]
    ]
    found["steps"] = [Step(**one) for one in found["steps"]]
    for name in ("match", "plan", "pending"):
        found[name] = record(found[name])
    return Answer(**found)


def _event(found: dict[str, Any], wanted: Form | None) -> RunEvent:
    kind = found["type"]
    if kind == "error":
        found["error"] = _quorate.error(found["code"], found["message"])
    for name in ("result", "partial"):
        answer = found.pop(name, None)
        if answer is None:
            continue
        try:
            found["result"] = _answer(answer, wanted if kind == "end" else None)
        except QuorateError as refused:
            # The answer fits the schema of its type, and the type refuses it all the same.
            found = {**found, "type": "error", "error": refused, "result": _answer({**answer, "output": None}, None)}
    return RunEvent({name: record(value) for name, value in found.items()})
