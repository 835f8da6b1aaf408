"""Which experts should answer a question?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _quorate
from ._errors import QuorateError
from ._quorate import Agent, Embedder, Events, Match, Panel
from ._report import Report

if TYPE_CHECKING:
    from .aio import AsyncAgentRegistry

Where = str | Mapping[str, Any] | None
_list = list  # the method of this name hides the type in the class
Definition: TypeAlias = Agent | Mapping[str, Any]


class Matches(list[Match]):
    """Matches of a question, best first."""

    def _repr_html_(self) -> str:
        from . import _html

        return _html.matches(self)


@dataclass(frozen=True, repr=False)
class AgentVersion(Report):
    """A version of an agent."""

    revision: int
    """The registry's revision that made it."""
    agent: Agent | None
    """The definition; None where the agent was removed."""


@dataclass(frozen=True, slots=True)
class _Constraints:
    k: int
    where: Any
    require: Any
    max_cost: float | None
    tenant: str | None
    abstain: bool
    min_confidence: float | None
    language: str | None
    permissions: Any
    learn: bool


def agent_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an agent's definition."""
    return _quorate.agent_schema()


def _restore(definition: dict[str, Any]) -> Agent:
    """An agent that was pickled."""
    return Agent(**definition)


class AgentRegistry:
    """Agents, found by what they can do.

    ``path``: a file, made when absent; None keeps all in memory. ``embedder``: ``"builtin"``, a model folder, a hub id or an
    :class:`Embedder`. ``catalog``: ``"healthcare"``, the path of a catalogue (YAML or JSON), or None for an empty registry; a
    file loads a catalogue once. An id is unique within its tenant. Codes: ``locked``, ``corrupt``, ``format_version``,
    ``embedder_mismatch``, ``not_found``, ``load_failed`` and the like of the catalogue, and those of the embedder.

    >>> registry = AgentRegistry(catalog=None)
    >>> agent = registry.add({"id": "kidney", "name": "Nephrologist", "summary": "Treats diseases of the kidney."})
    >>> [match.agent.id for match in registry.match("Which drugs harm the kidney?", k=1)]
    ['kidney']
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: Embedder | str | os.PathLike[str] = "builtin",
        catalog: str | os.PathLike[str] | None = "healthcare",
    ) -> None:
        self._path = None if path is None else os.fspath(path)
        self._native = _quorate.open_registry(self._path, embedder, catalog)

    @classmethod
    def _over(cls, native: _quorate.AgentRegistry, path: str | None) -> AgentRegistry:
        self = cls.__new__(cls)
        self._path, self._native = path, native
        return self

    def add(self, agent: Definition) -> Agent:
        """Adds an agent, given as an :class:`Agent` or as a dict with its fields (``id``, ``name``, ``summary`` at least).

        Codes: ``duplicate_id``, ``invalid_argument`` with every problem, ``unknown_capability``, ``tenant_violation``.
        """
        return self._native.add(agent)

    def add_all(self, agents: Iterable[Definition]) -> _list[Agent]:
        """Adds many agents at once: all or none. Codes as :meth:`add`."""
        return self._native.add_all(agents)

    def update(self, agent: Definition) -> Agent:
        """Replaces the definition of an agent; the old one stays among its versions. Codes: ``unknown_id``, and as :meth:`add`."""
        return self._native.update(agent)

    def remove(self, id: str) -> None:
        """Removes an agent and what was learnt about it. Codes: ``unknown_id``, ``tenant_violation``."""
        self._native.remove(id)

    def get(self, id: str) -> Agent:
        """The agent with this id. Codes: ``unknown_id``."""
        return self._native.get(id)

    def list(self, where: Where = None) -> _list[Agent]:
        """The agents, by id; drafts and deprecated ones too. Codes: ``filter_syntax``, ``filter_type``."""
        return self._native.list(where)

    def match(
        self,
        query: str,
        *,
        k: int = 5,
        where: Where = None,
        require: Iterable[str] | None = None,
        max_cost: float | None = None,
        tenant: str | None = None,
        abstain: bool = False,
        min_confidence: float | None = None,
        language: str | None = None,
        permissions: Iterable[str] | None = None,
        learn: bool = True,
    ) -> Matches:
        """The best agents for a question, best first.

        ``where``: a filter on the agents' fields, such as ``"latency = 'interactive' AND capabilities CONTAINS
        'regulatory.fda'"``. ``require``: capabilities that an agent must have, itself or by one below. ``max_cost``: of a call,
        in US dollars. ``tenant``: on whose behalf; agents that other tenants own are then left out. ``language``: a tag such as
        ``en``. ``permissions``: those that the caller holds. ``learn``: whether recorded outcomes take part. With ``abstain``
        the answer is empty, never a guess, when the right agent is among the ``k`` with a probability below ``min_confidence``
        (0.5). Codes: ``invalid_argument``, ``unknown_capability``, ``filter_syntax``, ``filter_type``, ``tenant_violation``.
        """
        constraints = _Constraints(
            k, where, require, max_cost, tenant, abstain, min_confidence, language, permissions, learn
        )
        return Matches(self._native.match(query, constraints))

    def select_panel(
        self,
        question: str,
        *,
        size: int = 5,
        diversity: float = 0.3,
        require: Iterable[str] | None = None,
        where: Where = None,
        max_cost: float | None = None,
        tenant: str | None = None,
        thrift: float = 0.05,
        pool: int = 32,
        language: str | None = None,
        permissions: Iterable[str] | None = None,
    ) -> Panel:
        """Agents that complement each other on a question, chosen one by one; not the top few alike.

        ``diversity``: what counts beside relevance, 0 to 1. ``thrift``: how much a low cost of calls counts, 0 to 1. ``pool``:
        how many of the most relevant agents are considered. ``require``: each member has one of the capabilities, all together
        have all. Codes: as :meth:`match`, ``not_found`` when a required capability cannot be had.
        """
        constraints = _Constraints(5, where, require, max_cost, tenant, False, None, language, permissions, True)
        return self._native.select_panel(question, size, diversity, thrift, pool, constraints)

    def record_outcome(self, agent_id: str, query: str, reward: float) -> None:
        """Records how well an agent did on a question, from 0 (useless) to 1; matches of this tenant learn from it.

        Codes: ``unknown_id``, ``invalid_argument``.
        """
        self._native.record_outcome(agent_id, query, reward)

    def import_card(self, card: Mapping[str, Any] | str) -> Agent:
        """Adds the agent that an A2A card describes (protocol 0.3 or 1.0), given as a dict or as JSON text.

        Codes: ``invalid_argument`` with every problem, ``format_version``, and as :meth:`add`.
        """
        if isinstance(card, (str, bytes)):
            import json

            from ._errors import InvalidInput

            try:
                card = json.loads(card)
            except ValueError as error:
                raise InvalidInput("invalid_argument", f"the card is not JSON: {error}") from None
        return self._native.import_card(card)

    def export_card(self, id: str) -> dict[str, Any]:
        """The A2A card of an agent, which carries the whole definition. Codes: ``unknown_id``."""
        return self._native.export_card(id)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Adds the agents of a catalogue file, replacing those that are there already: all or none. Says how many it has.

        Codes, with file and line of every problem: ``not_found``, ``load_failed``, ``invalid_argument``, ``duplicate_id``,
        ``unknown_capability``, ``unknown_id``, ``include_cycle``, ``format_version``.
        """
        return self._native.load(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all agents and the taxonomy to a catalogue file: JSON when its name ends in ``.json``, else YAML."""
        self._native.save(path)

    def versions(self, id: str) -> _list[AgentVersion]:
        """Every version of an agent, oldest first, also when it was removed. Codes: ``unknown_id``."""
        return [AgentVersion(revision, agent) for revision, agent in self._native.versions(id)]

    def subscribe(self) -> Events:
        """Changes from now on: iterate over them, or ask :meth:`Events.get` for the next with a timeout in seconds."""
        return self._native.subscribe()

    def taxonomy(self) -> dict[str, str]:
        """The capabilities that agents may name, with their titles; empty when any may be named."""
        return self._native.taxonomy()

    def tenant(self, name: str) -> AgentRegistry:
        """A handle that sees its own, shared and public agents, and can change only its own.

        Codes: ``tenant_violation`` when this handle is another tenant's already, ``invalid_argument``.
        """
        return AgentRegistry._over(self._native.tenant(name), self._path)

    @property
    def tenant_name(self) -> str | None:
        """The tenant that the handle belongs to; None for the administrator's."""
        return self._native.tenant_name

    @property
    def revision(self) -> int:
        """Grows by one with each change."""
        return self._native.revision

    @property
    def aio(self) -> AsyncAgentRegistry:
        """The same calls for asyncio: ``await registry.aio.match("...")``."""
        from .aio import AsyncAgentRegistry

        return AsyncAgentRegistry(self)

    def close(self) -> None:
        """Lets go of the file. Further calls, also on handles of tenants, fail with code ``closed``."""
        self._native.close()

    def __len__(self) -> int:
        return len(self._native)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Agent]:
        return iter(self.list())

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, str):
            return False
        try:
            self._native.get(id)
        except QuorateError as error:
            if error.code == "unknown_id":
                return False
            raise
        return True

    def __enter__(self) -> AgentRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> AgentRegistry:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aio.close()

    def __repr__(self) -> str:
        place = "in memory" if self._path is None else repr(self._path)
        try:
            return f"AgentRegistry({place}, agents={len(self)})"
        except QuorateError as error:
            return f"AgentRegistry({place}, {error.code})"

    def _repr_html_(self) -> str:
        from . import _html

        agents = self.list()
        rows = [(f"<code>{_html.text(one.id)}</code>", _html.text(one.name), _html.text(one.domain)) for one in agents[:20]]
        return _html.table(("id", "name", "domain"), rows, repr(self))
