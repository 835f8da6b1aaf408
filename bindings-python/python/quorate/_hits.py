"""What does a search give back, and how does it become a table?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from ._quorate import Hit
from ._report import to_json

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

COLUMNS: tuple[str, ...] = ("score", "doc_id", "chunk_id", "title", "text", "source", "start", "end", "headings", "metadata")


class Hits(Sequence[Hit]):
    """The hits of one query, best first.

    It is a sequence of :class:`quorate.Hit`, and becomes a table with ``to_pandas``, ``to_polars`` and ``to_arrow``
    (columns score, doc_id, chunk_id, title, text, source, start, end, headings, metadata).
    """

    __slots__ = ("_hits", "_query")

    def __init__(self, hits: Sequence[Hit], query: str | None = None) -> None:
        self._hits = list(hits)
        self._query = query

    @property
    def query(self) -> str | None:
        """The text that was searched for; None where a vector was."""
        return self._query

    def __len__(self) -> int:
        return len(self._hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Hits: ...
    def __getitem__(self, index: int | slice) -> Hit | Hits:
        if isinstance(index, slice):
            return Hits(self._hits[index], self._query)
        return self._hits[index]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._hits)

    def __repr__(self) -> str:
        of = f" for {self._query!r}" if self._query is not None else ""
        lines = [f"Hits({len(self._hits)}{of})", *(f"  {hit!r}" for hit in self._hits[:10])]
        if len(self._hits) > 10:
            lines.append("  ...")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from . import _html

        return _html.hits(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Hits, (self._hits, self._query)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict a hit."""
        return [hit.to_dict() for hit in self._hits]

    def to_dict(self) -> dict[str, Any]:
        """The query and the hits, as a dict."""
        return {"query": self._query, "hits": self.to_dicts()}

    def to_json(self, *, indent: int | None = None) -> str:
        """The same as JSON text."""
        return to_json(self.to_dict(), indent)

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame; the column ``metadata`` holds dicts."""
        import pandas

        rows = self.to_dicts()
        columns = {name: [row[name] for row in rows] for name in COLUMNS}
        kinds = {"score": "float64", "start": "int64", "end": "int64"}
        return pandas.DataFrame(columns).astype(kinds)

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame; ``metadata`` is a struct, or JSON text where its values have no common type."""
        import polars

        kinds: dict[str, Any] = {name: polars.String for name in COLUMNS}
        kinds |= {"score": polars.Float64, "start": polars.Int64, "end": polars.Int64}
        kinds["headings"] = polars.List(polars.String)
        rows = self.to_dicts()
        columns: dict[str, Any] = {
            name: polars.Series(name, [row[name] for row in rows], dtype=kinds[name]) for name in COLUMNS[:-1]
        }
        metadata = [row["metadata"] for row in rows]
        if any(metadata) and _uniform(metadata):
            columns["metadata"] = polars.Series("metadata", metadata, strict=True)
        else:
            columns["metadata"] = polars.Series("metadata", _json(metadata), dtype=polars.String)
        return polars.DataFrame(columns)

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow Table; ``metadata`` is a struct, or JSON text where its values have no common type."""
        import pyarrow

        kinds: dict[str, Any] = {name: pyarrow.string() for name in COLUMNS}
        kinds |= {"score": pyarrow.float64(), "start": pyarrow.int64(), "end": pyarrow.int64()}
        kinds["headings"] = pyarrow.list_(pyarrow.string())
        rows = self.to_dicts()
        columns = {name: pyarrow.array([row[name] for row in rows], type=kinds[name]) for name in COLUMNS[:-1]}
        metadata = [row["metadata"] for row in rows]
        if any(metadata) and _uniform(metadata):
            columns["metadata"] = pyarrow.array(metadata)
        else:
            columns["metadata"] = pyarrow.array(_json(metadata), type=pyarrow.string())
        return pyarrow.table(columns)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def as_json(value: Any) -> str:
    """A result as JSON text."""
    import json

    return json.dumps(value, ensure_ascii=False)


def _json(rows: list[dict[str, Any]]) -> list[str]:
    import json

    return [json.dumps(row, ensure_ascii=False) for row in rows]


def _uniform(rows: list[dict[str, Any]]) -> bool:
    """Whether each member has one type in all rows, so that a struct can hold it."""
    kinds: dict[tuple[str, ...], str] = {}
    return all(_same(row, (), kinds) for row in rows)


def _same(value: Any, path: tuple[str, ...], kinds: dict[tuple[str, ...], str]) -> bool:
    if value is None:
        return True
    kind = type(value).__name__
    if kinds.setdefault(path, kind) != kind:
        return False
    if isinstance(value, dict):
        return bool(value or not path) and all(_same(member, (*path, name), kinds) for name, member in value.items())
    if isinstance(value, list):
        return all(_same(member, (*path, "[]"), kinds) for member in value)
    return True
