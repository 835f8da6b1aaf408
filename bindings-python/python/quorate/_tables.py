"""How do data frames become documents? Through what the host has: pandas, polars or pyarrow, never one of them by force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ._errors import InvalidInput

FIELDS = ("id", "text", "title", "source", "metadata", "vector")


def documents(given: Any) -> Any:
    """Documents of a table as dicts; anything else as it is."""
    table = _table(given)
    if table is None:
        return given
    names, rows = table
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise InvalidInput("invalid_document", f"the table has the columns {_shown(names)}; '{twice}' appears twice")
    if "id" not in names or "text" not in names:
        raise InvalidInput(
            "invalid_document",
            f"the table has the columns {_shown(names)}; 'id' and 'text' are expected, 'title', 'source', 'metadata' and "
            "'vector' possible, and all others become metadata",
        )
    return [_document(row, i) for i, row in enumerate(rows)]


def _shown(names: list[str]) -> str:
    """The first names, for messages."""
    shown = ", ".join(repr(name[:40]) for name in names[:30])
    return f"[{shown}{', ...' if len(names) > 30 else ''}]"


_Table = tuple[list[str], Iterable[Mapping[str, Any]]]


def _table(given: Any) -> _Table | None:
    """The names of the columns and the rows of a table; none for anything else."""
    if isinstance(given, (list, tuple, Mapping)):
        return None
    home = type(given).__module__.partition(".")[0]
    if home == "pandas" and hasattr(given, "to_dict") and hasattr(given, "columns"):
        return _of_pandas(given)
    if home == "polars" and hasattr(given, "iter_rows"):
        return list(given.columns), given.iter_rows(named=True)
    if home == "polars" and hasattr(given, "collect"):
        return _table(given.collect())
    if hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__"):
        return _of_arrow(given)
    return None


def _of_pandas(frame: Any) -> _Table:
    if "id" not in frame.columns and frame.index.name == "id":
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    columns = [frame.iloc[:, i].tolist() for i in range(len(names))]
    return names, (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _of_arrow(given: Any) -> _Table:
    try:
        import pyarrow
    except ImportError:
        try:
            import polars
        except ImportError:
            raise InvalidInput(
                "invalid_argument",
                f"documents is of type {type(given).__name__}, a table of Arrow; install pyarrow or polars to read it, "
                "or give dicts",
            ) from None
        try:
            frame = polars.DataFrame(given)
        except polars.exceptions.DuplicateError as error:
            raise InvalidInput("invalid_document", f"the table has two columns of one name: {error}") from error
        return list(frame.columns), frame.iter_rows(named=True)
    try:
        table = pyarrow.table(given if hasattr(given, "__arrow_c_stream__") else pyarrow.record_batch(given))
    except (TypeError, ValueError) as error:
        kind = type(given).__name__
        raise InvalidInput("invalid_document", f"documents is of type {kind}, which is no table: {error}") from error
    # Rows of a table with two columns of one name would lack one; `documents` refuses it by its names first.
    return list(table.column_names), (row for batch in table.to_batches() for row in batch.to_pylist())


def _document(row: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Columns that are no field of a document go into its metadata; a cell without a value is left out."""
    document: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in row.items():
        if not _missing(value):
            (document if name in FIELDS else others)[name] = value
    if others:
        own = document.get("metadata")
        if own is not None and not isinstance(own, Mapping):
            raise InvalidInput(
                "invalid_document", f"documents[{i}]['metadata'] is of type {type(own).__name__}; a dict is expected"
            )
        document["metadata"] = {**others, **(own or {})}
    return document


def _missing(value: Any) -> bool:
    """None, NaN, NaT and NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value
