"""Which ratings does an argument hold?"""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Mapping
from typing import Any

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
    if weights is not None:
        if not isinstance(weights, Mapping):
            raise InvalidInput("invalid_argument", "weights is a dict from rater to weight")
        weights = _as_dict(weights, "weights")
    if domain is not None:
        domain = column(domain, "domain")
    if items is not None:
        if data is not None:
            raise InvalidInput("invalid_argument", "give data or items, not both")
        data = items
    if raters is not None or values is not None:
        data = (data, raters, values)
    if isinstance(data, Ratings):
        if weights is not None or domain is not None or form is not None:
            raise InvalidInput("invalid_argument", "give weights, domain and form when the Ratings are made")
        return data
    if isinstance(data, tuple) and len(data) == 3:
        parts = data
    else:
        found = _table(data)
        if found is None:
            cells, rows, columns = _matrix(data)
            made = Ratings.from_table(cells, rows, columns, duplicates, weights, domain, form)
            doubt = Ratings.doubt(rows, columns) if form is None else None
            if doubt is not None:
                warnings.warn(doubt, UserWarning, stacklevel=_outside())
            return made
        parts = found
    if form is not None:
        raise InvalidInput("invalid_argument", "form is for a 2-D array; three columns say what they are themselves")
    a, b, c = (column(part, name) for part, name in zip(parts, _COLUMNS[0], strict=True))
    return Ratings.from_columns(a, b, c, duplicates, weights, domain)


def _outside() -> int:
    """How many calls up the caller of this package is, for a warning that points there."""
    import sys

    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("quorate"):
        frame, level = frame.f_back, level + 1
    return level


def _as_dict(given: Any, what: str) -> dict[Any, Any]:
    """A mapping as a dict; what its own code raises is refused as any other wrong value."""
    try:
        return dict(given)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise InvalidInput("invalid_argument", f"{what} cannot be read as a dict") from None


def _named(found: Any) -> str:
    """Names for a message, the first of them."""
    short = reprlib.Repr()
    short.maxlist = 8
    short.maxstring = short.maxother = 40
    return short.repr(found)


def column(values: Any, what: str) -> Any:
    """One-dimensional values as what the native half takes: an array of int64 or float64, or a list."""
    if values is None:
        raise InvalidInput("invalid_argument", f"{what} is missing")
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    if not hasattr(values, "dtype"):
        return values
    if hasattr(values, "to_list") and getattr(values.dtype, "kind", "O") not in "iufb":
        return values.to_list()
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    kind = values.dtype.kind
    if getattr(values, "ndim", 1) != 1:
        raise InvalidInput("invalid_shape", f"{what} has {values.ndim} dimensions; one is expected")
    if kind in "OUT":
        return values.tolist()
    return _numbers(values, what)


def _numbers(values: Any, what: str) -> Any:
    """An array of int64 or float64."""
    kind = values.dtype.kind
    if kind == "f" or kind == "u" and values.dtype.itemsize == 8:
        return values.astype("float64") if kind == "f" else values.tolist()
    if kind in "iub":
        return values.astype("int64")
    raise InvalidInput("invalid_argument", f"{what} has dtype {values.dtype}; strings or numbers are expected")


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


def _matrix(data: Any) -> tuple[Any, int, int]:
    """The cells of a table raters x items, row by row, and its shape."""
    if hasattr(data, "dtype") and hasattr(data, "ndim"):
        if data.ndim != 2:
            raise InvalidInput("invalid_shape", f"data has {data.ndim} dimensions; raters x items are expected")
        n_raters, n_items = data.shape
        flat = data.reshape(-1)
        return (flat.tolist() if data.dtype.kind in "OUT" else _numbers(flat, "data")), n_raters, n_items
    if isinstance(data, (str, bytes, type)) or not hasattr(data, "__iter__"):
        raise InvalidInput(
            "invalid_argument", f"data is of type {type(data).__name__}; arrays, a table or a matrix are expected"
        )
    rows = [_row(row, i) for i, row in enumerate(data)]
    width = len(rows[0]) if rows else 0
    for i, row in enumerate(rows):
        if len(row) != width:
            raise InvalidInput("invalid_shape", f"data[{i}] has {len(row)} entries, data[0] has {width}")
    return [cell for row in rows for cell in row], len(rows), width


def _row(row: Any, i: int) -> list[Any]:
    if isinstance(row, (str, bytes, Mapping)) or not hasattr(row, "__iter__"):
        raise InvalidInput(
            "invalid_shape",
            f"data[{i}] is of type {type(row).__name__}; a row of ratings is expected (three arrays go in a tuple)",
        )
    return row.tolist() if hasattr(row, "tolist") else list(row)
