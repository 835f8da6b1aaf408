"""What do many rankings say together?

``rankings`` is a list of rankings, each a list of options with the best first; an entry that is itself a list or a set holds
tied options. Or it is ``{ranking (a tuple): how many gave it}``. ``weights`` gives each ranking a weight. Options are strings or
numbers. ``unranked``: options that a ranking leaves out stand ``"last"``, or it is ``"silent"`` about them. ``tie_break``: None,
``"lexicographic"`` or ``"random"`` (with ``seed``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .. import _quorate
from .._report import Report

@dataclass(frozen=True, repr=False)
class Outcome(Report):
    """The result of a voting method."""

    method: str
    """The name of the method."""
    options: list[Any] = field(repr=False)
    """The options."""
    scores: dict[Any, float]
    """One number for each option; the method says what it means."""
    winners: list[Any]
    """Every option that the method lets win; more than one is a tie."""
    tiers: list[list[Any]]
    """The collective order, best first; options in one tier are tied."""
    order: list[Any] | None
    """The total order, when nothing was tied or a tie-break was asked for."""
    broken: list[list[Any]]
    """The groups of options whose ties the tie-break decided."""

    winner: Any = field(repr=False, kw_only=True)
    """The single winner, by tie-break if need be; None for an unbroken tie."""
    ranking: list[Any] = field(repr=False, kw_only=True)
    """The options from best to worst; tied ones in alphabetical order."""

    def _columns(self) -> dict[str, list[Any]]:
        """One row an option, the best first."""
        place = {option: number for number, tier in enumerate(self.tiers, 1) for option in tier}
        order = self.ranking
        return {
            "option": list(order),
            "tier": [place[option] for option in order],
            "score": [self.scores[option] for option in order],
            "winner": [option in self.winners for option in order],
        }

    def to_pandas(self) -> Any:
        """A pandas data frame, one row an option, the best first: ``option``, ``tier`` (from 1), ``score``, ``winner``."""
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
class Kemeny(Outcome):
    """The result of Kemeny's method."""

    orders: list[list[Any]]
    """Orders of greatest agreement."""
    orders_complete: bool
    """Whether ``orders`` holds all of them."""
    agreement: float
    """Weight of the pairwise preferences that the order agrees with."""
    distance: float
    """Weight of those that it contradicts."""
    lower_bound: float
    """No order has a smaller distance than this."""
    exact: bool
    """Whether the orders are proved to be best."""


@dataclass(frozen=True, repr=False)
class RunoffRound(Report):
    """One count of an instant runoff."""

    tallies: dict[Any, float]
    """Standing options with their votes, most first."""
    exhausted: float
    """Weight of the ballots that name no standing option any more."""
    eliminated: list[Any]
    """Who goes out after this count."""
    tied: bool
    """Whether the last place was tied."""


@dataclass(frozen=True, repr=False)
class Runoff(Outcome):
    """The result of an instant runoff."""

    rounds: list[RunoffRound]
    """The counts."""
    majority_round: int | None
    """The first count (from 0) in which an option had more than half of the votes that still count."""

    _parts = {"rounds": RunoffRound}


@dataclass(frozen=True, repr=False)
class Strengths(Outcome):
    """Fitted strengths of options; ``scores`` are the log-strengths."""

    strengths: dict[Any, float]
    """Natural logarithm of each strength, with mean zero."""
    shares: dict[Any, float]
    """Strengths divided by their sum: the chance of each option to be chosen from all."""
    log_likelihood: float | None
    """Log-likelihood of the data, without the penalty."""
    iterations: int
    """Steps made."""
    converged: bool
    """Did the fit reach its tolerance?"""
    alpha: float
    """The penalty that was in force."""
    components: list[list[Any]]
    """Groups of options that the data compares with one another."""


def borda(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", tie_break: str | None = None,
    seed: int = 0,
) -> Outcome:
    """Borda's count: a point for each option that is ranked lower (half for a tie).

    >>> votes = {("M", "N", "C", "K"): 42, ("N", "C", "K", "M"): 26, ("C", "K", "N", "M"): 15, ("K", "C", "N", "M"): 17}
    >>> borda(votes).scores
    {'C': 173.0, 'K': 107.0, 'M': 126.0, 'N': 194.0}
    """
    return Outcome._of(_quorate.consensus("borda", locals()))


def copeland(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", tie_break: str | None = None,
    seed: int = 0,
) -> Outcome:
    """Copeland's method: pairwise victories, half for a draw."""
    return Outcome._of(_quorate.consensus("copeland", locals()))


def schulze(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", strength: str = "margins",
    tie_break: str | None = None, seed: int = 0,
) -> Outcome:
    """Schulze's method of strongest paths (Schulze 2011). ``strength``: ``margins`` or ``winning_votes``."""
    return Outcome._of(_quorate.consensus("schulze", locals()))


def ranked_pairs(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", strength: str = "margins",
    tie_break: str | None = None, seed: int = 0,
) -> Outcome:
    """Ranked pairs (Tideman 1987). ``strength``: ``margins`` or ``winning_votes``."""
    return Outcome._of(_quorate.consensus("ranked_pairs", locals()))


def minimax(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", strength: str = "margins",
    tie_break: str | None = None, seed: int = 0,
) -> Outcome:
    """Minimax (Simpson 1969; Kramer 1977): the smallest worst defeat. ``strength``: ``margins`` or ``winning_votes``."""
    return Outcome._of(_quorate.consensus("minimax", locals()))


def kemeny(
    rankings: Any,
    weights: Any = None,
    *,
    options: Any = None,
    unranked: str = "last",
    exact_options: int | None = None,
    max_orders: int | None = None,
    restarts: int | None = None,
    tie_break: str | None = None,
    seed: int = 0,
) -> Kemeny:
    """The order that agrees with most pairwise preferences (Kemeny 1959); exact up to ``exact_options`` options, a seeded
    local search with ``restarts`` above, with a lower bound."""
    return Kemeny._of(_quorate.consensus("kemeny", locals()))


def instant_runoff(
    rankings: Any,
    weights: Any = None,
    *,
    options: Any = None,
    unranked: str = "last",
    last_place_ties: str = "together",
    tie_break: str | None = None,
    seed: int = 0,
) -> Runoff:
    """Instant runoff: the last goes out, count by count. ``last_place_ties``: ``together``, ``tie_break`` or
    ``parallel_universes`` (Conitzer et al. 2009)."""
    return Runoff._of(_quorate.consensus("instant_runoff", locals()))


def plackett_luce(
    rankings: Any,
    weights: Any = None,
    *,
    options: Any = None,
    unranked: str = "silent",
    alpha: float | None = None,
    max_iter: int = 100,
    tol: float = 1e-9,
    tie_break: str | None = None,
    seed: int = 0,
) -> Strengths:
    """Strengths that make the rankings most likely (Plackett 1975; Luce 1959).

    ``alpha``: a penalty on the strengths; None adds a small one only where the data does not determine them.

    >>> fit = plackett_luce([["a", "b", "c"], ["d", "c", "a"], ["b", "d"]])
    >>> fit.ranking, fit.alpha
    (['b', 'd', 'a', 'c'], 0.0)
    """
    return Strengths._of(_quorate.consensus("plackett_luce", locals()))


def bradley_terry(
    comparisons: Any,
    *,
    ties: Any = (),
    options: Any = None,
    alpha: float | None = None,
    max_iter: int = 100,
    tol: float = 1e-9,
    tie_break: str | None = None,
    seed: int = 0,
) -> Strengths:
    """Strengths that make the comparisons most likely (Bradley and Terry 1952).

    ``comparisons``: ``(winner, loser)`` or ``(winner, loser, weight)``; ``ties``: likewise, half a win for each.

    >>> bradley_terry([("a", "b"), ("a", "b"), ("b", "c"), ("c", "a")]).winner
    'a'
    """
    return Strengths._of(_quorate.consensus("bradley_terry", locals()))


def rank_centrality(
    comparisons: Any,
    *,
    ties: Any = (),
    options: Any = None,
    alpha: float | None = None,
    max_iter: int = 100,
    tol: float = 1e-9,
    tie_break: str | None = None,
    seed: int = 0,
) -> Strengths:
    """Strengths as the resting place of a random walk from losers to winners (Negahban, Oh and Shah 2017). Arguments as
    in :func:`bradley_terry`."""
    return Strengths._of(_quorate.consensus("rank_centrality", locals()))
