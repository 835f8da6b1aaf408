"""How well do raters agree, beyond what chance would give?

A coefficient that the data does not define comes back with ``value`` None and the reason in ``undefined``; it is never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import _quorate
from .._report import Report
from .data import column, on_ratings


@dataclass(frozen=True, repr=False)
class Alpha(Report):
    """Krippendorff's alpha."""

    value: float | None
    """Alpha, at most 1; None where it is undefined."""
    low: float | None
    """Lower end of the bootstrap interval."""
    high: float | None
    """Upper end of the bootstrap interval."""
    observed: float | None
    """Observed disagreement."""
    expected: float | None
    """Disagreement expected by chance."""
    level: str
    """The level of measurement."""
    items: int
    """Items with two ratings or more."""
    raters: int
    """Raters."""
    ratings: int
    """Ratings that could be paired."""
    bootstrap: int
    """Rounds of the bootstrap that the interval rests on."""
    undefined: str | None
    """Why ``value`` is None."""


@dataclass(frozen=True, repr=False)
class Coefficient(Report):
    """A coefficient of agreement."""

    method: str
    """The name of the method."""
    value: float | None
    """The coefficient, at most 1; None where it is undefined."""
    low: float | None
    """Lower end of the confidence interval."""
    high: float | None
    """Upper end of the confidence interval."""
    observed: float | None
    """The (weighted) share of agreeing pairs."""
    expected: float | None
    """The share expected by chance, as the method defines chance."""
    standard_error: float | None
    """Standard error of ``value``."""
    z: float | None
    """Test statistic of "no agreement beyond chance"."""
    p_value: float | None
    """Two-sided p-value of ``z``."""
    items: int
    """Items used."""
    raters: int
    """Raters used."""
    undefined: str | None
    """Why ``value`` is None."""


@dataclass(frozen=True, repr=False)
class KendallW(Report):
    """Kendall's coefficient of concordance."""

    value: float | None
    """W corrected for ties, 0 to 1; None where it is undefined."""
    uncorrected: float | None
    """W without the correction."""
    chi2: float | None
    """Friedman's chi-square."""
    df: int
    """Its degrees of freedom."""
    p_value: float | None
    """Its p-value."""
    items: int
    """Items ranked."""
    raters: int
    """Raters who ranked every item."""
    undefined: str | None
    """Why ``value`` is None."""


@dataclass(frozen=True, repr=False)
class Icc(Report):
    """An intraclass correlation."""

    form: str
    """The form, such as ``"2,1"``."""
    value: float | None
    """The correlation; None where it is undefined."""
    low: float | None
    """Lower end of the confidence interval."""
    high: float | None
    """Upper end of the confidence interval."""
    f: float | None
    """F of "no correlation"."""
    df1: float
    """Degrees of freedom of the numerator."""
    df2: float
    """Degrees of freedom of the denominator."""
    p_value: float | None
    """p-value of ``f``."""
    items: int
    """Items used."""
    raters: int
    """Raters used."""
    undefined: str | None
    """Why ``value`` is None."""


def krippendorff_alpha(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    level: str = "nominal",
    bootstrap: int = 0,
    seed: int = 0,
    resample: str = "items",
    confidence: float = 0.95,
    circumference: float | None = None,
    poles: tuple[float, float] | None = None,
    **keywords: Any,
) -> Alpha:
    """Krippendorff's alpha (Krippendorff 2011): any number of raters, any gaps, any level of measurement.

    ``level``: ``nominal``, ``ordinal``, ``interval``, ``ratio``, ``circular`` (``circumference`` in units of the
    values) or ``bipolar`` (between ``poles``). ``bootstrap``: rounds for ``low`` and ``high``, at most 10,000,000. They draw whole
    ``"items"`` with all their ratings, so that the interval says how far alpha would move with other items; or ``"pairs"`` of values as if
    these were independent (Hayes and Krippendorff 2007), which reproduces published figures but is too narrow with more than two raters.
    Ratio and bipolar levels take at most 20,000 different values. Further keywords as in :func:`ratings`.

    >>> round(krippendorff_alpha([[1, 2, 3, 3], [1, 2, 3, 2]], level="interval").value, 6)
    0.820513
    """
    return Alpha._of(on_ratings("krippendorff_alpha", locals()))


def cohen_kappa(a: Any, b: Any = None, weights: Any = None, *, confidence: float = 0.95) -> Coefficient:
    """Cohen's kappa of two raters (Cohen 1960; weighted, Cohen 1968): two arrays about the same items, or ratings of two.

    ``weights``: None, ``"linear"``, ``"quadratic"``, ``"ordinal"``, ``"radical"``, ``"ratio"``, ``"circular"``,
    ``"bipolar"``, or a symmetric table in [0, 1] over the sorted categories.

    >>> cohen_kappa(["a", "a", "b", "b"], ["a", "a", "b", "a"]).value
    0.5
    """
    if b is None:
        given = {"data": a, "raters": None, "values": None, "weights": weights, "confidence": confidence, "keywords": {}}
        return Coefficient._of(on_ratings("cohen_kappa", given))
    given = {"a": column(a, "a"), "b": column(b, "b"), "weights": weights, "confidence": confidence}
    return Coefficient._of(_quorate.consensus("cohen_kappa", given))


def fleiss_kappa(
    data: Any = None, raters: Any = None, values: Any = None, *, counts: Any = None, categories: Any = None,
    weights: Any = None, confidence: float = 0.95, **keywords: Any,
) -> Coefficient:
    """Fleiss' kappa of several raters, with gaps (Fleiss 1971).

    ``counts``, instead of data: how many raters put each item (row) into each category (column). ``weights``: credit
    for near misses, as in :func:`cohen_kappa`. Further keywords as in :func:`ratings`.

    >>> round(fleiss_kappa(counts=[[3, 0], [0, 3], [2, 1]]).value, 12)
    0.55
    """
    return Coefficient._of(on_ratings("fleiss_kappa", locals()))


def scott_pi(
    data: Any = None, raters: Any = None, values: Any = None, *, counts: Any = None, categories: Any = None,
    weights: Any = None, confidence: float = 0.95, **keywords: Any,
) -> Coefficient:
    """Scott's pi of two raters (Scott 1955). Keywords as in :func:`fleiss_kappa`."""
    return Coefficient._of(on_ratings("scott_pi", locals()))


def conger_kappa(
    data: Any = None, raters: Any = None, values: Any = None, *, weights: Any = None, confidence: float = 0.95,
    **keywords: Any,
) -> Coefficient:
    """Conger's kappa: Cohen's for several raters (Conger 1980). Keywords as in :func:`cohen_kappa` and :func:`ratings`."""
    return Coefficient._of(on_ratings("conger_kappa", locals()))


def light_kappa(
    data: Any = None, raters: Any = None, values: Any = None, *, weights: Any = None, confidence: float = 0.95,
    **keywords: Any,
) -> Coefficient:
    """Light's kappa: the mean of Cohen's over pairs of raters (Light 1971). Keywords as in :func:`cohen_kappa`."""
    return Coefficient._of(on_ratings("light_kappa", locals()))


def brennan_prediger(
    data: Any = None, raters: Any = None, values: Any = None, *, counts: Any = None, categories: Any = None,
    weights: Any = None, confidence: float = 0.95, **keywords: Any,
) -> Coefficient:
    """Brennan and Prediger's coefficient: chance is uniform (1981). Keywords as in :func:`fleiss_kappa`."""
    return Coefficient._of(on_ratings("brennan_prediger", locals()))


def gwet_ac(
    data: Any = None, raters: Any = None, values: Any = None, *, weights: Any = None, counts: Any = None,
    categories: Any = None, confidence: float = 0.95, **keywords: Any,
) -> Coefficient:
    """Gwet's AC1, or AC2 with ``weights`` (Gwet 2008): steady where kappa collapses. Keywords as in :func:`fleiss_kappa`."""
    return Coefficient._of(on_ratings("gwet_ac", locals()))


def percent_agreement(
    data: Any = None, raters: Any = None, values: Any = None, *, counts: Any = None, categories: Any = None,
    weights: Any = None, confidence: float = 0.95, **keywords: Any,
) -> Coefficient:
    """The share of agreeing pairs of ratings, without a correction for chance. Keywords as in :func:`fleiss_kappa`."""
    return Coefficient._of(on_ratings("percent_agreement", locals()))


def kendall_w(ranks: Any = None, raters: Any = None, values: Any = None, **keywords: Any) -> KendallW:
    """Kendall's W of rankings, raters x items, corrected for ties (Kendall and Babington Smith 1939).

    >>> kendall_w([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]]).value
    0.1619047619047619
    """
    return KendallW._of(on_ratings("kendall_w", {"data": ranks, "raters": raters, "values": values, "keywords": keywords}))


def icc(
    data: Any = None, raters: Any = None, values: Any = None, *, form: str = "2,1", confidence: float = 0.95,
    data_form: str | None = None, **keywords: Any,
) -> Icc:
    """Intraclass correlation (Shrout and Fleiss 1979), ``form`` one of ``1,1 2,1 3,1 1,k 2,k 3,k``.

    ``data_form`` is what :func:`ratings` calls ``form``: what the rows of a 2-D array are. Further keywords as there.

    >>> icc([[9, 6, 8, 7], [2, 1, 4, 1], [5, 3, 6, 2]], form="3,1").items
    4
    """
    given = locals() | {"keywords": {**keywords, "form": data_form}}
    return Icc._of(on_ratings("icc", given))
