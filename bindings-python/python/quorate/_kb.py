"""How are documents kept and found?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from . import _quorate
from ._errors import InvalidInput, QuorateError
from ._hits import Hits
from ._progress import Progress, telling
from ._context import Context, Tokenizer
from ._quorate import CrossEncoder, Embedder, Hit
from ._record import Record, record
from ._report import Report
from ._tables import documents as _documents

if TYPE_CHECKING:
    import datetime

    from .aio import AsyncKnowledgeBase

Where = str | Mapping[str, Any] | None
Rerank: TypeAlias = str | CrossEncoder | Callable[[str, Hits], Any] | None


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
    progress: Any


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
    rerank: Any = None
    rerank_depth: int = 50
    blend: float = 1.0
    mmr_lambda: float = 0.5


@dataclass(frozen=True, slots=True)
class _Form:
    max_tokens: int
    order: str
    neighbours: int
    dedupe: float
    tokenizer: Any


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
    progress: Progress = False,
) -> KnowledgeBase:
    """Opens the knowledge base in a folder; creates it when it is absent. It is a context manager too.

    ``embedder``: None for what it was made with (the built-in model for a new one), a model folder, a hub id, an
    :class:`Embedder` or a :class:`RemoteEmbedder`. ``tenant``: whose documents the handle sees. ``read_only``: any number of
    processes may read while one writes. ``durability``: ``power_cut`` (every write is synchronised to the disk) or
    ``process`` (a power cut may lose the last seconds). ``language`` of stemmer and stop words, fixed when the knowledge base
    is made; English by default. ``chunking``: a strategy (``auto``, ``fixed``, ``sentence``, ``recursive``, ``markdown``,
    ``semantic``, ``code``) or a dict with any of ``strategy``, ``max_tokens`` (tokens), ``overlap`` (tokens),
    ``breakpoint_percentile``, ``contextual_headers``, ``late``. ``keep_versions``: how many past versions :meth:`at` can
    show. ``cache_folder`` and ``storage_options`` are for object stores. ``progress``: True, or a function of (done, total), told
    how many pieces are indexed where indexes have to be built again.

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
    with telling(progress, "pieces") as tell:
        settings = _Settings(
            embedder, tenant, read_only, durability, language, chunking, keep_versions, cache_folder,
            dict(storage_options) if isinstance(storage_options, Mapping) else storage_options, tell,
        )
        return KnowledgeBase(_quorate.open(place, settings), os.fspath(place), embedder)


def _written(found: dict[str, Any]) -> WriteReport:
    found["skipped"] = [record(one) for one in found["skipped"]]
    return WriteReport._of(found)


def _listed(given: Any) -> Any:
    """The items of an iterator, which can be read once only; what is no list of items stays as it is."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        return given
    return list(given)


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
        return _written(found)

    def add_files(
        self,
        patterns: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        on_error: str = "stop",
        progress: Progress = False,
        max_bytes: int | None = None,
        timeout: float | None = None,
    ) -> WriteReport:
        """Adds the documents of files: all or none. Each pattern is a file, a folder (all below it) or a glob.

        Read are .txt .md .markdown .html .htm .pdf .docx .csv .tsv .jsonl .ndjson. A PDF gives a document for each page (id
        ``PATH#page=N``), a CSV or JSONL file one for each row (its own ``id``, or ``PATH#row=N``), any other file one (id
        ``PATH``). Metadata hold what the file tells: ``file_type``, ``language``, ``modified``, ``page``, ``author``, front
        matter and the like.

        ``on_error="skip"`` lists files that cannot be read or stored; files of other kinds in a folder or glob are listed in any
        case (code ``unsupported``). ``progress``: as in :meth:`add`, in files. ``max_bytes`` (256 MiB) and ``timeout`` (60
        seconds) bound the reading of one file.

        Codes: ``not_found``, ``invalid_argument`` (a malformed glob), ``load_failed``, ``unsupported``, ``too_large``,
        ``timeout``, and as :meth:`add`.
        """
        return self._write_files(patterns, False, on_error, progress, max_bytes, timeout)

    def upsert_files(
        self,
        patterns: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        on_error: str = "stop",
        progress: Progress = False,
        max_bytes: int | None = None,
        timeout: float | None = None,
    ) -> WriteReport:
        """Adds the documents of files and replaces those whose id exists. Otherwise as :meth:`add_files`."""
        return self._write_files(patterns, True, on_error, progress, max_bytes, timeout)

    def _write_files(
        self, patterns: Any, replace: bool, on_error: str, progress: Progress, max_bytes: int | None, timeout: float | None
    ) -> WriteReport:
        if isinstance(patterns, (str, os.PathLike)):
            patterns = [patterns]
        listed = _listed(patterns)
        if isinstance(listed, list):
            listed = [os.fspath(one) if isinstance(one, os.PathLike) else one for one in listed]
        with telling(progress, "files") as tell:
            found = self._native.write_files(listed, replace, on_error, tell, max_bytes, timeout)
        return _written(found)

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
        vector: Any = None,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> Hits:
        """The ``k`` best pieces for a query, best first.

        ``mode``: ``hybrid``, ``dense`` or ``lexical``. ``fusion`` of the two legs: ``convex`` (``alpha`` is the weight of the
        dense one), ``rrf`` or ``dbsf``. ``group_by="doc"``: the best piece of each document. ``strict``: a filter that names a
        field of no document is an error. ``vector``: the query's embedding, of shape (dim,), when the caller has it.

        ``rerank`` puts the best ``rerank_depth`` candidates in a better order: ``"mmr"`` (``mmr_lambda`` is the weight of
        relevance against variety, 0 to 1), ``"late"`` (MaxSim over the embedder's token vectors), a :class:`CrossEncoder`, or
        a function of (query, hits) that gives one score a hit. ``blend``: the weight of its score against the one before.

        Codes: ``filter_syntax``, ``filter_type``, ``filter_field``, ``invalid_argument``, ``invalid_shape`` and
        ``not_finite`` (scores of a function), ``unsupported`` (``late`` without token vectors), ``closed``.
        """
        keywords = _Search(
            k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda
        )
        return Hits(self._native.search(query, where, keywords, vector), query)

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
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> list[Hits]:
        """The hits of several queries, in parallel. Keywords as in :meth:`search`."""
        keywords = _Search(
            k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda
        )
        queries = _listed(queries)
        found = self._native.search_batch(queries, where, keywords)
        return [Hits(hits, query) for hits, query in zip(found, queries, strict=True)]

    def search_many(
        self,
        queries: Iterable[str],
        *,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> Hits:
        """The best pieces for one question in several wordings, the question itself first.

        The hits of all wordings are fused by reciprocal rank (Cormack, Clarke and Buettcher 2009); a reranker reads the first.
        Keywords as in :meth:`search`.
        """
        keywords = _Search(
            k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda
        )
        queries = _listed(queries)
        return Hits(self._native.search_many(queries, where, keywords), next(iter(queries), None))

    def search_vector(
        self,
        vector: Any,
        *,
        k: int = 10,
        where: Where = None,
        rerank: str | None = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> Hits:
        """The pieces whose vectors are most similar to this one, of shape (dim,). ``rerank`` may be ``"mmr"``.

        Codes as in :meth:`search`, and ``invalid_shape``, ``not_finite``.
        """
        if rerank is not None and rerank != "mmr":
            raise InvalidInput("invalid_argument", "rerank reads the text of the query; search_vector has 'mmr' alone")
        keywords = _Search(
            k, offset, "dense", "convex", 0.5, 60.0, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda
        )
        return Hits(self._native.search_vector(vector, where, keywords))

    def context(
        self,
        question: str,
        *,
        max_tokens: int = 2000,
        k: int = 20,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        rerank: Rerank = None,
        rerank_depth: int = 50,
        blend: float = 1.0,
        mmr_lambda: float = 0.5,
        group_by: str | None = None,
        min_score: float | None = None,
        strict: bool = False,
        order: str = "score",
        neighbours: int = 1,
        dedupe: float = 0.85,
        tokenizer: Tokenizer = None,
    ) -> Context:
        """One text for a language model, within a budget of tokens, with citations that resolve.

        The best ``k`` pieces are taken while they fit into ``max_tokens``, widened by up to ``neighbours`` pieces around each,
        and stand under numbered markers and titles. ``order``: ``score``, ``document`` (in the order of their documents) or
        ``lost_in_the_middle`` (the best at both ends). ``dedupe``: pieces that repeat a better one are left out from this
        similarity of their words on, 0 to 1. ``tokenizer``: what counts tokens: None for the embedder of the knowledge base, an
        :class:`Embedder`, or a function from text to number. Other keywords, and codes, as in :meth:`search`.

        ``document_text[citation.start:citation.end]`` is the cited passage.
        """
        keywords = _Search(
            k, 0, mode, fusion, alpha, rrf_k, strict, group_by, min_score, rerank, rerank_depth, blend, mmr_lambda
        )
        form = _Form(max_tokens, order, neighbours, dedupe, tokenizer)
        return Context._of(self._native.context(question, where, keywords, form))

    def context_of(
        self,
        hits: Iterable[Hit],
        *,
        max_tokens: int = 2000,
        order: str = "score",
        neighbours: int = 1,
        dedupe: float = 0.85,
        tokenizer: Tokenizer = None,
    ) -> Context:
        """The same of hits that were found already, the best first."""
        form = _Form(max_tokens, order, neighbours, dedupe, tokenizer)
        return Context._of(self._native.context_of(hits, form))

    def get(self, id: str, *, chunks: bool = False) -> Record:
        """The document with this id: ``id``, ``text``, ``title``, ``source``, ``metadata``, as members and attributes.

        With ``chunks`` also its pieces: ``start`` and ``end`` in code points, ``headings``, ``vector``. Codes: ``unknown_id``,
        ``closed``.
        """
        found: Record = self._native.get(id, chunks)
        return found

    def ids(self, where: Where = None) -> list[str]:
        """The ids of the documents that match, oldest first; all without a filter. Codes as of :meth:`count`."""
        return self._native.ids(where)

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
