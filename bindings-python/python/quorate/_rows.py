"""How is a list of results a table too?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ._report import plain, to_json

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_T = TypeVar("_T")


class Rows(list[_T]):
    """A list of results that becomes a table with ``to_pandas``, ``to_polars`` and ``to_arrow``."""

    __slots__ = ()

    _name: ClassVar[str]
    """What the list is called in ``to_dict``."""
    _kinds: ClassVar[dict[str, str]]
    """The columns in order, each with the type of its values: ``text``, ``int``, ``float``, ``bool``, ``time``, or ``any``."""

    def _row(self, one: _T) -> dict[str, Any]:
        """What the columns are of one result."""
        row: dict[str, Any] = plain(one)
        return row

    def to_dict(self) -> dict[str, Any]:
        """The results as a dict, made of plain values to the innermost."""
        return {self._name: [plain(one) for one in self]}

    def to_json(self, *, indent: int | None = None) -> str:
        """The same as JSON text."""
        return to_json(self.to_dict(), indent)

    def _columns(self) -> dict[str, list[Any]]:
        rows = [self._row(one) for one in self]
        return {name: [row[name] for row in rows] for name in self._kinds}

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame, a row for each."""
        import pandas

        types = {"int": "int64", "float": "float64", "bool": "bool", "time": "datetime64[ns, UTC]"}
        columns = {}
        for name, values in self._columns().items():
            kind = types.get(self._kinds[name], "object")
            # A whole number or a flag that is missing has no such type.
            columns[name] = pandas.Series(values, dtype="object" if None in values and kind in ("int64", "bool") else kind)
        return pandas.DataFrame(columns)

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame, a row for each; values without a common type are JSON text."""
        import polars

        types: dict[str, Any] = {
            "text": polars.String, "int": polars.Int64, "float": polars.Float64, "bool": polars.Boolean,
            "time": polars.Datetime("ms", "UTC"), "json": polars.String,
        }
        columns = self._columns()
        kinds = {name: self._kind(name, values) for name, values in columns.items()}
        series = [polars.Series(name, _typed(kinds[name], values), dtype=types[kinds[name]]) for name, values in columns.items()]
        return polars.DataFrame(series)

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow Table, a row for each; values without a common type are JSON text."""
        import pyarrow

        types = {
            "text": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_(),
            "time": pyarrow.timestamp("ms", "UTC"), "json": pyarrow.string(),
        }
        columns = self._columns()
        kinds = {name: self._kind(name, values) for name, values in columns.items()}
        arrays = {name: pyarrow.array(_typed(kinds[name], values), types[kinds[name]]) for name, values in columns.items()}
        return pyarrow.table(arrays)

    def _kind(self, name: str, values: list[Any]) -> str:
        """The type of a column; that of ``any`` is what all its values are."""
        kind = self._kinds[name]
        if kind != "any":
            return kind
        found = {type(value) for value in values if value is not None}
        if found == {int, float}:
            return "float"
        names = {bool: "bool", int: "int", float: "float", str: "text"}
        return names.get(found.pop(), "json") if len(found) == 1 else "json"


def _typed(kind: str, values: list[Any]) -> list[Any]:
    if kind == "json":
        return [None if value is None else to_json(value) for value in values]
    return values
