"""What is true, when raters of unknown skill disagree?

Keywords that are not described are those of :func:`quorate.consensus.ratings`; ``weights`` is ``{rater: weight}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import _quorate
from .._errors import InvalidInput
from .._report import Report
from .data import column, on_ratings

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
    return Truth._of(on_ratings("majority_vote", locals()))


def wawa(data: Any = None, raters: Any = None, values: Any = None, **keywords: Any) -> Truth:
    """Worker agreement with aggregate: votes weighted by each rater's agreement with the majority."""
    return Truth._of(on_ratings("wawa", locals()))


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
    return Truth._of(on_ratings("dawid_skene", locals()))


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
    return Truth._of(on_ratings("one_coin", locals()))


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
    return Truth._of(on_ratings("glad", locals()))


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
    noise: float = 0.5,
    prior_guess: float = 0.5,
    prior_know: float = 0.5,
    prior_strategy: float = 10.0,
    smoothing: float | None = None,
    gold: Mapping[Any, Any] | None = None,
    **keywords: Any,
) -> Truth:
    """Raters who know, or answer without looking (Hovy et al. 2013); ``method``: ``variational`` or ``em``.

    ``restarts`` from weights drawn in [1, 2 + ``noise``), of which the best is kept. The priors are counts of imagined answers of each
    rater that are guessed or known, and of each label among the guesses (``variational``); ``smoothing`` is what ``em`` adds to each
    count, 0.01 divided by the number of categories unless given.
    """
    return Truth._of(on_ratings("mace", locals()))


def kos(
    data: Any = None, raters: Any = None, values: Any = None, *, max_iter: int = 100, tol: float = 1e-6, seed: int = 0,
    **keywords: Any,
) -> Truth:
    """Message passing between items and raters, for two categories (Karger, Oh and Shah 2014)."""
    return Truth._of(on_ratings("kos", locals()))


def m_msr(
    data: Any = None, raters: Any = None, values: Any = None, *, max_iter: int = 10_000, tol: float = 1e-10,
    seed: int = 0, **keywords: Any,
) -> Truth:
    """Truth among hostile raters by completing a matrix of rank one (Ma and Olshevsky 2020)."""
    return Truth._of(on_ratings("m_msr", locals()))


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
    return Truth._of(on_ratings("zero_based_skill", locals()))


class OnlineDawidSkene:
    """Dawid and Skene's model, kept up to date vote by vote (incremental EM, Neal and Hinton 1998).

    ``classes``: the labels that there are. The other keywords are those of :func:`dawid_skene`; priors of a few imagined right votes
    keep early estimates sober, and without them a rater's first votes carry no weight.

    >>> online = OnlineDawidSkene(["no", "yes"], prior_class=1.0, prior_correct=3.0, prior_wrong=1.0)
    >>> online.add("scan 1", "ann", "yes")
    >>> online.add("scan 1", "bob", "yes")
    >>> online.probabilities("scan 1")["yes"] > 0.8, len(online)
    (True, 2)
    """

    def __init__(
        self,
        classes: Any,
        *,
        max_iter: int = 100,
        tol: float = 1e-5,
        prior_class: float = 0.0,
        prior_correct: float = 0.0,
        prior_wrong: float = 0.0,
        gold: Mapping[Any, Any] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        found = column(classes, "classes")
        if not isinstance(found, Iterable):
            raise InvalidInput("invalid_argument", f"classes are of type {type(found).__name__}; a list of labels is expected")
        self._classes = given["classes"] = list(found)
        self._native = _quorate.Online(given)

    def add(self, item: Any, rater: Any, value: Any) -> None:
        """Takes one vote into account. Codes: ``invalid_argument`` (no such class), ``duplicate_entry``, ``too_large``."""
        self._native.add(item, rater, value)

    def probabilities(self, item: Any) -> dict[Any, float] | None:
        """How likely each class is for an item at present; None for an item without votes."""
        found = self._native.probabilities(item)
        return None if found is None else dict(zip(self._classes, found.tolist(), strict=True))

    def confusion(self, rater: Any) -> npt.NDArray[np.float64] | None:
        """The present matrix true classes x given classes of a rater; None for a rater without votes."""
        found: npt.NDArray[np.float64] | None = self._native.confusion(rater)
        return found

    def refit(self) -> Truth:
        """Fits the model anew to all votes, as :func:`dawid_skene` does, and goes on from there. Codes: ``empty_input``, ``unknown_id``."""
        return Truth._of(self._native.refit())

    def __len__(self) -> int:
        return len(self._native)
