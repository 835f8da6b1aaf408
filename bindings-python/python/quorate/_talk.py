"""What was said before, and what is known about users?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import _quorate
from ._errors import InvalidInput
from ._given import text, text_or_none, whole
from ._models import Reply
from ._record import Record, record

if TYPE_CHECKING:
    from ._asking import AsyncConversation, AsyncMemory
    from ._runtime import Runtime


class Conversation:
    """What was said before; made by :meth:`Runtime.conversation`, and given to :meth:`Runtime.ask`."""

    def __init__(self, of: Runtime, native: _quorate.Conversation) -> None:
        # The runtime has the model that sums up.
        self._of = of
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
            raise InvalidInput("invalid_argument", f"messages are of type {type(messages).__name__}; a text or a list of messages is expected")
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

    @property
    def aio(self) -> AsyncConversation:
        """The same calls for asyncio; ``turns`` and ``messages`` are calls there."""
        from ._asking import AsyncConversation

        return AsyncConversation(self)

    def __repr__(self) -> str:
        return f"Conversation({self.id!r})"


class Memory:
    """Facts about users, with source and time. They are kept in the runtime's store, and never cross tenants."""

    def __init__(self, of: Runtime) -> None:
        self._of = of
        self._native = of._native

    @property
    def aio(self) -> AsyncMemory:
        """The same calls for asyncio."""
        from ._asking import AsyncMemory

        return AsyncMemory(self)

    def remember(self, user: str, fact: str, *, source: str | None = None) -> Record:
        """Keeps a fact: ``id``, ``text``, ``source``, ``time``. Codes: ``empty_input``, ``too_large``, ``invalid_argument``."""
        found: Record = record(self._native.remember(text(user, "user"), text(fact, "fact"), text_or_none(source, "source")))
        return found

    def recall(self, user: str, query: str, *, k: int = 5) -> list[Record]:
        """The facts about a user that a question is about, the best first."""
        found: list[Record] = record(self._native.recall(text(user, "user"), text(query, "query"), whole(k, "k")))
        return found

    def facts(self, user: str) -> list[Record]:
        """All facts about a user, the oldest first."""
        found: list[Record] = record(self._native.recall(text(user, "user"), None, 0))
        return found

    def forget(self, user: str, id: str | None = None) -> int:
        """Forgets one fact about a user, or all; they are gone from the disk too. Code: ``unknown_id``."""
        return self._native.forget(text(user, "user"), text_or_none(id, "id"))

    def __repr__(self) -> str:
        return f"{self._of!r}.memory"
