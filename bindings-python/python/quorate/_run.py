"""What does a run tell, as it goes on and afterwards?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import _quorate
from ._answer import LAST, Answer, PanelEvent, RunEvent, RunInfo, Status, T, answer_of, event_of
from ._errors import Cancelled, InvalidInput
from ._models import ModelStream
from ._panel import PanelAnswer, panel_of
from ._schema import Form, form
from ._tools import Asked

if TYPE_CHECKING:
    from ._asking import AsyncRun
    from ._runtime import Runtime

_F = TypeVar("_F")


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
        return [event_of(found, None) for found in self._runtime._native.events(self.run_id)]

    @overload
    def answer(self, *, output: type[_F]) -> Answer[_F]: ...

    @overload
    def answer(self, *, output: Any = None) -> Answer[Any]: ...

    def answer(self, *, output: Any = None) -> Answer[Any]:
        """Its answer, as far as there is one; its output is read as the type ``output``. Of a panel it is what :meth:`panel` gives.
        Codes: the one by which the run failed."""
        return answer_of(self._runtime._native.answer(self.run_id), None if output is None else form(output))

    def panel(self) -> PanelAnswer:
        """What a panel came to, as far as it has come. Codes: the one by which it failed; ``invalid_argument`` for a run that is no panel."""
        if self.info.kind != "panel":
            raise InvalidInput("invalid_argument", f"run '{self.run_id}' is no panel; read it by answer()")
        return panel_of(self._runtime._native.answer(self.run_id))

    @property
    def aio(self) -> AsyncRun:
        """The same calls for asyncio."""
        from ._asking import AsyncRun

        return AsyncRun(self)

    def __repr__(self) -> str:
        return f"Run({self.run_id!r}, {self.status})"

    def _repr_html_(self) -> str:
        return self.info._repr_html_()


class RunStream(ModelStream, Generic[T]):
    """The events of a run, as they come: an iterator, and a context manager that cancels the run when it is left before its end."""

    def __init__(self, native: _quorate.ModelFlow, wanted: Form | None, asked: Asked, runtime: Runtime) -> None:
        # The runtime has what its tools and its model are made of.
        self._asked = asked
        super().__init__(native, wanted, runtime)

    def __iter__(self) -> RunStream[T]:
        return self

    def __next__(self) -> RunEvent:  # type: ignore[override]
        return super().__next__()  # type: ignore[return-value]

    def _take(self) -> RunEvent:  # type: ignore[override]
        event = event_of(self._events.popleft(), self._form)
        if event.type in LAST:
            self._last = event  # type: ignore[assignment]
            self._asked.close()
            self._asked.settle()
        return event

    def close(self) -> None:
        """Lets go of the run, which is cancelled: no event comes any more."""
        super().close()
        self._asked.close()

    def __repr__(self) -> str:
        return f"<stream of a run, {'under way' if self._last is None else 'over'}>"

    def __del__(self) -> None:
        # Where it is forgotten, the run is cancelled, and nobody waits for its loop.
        self._asked.close(0)

    def __enter__(self) -> RunStream[T]:
        return self

    def result(self) -> Answer[T]:  # type: ignore[override]
        """Reads what is left, and gives the answer. Codes: those of :meth:`Runtime.ask`."""
        for _ in self:
            pass
        last: Any = self._last
        if last is None:
            raise Cancelled("cancelled", "the stream was closed before its end")
        if last.type == "error":
            raise last.error
        result: Answer[T] = last.result
        return result


class PanelStream(RunStream[Any]):
    """The events of a panel, as they come. See :class:`RunStream`."""

    def __iter__(self) -> PanelStream:
        return self

    def __next__(self) -> PanelEvent:  # type: ignore[override]
        return super().__next__()  # type: ignore[return-value]

    def _take(self) -> PanelEvent:  # type: ignore[override]
        return PanelEvent(super()._take())

    def __enter__(self) -> PanelStream:
        return self

    def result(self) -> PanelAnswer:  # type: ignore[override]
        """Reads what is left, and gives what the panel came to. Codes: those of :meth:`Runtime.panel`."""
        found: Any = super().result()
        return found  # type: ignore[no-any-return]
