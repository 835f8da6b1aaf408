"""What does a listing give back, and how does it go on?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from ._hits import as_json
from ._record import Record
from ._report import plain, to_json

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

COLUMNS: tuple[str, ...] = ("id", "title", "text", "source", "metadata")


class Documents(Sequence[Record]):
    """A page of documents, in order: records with ``id``, ``text``, ``title``, ``source`` and ``metadata``.

    ``next`` is what ``after`` of the next page is; None when this page is the last.
    """

    __slots__ = ("_documents", "_next")

    def __init__(self, documents: Sequence[Record], next: str | None = None) -> None:
        self._documents = list(documents)
        self._next = next

    @property
    def next(self) -> str | None:
        """What ``after`` of the next page is; None when this page is the last."""
        return self._next

    def __len__(self) -> int:
        return len(self._documents)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self._documents[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._documents)

    def __reduce__(self) -> tuple[Any, ...]:
        return Documents, (self._documents, self._next)

    def __repr__(self) -> str:
        ids = ", ".join(repr(document["id"]) for document in self._documents[:5])
        return f"Documents({len(self)}: {ids}{', ...' if len(self) > 5 else ''})"

    def to_dict(self) -> dict[str, Any]:
        """The documents and ``next``, as a dict."""
        return {"documents": [plain(document) for document in self._documents], "next": self._next}

    def to_json(self, *, indent: int | None = None) -> str:
        """The same as JSON text."""
        return to_json(self.to_dict(), indent)

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame with the columns id, title, text, source, metadata."""
        import pandas

        return pandas.DataFrame({name: [document[name] for document in self] for name in COLUMNS})

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame; ``metadata`` is JSON text."""
        import polars

        return polars.DataFrame(self._columns(), schema=dict.fromkeys(COLUMNS, polars.String))

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow Table; ``metadata`` is JSON text."""
        import pyarrow

        schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])
        return pyarrow.table(self._columns(), schema=schema)

    def _columns(self) -> dict[str, list[str]]:
        columns: dict[str, list[str]] = {name: [document[name] for document in self] for name in COLUMNS[:-1]}
        columns["metadata"] = [as_json(document["metadata"]) for document in self]
        return columns
