"""What do many rankings say together?

``rankings`` is a list of rankings, each a list of options with the best first; an entry that is itself a list or a set holds
tied options. Or it is ``{ranking (a tuple): how many gave it}``. ``weights`` gives each ranking a weight. Options are strings or
numbers. ``unranked``: options that a ranking leaves out stand ``"last"``, or it is ``"silent"`` about them. ``tie_break``: None,
``"lexicographic"`` or ``"random"`` (with ``seed``).
"""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .. import _quorate
from .._errors import InvalidInput
from .._report import Report

_O = TypeVar("_O", bound="Outcome")


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

    @property
    def winner(self) -> Any:
        """The single winner, by tie-break if need be; None for an unbroken tie."""
        if self.order:
            return self.order[0]
        return self.winners[0] if len(self.winners) == 1 else None

    @property
    def ranking(self) -> list[Any]:
        """The options from best to worst; tied ones in alphabetical order."""
        return self.order if self.order is not None else [option for tier in self.tiers for option in tier]

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


def _quoted(option: Any) -> str:
    """An option for a message, its start."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(option)


def _is_option(option: Any) -> bool:
    """Whether it is a string or a number; arrays have an index by name only."""
    if isinstance(option, (str, int, float)):
        return not isinstance(option, bool)
    try:
        operator.index(option)
    except TypeError:
        return False
    return True


class _Names:
    """Options of any kind as the strings that the native half takes, and back."""

    def __init__(self) -> None:
        self.of: dict[str, Any] = {}

    def add(self, option: Any, where: str) -> str:
        if not _is_option(option):
            raise InvalidInput(
                "invalid_argument", f"{where} is of type {type(option).__name__}; a string or a number is expected"
            )
        name = str(option)
        known = self.of.setdefault(name, option)
        if known != option:
            raise InvalidInput("invalid_argument", f"the options {_quoted(known)} and {_quoted(option)} have the same name")
        return name

    def back(self, names: Iterable[str]) -> list[Any]:
        return [self.of[name] for name in names]


def _profile(rankings: Any, weights: Any, options: Any) -> tuple[_Names, tuple[Any, Any, Any]]:
    names = _Names()
    listed = _listed(options, names)
    if isinstance(rankings, Mapping):
        if weights is not None:
            raise InvalidInput("invalid_argument", "give counts in the dict or weights, not both")
        weights = list(rankings.values())
    tiers = []
    for i, ranking in enumerate(_each(rankings, "rankings")):
        if isinstance(ranking, (str, bytes)) or not isinstance(ranking, Iterable):
            raise InvalidInput(
                "invalid_argument",
                f"rankings[{i}] is of type {type(ranking).__name__}; a list of options, the best first, is expected",
            )
        tiers.append([_tier(tier, names, f"rankings[{i}][{j}]") for j, tier in enumerate(ranking)])
    weights = [1.0] * len(tiers) if weights is None else [_weight(w, i) for i, w in enumerate(_each(weights, "weights"))]
    if len(weights) != len(tiers):
        raise InvalidInput("invalid_shape", f"there are {len(tiers)} rankings and {len(weights)} weights")
    if options is not None:
        every = listed
    else:
        every = sorted(names.of, key=lambda name: _key(names.of[name]))
    return names, (every, tiers, weights)


def _listed(options: Any, names: _Names) -> list[str]:
    if options is None:
        return []
    return [names.add(option, f"options[{i}]") for i, option in enumerate(_each(options, "options"))]


def _each(given: Any, what: str) -> Iterable[Any]:
    """What can be iterated over, except a string."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InvalidInput("invalid_argument", f"{what} is of type {type(given).__name__}; a list is expected")
    return given


def _weight(weight: Any, i: int) -> float:
    try:
        # Yes and no are no numbers, in no language.
        if isinstance(weight, (bool, str, bytes)) or type(weight).__name__ in ("bool_", "bool"):
            raise TypeError
        return float(weight)
    except (TypeError, ValueError, OverflowError):
        kind = type(weight).__name__
        raise InvalidInput("invalid_argument", f"weights[{i}] is of type {kind}; a number is expected") from None


def _key(option: Any) -> tuple[bool, float, str]:
    """Numbers before texts."""
    return (True, 0.0, option) if isinstance(option, str) else (False, float(option), "")


def _tier(tier: Any, names: _Names, where: str) -> list[str]:
    if isinstance(tier, AbstractSet):
        return sorted(names.add(option, where) for option in tier)
    if isinstance(tier, Sequence) and not isinstance(tier, (str, bytes)):
        return [names.add(option, where) for option in tier]
    return [names.add(tier, where)]


def _outcome(cls: type[_O], names: _Names, outcome: dict[str, Any], **more: Any) -> _O:
    options = names.back(outcome["options"])
    return cls(
        method=outcome["method"],
        options=options,
        scores=dict(zip(options, outcome["scores"], strict=True)),
        winners=names.back(outcome["winners"]),
        tiers=[names.back(tier) for tier in outcome["tiers"]],
        order=None if outcome["order"] is None else names.back(outcome["order"]),
        broken=[names.back(group) for group in outcome["broken"]],
        **more,
    )


def _vote(
    method: str, rankings: Any, weights: Any, options: Any, unranked: str, strength: str, tie_break: str | None, seed: int
) -> Outcome:
    names, profile = _profile(rankings, weights, options)
    return _outcome(Outcome, names, _quorate.vote(method, profile, unranked, strength, tie_break, seed))


def borda(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", tie_break: str | None = None,
    seed: int = 0,
) -> Outcome:
    """Borda's count: a point for each option that is ranked lower (half for a tie).

    >>> votes = {("M", "N", "C", "K"): 42, ("N", "C", "K", "M"): 26, ("C", "K", "N", "M"): 15, ("K", "C", "N", "M"): 17}
    >>> borda(votes).scores
    {'C': 173.0, 'K': 107.0, 'M': 126.0, 'N': 194.0}
    """
    return _vote("borda", rankings, weights, options, unranked, "margins", tie_break, seed)


def copeland(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", tie_break: str | None = None,
    seed: int = 0,
) -> Outcome:
    """Copeland's method: pairwise victories, half for a draw."""
    return _vote("copeland", rankings, weights, options, unranked, "margins", tie_break, seed)


def schulze(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", strength: str = "margins",
    tie_break: str | None = None, seed: int = 0,
) -> Outcome:
    """Schulze's method of strongest paths (Schulze 2011). ``strength``: ``margins`` or ``winning_votes``."""
    return _vote("schulze", rankings, weights, options, unranked, strength, tie_break, seed)


def ranked_pairs(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", strength: str = "margins",
    tie_break: str | None = None, seed: int = 0,
) -> Outcome:
    """Ranked pairs (Tideman 1987). ``strength``: ``margins`` or ``winning_votes``."""
    return _vote("ranked_pairs", rankings, weights, options, unranked, strength, tie_break, seed)


def minimax(
    rankings: Any, weights: Any = None, *, options: Any = None, unranked: str = "last", strength: str = "margins",
    tie_break: str | None = None, seed: int = 0,
) -> Outcome:
    """Minimax (Simpson 1969; Kramer 1977): the smallest worst defeat. ``strength``: ``margins`` or ``winning_votes``."""
    return _vote("minimax", rankings, weights, options, unranked, strength, tie_break, seed)


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
    names, profile = _profile(rankings, weights, options)
    found = _quorate.kemeny(profile, unranked, exact_options, max_orders, restarts, tie_break, seed)
    outcome = found.pop("outcome")
    found["orders"] = [names.back(order) for order in found["orders"]]
    return _outcome(Kemeny, names, outcome, **found)


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
    names, profile = _profile(rankings, weights, options)
    found = _quorate.instant_runoff(profile, unranked, last_place_ties, tie_break, seed)
    rounds = [
        RunoffRound(
            tallies={names.of[name]: votes for name, votes in count["tallies"]},
            exhausted=count["exhausted"],
            eliminated=names.back(count["eliminated"]),
            tied=count["tied"],
        )
        for count in found["rounds"]
    ]
    return _outcome(Runoff, names, found["outcome"], rounds=rounds, majority_round=found["majority_round"])


def _strengths(names: _Names, found: dict[str, Any]) -> Strengths:
    options = names.back(found["outcome"]["options"])
    return _outcome(
        Strengths,
        names,
        found["outcome"],
        strengths=dict(zip(options, found["log_strengths"], strict=True)),
        shares=dict(zip(options, found["shares"], strict=True)),
        log_likelihood=found["log_likelihood"],
        iterations=found["iterations"],
        converged=found["converged"],
        alpha=found["alpha"],
        components=[names.back(group) for group in found["components"]],
    )


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
    names, profile = _profile(rankings, weights, options)
    return _strengths(names, _quorate.plackett_luce(profile, unranked, alpha, max_iter, tol, tie_break, seed))


def _paired(
    method: str, comparisons: Any, ties: Any, options: Any, alpha: float | None, max_iter: int, tol: float,
    tie_break: str | None, seed: int,
) -> Strengths:
    names = _Names()
    listed = None if options is None else _listed(options, names)
    wins, draws = _pairs(comparisons, names, "comparisons"), _pairs(ties, names, "ties")
    every = listed if listed is not None else sorted(names.of, key=lambda name: _key(names.of[name]))
    found = _quorate.paired(method, every, wins, draws, alpha, max_iter, tol, tie_break, seed)
    return _strengths(names, found)


def _pairs(given: Any, names: _Names, what: str) -> list[tuple[str, str, float]]:
    pairs = []
    for i, entry in enumerate(_each(given, what)):
        if isinstance(entry, (str, bytes)) or not hasattr(entry, "__len__") or len(entry) not in (2, 3):
            raise InvalidInput("invalid_shape", f"{what}[{i}] is {_quoted(entry)}; (winner, loser) or (winner, loser, weight)")
        weight = _weight(entry[2], i) if len(entry) == 3 else 1.0
        pairs.append((names.add(entry[0], f"{what}[{i}][0]"), names.add(entry[1], f"{what}[{i}][1]"), weight))
    return pairs


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
    return _paired("bradley_terry", comparisons, ties, options, alpha, max_iter, tol, tie_break, seed)


def rank_centrality(
    comparisons: Any,
    *,
    ties: Any = (),
    options: Any = None,
    alpha: float | None = None,
    tie_break: str | None = None,
    seed: int = 0,
) -> Strengths:
    """Strengths as the resting place of a random walk from losers to winners (Negahban, Oh and Shah 2017). Arguments as
    in :func:`bradley_terry`."""
    return _paired("rank_centrality", comparisons, ties, options, alpha, 100, 1e-9, tie_break, seed)
