"""Which experts should answer a question?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _quorate
from ._errors import InvalidInput, QuorateError
from ._quorate import Agent, Embedder, Events, Match, Panel
from ._record import Record, record
from ._report import Report
from ._rows import Rows

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from .aio import AsyncAgentRegistry

Where = str | Mapping[str, Any] | None
_list = list  # the method of this name hides the type in the class
Definition: TypeAlias = Agent | Mapping[str, Any]


class Matches(list[Match]):
    """Matches of a question, best first: a list."""

    def to_dict(self) -> dict[str, Any]:
        """All that is known of each, under ``matches``."""
        return {"matches": [match.to_dict() for match in self]}

    def to_json(self, *, indent: int | None = None) -> str:
        """The same as JSON text."""
        import json

        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, allow_nan=False)

    def _columns(self) -> dict[str, list[Any]]:
        agents = [match.agent for match in self]
        return {
            "id": [agent.id for agent in agents],
            "name": [agent.name for agent in agents],
            "tenant": [agent.tenant for agent in agents],
            "domain": [agent.domain for agent in agents],
            "cost_per_call": [agent.cost_per_call for agent in agents],
            "score": [match.score for match in self],
            "confidence": [match.confidence for match in self],
        }

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each match: ``id``, ``name``, ``tenant``, ``domain``, ``cost_per_call``, ``score``, ``confidence``."""
        import pandas

        return pandas.DataFrame(self._columns())

    def to_polars(self) -> polars.DataFrame:
        """The same as a frame of polars."""
        import polars

        text = polars.String
        return polars.DataFrame(self._columns(), schema_overrides={"id": text, "name": text, "tenant": text, "domain": text})

    def to_arrow(self) -> pyarrow.Table:
        """The same as a table of pyarrow."""
        import pyarrow

        text, number = pyarrow.string(), pyarrow.float64()
        types = {"id": text, "name": text, "tenant": text, "domain": text}
        columns = self._columns()
        return pyarrow.table({name: pyarrow.array(column, types.get(name, number)) for name, column in columns.items()})

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


class AgentVersions(Rows[AgentVersion]):
    """Versions of an agent, oldest first: a list, and a table with the columns ``revision`` and ``agent`` (JSON text outside pandas)."""

    __slots__ = ()
    _name = "versions"
    _kinds = {"revision": "int", "agent": "any"}


class Agents(Rows[Agent]):
    """Agents by their ids: a list, and a table with a row for each."""

    __slots__ = ()
    _name = "agents"
    _kinds = {
        "id": "text", "name": "text", "summary": "text", "domain": "text", "tenant": "text", "visibility": "text",
        "status": "text", "version": "text", "model_tier": "text", "latency": "text", "cost_per_call": "float",
        "weight": "float", "available": "bool",
    }

    def _row(self, one: Agent) -> dict[str, Any]:
        return {name: getattr(one, name) for name in self._kinds}


def agent_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an agent's definition."""
    return _quorate.agent_schema()


def _restore(definition: dict[str, Any]) -> Agent:
    """An agent that was pickled."""
    return Agent(**definition)


class AgentRegistry:
    """Agents, found by what they can do.

    ``path``: a file, made when absent; None keeps all in memory. ``embedder``: ``"builtin"``, a model folder, a hub id or an
    :class:`Embedder`. ``catalog``: ``"healthcare"``, ``"service"``, the path of a catalogue (YAML or JSON), or None for an empty registry; a
    file loads a catalogue once. ``tuning``: how scores are mixed, a dict with any of ``centroid_share``, ``nearest``,
    ``description_pull``, ``lexical``, ``lexical_lift``, ``weight_step``, ``learning``, ``learning_pace``. ``policy``: how outcomes are
    learnt from, ``"lin_ucb"`` (the default) or ``"thompson"``, or a dict ``{"kind", "alpha", "seed"}``, where ``alpha`` (0.1) is how
    far it explores. An id is unique within its tenant. A process that is forked while the registry is open may go on
    to match, list and get, but change only what is in memory (``locked``). Codes: ``invalid_argument`` for an empty path, ``locked``, ``corrupt``, ``format_version``,
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
        tuning: Mapping[str, float] | None = None,
        policy: str | Mapping[str, Any] | None = None,
    ) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise InvalidInput("invalid_argument", f"path is of type {type(path).__name__}; a path or None is expected")
        self._path = None if path is None else os.fspath(path)
        self._native = _quorate.open_registry(self._path, embedder, catalog, {"tuning": tuning, "policy": policy})

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

    def list(self, where: Where = None) -> Agents:
        """The agents, by id; drafts and deprecated ones too; a table as well. Codes: ``filter_syntax``, ``filter_type``."""
        return Agents(self._native.list(where))

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
        vector: Any = None,
    ) -> Matches:
        """The best agents for a question, best first.

        Of equals the one with the lower id comes first, then the one without a tenant. ``where``: a filter on the agents' fields, such as ``"latency = 'interactive' AND capabilities CONTAINS
        'regulatory.fda'"``. ``require``: capabilities that an agent must have, itself or by one below. ``max_cost``: of a call,
        in US dollars. ``tenant``: on whose behalf; agents that other tenants own are then left out. ``language``: a language
        range (RFC 4647) such as ``en``, ``zh-Hant`` or ``*``: ``zh-Hant`` is met by ``zh-Hant-TW`` and by ``zh``, not by ``zh-Hans``.
        ``permissions``: those that the caller holds. ``learn``: whether recorded outcomes take part. With ``abstain``
        the answer is empty, never a guess, when the right agent is among the ``k`` with a probability below ``min_confidence``
        (0.5): when the confidences of those returned sum to less. ``vector``: the question's embedding by the registry's embedder, when the caller has it. Codes: ``empty_input`` for an empty question, ``invalid_argument``, ``unknown_capability``, ``filter_syntax``, ``filter_type``, ``tenant_violation``.
        """
        given = {
            "k": k, "require": require, "max_cost": max_cost, "tenant": tenant, "abstain": abstain, "min_confidence": min_confidence,
            "language": language, "permissions": permissions, "learn": learn, "vector": vector,
        }
        return Matches(self._native.match(query, where, given))

    def select_panel(
        self,
        question: str,
        *,
        size: int = 5,
        min_fit: float = 0.0,
        diversity: float = 0.3,
        require: Iterable[str] | None = None,
        where: Where = None,
        max_cost: float | None = None,
        tenant: str | None = None,
        thrift: float = 0.05,
        pool: int = 32,
        language: str | None = None,
        permissions: Iterable[str] | None = None,
        learn: bool = True,
    ) -> Panel:
        """Agents that complement each other on a question, chosen one by one; not the top few alike.

        ``min_fit``: the least fit of a member, 0 to 1; rather fewer members (``Panel.smaller`` says why) than strangers. .75 is
        a good value. ``diversity``: what counts beside relevance, 0 to 1. ``thrift``: how much a low cost of calls counts, 0 to 1. ``pool``:
        how many of the most relevant agents are considered. ``require``: each member has one of the capabilities, all together
        have all, wherever ``size`` agents can, in whatever order they are named; of more than ``size`` at most 16. Codes: as
        :meth:`match`, ``not_found`` when a required capability cannot be had, ``invalid_argument`` when ``size`` members cannot
        have them all, ``too_large``.
        """
        given = {
            "size": size, "min_fit": min_fit, "diversity": diversity, "require": require, "max_cost": max_cost, "tenant": tenant, "thrift": thrift,
            "pool": pool, "language": language, "permissions": permissions, "learn": learn,
        }
        return self._native.select_panel(question, where, given)

    def record_outcome(self, agent_id: str, query: str, reward: float) -> None:
        """Records how well an agent did on a question, from 0 (useless) to 1; matches of this tenant learn from it.

        Codes: ``unknown_id``, ``invalid_argument``, ``empty_input``.
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

    def export_card(self, id: str) -> Record:
        """The A2A card of an agent, which carries the whole definition; what an imported card said is said again. Codes: ``unknown_id``."""
        return record(self._native.export_card(id))  # type: ignore[no-any-return]

    def load(self, path: str | os.PathLike[str]) -> int:
        """Adds the agents of a catalogue file, replacing those that are there already: all or none. Says how many it has.

        The capabilities of a file that a tenant's handle loads are the tenant's own. Only regular files are read, at most 256 MiB
        with all that they include. Codes, with file and line of every problem: ``not_found``, ``too_large``, ``tenant_violation``, ``load_failed``, ``invalid_argument``, ``duplicate_id``,
        ``unknown_capability``, ``unknown_id``, ``include_cycle``, ``format_version``.
        """
        return self._native.load(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes what this handle can load again to a catalogue file: JSON when its name ends in ``.json``, else YAML.

        The administrator's handle writes all agents, capabilities and questions out of scope; a tenant's its own. A new file follows
        the umask, one that is replaced keeps its mode. Codes: ``io``, ``permission_denied``, ``load_failed`` for a device or a pipe.
        """
        self._native.save(path)

    def versions(self, id: str) -> AgentVersions:
        """Every version of an agent, oldest first, also when it was removed; of another tenant's agent those that were public.

        Codes: ``unknown_id``.
        """
        return AgentVersions(AgentVersion(revision, agent) for revision, agent in self._native.versions(id))

    def out_of_scope(self) -> _list[str]:
        """The questions that are stated to be nobody's: those for all tenants, then this handle's tenant's own."""
        return self._native.out_of_scope()

    def set_out_of_scope(self, questions: Iterable[str]) -> None:
        """States which questions are nobody's, instead of those that this handle stated before.

        A tenant's are for the tenant, the administrator's for all. A question that is like one of them finds nobody confidently.
        Codes: ``invalid_argument`` for an empty question, ``too_large`` for more than 10,000 or more than 8 MiB of them, and those of
        the embedder.
        """
        self._native.set_out_of_scope(questions)

    def calibration(self) -> Record:
        """The numbers that turn scores into confidence here; they belong to the embedder that they were fitted for."""
        return self._native.calibration()

    def calibrate(self, questions: Mapping[str, str | None] | Iterable[tuple[str, str | None]] = ()) -> Record:
        """Fits confidence to this registry and keeps it; gives :meth:`calibration`.

        It is fitted to questions with the id of the agent that answers them (None: nobody), a dict or pairs, and to the registry's
        own: the agents' examples, each asked while its agent lacks it, and the questions :meth:`out_of_scope`. A few questions change
        the numbers a little, many a lot. The administrator's handle alone can. Codes: ``empty_input`` unless there are questions in
        scope and out of scope, ``unknown_id``, ``tenant_violation``, and those of the embedder.
        """
        return self._native.calibrate(questions.items() if isinstance(questions, Mapping) else questions)

    def subscribe(self) -> Events:
        """Changes from now on: iterate over them, or ask :meth:`Events.get` for the next with a timeout in seconds.

        A tenant's handle hears of what it sees: an agent that becomes public is ``"added"``, one that becomes private ``"removed"``.
        """
        return self._native.subscribe()

    def taxonomy(self) -> Record:
        """The capabilities that agents may name, with their titles: a dict of texts, empty when any may be named."""
        return Record(self._native.taxonomy())

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
