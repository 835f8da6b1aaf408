"""What do experts' probabilities say together, and how good were they?

``p`` is either one probability of the same event from each expert, or one distribution from each: experts x outcomes.
``weights``, one for each expert, need not sum to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import _quorate
from .._report import Report
from .data import column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, repr=False)
class CookeWeights(Report):
    """Performance weights; one entry for each expert."""

    weights: list[float]
    """Calibration times information above the cut-off, divided by their sum."""
    calibration: list[float]
    """The p-value of "this expert's quantiles are right": 1 is perfectly calibrated."""
    information: list[float]
    """Mean relative information over the seed questions, in nats."""
    hits: list[list[int]]
    """How many answers fell into each interquantile interval."""


@dataclass(frozen=True, repr=False)
class Jury(Report):
    """How likely a majority is to be right."""

    majority_right: float
    """The probability that more than half are right."""
    tie: float
    """The probability of an even split; 0 for an odd number."""
    probability: float
    """``majority_right + tie / 2``: the chance to be right when ties go by a coin."""


@dataclass(frozen=True, repr=False)
class DensityFaction(Report):
    """A direction of opinion."""

    weight: float
    """The share of the panel's weight that lies along it."""
    opinion: list[float]
    """A distribution over the outcomes."""
    overlap: list[float]
    """For each expert the squared overlap with it, 0 to 1."""
    degenerate: bool
    """Whether another direction has the same weight, so that any rotation of the two would do as well."""


@dataclass(frozen=True, repr=False)
class DensityPool(Report):
    """The pool of opinions as a density matrix. Entropies are in bits."""

    pooled: list[float]
    """The linear pool."""
    eigenvalues: list[float]
    """Greatest first; they sum to 1."""
    purity: float
    """1 when all experts agree exactly, less the more they are split."""
    entropy: float
    """Von Neumann entropy: 0 when all agree exactly."""
    jensen_shannon: float
    """Jensen-Shannon divergence of the opinions, never above ``entropy``."""
    factions: list[DensityFaction]
    """Directions of opinion, heaviest first."""

    _parts = {"factions": DensityFaction}


@dataclass(frozen=True, repr=False)
class OrderEffect(Report):
    """The question-order test."""

    q: float
    """The QQ statistic: 0 for every projective model."""
    effect: float
    """The order effect: total variation distance of the two orders, 0 to 1."""
    effect_a: float
    """Change of p(A yes) from being asked second to first."""
    effect_b: float
    """Change of p(B yes) from being asked second to first."""
    z: float | None
    """For counts: ``q`` divided by its standard error."""
    p_value: float | None
    """For counts: the two-sided p-value of "q = 0"."""


@dataclass(frozen=True, repr=False)
class SurprisinglyPopular(Report):
    """The surprisingly popular answer."""

    answers: list[Any]
    """The answers with the greatest surprise; more than one is a tie."""
    popular: list[Any]
    """The answers that most voters gave."""
    actual: list[float]
    """Share of votes for each answer."""
    predicted: list[float]
    """Mean of the predicted shares."""
    surprise: list[float]
    """``actual - predicted``."""
    answer: Any = field(repr=False)
    """The surprisingly popular answer; None for a tie."""


@dataclass(frozen=True, repr=False)
class TruthSerum(Report):
    """Scores of the Bayesian truth serum, in nats."""

    scores: list[float]
    """Each respondent's ``information + alpha * prediction``."""
    information: list[float]
    """Each respondent's information score."""
    prediction: list[float]
    """Each respondent's prediction score, at most 0."""
    actual: list[float]
    """Share of votes for each answer."""
    predicted: list[float]
    """Geometric mean of the predicted shares."""
    answers: list[Any]
    """The answers whose adherents have the greatest mean score."""


def linear_pool(p: Any, weights: Any = None) -> float | npt.NDArray[np.float64]:
    """The weighted mean (Stone 1961): a number for one event, an array over the outcomes for distributions.

    >>> linear_pool([0.9, 0.7, 0.5])
    0.7
    """
    return _quorate.consensus("linear_pool", locals())  # type: ignore[no-any-return]


def log_pool(p: Any, weights: Any = None) -> float | npt.NDArray[np.float64]:
    """The normalised weighted geometric mean (Genest and Zidek 1986); shapes as in :func:`linear_pool`."""
    return _quorate.consensus("log_pool", locals())  # type: ignore[no-any-return]


def extremized_pool(p: Any, weights: Any = None, a: float = 2.5) -> float | npt.NDArray[np.float64]:
    """The logarithmic pool with its log-odds multiplied by ``a`` (Satopaa et al. 2014); shapes as in :func:`linear_pool`."""
    return _quorate.consensus("extremized_pool", locals())  # type: ignore[no-any-return]


def cooke_weights(
    seeds: Any,
    answers: Any,
    *,
    probabilities: Any = None,
    cutoff: float = 0.0,
    overshoot: float = 0.1,
    background: str = "uniform",
) -> CookeWeights:
    """Performance weights of Cooke's classical model (Cooke 1991).

    ``seeds[expert][question]`` holds the expert's quantiles (5%, 50%, 95% unless ``probabilities`` says otherwise) of a
    quantity whose true value is ``answers[question]``. ``background``: ``uniform`` or ``log_uniform``.
    """
    return CookeWeights._of(_quorate.consensus("cooke_weights", locals()))


def brier_score(p: Any, outcomes: Any) -> float:
    """Brier score (1950), 0 is best: of events (``outcomes`` True or False), or of distributions (indices; up to 2).

    >>> round(brier_score([0.9, 0.2], [True, False]), 12)
    0.025
    """
    return _quorate.consensus("brier_score", locals())  # type: ignore[no-any-return]


def log_score(p: Any, outcomes: Any, *, clip: float = 0.0) -> float:
    """Mean of ``-ln(probability given to what happened)`` (Good 1952), in nats, 0 is best; ``outcomes`` as in
    :func:`brier_score`. ``clip`` keeps probabilities at least that far from 0 and 1."""
    return _quorate.consensus("log_score", locals())  # type: ignore[no-any-return]


def condorcet_jury(competences: Any) -> Jury:
    """How likely a majority of members is to be right who judge independently, each right with a probability of its own (Condorcet 1785).

    >>> round(condorcet_jury([0.6] * 11).probability, 6)
    0.753498
    """
    return Jury._of(_quorate.consensus("condorcet_jury", locals()))


def density_pool(p: Any, weights: Any = None) -> DensityPool:
    """Are the experts unsure together, or sure of different things? A classical computation with density matrices.

    >>> density_pool([0.5, 0.5]).entropy, density_pool([1.0, 0.0]).entropy
    (0.0, 1.0)
    """
    return DensityPool._of(_quorate.consensus("density_pool", locals()))


def order_effect(ab: Any, ba: Any) -> OrderEffect:
    """The QQ equality (Wang and Busemeyer 2013), from four shares or counts for each order of the questions.

    ``ab``: asked A first, (A yes B yes, A yes B no, A no B yes, A no B no); ``ba``: asked B first, (B yes A yes, B yes
    A no, B no A yes, B no A no).
    """
    return OrderEffect._of(_quorate.consensus("order_effect", locals()))


def surprisingly_popular(
    votes: Any, predictions: Any, weights: Any = None, *, options: list[Any] | None = None
) -> SurprisinglyPopular:
    """The answer that more people give than people expected (Prelec, Seung and McCoy 2017).

    ``votes[i]`` is voter i's answer: an index into the columns of ``predictions``, or one of ``options`` where they name
    the columns. ``predictions[i]`` is that voter's forecast of the shares of all answers.

    >>> predictions = [[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.7, 0.3], [0.8, 0.2]]
    >>> surprisingly_popular(["yes", "yes", "yes", "no", "no"], predictions, options=["yes", "no"]).answer
    'no'
    """
    return SurprisinglyPopular._of(_quorate.consensus("surprisingly_popular", locals() | {"votes": column(votes, "votes")}))


def bayesian_truth_serum(
    votes: Any, predictions: Any, *, alpha: float = 1.0, clip: float = 0.0, options: list[Any] | None = None
) -> TruthSerum:
    """Scores that make truthful answers an equilibrium (Prelec 2004). Arguments as in :func:`surprisingly_popular`;
    ``clip`` raises predictions to at least that."""
    return TruthSerum._of(_quorate.consensus("bayesian_truth_serum", locals() | {"votes": column(votes, "votes")}))
