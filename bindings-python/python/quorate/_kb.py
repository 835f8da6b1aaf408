"""How are documents kept and found?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from . import _quorate
from ._errors import InvalidInput, QuorateError
from ._hits import Hits
from ._progress import Progress, telling
from ._quorate import Embedder
from ._record import Record, record
from ._report import Report
from ._tables import documents as _documents

if TYPE_CHECKING:
    import datetime

    from .aio import AsyncKnowledgeBase

Where = str | Mapping[str, Any] | None


class Table(Protocol):
    """Anything with the Arrow PyCapsule interface: a DataFrame of pandas or polars, a table of pyarrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream of its record batches."""


Documents = Iterable[Mapping[str, Any]] | Table


@dataclass(frozen=True, repr=False)
class WriteReport(Report):
    """What a write did."""

    added: int
    """New documents."""
    replaced: int
    """Documents that were there before."""
    chunks: int
    """Pieces that were stored."""
    skipped: list[Record]
    """With ``on_error="skip"``: ``index``, ``id``, ``code`` and ``message`` of each that was left out."""
    version: int
    """The version that holds the write."""


class Version(int):
    """The number of a version, which also knows when it was made.

    >>> version = Version(3, 1_700_000_000_000)
    >>> version, version.version, version.timestamp.year
    (3, 3, 2023)
    """

    _milliseconds: int

    def __new__(cls, number: int, milliseconds: int) -> Version:
        self = super().__new__(cls, number)
        self._milliseconds = milliseconds
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Version, (int(self), self._milliseconds)

    @property
    def version(self) -> int:
        """The number itself."""
        return int(self)

    @property
    def timestamp(self) -> datetime.datetime:
        """When the version was made, in UTC."""
        import datetime

        start = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return start + datetime.timedelta(milliseconds=self._milliseconds)


@dataclass(frozen=True)
class _Settings:
    embedder: Any
    tenant: Any
    read_only: bool
    durability: str
    language: str | None
    chunking: Any
    keep_versions: int
    cache_folder: Any
    storage_options: Any


@dataclass(frozen=True, slots=True)
class _Search:
    k: int
    offset: int
    mode: str
    fusion: str
    alpha: float
    rrf_k: float
    strict: bool
    group_by: str | None
    min_score: float | None


def open(
    place: str | os.PathLike[str],
    *,
    embedder: Embedder | str | os.PathLike[str] | None = None,
    tenant: str | None = None,
    read_only: bool = False,
    durability: str = "power_cut",
    language: str | None = None,
    chunking: str | Mapping[str, Any] | None = None,
    keep_versions: int = 100,
    cache_folder: str | os.PathLike[str] | None = None,
    storage_options: Mapping[str, str] | None = None,
) -> KnowledgeBase:
    """Opens the knowledge base in a folder; creates it when it is absent. It is a context manager too.

    ``embedder``: None for what it was made with (the built-in model for a new one), a model folder, a hub id, an
    :class:`Embedder` or a :class:`RemoteEmbedder`. ``tenant``: whose documents the handle sees. ``read_only``: any number of
    processes may read while one writes. ``durability``: ``power_cut`` (every write is synchronised to the disk) or
    ``process`` (a power cut may lose the last seconds). ``language`` of stemmer and stop words, fixed when the knowledge base
    is made; English by default. ``chunking``: a strategy (``auto``, ``fixed``, ``sentence``, ``recursive``, ``markdown``,
    ``semantic``, ``code``) or a dict with any of ``strategy``, ``max_tokens`` (tokens), ``overlap`` (tokens),
    ``breakpoint_percentile``, ``contextual_headers``, ``late``. ``keep_versions``: how many past versions :meth:`at` can
    show. ``cache_folder`` and ``storage_options`` are for object stores.

    Codes: ``locked``, ``embedder_mismatch``, ``not_found`` (read-only and absent), ``corrupt``, ``format_version``, ``io``,
    ``permission_denied``, ``invalid_argument``, ``unsupported``, and those of the embedder.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with open(folder.name) as kb:
    ...     report = kb.add([{"id": "a", "text": "Metformin lowers glucose.", "metadata": {"year": 2024}}])
    ...     [hit.doc_id for hit in kb.search("blood sugar", where="year >= 2020")]
    ['a']
    >>> folder.cleanup()
    """
    settings = _Settings(
        embedder, tenant, read_only, durability, language, chunking, keep_versions, cache_folder,
        None if storage_options is None else dict(storage_options),
    )
    return KnowledgeBase(_quorate.open(place, settings), os.fspath(place), embedder)


class KnowledgeBase:
    """Documents that are kept and found; made by :func:`quorate.open`.

    ``where`` is a filter such as ``"year >= 2020 AND kind IN ('label', 'guideline')"`` or ``{"year": {"$gte": 2020}}``. Every
    call releases the GIL while it works, and has an asyncio twin under :attr:`aio`. All threads may share one handle.
    """

    def __init__(self, native: _quorate.KnowledgeBase, place: str, embedder: Any = None) -> None:
        self._native = native
        self._place = place
        self._embedder = embedder if isinstance(embedder, Embedder) else None

    def add(
        self,
        documents: Documents,
        *,
        on_error: str = "stop",
        progress: Progress = False,
        vectors: Any = None,
    ) -> WriteReport:
        """Adds documents: all or none.

        ``documents``: dicts ``{"id", "text", "title", "source", "metadata"}``, or a table (pandas, polars, pyarrow, anything with
        the Arrow PyCapsule interface) with these columns, whose other columns become metadata. Metadata are strings, numbers,
        booleans, lists and dicts; dates and times are kept in RFC 3339 (one without a zone is UTC).

        ``on_error="skip"`` stores all but those that cannot be stored, which the report lists. ``progress``: True for a bar of
        tqdm, or a function of (done, total), in documents; what it raises ends the write with nothing stored. ``vectors``: the
        embedding of each document as a whole, float32 of shape (documents, dim); or a document has its own under ``vector``.
        A document may be cut by the caller: ``chunks`` of ``{"start", "end", "headings", "vector"}``, in code points.

        Codes: ``duplicate_id``, ``invalid_document``, ``invalid_text``, ``invalid_shape``, ``not_finite``, ``too_large``,
        ``read_only``, ``closed``, ``locked``, and those of the embedder and of files.
        """
        return self._write(documents, False, on_error, progress, vectors)

    def upsert(
        self,
        documents: Documents,
        *,
        on_error: str = "stop",
        progress: Progress = False,
        vectors: Any = None,
    ) -> WriteReport:
        """Adds documents and replaces those whose id exists; what is unchanged is not embedded again. Otherwise as :meth:`add`."""
        return self._write(documents, True, on_error, progress, vectors)

    def _write(
        self, documents: Documents, replace: bool, on_error: str, progress: Progress, vectors: Any
    ) -> WriteReport:
        with telling(progress, "documents") as tell:
            found = self._native.write(_documents(documents), replace, on_error, vectors, tell)
        found["skipped"] = [record(one) for one in found["skipped"]]
        return WriteReport._of(found)

    def update_metadata(self, id: str, metadata: Mapping[str, Any]) -> None:
        """Gives a document other metadata, without embedding it again. Codes: ``unknown_id``, ``invalid_document``."""
        self._native.update_metadata(id, metadata)

    def delete(self, ids: Iterable[str] | None = None, *, where: Where = None) -> int:
        """Deletes documents by id or by filter, and says how many there were.

        Codes: ``filter_syntax``, ``filter_type``, ``invalid_argument``, ``read_only``, ``closed``.
        """
        if ids is not None and where is None:
            return self._native.delete_ids(ids)
        if where is not None and ids is None:
            return self._native.delete_where(where)
        raise InvalidInput("invalid_argument", "delete takes either ids or where")

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> Hits:
        """The ``k`` best pieces for a query, best first.

        ``mode``: ``hybrid``, ``dense`` or ``lexical``. ``fusion`` of the two legs: ``convex`` (``alpha`` is the weight of the
        dense one), ``rrf`` or ``dbsf``. ``group_by="doc"``: the best piece of each document. ``strict``: a filter that names a
        field of no document is an error. Codes: ``filter_syntax``, ``filter_type``, ``filter_field``,
        ``invalid_argument``, ``closed``.
        """
        keywords = _Search(k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score)
        return Hits(self._native.search(query, where, keywords), query)

    def search_batch(
        self,
        queries: Iterable[str],
        *,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> list[Hits]:
        """The hits of several queries, in parallel. Keywords as in :meth:`search`."""
        keywords = _Search(k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score)
        if not isinstance(queries, (str, Mapping)) and isinstance(queries, Iterable):
            queries = list(queries)
        found = self._native.search_batch(queries, where, keywords)
        return [Hits(hits, query) for hits, query in zip(found, queries, strict=True)]

    def search_vector(
        self,
        vector: Any,
        *,
        k: int = 10,
        where: Where = None,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> Hits:
        """The pieces whose vectors are most similar to this one, of shape (dim,).

        Codes as in :meth:`search`, and ``invalid_shape``, ``not_finite``.
        """
        keywords = _Search(k, offset, "dense", "convex", 0.5, 60.0, strict, group_by, min_score)
        return Hits(self._native.search_vector(vector, where, keywords))

    def get(self, id: str, *, chunks: bool = False) -> Record:
        """The document with this id: ``id``, ``text``, ``title``, ``source``, ``metadata``, as members and attributes.

        With ``chunks`` also its pieces: ``start`` and ``end`` in code points, ``headings``, ``vector``. Codes: ``unknown_id``,
        ``closed``.
        """
        found: Record = self._native.get(id, chunks)
        return found

    def ids(self) -> list[str]:
        """The ids of all documents, oldest first. Codes: ``closed``."""
        return self._native.ids()

    def count(self, where: Where = None) -> int:
        """How many documents match; all of them without a filter. Codes: ``filter_syntax``, ``filter_type``, ``closed``."""
        return self._native.count(where)

    def stats(self) -> Record:
        """What the knowledge base holds: documents, chunks, version, embedder, dim, language, segments, sizes in bytes."""
        found: Record = self._native.stats()
        return found

    def versions(self) -> list[Version]:
        """The versions that :meth:`at` can show, oldest first: numbers that know their ``timestamp``."""
        return [Version(number, milliseconds) for number, milliseconds in self._native.versions()]

    def at(self, version: int) -> KnowledgeBase:
        """The knowledge base as it was at a version, for reading. Codes: ``unknown_id``, ``closed``."""
        return KnowledgeBase(self._native.at(version), self._place, self._embedder)

    def tenant(self, name: str) -> KnowledgeBase:
        """A handle that can neither see nor write anything but this tenant's documents.

        It shares the opening: closing one closes all. Codes: ``tenant_violation`` when this handle is another tenant's
        already, ``invalid_argument``, ``closed``.
        """
        return KnowledgeBase(self._native.tenant(name), self._place, self._embedder)

    @property
    def tenant_name(self) -> str | None:
        """The tenant whose documents the handle sees; None for those without one."""
        return self._native.tenant_name

    @property
    def embedder(self) -> Embedder:
        """The model that embeds. Codes: ``unsupported`` when nothing says how to open it, and those of opening."""
        if self._embedder is None:
            self._embedder = self._native.embedder()
        return self._embedder

    @property
    def aio(self) -> AsyncKnowledgeBase:
        """The same calls for asyncio: ``await kb.aio.search("...")``. Cancelling the task drops the work."""
        from .aio import AsyncKnowledgeBase

        return AsyncKnowledgeBase(self)

    def refresh(self) -> bool:
        """Takes over what other processes wrote since; says whether there was anything."""
        return self._native.refresh()

    def compact(self) -> None:
        """Rewrites what many small writes have left, and forgets past versions."""
        self._native.compact()

    def close(self) -> None:
        """Gives the writer's lock back. Further calls fail with code ``closed``; closing again does nothing."""
        self._native.close()

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, str):
            return False
        try:
            self._native.get(id, False)
        except QuorateError as error:
            if error.code == "unknown_id":
                return False
            raise
        return True

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> KnowledgeBase:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aio.close()

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = {"place": self._place, "tenant": self.tenant_name}
        try:
            return {**about, **self.stats()}
        except QuorateError as error:
            return {**about, "state": error.code}

    def __repr__(self) -> str:
        about = self._about()
        shown = [repr(self._place)]
        shown += [f"{name}={about[name]!r}" for name in ("tenant", "documents", "version", "state") if about.get(name) is not None]
        return f"KnowledgeBase({', '.join(shown)})"

    def _repr_html_(self) -> str:
        from . import _html

        return _html.fields(self._about(), "KnowledgeBase")
