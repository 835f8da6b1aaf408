"""What is true, when raters of unknown skill disagree?

Keywords that are not described are those of :func:`quorate.consensus.ratings`; ``weights`` is ``{rater: weight}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import _quorate
from .._errors import InvalidInput
from .._report import Report
from .data import _as_dict, ratings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, repr=False)
class Truth(Report):
    """What the raters say together, and how far each can be trusted."""

    method: str
    """The name of the method."""
    items: list[Any] = field(repr=False)
    """The ids of the items."""
    item_labels: list[Any] = field(repr=False)
    """The most probable label of each item, in the order of ``items``."""
    classes: list[Any]
    """The categories."""
    probability_array: npt.NDArray[np.float64] = field(repr=False)
    """float64, items x classes: the probability of each category; shares of the votes where the method has no model."""
    raters: list[Any] = field(repr=False)
    """The ids of the raters."""
    rater_skills: list[float] = field(repr=False)
    """The skill of each rater, as the method defines it, in the order of ``raters``."""
    confusion_array: npt.NDArray[np.float64] | None = field(repr=False)
    """float64, raters x true classes x given classes: the probability of a given label."""
    class_shares: list[float] | None
    """The estimated share of each category among the items."""
    item_difficulty: list[float] | None = field(repr=False)
    """How hard each item is (GLAD)."""
    log_likelihood: list[float]
    """What the method maximises, after each iteration; it never falls."""
    iterations: int
    """Iterations made."""
    converged: bool
    """Did the method reach its tolerance?"""
    ties: list[Any]
    """The items whose first place is shared by several categories."""

    @cached_property
    def labels(self) -> dict[Any, Any]:
        """The most probable label of each item; of equals, the first category."""
        return dict(zip(self.items, self.item_labels, strict=True))

    @cached_property
    def probabilities(self) -> dict[Any, dict[Any, float]]:
        """The probability of each category for each item."""
        rows = self.probability_array.tolist()
        return {item: dict(zip(self.classes, row, strict=True)) for item, row in zip(self.items, rows, strict=True)}

    @cached_property
    def skills(self) -> dict[Any, float]:
        """The skill of each rater, as the method defines it."""
        return dict(zip(self.raters, self.rater_skills, strict=True))

    @cached_property
    def confusion(self) -> dict[Any, npt.NDArray[np.float64]] | None:
        """For each rater the matrix true classes x given classes, in the order of ``classes``; None without a model of it."""
        if self.confusion_array is None:
            return None
        return dict(zip(self.raters, self.confusion_array, strict=True))

    @cached_property
    def difficulty(self) -> dict[Any, float] | None:
        """How hard each item is (GLAD: ``exp(-beta)``)."""
        if self.item_difficulty is None:
            return None
        return dict(zip(self.items, self.item_difficulty, strict=True))

    def keys(self) -> list[str]:
        """The names of what ``dict(...)`` and ``to_dict()`` hold: the method, what is true, how sure that is, and how far each rater can be trusted."""
        return [
            "method", "labels", "probabilities", "skills", "confusion", "classes", "class_shares", "difficulty", "log_likelihood",
            "iterations", "converged", "ties",
        ]

    def _columns(self) -> dict[str, list[Any]]:
        """One row an item: its label, the probability of that label, whether the first place is shared, and the probability of each class."""
        ties = set(self.ties)
        columns: dict[str, list[Any]] = {
            "item": list(self.items),
            "label": list(self.item_labels),
            "probability": self.probability_array.max(axis=1).tolist(),
            "tied": [item in ties for item in self.items],
        }
        for i, label in enumerate(self.classes):
            columns[f"p({label})"] = self.probability_array[:, i].tolist()
        if self.item_difficulty is not None:
            columns["difficulty"] = list(self.item_difficulty)
        return columns

    def to_pandas(self) -> Any:
        """A pandas data frame, one row an item: ``item``, ``label``, ``probability``, ``tied``, and ``p(...)`` of each class."""
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

    def __repr__(self) -> str:
        return (
            f"Truth({self.method}: {len(self.items)} items, {len(self.raters)} raters, classes={self.classes!r}, "
            f"iterations={self.iterations}, converged={self.converged}, ties={len(self.ties)})"
        )


def majority_vote(data: Any = None, raters: Any = None, values: Any = None, **keywords: Any) -> Truth:
    """The label with most votes, each counting as ``weights`` says of its rater.

    >>> majority_vote(["q", "q", "q"], ["ann", "bob", "eve"], ["yes", "no", "no"]).labels
    {'q': 'no'}
    >>> majority_vote(["q", "q", "q"], ["ann", "bob", "eve"], ["yes", "no", "no"], weights={"ann": 3}).labels
    {'q': 'yes'}
    """
    return Truth._of(_quorate.majority_vote(ratings(data, raters, values, **keywords)))


def wawa(data: Any = None, raters: Any = None, values: Any = None, **keywords: Any) -> Truth:
    """Worker agreement with aggregate: votes weighted by each rater's agreement with the majority."""
    return Truth._of(_quorate.wawa(ratings(data, raters, values, **keywords)))


def dawid_skene(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    max_iter: int = 100,
    tol: float = 1e-5,
    prior_class: float = 0.0,
    prior_correct: float = 0.0,
    prior_wrong: float = 0.0,
    gold: Mapping[Any, Any] | None = None,
    **keywords: Any,
) -> Truth:
    """A confusion matrix for each rater by expectation maximisation (Dawid and Skene 1979).

    The priors are counts of imagined items and votes; ``gold``: ``{item: true label}`` where known.

    >>> truth = dawid_skene([[1, 1, 2, 2], [1, 1, 2, 2], [2, 1, 2, 1]])
    >>> truth.labels, truth.skills[0] > truth.skills[2]
    ({0: 1, 1: 1, 2: 2, 3: 2}, True)
    """
    data = ratings(data, raters, values, **keywords)
    return Truth._of(
        _quorate.dawid_skene(False, data, max_iter, tol, prior_class, prior_correct, prior_wrong, _dict(gold))
    )


def one_coin(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    max_iter: int = 100,
    tol: float = 1e-5,
    prior_class: float = 0.0,
    prior_correct: float = 0.0,
    prior_wrong: float = 0.0,
    gold: Mapping[Any, Any] | None = None,
    **keywords: Any,
) -> Truth:
    """One probability of being right for each rater. Keywords as in :func:`dawid_skene`."""
    data = ratings(data, raters, values, **keywords)
    return Truth._of(
        _quorate.dawid_skene(True, data, max_iter, tol, prior_class, prior_correct, prior_wrong, _dict(gold))
    )


def glad(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    max_iter: int = 100,
    tol: float = 1e-5,
    ability_mean: float = 1.0,
    easiness_mean: float = 1.0,
    class_prior: Any = None,
    gold: Mapping[Any, Any] | None = None,
    **keywords: Any,
) -> Truth:
    """Abilities of raters and difficulties of items (Whitehill et al. 2009)."""
    data = ratings(data, raters, values, **keywords)
    return Truth._of(_quorate.glad(data, max_iter, tol, ability_mean, easiness_mean, class_prior, _dict(gold)))


def mace(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    max_iter: int = 50,
    tol: float = 1e-5,
    restarts: int = 10,
    seed: int = 0,
    method: str = "variational",
    gold: Mapping[Any, Any] | None = None,
    **keywords: Any,
) -> Truth:
    """Raters who know, or answer without looking (Hovy et al. 2013); ``method``: ``variational`` or ``em``."""
    data = ratings(data, raters, values, **keywords)
    return Truth._of(_quorate.mace(data, max_iter, tol, restarts, seed, method, _dict(gold)))


def kos(
    data: Any = None, raters: Any = None, values: Any = None, *, max_iter: int = 100, tol: float = 1e-6, seed: int = 0,
    **keywords: Any,
) -> Truth:
    """Message passing between items and raters, for two categories (Karger, Oh and Shah 2014)."""
    return Truth._of(_quorate.kos(ratings(data, raters, values, **keywords), max_iter, tol, seed))


def m_msr(
    data: Any = None, raters: Any = None, values: Any = None, *, max_iter: int = 10_000, tol: float = 1e-10,
    seed: int = 0, **keywords: Any,
) -> Truth:
    """Truth among hostile raters by completing a matrix of rank one (Ma and Olshevsky 2020)."""
    return Truth._of(_quorate.m_msr(ratings(data, raters, values, **keywords), max_iter, tol, seed))


def zero_based_skill(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    max_iter: int = 100,
    learning_rate: float = 1.0,
    reduce_every: int = 20,
    reduce_by: float = 0.5,
    **keywords: Any,
) -> Truth:
    """Skills learnt step by step from the weighted majority; the defaults are those of crowd-kit."""
    data = ratings(data, raters, values, **keywords)
    return Truth._of(_quorate.zero_based_skill(data, max_iter, learning_rate, reduce_every, reduce_by))


def _dict(gold: Mapping[Any, Any] | None) -> dict[Any, Any] | None:
    if gold is not None and not isinstance(gold, Mapping):
        raise InvalidInput("invalid_argument", f"gold is of type {type(gold).__name__}; a dict from item to label is expected")
    return None if gold is None else _as_dict(gold, "gold")
