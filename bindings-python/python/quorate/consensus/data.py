"""Which ratings does an argument hold?"""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Mapping
from typing import Any

from .. import _quorate
from .._errors import InvalidInput
from .._quorate import Ratings

__all__ = ["Ratings", "column", "ratings"]

_COLUMNS = (("items", "raters", "values"), ("item", "rater", "value"), ("task", "worker", "label"))


def ratings(
    data: Any = None,
    raters: Any = None,
    values: Any = None,
    *,
    items: Any = None,
    weights: Mapping[Any, float] | None = None,
    duplicates: str = "error",
    domain: Any = None,
    form: str | None = None,
) -> Ratings:
    """Ratings from any of the forms that this package takes, to be made once and used often.

    ``weights``: ``{rater: weight}``, 1 where not given. ``duplicates``: what to do when a rater rated an item twice:
    ``"error"`` (code ``duplicate_entry``), ``"first"``, ``"last"`` or ``"keep"``. ``domain``: the possible values in
    their order; the ones that appear, sorted, unless given. ``form``: what the rows of a 2-D array are,
    ``"raters_x_items"`` (taken unless said, with a warning where there would be more raters than items) or
    ``"items_x_raters"``. With at most 2^32 - 2 ratings and a total weight of at most 1e300.

    >>> ratings(["q1", "q1", "q2"], ["ann", "bob", "ann"], ["yes", "no", "yes"])
    Ratings(3 ratings of 2 items by 2 raters in 2 categories)
    >>> ratings([[1, 2, None], [1, 3, 3]])
    Ratings(5 ratings of 3 items by 2 raters in 3 categories)
    >>> ratings([[1, 1], [2, 3], [None, 3]], form="items_x_raters")
    Ratings(5 ratings of 3 items by 2 raters in 3 categories)
    """
    return _quorate.ratings(
        given(data, raters, values, items=items, weights=weights, duplicates=duplicates, domain=domain, form=form)
    )


def given(
    data: Any,
    raters: Any = None,
    values: Any = None,
    *,
    items: Any = None,
    weights: Any = None,
    duplicates: str = "error",
    domain: Any = None,
    form: str | None = None,
) -> dict[str, Any]:
    """The same as arguments of the native half, which reads them."""
    if items is not None:
        if data is not None:
            raise InvalidInput("invalid_argument", "give data or items, not both")
        data = items
    if weights is not None and not isinstance(weights, Mapping):
        raise InvalidInput("invalid_argument", "weights is a dict from rater to weight")
    said = {"weights": weights, "duplicates": duplicates, "domain": None if domain is None else column(domain, "domain"), "form": form}
    parts: Any = (data, raters, values) if raters is not None or values is not None else data
    if not (isinstance(parts, tuple) and len(parts) == 3):
        table = None if isinstance(parts, Ratings) else _table(parts)
        if table is None:
            return {"data": _matrix(parts, form), **said}
        parts = table
    return {name: column(part, name) for name, part in zip(_COLUMNS[0], parts, strict=True)} | said


def on_ratings(method: str, arguments: dict[str, Any]) -> Any:
    """What a method says of ratings in any form that is taken. ``arguments``: those of the call, by their names."""
    keywords = arguments.pop("keywords")
    if arguments.get("counts") is not None:
        return _quorate.consensus(method, arguments)
    said = given(*(arguments.pop(name) for name in ("data", "raters", "values")), **keywords)
    gold = arguments.get("gold")
    if gold is not None and not isinstance(gold, Mapping):
        raise InvalidInput("invalid_argument", f"gold is of type {type(gold).__name__}; a dict from item to label is expected")
    return _quorate.consensus(method, {**said, **arguments})


def _outside() -> int:
    """How many calls up the caller of this package is, for a warning that points there."""
    import sys

    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("quorate"):
        frame, level = frame.f_back, level + 1
    return level


def _named(found: Any) -> str:
    """Names for a message, the first of them."""
    short = reprlib.Repr()
    short.maxlist = 8
    short.maxstring = short.maxother = 40
    return short.repr(found)


def column(values: Any, what: str) -> Any:
    """One-dimensional values as what the native half takes: an array of numpy, or a list."""
    if values is None:
        raise InvalidInput("invalid_argument", f"{what} is missing")
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    if hasattr(values, "to_list") and not hasattr(values, "tolist"):
        return values.to_list()
    kind = getattr(getattr(values, "dtype", None), "kind", None)
    # In one copy, where an array of numpy's or pandas' holds whole numbers of another width.
    return values.astype("int64") if kind in ("i", "b") and str(values.dtype) != "int64" and str(values.dtype).islower() else values


def _table(data: Any) -> tuple[Any, Any, Any] | None:
    """The three columns, if ``data`` is a table."""
    if isinstance(data, type):
        return None
    if isinstance(data, Mapping):
        names = list(data)
    elif hasattr(data, "column_names"):
        names = list(data.column_names)
    elif hasattr(data, "columns"):
        names = [*data.columns]
    elif hasattr(data, "__arrow_c_stream__") and not hasattr(data, "dtype"):
        import pyarrow

        return _table(pyarrow.table(data))
    else:
        return None
    for wanted in _COLUMNS:
        if all(name in names for name in wanted):
            a, b, c = (data[name] for name in wanted)
            return a, b, c
    raise InvalidInput(
        "invalid_argument",
        f"the table has the columns {_named(names)}; expected are 'items', 'raters', 'values' (or 'item', 'rater', 'value', or "
        "'task', 'worker', 'label')",
    )


def _matrix(data: Any, form: str | None) -> Any:
    """A table of ratings; with a warning where it may be the other way round."""
    if isinstance(data, Ratings) or isinstance(data, (str, bytes, type)) or not hasattr(data, "__iter__"):
        return data
    if not hasattr(data, "shape"):
        data = list(data)
    shape = getattr(data, "shape", None) or (len(data), len(data[0]) if len(data) and hasattr(data[0], "__len__") else 0)
    doubt = _quorate.ratings_doubt(*shape) if form is None and len(shape) == 2 and shape[1] else None
    if doubt is not None:
        warnings.warn(doubt, UserWarning, stacklevel=_outside())
    return data
