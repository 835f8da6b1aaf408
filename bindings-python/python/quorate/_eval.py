"""How good is a ranking?

Measures follow trec_eval: documents are ordered by score as a 32-bit float, ties by document id in descending order; a
grade of 1 or more is relevant. A judged query that the run lacks counts as 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, overload

from . import _quorate
from ._record import record
from ._report import Report

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]

DEFAULT_METRICS = ("ndcg@10", "recall@100", "mrr@10", "map", "p@5")


@dataclass(frozen=True, repr=False)
class Comparison(Report):
    """Two runs on the same queries, compared by Fisher's paired randomisation test."""

    a: float
    """Mean of the first run."""
    b: float
    """Mean of the second run."""
    difference: float
    """``a - b``."""
    p_value: float
    """Two-sided probability of a difference at least as large if the labels of the runs meant nothing."""
    wins: int
    """Queries where the first run is better."""
    ties: int
    """Queries where both are equal."""
    losses: int
    """Queries where the first run is worse."""
    exact: bool
    """Whether every assignment of signs was enumerated (few queries) rather than sampled."""


@dataclass(frozen=True, repr=False)
class BeirDataset(Report):
    """A test collection."""

    corpus: list[dict[str, Any]]
    """The documents in file order, as ``{"id", "title", "text", "metadata"}``."""
    queries: dict[str, str]
    """Query id to text; only queries that the split judges."""
    qrels: Qrels
    """The judgements."""

    def __repr__(self) -> str:
        return f"BeirDataset({len(self.corpus)} documents, {len(self.queries)} queries)"


@overload
def evaluate(
    run: Run, qrels: Qrels, metrics: Iterable[str] = ..., *, per_query: Literal[False] = ...
) -> dict[str, float]: ...
@overload
def evaluate(
    run: Run, qrels: Qrels, metrics: Iterable[str] = ..., *, per_query: Literal[True]
) -> dict[str, dict[str, float]]: ...
def evaluate(
    run: Run, qrels: Qrels, metrics: Iterable[str] = DEFAULT_METRICS, *, per_query: bool = False
) -> dict[str, float] | dict[str, dict[str, float]]:
    """Scores ``run`` against ``qrels``: ``{metric: mean}``, or ``{query: {metric: value}}`` with ``per_query``.

    The result is a dict that has ``to_dict`` and ``to_json`` too. Metrics: ``ndcg@k``, ``recall@k``, ``mrr@k``, ``map``, ``p@k``, ``success@k``, ``bpref``. Codes:
    ``invalid_argument`` (a metric), ``empty_input`` (no judged query), ``not_finite`` (a score).

    >>> evaluate({"q": {"a": 2.0, "b": 1.0}}, {"q": {"b": 1}}, ["mrr@10", "p@5"])
    {'mrr@10': 0.5, 'p@5': 0.2}
    """
    return record(_quorate.evaluate(run, qrels, metrics, per_query))  # type: ignore[no-any-return]


def compare(run_a: Run, run_b: Run, qrels: Qrels, *, metric: str = "ndcg@10", seed: int = 0) -> Comparison:
    """Is ``run_a`` better than ``run_b``, or just luckier? Fisher's paired randomisation test.

    >>> same = {"q": {"a": 1.0}}
    >>> compare(same, same, {"q": {"a": 1}}).p_value
    1.0
    """
    return Comparison._of(_quorate.compare(run_a, run_b, qrels, metric, seed))


def load_beir(folder: str | os.PathLike[str], *, split: str = "test") -> BeirDataset:
    """Reads ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/SPLIT.tsv`` of a BEIR folder.

    Codes: ``not_found``, ``io``, ``load_failed`` with file and line.
    """
    return BeirDataset(*_quorate.load_beir(folder, split))


def read_trec_run(path: str | os.PathLike[str]) -> Run:
    """Reads a run in TREC's six columns as ``{query: {document: score}}``. Codes: ``not_found``, ``load_failed``."""
    return _quorate.read_trec_run(path)


def write_trec_run(run: Run, path: str | os.PathLike[str]) -> None:
    """Writes a run in TREC's six columns. Codes: ``io``, ``permission_denied``, ``invalid_argument``."""
    _quorate.write_trec_run(run, path)
