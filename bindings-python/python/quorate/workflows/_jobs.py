"""What is somebody trying to get done, and which workflow does it?

>>> story = JobStory.parse("When order 1042 is four days late, I want to find where the parcel is, so I can tell the customer.")
>>> story.situation, story.expected_outcome
('order 1042 is four days late', 'tell the customer')
>>> from quorate import workflows as wf
>>> with wf.Engine() as engine:
...     draft = engine.generate(story)
>>> draft.template, draft.input, draft.unfilled
('track_order', {'order': '1042'}, [])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .. import _quorate
from .._errors import InvalidInput
from .._given import text, text_or_none
from .._record import Explanation, Record, explanation, record
from .._report import Report, plain

if TYPE_CHECKING:
    from .._store import StateStore
    from ._engine import Engine
    from ._queue_aio import AsyncStories

StoryStatus = Literal["open", "measuring", "achieved", "abandoned"]


@dataclass(frozen=True, repr=False)
class JobOutcome(Report):
    """By what a story is measured."""

    metric: str
    """What is measured, such as ``days_to_answer``; unique within the story."""
    description: str = ""
    """What it says, for people."""
    unit: str | None = None
    """In what it is counted."""
    baseline: float | None = None
    """What it was before."""
    target: float | None = None
    """What is to be reached."""
    better: Literal["higher", "lower"] | None = None
    """Which way is better; None: from the baseline to the target, and up where there is no baseline."""


@dataclass(frozen=True, repr=False, init=False)
class JobStory(Report):
    """A job to be done: a situation, what somebody wants in it, and what for.

    ``outcomes``: metrics, :class:`JobOutcome`, or dicts of its members. ``priority``: the higher goes first. ``role``: who wants it. Codes:
    ``invalid_argument``, ``too_large``, ``not_finite``, ``invalid_text``.
    """

    title: str
    """What people read. Empty: the beginning of the motivation is shown."""
    situation: str
    """When it is wanted."""
    motivation: str
    """What is wanted."""
    expected_outcome: str
    """What it is wanted for."""
    domain: str | None
    """The field that it belongs to."""
    priority: int
    """The higher goes first."""
    outcomes: list[JobOutcome]
    """By what it is measured."""
    role: str
    """Who wants it, where that is said."""
    status: StoryStatus
    """How far it has come, where it is kept."""

    _parts: ClassVar[dict[str, type[Report]]] = {"outcomes": JobOutcome}

    def __init__(
        self,
        *,
        situation: str,
        motivation: str,
        expected_outcome: str,
        title: str = "",
        domain: str | None = None,
        priority: int = 1,
        outcomes: Iterable[str | JobOutcome | Mapping[str, Any]] = (),
        role: str = "",
        status: StoryStatus = "open",
    ) -> None:
        given = {
            "title": title,
            "role": role,
            "situation": situation,
            "motivation": motivation,
            "expected_outcome": expected_outcome,
            "domain": domain,
            "priority": priority,
            "outcomes": _outcomes(outcomes),
            "status": status,
        }
        self.__dict__.update(_members(_quorate.check_story(given)))

    @staticmethod
    def parse(sentence: str) -> JobStory:
        """Reads the sentence form, in English: ``When ..., I want to ..., so I can ...``, also in other orders, and with who wants it before:
        ``As a nurse, ...``. Codes: ``story_syntax`` names every part that is missing; ``too_large``."""
        return _story(_quorate.parse_story(text(sentence, "the sentence")))


def _members(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "outcomes": [JobOutcome(**one) for one in found["outcomes"]]}


def _story(found: dict[str, Any]) -> JobStory:
    return JobStory._made(_members(found))


def _outcomes(given: Any) -> list[Any]:
    if isinstance(given, (str, bytes, Mapping, Report, type)) or not hasattr(given, "__iter__"):
        raise InvalidInput("invalid_argument", f"outcomes are of type {type(given).__name__}; a list of metrics is expected")
    return [one.to_dict() if isinstance(one, JobOutcome) else plain(one) for one in given]


def given_of(story: Any) -> dict[str, Any]:
    """The members of a story as the native half takes them. Code: ``invalid_argument``."""
    if isinstance(story, JobStory):
        return story.to_dict()
    if isinstance(story, Mapping):
        given: dict[str, Any] = plain(dict(story))
        return given
    raise InvalidInput("invalid_argument", f"the story is of type {type(story).__name__}; a JobStory is expected")


@dataclass(frozen=True, repr=False)
class Draft(Report):
    """A workflow that was made for a story. It is a text and nothing else: no run was started, and no engine knows it."""

    id: str
    """The id of the workflow."""
    workflow: str
    """The workflow as YAML, with everything in it: what :meth:`Engine.add` takes."""
    template: str
    """The template that it was made from."""
    template_version: str
    """The version of that."""
    score: float
    """Probability, 0 to 1, that the template does the job."""
    input: dict[str, Any]
    """What the story gives of the input. With what ``unfilled`` lists it is what the workflow is started with."""
    unfilled: list[Record]
    """The values of the input that the story does not give, the required first: ``path``, ``description``, ``type``, ``required``."""
    _explanation: Explanation = field(repr=False)

    def explain(self) -> Explanation:
        """Why this template, and which words gave which value: ``named``, ``bound``, ``candidates``, ``filled``, ``customized``; as a text it
        says it to people."""
        return self._explanation


def draft_of(engine: Engine, story: Any, type: Any, customization: Any) -> Draft:
    """The draft of a workflow that an engine makes."""
    if customization is None:
        customization = {}
    native, kind = engine._native, text_or_none(type, "type")
    found = _quorate.generate(native, given_of(story), kind, {"value": plain(customization)})
    said = explanation(found.pop("explanation"), found.pop("text"))
    return Draft(**{**found, "unfilled": record(found["unfilled"])}, _explanation=said)


@dataclass(frozen=True, repr=False)
class Measurement(Report):
    """What was measured once."""

    metric: str
    """What."""
    value: float
    """How much."""
    time: float
    """When, in seconds since 1970."""
    reached: bool | None
    """Whether it reaches the target of the story's outcome; None where that has none."""


@dataclass(frozen=True, repr=False)
class KeptStory(Report):
    """A story as it is kept."""

    id: str
    """By which it is named."""
    added: float
    """When it was added, in seconds since 1970."""
    story: JobStory
    """What it says, with its status as it is now."""
    measurements: list[Measurement]
    """Everything that was measured, the oldest first."""

    @property
    def status(self) -> StoryStatus:
        """How far it has come."""
        return self.story.status

    def history(self, metric: str) -> list[Measurement]:
        """The measurements of a metric, the oldest first."""
        return [one for one in self.measurements if one.metric == metric]

    def latest(self, metric: str) -> Measurement | None:
        """The newest measurement of a metric."""
        return next((one for one in reversed(self.measurements) if one.metric == metric), None)


def _kept(found: dict[str, Any]) -> KeptStory:
    measured = [Measurement(**one) for one in found["measurements"]]
    return KeptStory(found["id"], found["added"], _story(found["story"]), measured)


class Stories:
    """The stories of a store, with all that was measured. Made by :attr:`quorate.StateStore.stories`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._native = _quorate.open_stories(store._native)

    def add(self, story: JobStory | Mapping[str, Any]) -> KeptStory:
        """Keeps a story under an id of its own. It is on the disk when this returns. Codes: those of :class:`JobStory`; ``io``, ``disk_full``."""
        return _kept(self._native.add(given_of(story)))

    def get(self, id: str) -> KeptStory:
        """A story with all that was measured. Codes: ``unknown_id``, ``corrupt``, ``io``."""
        return _kept(self._native.get(text(id, "id")))

    def list(self, status: StoryStatus | None = None) -> list[KeptStory]:
        """All stories, the oldest first; those with a status. Codes: ``invalid_argument``, ``corrupt``, ``io``."""
        return [_kept(found) for found in self._native.list(text_or_none(status, "status"))]

    def outcome(self, id: str, metric: str, value: float) -> KeptStory:
        """Keeps a measurement beside the earlier ones. Codes: ``unknown_id``; ``not_found`` for a metric that is none of the story's;
        ``not_finite``, ``invalid_argument``, ``too_large``, ``io``."""
        return _kept(self._native.outcome(text(id, "id"), text(metric, "metric"), value))

    def abandon(self, id: str, abandoned: bool = True) -> KeptStory:
        """Says that nobody wants it any more, or that somebody does again. Code: ``unknown_id``."""
        return _kept(self._native.abandon(text(id, "id"), abandoned))

    def remove(self, id: str) -> None:
        """Removes a story and all that was measured; no file has a byte of them then. Code: ``unknown_id``."""
        self._native.remove(text(id, "id"))

    @property
    def aio(self) -> AsyncStories:
        """The same calls for asyncio: ``await store.stories.aio.list()``."""
        from ._queue_aio import AsyncStories

        return AsyncStories(self)

    def __repr__(self) -> str:
        return f"{self._store!r}.stories"
