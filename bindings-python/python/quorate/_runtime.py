"""How are experts asked?

>>> from quorate import ScriptedModel
>>> runtime = Runtime(model=ScriptedModel(["5 mg daily."]))
>>> answer = runtime.ask("Which dose?")
>>> answer.text, answer.status, answer.mode
('5 mg daily.', 'done', 'automatic')
"""

from __future__ import annotations

import inspect
import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias, TypedDict, TypeVar, overload

from . import _quorate
from ._agents import AgentRegistry
from ._answer import Answer, RunInfo, Status, answer_of
from ._budget import Budget, budget_options
from ._errors import InvalidInput
from ._given import text, text_or_none
from ._kb import KnowledgeBase, Where
from ._models import Model, Reply
from ._panel import (
    Aggregate,
    BallotForm,
    GoingOn,
    Member,
    PanelAnswer,
    PanelOptions,
    PanelType,
    Wanted,
    Weighting,
    panel_of,
)
from ._record import Record, record
from ._run import PanelStream, Run, RunStream
from ._schema import Form, check_of, form
from ._store import StateStore
from ._talk import Conversation, Memory
from ._tools import Asked, Tool, tools_in

if TYPE_CHECKING:
    import asyncio

    from typing_extensions import Unpack

    from ._asking import AsyncRuntime
    from ._evaluate import Replayed

Approve: TypeAlias = Callable[[Record], Any] | None
Tools: TypeAlias = Iterable[Tool | Callable[..., Any]]
Talk: TypeAlias = Conversation | Sequence[Mapping[str, Any] | Reply] | None

_F = TypeVar("_F")


class Asking(TypedDict, total=False):
    """The options of a question but for the form of its answer."""

    agent: str | None
    autonomous: bool
    conversation: Talk
    tools: Tools | None
    where: Where
    budget: Budget | None
    approve: Approve
    seed: int
    idempotency_key: str | None


class Resuming(TypedDict, total=False):
    """The options of a run that goes on but for the form of its answer."""

    tools: Tools | None
    approve: Approve


class _Stream:
    """Calls of a runtime that give their events."""

    def __init__(self, of: Runtime) -> None:
        self._of = of

    @overload
    def ask(self, question: str, *, output: type[_F], **given: Unpack[Asking]) -> RunStream[_F]: ...

    @overload
    def ask(self, question: str, *, output: Any = None, **given: Unpack[Asking]) -> RunStream[Any]: ...

    def ask(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Talk = None,
        output: Any = None,
        tools: Tools | None = None,
        where: Where = None,
        budget: Budget | None = None,
        approve: Approve = None,
        seed: int = 0,
        idempotency_key: str | None = None,
    ) -> RunStream[Any]:
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
    ) -> RunStream[Any]:
        asked, (request, talk), wanted, host = self._of._asked(given, conversation, output, tools, budget, approve, loop)
        native = self._of._native.flow(text(question, "the question"), request, *host, talk, asked.cancel, check_of(wanted), asked, whole)
        return RunStream(native, wanted, asked, self._of)

    @overload
    def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: type[_F], **given: Unpack[Resuming]
    ) -> RunStream[_F]: ...

    @overload
    def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: Any = None, **given: Unpack[Resuming]
    ) -> RunStream[Any]: ...

    def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> RunStream[Any]:
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
    ) -> RunStream[Any]:
        asked = Asked(loop)
        host = self._of._host(tools, approve, asked)
        wanted = None if output is None else form(output)
        native = self._of._native.resume_flow(text(run_id, "run_id"), _object(decisions, "decisions"), *host, asked.cancel, check_of(wanted), asked, whole)
        return RunStream(native, wanted, asked, self._of)

    def panel(self, question: str, **given: Unpack[PanelOptions]) -> PanelStream:
        """As :meth:`Runtime.panel`: ``for event in runtime.stream.panel("...", type="delphi")``."""
        return self._panel(question, given)

    def _panel(self, question: str, given: Mapping[str, Any], whole: bool = False) -> PanelStream:
        wanted, asked = wanted_of(given), Asked(None)
        asked.keep = wanted.keep
        text(question, "the question")
        native = _quorate.panel_flow(self._of._native, question, wanted.request, wanted.models, asked.cancel, whole)
        return PanelStream(native, None, asked, self._of)

    def resume_panel(
        self, run_id: str, *, models: Mapping[str, Model] | None = None, judge: Model | None = None
    ) -> PanelStream:
        """As :meth:`Runtime.resume_panel`, with the events from there."""
        return self._resume_panel(run_id, models, judge)

    def _resume_panel(
        self, run_id: str, models: Mapping[str, Model] | None, judge: Model | None, whole: bool = False
    ) -> PanelStream:
        given, asked = GoingOn(models, judge), Asked(None)
        asked.keep = given.keep
        native = _quorate.resume_panel_flow(self._of._native, text(run_id, "run_id"), given.models, asked.cancel, whole)
        return PanelStream(native, None, asked, self._of)


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
        text_or_none(tenant, "tenant")
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
        self._shown = {"registry": registry, "kb": kb, "model": model, "store": store, "tenant": tenant}
        self._native = _quorate.open_runtime(
            None if registry is None else registry._native,
            None if kb is None else kb._native,
            None if model is None else model._native,
            None if store is None else store._native,
            tenant,
            budget_options(budget) or Budget()._options(),
            *self._kept(),
        )

    @overload
    def ask(self, question: str, *, output: type[_F], **given: Unpack[Asking]) -> Answer[_F]: ...

    @overload
    def ask(self, question: str, *, output: Any = None, **given: Unpack[Asking]) -> Answer[Any]: ...

    def ask(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Talk = None,
        output: Any = None,
        tools: Tools | None = None,
        where: Where = None,
        budget: Budget | None = None,
        approve: Approve = None,
        seed: int = 0,
        idempotency_key: str | None = None,
    ) -> Answer[Any]:
        """Asks an expert, and waits until the run is over or waits for somebody.

        ``agent``: its id; None: the one that fits best. ``autonomous``: it plans, acts and checks by itself. ``conversation``: the messages
        before. ``output``: the form of the answer, as for :meth:`Model.complete`. ``tools``, ``budget``, ``approve``: in the place of the
        runtime's. ``where``: a filter of the sources. ``idempotency_key``: asking the same again with it gives the run
        that there is; another question is ``run_conflict``.
        A limit of the budget is no error: ``status`` is ``partial``, and ``stopped_by`` says which.

        Codes: ``empty_input``, ``too_large``, ``unknown_id``, ``budget_unpriced``, ``run_conflict``, ``output_invalid``, ``unsupported``, those of
        arguments, of the model and of the search.

        >>> from quorate import ScriptedModel
        >>> Runtime(model=ScriptedModel(['{"mg": 5}'])).ask("Which dose?", output={"type": "object"}).output
        {'mg': 5}
        """
        given = {"agent": agent, "autonomous": autonomous, "where": where, "seed": seed, "idempotency_key": idempotency_key}
        asked, (request, talk), wanted, host = self._asked(given, conversation, output, tools, budget, approve, None)
        with asked:
            found = self._native.ask(text(question, "the question"), request, *host, talk, asked.cancel, check_of(wanted), asked)
        return answer_of(found, wanted)

    def _asked(
        self,
        given: dict[str, Any],
        conversation: Any,
        output: Any,
        tools: Tools | None,
        budget: Budget | None,
        approve: Approve,
        loop: asyncio.AbstractEventLoop | None,
    ) -> tuple[Asked, tuple[dict[str, Any], _quorate.Conversation | None], Form | None, tuple[Any, Any]]:
        """A question as the native half takes it, the form of its answer, and the host's part."""
        wanted = None if output is None else form(output)
        talk = None
        if isinstance(conversation, Conversation):
            talk, conversation = conversation._native, None
        if conversation is not None:
            if isinstance(conversation, (str, bytes, Mapping)) or not isinstance(conversation, Iterable):
                raise _invalid(f"conversation is of type {type(conversation).__name__}; a list of messages is expected")
            conversation = [one.message if isinstance(one, Reply) else one for one in conversation]
        request = {
            **given,
            "conversation": conversation,
            "output": None if wanted is None else wanted.schema,
            "budget": budget_options(budget),
        }
        asked = Asked(loop)
        return asked, (request, talk), wanted, self._host(tools, approve, asked)

    def _host(self, tools: Tools | None, approve: Approve, asked: Asked) -> tuple[list[_quorate.NativeTool], Any]:
        """Tools, and who decides, for one question."""
        decide = self._approve if approve is None else _function(approve)

        def approved(pending: dict[str, Any], cancel: _quorate.Cancel) -> dict[str, Any]:
            return _decided(decide, pending, asked, cancel)

        own = asked.tools = self._tools if tools is None else tools_in(tools)
        return [one._for(asked) for one in own], None if decide is None else approved

    def _kept(self) -> tuple[list[_quorate.NativeTool], Any]:
        """The same for the native half to keep, which must not hold what may hold this runtime."""
        _function(self._approve)
        here = weakref.ref(self)

        def approved(pending: dict[str, Any], cancel: _quorate.Cancel) -> dict[str, Any]:
            runtime = here()
            if runtime is None:
                return {"decision": None}
            with Asked(None) as asked:
                return _decided(runtime._approve, pending, asked, cancel)

        return [one._native for one in self._tools], None if self._approve is None else approved

    @overload
    def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: type[_F], **given: Unpack[Resuming]
    ) -> Answer[_F]: ...

    @overload
    def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: Any = None, **given: Unpack[Resuming]
    ) -> Answer[Any]: ...

    def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> Answer[Any]:
        """Goes on with a run that waits, or whose process has ended.

        ``output``: the type that its output is read as, where one was asked for.

        ``decisions``: by the id of the call that waits, or ``"plan"``: ``"approve"``, ``"deny"``, ``{"arguments": {...}}``. A panel goes on too, as
        :meth:`resume_panel` goes on with it, which also takes the models of its members, and gives its :class:`PanelAnswer`.
        Codes: ``unknown_id``, ``tool_arguments``, ``run_conflict`` while another goes on with it, those of :meth:`ask`.
        """
        wanted = None if output is None else form(output)
        with Asked(None) as asked:
            host = self._host(tools, approve, asked)
            found = self._native.resume(text(run_id, "run_id"), _object(decisions, "decisions"), *host, asked.cancel, check_of(wanted), asked)
        return answer_of(found, wanted)

    def panel(
        self,
        question: str,
        *,
        type: PanelType = "parallel",
        members: Iterable[str | Member] | None = None,
        size: int = 5,
        rounds: int | None = None,
        options: Iterable[str] | None = None,
        scale: tuple[float, float] | None = None,
        quorum: float = 0.6,
        anonymous: bool | None = None,
        judge: Model | None = None,
        chair: str | Member | None = None,
        weights: Weighting = "declared",
        where: Where = None,
        budget: Budget | None = None,
        seed: int = 0,
        ballot: BallotForm | None = None,
        aggregate: Aggregate | None = None,
        seeds: Iterable[Mapping[str, Any]] | None = None,
        truth: Any = None,
        rho: float | None = None,
        minority_threshold: float = 0.0,
        similarity: float = 0.8,
        member_seconds: float = 120,
        title: str | None = None,
        idempotency_key: str | None = None,
    ) -> PanelAnswer:
        """Asks several experts, and waits until the panel is over. A blind first round is always held; ``baseline`` is its score.

        ``type``: ``parallel`` (independent ballots), ``sequential`` (each sees earlier reasons, in both orders), ``consensus`` (proposal and
        objections), ``debate`` (sides and a judge), ``socratic`` (six kinds of question), ``delphi`` (anonymous ratings in rounds).
        ``members``: ids or :class:`quorate.Member`; None: the ``size`` experts that the registry's ``select_panel`` finds. ``rounds``: at most,
        the blind one counted. ``options``: the answers to choose from; ``scale``: lowest and highest number; without either members answer
        in words. ``ballot``: what members give, where that does not follow from these. ``quorum``: the share of voters whose ballots each
        round needs; where they are missing ``status`` is ``no_consensus``. ``anonymous``: None is yes. ``judge``: of a debate, of another
        family than the members' models. ``chair``: who leads and sums up, and cannot change the score.

        ``weights``: ``declared`` (the members' own), ``calibrated`` (by recorded outcomes) or ``confidence``; all are settled before anybody has
        heard anybody, and capped. ``seeds``: ``{"question", "answer"}`` with known numbers, by which members are weighed instead (Cooke).
        ``aggregate``: another decision beside the score, ``honeybee`` or ``particles``. ``truth``: what is right, where that is known; no
        member sees it. ``rho``: how alike ballots of members are that share a model (None: estimated). ``minority_threshold``: a synthesis
        names each minority of at least this share. ``similarity``: from which cosine on positions in words may mean the same.
        ``member_seconds``: after so long an answer is late. ``where``, ``budget``, ``idempotency_key`` as for :meth:`ask`; the default of 20 steps is 20 for
        each member. ``seed`` decides orders, sides and labels. ``title``: what lists show.

        Codes: ``empty_input``, ``too_large``, ``duplicate_id``, ``unknown_id`` for a member that does not exist, ``not_found`` where no expert fits,
        ``budget_unpriced``, ``run_conflict``, those of arguments and of the search.

        >>> from quorate import ScriptedModel
        >>> yes = ScriptedModel(lambda request: '{"choice": "yes"}')
        >>> Runtime(model=yes).panel("Is it?", members=["ann", "bob", "eve"], options=["yes", "no"]).score.level
        'unanimous'
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "question")}
        wanted = Wanted(given)
        with Asked(None) as asked:
            found = _quorate.ask_panel(self._native, text(question, "the question"), wanted.request, wanted.models, asked.cancel)
        return panel_of(found)

    def resume_panel(
        self, run_id: str, *, models: Mapping[str, Model] | None = None, judge: Model | None = None
    ) -> PanelAnswer:
        """Goes on with a panel whose process has ended: no ballot that was given is asked for again.

        ``models``: by the ids of members, those that are not the runtime's. ``judge``: of a debate, where it is not the runtime's model.
        Codes: ``unknown_id``, ``invalid_argument`` where a model is missing or the run is no panel, ``run_conflict`` while another goes on with
        it, those of :meth:`panel`.
        """
        given = GoingOn(models, judge)
        with Asked(None) as asked:
            found = _quorate.resume_panel(self._native, text(run_id, "run_id"), given.models, asked.cancel)
        return panel_of(found)

    def panels(self) -> list[Record]:
        """The panels of this tenant as sessions, the newest last: ``run_id``, ``title``, ``query``, ``type``, ``status`` (``created``, ``in_progress``,
        ``completed``, ``failed``, or ``waiting`` for :meth:`resume_panel`), ``members``."""
        found: list[Record] = record(_quorate.panel_sessions(self._native))
        return found

    def runs(self, status: Status | None = None) -> list[RunInfo]:
        """The runs of this tenant, the newest last. Code: ``invalid_argument``."""
        return [RunInfo(**found) for found in self._native.runs(text_or_none(status, "status"))]

    def run(self, run_id: str) -> Run:
        """A run. Code: ``unknown_id``."""
        return Run(self, RunInfo(**self._native.run(text(run_id, "run_id"))))

    def cancel(self, run_id: str) -> None:
        """Ends a run, in whatever process it goes on; one that waits too. Code: ``unknown_id``."""
        self._native.cancel(text(run_id, "run_id"))

    def delete(self, run_id: str) -> None:
        """Forgets a run that is over: its journal is gone from the disk. Codes: ``unknown_id``, ``run_conflict`` while it goes on."""
        self._native.delete(text(run_id, "run_id"))

    def prompt(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Talk = None,
        where: Where = None,
    ) -> list[dict[str, Any]]:
        """The messages that the first request to the model would have. Nothing is sent, and nothing is kept."""
        given = {"agent": agent, "autonomous": autonomous, "where": where}
        _, (request, talk), _, host = self._asked(given, conversation, None, None, None, None, None)
        found: list[dict[str, Any]] = self._native.prompt(text(question, "the question"), request, host[0], talk)
        return found

    def replay(self, run_id: str, change: Mapping[str, Any] | None = None, *, live: bool = False) -> Replayed:
        """Asks a recorded run again with something changed, and shows what differs.

        ``change``: ``model``, ``instructions`` of the expert, ``seed``, ``budget``. Results of tools, passages, the matched expert and decisions come from the
        journal; anything else is ``replay_mismatch``, unless it is ``live``. The recorded run stays as it is. Code: ``unknown_id``.
        """
        return self._replay(run_id, change, live, None)

    def _replay(
        self, run_id: str, change: Mapping[str, Any] | None, live: bool, loop: asyncio.AbstractEventLoop | None
    ) -> Replayed:
        from ._evaluate import replayed

        given = _object(change, "change")
        model, budget = given.pop("model", None), given.pop("budget", None)
        if model is not None and not isinstance(model, Model):
            raise _invalid(f"model is of type {type(model).__name__}; a Model is expected")
        given |= {"live": live, "budget": budget_options(budget)}
        native = None if model is None else model._native
        with Asked(loop) as asked:
            found = self._native.replay(text(run_id, "run_id"), given, native, *self._host(None, None, asked), asked)
        return replayed(found)

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
        return Conversation(self, self._native.conversation(text_or_none(id, "id"), {"user": user, "max_tokens": max_tokens, "keep": keep}))

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
        from ._asking import AsyncRuntime

        return AsyncRuntime(self)

    def __repr__(self) -> str:
        parts = [f"{name}={one!r}" for name, one in self._shown.items() if one is not None]
        parts += [f"tools={[one.name for one in self._tools]}"] if self._tools else []
        return f"Runtime({', '.join(parts)})"

    def __copy__(self) -> Runtime:
        # It never changes.
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError("a runtime holds models and tools, and is neither copied deeply nor pickled: share the object")


def wanted_of(given: Mapping[str, Any]) -> Wanted:
    """A panel of which only some options are given."""
    defaults = Runtime.panel.__kwdefaults__ or {}
    unknown = next((name for name in given if name not in defaults), None)
    if unknown is not None:
        raise TypeError(f"panel() got an unexpected keyword argument '{unknown}'")
    return Wanted({**defaults, **given})


def _decided(decide: Any, pending: dict[str, Any], asked: Asked, cancel: _quorate.Cancel) -> dict[str, Any]:
    return {"decision": asked.run(lambda: decide(record(pending)), cancel, "the function approve")}


def _function(approve: Any) -> Any:
    if approve is not None and not callable(approve):
        raise _invalid(f"approve is of type {type(approve).__name__}; a function is expected")
    return approve


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("invalid_argument", message)


def _object(given: Any, what: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _invalid(f"{what} is of type {type(given).__name__}; a dict is expected")
    return dict(given)


# What help and editors show of the same call.
_Stream.panel.__signature__ = inspect.signature(Runtime.panel).replace(return_annotation="PanelStream")  # type: ignore[attr-defined]
