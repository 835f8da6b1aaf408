"""What does a panel decide, how firmly, and who differs?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .. import _quorate
from .._report import Report
from .agreement import KendallW


@dataclass(frozen=True, repr=False)
class DelphiStability(Report):
    """How an item's ratings moved since the previous round."""

    change: float
    """Half the summed absolute difference of the shares of each rating: 0 same, 1 nothing in common."""
    median_shift: float
    """Median now less median then."""
    iqr_shift: float
    """Interquartile range now less then."""
    stable: bool
    """Whether ``change`` is below the limit."""


@dataclass(frozen=True, repr=False)
class DelphiItem(Report):
    """One item of a Delphi round."""

    n: int
    """Experts who rated the item."""
    median: float
    """Median rating."""
    q1: float
    """First quartile."""
    q3: float
    """Third quartile."""
    iqr: float
    """``q3 - q1``."""
    ipr: float
    """Interpercentile range P70 - P30, on the scale 1 to 9."""
    ipras: float
    """Interpercentile range adjusted for symmetry, on the scale 1 to 9."""
    disagreement: bool
    """Whether ``ipr > ipras``."""
    appropriateness: str
    """RAND/UCLA: ``appropriate``, ``uncertain`` or ``inappropriate``."""
    consensus: bool
    """Whether ``iqr`` is within the limit and there is no disagreement."""
    stability: DelphiStability | None
    """Comparison with the previous round, when there was one."""

    _parts = {"stability": DelphiStability}


@dataclass(frozen=True, repr=False)
class DelphiRound(Report):
    """The verdict on a round. For ratings of one dimension the shortcuts give one value, otherwise one for each item."""

    items: list[DelphiItem]
    """One entry for each item."""
    kendall_w: KendallW
    """Kendall's W over the experts who rated every item."""
    stop: bool
    """Whether to stop."""
    reason: str
    """``consensus``, ``stable_dissent``, ``first_round`` or ``still_moving``."""
    why: str
    """The reason in words."""
    median: Any = field(repr=False)
    """Median rating."""
    iqr: Any = field(repr=False)
    """Interquartile range."""
    ipr: Any = field(repr=False)
    """Interpercentile range P70 - P30."""
    ipras: Any = field(repr=False)
    """Interpercentile range adjusted for symmetry."""
    disagreement: Any = field(repr=False)
    """Whether the panel disagrees."""
    stability: Any = field(repr=False)
    """Comparison with the previous round."""

    _parts = {"items": DelphiItem, "kendall_w": KendallW, "stability": DelphiStability}

    def _columns(self) -> dict[str, list[Any]]:
        """One row an item."""
        names = [field.name for field in fields(DelphiItem) if field.name != "stability"]
        columns: dict[str, list[Any]] = {"item": list(range(len(self.items)))}
        columns |= {name: [getattr(item, name) for item in self.items] for name in names}
        for name in (field.name for field in fields(DelphiStability)):
            columns[name] = [None if item.stability is None else getattr(item.stability, name) for item in self.items]
        return columns

    def to_pandas(self) -> Any:
        """A pandas data frame, one row an item: its number from 0, and the fields of its verdict and of its stability."""
        import pandas

        return pandas.DataFrame(self._columns())

    def to_polars(self) -> Any:
        """The same as a polars data frame."""
        import polars

        return polars.DataFrame(self._columns(), strict=False)

    def to_arrow(self) -> Any:
        """The same as a pyarrow table."""
        import pyarrow

        return pyarrow.table(self._columns())


@dataclass(frozen=True, repr=False)
class Honeybee(Report):
    """The decision of a honeybee swarm."""

    decision: int | None
    """The option that first reached the quorum."""
    decided_at: float | None
    """When it did, in the time of the model."""
    shares: list[float]
    """The share of the swarm committed to each option at the end."""
    uncommitted: float
    """The uncommitted share at the end."""
    time: float
    """The time reached."""
    steady: bool
    """Whether the swarm had come to rest."""
    deadlock: bool
    """Whether it rests without a quorum."""


@dataclass(frozen=True, repr=False)
class SwarmPool(Report):
    """A pool found by a particle swarm."""

    pooled: list[float]
    """The distribution of least objective."""
    value: float
    """The objective there."""
    objective: str
    """What was minimised."""
    iterations: int
    """Iterations made."""
    converged: bool
    """Did the swarm draw together?"""
    spread: float
    """How far the particles are apart at the end."""
    seed: int
    """The seed."""


@dataclass(frozen=True, repr=False)
class SemanticClusters(Report):
    """Answers grouped by meaning."""

    clusters: list[list[int]]
    """The members (positions in the input) of each cluster, the heaviest cluster first."""
    shares: list[float]
    """The share of weight of each cluster."""
    medoids: list[int]
    """The most central member of each cluster."""
    assignment: list[int]
    """The cluster of each vector."""
    entropy: float
    """Semantic entropy, in nats."""
    normalised_entropy: float
    """``entropy`` divided by its greatest value for so many vectors."""


@dataclass(frozen=True, repr=False)
class RoverSlot(Report):
    """One place of the aligned texts."""

    alternatives: list[Any]
    """What the texts have here (None: nothing), with its share of the weight, the heaviest first."""
    chosen: str | None
    """What was chosen."""
    tied: bool
    """Whether another alternative had the same share."""


@dataclass(frozen=True, repr=False)
class Rover(Report):
    """The one text that several texts vote for."""

    text: str
    """The chosen words, joined."""
    tokens: list[str]
    """The chosen words."""
    slots: list[RoverSlot]
    """Every place, also those where nothing won."""
    base: int
    """The text that the others were aligned to, by its place from 0."""
    support: float
    """The mean share of what was chosen; 1 when all texts are equal."""

    _parts = {"slots": RoverSlot}


@dataclass(frozen=True, repr=False)
class Member(Report):
    """One member of a faction."""

    voter: str
    """Who votes."""
    weight: float
    """The weight of the vote."""
    confidence: float
    """The confidence of the vote."""
    strength: float
    """``weight * confidence``."""
    rationale: str | None
    """Identifier of the rationale."""


@dataclass(frozen=True, repr=False)
class Faction(Report):
    """Those who share a position."""

    position: str
    """The position."""
    weight: float
    """Summed weight of the members."""
    share: float
    """``weight`` divided by the weight of all."""
    confidence: float
    """Weighted mean confidence."""
    members: list[Member]
    """Every member, the strongest first."""

    _parts = {"members": Member}


@dataclass(frozen=True, repr=False)
class MinorityReport(Report):
    """Every faction with its members."""

    leading: list[Faction]
    """The faction or factions of greatest weight."""
    minorities: list[Faction]
    """Every other faction above the threshold, the heaviest first."""
    threshold: float
    """The threshold."""
    below: int
    """How many factions were below it."""
    below_share: float
    """Their joint share."""

    _parts = {"leading": Faction, "minorities": Faction}


@dataclass(frozen=True, repr=False)
class PanelAgreement(Report):
    """Agreement among the ballots, raw and corrected for chance."""

    coefficient: str
    """The name of the coefficient."""
    value: float | None
    """The coefficient: 1 full agreement, 0 what chance gives; None where it is undefined."""
    observed: float | None
    """Observed agreement."""
    expected: float | None
    """Agreement expected by chance."""
    undefined: str | None
    """Why ``value`` is None."""


@dataclass(frozen=True, repr=False)
class PanelInterval(Report):
    """An interval for something that the panel estimates."""

    of: str
    """``support``, ``number`` or ``probability``."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    method: str
    """How it was made."""


@dataclass(frozen=True, repr=False)
class PanelGroup(Report):
    """Voters that are not independent."""

    name: str
    """What they share."""
    voters: list[str]
    """Who they are."""


@dataclass(frozen=True, repr=False)
class PanelGroups(Report):
    """What groups of voters that are not independent do to the effective number of ballots."""

    rho: float
    """Intra-class correlation of ballots within a group: 0 independent, 1 one voter."""
    rho_is: str
    """``given``; ``estimated`` from the ballots; or ``assumed`` to be 1, where nothing tells."""
    groups: list[PanelGroup]
    """The groups of several voters."""

    _parts = {"groups": PanelGroup}


@dataclass(frozen=True, repr=False)
class PanelScore(Report):
    """What a panel decides, how firmly, and who differs."""

    decision: str | float | None
    """The option, the number, or the voter whose vector is most central; None when positions are level (see ``tied``)."""
    level: str
    """``unanimous``, ``strong``, ``moderate``, ``weak`` or ``no_consensus``."""
    support: float
    """The weighted share of the ballots that hold the leading position."""
    agreement: PanelAgreement
    """Agreement among the ballots."""
    minority: MinorityReport
    """Every faction with its members."""
    confidence: float
    """How sure the panel is of its decision, 0 to 1."""
    intervals: list[PanelInterval]
    """Intervals, that of the support first."""
    tied: list[str]
    """The leading positions when they are level."""
    kind: str
    """The kind of the ballots."""
    voters: int
    """Ballots of positive weight."""
    weight: float
    """Their weight."""
    effective_voters: float
    """Kish's effective number of ballots; those of one group count for fewer."""
    groups: PanelGroups | None
    """The groups of several ballots; None where each ballot is alone."""
    lines: list[str] = field(repr=False)
    """The arithmetic, line by line."""

    _parts = {"agreement": PanelAgreement, "minority": MinorityReport, "intervals": PanelInterval, "groups": PanelGroups}

    def explain(self) -> str:
        """The arithmetic behind the score; each line can be recomputed by hand from the ones before and the ballots."""
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Ballot:
    """One member's ballot. Exactly one of choice, ranking, probability, number and vector is given."""

    voter: str
    """Who votes; unique in the panel."""
    choice: str | None = None
    """One option."""
    ranking: Any = None
    """Options, best first."""
    probability: Mapping[str, float] | None = None
    """``{option: probability}``; they sum to 1."""
    number: float | None = None
    """A number."""
    vector: Any = None
    """A vector, such as the embedding of an answer."""
    confidence: float = 1.0
    """How sure the voter is, 0 to 1."""
    weight: float = 1.0
    """How much the ballot counts; not negative."""
    rationale: str | None = None
    """Identifier of the rationale."""


def delphi_round(
    ratings: Any,
    previous: Any = None,
    *,
    scale: tuple[float, float] = (1.0, 9.0),
    iqr_limit: float = 0.25,
    stability_limit: float = 0.15,
) -> DelphiRound:
    """Judges one round of ratings, experts x items with NaN or None for no answer; one dimension is one item.

    IPRAS and disagreement by RAND/UCLA (Fitch et al. 2001); stability against ``previous`` (Scheibe, Skutsch and Schofer
    1975). ``iqr_limit`` is a share of the width of ``scale``.

    >>> verdict = delphi_round([7, 7, 8, 8, 7])
    >>> verdict.median, verdict.disagreement, verdict.stop, verdict.reason
    (7.0, False, True, 'consensus')
    """
    return DelphiRound._of(_quorate.consensus("delphi_round", locals()))


def honeybee(
    values: Any,
    sigma: float = 4.0,
    quorum: float = 0.5,
    seed: int = 0,
    *,
    noise: float = 1e-3,
    max_time: float = 10_000.0,
) -> Honeybee:
    """Best-of-n decision of a honeybee swarm (Seeley et al. 2012; Pais et al. 2013).

    ``values``: the quality of each option, 1e-6 to 1e6; ``sigma``: cross-inhibition, 0 to 1e12; ``quorum``: the share that decides.

    >>> honeybee([5.0, 4.5], sigma=2.0).decision
    0
    """
    return Honeybee._of(_quorate.consensus("honeybee", locals()))


def swarm_pool(
    p: Any,
    weights: Any = None,
    objective: str = "kl_to_pool",
    seed: int = 0,
    *,
    particles: int = 40,
    max_iter: int = 2000,
    tol: float = 1e-9,
) -> SwarmPool:
    """The distribution of least ``objective``, found by a particle swarm on the simplex.

    ``objective``: ``kl_to_pool``, ``kl_from_pool``, ``squared_distance``, ``hellinger`` or ``total_variation``. ``p`` as in
    :func:`linear_pool`.
    """
    return SwarmPool._of(_quorate.consensus("swarm_pool", locals()))


def semantic_clusters(
    vectors: Any, threshold: float = 0.8, *, weights: Any = None, linkage: str = "complete"
) -> SemanticClusters:
    """Clusters vectors by cosine similarity and measures their semantic entropy (Farquhar et al. 2024, discrete form).

    >>> semantic_clusters([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]).clusters
    [[0, 1], [2]]
    """
    return SemanticClusters._of(_quorate.consensus("semantic_clusters", locals()))


def rover(texts: Any, weights: Any = None) -> Rover:
    """The one text that several texts vote for, word by word, after they were aligned (ROVER, Fiscus 1997).

    ``texts``: strings, cut at white space, or lists of words; at most 10,000 of them.

    >>> rover(["take one tablet", "take two tablets", "take two tablet daily"]).text
    'take two tablet'
    """
    return Rover._of(_quorate.consensus("rover", locals()))


def score_panel(
    ballots: Any,
    *,
    options: Any = None,
    scale: tuple[float, float] | None = None,
    tolerance: float | None = None,
    similarity: float = 0.8,
    minority_threshold: float = 0.0,
    groups: Mapping[str, str] | None = None,
    rho: float | None = None,
) -> PanelScore:
    """One call for a panel: decision, level, support, agreement, factions, confidence, and the arithmetic.

    ``ballots``: :class:`Ballot` objects or dicts with the same fields (``position`` in place of the five kinds where its
    type tells: text, list of texts, dict, number, list of numbers), or ``{voter: position}``. ``options``: all that could be
    chosen. ``scale`` and ``tolerance``: of numbers; ``similarity``: least cosine of vectors that agree. ``groups``: the group of each
    voter that is in one, such as the model that answers for it; ballots of one group are not independent, with the intra-class
    correlation ``rho`` (None: estimated, and where that cannot be, 1).

    >>> score = score_panel({"a": "treat", "b": "treat", "c": "treat", "d": "wait"})
    >>> score.decision, score.level, score.support
    ('treat', 'moderate', 0.75)
    >>> print(score.explain().splitlines()[0])
    4 choice ballots, weight 4
    """
    if isinstance(ballots, Iterable) and not isinstance(ballots, (str, bytes, Mapping)):
        ballots = [vars(ballot) if isinstance(ballot, Ballot) else ballot for ballot in ballots]
    groups = {} if groups is None else groups
    return PanelScore._of(_quorate.consensus("score_panel", locals()))
