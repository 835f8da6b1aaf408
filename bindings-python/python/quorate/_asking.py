"""How are models and experts asked with asyncio?"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import _evaluate, _listen
from ._answer import Answer, PanelEvent, RunEvent, T
from ._await import Face, run_on, running_loop, twin_of
from ._budget import Budget
from ._errors import InvalidInput
from ._models import Model, ModelEvent, ModelStream, Reply, Tool
from ._panel import PanelAnswer, PanelOptions
from ._run import PanelStream, Run, RunStream
from ._runtime import Approve, Runtime, Talk, Tools
from ._talk import Conversation, Memory

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._kb import Where
    from ._progress import Progress
    from ._record import Record
    from ._runtime import Asking, Resuming

_F = TypeVar("_F")


class AsyncModel(Face[Model]):
    """The calls of :class:`quorate.Model`, awaited."""

    complete = twin_of(Model.complete, "ask")
    count_tokens = twin_of(Model.count_tokens)

    def stream(
        self,
        messages: str | Iterable[Mapping[str, Any] | Reply],
        *,
        tools: Iterable[Tool] | None = None,
        tool_choice: str | None = None,
        output: Any = None,
        repairs: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        cache: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> AsyncModelStream:
        """Asks, and gives the answer piece by piece: ``async for event in model.aio.stream(messages)``.

        As :meth:`quorate.Model.stream`. When the task is cancelled the connection closes.
        """
        return AsyncModelStream(
            self._of.stream(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                output=output,
                repairs=repairs,
                max_tokens=max_tokens,
                temperature=temperature,
                stop=stop,
                seed=seed,
                cache=cache,
                extra=extra,
            )
        )


class AsyncModelStream:
    """The events of one answer, as they come: an asynchronous iterator and context manager. See :class:`quorate.ModelStream`."""

    def __init__(self, of: ModelStream) -> None:
        self._of = of
        self._heard: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._woken = ExitStack()

    def __aiter__(self) -> AsyncModelStream:
        return self

    async def __anext__(self) -> ModelEvent:
        if not self._of._events:
            try:
                await self._more()
            except asyncio.CancelledError:
                await self.aclose()
                raise
            if not self._of._events:
                await self.aclose()
                raise StopAsyncIteration
        return self._of._take()

    async def _more(self) -> None:
        """Waits until there are events, or none will come any more."""
        loop = running_loop()
        if self._heard is None or self._heard[0] is not loop:
            # An event belongs to one loop, and a stream may be read on in another.
            self._deafen()
            self._heard = (loop, self._woken.enter_context(_listen.woken(self._of._native)))
        heard = self._heard
        while True:
            heard[1].clear()
            events = self._of._native.take()
            if events is not None:
                self._of._events.extend(events)
                return
            if self._heard is not heard:
                raise InvalidInput("invalid_argument", "the stream is read in another event loop; read it in one at a time")
            await heard[1].wait()

    def _deafen(self) -> None:
        """Listens no more, and wakes who waits for the next event."""
        self._woken.close()
        heard, self._heard = self._heard, None
        if heard is not None:
            try:
                heard[0].call_soon_threadsafe(heard[1].set)
            except RuntimeError:
                # The loop is closed: nobody waits.
                pass

    async def result(self) -> Reply:
        """Reads what is left, and gives the whole answer. Codes: those of :meth:`quorate.Model.complete`, ``cancelled``."""
        async for _ in self:
            pass
        return self._of.result()

    def cancel(self) -> None:
        """Cancels the answer; the last event says so and has what had come."""
        self._of.cancel()

    async def aclose(self) -> None:
        """Lets go of the answer: no event comes any more."""
        self._of.close()
        self._deafen()

    async def __aenter__(self) -> AsyncModelStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncRunStream(AsyncModelStream, Generic[T]):
    """The events of a run, as they come: an asynchronous iterator and context manager. See :class:`quorate.RunStream`."""

    _of: RunStream[T]

    def __init__(self, of: RunStream[T]) -> None:
        super().__init__(of)

    def __aiter__(self) -> AsyncRunStream[T]:
        return self

    async def __anext__(self) -> RunEvent:  # type: ignore[override]
        return await super().__anext__()  # type: ignore[return-value]

    async def __aenter__(self) -> AsyncRunStream[T]:
        return self

    async def result(self) -> Answer[T]:  # type: ignore[override]
        """Reads what is left, and gives the answer. Codes: those of :meth:`quorate.Runtime.ask`."""
        async for _ in self:
            pass
        return self._of.result()


class AsyncPanelStream(AsyncRunStream[Any]):
    """The events of a panel, as they come. See :class:`quorate.PanelStream`."""

    def __aiter__(self) -> AsyncPanelStream:
        return self

    async def __anext__(self) -> PanelEvent:  # type: ignore[override]
        return await super().__anext__()  # type: ignore[return-value]

    async def __aenter__(self) -> AsyncPanelStream:
        return self

    async def result(self) -> PanelAnswer:  # type: ignore[override]
        """Reads what is left, and gives what the panel came to. Codes: those of :meth:`quorate.Runtime.panel`."""
        found: Any = await super().result()
        return found  # type: ignore[no-any-return]


class _RuntimeStream(Face[Runtime]):
    """Calls of a runtime that give their events, for asyncio. Coroutine functions among the tools run on the loop."""

    @overload
    def ask(self, question: str, *, output: type[_F], **given: Unpack[Asking]) -> AsyncRunStream[_F]: ...

    @overload
    def ask(self, question: str, *, output: Any = None, **given: Unpack[Asking]) -> AsyncRunStream[Any]: ...

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
    ) -> AsyncRunStream[Any]:
        """As :meth:`quorate.Runtime.ask`: ``async for event in runtime.aio.stream.ask("...")``."""
        given = {"agent": agent, "autonomous": autonomous, "where": where, "seed": seed, "idempotency_key": idempotency_key}
        loop = running_loop()
        return AsyncRunStream(self._of.stream._ask(question, given, conversation, output, tools, budget, approve, loop))

    @overload
    def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: type[_F], **given: Unpack[Resuming]
    ) -> AsyncRunStream[_F]: ...

    @overload
    def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: Any = None, **given: Unpack[Resuming]
    ) -> AsyncRunStream[Any]: ...

    def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> AsyncRunStream[Any]:
        """As :meth:`quorate.Runtime.resume`, with the events from there."""
        return AsyncRunStream(self._of.stream._resume(run_id, decisions, output, tools, approve, running_loop()))

    def panel(self, question: str, **given: Unpack[PanelOptions]) -> AsyncPanelStream:
        """As :meth:`quorate.Runtime.panel`: ``async for event in runtime.aio.stream.panel("...", type="delphi")``."""
        running_loop()
        return AsyncPanelStream(self._of.stream._panel(question, given))

    def resume_panel(
        self, run_id: str, *, models: Mapping[str, Model] | None = None, judge: Model | None = None
    ) -> AsyncPanelStream:
        """As :meth:`quorate.Runtime.resume_panel`, with the events from there."""
        running_loop()
        return AsyncPanelStream(self._of.stream._resume_panel(run_id, models, judge))


class AsyncRun(Face[Run]):
    """The calls of :class:`quorate.Run`, awaited."""

    events = twin_of(Run.events)
    panel = twin_of(Run.panel)

    @overload
    async def answer(self, *, output: type[_F]) -> Answer[_F]: ...

    @overload
    async def answer(self, *, output: Any = None) -> Answer[Any]: ...

    async def answer(self, *, output: Any = None) -> Answer[Any]:
        """As :meth:`quorate.Run.answer`."""
        return await run_on("read", self._of.answer, (), {"output": output})


class AsyncConversation(Face[Conversation]):
    """The calls of :class:`quorate.Conversation`, awaited."""

    add = twin_of(Conversation.add, "write")
    forget = twin_of(Conversation.forget, "write")
    export = twin_of(Conversation.export)

    async def turns(self) -> list[Record]:
        """As :attr:`quorate.Conversation.turns`."""
        return await run_on("read", lambda: self._of.turns, (), {})

    async def messages(self) -> list[dict[str, Any]]:
        """As :attr:`quorate.Conversation.messages`."""
        return await run_on("read", lambda: self._of.messages, (), {})


class AsyncMemory(Face[Memory]):
    """The calls of :class:`quorate.Memory`, awaited."""

    remember = twin_of(Memory.remember, "write")
    forget = twin_of(Memory.forget, "write")
    recall = twin_of(Memory.recall)
    facts = twin_of(Memory.facts)


class AsyncRuntime(Face[Runtime]):
    """The calls of :class:`quorate.Runtime`, awaited. Coroutine functions among the tools run on the loop."""

    runs = twin_of(Runtime.runs)
    panels = twin_of(Runtime.panels)
    run = twin_of(Runtime.run)
    cancel = twin_of(Runtime.cancel)
    delete = twin_of(Runtime.delete, "write")
    prompt = twin_of(Runtime.prompt)
    conversation = twin_of(Runtime.conversation, "write")

    @property
    def memory(self) -> AsyncMemory:
        """Facts about users."""
        return AsyncMemory(self._of.memory)

    @property
    def stream(self) -> _RuntimeStream:
        """The same calls with what happens as it happens."""
        return _RuntimeStream(self._of)

    @overload
    async def ask(self, question: str, *, output: type[_F], **given: Unpack[Asking]) -> Answer[_F]: ...

    @overload
    async def ask(self, question: str, *, output: Any = None, **given: Unpack[Asking]) -> Answer[Any]: ...

    async def ask(
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
        """As :meth:`quorate.Runtime.ask`. When the task is cancelled the run is too."""
        given = {"agent": agent, "autonomous": autonomous, "where": where, "seed": seed, "idempotency_key": idempotency_key}
        loop = running_loop()
        stream = self._of.stream._ask(question, given, conversation, output, tools, budget, approve, loop, whole=True)
        return await AsyncRunStream(stream).result()

    @overload
    async def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: type[_F], **given: Unpack[Resuming]
    ) -> Answer[_F]: ...

    @overload
    async def resume(
        self, run_id: str, decisions: Mapping[str, Any] | None = None, *, output: Any = None, **given: Unpack[Resuming]
    ) -> Answer[Any]: ...

    async def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> Answer[Any]:
        """As :meth:`quorate.Runtime.resume`. When the task is cancelled the run is too."""
        loop = running_loop()
        stream = self._of.stream._resume(run_id, decisions, output, tools, approve, loop, whole=True)
        return await AsyncRunStream(stream).result()

    async def panel(self, question: str, **given: Unpack[PanelOptions]) -> PanelAnswer:
        """As :meth:`quorate.Runtime.panel`. When the task is cancelled the panel is too."""
        running_loop()
        return await AsyncPanelStream(self._of.stream._panel(question, given, whole=True)).result()

    async def resume_panel(
        self, run_id: str, *, models: Mapping[str, Model] | None = None, judge: Model | None = None
    ) -> PanelAnswer:
        """As :meth:`quorate.Runtime.resume_panel`. When the task is cancelled the panel is too."""
        running_loop()
        return await AsyncPanelStream(self._of.stream._resume_panel(run_id, models, judge, whole=True)).result()

    async def replay(
        self, run_id: str, change: Mapping[str, Any] | None = None, *, live: bool = False
    ) -> _evaluate.Replayed:
        """As :meth:`quorate.Runtime.replay`."""
        return await run_on("ask", self._of._replay, (run_id, change, live, running_loop()), {})


# What help and editors show of the same call.
AsyncRuntime.panel.__signature__ = inspect.signature(Runtime.panel).replace(return_annotation="PanelAnswer")  # type: ignore[attr-defined]
_RuntimeStream.panel.__signature__ = inspect.signature(Runtime.panel).replace(return_annotation="AsyncPanelStream")  # type: ignore[attr-defined]


async def evaluate_agents(
    runtime: Runtime,
    tasks: _evaluate.Tasks,
    *,
    repeat: int = 5,
    seed: int = 0,
    budget: Budget | None = None,
    scorers: Sequence[str | _evaluate.Judge | _evaluate.Scorer | _evaluate.ScorerFunction] = (),
    threads: int = 1,
    scorer_seconds: float = 120.0,
    progress: Progress = False,
) -> _evaluate.AgentReport:
    """:func:`quorate.evaluate_agents`, awaited. Coroutine functions among the tools and scorers run on the loop, as does ``progress``."""
    how = {"repeat": repeat, "seed": seed, "threads": threads, "scorer_seconds": scorer_seconds}
    given = (runtime, tasks, how, budget, scorers, running_loop())
    return await run_on("ask", _evaluate.evaluated, given, {"progress": progress})
