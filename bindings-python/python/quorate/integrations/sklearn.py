"""How is the truth behind crowd labels inferred the way scikit-learn's users expect? Needs ``scikit-learn`` and ``pandas``.

Data are tables with the columns ``task``, ``worker`` and ``label``, one row for each vote; names of classes, parameters and
fitted attributes are those of crowd-kit where the meaning is the same. Tasks and workers come back sorted.

>>> import pandas as pd
>>> votes = pd.DataFrame({"task": ["q", "q", "q", "r"], "worker": ["ann", "bob", "eve", "ann"], "label": [1, 0, 0, 1]})
>>> MajorityVote().fit_predict(votes).to_dict()
{'q': 0, 'r': 1}
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.base import BaseEstimator  # type: ignore[import-untyped, unused-ignore]

from .. import consensus
from .._errors import InvalidInput
from ..consensus import Truth

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "GLAD",
    "KOS",
    "MACE",
    "MMSR",
    "DawidSkene",
    "MajorityVote",
    "OneCoinDawidSkene",
    "Wawa",
    "ZeroBasedSkill",
]

_Self = TypeVar("_Self", bound="TruthInference")


class TruthInference(BaseEstimator):  # type: ignore[misc, unused-ignore]
    """What all estimators here have: what they leave after ``fit``.

    ``labels_``: a Series ``agg_label`` indexed by task. ``probas_``: a DataFrame, tasks x labels, whose rows sum to 1; shares
    of the (weighted) votes where the method has no model of probabilities. ``skills_``: a Series ``skill`` indexed by worker.
    ``n_iter_``, ``converged_`` and ``loss_history_`` (the objective after each iteration) for iterative methods.
    ``truth_``: the :class:`quorate.consensus.Truth` behind them.
    """

    truth_: Truth
    labels_: pd.Series
    probas_: pd.DataFrame
    skills_: pd.Series
    n_iter_: int
    converged_: bool
    loss_history_: list[float]

    def _keep(self: _Self, truth: Truth) -> _Self:
        import pandas as pd

        tasks = pd.Index(truth.items, name="task")
        workers = pd.Index(truth.raters, name="worker")
        classes = pd.Index(truth.classes, name="label")
        self.truth_ = truth
        self.labels_ = _sorted(pd.Series(truth.item_labels, index=tasks, name="agg_label"))
        self.probas_ = _sorted(pd.DataFrame(truth.probability_array, index=tasks, columns=classes))
        self.skills_ = _sorted(pd.Series(truth.rater_skills, index=workers, name="skill"))
        self.n_iter_ = truth.iterations
        self.converged_ = truth.converged
        self.loss_history_ = truth.log_likelihood
        return self

    def _infer(self, votes: pd.DataFrame) -> Truth:
        raise NotImplementedError


class _Plain(TruthInference):
    """Methods that need nothing but the votes."""

    def fit(self: _Self, data: Any, y: Any = None) -> _Self:
        """Infers the truth. ``y`` is there for scikit-learn's pipelines and is not looked at."""
        return self._keep(self._infer(_votes(data)))

    def fit_predict(self, data: Any, y: Any = None) -> pd.Series:
        """Infers the truth and returns ``labels_``."""
        return self.fit(data).labels_

    def fit_predict_proba(self, data: Any, y: Any = None) -> pd.DataFrame:
        """Infers the truth and returns ``probas_``."""
        return self.fit(data).probas_


class _Weighted(_Plain):
    """Methods whose skills weigh the votes on other tasks too."""

    def predict(self, data: Any) -> pd.Series:
        """The labels of other tasks, by a vote weighted with the skills that were learnt."""
        return self._vote(data).labels_

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """The shares of the weighted votes on other tasks."""
        return self._vote(data).probas_

    def _vote(self, data: Any) -> MajorityVote:
        return MajorityVote().fit(data, skills=self.skills_)


class MajorityVote(TruthInference):
    """The label with most votes, each counting as much as ``skills`` says of its worker.

    ``on_missing_skill``: what to do about workers that ``skills`` lacks: ``error`` (code ``unknown_id``), ``ignore`` their
    votes, or take ``default_skill`` as their ``value``.
    """

    def __init__(self, default_skill: float | None = None, on_missing_skill: str = "error") -> None:
        self.default_skill = default_skill
        self.on_missing_skill = on_missing_skill

    def fit(self, data: Any, y: Any = None, *, skills: Any = None) -> MajorityVote:
        """Counts the votes; ``skills``: a Series or dict from worker to weight."""
        votes: Any = _votes(data)
        weights = None
        if skills is not None:
            weights = {worker: float(skill) for worker, skill in _items(skills)}
            missing = [worker for worker in votes["worker"].unique().tolist() if worker not in weights]
            if missing and self.on_missing_skill == "ignore":
                tasks = votes["task"].nunique()
                votes = votes[~votes["worker"].isin(missing)]
                if votes["task"].nunique() < tasks:
                    raise InvalidInput("empty_input", "some task has votes of workers without a skill alone")
            elif missing and self.on_missing_skill == "value" and self.default_skill is not None:
                weights.update(dict.fromkeys(missing, self.default_skill))
            elif missing:
                raise InvalidInput("unknown_id", f"skills lacks {len(missing)} workers, such as {missing[0]!r}")
            present = set(votes["worker"].unique().tolist())
            weights = {worker: weight for worker, weight in weights.items() if worker in present}
        return self._keep(consensus.majority_vote(*_columns(votes), weights=weights))

    def fit_predict(self, data: Any, y: Any = None, *, skills: Any = None) -> pd.Series:
        """Counts the votes and returns ``labels_``."""
        return self.fit(data, skills=skills).labels_

    def fit_predict_proba(self, data: Any, y: Any = None, *, skills: Any = None) -> pd.DataFrame:
        """Counts the votes and returns ``probas_``."""
        return self.fit(data, skills=skills).probas_


class DawidSkene(TruthInference):
    """A confusion matrix for each worker by expectation maximisation (Dawid and Skene 1979).

    ``priors_``: the estimated share of each label. ``errors_``: ``errors_.loc[(worker, given), true]`` is the probability
    that a worker gives one label where another is true.
    """

    priors_: pd.Series
    errors_: pd.DataFrame

    def __init__(self, n_iter: int = 100, tol: float = 1e-5) -> None:
        self.n_iter = n_iter
        self.tol = tol

    def fit(self, data: Any, y: Any = None, *, true_labels: Any = None) -> DawidSkene:
        """Infers the truth; ``true_labels``: a Series or dict from task to label, where known."""
        import numpy as np
        import pandas as pd

        truth = self._method()(
            *_columns(_votes(data)), max_iter=self.n_iter, tol=self.tol, gold=_gold(true_labels)
        )
        self._keep(truth)
        classes = pd.Index(truth.classes, name="label")
        self.priors_ = pd.Series(truth.class_shares, index=classes, name="prior")
        if truth.confusion_array is not None:
            rows = pd.MultiIndex.from_product([truth.raters, truth.classes], names=["worker", "label"])
            table = np.swapaxes(truth.confusion_array, 1, 2).reshape(len(rows), len(classes))
            self.errors_ = _sorted(pd.DataFrame(table, index=rows, columns=classes))
        return self

    def fit_predict(self, data: Any, y: Any = None, *, true_labels: Any = None) -> pd.Series:
        """Infers the truth and returns ``labels_``."""
        return self.fit(data, true_labels=true_labels).labels_

    def fit_predict_proba(self, data: Any, y: Any = None, *, true_labels: Any = None) -> pd.DataFrame:
        """Infers the truth and returns ``probas_``."""
        return self.fit(data, true_labels=true_labels).probas_

    def _method(self) -> Any:
        return consensus.dawid_skene


class OneCoinDawidSkene(DawidSkene):
    """One probability of being right for each worker, in ``skills_``; otherwise as :class:`DawidSkene`."""

    def _method(self) -> Any:
        return consensus.one_coin


class GLAD(_Plain):
    """Abilities of workers and difficulties of tasks (Whitehill et al. 2009).

    ``labels_priors``: a Series or dict from label to prior share; uniform unless given. ``alphas_prior_mean`` and
    ``betas_prior_mean``: the means of the priors. ``alphas_``: the ability of each worker; ``betas_``: the log easiness of
    each task.
    """

    alphas_: pd.Series
    betas_: pd.Series

    def __init__(
        self,
        n_iter: int = 100,
        tol: float = 1e-5,
        labels_priors: Any = None,
        alphas_prior_mean: float = 1.0,
        betas_prior_mean: float = 1.0,
    ) -> None:
        self.n_iter = n_iter
        self.tol = tol
        self.labels_priors = labels_priors
        self.alphas_prior_mean = alphas_prior_mean
        self.betas_prior_mean = betas_prior_mean

    def _infer(self, votes: pd.DataFrame) -> Truth:
        import pandas as pd

        ratings = consensus.ratings(*_columns(votes))
        prior = None
        if self.labels_priors is not None:
            given = dict(_items(self.labels_priors))
            prior = [float(given[label]) for label in ratings.categories]
        truth = consensus.glad(
            ratings,
            max_iter=self.n_iter,
            tol=self.tol,
            class_prior=prior,
            ability_mean=self.alphas_prior_mean,
            easiness_mean=self.betas_prior_mean,
        )
        workers = pd.Index(truth.raters, name="worker")
        self.alphas_ = _sorted(pd.Series(truth.rater_skills, index=workers, name="alpha"))
        betas = [-math.log(difficulty) for difficulty in truth.item_difficulty or []]
        self.betas_ = _sorted(pd.Series(betas, index=pd.Index(truth.items, name="task"), name="beta"))
        return truth


class MACE(_Plain):
    """Workers who know, or answer without looking (Hovy et al. 2013); ``method``: ``vb`` (variational) or ``em``."""

    def __init__(
        self,
        n_restarts: int = 10,
        n_iter: int = 50,
        method: str = "vb",
        tol: float = 1e-5,
        random_state: int = 0,
    ) -> None:
        self.n_restarts = n_restarts
        self.n_iter = n_iter
        self.method = method
        self.tol = tol
        self.random_state = random_state

    def _infer(self, votes: pd.DataFrame) -> Truth:
        return consensus.mace(
            *_columns(votes),
            max_iter=self.n_iter,
            tol=self.tol,
            restarts=self.n_restarts,
            seed=self.random_state,
            method={"vb": "variational"}.get(self.method, self.method),
        )


class KOS(_Plain):
    """Message passing between tasks and workers, for two labels (Karger, Oh and Shah 2014)."""

    def __init__(self, n_iter: int = 100, tol: float = 1e-6, random_state: int = 0) -> None:
        self.n_iter = n_iter
        self.tol = tol
        self.random_state = random_state

    def _infer(self, votes: pd.DataFrame) -> Truth:
        return consensus.kos(*_columns(votes), max_iter=self.n_iter, tol=self.tol, seed=self.random_state)


class MMSR(_Weighted):
    """Truth among hostile workers by completing a matrix of rank one (Ma and Olshevsky 2020)."""

    def __init__(self, n_iter: int = 10_000, tol: float = 1e-10, random_state: int = 0) -> None:
        self.n_iter = n_iter
        self.tol = tol
        self.random_state = random_state

    def _infer(self, votes: pd.DataFrame) -> Truth:
        return consensus.m_msr(*_columns(votes), max_iter=self.n_iter, tol=self.tol, seed=self.random_state)


class Wawa(_Weighted):
    """Worker agreement with aggregate: votes weighted by each worker's agreement with the majority."""

    def _infer(self, votes: pd.DataFrame) -> Truth:
        return consensus.wawa(*_columns(votes))


class ZeroBasedSkill(_Weighted):
    """Skills learnt step by step from the weighted majority."""

    def __init__(
        self,
        n_iter: int = 100,
        lr_init: float = 1.0,
        lr_steps_to_reduce: int = 20,
        lr_reduce_factor: float = 0.5,
    ) -> None:
        self.n_iter = n_iter
        self.lr_init = lr_init
        self.lr_steps_to_reduce = lr_steps_to_reduce
        self.lr_reduce_factor = lr_reduce_factor

    def _infer(self, votes: pd.DataFrame) -> Truth:
        return consensus.zero_based_skill(
            *_columns(votes),
            max_iter=self.n_iter,
            learning_rate=self.lr_init,
            reduce_every=self.lr_steps_to_reduce,
            reduce_by=self.lr_reduce_factor,
        )


_COLUMNS = ("task", "worker", "label")


def _votes(data: Any) -> pd.DataFrame:
    import pandas as pd

    frame: Any = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidInput(
            "invalid_argument", f"the table has the columns {list(frame.columns)}; {', '.join(missing)} is missing"
        )
    votes: pd.DataFrame = frame[list(_COLUMNS)]
    return votes


def _columns(votes: pd.DataFrame) -> tuple[list[Any], list[Any], list[Any]]:
    tasks, workers, labels = (votes[name].tolist() for name in _COLUMNS)
    return tasks, workers, labels


def _items(given: Any) -> Iterable[tuple[Any, Any]]:
    pairs: Iterable[tuple[Any, Any]] = given.items() if isinstance(given, Mapping) else given.to_dict().items()
    return pairs


def _gold(true_labels: Any) -> dict[Any, Any] | None:
    return None if true_labels is None else dict(_items(true_labels))


def _sorted(frame: Any) -> Any:
    """In the order of the index, where its values have one."""
    try:
        return frame.sort_index()
    except TypeError:
        return frame
